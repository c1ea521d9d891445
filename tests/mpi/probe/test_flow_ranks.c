/* The flow ensemble over ranks has the bits of one rank alone; with Gaussian noise its density comes near the true one. */
#include "planted.h"
#include "test_main.h"

static ProbeConfig config_of(int64_t members, int64_t epochs)
{
    ProbeConfig c = planted_config(NULL, 0);
    c.flow = (PosteriorConfig){.members = members,
                               .epochs = epochs,
                               .batch = 64,
                               .parts = 3,
                               .lr = 5e-3,
                               .lr_last = 1e-5,
                               .hidden_min = 8,
                               .hidden_max = 12};
    return c;
}

static void any_number_of_ranks_gives_the_bits_of_one(void)
{
    Par alone;
    PlantedFit spread, single;
    Planted p = {.total = 256 * 3 + 77, .scale = 1, .noise = 0.2, .bad_every = 7, .label_every = 4};
    const ProbeConfig c = config_of(2, 3);
    par_serial(&alone);
    if (!CHECK_OK(planted_fit_kind(&spread, &p, &flow_probe, &c, &test_par)) ||
        !CHECK_OK(planted_fit_kind(&single, &p, &flow_probe, &c, &alone)))
        return;
    for (int l = 0; l < N_LABELS; l++) {
        const ProbeFit *a = &spread.fit[l], *b = &single.fit[l];
        CU_ASSERT_EQUAL_FATAL(a->n_weights, b->n_weights);
        CU_ASSERT(memcmp(a->weight, b->weight, (size_t)a->n_weights * sizeof *a->weight) == 0);
        CU_ASSERT(memcmp(a->score, b->score, sizeof a->score) == 0);
        CU_ASSERT(memcmp(&a->calibration.all, &b->calibration.all, sizeof a->calibration.all) == 0);
        CU_ASSERT(isfinite(a->score[SPLIT_TEST].nll));
    }
}

static void the_density_comes_near_the_true_one(void)
{
    PlantedFit fit;
    Planted p = {.total = 3000, .scale = 1, .noise = 3};
    const ProbeConfig c = config_of(2, 25);
    if (!CHECK_OK(planted_fit_kind(&fit, &p, &flow_probe, &c, &test_par))) return;
    for (int l = 0; l < N_LABELS; l++) {
        const Scores *s = &fit.fit[l].score[SPLIT_TEST];
        const double entropy = 0.5 * log(2 * M_PI * M_E * 9);
        CU_ASSERT(s->nll > entropy - 0.1 && s->nll < entropy + 0.25);
        CU_ASSERT(s->r2 > 0.5);
        CU_ASSERT(fit.fit[l].calibration.all.std > 0.8 && fit.fit[l].calibration.all.std < 1.3);
    }
}

TEST_MAIN("flow_ranks", {"any number of ranks gives the bits of one", any_number_of_ranks_gives_the_bits_of_one},
          {"the density comes near the true one", the_density_comes_near_the_true_one})
