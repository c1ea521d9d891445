/* optim.h - optimiser steps on flat buffers: AdamW, Adam and SGD as PyTorch defines them, clipping by norm, moving averages
   of weights (spec.md 3.7, 4.9). Element by element, so a buffer may be cut anywhere and each rank step its shard.
   Local. */
#ifndef NN_OPTIM_H
#define NN_OPTIM_H

#include "nn/real.h"

typedef struct {
    double lr, weight_decay; /* weight_decay 0 = Adam */
    double beta1, beta2, eps;
} AdamW;

/* One step of n parameters p with gradients d_p; m, v (n) are their moments, zero at first. step counts from 1. A step
   with lr 0 moves the moments alone. */
void adamw_step(real *p, real *m, real *v, const real *d_p, int64_t n, const AdamW *o, int64_t step);

/* Stochastic gradient descent with momentum as PyTorch defines it: m = momentum m + d_p + weight_decay p, p -= lr m; m (n) is
   zero at first. */
typedef struct {
    double lr, weight_decay, momentum;
} Sgd;
void sgd_step(real *p, real *m, const real *d_p, int64_t n, const Sgd *o);

/* Sum of squares, in double and in order: sums of fixed pieces, added in a fixed order, make the same norm whoever owns
   the pieces. */
double optim_squares(const real *x, int64_t n);
/* What gradients of this norm are multiplied by to keep within max_norm: min(1, max_norm / (norm + 1e-6)). */
double optim_clip(double norm, double max_norm);
void optim_scale(real *x, double factor, int64_t n);

/* mean = momentum mean + (1 - momentum) x: a teacher's weights follow the student's. */
void ema_step(real *mean, const real *x, double momentum, int64_t n);

#endif
