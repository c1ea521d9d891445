/* softmax.c - with the largest score taken off first, so that nothing overflows. */
#include "nn/softmax.h"

#include "nn/vector.h"

void softmax_forward(real *score, int64_t n, int64_t padded)
{
    const real log2_e = (real)1.44269504088896340736;
    const real largest = vector_max(score, n);
    for (int64_t i = 0; i < n; i++) score[i] = vector_exp2((score[i] - largest) * log2_e);
    const real scale = 1 / vector_sum(score, n);
    for (int64_t i = 0; i < n; i++) score[i] *= scale;
    memset(score + n, 0, sizeof *score * (size_t)(padded - n));
}

void softmax_backward(real *d_p, const real *p, int64_t n)
{
    const real mean = vector_dot(p, d_p, n);
    for (int64_t i = 0; i < n; i++) d_p[i] = p[i] * (d_p[i] - mean);
}
