/* LAYER: probe
   Against golden/downstream.h5: the few-shot MLP (losses of every step, final weights, predictions) and the morphology MLP
   with the released loss (shares, loss, gradients). Sizes come from the file; gradients of every loss against difference
   quotients. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "golden.h"
#include "probe/morphology.h"
#include "probe/net.h"

static const double tolerance = 1e-9; /* golden/README.md */

static double *doubles(int64_t n)
{
    double *out = NULL;
    if (!CHECK_OK(arena_new(&out, &test_arena, n))) CU_FAIL_FATAL("no memory");
    return out;
}

/* Layers PREFIX{0,3,6,...}{.weight,.bias}: sizes into `c`, values one after the other; returns how many numbers. */
static int64_t load_net(double **out, NetConfig *c, H5File *g, const char *group, const char *prefix)
{
    double *p = NULL;
    int64_t at = 0;
    for (int pass = 0; pass < 2; pass++) {
        at = 0;
        c->n_hidden = -1;
        for (int l = 0; h5_has(g, golden_name("%s/%s%d.weight", group, prefix, 3 * l)); l++) {
            static const char *const part[] = {"weight", "bias"};
            for (int k = 0; k < 2; k++) {
                H5Shape s;
                const double *v = golden_f64(&s, g, golden_name("%s/%s%d.%s", group, prefix, 3 * l, part[k]));
                const int64_t n = golden_items(&s);
                if (pass) memcpy(p + at, v, (size_t)n * sizeof *v);
                at += n;
                if (k == 1) continue;
                if (l == 0) c->n_in = s.dims[1];
                if (l > 0) c->hidden[l - 1] = s.dims[1];
                c->n_out = s.dims[0];
                c->n_hidden++;
            }
        }
        if (!pass) p = doubles(at);
    }
    *out = p;
    return at;
}

/* Adam over the batches of the file; y as many numbers per row as the net has outputs. */
static void train(double *p, const NetConfig *c, H5File *g, const double *z, const double *y, const char *losses)
{
    H5Shape s;
    const int64_t *index = golden_i64(&s, g, "inputs/fewshot/batch_index"), steps = s.dims[0], batch = s.dims[1],
                  n_params = net_params(c);
    double *x = doubles(batch * c->n_in), *target = doubles(batch * c->n_out), *d = doubles(n_params),
           *m = doubles(n_params), *v = doubles(n_params), *loss = doubles(steps);
    const RowModel model = net_model(c);
    for (int64_t k = 0; k < steps; k++) {
        for (int64_t i = 0; i < batch; i++) {
            const int64_t row = index[k * batch + i];
            memcpy(x + i * c->n_in, z + row * c->n_in, (size_t)c->n_in * sizeof *x);
            memcpy(target + i * c->n_out, y + row * c->n_out, (size_t)c->n_out * sizeof *x);
        }
        memset(d, 0, (size_t)n_params * sizeof *d);
        CHECK_OK(model.loss(&loss[k], d, model.self, p, x, target, index, batch, 0, &test_arena));
        loss[k] /= (double)batch;
        rows_adam(p, m, v, d, 1 / (double)batch, n_params, 1e-3, k + 1);
    }
    CU_ASSERT(test_near_f64(losses, loss, golden_want(g, losses, steps), steps, tolerance));
}

static void the_few_shot_mlp(void)
{
    H5File g;
    H5Shape s;
    NetConfig c = {.loss = NET_MSE};
    double *p;
    if (!golden_open(&g, "downstream.h5")) return;
    const int64_t n_params = load_net(&p, &c, &g, "params/fewshot", "");
    CU_ASSERT_EQUAL_FATAL(n_params, net_params(&c));
    const double *y = golden_f64(&s, &g, "inputs/Y_train"), *z = golden_f64(&s, &g, "outputs/Z_train"),
                 *mean = golden_want(&g, "outputs/y_mean", c.n_out),
                 *std = golden_want(&g, "outputs/y_std_population", c.n_out);
    const int64_t n_rows = s.dims[0];
    double *target = doubles(n_rows * c.n_out);
    for (int64_t i = 0; i < n_rows * c.n_out; i++) target[i] = (y[i] - mean[i % c.n_out]) / std[i % c.n_out];
    train(p, &c, &g, z, target, "outputs/fewshot/loss");
    double *want;
    load_net(&want, &c, &g, "outputs/fewshot/final_params", "");
    CU_ASSERT(test_near_f64("weights", p, want, n_params, tolerance));
    const double *z_test = golden_f64(&s, &g, "outputs/Z_test");
    const int64_t n_test = s.dims[0];
    double *out = doubles(n_test * c.n_out);
    CHECK_OK(net_forward(out, &c, p, z_test, n_test, &test_arena));
    CU_ASSERT(test_near_f64("predictions", out, golden_want(&g, "outputs/fewshot/pred", n_test * c.n_out),
                            n_test * c.n_out, tolerance));
    h5_close(&g);
}

static void the_morphology_mlp(void)
{
    H5File g;
    H5Shape s;
    NetConfig c = {.loss = NET_SHARES_TWICE};
    double *p, *want, loss = 0;
    if (!golden_open(&g, "downstream.h5")) return;
    const int64_t n_params = load_net(&p, &c, &g, "params/morph", "layers.");
    const double *x = golden_f64(&s, &g, "outputs/Z_train"), *y = golden_f64(&s, &g, "inputs/morph/target_fractions"),
                 *shares = golden_f64(&s, &g, "outputs/morph/probs");
    const int64_t n = s.dims[0];
    double *out = doubles(n * c.n_out), *d = doubles(n_params);
    int64_t *id = NULL;
    CHECK_OK(arena_new(&id, &test_arena, n));
    CHECK_OK(net_forward(out, &c, p, x, n, &test_arena));
    net_softmax(out, n, c.n_out);
    CU_ASSERT(test_near_f64("shares", out, shares, n * c.n_out, tolerance));
    const RowModel model = net_model(&c);
    CHECK_OK(model.loss(&loss, d, model.self, p, x, y, id, n, 0, &test_arena));
    CU_ASSERT(fabs(loss / (double)n / golden_scalar(&g, "outputs/morph/loss_first64") - 1) < tolerance);
    load_net(&want, &c, &g, "grads/morph", "layers.");
    for (int64_t i = 0; i < n_params; i++) d[i] /= (double)n;
    CU_ASSERT(test_near_f64("gradients", d, want, n_params, tolerance));
    train(p, &c, &g, x, y, "outputs/morph/train_loss");
    const double *z = golden_f64(&s, &g, "outputs/Z_test");
    const int64_t n_test = s.dims[0];
    out = doubles(n_test * c.n_out);
    CHECK_OK(net_forward(out, &c, p, z, n_test, &test_arena));
    net_softmax(out, n_test, c.n_out);
    CU_ASSERT(test_near_f64("shares after training", out, golden_want(&g, "outputs/morph/test_probs", n_test * c.n_out),
                            n_test * c.n_out, tolerance));
    h5_close(&g);
}

/* ---- gradients ---- */

static double number(uint64_t *state) { return (double)((*state = hash_mix(*state)) >> 11) * 0x1p-52 - 1; }

/* Along random directions, five-point quotients; 1e-8 of the size that a derivative has. */
static void gradients_of_every_loss(void)
{
    enum { N = 9 };
    static const double step = 2e-4;
    uint64_t state = 5;
    for (int kind = NET_MSE; kind <= NET_SHARES_TWICE; kind++) {
        const NetConfig c = {.n_in = 7,
                             .n_out = 6,
                             .n_hidden = 2,
                             .hidden = {11, 5},
                             .loss = (NetLoss)kind,
                             .dropout = 0.2,
                             .decay = 0.03};
        const int64_t n_params = net_params(&c), n_y = kind == NET_GAUSSIAN ? 3 : 6;
        double *p = doubles(n_params), *q = doubles(n_params), *d = doubles(n_params), *u = doubles(n_params),
               *x = doubles(N * c.n_in), *y = doubles(N * n_y), *unused = doubles(n_params);
        int64_t id[N];
        const RowModel model = net_model(&c);
        net_init(p, &c, 3);
        for (int64_t i = 0; i < N * c.n_in; i++) x[i] = 2 * number(&state);
        for (int64_t i = 0; i < N * n_y; i++) y[i] = fabs(number(&state));
        for (int i = 0; i < N; i++) id[i] = 100 + i;
        double loss = 0, size = 0, want = 0;
        CHECK_OK(model.loss(&loss, d, model.self, p, x, y, id, N, 77, &test_arena));
        for (int64_t i = 0; i < n_params; i++) {
            u[i] = number(&state);
            want += d[i] * u[i];
            size += d[i] * d[i] * u[i] * u[i];
        }
        double f[5];
        for (int k = -2; k <= 2; k++) {
            f[k + 2] = 0;
            for (int64_t i = 0; i < n_params; i++) q[i] = p[i] + k * step * u[i];
            CHECK_OK(model.loss(&f[k + 2], unused, model.self, q, x, y, id, N, 77, &test_arena));
        }
        const double got = (8 * (f[3] - f[1]) - (f[4] - f[0])) / (12 * step);
        CU_ASSERT(fabs(got - want) < 1e-8 * sqrt(size));
    }
}

TEST_MAIN("probe_nets", {"the few-shot MLP", the_few_shot_mlp}, {"the morphology MLP", the_morphology_mlp},
          {"gradients of every loss", gradients_of_every_loss})
