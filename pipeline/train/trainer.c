/* trainer.c - the loop: a batch of the order to the objective, gradients to the optimiser, a line of metrics; now and then
   validation and a state.

   Everything that a step depends on is in the state or a function of (seed, step), so a step is the same whether or not
   the run was cut in between, on any number of ranks. A request to stop is looked at between two steps: the agreements
   within a step pass over it (par_hold_stop), and the state of the last whole step is saved. */
#include "train/trainer.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "metrics_file.h"
#include "nn/schedule.h"
#include "train/checkpoint.h"
#include "train/order.h"

const char *const train_precisions[] = {"f32", "bf16", NULL};
const char *const train_keeps[] = {"best", "last", NULL};

static const ConfigField train_fields[] = {
    FIELD_TEXT(TrainConfig, dataset, "dataset.h5", EFFORT, "what to train with, in run.output unless absolute"),
    FIELD_INT(
        TrainConfig, replicas, "4", 1, 65536, RESULT,
        "parts of a step with a batch each, summed in a fixed order: at most so many ranks; results depend on it, "
        "not on the ranks"),
    FIELD_BOOL(TrainConfig, sharded, "true", EFFORT, "moments of the optimiser split over the ranks"),
    FIELD_CHOICE(TrainConfig, precision, "f32", train_precisions, RESULT,
                 "matrix products: f32, or bf16 with f32 sums and master weights"),
    FIELD_INT(TrainConfig, shuffle_block, "64", 1, 1e9, RESULT, "neighbouring samples that are shuffled as one"),
    FIELD_INT(TrainConfig, shuffle_window, "16384", 1, 1e9, RESULT, "samples of shuffled blocks that are mixed"),
    FIELD_REAL(TrainConfig, save_minutes, "10", 0, 1e6, EFFORT, "minutes between states to go on from"),
    FIELD_INT(TrainConfig, save_steps, "0", 0, 1e9, EFFORT, "steps between states; 0 = by time only"),
    FIELD_TEXTS(TrainConfig, no_decay, "[]", NULL, RESULT,
                "parameters whose names end so are not decayed, for example [bias, layernorm1.weight]"),
    FIELD_END};

const ConfigSection train_section = {"train", "what all trainings share", train_fields, sizeof(TrainConfig), NULL};

/* One training on this rank. */
typedef struct {
    const Trainer *t;
    const Par *par;
    Optimizer *optimizer;
    Order order;
    MetricsFile metrics;
    TrainState state;
    Progress progress;
    Sample *sample; /* (replicas of this rank, batch) */
    double *loss;   /* (replicas of this rank) */
    int64_t n_terms;
    double *terms;     /* (replicas of this rank, n_terms) of the objective */
    double *mean_term; /* (n_terms) */
    Arena step;
    double saved; /* when, in seconds */
    double last_loss;
} Loop;

/* ---- losses ---- */

/* Collective. The means of n vectors of `width` numbers, of which this rank has those from `first` on: the same bits on any
   ranks. */
static Status mean_over(double *mean, const double *mine, int64_t width, int64_t first, int64_t n_mine, int64_t n,
                        const Par *par, Arena *a)
{
    TreeSum sum;
    Status st = treesum_init(&sum, width, n, a);
    for (int64_t i = 0; st == OK && i < n_mine; i++) treesum_push(&sum, first + i, mine + i * width);
    TRY(par_agree(par, st));
    TRY(par_tree_finish(mean, &sum, par, a));
    for (int64_t i = 0; i < width; i++) mean[i] /= (double)n;
    return OK;
}

/* Sample i of a list; of images without one, whose numbers begin at `first`. */
static Sample sample_at(const Sample *list, int64_t first, int64_t i)
{
    return list ? list[i] : (Sample){-1, first + i, first + i};
}

static Status validate_batch(double *loss, const Loop *l, int64_t first, int64_t batch, Arena *a)
{
    const Trainer *t = l->t;
    Sample *sample;
    TRY(arena_new(&sample, a, batch));
    for (int64_t i = 0; i < batch; i++) sample[i] = sample_at(t->val, t->n_train, first + i);
    return t->objective->validate(loss, t->objective->self, sample, batch, t->seed, a);
}

static Status validate_batches(double *loss, const Loop *l, int64_t first, int64_t n, int64_t batch, Arena *a)
{
    for (int64_t i = 0; i < n; i++) {
        const Mark mark = arena_mark(a);
        TRY(par_continue());
        TRY(validate_batch(&loss[i], l, (first + i) * batch, batch, a));
        arena_reset(a, mark);
    }
    return OK;
}

/* Collective. The mean loss of the batches of the validation split, those of a replica's size. */
static Status validation_loss(double *mean, Loop *l)
{
    const Trainer *t = l->t;
    const int64_t batch = t->recipe->batch < t->n_val ? t->recipe->batch : t->n_val;
    int64_t n = t->n_val / batch, first, last;
    double *loss = NULL;
    if (n > t->recipe->val_batches) n = t->recipe->val_batches;
    const Mark mark = arena_mark(&l->step);
    par_share(&first, &last, l->par, n);
    clock_begin("validate");
    Status st = arena_new(&loss, &l->step, last - first + 1);
    if (st == OK) st = validate_batches(loss, l, first, last - first, batch, &l->step);
    clock_end("validate");
    TRY(par_agree(l->par, st));
    TRY(mean_over(mean, loss, 1, first, last - first, n, l->par, &l->step));
    arena_reset(&l->step, mark);
    return OK;
}

static Status refresh(const Loop *l)
{
    const Objective *o = l->t->objective;
    return par_agree(l->par, o->refresh ? o->refresh(o->self) : OK);
}

/* ---- the best weights ---- */

/* Collective. What is judged and kept in place of the weights, and back: their average, where that is for this. */
static Status swap_kept(Loop *l) { return l->t->objective->keeps_weights ? OK : optimizer_swap_average(l->optimizer); }

static Status path_of(char out[H5_PATH], const Trainer *t, const char *which)
{
    const int n = snprintf(out, H5_PATH, "%s/%s.ckpt.h5", t->folder, which);
    return n > 0 && n < H5_PATH ? OK : FAIL(E_OUTPUT, "the path %.200s... is too long", t->folder);
}

/* The trained weights. */
static Status write_weights(const Trainer *t, const char *which)
{
    char path[H5_PATH];
    H5File f = {0};
    TRY(path_of(path, t, which));
    Status st = checkpoint_create(&f, path, &t->envelope, "");
    for (int64_t i = 0; st == OK && i < t->params->n_params; i++) {
        const Param *p = &t->params->param[i];
        if (p->d_offset >= 0) st = checkpoint_put(&f, p->name, params_at(t->params, i), p->n_dims, p->dims);
    }
    if (st == OK) return checkpoint_finish(&f, path);
    h5_close(&f);
    return st;
}

/* Collective. With an average of the weights it is the average that is judged and kept. */
static Status validate(Loop *l)
{
    const Trainer *t = l->t;
    TrainState *s = &l->state;
    double loss = NAN;
    if (t->n_val == 0) return OK;
    TRY(swap_kept(l));
    TRY(refresh(l));
    TRY(validation_loss(&loss, l));
    const bool better = loss < s->best_loss || s->best_step < 0;
    if (better) {
        s->best_step = s->step;
        s->best_loss = loss;
        s->waited = 0;
        TRY(par_agree(l->par, l->par->rank == 0 ? write_weights(t, "best") : OK));
    } else {
        s->waited++;
    }
    TRY(swap_kept(l));
    TRY(refresh(l));
    metrics_validation(&l->metrics, loss);
    log_info("%s: step %lld: validation loss %.6g%s", t->stage, (long long)s->step, loss, better ? ", the best" : "");
    return OK;
}

static Status take_result(Loop *l)
{
    const Trainer *t = l->t;
    static const char *const none[] = {NULL};
    char path[H5_PATH];
    TRY(swap_kept(l));
    TRY(par_agree(l->par, l->par->rank == 0 ? write_weights(t, "last") : OK));
    if (t->recipe->keep == KEEP_LAST || l->state.best_step < 0) return refresh(l);
    Status st = path_of(path, t, "best");
    if (st == OK) st = checkpoint_load_parts(t->params, path, none, &l->step);
    TRY(par_agree(l->par, st));
    return refresh(l);
}

/* ---- states ---- */

/* Metrics first: a state that is there has all lines up to it. */
static Status save(Loop *l)
{
    const Trainer *t = l->t;
    TRY(par_agree(l->par, metrics_flush(&l->metrics)));
    clock_begin("save state");
    Status st = state_save(&l->state, t->params, l->optimizer, t->folder, &t->envelope, l->par, &l->step);
    clock_end("save state");
    if (st == OK) l->saved = log_elapsed();
    return st;
}

static Status begin(Loop *l, TrainReport *out)
{
    const Trainer *t = l->t;
    bool found;
    l->state = (TrainState){0, -1, 0, NAN, NAN, t->objective->memory, t->objective->n_memory};
    TRY(state_load(&found, &l->state, t->params, l->optimizer, t->folder, &t->envelope.fingerprint, l->par, &l->step));
    if (found)
        log_info("%s: goes on after step %lld of %lld", t->stage, (long long)l->state.step,
                 (long long)t->recipe->steps);
    out->resumed = l->state.step;
    l->saved = log_elapsed();
    TRY(refresh(l));
    return par_agree(l->par,
                     l->par->rank == 0 ? metrics_open(&l->metrics, t->folder, t->objective->terms, l->state.step) : OK);
}

/* Collective. Is it time to stop, to save? Rank 0's clock counts. */
static void look_around(bool *stop, bool *due, const Loop *l)
{
    const TrainConfig *c = l->t->config;
    const bool by_time = log_elapsed() - l->saved > 60 * c->save_minutes;
    const bool by_step = c->save_steps > 0 && l->state.step % c->save_steps == 0;
    int64_t ask[2] = {par_interrupted(), l->par->rank == 0 && (by_time || by_step)};
    par_max_i64(l->par, ask, 2);
    *stop = ask[0] > 0;
    *due = ask[1] > 0;
}

/* ---- steps ---- */

static Status gather_samples(Loop *l, int64_t first, int64_t n_mine)
{
    const Trainer *t = l->t;
    const int64_t batch = t->recipe->batch, n = n_mine * batch;
    const Mark mark = arena_mark(&l->step);
    int64_t *which = NULL;
    TRY(arena_new(&which, &l->step, n));
    order_batch(which, &l->order, l->state.step, first * batch, n);
    for (int64_t i = 0; i < n; i++) l->sample[i] = sample_at(t->train, 0, which[i]);
    arena_reset(&l->step, mark);
    return OK;
}

/* A gradient that is none changes nothing, so that the state before the step can be saved; a loss that is none is seen
   when the weights have moved: the last saved state stands. */
static Status not_a_number(Loop *l, const char *gradient)
{
    if (gradient) TRY(save(l));
    return par_agree(
        l->par,
        FAIL(
            E_NUMERIC,
            "%s: step %lld: the %s%s is not a finite number; %s. A smaller lr, more warmup_steps or a smaller clip may "
            "help",
            l->t->stage, (long long)l->state.step + 1, gradient ? "gradient of " : "loss", gradient ? gradient : "",
            gradient ? "the state before it is saved" : "the last saved state is that of an earlier step"));
}

static StepRates rates_of(const Loop *l)
{
    const TrainRecipe *r = l->t->recipe;
    const Objective *o = l->t->objective;
    const int64_t step = l->state.step;
    StepRates rates = {.weight_decay = r->weight_decay, .momentum = r->ema};
    if (o->rates)
        o->rates(&rates, o->self, step);
    else
        rates.lr = schedule_cosine(r->lr, r->lr_last, step, r->warmup_steps,
                                   r->schedule_steps > 0 ? r->schedule_steps : r->steps);
    return rates;
}

/* Collective. Gradients of all replicas; mean loss and mean terms. */
static Status find_gradients(double *loss, Loop *l)
{
    const Trainer *t = l->t;
    int64_t first, last;
    optimizer_replicas(&first, &last, l->optimizer);
    TRY(par_agree(l->par, gather_samples(l, first, last - first)));
    const StepBatch b = {.step = l->state.step,
                         .first = first,
                         .n_mine = last - first,
                         .n_replicas = t->config->replicas,
                         .batch = t->recipe->batch,
                         .sample = l->sample,
                         .seed = t->seed,
                         .terms = l->terms,
                         .optimizer = l->optimizer,
                         .par = l->par,
                         .arena = &l->step};
    clock_begin("gradients");
    const Status st = t->objective->step(l->loss, t->objective->self, &b);
    clock_end("gradients");
    TRY(par_agree(l->par, st));
    TRY(mean_over(loss, l->loss, 1, first, last - first, b.n_replicas, l->par, &l->step));
    if (l->n_terms == 0) return OK;
    return mean_over(l->mean_term, l->terms, l->n_terms, first, last - first, b.n_replicas, l->par, &l->step);
}

/* Collective. One step: a line of metrics. */
static Status step(Loop *l)
{
    const Trainer *t = l->t;
    const StepRates r = rates_of(l);
    StepReport report;
    double loss;
    const Mark mark = arena_mark(&l->step);
    TRY(find_gradients(&loss, l));
    TRY(par_agree(l->par, FAIL_POINT("train.step")));
    clock_begin("optimiser");
    if (r.momentum > 0) optimizer_momentum(l->optimizer, r.momentum);
    const Status st =
        optimizer_step(&report, l->optimizer, r.lr, r.weight_decay, r.lr_scale, r.decay_scale, l->state.step + 1);
    clock_end("optimiser");
    TRY(st);
    arena_reset(&l->step, mark);
    if (report.not_finite || !isfinite(loss)) return not_a_number(l, report.not_finite);
    if (t->objective->accept) t->objective->accept(t->objective->self);
    if (l->state.step == 0) l->state.first_loss = loss;
    l->state.step++;
    l->last_loss = loss;
    metrics_step(&l->metrics, &(MetricsRow){l->state.step, (l->state.step - 1) / order_steps_per_epoch(&l->order), loss,
                                            report.norm, r.lr, log_elapsed(), l->mean_term});
    return refresh(l);
}

static bool patience_is_out(const Loop *l)
{
    const int64_t patience = l->t->recipe->patience;
    return patience > 0 && l->state.waited >= patience;
}

static Status go_on(Loop *l, TrainReport *out)
{
    const Trainer *t = l->t;
    const TrainRecipe *r = t->recipe;
    while (l->state.step < r->steps && !patience_is_out(l)) {
        bool stop, due;
        look_around(&stop, &due, l);
        if (stop || (due && l->state.step > out->resumed)) TRY(save(l));
        if (stop) {
            par_hold_stop(false);
            return par_agree(l->par, par_continue());
        }
        TRY(step(l));
        const bool end = l->state.step == r->steps;
        if (end || (r->validate_every > 0 && l->state.step % r->validate_every == 0)) TRY(validate(l));
        char what[96];
        snprintf(what, sizeof what, "%s: loss %.5g, step", t->stage, l->last_loss);
        l->progress.what = what;
        progress_set(&l->progress, l->state.step);
        l->progress.what = t->stage;
        TRY(par_agree(l->par, metrics_end_row(&l->metrics)));
    }
    out->early = patience_is_out(l);
    return OK;
}

static Status open_loop(Loop *l, Arena *a)
{
    const Trainer *t = l->t;
    const TrainConfig *c = t->config;
    const TrainRecipe *r = t->recipe;
    const OptimizerConfig oc = {.adam = {0, r->weight_decay, r->beta1, r->beta2, r->eps},
                                .sgd = r->sgd,
                                .sgd_momentum = r->sgd_momentum,
                                .max_norm = r->clip,
                                .ema = r->ema,
                                .n_replicas = c->replicas,
                                .sharded = c->sharded,
                                .no_decay = c->no_decay,
                                .modules = t->objective->modules};
    int64_t first, last;
    for (const char *const *term = t->objective->terms; term && *term; term++) l->n_terms++;
    TRY(par_agree(l->par, order_init(&l->order, t->n_train, c->replicas * r->batch, c->shuffle_block, c->shuffle_window,
                                     t->seed, a)));
    TRY(optimizer_open(&l->optimizer, t->params, &oc, l->par, a));
    optimizer_replicas(&first, &last, l->optimizer);
    Status st = arena_new(&l->sample, a, (last - first) * r->batch + 1);
    if (st == OK) st = arena_new(&l->loss, a, last - first + 1);
    if (st == OK) st = arena_new(&l->terms, a, (last - first) * l->n_terms);
    if (st == OK) st = arena_new(&l->mean_term, a, l->n_terms);
    return par_agree(l->par, st);
}

static Status run_loop(Loop *l, TrainReport *out, Arena *a)
{
    TRY(open_loop(l, a));
    TRY(begin(l, out));
    progress_start(&l->progress, l->t->stage, "steps", l->t->recipe->steps);
    par_hold_stop(true);
    Status st = go_on(l, out);
    par_hold_stop(false);
    TRY(st);
    progress_stop(&l->progress);
    TRY(take_result(l));
    out->steps = l->state.step;
    out->best_step = l->state.best_step;
    out->first_loss = l->state.first_loss;
    out->loss = l->last_loss;
    out->best_loss = l->state.best_loss;
    return OK;
}

Status trainer_run(TrainReport *out, const Trainer *t, const Par *par, Arena *a)
{
    Loop l = {.t = t, .par = par, .last_loss = NAN};
    memset(out, 0, sizeof *out);
    TRY(par_agree(par, arena_init(&l.step, "training step", 0)));
    Status st = run_loop(&l, out, a);
    optimizer_close(l.optimizer); /* what a failed step left under way */
    const Status closed = metrics_close(&l.metrics);
    arena_free(&l.step);
    return st != OK ? st : par_agree(par, closed);
}
