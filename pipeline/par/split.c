/* split.c - groups of ranks: each a Par of its own, for work that some ranks do together while others do something else. */
#include <stdlib.h>

#include "window.h"

const Par par_alone = {.rank = 0, .n_ranks = 1};

Status par_split(Par *out, const Par *par, int colour)
{
    *out = *par;
    if (!par->comm) return OK;
    MPI_Comm *group = malloc(sizeof *group);
    Status st = par_agree(par, group ? OK : FAIL(E_MEMORY, "no memory for a group of ranks"));
    if (st != OK) {
        free(group);
        return st;
    }
    MPI_Comm_split(*(MPI_Comm *)par->comm, colour, par->rank, group); /* inherits the error handler */
    MPI_Comm_rank(*group, &out->rank);
    MPI_Comm_size(*group, &out->n_ranks);
    int host = par->rank; /* of the group's first rank, in `par` */
    MPI_Bcast(&host, 1, MPI_INT, 0, *group);
    Window *window = NULL;
    st = window_open(&window, par, host);
    out->comm = group;
    out->queue = window;
    if (st != OK) par_release(out);
    return st;
}

void par_release(Par *split)
{
    if (!split->comm) return;
    if (split->queue) window_close(split->queue);
    MPI_Comm_free(split->comm);
    free(split->comm);
    split->comm = split->queue = NULL;
}
