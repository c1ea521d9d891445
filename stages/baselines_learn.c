/* baselines_learn.c - of the stage `baselines`: networks that learn the properties themselves, from labels to what they say of
   every row. */
#include <math.h>

#include "baselines.h"
#include "core/log.h"
#include "nn/gemm.h"
#include "train/supervised.h"

/* What a network's weights depend on: other models, and how many epochs photometry gets, do not train it again. */
static Fingerprint fingerprint_of(const BaselinesJob *j, const char *network)
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

static Status open_learner(Learner *l, BaselinesJob *j, const char *network, Modality m)
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
static Status learn(Learner *l, BaselinesJob *j)
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

static Status predict_rows(float *value, const Learner *l, const BaselinesJob *j, Modality m)
{
    const int64_t dim = l->targets.n_out;
    Progress progress = {0};
    int64_t at = 0;
    progress_start(&progress, l->name, "rows", j->n);
    for (int64_t i = 0; i < j->n; i++) {
        const int64_t entry = baselines_entry(&at, &l->targets.entry, j->dataset.fatal[m], j->first + i);
        TRY(par_continue());
        for (int64_t k = 0; k < dim; k++) value[i * dim + k] = NAN;
        if (entry >= 0) TRY(supervised_predict(value + i * dim, l->network, entry, j->run->arena));
        progress_set(&progress, i + 1);
    }
    progress_stop(&progress);
    return OK;
}

/* Collective. */
Status baselines_supervised(BaselinesJob *j, const char *network, Modality m)
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
