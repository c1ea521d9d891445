/* Whatever fails on whatever rank: all ranks fail alike, and no new file bears a final name. Bad files are refused with
   what to do. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "planted.h"
#include "probe/reports.h"
#include "test_main.h"

static const char *path_of(const char *name)
{
    static char path[4][H5_PATH];
    static int next;
    char *out = path[next++ & 3];
    snprintf(out, H5_PATH, "%s/%s", test_folder(), name);
    return out;
}

static Status fit(PlantedFit *f)
{
    Planted p = {.total = 256 * 4 + 9, .scale = 1, .noise = 0.2};
    const ProbeConfig c = planted_config(NULL, 0);
    TRY(planted_fit(f, &p, &c, &test_par));
    f->input.row = &probe_inputs[0];
    return OK;
}

static Status put(PlantedFit *f)
{
    const Envelope e = {.kind = "probes", .version = PROBES_VERSION, .made_by = "probe", .config = "run: {}\n"};
    const ProbeSet set = {.n_inputs = 1, .n_fits = N_LABELS, .input = &f->input, .fit = f->fit, .envelope = e};
    return probes_write(path_of("probes.h5"), &set, &test_par, &test_arena);
}

/* `work` with a failure on one rank: told alike everywhere. */
static void fails_at(const char *point, int rank, Status (*work)(PlantedFit *), PlantedFit *f)
{
    char text[64];
    snprintf(text, sizeof text, "%s:%d", point, rank);
    setenv("FAIL_POINT", text, 1);
    CU_ASSERT_EQUAL(work(f), E_OUTPUT);
    unsetenv("FAIL_POINT");
    CU_ASSERT(strstr(fail_record()->text, point) != NULL);
    CU_ASSERT_EQUAL(fail_record()->rank, rank);
    fail_clear();
}

static void failing_anywhere_leaves_no_file(void)
{
    static const char *const point[] = {"probe.write", "artefact.publish"};
    PlantedFit f, failed;
    if (!CHECK_OK(fit(&f))) return;
    for (int rank = 0; rank < test_par.n_ranks; rank++) {
        if (rank < 5) fails_at("probe.block", rank, fit, &failed); /* five blocks: a sixth rank has none to fail at */
        for (int p = 0; p < 2; p++) {
            fails_at(point[p], rank, put, &f);
            par_barrier(&test_par);
            CU_ASSERT(access(path_of("probes.h5"), F_OK) != 0 && access(path_of("scores.csv"), F_OK) != 0);
            CU_ASSERT(access(path_of("probes.h5.part"), F_OK) != 0 && access(path_of("scores.csv.part"), F_OK) != 0);
            par_barrier(&test_par);
        }
    }
    CHECK_OK(put(&f)); /* and the next attempt works */
    CU_ASSERT(access(path_of("probes.h5"), F_OK) == 0 && access(path_of("scores.csv"), F_OK) == 0);
}

static void a_failed_rewrite_keeps_the_old_probes(void)
{
    PlantedFit f;
    ProbeSet set;
    if (!CHECK_OK(fit(&f)) || !CHECK_OK(put(&f))) return;
    fails_at("probe.write", test_par.n_ranks - 1, put, &f);
    if (CHECK_OK(probes_read(&set, path_of("probes.h5"), &test_arena))) CU_ASSERT_EQUAL(set.n_fits, N_LABELS);
    par_barrier(&test_par);
}

static void a_system_without_a_solution_fails_on_all_ranks(void)
{
    double lambdas[] = {1e-300}; /* no penalty at all */
    Planted p = {.total = 700, .scale = 1, .noise = INFINITY};
    PlantedFit f;
    const ProbeConfig c = planted_config(lambdas, 1);
    ProbeRows rows;
    uint8_t usable[700];
    const ProbeFeatures features = {PLANTED_DIM, planted_read, &p};
    planted_rows(&rows, &p, &test_par);
    for (int64_t i = 0; i < rows.n; i++)
        rows.label[LABEL_Z][i] = i % 2 ? 1e308 : -1e308; /* their squares are infinite */
    f.input = (ProbeInput){.row = &planted_input};
    f.fit[0] = (ProbeFit){.label = LABEL_Z, .probe = "ridge"};
    if (!CHECK_OK(probe_standardise(&f.input, usable, &rows, &features, &test_par, &test_arena))) return;
    const ProbeTask task = {
        .config = &c, .rows = &rows, .usable = usable, .features = &features, .input = &f.input, .par = &test_par};
    CHECK_FAILS(ridge_probe.fit(f.fit, 1, &task, &test_arena), E_NUMERIC);
}

/* ---- files ---- */

static void put_file(const char *name, const Envelope *e, const char *lacks, int64_t dim)
{
    H5File f;
    const int64_t scores[2] = {N_SPLITS, 7}, bins[2] = {1, 7 + CALIBRATION_GRID};
    const double zeros[7 + CALIBRATION_GRID] = {0};
    static const char *const counts[] = {"rows", "usable_train_rows", "usable_val_rows", "usable_test_rows"};
    static const char *const numbers[] = {"lambda", "intercept", "label_min", "label_max"};
    if (test_par.rank == 0) {
        CHECK_OK(h5_create(&f, path_of(name), NULL));
        CHECK_OK(artefact_write(&f, e));
        CHECK_OK(h5_put(&f, "astroclip_image/mean", H5_F64, 0, zeros, (int64_t[]){8}, 1));
        if (strcmp(lacks, "std") != 0) CHECK_OK(h5_put(&f, "astroclip_image/std", H5_F64, 0, zeros, (int64_t[]){8}, 1));
        for (int i = 0; i < 4; i++)
            if (strcmp(lacks, counts[i]) != 0) CHECK_OK(h5_put_attr_i64(&f, "astroclip_image", counts[i], 1));
        CHECK_OK(h5_put_attr_f64(&f, "astroclip_image", "ood_quantile", 2));
        CHECK_OK(h5_put(&f, "astroclip_image/ridge/z/weight", H5_F64, 0, zeros, &dim, 1));
        if (strcmp(lacks, "scores") != 0)
            CHECK_OK(h5_put(&f, "astroclip_image/ridge/z/scores", H5_F64, 0, zeros, scores, 2));
        if (strcmp(lacks, "calibration") != 0)
            CHECK_OK(h5_put(&f, "astroclip_image/ridge/z/calibration", H5_F64, 0, zeros, bins, 2));
        for (int i = 0; i < 4; i++)
            if (strcmp(lacks, numbers[i]) != 0) CHECK_OK(h5_put_attr_f64(&f, "astroclip_image/ridge/z", numbers[i], 1));
        CHECK_OK(h5_close(&f));
    }
    par_barrier(&test_par);
}

static void damaged_files_are_refused(void)
{
    static const char *const lacking[] = {"std", "rows", "usable_val_rows", "scores", "lambda", "calibration"};
    const Envelope ours = {.kind = "probes", .version = PROBES_VERSION, .made_by = "probe", .config = ""};
    const Envelope newer = {.kind = "probes", .version = PROBES_VERSION + 1, .made_by = "probe", .config = ""};
    const Envelope other = {.kind = "catalog", .version = 1, .made_by = "catalog", .config = ""};
    ProbeSet set;
    put_file("good.h5", &ours, "", 8);
    if (CHECK_OK(probes_read(&set, path_of("good.h5"), &test_arena))) CU_ASSERT_EQUAL(set.n_fits, 1);
    for (int i = 0; i < 6; i++) {
        put_file("bad.h5", &ours, lacking[i], 8);
        CHECK_FAILS(probes_read(&set, path_of("bad.h5"), &test_arena), E_INPUT);
        par_barrier(&test_par);
    }
    put_file("bad.h5", &ours, "", 7); /* a weight too few */
    CHECK_FAILS(probes_read(&set, path_of("bad.h5"), &test_arena), E_INPUT);
    par_barrier(&test_par);
    put_file("bad.h5", &newer, "", 8);
    CHECK_FAILS(probes_read(&set, path_of("bad.h5"), &test_arena), E_INPUT);
    par_barrier(&test_par);
    put_file("bad.h5", &other, "", 8);
    CHECK_FAILS(probes_read(&set, path_of("bad.h5"), &test_arena), E_INPUT);
    CHECK_FAILS(probes_read(&set, path_of("nowhere.h5"), &test_arena), E_INPUT);
}

/* ---- a catalogue and embeddings that do not fit together ---- */

enum { ROWS = 300, DIM = 4 };

static void put_catalog(const char *name, int64_t n)
{
    CatalogRow *row;
    const Envelope e = {.kind = "catalog", .version = CATALOG_VERSION, .made_by = "catalog", .config = ""};
    char name_of_file[] = "redrock.fits", *file = name_of_file;
    const FileList files = {&file, 1};
    const int64_t mine = test_par.rank == 0 ? n : 0;
    CHECK_OK(arena_new(&row, &test_arena, mine));
    for (int64_t i = 0; i < mine; i++) {
        catalog_new_row(&row[i]);
        row[i].targetid = 1000 + i;
        row[i].split = (uint8_t)(i % 10 < 7 ? SPLIT_TRAIN : i % 10 == 7 ? SPLIT_VAL : SPLIT_TEST);
        for (int l = 0; l < N_LABELS; l++) row[i].label[l] = l == LABEL_AGE ? NAN : 0.1 * (double)(i % 17);
    }
    const CatalogParts parts = {.row = row, .n = mine, .files = &files};
    CHECK_OK(catalog_write(path_of(name), &e, &parts, &test_par, &test_arena));
}

static void put_embeddings(const char *name, int64_t n, int64_t odd_row)
{
    H5File f;
    const Envelope e = {.kind = "embeddings", .version = EMBEDDINGS_VERSION, .made_by = "embed", .config = ""};
    if (test_par.rank == 0) {
        int64_t *id;
        float *x;
        CHECK_OK(arena_new(&id, &test_arena, n));
        CHECK_OK(arena_new(&x, &test_arena, n * DIM));
        for (int64_t i = 0; i < n; i++) {
            Rng g = rng_stream(4, "test.embeddings", i, 0);
            id[i] = i == odd_row ? 7 : 1000 + i;
            rng_normals(x + i * DIM, DIM, &g);
        }
        CHECK_OK(h5_create(&f, path_of(name), NULL));
        CHECK_OK(artefact_write(&f, &e));
        CHECK_OK(h5_put(&f, "object_id", H5_I64, 0, id, &n, 1));
        CHECK_OK(h5_put(&f, embedding_dataset[SET_IMAGE], H5_F32, 0, x, (int64_t[]){n, DIM}, 2));
        CHECK_OK(h5_put(&f, embedding_dataset[SET_SPECTRUM], H5_F32, 0, x, (int64_t[]){n, DIM}, 2));
        CHECK_OK(h5_close(&f));
    }
    par_barrier(&test_par);
}

static Status fit_files(ProbeSet *set, const char *catalog_name, const char *embeddings_name)
{
    Catalog c = {0};
    Embeddings e = {0};
    Predictions p = {0};
    ProbeReports reports;
    Status st = OK;
    const ProbeConfig config = planted_config(NULL, 0);
    const Envelope ours = {.kind = "predictions", .version = PREDICTIONS_VERSION, .made_by = "probe", .config = ""};
    TRY_DONE(par_agree(&test_par, catalog_open(&c, path_of(catalog_name), NULL, &test_arena)));
    TRY_DONE(par_agree(&test_par, embeddings_open(&e, path_of(embeddings_name), NULL, &test_arena)));
    TRY_DONE(predictions_create(&p, path_of("predictions.h5"), &ours, c.n, &test_par, &test_arena));
    const ProbeFiles files = {&c, &e, NULL};
    st = probe_fit_all(set, &p, &reports, &config, &files, 1, &test_par, &test_arena);
done:
    predictions_close(&p);
    embeddings_close(&e);
    catalog_close(&c);
    return st;
}

static void embeddings_of_another_catalogue_are_refused(void)
{
    ProbeSet set;
    put_catalog("catalog.h5", ROWS);
    put_embeddings("fewer.h5", ROWS - 1, -1);
    put_embeddings("swapped.h5", ROWS, ROWS - 1);
    put_embeddings("good.h5", ROWS, -1);
    CHECK_FAILS(fit_files(&set, "catalog.h5", "fewer.h5"), E_INPUT);
    Status st = fit_files(&set, "catalog.h5", "swapped.h5");
    CU_ASSERT(strstr(fail_record()->text, "astroclip embed") != NULL && strstr(fail_record()->text, "row 299") != NULL);
    CHECK_FAILS(st, E_INPUT);
    char text[64];
    snprintf(text, sizeof text, "probe.rows:%d", test_par.n_ranks - 1);
    setenv("FAIL_POINT", text, 1);
    CHECK_FAILS(fit_files(&set, "catalog.h5", "good.h5"), E_OUTPUT);
    unsetenv("FAIL_POINT");
}

static void a_property_without_labels_is_skipped_and_said(void)
{
    ProbeSet set;
    put_catalog("catalog.h5", ROWS);
    put_embeddings("embeddings.h5", ROWS, -1);
    if (!CHECK_OK(fit_files(&set, "catalog.h5", "embeddings.h5"))) return;
    CU_ASSERT_EQUAL(set.n_inputs, 3); /* image, spectrum, both */
    CU_ASSERT_EQUAL_FATAL(set.n_fits, 3 * N_LABELS);
    CU_ASSERT_EQUAL(set.input[2].dim, 2 * DIM);
    for (int i = 0; i < set.n_fits; i++) {
        const ProbeFit *fit = &set.fit[i];
        CU_ASSERT_EQUAL(fit->input, i / N_LABELS);
        CU_ASSERT_EQUAL(fit->score[SPLIT_TRAIN].n, fit->label == LABEL_AGE ? 0 : 210);
        CU_ASSERT_EQUAL(fit->n_weights == 0, fit->label == LABEL_AGE);
        CU_ASSERT_EQUAL(isnan(fit->score[SPLIT_TEST].r2) != 0, fit->label == LABEL_AGE);
    }
}

TEST_MAIN("probe_faults", {"failing anywhere leaves no file", failing_anywhere_leaves_no_file},
          {"a failed rewrite keeps the old probes", a_failed_rewrite_keeps_the_old_probes},
          {"a system without a solution fails on all ranks", a_system_without_a_solution_fails_on_all_ranks},
          {"damaged files are refused", damaged_files_are_refused},
          {"embeddings of another catalogue are refused", embeddings_of_another_catalogue_are_refused},
          {"a property without labels is skipped", a_property_without_labels_is_skipped_and_said})
