/* weightnorm.h - a matrix whose rows are g v / |v|: length and direction are parameters of their own (spec.md 4.4). Local. */
#ifndef NN_WEIGHTNORM_H
#define NN_WEIGHTNORM_H

#include "nn/real.h"

/* w, v (rows, n), g (rows); norm (rows) = |v| is kept for the backward pass. */
void weightnorm_forward(real *w, real *norm, const real *g, const real *v, int64_t rows, int64_t n);

/* d_g (rows), d_v (rows, n) are added into; each may be NULL. */
void weightnorm_backward(real *d_g, real *d_v, const real *d_w, const real *norm, const real *g, const real *v,
                         int64_t rows, int64_t n);

#endif
