/* fit.c - every property from every input by every probe. */
#include "probe/fit.h"

#include <math.h>
#include <string.h>

#include "core/log.h"
#include "probe/scores.h"

const ProbeKind *const probe_kinds[] = {&ridge_probe, &knn_probe, NULL};

static const char *const probe_names[] = {"ridge", "knn", NULL};
static const char *const property_names[] = {"z", "logmstar", "age", "logz", "logssfr", NULL};

static const ConfigField probe_fields[] = {
    FIELD_TEXTS(ProbeConfig, probes, "[ridge]", probe_names, RESULT, "probes to fit"),
    FIELD_TEXTS(ProbeConfig, properties, "[z, logmstar, age, logz, logssfr]", property_names, RESULT,
                "physical properties to learn"),
    FIELD_INT(ProbeConfig, min_rows, "50", 10, 1e12, RESULT,
              "train rows with the property that a fit needs; with fewer it is skipped"),
    FIELD_GROUP(ProbeConfig, ridge, ridge_fields, "linear regression with a penalty on the weights"),
    FIELD_GROUP(ProbeConfig, knn, knn_fields,
                "nearest neighbours, for scores alone; time grows with the square of the rows"),
    FIELD_END};

static Status check(const void *config)
{
    const ProbeConfig *c = config;
    if (c->probes.n == 0 || c->properties.n == 0)
        return FAIL(E_CONFIG, "probe.probes or probe.properties is empty: nothing to fit");
    return ridge_check(&c->ridge);
}

const ConfigSection probe_section = {"probe", "properties learnt from embeddings", probe_fields, sizeof(ProbeConfig),
                                     check};

static bool lists(const ConfigTexts *list, const char *item)
{
    for (int64_t i = 0; i < list->n; i++)
        if (strcmp(list->item[i], item) == 0) return true;
    return false;
}

/* ---- features from embeddings.h5, or from catalog.h5 ---- */

typedef struct {
    Catalog *catalog;
    Embeddings *embeddings;
    const ProbeInputRow *row;
} Source;

static Status read_source(float *out, void *source, int64_t first, int64_t n, Arena *scratch)
{
    Source *s = source;
    if (s->row->n_sets == 0) return probe_read_photometry(out, s->catalog, first, n, scratch);
    return probe_read_input(out, s->embeddings, s->row, first, n, scratch);
}

/* ---- one input ---- */

/* A fit that was not made: NaN throughout, so that whatever is predicted with it is NaN too. */
static Status start_fit(ProbeFit *fit, int input, int label, const char *probe, int64_t dim, Arena *a)
{
    *fit = (ProbeFit){.input = input,
                      .label = label,
                      .probe = probe,
                      .lambda = NAN,
                      .intercept = NAN,
                      .std = NAN,
                      .l68 = NAN,
                      .u68 = NAN};
    TRY(arena_new(&fit->weight, a, dim));
    for (int64_t d = 0; d < dim; d++) fit->weight[d] = NAN;
    for (int s = 0; s < N_SPLITS; s++) fit->score[s] = (Scores){0, NAN, NAN, NAN, NAN, NAN};
    return OK;
}

/* Collective. Fits the properties that have the rows, scores them, and puts all of them in the order of label_table. */
static Status fit_kind(ProbeFit *out, int *n_out, const ProbeKind *kind, int index, ProbeInput *input,
                       const ProbeTask *t, Arena *a)
{
    ProbeFit fit[N_LABELS];
    int n = 0, n_all = 0, slot[N_LABELS];
    Status st = OK;
    for (int label = 0; label < N_LABELS; label++) {
        if (!lists(&t->config->properties, label_table[label].name)) continue;
        int64_t rows[N_SPLITS];
        probe_count(rows, t->rows, t->usable, label, t->par);
        if (st == OK) st = start_fit(&out[n_all], index, label, kind->name, input->dim, a);
        for (int s = 0; st == OK && s < N_SPLITS; s++) out[n_all].score[s].n = rows[s];
        if (rows[SPLIT_TRAIN] >= t->config->min_rows) {
            if (st == OK) fit[n] = out[n_all];
            slot[n++] = n_all;
        } else {
            log_warn("probe: %s from %s %s has %lld train rows, under probe.min_rows (%lld): skipped",
                     label_table[label].name, input->row->encoder, input->row->modality, (long long)rows[SPLIT_TRAIN],
                     (long long)t->config->min_rows);
        }
        n_all++;
    }
    TRY(par_agree(t->par, st));
    if (n > 0) TRY(kind->fit(fit, n, t, a));
    TRY(probe_score(input, fit, n, t, a));
    for (int f = 0; f < n; f++) out[slot[f]] = fit[f];
    *n_out = n_all;
    return OK;
}

/* Collective. */
static Status fit_input(ProbeSet *set, const ProbeInputRow *row, const ProbeConfig *config, const ProbeRows *rows,
                        Catalog *catalog, Embeddings *e, const Par *par, Arena *a)
{
    const int index = set->n_inputs++;
    ProbeInput *input = &set->input[index];
    Source source = {catalog, e, row};
    const ProbeFeatures features = {probe_input_dim(e, row), read_source, &source};
    uint8_t *usable = NULL;
    *input = (ProbeInput){.row = row};
    TRY(par_agree(par, arena_new(&usable, a, rows->n)));
    TRY(probe_standardise(input, usable, rows, &features, par, a));
    if (row->n_sets == 0 && input->n_usable[SPLIT_TRAIN] == 0) { /* a catalogue without fluxes */
        set->n_inputs--;
        return OK;
    }
    log_info("probe: %s %s: %lld numbers per row; %lld of %lld rows have them (train %lld, val %lld, test %lld)",
             row->encoder, row->modality, (long long)input->dim,
             (long long)(input->n_usable[0] + input->n_usable[1] + input->n_usable[2]), (long long)rows->total,
             (long long)input->n_usable[SPLIT_TRAIN], (long long)input->n_usable[SPLIT_VAL],
             (long long)input->n_usable[SPLIT_TEST]);
    for (int k = 0; probe_kinds[k]; k++) {
        const ProbeTask task = {config, rows, usable, &features, input, par, probe_kinds[k]};
        int n = 0;
        if (!lists(&config->probes, probe_kinds[k]->name)) continue;
        TRY(fit_kind(set->fit + set->n_fits, &n, probe_kinds[k], index, input, &task, a));
        set->n_fits += n;
    }
    return OK;
}

Status probe_fit_all(ProbeSet *out, const ProbeConfig *config, Catalog *catalog, Embeddings *e, const Par *par,
                     Arena *a)
{
    ProbeRows rows;
    int n_rows = 0, n_kinds = 0;
    while (probe_inputs[n_rows].encoder) n_rows++;
    while (probe_kinds[n_kinds]) n_kinds++;
    memset(out, 0, sizeof *out);
    Status st = probe_rows_read(&rows, catalog, e, par, a);
    if (st == OK) st = arena_new(&out->input, a, n_rows);
    if (st == OK) st = arena_new(&out->fit, a, (int64_t)n_rows * n_kinds * N_LABELS);
    TRY(par_agree(par, st));
    int n_embeddings = 0;
    for (int i = 0; i < n_rows; i++)
        n_embeddings += probe_inputs[i].n_sets > 0 && probe_input_dim(e, &probe_inputs[i]) > 0;
    if (n_embeddings == 0)
        return FAIL(E_INPUT,
                    "%s has none of the embeddings that probes learn from: see embed.sets and embed.modalities",
                    e->file.path);
    for (int i = 0; i < n_rows; i++)
        if (probe_input_dim(e, &probe_inputs[i]) > 0)
            TRY(fit_input(out, &probe_inputs[i], config, &rows, catalog, e, par, a));
    return OK;
}

/* A row: its columns, `usable` of each input, room to pick values, predictions of all properties, the score; and values
   in order (sorted.h), which are those of the train rows at most: twice, and their numbers. */
int64_t probe_row_bytes(const ProbeConfig *config)
{
    int64_t n_inputs = 0;
    while (probe_inputs[n_inputs].encoder) n_inputs++;
    return (int64_t)sizeof(int64_t) + 1 + 8 * N_LABELS + n_inputs + 8 * (config->properties.n + 2) + 32 * 4 / 5;
}

int64_t probe_memory(const ProbeConfig *config, int64_t rows, int64_t dim, int n_ranks)
{
    const int64_t mine = rows / n_ranks + 4096;
    const int64_t n = config->properties.n;
    int64_t most = ridge_memory(&config->ridge, rows, dim, n);
    if (lists(&config->probes, "knn")) {
        const int64_t knn = knn_memory(&config->knn, rows, dim, n, n_ranks);
        most = knn > most ? knn : most;
    }
    return mine * probe_row_bytes(config) + most;
}
