/* linear.h - y = x W^T + b, W (n_out, n_in) as PyTorch stores it, on the chosen gemm provider. Local. */
#ifndef NN_LINEAR_H
#define NN_LINEAR_H

#include "nn/real.h"

/* y (rows, n_out); x (rows, n_in); b (n_out) or NULL. */
void linear_forward(real *y, const real *x, const real *w, const real *b, int64_t rows, int64_t n_out, int64_t n_in);

/* Adds into d_x (rows, n_in), d_w (n_out, n_in), d_b (n_out); each may be NULL. Rows of d_x keep apart as those of y
   do; d_w and d_b are sums over the rows of this call (gemm.h says what that means for microbatches). */
void linear_backward(real *d_x, real *d_w, real *d_b, const real *d_y, const real *x, const real *w, int64_t rows,
                     int64_t n_out, int64_t n_in);

#endif
