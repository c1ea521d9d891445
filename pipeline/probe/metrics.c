/* metrics.c - R2, RMSE, bias, and the field's statistics of redshift errors. */
#include "probe/metrics.h"

#include <math.h>
#include <stdlib.h>

double metric_mean(const double *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i];
    return n > 0 ? sum / (double)n : NAN;
}

double metric_mse(const double *truth, const double *prediction, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (truth[i] - prediction[i]) * (truth[i] - prediction[i]);
    return n > 0 ? sum / (double)n : NAN;
}

double metric_r2(const double *truth, const double *prediction, int64_t n)
{
    const double mean = metric_mean(truth, n);
    double spread = 0;
    for (int64_t i = 0; i < n; i++) spread += (truth[i] - mean) * (truth[i] - mean);
    return spread > 0 ? 1 - metric_mse(truth, prediction, n) * (double)n / spread : NAN;
}

double metric_bias(const double *truth, const double *prediction, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += prediction[i] - truth[i];
    return n > 0 ? sum / (double)n : NAN;
}

double metric_dz(double truth, double prediction) { return (prediction - truth) / (1 + truth); }

bool metric_is_outlier(double dz) { return fabs(dz) > OUTLIER_DZ; }

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void metric_sort(double *x, int64_t n)
{
    if (n > 1) qsort(x, (size_t)n, sizeof *x, ascending);
}

double metric_quantile(const double *x, int64_t n, double q)
{
    if (n == 0) return NAN;
    const double at = q * (double)(n - 1);
    const int64_t below = (int64_t)at < n - 1 ? (int64_t)at : n - 1;
    const int64_t above = below < n - 1 ? below + 1 : below;
    return x[below] + (at - (double)below) * (x[above] - x[below]);
}

double metric_nmad(double *x, int64_t n)
{
    metric_sort(x, n);
    const double median = metric_quantile(x, n, 0.5);
    for (int64_t i = 0; i < n; i++) x[i] = fabs(x[i] - median);
    metric_sort(x, n);
    return 1.4826 * metric_quantile(x, n, 0.5);
}

Status metric_scores(Scores *out, const double *truth, const double *prediction, int64_t n, bool redshift,
                     Arena *scratch)
{
    *out = (Scores){
        .n = n,
        .r2 = metric_r2(truth, prediction, n),
        .rmse = sqrt(metric_mse(truth, prediction, n)),
        .bias = metric_bias(truth, prediction, n),
        .sigma_nmad = NAN,
        .outlier_fraction = NAN,
        .nll = NAN,
    };
    if (!redshift || n == 0) return OK;
    const Mark mark = arena_mark(scratch);
    double *dz;
    int64_t outliers = 0;
    TRY(arena_new(&dz, scratch, n));
    for (int64_t i = 0; i < n; i++) {
        dz[i] = metric_dz(truth[i], prediction[i]);
        outliers += metric_is_outlier(dz[i]);
    }
    out->bias = metric_mean(dz, n);
    out->outlier_fraction = (double)outliers / (double)n;
    out->sigma_nmad = metric_nmad(dz, n);
    arena_reset(scratch, mark);
    return OK;
}
