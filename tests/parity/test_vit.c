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

/* What the model makes of all images of a dataset. */
typedef struct {
    int64_t n_cls, n_patch;
    real *cls;   /* (n, D), NULL with VIT_PATCHES */
    real *patch; /* (n, patches, D) */
} Tokens;

static Tokens run(Case *c, const char *input, VitTokens which, const uint8_t *masks)
{
    H5Shape in;
    const float *image = golden_f32(&in, &c->g, input);
    const int64_t size = in.dims[3], n_patches = vit_tokens(&c->model.config, size, VIT_PATCHES), dim = c->dim;
    const int64_t n = in.dims[0], extra = which == VIT_CLASS;
    Tokens out = {extra * n * dim, n * n_patches * dim, NULL, NULL};
    real *all;
    CHECK_OK(arena_new(&all, &test_arena, (extra + n_patches) * dim));
    CHECK_OK(arena_new(&out.patch, &test_arena, out.n_patch));
    if (extra) CHECK_OK(arena_new(&out.cls, &test_arena, out.n_cls));
    for (int64_t i = 0; i < n; i++) {
        CHECK_OK(vit_forward(all, &c->model, image + i * 3 * size * size, size, which,
                             masks ? masks + i * n_patches : NULL, &test_arena));
        if (extra) memcpy(out.cls + i * dim, all, sizeof *all * (size_t)dim);
        memcpy(out.patch + i * n_patches * dim, all + extra * dim, sizeof *all * (size_t)(n_patches * dim));
    }
    return out;
}

/* With every provider: class tokens, where cls_name is not NULL, and patch tokens. */
static void check(Case *c, const char *cls_name, const char *patch_name, const char *input, const uint8_t *masks)
{
    FOR_EACH_PROVIDER({
        const Tokens got = run(c, input, cls_name ? VIT_CLASS : VIT_PATCHES, masks);
        if (cls_name) CU_ASSERT(parity_near(&c->g, cls_name, got.cls, got.n_cls, tolerance));
        CU_ASSERT(parity_near(&c->g, patch_name, got.patch, got.n_patch, tolerance));
    })
}

static void class_path_agrees(void)
{
    Case c;
    if (!open_case(&c)) return;
    check(&c, "outputs/cls", "outputs/patchtokens", "inputs/global", NULL);
    const Tokens got = run(&c, "inputs/global", VIT_CLASS, NULL);
    CU_ASSERT(parity_near(&c.g, "outputs/cls_f32", got.cls, got.n_cls, tolerance_f32));
    CHECK_OK(h5_close(&c.g));
}

static void masked_path_agrees(void)
{
    Case c;
    if (!open_case(&c)) return;
    H5Shape in, shape;
    const uint8_t *masks = golden_u8(&shape, &c.g, "inputs/masks");
    CHECK_OK(h5_shape(&in, &c.g, "inputs/global"));
    CU_ASSERT_EQUAL_FATAL(golden_items(&shape), in.dims[0] * vit_tokens(&c.model.config, in.dims[3], VIT_PATCHES));
    check(&c, "outputs/masked_cls", "outputs/masked_patchtokens", "inputs/global", masks);
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
    const Tokens got = run(&c, "inputs/global", VIT_PATCHES, NULL);
    CU_ASSERT(parity_near(&c.g, "outputs/tokens_nocls_nopos_f32", got.patch, got.n_patch, tolerance_f32));
    CHECK_OK(h5_close(&c.g));
}

static void patch_embedding_agrees(void)
{
    Case c;
    if (!open_case(&c)) return;
    H5Shape in;
    const float *image = golden_f32(&in, &c.g, "inputs/global");
    const int64_t size = in.dims[3], n = vit_tokens(&c.model.config, size, VIT_PATCHES) * c.dim;
    real *out;
    CHECK_OK(arena_new(&out, &test_arena, in.dims[0] * n));
    FOR_EACH_PROVIDER({
        for (int64_t i = 0; i < in.dims[0]; i++)
            CHECK_OK(vit_patches(out + i * n, &c.model, image + i * 3 * size * size, size, &test_arena));
        CU_ASSERT(parity_near(&c.g, "outputs/patch_embed", out, in.dims[0] * n, tolerance));
    })
    CHECK_OK(h5_close(&c.g));
}

static void positions_agree(void)
{
    static const char stem[] = "pos_embed_interp_";
    Case c;
    if (!open_case(&c)) return;
    char **names;
    int64_t n_names, found = 0;
    CHECK_OK(h5_list(&names, &n_names, &c.g, "outputs", &test_arena));
    for (int64_t i = 0; i < n_names; i++) {
        if (strncmp(names[i], stem, sizeof stem - 1) != 0) continue;
        const int64_t side = atoll(names[i] + sizeof stem - 1) / c.model.config.patch_size;
        const int64_t n = (1 + side * side) * c.dim;
        real *out;
        CHECK_OK(arena_new(&out, &test_arena, n));
        vit_positions(out, &c.model, side);
        CU_ASSERT(parity_near(&c.g, golden_name("outputs/%s", names[i]), out, n, tolerance));
        found++;
    }
    CU_ASSERT(found > 0);
    CHECK_OK(h5_close(&c.g));
}

TEST_MAIN("vit", {"class and patch tokens agree", class_path_agrees}, {"masked patches agree", masked_path_agrees},
          {"images of another size agree", other_sizes_agree}, {"bare patches agree", bare_patches_agree},
          {"the patch embedding agrees", patch_embedding_agrees}, {"resampled positions agree", positions_agree})
