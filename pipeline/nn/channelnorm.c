/* channelnorm.c - moments in two passes (mean, then squares of what is left), sixteen channels at a time. */
#include "nn/channelnorm.h"

enum { GROUP = 16 }; /* floats of a cache line; a whole group has loops of constant length */

/* Over the rows of `count` channels: mean and population variance. */
static inline void group_moments(double *mean, double *var, const real *x, int64_t rows, int64_t channels, int count)
{
    double sum[GROUP] = {0}, squares[GROUP] = {0};
    for (int64_t r = 0; r < rows; r++)
        for (int l = 0; l < count; l++) sum[l] += (double)x[r * channels + l];
    for (int l = 0; l < count; l++) mean[l] = sum[l] / (double)rows;
    for (int64_t r = 0; r < rows; r++)
        for (int l = 0; l < count; l++) {
            const double d = (double)x[r * channels + l] - mean[l];
            squares[l] += d * d;
        }
    for (int l = 0; l < count; l++) var[l] = squares[l] / (double)rows;
}

void channelnorm_moments(real *mean, real *var, const real *x, int64_t rows, int64_t channels)
{
    for (int64_t c = 0; c < channels; c += GROUP) {
        double m[GROUP], v[GROUP];
        const int count = channels - c < GROUP ? (int)(channels - c) : GROUP;
        if (count == GROUP)
            group_moments(m, v, x + c, rows, channels, GROUP);
        else
            group_moments(m, v, x + c, rows, channels, count);
        for (int l = 0; l < count; l++) {
            mean[c + l] = (real)m[l];
            var[c + l] = (real)v[l];
        }
    }
}

static inline void group_apply(real *y, const real *mean, const real *scale, const real *shift, const real *x,
                               int64_t rows, int64_t channels, int count)
{
    for (int64_t r = 0; r < rows; r++)
        for (int l = 0; l < count; l++) y[r * channels + l] = (x[r * channels + l] - mean[l]) * scale[l] + shift[l];
}

void channelnorm_apply(real *y, const real *mean, const real *var, const real *x, const real *w, const real *b,
                       int64_t rows, int64_t channels, real eps)
{
    for (int64_t c = 0; c < channels; c += GROUP) {
        real scale[GROUP], shift[GROUP];
        const int count = channels - c < GROUP ? (int)(channels - c) : GROUP;
        for (int l = 0; l < count; l++) {
            scale[l] = (w ? w[c + l] : 1) / R(sqrt)(var[c + l] + eps);
            shift[l] = b ? b[c + l] : 0;
        }
        if (count == GROUP)
            group_apply(y + c, mean + c, scale, shift, x + c, rows, channels, GROUP);
        else
            group_apply(y + c, mean + c, scale, shift, x + c, rows, channels, count);
    }
}

/* With xhat = (x - mean) rstd: d_x = w rstd (d_y - mean(d_y) - xhat mean(d_y xhat)), and the sums over rows that d_w and d_b are. */
static inline void group_backward(real *d_x, double *along, double *plain, const real *d_y, const real *mean,
                                  const double *rstd, const double *w, const real *x, int64_t rows, int64_t channels,
                                  int count)
{
    real scale[GROUP], level[GROUP], slope[GROUP];
    for (int l = 0; l < count; l++) along[l] = plain[l] = 0;
    for (int64_t r = 0; r < rows; r++)
        for (int l = 0; l < count; l++) {
            const double d = (double)d_y[r * channels + l];
            plain[l] += d;
            along[l] += d * ((double)x[r * channels + l] - (double)mean[l]);
        }
    for (int l = 0; l < count; l++) {
        along[l] *= rstd[l];
        scale[l] = (real)(w[l] * rstd[l]);
        level[l] = (real)(plain[l] / (double)rows);
        slope[l] = (real)(along[l] / (double)rows * rstd[l]);
    }
    for (int64_t r = 0; r < rows; r++)
        for (int l = 0; l < count; l++) {
            const int64_t at = r * channels + l;
            d_x[at] += scale[l] * (d_y[at] - level[l] - (x[at] - mean[l]) * slope[l]);
        }
}

void channelnorm_backward(real *d_x, real *d_w, real *d_b, const real *d_y, const real *mean, const real *var,
                          const real *x, const real *w, int64_t rows, int64_t channels, real eps)
{
    for (int64_t c = 0; c < channels; c += GROUP) {
        double rstd[GROUP], weight[GROUP], along[GROUP], plain[GROUP];
        const int count = channels - c < GROUP ? (int)(channels - c) : GROUP;
        for (int l = 0; l < count; l++) {
            rstd[l] = 1 / sqrt((double)var[c + l] + (double)eps);
            weight[l] = w ? (double)w[c + l] : 1;
        }
        if (count == GROUP)
            group_backward(d_x + c, along, plain, d_y + c, mean + c, rstd, weight, x + c, rows, channels, GROUP);
        else
            group_backward(d_x + c, along, plain, d_y + c, mean + c, rstd, weight, x + c, rows, channels, count);
        for (int l = 0; d_w && l < count; l++) d_w[c + l] += (real)along[l];
        for (int l = 0; d_b && l < count; l++) d_b[c + l] += (real)plain[l];
    }
}

void channelnorm_track(real *running_mean, real *running_var, const real *mean, const real *var, int64_t rows,
                       int64_t channels, double momentum)
{
    const double unbias = rows > 1 ? (double)rows / (double)(rows - 1) : 1;
    for (int64_t c = 0; c < channels; c++) {
        running_mean[c] = (real)((1 - momentum) * (double)running_mean[c] + momentum * (double)mean[c]);
        running_var[c] = (real)((1 - momentum) * (double)running_var[c] + momentum * unbias * (double)var[c]);
    }
}
