/* specformer.c - a linear embedding of each token plus its position, pre-norm blocks, a final norm; a linear head
   predicts the tokens back (pretraining). Layer norms here have eps 1e-5. */
#include "model/specformer.h"

#include <stdio.h>
#include <string.h>

#include "model/prepare_spectrum.h"
#include "nn/gemm.h"

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

Status specformer_forward(real *embedding, real *reconstruction, const Specformer *s, const real *tokens,
                          int64_t n_tokens, Arena *step)
{
    const SpecformerConfig *c = &s->config;
    const Params *p = s->params;
    if (n_tokens > c->max_len)
        return FAIL(E_INPUT, "a spectrum of %lld tokens is longer than model.spectrum.max_len = %lld",
                    (long long)n_tokens, (long long)c->max_len);
    const Mark mark = arena_mark(step);
    real *x;
    TRY(arena_new(&x, step, gemm_pad(n_tokens) * c->embed_dim));
    block_linear(x, p, s->data_embed, tokens, n_tokens);
    const real *position = params_at(p, s->position_embed);
    for (int64_t i = 0; i < n_tokens * c->embed_dim; i++) x[i] += position[i];
    for (int64_t i = 0; i < c->num_layers; i++)
        TRY(block_forward(x, p, &s->block[i], n_tokens, c->embed_dim, c->num_heads, eps, step));
    block_norm(embedding, p, s->final_layernorm, x, n_tokens, eps);
    if (reconstruction) block_linear(reconstruction, p, s->head, embedding, n_tokens);
    arena_reset(step, mark);
    return OK;
}

int64_t specformer_flops(const SpecformerConfig *c, int64_t tokens)
{
    return 2 * tokens * c->embed_dim * specformer_input_dim(c) + c->num_layers * block_flops(tokens, c->embed_dim);
}
