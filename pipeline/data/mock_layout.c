/* mock_layout.c - which spectra share a file, and what the files are called, in each layout of a DESI production
   (formats.md B1). Names are written out here, so that the readers' own have an independent twin. */
#include <stdio.h>
#include <string.h>

#include "data/healpix.h"
#include "data/mock.h"

enum { PETALS = 10, NIGHT = 20210405, TILE_BRIGHT = 20010, TILE_DARK = 20020, TILE_STEP = 20, SPLIT_NSIDE = 128 };
enum { FIBRES = 4000, EACH_TILE = 2 * PETALS }; /* about, on a tile; its groups with those of the second one */
static const char *const programs[] = {"bright", "dark"};

/* In MOCK_TILES some targets were observed on a second tile of the program: two rows of one key. */
static bool on_second_tile(const MockObject *o) { return o->objid % 8 == 3; }
static int32_t petal_of(const MockObject *o) { return o->objid % PETALS; }
static bool in_program(const MockObject *o, const char *program)
{
    return strcmp(program, "dark") == 0 ? o->in_dark : true;
}

/* Pixels of nside 64, but the crowded one in four. */
int32_t mock_uniqpix(const MockSky *sky, const MockObject *o)
{
    return o->healpix == sky->crowded ? healpix_uniqpix(SPLIT_NSIDE, o->ra, o->dec)
                                      : (int32_t)uniqpix_encode(HEALPIX_NSIDE, o->healpix);
}

/* ---- tiles: a run of bricks each ---- */

static int64_t bricks_of_tile(const MockSky *sky) { return sky->per_brick < FIBRES ? FIBRES / sky->per_brick : 1; }
static int64_t count_tiles(const MockSky *sky) { return (sky->n_bricks - 1) / bricks_of_tile(sky) + 1; }

/* Petal p of the first or second tile of a program. */
static void set_tile(MockGroup *g, const MockSky *sky, int64_t tile, bool second, int32_t petal)
{
    const bool dark = strcmp(g->program, "dark") == 0;
    g->tileid = (int32_t)((dark ? TILE_DARK : TILE_BRIGHT) + TILE_STEP * tile + second);
    g->night = NIGHT + 7 * second;
    g->petal = petal;
    g->brick[0] = tile * bricks_of_tile(sky);
    g->brick[1] = g->brick[0] + bricks_of_tile(sky) - 1;
    if (g->brick[1] >= sky->n_bricks) g->brick[1] = sky->n_bricks - 1;
    g->row[0] = g->brick[0] / sky->width;
    g->row[1] = g->brick[1] / sky->width;
    g->column[1] = sky->width - 1;
}

void mock_group(MockGroup *out, const MockSky *sky, int64_t g)
{
    if (sky->layout != MOCK_TILES) {
        *out = sky->group[g];
    } else {
        const int64_t each = EACH_TILE * count_tiles(sky);
        *out = (MockGroup){.program = programs[g / each]};
        set_tile(out, sky, g % each / EACH_TILE, g % EACH_TILE / PETALS, (int32_t)(g % PETALS));
    }
    out->missing = g == sky->last_dark;
}

bool mock_in_group(const MockObject *o, const MockGroup *g)
{
    if (!in_program(o, g->program)) return false;
    if (g->tileid) return petal_of(o) == g->petal && (g->tileid % 10 == 0 || on_second_tile(o));
    return g->uniqpix ? o->uniqpix == g->uniqpix : o->healpix == g->healpix;
}

int mock_groups_of(MockGroup out[2], const MockSky *sky, const MockObject *o, const char *program)
{
    if (!in_program(o, program)) return 0;
    int n = sky->layout == MOCK_TILES && on_second_tile(o) ? 2 : 1;
    for (int second = 0; second < n; second++) {
        MockGroup *g = &out[second];
        *g = (MockGroup){.program = program};
        if (sky->layout == MOCK_TILES)
            set_tile(g, sky, mock_brick_number(sky, &o->brick) / bricks_of_tile(sky), second, petal_of(o));
        else if (sky->layout == MOCK_DR3)
            g->uniqpix = o->uniqpix;
        else
            g->healpix = o->healpix;
    }
    return n;
}

/* ---- pixels: which there are, and in which bricks ---- */

/* One for each pixel of nside 64, then the parts of the crowded one; every number is summed or its maximum taken over
   the ranks, so that all know all. */
enum { SLOTS = HEALPIX_PIXELS + SPLIT_NSIDE / HEALPIX_NSIDE * (SPLIT_NSIDE / HEALPIX_NSIDE), N_REACH = 4 };
typedef struct {
    int64_t rows[2][SLOTS];
    int64_t reach[SLOTS][N_REACH]; /* 1 + the last row and column of the field, most - the first ones; 0 = nowhere */
} Pixels;
static const int64_t most = 1 << 30;

static void raise(int64_t *x, int64_t y)
{
    if (y > *x) *x = y;
}

static int64_t slot_of(const MockSky *sky, const MockObject *o)
{
    if (sky->layout != MOCK_DR3 || o->healpix != sky->crowded) return o->healpix;
    int64_t nside, pixel;
    MUST(uniqpix_decode(&nside, &pixel, o->uniqpix));
    return HEALPIX_PIXELS + pixel % (SLOTS - HEALPIX_PIXELS);
}

static void note_brick(MockSky *sky, Pixels *p, int64_t brick)
{
    Brick b;
    MockObject o;
    mock_brick(&b, sky, brick);
    for (int64_t k = 0, here = mock_brick_objects(sky, brick); k < here; k++) {
        mock_place(&o, sky, brick, &b, k);
        MockGroup its[2];
        const int64_t row = brick / sky->width, column = brick % sky->width, slot = slot_of(sky, &o);
        if (mock_is_fitted(&o)) sky->n_fitted += mock_groups_of(its, sky, &o, programs[0]);
        sky->n_labels += mock_is_labelled(sky, &o);
        for (int dark = 0; dark <= o.in_dark; dark++) {
            sky->rows[dark] += mock_groups_of(its, sky, &o, programs[dark]);
            if (sky->layout != MOCK_TILES) p->rows[dark][slot]++;
        }
        if (sky->layout == MOCK_TILES) {
            if (!o.in_dark) continue;
            int64_t tile = brick / bricks_of_tile(sky), second = on_second_tile(&o) ? PETALS : 0;
            raise(&sky->last_dark, (count_tiles(sky) + tile) * EACH_TILE + second + petal_of(&o));
            continue;
        }
        const int64_t reach[N_REACH] = {1 + row, 1 + column, most - row, most - column};
        for (int i = 0; i < N_REACH; i++) raise(&p->reach[slot][i], reach[i]);
    }
}

static Status list_groups(MockSky *sky, const Pixels *p, Arena *a)
{
    int64_t n = 0;
    for (int i = 0; i < 2 * SLOTS; i++) n += p->rows[i / SLOTS][i % SLOTS] > 0;
    TRY(arena_new(&sky->group, a, n));
    for (int i = 0; i < 2 * SLOTS; i++) {
        const int slot = i % SLOTS;
        if (p->rows[i / SLOTS][slot] == 0) continue;
        const int64_t *reach = p->reach[slot];
        MockGroup *g = &sky->group[sky->n_groups++];
        *g = (MockGroup){.program = programs[i / SLOTS], .rows = p->rows[i / SLOTS][slot]};
        g->row[0] = most - reach[2], g->row[1] = reach[0] - 1;
        g->column[0] = most - reach[3], g->column[1] = reach[1] - 1;
        g->brick[1] = sky->n_bricks - 1;
        if (sky->layout != MOCK_DR3)
            g->healpix = slot;
        else if (slot < HEALPIX_PIXELS)
            g->uniqpix = (int32_t)uniqpix_encode(HEALPIX_NSIDE, slot);
        else
            g->uniqpix = (int32_t)uniqpix_encode(SPLIT_NSIDE, (int64_t)sky->crowded * (SLOTS - HEALPIX_PIXELS) + slot -
                                                                  HEALPIX_PIXELS);
    }
    const MockGroup *last = n > 0 ? &sky->group[n - 1] : NULL;
    if (last && strcmp(last->program, "dark") == 0) sky->last_dark = n - 1;
    return OK;
}

Status mock_groups(MockSky *sky, const Par *par, Arena *a)
{
    Pixels *p = NULL;
    int64_t first, last;
    par_share(&first, &last, par, sky->n_bricks);
    TRY(par_agree(par, arena_new(&p, a, 1)));
    sky->last_dark = -1;
    for (int64_t b = first; b < last; b++) note_brick(sky, p, b);
    par_sum_i64(par, sky->rows, 2);
    par_sum_i64(par, &sky->n_fitted, 1);
    par_sum_i64(par, &sky->n_labels, 1);
    par_sum_i64(par, p->rows[0], 2 * SLOTS);
    par_max_i64(par, p->reach[0], SLOTS * N_REACH);
    par_max_i64(par, &sky->last_dark, 1);
    sky->n_groups = sky->layout == MOCK_TILES ? 2 * EACH_TILE * count_tiles(sky) : 0;
    return par_agree(par, sky->layout == MOCK_TILES ? OK : list_groups(sky, p, a));
}

/* ---- names ---- */

static Status check_length(int length, const char *path)
{
    return length < 0 || length >= FITS_PATH ? FAIL(E_CONFIG, "the path %.200s... is too long", path) : OK;
}

Status mock_group_path(char path[FITS_PATH], const MockSky *sky, const DesiConfig *desi, const MockGroup *g,
                       const char *kind)
{
    char folder[FITS_PATH / 2], name[128];
    int number = g->uniqpix ? g->uniqpix : g->healpix;
    const char *tree = g->uniqpix ? "spectra" : "healpix";
    if (g->tileid) {
        snprintf(folder, sizeof folder, "tiles/cumulative/%d/%d", g->tileid, g->night);
        snprintf(name, sizeof name, "%s-%d-%d-thru%d", kind, g->petal, g->tileid, g->night);
    } else {
        snprintf(folder, sizeof folder, "%s/%s/%s/%d/%d", tree, sky->survey, g->program, number / 100, number);
        snprintf(name, sizeof name, "%s-%s-%s-%d", kind, sky->survey, g->program, number);
    }
    /* per-exposure files are published compressed */
    const char *end = strcmp(kind, "spectra") == 0 ? ".fits.gz" : ".fits";
    int length =
        snprintf(path, FITS_PATH, "%s/spectro/redux/%s/%s/%s%s", desi->root, desi->specprod, folder, name, end);
    return check_length(length, path);
}

Status mock_zcatalog_path(char path[FITS_PATH], const MockSky *sky, const DesiConfig *desi, const char *program,
                          const char *part)
{
    static const char *const pattern[] = {
        [MOCK_EDR] = "%s/spectro/redux/%s/zcatalog/zpix-%s-%s%s.fits",
        [MOCK_DR1] = "%s/spectro/redux/%s/zcatalog/v1/zpix-%s-%s%s.fits",
        [MOCK_DR2] = "%s/spectro/redux/%s/zcatalog/v2/main/zpix-%s-%s%s.fits",
        [MOCK_DR3] = "%s/spectro/redux/%s/zcatalog/v2/main/zpix-%s-%s%s.fits",
        [MOCK_TILES] = "%s/spectro/redux/%s/zcatalog/v1/ztile-%s-%s-cumulative%s.fits",
    };
    int length =
        snprintf(path, FITS_PATH, pattern[sky->layout], desi->root, desi->specprod, sky->survey, program, part);
    return check_length(length, path);
}
