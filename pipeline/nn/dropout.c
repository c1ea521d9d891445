/* dropout.c - factors that zero a share of the values and keep the mean. */
#include "nn/dropout.h"

void dropout_draw(real *factor, int64_t n, double p, Rng *rng)
{
    const real kept = (real)(1 / (1 - p));
    for (int64_t i = 0; i < n; i++) factor[i] = rng_uniform(rng) < p ? 0 : kept;
}

void dropout_apply(real *x, int64_t n, const Dropout *d, const char *purpose, int64_t part)
{
    if (d->p == 0) return;
    const real kept = (real)(1 / (1 - d->p));
    Rng rng = rng_stream(d->seed, purpose, part, 0);
    for (int64_t i = 0; i < n; i++) x[i] = rng_uniform(&rng) < d->p ? 0 : x[i] * kept;
}
