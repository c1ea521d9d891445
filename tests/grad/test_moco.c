/* test_moco.c - the backward passes of a residual network with bottlenecks and of the loss of MoCo v2 against difference
   quotients, with every gemm provider. Batch norms whose bias is well above or below what they scale keep all ReLUs on one side of their kink, where
   quotients hold. Their biases then matter only behind the last block, where no norm takes them away again. These, and the stem, whose
   maxima change places, are compared with PyTorch (tests/parity). */
#include "gradcheck.h"
#include "model/moco.h"

/* Through a dozen norms the quotients of floats have no digits left: in float the linear layers alone. */
#ifdef REAL_DOUBLE
static const bool deep = true;
#else
static const bool deep = false;
#endif

enum { IMAGES = 4, SIZE = 32, N_OUT = 5 };

typedef struct {
    Params params;
    Resnet model;
    const real *image, *w;
    real *out;
} Problem;

static double objective(void *problem)
{
    Problem *p = problem;
    const Mark mark = arena_mark(&test_arena);
    ResnetTrace trace;
    CHECK_OK(resnet_forward_train(p->out, &trace, &p->model, p->image, IMAGES, &test_arena));
    arena_reset(&test_arena, mark);
    return gradcheck_sum(p->w, p->out, IMAGES * N_OUT);
}

/* Of every third channel the bias is well below 0, of others well above, in norms and in the hidden layer. Norms do not see how large kernels
   are: larger ones make a step of the quotient a smaller one. */
static void make_problem(Problem *p, bool bottleneck, bool mlp)
{
    const ResnetConfig config = {
        .width = 2, .size = SIZE, .n_out = N_OUT, .blocks = {1, 2, 1, 1}, .bottleneck = bottleneck, .mlp = mlp};
    CHECK_OK(params_init(&p->params, resnet_n_params(&config), &test_arena));
    CHECK_OK(resnet_declare(&p->model, &config, &p->params, "", &test_arena));
    CHECK_OK(params_allocate(&p->params));
    resnet_freeze(&p->model);
    resnet_init(&p->model, 3);
    for (int64_t i = 0; i < p->model.n_units; i++) {
        const ResnetUnit *u = &p->model.unit[i];
        const Param *kernel = &p->params.param[u->kernel];
        for (int64_t k = 0; k < kernel->n; k++) params_at(&p->params, u->kernel)[k] *= 20;
        for (int64_t c = 0; c < u->conv.c_out; c++) params_at(&p->params, u->bias)[c] = c % 3 == 2 ? -5 : 5;
    }
    for (int64_t c = 0; mlp && c < p->model.n_features; c++)
        params_at(&p->params, p->model.fc_bias[0])[c] = c % 3 == 2 ? -20 : 20;
    p->image = gradcheck_random(IMAGES * RESNET_PLANES * SIZE * SIZE);
    p->w = gradcheck_random(IMAGES * N_OUT);
    p->out = gradcheck_array(IMAGES * N_OUT);
}

static bool is_checked(const Problem *p, const Param *param)
{
    const Resnet *m = &p->model;
    const bool fc = strncmp(param->name, "fc", 2) == 0, layer = strncmp(param->name, "layer", 5) == 0;
    const bool bias = strstr(param->name, "bias") != NULL,
               last = param == &p->params.param[m->unit[m->n_units - 1].bias];
    return fc || (deep && layer && param->d_offset >= 0 && (!bias || last));
}

static void check_network(bool bottleneck, bool mlp)
{
    Problem p;
    make_problem(&p, bottleneck, mlp);
    GRADCHECK_EACH_PROVIDER
    {
        real *d_p = gradcheck_array(p.params.n_d_reals);
        ResnetTrace trace;
        CHECK_OK(resnet_forward_train(p.out, &trace, &p.model, p.image, IMAGES, &test_arena));
        CHECK_OK(resnet_backward(d_p, &trace, &p.model, p.w, &test_arena));
        for (int64_t i = 0; i < p.params.n_params; i++) {
            const Param *param = &p.params.param[i];
            if (is_checked(&p, param))
                gradcheck(&p, objective, params_at(&p.params, i), d_p + param->d_offset, param->n, param->name);
        }
    }
}

static void bottlenecks_have_their_gradient(void) { check_network(true, true); }
static void basic_blocks_have_their_gradient(void) { check_network(false, false); }

/* ---- the loss ---- */

enum { QUERIES = 5, DIM = 7, QUEUE = 26 };

typedef struct {
    real *query, *key, *queue;
} Asking;

static double loss_objective(void *problem)
{
    const Asking *k = problem;
    MocoAnswer answer;
    CHECK_OK(moco_loss(&answer, NULL, k->query, k->key, k->queue, QUERIES, DIM, QUEUE, 0.2, &test_arena));
    return answer.loss;
}

static void loss_has_its_gradient(void)
{
    Asking k = {gradcheck_random(QUERIES * DIM), gradcheck_random(QUERIES * DIM), gradcheck_random(QUEUE * DIM)};
    moco_directions(k.key, QUERIES, DIM);
    moco_directions(k.queue, QUEUE, DIM);
    GRADCHECK_EACH_PROVIDER
    {
        real *d_query = gradcheck_array(QUERIES * DIM);
        MocoAnswer answer;
        CHECK_OK(moco_loss(&answer, d_query, k.query, k.key, k.queue, QUERIES, DIM, QUEUE, 0.2, &test_arena));
        gradcheck(&k, loss_objective, k.query, d_query, QUERIES * DIM, "queries");
    }
}

TEST_MAIN("MoCo v2 gradients",
          {"bottlenecks and two linear layers have their gradient", bottlenecks_have_their_gradient},
          {"basic blocks and one have theirs", basic_blocks_have_their_gradient},
          {"the loss has its gradient", loss_has_its_gradient})
