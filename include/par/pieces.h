/* pieces.h - sums of float vectors too large to wait for: cut in pieces, each of which is summed by the rank that owns
   it while the others are still being computed, in the order of a fixed tree.

   The vectors are nodes of the tree of core/treesum.h over n_leaves: rank r holds those of the leaves that par_share
   gives it. Piece k belongs to rank k mod n_ranks, so that all ranks receive at all times. Pieces become final from the
   last one to the first, as gradients do in a backward pass; a piece that is final leaves by a nonblocking send, and
   the sums go on during later calls. MPI adds nothing. All calls are on the main thread. */
#ifndef PAR_PIECES_H
#define PAR_PIECES_H

#include "par/par.h"

typedef struct Pieces Pieces;

/* Local. Each rank gives the same numbers: n floats in pieces of `piece` (below 2^31 bytes), n_leaves >= n_ranks. */
Status pieces_open(Pieces **out, const Par *par, int64_t n, int64_t piece, int64_t n_leaves, Arena *a);
/* Local. What pieces_open takes from the arena on this rank. */
int64_t pieces_bytes(const Par *par, int64_t n, int64_t piece, int64_t n_leaves);
/* Local. Nodes that this rank ends with, and the most it holds at once while it adds its leaves one by one. */
int pieces_nodes(int *most, const Par *par, int64_t n_leaves);

/* Local. A sum begins: node[0 ...] (n each) are this rank's nodes from left to right, still being computed. */
void pieces_begin(Pieces *p, float *const *node);
/* Local. Pieces `first` and above are final in all nodes of this rank; they are not touched until pieces_finish. */
void pieces_ready(Pieces *p, int64_t first);
/* Collective, after pieces_ready(p, 0). Returns when this rank's pieces are summed, in node[0], and all sends are done:
   the other pieces of the nodes are free. */
void pieces_finish(Pieces *p);
/* Collective. Ends a sum that some ranks began and that shall not be: afterwards nothing is under way. node: memory of
   the right size, with anything in it. */
void pieces_abandon(Pieces *p, float *const *node);

/* Collective. Everybody gets every piece of `all` (n) from its owner. */
void pieces_share(const Pieces *p, float *all);
/* Collective. The same for one number per piece. */
void pieces_share_f64(Pieces *p, double *each);

#endif
