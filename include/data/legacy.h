/* legacy.h - the Legacy Surveys as they lie on disk (formats.md B10, B11): configuration, names of files, Tractor
   and sweep catalogues. Paths are relative to the root, the folder that holds dr9/:

       dr9/south/coadd/AAA/BRICK/legacysurvey-BRICK-image-g.fits.fz   and -invvar-, r, z; AAA = start of BRICK
       dr9/south/tractor/AAA/tractor-BRICK.fits
       dr9/survey-bricks.fits.gz                                      optional

   A row with PHOTSYS N or S belongs to that region where release.images.regions lists it; other rows take the first
   listed region that has an image of their brick. A cutout never mixes regions: their cameras and filters differ.
   The brick of a row is the one whose box holds its position (not the BRICKNAME of the row); BRICKNAME, where given,
   names the row's Tractor file. Local, serial. */
#ifndef DATA_LEGACY_H
#define DATA_LEGACY_H

#include "data/brick.h"
#include "data/survey.h"

enum { LEGACY_PATH = 1024, LEGACY_REPORTED = 4096 };

typedef struct {
    const char *root;    /* holds dr9/ */
    const char *release; /* "dr9" */
    ConfigTexts regions; /* of "south", "north"; searched in this order */
} LegacyConfig;

typedef enum { PRODUCT_IMAGE, PRODUCT_INVVAR, N_PRODUCTS } LegacyProduct;

/* The state behind ImageSurvey.open. One per thread. */
struct ImageSource {
    const LegacyConfig *config;         /* the caller's */
    uint64_t reported[LEGACY_REPORTED]; /* hashes of files that log_rank has told of */
    int whole;                          /* tests: 0 = the cheaper way, 1 = always whole bands, -1 = always boxes */
};

/* RELEASE/REGION/coadd/AAA/BRICK/legacysurvey-BRICK-PRODUCT-BAND.fits.fz */
Status legacy_image_path(char *path, size_t size, const LegacyConfig *config, const char *region, const char *brickname,
                         LegacyProduct product, int band);

/* The region that a brick is read from for a row of this PHOTSYS ('N', 'S' or other); the first of the list where
   none has the brick. */
const char *legacy_region(const LegacyConfig *config, char photsys, const Brick *brick);

/* 'N' or 'S' by RELEASE number (9011 is north), else by the region in the path, else 0. */
char legacy_photsys(int64_t release, const char *path);

/* Compares a table of bricks with the algorithm of brick.h. E_INPUT when it places a brick elsewhere: then no file
   would be found. */
Status legacy_check_bricks(const char *path, Arena *scratch);

/* The parts of legacy_survey (data/survey.h says what each does). legacy_cutouts: cutout.c. Rows with has_image 0
   are flagged NOT_ASKED and nothing is read for them. */
Status legacy_read_photometry(CatalogRow **rows, int64_t *n, int64_t *n_file, const void *config, const char *path,
                              Arena *a);
Status legacy_cutouts(ImageBatch *out, int64_t at, ImageSource *s, const ImagesConfig *options, const CatalogRow *rows,
                      int64_t n, Arena *scratch);

/* Says once per file what is wrong with it. */
void legacy_report(ImageSource *s, const char *path, const char *what);

#endif
