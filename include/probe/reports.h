/* reports.h - how well predictions hold on the test split, for people: CSV files beside probes.h5.

   coverage.csv: share of truths within the 68 % and 95 % intervals, over all rows and by bins of r magnitude, the width of the
   68 % interval, and how far the PIT is from uniform. pit.csv: histogram of the PIT, the place of the truth in the predicted
   distribution. photoz.csv: errors of redshifts by magnitude and by true redshift, dz = (z_pred - z) / (1 + z): bias (mean),
   median, standard deviation, sigma_NMAD, half the width of the central 68 %, outliers beyond 0.15. table.csv: one row for each
   source, model and method, as in the table of Parker et al. 2024. posterior.csv: -ln p of
   flows. */
#ifndef PROBE_REPORTS_H
#define PROBE_REPORTS_H

#include <stdio.h>

#include "probe/fit.h"

enum { PIT_BINS = 20, PHOTOZ_Z_EDGES = 20 };

/* A bin of magnitude, or all rows (low and high NaN). */
typedef struct {
    double low, high; /* r magnitude; infinite at the ends */
    int64_t n, within68, within95;
    double width68; /* with the median scale of the bin's rows */
    int64_t pit[PIT_BINS];
} Coverage;

typedef struct {
    double low, high; /* low <= x < high */
    int64_t n, outliers;
    double bias, median, std, sigma_nmad, sigma68;
} PhotozBin;

typedef struct {
    int fit; /* in ProbeSet.fit */
    int n_coverage;
    Coverage coverage[1 + CALIBRATION_BINS]; /* all rows first */
    int n_magnitude, n_redshift;             /* of redshifts only */
    PhotozBin magnitude[CALIBRATION_BINS], redshift[PHOTOZ_Z_EDGES - 1];
} FitReport;

/* -ln p of the truth under a flow ensemble, in standardised labels: the members' mean and unbiased standard deviation, and that of
   their mixture. */
typedef struct {
    const ProbeInputRow *input;
    const char *property; /* or "joint": all together */
    int split;
    int64_t n;
    double mean, std, mixture;
} PosteriorRow;

struct ProbeReports {
    int n, n_posterior, most;
    FitReport *fit;
    PosteriorRow *posterior;
};

Status reports_open(ProbeReports *r, int most, Arena *a); /* Local */
/* Collective. */
Status reports_add(ProbeReports *r, int index, const ProbeFit *fit, const RowPredictions *p, const ProbeTask *t,
                   Arena *a);
/* Local, the same on all ranks. sum: rows, sums of -ln p of the mixture and of each member. */
void reports_add_posterior(ProbeReports *r, const ProbeInputRow *input, const char *property, int split,
                           const double *sum, int64_t members);
/* Collective. Rank 0 writes posterior.csv, coverage.csv, pit.csv, photoz.csv and table.csv into the folder, through .part. */
Status reports_write(const char *folder, const ProbeReports *r, const ProbeSet *set, const Par *par, Arena *a);

/* Local. The table on one screen: text with aligned columns, or CSV. */
void reports_table(FILE *out, const ProbeSet *set, bool csv);

/* Collective. Coverage of the rows of a split that have truth and value, overall and by the calibration's bins; returns how many
   entries. */
Status coverage_measure(Coverage out[1 + CALIBRATION_BINS], int *n, const Calibration *c, const CalibrationRows *rows,
                        const Par *par, Arena *a);
double
coverage_ks(const Coverage *c); /* largest distance of the PIT's distribution from uniform, at the edges of its bins */

/* Collective. Errors of the rows with low <= x < high; x, truth, value (n). */
Status photoz_measure(PhotozBin *out, double low, double high, const double *x, const double *truth,
                      const double *value, int64_t n, const Par *par, Arena *a);
double photoz_edge(int k); /* of true redshift: PHOTOZ_Z_EDGES edges from 0 to 0.63 (spec.md 6.4) */

#endif
