/* layernorm.h - y = (x - mean) / sqrt(variance + eps) * weight + bias over the last axis, variance of the
   population. Local. */
#ifndef NN_LAYERNORM_H
#define NN_LAYERNORM_H

#include "nn/real.h"

/* y, x (rows, n), may be the same; w, b (n); mean, rstd (rows) are kept for a backward pass, or NULL. */
void layernorm_forward(real *y, real *mean, real *rstd, const real *x, const real *w, const real *b, int64_t rows,
                       int64_t n, real eps);

#endif
