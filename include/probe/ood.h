/* ood.h - out of distribution: how far an object's embedding is from those of the train rows.

   The score is the mean distance to the nearest OOD_NEAREST of up to OOD_LANDMARKS train rows, chosen by a hash of their
   TARGETIDs, in standardised features and per root of their number; a train row does not count as its own neighbour. Beyond the
   0.99 quantile of the val rows an object is flagged (train rows where val has under 10). */
#ifndef PROBE_OOD_H
#define PROBE_OOD_H

#include "probe/fit.h"

enum { OOD_LANDMARKS = 1024, OOD_NEAREST = 5 };

/* Collective. score (rows->n): NaN where features are not usable; fills input->ood_quantile. */
Status probe_ood(double *score, ProbeInput *input, const ProbeTask *t, Arena *a);

#endif
