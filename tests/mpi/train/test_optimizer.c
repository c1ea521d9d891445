/* The optimiser gives the bits of one rank for any number of ranks, sharded or not, hinted or not: each rank also runs
   everything by itself and compares. */
#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "golden.h"
#include "nn/vector.h"
#include "train/optimizer.h"

enum { PIECE = 96, STEPS = 3, MOST_REPLICAS = 8 };

/* Sizes that no piece divides; parameters within a piece, over several pieces, ending with one. */
static const struct {
    const char *name;
    int n_dims;
    int64_t dims[3];
} table[] = {{"stem.weight", 2, {7, 11}}, {"stem.bias", 1, {7}},        {"a.0.weight", 2, {31, 17}},
             {"a.0.bias", 1, {31}},       {"b.norm.weight", 1, {96}},   {"b.deep.weight", 3, {3, 5, 9}},
             {"c.1.weight", 2, {19, 23}}, {"c.1.norm.weight", 1, {19}}, {"c.1.bias", 1, {1}}};
enum { N_PARAMS = sizeof table / sizeof *table };

static const char *const no_decay[] = {"bias", "norm.weight"};

static Params make_params(const char *frozen)
{
    Params p;
    int64_t index;
    CHECK_OK(params_init(&p, N_PARAMS, &test_arena));
    for (int i = 0; i < N_PARAMS; i++)
        CHECK_OK(params_declare(&index, &p, "", table[i].name, table[i].n_dims, table[i].dims));
    CHECK_OK(params_allocate(&p));
    params_deterministic(&p, 3);
    if (frozen) params_freeze(&p, frozen);
    return p;
}

/* The gradient of a replica: of very different sizes, so that any other order of additions shows. */
static void fill_gradient(real *d, const Params *p, int64_t replica, int64_t step)
{
    for (int64_t i = 0; i < p->n_params; i++) {
        real *at = params_d_at(p, d, i);
        Rng g = rng_stream(11, p->param[i].name, replica, (uint32_t)step);
        for (int64_t k = 0; at && k < p->param[i].n; k++) at[k] = (real)(rng_normal(&g) * pow(10, 3 * rng_uniform(&g)));
    }
}

static OptimizerConfig config(int64_t n_replicas, bool sharded)
{
    return (OptimizerConfig){.adam = {0, 0, 0.9, 0.95, 1e-8},
                             .max_norm = 2,
                             .ema = 0.9,
                             .n_replicas = n_replicas,
                             .sharded = sharded,
                             .no_decay = {2, (const char **)no_decay},
                             .piece = PIECE};
}

typedef enum { NO_HINT, FEW_HINTS, MANY_HINTS } Hint;

static void collect_all(Optimizer *o, const Params *p, int64_t step, Hint hint)
{
    int64_t first, last;
    real *whole;
    const Mark mark = arena_mark(&test_arena);
    CHECK_OK(arena_new(&whole, &test_arena, p->n_d_reals));
    optimizer_replicas(&first, &last, o);
    for (int64_t r = first; r < last; r++) {
        real *d = optimizer_gradient(o, r);
        bool zero = true;
        for (int64_t i = 0; i < p->n_d_reals; i++) zero = zero && d[i] == 0;
        CU_ASSERT(zero);
        fill_gradient(whole, p, r, step);
        int64_t done = p->n_d_reals; /* as a backward pass: what a hint says is there, and no more */
        for (int64_t at = p->n_d_reals; hint != NO_HINT && at > 0; at -= hint == FEW_HINTS ? 700 : 37) {
            memcpy(d + at, whole + at, sizeof *d * (size_t)(done - at));
            optimizer_ready(o, done = at);
        }
        memcpy(d, whole, sizeof *d * (size_t)done);
        optimizer_collect(o, r);
    }
    arena_reset(&test_arena, mark);
}

static double train(Optimizer *o, const Params *p, int64_t from, int64_t to, Hint hint)
{
    StepReport report = {0};
    for (int64_t step = from; step < to; step++) {
        collect_all(o, p, step, hint);
        CHECK_OK(optimizer_step(&report, o, 1e-2, 0.1, NULL, NULL, step + 1));
        CU_ASSERT_PTR_NULL(report.not_finite);
    }
    return report.norm;
}

/* Weights and average after STEPS steps. */
typedef struct {
    double norm;
    real *weights, *average;
    int64_t n;
} Outcome;

static Outcome outcome_of(const Params *p, Optimizer *o, double norm)
{
    Outcome out = {norm, NULL, NULL, p->n_reals};
    CHECK_OK(arena_new(&out.weights, &test_arena, p->n_reals));
    CHECK_OK(arena_new(&out.average, &test_arena, p->n_reals));
    memcpy(out.weights, p->value, sizeof(real) * (size_t)p->n_reals);
    CHECK_OK(optimizer_swap_average(o));
    memcpy(out.average, p->value, sizeof(real) * (size_t)p->n_reals);
    CHECK_OK(optimizer_swap_average(o));
    CU_ASSERT(memcmp(out.weights, p->value, sizeof(real) * (size_t)p->n_reals) == 0); /* and back */
    return out;
}

static Outcome run(const OptimizerConfig *c, const char *frozen, const Par *par, Hint hint)
{
    Params p = make_params(frozen);
    Optimizer *o = NULL;
    CHECK_OK(optimizer_open(&o, &p, c, par, &test_arena));
    const double norm = train(o, &p, 0, STEPS, hint);
    const Outcome out = outcome_of(&p, o, norm);
    optimizer_close(o);
    return out;
}

static bool same(const Outcome *a, const Outcome *b)
{
    const size_t bytes = sizeof(real) * (size_t)a->n;
    return a->norm == b->norm && memcmp(a->weights, b->weights, bytes) == 0 &&
           memcmp(a->average, b->average, bytes) == 0;
}

static void check_everything(const char *frozen)
{
    for (int64_t replicas = test_par.n_ranks; replicas <= MOST_REPLICAS; replicas++) {
        const Mark mark = arena_mark(&test_arena);
        OptimizerConfig c = config(replicas, false);
        const Outcome want = run(&c, frozen, &par_alone, NO_HINT);
        CU_ASSERT(memcmp(want.weights, want.average, sizeof(real) * (size_t)want.n) != 0);
        for (int sharded = 0; sharded < 2; sharded++)
            for (Hint hint = NO_HINT; hint <= MANY_HINTS; hint++) {
                c.sharded = sharded;
                const Outcome got = run(&c, frozen, &test_par, hint);
                CU_ASSERT(same(&got, &want));
            }
        arena_reset(&test_arena, mark);
    }
}

static void ranks_and_shards_do_not_matter(void) { check_everything(NULL); }

/* That its steps are PyTorch's: tests/parity/test_moco.c. */
static void so_they_do_not_with_sgd(void)
{
    OptimizerConfig c = config(5, false);
    c.sgd = true;
    c.sgd_momentum = 0.75;
    const Outcome want = run(&c, "b.", &par_alone, NO_HINT);
    for (int sharded = 0; sharded < 2; sharded++) {
        c.sharded = sharded;
        const Outcome got = run(&c, "b.", &test_par, FEW_HINTS);
        CU_ASSERT(same(&got, &want));
    }
    OptimizerConfig still = c; /* without a sum of gradients another end */
    still.sgd_momentum = 0;
    const Outcome other = run(&still, "b.", &par_alone, NO_HINT);
    CU_ASSERT(!same(&other, &want));
    CU_ASSERT(optimizer_bytes(&c, 1000000, 2) <
              optimizer_bytes(&(OptimizerConfig){.ema = 0.9, .n_replicas = 5}, 1000000, 2));
}

static void frozen_parameters_are_not_touched(void)
{
    static const char *const frozen[] = {"stem.", "a.", "b.", "c."};
    for (int i = 0; i < 4; i++) check_everything(frozen[i]);
    const Params untouched = make_params("b.");
    const OptimizerConfig c = config(4, true);
    const Outcome got = run(&c, "b.", &test_par, MANY_HINTS);
    for (int i = 0; i < N_PARAMS; i++) {
        const Param *p = &untouched.param[i];
        const bool equal =
            memcmp(got.weights + p->offset, untouched.value + p->offset, sizeof(real) * (size_t)p->n) == 0;
        CU_ASSERT_EQUAL(equal, p->d_offset < 0);
    }
}

static void everything_frozen_is_no_step(void)
{
    Params p = make_params("");
    CU_ASSERT_EQUAL(p.n_d_reals, 0);
    Optimizer *o = NULL;
    const OptimizerConfig c = config(MOST_REPLICAS, true);
    CHECK_OK(optimizer_open(&o, &p, &c, &test_par, &test_arena));
    CU_ASSERT_EQUAL(train(o, &p, 0, 1, NO_HINT), 0);
    optimizer_close(o);
}

/* ---- against loops of our own ---- */

/* The value of a node: left + right, a missing right adds nothing. */
static real node_value(real *const *leaf, int64_t n, int64_t index, int level, int64_t at)
{
    if (level == 0) return leaf[index][at];
    const real left = node_value(leaf, n, 2 * index, level - 1, at);
    if ((2 * index + 1) << (level - 1) >= n) return left;
    return left + node_value(leaf, n, 2 * index + 1, level - 1, at);
}

static void a_step_is_tree_mean_and_adamw(void)
{
    for (int64_t replicas = test_par.n_ranks; replicas <= MOST_REPLICAS; replicas++) {
        Params p = make_params("a."), want = make_params("a.");
        real *leaf[MOST_REPLICAS], *m, *v;
        for (int64_t r = 0; r < replicas; r++) {
            CHECK_OK(arena_new(&leaf[r], &test_arena, p.n_d_reals));
            fill_gradient(leaf[r], &p, r, 0);
        }
        CHECK_OK(arena_new(&m, &test_arena, p.n_d_reals));
        CHECK_OK(arena_new(&v, &test_arena, p.n_d_reals));
        double lr_scale[N_PARAMS], decay_scale[N_PARAMS], squares = 0;
        for (int64_t i = 0; i < N_PARAMS; i++) {
            lr_scale[i] = 1 + 0.25 * (double)i;
            decay_scale[i] = 2 - 0.125 * (double)i;
            const bool keeps = strstr(p.param[i].name, "bias") || strstr(p.param[i].name, "norm");
            const AdamW adam = {1e-2 * lr_scale[i], keeps ? 0 : 0.1 * decay_scale[i], 0.9, 0.95, 1e-8};
            if (p.param[i].d_offset < 0) continue;
            for (int64_t k = 0; k < p.param[i].n; k++) {
                const int64_t at = p.param[i].d_offset + k;
                const real d = node_value(leaf, replicas, 0, 3, at) * (real)(1 / (double)replicas);
                squares += (double)d * (double)d;
                adamw_step(params_at(&want, i) + k, m + at, v + at, &d, 1, &adam, 1);
            }
        }
        OptimizerConfig c = config(replicas, true);
        c.max_norm = 0;
        Optimizer *o = NULL;
        StepReport report;
        CHECK_OK(optimizer_open(&o, &p, &c, &test_par, &test_arena));
        collect_all(o, &p, 0, FEW_HINTS);
        CHECK_OK(optimizer_step(&report, o, 1e-2, 0.1, lr_scale, decay_scale, 1));
        CU_ASSERT(memcmp(p.value, want.value, sizeof(real) * (size_t)p.n_reals) == 0);
        CU_ASSERT_DOUBLE_EQUAL(report.norm, sqrt(squares), 1e-12 * report.norm); /* another order of double sums */
        const Params start = make_params("a.");
        for (int64_t i = 0; i < N_PARAMS; i++)
            if (p.param[i].d_offset >= 0) ema_step(params_at(&start, i), params_at(&want, i), c.ema, p.param[i].n);
        CHECK_OK(optimizer_swap_average(o));
        CU_ASSERT(memcmp(p.value, start.value, sizeof(real) * (size_t)p.n_reals) == 0);
        optimizer_close(o);
    }
}

/* Modules of the table: each is clipped by the norm of its own gradients, whatever the others' are. */
static void modules_are_clipped_by_themselves(void)
{
    static const char *const modules[] = {"stem.", "a.", "", NULL};
    OptimizerConfig c = config(MOST_REPLICAS, true), alone = c;
    c.modules = modules;
    const Params start = make_params(NULL);
    Params p = make_params(NULL);
    Optimizer *o = NULL;
    StepReport report;
    CHECK_OK(optimizer_open(&o, &p, &c, &test_par, &test_arena));
    collect_all(o, &p, 0, FEW_HINTS);
    optimizer_momentum(o, 0.25);
    CHECK_OK(optimizer_step(&report, o, 1e-2, 0.1, NULL, NULL, 1));
    const Outcome got = outcome_of(&p, o, 0);
    double squares = 0;
    for (int m = 0; m < 3; m++) squares += report.module_norm[m] * report.module_norm[m];
    CU_ASSERT_DOUBLE_EQUAL(report.norm, sqrt(squares), 1e-12 * report.norm);
    for (int m = 0; m < 3; m++) { /* as if the others were frozen */
        Params own = make_params(NULL);
        for (int64_t i = 0; i < own.n_params; i++) {
            int first = 0;
            while (strncmp(own.param[i].name, modules[first], strlen(modules[first])) != 0) first++;
            if (first != m) params_freeze(&own, own.param[i].name);
        }
        Optimizer *single = NULL;
        StepReport its;
        CHECK_OK(optimizer_open(&single, &own, &alone, &test_par, &test_arena));
        collect_all(single, &own, 0, NO_HINT);
        CHECK_OK(optimizer_step(&its, single, 1e-2, 0.1, NULL, NULL, 1));
        CU_ASSERT_DOUBLE_EQUAL(its.norm, report.module_norm[m], 1e-12 * its.norm);
        for (int64_t i = 0; i < own.n_params; i++) {
            const Param *q = &own.param[i];
            if (q->d_offset < 0) continue;
            for (int64_t k = 0; k < q->n; k++) {
                const double now = (double)own.value[q->offset + k], mean = (double)got.average[q->offset + k];
                const double before = (double)params_at(&start, i)[k];
                CU_ASSERT_DOUBLE_EQUAL((double)got.weights[q->offset + k], now, 1e-7); /* another order in the norm */
                CU_ASSERT_DOUBLE_EQUAL(mean, 0.25 * before + 0.75 * now, 1e-6);
            }
        }
        optimizer_close(single);
    }
    optimizer_close(o);
}

/* ---- gradients that are no numbers ---- */

static void first_parameter_that_is_not_finite_is_named(void)
{
    for (int sharded = 0; sharded < 2; sharded++)
        for (int bad = 0; bad < N_PARAMS; bad++) {
            const Mark mark = arena_mark(&test_arena);
            Params p = make_params(NULL);
            const OptimizerConfig c = config(5, sharded);
            Optimizer *o = NULL;
            CHECK_OK(optimizer_open(&o, &p, &c, &test_par, &test_arena));
            train(o, &p, 0, 1, NO_HINT);
            const Outcome before = outcome_of(&p, o, 0);
            int64_t first, last;
            optimizer_replicas(&first, &last, o);
            for (int64_t r = first; r < last; r++) {
                real *d = optimizer_gradient(o, r);
                fill_gradient(d, &p, r, 1);
                if (r == 3) params_d_at(&p, d, bad)[p.param[bad].n - 1] = bad % 2 ? (real)NAN : -(real)INFINITY;
                if (r == 1) params_d_at(&p, d, N_PARAMS - 1)[0] = (real)NAN;
                optimizer_collect(o, r);
            }
            StepReport report;
            CHECK_OK(optimizer_step(&report, o, 1e-2, 0.1, NULL, NULL, 2));
            CU_ASSERT_FATAL(report.not_finite != NULL);
            CU_ASSERT_STRING_EQUAL(report.not_finite, table[bad].name);
            const Outcome after = outcome_of(&p, o, 0);
            CU_ASSERT(same(&before, &after));
            /* and the moments are as they were: the rest of the training gives the bits of an undisturbed one */
            const double norm = train(o, &p, 1, STEPS, NO_HINT);
            const Outcome got = outcome_of(&p, o, norm), want = run(&c, NULL, &par_alone, NO_HINT);
            CU_ASSERT(same(&got, &want));
            optimizer_close(o);
            arena_reset(&test_arena, mark);
        }
}

/* ---- files ---- */

/* One step and a file on all ranks, the rest on the first `few` of them. */
static void check_file(int few, bool sharded, bool then_sharded)
{
    const Mark mark = arena_mark(&test_arena);
    OptimizerConfig c = config(7, sharded);
    c.sgd = sharded && then_sharded;
    c.sgd_momentum = 0.75;
    const Outcome want = run(&c, "b.", &par_alone, NO_HINT);
    Params p = make_params("b.");
    Optimizer *o = NULL;
    H5File f = {0};
    char path[1100];
    snprintf(path, sizeof path, "%s/state-%d-%d-%d.h5", test_folder(), few, sharded, then_sharded);
    CHECK_OK(optimizer_open(&o, &p, &c, &test_par, &test_arena));
    train(o, &p, 0, 1, NO_HINT);
    CHECK_OK(h5_create(&f, path, &test_par));
    CHECK_OK(optimizer_save(&f, o));
    CHECK_OK(h5_close(&f));
    optimizer_close(o);
    par_barrier(&test_par);

    Par some;
    CHECK_OK(par_split(&some, &test_par, test_par.rank < few));
    if (test_par.rank < few) {
        Params again = make_params("b.");
        memcpy(again.value, p.value, sizeof(real) * (size_t)p.n_reals);
        c.sharded = then_sharded;
        CHECK_OK(optimizer_open(&o, &again, &c, &some, &test_arena));
        CHECK_OK(h5_open(&f, path, NULL));
        H5Shape shape;
        CHECK_OK(h5_expect(&shape, &f, "moment1/c.1.weight", (int64_t[]){19, 23}, 2));
        CU_ASSERT(!h5_has(&f, "moment2/b.norm.weight"));
        CHECK_OK(optimizer_load(&f, o));
        CHECK_OK(h5_close(&f));
        const double norm = train(o, &again, 1, STEPS, MANY_HINTS);
        const Outcome got = outcome_of(&again, o, norm);
        CU_ASSERT(same(&got, &want));
        optimizer_close(o);
    }
    par_release(&some);
    arena_reset(&test_arena, mark);
}

static void another_number_of_ranks_goes_on(void)
{
    for (int few = 1; few <= test_par.n_ranks; few++)
        for (int how = 0; how < 4; how++) check_file(few, how & 1, how & 2);
}

static void what_a_file_lacks_is_named(void)
{
    Params p = make_params(NULL), less = make_params("b.");
    const OptimizerConfig c = config(4, true);
    Optimizer *o = NULL;
    H5File f = {0};
    char path[1100];
    snprintf(path, sizeof path, "%s/less.h5", test_folder());
    CHECK_OK(optimizer_open(&o, &less, &c, &test_par, &test_arena));
    CHECK_OK(h5_create(&f, path, &test_par));
    CHECK_OK(optimizer_save(&f, o));
    CHECK_OK(h5_close(&f));
    optimizer_close(o);
    par_barrier(&test_par);
    CHECK_OK(optimizer_open(&o, &p, &c, &test_par, &test_arena));
    CHECK_OK(h5_open(&f, path, NULL));
    const Status st = optimizer_load(&f, o);
    CU_ASSERT(strstr(fail_record()->text, "moment1/b.norm.weight") ||
              strstr(fail_record()->text, "moment1/b.deep.weight"));
    CHECK_FAILS(st, E_INPUT);
    CHECK_OK(h5_close(&f));
    optimizer_close(o);
}

/* ---- memory, mistakes, ends ---- */

static void bytes_are_what_is_taken(void)
{
    const int64_t pieces[] = {PIECE, 0};
    for (int64_t replicas = test_par.n_ranks; replicas <= 2 * MOST_REPLICAS; replicas++)
        for (int how = 0; how < 8; how++) {
            const Mark mark = arena_mark(&test_arena);
            Params p = make_params(how & 4 ? "a." : NULL);
            OptimizerConfig c = config(replicas, how & 1);
            c.ema = how & 2 ? 0.5 : 0;
            c.piece = pieces[replicas % 2];
            Optimizer *o = NULL;
            const size_t before = test_arena.used;
            CHECK_OK(optimizer_open(&o, &p, &c, &test_par, &test_arena));
            int64_t taken = (int64_t)(test_arena.used - before);
            par_max_i64(&test_par, &taken, 1);
            CU_ASSERT_EQUAL(taken, optimizer_bytes(&c, p.n_d_reals, test_par.n_ranks));
            optimizer_close(o);
            arena_reset(&test_arena, mark);
        }
}

/* A large table on many ranks: one shard of the moments each, few gradients. */
static void sharding_saves_memory(void)
{
    const int64_t n = 300000000; /* ViT-L */
    OptimizerConfig c = {.n_replicas = 8, .sharded = true};
    const int64_t shards = optimizer_bytes(&c, n, 8);
    c.sharded = false;
    const int64_t whole = optimizer_bytes(&c, n, 8);
    CU_ASSERT(whole >= (1 + 2) * n * 4);
    CU_ASSERT(shards < (1 + 2.0 / 8) * (double)n * 4 * 1.05); /* a few pieces on their way */
}

static void more_ranks_than_replicas_is_a_mistake(void)
{
    if (test_par.n_ranks == 1) return;
    Params p = make_params(NULL);
    const OptimizerConfig c = config(test_par.n_ranks - 1, false);
    Optimizer *o = NULL;
    CHECK_FAILS(optimizer_open(&o, &p, &c, &test_par, &test_arena), E_CONFIG);
    optimizer_close(o);
}

/* One rank failed before its last replica, the others sent already: nothing waits for ever, nothing is written later. */
static void a_step_that_failed_can_be_left(void)
{
    for (int failed = 0; failed <= test_par.n_ranks; failed++) {
        const Mark mark = arena_mark(&test_arena);
        Params p = make_params(NULL);
        const OptimizerConfig c = config(6, true);
        Optimizer *o = NULL;
        CHECK_OK(optimizer_open(&o, &p, &c, &test_par, &test_arena));
        if (test_par.rank != failed) collect_all(o, &p, 0, MANY_HINTS);
        optimizer_close(o);
        arena_reset(&test_arena, mark);
    }
}

/* ---- PyTorch's numbers ---- */

/* All replicas have the golden gradient: four of them make a mean without rounding. */
static void steps_agree_with_the_golden_file(void)
{
    H5File g;
    if (!golden_open(&g, "optim.h5")) return;
    H5Shape steps;
    const double *lr = golden_f64(&steps, &g, "inputs/adamw/lr");
    const double *wd = golden_f64(NULL, &g, "inputs/adamw/wd_per_param");
    Params p;
    Optimizer *o = NULL;
    int64_t index, first, last;
    CHECK_OK(params_init(&p, 3, &test_arena));
    for (int k = 0; k < 3; k++) {
        H5Shape s;
        CHECK_OK(h5_shape(&s, &g, golden_name("inputs/adamw/p%d", k)));
        CHECK_OK(params_declare(&index, &p, "", golden_name("p%d", k), s.n_dims, s.dims));
    }
    CHECK_OK(params_allocate(&p));
    for (int k = 0; k < 3; k++)
        memcpy(params_at(&p, k), golden_f32(NULL, &g, golden_name("inputs/adamw/p%d", k)),
               sizeof(real) * (size_t)p.param[k].n);
    const OptimizerConfig c = {.adam = {0, 0, 0.9, 0.999, golden_number(&g, "adamw_eps")},
                               .n_replicas = 4,
                               .sharded = true,
                               .piece = 16};
    CHECK_OK(optimizer_open(&o, &p, &c, &test_par, &test_arena));
    const double *norm = golden_f64(NULL, &g, "outputs/clip/norm_per_step");
    optimizer_replicas(&first, &last, o);
    for (int64_t t = 0; t < steps.dims[0]; t++) {
        for (int64_t r = first; r < last; r++) {
            real *d = optimizer_gradient(o, r);
            for (int k = 0; k < 3; k++)
                memcpy(params_d_at(&p, d, k),
                       golden_f32(NULL, &g, golden_name("inputs/adamw/g%d_step%lld", k, (long long)t)),
                       sizeof(real) * (size_t)p.param[k].n);
            optimizer_collect(o, r);
        }
        StepReport report;
        CHECK_OK(optimizer_step(&report, o, lr[t], 1, NULL, wd, t + 1));
        CU_ASSERT_DOUBLE_EQUAL(report.norm, norm[t], 1e-6 * norm[t]); /* golden README */
        for (int k = 0; k < 3; k++) {
            const char *name = golden_name("outputs/adamw/b2_0.999/p%d_step%lld", k, (long long)t);
            const double *want = golden_want(&g, name, p.param[k].n);
            CU_ASSERT(test_near_f32(name, params_at(&p, k), want, p.param[k].n, 1e-6));
        }
    }
    optimizer_close(o);
    CHECK_OK(h5_close(&g));
}

TEST_MAIN("optimizer", {"ranks, shards and hints do not matter", ranks_and_shards_do_not_matter},
          {"so they do not with SGD", so_they_do_not_with_sgd},
          {"frozen parameters are not touched", frozen_parameters_are_not_touched},
          {"everything frozen is no step", everything_frozen_is_no_step},
          {"a step is the tree's mean and AdamW", a_step_is_tree_mean_and_adamw},
          {"modules are clipped by themselves", modules_are_clipped_by_themselves},
          {"the first parameter that is not finite is named, and nothing changes",
           first_parameter_that_is_not_finite_is_named},
          {"another number of ranks goes on from the file", another_number_of_ranks_goes_on},
          {"what a file lacks is named", what_a_file_lacks_is_named},
          {"optimizer_bytes is what is taken", bytes_are_what_is_taken},
          {"sharding saves memory", sharding_saves_memory},
          {"more ranks than replicas is a mistake", more_ranks_than_replicas_is_a_mistake},
          {"a step that failed can be left", a_step_that_failed_can_be_left},
          {"steps agree with the golden file", steps_agree_with_the_golden_file})
