/* sorted.h - order statistics of values that are spread over ranks: sorted, an equal share on each, never all on one.
   The same bits for any number of ranks: those of metrics.h on one rank. */
#ifndef PROBE_SORTED_H
#define PROBE_SORTED_H

#include "par/par.h"

typedef struct {
    double *x;        /* this rank's share, ascending    */
    int64_t n, first; /* of it, and its place in the whole */
    int64_t total;
    const Par *par;
} SortedValues;

/* Collective. Of n values on this rank, none of them NaN; from `a`. */
Status sorted_make(SortedValues *out, const double *mine, int64_t n, const Par *par, Arena *a);

/* Collective. Like metric_quantile and metric_mean; the sum of squares of the distances from `centre`. */
double sorted_quantile(const SortedValues *s, double q);
double sorted_mean(const SortedValues *s);
double sorted_squares(const SortedValues *s, double centre);

/* Collective. Like metric_nmad. */
Status sorted_nmad(double *out, const double *mine, int64_t n, const Par *par, Arena *scratch);

#endif
