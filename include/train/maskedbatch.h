/* maskedbatch.h - one batch of masked modelling (spec.md 3.3) between the objective, which reads spectra and draws
   masks, and SpecFormer: tokens, what is hidden of them, the loss and its gradient. Local. */
#ifndef TRAIN_MASKEDBATCH_H
#define TRAIN_MASKEDBATCH_H

#include "model/masked.h"

typedef struct {
    const Specformer *model; /* borrowed */
    MaskConfig mask;
    int64_t n, n_tokens, each; /* spectra; tokens of one, and its numbers */
    real *tokens, *masked;     /* (n, each) */
    int64_t count;             /* numbers that masking changed, of all spectra set so far */
} MaskedBatch;

/* How SpecFormer trains with it. */
typedef struct {
    bool recompute;
    double dropout;
    const uint64_t *seed;     /* (n) of each spectrum's dropout; NULL while it is off */
    const GradientHook *hook; /* told during the last spectrum's backward pass; may be NULL */
} MaskedPass;

/* Room for n spectra of n_pixels. */
Status maskedbatch_take(MaskedBatch *b, const Specformer *model, const MaskConfig *mask, int64_t n, int64_t n_pixels,
                        Arena *a);
/* Spectrum i: flux (n_pixels), chunks hidden from the tokens start (num_chunks) on. */
Status maskedbatch_set(MaskedBatch *b, int64_t i, const float *flux, int64_t n_pixels, const int64_t *start);

/* Adds the gradients of the batch's loss to d_p. With a count of 0 the loss is 0 and there are none. */
Status maskedbatch_train(double *loss, real *d_p, const MaskedBatch *b, const MaskedPass *how, Arena *step);
/* The sum of squares alone: divided by the count it is the loss. */
Status maskedbatch_squares(double *squares, const MaskedBatch *b, Arena *step);
/* The same for a model that predicts 0 everywhere, the mean of a standardised spectrum. */
Status maskedbatch_squares_of_mean(double *squares, const MaskedBatch *b, Arena *step);

#endif
