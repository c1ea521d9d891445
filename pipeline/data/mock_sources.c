/* mock_sources.c - catalogues of the images of the mock sky: Tractor by brick, sweeps by box of the sky, and photometric
   redshifts row by row with the sweeps (formats.md B11). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/rng.h"
#include "data/mock_render.h"
#include "data/mock_table.h"

enum {
    RELEASE_RERUN = 9012, /* DR9 south bricks that were run again: DESI's ids are those of the first run */
    RELEASE_DR9 = 9010,
    RELEASE_DR10 = 10000,
    BIT_BRIGHT = 1 << 1,
    BIT_GALAXY = 1 << 12,
    BIT_SUB_BLOB = 1 << 16
};

/* ---- what is there ---- */

static double flux_of(double magnitude) { return pow(10, 0.4 * (22.5 - magnitude)); }

/* Of the brick: its i band is taken to be as its r band. */
static void set_depths(MockSource *s, const MockSky *sky, const Brick *b)
{
    static const int band[4] = {0, 1, 1, 2};
    for (int k = 0; k < 4; k++) {
        MockSeeing seeing;
        mock_seeing(&seeing, sky, b, band[k]);
        s->psfsize[k] = seeing.fwhm;
        mock_depth(&s->psfdepth[k], &s->galdepth[k], &seeing);
    }
}

static void fill_common(MockSource *s, const MockSky *sky, const Brick *b)
{
    static const double transmission[4] = {0.94, 0.96, 0.97, 0.98};
    static const int64_t nobs[4] = {3, 3, 2, 4};
    bool rerun = sky->release == RELEASE_DR9 && b->id == sky->missing_band_brick;
    s->release = rerun ? RELEASE_RERUN : sky->release;
    s->brickid = b->id;
    s->targetid = mock_targetid(s->objid, s->brickid, s->release, false);
    s->ebv = 0.02;
    memcpy(s->transmission, transmission, sizeof transmission);
    memcpy(s->nobs, nobs, sizeof nobs);
    s->primary = s->in_sweep = 1;
    s->other = -1;
    mock_project(&s->bx, &s->by, b, s->ra, s->dec);
    set_depths(s, sky, b);
    snprintf(s->brickname, sizeof s->brickname, "%s", b->name);
}

static void set_photoz(MockSource *s, double z, double error)
{
    s->z_phot = z;
    s->z_phot_std = z < 0 ? z : error;
    s->z_phot_low = z < 0 ? z : z - error;
    s->z_phot_high = z < 0 ? z : z + error;
}

static void make_galaxy(MockSource *s, const MockSky *sky, const Brick *b, const MockObject *o)
{
    Rng r = rng_stream(sky->seed, "mock.photoz", o->number, 0);
    *s = (MockSource){.objid = o->objid, .ra = o->ra, .dec = o->dec, .sersic = o->sersic, .radius = o->radius};
    fill_common(s, sky, b);
    s->flux[0] = o->flux[0];
    s->flux[1] = o->flux[1];
    s->flux[2] = 0.5 * (o->flux[1] + o->flux[2]);
    s->flux[3] = o->flux[2];
    set_photoz(s, fabs(o->z + 0.02 * rng_normal(&r)), 0.02 * (1 + o->z));
    snprintf(s->type, sizeof s->type, "%s", o->sersic > 2 ? "DEV" : "EXP");
}

/* A source of the catalogues alone: anywhere in the brick, the secondary one just outside. */
static void make_other(MockSource *s, const MockSky *sky, const Brick *b, MockOther kind, int64_t objid)
{
    static const struct {
        const char *type;
        double z_mag;
        int64_t maskbits;
    } looks[N_MOCK_OTHERS] = {
        [MOCK_STAR] = {"PSF", 17.5, 0},          [MOCK_FAINT] = {"REX", 22.3, 0},
        [MOCK_BORDER] = {"REX", 20.5, 0},        [MOCK_BRIGHT] = {"EXP", 18.6, BIT_BRIGHT},
        [MOCK_UNSEEN] = {"DEV", 18.8, 0},        [MOCK_HOST] = {"SER", 18.2, BIT_GALAXY},
        [MOCK_DUPLICATE] = {"DUP", INFINITY, 0}, [MOCK_SECONDARY] = {"EXP", 18.4, 0},
    };
    Rng r = rng_stream(sky->seed, "mock.sources", b->id, (uint32_t)kind);
    double u = 0.02 + 0.96 * rng_uniform(&r), v = 0.02 + 0.96 * rng_uniform(&r);
    *s = (MockSource){.objid = objid, .ra = b->ra1 + u * (b->ra2 - b->ra1), .dec = b->dec1 + v * (b->dec2 - b->dec1)};
    if (kind == MOCK_SECONDARY) s->dec = b->dec2 + 5.0 / 3600;
    fill_common(s, sky, b);
    s->other = kind;
    s->maskbits = looks[kind].maskbits;
    if (kind == MOCK_HOST && sky->release >= RELEASE_DR10) s->maskbits |= BIT_SUB_BLOB;
    if (kind == MOCK_UNSEEN) s->nobs[0] = 0;
    s->primary = kind != MOCK_SECONDARY;
    s->in_sweep = kind != MOCK_SECONDARY && kind != MOCK_DUPLICATE;
    s->sersic = kind == MOCK_HOST ? 2.5 : 0;
    s->radius = kind == MOCK_STAR ? 0 : 1;
    for (int k = 0; k < 4; k++) s->flux[k] = flux_of(looks[kind].z_mag + 0.4 * (3 - k));
    set_photoz(s, kind == MOCK_STAR || kind == MOCK_FAINT ? -99 : 0.3, 0.05);
    snprintf(s->type, sizeof s->type, "%s", looks[kind].type);
}

void mock_other_sources(MockSource out[N_MOCK_OTHERS], const MockSky *sky, const Brick *brick, int64_t n_objects)
{
    for (int other = 0; other < N_MOCK_OTHERS; other++)
        make_other(&out[other], sky, brick, (MockOther)other, n_objects + other);
}

Status mock_sources(MockSource **out, int64_t *n, const MockSky *sky, const Brick *brick, const MockObject *object,
                    int64_t n_objects, Arena *a)
{
    int64_t k = 0;
    TRY(arena_new(out, a, n_objects + N_MOCK_OTHERS));
    for (int64_t i = 0; i < n_objects; i++)
        if (object[i].defect != MOCK_SKY) make_galaxy(&(*out)[k++], sky, brick, &object[i]);
    mock_other_sources(*out + k, sky, brick, n_objects);
    *n = k + N_MOCK_OTHERS;
    return OK;
}

/* ---- columns ---- */

#define S MockSource
static const MockColumn id_columns[] = {
    MOCK_WHOLE(S, "release", "I", release),
    MOCK_WHOLE(S, "brickid", "J", brickid),
    MOCK_WHOLE(S, "objid", "J", objid),
    MOCK_END,
};
static const MockColumn narrow_mask[] = {MOCK_WHOLE(S, "maskbits", "I", maskbits), MOCK_END};
static const MockColumn wide_mask[] = {MOCK_WHOLE(S, "maskbits", "J", maskbits), MOCK_END};
static const MockColumn place_columns[] = {
    MOCK_REAL(S, "ra", "D", "deg", ra),
    MOCK_REAL(S, "dec", "D", "deg", dec),
    MOCK_END,
};
static const MockColumn brick_columns_of[] = {
    MOCK_REAL(S, "bx", "E", "pix", bx),
    MOCK_REAL(S, "by", "E", "pix", by),
    MOCK_BOOL(S, "brick_primary", primary),
    MOCK_END,
};
static const MockColumn light_columns[] = {
    MOCK_REAL(S, "ebv", "E", "mag", ebv),
    MOCK_REAL(S, "flux_g", "E", "nanomaggy", flux[0]),
    MOCK_REAL(S, "flux_r", "E", "nanomaggy", flux[1]),
    MOCK_REAL(S, "flux_z", "E", "nanomaggy", flux[3]),
    MOCK_REAL(S, "mw_transmission_g", "E", "", transmission[0]),
    MOCK_REAL(S, "mw_transmission_r", "E", "", transmission[1]),
    MOCK_REAL(S, "mw_transmission_z", "E", "", transmission[3]),
    MOCK_WHOLE(S, "nobs_g", "I", nobs[0]),
    MOCK_WHOLE(S, "nobs_r", "I", nobs[1]),
    MOCK_WHOLE(S, "nobs_z", "I", nobs[3]),
    MOCK_REAL(S, "psfsize_g", "E", "arcsec", psfsize[0]),
    MOCK_REAL(S, "psfsize_r", "E", "arcsec", psfsize[1]),
    MOCK_REAL(S, "psfsize_z", "E", "arcsec", psfsize[3]),
    MOCK_REAL(S, "psfdepth_g", "E", "nanomaggy^-2", psfdepth[0]),
    MOCK_REAL(S, "psfdepth_r", "E", "nanomaggy^-2", psfdepth[1]),
    MOCK_REAL(S, "psfdepth_z", "E", "nanomaggy^-2", psfdepth[3]),
    MOCK_REAL(S, "galdepth_g", "E", "nanomaggy^-2", galdepth[0]),
    MOCK_REAL(S, "galdepth_r", "E", "nanomaggy^-2", galdepth[1]),
    MOCK_REAL(S, "galdepth_z", "E", "nanomaggy^-2", galdepth[3]),
    MOCK_REAL(S, "sersic", "E", "", sersic),
    MOCK_REAL(S, "shape_r", "E", "arcsec", radius),
    MOCK_TEXT(S, "brickname", "8A", brickname),
    MOCK_TEXT(S, "type", "3A", type),
    MOCK_END,
};
static const MockColumn i_columns[] = {
    MOCK_REAL(S, "flux_i", "E", "nanomaggy", flux[2]),
    MOCK_REAL(S, "mw_transmission_i", "E", "", transmission[2]),
    MOCK_WHOLE(S, "nobs_i", "I", nobs[2]),
    MOCK_REAL(S, "psfsize_i", "E", "arcsec", psfsize[2]),
    MOCK_REAL(S, "psfdepth_i", "E", "nanomaggy^-2", psfdepth[2]),
    MOCK_REAL(S, "galdepth_i", "E", "nanomaggy^-2", galdepth[2]),
    MOCK_END,
};
static const MockColumn photoz_columns[] = {
    MOCK_WHOLE(S, "RELEASE", "I", release),
    MOCK_WHOLE(S, "BRICKID", "J", brickid),
    MOCK_WHOLE(S, "OBJID", "J", objid),
    MOCK_REAL(S, "Z_PHOT_MEAN", "E", "", z_phot),
    MOCK_REAL(S, "Z_PHOT_MEDIAN", "E", "", z_phot),
    MOCK_REAL(S, "Z_PHOT_STD", "E", "", z_phot_std),
    MOCK_REAL(S, "Z_PHOT_L68", "E", "", z_phot_low),
    MOCK_REAL(S, "Z_PHOT_U68", "E", "", z_phot_high),
    MOCK_END,
};
static const MockColumn photoz_i_columns[] = {
    MOCK_REAL(S, "Z_PHOT_MEAN_I", "E", "", z_phot),
    MOCK_REAL(S, "Z_PHOT_MEDIAN_I", "E", "", z_phot),
    MOCK_REAL(S, "Z_PHOT_STD_I", "E", "", z_phot_std),
    MOCK_END,
};
#undef S

/* Sweeps write in capitals what Tractor writes in small letters. */
static void capitals(MockColumn *out, char (*names)[24], const MockColumn *list, int room)
{
    for (int i = 0; i < room; i++) {
        out[i] = list[i];
        if (!list[i].column.name) return;
        snprintf(names[i], sizeof names[i], "%s", list[i].column.name);
        for (char *c = names[i]; *c; c++)
            if (*c >= 'a' && *c <= 'z') *c = (char)(*c - 'a' + 'A');
        out[i].column.name = names[i];
    }
}

/* ---- files ---- */

static const MockColumn *mask_of(const MockSky *sky) { return sky->release >= RELEASE_DR10 ? wide_mask : narrow_mask; }
static const MockColumn *i_of(const MockSky *sky) { return sky->release >= RELEASE_DR10 ? i_columns : NULL; }

static Status write_table(const char *path, const char *extname, const MockColumn *const *lists,
                          const MockSource *source, int64_t n, Arena *a)
{
    Status st = OK;
    FitsFile f = {0};
    TRY_DONE(mock_begin(&f, path));
    TRY_DONE(mock_write_table(&f, extname, lists, source, sizeof *source, n, a));
    TRY_DONE(mock_end(&f, path));
done:
    fitsfile_close(&f);
    return st;
}

Status mock_write_tractor(const MockSky *sky, const LegacyConfig *legacy, const Brick *b, const MockSource *source,
                          int64_t n, Arena *a)
{
    const MockColumn *const lists[] = {id_columns,    mask_of(sky), place_columns, brick_columns_of,
                                       light_columns, i_of(sky),    NULL};
    char path[FITS_PATH];
    snprintf(path, sizeof path, "%.300s/%.100s/%.20s/tractor/%.3s/tractor-%s.fits", legacy->root, legacy->release,
             legacy->regions.item[0], b->name, b->name);
    return write_table(path, "CATALOG", lists, source, n, a);
}

static bool inside(const MockSweep *box, double ra, double dec)
{
    ra = fmod(ra + 360, 360);
    return ra >= box->ra && ra < box->ra + 10 && dec >= box->dec && dec < box->dec + 5;
}

/* Does any of the brick lie in the box? The secondary source lies a little above it. */
static bool touches(const MockSweep *box, const Brick *b)
{
    const double above = b->dec2 + 6.0 / 3600;
    return inside(box, b->ra1, b->dec1) || inside(box, b->ra2, b->dec1) || inside(box, b->ra1, above) ||
           inside(box, b->ra2, above);
}

/* Sources of the bricks in the box; bricks whose files are lost are in it all the same. */
static Status sources_in(MockSource **out, int64_t *n, const MockSky *sky, const MockSweep *box, Arena *a)
{
    Brick b;
    int64_t room = 0;
    *n = 0;
    for (int64_t i = 0; i < sky->n_bricks; i++) {
        mock_brick(&b, sky, i);
        if (touches(box, &b)) room += mock_brick_objects(sky, i) + N_MOCK_OTHERS;
    }
    TRY(arena_new(out, a, room));
    for (int64_t i = 0; i < sky->n_bricks; i++) {
        MockObject *object;
        MockSource *some;
        int64_t n_objects, n_some;
        mock_brick(&b, sky, i);
        if (!touches(box, &b)) continue;
        Mark mark = arena_mark(a);
        TRY(mock_objects(&object, &n_objects, sky, i, i + 1, a));
        TRY(mock_sources(&some, &n_some, sky, &b, object, n_objects, a));
        for (int64_t k = 0; k < n_some; k++)
            if (inside(box, some[k].ra, some[k].dec) && some[k].in_sweep) (*out)[(*n)++] = some[k];
        arena_reset(a, mark);
    }
    return OK;
}

static void sweep_path(char path[FITS_PATH], const MockSky *sky, const LegacyConfig *legacy, const MockSweep *s,
                       bool photoz)
{
    const char *folder = sky->release >= RELEASE_DR10  ? photoz ? "10.1-photo-z" : "10.1"
                         : sky->release >= RELEASE_DR9 ? photoz ? "9.1-photo-z" : "9.0"
                         : photoz                      ? "8.0-photo-z"
                                                       : "8.0";
    int high = s->dec + 5;
    snprintf(path, FITS_PATH, "%.300s/%.100s/%.20s/sweep/%s/sweep-%03d%c%03d-%03d%c%03d%s.fits", legacy->root,
             legacy->release, legacy->regions.item[0], folder, s->ra, s->dec < 0 ? 'm' : 'p',
             s->dec < 0 ? -s->dec : s->dec, s->ra + 10, high < 0 ? 'm' : 'p', high < 0 ? -high : high,
             photoz ? "-pz" : "");
}

Status mock_write_sweep(const MockSky *sky, const LegacyConfig *legacy, int64_t sweep, Arena *a)
{
    enum { LISTS = 5, ROOM = 32 };
    Status st = OK;
    const MockSweep *s = &sky->sweep[sweep];
    const MockColumn *const small[] = {id_columns, mask_of(sky), place_columns, light_columns, i_of(sky)};
    const MockColumn *const photoz[] = {photoz_columns, i_of(sky) ? photoz_i_columns : NULL, NULL};
    const MockColumn *lists[LISTS + 1] = {NULL};
    MockColumn(*column)[ROOM];
    char(*name)[ROOM][24], path[FITS_PATH];
    MockSource *source;
    int64_t n;
    Mark mark = arena_mark(a);
    TRY_DONE(arena_new(&column, a, LISTS));
    TRY_DONE(arena_new(&name, a, LISTS));
    for (int l = 0; l < LISTS && small[l]; l++) {
        capitals(column[l], name[l], small[l], ROOM);
        lists[l] = column[l];
    }
    TRY_DONE(sources_in(&source, &n, sky, s, a));
    if (n == 0) goto done; /* a box that only the rim of a brick touches */
    sweep_path(path, sky, legacy, s, false);
    TRY_DONE(write_table(path, "SWEEP", lists, source, n, a));
    sweep_path(path, sky, legacy, s, true);
    TRY_DONE(write_table(path, "PHOTO-Z", photoz, source, n, a));
done:
    arena_reset(a, mark);
    return st;
}
