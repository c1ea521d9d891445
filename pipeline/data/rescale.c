/* rescale.c - averaging areas, one axis after the other: on parallel grids the shared area of two pixels is the product
   of their shared lengths. Edges are counted from the edge of the image: old pixel k reaches from k to k + 1. */
#include "data/rescale.h"

#include <math.h>

/* Left edge of new pixel i; computed from i, so that neighbours share their edge exactly. */
static double edge(const RescaleAxis *a, int64_t size, int64_t i)
{
    return a->centre + 0.5 + ((double)i - (double)size / 2) * a->step;
}

/* On the image; NaN becomes 0. */
static double inside(double x, int64_t n) { return x > 0 ? fmin(x, (double)n) : 0; }

void rescale_span(int64_t *from, int64_t *to, RescaleAxis a, int64_t size)
{
    *from = (int64_t)floor(inside(edge(&a, size, 0), a.n));
    *to = (int64_t)ceil(inside(edge(&a, size, size), a.n));
}

RescaleAxis rescale_part(RescaleAxis a, int64_t from, int64_t to)
{
    return (RescaleAxis){.n = to - from, .centre = a.centre - (double)from, .step = a.step};
}

/* Mean of old values over new pixel i; `stride` between old values. */
static double mean(const double *in, int64_t stride, const RescaleAxis *a, int64_t size, int64_t i)
{
    double low = inside(edge(a, size, i), a->n), high = inside(edge(a, size, i + 1), a->n), sum = 0;
    for (int64_t k = (int64_t)floor(low); (double)k < high; k++)
        sum += (fmin(high, (double)k + 1) - fmax(low, (double)k)) * in[k * stride];
    return sum / a->step;
}

Status rescale_image(float *out, int64_t size, const float *in, RescaleAxis y, RescaleAxis x, Arena *scratch)
{
    Mark mark = arena_mark(scratch);
    double *row, *narrow; /* one old row; (y.n, size) after the first axis */
    TRY(arena_new(&row, scratch, x.n));
    TRY(arena_take((void **)&narrow, scratch, y.n, (size_t)size * sizeof *narrow));
    for (int64_t j = 0; j < y.n; j++) {
        for (int64_t k = 0; k < x.n; k++) row[k] = in[j * x.n + k];
        for (int64_t i = 0; i < size; i++) narrow[j * size + i] = mean(row, 1, &x, size, i);
    }
    for (int64_t j = 0; j < size; j++)
        for (int64_t i = 0; i < size; i++) out[j * size + i] = (float)mean(narrow + i, size, &y, size, j);
    arena_reset(scratch, mark);
    return OK;
}

static double covered(const RescaleAxis *a, int64_t size, int64_t i)
{
    return (inside(edge(a, size, i + 1), a->n) - inside(edge(a, size, i), a->n)) / a->step;
}

void rescale_coverage(float *out, int64_t size, RescaleAxis y, RescaleAxis x)
{
    for (int64_t j = 0; j < size; j++)
        for (int64_t i = 0; i < size; i++) out[j * size + i] = (float)(covered(&y, size, j) * covered(&x, size, i));
}
