/* volume_impl.h - what a volume and the file over all of them share. Private to embed. */
#ifndef EMBED_VOLUME_IMPL_H
#define EMBED_VOLUME_IMPL_H

#include "embed/volume.h"

/* The columns of a volume besides the sets, up to a NULL name: type, width of text, second dimension (0 = none). */
typedef struct {
    const char *name;
    H5Type type;
    int64_t width, columns;
} VolumeColumn;
extern const VolumeColumn volume_columns[];

extern const char *const volume_flags[N_MODALITIES]; /* datasets of flags */

void volume_name(char name[H5_PATH], const char *folder, int64_t number);

#endif
