/* specformer.c - a linear embedding of each token plus its position, pre-norm blocks, a final norm; a linear head
   predicts the tokens back (pretraining). Layer norms here have eps 1e-5. */
#include "model/specformer.h"

#include <stdio.h>
#include <string.h>

#include "core/hash.h"
#include "model/prepare_spectrum.h"
#include "nn/gemm.h"
#include "nn/init.h"

static const real eps = (real)1e-5;

enum { OWN_PARAMS = 7 }; /* outside the blocks */

int64_t specformer_n_params(const SpecformerConfig *c) { return OWN_PARAMS + BLOCK_PARAMS * c->num_layers; }

int64_t specformer_input_dim(const SpecformerConfig *c) { return SPECTRUM_EXTRA + c->slice_section_length; }

Status specformer_declare(Specformer *s, const SpecformerConfig *c, Params *p, const char *prefix, Arena *a)
{
    static const BlockNames names = {"layernorm1", "attention.attention", "attention.projection", NULL,
                                     "layernorm2", "mlp.encoder",         "mlp.decoder",          NULL};
    const int64_t dim = c->embed_dim, input = specformer_input_dim(c);
    s->config = *c;
    s->params = p;
    TRY(arena_new(&s->block, a, c->num_layers));
    TRY(block_declare_linear(&s->data_embed, p, prefix, "data_embed", dim, input));
    TRY(params_declare(&s->position_embed, p, prefix, "position_embed.weight", 2, (const int64_t[]){c->max_len, dim}));
    for (int64_t i = 0; i < c->num_layers; i++) {
        char text[PARAM_NAME];
        snprintf(text, sizeof text, "%sblocks.%lld.", prefix, (long long)i);
        TRY(block_declare(&s->block[i], p, text, &names, dim));
    }
    TRY(block_declare_norm(&s->final_layernorm, p, prefix, "final_layernorm", dim));
    return block_declare_linear(&s->head, p, prefix, "head", input, dim);
}

/* Normal with variance 1 / (depth fan_in), cut at 3 sigma; bias 0. */
static void init_linear(Params *p, LinearParams l, double depth, uint64_t seed)
{
    const double std = 1 / sqrt(depth * (double)p->param[l.weight].dims[1]);
    init_truncated(p, l.weight, std, 3 * std, seed);
    init_constant(p, l.bias, 0);
}

void specformer_init(const Specformer *s, Params *p, uint64_t seed)
{
    const SpecformerConfig *c = &s->config;
    const double std = 1 / sqrt((double)c->embed_dim), depth = 2.0 * (double)c->num_layers;
    init_truncated(p, s->data_embed.weight, std, 3 * std, seed);
    init_uniform(p, s->data_embed.bias, 1 / sqrt((double)specformer_input_dim(c)), seed);
    init_truncated(p, s->position_embed, std, 3 * std, seed);
    for (int64_t i = 0; i < c->num_layers; i++) {
        const Block *b = &s->block[i];
        const LinearParams linear[] = {b->qkv, b->proj, b->up, b->down};
        for (int k = 0; k < 4; k++) init_linear(p, linear[k], depth, seed);
        block_init_norm(p, b->norm1);
        block_init_norm(p, b->norm2);
    }
    block_init_norm(p, s->final_layernorm);
    init_linear(p, s->head, 1, seed);
}

static Status check_length(const SpecformerConfig *c, int64_t n_tokens)
{
    if (n_tokens <= c->max_len) return OK;
    return FAIL(E_INPUT, "a spectrum of %lld tokens is longer than model.spectrum.max_len = %lld", (long long)n_tokens,
                (long long)c->max_len);
}

/* x (count, n_tokens, D): the tokens through a linear layer, plus their positions. */
static void embed_tokens(real *x, const Specformer *s, const real *tokens, int64_t count, int64_t n_tokens)
{
    const int64_t n = n_tokens * s->config.embed_dim;
    block_linear(x, s->params, s->data_embed, tokens, count * n_tokens);
    const real *position = params_at(s->params, s->position_embed);
    for (int64_t k = 0; k < count; k++)
        for (int64_t i = 0; i < n; i++) x[k * n + i] += position[i];
}

Status specformer_forward(real *embedding, real *reconstruction, const Specformer *s, const real *tokens, int64_t count,
                          int64_t n_tokens, Arena *step)
{
    const SpecformerConfig *c = &s->config;
    const Params *p = s->params;
    TRY(check_length(c, n_tokens));
    const Mark mark = arena_mark(step);
    real *x;
    TRY(arena_new(&x, step, gemm_pad(count * n_tokens) * c->embed_dim));
    embed_tokens(x, s, tokens, count, n_tokens);
    const BlockShape shape = {count, n_tokens, c->embed_dim, c->num_heads, eps};
    TRY(block_forward(x, p, s->block, c->num_layers, &shape, step));
    block_norm(embedding, p, s->final_layernorm, x, count * n_tokens, eps);
    if (reconstruction) block_linear(reconstruction, p, s->head, embedding, count * n_tokens);
    arena_reset(step, mark);
    return OK;
}

/* ---- training ---- */

Status specformer_forward_train(real *embedding, real *reconstruction, SpecformerTrace *t, const Specformer *s,
                                const real *tokens, int64_t n_tokens, const SpecformerTraining *how, Arena *step)
{
    const SpecformerConfig *c = &s->config;
    const Params *p = s->params;
    TRY(check_length(c, n_tokens));
    *t = (SpecformerTrace){.n_tokens = n_tokens, .drop = how->drop, .tokens = tokens};
    TRY(arena_new(&t->block, step, c->num_layers));
    TRY(arena_new(&t->x, step, gemm_pad(n_tokens) * c->embed_dim));
    TRY(arena_new(&t->mean, step, n_tokens));
    TRY(arena_new(&t->rstd, step, n_tokens));
    TRY(arena_new(&t->embedding, step, n_tokens * c->embed_dim));
    embed_tokens(t->x, s, tokens, 1, n_tokens);
    dropout_apply(t->x, n_tokens * c->embed_dim, &t->drop, "dropout.tokens", 0);
    for (int64_t i = 0; i < c->num_layers; i++) {
        t->block[i] = (BlockTrace){.group = {{1, n_tokens, BRANCH_WHOLE, BRANCH_WHOLE}},
                                   .n_groups = 1,
                                   .dim = c->embed_dim,
                                   .heads = c->num_heads,
                                   .eps = eps,
                                   .recompute = how->recompute,
                                   .drop = {how->drop.p, hash_mix(how->drop.seed + (uint64_t)i + 1)}};
        TRY(block_forward_train(t->x, &t->block[i], p, &s->block[i], step));
    }
    block_norm_train(t->embedding, t->mean, t->rstd, p, s->final_layernorm, t->x, n_tokens, eps);
    if (embedding) memcpy(embedding, t->embedding, sizeof *embedding * (size_t)(n_tokens * c->embed_dim));
    if (reconstruction) block_linear(reconstruction, p, s->head, t->embedding, n_tokens);
    return OK;
}

Status specformer_backward(real *d_p, const SpecformerTrace *t, const Specformer *s, const real *d_embedding,
                           const real *d_reconstruction, Arena *step)
{
    const Params *p = s->params;
    const int64_t n = t->n_tokens, dim = s->config.embed_dim;
    const Mark mark = arena_mark(step);
    real *d_e, *d_x;
    TRY(arena_new(&d_e, step, n * dim));
    TRY(arena_new(&d_x, step, gemm_pad(n) * dim));
    if (d_embedding) memcpy(d_e, d_embedding, sizeof *d_e * (size_t)(n * dim));
    if (d_reconstruction) block_linear_backward(d_e, d_p, p, s->head, d_reconstruction, t->embedding, n);
    block_norm_backward(d_x, d_p, p, s->final_layernorm, d_e, t->x, t->mean, t->rstd, n);
    for (int64_t i = s->config.num_layers - 1; i >= 0; i--) {
        TRY(block_backward(d_x, d_p, &t->block[i], p, &s->block[i], step));
        block_ready(t->hook, p, &s->block[i]);
    }
    dropout_apply(d_x, n * dim, &t->drop, "dropout.tokens", 0);
    real *d_position = params_d_at(p, d_p, s->position_embed);
    for (int64_t i = 0; d_position && i < n * dim; i++) d_position[i] += d_x[i];
    block_linear_backward(NULL, d_p, p, s->data_embed, d_x, t->tokens, n);
    arena_reset(step, mark);
    return OK;
}

int64_t specformer_flops(const SpecformerConfig *c, int64_t tokens)
{
    return 2 * tokens * c->embed_dim * specformer_input_dim(c) + c->num_layers * block_flops(tokens, c->embed_dim);
}
