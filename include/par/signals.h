/* signals.h - how a rank dies: with one line that says who and why, never after its launcher, and without leaving
   shared memory behind. Used by par_init alone. */
#ifndef PAR_SIGNALS_H
#define PAR_SIGNALS_H

#include <stdbool.h>

/* Local. Before MPI_Init: keeps the present handlers (the default, or a sanitizer's), which have the last word after
   ours. With `launched`, the kernel kills this process when its launcher dies. */
void signals_before_mpi(bool launched);

/* Local. After MPI_Init, which puts handlers of its own. SIGSEGV, SIGBUS, SIGFPE and SIGILL print one line with the
   rank and the innermost clock; the death of the launcher now also removes the shared memory that MPI has made. */
void signals_after_mpi(bool launched, int rank);

#endif
