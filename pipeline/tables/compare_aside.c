/* compare_aside.c - what artefacts hold beside rows: the manifest and the rejected rows of a catalogue, the fits of
   probes, the tensors of a checkpoint. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "compare_impl.h"
#include "probe/probes.h"

enum { EXAMPLES = 5, CHUNK_ROWS = 4096, CHUNK_BYTES = 16 << 20 };

/* ---- the manifest: sorted by role and path in both files, walked in chunks ---- */

typedef struct {
    RowFile *f;
    int64_t n, at, first, have; /* of all; the current one; those in memory */
    int64_t path_width, role_width;
    char *path, *role;
    int64_t *size, *datasum;
} Cursor;

static Status text_width(int64_t *width, RowFile *f, const char *dataset, int64_t n)
{
    H5Shape shape;
    TRY(h5_expect(&shape, &f->h5, dataset, &n, 1));
    *width = shape.width;
    return shape.type == H5_TEXT ? OK : FAIL(E_INPUT, "%s: %s is not text", f->path, dataset);
}

static Status cursor_open(Cursor *c, RowFile *f, Arena *a)
{
    H5Shape shape;
    *c = (Cursor){.f = f};
    TRY(h5_shape(&shape, &f->h5, "manifest/SIZE"));
    c->n = shape.dims[0];
    TRY(text_width(&c->path_width, f, "manifest/PATH", c->n));
    TRY(text_width(&c->role_width, f, "manifest/ROLE", c->n));
    TRY(arena_take((void **)&c->path, a, CHUNK_ROWS, (size_t)c->path_width));
    TRY(arena_take((void **)&c->role, a, CHUNK_ROWS, (size_t)c->role_width));
    TRY(arena_new(&c->size, a, CHUNK_ROWS));
    return arena_new(&c->datasum, a, CHUNK_ROWS);
}

static Status cursor_load(Cursor *c)
{
    if (c->at < c->first + c->have || c->at == c->n) return OK;
    c->first = c->at;
    c->have = c->n - c->at < CHUNK_ROWS ? c->n - c->at : CHUNK_ROWS;
    TRY(h5_read_rows(c->path, &c->f->h5, "manifest/PATH", H5_TEXT, c->path_width, c->first, c->have));
    TRY(h5_read_rows(c->role, &c->f->h5, "manifest/ROLE", H5_TEXT, c->role_width, c->first, c->have));
    TRY(h5_read_rows(c->size, &c->f->h5, "manifest/SIZE", H5_I64, 0, c->first, c->have));
    return h5_read_rows(c->datasum, &c->f->h5, "manifest/DATASUM", H5_I64, 0, c->first, c->have);
}

typedef struct {
    char role[32], path[H5_PATH];
    int64_t size, datasum;
} Entry;

static Entry cursor_entry(const Cursor *c)
{
    Entry e = {.size = c->size[c->at - c->first], .datasum = c->datasum[c->at - c->first]};
    snprintf(e.role, sizeof e.role, "%.*s", (int)c->role_width, c->role + (c->at - c->first) * c->role_width);
    snprintf(e.path, sizeof e.path, "%.*s", (int)c->path_width, c->path + (c->at - c->first) * c->path_width);
    return e;
}

static void note_file(FILE *out, const char *change, const Entry *a, const Entry *b, int64_t *count)
{
    const Entry *e = a ? a : b;
    if (++*count > EXAMPLES) return;
    fprintf(out, "  %s: %s %s", change, e->role, e->path);
    if (a && b)
        fprintf(out, " (%" PRId64 " bytes, sum %" PRId64 " -> %" PRId64 " bytes, sum %" PRId64 ")", a->size, a->datasum,
                b->size, b->datasum);
    fputc('\n', out);
}

Status compare_manifest(Comparison *c)
{
    Cursor a, b;
    int64_t added = 0, dropped = 0, changed = 0;
    const Mark mark = arena_mark(c->arena);
    TRY(cursor_open(&a, &c->a, c->arena));
    TRY(cursor_open(&b, &c->b, c->arena));
    fprintf(c->out, "input files: %" PRId64 " in A, %" PRId64 " in B\n", a.n, b.n);
    while (a.at < a.n || b.at < b.n) {
        Entry x = {0}, y = {0};
        TRY(cursor_load(&a));
        TRY(cursor_load(&b));
        if (a.at < a.n) x = cursor_entry(&a);
        if (b.at < b.n) y = cursor_entry(&b);
        int order = a.at == a.n ? 1 : b.at == b.n ? -1 : strcmp(x.role, y.role);
        if (order == 0) order = strcmp(x.path, y.path);
        a.at += order <= 0;
        b.at += order >= 0;
        if (order < 0)
            note_file(c->out, "dropped", &x, NULL, &dropped);
        else if (order > 0)
            note_file(c->out, "added", NULL, &y, &added);
        else if (x.size != y.size || x.datasum != y.datasum)
            note_file(c->out, "changed", &x, &y, &changed);
    }
    fprintf(c->out, "  %" PRId64 " changed, %" PRId64 " added, %" PRId64 " dropped\n", changed, added, dropped);
    if (added || dropped || changed) c->differs = true;
    arena_reset(c->arena, mark);
    return OK;
}

/* ---- rejected rows, by reason ---- */

typedef struct {
    char *name; /* (n, width) */
    int64_t n, width, *count;
} Reasons;

static Status read_reasons(Reasons *r, RowFile *f, Arena *a)
{
    H5Shape shape;
    int32_t *reason = NULL;
    *r = (Reasons){0};
    if (!h5_has(&f->h5, "rejected/REASONS")) return OK;
    TRY(h5_get((void **)&r->name, &shape, &f->h5, "rejected/REASONS", H5_TEXT, a));
    r->n = shape.dims[0];
    r->width = shape.width;
    TRY(arena_new(&r->count, a, r->n));
    TRY(arena_new(&reason, a, CHUNK_ROWS));
    TRY(h5_shape(&shape, &f->h5, "rejected/REASON"));
    for (int64_t at = 0; at < shape.dims[0]; at += CHUNK_ROWS) {
        int64_t n = shape.dims[0] - at < CHUNK_ROWS ? shape.dims[0] - at : CHUNK_ROWS;
        TRY(h5_read_rows(reason, &f->h5, "rejected/REASON", H5_I32, 0, at, n));
        for (int64_t i = 0; i < n; i++)
            if (reason[i] >= 0 && reason[i] < r->n) r->count[reason[i]]++;
    }
    return OK;
}

static int64_t count_of(const Reasons *r, const char *name)
{
    for (int64_t i = 0; i < r->n; i++)
        if (strncmp(r->name + i * r->width, name, (size_t)r->width) == 0) return r->count[i];
    return 0;
}

Status compare_rejected(Comparison *c)
{
    Reasons a, b;
    TRY(read_reasons(&a, &c->a, c->arena));
    TRY(read_reasons(&b, &c->b, c->arena));
    const Reasons *longer = a.n > b.n ? &a : &b;
    for (int64_t i = 0; i < longer->n; i++) {
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)longer->width, longer->name + i * longer->width);
        int64_t x = count_of(&a, name), y = count_of(&b, name);
        if (x == y) continue;
        fprintf(c->out, "rejected %s: %" PRId64 " rows in A, %" PRId64 " in B\n", name, x, y);
        c->differs = true;
    }
    return OK;
}

/* ---- probes ---- */

static const ProbeFit *find_fit(const ProbeSet *p, const ProbeSet *other, const ProbeFit *f)
{
    for (int i = 0; i < p->n_fits; i++) {
        const ProbeFit *g = &p->fit[i];
        if (p->input[g->input].row == other->input[f->input].row && g->label == f->label &&
            strcmp(g->probe, f->probe) == 0)
            return g;
    }
    return NULL;
}

static void print_fit(Comparison *c, const ProbeSet *p, const ProbeFit *f, const char *what)
{
    const ProbeInputRow *row = p->input[f->input].row;
    fprintf(c->out, "  %s %s, %s of %s: %s", row->encoder, row->modality, f->probe, label_table[f->label].name, what);
    c->differs = true;
}

static void compare_fit(Comparison *c, const ProbeSet *a, const ProbeSet *b, const ProbeFit *x, const ProbeFit *y)
{
    const ProbeInput *u = &a->input[x->input], *v = &b->input[y->input];
    Distance weights = {0}, rest = {0};
    if (u->dim != v->dim || x->n_weights != y->n_weights) {
        print_fit(c, a, x, "");
        fprintf(c->out, "%" PRId64 " weights of %" PRId64 " numbers -> %" PRId64 " of %" PRId64 "\n", x->n_weights,
                u->dim, y->n_weights, v->dim);
        return;
    }
    distance_add(&weights, x->weight, y->weight, x->n_weights);
    distance_add(&rest, u->mean, v->mean, u->dim);
    distance_add(&rest, u->std, v->std, u->dim);
    const CalibrationBin *p = &x->calibration.all, *q = &y->calibration.all;
    distance_add(&rest, (double[]){x->lambda, x->intercept, x->label_min, x->label_max, u->ood_quantile},
                 (double[]){y->lambda, y->intercept, y->label_min, y->label_max, v->ood_quantile}, 5);
    distance_add(&rest, (double[]){p->std, p->l68, p->u68, p->l95, p->u95},
                 (double[]){q->std, q->l68, q->u68, q->l95, q->u95}, 5);
    distance_add(&rest, p->grid, q->grid, CALIBRATION_GRID);
    for (int s = 0; s < N_SPLITS; s++) {
        const Scores *i = &x->score[s], *k = &y->score[s];
        distance_add(&rest,
                     (double[]){(double)i->n, i->r2, i->rmse, i->bias, i->sigma_nmad, i->outlier_fraction, i->nll},
                     (double[]){(double)k->n, k->r2, k->rmse, k->bias, k->sigma_nmad, k->outlier_fraction, k->nll}, 7);
    }
    if (weights.n == 0 && rest.n == 0) return;
    print_fit(c, a, x, "");
    fprintf(c->out, "R2 on test %.4f -> %.4f; %" PRId64 " of %" PRId64 " weights differ", x->score[SPLIT_TEST].r2,
            y->score[SPLIT_TEST].r2, weights.n, x->n_weights);
    if (weights.n > 0) fprintf(c->out, ", "), distance_print(c->out, &weights);
    fputc('\n', c->out);
}

Status compare_probes(Comparison *c)
{
    ProbeSet a, b;
    TRY(probes_read(&a, c->a.path, c->arena));
    TRY(probes_read(&b, c->b.path, c->arena));
    fprintf(c->out, "fits: %d in A, %d in B\n", a.n_fits, b.n_fits);
    for (int i = 0; i < a.n_fits; i++) {
        const ProbeFit *y = find_fit(&b, &a, &a.fit[i]);
        if (y)
            compare_fit(c, &a, &b, &a.fit[i], y);
        else
            print_fit(c, &a, &a.fit[i], "in A only\n");
    }
    for (int i = 0; i < b.n_fits; i++)
        if (!find_fit(&a, &b, &b.fit[i])) print_fit(c, &b, &b.fit[i], "in B only\n");
    return OK;
}

/* ---- datasets, whole ---- */

typedef struct {
    const char **name;
    int64_t n, room;
} Names;

static Status list_datasets(Names *out, H5File *f, const char *group, Arena *a)
{
    char **name = NULL;
    int64_t n = 0;
    TRY(h5_list(&name, &n, f, group, a));
    for (int64_t i = 0; i < n; i++) {
        char path[512], *copy = NULL;
        H5Shape s;
        snprintf(path, sizeof path, "%s%s%s", group[1] ? group : "", group[1] ? "/" : "", name[i]);
        if (h5_shape(&s, f, path) != OK) { /* a group */
            fail_clear();
            TRY(list_datasets(out, f, path, a));
            continue;
        }
        if (out->n == out->room) {
            const char **bigger = NULL;
            TRY(arena_new(&bigger, a, 2 * out->room + 64));
            if (out->n > 0) memcpy(bigger, out->name, (size_t)out->n * sizeof *bigger);
            out->name = bigger;
            out->room = 2 * out->room + 64;
        }
        TRY(arena_text(&copy, a, path));
        out->name[out->n++] = copy;
    }
    return OK;
}

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static bool same_shape(const H5Shape *a, const H5Shape *b)
{
    bool text = a->type == H5_TEXT;
    return a->n_dims == b->n_dims && text == (b->type == H5_TEXT) &&
           memcmp(a->dims, b->dims, (size_t)a->n_dims * sizeof *a->dims) == 0;
}

/* Numbers of one dataset, in chunks of rows. Texts and scalars are passed over: artefacts of ours keep none that count. */
static Status compare_dataset(Comparison *c, const char *name, int64_t *n_different)
{
    H5Shape s, t;
    TRY(h5_shape(&s, &c->a.h5, name));
    TRY(h5_shape(&t, &c->b.h5, name));
    if (!same_shape(&s, &t)) {
        fprintf(c->out, "  %s: another shape or type\n", name);
        ++*n_different;
        return OK;
    }
    if (s.type == H5_TEXT || s.n_dims == 0) return OK;
    int64_t per_row = 1;
    for (int d = 1; d < s.n_dims; d++) per_row *= s.dims[d];
    int64_t most = CHUNK_BYTES / 8 / (per_row > 0 ? per_row : 1);
    if (most < 1) most = 1;
    const Mark mark = arena_mark(c->arena);
    Distance d = {0};
    double *x = NULL, *y = NULL;
    if (most > s.dims[0]) most = s.dims[0];
    TRY(arena_new(&x, c->arena, most * per_row));
    TRY(arena_new(&y, c->arena, most * per_row));
    for (int64_t at = 0; at < s.dims[0]; at += most) {
        int64_t n = s.dims[0] - at < most ? s.dims[0] - at : most;
        TRY(h5_read_rows(x, &c->a.h5, name, H5_F64, 0, at, n));
        TRY(h5_read_rows(y, &c->b.h5, name, H5_F64, 0, at, n));
        distance_add(&d, x, y, n * per_row);
    }
    arena_reset(c->arena, mark);
    if (d.n == 0) return OK;
    ++*n_different;
    fprintf(c->out, "  %s: %" PRId64 " of %" PRId64 " values, ", name, d.n, s.dims[0] * per_row);
    distance_print(c->out, &d);
    fputc('\n', c->out);
    return OK;
}

Status compare_datasets(Comparison *c)
{
    Names a = {0}, b = {0};
    int64_t different = 0;
    TRY(list_datasets(&a, &c->a.h5, "/", c->arena));
    TRY(list_datasets(&b, &c->b.h5, "/", c->arena));
    if (a.n > 0) qsort(a.name, (size_t)a.n, sizeof *a.name, by_text);
    if (b.n > 0) qsort(b.name, (size_t)b.n, sizeof *b.name, by_text);
    fprintf(c->out, "datasets: %" PRId64 " in A, %" PRId64 " in B\n", a.n, b.n);
    for (int64_t i = 0, k = 0; i < a.n || k < b.n;) {
        int order = i == a.n ? 1 : k == b.n ? -1 : strcmp(a.name[i], b.name[k]);
        if (order == 0)
            TRY(compare_dataset(c, a.name[i], &different));
        else
            fprintf(c->out, "  %s: in %s only\n", order < 0 ? a.name[i] : b.name[k], order < 0 ? "A" : "B"),
                different++;
        i += order <= 0;
        k += order >= 0;
    }
    fprintf(c->out, "  %" PRId64 " differ\n", different);
    if (different > 0) c->differs = true;
    return OK;
}
