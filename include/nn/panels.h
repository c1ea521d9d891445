/* panels.h - linear layers, layer norm and attention on rows that stay in the order in which matrix units read them: what
   the encoders' forward pass runs on where the CPU has such units (pipeline/nn/amx.h).

   `panels` of (rows, n) hold, of each number, `parts` of bf16: one of linear layers in bf16, three where they are float.
   Between the products of a block activations stay in panels; sums, softmax, norms and the residual stream are float. A row's
   bits depend on nothing but the row and the weights. Local, serial. */
#ifndef NN_PANELS_H
#define NN_PANELS_H

#include "core/arena.h"
#include "nn/real.h"

typedef uint16_t bf16; /* the upper half of a float */

enum { PANEL = 32 }; /* rows are taken, and memory is needed, in so many */

/* Where rows of n floats should stand apart so that they do not meet in the same lines of the caches. */
static inline int64_t panels_row(int64_t n) { return n + 16; }

#if defined __x86_64__ && !defined REAL_DOUBLE
#define NN_PANELS /* this build has them */

/* Parts of the chosen provider's linear layers; 0 = it has no panels: nothing else here may be called. */
int panels_parts(void);

/* Panels of (rows, n) in the arena. */
Status panels_new(bf16 **out, Arena *a, int64_t rows, int64_t n);

/* out (rows, n) = layer norm of x, as layernorm_forward, whose rows are panels_row(n) apart. */
void panels_norm(bf16 *out, const real *x, const real *w, const real *b, int64_t rows, int64_t n, real eps);

/* With y = x W^T + b, x panels of (rows, n_in): out = y; out = gelu(y); to (rows, n_out) += gamma y, gamma NULL = 1,
   its rows panels_row(n_out) apart. */
void panels_linear(bf16 *out, const bf16 *x, const real *w, const real *b, int64_t rows, int64_t n_out, int64_t n_in);
void panels_linear_gelu(bf16 *out, const bf16 *x, const real *w, const real *b, int64_t rows, int64_t n_out,
                        int64_t n_in);
void panels_linear_add(real *to, const real *gamma, const bf16 *x, const real *w, const real *b, int64_t rows,
                       int64_t n_out, int64_t n_in);

/* Self-attention of the object of `tokens` rows from `row` on: out (rows, heads width) from qkv (rows, 3 heads width). */
Status panels_attention(bf16 *out, const bf16 *qkv, int64_t row, int64_t tokens, int64_t heads, int64_t width,
                        Arena *scratch);

/* For benchmarks: multiplies panels of 32 rows and of 32 columns, `numbers` long, `passes` times, and forgets the sums: what
   the units can do. */
void panels_spin(const bf16 *left, const bf16 *right, int64_t numbers, int64_t passes);

#endif
#endif
