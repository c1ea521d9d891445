/* block.h - the transformer block of both encoders: pre-norm attention and MLP around a residual stream; ViT scales
   each branch (LayerScale). Local. */
#ifndef MODEL_BLOCK_H
#define MODEL_BLOCK_H

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

/* x (gemm_pad(tokens), dim) in place; rows behind `tokens` are padding that no token sees. */
Status block_forward(real *x, const Params *p, const Block *b, int64_t tokens, int64_t dim, int64_t heads, real eps,
                     Arena *step);

/* Multiply-adds x 2 of one block. */
int64_t block_flops(int64_t tokens, int64_t dim);

#endif
