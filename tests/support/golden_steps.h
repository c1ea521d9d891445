/* golden_steps.h - clipping, AdamW and schedule around a gradient, compared with the recorded steps of a golden
   training. */
#ifndef GOLDEN_STEPS_H
#define GOLDEN_STEPS_H

#include "nn/optim.h"
#include "nn/schedule.h"
#include "parity.h"

typedef struct {
    Params *params;
    real *d, *m, *v;
    AdamW adam;
    double base, last, max_norm;
    int64_t steps, warmup, total;
} GoldenRun;

static inline GoldenRun golden_run(H5File *g, Params *p)
{
    GoldenRun r = {.params = p,
                   .adam = {0, golden_number(g, "weight_decay"), golden_number(g, "beta1"), golden_number(g, "beta2"),
                            golden_number(g, "eps")},
                   .base = golden_number(g, "lr"),
                   .last = golden_number(g, "eta_min"),
                   .max_norm = golden_number(g, "grad_clip"),
                   .steps = golden_int(g, "steps"),
                   .warmup = golden_int(g, "T_warmup"),
                   .total = golden_int(g, "T_max")};
    r.d = parity_gradients(p);
    r.m = parity_gradients(p);
    r.v = parity_gradients(p);
    return r;
}

/* Compares loss (absolute) and norm (2e-4: the gradients' own tolerance and the drift of the parameters), then steps. */
static inline void golden_step(H5File *g, GoldenRun *r, int64_t t, double loss, double tolerance)
{
    const Params *p = r->params;
    const double norm = sqrt(optim_squares(r->d, p->n_d_reals));
    const double want = golden_want(g, "outputs/grad_norm", r->steps)[t];
    CU_ASSERT_DOUBLE_EQUAL(loss, golden_want(g, "outputs/loss", r->steps)[t], tolerance);
    CU_ASSERT_DOUBLE_EQUAL(norm, want, 2e-4 * want);
    r->adam.lr = schedule_cosine(r->base, r->last, t, r->warmup, r->total);
    optim_scale(r->d, optim_clip(norm, r->max_norm), p->n_d_reals);
    for (int64_t i = 0; i < p->n_params; i++) {
        const int64_t at = p->param[i].d_offset;
        if (at >= 0) adamw_step(params_at(p, i), r->m + at, r->v + at, r->d + at, p->param[i].n, &r->adam, t + 1);
    }
    memset(r->d, 0, sizeof *r->d * (size_t)p->n_d_reals);
}

#endif
