/* sweep_rows.c - the objects of a sweep: which rows are taken (LegacyObjects of legacy.h gives the order of the cuts),
   and their photometric redshifts. */
#include <math.h>
#include <string.h>

#include "data/legacy.h"

/* ---- the cuts ---- */

typedef struct {
    const LegacyObjects *objects;
    const LegacyColumns *columns;
    const char *path;   /* of the sweep */
    int32_t maskbits;   /* rejected */
    bool choose_region; /* both regions are read: objects that both have count once */
} Cuts;

/* Columns that the configured cuts need. */
static Status check_columns(const Cuts *k)
{
    const LegacyObjects *o = k->objects;
    const LegacyColumns *c = k->columns;
    const char *none = "release.images.objects";
    if (o->max_mag_z > 0 && !c->has_flux_z)
        return FAIL(E_INPUT, "%s: has no column FLUX_Z; %s.max_mag_z: 0 does without", k->path, none);
    if (o->max_mag_z > 0 && o->dereddened && !c->has_transmission)
        return FAIL(E_INPUT, "%s: has no column MW_TRANSMISSION_Z; %s.dereddened: false does without", k->path, none);
    if (o->min_exposures > 0 && !c->has_nobs)
        return FAIL(E_INPUT, "%s: lacks a column of NOBS_G, NOBS_R, NOBS_Z; %s.min_exposures: 0 does without", k->path,
                    none);
    if (k->maskbits && !c->has_maskbits)
        return FAIL(E_INPUT, "%s: has no column MASKBITS; %s.maskbits: [] does without", k->path, none);
    return OK;
}

static bool is_object(const Cuts *k, int64_t i)
{
    const LegacyColumns *c = k->columns;
    if (!c->primary[i] || !brick_is_position(c->ra[i], c->dec[i])) return false;
    if (c->objid[i] < 0 || c->objid[i] >= 1 << 22 || c->brickid[i] < 0 || c->brickid[i] >= 1 << 20 || c->release[i] < 0)
        return false; /* has no TARGETID */
    if (!k->choose_region) return true;
    char photsys = c->photsys[i * LEGACY_PHOTSYS];
    if (!photsys) photsys = legacy_photsys(c->release[i], k->path);
    return !photsys || (photsys == 'N') == legacy_prefers_north(c->ra[i], c->dec[i]);
}

static bool type_is_dropped(const Cuts *k, int64_t i)
{
    for (int64_t t = 0; t < k->objects->drop_types.n; t++)
        if (strcmp(k->columns->type + i * LEGACY_TYPE, k->objects->drop_types.item[t]) == 0) return true;
    return false;
}

/* A flux that is not positive has no magnitude: too faint. */
static bool is_bright(const Cuts *k, int64_t i)
{
    if (!(k->objects->max_mag_z > 0)) return true;
    double flux = k->columns->flux[2][i];
    if (k->objects->dereddened) flux /= k->columns->transmission_z[i];
    return flux > 0 && 22.5 - 2.5 * log10(flux) < k->objects->max_mag_z;
}

static bool is_exposed(const Cuts *k, int64_t i)
{
    for (int b = 0; b < N_BANDS; b++)
        if (k->objects->min_exposures > 0 && !(k->columns->nobs[b][i] >= (float)k->objects->min_exposures))
            return false;
    return true;
}

static bool passes(Reject *reason, const Cuts *k, int64_t i)
{
    *reason = REJECT_NOT_AN_OBJECT;
    if (!is_object(k, i)) return false;
    *reason = REJECT_TYPE;
    if (type_is_dropped(k, i)) return false;
    *reason = REJECT_MAGNITUDE;
    if (!is_bright(k, i)) return false;
    *reason = REJECT_EXPOSURES;
    if (!is_exposed(k, i)) return false;
    *reason = REJECT_MASKBITS;
    return !(k->columns->maskbits[i] & k->maskbits);
}

/* ---- photometric redshifts ---- */

typedef struct {
    int16_t *release;
    int32_t *brickid, *objid;
    float *z, *z_std; /* NULL = there is no file */
} PhotoZ;

/* Rows of the file beside the sweep are rows of the sweep: held against the identifiers. */
static Status check_parallel(const PhotoZ *p, const LegacyColumns *c, const char *pz, const char *sweep, int64_t first,
                             int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (p->release[i] != c->release[i] || p->brickid[i] != c->brickid[i] || p->objid[i] != c->objid[i])
            return FAIL(E_INPUT,
                        "%s is not row by row the sweep %s: row %lld is (RELEASE, BRICKID, OBJID) = (%d, %d, %d) there "
                        "and (%d, %d, %d) in the sweep; get files of one version, or set "
                        "release.images.objects.photo_z: false",
                        pz, sweep, (long long)(first + i), p->release[i], p->brickid[i], p->objid[i], c->release[i],
                        c->brickid[i], c->objid[i]);
    return OK;
}

static Status read_photo_z(PhotoZ *p, FitsFile *f, int64_t first, int64_t n, Arena *a)
{
    TRY(arena_new(&p->release, a, n));
    TRY(arena_new(&p->brickid, a, n));
    TRY(arena_new(&p->objid, a, n));
    TRY(arena_new(&p->z, a, n));
    TRY(arena_new(&p->z_std, a, n));
    FitsPick pick[] = {{.name = "RELEASE", .type = FITS_I16, .out = p->release},
                       {.name = "BRICKID", .type = FITS_I32, .out = p->brickid},
                       {.name = "OBJID", .type = FITS_I32, .out = p->objid},
                       {.name = "Z_PHOT_MEAN", .type = FITS_F32, .out = p->z},
                       {.name = "Z_PHOT_STD", .type = FITS_F32, .out = p->z_std}};
    return fitsfile_read_picks(pick, sizeof pick / sizeof *pick, f, first, n, a);
}

static Status open_photo_z(PhotoZ *p, const LegacyConfig *config, const LegacyColumns *c, const FitsFile *sweep,
                           const char *path, int64_t n_sweep, int64_t first, int64_t n, Arena *a)
{
    Status st = OK;
    FitsFile f = {0};
    char pz[2 * LEGACY_PATH];
    int64_t n_file;
    *p = (PhotoZ){0};
    if (!config->objects.photo_z || !legacy_photo_z_file(pz, sizeof pz, config, path)) return OK;
    TRY_DONE(fitsfile_open(&f, pz));
    TRY_DONE(fitsfile_goto_number(&f, 1));
    TRY_DONE(fitsfile_rows(&n_file, &f));
    if (n_file != n_sweep)
        TRY_DONE(FAIL(E_INPUT,
                      "%s is not row by row the sweep %s: %lld rows there and %lld in the sweep; get files of one "
                      "version, or set release.images.objects.photo_z: false",
                      pz, sweep->path, (long long)n_file, (long long)n_sweep));
    TRY_DONE(read_photo_z(p, &f, first, n, a));
    TRY_DONE(check_parallel(p, c, pz, sweep->path, first, n));
done:
    fitsfile_close(&f);
    return st;
}

static float or_nan(float x) { return x > -90 ? x : NAN; } /* -99: no estimate */

/* ---- rows ---- */

/* The rows that pass, in order; z_phot stays NaN without a file. */
static int64_t take_rows(CatalogRow *rows, int64_t skipped[N_REJECTS], const Cuts *k, const PhotoZ *p, int64_t first,
                         int64_t n)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++) {
        Reject reason;
        if (!passes(&reason, k, i)) {
            skipped[reason]++;
            continue;
        }
        CatalogRow *row = &rows[kept++];
        legacy_fill_row(row, k->columns, i, first + i, k->path);
        if (!p->z) continue;
        row->z_phot = or_nan(p->z[i]);
        row->z_phot_std = isnan(row->z_phot) ? NAN : or_nan(p->z_std[i]);
    }
    return kept;
}

Status legacy_read_objects(CatalogRow *rows, int64_t *n_rows, int64_t skipped[N_REJECTS], const void *config,
                           const char *path, int64_t first, int64_t n, Arena *scratch)
{
    const LegacyConfig *c = config;
    Status st = OK;
    Mark mark = arena_mark(scratch);
    FitsFile f = {0};
    LegacyColumns columns = {0};
    PhotoZ photo_z;
    char full[2 * LEGACY_PATH];
    int64_t n_sweep;
    *n_rows = 0;
    survey_file(full, sizeof full, c->root, path); /* absent: named by the open */
    TRY_DONE(fitsfile_open(&f, full));
    TRY_DONE(fitsfile_goto_number(&f, 1));
    TRY_DONE(fitsfile_rows(&n_sweep, &f));
    TRY_DONE(legacy_read_columns(&columns, &f, first, n, scratch));
    Cuts cuts = {&c->objects, &columns, full, legacy_maskbits(&c->objects.maskbits),
                 legacy_has_region(c, "north") && legacy_has_region(c, "south")};
    TRY_DONE(check_columns(&cuts));
    TRY_DONE(open_photo_z(&photo_z, c, &columns, &f, path, n_sweep, first, n, scratch));
    *n_rows = take_rows(rows, skipped, &cuts, &photo_z, first, n);
done:
    fitsfile_close(&f);
    arena_reset(scratch, mark);
    return st;
}
