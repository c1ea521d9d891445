/* fit_knn.c - nearest neighbours over ranks. Nothing is learnt beforehand: to predict, the train rows of all ranks go
   round in pieces while each rank keeps the nearest to a batch of its own rows. Distances are those of standardised
   features.

   A train row does not find itself. */
#include <math.h>
#include <string.h>

#include "core/clock.h"
#include "probe/fit.h"

enum { BATCH = 4096, PIECE_NUMBERS = 1 << 23 }; /* queries at a time; numbers of train rows on their way */

/* Rows side by side: standardised features, the values of a group's labels, row numbers in the catalogue. */
typedef struct {
    int64_t n;
    double *x, *value;
    int64_t *row;
} Table;

typedef struct {
    const ProbeTask *task, *learned; /* whom to predict for, whose train rows to look among */
    const ProbeGroup *group;
    Table train, query; /* of this rank */
} Knn;

static Status take_table(Table *out, int64_t n, const Knn *k, Arena *a)
{
    out->n = 0;
    TRY(arena_new(&out->x, a, n * k->task->input->dim));
    TRY(arena_new(&out->value, a, n * k->group->n));
    return arena_new(&out->row, a, n);
}

static void put_row(Table *out, const float *x, int64_t row, const ProbeInput *in, const Knn *k)
{
    double *to = out->x + out->n * in->dim;
    for (int64_t d = 0; d < in->dim; d++) to[d] = ((double)x[d] - in->mean[d]) / in->std[d];
    for (int v = 0; v < k->group->n; v++)
        out->value[out->n * k->group->n + v] = k->task->rows->label[k->group->fit[v]->label][row];
    out->row[out->n++] = k->task->rows->first + row;
}

static bool is_train(const Knn *k, int64_t row) { return probe_trains(k->learned, k->group->fit[0]->label, row); }
static bool is_query(const Knn *k, int64_t row) { return k->task->usable[row]; }

/* Local. What this rank has of one of both. */
static Status read_table(Table *out, bool (*takes)(const Knn *k, int64_t row), const ProbeTask *from, const Knn *k,
                         Arena *a)
{
    int64_t n = 0;
    ProbeBlock b;
    for (int64_t r = 0; r < from->rows->n; r++) n += takes(k, r);
    TRY(take_table(out, n, k, a));
    TRY(probe_block_open(&b, from->rows, from->features, a));
    while (probe_block_next(&b))
        for (int64_t i = 0; i < b.n; i++)
            if (takes(k, b.at + i)) put_row(out, b.x + i * from->input->dim, b.at + i, from->input, k);
    return b.status;
}

static Status read_tables(Knn *k, Arena *a)
{
    TRY(read_table(&k->train, is_train, k->learned, k, a));
    return read_table(&k->query, is_query, k->task, k, a);
}

/* How many of n rows go round at once. What nobody has to receive does: the more are offered at once, the fewer of them have
   to be looked at exactly. */
static int64_t piece_rows(int64_t n, int64_t dim, const Par *par)
{
    const int64_t most = par->n_ranks > 1 ? PIECE_NUMBERS / dim + 1 : n;
    return n < most ? n : most;
}

/* Collective. The train rows of one rank, offered to everybody. */
static void go_round(KnnSearch *s, const Knn *k, Table piece, int from, int64_t n_from)
{
    const Par *par = k->task->par;
    const int64_t dim = k->task->input->dim;
    const int n_values = k->group->n;
    for (int64_t at = 0, n; at < n_from; at += n) {
        n = piece_rows(n_from - at, dim, par);
        if (par->rank == from)
            piece = (Table){n, k->train.x + at * dim, k->train.value + at * n_values, k->train.row + at};
        par_bcast(par, piece.x, n * dim * (int64_t)sizeof *piece.x, from);
        par_bcast(par, piece.value, n * n_values * (int64_t)sizeof *piece.value, from);
        par_bcast(par, piece.row, n * (int64_t)sizeof *piece.row, from);
        knn_add(s, piece.x, piece.value, n_values, piece.row, n);
        clock_tick();
    }
}

/* Collective. Queries [first, first + BATCH) of every rank, as many as it has. */
static Status predict_batch(RowPredictions *const *out, const Knn *k, int64_t first, const int64_t *n_train,
                            int64_t n_neighbours, Arena *a)
{
    const ProbeTask *t = k->task;
    const int64_t dim = t->input->dim, left = k->query.n - first, n = left < 0 ? 0 : left < BATCH ? left : BATCH;
    const Mark mark = arena_mark(a);
    KnnSearch s;
    Table piece;
    int64_t most = 0; /* train rows that come from elsewhere at once */
    for (int r = 0; r < t->par->n_ranks; r++)
        if (r != t->par->rank && n_train[r] > most) most = n_train[r];
    Status st = take_table(&piece, piece_rows(most, dim, t->par), k, a);
    if (st == OK) st = knn_open(&s, n_neighbours, dim, k->query.x + (n > 0 ? first * dim : 0), n, a);
    s.self = n > 0 ? k->query.row + first : NULL;
    if (st == OK) st = par_continue();
    TRY(par_agree(t->par, st));
    for (int r = 0; r < t->par->n_ranks; r++) go_round(&s, k, piece, r, n_train[r]);
    for (int64_t i = 0; i < n; i++) {
        double mean[N_LABELS];
        knn_mean(mean, &s, i, k->group->n);
        for (int v = 0; v < k->group->n; v++) out[v]->value[k->query.row[first + i] - t->rows->first] = mean[v];
    }
    arena_reset(a, mark);
    return OK;
}

static Status predict_group(RowPredictions *const *out, const ProbeGroup *g, const ProbeTask *t, Arena *a)
{
    const Mark mark = arena_mark(a);
    Knn k = {.task = t, .learned = t->learned ? t->learned : t, .group = g};
    int64_t *n_train = NULL, total = 0, n_ranks;
    TRY(par_agree(t->par, read_tables(&k, a)));
    TRY(par_allgather((void **)&n_train, &n_ranks, t->par, &k.train.n, 1, sizeof k.train.n, a));
    for (int r = 0; r < t->par->n_ranks; r++) total += n_train[r];
    int64_t most = k.query.n;
    par_max_i64(t->par, &most, 1);
    const int64_t n = t->config->knn.k < total ? t->config->knn.k : total;
    for (int64_t first = 0; first < most; first += BATCH) TRY(predict_batch(out, &k, first, n_train, n, a));
    arena_reset(a, mark);
    return OK;
}

static Status predict_knn(RowPredictions *out, const ProbeFit *fit, int n, const ProbeTask *t, Arena *a)
{
    ProbeFit own[N_LABELS]; /* groups hold fits that may be filled */
    ProbeGroup group[N_LABELS];
    memcpy(own, fit, (size_t)n * sizeof *fit);
    const int n_groups = probe_groups(group, own, n, t->learned ? t->learned : t);
    clock_begin("knn");
    Status st = OK;
    for (int g = 0; g < n_groups && st == OK; g++) {
        RowPredictions *of[N_LABELS];
        for (int v = 0; v < group[g].n; v++) of[v] = &out[group[g].fit[v] - own];
        st = predict_group(of, &group[g], t, a);
    }
    clock_end("knn");
    return st;
}

static Status fit_nothing(ProbeFit *fit, int n, const ProbeTask *t, Arena *a)
{
    (void)fit, (void)n, (void)t, (void)a;
    return OK;
}

/* A rank's rows as features in double, a batch and a piece. */
int64_t knn_memory(const KnnConfig *c, int64_t rows, int64_t dim, int64_t n_targets, int n_ranks)
{
    const int64_t mine = rows / n_ranks + 4096, batch = mine < BATCH ? mine : BATCH;
    const int64_t piece = n_ranks > 1 ? PIECE_NUMBERS + 2 * dim : 0;
    return 8 * (mine * (dim + n_targets + 1) + piece) + knn_bytes(c->k, dim, batch);
}

const ProbeKind knn_probe = {"knn", "the nearest train rows, weighted by 1 / distance", fit_nothing, predict_knn};
