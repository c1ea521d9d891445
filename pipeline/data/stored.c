/* stored.c - files and columns of published sets. */
#include "data/stored.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/hash.h"
#include "data/folder.h"

enum { WIDEST_TEXT = 64 };

const char *stored_root(const void *config) { return ((const StoredConfig *)config)->root; }

Status stored_spectrum_file(char *path, size_t size, const void *config, const CatalogRow *row, const FileList *files)
{
    (void)config;
    if (row->source_file < 0 || row->source_file >= files->n)
        return FAIL(E_INPUT, "TARGETID %lld: the catalogue does not say which file its spectrum came from",
                    (long long)row->targetid);
    int length = snprintf(path, size, "%s", files->path[row->source_file]);
    if (length < 0 || (size_t)length >= size)
        return FAIL(E_CONFIG, "the path %.200s... is longer than %zu characters", path, size);
    return OK;
}

/* ---- files ---- */

static bool ends_in(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

Status stored_add_folder(FileList *out, int64_t *room, const char *root, const char *folder, const char *head, Arena *a)
{
    FileList names;
    bool found;
    TRY(folder_list(&names, &found, root, folder, a));
    for (int64_t i = 0; i < names.n; i++) {
        const char *name = names.path[i];
        char path[STORED_PATH];
        if (strncmp(name, head, strlen(head)) != 0 || !(ends_in(name, ".h5") || ends_in(name, ".hdf5"))) continue;
        if (snprintf(path, sizeof path, "%s%s%s", folder, folder[0] ? "/" : "", name) >= (int)sizeof path)
            return FAIL(E_INPUT, "the path %.200s... is longer than %zu characters", path, sizeof path);
        TRY(filelist_add(out, room, path, a));
    }
    return OK;
}

Status stored_add_given(FileList *out, int64_t *room, bool *given, const StoredConfig *c, Arena *a)
{
    *given = c->files.n > 0;
    for (int64_t i = 0; i < c->files.n; i++) TRY(filelist_add(out, room, c->files.item[i], a));
    filelist_sort(out);
    return OK;
}

Status stored_check_found(const FileList *files, const char *root, const char *what)
{
    return files->n > 0 ? OK : FAIL(E_INPUT, "%s: there are no files %s in it", root, what);
}

Status stored_open(H5File *f, const void *config, const char *path)
{
    char full[2 * STORED_PATH];
    memset(f, 0, sizeof *f);
    survey_file(full, sizeof full, stored_root(config), path); /* an absent file is named by the open */
    return h5_open(f, full, NULL);
}

/* ---- columns ---- */

Status stored_names(StoredNames *out, H5File *f, Arena *a) { return h5_list(&out->name, &out->n, f, "/", a); }

const char *stored_find(const StoredNames *names, const char *wanted)
{
    for (int64_t i = 0; i < names->n; i++)
        if (strcmp(names->name[i], wanted) == 0) return names->name[i];
    for (int64_t i = 0; i < names->n; i++)
        if (strcasecmp(names->name[i], wanted) == 0) return names->name[i];
    return NULL;
}

Status stored_rows(int64_t *n, H5File *f, const char *dataset)
{
    H5Shape s;
    TRY(h5_shape(&s, f, dataset));
    if (s.n_dims < 1) return FAIL(E_INPUT, "%s: dataset '%s' is a single value, rows expected", f->path, dataset);
    *n = s.dims[0];
    return OK;
}

Status stored_expect(H5Shape *out, H5File *f, const char *dataset, const int64_t *dims, int n_dims)
{
    TRY(h5_expect(out, f, dataset, dims, n_dims));
    if (out->type != H5_TEXT) return OK;
    return FAIL(E_INPUT, "%s: dataset '%s' holds text, numbers expected; is it the right file?", f->path, dataset);
}

/* One value per row: shape (n) or (n, 1). */
static Status column_shape(H5Shape *s, H5File *f, const char *dataset, int64_t n_file)
{
    TRY(h5_shape(s, f, dataset));
    bool single = s->n_dims >= 1;
    for (int i = 1; i < s->n_dims; i++) single = single && s->dims[i] == 1;
    if (single && s->dims[0] == n_file) return OK;
    return FAIL(E_INPUT, "%s: dataset '%s' is not one value for each of %lld rows; is it the right file?", f->path,
                dataset, (long long)n_file);
}

/* "b'123'" and "123   " mean "123". `cell` ends with a NUL. */
static void clean_text(char *cell)
{
    size_t n = strlen(cell);
    if (n >= 3 && cell[0] == 'b' && (cell[1] == '\'' || cell[1] == '"') && cell[n - 1] == cell[1]) {
        cell[n - 1] = '\0';
        memmove(cell, cell + 2, n - 2);
        n -= 3;
    }
    while (n > 0 && isspace((unsigned char)cell[n - 1])) cell[--n] = '\0';
}

Status stored_read_text(char **out, int64_t width, H5File *f, const char *dataset, int64_t n_file, int64_t first,
                        int64_t n, Arena *a)
{
    H5Shape s;
    int64_t *number;
    TRY(column_shape(&s, f, dataset, n_file));
    TRY(arena_take((void **)out, a, n, (size_t)width));
    if (s.type == H5_TEXT) {
        TRY(h5_read_rows(*out, f, dataset, H5_TEXT, width, first, n));
        for (int64_t i = 0; i < n; i++) {
            (*out)[i * width + width - 1] = '\0';
            clean_text(*out + i * width);
        }
        return OK;
    }
    TRY(arena_new(&number, a, n));
    TRY(h5_read_rows(number, f, dataset, H5_I64, 0, first, n));
    for (int64_t i = 0; i < n; i++) snprintf(*out + i * width, (size_t)width, "%lld", (long long)number[i]);
    return OK;
}

/* Text into a field that is padded with NUL and need not end with one. */
static Status read_text_column(CatalogRow *rows, H5File *f, const char *dataset, const StoredColumn *c, int64_t n_file,
                               int64_t first, int64_t n, Arena *scratch)
{
    char *text;
    MUST(c->width > 0 && c->width <= WIDEST_TEXT);
    TRY(stored_read_text(&text, WIDEST_TEXT, f, dataset, n_file, first, n, scratch));
    for (int64_t i = 0; i < n; i++) {
        char *field = (char *)&rows[i] + c->offset, *cell = text + i * WIDEST_TEXT;
        size_t length = strlen(cell), room = (size_t)c->width;
        memset(field, 0, room);
        memcpy(field, cell, length < room ? length : room);
        if (room > 1) field[room - 1] = '\0';
    }
    return OK;
}

static Status read_column(CatalogRow *rows, H5File *f, const char *dataset, const StoredColumn *c, int64_t n_file,
                          int64_t first, int64_t n, Arena *scratch)
{
    H5Shape s;
    char *value;
    TRY(column_shape(&s, f, dataset, n_file));
    if (c->type == H5_TEXT && s.type != H5_TEXT) return OK;
    if (c->type == H5_TEXT) return read_text_column(rows, f, dataset, c, n_file, first, n, scratch);
    size_t bytes = h5_bytes(c->type, 0);
    TRY(arena_take((void **)&value, scratch, n, bytes));
    TRY(h5_read_rows(value, f, dataset, c->type, 0, first, n));
    for (int64_t i = 0; i < n; i++) memcpy((char *)&rows[i] + c->offset, value + (size_t)i * bytes, bytes);
    return OK;
}

Status stored_read_columns(CatalogRow *rows, H5File *f, const StoredNames *names, const StoredColumn *columns,
                           int64_t n_file, int64_t first, int64_t n, Arena *scratch)
{
    for (const StoredColumn *c = columns; c->name; c++) {
        const char *dataset = stored_find(names, c->name);
        if (!dataset && c->needed)
            return FAIL(E_INPUT, "%s: there is no dataset '%s' in it; is it a file of this set?", f->path, c->name);
        if (!dataset) continue;
        Mark mark = arena_mark(scratch);
        Status st = read_column(rows, f, dataset, c, n_file, first, n, scratch);
        arena_reset(scratch, mark);
        TRY(st);
    }
    return OK;
}

int64_t stored_name_id(const char *name)
{
    char *end;
    errno = 0;
    long long number = strtoll(name, &end, 10);
    if (end != name && *end == '\0' && errno == 0) return number;
    return (int64_t)((hash_bytes(name, strlen(name)) >> 2) | UINT64_C(1) << 62);
}
