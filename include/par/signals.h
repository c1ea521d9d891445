/* signals.h - how a rank is told to stop, and how it dies: with one line that says who and why, never after its
   launcher, and without leaving shared memory behind. Used within par; the others ask par_interrupted (par.h). */
#ifndef PAR_SIGNALS_H
#define PAR_SIGNALS_H

#include <stdbool.h>

/* Local. Before MPI_Init: keeps the present handlers (the default, or a sanitizer's), which have the last word after
   ours. With `launched`, the kernel kills this process when its launcher dies. */
void signals_before_mpi(bool launched);

/* Local. After MPI_Init, which puts handlers of its own. SIGSEGV, SIGBUS, SIGFPE and SIGILL print one line with the
   rank and the innermost clock; the death of the launcher now also removes the shared memory that MPI has made. */
void signals_after_mpi(bool launched, int rank);

/* Why this rank was asked to stop: 0 = it was not, the number of a signal, or one of these. SIGUSR1, SIGTERM and SIGINT
   ask; SIGTERM or SIGINT when asked already end the process. */
enum { STOP_TIME_LIMIT = -1, STOP_OTHER_RANK = -2, STOP_LOCK_LOST = -3 };
int signals_stop(void);
void signals_ask_stop(int why); /* from any thread; the first reason stays */
const char *signals_why(void);  /* "SIGUSR1", ... */

/* Removes the files of /dev/shm that MPI has made, for an end without MPI. */
void signals_remove_shared(void);

#endif
