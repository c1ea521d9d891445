/* encoders.h - the tables of encoders behind `model.image` and `model.spectrum`. A new encoder is one file, one row
   here, one test.

   An encoder turns one object into tokens that a head gathers, and into a single-modal embedding of its own. Local. */
#ifndef MODEL_ENCODERS_H
#define MODEL_ENCODERS_H

#include "model/model.h"

typedef struct {
    ConfigPlugin plugin; /* first: the tables are those of config.h */
    int64_t (*n_params)(const void *config);
    int64_t (*dim)(const void *config);               /* width of tokens and of the single-modal embedding */
    int64_t (*input)(const void *config);             /* image: pixels of a side; spectrum: 0, any length  */
    int64_t (*tokens)(const void *config, int64_t n); /* tokens that the head gathers, for an input of size n */
    int64_t (*flops)(const void *config, int64_t n, bool tokens, bool single); /* multiply-adds x 2 of `encode` */
    /* *encoder: the encoder's state, in `a`; its parameters are declared behind `prefix`. */
    Status (*build)(void **encoder, const void *config, Params *p, const char *prefix, Arena *a);
    /* Of `count` objects: tokens (count, tokens(n), dim) and single (count, dim) may each be NULL. input: (count, 3, n, n)
       prepared planes, or (count, n) flux. count > 1 needs gemm_row_unit() == 1. */
    Status (*encode)(real *tokens, real *single, const void *encoder, const float *input, int64_t count, int64_t n,
                     Arena *step);
    /* ---- training ---- */
    /* First values into `p`, the table it was built in. */
    void (*init)(const void *encoder, Params *p, uint64_t seed);
    /* tokens as `encode`, to rounding. *trace: what the backward pass needs, in `step`; input is borrowed until then. */
    Status (*forward_train)(real *tokens, void **trace, const void *encoder, const float *input, int64_t n,
                            Arena *step);
    /* Adds to the gradients d_p of the table; d_tokens (tokens(n), dim). hook may be NULL. */
    Status (*backward)(real *d_p, void *trace, const void *encoder, const real *d_tokens, const GradientHook *hook,
                       Arena *step);
    int64_t (*trace_reals)(const void *config, int64_t n); /* of one object, for plans */
    const char *const *unfelt; /* beginnings of the names of parameters that no token depends on; NULL-terminated */
} Encoder;

enum { DESI_PIXELS = 7781 }; /* length of a spectrum on DESI's grid */

/* The row behind a plug-in of these tables. */
static inline const Encoder *encoder_of(const ConfigKind *kind) { return (const Encoder *)kind->plugin; }

#endif
