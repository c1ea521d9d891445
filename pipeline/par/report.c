/* report.c - where the time and the memory went, over all ranks: imbalance is the first question.

   Clocks are matched by name. The list of names is grown until no rank has a name that is missing from it: rank 0's
   first, then those of the lowest rank that has more. */
#include <mpi.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "core/clock.h"
#include "core/log.h"
#include "par/par.h"

enum { NAMES_MOST = 2 * CLOCK_MAX };

typedef struct {
    double value;
    int rank;
} Slowest; /* what MPI calls MPI_DOUBLE_INT */

typedef struct {
    double least, mean;
    Slowest most;
} Spread;

static int find_name(const Clock *list, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (strncmp(list[i].name, name, CLOCK_NAME) == 0) return i;
    return -1;
}

static const Clock *first_missing(const Clock *mine, int n_mine, const Clock *list, int n)
{
    for (int i = 0; i < n_mine; i++)
        if (find_name(list, n, mine[i].name) < 0) return &mine[i];
    return NULL;
}

/* All names of all ranks, the same list everywhere, with this rank's figures; returns their number. */
static int join_names(Clock *list, const Par *par)
{
    int n_mine, n = 0;
    const Clock *mine = clock_table(&n_mine);
    while (n < NAMES_MOST) {
        const Clock *missing = first_missing(mine, n_mine, list, n);
        int64_t has = missing ? par->n_ranks - par->rank : 0;
        par_max_i64(par, &has, 1);
        if (has == 0) break;
        Clock next = {0};
        if (missing) memcpy(next.name, missing->name, sizeof next.name);
        par_bcast(par, next.name, sizeof next.name, par->n_ranks - (int)has);
        int at = find_name(mine, n_mine, next.name);
        if (at >= 0) next = mine[at];
        list[n++] = next;
    }
    return n;
}

/* For the reader of a log only: a mean by MPI_SUM is not the same to the last bit for any number of ranks. */
static Spread spread_of(const Par *par, double mine)
{
    Spread s = {mine, mine, {mine, par->rank}};
    if (!par->comm) return s;
    MPI_Comm comm = *(MPI_Comm *)par->comm;
    MPI_Allreduce(MPI_IN_PLACE, &s.least, 1, MPI_DOUBLE, MPI_MIN, comm);
    MPI_Allreduce(MPI_IN_PLACE, &s.mean, 1, MPI_DOUBLE, MPI_SUM, comm);
    MPI_Allreduce(MPI_IN_PLACE, &s.most, 1, MPI_DOUBLE_INT, MPI_MAXLOC, comm);
    s.mean /= par->n_ranks;
    return s;
}

static void print_row(const char *name, const char *unit, Spread s)
{
    log_info("  %-*s %10.2f %10.2f %10.2f %-3s  rank %d", CLOCK_NAME, name, s.least, s.mean, s.most.value, unit,
             s.most.rank);
}

/* GB of physical memory that this process held at its largest. */
static double peak_memory(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss * 1024 / 1e9; /* Linux counts in kB */
}

void par_print_clocks(const Par *par)
{
    Clock list[NAMES_MOST];
    int n = join_names(list, par);
    log_info("  %-*s %10s %10s %10s      largest on", CLOCK_NAME, "where", "min", "mean", "max");
    for (int i = 0; i < n; i++) print_row(list[i].name, "s", spread_of(par, list[i].seconds));
    print_row("memory peak", "GB", spread_of(par, peak_memory()));
}
