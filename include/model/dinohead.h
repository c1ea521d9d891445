/* dinohead.h - the head of DINO and iBOT (spec.md 4.4): three layers down to a direction, and its products with prototypes.
   It serves training only. Local. */
#ifndef MODEL_DINOHEAD_H
#define MODEL_DINOHEAD_H

#include "model/block.h"

typedef struct {
    int64_t input, hidden, bottleneck, prototypes; /* 1024, 2048, 256, 65536 as published */
} DinoHeadConfig;

typedef struct {
    DinoHeadConfig config;
    const Params *params; /* borrowed: the table it was declared in */
    LinearParams mlp[3];
    int64_t weight_g, weight_v; /* of the prototypes: lengths and directions */
} DinoHead;

enum { DINOHEAD_PARAMS = 8 };

/* Declares mlp.* and last_layer.* behind `prefix`. */
Status dinohead_declare(DinoHead *out, const DinoHeadConfig *c, Params *p, const char *prefix);
void dinohead_init(const DinoHead *h, Params *p, uint64_t seed);

/* What the backward pass needs, in the step's arena. */
typedef struct {
    int64_t rows;
    const real *x;  /* (rows, input) borrowed */
    real *up[2];    /* (rows, hidden) before gelu */
    real *z, *norm; /* (rows, bottleneck) unit vectors; lengths before that */
} DinoHeadTrace;

/* z: directions of x (gemm_pad(rows), input). */
Status dinohead_forward(DinoHeadTrace *t, const DinoHead *h, const real *x, int64_t rows, Arena *step);
/* Adds into d_x (rows, input) and the gradients d_p; d_z (rows, bottleneck). */
Status dinohead_backward(real *d_x, real *d_p, const DinoHeadTrace *t, const DinoHead *h, const real *d_z, Arena *step);

/* w (prototypes, bottleneck): logits are z w^T (nn/linear.h); norm (prototypes) for the backward pass. */
void dinohead_prototypes(real *w, real *norm, const DinoHead *h);
void dinohead_prototypes_backward(real *d_p, const real *d_w, const real *norm, const DinoHead *h);

#endif
