/* test_baselines.c - the supervised networks for images and spectra against golden/baselines.h5, with every gemm provider:
   predictions, training passes, gradients, running moments, the published size. */
#include "model/conv_att.h"
#include "model/resnet.h"
#include "parity.h"

static const double tolerance = TOLERANCE(2e-5, 1e-10); /* golden README */
static const double gradient_tolerance = TOLERANCE(2e-4, 1e-10);

typedef struct {
    H5File g;
    Params params;
    Resnet model;
    int64_t n, n_out;
    const real *images;
} ImageCase;

static void declare_resnet18(Params *p, Resnet *m, int64_t width, int64_t size, int64_t n_out, const char *prefix)
{
    ResnetConfig c = {.width = width, .size = size, .n_out = n_out};
    resnet_shape(&c, RESNET18);
    CHECK_OK(params_init(p, resnet_n_params(&c), &test_arena));
    CHECK_OK(resnet_declare(m, &c, p, prefix, &test_arena));
    CU_ASSERT_EQUAL(p->n_params, resnet_n_params(&c));
}

static bool open_images(ImageCase *c)
{
    H5Shape in, weights;
    if (!golden_open(&c->g, "baselines.h5")) return false;
    c->images = golden_reals(&in, &c->g, "inputs/image");
    golden_f64(&weights, &c->g, "inputs/lossw_resnet");
    c->n = in.dims[0];
    c->n_out = weights.dims[1];
    declare_resnet18(&c->params, &c->model, golden_int(&c->g, "resnet_tiny_width"), in.dims[2], c->n_out, "");
    parity_load(&c->params, &c->g, "params/resnet18_tiny");
    return true;
}

static void resnet18_predicts(void)
{
    ImageCase c;
    if (!open_images(&c)) return;
    real *out;
    CHECK_OK(arena_new(&out, &test_arena, c.n * c.n_out));
    FOR_EACH_PROVIDER({
        CHECK_OK(resnet_predict(out, &c.model, c.images, c.n, &test_arena));
        CU_ASSERT(parity_near(&c.g, "outputs/resnet18_tiny/eval", out, c.n * c.n_out, tolerance));
    })
    CHECK_OK(h5_close(&c.g));
}

/* The loss of the golden file, sum of the outputs times its weights, to the tolerance of the sum of their sizes: terms of
   either sign cancel, their errors do not. */
static bool loss_near(const real *out, const real *w, int64_t n, double want)
{
    double sum = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += (double)out[i] * (double)w[i];
        size += fabs((double)out[i] * (double)w[i]);
    }
    return fabs(sum - want) <= tolerance * size;
}

static void resnet18_trains(void)
{
    ImageCase c;
    if (!open_images(&c)) return;
    const real *w = golden_reals(NULL, &c.g, "inputs/lossw_resnet");
    const double want = golden_scalar(&c.g, "outputs/resnet18_tiny/train_loss");
    real *out;
    CHECK_OK(arena_new(&out, &test_arena, c.n * c.n_out));
    FOR_EACH_PROVIDER({
        real *d_p = parity_gradients(&c.params);
        ResnetTrace trace;
        CHECK_OK(resnet_forward_train(out, &trace, &c.model, c.images, c.n, &test_arena));
        CU_ASSERT(parity_near(&c.g, "outputs/resnet18_tiny/train", out, c.n * c.n_out, tolerance));
        CU_ASSERT(loss_near(out, w, c.n * c.n_out, want));
        CHECK_OK(resnet_backward(d_p, &trace, &c.model, w, &test_arena));
        parity_gradients_near(&c.g, "grads/resnet18_tiny", &c.params, d_p, gradient_tolerance);
    })
    CHECK_OK(h5_close(&c.g));
}

static void running_moments_follow(void)
{
    ImageCase c;
    if (!open_images(&c)) return;
    int64_t n_moments = 0;
    real *out;
    ResnetTrace trace;
    CHECK_OK(arena_new(&out, &test_arena, c.n * c.n_out));
    CHECK_OK(resnet_forward_train(out, &trace, &c.model, c.images, c.n, &test_arena));
    resnet_track(&c.model, &trace, golden_number(&c.g, "bn_momentum"));
    for (int64_t i = 0; i < c.params.n_params; i++) {
        const Param *p = &c.params.param[i];
        const char *name = golden_name("outputs/resnet18_tiny/running_after_one_step/%s", p->name);
        if (!h5_has(&c.g, name)) continue;
        CU_ASSERT(parity_near(&c.g, name, params_at(&c.params, i), p->n, tolerance));
        n_moments++;
    }
    resnet_freeze(&c.model);
    for (int64_t i = 0; i < c.params.n_params; i++) n_moments -= c.params.param[i].d_offset < 0;
    CU_ASSERT_EQUAL(n_moments, 0);
    CHECK_OK(h5_close(&c.g));
}

static void published_size_predicts(void)
{
    static const char dataset[] = "outputs/resnet18_full_eval_2images";
    H5File g;
    H5Shape in, result;
    Params params;
    Resnet model;
    real *out;
    if (!golden_open(&g, "baselines.h5")) return;
    const real *images = golden_reals(&in, &g, "inputs/image");
    golden_f64(&result, &g, dataset);
    const int64_t n = result.dims[0], n_out = result.dims[1];
    declare_resnet18(&params, &model, 64, in.dims[2], n_out, "resnet18.");
    CHECK_OK(params_allocate(&params));
    params_deterministic(&params, (uint64_t)golden_int(&g, "weight_seed"));
    CHECK_OK(arena_new(&out, &test_arena, n * n_out));
    CHECK_OK(gemm_choose("auto", 1));
    CHECK_OK(resnet_predict(out, &model, images, n, &test_arena));
    CU_ASSERT(parity_near(&g, dataset, out, n * n_out, tolerance));
    CHECK_OK(h5_close(&g));
}

/* ---- spectra ---- */

/* Channels first .. first + 16 of the last stage, as the golden file has them: (16, length). */
static void take_channels(real *out, const ConvAttTrace *t, int64_t length, int64_t first)
{
    const real *last = t->stage[CONV_ATT_STAGES - 1].out;
    for (int64_t c = 0; c < CONV_ATT_HEADS; c++)
        for (int64_t i = 0; i < length; i++) *out++ = last[i * 2 * CONV_ATT_HEADS + first + c];
}

/* The bias of a convolution is taken away again by the instance norm behind it: its gradient is 0 but for rounding, here
   and in the golden file. It is measured against the gradient of the same convolution's weights. */
static void conv_att_gradients_near(H5File *g, const ConvAtt *m, const real *d_p)
{
    const Params *p = m->params;
    for (int64_t i = 0; i < p->n_params; i++) {
        const real *got = d_p + p->param[i].d_offset;
        const char *name = golden_name("grads/conv_att/%s", p->param[i].name);
        int s = 0;
        while (s < CONV_ATT_STAGES && m->stage[s].bias != i) s++;
        if (s == CONV_ATT_STAGES) {
            CU_ASSERT(parity_near(g, name, got, p->param[i].n, gradient_tolerance));
            continue;
        }
        const Param *weight = &p->param[m->stage[s].weight];
        double largest = 0;
        for (int64_t k = 0; k < weight->n; k++) largest = fmax(largest, fabs((double)d_p[weight->d_offset + k]));
        for (int64_t k = 0; k < p->param[i].n; k++) CU_ASSERT(fabs((double)got[k]) <= gradient_tolerance * largest);
    }
}

static void conv_att_agrees(void)
{
    H5File g;
    H5Shape in, weights;
    Params params;
    ConvAtt model;
    real *out, *h, *a;
    if (!golden_open(&g, "baselines.h5")) return;
    const real *flux = golden_reals(&in, &g, "inputs/spectrum"),
               *w = golden_reals(&weights, &g, "inputs/lossw_conv_att");
    const int64_t n = in.dims[0], n_out = weights.dims[1];
    const double want = golden_scalar(&g, "outputs/conv_att/loss");
    CHECK_OK(params_init(&params, CONV_ATT_PARAMS, &test_arena));
    CHECK_OK(conv_att_declare(&model, &(ConvAttConfig){in.dims[1], n_out}, &params, ""));
    parity_load(&params, &g, "params/conv_att");
    const int64_t each = CONV_ATT_HEADS * conv_att_length(&model);
    CHECK_OK(arena_new(&out, &test_arena, n * n_out));
    CHECK_OK(arena_new(&h, &test_arena, n * each));
    CHECK_OK(arena_new(&a, &test_arena, n * each));
    FOR_EACH_PROVIDER({
        real *d_p = parity_gradients(&params);
        for (int64_t i = 0; i < n; i++) {
            ConvAttTrace t;
            CHECK_OK(conv_att_forward(out + i * n_out, &t, &model, flux + i * in.dims[1], &test_arena));
            take_channels(h + i * each, &t, conv_att_length(&model), 0);
            take_channels(a + i * each, &t, conv_att_length(&model), CONV_ATT_HEADS);
            CHECK_OK(conv_att_backward(d_p, &t, &model, w + i * n_out, &test_arena));
        }
        CU_ASSERT(parity_near(&g, "outputs/conv_att/h", h, n * each, tolerance));
        CU_ASSERT(parity_near(&g, "outputs/conv_att/a_logits", a, n * each, tolerance));
        CU_ASSERT(parity_near(&g, "outputs/conv_att/out", out, n * n_out, tolerance));
        CU_ASSERT(loss_near(out, w, n * n_out, want));
        conv_att_gradients_near(&g, &model, d_p);
    })
    CHECK_OK(h5_close(&g));
}

TEST_MAIN("baselines", {"resnet18 predicts what it should", resnet18_predicts},
          {"resnet18 in training and its gradients agree", resnet18_trains},
          {"its running moments follow those of a batch", running_moments_follow},
          {"resnet18 of the published size agrees", published_size_predicts},
          {"conv+attention and its gradients agree", conv_att_agrees})
