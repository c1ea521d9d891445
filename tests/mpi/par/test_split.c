/* Groups of ranks: sizes, order, independence; and a queue that one rank stops. */
#include "test_main.h"

static void groups_are_in_rank_order(void)
{
    Par group;
    int colour = test_par.rank % 2;
    CU_ASSERT_TRUE_FATAL(CHECK_OK(par_split(&group, &test_par, colour)));
    CU_ASSERT_EQUAL(group.n_ranks, (test_par.n_ranks + 1 - colour) / 2);
    CU_ASSERT_EQUAL(group.rank, test_par.rank / 2);
    int64_t sum = 1;
    par_sum_i64(&group, &sum, 1);
    CU_ASSERT_EQUAL(sum, group.n_ranks);
    par_release(&group);
}

static void stopped_work_ends_everywhere(void)
{
    Work work;
    int64_t mine = 0;
    CU_ASSERT_TRUE_FATAL(CHECK_OK(par_work_open(&work, &test_par, 1000000000)));
    if (test_par.rank == test_par.n_ranks - 1) par_work_stop(&work, &test_par);
    par_barrier(&test_par);
    while (par_work_next(&work, &test_par) >= 0 && mine < 1000000) mine++;
    CU_ASSERT_TRUE(mine < 1000000);
    par_work_close(&work, &test_par);
}

/* A group that fails agrees among itself; the others do not notice and need not be there. */
static void a_failure_stays_in_its_group(void)
{
    Par group;
    int colour = test_par.rank % 2;
    CU_ASSERT_TRUE_FATAL(CHECK_OK(par_split(&group, &test_par, colour)));
    for (int round = 0; round < (colour ? 1 : 3); round++) {
        Status mine = colour == 1 && group.rank == group.n_ranks - 1 ? FAIL(E_INPUT, "group %d", colour) : OK;
        Status all = par_agree(&group, mine);
        CU_ASSERT_EQUAL(all, colour ? E_INPUT : OK);
    }
    fail_clear();
    par_release(&group);
}

/* Open MPI names the files behind windows after the communicator's context number: groups must not share one. */
static void groups_hand_out_work_side_by_side(void)
{
    Par group;
    CU_ASSERT_TRUE_FATAL(CHECK_OK(par_split(&group, &test_par, test_par.rank % 2)));
    for (int round = 0; round < 20; round++) {
        Work work;
        int64_t done = 0;
        CU_ASSERT_TRUE_FATAL(CHECK_OK(par_work_open(&work, &group, 10)));
        while (par_work_next(&work, &group) >= 0) done++;
        par_work_close(&work, &group);
        par_sum_i64(&group, &done, 1);
        CU_ASSERT_EQUAL(done, 10);
    }
    par_release(&group);
}

TEST_MAIN("split", {"a failure stays in its group", a_failure_stays_in_its_group},
          {"groups hand out work side by side", groups_hand_out_work_side_by_side},
          {"groups are in rank order", groups_are_in_rank_order},
          {"work that one rank stops ends for all", stopped_work_ends_everywhere})
