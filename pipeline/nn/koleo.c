/* koleo.c - the estimator of entropy of Kozachenko and Leonenko, on unit vectors (Sablayrolles et al. 2019). The choice of
   the neighbour has no gradient, both ends of the distance do. */
#include "nn/koleo.h"

#include "nn/l2norm.h"
#include "nn/vector.h"

static const real eps = (real)1e-8;

static int64_t nearest(const real *unit, int64_t i, int64_t rows, int64_t n)
{
    int64_t best = -1;
    real most = 0;
    for (int64_t j = 0; j < rows; j++) {
        if (j == i) continue;
        const real dot = vector_dot(unit + i * n, unit + j * n, n);
        if (best < 0 || dot > most) {
            best = j;
            most = dot;
        }
    }
    return best;
}

static real distance(const real *a, const real *b, int64_t n)
{
    double sum = 0;
    for (int64_t k = 0; k < n; k++) {
        const real d = a[k] - b[k] + eps;
        sum += (double)d * (double)d;
    }
    return (real)sqrt(sum);
}

Status koleo_loss(double *loss, real *d_x, const real *x, real d_loss, int64_t rows, int64_t n, Arena *scratch)
{
    const Mark mark = arena_mark(scratch);
    real *unit, *norm, *d_unit;
    TRY(arena_new(&unit, scratch, rows * n));
    TRY(arena_new(&norm, scratch, rows));
    TRY(arena_new(&d_unit, scratch, rows * n));
    l2norm_forward(unit, norm, x, rows, n, eps);
    *loss = 0;
    for (int64_t i = 0; i < rows; i++) {
        const int64_t j = nearest(unit, i, rows, n);
        const real far = distance(unit + i * n, unit + j * n, n);
        *loss -= log((double)far + (double)eps) / (double)rows;
        const real slope = -d_loss / ((real)rows * (far + eps) * far);
        for (int64_t k = 0; k < n; k++) {
            const real d = slope * (unit[i * n + k] - unit[j * n + k] + eps);
            d_unit[i * n + k] += d;
            d_unit[j * n + k] -= d;
        }
    }
    if (d_x) l2norm_backward(d_x, d_unit, unit, norm, rows, n, eps);
    arena_reset(scratch, mark);
    return OK;
}
