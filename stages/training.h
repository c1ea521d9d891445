/* training.h - what the stages that train have in common: dataset, samples, fingerprint, folder, the way a checkpoint gets
   its final name. */
#ifndef STAGES_TRAINING_H
#define STAGES_TRAINING_H

#include "data/imageset.h"
#include "stages.h"
#include "train/checkpoint.h"
#include "train/trainer.h"

/* One training of a stage. */
typedef struct Training {
    Run *run;
    const Stage *stage;
    const TrainConfig *config;
    const TrainRecipe *recipe;
    Dataset dataset;
    Fingerprint data;         /* of what it trains with */
    Sample *sample[N_SPLITS]; /* NULL: without a list (Trainer) */
    int64_t n[N_SPLITS];
    Model *model;   /* NULL where the stage trains something else */
    Params *params; /* of the model, or what the stage has in its place */
    void *own;      /* the stage's */
    char *path;     /* of the result */
    char *folder;   /* of metrics and states */
    Fingerprint fingerprint;
    Envelope envelope;
} Training;

/* Local. Makes t->params; nothing needs to be initialised. training_model: the whole model, t->model, sizes of section
   `model`. */
typedef Status (*TrainingBuild)(Training *t);
Status training_model(Training *t);

/* Collective. Paths, provider of products and parameters; what it trains with comes next. */
Status training_open(Training *t, Run *run, const Stage *stage, const TrainRecipe *recipe, const char *output,
                     TrainingBuild build);
/* Collective. train.dataset and its samples. */
Status training_dataset(Training *t, SampleKind kind);
/* Collective. Images alone: those of train.dataset or, unless `images` is "", of that folder of the image set of Stein et al.,
   of which the last val_images, at most a tenth, are for validation. *set is then closed by imageset_close. */
Status training_images(ImageReader *reader, ImageSet *set, Training *t, const char *images, int64_t val_images);
void training_close(Training *t); /* twice-safe */

/* Local. Freezes the parameters whose names begin with one of `frozen` (NULL-terminated). */
void training_freeze(Training *t, const char *const *frozen);

/* Local. Weights of a checkpoint for the parts whose names begin with `needed`; "" and "init" load nothing. */
Status training_load(Training *t, const char *weights, const char *needed);

/* Local. What the weights are whose names begin with one of `names` (NULL-terminated): the lines of section `model` that
   begin with `model` (NULL = none), the values, the provider of products. */
Status training_weights(Fingerprint *out, const Training *t, const char *model, const char *const *names);

/* Collective. The fingerprint: configuration, seed, the lines of section `model` that begin with `model`, dataset, and the
   weights that it begins with, those whose names begin with one of `kept` (NULL-terminated): the ones that the result
   has. *current: the result is there and bears it; says so, and removes states that a kill left. */
Status training_is_current(bool *current, Training *t, const char *model, const char *const *kept);

/* Collective. Trains; the weights to keep are in the model then. What else comes of them is written before the result gets
   its name, for a result that is there is not made again. */
Status training_run(TrainReport *report, Training *t, const Objective *objective);

/* Collective. Writes those parameters to the result; states are not needed any more. */
Status training_publish(Training *t, const TrainReport *report, const char *const *kept);

/* ---- plans ---- */

/* What a training needs, from its configuration alone. */
typedef struct {
    const TrainRecipe *recipe;
    bool ema, sgd; /* an average of the weights is kept, there is one moment, whatever the recipe says */
    SampleKind kind;
    bool own_data;                       /* it does not come from train.dataset */
    int64_t n_trained;                   /* numbers */
    double weight_bytes, product_bytes;  /* product: of the largest matrix as products read it */
    double step_bytes, step_bytes_alone; /* of a rank with one replica, with all */
    double passes[N_MODALITIES];         /* of a sample through the encoders; there and back is three */
} TrainingCost;

/* What follows from the parameters alone. */
void training_weigh(TrainingCost *c, const Params *p);

/* Local. Gradients and moments of a rank among n. */
double training_optimizer_bytes(const TrainingCost *c, const TrainConfig *t, int64_t n_ranks, bool sharded);

/* Local. Prints samples if the dataset is there, memory of both ways to keep the optimiser's state. */
Status training_plan(Run *run, FILE *out, const Stage *stage, const TrainingCost *cost);

/* What `baselines` needs, per row of the catalogue but for the memory of a rank. */
typedef struct {
    double memory;
    double operations, row_bytes;
    double passes[N_MODALITIES]; /* over the entries */
} BaselinesCost;
void baselines_cost(BaselinesCost *out, const Run *run);

/* Local, each in the file of its stage. */
Status train_spectrum_cost(TrainingCost *out, Run *run);
Status train_image_cost(TrainingCost *out, Run *run);
Status train_moco_cost(TrainingCost *out, Run *run);
Status align_cost(TrainingCost *out, Run *run);

#endif
