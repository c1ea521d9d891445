/* init.c - constants, uniform, normal and truncated normal values. Drawn in double, stored as `real`. */
#include "nn/init.h"

#include "core/hash.h"
#include "core/rng.h"

static Rng stream_of(const Params *p, int64_t index, uint64_t seed)
{
    return rng_stream(seed, "init", (int64_t)hash_fnv1a(p->param[index].name), 0);
}

void init_constant(Params *p, int64_t index, double value)
{
    real *x = params_at(p, index);
    for (int64_t i = 0; i < p->param[index].n; i++) x[i] = (real)value;
}

void init_uniform(Params *p, int64_t index, double bound, uint64_t seed)
{
    Rng rng = stream_of(p, index, seed);
    real *x = params_at(p, index);
    for (int64_t i = 0; i < p->param[index].n; i++) x[i] = (real)(bound * (2 * rng_uniform(&rng) - 1));
}

void init_truncated(Params *p, int64_t index, double std, double limit, uint64_t seed)
{
    Rng rng = stream_of(p, index, seed);
    real *x = params_at(p, index);
    for (int64_t i = 0; i < p->param[index].n; i++) {
        double value;
        do value = std * rng_normal(&rng);
        while (fabs(value) > limit);
        x[i] = (real)value;
    }
}

void init_normal(Params *p, int64_t index, double std, uint64_t seed) { init_truncated(p, index, std, HUGE_VAL, seed); }
