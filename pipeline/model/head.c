/* head.c - query, keys and values, attention of one query, output projection, layer norm (eps 1e-5), MLP. Dropout is
   for training only. PyTorch stores the three input projections as one matrix when keys are as wide as the query,
   else as three; their biases are one vector always.

   The backward pass never makes the keys and values again. One query sees all tokens, so with x the tokens, w the
   weights of a head and g the gradient of what it pooled,
       <g, v_t> = <Wv^T g, x_t>,   d_Wv = g (sum w_t x_t)^T,   d_Wk = q (sum d_s_t x_t)^T,
   a few passes over the tokens instead of products with E x token_dim matrices. */
#include "model/head.h"

#include <string.h>

#include "nn/attention.h"
#include "nn/gelu.h"
#include "nn/gemm.h"
#include "nn/init.h"
#include "nn/linear.h"
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

/* y (rows, E) = x W^T + b with a projection. */
static void project(real *y, const Head *h, int part, const real *x, int64_t rows)
{
    const int64_t dim = h->config.embed_dim, n_in = part == 0 ? dim : h->config.token_dim;
    linear_forward(y, x, projection(h, part), params_at(h->params, h->in_proj_bias) + part * dim, rows, dim, n_in);
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

/* ---- training: forward ---- */

static Status take_trace(HeadTrace *t, const HeadConfig *c, Arena *step)
{
    const int64_t n = t->n, dim = c->embed_dim;
    TRY(arena_new(&t->weights, step, n * c->heads * t->n_tokens));
    TRY(arena_new(&t->attended, step, gemm_pad(n) * dim));
    TRY(arena_new(&t->projected, step, gemm_pad(n) * dim));
    TRY(arena_new(&t->mean, step, n));
    TRY(arena_new(&t->rstd, step, n));
    TRY(arena_new(&t->y, step, gemm_pad(n) * dim));
    return arena_new(&t->up, step, gemm_pad(n) * MLP_RATIO * dim);
}

/* t->attended and t->weights of every object. */
static Status pool_objects(HeadTrace *t, const Head *h, Arena *step)
{
    const HeadConfig *c = &h->config;
    const int64_t dim = c->embed_dim, n_tokens = t->n_tokens;
    const Mark mark = arena_mark(step);
    real *k, *v;
    TRY(arena_new(&k, step, gemm_pad(n_tokens) * dim));
    TRY(arena_new(&v, step, gemm_pad(n_tokens) * dim));
    for (int64_t i = 0; i < t->n; i++) {
        const real *tokens = t->tokens + i * n_tokens * c->token_dim;
        project(k, h, 1, tokens, n_tokens);
        project(v, h, 2, tokens, n_tokens);
        TRY(attention_pool(t->attended + i * dim, t->weights + i * c->heads * n_tokens, h->projected_query, k, v,
                           n_tokens, c->heads, dim / c->heads, step));
    }
    arena_reset(step, mark);
    return OK;
}

static void drop(real *x, const real *factor, int64_t n)
{
    for (int64_t i = 0; factor && i < n; i++) x[i] *= factor[i];
}

Status head_forward_train(real *out, HeadTrace *t, const Head *h, const real *tokens, const real *drop_pooled,
                          const real *drop_mlp, int64_t n, int64_t n_tokens, Arena *step)
{
    const int64_t dim = h->config.embed_dim;
    const Params *p = h->params;
    MUST(h->projected_query != NULL);
    *t = (HeadTrace){.n = n, .n_tokens = n_tokens, .tokens = tokens, .drop_pooled = drop_pooled, .drop_mlp = drop_mlp};
    TRY(take_trace(t, &h->config, step));
    TRY(pool_objects(t, h, step));
    const Mark mark = arena_mark(step);
    real *hidden;
    TRY(arena_new(&hidden, step, gemm_pad(n) * MLP_RATIO * dim));
    block_linear(t->projected, p, h->out_proj, t->attended, n);
    drop(t->projected, drop_pooled, n * dim);
    block_norm_train(t->y, t->mean, t->rstd, p, h->layernorm, t->projected, n, eps);
    block_linear(t->up, p, h->up, t->y, n);
    gelu_forward(hidden, t->up, n * MLP_RATIO * dim);
    block_linear(out, p, h->down, hidden, n);
    drop(out, drop_mlp, n * dim);
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
    drop(d_mlp, t->drop_mlp, n * dim);
    if (h->config.residual) memcpy(d_y, d_out, sizeof *d_out * (size_t)(n * dim));
    gelu_forward(hidden, t->up, n * wide);
    block_linear_backward(d_hidden, d_p, p, h->down, d_mlp, hidden, n);
    gelu_backward(d_up, t->up, d_hidden, n * wide);
    block_linear_backward(d_y, d_p, p, h->up, d_up, t->y, n);
    block_norm_backward(d_projected, d_p, p, h->layernorm, d_y, t->projected, t->mean, t->rstd, n);
    drop(d_projected, t->drop_pooled, n * dim);
    block_linear_backward(d_attended, d_p, p, h->out_proj, d_projected, t->attended, n);
    return OK;
}

/* One attention head of the pooling, for all objects. */
typedef struct {
    real *g;         /* (n, width) gradient of what it pooled */
    real *value_row; /* (n, token_dim) Wv^T g */
    real *key_row;   /* (token_dim) Wk^T q */
    real *pooled;    /* (n, token_dim) sum w_t x_t */
    real *slope;     /* (token_dim) sum over objects and tokens of d_s_t x_t */
    real *one_slope; /* (token_dim) the same of one object */
    real *d_s;       /* (n_tokens) */
    real *d_q;       /* (E) of all heads */
} PoolBackward;

static void axpy(real *y, real a, const real *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] += a * x[i];
}

/* Object i: its tokens' sums, and d_tokens. scale = 1 / sqrt(width). */
static void pool_object_backward(real *d_tokens, PoolBackward *b, const HeadTrace *t, const Head *h, int64_t head,
                                 int64_t i, real scale)
{
    const int64_t n_tokens = t->n_tokens, dim = h->config.token_dim;
    const real *x = t->tokens + i * n_tokens * dim, *w = t->weights + (i * h->config.heads + head) * n_tokens;
    const real *value_row = b->value_row + i * dim;
    for (int64_t s = 0; s < n_tokens; s++) b->d_s[s] = vector_dot(value_row, x + s * dim, dim);
    const real mean = vector_dot(w, b->d_s, n_tokens);
    for (int64_t s = 0; s < n_tokens; s++) b->d_s[s] = w[s] * (b->d_s[s] - mean) * scale;
    memset(b->one_slope, 0, sizeof *b->one_slope * (size_t)dim);
    for (int64_t s = 0; s < n_tokens; s++) {
        axpy(b->pooled + i * dim, w[s], x + s * dim, dim);
        axpy(b->one_slope, b->d_s[s], x + s * dim, dim);
    }
    axpy(b->slope, 1, b->one_slope, dim);
    for (int64_t s = 0; d_tokens && s < n_tokens; s++) {
        real *d_x = d_tokens + (i * n_tokens + s) * dim;
        axpy(d_x, b->d_s[s], b->key_row, dim);
        axpy(d_x, w[s], value_row, dim);
    }
}

static void pool_head_backward(real *d_tokens, real *d_p, PoolBackward *b, const HeadTrace *t, const Head *h,
                               const real *d_attended, int64_t head)
{
    const int64_t n = t->n, dim = h->config.token_dim, e = h->config.embed_dim, width = e / h->config.heads;
    const int64_t first = head * width;
    const real *wk = projection(h, 1) + first * dim, *wv = projection(h, 2) + first * dim;
    const real *q = h->projected_query + first;
    for (int64_t i = 0; i < n; i++) memcpy(b->g + i * width, d_attended + i * e + first, sizeof *b->g * (size_t)width);
    memset(b->value_row, 0, sizeof *b->value_row * (size_t)(n * dim));
    memset(b->key_row, 0, sizeof *b->key_row * (size_t)dim);
    memset(b->pooled, 0, sizeof *b->pooled * (size_t)(n * dim));
    memset(b->slope, 0, sizeof *b->slope * (size_t)dim);
    gemm_linear()->backward_x(b->value_row, b->g, wv, n, width, dim);
    for (int64_t c = 0; c < width; c++) axpy(b->key_row, q[c], wk + c * dim, dim);
    for (int64_t i = 0; i < n; i++) pool_object_backward(d_tokens, b, t, h, head, i, 1 / R(sqrt)((real)width));

    real *d_wk = d_projection(h, d_p, 1), *d_wv = d_projection(h, d_p, 2), *d_bv = d_projection_bias(h, d_p, 2);
    linear_backward(NULL, d_wv ? d_wv + first * dim : NULL, d_bv ? d_bv + first : NULL, b->g, b->pooled, wv, n, width,
                    dim);
    for (int64_t c = 0; c < width; c++) {
        if (d_wk) axpy(d_wk + (first + c) * dim, q[c], b->slope, dim);
        b->d_q[first + c] = vector_dot(wk + c * dim, b->slope, dim);
    }
}

Status head_backward(real *d_tokens, real *d_p, const HeadTrace *t, const Head *h, const real *d_out, Arena *step)
{
    const HeadConfig *c = &h->config;
    const int64_t dim = c->embed_dim;
    const Mark mark = arena_mark(step);
    real *d_attended;
    PoolBackward b;
    TRY(arena_new(&d_attended, step, t->n * dim));
    TRY(dense_backward(d_attended, d_p, t, h, d_out, step));
    TRY(arena_new(&b.g, step, t->n * (dim / c->heads)));
    TRY(arena_new(&b.value_row, step, t->n * c->token_dim));
    TRY(arena_new(&b.key_row, step, c->token_dim));
    TRY(arena_new(&b.pooled, step, t->n * c->token_dim));
    TRY(arena_new(&b.slope, step, c->token_dim));
    TRY(arena_new(&b.one_slope, step, c->token_dim));
    TRY(arena_new(&b.d_s, step, t->n_tokens));
    TRY(arena_new(&b.d_q, step, dim));
    for (int64_t head = 0; head < c->heads; head++) pool_head_backward(d_tokens, d_p, &b, t, h, d_attended, head);
    linear_backward(params_d_at(h->params, d_p, h->query), d_projection(h, d_p, 0), d_projection_bias(h, d_p, 0), b.d_q,
                    params_at(h->params, h->query), projection(h, 0), 1, dim, dim);
    arena_reset(step, mark);
    return OK;
}

int64_t head_flops(const HeadConfig *c, int64_t n_tokens)
{
    const int64_t dim = c->embed_dim;
    return 2 * (2 * n_tokens * dim * c->token_dim + 2 * n_tokens * dim + (1 + 2 * MLP_RATIO) * dim * dim);
}
