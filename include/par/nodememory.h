/* nodememory.h - memory that the ranks of a node share: weights lie there once, however many ranks read them. */
#ifndef PAR_NODEMEMORY_H
#define PAR_NODEMEMORY_H

#include "par/par.h"

typedef struct {
    void *base; /* zeroed, on a border of a page; the same bytes on every rank of the node */
    int64_t bytes;
    bool first; /* this rank fills it */
    Par node;   /* the ranks that share it */
} NodeMemory;

/* Collective. `bytes` of memory per node. Where a rank cannot reach the other's memory each has its own, and is `first`.
   ASTROCLIP_NODE_SIZE=n pretends that a node has n ranks. E_MEMORY. */
Status nodememory_open(NodeMemory *out, const Par *par, int64_t bytes);

/* Collective over the node. What `first` wrote is there for all; the others can only read from now on. */
void nodememory_barrier(const NodeMemory *m);

void nodememory_close(NodeMemory *m); /* Collective over the node. Twice-safe. */

#endif
