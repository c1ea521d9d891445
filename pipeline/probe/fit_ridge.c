/* fit_ridge.c - ridge over ranks: one pass over the features for all properties that the same rows have. Each block
   gives the sums of products of its rows, fold by fold; the tree of blocks adds them up; rank 0 chooses the penalty and
   solves.

   A row's fold follows from its TARGETID: rows of one object are never on both sides, and ranks play no part. With
   leave-one-out there is one fold, and a second pass over the rows gives each row's error without it. */
#include <math.h>
#include <string.h>

#include "core/clock.h"
#include "probe/fit.h"

/* Another use of the same hash must not split the rows alike: the catalogue's split is one. */
static int fold_of(int64_t targetid, int64_t folds)
{
    return (int)(hash_mix((uint64_t)targetid ^ hash_fnv1a("probe.fold")) % (uint64_t)folds);
}

/* Collective. The middle of each label's range: exact, so in no need of an order. */
static void find_centres(ProbeGroup *g, const ProbeTask *t)
{
    for (int k = 0; k < g->n; k++) {
        const double *y = t->rows->label[g->fit[k]->label];
        double most[2] = {-INFINITY, -INFINITY}; /* of y and of -y */
        for (int64_t r = 0; r < t->rows->n; r++) {
            if (!probe_trains(t, g->fit[k]->label, r)) continue;
            most[0] = fmax(most[0], y[r]);
            most[1] = fmax(most[1], -y[r]);
        }
        par_max_f64(t->par, most, 2);
        g->centre[k] = 0.5 * most[0] - 0.5 * most[1];
    }
}

/* ---- sums ---- */

static int64_t folds_of(const ProbeTask *t)
{
    return t->config->ridge.selection == RIDGE_FOLDS ? t->config->ridge.folds : 1;
}

/* Augmented rows (1, standardised features, centred labels) of one fold of a block; returns how many. */
static int64_t collect(double *out, const ProbeBlock *b, int fold, const ProbeGroup *g, const ProbeTask *t)
{
    const int64_t dim = t->input->dim;
    const double *mean = t->input->mean, *std = t->input->std;
    double *to = out;
    for (int64_t i = 0; i < b->n; i++) {
        const int64_t row = b->at + i;
        const float *x = b->x + i * dim;
        if (!probe_trains(t, g->fit[0]->label, row) || fold_of(t->rows->targetid[row], folds_of(t)) != fold) continue;
        *to++ = 1;
        for (int64_t d = 0; d < dim; d++) *to++ = ((double)x[d] - mean[d]) / std[d];
        for (int k = 0; k < g->n; k++) *to++ = t->rows->label[g->fit[k]->label][row] - g->centre[k];
    }
    return (to - out) / (1 + dim + g->n);
}

/* Local. This rank's part of the tree. */
static Status sum_blocks(TreeSum *tree, const ProbeGroup *g, RidgeShape shape, const ProbeTask *t, Arena *scratch)
{
    const int64_t folds = folds_of(t), size = ridge_sums(shape), m = ridge_row(shape);
    double *leaf, *rows, *square;
    ProbeBlock b;
    TRY(treesum_init(tree, folds * size, t->rows->n_blocks, scratch));
    TRY(arena_new(&leaf, scratch, folds * size));
    TRY(arena_new(&rows, scratch, t->rows->block_rows * m));
    TRY(arena_new(&square, scratch, m * m));
    TRY(probe_block_open(&b, t->rows, t->features, scratch));
    while (probe_block_next(&b)) {
        for (int k = 0; k < (int)folds; k++) {
            const int64_t n = collect(rows, &b, k, g, t);
            ridge_products(leaf + k * size, rows, n, shape, square);
        }
        treesum_push(tree, b.block, leaf);
    }
    return b.status;
}

/* ---- solution ---- */

/* Local. Penalties by cross-validation, then each target on all folds. solution (n_targets, dim + 2): weights,
   intercept, lambda. */
static Status solve(double *solution, double *fold_sums, RidgeShape shape, const RidgeConfig *c, Arena *scratch)
{
    const int64_t size = ridge_sums(shape), n = shape.n_targets, dim = shape.dim;
    double *lambda, *weight, *intercept;
    TRY(arena_new(&lambda, scratch, n));
    TRY(arena_new(&weight, scratch, n * dim));
    TRY(arena_new(&intercept, scratch, n));
    TRY(ridge_choose(lambda, fold_sums, c->folds, shape, &c->lambdas, scratch));
    for (int64_t k = 1; k < c->folds; k++)
        for (int64_t i = 0; i < size; i++) fold_sums[i] += fold_sums[k * size + i];
    for (int64_t t = 0; t < n; t++) {
        double *out = solution + t * (dim + 2);
        TRY(ridge_solve(weight, intercept, fold_sums, shape, lambda[t], scratch));
        memcpy(out, weight + t * dim, (size_t)dim * sizeof *out);
        out[dim] = intercept[t];
        out[dim + 1] = lambda[t];
    }
    return OK;
}

/* Collective. Rank 0 chooses and solves. */
static Status solve_folds(double *solution, double *fold_sums, RidgeShape shape, const ProbeTask *t, Arena *scratch)
{
    Status st = OK;
    clock_begin("ridge: solve");
    if (t->par->rank == 0) st = solve(solution, fold_sums, shape, &t->config->ridge, scratch);
    clock_end("ridge: solve");
    return st;
}

/* ---- leave-one-out ---- */

/* Local. This rank's errors of rows left out, for each penalty and target. */
static Status sum_left_out(TreeSum *tree, const RidgeBasis *basis, const ProbeGroup *g, const ProbeTask *t,
                           Arena *scratch)
{
    const ConfigReals *lambdas = &t->config->ridge.lambdas;
    const int64_t size = lambdas->n * g->n;
    double *leaf, *rows;
    ProbeBlock b;
    TRY(treesum_init(tree, size, t->rows->n_blocks, scratch));
    TRY(arena_new(&leaf, scratch, size));
    TRY(arena_new(&rows, scratch, t->rows->block_rows * ridge_row(basis->shape)));
    TRY(probe_block_open(&b, t->rows, t->features, scratch));
    while (b.status == OK && probe_block_next(&b)) {
        const int64_t n = collect(rows, &b, 0, g, t);
        memset(leaf, 0, (size_t)size * sizeof *leaf);
        b.status = ridge_left_out(leaf, basis, rows, n, lambdas, scratch);
        if (b.status == OK) treesum_push(tree, b.block, leaf);
    }
    return b.status;
}

/* Collective. The same on all ranks. */
static Status solve_left_out(double *solution, const double *sums, const ProbeGroup *g, RidgeShape shape,
                             const ProbeTask *t, Arena *scratch)
{
    const ConfigReals *lambdas = &t->config->ridge.lambdas;
    const int64_t dim = shape.dim;
    RidgeBasis basis;
    TreeSum tree;
    double *error = NULL;
    clock_begin("ridge: solve");
    Status st = ridge_basis_new(&basis, shape, scratch);
    if (st == OK && t->par->rank == 0) st = ridge_basis(&basis, sums, scratch);
    if (st == OK) st = arena_new(&error, scratch, lambdas->n * shape.n_targets);
    clock_end("ridge: solve");
    TRY(par_agree(t->par, st));
    par_bcast(t->par, &basis.n, sizeof basis.n, 0);
    par_bcast(t->par, basis.mean, (dim + shape.n_targets) * (int64_t)sizeof(double), 0);
    par_bcast(t->par, basis.value, dim * (int64_t)sizeof(double), 0);
    par_bcast(t->par, basis.vector, dim * dim * (int64_t)sizeof(double), 0);
    par_bcast(t->par, basis.cross, dim * shape.n_targets * (int64_t)sizeof(double), 0);
    clock_begin("ridge: leave one out");
    st = sum_left_out(&tree, &basis, g, t, scratch);
    clock_end("ridge: leave one out");
    TRY(par_agree(t->par, st));
    TRY(par_tree_finish(error, &tree, t->par, scratch));
    for (int64_t k = 0; k < shape.n_targets; k++) {
        double *out = solution + k * (dim + 2);
        int64_t best = 0;
        for (int64_t l = 1; l < lambdas->n; l++)
            if (error[l * shape.n_targets + k] < error[best * shape.n_targets + k]) best = l;
        ridge_basis_solve(out, out + dim, &basis, k, lambdas->item[best]);
        out[dim + 1] = lambdas->item[best];
    }
    return OK;
}

/* ---- a group ---- */

static Status fit_group(ProbeGroup *g, const ProbeTask *t, Arena *scratch)
{
    const RidgeShape shape = {t->input->dim, g->n};
    const int64_t width = shape.dim + 2;
    double *total = NULL, *solution = NULL;
    TreeSum tree;
    find_centres(g, t);
    Status st = arena_new(&total, scratch, folds_of(t) * ridge_sums(shape));
    if (st == OK) st = arena_new(&solution, scratch, g->n * width);
    const Mark mark = arena_mark(scratch);
    clock_begin("ridge: sums");
    if (st == OK) st = sum_blocks(&tree, g, shape, t, scratch);
    clock_end("ridge: sums");
    TRY(par_agree(t->par, st));
    TRY(par_tree_finish(total, &tree, t->par, scratch));
    arena_reset(scratch, mark);

    if (t->config->ridge.selection == RIDGE_FOLDS)
        st = solve_folds(solution, total, shape, t, scratch);
    else
        st = solve_left_out(solution, total, g, shape, t, scratch);
    if (st != OK) fail_note("fitting %s", label_table[g->fit[0]->label].name);
    TRY(par_agree(t->par, st));
    par_bcast(t->par, solution, g->n * width * (int64_t)sizeof *solution, 0);
    for (int k = 0; k < g->n; k++) {
        const double *from = solution + k * width;
        memcpy(g->fit[k]->weight, from, (size_t)shape.dim * sizeof *from);
        g->fit[k]->intercept = g->centre[k] + from[shape.dim];
        g->fit[k]->lambda = from[shape.dim + 1];
    }
    return OK;
}

static Status fit_ridge(ProbeFit *fit, int n, const ProbeTask *t, Arena *a)
{
    ProbeGroup group[N_LABELS];
    Status st = OK;
    for (int f = 0; f < n && st == OK; f++) {
        fit[f].n_weights = t->input->dim;
        st = arena_new(&fit[f].weight, a, t->input->dim);
    }
    TRY(par_agree(t->par, st));
    const int n_groups = probe_groups(group, fit, n, t);
    for (int g = 0; g < n_groups; g++) {
        const Mark mark = arena_mark(a);
        TRY(fit_group(&group[g], t, a));
        arena_reset(a, mark);
    }
    return OK;
}

/* The nodes of the tree, three vectors beside it, and the matrices of one fit. */
int64_t ridge_memory(const RidgeConfig *c, int64_t rows, int64_t dim, int64_t n_targets)
{
    const RidgeShape shape = {dim, n_targets};
    const int64_t m = ridge_row(shape), vector = (c->selection == RIDGE_FOLDS ? c->folds : 1) * ridge_sums(shape);
    int64_t height = 0;
    while (((int64_t)1 << height) * 256 < rows) height++;
    return 8 * ((2 * height + 3 + 3) * vector + 4 * m * m + 3 * 4096 * m);
}

/* ---- predictions ---- */

double ridge_predict(const ProbeFit *fit, const ProbeInput *input, const float *x)
{
    double sum = 0;
    for (int64_t d = 0; d < input->dim; d++) sum += fit->weight[d] * (((double)x[d] - input->mean[d]) / input->std[d]);
    return isfinite(sum) ? fit->intercept + sum : NAN;
}

static Status predict_rows(RowPredictions *out, const ProbeFit *fit, int n, const ProbeTask *t, Arena *a)
{
    ProbeBlock b;
    TRY(probe_block_open(&b, t->rows, t->features, a));
    while (probe_block_next(&b))
        for (int64_t i = 0; i < b.n; i++)
            for (int f = 0; f < n && t->usable[b.at + i]; f++)
                out[f].value[b.at + i] = ridge_predict(&fit[f], t->input, b.x + i * t->input->dim);
    return b.status;
}

static Status predict_ridge(RowPredictions *out, const ProbeFit *fit, int n, const ProbeTask *t, Arena *a)
{
    const Mark mark = arena_mark(a);
    TRY(par_agree(t->par, predict_rows(out, fit, n, t, a)));
    arena_reset(a, mark);
    return OK;
}

const ProbeKind ridge_probe = {"ridge", "linear, with a penalty on the weights chosen by cross-validation", fit_ridge,
                               predict_ridge};
