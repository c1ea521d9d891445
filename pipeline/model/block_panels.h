/* block_panels.h - block_forward (block.h) where the products have panels. Private to model. Local. */
#ifndef MODEL_BLOCK_PANELS_H
#define MODEL_BLOCK_PANELS_H

#include "model/block.h"
#include "nn/panels.h"

#ifdef NN_PANELS
Status block_forward_panels(real *x, const Params *p, const Block *b, int64_t n_blocks, const BlockShape *s,
                            Arena *step);
#endif

#endif
