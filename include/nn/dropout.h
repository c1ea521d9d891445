/* dropout.h - dropout as factors that the caller draws and hands to a forward pass: the backward pass multiplies by the
   same ones. Local. */
#ifndef NN_DROPOUT_H
#define NN_DROPOUT_H

#include "core/rng.h"
#include "nn/real.h"

/* factor (n): 0 with probability p, else 1 / (1 - p); 0 <= p < 1. One stream per object and step makes the factors of an
   object the same in any batch and after a restart. */
void dropout_draw(real *factor, int64_t n, double p, Rng *rng);

/* The same drawn where it is needed, forward and backward alike, so that nothing is stored. */
typedef struct {
    double p;      /* 0 = off */
    uint64_t seed; /* of one object, step and place in the model */
} Dropout;

/* x (n) *= the factors number `part` of this seed. */
void dropout_apply(real *x, int64_t n, const Dropout *d, const char *purpose, int64_t part);

#endif
