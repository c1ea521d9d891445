/* Every unit is handed out exactly once, in order, to whoever asks; nobody waits for a slow rank. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "test_main.h"

enum { N_MOST = 1000 };

static void hand_out(int64_t n_units, int slow_rank)
{
    Work w;
    int64_t count[N_MOST] = {0}, before = -1, falls = 0;
    CHECK_OK(par_work_open(&w, &test_par, n_units));
    for (int64_t unit; (unit = par_work_next(&w, &test_par)) >= 0;) {
        CU_ASSERT_FATAL(unit < n_units);
        falls += unit <= before;
        before = unit;
        count[unit]++;
        if (test_par.rank == slow_rank) usleep(1000);
        CU_ASSERT(par_work_done(&w, &test_par) > unit);
    }
    CU_ASSERT_EQUAL(par_work_next(&w, &test_par), -1); /* and stays so */
    CU_ASSERT_EQUAL(par_work_done(&w, &test_par), n_units);
    par_work_close(&w, &test_par);
    CU_ASSERT_EQUAL(falls, 0);
    par_sum_i64(&test_par, count, N_MOST);
    for (int64_t i = 0; i < N_MOST; i++) CU_ASSERT_EQUAL(count[i], i < n_units);
}

static void every_unit_is_handed_out_once(void)
{
    hand_out(N_MOST, -1);
    hand_out(7, -1);
}

static void shuffled_units_are_handed_out_once_each_too(void)
{
    static const int64_t counts[] = {0, 1, 2, 3, 6, 30, 97, N_MOST};
    char seed[8];
    bool moved = false;
    for (int k = 0; k < 8 * (int)(sizeof counts / sizeof *counts); k++) {
        Work w;
        int64_t n = counts[k / 8], count[N_MOST] = {0}, turn = 0;
        snprintf(seed, sizeof seed, "%d", k);
        setenv("ASTROCLIP_SHUFFLE", seed, 1);
        CHECK_OK(par_work_open(&w, &test_par, n));
        for (int64_t unit; (unit = par_work_next(&w, &test_par)) >= 0; turn++) {
            CU_ASSERT_FATAL(unit < n);
            count[unit]++;
            if (test_par.n_ranks == 1) moved = moved || unit != turn;
        }
        par_work_close(&w, &test_par);
        par_sum_i64(&test_par, count, N_MOST);
        for (int64_t i = 0; i < N_MOST; i++) CU_ASSERT_EQUAL(count[i], i < n);
    }
    unsetenv("ASTROCLIP_SHUFFLE");
    CU_ASSERT(moved || test_par.n_ranks > 1);
}

static void more_ranks_than_units_is_fine(void)
{
    hand_out(1, -1);
    hand_out(0, -1);
}

static void each_rank_in_turn_may_be_slow(void)
{
    for (int slow = 0; slow < test_par.n_ranks; slow++) hand_out(100, slow);
}

/* A rank that sleeps over all other units gets one: units are not dealt out beforehand. */
static void a_slow_rank_gets_fewer_units(void)
{
    if (test_par.n_ranks == 1) return;
    Work w;
    int64_t mine = 0;
    int slow = test_par.n_ranks - 1;
    CHECK_OK(par_work_open(&w, &test_par, 50));
    while (par_work_next(&w, &test_par) >= 0) {
        mine++;
        usleep(test_par.rank == slow ? 500000 : 100);
    }
    par_work_close(&w, &test_par);
    if (test_par.rank == slow) CU_ASSERT(mine < 50 / test_par.n_ranks);
}

static void two_lists_can_be_open_at_once(void)
{
    Work a, b;
    int64_t sums[2] = {0}, unit;
    CHECK_OK(par_work_open(&a, &test_par, 20));
    CHECK_OK(par_work_open(&b, &test_par, 30));
    while ((unit = par_work_next(&a, &test_par)) >= 0) {
        sums[0] += unit + 1;
        int64_t other = par_work_next(&b, &test_par);
        if (other >= 0) sums[1] += other + 1;
    }
    while ((unit = par_work_next(&b, &test_par)) >= 0) sums[1] += unit + 1;
    par_work_close(&b, &test_par);
    par_work_close(&a, &test_par);
    par_sum_i64(&test_par, sums, 2);
    CU_ASSERT_EQUAL(sums[0], 20 * 21 / 2);
    CU_ASSERT_EQUAL(sums[1], 30 * 31 / 2);
}

static void closing_what_was_never_opened_does_nothing(void)
{
    Work w = {0};
    par_work_close(&w, &test_par);
    par_work_close(&w, &test_par);
    CU_ASSERT_PTR_NULL(w.window);
}

TEST_MAIN("par_work", {"every unit is handed out once", every_unit_is_handed_out_once},
          {"shuffled units are handed out once each, too", shuffled_units_are_handed_out_once_each_too},
          {"more ranks than units is fine", more_ranks_than_units_is_fine},
          {"each rank in turn may be slow", each_rank_in_turn_may_be_slow},
          {"a slow rank gets fewer units", a_slow_rank_gets_fewer_units},
          {"two lists can be open at once", two_lists_can_be_open_at_once},
          {"closing what was never opened does nothing", closing_what_was_never_opened_does_nothing})
