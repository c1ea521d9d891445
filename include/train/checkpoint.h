/* checkpoint.h - weights in a file: astroclip.ckpt.h5, one float32 dataset per tensor under /weights, by official name. The only reader and writer of
   checkpoints of ours. A checkpoint may hold a part of the model only, such as one encoder. Attribute `model` tells the sizes as a section of a run
   file, where they are known. */
#ifndef TRAIN_CHECKPOINT_H
#define TRAIN_CHECKPOINT_H

#include "io/artefact.h"
#include "nn/params.h"

enum { CHECKPOINT_VERSION = 1 };

/* Local. Writes all parameters to PATH.part and renames. */
Status checkpoint_save(const char *path, const Params *p, const Envelope *envelope);

/* Local. Fills all parameters. Strict: a tensor that is missing, of another shape, not finite, or that the model does not have is E_INPUT by name. */
Status checkpoint_load(Params *p, const char *path, Arena *scratch);

/* Local. The same for a checkpoint that may be partial: `needed` (NULL-terminated) are the beginnings of names that must all be there. What is missing
   elsewhere stays as it is. */
Status checkpoint_load_parts(Params *p, const char *path, const char *const *needed, Arena *scratch);

/* ---- tensor by tensor, for files larger than one wants to hold ---- */

/* Local. Begins PATH.part; `model` is YAML, "" = not known. */
Status checkpoint_create(H5File *f, const char *path, const Envelope *envelope, const char *model);
Status checkpoint_put(H5File *f, const char *name, const float *values, int n_dims, const int64_t *dims);
Status checkpoint_finish(H5File *f, const char *path); /* closes and renames */

/* Local. Opens a checkpoint, verifies its checksum (all is read once) and lists its tensors, sorted by name. */
Status checkpoint_open(H5File *f, char ***names, int64_t *n, const char *path, Arena *a);
/* Local. One tensor into the arena. */
Status checkpoint_get(float **values, H5Shape *shape, H5File *f, const char *name, Arena *a);

#endif
