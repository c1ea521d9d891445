/* attention_amx.c - attention of an object whose q, k and v lie in panels, on matrix units: what panels.h offers.

   Of a head, q, k and v become factors of products. A strip of 32 queries at a time: their scores, softmax in float whose
   weights 2^t are left unnormalised and brought into parts, and the sum of the values by weight, divided by the sum of the
   weights. Nothing larger than a strip of scores is in memory. */
#include "nn/panels.h"

#include "amx.h"

#ifdef NN_PANELS

#include <math.h>

typedef struct {
    const bf16 *qkv; /* panels of (rows, 3 heads width) */
    int64_t row, tokens, heads, width;
    int parts;
} Object;

/* In steps of 32: tokens, width. */
typedef struct {
    int64_t tokens, width;
    bf16 *q, *k, *v; /* left (tokens, width), right (width, tokens), right (tokens, width) */
    bf16 *weight;    /* left (32, tokens) */
    float *score[2]; /* (32, 32 tokens) of two strips */
} Head;

/* A part of 32 numbers of a row of q, k and v from `column` on, n of them there, the others 0; beyond the tokens 0. */
AMX_INLINE __m512i line_of(const Object *o, int part, int64_t token, int64_t column, int64_t n)
{
    const int64_t steps = panels_of(3 * o->heads * o->width);
    const bf16 *from = o->qkv + part * PANEL_STEP;
    if (token >= o->tokens) return _mm512_setzero_si512();
    if (column % PANEL == 0 && n >= PANEL)
        return _mm512_load_si512(from + amx_line(steps, o->parts, o->row + token, column / PANEL));
    bf16 some[PANEL] __attribute__((aligned(64))) = {0};
    for (int64_t i = 0; i < n && i < PANEL; i++)
        some[i] = from[amx_line(steps, o->parts, o->row + token, (column + i) / PANEL) + (column + i) % PANEL];
    return _mm512_load_si512(some);
}

/* A part of tokens [at, at + 32) of a head, 32 columns of it from `from` on, to the three factors. */
AMX_INLINE void gather_step(Head *h, const Object *o, int part, int64_t head, int64_t at, int64_t from)
{
    const int64_t dim = o->heads * o->width, column = head * o->width + from, n = o->width - from;
    const int64_t place = (at / PANEL * h->width + from / PANEL) * o->parts + part;
    bf16 *q = h->q + place * PANEL_STEP, *k = h->k + place * PANEL_STEP;
    bf16 *v = h->v + ((from / PANEL * h->tokens + at / PANEL) * o->parts + part) * PANEL_STEP;
    for (int64_t t = 0; t < PANEL; t++) _mm512_store_si512(q + t * PANEL, line_of(o, part, at + t, column, n));
    for (int64_t half = 0; half < PANEL; half += TILE_ROWS) {
        __m512i r[16];
#pragma GCC unroll 16
        for (int t = 0; t < TILE_ROWS; t++) r[t] = line_of(o, part, at + half + t, dim + column, n);
        transpose16(r);
#pragma GCC unroll 16
        for (int t = 0; t < TILE_ROWS; t++) _mm512_store_si512(k + (half + t) * PANEL, r[t]);
    }
    for (int64_t t = 0; t < TILE_ROWS; t++) {
        __m512i pair[2];
        amx_interleave(pair, line_of(o, part, at + 2 * t, 2 * dim + column, n),
                       line_of(o, part, at + 2 * t + 1, 2 * dim + column, n));
        _mm512_store_si512(v + t * PANEL, pair[0]);
        _mm512_store_si512(v + PANEL_TILE + t * PANEL, pair[1]);
    }
}

AMX static void gather_head(Head *h, const Object *o, int64_t head)
{
    for (int64_t at = 0; at < o->tokens; at += PANEL)
        for (int64_t from = 0; from < o->width; from += PANEL)
            for (int part = 0; part < o->parts; part++) gather_step(h, o, part, head, at, from);
}

/* The weights of one query from its scores, into its lines of the left factor; returns 1 / their sum. */
AMX_INLINE float weigh(bf16 *weight, int parts, const float *score, int64_t tokens, int64_t steps, float scale)
{
    __m512 most = _mm512_set1_ps(-INFINITY), sum = _mm512_setzero_ps();
    for (int64_t t = 0; t < tokens; t += 16)
        most = _mm512_mask_max_ps(most, amx_lanes(tokens - t), most, _mm512_load_ps(score + t));
    const __m512 top = _mm512_set1_ps(_mm512_reduce_max_ps(most)), factor = _mm512_set1_ps(scale);
    for (int64_t s = 0; s < steps; s++, weight += parts * PANEL_STEP) {
        __m512 p[2];
#pragma GCC unroll 2
        for (int h = 0; h < 2; h++) {
            const int64_t t = s * PANEL + h * 16;
            p[h] = amx_exp2(_mm512_mul_ps(_mm512_sub_ps(_mm512_load_ps(score + t), top), factor), parts);
            if (t + 16 > tokens) p[h] = _mm512_maskz_mov_ps(amx_lanes(tokens - t), p[h]);
            sum = _mm512_add_ps(sum, p[h]);
        }
        amx_store_line(weight, parts, p[0], p[1]);
    }
    return 1 / _mm512_reduce_add_ps(sum);
}

AMX_INLINE void multiply(float *c, int64_t stride, int parts, const bf16 *left, const bf16 *right, int64_t steps)
{
    const int64_t step = parts * PANEL_STEP;
    amx_zero();
    for (int64_t k = 0; k < steps; k++) amx_step(left + k * step, right + k * step, parts);
    amx_store(c, stride * (int64_t)sizeof *c);
}

/* 32 numbers of the head's columns to the lines of `out`. */
AMX_INLINE void put_line(bf16 *out, const Object *o, int parts, int64_t token, int64_t column, int64_t n, __m512 low,
                         __m512 high)
{
    const int64_t steps = panels_of(o->heads * o->width), row = o->row + token;
    if (column % PANEL == 0 && n >= PANEL) {
        amx_store_line(out + amx_line(steps, parts, row, column / PANEL), parts, low, high);
        return;
    }
    for (int part = 0; part < parts; part++) {
        bf16 some[PANEL] __attribute__((aligned(64)));
        _mm512_store_si512(some, amx_part(&low, &high));
        for (int64_t i = 0; i < n && i < PANEL; i++)
            out[amx_line(steps, parts, row, (column + i) / PANEL) + part * PANEL_STEP + (column + i) % PANEL] = some[i];
    }
}

/* The sums of a strip's values by weight, rows [at, at + 32) of `out`. */
AMX_INLINE void gather_values(bf16 *out, const Head *h, const Object *o, int parts, int64_t head, int64_t at,
                              const float *share)
{
    const int64_t rows = o->tokens - at < PANEL ? o->tokens - at : PANEL;
    float sums[PANEL * PANEL] __attribute__((aligned(64)));
    for (int64_t w = 0; w < h->width; w++) {
        multiply(sums, PANEL, parts, h->weight, h->v + w * h->tokens * parts * PANEL_STEP, h->tokens);
        for (int64_t r = 0; r < rows; r++) {
            const __m512 by = _mm512_set1_ps(share[r]);
            put_line(out, o, parts, at + r, head * o->width + w * PANEL, o->width - w * PANEL,
                     _mm512_mul_ps(_mm512_load_ps(sums + r * PANEL), by),
                     _mm512_mul_ps(_mm512_load_ps(sums + r * PANEL + 16), by));
        }
    }
}

/* While the matrix units make the scores of a strip, the vector units weigh those of the strip before. */
AMX_INLINE void attend(bf16 *out, Head *h, const Object *o, int parts, int64_t head)
{
    const float scale = 1.44269504088896340736f / sqrtf((float)o->width);
    const int64_t stride = h->tokens * PANEL, step = parts * PANEL_STEP;
    for (int64_t strip = 0; strip <= h->tokens; strip++) {
        float share[PANEL];
        AMX_BARRIER;
        for (int64_t t = 0; t < h->tokens; t++) {
            if (strip < h->tokens)
                multiply(h->score[strip % 2] + t * PANEL, stride, parts, h->q + strip * h->width * step,
                         h->k + t * h->width * step, h->width);
            for (int64_t r = PANEL * t / h->tokens; strip > 0 && r < PANEL * (t + 1) / h->tokens; r++)
                share[r] = weigh(h->weight + r * PANEL, parts, h->score[(strip - 1) % 2] + r * stride, o->tokens,
                                 h->tokens, scale);
        }
        AMX_BARRIER;
        if (strip > 0) gather_values(out, h, o, parts, head, (strip - 1) * PANEL, share);
    }
}

AMX static void attend_heads(bf16 *out, Head *h, const Object *o)
{
    amx_begin();
    for (int64_t head = 0; head < o->heads; head++) {
        gather_head(h, o, head);
        if (o->parts == 1)
            attend(out, h, o, 1, head);
        else
            attend(out, h, o, 3, head);
    }
    amx_end();
}

Status panels_attention(bf16 *out, const bf16 *qkv, int64_t row, int64_t tokens, int64_t heads, int64_t width,
                        Arena *scratch)
{
    const Object o = {qkv, row, tokens, heads, width, panels_parts()};
    const Mark mark = arena_mark(scratch);
    Head h = {.tokens = panels_of(tokens), .width = panels_of(width)};
    const int64_t step = o.parts * PANEL_STEP;
    TRY(arena_new(&h.q, scratch, h.tokens * h.width * step));
    TRY(arena_new(&h.k, scratch, h.tokens * h.width * step));
    TRY(arena_new(&h.v, scratch, h.tokens * h.width * step));
    TRY(arena_new(&h.weight, scratch, h.tokens * step));
    for (int i = 0; i < 2; i++) TRY(arena_new(&h.score[i], scratch, h.tokens * PANEL_STEP));
    attend_heads(out, &h, &o);
    arena_reset(scratch, mark);
    return OK;
}

#endif
