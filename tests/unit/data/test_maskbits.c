/* release.images.maskbits: pixels whose maskbits file has one of the named bits count as without data; their values
   stay. Scenes of small bricks (brick_scene.h). */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "brick_scene.h"

static const char *bright[] = {"BRIGHT", "MEDIUM"};

/* Bits of a pixel of a part: BRIGHT in stripes, MEDIUM nowhere, NPRIMARY, which is not asked for, all over. */
static int32_t bits_of(int part, int64_t x, int64_t y) { return 1 | ((x + 3 * y + part) % 5 == 0 ? 2 : 0); }

static void write_masks(void)
{
    for (int i = 0; i < scene.n; i++) {
        const Part *p = &scene.part[i];
        float *data = filled(p, 0);
        for (int64_t k = 0; k < p->nx * p->ny; k++) data[k] = (float)bits_of(i, k % p->nx, k / p->nx);
        write_image(p, PRODUCT_MASKBITS, 0, data, FITS_PLAIN, PIXEL_SCALE);
    }
}

static void ask(bool maskbits) { scene.config.maskbits = (ConfigTexts){maskbits ? 2 : 0, bright}; }

/* Pixels of the cutout that are masked, by the values that band g must have: they name part and pixel. */
static int64_t count_masked(const CatalogRow *row)
{
    float *expected;
    int64_t n = 0;
    CHECK_OK(arena_new(&expected, &test_arena, PIXELS));
    expect_cutout(expected, row, 0);
    for (int64_t k = 0; k < PIXELS; k++) {
        int64_t v = (int64_t)expected[k] - 1;
        n += v >= 0 && (bits_of((int)(v / (512 * 512)), v % 512, v / 512 % 512) & 2);
    }
    return n;
}

static bool same_pixels(const ImageBatch *a, const ImageBatch *b)
{
    return a->n == b->n && memcmp(a->pixels, b->pixels, (size_t)a->n * N_BANDS * PIXELS * sizeof(float)) == 0;
}

static void masked_pixels_count_as_without_data(void)
{
    (void)one_brick();
    CatalogRow row = row_at(0.2, 0.3);
    ImageBatch plain, masked;
    write_masks();
    cut(&plain, &row, 1, &flag_bands, 0);
    CU_ASSERT_EQUAL(plain.flag[0], 0); /* not asked: not read */
    ask(true);
    cut(&masked, &row, 1, &flag_bands, 0);
    CU_ASSERT_EQUAL(masked.flag[0], IMAGE_BAD_PIXELS);
    int64_t n = count_masked(&row);
    CU_ASSERT(n > PIXELS / 6 && n < PIXELS / 4);
    for (int s = 0; s < N_IMAGE_STATS; s++)
        CU_ASSERT_DOUBLE_EQUAL(masked.stats[s], 1 - (double)n / PIXELS, 1e-7); /* a float */
    CU_ASSERT(same_pixels(&plain, &masked));
    ImagesConfig strict = {.max_masked_fraction = (double)(n - 1) / PIXELS};
    CU_ASSERT_EQUAL(cut_one(&masked, &strict), IMAGE_BAD_PIXELS | IMAGE_MASKED);
    strict.max_masked_fraction = (double)n / PIXELS;
    CU_ASSERT_EQUAL(cut_one(&masked, &strict), IMAGE_BAD_PIXELS);
}

static void a_window_that_is_all_masked_is_covered(void)
{
    Part p = one_brick();
    ImageBatch plain, masked;
    (void)cut_one(&plain, &zero_bands);
    write_image(&p, PRODUCT_MASKBITS, 0, filled(&p, 1 << 11), FITS_PLAIN, PIXEL_SCALE);
    ask(true);
    CU_ASSERT_EQUAL(cut_one(&masked, &zero_bands), IMAGE_BAD_PIXELS | IMAGE_MASKED);
    CU_ASSERT(same_pixels(&plain, &masked)); /* missing_band zero is about bands without images */
    CU_ASSERT_EQUAL(masked.stats[STAT_FRAC_COVERED_R], 0);
    float *ivar = filled(&p, 0);
    write_image(&p, PRODUCT_INVVAR, 1, ivar, FITS_PLAIN, PIXEL_SCALE);
    CU_ASSERT_EQUAL(cut_one(&masked, &flag_bands), IMAGE_BAD_PIXELS | IMAGE_MASKED | IMAGE_NO_COVERAGE);
}

static void without_its_file_a_row_says_so(void)
{
    Part p = one_brick();
    ImageBatch plain, b;
    (void)cut_one(&plain, &flag_bands);
    ask(true);
    CU_ASSERT_EQUAL(cut_one(&b, &flag_bands), IMAGE_NO_MASKBITS);
    CU_ASSERT(!flags_fatal(MODALITY_IMAGE, b.flag[0], false));
    CU_ASSERT(same_pixels(&plain, &b));
    CU_ASSERT_EQUAL(b.stats[0], 1);
    FILE *f = fopen(path_of(&p.brick, PRODUCT_MASKBITS, 0), "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    fputs("not FITS", f);
    fclose(f);
    CU_ASSERT_EQUAL(cut_one(&b, &flag_bands), IMAGE_NO_MASKBITS);
    write_image(&p, PRODUCT_MASKBITS, 0, filled(&p, 2), FITS_PLAIN, 2 * PIXEL_SCALE);
    CU_ASSERT_EQUAL(cut_one(&b, &flag_bands), IMAGE_NO_MASKBITS);
}

/* Each pixel is held against the mask of the brick that it came from. */
static void masks_follow_the_mosaic(void)
{
    silence();
    double ra, dec;
    junction(&ra, &dec, 150.1, 33.0);
    build_scene(ra, dec);
    CU_ASSERT_FATAL(scene.n >= 3);
    write_masks();
    ask(true);
    CatalogRow rows[3] = {row_at(5.2, 7.3), row_at(-40.1, 12.7), row_at(-60.3, -61.4)};
    ImageBatch b, whole;
    cut(&b, rows, 3, &flag_bands, -1);
    cut(&whole, rows, 3, &flag_bands, 1);
    CU_ASSERT(same_pixels(&b, &whole));
    CU_ASSERT_EQUAL(memcmp(b.stats, whole.stats, 3 * N_IMAGE_STATS * sizeof(float)), 0);
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(b.flag[i] & ~IMAGE_MOSAIC, IMAGE_BAD_PIXELS);
        CU_ASSERT_DOUBLE_EQUAL(b.stats[i * N_IMAGE_STATS], 1 - (double)count_masked(&rows[i]) / PIXELS, 1e-7);
    }
    CU_ASSERT(b.flag[0] & IMAGE_MOSAIC);
    CU_ASSERT(!(b.flag[2] & IMAGE_MOSAIC));
    Brick own;
    brick_at(&own, rows[0].ra, rows[0].dec);
    for (int i = 0; i < scene.n; i++) /* of the own brick alone the mask is left */
        if (scene.part[i].brick.id != own.id) unlink(path_of(&scene.part[i].brick, PRODUCT_MASKBITS, 0));
    cut(&b, rows, 1, &flag_bands, 0);
    CU_ASSERT_EQUAL(b.flag[0], IMAGE_BAD_PIXELS | IMAGE_MOSAIC | IMAGE_NO_MASKBITS);
}

static void the_manifest_has_the_file_when_it_is_asked_for(void)
{
    CatalogRow row = {.has_image = 1, .ra = 150.125, .dec = 2.25, .photsys = 'S'};
    const char *south[] = {"south"};
    LegacyConfig c = {.root = "x", .release = "dr10", .regions = {1, south}};
    FileList files;
    CHECK_OK(legacy_survey.image_files(&files, &c, &row, &test_arena));
    CU_ASSERT_EQUAL(files.n, 6);
    c.maskbits = (ConfigTexts){2, bright};
    CHECK_OK(legacy_survey.image_files(&files, &c, &row, &test_arena));
    CU_ASSERT_EQUAL_FATAL(files.n, 7);
    CU_ASSERT_STRING_EQUAL(files.path[6], "dr10/south/coadd/150/1501p022/legacysurvey-1501p022-maskbits.fits.fz");
}

static void names_are_bits(void)
{
    static const struct {
        const char *name;
        int bit;
    } bits[] = {{"NPRIMARY", 0}, {"SATUR_G", 2}, {"ALLMASK_Z", 7}, {"BAILOUT", 10}, {"MEDIUM", 11}, {"SUB_BLOB", 16}};
    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++) {
        ConfigTexts one = {1, (const char *[]){bits[i].name}};
        CU_ASSERT_EQUAL(legacy_maskbits(&one), 1 << bits[i].bit);
    }
    ConfigTexts none = {0, NULL}, two = {2, bright};
    CU_ASSERT_EQUAL(legacy_maskbits(&none), 0);
    CU_ASSERT_EQUAL(legacy_maskbits(&two), 2 | 1 << 11);
}

TEST_MAIN("maskbits", {"masked pixels count as without data", masked_pixels_count_as_without_data},
          {"a window that is all masked is covered", a_window_that_is_all_masked_is_covered},
          {"without its file a row says so", without_its_file_a_row_says_so},
          {"masks follow the mosaic", masks_follow_the_mosaic},
          {"the manifest has the file when it is asked for", the_manifest_has_the_file_when_it_is_asked_for},
          {"names are bits", names_are_bits})
