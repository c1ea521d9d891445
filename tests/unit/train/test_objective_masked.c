/* test_objective_masked.c - masked modelling through the objective: the recorded training, gradients against difference
   quotients, what masks and bits depend on. */
#include "golden_steps.h"
#include "model/prepare_spectrum.h"
#include "small_pairs.h"
#include "train/maskedbatch.h"

enum { PAIRS = 8, BATCH = 2 };

typedef struct {
    Model *model;
    Params *params;
    Dataset dataset;
    Objective objective;
    Sample *sample; /* of the train split */
    int64_t n;
} Fixture;

static void open_fixture(Fixture *f, bool recompute, double dropout)
{
    char path[H5_PATH];
    snprintf(path, sizeof path, "%s/dataset.h5", test_folder());
    small_dataset(path, PAIRS, &test_par);
    *f = (Fixture){.model = small_model(0)};
    f->params = model_params(f->model);
    for (const char *const *name = masked_frozen; *name; name++) params_freeze(f->params, *name);
    CHECK_OK(dataset_open(&f->dataset, path, &test_arena));
    CHECK_OK(dataset_samples(&f->sample, &f->n, &f->dataset, SAMPLES_SPECTRA, SPLIT_TRAIN, &test_arena));
    CU_ASSERT_FATAL(f->n >= 2 * BATCH);
    const MaskedConfig c = {6, 50, dropout, recompute};
    CHECK_OK(masked_objective(&f->objective, &c, f->model, &f->dataset, &test_arena));
}

static void close_fixture(Fixture *f) { CHECK_OK(dataset_close(&f->dataset)); }

/* golden README: losses to 2e-6, parameters to 1e-5, absolute. */
static void recorded_training_agrees(void)
{
    H5File g;
    if (!golden_open(&g, "train_specformer_tiny.h5")) return;
    const SpecformerConfig c = {
        golden_int(&g, "embed_dim"), golden_int(&g, "num_layers"),           golden_int(&g, "num_heads"),
        golden_int(&g, "max_len"),   golden_int(&g, "slice_section_length"), golden_int(&g, "slice_overlap")};
    const MaskConfig mask = {golden_int(&g, "mask_num_chunks"), golden_int(&g, "mask_chunk_width")};
    Params params;
    Specformer model;
    H5Shape in;
    CHECK_OK(gemm_choose("auto", 1));
    CHECK_OK(params_init(&params, specformer_n_params(&c), &test_arena));
    CHECK_OK(specformer_declare(&model, &c, &params, "", &test_arena));
    parity_load(&params, &g, "params");
    const float *flux = golden_f32(&in, &g, "inputs/spectrum");
    const int64_t *start = golden_i64(NULL, &g, "inputs/mask_chunk_start"), batch = in.dims[1], n = in.dims[2];
    GoldenRun run = golden_run(&g, &params);
    for (int64_t t = 0; t < run.steps; t++) {
        const Mark mark = arena_mark(&test_arena);
        MaskedBatch b;
        double loss;
        CHECK_OK(maskedbatch_take(&b, &model, &mask, batch, n, &test_arena));
        for (int64_t i = 0; i < batch; i++)
            CHECK_OK(maskedbatch_set(&b, i, flux + (t * batch + i) * n, n, start + (t * batch + i) * mask.num_chunks));
        CHECK_OK(maskedbatch_train(&loss, run.d, &b, &(MaskedPass){.recompute = t % 2}, &test_arena));
        golden_step(&g, &run, t, loss, 2e-6);
        arena_reset(&test_arena, mark);
    }
    const Param *p = params_find(&params, "data_embed.weight");
    const double *want = golden_want(&g, "outputs/final_params/data_embed.weight", p->n);
    for (int64_t i = 0; i < p->n; i++) CU_ASSERT_DOUBLE_EQUAL(params.value[p->offset + i], want[i], 1e-5);
    CHECK_OK(h5_close(&g));
}

static double loss_of(Fixture *f, real **gradient, int64_t step)
{
    static Optimizer o;
    double loss;
    small_step(&loss, &o, &f->objective, f->params, f->sample, 1, BATCH, step, &test_par);
    if (gradient) *gradient = o.gradient[0];
    return loss;
}

/* Along one random direction in all parameters. Float: 1e-2, as the smoke test of gradcheck.h. */
static void gradient_is_the_slope(void)
{
    static const double at[] = {1, -1, 2, -2}, weight[] = {8, -8, -1, 1}, h = 3e-3;
    Fixture f;
    real *d;
    open_fixture(&f, false, 0.1);
    loss_of(&f, &d, 4);
    const Params *p = f.params;
    double want = 0, size = 0, got = 0;
    float *kept, *direction;
    CHECK_OK(arena_new(&kept, &test_arena, p->n_reals));
    CHECK_OK(arena_new(&direction, &test_arena, p->n_reals));
    memcpy(kept, p->value, sizeof *kept * (size_t)p->n_reals);
    Rng rng = rng_stream(5, "direction", 0, 0);
    rng_normals(direction, p->n_reals, &rng);
    for (int64_t i = 0; i < p->n_params; i++)
        for (int64_t k = 0; p->param[i].d_offset >= 0 && k < p->param[i].n; k++) {
            const double term = (double)d[p->param[i].d_offset + k] * direction[p->param[i].offset + k];
            want += term;
            size += term * term;
        }
    for (int s = 0; s < 4; s++) {
        for (int64_t i = 0; i < p->n_reals; i++) p->value[i] = (real)(kept[i] + at[s] * h * direction[i]);
        got += weight[s] * loss_of(&f, NULL, 4) / (12 * h);
    }
    if (fabs(got - want) > 1e-2 * sqrt(size))
        printf("    slope %.8g, gradient %.8g, size %.3g\n", got, want, sqrt(size));
    CU_ASSERT(size > 0 && fabs(got - want) <= 1e-2 * sqrt(size));
    close_fixture(&f);
}

/* The plan is right to a factor of two. */
static void memory_is_as_planned(void)
{
    Fixture f;
    for (int recompute = 0; recompute < 2; recompute++) {
        open_fixture(&f, recompute, 0);
        const MaskedConfig c = {6, 50, 0, recompute};
        Optimizer o;
        double loss;
        small_optimizer(&o, f.params, 0, 1); /* its gradients are no part of the plan */
        const size_t before = test_arena.used + 2 * sizeof(real) * (size_t)f.params->n_d_reals;
        test_arena.peak = 0;
        small_step(&loss, &o, &f.objective, f.params, f.sample, 1, BATCH, 1, &test_par);
        const double took = (double)(test_arena.peak - before), planned = masked_step_bytes(&c, f.model, BATCH);
        if (!(took < 2 * planned && planned < 2 * took)) printf("    planned %.4g bytes, took %.4g\n", planned, took);
        CU_ASSERT(took < 2 * planned && planned < 2 * took);
        close_fixture(&f);
    }
}

/* A replica's gradient has the same bits whoever else is on its rank, and with activations recomputed. */
static void replicas_do_not_meet(void)
{
    Fixture f;
    Optimizer both, first, second;
    double loss[2], alone[2];
    open_fixture(&f, false, 0.1);
    small_step(loss, &both, &f.objective, f.params, f.sample, 2, BATCH, 3, &par_alone);
    CU_ASSERT(both.n_ready >= 2 * 2); /* a block each, in two replicas */
    const size_t bytes = sizeof(real) * (size_t)f.params->n_d_reals;
    small_step(alone, &first, &f.objective, f.params, f.sample, 1, BATCH, 3, &par_alone);
    close_fixture(&f);
    open_fixture(&f, true, 0.1);
    small_step(alone + 1, &second, &f.objective, f.params, f.sample + BATCH, 1, BATCH, 3, &par_alone);
    CU_ASSERT(memcmp(loss, alone, sizeof loss) == 0);
    CU_ASSERT(memcmp(both.gradient[0], first.gradient[0], bytes) == 0);
    CU_ASSERT(memcmp(both.gradient[1], second.gradient[0], bytes) == 0);
    CU_ASSERT(memcmp(both.gradient[0], both.gradient[1], bytes) != 0);
    close_fixture(&f);
}

static void masks_change_with_the_step(void)
{
    Fixture f;
    open_fixture(&f, false, 0);
    const double third = loss_of(&f, NULL, 3);
    CU_ASSERT(third != loss_of(&f, NULL, 4));
    CU_ASSERT_EQUAL(third, loss_of(&f, NULL, 3));
    close_fixture(&f);
}

/* One batch, not the mean of its spectra's losses; the same each time. */
static void validation_is_one_batch(void)
{
    Fixture f;
    double all, again, own[3], mean = 0;
    open_fixture(&f, false, 0.5);
    const Objective *o = &f.objective;
    CHECK_OK(o->validate(&all, o->self, f.sample, 3, 11, &test_arena));
    CHECK_OK(o->validate(&again, o->self, f.sample, 3, 11, &test_arena));
    CU_ASSERT_EQUAL(all, again);
    for (int i = 0; i < 3; i++) {
        CHECK_OK(o->validate(&own[i], o->self, f.sample + i, 1, 11, &test_arena));
        mean += own[i] / 3;
    }
    /* all mask 300 sections of 20 pixels, but for token 0, which has 2 numbers */
    CU_ASSERT_DOUBLE_EQUAL(all, mean, 1e-2 * mean);
    CU_ASSERT(isfinite(all) && all > 0);
    close_fixture(&f);
}

/* A spectrum without structure has zeros in all its sections. */
static void nothing_hidden_teaches_nothing(void)
{
    const MaskConfig mask = {2, 4};
    Model *model = small_model(0);
    const Specformer *s = model_branch(model, false)->state;
    float flat[400] = {0};
    const int64_t start[] = {5, 30};
    MaskedBatch b;
    double loss = 1;
    real *d = parity_gradients(model_params(model));
    CHECK_OK(maskedbatch_take(&b, s, &mask, 1, 400, &test_arena));
    CHECK_OK(maskedbatch_set(&b, 0, flat, 400, start));
    CU_ASSERT_EQUAL(b.count, 0);
    CHECK_OK(maskedbatch_train(&loss, d, &b, &(MaskedPass){0}, &test_arena));
    CU_ASSERT_EQUAL(loss, 0);
    for (int64_t i = 0; i < model_params(model)->n_d_reals; i++) CU_ASSERT_EQUAL_FATAL(d[i], 0);
}

static void masks_that_do_not_fit_are_refused(void)
{
    Objective o;
    Dataset d = {0};
    const MaskedConfig c = {20, 50, 0, false};
    CHECK_FAILS(masked_objective(&o, &c, small_model(0), &d, &test_arena), E_CONFIG);
}

/* A model without weights predicts 0: its validation loss is that of predicting the mean. */
static void predicting_the_mean_is_predicting_zero(void)
{
    Fixture f;
    double mean, trained, none;
    open_fixture(&f, false, 0);
    CHECK_OK(masked_mean_loss(&mean, &f.objective, f.sample, BATCH, 5, &test_arena));
    CHECK_OK(f.objective.validate(&trained, f.objective.self, f.sample, BATCH, 5, &test_arena));
    memset(f.params->value, 0, sizeof *f.params->value * (size_t)f.params->n_reals);
    CHECK_OK(f.objective.validate(&none, f.objective.self, f.sample, BATCH, 5, &test_arena));
    CU_ASSERT(mean > 0 && trained != mean);
    CU_ASSERT_EQUAL(none, mean);
    close_fixture(&f);
}

TEST_MAIN("masked modelling", {"twenty recorded steps agree", recorded_training_agrees},
          {"the gradient is the slope of the loss", gradient_is_the_slope},
          {"a step takes the memory that was planned", memory_is_as_planned},
          {"a replica's gradient depends on its batch alone", replicas_do_not_meet},
          {"masks change with the step and with nothing else", masks_change_with_the_step},
          {"a validation is one batch, the same each time", validation_is_one_batch},
          {"predicting the mean is predicting zero", predicting_the_mean_is_predicting_zero},
          {"a batch in which nothing is hidden has loss 0 and no gradient", nothing_hidden_teaches_nothing},
          {"masks that do not fit into a spectrum are refused", masks_that_do_not_fit_are_refused})
