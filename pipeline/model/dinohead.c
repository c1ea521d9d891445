/* dinohead.c - the MLP runs on all rows at once; the prototypes are left to the caller, who goes through rows in pieces
   because their logits are large. */
#include "model/dinohead.h"

#include "nn/gelu.h"
#include "nn/gemm.h"
#include "nn/init.h"
#include "nn/l2norm.h"
#include "nn/weightnorm.h"

static const real eps = (real)1e-12;

Status dinohead_declare(DinoHead *h, const DinoHeadConfig *c, Params *p, const char *prefix)
{
    *h = (DinoHead){.config = *c, .params = p};
    TRY(block_declare_linear(&h->mlp[0], p, prefix, "mlp.0", c->hidden, c->input));
    TRY(block_declare_linear(&h->mlp[1], p, prefix, "mlp.2", c->hidden, c->hidden));
    TRY(block_declare_linear(&h->mlp[2], p, prefix, "mlp.4", c->bottleneck, c->hidden));
    TRY(params_declare(&h->weight_g, p, prefix, "last_layer.weight_g", 2, (const int64_t[]){c->prototypes, 1}));
    return params_declare(&h->weight_v, p, prefix, "last_layer.weight_v", 2,
                          (const int64_t[]){c->prototypes, c->bottleneck});
}

void dinohead_init(const DinoHead *h, Params *p, uint64_t seed)
{
    for (int i = 0; i < 3; i++) {
        init_truncated(p, h->mlp[i].weight, 0.02, 2, seed);
        init_constant(p, h->mlp[i].bias, 0);
    }
    init_constant(p, h->weight_g, 1);
    init_uniform(p, h->weight_v, 1 / sqrt((double)h->config.bottleneck), seed);
}

Status dinohead_forward(DinoHeadTrace *t, const DinoHead *h, const real *x, int64_t rows, Arena *step)
{
    const DinoHeadConfig *c = &h->config;
    const int64_t padded = gemm_pad(rows);
    *t = (DinoHeadTrace){.rows = rows, .x = x};
    for (int i = 0; i < 2; i++) TRY(arena_new(&t->up[i], step, padded * c->hidden));
    TRY(arena_new(&t->z, step, padded * c->bottleneck));
    TRY(arena_new(&t->norm, step, padded));
    const Mark mark = arena_mark(step);
    real *hidden;
    TRY(arena_new(&hidden, step, padded * c->hidden));
    for (int i = 0; i < 2; i++) {
        block_linear(t->up[i], h->params, h->mlp[i], i == 0 ? x : hidden, rows);
        gelu_forward(hidden, t->up[i], rows * c->hidden);
    }
    block_linear(t->z, h->params, h->mlp[2], hidden, rows);
    l2norm_forward(t->z, t->norm, t->z, rows, c->bottleneck, eps);
    arena_reset(step, mark);
    return OK;
}

Status dinohead_backward(real *d_x, real *d_p, const DinoHeadTrace *t, const DinoHead *h, const real *d_z, Arena *step)
{
    const DinoHeadConfig *c = &h->config;
    const int64_t padded = gemm_pad(t->rows), n = t->rows * c->hidden;
    const Mark mark = arena_mark(step);
    real *d_raw, *hidden, *slope, *d_hidden[2];
    TRY(arena_new(&d_raw, step, padded * c->bottleneck));
    TRY(arena_new(&hidden, step, padded * c->hidden));
    TRY(arena_new(&slope, step, padded * c->hidden));
    for (int i = 0; i < 2; i++) TRY(arena_new(&d_hidden[i], step, padded * c->hidden));
    l2norm_backward(d_raw, d_z, t->z, t->norm, t->rows, c->bottleneck, eps);
    for (int i = 1; i >= 0; i--) {
        gelu_both(hidden, slope, t->up[i], n);
        block_linear_backward(d_hidden[i], d_p, h->params, h->mlp[i + 1], i == 1 ? d_raw : d_hidden[1], hidden,
                              t->rows);
        for (int64_t k = 0; k < n; k++) d_hidden[i][k] *= slope[k];
    }
    block_linear_backward(d_x, d_p, h->params, h->mlp[0], d_hidden[0], t->x, t->rows);
    arena_reset(step, mark);
    return OK;
}

void dinohead_prototypes(real *w, real *norm, const DinoHead *h)
{
    const Params *p = h->params;
    weightnorm_forward(w, norm, params_at(p, h->weight_g), params_at(p, h->weight_v), h->config.prototypes,
                       h->config.bottleneck);
}

void dinohead_prototypes_backward(real *d_p, const real *d_w, const real *norm, const DinoHead *h)
{
    const Params *p = h->params;
    weightnorm_backward(params_d_at(p, d_p, h->weight_g), params_d_at(p, d_p, h->weight_v), d_w, norm,
                        params_at(p, h->weight_g), params_at(p, h->weight_v), h->config.prototypes,
                        h->config.bottleneck);
}
