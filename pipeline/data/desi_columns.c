/* desi_columns.c - columns into fields, in chunks of rows: each stretch of a file is read once for all columns. */
#include "data/desi_columns.h"

#include <string.h>

#include "data/desi.h"
#include "data/desi_quality.h"

enum { CHUNK_ROWS = 4096, CELL_MAX = 32, MOST_COLUMNS = 64, MOST_HDUS = 100 };

#define FILL(column, type, field, need)         DESI_FILL(CatalogRow, column, type, field, need)
#define FILL2(column, other, type, field, need) DESI_FILL2(CatalogRow, column, other, type, field, need)

const DesiColumn desi_redshift_columns[] = {
    FILL("TARGETID", FITS_I64, targetid, DESI_REQUIRED),
    FILL2("Z_BEST", "Z", FITS_F64, z, DESI_REQUIRED),
    FILL2("ZERR_BEST", "ZERR", FITS_F64, zerr, DESI_OPTIONAL),
    FILL2("ZWARN_BEST", "ZWARN", FITS_I64, zwarn, DESI_REQUIRED),
    FILL2("SPECTYPE_BEST", "SPECTYPE", FITS_TEXT, spectype, DESI_OPTIONAL),
    FILL2("DELTACHI2_BEST", "DELTACHI2", FITS_F64, deltachi2, DESI_OPTIONAL),
    DESI_COLUMNS_END,
};

const DesiColumn desi_target_columns[] = {
    FILL("SURVEY", FITS_TEXT, survey, DESI_KEY),
    FILL("PROGRAM", FITS_TEXT, program, DESI_KEY),
    FILL2("HEALPIX", "HPXPIXEL", FITS_I32, healpix, DESI_OPTIONAL),
    FILL("UNIQPIX", FITS_I32, uniqpix, DESI_OPTIONAL),
    FILL("COADD_FIBERSTATUS", FITS_I32, fiberstatus, DESI_OPTIONAL),
    FILL("TARGET_RA", FITS_F64, ra, DESI_OPTIONAL),
    FILL("TARGET_DEC", FITS_F64, dec, DESI_OPTIONAL),
    FILL("OBJTYPE", FITS_TEXT, objtype, DESI_OPTIONAL),
    FILL("ZCAT_PRIMARY", FITS_BOOL, zcat_primary, DESI_OPTIONAL),
    FILL("TSNR2_LRG", FITS_F32, tsnr2_lrg, DESI_OPTIONAL),
    DESI_COLUMNS_END,
};

const DesiColumn desi_photometry_columns[] = {
    FILL("RELEASE", FITS_I16, release, DESI_OPTIONAL),
    FILL("BRICKNAME", FITS_TEXT, brickname, DESI_OPTIONAL),
    FILL("BRICKID", FITS_I32, brickid, DESI_OPTIONAL),
    FILL("BRICK_OBJID", FITS_I32, brick_objid, DESI_OPTIONAL),
    FILL("MORPHTYPE", FITS_TEXT, morphtype, DESI_OPTIONAL),
    FILL("MASKBITS", FITS_I32, maskbits, DESI_OPTIONAL),
    FILL("PHOTSYS", FITS_TEXT, photsys, DESI_OPTIONAL),
    FILL("FLUX_G", FITS_F32, flux[0], DESI_OPTIONAL),
    FILL("FLUX_R", FITS_F32, flux[1], DESI_OPTIONAL),
    FILL("FLUX_Z", FITS_F32, flux[2], DESI_OPTIONAL),
    FILL("EBV", FITS_F32, ebv, DESI_OPTIONAL),
    DESI_COLUMNS_END,
};

const DesiColumn desi_tile_columns[] = {
    FILL("TILEID", FITS_I32, tileid, DESI_OPTIONAL),
    FILL("SPGRPVAL", FITS_I32, night, DESI_OPTIONAL), /* of cumulative tiles, the last night; the next one is clearer */
    FILL2("LASTNIGHT", "NIGHT", FITS_I32, night, DESI_OPTIONAL),
    FILL("PETAL_LOC", FITS_I32, petal, DESI_OPTIONAL),
    DESI_COLUMNS_END,
};

/* ---- filling ---- */

static const char *column_name(const DesiColumn *c, FitsFile *f)
{
    if (fitsfile_has_column(f, c->column)) return c->column;
    return c->other && fitsfile_has_column(f, c->other) ? c->other : NULL;
}

/* Which columns of the current HDU there are to read, checked for their shape. */
static Status choose_columns(const char **name, uint64_t *found, const DesiColumn *table, FitsFile *f)
{
    *found = 0;
    for (int k = 0; table[k].column; k++) {
        int64_t width;
        MUST(k < MOST_COLUMNS);
        name[k] = column_name(&table[k], f);
        if (!name[k] && table[k].need == DESI_REQUIRED)
            return FAIL(E_INPUT, "%s: HDU %s has no column %s", f->path, f->hdu,
                        table[k].other ? table[k].other : table[k].column);
        if (!name[k]) continue;
        *found |= (uint64_t)1 << k;
        if (table[k].type == FITS_TEXT) continue;
        TRY(fitsfile_column_width(&width, f, name[k]));
        if (width != 1)
            return FAIL(E_INPUT, "%s: HDU %s: column %s holds %lld numbers per row, 1 expected", f->path, f->hdu,
                        name[k], (long long)width);
    }
    return OK;
}

/* Cells of one column go to their fields. */
static Status scatter(char *records, size_t stride, const DesiColumn *c, const FitsPick *pick, FitsFile *f,
                      int64_t first, int64_t n)
{
    size_t cell = c->type == FITS_TEXT ? CELL_MAX : c->bytes;
    bool text = c->type == FITS_TEXT && c->bytes > 1; /* PHOTSYS is one character without a NUL */
    for (int64_t i = 0; i < n; i++) {
        const char *from = (const char *)pick->out + (size_t)i * cell;
        char *field = records + (size_t)i * stride + c->offset;
        if (c->need == DESI_KEY && text && strlen(from) >= c->bytes)
            return FAIL(E_INPUT, "%s: row %lld: %s '%s' has more than %zu characters", f->path, (long long)(first + i),
                        pick->name, from, c->bytes - 1);
        if (text)
            strncpy(field, from, c->bytes - 1);
        else
            memcpy(field, from, c->bytes);
    }
    return OK;
}

/* The columns that there are, each with room for one chunk. */
static Status make_picks(FitsPick *pick, const char *const *name, const DesiColumn *table, Arena *scratch)
{
    for (int k = 0, p = 0; table[k].column; k++) {
        if (!name[k]) continue;
        pick[p] = (FitsPick){.name = name[k], .type = table[k].type, .cell = CELL_MAX};
        TRY(arena_take(&pick[p++].out, scratch, CHUNK_ROWS, table[k].type == FITS_TEXT ? CELL_MAX : table[k].bytes));
    }
    return OK;
}

static Status fill_chunk(char *records, size_t stride, FitsPick *pick, int n_picks, const char *const *name,
                         FitsFile *f, const DesiColumn *table, int64_t first, int64_t n, Arena *scratch)
{
    TRY(fitsfile_read_picks(pick, n_picks, f, first, n, scratch));
    for (int k = 0, p = 0; table[k].column; k++)
        if (name[k]) TRY(scatter(records, stride, &table[k], &pick[p++], f, first, n));
    return OK;
}

Status desi_fill(void *records, size_t stride, uint64_t *found, FitsFile *f, const DesiColumn *table, int64_t first,
                 int64_t n, Arena *scratch)
{
    Status st = OK;
    const char *name[MOST_COLUMNS];
    FitsPick pick[MOST_COLUMNS];
    int n_picks = 0;
    Mark mark = arena_mark(scratch);
    TRY(choose_columns(name, found, table, f));
    TRY_DONE(make_picks(pick, name, table, scratch));
    for (int k = 0; table[k].column; k++) n_picks += name[k] != NULL;
    for (int64_t at = 0; at < n && n_picks > 0; at += CHUNK_ROWS) {
        int64_t some = n - at < CHUNK_ROWS ? n - at : CHUNK_ROWS;
        char *to = (char *)records + (size_t)at * stride;
        TRY_DONE(fill_chunk(to, stride, pick, n_picks, name, f, table, first + at, some, scratch));
    }
done:
    arena_reset(scratch, mark);
    return st;
}

uint64_t desi_column_bit(const DesiColumn *table, const char *column)
{
    for (int k = 0; table[k].column; k++)
        if (strcmp(table[k].column, column) == 0) return (uint64_t)1 << k;
    return 0;
}

/* ---- tables ---- */

Status desi_count_rows(int64_t *n, FitsFile *f)
{
    int64_t start, bytes, width;
    TRY(fitsfile_rows(n, f));
    TRY(fitsfile_data_span(&start, &bytes, f));
    TRY(fitsfile_column_width(&width, f, "TARGETID"));
    if (width != 1) return FAIL(E_INPUT, "%s: HDU %s: TARGETID is not one number per row", f->path, f->hdu);
    if (*n < 0 || *n > bytes / (int64_t)sizeof(int64_t)) /* a row holds a TARGETID at least */
        return FAIL(E_INPUT, "%s: HDU %s: %lld rows do not fit into its %lld bytes", f->path, f->hdu, (long long)*n,
                    (long long)bytes);
    return OK;
}

Status desi_goto_table(FitsFile *f, const char *extname, const char *column)
{
    if (fitsfile_has(f, extname)) return fitsfile_goto(f, extname);
    for (int hdu = 1; hdu < MOST_HDUS && fitsfile_goto_number(f, hdu) == OK; hdu++) {
        if (strncmp(f->hdu, "ZCATALOG_", 9) == 0 || strstr(f->hdu, "FIBERMAP")) continue;
        if (fitsfile_has_column(f, "TARGETID") && fitsfile_has_column(f, column)) return OK;
    }
    fail_clear();
    return FAIL(E_INPUT, "%s has no HDU %s, nor any other table with TARGETID and %s", f->path, extname, column);
}

/* ---- for readers of FIBERMAP ---- */

Status desi_fill_targets(CatalogRow *rows, FitsFile *f, int64_t first, int64_t n, Arena *scratch)
{
    uint64_t found;
    TRY(desi_fill(rows, sizeof *rows, &found, f, desi_target_columns, first, n, scratch));
    TRY(desi_fill(rows, sizeof *rows, &found, f, desi_photometry_columns, first, n, scratch));
    return desi_fill_targeting(rows, f, first, n, scratch);
}
