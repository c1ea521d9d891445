/* plan.c - rows, bytes, memory and time of each stage before it starts. A stage adds a row to `sizes`; one that is not
   there counts as small and serial.

   Rows are those of catalog.h5; before it is there, those that the source files announce in their headers (of many
   files a sample), or those that `mock` will write. */
#include "plan.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/log.h"
#include "data/manifest.h"
#include "data/mock.h"
#include "data/pack.h"
#include "embed/embed.h"
#include "embed/volume.h"
#include "model/model.h"
#include "nn/gemm.h"
#include "probe/fit.h"
#include "tables/columns.h"
#include "tables/matches.h"
#include "training.h"

enum { SAMPLE_FILES = 64, MANIFEST_ROWS = 4096 };

/* Memory is what a rank has to itself and its part of what the ranks of a node share (PSS; tests/bench/memory.sh measures
   it): libraries count once. Whoever limits a job adds room for what the system counts besides (jobs/submit). */
static const double program_bytes = 36.5e6; /* of a rank that does nothing: arenas and stacks begin with huge pages */
static const double band_pixels = 3600.0 * 3600; /* of a brick; image and inverse variance are 8 bytes each */
static const double catalog_buffers = 17e6;      /* a message, a piece of a file */
static const double reading_bytes = 4.5e6;       /* of cfitsio, while images and spectra are read */
static const double cutting_bytes = 10e6;        /* of cutting windows, while nothing is read whole */
static const double probe_buffers = 3e6;         /* of libraries that solve and write */
static const double spectrum_bytes = 430e3;      /* of a coadd file per object */
static const double cutout_bytes = 350e3;        /* of images per object, where bricks are shared by about 100 */
static const double solve_speed = 10e9;          /* operations per second of sums and solutions in double */
static const double search_speed =
    80e9; /* of products in float that pass over who is no neighbour (bench search_vs_faiss) */
static const double disk_speed = 100e6; /* bytes per second and rank */

/* What all stages of a run depend on. */
typedef struct {
    Run *run;
    const Rates *rates;
    Catalog catalog;
    bool known;   /* the catalogue is there   */
    int64_t rows; /* -1 = not known           */
    int64_t source_bytes;
    int64_t data_bytes; /* spectra and images, -1 = not known */
    int64_t row_bytes;  /* of embeddings            */
    int64_t aligned;    /* numbers of an aligned embedding */
    double weights;     /* bytes                    */
    double kept;        /* bytes of their matrices in the order of products */
    double room;        /* bytes of what a batch of objects works in */
    int64_t finished;   /* blocks of embeddings     */
    int64_t packed;     /* bytes of dataset.h5      */
    int64_t entries;    /* of it that are on disk   */
    int64_t matched;    /* rows of matches.fits that are there, or of one that was cut off */
} Campaign;

/* ---- rows ---- */

typedef Status (*CountRows)(int64_t *n, const void *config, const char *path, Arena *scratch);

/* Adds the rows of files, from a sample of them where they are many. */
static Status count_rows(Campaign *c, const FileList *files, CountRows count, const void *config, const char *root)
{
    Arena *a = c->run->arena;
    int64_t step = 1 + (files->n - 1) / SAMPLE_FILES, sampled = 0;
    double rows = 0, bytes = 0;
    for (int64_t i = 0; i < files->n; i += step, sampled++) {
        int64_t n = 0;
        char path[FITS_PATH];
        struct stat info;
        Mark mark = arena_mark(a);
        TRY(count(&n, config, files->path[i], a));
        arena_reset(a, mark);
        rows += (double)n;
        if (survey_file(path, sizeof path, root, files->path[i]) && stat(path, &info) == 0)
            bytes += (double)info.st_size;
    }
    if (sampled == 0) return OK;
    double share = (double)files->n / (double)sampled;
    c->rows = (c->rows < 0 ? 0 : c->rows) + (int64_t)(rows * share);
    c->source_bytes += (int64_t)(bytes * share);
    return OK;
}

static Status count_sources(Campaign *c)
{
    const ReleaseConfig *r = config_get(c->run->config, &release_section);
    const SpectrumSurvey *spectra = release_spectra(r);
    const ImageSurvey *images = release_images(r);
    FileList files = {0};
    if (release_takes(r, "spectra") && spectra->list_redshifts) {
        TRY(spectra->list_redshifts(&files, r->spectra.config, c->run->arena));
        TRY(count_rows(c, &files, spectra->count_redshifts, r->spectra.config, spectra->root(r->spectra.config)));
    }
    if (release_takes(r, "images") && images->list_objects) {
        TRY(images->list_objects(&files, r->images.config, c->run->arena));
        TRY(count_rows(c, &files, images->count_objects, r->images.config, images->root(r->images.config)));
    }
    return OK;
}

static bool runs(const Run *run, const Stage *stage)
{
    const RunConfig *rc = config_get(run->config, &run_section);
    for (int64_t i = 0; i < rc->stages.n; i++)
        if (strcmp(rc->stages.item[i], stage->name) == 0) return true;
    return false;
}

/* Bytes of the spectra and images that the catalogue leads to. */
static Status sum_manifest(Campaign *c)
{
    Arena *a = c->run->arena;
    Mark mark = arena_mark(a);
    ManifestRow *row = NULL;
    TRY(arena_new(&row, a, MANIFEST_ROWS));
    c->data_bytes = 0;
    for (int64_t at = 0, n; at < c->catalog.n_manifest; at += n) {
        n = c->catalog.n_manifest - at < MANIFEST_ROWS ? c->catalog.n_manifest - at : MANIFEST_ROWS;
        Mark inner = arena_mark(a);
        TRY(catalog_read_manifest(row, &c->catalog, at, n, a));
        for (int64_t i = 0; i < n; i++) {
            bool data = strcmp(row[i].role, ROLE_SPECTRA) == 0 || strcmp(row[i].role, ROLE_IMAGE) == 0;
            if (data && row[i].size > 0) c->data_bytes += row[i].size;
        }
        arena_reset(a, inner);
    }
    arena_reset(a, mark);
    return OK;
}

/* What is not there yet is made by stages before, or its absence is for `check` to tell. */
static Status forgive(Status st)
{
    if (st != E_INPUT) return st;
    fail_clear();
    return OK;
}

static Status find_rows(Campaign *c)
{
    char *path = NULL;
    c->rows = c->data_bytes = -1;
    TRY(stage_path(&path, c->run, "catalog.h5"));
    c->known = catalog_open(&c->catalog, path, NULL, c->run->arena) == OK;
    if (!c->known) fail_clear();
    TRY(forgive(count_sources(c)));
    if (c->rows < 0 && runs(c->run, &mock_stage)) {
        const MockConfig *mock = config_get(c->run->config, &mock_section);
        c->rows = mock->objects;
    }
    if (!c->known) return OK;
    c->rows = c->catalog.n;
    return sum_manifest(c);
}

static Status find_weights(Campaign *c)
{
    Mark mark = arena_mark(c->run->arena);
    Model *model = NULL;
    TRY(model_build(&model, config_get(c->run->config, &model_section), c->run->arena));
    const EmbedConfig *embed = config_get(c->run->config, &embed_section);
    c->aligned = model_embed_dim(model);
    bool aligned = embed_lists(&embed->sets, "aligned"), single = embed_lists(&embed->sets, "single");
    for (int m = 0; m < N_MODALITIES; m++) {
        if (!embed_lists(&embed->modalities, modality_name[m])) continue;
        if (aligned) c->row_bytes += 4 * model_embed_dim(model);
        if (single) c->row_bytes += 4 * (m == MODALITY_IMAGE ? model_image_dim(model) : model_spectrum_dim(model));
    }
    const RunConfig *rc = config_get(c->run->config, &run_section); /* both depend on who multiplies */
    TRY(gemm_choose(rc->gemm, (int)rc->threads));
    TRY(gemm_precision(embed_precisions[embed->precision]));
    c->weights = 4 * (double)model_params(model)->n_reals;
    c->kept = 4 * (double)model_kept_reals(model);
    c->room = 4 * (double)model_room_reals(model);
    TRY(gemm_precision("f32"));
    arena_reset(c->run->arena, mark);
    return OK;
}

/* How much there is to pack: of rows that nobody has counted, all. */
static Status find_packed(Campaign *c)
{
    Arena *a = c->run->arena;
    const Mark mark = arena_mark(a);
    const Packer packer = {.config = config_get(c->run->config, &pack_section), .catalog = &c->catalog};
    PackPlan plan = {.n = {c->rows, c->rows}};
    char *path = NULL;
    if (c->known) TRY(pack_plan(&plan, &packer, &par_alone, a));
    c->packed = c->rows < 0 ? -1 : pack_bytes(&plan);
    TRY(stage_path(&path, c->run, "dataset.h5"));
    TRY(dataset_count_finished(&c->entries, path, a));
    arena_reset(a, mark);
    return OK;
}

static Status find_matched(Campaign *c)
{
    char *path = NULL;
    TRY(stage_path(&path, c->run, "matches.fits"));
    c->matched = access(path, F_OK) == 0 ? 1 : search_count_saved(path);
    return OK;
}

/* ---- the stages ---- */

static int64_t at_least_one(int64_t n) { return n < 1 ? 1 : n; }

/* Ranks that get that many rows each; 0 = not known. */
static int64_t ranks_for(const Campaign *c, int64_t rows) { return c->rows < 0 ? 0 : at_least_one(c->rows / rows); }

static double rows_of(const Campaign *c) { return c->rows > 0 ? (double)c->rows : 0; }

static void size_mock(StagePlan *p, const Campaign *c)
{
    const MockConfig *mock = config_get(c->run->config, &mock_section);
    const ReleaseConfig *release = config_get(c->run->config, &release_section);
    const bool spectra = strcmp(release->spectra.plugin->name, "none") != 0;
    const bool images = strcmp(release->images.plugin->name, "none") != 0;
    MockEstimate e;
    p->rows = mock->objects;
    p->read = 0;
    if (mock_estimate(&e, mock, spectra, images, c->run->par.n_ranks) != OK) { /* the stage says what is wrong */
        fail_clear();
        return;
    }
    p->write = (int64_t)e.bytes;
    p->max_ranks = at_least_one((images ? e.bricks : 0) + e.groups);
    p->memory += e.memory;
    p->seconds_shared = e.seconds;
}

static void size_weights(StagePlan *p, const Campaign *c)
{
    p->read = p->write = (int64_t)c->weights;
    p->memory += 2 * c->weights;
    p->seconds += 4 * c->weights / disk_speed;
}

/* Rows while they are sorted over the ranks: as they came, where they are sorted, which is uneven by a tenth, and as they
   go. Of large catalogues a message and a piece of a file. */
static void size_catalog(StagePlan *p, const Campaign *c)
{
    p->read = c->source_bytes;
    p->write = (int64_t)(rows_of(c) * 400);
    p->max_ranks = ranks_for(c, 1000);
    p->memory_shared = 3.1 * rows_of(c) * sizeof(CatalogRow);
    p->memory += fmin(catalog_buffers, rows_of(c) * sizeof(CatalogRow));
    p->seconds += 20;
    p->seconds_shared = (double)c->source_bytes / disk_speed + 2e-3 * rows_of(c);
}

/* Image and inverse variance of a brick in one band, whole where so many of its rows read as much by tiles of 100 x 100 pixels
   (data/cutout.c). */
static double bytes_of_bands(int64_t rows) { return (double)rows * 300 * 300 < band_pixels ? 0 : 8 * band_pixels; }

static void size_pack(StagePlan *p, const Campaign *c)
{
    const PackConfig *pack = config_get(c->run->config, &pack_section);
    const double row = 4.0 * IMAGE_NUMBERS + 16.0 * GRID_PIXELS + sizeof(CatalogRow);
    p->read = c->data_bytes >= 0 ? c->data_bytes : (int64_t)(rows_of(c) * (spectrum_bytes + cutout_bytes));
    p->write = c->packed;
    p->max_ranks = ranks_for(c, pack->block_rows);
    p->memory +=
        (double)pack->block_rows * row + bytes_of_bands(pack->block_rows) + 24 * rows_of(c) / (double)pack->block_rows;
    p->seconds += 5;
    p->seconds_shared = rows_of(c) * c->rates->reading + (c->packed > 0 ? (double)c->packed / disk_speed : 0);
    p->finished = c->entries;
}

static void size_embed(StagePlan *p, const Campaign *c)
{
    const EmbedConfig *embed = config_get(c->run->config, &embed_section);
    const double encoding = c->rates->embed[MODALITY_IMAGE] + c->rates->embed[MODALITY_SPECTRUM];
    double image = 4.0 * N_BANDS * CUTOUT_PIXELS * CUTOUT_PIXELS;
    p->read = c->data_bytes >= 0 ? c->data_bytes : (int64_t)(rows_of(c) * (spectrum_bytes + cutout_bytes));
    p->write = (int64_t)rows_of(c) * (c->row_bytes + 128);
    p->max_ranks = ranks_for(c, embed->block_rows);
    p->memory_shared = c->weights + c->kept; /* as they are and in the order of products, once on a node */
    const double held =
        embed->read_ahead ? 2 : 1; /* batches, and blocks: one is encoded, one is read (embed/stream.h) */
    p->memory += c->room + held * (double)embed->batch * fmax(8.0 * GRID_PIXELS, image) + reading_bytes +
                 held * (double)(embed->block_rows * c->row_bytes) +
                 4 * fmin(rows_of(c), (double)embed->volume_rows); /* borders of blocks follow from the pixels */
    const double arms = 16.0 * GRID_PIXELS * (double)embed->batch;
    const bool images = embed_lists(&embed->modalities, modality_name[MODALITY_IMAGE]);
    p->memory += fmax(arms, images ? fmax(cutting_bytes, bytes_of_bands(embed->batch)) : 0);
    p->seconds += 10 + c->weights / disk_speed;
    p->encoding = rows_of(c) * encoding;
    p->seconds_shared = rows_of(c) * (encoding + c->rates->reading);
    p->finished = c->finished;
}

/* Bytes a + b / ranks, known on one rank (`alone`) and on as many as there are replicas (`all`). */
static void split_over_ranks(StagePlan *p, double alone, double all, double replicas)
{
    const double shared = replicas > 1 ? (alone - all) / (1 - 1 / replicas) : 0;
    p->memory += alone - shared;
    p->memory_shared += shared;
}

static void size_training(StagePlan *p, const Campaign *c, Status (*cost_of)(TrainingCost *, Run *))
{
    const TrainConfig *train = config_get(c->run->config, &train_section);
    const double replicas = (double)train->replicas;
    TrainingCost cost;
    if (cost_of(&cost, c->run) != OK) { /* the stage says what is wrong */
        fail_clear();
        return;
    }
    const double samples = (double)cost.recipe->steps * replicas * (double)cost.recipe->batch;
    p->rows = (int64_t)samples;
    const int64_t numbers =
        (cost.kind != SAMPLES_IMAGES ? GRID_PIXELS : 0) + (cost.kind != SAMPLES_SPECTRA ? IMAGE_NUMBERS : 0);
    p->read = (int64_t)(samples * 4 * (double)numbers);
    p->write = (int64_t)(3 * cost.weight_bytes);
    p->max_ranks = train->replicas;
    p->memory += cost.weight_bytes + cost.product_bytes + sizeof(Sample) * rows_of(c);
    split_over_ranks(p, training_optimizer_bytes(&cost, train, 1, train->sharded),
                     training_optimizer_bytes(&cost, train, train->replicas, train->sharded), replicas);
    split_over_ranks(p, cost.step_bytes_alone, cost.step_bytes, replicas);
    for (int m = 0; m < N_MODALITIES; m++) p->encoding += samples * c->rates->pass[m] * cost.passes[m];
    p->seconds_shared = p->encoding;
    p->seconds += 10;
}

static void size_train_spectrum(StagePlan *p, const Campaign *c) { size_training(p, c, train_spectrum_cost); }
static void size_train_image(StagePlan *p, const Campaign *c) { size_training(p, c, train_image_cost); }
static void size_train_moco(StagePlan *p, const Campaign *c) { size_training(p, c, train_moco_cost); }
static void size_align(StagePlan *p, const Campaign *c) { size_training(p, c, align_cost); }

/* Two networks and components of both modalities; the stage knows what they take. */
static void size_baselines(StagePlan *p, const Campaign *c)
{
    const TrainConfig *train = config_get(c->run->config, &train_section);
    double passes = 0;
    BaselinesCost cost;
    baselines_cost(&cost, c->run);
    for (int m = 0; m < N_MODALITIES; m++) {
        passes += cost.passes[m];
        p->read += (int64_t)(cost.passes[m] * rows_of(c) * 4 * (m == MODALITY_IMAGE ? IMAGE_NUMBERS : GRID_PIXELS));
    }
    p->rows = (int64_t)(passes * rows_of(c));
    p->write = (int64_t)(cost.row_bytes * rows_of(c));
    p->max_ranks = train->replicas;
    p->memory += cost.memory + 60 * rows_of(c);
    p->seconds += 5;
    p->seconds_shared = cost.operations * rows_of(c) / solve_speed + (double)p->read / disk_speed;
}

/* Sums of products of all columns of each input; solutions are serial. The widest input has about half of all columns. */
static void size_probe(StagePlan *p, const Campaign *c)
{
    const ProbeConfig *probe = config_get(c->run->config, &probe_section);
    double dim = (double)c->row_bytes / 8;
    int inputs = 0;
    while (probe_inputs[inputs].encoder) inputs++;
    p->read = (int64_t)rows_of(c) * c->row_bytes;
    p->write = 8 * (int64_t)dim * probe->properties.n * inputs;
    p->max_ranks = ranks_for(c, 4096);
    p->memory += probe_buffers + (double)probe_memory(probe, c->rows > 0 ? c->rows : 0, (int64_t)dim, INT32_MAX);
    p->memory_shared = (double)probe_row_bytes(probe) * rows_of(c);
    p->seconds += 5 + inputs * 10 * dim * dim * dim / solve_speed;
    p->seconds_shared = inputs * 2 * rows_of(c) * dim * dim / solve_speed + (double)p->read / disk_speed;
}

static void size_tables(StagePlan *p, const Campaign *c)
{
    p->read = (int64_t)rows_of(c) * c->row_bytes;
    p->write = (int64_t)rows_of(c) * 1000;
    p->max_ranks = ranks_for(c, 2048);
    p->memory +=
        2048 * 5e3; /* tables.chunk_rows as it comes: keys, predictions, bytes of a row, as they come and sorted */
    p->memory_shared = 48 * rows_of(c); /* the file and place of each row */
    p->seconds += 5;
    p->seconds_shared = (double)(p->read + p->write) / disk_speed + 1e-4 * rows_of(c);
}

/* Queries times rows: everybody with everybody, or a handful. */
static void size_search(StagePlan *p, const Campaign *c)
{
    const SearchConfig *search = config_get(c->run->config, &search_section);
    const int64_t dim = c->aligned;
    const double passes = (double)search->directions.n;
    const double queries = (double)search_count_queries(search, (int64_t)rows_of(c));
    SearchBytes bytes;
    search_bytes(&bytes, search, dim, (int64_t)rows_of(c));
    p->read = (int64_t)rows_of(c) * c->row_bytes;
    p->write = (int64_t)(passes * queries * (double)search->neighbours * MATCH_BYTES + queries * QUERY_BYTES);
    p->max_ranks = ranks_for(c, search->index == INDEX_EXACT ? 4096 : search->index_rows);
    p->finished = c->matched;
    p->memory += bytes.rank;
    p->memory_shared = bytes.share + bytes.kept;
    p->seconds += 5;
    p->seconds_shared = passes * queries * rows_of(c) * 2 * (double)dim / search_speed + (double)p->read / disk_speed;
}

static const struct {
    const Stage *stage;
    void (*size)(StagePlan *p, const Campaign *c);
    const char *artefact;
    bool model; /* its size depends on the weights: of a ViT-L, GB that others need not take to know */
} sizes[] = {{&mock_stage, size_mock, "truth.fits", false},
             {&import_stage, size_weights, "astroclip.ckpt.h5", true},
             {&catalog_stage, size_catalog, "catalog.h5", false},
             {&pack_stage, size_pack, NULL, false},
             {&train_spectrum_stage, size_train_spectrum, NULL, true},
             {&train_image_stage, size_train_image, NULL, true},
             {&train_moco_stage, size_train_moco, NULL, true},
             {&align_stage, size_align, NULL, true},
             {&embed_stage, size_embed, NULL, true},
             {&baselines_stage, size_baselines, "baselines.h5", false},
             {&probe_stage, size_probe, "probes.h5", true},
             {&tables_stage, size_tables, "properties.fits", false},
             {&search_stage, size_search, NULL, true},
             {&export_stage, size_weights, "astroclip.ckpt", true}};

static bool needs_model(const Stage *stage)
{
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (sizes[i].stage == stage) return sizes[i].model;
    return false;
}

static Status plan_stage(StagePlan *p, const Stage *stage, const Campaign *c)
{
    *p = (StagePlan){.stage = stage, .rows = c->rows, .max_ranks = 1, .memory = program_bytes, .seconds = 5};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *path = NULL;
        if (sizes[i].stage != stage) continue;
        sizes[i].size(p, c);
        if (!sizes[i].artefact) continue;
        TRY(stage_path(&path, c->run, sizes[i].artefact));
        p->finished = access(path, F_OK) == 0;
    }
    return OK;
}

double plan_node_hours(const StagePlan *p, int64_t cores, int64_t threads, double efficiency)
{
    int64_t ranks = at_least_one(cores / threads);
    if (p->max_ranks > 0 && p->max_ranks < ranks) ranks = p->max_ranks;
    return p->seconds_shared / ((double)ranks * efficiency) / 3600;
}

Status plan_stages(StagePlan *out, Run *run, const Rates *rates, int64_t rows)
{
    const RunConfig *rc = config_get(run->config, &run_section);
    Campaign c = {.run = run, .rates = rates};
    Mark mark = arena_mark(run->arena);
    c.rows = rows;
    c.data_bytes = -1;
    Status st = rows > 0 ? OK : find_rows(&c);
    if (st == OK) st = find_weights(&c);
    if (st == OK && runs(run, &pack_stage)) st = find_packed(&c);
    if (st == OK) st = find_matched(&c);
    if (st == OK) st = volume_count_finished(&c.finished, rc->output, run->arena);
    for (int64_t i = 0; st == OK && i < rc->stages.n; i++) st = plan_stage(&out[i], stage_find(rc->stages.item[i]), &c);
    catalog_close(&c.catalog);
    arena_reset(run->arena, mark);
    return st;
}

void plan_log_memory(const Run *run, const Stage *stage)
{
    const Rates none = {0};
    Arena a = {0};
    StagePlan p;
    Run alone = *run;
    alone.par = par_alone;
    alone.arena = &a;
    Campaign c = {.run = &alone, .rates = &none};
    Status st = arena_init(&a, "plan", 0);
    if (st == OK) st = find_rows(&c);
    if (st == OK && needs_model(stage)) st = find_weights(&c);
    if (st == OK && stage == &pack_stage) st = find_packed(&c);
    if (st == OK) st = plan_stage(&p, stage, &c);
    if (st == OK)
        log_info("%s: memory per rank about %.0f MB", stage->name,
                 1e-6 * (p.memory + p.memory_shared / (double)run->par.n_ranks));
    catalog_close(&c.catalog);
    arena_free(&a);
    fail_clear(); /* the stage itself says what is wrong */
}
