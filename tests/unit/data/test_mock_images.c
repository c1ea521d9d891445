/* The pixels of the mock sky: light is neither lost nor made, seeing and noise are what they claim, neighbouring images
   agree, and nothing lies under the bright star. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "data/mock_render.h"
#include "test_main.h"

enum { GALAXIES = 60 };

static MockObject galaxy(int64_t number)
{
    Rng r = rng_stream(5, "test.galaxies", number, 0);
    MockObject o = {.targetid = 1000 + number};
    mock_galaxy(&o, &r);
    return o;
}

static double sum_of(const MockStamp *s)
{
    double sum = 0;
    for (int64_t i = 0; i < (2 * s->half + 1) * (2 * s->half + 1); i++) sum += s->pixel[i];
    return sum;
}

/* Light within r pixels of the centre. */
static double aperture(const MockStamp *s, double r)
{
    double sum = 0;
    for (int64_t j = -s->half; j <= s->half; j++)
        for (int64_t i = -s->half; i <= s->half; i++)
            if ((double)(i * i + j * j) < r * r) sum += s->pixel[(j + s->half) * (2 * s->half + 1) + i + s->half];
    return sum;
}

/* All bands under one seeing. */
static Status render(MockStamp out[N_BANDS], const MockObject *o, double dx, double dy, double fwhm)
{
    MockSeeing seeing[N_BANDS];
    for (int b = 0; b < N_BANDS; b++) mock_psf(&seeing[b], fwhm);
    return mock_render(out, o, 5, dx, dy, seeing, &test_arena);
}

static void a_galaxys_light_is_its_catalogue_flux(void)
{
    MockStamp stamp[N_BANDS];
    for (int64_t k = 0; k < GALAXIES; k++) {
        const MockObject o = galaxy(k);
        const Mark mark = arena_mark(&test_arena);
        if (!CHECK_OK(render(stamp, &o, 0.3, -0.2, 1.3))) return;
        /* what the kernels carry over the rim: the 1 % that photometry of published images reaches */
        for (int b = 0; b < N_BANDS; b++) {
            const MockStamp *s = &stamp[b];
            CU_ASSERT(fabs(sum_of(s) / o.flux[b] - 1) < 0.01);
            for (int64_t i = 0; i < (2 * s->half + 1) * (2 * s->half + 1); i++) CU_ASSERT_FATAL(s->pixel[i] >= 0);
        }
        arena_reset(&test_arena, mark);
    }
}

static void the_same_light_falls_on_neighbouring_images(void)
{
    MockStamp stamp[N_BANDS];
    for (int64_t k = 0; k < 10; k++) {
        const MockObject o = galaxy(k);
        double moment[2];
        const Mark mark = arena_mark(&test_arena);
        for (int step = 0; step < 2; step++) { /* another grid of pixels: the centre moves by 0.4 pixels */
            CHECK_OK(render(stamp, &o, 0.4 * step, 0, 1.3));
            const MockStamp s = stamp[1];
            moment[step] = 0;
            for (int64_t i = 0; i < (2 * s.half + 1) * (2 * s.half + 1); i++)
                moment[step] += s.pixel[i] * (double)(i % (2 * s.half + 1) - s.half) / sum_of(&s);
        }
        /* knots fall into whole pixels: up to half a pixel for a third of the light */
        CU_ASSERT(fabs(moment[1] - moment[0] - 0.4) < 0.2);
        arena_reset(&test_arena, mark);
    }
}

static void bulges_are_redder_than_disks(void)
{
    MockStamp stamp[N_BANDS];
    int n = 0, redder = 0;
    for (int64_t k = 0; n < 20 && k < 2000; k++) {
        const MockObject o = galaxy(k);
        if (o.merger || o.bulge_fraction < 0.15f || o.bulge_fraction > 0.6f || o.radius < 2.5) continue;
        const Mark mark = arena_mark(&test_arena);
        CHECK_OK(render(stamp, &o, 0, 0, 1.2));
        const MockStamp g = stamp[0], r = stamp[1];
        const double inner = aperture(&r, 3) / aperture(&g, 3);
        const double outer = (sum_of(&r) - aperture(&r, 3)) / (sum_of(&g) - aperture(&g, 3));
        redder += inner > outer;
        n++;
        arena_reset(&test_arena, mark);
    }
    CU_ASSERT(n >= 10 && redder >= n * 9 / 10);
}

static void a_point_has_the_seeings_width_and_wings(void)
{
    MockSeeing s;
    mock_psf(&s, 1.31);
    double share = 0, top = 0, at_half = 0, at_two = 0, r = 0.5 * s.fwhm / PIXEL_SCALE;
    for (int k = 0; k < N_PSF; k++) {
        const double height = s.share[k] / (s.sigma[k] * s.sigma[k]), u = r / s.sigma[k];
        share += s.share[k];
        top += height;
        at_half += height * exp(-0.5 * u * u);
        at_two += height * exp(-0.5 * 16 * u * u);
    }
    CU_ASSERT_DOUBLE_EQUAL(share, 1, 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(at_half / top, 0.5, 0.01); /* three nodes: the core to a percent */
    /* two FWHM out Moffat's profile of beta 3 has 7e-3 of its height, a Gaussian 1.5e-5; three Gaussians lie between */
    CU_ASSERT(at_two / top > 5e-4 && at_two / top < 7e-3);
}

static void noise_is_normal_and_the_same_in_pieces(void)
{
    enum { N = 1 << 20, PIECE = 64 * 100 };
    float *x, *piece;
    double m2 = 0, m4 = 0, mean = 0, next = 0;
    int64_t beyond = 0;
    const Mark mark = arena_mark(&test_arena);
    CHECK_OK(arena_new(&x, &test_arena, N));
    CHECK_OK(arena_new(&piece, &test_arena, PIECE));
    float level[MOCK_LEVELS];
    const Rng stream = rng_stream(7, "test.noise", 3, 1);
    mock_levels(level);
    mock_noise(x, N, 0, &stream, level);
    mock_noise(piece, PIECE, 3 * PIECE, &stream, level);
    CU_ASSERT_EQUAL(memcmp(piece, x + 3 * PIECE, PIECE * sizeof *piece), 0);
    for (int64_t i = 0; i < N; i++) {
        const double v = x[i];
        mean += v / N, m2 += v * v / N, m4 += v * v * v * v / N;
        if (i > 0) next += v * x[i - 1] / N;
        beyond += fabs(v) > 3;
    }
    /* five standard errors of a million deviates; 0.0027 lie beyond 3 sigma */
    CU_ASSERT(fabs(mean) < 5e-3 && fabs(next) < 5e-3);
    CU_ASSERT(fabs(m2 - 1) < 7e-3 && fabs(m4 / (m2 * m2) - 3) < 0.03);
    CU_ASSERT(fabs((double)beyond / N - 0.0027) < 3e-4);
    arena_reset(&test_arena, mark);
}

static Status make_sky(MockSky *sky, int64_t objects, int64_t per_brick)
{
    static const char *south[] = {"south"};
    const LegacyConfig legacy = {.root = "", .release = "dr9", .regions = {1, south}};
    const MockConfig config = {.objects = objects, .per_brick = per_brick, .ra = 150.1, .dec = 2.25, .truth = ""};
    return mock_sky(sky, &config, &legacy, 42, &par_alone, &test_arena);
}

static void every_pixel_but_a_strip_has_one_to_three_passes(void)
{
    MockSky sky;
    MockSeeing seeing;
    float row[BRICK_PIXELS];
    if (!CHECK_OK(make_sky(&sky, 40, 20))) return;
    Brick brick;
    mock_brick(&brick, &sky, 0);
    mock_seeing(&seeing, &sky, &brick, 0);
    const double full = 1 / (seeing.noise * seeing.noise);
    int64_t count[4] = {0}, empty = 0;
    for (int64_t y = 0; y < BRICK_PIXELS; y++) {
        mock_invvar_row(row, &sky, &brick, 0, &seeing, y);
        for (int64_t x = 0; x < BRICK_PIXELS; x++) count[(int)floor(3 * row[x] / full + 0.5)]++;
        empty += row[0] == 0;
    }
    CU_ASSERT_EQUAL(empty, 6);
    CU_ASSERT_EQUAL(count[0], 6 * BRICK_PIXELS);
    CU_ASSERT(count[1] > 0 && count[2] > count[1] && count[3] > 10 * count[2] / 3);
}

static void nothing_lies_under_the_bright_star(void)
{
    MockSky sky;
    MockFaint star;
    int64_t stars = 0;
    double radius, x, y, sx, sy;
    if (!CHECK_OK(make_sky(&sky, 100, 5))) return;
    for (int64_t b = 0; b < sky.n_bricks; b++) {
        Brick brick;
        mock_brick(&brick, &sky, b);
        if (!mock_bright_star(&star, &radius, &sky, &brick)) continue;
        stars++;
        CU_ASSERT(brick_id_at(star.ra, star.dec) == brick.id);
        mock_project(&sx, &sy, &brick, star.ra, star.dec);
        for (int64_t other = 0; other < sky.n_bricks; other++) {
            Brick its;
            mock_brick(&its, &sky, other);
            for (int64_t k = 0; k < mock_brick_objects(&sky, other); k++) {
                MockObject o;
                mock_place(&o, &sky, other, &its, k);
                if (o.defect == MOCK_SKY || !brick_shows(&brick, o.ra, o.dec, 0.14)) continue;
                mock_project(&x, &y, &brick, o.ra, o.dec);
                CU_ASSERT(hypot(x - sx, y - sy) > radius);
            }
        }
    }
    CU_ASSERT(stars > sky.n_bricks / 2);
}

/* ---- votes ---- */

/* The value of a column in a line of the table; NaN where the cell is empty. */
static double cell(const char *header, const char *line, const char *column)
{
    const char *h = header, *v = line;
    const size_t length = strlen(column);
    while (strncmp(h, column, length) != 0 || (h[length] != ',' && h[length] != '\n')) {
        h = strchr(h, ','), v = strchr(v, ',');
        if (!h || !v) return -1;
        h++, v++;
    }
    return *v == ',' || *v == '\n' ? NAN : strtod(v, NULL);
}

static void votes_follow_the_tree_and_the_shapes(void)
{
    enum { LINE = 8192 };
    static char header[LINE], line[LINE];
    char path[1024];
    MockSky sky;
    int64_t rows = 0;
    double with_arms[2] = {0}, n_arms[2] = {0};
    if (!CHECK_OK(make_sky(&sky, 1000, 250))) return;
    snprintf(path, sizeof path, "%s/votes.csv", test_folder());
    if (!CHECK_OK(mock_write_lists(&sky, &(MockLists){.votes = path}, &par_alone, &test_arena))) return;
    MockObject *object;
    int64_t n;
    if (!CHECK_OK(mock_objects(&object, &n, &sky, 0, sky.n_bricks, &test_arena))) return;
    FILE *f = fopen(path, "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(fgets(header, LINE, f));
    for (int64_t i = 0; fgets(line, LINE, f); i++, rows++) {
        const double asked = cell(header, line, "smooth-or-featured_total-votes");
        const double smooth = cell(header, line, "smooth-or-featured_smooth");
        const double featured = cell(header, line, "smooth-or-featured_featured-or-disk");
        const double face_on = cell(header, line, "disk-edge-on_no"), edge_on = cell(header, line, "disk-edge-on_yes");
        CU_ASSERT(asked >= 24 && asked <= 56);
        CU_ASSERT_EQUAL(smooth + featured + cell(header, line, "smooth-or-featured_artifact"), asked);
        CU_ASSERT_EQUAL(cell(header, line, "disk-edge-on_total-votes"), featured);
        CU_ASSERT_EQUAL(face_on + edge_on, featured);
        CU_ASSERT_EQUAL(cell(header, line, "bar_total-votes"), face_on);
        CU_ASSERT_EQUAL(cell(header, line, "how-rounded_total-votes"), smooth);
        CU_ASSERT_EQUAL(cell(header, line, "spiral-winding_total-votes"), cell(header, line, "has-spiral-arms_yes"));
        const double yes = cell(header, line, "has-spiral-arms_yes_fraction");
        CU_ASSERT_EQUAL(isnan(yes) != 0, face_on == 0);
        const double debiased = cell(header, line, "smooth-or-featured_smooth_debiased");
        CU_ASSERT(debiased <= smooth / asked + 1e-3 && debiased >= 0); /* seeing hides features */
        const double ra = cell(header, line, "ra"), dec = cell(header, line, "dec");
        for (int64_t k = 0; k < sky.n; k++) {
            const MockObject *o = &object[k];
            if (fabs(o->ra - ra) > 1e-7 || fabs(o->dec - dec) > 1e-7 || face_on < 5) continue;
            with_arms[o->arm_count > 0] += yes;
            n_arms[o->arm_count > 0] += 1;
        }
    }
    fclose(f);
    CU_ASSERT(rows > 50 && n_arms[0] > 5 && n_arms[1] > 5);
    CU_ASSERT(with_arms[1] / n_arms[1] > with_arms[0] / n_arms[0] + 0.2);
}

TEST_MAIN("mock_images", {"a galaxy's light is its catalogue flux", a_galaxys_light_is_its_catalogue_flux},
          {"the same light falls on neighbouring images", the_same_light_falls_on_neighbouring_images},
          {"bulges are redder than disks", bulges_are_redder_than_disks},
          {"a point has the seeing's width and wings", a_point_has_the_seeings_width_and_wings},
          {"noise is normal and the same in pieces", noise_is_normal_and_the_same_in_pieces},
          {"every pixel but a strip has one to three passes", every_pixel_but_a_strip_has_one_to_three_passes},
          {"nothing lies under the bright star", nothing_lies_under_the_bright_star},
          {"votes follow the tree and the shapes", votes_follow_the_tree_and_the_shapes})
