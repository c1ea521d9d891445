/* train_image.c - the stage: AstroDINO learns what images show, by self-distillation with masked patches (spec.md 4). */
#include <math.h>
#include <string.h>

#include "model/branch.h"
#include "training.h"

typedef struct {
    TrainRecipe recipe; /* first: fields of the table lie in it */
    double lr_batch, weight_decay_end;
    int64_t freeze_last_layer_steps;
    double layerwise_decay, patch_embed_lr_mult, drop_path_rate;
    double momentum_teacher, final_momentum_teacher;
    double warmup_teacher_temp, teacher_temp;
    int64_t warmup_teacher_temp_steps;
    int centering; /* Balance */
    double ibot_loss_weight, koleo_loss_weight;
    double mask_sample_probability, mask_ratio_min, mask_ratio_max;
    int64_t field_size, local_crops_size, local_crops_number;
    double degrade_global, degrade_local;
    int64_t head_n_prototypes, head_hidden_dim, head_bottleneck_dim;
    const char *images;
    int64_t val_images;
    const char *init, *output;
} TrainImageConfig;

static const char *const centerings[] = {"centering", "sinkhorn_knopp", NULL};

/* Names are those of DINOv2's configuration, epochs told in steps; defaults are those of AstroCLIP's AstroDINO (spec.md 4.9),
   probabilities those that are in effect there. */
static const ConfigField fields[] = {
    FIELD_INT(TrainRecipe, batch, "72", 2, 1e6, RESULT, "images of a replica in a step"),
    FIELD_INT(TrainRecipe, steps, "250000", 1, 1e9, RESULT, "steps of the optimiser"),
    FIELD_REAL(TrainRecipe, lr, "2e-4", 0, 10, RESULT, "peak learning rate for lr_batch images in a step"),
    FIELD_REAL(TrainImageConfig, lr_batch, "1024", 0, 1e9, RESULT,
               "lr is multiplied by the root of (images of all replicas / lr_batch); 0 = taken as it is"),
    FIELD_REAL(TrainRecipe, lr_last, "1e-6", 0, 10, RESULT, "learning rate at the end"),
    FIELD_INT(TrainRecipe, warmup_steps, "40000", 0, 1e9, RESULT, "steps in which the learning rate rises from 0"),
    FIELD_INT(TrainImageConfig, freeze_last_layer_steps, "1250", 0, 1e9, RESULT,
              "steps at first in which prototypes do not move"),
    FIELD_REAL(TrainImageConfig, layerwise_decay, "0.9", 0.01, 1, RESULT,
               "learning rate of a block over the next one's"),
    FIELD_REAL(TrainImageConfig, patch_embed_lr_mult, "0.2", 0, 1, RESULT, "... of the patch embedding, besides"),
    FIELD_REAL(TrainRecipe, beta1, "0.9", 0, 1, RESULT, "AdamW: decay of the first moment"),
    FIELD_REAL(TrainRecipe, beta2, "0.999", 0, 1, RESULT, "AdamW: decay of the second moment"),
    FIELD_REAL(TrainRecipe, eps, "1e-8", 0, 1, RESULT, "AdamW: added to the root of the second moment"),
    FIELD_REAL(TrainRecipe, weight_decay, "0.001", 0, 10, RESULT,
               "AdamW: weight decay at first; none of biases, norms and layer scales"),
    FIELD_REAL(TrainImageConfig, weight_decay_end, "0.01", 0, 10, RESULT, "... and at the end"),
    FIELD_REAL(TrainRecipe, clip, "3", 0, 1e9, RESULT,
               "largest norm of the encoder's gradient, and of the head's; 0 = not clipped"),
    FIELD_REAL(TrainImageConfig, drop_path_rate, "0.3", 0, 0.9, RESULT,
               "stochastic depth: share of a batch's crops that a branch is left out for"),
    FIELD_REAL(TrainImageConfig, momentum_teacher, "0.992", 1e-6, 1, RESULT,
               "momentum of the teacher, the average of the weights, at first"),
    FIELD_REAL(TrainImageConfig, final_momentum_teacher, "1", 1e-6, 1, RESULT, "... and at the end"),
    FIELD_REAL(TrainImageConfig, warmup_teacher_temp, "0.04", 1e-3, 10, RESULT, "temperature of the teacher at first"),
    FIELD_REAL(TrainImageConfig, teacher_temp, "0.07", 1e-3, 10, RESULT, "... after its warmup"),
    FIELD_INT(TrainImageConfig, warmup_teacher_temp_steps, "37500", 0, 1e9, RESULT, "... which takes so many steps"),
    FIELD_CHOICE(TrainImageConfig, centering, "centering", centerings, RESULT,
                 "how the teacher's prototypes are kept in balance"),
    FIELD_REAL(TrainImageConfig, ibot_loss_weight, "1", 0, 100, RESULT, "weight of the loss of hidden patches"),
    FIELD_REAL(TrainImageConfig, koleo_loss_weight, "0.1", 0, 100, RESULT, "weight of the loss that spreads a batch"),
    FIELD_REAL(TrainImageConfig, mask_sample_probability, "0.5", 0, 1, RESULT,
               "share of the global crops that have hidden patches"),
    FIELD_REAL(TrainImageConfig, mask_ratio_min, "0.1", 0, 1, RESULT, "share of hidden patches, at least"),
    FIELD_REAL(TrainImageConfig, mask_ratio_max, "0.5", 0, 1, RESULT, "... at most"),
    FIELD_INT(TrainImageConfig, field_size, "152", 1, 4096, RESULT,
              "pixels around the centre of a cutout that crops are taken from"),
    FIELD_INT(TrainImageConfig, local_crops_size, "60", 1, 4096, RESULT,
              "pixels of a local crop; those of a global one are model.image.image_size"),
    FIELD_INT(TrainImageConfig, local_crops_number, "8", 0, 64, RESULT, "local crops of an image"),
    FIELD_REAL(TrainImageConfig, degrade_global, "0.9", 0, 1, RESULT,
               "probability of a blur, and of noise, of the second global crop; the first has neither"),
    FIELD_REAL(TrainImageConfig, degrade_local, "0.5", 0, 1, RESULT, "... of a local crop"),
    FIELD_INT(TrainImageConfig, head_n_prototypes, "65536", 2, 1e7, RESULT, "prototypes of the head"),
    FIELD_INT(TrainImageConfig, head_hidden_dim, "2048", 1, 65536, RESULT, "width of the head's layers"),
    FIELD_INT(TrainImageConfig, head_bottleneck_dim, "256", 1, 65536, RESULT, "width in front of the prototypes"),
    FIELD_BOOL(TrainRecipe, recompute, "false", EFFORT,
               "compute activations again in the backward pass: a tenth of the memory, a fourth more work"),
    FIELD_INT(TrainRecipe, validate_every, "5000", 0, 1e9, RESULT,
              "steps between validations, of the teacher against itself; 0 = at the end"),
    FIELD_INT(TrainRecipe, val_batches, "4", 1, 1e9, RESULT, "batches of a validation, at most"),
    FIELD_TEXT(TrainImageConfig, images, "", EFFORT,
               "folder of the image set of Stein et al. (north/, south/) to train with in place of train.dataset"),
    FIELD_INT(TrainImageConfig, val_images, "100000", 0, 1e9, RESULT,
              "of its images the last so many, at most a tenth, are for validation"),
    FIELD_TEXT(TrainImageConfig, init, "init", EFFORT,
               "weights to begin with: init = random, else a checkpoint of an image encoder, in run.output unless "
               "absolute"),
    FIELD_TEXT(TrainImageConfig, output, "image.ckpt.h5", EFFORT, "checkpoint to write, in run.output unless absolute"),
    FIELD_END};

static Status check(const void *config)
{
    const TrainImageConfig *c = config;
    if (c->mask_ratio_min > c->mask_ratio_max)
        return FAIL(E_CONFIG, "train_image.mask_ratio_min = %g is larger than train_image.mask_ratio_max = %g",
                    c->mask_ratio_min, c->mask_ratio_max);
    return OK;
}

const ConfigSection train_image_section = {"train_image", "self-distillation of images", fields,
                                           sizeof(TrainImageConfig), check};

static const ConfigSection *const sections[] = {&train_image_section, &train_section, NULL};

static const char backbone[] = "image_encoder.backbone.";
static const char *const kept[] = {backbone, NULL};

/* ---- the model: encoder and head in a table of their own ---- */

typedef struct {
    Params params;
    Vit vit;
    Dino dino;
} ImageModel;

static Status vit_of(const VitConfig **out, const Run *run)
{
    const ModelConfig *m = config_get(run->config, &model_section);
    const TrainImageConfig *c = config_get(run->config, &train_image_section);
    if (strcmp(m->image.plugin->name, "vit") != 0)
        return FAIL(E_CONFIG, "self-distillation trains an image encoder of kind vit; model.image.kind is %s",
                    m->image.plugin->name);
    const VitConfig *v = *out = m->image.config;
    if (c->local_crops_size % v->patch_size != 0)
        return FAIL(E_CONFIG, "train_image.local_crops_size = %lld is not a multiple of model.image.patch_size = %lld",
                    (long long)c->local_crops_size, (long long)v->patch_size);
    if (c->field_size > CUTOUT_PIXELS || c->field_size < v->image_size || c->field_size < c->local_crops_size)
        return FAIL(
            E_CONFIG,
            "train_image.field_size = %lld: a cutout has %d pixels, and crops of model.image.image_size = %lld and "
            "train_image.local_crops_size = %lld must fit into the field",
            (long long)c->field_size, CUTOUT_PIXELS, (long long)v->image_size, (long long)c->local_crops_size);
    return OK;
}

static Status declare(ImageModel **out, const Run *run)
{
    const TrainImageConfig *c = config_get(run->config, &train_image_section);
    const VitConfig *v;
    ImageModel *m;
    TRY(vit_of(&v, run));
    const DinoHeadConfig head = {v->embed_dim, c->head_hidden_dim, c->head_bottleneck_dim, c->head_n_prototypes};
    TRY(arena_new(&m, run->arena, 1));
    TRY(params_init(&m->params, vit_n_params(v) + DINOHEAD_PARAMS, run->arena));
    TRY(vit_declare(&m->vit, v, &m->params, backbone, run->arena));
    TRY(dinohead_declare(&m->dino.head, &head, &m->params, "dino_head."));
    m->dino.vit = &m->vit;
    m->dino.losses = (DinoLosses){0.1, 1, c->ibot_loss_weight, c->koleo_loss_weight};
    *out = m;
    return OK;
}

static Status build(Training *t)
{
    const RunConfig *rc = config_get(t->run->config, &run_section);
    ImageModel *m;
    TRY(declare(&m, t->run));
    TRY(params_allocate(&m->params));
    vit_init(&m->vit, &m->params, (uint64_t)rc->seed);
    dinohead_init(&m->dino.head, &m->params, (uint64_t)rc->seed);
    t->params = &m->params;
    t->own = m;
    return OK;
}

/* ---- the recipe ---- */

static double peak_of(const TrainImageConfig *c, const TrainConfig *train)
{
    const double images = (double)(train->replicas * c->recipe.batch);
    return c->recipe.lr * (c->lr_batch > 0 ? sqrt(images / c->lr_batch) : 1);
}

static DinoTraining training_of(const Run *run, const VitConfig *v)
{
    const TrainImageConfig *c = config_get(run->config, &train_image_section);
    const TrainRecipe *r = &c->recipe;
    return (DinoTraining){.crops = {c->field_size,
                                    v->image_size,
                                    c->local_crops_size,
                                    c->local_crops_number,
                                    {0, c->degrade_global},
                                    c->degrade_local},
                          .masks = {v->image_size / v->patch_size, c->mask_sample_probability, c->mask_ratio_min,
                                    c->mask_ratio_max},
                          .balance = c->centering,
                          .centre_momentum = 0.9,
                          .drop_path = c->drop_path_rate,
                          .lr = {0, peak_of(c, config_get(run->config, &train_section)), r->lr_last, r->warmup_steps,
                                 r->steps, 0},
                          .weight_decay = {0, r->weight_decay, c->weight_decay_end, 0, r->steps, 0},
                          .momentum = {0, c->momentum_teacher, c->final_momentum_teacher, 0, r->steps, 0},
                          .temp = {c->warmup_teacher_temp, c->teacher_temp, c->teacher_temp,
                                   c->warmup_teacher_temp_steps, c->warmup_teacher_temp_steps, 0},
                          .frozen_steps = c->freeze_last_layer_steps,
                          .layer_decay = c->layerwise_decay,
                          .patch_embed = c->patch_embed_lr_mult,
                          .recompute = r->recompute};
}

/* The teacher is the average of the weights, and the result is the last one: its loss tells nothing of how good it is. */
static TrainRecipe recipe_of(const Run *run)
{
    const TrainImageConfig *c = config_get(run->config, &train_image_section);
    TrainRecipe r = c->recipe;
    r.ema = c->momentum_teacher;
    r.keep = KEEP_LAST;
    return r;
}

/* ---- the stage ---- */

static Status run_train_image(Run *run)
{
    const TrainImageConfig *c = config_get(run->config, &train_image_section);
    const TrainRecipe recipe = recipe_of(run);
    Training t;
    Objective objective;
    TrainReport report;
    ImageSet set = {0};
    ImageReader reader;
    bool current;
    Status st = OK;
    TRY_DONE(training_open(&t, run, &train_image_stage, &recipe, c->output, build));
    TRY_DONE(training_images(&reader, &set, &t, c->images, c->val_images));
    TRY_DONE(par_agree(&run->par, training_load(&t, c->init, backbone)));
    TRY_DONE(training_is_current(&current, &t, "model.image", kept));
    if (current || run->ask) goto done;
    const ImageModel *m = t.own;
    const DinoTraining training = training_of(run, &m->vit.config);
    TRY_DONE(par_agree(&run->par, dino_objective(&objective, &training, &m->dino, t.params, &reader, run->arena)));
    TRY_DONE(training_run(&report, &t, &objective));
    TRY_DONE(training_publish(&t, &report, kept));
done:
    imageset_close(&set);
    training_close(&t);
    return st;
}

Status train_image_cost(TrainingCost *out, Run *run)
{
    const TrainImageConfig *c = config_get(run->config, &train_image_section);
    const TrainConfig *train = config_get(run->config, &train_section);
    const Mark mark = arena_mark(run->arena);
    const VitConfig *v;
    ImageModel *m;
    TRY(vit_of(&v, run));
    TRY(declare(&m, run));
    const DinoTraining training = training_of(run, v);
    const double crop =
        (double)vit_tokens(v, c->local_crops_size, VIT_CLASS) / (double)vit_tokens(v, v->image_size, VIT_CLASS);
    *out = (TrainingCost){.recipe = &c->recipe, .ema = true, .kind = SAMPLES_IMAGES, .own_data = c->images[0] != '\0'};
    training_weigh(out, &m->params);
    /* the teacher's view of two global crops; there and back of them and of local ones, which are smaller */
    out->passes[MODALITY_IMAGE] = CROPS_GLOBAL * (1 + 3) + 3 * (double)c->local_crops_number * crop;
    out->step_bytes = dino_step_bytes(&training, &m->dino, 1, c->recipe.batch);
    out->step_bytes_alone = dino_step_bytes(&training, &m->dino, train->replicas, c->recipe.batch);
    arena_reset(run->arena, mark);
    return OK;
}

static Status plan_train_image(Run *run, FILE *out)
{
    const TrainImageConfig *c = config_get(run->config, &train_image_section);
    TrainingCost cost;
    TRY(train_image_cost(&cost, run));
    if (cost.own_data) fprintf(out, "train_image: trains with the images under %s\n", c->images);
    return training_plan(run, out, &train_image_stage, &cost);
}

const Stage train_image_stage = {
    .name = "train_image",
    .reads = "dataset.h5, or the image set of Stein et al.",
    .writes = "image.ckpt.h5, train_image/metrics.csv",
    .help = "the image encoder by self-distillation",
    .purpose =
        "Trains a vision transformer to say the same of different views of a galaxy (DINO), and of patches that it "
        "does "
        "not see (iBOT), as\n"
        "a teacher does that is the average of its own past. No labels take part. metrics.csv tells the parts of the "
        "loss, and two signs\n"
        "of collapse: the entropy of the teacher's mean prediction and the number of directions its features fill. "
        "Same weights on any\n"
        "number of ranks up to train.replicas, and after any number of interruptions.",
    .revision = 2,
    .sections = sections,
    .tells = true,
    .run = run_train_image,
    .plan = plan_train_image,
};
