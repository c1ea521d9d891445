/* test_init.c - first values against golden/init_stats.h5: one draw of ours against one draw of the official code, by
   mean, scatter and extremes of every tensor. */
#include "model/head.h"
#include "model/specformer.h"
#include "model/vit.h"
#include "parity.h"

typedef struct {
    double mean, std, min, max;
} Moments;

static Moments moments_of(const real *x, int64_t n)
{
    Moments m = {0, 0, (double)x[0], (double)x[0]};
    for (int64_t i = 0; i < n; i++) {
        m.mean += (double)x[i] / (double)n;
        m.min = fmin(m.min, (double)x[i]);
        m.max = fmax(m.max, (double)x[i]);
    }
    for (int64_t i = 0; i < n; i++) m.std += ((double)x[i] - m.mean) * ((double)x[i] - m.mean) / (double)n;
    m.std = sqrt(m.std);
    return m;
}

/* Two draws of n values differ by sqrt(2 / n) std in the mean, by at most 1 / sqrt(n) std in the scatter: 6 of those.
   Extremes of a thousand values and more are those of the distribution within a quarter. Constants are exact. */
static bool alike(const Moments *a, const Moments *b, int64_t n)
{
    if (b->std < 1e-6 * fabs(b->mean) || (b->std == 0 && b->mean == 0))
        return a->min == a->max && fabs(a->mean - b->mean) <= 1e-6 * fabs(b->mean);
    const double noise = 6 * b->std / sqrt((double)n);
    if (fabs(a->mean - b->mean) > sqrt(2) * noise || fabs(a->std - b->std) > noise) return false;
    return n < 1000 || (fabs(a->min / b->min - 1) < 0.25 && fabs(a->max / b->max - 1) < 0.25);
}

/* Every parameter whose name starts with `ours` against STEM + the rest of its name; returns how many. */
static int64_t compare(H5File *g, const Params *p, const char *ours, const char *stem)
{
    int64_t compared = 0;
    for (int64_t i = 0; i < p->n_params; i++) {
        const Param *param = &p->param[i];
        if (strncmp(param->name, ours, strlen(ours)) != 0) continue;
        const double *v = golden_want(g, golden_name("outputs/%s.%s", stem, param->name + strlen(ours)), 5);
        const Moments want = {v[0], v[1], v[2], v[3]}, got = moments_of(params_at(p, i), param->n);
        CU_ASSERT_EQUAL((double)param->n, v[4]);
        const bool good = alike(&got, &want, param->n);
        if (!good)
            printf("    %s: mean %g std %g in %g .. %g, not mean %g std %g in %g .. %g\n", param->name, got.mean,
                   got.std, got.min, got.max, want.mean, want.std, want.min, want.max);
        CU_ASSERT(good);
        compared++;
    }
    return compared;
}

/* The datasets of a model have its sizes in their names: the first that starts with `stem`, up to its first dot. */
static const char *find_stem(H5File *g, const char *stem)
{
    char **names;
    int64_t n;
    CHECK_OK(h5_list(&names, &n, g, "outputs", &test_arena));
    for (int64_t i = 0; i < n; i++)
        if (strncmp(names[i], stem, strlen(stem)) == 0) {
            names[i][strcspn(names[i], ".")] = '\0';
            return names[i];
        }
    CU_FAIL_FATAL("a model that the golden file lacks");
    return NULL;
}

static void specformer_starts_alike(void)
{
    H5File g;
    if (!golden_open(&g, "init_stats.h5")) return;
    const char *stem = find_stem(&g, "specformer_");
    int dim = 0, layers = 0;
    CU_ASSERT_EQUAL_FATAL(sscanf(stem, "specformer_%dx%d", &dim, &layers), 2);
    const SpecformerConfig config = {dim, layers, 1, 800, 20, 10};
    Params params;
    Specformer model;
    CHECK_OK(params_init(&params, specformer_n_params(&config), &test_arena));
    CHECK_OK(specformer_declare(&model, &config, &params, "", &test_arena));
    CHECK_OK(params_allocate(&params));
    specformer_init(&model, &params, 1);
    CU_ASSERT_EQUAL(compare(&g, &params, "", stem), params.n_params);
    CHECK_OK(h5_close(&g));
}

static void vit_starts_alike(void)
{
    H5File g;
    if (!golden_open(&g, "init_stats.h5")) return;
    const char *stem = find_stem(&g, "vit_");
    int dim = 0, depth = 0;
    CU_ASSERT_EQUAL_FATAL(sscanf(stem, "vit_%dx%d", &dim, &depth), 2);
    const VitConfig config = {144, 12, dim, depth, 1, 2};
    Params params;
    Vit model;
    CHECK_OK(params_init(&params, vit_n_params(&config), &test_arena));
    CHECK_OK(vit_declare(&model, &config, &params, "", &test_arena));
    CHECK_OK(params_allocate(&params));
    vit_init(&model, &params, 1);
    CU_ASSERT_EQUAL(compare(&g, &params, "", stem), params.n_params);
    CHECK_OK(h5_close(&g));
}

static void check_head(H5File *g, int64_t dim, int64_t token_dim, const char *stem)
{
    const HeadConfig config = {dim, 1, token_dim, false};
    Params params;
    Head head;
    CHECK_OK(params_init(&params, HEAD_PARAMS, &test_arena));
    CHECK_OK(head_declare(&head, &config, &params, ""));
    CHECK_OK(params_allocate(&params));
    head_init(&head, &params, 1);
    const int64_t compared =
        compare(g, &params, "cross_attention.", stem) + compare(g, &params, "mlp.", find_stem(g, "head_mlp_"));
    CU_ASSERT_EQUAL(compared, params.n_params);
}

static void heads_start_alike(void)
{
    H5File g;
    if (!golden_open(&g, "init_stats.h5")) return;
    const char *fused = find_stem(&g, "cross_fused_"), *split = find_stem(&g, "cross_split_");
    int dim = 0, token_dim = 0;
    CU_ASSERT_EQUAL_FATAL(sscanf(fused, "cross_fused_%d", &dim), 1);
    check_head(&g, dim, dim, fused);
    CU_ASSERT_EQUAL_FATAL(sscanf(split, "cross_split_%d_%d", &dim, &token_dim), 2);
    check_head(&g, dim, token_dim, split);
    CHECK_OK(h5_close(&g));
}

TEST_MAIN("first values", {"SpecFormer starts alike", specformer_starts_alike},
          {"the vision transformer starts alike", vit_starts_alike}, {"both heads start alike", heads_start_alike})
