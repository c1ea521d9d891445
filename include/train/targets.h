/* targets.h - what supervised networks learn: properties of the catalogue beside the entries of dataset.h5. */
#ifndef TRAIN_TARGETS_H
#define TRAIN_TARGETS_H

#include "data/dataset.h"

typedef struct {
    int64_t n_out;
    const Label *label;   /* (n_out) borrowed */
    double *mean, *std;   /* (n_out) of the train samples, std unbiased; NaN where fewer than two have the label */
    float *y;             /* (entries, n_out) (label - mean) / std; NaN = none */
    DatasetEntries entry; /* of the modality, without numbers */
} Targets;

/* Local; the same on all ranks. E_INPUT when the dataset is of another catalogue. 45 bytes and 4 n_out per entry stay in `a`. */
Status targets_read(Targets *out, Dataset *d, Modality m, Catalog *c, const Label *label, int64_t n_out, Arena *a);

/* Local. The samples of a split in the order of the file, those with some label. */
Status targets_samples(Sample **out, int64_t *n, const Targets *t, Dataset *d, Modality m, Split split, Arena *a);

/* Standardised numbers (n_out) into units of the properties. */
void targets_undo(float *value, const Targets *t, const float *standardised);

#endif
