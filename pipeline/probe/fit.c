/* fit.c - every property from every input by every probe. */
#include "probe/fit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/log.h"
#include "probe/morphology.h"
#include "probe/ood.h"
#include "probe/reports.h"
#include "probe/scores.h"

const ProbeKind *const probe_kinds[] = {&ridge_probe, &knn_probe, &mlp_probe, &flow_probe, &supervised_probe, NULL};

static const char *const probe_names[] = {"ridge", "knn", "mlp", "flow", NULL};
static const char *const property_names[] = {"z", "logmstar", "age", "logz", "logssfr", "ssfr_released", NULL};

static const ConfigField probe_fields[] = {
    FIELD_TEXTS(ProbeConfig, probes, "[ridge]", probe_names, RESULT, "probes to fit"),
    FIELD_TEXTS(ProbeConfig, properties, "[z, logmstar, age, logz, logssfr]", property_names, RESULT,
                "physical properties to learn"),
    FIELD_INT(ProbeConfig, min_rows, "50", 10, 1e12, RESULT,
              "train rows with the property that a fit needs; with fewer it is skipped"),
    FIELD_BOOL(ProbeConfig, crossed, "true", RESULT,
               "also apply what was learnt from spectra to images, and the other way, through the shared space"),
    FIELD_BOOL(ProbeConfig, baselines, "false", RESULT, "also score what the stage baselines wrote"),
    FIELD_GROUP(ProbeConfig, ridge, ridge_fields, "linear regression with a penalty on the weights"),
    FIELD_GROUP(ProbeConfig, knn, knn_fields, "nearest neighbours; time grows with the square of the rows"),
    FIELD_GROUP(ProbeConfig, mlp, mlp_fields, "few-shot MLP"),
    FIELD_GROUP(ProbeConfig, flow, posterior_fields, "posteriors by spline flows"),
    FIELD_GROUP(ProbeConfig, calibration, calibration_fields, "errors of predictions, from the val split"),
    FIELD_GROUP(ProbeConfig, morphology, morphology_fields, "what volunteers would say of a galaxy"),
    FIELD_END};

static Status check(const void *config)
{
    const ProbeConfig *c = config;
    if (c->probes.n == 0 || c->properties.n == 0)
        return FAIL(E_CONFIG, "probe.probes or probe.properties is empty: nothing to fit");
    TRY(mlp_check(&c->mlp));
    return ridge_check(&c->ridge);
}

const ConfigSection probe_section = {"probe", "properties learnt from embeddings", probe_fields, sizeof(ProbeConfig),
                                     check};

/* ---- one kind of probe ---- */

typedef struct {
    const ProbeFiles *files;
    const ProbeInputRow *row;
} Source;

static Status read_source(float *out, void *source, int64_t first, int64_t n, Arena *scratch)
{
    Source *s = source;
    return probe_read_input(out, s->files, s->row, first, n, scratch);
}

/* One input with its fits so far: who is taught by it finds them here. */
typedef struct {
    Source source;
    ProbeFeatures features;
    ProbeTask task;
    uint8_t *usable;
    int first_fit, n_fits; /* in ProbeSet.fit */
} Learned;

typedef struct {
    ProbeSet *set;
    Predictions *predictions;
    ProbeReports *reports;
    const ProbeConfig *config;
    const MorphologyVotes *votes; /* NULL = no morphology */
    Learned *learned;             /* (n_inputs) */
    Arena *arena;
} Driver;

/* A fit that was not made: NaN throughout, so that whatever is predicted with it is NaN too. */
static void start_fit(ProbeFit *fit, int input, int label, const char *probe)
{
    *fit = (ProbeFit){.input = input,
                      .label = label,
                      .probe = probe,
                      .lambda = NAN,
                      .intercept = NAN,
                      .label_min = NAN,
                      .label_max = NAN};
    for (int s = 0; s < N_SPLITS; s++) fit->score[s] = (Scores){0, NAN, NAN, NAN, NAN, NAN, NAN};
    fit->calibration.all = (CalibrationBin){0, NAN, NAN, NAN, NAN, NAN, {0}};
    for (int q = 0; q < CALIBRATION_GRID; q++) fit->calibration.all.grid[q] = NAN;
}

static Status new_predictions(RowPredictions *out, int n, int64_t rows, int64_t n_samples, Arena *a)
{
    for (int f = 0; f < n; f++) {
        TRY(arena_new(&out[f].value, a, rows));
        TRY(arena_new(&out[f].scale, a, rows));
        TRY(arena_new(&out[f].nll, a, rows));
        TRY(arena_new(&out[f].samples, a, rows * n_samples));
        out[f].n_samples = n_samples;
        for (int64_t i = 0; i < rows * n_samples; i++) out[f].samples[i] = NAN;
        for (int64_t r = 0; r < rows; r++) out[f].value[r] = out[f].nll[r] = NAN, out[f].scale[r] = 1;
    }
    return OK;
}

/* Collective. One column of predictions.h5. */
static Status put_column(Driver *d, const char *name, const double *x, const ProbeTask *t)
{
    const Mark mark = arena_mark(d->arena);
    float *narrow = NULL;
    Status st = arena_new(&narrow, d->arena, t->rows->n);
    for (int64_t r = 0; st == OK && r < t->rows->n; r++) narrow[r] = isnan(x[r]) ? NAN : (float)x[r];
    TRY(par_agree(t->par, st));
    TRY(predictions_put(d->predictions, name, narrow, 1, t->rows->first, t->rows->n, t->par));
    arena_reset(d->arena, mark);
    return OK;
}

static Status put_predictions(Driver *d, const ProbeKind *kind, const ProbeFit *fit, const RowPredictions *p,
                              const ProbeTask *t)
{
    const ProbeInputRow *row = t->input->row;
    char name[H5_PATH];
    snprintf(name, sizeof name, "%s_%s/%s/%s/value", row->encoder, row->modality, kind->name,
             label_table[fit->label].name);
    TRY(put_column(d, name, p->value, t));
    if (p->n_samples > 0) {
        snprintf(name, sizeof name, "%s_%s/%s/%s/samples", row->encoder, row->modality, kind->name,
                 label_table[fit->label].name);
        TRY(predictions_put(d->predictions, name, p->samples, p->n_samples, t->rows->first, t->rows->n, t->par));
    }
    double most[2] = {-INFINITY, -INFINITY}; /* of scale and of -scale */
    for (int64_t r = 0; r < t->rows->n; r++) {
        most[0] = fmax(most[0], p->scale[r]);
        most[1] = fmax(most[1], -p->scale[r]);
    }
    par_max_f64(t->par, most, 2);
    if (most[0] <= 1 && most[1] <= -1) return OK;
    snprintf(name, sizeof name, "%s_%s/%s/%s/scale", row->encoder, row->modality, kind->name,
             label_table[fit->label].name);
    return put_column(d, name, p->scale, t);
}

/* The fit of the same probe and property that the teacher has; NULL = it has none. */
static const ProbeFit *taught(const ProbeSet *set, const Learned *teacher, const char *probe, int label)
{
    for (int f = teacher->first_fit; f < teacher->first_fit + teacher->n_fits; f++)
        if (set->fit[f].probe == probe && set->fit[f].label == label) return &set->fit[f];
    return NULL;
}

/* Collective. Which properties the kind learns from this input, and the fits that are ready to be filled; those that are not
   stay NaN. Returns how many are ready. */
static int choose_fits(ProbeFit *fit, int slot[N_LABELS], const ProbeKind *kind, Learned *in, const Learned *teacher,
                       Driver *d)
{
    const ProbeTask *t = &in->task;
    int n = 0;
    for (int label = 0; label < N_LABELS; label++) {
        int64_t rows[N_SPLITS];
        ProbeFit *to = &d->set->fit[d->set->n_fits];
        if (!config_lists(&d->config->properties, label_table[label].name)) continue;
        probe_count(rows, t->rows, t->usable, label, t->par);
        start_fit(to, (int)(t->input - d->set->input), label, kind->name);
        for (int s = 0; s < N_SPLITS; s++) to->score[s].n = rows[s];
        const ProbeFit *from = teacher ? taught(d->set, teacher, kind->name, label) : NULL;
        if (from ? isfinite(from->label_min) : !teacher && rows[SPLIT_TRAIN] >= d->config->min_rows) {
            if (from) to->lambda = from->lambda, to->intercept = from->intercept;
            if (from) to->n_weights = from->n_weights, to->weight = from->weight;
            fit[n] = *to;
            slot[n++] = d->set->n_fits;
        } else if (!teacher) {
            log_warn("probe: %s from %s %s has %lld train rows, under probe.min_rows (%lld): skipped",
                     label_table[label].name, t->input->row->encoder, t->input->row->modality,
                     (long long)rows[SPLIT_TRAIN], (long long)d->config->min_rows);
        }
        d->set->n_fits++;
        in->n_fits++;
    }
    return n;
}

/* Collective. Fits the properties that have the rows, predicts and scores them. */
static Status fit_kind(const ProbeKind *kind, Learned *in, const Learned *teacher, Driver *d)
{
    ProbeFit fit[N_LABELS];
    RowPredictions predicted[N_LABELS];
    int slot[N_LABELS];
    const ProbeTask *t = &in->task;
    const int n = choose_fits(fit, slot, kind, in, teacher, d);
    if (n == 0) return OK;
    if (!teacher) TRY(kind->fit(fit, n, t, d->arena));
    const Mark mark = arena_mark(d->arena);
    TRY(par_agree(t->par, new_predictions(predicted, n, t->rows->n, kind == &flow_probe ? d->config->flow.samples : 0,
                                          d->arena)));
    TRY(kind->predict(predicted, fit, n, t, d->arena));
    TRY(probe_score(fit, n, predicted, t, d->arena));
    for (int f = 0; f < n; f++) TRY(reports_add(d->reports, slot[f], &fit[f], &predicted[f], t, d->arena));
    for (int f = 0; f < n; f++) {
        TRY(put_predictions(d, kind, &fit[f], &predicted[f], t));
        d->set->fit[slot[f]] = fit[f];
    }
    arena_reset(d->arena, mark);
    return OK;
}

/* ---- one input ---- */

static const Learned *teacher_of(const ProbeInputRow *row, const Driver *d)
{
    for (int i = 0; row->taught_by && i < d->set->n_inputs - 1; i++) {
        const ProbeInputRow *other = d->set->input[i].row;
        if (strcmp(other->encoder, row->encoder) == 0 && strcmp(other->modality, row->taught_by) == 0)
            return &d->learned[i];
    }
    return NULL;
}

static Status put_ood(Learned *in, ProbeInput *input, Driver *d)
{
    const Mark mark = arena_mark(d->arena);
    char name[H5_PATH];
    double *score = NULL;
    TRY(par_agree(in->task.par, arena_new(&score, d->arena, in->task.rows->n)));
    TRY(probe_ood(score, input, &in->task, d->arena));
    snprintf(name, sizeof name, "%s_%s/ood", input->row->encoder, input->row->modality);
    TRY(put_column(d, name, score, &in->task));
    arena_reset(d->arena, mark);
    return OK;
}

/* Collective. Which kinds of probes an input has: those of the configuration; predictions that are there already have one of their own. */
static bool applies(const ProbeKind *kind, const ProbeInputRow *row, const ProbeConfig *config)
{
    if (row->kind == INPUT_SUPERVISED) return kind == &supervised_probe;
    if (row->kind == INPUT_FEATURES && kind == &flow_probe)
        return false; /* a baseline: no posteriors are asked of it */
    return kind != &supervised_probe && config_lists(&config->probes, kind->name);
}

static Status fit_input(const ProbeInputRow *row, const ProbeFiles *files, const ProbeRows *rows, uint64_t seed,
                        const Par *par, Driver *d)
{
    const int index = d->set->n_inputs++;
    ProbeInput *input = &d->set->input[index];
    Learned *in = &d->learned[index];
    *input = (ProbeInput){.row = row};
    *in = (Learned){.source = {files, row}, .first_fit = d->set->n_fits};
    const Learned *teacher = teacher_of(row, d);
    in->features = (ProbeFeatures){probe_input_dim(files, row), read_source, &in->source};
    TRY(par_agree(par, arena_new(&in->usable, d->arena, rows->n)));
    in->task = (ProbeTask){.config = d->config,
                           .rows = rows,
                           .usable = in->usable,
                           .features = &in->features,
                           .input = input,
                           .learned = teacher ? &teacher->task : NULL,
                           .files = files,
                           .reports = d->reports,
                           .par = par,
                           .seed = seed};
    TRY(probe_standardise(input, in->usable, rows, &in->features, par, d->arena));
    if (row->kind != INPUT_EMBEDDINGS && input->n_usable[SPLIT_TRAIN] == 0) { /* a catalogue without fluxes */
        d->set->n_inputs--;
        return OK;
    }
    log_info("probe: %s %s: %lld numbers per row; %lld of %lld rows have them (train %lld, val %lld, test %lld)",
             row->encoder, row->modality, (long long)input->dim,
             (long long)(input->n_usable[0] + input->n_usable[1] + input->n_usable[2]), (long long)rows->total,
             (long long)input->n_usable[SPLIT_TRAIN], (long long)input->n_usable[SPLIT_VAL],
             (long long)input->n_usable[SPLIT_TEST]);
    if (row->kind == INPUT_EMBEDDINGS && !row->taught_by)
        TRY(put_ood(in, input, d));
    else
        input->ood_quantile = NAN;
    for (int k = 0; probe_kinds[k]; k++)
        if (applies(probe_kinds[k], row, d->config)) TRY(fit_kind(probe_kinds[k], in, teacher, d));
    if (!d->votes || row->kind == INPUT_SUPERVISED || row->taught_by) return OK;
    return morphology_fit(d->set->morphology, &d->set->n_morphology, d->votes, index, &in->task, d->predictions,
                          d->arena);
}

/* Is there anything of this input, and does the configuration ask for it? A crossed one needs its teacher, which has the same numbers
   of another meaning: only embeddings of one width can teach each other. */
static bool is_wanted(const ProbeInputRow *row, const ProbeFiles *files, const ProbeConfig *config)
{
    const int64_t dim = probe_input_dim(files, row);
    if (dim == 0 || !row->taught_by) return dim > 0;
    for (const ProbeInputRow *other = probe_inputs; other != row; other++)
        if (strcmp(other->encoder, row->encoder) == 0 && strcmp(other->modality, row->taught_by) == 0)
            return config->crossed && probe_input_dim(files, other) == dim;
    return false;
}

Status probe_fit_all(ProbeSet *out, Predictions *predictions, ProbeReports *reports, const ProbeConfig *config,
                     const ProbeFiles *files, uint64_t seed, const Par *par, Arena *a)
{
    ProbeRows rows;
    Driver d = {.set = out, .predictions = predictions, .reports = reports, .config = config, .arena = a};
    int n_rows = 0, n_kinds = 0, n_embeddings = 0;
    while (probe_inputs[n_rows].encoder) n_rows++;
    while (probe_kinds[n_kinds]) n_kinds++;
    memset(out, 0, sizeof *out);
    Status st = probe_rows_read(&rows, files->catalog, files->embeddings, par, a);
    if (st == OK) st = arena_new(&out->input, a, n_rows);
    if (st == OK) st = arena_new(&d.learned, a, n_rows);
    if (st == OK) st = arena_new(&out->fit, a, (int64_t)n_rows * n_kinds * N_LABELS);
    if (st == OK) st = arena_new(&out->morphology, a, (int64_t)n_rows * MORPHOLOGY_FITS);
    if (st == OK) st = reports_open(reports, n_rows * n_kinds * N_LABELS, a);
    TRY(par_agree(par, st));
    for (int i = 0; i < n_rows; i++)
        n_embeddings += probe_inputs[i].kind == INPUT_EMBEDDINGS && probe_input_dim(files, &probe_inputs[i]) > 0;
    if (n_embeddings == 0)
        return FAIL(E_INPUT,
                    "%s has none of the embeddings that probes learn from: see embed.sets and embed.modalities",
                    files->embeddings->file.path);
    MorphologyVotes votes;
    if (config->morphology.votes[0] != '\0') {
        TRY(morphology_votes(&votes, &config->morphology, &rows, files->catalog, par, a));
        d.votes = &votes;
    }
    for (int i = 0; i < n_rows; i++)
        if (is_wanted(&probe_inputs[i], files, config)) TRY(fit_input(&probe_inputs[i], files, &rows, seed, par, &d));
    return OK;
}

/* A row: its columns, `usable` of each input, room to pick values, predictions of all properties, the score; and values
   in order (sorted.h), which are those of the train rows at most: twice, and their numbers. */
int64_t probe_row_bytes(const ProbeConfig *config)
{
    int64_t n_inputs = 0;
    while (probe_inputs[n_inputs].encoder) n_inputs++;
    return (int64_t)sizeof(int64_t) + 1 + 8 * (N_LABELS + 1) + n_inputs + 8 * (3 * config->properties.n + 3) +
           32 * 4 / 5;
}

int64_t probe_memory(const ProbeConfig *config, int64_t rows, int64_t dim, int n_ranks)
{
    const int64_t mine = rows / n_ranks + 4096;
    const int64_t n = config->properties.n;
    int64_t most = ridge_memory(&config->ridge, rows, dim, n);
    if (config_lists(&config->probes, "knn")) {
        const int64_t knn = knn_memory(&config->knn, rows, dim, n, n_ranks);
        most = knn > most ? knn : most;
    }
    /* networks hold their train rows: as features, as records on their way to the parts, and there, in double */
    if (config_lists(&config->probes, "mlp") || config_lists(&config->probes, "flow") ||
        config->morphology.votes[0] != '\0') {
        const int64_t nets = mine * (4 * dim + 3 * 8 * (dim + n + 2));
        most = nets > most ? nets : most;
    }
    const int64_t landmarks = 8 * OOD_LANDMARKS * dim;
    return mine * probe_row_bytes(config) + (landmarks > most ? landmarks : most);
}
