/* collapse.c - in double; the rank from products of rows, whose matrix has the same eigenvalues as the covariance. */
#include "nn/collapse.h"

static Status mean_of(double **mean, const real *x, int64_t rows, int64_t n, Arena *a)
{
    TRY(arena_new(mean, a, n));
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < n; i++) (*mean)[i] += (double)x[r * n + i];
    for (int64_t i = 0; i < n; i++) (*mean)[i] /= (double)rows;
    return OK;
}

Status collapse_entropy(double *entropy, const real *p, int64_t rows, int64_t n, Arena *scratch)
{
    const Mark mark = arena_mark(scratch);
    double *mean;
    TRY(mean_of(&mean, p, rows, n, scratch));
    *entropy = 0;
    for (int64_t i = 0; i < n; i++)
        if (mean[i] > 0) *entropy -= mean[i] * log(mean[i]);
    arena_reset(scratch, mark);
    return OK;
}

Status collapse_rank(double *rank, const real *x, int64_t rows, int64_t n, Arena *scratch)
{
    const Mark mark = arena_mark(scratch);
    double *mean, *off, trace = 0, squares = 0;
    TRY(mean_of(&mean, x, rows, n, scratch));
    TRY(arena_new(&off, scratch, rows * n));
    for (int64_t i = 0; i < rows * n; i++) off[i] = (double)x[i] - mean[i % n];
    for (int64_t r = 0; r < rows; r++)
        for (int64_t s = 0; s <= r; s++) {
            double dot = 0;
            for (int64_t i = 0; i < n; i++) dot += off[r * n + i] * off[s * n + i];
            trace += r == s ? dot : 0;
            squares += (r == s ? 1 : 2) * dot * dot;
        }
    *rank = squares > 0 ? trace * trace / squares : 0;
    arena_reset(scratch, mark);
    return OK;
}
