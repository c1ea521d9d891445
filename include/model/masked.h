/* masked.h - SpecFormer's pretraining task (spec.md 3.3): chunks of tokens are set to zero, the model predicts them
   back, the loss counts what masking changed. Local. */
#ifndef MODEL_MASKED_H
#define MODEL_MASKED_H

#include "core/rng.h"
#include "model/specformer.h"

typedef struct {
    int64_t num_chunks;  /* 6 */
    int64_t chunk_width; /* 50 tokens */
} MaskConfig;

/* start (num_chunks): the first token of each chunk, drawn within its share of the sequence, so that chunks never
   overlap; token 0 can be hidden. E_CONFIG unless (2 num_chunks - 1) chunk_width <= n_tokens. */
Status mask_draw(int64_t *start, const MaskConfig *c, int64_t n_tokens, Rng *rng);

/* masked (n_tokens, width) = tokens with the chunks at `start` zero in all columns. */
void mask_apply(real *masked, const MaskConfig *c, const int64_t *start, const real *tokens, int64_t n_tokens,
                int64_t width);

/* Elements that masking changed: an element that was zero before does not count. */
int64_t masked_count(const real *masked, const real *tokens, int64_t n);

/* The sum of (reconstruction - tokens)^2 over those elements. The loss of a batch is the sum over its spectra divided
   by the batch's count; with a count of 0 there is no loss. */
double masked_squares(const real *reconstruction, const real *masked, const real *tokens, int64_t n);

/* d_reconstruction (n) += the gradient of the batch's loss; count: that of the whole batch. */
void masked_backward(real *d_reconstruction, const real *reconstruction, const real *masked, const real *tokens,
                     int64_t n, int64_t count);

#endif
