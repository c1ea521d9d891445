/* pool.c - two passes over the tokens forward, two backward; a token meets all heads while it is in the nearest cache.
   The work is that of reading the tokens. */
#include "nn/pool.h"

#include "nn/softmax.h"
#include "nn/vector.h"

static void axpy(real *restrict y, real a, const real *restrict x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] += a * x[i];
}

/* score (heads, tokens) = <key, token> */
static void meet(real *score, const real *key, const real *x, int64_t tokens, int64_t heads, int64_t dim)
{
    for (int64_t t = 0; t < tokens; t++)
        for (int64_t h = 0; h < heads; h++) score[h * tokens + t] = vector_dot(key + h * dim, x + t * dim, dim);
}

/* sum (heads, dim) += factor (heads, tokens) x */
static void gather(real *sum, const real *factor, const real *x, int64_t tokens, int64_t heads, int64_t dim)
{
    for (int64_t t = 0; t < tokens; t++)
        for (int64_t h = 0; h < heads; h++) axpy(sum + h * dim, factor[h * tokens + t], x + t * dim, dim);
}

void pool_forward(real *out, real *weights, const real *key, const real *x, int64_t tokens, int64_t heads, int64_t dim)
{
    meet(weights, key, x, tokens, heads, dim);
    for (int64_t h = 0; h < heads; h++) softmax_forward(weights + h * tokens, tokens, tokens);
    memset(out, 0, sizeof *out * (size_t)(heads * dim));
    gather(out, weights, x, tokens, heads, dim);
}

void pool_backward(real *d_x, real *d_key, real *d_score, const real *d_out, const real *weights, const real *key,
                   const real *x, int64_t tokens, int64_t heads, int64_t dim)
{
    meet(d_score, d_out, x, tokens, heads, dim);
    for (int64_t h = 0; h < heads; h++) softmax_backward(d_score + h * tokens, weights + h * tokens, tokens);
    gather(d_key, d_score, x, tokens, heads, dim);
    for (int64_t t = 0; d_x && t < tokens; t++)
        for (int64_t h = 0; h < heads; h++) {
            axpy(d_x + t * dim, d_score[h * tokens + t], key + h * dim, dim);
            axpy(d_x + t * dim, weights[h * tokens + t], d_out + h * dim, dim);
        }
}
