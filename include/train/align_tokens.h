/* align_tokens.h - what the heads read: tokens of frozen encoders, recomputed or from the file of cached tokens, and
   inputs of trained encoders. Made by align_cache (objective.h), which owns the file:

   /image and /spectrum, those whose encoder is frozen, for the pairs of all splits, in order of the dataset's entries:
     entry    (n) int64           of the dataset
     checksum (n) uint64          XXH3 of the tokens as they lie in the file
     tokens   (n, tokens, dim) float32 */
#ifndef TRAIN_ALIGN_TOKENS_H
#define TRAIN_ALIGN_TOKENS_H

#include "model/branch.h"
#include "train/objective.h"

enum { TOKENS_VERSION = 1 };

typedef struct {
    H5File file;                      /* closed = there is no cache */
    int64_t n[N_MODALITIES];          /* 0 = not cached */
    int64_t *entry[N_MODALITIES];     /* (n) ascending */
    uint64_t *checksum[N_MODALITIES]; /* (n) */
} TokenCache;

/* Local. Each rank opens the file by itself. E_INPUT when its tokens are not as the model's. */
Status align_tokens_open(TokenCache *t, const AlignConfig *c, const Model *model, Arena *a);
void align_tokens_close(TokenCache *t); /* twice-safe */

/* Local. What the encoder sees of a sample: prepared planes, or the flux. input (n_inputs). */
Status align_input(float *input, const Branch *b, Modality m, Dataset *d, const Sample *s, Arena *step);
/* Local. tokens (n_tokens, dim), from the cache where it holds this modality: the same bits. */
Status align_tokens(real *tokens, const Branch *b, Modality m, Dataset *d, TokenCache *t, const Sample *s, Arena *step);

#endif
