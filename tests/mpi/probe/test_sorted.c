/* Order statistics of values spread over ranks are, to the bit, those of metrics.h on all of them together; no rank holds
   much more than its share. */
#include <math.h>

#include "core/rng.h"
#include "probe/metrics.h"
#include "probe/sorted.h"
#include "test_main.h"

enum { N_KINDS = 4 };

/* Value number i of a kind: spread, many alike, both signs of zero, one alone. */
static double value_at(int kind, int64_t i)
{
    Rng g = rng_stream(5, "test.sorted", i, (uint32_t)kind);
    switch (kind) {
    case 0: return rng_normal(&g) * 1e3;
    case 1: return 0.5 * (double)rng_below(&g, 4);
    default: return rng_below(&g, 2) ? -0.25 : 0.25;
    }
}

/* How many there are on rank r: growing with the rank, none on the first; of the last kind one value in all. */
static int64_t count_on(int kind, int r)
{
    return kind == 3 ? r == test_par.n_ranks - 1 : 400 * r + (test_par.n_ranks == 1);
}

static void check_kind(int kind)
{
    int64_t n_all = 0, first = 0, n = count_on(kind, test_par.rank);
    double *mine = NULL, *all = NULL, nmad = 0;
    SortedValues s;
    for (int r = 0; r < test_par.n_ranks; r++) {
        if (r == test_par.rank) first = n_all;
        n_all += count_on(kind, r);
    }
    CU_ASSERT_FATAL(arena_new(&mine, &test_arena, n) == OK && arena_new(&all, &test_arena, n_all) == OK);
    for (int64_t i = 0; i < n; i++) mine[i] = value_at(kind, first + i);
    for (int64_t i = 0; i < n_all; i++) all[i] = value_at(kind, i);
    metric_sort(all, n_all);

    if (!CHECK_OK(sorted_make(&s, mine, n, &test_par, &test_arena))) return;
    CU_ASSERT_EQUAL(s.total, n_all);
    for (int k = 0; k <= 10; k++) CU_ASSERT_EQUAL(sorted_quantile(&s, 0.1 * k), metric_quantile(all, n_all, 0.1 * k));
    const double mean = metric_mean(all, n_all);
    double squares = 0;
    for (int64_t i = 0; i < n_all; i++) squares += (all[i] - mean) * (all[i] - mean);
    CU_ASSERT_EQUAL(sorted_mean(&s), mean);
    CU_ASSERT_EQUAL(sorted_squares(&s, mean), squares);
    CHECK_OK(sorted_nmad(&nmad, mine, n, &test_par, &test_arena));
    CU_ASSERT_EQUAL(nmad, metric_nmad(all, n_all));
}

static void statistics_are_those_of_all_values_on_one_rank(void)
{
    for (int kind = 0; kind < N_KINDS; kind++) check_kind(kind);
}

static void of_no_values_everything_is_undefined(void)
{
    double nmad = 0;
    SortedValues s;
    if (!CHECK_OK(sorted_make(&s, NULL, 0, &test_par, &test_arena))) return;
    CU_ASSERT(isnan(sorted_quantile(&s, 0.5)) && isnan(sorted_mean(&s)));
    CHECK_OK(sorted_nmad(&nmad, NULL, 0, &test_par, &test_arena));
    CU_ASSERT(isnan(nmad));
}

static void values_of_one_rank_are_shared_out(void)
{
    enum { N = 100000 };
    double *mine = NULL;
    SortedValues s;
    Arena a;
    const int64_t n = test_par.rank == 0 ? N : 0;
    CHECK_OK(arena_init(&a, "sorted", (size_t)1 << 28));
    CU_ASSERT_FATAL(arena_new(&mine, &test_arena, n) == OK);
    for (int64_t i = 0; i < n; i++) mine[i] = value_at(0, i);
    if (!CHECK_OK(sorted_make(&s, mine, n, &test_par, &a))) return;
    CU_ASSERT(s.n <= N / test_par.n_ranks + 1);
    /* the others: their share, as much on its way and its numbers, samples */
    if (test_par.rank > 0) CU_ASSERT(a.peak < (size_t)(5 * N / test_par.n_ranks) * sizeof *mine);
    arena_free(&a);
}

TEST_MAIN("sorted", {"statistics are those of all values on one rank", statistics_are_those_of_all_values_on_one_rank},
          {"of no values everything is undefined", of_no_values_everything_is_undefined},
          {"values of one rank are shared out", values_of_one_rank_are_shared_out})
