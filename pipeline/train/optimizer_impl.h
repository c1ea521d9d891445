/* optimizer_impl.h - what optimizer.c and optimizer_state.c share. */
#ifndef TRAIN_OPTIMIZER_IMPL_H
#define TRAIN_OPTIMIZER_IMPL_H

#include "par/pieces.h"
#include "train/optimizer.h"

struct Optimizer {
    Params *params;
    const Par *par;
    OptimizerConfig c;
    int64_t n, piece, n_pieces; /* reals of a gradient, of a piece */
    bool everything;            /* this rank steps all pieces, not only its own */

    int64_t first, last, next; /* this rank's replicas; the next to be collected */
    int n_buffers, n_held;     /* n_held buffers are nodes of the tree, the one after them is in hand */
    real **buffer;             /* (n_buffers) of (n) */
    TreeNode *held;
    int last_merges;  /* additions that the last replica completes */
    int64_t complete; /* of the last replica: pieces from here on are added and on their way */
    Pieces *pieces;

    real *m, *v, *average; /* of the pieces that this rank steps, side by side; v, average NULL = none */
    int n_modules;
    int64_t module_end[OPTIMIZER_MODULES]; /* in a gradient */
    double *squares;                       /* (n_modules, n_pieces) */
    bool swapped;                          /* the average is in place of the weights */
};

/* A stretch of one trained parameter within one of the pieces that this rank steps. */
typedef struct {
    int64_t piece, param;
    int64_t n;
    int64_t gradient, weight, state; /* where it begins in a gradient, in params->value, in m, v and average */
} Section;

/* for (Section s = optimizer_sections(o); optimizer_next(&s, o);) goes through all of them, in the order of the table. */
Section optimizer_sections(const Optimizer *o);
bool optimizer_next(Section *s, const Optimizer *o);

/* Collective. New weights of the pieces that this rank stepped reach all ranks. No-op where everybody stepped everything. */
void optimizer_spread_weights(Optimizer *o);

#endif
