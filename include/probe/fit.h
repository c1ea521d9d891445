/* fit.h - the table of probes, their section of the run file, and the driver that fits every property from every input.
   To add a probe: a file with its fit function, a row in fit.c, its group in ProbeConfig, a test. */
#ifndef PROBE_FIT_H
#define PROBE_FIT_H

#include "probe/knn.h"
#include "probe/ridge.h"
#include "probe/rows.h"

typedef struct {
    ConfigTexts probes;     /* names of probe_kinds */
    ConfigTexts properties; /* names of label_table */
    int64_t min_rows;       /* train rows that a fit needs */
    RidgeConfig ridge;
    KnnConfig knn;
} ProbeConfig;
extern const ConfigSection probe_section; /* "probe" */

typedef struct ProbeKind ProbeKind;

/* What a probe learns from: one input, all borrowed. */
typedef struct {
    const ProbeConfig *config;
    const ProbeRows *rows;
    const uint8_t *usable; /* (rows->n) 1 where the features are finite */
    const ProbeFeatures *features;
    const ProbeInput *input; /* mean and std */
    const Par *par;
    const ProbeKind *kind; /* whose predictions are scored; NULL = a linear one's */
} ProbeTask;

struct ProbeKind {
    const char *name; /* "ridge": in probes.h5, scores.csv and probe.probes */
    const char *help;
    /* Collective. Fills what the probe learns (weights and the like, not the scores) of n fits, whose labels are given;
       results in `a`. */
    Status (*fit)(ProbeFit *fit, int n, const ProbeTask *task, Arena *a);
    /* Collective. predicted[f]: this rank's rows, NaN where there is no prediction. NULL = probe_predict of each row: only
       such probes have columns in properties.fits. */
    Status (*predict)(double *const *predicted, ProbeFit *fit, int n, const ProbeTask *task, Arena *a);
};
extern const ProbeKind ridge_probe; /* fit_ridge.c */
extern const ProbeKind knn_probe;   /* fit_knn.c */
extern const ProbeKind *const probe_kinds[];

/* Collective. Every input that the embeddings have, every probe and property of the configuration; scores of all
   splits. */
Status probe_fit_all(ProbeSet *out, const ProbeConfig *config, Catalog *catalog, Embeddings *e, const Par *par,
                     Arena *a);

/* Properties with the same usable train rows. */
typedef struct {
    int n;
    ProbeFit *fit[N_LABELS];
    double centre[N_LABELS]; /* room for what a probe subtracts from the labels */
} ProbeGroup;
/* Collective. Returns how many groups; fits in the order they came. */
int probe_groups(ProbeGroup group[N_LABELS], ProbeFit *fit, int n, const ProbeTask *t);
/* Local. Does this rank's row train the property? */
bool probe_trains(const ProbeTask *t, int label, int64_t row);

/* Local. Bytes that a row takes on its rank. */
int64_t probe_row_bytes(const ProbeConfig *config);
/* Local. Bytes that one rank of n_ranks needs for `rows` rows and features of at most `dim`: rows and predictions, sums
   of the ridge. */
int64_t probe_memory(const ProbeConfig *config, int64_t rows, int64_t dim, int n_ranks);
int64_t knn_memory(const KnnConfig *config, int64_t rows, int64_t dim, int64_t n_targets, int n_ranks);
int64_t ridge_memory(const RidgeConfig *config, int64_t rows, int64_t dim, int64_t n_targets);

#endif
