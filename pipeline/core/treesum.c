/* treesum.c - a binary counter of subtrees: sums over leaves in an order fixed by the leaves' numbers alone.

   Node (level, i) = node (level - 1, 2i) + node (level - 1, 2i + 1). Whoever adds leaves of a contiguous range can
   complete exactly the nodes whose leaves all lie in the range; those wait, left to right, for their siblings. A node
   whose right sibling has no leaves at all (it begins at or beyond n_blocks) is its parent unchanged: it rises at once.
   So any division into ranges makes the same additions with the same operands, and the root is the last node standing.
   */
#include "core/treesum.h"

#include <string.h>

/* Levels above the leaves: the smallest l with 2^l >= n_blocks. */
static int tree_height(int64_t n_blocks)
{
    int height = 0;
    while (height < 62 && ((int64_t)1 << height) < n_blocks) height++;
    return height;
}

/* A contiguous range leaves at most two nodes per level (one on its left slope, one on its right), and one more while
   merging. */
Status treesum_init(TreeSum *t, int64_t n, int64_t n_blocks, Arena *a)
{
    MUST(n >= 0 && n_blocks >= 0);
    memset(t, 0, sizeof *t);
    t->n = n;
    t->n_blocks = n_blocks;
    t->max_nodes = 2 * tree_height(n_blocks) + 3;
    TRY(arena_new(&t->node, a, t->max_nodes));
    TRY(arena_take((void **)&t->spare, a, n > 0 ? n : 1, (size_t)t->max_nodes * sizeof *t->spare));
    for (int i = 0; i < t->max_nodes; i++) t->node[i].value = t->spare + i * n;
    return OK;
}

static int64_t first_leaf(const TreeNode *node) { return node->index << node->level; }
static int64_t end_leaf(const TreeNode *node) { return (node->index + 1) << node->level; }

/* Merges the last two nodes while they are siblings, and raises a last node that has no sibling and is not yet the
   root. */
static void settle(TreeSum *t)
{
    int height = tree_height(t->n_blocks);
    for (;;) {
        TreeNode *last = &t->node[t->n_nodes - 1], *left = last - 1;
        bool is_right = last->index & 1;
        if (is_right && t->n_nodes > 1 && left->level == last->level && left->index == last->index - 1) {
            for (int64_t i = 0; i < t->n; i++) left->value[i] += last->value[i];
            t->n_nodes--;
            last = left;
        } else if (is_right || end_leaf(last) < t->n_blocks || last->level >= height) {
            return;
        }
        last->index >>= 1;
        last->level++;
    }
}

void treesum_push_node(TreeSum *t, int64_t index, int level, const double *value)
{
    MUST(level >= 0 && level <= tree_height(t->n_blocks) && t->n_nodes < t->max_nodes);
    TreeNode *node = &t->node[t->n_nodes];
    node->index = index;
    node->level = level;
    MUST(index >= 0 && first_leaf(node) < t->n_blocks);
    MUST(t->n_nodes == 0 || first_leaf(node) == end_leaf(node - 1)); /* to the right, without a gap */
    if (t->n > 0) memcpy(node->value, value, (size_t)t->n * sizeof *value);
    t->n_nodes++;
    settle(t);
}

void treesum_push(TreeSum *t, int64_t block, const double *value) { treesum_push_node(t, block, 0, value); }

void treesum_total(double *out, TreeSum *t)
{
    if (t->n_blocks == 0) {
        for (int64_t i = 0; i < t->n; i++) out[i] = 0;
        return;
    }
    MUST(t->n_nodes == 1 && first_leaf(t->node) == 0 && end_leaf(t->node) >= t->n_blocks);
    if (t->n > 0) memcpy(out, t->node[0].value, (size_t)t->n * sizeof *out);
}
