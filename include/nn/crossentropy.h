/* crossentropy.h - softmax cross-entropy with one right class per row: log sum exp(score) - score[target]. Local. */
#ifndef NN_CROSSENTROPY_H
#define NN_CROSSENTROPY_H

#include "nn/real.h"

/* The sum of the losses of all rows. probability (rows, n) may be score (rows, n); target (rows) is 0 .. n-1. */
double crossentropy_forward(real *probability, const real *score, const int64_t *target, int64_t rows, int64_t n);

/* d_score (rows, n) += d_loss (probability - one at the target). */
void crossentropy_backward(real *d_score, const real *probability, const int64_t *target, real d_loss, int64_t rows,
                           int64_t n);

#endif
