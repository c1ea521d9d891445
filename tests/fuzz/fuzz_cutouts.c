/* fuzz_cutouts.c - single cutouts of the sky viewer in all their forms: position, bands, pixels. */
#include "core/log.h"
#include "data/cutfile.h"
#include "data/cutouts.h"
#include "fuzz.h"

static const char *const files[] = {"cutout_150.25_2.5.fits"};
static const char *const words[] = {"BANDS   ", "BAND    ", "BAND0   ", "BAND2   ",   "IMAGETYP", "INVVAR  ",
                                    "BRICK   ", "CRPIX1  ", "CRVAL1  ", "CD1_1   ",   "CDELT1  ", "PC1_1   ",
                                    "CTYPE1  ", "RA---TAN", "DEC--SIP", "LONPOLE ",   "NAXIS   ", "NAXIS1  ",
                                    "NAXIS2  ", "NAXIS3  ", "BITPIX  ", "ZIMAGE  ",   "ZTILE1  ", "ZCMPTYPE",
                                    "RICE_1  ", "HCOMPRES", "PLIO_1  ", "ZNAXIS1 ",   "ZBITPIX ", "PV1_1   ",
                                    "A_ORDER ", "WCSAXES ", "'grz'",    "'gibberish", "FILTER  ", NULL};

static Status put_image(FitsFile *f, const char *bands, int n_bands, int64_t side, FitsCompression how, Arena *a)
{
    static const char *const keys[] = {"CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2", "CD1_1", "CD2_2"};
    const double values[] = {150.25, 2.5, ((double)side + 1) / 2, ((double)side + 1) / 2, -0.262 / 3600, 0.262 / 3600};
    const int64_t dims[] = {n_bands, side, side};
    float *data;
    TRY(arena_new(&data, a, n_bands * side * side));
    for (int64_t k = 0; k < n_bands * side * side; k++) data[k] = (float)(k % 113) / 16;
    TRY(fitsfile_new_image(f, "", FITS_F32, false, n_bands > 1 ? dims : dims + 1, n_bands > 1 ? 3 : 2, how));
    TRY(fitsfile_put_text(f, "CTYPE1", "RA---TAN", ""));
    TRY(fitsfile_put_text(f, "CTYPE2", "DEC--TAN", ""));
    for (int i = 0; i < 6; i++) TRY(fitsfile_put_f64(f, keys[i], values[i], ""));
    TRY(fitsfile_put_text(f, n_bands > 1 ? "BANDS" : "BAND", bands, ""));
    return fitsfile_write_pixels(f, FITS_F32, data, n_bands * side * side);
}

/* A cube with or without weights, single bands, compressed or not. */
static Status seeds(Arena *a)
{
    static const FitsCompression how[] = {FITS_PLAIN, FITS_RICE_FLUX, FITS_GZIP_LOSSLESS};
    static const char *const one_band[] = {"g", "r", "z"};
    const char *path = fuzz_path("seed.fits");
    for (int form = 0; form < 6; form++) {
        FitsFile f = {0};
        TRY(fitsfile_create(&f, path));
        if (form < 3) TRY(put_image(&f, "grz", 3, form == 2 ? 128 : 160, how[form], a));
        if (form == 0) TRY(put_image(&f, "grz", 3, 160, FITS_PLAIN, a));
        if (form == 0) TRY(fitsfile_put_text(&f, "IMAGETYP", "INVVAR", ""));
        for (int b = 0; b < 3 && form >= 3; b++) TRY(put_image(&f, one_band[b], 1, 156, how[form - 3], a));
        TRY(fitsfile_finish(&f));
        fuzz_seed_file(0, path);
    }
    fuzz_seed_shared(0, "data/cutouts/copsf_59.1067_-30.4848.fits");
    fuzz_seed_shared(0, "data/cutouts/cutout_59.1067_-30.4848.fits");
    return OK;
}

static void one(int kind, const char *path, const uint8_t *bytes, int64_t n, Arena *a)
{
    const char *item = files[kind];
    const CutoutsConfig config = {.root = fuzz_folder(), .files = {1, &item}, .release = ""};
    const ImagesConfig options = {(int)(n % 2), 0.5, (int)(n / 2 % 2)};
    const FileList list = {(char *[]){(char *)item}, 1};
    int64_t count = 0, skipped[N_REJECTS] = {0}, kept = 0;
    ImageSource *source;
    ImageBatch batch;
    CatalogRow row;
    (void)path, (void)bytes;
    catalog_new_row(&row);
    fuzz_ok(cutouts_survey.count_objects(&count, &config, item, a));
    fuzz_ok(cutouts_survey.read_objects(&row, &kept, skipped, &config, item, 0, 1, a));
    row.has_image = 1, row.image_file = 0, row.image_row = 0;
    MUST(images_batch(&batch, 1, a) == OK && arena_new(&source, a, 1) == OK);
    *source = (ImageSource){.config = &config, .files = &list};
    if (cutouts_survey.open && !fuzz_ok(cutouts_survey.open(source, a))) return;
    fuzz_ok(cutouts_survey.cutouts(&batch, 0, source, &options, &row, 1, a));
    if (cutouts_survey.close) cutouts_survey.close(source);
}

const FuzzTarget fuzz_target = {"cutouts", 1, seeds, one, files, words};
