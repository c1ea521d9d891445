/* clip.h - the contrastive loss of the alignment (spec.md 5.4): each image shall find its own spectrum among those of
   the batch, and each spectrum its image. Local.

   A serial function of "my rows" among "all rows": with local negatives these are the same (first = 0, mine = n); with
   global negatives each replica asks for its own rows among everybody's, and the losses, and the gradients of all
   rows, of all replicas add up to those of one replica with the whole batch. */
#ifndef MODEL_CLIP_H
#define MODEL_CLIP_H

#include "core/arena.h"
#include "nn/real.h"

/* What the backward pass needs, in the step's arena. */
typedef struct {
    int64_t first, mine, n, dim;
    double scale;                       /* s: multiplies the cosine directly, 15.5 as published */
    real *image, *spectrum;             /* (n, dim) directions */
    real *image_norm, *spectrum_norm;   /* (n) */
    real *score_image, *score_spectrum; /* (mine, n): s <image i, spectrum j>, s <spectrum i, image j>; after forward */
    real *p_image, *p_spectrum;         /* (mine, n): their softmax */
} ClipTrace;

/* *loss = sum over my rows / n of the mean of both directions' cross-entropies. image, spectrum (n, dim) embeddings as
   the heads make them, of all rows. */
Status clip_forward(double *loss, ClipTrace *t, const real *image, const real *spectrum, int64_t first, int64_t mine,
                    int64_t n, int64_t dim, double scale, Arena *step);

/* Adds into d_image, d_spectrum (n, dim); *d_scale (may be NULL) for a learned scale. */
Status clip_backward(real *d_image, real *d_spectrum, double *d_scale, const ClipTrace *t, Arena *step);

#endif
