/* l2norm.h - y = x / max(|x|, eps), row by row: directions of embeddings. Local. */
#ifndef NN_L2NORM_H
#define NN_L2NORM_H

#include "nn/real.h"

/* y, x (rows, n), may be the same; norm (rows) = |x| is kept for the backward pass, or NULL. */
void l2norm_forward(real *y, real *norm, const real *x, int64_t rows, int64_t n, real eps);

/* d_x (rows, n) is added into; y and norm as the forward pass left them. Up to eps a row is merely divided by it. */
void l2norm_backward(real *d_x, const real *d_y, const real *y, const real *norm, int64_t rows, int64_t n, real eps);

#endif
