/* layernorm.c - layer normalisation, a row at a time: mean first, then the squares of what is left, so that a large
   mean costs no digits. */
#include "nn/layernorm.h"

#include "nn/vector.h"

/* Sum of (x - mean)^2. */
static real squares(const real *x, real mean, int64_t n)
{
    real lane[LANES] = {0}, tail = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; l++) lane[l] += (x[i + l] - mean) * (x[i + l] - mean);
    for (; i < n; i++) tail += (x[i] - mean) * (x[i] - mean);
    return vector_fold(lane) + tail;
}

void layernorm_forward(real *y, real *mean, real *rstd, const real *x, const real *w, const real *b, int64_t rows,
                       int64_t n, real eps)
{
    for (int64_t r = 0; r < rows; r++) {
        const real *in = x + r * n;
        real *out = y + r * n;
        const real m = vector_sum(in, n) / (real)n;
        const real s = 1 / R(sqrt)(squares(in, m, n) / (real)n + eps);
        for (int64_t i = 0; i < n; i++) out[i] = (in[i] - m) * s * w[i] + b[i];
        if (mean) mean[r] = m;
        if (rstd) rstd[r] = s;
    }
}
