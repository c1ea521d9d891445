/* exp2.h - 2^t as a polynomial in float, in arithmetic that compilers make vectors of. The bits do not depend on alignment
   or on the width of the machine's vectors. Local. */
#ifndef CORE_EXP2_H
#define CORE_EXP2_H

#include <stdint.h>
#include <string.h>

/* 2^t for t <= 127, to about 1.5e-7 of its value; below -126 it stays at 2^-126; NaN stays NaN. */
static inline float exp2_fast(float t)
{
    t = t < -126.0f ? -126.0f : t;
    const float shift = 12582912.0f; /* 1.5 x 2^23: adding it rounds to an integer, which then stands in the low bits */
    const float rounded = t + shift;
    const float f = t - (rounded - shift); /* -0.5 .. 0.5 */
    /* Taylor series of exp(f ln 2): the first term left out is below 6e-9 */
    float p = 1.52527338e-5f;
    p = p * f + 1.54035304e-4f;
    p = p * f + 1.33335581e-3f;
    p = p * f + 9.61812911e-3f;
    p = p * f + 5.55041087e-2f;
    p = p * f + 2.40226507e-1f;
    p = p * f + 6.93147181e-1f;
    p = p * f + 1.0f;
    uint32_t bits;
    memcpy(&bits, &rounded, sizeof bits);
    bits = (bits << 23) + 0x3f800000u; /* the float 2^n */
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    return p * scale;
}

#endif
