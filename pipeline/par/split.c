/* split.c - groups of ranks: each a Par of its own, for work that some ranks do together while others do something else. */
#include <mpi.h>
#include <stdlib.h>

#include "par/par.h"

const Par par_alone = {.rank = 0, .n_ranks = 1, .comm = NULL};

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
    out->comm = group;
    return OK;
}

void par_release(Par *split)
{
    if (!split->comm) return;
    MPI_Comm_free(split->comm);
    free(split->comm);
    split->comm = NULL;
}
