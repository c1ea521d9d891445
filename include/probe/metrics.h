/* metrics.h - scores of predictions: plain serial functions of arrays, in double, in the order of the rows. The scores
   of distributed rows (scores.c) are made of the same pieces.

   R2 = 1 - sum (y - p)^2 / sum (y - mean y)^2 over the rows that are scored. RMSE = sqrt(mean (y - p)^2). Bias = mean
   (p - y). A redshift's error is dz = (z_pred - z_true) / (1 + z_true): its bias is mean dz, sigma_NMAD = 1.4826 median
   |dz - median dz|, and the outlier fraction is the share with |dz| > 0.15, as is usual for photometric redshifts (e.g.
   Ilbert et al. 2006, Hildebrandt et al. 2010). Quantiles interpolate between the two nearest values. What is undefined
   (no rows; R2 of a constant truth) is NaN. */
#ifndef PROBE_METRICS_H
#define PROBE_METRICS_H

#include "probe/probes.h"

#define OUTLIER_DZ 0.15

double metric_mean(const double *x, int64_t n);
double metric_mse(const double *truth, const double *prediction, int64_t n);
double metric_r2(const double *truth, const double *prediction, int64_t n);
double metric_bias(const double *truth, const double *prediction, int64_t n);

double metric_dz(double truth, double prediction);
bool metric_is_outlier(double dz);
/* The median absolute deviation of n values, scaled to a Gaussian's sigma. Reorders and overwrites them. */
double metric_nmad(double *x, int64_t n);

/* Ascending; and the q quantile (0 <= q <= 1) of n ascending values. */
void metric_sort(double *x, int64_t n);
double metric_quantile(const double *ascending, int64_t n, double q);

/* All scores of n rows; `redshift` adds those that only redshifts have. */
Status metric_scores(Scores *out, const double *truth, const double *prediction, int64_t n, bool redshift,
                     Arena *scratch);

#endif
