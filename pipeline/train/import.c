/* import.c - each parameter of the recognised model is looked up, compared, read, written. The three input projections of a cross-attention come as one
   matrix or as three; ours are stored as the model declares them. */
#include "train/import.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char fused[] = "in_proj_weight";
static const char *const split[] = {"q_proj_weight", "k_proj_weight", "v_proj_weight"};
enum { N_SPLIT = 3 };

typedef struct {
    ImportReport *report;
    TorchFile *f;
    const OfficialModel *m;
    bool *used; /* (f->n) */
    bool allow_nonfinite;
    Arena *a;
} Import;

/* What a parameter is made of: its tensor, or three that are stacked. */
typedef struct {
    const TorchTensor *tensor[N_SPLIT];
    int n;
} Source;

static void find_source(Source *s, const Import *im, const Param *p)
{
    *s = (Source){.tensor = {official_tensor(im->m, im->f, p->name)}, .n = 1};
    const size_t length = strlen(p->name), end = strlen(fused);
    if (s->tensor[0] || length < end || strcmp(p->name + length - end, fused) != 0) return;
    for (int i = 0; i < N_SPLIT; i++) {
        char name[PARAM_NAME + 16];
        snprintf(name, sizeof name, "%.*s%s", (int)(length - end), p->name, split[i]);
        s->tensor[i] = official_tensor(im->m, im->f, name);
        if (!s->tensor[i]) s->tensor[0] = NULL;
    }
    s->n = N_SPLIT;
}

static void shape_text(char out[96], int n_dims, const int64_t *dims)
{
    int n = snprintf(out, 96, "(");
    for (int d = 0; d < n_dims && n < 70; d++)
        n += snprintf(out + n, 24, d > 0 ? ", %lld" : "%lld", (long long)dims[d]);
    snprintf(out + n, 4, ")");
}

/* The tensors, one above the other, have the parameter's shape. */
static Status check_shape(const Source *s, const Param *p, const char *path)
{
    for (int i = 0; i < s->n; i++) {
        const TorchTensor *t = s->tensor[i];
        bool same = t->n_dims == p->n_dims && t->dims[0] == p->dims[0] / s->n;
        for (int d = 1; d < p->n_dims && same; d++) same = t->dims[d] == p->dims[d];
        if (same) continue;
        char have[96], want[96];
        shape_text(have, t->n_dims, t->dims);
        shape_text(want, p->n_dims, p->dims);
        return FAIL(E_INPUT, "%s: tensor %s has shape %s, its model wants %s%s", path, t->name, have, want,
                    s->n > 1 ? " of all three projections together" : "");
    }
    return OK;
}

/* Everything fits by name and shape, before anything is written. */
static Status check_names(Import *im)
{
    const char *path = im->f->zip.path;
    for (int64_t i = 0; i < im->m->params.n_params; i++) {
        const Param *p = &im->m->params.param[i];
        Source s;
        find_source(&s, im, p);
        if (!s.tensor[0]) return FAIL(E_INPUT, "%s: tensor %s is missing", path, p->name);
        TRY(check_shape(&s, p, path));
        for (int k = 0; k < s.n; k++) im->used[s.tensor[k] - im->f->tensor] = true;
    }
    for (int64_t i = 0; i < im->f->n; i++) {
        const char *name = im->f->tensor[i].name;
        if (im->used[i]) continue;
        if (!official_leaves_out(im->m, name))
            return FAIL(E_INPUT, "%s: tensor %s is no part of %s", path, name, im->m->what);
        im->report->left_out++;
    }
    return OK;
}

static Status check_finite(Import *im, const Param *p, const float *value)
{
    float probe = 0;
    for (int64_t i = 0; i < p->n; i++) probe += value[i] * 0;
    if (probe == 0) return OK;
    im->report->not_finite++;
    if (im->allow_nonfinite) return OK;
    return FAIL(E_INPUT, "%s: tensor %s holds NaN or Inf; import.allow_nonfinite: true takes it nevertheless",
                im->f->zip.path, p->name);
}

static Status transfer(Import *im, H5File *to, const Param *p)
{
    const Mark mark = arena_mark(im->a);
    Source s;
    float *value = NULL;
    find_source(&s, im, p);
    TRY(arena_new(&value, im->a, p->n));
    for (int64_t k = 0, at = 0; k < s.n; at += s.tensor[k++]->n)
        TRY(torchfile_read(value + at, im->f, s.tensor[k], im->a));
    TRY(check_finite(im, p, value));
    TRY(checkpoint_put(to, p->name, value, p->n_dims, p->dims));
    im->report->tensors++;
    im->report->values += p->n;
    arena_reset(im->a, mark);
    return OK;
}

static Status write_all(Import *im, H5File *to, const char *path, const Envelope *envelope)
{
    char *model = NULL;
    TRY(official_yaml(&model, im->m, im->a));
    TRY(checkpoint_create(to, path, envelope, model));
    for (int64_t i = 0; i < im->m->params.n_params; i++) TRY(transfer(im, to, &im->m->params.param[i]));
    return checkpoint_finish(to, path);
}

Status import_weights(ImportReport *out, const char *to, TorchFile *f, const OfficialModel *m, bool allow_nonfinite,
                      const Envelope *envelope, Arena *a)
{
    H5File h = {0};
    *out = (ImportReport){0};
    Import im = {.report = out, .f = f, .m = m, .allow_nonfinite = allow_nonfinite, .a = a};
    TRY(arena_new(&im.used, a, f->n));
    TRY(check_names(&im));
    Status st = write_all(&im, &h, to, envelope);
    if (st == OK) return OK;
    char part[H5_PATH];
    h5_close(&h);
    snprintf(part, sizeof part, "%s.part", to);
    unlink(part);
    return st;
}
