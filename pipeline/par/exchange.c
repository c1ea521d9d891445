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

enum { MESSAGE_BYTES = 8 << 20 }; /* of records that are packed on their way */

int64_t par_exchange_counts(int64_t *n_from, const Par *par, const int64_t *n_to)
{
    int64_t total = 0;
    clock_wait(__FILE__, __LINE__);
    if (par->comm)
        MPI_Alltoall(n_to, 1, MPI_INT64_T, n_from, 1, MPI_INT64_T, comm_of(par));
    else
        n_from[0] = n_to[0];
    clock_wait(NULL, 0);
    for (int r = 0; r < par->n_ranks; r++) total += n_from[r];
    return total;
}

/* Records on their way: which ones, and the room to pack a message. */
typedef struct {
    const char *records;
    const uint32_t *order; /* NULL = as they lie */
    int64_t record;        /* bytes              */
    int64_t most;          /* records of a message */
    char *packed;          /* (most)             */
} Cargo;

/* The records [first, first + n) of the order, side by side. */
static const char *pack(const Cargo *c, char *to, int64_t first, int64_t n)
{
    if (!c->order) return c->records + first * c->record;
    for (int64_t i = 0; i < n; i++)
        memcpy(to + i * c->record, c->records + (int64_t)c->order[first + i] * c->record, (size_t)c->record);
    return to;
}

/* One message each way at a time; both sides know how many there will be. */
static void swap_messages(const Par *par, const Cargo *c, int64_t first, int64_t n_send, int to, char *receive,
                          int64_t n_receive, int from)
{
    for (int64_t at = 0; at < n_send || at < n_receive; at += c->most) {
        MPI_Request pending[2] = {MPI_REQUEST_NULL, MPI_REQUEST_NULL};
        if (at < n_receive)
            MPI_Irecv(receive + at * c->record, (int)(least(n_receive - at, c->most) * c->record), MPI_BYTE, from,
                      TAG_EXCHANGE, comm_of(par), &pending[0]);
        if (at < n_send) {
            int64_t n = least(n_send - at, c->most);
            MPI_Isend(pack(c, c->packed, first + at, n), (int)(n * c->record), MPI_BYTE, to, TAG_EXCHANGE, comm_of(par),
                      &pending[1]);
        }
        clock_wait(__FILE__, __LINE__);
        MPI_Waitall(2, pending, MPI_STATUSES_IGNORE);
        clock_wait(NULL, 0);
    }
}

static void starts_of(int64_t *start, const int64_t *count, int n)
{
    int64_t total = 0;
    for (int r = 0; r < n; r++) {
        start[r] = total;
        total += count[r];
    }
}

/* Round s: to the rank s above, from the rank s below; every rank has one partner each way in every round. */
static void swap_all(char *out, const Par *par, const Cargo *c, const int64_t *n_to, const int64_t *to_start,
                     const int64_t *n_from, const int64_t *from_start)
{
    for (int s = 0; s < par->n_ranks; s++) {
        int to = (par->rank + s) % par->n_ranks, from = (par->rank - s + par->n_ranks) % par->n_ranks;
        char *place = out + from_start[from] * c->record;
        if (s > 0) {
            swap_messages(par, c, to_start[to], n_to[to], to, place, n_from[from], from);
        } else if (n_to[to] > 0) {
            const char *own = pack(c, place, to_start[to], n_to[to]);
            if (own != place) memcpy(place, own, (size_t)(n_to[to] * c->record));
        }
    }
}

Status par_exchange_ordered(void *out, const Par *par, const void *records, const uint32_t *order, const int64_t *n_to,
                            const int64_t *n_from, size_t record, Arena *scratch)
{
    const Mark mark = arena_mark(scratch);
    int64_t *to_start = NULL, *from_start = NULL, longest = 0;
    Cargo c = {.records = records, .order = order, .record = (int64_t)record};
    c.most = least(MESSAGE_BYTES, par_chunk()) / c.record;
    if (c.most == 0) c.most = 1;
    for (int r = 0; r < par->n_ranks; r++)
        if (r != par->rank && n_to[r] > longest) longest = n_to[r];
    Status st = arena_new(&to_start, scratch, par->n_ranks);
    if (st == OK) st = arena_new(&from_start, scratch, par->n_ranks);
    if (st == OK && order) st = arena_take((void **)&c.packed, scratch, least(longest, c.most), record);
    TRY(par_agree(par, st));
    starts_of(to_start, n_to, par->n_ranks);
    starts_of(from_start, n_from, par->n_ranks);
    swap_all(out, par, &c, n_to, to_start, n_from, from_start);
    arena_reset(scratch, mark);
    return OK;
}

Status par_exchange_grouped(void **out, int64_t *n_out, int64_t *n_from, const Par *par, const void *records,
                            const int64_t *n_to, size_t record, Arena *a)
{
    int64_t *from = n_from, n_in;
    *out = NULL;
    *n_out = 0;
    TRY(par_agree(par, from ? OK : arena_new(&from, a, par->n_ranks)));
    n_in = par_exchange_counts(from, par, n_to);
    TRY(par_agree(par, arena_take(out, a, n_in, record)));
    TRY(par_exchange_ordered(*out, par, records, NULL, n_to, from, record, a));
    *n_out = n_in;
    return OK;
}

static Status count_destinations(int64_t *n_to, bool *grouped, const Par *par, const int *dest, int64_t n)
{
    *grouped = true;
    for (int64_t i = 0; i < n; i++) {
        if (dest[i] < 0 || dest[i] >= par->n_ranks)
            return FAIL(E_BUG, "record %lld is for rank %d of %d", (long long)i, dest[i], par->n_ranks);
        n_to[dest[i]]++;
        if (i > 0 && dest[i] < dest[i - 1]) *grouped = false;
    }
    return OK;
}

/* The records in the order of their ranks, each rank's in their old order. */
static Status order_records(uint32_t **order, const int64_t *n_to, const Par *par, const int *dest, int64_t n, Arena *a)
{
    int64_t *next;
    MUST(n <= UINT32_MAX);
    TRY(arena_new(order, a, n));
    TRY(arena_new(&next, a, par->n_ranks));
    starts_of(next, n_to, par->n_ranks);
    for (int64_t i = 0; i < n; i++) (*order)[next[dest[i]]++] = (uint32_t)i;
    return OK;
}

Status par_exchange(void **out, int64_t *n_out, const Par *par, const void *records, const int *dest, int64_t n,
                    size_t record, Arena *a)
{
    int64_t *n_to = NULL, *n_from = NULL, n_in;
    uint32_t *order = NULL;
    bool grouped = true;
    *out = NULL;
    *n_out = 0;
    Status st = arena_new(&n_to, a, par->n_ranks);
    if (st == OK) st = arena_new(&n_from, a, par->n_ranks);
    if (st == OK) st = count_destinations(n_to, &grouped, par, dest, n);
    TRY(par_agree(par, st));
    n_in = par_exchange_counts(n_from, par, n_to);

    st = arena_take(out, a, n_in, record);
    const Mark mark = arena_mark(a); /* the result stays, what finds it goes */
    if (st == OK && !grouped) st = order_records(&order, n_to, par, dest, n, a);
    st = par_agree(par, st);
    if (st == OK) st = par_exchange_ordered(*out, par, records, order, n_to, n_from, record, a);
    if (st == OK) *n_out = n_in;
    arena_reset(a, mark);
    return st;
}
