/* work.c - units of work handed out as ranks become free.

   One counter on rank 0, read and raised by all ranks through one-sided MPI: nobody plays the server, and the order in
   which units are handed out is their order in the list (so put the long ones first). Which rank gets which unit
   differs from run to run; results must not depend on it. Where the network has no remote atomics, a request is served
   when rank 0 next calls MPI, at the latest when it asks for a unit of its own. */
#include <mpi.h>
#include <stdlib.h>

#include "par/par.h"

typedef struct {
    MPI_Win handle;
    int64_t *counter; /* rank 0's is the one that counts */
} Window;

Status par_work_open(Work *w, const Par *par, int64_t n_units)
{
    MUST(n_units >= 0);
    *w = (Work){.n_units = n_units};
    if (!par->comm) return OK;

    Window *window = calloc(1, sizeof *window);
    Status st = par_agree(par, window ? OK : FAIL(E_MEMORY, "no memory for the counter of work units"));
    if (st != OK) {
        free(window);
        return st;
    }
    MPI_Win_allocate(par->rank == 0 ? (MPI_Aint)sizeof(int64_t) : 0, sizeof(int64_t), MPI_INFO_NULL,
                     *(MPI_Comm *)par->comm, &window->counter, &window->handle);
    MPI_Win_lock_all(MPI_MODE_NOCHECK, window->handle);
    if (par->rank == 0) {
        *window->counter = 0;
        MPI_Win_sync(window->handle);
    }
    MPI_Barrier(*(MPI_Comm *)par->comm); /* nobody asks before the zero is there */
    w->window = window;
    return OK;
}

/* The counter before `more` was added. */
static int64_t raise_counter(Window *window, int64_t more)
{
    int64_t before = 0;
    MPI_Fetch_and_op(&more, &before, MPI_INT64_T, 0, 0, more ? MPI_SUM : MPI_NO_OP, window->handle);
    MPI_Win_flush(0, window->handle);
    return before;
}

int64_t par_work_next(Work *w, const Par *par)
{
    (void)par;
    if (w->local < 0) return -1; /* was told before that nothing is left */
    int64_t unit = w->window ? raise_counter(w->window, 1) : w->local++;
    if (unit < w->n_units) return unit;
    w->local = -1;
    return -1;
}

void par_work_stop(Work *w, const Par *par)
{
    (void)par;
    if (w->window) raise_counter(w->window, w->n_units + 1);
    w->local = -1;
}

int64_t par_work_done(const Work *w, const Par *par)
{
    (void)par;
    if (w->local < 0) return w->n_units;
    int64_t n = w->window ? raise_counter(w->window, 0) : w->local;
    return n < w->n_units ? n : w->n_units;
}

void par_work_close(Work *w, const Par *par)
{
    (void)par;
    Window *window = w->window;
    if (window) {
        MPI_Win_unlock_all(window->handle);
        MPI_Win_free(&window->handle);
        free(window);
    }
    *w = (Work){.local = -1};
}
