/* cutouts.h - an image survey of single cutouts: a folder of FITS files from the sky viewer of the Legacy Surveys
   (data/cutfile.h: their forms), one object per file, every file a row.

   Position: that of the middle of the image by its WCS, else the numbers in a name like cutout_RA_DEC.fits, else NaN;
   HEALPIX of rows without a position is 0, so that they stay in the catalogue and are flagged when embedded.
   TARGETID: bits 62 and 61, which no survey sets together, and 61 bits of the XXH3 hash of the path as listed (relative
   to the root): it does not change with other files or with the folder that the root lies in. Two files with the same
   TARGETID stop the listing.
   A cutout whose pixels are 0.262" within 1 % is cut around the middle of the image; another one is flagged BAD_SCALE, or
   converted and flagged RESCALED (images.other_scale): pixels of the viewer hold what a pixel of 0.262" there would hold,
   whatever their size, so that areas are averaged (data/rescale.h). An image that is mirrored (east to the right, south
   up) is turned back; one that is rotated against north by more than 5 degrees, or that has no WCS, is BAD_SCALE. */
#ifndef DATA_CUTOUTS_H
#define DATA_CUTOUTS_H

#include "data/survey.h"

enum { CUTOUTS_PATH = 1024 };

typedef struct {
    const char *root;    /* folder */
    ConfigTexts files;   /* [] = all .fits, .fits.gz, .fits.fz below the root */
    const char *release; /* for provenance */
} CutoutsConfig;

int64_t cutouts_targetid(const char *path);

/* RA and DEC (deg) in a name like folder/cutout_[TAG_]59.1067_-30.4848.fits[.gz|.fz]; NaN where there are none. */
void cutouts_named_position(double *ra, double *dec, const char *path);

/* ImageSurvey.cutouts (cutouts_pixels.c). */
Status cutouts_cut(ImageBatch *out, int64_t at, ImageSource *s, const ImagesConfig *options, const CatalogRow *rows,
                   int64_t n, Arena *scratch);

#endif
