/* order.h - which samples a step trains with: a function of (seed, epoch) and the number of samples, whatever the ranks.

   An epoch shuffles blocks of neighbouring samples (they lie together in the file), then all samples within windows of
   many blocks, so that reads stay local and neighbours on the sky do not train together. A rank keeps one window's order
   and the order of the blocks. What does not fill the last batch of an epoch is left out of it. Local. */
#ifndef TRAIN_ORDER_H
#define TRAIN_ORDER_H

#include "core/arena.h"

typedef struct {
    int64_t n, batch;      /* samples; samples of a step, of all replicas */
    int64_t block, window; /* samples; window is a multiple of block */
    uint64_t seed;
    int64_t epoch, at;          /* what the tables below hold; -1 = nothing yet */
    int64_t n_blocks, short_at; /* where in `blocks` the last block of the file is, which may be short */
    int64_t *blocks;            /* (n_blocks) order of the blocks in this epoch */
    int64_t *order;             /* (window) samples of window `at` */
} Order;

/* E_INPUT when there are fewer samples than a batch takes. */
Status order_init(Order *o, int64_t n, int64_t batch, int64_t block, int64_t window, uint64_t seed, Arena *a);

int64_t order_steps_per_epoch(const Order *o);

/* sample (count): the numbers of the samples first .. first + count of step `step` (from 0). */
void order_batch(int64_t *sample, Order *o, int64_t step, int64_t first, int64_t count);

#endif
