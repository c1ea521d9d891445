/* twin.c - columns from the bytes of FITS rows. */
#include "tables/twin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/seal.h"

static const char *const group[N_ROW_TABLES] = {"PROPERTIES", "MORPHOLOGY"};

/* The type of a TFORM, and the characters of a text. */
static H5Type type_of(const char *format, int64_t *width)
{
    char *end;
    const long n = strtol(format, &end, 10);
    *width = end == format ? 1 : n;
    switch (*end) {
    case 'K': return H5_I64;
    case 'J': return H5_I32;
    case 'I': return H5_I16;
    case 'D': return H5_F64;
    case 'E': return H5_F32;
    case 'L': return H5_U8;
    default: return H5_TEXT;
    }
}

Status twin_create(Twin *t, const char *folder, const char *stem, const TablesConfig *c, const Envelope *e,
                   const PropertyLayout *l, int64_t rows, const Par *par, Arena *a)
{
    *t = (Twin){.layout = l};
    if (!c->hdf5) return OK;
    Status st = arena_printf(&t->path, a, "%s/%s.h5", folder, c->layout == LAYOUT_VAC ? c->name : stem);
    if (st == OK) st = arena_printf(&t->part, a, "%s.part", t->path);
    TRY(par_agree(par, st));
    TRY(h5_create(&t->file, t->part, par));
    t->open = true;
    TRY(artefact_write(&t->file, e));
    TRY(h5_put_attr_i64(&t->file, "/", "rows_in", rows));
    TRY(h5_put_attr_i64(&t->file, "/", "rows_out", rows));
    for (int k = 0; k < N_ROW_TABLES; k++)
        for (int i = 0; i < l[k].n; i++) {
            char name[H5_PATH];
            int64_t width;
            const FitsColumn *column = &l[k].fits[i];
            const H5Type type = type_of(column->format, &width);
            snprintf(name, sizeof name, "%s/%s", group[k], column->name);
            TRY(par_agree(par, h5_new(&t->file, name, type, width, &rows, 1)));
            if (column->unit[0]) TRY(par_agree(par, h5_put_attr_text(&t->file, name, "unit", column->unit)));
            TRY(par_agree(par, h5_put_attr_text(&t->file, name, "comment", column->comment)));
        }
    return OK;
}

/* One column of n rows, in the machine's byte order; logicals are 0 and 1. */
static void take_column(unsigned char *out, const unsigned char *bytes, int64_t row_bytes, const PropertyColumn *c,
                        H5Type type, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const unsigned char *from = bytes + i * row_bytes + c->offset;
        unsigned char *to = out + i * c->bytes;
        for (int64_t k = 0; k < c->bytes; k++) to[k] = type == H5_TEXT ? from[k] : from[c->bytes - 1 - k];
        if (type == H5_U8) *to = *from == 'T';
        for (int64_t k = c->bytes - 1; type == H5_TEXT && k >= 0 && to[k] == ' '; k--) to[k] = '\0';
    }
}

Status twin_write(Twin *t, unsigned char *const bytes[N_ROW_TABLES], int64_t first, int64_t n, Arena *scratch)
{
    if (!t->open) return OK;
    for (int k = 0; k < N_ROW_TABLES; k++)
        for (int i = 0; i < t->layout[k].n; i++) {
            const PropertyColumn *c = &t->layout[k].column[i];
            const Mark mark = arena_mark(scratch);
            unsigned char *values;
            char name[H5_PATH];
            int64_t width;
            const H5Type type = type_of(t->layout[k].fits[i].format, &width);
            snprintf(name, sizeof name, "%s/%s", group[k], t->layout[k].fits[i].name);
            TRY(arena_new(&values, scratch, n * c->bytes));
            take_column(values, bytes[k], t->layout[k].row_bytes, c, type, n);
            TRY(h5_write_rows(&t->file, name, type, width, values, first, n));
            arena_reset(scratch, mark);
        }
    return OK;
}

Status twin_publish(Twin *t, const Par *par, Arena *a)
{
    if (!t->open) return OK;
    Status st = par_agree(par, h5_close(&t->file));
    if (st == OK) st = seal_file(t->part, par, a);
    if (st == OK) st = artefact_publish(par, t->path);
    if (st == OK) t->open = false;
    return st;
}

void twin_close(Twin *t)
{
    if (!t->open) return;
    h5_close(&t->file);
    remove(t->part);
    t->open = false;
}
