/* test_fail.c - the record of a failure: how it travels, what is printed, how it is injected. */
#include "test_main.h"

#include <stdlib.h>
#include <string.h>

static int closed;

static Status fails(int how) { return how ? FAIL(E_INPUT, "file %d is short", how) : OK; }

static Status passes_on(int how)
{
    TRY(fails(how));
    closed = -1; /* not reached after a failure */
    return OK;
}

static Status cleans_up(int how)
{
    Status st = OK;
    TRY_DONE(fails(how));
    closed = 10;
done:
    closed++;
    return st;
}

static void a_failure_travels_with_its_message(void)
{
    closed = 0;
    CU_ASSERT_EQUAL(passes_on(3), E_INPUT);
    CU_ASSERT_EQUAL(closed, 0);
    CU_ASSERT_STRING_EQUAL(fail_record()->text, "file 3 is short");
    CU_ASSERT_STRING_EQUAL(fail_record()->file, "test_fail.c");
    CU_ASSERT(fail_record()->line > 0);
    CU_ASSERT_EQUAL(cleans_up(1), E_INPUT);
    CU_ASSERT_EQUAL(closed, 1);
    CU_ASSERT_EQUAL(cleans_up(0), OK);
    CU_ASSERT_EQUAL(closed, 11);
    fail_clear();
    CU_ASSERT_EQUAL(fail_record()->status, OK);
}

static void print(char *out, size_t size, int n_ranks)
{
    FILE *f = tmpfile();
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    fail_print(f, n_ranks);
    rewind(f);
    out[fread(out, 1, size - 1, f)] = '\0';
    fclose(f);
}

static void the_message_shows_kind_notes_and_rank(void)
{
    char text[2048];
    FailRecord r = {.status = E_OUTPUT, .rank = 2, .line = 9, .file = "demo.c", .text = "disk full"};
    fail_store(&r);
    fail_note("writing %s", "a.h5");
    fail_note("in stage embed");
    print(text, sizeof text, 4);
    CU_ASSERT_STRING_EQUAL(text, "error (output): disk full\n    while writing a.h5\n    while in stage embed\n"
                                 "    at demo.c:9 on rank 2 of 4\n");
    print(text, sizeof text, 1);
    CU_ASSERT_PTR_NULL(strstr(text, "rank"));
    fail_clear();
}

static void long_messages_and_notes_are_cut_not_overrun(void)
{
    char *text;
    CHECK_OK(arena_new(&text, &test_arena, 3 * FAIL_TEXT));
    memset(text, 'x', 3 * FAIL_TEXT - 1);
    CU_ASSERT_EQUAL(FAIL(E_BUG, "%s", text), E_BUG);
    CU_ASSERT_EQUAL(strlen(fail_record()->text), FAIL_TEXT - 1);
    for (int i = 0; i < 100; i++) fail_note("note %d of many that do not fit", i);
    CU_ASSERT(strlen(fail_record()->note) < FAIL_NOTE);
    fail_clear();
}

static void a_new_failure_forgets_the_notes_of_the_old(void)
{
    (void)FAIL(E_INPUT, "first");
    fail_note("old");
    (void)FAIL(E_INPUT, "second");
    CU_ASSERT_STRING_EQUAL(fail_record()->note, "");
    fail_clear();
}

static void injection_hits_the_named_point_and_rank_only(void)
{
    int rank = test_par.rank;
    fail_set_rank(2);
    setenv("FAIL_POINT", "h5.open:1,h5.write:2", 1);
    CU_ASSERT_EQUAL(FAIL_POINT("h5.open"), OK);
    CU_ASSERT_EQUAL(FAIL_POINT("h5.writ"), OK);
    CU_ASSERT_EQUAL(FAIL_POINT("h5.write.more"), OK);
    CU_ASSERT_EQUAL(FAIL_POINT("h5.write"), E_OUTPUT);
    CU_ASSERT_EQUAL(fail_record()->rank, 2);
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_record()->text, "h5.write"));
    unsetenv("FAIL_POINT");
    CU_ASSERT_EQUAL(FAIL_POINT("h5.write"), OK);
    fail_set_rank(rank);
    fail_clear();
}

static void every_kind_has_its_name(void)
{
    CU_ASSERT_STRING_EQUAL(fail_kind(E_CONFIG), "config");
    CU_ASSERT_STRING_EQUAL(fail_kind(E_INPUT), "input");
    CU_ASSERT_STRING_EQUAL(fail_kind(E_OUTPUT), "output");
    CU_ASSERT_STRING_EQUAL(fail_kind(E_NUMERIC), "numeric");
    CU_ASSERT_STRING_EQUAL(fail_kind(E_MEMORY), "memory");
    CU_ASSERT_STRING_EQUAL(fail_kind(E_BUG), "bug");
}

TEST_MAIN("fail", {"a failure travels with its message", a_failure_travels_with_its_message},
          {"the message shows kind, notes and rank", the_message_shows_kind_notes_and_rank},
          {"long messages and notes are cut, not overrun", long_messages_and_notes_are_cut_not_overrun},
          {"a new failure forgets the notes of the old", a_new_failure_forgets_the_notes_of_the_old},
          {"injection hits the named point and rank only", injection_hits_the_named_point_and_rank_only},
          {"every kind has its name", every_kind_has_its_name})
