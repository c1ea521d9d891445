/* ood.c - landmarks are the same whatever the ranks: the train rows with the least hashes. */
#include "probe/ood.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "probe/sorted.h"

enum { FEW = 10 };

typedef struct {
    uint64_t hash;
    int64_t row; /* of the catalogue */
} Landmark;

static int compare(const void *a, const void *b)
{
    const Landmark *x = a, *y = b;
    return x->hash != y->hash ? (x->hash < y->hash ? -1 : 1) : (x->row > y->row) - (x->row < y->row);
}

/* Collective. */
static Status choose(Landmark **out, int64_t *n, const ProbeTask *t, Arena *a)
{
    const ProbeRows *r = t->rows;
    Landmark *mine = NULL, *all = NULL;
    int64_t n_mine = 0, n_all = 0;
    Status st = arena_new(&mine, a, r->n);
    for (int64_t i = 0; st == OK && i < r->n; i++)
        if (r->split[i] == SPLIT_TRAIN && t->usable[i])
            mine[n_mine++] = (Landmark){hash_mix((uint64_t)r->targetid[i] ^ hash_fnv1a("probe.ood")), r->first + i};
    TRY(par_agree(t->par, st));
    qsort(mine, (size_t)n_mine, sizeof *mine, compare);
    TRY(par_allgather((void **)&all, &n_all, t->par, mine, n_mine < OOD_LANDMARKS ? n_mine : OOD_LANDMARKS,
                      sizeof *mine, a));
    qsort(all, (size_t)n_all, sizeof *all, compare);
    *out = all;
    *n = n_all < OOD_LANDMARKS ? n_all : OOD_LANDMARKS;
    return OK;
}

static void standardise(double *out, const float *x, const ProbeInput *in)
{
    for (int64_t d = 0; d < in->dim; d++) out[d] = ((double)x[d] - in->mean[d]) / in->std[d];
}

/* Local. Every rank reads all of them by itself. */
static Status read_landmarks(double *out, int64_t *id, const Landmark *l, int64_t n, const ProbeTask *t, Arena *a)
{
    float *x;
    const Mark mark = arena_mark(a);
    TRY(arena_new(&x, a, t->input->dim));
    for (int64_t i = 0; i < n; i++) {
        TRY(t->features->read(x, t->features->source, l[i].row, 1, a));
        standardise(out + i * t->input->dim, x, t->input);
        id[i] = l[i].row;
        clock_tick();
    }
    arena_reset(a, mark);
    return OK;
}

/* The mean of the nearest, without the row itself. */
static double mean_distance(const KnnSearch *s, int64_t i, int64_t row, int64_t dim)
{
    const KnnNeighbour *best = s->best + i * s->k;
    double sum = 0;
    int n = 0;
    for (int64_t j = 0; j < s->found[i] && n < OOD_NEAREST; j++)
        if (best[j].id != row) sum += sqrt(best[j].square), n++;
    return n > 0 ? sum / n / sqrt((double)dim) : NAN;
}

static Status measure(double *score, const double *landmark, const int64_t *id, int64_t n_landmarks, const ProbeTask *t,
                      Arena *a)
{
    const int64_t dim = t->input->dim;
    double *x;
    ProbeBlock b;
    TRY(arena_new(&x, a, t->rows->block_rows * dim));
    TRY(probe_block_open(&b, t->rows, t->features, a));
    while (probe_block_next(&b)) {
        KnnSearch s;
        const Mark mark = arena_mark(a);
        for (int64_t i = 0; i < b.n; i++) standardise(x + i * dim, b.x + i * dim, t->input);
        TRY(knn_open(&s, OOD_NEAREST + 1, dim, x, b.n, a));
        knn_add(&s, landmark, landmark, 0, id, n_landmarks);
        for (int64_t i = 0; i < b.n; i++) {
            const int64_t row = b.at + i;
            score[row] = t->usable[row] ? mean_distance(&s, i, t->rows->first + row, dim) : NAN;
        }
        arena_reset(a, mark);
        clock_tick();
    }
    return b.status;
}

/* Collective. */
static Status find_limit(ProbeInput *input, const double *score, const ProbeTask *t, Arena *a)
{
    const int split = input->n_usable[SPLIT_VAL] >= FEW ? SPLIT_VAL : SPLIT_TRAIN;
    double *picked = NULL;
    int64_t n = 0;
    SortedValues s;
    TRY(par_agree(t->par, arena_new(&picked, a, t->rows->n)));
    for (int64_t i = 0; i < t->rows->n; i++)
        if (t->rows->split[i] == split && isfinite(score[i])) picked[n++] = score[i];
    TRY(sorted_make(&s, picked, n, t->par, a));
    input->ood_quantile = sorted_quantile(&s, 0.99);
    return OK;
}

Status probe_ood(double *score, ProbeInput *input, const ProbeTask *t, Arena *a)
{
    const Mark mark = arena_mark(a);
    Landmark *chosen = NULL;
    double *x = NULL;
    int64_t *id = NULL, n = 0;
    clock_begin("out of distribution");
    TRY(choose(&chosen, &n, t, a));
    Status st = arena_new(&x, a, n * input->dim);
    if (st == OK) st = arena_new(&id, a, n);
    if (st == OK) st = read_landmarks(x, id, chosen, n, t, a);
    if (st == OK) st = measure(score, x, id, n, t, a);
    clock_end("out of distribution");
    TRY(par_agree(t->par, st));
    TRY(find_limit(input, score, t, a));
    arena_reset(a, mark);
    return OK;
}
