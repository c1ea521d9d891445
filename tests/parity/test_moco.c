/* test_moco.c - MoCo v2 against PyTorch itself, which moco.py asks: the network with bottlenecks and its gradients, the
   loss, a few steps of training. Needs a Python with torch and h5py, named by ASTROCLIP_TORCH. */
#include <stdlib.h>

#include "model/moco.h"
#include "nn/optim.h"
#include "parity.h"

static const double tolerance = TOLERANCE(2e-5, 1e-10); /* as of the supervised networks (golden README) */
static const double gradient_tolerance = TOLERANCE(2e-4, 1e-10);

/* Steps add up what a step is off: the gradient's, through norms of few numbers, four times. */
static const double training_tolerance = TOLERANCE(2e-3, 1e-8);

/* What moco.py says, asked once. False = skipped. */
static bool open_peer(H5File *f)
{
    static char path[1024];
    const char *python = getenv("ASTROCLIP_TORCH");
    char command[4096];
    memset(f, 0, sizeof *f);
    if (!python || !*python) {
        printf("    skipped: ASTROCLIP_TORCH names no Python with torch\n");
        return false;
    }
    if (!*path) {
        snprintf(path, sizeof path, "%s/moco.h5", test_folder());
        snprintf(command, sizeof command, "'%s' '%s/tests/parity/moco.py' '%s'", python, TEST_ROOT, path);
        CU_ASSERT_EQUAL_FATAL(system(command), 0);
    }
    return CHECK_OK(h5_open(f, path, NULL));
}

typedef struct {
    H5File g;
    Params params;
    Resnet model;
    int64_t n, n_out;
    const real *images;
} Case;

static bool open_case(Case *c)
{
    if (!open_peer(&c->g)) return false;
    const int64_t *blocks = golden_i64(NULL, &c->g, "blocks");
    ResnetConfig config = {.width = golden_int(&c->g, "width"),
                           .size = golden_int(&c->g, "size"),
                           .n_out = golden_int(&c->g, "n_out"),
                           .bottleneck = true,
                           .mlp = true};
    memcpy(config.blocks, blocks, sizeof config.blocks);
    c->n = golden_int(&c->g, "batch");
    c->n_out = config.n_out;
    c->images = golden_reals(NULL, &c->g, "image");
    CHECK_OK(params_init(&c->params, resnet_n_params(&config), &test_arena));
    CHECK_OK(resnet_declare(&c->model, &config, &c->params, "", &test_arena));
    CU_ASSERT_EQUAL(c->params.n_params, resnet_n_params(&config));
    parity_load(&c->params, &c->g, "params");
    return true;
}

static void network_predicts(void)
{
    Case c;
    if (!open_case(&c)) return;
    real *out, *features;
    CHECK_OK(arena_new(&out, &test_arena, c.n * c.n_out));
    CHECK_OK(arena_new(&features, &test_arena, c.n * c.model.n_features));
    FOR_EACH_PROVIDER({
        CHECK_OK(resnet_features(features, &c.model, c.images, c.n, &test_arena));
        CU_ASSERT(parity_near(&c.g, "features", features, c.n * c.model.n_features, tolerance));
        CHECK_OK(resnet_predict(out, &c.model, c.images, c.n, &test_arena));
        CU_ASSERT(parity_near(&c.g, "eval", out, c.n * c.n_out, tolerance));
    })
    CHECK_OK(h5_close(&c.g));
}

static void network_trains(void)
{
    Case c;
    if (!open_case(&c)) return;
    const real *w = golden_reals(NULL, &c.g, "w");
    real *out;
    CHECK_OK(arena_new(&out, &test_arena, c.n * c.n_out));
    FOR_EACH_PROVIDER({
        real *d_p = parity_gradients(&c.params);
        ResnetTrace trace;
        CHECK_OK(resnet_forward_train(out, &trace, &c.model, c.images, c.n, &test_arena));
        CU_ASSERT(parity_near(&c.g, "train", out, c.n * c.n_out, tolerance));
        CHECK_OK(resnet_backward(d_p, &trace, &c.model, w, &test_arena));
        parity_gradients_near(&c.g, "grads", &c.params, d_p, gradient_tolerance);
    })
    CHECK_OK(h5_close(&c.g));
}

static void loss_agrees(void)
{
    H5File g;
    if (!open_peer(&g)) return;
    const int64_t n = golden_int(&g, "ask_n"), dim = golden_int(&g, "ask_dim"), n_queue = golden_int(&g, "ask_queue");
    const real *query = golden_reals(NULL, &g, "ask/query"), *key = golden_reals(NULL, &g, "ask/key"),
               *queue = golden_reals(NULL, &g, "ask/queue");
    FOR_EACH_PROVIDER({
        MocoAnswer answer;
        real *d_query;
        CHECK_OK(arena_new(&d_query, &test_arena, n * dim));
        CHECK_OK(moco_loss(&answer, d_query, query, key, queue, n, dim, n_queue, golden_number(&g, "ask_temperature"),
                           &test_arena));
        const real loss = (real)answer.loss;
        CU_ASSERT(parity_near(&g, "ask/loss", &loss, 1, tolerance));
        CU_ASSERT(parity_near(&g, "ask/d_query", d_query, n * dim, tolerance));
        CU_ASSERT_EQUAL(answer.top1, (int64_t)golden_scalar(&g, "ask/top1"));
        CU_ASSERT_EQUAL(answer.top5, (int64_t)golden_scalar(&g, "ask/top5"));
    })
    CHECK_OK(h5_close(&g));
}

/* ---- training ---- */

/* Trained weights of two tables of one kind, and the sums of gradients. */
typedef struct {
    Params query, key;
    Resnet query_net, key_net;
    real *d, *sum, *queue;
    int64_t n_queue, dim, at;
} Training;

static void step_weights(Training *t, const Sgd *sgd, double momentum)
{
    for (int64_t i = 0; i < t->query.n_params; i++) {
        const Param *p = &t->query.param[i];
        if (p->d_offset < 0) continue;
        sgd_step(params_at(&t->query, i), t->sum + p->d_offset, t->d + p->d_offset, p->n, sgd);
        ema_step(params_at(&t->key, i), params_at(&t->query, i), momentum, p->n);
    }
}

/* The key encoder follows behind each step: what PyTorch's does before the next one. */
static void train_steps(Training *t, H5File *g, int64_t n)
{
    const Sgd sgd = {golden_number(g, "lr"), golden_number(g, "weight_decay"), golden_number(g, "momentum")};
    const double momentum = golden_number(g, "encoder_momentum");
    const int64_t steps = golden_int(g, "steps"), size = t->query_net.config.size,
                  each = n * RESNET_PLANES * size * size;
    const real *views = golden_reals(NULL, g, "training/views");
    const double *want = golden_want(g, "training/losses", steps);
    for (int64_t s = 0; s < steps; s++, views += 2 * each) {
        MocoAnswer answer;
        ResnetTrace trace;
        real *query, *key, *d_query;
        CHECK_OK(arena_new(&query, &test_arena, n * t->dim));
        CHECK_OK(arena_new(&key, &test_arena, n * t->dim));
        CHECK_OK(arena_new(&d_query, &test_arena, n * t->dim));
        CHECK_OK(resnet_forward_train(key, &trace, &t->key_net, views + each, n, &test_arena));
        moco_directions(key, n, t->dim);
        CHECK_OK(resnet_forward_train(query, &trace, &t->query_net, views, n, &test_arena));
        CHECK_OK(moco_loss(&answer, d_query, query, key, t->queue, n, t->dim, t->n_queue,
                           golden_number(g, "temperature"), &test_arena));
        memset(t->d, 0, sizeof *t->d * (size_t)t->query.n_d_reals);
        CHECK_OK(resnet_backward(t->d, &trace, &t->query_net, d_query, &test_arena));
        step_weights(t, &sgd, momentum);
        for (int64_t i = 0; i < n; i++)
            memcpy(t->queue + (t->at + i) % t->n_queue * t->dim, key + i * t->dim, sizeof *key * (size_t)t->dim);
        t->at = (t->at + n) % t->n_queue;
        CU_ASSERT_DOUBLE_EQUAL(answer.loss, want[s], training_tolerance * want[s]);
    }
}

static void training_agrees(void)
{
    Case c;
    if (!open_case(&c)) return;
    Training t = {.n_queue = golden_int(&c.g, "n_queue"), .dim = c.n_out};
    Params *const table[] = {&t.query, &t.key};
    Resnet *const net[] = {&t.query_net, &t.key_net};
    CHECK_OK(gemm_choose("auto", 1));
    for (int k = 0; k < 2; k++) {
        CHECK_OK(params_init(table[k], c.params.n_params, &test_arena));
        CHECK_OK(resnet_declare(net[k], &c.model.config, table[k], "", &test_arena));
        parity_load(table[k], &c.g, "training/params");
        resnet_freeze(net[k]);
    }
    CHECK_OK(arena_new(&t.d, &test_arena, t.query.n_d_reals));
    CHECK_OK(arena_new(&t.sum, &test_arena, t.query.n_d_reals));
    t.queue = golden_reals(NULL, &c.g, "training/queue");
    train_steps(&t, &c.g, c.n);
    CU_ASSERT(parity_near(&c.g, "training/last_queue", t.queue, t.n_queue * t.dim, training_tolerance));
    for (int64_t i = 0; i < t.query.n_params; i++) {
        const Param *p = &t.query.param[i];
        if (p->d_offset < 0) continue;
        CU_ASSERT(parity_near(&c.g, golden_name("training/query/%s", p->name), params_at(&t.query, i), p->n,
                              training_tolerance));
    }
    CHECK_OK(h5_close(&c.g));
}

TEST_MAIN("MoCo v2 and PyTorch", {"a network with bottlenecks predicts what it should", network_predicts},
          {"in training it and its gradients agree", network_trains}, {"the loss and its gradient agree", loss_agrees},
          {"steps of training agree", training_agrees})
