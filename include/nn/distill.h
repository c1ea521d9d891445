/* distill.h - a student learns a teacher's probabilities (spec.md 4.7, 4.8): softmax of the teacher with an offset per
   class, cross-entropy of the student; and how the offsets keep classes in balance. Local. */
#ifndef NN_DISTILL_H
#define NN_DISTILL_H

#include "nn/real.h"

/* p (rows, n), may be logits: softmax(logits / temp + offset) of each row; offset (n) or NULL.

   Both ways to balance classes are offsets. Centering: -centre / temp. Sinkhorn-Knopp divides by sums over classes last, which
   is a softmax; what it did before is a factor per class, whose log is the offset. */
void distill_targets(real *p, const real *logits, const double *offset, double temp, int64_t rows, int64_t n);

/* The sum over rows of weight H, H = - sum_k target_k log softmax(logits / temp)_k; targets (rows, n) may add up to any number.
   d_logits (rows, n), may be logits: is set to the gradient; NULL = none. */
double distill_loss(real *d_logits, const real *target, const real *logits, const double *weight, double temp,
                    int64_t rows, int64_t n);

/* One of the iterations of Sinkhorn-Knopp, over rows that need not be all there are: adds to sum (n) what each class gets.
   Classes have been multiplied by `factor` (n), after which rows were brought to 1; NULL in the first iteration, which
   takes rows as they are, in units of exp(most), `most` being the largest logit / temp of all rows. The next factor is 1 /
   sum. */
void distill_sinkhorn(double *sum, const real *logits, const double *factor, double most, double temp, int64_t rows,
                      int64_t n);
double distill_most(const real *logits, double temp, int64_t n);

#endif
