/* test_specformer.c - SpecFormer's forward pass, masked loss and gradients against golden/specformer_tiny.h5, with every gemm provider. */
#include "model/masked.h"
#include "model/prepare_spectrum.h"
#include "model/specformer.h"
#include "parity.h"

static const double tolerance = TOLERANCE(5e-6, 1e-11); /* golden README: forward */
static const double gradient_tolerance = TOLERANCE(5e-5, 1e-10);
static const double tolerance_f32 = 5e-6; /* where the reference itself is float */

typedef struct {
    H5File g;
    Params params;
    Specformer model;
    int64_t n, n_tokens, input_dim, dim;
    real *tokens; /* (n, n_tokens, input_dim) */
} Case;

static bool open_case(Case *c)
{
    if (!golden_open(&c->g, "specformer_tiny.h5")) return false;
    H5File *g = &c->g;
    const SpecformerConfig config = {
        golden_int(g, "embed_dim"), golden_int(g, "num_layers"),           golden_int(g, "num_heads"),
        golden_int(g, "max_len"),   golden_int(g, "slice_section_length"), golden_int(g, "slice_overlap")};
    CHECK_OK(params_init(&c->params, specformer_n_params(&config), &test_arena));
    CHECK_OK(specformer_declare(&c->model, &config, &c->params, "", &test_arena));
    parity_load(&c->params, g, "params");
    H5Shape in;
    const float *flux = golden_f32(&in, g, "inputs/spectrum");
    c->n = in.dims[0];
    c->n_tokens = prepare_spectrum_tokens(in.dims[1], config.slice_section_length, config.slice_overlap);
    c->input_dim = specformer_input_dim(&config);
    c->dim = config.embed_dim;
    CU_ASSERT_EQUAL_FATAL(c->input_dim, golden_int(g, "input_dim"));
    CHECK_OK(arena_new(&c->tokens, &test_arena, c->n * c->n_tokens * c->input_dim));
    for (int64_t i = 0; i < c->n; i++)
        CHECK_OK(prepare_spectrum(c->tokens + i * c->n_tokens * c->input_dim, NULL, NULL, flux + i * in.dims[1],
                                  in.dims[1], config.slice_section_length, config.slice_overlap));
    return true;
}

/* All spectra through the model: embedding (n, tokens, D), reconstruction (n, tokens, input). */
static void run(real *embedding, real *reconstruction, const Case *c, const real *tokens)
{
    for (int64_t i = 0; i < c->n; i++)
        CHECK_OK(specformer_forward(embedding + i * c->n_tokens * c->dim,
                                    reconstruction + i * c->n_tokens * c->input_dim, &c->model,
                                    tokens + i * c->n_tokens * c->input_dim, 1, c->n_tokens, &test_arena));
}

static void mean_over_tokens(real *mean, const Case *c, const real *embedding)
{
    for (int64_t i = 0; i < c->n * c->dim; i++) {
        double sum = 0;
        for (int64_t t = 0; t < c->n_tokens; t++)
            sum += (double)embedding[(i / c->dim * c->n_tokens + t) * c->dim + i % c->dim];
        mean[i] = (real)(sum / (double)c->n_tokens);
    }
}

static void forward_agrees(void)
{
    Case c;
    if (!open_case(&c)) return;
    const int64_t n_in = c.n * c.n_tokens * c.input_dim, n_out = c.n * c.n_tokens * c.dim;
    real *embedding, *reconstruction, *mean;
    CHECK_OK(arena_new(&embedding, &test_arena, n_out));
    CHECK_OK(arena_new(&reconstruction, &test_arena, n_in));
    CHECK_OK(arena_new(&mean, &test_arena, c.n * c.dim));
    CU_ASSERT(parity_near(&c.g, "outputs/tokens", c.tokens, n_in, tolerance));
    FOR_EACH_PROVIDER({
        run(embedding, reconstruction, &c, c.tokens);
        mean_over_tokens(mean, &c, embedding);
        CU_ASSERT(parity_near(&c.g, "outputs/embedding", embedding, n_out, tolerance));
        CU_ASSERT(parity_near(&c.g, "outputs/embedding_f32", embedding, n_out, tolerance_f32));
        CU_ASSERT(parity_near(&c.g, "outputs/embedding_mean", mean, c.n * c.dim, tolerance));
        CU_ASSERT(parity_near(&c.g, "outputs/reconstructions", reconstruction, n_in, tolerance));
    })
    CHECK_OK(h5_close(&c.g));
}

/* The masks are given by the first tokens of their chunks. */
static void mask_chunks(real *masked, Case *c)
{
    H5Shape shape;
    const int64_t *start = golden_i64(&shape, &c->g, "inputs/mask_chunk_start");
    const MaskConfig config = {shape.dims[1], golden_int(&c->g, "mask_chunk_width")};
    const int64_t n = c->n_tokens * c->input_dim;
    CU_ASSERT_EQUAL_FATAL(shape.dims[0], c->n);
    CU_ASSERT_EQUAL_FATAL(shape.dims[1], golden_int(&c->g, "mask_num_chunks"));
    for (int64_t i = 0; i < c->n; i++)
        mask_apply(masked + i * n, &config, start + i * config.num_chunks, c->tokens + i * n, c->n_tokens,
                   c->input_dim);
}

/* The loss is a mean over the elements that masking changed, in all spectra. */
static double masked_loss(const Case *c, const real *reconstruction, const real *masked)
{
    const int64_t n = c->n * c->n_tokens * c->input_dim;
    return masked_squares(reconstruction, masked, c->tokens, n) / (double)masked_count(masked, c->tokens, n);
}

static void masked_forward_agrees(void)
{
    Case c;
    if (!open_case(&c)) return;
    const int64_t n_in = c.n * c.n_tokens * c.input_dim;
    real *masked, *embedding, *reconstruction;
    CHECK_OK(arena_new(&masked, &test_arena, n_in));
    CHECK_OK(arena_new(&embedding, &test_arena, c.n * c.n_tokens * c.dim));
    CHECK_OK(arena_new(&reconstruction, &test_arena, n_in));
    mask_chunks(masked, &c);
    const double *changed = golden_want(&c.g, "outputs/locs", n_in);
    int64_t differ = 0;
    for (int64_t i = 0; i < n_in; i++) differ += (masked[i] != c.tokens[i]) != (changed[i] != 0);
    CU_ASSERT_EQUAL(differ, 0);
    const double want = golden_scalar(&c.g, "outputs/masked_loss");
    FOR_EACH_PROVIDER({
        run(embedding, reconstruction, &c, masked);
        CU_ASSERT(parity_near(&c.g, "outputs/masked_reconstructions", reconstruction, n_in, tolerance));
        const double loss = masked_loss(&c, reconstruction, masked);
        CU_ASSERT_DOUBLE_EQUAL(loss, want, tolerance * want);
        CU_ASSERT_DOUBLE_EQUAL(loss, golden_scalar(&c.g, "outputs/masked_loss_f32"), tolerance_f32 * want);
    })
    CHECK_OK(h5_close(&c.g));
}

/* A spectrum at a time, as in training. */
static void backward_all(real *d_p, const Case *c, const real *masked)
{
    const int64_t n = c->n_tokens * c->input_dim, count = masked_count(masked, c->tokens, c->n * n);
    for (int64_t i = 0; i < c->n; i++) {
        const Mark mark = arena_mark(&test_arena);
        real *reconstruction, *d_reconstruction;
        SpecformerTrace trace;
        CHECK_OK(arena_new(&reconstruction, &test_arena, n));
        CHECK_OK(arena_new(&d_reconstruction, &test_arena, n));
        CHECK_OK(specformer_forward_train(NULL, reconstruction, &trace, &c->model, masked + i * n, c->n_tokens,
                                          &(SpecformerTraining){0}, &test_arena));
        masked_backward(d_reconstruction, reconstruction, masked + i * n, c->tokens + i * n, n, count);
        CHECK_OK(specformer_backward(d_p, &trace, &c->model, NULL, d_reconstruction, &test_arena));
        arena_reset(&test_arena, mark);
    }
}

static void gradients_agree(void)
{
    Case c;
    if (!open_case(&c)) return;
    real *masked;
    CHECK_OK(arena_new(&masked, &test_arena, c.n * c.n_tokens * c.input_dim));
    mask_chunks(masked, &c);
    FOR_EACH_PROVIDER({
        real *d_p = parity_gradients(&c.params);
        backward_all(d_p, &c, masked);
        parity_gradients_near(&c.g, "grads", &c.params, d_p, gradient_tolerance);
    })
    CHECK_OK(h5_close(&c.g));
}

TEST_MAIN("specformer", {"the forward pass agrees", forward_agrees},
          {"the forward pass on masked tokens agrees", masked_forward_agrees},
          {"the gradients of the masked loss agree", gradients_agree})
