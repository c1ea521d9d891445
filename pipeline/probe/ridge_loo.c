/* ridge_loo.c - leave-one-out in closed form (ridge.h): one decomposition, then each row by itself. */
#include <math.h>
#include <string.h>

#include "nn/linalg.h"
#include "probe/ridge.h"

Status ridge_basis_new(RidgeBasis *b, RidgeShape shape, Arena *a)
{
    *b = (RidgeBasis){.shape = shape};
    TRY(arena_new(&b->mean, a, shape.dim + shape.n_targets));
    TRY(arena_new(&b->value, a, shape.dim));
    TRY(arena_new(&b->vector, a, shape.dim * shape.dim));
    return arena_new(&b->cross, a, shape.dim * shape.n_targets);
}

/* Entry (i, j), j <= i, of the sums about the means. */
static double centred(const double *sums, int64_t i, int64_t j)
{
    const double *row = sums + i * (i + 1) / 2;
    return row[j] - row[0] * sums[j * (j + 1) / 2] / sums[0];
}

Status ridge_basis(RidgeBasis *b, const double *sums, Arena *scratch)
{
    const int64_t d = b->shape.dim, n_targets = b->shape.n_targets;
    b->n = sums[0];
    for (int64_t i = 0; i < d + n_targets; i++) b->mean[i] = sums[(i + 1) * (i + 2) / 2] / b->n;
    for (int64_t i = 0; i < d; i++)
        for (int64_t j = 0; j <= i; j++) b->vector[i * d + j] = centred(sums, 1 + i, 1 + j);
    TRY(linalg_eigen_symmetric(b->value, b->vector, d, scratch));
    for (int64_t k = 0; k < d; k++) {
        if (b->value[k] < 0) b->value[k] = 0; /* rounding: the matrix is a Gram matrix */
        for (int64_t t = 0; t < n_targets; t++) {
            double sum = 0;
            for (int64_t i = 0; i < d; i++) sum += b->vector[k * d + i] * centred(sums, 1 + d + t, 1 + i);
            b->cross[k * n_targets + t] = sum;
        }
    }
    return OK;
}

/* p (n, dim): centred rows on the eigenvectors. */
static Status project(double *p, const RidgeBasis *b, const double *rows, int64_t n, Arena *scratch)
{
    const int64_t d = b->shape.dim, m = ridge_row(b->shape);
    double *x, *u;
    TRY(arena_new(&x, scratch, d * n));
    TRY(arena_new(&u, scratch, d * d));
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < d; j++) x[j * n + i] = rows[i * m + 1 + j] - b->mean[j];
    for (int64_t k = 0; k < d; k++)
        for (int64_t j = 0; j < d; j++) u[j * d + k] = b->vector[k * d + j];
    memset(p, 0, (size_t)(n * d) * sizeof *p);
    linalg_cross(p, x, u, d, n, d);
    return OK;
}

Status ridge_left_out(double *error, const RidgeBasis *b, const double *rows, int64_t n, const ConfigReals *lambdas,
                      Arena *scratch)
{
    const int64_t d = b->shape.dim, n_targets = b->shape.n_targets, m = ridge_row(b->shape);
    const Mark mark = arena_mark(scratch);
    double *p, *fit;
    TRY(arena_new(&p, scratch, n * d));
    TRY(arena_new(&fit, scratch, n_targets));
    TRY(project(p, b, rows, n, scratch));
    for (int64_t i = 0; i < n; i++)
        for (int64_t l = 0; l < lambdas->n; l++) {
            double leverage = 1.0 / b->n;
            memset(fit, 0, (size_t)n_targets * sizeof *fit);
            for (int64_t k = 0; k < d; k++) {
                const double scale = b->value[k] + lambdas->item[l], share = scale > 0 ? p[i * d + k] / scale : 0;
                leverage += share * p[i * d + k];
                for (int64_t t = 0; t < n_targets; t++) fit[t] += share * b->cross[k * n_targets + t];
            }
            for (int64_t t = 0; t < n_targets; t++) {
                const double y = rows[i * m + 1 + d + t] - b->mean[d + t], left_out = (y - fit[t]) / (1 - leverage);
                error[l * n_targets + t] += left_out * left_out;
            }
        }
    arena_reset(scratch, mark);
    return OK;
}

void ridge_basis_solve(double *weight, double *intercept, const RidgeBasis *b, int64_t target, double lambda)
{
    const int64_t d = b->shape.dim, n_targets = b->shape.n_targets;
    memset(weight, 0, (size_t)d * sizeof *weight);
    *intercept = b->mean[d + target];
    for (int64_t k = 0; k < d; k++) {
        const double scale = b->value[k] + lambda, share = scale > 0 ? b->cross[k * n_targets + target] / scale : 0;
        for (int64_t j = 0; j < d; j++) weight[j] += share * b->vector[k * d + j];
    }
    for (int64_t j = 0; j < d; j++) *intercept -= weight[j] * b->mean[j];
}
