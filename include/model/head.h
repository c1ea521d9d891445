/* head.h - AstroCLIP's heads (spec.md 5.1-5.3): a learned query gathers an encoder's tokens by cross-attention, an
   MLP follows. Local. */
#ifndef MODEL_HEAD_H
#define MODEL_HEAD_H

#include "model/block.h"

typedef struct {
    int64_t embed_dim; /* E, width of the aligned space */
    int64_t heads;     /* of the cross-attention */
    int64_t token_dim; /* width of the encoder's tokens */
    bool residual;     /* spectrum: out = y + MLP(y); image: out = MLP(y) */
} HeadConfig;

typedef struct {
    HeadConfig config;
    const Params *params; /* borrowed: the table it was declared in */
    bool fused;           /* in_proj_weight (3E, E) where token_dim == E, else q_, k_ and v_proj_weight */
    int64_t query, in_proj_weight, q_proj, k_proj, v_proj, in_proj_bias;
    LinearParams out_proj, layernorm, up, down;
    /* by head_prepare: */
    real *projected_query; /* (E) */
    real *key;             /* (heads, token_dim) what tokens are compared with: the query through the key projection */
} Head;

enum { HEAD_PARAMS = 13 };

/* Declares cross_attention.* and mlp.* behind `prefix`. */
Status head_declare(Head *out, const HeadConfig *c, Params *p, const char *prefix);

/* First values (spec.md 5.3) into `p`, the table it was declared in. */
void head_init(const Head *h, Params *p, uint64_t seed);

/* Projects the query, which no object changes, and what it seeks in the tokens. Call again after the weights change. */
Status head_prepare(Head *h, Arena *a);

/* Of n objects: out (n, E); pooled (n, E): what the cross-attention yields, and weights (n, heads, n_tokens): where it looks,
   may be NULL. tokens (n, n_tokens, token_dim). n > 1 needs gemm_row_unit() == 1 for the bits of one object alone. */
Status head_forward(real *out, real *pooled, real *weights, const Head *h, const real *tokens, int64_t n,
                    int64_t n_tokens, Arena *step);

/* ---- training ---- */

/* What the backward pass needs of n objects at once, in the step's arena. */
typedef struct {
    int64_t n, n_tokens;
    const real *tokens;                 /* (n, n_tokens, token_dim) borrowed */
    const real *drop_pooled, *drop_mlp; /* (n, E) dropout factors, 0 or 1 / (1 - p), of the attention's output and of
                                           the MLP's; borrowed, NULL = off */
    real *weights;                      /* (n, heads, n_tokens) */
    real *gathered;                     /* (heads, n, token_dim) tokens summed by weight */
    real *attended;                     /* (n, E) before the output projection */
    real *projected, *mean, *rstd;      /* (n, E) before the norm, and its statistics (n) */
    real *y;                            /* (n, E) after it: what the cross-attention yields */
    real *up;                           /* (n, 4E) before gelu */
} HeadTrace;

/* out (n, E). As head_forward, object by object in front of the pooling and all objects in one product behind it: the
   same bits where a provider's rows may move by any offset (gemm_keeps_rows with stride 1). */
Status head_forward_train(real *out, HeadTrace *t, const Head *h, const real *tokens, const real *drop_pooled,
                          const real *drop_mlp, int64_t n, int64_t n_tokens, Arena *step);

/* Adds to the gradients d_p of the table, and into d_tokens (n, n_tokens, token_dim) unless NULL. d_out (n, E). The
   key biases get nothing: a softmax does not feel them. */
Status head_backward(real *d_tokens, real *d_p, const HeadTrace *t, const Head *h, const real *d_out, Arena *step);

/* Multiply-adds x 2 for n_tokens tokens. */
int64_t head_flops(const HeadConfig *c, int64_t n_tokens);

#endif
