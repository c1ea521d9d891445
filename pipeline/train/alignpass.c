/* alignpass.c - encoders object by object, heads with the whole batch; backward the spectrum's half first, because it
   stands behind the image's in the table of parameters. */
#include "train/alignpass.h"

#include "core/clock.h"

static Status take_half(AlignHalf *h, const Branch *b, bool trained, bool recompute, int64_t n, Arena *a)
{
    *h = (AlignHalf){.branch = b, .trained = trained, .recompute = recompute};
    if (trained) TRY(arena_new(&h->input, a, n * b->n_inputs));
    if (trained && !recompute) TRY(arena_new(&h->trace, a, n));
    TRY(arena_new(&h->tokens, a, n * b->n_tokens * b->dim));
    return arena_new(&h->out, a, n * b->head.config.embed_dim);
}

Status alignpass_take(AlignPass *p, const Model *model, const bool trained[N_MODALITIES], bool recompute, int64_t n,
                      Arena *a)
{
    *p = (AlignPass){.n = n, .dim = model_embed_dim(model)};
    for (int m = 0; m < N_MODALITIES; m++)
        TRY(take_half(&p->half[m], model_branch(model, m == MODALITY_IMAGE), trained[m], recompute, n, a));
    return OK;
}

static Status encode(AlignHalf *h, int64_t n, Arena *step)
{
    const Branch *b = h->branch;
    for (int64_t i = 0; i < n; i++) {
        real *tokens = h->tokens + i * b->n_tokens * b->dim;
        const float *input = h->input + i * b->n_inputs;
        const Mark mark = arena_mark(step);
        void *trace;
        clock_tick();
        TRY(b->encoder->forward_train(tokens, &trace, b->state, input, b->input, step));
        if (h->trace)
            h->trace[i] = trace;
        else
            arena_reset(step, mark);
    }
    return OK;
}

Status alignpass_forward(AlignPass *p, Arena *step)
{
    for (int m = 0; m < N_MODALITIES; m++) {
        AlignHalf *h = &p->half[m];
        if (h->trained) TRY(encode(h, p->n, step));
        TRY(head_forward_train(h->out, &h->head, &h->branch->head, h->tokens, h->drop_pooled, h->drop_mlp, p->n,
                               h->branch->n_tokens, step));
        clock_tick();
    }
    return OK;
}

/* Object i of a trained encoder; its tokens, made a second time, have the same bits. */
static Status encoder_backward(real *d_p, AlignHalf *h, int64_t i, const real *d_tokens, const GradientHook *hook,
                               Arena *step)
{
    const Branch *b = h->branch;
    const int64_t each = b->n_tokens * b->dim;
    const Mark mark = arena_mark(step);
    void *trace = h->trace ? h->trace[i] : NULL;
    if (!trace)
        TRY(b->encoder->forward_train(h->tokens + i * each, &trace, b->state, h->input + i * b->n_inputs, b->input,
                                      step));
    TRY(b->encoder->backward(d_p, trace, b->state, d_tokens + i * each, hook, step));
    arena_reset(step, mark);
    clock_tick();
    return OK;
}

Status alignpass_backward(real *d_p, AlignPass *p, real *const d_out[N_MODALITIES], const GradientHook *hook,
                          Arena *step)
{
    static const Modality order[N_MODALITIES] = {MODALITY_SPECTRUM, MODALITY_IMAGE};
    for (int k = 0; k < N_MODALITIES; k++) {
        AlignHalf *h = &p->half[order[k]];
        const Head *head = &h->branch->head;
        const Mark mark = arena_mark(step);
        real *d_tokens = NULL;
        if (h->trained) TRY(arena_new(&d_tokens, step, p->n * h->branch->n_tokens * h->branch->dim));
        TRY(head_backward(d_tokens, d_p, &h->head, head, d_out[order[k]], step));
        if (hook) hook->ready(hook->self, params_d_from(head->params, head->query)); /* declared first */
        for (int64_t i = 0; h->trained && i < p->n; i++)
            TRY(encoder_backward(d_p, h, i, d_tokens, i == p->n - 1 ? hook : NULL, step));
        arena_reset(step, mark);
    }
    return OK;
}
