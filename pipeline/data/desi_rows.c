/* desi_rows.c - catalogue rows straight from files of spectra (release.spectra.redshifts: coadd): FIBERMAP says whose
   they are, a redrock file beside may say how far.

   A file of coadds has a row per target. A file of exposures has many: the first one stands for the target, its fibre
   status is what the survey makes of all of them (desi_exposures.h). A file without FIBERMAP has nothing but spectra,
   and gets made identifiers. SURVEY, PROGRAM and the sky pixel come from columns, else from the headers, else from the
   name of the file; where nothing says, they stay empty. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/log.h"
#include "data/desi.h"
#include "data/desi_columns.h"
#include "data/desi_exposures.h"
#include "data/healpix.h"

/* ---- made identifiers ---- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool ends_in(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

int64_t desi_made_targetid(const char *path, int64_t row)
{
    const char *base = base_name(path);
    size_t length = strlen(base) - (ends_in(base, ".gz") ? 3 : 0);
    uint64_t hash = hash_bytes(base, length) >> 34;
    return (int64_t)1 << 62 | (int64_t)hash << 32 | row;
}

bool desi_is_made(int64_t targetid) { return targetid >> 62 == 1; }

int64_t desi_made_row(const char *path, int64_t targetid)
{
    int64_t row = targetid & 0xffffffff;
    return desi_made_targetid(path, row) == targetid ? row : -1;
}

/* ---- what a file holds ---- */

bool desi_holds_exposures(FitsFile *f)
{
    if (!fitsfile_has(f, "FIBERMAP") || fitsfile_goto(f, "FIBERMAP") != OK) return false;
    if (strncmp(base_name(f->path), "spectra-", 8) == 0) return true;
    return fitsfile_has_column(f, "EXPID") && fitsfile_has_column(f, "FIBERSTATUS") &&
           !fitsfile_has_column(f, "COADD_FIBERSTATUS");
}

Status desi_count_spectra(int64_t *n, FitsFile *f)
{
    static const char *const images[] = {"B_FLUX", "R_FLUX", "Z_FLUX", "BRZ_FLUX"};
    int64_t dims[FITS_AXES];
    int n_axes;
    for (int k = 0; k < 4; k++) {
        if (!fitsfile_has(f, images[k])) continue;
        TRY(fitsfile_goto(f, images[k]));
        TRY(fitsfile_image_size(dims, &n_axes, f));
        if (n_axes != 2 || dims[0] > UINT32_MAX)
            return FAIL(E_INPUT, "%s: HDU %s is not spectra by pixels", f->path, images[k]);
        *n = dims[0];
        return OK;
    }
    return FAIL(E_INPUT, "%s has none of the HDUs B_FLUX, R_FLUX, Z_FLUX", f->path);
}

static int compare_targets(const void *a, const void *b)
{
    const DesiTarget *x = a, *y = b;
    if (x->id != y->id) return x->id < y->id ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

Status desi_read_targets(DesiTarget **out, int64_t *n, FitsFile *f, Arena *a)
{
    int64_t *id;
    TRY(fitsfile_goto(f, "FIBERMAP"));
    TRY(desi_count_rows(n, f));
    TRY(arena_new(&id, a, *n));
    TRY(arena_new(out, a, *n));
    TRY(fitsfile_read_column(id, f, "TARGETID", FITS_I64, 0, *n));
    for (int64_t i = 0; i < *n; i++) (*out)[i] = (DesiTarget){id[i], i};
    if (*n > 1) qsort(*out, (size_t)*n, sizeof **out, compare_targets);
    return OK;
}

static Status open_source(FitsFile *f, const DesiConfig *c, const char *path)
{
    char full[2 * DESI_PATH];
    if (!survey_file(full, sizeof full, c->root, path) && !survey_file(full, sizeof full, "", path))
        return FAIL(E_INPUT, "no spectrum file %s, neither under %s nor here", path, c->root);
    return desi_open(f, full);
}

/* ---- what a file says of all its rows ---- */

static void header_words(DesiName *out, FitsFile *f, const char *program_key)
{
    char text[DESI_WORD + 1];
    if (!out->survey[0] && fitsfile_get_text(text, sizeof text, f, "SURVEY") && desi_is_word(text))
        strcpy(out->survey, text);
    if (!out->program[0] && fitsfile_get_text(text, sizeof text, f, program_key) && desi_is_word(text))
        strcpy(out->program, text);
}

static void header_place(DesiName *out, FitsFile *f)
{
    int64_t pixel, nside = HEALPIX_NSIDE, uniqpix, tileid, petal, night;
    if (fitsfile_get_i64(&uniqpix, f, "UNIQPIX") && uniqpix_healpix(uniqpix) >= 0 && uniqpix <= INT32_MAX) {
        out->uniqpix = (int32_t)uniqpix;
        out->healpix = uniqpix_healpix(uniqpix);
        return;
    }
    fitsfile_get_i64(&nside, f, "HPXNSIDE");
    if (fitsfile_get_i64(&pixel, f, "HPXPIXEL") && nside == HEALPIX_NSIDE && pixel >= 0 && pixel < HEALPIX_PIXELS) {
        out->healpix = (int32_t)pixel;
        return;
    }
    bool tile = fitsfile_get_i64(&tileid, f, "TILEID") && fitsfile_get_i64(&petal, f, "PETAL") &&
                fitsfile_get_i64(&night, f, "NIGHT");
    if (!tile || tileid <= 0 || tileid > INT32_MAX || petal < 0 || petal > 9 || night < 0 || night > INT32_MAX) return;
    out->tileid = (int32_t)tileid;
    out->petal = (int32_t)petal;
    out->night = (int32_t)night;
}

/* The primary header speaks first, then the header of FIBERMAP (whose PROGRAM may be that of a tertiary program), then
   the name of the file. */
static Status name_file(DesiName *out, const DesiConfig *c, FitsFile *f)
{
    const char *base = base_name(f->path);
    DesiName by_name = {.healpix = -1};
    for (int k = 0; k < 2; k++) {
        const char *kind = k ? "spectra" : "coadd";
        if (desi_parse_tile_name(&by_name, base, kind) || desi_parse_layout_name(&by_name, c->layout, base, kind))
            break;
    }
    *out = by_name;
    memset(out->survey, 0, sizeof out->survey);
    memset(out->program, 0, sizeof out->program);
    TRY(fitsfile_goto_number(f, 0));
    header_words(out, f, "PROGRAM");
    header_place(out, f);
    if (fitsfile_has(f, "FIBERMAP")) {
        TRY(fitsfile_goto(f, "FIBERMAP"));
        header_words(out, f, "PROGRAM");
        header_words(out, f, "FAPRGRM");
    }
    if (!out->survey[0]) memcpy(out->survey, by_name.survey, sizeof out->survey);
    if (!out->program[0]) memcpy(out->program, by_name.program, sizeof out->program);
    return OK;
}

static void name_rows(CatalogRow *rows, int64_t n, const DesiName *name)
{
    for (int64_t i = 0; i < n; i++) {
        CatalogRow *r = &rows[i];
        if (!desi_is_word(r->survey)) memcpy(r->survey, name->survey, sizeof r->survey);
        if (!desi_is_word(r->program)) memcpy(r->program, name->program, sizeof r->program);
        r->healpix = name->healpix >= 0 ? name->healpix : healpix_pixel(r->ra, r->dec);
        if (r->healpix < 0) r->healpix = 0; /* the spectrum can be read without knowing where it is from */
        r->uniqpix = name->uniqpix;
        r->tileid = name->tileid;
        r->night = name->night;
        r->petal = name->petal;
    }
}

/* ---- rows ---- */

static void new_row(CatalogRow *row, int64_t source_row)
{
    catalog_new_row(row);
    row->source_row = source_row;
    row->has_spectrum = 1;
}

/* TSNR2_LRG of rows [first, first + n), where SCORES has a row per row of FIBERMAP. */
static Status read_depth(CatalogRow *rows, FitsFile *f, int64_t n_file, int64_t first, int64_t n, Arena *scratch)
{
    int64_t n_scores, width;
    float *depth;
    if (!fitsfile_has(f, "SCORES")) return OK;
    TRY(fitsfile_goto(f, "SCORES"));
    TRY(fitsfile_rows(&n_scores, f));
    if (n_scores != n_file || !fitsfile_has_column(f, "TSNR2_LRG")) return OK;
    TRY(fitsfile_column_width(&width, f, "TSNR2_LRG"));
    if (width != 1) return OK;
    TRY(arena_new(&depth, scratch, n));
    TRY(fitsfile_read_column(depth, f, "TSNR2_LRG", FITS_F32, first, n));
    for (int64_t i = 0; i < n; i++) rows[i].tsnr2_lrg = depth[i];
    return OK;
}

/* Rows [first, first + n) of FIBERMAP, one after the other. */
static Status read_map(CatalogRow *rows, FitsFile *f, const DesiName *name, int64_t first, int64_t n, Arena *scratch)
{
    int64_t *id, n_file;
    TRY(fitsfile_goto(f, "FIBERMAP"));
    TRY(desi_count_rows(&n_file, f));
    if (first + n > n_file) return FAIL(E_INPUT, "%s: HDU FIBERMAP has become shorter", f->path);
    TRY(arena_new(&id, scratch, n));
    TRY(fitsfile_read_column(id, f, "TARGETID", FITS_I64, first, n));
    for (int64_t i = 0; i < n; i++) {
        new_row(&rows[i], first + i);
        rows[i].targetid = id[i];
        memcpy(rows[i].survey, name->survey, sizeof name->survey); /* says which targeting columns are its own */
    }
    TRY(desi_fill_targets(rows, f, first, n, scratch));
    name_rows(rows, n, name);
    return read_depth(rows, f, n_file, first, n, scratch);
}

/* The first exposure of each target, in file order: *n of them; first[k] is its place in `target`. */
static Status first_exposures(int64_t **first, int64_t *n, const DesiTarget *target, int64_t n_file, Arena *a)
{
    int64_t *place;
    *n = 0;
    TRY(arena_new(first, a, n_file));
    TRY(arena_new(&place, a, n_file));
    for (int64_t i = 0; i < n_file; i++)
        if (i == 0 || target[i].id != target[i - 1].id) place[target[i].row] = i + 1;
    for (int64_t row = 0; row < n_file; row++)
        if (place[row] > 0) (*first)[(*n)++] = place[row] - 1;
    return OK;
}

/* Fibre status and depth of all exposures of a target become those of its row. */
static void join_exposures(CatalogRow *out, const CatalogRow *all, const DesiTarget *target, int64_t n_file,
                           const int32_t *status)
{
    int64_t n = 0;
    float depth = 0;
    while (n < n_file && target[n].id == target[0].id) depth += all[target[n++].row].tsnr2_lrg;
    *out = all[target[0].row];
    out->tsnr2_lrg = depth; /* NaN when one is unknown */
    if (status) out->fiberstatus = exposures_status(status, target, n);
}

/* Targets [first, first + n) of a file of exposures. */
static Status read_exposures(CatalogRow *rows, FitsFile *f, const DesiName *name, int64_t first, int64_t n,
                             Arena *scratch)
{
    DesiTarget *target;
    CatalogRow *all;
    int64_t n_file, n_targets, *begin;
    int32_t *status;
    TRY(desi_read_targets(&target, &n_file, f, scratch));
    TRY(first_exposures(&begin, &n_targets, target, n_file, scratch));
    if (first + n > n_targets) return FAIL(E_INPUT, "%s: HDU FIBERMAP has become shorter", f->path);
    TRY(exposures_read_status(&status, f, n_file, scratch));
    TRY(arena_new(&all, scratch, n_file));
    TRY(read_map(all, f, name, 0, n_file, scratch));
    for (int64_t i = 0; i < n; i++) {
        int64_t at = begin[first + i];
        join_exposures(&rows[i], all, target + at, n_file - at, status);
    }
    return OK;
}

/* ---- redshifts of a redrock file beside ---- */

static int compare_ids(const void *a, const void *b)
{
    const CatalogRow *x = a, *y = b;
    if (x->targetid != y->targetid) return x->targetid < y->targetid ? -1 : 1;
    return (x->source_row > y->source_row) - (x->source_row < y->source_row);
}

static const CatalogRow *find_row(const CatalogRow *row, int64_t n, int64_t id)
{
    int64_t low = 0, high = n;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (row[middle].targetid < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n && row[low].targetid == id ? &row[low] : NULL;
}

/* FOLDER/redrock-REST beside FOLDER/coadd-REST or FOLDER/spectra-REST; false where there is none. */
static bool redrock_beside(char *out, size_t size, const char *path)
{
    char name[2 * DESI_PATH];
    const char *base = base_name(path), *rest = strchr(base, '-');
    if (!rest || !(strncmp(base, "coadd-", 6) == 0 || strncmp(base, "spectra-", 8) == 0)) return false;
    int end = (int)strlen(rest) - (ends_in(rest, ".gz") ? 3 : 0);
    snprintf(name, sizeof name, "%.*sredrock%.*s", (int)(base - path), path, end, rest);
    return survey_file(out, size, "", name);
}

/* All rows of the redrock file, by TARGETID. */
static Status read_redrock(CatalogRow **found, int64_t *n, const DesiConfig *c, const DesiName *name, const char *path,
                           Arena *a)
{
    DesiConfig config = *c;
    config.redshifts = REDSHIFTS_REDROCK;
    config.layout = name->tileid > 0 ? LAYOUT_TILES : name->uniqpix > 0 ? LAYOUT_UNIQPIX : LAYOUT_HEALPIX;
    TRY(desi_count_redshifts(n, &config, path, a));
    TRY(arena_new(found, a, *n));
    TRY(desi_read_redshifts(*found, &config, path, 0, *n, a));
    if (*n > 1) qsort(*found, (size_t)*n, sizeof **found, compare_ids);
    return OK;
}

static Status add_redshifts(CatalogRow *rows, int64_t n, const DesiConfig *c, const DesiName *name, const char *path,
                            Arena *scratch)
{
    char beside[2 * DESI_PATH];
    CatalogRow *found;
    int64_t n_found;
    if (!redrock_beside(beside, sizeof beside, path)) return OK;
    TRY(read_redrock(&found, &n_found, c, name, beside, scratch));
    for (int64_t i = 0; i < n; i++) {
        const CatalogRow *r = find_row(found, n_found, rows[i].targetid);
        if (!r) continue;
        rows[i].z = r->z;
        rows[i].zerr = r->zerr;
        rows[i].zwarn = r->zwarn;
        rows[i].deltachi2 = r->deltachi2;
        rows[i].good_z = r->good_z;
        rows[i].unknown_z &= r->unknown_z;
        memcpy(rows[i].spectype, r->spectype, sizeof r->spectype);
    }
    return OK;
}

/* ---- the two readers ---- */

static Status count_file(int64_t *n, FitsFile *f, Arena *scratch)
{
    DesiTarget *target;
    int64_t n_file, *begin;
    if (!fitsfile_has(f, "FIBERMAP")) return desi_count_spectra(n, f);
    if (!desi_holds_exposures(f)) {
        TRY(fitsfile_goto(f, "FIBERMAP"));
        return desi_count_rows(n, f);
    }
    TRY(desi_read_targets(&target, &n_file, f, scratch));
    return first_exposures(&begin, n, target, n_file, scratch);
}

static Status read_file(CatalogRow *rows, const DesiConfig *c, FitsFile *f, int64_t first, int64_t n, Arena *scratch)
{
    DesiName name;
    TRY(name_file(&name, c, f));
    if (!fitsfile_has(f, "FIBERMAP")) {
        for (int64_t i = 0; i < n; i++) {
            new_row(&rows[i], first + i);
            rows[i].targetid = desi_made_targetid(f->path, first + i);
        }
        name_rows(rows, n, &name);
    } else if (desi_holds_exposures(f)) {
        TRY(read_exposures(rows, f, &name, first, n, scratch));
    } else {
        TRY(read_map(rows, f, &name, first, n, scratch));
    }
    return add_redshifts(rows, n, c, &name, f->path, scratch);
}

/* A file that cannot be read is one row with a made TARGETID: it is accounted for, its spectrum will be flagged, and
   one bad file does not stop a release. *whole is false then. */
static Status count_or_one(int64_t *n, bool *whole, const DesiConfig *c, const char *path, Arena *scratch)
{
    FitsFile f = {0};
    Mark mark = arena_mark(scratch);
    Status st = open_source(&f, c, path);
    if (st == OK) st = count_file(n, &f, scratch);
    fitsfile_close(&f);
    arena_reset(scratch, mark);
    *whole = st == OK;
    if (st != E_INPUT) return st;
    *n = 1;
    return OK;
}

static void broken_row(CatalogRow *row, const DesiConfig *c, const char *path)
{
    DesiName name = {.healpix = -1};
    new_row(row, 0);
    row->targetid = desi_made_targetid(path, 0);
    if (desi_parse_layout_name(&name, c->layout, base_name(path), "coadd") ||
        desi_parse_layout_name(&name, c->layout, base_name(path), "spectra"))
        name_rows(row, 1, &name);
    if (row->healpix < 0) row->healpix = 0;
}

Status desi_count_fibermaps(int64_t *n, const DesiConfig *c, const char *path, Arena *scratch)
{
    bool whole;
    TRY(count_or_one(n, &whole, c, path, scratch));
    if (!whole) {
        log_rank("%s; it becomes one row without a spectrum", fail_record()->text);
        fail_clear();
    }
    return OK;
}

Status desi_read_fibermaps(CatalogRow *rows, const DesiConfig *c, const char *path, int64_t first, int64_t n,
                           Arena *scratch)
{
    FitsFile f = {0};
    bool whole;
    int64_t n_file;
    Mark mark = arena_mark(scratch);
    TRY(count_or_one(&n_file, &whole, c, path, scratch));
    if (!whole) {
        fail_clear();
        if (n > 0) broken_row(rows, c, path);
        return OK;
    }
    Status st = open_source(&f, c, path);
    if (st == OK) st = read_file(rows, c, &f, first, n, scratch);
    fitsfile_close(&f);
    arena_reset(scratch, mark);
    return st;
}
