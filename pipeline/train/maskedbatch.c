/* maskedbatch.c - a batch of masked spectra, object by object: the count of the whole batch is known first, then each
   spectrum goes forward and backward by itself, in order, so that only one trace is in memory. */
#include "train/maskedbatch.h"

#include "core/clock.h"
#include "model/prepare_spectrum.h"

Status maskedbatch_take(MaskedBatch *b, const Specformer *model, const MaskConfig *mask, int64_t n, int64_t n_pixels,
                        Arena *a)
{
    const SpecformerConfig *c = &model->config;
    *b = (MaskedBatch){.model = model, .mask = *mask, .n = n};
    b->n_tokens = prepare_spectrum_tokens(n_pixels, c->slice_section_length, c->slice_overlap);
    b->each = b->n_tokens * specformer_input_dim(c);
    TRY(arena_new(&b->tokens, a, n * b->each));
    return arena_new(&b->masked, a, n * b->each);
}

Status maskedbatch_set(MaskedBatch *b, int64_t i, const float *flux, int64_t n_pixels, const int64_t *start)
{
    const SpecformerConfig *c = &b->model->config;
    real *tokens = b->tokens + i * b->each, *masked = b->masked + i * b->each;
    TRY(prepare_spectrum(tokens, NULL, NULL, flux, n_pixels, c->slice_section_length, c->slice_overlap));
    mask_apply(masked, &b->mask, start, tokens, b->n_tokens, specformer_input_dim(c));
    b->count += masked_count(masked, tokens, b->each);
    return OK;
}

static Status train_spectrum(double *squares, real *d_p, const MaskedBatch *b, int64_t i, const MaskedPass *how,
                             Arena *step)
{
    const real *tokens = b->tokens + i * b->each, *masked = b->masked + i * b->each;
    const SpecformerTraining training = {how->recompute, {how->dropout, how->seed ? how->seed[i] : 0}};
    SpecformerTrace trace;
    real *out, *d_out;
    TRY(arena_new(&out, step, b->each));
    TRY(arena_new(&d_out, step, b->each));
    TRY(specformer_forward_train(NULL, out, &trace, b->model, masked, b->n_tokens, &training, step));
    *squares += masked_squares(out, masked, tokens, b->each);
    masked_backward(d_out, out, masked, tokens, b->each, b->count);
    trace.hook = i == b->n - 1 ? how->hook : NULL;
    return specformer_backward(d_p, &trace, b->model, NULL, d_out, step);
}

Status maskedbatch_train(double *loss, real *d_p, const MaskedBatch *b, const MaskedPass *how, Arena *step)
{
    double squares = 0;
    *loss = 0;
    if (b->count == 0) return OK;
    for (int64_t i = 0; i < b->n; i++) {
        const Mark mark = arena_mark(step);
        clock_tick();
        TRY(train_spectrum(&squares, d_p, b, i, how, step));
        arena_reset(step, mark);
    }
    *loss = squares / (double)b->count;
    return OK;
}

Status maskedbatch_squares(double *squares, const MaskedBatch *b, Arena *step)
{
    *squares = 0;
    const Mark mark = arena_mark(step);
    real *embedding, *out;
    TRY(arena_new(&embedding, step, b->n_tokens * b->model->config.embed_dim));
    TRY(arena_new(&out, step, b->each));
    for (int64_t i = 0; i < b->n; i++) {
        const real *tokens = b->tokens + i * b->each, *masked = b->masked + i * b->each;
        clock_tick();
        TRY(specformer_forward(embedding, out, b->model, masked, 1, b->n_tokens, step));
        *squares += masked_squares(out, masked, tokens, b->each);
    }
    arena_reset(step, mark);
    return OK;
}

Status maskedbatch_squares_of_mean(double *squares, const MaskedBatch *b, Arena *step)
{
    const Mark mark = arena_mark(step);
    real *zero;
    TRY(arena_new(&zero, step, b->n * b->each));
    clock_tick();
    *squares = masked_squares(zero, b->masked, b->tokens, b->n * b->each);
    arena_reset(step, mark);
    return OK;
}
