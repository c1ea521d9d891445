/* test_fitsfile_real.c - the readers meet real files of DESI and the Legacy Surveys (../shared/data; skipped where that
   is not there). What is expected comes from the files' own consistency: masks against inverse variances, exposures
   against weights, one file's header against another's table. */
#include "io/fitsfile.h"

#include <math.h>
#include <string.h>

#include "test_main.h"

enum { BRICK = 3600, BAND = 400 };

static bool open_shared(FitsFile *f, const char *name)
{
    const char *path = test_shared(name);
    return test_needs_file(path) && CHECK_OK(fitsfile_open(f, path));
}

/* An arm's image of one kind into the arena. */
static int64_t read_arm(void *pixels, FitsFile *f, char arm, const char *what, bool mask)
{
    char name[32];
    int64_t dims[FITS_AXES] = {0};
    int axes = 0;
    snprintf(name, sizeof name, "%c_%s", arm, what);
    if (!CHECK_OK(fitsfile_goto(f, name)) || !CHECK_OK(fitsfile_image_size(dims, &axes, f))) return 0;
    int64_t n = axes == 2 ? dims[0] * dims[1] : dims[0];
    float **out = pixels;
    if (!CHECK_OK(arena_new(out, &test_arena, n))) return 0;
    if (!CHECK_OK(mask ? fitsfile_read_mask((uint32_t *)*out, f, 0, dims[0])
                       : fitsfile_read_rows(*out, f, FITS_F32, 0, dims[0])))
        return 0;
    return n;
}

static void packed_masks_agree_with_inverse_variances(void)
{
    FitsFile f;
    if (!open_shared(&f, "data/desi/spectra-5-169-thru20210419.fits")) return;
    for (const char *arm = "BRZ"; *arm; arm++) {
        uint32_t *mask = NULL;
        float *ivar = NULL;
        int64_t n = read_arm(&mask, &f, *arm, "MASK", true), bad = 0, differ = 0;
        CU_ASSERT(n > 0 && n == read_arm(&ivar, &f, *arm, "IVAR", false));
        for (int64_t i = 0; i < n; i++) {
            bad += mask[i] != 0;
            differ += (mask[i] != 0) != (ivar[i] == 0);
            CU_ASSERT_FATAL(mask[i] < 1u << 13); /* SPECMASK has 13 bits; 2^31 would be a forgotten BZERO */
        }
        CU_ASSERT(bad > n / 2 && bad < n); /* four dead rows of five, and not the fifth */
        CU_ASSERT_EQUAL(differ, 0);
    }
    fitsfile_close(&f);
}

static void plain_masks_lose_their_offset(void)
{
    static const char *const files[] = {"data/desi/coadd-5-169-thru20210419.fits",
                                        "data/desi/coadd-special-dark-27247.fits",
                                        "data/desi/coadd-1-80693-thru20210204.fits"};
    for (int k = 0; k < 3; k++) {
        FitsFile f;
        if (!open_shared(&f, files[k])) return;
        for (const char *arm = "BRZ"; *arm; arm++) {
            uint32_t *mask = NULL, all = 0;
            int64_t n = read_arm(&mask, &f, *arm, "MASK", true);
            for (int64_t i = 0; i < n; i++) all |= mask[i];
            CU_ASSERT(n > 0 && all < 1u << 13);
        }
        fitsfile_close(&f);
    }
}

static void wavelengths_are_the_published_grid(void)
{
    static const char *const files[] = {"data/desi/coadd-main-dark-9144.fits", "data/desi/quasarnp-25-spectra.fits",
                                        "data/desi/spectra-5-169-thru20210419.fits"};
    static const double first[3] = {3600, 5760, 7520};
    double wave[3000];
    for (int k = 0; k < 3; k++) {
        FitsFile f;
        if (!open_shared(&f, files[k])) return;
        for (int arm = 0; arm < 3; arm++) {
            char name[32];
            int64_t dims[FITS_AXES] = {0};
            int axes = 0;
            snprintf(name, sizeof name, "%c_WAVELENGTH", "BRZ"[arm]);
            CHECK_OK(fitsfile_goto(&f, name));
            CHECK_OK(fitsfile_image_size(dims, &axes, &f));
            CU_ASSERT_FATAL(axes == 1 && dims[0] <= 3000);
            CHECK_OK(fitsfile_read_rows(wave, &f, FITS_F64, 0, dims[0]));
            for (int64_t i = 0; i < dims[0]; i++) CU_ASSERT_DOUBLE_EQUAL(wave[i], first[arm] + 0.8 * (double)i, 1e-6);
        }
        fitsfile_close(&f);
    }
}

static void data_sums_of_a_coadd_hold(void)
{
    FitsFile f;
    if (!open_shared(&f, "data/desi/coadd-special-dark-27247.fits")) return;
    static const char *const hdus[] = {"FIBERMAP", "B_FLUX", "R_MASK", "Z_RESOLUTION", "SCORES"};
    for (int i = 0; i < 5; i++) {
        bool ok = false, present = false;
        CHECK_OK(fitsfile_goto(&f, hdus[i]));
        CHECK_OK(fitsfile_verify(&f, &ok, &present));
        CU_ASSERT(ok && present);
    }
    fitsfile_close(&f);
}

static void redrock_and_coadd_tell_of_the_same_target(void)
{
    FitsFile f;
    int64_t id = 0, same = 1, width = 0;
    double z = 0;
    char type[12], object[12];
    if (!open_shared(&f, "data/desi/redrock-special-dark-27247.fits")) return;
    CHECK_OK(fitsfile_goto(&f, "REDSHIFTS"));
    CHECK_OK(fitsfile_read_column(&id, &f, "TARGETID", FITS_I64, 0, 1));
    CHECK_OK(fitsfile_read_column(&z, &f, "Z", FITS_F64, 0, 1));
    CHECK_OK(fitsfile_read_text(type, sizeof type, &f, "SPECTYPE", 0, 1));
    CHECK_OK(fitsfile_column_width(&width, &f, "COEFF"));
    CU_ASSERT_DOUBLE_EQUAL(z, 0.00727, 1e-5); /* the README of the data */
    CU_ASSERT_STRING_EQUAL(type, "GALAXY");
    CU_ASSERT_EQUAL(width, 10);
    fitsfile_close(&f);
    if (!open_shared(&f, "data/desi/coadd-special-dark-27247.fits")) return;
    CHECK_OK(fitsfile_goto(&f, "FIBERMAP"));
    CHECK_OK(fitsfile_read_column(&same, &f, "TARGETID", FITS_I64, 0, 1));
    CHECK_OK(fitsfile_read_text(object, sizeof object, &f, "OBJTYPE", 0, 1));
    CU_ASSERT_EQUAL(id, same);
    CU_ASSERT_STRING_EQUAL(object, "TGT");
    fitsfile_close(&f);
}

static void negative_target_ids_and_blank_texts_are_read(void)
{
    FitsFile f;
    int64_t id[5], n = 0;
    char object[5][8];
    if (!open_shared(&f, "data/desi/coadd-5-169-thru20210419.fits")) return;
    CHECK_OK(fitsfile_goto(&f, "FIBERMAP"));
    CHECK_OK(fitsfile_rows(&n, &f));
    CU_ASSERT_FATAL(n == 5);
    CHECK_OK(fitsfile_read_column(id, &f, "TARGETID", FITS_I64, 0, 5));
    CHECK_OK(fitsfile_read_text(object[0], sizeof object[0], &f, "OBJTYPE", 0, 5));
    for (int i = 0; i < 5; i++) CU_ASSERT((id[i] < 0) == (strcmp(object[i], "TGT") != 0)); /* unassigned fibres: both */
    CU_ASSERT_STRING_EQUAL(object[0], "");
    fitsfile_close(&f);
}

static void exposures_and_weights_of_a_brick_agree(void)
{
    static float ivar[BAND * BRICK];
    static int16_t nexp[BAND * BRICK];
    int64_t dims[FITS_AXES] = {0}, ny, nx, seen = 0, differ = 0;
    int axes = 0;
    FitsFile weights, counts;
    if (!open_shared(&weights, "data/legacy/legacysurvey-0959p805-invvar-g.fits.fz")) return;
    if (!open_shared(&counts, "data/legacy/legacysurvey-0959p805-nexp-g.fits.fz")) return;
    CHECK_OK(fitsfile_goto_image(&weights));
    CHECK_OK(fitsfile_goto_image(&counts));
    CHECK_OK(fitsfile_image_size(dims, &axes, &weights));
    CU_ASSERT_FATAL(axes == 2 && dims[0] == BRICK && dims[1] == BRICK);
    fitsfile_tile(&ny, &nx, &weights);
    CU_ASSERT(ny == 100 && nx == 100);
    for (int64_t y = 0; y < BRICK; y += BAND) {
        CHECK_OK(fitsfile_read_rows(ivar, &weights, FITS_F32, y, BAND));
        CHECK_OK(fitsfile_read_rows(nexp, &counts, FITS_I16, y, BAND));
        for (int i = 0; i < BAND * BRICK; i++) {
            seen += nexp[i] > 0;
            differ += (nexp[i] > 0) != (ivar[i] != 0);
        }
    }
    CU_ASSERT_EQUAL(differ, 0);
    CU_ASSERT_DOUBLE_EQUAL((double)seen / BRICK / BRICK, 0.12, 0.01); /* "only 12 % of the pixels are filled" */
    fitsfile_close(&weights);
    fitsfile_close(&counts);
}

static void a_box_of_a_brick_equals_its_rows(void)
{
    enum { Y0 = 230, X0 = 150, SIDE = 152 };
    static float rows[SIDE * BRICK], box[SIDE * SIDE];
    FitsFile f;
    int lit = 0, differ = 0;
    if (!open_shared(&f, "data/legacy/legacysurvey-0959p805-image-g.fits.fz")) return;
    CHECK_OK(fitsfile_goto_image(&f));
    CHECK_OK(fitsfile_read_rows(rows, &f, FITS_F32, Y0, SIDE));
    CHECK_OK(fitsfile_read_box(box, &f, Y0, Y0 + SIDE, X0, X0 + SIDE));
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) {
            lit += box[y * SIDE + x] != 0;
            differ += box[y * SIDE + x] != rows[y * BRICK + X0 + x];
        }
    CU_ASSERT(lit > SIDE * SIDE / 2 && differ == 0);
    fitsfile_close(&f);
}

static void a_gzipped_brick_table_agrees_with_the_bricks_header(void)
{
    FitsFile f;
    double centre[2] = {0}, crval = 0, crpix = 0;
    char brick[9];
    char *cards = NULL;
    int n_cards = 0;
    if (!open_shared(&f, "data/legacy/survey-bricks-dr6.fits.gz")) return;
    CHECK_OK(fitsfile_goto_number(&f, 1));
    CHECK_OK(fitsfile_read_text(brick, sizeof brick, &f, "BRICKNAME", 0, 1)); /* lower case in the file */
    CHECK_OK(fitsfile_read_column(&centre[0], &f, "RA", FITS_F64, 0, 1));
    CHECK_OK(fitsfile_read_column(&centre[1], &f, "DEC", FITS_F64, 0, 1));
    CU_ASSERT_STRING_EQUAL(brick, "0959p805");
    fitsfile_close(&f);
    if (!open_shared(&f, "data/legacy/legacysurvey-0959p805-image-g.fits.fz")) return;
    CHECK_OK(fitsfile_goto_image(&f));
    CU_ASSERT(fitsfile_get_f64(&crval, &f, "CRVAL1"));
    CU_ASSERT_DOUBLE_EQUAL(crval, centre[0], 1e-9);
    CU_ASSERT(fitsfile_get_f64(&crval, &f, "CRVAL2"));
    CU_ASSERT_DOUBLE_EQUAL(crval, centre[1], 1e-9);
    CU_ASSERT(fitsfile_get_f64(&crpix, &f, "CRPIX1") && crpix == 1800.5);
    CHECK_OK(fitsfile_header(&cards, &n_cards, &f, &test_arena));
    CU_ASSERT(n_cards > 10 && strstr(cards, "RA---TAN") && strstr(cards, "NAXIS1  =                 3600"));
    fitsfile_close(&f);
}

static void all_products_of_a_brick_open(void)
{
    static const char *const kinds[] = {"image", "invvar", "model", "chi2", "depth", "galdepth", "nexp"};
    static float pixels[100 * 100];
    for (int k = 0; k < 7; k++) {
        char name[100];
        FitsFile f;
        int64_t dims[FITS_AXES] = {0};
        int axes = 0, finite = 0;
        snprintf(name, sizeof name, "data/legacy/legacysurvey-1102p240-%s-z.fits.fz", kinds[k]);
        if (!open_shared(&f, name)) return;
        CHECK_OK(fitsfile_goto_image(&f));
        CHECK_OK(fitsfile_image_size(dims, &axes, &f));
        CU_ASSERT_FATAL(axes == 2 && dims[0] == 100 && dims[1] == 100);
        CHECK_OK(fitsfile_read_rows(pixels, &f, FITS_F32, 0, 100));
        for (int i = 0; i < 100 * 100; i++) finite += isfinite(pixels[i]);
        CU_ASSERT_EQUAL(finite, 100 * 100);
        fitsfile_close(&f);
    }
}

static void catalogues_open_in_either_case(void)
{
    static const char *const files[] = {"data/tractor/tractor-3301m002.fits", "data/tractor/sweep-310m005-320p000.fits",
                                        "data/legacy/tractor-1102p240.fits"};
    for (int k = 0; k < 3; k++) {
        FitsFile f;
        int64_t n = 0, width = 0;
        double ra[8];
        float flux[8 * 6];
        char type[8][5];
        if (!open_shared(&f, files[k])) return;
        CHECK_OK(fitsfile_goto_number(&f, 1));
        CHECK_OK(fitsfile_rows(&n, &f));
        CU_ASSERT_FATAL(n > 0 && n <= 8);
        CHECK_OK(fitsfile_read_column(ra, &f, "ra", FITS_F64, 0, n));
        CHECK_OK(fitsfile_read_text(type[0], sizeof type[0], &f, "TYPE", 0, n));
        for (int64_t i = 0; i < n; i++)
            CU_ASSERT(ra[i] > 0 && ra[i] < 360 && strstr("PSF REX DEV EXP SER COMP SIMP DUP", type[i]) &&
                      strlen(type[i]) >= 3);
        CHECK_OK(fitsfile_column_width(&width, &f, "DCHISQ"));
        CU_ASSERT_FATAL(width == 5);
        CHECK_OK(fitsfile_read_column(flux, &f, "dchisq", FITS_F32, 0, n));
        CU_ASSERT(isfinite(flux[0]));
        fitsfile_close(&f);
    }
}

static void cutouts_are_cubes_or_six_images(void)
{
    FitsFile f;
    int64_t dims[FITS_AXES] = {0};
    int axes = 0;
    if (!open_shared(&f, "data/cutouts/example_a.fits")) return;
    CHECK_OK(fitsfile_goto_image(&f));
    CHECK_OK(fitsfile_image_size(dims, &axes, &f));
    CU_ASSERT(axes == 3 && dims[0] == 3 && dims[1] == 509 && dims[2] == 509);
    fitsfile_close(&f);
    if (!open_shared(&f, "data/cutouts/cutout_59.1067_-30.4848.fits")) return;
    for (int i = 1; i <= 6; i++) {
        CHECK_OK(fitsfile_goto_number(&f, i));
        CHECK_OK(fitsfile_image_size(dims, &axes, &f));
        CU_ASSERT(axes == 2 && dims[0] == 256 && dims[1] == 256);
    }
    CHECK_FAILS(fitsfile_goto_number(&f, 7), E_INPUT);
    fitsfile_close(&f);
}

static void a_truncated_cutout_is_named_as_such(void)
{
    FitsFile f;
    int64_t dims[FITS_AXES];
    int axes;
    float pixel;
    if (!open_shared(&f, "data/cutouts/example_incomplete.fits")) return;
    CU_ASSERT_EQUAL(fitsfile_image_size(dims, &axes, &f), E_INPUT);
    CU_ASSERT(strstr(fail_record()->text, "example_incomplete.fits") && strstr(fail_record()->text, "truncated"));
    fail_clear();
    CHECK_FAILS(fitsfile_read_rows(&pixel, &f, FITS_F32, 2, 1), E_INPUT);
    fitsfile_close(&f);
    if (open_shared(&f, "data/cutouts/example_b.fits")) { /* and the next file is none the worse for it */
        CHECK_OK(fitsfile_image_size(dims, &axes, &f));
        fitsfile_close(&f);
    }
}

/* Floats, which are decoded here, beside doubles, which cfitsio decodes. */
static void floats_in_rice_codes_are_those_of_cfitsio(void)
{
    static const char *const files[] = {"data/legacy/legacysurvey-0959p805-image-g.fits.fz",
                                        "data/legacy/legacysurvey-0959p805-invvar-g.fits.fz",
                                        "data/legacy/legacysurvey-1102p240-image-z.fits.fz",
                                        "data/legacy/legacysurvey-1102p240-invvar-z.fits.fz",
                                        "data/legacy/legacysurvey-1102p240-model-z.fits.fz"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        const Mark mark = arena_mark(&test_arena);
        FitsFile f;
        int64_t dims[FITS_AXES] = {0}, wrong = 0;
        int axes = 0;
        float *pixels = NULL;
        double *exact = NULL;
        if (!open_shared(&f, files[i])) return;
        CHECK_OK(fitsfile_goto_image(&f));
        CHECK_OK(fitsfile_image_size(dims, &axes, &f));
        const int64_t rows = dims[0] < BAND ? dims[0] : BAND, first = (dims[0] - rows) / 2, n = rows * dims[1];
        CHECK_OK(arena_new(&pixels, &test_arena, n));
        CHECK_OK(arena_new(&exact, &test_arena, n));
        CHECK_OK(fitsfile_read_rows(pixels, &f, FITS_F32, first, rows));
        CHECK_OK(fitsfile_read_rows(exact, &f, FITS_F64, first, rows));
        for (int64_t k = 0; k < n; k++) {
            const float value = (float)exact[k];
            wrong += isnan(value) ? !isnan(pixels[k]) : memcmp(&value, &pixels[k], sizeof value) != 0;
        }
        CU_ASSERT_EQUAL(wrong, 0);
        fitsfile_close(&f);
        arena_reset(&test_arena, mark);
    }
}

TEST_MAIN("fitsfile_real", {"packed masks agree with inverse variances", packed_masks_agree_with_inverse_variances},
          {"plain masks lose their offset", plain_masks_lose_their_offset},
          {"wavelengths are the published grid", wavelengths_are_the_published_grid},
          {"data sums of a coadd hold", data_sums_of_a_coadd_hold},
          {"redrock and coadd tell of the same target", redrock_and_coadd_tell_of_the_same_target},
          {"negative target ids and blank texts are read", negative_target_ids_and_blank_texts_are_read},
          {"exposures and weights of a brick agree", exposures_and_weights_of_a_brick_agree},
          {"a box of a brick equals its rows", a_box_of_a_brick_equals_its_rows},
          {"a gzipped brick table agrees with the brick's header", a_gzipped_brick_table_agrees_with_the_bricks_header},
          {"all products of a brick open", all_products_of_a_brick_open},
          {"catalogues open in either case", catalogues_open_in_either_case},
          {"cutouts are cubes or six images", cutouts_are_cubes_or_six_images},
          {"a truncated cutout is named as such", a_truncated_cutout_is_named_as_such},
          {"floats in RICE codes are those of cfitsio", floats_in_rice_codes_are_those_of_cfitsio})
