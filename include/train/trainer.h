/* trainer.h - the loop that all trainings share: batches, steps, validation, best and last checkpoint, resume.

   In FOLDER (OUTPUT/train_spectrum, ...): metrics.csv, one line per step; state-NNNNNNNN.h5 (weights, moments, step: the last
   two), best.ckpt.h5 and last.ckpt.h5 (the trained weights of the best validation and of the end). Stopped at any step, by signal or kill, the same command goes on from
   the newest state on any number of ranks, to the same bits. */
#ifndef TRAIN_TRAINER_H
#define TRAIN_TRAINER_H

#include "core/config.h"
#include "io/artefact.h"
#include "train/objective.h"

/* Section "train": what all trainings share. */
typedef struct {
    const char *dataset; /* dataset.h5, in run.output unless absolute */
    int64_t replicas;    /* "processes" of the released code: each has its own batch, negatives, masks */
    bool sharded;        /* moments and averages split over ranks */
    int precision;       /* index of train_precisions: f32, bf16 */
    int64_t shuffle_block, shuffle_window; /* samples (order.h) */
    double save_minutes;                   /* a state at least so often */
    int64_t save_steps;                    /* ... and after so many steps; 0 = by time only */
    ConfigTexts no_decay;
} TrainConfig;
extern const ConfigSection train_section;
extern const char *const train_precisions[]; /* "f32", "bf16", NULL */

/* How one training goes; the fields of its section begin with these (TRAIN_RECIPE_FIELDS). */
typedef struct {
    int64_t batch;      /* samples of a replica in a step */
    int64_t steps;      /* of the optimiser */
    double lr, lr_last; /* peak and last learning rate */
    int64_t warmup_steps;
    int64_t schedule_steps; /* where the cosine ends; 0 = steps */
    double beta1, beta2, eps, weight_decay;
    bool sgd; /* in place of AdamW */
    double sgd_momentum;
    double clip; /* 0 = no clipping */
    double ema;  /* 0 = none */
    double dropout;
    bool recompute;         /* activations in the backward pass */
    int64_t validate_every; /* steps; 0 = at the end only */
    int64_t val_batches;    /* at most */
    int64_t patience;       /* validations without a better loss before it ends; 0 = never */
    int keep;               /* index of train_keeps: which weights are the result */
} TrainRecipe;
enum { KEEP_BEST, KEEP_LAST };
extern const char *const train_keeps[]; /* "best", "last", NULL */

/* Rows of a section's table whose struct T has a TrainRecipe as its first member `recipe`. */
#define TRAIN_RECIPE_FIELDS(batch_, steps_, lr_, warmup_, beta2_, decay_, clip_, dropout_)                             \
    FIELD_INT(TrainRecipe, batch, batch_, 1, 1e6, RESULT, "samples of a replica in a step"),                           \
        FIELD_INT(TrainRecipe, steps, steps_, 1, 1e9, RESULT, "steps of the optimiser"),                               \
        FIELD_REAL(TrainRecipe, lr, lr_, 0, 10, RESULT, "peak learning rate"),                                         \
        FIELD_REAL(TrainRecipe, lr_last, "0", 0, 10, RESULT, "learning rate at the end of the schedule"),              \
        FIELD_INT(TrainRecipe, warmup_steps, warmup_, 0, 1e9, RESULT,                                                  \
                  "steps in which the learning rate rises from 0"),                                                    \
        FIELD_INT(TrainRecipe, schedule_steps, "0", 0, 1e9, RESULT, "step at which the cosine ends; 0 = steps"),       \
        FIELD_REAL(TrainRecipe, beta1, "0.9", 0, 1, RESULT, "AdamW: decay of the first moment"),                       \
        FIELD_REAL(TrainRecipe, beta2, beta2_, 0, 1, RESULT, "AdamW: decay of the second moment"),                     \
        FIELD_REAL(TrainRecipe, eps, "1e-8", 0, 1, RESULT, "AdamW: added to the root of the second moment"),           \
        FIELD_REAL(TrainRecipe, weight_decay, decay_, 0, 10, RESULT, "AdamW: weight decay"),                           \
        FIELD_REAL(TrainRecipe, clip, clip_, 0, 1e9, RESULT, "largest norm of the gradient; 0 = not clipped"),         \
        FIELD_REAL(TrainRecipe, ema, "0", 0, 0.999999, RESULT, "momentum of an average of the weights; 0 = none"),     \
        FIELD_REAL(TrainRecipe, dropout, dropout_, 0, 0.9, RESULT, "probability of dropout"),                          \
        FIELD_BOOL(TrainRecipe, recompute, "false", EFFORT,                                                            \
                   "compute activations again in the backward pass: a tenth of the memory, a fourth more work"),       \
        FIELD_INT(TrainRecipe, validate_every, "500", 0, 1e9, RESULT, "steps between validations; 0 = at the end"),    \
        FIELD_INT(TrainRecipe, val_batches, "100", 1, 1e9, RESULT, "batches of a validation, at most"),                \
        FIELD_INT(TrainRecipe, patience, "0", 0, 1e9, RESULT,                                                          \
                  "validations without a better loss before training ends; 0 = never"),                                \
        FIELD_CHOICE(TrainRecipe, keep, "best", train_keeps, RESULT, "which weights are the result")

typedef struct {
    const char *stage;  /* "train_spectrum": for messages */
    const char *folder; /* exists */
    const TrainConfig *config;
    const TrainRecipe *recipe;
    const Objective *objective;
    Params *params;
    const Sample *train,
        *val; /* NULL: images without a list, sample i of `train` being image i and of `val` n_train + i */
    int64_t n_train, n_val;
    uint64_t seed;
    Envelope envelope; /* of states and of the best checkpoint */
} Trainer;

typedef struct {
    int64_t steps;     /* done in all */
    int64_t resumed;   /* step this run began with */
    int64_t best_step; /* -1 = there was no validation */
    double first_loss, loss, best_loss;
    bool early; /* patience ran out */
} TrainReport;

/* Collective. Trains to the end; then params hold the weights to keep (best or last, averaged with `ema`), the same on all
   ranks. E_INTERRUPTED after its state is safe. E_NUMERIC names step and parameter; the state before that step is safe. */
Status trainer_run(TrainReport *out, const Trainer *t, const Par *par, Arena *a);

/* ---- states (state.c) ---- */

typedef struct {
    int64_t step;              /* steps done */
    int64_t best_step, waited; /* validations since then */
    double best_loss, first_loss;
    double *memory; /* (n_memory) of the objective, borrowed */
    int64_t n_memory;
} TrainState;

/* Collective. The newest state in the folder that bears the fingerprint, into weights, optimiser and the memory that `s` names;
   found = false where there is none. */
Status state_load(bool *found, TrainState *s, Params *p, Optimizer *o, const char *folder,
                  const Fingerprint *fingerprint, const Par *par, Arena *scratch);
/* Collective. Written under a .part name, sealed, renamed; of older ones the newest stays. */
Status state_save(const TrainState *s, const Params *p, Optimizer *o, const char *folder, const Envelope *envelope,
                  const Par *par, Arena *scratch);
/* Collective. Removes all states, once the result has its final name. */
Status state_remove_all(const char *folder, const Par *par);

#endif
