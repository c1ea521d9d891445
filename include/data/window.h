/* window.h - the cutout of DESIGN.md section 8 when its pixels are there: what every image survey does alike. Local,
   serial. */
#ifndef DATA_WINDOW_H
#define DATA_WINDOW_H

#include "data/images.h"

enum { WINDOW_PIXELS = CUTOUT_PIXELS * CUTOUT_PIXELS, WINDOW_WORDS = (WINDOW_PIXELS + 63) / 64 };

/* First pixel of the window around a 0-based pixel coordinate: ceil(x - 152/2). */
int64_t window_first(double x);

/* Finishes one band: NaN and Inf become 0; a band without data becomes 0 all over where images.missing_band is zero.
   Returns the flags (PADDED where `shown` is 0, NONFINITE, BAD_PIXELS, NO_COVERAGE), the share of pixels with data, and
   sets the bits of the pixels that lack it (not those of a band without any: it has a flag of its own). */
int32_t window_finish(float *share, uint64_t lacking[WINDOW_WORDS], float *pixels, const float *ivar,
                      const uint8_t *shown, const ImagesConfig *options);

/* IMAGE_MASKED where more than images.max_masked_fraction of the pixels lack data in some band, else 0. */
int32_t window_judge(const uint64_t lacking[WINDOW_WORDS], const ImagesConfig *options);

#endif
