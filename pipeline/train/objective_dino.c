/* objective_dino.c - AstroDINO learns from images alone (spec.md 4). A step: all crops of this rank's replicas; the teacher
   looks at the whole ones; replicas agree on what balances its prototypes; each replica's student learns.

   Crops are functions of (seed, TARGETID, step), masks and dropped branches of (seed, replica, step). Balance is over all
   replicas, summed over their tree; the mean of a step enters the centre of the next. */
#include "train/objective.h"

#include <float.h>
#include <string.h>

#include "core/clock.h"
#include "nn/distill.h"

enum { SINKHORN_ITERATIONS = 3 };

static const char *const terms[] = {"dino_local", "dino_global", "koleo", "ibot", "entropy", "feature_rank", NULL};
enum { N_TERMS = sizeof terms / sizeof *terms - 1 };

typedef struct {
    DinoTraining config;
    const Dino *dino;
    ImageReader reader;
    double *centre, *next; /* (DINO_PARTS, prototypes): of this step, of the next */
    double *lr_scale[2];   /* (n_params): prototypes are free, or frozen */
    double *decay_scale;
} Distill;

/* One replica in a step. */
typedef struct {
    DinoBatch batch;
    DinoTeacher teacher;
} Pupil;

static int64_t prototypes_of(const Distill *s) { return s->dino->head.config.prototypes; }

/* ---- crops ---- */

/* The crops of a batch, drawn per (seed, TARGETID, step). */
typedef struct {
    DinoBatch *batch;
    const CropsConfig *config;
    const Sample *sample;
    const char *purpose;
    uint64_t seed;
    uint32_t step;
    Arena *arena;
} Drawing;

static Status draw_crops(void *self, int64_t i, const float *pixels)
{
    const Drawing *d = self;
    Rng rng = rng_stream(d->seed, d->purpose, d->sample[i].targetid, d->step);
    return crops_draw(d->batch->global, d->batch->local, d->config, pixels, CUTOUT_PIXELS, i, d->batch->n, &rng,
                      d->arena);
}

static Status make_batch(DinoBatch *b, const Distill *s, const Sample *sample, int64_t n, int64_t replica,
                         const char *const purpose[2], uint64_t seed, int64_t step, Arena *a)
{
    Rng rng = rng_stream(seed, purpose[1], replica, (uint32_t)step);
    TRY(dino_batch(b, &s->config.crops, n, a));
    TRY(patchmask_draw(&b->masks, &s->config.masks, CROPS_GLOBAL * n, &rng, a));
    Drawing d = {b, &s->config.crops, sample, purpose[0], seed, (uint32_t)step, a};
    return imagereader_each(&s->reader, sample, b->n, draw_crops, &d, a);
}

static Status make_batches(Pupil *pupil, const Distill *s, const StepBatch *b)
{
    static const char *const purpose[2] = {"image.crops", "image.masks"};
    for (int64_t k = 0; k < b->n_mine; k++)
        TRY(make_batch(&pupil[k].batch, s, b->sample + k * b->batch, b->batch, b->first + k, purpose, b->seed, b->step,
                       b->arena));
    return OK;
}

static Status teach_mine(Pupil *pupil, const Distill *s, const StepBatch *b)
{
    TRY(FAIL_POINT("train.teach"));
    for (int64_t k = 0; k < b->n_mine; k++) {
        TRY(dino_teach(&pupil[k].teacher, s->dino, &pupil[k].batch, b->arena));
        clock_tick();
    }
    return OK;
}

/* Collective. */
static Status teach_all(Pupil *pupil, const Distill *s, const StepBatch *b)
{
    TRY(optimizer_swap_average(b->optimizer));
    TRY(par_agree(b->par, teach_mine(pupil, s, b)));
    return optimizer_swap_average(b->optimizer);
}

/* ---- balance ---- */

/* This rank's leaves of a sum over replicas: vectors of both parts and of how many replicas have hidden patches. */
typedef Status (*Leaf)(double *value, const Distill *s, const DinoTeacher *t, const void *more, Arena *a);

static Status push_leaves(TreeSum *sum, const Pupil *pupil, Leaf leaf, const Distill *s, const StepBatch *b,
                          const void *more)
{
    const int64_t n = DINO_PARTS * prototypes_of(s) + 1;
    double *value;
    TRY(treesum_init(sum, n, b->n_replicas, b->arena));
    TRY(arena_new(&value, b->arena, n));
    for (int64_t k = 0; k < b->n_mine; k++) {
        memset(value, 0, sizeof *value * (size_t)n);
        TRY(leaf(value, s, &pupil[k].teacher, more, b->arena));
        value[n - 1] = pupil[k].teacher.rows[DINO_PATCH] > 0;
        treesum_push(sum, b->first + k, value);
    }
    return OK;
}

/* Collective. total (DINO_PARTS * prototypes + 1). */
static Status sum_replicas(double *total, const Pupil *pupil, Leaf leaf, const Distill *s, const StepBatch *b,
                           const void *more)
{
    const Mark mark = arena_mark(b->arena);
    TreeSum sum;
    TRY(par_agree(b->par, push_leaves(&sum, pupil, leaf, s, b, more)));
    TRY(par_tree_finish(total, &sum, b->par, b->arena));
    arena_reset(b->arena, mark);
    return OK;
}

static Status mean_logits(double *value, const Distill *s, const DinoTeacher *t, const void *more, Arena *a)
{
    const int64_t n = prototypes_of(s);
    double *const sum[DINO_PARTS] = {value, value + n};
    (void)more;
    TRY(dino_centre_sums(sum, t, &s->dino->head, a));
    for (int part = 0; part < DINO_PARTS; part++)
        for (int64_t k = 0; k < n && t->rows[part] > 0; k++) sum[part][k] /= (double)t->rows[part];
    return OK;
}

/* Collective. Offsets from the centre as it is; where it goes after this step is kept aside. Replicas without hidden
   patches have no part in the patches' centre. */
static Status centre(double *offset, Distill *s, const Pupil *pupil, const StepBatch *b, double temp)
{
    const int64_t n = prototypes_of(s);
    const double keep = s->config.centre_momentum;
    double *total;
    TRY(par_agree(b->par, arena_new(&total, b->arena, DINO_PARTS * n + 1)));
    TRY(sum_replicas(total, pupil, mean_logits, s, b, NULL));
    for (int64_t i = 0; i < DINO_PARTS * n; i++) {
        const double replicas = i < n ? (double)b->n_replicas : total[DINO_PARTS * n];
        offset[i] = -s->centre[i] / temp;
        s->next[i] = replicas > 0 ? keep * s->centre[i] + (1 - keep) * total[i] / replicas : s->centre[i];
    }
    return OK;
}

typedef struct {
    double most[DINO_PARTS], temp;
    double *factor; /* (DINO_PARTS, prototypes) or NULL */
} Balancing;

static Status row_sums(double *value, const Distill *s, const DinoTeacher *t, const void *more, Arena *a)
{
    const Balancing *g = more;
    const int64_t n = prototypes_of(s);
    double *const sum[DINO_PARTS] = {value, value + n}, *const factor[DINO_PARTS] = {g->factor, g->factor + n};
    return dino_sinkhorn_sums(sum, t, &s->dino->head, g->factor ? factor : NULL, g->most, g->temp, a);
}

static Status find_most(double most[DINO_PARTS], const Distill *s, const Pupil *pupil, int64_t n_pupils, double temp,
                        Arena *a)
{
    for (int part = 0; part < DINO_PARTS; part++) most[part] = -HUGE_VAL;
    for (int64_t k = 0; k < n_pupils; k++) {
        double own[DINO_PARTS];
        TRY(dino_most(own, &pupil[k].teacher, &s->dino->head, temp, a));
        for (int part = 0; part < DINO_PARTS; part++) most[part] = fmax(most[part], own[part]);
    }
    return OK;
}

/* Collective. Sinkhorn-Knopp over the rows of all replicas. */
static Status balance(double *offset, const Distill *s, const Pupil *pupil, const StepBatch *b, double temp)
{
    const int64_t n = DINO_PARTS * prototypes_of(s);
    Balancing g = {.temp = temp};
    double *total;
    TRY(par_agree(b->par, arena_new(&total, b->arena, n + 1)));
    TRY(par_agree(b->par, find_most(g.most, s, pupil, b->n_mine, temp, b->arena)));
    par_max_f64(b->par, g.most, DINO_PARTS);
    for (int i = 0; i < SINKHORN_ITERATIONS; i++) {
        TRY(sum_replicas(total, pupil, row_sums, s, b, &g));
        for (int64_t k = 0; k < n; k++) offset[k] = 1 / fmax(total[k], DBL_MIN);
        g.factor = offset;
    }
    for (int64_t k = 0; k < n; k++) offset[k] = log(offset[k]);
    return OK;
}

/* ---- the student ---- */

/* Of `count` objects those that keep a branch (spec.md 4.3). */
static Status draw_kept(BranchDrop *d, int64_t count, double drop_path, Rng *rng, Arena *a)
{
    int64_t *object;
    const int64_t most = (int64_t)((double)count * (1 - drop_path)), n = most > 1 ? most : 1;
    TRY(arena_new(&object, a, count));
    for (int64_t i = 0; i < count; i++) object[i] = i;
    for (int64_t i = 0; i < n; i++) {
        const int64_t j = i + rng_below(rng, count - i), other = object[j];
        object[j] = object[i];
        object[i] = other;
    }
    *d = (BranchDrop){object, n, (real)((double)count / (double)n)};
    return OK;
}

static Status draw_depth(VitDrop *d, const Distill *s, int64_t count, Rng *rng, Arena *a)
{
    const int64_t depth = s->dino->vit->config.depth;
    BranchDrop *attention, *mlp;
    TRY(arena_new(&attention, a, depth));
    TRY(arena_new(&mlp, a, depth));
    for (int64_t i = 0; i < depth && count > 0; i++) {
        TRY(draw_kept(&attention[i], count, s->config.drop_path, rng, a));
        TRY(draw_kept(&mlp[i], count, s->config.drop_path, rng, a));
    }
    *d = (VitDrop){attention, mlp};
    return OK;
}

static void say_ready(void *optimizer, int64_t d_offset) { optimizer_ready(optimizer, d_offset); }

static double loss_of(const DinoTerms *t) { return t->local + t->global + t->koleo + t->ibot; }

static Status learn(double *loss, double *own_terms, const Distill *s, const Pupil *pupil, const StepBatch *b,
                    int64_t k, const DinoTargets *targets)
{
    const Mark mark = arena_mark(b->arena);
    const GradientHook hook = {say_ready, b->optimizer};
    Rng rng = rng_stream(b->seed, "image.depth", b->first + k, (uint32_t)b->step);
    VitDrop global, local;
    DinoPass how = {.recompute = s->config.recompute, .hook = &hook};
    DinoTerms t;
    if (s->config.drop_path > 0) {
        TRY(draw_depth(&global, s, CROPS_GLOBAL * b->batch, &rng, b->arena));
        TRY(draw_depth(&local, s, s->config.crops.n_local * b->batch, &rng, b->arena));
        how.drop_global = &global;
        how.drop_local = &local;
    }
    TRY(dino_learn(&t, optimizer_gradient(b->optimizer, b->first + k), s->dino, &pupil->batch, &pupil->teacher, targets,
                   &how, b->arena));
    optimizer_collect(b->optimizer, b->first + k);
    *loss = loss_of(&t);
    memcpy(own_terms, (double[N_TERMS]){t.local, t.global, t.koleo, t.ibot, t.entropy, t.rank},
           N_TERMS * sizeof *own_terms);
    clock_tick();
    arena_reset(b->arena, mark);
    return OK;
}

/* ---- the objective ---- */

static Status take_step(double *loss, Distill *s, const StepBatch *b)
{
    const double temp = schedule_dino(&s->config.temp, b->step);
    const int64_t n = prototypes_of(s);
    Pupil *pupil;
    double *offset;
    Status st = arena_new(&pupil, b->arena, b->n_mine);
    if (st == OK) st = arena_new(&offset, b->arena, DINO_PARTS * n);
    clock_begin("crops");
    if (st == OK) st = make_batches(pupil, s, b);
    clock_end("crops");
    TRY(par_agree(b->par, st));
    clock_begin("teacher");
    st = teach_all(pupil, s, b);
    clock_end("teacher");
    TRY(st);
    if (s->config.balance == BALANCE_CENTERING)
        TRY(centre(offset, s, pupil, b, temp));
    else
        TRY(balance(offset, s, pupil, b, temp));
    const DinoTargets targets = {temp, {offset, offset + n}};
    for (int64_t k = 0; k < b->n_mine; k++) TRY(learn(&loss[k], b->terms + k * N_TERMS, s, &pupil[k], b, k, &targets));
    return OK;
}

static Status step(double *loss, void *self, const StepBatch *b)
{
    const Mark mark = arena_mark(b->arena);
    TRY(take_step(loss, self, b));
    arena_reset(b->arena, mark);
    return OK;
}

static void accept(void *self)
{
    Distill *s = self;
    memcpy(s->centre, s->next, sizeof *s->centre * (size_t)(DINO_PARTS * prototypes_of(s)));
}

/* What the weights make of the same crops as teacher and as student, at the last temperature. */
static Status validate(double *loss, void *self, const Sample *sample, int64_t n, uint64_t seed, Arena *a)
{
    static const char *const purpose[2] = {"image.crops.val", "image.masks.val"};
    Distill *s = self;
    const Mark mark = arena_mark(a);
    const StepBatch alone = {.n_mine = 1, .n_replicas = 1, .batch = n, .par = &par_alone, .arena = a};
    const double temp = s->config.temp.last;
    Pupil pupil;
    DinoTerms t;
    double *offset;
    TRY(arena_new(&offset, a, DINO_PARTS * prototypes_of(s)));
    TRY(make_batch(&pupil.batch, s, sample, n, 0, purpose, seed, 0, a));
    TRY(dino_teach(&pupil.teacher, s->dino, &pupil.batch, a));
    if (s->config.balance == BALANCE_CENTERING)
        for (int64_t i = 0; i < DINO_PARTS * prototypes_of(s); i++) offset[i] = -s->centre[i] / temp;
    else
        TRY(balance(offset, s, &pupil, &alone, temp));
    const DinoTargets targets = {temp, {offset, offset + prototypes_of(s)}};
    TRY(dino_learn(&t, NULL, s->dino, &pupil.batch, &pupil.teacher, &targets, &(DinoPass){.recompute = true}, a));
    *loss = loss_of(&t);
    arena_reset(a, mark);
    return OK;
}

static void rates(StepRates *out, const void *self, int64_t step)
{
    const Distill *s = self;
    const DinoTraining *c = &s->config;
    *out = (StepRates){.lr = schedule_dino(&c->lr, step),
                       .weight_decay = schedule_dino(&c->weight_decay, step),
                       .momentum = schedule_dino(&c->momentum, step),
                       .lr_scale = s->lr_scale[step < c->frozen_steps],
                       .decay_scale = s->decay_scale};
}

Status dino_objective(Objective *out, const DinoTraining *c, const Dino *dino, Params *p, const ImageReader *reader,
                      Arena *a)
{
    static const char *const modules[] = {"image_encoder.", "dino_head.", NULL};
    const int64_t n = DINO_PARTS * dino->head.config.prototypes;
    Distill *s;
    TRY(arena_new(&s, a, 1));
    *s = (Distill){.config = *c, .dino = dino, .reader = *reader};
    TRY(arena_new(&s->centre, a, n));
    TRY(arena_new(&s->next, a, n));
    TRY(arena_new(&s->decay_scale, a, p->n_params));
    dino_decay_scale(s->decay_scale, p);
    for (int frozen = 0; frozen < 2; frozen++) {
        TRY(arena_new(&s->lr_scale[frozen], a, p->n_params));
        dino_lr_scale(s->lr_scale[frozen], dino, p, c->layer_decay, c->patch_embed, frozen);
    }
    *out = (Objective){.name = "self-distillation",
                       .needs = SAMPLES_IMAGES,
                       .self = s,
                       .step = step,
                       .validate = validate,
                       .terms = terms,
                       .rates = rates,
                       .modules = modules,
                       .memory = s->centre,
                       .n_memory = n,
                       .accept = accept};
    return OK;
}

double dino_step_bytes(const DinoTraining *c, const Dino *dino, int64_t n_mine, int64_t batch)
{
    const double hidden = 0.5 * (c->masks.least + c->masks.most) * c->masks.probability;
    const double sums =
        40 * (double)(DINO_PARTS * dino->head.config.prototypes); /* of balance: few vectors in a tree */
    return sizeof(real) * ((double)n_mine * dino_kept_reals(dino, &c->crops, batch, hidden) +
                           dino_learn_reals(dino, &c->crops, batch, hidden, c->recompute)) +
           sums;
}
