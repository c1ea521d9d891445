/* patchmask.h - which patches of the global crops are hidden (spec.md 4.6): rectangles at random until a wanted number
   is covered, half of the crops, from few patches to many. Local. */
#ifndef MODEL_PATCHMASK_H
#define MODEL_PATCHMASK_H

#include "core/arena.h"
#include "core/rng.h"

typedef struct {
    int64_t side;       /* patches of a crop's side */
    double probability; /* share of the crops that are masked, 0.5 */
    double least, most; /* shares of a masked crop's patches, 0.1 and 0.5 */
} PatchMaskConfig;

/* Where rectangles come from: random numbers, or in a test the record of another program. */
typedef struct {
    /* area between the two numbers, in either order; log of height over width */
    void (*shape)(void *self, double *area, double *log_aspect, double least, double most);
    /* 0 .. n_top - 1, 0 .. n_left - 1 */
    void (*place)(void *self, int64_t *top, int64_t *left, int64_t n_top, int64_t n_left);
    void *self;
} PatchMaskDraws;

/* mask (side, side): 1 = hidden; about `wanted` of them, fewer where no rectangle fits any more. Returns how many. */
int64_t patchmask_fill(uint8_t *mask, int64_t side, int64_t wanted, const PatchMaskDraws *draws);

/* The masks of a batch. */
typedef struct {
    int64_t n;      /* hidden patches of all crops */
    uint8_t *mask;  /* (crops, side^2) */
    int64_t *index; /* (n) crop x side^2 + patch, ascending */
    float *weight;  /* (n) 1 / hidden patches of its crop */
} PatchMasks;
Status patchmask_draw(PatchMasks *out, const PatchMaskConfig *c, int64_t crops, Rng *rng, Arena *a);

/* Masked crop j of n hides a share between number j and number j + 1 of these. */
double patchmask_share(const PatchMaskConfig *c, int64_t j, int64_t n);

#endif
