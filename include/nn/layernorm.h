/* layernorm.h - y = (x - mean) / sqrt(variance + eps) * weight + bias over the last axis, variance of the
   population. Local. */
#ifndef NN_LAYERNORM_H
#define NN_LAYERNORM_H

#include "nn/real.h"

/* y, x (rows, n), may be the same; w, b (n); mean, rstd (rows) are kept for a backward pass, or NULL. */
void layernorm_forward(real *y, real *mean, real *rstd, const real *x, const real *w, const real *b, int64_t rows,
                       int64_t n, real eps);

/* d_x (rows, n), d_w, d_b (n) are added into; d_w and d_b may be NULL. mean, rstd (rows) as the forward pass kept
   them. Columns of d_w and d_b are summed over the rows of the call, in order, before they are added. */
void layernorm_backward(real *d_x, real *d_w, real *d_b, const real *d_y, const real *x, const real *mean,
                        const real *rstd, const real *w, int64_t rows, int64_t n);

#endif
