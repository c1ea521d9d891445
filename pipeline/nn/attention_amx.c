/* attention_amx.c - attention of an object whose q, k and v lie in panels, on matrix units: what panels.h offers.

   Of a head, q, k and v become factors of products. A strip of 32 queries meets the keys a block at a time, so that scores
   and weights stay in the first cache: their scores; their weights 2^(score - top), in parts; the values by weight, added up
   over the blocks (Dao et al. 2022, arXiv:2205.14135) and divided by the sum of the weights at last. `top` is the largest
   score so far rounded up to a whole number: where a later block raises it, what was added up is multiplied by a power of
   two, exactly and seldom.

   The matrix units make the scores of one block and the values of the one before the last, while the vector units weigh the
   block between them. */
#include "nn/panels.h"

#include "amx.h"

#ifdef NN_PANELS

#include <math.h>

typedef struct {
    const bf16 *qkv; /* panels of (rows, 3 heads width) */
    int64_t row, tokens, heads, width;
    int parts;
} Object;

enum { MOST_KEYS = 5 }; /* panels of keys in a block */

/* In steps of 32: tokens, width, block. A block's rooms are those of two blocks in turn. */
typedef struct {
    int64_t tokens, width, block;
    bf16 *q, *k, *v;  /* left (tokens, width), right (width, tokens), right (tokens, width) */
    float *score[2];  /* (32, 32 block) */
    bf16 *weight[2];  /* left (32, block) */
    float *change[2]; /* (32): what the values before are multiplied by */
    float *sum;       /* (width, 32, 32): of a strip's values by weight, so far */
    float *total[2];  /* (32, 16): of a strip's weights so far, by lane; of two strips in turn */
    float *top;       /* (32) */
} Head;

/* A block of keys of a strip of queries. */
typedef struct {
    int64_t number, strip, first, panels; /* of all; panels of keys from `first` on */
    bool there, last;                     /* last: of its strip */
} Block;

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

static Block block_of(const Head *h, int64_t number)
{
    const int64_t blocks = (h->tokens + h->block - 1) / h->block, first = number % blocks * h->block;
    const int64_t left = h->tokens - first;
    return (Block){.number = number,
                   .strip = number / blocks,
                   .first = first,
                   .panels = left < h->block ? left : h->block,
                   .there = number >= 0 && number < blocks * h->tokens,
                   .last = left <= h->block};
}

/* Of 16 queries from r on: `top` with the scores of this block, and what that changes. Sixteen at once: a largest score is
   long in coming, and meanwhile another's is sought. */
AMX_INLINE void find_tops(Head *h, const Block *b, int64_t r, int64_t tokens, float scale)
{
    const int64_t there = tokens - b->first * PANEL, row = h->block * PANEL;
    const float *score = h->score[b->number % 2] + r * row;
    __m512i most[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) most[i] = _mm512_castps_si512(_mm512_set1_ps(-INFINITY));
    for (int64_t t = 0; t < b->panels * PANEL; t += 16) {
        const __mmask16 lanes = amx_lanes(there - t);
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++) {
            const __m512 m = _mm512_castsi512_ps(most[i]);
            most[i] = _mm512_castps_si512(_mm512_mask_max_ps(m, lanes, m, _mm512_load_ps(score + i * row + t)));
        }
    }
    transpose16(most);
#pragma GCC unroll 4
    for (int n = 8; n > 0; n /= 2)
#pragma GCC unroll 8
        for (int i = 0; i < n; i++)
            most[i] =
                _mm512_castps_si512(_mm512_max_ps(_mm512_castsi512_ps(most[i]), _mm512_castsi512_ps(most[i + n])));
    const __m512 before = _mm512_load_ps(h->top + r), one = _mm512_set1_ps(1);
    __m512 top = _mm512_roundscale_ps(_mm512_mul_ps(_mm512_castsi512_ps(most[0]), _mm512_set1_ps(scale)),
                                      _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC);
    if (b->first > 0) top = _mm512_max_ps(top, before);
    _mm512_store_ps(h->top + r, top);
    _mm512_store_ps(h->change[b->number % 2] + r,
                    b->first > 0 ? _mm512_scalef_ps(one, _mm512_sub_ps(before, top)) : one);
}

/* The weights of query r from its scores, into its lines of the left factor. */
AMX_INLINE void weigh(Head *h, const Block *b, int parts, int64_t r, int64_t tokens, float scale)
{
    const int64_t turn = b->number % 2, there = tokens - b->first * PANEL;
    const float *score = h->score[turn] + r * h->block * PANEL;
    float *total = h->total[b->strip % 2] + r * 16;
    bf16 *weight = h->weight[turn] + r * PANEL;
    if (r % 16 == 0) find_tops(h, b, r, tokens, scale);
    const __m512 by = _mm512_set1_ps(scale), less = _mm512_set1_ps(h->top[r]);
    __m512 sum = _mm512_setzero_ps();
    for (int64_t s = 0; s < b->panels; s++, weight += parts * PANEL_STEP) {
        __m512 p[2];
#pragma GCC unroll 2
        for (int half = 0; half < 2; half++) {
            const int64_t t = s * PANEL + half * 16;
            p[half] = amx_exp2(_mm512_fmsub_ps(_mm512_load_ps(score + t), by, less), parts);
            if (t + 16 > there) p[half] = _mm512_maskz_mov_ps(amx_lanes(there - t), p[half]);
        }
        sum = _mm512_add_ps(sum, _mm512_add_ps(p[0], p[1]));
        amx_store_line(weight, parts, p[0], p[1]);
    }
    if (b->first > 0) sum = _mm512_fmadd_ps(_mm512_load_ps(total), _mm512_set1_ps(h->change[turn][r]), sum);
    _mm512_store_ps(total, sum);
}

/* Rows of a block that are weighed step by step of the matrix units. */
typedef struct {
    Block block;
    int64_t row, due, steps; /* the next row; 32nds of a row that are due; steps that 32 rows are divided among */
    int64_t tokens;
    float scale;
} Weighing;

AMX_INLINE void weigh_due(Head *h, Weighing *w, int parts)
{
    for (w->due += PANEL; w->due >= w->steps && w->row < PANEL; w->due -= w->steps)
        weigh(h, &w->block, parts, w->row++, w->tokens, w->scale);
}

/* c (32, 32) = or += left right; a row is weighed now and then. */
AMX_INLINE void multiply(float *c, int64_t stride, int parts, const bf16 *left, const bf16 *right, int64_t steps,
                         bool add, Head *h, Weighing *w)
{
    const int64_t step = parts * PANEL_STEP, bytes = stride * (int64_t)sizeof *c;
    if (add)
        amx_load(c, bytes);
    else
        amx_zero();
    for (int64_t k = 0; k < steps; k++) {
        amx_step(left + k * step, right + k * step, parts);
        weigh_due(h, w, parts);
    }
    amx_store(c, bytes);
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

/* The values of a block by weight, 32 columns of the head, are added; of the last block they go to rows of `out`. */
AMX_INLINE void add_values(bf16 *out, Head *h, const Object *o, const Block *b, int parts, int64_t head, int64_t w,
                           Weighing *weighing)
{
    const int64_t step = parts * PANEL_STEP, at = b->strip * PANEL, left = o->tokens - at,
                  rows = left < PANEL ? left : PANEL;
    const float *change = h->change[b->number % 2], *total = h->total[b->strip % 2];
    float *sum = h->sum + w * PANEL * PANEL;
    for (int64_t r = 0; b->first > 0 && r < PANEL; r++) {
        if (change[r] == 1) continue;
        for (int64_t i = 0; i < PANEL; i++) sum[r * PANEL + i] *= change[r];
    }
    AMX_BARRIER;
    multiply(sum, PANEL, parts, h->weight[b->number % 2], h->v + (w * h->tokens + b->first) * step, b->panels,
             b->first > 0, h, weighing);
    AMX_BARRIER;
    for (int64_t r = 0; b->last && r < rows; r++) {
        const __m512 by = _mm512_set1_ps(1 / _mm512_reduce_add_ps(_mm512_load_ps(total + r * 16)));
        put_line(out, o, parts, at + r, head * o->width + w * PANEL, o->width - w * PANEL,
                 _mm512_mul_ps(_mm512_load_ps(sum + r * PANEL), by),
                 _mm512_mul_ps(_mm512_load_ps(sum + r * PANEL + 16), by));
    }
}

AMX_INLINE void attend(bf16 *out, Head *h, const Object *o, int parts, int64_t head)
{
    const float scale = 1.44269504088896340736f / sqrtf((float)o->width);
    const int64_t stride = h->block * PANEL, step = parts * PANEL_STEP;
    for (int64_t n = 0; block_of(h, n - 2).there || n < 2; n++) {
        const Block scored = block_of(h, n), added = block_of(h, n - 2);
        Weighing w = {.block = block_of(h, n - 1), .tokens = o->tokens, .scale = scale};
        w.steps = (scored.there ? scored.panels * h->width : 0) + (added.there ? h->width * added.panels : 0);
        w.row = w.block.there ? 0 : PANEL;
        for (int64_t k = 0; scored.there && k < scored.panels; k++)
            multiply(h->score[n % 2] + k * PANEL, stride, parts, h->q + scored.strip * h->width * step,
                     h->k + (scored.first + k) * h->width * step, h->width, false, h, &w);
        for (int64_t c = 0; added.there && c < h->width; c++) add_values(out, h, o, &added, parts, head, c, &w);
        while (w.row < PANEL) weigh(h, &w.block, parts, w.row++, w.tokens, w.scale);
        AMX_BARRIER;
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
    const int64_t step = o.parts * PANEL_STEP, blocks = (h.tokens + MOST_KEYS - 1) / MOST_KEYS;
    h.block = (h.tokens + blocks - 1) / blocks;
    TRY(arena_new(&h.q, scratch, h.tokens * h.width * step));
    TRY(arena_new(&h.k, scratch, h.tokens * h.width * step));
    TRY(arena_new(&h.v, scratch, h.tokens * h.width * step));
    TRY(arena_new(&h.sum, scratch, h.width * PANEL_STEP));
    TRY(arena_new(&h.top, scratch, PANEL));
    for (int i = 0; i < 2; i++) {
        TRY(arena_new(&h.score[i], scratch, h.block * PANEL_STEP));
        TRY(arena_new(&h.weight[i], scratch, h.block * step));
        TRY(arena_new(&h.change[i], scratch, PANEL));
        TRY(arena_new(&h.total[i], scratch, PANEL * 16));
    }
    attend_heads(out, &h, &o);
    arena_reset(scratch, mark);
    return OK;
}

#endif
