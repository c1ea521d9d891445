/* alignpass.h - one batch of pairs through both halves of the model and back (spec.md 5.1-5.3), between the objective,
   which fills inputs or tokens and draws dropout, and the loss on the embeddings. Local. */
#ifndef TRAIN_ALIGNPASS_H
#define TRAIN_ALIGNPASS_H

#include "data/flags.h"
#include "model/branch.h"

typedef struct {
    const Branch *branch; /* borrowed */
    bool trained;         /* the encoder too: tokens are made of `input` here, and gradients flow through them */
    bool recompute; /* of a trained one: run the encoder again in the backward pass instead of keeping its traces */
    /* filled by the caller: */
    float *input;                 /* (n, n_inputs) of a trained encoder, else NULL */
    real *tokens;                 /* (n, n_tokens, dim) of a frozen one */
    real *drop_pooled, *drop_mlp; /* (n, E) dropout of the head; NULL = off */
    /* filled by the forward pass: */
    void **trace; /* (n), NULL with recompute */
    HeadTrace head;
    real *out; /* (n, E) embeddings */
} AlignHalf;

typedef struct {
    int64_t n, dim; /* pairs; E */
    AlignHalf half[N_MODALITIES];
} AlignPass;

/* Room for n pairs. */
Status alignpass_take(AlignPass *p, const Model *model, const bool trained[N_MODALITIES], bool recompute, int64_t n,
                      Arena *a);
/* The heads take the batch as one, so the bits are those of its size. model_prepare came before. What is needed backward
   stays in `step`. */
Status alignpass_forward(AlignPass *p, Arena *step);
/* Adds to the gradients d_p; d_out[] (n, E) of the embeddings. hook may be NULL. */
Status alignpass_backward(real *d_p, AlignPass *p, real *const d_out[N_MODALITIES], const GradientHook *hook,
                          Arena *step);

#endif
