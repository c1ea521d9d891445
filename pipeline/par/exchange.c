/* exchange.c - records from all ranks to all ranks: everybody's to everybody, to rank 0, or each to the rank it names.

   The same three steps everywhere: (1) counts travel, so that each rank knows what it will hold; (2) memory is taken
   and the ranks agree that they have it; (3) the records travel, in messages of at most par_chunk() bytes because MPI
   counts are int. */
#include <mpi.h>
#include <string.h>

#include "core/clock.h"
#include "par/par.h"

enum { TAG_EXCHANGE = 71, TAG_GATHER = 72 };

static MPI_Comm comm_of(const Par *par) { return *(MPI_Comm *)par->comm; }

static int64_t least(int64_t x, int64_t y) { return x < y ? x : y; }

static Status copy_own(void **out, int64_t *n_out, const void *mine, int64_t n, size_t record, Arena *a)
{
    TRY(arena_take(out, a, n, record));
    if (n > 0) memcpy(*out, mine, (size_t)n * record);
    *n_out = n;
    return OK;
}

/* ---- everybody's records on all ranks, or on rank 0 ---- */

/* counts and starts in bytes, of each rank; returns the sum. */
static int64_t learn_bytes(int64_t *bytes, int64_t *start, const Par *par, int64_t mine)
{
    clock_wait(__FILE__, __LINE__);
    MPI_Allgather(&mine, 1, MPI_INT64_T, bytes, 1, MPI_INT64_T, comm_of(par));
    clock_wait(NULL, 0);
    int64_t total = 0;
    for (int r = 0; r < par->n_ranks; r++) {
        start[r] = total;
        total += bytes[r];
    }
    return total;
}

/* One call where the whole fits an int count (`bytes` and `start` become int), else one broadcast per rank. */
static void allgather_bytes(char *out, const Par *par, const void *mine, const int64_t *bytes, const int64_t *start,
                            int64_t total, int *narrow)
{
    if (total > par_chunk()) {
        for (int r = 0; r < par->n_ranks; r++) {
            if (r == par->rank && bytes[r] > 0) memcpy(out + start[r], mine, (size_t)bytes[r]);
            par_bcast(par, out + start[r], bytes[r], r);
        }
        return;
    }
    int *count = narrow, *at = narrow + par->n_ranks;
    for (int r = 0; r < par->n_ranks; r++) {
        count[r] = (int)bytes[r];
        at[r] = (int)start[r];
    }
    clock_wait(__FILE__, __LINE__);
    MPI_Allgatherv(mine, count[par->rank], MPI_BYTE, out, count, at, MPI_BYTE, comm_of(par));
    clock_wait(NULL, 0);
}

Status par_allgather(void **out, int64_t *n_out, const Par *par, const void *mine, int64_t n, size_t record, Arena *a)
{
    *out = NULL;
    *n_out = 0;
    if (!par->comm) return copy_own(out, n_out, mine, n, record, a);

    int64_t *bytes, *start;
    int *narrow;
    Status st = arena_new(&bytes, a, par->n_ranks);
    if (st == OK) st = arena_new(&start, a, par->n_ranks);
    if (st == OK) st = arena_new(&narrow, a, 2 * (int64_t)par->n_ranks);
    TRY(par_agree(par, st));
    int64_t total = learn_bytes(bytes, start, par, n * (int64_t)record);

    TRY(par_agree(par, arena_take(out, a, total / (int64_t)record, record)));
    allgather_bytes(*out, par, mine, bytes, start, total, narrow);
    *n_out = total / (int64_t)record;
    return OK;
}

static void send_chunks(const Par *par, const char *data, int64_t bytes, int to)
{
    for (int64_t at = 0; at < bytes; at += par_chunk()) {
        clock_wait(__FILE__, __LINE__);
        MPI_Send(data + at, (int)least(bytes - at, par_chunk()), MPI_BYTE, to, TAG_GATHER, comm_of(par));
        clock_wait(NULL, 0);
    }
}

static void receive_chunks(const Par *par, char *data, int64_t bytes, int from)
{
    for (int64_t at = 0; at < bytes; at += par_chunk()) {
        clock_wait(__FILE__, __LINE__);
        MPI_Recv(data + at, (int)least(bytes - at, par_chunk()), MPI_BYTE, from, TAG_GATHER, comm_of(par),
                 MPI_STATUS_IGNORE);
        clock_wait(NULL, 0);
    }
}

Status par_gather(void **out, int64_t *n_out, const Par *par, const void *mine, int64_t n, size_t record, Arena *a)
{
    *out = NULL;
    *n_out = 0;
    if (!par->comm) return copy_own(out, n_out, mine, n, record, a);

    int64_t *bytes, *start;
    Status st = arena_new(&bytes, a, par->n_ranks);
    if (st == OK) st = arena_new(&start, a, par->n_ranks);
    TRY(par_agree(par, st));
    int64_t total = learn_bytes(bytes, start, par, n * (int64_t)record);

    int64_t n_mine = par->rank == 0 ? total / (int64_t)record : 0;
    TRY(par_agree(par, arena_take(out, a, n_mine, record)));
    if (par->rank == 0) {
        if (n > 0) memcpy(*out, mine, (size_t)bytes[0]);
        for (int r = 1; r < par->n_ranks; r++) receive_chunks(par, (char *)*out + start[r], bytes[r], r);
    } else {
        send_chunks(par, mine, bytes[par->rank], 0);
    }
    *n_out = n_mine;
    return OK;
}

/* ---- each record to a rank of its own ---- */

/* Who sends how many records to whom, and where each rank's begin. (n_ranks) each. */
typedef struct {
    int64_t *n_to, *to_start, *n_from, *from_start;
    int64_t n_in; /* all records that will arrive */
} Plan;

static Status plan_memory(Plan *p, const Par *par, Arena *a)
{
    TRY(arena_new(&p->n_to, a, par->n_ranks));
    TRY(arena_new(&p->to_start, a, par->n_ranks));
    TRY(arena_new(&p->n_from, a, par->n_ranks));
    return arena_new(&p->from_start, a, par->n_ranks);
}

static int64_t starts_of(int64_t *start, const int64_t *count, int n)
{
    int64_t total = 0;
    for (int r = 0; r < n; r++) {
        start[r] = total;
        total += count[r];
    }
    return total;
}

/* Collective: n_to is known, the rest follows. */
static void complete_plan(Plan *p, const Par *par)
{
    clock_wait(__FILE__, __LINE__);
    if (par->comm)
        MPI_Alltoall(p->n_to, 1, MPI_INT64_T, p->n_from, 1, MPI_INT64_T, comm_of(par));
    else
        p->n_from[0] = p->n_to[0];
    clock_wait(NULL, 0);
    starts_of(p->to_start, p->n_to, par->n_ranks);
    p->n_in = starts_of(p->from_start, p->n_from, par->n_ranks);
}

/* One message each way at a time; both sides know how many there will be. */
static void swap_chunks(const Par *par, const char *send, int64_t n_send, int to, char *receive, int64_t n_receive,
                        int from)
{
    for (int64_t at = 0; at < n_send || at < n_receive; at += par_chunk()) {
        MPI_Request pending[2] = {MPI_REQUEST_NULL, MPI_REQUEST_NULL};
        if (at < n_receive)
            MPI_Irecv(receive + at, (int)least(n_receive - at, par_chunk()), MPI_BYTE, from, TAG_EXCHANGE, comm_of(par),
                      &pending[0]);
        if (at < n_send)
            MPI_Isend(send + at, (int)least(n_send - at, par_chunk()), MPI_BYTE, to, TAG_EXCHANGE, comm_of(par),
                      &pending[1]);
        clock_wait(__FILE__, __LINE__);
        MPI_Waitall(2, pending, MPI_STATUSES_IGNORE);
        clock_wait(NULL, 0);
    }
}

/* Round s: to the rank s above, from the rank s below; every rank has one partner each way in every round. */
static void swap_all(char *receive, const Par *par, const Plan *p, const char *send, int64_t record)
{
    for (int s = 0; s < par->n_ranks; s++) {
        int to = (par->rank + s) % par->n_ranks, from = (par->rank - s + par->n_ranks) % par->n_ranks;
        const char *data = send + p->to_start[to] * record;
        char *place = receive + p->from_start[from] * record;
        if (s > 0)
            swap_chunks(par, data, p->n_to[to] * record, to, place, p->n_from[from] * record, from);
        else if (p->n_to[to] > 0)
            memcpy(place, data, (size_t)(p->n_to[to] * record));
    }
}

Status par_exchange_grouped(void **out, int64_t *n_out, int64_t *n_from, const Par *par, const void *records,
                            const int64_t *n_to, size_t record, Arena *a)
{
    *out = NULL;
    *n_out = 0;
    Plan p = {0};
    TRY(par_agree(par, plan_memory(&p, par, a)));
    memcpy(p.n_to, n_to, (size_t)par->n_ranks * sizeof *n_to);
    complete_plan(&p, par);
    TRY(par_agree(par, arena_take(out, a, p.n_in, record)));
    swap_all(*out, par, &p, records, (int64_t)record);
    if (n_from) memcpy(n_from, p.n_from, (size_t)par->n_ranks * sizeof *n_from);
    *n_out = p.n_in;
    return OK;
}

static Status count_destinations(Plan *p, bool *grouped, const Par *par, const int *dest, int64_t n, Arena *a)
{
    *grouped = true;
    TRY(plan_memory(p, par, a));
    for (int64_t i = 0; i < n; i++) {
        if (dest[i] < 0 || dest[i] >= par->n_ranks)
            return FAIL(E_BUG, "record %lld is for rank %d of %d", (long long)i, dest[i], par->n_ranks);
        p->n_to[dest[i]]++;
        if (i > 0 && dest[i] < dest[i - 1]) *grouped = false;
    }
    return OK;
}

/* A copy of the records in the order of their ranks, each rank's in their old order. Uses up p->n_to as the place of
   the next one, and restores it. */
static Status group_records(void **out, Plan *p, const Par *par, const void *records, const int *dest, int64_t n,
                            size_t record, Arena *a)
{
    TRY(arena_take(out, a, n, record));
    memset(p->n_to, 0, (size_t)par->n_ranks * sizeof *p->n_to);
    for (int64_t i = 0; i < n; i++) {
        int64_t at = p->to_start[dest[i]] + p->n_to[dest[i]]++;
        memcpy((char *)*out + (size_t)at * record, (const char *)records + (size_t)i * record, record);
    }
    return OK;
}

Status par_exchange(void **out, int64_t *n_out, const Par *par, const void *records, const int *dest, int64_t n,
                    size_t record, Arena *a)
{
    *out = NULL;
    *n_out = 0;
    Plan p = {0};
    bool grouped = true;
    TRY(par_agree(par, count_destinations(&p, &grouped, par, dest, n, a)));
    complete_plan(&p, par);

    Status st = arena_take(out, a, p.n_in, record);
    Mark m = arena_mark(a); /* the packed copy goes, the result stays */
    void *packed = NULL;
    if (st == OK && !grouped) st = group_records(&packed, &p, par, records, dest, n, record, a);
    st = par_agree(par, st);
    if (st == OK) {
        swap_all(*out, par, &p, packed ? packed : records, (int64_t)record);
        *n_out = p.n_in;
    }
    arena_reset(a, m);
    return st;
}
