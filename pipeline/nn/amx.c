/* amx.c - leave to use the matrix units, and matrices brought into their panels. */
#include "amx.h"

#ifdef NN_PANELS

#include <cpuid.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool ask(void)
{
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18, AMX_BF16 = 1 << 22, AMX_TILE = 1 << 24, AVX512_BF16 = 1 << 5 };
    unsigned a, b, c, d;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512dq"))
        return false;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d & AMX_BF16) || !(d & AMX_TILE)) return false;
    if (!__get_cpuid_count(7, 1, &a, &b, &c, &d) || !(a & AVX512_BF16)) return false;
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}

bool amx_available(void)
{
    static int answer = -1;
    if (answer < 0) answer = ask();
    return answer;
}

AMX void amx_begin(void)
{
    struct {
        uint8_t palette, start, reserved[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } config = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        config.bytes[i] = 64;
        config.rows[i] = TILE_ROWS;
    }
    AMX_BARRIER;
    _tile_loadconfig(&config);
}

AMX void amx_end(void) { _tile_release(); }

/* ---- factors of products ---- */

/* Two halves of 32 numbers each of which some are there. */
typedef struct {
    __m512 low[16], high[16];
} Rows;

/* 16 rows of 32 inner numbers, as far as they are there. */
AMX_INLINE void load_rows(Rows *r, const float *x, int64_t stride, int64_t rows, int64_t n)
{
    for (int i = 0; i < TILE_ROWS; i++) {
        r->low[i] = i < rows ? _mm512_maskz_loadu_ps(amx_lanes(n), x + i * stride) : _mm512_setzero_ps();
        r->high[i] = i < rows ? _mm512_maskz_loadu_ps(amx_lanes(n - 16), x + i * stride + 16) : _mm512_setzero_ps();
    }
}

/* 32 inner numbers of 16 columns, each inner number a row of x: pairs of rows. */
AMX_INLINE void load_pairs(Rows *r, const float *x, int64_t stride, int64_t inner, int64_t columns)
{
    const __mmask16 there = amx_lanes(columns);
    for (int i = 0; i < TILE_ROWS; i++) {
        r->low[i] = _mm512_maskz_loadu_ps(2 * i < inner ? there : 0, x + 2 * i * stride);
        r->high[i] = _mm512_maskz_loadu_ps(2 * i + 1 < inner ? there : 0, x + (2 * i + 1) * stride);
    }
}

/* Halves side by side, number by number. */
AMX_INLINE __m512i alternate(__m512i x)
{
    const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                                           21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return _mm512_permutexvar_epi16(order, x);
}

/* Panels [first, last) of n places. Both kinds of tile have the pair of inner numbers (2j, 2j + 1) of place i: the left one
   at (i, j), the right one at (j, i). */
AMX_INLINE void pack(bf16 *out, int parts, const float *x, int64_t n, int64_t step, int64_t inner, int64_t deep,
                     int64_t first, int64_t last, bool left)
{
    for (int64_t panel = first; panel < last; panel++)
        for (int64_t k = 0; k < deep; k += PANEL, out += parts * PANEL_STEP)
            for (int64_t at = 0; at < PANEL; at += TILE_ROWS) {
                const int64_t place = panel * PANEL + at, there = n - place;
                const float *from = x + (there > 0 ? place * step : 0) + k * inner;
                Rows rows;
                if (inner == 1)
                    load_rows(&rows, from, step, there, deep - k);
                else
                    load_pairs(&rows, from, inner, deep - k, there);
                for (int part = 0; part < parts; part++) {
                    bf16 *tile = out + part * PANEL_STEP + at * PANEL;
                    __m512i r[16];
#pragma GCC unroll 16
                    for (int i = 0; i < TILE_ROWS; i++) {
                        const __m512i line = amx_part(&rows.low[i], &rows.high[i]);
                        r[i] = inner == 1 ? line : alternate(line);
                    }
                    if (left != (inner == 1)) transpose16(r);
#pragma GCC unroll 16
                    for (int i = 0; i < TILE_ROWS; i++) _mm512_store_si512(tile + i * PANEL, r[i]);
                }
            }
}

AMX void amx_pack_left(bf16 *out, int parts, const float *x, int64_t rows, int64_t step, int64_t inner, int64_t deep,
                       int64_t first, int64_t last)
{
    pack(out, parts, x, rows, step, inner, deep, first, last, true);
}

AMX void amx_pack_right(bf16 *out, int parts, const float *x, int64_t columns, int64_t step, int64_t inner,
                        int64_t deep)
{
    pack(out, parts, x, columns, step, inner, deep, 0, panels_of(columns), false);
}

#endif
