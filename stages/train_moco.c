/* train_moco.c - the stage: the image baseline of Stein et al. (2021), a residual network by momentum contrast (model/moco.h). */
#include "model/mocoview.h"
#include "train/moments.h"
#include "training.h"

typedef struct {
    TrainRecipe recipe; /* first: fields of the table lie in it */
    double encoder_momentum, softmax_temperature;
    int64_t num_negatives;
    const char *images;
    int64_t val_images;
    const char *init, *output;
} TrainMocoConfig;

/* Names and defaults are those of scripts/train_ssl.py of ssl-legacysurvey, whose batch of 256 is that of all replicas here; the
   steps are about those of its scripts/slurm/train_ssl.sh, 1500 epochs of 3.5 million images, 32768 a step. (A ResNet50 that it
   goes on from has a temperature of 0.1 in its name.) */
static const ConfigField fields[] = {
    FIELD_INT(TrainRecipe, batch, "64", 2, 1e6, RESULT, "images of a replica in a step"),
    FIELD_INT(TrainRecipe, steps, "160000", 1, 1e9, RESULT, "steps of the optimiser"),
    FIELD_REAL(TrainRecipe, lr, "0.03", 0, 10, RESULT, "learning rate at first (after its warmup)"),
    FIELD_REAL(TrainRecipe, lr_last, "0", 0, 10, RESULT, "learning rate at the end of the cosine"),
    FIELD_INT(TrainRecipe, warmup_steps, "0", 0, 1e9, RESULT, "steps in which the learning rate rises from 0"),
    FIELD_REAL(TrainRecipe, sgd_momentum, "0.9", 0, 1, RESULT, "SGD: decay of the sum of gradients"),
    FIELD_REAL(TrainRecipe, weight_decay, "1e-4", 0, 10, RESULT,
               "SGD: this share of a weight is added to its gradient"),
    FIELD_REAL(TrainRecipe, clip, "0", 0, 1e9, RESULT, "largest norm of the gradient; 0 = not clipped"),
    FIELD_REAL(TrainMocoConfig, encoder_momentum, "0.996", 1e-6, 0.999999, RESULT,
               "momentum of the key encoder, the average of the weights"),
    FIELD_REAL(TrainMocoConfig, softmax_temperature, "0.2", 1e-3, 10, RESULT, "what cosines are divided by"),
    FIELD_INT(TrainMocoConfig, num_negatives, "65536", 1, 1e8, RESULT, "keys that are remembered"),
    FIELD_INT(TrainRecipe, validate_every, "5000", 0, 1e9, RESULT, "steps between validations; 0 = at the end"),
    FIELD_INT(TrainRecipe, val_batches, "4", 1, 1e9, RESULT, "batches of a validation, at most"),
    FIELD_TEXT(TrainMocoConfig, images, "", EFFORT,
               "folder of the image set of Stein et al. (north/, south/) to train with in place of train.dataset"),
    FIELD_INT(TrainMocoConfig, val_images, "100000", 0, 1e9, RESULT,
              "of its images the last so many, at most a tenth, are for validation"),
    FIELD_TEXT(TrainMocoConfig, init, "init", EFFORT,
               "weights to begin with: init = random, else a checkpoint of ours, in run.output unless absolute"),
    FIELD_TEXT(TrainMocoConfig, output, "moco.ckpt.h5", EFFORT, "checkpoint to write, in run.output unless absolute"),
    FIELD_END};

const ConfigSection train_moco_section = {"train_moco", "momentum contrast of images", fields, sizeof(TrainMocoConfig),
                                          NULL};

static const ConfigSection *const sections[] = {&train_moco_section, &moco_section, &train_section, NULL};
static const char *const kept[] = {moco_prefix, NULL};

/* ---- the network ---- */

typedef struct {
    Params params;
    Resnet net;
} MocoModel;

static int64_t step_images(const Run *run)
{
    const TrainMocoConfig *c = config_get(run->config, &train_moco_section);
    const TrainConfig *train = config_get(run->config, &train_section);
    return c->recipe.batch * train->replicas;
}

static Status declare(MocoModel **out, const Run *run)
{
    const TrainMocoConfig *c = config_get(run->config, &train_moco_section);
    if (c->num_negatives < step_images(run))
        return FAIL(E_CONFIG,
                    "train_moco.num_negatives = %lld: a step of train_moco.batch = %lld images in each of the "
                    "train.replicas leaves %lld keys to remember",
                    (long long)c->num_negatives, (long long)c->recipe.batch, (long long)step_images(run));
    TRY(arena_new(out, run->arena, 1));
    TRY(moco_declare(&(*out)->net, &(*out)->params, config_get(run->config, &moco_section), run->arena));
    resnet_freeze(&(*out)->net);
    return OK;
}

static Status build(Training *t)
{
    const RunConfig *rc = config_get(t->run->config, &run_section);
    MocoModel *m;
    TRY(declare(&m, t->run));
    TRY(params_allocate(&m->params));
    resnet_init(&m->net, (uint64_t)rc->seed);
    t->params = &m->params;
    t->own = m;
    return OK;
}

/* ---- the recipe ---- */

/* The result is the query encoder after the last step, as released. */
static TrainRecipe recipe_of(const Run *run)
{
    const TrainMocoConfig *c = config_get(run->config, &train_moco_section);
    TrainRecipe r = c->recipe;
    r.sgd = true;
    r.ema = c->encoder_momentum;
    r.keep = KEEP_LAST;
    return r;
}

static MocoTraining training_of(const Run *run)
{
    const TrainMocoConfig *c = config_get(run->config, &train_moco_section);
    const RunConfig *rc = config_get(run->config, &run_section);
    return (MocoTraining){c->num_negatives, step_images(run), c->softmax_temperature, (uint64_t)rc->seed};
}

/* ---- running moments ---- */

typedef struct {
    const ImageReader *reader;
    const Training *t;
} Source;

/* Train image i as it will be seen when rows are encoded. */
static Status moment_image(real *x, void *self, int64_t i, Arena *scratch)
{
    const Source *s = self;
    const Sample *list = s->t->sample[SPLIT_TRAIN];
    const MocoModel *m = s->t->own;
    const Sample sample = list ? list[i] : (Sample){-1, i, i};
    const Mark mark = arena_mark(scratch);
    float *pixels;
    TRY(arena_new(&pixels, scratch, IMAGE_NUMBERS));
    TRY(s->reader->read(pixels, s->reader->self, &sample));
    TRY(mocoview_centre(x, pixels, CUTOUT_PIXELS, m->net.config.size));
    arena_reset(scratch, mark);
    return OK;
}

/* ---- the stage ---- */

static Status train(Training *t, ImageReader *reader)
{
    const MocoModel *m = t->own;
    Run *run = t->run;
    const MocoTraining training = training_of(run);
    Objective objective;
    TrainReport report;
    TRY(par_agree(&run->par, moco_objective(&objective, &training, &m->net, reader, run->arena)));
    TRY(training_run(&report, t, &objective));
    TRY(par_agree(&run->par, moments_take(&m->net, moment_image, &(Source){reader, t}, t->n[SPLIT_TRAIN], run->arena)));
    return training_publish(t, &report, kept);
}

static Status run_train_moco(Run *run)
{
    const TrainMocoConfig *c = config_get(run->config, &train_moco_section);
    const TrainRecipe recipe = recipe_of(run);
    Training t;
    ImageSet set = {0};
    ImageReader reader;
    bool current;
    Status st = OK;
    TRY_DONE(training_open(&t, run, &train_moco_stage, &recipe, c->output, build));
    TRY_DONE(training_images(&reader, &set, &t, c->images, c->val_images));
    TRY_DONE(par_agree(&run->par, training_load(&t, c->init, moco_prefix)));
    TRY_DONE(training_is_current(&current, &t, NULL, kept));
    if (!current && !run->ask) st = train(&t, &reader);
done:
    imageset_close(&set);
    training_close(&t);
    return st;
}

/* Beside the products of an image: norms and moves cost about so many operations of each number of its maps, views of each
   of their pixels, as measured on narrow networks, where these are most of the time. */
enum { MAP_OPERATIONS = 250, VIEW_OPERATIONS = 5000 };

/* A view forth, another there and back. Passes are counted in those of the image encoder, whose seconds are known. */
Status train_moco_cost(TrainingCost *out, Run *run)
{
    const TrainMocoConfig *c = config_get(run->config, &train_moco_section);
    const Mark mark = arena_mark(run->arena);
    Model *model;
    MocoModel *m;
    TRY(model_declare(&model, config_get(run->config, &model_section), run->arena));
    TRY(declare(&m, run));
    const MocoTraining training = training_of(run);
    *out = (TrainingCost){
        .recipe = &c->recipe, .ema = true, .sgd = true, .kind = SAMPLES_IMAGES, .own_data = c->images[0] != '\0'};
    training_weigh(out, &m->params);
    const double pixels = (double)(RESNET_PLANES * m->net.config.size * m->net.config.size);
    const double forth = resnet_operations(&m->net) + MAP_OPERATIONS * (double)resnet_step_reals(&m->net, 1);
    out->passes[MODALITY_IMAGE] =
        ((1 + 3) * forth + 2 * VIEW_OPERATIONS * pixels) / (double)model_flops(model, true, true, false);
    /* one replica after the other; the moments at the end take a batch of their own size */
    const int64_t batch = c->recipe.batch > MOMENT_BATCH ? c->recipe.batch : MOMENT_BATCH;
    out->step_bytes = out->step_bytes_alone = moco_step_bytes(&training, &m->net, batch);
    arena_reset(run->arena, mark);
    return OK;
}

static Status plan_train_moco(Run *run, FILE *out)
{
    const TrainMocoConfig *c = config_get(run->config, &train_moco_section);
    TrainingCost cost;
    TRY(train_moco_cost(&cost, run));
    if (cost.own_data) fprintf(out, "train_moco: trains with the images under %s\n", c->images);
    return training_plan(run, out, &train_moco_stage, &cost);
}

const Stage train_moco_stage = {
    .name = "train_moco",
    .reads = "dataset.h5, or the image set of Stein et al.",
    .writes = "moco.ckpt.h5, train_moco/metrics.csv",
    .help = "the image baseline of Stein et al., by momentum contrast",
    .purpose =
        "Trains a residual network (section moco) to tell two views of a galaxy from views of others (MoCo v2), as a "
        "network does that is\n"
        "the average of its own past; views differ in dust, orientation, size, place, seeing and noise. No labels take "
        "part. metrics.csv tells\n"
        "how often the own key is the most similar one (top1), or among five (top5). baselines.models: [moco] takes "
        "its features of\n"
        "every row. Same weights on any number of ranks up to train.replicas, and after any number of interruptions.",
    .revision = 1,
    .sections = sections,
    .tells = true,
    .run = run_train_moco,
    .plan = plan_train_moco,
};
