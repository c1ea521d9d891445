/* labeltable.c - one way to read columns of four formats. */
#include "data/labeltable.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool ends_with(const char *path, const char *end)
{
    const size_t n = strlen(path), m = strlen(end);
    return n >= m && strcasecmp(path + n - m, end) == 0;
}

static Status not_found(const char *path, const char *id, const char *const *wanted, const char *where)
{
    char names[512] = "";
    for (int k = 0; wanted[k]; k++)
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", k ? ", " : "", wanted[k]);
    return FAIL(E_INPUT, "%s: no table of labels: %s has the column %s and one of %s", path, where, id, names);
}

/* ---- HDF5 ---- */

static bool compound_has(LabelTable *t, const char *dataset, const char *id, const char *const *wanted)
{
    if (!h5_has_member(&t->h5, dataset, id)) return false;
    for (int k = 0; wanted[k]; k++)
        if (h5_has_member(&t->h5, dataset, wanted[k])) return true;
    return false;
}

static Status open_h5(LabelTable *t, const char *id, const char *const *wanted, Arena *a)
{
    char **name;
    int64_t n_names;
    H5Shape shape;
    TRY(h5_open(&t->h5, t->path, NULL));
    TRY(h5_list(&name, &n_names, &t->h5, "/", a));
    for (int64_t i = 0; i < n_names; i++) {
        if (!compound_has(t, name[i], id, wanted)) continue;
        TRY(h5_member_shape(&shape, &t->h5, name[i], id));
        if (shape.n_dims != 1) continue;
        t->kind = TABLE_H5_COMPOUND;
        t->dataset = name[i];
        t->n = shape.dims[0];
        return OK;
    }
    t->kind = TABLE_H5_COLUMNS;
    bool any = false;
    for (int k = 0; wanted[k]; k++) any = any || h5_has(&t->h5, wanted[k]);
    if (!any || !h5_has(&t->h5, id))
        return not_found(t->path, id, wanted, "none of its compound datasets, nor its root,");
    TRY(h5_shape(&shape, &t->h5, id));
    t->n = shape.n_dims == 1 ? shape.dims[0] : 0;
    return OK;
}

/* ---- FITS ---- */

static bool hdu_has(LabelTable *t, const char *id, const char *const *wanted)
{
    if (!fitsfile_has_column(&t->fits, id)) return false;
    for (int k = 0; wanted[k]; k++)
        if (fitsfile_has_column(&t->fits, wanted[k])) return true;
    return false;
}

static Status open_fits(LabelTable *t, const char *hdu, const char *id, const char *const *wanted)
{
    t->kind = TABLE_FITS;
    TRY(fitsfile_open(&t->fits, t->path));
    if (hdu[0]) {
        TRY(fitsfile_goto(&t->fits, hdu));
        if (hdu_has(t, id, wanted)) return fitsfile_rows(&t->n, &t->fits);
        return not_found(t->path, id, wanted, hdu);
    }
    for (int k = 1; fitsfile_goto_number(&t->fits, k) == OK; k++)
        if (hdu_has(t, id, wanted)) return fitsfile_rows(&t->n, &t->fits);
    fail_clear();
    return not_found(t->path, id, wanted, "none of its HDUs");
}

/* ---- CSV ---- */

static void trim(char *line, ssize_t *length)
{
    while (*length > 0 && (line[*length - 1] == '\n' || line[*length - 1] == '\r')) line[--*length] = '\0';
}

static char *next_cell(char **at)
{
    char *cell = *at;
    if (!cell) return NULL;
    char *comma = strchr(cell, ',');
    if (comma) *comma = '\0';
    *at = comma ? comma + 1 : NULL;
    const size_t n = strlen(cell);
    if (n >= 2 && cell[0] == '"' && cell[n - 1] == '"') {
        cell[n - 1] = '\0';
        cell++;
    }
    return cell;
}

static int csv_place(const LabelTable *t, const char *column)
{
    for (int k = 0; k < t->n_columns; k++)
        if (strcasecmp(t->column[k], column) == 0) return k;
    return -1;
}

static Status open_csv(LabelTable *t, const char *id, const char *const *wanted, Arena *a)
{
    enum { MOST = 4096 };
    char *line = NULL, *at, *cell;
    size_t room = 0;
    ssize_t length;
    Status st = OK;
    FILE *f = fopen(t->path, "r");
    t->kind = TABLE_CSV;
    if (!f) return FAIL(E_INPUT, "cannot open %s: %s", t->path, strerror(errno));
    st = arena_new(&t->column, a, MOST);
    if (st == OK && (length = getline(&line, &room, f)) >= 0) {
        trim(line, &length);
        for (at = line; st == OK && t->n_columns < MOST && (cell = next_cell(&at));)
            st = arena_text(&t->column[t->n_columns++], a, cell);
    }
    while (st == OK && (length = getline(&line, &room, f)) >= 0) {
        trim(line, &length);
        t->n += length > 0;
    }
    free(line);
    fclose(f);
    bool any = false;
    for (int k = 0; wanted[k]; k++) any = any || csv_place(t, wanted[k]) >= 0;
    if (st == OK && (!any || csv_place(t, id) < 0)) st = not_found(t->path, id, wanted, "its first line");
    return st;
}

/* What a line is for. */
typedef struct {
    const LabelTable *t;
    const int *place; /* (n) of the columns to read */
    int n;
    int64_t *id;        /* of the first column, or NULL: numbers */
    double *const *out; /* (n) */
} CsvRead;

static Status csv_line(const CsvRead *r, char *line, int64_t number, int64_t row)
{
    char *at = line, *cell, *end;
    int k = 0;
    for (; (cell = next_cell(&at)); k++)
        for (int c = 0; c < r->n; c++) {
            if (r->place[c] != k) continue;
            if (r->id)
                r->id[row] = strtoll(cell, &end, 10);
            else
                r->out[c][row] = cell[0] ? strtod(cell, &end) : (end = cell, NAN);
            if (*end != '\0' || (r->id && cell[0] == '\0'))
                return FAIL(E_INPUT, "%s:%lld: '%s' in column '%s' is no %s", r->t->path, (long long)number, cell,
                            r->t->column[k], r->id ? "identifier" : "number");
        }
    if (k == r->t->n_columns) return OK;
    return FAIL(E_INPUT, "%s:%lld: %d cells, the first line names %d", r->t->path, (long long)number, k,
                r->t->n_columns);
}

static Status read_csv(const CsvRead *r, int64_t first, int64_t n)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    int64_t number = 0, row = -1;
    Status st = OK;
    FILE *f = fopen(r->t->path, "r");
    if (!f) return FAIL(E_INPUT, "cannot open %s: %s", r->t->path, strerror(errno));
    while (st == OK && row + 1 < first + n && (length = getline(&line, &room, f)) >= 0) {
        trim(line, &length);
        if (++number == 1 || length == 0) continue;
        if (++row >= first) st = csv_line(r, line, number, row - first);
    }
    free(line);
    fclose(f);
    return st;
}

/* ---- any of them ---- */

Status labeltable_open(LabelTable *t, const char *path, const char *hdu, const char *id, const char *const *wanted,
                       Arena *a)
{
    *t = (LabelTable){0};
    snprintf(t->path, sizeof t->path, "%s", path);
    Status st;
    if (ends_with(path, ".csv"))
        st = open_csv(t, id, wanted, a);
    else if (ends_with(path, ".fits") || ends_with(path, ".fits.gz") || ends_with(path, ".fit"))
        st = open_fits(t, hdu, id, wanted);
    else
        st = open_h5(t, id, wanted, a);
    if (st != OK) labeltable_close(t);
    return st;
}

void labeltable_close(LabelTable *t)
{
    h5_close(&t->h5);
    fitsfile_close(&t->fits);
}

bool labeltable_has(LabelTable *t, const char *column)
{
    switch (t->kind) {
    case TABLE_H5_COMPOUND: return h5_has_member(&t->h5, t->dataset, column);
    case TABLE_H5_COLUMNS: return h5_has(&t->h5, column);
    case TABLE_FITS: return fitsfile_has_column(&t->fits, column);
    default: return csv_place(t, column) >= 0;
    }
}

Status labeltable_read_ids(int64_t *out, LabelTable *t, const char *id, int64_t first, int64_t n)
{
    const int place = t->kind == TABLE_CSV ? csv_place(t, id) : 0;
    switch (t->kind) {
    case TABLE_H5_COMPOUND: return h5_read_member(out, &t->h5, t->dataset, id, H5_I64, 0, first, n);
    case TABLE_H5_COLUMNS: return h5_read_rows(out, &t->h5, id, H5_I64, 0, first, n);
    case TABLE_FITS: return fitsfile_read_column(out, &t->fits, id, FITS_I64, first, n);
    default: return read_csv(&(CsvRead){t, &place, 1, out, NULL}, first, n);
    }
}

/* One number per row. */
static Status read_one(double *out, LabelTable *t, const char *column, int64_t first, int64_t n)
{
    H5Shape shape;
    if (t->kind == TABLE_FITS) return fitsfile_read_column(out, &t->fits, column, FITS_F64, first, n);
    TRY(t->kind == TABLE_H5_COMPOUND ? h5_member_shape(&shape, &t->h5, t->dataset, column)
                                     : h5_shape(&shape, &t->h5, column));
    if (shape.n_dims != 1 || shape.dims[0] != t->n)
        return FAIL(E_INPUT,
                    "%s: column %s holds several numbers per row, or of other rows; one expected for each of %lld",
                    t->path, column, (long long)t->n);
    if (t->kind == TABLE_H5_COMPOUND) return h5_read_member(out, &t->h5, t->dataset, column, H5_F64, 0, first, n);
    return h5_read_rows(out, &t->h5, column, H5_F64, 0, first, n);
}

Status labeltable_read(double *const *out, LabelTable *t, const char *const *column, int n_columns, int64_t first,
                       int64_t n, Arena *scratch)
{
    const Mark mark = arena_mark(scratch);
    int *place;
    TRY(arena_new(&place, scratch, n_columns));
    for (int c = 0; c < n_columns; c++) {
        for (int64_t i = 0; i < n; i++) out[c][i] = NAN;
        place[c] = column[c][0] && t->kind == TABLE_CSV ? csv_place(t, column[c]) : -1;
        if (t->kind != TABLE_CSV && column[c][0] && labeltable_has(t, column[c]))
            TRY(read_one(out[c], t, column[c], first, n));
    }
    if (t->kind == TABLE_CSV) TRY(read_csv(&(CsvRead){t, place, n_columns, NULL, out}, first, n));
    arena_reset(scratch, mark);
    return OK;
}

Status labeltable_read_wide(double *out, LabelTable *t, const char *column, int64_t width, int64_t first, int64_t n)
{
    H5Shape shape;
    if (t->kind != TABLE_H5_COMPOUND)
        return FAIL(E_INPUT, "%s: %s is read from compound datasets alone", t->path, column);
    TRY(h5_member_shape(&shape, &t->h5, t->dataset, column));
    int64_t have = 1;
    for (int d = 1; d < shape.n_dims; d++) have *= shape.dims[d];
    if (have != width)
        return FAIL(E_INPUT, "%s: column %s holds %lld numbers per row, not %lld", t->path, column, (long long)have,
                    (long long)width);
    return h5_read_member(out, &t->h5, t->dataset, column, H5_F64, 0, first, n);
}
