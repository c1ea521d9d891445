/* Exchanges keep every record, bring it to the right rank and keep the order that the contract names; for uneven and
   empty shares, any record size, and messages that are cut anywhere. */
#include <string.h>

#include "core/rng.h"
#include "test_main.h"

enum { RECORD_MOST = 24 };
static const size_t sizes[] = {1, 3, 8, 20, RECORD_MOST};
enum { N_SIZES = sizeof sizes / sizeof sizes[0], N_SHARES = 4 };

/* How many records rank r has: equal, growing, all on the last rank, none. */
static int64_t share_of(int how, int r)
{
    switch (how) {
    case 0: return 100;
    case 1: return 37 * r;
    case 2: return r == test_par.n_ranks - 1 ? 501 : 0;
    default: return 0;
    }
}

/* Byte b of record i of rank r: any rank can check any record. */
static unsigned char byte_of(int r, int64_t i, size_t b)
{
    return (unsigned char)(31 * r + 7 * i + 3 * (int64_t)b + (i >> 6));
}

static int dest_of(int r, int64_t i)
{
    Rng g = rng_stream(17, "test.exchange", i, (uint32_t)r);
    return (int)rng_below(&g, test_par.n_ranks);
}

static int wrong_bytes(const unsigned char *record, int r, int64_t i, size_t size)
{
    int wrong = 0;
    for (size_t b = 0; b < size; b++) wrong += record[b] != byte_of(r, i, b);
    return wrong;
}

static unsigned char *make_records(int64_t n, size_t size)
{
    unsigned char *records = NULL;
    CU_ASSERT_EQUAL_FATAL(arena_take((void **)&records, &test_arena, n, size), OK);
    for (int64_t i = 0; i < n; i++)
        for (size_t b = 0; b < size; b++) records[(size_t)i * size + b] = byte_of(test_par.rank, i, b);
    return records;
}

static void check_gathered(const unsigned char *got, int64_t n_got, int how, size_t size)
{
    int64_t at = 0;
    int wrong = 0;
    for (int r = 0; r < test_par.n_ranks; r++)
        for (int64_t i = 0; i < share_of(how, r); i++, at++)
            if (at < n_got) wrong += wrong_bytes(got + (size_t)at * size, r, i, size);
    CU_ASSERT_EQUAL(n_got, at);
    CU_ASSERT_EQUAL(wrong, 0);
}

static void gathers(int64_t chunk)
{
    par_set_chunk(chunk);
    for (int how = 0; how < N_SHARES; how++)
        for (int s = 0; s < N_SIZES; s++) {
            int64_t n = share_of(how, test_par.rank), n_got = -1;
            unsigned char *records = make_records(n, sizes[s]);
            void *got = NULL;
            CHECK_OK(par_allgather(&got, &n_got, &test_par, records, n, sizes[s], &test_arena));
            check_gathered(got, n_got, how, sizes[s]);
            CHECK_OK(par_gather(&got, &n_got, &test_par, records, n, sizes[s], &test_arena));
            if (test_par.rank == 0)
                check_gathered(got, n_got, how, sizes[s]);
            else
                CU_ASSERT_EQUAL(n_got, 0);
        }
    par_set_chunk((int64_t)1 << 30);
}

static void gathered_records_come_in_rank_order(void) { gathers((int64_t)1 << 30); }
static void gathered_records_survive_cut_messages(void) { gathers(50); }

/* The receiver knows whom each record of each rank went to, so it knows exactly what must arrive, and in which order. */
static void check_exchanged(const unsigned char *got, int64_t n_got, int how, size_t size)
{
    int64_t at = 0;
    int wrong = 0;
    for (int r = 0; r < test_par.n_ranks; r++)
        for (int64_t i = 0; i < share_of(how, r); i++) {
            if (dest_of(r, i) != test_par.rank) continue;
            if (at < n_got) wrong += wrong_bytes(got + (size_t)at * size, r, i, size);
            at++;
        }
    CU_ASSERT_EQUAL(n_got, at);
    CU_ASSERT_EQUAL(wrong, 0);
}

static void exchanges(int64_t chunk)
{
    par_set_chunk(chunk);
    for (int how = 0; how < N_SHARES; how++)
        for (int s = 0; s < N_SIZES; s++) {
            int64_t n = share_of(how, test_par.rank), n_got = -1;
            unsigned char *records = make_records(n, sizes[s]);
            int *dest = NULL;
            CU_ASSERT_EQUAL_FATAL(arena_new(&dest, &test_arena, n), OK);
            for (int64_t i = 0; i < n; i++) dest[i] = dest_of(test_par.rank, i);
            void *got = NULL;
            CHECK_OK(par_exchange(&got, &n_got, &test_par, records, dest, n, sizes[s], &test_arena));
            check_exchanged(got, n_got, how, sizes[s]);
        }
    par_set_chunk((int64_t)1 << 30);
}

static void exchanged_records_arrive_once_in_order_of_source(void) { exchanges((int64_t)1 << 30); }
static void exchanged_records_survive_cut_messages(void) { exchanges(50); }

static void grouped_records_need_no_copy_and_tell_their_source(void)
{
    int64_t n_to[64] = {0}, n_from[64] = {0}, n_got = 0, sum = 0;
    int p = test_par.n_ranks;
    CU_ASSERT_FATAL(p <= 64);
    for (int r = 0; r < p; r++) n_to[r] = test_par.rank * p + r; /* all different */
    int64_t first = 0, *records = NULL;
    for (int r = 0; r < p; r++) first += n_to[r];
    CHECK_OK(arena_new(&records, &test_arena, first));
    for (int64_t i = 0, r = 0, k = 0; i < first; i++, k++) {
        while (k == n_to[r]) r++, k = 0;
        records[i] = test_par.rank * 1000000 + r * 1000 + k;
    }
    int64_t *got = NULL;
    CHECK_OK(
        par_exchange_grouped((void **)&got, &n_got, n_from, &test_par, records, n_to, sizeof *records, &test_arena));
    for (int r = 0; r < p; r++) {
        CU_ASSERT_EQUAL(n_from[r], r * p + test_par.rank);
        for (int64_t k = 0; k < n_from[r] && sum + k < n_got; k++)
            CU_ASSERT_EQUAL(got[sum + k], r * 1000000 + test_par.rank * 1000 + k);
        sum += n_from[r];
    }
    CU_ASSERT_EQUAL(n_got, sum);
}

static void a_full_arena_on_one_rank_fails_on_all(void)
{
    for (int full = 0; full < test_par.n_ranks; full++) {
        Arena small;
        CHECK_OK(arena_init(&small, "small", test_par.rank == full ? 1 : (size_t)1 << 30));
        enum { N = 1 << 20 };
        unsigned char *mine = make_records(N, 8);
        void *got = NULL;
        int64_t n_got = 0;
        Status st = par_allgather(&got, &n_got, &test_par, mine, N, 8, &small);
        CU_ASSERT_EQUAL(st, E_MEMORY);
        CU_ASSERT_EQUAL(fail_record()->rank, full);
        fail_clear();
        arena_free(&small);
    }
}

static void a_destination_that_does_not_exist_is_reported(void)
{
    int64_t n_got = 0, value = 5;
    int dest = test_par.rank == test_par.n_ranks - 1 ? test_par.n_ranks : 0;
    void *got = NULL;
    CHECK_FAILS(par_exchange(&got, &n_got, &test_par, &value, &dest, 1, sizeof value, &test_arena), E_BUG);
}

TEST_MAIN("par_exchange", {"gathered records come in rank order", gathered_records_come_in_rank_order},
          {"gathered records survive cut messages", gathered_records_survive_cut_messages},
          {"exchanged records arrive once, in order of source", exchanged_records_arrive_once_in_order_of_source},
          {"exchanged records survive cut messages", exchanged_records_survive_cut_messages},
          {"grouped records need no copy and tell their source", grouped_records_need_no_copy_and_tell_their_source},
          {"a full arena on one rank fails on all", a_full_arena_on_one_rank_fails_on_all},
          {"a destination that does not exist is reported", a_destination_that_does_not_exist_is_reported})
