/* gelu_one.h - GELU of one number without a library call, for loops that compilers make vectors of. Private to nn.

   1 + erf(x / sqrt 2) is twice the normal distribution function Phi(x). With z = |x| and q(z) = -log2(2 Phi(-z)),
   which is nearly a parabola, 2 Phi(-z) = 2^-q(z) and 2 Phi(z) = 2 - 2^-q(z): one polynomial and one 2^t, no branch,
   and no cancellation for negative x. In float q is a minimax polynomial of degree 10 without constant term on 0 <=
   z <= 7, fitted with the weight 2^-q to 8e-9; beyond 7 the tail stays at 3e-12. In double it is libm's erfc. */
#ifndef NN_GELU_ONE_H
#define NN_GELU_ONE_H

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

/* q(z) / z, the highest power first; z <= TAIL_END. */
enum { TAIL_TERMS = 10 };
static const float tail_term[TAIL_TERMS] = {2.40392399e-08f, -7.60608827e-07f, 1.01568221e-05f,  -7.29087187e-05f,
                                            2.70377204e-04f, 1.55473845e-05f,  -6.96370285e-03f, 5.24521656e-02f,
                                            4.59217280e-01f, 1.15110457f};
#define TAIL_END 7.0f

/* 2 Phi(-z), z >= 0 */
static inline real twice_tail(real z)
{
#ifdef REAL_DOUBLE
    return erfc(z * 0.70710678118654752440);
#else
    z = z > TAIL_END ? TAIL_END : z;
    float q = tail_term[0];
#pragma GCC unroll 10
    for (int i = 1; i < TAIL_TERMS; i++) q = fused(q, z, tail_term[i]);
    return vector_exp2(-q * z);
#endif
}

/* 2 Phi(x) */
static inline real gelu_twice(real x)
{
    const real tail = twice_tail(R(fabs)(x));
    return x < 0 ? tail : 2 - tail;
}

static inline real gelu_one(real x) { return (real)0.5 * x * gelu_twice(x); }

#endif
