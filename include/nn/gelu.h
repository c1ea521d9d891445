/* gelu.h - GELU(x) = x/2 (1 + erf(x / sqrt 2)), the exact form, never the tanh approximation. Local. */
#ifndef NN_GELU_H
#define NN_GELU_H

#include "nn/real.h"

void gelu_forward(real *y, const real *x, int64_t n); /* y may be x */

/* y and its slope Phi(x) + x phi(x), Phi and phi the normal distribution and its density, for a backward pass: d_x = d_y
   slope. */
void gelu_both(real *y, real *slope, const real *x, int64_t n);

#endif
