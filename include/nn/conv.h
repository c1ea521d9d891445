/* conv.h - convolutions over maps whose channels lie together: x (n, height, width, c_in), weights (c_out, c_in, kernel_h,
   kernel_w) as PyTorch stores them. A signal is a map of height 1 with a kernel of height 1. Padding is with zeros, one
   stride both ways. Local.

   A map's result has the same bits in whatever batch (nn/gemm.h). Gradients of weights are sums over the maps in order, in
   groups whose size follows from that of the maps and the provider. */
#ifndef NN_CONV_H
#define NN_CONV_H

#include "core/arena.h"
#include "nn/real.h"

typedef struct {
    int64_t height, width, c_in, c_out; /* of x; channels of x and y */
    int64_t kernel_h, kernel_w, pad_h, pad_w, stride;
} Conv;

/* Height and width of y. */
static inline int64_t conv_height(const Conv *c) { return (c->height + 2 * c->pad_h - c->kernel_h) / c->stride + 1; }
static inline int64_t conv_width(const Conv *c) { return (c->width + 2 * c->pad_w - c->kernel_w) / c->stride + 1; }

/* y (n, conv_height, conv_width, c_out); b (c_out) or NULL. */
Status conv_forward(real *y, const Conv *c, const real *x, const real *w, const real *b, int64_t n, Arena *scratch);

/* Adds into d_x, d_w, d_b of those shapes; each may be NULL. */
Status conv_backward(real *d_x, real *d_w, real *d_b, const Conv *c, const real *d_y, const real *x, const real *w,
                     int64_t n, Arena *scratch);

#endif
