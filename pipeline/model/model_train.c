/* model_train.c - what a training asks of the model: first values, the learned scale, which parameters have no gradient. */
#include <string.h>

#include "model/branch.h"

static bool begins(const char *text, const char *prefix) { return strncmp(text, prefix, strlen(prefix)) == 0; }

static void init_branch(const Branch *b, Params *p, uint64_t seed, const char *prefix)
{
    char part[PARAM_NAME];
    snprintf(part, sizeof part, "%sbackbone.", b->prefix);
    if (begins(part, prefix)) b->encoder->init(b->state, p, seed);
    snprintf(part, sizeof part, "%shead.", b->prefix);
    if (begins(part, prefix)) head_init(&b->head, p, seed);
}

void model_init(Model *m, uint64_t seed, const char *prefix)
{
    init_branch(model_branch(m, true), model_params(m), seed, prefix);
    init_branch(model_branch(m, false), model_params(m), seed, prefix);
}

/* ---- the learned scale ---- */

static int64_t find_scale(const Params *p)
{
    const Param *found = params_find(p, "logit_scale");
    return found ? found - p->param : -1;
}

double model_scale(const Params *p, double fixed)
{
    const int64_t index = find_scale(p);
    return index < 0 ? fixed : exp((double)*params_at(p, index));
}

void model_scale_backward(real *d_p, const Params *p, double d_scale)
{
    const int64_t index = find_scale(p);
    real *d = index < 0 ? NULL : params_d_at(p, d_p, index);
    if (d) *d += (real)(d_scale * exp((double)*params_at(p, index)));
}

/* ---- what is not trained ---- */

static Status add_name(const char **prefix, int64_t *n, const Branch *b, const char *name, Arena *a)
{
    char *text;
    TRY(arena_printf(&text, a, "%sbackbone.%s", b->prefix, name));
    prefix[(*n)++] = text;
    return OK;
}

Status branch_freeze(const char **prefix, int64_t *n, const Branch *b, bool frozen, Arena *a)
{
    const int64_t before = *n;
    if (frozen) return add_name(prefix, n, b, "", a);
    for (const char *const *name = b->encoder->unfelt; *name; name++) TRY(add_name(prefix, n, b, *name, a));
    MUST(*n - before <= BRANCH_FREEZES);
    return OK;
}
