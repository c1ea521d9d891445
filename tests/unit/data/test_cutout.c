/* Cutouts from small synthetic bricks (brick_scene.h), compared with the rule pixel by pixel. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "brick_scene.h"

static void a_window_inside_a_brick_follows_the_rule(void)
{
    silence();
    double ra, dec;
    junction(&ra, &dec, 150.1, 33.0);
    build_scene(ra, dec);
    CU_ASSERT(scene.n >= 3);
    CatalogRow row = row_at(-60.3, -61.4); /* wholly inside its brick's part */
    Brick own;
    brick_at(&own, row.ra, row.dec);
    int me = part_of(own.id);
    CU_ASSERT_FATAL(me >= 0);
    double x, y;
    to_frame(&x, &y, &own, row.ra, row.dec);
    ImageBatch b;
    cut(&b, &row, 1, &flag_bands, 0);
    CU_ASSERT_EQUAL(b.flag[0], 0);
    int64_t x0 = (int64_t)ceil(x - 76) - scene.part[me].x0, y0 = (int64_t)ceil(y - 76) - scene.part[me].y0, wrong = 0;
    for (int64_t k = 0; k < PIXELS; k++) wrong += b.pixels[k] != value_of(me, 0, x0 + k % SIDE, y0 + k / SIDE);
    CU_ASSERT_EQUAL(wrong, 0);
    for (int s = 0; s < N_IMAGE_STATS; s++) CU_ASSERT_EQUAL(b.stats[s], 1);
}

/* Objects around the meeting point, with the mosaic on every side; identity of each pixel, and the sky seen in band
   r without a step. */
static void mosaics_follow_the_rule_at(double ra, double dec)
{
    build_scene(ra, dec);
    enum { N = 5 };
    static const double at[N][2] = {{3.1, 2.3}, {-32.2, -39.4}, {38.4, -39.4}, {-32.2, 44.1}, {38.4, 2.3}};
    CatalogRow rows[N];
    for (int i = 0; i < N; i++) rows[i] = row_at(at[i][0], at[i][1]);
    ImageBatch b;
    cut(&b, rows, N, &flag_bands, 0);
    float *expected;
    CHECK_OK(arena_new(&expected, &test_arena, PIXELS));
    int mosaics = 0;
    for (int i = 0; i < N; i++) {
        const float *g = b.pixels + i * N_BANDS * PIXELS;
        int64_t wrong = 0;
        expect_cutout(expected, &rows[i], 0);
        for (int64_t k = 0; k < PIXELS; k++) wrong += g[k] != expected[k];
        CU_ASSERT_EQUAL(wrong, 0);
        CU_ASSERT_EQUAL(b.flag[i] & ~IMAGE_MOSAIC, 0);
        mosaics += (b.flag[i] & IMAGE_MOSAIC) != 0;
        /* Band r is a plain function of the sky; the nearest pixel of a neighbour is at most half a diagonal (0.71
           pixel) away. */
        Brick own;
        brick_at(&own, rows[i].ra, rows[i].dec);
        double x, y, worst = 0;
        to_frame(&x, &y, &own, rows[i].ra, rows[i].dec);
        for (int64_t k = 0; k < PIXELS; k++) {
            double r, d;
            to_sky(&r, &d, &own, ceil(x - 76) + (double)(k % SIDE), ceil(y - 76) + (double)(k / SIDE));
            worst = fmax(worst, fabs(g[PIXELS + k] - (d - scene.dec) * 3600 / PIXEL_SCALE));
        }
        CU_ASSERT(worst < 0.72);
    }
    CU_ASSERT(mosaics > 2);
}

static void mosaics_follow_the_rule(void)
{
    silence();
    double ra, dec;
    junction(&ra, &dec, 150.1, 33.0);
    mosaics_follow_the_rule_at(ra, dec);
    mosaics_follow_the_rule_at(0, 10.125); /* RA wraps */
    junction(&ra, &dec, 95.9, 80.5);
    mosaics_follow_the_rule_at(ra, dec);
    junction(&ra, &dec, 200, -60.2);
    mosaics_follow_the_rule_at(ra, dec);
}

/* The polar cap and its ten neighbours. The frame of a cap is a square of 3600 pixels about the pole, the box a
   circle. */
static void the_pole_is_a_place(void)
{
    silence();
    build_scene(40, 89.875);
    CatalogRow rows[4] = {row_at(3, 2), row_at(-30, -40), row_at(20, 30), row_at(0, 0)};
    rows[3].dec = 90;
    rows[3].ra = 12;
    ImageBatch b;
    cut(&b, rows, 4, &flag_bands, 0);
    float *expected;
    CHECK_OK(arena_new(&expected, &test_arena, PIXELS));
    for (int i = 0; i < 3; i++) {
        int64_t wrong = 0;
        expect_cutout(expected, &rows[i], 0);
        for (int64_t k = 0; k < PIXELS; k++) wrong += b.pixels[i * N_BANDS * PIXELS + k] != expected[k];
        CU_ASSERT_EQUAL(wrong, 0);
    }
    CU_ASSERT(b.flag[3] & IMAGE_PADDED); /* the part of the cap in the scene does not reach the pole */
    CU_ASSERT(b.flag[3] & IMAGE_NO_COVERAGE);
}

static void what_no_brick_shows_is_zero_and_flagged(void)
{
    silence();
    double ra, dec;
    junction(&ra, &dec, 150.1, 33.0);
    build_scene(ra, dec);
    CatalogRow rows[2] = {row_at(-90.2, 0.4), row_at(-30.2, 170.6)};
    ImageBatch b;
    cut(&b, rows, 2, &flag_bands, 0);
    float *expected;
    CHECK_OK(arena_new(&expected, &test_arena, PIXELS));
    for (int i = 0; i < 2; i++) {
        int64_t wrong = 0, zero = 0;
        expect_cutout(expected, &rows[i], 0);
        for (int64_t k = 0; k < PIXELS; k++) {
            wrong += b.pixels[i * N_BANDS * PIXELS + k] != expected[k];
            zero += expected[k] == 0;
        }
        CU_ASSERT_EQUAL(wrong, 0);
        CU_ASSERT(zero > 0);
        CU_ASSERT(b.flag[i] & IMAGE_PADDED);
        CU_ASSERT_EQUAL((b.flag[i] & IMAGE_MASKED) != 0, zero > PIXELS / 2);
        CU_ASSERT_DOUBLE_EQUAL(b.stats[i * N_IMAGE_STATS], 1 - (double)zero / PIXELS, 1e-6);
    }
    CU_ASSERT(!(b.flag[0] & IMAGE_MASKED));
    CU_ASSERT(b.flag[1] & IMAGE_MASKED);
}

static void an_absent_band_is_flagged_or_zero(void)
{
    Part p = one_brick();
    ImageBatch b;
    CU_ASSERT_EQUAL(unlink(path_of(&p.brick, PRODUCT_IMAGE, 1)), 0);
    CU_ASSERT_EQUAL(cut_one(&b, &flag_bands), IMAGE_MISSING_BAND);
    CU_ASSERT_EQUAL(cut_one(&b, &zero_bands), IMAGE_MISSING_BAND); /* and not MASKED */
    CU_ASSERT(is_zero(b.pixels + PIXELS, PIXELS));
    CU_ASSERT(!is_zero(b.pixels, PIXELS));
    CU_ASSERT_EQUAL(b.stats[STAT_FRAC_COVERED_R], 0);
    CU_ASSERT_EQUAL(b.stats[STAT_FRAC_COVERED_G], 1);
    CU_ASSERT(flags_fatal(MODALITY_IMAGE, b.flag[0], false));
    CU_ASSERT(!flags_fatal(MODALITY_IMAGE, b.flag[0], true));
    unlink(path_of(&p.brick, PRODUCT_IMAGE, 0));
    unlink(path_of(&p.brick, PRODUCT_IMAGE, 2));
    CU_ASSERT_EQUAL(cut_one(&b, &flag_bands), IMAGE_NO_BRICK);
    CU_ASSERT(is_zero(b.pixels, N_BANDS * PIXELS));
}

static void a_window_without_weight_has_no_coverage(void)
{
    Part p = one_brick();
    ImageBatch b;
    float *ivar = filled(&p, 0);
    ivar[0] = 1; /* outside the window */
    write_image(&p, PRODUCT_INVVAR, 2, ivar, FITS_RICE_IVAR, PIXEL_SCALE);
    CU_ASSERT_EQUAL(cut_one(&b, &flag_bands), IMAGE_NO_COVERAGE | IMAGE_BAD_PIXELS);
    CU_ASSERT(!is_zero(b.pixels + 2 * PIXELS, PIXELS));
    CU_ASSERT_EQUAL(cut_one(&b, &zero_bands), IMAGE_NO_COVERAGE | IMAGE_BAD_PIXELS);
    CU_ASSERT(is_zero(b.pixels + 2 * PIXELS, PIXELS));
}

static void too_many_pixels_without_weight_are_masked(void)
{
    Part p = one_brick();
    ImageBatch b;
    /* g lacks the left third of the part, z the right third: each has more than half, together they have less. */
    for (int band = 0; band < N_BANDS; band += 2) {
        float *ivar = filled(&p, 1);
        for (int64_t k = 0; k < p.nx * p.ny; k++)
            if (band == 0 ? k % p.nx < p.nx / 2 - 15 : k % p.nx >= p.nx / 2 + 15) ivar[k] = 0;
        write_image(&p, PRODUCT_INVVAR, band, ivar, FITS_PLAIN, PIXEL_SCALE);
    }
    CU_ASSERT_EQUAL(cut_one(&b, &flag_bands), IMAGE_MASKED | IMAGE_BAD_PIXELS);
    CU_ASSERT(b.stats[STAT_FRAC_COVERED_G] > 0.5 && b.stats[STAT_FRAC_COVERED_Z] > 0.5 &&
              b.stats[STAT_FRAC_COVERED_R] == 1);
    ImagesConfig lenient = {.missing_band = MISSING_BAND_FLAG, .max_masked_fraction = 0.9};
    CU_ASSERT_EQUAL(cut_one(&b, &lenient), IMAGE_BAD_PIXELS);
}

static void nan_pixels_become_zero(void)
{
    Part p = one_brick();
    ImageBatch b;
    FitsCompression how[] = {FITS_PLAIN, FITS_RICE_FLUX};
    for (int i = 0; i < 2; i++) {
        float *data = filled(&p, 0.5F), *ivar = filled(&p, 1);
        int64_t middle = p.ny / 2 * p.nx + p.nx / 2;
        data[middle] = NAN;
        ivar[middle + 1] = i == 0 ? INFINITY : NAN;
        write_image(&p, PRODUCT_IMAGE, 1, data, how[i], PIXEL_SCALE);
        write_image(&p, PRODUCT_INVVAR, 1, ivar, FITS_PLAIN, PIXEL_SCALE);
        CU_ASSERT_EQUAL(cut_one(&b, &flag_bands), IMAGE_NONFINITE | IMAGE_BAD_PIXELS);
        int64_t zero = 0, other = 0;
        for (int64_t k = PIXELS; k < 2 * PIXELS; k++) {
            zero += b.pixels[k] == 0;
            other += b.pixels[k] != 0 && fabsf(b.pixels[k] - 0.5F) > 1e-4F; /* the quantisation step */
        }
        CU_ASSERT_EQUAL(zero, 1);
        CU_ASSERT_EQUAL(other, 0);
        CU_ASSERT_DOUBLE_EQUAL(b.stats[STAT_FRAC_COVERED_R], 1 - 2.0 / PIXELS, 1e-7);
    }
}

static void without_an_invvar_file_exact_zeros_are_not_covered(void)
{
    Part p = one_brick();
    ImageBatch b;
    float *data = filled(&p, 0.5F);
    for (int64_t k = 0; k < p.nx * p.ny; k++)
        if (k % p.nx < p.nx / 2) data[k] = 0;
    write_image(&p, PRODUCT_IMAGE, 0, data, FITS_RICE_FLUX, PIXEL_SCALE);
    CU_ASSERT_EQUAL(unlink(path_of(&p.brick, PRODUCT_INVVAR, 0)), 0);
    CU_ASSERT_EQUAL(cut_one(&b, &flag_bands) & ~IMAGE_MASKED, IMAGE_BAD_PIXELS);
    CU_ASSERT(fabs(b.stats[STAT_FRAC_COVERED_G] - 0.5) < 0.02);
}

static void another_pixel_scale_is_refused(void)
{
    Part p = one_brick();
    ImageBatch b;
    write_image(&p, PRODUCT_IMAGE, 0, filled(&p, 1), FITS_PLAIN, PIXEL_SCALE * 1.02);
    CU_ASSERT_EQUAL(cut_one(&b, &flag_bands), IMAGE_BAD_SCALE);
    write_image(&p, PRODUCT_IMAGE, 0, filled(&p, 1), FITS_PLAIN, PIXEL_SCALE * 1.005);
    CU_ASSERT_EQUAL(cut_one(&b, &flag_bands), 0);
}

static void broken_files_are_flagged(void)
{
    Part p = one_brick();
    ImageBatch b;
    CU_ASSERT_EQUAL(truncate(path_of(&p.brick, PRODUCT_IMAGE, 0), 1000), 0);
    CU_ASSERT_EQUAL(cut_one(&b, &flag_bands), IMAGE_UNREADABLE);
    p = one_brick();
    CU_ASSERT_EQUAL(truncate(path_of(&p.brick, PRODUCT_IMAGE, 1), 60000), 0); /* in the middle of the pixels */
    CU_ASSERT(cut_one(&b, &flag_bands) & IMAGE_UNREADABLE);
    p = one_brick();
    CU_ASSERT_EQUAL(truncate(path_of(&p.brick, PRODUCT_INVVAR, 1), 0), 0);
    CU_ASSERT_EQUAL(cut_one(&b, &flag_bands), IMAGE_UNREADABLE);
    p = one_brick();
    Part smaller = p;
    smaller.nx = smaller.ny = 50;
    write_image(&smaller, PRODUCT_INVVAR, 1, filled(&smaller, 1), FITS_PLAIN, PIXEL_SCALE); /* not of this image */
    CU_ASSERT_EQUAL(cut_one(&b, &flag_bands), IMAGE_UNREADABLE);
    CU_ASSERT_EQUAL(fail_record()->status, OK); /* nothing is left to stop the program */
}

static void positions_off_the_sky_are_flagged(void)
{
    (void)one_brick();
    CatalogRow rows[4] = {row_at(0, 0), row_at(0, 0), row_at(0, 0), row_at(0, 0)};
    rows[0].ra = NAN;
    rows[1].dec = -99;
    rows[2].has_image = 0;
    ImageBatch b;
    cut(&b, rows, 4, &flag_bands, 0);
    CU_ASSERT_EQUAL(b.flag[0], IMAGE_BAD_POSITION);
    CU_ASSERT_EQUAL(b.flag[1], IMAGE_BAD_POSITION);
    CU_ASSERT_EQUAL(b.flag[2], IMAGE_NOT_ASKED);
    CU_ASSERT_EQUAL(b.flag[3], 0);
}

/* Whole bands, boxes, and the choice between them; rows reversed, rows one by one. Bits must be equal, NaN-marked
   tiles included. */
static void the_way_of_reading_changes_no_bit(void)
{
    silence();
    double ra, dec;
    junction(&ra, &dec, 150.1, 33.0);
    build_scene(ra, dec);
    for (int i = 0; i < scene.n; i++) { /* noise, a NaN here and there, in the survey's compression */
        const Part *p = &scene.part[i];
        float *data = filled(p, 0);
        for (int64_t k = 0; k < p->nx * p->ny; k++)
            data[k] = k % 1013 == 0 ? NAN : (float)(0.01 * sin((double)(k * (i + 3))) + 0.1 * cos(0.37 * (double)k));
        for (int band = 0; band < N_BANDS; band++)
            write_image(p, PRODUCT_IMAGE, band, data, FITS_RICE_FLUX, PIXEL_SCALE);
    }
    enum { N = 8 };
    CatalogRow rows[N], reversed[N];
    for (int i = 0; i < N; i++) rows[i] = row_at(13.3 * (i % 4) - 25.1, 37.7 * (i / 4) - 20.3);
    rows[5].dec = -99;
    for (int i = 0; i < N; i++) reversed[i] = rows[N - 1 - i];
    ImageBatch whole, boxes, cheap, back;
    cut(&whole, rows, N, &flag_bands, 1);
    cut(&boxes, rows, N, &flag_bands, -1);
    cut(&cheap, rows, N, &flag_bands, 0);
    cut(&back, reversed, N, &flag_bands, 0);
    size_t bytes = N_BANDS * PIXELS * sizeof(float);
    CU_ASSERT(!is_zero(whole.pixels, PIXELS));
    CU_ASSERT_EQUAL(memcmp(whole.pixels, boxes.pixels, N * bytes), 0);
    CU_ASSERT_EQUAL(memcmp(whole.pixels, cheap.pixels, N * bytes), 0);
    CU_ASSERT_EQUAL(memcmp(whole.flag, boxes.flag, N * sizeof *whole.flag), 0);
    CU_ASSERT_EQUAL(memcmp(whole.stats, boxes.stats, N * N_IMAGE_STATS * sizeof *whole.stats), 0);
    for (int i = 0; i < N; i++) {
        ImageBatch alone;
        cut(&alone, &rows[i], 1, &flag_bands, 0);
        CU_ASSERT_EQUAL(memcmp(alone.pixels, whole.pixels + i * N_BANDS * PIXELS, bytes), 0);
        CU_ASSERT_EQUAL(alone.flag[0], whole.flag[i]);
        CU_ASSERT_EQUAL(memcmp(back.pixels + (N - 1 - i) * N_BANDS * PIXELS, alone.pixels, bytes), 0);
        CU_ASSERT_EQUAL(back.flag[N - 1 - i], alone.flag[0]);
    }
}

static void costs_follow_the_tiles(void)
{
    BrickBand rows = {.compressed = true, .ny = 3600, .nx = 3600, .tile_y = 1, .tile_x = 3600}, tiles = rows,
              plain = rows;
    tiles.tile_y = tiles.tile_x = 100;
    plain.compressed = false;
    CU_ASSERT_EQUAL(brickband_cost(&rows, 10, 162, 10, 162), 152 * 3600);
    CU_ASSERT_EQUAL(brickband_cost(&tiles, 50, 202, 10, 162), 300 * 200);
    CU_ASSERT_EQUAL(brickband_cost(&tiles, 3550, 3600, 0, 100), 100 * 100);
    CU_ASSERT_EQUAL(brickband_cost(&tiles, 5, 5, 0, 100), 0);
    /* Measured break-even (machine.md 6): 25 cutouts for row tiles, 255 for 100 x 100, 98 for plain files. */
    CU_ASSERT_DOUBLE_EQUAL(3600.0 * 3600 / (double)brickband_cost(&rows, 10, 162, 10, 162), 25, 5);
    CU_ASSERT_DOUBLE_EQUAL(3600.0 * 3600 / (double)brickband_cost(&plain, 10, 162, 10, 162), 98, 15);
}

static void rows_go_where_the_caller_says(void)
{
    (void)one_brick();
    CatalogRow row = row_at(0.2, 0.3);
    ImageSource s = {.config = &scene.config};
    ImageBatch b, alone;
    CHECK_OK(images_batch(&b, 3, &test_arena));
    CHECK_OK(legacy_survey.open(&s, &test_arena));
    CHECK_OK(legacy_survey.cutouts(&b, 1, &s, &flag_bands, &row, 1, &test_arena));
    cut(&alone, &row, 1, &flag_bands, 0);
    CU_ASSERT(is_zero(b.pixels, N_BANDS * PIXELS));
    CU_ASSERT(is_zero(b.pixels + 2 * N_BANDS * PIXELS, N_BANDS * PIXELS));
    CU_ASSERT_EQUAL(memcmp(b.pixels + N_BANDS * PIXELS, alone.pixels, N_BANDS * PIXELS * sizeof(float)), 0);
    CU_ASSERT_EQUAL(b.stats[N_IMAGE_STATS], 1);
    CHECK_OK(legacy_survey.cutouts(&b, 0, &s, &flag_bands, &row, 0, &test_arena)); /* no rows at all */
}

static void photsys_chooses_the_region(void)
{
    Part p = one_brick();
    static const char *both[] = {"south", "north"}, *turned[] = {"north", "south"};
    scene.config.regions = (ConfigTexts){2, both};
    CU_ASSERT_STRING_EQUAL(legacy_region(&scene.config, 'N', &p.brick), "north");
    CU_ASSERT_STRING_EQUAL(legacy_region(&scene.config, 'S', &p.brick), "south");
    scene.config.regions = (ConfigTexts){2, turned};
    CU_ASSERT_STRING_EQUAL(legacy_region(&scene.config, 0, &p.brick), "south"); /* only the south has the files */
    scene.config.regions.n = 1;
    CU_ASSERT_STRING_EQUAL(legacy_region(&scene.config, 'S', &p.brick), "north"); /* DR10 has one region */
    scene.config.regions = (ConfigTexts){2, both};
    CatalogRow rows[2] = {row_at(0, 0), row_at(0, 0)};
    rows[0].photsys = 'N';
    rows[1].photsys = 0;
    ImageBatch b;
    cut(&b, rows, 2, &flag_bands, 0);
    CU_ASSERT_EQUAL(b.flag[0], IMAGE_NO_BRICK);
    CU_ASSERT_EQUAL(b.flag[1], 0);
    FileList files;
    CHECK_OK(legacy_survey.image_files(&files, &scene.config, &rows[1], &test_arena));
    CU_ASSERT_EQUAL(files.n, 6);
    CU_ASSERT_STRING_EQUAL(files.path[0], "dr9/south/coadd/150/1501p022/legacysurvey-1501p022-image-g.fits.fz");
    CU_ASSERT_STRING_EQUAL(files.path[5], "dr9/south/coadd/150/1501p022/legacysurvey-1501p022-invvar-z.fits.fz");
    CHECK_OK(legacy_survey.locate(&rows[0], &scene.config));
    CU_ASSERT_STRING_EQUAL(rows[0].brickname, "1501p022");
    CU_ASSERT_EQUAL(rows[0].brickid, 343928);
    char path[LEGACY_PATH];
    CHECK_OK(legacy_survey.photometry_file(path, sizeof path, &scene.config, &rows[0]));
    CU_ASSERT_STRING_EQUAL(path, "dr9/north/tractor/150/tractor-1501p022.fits");
    snprintf(rows[0].brickname, sizeof rows[0].brickname, "../../x"); /* never part of a path */
    CHECK_OK(legacy_survey.photometry_file(path, sizeof path, &scene.config, &rows[0]));
    CU_ASSERT_STRING_EQUAL(path, "dr9/north/tractor/150/tractor-1501p022.fits");
}

/* The releases differ in the name of their folder; DR10 has no north, and a target with PHOTSYS N is looked for in the
   south. */
static void trees_of_all_releases_are_read(void)
{
    static const char *const names[] = {"dr8", "dr9", "dr10"}, *both[] = {"south", "north"};
    (void)one_brick();
    ImageBatch expected, b;
    CU_ASSERT_EQUAL(cut_one(&expected, &flag_bands), 0);
    scene.config.regions = (ConfigTexts){2, both};
    CatalogRow rows[2] = {row_at(0.2, 0.3), row_at(0.2, 0.3)};
    rows[1].photsys = 'N';
    for (int i = 0; i < 3; i++) {
        char path[2048];
        snprintf(path, sizeof path, "%s/%s", scene.root, names[i]);
        if (i != 1) CU_ASSERT_EQUAL(symlink("dr9", path), 0);
        scene.config.release = names[i];
        cut(&b, rows, 2, &flag_bands, 0);
        CU_ASSERT_EQUAL(b.flag[0], 0);
        CU_ASSERT_EQUAL(memcmp(b.pixels, expected.pixels, N_BANDS * PIXELS * sizeof(float)), 0);
        CU_ASSERT_EQUAL(b.flag[1], i == 2 ? 0 : IMAGE_NO_BRICK);
        CHECK_OK(legacy_survey.photometry_file(path, sizeof path, &scene.config, &rows[1]));
        CU_ASSERT_PTR_NOT_NULL(strstr(path, i == 2 ? "dr10/south/tractor/" : "/north/tractor/"));
    }
}

static void settings_that_cannot_be_are_refused(void)
{
    static const char *once[] = {"south"}, *twice[] = {"south", "south"}, *north[] = {"north"};
    static const struct {
        const char *release;
        ConfigTexts regions;
        Status expected;
    } cases[] = {{"dr8", {1, north}, OK},       {"dr10", {1, once}, OK},         {"dr9", {0, once}, E_CONFIG},
                 {"dr9", {2, twice}, E_CONFIG}, {"../dr9", {1, once}, E_CONFIG}, {"", {1, once}, E_CONFIG},
                 {"dr10", {1, north}, E_CONFIG}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        LegacyConfig c = {.root = "x", .release = cases[i].release, .regions = cases[i].regions};
        if (cases[i].expected == OK)
            CHECK_OK(legacy_survey.plugin.check(&c));
        else
            CHECK_FAILS(legacy_survey.plugin.check(&c), cases[i].expected);
    }
}

TEST_MAIN("cutout", {"settings that cannot be are refused", settings_that_cannot_be_are_refused},
          {"trees of all releases are read", trees_of_all_releases_are_read},
          {"a window inside a brick follows the rule", a_window_inside_a_brick_follows_the_rule},
          {"mosaics follow the rule, pixel by pixel", mosaics_follow_the_rule},
          {"the pole is a place", the_pole_is_a_place},
          {"what no brick shows is zero and flagged", what_no_brick_shows_is_zero_and_flagged},
          {"an absent band is flagged, or zero", an_absent_band_is_flagged_or_zero},
          {"a window without weight has no coverage", a_window_without_weight_has_no_coverage},
          {"too many pixels without weight are masked", too_many_pixels_without_weight_are_masked},
          {"NaN pixels become zero", nan_pixels_become_zero},
          {"without an invvar file exact zeros are not covered", without_an_invvar_file_exact_zeros_are_not_covered},
          {"another pixel scale is refused", another_pixel_scale_is_refused},
          {"broken files are flagged", broken_files_are_flagged},
          {"positions off the sky are flagged", positions_off_the_sky_are_flagged},
          {"the way of reading changes no bit", the_way_of_reading_changes_no_bit},
          {"costs follow the tiles", costs_follow_the_tiles},
          {"rows go where the caller says", rows_go_where_the_caller_says},
          {"PHOTSYS chooses the region", photsys_chooses_the_region})
