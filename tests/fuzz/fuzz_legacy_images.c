/* fuzz_legacy_images.c - images, inverse variances and mask bits of a brick of the Legacy Surveys: one damaged file among
   good ones, and a cutout through all of them. Read whole and box by box by turns. */
#include <stdio.h>

#include "data/legacy.h"
#include "fuzz.h"

enum { SIDE = 200, FIRST = 1700 }; /* the part of the brick's 3600 pixels that the files show */

static const char *const words[] = {"ZIMAGE  ",        "ZCMPTYPE",
                                    "RICE_1  ",        "GZIP_1  ",
                                    "GZIP_2  ",        "HCOMPRES",
                                    "PLIO_1  ",        "NOCOMPRS",
                                    "ZTILE1  ",        "ZTILE2  ",
                                    "ZNAXIS  ",        "ZNAXIS1 ",
                                    "ZNAXIS2 ",        "ZBITPIX ",
                                    "ZNAME1  ",        "ZVAL1   ",
                                    "BLOCKSIZE",       "BYTEPIX ",
                                    "ZQUANTIZ",        "SUBTRACTIVE_DITHER_1",
                                    "ZDITHER0",        "ZBLANK  ",
                                    "ZSCALE  ",        "ZZERO   ",
                                    "COMPRESSED_DATA", "GZIP_COMPRESSED_DATA",
                                    "TFORM1  ",        "1PB(9999)",
                                    "1QB     ",        "PCOUNT  ",
                                    "THEAP   ",        "NAXIS1  ",
                                    "NAXIS2  ",        "CD1_1   ",
                                    "CRPIX1  ",        "CRVAL2  ",
                                    "CTYPE1  ",        "RA---ZPN",
                                    "TFIELDS ",        NULL};
static const struct {
    LegacyProduct product;
    int band;
    FitsCompression how;
} part[] = {{PRODUCT_IMAGE, 0, FITS_RICE_FLUX},    {PRODUCT_IMAGE, 1, FITS_GZIP_LOSSLESS},
            {PRODUCT_INVVAR, 0, FITS_RICE_IVAR},   {PRODUCT_INVVAR, 1, FITS_PLAIN},
            {PRODUCT_MASKBITS, 0, FITS_RICE_FLUX}, {PRODUCT_IMAGE, 2, FITS_PLAIN},
            {PRODUCT_INVVAR, 2, FITS_RICE_IVAR}};
enum { N_PARTS = sizeof part / sizeof *part };
static char names[N_PARTS][LEGACY_PATH];
static const char *files[N_PARTS];
static const char *south = "south", *bits = "BRIGHT";
static LegacyConfig config = {.release = "dr9", .regions = {1, &south}, .maskbits = {1, &bits}};
static Brick brick;
static FuzzSeed *good[N_PARTS];

static Status put_part(const char *path, int i, Arena *a)
{
    static const char *const keys[] = {"CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2", "CD1_1", "CD2_2"};
    const double values[] = {brick.ra, brick.dec, 1800.5 - FIRST, 1800.5 - FIRST, -0.262 / 3600, 0.262 / 3600};
    const bool mask = part[i].product == PRODUCT_MASKBITS;
    FitsFile f = {0};
    float *data;
    TRY(arena_new(&data, a, SIDE * SIDE));
    for (int64_t k = 0; k < SIDE * SIDE; k++) data[k] = mask ? (float)(k % 7 == 0) : (float)(1 + k * 31 % 211) / 16;
    TRY(fitsfile_create(&f, path));
    TRY(fitsfile_new_image(&f, "IMAGE", mask ? FITS_I32 : FITS_F32, false, (int64_t[]){SIDE, SIDE}, 2, part[i].how));
    TRY(fitsfile_put_text(&f, "CTYPE1", "RA---TAN", ""));
    TRY(fitsfile_put_text(&f, "CTYPE2", "DEC--TAN", ""));
    for (int k = 0; k < 6; k++) TRY(fitsfile_put_f64(&f, keys[k], values[k], ""));
    TRY(fitsfile_write_pixels(&f, FITS_F32, data, SIDE * SIDE));
    return fitsfile_finish(&f);
}

static Status seeds(Arena *a)
{
    config.root = fuzz_folder();
    MUST(brick_at(&brick, 150.125, 2.25));
    for (int i = 0; i < N_PARTS; i++) {
        TRY(legacy_image_path(names[i], LEGACY_PATH, &config, south, brick.name, part[i].product, part[i].band));
        files[i] = names[i];
        TRY(put_part(fuzz_path(names[i]), i, a));
        good[i] = &fuzz_seeds[fuzz_n_seeds];
        fuzz_seed_file(i, fuzz_path(names[i]));
    }
    fuzz_seed_shared(0, "data/legacy/legacysurvey-1102p240-image-z.fits.fz");
    fuzz_seed_shared(2, "data/legacy/legacysurvey-1102p240-invvar-z.fits.fz");
    return OK;
}

static void one(int kind, const char *path, const uint8_t *bytes, int64_t n, Arena *a)
{
    const ImagesConfig options = {.missing_band = MISSING_BAND_ZERO, .max_masked_fraction = 0.5};
    ImageSource *source;
    ImageBatch batch;
    CatalogRow rows[2];
    (void)bytes;
    for (int i = 0; i < 2; i++) {
        catalog_new_row(&rows[i]);
        rows[i].ra = brick.ra + 0.004 * i, rows[i].dec = brick.dec, rows[i].photsys = 'S', rows[i].has_image = 1;
    }
    MUST(images_batch(&batch, 2, a) == OK && arena_new(&source, a, 1) == OK);
    *source = (ImageSource){.config = &config, .whole = n % 2 ? 1 : -1};
    if (fuzz_ok(legacy_survey.open(source, a))) fuzz_ok(legacy_survey.cutouts(&batch, 0, source, &options, rows, 2, a));
    if (legacy_survey.close) legacy_survey.close(source);
    fuzz_write(path, good[kind]->bytes, good[kind]->n); /* for the next input, which damages another one */
}

const FuzzTarget fuzz_target = {"legacy_images", N_PARTS, seeds, one, files, words};
