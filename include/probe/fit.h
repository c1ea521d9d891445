/* fit.h - the table of probes, their section of the run file, and the driver that fits every property from every input.
   To add a probe: a file with its fit function, a row in fit.c, its group in ProbeConfig, a test. */
#ifndef PROBE_FIT_H
#define PROBE_FIT_H

#include "probe/ridge.h"
#include "probe/rows.h"

typedef struct {
    ConfigTexts probes;     /* names of probe_kinds */
    ConfigTexts properties; /* names of label_table */
    int64_t min_rows;       /* train rows that a fit needs */
    RidgeConfig ridge;
} ProbeConfig;
extern const ConfigSection probe_section; /* "probe" */

/* What a probe learns from: one input, all borrowed. */
typedef struct {
    const ProbeConfig *config;
    const ProbeRows *rows;
    const uint8_t *usable; /* (rows->n) 1 where the features are finite */
    const ProbeFeatures *features;
    const ProbeInput *input; /* mean and std */
    const Par *par;
} ProbeTask;

typedef struct {
    const char *name; /* "ridge": in probes.h5, scores.csv and probe.probes */
    const char *help;
    /* Collective. Fills what the probe learns (weights and the like, not the scores) of n fits, whose labels are given;
       results in `a`. */
    Status (*fit)(ProbeFit *fit, int n, const ProbeTask *task, Arena *a);
} ProbeKind;
extern const ProbeKind ridge_probe; /* fit_ridge.c */
extern const ProbeKind *const probe_kinds[];

/* Collective. Every input that the embeddings have, every probe and property of the configuration; scores of all
   splits. */
Status probe_fit_all(ProbeSet *out, const ProbeConfig *config, Catalog *catalog, Embeddings *e, const Par *par,
                     Arena *a);

/* Local. Bytes that a row takes on its rank. */
int64_t probe_row_bytes(const ProbeConfig *config);
/* Local. Bytes that one rank of n_ranks needs for `rows` rows and features of at most `dim`: rows and predictions, sums
   of the ridge. */
int64_t probe_memory(const ProbeConfig *config, int64_t rows, int64_t dim, int n_ranks);
int64_t ridge_memory(const RidgeConfig *config, int64_t rows, int64_t dim, int64_t n_targets);

#endif
