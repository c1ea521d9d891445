/* predictions.c - the file of predictions: contiguous columns that all ranks write their rows of. */
#include "probe/predictions.h"

#include <stdio.h>
#include <string.h>

#include "io/seal.h"

Status predictions_create(Predictions *p, const char *path, const Envelope *e, int64_t n, const Par *par, Arena *a)
{
    *p = (Predictions){.envelope = *e, .n = n};
    Status st = arena_printf(&p->path, a, "%s", path);
    if (st == OK) st = arena_printf(&p->part, a, "%s.part", path);
    TRY(par_agree(par, st));
    TRY(artefact_make_folder_of(par, path));
    TRY(h5_create(&p->file, p->part, par));
    TRY(artefact_write(&p->file, e));
    TRY(h5_put_attr_i64(&p->file, "/", "rows_in", n));
    return h5_put_attr_i64(&p->file, "/", "rows_out", n);
}

Status predictions_put(Predictions *p, const char *name, const float *x, int64_t width, int64_t first, int64_t mine,
                       const Par *par)
{
    const int64_t dims[2] = {p->n, width};
    TRY(par_agree(par, h5_new(&p->file, name, H5_F32, 0, dims, width > 1 ? 2 : 1)));
    Status st = FAIL_POINT("predictions.put");
    if (st == OK) st = h5_write_rows(&p->file, name, H5_F32, 0, x, first, mine);
    return par_agree(par, st);
}

Status predictions_publish(Predictions *p, const Par *par, Arena *a)
{
    TRY(artefact_put_seconds(&p->file));
    Status st = par_agree(par, h5_close(&p->file));
    if (st == OK) st = seal_file(p->part, par, a);
    if (st == OK) st = artefact_publish(par, p->path);
    if (st == OK) p->part = NULL;
    return st;
}

Status predictions_open(Predictions *p, const char *path, const Par *par, Arena *a)
{
    *p = (Predictions){0};
    TRY(h5_open(&p->file, path, par));
    Status st = artefact_read(&p->envelope, &p->file, "predictions", PREDICTIONS_VERSION, "probe", a);
    if (st == OK && !h5_get_attr_i64(&p->n, &p->file, "/", "rows_out"))
        st = FAIL(E_INPUT, "%s has no number 'rows_out': the file is damaged; run `astroclip probe --force`", path);
    if (st != OK) h5_close(&p->file);
    return st;
}

bool predictions_have(Predictions *p, const char *name) { return h5_has(&p->file, name); }

Status predictions_read(float *out, Predictions *p, const char *name, int64_t width, int64_t first, int64_t n)
{
    H5Shape shape;
    const int64_t dims[2] = {p->n, width};
    TRY(h5_expect(&shape, &p->file, name, dims, width > 1 ? 2 : 1));
    return h5_read_rows(out, &p->file, name, H5_F32, 0, first, n);
}

void predictions_close(Predictions *p)
{
    if (!p) return;
    h5_close(&p->file);
    if (p->part) remove(p->part);
    p->part = NULL;
}
