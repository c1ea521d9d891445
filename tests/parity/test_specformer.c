/* test_specformer.c - SpecFormer's forward pass against golden/specformer_tiny.h5, with every gemm provider. */
#include "model/prepare_spectrum.h"
#include "model/specformer.h"
#include "parity.h"

static const double tolerance = TOLERANCE(5e-6, 1e-11); /* golden README: forward */
static const double tolerance_f32 = 5e-6;               /* where the reference itself is float */

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
                                    tokens + i * c->n_tokens * c->input_dim, c->n_tokens, &test_arena));
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
    CU_ASSERT(near_real("tokens", c.tokens, golden_f64(NULL, &c.g, "outputs/tokens"), n_in, tolerance));
    FOR_EACH_PROVIDER({
        run(embedding, reconstruction, &c, c.tokens);
        CU_ASSERT(near_real("embedding", embedding, golden_f64(NULL, &c.g, "outputs/embedding"), n_out, tolerance));
        CU_ASSERT(near_real("embedding_f32", embedding, golden_f64(NULL, &c.g, "outputs/embedding_f32"), n_out,
                            tolerance_f32));
        CU_ASSERT(near_real("reconstructions", reconstruction, golden_f64(NULL, &c.g, "outputs/reconstructions"), n_in,
                            tolerance));
    })
    for (int64_t i = 0; i < c.n * c.dim; i++) {
        double sum = 0;
        for (int64_t t = 0; t < c.n_tokens; t++)
            sum += (double)embedding[(i / c.dim * c.n_tokens + t) * c.dim + i % c.dim];
        mean[i] = (real)(sum / (double)c.n_tokens);
    }
    CU_ASSERT(
        near_real("embedding_mean", mean, golden_f64(NULL, &c.g, "outputs/embedding_mean"), c.n * c.dim, tolerance));
    CHECK_OK(h5_close(&c.g));
}

/* Chunks of tokens are set to zero; the loss counts the elements that this changed. */
static void masked_forward_agrees(void)
{
    Case c;
    if (!open_case(&c)) return;
    H5Shape shape;
    const int64_t *start = golden_i64(&shape, &c.g, "inputs/mask_chunk_start");
    const int64_t width = golden_int(&c.g, "mask_chunk_width"), n_in = c.n * c.n_tokens * c.input_dim;
    real *masked, *embedding, *reconstruction;
    CHECK_OK(arena_new(&masked, &test_arena, n_in));
    CHECK_OK(arena_new(&embedding, &test_arena, c.n * c.n_tokens * c.dim));
    CHECK_OK(arena_new(&reconstruction, &test_arena, n_in));
    memcpy(masked, c.tokens, sizeof *masked * (size_t)n_in);
    for (int64_t i = 0; i < golden_items(&shape); i++)
        memset(masked + (i / shape.dims[1] * c.n_tokens + start[i]) * c.input_dim, 0,
               sizeof *masked * (size_t)(width * c.input_dim));
    const uint8_t *changed = golden_u8(NULL, &c.g, "outputs/locs");
    double sum = 0, count = 0;
    FOR_EACH_PROVIDER(run(embedding, reconstruction, &c, masked));
    for (int64_t i = 0; i < n_in; i++) {
        const double residual = (double)reconstruction[i] - (double)c.tokens[i];
        CU_ASSERT_EQUAL(masked[i] != c.tokens[i], changed[i] != 0);
        if (masked[i] == c.tokens[i]) continue;
        sum += residual * residual;
        count++;
    }
    CU_ASSERT(near_real("masked_reconstructions", reconstruction,
                        golden_f64(NULL, &c.g, "outputs/masked_reconstructions"), n_in, tolerance));
    const double loss = golden_scalar(&c.g, "outputs/masked_loss");
    CU_ASSERT_DOUBLE_EQUAL(sum / count, loss, tolerance * loss);
    CHECK_OK(h5_close(&c.g));
}

TEST_MAIN("specformer", {"the forward pass agrees", forward_agrees},
          {"the forward pass on masked tokens agrees", masked_forward_agrees})
