/* collapse.h - signs that a self-distillation has collapsed: the classes that a batch uses, the directions that its features
   fill. Local. */
#ifndef NN_COLLAPSE_H
#define NN_COLLAPSE_H

#include "core/arena.h"
#include "nn/real.h"

/* Entropy of the mean of the rows of p (rows, n), probabilities: log n when all classes are used alike, 0 when all rows are
   one class. */
Status collapse_entropy(double *entropy, const real *p, int64_t rows, int64_t n, Arena *scratch);

/* How many directions the rows of x (rows, n) spread over around their mean: (sum of variances)^2 / sum of their squares
   along the principal axes; 1 = a line, at most rows - 1 and n; 0 where all rows are the same. */
Status collapse_rank(double *rank, const real *x, int64_t rows, int64_t n, Arena *scratch);

#endif
