/* checkpoint.c - weights by name, strictly: a checkpoint fits the configured model tensor by tensor or is refused with the reason. */
#include "train/checkpoint.h"

#include <stdio.h>
#include <string.h>

static Status dataset_name(char out[PARAM_NAME + 16], const Param *t)
{
    int n = snprintf(out, PARAM_NAME + 16, "weights/%s", t->name);
    MUST(n > 0 && n < PARAM_NAME + 16);
    return OK;
}

static Status save(H5File *f, const Params *p, const Envelope *envelope)
{
    Envelope e = *envelope;
    e.kind = "checkpoint";
    e.version = CHECKPOINT_VERSION;
    TRY(artefact_write(f, &e));
    for (int64_t i = 0; i < p->n_params; i++) {
        char name[PARAM_NAME + 16];
        const Param *t = &p->param[i];
        TRY(dataset_name(name, t));
        TRY(h5_put(f, name, H5_F32, 0, params_at(p, i), t->dims, t->n_dims));
    }
    return OK;
}

Status checkpoint_save(const char *path, const Params *p, const Envelope *envelope)
{
    char part[H5_PATH];
    snprintf(part, sizeof part, "%s.part", path);
    H5File f = {0};
    TRY(h5_create(&f, part, NULL));
    Status st = save(&f, p, envelope), closed = h5_close(&f);
    TRY(st != OK ? st : closed);
    return artefact_publish(&par_alone, path);
}

static Status same_shape(const Param *t, const H5Shape *s, const char *path)
{
    bool same = s->n_dims == t->n_dims;
    for (int d = 0; d < t->n_dims && same; d++) same = s->dims[d] == t->dims[d];
    if (same) return OK;
    char want[96] = "", have[96] = "";
    for (int d = 0; d < t->n_dims; d++)
        snprintf(want + strlen(want), sizeof want - strlen(want), " %lld", (long long)t->dims[d]);
    for (int d = 0; d < s->n_dims; d++)
        snprintf(have + strlen(have), sizeof have - strlen(have), " %lld", (long long)s->dims[d]);
    return FAIL(E_INPUT,
                "%s: tensor %s has shape (%s ), the configured model wants (%s ): set the sizes in section 'model' to "
                "those of the checkpoint",
                path, t->name, have, want);
}

static Status load_tensor(Params *p, int64_t i, H5File *f, const char *path)
{
    char name[PARAM_NAME + 16];
    const Param *t = &p->param[i];
    H5Shape shape;
    TRY(dataset_name(name, t));
    if (!h5_has(f, name)) return FAIL(E_INPUT, "%s: tensor %s is missing", path, t->name);
    TRY(h5_shape(&shape, f, name));
    TRY(same_shape(t, &shape, path));
    real *value = params_at(p, i);
    TRY(h5_read_rows(value, f, name, H5_F32, 0, 0, shape.n_dims > 0 ? shape.dims[0] : 1));
    real probe = 0;
    for (int64_t k = 0; k < t->n; k++) probe += value[k] * 0;
    return probe == 0 ? OK : FAIL(E_INPUT, "%s: tensor %s holds NaN or Inf", path, t->name);
}

static Status load(Params *p, H5File *f, const char *path, Arena *scratch)
{
    Envelope e;
    char **names = NULL;
    int64_t n_names = 0;
    TRY(artefact_read(&e, f, "checkpoint", CHECKPOINT_VERSION, "train", scratch));
    TRY(h5_list(&names, &n_names, f, "weights", scratch));
    for (int64_t i = 0; i < n_names; i++)
        if (!params_find(p, names[i]))
            return FAIL(E_INPUT, "%s: tensor %s is not part of the configured model", path, names[i]);
    for (int64_t i = 0; i < p->n_params; i++) TRY(load_tensor(p, i, f, path));
    return OK;
}

Status checkpoint_load(Params *p, const char *path, Arena *scratch)
{
    Mark mark = arena_mark(scratch);
    H5File f = {0};
    TRY(h5_open(&f, path, NULL));
    Status st = load(p, &f, path, scratch), closed = h5_close(&f);
    arena_reset(scratch, mark);
    return st != OK ? st : closed;
}
