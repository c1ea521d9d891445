/* test_trainer.c - the loop with a small objective of its own: same bits on any ranks, after failures and resumes, best
   weights kept, NaN named. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/rng.h"
#include "small_training.h"
#include "test_main.h"
#include "train/trainer.h"

enum { N_WEIGHTS = 700, N_SAMPLES = 40, REPLICAS = 4, BATCH = 3, STEPS = 24, NEVER = 1000 };

/* Weights move towards noisy numbers: a quadratic bowl whose bottom depends on the sample. */
typedef struct {
    Params params;
    int64_t w, b;
    int64_t fail_at, nan_at; /* steps */
    double memory, next;     /* of the steps before; with this one */
    const Par *par;
} Toy;

static double target_of(int64_t targetid, int64_t i) { return sin(0.1 * (double)(i + 3 * targetid)); }

static double replica_loss(real *d, const Toy *t, const Sample *s, int64_t n, double noise)
{
    const real *w = params_at(&t->params, t->w), *b = params_at(&t->params, t->b);
    real *d_w = d ? params_d_at(&t->params, d, t->w) : NULL, *d_b = d ? params_d_at(&t->params, d, t->b) : NULL;
    double loss = 0;
    for (int64_t k = 0; k < n; k++)
        for (int64_t i = 0; i < N_WEIGHTS; i++) {
            const double off = (double)w[i] + (double)b[i % 3] - target_of(s[k].targetid, i) - noise;
            loss += off * off / (double)(n * N_WEIGHTS);
            if (d) {
                d_w[i] += (real)(2 * off / (double)n);
                d_b[i % 3] += (real)(2 * off / (double)n);
            }
        }
    return loss;
}

static Status toy_step(double *loss, void *self, const StepBatch *b)
{
    Toy *t = self;
    if (b->step == t->fail_at && t->par->rank == t->par->n_ranks - 1) return FAIL(E_INPUT, "a reader failed");
    for (int64_t k = 0; k < b->n_mine; k++) {
        Rng rng = rng_stream(b->seed, "toy", b->first + k, (uint32_t)b->step);
        real *d = optimizer_gradient(b->optimizer, b->first + k);
        loss[k] = replica_loss(d, t, b->sample + k * b->batch, b->batch, 0.1 * rng_normal(&rng) + t->memory);
        b->terms[2 * k] = (double)(b->first + k);
        b->terms[2 * k + 1] = t->memory;
        if (b->step == t->nan_at && b->first + k == 2) params_d_at(&t->params, d, t->b)[1] = NAN;
        optimizer_collect(b->optimizer, b->first + k);
    }
    t->next = 0.5 * t->memory + 1e-3 * (double)b->step;
    return OK;
}

static void toy_accept(void *self) { ((Toy *)self)->memory = ((Toy *)self)->next; }

/* As the recipe's, but that each step has other rates, and the biases learn slower. */
static void toy_rates(StepRates *out, const void *self, int64_t step)
{
    static const double lr_scale[] = {1, 0.5}, decay_scale[] = {1, 0};
    (void)self;
    *out = (StepRates){0.05 / (1 + 0.1 * (double)step), 0.01, 0.8 + 0.005 * (double)step, lr_scale, decay_scale};
}

static Status toy_validate(double *loss, void *self, const Sample *s, int64_t n, uint64_t seed, Arena *a)
{
    (void)seed;
    (void)a;
    *loss = replica_loss(NULL, self, s, n, 0);
    return OK;
}

static void make_toy(Toy *t, const Par *par)
{
    const int64_t wide[] = {N_WEIGHTS}, three[] = {3};
    *t = (Toy){.fail_at = NEVER, .nan_at = NEVER, .par = par};
    CHECK_OK(params_init(&t->params, 2, &test_arena));
    CHECK_OK(params_declare(&t->w, &t->params, "toy.", "weight", 1, wide));
    CHECK_OK(params_declare(&t->b, &t->params, "toy.", "bias", 1, three));
    CHECK_OK(params_allocate(&t->params));
    for (int64_t i = 0; i < N_WEIGHTS; i++) params_at(&t->params, t->w)[i] = (real)(1 + 0.001 * (double)i);
}

static TrainRecipe recipe_of(void)
{
    return (TrainRecipe){.batch = BATCH,
                         .steps = STEPS,
                         .lr = 0.05,
                         .warmup_steps = 3,
                         .beta1 = 0.9,
                         .beta2 = 0.99,
                         .eps = 1e-8,
                         .weight_decay = 0.01,
                         .clip = 50,
                         .ema = 0.8,
                         .validate_every = 5,
                         .val_batches = 4,
                         .keep = KEEP_BEST};
}

static Status train(TrainReport *report, Toy *t, const TrainRecipe *r, const char *folder, bool sharded, const Par *par)
{
    static Sample sample[2 * N_SAMPLES];
    const TrainConfig c = {.replicas = REPLICAS,
                           .sharded = sharded,
                           .shuffle_block = 4,
                           .shuffle_window = 16,
                           .save_minutes = 1e6,
                           .save_steps = 4};
    static const char *const terms[] = {"replica", "memory", NULL};
    const Objective o = {.name = "toy",
                         .needs = SAMPLES_SPECTRA,
                         .self = t,
                         .step = toy_step,
                         .validate = toy_validate,
                         .terms = terms,
                         .rates = r->lr > 0 ? toy_rates : NULL,
                         .memory = &t->memory,
                         .n_memory = 1,
                         .accept = toy_accept};
    for (int64_t i = 0; i < 2 * N_SAMPLES; i++) sample[i] = (Sample){i, -1, 1000 + 7 * i};
    Trainer trainer = {.stage = "toy",
                       .folder = folder,
                       .config = &c,
                       .recipe = r,
                       .objective = &o,
                       .params = &t->params,
                       .train = sample,
                       .n_train = N_SAMPLES,
                       .val = sample + N_SAMPLES,
                       .n_val = N_SAMPLES,
                       .seed = 9,
                       .envelope = training_envelope("toy")};
    return trainer_run(report, &trainer, par, &test_arena);
}

/* What one rank alone makes of it, each rank in a folder of its own. */
static void undisturbed(Toy *t, TrainReport *report, const TrainRecipe *r)
{
    char name[32];
    snprintf(name, sizeof name, "alone-%d-%d", test_par.rank, (int)getpid());
    make_toy(t, &par_alone);
    CHECK_OK(train(report, t, r, folder_of(name, &par_alone), false, &par_alone));
}

static bool same_weights(const Toy *a, const Toy *b)
{
    return memcmp(a->params.value, b->params.value, sizeof(real) * (size_t)a->params.n_reals) == 0;
}

static void ranks_and_shards_do_not_matter(void)
{
    const TrainRecipe r = recipe_of();
    Toy alone, t;
    TrainReport want, got;
    undisturbed(&alone, &want, &r);
    for (int sharded = 0; sharded < 2; sharded++) {
        make_toy(&t, &test_par);
        CHECK_OK(train(&got, &t, &r, folder_of(sharded ? "sharded" : "whole", &test_par), sharded, &test_par));
        CU_ASSERT(same_weights(&t, &alone));
        CU_ASSERT_EQUAL(got.best_step, want.best_step);
        CU_ASSERT(got.best_loss == want.best_loss && got.loss == want.loss);
    }
    CU_ASSERT(want.best_loss < 0.8 * want.first_loss);
}

/* Columns up to the validation loss; the last one is time. */
static void strip_time(char *out, size_t size, const char *folder)
{
    char path[600], line[512];
    snprintf(path, sizeof path, "%s/metrics.csv", folder);
    FILE *f = fopen(path, "r");
    out[0] = '\0';
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    while (fgets(line, sizeof line, f)) {
        char *last = strrchr(line, ',');
        if (last) *last = '\0';
        snprintf(out + strlen(out), size - strlen(out), "%s\n", line);
    }
    fclose(f);
}

static void a_training_goes_on_after_failures_to_the_same_bits(void)
{
    static char before[65536], after[65536];
    const TrainRecipe r = recipe_of();
    Toy alone, t;
    TrainReport want, got;
    undisturbed(&alone, &want, &r);
    const char *folder = folder_of("resumed", &test_par), *whole = folder_of("smooth", &test_par);
    static const int64_t fails[] = {3, 6, 11, 21};
    for (int i = 0; i < 4; i++) {
        make_toy(&t, &test_par);
        t.fail_at = fails[i];
        CHECK_FAILS(train(&got, &t, &r, folder, i % 2 == 0, &test_par), E_INPUT);
    }
    make_toy(&t, &test_par);
    CHECK_OK(train(&got, &t, &r, folder, true, &test_par));
    CU_ASSERT_EQUAL(got.resumed, 20);
    CU_ASSERT(same_weights(&t, &alone));
    make_toy(&t, &test_par);
    CHECK_OK(train(&got, &t, &r, whole, true, &test_par));
    par_barrier(&test_par);
    strip_time(before, sizeof before, whole);
    strip_time(after, sizeof after, folder);
    CU_ASSERT_STRING_EQUAL(before, after);
    CU_ASSERT(strstr(after, "step,epoch,loss,grad_norm,lr,val_loss,replica,memory\n1,0,") == after);
    CU_ASSERT(strstr(after, ",1.5,0\n") != NULL); /* the mean over four replicas */
    CU_ASSERT(t.memory > 0);
}

static void a_gradient_that_is_no_number_is_named_and_the_state_before_it_safe(void)
{
    const TrainRecipe r = recipe_of();
    Toy alone, t;
    TrainReport want, got;
    undisturbed(&alone, &want, &r);
    const char *folder = folder_of("nan", &test_par);
    make_toy(&t, &test_par);
    t.nan_at = 9;
    const Status st = train(&got, &t, &r, folder, true, &test_par);
    CU_ASSERT_EQUAL(st, E_NUMERIC);
    CU_ASSERT(strstr(fail_record()->text, "step 10") != NULL);
    CU_ASSERT(strstr(fail_record()->text, "toy.bias") != NULL);
    fail_clear();
    make_toy(&t, &test_par);
    CHECK_OK(train(&got, &t, &r, folder, true, &test_par));
    CU_ASSERT_EQUAL(got.resumed, 9);
    CU_ASSERT(same_weights(&t, &alone));
}

static void training_ends_when_validation_does_not_get_better(void)
{
    TrainRecipe r = recipe_of();
    Toy t;
    TrainReport got;
    r.lr = 0; /* nothing gets better */
    r.weight_decay = 0;
    r.ema = 0;
    r.patience = 2;
    r.validate_every = 2;
    make_toy(&t, &test_par);
    for (int64_t i = 0; i < N_WEIGHTS; i++) params_at(&t.params, t.w)[i] = 3;
    CHECK_OK(train(&got, &t, &r, folder_of("patience", &test_par), true, &test_par));
    CU_ASSERT(got.early);
    CU_ASSERT_EQUAL(got.best_step, 2);
    CU_ASSERT_EQUAL(got.steps, 6);
}

TEST_MAIN("trainer", {"ranks and shards do not matter", ranks_and_shards_do_not_matter},
          {"a training goes on after failures, to the same bits", a_training_goes_on_after_failures_to_the_same_bits},
          {"a gradient that is no number is named, the state before it safe",
           a_gradient_that_is_no_number_is_named_and_the_state_before_it_safe},
          {"training ends when validation does not get better", training_ends_when_validation_does_not_get_better})
