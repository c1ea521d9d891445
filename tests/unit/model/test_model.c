/* test_model.c - what holds for the encoders whatever the weights: objects alone, sizes, configuration. */
#include <string.h>

#include "model/encoders.h"
#include "model/prepare_image.h"
#include "model/prepare_spectrum.h"
#include "model/specformer.h"
#include "model/vit.h"
#include "nn/gemm.h"
#include "test_main.h"

enum { SIZE = 40, CROP = 36, PIXELS = 400, E = 16 };

static VitConfig vit = {CROP, 6, 24, 2, 3, 2};
static SpecformerConfig specformer = {24, 2, 3, 800, 20, 10};

static Model *tiny(void)
{
    const ModelConfig config = {E, 4, {image_encoders[0], &vit}, {spectrum_encoders[0], &specformer}};
    Model *m = NULL;
    CHECK_OK(gemm_choose("auto", 1));
    CHECK_OK(model_build(&m, &config, &test_arena));
    params_deterministic(model_params(m), 3);
    CHECK_OK(model_prepare(m, &test_arena));
    return m;
}

static void fill(float *x, int64_t n, double seed)
{
    for (int64_t i = 0; i < n; i++) x[i] = (float)(0.1 * sin(seed * (double)i + seed) + 0.05);
}

static void objects_do_not_meet(void)
{
    const Model *m = tiny();
    static float image[2][3 * SIZE * SIZE], flux[2][PIXELS];
    real alone[2 * E], later[2 * E], single[24];
    fill(image[0], 3 * SIZE * SIZE, 0.3);
    fill(image[1], 3 * SIZE * SIZE, 0.7);
    fill(flux[0], PIXELS, 0.11);
    fill(flux[1], PIXELS, 0.13);
    CHECK_OK(model_image(alone, NULL, m, image[0], SIZE, &test_arena));
    CHECK_OK(model_spectrum(alone + E, NULL, m, flux[0], PIXELS, &test_arena));
    CHECK_OK(model_image(later, single, m, image[1], SIZE, &test_arena)); /* another object, another set in between */
    CU_ASSERT(memcmp(alone, later, sizeof *later * E) != 0);
    CHECK_OK(model_spectrum(later, single, m, flux[1], PIXELS, &test_arena));
    CHECK_OK(model_image(later, single, m, image[0], SIZE, &test_arena));
    CHECK_OK(model_spectrum(later + E, single, m, flux[0], PIXELS, &test_arena));
    CU_ASSERT(memcmp(alone, later, sizeof alone) == 0);
}

/* Each provider and precision, weights as they are or kept in the order of products: an object's bits are those that it has
   alone. */
static void company_does_not_matter(void)
{
    enum { COUNT = 37 }; /* of images several batches of different sizes, the last one not full */
    static float image[COUNT][3 * SIZE * SIZE], flux[COUNT][PIXELS];
    static const char *const precisions[] = {"f32", "bf16"};
    const float *images[COUNT], *fluxes[COUNT];
    for (int i = 0; i < COUNT; i++) {
        images[i] = image[i];
        fluxes[i] = flux[i];
        fill(image[i], 3 * SIZE * SIZE, 0.3 + 0.01 * i);
        fill(flux[i], PIXELS, 0.11 + 0.001 * i);
    }
    Model *m = tiny();
    for (const GemmProvider *const *p = gemm_providers; *p; p++)
        for (int k = 0; (*p)->available() && k < 4; k++) {
            const Mark mark = arena_mark(&test_arena);
            CHECK_OK(gemm_choose((*p)->name, 1));
            CHECK_OK(gemm_precision(precisions[k / 2]));
            CHECK_OK(model_prepare(m, &test_arena));
            real *room, *aligned, *single, alone[2][E], own[2][24];
            CHECK_OK(arena_new(&aligned, &test_arena, 2 * COUNT * E));
            CHECK_OK(arena_new(&single, &test_arena, 2 * COUNT * 24));
            const int64_t at = COUNT - 2;
            CHECK_OK(model_image(alone[0], own[0], m, image[at], SIZE, &test_arena));
            CHECK_OK(model_spectrum(alone[1], own[1], m, flux[at], PIXELS, &test_arena));
            CHECK_OK(arena_new(&room, &test_arena, model_kept_reals(m)));
            if (k % 2) model_keep(m, room, true);
            CHECK_OK(model_images(aligned, single, m, images, COUNT, SIZE, &test_arena));
            CHECK_OK(model_spectra(aligned + COUNT * E, single + COUNT * 24, m, fluxes, COUNT, PIXELS, &test_arena));
            for (int64_t j = 0; j < 2; j++) {
                CU_ASSERT(memcmp(alone[j], aligned + (j * COUNT + at) * E, sizeof alone[j]) == 0);
                CU_ASSERT(memcmp(own[j], single + (j * COUNT + at) * 24, sizeof own[j]) == 0);
            }
            gemm_keep_none();
            arena_reset(&test_arena, mark);
        }
    CHECK_OK(gemm_choose("auto", 1));
    CHECK_OK(gemm_precision("f32"));
}

static void scratch_is_given_back(void)
{
    const Model *m = tiny();
    static float image[3 * SIZE * SIZE], flux[PIXELS];
    real aligned[E], single[24];
    fill(image, 3 * SIZE * SIZE, 0.3);
    fill(flux, PIXELS, 0.11);
    const size_t used = test_arena.used;
    CHECK_OK(model_image(aligned, single, m, image, SIZE, &test_arena));
    CHECK_OK(model_spectrum(aligned, single, m, flux, PIXELS, &test_arena));
    CU_ASSERT_EQUAL(test_arena.used, used);
}

static void sizes_are_those_of_the_configuration(void)
{
    Model *m = tiny();
    CU_ASSERT_EQUAL(model_embed_dim(m), E);
    CU_ASSERT_EQUAL(model_image_dim(m), 24);
    CU_ASSERT_EQUAL(model_spectrum_dim(m), 24);
    CU_ASSERT_EQUAL(model_image_size(m), CROP);
    CU_ASSERT(model_flops(m, true, true, false) > 0 && model_flops(m, true, false, false) == 0);
    CU_ASSERT(model_flops(m, false, true, false) > model_flops(m, true, true, false)); /* 778 tokens against 36 */
    CU_ASSERT(model_flops(m, true, true, true) > 1.9 * (double)model_flops(m, true, true, false)); /* two passes */
    CU_ASSERT(model_flops(m, false, true, true) == model_flops(m, false, true, false));            /* one */
    CU_ASSERT_PTR_NOT_NULL(params_find(model_params(m), "image_encoder.backbone.blocks.1.1.attn.qkv.weight"));
    CU_ASSERT_PTR_NOT_NULL(
        params_find(model_params(m), "spectrum_encoder.cross_attention.multihead_attn.k_proj_weight"));
}

/* The published sizes: machine.md counts 89.8 (with class token) and 77.2 GFLOP for the encoders. */
static void published_costs(void)
{
    const VitConfig large = {144, 12, 1024, 24, 16, 4};
    const SpecformerConfig six = {768, 6, 6, 800, 20, 10};
    CU_ASSERT_DOUBLE_EQUAL((double)vit_flops(&large, VIT_CLASS) * 1e-9, 89.8, 0.1);
    CU_ASSERT_DOUBLE_EQUAL((double)specformer_flops(&six, 778) * 1e-9, 77.2, 0.1);
}

static void chunks_are_names_only(void)
{
    VitConfig c = vit;
    Params p;
    Vit v;
    c.block_chunks = 0;
    CHECK_OK(params_init(&p, vit_n_params(&c), &test_arena));
    CHECK_OK(vit_declare(&v, &c, &p, "backbone.", &test_arena));
    CU_ASSERT_EQUAL(p.n_params, vit_n_params(&c));
    CU_ASSERT_PTR_NOT_NULL(params_find(&p, "backbone.blocks.1.ls2.gamma"));
    CU_ASSERT_PTR_NULL(params_find(&p, "backbone.blocks.1.1.ls2.gamma"));
}

static void unusable_input_is_an_error(void)
{
    const Model *m = tiny();
    static float small[3 * (CROP - 1) * (CROP - 1)], flux[9000];
    real aligned[E];
    CHECK_FAILS(model_image(aligned, NULL, m, small, CROP - 1, &test_arena), E_INPUT);
    CHECK_FAILS(model_spectrum(aligned, NULL, m, flux, 20, &test_arena), E_INPUT);
    CHECK_FAILS(model_spectrum(aligned, NULL, m, flux, 5, &test_arena), E_INPUT);
    CHECK_FAILS(model_spectrum(aligned, NULL, m, flux, 9000, &test_arena), E_INPUT); /* 899 tokens, max_len 800 */
}

static void nan_makes_a_nan_embedding(void)
{
    const Model *m = tiny();
    static float image[3 * SIZE * SIZE], flux[PIXELS];
    real aligned[E];
    fill(image, 3 * SIZE * SIZE, 0.3);
    fill(flux, PIXELS, 0.11);
    image[SIZE * SIZE / 2 + SIZE / 2] = NAN;
    flux[77] = NAN;
    CHECK_OK(model_image(aligned, NULL, m, image, SIZE, &test_arena));
    CU_ASSERT(isnan(aligned[0]));
    CHECK_OK(model_spectrum(aligned, NULL, m, flux, PIXELS, &test_arena));
    CU_ASSERT(isnan(aligned[0]));
}

static void cross_field_mistakes_are_named(void)
{
    VitConfig v = vit;
    v.num_heads = 5;
    CHECK_FAILS(image_encoders[0]->check(&v), E_CONFIG);
    v = vit;
    v.patch_size = 7;
    CHECK_FAILS(image_encoders[0]->check(&v), E_CONFIG);
    v = vit;
    v.block_chunks = 3;
    CHECK_FAILS(image_encoders[0]->check(&v), E_CONFIG);
    v = (VitConfig){156, 12, 24, 2, 3, 2};
    CHECK_FAILS(image_encoders[0]->check(&v), E_CONFIG);
    SpecformerConfig s = specformer;
    s.max_len = 777;
    CHECK_FAILS(spectrum_encoders[0]->check(&s), E_CONFIG);
    s = specformer;
    s.slice_overlap = 20;
    CHECK_FAILS(spectrum_encoders[0]->check(&s), E_CONFIG);
    const ModelConfig c = {10, 4, {image_encoders[0], &vit}, {spectrum_encoders[0], &specformer}};
    CHECK_FAILS(model_section.check(&c), E_CONFIG);
    CHECK_OK(image_encoders[0]->check(&vit));
    CHECK_OK(spectrum_encoders[0]->check(&specformer));
}

TEST_MAIN("model",
          {"an embedding does not depend on other objects, nor on what else is asked for", objects_do_not_meet},
          {"company and kept weights do not change a bit", company_does_not_matter},
          {"scratch is given back", scratch_is_given_back},
          {"sizes are those of the configuration", sizes_are_those_of_the_configuration},
          {"the published models cost what they cost", published_costs},
          {"chunks change names only", chunks_are_names_only},
          {"unusable input is an error", unusable_input_is_an_error},
          {"NaN makes a NaN embedding", nan_makes_a_nan_embedding},
          {"cross-field mistakes of the configuration are refused", cross_field_mistakes_are_named})
