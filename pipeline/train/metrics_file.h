/* metrics_file.h - FOLDER/metrics.csv: step, epoch, loss, grad_norm, lr, val_loss (empty where there was none), the
   objective's own terms, seconds of this run. Rank 0 writes; on other ranks nothing is open and nothing happens. Resuming drops the rows after the state. */
#ifndef TRAIN_METRICS_FILE_H
#define TRAIN_METRICS_FILE_H

#include <stdint.h>
#include <stdio.h>

#include "core/fail.h"

typedef struct {
    int64_t step, epoch;
    double loss, norm, lr, seconds;
    const double *terms; /* as many as have names; borrowed until the end of the row */
} MetricsRow;

typedef struct {
    FILE *file; /* NULL = not this rank */
    char path[1024];
    const char *const *terms; /* names, NULL-terminated; NULL = none */
    MetricsRow row;
    double val_loss; /* of this row; NaN = none */
} MetricsFile;

/* Local. Opens it to go on after `step`: rows up to there are kept. */
Status metrics_open(MetricsFile *m, const char *folder, const char *const *terms, int64_t step);
void metrics_step(MetricsFile *m, const MetricsRow *row);
void metrics_validation(MetricsFile *m, double loss);
Status metrics_end_row(MetricsFile *m); /* writes the row of the step */
Status metrics_flush(MetricsFile *m);   /* what was written is on disk */
Status metrics_close(MetricsFile *m);   /* twice-safe */

#endif
