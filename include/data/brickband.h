/* brickband.h - one band of one brick, open: its image, its inverse variance, its WCS. Read as a whole once, or box
   by box; the pixels are the same. Local, serial; one per thread. */
#ifndef DATA_BRICKBAND_H
#define DATA_BRICKBAND_H

#include "data/legacy.h"
#include "data/wcs.h"
#include "io/fitsfile.h"

/* In the place of a band: the maskbits of the brick, whose pixels are bits, as exact floats, without inverse variance. */
enum { BAND_MASK = N_BANDS };

typedef enum { BAND_ABSENT, BAND_BROKEN, BAND_READY } BandState;

typedef struct {
    BandState state;
    FitsFile image, invvar;
    bool has_invvar;
    bool good_scale; /* 0.262" within 1 % */
    bool compressed; /* in tiles          */
    Wcs wcs;
    int64_t ny, nx;         /* pixels */
    int64_t tile_y, tile_x; /* of the image file */
    float *pixels, *ivar;   /* (ny, nx) after brickband_load, else NULL */
    int32_t id;             /* BRICKID; cutout.c finds neighbours by it */
} BrickBand;

/* Opens the files; absent or broken ones are a state, not a failure (logged once). An image without an invvar file
   counts as covered where its pixels are not exactly 0 (the compression keeps exact zeros, and the survey writes 0
   where there are no data). Fails for memory only. */
Status brickband_open(BrickBand *b, ImageSource *s, const char *region, const Brick *brick, int band, Arena *scratch);
void brickband_close(BrickBand *b); /* NULL-safe, twice-safe */

/* Pixels that reading [y0, y1) x [x0, x1) decompresses: whole tiles. For plain files an equivalent that holds the
   measured break-even. */
int64_t brickband_cost(const BrickBand *b, int64_t y0, int64_t y1, int64_t x0, int64_t x1);

/* Reads the whole band into the arena; later boxes are copies. A file that cannot be read whole, or has no room
   there, stays a file of boxes. */
void brickband_load(BrickBand *b, Arena *a);

/* Pixels and inverse variances of a box inside the image, as in the files (NaN and all). False when a file cannot be
   read there (logged once). */
Status brickband_read(bool *good, float *pixels, float *ivar, BrickBand *b, ImageSource *s, int64_t y0, int64_t y1,
                      int64_t x0, int64_t x1);

#endif
