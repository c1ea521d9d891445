/* mock_spectra.c - DESI's files of spectra and redshifts of the mock sky: coadd, spectra by exposure, redrock and its
   companions (formats.md B2, B5).

   A coadd is what it is by itself; its exposures are made from it, so that their weighted mean (the legacy coadd of B4)
   is the coadd again, to the rounding of float32. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/rng.h"
#include "data/mock_render.h"
#include "data/mock_table.h"

enum { N_DIAGONALS = 11, MASK_COSMIC = 1 << 2, MOST_EXPOSURES = 8 };

static const struct {
    const char *band;
    int64_t n, start;
    double
        blur; /* sigma of the line spread, Angstrom: resolution 2000 to 5000 over the arms, Guy et al. 2023 (AJ 165, 144) */
} arms[N_ARMS] = {{"B", 2751, 0, 0.76}, {"R", 2326, GRID_R_START, 0.72}, {"Z", 2881, GRID_Z_START, 0.76}};

typedef struct {
    float *flux, *ivar; /* (n) of one row and arm */
    uint32_t *mask;
} Seen;

/* ---- spectra ---- */

/* Share of a galaxy's light in the fibre: a growth curve that holds half of it within the half-light radius, widened by
   a seeing of 1.1 arcsec. */
double mock_fibre_share(const MockObject *o)
{
    const double fibre = 0.75, seeing = 0.62; /* arcsec: radius of the fibre, half-light radius of a star */
    double round = o->radius * sqrt(o->axis_ratio), radius = hypot(round, seeing);
    return 1 - pow(2, -pow(fibre / radius, 1.3));
}

/* Pixels until the next cosmic ray: one in 700 is hit. */
static int64_t next_hit(Rng *r) { return (int64_t)(log(1 - rng_uniform(r)) / log(1 - 1.0 / 700)); }

/* A cosmic ray over one to three pixels: masked, and only half the time ivar says so. */
static void hit_pixels(Seen s, int64_t n, Rng *r)
{
    for (int64_t i = next_hit(r); i < n; i += 1 + next_hit(r)) {
        const int64_t end = i + 1 + rng_below(r, 3);
        for (; i < end && i < n; i++) {
            s.mask[i] |= MASK_COSMIC;
            s.flux[i] += (float)(30 * rng_uniform(r));
            if (rng_uniform(r) < 0.5) s.ivar[i] = 0;
        }
    }
}

/* What all fibres of an arm have in common: the noise of the sky alone; the levels of mock_noise. */
typedef struct {
    double *night;
    float *level;
} Common;

/* What the fibre saw: flux, ivar and mask of one arm of one object. The flux calibration gives back what a star loses, a
   share that differs by a few percent from fibre to fibre. */
static void observe(Seen s, const double *truth, const Common *c, int arm, const MockObject *o, uint64_t seed)
{
    const int64_t n = arms[arm].n;
    const bool empty = o->defect == MOCK_SKY || o->targetid < 0;
    const Rng noise = rng_stream(seed, "mock.noise", o->number, (uint32_t)arm);
    Rng fibre = rng_stream(seed, "mock.fibre", o->number, 0),
        r = rng_stream(seed, "mock.cosmics", o->number, (uint32_t)arm);
    const double share = empty ? 0 : mock_fibre_share(o) * pow(10, 0.03 * rng_normal(&fibre));
    const double depth = pow(10, 0.06 * rng_normal(&fibre)); /* transparency and time of the exposures */
    mock_noise(s.flux, n, 0, &noise, c->level);
    for (int64_t i = 0; i < n; i++) {
        const double seen = share * truth[i], sky = depth * c->night[i], variance = sky * sky + 0.02 * fabs(seen);
        s.flux[i] = (float)(seen + sqrt(variance) * (double)s.flux[i]);
        s.ivar[i] = (float)(1 / variance);
        s.mask[i] = o->defect == MOCK_HALF_MASKED && arm == 1 ? 1u << 10 : 0;
    }
    hit_pixels(s, n, &r);
    for (int64_t i = 0; o->defect == MOCK_DEAD_FIBRE && i < n; i++) s.ivar[i] = 0;
}

/* One pixel of exposure e, whose share of the weight is share[e] (0 = a bad fibre). The deviations of the exposures
   have the weighted mean 0; what hits one exposure alone is masked there, and the others hold its weight. */
static void expose_pixel(Seen s, int64_t i, int64_t e, const double *share, int64_t n, Rng *r)
{
    double deviation[MOST_EXPOSURES], sum = 0, total = 0;
    int64_t hit = rng_uniform(r) < 0.01 ? rng_below(r, n) : -1, good = 0;
    for (int64_t k = 0; k < n; k++) good += share[k] > 0;
    if (good < 2 || s.mask[i] || (hit >= 0 && share[hit] == 0)) hit = -1;
    double sigma = s.ivar[i] > 0 ? 1 / sqrt((double)s.ivar[i]) : 0;
    for (int64_t k = 0; k < n; k++) {
        deviation[k] = share[k] > 0 ? sigma * rng_normal(r) / sqrt(share[k]) : 0;
        if (k == hit) continue;
        sum += share[k] * deviation[k];
        total += share[k];
    }
    if (share[e] == 0) { /* a fibre that missed its target */
        s.flux[i] = 100;
        s.ivar[i] = 10;
    } else if (e == hit) {
        s.mask[i] = MASK_COSMIC;
        s.flux[i] += 40;
        s.ivar[i] = (float)(share[e] * s.ivar[i]);
    } else {
        s.flux[i] = (float)(s.flux[i] + deviation[e] - sum / total);
        s.ivar[i] = (float)(share[e] / total * s.ivar[i]);
    }
}

/* Turns a row of a coadd into one of its exposures. */
static void expose(Seen s, const MockSky *sky, const MockRecord *row, int arm)
{
    double share[MOST_EXPOSURES] = {0}, sum = 0;
    int64_t n = sky->exposures;
    for (int64_t k = 0; k < n; k++) {
        bool good = mock_fiberstatus(row->object, k, n) == 0;
        share[k] = good || row->object->defect == MOCK_BROKEN_FIBRE ? 1 + 0.5 * (double)k : 0;
        sum += share[k];
    }
    for (int64_t k = 0; k < n; k++) share[k] /= sum;
    Rng r = rng_stream(sky->seed, "mock.exposures", row->object->number, (uint32_t)arm);
    for (int64_t i = 0; i < arms[arm].n; i++) expose_pixel(s, i, row->exposure, share, n, &r);
}

static Status write_plane(FitsFile *f, int arm, const char *part, const char *unit, const float *pixels, int64_t rows)
{
    char name[16];
    const int64_t dims[2] = {rows, arms[arm].n};
    snprintf(name, sizeof name, "%s_%s", arms[arm].band, part);
    TRY(fitsfile_new_image(f, name, FITS_F32, false, dims, 2, FITS_PLAIN));
    TRY(fitsfile_put_text(f, "BUNIT", unit, ""));
    TRY(fitsfile_write_pixels(f, FITS_F32, pixels, rows * arms[arm].n));
    return fitsfile_put_checksum(f);
}

/* The same for all rows, some of them at a time. */
static Status write_resolution(FitsFile *f, int arm, int64_t rows, Arena *a)
{
    enum { AT_ONCE = 16 };
    char name[16];
    const int64_t n = arms[arm].n, each = N_DIAGONALS * n;
    const int64_t cube[3] = {rows, N_DIAGONALS, n};
    float *resolution;
    TRY(arena_new(&resolution, a, AT_ONCE * each));
    for (int64_t d = 0; d < AT_ONCE * N_DIAGONALS; d++) {
        double pixels = arms[arm].blur / GRID_STEP, t = (double)(d % N_DIAGONALS - N_DIAGONALS / 2) / pixels;
        float weight = (float)(exp(-0.5 * t * t) / (pixels * sqrt(2 * M_PI)));
        for (int64_t i = 0; i < n; i++) resolution[d * n + i] = weight;
    }
    snprintf(name, sizeof name, "%s_RESOLUTION", arms[arm].band);
    TRY(fitsfile_new_image(f, name, FITS_F32, false, cube, 3, FITS_PLAIN));
    for (int64_t at = 0; at < rows; at += AT_ONCE) {
        const int64_t here = rows - at < AT_ONCE ? rows - at : AT_ONCE;
        TRY(fitsfile_write_slices(f, FITS_F32, resolution, at, here));
    }
    return fitsfile_put_checksum(f);
}

static Status write_arm(FitsFile *f, int arm, const MockSky *sky, const MockRecord *row, int64_t rows, Arena *a)
{
    char name[16];
    int64_t n = arms[arm].n;
    const int64_t dims[2] = {rows, n};
    double *wave, *truth;
    Common common;
    Seen all;
    TRY(arena_new(&wave, a, n));
    TRY(arena_new(&common.night, a, n));
    TRY(arena_new(&common.level, a, MOCK_LEVELS));
    TRY(arena_new(&truth, a, n));
    TRY(arena_new(&all.flux, a, rows * n));
    TRY(arena_new(&all.ivar, a, rows * n));
    TRY(arena_new(&all.mask, a, rows * n));
    for (int64_t i = 0; i < n; i++) wave[i] = GRID_START + GRID_STEP * (double)(arms[arm].start + i);
    mock_night(common.night, wave, n, arm);
    mock_levels(common.level);
    for (int64_t k = 0; k < rows; k++) {
        Seen s = {all.flux + k * n, all.ivar + k * n, all.mask + k * n};
        mock_spectrum(truth, wave, n, row[k].object, arms[arm].blur);
        observe(s, truth, &common, arm, row[k].object, sky->seed);
        if (row[k].exposure >= 0) expose(s, sky, &row[k], arm);
    }
    snprintf(name, sizeof name, "%s_WAVELENGTH", arms[arm].band);
    TRY(fitsfile_new_image(f, name, FITS_F64, false, &n, 1, FITS_PLAIN));
    TRY(fitsfile_put_text(f, "BUNIT", "Angstrom", ""));
    TRY(fitsfile_write_pixels(f, FITS_F64, wave, n));
    TRY(fitsfile_put_checksum(f));
    TRY(write_plane(f, arm, "FLUX", "10**-17 erg/(s cm2 Angstrom)", all.flux, rows));
    TRY(write_plane(f, arm, "IVAR", "10**+34 (s2 cm4 Angstrom2) / erg2", all.ivar, rows));
    snprintf(name, sizeof name, "%s_MASK", arms[arm].band);
    TRY(fitsfile_new_image(f, name, FITS_I32, true, dims, 2, FITS_PLAIN));
    TRY(fitsfile_write_mask(f, all.mask, rows * n));
    TRY(fitsfile_put_checksum(f));
    return write_resolution(f, arm, rows, a);
}

/* ---- files ---- */

static Status put_group(FitsFile *f, const MockSky *sky, const MockRecord *row)
{
    const MockGroup *g = &row->group;
    TRY(fitsfile_goto_number(f, 0));
    TRY(fitsfile_put_text(f, "SPGRP", g->tileid ? "cumulative" : "healpix", ""));
    TRY(fitsfile_put_i64(f, "SPGRPVAL", row->group_value, ""));
    if (g->tileid) {
        TRY(fitsfile_put_i64(f, "TILEID", g->tileid, ""));
        TRY(fitsfile_put_i64(f, "NIGHT", g->night, ""));
        TRY(fitsfile_put_i64(f, "PETAL", g->petal, ""));
    } else {
        TRY(fitsfile_put_i64(f, "HPXPIXEL", row->group_value, ""));
        TRY(fitsfile_put_i64(f, "HPXNSIDE", g->uniqpix ? row->nside : 64, ""));
        TRY(fitsfile_put_bool(f, "HPXNEST", true, ""));
    }
    if (g->uniqpix) TRY(fitsfile_put_i64(f, "UNIQPIX", g->uniqpix, ""));
    TRY(fitsfile_put_text(f, "SURVEY", sky->survey, ""));
    return fitsfile_put_text(f, "PROGRAM", g->program, "");
}

static Status fill_spectra(FitsFile *f, const MockSky *sky, const MockRecord *row, int64_t n, Arena *a)
{
    const MockColumn *when = row->exposure >= 0 ? mock_exposure_columns : mock_status_columns;
    const MockColumn *const lists[] = {
        mock_id_columns,      when, mock_tile_columns, mock_position_columns, mock_imaging_columns,
        mock_targets_of(sky), NULL};
    const MockColumn *const summed[] = {mock_id_columns,
                                        when,
                                        mock_position_columns,
                                        mock_imaging_columns,
                                        mock_coadd_columns,
                                        mock_targets_of(sky),
                                        row->group.tileid ? mock_tile_columns : NULL,
                                        NULL};
    TRY(put_group(f, sky, row));
    TRY(mock_write_table(f, "FIBERMAP", row->exposure >= 0 ? lists : summed, row, sizeof *row, n, a));
    for (int arm = 0; arm < N_ARMS; arm++) {
        Mark mark = arena_mark(a);
        TRY(write_arm(f, arm, sky, row, n, a));
        arena_reset(a, mark);
    }
    return OK;
}

/* What a coadd was made of. */
static Status add_exposures(FitsFile *f, const MockRecord *row, int64_t n, Arena *a)
{
    static const MockColumn *const lists[] = {mock_id_columns, mock_exposure_columns, mock_tile_columns, NULL};
    return mock_write_table(f, "EXP_FIBERMAP", lists, row, sizeof *row, n, a);
}

static Status fill_redrock(FitsFile *f, const MockSky *sky, const MockRecord *row, int64_t n, Arena *a)
{
    static const MockColumn *const redshifts[] = {mock_id_columns, mock_redshift_columns, NULL};
    static const MockColumn *const depths[] = {mock_id_columns, mock_depth_columns, NULL};
    const MockColumn *const targets[] = {mock_id_columns,
                                         mock_status_columns,
                                         mock_position_columns,
                                         mock_imaging_columns,
                                         mock_coadd_columns,
                                         mock_targets_of(sky),
                                         row->group.tileid ? mock_tile_columns : NULL,
                                         NULL};
    TRY(put_group(f, sky, row));
    TRY(mock_write_table(f, "REDSHIFTS", redshifts, row, sizeof *row, n, a));
    TRY(mock_write_table(f, "FIBERMAP", targets, row, sizeof *row, n, a));
    return mock_write_table(f, "TSNR2", depths, row, sizeof *row, n, a);
}

#define R MockRecord
static const MockColumn emline_columns[] = {
    MOCK_WHOLE(R, "TARGETID", "K", targetid),
    MOCK_REAL(R, "Z", "D", "", z),
    MOCK_WHOLE(R, "ZWARN", "K", zwarn),
    MOCK_REAL(R, "OII_FLUX", "E", "10**-17 erg/(s cm2)", oii_flux),
    MOCK_REAL(R, "OII_FLUX_IVAR", "E", "10**+34 (s2 cm4) / erg2", oii_ivar),
    MOCK_END,
};
static const MockColumn mgii_columns[] = {
    MOCK_WHOLE(R, "TARGETID", "K", targetid),
    MOCK_REAL(R, "Z_RR", "D", "", z),
    MOCK_BOOL(R, "IS_QSO_MGII", is_mgii),
    MOCK_END,
};
static const MockColumn qn_columns[] = {
    MOCK_WHOLE(R, "TARGETID", "K", targetid),
    MOCK_REAL(R, "Z_NEW", "D", "", z),
    MOCK_REAL(R, "ZERR_NEW", "E", "", zerr),
    MOCK_BOOL(R, "IS_QSO_QN_NEW_RR", is_qn),
    MOCK_REAL(R, "C_LYA", "E", "", c_other),
    MOCK_REAL(R, "C_CIV", "E", "", c_other),
    MOCK_REAL(R, "C_CIII", "E", "", c_other),
    MOCK_REAL(R, "C_MgII", "E", "", c_line),
    MOCK_REAL(R, "C_Hbeta", "E", "", c_other),
    MOCK_REAL(R, "C_Halpha", "E", "", c_other),
    MOCK_END,
};
#undef R

/* Afterburners of redrock, row by row as it. */
static const struct {
    const char *kind, *extname;
    const MockColumn *columns;
} companions[] = {{"emline", "EMLINEFIT", emline_columns},
                  {"qso_mgii", "MGII", mgii_columns},
                  {"qso_qn", "QN_RR", qn_columns}};
enum { N_COMPANIONS = sizeof companions / sizeof *companions };

typedef struct {
    const MockSky *sky;
    const DesiConfig *desi;
    const MockGroup *group;
    const MockRecord *coadd, *exposure;
    int64_t n, n_exposures;
    Arena *arena;
} Files;

static Status fill_file(FitsFile *f, const Files *w, const char *kind)
{
    if (strcmp(kind, "spectra") == 0) return fill_spectra(f, w->sky, w->exposure, w->n_exposures, w->arena);
    if (strcmp(kind, "redrock") == 0) return fill_redrock(f, w->sky, w->coadd, w->n, w->arena);
    for (int i = 0; i < N_COMPANIONS; i++)
        if (strcmp(kind, companions[i].kind) == 0) {
            const MockColumn *const lists[] = {companions[i].columns, NULL};
            TRY(put_group(f, w->sky, w->coadd));
            return mock_write_table(f, companions[i].extname, lists, w->coadd, sizeof *w->coadd, w->n, w->arena);
        }
    TRY(fill_spectra(f, w->sky, w->coadd, w->n, w->arena));
    return w->n_exposures > 0 ? add_exposures(f, w->exposure, w->n_exposures, w->arena) : OK;
}

static Status write_file(const Files *w, const char *kind)
{
    Status st = OK;
    FitsFile f = {0};
    char path[FITS_PATH], plain[FITS_PATH];
    TRY(mock_group_path(path, w->sky, w->desi, w->group, kind));
    bool zip = strcmp(kind, "spectra") == 0;
    int length = snprintf(plain, sizeof plain, "%s%s", path, zip ? ".plain" : "");
    if (length >= (int)sizeof plain) return FAIL(E_CONFIG, "the path %.200s... is too long", path);
    Mark mark = arena_mark(w->arena);
    TRY_DONE(mock_begin(&f, plain));
    TRY_DONE(fill_file(&f, w, kind));
    TRY_DONE(mock_end(&f, plain));
    if (zip) TRY_DONE(mock_gzip(path));
done:
    fitsfile_close(&f);
    arena_reset(w->arena, mark);
    return st;
}

Status mock_write_group(const MockSky *sky, const DesiConfig *desi, int64_t group, Arena *a)
{
    Status st = OK;
    MockGroup g;
    MockObject *object;
    MockRecord *coadd = NULL, *exposure = NULL;
    int64_t n_objects;
    mock_group(&g, sky, group);
    if (g.missing) return OK; /* lost, as files are */
    Files w = {.sky = sky, .desi = desi, .group = &g, .arena = a};
    Mark mark = arena_mark(a);
    TRY_DONE(mock_group_objects(&object, &n_objects, sky, &g, a));
    if (n_objects == 0) goto done; /* a petal that nothing fell on */
    TRY_DONE(mock_records(&coadd, &w.n, sky, &g, g.program, 0, object, n_objects, a));
    if (sky->exposures > 0)
        TRY_DONE(mock_records(&exposure, &w.n_exposures, sky, &g, g.program, sky->exposures, object, n_objects, a));
    w.coadd = coadd;
    w.exposure = exposure;
    TRY_DONE(write_file(&w, "coadd"));
    if (sky->exposures > 0) TRY_DONE(write_file(&w, "spectra"));
    TRY_DONE(write_file(&w, "redrock"));
    for (int i = 0; i < N_COMPANIONS; i++) TRY_DONE(write_file(&w, companions[i].kind));
done:
    arena_reset(a, mark);
    return st;
}
