/* supervised.h - networks that learn properties from labels (spec.md 6.8), to compare embeddings with: resnet18 sees the
   image as the image encoder does, conv_att the raw flux. The loss is the mean square over the labels that the samples of a
   replica's batch have, in units of each property's spread.

   resnet18: a replica's batch norms see its own batch; all its images are flipped and blurred alike. The running moments
   that prediction uses are taken anew (train/moments.h) whenever predictions are asked for after the weights changed. */
#ifndef TRAIN_SUPERVISED_H
#define TRAIN_SUPERVISED_H

#include "train/objective.h"
#include "train/targets.h"

typedef struct {
    const char *network; /* "resnet18", "conv_att" */
    int64_t width;       /* resnet18: channels of its first layer, 64 as published */
    int64_t image_size;  /* resnet18: pixels after the centre crop, 144            */
} SupervisedConfig;

typedef struct Supervised Supervised;

/* Local. The network with its first values; d, t and the train samples are borrowed. E_CONFIG for a name that is none. */
Status supervised_open(Supervised **out, const SupervisedConfig *c, Dataset *d, const Targets *t, const Sample *train,
                       int64_t n_train, uint64_t seed, Arena *a);
bool supervised_modality(Modality *m, const char *network); /* Local. false = no such network */
Params *supervised_params(Supervised *s);
void supervised_objective(Objective *out, Supervised *s);

/* Local. The running moments are those of today's weights; before parameters are written. */
Status supervised_settle(Supervised *s, Arena *scratch);
/* Local. value (n_out) in units of the properties, of an entry of the modality; NaN where a property had no labels. */
Status supervised_predict(float *value, Supervised *s, int64_t entry, Arena *scratch);

#endif
