/* params.c - the table of parameters by name, and the deterministic weights that make large models reproducible
   without a file. */
#include "nn/params.h"

#include <stdio.h>
#include <string.h>

#include "core/hash.h"

Status params_init(Params *p, int64_t max_params, Arena *a)
{
    memset(p, 0, sizeof *p);
    p->max_params = max_params;
    p->arena = a;
    return arena_new(&p->param, a, max_params);
}

Status params_declare(int64_t *index, Params *p, const char *prefix, const char *name, int n_dims, const int64_t *dims)
{
    MUST(p->n_params < p->max_params && p->value == NULL && n_dims >= 1 && n_dims <= PARAM_DIMS);
    Param *param = &p->param[p->n_params];
    const int length = snprintf(param->name, sizeof param->name, "%s%s", prefix, name);
    MUST(length < PARAM_NAME && params_find(p, param->name) == NULL);
    param->n_dims = n_dims;
    param->n = 1;
    for (int d = 0; d < n_dims; d++) {
        param->dims[d] = dims[d];
        param->n *= dims[d];
    }
    const int64_t room = (param->n + PARAM_ALIGN - 1) / PARAM_ALIGN * PARAM_ALIGN;
    param->offset = p->n_reals;
    param->d_offset = p->n_d_reals;
    p->n_reals += room;
    p->n_d_reals += room;
    *index = p->n_params++;
    return OK;
}

Status params_allocate(Params *p) { return arena_new(&p->value, p->arena, p->n_reals); }
void params_place(Params *p, real *values) { p->value = values; }

real *params_at(const Params *p, int64_t index) { return p->value + p->param[index].offset; }

real *params_d_at(const Params *p, real *d, int64_t index)
{
    const int64_t offset = p->param[index].d_offset;
    return offset < 0 ? NULL : d + offset;
}

int64_t params_d_from(const Params *p, int64_t index)
{
    while (index < p->n_params && p->param[index].d_offset < 0) index++;
    return index < p->n_params ? p->param[index].d_offset : p->n_d_reals;
}

int64_t params_freeze(Params *p, const char *prefix)
{
    int64_t n_frozen = 0;
    p->n_d_reals = 0;
    for (int64_t i = 0; i < p->n_params; i++) {
        Param *param = &p->param[i];
        if (strncmp(param->name, prefix, strlen(prefix)) == 0) {
            param->d_offset = -1;
            n_frozen++;
        }
        if (param->d_offset < 0) continue;
        param->d_offset = p->n_d_reals;
        p->n_d_reals += (param->n + PARAM_ALIGN - 1) / PARAM_ALIGN * PARAM_ALIGN;
    }
    return n_frozen;
}

const Param *params_find(const Params *p, const char *name)
{
    for (int64_t i = 0; i < p->n_params; i++)
        if (strcmp(p->param[i].name, name) == 0) return &p->param[i];
    return NULL;
}

/* ---- deterministic values, spec.md section 8 ---- */

static const uint64_t golden_ratio = 0x9E3779B97F4A7C15u;

static bool ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* Values of a parameter lie in off - scale .. off + scale. */
typedef struct {
    uint64_t base;
    float off, scale;
} Rule;

static Rule rule_of(const char *name, int n_dims, const int64_t *dims, uint64_t seed)
{
    const char *dot = strrchr(name, '.');
    const char *last = dot ? dot + 1 : name;
    Rule r = {hash_fnv1a(name) ^ (seed * golden_ratio), 0, 0};
    if (strcmp(last, "gamma") == 0) {
        r.off = 0.5f;
        r.scale = 0.25f;
    } else if (strcmp(last, "weight_g") == 0 || strcmp(last, "running_var") == 0 ||
               (strcmp(last, "weight") == 0 && n_dims == 1)) {
        r.off = 1;
        r.scale = 0.25f;
    } else if (strcmp(last, "running_mean") == 0 || ends_with(last, "bias")) {
        r.scale = 0.1f;
    } else if (strcmp(last, "cls_token") == 0 || strcmp(last, "pos_embed") == 0 || strcmp(last, "mask_token") == 0 ||
               strcmp(last, "query") == 0 || ends_with(name, "position_embed.weight")) {
        r.scale = 0.5f;
    } else {
        int64_t fan_in = n_dims == 1 ? dims[0] : 1;
        for (int d = 1; d < n_dims; d++) fan_in *= dims[d];
        r.scale = (float)sqrt(3.0 / (double)fan_in);
    }
    return r;
}

/* 24 random bits make u in [-1, 1); the product with a float is exact in double. */
static float value_of(const Rule *r, int64_t i)
{
    uint64_t z = r->base + (uint64_t)(i + 1) * golden_ratio; /* splitmix64 */
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    const double u = (double)(z >> 40) * 0x1p-23 - 1.0;
    return (float)((double)r->off + (double)r->scale * u);
}

double params_deterministic_value(const char *name, int n_dims, const int64_t *dims, int64_t i, uint64_t seed)
{
    const Rule r = rule_of(name, n_dims, dims, seed);
    return (double)value_of(&r, i);
}

void params_deterministic(Params *p, uint64_t seed)
{
    for (int64_t k = 0; k < p->n_params; k++) {
        const Param *param = &p->param[k];
        const Rule r = rule_of(param->name, param->n_dims, param->dims, seed);
        real *value = params_at(p, k);
        for (int64_t i = 0; i < param->n; i++) value[i] = (real)value_of(&r, i);
    }
}
