/* attention.h - multi-head attention: softmax(q k^T / sqrt(width)) v per head, heads side by side. No masks, never
   causal. Local. */
#ifndef NN_ATTENTION_H
#define NN_ATTENTION_H

#include "core/arena.h"
#include "nn/dropout.h"
#include "nn/real.h"

/* Queries whose scores are in memory at a time, of one head: 0.8 MB for 784 tokens, in the backward pass twice. */
enum { ATTENTION_QUERIES = 264 };

/* Self-attention. out (tokens, heads, width); qkv (tokens, 3, heads, width): what one linear layer with rows q | k |
   v makes. */
Status attention_forward(real *out, const real *qkv, int64_t tokens, int64_t heads, int64_t width, Arena *scratch);

/* The same with dropout of the probabilities; same bits when it is off. */
Status attention_forward_train(real *out, const real *qkv, int64_t tokens, int64_t heads, int64_t width,
                               const Dropout *drop, Arena *scratch);

/* d_qkv (tokens, 3, heads, width) is added into; d_out (tokens, heads, width). Nothing but qkv is kept from the forward
   pass: the probabilities are computed again, a block of queries at a time. */
Status attention_backward(real *d_qkv, const real *qkv, const real *d_out, int64_t tokens, int64_t heads, int64_t width,
                          const Dropout *drop, Arena *scratch);

#endif
