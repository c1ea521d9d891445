/* treejoin.c - the TreeSums of all ranks become one.

   Ranks pair up at distances 1, 2, 4, ...: the right one of a pair sends the nodes it holds, the left one appends them.
   What a rank holds always covers one contiguous range of leaves, so appending completes the same nodes from the same
   operands as one rank alone would have done: the same bits for any number of ranks. Rank 0 ends with the root. */
#include <mpi.h>

#include "core/clock.h"
#include "par/par.h"

enum { TAG_TREE = 73 };

static void send_vector(const Par *par, const double *value, int64_t n, int to)
{
    const int64_t most = par_chunk() / 8;
    for (int64_t at = 0; at < n; at += most)
        MPI_Send(value + at, (int)(n - at < most ? n - at : most), MPI_DOUBLE, to, TAG_TREE, *(MPI_Comm *)par->comm);
}

static void receive_vector(const Par *par, double *value, int64_t n, int from)
{
    const int64_t most = par_chunk() / 8;
    for (int64_t at = 0; at < n; at += most)
        MPI_Recv(value + at, (int)(n - at < most ? n - at : most), MPI_DOUBLE, from, TAG_TREE, *(MPI_Comm *)par->comm,
                 MPI_STATUS_IGNORE);
}

static void send_nodes(const Par *par, const TreeSum *t, int to)
{
    int64_t n_nodes = t->n_nodes;
    MPI_Send(&n_nodes, 1, MPI_INT64_T, to, TAG_TREE, *(MPI_Comm *)par->comm);
    for (int i = 0; i < t->n_nodes; i++) {
        int64_t head[2] = {t->node[i].index, t->node[i].level};
        MPI_Send(head, 2, MPI_INT64_T, to, TAG_TREE, *(MPI_Comm *)par->comm);
        send_vector(par, t->node[i].value, t->n, to);
    }
}

static void append_nodes(const Par *par, TreeSum *t, double *value, int from)
{
    int64_t n_nodes = 0;
    MPI_Recv(&n_nodes, 1, MPI_INT64_T, from, TAG_TREE, *(MPI_Comm *)par->comm, MPI_STATUS_IGNORE);
    for (int64_t i = 0; i < n_nodes; i++) {
        int64_t head[2];
        MPI_Recv(head, 2, MPI_INT64_T, from, TAG_TREE, *(MPI_Comm *)par->comm, MPI_STATUS_IGNORE);
        receive_vector(par, value, t->n, from);
        treesum_push_node(t, head[0], (int)head[1], value);
    }
}

/* Different sizes on two ranks are our mistake; told here, before anybody waits for a message of another length. */
static Status check_sizes(const Par *par, const TreeSum *t)
{
    int64_t most[4] = {t->n, -t->n, t->n_blocks, -t->n_blocks};
    par_max_i64(par, most, 4);
    if (most[0] != -most[1] || most[2] != -most[3])
        return FAIL(E_BUG, "the ranks sum vectors of %lld to %lld numbers over %lld to %lld blocks",
                    (long long)-most[1], (long long)most[0], (long long)-most[3], (long long)most[2]);
    return OK;
}

Status par_tree_finish(double *out, TreeSum *mine, const Par *par, Arena *a)
{
    if (!par->comm) {
        treesum_total(out, mine);
        return OK;
    }
    Mark m = arena_mark(a);
    double *value = NULL;
    TRY(par_agree(par, arena_new(&value, a, mine->n)));
    Status st = check_sizes(par, mine);
    if (st == OK) {
        clock_wait(__FILE__, __LINE__);
        for (int step = 1; step < par->n_ranks; step *= 2) {
            if (par->rank % (2 * step) != 0) {
                send_nodes(par, mine, par->rank - step);
                break;
            }
            if (par->rank + step < par->n_ranks) append_nodes(par, mine, value, par->rank + step);
        }
        clock_wait(NULL, 0);
        if (par->rank == 0) treesum_total(out, mine);
        par_bcast(par, out, mine->n * (int64_t)sizeof *out, 0);
    }
    arena_reset(a, m);
    return st;
}
