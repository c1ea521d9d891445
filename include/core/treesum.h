/* treesum.h - sums whose order is fixed by the catalogue, not by who adds.

   Values live at the leaves 0 .. n_blocks-1 of a binary tree over block indices; the sum of a node is left + right, a
   missing right child adds nothing. A TreeSum takes the leaves of one contiguous range in increasing order and keeps
   the complete subtrees of that range: at most 2 log2(n_blocks) vectors. par_tree_finish (par/par.h) joins the ranges
   of all ranks: same bits for any number of ranks. Local. */
#ifndef CORE_TREESUM_H
#define CORE_TREESUM_H

#include "core/arena.h"

typedef struct {
    int64_t index; /* node covers leaves [index << level, (index + 1) << level) */
    int level;
    double *value; /* (n) */
} TreeNode;

/* Local. The shape alone, for sums of other things: appends a node to the right of those held (values are not touched)
   and returns how often the last two values are then added, left += right, the right one gone. `held` has room for
   TREE_HELD nodes. */
enum { TREE_HELD = 2 * 62 + 3 };
int tree_append(TreeNode *held, int *n_held, int64_t index, int level, int64_t n_blocks);

typedef struct {
    int64_t n;        /* doubles per value */
    int64_t n_blocks; /* leaves of the whole tree */
    int n_nodes, max_nodes;
    TreeNode *node; /* left to right; adjacent siblings are always merged */
    double *spare;  /* the memory that the nodes' values rotate through */
} TreeSum;

/* Local. Memory: 2 ceil(log2(n_blocks)) + 3 vectors of n doubles from `a`. */
Status treesum_init(TreeSum *t, int64_t n, int64_t n_blocks, Arena *a);

/* Local. Adds leaf `block` (n doubles); blocks of one TreeSum come in increasing order without gaps. */
void treesum_push(TreeSum *t, int64_t block, const double *value);

/* Local. Appends a node that lies to the right of all nodes held. */
void treesum_push_node(TreeSum *t, int64_t index, int level, const double *value);

/* Local. The total, once nodes cover all leaves (n_blocks = 0: zeros). */
void treesum_total(double *out, TreeSum *t);

#endif
