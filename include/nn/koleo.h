/* koleo.h - a loss that spreads a batch over the sphere (spec.md 4.8): minus the mean log of each direction's distance to its
   nearest neighbour. Local. */
#ifndef NN_KOLEO_H
#define NN_KOLEO_H

#include "core/arena.h"
#include "nn/real.h"

/* x (rows, n), rows >= 2. d_x (rows, n) += d_loss times the gradient; NULL = the loss alone. */
Status koleo_loss(double *loss, real *d_x, const real *x, real d_loss, int64_t rows, int64_t n, Arena *scratch);

#endif
