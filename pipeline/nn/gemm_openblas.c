/* gemm_openblas.c - the matrix products through OpenBLAS (sgemm or dgemm, as `real` is).

   OpenBLAS by itself breaks the contract of gemm.h in several ways, each measured with 0.3.21:
   - products of up to 100^3 multiplications go to other kernels (AVX-512), so a row's bits depend on how many rows come
     with it;
   - those kernels treat the last rows of a product (rows mod 4) in another order of summation, the AVX2 kernels rows
     beyond whole dozens;
   - AVX2 kernels treat the first and the last columns of a product differently;
   - its threads cut the inner dimension at other places than one thread does.
   Hence: a small matrix W is always met with exactly PANEL rows; a large one with whole multiples of GEMM_ROWS,
   which is beyond 100^3 from the first panel on; tails are padded with zero rows; OpenBLAS runs single-threaded, and
   threads of our own split the rows of the result in whole panels. */
#include "nn/gemm.h"

#include <cblas.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "gemm_parts.h"

#ifdef REAL_DOUBLE
#define cblas_gemm cblas_dgemm
#else
#define cblas_gemm cblas_sgemm
#endif

enum {
    PANEL = 2 * GEMM_ROWS, /* rows of every product with a small W */
    LARGE = 256 * 256,     /* elements of W from which GEMM_ROWS rows make more than 100^3 multiplications */
};

static int n_threads = 1;

static bool available(void) { return true; }

static void set_threads(int threads)
{
    openblas_set_num_threads(1);
    n_threads = threads;
}

static const char *version(void)
{
    static char text[64];
    char number[32] = "";
    sscanf(openblas_get_config(), "OpenBLAS %31s", number);
    snprintf(text, sizeof text, "%s %s", number, openblas_get_corename());
    return text;
}

/* ---- one product: C (m, n) += op(A) op(B), row-major ---- */

typedef struct {
    real *c;
    const real *a, *b;
    int64_t m, n, k;
    bool transpose_a, transpose_b; /* A is stored (k, m); B is stored (n, k) */
} Product;

static void multiply_part(const void *product, int64_t from, int64_t to)
{
    const Product *p = product;
    MUST(p->m <= INT_MAX && p->n <= INT_MAX && p->k <= INT_MAX);
    cblas_gemm(CblasRowMajor, p->transpose_a ? CblasTrans : CblasNoTrans, p->transpose_b ? CblasTrans : CblasNoTrans,
               (int)(to - from), (int)p->n, (int)p->k, 1, p->a + from * (p->transpose_a ? 1 : p->k),
               (int)(p->transpose_a ? p->m : p->k), p->b, (int)(p->transpose_b ? p->k : p->n), 1, p->c + from * p->n,
               (int)p->n);
}

static void multiply(const Product *p) { gemm_parts(n_threads, p->m, p->n * p->k, multiply_part, p); }

/* ---- rows of x against W, in panels ---- */

/* Room for n reals, kept for the next call of this thread. */
static real *spare(int64_t n)
{
    static _Thread_local real *memory;
    static _Thread_local int64_t size;
    if (n > size) {
        free(memory);
        memory = malloc(sizeof *memory * (size_t)n);
        MUST(memory != NULL); /* a panel: a few megabytes at most */
        size = n;
    }
    return memory;
}

/* The last `rows` < `panel` rows: computed with zero rows below them. */
static void multiply_tail(const Product *p, int64_t rows, int64_t panel)
{
    Product tail = *p;
    real *a = spare(panel * (p->k + p->n)), *c = a + panel * p->k;
    memcpy(a, p->a, sizeof *a * (size_t)(rows * p->k));
    memset(a + rows * p->k, 0, sizeof *a * (size_t)((panel - rows) * p->k));
    memcpy(c, p->c, sizeof *c * (size_t)(rows * p->n));
    memset(c + rows * p->n, 0, sizeof *c * (size_t)((panel - rows) * p->n));
    tail.a = a;
    tail.c = c;
    tail.m = panel;
    multiply(&tail);
    memcpy(p->c, c, sizeof *c * (size_t)(rows * p->n));
}

static void multiply_rows(Product p, int64_t rows)
{
    const bool large = p.n * p.k >= LARGE;
    const int64_t unit = large ? GEMM_ROWS : PANEL;
    const int64_t whole = rows - rows % unit;
    p.m = large ? whole : PANEL;
    for (int64_t done = 0; done < whole; done += p.m) {
        multiply(&p);
        p.a += p.m * p.k;
        p.c += p.m * p.n;
    }
    if (rows > whole) multiply_tail(&p, rows - whole, unit);
}

static void forward(real *y, const real *x, const real *w, const real *b, int64_t rows, int64_t n_out, int64_t n_in)
{
    for (int64_t r = 0; r < rows; r++) {
        if (b)
            memcpy(y + r * n_out, b, sizeof *y * (size_t)n_out);
        else
            memset(y + r * n_out, 0, sizeof *y * (size_t)n_out);
    }
    multiply_rows((Product){y, x, w, 0, n_out, n_in, false, true}, rows);
}

static void backward_x(real *d_x, const real *d_y, const real *w, int64_t rows, int64_t n_out, int64_t n_in)
{
    multiply_rows((Product){d_x, d_y, w, 0, n_in, n_out, false, false}, rows);
}

static void backward_w(real *d_w, const real *d_y, const real *x, int64_t rows, int64_t n_out, int64_t n_in)
{
    if (rows > 0) multiply(&(Product){d_w, d_y, x, n_out, n_in, rows, true, false});
}

const GemmProvider gemm_openblas = {"openblas", available,  version, set_threads, forward,
                                    backward_x, backward_w, NULL,    NULL};
