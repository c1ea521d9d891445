/* gemm.h - the matrix products of linear layers, the seam for every provider (reference loops, OpenBLAS, oneDNN, our own
   kernels, later a device).

   Row-major. y = x W^T + b with x (rows, n_in), W (n_out, n_in) as PyTorch stores it. Contract of every provider,
   tested for each: the bits of a row of y (and of d_x) do not depend on the number of rows, on its neighbours, or on
   threads, nor on its offset as long as that moves by whole panels of GEMM_ROWS rows. (On AVX-512 no offset matters;
   OpenBLAS's AVX2 kernels treat the two halves of each dozen rows differently.) Whoever starts every object at row 0
   of its arrays, as the encoders do, gets the same bits in whatever company. Providers pad inside; callers who can
   give arrays of gemm_pad(rows) rows spare them a copy. Local, serial.

   d_w has no such promise: it is a sum over the rows of the call, in an order that is the provider's and depends on
   their number (fixed for a shape, whatever the threads), added to what was there. Gradients that shall not depend on
   how a batch is cut in microbatches therefore make one call per object, all objects in order into one buffer, as the
   encoders do. */
#ifndef NN_GEMM_H
#define NN_GEMM_H

#include "core/fail.h"
#include "nn/real.h"

/* A panel: a multiple of 4, 8 and 12, the row blocks of BLAS kernels; 144 patches are 6 of them. */
enum { GEMM_ROWS = 24 };

typedef struct {
    const char *name; /* "ref", "openblas", "onednn", "avx512", "amx" */
    bool (*available)(void);
    const char *(*version)(void); /* "0.3.21 SkylakeX" */
    void (*set_threads)(int threads);
    /* y (rows, n_out) = x (rows, n_in) W^T + b; b may be NULL */
    void (*forward)(real *y, const real *x, const real *w, const real *b, int64_t rows, int64_t n_out, int64_t n_in);
    /* d_x (rows, n_in) += d_y (rows, n_out) W */
    void (*backward_x)(real *d_x, const real *d_y, const real *w, int64_t rows, int64_t n_out, int64_t n_in);
    /* d_w (n_out, n_in) += d_y^T x */
    void (*backward_w)(real *d_w, const real *d_y, const real *x, int64_t rows, int64_t n_out, int64_t n_in);
    /* A weight matrix in the order in which `forward` reads it: reals that it takes, and the copy. NULL = this provider
       has no order of its own. */
    int64_t (*kept_reals)(int64_t n_out, int64_t n_in);
    void (*keep)(real *kept, const real *w, int64_t n_out, int64_t n_in);
} GemmProvider;

extern const GemmProvider gemm_ref, gemm_openblas, gemm_onednn, gemm_avx512, gemm_amx;
extern const GemmProvider *const gemm_providers[]; /* NULL-terminated, best first */

/* Chooses by name ("auto" = the first available); E_CONFIG names those there are. One thread per rank unless
   `threads` says more. A provider that breaks the contract on this CPU (a check of a few milliseconds) is refused,
   E_CONFIG; "auto" passes it over. */
Status gemm_choose(const char *name, int threads);
const GemmProvider *gemm(void);       /* the chosen one; gemm_ref until chosen */
const char *gemm_provider_text(void); /* for envelopes: "openblas 0.3.21 SkylakeX, bf16, avx512f" */

/* How far rows may move without changing a bit of their results: 1 (any number of rows) or GEMM_ROWS, as the chosen
   provider does on this CPU. With 1 several objects of any length go through one product. */
int64_t gemm_row_unit(void);

/* The products of linear layers: those of gemm(), or with precision "bf16" gemm_amx_bf16 in place of gemm_amx,
   gemm_onednn_bf16 in place of gemm_onednn where oneDNN has it for this CPU, gemm_bf16 on top of any other. Losses and whatever else calls gemm() keep full precision. "f32" until told; E_CONFIG names the two. */
extern const GemmProvider gemm_bf16, gemm_amx_bf16, gemm_onednn_bf16;
Status gemm_precision(const char *name);
const GemmProvider *gemm_linear(void);

/* Weights that do not change for long are kept in the order in which products read them, once: from gemm_keep on, forward
   products with `w` read `kept` instead, which is gemm_kept_reals(...) reals (0 = nothing to keep), 64-byte aligned. `fill`
   makes the copy; else it is there already (another process made it in memory that both share). Choose provider and
   precision before. The numbers under w and kept must not change until gemm_keep_none. Never changes a bit of the results. */
int64_t gemm_kept_reals(int64_t n_out, int64_t n_in);
void gemm_keep(real *kept, const real *w, int64_t n_out, int64_t n_in, bool fill);
void gemm_keep_none(void);
const real *gemm_kept(const real *w); /* for providers: the copy, NULL where there is none */

/* Whether the contract holds for this shape, forward and backward_x: every row of a large product against the same
   row in short products, at offsets that are multiples of `stride` (GEMM_ROWS: the contract; 1: any offset). *keeps
   is the answer; the Status is that of the memory it needs. */
Status gemm_keeps_rows(bool *keeps, const GemmProvider *provider, int64_t n_out, int64_t n_in, int64_t stride);

/* The next multiple of GEMM_ROWS: how many rows to allocate for `rows`. */
static inline int64_t gemm_pad(int64_t rows) { return (rows + GEMM_ROWS - 1) / GEMM_ROWS * GEMM_ROWS; }

#endif
