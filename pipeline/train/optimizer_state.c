/* optimizer_state.c - moments and average outside a step: in a file by parameter name, and in place of the weights. The
   first gradient buffer, free between steps, is where shards become whole. */
#include <string.h>

#include "optimizer_impl.h"

typedef struct {
    const char *group;
    real *state; /* NULL = this run has none */
} Group;

enum { N_GROUPS = 3 };

static void groups_of(Group out[N_GROUPS], const Optimizer *o)
{
    out[0] = (Group){"moment1", o->m};
    out[1] = (Group){"moment2", o->v};
    out[2] = (Group){"average", o->average};
}

static void name_of(char out[PARAM_NAME + 16], const Group *g, const Param *p)
{
    snprintf(out, PARAM_NAME + 16, "%s/%s", g->group, p->name);
}

/* Each parameter has one rank that writes and reads it. */
static bool mine(const Optimizer *o, int64_t param) { return param % o->par->n_ranks == o->par->rank; }

/* Collective. The state of all parameters in buffer[0]. */
static void gather(Optimizer *o, const real *state)
{
    real *all = o->buffer[0];
    for (Section s = optimizer_sections(o); optimizer_next(&s, o);)
        memcpy(all + s.gradient, state + s.state, sizeof *all * (size_t)s.n);
    if (!o->everything) pieces_share(o->pieces, all);
}

static void scatter(real *state, const Optimizer *o)
{
    for (Section s = optimizer_sections(o); optimizer_next(&s, o);)
        memcpy(state + s.state, o->buffer[0] + s.gradient, sizeof *state * (size_t)s.n);
}

static Status write_mine(H5File *f, const Optimizer *o, const Group *g)
{
    char name[PARAM_NAME + 16];
    for (int64_t i = 0; i < o->params->n_params; i++) {
        const Param *p = &o->params->param[i];
        if (p->d_offset < 0 || !mine(o, i)) continue;
        name_of(name, g, p);
        TRY(h5_write_rows(f, name, H5_F32, 0, o->buffer[0] + p->d_offset, 0, p->dims[0]));
    }
    return OK;
}

static Status make_datasets(H5File *f, const Optimizer *o, const Group *g)
{
    char name[PARAM_NAME + 16];
    for (int64_t i = 0; i < o->params->n_params; i++) {
        const Param *p = &o->params->param[i];
        if (p->d_offset < 0) continue;
        name_of(name, g, p);
        TRY(h5_new(f, name, H5_F32, 0, p->dims, p->n_dims));
    }
    return OK;
}

Status optimizer_save(H5File *f, Optimizer *o)
{
    MUST(!o->swapped && o->next == o->first);
    Group group[N_GROUPS];
    groups_of(group, o);
    for (int g = 0; g < N_GROUPS; g++) {
        if (!group[g].state) continue;
        gather(o, group[g].state);
        TRY(par_agree(o->par, make_datasets(f, o, &group[g])));
        TRY(par_agree(o->par, write_mine(f, o, &group[g])));
    }
    return OK;
}

static Status read_mine(H5File *f, const Optimizer *o, const Group *g)
{
    char name[PARAM_NAME + 16];
    for (int64_t i = 0; i < o->params->n_params; i++) {
        const Param *p = &o->params->param[i];
        H5Shape shape;
        if (p->d_offset < 0 || !mine(o, i)) continue;
        name_of(name, g, p);
        TRY(h5_expect(&shape, f, name, p->dims, p->n_dims));
        TRY(h5_read_rows(o->buffer[0] + p->d_offset, f, name, H5_F32, 0, 0, p->dims[0]));
    }
    return OK;
}

Status optimizer_load(H5File *f, Optimizer *o)
{
    MUST(!o->swapped && o->next == o->first);
    Group group[N_GROUPS];
    groups_of(group, o);
    for (int g = 0; g < N_GROUPS; g++) {
        if (!group[g].state) continue;
        TRY(par_agree(o->par, read_mine(f, o, &group[g])));
        for (int64_t i = 0; i < o->params->n_params; i++) {
            const Param *p = &o->params->param[i];
            if (p->d_offset >= 0)
                par_bcast(o->par, o->buffer[0] + p->d_offset, p->n * (int64_t)sizeof(real), (int)(i % o->par->n_ranks));
        }
        scatter(group[g].state, o);
    }
    return OK;
}

Status optimizer_swap_average(Optimizer *o)
{
    if (!o->average) return OK;
    MUST(o->next == o->first);
    for (Section s = optimizer_sections(o); optimizer_next(&s, o);)
        for (int64_t i = 0; i < s.n; i++) {
            const real weight = o->params->value[s.weight + i];
            o->params->value[s.weight + i] = o->average[s.state + i];
            o->average[s.state + i] = weight;
        }
    o->swapped = !o->swapped;
    optimizer_spread_weights(o);
    return OK;
}
