/* maxpool.c - windows that reach beyond the map are cut at its border, which is the same as padding with -infinity. */
#include "nn/maxpool.h"

#include <string.h>

#include "nn/vector.h"

/* The part of a window that lies on the map. */
typedef struct {
    int64_t top, bottom, left, right; /* [top, bottom) x [left, right) */
} Window;

static Window window_of(const MaxPool *p, int64_t i, int64_t j)
{
    const int64_t row = i * p->stride - p->pad_h, column = j * p->stride - p->pad_w;
    Window w = {row, row + p->kernel_h, column, column + p->kernel_w};
    if (w.top < 0) w.top = 0;
    if (w.left < 0) w.left = 0;
    if (w.bottom > p->height) w.bottom = p->height;
    if (w.right > p->width) w.right = p->width;
    return w;
}

/* y (channels), from (channels) or NULL, of one window. */
static void pool_window(real *restrict y, int32_t *restrict from, const MaxPool *p, const real *restrict x, Window w)
{
    const int64_t c = p->channels, first = w.top * p->width + w.left;
    memcpy(y, x + first * c, sizeof *y * (size_t)c);
    for (int64_t l = 0; from && l < c; l++) from[l] = (int32_t)first;
    for (int64_t row = w.top; row < w.bottom; row++)
        for (int64_t column = w.left; column < w.right; column++) {
            const int64_t at = row * p->width + column;
            const real *here = x + at * c;
            for (int64_t l = 0; from && l < c; l++) from[l] = here[l] > y[l] ? (int32_t)at : from[l];
            for (int64_t l = 0; l < c; l++) y[l] = here[l] > y[l] ? here[l] : y[l];
        }
}

void maxpool_forward(real *y, int32_t *from, const MaxPool *p, const real *x, int64_t n)
{
    const int64_t height = maxpool_height(p), width = maxpool_width(p), c = p->channels;
    for (int64_t m = 0; m < n; m++)
        for (int64_t i = 0; i < height; i++)
            for (int64_t j = 0; j < width; j++) {
                const int64_t at = ((m * height + i) * width + j) * c;
                pool_window(y + at, from ? from + at : NULL, p, x + m * p->height * p->width * c, window_of(p, i, j));
            }
}

void maxpool_backward(real *d_x, const MaxPool *p, const real *d_y, const int32_t *from, int64_t n)
{
    const int64_t positions = maxpool_height(p) * maxpool_width(p), c = p->channels;
    for (int64_t m = 0; m < n; m++, d_x += p->height * p->width * c)
        for (int64_t i = 0; i < positions; i++, d_y += c, from += c)
            for (int64_t l = 0; l < c; l++) d_x[from[l] * c + l] += d_y[l];
}

void meanpool_forward(real *y, const real *x, int64_t n, int64_t positions, int64_t channels)
{
    memset(y, 0, sizeof *y * (size_t)(n * channels));
    for (int64_t m = 0; m < n; m++)
        vector_add_columns(y + m * channels, x + m * positions * channels, positions, channels);
    for (int64_t i = 0; i < n * channels; i++) y[i] /= (real)positions;
}

void meanpool_backward(real *d_x, const real *d_y, int64_t n, int64_t positions, int64_t channels)
{
    for (int64_t m = 0; m < n; m++, d_y += channels)
        for (int64_t i = 0; i < positions; i++, d_x += channels)
            for (int64_t l = 0; l < channels; l++) d_x[l] += d_y[l] / (real)positions;
}
