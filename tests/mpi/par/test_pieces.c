/* Pieces are summed in the order of the tree, whoever holds the leaves, however the vectors are cut, and whenever the pieces
   become ready: each rank adds all leaves by itself with a TreeSum's shape and compares. */
#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "par/pieces.h"
#include "test_main.h"

enum { N = 101 };

static void leaf(float out[N], int64_t number)
{
    Rng g = rng_stream(8, "test.pieces", number, 0);
    for (int i = 0; i < N; i++) out[i] = (float)(rng_normal(&g) * pow(10, 6 * rng_uniform(&g)));
}

/* Adds the leaves [first, last) into node (which has room for what is held on the way); returns how many nodes they make. */
static int add_leaves(float (*node)[N], int64_t first, int64_t last, int64_t n_leaves)
{
    TreeNode held[TREE_HELD];
    int n_held = 0;
    for (int64_t k = first; k < last; k++) {
        int top = n_held;
        leaf(node[top], k);
        for (int m = tree_append(held, &n_held, k, 0, n_leaves); m > 0; m--, top--)
            for (int i = 0; i < N; i++) node[top - 1][i] += node[top][i];
    }
    return n_held;
}

static void check(int64_t n_leaves, int64_t piece, int64_t stride)
{
    const Mark mark = arena_mark(&test_arena);
    float want[TREE_HELD][N], mine[TREE_HELD][N], *node[TREE_HELD];
    CU_ASSERT_EQUAL(add_leaves(want, 0, n_leaves, n_leaves), 1);
    Pieces *p = NULL;
    const size_t before = test_arena.used;
    CHECK_OK(pieces_open(&p, &test_par, N, piece, n_leaves, &test_arena));
    CU_ASSERT_EQUAL((int64_t)(test_arena.used - before), pieces_bytes(&test_par, N, piece, n_leaves));
    for (int again = 0; again < 2; again++) {
        int64_t first, last;
        int most;
        par_share(&first, &last, &test_par, n_leaves);
        for (int i = 0; i < TREE_HELD; i++) node[i] = mine[i];
        CU_ASSERT_EQUAL(add_leaves(mine, first, last, n_leaves), pieces_nodes(&most, &test_par, n_leaves));
        pieces_begin(p, node);
        for (int64_t k = (N + piece - 1) / piece; k > 0; k -= stride) pieces_ready(p, k);
        pieces_ready(p, 0);
        pieces_finish(p);
        for (int64_t k = test_par.rank; k * piece < N; k += test_par.n_ranks)
            for (int64_t i = k * piece; i < N && i < (k + 1) * piece; i++) CU_ASSERT(mine[0][i] == want[0][i]);
        pieces_share(p, mine[0]);
        CU_ASSERT(memcmp(mine[0], want[0], sizeof want[0]) == 0);
    }
    arena_reset(&test_arena, mark);
}

static void pieces_are_summed_in_tree_order(void)
{
    static const int64_t pieces[] = {1, 7, 16, 50, 101, 1000};
    for (int64_t n_leaves = test_par.n_ranks; n_leaves < 20; n_leaves++)
        for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) check(n_leaves, pieces[i], 1 + (int64_t)i);
}

static void numbers_of_pieces_reach_everybody(void)
{
    for (int64_t n = 1; n <= 3 * test_par.n_ranks + 1; n++) {
        Pieces *p = NULL;
        double each[64];
        CHECK_OK(pieces_open(&p, &test_par, n, 1, test_par.n_ranks, &test_arena));
        for (int64_t k = 0; k < n; k++) each[k] = k % test_par.n_ranks == test_par.rank ? 1.5 * (double)k : -1;
        pieces_share_f64(p, each);
        for (int64_t k = 0; k < n; k++) CU_ASSERT_EQUAL(each[k], 1.5 * (double)k);
    }
}

/* Some ranks began and are half way, others never will. */
static void a_sum_can_be_given_up(void)
{
    float mine[TREE_HELD][N] = {{0}}, *node[TREE_HELD];
    for (int i = 0; i < TREE_HELD; i++) node[i] = mine[i];
    Pieces *p = NULL;
    CHECK_OK(pieces_open(&p, &test_par, N, 3, 9, &test_arena));
    for (int who = 0; who <= test_par.n_ranks; who++) {
        if (test_par.rank == who) pieces_begin(p, node);
        if (test_par.rank == who) pieces_ready(p, 11);
        pieces_abandon(p, node);
    }
    check(9, 3, 1);
}

TEST_MAIN("pieces", {"pieces are summed in tree order", pieces_are_summed_in_tree_order},
          {"numbers of pieces reach everybody", numbers_of_pieces_reach_everybody},
          {"a sum can be given up", a_sum_can_be_given_up})
