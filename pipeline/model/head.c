/* head.c - query, keys and values, attention of one query, output projection, layer norm (eps 1e-5), MLP. Dropout is
   for training only. PyTorch stores the three input projections as one matrix when keys are as wide as the query,
   else as three; their biases are one vector always. */
#include "model/head.h"

#include "nn/attention.h"
#include "nn/gelu.h"
#include "nn/gemm.h"

static const real eps = (real)1e-5;

Status head_declare(Head *h, const HeadConfig *c, Params *p, const char *prefix)
{
    const int64_t dim = c->embed_dim;
    *h = (Head){.config = *c, .params = p, .fused = c->token_dim == dim};
    TRY(params_declare(&h->query, p, prefix, "cross_attention.query", 3, (const int64_t[]){1, 1, dim}));
    if (h->fused) {
        TRY(params_declare(&h->in_proj_weight, p, prefix, "cross_attention.multihead_attn.in_proj_weight", 2,
                           (const int64_t[]){3 * dim, dim}));
    } else {
        const int64_t shape[] = {dim, c->token_dim};
        TRY(params_declare(&h->q_proj, p, prefix, "cross_attention.multihead_attn.q_proj_weight", 2,
                           (const int64_t[]){dim, dim}));
        TRY(params_declare(&h->k_proj, p, prefix, "cross_attention.multihead_attn.k_proj_weight", 2, shape));
        TRY(params_declare(&h->v_proj, p, prefix, "cross_attention.multihead_attn.v_proj_weight", 2, shape));
    }
    TRY(params_declare(&h->in_proj_bias, p, prefix, "cross_attention.multihead_attn.in_proj_bias", 1,
                       (const int64_t[]){3 * dim}));
    TRY(block_declare_linear(&h->out_proj, p, prefix, "cross_attention.multihead_attn.out_proj", dim, dim));
    TRY(block_declare_norm(&h->layernorm, p, prefix, "cross_attention.layernorm", dim));
    TRY(block_declare_linear(&h->up, p, prefix, "mlp.encoder", MLP_RATIO * dim, dim));
    return block_declare_linear(&h->down, p, prefix, "mlp.decoder", dim, MLP_RATIO * dim);
}

/* y (rows, E) = x W^T + b with the projection number `part`: 0 query, 1 keys, 2 values. */
static void project(real *y, const Head *h, int part, const real *x, int64_t rows)
{
    const int64_t dim = h->config.embed_dim, n_in = part == 0 ? dim : h->config.token_dim;
    const int64_t split[] = {h->q_proj, h->k_proj, h->v_proj};
    const real *w =
        h->fused ? params_at(h->params, h->in_proj_weight) + part * dim * dim : params_at(h->params, split[part]);
    gemm()->forward(y, x, w, params_at(h->params, h->in_proj_bias) + part * dim, rows, dim, n_in);
}

Status head_prepare(Head *h, Arena *a)
{
    if (!h->projected_query) TRY(arena_new(&h->projected_query, a, h->config.embed_dim));
    project(h->projected_query, h, 0, params_at(h->params, h->query), 1);
    return OK;
}

Status head_forward(real *out, real *pooled, real *weights, const Head *h, const real *tokens, int64_t n_tokens,
                    Arena *step)
{
    const int64_t dim = h->config.embed_dim;
    const Params *p = h->params;
    MUST(h->projected_query != NULL);
    const Mark mark = arena_mark(step);
    real *k, *v, *y, *hidden;
    TRY(arena_new(&k, step, n_tokens * dim));
    TRY(arena_new(&v, step, n_tokens * dim));
    TRY(arena_new(&y, step, dim));
    TRY(arena_new(&hidden, step, MLP_RATIO * dim));
    project(k, h, 1, tokens, n_tokens);
    project(v, h, 2, tokens, n_tokens);
    TRY(attention_pool(hidden, weights, h->projected_query, k, v, n_tokens, h->config.heads, dim / h->config.heads,
                       step));
    block_linear(y, p, h->out_proj, hidden, 1);
    block_norm(y, p, h->layernorm, y, 1, eps);
    block_linear(hidden, p, h->up, y, 1);
    gelu_forward(hidden, hidden, MLP_RATIO * dim);
    block_linear(out, p, h->down, hidden, 1);
    for (int64_t i = 0; i < dim; i++) {
        if (h->config.residual) out[i] += y[i];
        if (pooled) pooled[i] = y[i];
    }
    arena_reset(step, mark);
    return OK;
}

int64_t head_flops(const HeadConfig *c, int64_t n_tokens)
{
    const int64_t dim = c->embed_dim;
    return 2 * (2 * n_tokens * dim * c->token_dim + 2 * n_tokens * dim + (1 + 2 * MLP_RATIO) * dim * dim);
}
