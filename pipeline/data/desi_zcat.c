/* desi_zcat.c - redshift catalogues and redrock files become catalogue rows, by column name.

   Two tables say which column fills which field. A zcatalog holds both in one HDU; a redrock file holds redshifts in
   one HDU and targets in another, row by row the same TARGETID. Rows come in chunks, so that each stretch of the
   file is read from disk once. */
#include "data/desi.h"

#include <math.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include "data/healpix.h"

enum {
    CHUNK_ROWS = 4096,
    CELL_MAX = 32,
    FITS_BLOCK = 2880,
    GZIP_MOST = 1032 /* deflate cannot do better than 1032 : 1 */
};

/* KEY: part of a row's key where the column exists, so its text is never cut. */
typedef enum { OPTIONAL, REQUIRED, KEY } Need;

typedef struct {
    const char *column;
    FitsType type;
    size_t offset;
    size_t bytes; /* per row; for TEXT the size of the field with its NUL */
    Need need;
} Source;

#define FILL(column, type, field, need)                                                                                \
    {                                                                                                                  \
        column, type, offsetof(CatalogRow, field), sizeof(((CatalogRow *)NULL)->field), need                           \
    }

static const Source redshift_columns[] = {
    FILL("TARGETID", FITS_I64, targetid, REQUIRED),
    FILL("Z", FITS_F64, z, REQUIRED),
    FILL("ZERR", FITS_F64, zerr, OPTIONAL),
    FILL("ZWARN", FITS_I64, zwarn, REQUIRED),
    FILL("SPECTYPE", FITS_TEXT, spectype, OPTIONAL),
    FILL("DELTACHI2", FITS_F64, deltachi2, OPTIONAL),
    {NULL},
};

static const Source target_columns[] = {
    FILL("SURVEY", FITS_TEXT, survey, KEY),
    FILL("PROGRAM", FITS_TEXT, program, KEY),
    FILL("HEALPIX", FITS_I32, healpix, OPTIONAL),
    FILL("COADD_FIBERSTATUS", FITS_I32, fiberstatus, OPTIONAL),
    FILL("TARGET_RA", FITS_F64, ra, OPTIONAL),
    FILL("TARGET_DEC", FITS_F64, dec, OPTIONAL),
    FILL("OBJTYPE", FITS_TEXT, objtype, OPTIONAL),
    FILL("RELEASE", FITS_I16, release, OPTIONAL),
    FILL("BRICKNAME", FITS_TEXT, brickname, OPTIONAL),
    FILL("BRICKID", FITS_I32, brickid, OPTIONAL),
    FILL("BRICK_OBJID", FITS_I32, brick_objid, OPTIONAL),
    FILL("PHOTSYS", FITS_TEXT, photsys, OPTIONAL),
    FILL("FLUX_G", FITS_F32, flux[0], OPTIONAL),
    FILL("FLUX_R", FITS_F32, flux[1], OPTIONAL),
    FILL("FLUX_Z", FITS_F32, flux[2], OPTIONAL),
    FILL("EBV", FITS_F32, ebv, OPTIONAL),
    FILL("ZCAT_PRIMARY", FITS_BOOL, zcat_primary, OPTIONAL),
    {NULL},
};

/* ---- opening ---- */

Status desi_open(FitsFile *f, const char *path)
{
    struct stat info;
    TRY(fitsfile_open(f, path));
    if (stat(path, &info) != 0) return FAIL(E_INPUT, "cannot look at %s", path);
    int64_t size = info.st_size, end = 0; /* of the data seen so far, without padding */
    int hdu = 0;
    for (; fitsfile_goto_number(f, hdu) == OK; hdu++) {
        int64_t start, bytes;
        TRY(fitsfile_data_span(&start, &bytes, f));
        if (bytes > INT64_MAX / 2) return FAIL(E_INPUT, "%s: HDU %s: the sizes in its header are absurd", path, f->hdu);
        end = start + bytes;
    }
    fail_clear();
    size_t length = strlen(path);
    bool zipped = length > 3 && strcmp(path + length - 3, ".gz") == 0;
    if (end > (zipped ? GZIP_MOST * size : size))
        return FAIL(E_INPUT, "%s is cut short: its HDU %d should end at byte %lld, the file has %lld; fetch it again",
                    path, hdu, (long long)end, (long long)size);
    int64_t rest = size - (end + FITS_BLOCK - 1) / FITS_BLOCK * FITS_BLOCK;
    if (!zipped && rest > 0)
        return FAIL(E_INPUT,
                    "%s: the %lld bytes after HDU %d cannot be read, it is cut short or damaged; fetch it again", path,
                    (long long)rest, hdu);
    return fitsfile_goto_number(f, 0);
}

/* ---- columns into rows ---- */

/* Rows [first, first + n) of one column; `buffer` holds CHUNK_ROWS cells. */
static Status fill_column(CatalogRow *rows, const Source *s, FitsFile *f, int64_t first, int64_t n, char *buffer)
{
    size_t cell = s->type == FITS_TEXT ? CELL_MAX : s->bytes;
    if (s->type == FITS_TEXT)
        TRY(fitsfile_read_text(buffer, cell, f, s->column, first, n));
    else
        TRY(fitsfile_read_column(buffer, f, s->column, s->type, first, n));
    for (int64_t i = 0; i < n; i++) {
        char *text = buffer + (size_t)i * cell;
        if (s->need == KEY && s->type == FITS_TEXT && strlen(text) >= s->bytes)
            return FAIL(E_INPUT, "%s: row %lld: %s '%s' has more than %zu characters", f->path, (long long)(first + i),
                        s->column, text, s->bytes - 1);
        if (s->type == FITS_TEXT && s->bytes > 1)
            text[s->bytes - 1] = '\0'; /* PHOTSYS is one character without a NUL */
        memcpy((char *)&rows[first + i] + s->offset, text, s->bytes);
    }
    return OK;
}

/* Which columns of the current HDU there are to read, checked for their shape. */
static Status choose_columns(bool *present, const Source *table, FitsFile *f)
{
    for (int k = 0; table[k].column; k++) {
        int64_t width;
        present[k] = fitsfile_has_column(f, table[k].column);
        if (!present[k] && table[k].need == REQUIRED)
            return FAIL(E_INPUT, "%s: HDU %s has no column %s", f->path, f->hdu, table[k].column);
        if (!present[k] || table[k].type == FITS_TEXT) continue;
        TRY(fitsfile_column_width(&width, f, table[k].column));
        if (width != 1)
            return FAIL(E_INPUT, "%s: HDU %s: column %s holds %lld numbers per row, 1 expected", f->path, f->hdu,
                        table[k].column, (long long)width);
    }
    return OK;
}

static Status fill_rows(CatalogRow *rows, int64_t n, FitsFile *f, const Source *table, char *buffer)
{
    bool present[sizeof target_columns / sizeof *target_columns];
    TRY(choose_columns(present, table, f));
    for (int64_t first = 0; first < n; first += CHUNK_ROWS) {
        int64_t count = n - first < CHUNK_ROWS ? n - first : CHUNK_ROWS;
        for (int k = 0; table[k].column; k++)
            if (present[k]) TRY(fill_column(rows, &table[k], f, first, count, buffer));
    }
    return OK;
}

/* Rows of the current HDU, with what is true of a row before its columns are read. */
static Status new_rows(CatalogRow **rows, int64_t *n, FitsFile *f, Arena *a)
{
    int64_t start, bytes;
    TRY(fitsfile_rows(n, f));
    TRY(fitsfile_data_span(&start, &bytes, f));
    if (*n < 0 || *n > bytes / (int64_t)sizeof(int64_t)) /* a row holds a TARGETID at least */
        return FAIL(E_INPUT, "%s: HDU %s: %lld rows do not fit into its %lld bytes", f->path, f->hdu, (long long)*n,
                    (long long)bytes);
    TRY(arena_new(rows, a, *n));
    for (int64_t i = 0; i < *n; i++) {
        CatalogRow *r = &(*rows)[i];
        r->source_row = i;
        r->has_spectrum = 1;
        r->zcat_primary = 1;
        r->healpix = -1;
        r->ra = r->dec = r->z = r->zerr = r->deltachi2 = NAN;
        r->flux[0] = r->flux[1] = r->flux[2] = r->ebv = NAN;
        for (int k = 0; k < N_LABELS; k++) r->label[k] = NAN;
    }
    return OK;
}

/* ---- what the header or the name says of all rows ---- */

/* SURVEY, PROGRAM and pixel for rows whose columns do not give them: from the current HDU's header where it says so. */
static Status header_name(DesiName *out, FitsFile *f)
{
    int64_t pixel, nside = HEALPIX_NSIDE;
    char text[DESI_WORD + 1];
    if (fitsfile_get_text(text, sizeof text, f, "SURVEY") && desi_is_word(text)) strcpy(out->survey, text);
    if (fitsfile_get_text(text, sizeof text, f, "PROGRAM") && desi_is_word(text)) strcpy(out->program, text);
    if (fitsfile_get_i64(&pixel, f, "HPXPIXEL") && pixel >= 0 && pixel < HEALPIX_PIXELS) out->healpix = (int32_t)pixel;
    if (fitsfile_get_i64(&nside, f, "HPXNSIDE") && nside != HEALPIX_NSIDE)
        return FAIL(E_INPUT, "%s: HDU %s: HPXNSIDE is %lld, files by pixels of nside %d are expected", f->path, f->hdu,
                    (long long)nside, HEALPIX_NSIDE);
    return OK;
}

/* Every row gets its key: what its columns gave, else the header, else the name of the file; the pixel at last from
   its position. */
static Status name_rows(CatalogRow *rows, int64_t n, const DesiName *name, const char *path)
{
    for (int64_t i = 0; i < n; i++) {
        CatalogRow *r = &rows[i];
        if (r->survey[0] == '\0') memcpy(r->survey, name->survey, sizeof r->survey);
        if (r->program[0] == '\0') memcpy(r->program, name->program, sizeof r->program);
        if (r->healpix < 0) r->healpix = name->healpix;
        if (r->healpix < 0) r->healpix = healpix_pixel(r->ra, r->dec);
        if (!desi_is_word(r->survey) || !desi_is_word(r->program))
            return FAIL(E_INPUT, "%s: row %lld: SURVEY '%.7s' and PROGRAM '%.7s' do not name a DESI program", path,
                        (long long)i, r->survey, r->program);
    }
    return OK;
}

static void file_name(DesiName *out, const char *path, const char *kind)
{
    const char *slash = strrchr(path, '/');
    *out = (DesiName){.healpix = -1};
    desi_parse_name(out, slash ? slash + 1 : path, kind);
}

/* ---- the two kinds of file ---- */

static Status read_zcatalog(CatalogRow **rows, int64_t *n, FitsFile *f, Arena *a)
{
    DesiName name;
    char *buffer;
    file_name(&name, f->path, "zpix");
    TRY(header_name(&name, f));
    TRY(fitsfile_goto(f, "ZCATALOG"));
    TRY(header_name(&name, f));
    TRY(new_rows(rows, n, f, a));
    Mark mark = arena_mark(a);
    TRY(arena_take((void **)&buffer, a, CHUNK_ROWS, CELL_MAX));
    TRY(fill_rows(*rows, *n, f, redshift_columns, buffer));
    TRY(fill_rows(*rows, *n, f, target_columns, buffer));
    arena_reset(a, mark);
    return name_rows(*rows, *n, &name, f->path);
}

/* The rows of FIBERMAP must be those of REDSHIFTS. */
static Status check_same_rows(const CatalogRow *rows, int64_t n, FitsFile *f, Arena *a)
{
    int64_t n_map, width, *id;
    TRY(fitsfile_rows(&n_map, f));
    if (n_map != n)
        return FAIL(E_INPUT, "%s: REDSHIFTS has %lld rows, FIBERMAP %lld", f->path, (long long)n, (long long)n_map);
    TRY(fitsfile_column_width(&width, f, "TARGETID"));
    if (width != 1) return FAIL(E_INPUT, "%s: FIBERMAP: TARGETID is not one number per row", f->path);
    TRY(arena_new(&id, a, n));
    TRY(fitsfile_read_column(id, f, "TARGETID", FITS_I64, 0, n));
    for (int64_t i = 0; i < n; i++)
        if (id[i] != rows[i].targetid)
            return FAIL(E_INPUT, "%s: row %lld: TARGETID is %lld in REDSHIFTS, %lld in FIBERMAP", f->path, (long long)i,
                        (long long)rows[i].targetid, (long long)id[i]);
    return OK;
}

static Status read_redrock(CatalogRow **rows, int64_t *n, FitsFile *f, Arena *a)
{
    DesiName name;
    char *buffer;
    file_name(&name, f->path, "redrock");
    TRY(header_name(&name, f)); /* the primary header; FIBERMAP's own PROGRAM may name a tertiary program */
    TRY(fitsfile_goto(f, "REDSHIFTS"));
    TRY(new_rows(rows, n, f, a));
    Mark mark = arena_mark(a);
    TRY(arena_take((void **)&buffer, a, CHUNK_ROWS, CELL_MAX));
    TRY(fill_rows(*rows, *n, f, redshift_columns, buffer));
    TRY(fitsfile_goto(f, "FIBERMAP"));
    TRY(check_same_rows(*rows, *n, f, a));
    TRY(fill_rows(*rows, *n, f, target_columns, buffer));
    arena_reset(a, mark);
    return name_rows(*rows, *n, &name, f->path);
}

Status desi_read_redshifts(CatalogRow **rows, int64_t *n, const void *config, const char *path, Arena *a)
{
    const DesiConfig *c = config;
    Status st = OK;
    FitsFile f = {0};
    char full[2 * DESI_PATH];
    if (!survey_file(full, sizeof full, c->root, path) && !survey_file(full, sizeof full, "", path))
        return FAIL(E_INPUT, "no redshift file %s, neither under %s nor here", path, c->root);
    TRY_DONE(desi_open(&f, full));
    TRY_DONE(c->redshifts == REDSHIFTS_REDROCK ? read_redrock(rows, n, &f, a) : read_zcatalog(rows, n, &f, a));
done:
    fitsfile_close(&f);
    return st;
}
