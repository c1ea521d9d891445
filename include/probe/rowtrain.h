/* rowtrain.h - the training that small networks share (few-shot probes, morphology, flows, photometry): rows that fit in
   memory, spread over ranks; batches by epoch; Adam. Double throughout, serial mathematics in the model, ranks here.

   Rows are dealt to `parts` by their id; a rank holds the parts that par_share gives it (ranks beyond `parts` hold none).
   In each step every part gives its share of the batch from its own shuffled rows; gradients are summed over the fixed
   binary tree of parts, so the weights have the same bits for any number of ranks. */
#ifndef PROBE_ROWTRAIN_H
#define PROBE_ROWTRAIN_H

#include "core/arena.h"
#include "par/par.h"

/* What is trained; borrowed. */
typedef struct {
    int64_t n_params, dim_x, dim_y;
    const void *self;
    /* Local. *loss += the sum over n rows, d_p (n_params) += its gradient (NULL = the loss alone, without dropout).
       x (n, dim_x), y (n, dim_y), id (n) for random numbers: value = f(seed, id). */
    Status (*loss)(double *loss, double *d_p, const void *self, const double *p, const double *x, const double *y,
                   const int64_t *id, int64_t n, uint64_t seed, Arena *scratch);
} RowModel;

/* This rank's rows, however they are spread; ids differ. */
typedef struct {
    int64_t n;
    const float *x;       /* (n, dim_x)                                              */
    const double *y;      /* (n, dim_y)                                              */
    const int64_t *id;    /* (n)                                                     */
    const double *weight; /* (n) chance of being drawn, with replacement; NULL = each row once an epoch */
} RowSet;

typedef struct {
    int64_t batch, epochs, parts;
    double lr, lr_last;  /* lr_e = lr_last + (lr - lr_last) (1 + cos(pi e / epochs)) / 2; the same = constant */
    double val_fraction; /* of the rows, by a hash of seed and id, held out of the training; 0 = none */
    bool keep_best;      /* the weights of the epoch with the least val loss; else the last epoch's */
    int64_t
        stop_after; /* from this epoch on, training ends when the val loss is above the mean of the `stop_window` before; 0 = never */
    int64_t stop_window;
} RowTraining;

typedef struct {
    int64_t epochs, best_epoch, n_train, n_val;
    double loss, val_loss; /* means per row, of the last epoch; NaN where there is none */
} RowReport;

/* Collective. p (n_params): first values in (the same on all ranks), trained weights out. E_NUMERIC when a loss is not
   finite. */
Status rows_train(RowReport *out, double *p, const RowModel *model, const RowSet *rows, const RowTraining *c,
                  uint64_t seed, const Par *par, Arena *a);

/* Local. One step of Adam as PyTorch defines it (spec.md 3.7 without decay): gradient g times scale; m and v (n) are zero
   at first, step counts from 1. */
void rows_adam(double *p, double *m, double *v, const double *g, double scale, int64_t n, double lr, int64_t step);

#endif
