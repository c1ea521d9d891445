/* ridge.c - fits and cross-validation from sums of products. */
#include "probe/ridge.h"

#include <math.h>
#include <string.h>

#include "nn/linalg.h"

static const char *const selections[] = {"folds", "leave_one_out", NULL};

const ConfigField ridge_fields[] = {
    FIELD_REALS(RidgeConfig, lambdas, "[1.0e-3, 1.0e-2, 1.0e-1, 1.0, 10.0, 1.0e+2, 1.0e+3, 1.0e+4, 1.0e+5]", 1e-12,
                1e15, RESULT, "penalties to choose from, by cross-validation on the train split"),
    FIELD_CHOICE(RidgeConfig, selection, "folds", selections, RESULT,
                 "how the penalty is chosen: rows predicted from other folds, or each from all others (closed form)"),
    FIELD_INT(RidgeConfig, folds, "5", 2, 100, RESULT, "parts of the train split, each predicted from the others"),
    FIELD_END};

Status ridge_check(const RidgeConfig *c)
{
    return c->lambdas.n > 0 ? OK : FAIL(E_CONFIG, "ridge.lambdas is empty: give at least one penalty");
}

int64_t ridge_row(RidgeShape shape) { return 1 + shape.dim + shape.n_targets; }

static int64_t triangle(int64_t rows) { return rows * (rows + 1) / 2; }

int64_t ridge_sums(RidgeShape shape) { return triangle(ridge_row(shape)); }

/* Row i of a lower triangle: its columns 0 .. i. */
static const double *row_of(const double *sums, int64_t i) { return sums + triangle(i); }

void ridge_products(double *sums, const double *rows, int64_t n, RidgeShape shape, double *square)
{
    const int64_t m = ridge_row(shape);
    memset(square, 0, (size_t)(m * m) * sizeof *square);
    linalg_gram(square, rows, n, m);
    for (int64_t i = 0; i < m; i++) memcpy(sums + triangle(i), square + i * m, (size_t)(i + 1) * sizeof *sums);
}

/* Covariance sums about the mean: cov (dim, dim) lower triangle, cross (n_targets, dim); NULL = not wanted. */
static void centre(double *cov, double *cross, const double *sums, RidgeShape shape)
{
    const int64_t d = shape.dim;
    const double n = sums[0];
    for (int64_t i = 0; i < d; i++) {
        const double *row = row_of(sums, 1 + i), mean = row[0] / n;
        for (int64_t j = 0; j <= i; j++) cov[i * d + j] = row[1 + j] - mean * row_of(sums, 1 + j)[0];
    }
    for (int64_t t = 0; t < shape.n_targets; t++) {
        const double *row = row_of(sums, 1 + d + t), mean = row[0] / n;
        for (int64_t j = 0; j < d; j++) cross[t * d + j] = row[1 + j] - mean * row_of(sums, 1 + j)[0];
    }
}

Status ridge_solve(double *weight, double *intercept, const double *sums, RidgeShape shape, double lambda,
                   Arena *scratch)
{
    const Mark mark = arena_mark(scratch);
    const int64_t d = shape.dim;
    double *cov;
    if (!(sums[0] > 0)) return FAIL(E_NUMERIC, "a ridge fit without rows");
    TRY(arena_new(&cov, scratch, d * d));
    centre(cov, weight, sums, shape);
    for (int64_t i = 0; i < d; i++) cov[i * d + i] += lambda;
    TRY(linalg_cholesky_solve(weight, cov, d, shape.n_targets));
    for (int64_t t = 0; t < shape.n_targets; t++) {
        double b = row_of(sums, 1 + d + t)[0];
        for (int64_t j = 0; j < d; j++) b -= weight[t * d + j] * row_of(sums, 1 + j)[0];
        intercept[t] = b / sums[0];
    }
    arena_reset(scratch, mark);
    return OK;
}

/* v S v^T with v = (-b, -w, 1 at the target): row i of the triangle gives its diagonal once and the rest twice. */
static double quadratic_form(const double *sums, const double *v, int64_t m)
{
    double total = 0;
    for (int64_t i = 0; i < m; i++) {
        if (v[i] == 0) continue;
        const double *row = row_of(sums, i);
        double part = 0.5 * row[i] * v[i];
        for (int64_t j = 0; j < i; j++) part += row[j] * v[j];
        total += 2 * v[i] * part;
    }
    return total;
}

static void residual_vector(double *v, RidgeShape shape, int64_t t, const double *weight, double intercept)
{
    memset(v, 0, (size_t)ridge_row(shape) * sizeof *v);
    v[0] = -intercept;
    for (int64_t j = 0; j < shape.dim; j++) v[1 + j] = -weight[j];
    v[1 + shape.dim + t] = 1;
}

/* sums of all folds but one, in the order of the folds. */
static void other_folds(double *out, const double *fold_sums, int64_t folds, int64_t but, int64_t size)
{
    memset(out, 0, (size_t)size * sizeof *out);
    for (int64_t k = 0; k < folds; k++)
        for (int64_t i = 0; k != but && i < size; i++) out[i] += fold_sums[k * size + i];
}

/* Adds the squared residuals of one held-out fold to error (n_lambdas, n_targets); infinite where a system is singular.
 */
static Status add_fold(double *error, const double *held_out, const double *others, RidgeShape shape,
                       const ConfigReals *lambdas, Arena *scratch)
{
    const int64_t n_targets = shape.n_targets, m = ridge_row(shape);
    double *weight, *intercept, *v;
    TRY(arena_new(&weight, scratch, n_targets * shape.dim));
    TRY(arena_new(&intercept, scratch, n_targets));
    TRY(arena_new(&v, scratch, m));
    for (int64_t l = 0; l < lambdas->n; l++) {
        const Mark mark = arena_mark(scratch);
        const Status st = ridge_solve(weight, intercept, others, shape, lambdas->item[l], scratch);
        arena_reset(scratch, mark);
        if (st != OK && st != E_NUMERIC) return st;
        if (st != OK) fail_clear(); /* this penalty is out; the others may do */
        for (int64_t t = 0; t < n_targets; t++) {
            if (st == OK) residual_vector(v, shape, t, weight + t * shape.dim, intercept[t]);
            error[l * n_targets + t] += st == OK ? quadratic_form(held_out, v, m) : INFINITY;
        }
    }
    return OK;
}

Status ridge_choose(double *lambda, const double *fold_sums, int64_t folds, RidgeShape shape,
                    const ConfigReals *lambdas, Arena *scratch)
{
    const Mark start = arena_mark(scratch);
    const int64_t size = ridge_sums(shape), n_targets = shape.n_targets;
    double *error, *others;
    TRY(arena_new(&error, scratch, lambdas->n * n_targets));
    TRY(arena_new(&others, scratch, size));
    for (int64_t k = 0; k < folds; k++) {
        const Mark mark = arena_mark(scratch);
        other_folds(others, fold_sums, folds, k, size);
        if (others[0] > 0 && fold_sums[k * size] > 0)
            TRY(add_fold(error, fold_sums + k * size, others, shape, lambdas, scratch));
        arena_reset(scratch, mark);
    }
    for (int64_t t = 0; t < n_targets; t++) {
        int64_t best = 0;
        for (int64_t l = 1; l < lambdas->n; l++)
            if (error[l * n_targets + t] < error[best * n_targets + t]) best = l;
        if (!isfinite(error[best * n_targets + t]))
            return FAIL(E_NUMERIC,
                        "ridge: the normal equations are singular for every penalty up to %g: add larger ones to "
                        "probe.ridge.lambdas",
                        lambdas->item[lambdas->n - 1]);
        lambda[t] = lambdas->item[best];
    }
    arena_reset(scratch, start);
    return OK;
}
