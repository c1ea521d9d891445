/* scores.c - predictions of this rank's rows are kept; sums of them go over the tree of blocks, order statistics over
   values sorted over the ranks. */
#include "probe/scores.h"

#include <math.h>
#include <string.h>

#include "core/log.h"
#include "probe/metrics.h"
#include "probe/sorted.h"

enum { FEW = 10 }; /* val rows below which train rows stand in */

typedef struct {
    double *predicted[N_LABELS]; /* per fit: this rank's rows, NaN where not usable */
    double *ood;                 /* this rank's rows, NaN where not usable         */
} Predictions;

static bool is_linear(const ProbeTask *t) { return !t->kind || !t->kind->predict; }

/* Local. What a row says by itself. */
static Status predict_rows(Predictions *p, const ProbeInput *input, const ProbeFit *fit, int n, const ProbeTask *t,
                           Arena *a)
{
    ProbeBlock b;
    const bool linear = is_linear(t);
    TRY(probe_block_open(&b, t->rows, t->features, a));
    while (probe_block_next(&b))
        for (int64_t i = 0; i < b.n; i++) {
            const float *x = b.x + i * input->dim;
            const int64_t row = b.at + i;
            for (int f = 0; linear && f < n; f++)
                p->predicted[f][row] = t->usable[row] ? probe_predict(&fit[f], input, x) : NAN;
            p->ood[row] = t->usable[row] ? probe_ood(input, x) : NAN;
        }
    return b.status;
}

/* Collective. */
static Status predict(Predictions *p, const ProbeInput *input, ProbeFit *fit, int n, const ProbeTask *t, Arena *a)
{
    Status st = arena_new(&p->ood, a, t->rows->n);
    for (int f = 0; f < n && st == OK; f++) st = arena_new(&p->predicted[f], a, t->rows->n);
    if (st == OK) st = predict_rows(p, input, fit, n, t, a);
    TRY(par_agree(t->par, st));
    return is_linear(t) || n == 0 ? OK : t->kind->predict(p->predicted, fit, n, t, a);
}

/* ---- sums ---- */

/* What is added up of one row; a leaf holds the sums of a block's rows for each fit, split and quantity. */
enum { SUMS_MAX = 4 };
typedef void Quantities(double *sums, double truth, double predicted, const Scores *s, bool redshift);

/* Collective. out (n fits, N_SPLITS, SUMS_MAX) */
static Status sum_rows(double *out, Quantities *add, const Predictions *p, const ProbeFit *fit, int n,
                       const ProbeTask *t, Arena *scratch)
{
    const ProbeRows *r = t->rows;
    const int64_t size = (int64_t)n * N_SPLITS * SUMS_MAX;
    const Mark mark = arena_mark(scratch);
    TreeSum tree;
    double *leaf = NULL;
    Status st = arena_new(&leaf, scratch, size);
    if (st == OK) st = treesum_init(&tree, size, r->n_blocks, scratch);
    TRY(par_agree(t->par, st));
    for (int64_t block = r->first_block; block < r->last_block; block++) {
        const int64_t at = block * r->block_rows - r->first,
                      end = at + r->block_rows < r->n ? at + r->block_rows : r->n;
        memset(leaf, 0, (size_t)size * sizeof *leaf);
        for (int f = 0; f < n; f++)
            for (int64_t i = at; i < end; i++) {
                const double truth = r->label[fit[f].label][i];
                if (isfinite(truth) && t->usable[i])
                    add(leaf + (f * N_SPLITS + r->split[i]) * SUMS_MAX, truth, p->predicted[f][i],
                        &fit[f].score[r->split[i]], fit[f].label == LABEL_Z);
            }
        treesum_push(&tree, block, leaf);
    }
    TRY(par_tree_finish(out, &tree, t->par, scratch));
    arena_reset(scratch, mark);
    return OK;
}

static void add_level(double *sums, double truth, double predicted, const Scores *s, bool redshift)
{
    (void)predicted, (void)s, (void)redshift;
    sums[0] += 1;
    sums[1] += truth;
}

/* score.r2 holds the mean of the truth while these are summed. */
static void add_errors(double *sums, double truth, double predicted, const Scores *s, bool redshift)
{
    const double dz = redshift ? metric_dz(truth, predicted) : 0;
    sums[0] += (truth - s->r2) * (truth - s->r2);
    sums[1] += (truth - predicted) * (truth - predicted);
    sums[2] += redshift ? dz : predicted - truth;
    sums[3] += redshift && metric_is_outlier(dz);
}

/* Collective. All but sigma_nmad. */
static Status sum_scores(ProbeFit *fit, int n, const Predictions *p, const ProbeTask *t, Arena *scratch)
{
    const Mark mark = arena_mark(scratch);
    double *sums = NULL;
    TRY(par_agree(t->par, arena_new(&sums, scratch, (int64_t)n * N_SPLITS * SUMS_MAX)));
    TRY(sum_rows(sums, add_level, p, fit, n, t, scratch));
    for (int f = 0; f < n; f++)
        for (int s = 0; s < N_SPLITS; s++) {
            const double *of = sums + (f * N_SPLITS + s) * SUMS_MAX;
            fit[f].score[s].n = (int64_t)of[0];
            fit[f].score[s].r2 = of[1] / of[0];
        }
    TRY(sum_rows(sums, add_errors, p, fit, n, t, scratch));
    for (int f = 0; f < n; f++)
        for (int s = 0; s < N_SPLITS; s++) {
            const double *of = sums + (f * N_SPLITS + s) * SUMS_MAX;
            Scores *score = &fit[f].score[s];
            const double rows = score->n > 0 ? (double)score->n : NAN;
            score->r2 = of[0] > 0 ? 1 - of[1] / of[0] : NAN;
            score->rmse = sqrt(of[1] / rows);
            score->bias = of[2] / rows;
            score->sigma_nmad = NAN;
            score->outlier_fraction = fit[f].label == LABEL_Z ? of[3] / rows : NAN;
        }
    arena_reset(scratch, mark);
    return OK;
}

/* ---- order statistics ---- */

/* Local. Values of the rows of a split that are not NaN; `truth` NULL: `predicted` itself, else a function of both. */
static int64_t pick(double *out, const ProbeTask *t, int split, const double *truth, const double *predicted,
                    double (*of)(double truth, double predicted))
{
    int64_t n = 0;
    for (int64_t i = 0; i < t->rows->n; i++) {
        if (t->rows->split[i] != split) continue;
        const double value = of ? of(truth[i], predicted[i]) : predicted[i];
        if (!isnan(value)) out[n++] = value;
    }
    return n;
}

static double residual(double truth, double predicted) { return truth - predicted; }

static Status add_nmad(Scores *score, double *room, const double *truth, const double *predicted, int split,
                       const ProbeTask *t, Arena *a)
{
    return sorted_nmad(&score->sigma_nmad, room, pick(room, t, split, truth, predicted, metric_dz), t->par, a);
}

/* The rows whose residuals say how far off a prediction may be: those of val, which no weight has seen. */
static int judge_split(const ProbeFit *fit, const ProbeInput *input)
{
    if (fit->score[SPLIT_VAL].n >= FEW) return SPLIT_VAL;
    log_warn("probe: %s from %s %s: only %lld val rows; errors are those of the train rows, and too small",
             label_table[fit->label].name, input->row->encoder, input->row->modality,
             (long long)fit->score[SPLIT_VAL].n);
    return SPLIT_TRAIN;
}

static Status add_residuals(ProbeFit *fit, double *room, const double *predicted, int split, const ProbeTask *t,
                            Arena *a)
{
    const Mark mark = arena_mark(a);
    const int64_t n = pick(room, t, split, t->rows->label[fit->label], predicted, residual);
    SortedValues s;
    TRY(sorted_make(&s, room, n, t->par, a));
    fit->std = s.total > 0 ? sqrt(sorted_squares(&s, sorted_mean(&s)) / (double)s.total) : NAN;
    fit->l68 = sorted_quantile(&s, 0.16);
    fit->u68 = sorted_quantile(&s, 0.84);
    arena_reset(a, mark);
    return OK;
}

static Status add_ood(ProbeInput *input, double *room, const double *ood, const ProbeTask *t, Arena *a)
{
    const Mark mark = arena_mark(a);
    const int split = input->n_usable[SPLIT_VAL] >= FEW ? SPLIT_VAL : SPLIT_TRAIN;
    SortedValues s;
    TRY(sorted_make(&s, room, pick(room, t, split, NULL, ood, NULL), t->par, a));
    input->ood_quantile = sorted_quantile(&s, 0.99);
    arena_reset(a, mark);
    return OK;
}

Status probe_score(ProbeInput *input, ProbeFit *fit, int n, const ProbeTask *t, Arena *a)
{
    const Mark mark = arena_mark(a);
    Predictions p;
    double *room = NULL;
    TRY(par_agree(t->par, arena_new(&room, a, t->rows->n)));
    TRY(predict(&p, input, fit, n, t, a));
    if (n > 0) TRY(sum_scores(fit, n, &p, t, a));
    for (int f = 0; f < n; f++) {
        const double *truth = t->rows->label[fit[f].label];
        for (int s = 0; s < N_SPLITS && fit[f].label == LABEL_Z; s++)
            TRY(add_nmad(&fit[f].score[s], room, truth, p.predicted[f], s, t, a));
        TRY(add_residuals(&fit[f], room, p.predicted[f], judge_split(&fit[f], input), t, a));
    }
    TRY(add_ood(input, room, p.ood, t, a));
    arena_reset(a, mark);
    return OK;
}
