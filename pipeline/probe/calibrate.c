/* calibrate.c - bins from the quantiles of the magnitudes, order statistics of the residuals of each bin. */
#include "probe/calibrate.h"

#include <math.h>

#include "probe/sorted.h"

const ConfigField calibration_fields[] = {FIELD_INT(CalibrationConfig, bins, "10", 1, CALIBRATION_BINS, RESULT,
                                                    "bins of r magnitude, at most"),
                                          FIELD_INT(CalibrationConfig, min_rows, "50", 2, 1e12, RESULT,
                                                    "rows of a bin: with fewer there are fewer bins"),
                                          FIELD_END};

static bool counts(const CalibrationRows *r, int64_t i) { return isfinite(r->truth[i]) && isfinite(r->value[i]); }

static double residual(const CalibrationRows *r, int64_t i)
{
    return (r->truth[i] - r->value[i]) / (r->scale ? r->scale[i] : 1);
}

static int bin_of(const Calibration *c, double magnitude)
{
    int b = 0;
    while (b < c->n_bins - 1 && magnitude >= c->edge[b]) b++;
    return b;
}

/* The value at the 1-based place `rank` of n ascending ones; places beyond the ends are the ends. */
static double at_rank(const SortedValues *s, int64_t rank)
{
    const int64_t place = rank < 1 ? 1 : rank > s->total ? s->total : rank;
    return sorted_quantile(s, s->total > 1 ? (double)(place - 1) / (double)(s->total - 1) : 0);
}

/* Collective. Of the n residuals of this rank. */
static Status fill_bin(CalibrationBin *out, const double *x, int64_t n, const Par *par, Arena *a)
{
    const Mark mark = arena_mark(a);
    SortedValues s;
    TRY(sorted_make(&s, x, n, par, a));
    const double all = (double)s.total;
    out->n = s.total;
    out->std = s.total > 0 ? sqrt(sorted_squares(&s, sorted_mean(&s)) / all) : NAN;
    out->l68 = at_rank(&s, (int64_t)floor(0.16 * (all + 1)));
    out->u68 = at_rank(&s, (int64_t)ceil(0.84 * (all + 1)));
    out->l95 = at_rank(&s, (int64_t)floor(0.025 * (all + 1)));
    out->u95 = at_rank(&s, (int64_t)ceil(0.975 * (all + 1)));
    for (int q = 0; q < CALIBRATION_GRID; q++) out->grid[q] = sorted_quantile(&s, (double)q / (CALIBRATION_GRID - 1));
    arena_reset(a, mark);
    return OK;
}

/* Collective. Edges that leave each bin as many rows as the next; equal magnitudes stay together. */
static Status find_edges(Calibration *out, double *room, const CalibrationRows *r, const CalibrationConfig *c,
                         const Par *par, Arena *a)
{
    const Mark mark = arena_mark(a);
    int64_t n = 0;
    SortedValues s;
    for (int64_t i = 0; i < r->n; i++)
        if (counts(r, i) && isfinite(r->magnitude[i])) room[n++] = r->magnitude[i];
    TRY(sorted_make(&s, room, n, par, a));
    const int64_t possible = s.total / c->min_rows;
    int64_t bins = possible < c->bins ? possible : c->bins;
    bins = bins < 1 && s.total > 0 ? 1 : bins;
    out->n_bins = (int)bins;
    for (int64_t b = 1; b < bins; b++) out->edge[b - 1] = sorted_quantile(&s, (double)b / (double)bins);
    arena_reset(a, mark);
    return OK;
}

Status calibrate(Calibration *out, const CalibrationRows *r, const CalibrationConfig *c, const Par *par, Arena *a)
{
    const Mark mark = arena_mark(a);
    double *room = NULL;
    *out = (Calibration){0};
    TRY(par_agree(par, arena_new(&room, a, r->n)));
    TRY(find_edges(out, room, r, c, par, a));
    for (int b = -1; b < out->n_bins; b++) {
        int64_t n = 0;
        for (int64_t i = 0; i < r->n; i++)
            if (counts(r, i) && (b < 0 || (isfinite(r->magnitude[i]) && bin_of(out, r->magnitude[i]) == b)))
                room[n++] = residual(r, i);
        TRY(fill_bin(b < 0 ? &out->all : &out->bin[b], room, n, par, a));
    }
    arena_reset(a, mark);
    return OK;
}

static const CalibrationBin *choose(const Calibration *c, double magnitude)
{
    if (!isfinite(magnitude) || c->n_bins == 0) return &c->all;
    const CalibrationBin *bin = &c->bin[bin_of(c, magnitude)];
    return bin->n > 0 ? bin : &c->all; /* many rows of one magnitude can leave a bin empty */
}

Interval calibration_interval(const Calibration *c, double value, double scale, double magnitude)
{
    const CalibrationBin *b = choose(c, magnitude);
    if (isnan(value)) return (Interval){NAN, NAN, NAN, NAN, NAN};
    return (Interval){scale * b->std, value + scale * b->l68, value + scale * b->u68, value + scale * b->l95,
                      value + scale * b->u95};
}

double calibration_pit(const Calibration *c, double truth, double value, double scale, double magnitude)
{
    const CalibrationBin *b = choose(c, magnitude);
    const double r = (truth - value) / scale;
    if (isnan(r) || b->n == 0) return NAN;
    int k = 0;
    while (k < CALIBRATION_GRID && b->grid[k] < r) k++;
    if (k == 0) return 0;
    if (k == CALIBRATION_GRID) return 1;
    const double low = b->grid[k - 1], high = b->grid[k];
    return (k - 1 + (r - low) / (high - low)) / (CALIBRATION_GRID - 1);
}
