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

/* The last two nodes are merged while they are siblings; a last node that has no sibling and is not yet the root rises. */
int tree_append(TreeNode *held, int *n_held, int64_t index, int level, int64_t n_blocks)
{
    const int height = tree_height(n_blocks);
    int merged = 0;
    held[*n_held].index = index;
    held[*n_held].level = level;
    ++*n_held;
    for (;;) {
        TreeNode *last = &held[*n_held - 1];
        const bool is_right = last->index & 1;
        if (is_right && *n_held > 1 && last[-1].level == last->level && last[-1].index == last->index - 1) {
            merged++;
            --*n_held;
            last--;
        } else if (is_right || end_leaf(last) < n_blocks || last->level >= height) {
            return merged;
        }
        last->index >>= 1;
        last->level++;
    }
}

void treesum_push_node(TreeSum *t, int64_t index, int level, const double *value)
{
    MUST(level >= 0 && level <= tree_height(t->n_blocks) && t->n_nodes < t->max_nodes);
    MUST(index >= 0 && index << level < t->n_blocks);
    TreeNode *node = &t->node[t->n_nodes];
    MUST(t->n_nodes == 0 || index << level == end_leaf(node - 1)); /* to the right, without a gap */
    if (t->n > 0) memcpy(node->value, value, (size_t)t->n * sizeof *value);
    for (int merges = tree_append(t->node, &t->n_nodes, index, level, t->n_blocks); merges > 0; merges--, node--)
        for (int64_t i = 0; i < t->n; i++) node[-1].value[i] += node->value[i];
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
