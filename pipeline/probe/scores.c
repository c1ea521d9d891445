/* scores.c - sums of what is said of rows go over the tree of blocks, order statistics over values sorted over the ranks. */
#include "probe/scores.h"

#include <math.h>
#include <string.h>

#include "core/log.h"
#include "probe/metrics.h"
#include "probe/sorted.h"

enum { FEW = 10 }; /* val rows below which train rows stand in */

/* ---- sums ---- */

/* What is added up of one row; a leaf holds the sums of a block's rows for each fit, split and quantity. */
enum { SUMS_MAX = 5 };
typedef void Quantities(double *sums, double truth, double predicted, double nll, const Scores *s, bool redshift);

/* Collective. out (n fits, N_SPLITS, SUMS_MAX) */
static Status sum_rows(double *out, Quantities *add, const RowPredictions *p, const ProbeFit *fit, int n,
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
                    add(leaf + (f * N_SPLITS + r->split[i]) * SUMS_MAX, truth, p[f].value[i], p[f].nll[i],
                        &fit[f].score[r->split[i]], fit[f].label == LABEL_Z);
            }
        treesum_push(&tree, block, leaf);
    }
    TRY(par_tree_finish(out, &tree, t->par, scratch));
    arena_reset(scratch, mark);
    return OK;
}

static void add_level(double *sums, double truth, double predicted, double nll, const Scores *s, bool redshift)
{
    (void)predicted, (void)nll, (void)s, (void)redshift;
    sums[0] += 1;
    sums[1] += truth;
}

/* score.r2 holds the mean of the truth while these are summed. */
static void add_errors(double *sums, double truth, double predicted, double nll, const Scores *s, bool redshift)
{
    const double dz = redshift ? metric_dz(truth, predicted) : 0;
    sums[0] += (truth - s->r2) * (truth - s->r2);
    sums[1] += (truth - predicted) * (truth - predicted);
    sums[2] += redshift ? dz : predicted - truth;
    sums[3] += redshift && metric_is_outlier(dz);
    sums[4] += nll;
}

/* Collective. All but sigma_nmad. */
static Status sum_scores(ProbeFit *fit, int n, const RowPredictions *p, const ProbeTask *t, Arena *scratch)
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
            score->nll = of[4] / rows;
            score->outlier_fraction = fit[f].label == LABEL_Z ? of[3] / rows : NAN;
        }
    arena_reset(scratch, mark);
    return OK;
}

/* ---- order statistics ---- */

static Status add_nmad(Scores *score, double *room, const double *truth, const double *predicted, int split,
                       const ProbeTask *t, Arena *a)
{
    int64_t n = 0;
    for (int64_t i = 0; i < t->rows->n; i++) {
        if (t->rows->split[i] != split) continue;
        const double dz = metric_dz(truth[i], predicted[i]);
        if (!isnan(dz)) room[n++] = dz;
    }
    return sorted_nmad(&score->sigma_nmad, room, n, t->par, a);
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

/* Collective. truth (rows->n) is room. */
static Status add_calibration(ProbeFit *fit, double *truth, const RowPredictions *p, const ProbeTask *t, Arena *a)
{
    const Mark mark = arena_mark(a);
    const int split = judge_split(fit, t->input);
    for (int64_t i = 0; i < t->rows->n; i++)
        truth[i] = t->rows->split[i] == split ? t->rows->label[fit->label][i] : NAN;
    const CalibrationRows rows = {t->rows->n, truth, p->value, p->scale, t->rows->magnitude};
    TRY(calibrate(&fit->calibration, &rows, &t->config->calibration, t->par, a));
    arena_reset(a, mark);
    return OK;
}

/* Collective. Of the train rows that the fits were learnt from. */
static void add_label_range(ProbeFit *fit, const ProbeTask *t)
{
    const ProbeTask *learned = t->learned ? t->learned : t;
    const double *y = t->rows->label[fit->label];
    double most[2] = {-INFINITY, -INFINITY}; /* of y and of -y */
    for (int64_t r = 0; r < t->rows->n; r++) {
        if (!probe_trains(learned, fit->label, r)) continue;
        most[0] = fmax(most[0], y[r]);
        most[1] = fmax(most[1], -y[r]);
    }
    par_max_f64(t->par, most, 2);
    fit->label_max = isfinite(most[0]) ? most[0] : NAN;
    fit->label_min = isfinite(most[1]) ? -most[1] : NAN;
}

Status probe_score(ProbeFit *fit, int n, const RowPredictions *p, const ProbeTask *t, Arena *a)
{
    const Mark mark = arena_mark(a);
    double *room = NULL;
    TRY(par_agree(t->par, arena_new(&room, a, t->rows->n)));
    if (n > 0) TRY(sum_scores(fit, n, p, t, a));
    for (int f = 0; f < n; f++) {
        const double *truth = t->rows->label[fit[f].label];
        for (int s = 0; s < N_SPLITS && fit[f].label == LABEL_Z; s++)
            TRY(add_nmad(&fit[f].score[s], room, truth, p[f].value, s, t, a));
        TRY(add_calibration(&fit[f], room, &p[f], t, a));
        add_label_range(&fit[f], t);
    }
    arena_reset(a, mark);
    return OK;
}
