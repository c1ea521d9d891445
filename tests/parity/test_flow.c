/* LAYER: probe
   Against golden/flow.h5: density per dimension, base, loss, gradients, samples and ten steps of Adam of the spline flow. Sizes come
   from the file. Also gradients against difference quotients, and bits of a row in any company. */
#include <math.h>
#include <string.h>

#include "core/hash.h"
#include "golden.h"
#include "probe/flow.h"

static const double tolerance = 1e-10; /* golden/README.md */

static double *doubles(int64_t n)
{
    double *out = NULL;
    if (!CHECK_OK(arena_new(&out, &test_arena, n))) CU_FAIL_FATAL("no memory");
    return out;
}

/* GROUP/transforms.K.nn.layers.L.{weight,bias}, one after the other. */
static double *load_params(const FlowConfig *c, H5File *g, const char *group)
{
    double *p = doubles(flow_params(c));
    int64_t at = 0;
    for (int k = 0; k < (int)c->n_splines; k++)
        for (int l = 0; l < 4; l++)
            for (int part = 0; part < 2; part++) {
                H5Shape s;
                const double *v =
                    golden_f64(&s, g,
                               golden_name("%s/transforms.%d.nn.layers.%d.%s", group, k, l, part ? "bias" : "weight"));
                memcpy(p + at, v, (size_t)golden_items(&s) * sizeof *v);
                at += golden_items(&s);
            }
    CU_ASSERT_EQUAL_FATAL(at, flow_params(c));
    return p;
}

static void the_golden_flow(void)
{
    H5File g;
    H5Shape s;
    if (!golden_open(&g, "flow.h5")) return;
    const FlowConfig c = {golden_int(&g, "context_dim"), golden_int(&g, "input_dim"), golden_int(&g, "num_flows"),
                          golden_int(&g, "hidden")};
    CU_ASSERT_EQUAL_FATAL(golden_int(&g, "count_bins"), FLOW_BINS);
    const double *y = golden_f64(&s, &g, "inputs/y");
    const int64_t n = s.dims[0], size = n * c.n_dims, n_params = flow_params(&c);
    const double *x = golden_want(&g, "inputs/context", n * c.n_context),
                 *draws = golden_want(&g, "inputs/base_sample", size);
    double *p = load_params(&c, &g, "params"), *log_p = doubles(size), *base = doubles(size), *sample = doubles(size);
    CHECK_OK(flow_log_density(log_p, base, &c, p, x, y, n, &test_arena));
    CU_ASSERT(test_near_f64("ln p", log_p, golden_want(&g, "outputs/log_prob_per_dim", size), size, tolerance));
    CU_ASSERT(test_near_f64("base", base, golden_want(&g, "outputs/base_z", size), size, tolerance));
    for (int64_t i = 0; i < n; i++)
        CHECK_OK(
            flow_transform(sample + i * c.n_dims, &c, p, x + i * c.n_context, 1, draws + i * c.n_dims, 1, &test_arena));
    CU_ASSERT(test_near_f64("samples", sample, golden_want(&g, "outputs/sample", size), size, tolerance));

    const RowModel model = flow_model(&c);
    double *d = doubles(n_params), *m = doubles(n_params), *v = doubles(n_params), loss = 0;
    int64_t *id = NULL;
    CHECK_OK(arena_new(&id, &test_arena, n));
    CHECK_OK(model.loss(&loss, d, model.self, p, x, y, id, n, 0, &test_arena));
    const double want = golden_scalar(&g, "outputs/nll_mean_over_batch_and_dims");
    CU_ASSERT(fabs(loss / (double)n - want) < tolerance * fabs(want));
    CU_ASSERT(fabs(loss / (double)n * (double)c.n_dims / golden_scalar(&g, "outputs/nll_joint") - 1) < tolerance);
    for (int64_t i = 0; i < n_params; i++) d[i] /= (double)n;
    CU_ASSERT(test_near_f64("gradients", d, load_params(&c, &g, "grads"), n_params, tolerance));

    const double *losses = golden_f64(&s, &g, "outputs/adam10/nll");
    const int64_t steps = s.dims[0];
    double *seen = doubles(steps);
    for (int64_t k = 0; k < steps; k++) {
        memset(d, 0, (size_t)n_params * sizeof *d);
        CHECK_OK(model.loss(&seen[k], d, model.self, p, x, y, id, n, 0, &test_arena));
        seen[k] /= (double)n;
        rows_adam(p, m, v, d, 1 / (double)n, n_params, 5e-4, k + 1);
    }
    CU_ASSERT(test_near_f64("losses", seen, losses, steps, tolerance));
    /* Adam divides by the size of a gradient: where that is about 1e-8, rounding shows: 1e-8 of the weights */
    CU_ASSERT(test_near_f64("weights", p, load_params(&c, &g, "outputs/adam10/final_params"), n_params, 1e-8));
    h5_close(&g);
}

static double number(uint64_t *state) { return (double)((*state = hash_mix(*state)) >> 11) * 0x1p-52 - 1; }

static void gradients_along_random_directions(void)
{
    enum { N = 12 };
    static const double step = 1e-4;
    const FlowConfig c = {5, 3, 3, 7};
    const RowModel model = flow_model(&c);
    const int64_t n_params = flow_params(&c);
    double *p = doubles(n_params), *q = doubles(n_params), *d = doubles(n_params), *u = doubles(n_params),
           *x = doubles(N * c.n_context), *y = doubles(N * c.n_dims);
    int64_t id[N] = {0};
    uint64_t state = 4;
    flow_init(p, &c, 3);
    for (int64_t i = 0; i < N * c.n_context; i++) x[i] = 2 * number(&state);
    for (int64_t i = 0; i < N * c.n_dims; i++) y[i] = 2.5 * number(&state);
    y[0] = 4; /* outside of the splines */
    for (int round = 0; round < 4; round++) {
        double f[5], want = 0, size = 0, loss = 0;
        memset(d, 0, (size_t)n_params * sizeof *d);
        CHECK_OK(model.loss(&loss, d, model.self, p, x, y, id, N, 0, &test_arena));
        for (int64_t i = 0; i < n_params; i++) {
            u[i] = number(&state);
            want += d[i] * u[i];
            size += d[i] * d[i] * u[i] * u[i];
        }
        for (int k = -2; k <= 2; k++) {
            f[k + 2] = 0;
            for (int64_t i = 0; i < n_params; i++) q[i] = p[i] + k * step * u[i];
            CHECK_OK(model.loss(&f[k + 2], NULL, model.self, q, x, y, id, N, 0, &test_arena));
        }
        const double got = (8 * (f[3] - f[1]) - (f[4] - f[0])) / (12 * step);
        CU_ASSERT(fabs(got - want) < 1e-8 * sqrt(size));
    }
}

/* Base draws through the splines and back. */
static void inverse_undoes_forward(void)
{
    const FlowConfig c = {4, 2, 3, 9};
    double *p = doubles(flow_params(&c)), x[4] = {1, -2, 0.5, 0.1}, z[2 * 41], y[2 * 41], base[2], log_p[2];
    flow_init(p, &c, 8);
    for (int64_t i = 0; i < flow_params(&c); i++) p[i] *= 1.5; /* further from the identity */
    for (int j = 0; j < 41; j++) z[2 * j] = -4 + 0.2 * j, z[2 * j + 1] = 3.9 - 0.2 * j;
    CHECK_OK(flow_transform(y, &c, p, x, 1, z, 41, &test_arena));
    for (int j = 0; j < 41; j++) {
        CHECK_OK(flow_log_density(log_p, base, &c, p, x, y + 2 * j, 1, &test_arena));
        /* near a knot either bin may be taken, a millionth beyond its end */
        CU_ASSERT(fabs(base[0] - z[2 * j]) < 1e-5 && fabs(base[1] - z[2 * j + 1]) < 1e-5);
        if (j > 0) CU_ASSERT(y[2 * j] > y[2 * j - 2] && y[2 * j + 1] < y[2 * j - 1]);
    }
}

TEST_MAIN("flow", {"the golden flow", the_golden_flow},
          {"gradients along random directions", gradients_along_random_directions},
          {"inverse undoes forward", inverse_undoes_forward})
