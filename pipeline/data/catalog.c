/* catalog.c - catalog.h5. Each table of the file is an array of records in memory and one dataset per field on disk; a
   table of columns says which field goes where, and writing, reading and the checks on opening all follow it. */
#include "data/catalog.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "data/manifest.h"
#include "io/seal.h"

typedef struct {
    const char *name;
    H5Type type;
    int64_t width; /* bytes of text */
    size_t offset; /* in the record */
    const char *unit, *meaning;
} Column;

static const Column row_columns[] = {
    {"TARGETID", H5_I64, 8, offsetof(CatalogRow, targetid), "", "identifier of the target"},
    {"SURVEY", H5_TEXT, 8, offsetof(CatalogRow, survey), "", "survey of the spectrum"},
    {"PROGRAM", H5_TEXT, 8, offsetof(CatalogRow, program), "", "program of the spectrum"},
    {"RA", H5_F64, 8, offsetof(CatalogRow, ra), "deg", "right ascension, J2000"},
    {"DEC", H5_F64, 8, offsetof(CatalogRow, dec), "deg", "declination, J2000"},
    {"HEALPIX", H5_I32, 4, offsetof(CatalogRow, healpix), "",
     "nside 64 nested pixel: of the spectrum's file, else sky"},
    {"UNIQPIX", H5_I32, 4, offsetof(CatalogRow, uniqpix), "", "pixel of the spectrum's file, 0 = files are not by it"},
    {"TILEID", H5_I32, 4, offsetof(CatalogRow, tileid), "", "tile of the spectrum's file, 0 = files are not by tile"},
    {"NIGHT", H5_I32, 4, offsetof(CatalogRow, night), "", "last night of the tile, YYYYMMDD"},
    {"PETAL", H5_I32, 4, offsetof(CatalogRow, petal), "", "petal of the tile, 0 to 9"},
    {"Z", H5_F64, 8, offsetof(CatalogRow, z), "", "redshift of the redshift catalogue"},
    {"ZERR", H5_F64, 8, offsetof(CatalogRow, zerr), "", "its error"},
    {"ZWARN", H5_I64, 8, offsetof(CatalogRow, zwarn), "", "its warning bits, 0 = good"},
    {"SPECTYPE", H5_TEXT, 8, offsetof(CatalogRow, spectype), "", "spectral class: GALAXY, QSO, STAR"},
    {"OBJTYPE", H5_TEXT, 4, offsetof(CatalogRow, objtype), "", "what the fibre was for: TGT, SKY, BAD"},
    {"DELTACHI2", H5_F64, 8, offsetof(CatalogRow, deltachi2), "", "chi2 difference to the next best redshift"},
    {"DESI_TARGET", H5_I64, 8, offsetof(CatalogRow, desi_target), "", "target bits of the row's SURVEY, 0 = unknown"},
    {"BGS_TARGET", H5_I64, 8, offsetof(CatalogRow, bgs_target), "", "bright galaxy target bits of the row's SURVEY"},
    {"TARGET_CLASS", H5_U8, 1, offsetof(CatalogRow, target_class), "", "bits: 1 BGS, 2 LRG, 4 ELG, 8 QSO target"},
    {"GOOD_Z", H5_U8, 1, offsetof(CatalogRow, good_z), "", "the same bits: the redshift passes the cut of that class"},
    {"COADD_FIBERSTATUS", H5_I32, 4, offsetof(CatalogRow, fiberstatus), "", "fibre warning bits, 0 = good"},
    {"ZCAT_PRIMARY", H5_U8, 1, offsetof(CatalogRow, zcat_primary), "", "1 = the best row of its target"},
    {"RELEASE", H5_I16, 2, offsetof(CatalogRow, release), "", "release of the photometry"},
    {"BRICKID", H5_I32, 4, offsetof(CatalogRow, brickid), "", "brick of the photometry"},
    {"BRICK_OBJID", H5_I32, 4, offsetof(CatalogRow, brick_objid), "", "object number in its brick"},
    {"BRICKNAME", H5_TEXT, 12, offsetof(CatalogRow, brickname), "", "brick of the Tractor file"},
    {"PHOTSYS", H5_TEXT, 1, offsetof(CatalogRow, photsys), "", "N = BASS/MzLS, S = DECam"},
    {"MORPHTYPE", H5_TEXT, 4, offsetof(CatalogRow, morphtype), "", "shape of the photometry: PSF REX EXP DEV SER"},
    {"MASKBITS", H5_I32, 4, offsetof(CatalogRow, maskbits), "", "MASKBITS of the photometry, 0 = clean"},
    {"MATCH", H5_U8, 1, offsetof(CatalogRow, match), "", "photometry found by: 0 nothing, 1 identifier, 2 position"},
    {"FLUX_G", H5_F32, 4, offsetof(CatalogRow, flux[0]), "nanomaggy", "flux in g, not corrected for extinction"},
    {"FLUX_R", H5_F32, 4, offsetof(CatalogRow, flux[1]), "nanomaggy", "flux in r, not corrected for extinction"},
    {"FLUX_Z", H5_F32, 4, offsetof(CatalogRow, flux[2]), "nanomaggy", "flux in z, not corrected for extinction"},
    {"EBV", H5_F32, 4, offsetof(CatalogRow, ebv), "mag", "Galactic reddening E(B-V)"},
    {"Z_PHOT_MEAN", H5_F32, 4, offsetof(CatalogRow, z_phot), "",
     "photometric redshift of the image survey, NaN = none"},
    {"Z_PHOT_STD", H5_F32, 4, offsetof(CatalogRow, z_phot_std), "", "its standard deviation"},
    {"SPLIT", H5_U8, 1, offsetof(CatalogRow, split), "", "0 train, 1 val, 2 test"},
    {"HAS_SPECTRUM", H5_U8, 1, offsetof(CatalogRow, has_spectrum), "", "1 = a spectrum is to be read"},
    {"HAS_IMAGE", H5_U8, 1, offsetof(CatalogRow, has_image), "", "1 = an image is to be cut out"},
    {"FILE", H5_I32, 4, offsetof(CatalogRow, source_file), "", "source of the row: index in /files"},
    {"ROW", H5_I64, 8, offsetof(CatalogRow, source_row), "", "source of the row: 0-based row of that file"},
    {"IMAGE_FILE", H5_I32, 4, offsetof(CatalogRow, image_file), "",
     "file of the image: index in /files, -1 = by position"},
    {"IMAGE_ROW", H5_I64, 8, offsetof(CatalogRow, image_row), "", "0-based row of that file"},
    {"labels/z", H5_F64, 8, offsetof(CatalogRow, label[LABEL_Z]), "", "redshift, NaN = none"},
    {"labels/logmstar", H5_F64, 8, offsetof(CatalogRow, label[LABEL_LOGMSTAR]), "",
     "log10 stellar mass in Msun, NaN = none"},
    {"labels/age", H5_F64, 8, offsetof(CatalogRow, label[LABEL_AGE]), "Gyr", "mass-weighted age, NaN = none"},
    {"labels/logz", H5_F64, 8, offsetof(CatalogRow, label[LABEL_LOGZ]), "",
     "log10 mass-weighted metallicity, NaN = none"},
    {"labels/logssfr", H5_F64, 8, offsetof(CatalogRow, label[LABEL_LOGSSFR]), "",
     "log10 specific star formation rate in 1/yr, NaN = none"},
    {"labels/ssfr_released", H5_F64, 8, offsetof(CatalogRow, label[LABEL_SSFR_RELEASED]), "",
     "ln SFR - ln Z as the released code has it, NaN = none"},
};
static const Column rejected_columns[] = {
    {"rejected/FILE", H5_I32, 4, offsetof(RejectedRow, source_file), "", "index in /files"},
    {"rejected/ROW", H5_I64, 8, offsetof(RejectedRow, source_row), "", "0-based row of that file"},
    {"rejected/TARGETID", H5_I64, 8, offsetof(RejectedRow, targetid), "", "identifier, negative = not unique"},
    {"rejected/SURVEY", H5_TEXT, 8, offsetof(RejectedRow, survey), "", "survey of the spectrum"},
    {"rejected/PROGRAM", H5_TEXT, 8, offsetof(RejectedRow, program), "", "program of the spectrum"},
    {"rejected/REASON", H5_I32, 4, offsetof(RejectedRow, reason), "",
     "index in /rejected/REASONS and /rejected/SENTENCES"},
};
static const Column manifest_columns[] = {
    {"manifest/PATH", H5_TEXT, sizeof((ManifestRow *)0)->path, offsetof(ManifestRow, path), "",
     "relative to the root of its role"},
    {"manifest/ROLE", H5_TEXT, 16, offsetof(ManifestRow, role), "", "what the file is read for"},
    {"manifest/SIZE", H5_I64, 8, offsetof(ManifestRow, size), "bytes", "-1 = absent"},
    {"manifest/DATASUM", H5_U32, 4, offsetof(ManifestRow, datasum), "",
     "DATASUM of the HDU with data, a mix of those of several, or a checksum"},
};
enum {
    N_ROW_COLUMNS = sizeof row_columns / sizeof row_columns[0],
    N_REJECTED_COLUMNS = sizeof rejected_columns / sizeof rejected_columns[0],
    N_MANIFEST_COLUMNS = sizeof manifest_columns / sizeof manifest_columns[0],
};
static const char inputs_attribute[] = "inputs"; /* Catalog.manifest */

/* ---- records <-> columns ---- */

/* Collective. One dataset of `total` rows per column, with unit and meaning. */
static Status new_table(H5File *f, const Column *column, int n_columns, int64_t total)
{
    for (int c = 0; c < n_columns; c++) {
        TRY(h5_new(f, column[c].name, column[c].type, column[c].width, &total, 1));
        if (column[c].unit[0]) TRY(h5_put_attr_text(f, column[c].name, "unit", column[c].unit));
        TRY(h5_put_attr_text(f, column[c].name, "meaning", column[c].meaning));
    }
    return OK;
}

/* Local. Records to rows [first, first + n). */
static Status write_table(H5File *f, const Column *column, int n_columns, const void *records, size_t stride,
                          int64_t first, int64_t n, Arena *scratch)
{
    Mark mark = arena_mark(scratch);
    for (int c = 0; c < n_columns; c++) {
        size_t cell = (size_t)column[c].width;
        char *buffer;
        TRY(arena_take((void **)&buffer, scratch, n, cell));
        const char *from = (const char *)records + column[c].offset;
        for (int64_t i = 0; i < n; i++) memcpy(buffer + (size_t)i * cell, from + (size_t)i * stride, cell);
        TRY(h5_write_rows(f, column[c].name, column[c].type, column[c].width, buffer, first, n));
        arena_reset(scratch, mark);
    }
    return OK;
}

/* Local. The other way round; fields without a column become 0. */
static Status read_table(void *records, size_t stride, H5File *f, const Column *column, int n_columns, int64_t first,
                         int64_t n, Arena *scratch)
{
    Mark mark = arena_mark(scratch);
    if (n > 0) memset(records, 0, (size_t)n * stride);
    for (int c = 0; c < n_columns; c++) {
        size_t cell = (size_t)column[c].width;
        char *buffer;
        TRY(arena_take((void **)&buffer, scratch, n, cell));
        TRY(h5_read_rows(buffer, f, column[c].name, column[c].type, column[c].width, first, n));
        char *to = (char *)records + column[c].offset;
        for (int64_t i = 0; i < n; i++) memcpy(to + (size_t)i * stride, buffer + (size_t)i * cell, cell);
        arena_reset(scratch, mark);
    }
    return OK;
}

static int compare_rejected(const void *a, const void *b)
{
    const RejectedRow *x = a, *y = b;
    if (x->source_file != y->source_file) return x->source_file < y->source_file ? -1 : 1;
    return x->source_row < y->source_row ? -1 : x->source_row > y->source_row;
}

/* ---- writing ---- */

/* This rank's part of a table. */
typedef struct {
    int64_t n, first, total;
} Part;

static Part part_of(const Par *par, int64_t n)
{
    Part p = {.n = n, .first = par_offset_i64(par, n), .total = n};
    par_sum_i64(par, &p.total, 1);
    return p;
}

/* What embed depends on of a row: its place and key, where its data are, and what an image is corrected with. Every
   byte is a field's: hashed as it stands, which costs a tenth of printing it. */
typedef struct {
    int64_t position, targetid;
    char survey[8], program[8];
    double ra, dec;
    int32_t healpix, uniqpix, tileid, night, petal, brickid;
    float ebv;
    char brickname[12], photsys;
    uint8_t has_spectrum, has_image, zero[5];
    uint64_t source_file, image_file; /* hashes of their names, 0 = found by position */
    int64_t source_row, image_row;
} RowInputs;
_Static_assert(sizeof(RowInputs) == 2 * 8 + 2 * 8 + 2 * 8 + 6 * 4 + 4 + 12 + 8 + 4 * 8, "no bytes between the fields");

/* One NaN is like another. */
static double plain(double x) { return isnan(x) ? (double)NAN : x; }

static RowInputs inputs_of_row(const CatalogRow *r, int64_t position, const FileList *files)
{
    RowInputs in = {
        .position = position,
        .targetid = r->targetid,
        .ra = plain(r->ra),
        .dec = plain(r->dec),
        .healpix = r->healpix,
        .uniqpix = r->uniqpix,
        .tileid = r->tileid,
        .night = r->night,
        .petal = r->petal,
        .brickid = r->brickid,
        .ebv = (float)plain((double)r->ebv),
        .photsys = r->photsys,
        .has_spectrum = r->has_spectrum,
        .has_image = r->has_image,
    };
    memcpy(in.survey, r->survey, sizeof in.survey);
    memcpy(in.program, r->program, sizeof in.program);
    memcpy(in.brickname, r->brickname, sizeof in.brickname);
    if (r->place != 0) {
        in.source_file = hash_bytes(files->path[r->source_file], strlen(files->path[r->source_file]));
        in.source_row = r->source_row;
    }
    if (r->image_file >= 0) {
        in.image_file = hash_bytes(files->path[r->image_file], strlen(files->path[r->image_file]));
        in.image_row = r->image_row;
    }
    return in;
}

/* Collective. What embed depends on: the files it will read, and for each row its key and where its data are. */
static Fingerprint inputs_of(const CatalogParts *parts, Part part, const ManifestRow *manifest, int64_t n_manifest,
                             const Par *par)
{
    SetHash h = {0};
    for (int64_t i = 0; i < n_manifest; i++)
        if (strcmp(manifest[i].role, ROLE_SPECTRA) == 0 || strcmp(manifest[i].role, ROLE_IMAGE) == 0)
            sethash_add_manifest(&h, &manifest[i], 1);
    for (int64_t i = 0; i < part.n; i++) {
        const RowInputs in = inputs_of_row(&parts->row[i], part.first + i, parts->files);
        sethash_add(&h, &in, sizeof in);
    }
    return sethash_finish(&h, par);
}

/* Collective. A small table of texts that all ranks hold. */
static Status put_texts(H5File *f, const char *dataset, const char *const *text, int64_t n, Arena *a)
{
    int64_t width = 1;
    char *cells;
    for (int64_t i = 0; i < n; i++) width = (int64_t)strlen(text[i]) > width ? (int64_t)strlen(text[i]) : width;
    TRY(arena_take((void **)&cells, a, n, (size_t)width));
    for (int64_t i = 0; i < n; i++) memcpy(cells + i * width, text[i], strlen(text[i]));
    return h5_put(f, dataset, H5_TEXT, width, cells, &n, 1);
}

/* Collective. Names and sentences of the reasons, and how many rows each cost. */
static Status put_reasons(H5File *f, const RejectedRow *rejected, int64_t n, const Par *par, Arena *a)
{
    const char *name[N_REJECTS], *sentence[N_REJECTS];
    int64_t count[N_REJECTS] = {0};
    for (int r = 0; r < N_REJECTS; r++) {
        name[r] = reject_table[r].name;
        sentence[r] = reject_table[r].sentence;
    }
    for (int64_t i = 0; i < n; i++) count[rejected[i].reason]++;
    par_sum_i64(par, count, N_REJECTS);
    int64_t n_reasons = N_REJECTS;
    TRY(put_texts(f, "rejected/REASONS", name, n_reasons, a));
    TRY(put_texts(f, "rejected/SENTENCES", sentence, n_reasons, a));
    return h5_put(f, "rejected/COUNTS", H5_I64, 0, count, &n_reasons, 1);
}

/* Collective. Objects that selections left out, by file and reason. */
static Status put_skipped(H5File *f, const SkippedRows *skipped, int64_t n, Arena *a)
{
    int32_t *file, *reason;
    int64_t *rows;
    TRY(arena_new(&file, a, n));
    TRY(arena_new(&reason, a, n));
    TRY(arena_new(&rows, a, n));
    for (int64_t i = 0; i < n; i++) {
        file[i] = skipped[i].file;
        reason[i] = skipped[i].reason;
        rows[i] = skipped[i].rows;
    }
    TRY(h5_put(f, "skipped/FILE", H5_I32, 0, file, &n, 1));
    TRY(h5_put(f, "skipped/REASON", H5_I32, 0, reason, &n, 1));
    return h5_put(f, "skipped/ROWS", H5_I64, 0, rows, &n, 1);
}

typedef struct {
    const CatalogParts *parts;
    const RejectedRow *rejected; /* sorted shares */
    const ManifestRow *manifest;
    Part rows, rejects, files;
    Column manifest_column[N_MANIFEST_COLUMNS];
} Tables;

/* Collective. The column PATH only as wide as the longest path. */
static void fit_paths(Column column[N_MANIFEST_COLUMNS], const ManifestRow *manifest, int64_t n, const Par *par)
{
    int64_t width = 1;
    for (int64_t i = 0; i < n; i++)
        width = (int64_t)strlen(manifest[i].path) > width ? (int64_t)strlen(manifest[i].path) : width;
    par_max_i64(par, &width, 1);
    memcpy(column, manifest_columns, sizeof manifest_columns);
    column[0].width = width;
}

/* Collective. rows_in = rows_out + rows_rejected + rows_skipped; by reason: /rejected/COUNTS and /skipped. */
static Status put_ledger(H5File *f, const Tables *t)
{
    int64_t skipped = 0;
    for (int64_t i = 0; i < t->parts->n_skipped; i++) skipped += t->parts->skipped[i].rows;
    TRY(h5_put_attr_i64(f, "/", "rows_in", t->parts->source_rows));
    TRY(h5_put_attr_i64(f, "/", "rows_out", t->rows.total));
    TRY(h5_put_attr_i64(f, "/", "rows_rejected", t->rejects.total));
    return h5_put_attr_i64(f, "/", "rows_skipped", skipped);
}

/* Collective. Everything that all ranks do together, in the same order. */
static Status write_structure(H5File *f, const Envelope *e, const Tables *t, const Par *par, Arena *a)
{
    TRY(artefact_write(f, e));
    Fingerprint inputs = inputs_of(t->parts, t->rows, t->manifest, t->files.n, par);
    TRY(h5_put_attr_text(f, "/", inputs_attribute, inputs.text));
    TRY(put_ledger(f, t));
    TRY(new_table(f, row_columns, N_ROW_COLUMNS, t->rows.total));
    TRY(new_table(f, rejected_columns, N_REJECTED_COLUMNS, t->rejects.total));
    TRY(new_table(f, t->manifest_column, N_MANIFEST_COLUMNS, t->files.total));
    TRY(put_reasons(f, t->rejected, t->rejects.n, par, a));
    TRY(put_skipped(f, t->parts->skipped, t->parts->n_skipped, a));
    return put_texts(f, "files", (const char *const *)t->parts->files->path, t->parts->files->n, a);
}

/* Local. */
static Status write_rows(H5File *f, const Tables *t, Arena *a)
{
    TRY(FAIL_POINT("catalog.write"));
    TRY(write_table(f, row_columns, N_ROW_COLUMNS, t->parts->row, sizeof(CatalogRow), t->rows.first, t->rows.n, a));
    TRY(write_table(f, rejected_columns, N_REJECTED_COLUMNS, t->rejected, sizeof *t->rejected, t->rejects.first,
                    t->rejects.n, a));
    return write_table(f, t->manifest_column, N_MANIFEST_COLUMNS, t->manifest, sizeof *t->manifest, t->files.first,
                       t->files.n, a);
}

/* PATH.part and the folder of PATH. */
static Status name_files(char **part, char **folder, const char *path, Arena *a)
{
    const char *slash = strrchr(path, '/');
    TRY(arena_printf(part, a, "%s.part", path));
    return arena_printf(folder, a, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
}

Status catalog_write(const char *path, const Envelope *e, const CatalogParts *parts, const Par *par, Arena *a)
{
    Status st = OK;
    H5File f = {0};
    Tables t = {.parts = parts};
    char *part = NULL, *folder = NULL;
    int64_t n_rejects = 0, n_measured = 0;
    TRY(par_sort((void **)&t.rejected, &n_rejects, par, parts->rejected, parts->n_rejected, sizeof *t.rejected,
                 compare_rejected, a));
    TRY(par_sort((void **)&t.manifest, &n_measured, par, parts->manifest, parts->n_manifest, sizeof *t.manifest,
                 manifest_compare, a));
    t.rows = part_of(par, parts->n);
    t.rejects = part_of(par, n_rejects);
    t.files = part_of(par, n_measured);
    fit_paths(t.manifest_column, t.manifest, t.files.n, par);

    st = name_files(&part, &folder, path, a);
    TRY(par_agree(par, st));
    TRY(artefact_make_folder(par, folder));
    TRY_DONE(h5_create(&f, part, par));
    TRY_DONE(write_structure(&f, e, &t, par, a));
    st = write_rows(&f, &t, a);
    TRY_DONE(par_agree(par, st));
    TRY_DONE(h5_close(&f));
    TRY_DONE(seal_file(part, par, a));
    TRY_DONE(artefact_publish(par, path));
done:
    h5_close(&f);
    if (st != OK && par->rank == 0 && part) remove(part);
    return st;
}

/* ---- reading ---- */

/* Local. All columns of a table are there and equally long. */
static Status check_table(int64_t *n, H5File *f, const Column *column, int n_columns)
{
    for (int c = 0; c < n_columns; c++) {
        H5Shape shape;
        TRY(h5_shape(&shape, f, column[c].name));
        if (c == 0) *n = shape.dims[0];
        if (shape.n_dims != 1 || shape.dims[0] != *n)
            return FAIL(E_INPUT,
                        "%s: dataset %s has another shape than %s: the file is damaged; remove it and run `astroclip "
                        "catalog` again",
                        f->path, column[c].name, column[0].name);
    }
    return OK;
}

static Status read_files(FileList *out, H5File *f, Arena *a)
{
    H5Shape shape;
    char *cells;
    TRY(h5_shape(&shape, f, "files"));
    if (shape.n_dims != 1 || shape.type != H5_TEXT)
        return FAIL(E_INPUT,
                    "%s: dataset files is not a list of texts: the file is damaged; remove it and run `astroclip "
                    "catalog` again",
                    f->path);
    int64_t n = shape.dims[0], width = shape.width;
    TRY(arena_take((void **)&cells, a, n, (size_t)width));
    TRY(h5_read_rows(cells, f, "files", H5_TEXT, width, 0, n));
    TRY(arena_new(&out->path, a, n));
    for (int64_t i = 0; i < n; i++) TRY(arena_printf(&out->path[i], a, "%.*s", (int)width, cells + i * width));
    out->n = n;
    return OK;
}

static Status check_file(Catalog *c, Arena *a)
{
    char *inputs;
    TRY(artefact_read(&c->envelope, &c->file, "catalog", CATALOG_VERSION, "catalog", a));
    TRY(check_table(&c->n, &c->file, row_columns, N_ROW_COLUMNS));
    TRY(check_table(&c->n_manifest, &c->file, manifest_columns, N_MANIFEST_COLUMNS));
    TRY(check_table(&c->n_rejected, &c->file, rejected_columns, N_REJECTED_COLUMNS));
    TRY(read_files(&c->files, &c->file, a));
    if (!h5_get_attr_text(&inputs, &c->file, "/", inputs_attribute, a) || strlen(inputs) != FINGERPRINT_TEXT - 1)
        return FAIL(E_INPUT,
                    "%s: attribute '%s' is absent or damaged; remove the file and run `astroclip catalog` again",
                    c->file.path, inputs_attribute);
    memcpy(c->manifest.text, inputs, FINGERPRINT_TEXT);
    return OK;
}

Status catalog_open(Catalog *out, const char *path, const Par *par, Arena *a)
{
    memset(out, 0, sizeof *out);
    TRY(h5_open(&out->file, path, par));
    Status st = check_file(out, a);
    if (par) st = par_agree(par, st);
    if (st != OK) catalog_close(out);
    return st;
}

Status catalog_read(CatalogRow *out, Catalog *c, int64_t first, int64_t n, Arena *scratch)
{
    return read_table(out, sizeof *out, &c->file, row_columns, N_ROW_COLUMNS, first, n, scratch);
}

Status catalog_read_pixels(int32_t *healpix, Catalog *c, int64_t first, int64_t n)
{
    return h5_read_rows(healpix, &c->file, "HEALPIX", H5_I32, 4, first, n);
}

Status catalog_read_fluxes(float *const flux[3], Catalog *c, int64_t first, int64_t n)
{
    static const char *const name[3] = {"FLUX_G", "FLUX_R", "FLUX_Z"};
    for (int b = 0; b < 3; b++) TRY(h5_read_rows(flux[b], &c->file, name[b], H5_F32, sizeof **flux, first, n));
    return OK;
}

Status catalog_read_choice(uint8_t *split, uint8_t *has_spectrum, uint8_t *has_image, Catalog *c, int64_t first,
                           int64_t n)
{
    TRY(h5_read_rows(split, &c->file, "SPLIT", H5_U8, 1, first, n));
    TRY(h5_read_rows(has_spectrum, &c->file, "HAS_SPECTRUM", H5_U8, 1, first, n));
    return h5_read_rows(has_image, &c->file, "HAS_IMAGE", H5_U8, 1, first, n);
}

Status catalog_read_manifest(ManifestRow *out, Catalog *c, int64_t first, int64_t n, Arena *scratch)
{
    return read_table(out, sizeof *out, &c->file, manifest_columns, N_MANIFEST_COLUMNS, first, n, scratch);
}

Status catalog_read_rejected(RejectedRow *out, Catalog *c, int64_t first, int64_t n, Arena *scratch)
{
    return read_table(out, sizeof *out, &c->file, rejected_columns, N_REJECTED_COLUMNS, first, n, scratch);
}

void catalog_close(Catalog *c)
{
    if (c) h5_close(&c->file);
}
