/* desi_zcat.c - redshift catalogues of every version and redrock files become catalogue rows, any range of rows at a
   time.

   A catalogue of v0 or v1 holds all in one table. One of v2 has its best redshift under names of its own (Z_BEST), the
   photometry in NAME-imaging.fits and the rest in NAME-extra.fits, row by row the same TARGETID. A redrock file holds
   redshifts in one HDU and targets in another, and has its afterburners in files beside. */
#include "data/desi.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "data/desi_columns.h"
#include "data/desi_quality.h"
#include "data/healpix.h"

enum {
    FITS_BLOCK = 2880,
    GZIP_MOST = 1032 /* deflate cannot do better than 1032 : 1 */
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

/* ---- what the header or the name says of all rows ---- */

static void header_word(char out[DESI_WORD], FitsFile *f, const char *key)
{
    char text[DESI_WORD + 1];
    if (fitsfile_get_text(text, sizeof text, f, key) && desi_is_word(text)) strcpy(out, text);
}

static bool header_number(int32_t *out, FitsFile *f, const char *key)
{
    int64_t value;
    if (!fitsfile_get_i64(&value, f, key) || value < 0 || value > INT32_MAX) return false;
    *out = (int32_t)value;
    return true;
}

static Status header_nside(FitsFile *f)
{
    int64_t nside;
    if (fitsfile_get_i64(&nside, f, "HPXNSIDE") && nside != HEALPIX_NSIDE)
        return FAIL(E_INPUT, "%s: HDU %s: HPXNSIDE is %lld, pixels of nside %d are expected", f->path, f->hdu,
                    (long long)nside, HEALPIX_NSIDE);
    return OK;
}

/* SURVEY, PROGRAM and place for rows whose columns do not give them: from the current HDU's header where it says so. */
static Status header_name(DesiName *out, FitsFile *f)
{
    int32_t number;
    header_word(out->survey, f, "SURVEY");
    header_word(out->program, f, "PROGRAM");
    if (header_number(&number, f, "UNIQPIX") && uniqpix_healpix(number) >= 0) {
        out->uniqpix = number;
        return OK;
    }
    if (header_number(&number, f, "HPXPIXEL") && number < HEALPIX_PIXELS) out->healpix = number;
    return out->healpix >= 0 ? header_nside(f) : OK;
}

/* SURVEY and PROGRAM of a file by tile: FIBERMAP's header has the words of fiberassign. */
static void header_program(DesiName *out, FitsFile *f)
{
    if (out->survey[0] == '\0') header_word(out->survey, f, "SURVEY");
    if (out->program[0] == '\0') header_word(out->program, f, "PROGRAM");
    if (out->program[0] == '\0') header_word(out->program, f, "FAPRGRM");
}

/* Tile, night and petal of a file by tile whose name does not say them. */
static void header_tile(DesiName *out, FitsFile *f)
{
    if (out->tileid > 0 || !header_number(&out->tileid, f, "TILEID")) return;
    if (!header_number(&out->petal, f, "PETAL")) header_number(&out->petal, f, "SPECTRO");
    if (!header_number(&out->night, f, "NIGHT")) header_number(&out->night, f, "SPGRPVAL");
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void fold_case(char *text)
{
    for (; *text; text++)
        if (*text >= 'A' && *text <= 'Z') *text = (char)(*text - 'A' + 'a');
}

/* The sky pixel: what the column gave, else what the file is named for, else that of the position, else one that the
   UNIQPIX holds. */
static void place_row(CatalogRow *r, const DesiName *name)
{
    if (r->uniqpix <= 0 || uniqpix_healpix(r->uniqpix) < 0) r->uniqpix = name->uniqpix;
    if (r->tileid <= 0) {
        r->tileid = name->tileid;
        r->night = name->night;
        r->petal = name->petal;
    }
    if (r->healpix < 0 || r->healpix >= HEALPIX_PIXELS) r->healpix = name->healpix;
    if (r->healpix < 0) r->healpix = healpix_pixel(r->ra, r->dec);
    if (r->healpix < 0 && r->uniqpix > 0) r->healpix = uniqpix_healpix(r->uniqpix);
}

/* Every row gets its key: what its columns gave, else the header, else the name of the file. Files by tile do not all
   say of which program they are, and are found without. */
static Status name_rows(CatalogRow *rows, int64_t n, const DesiName *name, const char *path)
{
    for (int64_t i = 0; i < n; i++) {
        CatalogRow *r = &rows[i];
        fold_case(r->survey);
        fold_case(r->program);
        if (r->survey[0] == '\0') memcpy(r->survey, name->survey, sizeof r->survey);
        if (r->program[0] == '\0') memcpy(r->program, name->program, sizeof r->program);
        place_row(r, name);
        bool blank = r->tileid > 0 && (r->survey[0] == '\0' || r->program[0] == '\0');
        if (!blank && (!desi_is_word(r->survey) || !desi_is_word(r->program)))
            return FAIL(E_INPUT, "%s: row %lld: SURVEY '%.7s' and PROGRAM '%.7s' do not name a DESI program", path,
                        (long long)r->source_row, r->survey, r->program);
    }
    return OK;
}

static void new_rows(CatalogRow *rows, int64_t first, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        catalog_new_row(&rows[i]);
        rows[i].source_row = first + i;
        rows[i].has_spectrum = 1;
    }
}

/* ---- catalogues ---- */

typedef struct {
    uint8_t main, sv;
} Primary;

static const DesiColumn primary_columns[] = {
    DESI_FILL(Primary, "MAIN_PRIMARY", FITS_BOOL, main, DESI_OPTIONAL),
    DESI_FILL(Primary, "SV_PRIMARY", FITS_BOOL, sv, DESI_OPTIONAL),
    DESI_COLUMNS_END,
};

/* Catalogues without ZCAT_PRIMARY: a row that is not the best of its own phase (MAIN_PRIMARY, SV_PRIMARY) is not primary;
   among those that are, join_unique chooses. */
static Status fill_primary(CatalogRow *rows, FitsFile *f, int64_t first, int64_t n, Arena *scratch)
{
    Primary *p;
    uint64_t found;
    Mark mark = arena_mark(scratch);
    TRY(arena_new(&p, scratch, n));
    TRY(desi_fill(p, sizeof *p, &found, f, primary_columns, first, n, scratch));
    for (int64_t i = 0; i < n; i++) {
        bool is_main = strcmp(rows[i].survey, "main") == 0, is_sv = strncmp(rows[i].survey, "sv", 2) == 0;
        if ((is_main && (found & 1) && !p[i].main) || (is_sv && (found & 2) && !p[i].sv)) rows[i].zcat_primary = 0;
    }
    arena_reset(scratch, mark);
    return OK;
}

/* Photometry of a v2 catalogue. */
static Status fill_imaging(CatalogRow *rows, const char *path, int64_t first, int64_t n, int64_t n_file, Arena *scratch)
{
    Status st = OK;
    FitsFile f = {0};
    uint64_t found;
    char beside[2 * DESI_PATH];
    if (!desi_part_beside(beside, sizeof beside, path, "-imaging")) return OK;
    TRY_DONE(desi_open_beside(&f, beside, path, "ZCATALOG_IMAGING", "FLUX_R", rows, first, n, n_file, scratch));
    TRY_DONE(desi_fill(rows, sizeof *rows, &found, &f, desi_photometry_columns, first, n, scratch));
done:
    fitsfile_close(&f);
    return st;
}

static Status goto_zcatalog(FitsFile *f)
{
    if (desi_goto_table(f, "ZCATALOG", "Z_BEST") == OK) return OK;
    fail_clear();
    return desi_goto_table(f, "ZCATALOG", "Z");
}

/* Pixels of another size or kind than the configured layout has: every spectrum would be missing. */
static Status check_layout(const DesiConfig *c, FitsFile *f)
{
    bool pixel = fitsfile_has_column(f, "HEALPIX"), uniqpix = fitsfile_has_column(f, "UNIQPIX");
    if (c->layout == LAYOUT_HEALPIX && uniqpix && !pixel)
        return FAIL(E_INPUT,
                    "%s: HDU %s gives UNIQPIX and no HEALPIX: its production wants release.spectra.layout: uniqpix",
                    f->path, f->hdu);
    return pixel && !uniqpix ? header_nside(f) : OK;
}

static Status read_zcatalog(CatalogRow *rows, const DesiConfig *c, FitsFile *f, int64_t first, int64_t n,
                            Arena *scratch)
{
    DesiName name = {.healpix = -1};
    uint64_t found, also;
    int64_t n_file;
    desi_parse_name(&name, base_name(f->path), "zpix");
    TRY(header_name(&name, f));
    TRY(goto_zcatalog(f));
    TRY(header_name(&name, f));
    TRY(check_layout(c, f));
    TRY(desi_count_rows(&n_file, f));
    new_rows(rows, first, n);
    TRY(desi_fill(rows, sizeof *rows, &found, f, desi_redshift_columns, first, n, scratch));
    TRY(desi_fill(rows, sizeof *rows, &also, f, desi_photometry_columns, first, n, scratch));
    TRY(desi_fill(rows, sizeof *rows, &also, f, desi_target_columns, first, n, scratch));
    if (c->layout == LAYOUT_TILES && fitsfile_has_column(f, "TILEID"))
        TRY(desi_fill(rows, sizeof *rows, &(uint64_t){0}, f, desi_tile_columns, first, n, scratch));
    TRY(name_rows(rows, n, &name, f->path));
    if (!(also & desi_column_bit(desi_target_columns, "ZCAT_PRIMARY"))) TRY(fill_primary(rows, f, first, n, scratch));
    TRY(desi_fill_targeting(rows, f, first, n, scratch));
    TRY(fill_imaging(rows, f->path, first, n, n_file, scratch));
    bool has_chi = (found & desi_column_bit(desi_redshift_columns, "DELTACHI2_BEST")) != 0;
    return desi_judge_redshifts(rows, JUDGE_CATALOG, has_chi, f->path, first, n, n_file, scratch);
}

/* ---- redrock files ---- */

/* The rows of HDU `extname` must be those of REDSHIFTS. */
static Status goto_same_rows(FitsFile *f, const char *extname, const CatalogRow *rows, int64_t first, int64_t n,
                             int64_t n_file, Arena *scratch)
{
    int64_t n_map, *id;
    TRY(fitsfile_goto(f, extname));
    TRY(desi_count_rows(&n_map, f));
    if (n_map != n_file)
        return FAIL(E_INPUT, "%s: REDSHIFTS has %lld rows, %s %lld", f->path, (long long)n_file, extname,
                    (long long)n_map);
    Mark mark = arena_mark(scratch);
    TRY(arena_new(&id, scratch, n));
    TRY(fitsfile_read_column(id, f, "TARGETID", FITS_I64, first, n));
    for (int64_t i = 0; i < n; i++)
        if (id[i] != rows[i].targetid)
            return FAIL(E_INPUT, "%s: row %lld: TARGETID is %lld in REDSHIFTS, %lld in %s", f->path,
                        (long long)(first + i), (long long)rows[i].targetid, (long long)id[i], extname);
    arena_reset(scratch, mark);
    return OK;
}

static const DesiColumn depth_columns[] = {
    DESI_FILL(CatalogRow, "TSNR2_LRG", FITS_F32, tsnr2_lrg, DESI_OPTIONAL),
    DESI_COLUMNS_END,
};

static Status read_redrock(CatalogRow *rows, const DesiConfig *c, FitsFile *f, int64_t first, int64_t n, Arena *scratch)
{
    DesiName name = {.healpix = -1};
    uint64_t found, also;
    int64_t n_file;
    desi_parse_layout_name(&name, c->layout, base_name(f->path), "redrock");
    TRY(header_name(&name, f)); /* the primary header; FIBERMAP's own PROGRAM may name a tertiary program */
    if (c->layout == LAYOUT_TILES) header_tile(&name, f);
    TRY(fitsfile_goto(f, "REDSHIFTS"));
    TRY(desi_count_rows(&n_file, f));
    new_rows(rows, first, n);
    TRY(desi_fill(rows, sizeof *rows, &found, f, desi_redshift_columns, first, n, scratch));
    if (fitsfile_has(f, "TSNR2")) {
        TRY(goto_same_rows(f, "TSNR2", rows, first, n, n_file, scratch));
        TRY(desi_fill(rows, sizeof *rows, &also, f, depth_columns, first, n, scratch));
    }
    TRY(goto_same_rows(f, "FIBERMAP", rows, first, n, n_file, scratch));
    header_program(&name, f);
    TRY(desi_fill(rows, sizeof *rows, &also, f, desi_target_columns, first, n, scratch));
    TRY(desi_fill(rows, sizeof *rows, &also, f, desi_photometry_columns, first, n, scratch));
    TRY(name_rows(rows, n, &name, f->path));
    TRY(desi_fill_targeting(rows, f, first, n, scratch));
    bool has_chi = (found & desi_column_bit(desi_redshift_columns, "DELTACHI2_BEST")) != 0;
    return desi_judge_redshifts(rows, JUDGE_REDROCK, has_chi, f->path, first, n, n_file, scratch);
}

/* ---- either kind ---- */

static Status open_redshifts(FitsFile *f, const DesiConfig *c, const char *path)
{
    char full[2 * DESI_PATH];
    if (!survey_file(full, sizeof full, c->root, path) && !survey_file(full, sizeof full, "", path))
        return FAIL(E_INPUT, "no redshift file %s, neither under %s nor here", path, c->root);
    return desi_open(f, full);
}

/* A redrock file may be named among catalogues. */
static bool is_redrock(const DesiConfig *c, FitsFile *f)
{
    return c->redshifts == REDSHIFTS_REDROCK || (fitsfile_has(f, "REDSHIFTS") && fitsfile_has(f, "FIBERMAP"));
}

Status desi_count_redshifts(int64_t *n, const void *config, const char *path, Arena *scratch)
{
    const DesiConfig *c = config;
    Status st = OK;
    FitsFile f = {0};
    if (c->redshifts == REDSHIFTS_COADD) return desi_count_fibermaps(n, c, path, scratch);
    TRY_DONE(open_redshifts(&f, c, path));
    TRY_DONE(is_redrock(c, &f) ? fitsfile_goto(&f, "REDSHIFTS") : goto_zcatalog(&f));
    TRY_DONE(desi_count_rows(n, &f));
done:
    fitsfile_close(&f);
    return st;
}

Status desi_read_redshifts(CatalogRow *rows, const void *config, const char *path, int64_t first, int64_t n,
                           Arena *scratch)
{
    const DesiConfig *c = config;
    Status st = OK;
    FitsFile f = {0};
    if (c->redshifts == REDSHIFTS_COADD) return desi_read_fibermaps(rows, c, path, first, n, scratch);
    TRY_DONE(open_redshifts(&f, c, path));
    TRY_DONE(is_redrock(c, &f) ? read_redrock(rows, c, &f, first, n, scratch)
                               : read_zcatalog(rows, c, &f, first, n, scratch));
done:
    fitsfile_close(&f);
    return st;
}
