/* attention.c - multi-head attention, a head at a time and a block of queries at a time.

   q, k, v come packed as (tokens, 3, heads, width). Of a head, q (times 1/sqrt(width)) and k are copied to rows of
   their own and v is transposed, so that both products are those of a linear layer and run on the chosen gemm
   provider; the scores of QUERIES rows stay in cache. Tokens are padded to whole panels: padded keys get weight 0,
   padded queries are dropped. */
#include "nn/attention.h"

#include <string.h>

#include "nn/gemm.h"
#include "nn/vector.h"

enum { QUERIES = 192 }; /* rows of scores at a time: 600 kB for 784 tokens */

/* softmax of the first n of `padded` scores in place; zeros behind. */
static void softmax(real *score, int64_t n, int64_t padded)
{
    const real log2_e = (real)1.44269504088896340736;
    const real largest = vector_max(score, n);
    for (int64_t i = 0; i < n; i++) score[i] = vector_exp2((score[i] - largest) * log2_e);
    const real scale = 1 / vector_sum(score, n);
    for (int64_t i = 0; i < n; i++) score[i] *= scale;
    memset(score + n, 0, sizeof *score * (size_t)(padded - n));
}

typedef struct {
    real *q, *k; /* (padded, width) */
    real *v;     /* (width, padded) */
    real *score; /* (QUERIES, padded) */
    real *out;   /* (QUERIES, width) */
} HeadBuffers;

static void gather_head(HeadBuffers *h, const real *qkv, int64_t tokens, int64_t padded, int64_t heads, int64_t width)
{
    const real scale = 1 / R(sqrt)((real)width);
    const int64_t dim = heads * width;
    for (int64_t t = 0; t < tokens; t++) {
        const real *row = qkv + t * 3 * dim;
        for (int64_t c = 0; c < width; c++) {
            h->q[t * width + c] = row[c] * scale;
            h->k[t * width + c] = row[dim + c];
            h->v[c * padded + t] = row[2 * dim + c];
        }
    }
}

/* The probabilities of query number `query` of a head, where dropout is on. */
static void drop_row(real *p, const Dropout *drop, int64_t head, int64_t query, int64_t tokens)
{
    if (query < tokens) dropout_apply(p, tokens, drop, "dropout.attention", head * tokens + query);
}

Status attention_forward(real *out, const real *qkv, int64_t tokens, int64_t heads, int64_t width, Arena *scratch)
{
    return attention_forward_train(out, qkv, tokens, heads, width, &(Dropout){0, 0}, scratch);
}

Status attention_forward_train(real *out, const real *qkv, int64_t tokens, int64_t heads, int64_t width,
                               const Dropout *drop, Arena *scratch)
{
    const int64_t padded = gemm_pad(tokens), dim = heads * width;
    const Mark mark = arena_mark(scratch);
    HeadBuffers h;
    TRY(arena_new(&h.q, scratch, padded * width));
    TRY(arena_new(&h.k, scratch, padded * width));
    TRY(arena_new(&h.v, scratch, padded * width));
    TRY(arena_new(&h.score, scratch, QUERIES * padded));
    TRY(arena_new(&h.out, scratch, QUERIES * width));
    for (int64_t head = 0; head < heads; head++) {
        gather_head(&h, qkv + head * width, tokens, padded, heads, width);
        for (int64_t first = 0; first < padded; first += QUERIES) {
            const int64_t rows = padded - first < QUERIES ? padded - first : QUERIES;
            gemm()->forward(h.score, h.q + first * width, h.k, NULL, rows, padded, width);
            for (int64_t r = 0; r < rows; r++) {
                softmax(h.score + r * padded, tokens, padded);
                drop_row(h.score + r * padded, drop, head, first + r, tokens);
            }
            gemm()->forward(h.out, h.score, h.v, NULL, rows, width, padded);
            for (int64_t r = 0; r < rows && first + r < tokens; r++)
                memcpy(out + (first + r) * dim + head * width, h.out + r * width, sizeof *out * (size_t)width);
        }
    }
    arena_reset(scratch, mark);
    return OK;
}

/* ---- backward ----
   Of a block of queries, with P the probabilities: d_P = d_out v^T, d_S = P (d_P - sum P d_P),
   d_v += P^T d_out, d_q = d_S k, d_k += d_S^T q: all five products are those of linear layers. Dropout multiplies d_P,
   and P where it meets v, by the factors of the forward pass. */

typedef struct {
    real *q, *k, *v;       /* (padded, width), q times 1/sqrt(width) */
    real *d_out;           /* (padded, width) */
    real *d_q, *d_k, *d_v; /* (padded, width) */
    real *p, *d_p;         /* (QUERIES, padded) */
} BackwardBuffers;

static Status take_backward(BackwardBuffers *h, int64_t padded, int64_t width, Arena *a)
{
    real **const rows[] = {&h->q, &h->k, &h->v, &h->d_out, &h->d_q, &h->d_k, &h->d_v};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) TRY(arena_new(rows[i], a, padded * width));
    TRY(arena_new(&h->p, a, QUERIES * padded));
    return arena_new(&h->d_p, a, QUERIES * padded);
}

static void gather_backward(BackwardBuffers *h, const real *qkv, const real *d_out, int64_t tokens, int64_t padded,
                            int64_t heads, int64_t width)
{
    const real scale = 1 / R(sqrt)((real)width);
    const int64_t dim = heads * width;
    for (int64_t t = 0; t < tokens; t++) {
        const real *row = qkv + t * 3 * dim;
        for (int64_t c = 0; c < width; c++) h->q[t * width + c] = row[c] * scale;
        memcpy(h->k + t * width, row + dim, sizeof *h->k * (size_t)width);
        memcpy(h->v + t * width, row + 2 * dim, sizeof *h->v * (size_t)width);
        memcpy(h->d_out + t * width, d_out + t * dim, sizeof *h->d_out * (size_t)width);
    }
    const size_t bytes = sizeof *h->d_q * (size_t)(padded * width);
    memset(h->d_q, 0, bytes);
    memset(h->d_k, 0, bytes);
    memset(h->d_v, 0, bytes);
}

static void scatter_backward(real *d_qkv, const BackwardBuffers *h, int64_t tokens, int64_t heads, int64_t width)
{
    const real scale = 1 / R(sqrt)((real)width);
    const int64_t dim = heads * width;
    for (int64_t t = 0; t < tokens; t++) {
        real *row = d_qkv + t * 3 * dim;
        for (int64_t c = 0; c < width; c++) {
            row[c] += h->d_q[t * width + c] * scale;
            row[dim + c] += h->d_k[t * width + c];
            row[2 * dim + c] += h->d_v[t * width + c];
        }
    }
}

/* d_score = p (d_p - sum p d_p), in place of d_p; zeros where p is zero. */
static void softmax_backward(real *d_p, const real *p, int64_t n)
{
    const real mean = vector_dot(p, d_p, n);
    for (int64_t i = 0; i < n; i++) d_p[i] = p[i] * (d_p[i] - mean);
}

/* What a call has besides its buffers. */
typedef struct {
    int64_t tokens, padded, width, head;
    const Dropout *drop;
} HeadShape;

/* Queries first .. first + rows of a head. Padded queries have d_out = 0, padded keys p = 0: they add nothing. */
static void backward_queries(BackwardBuffers *h, const HeadShape *s, int64_t first, int64_t rows)
{
    const int64_t padded = s->padded, width = s->width;
    const real *q = h->q + first * width, *d_out = h->d_out + first * width;
    gemm()->forward(h->p, q, h->k, NULL, rows, padded, width);
    gemm()->forward(h->d_p, d_out, h->v, NULL, rows, padded, width);
    for (int64_t r = 0; r < rows; r++) {
        real *p = h->p + r * padded, *d_p = h->d_p + r * padded;
        softmax(p, s->tokens, padded);
        drop_row(d_p, s->drop, s->head, first + r, s->tokens);
        softmax_backward(d_p, p, padded);
        drop_row(p, s->drop, s->head, first + r, s->tokens);
    }
    gemm()->backward_w(h->d_v, h->p, d_out, rows, padded, width);
    gemm()->backward_x(h->d_q + first * width, h->d_p, h->k, rows, padded, width);
    gemm()->backward_w(h->d_k, h->d_p, q, rows, padded, width);
}

Status attention_backward(real *d_qkv, const real *qkv, const real *d_out, int64_t tokens, int64_t heads, int64_t width,
                          const Dropout *drop, Arena *scratch)
{
    const int64_t padded = gemm_pad(tokens);
    const Mark mark = arena_mark(scratch);
    BackwardBuffers h;
    TRY(take_backward(&h, padded, width, scratch));
    for (int64_t head = 0; head < heads; head++) {
        const HeadShape shape = {tokens, padded, width, head, drop};
        gather_backward(&h, qkv + head * width, d_out + head * width, tokens, padded, heads, width);
        for (int64_t first = 0; first < padded; first += QUERIES)
            backward_queries(&h, &shape, first, padded - first < QUERIES ? padded - first : QUERIES);
        scatter_backward(d_qkv + head * width, &h, tokens, heads, width);
    }
    arena_reset(scratch, mark);
    return OK;
}

/* ---- one query ---- */

Status attention_pool(real *out, real *weights, const real *q, const real *k, const real *v, int64_t tokens,
                      int64_t heads, int64_t width, Arena *scratch)
{
    const real scale = 1 / R(sqrt)((real)width);
    const int64_t dim = heads * width;
    const Mark mark = arena_mark(scratch);
    real *score;
    TRY(arena_new(&score, scratch, tokens));
    memset(out, 0, sizeof *out * (size_t)dim);
    for (int64_t head = 0; head < heads; head++) {
        for (int64_t t = 0; t < tokens; t++)
            score[t] = vector_dot(q + head * width, k + t * dim + head * width, width) * scale;
        softmax(score, tokens, tokens);
        for (int64_t t = 0; t < tokens; t++)
            for (int64_t c = 0; c < width; c++) out[head * width + c] += score[t] * v[t * dim + head * width + c];
        if (weights) memcpy(weights + head * tokens, score, sizeof *score * (size_t)tokens);
    }
    arena_reset(scratch, mark);
    return OK;
}
