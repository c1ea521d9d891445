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

TEST_MAIN("checkpoints", {"every tensor of every checkpoint is what PyTorch reads", every_tensor},
          {"imported checkpoints hold the same under AstroCLIP's names", imported},
          {"pickled modules beside the weights change nothing", beside_the_weights})
