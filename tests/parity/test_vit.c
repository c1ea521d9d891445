/* test_vit.c - the vision transformer's forward passes against golden/vit_tiny.h5, with every gemm provider. */
#include <stdlib.h>

#include "model/vit.h"
#include "parity.h"

static const double tolerance = TOLERANCE(5e-6, 1e-11); /* golden README */
static const double tolerance_f32 = 5e-6;               /* where the reference itself is float */

typedef struct {
    H5File g;
    Params params;
    Vit model;
    int64_t dim;
} Case;

static bool open_case(Case *c)
{
    if (!golden_open(&c->g, "vit_tiny.h5")) return false;
    H5File *g = &c->g;
    const VitConfig config = {golden_int(g, "img_size"), golden_int(g, "patch_size"), golden_int(g, "embed_dim"),
                              golden_int(g, "depth"),    golden_int(g, "num_heads"),  golden_int(g, "block_chunks")};
    CHECK_OK(params_init(&c->params, vit_n_params(&config), &test_arena));
    CHECK_OK(vit_declare(&c->model, &config, &c->params, "", &test_arena));
    parity_load(&c->params, g, "params");
    c->dim = config.embed_dim;
    return true;
}

/* All images of a dataset; class tokens (n, D) and patch tokens (n, patches, D) apart, or all tokens as patch tokens
   where cls is NULL. */
static void run(real *cls, real *patches, Case *c, const char *input, const uint8_t *masks)
{
    H5Shape in;
    const float *image = golden_f32(&in, &c->g, input);
    const VitTokens which = cls ? VIT_CLASS : VIT_PATCHES;
    const int64_t size = in.dims[3], n_patches = vit_tokens(&c->model.config, size, VIT_PATCHES), dim = c->dim;
    real *all;
    CHECK_OK(arena_new(&all, &test_arena, vit_tokens(&c->model.config, size, which) * dim));
    for (int64_t i = 0; i < in.dims[0]; i++) {
        CHECK_OK(vit_forward(all, &c->model, image + i * 3 * size * size, size, which,
                             masks ? masks + i * n_patches : NULL, &test_arena));
        if (cls) memcpy(cls + i * dim, all, sizeof *all * (size_t)dim);
        memcpy(patches + i * n_patches * dim, all + (cls ? dim : 0), sizeof *all * (size_t)(n_patches * dim));
    }
}

static real *room_for(int64_t *n, Case *c, const char *dataset)
{
    H5Shape s;
    real *out;
    CHECK_OK(h5_shape(&s, &c->g, dataset));
    *n = golden_items(&s);
    CHECK_OK(arena_new(&out, &test_arena, *n));
    return out;
}

static void check(Case *c, const char *cls_name, const char *patch_name, const char *input, const uint8_t *masks)
{
    int64_t n_cls = 0, n_patch;
    real *cls = cls_name ? room_for(&n_cls, c, cls_name) : NULL, *patch = room_for(&n_patch, c, patch_name);
    FOR_EACH_PROVIDER({
        run(cls, patch, c, input, masks);
        if (cls) CU_ASSERT(near_real(cls_name, cls, golden_f64(NULL, &c->g, cls_name), n_cls, tolerance));
        CU_ASSERT(near_real(patch_name, patch, golden_f64(NULL, &c->g, patch_name), n_patch, tolerance));
    })
}

static void class_path_agrees(void)
{
    Case c;
    if (!open_case(&c)) return;
    check(&c, "outputs/cls", "outputs/patchtokens", "inputs/global", NULL);
    int64_t n;
    real *cls = room_for(&n, &c, "outputs/cls_f32"), *patches = room_for(&n, &c, "outputs/patchtokens");
    run(cls, patches, &c, "inputs/global", NULL);
    CU_ASSERT(near_real("cls_f32", cls, golden_f64(NULL, &c.g, "outputs/cls_f32"), c.dim, tolerance_f32));
    CHECK_OK(h5_close(&c.g));
}

static void masked_path_agrees(void)
{
    Case c;
    if (!open_case(&c)) return;
    check(&c, "outputs/masked_cls", "outputs/masked_patchtokens", "inputs/global",
          golden_u8(NULL, &c.g, "inputs/masks"));
    CHECK_OK(h5_close(&c.g));
}

static void other_sizes_agree(void)
{
    Case c;
    if (!open_case(&c)) return;
    check(&c, "outputs/local_cls", "outputs/local_patchtokens", "inputs/local", NULL);
    CHECK_OK(h5_close(&c.g));
}

static void bare_patches_agree(void)
{
    Case c;
    if (!open_case(&c)) return;
    check(&c, NULL, "outputs/tokens_nocls_nopos", "inputs/global", NULL);
    int64_t n;
    real *tokens = room_for(&n, &c, "outputs/tokens_nocls_nopos_f32");
    run(NULL, tokens, &c, "inputs/global", NULL);
    CU_ASSERT(near_real("tokens_nocls_nopos_f32", tokens, golden_f64(NULL, &c.g, "outputs/tokens_nocls_nopos_f32"), n,
                        tolerance_f32));
    CHECK_OK(h5_close(&c.g));
}

static void patch_embedding_agrees(void)
{
    Case c;
    if (!open_case(&c)) return;
    H5Shape in;
    const float *image = golden_f32(&in, &c.g, "inputs/global");
    int64_t n;
    real *out = room_for(&n, &c, "outputs/patch_embed");
    FOR_EACH_PROVIDER({
        for (int64_t i = 0; i < in.dims[0]; i++)
            CHECK_OK(vit_patches(out + i * (n / in.dims[0]), &c.model, image + i * 3 * in.dims[3] * in.dims[3],
                                 in.dims[3], &test_arena));
        CU_ASSERT(near_real("patch_embed", out, golden_f64(NULL, &c.g, "outputs/patch_embed"), n, tolerance));
    })
    CHECK_OK(h5_close(&c.g));
}

static void positions_agree(void)
{
    static const char stem[] = "pos_embed_interp_";
    Case c;
    if (!open_case(&c)) return;
    char **names;
    int64_t n_names, n, found = 0;
    CHECK_OK(h5_list(&names, &n_names, &c.g, "outputs", &test_arena));
    for (int64_t i = 0; i < n_names; i++) {
        if (strncmp(names[i], stem, sizeof stem - 1) != 0) continue;
        const char *dataset = golden_name("outputs/%s", names[i]);
        real *out = room_for(&n, &c, dataset);
        vit_positions(out, &c.model, atoll(names[i] + sizeof stem - 1) / c.model.config.patch_size);
        CU_ASSERT(near_real(dataset, out, golden_f64(NULL, &c.g, dataset), n, tolerance));
        found++;
    }
    CU_ASSERT(found > 0);
    CHECK_OK(h5_close(&c.g));
}

TEST_MAIN("vit", {"class and patch tokens agree", class_path_agrees}, {"masked patches agree", masked_path_agrees},
          {"images of another size agree", other_sizes_agree}, {"bare patches agree", bare_patches_agree},
          {"the patch embedding agrees", patch_embedding_agrees}, {"resampled positions agree", positions_agree})
