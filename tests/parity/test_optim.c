/* test_optim.c - AdamW, Adam, clipping, moving averages and schedules against golden/optim.h5. */
#include <stdlib.h>

#include "nn/optim.h"
#include "nn/schedule.h"
#include "parity.h"

static const double tolerance = TOLERANCE(1e-6, 1e-13); /* golden README */
static const double tolerance_f32 = 1e-6;               /* where the reference itself is float */
static const double schedule_tolerance = 1e-13;         /* schedules are double always */

/* A parameter by its number: value, moments, gradient of a step. */
typedef struct {
    int64_t n;
    real *p, *m, *v;
} Slot;

static int count_of(H5File *g, const char *format)
{
    int n = 0;
    while (h5_has(g, golden_name("%s%d", format, n))) n++;
    CU_ASSERT_FATAL(n > 0);
    return n;
}

static Slot make_slot(H5File *g, int k)
{
    H5Shape shape;
    Slot s = {0};
    s.p = golden_reals(&shape, g, golden_name("inputs/adamw/p%d", k));
    s.n = golden_items(&shape);
    CHECK_OK(arena_new(&s.m, &test_arena, s.n));
    CHECK_OK(arena_new(&s.v, &test_arena, s.n));
    return s;
}

/* All steps of one run, `group` below outputs/. */
static void check_adam(H5File *g, const char *group, AdamW o, bool from_list)
{
    H5Shape steps;
    const double *lr = golden_f64(&steps, g, "inputs/adamw/lr");
    const double *wd = golden_f64(NULL, g, "inputs/adamw/wd_per_param");
    const int n_params = count_of(g, "inputs/adamw/p");
    for (int k = 0; k < n_params; k++) {
        Slot s = make_slot(g, k);
        int64_t compared = 0;
        for (int64_t t = 0; t < steps.dims[0]; t++) {
            if (from_list) o.lr = lr[t];
            if (from_list) o.weight_decay = wd[k];
            const real *d = golden_reals(NULL, g, golden_name("inputs/adamw/g%d_step%lld", k, (long long)t));
            adamw_step(s.p, s.m, s.v, d, s.n, &o, t + 1);
            const char *name = golden_name("outputs/%s/p%d_step%lld", group, k, (long long)t);
            if (!h5_has(g, name)) continue;
            CU_ASSERT(parity_near(g, name, s.p, s.n, tolerance));
            compared++;
            name = golden_name("outputs/%s/p%d_step%lld_f32", group, k, (long long)t);
            if (h5_has(g, name)) CU_ASSERT(parity_near(g, name, s.p, s.n, tolerance_f32));
        }
        CU_ASSERT(compared > 0);
    }
}

static void adam_agrees(void)
{
    H5File g;
    if (!golden_open(&g, "optim.h5")) return;
    const double eps = golden_number(&g, "adamw_eps");
    char **names;
    int64_t n;
    CHECK_OK(h5_list(&names, &n, &g, "outputs/adamw", &test_arena));
    CU_ASSERT(n > 0);
    for (int64_t i = 0; i < n; i++) { /* b2_0.95 */
        char group[64];
        snprintf(group, sizeof group, "adamw/%s", names[i]);
        check_adam(&g, group, (AdamW){0, 0, 0.9, atof(names[i] + strlen("b2_")), eps}, true);
    }
    check_adam(&g, "adam_lr5e-4", (AdamW){5e-4, 0, 0.9, 0.999, eps}, false);
    CHECK_OK(h5_close(&g));
}

/* "step3_max1e+06": gradients of a step, and what is left of them. */
static void check_clip(H5File *g, const char *name)
{
    int step;
    double max_norm;
    if (sscanf(name, "step%d_max%lf", &step, &max_norm) != 2) return;
    const int n_params = count_of(g, "inputs/adamw/p");
    double squares = 0;
    for (int k = 0; k < n_params; k++) {
        H5Shape shape;
        const real *d = golden_reals(&shape, g, golden_name("inputs/adamw/g%d_step%d", k, step));
        squares += optim_squares(d, golden_items(&shape));
    }
    const double norm = golden_scalar(g, golden_name("outputs/clip/%s/norm", name));
    CU_ASSERT_DOUBLE_EQUAL(sqrt(squares), norm, tolerance * norm);
    for (int k = 0; k < n_params; k++) {
        H5Shape shape;
        real *d = golden_reals(&shape, g, golden_name("inputs/adamw/g%d_step%d", k, step));
        optim_scale(d, optim_clip(sqrt(squares), max_norm), golden_items(&shape));
        CU_ASSERT(parity_near(g, golden_name("outputs/clip/%s/g%d", name, k), d, golden_items(&shape), tolerance));
    }
}

static void clipping_agrees(void)
{
    H5File g;
    if (!golden_open(&g, "optim.h5")) return;
    char **names;
    int64_t n;
    CHECK_OK(h5_list(&names, &n, &g, "outputs/clip", &test_arena));
    CU_ASSERT(n > 1);
    for (int64_t i = 0; i < n; i++) check_clip(&g, names[i]);
    CHECK_OK(h5_close(&g));
}

static void moving_averages_agree(void)
{
    H5File g;
    if (!golden_open(&g, "optim.h5")) return;
    H5Shape steps;
    const double *momentum = golden_f64(&steps, &g, "inputs/ema/momentum");
    const int n_params = count_of(&g, "inputs/adamw/p");
    for (int k = 0; k < n_params; k++) {
        Slot s = make_slot(&g, k);
        for (int64_t t = 0; t < steps.dims[0]; t++)
            ema_step(s.p, golden_reals(NULL, &g, golden_name("inputs/adamw/g%d_step%lld", k, (long long)t)),
                     momentum[t], s.n);
        CU_ASSERT(parity_near(&g, golden_name("outputs/ema/p%d_after%lld", k, (long long)steps.dims[0]), s.p, s.n,
                              tolerance));
    }
    CHECK_OK(h5_close(&g));
}

/* ---- schedules ---- */

static void check_cosine(H5File *g, const char *name)
{
    H5Shape shape;
    const char *group = golden_name("outputs/schedule/%s", name);
    const double base = golden_number_of(g, group, "base_lr"), last = golden_number_of(g, group, "eta_min");
    const int64_t warmup = golden_int_of(g, group, "T_warmup"), total = golden_int_of(g, group, "T_max");
    const int64_t *t = golden_i64(&shape, g, golden_name("outputs/schedule/%s/step", name));
    double *got;
    CHECK_OK(arena_new(&got, &test_arena, shape.dims[0]));
    for (int64_t i = 0; i < shape.dims[0]; i++) got[i] = schedule_cosine(base, last, t[i], warmup, total);
    const char *lr = golden_name("outputs/schedule/%s/lr", name);
    CU_ASSERT(test_near_f64(lr, got, golden_want(g, lr, shape.dims[0]), shape.dims[0], schedule_tolerance));
}

static void cosine_schedules_agree(void)
{
    H5File g;
    if (!golden_open(&g, "optim.h5")) return;
    check_cosine(&g, "astroclip");
    check_cosine(&g, "specformer");
    check_cosine(&g, "paper_eta");
    H5Shape shape; /* per epoch, without warmup, down to 1e-6 */
    const double *want = golden_f64(&shape, &g, "outputs/schedule/flow_cosine_epoch_lr");
    for (int64_t i = 0; i < shape.dims[0]; i++)
        CU_ASSERT_DOUBLE_EQUAL(schedule_cosine(want[0], 1e-6, i, 0, shape.dims[0]), want[i],
                               schedule_tolerance * want[0]);
    CHECK_OK(h5_close(&g));
}

/* The published settings, spec.md 4.9. */
static void dino_schedules_agree(void)
{
    H5File g;
    if (!golden_open(&g, "optim.h5")) return;
    enum { TOTAL = 250000, WARMUP = 40000 };
    const double lr = golden_number_of(&g, "outputs/schedule/astrodino", "lr_scaled");
    const struct {
        const char *name;
        DinoSchedule s;
    } cases[] = {{"lr", {0, lr, 1e-6, WARMUP, TOTAL, 0}},
                 {"last", {0, lr, 1e-6, WARMUP, TOTAL, 1250}},
                 {"wd", {0, 0.001, 0.01, 0, TOTAL, 0}},
                 {"mom", {0, 0.992, 1, 0, TOTAL, 0}},
                 {"temp", {0.04, 0.07, 0.07, 37500, 37500, 0}}};
    H5Shape shape;
    const int64_t *t = golden_i64(&shape, &g, "outputs/schedule/astrodino/step");
    const int64_t n = shape.dims[0];
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        double *got;
        CHECK_OK(arena_new(&got, &test_arena, n));
        for (int64_t i = 0; i < n; i++) got[i] = schedule_dino(&cases[k].s, t[i]);
        const char *name = golden_name("outputs/schedule/astrodino/%s", cases[k].name);
        CU_ASSERT(test_near_f64(name, got, golden_want(&g, name, n), n, schedule_tolerance));
    }
    CHECK_OK(h5_close(&g));
}

TEST_MAIN("optimisers", {"AdamW and Adam agree", adam_agrees}, {"clipping agrees", clipping_agrees},
          {"moving averages agree", moving_averages_agree}, {"cosine schedules agree", cosine_schedules_agree},
          {"AstroDINO's schedules agree", dino_schedules_agree})
