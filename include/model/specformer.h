/* specformer.h - the spectrum encoder SpecFormer (spec.md 3): tokens of a spectrum to embeddings and
   reconstructions. Local. */
#ifndef MODEL_SPECFORMER_H
#define MODEL_SPECFORMER_H

#include "model/block.h"

typedef struct {
    int64_t embed_dim;            /* D, 768 as published */
    int64_t num_layers;           /* 6 */
    int64_t num_heads;            /* 6 */
    int64_t max_len;              /* 800: longest sequence of tokens */
    int64_t slice_section_length; /* 20 pixels */
    int64_t slice_overlap;        /* 10 pixels */
} SpecformerConfig;

typedef struct {
    SpecformerConfig config;
    const Params *params; /* borrowed: the table it was declared in */
    LinearParams data_embed, final_layernorm, head;
    int64_t position_embed;
    Block *block; /* (num_layers) */
} Specformer;

int64_t specformer_n_params(const SpecformerConfig *c);
int64_t specformer_input_dim(const SpecformerConfig *c); /* width of a token: 22 */

/* Declares its parameters under official names behind `prefix`; tables in `a`. */
Status specformer_declare(Specformer *out, const SpecformerConfig *c, Params *p, const char *prefix, Arena *a);

/* First values (spec.md 3.4) into `p`, the table it was declared in. */
void specformer_init(const Specformer *s, Params *p, uint64_t seed);

/* embedding (count, n_tokens, D); reconstruction (count, n_tokens, input_dim) or NULL; tokens (count, n_tokens, input_dim) of
   prepare_spectrum, masked or not. E_INPUT when n_tokens > max_len. count > 1 needs gemm_row_unit() == 1; then a
   spectrum's embedding is the same bits in whatever company. */
Status specformer_forward(real *embedding, real *reconstruction, const Specformer *s, const real *tokens, int64_t count,
                          int64_t n_tokens, Arena *step);

/* ---- training ---- */

typedef struct {
    bool recompute; /* keep the inputs of the blocks alone: a fourth more work, a tenth of the memory */
    Dropout drop;   /* as published: off. seed: of this spectrum and step */
} SpecformerTraining;

/* What the backward pass needs of one spectrum, in the step's arena: about 10 reals per token, layer and dimension, or
   one with `recompute`. */
typedef struct {
    int64_t n_tokens;
    Dropout drop;
    const real *tokens;       /* (n_tokens, input_dim) borrowed */
    BlockTrace *block;        /* (num_layers) */
    real *x, *mean, *rstd;    /* before the final norm (n_tokens, D), and its statistics (n_tokens) */
    real *embedding;          /* (n_tokens, D) */
    const GradientHook *hook; /* of the backward pass, borrowed; NULL unless the caller sets it */
} SpecformerTrace;

/* As specformer_forward, to rounding, while dropout is off. embedding (n_tokens, D) may be NULL; it is in the trace too. */
Status specformer_forward_train(real *embedding, real *reconstruction, SpecformerTrace *t, const Specformer *s,
                                const real *tokens, int64_t n_tokens, const SpecformerTraining *how, Arena *step);

/* Adds to the gradients d_p of the table. d_embedding (n_tokens, D) and d_reconstruction (n_tokens, input_dim) are
   those of the outputs; either may be NULL. One call per spectrum: gradients are sums over the calls, in order. */
Status specformer_backward(real *d_p, const SpecformerTrace *t, const Specformer *s, const real *d_embedding,
                           const real *d_reconstruction, Arena *step);

/* Multiply-adds x 2 for `tokens` tokens. */
int64_t specformer_flops(const SpecformerConfig *c, int64_t tokens);

#endif
