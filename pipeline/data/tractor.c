/* tractor.c - photometry catalogues of the Legacy Surveys: the columns that tractor-BRICK.fits and sweep-*.fits share,
   in capitals or not (formats.md B11); tractor files as a whole.

   A tractor file is read in two passes: the first counts the rows that stay, so that memory is taken for these alone. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "data/healpix.h"
#include "data/legacy.h"

enum { CHUNK = 4096, MAX_PICKS = 24 };

/* ---- columns ---- */

typedef struct {
    FitsPick pick[MAX_PICKS];
    int n;
    int64_t n_rows;
    Arena *arena;
} Picks;

/* One more column: its memory, and what is to be read into it. `out` is a pointer to the array's pointer. */
static Status add(Picks *p, void *out, const char *name, FitsType type, size_t bytes, bool optional)
{
    void **array = out;
    MUST(p->n < MAX_PICKS);
    TRY(arena_take(array, p->arena, p->n_rows, bytes));
    p->pick[p->n++] = (FitsPick){name, type, *array, bytes, optional, false};
    return OK;
}

static bool has(const Picks *p, const char *name)
{
    for (int k = 0; k < p->n; k++)
        if (strcmp(p->pick[k].name, name) == 0) return p->pick[k].there;
    return false;
}

/* Which rows stay: not DUP, and primary: sweeps hold only those and lack the column. */
static Status add_kept(Picks *p, LegacyColumns *c)
{
    TRY(add(p, &c->type, "TYPE", FITS_TEXT, LEGACY_TYPE, false));
    TRY(add(p, &c->primary, "BRICK_PRIMARY", FITS_BOOL, 1, true));
    memset(c->primary, 1, (size_t)p->n_rows);
    return OK;
}

static void drop_dup(LegacyColumns *c, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (strcmp(c->type + i * LEGACY_TYPE, "DUP") == 0) c->primary[i] = 0;
}

static Status add_identifiers(Picks *p, LegacyColumns *c)
{
    TRY(add(p, &c->release, "RELEASE", FITS_I16, sizeof *c->release, true));
    TRY(add(p, &c->brickid, "BRICKID", FITS_I32, sizeof *c->brickid, false));
    TRY(add(p, &c->objid, "OBJID", FITS_I32, sizeof *c->objid, false));
    TRY(add(p, &c->brickname, "BRICKNAME", FITS_TEXT, BRICK_NAME, true));
    TRY(add(p, &c->photsys, "PHOTSYS", FITS_TEXT, LEGACY_PHOTSYS, true));
    TRY(add(p, &c->ra, "RA", FITS_F64, sizeof *c->ra, false));
    return add(p, &c->dec, "DEC", FITS_F64, sizeof *c->dec, false);
}

static Status add_measurements(Picks *p, LegacyColumns *c)
{
    static const char *const flux[N_BANDS] = {"FLUX_G", "FLUX_R", "FLUX_Z"}, *const nobs[N_BANDS] = {"NOBS_G", "NOBS_R",
                                                                                                     "NOBS_Z"};
    for (int b = 0; b < N_BANDS; b++) TRY(add(p, &c->flux[b], flux[b], FITS_F32, sizeof **c->flux, true));
    for (int b = 0; b < N_BANDS; b++) TRY(add(p, &c->nobs[b], nobs[b], FITS_F32, sizeof **c->nobs, true));
    TRY(add(p, &c->ebv, "EBV", FITS_F32, sizeof *c->ebv, true));
    return add(p, &c->transmission_z, "MW_TRANSMISSION_Z", FITS_F32, sizeof *c->transmission_z, true);
}

/* MASKBITS and NOBS are integers, but reals where somebody has joined tables and had no value for some rows. */
static Status add_maskbits(Picks *p, LegacyColumns *c, double **bits)
{
    TRY(arena_new(&c->maskbits, p->arena, p->n_rows));
    return add(p, bits, "MASKBITS", FITS_F64, sizeof **bits, true);
}

static void convert_maskbits(LegacyColumns *c, const double *bits, int64_t n)
{
    for (int64_t i = 0; i < n; i++) c->maskbits[i] = bits[i] >= 0 && bits[i] <= INT32_MAX ? (int32_t)bits[i] : 0;
}

Status legacy_read_columns(LegacyColumns *c, FitsFile *f, int64_t first, int64_t n, Arena *a)
{
    Picks p = {.n_rows = n, .arena = a};
    double *bits;
    TRY(add_kept(&p, c));
    TRY(add_identifiers(&p, c));
    TRY(add_measurements(&p, c));
    TRY(add_maskbits(&p, c, &bits));
    TRY(fitsfile_read_picks(p.pick, p.n, f, first, n, a));
    drop_dup(c, n);
    convert_maskbits(c, bits, n);
    for (int k = 0; k < p.n; k++)
        for (int64_t i = 0; i < n && !p.pick[k].there && p.pick[k].type == FITS_F32; i++)
            ((float *)p.pick[k].out)[i] = NAN;
    c->has_flux_z = has(&p, "FLUX_Z");
    c->has_nobs = has(&p, "NOBS_G") && has(&p, "NOBS_R") && has(&p, "NOBS_Z");
    c->has_maskbits = has(&p, "MASKBITS");
    c->has_transmission = has(&p, "MW_TRANSMISSION_Z");
    return OK;
}

/* ---- rows ---- */

char legacy_photsys(int64_t release, const char *path)
{
    if (release == 9011 || release == 8001) return 'N';
    if (release >= 8000) return 'S';
    if (strstr(path, "north/")) return 'N';
    return strstr(path, "south/") ? 'S' : '\0';
}

void legacy_fill_row(CatalogRow *row, const LegacyColumns *c, int64_t i, int64_t source_row, const char *path)
{
    catalog_new_row(row);
    row->targetid = brick_targetid(c->release[i], c->brickid[i], c->objid[i]);
    row->release = c->release[i];
    row->brickid = c->brickid[i];
    row->brick_objid = c->objid[i];
    memcpy(row->brickname, c->brickname + i * BRICK_NAME, sizeof row->brickname);
    memcpy(row->morphtype, c->type + i * LEGACY_TYPE, sizeof row->morphtype - 1); /* COMP of DR8 is cut, as in DESI */
    row->maskbits = c->maskbits[i];
    row->ra = c->ra[i];
    row->dec = c->dec[i];
    row->healpix = healpix_pixel(row->ra, row->dec);
    for (int b = 0; b < N_BANDS; b++) row->flux[b] = c->flux[b][i];
    row->ebv = c->ebv[i];
    char photsys = c->photsys[i * LEGACY_PHOTSYS];
    row->photsys = photsys ? photsys : legacy_photsys(c->release[i], path);
    row->has_image = 1;
    row->match = MATCH_ID;
    row->source_row = source_row;
}

/* ---- tractor files ---- */

static int64_t chunk_size(int64_t first, int64_t n) { return n - first < CHUNK ? n - first : CHUNK; }

static Status count_kept(int64_t *n_kept, FitsFile *f, int64_t n, Arena *a)
{
    *n_kept = 0;
    for (int64_t first = 0; first < n; first += CHUNK) {
        Mark mark = arena_mark(a);
        LegacyColumns c = {0};
        Picks p = {.n_rows = chunk_size(first, n), .arena = a};
        TRY(add_kept(&p, &c));
        TRY(fitsfile_read_picks(p.pick, p.n, f, first, p.n_rows, a));
        drop_dup(&c, p.n_rows);
        for (int64_t i = 0; i < p.n_rows; i++) *n_kept += c.primary[i];
        arena_reset(a, mark);
    }
    return OK;
}

static Status read_rows(CatalogRow *rows, int64_t *n, int64_t n_kept, FitsFile *f, int64_t n_file, Arena *a)
{
    int64_t k = 0;
    for (int64_t first = 0; first < n_file; first += CHUNK) {
        Mark mark = arena_mark(a);
        LegacyColumns c = {0};
        TRY(legacy_read_columns(&c, f, first, chunk_size(first, n_file), a));
        for (int64_t i = 0; i < chunk_size(first, n_file); i++)
            if (c.primary[i] && k < n_kept) legacy_fill_row(&rows[k++], &c, i, first + i, f->path);
        arena_reset(a, mark);
    }
    *n = k;
    return OK;
}

Status legacy_read_photometry(CatalogRow **rows, int64_t *n, int64_t *n_file, const void *config, const char *path,
                              Arena *a)
{
    Status st = OK;
    FitsFile f = {0};
    char full[2 * LEGACY_PATH];
    int64_t n_kept;
    survey_file(full, sizeof full, ((const LegacyConfig *)config)->root,
                path); /* an absent file is named by the open */
    TRY_DONE(fitsfile_open(&f, full));
    TRY_DONE(fitsfile_goto_number(&f, 1));
    TRY_DONE(fitsfile_rows(n_file, &f));
    TRY_DONE(count_kept(&n_kept, &f, *n_file, a));
    TRY_DONE(arena_new(rows, a, n_kept));
    TRY_DONE(read_rows(*rows, n, n_kept, &f, *n_file, a));
done:
    fitsfile_close(&f);
    return st;
}
