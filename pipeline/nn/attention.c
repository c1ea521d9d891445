/* attention.c - multi-head attention, a head at a time and a block of queries at a time.

   q, k, v come packed as (tokens, 3, heads, width). Of a head, q (times 1/sqrt(width)), k and v are copied to rows of
   their own, so that both products are those of a linear layer, one forward and one backward, and run on the chosen gemm
   provider. A provider prepares k and v once per block, so blocks are large. Tokens are padded to whole panels: padded keys get weight 0,
   padded queries are dropped. */
#include "nn/attention.h"

#include <string.h>

#include "nn/gemm.h"
#include "nn/softmax.h"

enum { QUERIES = ATTENTION_QUERIES };

typedef struct {
    real *q, *k, *v; /* (padded, width) */
    real *score;     /* (QUERIES, padded) */
    real *out;       /* (QUERIES, width) */
} HeadBuffers;

static void gather_head(HeadBuffers *h, const real *qkv, int64_t tokens, int64_t heads, int64_t width)
{
    const real scale = 1 / R(sqrt)((real)width);
    const int64_t dim = heads * width;
    for (int64_t t = 0; t < tokens; t++) {
        const real *row = qkv + t * 3 * dim;
        for (int64_t c = 0; c < width; c++) h->q[t * width + c] = row[c] * scale;
        memcpy(h->k + t * width, row + dim, sizeof *h->k * (size_t)width);
        memcpy(h->v + t * width, row + 2 * dim, sizeof *h->v * (size_t)width);
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
    const int64_t padded = gemm_pad(tokens), dim = heads * width, block = padded < QUERIES ? padded : QUERIES;
    const Mark mark = arena_mark(scratch);
    HeadBuffers h;
    TRY(arena_new(&h.q, scratch, padded * width));
    TRY(arena_new(&h.k, scratch, padded * width));
    TRY(arena_new(&h.v, scratch, padded * width));
    TRY(arena_new(&h.score, scratch, block * padded));
    TRY(arena_new(&h.out, scratch, block * width));
    for (int64_t head = 0; head < heads; head++) {
        gather_head(&h, qkv + head * width, tokens, heads, width);
        for (int64_t first = 0; first < padded; first += QUERIES) {
            const int64_t rows = padded - first < QUERIES ? padded - first : QUERIES;
            gemm()->forward(h.score, h.q + first * width, h.k, NULL, rows, padded, width);
            for (int64_t r = 0; r < rows; r++) {
                softmax_forward(h.score + r * padded, tokens, padded);
                drop_row(h.score + r * padded, drop, head, first + r, tokens);
            }
            memset(h.out, 0, sizeof *h.out * (size_t)(rows * width));
            gemm()->backward_x(h.out, h.score, h.v, rows, padded, width);
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
    const int64_t block = padded < QUERIES ? padded : QUERIES;
    TRY(arena_new(&h->p, a, block * padded));
    return arena_new(&h->d_p, a, block * padded);
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
        softmax_forward(p, s->tokens, padded);
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
