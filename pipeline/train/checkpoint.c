/* checkpoint.c - weights by name, strictly: a checkpoint fits the configured model tensor by tensor or is refused with the reason. */
#include "train/checkpoint.h"

#include <stdio.h>
#include <string.h>

#include "io/seal.h"

static Status dataset_name(char out[PARAM_NAME + 16], const char *tensor)
{
    int n = snprintf(out, PARAM_NAME + 16, "weights/%s", tensor);
    MUST(n > 0 && n < PARAM_NAME + 16);
    return OK;
}

/* ---- writing ---- */

Status checkpoint_create(H5File *f, const char *path, const Envelope *envelope, const char *model)
{
    char part[H5_PATH];
    Envelope e = *envelope;
    e.kind = "checkpoint";
    e.version = CHECKPOINT_VERSION;
    snprintf(part, sizeof part, "%s.part", path);
    TRY(h5_create(f, part, NULL));
    TRY(artefact_write(f, &e));
    return model[0] ? h5_put_attr_text(f, "/", "model", model) : OK;
}

Status checkpoint_put(H5File *f, const char *name, const float *values, int n_dims, const int64_t *dims)
{
    char dataset[PARAM_NAME + 16];
    TRY(dataset_name(dataset, name));
    return h5_put(f, dataset, H5_F32, 0, values, dims, n_dims);
}

Status checkpoint_finish(H5File *f, const char *path)
{
    Arena a;
    char part[H5_PATH];
    TRY(h5_close(f));
    snprintf(part, sizeof part, "%s.part", path);
    TRY(arena_init(&a, "checksum of a checkpoint", 0));
    Status st = seal_file(part, &par_alone, &a);
    arena_free(&a);
    return st != OK ? st : artefact_publish(&par_alone, path);
}

static Status save(H5File *f, const char *path, const Params *p, const Envelope *envelope)
{
    TRY(checkpoint_create(f, path, envelope, ""));
    for (int64_t i = 0; i < p->n_params; i++)
        TRY(checkpoint_put(f, p->param[i].name, params_at(p, i), p->param[i].n_dims, p->param[i].dims));
    return checkpoint_finish(f, path);
}

Status checkpoint_save(const char *path, const Params *p, const Envelope *envelope)
{
    H5File f = {0};
    Status st = save(&f, path, p, envelope);
    if (st != OK) h5_close(&f);
    return st;
}

/* ---- reading ---- */

static Status open_weights(H5File *f, char ***names, int64_t *n, const char *path, Arena *a)
{
    Envelope e;
    TRY(h5_open(f, path, NULL));
    TRY(artefact_read(&e, f, "checkpoint", CHECKPOINT_VERSION, "import", a));
    return h5_list(names, n, f, "weights", a);
}

/* Weights that were damaged after they were written would embed a whole survey wrongly: reading them once more costs less. */
Status checkpoint_open(H5File *f, char ***names, int64_t *n, const char *path, Arena *a)
{
    TRY(open_weights(f, names, n, path, a));
    return seal_check(f, &par_alone, a);
}

Status checkpoint_get(float **values, H5Shape *shape, H5File *f, const char *name, Arena *a)
{
    char dataset[PARAM_NAME + 16];
    if (strlen(name) >= PARAM_NAME) return FAIL(E_INPUT, "%s: the name of tensor %.60s... is too long", f->path, name);
    TRY(dataset_name(dataset, name));
    return h5_get((void **)values, shape, f, dataset, H5_F32, a);
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
                "%s: tensor %s has shape (%s ), the configured model wants (%s ): set its sizes in the run file to "
                "those of the checkpoint",
                path, t->name, have, want);
}

static bool is_needed(const char *name, const char *const *needed)
{
    for (; needed && *needed; needed++)
        if (strncmp(name, *needed, strlen(*needed)) == 0) return true;
    return needed == NULL;
}

/* By the bits of exponents, which compilers make vectors of. */
static bool all_finite(const real *x, int64_t n)
{
    int32_t found = 0;
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        found |= (bits & 0x7f800000u) == 0x7f800000u;
    }
    return found == 0;
}

/* Does a tensor fit its dataset, or may it be missing? */
static Status match_tensor(const Param *t, H5File *f, const char *const *needed)
{
    char name[PARAM_NAME + 16];
    H5Shape shape;
    TRY(dataset_name(name, t->name));
    if (!h5_has(f, name))
        return is_needed(t->name, needed) ? FAIL(E_INPUT, "%s: tensor %s is missing", f->path, t->name) : OK;
    TRY(h5_shape(&shape, f, name));
    if (shape.type != H5_F32) return FAIL(E_INPUT, "%s: tensor %s is not of type float", f->path, t->name);
    return same_shape(t, &shape, f->path);
}

/* The values of a table as places for what a walk reads. */
typedef struct {
    SealPlaces base; /* first: the walk knows nothing else */
    const Params *params;
} Places;

static void *place_of(SealPlaces *base, const char *dataset, const H5Shape *shape)
{
    static const char group[] = "weights/";
    const Params *p = ((const Places *)base)->params;
    (void)shape; /* match_tensor saw it */
    if (strncmp(dataset, group, sizeof group - 1) != 0) return NULL;
    const Param *t = params_find(p, dataset + sizeof group - 1);
    return t ? p->value + t->offset : NULL;
}

/* Each tensor is read once: for the checksum of the file, into its place. */
static Status load(Params *p, H5File *f, char **names, int64_t n_names, const char *const *needed, Arena *scratch)
{
    Places places = {{place_of}, p};
    for (int64_t i = 0; i < n_names; i++)
        if (!params_find(p, names[i]))
            return FAIL(E_INPUT, "%s: tensor %s is not part of the configured model", f->path, names[i]);
    for (int64_t i = 0; i < p->n_params; i++) TRY(match_tensor(&p->param[i], f, needed));
    TRY(seal_check_into(f, &places.base, scratch));
    for (int64_t i = 0; i < p->n_params; i++)
        if (!all_finite(params_at(p, i), p->param[i].n))
            return FAIL(E_INPUT, "%s: tensor %s holds NaN or Inf", f->path, p->param[i].name);
    return OK;
}

/* A checkpoint that does not fit tells which sizes would. */
static void note_sizes(H5File *f, Arena *scratch)
{
    char *model = NULL;
    if (h5_get_attr_text(&model, f, "/", "model", scratch) && model[0])
        fail_note("fitting the checkpoint to the run file, which it wants to say:\n%s", model);
}

Status checkpoint_load_parts(Params *p, const char *path, const char *const *needed, Arena *scratch)
{
    Mark mark = arena_mark(scratch);
    H5File f = {0};
    char **names = NULL;
    int64_t n_names = 0;
    Status st = open_weights(&f, &names, &n_names, path, scratch);
    if (st == OK) {
        st = load(p, &f, names, n_names, needed, scratch);
        if (st != OK) note_sizes(&f, scratch);
    }
    Status closed = h5_close(&f);
    arena_reset(scratch, mark);
    return st != OK ? st : closed;
}

Status checkpoint_load(Params *p, const char *path, Arena *scratch)
{
    return checkpoint_load_parts(p, path, NULL, scratch);
}
