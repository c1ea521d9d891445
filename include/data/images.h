/* images.h - cutouts in nanomaggies per pixel, bands g r z, 152 x 152 at 0.262"/pixel; rules of DESIGN.md section 8. Local, serial. */
#ifndef DATA_IMAGES_H
#define DATA_IMAGES_H

#include <stdint.h>

#include "core/arena.h"
#include "core/config.h"

enum { CUTOUT_PIXELS = 152, N_BANDS = 3 };
#define PIXEL_SCALE 0.262                 /* arcsec */
extern const char band_name[N_BANDS + 1]; /* "grz" */

typedef enum { MISSING_BAND_FLAG, MISSING_BAND_ZERO } MissingBand; /* images.missing_band */
typedef enum { OTHER_SCALE_FLAG, OTHER_SCALE_CONVERT } OtherScale; /* images.other_scale  */

typedef struct {
    int missing_band;           /* MissingBand */
    double max_masked_fraction; /* of the pixels of a cutout, those that lack data in any band that has some */
    int other_scale;            /* OtherScale: of single cutouts; bricks of another scale are always flagged */
} ImagesConfig;
extern const ConfigSection images_section; /* "images" */

typedef struct {
    int64_t n;
    float *
        pixels; /* (n, 3, 152, 152): g, r, z; rows grow with DEC, columns with decreasing RA, as in the brick; finite */
    int32_t *flag; /* (n) IMAGE_* of data/flags.h */
    float *stats;  /* (n, N_IMAGE_STATS) */
} ImageBatch;

/* Share of the cutout's pixels that have data in a band: shown by a brick, a number, invvar > 0. */
typedef enum { STAT_FRAC_COVERED_G, STAT_FRAC_COVERED_R, STAT_FRAC_COVERED_Z, N_IMAGE_STATS } ImageStat;
extern const char *const image_stat_name[N_IMAGE_STATS];

Status images_batch(ImageBatch *out, int64_t n, Arena *a); /* zeroed */

#endif
