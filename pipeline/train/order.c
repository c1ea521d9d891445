/* order.c - shuffled blocks, then shuffled windows of them: order_batch finds the window that holds a place of the epoch.

   Only the last block of the file may be short; wherever the shuffle puts it, the windows behind begin earlier by what it
   lacks. */
#include "train/order.h"

#include "core/rng.h"

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static void shuffle(int64_t *x, int64_t n, Rng *rng)
{
    for (int64_t i = n - 1; i > 0; i--) {
        const int64_t j = rng_below(rng, i + 1), kept = x[i];
        x[i] = x[j];
        x[j] = kept;
    }
}

Status order_init(Order *o, int64_t n, int64_t batch, int64_t block, int64_t window, uint64_t seed, Arena *a)
{
    if (n < batch)
        return FAIL(E_INPUT, "there are %lld samples to train with, fewer than one batch of all replicas takes (%lld)",
                    (long long)n, (long long)batch);
    block = least(block, n);
    window = window > block ? window / block * block : block;
    *o = (Order){.n = n, .batch = batch, .block = block, .window = window, .seed = seed, .epoch = -1, .at = -1};
    o->n_blocks = (n + block - 1) / block;
    TRY(arena_new(&o->blocks, a, o->n_blocks));
    return arena_new(&o->order, a, least(window, o->n_blocks * block));
}

int64_t order_steps_per_epoch(const Order *o) { return o->n / o->batch; }

static void begin_epoch(Order *o, int64_t epoch)
{
    Rng rng = rng_stream(o->seed, "train.blocks", epoch, 0);
    for (int64_t i = 0; i < o->n_blocks; i++) o->blocks[i] = i;
    shuffle(o->blocks, o->n_blocks, &rng);
    for (int64_t i = 0; i < o->n_blocks; i++)
        if (o->blocks[i] == o->n_blocks - 1) o->short_at = i;
    o->epoch = epoch;
    o->at = -1;
}

/* Samples of the blocks in front of block number `i` of this epoch. */
static int64_t samples_before(const Order *o, int64_t i)
{
    const int64_t lacks = o->n_blocks * o->block - o->n;
    return i * o->block - (o->short_at < i ? lacks : 0);
}

static int64_t fill_window(Order *o, int64_t at)
{
    const int64_t per = o->window / o->block, first = at * per, last = least(first + per, o->n_blocks);
    int64_t n = 0;
    for (int64_t i = first; i < last; i++)
        for (int64_t s = o->blocks[i] * o->block; s < least((o->blocks[i] + 1) * o->block, o->n); s++)
            o->order[n++] = s;
    return n;
}

/* The window that holds place `place` of the epoch, shuffled; returns the place where it begins. */
static int64_t seek_window(Order *o, int64_t place)
{
    const int64_t per = o->window / o->block;
    int64_t at = place / o->window;
    if ((at + 1) * per < o->n_blocks && samples_before(o, (at + 1) * per) <= place) at++;
    if (at != o->at) {
        Rng rng = rng_stream(o->seed, "train.window", o->epoch, (uint32_t)at);
        shuffle(o->order, fill_window(o, at), &rng);
        o->at = at;
    }
    return samples_before(o, at * per);
}

void order_batch(int64_t *sample, Order *o, int64_t step, int64_t first, int64_t count)
{
    const int64_t steps = order_steps_per_epoch(o), epoch = step / steps;
    if (epoch != o->epoch) begin_epoch(o, epoch);
    for (int64_t i = 0; i < count; i++) {
        const int64_t place = step % steps * o->batch + first + i;
        const int64_t start = seek_window(o, place);
        sample[i] = o->order[place - start];
    }
}
