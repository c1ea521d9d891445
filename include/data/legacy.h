/* legacy.h - the Legacy Surveys as they lie on disk (formats.md B10, B11): configuration, names of files, Tractor
   and sweep catalogues. Paths are relative to the root, the folder that holds dr9/:

       dr9/south/coadd/AAA/BRICK/legacysurvey-BRICK-image-g.fits.fz   and -invvar-, r, z; AAA = start of BRICK
       dr9/south/tractor/AAA/tractor-BRICK.fits
       dr9/south/coadd/AAA/BRICK/legacysurvey-BRICK-maskbits.fits.fz  where release.images.maskbits asks for them
       dr9/south/sweep/9.0/sweep-RADEC-RADEC.fits                     rows of a catalogue of images (sweeps.c)
       dr9/south/sweep/9.1-photo-z/sweep-RADEC-RADEC-pz.fits          optional, its rows beside those of the sweep
       dr9/survey-bricks.fits.gz                                      optional
       dr9/south/survey-bricks-dr9-south.fits.gz                      optional

   DR8 (sweep/8.0) and DR10 (south alone; sweep/10.0, 10.1) are alike.
   A row with PHOTSYS N or S belongs to that region where release.images.regions lists it; other rows take the first
   listed region that has an image of their brick. A cutout never mixes regions: their cameras and filters differ.
   The brick of a row is the one whose box holds its position (not the BRICKNAME of the row); BRICKNAME, where given,
   names the row's Tractor file. Local, serial. */
#ifndef DATA_LEGACY_H
#define DATA_LEGACY_H

#include "data/brick.h"
#include "data/survey.h"
#include "io/fitsfile.h"

enum { LEGACY_PATH = 1024 };

/* Which rows of a sweep are objects, release.images.objects. The cuts come in this order, a row is counted with the
   first that it fails: not an object (DUP, a row of the region that is not the preferred one here, a row without a
   position or identifier), type, magnitude, exposures, mask bits. */
typedef struct {
    ConfigTexts drop_types; /* of TYPE */
    double max_mag_z;       /* brighter than this, AB; 0 = any */
    bool dereddened;        /* the magnitude without the dust of our Galaxy */
    int64_t min_exposures;  /* NOBS in each of g, r, z; 0 = any */
    ConfigTexts maskbits;   /* names: none of these bits of MASKBITS */
    bool photo_z;           /* read the photometric redshifts that lie beside the sweeps */
} LegacyObjects;

typedef struct {
    const char *root;     /* holds dr9/ */
    const char *release;  /* "dr9" */
    ConfigTexts regions;  /* of "south", "north"; searched in this order */
    ConfigTexts maskbits; /* names: pixels with one of these bits count as without data */
    ConfigTexts sweeps;   /* files and folders; empty = the newest version of each region */
    LegacyObjects objects;
} LegacyConfig;

typedef enum { PRODUCT_IMAGE, PRODUCT_INVVAR, PRODUCT_MASKBITS, N_PRODUCTS } LegacyProduct;

/* Bits of MASKBITS, of columns and of coadd/.../maskbits files (formats.md B10), ended by NULL; their mask. */
extern const char *const legacy_maskbit_name[];
int32_t legacy_maskbits(const ConfigTexts *names);

/* RELEASE/REGION/coadd/AAA/BRICK/legacysurvey-BRICK-PRODUCT-BAND.fits.fz; of maskbits there is one for all bands. */
Status legacy_image_path(char *path, size_t size, const LegacyConfig *config, const char *region, const char *brickname,
                         LegacyProduct product, int band);

/* True where the configuration lists the region and the release has it: DR10 is of the south alone. */
bool legacy_has_region(const LegacyConfig *config, const char *region);

/* True where the north (BASS, MzLS) is the preferred region: DEC >= 32.375 and north of the Galactic plane. */
bool legacy_prefers_north(double ra, double dec);

/* The region that a brick is read from for a row of this PHOTSYS ('N', 'S' or other); the first of the list where
   none has the brick. */
const char *legacy_region(const LegacyConfig *config, char photsys, const Brick *brick);

/* 'N' or 'S' by RELEASE number (9011 is north), else by the region in the path, else 0. */
char legacy_photsys(int64_t release, const char *path);

/* Compares a table of bricks with the algorithm of brick.h. E_INPUT when it places a brick elsewhere: then no file
   would be found. */
Status legacy_check_bricks(const char *path, Arena *scratch);

/* The columns used of some rows of a Tractor catalogue or sweep, one element per row. */
enum { LEGACY_TYPE = 8, LEGACY_PHOTSYS = 4 };
typedef struct {
    uint8_t *primary; /* 0: DUP (a second entry of a galaxy, without flux) or not BRICK_PRIMARY */
    char *type;       /* (n, LEGACY_TYPE)    */
    char *photsys;    /* (n, LEGACY_PHOTSYS) */
    char *brickname;  /* (n, BRICK_NAME)     */
    int16_t *release;
    int32_t *brickid, *objid, *maskbits;
    double *ra, *dec;
    float *flux[N_BANDS], *nobs[N_BANDS], *ebv, *transmission_z; /* NaN where the column is absent */
    bool has_flux_z, has_nobs, has_maskbits, has_transmission;
} LegacyColumns;
Status legacy_read_columns(LegacyColumns *out, FitsFile *f, int64_t first, int64_t n, Arena *a);

/* Row i of the columns as a row of a catalogue; `path` names the region where PHOTSYS and RELEASE do not. */
void legacy_fill_row(CatalogRow *row, const LegacyColumns *columns, int64_t i, int64_t source_row, const char *path);

/* The parts of legacy_survey (data/survey.h says what each does): tractor.c; sweeps.c and sweep_rows.c; cutout.c. Rows
   with has_image 0 are flagged NOT_ASKED and nothing is read for them. */
Status legacy_read_photometry(CatalogRow **rows, int64_t *n, int64_t *n_file, const void *config, const char *path,
                              Arena *a);
Status legacy_list_objects(FileList *out, const void *config, Arena *a);
Status legacy_count_objects(int64_t *n, const void *config, const char *path, Arena *scratch);
Status legacy_read_objects(CatalogRow *rows, int64_t *n_rows, int64_t skipped[N_REJECTS], const void *config,
                           const char *path, int64_t first, int64_t n, Arena *scratch);
/* The file of photometric redshifts that lies beside a sweep; false where there is none. */
bool legacy_photo_z_file(char *path, size_t size, const LegacyConfig *config, const char *sweep);
Status legacy_cutouts(ImageBatch *out, int64_t at, ImageSource *s, const ImagesConfig *options, const CatalogRow *rows,
                      int64_t n, Arena *scratch);

/* list_beside of data/survey.h: the file of photometric redshifts. */
Status legacy_list_beside(FileList *out, int64_t *room, const void *config, const char *path, Arena *a);

#endif
