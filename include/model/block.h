/* block.h - the transformer block of both encoders: pre-norm attention and MLP around a residual stream; ViT scales
   each branch (LayerScale). Local. */
#ifndef MODEL_BLOCK_H
#define MODEL_BLOCK_H

#include <stdbool.h>

#include "nn/dropout.h"
#include "nn/params.h"

/* The names of a block's parameters differ between encoders; NULL gamma = no layer scale. Weights and biases are
   NAME.weight, NAME.bias. */
typedef struct {
    const char *norm1, *qkv, *proj, *gamma1, *norm2, *up, *down, *gamma2;
} BlockNames;

typedef struct {
    int64_t weight, bias; /* handles into Params */
} LinearParams;

typedef struct {
    LinearParams norm1, qkv, proj, norm2, up, down;
    int64_t gamma1, gamma2; /* -1 = none */
} Block;

enum { BLOCK_PARAMS = 14, MLP_RATIO = 4 };

/* Declares NAME.weight (n_out, n_in) and NAME.bias (n_out); of a layer norm both (n). */
Status block_declare_linear(LinearParams *out, Params *p, const char *prefix, const char *name, int64_t n_out,
                            int64_t n_in);
Status block_declare_norm(LinearParams *out, Params *p, const char *prefix, const char *name, int64_t n);
Status block_declare(Block *out, Params *p, const char *prefix, const BlockNames *names, int64_t dim);

/* y (rows, n_out) = x (rows, n_in) W^T + b, sizes from the parameter's shape. */
void block_linear(real *y, const Params *p, LinearParams l, const real *x, int64_t rows);
void block_norm(real *y, const Params *p, LinearParams l, const real *x, int64_t rows, real eps);

/* `count` objects of `tokens` rows each. count > 1 needs gemm_row_unit() == 1. */
typedef struct {
    int64_t count, tokens, dim, heads;
    real eps;
} BlockShape;

/* x (gemm_pad(count * tokens), dim) in place through n_blocks blocks; the rows behind the objects are padding that no token
   sees. */
Status block_forward(real *x, const Params *p, const Block *b, int64_t n_blocks, const BlockShape *s, Arena *step);

/* First values: layer norms 1 and 0. */
void block_init_norm(Params *p, LinearParams l);

/* ---- training ----
   d_p is a gradient buffer of the parameters' table (params_d_at); frozen parameters get nothing. */

/* Stochastic depth of a branch: the objects of the batch that it is computed for, and what multiplies it there; the others
   go past it (spec.md 4.3). */
typedef struct {
    const int64_t *kept; /* (n_kept) numbers of objects, each once; NULL = all */
    int64_t n_kept;
    real scale;
} BranchDrop;
#define BRANCH_WHOLE ((BranchDrop){NULL, 0, 1})

/* Objects of `tokens` rows each that pass a block side by side with those of another size. */
typedef struct {
    int64_t count, tokens;
    BranchDrop attention, mlp;
} BlockGroup;
enum { BLOCK_GROUPS = 2 };

/* What the backward pass needs of a block for groups of objects, one behind the other: filled by block_forward_train, in the
   step's arena. The fields above the line are the caller's to set. Rows behind the objects are padding. */
typedef struct {
    BlockGroup group[BLOCK_GROUPS];
    int n_groups;
    int64_t dim, heads;
    real eps;
    bool recompute; /* keep x alone and compute the rest again in the backward pass */
    Dropout drop;   /* of the attention's probabilities and of both branches: there is one object where it is on */
    /* ---- of the objects that keep a branch, side by side, but for x and middle, which have all */
    real *x;                             /* (rows, dim) what came in */
    real *mean1, *rstd1, *mean2, *rstd2; /* (rows) of the layer norms */
    real *qkv;                           /* (rows, 3 dim) */
    real *attended;                      /* (rows, dim) */
    real *middle;                        /* (rows, dim) between the branches */
    real *up;                            /* (rows, 4 dim) before gelu */
    real *branch_attention, *branch_mlp; /* (rows, dim), only where there is a layer scale */
} BlockTrace;

/* As block_forward while both branches are whole: the same bits in the rows of x, where that has panels (nn/panels.h) to
   rounding. */
Status block_forward_train(real *x, BlockTrace *t, const Params *p, const Block *b, Arena *step);

/* d_x (gemm_pad(rows of all objects), dim), padding zero: the gradient of the output comes in, that of the input goes out. */
Status block_backward(real *d_x, real *d_p, const BlockTrace *t, const Params *p, const Block *b, Arena *step);

/* mean, rstd (rows) are kept. */
void block_norm_train(real *y, real *mean, real *rstd, const Params *p, LinearParams l, const real *x, int64_t rows,
                      real eps);
/* Both add into d_x; that of the linear layer may be NULL. */
void block_linear_backward(real *d_x, real *d_p, const Params *p, LinearParams l, const real *d_y, const real *x,
                           int64_t rows);
void block_norm_backward(real *d_x, real *d_p, const Params *p, LinearParams l, const real *d_y, const real *x,
                         const real *mean, const real *rstd, int64_t rows);

/* Tells `hook` (may be NULL) that the gradients of the block and of what was declared behind it are final. */
void block_ready(const GradientHook *hook, const Params *p, const Block *b);

/* Reals that the trace of one block keeps, without recompute. */
int64_t block_trace_reals(int64_t tokens, int64_t dim, bool layer_scale);
/* ... and those in use while its backward pass runs. */
int64_t block_pass_reals(int64_t tokens, int64_t dim);

/* Multiply-adds x 2 of one block. */
int64_t block_flops(int64_t tokens, int64_t dim);

#endif
