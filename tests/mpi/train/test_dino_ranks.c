/* test_dino_ranks.c - self-distillation through the trainer: same bits on any ranks, for both ways to balance, with dropped
   branches and crops from a reader; what it carries from step to step survives failures. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nn/gemm.h"
#include "small_training.h"
#include "test_main.h"
#include "train/trainer.h"

enum { REPLICAS = 4, BATCH = 3, STEPS = 6, N_SAMPLES = 16, N_VAL = 4, NEVER = 1 << 30 };

typedef struct {
    Params params;
    Vit vit;
    Dino dino;
    int64_t fail_after; /* images read */
} Case;

/* A blob whose place and width are the object's. */
static Status read_blob(float *pixels, void *self, const Sample *s)
{
    Case *c = self;
    if (c->fail_after-- == 0) return FAIL(E_INPUT, "a reader failed");
    for (int64_t b = 0; b < CROPS_BANDS; b++)
        for (int64_t i = 0; i < CUTOUT_PIXELS * CUTOUT_PIXELS; i++) {
            const double y = (double)(i / CUTOUT_PIXELS - 70 - s->image), x = (double)(i % CUTOUT_PIXELS - 76);
            const double width = 6 + (double)s->image;
            *pixels++ = (float)(0.3 / (1 + (x * x + y * y) / (width * width)) * (double)(b + 1));
        }
    return OK;
}

static void make_case(Case *c)
{
    static const VitConfig vit = {36, 6, 16, 2, 2, 0};
    static const DinoHeadConfig head = {16, 20, 8, 24};
    memset(c, 0, sizeof *c);
    c->fail_after = NEVER;
    CHECK_OK(gemm_choose("auto", 1));
    CHECK_OK(params_init(&c->params, vit_n_params(&vit) + DINOHEAD_PARAMS, &test_arena));
    CHECK_OK(vit_declare(&c->vit, &vit, &c->params, "image_encoder.backbone.", &test_arena));
    CHECK_OK(dinohead_declare(&c->dino.head, &head, &c->params, "dino_head."));
    CHECK_OK(params_allocate(&c->params));
    vit_init(&c->vit, &c->params, 5);
    dinohead_init(&c->dino.head, &c->params, 5);
    c->dino.vit = &c->vit;
    c->dino.losses = (DinoLosses){0.1, 1, 1, 0.1};
}

static const DinoTraining training = {.crops = {60, 36, 18, 2, {0, 0.9}, 0.5},
                                      .masks = {6, 0.5, 0.1, 0.5},
                                      .centre_momentum = 0.9,
                                      .drop_path = 0.4,
                                      .lr = {0, 2e-3, 1e-6, 2, STEPS, 0},
                                      .weight_decay = {0, 0.04, 0.4, 0, STEPS, 0},
                                      .momentum = {0, 0.9, 1, 0, STEPS, 0},
                                      .temp = {0.04, 0.07, 0.07, 3, 3, 0},
                                      .frozen_steps = 2,
                                      .layer_decay = 0.9,
                                      .patch_embed = 0.2};

/* With `turned` everything is done the other way: moments split, activations computed again, images without a list. */
static Status train(TrainReport *report, Case *c, int balance, bool turned, const char *folder, const Par *par)
{
    static Sample sample[N_SAMPLES + N_VAL];
    const TrainConfig config = {.replicas = REPLICAS,
                                .sharded = turned,
                                .shuffle_block = 4,
                                .shuffle_window = 8,
                                .save_minutes = 1e6,
                                .save_steps = 2};
    const TrainRecipe recipe = {.batch = BATCH,
                                .steps = STEPS,
                                .beta1 = 0.9,
                                .beta2 = 0.999,
                                .eps = 1e-8,
                                .clip = 3,
                                .ema = 0.9,
                                .validate_every = 3,
                                .val_batches = 1,
                                .keep = KEEP_LAST};
    DinoTraining own = training;
    Objective o;
    own.balance = balance;
    own.recompute = turned;
    for (int64_t i = 0; i < N_SAMPLES + N_VAL; i++) sample[i] = (Sample){-1, i, i};
    CHECK_OK(dino_objective(&o, &own, &c->dino, &c->params, &(ImageReader){read_blob, c}, &test_arena));
    Trainer trainer = {.stage = "distill",
                       .folder = folder,
                       .config = &config,
                       .recipe = &recipe,
                       .objective = &o,
                       .params = &c->params,
                       .train = turned ? NULL : sample,
                       .n_train = N_SAMPLES,
                       .val = turned ? NULL : sample + N_SAMPLES,
                       .n_val = N_VAL,
                       .seed = 9,
                       .envelope = training_envelope("distill")};
    return trainer_run(report, &trainer, par, &test_arena);
}

static void undisturbed(Case *c, TrainReport *report, int balance)
{
    char name[48];
    snprintf(name, sizeof name, "alone-%d-%d-%d", balance, test_par.rank, (int)getpid());
    make_case(c);
    CHECK_OK(train(report, c, balance, false, folder_of(name, &par_alone), &par_alone));
}

static bool same_weights(const Case *a, const Case *b)
{
    return memcmp(a->params.value, b->params.value, sizeof(real) * (size_t)a->params.n_reals) == 0;
}

static void ranks_shards_and_lists_do_not_matter(void)
{
    for (int balance = 0; balance < 2; balance++) {
        Case alone, c;
        TrainReport want, got;
        undisturbed(&alone, &want, balance);
        CU_ASSERT(isfinite(want.loss) && want.loss > 0);
        for (int turn = 0; turn < 2; turn++) {
            char name[32];
            snprintf(name, sizeof name, "ranks-%d-%d", balance, turn);
            make_case(&c);
            CHECK_OK(train(&got, &c, balance, turn, folder_of(name, &test_par), &test_par));
            CU_ASSERT(same_weights(&c, &alone));
            CU_ASSERT(got.loss == want.loss && got.best_loss == want.best_loss);
        }
    }
}

static void a_training_goes_on_with_its_centres(void)
{
    Case alone, c;
    TrainReport want, got;
    undisturbed(&alone, &want, BALANCE_CENTERING);
    const char *folder = folder_of("resumed", &test_par);
    make_case(&c);
    if (test_par.rank == test_par.n_ranks - 1) { /* in the fifth step if it is this rank that validates, else later */
        int64_t first, last;
        par_share(&first, &last, &test_par, REPLICAS);
        c.fail_after = (4 * (last - first) + 1) * BATCH + 1;
    }
    CHECK_FAILS(train(&got, &c, BALANCE_CENTERING, true, folder, &test_par), E_INPUT);
    make_case(&c);
    CHECK_OK(train(&got, &c, BALANCE_CENTERING, false, folder, &test_par));
    CU_ASSERT_EQUAL(got.resumed, 4);
    CU_ASSERT(same_weights(&c, &alone));
}

/* metrics.csv: the four parts add up to the loss; entropy and rank are within what they can be. */
static void metrics_tell_the_parts_of_the_loss(void)
{
    Case c;
    TrainReport got;
    char path[600], line[512];
    const char *folder = folder_of("metrics", &test_par);
    make_case(&c);
    CHECK_OK(train(&got, &c, BALANCE_CENTERING, true, folder, &test_par));
    snprintf(path, sizeof path, "%s/metrics.csv", folder);
    par_barrier(&test_par);
    FILE *f = fopen(path, "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    CU_ASSERT_PTR_NOT_NULL(fgets(line, sizeof line, f));
    CU_ASSERT_PTR_NOT_NULL(strstr(line, "val_loss,dino_local,dino_global,koleo,ibot,entropy,feature_rank,seconds"));
    int rows = 0;
    while (fgets(line, sizeof line, f)) {
        double loss, part[6];
        char *at = line;
        for (int i = 0; i < 2; i++) at = strchr(at, ',') + 1;
        loss = strtod(at, NULL);
        for (int i = 0; i < 4; i++) at = strchr(at, ',') + 1;
        for (int i = 0; i < 6; i++, at = strchr(at, ',') + 1) part[i] = strtod(at, NULL);
        CU_ASSERT_DOUBLE_EQUAL(part[0] + part[1] + part[2] + part[3], loss, 1e-6 * fabs(loss));
        CU_ASSERT(part[4] > 0 && part[4] <= log(24));
        CU_ASSERT(part[5] >= 1 && part[5] <= 2 * BATCH - 1);
        rows++;
    }
    fclose(f);
    CU_ASSERT_EQUAL(rows, STEPS);
}

TEST_MAIN("self-distillation",
          {"ranks, shards, recomputing and lists do not matter", ranks_shards_and_lists_do_not_matter},
          {"a training goes on with its centres", a_training_goes_on_with_its_centres},
          {"metrics tell the parts of the loss", metrics_tell_the_parts_of_the_loss})
