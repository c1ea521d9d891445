/* tractor.c - photometry catalogues of the Legacy Surveys: tractor-BRICK.fits and sweep-*.fits, columns in capitals
   or not (formats.md B11).

   Two passes: the first counts the rows that stay, so that a header which promises more rows than the file has fails
   before memory is taken. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "data/legacy.h"
#include "io/fitsfile.h"

enum { CHUNK = 512, TYPE_CELL = 8, PHOTSYS_CELL = 4 };

/* One chunk of the columns used: 40 kB, on the stack. */
typedef struct {
    char type[CHUNK][TYPE_CELL], photsys[CHUNK][PHOTSYS_CELL], brickname[CHUNK][BRICK_NAME];
    uint8_t primary[CHUNK];
    int16_t release[CHUNK];
    int32_t brickid[CHUNK], objid[CHUNK];
    double ra[CHUNK], dec[CHUNK];
    float flux[N_BANDS][CHUNK], ebv[CHUNK];
} Columns;

/* Which rows stay: not DUP (a second entry of a galaxy, without flux), and primary: sweeps hold only those and lack
   the column. */
static Status read_kept(Columns *c, FitsFile *f, int64_t first, int64_t n)
{
    memset(c->primary, 1, sizeof c->primary);
    TRY(fitsfile_read_text(c->type[0], TYPE_CELL, f, "TYPE", first, n));
    if (fitsfile_has_column(f, "BRICK_PRIMARY"))
        TRY(fitsfile_read_column(c->primary, f, "BRICK_PRIMARY", FITS_BOOL, first, n));
    for (int64_t i = 0; i < n; i++)
        if (strcmp(c->type[i], "DUP") == 0) c->primary[i] = 0;
    return OK;
}

/* A float column; NaN where the file has none, or one entry per band in a vector (before DR4). */
static Status read_float(float *out, FitsFile *f, const char *column, int64_t first, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = NAN;
    return fitsfile_has_column(f, column) ? fitsfile_read_column(out, f, column, FITS_F32, first, n) : OK;
}

static Status read_columns(Columns *c, FitsFile *f, int64_t first, int64_t n)
{
    static const char *const flux[N_BANDS] = {"FLUX_G", "FLUX_R", "FLUX_Z"};
    memset(c, 0, sizeof *c);
    TRY(read_kept(c, f, first, n));
    TRY(fitsfile_read_column(c->ra, f, "RA", FITS_F64, first, n));
    TRY(fitsfile_read_column(c->dec, f, "DEC", FITS_F64, first, n));
    TRY(fitsfile_read_column(c->brickid, f, "BRICKID", FITS_I32, first, n));
    TRY(fitsfile_read_column(c->objid, f, "OBJID", FITS_I32, first, n));
    if (fitsfile_has_column(f, "RELEASE")) TRY(fitsfile_read_column(c->release, f, "RELEASE", FITS_I16, first, n));
    if (fitsfile_has_column(f, "BRICKNAME"))
        TRY(fitsfile_read_text(c->brickname[0], BRICK_NAME, f, "BRICKNAME", first, n));
    if (fitsfile_has_column(f, "PHOTSYS")) TRY(fitsfile_read_text(c->photsys[0], PHOTSYS_CELL, f, "PHOTSYS", first, n));
    for (int b = 0; b < N_BANDS; b++) TRY(read_float(c->flux[b], f, flux[b], first, n));
    return read_float(c->ebv, f, "EBV", first, n);
}

char legacy_photsys(int64_t release, const char *path)
{
    if (release == 9011 || release == 8001) return 'N';
    if (release >= 8000) return 'S';
    if (strstr(path, "north/")) return 'N';
    return strstr(path, "south/") ? 'S' : '\0';
}

/* TARGETID of an imaging object (formats.md B7); -1 where a part does not fit its bits. */
static int64_t targetid_of(int64_t release, int64_t brickid, int64_t objid)
{
    bool fits = objid >= 0 && objid < 1 << 22 && brickid >= 0 && brickid < 1 << 20 && release >= 0 && release < 1 << 16;
    return fits ? objid | brickid << 22 | release << 42 : -1;
}

static void fill_row(CatalogRow *row, const Columns *c, int64_t i, int64_t source_row, const char *path)
{
    memset(row, 0, sizeof *row);
    row->z = row->zerr = row->deltachi2 = NAN;
    for (int l = 0; l < N_LABELS; l++) row->label[l] = NAN;
    row->targetid = targetid_of(c->release[i], c->brickid[i], c->objid[i]);
    row->release = c->release[i];
    row->brickid = c->brickid[i];
    row->brick_objid = c->objid[i];
    memcpy(row->brickname, c->brickname[i], sizeof row->brickname);
    row->ra = c->ra[i];
    row->dec = c->dec[i];
    for (int b = 0; b < N_BANDS; b++) row->flux[b] = c->flux[b][i];
    row->ebv = c->ebv[i];
    row->photsys = c->photsys[i][0] ? c->photsys[i][0] : legacy_photsys(c->release[i], path);
    row->has_image = 1;
    row->zcat_primary = 1;
    row->source_row = source_row;
}

static int64_t chunk_size(int64_t first, int64_t n) { return n - first < CHUNK ? n - first : CHUNK; }

static Status count_kept(int64_t *n_kept, Columns *c, FitsFile *f, int64_t n)
{
    *n_kept = 0;
    for (int64_t first = 0; first < n; first += CHUNK) {
        TRY(read_kept(c, f, first, chunk_size(first, n)));
        for (int64_t i = 0; i < chunk_size(first, n); i++) *n_kept += c->primary[i];
    }
    return OK;
}

Status legacy_read_photometry(CatalogRow **rows, int64_t *n, int64_t *n_file, const void *config, const char *path,
                              Arena *a)
{
    Status st = OK;
    FitsFile f = {0};
    char full[2 * LEGACY_PATH];
    Columns c;
    int64_t n_kept, k = 0;
    survey_file(full, sizeof full, ((const LegacyConfig *)config)->root,
                path); /* an absent file is named by the open */
    TRY_DONE(fitsfile_open(&f, full));
    TRY_DONE(fitsfile_goto_number(&f, 1));
    TRY_DONE(fitsfile_rows(n_file, &f));
    TRY_DONE(count_kept(&n_kept, &c, &f, *n_file));
    TRY_DONE(arena_new(rows, a, n_kept));
    for (int64_t first = 0; first < *n_file; first += CHUNK) {
        TRY_DONE(read_columns(&c, &f, first, chunk_size(first, *n_file)));
        for (int64_t i = 0; i < chunk_size(first, *n_file); i++)
            if (c.primary[i] && k < n_kept) fill_row(&(*rows)[k++], &c, i, first + i, full);
    }
    *n = k;
done:
    fitsfile_close(&f);
    return st;
}
