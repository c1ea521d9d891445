/* channelnorm.h - every channel brought to mean 0 and variance 1 over the rows of x (rows, channels): over all positions of
   a batch (batch norm, PyTorch's BatchNorm2d), or over those of one object (instance norm, no weights). Variances are
   population variances; the running ones are unbiased. Sums in double, rows in order. Local. */
#ifndef NN_CHANNELNORM_H
#define NN_CHANNELNORM_H

#include "nn/real.h"

/* mean, var (channels) of the rows. */
void channelnorm_moments(real *mean, real *var, const real *x, int64_t rows, int64_t channels);

/* y = (x - mean) / sqrt(var + eps) * w + b; w and b (channels) or both NULL. y may be x. */
void channelnorm_apply(real *y, const real *mean, const real *var, const real *x, const real *w, const real *b,
                       int64_t rows, int64_t channels, real eps);

/* The gradient through y, mean and var of the same rows; adds into d_x, d_w, d_b (the last two NULL with w). */
void channelnorm_backward(real *d_x, real *d_w, real *d_b, const real *d_y, const real *mean, const real *var,
                          const real *x, const real *w, int64_t rows, int64_t channels, real eps);

/* running = (1 - momentum) running + momentum of the batch; the variance of a batch counts as rows / (rows - 1) var. */
void channelnorm_track(real *running_mean, real *running_var, const real *mean, const real *var, int64_t rows,
                       int64_t channels, double momentum);

#endif
