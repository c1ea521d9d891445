/* planted.h - rows with a planted linear relation, as the probes see them: every rank makes the features of any row by
   itself.

   Label l of a row is c[l] + sum_d w[l][d] x[d] + noise. Include after test_main.h. */
#ifndef PLANTED_H
#define PLANTED_H

#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "probe/fit.h"
#include "probe/ood.h"
#include "probe/scores.h"
#include "test_main.h"

enum { PLANTED_DIM = 6 };

typedef struct {
    int64_t total;
    double noise;
    double scale, shift; /* features are scale * x + shift: what a fit must not notice */
    int64_t bad_every;   /* each row with row % bad_every == 3 has no features; 0 = none */
    int64_t label_every; /* labels after the second are there for row % label_every == 0; 0 = all */
} Planted;

static inline double planted_weight(int label, int d) { return cos(1 + 3 * label + 2 * d); }
static inline double planted_shift(int label) { return 10 + label; }

static inline void planted_features(double x[PLANTED_DIM], int64_t row)
{
    Rng g = rng_stream(7, "test.planted", row, 0);
    for (int d = 0; d < PLANTED_DIM; d++) x[d] = rng_normal(&g) * (1 + d);
}

static inline double planted_label(const Planted *p, int label, int64_t row)
{
    double x[PLANTED_DIM], y = planted_shift(label);
    Rng g = rng_stream(8, "test.planted", row, (uint32_t)label);
    planted_features(x, row);
    for (int d = 0; d < PLANTED_DIM; d++) y += planted_weight(label, d) * x[d];
    return y + p->noise * rng_normal(&g);
}

static inline Status planted_read(float *out, void *source, int64_t first, int64_t n, Arena *scratch)
{
    const Planted *p = source;
    (void)scratch;
    for (int64_t i = 0; i < n; i++) {
        double x[PLANTED_DIM];
        planted_features(x, first + i);
        const bool bad = p->bad_every && (first + i) % p->bad_every == 3;
        for (int d = 0; d < PLANTED_DIM; d++)
            out[i * PLANTED_DIM + d] = bad ? NAN : (float)(p->scale * x[d] + p->shift);
    }
    return OK;
}

/* This rank's rows: 7 of 10 train, 1 val, 2 test. */
static inline void planted_rows(ProbeRows *rows, const Planted *p, const Par *par)
{
    if (!CHECK_OK(probe_rows_init(rows, p->total, par, &test_arena))) CU_FAIL_FATAL("no memory for rows");
    for (int64_t i = 0; i < rows->n; i++) {
        const int64_t row = rows->first + i;
        rows->magnitude[i] = 15 + (double)(row % 50) / 10;
        rows->targetid[i] = 39627000000000000 + 7 * row;
        rows->split[i] = row % 10 < 7 ? SPLIT_TRAIN : row % 10 == 7 ? SPLIT_VAL : SPLIT_TEST;
        for (int l = 0; l < N_LABELS; l++)
            rows->label[l][i] = l >= 2 && p->label_every && row % p->label_every ? NAN : planted_label(p, l, row);
    }
}

typedef struct {
    ProbeInput input;
    ProbeFit fit[N_LABELS];
} PlantedFit;

static const ProbeInputRow planted_input = {"planted", "image", "", INPUT_EMBEDDINGS, {SET_IMAGE}, 1, NULL};

/* Collective over `par`: the way of the stage from features to scores, for all labels. */
static inline Status planted_fit_kind(PlantedFit *out, Planted *p, const ProbeKind *kind, const ProbeConfig *config,
                                      const Par *par)
{
    ProbeRows rows;
    uint8_t *usable;
    const ProbeFeatures features = {PLANTED_DIM, planted_read, p};
    planted_rows(&rows, p, par);
    out->input = (ProbeInput){.row = &planted_input};
    if (!CHECK_OK(arena_new(&usable, &test_arena, rows.n))) return E_MEMORY;
    TRY(probe_standardise(&out->input, usable, &rows, &features, par, &test_arena));
    const ProbeTask task = {.config = config,
                            .rows = &rows,
                            .usable = usable,
                            .features = &features,
                            .input = &out->input,
                            .par = par,
                            .seed = 1};
    RowPredictions predicted[N_LABELS] = {0};
    double *score;
    for (int l = 0; l < N_LABELS; l++) {
        out->fit[l] = (ProbeFit){.label = l, .probe = kind->name, .lambda = NAN, .intercept = NAN};
        if (!CHECK_OK(arena_new(&predicted[l].value, &test_arena, rows.n)) ||
            !CHECK_OK(arena_new(&predicted[l].scale, &test_arena, rows.n)) ||
            !CHECK_OK(arena_new(&predicted[l].nll, &test_arena, rows.n)))
            return E_MEMORY;
        for (int64_t r = 0; r < rows.n; r++)
            predicted[l].value[r] = predicted[l].nll[r] = NAN, predicted[l].scale[r] = 1;
    }
    if (!CHECK_OK(arena_new(&score, &test_arena, rows.n))) return E_MEMORY;
    TRY(kind->fit(out->fit, N_LABELS, &task, &test_arena));
    TRY(kind->predict(predicted, out->fit, N_LABELS, &task, &test_arena));
    TRY(probe_score(out->fit, N_LABELS, predicted, &task, &test_arena));
    return probe_ood(score, &out->input, &task, &test_arena);
}

static inline Status planted_fit(PlantedFit *out, Planted *p, const ProbeConfig *config, const Par *par)
{
    return planted_fit_kind(out, p, &ridge_probe, config, par);
}

/* The defaults of the section, with `lambdas` unless empty. */
static inline ProbeConfig planted_config(double *lambdas, int64_t n_lambdas)
{
    static const char *probes[] = {"ridge"},
                      *properties[] = {"z", "logmstar", "age", "logz", "logssfr", "ssfr_released"};
    static double grid[] = {1e-3, 1e-2, 1e-1, 1, 1e1, 1e2, 1e3, 1e4, 1e5};
    ProbeConfig c = {.probes = {1, probes}, .properties = {N_LABELS, properties}, .min_rows = 50};
    c.ridge = (RidgeConfig){{n_lambdas ? n_lambdas : 9, n_lambdas ? lambdas : grid}, RIDGE_FOLDS, 5};
    c.calibration = (CalibrationConfig){10, 50};
    c.knn.k = 64;
    c.morphology.votes = "";
    return c;
}

#endif
