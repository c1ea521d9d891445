/* scores.h - how well fits predict, over rows that are spread over ranks; definitions in metrics.h. */
#ifndef PROBE_SCORES_H
#define PROBE_SCORES_H

#include "probe/fit.h"

/* Collective. Of n fits of one input and what they say of this rank's rows: fills each fit's scores of all splits, its
   calibration and the range of its labels. Sums go over the tree of blocks; medians and quantiles over values sorted over
   the ranks. */
Status probe_score(ProbeFit *fit, int n, const RowPredictions *predicted, const ProbeTask *task, Arena *a);

#endif
