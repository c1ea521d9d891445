/* gemm_bf16.c - products of numbers rounded to bf16 (8 bits of mantissa, to nearest, ties to even), accumulated in
   `real` by the chosen provider: what matrix units for bf16 compute, on any CPU. Weights and activations stay as they
   are in memory; biases and results are not rounded.

   A row is rounded by itself, so rows stay apart as the provider below keeps them apart. Rows go in blocks, which bounds
   the memory for rounded copies; a block is a multiple of GEMM_ROWS. */
#include "nn/gemm.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK = 40 * GEMM_ROWS };

/* The nearest bf16. Ties go to even; beyond the largest bf16 is infinity; NaN stays NaN. */
static void round_to_bf16(real *out, const real *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const float value = (float)x[i];
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        bits = (bits + 0x7fffu + ((bits >> 16) & 1)) & 0xffff0000u;
        float rounded;
        memcpy(&rounded, &bits, sizeof rounded);
        out[i] = value == value ? (real)rounded : x[i];
    }
}

/* Room for n reals, kept for the next call of this thread: one weight matrix and one block of rows. */
static real *spare(int64_t n)
{
    static _Thread_local real *memory;
    static _Thread_local int64_t size;
    if (n > size) {
        free(memory);
        memory = malloc(sizeof *memory * (size_t)n);
        MUST(memory != NULL);
        size = n;
    }
    return memory;
}

static int64_t least(int64_t x, int64_t y) { return x < y ? x : y; }

static void forward(real *y, const real *x, const real *w, const real *b, int64_t rows, int64_t n_out, int64_t n_in)
{
    const int64_t block = least(rows, BLOCK), n_w = gemm_kept(w) ? 0 : n_out * n_in;
    real *some_w = spare(n_w + block * n_in), *some_x = some_w + n_w;
    round_to_bf16(some_w, w, n_w);
    for (int64_t at = 0; at < rows; at += block) {
        const int64_t n = least(rows - at, block);
        round_to_bf16(some_x, x + at * n_in, n * n_in);
        gemm()->forward(y + at * n_out, some_x, n_w > 0 ? some_w : w, b, n, n_out, n_in);
    }
}

static void backward_x(real *d_x, const real *d_y, const real *w, int64_t rows, int64_t n_out, int64_t n_in)
{
    const int64_t block = least(rows, BLOCK);
    real *some_w = spare(n_out * n_in + block * n_out), *some_y = some_w + n_out * n_in;
    round_to_bf16(some_w, w, n_out * n_in);
    for (int64_t at = 0; at < rows; at += block) {
        const int64_t n = least(rows - at, block);
        round_to_bf16(some_y, d_y + at * n_out, n * n_out);
        gemm()->backward_x(d_x + at * n_in, some_y, some_w, n, n_out, n_in);
    }
}

static void backward_w(real *d_w, const real *d_y, const real *x, int64_t rows, int64_t n_out, int64_t n_in)
{
    const int64_t block = least(rows, BLOCK);
    real *some_y = spare(block * (n_out + n_in)), *some_x = some_y + block * n_out;
    for (int64_t at = 0; at < rows; at += block) {
        const int64_t n = least(rows - at, block);
        round_to_bf16(some_y, d_y + at * n_out, n * n_out);
        round_to_bf16(some_x, x + at * n_in, n * n_in);
        gemm()->backward_w(d_w, some_y, some_x, n, n_out, n_in);
    }
}

static int64_t kept_reals(int64_t n_out, int64_t n_in)
{
    return gemm()->kept_reals ? gemm()->kept_reals(n_out, n_in) : 0;
}

static void keep(real *kept, const real *w, int64_t n_out, int64_t n_in)
{
    real *some_w = spare(n_out * n_in);
    round_to_bf16(some_w, w, n_out * n_in);
    gemm()->keep(kept, some_w, n_out, n_in);
}

static bool available(void) { return gemm()->available(); }
static const char *version(void) { return gemm()->version(); }
static void set_threads(int threads) { gemm()->set_threads(threads); }

const GemmProvider gemm_bf16 = {"bf16",     available,  version,    set_threads, forward,
                                backward_x, backward_w, kept_reals, keep};
