/* test_align_ranks.c - the alignment on several ranks: global negatives, cached tokens, retrieval. */
#include <sys/stat.h>

#include "small_pairs.h"
#include "train/align_tokens.h"

enum { PAIRS = 40, WHOLE = 8 };

static const AlignConfig global = {.negatives = NEGATIVES_GLOBAL,
                                   .freeze_image = true,
                                   .freeze_spectrum = true,
                                   .dropout = 0.1,
                                   .logit_scale = 15.5,
                                   .learn_scale = true};

typedef struct {
    Model *model;
    Params *params;
    Dataset dataset;
    Objective objective;
    Sample *sample;
    int64_t n;
} Fixture;

static void open_fixture(Fixture *f, const AlignConfig *c)
{
    char path[H5_PATH];
    const char **frozen;
    snprintf(path, sizeof path, "%s/dataset.h5", test_folder());
    small_dataset(path, PAIRS, &test_par);
    *f = (Fixture){.model = small_model(c->learn_scale ? c->logit_scale : 0)};
    f->params = model_params(f->model);
    CHECK_OK(align_frozen(&frozen, c, f->model, &test_arena));
    for (; *frozen; frozen++) params_freeze(f->params, *frozen);
    CHECK_OK(dataset_open(&f->dataset, path, &test_arena));
    CHECK_OK(dataset_samples(&f->sample, &f->n, &f->dataset, SAMPLES_PAIRS, SPLIT_TRAIN, &test_arena));
    CU_ASSERT_FATAL(f->n >= WHOLE);
    CHECK_OK(align_objective(&f->objective, c, f->model, &f->dataset, &test_arena));
}

static void close_fixture(Fixture *f)
{
    align_close(&f->objective);
    CHECK_OK(dataset_close(&f->dataset));
}

/* WHOLE pairs among `replicas`, on these ranks and on one alone. */
static void check_replicas(Fixture *f, const Optimizer *whole, double whole_loss, int64_t replicas)
{
    Optimizer mine, all;
    double loss[SMALL_REPLICAS], all_loss[SMALL_REPLICAS], sum_loss = 0;
    const int64_t n = f->params->n_d_reals;
    small_step(loss, &mine, &f->objective, f->params, f->sample, replicas, WHOLE / replicas, 2, &test_par);
    small_step(all_loss, &all, &f->objective, f->params, f->sample, replicas, WHOLE / replicas, 2, &par_alone);
    for (int64_t k = 0; k < mine.n; k++) {
        CU_ASSERT_EQUAL(loss[k], all_loss[mine.first + k]);
        CU_ASSERT(memcmp(mine.gradient[k], all.gradient[mine.first + k], sizeof(real) * (size_t)n) == 0);
    }
    double worst = 0, largest = 0;
    for (int64_t i = 0; i < n; i++) {
        double mean = 0;
        for (int64_t k = 0; k < replicas; k++) mean += (double)all.gradient[k][i] / (double)replicas;
        worst = fmax(worst, fabs(mean - (double)whole->gradient[0][i]));
        largest = fmax(largest, fabs((double)whole->gradient[0][i]));
    }
    for (int64_t k = 0; k < replicas; k++) sum_loss += all_loss[k] / (double)replicas;
    /* float: rows enter the same sums in another order; 1e-5 is a hundred roundings of the largest */
    if (worst > 1e-5 * largest) printf("    %lld replicas: off by %.3g of %.3g\n", (long long)replicas, worst, largest);
    CU_ASSERT(largest > 0 && worst <= 1e-5 * largest);
    CU_ASSERT_DOUBLE_EQUAL(sum_loss, whole_loss, 1e-6 * whole_loss);
}

static void compare_replicas(const AlignConfig *c)
{
    Fixture f;
    Optimizer whole;
    double loss;
    open_fixture(&f, c);
    small_step(&loss, &whole, &f.objective, f.params, f.sample, 1, WHOLE, 2, &par_alone);
    for (int64_t replicas = 1; replicas <= 4; replicas *= 2)
        if (replicas >= test_par.n_ranks) check_replicas(&f, &whole, loss, replicas);
    close_fixture(&f);
}

static void global_negatives_are_one_batch(void) { compare_replicas(&global); }

static void global_negatives_reach_the_encoders(void)
{
    AlignConfig c = global;
    c.freeze_image = c.freeze_spectrum = false;
    c.recompute = true;
    compare_replicas(&c);
}

/* A rank that fails before the replicas meet stops all. */
static void failure_stops_all(void)
{
    Fixture f;
    Optimizer o;
    double loss[SMALL_REPLICAS];
    open_fixture(&f, &global);
    Sample bad[4];
    memcpy(bad, f.sample, sizeof bad);
    if (test_par.rank == test_par.n_ranks - 1) bad[3].image = 1000000;
    int64_t first, last;
    par_share(&first, &last, &test_par, 4);
    small_optimizer(&o, f.params, first, last - first);
    const StepBatch b = {.first = first,
                         .n_mine = last - first,
                         .n_replicas = 4,
                         .batch = 1,
                         .sample = bad + first,
                         .optimizer = &o,
                         .par = &test_par,
                         .arena = &test_arena};
    Status st = f.objective.step(loss, f.objective.self, &b);
    CU_ASSERT(st != OK);
    fail_clear();
    close_fixture(&f);
}

/* ---- cached tokens ---- */

static void tokens_are_written_once(void)
{
    Fixture f;
    char path[H5_PATH];
    AlignConfig c = global;
    double made, cached;
    open_fixture(&f, &c);
    snprintf(path, sizeof path, "%s/tokens.h5", test_folder());
    c.cache = path;
    c.tokens = TOKENS_CACHE;
    for (int time = 0; time < 2; time++) CHECK_OK(align_cache(&c, f.model, &f.dataset, &test_par, &test_arena));
    Objective from_cache;
    CHECK_OK(align_objective(&from_cache, &c, f.model, &f.dataset, &test_arena));
    CHECK_OK(f.objective.validate(&made, f.objective.self, f.sample, f.n, 1, &test_arena));
    CHECK_OK(from_cache.validate(&cached, from_cache.self, f.sample, f.n, 1, &test_arena));
    CU_ASSERT_EQUAL(made, cached);
    align_close(&from_cache);
    TokenCache t;
    CHECK_OK(align_tokens_open(&t, &c, f.model, &test_arena));
    CU_ASSERT_EQUAL(t.n[MODALITY_IMAGE], PAIRS);
    CU_ASSERT_EQUAL(t.n[MODALITY_SPECTRUM], PAIRS);
    for (int64_t i = 1; i < PAIRS; i++) CU_ASSERT(t.entry[MODALITY_IMAGE][i - 1] < t.entry[MODALITY_IMAGE][i]);
    align_tokens_close(&t);
    par_barrier(&test_par);
    struct stat before, after, other;
    const Param *trained = params_find(f.params, "image_encoder.mlp.encoder.bias");
    CHECK_OK(stat(path, &before) == 0 ? OK : FAIL(E_INPUT, "no %s", path));
    f.params->value[trained->offset] += 1;
    CHECK_OK(align_cache(&c, f.model, &f.dataset, &test_par, &test_arena)); /* a head's weights do not matter */
    CU_ASSERT(stat(path, &after) == 0 && after.st_ino == before.st_ino);
    par_barrier(&test_par);
    f.params->value[0] += 1;
    CHECK_OK(align_cache(&c, f.model, &f.dataset, &test_par, &test_arena)); /* an encoder's do */
    CU_ASSERT(stat(path, &other) == 0 && other.st_ino != before.st_ino);
    double bytes;
    align_cache_bytes(&bytes, &c, f.model, PAIRS);
    CU_ASSERT_EQUAL(bytes, PAIRS * ((9 + 778) * 16 * 4 + 2 * 16.0));
    close_fixture(&f);
}

/* ---- retrieval ---- */

/* Places by sorting nothing and skipping nothing, in double. */
static void plain_retrieval(Retrieval *out, Fixture *f, int64_t n, bool by_image)
{
    real *e[2];
    double *place;
    CHECK_OK(arena_new(&place, &test_arena, n));
    for (int m = 0; m < 2; m++) CHECK_OK(arena_new(&e[m], &test_arena, n * SMALL_E));
    float *pixels, *flux;
    CHECK_OK(arena_new(&pixels, &test_arena, IMAGE_NUMBERS));
    CHECK_OK(arena_new(&flux, &test_arena, GRID_PIXELS));
    for (int64_t i = 0; i < n; i++) {
        CHECK_OK(dataset_image(pixels, &f->dataset, f->sample[i].image));
        CHECK_OK(dataset_spectrum(flux, &f->dataset, f->sample[i].spectrum));
        CHECK_OK(model_image(e[0] + i * SMALL_E, NULL, f->model, pixels, CUTOUT_PIXELS, &test_arena));
        CHECK_OK(model_spectrum(e[1] + i * SMALL_E, NULL, f->model, flux, GRID_PIXELS, &test_arena));
    }
    *out = (Retrieval){.n = n};
    for (int64_t i = 0; i < n; i++) {
        double own = 0;
        place[i] = 1;
        for (int64_t j = -1; j < n; j++) { /* first the partner */
            const real *x = e[!by_image] + i * SMALL_E, *y = e[by_image] + (j < 0 ? i : j) * SMALL_E;
            double xy = 0, yy = 0;
            for (int k = 0; k < SMALL_E; k++) {
                xy += (double)x[k] * (double)y[k];
                yy += (double)y[k] * (double)y[k];
            }
            if (j < 0) own = xy / sqrt(yy);
            if (j >= 0 && j != i) place[i] += xy / sqrt(yy) > own;
        }
        out->top1 += (place[i] <= 1) / (double)n;
        out->top10 += (place[i] <= 10) / (double)n;
    }
    for (int64_t i = 0; i < n; i++) { /* the middle ones: as many before as behind */
        int64_t before = 0, same = 0;
        for (int64_t j = 0; j < n; j++) {
            before += place[j] < place[i];
            same += place[j] == place[i];
        }
        for (int64_t middle = (n - 1) / 2; middle <= n / 2; middle++)
            if (before <= middle && middle < before + same)
                out->median_rank += place[i] / (double)same * (n % 2 ? 1 : 0.5);
    }
}

static void retrieval_counts_what_comes_before(void)
{
    Fixture f;
    AlignConfig c = global;
    Retrieval got[2], alone[2], want;
    open_fixture(&f, &c);
    for (int64_t n = 1; n <= f.n; n += f.n - 2) {
        CHECK_OK(align_retrieval(got, f.model, &f.dataset, f.sample, n, &test_par, &test_arena));
        CHECK_OK(align_retrieval(alone, f.model, &f.dataset, f.sample, n, &par_alone, &test_arena));
        CU_ASSERT(memcmp(got, alone, sizeof got) == 0);
        for (int k = 0; k < 2; k++) {
            plain_retrieval(&want, &f, n, k == 0);
            CU_ASSERT_EQUAL(got[k].n, n);
            CU_ASSERT_DOUBLE_EQUAL(got[k].top1, want.top1, 1e-12);
            CU_ASSERT_DOUBLE_EQUAL(got[k].top10, want.top10, 1e-12);
            CU_ASSERT_DOUBLE_EQUAL(got[k].median_rank, want.median_rank, 1e-6);
        }
    }
    close_fixture(&f);
}

/* All the same: everybody is in the middle. */
static void ties_count_half(void)
{
    Fixture f;
    Sample same[9];
    Retrieval got[2];
    open_fixture(&f, &global);
    for (int i = 0; i < 9; i++) same[i] = f.sample[0];
    CHECK_OK(align_retrieval(got, f.model, &f.dataset, same, 9, &test_par, &test_arena));
    for (int k = 0; k < 2; k++) {
        CU_ASSERT_EQUAL(got[k].median_rank, 5);
        CU_ASSERT_EQUAL(got[k].top1, 0);
        CU_ASSERT_EQUAL(got[k].top10, 1);
    }
    close_fixture(&f);
}

TEST_MAIN("alignment on ranks",
          {"global negatives: replicas are one batch, on any ranks", global_negatives_are_one_batch},
          {"global negatives through both encoders", global_negatives_reach_the_encoders},
          {"a failing rank stops all before they meet", failure_stops_all},
          {"tokens are written by all, once, and read back", tokens_are_written_once},
          {"retrieval counts what comes before the partner", retrieval_counts_what_comes_before},
          {"ties count half", ties_count_half})
