/* amx_product.c - how a product is cut so that the matrix units are fed.

   A block of rows, at most BLOCK bytes of the left factor, stays in the second cache; panels of the right factor go by, each
   meets all panels of the block while the next is fetched. A step multiplies 64 KFLOP from 4 KB: the units wait for the
   cache, and the vector units have nothing to do. So the sums of a panel pair are stored aside, and while the next pair is
   multiplied they are ended, a row per step: bias, GELU, rounding, residual cost next to nothing.

   Where the result is float, inner dimensions of more than AMX_DEEP steps are taken piece by piece, each added to the result. */
#include "amx_product.h"

#ifdef NN_PANELS

#include "gelu_one.h"

enum { BLOCK = 9 << 17 };

/* The sums of a panel pair that wait to be ended, row after row. */
typedef struct {
    const float *sums; /* (32, 32) */
    int64_t left;      /* rows to end: from PANEL down; of a y those beyond the last are passed over */
    int64_t beyond;    /* as many of these are no rows of the result */
    bool fresh;        /* nothing is in y yet */
    __mmask16 there[2];
    __m512 bias[2], gamma[2];
    float *y;
    bf16 *out;
} Waiting;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t up(int64_t a, int64_t b) { return (a + b - 1) / b; }

AMX_INLINE __m512 columns_of(const float *x, int64_t column, __mmask16 there, float otherwise)
{
    return x ? _mm512_maskz_loadu_ps(there, x + column) : _mm512_set1_ps(otherwise);
}

/* `first`: of the pieces, that which takes the bias. */
AMX_INLINE Waiting wait_for(const AmxProduct *p, AmxEnd end, int parts, const float *sums, int64_t row, int64_t column,
                            bool first)
{
    Waiting w = {.sums = sums, .left = PANEL, .fresh = end == END_STORE && first};
    for (int h = 0; h < 2; h++) {
        w.there[h] = amx_lanes(p->columns - column - 16 * h);
        w.bias[h] = columns_of(first ? p->bias : NULL, column + 16 * h, w.there[h], 0);
        w.gamma[h] = columns_of(p->gamma, column + 16 * h, w.there[h], 1);
    }
    if (end == END_STORE || end == END_ADD) {
        w.beyond = row + PANEL > p->rows ? row + PANEL - p->rows : 0;
        w.y = p->y + row * p->y_row + column;
    } else {
        w.out = p->out + amx_line(panels_of(p->columns), parts, row, column / PANEL);
    }
    return w;
}

/* x/2 (1 + erf(x / sqrt 2)) = max(x, 0) - |x|/2 2 Phi(-|x|), with the tail of gelu_one.h. */
AMX_INLINE __m512 gelu(__m512 x, int parts)
{
    const __m512 size = _mm512_abs_ps(x), z = _mm512_min_ps(size, _mm512_set1_ps(TAIL_END));
    __m512 q = _mm512_set1_ps(tail_term[0]);
#pragma GCC unroll 10
    for (int i = 1; i < TAIL_TERMS; i++) q = _mm512_fmadd_ps(q, z, _mm512_set1_ps(tail_term[i]));
    const __m512 tail = amx_exp2(_mm512_sub_ps(_mm512_setzero_ps(), _mm512_mul_ps(q, z)), parts);
    return _mm512_fnmadd_ps(_mm512_mul_ps(size, _mm512_set1_ps(0.5f)), tail, _mm512_max_ps(x, _mm512_setzero_ps()));
}

AMX_INLINE void end_row(const AmxProduct *p, AmxEnd end, int parts, Waiting *w)
{
    __m512 s[2];
#pragma GCC unroll 2
    for (int h = 0; h < 2; h++) {
        s[h] = _mm512_add_ps(_mm512_load_ps(w->sums + 16 * h), w->bias[h]);
        if (end == END_GELU) s[h] = gelu(s[h], parts);
    }
    if (end == END_ROUND || end == END_GELU) {
        amx_store_line(w->out, parts, s[0], s[1]);
        w->out += PANEL;
    } else if (w->left > w->beyond) {
#pragma GCC unroll 2
        for (int h = 0; h < 2; h++) {
            if (end == END_ADD || !w->fresh)
                s[h] = _mm512_fmadd_ps(s[h], w->gamma[h], _mm512_maskz_loadu_ps(w->there[h], w->y + 16 * h));
            _mm512_mask_storeu_ps(w->y + 16 * h, w->there[h], s[h]);
        }
        w->y += p->y_row;
    }
    w->sums += PANEL;
    w->left--;
}

/* Cache lines that are fetched while something else is computed, some a step. */
typedef struct {
    const char *line;
    int64_t each;
} Fetch;

AMX_INLINE void fetch(Fetch *f)
{
    for (int64_t l = 0; l < f->each; l++, f->line += 64) _mm_prefetch(f->line, _MM_HINT_T1);
}

/* A panel pair, `steps` steps of it; meanwhile rows that wait are ended, and the next panels and the lines of the result
   where these sums will go are fetched. */
AMX_INLINE void multiply_pair(const AmxProduct *p, AmxEnd end, int parts, const bf16 *left, const bf16 *right,
                              int64_t steps, Waiting *w, Fetch *next_right, Fetch *next_left, const char *result,
                              int64_t row_bytes)
{
    const int at_once = steps < PANEL ? 2 : 1;
    for (int64_t k = 0; k < steps; k++, left += parts * PANEL_STEP, right += parts * PANEL_STEP) {
        amx_step(left, right, parts);
        fetch(next_right);
        fetch(next_left);
        if (k < PANEL) {
            __builtin_prefetch(result, 1);
            if (end == END_STORE || end == END_ADD) __builtin_prefetch(result + 64, 1);
            result += row_bytes;
        }
        for (int e = 0; e < at_once && w->left > 0; e++) end_row(p, end, parts, w);
    }
    while (w->left > 0) end_row(p, end, parts, w);
}

/* Panels [first, last) of rows. */
AMX_INLINE void multiply_panels(const AmxProduct *p, AmxEnd end, int parts, int64_t first, int64_t last)
{
    const bool rows_out = end == END_STORE || end == END_ADD;
    const int64_t row_bytes = rows_out ? p->y_row * (int64_t)sizeof *p->y : PANEL * (int64_t)sizeof *p->out;
    const int64_t step = parts * PANEL_STEP, bytes = step * (int64_t)sizeof(bf16);
    const int64_t steps = panels_of(p->deep), wide = panels_of(p->columns);
    const int64_t piece = rows_out ? least(steps, AMX_DEEP / parts) : steps;
    const int64_t blocks = up(last - first, most(1, BLOCK / (piece * bytes))), tall = up(last - first, most(1, blocks));
    float aside[2][PANEL * PANEL] __attribute__((aligned(64)));
    Waiting w = {.left = 0};
    int turn = 0;
    for (int64_t top = first; top < last; top += tall)
        for (int64_t k = 0; k < steps; k += piece) {
            const int64_t n = least(piece, steps - k), rows = least(tall, last - top);
            for (int64_t j = 0; j < wide; j++) {
                const bf16 *right = p->right + (j * steps + k) * step;
                Fetch next_right = {(const char *)(right + steps * step), up(bytes / 64, rows)};
                for (int64_t i = 0; i < rows; i++) {
                    const int64_t row = (top + i) * PANEL;
                    const char *result = rows_out ? (const char *)(p->y + row * p->y_row + j * PANEL)
                                                  : (const char *)(p->out + amx_line(wide, parts, row, j));
                    const bf16 *left = p->left + ((top + i) * steps + k) * step;
                    Fetch next_left = {(const char *)(left + steps * step), j == 0 ? bytes / 64 : 0};
                    amx_zero();
                    multiply_pair(p, end, parts, left, right, n, &w, &next_right, &next_left, result, row_bytes);
                    turn = !turn;
                    amx_store(aside[turn], PANEL * sizeof **aside);
                    w = wait_for(p, end, parts, aside[turn], row, j * PANEL, k == 0);
                }
            }
        }
    while (w.left > 0) end_row(p, end, parts, &w);
}

AMX_INLINE void multiply_parts(const AmxProduct *p, int parts, int64_t first, int64_t last)
{
    switch (p->end) {
    case END_STORE: multiply_panels(p, END_STORE, parts, first, last); break;
    case END_ADD: multiply_panels(p, END_ADD, parts, first, last); break;
    case END_ROUND: multiply_panels(p, END_ROUND, parts, first, last); break;
    case END_GELU: multiply_panels(p, END_GELU, parts, first, last); break;
    }
}

AMX void amx_multiply(const AmxProduct *p, int64_t from, int64_t to)
{
    amx_begin();
    if (p->parts == 1)
        multiply_parts(p, 1, from / PANEL, panels_of(to));
    else
        multiply_parts(p, 3, from / PANEL, panels_of(to));
    amx_end();
}

#endif
