/* work.c - units of work handed out as ranks become free.

   One counter on the first rank, read and raised by all ranks through one-sided MPI: nobody plays the server, and the order in
   which units are handed out is their order in the list (so put the long ones first). Which rank gets which unit
   differs from run to run; results must not depend on it. Where the network has no remote atomics, a request is served
   when that rank next calls MPI, at the latest when it asks for a unit of its own.

   Groups of ranks (par_split) use one window of the communicator that they come from, a counter per group: windows that groups open
   side by side get the same file name behind them from Open MPI 4.1, on one node, and take each other's. */
#include <stdlib.h>

#include "window.h"

Status window_open(Window **out, const Par *par, int host)
{
    Window *w = calloc(1, sizeof *w);
    Status st = par_agree(par, w ? OK : FAIL(E_MEMORY, "no memory for the counter of work units"));
    if (st != OK) {
        free(w);
        return st;
    }
    w->host = host;
    MPI_Win_allocate(sizeof(int64_t), sizeof(int64_t), MPI_INFO_NULL, *(MPI_Comm *)par->comm, &w->counter, &w->handle);
    MPI_Win_lock_all(MPI_MODE_NOCHECK, w->handle);
    *out = w;
    return OK;
}

void window_close(Window *w)
{
    MPI_Win_unlock_all(w->handle);
    MPI_Win_free(&w->handle);
    free(w);
}

Status par_work_open(Work *w, const Par *par, int64_t n_units)
{
    MUST(n_units >= 0);
    *w = (Work){.n_units = n_units};
    if (!par->comm) return OK;
    Window *window = par->queue;
    if (!window) TRY(window_open(&window, par, 0));
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
    MPI_Fetch_and_op(&more, &before, MPI_INT64_T, window->host, 0, more ? MPI_SUM : MPI_NO_OP, window->handle);
    MPI_Win_flush(window->host, window->handle);
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
    if (w->window && w->window == par->queue)
        MPI_Barrier(*(MPI_Comm *)par->comm); /* the counter is about to be set anew */
    else if (w->window)
        window_close(w->window);
    *w = (Work){.local = -1};
}
