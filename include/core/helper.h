/* helper.h - a thread beside the main one, which does what the main one hands it, in order, while the main one goes on.

   What a task touches is its own from helper_start to the end of helper_wait. It calls neither MPI nor HDF5; FAIL,
   fail_point, logs and arenas of its own are for it as for anybody. Its failure becomes that of helper_wait. Without the
   thread, and for tasks that only the main thread may do, helper_wait does the work itself.

   Local; all but helper_go_on are for the main thread. */
#ifndef CORE_HELPER_H
#define CORE_HELPER_H

#include "core/arena.h"

typedef struct Helper Helper;

/* First member of what the task is about, which `work` casts it to. */
typedef struct HelperTask {
    Status (*work)(struct HelperTask *task);
    const char *clock; /* under this name its seconds stand in the table of clocks */
    bool on_main;      /* it may be done by the main thread only */
    /* the helper's own */
    struct HelperTask *next;
    bool given; /* to the thread */
    int state;
    Status status;
    double seconds;
    FailRecord failure;
} HelperTask;

/* With `beside` false there is no thread. */
Status helper_open(Helper **out, bool beside, Arena *a);
void helper_close(Helper *h); /* drops all tasks; NULL-safe */
bool helper_is_beside(const Helper *h);

void helper_start(Helper *h, HelperTask *t);
/* Until the task is done; the time that this takes is booked on the clock `waiting`. */
Status helper_wait(Helper *h, HelperTask *t, const char *waiting);
/* Nobody waits for it any more: undone if it has not begun, else told to give up and waited for. */
void helper_drop(Helper *h, HelperTask *t);

/* For loops that a task comes by, on any thread: a sign of life; E_INTERRUPTED when nobody wants the task any more. */
Status helper_go_on(void);

#endif
