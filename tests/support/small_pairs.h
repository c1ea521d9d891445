/* small_pairs.h - a dataset of a few pairs, a model of a few thousand parameters, and an optimiser that does nothing but
   keep the gradients of replicas: for tests of objectives, which see of the optimiser what is defined here. */
#ifndef SMALL_PAIRS_H
#define SMALL_PAIRS_H

#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "model/branch.h"
#include "model/specformer.h"
#include "model/vit.h"
#include "nn/gemm.h"
#include "test_main.h"
#include "train/objective.h"

enum { SMALL_E = 8, SMALL_REPLICAS = 8 };

/* ---- the model: 9 patches of 16, 778 tokens of 16 ---- */

static VitConfig small_vit = {36, 12, 16, 2, 2, 0};
static SpecformerConfig small_specformer = {16, 2, 2, 800, 20, 10};

/* scale 0 = without a learned one. */
static inline Model *small_model(double scale)
{
    static ModelConfig config; /* the model borrows the encoders' part */
    config = (ModelConfig){SMALL_E, 2, {image_encoders[0], &small_vit}, {spectrum_encoders[0], &small_specformer}};
    Model *m = NULL;
    CHECK_OK(gemm_choose("auto", 1));
    CHECK_OK(scale > 0 ? model_build_scaled(&m, &config, scale, &test_arena) : model_build(&m, &config, &test_arena));
    params_deterministic(model_params(m), 3);
    const Param *p = params_find(model_params(m), "logit_scale");
    if (p) model_params(m)->value[p->offset] = (real)log(scale);
    return m;
}

/* ---- the data ---- */

static inline void small_numbers(float *out, int64_t n, int64_t object, double level, double noise)
{
    Rng rng = rng_stream(5, "small", object, 0);
    const double period = 40 + 3 * (double)object;
    for (int64_t i = 0; i < n; i++) out[i] = (float)(level + noise * rng_normal(&rng) + sin((double)i / period));
}

/* n pairs: three fourths train, then validation, then test. The first image has no spectrum. */
static inline void small_entries(DatasetEntries *e, Modality m, int64_t n)
{
    const int64_t count = n + (m == MODALITY_IMAGE), numbers = dataset_numbers[m];
    CHECK_OK(dataset_entries(e, count, &test_arena));
    CHECK_OK(arena_new(&e->numbers, &test_arena, count * numbers));
    for (int64_t i = 0; i < count; i++) {
        const int64_t row = i + (m == MODALITY_SPECTRUM);
        e->row[i] = row;
        e->targetid[i] = 1000 + 7 * row;
        e->split[i] = (uint8_t)(4 * row < 3 * n ? SPLIT_TRAIN : 8 * row < 7 * n ? SPLIT_VAL : SPLIT_TEST);
        small_numbers(e->numbers + i * numbers, numbers, row, m == MODALITY_IMAGE ? 0.05 : 1, 0.1);
    }
}

/* Collective; rank 0 writes. */
static inline void small_dataset(const char *path, int64_t n, const Par *par)
{
    static const int64_t none[N_MODALITIES];
    static const int32_t fatal[N_MODALITIES];
    const int64_t count[N_MODALITIES] = {n + 1, n};
    const Envelope envelope = {.made_by = "pack", .fingerprint = {"0123456789abcdef0123456789abcdef"}};
    const Mark mark = arena_mark(&test_arena);
    if (par->rank == 0) {
        Dataset d;
        DatasetEntries e[N_MODALITIES];
        for (int m = 0; m < N_MODALITIES; m++) small_entries(&e[m], (Modality)m, n);
        CHECK_OK(dataset_create(&d, path, &envelope, count, fatal, &par_alone, &test_arena));
        CHECK_OK(dataset_write(&d, none, e, &test_arena));
        CHECK_OK(dataset_close(&d));
    }
    par_barrier(par);
    arena_reset(&test_arena, mark);
}

/* ---- the optimiser ---- */

struct Optimizer {
    Params *params;
    int64_t first, n; /* replicas */
    int64_t at;       /* collected so far */
    real *gradient[SMALL_REPLICAS];
    real *early;            /* what was final according to optimizer_ready */
    int64_t ready, n_ready; /* where that begins; how often it was told */
    bool honest;            /* it was final */
};

static inline void small_optimizer(Optimizer *o, Params *p, int64_t first, int64_t n)
{
    *o = (Optimizer){.params = p, .first = first, .n = n, .honest = true};
    CHECK_OK(arena_new(&o->early, &test_arena, p->n_d_reals));
    for (int64_t k = 0; k < n; k++) CHECK_OK(arena_new(&o->gradient[k], &test_arena, p->n_d_reals));
}

void optimizer_replicas(int64_t *first, int64_t *last, const Optimizer *o)
{
    *first = o->first;
    *last = o->first + o->n;
}

real *optimizer_gradient(Optimizer *o, int64_t replica)
{
    CU_ASSERT_EQUAL_FATAL(replica, o->first + o->at);
    o->ready = o->params->n_d_reals;
    return o->gradient[o->at];
}

void optimizer_ready(Optimizer *o, int64_t d_offset)
{
    CU_ASSERT_FATAL(d_offset >= 0 && d_offset <= o->ready);
    memcpy(o->early + d_offset, o->gradient[o->at] + d_offset, sizeof(real) * (size_t)(o->ready - d_offset));
    o->ready = d_offset;
    o->n_ready++;
}

void optimizer_collect(Optimizer *o, int64_t replica)
{
    CU_ASSERT_EQUAL_FATAL(replica, o->first + o->at);
    const size_t bytes = sizeof(real) * (size_t)(o->params->n_d_reals - o->ready);
    o->honest = o->honest && memcmp(o->early + o->ready, o->gradient[o->at] + o->ready, bytes) == 0;
    o->at++;
}

/* ---- a step ---- */

/* The gradients of this rank's replicas of one step are in *o afterwards. */
static inline void small_step(double *loss, Optimizer *o, const Objective *objective, Params *p, const Sample *sample,
                              int64_t n_replicas, int64_t batch, int64_t step, const Par *par)
{
    int64_t first, last;
    par_share(&first, &last, par, n_replicas);
    small_optimizer(o, p, first, last - first);
    const StepBatch b = {.step = step,
                         .first = first,
                         .n_mine = last - first,
                         .n_replicas = n_replicas,
                         .batch = batch,
                         .sample = sample + first * batch,
                         .seed = 11,
                         .optimizer = o,
                         .par = par,
                         .arena = &test_arena};
    CHECK_OK(objective->step(loss, objective->self, &b));
    CU_ASSERT_EQUAL(o->at, o->n);
    CU_ASSERT(o->honest);
}

#endif
