/* test_vit.c - the vision transformer's forward passes and gradients against golden/vit_tiny.h5, with every gemm provider. */
#include <stdlib.h>

#include "model/vit.h"
#include "parity.h"

static const double tolerance = TOLERANCE(5e-6, 1e-11); /* golden README */
static const double gradient_tolerance = TOLERANCE(5e-5, 1e-10);
static const double gradient_tolerance_f32 = TOLERANCE(5e-5, 1e-6); /* loss B was run in float */
static const double tolerance_f32 = 5e-6;                           /* where the reference itself is float */

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
        CHECK_OK(vit_forward(all, &c->model, image + i * 3 * size * size, 1, size, which,
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
            CHECK_OK(vit_patches(out + i * n, &c.model, image + i * 3 * size * size, 1, size, &test_arena));
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

/* Adds the gradients of sum(w * out) over all images of a dataset, one by one or as one batch; w_class (n, D) and w_patch
   (n, patches, D) may be NULL. */
static void backward_all(real *d_p, Case *c, const char *input, VitTokens which, const uint8_t *masks,
                         const real *w_class, const real *w_patch, bool together)
{
    H5Shape in;
    const float *image = golden_f32(&in, &c->g, input);
    const int64_t size = in.dims[3], patches = vit_tokens(&c->model.config, size, VIT_PATCHES), dim = c->dim;
    const int64_t tokens = vit_tokens(&c->model.config, size, which), count = together ? in.dims[0] : 1;
    for (int64_t i = 0; i < in.dims[0]; i += count) {
        const Mark mark = arena_mark(&test_arena);
        real *out, *d_out;
        VitTrace trace;
        CHECK_OK(arena_new(&out, &test_arena, count * tokens * dim));
        CHECK_OK(arena_new(&d_out, &test_arena, count * tokens * dim));
        for (int64_t k = 0; k < count; k++) {
            real *own = d_out + k * tokens * dim, *d_patch = own + (tokens - patches) * dim;
            if (w_class) memcpy(own, w_class + (i + k) * dim, sizeof *own * (size_t)dim);
            if (w_patch) memcpy(d_patch, w_patch + (i + k) * patches * dim, sizeof *own * (size_t)(patches * dim));
        }
        const VitImages set = {image + i * 3 * size * size, count, size, masks ? masks + i * patches : NULL, NULL};
        CHECK_OK(vit_forward_train(out, &trace, &c->model, &set, 1, which, together, &test_arena));
        CHECK_OK(vit_backward(d_p, &trace, &c->model, d_out, &test_arena));
        arena_reset(&test_arena, mark);
    }
}

/* Loss A: masked global images and local ones together. */
static void gradients_agree(void)
{
    Case c;
    if (!open_case(&c)) return;
    const uint8_t *masks = golden_u8(NULL, &c.g, "inputs/masks");
    const real *w_class = golden_reals(NULL, &c.g, "inputs/lossw_cls");
    const real *w_patch = golden_reals(NULL, &c.g, "inputs/lossw_patch");
    const real *w_local = golden_reals(NULL, &c.g, "inputs/lossw_local");
    for (int together = 0; together < 2; together++)
        FOR_EACH_PROVIDER({
            real *d_p = parity_gradients(&c.params);
            backward_all(d_p, &c, "inputs/global", VIT_CLASS, masks, w_class, w_patch, together);
            backward_all(d_p, &c, "inputs/local", VIT_CLASS, NULL, w_local, NULL, together);
            parity_gradients_near(&c.g, "grads/lossA", &c.params, d_p, gradient_tolerance);
        })
    CHECK_OK(h5_close(&c.g));
}

/* Loss B: the path of AstroCLIP's image head. */
static void gradients_of_bare_patches_agree(void)
{
    Case c;
    if (!open_case(&c)) return;
    const real *w = golden_reals(NULL, &c.g, "inputs/lossw_nocls");
    FOR_EACH_PROVIDER({
        real *d_p = parity_gradients(&c.params);
        backward_all(d_p, &c, "inputs/global", VIT_PATCHES, NULL, NULL, w, false);
        parity_gradients_near(&c.g, "grads/lossB", &c.params, d_p, gradient_tolerance_f32);
    })
    CHECK_OK(h5_close(&c.g));
}

/* Stochastic depth of block 0: the samples that keep a branch are given, each branch for itself. */
static void dropped_branches_agree(void)
{
    Case c;
    if (!open_case(&c)) return;
    H5Shape in, n_attention, n_mlp;
    const real *x = golden_reals(&in, &c.g, "inputs/droppath_x");
    const int64_t *attention = golden_i64(&n_attention, &c.g, "inputs/droppath_idx_attn");
    const int64_t *mlp = golden_i64(&n_mlp, &c.g, "inputs/droppath_idx_mlp");
    const real kept = (real)golden_number_of(&c.g, "outputs/droppath_block0_out", "scale");
    const int64_t n = in.dims[0], tokens = in.dims[1], each = tokens * c.dim;
    real *out;
    CHECK_OK(arena_new(&out, &test_arena, gemm_pad(n * tokens) * c.dim));
    memcpy(out, x, sizeof *x * (size_t)(n * each));
    const BranchDrop kept_attention = {attention, n_attention.dims[0], kept}, kept_mlp = {mlp, n_mlp.dims[0], kept};
    BlockTrace t = {.group = {{n, tokens, kept_attention, kept_mlp}},
                    .n_groups = 1,
                    .dim = c.dim,
                    .heads = c.model.config.num_heads,
                    .eps = (real)golden_number(&c.g, "layernorm_eps")};
    CHECK_OK(block_forward_train(out, &t, &c.params, &c.model.block[0], &test_arena));
    CU_ASSERT(parity_near(&c.g, "outputs/droppath_block0_out", out, n * each, tolerance));
    CHECK_OK(h5_close(&c.g));
}

TEST_MAIN("vit", {"class and patch tokens agree", class_path_agrees}, {"masked patches agree", masked_path_agrees},
          {"images of another size agree", other_sizes_agree}, {"bare patches agree", bare_patches_agree},
          {"the patch embedding agrees", patch_embedding_agrees}, {"resampled positions agree", positions_agree},
          {"gradients of class and patch tokens agree", gradients_agree},
          {"gradients of bare patches agree", gradients_of_bare_patches_agree},
          {"dropped branches agree", dropped_branches_agree})
