/* rescale.h - an image on another grid by averaging areas: a new pixel is the mean of the old ones, each weighted with
   the area that the two share. The grids are parallel. What lies outside the old image counts as 0, so that the sum of
   pixels times their area, the flux, is kept; a constant stays that constant. Serial, Local. */
#ifndef DATA_RESCALE_H
#define DATA_RESCALE_H

#include <stdint.h>

#include "core/arena.h"

/* One axis of the old grid, and how the new one lies on it. Coordinates are 0-based: the middle of the first pixel is
   0. */
typedef struct {
    int64_t n;     /* old pixels */
    double centre; /* old coordinate of the middle of the new axis */
    double step;   /* old pixels per new pixel, > 0 */
} RescaleAxis;

/* The old pixels [from, to) that an axis of `size` new ones touches; from = to where it touches none. */
void rescale_span(int64_t *from, int64_t *to, RescaleAxis axis, int64_t size);

/* The same axis, of old pixels [from, to) alone. */
RescaleAxis rescale_part(RescaleAxis axis, int64_t from, int64_t to);

/* `in` (y.n, x.n), finite. Sums are double. */
Status rescale_image(float *out /* (size, size) */, int64_t size, const float *in, RescaleAxis y, RescaleAxis x,
                     Arena *scratch);

/* Share of each new pixel that the old image covers, 0 to 1. */
void rescale_coverage(float *out /* (size, size) */, int64_t size, RescaleAxis y, RescaleAxis x);

#endif
