/* gemm_ref.c - the matrix products as loops: the reference that every faster provider is compared with, kept for ever.
   Each element is a dot product of its own in a fixed order, so rows cannot see each other. */
#include "nn/gemm.h"
#include "nn/vector.h"

static bool available(void) { return true; }
static const char *version(void) { return "loops"; }
static void set_threads(int threads) { (void)threads; }

static void forward(real *y, const real *x, const real *w, const real *b, int64_t rows, int64_t n_out, int64_t n_in)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t o = 0; o < n_out; o++)
            y[r * n_out + o] = vector_dot(x + r * n_in, w + o * n_in, n_in) + (b ? b[o] : 0);
}

static void backward_x(real *restrict d_x, const real *d_y, const real *w, int64_t rows, int64_t n_out, int64_t n_in)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t o = 0; o < n_out; o++)
            for (int64_t i = 0; i < n_in; i++) d_x[r * n_in + i] += d_y[r * n_out + o] * w[o * n_in + i];
}

static void backward_w(real *restrict d_w, const real *d_y, const real *x, int64_t rows, int64_t n_out, int64_t n_in)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t o = 0; o < n_out; o++)
            for (int64_t i = 0; i < n_in; i++) d_w[o * n_in + i] += d_y[r * n_out + o] * x[r * n_in + i];
}

const GemmProvider gemm_ref = {"ref", available, version, set_threads, forward, backward_x, backward_w, NULL, NULL};
