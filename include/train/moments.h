/* moments.h - the running moments of a residual network, which prediction uses. They are not followed from step to step,
   for that would make them a matter of which rank has which replica: they are the mean over MOMENT_BATCHES batches of
   images, fixed ones and not augmented, taken anew when the weights have changed. */
#ifndef TRAIN_MOMENTS_H
#define TRAIN_MOMENTS_H

#include "model/resnet.h"

enum { MOMENT_BATCHES = 8, MOMENT_BATCH = 64 };

/* x (3, size, size) of image `i` of those that are at hand. */
typedef Status (*MomentImage)(real *x, void *self, int64_t i, Arena *scratch);

/* Local. Of n images, from which batches are spread evenly; with none the moments stay as they are. */
Status moments_take(const Resnet *m, MomentImage image, void *self, int64_t n, Arena *scratch);

#endif
