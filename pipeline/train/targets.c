/* targets.c - one walk along the catalogue and the entries of the dataset, which lie in the same order. */
#include "train/targets.h"

#include <math.h>

enum { CHUNK = 4096 }; /* catalogue rows at a time */

static Status copy_labels(Targets *t, int64_t at, const CatalogRow *row, const Dataset *d, const Catalog *c)
{
    if (row->targetid != t->entry.targetid[at])
        return FAIL(
            E_INPUT,
            "entry %lld of %s is TARGETID %lld, its row of %s is %lld: the dataset is of another catalogue; run "
            "`astroclip pack` again",
            (long long)at, d->file.path, (long long)t->entry.targetid[at], c->file.path, (long long)row->targetid);
    for (int64_t k = 0; k < t->n_out; k++) t->y[at * t->n_out + k] = (float)row->label[t->label[k]];
    return OK;
}

static Status read_labels(Targets *t, const Dataset *d, Catalog *c, Arena *a)
{
    CatalogRow *row;
    int64_t i = 0;
    TRY(arena_new(&row, a, CHUNK));
    for (int64_t first = 0; first < c->n && i < t->entry.n; first += CHUNK) {
        const int64_t n = c->n - first < CHUNK ? c->n - first : CHUNK;
        const Mark mark = arena_mark(a);
        TRY(catalog_read(row, c, first, n, a));
        for (; i < t->entry.n && t->entry.row[i] < first + n; i++)
            TRY(copy_labels(t, i, &row[t->entry.row[i] - first], d, c));
        arena_reset(a, mark);
    }
    if (i == t->entry.n) return OK;
    return FAIL(E_INPUT, "%s has an entry for row %lld, %s has %lld rows: run `astroclip pack` again", d->file.path,
                (long long)t->entry.row[i], c->file.path, (long long)c->n);
}

/* Mean, then the squares of what is left, in the order of the file. */
static void standardise(Targets *t, int32_t fatal)
{
    for (int64_t k = 0; k < t->n_out; k++) {
        double sum = 0, squares = 0;
        int64_t n = 0;
        for (int pass = 0; pass < 2; pass++)
            for (int64_t i = 0; i < t->entry.n; i++) {
                const double y = (double)t->y[i * t->n_out + k];
                if (t->entry.split[i] != SPLIT_TRAIN || (t->entry.flag[i] & fatal) || !isfinite(y)) continue;
                if (pass == 0) {
                    sum += y;
                    n++;
                } else {
                    squares += (y - sum / (double)n) * (y - sum / (double)n);
                }
            }
        t->mean[k] = n > 1 ? sum / (double)n : NAN;
        t->std[k] = n > 1 ? sqrt(squares / (double)(n - 1)) : NAN;
        if (t->std[k] == 0) t->std[k] = 1; /* all the same: predicted as that */
        for (int64_t i = 0; i < t->entry.n; i++) {
            float *y = &t->y[i * t->n_out + k];
            *y = (float)(((double)*y - t->mean[k]) / t->std[k]);
            if (!isfinite(*y)) *y = NAN;
        }
    }
}

Status targets_read(Targets *t, Dataset *d, Modality m, Catalog *c, const Label *label, int64_t n_out, Arena *a)
{
    *t = (Targets){.n_out = n_out, .label = label};
    TRY(dataset_index(&t->entry, d, m, a));
    TRY(arena_new(&t->y, a, t->entry.n * n_out));
    TRY(arena_new(&t->mean, a, n_out));
    TRY(arena_new(&t->std, a, n_out));
    const Mark mark = arena_mark(a);
    TRY(read_labels(t, d, c, a));
    arena_reset(a, mark);
    standardise(t, d->fatal[m]);
    return OK;
}

static bool has_label(const Targets *t, int64_t entry)
{
    for (int64_t k = 0; k < t->n_out; k++)
        if (!isnan(t->y[entry * t->n_out + k])) return true;
    return false;
}

Status targets_samples(Sample **out, int64_t *n, const Targets *t, Dataset *d, Modality m, Split split, Arena *a)
{
    int64_t all;
    TRY(dataset_samples(out, &all, d, m == MODALITY_IMAGE ? SAMPLES_IMAGES : SAMPLES_SPECTRA, split, a));
    *n = 0;
    for (int64_t i = 0; i < all; i++)
        if (has_label(t, m == MODALITY_IMAGE ? (*out)[i].image : (*out)[i].spectrum)) (*out)[(*n)++] = (*out)[i];
    return OK;
}

void targets_undo(float *value, const Targets *t, const float *standardised)
{
    for (int64_t k = 0; k < t->n_out; k++) value[k] = (float)(t->mean[k] + t->std[k] * (double)standardised[k]);
}
