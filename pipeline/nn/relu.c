/* relu.c - elementwise, channels side by side. */
#include "nn/relu.h"

void relu_forward(real *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) x[i] = x[i] < 0 ? 0 : x[i]; /* a NaN stays one */
}

void relu_backward(real *d, const real *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++) d[i] = y[i] > 0 ? d[i] : 0;
}

void prelu_forward(real *y, const real *x, const real *slope, int64_t rows, int64_t channels)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < channels; c++) {
            const int64_t at = r * channels + c;
            y[at] = x[at] > 0 ? x[at] : slope[c] * x[at];
        }
}

enum { GROUP = 8 };

/* Sums over the rows of d_y x where x is not above 0, of `count` channels; thousands of rows, so in double. */
static inline void slopes_of_group(real *d_slope, const real *d_y, const real *x, int64_t rows, int64_t channels,
                                   int count)
{
    double sum[GROUP] = {0};
    for (int64_t r = 0; r < rows; r++)
        for (int l = 0; l < count; l++) {
            const int64_t at = r * channels + l;
            sum[l] += x[at] > 0 ? 0 : (double)d_y[at] * (double)x[at];
        }
    for (int l = 0; l < count; l++) d_slope[l] += (real)sum[l];
}

void prelu_backward(real *d_x, real *d_slope, const real *d_y, const real *x, const real *slope, int64_t rows,
                    int64_t channels)
{
    int64_t c = 0;
    for (; c + GROUP <= channels; c += GROUP) slopes_of_group(d_slope + c, d_y + c, x + c, rows, channels, GROUP);
    if (c < channels) slopes_of_group(d_slope + c, d_y + c, x + c, rows, channels, (int)(channels - c));
    for (int64_t r = 0; r < rows; r++)
        for (c = 0; c < channels; c++) {
            const int64_t at = r * channels + c;
            d_x[at] += x[at] > 0 ? d_y[at] : slope[c] * d_y[at];
        }
}
