/* training.c - the common part of train_spectrum, train_image, train_moco and align (training.h). */
#include "training.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "nn/gemm.h"

static bool begins(const char *name, const char *const *prefix)
{
    for (; *prefix; prefix++)
        if (strncmp(name, *prefix, strlen(*prefix)) == 0) return true;
    return false;
}

static Status dataset_path(char **path, const Run *run)
{
    const TrainConfig *c = config_get(run->config, &train_section);
    return stage_output(path, run, c->dataset);
}

static Status open_data(Training *t, SampleKind kind)
{
    char *path = NULL;
    TRY(dataset_path(&path, t->run));
    TRY(stage_made_by("pack", dataset_open(&t->dataset, path, t->run->arena)));
    for (int s = 0; s < N_SPLITS; s++)
        TRY(dataset_samples(&t->sample[s], &t->n[s], &t->dataset, kind, (Split)s, t->run->arena));
    t->data = t->dataset.fingerprint;
    return OK;
}

Status training_dataset(Training *t, SampleKind kind)
{
    TRY(par_agree(&t->run->par, open_data(t, kind)));
    log_info("%s: %lld samples to train with, %lld to validate, %lld to test", t->stage->name,
             (long long)t->n[SPLIT_TRAIN], (long long)t->n[SPLIT_VAL], (long long)t->n[SPLIT_TEST]);
    return OK;
}

static Status read_entry(float *pixels, void *self, const Sample *s) { return dataset_image(pixels, self, s->image); }
static Status read_image(float *pixels, void *self, const Sample *s) { return imageset_read(pixels, self, s->image); }

Status training_images(ImageReader *reader, ImageSet *set, Training *t, const char *images, int64_t val_images)
{
    *reader = (ImageReader){read_entry, &t->dataset};
    if (!images[0]) return training_dataset(t, SAMPLES_IMAGES);
    *reader = (ImageReader){read_image, set};
    TRY(imageset_open(set, images, &t->run->par, t->run->arena));
    t->data = set->fingerprint;
    t->n[SPLIT_VAL] = val_images < set->n / 10 ? val_images : set->n / 10;
    t->n[SPLIT_TRAIN] = set->n - t->n[SPLIT_VAL];
    log_info("%s: %lld images to train with in %lld files, %lld to validate", t->stage->name,
             (long long)t->n[SPLIT_TRAIN], (long long)set->n_files, (long long)t->n[SPLIT_VAL]);
    return OK;
}

Status training_model(Training *t)
{
    TRY(model_build(&t->model, config_get(t->run->config, &model_section), t->run->arena));
    t->params = model_params(t->model);
    return OK;
}

static Status open_all(Training *t, const char *output, TrainingBuild build)
{
    const RunConfig *rc = config_get(t->run->config, &run_section);
    TRY(stage_output(&t->path, t->run, output));
    TRY(stage_path(&t->folder, t->run, t->stage->name));
    TRY(gemm_choose(rc->gemm, (int)rc->threads));
    TRY(gemm_precision(train_precisions[t->config->precision]));
    return build(t);
}

Status training_open(Training *t, Run *run, const Stage *stage, const TrainRecipe *recipe, const char *output,
                     TrainingBuild build)
{
    *t = (Training){.run = run, .stage = stage, .recipe = recipe};
    t->config = config_get(run->config, &train_section);
    return par_agree(&run->par, open_all(t, output, build));
}

void training_close(Training *t)
{
    dataset_close(&t->dataset);
    gemm_precision("f32");
}

void training_freeze(Training *t, const char *const *frozen)
{
    for (; *frozen; frozen++) params_freeze(t->params, *frozen);
}

Status training_load(Training *t, const char *weights, const char *needed)
{
    const char *const list[] = {needed, NULL};
    char *path = NULL;
    if (!weights[0] || strcmp(weights, "init") == 0) return OK;
    TRY(stage_output(&path, t->run, weights));
    Status st = checkpoint_load_parts(t->params, path, list, t->run->arena);
    if (st != OK) fail_note("loading what %s begins with", t->stage->name);
    return st;
}

/* Lines of a section's text that begin with `prefix`. */
static Status hash_lines(HashState *h, const Run *run, const ConfigSection *section, const char *prefix)
{
    char *text = NULL;
    TRY(config_text(&text, run->config, section, run->arena));
    for (char *line = text, *end; *line; line = end) {
        end = line + strcspn(line, "\n");
        if (strncmp(line, prefix, strlen(prefix)) == 0) hash_add(h, line, (size_t)(end - line));
        end += *end == '\n';
    }
    return OK;
}

Status training_weights(Fingerprint *out, const Training *t, const char *model, const char *const *names)
{
    const Params *p = t->params;
    HashState *h = hash_open();
    Status st = model ? hash_lines(h, t->run, &model_section, model) : OK;
    for (int64_t i = 0; i < p->n_params; i++) {
        if (!begins(p->param[i].name, names)) continue;
        hash_add_text(h, p->param[i].name);
        hash_add(h, params_at(p, i), (size_t)p->param[i].n * sizeof(real));
    }
    hash_add_text(h, gemm_provider_text());
    *out = hash_close(h);
    return st;
}

static Status make_fingerprint(Training *t, const char *model, const char *const *kept)
{
    const RunConfig *rc = config_get(t->run->config, &run_section);
    Fingerprint weights;
    TRY(training_weights(&weights, t, model, kept));
    HashState *h = stage_hash(t->run, t->stage);
    hash_add(h, &rc->seed, sizeof rc->seed);
    hash_add_text(h, weights.text);
    hash_add_text(h, t->data.text);
    t->fingerprint = hash_close(h);
    return OK;
}

Status training_is_current(bool *current, Training *t, const char *model, const char *const *kept)
{
    Run *run = t->run;
    TRY(par_agree(&run->par, make_fingerprint(t, model, kept)));
    int64_t same = run->par.rank == 0 && !run->force &&
                   artefact_is_current(t->path, "checkpoint", CHECKPOINT_VERSION, &t->fingerprint);
    par_bcast(&run->par, &same, sizeof same, 0);
    *current = same != 0;
    if (*current) log_info("%s: %s is current, nothing to do", t->stage->name, t->path);
    if (!*current && run->ask) run->stale = true;
    return *current && !run->ask ? state_remove_all(t->folder, &run->par) : OK;
}

static Status write_result(const Training *t, const char *const *kept)
{
    const Params *p = t->params;
    H5File f = {0};
    Status st = checkpoint_create(&f, t->path, &t->envelope, "");
    for (int64_t i = 0; st == OK && i < p->n_params; i++)
        if (begins(p->param[i].name, kept))
            st = checkpoint_put(&f, p->param[i].name, params_at(p, i), p->param[i].n_dims, p->param[i].dims);
    if (st == OK) return checkpoint_finish(&f, t->path);
    h5_close(&f);
    return st;
}

static void log_report(const Training *t, const TrainReport *r)
{
    log_info("%s: %lld steps%s%s; loss %.6g in the first, %.6g in the last", t->stage->name, (long long)r->steps,
             r->early ? " (ended early: validation does not get better)" : "",
             r->resumed > 0 ? ", some of them by earlier runs" : "", r->first_loss, r->loss);
    if (r->best_step >= 0)
        log_info("%s: best validation loss %.6g after step %lld; the weights kept are the %s", t->stage->name,
                 r->best_loss, (long long)r->best_step, train_keeps[t->recipe->keep]);
}

Status training_run(TrainReport *report, Training *t, const Objective *objective)
{
    Run *run = t->run;
    Par *par = &run->par;
    Envelope *e = &t->envelope;
    TRY(artefact_make_folder(par, t->folder));
    TRY(par_agree(par, stage_envelope(e, run, "checkpoint", CHECKPOINT_VERSION, t->stage, t->fingerprint)));
    e->specprod = e->image_release = ""; /* weights are of no release */
    if (run->force) TRY(state_remove_all(t->folder, par));
    const Trainer trainer = {.stage = t->stage->name,
                             .folder = t->folder,
                             .config = t->config,
                             .recipe = t->recipe,
                             .objective = objective,
                             .params = t->params,
                             .train = t->sample[SPLIT_TRAIN],
                             .n_train = t->n[SPLIT_TRAIN],
                             .val = t->sample[SPLIT_VAL],
                             .n_val = t->n[SPLIT_VAL],
                             .seed = (uint64_t)((const RunConfig *)config_get(run->config, &run_section))->seed,
                             .envelope = *e};
    return trainer_run(report, &trainer, par, run->arena);
}

Status training_publish(Training *t, const TrainReport *report, const char *const *kept)
{
    Par *par = &t->run->par;
    t->envelope.seconds = log_elapsed();
    TRY(artefact_make_folder_of(par, t->path));
    TRY(par_agree(par, par->rank == 0 ? write_result(t, kept) : OK));
    TRY(state_remove_all(t->folder, par));
    log_report(t, report);
    log_info("%s: wrote %s", t->stage->name, t->path);
    return OK;
}

void training_weigh(TrainingCost *c, const Params *p)
{
    int64_t largest = 0;
    for (int64_t i = 0; i < p->n_params; i++) {
        const Param *w = &p->param[i];
        const int64_t reals = w->n_dims < 2 ? 0 : gemm_kept_reals(w->dims[0], w->n / w->dims[0]);
        if (reals > largest) largest = reals;
    }
    c->n_trained = p->n_d_reals;
    c->weight_bytes = (double)p->n_reals * sizeof(real);
    c->product_bytes = (double)largest * sizeof(real);
}

double training_optimizer_bytes(const TrainingCost *c, const TrainConfig *t, int64_t n_ranks, bool sharded)
{
    const OptimizerConfig o = {.sgd = c->sgd,
                               .ema = c->ema ? 1 : c->recipe->ema,
                               .n_replicas = t->replicas,
                               .sharded = sharded};
    return (double)optimizer_bytes(&o, c->n_trained, n_ranks < t->replicas ? n_ranks : t->replicas);
}

static Status plan_samples(Run *run, FILE *out, const Stage *stage, const TrainingCost *cost)
{
    const TrainConfig *c = config_get(run->config, &train_section);
    const TrainRecipe *r = cost->recipe;
    const Mark mark = arena_mark(run->arena);
    Dataset d = {0};
    Sample *sample;
    char *path = NULL;
    int64_t n = 0;
    TRY(dataset_path(&path, run));
    if (dataset_open(&d, path, run->arena) == OK &&
        dataset_samples(&sample, &n, &d, cost->kind, SPLIT_TRAIN, run->arena) == OK)
        fprintf(out, "%s: %lld samples to train with in %s: %.3g epochs\n", stage->name, (long long)n, path,
                n > 0 ? (double)r->steps * (double)(c->replicas * r->batch) / (double)n : 0);
    else
        fprintf(out, "%s: samples will come from %s, which `astroclip pack` writes\n", stage->name, path);
    fail_clear();
    dataset_close(&d);
    arena_reset(run->arena, mark);
    return OK;
}

Status training_plan(Run *run, FILE *out, const Stage *stage, const TrainingCost *cost)
{
    const TrainConfig *c = config_get(run->config, &train_section);
    const TrainRecipe *r = cost->recipe;
    const int64_t ranks = run->par.n_ranks < c->replicas ? run->par.n_ranks : c->replicas;
    fprintf(out, "%s: %lld weights to train, %lld steps of %lld replicas x %lld samples\n", stage->name,
            (long long)cost->n_trained, (long long)r->steps, (long long)c->replicas, (long long)r->batch);
    fprintf(out, "%s: gradients and moments take %.3g GB per rank on %lld ranks with train.sharded, %.3g GB without\n",
            stage->name, 1e-9 * training_optimizer_bytes(cost, c, ranks, true), (long long)ranks,
            1e-9 * training_optimizer_bytes(cost, c, ranks, false));
    return cost->own_data ? OK : plan_samples(run, out, stage, cost);
}
