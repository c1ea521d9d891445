/* sorted.c - values go through the sort of par; what is asked for is looked up where it lies, sums pass from rank to
   rank in order. */
#include "probe/sorted.h"

#include <math.h>

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

Status sorted_make(SortedValues *out, const double *mine, int64_t n, const Par *par, Arena *a)
{
    *out = (SortedValues){.par = par, .total = n};
    TRY(par_sort((void **)&out->x, &out->n, par, mine, n, sizeof *mine, ascending, a));
    par_sum_i64(par, &out->total, 1);
    out->first = par_offset_i64(par, out->n);
    return OK;
}

double sorted_quantile(const SortedValues *s, double q)
{
    if (s->total == 0) return NAN;
    const double at = q * (double)(s->total - 1);
    const int64_t below = (int64_t)at < s->total - 1 ? (int64_t)at : s->total - 1;
    const int64_t place[2] = {below, below < s->total - 1 ? below + 1 : below};
    double value[2];
    for (int k = 0; k < 2; k++) {
        const int64_t i = place[k] - s->first;
        value[k] = i >= 0 && i < s->n ? s->x[i] : -INFINITY; /* less than what the owner brings */
    }
    par_max_f64(s->par, value, 2);
    return value[0] + (at - (double)below) * (value[1] - value[0]);
}

/* Collective. One sum over all values in their order: each rank goes on from the sum of those below. */
static double sum_in_order(const SortedValues *s, double (*of)(double x, double centre), double centre)
{
    double sum = 0;
    for (int r = 0; r < s->par->n_ranks; r++) {
        if (r == s->par->rank)
            for (int64_t i = 0; i < s->n; i++) sum += of(s->x[i], centre);
        par_bcast(s->par, &sum, sizeof sum, r);
    }
    return sum;
}

static double itself(double x, double centre)
{
    (void)centre;
    return x;
}

static double square(double x, double centre) { return (x - centre) * (x - centre); }

double sorted_mean(const SortedValues *s)
{
    const double sum = sum_in_order(s, itself, 0);
    return s->total > 0 ? sum / (double)s->total : NAN;
}

double sorted_squares(const SortedValues *s, double centre) { return sum_in_order(s, square, centre); }

Status sorted_nmad(double *out, const double *mine, int64_t n, const Par *par, Arena *scratch)
{
    const Mark mark = arena_mark(scratch);
    SortedValues s;
    *out = NAN;
    TRY(sorted_make(&s, mine, n, par, scratch));
    const double median = sorted_quantile(&s, 0.5);
    for (int64_t i = 0; i < s.n; i++) s.x[i] = fabs(s.x[i] - median);
    TRY(sorted_make(&s, s.x, s.n, par, scratch));
    *out = 1.4826 * sorted_quantile(&s, 0.5);
    arena_reset(scratch, mark);
    return OK;
}
