/* Failing while the catalogue is written, on any rank: all ranks return the same failure and no file bears the final
   name. Damaged catalogues are refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data/catalog.h"
#include "test_main.h"

static const char *path_of(const char *name)
{
    static char path[4][H5_PATH];
    static int next;
    char *out = path[next++ & 3];
    snprintf(out, H5_PATH, "%s/%s", test_folder(), name);
    return out;
}

static Status write_something(const char *path)
{
    static char *paths[] = {"zpix-main-dark.fits"};
    static const FileList files = {paths, 1};
    const Envelope e = {.kind = "catalog", .version = CATALOG_VERSION, .made_by = "catalog", .config = ""};
    CatalogRow *row = NULL;
    RejectedRow *reject = NULL;
    ManifestRow *file = NULL;
    enum { N = 20 };
    CHECK_OK(arena_new(&row, &test_arena, N));
    CHECK_OK(arena_new(&reject, &test_arena, N));
    CHECK_OK(arena_new(&file, &test_arena, 1));
    for (int i = 0; i < N; i++) catalog_new_row(&row[i]);
    for (int i = 0; i < N; i++) row[i].targetid = reject[i].source_row = test_par.rank * N + i;
    snprintf(file->path, sizeof file->path, "%d.fits", test_par.rank);
    const CatalogParts parts = {
        .row = row, .n = N, .rejected = reject, .n_rejected = N, .manifest = file, .n_manifest = 1, .files = &files};
    return catalog_write(path, &e, &parts, &test_par, &test_arena);
}

static void failing_anywhere_leaves_no_catalogue(void)
{
    static const char *const point[] = {"catalog.write", "h5.create", "h5.write", "artefact.publish"};
    for (int p = 0; p < 4; p++) {
        for (int rank = 0; rank < test_par.n_ranks; rank++) {
            char text[64];
            snprintf(text, sizeof text, "%s:%d", point[p], rank);
            setenv("FAIL_POINT", text, 1);
            Status st = write_something(path_of("catalog.h5"));
            unsetenv("FAIL_POINT");
            CU_ASSERT_EQUAL(st, E_OUTPUT);
            CU_ASSERT(strstr(fail_record()->text, point[p]) != NULL);
            CU_ASSERT_EQUAL(fail_record()->rank, rank); /* the same record everywhere */
            fail_clear();
            par_barrier(&test_par);
            CU_ASSERT(access(path_of("catalog.h5"), F_OK) != 0);
            CU_ASSERT(access(path_of("catalog.h5.part"), F_OK) != 0);
            par_barrier(&test_par);
        }
    }
    CHECK_OK(write_something(path_of("catalog.h5"))); /* and the next attempt works */
    CU_ASSERT(access(path_of("catalog.h5"), F_OK) == 0);
}

static void a_failed_rewrite_keeps_the_old_catalogue(void)
{
    Catalog c;
    char text[64];
    CHECK_OK(write_something(path_of("kept.h5")));
    snprintf(text, sizeof text, "catalog.write:%d", test_par.n_ranks - 1);
    setenv("FAIL_POINT", text, 1);
    CHECK_FAILS(write_something(path_of("kept.h5")), E_OUTPUT);
    unsetenv("FAIL_POINT");
    if (!CHECK_OK(catalog_open(&c, path_of("kept.h5"), &test_par, &test_arena))) return;
    CU_ASSERT_EQUAL(c.n, 20 * test_par.n_ranks);
    catalog_close(&c);
}

static void an_output_folder_that_cannot_be_is_said(void)
{
    if (test_par.rank == 0) fclose(fopen(path_of("file"), "w"));
    par_barrier(&test_par);
    CHECK_FAILS(write_something(path_of("file/catalog.h5")), E_OUTPUT);
}

/* A catalogue that lacks a column, has a short one, is another kind of artefact, or no HDF5 at all. */
static void damaged_catalogues_are_refused(void)
{
    Catalog c;
    H5File f;
    const Envelope other = {.kind = "embeddings", .version = 1, .made_by = "embed", .config = ""};
    const Envelope ours = {.kind = "catalog", .version = CATALOG_VERSION, .made_by = "catalog", .config = ""};
    const Envelope newer = {.kind = "catalog", .version = CATALOG_VERSION + 1, .made_by = "catalog", .config = ""};
    const Envelope *const envelope[] = {&other, &ours, &newer};
    for (int i = 0; i < 3; i++) {
        CHECK_OK(h5_create(&f, path_of("bad.h5"), &test_par));
        CHECK_OK(artefact_write(&f, envelope[i]));
        CHECK_OK(h5_close(&f));
        par_barrier(&test_par);
        CHECK_FAILS(catalog_open(&c, path_of("bad.h5"), &test_par, &test_arena), E_INPUT);
        par_barrier(&test_par);
    }
    const int64_t n = 3, two = 2, id[3] = {1, 2, 3};
    const char survey[16] = "main";
    CHECK_OK(h5_create(&f, path_of("bad.h5"), &test_par));
    CHECK_OK(artefact_write(&f, &ours));
    CHECK_OK(h5_put(&f, "TARGETID", H5_I64, 0, id, &n, 1));
    CHECK_OK(h5_put(&f, "SURVEY", H5_TEXT, 8, survey, &two, 1));
    CHECK_OK(h5_close(&f));
    par_barrier(&test_par);
    CHECK_FAILS(catalog_open(&c, path_of("bad.h5"), &test_par, &test_arena), E_INPUT);
    CHECK_FAILS(catalog_open(&c, path_of("nowhere.h5"), &test_par, &test_arena), E_INPUT);
}

TEST_MAIN("catalog_faults", {"failing anywhere leaves no catalogue", failing_anywhere_leaves_no_catalogue},
          {"a failed rewrite keeps the old catalogue", a_failed_rewrite_keeps_the_old_catalogue},
          {"an output folder that cannot be is said", an_output_folder_that_cannot_be_is_said},
          {"damaged catalogues are refused", damaged_catalogues_are_refused})
