/* Ridge: planted relations are found, whatever the units; rows without data do not count; the penalty is chosen well;
   files keep it all. */
#include <stdio.h>
#include <unistd.h>

#include "planted.h"
#include "probe/metrics.h"
#include "test_main.h"

static double small[] = {1e-6};

/* Weight per unit of the planted x. */
static double slope(const PlantedFit *f, int label, int d, double scale)
{
    return f->fit[label].weight[d] / f->input.std[d] * scale;
}

static void a_planted_relation_is_recovered(void)
{
    Planted p = {.total = 1500, .scale = 1};
    PlantedFit f;
    const ProbeConfig c = planted_config(small, 1);
    if (!CHECK_OK(planted_fit(&f, &p, &c, &test_par))) return;
    for (int l = 0; l < N_LABELS; l++) {
        for (int d = 0; d < PLANTED_DIM;
             d++) /* features are float32 (6e-8 each); the penalty is 1e-9 of the diagonal */
            CU_ASSERT(fabs(slope(&f, l, d, 1) - planted_weight(l, d)) < 1e-6);
        CU_ASSERT(f.fit[l].score[SPLIT_TEST].r2 > 1 - 1e-12);
        CU_ASSERT(f.fit[l].calibration.all.std < 1e-5);
        CU_ASSERT_EQUAL(f.fit[l].score[SPLIT_TRAIN].n + f.fit[l].score[SPLIT_VAL].n + f.fit[l].score[SPLIT_TEST].n,
                        1500);
    }
    CU_ASSERT_EQUAL(f.input.n_usable[SPLIT_TRAIN], 1050);
    CU_ASSERT(f.input.ood_quantile > 0.2 && f.input.ood_quantile < 3); /* a thousand landmarks in six dimensions */
}

/* Residual statistics against the noise put in: 150 val rows, so 6 % for the standard deviation; 30 % is five of them.
 */
static void residuals_have_the_planted_noise(void)
{
    Planted p = {.total = 1500, .scale = 1, .noise = 0.5};
    PlantedFit f;
    const ProbeConfig c = planted_config(NULL, 0);
    if (!CHECK_OK(planted_fit(&f, &p, &c, &test_par))) return;
    for (int l = 0; l < N_LABELS; l++) {
        CU_ASSERT(fabs(f.fit[l].calibration.all.std / 0.5 - 1) < 0.3);
        CU_ASSERT(f.fit[l].calibration.all.l68 < 0 && f.fit[l].calibration.all.u68 > 0);
        CU_ASSERT(fabs((f.fit[l].calibration.all.u68 - f.fit[l].calibration.all.l68) / 1.0 - 1) < 0.4);
        CU_ASSERT(fabs(f.fit[l].score[SPLIT_TEST].bias) < 0.2);
    }
}

/* Features in another unit, on a pedestal 100 times their spread: float32 leaves about 1e-5 of the spread. */
static void units_and_zero_points_of_features_do_not_matter(void)
{
    Planted plain = {.total = 900, .scale = 1, .noise = 0.3},
            other = {.total = 900, .scale = 1000, .shift = 1e5, .noise = 0.3};
    PlantedFit a, b;
    const ProbeConfig c = planted_config(NULL, 0);
    if (!CHECK_OK(planted_fit(&a, &plain, &c, &test_par)) || !CHECK_OK(planted_fit(&b, &other, &c, &test_par))) return;
    for (int l = 0; l < N_LABELS; l++) {
        CU_ASSERT_EQUAL(a.fit[l].lambda, b.fit[l].lambda);
        for (int d = 0; d < PLANTED_DIM; d++) CU_ASSERT(fabs(slope(&a, l, d, 1) - slope(&b, l, d, 1000)) < 1e-4);
        CU_ASSERT(fabs(a.fit[l].score[SPLIT_TEST].r2 - b.fit[l].score[SPLIT_TEST].r2) < 1e-4);
    }
}

static void rows_without_features_or_labels_do_not_count(void)
{
    Planted p = {.total = 1500, .scale = 1, .bad_every = 11, .label_every = 3};
    PlantedFit f;
    const ProbeConfig c = planted_config(small, 1);
    if (!CHECK_OK(planted_fit(&f, &p, &c, &test_par))) return;
    int64_t want[2] = {0, 0};
    for (int64_t row = 0; row < 1500; row++) {
        if (row % 11 == 3 || row % 10 >= 7) continue;
        want[0]++;
        want[1] += row % 3 == 0;
    }
    CU_ASSERT_EQUAL(f.input.n_usable[SPLIT_TRAIN], want[0]);
    for (int l = 0; l < N_LABELS; l++) {
        CU_ASSERT_EQUAL(f.fit[l].score[SPLIT_TRAIN].n, want[l >= 2]);
        for (int d = 0; d < PLANTED_DIM; d++) CU_ASSERT(fabs(slope(&f, l, d, 1) - planted_weight(l, d)) < 1e-6);
    }
}

/* Six features that say nothing: the more penalty the better. Six that say all: the less the better. */
static void the_penalty_follows_the_signal(void)
{
    double list[] = {1e-3, 1e5};
    Planted signal = {.total = 900, .scale = 1, .noise = 0.1}, none = {.total = 900, .scale = 1, .noise = 1e4};
    PlantedFit a, b;
    const ProbeConfig c = planted_config(list, 2);
    if (!CHECK_OK(planted_fit(&a, &signal, &c, &test_par)) || !CHECK_OK(planted_fit(&b, &none, &c, &test_par))) return;
    int strong = 0;
    for (int l = 0; l < N_LABELS; l++) {
        CU_ASSERT_EQUAL(a.fit[l].lambda, 1e-3);
        strong += b.fit[l].lambda == 1e5;
    }
    CU_ASSERT(strong >= N_LABELS - 1); /* noise may correlate by chance */
}

static void scores_are_those_of_the_serial_functions(void)
{
    Planted p = {.total = 1300, .scale = 1, .noise = 0.4, .bad_every = 13};
    PlantedFit f;
    ProbeRows rows;
    const ProbeConfig c = planted_config(NULL, 0);
    if (!CHECK_OK(planted_fit(&f, &p, &c, &test_par))) return;
    planted_rows(&rows, &p, &test_par);
    for (int l = 0; l < N_LABELS; l++)
        for (int s = 0; s < N_SPLITS; s++) {
            double truth[1300], predicted[1300];
            int64_t n = 0;
            for (int64_t i = 0; i < rows.n; i++) {
                float x[PLANTED_DIM];
                CHECK_OK(planted_read(x, &p, i, 1, NULL));
                if (rows.split[i] != s || !probe_usable(x, PLANTED_DIM)) continue;
                truth[n] = rows.label[l][i];
                predicted[n++] = ridge_predict(&f.fit[l], &f.input, x);
            }
            Scores want;
            CHECK_OK(metric_scores(&want, truth, predicted, n, l == LABEL_Z, &test_arena));
            const Scores *got = &f.fit[l].score[s];
            CU_ASSERT_EQUAL(got->n, want.n);
            CU_ASSERT(fabs(got->r2 - want.r2) < 1e-12); /* sums in another order */
            CU_ASSERT(fabs(got->rmse / want.rmse - 1) < 1e-12);
            CU_ASSERT(fabs(got->bias - want.bias) < 1e-12);
            CU_ASSERT(l == LABEL_Z ? got->sigma_nmad == want.sigma_nmad : isnan(got->sigma_nmad));
            CU_ASSERT(l == LABEL_Z ? fabs(got->outlier_fraction - want.outlier_fraction) < 1e-15
                                   : isnan(got->outlier_fraction));
        }
}

static void what_has_no_data_predicts_nan(void)
{
    double weight[] = {1, 2}, none[] = {NAN, NAN}, mean[] = {0, 0}, std[] = {1, 1};
    const ProbeInput input = {.dim = 2, .mean = mean, .std = std};
    const ProbeFit fit = {.intercept = 5, .weight = weight}, skipped = {.intercept = NAN, .weight = none};
    const float good[] = {1, 1}, bad[] = {1, NAN}, infinite[] = {INFINITY, 1};
    CU_ASSERT_EQUAL(ridge_predict(&fit, &input, good), 8);
    CU_ASSERT(isnan(ridge_predict(&fit, &input, bad)));
    CU_ASSERT(isnan(ridge_predict(&fit, &input, infinite)));
    CU_ASSERT(isnan(ridge_predict(&skipped, &input, good)));
}

static void a_singular_system_is_told_or_passed_over(void)
{
    const double rows[] = {1, 1, 5, 3, 1, 2, 5, 5, 1, 3, 5, 7, 1, 4, 5, 9}; /* (1, x, always the same, y = 2 x + 1) */
    const RidgeShape shape = {2, 1};
    double sums[2 * 10], square[16], weight[2], intercept, lambda, values[] = {0, 1e-3};
    CU_ASSERT_EQUAL_FATAL(ridge_sums(shape), 10);
    ridge_products(sums, rows, 4, shape, square);
    CHECK_FAILS(ridge_solve(weight, &intercept, sums, shape, 0, &test_arena), E_NUMERIC);
    if (CHECK_OK(ridge_solve(weight, &intercept, sums, shape, 1e-9, &test_arena))) {
        CU_ASSERT(fabs(weight[0] - 2) < 1e-6 && weight[1] == 0);
        CU_ASSERT(fabs(intercept - 1) < 1e-6);
    }
    ridge_products(sums, rows, 2, shape, square);
    ridge_products(sums + 10, rows + 8, 2, shape, square);
    const ConfigReals both = {2, values}, zero = {1, values};
    if (CHECK_OK(ridge_choose(&lambda, sums, 2, shape, &both, &test_arena))) CU_ASSERT_EQUAL(lambda, 1e-3);
    CHECK_FAILS(ridge_choose(&lambda, sums, 2, shape, &zero, &test_arena), E_NUMERIC);
}

static bool same(double a, double b) { return a == b || (isnan(a) && isnan(b)); }

static void a_file_keeps_everything(void)
{
    Planted p = {.total = 900, .scale = 1, .noise = 0.3};
    PlantedFit f;
    ProbeSet back;
    char path[H5_PATH], csv[H5_PATH], line[256];
    const ProbeConfig c = planted_config(NULL, 0);
    if (!CHECK_OK(planted_fit(&f, &p, &c, &test_par))) return;
    f.input.row = &probe_inputs[0];
    f.fit[LABEL_AGE].score[SPLIT_TEST] = (Scores){17, NAN, NAN, NAN, NAN, NAN, NAN}; /* as of a skipped one */
    f.fit[LABEL_AGE].lambda = NAN;
    const ProbeSet set = {
        .n_inputs = 1,
        .n_fits = N_LABELS,
        .input = &f.input,
        .fit = f.fit,
        .envelope = {.kind = "probes", .version = PROBES_VERSION, .made_by = "probe", .config = "run: {}\n"}};
    snprintf(path, sizeof path, "%s/probes.h5", test_folder());
    snprintf(csv, sizeof csv, "%s/scores.csv", test_folder());
    if (!CHECK_OK(probes_write(path, &set, &test_par, &test_arena)) || !CHECK_OK(probes_read(&back, path, &test_arena)))
        return;
    CU_ASSERT_EQUAL_FATAL(back.n_inputs, 1);
    CU_ASSERT_EQUAL_FATAL(back.n_fits, N_LABELS);
    CU_ASSERT_EQUAL(back.input[0].row, &probe_inputs[0]);
    CU_ASSERT_EQUAL_FATAL(back.input[0].dim, PLANTED_DIM);
    CU_ASSERT_EQUAL(back.input[0].ood_quantile, f.input.ood_quantile);
    CU_ASSERT_EQUAL(back.input[0].n_rows, 900);
    CU_ASSERT_EQUAL(back.input[0].n_usable[SPLIT_VAL], f.input.n_usable[SPLIT_VAL]);
    CU_ASSERT_EQUAL(memcmp(back.input[0].mean, f.input.mean, PLANTED_DIM * sizeof(double)), 0);
    CU_ASSERT_EQUAL(memcmp(back.input[0].std, f.input.std, PLANTED_DIM * sizeof(double)), 0);
    for (int l = 0; l < N_LABELS; l++) {
        const ProbeFit *a = &f.fit[l], *b = &back.fit[l];
        CU_ASSERT_EQUAL(b->label, l);
        CU_ASSERT_STRING_EQUAL(b->probe, "ridge");
        CU_ASSERT_EQUAL(memcmp(b->weight, a->weight, PLANTED_DIM * sizeof(double)), 0);
        CU_ASSERT(same(a->lambda, b->lambda) && same(a->intercept, b->intercept));
        CU_ASSERT(same(a->label_min, b->label_min) && same(a->label_max, b->label_max));
        CU_ASSERT_EQUAL_FATAL(a->calibration.n_bins, b->calibration.n_bins);
        CU_ASSERT(a->calibration.n_bins > 0);
        CU_ASSERT_EQUAL(memcmp(&a->calibration.all, &b->calibration.all, sizeof(CalibrationBin)), 0);
        CU_ASSERT_EQUAL(memcmp(a->calibration.bin, b->calibration.bin,
                               (size_t)a->calibration.n_bins * sizeof(CalibrationBin)),
                        0);
        for (int s = 0; s < N_SPLITS; s++) {
            CU_ASSERT_EQUAL(a->score[s].n, b->score[s].n);
            CU_ASSERT(same(a->score[s].r2, b->score[s].r2) && same(a->score[s].sigma_nmad, b->score[s].sigma_nmad));
        }
    }
    FILE *table = fopen(csv, "r");
    CU_ASSERT_FATAL(table != NULL);
    int lines = 0, skipped = 0;
    while (fgets(line, sizeof line, table)) {
        int commas = 0;
        for (const char *at = line; *at; at++) commas += *at == ',';
        CU_ASSERT_EQUAL(commas, 13);
        if (lines++ == 0)
            CU_ASSERT_STRING_EQUAL(
                line,
                "property,encoder,modality,probe,split,n,r2,rmse,bias,sigma_nmad,outlier_fraction,accuracy,f1,nll\n");
        skipped += strcmp(line, "age,astroclip,image,ridge,test,17,,,,,,,,\n") == 0;
    }
    fclose(table);
    CU_ASSERT_EQUAL(lines, 1 + N_LABELS * N_SPLITS);
    CU_ASSERT_EQUAL(skipped, 1);
}

static void the_section_names_the_probes_and_properties_that_there_are(void)
{
    Config *config;
    const ConfigSection *const sections[] = {&probe_section, NULL};
    if (!CHECK_OK(config_parse(&config, "run.yaml", "", 0, NULL, 0, sections, NULL, &test_arena))) return;
    const ProbeConfig *c = config_get(config, &probe_section);
    CU_ASSERT_EQUAL_FATAL(c->properties.n, LABEL_SSFR_RELEASED); /* which is learnt only if asked for */
    for (int l = 0; l < LABEL_SSFR_RELEASED; l++) CU_ASSERT_STRING_EQUAL(c->properties.item[l], label_table[l].name);
    for (int k = 0; probe_kinds[k]; k++) {
        if (probe_kinds[k] == &supervised_probe) continue; /* follows from the input */
        const char *text = NULL;
        char override[64];
        snprintf(override, sizeof override, "probe.probes=[%s]", probe_kinds[k]->name);
        text = override;
        CHECK_OK(config_parse(&config, "run.yaml", "", 0, &text, 1, sections, NULL, &test_arena));
    }
    CU_ASSERT_EQUAL(c->ridge.folds, 5);
    CU_ASSERT(c->ridge.lambdas.n >= 9 && c->ridge.lambdas.item[0] == 1e-3);
    const char *bad[] = {"probe: {ridge: {folds: 1}}", "probe: {properties: []}", "probe: {probes: [magic]}",
                         "probe: {ridge: {lambdas: []}}"};
    for (int i = 0; i < 4; i++)
        CHECK_FAILS(config_parse(&config, "run.yaml", bad[i], strlen(bad[i]), NULL, 0, sections, NULL, &test_arena),
                    E_CONFIG);
}

TEST_MAIN("ridge", {"a planted relation is recovered", a_planted_relation_is_recovered},
          {"residuals have the planted noise", residuals_have_the_planted_noise},
          {"units and zero points of features do not matter", units_and_zero_points_of_features_do_not_matter},
          {"rows without features or labels do not count", rows_without_features_or_labels_do_not_count},
          {"the penalty follows the signal", the_penalty_follows_the_signal},
          {"scores are those of the serial functions", scores_are_those_of_the_serial_functions},
          {"what has no data predicts NaN", what_has_no_data_predicts_nan},
          {"a singular system is told, or passed over", a_singular_system_is_told_or_passed_over},
          {"probes.h5 keeps everything, scores.csv has its columns", a_file_keeps_everything},
          {"the section names the probes and properties that there are",
           the_section_names_the_probes_and_properties_that_there_are})
