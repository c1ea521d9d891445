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

/* With xhat = (x - mean) rstd and g = d_y w: d_x = rstd (g - mean(g) - xhat mean(g xhat)). */
static void backward_row(real *d_x, const real *d_y, const real *x, real mean, real rstd, const real *w, int64_t n)
{
    real lane[LANES] = {0}, lane_x[LANES] = {0}, tail = 0, tail_x = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; l++) {
            const real g = d_y[i + l] * w[i + l];
            lane[l] += g;
            lane_x[l] += g * (x[i + l] - mean);
        }
    for (; i < n; i++) {
        tail += d_y[i] * w[i];
        tail_x += d_y[i] * w[i] * (x[i] - mean);
    }
    const real g_mean = (vector_fold(lane) + tail) / (real)n;
    const real g_slope = (vector_fold(lane_x) + tail_x) / (real)n * rstd * rstd;
    for (i = 0; i < n; i++) d_x[i] += rstd * (d_y[i] * w[i] - g_mean - (x[i] - mean) * g_slope);
}

/* Columns from .. from + count: d_w += sum d_y xhat. */
static void backward_columns(real *d_w, const real *d_y, const real *x, const real *mean, const real *rstd,
                             int64_t rows, int64_t n, int64_t from, int count)
{
    real lane[LANES] = {0};
    for (int64_t r = 0; r < rows; r++)
        for (int l = 0; l < count; l++) lane[l] += d_y[r * n + from + l] * ((x[r * n + from + l] - mean[r]) * rstd[r]);
    for (int l = 0; l < count; l++) d_w[from + l] += lane[l];
}

void layernorm_backward(real *d_x, real *d_w, real *d_b, const real *d_y, const real *x, const real *mean,
                        const real *rstd, const real *w, int64_t rows, int64_t n)
{
    if (d_b) vector_add_columns(d_b, d_y, rows, n);
    if (d_w) {
        int64_t i = 0;
        for (; i + LANES <= n; i += LANES) backward_columns(d_w, d_y, x, mean, rstd, rows, n, i, LANES);
        if (i < n) backward_columns(d_w, d_y, x, mean, rstd, rows, n, i, (int)(n - i));
    }
    for (int64_t r = 0; r < rows; r++) backward_row(d_x + r * n, d_y + r * n, x + r * n, mean[r], rstd[r], w, n);
}
