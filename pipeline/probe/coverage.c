/* coverage.c - do intervals hold what they promise? Counts alone go over ranks. */
#include <math.h>
#include <string.h>

#include "probe/metrics.h"
#include "probe/reports.h"
#include "probe/sorted.h"

static bool counts(const CalibrationRows *r, int64_t i) { return isfinite(r->truth[i]) && isfinite(r->value[i]); }

static bool is_within(const Coverage *c, bool all, double magnitude)
{
    return all || (isfinite(magnitude) && magnitude >= c->low && magnitude < c->high);
}

/* Collective. */
static Status measure(Coverage *out, bool all, const CalibrationBin *bin, const Calibration *c,
                      const CalibrationRows *r, double *scale, const Par *par, Arena *a)
{
    const Mark mark = arena_mark(a);
    int64_t sum[3 + PIT_BINS] = {0}, n = 0;
    SortedValues s;
    for (int64_t i = 0; i < r->n; i++) {
        if (!counts(r, i) || !is_within(out, all, r->magnitude[i])) continue;
        const Interval e = calibration_interval(c, r->value[i], r->scale[i], r->magnitude[i]);
        const double pit = calibration_pit(c, r->truth[i], r->value[i], r->scale[i], r->magnitude[i]);
        sum[0]++;
        sum[1] += r->truth[i] >= e.l68 && r->truth[i] <= e.u68;
        sum[2] += r->truth[i] >= e.l95 && r->truth[i] <= e.u95;
        if (isfinite(pit)) sum[3 + (int)fmin(PIT_BINS - 1, floor(pit * PIT_BINS))]++;
        scale[n++] = r->scale[i];
    }
    par_sum_i64(par, sum, 3 + PIT_BINS);
    TRY(sorted_make(&s, scale, n, par, a));
    out->n = sum[0];
    out->within68 = sum[1];
    out->within95 = sum[2];
    memcpy(out->pit, sum + 3, sizeof out->pit);
    out->width68 = (bin->u68 - bin->l68) * sorted_quantile(&s, 0.5);
    arena_reset(a, mark);
    return OK;
}

Status coverage_measure(Coverage out[1 + CALIBRATION_BINS], int *n, const Calibration *c, const CalibrationRows *rows,
                        const Par *par, Arena *a)
{
    const Mark mark = arena_mark(a);
    double *scale = NULL;
    TRY(par_agree(par, arena_new(&scale, a, rows->n)));
    *n = c->n_bins > 1 ? 1 + c->n_bins : 1;
    for (int b = 0; b < *n; b++) {
        const bool first = b == 1, last = b == c->n_bins;
        out[b] = b == 0
                     ? (Coverage){.low = NAN, .high = NAN}
                     : (Coverage){.low = first ? -INFINITY : c->edge[b - 2], .high = last ? INFINITY : c->edge[b - 1]};
        TRY(measure(&out[b], b == 0, b == 0 ? &c->all : &c->bin[b - 1], c, rows, scale, par, a));
    }
    arena_reset(a, mark);
    return OK;
}

double coverage_ks(const Coverage *c)
{
    int64_t total = 0, below = 0;
    double most = 0;
    for (int b = 0; b < PIT_BINS; b++) total += c->pit[b];
    if (total == 0) return NAN;
    for (int b = 0; b < PIT_BINS; b++) {
        below += c->pit[b];
        most = fmax(most, fabs((double)below / (double)total - (b + 1.0) / PIT_BINS));
    }
    return most;
}

/* ---- redshifts ---- */

double photoz_edge(int k) { return k * (0.6 * 1.05) / (PHOTOZ_Z_EDGES - 1); }

Status photoz_measure(PhotozBin *out, double low, double high, const double *x, const double *truth,
                      const double *value, int64_t n, const Par *par, Arena *a)
{
    const Mark mark = arena_mark(a);
    double *dz = NULL;
    int64_t mine = 0, outliers = 0;
    SortedValues s;
    *out = (PhotozBin){.low = low, .high = high};
    TRY(par_agree(par, arena_new(&dz, a, n)));
    for (int64_t i = 0; i < n; i++) {
        const double d = metric_dz(truth[i], value[i]);
        if (!(x[i] >= low && x[i] < high) || !isfinite(d)) continue;
        dz[mine++] = d;
        outliers += metric_is_outlier(d);
    }
    par_sum_i64(par, &outliers, 1);
    TRY(sorted_make(&s, dz, mine, par, a));
    out->n = s.total;
    out->outliers = outliers;
    out->bias = sorted_mean(&s);
    out->median = sorted_quantile(&s, 0.5);
    out->std = s.total > 0 ? sqrt(sorted_squares(&s, out->bias) / (double)s.total) : NAN;
    out->sigma68 = 0.5 * (sorted_quantile(&s, 0.84) - sorted_quantile(&s, 0.16));
    TRY(sorted_nmad(&out->sigma_nmad, dz, mine, par, a));
    arena_reset(a, mark);
    return OK;
}
