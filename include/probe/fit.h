/* fit.h - the table of probes, their section of the run file, and the driver that fits every property from every input.
   To add a probe: a file with its fit function, a row in fit.c, its group in ProbeConfig, a test. */
#ifndef PROBE_FIT_H
#define PROBE_FIT_H

#include "probe/knn.h"
#include "probe/mlp.h"
#include "probe/posterior.h"
#include "probe/predictions.h"
#include "probe/probes.h"
#include "probe/ridge.h"
#include "probe/rows.h"

typedef enum { MORPHOLOGY_SANE, MORPHOLOGY_RELEASED } MorphologyMode;

typedef struct {
    const char *votes; /* table of votes; "" = no morphology */
    ConfigTexts probes;
    int mode; /* MorphologyMode */
    double match_arcsec;
    int64_t min_votes, train_votes, test_votes; /* on the first question; on a question, to train and to test */
    ConfigReals hidden;
    double dropout, lr, decay;
    int64_t epochs, batch, parts;
} MorphologyConfig;
extern const ConfigField morphology_fields[];

typedef struct {
    ConfigTexts probes;     /* names of probe_kinds */
    ConfigTexts properties; /* names of label_table */
    int64_t min_rows;       /* train rows that a fit needs */
    bool crossed;           /* apply the fits of one modality to the other */
    bool baselines;         /* score baselines.h5 too */
    RidgeConfig ridge;
    KnnConfig knn;
    MlpConfig mlp;
    PosteriorConfig flow;
    CalibrationConfig calibration;
    MorphologyConfig morphology;
} ProbeConfig;
extern const ConfigSection probe_section; /* "probe" */

typedef struct ProbeReports ProbeReports; /* reports.h */

/* What a probe learns from, or predicts for: one input, all borrowed. */
typedef struct ProbeTask {
    const ProbeConfig *config;
    const ProbeRows *rows;
    const uint8_t *usable; /* (rows->n) 1 where the features are finite */
    const ProbeFeatures *features;
    const ProbeInput *input;         /* mean and std */
    const struct ProbeTask *learned; /* what the fits were learnt from: NULL = this task itself */
    const ProbeFiles *files;
    ProbeReports *reports; /* for what is to be told beside the fits; NULL = nobody listens */
    const Par *par;
    uint64_t seed;
} ProbeTask;

/* What fits say of this rank's rows, (rows->n) each. */
typedef struct {
    double *value; /* NaN = no prediction */
    double *scale; /* a standard deviation where the probe tells one, else 1 */
    double *nll;   /* -ln of its density at the truth, NaN unless the probe tells one */
    int64_t n_samples;
    float *samples; /* (rows->n, n_samples) draws of the posterior, of flows alone and if asked for */
} RowPredictions;

typedef struct {
    const char *name; /* "ridge": in probes.h5, scores.csv and probe.probes */
    const char *help;
    /* Collective. Fills what the probe keeps (n_weights and weight, lambda, intercept; not the scores) of n fits, whose labels are
       given; results in `a`. */
    Status (*fit)(ProbeFit *fit, int n, const ProbeTask *task, Arena *a);
    /* Collective. Of n fits, every row with usable features; out (n) comes filled with NaN, scale with 1. A row is never
       predicted from itself. */
    Status (*predict)(RowPredictions *out, const ProbeFit *fit, int n, const ProbeTask *task, Arena *a);
} ProbeKind;
extern const ProbeKind ridge_probe; /* fit_ridge.c */
/* Local. Intercept + sum_d weight[d] (x[d] - mean[d]) / std[d] of a ridge's fit; NaN in, NaN out. In double, in a fixed order. */
double ridge_predict(const ProbeFit *fit, const ProbeInput *input, const float *x);
extern const ProbeKind knn_probe;        /* fit_knn.c */
extern const ProbeKind mlp_probe;        /* fit_mlp.c */
extern const ProbeKind flow_probe;       /* fit_flow.c */
extern const ProbeKind supervised_probe; /* fit_supervised.c: predictions of baselines.h5, for their inputs alone */
extern const ProbeKind *const probe_kinds[];

/* Collective. Every input that the files have, every probe and property of the configuration; scores of all splits; what
   is said of every row goes to `predictions`, how well it holds to `reports`. */
Status probe_fit_all(ProbeSet *out, Predictions *predictions, ProbeReports *reports, const ProbeConfig *config,
                     const ProbeFiles *files, uint64_t seed, const Par *par, Arena *a);

/* Properties with the same usable train rows. */
typedef struct {
    int n;
    ProbeFit *fit[N_LABELS];
    double centre[N_LABELS]; /* room for what a probe subtracts from the labels */
} ProbeGroup;
/* Collective. Returns how many groups; fits in the order they came. */
int probe_groups(ProbeGroup group[N_LABELS], ProbeFit *fit, int n, const ProbeTask *t);
/* Collective. Mean and standard deviation (population; 1 where it is 0) of a property over its train rows. */
Status probe_label_moments(double *mean, double *std, int label, const ProbeTask *t, Arena *scratch);
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
