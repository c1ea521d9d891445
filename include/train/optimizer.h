/* optimizer.h - from the gradients of replicas to new weights: sums over the fixed tree of replicas, mean, clipping,
   AdamW or SGD with momentum, moving average. The same bits for any number of ranks up to the number of replicas.

   Rank r owns the replicas that par_share(n_replicas) gives it. Each replica's gradient is a buffer of
   params->n_d_reals; it is added to its sibling as soon as both are there, so a rank holds few of them (about
   2 log2(its replicas) + 1). Pieces (OPTIMIZER_PIECE reals of the flat gradient) go to the ranks that own them, in turn;
   the owner adds what came in the order of the tree (a replica number is a leaf; value = left + right), and the rest of
   the step is his: squares of the norm piece by piece, clipping, AdamW, moving average. Then all ranks get the new
   weights.

   sharded: moments and average only of the pieces that this rank owns. Not sharded: all ranks get the summed gradient
   and step everything, the same numbers. */
#ifndef TRAIN_OPTIMIZER_H
#define TRAIN_OPTIMIZER_H

#include "core/config.h"
#include "io/h5.h"
#include "nn/optim.h"
#include "nn/params.h"
#include "par/par.h"

enum { OPTIMIZER_PIECE = 1 << 18 };

typedef struct {
    AdamW adam; /* lr and weight decay are given per step */
    bool sgd;   /* in place of AdamW, without a second moment */
    double sgd_momentum;
    double max_norm; /* 0 = no clipping */
    double ema;      /* momentum of the average of the weights; 0 = none */
    int64_t n_replicas;
    bool sharded;
    ConfigTexts no_decay; /* parameters whose names end with one of these are not decayed */
    int64_t piece;        /* 0 = OPTIMIZER_PIECE; part of the answer: the norm is summed piece by piece */
    /* Beginnings of names, NULL-terminated: parameters that are clipped together, by a norm of their own; they lie side by side
       in this order. NULL = all together. */
    const char *const *modules;
} OptimizerConfig;

enum { OPTIMIZER_MODULES = 4 };

typedef struct Optimizer Optimizer;

typedef struct {
    double norm; /* of the mean gradient, before clipping */
    double module_norm[OPTIMIZER_MODULES];
    const char
        *not_finite; /* the first parameter whose gradient has NaN or Inf; NULL = none. Nothing was changed then */
} StepReport;

/* Collective. The table's weights are set and equal on all ranks; nothing is frozen afterwards; `p` and `par` are
   borrowed. Slabs live in `a`. E_CONFIG when there are more ranks than replicas. */
Status optimizer_open(Optimizer **out, Params *p, const OptimizerConfig *c, const Par *par, Arena *a);

/* Collective, NULL-safe. Messages of a step that was begun and failed on some rank are ended, so that the arenas can
   go. To be called when optimizer_open was OK, before `a` is freed, whatever failed. */
void optimizer_close(Optimizer *o);

/* Local. Bytes that optimizer_open takes on the rank that needs most, for plans: gradients in hand, moments, average,
   pieces on their way. The weights themselves are not in it. */
int64_t optimizer_bytes(const OptimizerConfig *c, int64_t n_d_reals, int64_t n_ranks);

/* Local. This rank's replicas, and a zeroed buffer for the gradient of the next of them, in order. */
void optimizer_replicas(int64_t *first, int64_t *last, const Optimizer *o);
real *optimizer_gradient(Optimizer *o, int64_t replica);
/* Local. Gradients at offsets >= d_offset of the replica in hand are final (a backward pass goes from the end of the
   table to its beginning): if it is this rank's last replica, their pieces leave already and are not to be touched
   again. A hint; changes no bit. */
void optimizer_ready(Optimizer *o, int64_t d_offset);
/* Local. The replica's gradient is complete. */
void optimizer_collect(Optimizer *o, int64_t replica);

/* Collective, after all replicas were collected on all ranks (par_agree comes before it). step counts from 1. Per
   parameter factors of the learning rate and of the decay (n_params; NULL = 1). */
Status optimizer_step(StepReport *out, Optimizer *o, double lr, double weight_decay, const double *lr_scale,
                      const double *decay_scale, int64_t step);

/* Local. The momentum of the average from now on, in place of that of the configuration, which has one. */
void optimizer_momentum(Optimizer *o, double momentum);

/* Collective, between steps. Moments and average into / from the groups "moment1", "moment2" (AdamW), "average" of a file that
   is open on the same ranks, by parameter name, each with its own shape: any number of ranks can go on, sharded or not.
   load: E_INPUT names what is missing. */
Status optimizer_save(H5File *f, Optimizer *o);
Status optimizer_load(H5File *f, Optimizer *o);

/* Collective. The average of the weights in place of the weights, for validation, for a teacher's pass and for the result, and
   back before the next gradient or save. No-op without ema. */
Status optimizer_swap_average(Optimizer *o);

#endif
