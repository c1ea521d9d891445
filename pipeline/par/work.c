/* work.c - units of work handed out as ranks become free.

   One counter on the first rank, read and raised by all ranks through one-sided MPI: nobody plays the server, and the order in
   which units are handed out is their order in the list (so put the long ones first). Which rank gets which unit
   differs from run to run; results must not depend on it. Where the network has no remote atomics, a request is served
   when that rank next calls MPI, at the latest when it asks for a unit of its own.

   Groups of ranks (par_split) use one window of the communicator that they come from, a counter per group: windows that groups open
   side by side get the same file name behind them from Open MPI 4.1, on one node, and take each other's.

   A rank that is asked to stop adds STOPPED to all counters: a number that no queue reaches tells the others why.

   For tests: with ASTROCLIP_SHUFFLE=SEED in the environment the units of a queue are the same in another order. */
#include <stdlib.h>

#include "core/clock.h"
#include "core/hash.h"
#include "par/signals.h"
#include "window.h"

#define STOPPED ((int64_t)1 << 48)
enum { UNITS_BITS = 40 };

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
    clock_wait(__FILE__, __LINE__);
    MPI_Win_unlock_all(w->handle);
    MPI_Win_free(&w->handle);
    clock_wait(NULL, 0);
    free(w);
}

Status par_work_open(Work *w, const Par *par, int64_t n_units)
{
    MUST(n_units >= 0 && n_units >> UNITS_BITS == 0);
    *w = (Work){.n_units = n_units};
    if (!par->comm) return OK;
    Window *window = par->queue;
    if (!window) TRY(window_open(&window, par, 0));
    if (par->rank == 0) {
        MPI_Win_sync(window->handle);
        if (*window->counter < STOPPED) *window->counter = 0;
        MPI_Win_sync(window->handle);
    }
    par_barrier(par); /* nobody asks before the zero is there */
    w->window = window;
    return OK;
}

/* The counter of that rank before `more` was added. */
static int64_t raise_counter_of(int host, Window *window, int64_t more)
{
    int64_t before = 0;
    clock_wait(__FILE__, __LINE__); /* the host may serve it when it next calls MPI */
    MPI_Fetch_and_op(&more, &before, MPI_INT64_T, host, 0, more ? MPI_SUM : MPI_NO_OP, window->handle);
    MPI_Win_flush(host, window->handle);
    clock_wait(NULL, 0);
    return before;
}

static int64_t raise_counter(Window *window, int64_t more) { return raise_counter_of(window->host, window, more); }

/* Tells all queues of the window, unless somebody did. */
static void stop_everyone(Window *window)
{
    MPI_Group group;
    int n = 0;
    if (raise_counter(window, 0) >= STOPPED) return;
    MPI_Win_get_group(window->handle, &group);
    MPI_Group_size(group, &n);
    MPI_Group_free(&group);
    for (int r = 0; r < n; r++) raise_counter_of(r, window, STOPPED);
}

/* The k-th of n units in the order that ASTROCLIP_SHUFFLE asks for: k * stride + start modulo n, the stride prime to n. */
static int64_t shuffled(int64_t k, int64_t n)
{
    const char *seed = getenv("ASTROCLIP_SHUFFLE");
    if (!seed || n < 2) return k;
    uint64_t random = hash_mix(strtoull(seed, NULL, 10));
    int64_t stride = (int64_t)(random % (uint64_t)n);
    for (int64_t a = 0; a != 1; stride += a != 1) { /* Euclid: the next stride without a common factor */
        a = stride;
        for (int64_t b = n, rest; b != 0; b = rest) rest = a % b, a = b;
    }
    return (int64_t)(((__uint128_t)k * (uint64_t)stride + (random >> 32) % (uint64_t)n) % (uint64_t)n);
}

int64_t par_work_next(Work *w, const Par *par)
{
    (void)par;
    if (w->local < 0) return -1; /* was told before that nothing is left */
    clock_tick();
    if (w->window && par_interrupted()) {
        stop_everyone(w->window);
        w->local = -1;
        return -1;
    }
    int64_t unit = w->window ? raise_counter(w->window, 1) : w->local++;
    if (unit < w->n_units) return shuffled(unit, w->n_units);
    if (unit >= STOPPED) signals_ask_stop(STOP_OTHER_RANK);
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
        par_barrier(par); /* the counter is about to be set anew */
    else if (w->window)
        window_close(w->window);
    *w = (Work){.local = -1};
}
