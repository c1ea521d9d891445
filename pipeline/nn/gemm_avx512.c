/* gemm_avx512.c - matrix products of our own for CPUs with AVX-512, in the manner of Goto and van de Geijn (2008, ACM
   TOMS 34, 12): panels of both factors are packed, and a kernel multiplies TALL rows by WIDE columns in registers, DEEP
   inner numbers at a time.

   Weights that are kept (gemm.h) are packed once.

   Every element of the result is one chain of fused multiply-adds over the inner dimension in ascending order, a new one
   every DEEP numbers, whatever stands beside it: the contract of gemm.h holds at every offset. */
#include "nn/gemm.h"

#include <stdlib.h>
#include <string.h>

#include "gemm_parts.h"
#include "transpose.h"

#if defined __x86_64__ && !defined REAL_DOUBLE

#define AVX512 __attribute__((target("avx512f")))
#define INLINE static inline __attribute__((always_inline, target("avx512f")))

/* Of C: rows and columns of a kernel, of a block. 24 sums, two of B and the broadcasts of A fill the 32 registers; a panel
   of B stays in the first cache, a block of A in the second. */
enum { TALL = 12, WIDE = 32, LANE = 16, DEEP = 256, ROWS = 40 * TALL, COLUMNS = 48 * WIDE };

/* C (m, n) += op(A) op(B), or = with `fresh`, bias added, row-major. A number of A is at a[row * a_row + inner * a_inner], of B at b[inner * b_inner + column *
   b_column]; one step of each is 1. */
typedef struct {
    float *c;
    const float *a, *b;
    int64_t m, n, k;
    int64_t a_row, a_inner, b_inner, b_column;
    bool fresh;
    const float *bias;   /* (n) or NULL */
    const float *packed; /* all of B, or NULL */
} Product;

static _Thread_local float packed_a[ROWS * DEEP] __attribute__((aligned(64)));
static _Thread_local float packed_b[COLUMNS * DEEP] __attribute__((aligned(64)));

static int n_threads = 1;

static bool available(void) { return __builtin_cpu_supports("avx512f"); }
static void set_threads(int threads) { n_threads = threads; }
static const char *version(void) { return "1"; }

/* ---- packing: a panel is (inner, width), zeros beyond the matrix ---- */

static __mmask16 first_lanes(int64_t n) { return n >= LANE ? 0xffff : n > 0 ? (__mmask16)((1 << n) - 1) : 0; }

/* At most 16 places of a panel whose inner numbers lie side by side; `places` of them are there. */
AVX512 static void pack_across(float *out, int64_t width, const float *in, int64_t stride, int64_t places, int64_t deep,
                               __mmask16 stored)
{
    for (int64_t k = 0; k < deep; k += LANE) {
        const int64_t n = deep - k < LANE ? deep - k : LANE;
        const __mmask16 loaded = first_lanes(n);
        __m512i r[LANE];
#pragma GCC unroll 16
        for (int i = 0; i < LANE; i++)
            r[i] = i < places ? _mm512_maskz_loadu_epi32(loaded, in + i * stride + k) : _mm512_setzero_si512();
#pragma GCC unroll 16
        for (int i = 0; i < LANE; i++) _mm_prefetch((const char *)(in + i * stride + k + 4 * LANE), _MM_HINT_T0);
        transpose16(r);
        if (n == LANE) {
#pragma GCC unroll 16
            for (int i = 0; i < LANE; i++) _mm512_mask_storeu_epi32(out + (k + i) * width, stored, r[i]);
        } else {
            float rest[LANE * LANE];
#pragma GCC unroll 16
            for (int i = 0; i < LANE; i++) _mm512_storeu_si512(rest + i * LANE, r[i]);
            for (int64_t i = 0; i < n; i++)
                _mm512_mask_storeu_ps(out + (k + i) * width, stored, _mm512_loadu_ps(rest + i * LANE));
        }
    }
}

/* At most 16 places that lie side by side themselves. */
AVX512 static void pack_along(float *out, int64_t width, const float *in, int64_t stride, int64_t places, int64_t deep,
                              __mmask16 stored)
{
    const __mmask16 loaded = first_lanes(places);
    for (int64_t k = 0; k < deep; k++)
        _mm512_mask_storeu_ps(out + k * width, stored, _mm512_maskz_loadu_ps(loaded, in + k * stride));
}

/* Panels of `width` places each, of n places that are `step` apart; inner numbers are `inner` apart. */
static void pack(float *out, int64_t width, const float *in, int64_t n, int64_t step, int64_t inner, int64_t deep)
{
    for (int64_t first = 0; first < n; first += width)
        for (int64_t at = 0; at < width; at += LANE) {
            const int64_t left = n - first - at, place = first + at;
            const __mmask16 stored = first_lanes(width - at);
            float *to = out + first * deep + at;
            if (inner == 1)
                pack_across(to, width, in + (left > 0 ? place * step : 0), step, left, deep, stored);
            else
                pack_along(to, width, in + (left > 0 ? place : 0), inner, left, deep, stored);
        }
}

/* ---- the kernel ---- */

/* How a tile ends: added to what is there, or, where it is the first of its chain, to the bias. */
typedef struct {
    bool fresh;
    const float *bias; /* of the tile's columns, or NULL */
} Ending;

INLINE void end_row(float *to, __mmask16 columns, __m512 sum, bool fresh, __m512 bias)
{
    const __m512 before = fresh ? bias : _mm512_maskz_loadu_ps(columns, to);
    _mm512_mask_storeu_ps(to, columns, _mm512_add_ps(before, sum));
}

/* C's rows x columns corner of TALL x WIDE from a panel of A times a panel of B. */
AVX512 static void multiply_tile(float *c, int64_t c_row, const float *a, const float *b, int64_t deep, int64_t rows,
                                 int64_t columns, Ending e)
{
    __m512 low[TALL], high[TALL];
    for (int64_t i = 0; i < rows; i++) { /* C is on its way while the kernel works */
        _mm_prefetch((const char *)(c + i * c_row), _MM_HINT_T0);
        _mm_prefetch((const char *)(c + i * c_row + LANE), _MM_HINT_T0);
    }
#pragma GCC unroll 12
    for (int i = 0; i < TALL; i++) low[i] = high[i] = _mm512_setzero_ps();
    for (int64_t k = 0; k < deep; k++, a += TALL, b += WIDE) {
        const __m512 b_low = _mm512_load_ps(b), b_high = _mm512_load_ps(b + LANE);
#pragma GCC unroll 12
        for (int i = 0; i < TALL; i++) {
            const __m512 x = _mm512_set1_ps(a[i]);
            low[i] = _mm512_fmadd_ps(x, b_low, low[i]);
            high[i] = _mm512_fmadd_ps(x, b_high, high[i]);
        }
    }
    const __mmask16 left = first_lanes(columns), right = first_lanes(columns - LANE);
    const __m512 bias_low = e.bias ? _mm512_maskz_loadu_ps(left, e.bias) : _mm512_setzero_ps();
    const __m512 bias_high = e.bias ? _mm512_maskz_loadu_ps(right, e.bias + LANE) : _mm512_setzero_ps();
#pragma GCC unroll 12
    for (int i = 0; i < TALL; i++) {
        if (i >= rows) break;
        end_row(c + i * c_row, left, low[i], e.fresh, bias_low);
        end_row(c + i * c_row + LANE, right, high[i], e.fresh, bias_high);
    }
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t whole_panels(int64_t columns) { return (columns + WIDE - 1) / WIDE * WIDE; }

/* Columns [column, column + wide) of B and inner numbers [k, k + deep). */
static void pack_b(float *out, const Product *p, int64_t column, int64_t wide, int64_t k, int64_t deep)
{
    pack(out, WIDE, p->b + column * p->b_column + k * p->b_inner, wide, p->b_column, p->b_inner, deep);
}

/* Where that stands in a B that is packed whole. */
static int64_t place_of(const Product *p, int64_t column, int64_t wide, int64_t k)
{
    return column * p->k + whole_panels(wide) * k;
}

/* Rows [row, row + tall) of the product by a packed block of B. Each tile fetches its share of the panel that comes next. */
static void multiply_block(const Product *p, const float *b, int64_t row, int64_t tall, int64_t column, int64_t wide,
                           int64_t k, int64_t deep)
{
    const bool fresh = p->fresh && k == 0;
    const int64_t lines = (WIDE * deep * TALL / tall + LANE - 1) / LANE;
    pack(packed_a, TALL, p->a + row * p->a_row + k * p->a_inner, tall, p->a_row, p->a_inner, deep);
    for (int64_t j = 0; j < wide; j += WIDE) {
        const Ending e = {fresh, fresh && p->bias ? p->bias + column + j : NULL};
        const float *next = b + (j + WIDE) * deep;
        for (int64_t i = 0; i < tall; i += TALL) {
            for (int64_t l = 0; l < lines; l++, next += LANE) _mm_prefetch((const char *)next, _MM_HINT_T1);
            multiply_tile(p->c + (row + i) * p->n + column + j, p->n, packed_a + i * deep, b + j * deep, deep,
                          least(TALL, tall - i), least(WIDE, wide - j), e);
        }
    }
}

/* A block of rows stays in the cache over all inner numbers, where B is packed already. */
static void multiply_kept(const Product *p, int64_t from, int64_t to, int64_t column, int64_t wide)
{
    for (int64_t row = from; row < to; row += ROWS)
        for (int64_t k = 0; k < p->k; k += DEEP)
            multiply_block(p, p->packed + place_of(p, column, wide, k), row, least(ROWS, to - row), column, wide, k,
                           least(DEEP, p->k - k));
}

/* Each block of B is packed once for all rows. */
static void multiply_fresh(const Product *p, int64_t from, int64_t to, int64_t column, int64_t wide)
{
    for (int64_t k = 0; k < p->k; k += DEEP) {
        const int64_t deep = least(DEEP, p->k - k);
        pack_b(packed_b, p, column, wide, k, deep);
        for (int64_t row = from; row < to; row += ROWS)
            multiply_block(p, packed_b, row, least(ROWS, to - row), column, wide, k, deep);
    }
}

/* Rows [from, to) of a product, for one thread. */
static void multiply_rows(const void *product, int64_t from, int64_t to)
{
    const Product *p = product;
    for (int64_t column = 0; column < p->n; column += COLUMNS)
        (p->packed ? multiply_kept : multiply_fresh)(p, from, to, column, least(COLUMNS, p->n - column));
}

/* ---- kept weights ---- */

static int64_t kept_reals(int64_t n_out, int64_t n_in) { return whole_panels(n_out) * n_in; }

static Product forward_product(real *y, const real *x, const real *w, const real *b, int64_t rows, int64_t n_out,
                               int64_t n_in)
{
    return (Product){y, x, w, rows, n_out, n_in, n_in, 1, 1, n_in, .fresh = true, .bias = b};
}

/* All blocks of B, each where multiply_rows looks for it. */
static void keep(real *kept, const real *w, int64_t n_out, int64_t n_in)
{
    const Product p = forward_product(NULL, NULL, w, NULL, 0, n_out, n_in);
    for (int64_t column = 0; column < p.n; column += COLUMNS)
        for (int64_t k = 0; k < p.k; k += DEEP) {
            const int64_t wide = least(COLUMNS, p.n - column);
            pack_b(kept + place_of(&p, column, wide, k), &p, column, wide, k, least(DEEP, p.k - k));
        }
}

/* ---- the products of gemm.h ---- */

static void multiply(const Product *p) { gemm_parts(n_threads, p->m, p->n * p->k, multiply_rows, p); }

static void forward(real *y, const real *x, const real *w, const real *b, int64_t rows, int64_t n_out, int64_t n_in)
{
    Product p = forward_product(y, x, w, b, rows, n_out, n_in);
    p.packed = gemm_kept(w);
    multiply(&p);
}

static void backward_x(real *d_x, const real *d_y, const real *w, int64_t rows, int64_t n_out, int64_t n_in)
{
    multiply(&(Product){d_x, d_y, w, rows, n_in, n_out, n_out, 1, n_in, 1, .fresh = false});
}

static void backward_w(real *d_w, const real *d_y, const real *x, int64_t rows, int64_t n_out, int64_t n_in)
{
    multiply(&(Product){d_w, d_y, x, n_out, n_in, rows, 1, n_out, n_in, 1, .fresh = false});
}

const GemmProvider gemm_avx512 = {"avx512",   available,  version,    set_threads, forward,
                                  backward_x, backward_w, kept_reals, keep};

#else

static bool available(void) { return false; }

const GemmProvider gemm_avx512 = {.name = "avx512", .available = available};

#endif
