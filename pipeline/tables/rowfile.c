/* rowfile.c - HDF5 artefacts and FITS tables as columns of rows. */
#include "tables/rowfile.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 4096, KEY_CHUNK = 65536, GAP_ROWS = 32, GATHER_BYTES = 16 << 20 };

/* ---- what a file is ---- */

/* How rows of a kind of artefact are named. */
typedef struct {
    const char *kind, *key[3];
} KeyNames;
static const KeyNames key_names[] = {
    {"catalog", {"TARGETID", "SURVEY", "PROGRAM"}},
    {"embeddings", {"object_id", "survey", "program"}},
    {"embeddings-volume", {"object_id", "survey", "program"}},
    {"properties", {"TARGETID", "SURVEY", "PROGRAM"}},
};

static const KeyNames *find_names(const char *kind)
{
    for (size_t i = 0; i < sizeof key_names / sizeof *key_names; i++)
        if (strcmp(key_names[i].kind, kind) == 0) return &key_names[i];
    return NULL;
}

static bool is_key(const KeyNames *names, const char *name)
{
    for (int k = 0; k < 3; k++)
        if (strcmp(names->key[k], name) == 0) return true;
    return false;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const RowColumn *)a)->name, ((const RowColumn *)b)->name);
}

static Status add_column(RowFile *f, const char *name, RowKind kind, int64_t n, int64_t element, Arena *a)
{
    if (n < 1 || element < 1) return OK; /* holds nothing */
    if (f->n_columns == COLUMNS) return FAIL(E_INPUT, "%s has more than %d columns", f->path, COLUMNS);
    char *copy = NULL;
    TRY(arena_text(&copy, a, name));
    f->column[f->n_columns++] = (RowColumn){.name = copy, .kind = kind, .n = n, .bytes = n * element};
    return OK;
}

/* ---- HDF5 ---- */

/* Tables of a catalogue that are not about its rows. */
static bool is_aside(const char *path)
{
    static const char *const aside[] = {"files", "rejected", "skipped", "manifest", "block_start", "block_checksum"};
    for (size_t i = 0; i < sizeof aside / sizeof *aside; i++) {
        size_t n = strlen(aside[i]);
        if (strncmp(path, aside[i], n) == 0 && (path[n] == '\0' || path[n] == '/')) return true;
    }
    return false;
}

static Status h5_columns(RowFile *f, const KeyNames *names, const char *group, Arena *a)
{
    char **name = NULL;
    int64_t n = 0;
    TRY(h5_list(&name, &n, &f->h5, group, a));
    for (int64_t i = 0; i < n; i++) {
        char path[512];
        H5Shape s;
        snprintf(path, sizeof path, "%s%s%s", group[1] ? group : "", group[1] ? "/" : "", name[i]);
        if (is_aside(path) || is_key(names, path)) continue;
        if (h5_shape(&s, &f->h5, path) != OK) { /* a group */
            fail_clear();
            TRY(h5_columns(f, names, path, a));
            continue;
        }
        if (s.n_dims < 1 || s.dims[0] != f->n) continue;
        int64_t elements = 1;
        for (int d = 1; d < s.n_dims; d++) elements *= s.dims[d];
        bool real = s.type == H5_F32 || s.type == H5_F64;
        TRY(add_column(f, path,
                       s.type == H5_TEXT ? ROW_TEXT
                       : real            ? ROW_REAL
                                         : ROW_WHOLE,
                       elements, s.type == H5_TEXT ? s.width : 8, a));
    }
    return OK;
}

static Status open_h5(RowFile *f, Arena *a)
{
    H5Shape shape;
    char *text = NULL;
    TRY(h5_open(&f->h5, f->path, NULL));
    if (!artefact_peek(&f->envelope, &f->h5, a))
        return FAIL(E_INPUT, "%s is not an artefact of astroclip: it has no attributes 'kind' and 'version'", f->path);
    f->program = h5_get_attr_text(&text, &f->h5, "/", "program_version", a) ? text : "";
    const KeyNames *names = find_names(f->envelope.kind);
    if (!names) return OK;
    for (int k = 0; k < 3; k++) f->key[k] = h5_has(&f->h5, names->key[k]) ? names->key[k] : NULL;
    TRY(h5_shape(&shape, &f->h5, names->key[0]));
    f->n = shape.n_dims == 1 ? shape.dims[0] : 0;
    return h5_columns(f, names, "/", a);
}

/* ---- FITS ---- */

static const char *fits_text(FitsFile *f, const char *key, Arena *a)
{
    char text[65536] = "", *copy = NULL;
    if (!fitsfile_get_text(text, sizeof text, f, key) || arena_text(&copy, a, text) != OK) return "";
    char *to = copy; /* what artefact_write_fits made of lines */
    for (const char *c = copy; *c; c++) {
        bool escaped = *c == '\\' && c[1];
        if (escaped) c++;
        *to++ = escaped && *c == 'n' ? '\n' : escaped && *c == 't' ? '\t' : *c;
    }
    *to = '\0';
    return copy;
}

static void fits_envelope(RowFile *f, Arena *a)
{
    Envelope *e = &f->envelope;
    *e = (Envelope){.kind = fits_text(&f->table, "ASTKIND", a), .made_by = fits_text(&f->table, "MADEBY", a)};
    fitsfile_get_i64(&e->version, &f->table, "ASTVER");
    fitsfile_get_i64(&e->seed, &f->table, "SEED");
    e->config = fits_text(&f->table, "CONFIG", a);
    e->specprod = fits_text(&f->table, "SPECPROD", a);
    e->image_release = fits_text(&f->table, "IMGREL", a);
    e->provider = fits_text(&f->table, "GEMM", a);
    snprintf(e->fingerprint.text, sizeof e->fingerprint.text, "%s", fits_text(&f->table, "FPRINT", a));
    f->program = fits_text(&f->table, "PROGVER", a);
}

static Status fits_columns(RowFile *f, const KeyNames *names, Arena *a)
{
    for (int c = 1; c <= COLUMNS; c++) {
        char key[24], name[FITS_NAME], format[FITS_NAME] = "";
        snprintf(key, sizeof key, "TTYPE%d", c);
        if (!fitsfile_get_text(name, sizeof name, &f->table, key)) break;
        snprintf(key, sizeof key, "TFORM%d", c);
        fitsfile_get_text(format, sizeof format, &f->table, key);
        char letter = format[strspn(format, "0123456789")];
        int64_t width = 0;
        if (is_key(names, name)) continue;
        TRY(fitsfile_column_width(&width, &f->table, name));
        bool real = letter == 'E' || letter == 'D';
        int64_t before = f->n_columns;
        TRY(add_column(f, name,
                       letter == 'A' ? ROW_TEXT
                       : real        ? ROW_REAL
                                     : ROW_WHOLE,
                       letter == 'A' ? 1 : width, letter == 'A' ? width + 1 : 8, a));
        if (f->n_columns > before) f->column[before].logical = letter == 'L';
    }
    return OK;
}

static Status open_fits(RowFile *f, Arena *a)
{
    f->fits = true;
    TRY(fitsfile_open(&f->table, f->path));
    TRY(fitsfile_goto_number(&f->table, 0));
    fits_envelope(f, a);
    const KeyNames *names = find_names(f->envelope.kind);
    if (!names)
        return FAIL(E_INPUT, "%s is not a table of astroclip: its primary header has no ASTKIND that is known",
                    f->path);
    TRY(fitsfile_goto_number(&f->table, 1));
    for (int k = 0; k < 3; k++) f->key[k] = fitsfile_has_column(&f->table, names->key[k]) ? names->key[k] : NULL;
    TRY(fitsfile_rows(&f->n, &f->table));
    return fits_columns(f, names, a);
}

/* ---- either ---- */

Status rowfile_open(RowFile *f, const char *path, Arena *a)
{
    *f = (RowFile){.n = -1, .program = ""};
    size_t length = strlen(path);
    if (length >= sizeof f->path) return FAIL(E_CONFIG, "the path '%.60s...' is too long", path);
    memcpy(f->path, path, length + 1);
    TRY(arena_new(&f->column, a, COLUMNS));
    bool fits = (length > 5 && strcmp(path + length - 5, ".fits") == 0) ||
                (length > 8 && strcmp(path + length - 8, ".fits.gz") == 0);
    Status st = fits ? open_fits(f, a) : open_h5(f, a);
    if (st != OK) rowfile_close(f);
    qsort(f->column, (size_t)f->n_columns, sizeof *f->column, by_name);
    return st;
}

void rowfile_close(RowFile *f)
{
    if (f->fits)
        fitsfile_close(&f->table);
    else if (h5_close(&f->h5) != OK)
        fail_clear(); /* read only: nothing is lost */
}

int rowfile_find(const RowFile *f, const char *name)
{
    for (int c = 0; c < f->n_columns; c++)
        if (strcmp(f->column[c].name, name) == 0) return c;
    return -1;
}

/* ---- rows ---- */

/* true and false become 1 and 0, from the last to the first, because the bytes lie in the same memory. */
static Status read_logical(int64_t *out, RowFile *f, const char *name, int64_t elements, int64_t first, int64_t n)
{
    const uint8_t *byte = (const uint8_t *)out;
    TRY(fitsfile_read_column(out, &f->table, name, FITS_BOOL, first, n));
    for (int64_t i = n * elements - 1; i >= 0; i--) out[i] = byte[i];
    return OK;
}

static Status read_column(void *out, RowFile *f, const char *name, RowKind kind, int64_t cell, int64_t first, int64_t n)
{
    if (!f->fits) {
        H5Type type = kind == ROW_TEXT ? H5_TEXT : kind == ROW_REAL ? H5_F64 : H5_I64;
        return h5_read_rows(out, &f->h5, name, type, cell, first, n);
    }
    if (kind == ROW_TEXT) return fitsfile_read_text(out, (size_t)cell, &f->table, name, first, n);
    return fitsfile_read_column(out, &f->table, name, kind == ROW_REAL ? FITS_F64 : FITS_I64, first, n);
}

Status rowfile_read(void *out, RowFile *f, int column, int64_t first, int64_t n)
{
    const RowColumn *c = &f->column[column];
    if (c->logical) return read_logical(out, f, c->name, c->n, first, n);
    return read_column(out, f, c->name, c->kind, c->bytes / c->n, first, n);
}

typedef struct {
    int64_t row, place;
} Wanted;

static int by_row(const void *a, const void *b)
{
    const Wanted *x = a, *y = b;
    return (x->row > y->row) - (x->row < y->row);
}

/* Rows that lie close together are read in one go, the rows between them with them. */
Status rowfile_gather(void *out, RowFile *f, int column, const int64_t *row, int64_t n, Arena *scratch)
{
    const size_t bytes = (size_t)f->column[column].bytes;
    const Mark mark = arena_mark(scratch);
    int64_t most = GATHER_BYTES / (int64_t)(bytes ? bytes : 1);
    Wanted *wanted = NULL;
    if (most < 1) most = 1;
    TRY(arena_new(&wanted, scratch, n));
    bool sorted = true;
    for (int64_t i = 0; i < n; i++) {
        wanted[i] = (Wanted){row[i], i};
        if (i > 0 && row[i] < row[i - 1]) sorted = false;
    }
    if (!sorted) qsort(wanted, (size_t)n, sizeof *wanted, by_row);
    for (int64_t i = 0, end; i < n; i = end) {
        for (end = i + 1;
             end < n && wanted[end].row - wanted[end - 1].row <= GAP_ROWS && wanted[end].row - wanted[i].row < most;)
            end++;
        const Mark piece = arena_mark(scratch);
        char *buffer = NULL;
        int64_t first = wanted[i].row, count = wanted[end - 1].row - first + 1;
        TRY(arena_take((void **)&buffer, scratch, count, bytes));
        TRY(rowfile_read(buffer, f, column, first, count));
        for (int64_t k = i; k < end; k++)
            memcpy((char *)out + (size_t)wanted[k].place * bytes, buffer + (size_t)(wanted[k].row - first) * bytes,
                   bytes);
        arena_reset(scratch, piece);
    }
    arena_reset(scratch, mark);
    return OK;
}

/* ---- keys ---- */

/* Bytes of a cell of the key's text in memory. */
static Status key_width(int64_t *width, RowFile *f, const char *name)
{
    H5Shape shape;
    *width = 0;
    if (!name) return OK;
    if (f->fits) {
        TRY(fitsfile_column_width(width, &f->table, name));
        *width += 1;
        return OK;
    }
    TRY(h5_shape(&shape, &f->h5, name));
    *width = shape.width;
    return shape.type == H5_TEXT && shape.n_dims == 1 && shape.dims[0] == f->n
               ? OK
               : FAIL(E_INPUT, "%s: %s is not a text for each row", f->path, name);
}

Status rowfile_read_keys(RowKey *out, RowFile *f, KeyPairs *pairs, int64_t first, int64_t n, Arena *scratch)
{
    const Mark mark = arena_mark(scratch);
    int64_t *id = NULL, width[3] = {0}, pair = 0;
    char *text[3] = {NULL, NULL, NULL};
    TRY(arena_new(&id, scratch, n));
    TRY(read_column(id, f, f->key[0], ROW_WHOLE, 8, first, n));
    for (int k = 1; k < 3; k++) {
        TRY(key_width(&width[k], f, f->key[k]));
        TRY(arena_take((void **)&text[k], scratch, n, (size_t)width[k]));
        if (width[k] > 0) TRY(read_column(text[k], f, f->key[k], ROW_TEXT, width[k], first, n));
    }
    for (int64_t i = 0; i < n; i++) {
        TRY(keypairs_number(&pair, pairs, text[1] + i * width[1], (size_t)width[1], text[2] + i * width[2],
                            (size_t)width[2]));
        out[i] = rowkey(id[i], pair, first + i);
    }
    arena_reset(scratch, mark);
    return OK;
}

Status rowfile_keys(RowKey **out, RowFile *f, KeyPairs *pairs, Arena *a)
{
    TRY(arena_new(out, a, f->n));
    for (int64_t first = 0; first < f->n; first += KEY_CHUNK) {
        int64_t n = f->n - first < KEY_CHUNK ? f->n - first : KEY_CHUNK;
        TRY(rowfile_read_keys(*out + first, f, pairs, first, n, a));
    }
    return OK;
}
