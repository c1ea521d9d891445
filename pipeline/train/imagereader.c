/* imagereader.c - images of a batch, read forwards. */
#include "train/imagereader.h"

#include <stdlib.h>

#include "core/clock.h"

typedef struct {
    int64_t image, at;
} Reading;

static int by_place(const void *a, const void *b)
{
    const Reading *x = a, *y = b;
    return x->image != y->image ? (x->image > y->image) - (x->image < y->image) : (x->at > y->at) - (x->at < y->at);
}

Status imagereader_each(const ImageReader *r, const Sample *sample, int64_t n,
                        Status (*use)(void *self, int64_t i, const float *pixels), void *self, Arena *scratch)
{
    const Mark mark = arena_mark(scratch);
    Reading *order;
    float *pixels;
    TRY(arena_new(&order, scratch, n));
    TRY(arena_new(&pixels, scratch, IMAGE_NUMBERS));
    for (int64_t i = 0; i < n; i++) order[i] = (Reading){sample[i].image, i};
    qsort(order, (size_t)n, sizeof *order, by_place);
    for (int64_t k = 0; k < n; k++) {
        TRY(r->read(pixels, r->self, &sample[order[k].at]));
        TRY(use(self, order[k].at, pixels));
        clock_tick();
    }
    arena_reset(scratch, mark);
    return OK;
}
