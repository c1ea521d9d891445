/* test_train_steps.c - twenty steps of both trainings against golden/train_specformer_tiny.h5 and train_clip_tiny.h5:
   losses, gradient norms, learning rates, final parameters. Forward, backward, clipping, AdamW and schedule together,
   without the engine around them. */
#include "model/clip.h"
#include "model/head.h"
#include "model/masked.h"
#include "model/prepare_spectrum.h"
#include "model/specformer.h"
#include "model/vit.h"
#include "nn/optim.h"
#include "nn/schedule.h"
#include "parity.h"

/* golden README: losses absolute, parameters absolute; embeddings relative. */
static const double spectrum_loss_tolerance = TOLERANCE(2e-6, 1e-10), spectrum_param_tolerance = TOLERANCE(1e-5, 1e-8);
static const double pair_loss_tolerance = TOLERANCE(1e-5, 1e-9), pair_param_tolerance = TOLERANCE(1e-5, 1e-9);
static const double embedding_tolerance = TOLERANCE(2e-5, 1e-9);
/* Norms gather the gradients' own tolerance (5e-5 and 1e-10) and the drift of the parameters. */
static const double norm_tolerance = TOLERANCE(2e-4, 1e-8);

/* The trained parameters of a table, their gradients and moments, and what the file says about the run. */
typedef struct {
    Params *params;
    real *d, *m, *v;
    AdamW adam;
    double base, last, max_norm;
    int64_t steps, warmup, total;
} Run;

static Run make_run(H5File *g, Params *p)
{
    Run r = {.params = p,
             .adam = {0, golden_number(g, "weight_decay"), golden_number(g, "beta1"), golden_number(g, "beta2"),
                      golden_number(g, "eps")},
             .base = golden_number(g, "lr"),
             .last = golden_number(g, "eta_min"),
             .max_norm = golden_number(g, "grad_clip"),
             .steps = golden_int(g, "steps"),
             .warmup = golden_int(g, "T_warmup"),
             .total = golden_int(g, "T_max")};
    r.d = parity_gradients(p);
    r.m = parity_gradients(p);
    r.v = parity_gradients(p);
    return r;
}

/* Clips, steps, clears the gradients; compares what the step was made of. */
static void finish_step(H5File *g, Run *r, int64_t t, double loss, double loss_tolerance)
{
    const Params *p = r->params;
    const double norm = sqrt(optim_squares(r->d, p->n_d_reals));
    const double want = golden_want(g, "outputs/grad_norm", r->steps)[t];
    r->adam.lr = schedule_cosine(r->base, r->last, t, r->warmup, r->total);
    CU_ASSERT_DOUBLE_EQUAL(loss, golden_want(g, "outputs/loss", r->steps)[t], loss_tolerance);
    CU_ASSERT_DOUBLE_EQUAL(norm, want, norm_tolerance * want);
    CU_ASSERT_DOUBLE_EQUAL(r->adam.lr, golden_want(g, "outputs/lr", r->steps)[t], 1e-13 * r->base);
    optim_scale(r->d, optim_clip(norm, r->max_norm), p->n_d_reals);
    for (int64_t i = 0; i < p->n_params; i++) {
        const int64_t at = p->param[i].d_offset;
        if (at >= 0) adamw_step(params_at(p, i), r->m + at, r->v + at, r->d + at, p->param[i].n, &r->adam, t + 1);
    }
    memset(r->d, 0, sizeof *r->d * (size_t)p->n_d_reals);
}

/* Key biases, the middle third of these vectors, have no gradient but the reference's rounding, which Adam blows up. */
static bool is_key_bias(const char *name, int64_t i, int64_t n)
{
    const bool packed = strstr(name, "attention.attention.bias") || strstr(name, "in_proj_bias");
    return packed && i >= n / 3 && i < 2 * n / 3;
}

static void check_final(H5File *g, const Params *p, double tolerance)
{
    for (int64_t i = 0; i < p->n_params; i++) {
        const Param *param = &p->param[i];
        if (param->d_offset < 0) continue;
        const double *want = golden_want(g, golden_name("outputs/final_params/%s", param->name), param->n);
        const real *got = params_at(p, i);
        double worst = 0;
        for (int64_t k = 0; k < param->n; k++)
            if (!is_key_bias(param->name, k, param->n)) worst = fmax(worst, fabs((double)got[k] - want[k]));
        if (!(worst <= tolerance)) printf("    %s: off by %.3g, allowed %.3g\n", param->name, worst, tolerance);
        CU_ASSERT(worst <= tolerance);
    }
}

/* ---- SpecFormer ---- */

typedef struct {
    H5File g;
    Params params;
    Specformer model;
    MaskConfig mask;
    int64_t batch, n_pixels, n_tokens, width;
    const float *flux;    /* (steps, batch, n_pixels) */
    const int64_t *start; /* (steps, batch, chunks) */
} SpectrumRun;

static bool open_spectra(SpectrumRun *s)
{
    if (!golden_open(&s->g, "train_specformer_tiny.h5")) return false;
    H5File *g = &s->g;
    const SpecformerConfig c = {
        golden_int(g, "embed_dim"), golden_int(g, "num_layers"),           golden_int(g, "num_heads"),
        golden_int(g, "max_len"),   golden_int(g, "slice_section_length"), golden_int(g, "slice_overlap")};
    CHECK_OK(params_init(&s->params, specformer_n_params(&c), &test_arena));
    CHECK_OK(specformer_declare(&s->model, &c, &s->params, "", &test_arena));
    parity_load(&s->params, g, "params");
    H5Shape in;
    s->flux = golden_f32(&in, g, "inputs/spectrum");
    s->start = golden_i64(NULL, g, "inputs/mask_chunk_start");
    s->mask = (MaskConfig){golden_int(g, "mask_num_chunks"), golden_int(g, "mask_chunk_width")};
    s->batch = in.dims[1];
    s->n_pixels = in.dims[2];
    s->n_tokens = prepare_spectrum_tokens(s->n_pixels, c.slice_section_length, c.slice_overlap);
    s->width = specformer_input_dim(&c);
    return true;
}

/* Adds the gradients of step t; returns its loss. */
static double spectrum_step(real *d_p, SpectrumRun *s, int64_t t)
{
    const SpecformerConfig *c = &s->model.config;
    const int64_t n = s->n_tokens * s->width;
    const Mark mark = arena_mark(&test_arena);
    real *tokens, *masked, *out;
    CHECK_OK(arena_new(&tokens, &test_arena, s->batch * n));
    CHECK_OK(arena_new(&masked, &test_arena, s->batch * n));
    CHECK_OK(arena_new(&out, &test_arena, n));
    for (int64_t i = 0; i < s->batch; i++) {
        const int64_t row = t * s->batch + i;
        CHECK_OK(prepare_spectrum(tokens + i * n, NULL, NULL, s->flux + row * s->n_pixels, s->n_pixels,
                                  c->slice_section_length, c->slice_overlap));
        mask_apply(masked + i * n, &s->mask, s->start + row * s->mask.num_chunks, tokens + i * n, s->n_tokens,
                   s->width);
    }
    const int64_t count = masked_count(masked, tokens, s->batch * n);
    double squares = 0;
    for (int64_t i = 0; i < s->batch; i++) {
        const Mark object = arena_mark(&test_arena);
        SpecformerTrace trace;
        real *d_out;
        CHECK_OK(arena_new(&d_out, &test_arena, n));
        CHECK_OK(specformer_forward_train(NULL, out, &trace, &s->model, masked + i * n, s->n_tokens,
                                          &(SpecformerTraining){0}, &test_arena));
        squares += masked_squares(out, masked + i * n, tokens + i * n, n);
        masked_backward(d_out, out, masked + i * n, tokens + i * n, n, count);
        CHECK_OK(specformer_backward(d_p, &trace, &s->model, NULL, d_out, &test_arena));
        arena_reset(&test_arena, object);
    }
    arena_reset(&test_arena, mark);
    return squares / (double)count;
}

static void masked_training_agrees(void)
{
    SpectrumRun s = {0};
    if (!open_spectra(&s)) return;
    CHECK_OK(gemm_choose("auto", 1));
    Run run = make_run(&s.g, &s.params);
    for (int64_t t = 0; t < run.steps; t++)
        finish_step(&s.g, &run, t, spectrum_step(run.d, &s, t), spectrum_loss_tolerance);
    check_final(&s.g, &s.params, spectrum_param_tolerance);
    CHECK_OK(h5_close(&s.g));
}

/* ---- alignment with frozen backbones ---- */

typedef struct {
    H5File g;
    Params params;
    Vit vit;
    Specformer specformer;
    Head head[2]; /* image, spectrum */
    int64_t n, n_tokens[2], dim[2];
    real *tokens[2]; /* (n, n_tokens, dim) of all objects, made once */
} PairRun;

static void declare_pairs(PairRun *r)
{
    H5File *g = &r->g;
    H5Shape image, position;
    CHECK_OK(h5_shape(&image, g, "inputs/image"));
    CHECK_OK(h5_shape(&position, g, "params/spectrum_encoder.backbone.position_embed.weight"));
    int64_t layers = 0;
    while (h5_has(g, golden_name("params/spectrum_encoder.backbone.blocks.%lld.layernorm1.bias", (long long)layers)))
        layers++;
    const VitConfig v = {image.dims[3],
                         12,
                         golden_int(g, "cfg_vd"),
                         golden_int(g, "image_depth"),
                         golden_int(g, "image_backbone_heads"),
                         golden_int(g, "block_chunks")};
    const SpecformerConfig s = {golden_int(g, "cfg_sd"), layers, golden_int(g, "spectrum_backbone_heads"),
                                position.dims[0],        20,     10};
    const int64_t e = golden_int(g, "embed_dim"), heads = golden_int(g, "head_heads");
    CHECK_OK(params_init(&r->params, vit_n_params(&v) + specformer_n_params(&s) + 2 * HEAD_PARAMS, &test_arena));
    CHECK_OK(vit_declare(&r->vit, &v, &r->params, "image_encoder.backbone.", &test_arena));
    CHECK_OK(head_declare(&r->head[0], &(HeadConfig){e, heads, v.embed_dim, false}, &r->params, "image_encoder."));
    CHECK_OK(specformer_declare(&r->specformer, &s, &r->params, "spectrum_encoder.backbone.", &test_arena));
    CHECK_OK(head_declare(&r->head[1], &(HeadConfig){e, heads, s.embed_dim, true}, &r->params, "spectrum_encoder."));
    parity_load(&r->params, g, "params");
    CU_ASSERT(params_freeze(&r->params, "image_encoder.backbone.") > 0);
    CU_ASSERT(params_freeze(&r->params, "spectrum_encoder.backbone.") > 0);
}

static void make_tokens(PairRun *r)
{
    const SpecformerConfig *c = &r->specformer.config;
    H5Shape image_shape, flux_shape;
    const float *image = golden_f32(&image_shape, &r->g, "inputs/image");
    const float *flux = golden_f32(&flux_shape, &r->g, "inputs/spectrum");
    const int64_t size = image_shape.dims[3], n_pixels = flux_shape.dims[1];
    r->n = image_shape.dims[0];
    r->dim[0] = r->vit.config.embed_dim;
    r->dim[1] = c->embed_dim;
    r->n_tokens[0] = vit_tokens(&r->vit.config, size, VIT_PATCHES);
    r->n_tokens[1] = prepare_spectrum_tokens(n_pixels, c->slice_section_length, c->slice_overlap);
    real *sections;
    CHECK_OK(arena_new(&sections, &test_arena, r->n_tokens[1] * specformer_input_dim(c)));
    for (int k = 0; k < 2; k++) CHECK_OK(arena_new(&r->tokens[k], &test_arena, r->n * r->n_tokens[k] * r->dim[k]));
    for (int64_t i = 0; i < r->n; i++) {
        CHECK_OK(vit_forward(r->tokens[0] + i * r->n_tokens[0] * r->dim[0], &r->vit, image + i * 3 * size * size, 1,
                             size, VIT_PATCHES, NULL, &test_arena));
        CHECK_OK(prepare_spectrum(sections, NULL, NULL, flux + i * n_pixels, n_pixels, c->slice_section_length,
                                  c->slice_overlap));
        CHECK_OK(specformer_forward(r->tokens[1] + i * r->n_tokens[1] * r->dim[1], NULL, &r->specformer, sections, 1,
                                    r->n_tokens[1], &test_arena));
    }
}

/* Adds the gradients of a batch; returns its loss. */
static double pair_step(real *d_p, PairRun *r, const int64_t *index, int64_t batch, double scale)
{
    const int64_t e = r->head[0].config.embed_dim;
    const Mark mark = arena_mark(&test_arena);
    real *out[2], *d_out[2];
    HeadTrace trace[2];
    for (int k = 0; k < 2; k++) {
        const int64_t each = r->n_tokens[k] * r->dim[k];
        real *tokens;
        CHECK_OK(arena_new(&tokens, &test_arena, batch * each));
        CHECK_OK(arena_new(&out[k], &test_arena, batch * e));
        CHECK_OK(arena_new(&d_out[k], &test_arena, batch * e));
        for (int64_t i = 0; i < batch; i++)
            memcpy(tokens + i * each, r->tokens[k] + index[i] * each, sizeof *tokens * (size_t)each);
        CHECK_OK(head_prepare(&r->head[k], &test_arena));
        CHECK_OK(
            head_forward_train(out[k], &trace[k], &r->head[k], tokens, NULL, NULL, batch, r->n_tokens[k], &test_arena));
    }
    ClipTrace clip;
    double loss = 0;
    CHECK_OK(clip_forward(&loss, &clip, out[0], out[1], 0, batch, batch, e, scale, &test_arena));
    CHECK_OK(clip_backward(d_out[0], d_out[1], NULL, &clip, &test_arena));
    for (int k = 0; k < 2; k++) CHECK_OK(head_backward(NULL, d_p, &trace[k], &r->head[k], d_out[k], &test_arena));
    arena_reset(&test_arena, mark);
    return loss;
}

static void check_embeddings(PairRun *r, const char *when)
{
    static const char *const which[] = {"image", "spectrum"};
    for (int k = 0; k < 2; k++) {
        const int64_t e = r->head[k].config.embed_dim;
        real *out;
        CHECK_OK(arena_new(&out, &test_arena, r->n * e));
        CHECK_OK(head_prepare(&r->head[k], &test_arena));
        for (int64_t i = 0; i < r->n; i++)
            CHECK_OK(head_forward(out + i * e, NULL, NULL, &r->head[k], r->tokens[k] + i * r->n_tokens[k] * r->dim[k],
                                  1, r->n_tokens[k], &test_arena));
        CU_ASSERT(parity_near(&r->g, golden_name("outputs/%s_%s_embedding", when, which[k]), out, r->n * e,
                              embedding_tolerance));
    }
}

static void alignment_agrees(void)
{
    PairRun r = {0};
    if (!golden_open(&r.g, "train_clip_tiny.h5")) return;
    CHECK_OK(gemm_choose("auto", 1));
    declare_pairs(&r);
    make_tokens(&r);
    for (int k = 0; k < 2; k++) CHECK_OK(head_prepare(&r.head[k], &test_arena)); /* its memory outlives the steps */
    check_embeddings(&r, "initial");
    H5Shape shape;
    const int64_t *index = golden_i64(&shape, &r.g, "inputs/batch_index");
    const int64_t batch = shape.dims[1];
    const double scale = golden_number(&r.g, "logit_scale");
    Run run = make_run(&r.g, &r.params);
    for (int64_t t = 0; t < run.steps; t++) {
        const double loss = pair_step(run.d, &r, index + t * batch, batch, scale);
        for (int64_t i = 0; t == 0 && i < r.params.n_params; i++) {
            const Param *p = &r.params.param[i];
            if (p->d_offset >= 0)
                CU_ASSERT(parity_near(&r.g, golden_name("grads/step0/%s", p->name), run.d + p->d_offset, p->n,
                                      TOLERANCE(1e-4, 1e-9)));
        }
        finish_step(&r.g, &run, t, loss, pair_loss_tolerance);
    }
    check_final(&r.g, &r.params, pair_param_tolerance);
    check_embeddings(&r, "final");
    CHECK_OK(h5_close(&r.g));
}

TEST_MAIN("training steps", {"twenty steps of masked training agree", masked_training_agrees},
          {"twenty steps of the alignment agree", alignment_agrees})
