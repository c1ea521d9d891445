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
    return mock_sky(sky, &config, &legacy, 42, &par_alone, a);
}

/* Where all objects of the sky are; what they are is not drawn. */
static MockObject *places(const MockSky *sky, Arena *a)
{
    MockObject *out;
    int64_t n = 0;
    CU_ASSERT_EQUAL_FATAL(arena_new(&out, a, sky->n), OK);
    for (int64_t b = 0; b < sky->n_bricks; b++) {
        Brick brick;
        mock_brick(&brick, sky, b);
        CU_ASSERT_EQUAL(mock_brick_number(sky, &brick), b);
        for (int64_t k = 0; k < mock_brick_objects(sky, b); k++) mock_place(&out[n++], sky, b, &brick, k);
    }
    CU_ASSERT_EQUAL_FATAL(n, sky->n);
    return out;
}

/* How many groups of a program hold the object, by what the groups say. */
static int count_groups(const MockSky *sky, const MockObject *o, const char *program)
{
    int n = 0;
    for (int64_t i = 0; i < sky->n_groups; i++) {
        MockGroup g;
        mock_group(&g, sky, i);
        n += strcmp(g.program, program) == 0 && mock_in_group(o, &g);
    }
    return n;
}

/* The objects that a group's bricks give: those, and only those, that are in it. */
static void the_bricks_of_a_group_hold_all_of_it(void)
{
    for (int layout = MOCK_EDR; layout <= MOCK_TILES; layout++) {
        Arena a = {0};
        MockSky sky;
        CU_ASSERT_EQUAL_FATAL(arena_init(&a, "sky", 1 << 26), OK);
        CU_ASSERT_EQUAL_FATAL(make_sky(&sky, layout, 0, "dr9", &a), OK);
        const MockObject *all = places(&sky, &a);
        int64_t missing = 0, rows[2] = {0};
        for (int64_t i = 0; i < sky.n_groups; i++) {
            MockGroup g;
            MockObject *object;
            int64_t n, expected = 0;
            mock_group(&g, &sky, i);
            CU_ASSERT_EQUAL_FATAL(mock_group_objects(&object, &n, &sky, &g, &a), OK);
            for (int64_t k = 0; k < sky.n; k++) expected += mock_in_group(&all[k], &g);
            CU_ASSERT_EQUAL(n, expected);
            if (layout != MOCK_TILES) CU_ASSERT(n == g.rows && n > 0);
            if (g.missing) CU_ASSERT(n > 0);
            missing += g.missing;
            rows[strcmp(g.program, "dark") == 0] += n;
        }
        CU_ASSERT_EQUAL(missing, 1);
        CU_ASSERT(rows[0] == sky.rows[0] && rows[1] == sky.rows[1]);
        arena_free(&a);
    }
}

/* Every object has a number of its own, and a TARGETID; many tiles. */
static void names_are_unique(void)
{
    static const char *south[] = {"south"};
    const LegacyConfig legacy = {.root = "", .release = "dr9", .regions = {1, south}};
    const MockConfig config = {.objects = 9000, .per_brick = 7, .ra = 359.9, .dec = -1, .layout = MOCK_TILES};
    Arena a = {0};
    MockSky sky;
    bool *seen;
    CU_ASSERT_EQUAL_FATAL(arena_init(&a, "sky", 1 << 26), OK);
    CU_ASSERT_EQUAL_FATAL(mock_sky(&sky, &config, &legacy, 42, &par_alone, &a), OK);
    CU_ASSERT_EQUAL_FATAL(arena_new(&seen, &a, sky.n), OK);
    const MockObject *all = places(&sky, &a);
    int64_t defects[N_MOCK_DEFECTS] = {0};
    for (int64_t i = 0; i < sky.n; i++) {
        CU_ASSERT_FATAL(all[i].number >= 0 && all[i].number < sky.n && !seen[all[i].number]);
        seen[all[i].number] = true;
        defects[all[i].defect]++;
        MockGroup its[2];
        CU_ASSERT_EQUAL_FATAL(mock_groups_of(its, &sky, &all[i], "bright"), 1 + (all[i].objid % 8 == 3));
        CU_ASSERT_TRUE(mock_in_group(&all[i], &its[0]));
        const int64_t brick = mock_brick_number(&sky, &all[i].brick);
        CU_ASSERT(brick >= its[0].brick[0] && brick <= its[0].brick[1]);
    }
    for (int d = MOCK_PLAIN + 1; d < N_MOCK_DEFECTS; d++) CU_ASSERT_EQUAL(defects[d], 3);
    CU_ASSERT(sky.n_groups > 2 * 40);
    arena_free(&a);
}

static void files_hold_every_object(void)
{
    for (int layout = MOCK_EDR; layout <= MOCK_TILES; layout++) {
        Arena a = {0};
        MockSky sky;
        int64_t twice = 0;
        CU_ASSERT_EQUAL_FATAL(arena_init(&a, "sky", 1 << 26), OK);
        CU_ASSERT_EQUAL_FATAL(make_sky(&sky, layout, 0, "dr9", &a), OK);
        const MockObject *object = places(&sky, &a);
        for (int64_t i = 0; i < sky.n; i++) {
            const MockObject *o = &object[i];
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
    const MockObject *object = places(&sky, &a);
    for (int64_t i = 0; i < sky.n; i++) {
        int64_t nside, pixel;
        CU_ASSERT_TRUE_FATAL(uniqpix_decode(&nside, &pixel, object[i].uniqpix));
        CU_ASSERT(nside == 64 || nside == 128);
        of_size[nside == 128]++;
        CU_ASSERT_EQUAL(nside == 64 ? pixel : pixel / 4, object[i].healpix);
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
    const MockObject *object = places(&sky, &a);
    CU_ASSERT_EQUAL_FATAL(mock_records(&record, &n, &sky, NULL, "bright", 3, object, sky.n, &a), OK);
    CU_ASSERT_EQUAL_FATAL(n, 3 * sky.n);
    for (int64_t i = 0; i < n; i++) {
        const MockRecord *r = &record[i];
        CU_ASSERT_EQUAL(r->exposure, i / sky.n);
        CU_ASSERT_EQUAL(r->targetid, object[i % sky.n].targetid);
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
        Brick first;
        MockObject *object;
        int64_t n_objects;
        mock_brick(&first, &sky, 0);
        CU_ASSERT_EQUAL_FATAL(mock_objects(&object, &n_objects, &sky, 0, 1, &a), OK);
        CU_ASSERT_EQUAL_FATAL(mock_sources(&source, &n, &sky, &first, object, n_objects, &a), OK);
        for (int64_t i = 0; i < n; i++) {
            const MockSource *s = &source[i];
            CU_ASSERT_EQUAL(s->release, known[k].release);
            CU_ASSERT_EQUAL(s->targetid, mock_targetid(s->objid, s->brickid, s->release, false));
            for (int64_t j = 0; j < i; j++) CU_ASSERT(source[j].objid != s->objid);
            if (s->other >= 0) seen[s->other]++;
            if (s->other == MOCK_HOST) CU_ASSERT_EQUAL(s->maskbits, known[k].widest);
            bool inside = s->dec >= first.dec1 && s->dec < first.dec2;
            CU_ASSERT_EQUAL(inside, s->other != MOCK_SECONDARY);
            CU_ASSERT_EQUAL(s->flux[0] == 0, s->other == MOCK_DUPLICATE);
            for (int b = 0; b < 4;
                 b++) { /* a disk is harder to see than a star; 5 sigma between magnitudes 22 and 25.5 */
                CU_ASSERT(s->galdepth[b] < s->psfdepth[b] && s->galdepth[b] > 0.4 * s->psfdepth[b]);
                CU_ASSERT(s->psfdepth[b] > 40 && s->psfdepth[b] < 6500);
                CU_ASSERT(s->psfsize[b] > 0.7 && s->psfsize[b] < 2);
            }
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
    CU_ASSERT_EQUAL_FATAL(mock_sky(&sky, &config, &legacy, 42, &par_alone, &a), OK);
    CU_ASSERT_EQUAL_FATAL(mock_estimate(&e, &config, true, true, 4), OK);
    CU_ASSERT_EQUAL_FATAL(mock_estimate(&without, &config, true, false, 4), OK);
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
    CU_ASSERT_EQUAL_FATAL(mock_estimate(&million, &config, true, true, 4), OK);
    CU_ASSERT_EQUAL(million.bricks, 8002);
    CU_ASSERT(million.bytes > 5e11 && million.bytes < 1e12); /* 44 MB a brick, 0.46 MB a spectrum */
    config.objects = 30000000;
    config.dec = -70;
    CU_ASSERT_EQUAL_FATAL(mock_estimate(&more, &config, true, true, 4), OK);
    CU_ASSERT(more.memory < 1.5 * million.memory && million.memory < 1e9); /* does not grow with the sky */
    config.objects = 1000000000;
    CU_ASSERT_EQUAL(mock_estimate(&more, &config, true, true, 4), E_CONFIG); /* more bricks than the sphere has */
    fail_clear();
    config.per_brick = 10000;
    config.dec = -70;
    CU_ASSERT_EQUAL_FATAL(mock_estimate(&more, &config, true, true, 4), OK);
    CU_ASSERT_EQUAL(more.bricks, 100002);
    CU_ASSERT(more.bytes > 1e14);
}

TEST_MAIN("mock", {"the bricks of a group hold all of it", the_bricks_of_a_group_hold_all_of_it},
          {"every object has a number of its own", names_are_unique},
          {"the plan of a sky is near the sky", the_plan_of_a_sky_is_near_the_sky},
          {"the plan of a thousand million objects needs no sky", the_plan_of_a_thousand_million_objects_needs_no_sky},
          {"in every layout the files hold every object", files_hold_every_object},
          {"UNIQPIX pixels are of two sizes and hold their positions", uniqpix_are_of_two_sizes_and_hold_the_positions},
          {"a third of the objects has a bad exposure", a_third_of_the_objects_has_a_bad_exposure},
          {"image catalogues hold what selections leave out", image_catalogues_hold_what_selections_leave_out})
