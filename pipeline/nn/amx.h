/* amx.h - the matrix units for bf16 of Intel's CPUs (AMX; Intel 64 and IA-32 Architectures SDM, chapter 18): tiles of 16
   rows by 64 bytes, and the step that multiplies a panel of 32 rows by one of 32 columns. Private to nn.

   Numbers come in parts. One part: a number rounded to bf16 (8 bits of mantissa). Three parts: a float as the sum of three
   bf16, exactly; the product of two such numbers as the six products of parts that reach its 24 bits, each exact and summed
   in float: as good as a product of floats (Henry et al. 2019, ARITH 26), and still faster than vector units compute it.

   Panels. A factor of a product lies in panels of 32 rows (the left one) or 32 columns (the right one); a panel is a
   sequence of steps of 32 inner numbers; a step is for each part, the largest first, PANEL_STEP bf16: two tiles.
     left tile:  row r holds the 32 inner numbers of row r
     right tile: row r holds the inner numbers 2r and 2r + 1 of its 16 columns, side by side
   Beyond the matrix are zeros.

   Every sum starts at zero or at what was there, and takes its products in ascending inner order, whatever stands in
   the tile's other rows: a row's bits do not depend on its place. */
#ifndef NN_AMX_H
#define NN_AMX_H

#include <stdbool.h>
#include <stdint.h>

#include "nn/panels.h"

enum { PANEL_TILE = 512, PANEL_STEP = 1024, TILE_ROWS = 16 };

static inline int64_t panels_of(int64_t n) { return (n + PANEL - 1) / PANEL; }

#ifdef NN_PANELS

#include "transpose.h"

#define AMX        __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,amx-tile,amx-bf16")))
#define AMX_INLINE static inline __attribute__((always_inline)) AMX

/* The CPU has them and the kernel lets this process use them (asked once). */
bool amx_available(void);

/* Around products, per thread: all tiles 16 rows of 64 bytes; their state given back. */
void amx_begin(void);
void amx_end(void);

/* Matrices of float into panels: those of `rows` or `columns` places, place p having its inner numbers k = 0 .. deep - 1 at
   x[p * step + k * inner], step or inner being 1. Of the left factor panels [first, last). 64-byte aligned. */
void amx_pack_left(bf16 *out, int parts, const float *x, int64_t rows, int64_t step, int64_t inner, int64_t deep,
                   int64_t first, int64_t last);
void amx_pack_right(bf16 *out, int parts, const float *x, int64_t columns, int64_t step, int64_t inner, int64_t deep);

/* The four sums of a panel pair are tiles 0 1 / 2 3. */
AMX_INLINE void amx_zero(void)
{
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
}

/* c (32, 32), rows `stride` bytes apart. */
AMX_INLINE void amx_store(float *c, int64_t stride)
{
    _tile_stored(0, c, stride);
    _tile_stored(1, c + TILE_ROWS, stride);
    _tile_stored(2, (char *)c + TILE_ROWS * stride, stride);
    _tile_stored(3, (char *)(c + TILE_ROWS) + TILE_ROWS * stride, stride);
}

AMX_INLINE void amx_load(const float *c, int64_t stride)
{
    _tile_loadd(0, c, stride);
    _tile_loadd(1, c + TILE_ROWS, stride);
    _tile_loadd(2, (const char *)c + TILE_ROWS * stride, stride);
    _tile_loadd(3, (const char *)(c + TILE_ROWS) + TILE_ROWS * stride, stride);
}

AMX_INLINE void amx_load_left(const bf16 *left)
{
    _tile_loadd(4, left, 64);
    _tile_loadd(5, left + PANEL_TILE, 64);
}

AMX_INLINE void amx_load_right(const bf16 *right)
{
    _tile_loadd(6, right, 64);
    _tile_loadd(7, right + PANEL_TILE, 64);
}

AMX_INLINE void amx_multiply_tiles(void)
{
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
}

/* One step of a left and a right panel; of three parts a, b, c the products ca', ba', aa', ab', bb', ac', each with one
   factor of the one before. */
AMX_INLINE void amx_step(const bf16 *left, const bf16 *right, int parts)
{
    if (parts == 3) {
        amx_load_left(left + 2 * PANEL_STEP);
        amx_load_right(right);
        amx_multiply_tiles();
        amx_load_left(left + PANEL_STEP);
        amx_multiply_tiles();
    } else {
        amx_load_right(right);
    }
    amx_load_left(left);
    amx_multiply_tiles();
    if (parts == 3) {
        amx_load_right(right + PANEL_STEP);
        amx_multiply_tiles();
        amx_load_left(left + PANEL_STEP);
        amx_multiply_tiles();
        amx_load_left(left);
        amx_load_right(right + 2 * PANEL_STEP);
        amx_multiply_tiles();
    }
}

/* Tiles are read behind the compiler's back: what was stored stands in memory. */
#define AMX_BARRIER __asm__ volatile("" ::: "memory")

AMX_INLINE __mmask16 amx_lanes(int64_t n) { return n >= 16 ? 0xffff : n > 0 ? (__mmask16)((1 << n) - 1) : 0; }

/* 16 bf16 as floats. */
AMX_INLINE __m512 amx_widen(__m256i x) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16)); }

/* The largest part of 32 numbers, ties to even; what is left of them stays. */
AMX_INLINE __m512i amx_part(__m512 *low, __m512 *high)
{
    const __m512i part = (__m512i)_mm512_cvtne2ps_pbh(*high, *low);
    *low = _mm512_sub_ps(*low, amx_widen(_mm512_castsi512_si256(part)));
    *high = _mm512_sub_ps(*high, amx_widen(_mm512_extracti64x4_epi64(part, 1)));
    return part;
}

/* A line of a left factor from 32 numbers: their parts, PANEL_STEP apart. */
AMX_INLINE void amx_store_line(bf16 *line, int parts, __m512 low, __m512 high)
{
#pragma GCC unroll 3
    for (int i = 0; i < parts; i++) _mm512_store_si512(line + i * PANEL_STEP, amx_part(&low, &high));
}

/* The line of row `row` in step `step`, of `steps` steps of parts: 32 numbers side by side. */
AMX_INLINE int64_t amx_line(int64_t steps, int parts, int64_t row, int64_t step)
{
    return (row / PANEL * steps + step) * parts * PANEL_STEP + row % PANEL * PANEL;
}

/* 2^t: 2^f by the polynomial of least relative error on -1/2 <= f <= 1/2. Of one part the error is 2.6e-6, a thousandth of
   what bf16 resolves, of three 2e-9. */
AMX_INLINE __m512 amx_exp2(__m512 t, int parts)
{
    static const float short_term[] = {0.00957010221f, 0.0559178591f, 0.240247443f, 0.693121791f, 0.999999285f};
    static const float long_term[] = {
        0.000153458124f, 0.00133999309f, 0.00961848907f, 0.0555032864f, 0.240226462f, 0.693147182f, 1};
    const float *term = parts == 3 ? long_term : short_term;
    const int terms = parts == 3 ? 7 : 5;
    const __m512 n = _mm512_roundscale_ps(t, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC), f = _mm512_sub_ps(t, n);
    __m512 p = _mm512_set1_ps(term[0]);
#pragma GCC unroll 8
    for (int i = 1; i < terms; i++) p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(term[i]));
    return _mm512_scalef_ps(p, n);
}

/* Two rows of 32 numbers side by side by column: the first 16 columns, the others. */
AMX_INLINE void amx_interleave(__m512i out[2], __m512i even, __m512i odd)
{
    const __m512i low = _mm512_unpacklo_epi16(even, odd), high = _mm512_unpackhi_epi16(even, odd);
    const __m512i first = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11),
                  second = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
    out[0] = _mm512_permutex2var_epi64(low, first, high);
    out[1] = _mm512_permutex2var_epi64(low, second, high);
}

#endif
#endif
