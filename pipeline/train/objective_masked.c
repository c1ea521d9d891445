/* objective_masked.c - SpecFormer learns to predict hidden chunks of spectra. Masks and dropout are functions of (seed,
   TARGETID, step): a spectrum sees the same whoever trains with it and however often the job was restarted. */
#include "train/objective.h"

#include <string.h>

#include "core/log.h"
#include "model/branch.h"
#include "train/maskedbatch.h"

typedef struct {
    MaskedConfig config;
    MaskConfig mask;
    const Specformer *model;
    Dataset *dataset;
    bool said; /* that a batch had nothing to learn from */
} Masked;

/* Spectrum i of the batch, from the dataset, with its mask. */
static Status set_sample(MaskedBatch *b, int64_t i, const Masked *m, const Sample *s, const char *purpose,
                         uint64_t seed, int64_t step, Arena *a)
{
    const Mark mark = arena_mark(a);
    float *flux;
    int64_t *start;
    Rng rng = rng_stream(seed, purpose, s->targetid, (uint32_t)step);
    TRY(arena_new(&flux, a, DESI_PIXELS));
    TRY(arena_new(&start, a, m->mask.num_chunks));
    TRY(dataset_spectrum(flux, m->dataset, s->spectrum));
    TRY(mask_draw(start, &m->mask, b->n_tokens, &rng));
    TRY(maskedbatch_set(b, i, flux, DESI_PIXELS, start));
    arena_reset(a, mark);
    return OK;
}

static Status draw_seeds(uint64_t **out, const Sample *s, int64_t n, uint64_t seed, int64_t step, Arena *a)
{
    TRY(arena_new(out, a, n));
    for (int64_t i = 0; i < n; i++) {
        Rng rng = rng_stream(seed, "train.dropout", s[i].targetid, (uint32_t)step);
        (*out)[i] = rng_u64(&rng);
    }
    return OK;
}

static void say_ready(void *optimizer, int64_t d_offset) { optimizer_ready(optimizer, d_offset); }

static Status train_replica(double *loss, Masked *m, const StepBatch *b, int64_t k)
{
    const Mark mark = arena_mark(b->arena);
    const Sample *sample = b->sample + k * b->batch;
    const GradientHook hook = {say_ready, b->optimizer};
    MaskedPass how = {m->config.recompute, m->config.dropout, NULL, &hook};
    MaskedBatch batch;
    uint64_t *seeds = NULL;
    TRY(maskedbatch_take(&batch, m->model, &m->mask, b->batch, DESI_PIXELS, b->arena));
    for (int64_t i = 0; i < b->batch; i++)
        TRY(set_sample(&batch, i, m, &sample[i], "train.mask", b->seed, b->step, b->arena));
    if (m->config.dropout > 0) TRY(draw_seeds(&seeds, sample, b->batch, b->seed, b->step, b->arena));
    how.seed = seeds;
    if (batch.count == 0 && !m->said) {
        log_rank("step %lld: the masks of replica %lld hide zeros alone; such a batch has loss 0 and teaches nothing "
                 "(said once)",
                 (long long)b->step, (long long)(b->first + k));
        m->said = true;
    }
    TRY(maskedbatch_train(loss, optimizer_gradient(b->optimizer, b->first + k), &batch, &how, b->arena));
    optimizer_collect(b->optimizer, b->first + k);
    arena_reset(b->arena, mark);
    return OK;
}

static Status step(double *loss, void *self, const StepBatch *b)
{
    for (int64_t k = 0; k < b->n_mine; k++) TRY(train_replica(&loss[k], self, b, k));
    return OK;
}

/* Mean square over what the masks of validation hide of n spectra: of what the model makes of it, or of predicting 0,
   the mean of a standardised spectrum. */
static Status mean_square(double *loss, const Masked *m, bool predict, const Sample *sample, int64_t n, uint64_t seed,
                          Arena *a)
{
    double squares = 0;
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) {
        const Mark mark = arena_mark(a);
        MaskedBatch one;
        double own;
        TRY(maskedbatch_take(&one, m->model, &m->mask, 1, DESI_PIXELS, a));
        TRY(set_sample(&one, 0, m, &sample[i], "train.mask.val", seed, 0, a));
        if (predict)
            TRY(maskedbatch_squares(&own, &one, a));
        else
            TRY(maskedbatch_squares_of_mean(&own, &one, a));
        squares += own;
        count += one.count;
        arena_reset(a, mark);
    }
    *loss = count > 0 ? squares / (double)count : 0;
    return OK;
}

static Status validate(double *loss, void *self, const Sample *sample, int64_t n, uint64_t seed, Arena *a)
{
    return mean_square(loss, self, true, sample, n, seed, a);
}

Status masked_mean_loss(double *loss, const Objective *o, const Sample *sample, int64_t n, uint64_t seed, Arena *a)
{
    return mean_square(loss, o->self, false, sample, n, seed, a);
}

/* Masks that do not fit into a spectrum are found here, not at the first step. */
static Status check_masks(const Masked *m, int64_t n_tokens, Arena *a)
{
    const Mark mark = arena_mark(a);
    int64_t *start;
    Rng rng = rng_stream(0, "train.mask", 0, 0);
    TRY(arena_new(&start, a, m->mask.num_chunks));
    TRY(mask_draw(start, &m->mask, n_tokens, &rng));
    arena_reset(a, mark);
    return OK;
}

Status masked_objective(Objective *out, const MaskedConfig *c, Model *model, Dataset *d, Arena *a)
{
    const Branch *b = model_branch(model, false);
    const char *kind = b->encoder->plugin.name;
    if (strcmp(kind, "specformer") != 0)
        return FAIL(E_CONFIG,
                    "masked modelling trains a spectrum encoder of kind specformer; model.spectrum.kind is %s", kind);
    Masked *m;
    TRY(arena_new(&m, a, 1));
    *m = (Masked){.config = *c, .mask = {c->num_chunks, c->chunk_width}, .model = b->state, .dataset = d};
    TRY(check_masks(m, b->n_tokens, a));
    *out =
        (Objective){.name = "masked spectra", .needs = SAMPLES_SPECTRA, .self = m, .step = step, .validate = validate};
    return OK;
}

double masked_step_bytes(const MaskedConfig *c, const Model *model, int64_t batch)
{
    const Branch *b = model_branch(model, false);
    const double trace = (double)b->encoder->trace_reals(b->config, b->input);
    const double pass = (double)block_pass_reals(b->n_tokens, b->dim);
    const double one = (double)block_trace_reals(b->n_tokens, b->dim, false);
    const double blocks = c->recompute ? 0.1 * trace + one : trace; /* the inputs of all blocks and one block whole */
    const double prepared = 2 * (double)batch * 2.2 * (double)b->input; /* overlapping sections, whole and masked */
    return (blocks + pass + prepared) * sizeof(real);
}

const char *const masked_frozen[] = {"image_encoder.", "spectrum_encoder.cross_attention.", "spectrum_encoder.mlp.",
                                     "logit_scale", NULL};
