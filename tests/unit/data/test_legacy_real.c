/* Real files of the Legacy Surveys (shared/data): a DR6 brick with one band of which an eighth is filled, a 100 x
   100 corner of a DR5 brick, a brick table, Tractor and sweep catalogues of DR5 and DR8. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/log.h"
#include "data/brickband.h"
#include "data/flags.h"
#include "test_main.h"

enum { SIDE = CUTOUT_PIXELS, PIXELS = SIDE * SIDE };

static const char *regions[] = {"south"};
static const ImagesConfig options = {.missing_band = MISSING_BAND_ZERO, .max_masked_fraction = 1.0};

/* A release in a fresh folder that holds links to one brick's files of one band. */
static LegacyConfig release_with(const char *brick, char band)
{
    static char root[1024];
    static int count;
    char path[2048];
    snprintf(root, sizeof root, "%s/release%d", test_folder(), count++);
    const char *levels[] = {"", "/dr9", "/dr9/south", "/dr9/south/coadd"};
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s%s", root, levels[i]);
        mkdir(path, 0777);
    }
    snprintf(path, sizeof path, "%s/dr9/south/coadd/%.3s", root, brick);
    mkdir(path, 0777);
    snprintf(path, sizeof path, "%s/dr9/south/coadd/%.3s/%s", root, brick, brick);
    mkdir(path, 0777);
    const char *products[] = {"image", "invvar"};
    for (int i = 0; i < 2; i++) {
        char name[256], real[4096], here[1024];
        snprintf(name, sizeof name, "legacy/legacysurvey-%s-%s-%c.fits.fz", brick, products[i], band);
        const char *source = test_shared("data");
        bool relative = source[0] != '/' && getcwd(here, sizeof here);
        snprintf(real, sizeof real, "%s%s%s/%s", relative ? here : "", relative ? "/" : "", source, name);
        snprintf(path, sizeof path, "%s/dr9/south/coadd/%.3s/%s/%s", root, brick, brick, name + strlen("legacy/"));
        CU_ASSERT_EQUAL(symlink(real, path), 0);
    }
    return (LegacyConfig){.root = root, .release = "dr9", .regions = {1, regions}};
}

static CatalogRow row_at(double ra, double dec)
{
    CatalogRow row;
    memset(&row, 0, sizeof row);
    row.ra = ra;
    row.dec = dec;
    row.has_image = 1;
    return row;
}

static void cut(ImageBatch *out, const LegacyConfig *config, const CatalogRow *rows, int64_t n, int whole)
{
    ImageSource s = {.config = config, .whole = whole};
    log_quiet(true);
    CHECK_OK(images_batch(out, n, &test_arena));
    CHECK_OK(legacy_survey.open(&s, &test_arena));
    CHECK_OK(legacy_survey.cutouts(out, 0, &s, &options, rows, n, &test_arena));
}

/* The window of a full brick, read here through fitsfile and placed by the definition. */
static void expect_window(float *out, const char *file, double x, double y, int64_t ny, int64_t nx)
{
    FitsFile f = {0};
    float *whole;
    CHECK_OK(arena_new(&whole, &test_arena, ny * nx));
    CHECK_OK(fitsfile_open(&f, test_shared(file)));
    CHECK_OK(fitsfile_goto_image(&f));
    CHECK_OK(fitsfile_read_rows(whole, &f, FITS_F32, 0, ny));
    fitsfile_close(&f);
    int64_t x0 = (int64_t)ceil(x - SIDE / 2.0), y0 = (int64_t)ceil(y - SIDE / 2.0);
    for (int64_t k = 0; k < PIXELS; k++) {
        int64_t px = x0 + k % SIDE, py = y0 + k / SIDE;
        out[k] = px >= 0 && px < nx && py >= 0 && py < ny ? whole[py * nx + px] : 0;
    }
}

/* Positions at chosen pixels of the brick: the WCS is tested by itself (test_wcs). */
static void sky_of_pixel(double *ra, double *dec, const char *file, double x, double y)
{
    FitsFile f = {0};
    Wcs w;
    char *cards;
    int n;
    CHECK_OK(fitsfile_open(&f, test_shared(file)));
    CHECK_OK(fitsfile_goto_image(&f));
    CHECK_OK(fitsfile_header(&cards, &n, &f, &test_arena));
    CHECK_OK(wcs_open(&w, cards, n, file));
    CU_ASSERT(wcs_has_scale(&w, PIXEL_SCALE, 1e-9));
    wcs_to_sky(ra, dec, &w, &x, &y, 1);
    wcs_close(&w);
    fitsfile_close(&f);
}

static void a_partly_filled_brick_is_cut(void)
{
    const char *image = "data/legacy/legacysurvey-0959p805-image-g.fits.fz";
    if (!test_needs_file(test_shared(image))) return;
    LegacyConfig config = release_with("0959p805", 'g');
    /* inside the filled part, across its edge, where nothing was observed */
    const double at[3][2] = {{300.3, 400.6}, {860.2, 900.7}, {2500.4, 2500.1}};
    CatalogRow rows[3];
    for (int i = 0; i < 3; i++) {
        double ra, dec;
        sky_of_pixel(&ra, &dec, image, at[i][0], at[i][1]);
        rows[i] = row_at(ra, dec);
    }
    ImageBatch whole, boxes;
    cut(&whole, &config, rows, 3, 1);
    cut(&boxes, &config, rows, 3, 0);
    CU_ASSERT_EQUAL(memcmp(whole.pixels, boxes.pixels, 3 * N_BANDS * PIXELS * sizeof(float)), 0);
    float *expected;
    CHECK_OK(arena_new(&expected, &test_arena, PIXELS));
    for (int i = 0; i < 3; i++) {
        CU_ASSERT(boxes.flag[i] & IMAGE_MISSING_BAND);
        CU_ASSERT(!(boxes.flag[i] & (IMAGE_PADDED | IMAGE_MOSAIC | IMAGE_UNREADABLE)));
        expect_window(expected, image, at[i][0], at[i][1], 3600, 3600);
        CU_ASSERT_EQUAL(memcmp(expected, boxes.pixels + i * N_BANDS * PIXELS, PIXELS * sizeof(float)), 0);
    }
    CU_ASSERT(boxes.stats[0] > 0.9);
    CU_ASSERT(boxes.stats[N_IMAGE_STATS] > 0.05 && boxes.stats[N_IMAGE_STATS] < 0.95);
    CU_ASSERT(boxes.flag[1] & IMAGE_BAD_PIXELS);
    CU_ASSERT(boxes.flag[2] & IMAGE_NO_COVERAGE);
    CU_ASSERT(!(boxes.flag[0] & IMAGE_NO_COVERAGE));
}

static void a_corner_of_100_pixels_is_padded(void)
{
    const char *image = "data/legacy/legacysurvey-1102p240-image-z.fits.fz";
    if (!test_needs_file(test_shared(image))) return;
    LegacyConfig config = release_with("1102p240", 'z');
    double ra, dec;
    sky_of_pixel(&ra, &dec, image, 52.4, 47.7);
    CatalogRow row = row_at(ra, dec);
    ImageBatch b;
    cut(&b, &config, &row, 1, 0);
    CU_ASSERT(b.flag[0] & IMAGE_PADDED);
    CU_ASSERT(b.flag[0] & IMAGE_MISSING_BAND);
    float *expected;
    CHECK_OK(arena_new(&expected, &test_arena, PIXELS));
    expect_window(expected, image, 52.4, 47.7, 100, 100);
    CU_ASSERT_EQUAL(memcmp(expected, b.pixels + 2 * PIXELS, PIXELS * sizeof(float)), 0);
    CU_ASSERT(b.stats[STAT_FRAC_COVERED_Z] > 0.3 && b.stats[STAT_FRAC_COVERED_Z] < (float)(100.0 * 100 / PIXELS));
}

static void a_real_brick_table_agrees_with_the_algorithm(void)
{
    const char *table = "data/legacy/survey-bricks-dr6.fits.gz";
    if (!test_needs_file(test_shared(table))) return;
    CHECK_OK(legacy_check_bricks(test_shared(table), &test_arena));
}

/* The number of exposures stands in for the maskbits: a real image of integers, HCOMPRESSed in tiles as the maskbits
   files are, with a WCS. They are 1 where there are data: bit 0, NPRIMARY. */
static void bits_of_a_real_compressed_file_mask(void)
{
    const char *image = "data/legacy/legacysurvey-0959p805-image-g.fits.fz", *primary[] = {"NPRIMARY"};
    const char *counts = "data/legacy/legacysurvey-0959p805-nexp-g.fits.fz";
    char real[4096], path[2048], here[1024] = "";
    if (!test_needs_file(test_shared(image)) || !test_needs_file(test_shared(counts))) return;
    LegacyConfig config = release_with("0959p805", 'g');
    config.maskbits = (ConfigTexts){1, primary};
    snprintf(path, sizeof path, "%s/dr9/south/coadd/095/0959p805/legacysurvey-0959p805-maskbits.fits.fz", config.root);
    CU_ASSERT(test_shared(counts)[0] == '/' || getcwd(here, sizeof here) != NULL);
    snprintf(real, sizeof real, "%s/%s", here, test_shared(counts));
    CU_ASSERT_EQUAL(symlink(real, path), 0);
    double ra, dec;
    sky_of_pixel(&ra, &dec, image, 860.2, 900.7);
    CatalogRow row = row_at(ra, dec);
    ImageBatch masked, plain;
    cut(&masked, &config, &row, 1, -1);
    config.maskbits.n = 0;
    cut(&plain, &config, &row, 1, -1);
    float *n, *ivar;
    CHECK_OK(arena_new(&n, &test_arena, PIXELS));
    CHECK_OK(arena_new(&ivar, &test_arena, PIXELS));
    expect_window(n, counts, 860.2, 900.7, 3600, 3600);
    expect_window(ivar, "data/legacy/legacysurvey-0959p805-invvar-g.fits.fz", 860.2, 900.7, 3600, 3600);
    int64_t with = 0, without = 0;
    for (int64_t k = 0; k < PIXELS; k++) {
        with += ivar[k] > 0;
        without += ivar[k] > 0 && ((int)n[k] & 1);
    }
    CU_ASSERT(without > 100 && with < PIXELS - 100);
    CU_ASSERT_EQUAL(plain.stats[0], (float)((double)with / PIXELS));
    CU_ASSERT_EQUAL(masked.stats[0], (float)((double)(with - without) / PIXELS));
    CU_ASSERT_EQUAL(memcmp(masked.pixels, plain.pixels, N_BANDS * PIXELS * sizeof(float)), 0);
    CU_ASSERT(!(masked.flag[0] & (IMAGE_NO_MASKBITS | IMAGE_NO_COVERAGE)) && (masked.flag[0] & IMAGE_BAD_PIXELS));
}

static LegacyConfig shared_root(void)
{
    return (LegacyConfig){.root = test_shared("data"), .release = "dr9", .regions = {1, regions}};
}

static void sweeps_and_tractor_files_are_read(void)
{
    static const struct {
        const char *file;
        int64_t n, objid0;
        int32_t brickid;
        double ra0;
        float flux_r0;
    } files[] = {{"tractor/tractor-3301m002.fits", 6, 0, 330248, 330.2229158449117, 9.003234F},
                 {"tractor/sweep-310m005-320p000.fits", 6, 0, 312906, 314.64677697272776, 25.780472F},
                 {"tractor/sweep-320m005-330p000.fits", 6, 26, 328793, 326.4000004559351, 2.3424664F}};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[256];
        snprintf(path, sizeof path, "data/%s", files[i].file);
        if (!test_needs_file(test_shared(path))) return;
        LegacyConfig config = shared_root();
        CatalogRow *rows;
        int64_t n, n_file;
        CHECK_OK(legacy_survey.read_photometry(&rows, &n, &n_file, &config, files[i].file, &test_arena));
        CU_ASSERT_EQUAL_FATAL(n, files[i].n);
        CU_ASSERT_EQUAL(n_file, files[i].n);
        CU_ASSERT_EQUAL(rows[0].brickid, files[i].brickid);
        CU_ASSERT_EQUAL(rows[0].brick_objid, files[i].objid0);
        CU_ASSERT_EQUAL(rows[0].release, 8000);
        CU_ASSERT_EQUAL(rows[0].photsys, 'S');
        CU_ASSERT_EQUAL(rows[0].ra, files[i].ra0);
        CU_ASSERT_DOUBLE_EQUAL(rows[0].flux[1], files[i].flux_r0, 1e-5);
        CU_ASSERT(rows[0].ebv > 0.05F && rows[0].ebv < 0.08F);
        CU_ASSERT_EQUAL(rows[0].targetid, files[i].objid0 | (int64_t)files[i].brickid << 22 | (int64_t)8000 << 42);
        for (
            int64_t k = 0; k < n;
            k++) { /* the objects lie on the images of their bricks (some beyond the box: the files are DR8 extracts) */
            Brick b;
            CU_ASSERT(brick_with_id(&b, rows[k].brickid));
            CU_ASSERT(brick_shows(&b, rows[k].ra, rows[k].dec, 0.131));
            CU_ASSERT_STRING_EQUAL(b.name, rows[k].brickname);
            CU_ASSERT(rows[k].has_image == 1 && rows[k].has_spectrum == 0 && rows[k].source_row == k &&
                      isnan(rows[k].z));
        }
    }
}

static void old_tractor_files_lack_columns(void)
{
    const char *file = "data/legacy/tractor-1102p240.fits";
    if (!test_needs_file(test_shared(file))) return;
    LegacyConfig config = shared_root();
    CatalogRow *rows;
    int64_t n, n_file;
    CHECK_OK(legacy_survey.read_photometry(&rows, &n, &n_file, &config, "legacy/tractor-1102p240.fits", &test_arena));
    CU_ASSERT_EQUAL_FATAL(n, 2);
    CU_ASSERT_EQUAL(rows[1].brick_objid, 1);
    CU_ASSERT_STRING_EQUAL(rows[1].brickname, "1102p240");
    CU_ASSERT(isnan(rows[0].flux[0]) && isnan(rows[0].ebv));
    CU_ASSERT_EQUAL(rows[0].photsys, 0);
}

/* 6777 rows in several chunks, with DUP among them. Its OBJIDs repeat: a catalogue of hosts, not of a brick. */
static void duplicates_are_left_out(void)
{
    const char *file = "data/tractor/selected_hosts_dr8_south.fits";
    if (!test_needs_file(test_shared(file))) return;
    LegacyConfig config = shared_root();
    CatalogRow *rows;
    int64_t n, n_file, wrong = 0;
    CHECK_OK(legacy_survey.read_photometry(&rows, &n, &n_file, &config, "tractor/selected_hosts_dr8_south.fits",
                                           &test_arena));
    CU_ASSERT_EQUAL(n_file, 6777);
    CU_ASSERT(n > 6000 && n < n_file);
    CU_ASSERT_EQUAL_FATAL(rows[1].source_row, 2); /* the second row is a DUP */
    CU_ASSERT_EQUAL(rows[0].brick_objid, 1660);
    for (int64_t i = 0; i < n; i++) {
        Brick b;
        wrong +=
            !brick_at(&b, rows[i].ra, rows[i].dec) || b.id != rows[i].brickid || strcmp(b.name, rows[i].brickname) != 0;
    }
    CU_ASSERT_EQUAL(wrong, 0); /* over six thousand independent checks of the brick algorithm */
}

static void files_that_are_no_catalogue_are_refused(void)
{
    if (!test_needs_file(test_shared("data/legacy/survey-bricks-dr6.fits.gz"))) return;
    LegacyConfig config = shared_root();
    CatalogRow *rows;
    int64_t n, n_file;
    CHECK_FAILS(legacy_survey.read_photometry(&rows, &n, &n_file, &config, "legacy/survey-bricks-dr6.fits.gz",
                                              &test_arena),
                E_INPUT);
    CHECK_FAILS(legacy_survey.read_photometry(&rows, &n, &n_file, &config, "tractor/nowhere.fits", &test_arena),
                E_INPUT);
    CHECK_FAILS(legacy_check_bricks(test_shared("data/tractor/tractor-3301m002.fits"), &test_arena), E_INPUT);
}

static void photsys_follows_the_release(void)
{
    CU_ASSERT_EQUAL(legacy_photsys(9011, "dr9/south/x"), 'N');
    CU_ASSERT_EQUAL(legacy_photsys(9010, ""), 'S');
    CU_ASSERT_EQUAL(legacy_photsys(9012, "dr9/north/x"), 'S');
    CU_ASSERT_EQUAL(legacy_photsys(10000, ""), 'S');
    CU_ASSERT_EQUAL(legacy_photsys(0, "dr9/north/tractor/x"), 'N');
    CU_ASSERT_EQUAL(legacy_photsys(0, "sweep.fits"), 0);
}

TEST_MAIN("legacy_real", {"a partly filled brick is cut", a_partly_filled_brick_is_cut},
          {"a corner of 100 x 100 pixels is padded", a_corner_of_100_pixels_is_padded},
          {"bits of a real compressed file mask", bits_of_a_real_compressed_file_mask},
          {"a real brick table agrees with the algorithm", a_real_brick_table_agrees_with_the_algorithm},
          {"sweeps and Tractor files are read", sweeps_and_tractor_files_are_read},
          {"old Tractor files lack columns", old_tractor_files_lack_columns},
          {"duplicates are left out", duplicates_are_left_out},
          {"files that are no catalogue are refused", files_that_are_no_catalogue_are_refused},
          {"PHOTSYS follows the release", photsys_follows_the_release})
