/* LAYER: probe
   Against golden/checkpoints_expected.h5: every tensor of every good checkpoint, exactly; sizes come from the files. */
#include "golden.h"
#include "train/import.h"

static const char *const good[] = {"astroclip_tiny.ckpt",
                                   "astroclip_tiny_plain.ckpt",
                                   "specformer_tiny.ckpt",
                                   "specformer_tiny_fp16.ckpt",
                                   "specformer_tiny_bf16.ckpt",
                                   "astrodino_tiny_teacher.pth",
                                   "views.pth",
                                   NULL};

static bool open_file(TorchFile *f, const char *name)
{
    const char *path = test_golden(name);
    return test_needs_file(path) && CHECK_OK(torchfile_open(f, path, &test_arena));
}

/* Group of the golden file that has this checkpoint's tensors; NULL when there is none. */
static char **expected(int64_t *n, H5File *g, const char *name)
{
    char **names = NULL;
    *n = 0;
    if (!h5_has(g, name)) return NULL;
    return CHECK_OK(h5_list(&names, n, g, name, &test_arena)) ? names : NULL;
}

/* Both non-finite numbers and numbers beyond float32 compare as what float32 makes of them. */
static bool same_values(const float *got, const double *want, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (got[i] != (float)want[i]) return false;
    return true;
}

static void check_file(H5File *g, const char *file)
{
    TorchFile f;
    int64_t n = 0;
    char **names = expected(&n, g, file);
    if (!names || !open_file(&f, file)) return;
    CU_ASSERT_EQUAL(f.n, n);
    for (int64_t i = 0; i < n; i++) {
        H5Shape s;
        float *got = NULL;
        const double *want = golden_f64(&s, g, golden_name("%s/%s", file, names[i]));
        const TorchTensor *t = torchfile_find(&f, names[i]);
        CU_ASSERT_FATAL(t != NULL);
        bool same = t->n == golden_items(&s);
        for (int d = 0; d < t->n_dims && same; d++) same = d < s.n_dims && t->dims[d] == s.dims[d];
        CU_ASSERT_FATAL(same);
        CHECK_OK(arena_new(&got, &test_arena, t->n));
        CHECK_OK(torchfile_read(got, &f, t, &test_arena));
        if (!same_values(got, want, t->n)) printf("%s: %s differs\n", file, names[i]);
        CU_ASSERT(same_values(got, want, t->n));
    }
    printf("%s: %lld tensors equal\n", file, (long long)n);
    torchfile_close(&f);
}

static void every_tensor(void)
{
    H5File g;
    if (!golden_open(&g, "checkpoints_expected.h5")) return;
    for (const char *const *file = good; *file; file++) check_file(&g, *file);
    h5_close(&g);
}

/* The checkpoint of ours that comes of it holds the same under AstroCLIP's names. */
static void check_import(H5File *g, const char *file, const char *theirs, const char *ours, const char *left_out)
{
    static const Envelope envelope = {
        .made_by = "import", .config = "", .specprod = "", .image_release = "", .provider = ""};
    TorchFile f;
    H5File h = {0};
    OfficialModel model;
    ImportReport report;
    int64_t n = 0, n_have = 0, n_left = 0;
    char path[H5_PATH], **have = NULL, **names = expected(&n, g, file);
    snprintf(path, sizeof path, "%s/%s.h5", test_folder(), file);
    if (!names || !open_file(&f, file)) return;
    CU_ASSERT_FATAL(CHECK_OK(official_recognise(&model, &f, &test_arena)));
    CU_ASSERT_FATAL(CHECK_OK(import_weights(&report, path, &f, &model, false, &envelope, &test_arena)));
    torchfile_close(&f);
    CU_ASSERT_FATAL(CHECK_OK(checkpoint_open(&h, &have, &n_have, path, &test_arena)));
    for (int64_t i = 0; i < n; i++) {
        H5Shape s;
        float *got = NULL;
        if (left_out && strncmp(names[i], left_out, strlen(left_out)) == 0) {
            n_left++;
            continue;
        }
        const double *want = golden_f64(NULL, g, golden_name("%s/%s", file, names[i]));
        CU_ASSERT_FATAL(
            CHECK_OK(checkpoint_get(&got, &s, &h, golden_name("%s%s", ours, names[i] + strlen(theirs)), &test_arena)));
        CU_ASSERT(same_values(got, want, golden_items(&s)));
    }
    CU_ASSERT(n_have == n - n_left && report.tensors == n_have && report.left_out == n_left);
    h5_close(&h);
}

static void imported(void)
{
    H5File g;
    if (!golden_open(&g, "checkpoints_expected.h5")) return;
    check_import(&g, "astroclip_tiny.ckpt", "", "", NULL);
    check_import(&g, "specformer_tiny.ckpt", "", "spectrum_encoder.backbone.", NULL);
    check_import(&g, "specformer_tiny_fp16.ckpt", "", "spectrum_encoder.backbone.", NULL);
    check_import(&g, "specformer_tiny_bf16.ckpt", "", "spectrum_encoder.backbone.", NULL);
    check_import(&g, "astrodino_tiny_teacher.pth", "backbone.", "image_encoder.backbone.", "dino_head.");
    h5_close(&g);
}

/* astroclip_tiny_plain.ckpt differs in what stands beside the weights. */
static void beside_the_weights(void)
{
    TorchFile a, b;
    if (!open_file(&a, "astroclip_tiny.ckpt") || !open_file(&b, "astroclip_tiny_plain.ckpt")) return;
    CU_ASSERT_FATAL(a.n == b.n);
    for (int64_t i = 0; i < a.n; i++) {
        float *x = NULL, *y = NULL;
        CU_ASSERT_STRING_EQUAL(a.tensor[i].name, b.tensor[i].name);
        CU_ASSERT_FATAL(a.tensor[i].n == b.tensor[i].n);
        CHECK_OK(arena_new(&x, &test_arena, a.tensor[i].n));
        CHECK_OK(arena_new(&y, &test_arena, a.tensor[i].n));
        CHECK_OK(torchfile_read(x, &a, &a.tensor[i], &test_arena));
        CHECK_OK(torchfile_read(y, &b, &b.tensor[i], &test_arena));
        CU_ASSERT(memcmp(x, y, (size_t)a.tensor[i].n * sizeof *x) == 0);
    }
    torchfile_close(&a);
    torchfile_close(&b);
}

/* "...blocks.CHUNK.BLOCK.rest" without its chunk: block_chunks is 0 then. */
static const char *flat_name(const char *name)
{
    static char flat[PARAM_NAME];
    const char *blocks = strstr(name, "image_encoder.backbone.blocks.") ? strstr(name, "blocks.") + 7 : NULL;
    const char *dot = blocks ? strchr(blocks, '.') : NULL;
    if (!dot) return name;
    snprintf(flat, sizeof flat, "%.*s%s", (int)(blocks - name), name, dot + 1);
    return flat;
}

/* The file again with flat names of blocks, and each fused projection in three. */
static bool write_otherwise(const char *path, TorchFile *f)
{
    static const char *const part[] = {"q_proj_weight", "k_proj_weight", "v_proj_weight"};
    TorchWriter w;
    if (!CHECK_OK(torchfile_create(&w, path, "state_dict", &test_arena))) return false;
    for (int64_t i = 0; i < f->n; i++) {
        const TorchTensor *t = &f->tensor[i];
        const char *name = flat_name(t->name), *fused = strstr(name, "in_proj_weight");
        float *x = NULL;
        CHECK_OK(arena_new(&x, &test_arena, t->n));
        CHECK_OK(torchfile_read(x, f, t, &test_arena));
        int64_t dims[TORCH_DIMS];
        memcpy(dims, t->dims, sizeof dims);
        if (fused) dims[0] /= 3;
        for (int k = 0; k < 3 && fused; k++) {
            char split[PARAM_NAME];
            snprintf(split, sizeof split, "%.*s%s", (int)(fused - name), name, part[k]);
            CHECK_OK(torchfile_put(&w, split, x + k * (t->n / 3), t->n_dims, dims));
        }
        if (!fused) CHECK_OK(torchfile_put(&w, name, x, t->n_dims, dims));
    }
    return CHECK_OK(torchfile_finish(&w));
}

static bool import_to(H5File *h, const char *to, const char *from)
{
    static const Envelope envelope = {
        .made_by = "import", .config = "", .specprod = "", .image_release = "", .provider = ""};
    TorchFile f;
    OfficialModel model;
    ImportReport report;
    char **names = NULL;
    int64_t n = 0;
    if (!CHECK_OK(torchfile_open(&f, from, &test_arena))) return false;
    bool ok = CHECK_OK(official_recognise(&model, &f, &test_arena)) &&
              CHECK_OK(import_weights(&report, to, &f, &model, false, &envelope, &test_arena));
    torchfile_close(&f);
    return ok && CHECK_OK(checkpoint_open(h, &names, &n, to, &test_arena));
}

static void other_names_are_the_same_weights(void)
{
    TorchFile f;
    H5File a = {0}, b = {0};
    char other[H5_PATH], to[2][H5_PATH], **names = NULL;
    int64_t n = 0, n_flat = 0;
    if (!open_file(&f, "astroclip_tiny.ckpt")) return;
    snprintf(other, sizeof other, "%s/other.ckpt", test_folder());
    for (int k = 0; k < 2; k++) snprintf(to[k], H5_PATH, "%s/named%d.h5", test_folder(), k);
    if (!write_otherwise(other, &f)) return;
    torchfile_close(&f);
    if (!import_to(&a, to[0], test_golden("astroclip_tiny.ckpt")) || !import_to(&b, to[1], other)) return;
    CHECK_OK(h5_list(&names, &n, &a, "weights", &test_arena));
    for (int64_t i = 0; i < n; i++) {
        H5Shape s, t;
        float *x = NULL, *y = NULL;
        const char *flat = flat_name(names[i]);
        n_flat += strcmp(flat, names[i]) != 0;
        CHECK_OK(checkpoint_get(&x, &s, &a, names[i], &test_arena));
        if (!CHECK_OK(checkpoint_get(&y, &t, &b, flat, &test_arena))) break;
        CU_ASSERT(golden_items(&s) == golden_items(&t) && memcmp(x, y, (size_t)golden_items(&s) * sizeof *x) == 0);
    }
    CU_ASSERT(n_flat > 0);
    h5_close(&a);
    h5_close(&b);
}

TEST_MAIN("checkpoints", {"every tensor of every checkpoint is what PyTorch reads", every_tensor},
          {"imported checkpoints hold the same under AstroCLIP's names", imported},
          {"flat names of blocks and split projections are the same weights", other_names_are_the_same_weights},
          {"pickled modules beside the weights change nothing", beside_the_weights})
