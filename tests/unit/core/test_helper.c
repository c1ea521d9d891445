/* test_helper.c - work beside the main thread: what was handed over is done in order, fails where it is waited for, and
   gives up when nobody wants it. */
#include "core/helper.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "test_main.h"

typedef struct {
    HelperTask task;
    int number, *done, *n_done; /* numbers in the order of work */
} Numbered;

static Status note_number(HelperTask *task)
{
    Numbered *t = (Numbered *)task;
    usleep(1000);
    t->done[(*t->n_done)++] = t->number;
    return OK;
}

static void tasks_are_done_in_order_on_any_thread(void)
{
    for (int beside = 0; beside < 2; beside++) {
        enum { N = 20 };
        int done[N], n_done = 0;
        Numbered t[N];
        Helper *h = NULL;
        CHECK_OK(helper_open(&h, beside, &test_arena));
        CU_ASSERT(helper_is_beside(h) == (beside == 1));
        for (int i = 0; i < N; i++) {
            t[i] = (Numbered){{.work = note_number, .clock = "work"}, i, done, &n_done};
            helper_start(h, &t[i].task);
        }
        for (int i = 0; i < N; i++) CHECK_OK(helper_wait(h, &t[i].task, "wait"));
        CU_ASSERT(n_done == N);
        for (int i = 0; i < n_done; i++) CU_ASSERT(done[i] == i);
        helper_close(h);
    }
}

static Status fail_here(HelperTask *task)
{
    (void)task;
    return FAIL(E_INPUT, "a file is damaged");
}

static void a_failure_is_that_of_the_wait(void)
{
    for (int beside = 0; beside < 2; beside++) {
        HelperTask t = {.work = fail_here, .clock = "work"};
        Helper *h = NULL;
        CHECK_OK(helper_open(&h, beside, &test_arena));
        helper_start(h, &t);
        if (beside) usleep(20000);
        if (beside) CU_ASSERT(fail_record()->status == OK); /* not before */
        CU_ASSERT(helper_wait(h, &t, "wait") == E_INPUT);
        CU_ASSERT(fail_record()->status == E_INPUT && strcmp(fail_record()->text, "a file is damaged") == 0);
        fail_note("waiting");
        CU_ASSERT(strcmp(fail_record()->note, "waiting") == 0);
        fail_clear();
        helper_close(h);
    }
}

static pid_t where;

static Status tell_thread(HelperTask *task)
{
    (void)task;
    where = gettid();
    return OK;
}

static void tasks_of_the_main_thread_stay_there(void)
{
    for (int on_main = 0; on_main < 2; on_main++) {
        HelperTask t = {.work = tell_thread, .clock = "work", .on_main = on_main};
        Helper *h = NULL;
        CHECK_OK(helper_open(&h, true, &test_arena));
        helper_start(h, &t);
        CHECK_OK(helper_wait(h, &t, "wait"));
        CU_ASSERT((where == getpid()) == (on_main == 1));
        helper_close(h);
    }
}

static atomic_int begun;

static Status go_on_for_ever(HelperTask *task)
{
    (void)task;
    atomic_fetch_add(&begun, 1);
    for (;;) TRY(helper_go_on());
}

static void what_nobody_wants_gives_up(void)
{
    HelperTask t[3];
    Helper *h = NULL;
    atomic_store(&begun, 0);
    CHECK_OK(helper_open(&h, true, &test_arena));
    CHECK_OK(helper_go_on());
    for (int i = 0; i < 3; i++) {
        t[i] = (HelperTask){.work = go_on_for_ever, .clock = "work"};
        helper_start(h, &t[i]);
    }
    while (atomic_load(&begun) == 0) usleep(1000);
    helper_drop(h, &t[1]); /* not begun */
    CU_ASSERT(atomic_load(&begun) == 1);
    helper_drop(h, &t[0]);
    while (atomic_load(&begun) == 1) usleep(1000);
    helper_close(h); /* the third runs */
    CU_ASSERT(atomic_load(&begun) == 2);
    CU_ASSERT(fail_record()->status == OK);
}

static Status take_time(HelperTask *task)
{
    (void)task;
    usleep(50000);
    return OK;
}

static double seconds_of(const char *name)
{
    int n;
    const Clock *table = clock_table(&n);
    for (int i = 0; i < n; i++)
        if (strcmp(table[i].name, name) == 0) return table[i].seconds;
    return 0;
}

static void the_table_of_clocks_tells_work_from_waiting(void)
{
    HelperTask t = {.work = take_time, .clock = "work"};
    Helper *h = NULL;
    clock_reset();
    CHECK_OK(helper_open(&h, true, &test_arena));
    helper_start(h, &t);
    usleep(30000);
    CHECK_OK(helper_wait(h, &t, "wait"));
    CU_ASSERT(seconds_of("work") >= 0.05);
    CU_ASSERT(seconds_of("wait") < seconds_of("work"));
    helper_close(h);
    clock_reset();
}

TEST_MAIN("helper", {"tasks are done in order, on any thread", tasks_are_done_in_order_on_any_thread},
          {"a failure is that of the wait, with its message", a_failure_is_that_of_the_wait},
          {"tasks of the main thread stay there", tasks_of_the_main_thread_stay_there},
          {"what nobody wants any more gives up", what_nobody_wants_gives_up},
          {"the table of clocks tells work from waiting", the_table_of_clocks_tells_work_from_waiting})
