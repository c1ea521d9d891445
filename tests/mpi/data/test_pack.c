/* test_pack.c - dataset.h5 by several ranks: the same data as by one, entries in any order; the plan does not depend on
   the ranks; what was finished before is recognised by other ranks. */
#include <stdio.h>
#include <string.h>

#include "core/config.h"
#include "data/pack.h"
#include "io/seal.h"
#include "test_main.h"

enum { ROWS = 70000 }; /* of the catalogue: two stretches of the plan's scan, which two ranks share */
enum { N_IMAGES = 9, N_SPECTRA = 40 };

static const int32_t fatal[N_MODALITIES] = {IMAGE_NO_BRICK, SPECTRUM_NO_FILE};
static const int64_t n_entries[N_MODALITIES] = {N_IMAGES, N_SPECTRA};
static const Envelope envelope = {.made_by = "pack", .config = "", .fingerprint = {"11112222333344445555666677778888"}};

static const char *path_of(const char *name)
{
    static char path[H5_PATH];
    snprintf(path, sizeof path, "%s/%s", test_folder(), name);
    return path;
}

/* ---- entries ---- */

static void write_entry(Dataset *d, Modality m, int64_t entry)
{
    const Mark mark = arena_mark(&test_arena);
    DatasetEntries e[N_MODALITIES] = {{0}, {0}};
    CHECK_OK(dataset_entries(&e[m], 1, &test_arena));
    CHECK_OK(arena_new(&e[m].numbers, &test_arena, dataset_numbers[m]));
    e[m].row[0] = 3 * entry + m;
    e[m].targetid[0] = entry;
    e[m].split[0] = (uint8_t)(entry % N_SPLITS);
    for (int64_t k = 0; k < dataset_numbers[m]; k++) e[m].numbers[k] = (float)(entry * 1000 + k % 999);
    CHECK_OK(dataset_write(d, (int64_t[]){entry, entry}, e, &test_arena));
    arena_reset(&test_arena, mark);
}

/* Collective over par. Entries modulo the number of ranks, those of a part of them; backwards. */
static void write_part(Dataset *d, int part, const Par *par)
{
    for (int m = 0; m < N_MODALITIES; m++)
        for (int64_t k = n_entries[m] - 1; k >= 0; k--)
            if (k % 3 % 2 == part && k % par->n_ranks == par->rank) write_entry(d, (Modality)m, k);
}

static void write_dataset(const char *path, const Par *par)
{
    Dataset d;
    CHECK_OK(dataset_create(&d, path, &envelope, n_entries, fatal, par, &test_arena));
    write_part(&d, 0, par);
    write_part(&d, 1, par);
    CHECK_OK(dataset_close(&d));
}

static Fingerprint sum_of(const char *path)
{
    Fingerprint sum = {""};
    H5File f = {0};
    CHECK_OK(h5_open(&f, path, NULL));
    CHECK_OK(seal_sum(&sum, &f, &test_par, &test_arena));
    CHECK_OK(h5_close(&f));
    return sum;
}

static void any_number_of_ranks_writes_the_same_data(void)
{
    if (test_par.rank == 0) write_dataset(path_of("one.h5"), &par_alone);
    write_dataset(path_of("all.h5"), &test_par);
    const Fingerprint one = sum_of(path_of("one.h5")), all = sum_of(path_of("all.h5"));
    CU_ASSERT_STRING_EQUAL(one.text, all.text);
    CU_ASSERT_STRING_NOT_EQUAL(one.text, "");
    for (int m = 0; m < N_MODALITIES; m++) {
        Dataset d;
        int64_t good = 0;
        CHECK_OK(dataset_open(&d, path_of("all.h5"), &test_arena));
        CHECK_OK(dataset_count_good(&good, &d, (Modality)m, 0, n_entries[m], &test_arena));
        CU_ASSERT_EQUAL(good, n_entries[m]);
        CHECK_OK(dataset_close(&d));
    }
}

static void what_one_run_began_another_completes(void)
{
    Dataset d;
    const char *path = path_of("begun.h5");
    CHECK_OK(dataset_create(&d, path, &envelope, n_entries, fatal, &test_par, &test_arena));
    write_part(&d, 0, &test_par);
    CHECK_OK(dataset_close(&d));
    CHECK_OK(dataset_modify(&d, path, &test_par, &test_arena));
    for (int m = 0; m < N_MODALITIES; m++)
        for (int64_t k = 0; k < n_entries[m]; k++) {
            int64_t good = -1;
            CHECK_OK(dataset_count_good(&good, &d, (Modality)m, k, 1, &test_arena));
            CU_ASSERT_EQUAL(good, k % 3 % 2 == 0);
        }
    par_barrier(&test_par);
    write_part(&d, 1, &test_par);
    CHECK_OK(dataset_close(&d));
    const Fingerprint begun = sum_of(path_of("begun.h5")), all = sum_of(path_of("all.h5"));
    CU_ASSERT_STRING_EQUAL(begun.text, all.text);
}

/* ---- the plan ---- */

static bool has(Modality m, int64_t row) { return m == MODALITY_IMAGE ? row % 5 == 0 : row % 2 == 0; }

/* Collective. */
static void write_catalog(const char *path, int moved)
{
    int64_t first, last;
    CatalogRow *row = NULL;
    const Envelope e = {.kind = "catalog", .version = CATALOG_VERSION, .made_by = "catalog"};
    par_share(&first, &last, &test_par, ROWS);
    CHECK_OK(arena_new(&row, &test_arena, last - first));
    for (int64_t i = first; i < last; i++) {
        CatalogRow *r = &row[i - first];
        catalog_new_row(r);
        r->targetid = i;
        r->healpix = 7;
        r->has_image = has(MODALITY_IMAGE, i);
        r->has_spectrum = has(MODALITY_SPECTRUM, i);
        r->split = (uint8_t)((i + moved) % N_SPLITS);
    }
    const CatalogParts parts = {.row = row, .n = last - first, .files = &(FileList){0}};
    CHECK_OK(catalog_write(path, &e, &parts, &test_par, &test_arena));
}

static void plan_with(PackPlan *plan, Catalog *catalog, const char *text, const Par *par)
{
    static const ConfigSection *const sections[] = {&pack_section, NULL};
    Config *config = NULL;
    CHECK_OK(config_parse(&config, "test", text, (int64_t)strlen(text), NULL, 0, sections, NULL, &test_arena));
    const Packer p = {.config = config_get(config, &pack_section), .catalog = catalog};
    CHECK_OK(pack_plan(plan, &p, par, &test_arena));
}

static void the_plan_is_that_of_one_rank(void)
{
    static const char *const texts[] = {"pack: {block_rows: 7}\n", "pack: {block_rows: 1000, modalities: [spectrum]}\n",
                                        "pack: {block_rows: 64, rows: both}\n"};
    static const int64_t expect[][N_MODALITIES + 1] = {/* images, spectra, rows */
                                                       {ROWS / 5, ROWS / 2, ROWS / 5 + ROWS / 2 - ROWS / 10},
                                                       {0, ROWS / 2, ROWS / 2},
                                                       {ROWS / 10, ROWS / 10, ROWS / 10}};
    Catalog c = {0};
    write_catalog(path_of("catalog.h5"), 0);
    CHECK_OK(catalog_open(&c, path_of("catalog.h5"), NULL, &test_arena));
    for (int t = 0; t < 3; t++) {
        PackPlan all, one;
        plan_with(&all, &c, texts[t], &test_par);
        plan_with(&one, &c, texts[t], &par_alone);
        CU_ASSERT_EQUAL(all.rows, expect[t][N_MODALITIES]);
        CU_ASSERT_STRING_EQUAL(all.choice.text, one.choice.text);
        for (int m = 0; m < N_MODALITIES; m++) {
            CU_ASSERT_EQUAL(all.n[m], expect[t][m]);
            CU_ASSERT_EQUAL(memcmp(all.first[m], one.first[m], (size_t)(all.n_blocks + 1) * sizeof **all.first), 0);
        }
    }
    catalog_close(&c);
}

static void other_splits_are_another_choice(void)
{
    Catalog a = {0}, b = {0};
    PackPlan of_a, of_b;
    write_catalog(path_of("moved.h5"), 1);
    CHECK_OK(catalog_open(&a, path_of("catalog.h5"), NULL, &test_arena));
    CHECK_OK(catalog_open(&b, path_of("moved.h5"), NULL, &test_arena));
    plan_with(&of_a, &a, "pack: {}\n", &test_par);
    plan_with(&of_b, &b, "pack: {}\n", &test_par);
    CU_ASSERT_STRING_NOT_EQUAL(of_a.choice.text, of_b.choice.text);
    CU_ASSERT_STRING_EQUAL(a.manifest.text, b.manifest.text); /* which does not tell */
    catalog_close(&a);
    catalog_close(&b);
}

TEST_MAIN("pack", {"any number of ranks writes the same data", any_number_of_ranks_writes_the_same_data},
          {"what one run began another completes", what_one_run_began_another_completes},
          {"the plan is that of one rank", the_plan_is_that_of_one_rank},
          {"other splits are another choice", other_splits_are_another_choice})
