/* maxpool.h - maps made smaller: the largest number under a window, and the mean of a whole map. Channels lie together, as
   in nn/conv.h; a signal is a map of height 1. Local. */
#ifndef NN_MAXPOOL_H
#define NN_MAXPOOL_H

#include "nn/real.h"

typedef struct {
    int64_t height, width, channels; /* of x */
    int64_t kernel_h, kernel_w, pad_h, pad_w, stride;
} MaxPool;

static inline int64_t maxpool_height(const MaxPool *p)
{
    return (p->height + 2 * p->pad_h - p->kernel_h) / p->stride + 1;
}
static inline int64_t maxpool_width(const MaxPool *p)
{
    return (p->width + 2 * p->pad_w - p->kernel_w) / p->stride + 1;
}

/* y (n, maxpool_height, maxpool_width, channels) of x (n, height, width, channels); padding never wins. from, of y's
   shape: the position (row * width + column) that each came from, the first of equal ones; NULL = not wanted. */
void maxpool_forward(real *y, int32_t *from, const MaxPool *p, const real *x, int64_t n);
/* Adds into d_x. */
void maxpool_backward(real *d_x, const MaxPool *p, const real *d_y, const int32_t *from, int64_t n);

/* y (n, channels) = means of x (n, positions, channels). */
void meanpool_forward(real *y, const real *x, int64_t n, int64_t positions, int64_t channels);
void meanpool_backward(real *d_x, const real *d_y, int64_t n, int64_t positions, int64_t channels);

#endif
