/* align.c - the stage: both encoders' heads learn one space in which an image and its spectrum lie together (spec.md 5). */
#include <math.h>
#include <string.h>

#include "core/log.h"
#include "model/branch.h"
#include "training.h"

typedef struct {
    TrainRecipe recipe;    /* first: its fields begin the table */
    const char *init[2];   /* checkpoints of the encoders: image, spectrum */
    ConfigTexts freeze;    /* image, spectrum */
    int negatives, tokens; /* Negatives, TokenSource */
    double logit_scale;
    bool learn_scale;
    const char *output;
} AlignStageConfig;

static const char *const modalities[] = {"image", "spectrum", NULL};
static const char *const negatives[] = {"local", "global", NULL};
static const char *const token_sources[] = {"recompute", "cache", NULL};

/* Defaults are those of the published alignment (spec.md 5.5). */
static const ConfigField fields[] = {
    TRAIN_RECIPE_FIELDS("256", "10000", "1e-4", "1000", "0.999", "0.05", "1", "0.1"),
    {CONFIG_TEXT, "image", offsetof(AlignStageConfig, init[0]), "image.ckpt.h5", 0, 0, NULL, NULL, NULL, EFFORT,
     "checkpoint of the image encoder, in run.output unless absolute; init = random"},
    {CONFIG_TEXT, "spectrum", offsetof(AlignStageConfig, init[1]), "spectrum.ckpt.h5", 0, 0, NULL, NULL, NULL, EFFORT,
     "checkpoint of the spectrum encoder, in run.output unless absolute; init = random"},
    FIELD_TEXTS(AlignStageConfig, freeze, "[image, spectrum]", modalities, RESULT, "encoders that are not trained"),
    FIELD_CHOICE(AlignStageConfig, negatives, "local", negatives, RESULT,
                 "local: the others of a replica, as published; global: those of all replicas"),
    FIELD_CHOICE(AlignStageConfig, tokens, "recompute", token_sources, EFFORT,
                 "of frozen encoders: recompute in each step, or cache on disk"),
    FIELD_REAL(AlignStageConfig, logit_scale, "15.5", 1e-3, 1e4, RESULT, "multiplies the cosines"),
    FIELD_BOOL(AlignStageConfig, learn_scale, "false", RESULT, "train logit_scale too"),
    FIELD_TEXT(AlignStageConfig, output, "astroclip.ckpt.h5", EFFORT,
               "checkpoint to write, in run.output unless absolute"),
    FIELD_END};
const ConfigSection align_section = {"align", "contrastive alignment of images and spectra", fields,
                                     sizeof(AlignStageConfig), NULL};

static const ConfigSection *const sections[] = {&align_section, &train_section, NULL};

/* The heads and both encoders, but no learned scale: models that embed have none. */
static const char *const backbones[] = {"image_encoder.backbone.", "spectrum_encoder.backbone.", NULL};
static const char *const kept[] = {"image_encoder.", "spectrum_encoder.", NULL};

static Status settings(AlignConfig *out, const AlignStageConfig *c, const Run *run)
{
    char *cache;
    TRY(stage_path(&cache, run, "align/tokens.h5"));
    *out = (AlignConfig){.negatives = c->negatives,
                         .tokens = c->tokens,
                         .dropout = c->recipe.dropout,
                         .logit_scale = c->logit_scale,
                         .learn_scale = c->learn_scale,
                         .recompute = c->recipe.recompute,
                         .cache = cache};
    for (int64_t i = 0; i < c->freeze.n; i++)
        *(strcmp(c->freeze.item[i], "image") == 0 ? &out->freeze_image : &out->freeze_spectrum) = true;
    return OK;
}

static Status build_scaled(Training *t)
{
    const AlignStageConfig *c = config_get(t->run->config, &align_section);
    TRY(model_build_scaled(&t->model, config_get(t->run->config, &model_section), c->logit_scale, t->run->arena));
    t->params = model_params(t->model);
    return OK;
}

/* Checkpoints of encoders; heads are always new. */
static Status begin_weights(Training *t, const AlignStageConfig *c)
{
    static const char *const head[] = {"image_encoder.head.", "spectrum_encoder.head."};
    const RunConfig *rc = config_get(t->run->config, &run_section);
    for (int m = 0; m < 2; m++) {
        model_init(t->model, (uint64_t)rc->seed, backbones[m]);
        TRY(training_load(t, c->init[m], backbones[m]));
    }
    for (int m = 0; m < 2; m++) model_init(t->model, (uint64_t)rc->seed, head[m]);
    return OK;
}

static Status freeze(Training *t, const AlignConfig *c)
{
    const char **frozen = NULL;
    TRY(align_frozen(&frozen, c, t->model, t->run->arena));
    training_freeze(t, (const char *const *)frozen);
    return OK;
}

/* ---- what came of it ---- */

static Status write_retrieval(const char *path, const Retrieval r[2])
{
    char part[1100];
    snprintf(part, sizeof part, "%s.part", path);
    FILE *f = fopen(part, "w");
    if (!f) return FAIL(E_OUTPUT, "%s cannot be created", part);
    fprintf(f, "query,target,n,top1,top10,median_rank\n");
    for (int i = 0; i < 2; i++)
        fprintf(f, "%s,%s,%lld,%.6g,%.6g,%.6g\n", modalities[i], modalities[1 - i], (long long)r[i].n, r[i].top1,
                r[i].top10, r[i].median_rank);
    const bool bad = ferror(f) != 0;
    return fclose(f) == 0 && !bad ? OK : FAIL(E_OUTPUT, "%s cannot be written: is the disk full?", part);
}

/* Collective. How well the pairs of the test split find each other. */
static Status judge(Training *t)
{
    Run *run = t->run;
    Retrieval r[2];
    char *path = NULL;
    const int64_t n = t->n[SPLIT_TEST];
    if (n == 0) return OK;
    TRY(par_agree(&run->par, stage_path(&path, run, "retrieval.csv")));
    TRY(align_retrieval(r, t->model, &t->dataset, t->sample[SPLIT_TEST], n, &run->par, run->arena));
    TRY(par_agree(&run->par, run->par.rank == 0 ? write_retrieval(path, r) : OK));
    TRY(artefact_publish(&run->par, path));
    for (int i = 0; i < 2; i++)
        log_info("align: %s to %s among %lld pairs of the test split: own partner first for %.1f %% (chance %.2g %%), "
                 "among the first ten for %.1f %%, median rank %.4g",
                 modalities[i], modalities[1 - i], (long long)n, 100 * r[i].top1, 100.0 / (double)n, 100 * r[i].top10,
                 r[i].median_rank);
    log_info("align: wrote %s", path);
    return OK;
}

static Status run_align(Run *run)
{
    const AlignStageConfig *c = config_get(run->config, &align_section);
    AlignConfig config;
    Training t;
    Objective objective = {0};
    TrainReport report;
    bool current;
    Status st = OK;
    TRY(par_agree(&run->par, settings(&config, c, run)));
    TRY_DONE(
        training_open(&t, run, &align_stage, &c->recipe, c->output, c->learn_scale ? build_scaled : training_model));
    TRY_DONE(training_dataset(&t, SAMPLES_PAIRS));
    TRY_DONE(par_agree(&run->par, begin_weights(&t, c)));
    TRY_DONE(par_agree(&run->par, freeze(&t, &config)));
    TRY_DONE(training_is_current(&current, &t, "model.", kept));
    if (current || run->ask) goto done;
    TRY_DONE(artefact_make_folder(&run->par, t.folder));
    TRY_DONE(align_cache(&config, t.model, &t.dataset, &run->par, run->arena));
    TRY_DONE(par_agree(&run->par, align_objective(&objective, &config, t.model, &t.dataset, run->arena)));
    TRY_DONE(training_run(&report, &t, &objective));
    if (c->learn_scale) log_info("align: the scale of the cosines became %.4g", model_scale(model_params(t.model), 0));
    TRY_DONE(judge(&t));
    TRY_DONE(training_publish(&t, &report, kept));
done:
    align_close(&objective);
    training_close(&t);
    return st;
}

Status align_cost(TrainingCost *out, Run *run)
{
    const AlignStageConfig *c = config_get(run->config, &align_section);
    const TrainConfig *train = config_get(run->config, &train_section);
    const Mark mark = arena_mark(run->arena);
    AlignConfig config;
    Training t = {.run = run};
    TRY(settings(&config, c, run));
    TRY(training_model(&t));
    TRY(freeze(&t, &config));
    const Params *p = t.params;
    *out = (TrainingCost){.recipe = &c->recipe, .kind = SAMPLES_PAIRS};
    training_weigh(out, p);
    const double frozen = c->tokens == TOKENS_RECOMPUTE ? 1 : 0;
    out->passes[MODALITY_IMAGE] = config.freeze_image ? frozen : 3;
    out->passes[MODALITY_SPECTRUM] = config.freeze_spectrum ? frozen : 3;
    out->step_bytes = align_step_bytes(&config, t.model, train->replicas, 1, c->recipe.batch);
    out->step_bytes_alone = align_step_bytes(&config, t.model, train->replicas, train->replicas, c->recipe.batch);
    arena_reset(run->arena, mark);
    return OK;
}

static Status plan_align(Run *run, FILE *out)
{
    TrainingCost cost;
    TRY(align_cost(&cost, run));
    return training_plan(run, out, &align_stage, &cost);
}

const Stage align_stage = {
    .name = "align",
    .reads = "dataset.h5, checkpoints of both encoders",
    .writes = "astroclip.ckpt.h5, retrieval.csv, align/metrics.csv",
    .help = "images and spectra into one space",
    .purpose =
        "Trains the heads of both encoders, and the encoders themselves unless align.freeze lists them, so that an "
        "image and the spectrum\n"
        "of the same galaxy lie close together. The test split then tells how often a query finds its partner "
        "(retrieval.csv). The\n"
        "defaults are those of the published alignment: frozen encoders, negatives within a replica, fixed scale.",
    .revision = 2,
    .sections = sections,
    .tells = true,
    .run = run_align,
    .plan = plan_align,
};
