/* gelu.c - GELU without a library call per element.

   1 + erf(x / sqrt 2) is twice the normal distribution function Phi(x). With z = |x| and q(z) = -log2(2 Phi(-z)),
   which is nearly a parabola, 2 Phi(-z) = 2^-q(z) and 2 Phi(z) = 2 - 2^-q(z): one polynomial and one 2^t, no branch,
   and no cancellation for negative x. In float q is a minimax polynomial of degree 10 without constant term on 0 <=
   z <= 7, fitted with the weight 2^-q to 8e-9; beyond 7 the tail stays at 3e-12. In double it is libm's erfc. */
#include "nn/gelu.h"

#include "nn/vector.h"

/* x y + z, rounded once where the machine does that in one step. */
static inline real fused(real x, real y, real z)
{
#ifdef FP_FAST_FMAF
    return R(fma)(x, y, z);
#else
    return x * y + z;
#endif
}

/* 2 Phi(-z), z >= 0 */
static inline real twice_tail(real z)
{
#ifdef REAL_DOUBLE
    return erfc(z * 0.70710678118654752440);
#else
    z = z > 7.0f ? 7.0f : z;
    float q = 2.40392399e-08f;
    q = fused(q, z, -7.60608827e-07f);
    q = fused(q, z, 1.01568221e-05f);
    q = fused(q, z, -7.29087187e-05f);
    q = fused(q, z, 2.70377204e-04f);
    q = fused(q, z, 1.55473845e-05f);
    q = fused(q, z, -6.96370285e-03f);
    q = fused(q, z, 5.24521656e-02f);
    q = fused(q, z, 4.59217280e-01f);
    q = fused(q, z, 1.15110457f);
    return vector_exp2(-q * z);
#endif
}

void gelu_forward(real *y, const real *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const real tail = twice_tail(R(fabs)(x[i]));
        y[i] = (real)0.5 * x[i] * (x[i] < 0 ? tail : 2 - tail);
    }
}

/* exp(-x^2 / 2) / sqrt(2 pi) */
static inline real density(real x)
{
    return (real)0.39894228040143267794 * vector_exp2(x * x * (real)-0.72134752044448170368);
}

void gelu_both(real *restrict y, real *restrict slope, const real *restrict x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const real tail = twice_tail(R(fabs)(x[i])), twice = x[i] < 0 ? tail : 2 - tail;
        y[i] = (real)0.5 * x[i] * twice;
        slope[i] = (real)0.5 * twice + x[i] * density(x[i]);
    }
}
