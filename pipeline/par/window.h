/* window.h - private to par: a counter on each rank of a communicator that every other can read and raise. */
#ifndef PAR_WINDOW_H
#define PAR_WINDOW_H

#include <mpi.h>

#include "par/par.h"

typedef struct {
    MPI_Win handle;
    int64_t *counter; /* this rank's */
    int host;         /* the rank whose counter hands out this group's work */
} Window;

Status window_open(Window **out, const Par *par, int host); /* Collective */
void window_close(Window *w);                               /* Collective */

#endif
