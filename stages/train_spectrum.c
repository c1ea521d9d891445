/* train_spectrum.c - the stage: SpecFormer learns to fill in what is masked of a spectrum (spec.md 3.3 - 3.6). */
#include "core/log.h"
#include "model/branch.h"
#include "training.h"

typedef struct {
    TrainRecipe recipe; /* first: its fields begin the table */
    int64_t mask_num_chunks, mask_chunk_width;
    const char *init, *output;
} TrainSpectrumConfig;

/* Defaults are those of the published SpecFormer (spec.md 3.5). */
static const ConfigField fields[] = {
    TRAIN_RECIPE_FIELDS("64", "500000", "1e-5", "2000", "0.95", "0.1", "1", "0"),
    FIELD_INT(TrainSpectrumConfig, mask_num_chunks, "6", 1, 1000, RESULT, "stretches of a spectrum that are hidden"),
    FIELD_INT(TrainSpectrumConfig, mask_chunk_width, "50", 1, 10000, RESULT, "tokens of a stretch"),
    FIELD_TEXT(TrainSpectrumConfig, init, "init", EFFORT,
               "weights to begin with: init = random, else a checkpoint of ours, in run.output unless absolute"),
    FIELD_TEXT(TrainSpectrumConfig, output, "spectrum.ckpt.h5", EFFORT,
               "checkpoint to write, in run.output unless absolute"),
    FIELD_END};
const ConfigSection train_spectrum_section = {"train_spectrum", "masked modelling of spectra", fields,
                                              sizeof(TrainSpectrumConfig), NULL};

static const ConfigSection *const sections[] = {&train_spectrum_section, &train_section, NULL};

static const char backbone[] = "spectrum_encoder.backbone.";
static const char *const kept[] = {backbone, NULL};

/* Beside the loss of predicting the mean: has it learnt anything? */
static Status judge(const Training *t, const Objective *objective, const TrainReport *report)
{
    const RunConfig *rc = config_get(t->run->config, &run_section);
    const int64_t most = t->recipe->batch * t->recipe->val_batches, n = t->n[SPLIT_VAL];
    double mean;
    if (report->best_step < 0) return OK;
    TRY(masked_mean_loss(&mean, objective, t->sample[SPLIT_VAL], n < most ? n : most, (uint64_t)rc->seed,
                         t->run->arena));
    log_info("%s: predicting each spectrum's mean has a validation loss of %.6g; the best here is %.3g of that",
             t->stage->name, mean, report->best_loss / mean);
    return OK;
}

static Status run_train_spectrum(Run *run)
{
    const TrainSpectrumConfig *c = config_get(run->config, &train_spectrum_section);
    const MaskedConfig masked = {c->mask_num_chunks, c->mask_chunk_width, c->recipe.dropout, c->recipe.recompute};
    const RunConfig *rc = config_get(run->config, &run_section);
    Training t;
    Objective objective;
    TrainReport report;
    bool current;
    Status st = OK;
    TRY_DONE(training_open(&t, run, &train_spectrum_stage, &c->recipe, c->output, training_model));
    TRY_DONE(training_dataset(&t, SAMPLES_SPECTRA));
    training_freeze(&t, masked_frozen);
    model_init(t.model, (uint64_t)rc->seed, backbone);
    TRY_DONE(par_agree(&run->par, training_load(&t, c->init, backbone)));
    TRY_DONE(training_is_current(&current, &t, "model.spectrum", kept));
    if (current || run->ask) goto done;
    TRY_DONE(par_agree(&run->par, masked_objective(&objective, &masked, t.model, &t.dataset, run->arena)));
    TRY_DONE(training_run(&report, &t, &objective));
    TRY_DONE(par_agree(&run->par, run->par.rank == 0 ? judge(&t, &objective, &report) : OK));
    TRY_DONE(training_publish(&t, &report, kept));
done:
    training_close(&t);
    return st;
}

Status train_spectrum_cost(TrainingCost *out, Run *run)
{
    const TrainSpectrumConfig *c = config_get(run->config, &train_spectrum_section);
    const MaskedConfig masked = {c->mask_num_chunks, c->mask_chunk_width, c->recipe.dropout, c->recipe.recompute};
    const Mark mark = arena_mark(run->arena);
    Model *model = NULL;
    TRY(model_build(&model, config_get(run->config, &model_section), run->arena));
    Params *p = model_params(model);
    for (const char *const *f = masked_frozen; *f; f++) params_freeze(p, *f);
    *out = (TrainingCost){.recipe = &c->recipe, .kind = SAMPLES_SPECTRA, .passes = {[MODALITY_SPECTRUM] = 3}};
    training_weigh(out, p);
    out->step_bytes = out->step_bytes_alone = masked_step_bytes(&masked, model, c->recipe.batch);
    arena_reset(run->arena, mark);
    return OK;
}

static Status plan_train_spectrum(Run *run, FILE *out)
{
    TrainingCost cost;
    TRY(train_spectrum_cost(&cost, run));
    return training_plan(run, out, &train_spectrum_stage, &cost);
}

const Stage train_spectrum_stage = {
    .name = "train_spectrum",
    .reads = "dataset.h5",
    .writes = "spectrum.ckpt.h5, train_spectrum/metrics.csv",
    .help = "the spectrum encoder by masked modelling",
    .purpose =
        "Hides stretches of each spectrum and trains SpecFormer to fill them in. Replicas of the batch go to ranks; "
        "their gradients are\n"
        "summed in a fixed order, so that the weights have the same bits on any number of ranks up to "
        "train.replicas, and after any\n"
        "number of interruptions. The defaults are those of the published encoder.",
    .revision = 1,
    .sections = sections,
    .tells = true,
    .run = run_train_spectrum,
    .plan = plan_train_spectrum,
};
