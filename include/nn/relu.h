/* relu.h - max(x, 0), and its kin with a learned slope per channel below 0 (PyTorch's PReLU). Local. */
#ifndef NN_RELU_H
#define NN_RELU_H

#include "nn/real.h"

/* In place. */
void relu_forward(real *x, int64_t n);
/* d (n) becomes 0 where y, what relu_forward left, is 0. */
void relu_backward(real *d, const real *y, int64_t n);

/* y (rows, channels) = x where x > 0, else slope (channels) x; y may be x. */
void prelu_forward(real *y, const real *x, const real *slope, int64_t rows, int64_t channels);
/* Adds into d_x and d_slope; x as it was before. */
void prelu_backward(real *d_x, real *d_slope, const real *d_y, const real *x, const real *slope, int64_t rows,
                    int64_t channels);

#endif
