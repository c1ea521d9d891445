/* Sums over the tree have the same bits whoever holds the leaves: each rank adds all leaves by itself and compares. */
#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "test_main.h"

enum { N = 37 }; /* doubles per leaf */

/* Numbers of very different size and either sign: any other order of additions shows. */
static void leaf(double out[N], int64_t block)
{
    Rng g = rng_stream(5, "test.tree", block, 0);
    for (int i = 0; i < N; i++) out[i] = rng_normal(&g) * pow(10, 8 * rng_uniform(&g));
}

static void serial_total(double out[N], int64_t n_blocks)
{
    TreeSum t;
    double value[N];
    CU_ASSERT_EQUAL_FATAL(treesum_init(&t, N, n_blocks, &test_arena), OK);
    for (int64_t b = 0; b < n_blocks; b++) {
        leaf(value, b);
        treesum_push(&t, b, value);
    }
    treesum_total(out, &t);
}

static void check_division(int64_t first, int64_t last, int64_t n_blocks)
{
    double expected[N], got[N], value[N];
    serial_total(expected, n_blocks);
    TreeSum t;
    CU_ASSERT_EQUAL_FATAL(treesum_init(&t, N, n_blocks, &test_arena), OK);
    for (int64_t b = first; b < last; b++) {
        leaf(value, b);
        treesum_push(&t, b, value);
    }
    memset(got, 0xff, sizeof got);
    CHECK_OK(par_tree_finish(got, &t, &test_par, &test_arena));
    CU_ASSERT_EQUAL(memcmp(got, expected, sizeof got), 0);
}

static void equal_shares_give_the_bits_of_one_rank(void)
{
    for (int64_t n_blocks = 0; n_blocks < 40; n_blocks++) {
        int64_t first, last;
        par_share(&first, &last, &test_par, n_blocks);
        check_division(first, last, n_blocks);
    }
}

static void uneven_and_empty_shares_give_the_same_bits(void)
{
    const int64_t n_blocks = 101;
    for (uint32_t trial = 0; trial < 30; trial++) {
        int64_t cut[65] = {0};
        CU_ASSERT_FATAL(test_par.n_ranks <= 64);
        Rng g = rng_stream(6, "test.cuts", 0, trial);
        for (int r = 1; r < test_par.n_ranks; r++) { /* rising by construction; often the same: an empty rank */
            int64_t next = rng_below(&g, n_blocks + 1);
            cut[r] = trial % 3 == 0 ? (trial % 2 ? n_blocks : 0) : next > cut[r - 1] ? next : cut[r - 1];
        }
        cut[test_par.n_ranks] = n_blocks;
        check_division(cut[test_par.rank], cut[test_par.rank + 1], n_blocks);
    }
}

static void cut_messages_change_nothing(void)
{
    par_set_chunk(8 * 5);
    int64_t first, last;
    par_share(&first, &last, &test_par, 29);
    check_division(first, last, 29);
    par_set_chunk((int64_t)1 << 30);
}

static void scratch_is_given_back(void)
{
    TreeSum t;
    double got[N];
    CHECK_OK(treesum_init(&t, N, 0, &test_arena));
    size_t used = test_arena.used;
    CHECK_OK(par_tree_finish(got, &t, &test_par, &test_arena));
    CU_ASSERT_EQUAL(test_arena.used, used);
}

static void different_sizes_are_our_mistake_and_said_so(void)
{
    if (test_par.n_ranks == 1) return;
    TreeSum t;
    double got[N];
    CHECK_OK(treesum_init(&t, test_par.rank == 1 ? N - 1 : N, 0, &test_arena));
    CHECK_FAILS(par_tree_finish(got, &t, &test_par, &test_arena), E_BUG);
}

TEST_MAIN("par_tree", {"equal shares give the bits of one rank", equal_shares_give_the_bits_of_one_rank},
          {"uneven and empty shares give the same bits", uneven_and_empty_shares_give_the_same_bits},
          {"cut messages change nothing", cut_messages_change_nothing},
          {"scratch is given back", scratch_is_given_back},
          {"different sizes are our mistake and said so", different_sizes_are_our_mistake_and_said_so})
