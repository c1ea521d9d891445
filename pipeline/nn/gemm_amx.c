/* gemm_amx.c - matrix products on Intel's matrix units for bf16: of floats as sums of three bf16 (gemm_amx), of numbers
   rounded to one (gemm_amx_bf16). Factors are brought into panels (amx.h), weights that are kept once.

   A row of the result takes its products in the same order wherever it stands: the contract of gemm.h holds at every
   offset. */
#include "nn/gemm.h"

#include <pthread.h>
#include <stdlib.h>

#include "gemm_amx.h"
#include "gemm_parts.h"

#ifdef NN_PANELS

static int n_threads = 1;

static void set_threads(int threads) { n_threads = threads; }
static const char *version(void) { return "2"; }

/* What threads keep goes with them: those of gemm_parts end after each product. */
static pthread_key_t kept_by_thread[2];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_keys(void)
{
    for (int i = 0; i < 2; i++) MUST(pthread_key_create(&kept_by_thread[i], free) == 0);
}

/* Room for n bf16 of a left (0) or right (1) factor, kept for the next call of this thread. */
static bf16 *spare(int which, int64_t n)
{
    static _Thread_local int64_t size[2];
    pthread_once(&once, make_keys);
    if (n > size[which]) {
        free(pthread_getspecific(kept_by_thread[which]));
        bf16 *memory = aligned_alloc(64, (size_t)(n + 31) / 32 * 64);
        MUST(memory != NULL && pthread_setspecific(kept_by_thread[which], memory) == 0);
        size[which] = n;
    }
    return pthread_getspecific(kept_by_thread[which]);
}

static int64_t numbers(int parts, int64_t places, int64_t deep)
{
    return panels_of(places) * panels_of(deep) * parts * PANEL_STEP;
}

/* A product whose left factor is still a matrix of float. */
typedef struct {
    AmxProduct product;
    const float *x;
    int64_t step, inner; /* of x, as amx_pack_left takes them */
} Whole;

enum { BLOCK = 20 * PANEL }; /* rows brought into panels at a time */

static void multiply_rows(const void *whole, int64_t from, int64_t to)
{
    const Whole *w = whole;
    AmxProduct p = w->product;
    bf16 *left = spare(0, numbers(p.parts, BLOCK, p.deep));
    for (int64_t row = from; row < to; row += BLOCK) {
        const int64_t n = to - row < BLOCK ? to - row : BLOCK;
        amx_pack_left(left, p.parts, w->x + row * w->step, n, w->step, w->inner, p.deep, 0, panels_of(n));
        p.left = left;
        p.rows = n;
        p.y = w->product.y + row * p.columns;
        amx_multiply(&p, 0, n);
    }
}

static void multiply(const Whole *w)
{
    gemm_parts(n_threads, w->product.rows, w->product.columns * w->product.deep, multiply_rows, w);
}

/* The right factor: b has inner numbers `inner` apart, columns `step` apart. */
static const bf16 *right_of(int parts, const float *b, int64_t columns, int64_t step, int64_t inner, int64_t deep)
{
    bf16 *right = spare(1, numbers(parts, columns, deep));
    amx_pack_right(right, parts, b, columns, step, inner, deep);
    return right;
}

const bf16 *gemm_amx_weights(int parts, const real *w, int64_t n_out, int64_t n_in)
{
    const real *kept = gemm_kept(w);
    return kept ? (const bf16 *)kept : right_of(parts, w, n_out, n_in, 1, n_in);
}

static void multiply_some(const void *product, int64_t from, int64_t to) { amx_multiply(product, from, to); }

void gemm_amx_multiply(const AmxProduct *p) { gemm_parts(n_threads, p->rows, p->columns * p->deep, multiply_some, p); }

/* ---- the products of gemm.h ---- */

static void forward(int parts, real *y, const real *x, const real *w, const real *b, int64_t rows, int64_t n_out,
                    int64_t n_in)
{
    const bf16 *right = gemm_amx_weights(parts, w, n_out, n_in);
    multiply(&(Whole){{.right = right,
                       .parts = parts,
                       .rows = rows,
                       .columns = n_out,
                       .deep = n_in,
                       .bias = b,
                       .end = END_STORE,
                       .y = y,
                       .y_row = n_out},
                      x,
                      n_in,
                      1});
}

static void backward_x(int parts, real *d_x, const real *d_y, const real *w, int64_t rows, int64_t n_out, int64_t n_in)
{
    const bf16 *right = right_of(parts, w, n_in, 1, n_in, n_out);
    multiply(&(Whole){{.right = right,
                       .parts = parts,
                       .rows = rows,
                       .columns = n_in,
                       .deep = n_out,
                       .end = END_ADD,
                       .y = d_x,
                       .y_row = n_in},
                      d_y,
                      n_out,
                      1});
}

/* Some thousand rows at a time, in whole pieces of amx_multiply: the same bits as all at once, in bounded room. */
static void backward_w(int parts, real *d_w, const real *d_y, const real *x, int64_t rows, int64_t n_out, int64_t n_in)
{
    const int64_t piece = AMX_DEEP / parts * PANEL, most = 4096 / piece * piece;
    for (int64_t row = 0; row < rows; row += most) {
        const int64_t n = rows - row < most ? rows - row : most;
        const bf16 *right = right_of(parts, x + row * n_in, n_in, 1, n_in, n);
        multiply(&(Whole){{.right = right,
                           .parts = parts,
                           .rows = n_out,
                           .columns = n_in,
                           .deep = n,
                           .end = END_ADD,
                           .y = d_w,
                           .y_row = n_in},
                          d_y + row * n_out,
                          1,
                          n_out});
    }
}

static int64_t kept_reals(int parts, int64_t n_out, int64_t n_in) { return numbers(parts, n_out, n_in) / 2; }

static void keep(int parts, real *kept, const real *w, int64_t n_out, int64_t n_in)
{
    amx_pack_right((bf16 *)kept, parts, w, n_out, n_in, 1, n_in);
}

#define PROVIDER(PARTS)                                                                                                \
    static void forward_##PARTS(real *y, const real *x, const real *w, const real *b, int64_t rows, int64_t n_out,     \
                                int64_t n_in)                                                                          \
    {                                                                                                                  \
        forward(PARTS, y, x, w, b, rows, n_out, n_in);                                                                 \
    }                                                                                                                  \
    static void backward_x_##PARTS(real *d_x, const real *d_y, const real *w, int64_t rows, int64_t n_out,             \
                                   int64_t n_in)                                                                       \
    {                                                                                                                  \
        backward_x(PARTS, d_x, d_y, w, rows, n_out, n_in);                                                             \
    }                                                                                                                  \
    static void backward_w_##PARTS(real *d_w, const real *d_y, const real *x, int64_t rows, int64_t n_out,             \
                                   int64_t n_in)                                                                       \
    {                                                                                                                  \
        backward_w(PARTS, d_w, d_y, x, rows, n_out, n_in);                                                             \
    }                                                                                                                  \
    static int64_t kept_reals_##PARTS(int64_t n_out, int64_t n_in) { return kept_reals(PARTS, n_out, n_in); }          \
    static void keep_##PARTS(real *kept, const real *w, int64_t n_out, int64_t n_in)                                   \
    {                                                                                                                  \
        keep(PARTS, kept, w, n_out, n_in);                                                                             \
    }

PROVIDER(1)
PROVIDER(3)

const GemmProvider gemm_amx = {"amx",        amx_available, version,      set_threads, forward_3,
                               backward_x_3, backward_w_3,  kept_reals_3, keep_3};
const GemmProvider gemm_amx_bf16 = {"amx bf16",   amx_available, version,      set_threads, forward_1,
                                    backward_x_1, backward_w_1,  kept_reals_1, keep_1};

#else

static bool available(void) { return false; }

const GemmProvider gemm_amx = {.name = "amx", .available = available};
const GemmProvider gemm_amx_bf16 = {.name = "amx bf16", .available = available};

#endif
