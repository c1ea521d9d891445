/* import.h - weights between PyTorch's files and ours. Local. */
#ifndef TRAIN_IMPORT_H
#define TRAIN_IMPORT_H

#include "train/checkpoint.h"
#include "train/official.h"

typedef struct {
    int64_t tensors, values; /* written */
    int64_t not_finite;      /* tensors with NaN or Inf, where they are allowed */
    int64_t left_out;        /* tensors that serve training only (official_leaves_out) */
} ImportReport;

/* Writes the model's tensors under AstroCLIP's names to the checkpoint `to`. Strict: a tensor that is missing, of another shape, that the model does not
   have, or not finite (unless allowed) is E_INPUT by name. One tensor at a time is in memory. */
Status import_weights(ImportReport *out, const char *to, TorchFile *f, const OfficialModel *m, bool allow_nonfinite,
                      const Envelope *envelope, Arena *a);

/* Writes the checkpoint of ours `from` as a file that PyTorch loads: all of AstroCLIP as a Lightning checkpoint, an image encoder alone as AstroDINO's
   teacher file, a spectrum encoder alone as SpecFormer's checkpoint, each with its official names. */
Status export_weights(int64_t *n_tensors, const char *to, const char *from, Arena *a);

#endif
