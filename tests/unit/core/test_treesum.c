/* test_treesum.c - the same bits however the leaves are shared out; the order is that of the tree. */
#include "test_main.h"

#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "core/treesum.h"

enum { N = 3 };

/* Leaves of very different size, so that every order of adding gives other bits. */
static void leaf(double out[N], int64_t block)
{
    Rng r = rng_stream(11, "leaf", block, 0);
    for (int i = 0; i < N; i++) out[i] = rng_normal(&r) * exp(8 * rng_normal(&r));
}

/* Node (level, index) by the definition of the header. */
static void by_definition(double out[N], int level, int64_t index, int64_t n_blocks)
{
    if (level == 0) {
        leaf(out, index);
        return;
    }
    double right[N];
    by_definition(out, level - 1, 2 * index, n_blocks);
    if ((2 * index + 1) << (level - 1) >= n_blocks) return;
    by_definition(right, level - 1, 2 * index + 1, n_blocks);
    for (int i = 0; i < N; i++) out[i] += right[i];
}

static void root(double out[N], int64_t n_blocks)
{
    int level = 0;
    while (1LL << level < n_blocks) level++;
    by_definition(out, level, 0, n_blocks);
}

static void push_range(TreeSum *t, int64_t first, int64_t end)
{
    for (int64_t b = first; b < end; b++) {
        double value[N];
        leaf(value, b);
        treesum_push(t, b, value);
    }
}

static void one_range_adds_in_the_order_of_the_tree(void)
{
    for (int64_t n_blocks = 1; n_blocks <= 70; n_blocks++) {
        TreeSum t;
        double total[N], expected[N];
        CHECK_OK(treesum_init(&t, N, n_blocks, &test_arena));
        push_range(&t, 0, n_blocks);
        treesum_total(total, &t);
        root(expected, n_blocks);
        CU_ASSERT_EQUAL(memcmp(total, expected, sizeof total), 0);
    }
}

static void the_leaves_can_tell_orders_apart(void)
{
    double expected[N], running[N] = {0}, value[N];
    root(expected, 50);
    for (int64_t b = 0; b < 50; b++) {
        leaf(value, b);
        for (int i = 0; i < N; i++) running[i] += value[i];
    }
    CU_ASSERT_NOT_EQUAL(memcmp(running, expected, sizeof running), 0); /* else this file tests nothing */
}

/* Cuts 0 .. n_blocks at `parts` - 1 random places (ranges may be empty), sums each range, joins the nodes left to
   right. */
static void split_and_join(double total[N], int64_t n_blocks, int parts, Rng *r)
{
    TreeSum all;
    CHECK_OK(treesum_init(&all, N, n_blocks, &test_arena));
    int64_t first = 0;
    for (int p = 0; p < parts; p++) {
        int64_t end = p == parts - 1 ? n_blocks : first + rng_below(r, n_blocks - first + 1);
        TreeSum part;
        CHECK_OK(treesum_init(&part, N, n_blocks, &test_arena));
        push_range(&part, first, end);
        for (int i = 0; i < part.n_nodes; i++)
            treesum_push_node(&all, part.node[i].index, part.node[i].level, part.node[i].value);
        first = end;
    }
    treesum_total(total, &all);
}

static void any_sharing_gives_the_same_bits(void)
{
    Rng r = rng_stream(12, "cuts", 0, 0);
    for (int trial = 0; trial < 300; trial++) {
        Mark mark = arena_mark(&test_arena);
        int64_t n_blocks = 1 + rng_below(&r, trial < 100 ? 9 : 300);
        double total[N], expected[N];
        root(expected, n_blocks);
        split_and_join(total, n_blocks, 1 + (int)rng_below(&r, 9), &r);
        CU_ASSERT_EQUAL(memcmp(total, expected, sizeof total), 0);
        arena_reset(&test_arena, mark);
    }
}

static void few_nodes_are_kept(void)
{
    for (int64_t n_blocks = 1; n_blocks <= 40; n_blocks++)
        for (int64_t first = 0; first < n_blocks; first++) {
            Mark mark = arena_mark(&test_arena);
            TreeSum t;
            CHECK_OK(treesum_init(&t, N, n_blocks, &test_arena));
            push_range(&t, first, n_blocks);
            CU_ASSERT(t.n_nodes <= 2 * (int)ceil(log2((double)n_blocks)) + 1);
            for (int i = 1; i < t.n_nodes; i++) {
                const TreeNode *a = &t.node[i - 1], *b = &t.node[i];
                CU_ASSERT_EQUAL((a->index + 1) << a->level, b->index << b->level);
                CU_ASSERT(!(a->level == b->level && a->index % 2 == 0)); /* siblings would have merged */
            }
            arena_reset(&test_arena, mark);
        }
}

static void no_leaves_and_no_width(void)
{
    TreeSum t;
    double total[N] = {1, 2, 3};
    CHECK_OK(treesum_init(&t, N, 0, &test_arena));
    treesum_total(total, &t);
    CU_ASSERT(total[0] == 0 && total[1] == 0 && total[2] == 0);
    CHECK_OK(treesum_init(&t, 0, 5, &test_arena));
    for (int64_t b = 0; b < 5; b++) treesum_push(&t, b, total);
    treesum_total(total, &t);
    CU_ASSERT_EQUAL(t.n_nodes, 1);
}

TEST_MAIN("treesum", {"one range adds in the order of the tree", one_range_adds_in_the_order_of_the_tree},
          {"the leaves can tell orders apart", the_leaves_can_tell_orders_apart},
          {"any sharing of the leaves gives the same bits", any_sharing_gives_the_same_bits},
          {"few nodes are kept, and they adjoin", few_nodes_are_kept},
          {"no leaves, and values of no width", no_leaves_and_no_width})
