/* softmax.c - with the largest score taken off first, so that nothing overflows. */
#include "nn/softmax.h"

#include "nn/vector.h"

void softmax_forward(real *score, int64_t n, int64_t padded)
{
    const real log2_e = (real)1.44269504088896340736;
    const real largest = vector_max(score, n);
    real lane[LANES] = {0}, tail = 0;
    int64_t at = 0;
    for (; at + LANES <= n; at += LANES)
        for (int l = 0; l < LANES; l++) {
            score[at + l] = vector_exp2((score[at + l] - largest) * log2_e);
            lane[l] += score[at + l];
        }
    for (; at < n; at++) tail += score[at] = vector_exp2((score[at] - largest) * log2_e);
    const real scale = 1 / (vector_fold(lane) + tail);
    for (int64_t i = 0; i < n; i++) score[i] *= scale;
    memset(score + n, 0, sizeof *score * (size_t)(padded - n));
}

void softmax_backward(real *d_p, const real *p, int64_t n)
{
    const real mean = vector_dot(p, d_p, n);
    for (int64_t i = 0; i < n; i++) d_p[i] = p[i] * (d_p[i] - mean);
}
