/* mock_sky.c - who is in the sky: galaxies at positions in bricks, identifiers, and the things that go wrong. Object k of
   brick b is found from the configuration alone: its number, and with it all else. */
#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "data/healpix.h"
#include "data/mock.h"

static const char *const layouts[] = {"edr", "dr1", "dr2", "dr3", "tiles", NULL}; /* MockLayout */

static const ConfigField mock_fields[] = {
    FIELD_INT(MockConfig, objects, "500", 1, 1e9, RESULT, "galaxies with a spectrum and an image, defects aside"),
    FIELD_INT(MockConfig, per_brick, "600", 1, 100000, RESULT,
              "galaxies in one brick of 0.0625 square degrees; images cost time and space by the brick"),
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

/* ---- bricks ---- */

static int64_t first_column(const MockSky *sky, int64_t columns)
{
    return (int64_t)((double)sky->col * (double)columns / (double)sky->columns);
}

static Status lay_bricks(MockSky *sky, const MockConfig *c)
{
    Brick centre, b;
    sky->n_full = (c->objects + c->per_brick - 1) / c->per_brick;
    sky->n_bricks = sky->n_full + 2;
    sky->width = (int64_t)ceil(sqrt((double)sky->n_full));
    if (!brick_at(&centre, c->ra, c->dec)) return FAIL(E_CONFIG, "mock: ra %g, dec %g is no position", c->ra, c->dec);
    sky->row = centre.row;
    sky->col = centre.col;
    sky->columns = (int32_t)brick_columns(centre.row);
    for (int64_t row = sky->row; row <= sky->row + (sky->n_bricks - 1) / sky->width; row++)
        if (row >= N_BRICK_ROWS || brick_columns(row) < sky->width)
            return FAIL(E_CONFIG,
                        "mock: %lld bricks upwards of dec %g reach the pole: lower mock.dec, or raise mock.per_brick",
                        (long long)sky->n_full, c->dec);
    mock_brick(&b, sky, sky->n_full);
    sky->missing_band_brick = b.id;
    mock_brick(&b, sky, sky->n_full + 1);
    sky->no_brick = b.id;
    return OK;
}

void mock_brick(Brick *out, const MockSky *sky, int64_t brick)
{
    const int64_t row = sky->row + brick / sky->width, columns = brick_columns(row);
    MUST(brick_at_row(out, row, (first_column(sky, columns) + brick % sky->width) % columns));
}

int64_t mock_brick_number(const MockSky *sky, const Brick *b)
{
    const int64_t columns = brick_columns(b->row), row = b->row - sky->row;
    const int64_t column = (b->col - first_column(sky, columns) + columns) % columns, brick = row * sky->width + column;
    return row < 0 || column >= sky->width || brick >= sky->n_bricks ? -1 : brick;
}

/* ---- who lies where ---- */

/* Every defect a few times, spread over the full bricks: the k-th of these kinds is one of brick k mod n_full. */
static const MockDefect kinds[] = {MOCK_CORNER, MOCK_EDGE,     MOCK_DEAD_FIBRE, MOCK_BROKEN_FIBRE,
                                   MOCK_SKY,    MOCK_NEGATIVE, MOCK_HALF_MASKED};
enum { N_KINDS = sizeof kinds / sizeof *kinds, N_SPREAD = N_KINDS * DEFECTS_EACH };

static int64_t plain_objects(const MockSky *sky, int64_t brick)
{
    const int64_t left = sky->objects - brick * sky->per_brick;
    return brick >= sky->n_full ? 0 : left < sky->per_brick ? left : sky->per_brick;
}

int64_t mock_brick_objects(const MockSky *sky, int64_t brick)
{
    if (brick >= sky->n_full) return DEFECTS_EACH;
    return plain_objects(sky, brick) + (brick < N_SPREAD ? (N_SPREAD - 1 - brick) / sky->n_full + 1 : 0);
}

/* Number and defect of object k of a brick. */
static int64_t number_of(MockDefect *defect, const MockSky *sky, int64_t brick, int64_t k)
{
    const int64_t plain = plain_objects(sky, brick);
    *defect = MOCK_PLAIN;
    if (k < plain) return brick * sky->per_brick + k;
    if (brick >= sky->n_full) {
        *defect = brick == sky->n_full ? MOCK_MISSING_BAND : MOCK_NO_BRICK;
        return sky->objects + N_SPREAD + (brick - sky->n_full) * DEFECTS_EACH + k;
    }
    const int64_t extra = brick + (k - plain) * sky->n_full;
    *defect = kinds[extra % N_KINDS];
    return sky->objects + extra;
}

/* A position inside the brick's box, by defect at a corner or an edge of it. */
static void set_position(MockObject *o, Rng *r)
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

void mock_place(MockObject *o, const MockSky *sky, int64_t brick, const Brick *b, int64_t k)
{
    MockDefect defect;
    const int64_t number = number_of(&defect, sky, brick, k);
    Rng where = rng_stream(sky->seed, "mock.place", number, 0);
    *o = (MockObject){.number = number, .brick = *b, .objid = (int32_t)k, .defect = defect, .north = sky->north};
    set_position(o, &where);
    int32_t release = sky->north ? RELEASE_DR9_NORTH : RELEASE_DR9_SOUTH;
    o->targetid = mock_targetid(o->objid, b->id, release, defect == MOCK_SKY);
    if (defect == MOCK_NEGATIVE) o->targetid = -(1 + number);
    o->in_dark = defect == MOCK_PLAIN && number % 16 == 0;
    o->uniqpix = mock_uniqpix(sky, o);
}

/* Flux of the [OII] doublet in the fibre, 1e-17 erg/s/cm2. */
static double fibre_oii(const MockObject *o)
{
    double lines[N_MOCK_LINES];
    mock_lines(lines, o);
    return mock_fibre_share(o) * (lines[MOCK_OII_3726] + lines[MOCK_OII_3729]);
}

/* Those that the dark program takes for emission-line galaxies (mock_records.c) have a line to be seen by. */
static void draw_galaxy(MockObject *o, const MockSky *sky)
{
    Rng galaxy = rng_stream(sky->seed, "mock.latent", o->number, 0);
    const bool emits = o->defect == MOCK_PLAIN && o->number % 48 == 16;
    do mock_galaxy(o, &galaxy);
    while (emits && fibre_oii(o) < 8);
}

void mock_object(MockObject *o, const MockSky *sky, int64_t brick, const Brick *b, int64_t k)
{
    mock_place(o, sky, brick, b, k);
    draw_galaxy(o, sky);
}

Status mock_objects(MockObject **out, int64_t *n, const MockSky *sky, int64_t first, int64_t last, Arena *a)
{
    int64_t count = 0, at = 0;
    for (int64_t b = first; b < last; b++) count += mock_brick_objects(sky, b);
    TRY(arena_new(out, a, count));
    for (int64_t b = first; b < last; b++) {
        Brick brick;
        mock_brick(&brick, sky, b);
        for (int64_t k = 0, here = mock_brick_objects(sky, b); k < here; k++)
            mock_object(&(*out)[at++], sky, b, &brick, k);
    }
    *n = count;
    return OK;
}

/* Objects of the group in one brick: how many, or all of them drawn where `out` is given. */
static int64_t take_group(MockObject *out, const MockSky *sky, const MockGroup *g, int64_t brick)
{
    Brick b;
    MockObject o;
    int64_t n = 0;
    if (brick < g->brick[0] || brick > g->brick[1]) return 0;
    mock_brick(&b, sky, brick);
    for (int64_t k = 0, here = mock_brick_objects(sky, brick); k < here; k++) {
        mock_place(&o, sky, brick, &b, k);
        if (!mock_in_group(&o, g)) continue;
        if (out) {
            draw_galaxy(&o, sky);
            out[n] = o;
        }
        n++;
    }
    return n;
}

Status mock_group_objects(MockObject **out, int64_t *n, const MockSky *sky, const MockGroup *g, Arena *a)
{
    int64_t count = 0;
    *n = 0;
    for (int pass = 0; pass < 2; pass++) {
        if (pass == 1) TRY(arena_new(out, a, count));
        for (int64_t row = g->row[0]; row <= g->row[1]; row++)
            for (int64_t column = g->column[0]; column <= g->column[1]; column++) {
                const int64_t here = take_group(pass ? *out + *n : NULL, sky, g, row * sky->width + column);
                *(pass ? n : &count) += here;
            }
    }
    return OK;
}

/* Files of sweeps: boxes of 10 by 5 deg that the bricks touch. */
static Status list_sweeps(MockSky *sky, Arena *a)
{
    enum { ACROSS = 36, UP = 36 };
    bool touched[UP][ACROSS] = {{false}};
    for (int64_t i = 0; i < sky->n_bricks; i++) {
        Brick b;
        mock_brick(&b, sky, i);
        for (int corner = 0; corner < 4; corner++) {
            double ra = corner % 2 ? b.ra2 : b.ra1, dec = corner > 1 ? b.dec2 : b.dec1;
            int up = (int)floor((dec + 90) / 5);
            touched[up < UP ? up : UP - 1][(int)floor(fmod(ra + 360, 360) / 10)] = true;
        }
    }
    TRY(arena_new(&sky->sweep, a, ACROSS * UP));
    for (int up = 0; up < UP; up++)
        for (int across = 0; across < ACROSS; across++)
            if (touched[up][across]) sky->sweep[sky->n_sweeps++] = (MockSweep){10 * across, 5 * up - 90};
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

Status mock_sky(MockSky *sky, const MockConfig *c, const LegacyConfig *legacy, int64_t seed, const Par *par, Arena *a)
{
    Brick first;
    MockObject one;
    memset(sky, 0, sizeof *sky);
    sky->seed = (uint64_t)seed;
    sky->layout = c->layout;
    sky->exposures = c->exposures;
    sky->survey = c->layout == MOCK_EDR ? "sv3" : "main";
    sky->north = legacy && legacy->regions.n > 0 && strcmp(legacy->regions.item[0], "north") == 0;
    sky->release = release_number(legacy ? legacy->release : "dr9", sky->north);
    sky->objects = c->objects;
    sky->per_brick = c->per_brick;
    sky->n = c->objects + (N_KINDS + 2) * DEFECTS_EACH;
    TRY(lay_bricks(sky, c));
    sky->n_sources = sky->n - DEFECTS_EACH + N_MOCK_OTHERS * sky->n_bricks; /* nothing is where the fibre sees sky */
    mock_brick(&first, sky, 0);
    mock_place(&one, sky, 0, &first, 0);
    sky->crowded = one.healpix;
    TRY(par_agree(par, list_sweeps(sky, a)));
    return mock_groups(sky, par, a);
}
