/* One rank without MPI: every function of par works and gives what one rank should get. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "test_main.h"

static int64_t numbers[3] = {5, -7, 0};

static void reductions_keep_my_values(void)
{
    int64_t v[3] = {5, -7, 0};
    double d[2] = {-0.0, 3.5};
    par_sum_i64(&test_par, v, 3);
    par_max_i64(&test_par, v, 3);
    par_max_f64(&test_par, d, 2);
    par_bcast(&test_par, v, sizeof v, 0);
    par_barrier(&test_par);
    CU_ASSERT(memcmp(v, numbers, sizeof v) == 0);
    CU_ASSERT(d[0] == 0 && d[1] == 3.5);
    CU_ASSERT_EQUAL(par_offset_i64(&test_par, 17), 0);
}

static void all_rows_are_mine(void)
{
    int64_t first = -1, last = -1;
    par_share(&first, &last, &test_par, 12345);
    CU_ASSERT(first == 0 && last == 12345);
}

static void agreement_returns_my_status(void)
{
    CHECK_OK(par_agree(&test_par, OK));
    CHECK_FAILS(par_agree(&test_par, FAIL(E_INPUT, "a bad file")), E_INPUT);
}

static void a_status_without_a_message_gets_one(void) { CHECK_FAILS(par_agree(&test_par, E_NUMERIC), E_NUMERIC); }

static void a_file_arrives_with_a_terminating_nul(void)
{
    char path[1024], *text = NULL;
    int64_t bytes = 0;
    snprintf(path, sizeof path, "%s/run.yaml", test_folder());
    FILE *f = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    fputs("seed: 1\n", f);
    fclose(f);
    CHECK_OK(par_read_file(&text, &bytes, &test_par, path, &test_arena));
    CU_ASSERT_EQUAL_FATAL(bytes, 8);
    CU_ASSERT_STRING_EQUAL(text, "seed: 1\n");
}

static void a_missing_file_or_a_folder_is_an_input_error(void)
{
    char *text = NULL;
    int64_t bytes = 0;
    CHECK_FAILS(par_read_file(&text, &bytes, &test_par, "/nowhere/run.yaml", &test_arena), E_INPUT);
    CHECK_FAILS(par_read_file(&text, &bytes, &test_par, test_folder(), &test_arena), E_INPUT);
}

TEST_MAIN("par_serial", {"reductions keep my values", reductions_keep_my_values},
          {"all rows are mine", all_rows_are_mine}, {"agreement returns my status", agreement_returns_my_status},
          {"a status without a message gets one", a_status_without_a_message_gets_one},
          {"a file arrives with a terminating NUL", a_file_arrives_with_a_terminating_nul},
          {"a missing file or a folder is an input error", a_missing_file_or_a_folder_is_an_input_error})
