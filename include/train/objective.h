/* objective.h - what a training minimises. The loop (trainer.h) asks an objective for the losses and gradients of this
   rank's replicas; everything random in it is a function of (seed, purpose, TARGETID, step). */
#ifndef TRAIN_OBJECTIVE_H
#define TRAIN_OBJECTIVE_H

#include "data/dataset.h"
#include "model/dino.h"
#include "model/moco.h"
#include "model/model.h"
#include "nn/schedule.h"
#include "train/imagereader.h"
#include "train/optimizer.h"

/* What this rank does in one step: replica first + k trains with sample[k * batch ... + batch). */
typedef struct {
    int64_t step;              /* from 0 */
    int64_t first, n_mine;     /* this rank's replicas */
    int64_t n_replicas, batch; /* of all; samples of each */
    const Sample *sample;      /* (n_mine, batch) */
    uint64_t seed;
    double *terms;        /* (n_mine, terms of the objective) to be filled where it has any */
    Optimizer *optimizer; /* optimizer_gradient, optimizer_ready, optimizer_collect for each replica in order */
    const Par *par;
    Arena *arena; /* of the step: reset after it */
} StepBatch;

/* What a step of the optimiser goes by. */
typedef struct {
    double lr, weight_decay;
    double momentum;                      /* of the average of the weights */
    const double *lr_scale, *decay_scale; /* (n_params) what multiplies them; NULL = 1 */
} StepRates;

typedef struct {
    const char *name; /* "masked spectra" */
    SampleKind needs;
    void *self;
    /* Collective only where replicas meet (global negatives): then all ranks. loss (n_mine): of each replica. The gradients are
       those of each replica's own loss; the optimiser takes their mean. */
    Status (*step)(double *loss, void *self, const StepBatch *b);
    /* Local. Mean loss of n samples as one batch with today's weights; no dropout; the same masks each time. */
    Status (*validate)(double *loss, void *self, const Sample *sample, int64_t n, uint64_t seed, Arena *a);
    /* Local. The weights changed (a step, a resume, an average swapped in). May be NULL. */
    Status (*refresh)(void *self);

    /* ---- what only some have; NULL = not ---- */
    const char *const *terms; /* names of numbers of each step, of which metrics.csv tells the mean over replicas */
    /* Local. In place of the recipe's rates. */
    void (*rates)(StepRates *out, const void *self, int64_t step);
    const char *const *modules; /* what is clipped together (OptimizerConfig) */
    /* The average of the weights (OptimizerConfig.ema) is the objective's own affair, such as a key encoder: the weights
       themselves are validated and kept. */
    bool keeps_weights;
    /* What it carries from step to step beside the weights, the same on all ranks: part of a state. */
    double *memory;
    int64_t n_memory;
    /* Local. The step that was just made is taken: what it left goes into the memory. */
    void (*accept)(void *self);
} Objective;

/* ---- SpecFormer by masked modelling (spec.md 3.3) ---- */

typedef struct {
    int64_t num_chunks, chunk_width;
    double dropout;
    bool recompute;
} MaskedConfig;

/* Local. `model` has a spectrum encoder of kind specformer (else E_CONFIG). Only spectrum_encoder.backbone. is trained: the caller froze
   the rest. */
Status masked_objective(Objective *out, const MaskedConfig *c, Model *model, Dataset *d, Arena *a);
/* Local. The validation loss of a model that predicts the mean of each spectrum: what learning has to fall below. */
Status masked_mean_loss(double *loss, const Objective *o, const Sample *sample, int64_t n, uint64_t seed, Arena *a);
/* Local. Memory of a step beside weights, gradients and moments, for plans: most of it is one spectrum's activations. */
double masked_step_bytes(const MaskedConfig *c, const Model *model, int64_t batch);
/* What the caller freezes (params_freeze) before the optimiser is opened; NULL-terminated. */
extern const char *const masked_frozen[];

/* ---- AstroDINO by self-distillation (spec.md 4) ---- */

typedef enum { BALANCE_CENTERING, BALANCE_SINKHORN } Balance;

typedef struct {
    CropsConfig crops;
    PatchMaskConfig masks;
    int balance; /* Balance */
    double centre_momentum, drop_path;
    DinoSchedule lr, weight_decay, momentum, temp;
    int64_t frozen_steps;            /* in which the prototypes do not move */
    double layer_decay, patch_embed; /* of the learning rate */
    bool recompute;
} DinoTraining;

/* Local. `dino` lies in the table p, its encoder before its head, nothing else is trained there; it and the reader are
   borrowed. The teacher is the optimiser's average (OptimizerConfig.ema), whose weights take the place of the student's while
   it looks at a batch: nobody holds both. `step` is Collective. */
Status dino_objective(Objective *out, const DinoTraining *c, const Dino *dino, Params *p, const ImageReader *reader,
                      Arena *a);
/* Local. Memory of a step beside weights, gradients and moments, of a rank with n_mine replicas, for plans. */
double dino_step_bytes(const DinoTraining *c, const Dino *dino, int64_t n_mine, int64_t batch);

/* ---- MoCo v2 (model/moco.h) ---- */

typedef struct {
    int64_t n_queue, step_images; /* keys that are remembered; images of all replicas in a step, no more than these */
    double temperature;
    uint64_t seed; /* of the queue before it has seen a key */
} MocoTraining;

/* Local. `net` lies in a table of its own, its running moments are frozen; net and reader are borrowed. The key encoder is
   the optimiser's average (OptimizerConfig.ema), whose weights take the place of the query encoder's while it looks at a
   batch. A replica's batch norms see its own batch; the keys of all replicas are shuffled over them, so that a key cannot be
   known by the company it was normed in. `step` is Collective. */
Status moco_objective(Objective *out, const MocoTraining *c, const Resnet *net, const ImageReader *reader, Arena *a);
/* Local. Memory of a step beside weights, gradients and moments, and of the queue, for plans. */
double moco_step_bytes(const MocoTraining *c, const Resnet *net, int64_t batch);

/* ---- the alignment (spec.md 5) ---- */

typedef enum { NEGATIVES_LOCAL, NEGATIVES_GLOBAL } Negatives;
typedef enum { TOKENS_RECOMPUTE, TOKENS_CACHE } TokenSource;

typedef struct {
    int negatives; /* Negatives */
    int tokens;    /* TokenSource: of frozen backbones */
    bool freeze_image, freeze_spectrum;
    double dropout;     /* of the heads */
    double logit_scale; /* 15.5 */
    bool learn_scale;   /* logit_scale is a parameter then: "logit_scale", log of the factor */
    bool recompute;     /* of unfrozen backbones */
    const char *cache;  /* file of cached tokens; made collectively by align_cache */
} AlignConfig;

/* Local. With tokens = cache the file is there (align_cache). With global negatives `step` is Collective. */
Status align_objective(Objective *out, const AlignConfig *c, Model *model, Dataset *d, Arena *a);
/* Local. Memory of a step beside weights, gradients and moments, of a rank with n_mine replicas, for plans: tokens of a
   batch, traces of trained encoders; with global negatives of all its replicas at once. */
double align_step_bytes(const AlignConfig *c, const Model *model, int64_t n_replicas, int64_t n_mine, int64_t batch);
void align_close(Objective *o); /* the file of cached tokens; twice-safe */

/* Local. What the caller freezes (params_freeze) before the optimiser is opened: frozen backbones, and of trained ones what no
   token depends on. NULL-terminated, in `a`. */
Status align_frozen(const char ***prefixes, const AlignConfig *c, const Model *model, Arena *a);

/* Collective. Makes the token cache for the pairs of all splits (NAME.part, then renamed; one that is there and was made of
   this dataset, frozen encoders and provider is kept); prints its bytes and the time that it saves. Without a cache it
   only prints what one would cost and save; nothing at all where nothing is frozen. */
Status align_cache(const AlignConfig *c, Model *model, Dataset *d, const Par *par, Arena *a);
void align_cache_bytes(double *bytes, const AlignConfig *c, const Model *model, int64_t n_pairs); /* for the plan */

/* ---- how well pairs find each other ---- */

typedef struct {
    int64_t n;
    double top1, top10, median_rank; /* rank 1 = its own partner comes first; ties count half */
} Retrieval;

/* Collective. Image -> spectrum [0] and spectrum -> image [1] among the n samples, cosine similarity of aligned embeddings. */
Status align_retrieval(Retrieval out[2], Model *model, Dataset *d, const Sample *sample, int64_t n, const Par *par,
                       Arena *a);

#endif
