/* test_rowkeys.c - keys of rows: every row of either side comes up once, with its partner where there is one. */
#include <string.h>

#include "tables/rowkeys.h"
#include "test_main.h"

static int64_t pair_of(KeyPairs *p, const char *survey, const char *program)
{
    int64_t n = -1;
    CHECK_OK(keypairs_number(&n, p, survey, strlen(survey), program, strlen(program)));
    return n;
}

static void pairs_keep_their_numbers(void)
{
    KeyPairs p;
    CHECK_OK(keypairs_init(&p, &test_arena));
    int64_t dark = pair_of(&p, "main", "dark"), bright = pair_of(&p, "main", "bright"), none = pair_of(&p, "", "");
    CU_ASSERT(dark != bright && bright != none && dark != none);
    CU_ASSERT(pair_of(&p, "main", "dark") == dark && pair_of(&p, "", "") == none);
    int64_t padded = -1; /* cells of 8 bytes, with and without room for a NUL */
    CHECK_OK(keypairs_number(&padded, &p, "main\0\0\0\0", 8, "dark\0\0\0\0", 8));
    CU_ASSERT(padded == dark);
    CHECK_FAILS(keypairs_number(&padded, &p, "a survey with a name too long", 29, "", 0), E_INPUT);
}

/* A: even numbers, B: multiples of three, both in an order of their own; TARGETIDs of either sign and full size. */
static void every_row_comes_up_once_with_its_partner(void)
{
    enum { N = 600 };
    RowKey a[N / 2], b[N / 3];
    int64_t n_a = 0, n_b = 0, common = 0, only_a = 0, only_b = 0;
    for (int64_t i = 0; i < N / 2; i++) {
        int64_t x = 2 * (i * 7 % (N / 2));
        a[n_a++] = rowkey((x - N / 2) * 15372286728091, 1, i);
    }
    for (int64_t i = 0; i < N / 3; i++) {
        int64_t x = 3 * (i * 11 % (N / 3));
        b[n_b++] = rowkey((x - N / 2) * 15372286728091, 1, i);
    }
    rowkeys_sort(a, n_a);
    rowkeys_sort(b, n_b);
    KeyWalk walk = {a, b, n_a, n_b};
    for (const RowKey *x, *y; keywalk_next(&walk, &x, &y);) {
        if (x && y) CU_ASSERT(x->targetid == y->targetid);
        common += x && y;
        only_a += x && !y;
        only_b += y && !x;
    }
    CU_ASSERT_EQUAL(common, N / 6);
    CU_ASSERT_EQUAL(only_a, N / 2 - N / 6);
    CU_ASSERT_EQUAL(only_b, N / 3 - N / 6);
}

static void the_same_target_in_another_program_is_another_row(void)
{
    RowKey a[] = {rowkey(5, 0, 0), rowkey(5, 1, 1)}, b[] = {rowkey(5, 1, 0)};
    KeyWalk walk = {a, b, 2, 1};
    const RowKey *x, *y;
    CU_ASSERT(keywalk_next(&walk, &x, &y) && x && !y && rowkey_row(x) == 0);
    CU_ASSERT(keywalk_next(&walk, &x, &y) && x && y && rowkey_row(x) == 1 && rowkey_row(y) == 0);
    CU_ASSERT(!keywalk_next(&walk, &x, &y));
}

static void a_key_that_stands_twice_is_paired_in_order(void)
{
    RowKey a[] = {rowkey(5, 0, 9), rowkey(5, 0, 2)}, b[] = {rowkey(5, 0, 4)};
    rowkeys_sort(a, 2);
    KeyWalk walk = {a, b, 2, 1};
    const RowKey *x, *y;
    CU_ASSERT(keywalk_next(&walk, &x, &y) && x && y && rowkey_row(x) == 2);
    CU_ASSERT(keywalk_next(&walk, &x, &y) && x && !y && rowkey_row(x) == 9);
    CU_ASSERT(!keywalk_next(&walk, &x, &y));
}

static void rows_and_pairs_of_any_size_fit(void)
{
    RowKey k = rowkey(INT64_MIN, KEY_PAIRS - 1, ((int64_t)1 << 40) - 1);
    CU_ASSERT(k.targetid == INT64_MIN && rowkey_pair(&k) == KEY_PAIRS - 1 && rowkey_row(&k) == ((int64_t)1 << 40) - 1);
}

TEST_MAIN("rowkeys", {"pairs of texts keep their numbers", pairs_keep_their_numbers},
          {"every row comes up once, with its partner", every_row_comes_up_once_with_its_partner},
          {"the same target in another program is another row", the_same_target_in_another_program_is_another_row},
          {"a key that stands twice is paired in the order of its rows", a_key_that_stands_twice_is_paired_in_order},
          {"rows and pairs of any size fit", rows_and_pairs_of_any_size_fit})
