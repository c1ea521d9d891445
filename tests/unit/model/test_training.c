/* test_training.c - what holds for the training passes whatever the weights: the numbers of the inference pass, sums that
   do not depend on how a batch is cut, masks, global negatives, frozen parameters. */
#include <string.h>

#include "model/clip.h"
#include "model/head.h"
#include "model/masked.h"
#include "model/specformer.h"
#include "model/vit.h"
#include "nn/dropout.h"
#include "nn/gemm.h"
#include "numbers.h"
#include "test_main.h"

enum { TOKENS = 131, SIZE = 36, E = 32 };

static const SpecformerConfig spectrum_config = {48, 2, 3, 200, 20, 10};
static const VitConfig image_config = {SIZE, 4, 40, 3, 5, 1};

static void *take(int64_t n)
{
    real *x = NULL;
    if (!CHECK_OK(arena_new(&x, &test_arena, n))) CU_FAIL_FATAL("no memory");
    return x;
}

static bool same(const real *a, const real *b, int64_t n) { return memcmp(a, b, sizeof *a * (size_t)n) == 0; }

/* Sums in another order: float rounds those of a product to a few 1e-7 of the largest, and there are a dozen in a row. */
static bool near(const real *a, const real *b, int64_t n) { return numbers_apart(a, b, n) <= 5e-6; }

typedef struct {
    Params params;
    Specformer model;
} Spectra;

static void make_spectra(Spectra *s)
{
    CHECK_OK(gemm_choose("auto", 1));
    CHECK_OK(params_init(&s->params, specformer_n_params(&spectrum_config), &test_arena));
    CHECK_OK(specformer_declare(&s->model, &spectrum_config, &s->params, "", &test_arena));
    CHECK_OK(params_allocate(&s->params));
    params_deterministic(&s->params, 2);
}

static void specformer_trains_as_it_infers(void)
{
    Spectra s = {0};
    make_spectra(&s);
    const int64_t width = specformer_input_dim(&spectrum_config), n = TOKENS * spectrum_config.embed_dim;
    const real *tokens = numbers(TOKENS * width, 1);
    real *embedding = take(n), *out = take(TOKENS * width), *train_embedding = take(n),
         *train_out = take(TOKENS * width);
    CHECK_OK(specformer_forward(embedding, out, &s.model, tokens, 1, TOKENS, &test_arena));
    for (int recompute = 0; recompute < 2; recompute++) {
        SpecformerTrace trace;
        CHECK_OK(specformer_forward_train(train_embedding, train_out, &trace, &s.model, tokens, TOKENS,
                                          &(SpecformerTraining){.recompute = recompute != 0}, &test_arena));
        CU_ASSERT(near(embedding, train_embedding, n));
        CU_ASSERT(near(out, train_out, TOKENS * width));
    }
}

static void vit_trains_as_it_infers(void)
{
    Params params;
    Vit model;
    CHECK_OK(gemm_choose("auto", 1));
    CHECK_OK(params_init(&params, vit_n_params(&image_config), &test_arena));
    CHECK_OK(vit_declare(&model, &image_config, &params, "", &test_arena));
    CHECK_OK(params_allocate(&params));
    params_deterministic(&params, 2);
    const float *image = numbers(3 * SIZE * SIZE, 5);
    static const uint8_t mask[SIZE / 4 * (SIZE / 4)] = {0, 1, 1};
    static const VitTokens which[] = {VIT_CLASS, VIT_PATCHES};
    for (int k = 0; k < 2; k++) {
        const int64_t n = vit_tokens(&image_config, SIZE, which[k]) * image_config.embed_dim;
        real *out = take(n), *train_out = take(n);
        VitTrace trace;
        CHECK_OK(vit_forward(out, &model, image, 1, SIZE, which[k], mask, &test_arena));
        const VitImages set = {image, 1, SIZE, mask, NULL};
        CHECK_OK(vit_forward_train(train_out, &trace, &model, &set, 1, which[k], false, &test_arena));
        CU_ASSERT(near(out, train_out, n));
    }
}

/* The products behind the pooling take all objects at once: same bits where rows may lie at any offset. */
static void head_trains_with_the_same_bits(void)
{
    enum { OBJECTS = 29, N_TOKENS = 50, DIM = 24 };
    const HeadConfig config = {E, 4, DIM, true};
    Params params;
    Head head;
    CHECK_OK(gemm_choose("auto", 1));
    CHECK_OK(params_init(&params, HEAD_PARAMS, &test_arena));
    CHECK_OK(head_declare(&head, &config, &params, ""));
    CHECK_OK(params_allocate(&params));
    params_deterministic(&params, 2);
    CHECK_OK(head_prepare(&head, &test_arena));
    const real *tokens = numbers(OBJECTS * N_TOKENS * DIM, 3);
    real *one = take(E), *all = take(OBJECTS * E);
    HeadTrace trace;
    CHECK_OK(head_forward_train(all, &trace, &head, tokens, NULL, NULL, OBJECTS, N_TOKENS, &test_arena));
    bool any_offset = true;
    static const int64_t shapes[][2] = {{E / 4, DIM}, {E, E}, {4 * E, E}, {E, 4 * E}};
    for (int k = 0; k < 4; k++) {
        bool keeps;
        CHECK_OK(gemm_keeps_rows(&keeps, gemm(), shapes[k][0], shapes[k][1], 1));
        any_offset = any_offset && keeps;
    }
    for (int64_t i = 0; i < OBJECTS; i++) {
        CHECK_OK(head_forward(one, NULL, NULL, &head, tokens + i * N_TOKENS * DIM, 1, N_TOKENS, &test_arena));
        if (any_offset) CU_ASSERT(same(one, all + i * E, E));
        for (int64_t k = 0; k < E; k++) CU_ASSERT_DOUBLE_EQUAL_FATAL(one[k], all[i * E + k], 1e-5);
    }
}

/* Gradients of the sum of the reconstructions of spectra from .. to. */
static void add_gradients(real *d_p, const Spectra *s, const real *tokens, int from, int to, Arena *step)
{
    const int64_t n = TOKENS * specformer_input_dim(&spectrum_config);
    for (int i = from; i < to; i++) {
        const Mark mark = arena_mark(step);
        SpecformerTrace trace;
        real *out = take(n);
        CHECK_OK(specformer_forward_train(NULL, out, &trace, &s->model, tokens + i * n, TOKENS,
                                          &(SpecformerTraining){0}, step));
        CHECK_OK(specformer_backward(d_p, &trace, &s->model, NULL, out, step));
        arena_reset(step, mark);
    }
}

/* Four spectra in one microbatch, or 1 + 3 with other work, and other memory, in between. */
static void microbatches_do_not_matter(void)
{
    Spectra s = {0};
    make_spectra(&s);
    const real *tokens = numbers(4 * TOKENS * specformer_input_dim(&spectrum_config), 7);
    real *whole = take(s.params.n_d_reals), *parts = take(s.params.n_d_reals), *other = take(s.params.n_d_reals);
    add_gradients(whole, &s, tokens, 0, 4, &test_arena);
    add_gradients(parts, &s, tokens, 0, 1, &test_arena);
    take(1001);
    add_gradients(other, &s, tokens, 2, 3, &test_arena);
    add_gradients(parts, &s, tokens, 1, 4, &test_arena);
    CU_ASSERT(same(whole, parts, s.params.n_d_reals));
    CU_ASSERT(!same(whole, other, s.params.n_d_reals));
}

static void frozen_parameters_have_no_gradient(void)
{
    Spectra s = {0};
    make_spectra(&s);
    const real *tokens = numbers(TOKENS * specformer_input_dim(&spectrum_config), 9);
    real *all = take(s.params.n_d_reals);
    add_gradients(all, &s, tokens, 0, 1, &test_arena);
    int64_t *before;
    CHECK_OK(arena_new(&before, &test_arena, s.params.n_params));
    for (int64_t i = 0; i < s.params.n_params; i++) before[i] = s.params.param[i].d_offset;
    CU_ASSERT(params_freeze(&s.params, "blocks.0.") > 0);
    CU_ASSERT_EQUAL(params_freeze(&s.params, "position_embed"), 1);
    real *some = take(s.params.n_d_reals);
    add_gradients(some, &s, tokens, 0, 1, &test_arena);
    for (int64_t i = 0; i < s.params.n_params; i++) {
        const Param *p = &s.params.param[i];
        const bool frozen = strncmp(p->name, "blocks.0.", 9) == 0 || strncmp(p->name, "position_embed", 14) == 0;
        CU_ASSERT_EQUAL(params_d_at(&s.params, some, i) == NULL, frozen);
        if (!frozen) CU_ASSERT(same(params_d_at(&s.params, some, i), all + before[i], p->n));
    }
}

/* Large enough that two threads share it. */
static void threads_do_not_change_weight_gradients(void)
{
    enum { ROWS = 600, N_OUT = 700, N_IN = 520 };
    const real *d_y = numbers(ROWS * N_OUT, 1), *x = numbers(ROWS * N_IN, 2);
    real *one = take(N_OUT * N_IN), *more = take(N_OUT * N_IN);
    CHECK_OK(gemm_choose("auto", 1));
    gemm()->backward_w(one, d_y, x, ROWS, N_OUT, N_IN);
    CHECK_OK(gemm_choose("auto", 2));
    gemm()->backward_w(more, d_y, x, ROWS, N_OUT, N_IN);
    CHECK_OK(gemm_choose("auto", 1));
    CU_ASSERT(same(one, more, N_OUT * N_IN));
}

static void dropout_keeps_the_mean(void)
{
    enum { N = 40000 };
    real *factor = take(N), *again = take(N);
    Rng rng = rng_stream(5, "dropout", 1, 2), twin = rng;
    dropout_draw(factor, N, 0.1, &rng);
    dropout_draw(again, N, 0.1, &twin);
    CU_ASSERT(same(factor, again, N));
    double mean = 0;
    for (int i = 0; i < N; i++) {
        CU_ASSERT_FATAL(factor[i] == 0 || fabs((double)factor[i] - 1 / 0.9) < 1e-6);
        mean += (double)factor[i] / N;
    }
    CU_ASSERT_DOUBLE_EQUAL(mean, 1, 6 * 0.34 / sqrt(N)); /* a factor scatters by 1/3 */
    dropout_draw(factor, N, 0, &rng);
    for (int i = 0; i < N; i++) CU_ASSERT_FATAL(factor[i] == 1);
}

static void masks_keep_apart(void)
{
    static const MaskConfig config = {6, 50};
    bool first_token = false, last_place = false;
    for (int64_t object = 0; object < 2000; object++) {
        Rng rng = rng_stream(3, "mask", object, 0);
        int64_t start[6];
        CHECK_OK(mask_draw(start, &config, 778, &rng));
        for (int i = 0; i < 6; i++) {
            const int64_t from = i * 778 / 6; /* 0, 129, 259, 389, 518, 648 */
            CU_ASSERT_FATAL(start[i] >= from && start[i] <= from + 78);
            last_place = last_place || start[i] == from + 78;
        }
        first_token = first_token || start[0] == 0;
    }
    CU_ASSERT(first_token && last_place);
    int64_t start[6];
    Rng rng = rng_stream(3, "mask", 0, 0);
    CHECK_OK(mask_draw(start, &config, 550, &rng));
    CHECK_FAILS(mask_draw(start, &config, 549, &rng), E_CONFIG);
}

static void zeros_do_not_count_as_masked(void)
{
    static const MaskConfig config = {1, 1};
    const real tokens[] = {0, 1, 2, 0, 3, 4}; /* two tokens of three columns */
    real masked[6], d[6] = {0};
    mask_apply(masked, &config, (const int64_t[]){0}, tokens, 2, 3);
    CU_ASSERT_EQUAL(masked_count(masked, tokens, 6), 2);
    const real guess[] = {9, 2, 2, 9, 9, 9};
    CU_ASSERT_EQUAL(masked_squares(guess, masked, tokens, 6), 1);
    masked_backward(d, guess, masked, tokens, 6, 2);
    const real want[] = {0, 1, 0, 0, 0, 0};
    CU_ASSERT(same(d, want, 6));
}

/* Losses and gradients of three replicas that see everybody's rows add up to those of one replica with all rows. */
static void global_negatives_add_up(void)
{
    enum { N = 12, DIM = 7 };
    CHECK_OK(gemm_choose("auto", 1));
    const real *image = numbers(N * DIM, 1), *spectrum = numbers(N * DIM, 2);
    real *d[2][2];
    double loss[2] = {0};
    double d_scale[2] = {0};
    for (int way = 0; way < 2; way++) {
        const int replicas = way == 0 ? 1 : 3;
        for (int k = 0; k < 2; k++) d[way][k] = take(N * DIM);
        for (int r = 0; r < replicas; r++) {
            ClipTrace t;
            double part;
            CHECK_OK(
                clip_forward(&part, &t, image, spectrum, r * N / replicas, N / replicas, N, DIM, 15.5, &test_arena));
            CHECK_OK(clip_backward(d[way][0], d[way][1], &d_scale[way], &t, &test_arena));
            loss[way] += part;
        }
    }
    CU_ASSERT_DOUBLE_EQUAL(loss[0], loss[1], 1e-6);
    CU_ASSERT_DOUBLE_EQUAL(d_scale[0], d_scale[1], 1e-6);
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < N * DIM; i++) CU_ASSERT_DOUBLE_EQUAL(d[0][k][i], d[1][k][i], 1e-5);
}

TEST_MAIN("training", {"SpecFormer trains as it infers, to rounding", specformer_trains_as_it_infers},
          {"the vision transformer trains as it infers, to rounding", vit_trains_as_it_infers},
          {"heads train with the bits of inference", head_trains_with_the_same_bits},
          {"gradients do not depend on microbatches", microbatches_do_not_matter},
          {"frozen parameters have no gradient, the others keep theirs", frozen_parameters_have_no_gradient},
          {"threads do not change weight gradients", threads_do_not_change_weight_gradients},
          {"dropout keeps the mean", dropout_keeps_the_mean},
          {"masked chunks stay in their share of the spectrum", masks_keep_apart},
          {"zeros do not count as masked", zeros_do_not_count_as_masked},
          {"global negatives add up to the whole batch", global_negatives_add_up})
