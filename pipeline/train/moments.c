/* moments.c - batch i takes every (n / batch)-th image from the i-th on. */
#include "train/moments.h"

#include "core/clock.h"

static Status take_batch(const Resnet *m, MomentImage image, void *self, int64_t first, int64_t stride, int64_t batch,
                         double momentum, Arena *scratch)
{
    const int64_t each = RESNET_PLANES * m->config.size * m->config.size;
    const Mark mark = arena_mark(scratch);
    ResnetTrace trace;
    real *x, *out;
    TRY(arena_new(&x, scratch, batch * each));
    TRY(arena_new(&out, scratch, batch * m->config.n_out));
    for (int64_t k = 0; k < batch; k++) {
        clock_tick();
        TRY(image(x + k * each, self, first + k * stride, scratch));
    }
    TRY(resnet_forward_train(out, &trace, m, x, batch, scratch));
    resnet_track(m, &trace, momentum);
    arena_reset(scratch, mark);
    return OK;
}

Status moments_take(const Resnet *m, MomentImage image, void *self, int64_t n, Arena *scratch)
{
    const int64_t batch = n < MOMENT_BATCH ? n : MOMENT_BATCH, whole = batch > 0 ? n / batch : 0;
    const int64_t n_batches = whole < MOMENT_BATCHES ? whole : MOMENT_BATCHES;
    for (int64_t i = 0; i < n_batches; i++)
        TRY(take_batch(m, image, self, i, n / batch, batch, 1.0 / (double)(i + 1), scratch));
    return OK;
}
