/* panels.c - layer norm into panels, and linear layers from panels to panels or into the residual stream. */
#include "nn/panels.h"

#ifdef NN_PANELS

#include <math.h>

#include "gemm_amx.h"
#include "nn/gemm.h"

int panels_parts(void)
{
    const GemmProvider *p = gemm_linear();
    return p == &gemm_amx ? 3 : p == &gemm_amx_bf16 ? 1 : 0;
}

Status panels_new(bf16 **out, Arena *a, int64_t rows, int64_t n)
{
    return arena_new(out, a, panels_of(rows) * panels_of(n) * panels_parts() * PANEL_STEP);
}

/* ---- layer norm ---- */

/* Sum of (x - mean)^2, mean 0 for the plain sum of x: each of 16 lanes in order, then the lanes. */
AMX_INLINE float sum_row(const float *x, int64_t n, float mean, bool squares)
{
    __m512 lane[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
    for (int64_t i = 0; i < n; i += 32)
#pragma GCC unroll 2
        for (int h = 0; h < 2; h++) {
            const __mmask16 there = amx_lanes(n - i - 16 * h);
            if (!squares) _mm_prefetch((const char *)(x + i + 16 * h + panels_row(n)), _MM_HINT_T0); /* the next row */
            __m512 v = _mm512_maskz_loadu_ps(there, x + i + 16 * h);
            if (squares) v = _mm512_maskz_sub_ps(there, v, _mm512_set1_ps(mean));
            lane[h] = squares ? _mm512_fmadd_ps(v, v, lane[h]) : _mm512_add_ps(lane[h], v);
        }
    return _mm512_reduce_add_ps(_mm512_add_ps(lane[0], lane[1]));
}

AMX_INLINE __m512 scaled(const float *x, const float *w, const float *b, int64_t n, float mean, float rstd)
{
    const __mmask16 there = amx_lanes(n);
    const __m512 v =
        _mm512_mul_ps(_mm512_sub_ps(_mm512_maskz_loadu_ps(there, x), _mm512_set1_ps(mean)), _mm512_set1_ps(rstd));
    return _mm512_maskz_fmadd_ps(there, v, _mm512_maskz_loadu_ps(there, w), _mm512_maskz_loadu_ps(there, b));
}

AMX_INLINE void norm_rows(bf16 *out, int parts, const float *x, const float *w, const float *b, int64_t rows, int64_t n,
                          float eps)
{
    const int64_t steps = panels_of(n);
    for (int64_t r = 0; r < rows; r++, x += panels_row(n)) {
        const float mean = sum_row(x, n, 0, false) / (float)n,
                    rstd = 1 / sqrtf(sum_row(x, n, mean, true) / (float)n + eps);
        for (int64_t s = 0; s < steps; s++) {
            const int64_t i = s * PANEL;
            amx_store_line(out + amx_line(steps, parts, r, s), parts, scaled(x + i, w + i, b + i, n - i, mean, rstd),
                           scaled(x + i + 16, w + i + 16, b + i + 16, n - i - 16, mean, rstd));
        }
    }
}

AMX void panels_norm(bf16 *out, const real *x, const real *w, const real *b, int64_t rows, int64_t n, real eps)
{
    if (panels_parts() == 1)
        norm_rows(out, 1, x, w, b, rows, n, eps);
    else
        norm_rows(out, 3, x, w, b, rows, n, eps);
}

/* ---- linear layers ---- */

static AmxProduct product_of(const bf16 *x, const real *w, const real *b, int64_t rows, int64_t n_out, int64_t n_in)
{
    const int parts = panels_parts();
    return (AmxProduct){.left = x,
                        .right = gemm_amx_weights(parts, w, n_out, n_in),
                        .parts = parts,
                        .rows = rows,
                        .columns = n_out,
                        .deep = n_in,
                        .bias = b};
}

void panels_linear(bf16 *out, const bf16 *x, const real *w, const real *b, int64_t rows, int64_t n_out, int64_t n_in)
{
    AmxProduct p = product_of(x, w, b, rows, n_out, n_in);
    p.end = END_ROUND;
    p.out = out;
    gemm_amx_multiply(&p);
}

void panels_linear_gelu(bf16 *out, const bf16 *x, const real *w, const real *b, int64_t rows, int64_t n_out,
                        int64_t n_in)
{
    AmxProduct p = product_of(x, w, b, rows, n_out, n_in);
    p.end = END_GELU;
    p.out = out;
    gemm_amx_multiply(&p);
}

void panels_linear_add(real *to, const real *gamma, const bf16 *x, const real *w, const real *b, int64_t rows,
                       int64_t n_out, int64_t n_in)
{
    AmxProduct p = product_of(x, w, b, rows, n_out, n_in);
    p.end = END_ADD;
    p.gamma = gamma;
    p.y = to;
    p.y_row = panels_row(n_out);
    gemm_amx_multiply(&p);
}

/* ---- for benchmarks ---- */

AMX void panels_spin(const bf16 *left, const bf16 *right, int64_t numbers, int64_t passes)
{
    amx_begin();
    amx_zero();
    for (int64_t i = 0; i < passes; i++)
        for (int64_t k = 0; k < numbers; k += PANEL_STEP) amx_step(left + k, right + k, 1);
    amx_end();
}

#endif
