/* mock_layout.c - which spectra share a file, and what the files are called, in each layout of a DESI production
   (formats.md B1). Names are written out here, so that the readers' own have an independent twin. */
#include <stdio.h>
#include <string.h>

#include "data/healpix.h"
#include "data/mock.h"

enum { PETALS = 10, NIGHT = 20210405, TILE_BRIGHT = 20010, TILE_DARK = 1010, SPLIT_NSIDE = 128 };

/* In MOCK_TILES some targets were observed on a second tile of the program: two rows of one key. */
static bool on_second_tile(const MockObject *o) { return o->objid % 8 == 3; }
static int32_t petal_of(const MockObject *o) { return o->objid % PETALS; }
static bool in_program(const MockObject *o, const char *program)
{
    return strcmp(program, "dark") == 0 ? o->in_dark : true;
}

bool mock_in_group(const MockObject *o, const MockGroup *g)
{
    if (!in_program(o, g->program)) return false;
    if (g->tileid) return petal_of(o) == g->petal && (g->tileid % 10 == 0 || on_second_tile(o));
    return g->uniqpix ? o->uniqpix == g->uniqpix : o->healpix == g->healpix;
}

/* The group of an object; second: on the other tile. */
static MockGroup group_of(const MockObject *o, const char *program, int layout, bool second)
{
    MockGroup g = {.program = program};
    if (layout == MOCK_TILES) {
        g.tileid = (strcmp(program, "dark") == 0 ? TILE_DARK : TILE_BRIGHT) + second;
        g.night = NIGHT + 7 * second;
        g.petal = petal_of(o);
    } else if (layout == MOCK_DR3) {
        g.uniqpix = o->uniqpix;
    } else {
        g.healpix = o->healpix;
    }
    return g;
}

static void add_group(MockSky *sky, int64_t first, const MockGroup *g)
{
    for (int64_t k = first; k < sky->n_groups; k++) {
        const MockGroup *old = &sky->group[k];
        if (old->healpix == g->healpix && old->uniqpix == g->uniqpix && old->tileid == g->tileid &&
            old->petal == g->petal)
            return;
    }
    sky->group[sky->n_groups++] = *g;
}

/* Pixels of nside 64, but the crowded one (here: that of the first object) in four. */
static void set_uniqpix(MockSky *sky)
{
    for (int64_t i = 0; i < sky->n; i++) {
        MockObject *o = &sky->object[i];
        bool split = o->healpix == sky->object[0].healpix;
        o->uniqpix = healpix_uniqpix(split ? SPLIT_NSIDE : HEALPIX_NSIDE, o->ra, o->dec);
    }
}

Status mock_groups(MockSky *sky, Arena *a)
{
    static const char *const programs[] = {"bright", "dark"};
    TRY(arena_new(&sky->group, a, 4 * sky->n));
    set_uniqpix(sky);
    int64_t first = 0;
    for (int p = 0; p < 2; p++) {
        first = sky->n_groups;
        for (int64_t i = 0; i < sky->n; i++) {
            const MockObject *o = &sky->object[i];
            if (!in_program(o, programs[p])) continue;
            for (int second = 0; second <= (sky->layout == MOCK_TILES && on_second_tile(o)); second++) {
                MockGroup g = group_of(o, programs[p], sky->layout, second);
                add_group(sky, first, &g);
            }
        }
    }
    if (sky->n_groups > first) sky->group[sky->n_groups - 1].missing = true; /* the last dark file is lost */
    return OK;
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
