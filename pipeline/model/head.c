/* head.c - query, keys and values, attention of one query, output projection, layer norm (eps 1e-5), MLP. Dropout is
   for training only. PyTorch stores the three input projections as one matrix when keys are as wide as the query,
   else as three; their biases are one vector always.

   Keys and values of tokens are never made. With x the tokens, q the query of a head and w its weights,
       <q, Wk x_t + bk> = <Wk^T q, x_t> + a constant that a softmax does not feel,   sum w_t (Wv x_t + bv) = Wv (sum w_t x_t) + bv:
   a few passes over the tokens (nn/pool.h) instead of products with E x token_dim matrices, forward and backward. */
#include "model/head.h"

#include <string.h>

#include "nn/gelu.h"
#include "nn/gemm.h"
#include "nn/init.h"
#include "nn/linear.h"
#include "nn/pool.h"
#include "nn/vector.h"

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

/* Xavier: by the rows and columns of the matrix as it is stored. */
static void init_projection(Params *p, int64_t index, uint64_t seed)
{
    const int64_t *dims = p->param[index].dims;
    init_uniform(p, index, sqrt(6.0 / (double)(dims[0] + dims[1])), seed);
}

static void init_linear(Params *p, LinearParams l, uint64_t seed)
{
    const double bound = 1 / sqrt((double)p->param[l.weight].dims[1]);
    init_uniform(p, l.weight, bound, seed);
    init_uniform(p, l.bias, bound, seed);
}

void head_init(const Head *h, Params *p, uint64_t seed)
{
    init_normal(p, h->query, 1, seed);
    const int64_t split[] = {h->q_proj, h->k_proj, h->v_proj};
    if (h->fused) init_projection(p, h->in_proj_weight, seed);
    for (int i = 0; !h->fused && i < 3; i++) init_projection(p, split[i], seed);
    init_constant(p, h->in_proj_bias, 0);
    init_linear(p, h->out_proj, seed);
    init_constant(p, h->out_proj.bias, 0);
    block_init_norm(p, h->layernorm);
    init_linear(p, h->up, seed);
    init_linear(p, h->down, seed);
}

/* A projection of MultiheadAttention by its number: 0 query, 1 keys, 2 values. */
static real *projection(const Head *h, int part)
{
    const int64_t split[] = {h->q_proj, h->k_proj, h->v_proj}, dim = h->config.embed_dim;
    return h->fused ? params_at(h->params, h->in_proj_weight) + part * dim * dim : params_at(h->params, split[part]);
}

static const real *projection_bias(const Head *h, int part)
{
    return params_at(h->params, h->in_proj_bias) + part * h->config.embed_dim;
}

static void axpy(real *y, real a, const real *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] += a * x[i];
}

static int64_t width_of(const Head *h) { return h->config.embed_dim / h->config.heads; }
static real scale_of(const Head *h) { return 1 / R(sqrt)((real)width_of(h)); }

Status head_prepare(Head *h, Arena *a)
{
    const int64_t dim = h->config.embed_dim, n_in = h->config.token_dim;
    if (!h->key) {
        TRY(arena_new(&h->projected_query, a, dim));
        TRY(arena_new(&h->key, a, h->config.heads * n_in));
    }
    linear_forward(h->projected_query, params_at(h->params, h->query), projection(h, 0), projection_bias(h, 0), 1, dim,
                   dim);
    memset(h->key, 0, sizeof *h->key * (size_t)(h->config.heads * n_in));
    for (int64_t c = 0; c < dim; c++)
        axpy(h->key + c / width_of(h) * n_in, h->projected_query[c] * scale_of(h), projection(h, 1) + c * n_in, n_in);
    return OK;
}

/* attended (n, E): the value projection of gathered (heads, n, token_dim). */
static Status project_values(real *attended, const real *gathered, const Head *h, int64_t n, Arena *step)
{
    const int64_t width = width_of(h), dim = h->config.embed_dim, n_in = h->config.token_dim;
    const Mark mark = arena_mark(step);
    real *y;
    TRY(arena_new(&y, step, n * width));
    for (int64_t first = 0; first < dim; first += width) {
        linear_forward(y, gathered + first / width * n * n_in, projection(h, 2) + first * n_in,
                       projection_bias(h, 2) + first, n, width, n_in);
        for (int64_t i = 0; i < n; i++) memcpy(attended + i * dim + first, y + i * width, sizeof *y * (size_t)width);
    }
    arena_reset(step, mark);
    return OK;
}

/* gathered (heads, n, token_dim) and weights (n, heads, n_tokens) of every object. */
static Status pool_objects(real *gathered, real *weights, const Head *h, const real *tokens, int64_t n,
                           int64_t n_tokens, Arena *step)
{
    const HeadConfig *c = &h->config;
    const int64_t dim = c->token_dim;
    const Mark mark = arena_mark(step);
    real *one;
    TRY(arena_new(&one, step, c->heads * dim));
    for (int64_t i = 0; i < n; i++) {
        pool_forward(one, weights + i * c->heads * n_tokens, h->key, tokens + i * n_tokens * dim, n_tokens, c->heads,
                     dim);
        for (int64_t k = 0; k < c->heads; k++)
            memcpy(gathered + (k * n + i) * dim, one + k * dim, sizeof *one * (size_t)dim);
    }
    arena_reset(step, mark);
    return OK;
}

Status head_forward(real *out, real *pooled, real *weights, const Head *h, const real *tokens, int64_t n,
                    int64_t n_tokens, Arena *step)
{
    const HeadConfig *c = &h->config;
    const int64_t dim = c->embed_dim;
    const Params *p = h->params;
    MUST(h->key != NULL);
    const Mark mark = arena_mark(step);
    real *gathered, *y, *hidden;
    if (!weights) TRY(arena_new(&weights, step, n * c->heads * n_tokens));
    TRY(arena_new(&gathered, step, c->heads * n * c->token_dim));
    TRY(arena_new(&y, step, n * dim));
    TRY(arena_new(&hidden, step, n * MLP_RATIO * dim));
    TRY(pool_objects(gathered, weights, h, tokens, n, n_tokens, step));
    TRY(project_values(hidden, gathered, h, n, step));
    block_linear(y, p, h->out_proj, hidden, n);
    block_norm(y, p, h->layernorm, y, n, eps);
    block_linear(hidden, p, h->up, y, n);
    gelu_forward(hidden, hidden, n * MLP_RATIO * dim);
    block_linear(out, p, h->down, hidden, n);
    for (int64_t i = 0; i < n * dim; i++) {
        if (h->config.residual) out[i] += y[i];
        if (pooled) pooled[i] = y[i];
    }
    arena_reset(step, mark);
    return OK;
}

/* ---- training: forward ---- */

static Status take_trace(HeadTrace *t, const HeadConfig *c, Arena *step)
{
    const int64_t n = t->n, dim = c->embed_dim;
    TRY(arena_new(&t->weights, step, n * c->heads * t->n_tokens));
    TRY(arena_new(&t->gathered, step, c->heads * n * c->token_dim));
    TRY(arena_new(&t->attended, step, gemm_pad(n) * dim));
    TRY(arena_new(&t->projected, step, gemm_pad(n) * dim));
    TRY(arena_new(&t->mean, step, n));
    TRY(arena_new(&t->rstd, step, n));
    TRY(arena_new(&t->y, step, gemm_pad(n) * dim));
    return arena_new(&t->up, step, gemm_pad(n) * MLP_RATIO * dim);
}

/* x *= factor, unless that is NULL */
static void multiply(real *x, const real *factor, int64_t n)
{
    for (int64_t i = 0; factor && i < n; i++) x[i] *= factor[i];
}

Status head_forward_train(real *out, HeadTrace *t, const Head *h, const real *tokens, const real *drop_pooled,
                          const real *drop_mlp, int64_t n, int64_t n_tokens, Arena *step)
{
    const int64_t dim = h->config.embed_dim;
    const Params *p = h->params;
    MUST(h->key != NULL);
    *t = (HeadTrace){.n = n, .n_tokens = n_tokens, .tokens = tokens, .drop_pooled = drop_pooled, .drop_mlp = drop_mlp};
    TRY(take_trace(t, &h->config, step));
    TRY(pool_objects(t->gathered, t->weights, h, tokens, n, n_tokens, step));
    TRY(project_values(t->attended, t->gathered, h, n, step));
    const Mark mark = arena_mark(step);
    real *hidden;
    TRY(arena_new(&hidden, step, gemm_pad(n) * MLP_RATIO * dim));
    block_linear(t->projected, p, h->out_proj, t->attended, n);
    multiply(t->projected, drop_pooled, n * dim);
    block_norm_train(t->y, t->mean, t->rstd, p, h->layernorm, t->projected, n, eps);
    block_linear(t->up, p, h->up, t->y, n);
    gelu_forward(hidden, t->up, n * MLP_RATIO * dim);
    block_linear(out, p, h->down, hidden, n);
    multiply(out, drop_mlp, n * dim);
    for (int64_t i = 0; h->config.residual && i < n * dim; i++) out[i] += t->y[i];
    arena_reset(step, mark);
    return OK;
}

/* ---- training: backward ---- */

/* Gradients of a projection's weight and bias; NULL where frozen. */
static real *d_projection(const Head *h, real *d_p, int part)
{
    const int64_t split[] = {h->q_proj, h->k_proj, h->v_proj}, dim = h->config.embed_dim;
    real *d = params_d_at(h->params, d_p, h->fused ? h->in_proj_weight : split[part]);
    return d && h->fused ? d + part * dim * dim : d;
}

static real *d_projection_bias(const Head *h, real *d_p, int part)
{
    real *d = params_d_at(h->params, d_p, h->in_proj_bias);
    return d ? d + part * h->config.embed_dim : NULL;
}

/* Down to what was pooled: d_attended (n, E) is added into. */
static Status dense_backward(real *d_attended, real *d_p, const HeadTrace *t, const Head *h, const real *d_out,
                             Arena *step)
{
    const int64_t n = t->n, dim = h->config.embed_dim, wide = MLP_RATIO * dim;
    const Params *p = h->params;
    real *d_mlp, *d_y, *d_projected, *hidden, *d_hidden, *d_up;
    TRY(arena_new(&d_mlp, step, n * dim));
    TRY(arena_new(&d_y, step, n * dim));
    TRY(arena_new(&d_projected, step, n * dim));
    TRY(arena_new(&hidden, step, n * wide));
    TRY(arena_new(&d_hidden, step, n * wide));
    TRY(arena_new(&d_up, step, n * wide));
    memcpy(d_mlp, d_out, sizeof *d_out * (size_t)(n * dim));
    multiply(d_mlp, t->drop_mlp, n * dim);
    if (h->config.residual) memcpy(d_y, d_out, sizeof *d_out * (size_t)(n * dim));
    gelu_both(hidden, d_up, t->up, n * wide);
    block_linear_backward(d_hidden, d_p, p, h->down, d_mlp, hidden, n);
    multiply(d_up, d_hidden, n * wide);
    block_linear_backward(d_y, d_p, p, h->up, d_up, t->y, n);
    block_norm_backward(d_projected, d_p, p, h->layernorm, d_y, t->projected, t->mean, t->rstd, n);
    multiply(d_projected, t->drop_pooled, n * dim);
    block_linear_backward(d_attended, d_p, p, h->out_proj, d_projected, t->attended, n);
    return OK;
}

/* The value projection of one attention head, for all objects: gradients of its weights and bias; d_gathered (n, token_dim)
   is added into. g (n, width) is room to work in. */
static void values_backward(real *d_gathered, real *d_p, real *g, const HeadTrace *t, const Head *h,
                            const real *d_attended, int64_t head)
{
    const int64_t n = t->n, n_in = h->config.token_dim, dim = h->config.embed_dim, width = width_of(h);
    const int64_t first = head * width;
    real *d_w = d_projection(h, d_p, 2), *d_b = d_projection_bias(h, d_p, 2);
    for (int64_t i = 0; i < n; i++) memcpy(g + i * width, d_attended + i * dim + first, sizeof *g * (size_t)width);
    linear_backward(d_gathered, d_w ? d_w + first * n_in : NULL, d_b ? d_b + first : NULL, g,
                    t->gathered + head * n * n_in, projection(h, 2) + first * n_in, n, width, n_in);
}

/* d_key (heads, token_dim) is set to the sum over the objects, of each its own sum. */
static Status pool_objects_backward(real *d_tokens, real *d_key, const real *d_gathered, const HeadTrace *t,
                                    const Head *h, Arena *step)
{
    const HeadConfig *c = &h->config;
    const int64_t n = t->n, n_in = c->token_dim, each = t->n_tokens * n_in, n_key = c->heads * n_in;
    real *d_out, *d_own, *d_score;
    TRY(arena_new(&d_out, step, n_key));
    TRY(arena_new(&d_own, step, n_key));
    TRY(arena_new(&d_score, step, c->heads * t->n_tokens));
    memset(d_key, 0, sizeof *d_key * (size_t)n_key);
    for (int64_t i = 0; i < n; i++) {
        for (int64_t k = 0; k < c->heads; k++)
            memcpy(d_out + k * n_in, d_gathered + (k * n + i) * n_in, sizeof *d_out * (size_t)n_in);
        memset(d_own, 0, sizeof *d_own * (size_t)n_key);
        pool_backward(d_tokens ? d_tokens + i * each : NULL, d_own, d_score, d_out,
                      t->weights + i * c->heads * t->n_tokens, h->key, t->tokens + i * each, t->n_tokens, c->heads,
                      n_in);
        axpy(d_key, 1, d_own, n_key);
    }
    return OK;
}

/* Through key = scale Wk^T q and q = Wq query + bq. */
static Status query_backward(real *d_p, const real *d_key, const Head *h, Arena *step)
{
    const int64_t dim = h->config.embed_dim, n_in = h->config.token_dim;
    const real scale = scale_of(h);
    real *d_w = d_projection(h, d_p, 1), *d_q;
    TRY(arena_new(&d_q, step, dim));
    for (int64_t c = 0; c < dim; c++) {
        const real *d = d_key + c / width_of(h) * n_in;
        if (d_w) axpy(d_w + c * n_in, h->projected_query[c] * scale, d, n_in);
        d_q[c] = vector_dot(projection(h, 1) + c * n_in, d, n_in) * scale;
    }
    linear_backward(params_d_at(h->params, d_p, h->query), d_projection(h, d_p, 0), d_projection_bias(h, d_p, 0), d_q,
                    params_at(h->params, h->query), projection(h, 0), 1, dim, dim);
    return OK;
}

Status head_backward(real *d_tokens, real *d_p, const HeadTrace *t, const Head *h, const real *d_out, Arena *step)
{
    const HeadConfig *c = &h->config;
    const int64_t each = t->n * c->token_dim;
    const Mark mark = arena_mark(step);
    real *d_attended, *d_gathered, *d_key, *g;
    TRY(arena_new(&d_attended, step, t->n * c->embed_dim));
    TRY(dense_backward(d_attended, d_p, t, h, d_out, step));
    TRY(arena_new(&d_gathered, step, c->heads * each));
    TRY(arena_new(&d_key, step, c->heads * c->token_dim));
    TRY(arena_new(&g, step, t->n * width_of(h)));
    for (int64_t k = 0; k < c->heads; k++) values_backward(d_gathered + k * each, d_p, g, t, h, d_attended, k);
    TRY(pool_objects_backward(d_tokens, d_key, d_gathered, t, h, step));
    TRY(query_backward(d_p, d_key, h, step));
    arena_reset(step, mark);
    return OK;
}

int64_t head_flops(const HeadConfig *c, int64_t n_tokens)
{
    const int64_t dim = c->embed_dim;
    return 2 * (2 * c->heads * n_tokens * c->token_dim + dim * c->token_dim + (1 + 2 * MLP_RATIO) * dim * dim);
}
