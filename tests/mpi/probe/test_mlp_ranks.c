/* The few-shot MLP over ranks has the bits of one rank alone; it learns what is planted, and how sure it can be. */
#include "planted.h"
#include "test_main.h"

static double sixteen[] = {16};

static ProbeConfig config_of(bool heteroscedastic)
{
    ProbeConfig c = planted_config(NULL, 0);
    c.mlp = (MlpConfig){.hidden = {1, sixteen},
                        .hidden_z_image = {1, sixteen},
                        .lr = 1e-2,
                        .epochs = 20,
                        .batch = 64,
                        .parts = 3,
                        .heteroscedastic = heteroscedastic};
    return c;
}

static void check_same(Planted p, bool heteroscedastic)
{
    Par alone;
    PlantedFit spread, single;
    const ProbeConfig c = config_of(heteroscedastic);
    par_serial(&alone);
    if (!CHECK_OK(planted_fit_kind(&spread, &p, &mlp_probe, &c, &test_par)) ||
        !CHECK_OK(planted_fit_kind(&single, &p, &mlp_probe, &c, &alone)))
        return;
    for (int l = 0; l < N_LABELS; l++) {
        const ProbeFit *a = &spread.fit[l], *b = &single.fit[l];
        CU_ASSERT_EQUAL_FATAL(a->n_weights, b->n_weights);
        CU_ASSERT(memcmp(a->weight, b->weight, (size_t)a->n_weights * sizeof *a->weight) == 0);
        CU_ASSERT(memcmp(a->score, b->score, sizeof a->score) == 0);
        CU_ASSERT(memcmp(&a->calibration.all, &b->calibration.all, sizeof a->calibration.all) == 0);
        CU_ASSERT(a->score[SPLIT_TEST].n > 0 && isnan(a->score[SPLIT_TEST].nll) == !heteroscedastic);
    }
}

static void many_rows(void)
{
    check_same((Planted){.total = 256 * 5 + 77, .scale = 3, .shift = 2, .noise = 0.1}, false);
}

static void bad_rows_and_missing_labels(void)
{
    check_same((Planted){.total = 256 * 3 + 1, .scale = 1, .noise = 0.2, .bad_every = 7, .label_every = 4}, true);
}

static void a_relation_and_its_noise_are_learnt(void)
{
    PlantedFit fit;
    Planted p = {.total = 4000, .scale = 1, .noise = 0.5};
    const ProbeConfig c = config_of(true);
    if (!CHECK_OK(planted_fit_kind(&fit, &p, &mlp_probe, &c, &test_par))) return;
    for (int l = 0; l < N_LABELS; l++) {
        const Scores *s = &fit.fit[l].score[SPLIT_TEST];
        CU_ASSERT(s->r2 > 0.95);
        /* a Gaussian with the true noise has 0.5 ln(2 pi e 0.25) = 0.726 */
        CU_ASSERT(s->nll > 0.6 && s->nll < 1.1);
        /* residuals in units of the predicted deviation */
        CU_ASSERT(fit.fit[l].calibration.all.std > 0.8 && fit.fit[l].calibration.all.std < 1.4);
    }
}

TEST_MAIN("mlp_ranks", {"many rows over ranks: the bits of one rank", many_rows},
          {"bad rows and missing labels: the bits of one rank", bad_rows_and_missing_labels},
          {"a relation and its noise are learnt", a_relation_and_its_noise_are_learnt})
