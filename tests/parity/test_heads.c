/* test_heads.c - both heads and their gradients against golden/heads_tiny.h5, with every gemm provider. */
#include "model/head.h"
#include "parity.h"

static const double tolerance = TOLERANCE(3e-6, 1e-12); /* golden README */
static const double gradient_tolerance = TOLERANCE(3e-5, 1e-12);
static const double tolerance_f32 = 3e-6; /* where the reference itself is float */

static void check(H5File *g, const char *branch, const char *tokens_name, const char *dim_name, bool residual)
{
    const HeadConfig config = {golden_int(g, "embed_dim"), golden_int(g, "n_head"), golden_int(g, dim_name), residual};
    Params params;
    Head head;
    H5Shape in;
    CHECK_OK(params_init(&params, HEAD_PARAMS, &test_arena));
    CHECK_OK(head_declare(&head, &config, &params, golden_name("%s.", branch)));
    parity_load(&params, g, "params");
    const real *tokens = golden_reals(&in, g, tokens_name);
    const int64_t n = in.dims[0], n_tokens = in.dims[1], e = config.embed_dim;
    CU_ASSERT_EQUAL_FATAL(golden_items(&in), n * n_tokens * config.token_dim);
    real *out, *pooled, *weights;
    CHECK_OK(arena_new(&out, &test_arena, n * e));
    CHECK_OK(arena_new(&pooled, &test_arena, n * e));
    CHECK_OK(arena_new(&weights, &test_arena, n * config.heads * n_tokens));
    FOR_EACH_PROVIDER({
        CHECK_OK(head_prepare(&head, &test_arena));
        for (int64_t i = 0; i < n; i++)
            CHECK_OK(head_forward(out + i * e, pooled + i * e, weights + i * config.heads * n_tokens, &head,
                                  tokens + i * n_tokens * config.token_dim, 1, n_tokens, &test_arena));
        CU_ASSERT(parity_near(g, golden_name("outputs/%s", branch), out, n * e, tolerance));
        CU_ASSERT(parity_near(g, golden_name("outputs/%s_f32", branch), out, n * e, tolerance_f32));
        CU_ASSERT(parity_near(g, golden_name("outputs/%s_pooled", branch), pooled, n * e, tolerance));
        CU_ASSERT(parity_near(g, golden_name("outputs/%s_attn_weights", branch), weights, n * config.heads * n_tokens,
                              tolerance));
    })
}

/* All objects in one batch: the loss is the sum of lossw * out. */
static void check_gradients(const char *branch, const char *tokens_name, const char *dim_name, bool residual)
{
    H5File g;
    if (!golden_open(&g, "heads_tiny.h5")) return;
    const HeadConfig config = {golden_int(&g, "embed_dim"), golden_int(&g, "n_head"), golden_int(&g, dim_name),
                               residual};
    Params params;
    Head head;
    H5Shape in;
    CHECK_OK(params_init(&params, HEAD_PARAMS, &test_arena));
    CHECK_OK(head_declare(&head, &config, &params, golden_name("%s.", branch)));
    parity_load(&params, &g, "params");
    const real *tokens = golden_reals(&in, &g, tokens_name);
    const real *d_out = golden_reals(NULL, &g, golden_name("inputs/lossw_%s", branch));
    const int64_t n = in.dims[0], n_out = n * config.embed_dim;
    FOR_EACH_PROVIDER({
        real *d_p = parity_gradients(&params);
        real *d_tokens;
        real *out;
        HeadTrace trace;
        CHECK_OK(arena_new(&d_tokens, &test_arena, golden_items(&in)));
        CHECK_OK(arena_new(&out, &test_arena, n_out));
        CHECK_OK(head_prepare(&head, &test_arena));
        CHECK_OK(head_forward_train(out, &trace, &head, tokens, NULL, NULL, n, in.dims[1], &test_arena));
        CHECK_OK(head_backward(d_tokens, d_p, &trace, &head, d_out, &test_arena));
        CU_ASSERT(parity_near(&g, golden_name("outputs/%s", branch), out, n_out, tolerance));
        parity_gradients_near(&g, "grads", &params, d_p, gradient_tolerance);
        CU_ASSERT(
            parity_near(&g, golden_name("grads/%s_tokens", branch), d_tokens, golden_items(&in), gradient_tolerance));
    })
    CHECK_OK(h5_close(&g));
}

static void gradients_agree(void)
{
    check_gradients("image_encoder", "inputs/image_tokens", "image_model_dim", false);
    check_gradients("spectrum_encoder", "inputs/spectrum_tokens", "spectrum_model_dim", true);
}

static void image_head_agrees(void)
{
    H5File g;
    if (!golden_open(&g, "heads_tiny.h5")) return;
    check(&g, "image_encoder", "inputs/image_tokens", "image_model_dim", false);
    CHECK_OK(h5_close(&g));
}

static void spectrum_head_agrees(void)
{
    H5File g;
    if (!golden_open(&g, "heads_tiny.h5")) return;
    check(&g, "spectrum_encoder", "inputs/spectrum_tokens", "spectrum_model_dim", true);
    CHECK_OK(h5_close(&g));
}

TEST_MAIN("heads", {"the image head agrees", image_head_agrees}, {"the spectrum head agrees", spectrum_head_agrees},
          {"the gradients of both heads agree", gradients_agree})
