/* predictions.h - predictions.h5: what every fit of probes.h5 says of every row of the catalogue, in its order. No other
   module reads or writes it.

   The file: ENCODER_MODALITY/ood (N), how unlike the train rows; ENCODER_MODALITY/PROBE/PROPERTY/value (N) in the
   property's unit; scale (N) beside it where a probe says how sure it is of each row: a standard deviation; samples (N, draws) of
   posteriors, if asked for. float32, NaN = no prediction (no embedding). ENCODER_MODALITY/PROBE/QUESTION/value (N, answers): shares of votes. */
#ifndef PROBE_PREDICTIONS_H
#define PROBE_PREDICTIONS_H

#include "io/artefact.h"
#include "par/par.h"

enum { PREDICTIONS_VERSION = 1 };

typedef struct {
    H5File file;
    Envelope envelope; /* fingerprint: that of probes.h5 */
    int64_t n;         /* rows */
    char *path, *part; /* while it is written */
} Predictions;

/* Collective. PATH.part, then rows [first, first + mine) of `width` numbers each under NAME, then PATH; or nothing. */
Status predictions_create(Predictions *out, const char *path, const Envelope *e, int64_t n, const Par *par, Arena *a);
Status predictions_put(Predictions *p, const char *name, const float *x, int64_t width, int64_t first, int64_t mine,
                       const Par *par);
Status predictions_publish(Predictions *p, const Par *par, Arena *a);

/* Local with par = NULL, else Collective. */
Status predictions_open(Predictions *out, const char *path, const Par *par, Arena *a);
bool predictions_have(Predictions *p, const char *name);
/* Local. Rows [first, first + n). */
Status predictions_read(float *out, Predictions *p, const char *name, int64_t width, int64_t first, int64_t n);
void predictions_close(Predictions *p); /* twice-safe; of a file that was not published nothing stays */

#endif
