/* probes.h - probes.h5: what was fitted, on which embedding, with which scores. No other module reads or writes it.

   A ProbeInput is what a probe sees: one or two embedding sets side by side, or the photometry, standardised with the mean and the
   population standard deviation of the train rows. A ProbeFit is one property learnt from one input. Predictions: y =
   intercept + sum_d weight[d] * (x[d] - mean[d]) / std[d]. A property with too few labels is kept as a fit whose
   numbers are all NaN: its predictions are NaN, its scores have n alone. Where val has under 10 rows, train rows
   stand in for it.

   The file: group ENCODER_MODALITY (mean, std, attributes), in it PROBE/PROPERTY (weight, scores, attributes). */
#ifndef PROBE_PROBES_H
#define PROBE_PROBES_H

#include "data/catalog.h"
#include "embed/embeddings.h"

enum { PROBES_VERSION = 1, MAX_PROBE_SETS = 2 };

/* Rows of the table of inputs (probes.c): (astroclip, image), (astroclip, spectrum), (astroclip, both), (astrodino,
   image), (specformer, spectrum), and what embeddings have to beat: (none, photometry). */
typedef struct {
    const char *encoder;  /* "astroclip"        */
    const char *modality; /* "image", "both"    */
    const char *column;   /* "IMAGE": stem of FITS columns; "" = not published in properties.fits */
    EmbeddingSet set[MAX_PROBE_SETS];
    int n_sets; /* 0 = the photometry of the catalogue */
} ProbeInputRow;
extern const ProbeInputRow probe_inputs[]; /* ended by encoder NULL */

typedef struct {
    const ProbeInputRow *row;
    int64_t dim;                /* sum of the sets' dimensions          */
    double *mean, *std;         /* (dim) of train rows; std 1 where 0   */
    int64_t n_rows;             /* of the catalogue                     */
    int64_t n_usable[N_SPLITS]; /* of these with a finite embedding     */
    double ood_quantile;        /* 0.99 quantile of probe_ood over val rows: beyond it a row is out of distribution */
} ProbeInput;

typedef struct {
    int64_t n;
    double r2, rmse, bias;               /* NaN where undefined; definitions in metrics.h */
    double sigma_nmad, outlier_fraction; /* of redshift only                              */
} Scores;

typedef struct {
    int input;         /* index in ProbeSet.input */
    int label;         /* Label                   */
    const char *probe; /* "ridge"              */
    double lambda;
    double intercept;
    double *weight;       /* (dim) */
    double std, l68, u68; /* of val residuals truth - prediction: standard deviation; 16 % and 84 % quantile */
    Scores score[N_SPLITS];
} ProbeFit;

typedef struct {
    int n_inputs, n_fits;
    ProbeInput *input;
    ProbeFit *fit;
    Envelope envelope;
} ProbeSet;

/* Collective: rank 0 writes PATH (through .part) and scores.csv beside it; all ranks agree. */
Status probes_write(const char *path, const ProbeSet *p, const Par *par, Arena *a);
/* Local. Fits come by input, then probe, then property, in the order of the tables. */
Status probes_read(ProbeSet *out, const char *path, Arena *a);

/* Local. Rows [first, first+n) of an input's embeddings side by side: (n, dim) float32. Not for the photometry. */
Status probe_read_input(float *out, Embeddings *e, const ProbeInputRow *row, int64_t first, int64_t n, Arena *scratch);

/* Local. Sum of the dimensions of the input's sets, 0 when the file lacks one of them; PHOTOMETRY_DIM. */
int64_t probe_input_dim(const Embeddings *e, const ProbeInputRow *row);
/* Local. The photometry of rows [first, first+n): (n, PHOTOMETRY_DIM) float32, all NaN in rows where not every flux is
   positive. */
Status probe_read_photometry(float *out, Catalog *c, int64_t first, int64_t n, Arena *scratch);
/* g - r, r - z, r and r^2 of fluxes in nanomaggies (AB magnitudes, as observed: the dust of our Galaxy is left in). */
enum { PHOTOMETRY_DIM = 4 };
void probe_photometry(float out[PHOTOMETRY_DIM], float g, float r, float z);

/* Local. True when all values of a row are finite. */
bool probe_usable(const float *x, int64_t dim);

/* Local. One row; NaN in, NaN out. Sums in double in a fixed order. */
double probe_predict(const ProbeFit *fit, const ProbeInput *input, const float *x);
/* Root mean square of the standardised features: about 1 for a train-like row. */
double probe_ood(const ProbeInput *input, const float *x);

#endif
