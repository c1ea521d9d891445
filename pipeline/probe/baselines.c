/* baselines.c - the file of baselines: one table of numbers per model. */
#include "probe/baselines.h"

#include <stdio.h>
#include <string.h>

#include "io/seal.h"

/* MODEL/values */
static const char *values_of(char out[H5_PATH], const char *model)
{
    snprintf(out, H5_PATH, "%s/values", model);
    return out;
}

Status baselines_create(Baselines *b, const char *path, const Envelope *e, int64_t n, const Par *par, Arena *a)
{
    Envelope own = *e;
    *b = (Baselines){.envelope = *e, .n = n};
    own.kind = "baselines";
    own.version = BASELINES_VERSION;
    Status st = arena_printf(&b->path, a, "%s", path);
    if (st == OK) st = arena_printf(&b->part, a, "%s.part", path);
    TRY(par_agree(par, st));
    TRY(artefact_make_folder_of(par, path));
    TRY(h5_create(&b->file, b->part, par));
    TRY(artefact_write(&b->file, &own));
    TRY(h5_put_attr_i64(&b->file, "/", "rows_in", n));
    return h5_put_attr_i64(&b->file, "/", "rows_out", n);
}

Status baselines_new(Baselines *b, const char *model, const Label *label, int64_t dim, const Par *par)
{
    char name[H5_PATH];
    const int64_t dims[2] = {b->n, dim};
    TRY(par_agree(par, h5_new(&b->file, values_of(name, model), H5_F32, 0, dims, 2)));
    TRY(h5_put_attr_text(&b->file, model, "kind", label ? "supervised" : "features"));
    for (int64_t k = 0; label && k < dim; k++) TRY(h5_put_attr_i64(&b->file, model, label_table[label[k]].name, k));
    return OK;
}

Status baselines_write(Baselines *b, const char *model, const float *x, int64_t first, int64_t n)
{
    char name[H5_PATH];
    TRY(FAIL_POINT("baselines.put"));
    return h5_write_rows(&b->file, values_of(name, model), H5_F32, 0, x, first, n);
}

Status baselines_put(Baselines *b, const char *model, const Label *label, const float *x, int64_t dim, int64_t first,
                     int64_t mine, const Par *par)
{
    TRY(baselines_new(b, model, label, dim, par));
    return par_agree(par, baselines_write(b, model, x, first, mine));
}

Status baselines_publish(Baselines *b, const Par *par, Arena *a)
{
    TRY(artefact_put_seconds(&b->file));
    TRY(par_agree(par, h5_close(&b->file)));
    TRY(seal_file(b->part, par, a));
    TRY(artefact_publish(par, b->path));
    b->part = NULL;
    return OK;
}

Status baselines_open(Baselines *b, const char *path, const Par *par, Arena *a)
{
    *b = (Baselines){0};
    TRY(h5_open(&b->file, path, par));
    Status st = artefact_read(&b->envelope, &b->file, "baselines", BASELINES_VERSION, "baselines", a);
    if (st == OK && !h5_get_attr_i64(&b->n, &b->file, "/", "rows_out"))
        st = FAIL(E_INPUT, "%s has no number 'rows_out': the file is damaged; run `astroclip baselines --force`", path);
    if (st != OK) h5_close(&b->file);
    return st;
}

void baselines_close(Baselines *b)
{
    if (!b) return;
    h5_close(&b->file);
    if (b->part) remove(b->part);
    b->part = NULL;
}

int64_t baselines_dim(Baselines *b, const char *model)
{
    char name[H5_PATH];
    H5Shape shape;
    if (!h5_has(&b->file, values_of(name, model))) return 0;
    if (h5_expect(&shape, &b->file, name, (const int64_t[]){b->n, -1}, 2) == OK) return shape.dims[1];
    fail_clear();
    return 0;
}

int baselines_column(Baselines *b, const char *model, Label label)
{
    int64_t column;
    if (!h5_get_attr_i64(&column, &b->file, model, label_table[label].name)) return -1;
    return column >= 0 && column < baselines_dim(b, model) ? (int)column : -1;
}

Status baselines_read(float *out, Baselines *b, const char *model, int64_t first, int64_t n)
{
    char name[H5_PATH];
    return h5_read_rows(out, &b->file, values_of(name, model), H5_F32, 0, first, n);
}
