/* baselines.c - the stage: what is to be had without AstroCLIP, from the same rows (spec.md 6.8). Networks trained for the
   properties themselves, principal components of raw data; what each says of every row goes to baselines.h5. */
#include <math.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "io/seal.h"
#include "model/prepare_image.h"
#include "nn/gemm.h"
#include "probe/baselines.h"
#include "probe/pca.h"
#include "probe/photonet.h"
#include "train/supervised.h"
#include "training.h"

typedef struct {
    ConfigTexts models, properties;
    int64_t width, image_size;
    int64_t batch, epochs, photometry_epochs;
    double lr;
    int64_t components, component_rows;
} BaselinesConfig;

static const char *const model_names[] = {"resnet18", "conv_att", "photometry_mlp", "pca_image", "pca_spectrum", NULL};
static const char *const property_names[] = {"z", "logmstar", "age", "logz", "logssfr", "ssfr_released", NULL};

/* Defaults are those of the released scripts, but for the components. */
static const ConfigField fields[] = {
    FIELD_TEXTS(BaselinesConfig, models, "[resnet18, conv_att, photometry_mlp, pca_image, pca_spectrum]", model_names,
                RESULT, "what to compare embeddings with"),
    FIELD_TEXTS(BaselinesConfig, properties, "[z, logmstar, age, logz, logssfr]", property_names, RESULT,
                "what the supervised ones learn"),
    FIELD_INT(BaselinesConfig, width, "64", 1, 4096, RESULT, "resnet18: channels of its first layer"),
    FIELD_INT(BaselinesConfig, image_size, "144", 32, CUTOUT_PIXELS, RESULT,
              "resnet18, pca_image: pixels of the centre of an image"),
    FIELD_INT(BaselinesConfig, batch, "128", 1, 1e6, RESULT, "samples of a step, of all replicas together"),
    FIELD_INT(BaselinesConfig, epochs, "50", 1, 1e6, RESULT, "resnet18, conv_att: passes over the train samples"),
    FIELD_INT(BaselinesConfig, photometry_epochs, "50", 1, 1e6, RESULT, "photometry_mlp: passes over the train rows"),
    FIELD_REAL(BaselinesConfig, lr, "5e-4", 0, 10, RESULT, "learning rate, the same in all steps"),
    FIELD_INT(BaselinesConfig, components, "64", 1, 4096, RESULT, "pca_*: principal components"),
    FIELD_INT(BaselinesConfig, component_rows, "20000", 2, 1e9, RESULT,
              "pca_*: train rows that they are learnt from, at most"),
    FIELD_END};

static Status check(const void *config)
{
    const BaselinesConfig *c = config;
    if (c->models.n == 0 || c->properties.n == 0)
        return FAIL(E_CONFIG, "baselines.models or baselines.properties is empty: nothing to learn");
    return OK;
}

const ConfigSection baselines_section = {"baselines", "networks and components to compare embeddings with", fields,
                                         sizeof(BaselinesConfig), check};
static const ConfigSection *const sections[] = {&baselines_section, &train_section, NULL};

/* ---- what all models need ---- */

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
    Fingerprint fingerprint;
    int64_t first, n; /* this rank's rows */
} Job;

static Status check_batch(const BaselinesConfig *c, const TrainConfig *train)
{
    if (c->batch % train->replicas == 0) return OK;
    return FAIL(E_CONFIG, "baselines.batch = %lld cannot be shared by train.replicas = %lld: make it a multiple",
                (long long)c->batch, (long long)train->replicas);
}

static Status open_all(Job *j)
{
    Run *run = j->run;
    const RunConfig *rc = config_get(run->config, &run_section);
    j->seed = (uint64_t)rc->seed;
    TRY(check_batch(j->config, j->train));
    for (int64_t k = 0; k < j->config->properties.n; k++)
        for (int l = 0; l < N_LABELS; l++)
            if (strcmp(label_table[l].name, j->config->properties.item[k]) == 0) j->label[k] = (Label)l;
    TRY(stage_path(&j->catalog_path, run, "catalog.h5"));
    TRY(stage_path(&j->path, run, "baselines.h5"));
    TRY(stage_path(&j->folder, run, "baselines"));
    TRY(stage_output(&j->dataset_path, run, j->train->dataset));
    TRY(gemm_choose(rc->gemm, (int)rc->threads));
    TRY(gemm_precision(train_precisions[j->train->precision]));
    TRY(stage_made_by("catalog", catalog_open(&j->catalog, j->catalog_path, NULL, run->arena)));
    return stage_made_by("pack", dataset_open(&j->dataset, j->dataset_path, run->arena));
}

static void fingerprint_all(Job *j)
{
    HashState *h = stage_hash(j->run, &baselines_stage);
    hash_add(h, &j->seed, sizeof j->seed);
    hash_add_text(h, j->catalog.envelope.fingerprint.text);
    hash_add_text(h, j->dataset.fingerprint.text);
    hash_add_text(h, gemm_provider_text());
    j->fingerprint = hash_close(h);
}

/* What a network's weights depend on: other models, and how many epochs photometry gets, do not train it again. */
static Fingerprint fingerprint_of(const Job *j, const char *network)
{
    const BaselinesConfig *c = j->config;
    HashState *h = hash_open();
    const int64_t number[] = {baselines_stage.revision, c->width, c->image_size, c->batch, c->epochs, (int64_t)j->seed};
    hash_add_text(h, network);
    hash_add(h, number, sizeof number);
    hash_add(h, &c->lr, sizeof c->lr);
    for (int64_t k = 0; k < c->properties.n; k++) hash_add_text(h, c->properties.item[k]);
    config_hash(h, j->run->config, &train_section);
    hash_add_text(h, j->catalog.envelope.fingerprint.text);
    hash_add_text(h, j->dataset.fingerprint.text);
    hash_add_text(h, gemm_provider_text());
    return hash_close(h);
}

/* ---- supervised networks ---- */

/* One network, from labels to weights. */
typedef struct {
    const char *name; /* "baselines: resnet18" */
    char *folder, *checkpoint;
    Targets targets;
    Sample *sample[N_SPLITS];
    int64_t n[N_SPLITS];
    Supervised *network;
    TrainRecipe recipe;
    Envelope envelope;
} Learner;

static Status open_learner(Learner *l, Job *j, const char *network, Modality m)
{
    const BaselinesConfig *c = j->config;
    Arena *a = j->run->arena;
    char *name;
    TRY(arena_printf(&name, a, "baselines: %s", network));
    TRY(arena_printf(&l->folder, a, "%s/%s", j->folder, network));
    TRY(arena_printf(&l->checkpoint, a, "%s/%s.ckpt.h5", j->folder, network));
    l->name = name;
    TRY(targets_read(&l->targets, &j->dataset, m, &j->catalog, j->label, c->properties.n, a));
    for (int s = 0; s < N_SPLITS; s++)
        TRY(targets_samples(&l->sample[s], &l->n[s], &l->targets, &j->dataset, m, (Split)s, a));
    const SupervisedConfig config = {network, c->width, c->image_size};
    TRY(supervised_open(&l->network, &config, &j->dataset, &l->targets, l->sample[SPLIT_TRAIN], l->n[SPLIT_TRAIN],
                        j->seed, a));
    const int64_t steps = l->n[SPLIT_TRAIN] / c->batch;
    l->recipe = (TrainRecipe){.batch = c->batch / j->train->replicas,
                              .steps = c->epochs * steps,
                              .lr = c->lr,
                              .lr_last = c->lr,
                              .beta1 = 0.9,
                              .beta2 = 0.999,
                              .eps = 1e-8,
                              .validate_every = steps,
                              .val_batches = INT64_MAX,
                              .keep = KEEP_BEST};
    if (steps == 0)
        return FAIL(E_INPUT, "%s: %lld train samples have a label; a step takes baselines.batch = %lld",
                    j->dataset_path, (long long)l->n[SPLIT_TRAIN], (long long)c->batch);
    TRY(stage_envelope(&l->envelope, j->run, "checkpoint", CHECKPOINT_VERSION, &baselines_stage,
                       fingerprint_of(j, network)));
    l->envelope.specprod = l->envelope.image_release = ""; /* weights are of no release */
    return OK;
}

/* Collective. Trains unless the weights are there. */
static Status learn(Learner *l, Job *j)
{
    Run *run = j->run;
    Params *p = supervised_params(l->network);
    Objective objective;
    TrainReport report;
    int64_t done = run->par.rank == 0 && !run->force &&
                   artefact_is_current(l->checkpoint, "checkpoint", CHECKPOINT_VERSION, &l->envelope.fingerprint);
    par_bcast(&run->par, &done, sizeof done, 0);
    TRY(artefact_make_folder(&run->par, l->folder));
    if (done) {
        log_info("%s: %s is current, not trained again", l->name, l->checkpoint);
        TRY(par_agree(&run->par, checkpoint_load(p, l->checkpoint, run->arena)));
        return state_remove_all(l->folder, &run->par);
    }
    if (run->force) TRY(state_remove_all(l->folder, &run->par));
    log_info("%s: %lld train samples with a label, %lld to validate; %lld steps", l->name, (long long)l->n[SPLIT_TRAIN],
             (long long)l->n[SPLIT_VAL], (long long)l->recipe.steps);
    supervised_objective(&objective, l->network);
    const Trainer trainer = {.stage = l->name,
                             .folder = l->folder,
                             .config = j->train,
                             .recipe = &l->recipe,
                             .objective = &objective,
                             .params = p,
                             .train = l->sample[SPLIT_TRAIN],
                             .n_train = l->n[SPLIT_TRAIN],
                             .val = l->sample[SPLIT_VAL],
                             .n_val = l->n[SPLIT_VAL],
                             .seed = j->seed,
                             .envelope = l->envelope};
    TRY(trainer_run(&report, &trainer, &run->par, run->arena));
    log_info("%s: loss %.5g in the first step, %.5g in the last; best validation loss %.5g after step %lld", l->name,
             report.first_loss, report.loss, report.best_loss, (long long)report.best_step);
    Status st = supervised_settle(l->network, run->arena);
    if (st == OK && run->par.rank == 0) st = checkpoint_save(l->checkpoint, p, &l->envelope);
    TRY(par_agree(&run->par, st));
    return state_remove_all(l->folder, &run->par);
}

/* The entry that catalogue row `row` has, searched from *at on; -1 = none to use. Rows come in increasing order. */
static int64_t entry_of_row(int64_t *at, const DatasetEntries *e, int32_t fatal, int64_t row)
{
    while (*at < e->n && e->row[*at] < row) ++*at;
    return *at < e->n && e->row[*at] == row && !(e->flag[*at] & fatal) ? *at : -1;
}

static Status predict_rows(float *value, const Learner *l, const Job *j, Modality m)
{
    const int64_t dim = l->targets.n_out;
    Progress progress = {0};
    int64_t at = 0;
    progress_start(&progress, l->name, "rows", j->n);
    for (int64_t i = 0; i < j->n; i++) {
        const int64_t entry = entry_of_row(&at, &l->targets.entry, j->dataset.fatal[m], j->first + i);
        TRY(par_continue());
        for (int64_t k = 0; k < dim; k++) value[i * dim + k] = NAN;
        if (entry >= 0) TRY(supervised_predict(value + i * dim, l->network, entry, j->run->arena));
        progress_set(&progress, i + 1);
    }
    progress_stop(&progress);
    return OK;
}

/* Collective. */
static Status do_supervised(Job *j, const char *network, Modality m)
{
    Learner l = {0};
    float *value = NULL;
    TRY(par_agree(&j->run->par, open_learner(&l, j, network, m)));
    TRY(learn(&l, j));
    Status st = arena_new(&value, j->run->arena, j->n * l.targets.n_out);
    if (st == OK) st = predict_rows(value, &l, j, m);
    TRY(par_agree(&j->run->par, st));
    return baselines_put(&j->file, network, j->label, value, l.targets.n_out, j->first, j->n, &j->run->par);
}

/* ---- photometry ---- */

static Status do_photometry(Job *j, const char *model)
{
    const BaselinesConfig *c = j->config;
    const PhotoNetConfig how = {c->batch, c->photometry_epochs, c->lr};
    const Par *par = &j->run->par;
    Arena *a = j->run->arena;
    PhotoNet net;
    float *value = NULL;
    TRY(photonet_train(&net, &j->catalog, j->label, c->properties.n, &how, j->seed, par, a));
    log_info("baselines: %s: %lld rows to learn from, %lld to validate; best validation loss after epoch %lld", model,
             (long long)net.report.n_train, (long long)net.report.n_val, (long long)net.report.best_epoch);
    Status st = arena_new(&value, a, j->n * net.n_out);
    for (int64_t at = 0; st == OK && at < j->n; at += 4096)
        st = photonet_predict(value + at * net.n_out, &net, &j->catalog, j->first + at,
                              j->n - at < 4096 ? j->n - at : 4096, a);
    TRY(par_agree(par, st));
    return baselines_put(&j->file, model, j->label, value, net.n_out, j->first, j->n, par);
}

/* ---- principal components ---- */

typedef struct {
    Dataset *dataset;
    Modality m;
    int64_t size, dim;
    DatasetEntries entry;
    int64_t *train, n_train; /* entries to learn from */
} Raw;

/* The entry as the supervised network of its modality sees it. */
static Status read_raw(float *out, const Raw *r, int64_t entry, Arena *scratch)
{
    const Mark mark = arena_mark(scratch);
    float *pixels;
    clock_tick();
    if (r->m == MODALITY_SPECTRUM) return dataset_spectrum(out, r->dataset, entry);
    TRY(arena_new(&pixels, scratch, IMAGE_NUMBERS));
    TRY(dataset_image(pixels, r->dataset, entry));
    TRY(prepare_image(out, pixels, CUTOUT_PIXELS, r->size));
    arena_reset(scratch, mark);
    return OK;
}

static Status read_train(float *out, void *source, int64_t row, Arena *scratch)
{
    const Raw *r = source;
    return read_raw(out, r, r->train[row], scratch);
}

/* Train entries, at most component_rows of them, evenly spread. */
static Status open_raw(Raw *r, Job *j, Modality m)
{
    const BaselinesConfig *c = j->config;
    int64_t n = 0;
    *r = (Raw){.dataset = &j->dataset, .m = m, .size = c->image_size};
    r->dim = m == MODALITY_SPECTRUM ? GRID_PIXELS : N_BANDS * c->image_size * c->image_size;
    TRY(dataset_index(&r->entry, &j->dataset, m, j->run->arena));
    TRY(arena_new(&r->train, j->run->arena, r->entry.n));
    for (int64_t i = 0; i < r->entry.n; i++)
        if (r->entry.split[i] == SPLIT_TRAIN && !(r->entry.flag[i] & j->dataset.fatal[m])) r->train[n++] = i;
    r->n_train = n < c->component_rows ? n : c->component_rows;
    for (int64_t i = 0; i < r->n_train; i++) r->train[i] = r->train[i * n / r->n_train];
    return OK;
}

static Status project_rows(float *value, const Pca *pca, const Raw *r, const Job *j)
{
    Arena *a = j->run->arena;
    int64_t at = 0;
    float *x;
    TRY(arena_new(&x, a, r->dim));
    for (int64_t i = 0; i < j->n; i++) {
        const int64_t entry = entry_of_row(&at, &r->entry, j->dataset.fatal[r->m], j->first + i);
        TRY(par_continue());
        for (int64_t k = 0; k < pca->k; k++) value[i * pca->k + k] = NAN;
        if (entry < 0) continue;
        TRY(read_raw(x, r, entry, a));
        pca_project(value + i * pca->k, pca, x);
    }
    return OK;
}

static Status do_components(Job *j, const char *model, Modality m)
{
    const Par *par = &j->run->par;
    Arena *a = j->run->arena;
    Raw raw;
    Pca pca;
    float *value = NULL;
    TRY(par_agree(par, open_raw(&raw, j, m)));
    const PcaRows rows = {raw.n_train, raw.dim, read_train, &raw};
    TRY(pca_fit(&pca, &rows, j->config->components, j->seed, par, a));
    log_info("baselines: %s: %lld components of %lld train rows; variance %.4g along the first, %.4g along the last",
             model, (long long)pca.k, (long long)raw.n_train, pca.variance[0], pca.variance[pca.k - 1]);
    Status st = arena_new(&value, a, j->n * pca.k);
    if (st == OK) st = project_rows(value, &pca, &raw, j);
    TRY(par_agree(par, st));
    return baselines_put(&j->file, model, NULL, value, pca.k, j->first, j->n, par);
}

/* ---- the stage ---- */

/* Collective. */
static Status do_model(Job *j, const char *model)
{
    const Mark mark = arena_mark(j->run->arena);
    Modality m;
    clock_begin(model);
    Status st = supervised_modality(&m, model) ? do_supervised(j, model, m)
                : strcmp(model, "photometry_mlp") == 0
                    ? do_photometry(j, model)
                    : do_components(j, model, strcmp(model, "pca_image") == 0 ? MODALITY_IMAGE : MODALITY_SPECTRUM);
    clock_end(model);
    arena_reset(j->run->arena, mark);
    return st;
}

static Status write_all(Job *j)
{
    Run *run = j->run;
    Envelope e;
    int64_t last;
    TRY(par_agree(&run->par,
                  stage_envelope(&e, run, "baselines", BASELINES_VERSION, &baselines_stage, j->fingerprint)));
    par_share(&j->first, &last, &run->par, j->catalog.n);
    j->n = last - j->first;
    TRY(seal_check(&j->catalog.file, &run->par, run->arena));
    TRY(baselines_create(&j->file, j->path, &e, j->catalog.n, &run->par, run->arena));
    for (int64_t i = 0; model_names[i]; i++) /* each once, in the order of the table */
        for (int64_t k = 0; k < j->config->models.n; k++)
            if (strcmp(j->config->models.item[k], model_names[i]) == 0) {
                TRY(do_model(j, model_names[i]));
                break;
            }
    TRY(baselines_publish(&j->file, &run->par, run->arena));
    log_info("baselines: wrote %s", j->path);
    return OK;
}

static Status run_baselines(Run *run)
{
    Job j = {.run = run,
             .config = config_get(run->config, &baselines_section),
             .train = config_get(run->config, &train_section)};
    Status st = OK;
    TRY_DONE(par_agree(&run->par, open_all(&j)));
    fingerprint_all(&j);
    int64_t current = run->par.rank == 0 && !run->force &&
                      artefact_is_current(j.path, "baselines", BASELINES_VERSION, &j.fingerprint);
    par_bcast(&run->par, &current, sizeof current, 0);
    if (current) log_info("baselines: %s is current, nothing to do", j.path);
    if (!current && run->ask) run->stale = true;
    if (!current && !run->ask) st = write_all(&j);
done:
    baselines_close(&j.file);
    dataset_close(&j.dataset);
    catalog_close(&j.catalog);
    gemm_precision("f32");
    return st;
}

static bool has(const BaselinesConfig *c, const char *model)
{
    for (int64_t i = 0; i < c->models.n; i++)
        if (strcmp(c->models.item[i], model) == 0) return true;
    return false;
}

/* Multiplications and additions of one image or spectrum, once forth. resnet18: 3.6e9 of width 64 at 224 pixels, which
   grow as the square of both; conv_att: 6.5e6, that run at a third of the speed of large products. */
static double network_operations(const BaselinesConfig *c, Modality m)
{
    const double grows = (double)(c->width * c->image_size) / (64.0 * 224.0);
    return m == MODALITY_IMAGE ? 3.6e9 * grows * grows : 3 * 6.5e6;
}

void baselines_cost(BaselinesCost *out, const Run *run)
{
    static const char *const network[] = {"resnet18", "conv_att"}, *const components[] = {"pca_image", "pca_spectrum"};
    const BaselinesConfig *c = config_get(run->config, &baselines_section);
    const TrainConfig *train = config_get(run->config, &train_section);
    const double image = (double)(N_BANDS * c->image_size * c->image_size), dim[] = {image, GRID_PIXELS};
    const double wide = (double)c->width;
    *out = (BaselinesCost){.row_bytes = 0};
    for (int m = 0; m < N_MODALITIES; m++) {
        double memory = 0;
        if (has(c, network[m])) {
            out->passes[m] += (double)c->epochs + 1;
            out->operations += (3 * (double)c->epochs + 1) * network_operations(c, (Modality)m);
            out->row_bytes += 4 * (double)c->properties.n;
            /* weights, gradients, moments of resnet18: 11.2e6 of width 64; maps of a batch: 10 numbers of each pixel and
               channel of the stem, there and back, of train batches and of those of the running moments */
            const double batch = fmax((double)(c->batch / train->replicas), SUPERVISED_MOMENT_BATCH);
            if (m == MODALITY_IMAGE)
                memory = 4 * (8 * 11.2e6 * (wide / 64) * (wide / 64) + batch * (image + 3.3 * image / N_BANDS * wide));
        }
        if (has(c, components[m])) {
            out->passes[m] += PCA_PASSES + 3;
            out->operations += 4 * (PCA_PASSES + 1) * dim[m] * (double)(c->components + PCA_EXTRA);
            out->row_bytes += 4 * (double)c->components;
            memory = fmax(memory, pca_memory((int64_t)dim[m], c->components));
        }
        out->memory = fmax(out->memory, memory);
    }
}

static Status plan_baselines(Run *run, FILE *out)
{
    const BaselinesConfig *c = config_get(run->config, &baselines_section);
    const TrainConfig *train = config_get(run->config, &train_section);
    BaselinesCost cost;
    char *path;
    baselines_cost(&cost, run);
    TRY(stage_path(&path, run, "baselines.h5"));
    fprintf(out,
            "baselines: %lld models, %lld properties; networks: %lld epochs of steps of %lld samples in %lld replicas; "
            "about %.3g GB of memory per rank; writes %s\n",
            (long long)c->models.n, (long long)c->properties.n, (long long)c->epochs, (long long)c->batch,
            (long long)train->replicas, 1e-9 * cost.memory, path);
    return check_batch(c, train);
}

const Stage baselines_stage = {
    .name = "baselines",
    .reads = "catalog.h5 (labels, splits, fluxes), dataset.h5",
    .writes = "baselines.h5, baselines/{resnet18,conv_att}.ckpt.h5 and metrics.csv",
    .help = "supervised networks and principal components to compare embeddings with",
    .purpose =
        "Trains resnet18 on images and conv_att on spectra for the properties themselves, a small network on three "
        "magnitudes, and finds\n"
        "the principal components of images (as the image encoder sees them) and of raw flux. What each says of every "
        "row goes to\n"
        "baselines.h5; `probe` scores it with probe.baselines. The best epoch by the val split is kept; the learning "
        "rate is constant, as\n"
        "in the released scripts. The same bits on any number of ranks up to train.replicas; trained networks are kept "
        "in the folder baselines.",
    .revision = 1,
    .sections = sections,
    .tells = true,
    .run = run_baselines,
    .plan = plan_baselines,
};
