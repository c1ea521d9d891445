/* flipblur.h - how the supervised baseline sees its images in training (spec.md 6.8): mirrored or not, and blurred a
   little; all images of a batch alike. Local. */
#ifndef MODEL_FLIPBLUR_H
#define MODEL_FLIPBLUR_H

#include "core/arena.h"
#include "core/rng.h"
#include "nn/real.h"

typedef struct {
    bool columns, rows; /* the order of columns, of rows, is turned round */
    double sigma;       /* pixels, of a 3 x 3 Gaussian */
} FlipBlur;

/* Each flip with probability 1/2, sigma uniform in 0.1 .. 2. */
FlipBlur flipblur_draw(Rng *rng);

/* n planes (size, size), size >= 2, in place. The blur mirrors a plane at its outermost pixels, which are not repeated. */
Status flipblur_apply(real *planes, const FlipBlur *f, int64_t n, int64_t size, Arena *scratch);

#endif
