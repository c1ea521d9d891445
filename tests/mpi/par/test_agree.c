/* What the ranks learn together: reductions, broadcasts, offsets, shares, one file, clocks. Expected values are
   computed on each rank. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "test_main.h"

static int rank(void) { return test_par.rank; }
static int n_ranks(void) { return test_par.n_ranks; }

static void sums_and_maxima_of_integers_are_exact(void)
{
    enum { N = 1000 };
    int64_t sum[N], most[N];
    for (int i = 0; i < N; i++) {
        sum[i] = ((int64_t)1 << 53) + 1 + i + rank(); /* not a double */
        most[i] = (i + rank()) % n_ranks() - 5;
    }
    par_set_chunk(64); /* many messages */
    par_sum_i64(&test_par, sum, N);
    par_max_i64(&test_par, most, N);
    par_set_chunk((int64_t)1 << 30);
    for (int i = 0; i < N; i++) {
        int64_t ranks = (int64_t)n_ranks() * (n_ranks() - 1) / 2;
        CU_ASSERT_EQUAL(sum[i], n_ranks() * (((int64_t)1 << 53) + 1 + i) + ranks);
        CU_ASSERT_EQUAL(most[i], n_ranks() - 1 - 5);
    }
}

static void maxima_of_doubles_do_not_depend_on_who_has_them(void)
{
    for (int owner = 0; owner < n_ranks(); owner++) {
        bool mine = rank() == owner;
        double v[6] = {mine ? NAN : 1e300,        mine ? 0.0 : -0.0,   mine ? -1.0 : -2.0,
                       mine ? -HUGE_VAL : -1e308, mine ? 5e-324 : 0.0, mine ? -NAN : HUGE_VAL};
        par_max_f64(&test_par, v, 6);
        CU_ASSERT(isnan(v[0]));
        CU_ASSERT(v[1] == 0 && !signbit(v[1]));
        CU_ASSERT(v[2] == -1.0);
        CU_ASSERT(v[3] == (n_ranks() > 1 ? -1e308 : -HUGE_VAL));
        CU_ASSERT(v[4] == 5e-324);
        CU_ASSERT(isnan(v[5]));
    }
}

static void a_broadcast_of_many_pieces_arrives_whole(void)
{
    enum { N = 10007 };
    unsigned char data[N];
    par_set_chunk(100);
    for (int root = 0; root < n_ranks(); root++) {
        for (int i = 0; i < N; i++) data[i] = rank() == root ? (unsigned char)(i * 7 + root) : 0;
        par_bcast(&test_par, data, N, root);
        int wrong = 0;
        for (int i = 0; i < N; i++) wrong += data[i] != (unsigned char)(i * 7 + root);
        CU_ASSERT_EQUAL(wrong, 0);
    }
    par_set_chunk((int64_t)1 << 30);
}

static void shares_cover_all_rows_once_and_differ_by_one_at_most(void)
{
    const int64_t sizes[] = {0, 1, 2, 3, 7, 1000, ((int64_t)1 << 61) + 3};
    for (int s = 0; s < 7; s++) {
        int64_t first, last, n = sizes[s];
        par_share(&first, &last, &test_par, n);
        CU_ASSERT_EQUAL(par_offset_i64(&test_par, last - first), first);
        int64_t sum = last - first, most[2] = {last - first, first - last};
        par_sum_i64(&test_par, &sum, 1);
        par_max_i64(&test_par, most, 2);
        CU_ASSERT_EQUAL(sum, n);
        CU_ASSERT(most[0] + most[1] <= 1);
    }
}

static void offsets_are_the_sum_over_lower_ranks(void)
{
    CU_ASSERT_EQUAL(par_offset_i64(&test_par, rank() + 10), 10 * rank() + rank() * (rank() - 1) / 2);
}

static void every_rank_gets_the_bytes_of_the_file(void)
{
    char path[1024], *text = NULL;
    int64_t bytes = 0;
    snprintf(path, sizeof path, "%s/run.yaml", test_folder());
    if (rank() == 0) {
        FILE *f = fopen(path, "w");
        CU_ASSERT_PTR_NOT_NULL_FATAL(f);
        for (int i = 0; i < 1000; i++) fprintf(f, "line %03d\n", i);
        fclose(f);
    }
    par_set_chunk(1000);
    CHECK_OK(par_read_file(&text, &bytes, &test_par, path, &test_arena));
    par_set_chunk((int64_t)1 << 30);
    CU_ASSERT_EQUAL_FATAL(bytes, 9000);
    CU_ASSERT_EQUAL(text[9000], '\0');
    CU_ASSERT(strncmp(text + 9 * 999, "line 999\n", 9) == 0);
}

static void a_missing_file_fails_on_all_ranks_with_its_name(void)
{
    char *text = NULL;
    int64_t bytes = 0;
    Status st = par_read_file(&text, &bytes, &test_par, "/nowhere/run.yaml", &test_arena);
    CU_ASSERT_EQUAL(st, E_INPUT);
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_record()->text, "/nowhere/run.yaml"));
    CU_ASSERT_EQUAL(fail_record()->rank, 0);
}

static void clocks_that_only_some_ranks_have_can_be_printed(void)
{
    char name[CLOCK_NAME];
    clock_reset();
    clock_begin("all");
    snprintf(name, sizeof name, "only rank %d", rank());
    clock_begin(name);
    clock_end(name);
    clock_end("all");
    par_print_clocks(&test_par); /* must return: it is a loop of collectives */
    clock_reset();
    CU_ASSERT(*par_version() != '\0');
}

TEST_MAIN("par_agree", {"sums and maxima of integers are exact", sums_and_maxima_of_integers_are_exact},
          {"maxima of doubles do not depend on who has them", maxima_of_doubles_do_not_depend_on_who_has_them},
          {"a broadcast of many pieces arrives whole", a_broadcast_of_many_pieces_arrives_whole},
          {"shares cover all rows once and differ by one at most",
           shares_cover_all_rows_once_and_differ_by_one_at_most},
          {"offsets are the sum over lower ranks", offsets_are_the_sum_over_lower_ranks},
          {"every rank gets the bytes of the file", every_rank_gets_the_bytes_of_the_file},
          {"a missing file fails on all ranks with its name", a_missing_file_fails_on_all_ranks_with_its_name},
          {"clocks that only some ranks have can be printed", clocks_that_only_some_ranks_have_can_be_printed})
