/* calibrate.h - intervals by split-conformal prediction, conditional on magnitude, and how well they hold.

   Residuals r = (truth - value) / scale of rows that no weight has seen (the val split), in bins of r magnitude with equal
   numbers of rows; scale is 1 where a probe tells none. A new row's interval is value + scale * [quantile, quantile] of
   its bin's residuals, with the finite-sample levels of conformal prediction: the floor((n + 1) a)-th and the
   ceil((n + 1) (1 - a))-th of n ascending residuals for the lower and upper end (a = 0.16 and 0.025); +-Inf never: where n is
   too small for a level, the outermost residual. */
#ifndef PROBE_CALIBRATE_H
#define PROBE_CALIBRATE_H

#include "core/config.h"
#include "par/par.h"

enum { CALIBRATION_BINS = 16, CALIBRATION_GRID = 101 };

typedef struct {
    int64_t bins;     /* of magnitude, at most    */
    int64_t min_rows; /* of a bin: else fewer bins */
} CalibrationConfig;
extern const ConfigField calibration_fields[];

typedef struct {
    int64_t n;                      /* residuals                           */
    double std, l68, u68, l95, u95; /* in units of scale; NaN without rows */
    double grid[CALIBRATION_GRID];  /* quantiles 0, 1 %, ... 100 %         */
} CalibrationBin;

typedef struct {
    int n_bins;                    /* 0 = nothing is known                                  */
    double edge[CALIBRATION_BINS]; /* (n_bins - 1) magnitudes: bin b is edge[b-1] <= m < edge[b] */
    CalibrationBin bin[CALIBRATION_BINS];
    CalibrationBin all; /* for rows without a magnitude */
} Calibration;

typedef struct {
    double std, l68, u68, l95, u95; /* in the property's unit; l, u are ends, not lengths */
} Interval;

/* This rank's rows; NaN truth or value = not counted. scale NULL = 1. */
typedef struct {
    int64_t n;
    const double *truth, *value, *scale, *magnitude;
} CalibrationRows;

/* Collective. From the rows given (the val rows). The same bits for any number of ranks. */
Status calibrate(Calibration *out, const CalibrationRows *rows, const CalibrationConfig *c, const Par *par, Arena *a);

/* Local. All NaN for a NaN value. */
Interval calibration_interval(const Calibration *c, double value, double scale, double magnitude);
/* Local. Share of the bin's residuals below this one: uniform in 0 .. 1 where the calibration holds. */
double calibration_pit(const Calibration *c, double truth, double value, double scale, double magnitude);

#endif
