/* The sorted whole is the same whatever the division of the rows, shares are exactly equal, and equal keys keep their
   order. Each rank makes all rows of all ranks and sorts them by itself to compare. */
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "test_main.h"

typedef struct {
    int64_t key;
    int32_t place; /* in the whole, before sorting */
    char odd[5];   /* 20 bytes with padding: not a power of two */
} Row;

enum { N_KINDS = 5, N_SHARES = 5 };

static int by_key(const void *x, const void *y)
{
    const Row *a = x, *b = y;
    return (a->key > b->key) - (a->key < b->key);
}

static int by_key_and_place(const void *x, const void *y)
{
    const Row *a = x, *b = y;
    int order = by_key(x, y);
    return order ? order : (a->place > b->place) - (a->place < b->place);
}

/* Keys: random, few different, all equal, rising, falling. */
static Row row_at(int kind, int64_t place)
{
    Row row;
    memset(&row, 0, sizeof row);
    Rng g = rng_stream(3, "test.sort", place, (uint32_t)kind);
    switch (kind) {
    case 0: row.key = (int64_t)rng_u64(&g); break;
    case 1: row.key = rng_below(&g, 5) - 2; break;
    case 2: row.key = 42; break;
    case 3: row.key = place; break;
    default: row.key = -place; break;
    }
    row.place = (int32_t)place;
    memset(row.odd, (int)(place % 251), sizeof row.odd);
    return row;
}

/* Rows of rank r: equal, growing, all on the last rank, empty first rank, fewer rows than ranks. */
static int64_t share_of(int how, int r)
{
    switch (how) {
    case 0: return 1000;
    case 1: return 313 * r + 1;
    case 2: return r == test_par.n_ranks - 1 ? 5000 : 0;
    case 3: return r == 0 ? 0 : 700;
    default: return r == test_par.n_ranks / 2;
    }
}

static void check_sorted(const Row *got, int64_t n_got, int kind, int64_t n_all)
{
    Row *whole = NULL;
    CU_ASSERT_EQUAL_FATAL(arena_new(&whole, &test_arena, n_all), OK);
    for (int64_t i = 0; i < n_all; i++) whole[i] = row_at(kind, i);
    if (n_all > 0) qsort(whole, (size_t)n_all, sizeof *whole, by_key_and_place);
    int64_t first, last;
    par_share(&first, &last, &test_par, n_all);
    CU_ASSERT_EQUAL(n_got, last - first);
    if (n_got == last - first && n_got > 0) CU_ASSERT_EQUAL(memcmp(got, whole + first, (size_t)n_got * sizeof *got), 0);
}

static void sort_kind(int kind, int how)
{
    int64_t n = share_of(how, test_par.rank), start = par_offset_i64(&test_par, n), n_all = n, n_got = -1;
    par_sum_i64(&test_par, &n_all, 1);
    Row *rows = NULL, *got = NULL;
    CU_ASSERT_EQUAL_FATAL(arena_new(&rows, &test_arena, n), OK);
    for (int64_t i = 0; i < n; i++) rows[i] = row_at(kind, start + i);
    CHECK_OK(par_sort((void **)&got, &n_got, &test_par, rows, n, sizeof *rows, by_key, &test_arena));
    check_sorted(got, n_got, kind, n_all);
}

static void sorted_rows_are_those_of_one_rank_in_equal_shares(void)
{
    for (int kind = 0; kind < N_KINDS; kind++)
        for (int how = 0; how < N_SHARES; how++) sort_kind(kind, how);
}

static void sorting_survives_cut_messages(void)
{
    par_set_chunk(1000);
    for (int how = 0; how < N_SHARES; how++) sort_kind(1, how);
    par_set_chunk((int64_t)1 << 30);
}

static void nothing_at_all_can_be_sorted(void)
{
    void *got = NULL;
    int64_t n_got = -1;
    CHECK_OK(par_sort(&got, &n_got, &test_par, NULL, 0, sizeof(Row), by_key, &test_arena));
    CU_ASSERT_EQUAL(n_got, 0);
}

static int by_byte(const void *x, const void *y) { return *(const unsigned char *)x - *(const unsigned char *)y; }

static void records_of_one_byte_keep_their_counts(void)
{
    enum { N = 3001 };
    unsigned char mine[N], *got = NULL;
    int64_t had[256] = {0}, have[256] = {0}, n_got = 0;
    for (int i = 0; i < N; i++) had[mine[i] = (unsigned char)(i * 37 + test_par.rank * 11)]++;
    CHECK_OK(par_sort((void **)&got, &n_got, &test_par, mine, N, 1, by_byte, &test_arena));
    for (int64_t i = 0; i < n_got; i++) {
        have[got[i]]++;
        if (i > 0) CU_ASSERT(got[i - 1] <= got[i]);
    }
    par_sum_i64(&test_par, had, 256);
    par_sum_i64(&test_par, have, 256);
    CU_ASSERT_EQUAL(memcmp(had, have, sizeof had), 0);
}

static void no_rank_needs_much_more_than_its_share(void)
{
    enum { N = 20000, BYTES = 64 };
    Arena a;
    CHECK_OK(arena_init(&a, "sort", (size_t)1 << 30));
    for (int how = 0; how < 2; how++) { /* random keys, one key */
        int64_t *rows = NULL, n_got = 0;
        void *got = NULL;
        arena_reset(&a, (Mark){0});
        a.peak = 0;
        CHECK_OK(arena_take((void **)&rows, &test_arena, N, BYTES));
        Rng g = rng_stream(9, "test.share", test_par.rank, 0);
        for (int i = 0; i < N; i++) rows[i * (BYTES / 8)] = how ? 1 : (int64_t)rng_u64(&g);
        CHECK_OK(par_sort(&got, &n_got, &test_par, rows, N, BYTES, by_key, &a));
        CU_ASSERT_EQUAL(n_got, N);
        /* the header of par.h promises 2 to 3 shares; 3.5 leaves room for samples and uneven buckets */
        CU_ASSERT(2 * a.peak < (size_t)7 * N * BYTES);
    }
    arena_free(&a);
}

TEST_MAIN("par_sort",
          {"sorted rows are those of one rank, in equal shares", sorted_rows_are_those_of_one_rank_in_equal_shares},
          {"sorting survives cut messages", sorting_survives_cut_messages},
          {"nothing at all can be sorted", nothing_at_all_can_be_sorted},
          {"records of one byte keep their counts", records_of_one_byte_keep_their_counts},
          {"no rank needs much more than its share", no_rank_needs_much_more_than_its_share})
