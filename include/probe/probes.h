/* probes.h - probes.h5: what was fitted, on which embedding, with which scores. No other module reads or writes it.

   A ProbeInput is what a probe sees (inputs.h), standardised with the mean and the population standard deviation of the
   train rows. A ProbeFit is one property learnt from one input. A property with too few labels is kept as a fit whose
   numbers are all NaN: its predictions are NaN, its scores have n alone. What fits say of rows is in predictions.h5.

   The file: group ENCODER_MODALITY (mean, std, attributes), in it PROBE/PROPERTY (weight, scores, calibration,
   attributes). */
#ifndef PROBE_PROBES_H
#define PROBE_PROBES_H

#include "probe/calibrate.h"
#include "probe/inputs.h"

enum { PROBES_VERSION = 2 };

typedef struct {
    const ProbeInputRow *row;
    int64_t dim;                /* sum of the sets' dimensions          */
    double *mean, *std;         /* (dim) of train rows; std 1 where 0   */
    int64_t n_rows;             /* of the catalogue                     */
    int64_t n_usable[N_SPLITS]; /* of these with a finite embedding     */
    double ood_quantile; /* 0.99 quantile of the scores of val rows (ood.h): beyond it a row is out of distribution */
} ProbeInput;

typedef struct {
    int64_t n;
    double r2, rmse, bias;               /* NaN where undefined; definitions in metrics.h */
    double sigma_nmad, outlier_fraction; /* of redshift only                              */
    double nll;                          /* mean -ln p(truth), of probes that tell a density */
} Scores;

typedef struct {
    int input;                /* index in ProbeSet.input */
    int label;                /* Label                   */
    const char *probe;        /* "ridge"              */
    double lambda, intercept; /* of linear probes, else NaN */
    int64_t n_weights;        /* numbers that the probe keeps, in an order of its own (ridge: one per feature) */
    double *weight;
    double label_min, label_max; /* of the train rows: beyond them a prediction is extrapolated */
    Calibration calibration;     /* of val rows; where these are under 10, of train rows */
    Scores score[N_SPLITS];
} ProbeFit;

typedef struct {
    int n_inputs, n_fits;
    ProbeInput *input;
    ProbeFit *fit;
    int n_morphology;
    struct MorphologyFit *morphology; /* morphology.h */
    Envelope envelope;
} ProbeSet;

/* Collective: rank 0 writes PATH (through .part) and scores.csv beside it; all ranks agree. */
Status probes_write(const char *path, const ProbeSet *p, const Par *par, Arena *a);
/* Local. Fits come by input, then probe, then property, in the order of the tables. */
Status probes_read(ProbeSet *out, const char *path, Arena *a);

#endif
