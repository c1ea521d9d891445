/* One rank's failure becomes every rank's: same status, same record; ranks at different places are told where they are. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "test_main.h"

static Status fail_here(bool mine) { return mine ? FAIL(E_INPUT, "row %d is broken", 1000 + test_par.rank) : OK; }

static void a_failure_on_each_rank_reaches_all_with_the_same_record(void)
{
    for (int bad = 0; bad < test_par.n_ranks; bad++) {
        fail_clear();
        Status st = par_agree(&test_par, fail_here(test_par.rank == bad));
        const FailRecord *r = fail_record();
        char expected[64];
        snprintf(expected, sizeof expected, "row %d is broken", 1000 + bad);
        CU_ASSERT_EQUAL(st, E_INPUT);
        CU_ASSERT_EQUAL(r->status, E_INPUT);
        CU_ASSERT_EQUAL(r->rank, bad);
        CU_ASSERT_STRING_EQUAL(r->text, expected);
        CU_ASSERT_STRING_EQUAL(r->file, "test_agree.c");
        CU_ASSERT(r->line > 0);
    }
}

static void notes_travel_with_the_record(void)
{
    int bad = test_par.n_ranks - 1;
    Status st = fail_here(test_par.rank == bad);
    if (st != OK) fail_note("reading brick %s", "0001p000");
    st = par_agree(&test_par, st);
    CU_ASSERT_EQUAL(st, E_INPUT);
    CU_ASSERT_STRING_EQUAL(fail_record()->note, "reading brick 0001p000");
}

static void of_several_failures_the_lowest_rank_is_told(void)
{
    for (int lowest = 0; lowest < test_par.n_ranks; lowest++) {
        fail_clear();
        Status st =
            test_par.rank >= lowest ? FAIL(test_par.rank == lowest ? E_NUMERIC : E_INPUT, "on %d", test_par.rank) : OK;
        CU_ASSERT_EQUAL(par_agree(&test_par, st), E_NUMERIC);
        CU_ASSERT_EQUAL(fail_record()->rank, lowest);
    }
}

static void all_well_is_ok_and_an_old_record_does_not_count(void)
{
    FAIL(E_INPUT, "was handled");
    CU_ASSERT_EQUAL(par_agree(&test_par, OK), OK);
}

static void ranks_at_different_places_are_named(void)
{
    if (test_par.n_ranks == 1) return;
    for (int odd = 0; odd < test_par.n_ranks; odd++) {
        fail_clear();
        bool here = test_par.rank == odd;
        Status st = here ? par_agree_at(&test_par, OK, "a/first.c", 11) : par_agree_at(&test_par, OK, "b/second.c", 22);
        CU_ASSERT_EQUAL(st, E_BUG);
        CU_ASSERT_PTR_NOT_NULL(strstr(fail_record()->text, "first.c:11"));
        CU_ASSERT_PTR_NOT_NULL(strstr(fail_record()->text, "second.c:22"));
        char rank[32];
        snprintf(rank, sizeof rank, "rank %d at ", odd);
        CU_ASSERT_PTR_NOT_NULL(strstr(fail_record()->text, rank));
    }
}

static void a_failure_at_another_place_keeps_its_message_and_names_the_places(void)
{
    if (test_par.n_ranks == 1) return;
    bool bad = test_par.rank == test_par.n_ranks - 1;
    Status st =
        bad ? par_agree_at(&test_par, fail_here(true), "first.c", 11) : par_agree_at(&test_par, OK, "second.c", 22);
    CU_ASSERT_EQUAL(st, E_INPUT);
    CU_ASSERT_EQUAL(fail_record()->rank, test_par.n_ranks - 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_record()->note, "first.c:11"));
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_record()->note, "second.c:22"));
}

static void a_fail_point_fails_on_its_rank_alone(void)
{
    for (int bad = 0; bad < test_par.n_ranks; bad++) {
        char wanted[64];
        snprintf(wanted, sizeof wanted, "other.point:0,par.test:%d", bad);
        setenv("FAIL_POINT", wanted, 1);
        Status mine = FAIL_POINT("par.test");
        CU_ASSERT_EQUAL(mine != OK, test_par.rank == bad);
        CU_ASSERT_EQUAL(par_agree(&test_par, mine), E_OUTPUT);
        CU_ASSERT_EQUAL(fail_record()->rank, bad);
        CU_ASSERT_PTR_NOT_NULL(strstr(fail_record()->text, "par.test"));
        unsetenv("FAIL_POINT");
        CU_ASSERT_EQUAL(par_agree(&test_par, FAIL_POINT("par.test")), OK);
    }
}

/* ---- ways to die, for test_par_death.sh: fault_agree die WAY RANK ---- */

static int die(const char *way, int on_rank)
{
    Par par;
    Status st = par_init(&par, NULL, NULL);
    bool mine = par.rank == on_rank;
    if (st == OK && strcmp(way, "fail") == 0 && mine) st = FAIL(E_NUMERIC, "row 7 is broken");
    if (strcmp(way, "signal") == 0 && mine) raise(SIGSEGV);
    if (strcmp(way, "must") == 0 && mine) MUST(on_rank < 0);
    if (strcmp(way, "abort") == 0 && mine) par_abort(&par, "cannot reach the others");
    if (strcmp(way, "mpi") == 0 && mine) par_bcast(&par, &st, sizeof st, 999); /* no such root */
    if (strcmp(way, "sleep") == 0) {
        fprintf(stderr, "pid %d\n", (int)getpid());
        sleep(60);
    }
    if (strcmp(way, "fail") != 0) par_barrier(&par); /* where the others wait */
    return par_finish(&par, st);
}

static CU_TestInfo tests[] = {{"a failure on each rank reaches all with the same record",
                               a_failure_on_each_rank_reaches_all_with_the_same_record},
                              {"notes travel with the record", notes_travel_with_the_record},
                              {"of several failures the lowest rank is told",
                               of_several_failures_the_lowest_rank_is_told},
                              {"all well is OK and an old record does not count",
                               all_well_is_ok_and_an_old_record_does_not_count},
                              {"ranks at different places are named", ranks_at_different_places_are_named},
                              {"a failure at another place keeps its message and names the places",
                               a_failure_at_another_place_keeps_its_message_and_names_the_places},
                              {"a fail point fails on its rank alone", a_fail_point_fails_on_its_rank_alone},
                              CU_TEST_INFO_NULL};

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "die") == 0) return die(argv[2], atoi(argv[3]));
    return test_run("fault_agree", tests, argc, argv);
}
