/* scores.h - how well fits predict, over rows that are spread over ranks; definitions in metrics.h. */
#ifndef PROBE_SCORES_H
#define PROBE_SCORES_H

#include "probe/fit.h"

/* Collective. Predicts all usable rows with n fits of one input. Fills each fit's scores of all splits and the std,
   l68, u68 of its residuals, and the input's ood_quantile. Sums go over the tree of blocks; medians and quantiles over
   a split's values, gathered on rank 0 (8 bytes per row). */
Status probe_score(ProbeInput *input, ProbeFit *fit, int n, const ProbeTask *task, Arena *a);

#endif
