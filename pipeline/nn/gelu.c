/* gelu.c - GELU and its slope over arrays; the function itself is in gelu_one.h. */
#include "nn/gelu.h"

#include "gelu_one.h"

void gelu_forward(real *y, const real *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = gelu_one(x[i]);
}

/* exp(-x^2 / 2) / sqrt(2 pi) */
static inline real density(real x)
{
    return (real)0.39894228040143267794 * vector_exp2(x * x * (real)-0.72134752044448170368);
}

void gelu_both(real *restrict y, real *restrict slope, const real *restrict x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const real twice = gelu_twice(x[i]);
        y[i] = (real)0.5 * x[i] * twice;
        slope[i] = (real)0.5 * twice + x[i] * density(x[i]);
    }
}
