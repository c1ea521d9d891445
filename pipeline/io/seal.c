/* seal.c - walks an HDF5 file in the order of its names. What is hashed at a time (a chunk of rows, an attribute, the
   shape of a dataset) is a record of a set (par/sethash.h), and the ranks take the records in turn. */
#include "io/seal.h"

#include <stdio.h>
#include <string.h>

#include "par/sethash.h"

enum { CHUNK_BYTES = 1 << 20 };
static const char attribute[] = "data_checksum";

typedef struct {
    SetHash set;
    H5File *file;
    const Par *par;
    Arena *arena;
    SealPlaces *places; /* NULL = what is read is not kept */
    int64_t turn;
} Walk;

static bool my_turn(Walk *w) { return w->turn++ % w->par->n_ranks == w->par->rank; }

/* One record: where it stands, what it holds. */
static void enter(Walk *w, const char *object, const char *item, const void *data, int64_t bytes)
{
    HashState *h = hash_open();
    hash_add_text(h, object);
    hash_add_text(h, item);
    hash_add(h, data, (size_t)bytes);
    const Fingerprint one = hash_close(h);
    sethash_add_hash(&w->set, &one);
}

static Status add_attributes(Walk *w, const char *object)
{
    char **name = NULL;
    int64_t n = 0;
    TRY(h5_list_attrs(&name, &n, w->file, object, w->arena));
    for (int64_t i = 0; i < n; i++) {
        char *text = NULL, item[H5_PATH];
        double *value = NULL;
        int64_t count = 0;
        if (!my_turn(w)) continue;
        snprintf(item, sizeof item, "attribute %s", name[i]);
        if (h5_get_attr_text(&text, w->file, object, name[i], w->arena))
            enter(w, object, item, text, (int64_t)strlen(text));
        else if (h5_get_attr_f64s(&value, &count, w->file, object, name[i], w->arena))
            enter(w, object, item, value, count * (int64_t)sizeof *value);
    }
    return OK;
}

static Status add_dataset(Walk *w, const char *name, const H5Shape *s)
{
    char item[H5_PATH], *sums = NULL;
    int64_t row_bytes = (int64_t)h5_bytes(s->type, s->width), rows = s->n_dims > 0 ? s->dims[0] : 1;
    int at = snprintf(item, sizeof item, "type %d width %lld shape", s->type, (long long)s->width);
    for (int d = 0; d < s->n_dims; d++) {
        at += snprintf(item + at, sizeof item - (size_t)at, " %lld", (long long)s->dims[d]);
        if (d > 0) row_bytes *= s->dims[d];
    }
    if (my_turn(w)) enter(w, name, item, "", 0);
    char *whole = w->places ? w->places->of(w->places, name, s) : NULL;
    if (h5_get_attr_text(&sums, w->file, name, SEAL_ATTRIBUTE, w->arena) && h5_has(w->file, sums)) {
        if (!whole) return OK;
        return FAIL(E_INPUT, "%s: %s has checksums of its rows, which such a dataset never has", w->file->path, name);
    }
    if (row_bytes <= 0) return OK; /* no elements, or text of no fixed length, which no artefact has */
    const int64_t chunk = row_bytes < CHUNK_BYTES ? CHUNK_BYTES / row_bytes : 1;
    for (int64_t first = 0; first < rows; first += chunk) {
        const int64_t n = rows - first < chunk ? rows - first : chunk;
        const Mark mark = arena_mark(w->arena);
        char *data = whole ? whole + first * row_bytes : NULL;
        if (!my_turn(w)) continue;
        if (!whole) TRY(arena_take((void **)&data, w->arena, n, (size_t)row_bytes));
        TRY(h5_read_rows(data, w->file, name, s->type, s->width, first, n));
        snprintf(item, sizeof item, "rows from %lld", (long long)first);
        enter(w, name, item, data, n * row_bytes);
        arena_reset(w->arena, mark);
    }
    return OK;
}

static Status add_group(Walk *w, const char *group)
{
    char **name = NULL;
    int64_t n = 0;
    TRY(h5_list(&name, &n, w->file, group, w->arena));
    for (int64_t i = 0; i < n; i++) {
        const Mark mark = arena_mark(w->arena);
        char path[H5_PATH];
        H5Shape shape;
        if (snprintf(path, sizeof path, "%s%s%s", group[1] ? group : "", group[1] ? "/" : "", name[i]) >=
            (int)sizeof path)
            return FAIL(E_INPUT, "%s: the names in group '%.60s...' are too long", w->file->path, group);
        TRY(add_attributes(w, path));
        if (h5_is_group(w->file, path)) {
            TRY(add_group(w, path));
        } else {
            TRY(h5_shape(&shape, w->file, path));
            TRY(add_dataset(w, path, &shape));
        }
        arena_reset(w->arena, mark);
    }
    return OK;
}

static Status sum(Fingerprint *out, H5File *f, SealPlaces *places, const Par *par, Arena *scratch)
{
    Walk w = {.file = f, .par = par, .arena = scratch, .places = places};
    const Mark mark = arena_mark(scratch);
    Status st = add_group(&w, "/");
    arena_reset(scratch, mark);
    TRY(par_agree(par, st));
    *out = sethash_finish(&w.set, par);
    return OK;
}

Status seal_sum(Fingerprint *out, H5File *f, const Par *par, Arena *scratch) { return sum(out, f, NULL, par, scratch); }

static Status record(const char *path, const Fingerprint *made)
{
    H5File f = {0};
    TRY(h5_modify(&f, path, NULL));
    Status st = h5_put_attr_text(&f, "/", attribute, made->text), closed = h5_close(&f);
    TRY(st != OK ? st : closed);
    return h5_put_footer(path);
}

Status seal_file(const char *path, const Par *par, Arena *scratch)
{
    H5File f = {0};
    Fingerprint made;
    Status st = par_agree(par, h5_open(&f, path, NULL));
    if (st == OK) st = seal_sum(&made, &f, par, scratch);
    Status closed = h5_close(&f);
    TRY(par_agree(par, st != OK ? st : closed));
    return par_agree(par, par->rank == 0 ? record(path, &made) : OK);
}

bool seal_recorded(Fingerprint *out, H5File *f, Arena *scratch)
{
    char *text = NULL;
    if (!h5_get_attr_text(&text, f, "/", attribute, scratch)) return false;
    snprintf(out->text, sizeof out->text, "%s", text);
    return true;
}

static Status check(H5File *f, SealPlaces *places, const Par *par, Arena *scratch)
{
    Fingerprint said = {""}, held = {""};
    const Mark mark = arena_mark(scratch);
    const bool recorded = seal_recorded(&said, f, scratch);
    arena_reset(scratch, mark);
    if (!recorded && !places) return OK;
    TRY(sum(&held, f, places, par, scratch));
    if (!recorded || strcmp(said.text, held.text) == 0) return OK;
    return FAIL(E_INPUT, "%s is damaged: its checksum is %s, that of its data is %s; make or copy it again", f->path,
                said.text, held.text);
}

Status seal_check(H5File *f, const Par *par, Arena *scratch) { return check(f, NULL, par, scratch); }

Status seal_check_into(H5File *f, SealPlaces *places, Arena *scratch) { return check(f, places, &par_alone, scratch); }
