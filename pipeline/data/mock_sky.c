/* mock_sky.c - who is in the sky: galaxies at positions in bricks, identifiers, and the things that go wrong. */
#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "data/healpix.h"
#include "data/mock.h"

static const char *const layouts[] = {"edr", "dr1", "dr2", "dr3", "tiles", NULL}; /* MockLayout */

static const ConfigField mock_fields[] = {
    FIELD_INT(MockConfig, objects, "500", 1, 1e9, RESULT, "galaxies with a spectrum and an image, defects aside"),
    FIELD_INT(MockConfig, per_brick, "125", 1, 100000, RESULT, "galaxies in one brick of 0.0625 square degrees"),
    FIELD_REAL(MockConfig, ra, "150.1", 0, 360, RESULT, "centre of the field, deg"),
    FIELD_REAL(MockConfig, dec, "2.25", -80, 80, RESULT, "centre of the field, deg"),
    FIELD_CHOICE(MockConfig, layout, "dr1", layouts, RESULT,
                 "whose files DESI's look like: zcatalog v0, v1, v2, v2 by UNIQPIX, or by tile"),
    FIELD_INT(MockConfig, exposures, "0", 0, 8, RESULT,
              "exposures of each spectrum in spectra-* files beside the coadds; 0 = no such files"),
    FIELD_TEXT(MockConfig, truth, "truth.fits", EFFORT, "table of the latent properties, in run.output"),
    FIELD_TEXT(MockConfig, votes, "votes.csv", EFFORT,
               "volunteers' votes on morphology as Galaxy Zoo DECaLS lists them, in run.output; empty = no such table"),
    FIELD_END};
const ConfigSection mock_section = {"mock", "a sky in the surveys' formats", mock_fields, sizeof(MockConfig), NULL};

enum { RELEASE_DR9_SOUTH = 9010, RELEASE_DR9_NORTH = 9011, DEFECTS_EACH = 3 };

int64_t mock_targetid(int64_t objid, int64_t brickid, int64_t release, bool sky)
{
    return objid | brickid << 22 | release << 42 | (int64_t)sky << 59;
}

/* A position inside the brick's box, by defect at a corner or an edge of it. */
static void place(MockObject *o, Rng *r)
{
    const Brick *b = &o->brick;
    const double rim = 3.0 / 3600; /* deg */
    double u = rng_uniform(r), v = rng_uniform(r);
    double cos_dec = cos(b->dec * M_PI / 180);
    o->ra = b->ra1 + rim + u * (b->ra2 - b->ra1 - 2 * rim);
    o->dec = b->dec1 + rim + v * (b->dec2 - b->dec1 - 2 * rim);
    if (o->defect == MOCK_CORNER || o->defect == MOCK_EDGE)
        o->ra = u < 0.5 ? b->ra1 + rim / cos_dec : b->ra2 - rim / cos_dec;
    if (o->defect == MOCK_CORNER) o->dec = v < 0.5 ? b->dec1 + rim : b->dec2 - rim;
    o->healpix = healpix_pixel(o->ra, o->dec);
}

/* Flux of the [OII] doublet in the fibre, 1e-17 erg/s/cm2. */
static double fibre_oii(const MockObject *o)
{
    double lines[N_MOCK_LINES];
    mock_lines(lines, o);
    return mock_fibre_share(o) * (lines[MOCK_OII_3726] + lines[MOCK_OII_3729]);
}

static void make_object(MockObject *o, const MockSky *sky, int64_t number, const Brick *brick, int32_t objid,
                        MockDefect defect)
{
    Rng galaxy = rng_stream(sky->seed, "mock.latent", number, 0),
        where = rng_stream(sky->seed, "mock.place", number, 0);
    *o = (MockObject){.brick = *brick, .objid = objid, .defect = defect, .north = sky->north};
    /* those that the dark program takes for emission-line galaxies (mock_records.c) have a line to be seen by */
    const bool emits = defect == MOCK_PLAIN && number % 48 == 16;
    do mock_galaxy(o, &galaxy);
    while (emits && fibre_oii(o) < 8);
    place(o, &where);
    int32_t release = sky->north ? RELEASE_DR9_NORTH : RELEASE_DR9_SOUTH;
    o->targetid = mock_targetid(objid, brick->id, release, defect == MOCK_SKY);
    if (defect == MOCK_NEGATIVE) o->targetid = -(1 + number);
    o->in_dark = defect == MOCK_PLAIN && number % 16 == 0;
}

/* Bricks of the field in a square, left to right and upwards, then the one without a band, then the one without files. */
static Status lay_bricks(MockSky *sky, const MockConfig *c, Arena *a)
{
    int64_t n_full = (c->objects + c->per_brick - 1) / c->per_brick, per_row = (int64_t)ceil(sqrt((double)n_full));
    Brick centre;
    sky->n_bricks = n_full + 2;
    TRY(arena_new(&sky->brick, a, sky->n_bricks));
    if (!brick_at(&centre, c->ra, c->dec)) return FAIL(E_CONFIG, "mock: ra %g, dec %g is no position", c->ra, c->dec);
    for (int64_t i = 0; i < sky->n_bricks; i++) {
        int64_t row = centre.row + i / per_row, columns = brick_columns(row);
        if (columns < per_row)
            return FAIL(E_CONFIG, "mock: %lld bricks upwards of dec %g reach the pole", (long long)n_full, c->dec);
        int64_t first = (int64_t)((double)centre.col * (double)columns / (double)brick_columns(centre.row));
        MUST(brick_at_row(&sky->brick[i], row, (first + i % per_row) % columns));
    }
    sky->missing_band_brick = sky->brick[n_full].id;
    sky->no_brick = sky->brick[n_full + 1].id;
    return OK;
}

/* Every defect a few times, spread over the full bricks. */
static MockDefect defect_of(int64_t number, const MockConfig *c)
{
    int64_t extra = number - c->objects;
    if (extra < 0) return MOCK_PLAIN;
    static const MockDefect kinds[] = {MOCK_CORNER, MOCK_EDGE,     MOCK_DEAD_FIBRE, MOCK_BROKEN_FIBRE,
                                       MOCK_SKY,    MOCK_NEGATIVE, MOCK_HALF_MASKED};
    int64_t n_kinds = (int64_t)(sizeof kinds / sizeof *kinds);
    if (extra < n_kinds * DEFECTS_EACH) return kinds[extra % n_kinds];
    return extra < (n_kinds + 1) * DEFECTS_EACH ? MOCK_MISSING_BAND : MOCK_NO_BRICK;
}
enum { N_DEFECT_OBJECTS = 9 * DEFECTS_EACH };

/* Files of sweeps: boxes of 10 by 5 deg that the bricks touch. */
static Status list_sweeps(MockSky *sky, Arena *a)
{
    TRY(arena_new(&sky->sweep, a, 4 * sky->n_bricks));
    for (int64_t i = 0; i < 4 * sky->n_bricks; i++) {
        const Brick *b = &sky->brick[i / 4];
        double ra = i % 2 ? b->ra2 : b->ra1, dec = i % 4 > 1 ? b->dec2 : b->dec1;
        MockSweep s = {10 * (int)floor(fmod(ra + 360, 360) / 10), 5 * (int)floor(dec / 5)};
        bool known = false;
        for (int64_t k = 0; k < sky->n_sweeps; k++) known |= sky->sweep[k].ra == s.ra && sky->sweep[k].dec == s.dec;
        if (!known) sky->sweep[sky->n_sweeps++] = s;
    }
    return OK;
}

/* RELEASE of a tree of images. */
static int32_t release_number(const char *release, bool north)
{
    static const struct {
        const char *release;
        int32_t south, north;
    } known[] = {{"dr8", 8000, 8001},
                 {"dr9", RELEASE_DR9_SOUTH, RELEASE_DR9_NORTH},
                 {"dr10", 10000, RELEASE_DR9_NORTH}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(release, known[i].release) == 0) return north ? known[i].north : known[i].south;
    return north ? RELEASE_DR9_NORTH : RELEASE_DR9_SOUTH;
}

Status mock_sky(MockSky *sky, const MockConfig *c, const LegacyConfig *legacy, int64_t seed, Arena *a)
{
    memset(sky, 0, sizeof *sky);
    sky->seed = (uint64_t)seed;
    sky->layout = c->layout;
    sky->exposures = c->exposures;
    sky->survey = c->layout == MOCK_EDR ? "sv3" : "main";
    sky->north = legacy && legacy->regions.n > 0 && strcmp(legacy->regions.item[0], "north") == 0;
    sky->release = release_number(legacy ? legacy->release : "dr9", sky->north);
    TRY(lay_bricks(sky, c, a));
    sky->n = c->objects + N_DEFECT_OBJECTS;
    TRY(arena_new(&sky->object, a, sky->n));
    int64_t n_full = sky->n_bricks - 2;
    int32_t *used = NULL;
    TRY(arena_new(&used, a, sky->n_bricks));
    for (int64_t i = 0; i < sky->n; i++) {
        MockDefect defect = defect_of(i, c);
        int64_t brick = i < c->objects ? i / c->per_brick : (i - c->objects) % n_full;
        if (defect == MOCK_MISSING_BAND) brick = n_full;
        if (defect == MOCK_NO_BRICK) brick = n_full + 1;
        make_object(&sky->object[i], sky, i, &sky->brick[brick], used[brick]++, defect);
    }
    TRY(mock_index(sky, a));
    TRY(list_sweeps(sky, a));
    return mock_groups(sky, a);
}
