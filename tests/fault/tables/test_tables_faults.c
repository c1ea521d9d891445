/* What stops the tables stage, on any rank: one status for all, no file under its final name, no leftovers. */
#include <stdlib.h>
#include <unistd.h>

#include "small_release.h"

enum { ROWS = 11 };

static bool there(const char *name) { return access(path_of(name), F_OK) == 0; }

static void check_nothing_left(void)
{
    par_barrier(&test_par);
    CU_ASSERT(!there("out.fits") && !there("out.fits.part") && !there("out.fits.sha256sum") &&
              !there("out.fits.sha256sum.part"));
    par_barrier(&test_par);
}

static void a_failure_at_any_point_on_any_rank_leaves_nothing(void)
{
    static const char *const points[] = {"tables.header", "tables.rows", "tables.publish", "artefact.publish"};
    ProbeSet probes;
    write_release(ROWS);
    make_probes(&probes, ROWS);
    for (unsigned k = 0; k < sizeof points / sizeof points[0]; k++)
        for (int bad = 0; bad < test_par.n_ranks; bad++) {
            char wanted[64];
            snprintf(wanted, sizeof wanted, "%s:%d", points[k], bad);
            setenv("FAIL_POINT", wanted, 1);
            Status st = write_properties("out.fits", &probes, 3, &test_par);
            unsetenv("FAIL_POINT");
            CU_ASSERT_EQUAL(st, E_OUTPUT);
            CU_ASSERT_EQUAL(fail_record()->rank, bad);
            CU_ASSERT_PTR_NOT_NULL(strstr(fail_record()->text, points[k]));
            fail_clear();
            check_nothing_left();
        }
}

static void an_earlier_file_survives_a_failure_and_is_replaced_by_a_success(void)
{
    char before[SHA256_TEXT], after[SHA256_TEXT];
    ProbeSet probes;
    write_release(ROWS);
    make_probes(&probes, ROWS);
    CHECK_OK(write_properties("kept.fits", &probes, 3, &test_par));
    CHECK_OK(hash_file_sha256(before, path_of("kept.fits")));
    probes.fit[0].calibration.all.std = 7;
    par_barrier(&test_par);
    setenv("FAIL_POINT", "tables.rows:0", 1);
    CHECK_FAILS(write_properties("kept.fits", &probes, 3, &test_par), E_OUTPUT);
    unsetenv("FAIL_POINT");
    CHECK_OK(hash_file_sha256(after, path_of("kept.fits")));
    CU_ASSERT_STRING_EQUAL(before, after);
    CU_ASSERT(there("kept.fits.sha256sum"));
    par_barrier(&test_par);
    CHECK_OK(write_properties("kept.fits", &probes, 3, &test_par));
    CHECK_OK(hash_file_sha256(after, path_of("kept.fits")));
    CU_ASSERT_STRING_NOT_EQUAL(before, after);
    par_barrier(&test_par);
}

/* E_INPUT on all ranks, saying what to run. */
static void refused(const ProbeSet *probes, const char *remedy)
{
    Status st = write_properties("out.fits", probes, 3, &test_par);
    if (st != E_INPUT || !strstr(fail_record()->text, remedy))
        printf("expected %s, got %d: %s\n", remedy, (int)st, fail_record()->text);
    CU_ASSERT(st == E_INPUT && strstr(fail_record()->text, remedy) != NULL);
    fail_clear();
    check_nothing_left();
}

static void inputs_that_do_not_belong_together_are_refused(void)
{
    ProbeSet probes;
    write_release(ROWS);
    make_probes(&probes, ROWS);
    probes.input[2].dim++;
    refused(&probes, "run `astroclip probe` again");
    probes.input[2].dim--;
    probes.input[0].n_rows++;
    refused(&probes, "run `astroclip probe` again");
    probes.input[0].n_rows--;

    if (test_par.rank == 0) CHECK_OK(write_embeddings(path_of("embeddings.h5"), ROWS - 1));
    par_barrier(&test_par);
    refused(&probes, "run `astroclip embed` again");

    const int64_t stranger = 5;
    if (test_par.rank == 0) {
        H5File f;
        CHECK_OK(write_embeddings(path_of("embeddings.h5"), ROWS));
        CHECK_OK(h5_modify(&f, path_of("embeddings.h5"), NULL));
        CHECK_OK(h5_write_rows(&f, "object_id", H5_I64, 0, &stranger, ROWS - 1, 1));
        CHECK_OK(h5_close(&f));
    }
    par_barrier(&test_par);
    refused(&probes, "row 10 is TARGETID 39627784728870939");
}

static void a_folder_that_cannot_be_written_is_an_output_error(void)
{
    ProbeSet probes;
    write_release(ROWS);
    make_probes(&probes, ROWS);
    if (test_par.rank == 0) {
        FILE *f = fopen(path_of("file"), "w");
        CU_ASSERT_FATAL(f != NULL);
        fclose(f);
    }
    par_barrier(&test_par);
    CHECK_FAILS(write_properties("file/out.fits", &probes, 3, &test_par), E_OUTPUT);
}

TEST_MAIN("tables_faults",
          {"a failure at any point on any rank leaves nothing", a_failure_at_any_point_on_any_rank_leaves_nothing},
          {"an earlier file survives a failure and is replaced by a success",
           an_earlier_file_survives_a_failure_and_is_replaced_by_a_success},
          {"inputs that do not belong together are refused", inputs_that_do_not_belong_together_are_refused},
          {"a folder that cannot be written is an output error", a_folder_that_cannot_be_written_is_an_output_error})
