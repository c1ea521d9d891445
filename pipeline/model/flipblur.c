/* flipblur.c - the Gaussian is separable: three weights along rows, the same along columns. */
#include "model/flipblur.h"

#include <math.h>
#include <string.h>

FlipBlur flipblur_draw(Rng *rng)
{
    const bool columns = rng_uniform(rng) < 0.5, rows = rng_uniform(rng) < 0.5;
    return (FlipBlur){columns, rows, 0.1 + 1.9 * rng_uniform(rng)};
}

/* out (size) = the three-point mean of x along `stride`. */
static void blur_line(real *out, const real *x, real centre, real side, int64_t size, int64_t stride)
{
    for (int64_t i = 0; i < size; i++) {
        const int64_t before = i > 0 ? i - 1 : 1, after = i < size - 1 ? i + 1 : size - 2;
        out[i * stride] = centre * x[i * stride] + side * (x[before * stride] + x[after * stride]);
    }
}

Status flipblur_apply(real *planes, const FlipBlur *f, int64_t n, int64_t size, Arena *scratch)
{
    const double tail = exp(-1 / (2 * f->sigma * f->sigma)), sum = 1 + 2 * tail;
    const real centre = (real)(1 / sum), side = (real)(tail / sum);
    const Mark mark = arena_mark(scratch);
    real *flipped, *blurred;
    TRY(arena_new(&flipped, scratch, size * size));
    TRY(arena_new(&blurred, scratch, size * size));
    for (int64_t k = 0; k < n; k++, planes += size * size) {
        for (int64_t i = 0; i < size; i++)
            for (int64_t j = 0; j < size; j++)
                flipped[i * size + j] = planes[(f->rows ? size - 1 - i : i) * size + (f->columns ? size - 1 - j : j)];
        for (int64_t i = 0; i < size; i++) blur_line(blurred + i * size, flipped + i * size, centre, side, size, 1);
        for (int64_t j = 0; j < size; j++) blur_line(planes + j, blurred + j, centre, side, size, size);
    }
    arena_reset(scratch, mark);
    return OK;
}
