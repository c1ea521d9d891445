/* pool.h - attention of one query per head over tokens: weights = softmax of <key, token>, and the weighted sum of the
   tokens themselves. A head's query through its key projection is one vector, and its value projection can wait until
   the tokens are summed, so no token is ever projected. Local. */
#ifndef NN_POOL_H
#define NN_POOL_H

#include "nn/real.h"

/* out (heads, dim), weights (heads, tokens); key (heads, dim); x (tokens, dim). */
void pool_forward(real *out, real *weights, const real *key, const real *x, int64_t tokens, int64_t heads, int64_t dim);

/* Adds to d_key (heads, dim) and to d_x (tokens, dim) unless NULL. d_out (heads, dim); d_score (heads, tokens) is room to
   work in. */
void pool_backward(real *d_x, real *d_key, real *d_score, const real *d_out, const real *weights, const real *key,
                   const real *x, int64_t tokens, int64_t heads, int64_t dim);

#endif
