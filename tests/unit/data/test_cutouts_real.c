/* Real cutouts of the sky viewer (shared/data/cutouts). What is expected was computed by astropy:

     with fits.open(file) as f:                # cubes: HDU 0; the subimage: HDUs 1, 3, 5 and the invvars after each
         h = f[0]; ny, nx = h.data.shape[-2:]
         WCS(h.header).celestial.all_pix2world((nx - 1) / 2, (ny - 1) / 2, 0)
         x0 = ceil((nx - 1) / 2 - 76); w = h.data.astype('f8')[:, x0:x0 + 152, x0:x0 + 152]
         w.sum((1, 2)); (w * arange(152)).sum((1, 2)); (w * arange(152)[:, None]).sum((1, 2))

   Sums weighted with the column and the row tell a window that is shifted, mirrored or transposed. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"
#include "data/cutfile.h"
#include "data/cutouts.h"
#include "data/flags.h"
#include "data/healpix.h"
#include "test_main.h"

enum { SIDE = CUTOUT_PIXELS, PIXELS = SIDE * SIDE, N_FILES = 8, MAX_ROWS = 16 };

static const ImagesConfig as_is = {.max_masked_fraction = 0.5},
                          converted = {.max_masked_fraction = 0.5, .other_scale = OTHER_SCALE_CONVERT};

static const struct {
    const char *name;
    int64_t side; /* pixels; 0 = cannot be read */
    double scale; /* arcsec, 3600 |CD1_1| */
    double ra, dec;
    int32_t flag, flag_converted;
} expected[N_FILES] = {
    {"copsf_59.1067_-30.4848.fits", 63, NAN, NAN, NAN, IMAGE_BAD_SCALE, IMAGE_BAD_SCALE}, /* a PSF: no WCS, no place */
    {"cutout_59.1067_-30.4848.fits", 256, 0.262, 59.10675986, -30.48484172, 0, 0},
    {"example_a.fits", 509, 0.262, 359.995016101289, 0.7017529363319994, 0, 0},
    {"example_b.fits", 424, 0.101364107132, 0.0779308877236, -0.6518456696669972, IMAGE_BAD_SCALE, IMAGE_RESCALED},
    {"example_c.fits", 424, 0.1432296, 147.176446949, -0.35403041664299906, IMAGE_BAD_SCALE, IMAGE_RESCALED},
    {"example_e.fits", 424, 0.14141076088, 0.148466888391, -1.7632275648300038, IMAGE_BAD_SCALE, IMAGE_RESCALED},
    {"example_incomplete.fits", 0, 0, 18.066262308, -6.05180745469, IMAGE_UNREADABLE, IMAGE_UNREADABLE},
    {"temp_extended.fits", 424, 1.0, 216.0314, 34.8592, IMAGE_BAD_SCALE, IMAGE_RESCALED}};

static CutoutsConfig config;
static FileList files;
static CatalogRow rows[MAX_ROWS];

/* The folder as a catalogue would have it; false = it is not here. */
static bool read_catalogue(void)
{
    config = (CutoutsConfig){.root = test_shared("data/cutouts")};
    if (!test_needs_file(config.root)) return false;
    CU_ASSERT_FATAL(CHECK_OK(cutouts_survey.list_objects(&files, &config, &test_arena)));
    CU_ASSERT_EQUAL_FATAL(files.n, N_FILES);
    for (int64_t i = 0; i < files.n; i++) {
        int64_t n, skipped[N_REJECTS] = {0};
        CHECK_OK(cutouts_survey.count_objects(&n, &config, files.path[i], &test_arena));
        CU_ASSERT_EQUAL(n, 1);
        CHECK_OK(cutouts_survey.read_objects(&rows[i], &n, skipped, &config, files.path[i], 0, 1, &test_arena));
        CU_ASSERT_EQUAL(n, 1);
        rows[i].image_file = (int32_t)i; /* what the catalogue stage does for stored sets */
        rows[i].image_row = 0;
    }
    return true;
}

static void cut(ImageBatch *out, const ImagesConfig *options)
{
    static ImageSource source;
    memset(&source, 0, sizeof source);
    source.config = &config;
    source.files = &files;
    log_quiet(true);
    CU_ASSERT_FATAL(CHECK_OK(images_batch(out, files.n, &test_arena)));
    CU_ASSERT_FATAL(CHECK_OK(cutouts_survey.cutouts(out, 0, &source, options, rows, files.n, &test_arena)));
}

static int64_t index_of(const char *name)
{
    for (int64_t i = 0; i < files.n; i++)
        if (strcmp(files.path[i], name) == 0) return i;
    CU_FAIL_FATAL("a file is missing");
    return 0;
}

static void every_file_is_a_row_at_its_place(void)
{
    if (!read_catalogue()) return;
    for (int i = 0; i < N_FILES; i++) {
        const CatalogRow *row = &rows[i];
        CU_ASSERT_STRING_EQUAL(files.path[i], expected[i].name);
        CU_ASSERT_EQUAL(row->targetid >> 61, 3);
        CU_ASSERT(row->has_image == 1 && row->has_spectrum == 0 && row->match == MATCH_ID);
        if (isnan(expected[i].ra)) {
            CU_ASSERT(isnan(row->ra) && isnan(row->dec) && row->healpix == 0);
            continue;
        }
        CU_ASSERT_DOUBLE_EQUAL(row->ra, expected[i].ra, 1e-8); /* as many digits as written above */
        CU_ASSERT_DOUBLE_EQUAL(row->dec, expected[i].dec, 1e-8);
        CU_ASSERT_EQUAL(row->healpix, healpix_pixel(expected[i].ra, expected[i].dec));
    }
    const CatalogRow *row = &rows[index_of("cutout_59.1067_-30.4848.fits")];
    CU_ASSERT_EQUAL(row->photsys, 'S'); /* VERSION = 'DR9-south' */
    CU_ASSERT_STRING_EQUAL(row->brickname, "0591m305");
}

static void headers_say_what_astropy_says(void)
{
    if (!read_catalogue()) return;
    for (int i = 0; i < N_FILES; i++) {
        char path[2048];
        CutFile c;
        snprintf(path, sizeof path, "%s/%s", config.root, expected[i].name);
        CU_ASSERT_FATAL(CHECK_OK(cutfile_open(&c, path, &test_arena)));
        if (expected[i].side) CU_ASSERT(c.ny == expected[i].side && c.nx == expected[i].side && c.whole);
        CU_ASSERT_EQUAL(c.placed, !isnan(expected[i].ra));
        if (expected[i].side && c.placed) {
            double m[2][2];
            CU_ASSERT(wcs_has_scale(&c.wcs, expected[i].scale, 1e-9));
            wcs_around(m, &c.wcs, ((double)c.nx - 1) / 2, ((double)c.ny - 1) / 2);
            CU_ASSERT_DOUBLE_EQUAL(m[0][0], -expected[i].scale, 1e-5); /* a tenth of a degree beside CRVAL */
            CU_ASSERT_DOUBLE_EQUAL(m[1][1], expected[i].scale, 1e-5);
        }
        bool cube = strstr(expected[i].name, "e") && !strstr(expected[i].name, "cutout") && c.placed;
        for (int band = 0; band < N_BANDS; band++) {
            bool subimage = strstr(expected[i].name, "cutout_") != NULL;
            CU_ASSERT_EQUAL(c.image[band].hdu, cube ? 0 : subimage ? 1 + 2 * band : band);
            CU_ASSERT_EQUAL(c.image[band].plane, cube ? band : 0);
            CU_ASSERT_EQUAL(c.invvar[band].hdu, subimage ? 2 + 2 * band : -1);
        }
        CU_ASSERT_EQUAL(c.whole, expected[i].side > 0);
        cutfile_close(&c);
        cutfile_close(&c);
    }
}

static void flags_are_those_of_the_files(void)
{
    if (!read_catalogue()) return;
    ImageBatch plain, turned;
    cut(&plain, &as_is);
    cut(&turned, &converted);
    for (int i = 0; i < N_FILES; i++) {
        CU_ASSERT_EQUAL(plain.flag[i], expected[i].flag);
        CU_ASSERT_EQUAL(turned.flag[i] & ~(IMAGE_PADDED | IMAGE_BAD_PIXELS), expected[i].flag_converted);
        bool fatal = flags_fatal(MODALITY_IMAGE, turned.flag[i], false);
        for (int band = 0; band < N_BANDS; band++) CU_ASSERT_EQUAL(turned.stats[i * N_IMAGE_STATS + band] == 0, fatal);
    }
}

static void check_window(const ImageBatch *b, int64_t i, const double sum[3][3])
{
    for (int band = 0; band < N_BANDS; band++) {
        const float *p = b->pixels + (i * N_BANDS + band) * PIXELS;
        double s[3] = {0};
        for (int64_t k = 0; k < PIXELS; k++) {
            double v = p[k];
            s[0] += v;
            s[1] += v * (double)(k % SIDE);
            s[2] += v * (double)(k / SIDE);
        }
        for (int a = 0; a < 3; a++) CU_ASSERT_DOUBLE_EQUAL(s[a] / sum[band][a], 1, 1e-11); /* order of sums */
        CU_ASSERT_EQUAL(b->stats[i * N_IMAGE_STATS + band], 1);
    }
}

static void windows_are_the_pixels_of_astropy(void)
{
    static const double cube[3][3] = {{711.8047071043256, 60610.56684716017, 54570.34716494914},
                                      {1745.8664739026863, 148431.71240597352, 134115.1417332632},
                                      {3431.148440748948, 291121.7918284244, 262766.4590832327}};
    static const double subimage[3][3] = {{57.171605172217824, 4105.953612669662, 1702.8343377918354},
                                          {84.54750093186158, 6121.234974947496, 2724.8253003023856},
                                          {107.53161445175647, 7777.858111375361, 3706.654718092992}};
    if (!read_catalogue()) return;
    ImageBatch b;
    cut(&b, &as_is);
    check_window(&b, index_of("example_a.fits"), cube);
    check_window(&b, index_of("cutout_59.1067_-30.4848.fits"), subimage);
    /* one pixel, exactly: data[2, 178 + 76, 178 + 76], the middle of the galaxy in z */
    const float *z = b.pixels + (index_of("example_a.fits") * N_BANDS + 2) * PIXELS;
    CU_ASSERT_EQUAL(z[76 * SIDE + 76], 9.395027160644531F);
}

/* Flux of the whole image of native pixels, sum x (scale / 0.262)^2, over what the new grid shows: 39.8" hold all but the
   edges of these fields of 43 to 61". data.astype('f8').sum((1, 2)) for files b, c, e. */
static void conversion_keeps_the_flux_of_the_galaxy(void)
{
    static const struct {
        const char *name;
        double scale, total[3];
    } file[] = {{"example_b.fits", 0.101364107132, {858.20698024, 1353.20751364, 2095.80195481}},
                {"example_e.fits", 0.14141076088, {5565.88953679, 10350.68915013, 16728.91018657}}};
    if (!read_catalogue()) return;
    ImageBatch b;
    cut(&b, &converted);
    for (int f = 0; f < 2; f++)
        for (int band = 0; band < N_BANDS; band++) {
            const float *p = b.pixels + (index_of(file[f].name) * N_BANDS + band) * PIXELS;
            double sum = 0, want = file[f].total[band] * pow(file[f].scale / PIXEL_SCALE, 2);
            for (int64_t k = 0; k < PIXELS; k++) sum += (double)p[k];
            CU_ASSERT(sum > 0.8 * want && sum < 1.1 * want);
        }
}

TEST_MAIN("cutouts (real)", {"every file is a row at its place", every_file_is_a_row_at_its_place},
          {"headers say what astropy says", headers_say_what_astropy_says},
          {"flags are those of the files", flags_are_those_of_the_files},
          {"windows hold the pixels that astropy reads", windows_are_the_pixels_of_astropy},
          {"conversion keeps the flux of the galaxy", conversion_keeps_the_flux_of_the_galaxy})
