/* imagereader.h - where the images of a training come from: entry `image` of a sample. */
#ifndef TRAIN_IMAGEREADER_H
#define TRAIN_IMAGEREADER_H

#include "data/dataset.h"

typedef struct {
    Status (*read)(float *pixels, void *self, const Sample *s); /* Local. (3, CUTOUT_PIXELS, CUTOUT_PIXELS) */
    void *self;
} ImageReader;

/* Local. Hands the image of each of n samples to `use`, in the order in which they lie in the file. */
Status imagereader_each(const ImageReader *r, const Sample *sample, int64_t n,
                        Status (*use)(void *self, int64_t i, const float *pixels), void *self, Arena *scratch);

#endif
