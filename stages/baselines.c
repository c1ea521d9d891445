/* baselines.c - the stage: what is to be had without AstroCLIP, from the same rows (spec.md 6.8). Networks trained for the
   properties themselves, principal components of raw data, features of MoCo v2; what each says of every row goes to
   baselines.h5. */
#include <math.h>
#include <string.h>

#include "baselines.h"
#include "core/clock.h"
#include "core/log.h"
#include "io/seal.h"
#include "model/prepare_image.h"
#include "nn/gemm.h"
#include "probe/pca.h"
#include "probe/photonet.h"
#include "train/moments.h"
#include "train/supervised.h"

static const char *const model_names[] = {"resnet18", "conv_att", "photometry_mlp", "pca_image", "pca_spectrum",
                                          "moco",     NULL};
static const char *const property_names[] = {"z", "logmstar", "age", "logz", "logssfr", "ssfr_released", NULL};

static const char *const moco_outputs[] = {"features", "projection", NULL};

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
    FIELD_TEXT(BaselinesConfig, moco, "moco.ckpt.h5", EFFORT,
               "moco: checkpoint of ours with the weights (train_moco, import), in run.output unless absolute"),
    FIELD_CHOICE(BaselinesConfig, moco_output, "features", moco_outputs, RESULT,
                 "moco: what it says of an image: the features of its network, or their projection"),
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
static const ConfigSection *const sections[] = {&baselines_section, &moco_section, &train_section, NULL};

/* ---- what all models need ---- */

static bool has(const BaselinesConfig *c, const char *model)
{
    for (int64_t i = 0; i < c->models.n; i++)
        if (strcmp(c->models.item[i], model) == 0) return true;
    return false;
}

static Status check_batch(const BaselinesConfig *c, const TrainConfig *train)
{
    if (c->batch % train->replicas == 0) return OK;
    return FAIL(E_CONFIG, "baselines.batch = %lld cannot be shared by train.replicas = %lld: make it a multiple",
                (long long)c->batch, (long long)train->replicas);
}

static Status open_all(BaselinesJob *j)
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
    TRY(stage_made_by("pack", dataset_open(&j->dataset, j->dataset_path, run->arena)));
    return has(j->config, "moco") ? baselines_moco_open(j) : OK;
}

static void fingerprint_all(BaselinesJob *j)
{
    HashState *h = stage_hash(j->run, &baselines_stage);
    hash_add(h, &j->seed, sizeof j->seed);
    hash_add_text(h, j->catalog.envelope.fingerprint.text);
    hash_add_text(h, j->dataset.fingerprint.text);
    hash_add_text(h, gemm_provider_text());
    hash_add(h, j->moco.value, (size_t)j->moco.n_reals * sizeof(real));
    j->fingerprint = hash_close(h);
}

int64_t baselines_entry(int64_t *at, const DatasetEntries *e, int32_t fatal, int64_t row)
{
    while (*at < e->n && e->row[*at] < row) ++*at;
    return *at < e->n && e->row[*at] == row && !(e->flag[*at] & fatal) ? *at : -1;
}

/* ---- photometry ---- */

static Status do_photometry(BaselinesJob *j, const char *model)
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
static Status open_raw(Raw *r, BaselinesJob *j, Modality m)
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

static Status project_rows(float *value, const Pca *pca, const Raw *r, const BaselinesJob *j)
{
    Arena *a = j->run->arena;
    int64_t at = 0;
    float *x;
    TRY(arena_new(&x, a, r->dim));
    for (int64_t i = 0; i < j->n; i++) {
        const int64_t entry = baselines_entry(&at, &r->entry, j->dataset.fatal[r->m], j->first + i);
        TRY(par_continue());
        for (int64_t k = 0; k < pca->k; k++) value[i * pca->k + k] = NAN;
        if (entry < 0) continue;
        TRY(read_raw(x, r, entry, a));
        pca_project(value + i * pca->k, pca, x);
    }
    return OK;
}

static Status do_components(BaselinesJob *j, const char *model, Modality m)
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
static Status do_model(BaselinesJob *j, const char *model)
{
    const Mark mark = arena_mark(j->run->arena);
    Modality m;
    clock_begin(model);
    Status st = supervised_modality(&m, model)         ? baselines_supervised(j, model, m)
                : strcmp(model, "moco") == 0           ? baselines_moco(j)
                : strcmp(model, "photometry_mlp") == 0 ? do_photometry(j, model)
                : strcmp(model, "pca_image") == 0      ? do_components(j, model, MODALITY_IMAGE)
                                                       : do_components(j, model, MODALITY_SPECTRUM);
    clock_end(model);
    arena_reset(j->run->arena, mark);
    return st;
}

static Status write_all(BaselinesJob *j)
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
    BaselinesJob j = {.run = run,
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
            const double batch = fmax((double)(c->batch / train->replicas), MOMENT_BATCH);
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
    if (has(c, "moco")) baselines_moco_cost(out, run);
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
    .reads = "catalog.h5 (labels, splits, fluxes), dataset.h5, moco.ckpt.h5 (if asked to)",
    .writes = "baselines.h5, baselines/{resnet18,conv_att}.ckpt.h5 and metrics.csv",
    .help = "supervised networks, principal components and MoCo v2 to compare embeddings with",
    .purpose =
        "Trains resnet18 on images and conv_att on spectra for the properties themselves, a small network on three "
        "magnitudes, and finds\n"
        "the principal components of images (as the image encoder sees them) and of raw flux. moco takes features of "
        "the network of\n"
        "MoCo v2 that train_moco made, or of the released one of Stein et al. (import). What each says of every row "
        "goes to\n"
        "baselines.h5; `probe` scores it with probe.baselines. The best epoch by the val split is kept; the learning "
        "rate is constant, as\n"
        "in the released scripts. The same bits on any number of ranks up to train.replicas; trained networks are kept "
        "in the folder baselines.",
    .revision = 2,
    .sections = sections,
    .tells = true,
    .run = run_baselines,
    .plan = plan_baselines,
};
