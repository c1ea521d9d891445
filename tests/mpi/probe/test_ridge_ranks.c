/* Fits and scores over ranks have the bits of one rank alone, which every rank works out beside them. */
#include "planted.h"
#include "test_main.h"

static bool same_bits(const void *a, const void *b, size_t n) { return memcmp(a, b, n) == 0; }

static void check_same_by(Planted p, double *lambdas, int64_t n_lambdas, RidgeSelection selection)
{
    Par alone;
    PlantedFit spread, single;
    ProbeConfig c = planted_config(lambdas, n_lambdas);
    c.ridge.selection = selection;
    par_serial(&alone);
    if (!CHECK_OK(planted_fit(&spread, &p, &c, &test_par)) || !CHECK_OK(planted_fit(&single, &p, &c, &alone))) return;
    const size_t bytes = PLANTED_DIM * sizeof(double);
    CU_ASSERT(same_bits(spread.input.mean, single.input.mean, bytes));
    CU_ASSERT(same_bits(spread.input.std, single.input.std, bytes));
    CU_ASSERT(same_bits(&spread.input.ood_quantile, &single.input.ood_quantile, sizeof(double)));
    CU_ASSERT(same_bits(spread.input.n_usable, single.input.n_usable, sizeof single.input.n_usable));
    for (int l = 0; l < N_LABELS; l++) {
        const ProbeFit *a = &spread.fit[l], *b = &single.fit[l];
        CU_ASSERT(isfinite(a->intercept) && a->score[SPLIT_TEST].n > 0);
        CU_ASSERT(same_bits(a->weight, b->weight, bytes));
        CU_ASSERT(same_bits(&a->intercept, &b->intercept, sizeof(double)));
        CU_ASSERT_EQUAL(a->lambda, b->lambda);
        CU_ASSERT(same_bits(&a->calibration.all.std, &b->calibration.all.std, sizeof(double)));
        CU_ASSERT(same_bits(&a->calibration.all.l68, &b->calibration.all.l68, sizeof(double)));
        CU_ASSERT(same_bits(&a->calibration.all.u68, &b->calibration.all.u68, sizeof(double)));
        CU_ASSERT(same_bits(a->score, b->score, sizeof a->score));
    }
}

static void check_same(Planted p, double *lambdas, int64_t n_lambdas)
{
    check_same_by(p, lambdas, n_lambdas, RIDGE_FOLDS);
    check_same_by(p, lambdas, n_lambdas, RIDGE_LEAVE_ONE_OUT);
}

static void many_blocks(void)
{
    check_same((Planted){.total = 256 * 11 + 77, .scale = 3, .shift = 2, .noise = 0.7}, NULL, 0);
}

static void bad_rows_and_missing_labels(void)
{
    check_same((Planted){.total = 256 * 5 + 1, .scale = 1, .noise = 0.2, .bad_every = 7, .label_every = 4}, NULL, 0);
}

/* One block, so that with two ranks and more some have no rows at all; and the first rows of all are without features.
 */
static void fewer_blocks_than_ranks(void)
{
    check_same((Planted){.total = 250, .scale = 1, .noise = 0.2}, NULL, 0);
    check_same((Planted){.total = 400, .scale = 1, .noise = 0.2, .bad_every = 4}, NULL, 0);
}

static void the_least_penalty(void)
{
    double lambda[] = {1e-8};
    check_same((Planted){.total = 256 * 7, .scale = 1e3, .shift = 1e4, .noise = 0.01}, lambda, 1);
}

static void nothing_usable_is_no_failure(void)
{
    ProbeRows rows;
    ProbeInput input = {.row = &planted_input};
    Planted p = {.total = 700, .scale = NAN};
    uint8_t usable[700];
    const ProbeFeatures features = {PLANTED_DIM, planted_read, &p};
    const ProbeConfig c = planted_config(NULL, 0);
    planted_rows(&rows, &p, &test_par);
    if (!CHECK_OK(probe_standardise(&input, usable, &rows, &features, &test_par, &test_arena))) return;
    const ProbeTask task = {
        .config = &c, .rows = &rows, .usable = usable, .features = &features, .input = &input, .par = &test_par};
    double score[700];
    CU_ASSERT_EQUAL(input.n_usable[0] + input.n_usable[1] + input.n_usable[2], 0);
    CHECK_OK(probe_ood(score, &input, &task, &test_arena));
    CU_ASSERT(isnan(input.ood_quantile) && isnan(input.mean[0]));
}

TEST_MAIN("ridge_ranks", {"many blocks over ranks: the bits of one rank", many_blocks},
          {"bad rows and missing labels: the bits of one rank", bad_rows_and_missing_labels},
          {"ranks without rows: the bits of one rank", fewer_blocks_than_ranks},
          {"the least penalty: the bits of one rank", the_least_penalty},
          {"an input without usable rows is no failure", nothing_usable_is_no_failure})
