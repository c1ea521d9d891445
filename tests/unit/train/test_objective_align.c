/* test_objective_align.c - the alignment through the objective: the recorded training, gradients against difference
   quotients through both encoders, cached tokens. */
#include <fcntl.h>
#include <unistd.h>

#include "golden_steps.h"
#include "model/clip.h"
#include "small_pairs.h"
#include "train/align_tokens.h"
#include "train/alignpass.h"

enum { PAIRS = 12, BATCH = 2 };

typedef struct {
    AlignConfig config;
    char cache[H5_PATH];
    Model *model;
    Params *params;
    Dataset dataset;
    Objective objective;
    Sample *sample; /* of the train split */
    int64_t n;
} Fixture;

/* config.cache is set here. */
static void open_fixture(Fixture *f, AlignConfig c)
{
    char path[H5_PATH];
    const char **frozen;
    snprintf(path, sizeof path, "%s/dataset.h5", test_folder());
    small_dataset(path, PAIRS, &test_par);
    *f = (Fixture){.config = c, .model = small_model(c.learn_scale ? c.logit_scale : 0)};
    snprintf(f->cache, sizeof f->cache, "%s/tokens.h5", test_folder());
    f->config.cache = f->cache;
    f->params = model_params(f->model);
    CHECK_OK(align_frozen(&frozen, &f->config, f->model, &test_arena));
    for (; *frozen; frozen++) params_freeze(f->params, *frozen);
    CHECK_OK(dataset_open(&f->dataset, path, &test_arena));
    CHECK_OK(dataset_samples(&f->sample, &f->n, &f->dataset, SAMPLES_PAIRS, SPLIT_TRAIN, &test_arena));
    CU_ASSERT_FATAL(f->n >= 2 * BATCH);
    CHECK_OK(align_cache(&f->config, f->model, &f->dataset, &test_par, &test_arena));
    CHECK_OK(align_objective(&f->objective, &f->config, f->model, &f->dataset, &test_arena));
}

static void close_fixture(Fixture *f)
{
    align_close(&f->objective);
    CHECK_OK(dataset_close(&f->dataset));
}

static const AlignConfig published = {.freeze_image = true,
                                      .freeze_spectrum = true,
                                      .dropout = 0.1,
                                      .logit_scale = 15.5};

/* ---- the recorded training ---- */

static Model *golden_model(H5File *g)
{
    static VitConfig v;
    static SpecformerConfig s;
    static ModelConfig config;
    H5Shape image, position;
    CHECK_OK(h5_shape(&image, g, "inputs/image"));
    CHECK_OK(h5_shape(&position, g, "params/spectrum_encoder.backbone.position_embed.weight"));
    int64_t layers = 0;
    while (h5_has(g, golden_name("params/spectrum_encoder.backbone.blocks.%lld.layernorm1.bias", (long long)layers)))
        layers++;
    v = (VitConfig){image.dims[3],
                    12,
                    golden_int(g, "cfg_vd"),
                    golden_int(g, "image_depth"),
                    golden_int(g, "image_backbone_heads"),
                    golden_int(g, "block_chunks")};
    s = (SpecformerConfig){golden_int(g, "cfg_sd"), layers, golden_int(g, "spectrum_backbone_heads"),
                           position.dims[0],        20,     10};
    config = (ModelConfig){golden_int(g, "embed_dim"),
                           golden_int(g, "head_heads"),
                           {image_encoders[0], &v},
                           {spectrum_encoders[0], &s}};
    Model *m;
    CHECK_OK(gemm_choose("auto", 1));
    CHECK_OK(model_build(&m, &config, &test_arena));
    parity_load(model_params(m), g, "params");
    CHECK_OK(model_prepare(m, &test_arena));
    return m;
}

/* tokens (n, n_tokens, dim) of all objects of the file. */
static real *golden_tokens(const Branch *b, H5File *g, const char *dataset)
{
    H5Shape shape;
    const float *input = golden_f32(&shape, g, dataset);
    real *tokens;
    CHECK_OK(arena_new(&tokens, &test_arena, shape.dims[0] * b->n_tokens * b->dim));
    for (int64_t i = 0; i < shape.dims[0]; i++)
        CHECK_OK(b->encoder->encode(tokens + i * b->n_tokens * b->dim, NULL, b->state, input + i * b->n_inputs, 1,
                                    b->input, &test_arena));
    return tokens;
}

/* golden README: losses to 1e-5, parameters to 1e-5, absolute. */
static void recorded_training_agrees(void)
{
    H5File g;
    if (!golden_open(&g, "train_clip_tiny.h5")) return;
    Model *model = golden_model(&g);
    Params *params = model_params(model);
    const char **frozen;
    CHECK_OK(align_frozen(&frozen, &published, model, &test_arena));
    for (; *frozen; frozen++) params_freeze(params, *frozen);
    const real *all[N_MODALITIES] = {golden_tokens(model_branch(model, true), &g, "inputs/image"),
                                     golden_tokens(model_branch(model, false), &g, "inputs/spectrum")};
    H5Shape shape;
    const int64_t *index = golden_i64(&shape, &g, "inputs/batch_index"), batch = shape.dims[1];
    static const bool trained[N_MODALITIES] = {false, false};
    GoldenRun run = golden_run(&g, params);
    for (int64_t t = 0; t < run.steps; t++) {
        const Mark mark = arena_mark(&test_arena);
        AlignPass p;
        ClipTrace clip;
        real *d_out[N_MODALITIES];
        double loss;
        CHECK_OK(alignpass_take(&p, model, trained, false, batch, &test_arena));
        CHECK_OK(model_prepare(model, &test_arena));
        for (int m = 0; m < N_MODALITIES; m++) {
            const int64_t each = p.half[m].branch->n_tokens * p.half[m].branch->dim;
            for (int64_t i = 0; i < batch; i++)
                memcpy(p.half[m].tokens + i * each, all[m] + index[t * batch + i] * each, sizeof(real) * (size_t)each);
            CHECK_OK(arena_new(&d_out[m], &test_arena, batch * p.dim));
        }
        CHECK_OK(alignpass_forward(&p, &test_arena));
        CHECK_OK(clip_forward(&loss, &clip, p.half[MODALITY_IMAGE].out, p.half[MODALITY_SPECTRUM].out, 0, batch, batch,
                              p.dim, golden_number(&g, "logit_scale"), &test_arena));
        CHECK_OK(clip_backward(d_out[MODALITY_IMAGE], d_out[MODALITY_SPECTRUM], NULL, &clip, &test_arena));
        CHECK_OK(alignpass_backward(run.d, &p, d_out, NULL, &test_arena));
        golden_step(&g, &run, t, loss, 1e-5);
        arena_reset(&test_arena, mark);
    }
    const Param *q = params_find(params, "spectrum_encoder.mlp.encoder.weight");
    const double *want = golden_want(&g, "outputs/final_params/spectrum_encoder.mlp.encoder.weight", q->n);
    for (int64_t i = 0; i < q->n; i++) CU_ASSERT_DOUBLE_EQUAL(params->value[q->offset + i], want[i], 1e-5);
    CHECK_OK(h5_close(&g));
}

/* ---- slopes ---- */

static double loss_of(Fixture *f, Optimizer *o)
{
    double loss;
    const Mark mark = arena_mark(&test_arena);
    CHECK_OK(f->objective.refresh(f->objective.self));
    small_step(&loss, o, &f->objective, f->params, f->sample, 1, BATCH, 2, &test_par);
    if (o->at == 0) arena_reset(&test_arena, mark);
    return loss;
}

/* Along one random direction in the parameters whose names begin with `prefix`. Float: 1e-2, as the smoke test of
   gradcheck.h. */
static void check_slope(Fixture *f, const char *prefix, const real *d)
{
    static const double at[] = {1, -1, 2, -2}, weight[] = {8, -8, -1, 1}, h = 5e-4;
    const Params *p = f->params;
    const Mark mark = arena_mark(&test_arena);
    double want = 0, size = 0, got = 0;
    float *kept, *direction;
    Optimizer o;
    CHECK_OK(arena_new(&kept, &test_arena, p->n_reals));
    CHECK_OK(arena_new(&direction, &test_arena, p->n_reals));
    memcpy(kept, p->value, sizeof *kept * (size_t)p->n_reals);
    for (int64_t i = 0; i < p->n_params; i++) {
        const Param *q = &p->param[i];
        if (q->d_offset < 0 || strncmp(q->name, prefix, strlen(prefix)) != 0) continue;
        Rng rng = rng_stream(5, "direction", i, 0);
        rng_normals(direction + q->offset, q->n, &rng);
        for (int64_t k = 0; k < q->n; k++) {
            const double term = (double)d[q->d_offset + k] * direction[q->offset + k];
            want += term;
            size += term * term;
        }
    }
    for (int s = 0; s < 4; s++) {
        for (int64_t i = 0; i < p->n_reals; i++) p->value[i] = (real)(kept[i] + at[s] * h * direction[i]);
        got += weight[s] * loss_of(f, &o) / (12 * h);
    }
    memcpy(p->value, kept, sizeof *kept * (size_t)p->n_reals);
    const bool good = size > 0 && fabs(got - want) <= 1e-2 * sqrt(size);
    if (!good) printf("    %s: slope %.8g, gradient %.8g, size %.3g\n", prefix, got, want, sqrt(size));
    CU_ASSERT(good);
    arena_reset(&test_arena, mark);
}

static void gradients_are_slopes(void)
{
    Fixture f;
    Optimizer o;
    AlignConfig c = published;
    c.freeze_image = c.freeze_spectrum = false;
    c.learn_scale = true;
    open_fixture(&f, c);
    loss_of(&f, &o);
    CU_ASSERT(o.n_ready == 2 + 2 + 2); /* two heads, two blocks each */
    check_slope(&f, "image_encoder.backbone.", o.gradient[0]);
    check_slope(&f, "image_encoder.", o.gradient[0]);
    check_slope(&f, "spectrum_encoder.backbone.", o.gradient[0]);
    check_slope(&f, "logit_scale", o.gradient[0]);
    close_fixture(&f);
}

/* ---- bits ---- */

/* One step with a configuration: its loss, and its gradients in the arena. */
static double step_with(real **gradient, int64_t *n, AlignConfig c)
{
    Fixture f;
    Optimizer o;
    open_fixture(&f, c);
    const double loss = loss_of(&f, &o);
    *gradient = o.gradient[0];
    *n = f.params->n_d_reals;
    close_fixture(&f);
    return loss;
}

static void same_bits(AlignConfig a, AlignConfig b)
{
    real *d[2];
    int64_t n[2];
    const double first = step_with(&d[0], &n[0], a), second = step_with(&d[1], &n[1], b);
    CU_ASSERT_EQUAL_FATAL(n[0], n[1]);
    CU_ASSERT_EQUAL(first, second);
    CU_ASSERT(memcmp(d[0], d[1], sizeof **d * (size_t)n[0]) == 0);
}

static void traces_may_be_made_again(void)
{
    AlignConfig keep = published, again;
    keep.freeze_image = keep.freeze_spectrum = false;
    again = keep;
    again.recompute = true;
    same_bits(keep, again);
}

static void cached_tokens_are_the_tokens(void)
{
    AlignConfig made = published, cached = published;
    cached.tokens = TOKENS_CACHE;
    same_bits(made, cached);
    made.freeze_spectrum = cached.freeze_spectrum = false; /* of the images alone */
    same_bits(made, cached);
}

/* The plan is right to a factor of two. */
static void memory_is_as_planned(void)
{
    for (int k = 0; k < 4; k++) {
        Fixture f;
        Optimizer o;
        AlignConfig c = published;
        double loss[2];
        c.freeze_image = c.freeze_spectrum = k == 0;
        c.negatives = k == 1 ? NEGATIVES_GLOBAL : NEGATIVES_LOCAL;
        c.recompute = k == 2;
        open_fixture(&f, c);
        small_optimizer(&o, f.params, 0, 2);
        const size_t before = test_arena.used + 3 * sizeof(real) * (size_t)f.params->n_d_reals;
        test_arena.peak = 0;
        small_step(loss, &o, &f.objective, f.params, f.sample, 2, BATCH, 1, &test_par);
        const double took = (double)(test_arena.peak - before), planned = align_step_bytes(&c, f.model, 2, 2, BATCH);
        if (!(took < 2 * planned && planned < 2 * took)) printf("    planned %.4g bytes, took %.4g\n", planned, took);
        CU_ASSERT(took < 2 * planned && planned < 2 * took);
        close_fixture(&f);
    }
}

/* Local negatives: a replica's gradient has the same bits whoever else is on its rank; its dropout is of its step. */
static void replicas_do_not_meet(void)
{
    Fixture f;
    Optimizer both, own;
    double loss[2], alone, later;
    open_fixture(&f, published);
    const size_t bytes = sizeof(real) * (size_t)f.params->n_d_reals;
    small_step(loss, &both, &f.objective, f.params, f.sample, 2, BATCH, 2, &par_alone);
    small_step(&alone, &own, &f.objective, f.params, f.sample + BATCH, 1, BATCH, 2, &par_alone);
    CU_ASSERT_EQUAL(loss[1], alone);
    CU_ASSERT(memcmp(both.gradient[1], own.gradient[0], bytes) == 0);
    small_step(&later, &own, &f.objective, f.params, f.sample + BATCH, 1, BATCH, 3, &par_alone);
    CU_ASSERT(later != alone);
    close_fixture(&f);
}

static void one_replica_needs_no_others(void)
{
    AlignConfig local = published, global = published;
    global.negatives = NEGATIVES_GLOBAL;
    same_bits(local, global);
}

/* ---- the rest ---- */

static void damage_is_found(void)
{
    Fixture f;
    AlignConfig c = published;
    double loss;
    c.tokens = TOKENS_CACHE;
    open_fixture(&f, c);
    close_fixture(&f);
    H5File file;
    float row[9 * 16] = {1};
    CHECK_OK(h5_modify(&file, f.cache, NULL));
    CHECK_OK(h5_write_rows(&file, "image/tokens", H5_F32, 0, row, 2, 1));
    CHECK_OK(h5_close(&file));
    CHECK_OK(dataset_open(&f.dataset, golden_name("%s/dataset.h5", test_folder()), &test_arena));
    CHECK_OK(align_objective(&f.objective, &f.config, f.model, &f.dataset, &test_arena));
    CHECK_FAILS(f.objective.validate(&loss, f.objective.self, f.sample, f.n, 1, &test_arena), E_INPUT);
    close_fixture(&f);
    CHECK_OK(unlink(f.cache) == 0 ? OK : FAIL(E_OUTPUT, "cannot remove %s", f.cache));
}

/* Dropout and steps change a step's loss and leave a validation alone. */
static void validation_draws_nothing(void)
{
    Fixture f;
    double a, b;
    open_fixture(&f, published);
    const Objective *o = &f.objective;
    CHECK_OK(o->validate(&a, o->self, f.sample, 4, 1, &test_arena));
    CHECK_OK(o->validate(&b, o->self, f.sample, 4, 2, &test_arena));
    CU_ASSERT(isfinite(a) && a > 0);
    CU_ASSERT_EQUAL(a, b);
    close_fixture(&f);
}

static void what_is_not_trained_is_named(void)
{
    Model *m = small_model(0);
    AlignConfig c = published;
    const char **frozen;
    Objective o;
    Dataset d = {0};
    CHECK_OK(align_frozen(&frozen, &c, m, &test_arena));
    CU_ASSERT_STRING_EQUAL(frozen[0], "image_encoder.backbone.");
    CU_ASSERT_STRING_EQUAL(frozen[1], "spectrum_encoder.backbone.");
    c.freeze_image = c.freeze_spectrum = false;
    CHECK_OK(align_frozen(&frozen, &c, m, &test_arena));
    int64_t n = 0;
    for (; *frozen; frozen++) n += params_freeze(model_params(m), *frozen);
    CU_ASSERT_EQUAL(n, 3 + 2); /* class token, positions, mask token; weight and bias of SpecFormer's own head */
    c.freeze_image = true;
    CHECK_FAILS(align_objective(&o, &c, m, &d, &test_arena), E_BUG); /* the caller did not freeze it */
}

static void first_values_come_by_part(void)
{
    Model *m = small_model(0);
    const Params *p = model_params(m);
    float *kept;
    CHECK_OK(arena_new(&kept, &test_arena, p->n_reals));
    memcpy(kept, p->value, sizeof *kept * (size_t)p->n_reals);
    model_init(m, 7, "image_encoder.head.");
    for (int64_t i = 0; i < p->n_params; i++) {
        const Param *q = &p->param[i];
        const bool head = strncmp(q->name, "image_encoder.", 14) == 0 && !strstr(q->name, "backbone");
        CU_ASSERT_EQUAL(memcmp(kept + q->offset, p->value + q->offset, sizeof *kept * (size_t)q->n) != 0, head);
    }
    float *some;
    CHECK_OK(arena_new(&some, &test_arena, p->n_reals));
    model_init(m, 7, "");
    memcpy(some, p->value, sizeof *some * (size_t)p->n_reals);
    model_init(m, 7, "spectrum_encoder.");
    CU_ASSERT(memcmp(some, p->value, sizeof *some * (size_t)p->n_reals) == 0);
}

TEST_MAIN("alignment", {"twenty recorded steps agree", recorded_training_agrees},
          {"gradients are slopes, through both encoders and the scale", gradients_are_slopes},
          {"encoders run again in the backward pass change no bit", traces_may_be_made_again},
          {"cached tokens change no bit", cached_tokens_are_the_tokens},
          {"global negatives of one replica are its own", one_replica_needs_no_others},
          {"a step takes the memory that was planned", memory_is_as_planned},
          {"a replica's gradient depends on its batch and step alone", replicas_do_not_meet},
          {"damaged cached tokens are found", damage_is_found}, {"validation draws nothing", validation_draws_nothing},
          {"what is not trained is named, and must be frozen", what_is_not_trained_is_named},
          {"first values come by part and by name", first_values_come_by_part})
