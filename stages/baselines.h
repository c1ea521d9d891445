/* baselines.h - what the files of the stage `baselines` share. */
#ifndef STAGES_BASELINES_H
#define STAGES_BASELINES_H

#include "model/moco.h"
#include "probe/baselines.h"
#include "training.h"

typedef struct {
    ConfigTexts models, properties;
    int64_t width, image_size;
    int64_t batch, epochs, photometry_epochs;
    double lr;
    int64_t components, component_rows;
    const char *moco;
    int moco_output;
} BaselinesConfig;

typedef struct {
    Run *run;
    const BaselinesConfig *config;
    const TrainConfig *train;
    uint64_t seed;
    Catalog catalog;
    Dataset dataset;
    Baselines file;
    char *catalog_path, *dataset_path, *path, *folder;
    Label label[N_LABELS];
    Params moco; /* weights of `moco` */
    Resnet moco_net;
    Fingerprint fingerprint;
    int64_t first, n; /* this rank's rows */
} BaselinesJob;

/* Local. The entry that catalogue row `row` has, searched from *at on; -1 = none to use. Rows come in increasing order. */
int64_t baselines_entry(int64_t *at, const DatasetEntries *e, int32_t fatal, int64_t row);

/* Collective. What a model says of all rows, into the file. */
Status baselines_supervised(BaselinesJob *j, const char *network,
                            Modality m); /* trained unless its weights are there */
Status baselines_moco(BaselinesJob *j);

/* Local. The encoder with its weights. */
Status baselines_moco_open(BaselinesJob *j);

/* Local. Adds what it takes (training.h). */
void baselines_moco_cost(BaselinesCost *out, const Run *run);

#endif
