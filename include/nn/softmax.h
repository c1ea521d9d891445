/* softmax.h - softmax of one row. Local. */
#ifndef NN_SOFTMAX_H
#define NN_SOFTMAX_H

#include "nn/real.h"

/* The first n of `padded` scores in place; zeros behind. */
void softmax_forward(real *score, int64_t n, int64_t padded);

/* d_score = p (d_p - sum p d_p), in place of d_p; zeros where p is zero. */
void softmax_backward(real *d_p, const real *p, int64_t n);

#endif
