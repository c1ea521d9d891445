/* test_mock.c - the mock sky before it is written: which objects share a file in each layout, and what stands in the
   catalogues of its images. */
#include <math.h>
#include <string.h>

#include "data/healpix.h"
#include "data/mock_table.h"
#include "test_main.h"

enum { OBJECTS = 40 };

static Status make_sky(MockSky *sky, int layout, int64_t exposures, const char *release, Arena *a)
{
    static const char *south[] = {"south"};
    const LegacyConfig legacy = {.root = "", .release = release, .regions = {1, south}};
    const MockConfig config = {.objects = OBJECTS,
                               .per_brick = 20,
                               .ra = 150.1,
                               .dec = 2.25,
                               .layout = layout,
                               .exposures = exposures,
                               .truth = "truth.fits"};
    return mock_sky(sky, &config, &legacy, 42, a);
}

/* How many groups of a program hold the object. */
static int count_groups(const MockSky *sky, const MockObject *o, const char *program)
{
    int n = 0;
    for (int64_t g = 0; g < sky->n_groups; g++)
        n += strcmp(sky->group[g].program, program) == 0 && mock_in_group(o, &sky->group[g]);
    return n;
}

static void files_hold_every_object(void)
{
    for (int layout = MOCK_EDR; layout <= MOCK_TILES; layout++) {
        Arena a = {0};
        MockSky sky;
        int64_t twice = 0;
        CU_ASSERT_EQUAL_FATAL(arena_init(&a, "sky", 1 << 26), OK);
        CU_ASSERT_EQUAL_FATAL(make_sky(&sky, layout, 0, "dr9", &a), OK);
        for (int64_t i = 0; i < sky.n; i++) {
            const MockObject *o = &sky.object[i];
            int bright = count_groups(&sky, o, "bright"), dark = count_groups(&sky, o, "dark");
            CU_ASSERT(bright == 1 || (layout == MOCK_TILES && bright == 2));
            CU_ASSERT((dark > 0) == o->in_dark);
            twice += bright == 2;
        }
        CU_ASSERT_EQUAL(twice > 0, layout == MOCK_TILES);
        arena_free(&a);
    }
}

static void uniqpix_are_of_two_sizes_and_hold_the_positions(void)
{
    Arena a = {0};
    MockSky sky;
    int64_t of_size[2] = {0};
    CU_ASSERT_EQUAL_FATAL(arena_init(&a, "sky", 1 << 26), OK);
    CU_ASSERT_EQUAL_FATAL(make_sky(&sky, MOCK_DR3, 0, "dr9", &a), OK);
    for (int64_t i = 0; i < sky.n; i++) {
        int64_t nside, pixel;
        CU_ASSERT_TRUE_FATAL(uniqpix_decode(&nside, &pixel, sky.object[i].uniqpix));
        CU_ASSERT(nside == 64 || nside == 128);
        of_size[nside == 128]++;
        CU_ASSERT_EQUAL(nside == 64 ? pixel : pixel / 4, sky.object[i].healpix);
    }
    CU_ASSERT(of_size[0] > 0 && of_size[1] > 0);
    arena_free(&a);
}

static void a_third_of_the_objects_has_a_bad_exposure(void)
{
    Arena a = {0};
    MockSky sky;
    MockRecord *record;
    int64_t n, bad = 0;
    CU_ASSERT_EQUAL_FATAL(arena_init(&a, "sky", 1 << 26), OK);
    CU_ASSERT_EQUAL_FATAL(make_sky(&sky, MOCK_DR1, 3, "dr9", &a), OK);
    CU_ASSERT_EQUAL_FATAL(mock_records(&record, &n, &sky, NULL, "bright", 3, &a), OK);
    CU_ASSERT_EQUAL_FATAL(n, 3 * sky.n);
    for (int64_t i = 0; i < n; i++) {
        const MockRecord *r = &record[i];
        CU_ASSERT_EQUAL(r->exposure, i / sky.n);
        CU_ASSERT_EQUAL(r->targetid, sky.object[i % sky.n].targetid);
        if (r->object->defect != MOCK_BROKEN_FIBRE) bad += r->fiberstatus != 0;
        CU_ASSERT_EQUAL(r->coadd_fiberstatus != 0, r->object->defect == MOCK_BROKEN_FIBRE);
    }
    CU_ASSERT(bad > sky.n / 5 && bad < sky.n / 2);
    arena_free(&a);
}

static void image_catalogues_hold_what_selections_leave_out(void)
{
    static const struct {
        const char *name;
        int64_t release, widest;
    } known[] = {{"dr8", 8000, 1 << 12}, {"dr9", 9010, 1 << 12}, {"dr10", 10000, 1 << 16 | 1 << 12}};
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        Arena a = {0};
        MockSky sky;
        MockSource *source;
        int64_t n, seen[N_MOCK_OTHERS] = {0};
        CU_ASSERT_EQUAL_FATAL(arena_init(&a, "sky", 1 << 26), OK);
        CU_ASSERT_EQUAL_FATAL(make_sky(&sky, MOCK_DR1, 0, known[k].name, &a), OK);
        CU_ASSERT_EQUAL_FATAL(mock_sources(&source, &n, &sky, &sky.brick[0], &a), OK);
        for (int64_t i = 0; i < n; i++) {
            const MockSource *s = &source[i];
            CU_ASSERT_EQUAL(s->release, known[k].release);
            CU_ASSERT_EQUAL(s->targetid, mock_targetid(s->objid, s->brickid, s->release, false));
            for (int64_t j = 0; j < i; j++) CU_ASSERT(source[j].objid != s->objid);
            if (s->other >= 0) seen[s->other]++;
            if (s->other == MOCK_HOST) CU_ASSERT_EQUAL(s->maskbits, known[k].widest);
            bool inside = s->dec >= sky.brick[0].dec1 && s->dec < sky.brick[0].dec2;
            CU_ASSERT_EQUAL(inside, s->other != MOCK_SECONDARY);
            CU_ASSERT_EQUAL(s->flux[0] == 0, s->other == MOCK_DUPLICATE);
        }
        for (int other = 0; other < N_MOCK_OTHERS; other++) CU_ASSERT_EQUAL(seen[other], 1);
        arena_free(&a);
    }
}

static void the_plan_of_a_sky_is_near_the_sky(void)
{
    static const char *south[] = {"south"};
    const LegacyConfig legacy = {.root = "", .release = "dr9", .regions = {1, south}};
    const MockConfig config = {
        .objects = 500, .per_brick = 20, .ra = 150.1, .dec = 2.25, .layout = MOCK_DR1, .truth = "", .votes = ""};
    Arena a = {0};
    MockSky sky;
    MockEstimate e, without;
    CU_ASSERT_EQUAL_FATAL(arena_init(&a, "sky", 1 << 27), OK);
    CU_ASSERT_EQUAL_FATAL(mock_sky(&sky, &config, &legacy, 42, &a), OK);
    CU_ASSERT_EQUAL_FATAL(mock_estimate(&e, &config, true, true), OK);
    CU_ASSERT_EQUAL_FATAL(mock_estimate(&without, &config, true, false), OK);
    CU_ASSERT_EQUAL(e.bricks, sky.n_bricks);
    /* a small field: its rim is as long as its pixels are wide */
    CU_ASSERT(e.groups > sky.n_groups / 2 && e.groups < 2 * sky.n_groups);
    CU_ASSERT(without.bytes < e.bytes && without.seconds < e.seconds && without.files < e.files);
    arena_free(&a);
}

static void the_plan_of_a_thousand_million_objects_needs_no_sky(void)
{
    MockConfig config = {.objects = 1000000, .per_brick = 125, .ra = 150, .dec = 2, .truth = "", .votes = ""};
    MockEstimate million, more;
    CU_ASSERT_EQUAL_FATAL(mock_estimate(&million, &config, true, true), OK);
    CU_ASSERT_EQUAL(million.bricks, 8002);
    CU_ASSERT(million.bytes > 5e11 && million.bytes < 1e12); /* 44 MB a brick, 0.46 MB a spectrum */
    config.objects = 1000000000;
    CU_ASSERT_EQUAL(mock_estimate(&more, &config, true, true), E_CONFIG); /* more bricks than the sphere has */
    fail_clear();
    config.per_brick = 10000;
    config.dec = -70;
    CU_ASSERT_EQUAL_FATAL(mock_estimate(&more, &config, true, true), OK);
    CU_ASSERT_EQUAL(more.bricks, 100002);
    CU_ASSERT(more.bytes > 1e14);
}

TEST_MAIN("mock", {"the plan of a sky is near the sky", the_plan_of_a_sky_is_near_the_sky},
          {"the plan of a thousand million objects needs no sky", the_plan_of_a_thousand_million_objects_needs_no_sky},
          {"in every layout the files hold every object", files_hold_every_object},
          {"UNIQPIX pixels are of two sizes and hold their positions", uniqpix_are_of_two_sizes_and_hold_the_positions},
          {"a third of the objects has a bad exposure", a_third_of_the_objects_has_a_bad_exposure},
          {"image catalogues hold what selections leave out", image_catalogues_hold_what_selections_leave_out})
