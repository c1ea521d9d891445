/* checkpoint.h - weights in a file: astroclip.ckpt.h5, one float32 dataset per tensor under /weights, by official name. The only reader and writer of
   checkpoints of ours. */
#ifndef TRAIN_CHECKPOINT_H
#define TRAIN_CHECKPOINT_H

#include "io/artefact.h"
#include "nn/params.h"

enum { CHECKPOINT_VERSION = 1 };

/* Local. Writes all parameters to PATH.part and renames. */
Status checkpoint_save(const char *path, const Params *p, const Envelope *envelope);

/* Local. Fills all parameters. Strict: a tensor that is missing, of another shape, not finite, or that the model does not have is E_INPUT by name. */
Status checkpoint_load(Params *p, const char *path, Arena *scratch);

#endif
