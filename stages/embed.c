/* embed.c - the stage: weights, fingerprint, the release through both encoders, the ledger. */
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "data/release_rows.h"
#include "embed/lost_rows.h"
#include "embed/previous.h"
#include "embed/volume.h"
#include "embedder.h"
#include "io/seal.h"
#include "nn/gemm.h"
#include "par/nodememory.h"
#include "stages.h"
#include "train/checkpoint.h"

static const ConfigSection *const sections[] = {&embed_section, &model_section, &spectra_section, &images_section,
                                                NULL};

/* A checkpoint may lack what is not asked for: an encoder alone serves the single-modal set of its modality. */
static Status load_checkpoint(Model *model, const EmbedConfig *c, Arena *a)
{
    static const char *const prefix[N_MODALITIES][2] = {[MODALITY_IMAGE] = {"image_encoder.backbone.",
                                                                            "image_encoder."},
                                                        [MODALITY_SPECTRUM] = {"spectrum_encoder.backbone.",
                                                                               "spectrum_encoder."}};
    const char *needed[N_MODALITIES + 1] = {NULL};
    int n = 0;
    for (int m = 0; m < N_MODALITIES; m++)
        if (embed_lists(&c->modalities, modality_name[m])) needed[n++] = prefix[m][embed_lists(&c->sets, "aligned")];
    Status st = checkpoint_load_parts(model_params(model), c->weights, needed, a);
    if (st != OK) fail_note("loading embed.weights");
    return st;
}

static Status fill_weights(Model *model, const EmbedConfig *c, Arena *a)
{
    if (strcmp(c->weights, "deterministic") != 0) return load_checkpoint(model, c, a);
    params_deterministic(model_params(model), (uint64_t)c->weights_seed);
    return OK;
}

static Fingerprint weights_of(Model *model, const char *encoder)
{
    const Params *p = model_params(model);
    HashState *h = hash_open();
    for (int64_t i = 0; i < p->n_params; i++) {
        if (strncmp(p->param[i].name, encoder, strlen(encoder)) != 0) continue;
        hash_add_text(h, p->param[i].name);
        hash_add(h, params_at(p, i), (size_t)p->param[i].n * sizeof(real));
    }
    return hash_close(h);
}

/* Behind the weights their matrices in the order of products. */
Status embedder_load_weights(NodeMemory *memory, WeightSums *sums, Model *model, const EmbedConfig *c, const Par *par,
                             Arena *a)
{
    static const char *const encoder[N_MODALITIES] = {"image_encoder.", "spectrum_encoder."};
    Params *p = model_params(model);
    TRY(nodememory_open(memory, par, (int64_t)sizeof(real) * (p->n_reals + model_kept_reals(model))));
    real *values = memory->base;
    params_place(p, values);
    clock_begin("load weights");
    Status st = memory->first ? fill_weights(model, c, a) : OK;
    if (st == OK) model_keep(model, values + p->n_reals, memory->first);
    clock_end("load weights");
    TRY(par_agree(par, st));
    nodememory_barrier(memory);
    for (int m = 0; m < N_MODALITIES && par->rank == 0; m++) sums->of[m] = weights_of(model, encoder[m]);
    par_bcast(par, sums, sizeof *sums, 0);
    return par_agree(par, model_prepare(model, a));
}

/* Configuration, weights, and everything about the input rows that the embeddings depend on. */
static Fingerprint fingerprint_of(const Run *run, const WeightSums *sums, const Catalog *catalog)
{
    HashState *h = stage_hash(run, &embed_stage);
    hash_add_text(h, catalog->manifest.text);
    for (int m = 0; m < N_MODALITIES; m++) hash_add_text(h, sums->of[m].text);
    return hash_close(h);
}

/* ---- recipes (embed/reuse.h) ---- */

/* Options that only say which rows and files there are: what they change, rows and manifest tell of. */
static bool chooses_rows(const char *key, size_t length)
{
    static const char *const keys[] = {"release.spectra.specprod",
                                       "release.spectra.programs",
                                       "release.spectra.redshifts",
                                       "release.spectra.zcatalog",
                                       "release.spectra.zcatalog_version",
                                       "release.spectra.files",
                                       "release.spectra.catalog",
                                       "release.images.sweeps",
                                       "release.images.files"};
    static const char group[] = "release.images.objects.";
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strlen(keys[i]) == length && strncmp(keys[i], key, length) == 0) return true;
    return strncmp(key, group, sizeof group - 1) == 0;
}

/* The lines of a section's text that begin with `prefix` and count; those of the other modality's encoder do not. */
static void add_lines(FILE *out, const char *text, const char *prefix, const char *other)
{
    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n')
        if (strncmp(line, prefix, strlen(prefix)) == 0 && strncmp(line, other, strlen(other)) != 0 &&
            !chooses_rows(line, strcspn(line, "=\n")))
            fprintf(out, "%.*s\n", (int)strcspn(line, "\n"), line);
}

static Status make_recipe(const char **out, const Run *run, const WeightSums *sums, Modality m)
{
    static const struct {
        const ConfigSection *section;
        const char *prefix[N_MODALITIES];
    } parts[] = {{&embed_section, {"embed.precision", "embed.precision"}},
                 {&model_section, {"model.", "model."}},
                 {&images_section, {"images.", NULL}},
                 {&spectra_section, {NULL, "spectra."}},
                 {&release_section, {"release.images.", "release.spectra."}}};
    static const char *const other[N_MODALITIES] = {"model.spectrum.", "model.image."};
    char *text = NULL, *recipe = NULL;
    size_t size = 0;
    Status st = OK;
    FILE *stream = open_memstream(&text, &size);
    if (!stream) return FAIL(E_MEMORY, "no memory for a text");
    fprintf(stream, "revision=%d\nweights=%s\nproducts=%s\n", embed_stage.revision, sums->of[m].text,
            gemm_provider_text());
    for (size_t i = 0; i < sizeof parts / sizeof *parts && st == OK; i++) {
        char *lines = NULL;
        if (!parts[i].prefix[m]) continue;
        st = config_text(&lines, run->config, parts[i].section, run->arena);
        if (st == OK) add_lines(stream, lines, parts[i].prefix[m], other[m]);
    }
    fclose(stream);
    if (st == OK) st = arena_text(&recipe, run->arena, text);
    free(text);
    *out = recipe;
    return st;
}

Status embedder_make_recipes(Embedder *e, const Run *run, const WeightSums *sums)
{
    for (int m = 0; m < N_MODALITIES; m++)
        if (e->want[m]) TRY(make_recipe(&e->recipe[m], run, sums, (Modality)m));
    return OK;
}

void embedder_set_up(Embedder *e, const Run *run, const Model *model, Catalog *catalog)
{
    memset(e, 0, sizeof *e);
    e->config = config_get(run->config, &embed_section);
    e->spectra = config_get(run->config, &spectra_section);
    e->images = config_get(run->config, &images_section);
    e->release = config_get(run->config, &release_section);
    e->model = model;
    e->catalog = catalog;
    for (int m = 0; m < N_MODALITIES; m++) e->want[m] = embed_lists(&e->config->modalities, modality_name[m]);
    bool aligned = embed_lists(&e->config->sets, "aligned"), single = embed_lists(&e->config->sets, "single");
    bool image = e->want[MODALITY_IMAGE], spectrum = e->want[MODALITY_SPECTRUM];
    e->dim[SET_IMAGE] = aligned && image ? model_embed_dim(model) : 0;
    e->dim[SET_SPECTRUM] = aligned && spectrum ? model_embed_dim(model) : 0;
    e->dim[SET_ASTRODINO] = single && image ? model_image_dim(model) : 0;
    e->dim[SET_SPECFORMER] = single && spectrum ? model_spectrum_dim(model) : 0;
}

/* Rank 0 tells what happened to the rows; too many without an embedding is a failure. */
static Status judge(const EmbedLedger *l, const Run *run, const Embedder *e)
{
    static const int32_t not_asked[N_MODALITIES] = {IMAGE_NOT_ASKED, SPECTRUM_NOT_ASKED};
    const RunConfig *c = config_get(run->config, &run_section);
    log_info("embed: %lld rows in, %lld rows out; %lld volumes written, %lld kept; %lld blocks computed, %lld kept",
             (long long)e->catalog->n, (long long)l->rows, (long long)l->volumes, (long long)l->volumes_kept,
             (long long)l->blocks, (long long)l->blocks_kept);
    if (l->lost > 0)
        log_warn(
            "embed: %lld rows lack files that the catalogue saw (FILE_LOST): put the files back and run again, which "
            "makes their blocks again; or run `astroclip catalog` again, which then knows that they are gone",
            (long long)l->lost);
    for (int m = 0; m < N_MODALITIES; m++) {
        if (!e->want[m]) continue;
        log_info("embed: %lld of %lld rows have an embedding of their %s", (long long)l->embedded[m],
                 (long long)l->rows, modality_name[m]);
        flags_log("embed", (Modality)m, l->count[m], l->rows, e->images->missing_band == MISSING_BAND_ZERO);
        int64_t asked = l->rows - l->count[m][__builtin_ctz((unsigned)not_asked[m])];
        double failed = asked > 0 ? (double)(asked - l->embedded[m]) / (double)asked : 0;
        if (failed > c->max_rejected_fraction)
            return FAIL(E_INPUT,
                        "%.1f %% of the rows have no embedding of their %s, more than run.max_rejected_fraction (%.1f "
                        "%%): see the flags above",
                        100 * failed, modality_name[m], 100 * c->max_rejected_fraction);
    }
    return OK;
}

Status embedder_open_images(Embedder *e, Arena *a)
{
    return release_open_images(&e->image_source, e->release, &e->catalog->files, a);
}

void embedder_close_images(Embedder *e)
{
    release_close_images(e->image_source, e->release);
    e->image_source = NULL;
}

/* Collective. The folder to take rows from: what the configuration names, else this run's own embeddings where they are
   stale. Those that are wanted once more (--force, a volume that went away) are no help, and those that lack rows of lost
   files are gone on with where they are. */
static Status find_earlier(const char **folder, const EmbedConfig *c, const char *path, const Fingerprint *fingerprint,
                           const Run *run)
{
    const RunConfig *rc = config_get(run->config, &run_section);
    *folder = c->reuse;
    if (c->reuse[0] || run->force) return OK;
    int64_t same = run->par.rank == 0 && (artefact_is_current(path, "embeddings", EMBEDDINGS_VERSION, fingerprint) ||
                                          lost_only(path, fingerprint, run->arena));
    par_bcast(&run->par, &same, sizeof same, 0);
    return same ? OK : previous_take(folder, rc->output, &run->par, run->arena);
}

static Status run_embed(Run *run)
{
    const RunConfig *rc = config_get(run->config, &run_section);
    const EmbedConfig *c = config_get(run->config, &embed_section);
    Par *par = &run->par;
    Status st = OK;
    Catalog catalog = {0};
    Model *model = NULL;
    NodeMemory memory = {0};
    WeightSums sums;
    Embedder e = {0};
    EmbedLedger ledger;
    Envelope envelope;
    char *path = NULL, *catalog_path = NULL;
    const char *earlier = "";
    TRY_DONE(par_agree(par, stage_path(&path, run, "embeddings.h5")));
    TRY_DONE(par_agree(par, stage_path(&catalog_path, run, "catalog.h5")));
    TRY_DONE(par_agree(par, stage_made_by("catalog", catalog_open(&catalog, catalog_path, NULL, run->arena))));
    TRY_DONE(par_agree(par, gemm_choose(rc->gemm, (int)rc->threads)));
    TRY_DONE(par_agree(par, gemm_precision(embed_precisions[c->precision])));
    TRY_DONE(par_agree(par, model_declare(&model, config_get(run->config, &model_section), run->arena)));
    TRY_DONE(embedder_load_weights(&memory, &sums, model, c, par, run->arena));

    Fingerprint fingerprint = {0};
    if (par->rank == 0) fingerprint = fingerprint_of(run, &sums, &catalog);
    par_bcast(par, &fingerprint, sizeof fingerprint, 0);
    embedder_set_up(&e, run, model, &catalog);
    e.force = run->force;
    int64_t current = !run->force && par->rank == 0 && volume_all_there(&e, rc->output) &&
                      artefact_is_current(path, "embeddings", EMBEDDINGS_VERSION, &fingerprint);
    par_bcast(par, &current, sizeof current, 0);
    if (current) {
        log_info("embed: %s is current, nothing to do", path);
        if (!run->ask) st = previous_drop(rc->output, par, run->arena);
        goto done;
    }
    if (run->ask) {
        run->stale = true;
        goto done;
    }
    TRY_DONE(seal_check(&catalog.file, par, run->arena));
    log_info("embed: %lld rows, %lld weights (%s), matrix products by %s", (long long)catalog.n,
             (long long)model_params(model)->n_reals, c->weights, gemm_provider_text());
    st = embedder_open_images(&e, run->arena);
    TRY_DONE(par_agree(par, st));
    TRY_DONE(
        par_agree(par, stage_envelope(&envelope, run, "embeddings", EMBEDDINGS_VERSION, &embed_stage, fingerprint)));
    TRY_DONE(par_agree(par, embedder_make_recipes(&e, run, &sums)));
    TRY_DONE(par_agree(par, lost_open(&e.lost, &catalog, e.release, run->arena)));
    e.whole = fingerprint;
    TRY_DONE(find_earlier(&earlier, c, path, &fingerprint, run));
    TRY_DONE(reuse_open(&e.reuse, &e, earlier, rc->output, par, run->arena));
    TRY_DONE(embed_release(&ledger, &e, rc->output, &envelope, par, run->arena));
    reuse_log(e.reuse, &e, ledger.reuse);
    TRY_DONE(judge(&ledger, run, &e));
    if (ledger.lost > 0) envelope.fingerprint = lost_fingerprint(&fingerprint, &ledger);
    envelope.seconds = log_elapsed();
    TRY_DONE(volume_join(&e, rc->output, &envelope, &ledger, par, run->arena));
    log_info("embed: wrote %s", path);
    reuse_close(e.reuse, par);
    e.reuse = NULL;
    TRY_DONE(previous_drop(rc->output, par, run->arena));
done:
    reuse_close(e.reuse, par);
    embedder_close_images(&e);
    catalog_close(&catalog);
    gemm_keep_none();
    nodememory_close(&memory);
    gemm_precision("f32");
    return st;
}

static Status plan_reuse(Run *run, FILE *out, const char *folder)
{
    char *path = NULL;
    Catalog old = {0};
    TRY(arena_printf(&path, run->arena, "%s/catalog.h5", folder));
    Status st = catalog_open(&old, path, NULL, run->arena);
    if (st == OK)
        fprintf(out, "embed: of the %lld rows of %s those that did not change are copied\n", (long long)old.n, folder);
    else
        fail_note("embed.reuse wants the folder of an earlier run");
    catalog_close(&old);
    return st;
}

static Status plan_embed(Run *run, FILE *out)
{
    const EmbedConfig *c = config_get(run->config, &embed_section);
    Mark mark = arena_mark(run->arena);
    Model *model = NULL;
    Catalog catalog = {0};
    Embedder e;
    char *path = NULL;
    TRY(stage_path(&path, run, "catalog.h5"));
    TRY(model_build(&model, config_get(run->config, &model_section), run->arena));
    bool known = catalog_open(&catalog, path, NULL, run->arena) == OK;
    if (!known) fail_clear();
    embedder_set_up(&e, run, model, &catalog);
    int64_t row_bytes = 0;
    for (int s = 0; s < N_SETS; s++) row_bytes += 4 * e.dim[s];
    const bool aligned = embed_lists(&c->sets, "aligned"), single = embed_lists(&c->sets, "single");
    double weights_mb = 4e-6 * (double)model_params(model)->n_reals;
    const double image_bytes = 4.0 * N_BANDS * CUTOUT_PIXELS * CUTOUT_PIXELS;
    double batch_mb = 1e-6 * (double)c->batch * image_bytes + 1e-6 * (double)(c->block_rows * row_bytes);
    fprintf(
        out,
        "embed: weights %.1f MB on a node; on a rank %s of %lld rows with their block %.1f MB, and what it works in "
        "(astroclip check)\n",
        weights_mb, c->read_ahead ? "two batches (one is read while one is encoded)" : "a batch", (long long)c->batch,
        (c->read_ahead ? 2 : 1) * batch_mb);
    fprintf(out, "embed: %.2f GFLOP per image, %.2f GFLOP per spectrum; %lld bytes of embeddings per row\n",
            1e-9 * (double)model_flops(model, true, aligned, single),
            1e-9 * (double)model_flops(model, false, aligned, single), (long long)row_bytes);
    if (known)
        fprintf(out, "embed: %lld rows in %s, %.3g GB of embeddings\n", (long long)catalog.n, path,
                1e-9 * (double)catalog.n * (double)row_bytes);
    catalog_close(&catalog);
    if (c->reuse[0]) TRY(plan_reuse(run, out, c->reuse));
    arena_reset(run->arena, mark);
    return OK;
}

const Stage embed_stage = {
    .name = "embed",
    .reads = "catalog.h5, the release's spectra and images, weights; catalog.h5 and embeddings.h5 of embed.reuse",
    .writes = "embeddings.h5, embeddings/volume-NNNNN.h5",
    .help = "every object through both encoders",
    .purpose =
        "Streams the release through the image and the spectrum encoder in blocks of rows, handed to ranks as "
        "they come free, and\n"
        "writes the embeddings with a flag for every row. A row without data is kept: NaN, and the flag says "
        "why. A run that was cut\n"
        "off continues with the blocks that are missing. A second thread of each rank reads the next rows while these "
        "are encoded.\nWith embed.reuse, what an earlier run embedded from the "
        "same files with the\n"
        "same weights and options is copied, the same bits, and the log says how many rows were not and why.",
    .revision = 4,
    .sections = sections,
    .tells = true,
    .run = run_embed,
    .plan = plan_embed,
};
