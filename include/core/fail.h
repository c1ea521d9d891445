/* fail.h - how failure travels.

   Local code returns a Status. FAIL(...) fills one plain record (status, rank, file, line, text) and returns its status;
   TRY hands it upward, TRY_DONE jumps to `done:` where a function holds something to close. The message is written once,
   where it is known; a caller at a border the user can see may add one fail_note. Each thread has its record; that of the
   main one is read by par_agree (par/par.h), which makes one rank's failure every rank's. Nothing here knows MPI.

   Status kinds are the exit codes of the program. */
#ifndef CORE_FAIL_H
#define CORE_FAIL_H

#include <stdbool.h>
#include <stdio.h>

typedef enum {
    OK = 0,
    E_CONFIG = 2,      /* the run file or the command line            */
    E_INPUT = 3,       /* an input file                               */
    E_OUTPUT = 4,      /* a file or folder we write                   */
    E_NUMERIC = 5,     /* NaN, a matrix that cannot be factorised     */
    E_MEMORY = 6,      /* an arena or the machine ran out             */
    E_BUG = 7,         /* ours                                        */
    E_INTERRUPTED = 8, /* told to stop; the same command continues */
    E_STALLED = 9,     /* no progress for run.stall_minutes        */
} Status;

enum { FAIL_TEXT = 4096, FAIL_NOTE = 1024 };

typedef struct {
    int status; /* Status; OK = nothing failed      */
    int rank;   /* where it happened                */
    int line;
    char file[64];
    char text[FAIL_TEXT]; /* may hold several lines           */
    char note[FAIL_NOTE]; /* lines added by callers           */
} FailRecord;

#define FAIL(status, ...) fail_set((status), __FILE__, __LINE__, __VA_ARGS__)

#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        Status try_status_ = (call);                                                                                   \
        if (try_status_ != OK) return try_status_;                                                                     \
    } while (0)

/* Needs `Status st` and a label `done:` in scope. */
#define TRY_DONE(call)                                                                                                 \
    do {                                                                                                               \
        st = (call);                                                                                                   \
        if (st != OK) goto done;                                                                                       \
    } while (0)

/* Our own mistakes only, never a user's input: prints the expression and aborts all ranks. */
#define MUST(cond) ((cond) ? (void)0 : fail_bug(#cond, __FILE__, __LINE__))

/* For tests: fails here when the environment says FAIL_POINT=NAME:RANK; waits here for ever with HANG_POINT=NAME:RANK,
   with HANG_POINT=NAME:RANK:SECONDS each time for so long. Several with commas. Free otherwise. */
#define FAIL_POINT(name) fail_point((name), __FILE__, __LINE__)

/* Local. Fills this thread's record and returns `status`. */
Status fail_set(Status status, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Local. Adds one line of circumstance ("reading brick 0001p000") to the record. */
void fail_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

Status fail_point(const char *name, const char *file, int line);
_Noreturn void fail_bug(const char *expression, const char *file, int line);

/* Local. The record itself: read, replace (par_agree does), forget. */
const FailRecord *fail_record(void);
void fail_store(const FailRecord *record);
void fail_clear(void);

/* Local. The rank stamped into records; the hook that MUST calls after printing (par sets it to MPI_Abort). */
void fail_set_rank(int rank);
void fail_set_abort(void (*abort_all)(int code));

/* Local. Prints "error (input): text / while ... / at file:line on rank r of n". */
void fail_print(FILE *out, int n_ranks);
const char *fail_kind(int status); /* "input", "config", ... */

#endif
