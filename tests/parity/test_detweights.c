/* test_detweights.c - the whole model with deterministic weights against golden/midsize_detweights.h5: weights,
   tokens, embeddings. */
#include "model/encoders.h"
#include "model/prepare_image.h"
#include "model/prepare_spectrum.h"
#include "model/specformer.h"
#include "model/vit.h"
#include "parity.h"

static const double tolerance = TOLERANCE(1e-5, 1e-10); /* golden README */
static const double tolerance_image = 1e-6;             /* golden README: prepared images, absolute */
static const double tolerance_asinh =
    TOLERANCE(1e-5, 1e-7); /* whole way from nanomaggies: the file's asinh is not correctly rounded (1 unit) */
static const double tolerance_sum = 1e-12; /* sums of all weights, of the sum of their sizes */

typedef struct {
    H5File g;
    VitConfig vit;
    SpecformerConfig specformer;
    ModelConfig config;
    Model *model;
    int64_t n, size, n_pixels;
    const float *images; /* (n, 3, size, size): native order */
    const float *flux;   /* (n, n_pixels) */
} Case;

/* The file holds images as (column, row, band). */
static float *native_order(const float *hf, int64_t n, int64_t size)
{
    float *out;
    CHECK_OK(arena_new(&out, &test_arena, n * 3 * size * size));
    for (int64_t i = 0; i < n; i++)
        for (int64_t x = 0; x < size; x++)
            for (int64_t y = 0; y < size; y++)
                for (int64_t b = 0; b < 3; b++)
                    out[((i * 3 + b) * size + y) * size + x] = hf[((i * size + x) * size + y) * 3 + b];
    return out;
}

static bool open_case(Case *c)
{
    if (!golden_open(&c->g, "midsize_detweights.h5")) return false;
    H5File *g = &c->g;
    H5Shape s;
    CHECK_OK(h5_shape(&s, g, "inputs/model_image"));
    c->vit = (VitConfig){s.dims[3],
                         golden_int(g, "patch_size"),
                         golden_int(g, "image_embed_dim"),
                         golden_int(g, "image_depth"),
                         golden_int(g, "image_heads"),
                         golden_int(g, "block_chunks")};
    /* what the file does not name is as published */
    c->specformer = (SpecformerConfig){golden_int(g, "spectrum_embed_dim"),
                                       golden_int(g, "spectrum_layers"),
                                       golden_int(g, "spectrum_heads"),
                                       800,
                                       20,
                                       10};
    c->config = (ModelConfig){golden_int(g, "embed_dim"),
                              golden_int(g, "n_head"),
                              {image_encoders[0], &c->vit},
                              {spectrum_encoders[0], &c->specformer}};
    CHECK_OK(model_build(&c->model, &c->config, &test_arena));
    params_deterministic(model_params(c->model), (uint64_t)golden_int(g, "weight_seed"));
    CU_ASSERT_EQUAL_FATAL(s.dims[2], s.dims[3]);
    c->n = s.dims[0];
    const float *hf = golden_f32(&s, g, "inputs/hf_image");
    CU_ASSERT_FATAL(s.n_dims == 4 && s.dims[0] == c->n && s.dims[1] == s.dims[2] && s.dims[3] == 3);
    c->size = s.dims[1];
    c->images = native_order(hf, c->n, c->size);
    c->flux = golden_f32(&s, g, "inputs/spectrum");
    CU_ASSERT_EQUAL_FATAL(s.dims[0], c->n);
    c->n_pixels = s.dims[1];
    return true;
}

static void check_weight(const Param *param, const real *value, const double want[5])
{
    double sum = 0, sizes = 0, squares = 0;
    for (int64_t i = 0; i < param->n; i++) {
        sum += (double)value[i];
        sizes += fabs((double)value[i]);
        squares += (double)value[i] * (double)value[i];
    }
    CU_ASSERT_EQUAL((double)value[0], want[0]);
    CU_ASSERT_EQUAL((double)value[param->n / 2], want[1]);
    CU_ASSERT_EQUAL((double)value[param->n - 1], want[2]);
    CU_ASSERT_DOUBLE_EQUAL(sum, want[3], tolerance_sum * sizes);
    CU_ASSERT_DOUBLE_EQUAL(squares, want[4], tolerance_sum * squares);
}

static void weights_agree(void)
{
    Case c;
    if (!open_case(&c)) return;
    H5Shape s;
    char *names;
    CHECK_OK(h5_get((void **)&names, &s, &c.g, "weights_check/names", H5_TEXT, &test_arena));
    const double *want = golden_want(&c.g, "weights_check/first_mid_last_sum_sumsq", s.dims[0] * 5);
    const Params *p = model_params(c.model);
    CU_ASSERT_EQUAL(s.dims[0], p->n_params);
    for (int64_t i = 0; i < s.dims[0]; i++) {
        char name[PARAM_NAME];
        snprintf(name, sizeof name, "%.*s", (int)s.width, names + i * s.width);
        const Param *param = params_find(p, name);
        if (!param) printf("no parameter '%s'\n", name);
        CU_ASSERT_PTR_NOT_NULL_FATAL(param);
        check_weight(param, p->value + param->offset, want + i * 5);
    }
    CHECK_OK(h5_close(&c.g));
}

static void images_are_prepared_alike(void)
{
    Case c;
    if (!open_case(&c)) return;
    const float *want = golden_f32(NULL, &c.g, "inputs/model_image");
    const int64_t crop = c.vit.image_size, n = 3 * crop * crop;
    float *got;
    CHECK_OK(arena_new(&got, &test_arena, n));
    for (int64_t i = 0; i < c.n; i++) {
        CHECK_OK(prepare_image(got, c.images + i * 3 * c.size * c.size, c.size, crop));
        int64_t far = 0; /* a NaN is far as well */
        for (int64_t k = 0; k < n; k++) far += !(fabs((double)got[k] - (double)want[i * n + k]) <= tolerance_image);
        CU_ASSERT_EQUAL(far, 0);
    }
    CHECK_OK(h5_close(&c.g));
}

static double cosine(const real *a, const real *b, int64_t n)
{
    double ab = 0, aa = 0, bb = 0;
    for (int64_t i = 0; i < n; i++) {
        ab += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return ab / sqrt(aa * bb);
}

static void check_embeddings(Case *c)
{
    H5Shape s;
    const float *planes = golden_f32(&s, &c->g, "inputs/model_image");
    const int64_t e = model_embed_dim(c->model), d_image = model_image_dim(c->model),
                  d_spectrum = model_spectrum_dim(c->model);
    real *image, *spectrum, *cls, *mean, *cosines;
    CHECK_OK(arena_new(&image, &test_arena, c->n * e));
    CHECK_OK(arena_new(&spectrum, &test_arena, c->n * e));
    CHECK_OK(arena_new(&cls, &test_arena, c->n * d_image));
    CHECK_OK(arena_new(&mean, &test_arena, c->n * d_spectrum));
    CHECK_OK(arena_new(&cosines, &test_arena, c->n * c->n));
    CHECK_OK(model_prepare(c->model, &test_arena));
    for (int64_t i = 0; i < c->n; i++) {
        CHECK_OK(model_image_prepared(image + i * e, cls + i * d_image, c->model, planes + i * golden_items(&s) / c->n,
                                      &test_arena));
        CHECK_OK(model_spectrum(spectrum + i * e, mean + i * d_spectrum, c->model, c->flux + i * c->n_pixels,
                                c->n_pixels, &test_arena));
    }
    for (int64_t i = 0; i < c->n * c->n; i++)
        cosines[i] = (real)cosine(image + i / c->n * e, spectrum + i % c->n * e, e);
    CU_ASSERT(parity_near(&c->g, "outputs/image_embedding", image, c->n * e, tolerance));
    CU_ASSERT(parity_near(&c->g, "outputs/spectrum_embedding", spectrum, c->n * e, tolerance));
    CU_ASSERT(parity_near(&c->g, "outputs/astrodino_cls", cls, c->n * d_image, tolerance));
    CU_ASSERT(parity_near(&c->g, "outputs/specformer_mean", mean, c->n * d_spectrum, tolerance));
    CU_ASSERT(parity_near(&c->g, "outputs/cosine", cosines, c->n * c->n, tolerance));
    for (int64_t i = 0; i < c->n; i++)
        CHECK_OK(
            model_image(image + i * e, NULL, c->model, c->images + i * 3 * c->size * c->size, c->size, &test_arena));
    CU_ASSERT(parity_near(&c->g, "outputs/image_embedding", image, c->n * e, tolerance_asinh)); /* from nanomaggies */
}

static void embeddings_agree(void)
{
    Case c;
    if (!open_case(&c)) return;
    FOR_EACH_PROVIDER(check_embeddings(&c));
    CHECK_OK(h5_close(&c.g));
}

/* Row `kept` of the sample (n, kept, width) is row `row` of all (n, rows, width), for every object. */
static bool is_row(const real *all, int64_t rows, int64_t row, const double *want, const H5Shape *s, int64_t kept,
                   double allowed)
{
    const int64_t width = s->dims[2];
    for (int64_t i = 0; i < s->dims[0]; i++)
        for (int64_t k = 0; k < width; k++)
            if (!(fabs((double)all[(i * rows + row) * width + k] - want[(i * s->dims[1] + kept) * width + k]) <=
                  allowed))
                return false;
    return true;
}

/* The file keeps some rows of (n, rows, width), in order, without their numbers: each must be found after the one
   before it. */
static bool is_sample(Case *c, const char *dataset, const real *all, int64_t rows, int64_t width)
{
    H5Shape s;
    const double *want = golden_f64(&s, &c->g, dataset);
    double largest = 0;
    CU_ASSERT_FATAL(s.n_dims == 3 && s.dims[0] == c->n && s.dims[1] > 0 && s.dims[2] == width);
    for (int64_t i = 0; i < golden_items(&s); i++) largest = fmax(largest, fabs(want[i]));
    for (int64_t kept = 0, row = 0; kept < s.dims[1]; kept++, row++) {
        while (row < rows && !is_row(all, rows, row, want, &s, kept, tolerance * largest)) row++;
        if (row == rows) {
            printf("%s: row %lld is none of the model's\n", dataset, (long long)kept);
            return false;
        }
    }
    return true;
}

static void token_samples_agree(void)
{
    Case c;
    if (!open_case(&c)) return;
    const Params *p = model_params(c.model);
    Vit vit;
    Specformer specformer;
    Params own;
    CHECK_OK(params_init(&own, p->n_params, &test_arena));
    CHECK_OK(vit_declare(&vit, &c.vit, &own, "image_encoder.backbone.", &test_arena));
    CHECK_OK(specformer_declare(&specformer, &c.specformer, &own, "spectrum_encoder.backbone.", &test_arena));
    CHECK_OK(params_allocate(&own));
    params_deterministic(&own, (uint64_t)golden_int(&c.g, "weight_seed"));
    const float *planes = golden_f32(NULL, &c.g, "inputs/model_image");
    const int64_t patches = vit_tokens(&c.vit, c.vit.image_size, VIT_PATCHES),
                  input = specformer_input_dim(&c.specformer);
    const int64_t tokens =
        prepare_spectrum_tokens(c.n_pixels, c.specformer.slice_section_length, c.specformer.slice_overlap);
    real *image, *sections, *spectrum, *reconstruction;
    CHECK_OK(arena_new(&image, &test_arena, c.n * patches * c.vit.embed_dim));
    CHECK_OK(arena_new(&sections, &test_arena, tokens * input));
    CHECK_OK(arena_new(&spectrum, &test_arena, c.n * tokens * c.specformer.embed_dim));
    CHECK_OK(arena_new(&reconstruction, &test_arena, c.n * tokens * input));
    for (int64_t i = 0; i < c.n; i++) {
        CHECK_OK(vit_forward(image + i * patches * c.vit.embed_dim, &vit,
                             planes + i * 3 * c.vit.image_size * c.vit.image_size, 1, c.vit.image_size, VIT_PATCHES,
                             NULL, &test_arena));
        CHECK_OK(prepare_spectrum(sections, NULL, NULL, c.flux + i * c.n_pixels, c.n_pixels,
                                  c.specformer.slice_section_length, c.specformer.slice_overlap));
        CHECK_OK(specformer_forward(spectrum + i * tokens * c.specformer.embed_dim, reconstruction + i * tokens * input,
                                    &specformer, sections, 1, tokens, &test_arena));
    }
    CU_ASSERT(is_sample(&c, "outputs/image_tokens_sample", image, patches, c.vit.embed_dim));
    CU_ASSERT(is_sample(&c, "outputs/specformer_tokens_sample", spectrum, tokens, c.specformer.embed_dim));
    CU_ASSERT(is_sample(&c, "outputs/specformer_reconstruction_sample", reconstruction, tokens, input));
    CHECK_OK(h5_close(&c.g));
}

TEST_MAIN("detweights", {"deterministic weights agree", weights_agree},
          {"images are prepared alike", images_are_prepared_alike},
          {"samples of the tokens agree", token_samples_agree}, {"embeddings agree", embeddings_agree})
