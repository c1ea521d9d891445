/* test_moco_ranks.c - momentum contrast through the trainer: a step is what its parts say; the same bits on any ranks; the
   queue survives failures; galaxies that differ are told apart. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "model/mocoview.h"
#include "nn/gemm.h"
#include "small_training.h"
#include "test_main.h"
#include "train/order.h"
#include "train/trainer.h"

enum {
    REPLICAS = 4,
    BATCH = 3,
    STEPS = 6,
    QUEUE = 20,
    DIM = 8,
    SIZE = 32,
    N_SAMPLES = 160,
    N_VAL = 4,
    NEVER = 1 << 30
};

typedef struct {
    Params params;
    Resnet net;
    Objective objective;
    int64_t fail_after; /* images read */
} Case;

/* A blob whose size, brightness and colour are the object's. */
static Status read_blob(float *pixels, void *self, const Sample *s)
{
    Case *c = self;
    if (c->fail_after-- == 0) return FAIL(E_INPUT, "a reader failed");
    Rng rng = rng_stream(1, "blob", s->image, 0);
    const double size = 2 * exp(2.5 * rng_uniform(&rng)), level = 0.1 + 0.4 * rng_uniform(&rng),
                 slope = 3 * rng_uniform(&rng);
    for (int64_t b = 0; b < N_BANDS; b++)
        for (int64_t i = 0; i < CUTOUT_PIXELS * CUTOUT_PIXELS; i++) {
            const double y = (double)(i / CUTOUT_PIXELS) - 75.5, x = (double)(i % CUTOUT_PIXELS) - 75.5;
            *pixels++ = (float)(level * (1 + slope * (double)b) / (1 + (x * x + 2 * y * y) / (size * size)));
        }
    return OK;
}

static void make_case(Case *c, double temperature, int64_t step_images)
{
    const ResnetConfig net = {.width = 4, .size = SIZE, .n_out = DIM, .blocks = {1, 1, 1, 1}, .mlp = true};
    const MocoTraining training = {QUEUE, step_images, temperature, 7};
    memset(c, 0, sizeof *c);
    c->fail_after = NEVER;
    CHECK_OK(gemm_choose("auto", 1));
    CHECK_OK(params_init(&c->params, resnet_n_params(&net), &test_arena));
    CHECK_OK(resnet_declare(&c->net, &net, &c->params, moco_prefix, &test_arena));
    CHECK_OK(params_allocate(&c->params));
    resnet_freeze(&c->net);
    resnet_init(&c->net, 5);
    CHECK_OK(moco_objective(&c->objective, &training, &c->net, &(ImageReader){read_blob, c}, &test_arena));
}

static const TrainRecipe recipe = {.batch = BATCH,
                                   .steps = STEPS,
                                   .lr = 0.05,
                                   .sgd = true,
                                   .sgd_momentum = 0.9,
                                   .weight_decay = 1e-4,
                                   .ema = 0.9,
                                   .validate_every = 3,
                                   .val_batches = 1,
                                   .keep = KEEP_LAST};

/* With `turned` the other way: moments split, images without a list. */
static Status train(TrainReport *report, Case *c, const TrainRecipe *r, int64_t replicas, bool turned,
                    const char *folder, const Par *par)
{
    static Sample sample[N_SAMPLES + N_VAL];
    const TrainConfig config = {.replicas = replicas,
                                .sharded = turned,
                                .shuffle_block = 4,
                                .shuffle_window = 8,
                                .save_minutes = 1e6,
                                .save_steps = 2};
    for (int64_t i = 0; i < N_SAMPLES + N_VAL; i++) sample[i] = (Sample){-1, i, i};
    const Trainer trainer = {.stage = "contrast",
                             .folder = folder,
                             .config = &config,
                             .recipe = r,
                             .objective = &c->objective,
                             .params = &c->params,
                             .train = turned ? NULL : sample,
                             .n_train = N_SAMPLES,
                             .val = turned ? NULL : sample + N_SAMPLES,
                             .n_val = N_VAL,
                             .seed = 9,
                             .envelope = training_envelope("contrast")};
    return trainer_run(report, &trainer, par, &test_arena);
}

static const char *own_folder(const char *name)
{
    char text[64];
    snprintf(text, sizeof text, "%s-%d-%d", name, test_par.rank, (int)getpid());
    return folder_of(text, &par_alone);
}

/* Collective. What one rank alone makes. */
static void undisturbed(Case *c, TrainReport *report)
{
    make_case(c, 0.2, REPLICAS * BATCH);
    if (test_par.rank == 0) CHECK_OK(train(report, c, &recipe, REPLICAS, false, own_folder("alone"), &par_alone));
    par_bcast(&test_par, report, sizeof *report, 0);
    par_bcast(&test_par, c->params.value, c->params.n_reals * (int64_t)sizeof(real), 0);
    par_bcast(&test_par, c->objective.memory, QUEUE * DIM * sizeof(double), 0);
}

static bool same(const Case *a, const Case *b)
{
    return memcmp(a->params.value, b->params.value, sizeof(real) * (size_t)a->params.n_reals) == 0 &&
           memcmp(a->objective.memory, b->objective.memory, sizeof(double) * QUEUE * DIM) == 0;
}

/* ---- one replica, by hand ---- */

static void view_all(real *out, Case *c, const int64_t *image, const char *purpose, int64_t step)
{
    float *pixels;
    CHECK_OK(arena_new(&pixels, &test_arena, IMAGE_NUMBERS));
    for (int64_t i = 0; i < BATCH; i++) {
        Rng rng = rng_stream(9, purpose, image[i], (uint32_t)step);
        CHECK_OK(read_blob(pixels, c, &(Sample){-1, image[i], image[i]}));
        CHECK_OK(mocoview_draw(out + i * RESNET_PLANES * SIZE * SIZE, pixels, CUTOUT_PIXELS, SIZE, &rng, &test_arena));
    }
}

/* The order of keys within a batch changes the sums of its norms: they are made in the order that the shuffle of one
   replica gives. */
static void by_hand(Case *query, Case *key, real *queue)
{
    Order order;
    real *sum, *d, *x, *out, *keys, *d_out;
    CHECK_OK(order_init(&order, N_SAMPLES, BATCH, 4, 8, 9, &test_arena));
    CHECK_OK(arena_new(&sum, &test_arena, query->params.n_d_reals));
    CHECK_OK(arena_new(&d, &test_arena, query->params.n_d_reals));
    CHECK_OK(arena_new(&x, &test_arena, BATCH * RESNET_PLANES * SIZE * SIZE));
    CHECK_OK(arena_new(&out, &test_arena, BATCH * DIM));
    CHECK_OK(arena_new(&keys, &test_arena, BATCH * DIM));
    CHECK_OK(arena_new(&d_out, &test_arena, BATCH * DIM));
    for (int64_t step = 0; step < STEPS; step++) {
        int64_t image[BATCH], dealt[BATCH], at[BATCH] = {0, 1, 2};
        ResnetTrace trace;
        MocoAnswer answer;
        order_batch(image, &order, step, 0, BATCH);
        Rng rng = rng_stream(9, "moco.shuffle", 0, (uint32_t)step);
        for (int64_t i = 0; i < BATCH; i++) {
            const int64_t j = i + rng_below(&rng, BATCH - i), other = at[j];
            at[j] = at[i];
            at[i] = other;
            dealt[i] = image[other];
        }
        view_all(x, key, dealt, "moco.key", step);
        CHECK_OK(resnet_forward_train(out, &trace, &key->net, x, BATCH, &test_arena));
        moco_directions(out, BATCH, DIM);
        for (int64_t i = 0; i < BATCH; i++) memcpy(keys + at[i] * DIM, out + i * DIM, sizeof *out * DIM);
        view_all(x, query, image, "moco.query", step);
        CHECK_OK(resnet_forward_train(out, &trace, &query->net, x, BATCH, &test_arena));
        memset(d_out, 0, sizeof *d_out * BATCH * DIM);
        memset(d, 0, sizeof *d * (size_t)query->params.n_d_reals);
        CHECK_OK(moco_loss(&answer, d_out, out, keys, queue, BATCH, DIM, QUEUE, 0.2, &test_arena));
        CHECK_OK(resnet_backward(d, &trace, &query->net, d_out, &test_arena));
        const Sgd sgd = {schedule_cosine(recipe.lr, 0, step, 0, STEPS), recipe.weight_decay, recipe.sgd_momentum};
        for (int64_t i = 0; i < query->params.n_params; i++) {
            const Param *p = &query->params.param[i];
            if (p->d_offset < 0) continue;
            sgd_step(params_at(&query->params, i), sum + p->d_offset, d + p->d_offset, p->n, &sgd);
            ema_step(params_at(&key->params, i), params_at(&query->params, i), recipe.ema, p->n);
        }
        for (int64_t i = 0; i < BATCH; i++)
            memcpy(queue + (step * BATCH + i) % QUEUE * DIM, keys + i * DIM, sizeof *keys * DIM);
    }
}

static void a_training_is_what_its_parts_say(void)
{
    Case c, query, key;
    TrainReport report;
    real *queue;
    if (test_par.rank > 0) return;
    make_case(&query, 0.2, BATCH);
    make_case(&key, 0.2, BATCH);
    make_case(&c, 0.2, BATCH);
    CHECK_OK(arena_new(&queue, &test_arena, QUEUE * DIM));
    for (int64_t i = 0; i < QUEUE * DIM; i++) queue[i] = (real)query.objective.memory[i];
    for (int64_t i = 0; i < QUEUE; i++) {
        double squares = 0;
        for (int64_t k = 0; k < DIM; k++)
            squares += query.objective.memory[i * DIM + k] * query.objective.memory[i * DIM + k];
        CU_ASSERT_DOUBLE_EQUAL(squares, 1, 1e-12);
    }
    by_hand(&query, &key, queue);
    CHECK_OK(train(&report, &c, &recipe, 1, false, own_folder("one"), &par_alone));
    CU_ASSERT_EQUAL(memcmp(c.params.value, query.params.value, sizeof(real) * (size_t)c.params.n_reals), 0);
    for (int64_t i = 0; i < QUEUE * DIM; i++) CU_ASSERT_EQUAL((real)c.objective.memory[i], queue[i]);
}

/* ---- ranks ---- */

static void ranks_shards_and_lists_do_not_matter(void)
{
    Case alone, c;
    TrainReport want, got;
    undisturbed(&alone, &want);
    CU_ASSERT(isfinite(want.loss) && want.loss > 0);
    for (int turn = 0; turn < 2; turn++) {
        make_case(&c, 0.2, REPLICAS * BATCH);
        CHECK_OK(train(&got, &c, &recipe, REPLICAS, turn, folder_of(turn ? "turned" : "ranks", &test_par), &test_par));
        CU_ASSERT(same(&c, &alone));
        CU_ASSERT(got.loss == want.loss && got.best_loss == want.best_loss);
    }
}

static void a_training_goes_on_with_its_queue(void)
{
    Case alone, c;
    TrainReport want, got;
    undisturbed(&alone, &want);
    const char *folder = folder_of("resumed", &test_par);
    make_case(&c, 0.2, REPLICAS * BATCH);
    if (test_par.rank == test_par.n_ranks - 1) { /* in the fifth step if it is this rank that validates, else later */
        int64_t first, last;
        par_share(&first, &last, &test_par, REPLICAS);
        c.fail_after = 4 * 2 * (last - first) * BATCH + 2 * N_VAL + 1;
    }
    CHECK_FAILS(train(&got, &c, &recipe, REPLICAS, true, folder, &test_par), E_INPUT);
    make_case(&c, 0.2, REPLICAS * BATCH);
    CHECK_OK(train(&got, &c, &recipe, REPLICAS, false, folder, &test_par));
    CU_ASSERT_EQUAL(got.resumed, 4);
    CU_ASSERT(same(&c, &alone));
}

/* ---- learning ---- */

/* The mean loss and top5 of rows [first, first + n) of metrics.csv. */
static void mean_of(double *loss, double *top5, const char *folder, int first, int n)
{
    char path[600], line[512];
    int row = -1;
    snprintf(path, sizeof path, "%s/metrics.csv", folder);
    FILE *f = fopen(path, "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    *loss = *top5 = 0;
    for (; fgets(line, sizeof line, f); row++) {
        double its_loss = 0, its_top5 = 0;
        if (row < first || row >= first + n) continue;
        CU_ASSERT_EQUAL(sscanf(line, "%*[^,],%*[^,],%lf", &its_loss), 1);
        char *at = line;
        for (int k = 0; k < 7; k++) at = strchr(at, ',') + 1;
        CU_ASSERT_EQUAL(sscanf(at, "%lf", &its_top5), 1);
        *loss += its_loss / n;
        *top5 += its_top5 / n;
    }
    fclose(f);
}

/* From when the queue is filled with keys. */
static void the_loss_falls(void)
{
    enum { FEW = 2, LARGE = 8, MANY = 60, SOME = 12 };
    Case c;
    TrainReport report;
    TrainRecipe r = recipe;
    double loss[2], top5[2];
    if (test_par.n_ranks != 1) return;
    r.batch = LARGE;
    r.steps = MANY;
    r.lr = 0.02;
    r.validate_every = 0;
    const char *folder = own_folder("falls");
    make_case(&c, 0.2, FEW * LARGE);
    CHECK_OK(train(&report, &c, &r, FEW, false, folder, &par_alone));
    mean_of(&loss[0], &top5[0], folder, 2, SOME);
    mean_of(&loss[1], &top5[1], folder, MANY - SOME, SOME);
    printf("    loss %.3f, then %.3f; own key among five %.2f, then %.2f\n", loss[0], loss[1], top5[0], top5[1]);
    CU_ASSERT(loss[1] < loss[0] - 0.3);
    CU_ASSERT(top5[1] > top5[0]);
}

TEST_MAIN("momentum contrast", {"a training is what its parts say", a_training_is_what_its_parts_say},
          {"ranks, shards and lists do not matter", ranks_shards_and_lists_do_not_matter},
          {"a training goes on with its queue", a_training_goes_on_with_its_queue}, {"the loss falls", the_loss_falls})
