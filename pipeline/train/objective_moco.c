/* objective_moco.c - MoCo v2 learns from images alone (model/moco.h). A step: the key encoder looks at one view of all
   images, each replica's query encoder at another view of its own; queries are asked for their keys among those of the
   queue; then the new keys take the place of the oldest.

   Views are functions of (seed, TARGETID, step), the shuffle of keys over replicas of (seed, step). A rank makes the views
   that its replicas look at, so that no pixels travel. What all ranks have to know of others are samples and keys. */
#include "train/objective.h"

#include <string.h>

#include "core/clock.h"
#include "model/mocoview.h"

static const char *const terms[] = {"top1", "top5", NULL};
enum { N_TERMS = sizeof terms / sizeof *terms - 1 };

typedef struct {
    MocoTraining config;
    const Resnet *net;
    ImageReader reader;
    double *queue; /* (n_queue, dim): directions; the objective's memory */
    real *key;     /* (step_images, dim): of this step, as their samples lie in the batch of all replicas */
    int64_t at;    /* of the queue, where they go */
} Moco;

static int64_t dim_of(const Moco *s) { return s->net->config.n_out; }

/* ---- views ---- */

typedef struct {
    float *out; /* (n, 3, size, size) */
    int64_t size;
    const Sample *sample;
    const char *purpose;
    uint64_t seed;
    uint32_t step;
    Arena *arena;
} Drawing;

static Status draw_view(void *self, int64_t i, const float *pixels)
{
    const Drawing *d = self;
    Rng rng = rng_stream(d->seed, d->purpose, d->sample[i].targetid, d->step);
    return mocoview_draw(d->out + i * RESNET_PLANES * d->size * d->size, pixels, CUTOUT_PIXELS, d->size, &rng,
                         d->arena);
}

/* What the network, with the weights that it has, says of a view of each of n samples, in the company of these: out (n, dim),
   new in the arena; t for a way back, NULL = not wanted. */
static Status look(real **out, ResnetTrace *t, const Moco *s, const Sample *sample, int64_t n, const char *purpose,
                   uint64_t seed, int64_t step, Arena *a)
{
    const int64_t size = s->net->config.size;
    Drawing d = {NULL, size, sample, purpose, seed, (uint32_t)step, a};
    ResnetTrace none;
    TRY(arena_new(out, a, n * dim_of(s)));
    const Mark mark = arena_mark(a);
    TRY(arena_new(&d.out, a, n * RESNET_PLANES * size * size));
    clock_begin("views");
    const Status st = imagereader_each(&s->reader, sample, n, draw_view, &d, a);
    clock_end("views");
    TRY(st);
    TRY(resnet_forward_train(*out, t ? t : &none, s->net, d.out, n, a));
    clock_tick();
    if (!t) arena_reset(a, mark);
    return OK;
}

/* ---- keys ---- */

/* order (n): what was at order[i] goes to i. */
static void draw_shuffle(int64_t *order, int64_t n, uint64_t seed, int64_t step)
{
    Rng rng = rng_stream(seed, "moco.shuffle", 0, (uint32_t)step);
    for (int64_t i = 0; i < n; i++) order[i] = i;
    for (int64_t i = 0; i < n; i++) {
        const int64_t j = i + rng_below(&rng, n - i), other = order[j];
        order[j] = order[i];
        order[i] = other;
    }
}

/* Keys of this rank's replicas, to which the shuffle has dealt samples of `all`. */
static Status make_keys(real *mine, const Moco *s, const Sample *all, const int64_t *order, const StepBatch *b)
{
    const int64_t dim = dim_of(s);
    TRY(FAIL_POINT("train.teach"));
    for (int64_t k = 0; k < b->n_mine; k++) {
        const Mark mark = arena_mark(b->arena);
        Sample *dealt;
        real *out;
        TRY(arena_new(&dealt, b->arena, b->batch));
        for (int64_t i = 0; i < b->batch; i++) dealt[i] = all[order[(b->first + k) * b->batch + i]];
        TRY(look(&out, NULL, s, dealt, b->batch, "moco.key", b->seed, b->step, b->arena));
        moco_directions(out, b->batch, dim);
        memcpy(mine + k * b->batch * dim, out, sizeof *mine * (size_t)(b->batch * dim));
        arena_reset(b->arena, mark);
    }
    return OK;
}

/* Collective. s->key of all samples. */
static Status find_keys(Moco *s, const StepBatch *b)
{
    const int64_t dim = dim_of(s), n_mine = b->n_mine * b->batch, n = b->n_replicas * b->batch;
    int64_t n_all, *order = NULL;
    Sample *all;
    real *mine = NULL, *shuffled;
    TRY(par_allgather((void **)&all, &n_all, b->par, b->sample, n_mine, sizeof *all, b->arena));
    MUST(n_all == n && n == s->config.step_images);
    Status st = arena_new(&order, b->arena, n);
    if (st == OK) st = arena_new(&mine, b->arena, n_mine * dim);
    TRY(par_agree(b->par, st));
    draw_shuffle(order, n, b->seed, b->step);
    TRY(optimizer_swap_average(b->optimizer));
    TRY(par_agree(b->par, make_keys(mine, s, all, order, b)));
    TRY(optimizer_swap_average(b->optimizer));
    TRY(par_allgather((void **)&shuffled, &n_all, b->par, mine, n_mine, sizeof *mine * (size_t)dim, b->arena));
    for (int64_t i = 0; i < n; i++) memcpy(s->key + order[i] * dim, shuffled + i * dim, sizeof *mine * (size_t)dim);
    s->at = b->step * n % s->config.n_queue;
    return OK;
}

/* ---- queries ---- */

/* The queue as products take it. */
static Status queue_of(real **out, const Moco *s, Arena *a)
{
    const int64_t n = s->config.n_queue * dim_of(s);
    TRY(arena_new(out, a, n));
    for (int64_t i = 0; i < n; i++) (*out)[i] = (real)s->queue[i];
    return OK;
}

static Status learn(double *loss, double *own_terms, const Moco *s, const StepBatch *b, int64_t k, const real *queue)
{
    const Mark mark = arena_mark(b->arena);
    const int64_t dim = dim_of(s), first = (b->first + k) * b->batch;
    ResnetTrace trace;
    MocoAnswer answer;
    real *query, *d_query;
    TRY(arena_new(&d_query, b->arena, b->batch * dim));
    TRY(look(&query, &trace, s, b->sample + k * b->batch, b->batch, "moco.query", b->seed, b->step, b->arena));
    TRY(moco_loss(&answer, d_query, query, s->key + first * dim, queue, b->batch, dim, s->config.n_queue,
                  s->config.temperature, b->arena));
    TRY(resnet_backward(optimizer_gradient(b->optimizer, b->first + k), &trace, s->net, d_query, b->arena));
    optimizer_collect(b->optimizer, b->first + k);
    *loss = answer.loss;
    own_terms[0] = (double)answer.top1 / (double)b->batch;
    own_terms[1] = (double)answer.top5 / (double)b->batch;
    clock_tick();
    arena_reset(b->arena, mark);
    return OK;
}

/* ---- the objective ---- */

static Status take_step(double *loss, Moco *s, const StepBatch *b)
{
    real *queue;
    clock_begin("keys");
    const Status st = find_keys(s, b);
    clock_end("keys");
    TRY(st);
    TRY(queue_of(&queue, s, b->arena));
    for (int64_t k = 0; k < b->n_mine; k++) TRY(learn(&loss[k], b->terms + k * N_TERMS, s, b, k, queue));
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
    Moco *s = self;
    const int64_t dim = dim_of(s);
    for (int64_t i = 0; i < s->config.step_images; i++) {
        double *to = s->queue + (s->at + i) % s->config.n_queue * dim;
        for (int64_t k = 0; k < dim; k++) to[k] = (double)s->key[i * dim + k];
    }
}

/* Queries and keys of today's weights, among the keys of the queue. */
static Status validate(double *loss, void *self, const Sample *sample, int64_t n, uint64_t seed, Arena *a)
{
    const Moco *s = self;
    const Mark mark = arena_mark(a);
    MocoAnswer answer;
    real *query, *key, *queue;
    TRY(queue_of(&queue, s, a));
    TRY(look(&query, NULL, s, sample, n, "moco.query.val", seed, 0, a));
    TRY(look(&key, NULL, s, sample, n, "moco.key.val", seed, 0, a));
    moco_directions(key, n, dim_of(s));
    TRY(moco_loss(&answer, NULL, query, key, queue, n, dim_of(s), s->config.n_queue, s->config.temperature, a));
    *loss = answer.loss;
    arena_reset(a, mark);
    return OK;
}

/* Random directions. */
static Status begin_queue(Moco *s, Arena *a)
{
    const int64_t dim = dim_of(s);
    TRY(arena_new(&s->queue, a, s->config.n_queue * dim));
    for (int64_t i = 0; i < s->config.n_queue; i++) {
        Rng rng = rng_stream(s->config.seed, "moco.queue", i, 0);
        double *row = s->queue + i * dim, sum = 0;
        for (int64_t k = 0; k < dim; k++) {
            row[k] = rng_normal(&rng);
            sum += row[k] * row[k];
        }
        for (int64_t k = 0; k < dim; k++) row[k] /= sqrt(sum);
    }
    return OK;
}

Status moco_objective(Objective *out, const MocoTraining *c, const Resnet *net, const ImageReader *reader, Arena *a)
{
    Moco *s;
    MUST(c->step_images <= c->n_queue);
    TRY(arena_new(&s, a, 1));
    *s = (Moco){.config = *c, .net = net, .reader = *reader};
    TRY(begin_queue(s, a));
    TRY(arena_new(&s->key, a, c->step_images * dim_of(s)));
    *out = (Objective){.name = "momentum contrast",
                       .needs = SAMPLES_IMAGES,
                       .self = s,
                       .step = step,
                       .validate = validate,
                       .terms = terms,
                       .keeps_weights = true,
                       .memory = s->queue,
                       .n_memory = c->n_queue * dim_of(s),
                       .accept = accept};
    return OK;
}

double moco_step_bytes(const MocoTraining *c, const Resnet *net, int64_t batch)
{
    const double dim = (double)net->config.n_out, queue = (double)c->n_queue;
    const double scores = 3 * (double)batch * queue,
                 views = (double)(batch * RESNET_PLANES * net->config.size * net->config.size);
    return sizeof(real) *
               ((double)resnet_step_reals(net, batch) + views + scores + (queue + 3 * (double)c->step_images) * dim) +
           sizeof(double) * queue * dim;
}
