/* Nearest neighbours over ranks have the bits of one rank alone, which every rank works out beside them. */
#include "planted.h"
#include "test_main.h"

static void check_same(Planted p, int64_t k)
{
    Par alone;
    PlantedFit spread, single;
    ProbeConfig c = planted_config(NULL, 0);
    c.knn.k = k;
    par_serial(&alone);
    if (!CHECK_OK(planted_fit_kind(&spread, &p, &knn_probe, &c, &test_par)) ||
        !CHECK_OK(planted_fit_kind(&single, &p, &knn_probe, &c, &alone)))
        return;
    for (int l = 0; l < N_LABELS; l++) {
        const ProbeFit *a = &spread.fit[l], *b = &single.fit[l];
        CU_ASSERT(a->score[SPLIT_TEST].n > 0 && isfinite(a->score[SPLIT_TEST].r2));
        CU_ASSERT(a->score[SPLIT_TRAIN].r2 < 1); /* no train row found itself */
        CU_ASSERT(memcmp(&a->calibration.all.std, &b->calibration.all.std, sizeof(double)) == 0 &&
                  memcmp(&a->calibration.all.u68, &b->calibration.all.u68, sizeof(double)) == 0);
        for (int s = 0; s < N_SPLITS; s++)
            CU_ASSERT(memcmp(&a->score[s].r2, &b->score[s].r2, sizeof(double)) == 0 &&
                      memcmp(&a->score[s].rmse, &b->score[s].rmse, sizeof(double)) == 0 &&
                      a->score[s].n == b->score[s].n);
    }
}

/* More rows than a batch of queries, and train rows in more than one piece. */
static void many_rows(void) { check_same((Planted){.total = 256 * 31 + 77, .scale = 3, .shift = 2, .noise = 0.1}, 64); }

static void bad_rows_and_missing_labels(void)
{
    check_same((Planted){.total = 256 * 5 + 1, .scale = 1, .noise = 0.2, .bad_every = 7, .label_every = 4}, 5);
}

static void ranks_without_rows_and_few_neighbours(void)
{
    check_same((Planted){.total = 250, .scale = 1, .noise = 0.2}, 1);
    check_same((Planted){.total = 250, .scale = 1, .noise = 0.2}, 5000); /* as many as there are */
}

static void neighbours_tell_a_linear_relation(void)
{
    PlantedFit fit;
    Planted p = {.total = 4000, .scale = 1, .noise = 0.1};
    ProbeConfig c = planted_config(NULL, 0);
    if (!CHECK_OK(planted_fit_kind(&fit, &p, &knn_probe, &c, &test_par))) return;
    for (int l = 0; l < N_LABELS; l++) CU_ASSERT(fit.fit[l].score[SPLIT_TEST].r2 > 0.7);
}

TEST_MAIN("knn_ranks", {"many rows over ranks: the bits of one rank", many_rows},
          {"bad rows and missing labels: the bits of one rank", bad_rows_and_missing_labels},
          {"ranks without rows, few neighbours: the bits of one rank", ranks_without_rows_and_few_neighbours},
          {"neighbours tell a linear relation", neighbours_tell_a_linear_relation})
