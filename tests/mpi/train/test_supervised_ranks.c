/* test_supervised_ranks.c - supervised networks on several ranks: losses and gradients of replicas are those of one rank
   alone, labels that are not there do not count, predictions are in units of the properties and the same everywhere. */
#include "small_pairs.h"
#include "train/supervised.h"

enum { PAIRS = 24, REPLICAS = 4, BATCH = 3, N_OUT = 2 };

static const Label labels[N_OUT] = {LABEL_Z, LABEL_LOGMSTAR};

typedef struct {
    Dataset dataset;
    Targets targets;
    Sample *sample;
    int64_t n;
    Supervised *network;
    Objective objective;
} Fixture;

/* Labels that are not there: every third of the second property. */
static void open_fixture(Fixture *f, const char *network)
{
    char path[H5_PATH];
    Modality m = MODALITY_IMAGE;
    snprintf(path, sizeof path, "%s/dataset.h5", test_folder());
    small_dataset(path, PAIRS, &test_par);
    *f = (Fixture){.targets = {.n_out = N_OUT, .label = labels}};
    CHECK_OK(gemm_choose("auto", 1));
    CU_ASSERT_FATAL(supervised_modality(&m, network));
    CHECK_OK(dataset_open(&f->dataset, path, &test_arena));
    Targets *t = &f->targets;
    CHECK_OK(dataset_index(&t->entry, &f->dataset, m, &test_arena));
    CHECK_OK(arena_new(&t->y, &test_arena, t->entry.n * N_OUT));
    CHECK_OK(arena_new(&t->mean, &test_arena, N_OUT));
    CHECK_OK(arena_new(&t->std, &test_arena, N_OUT));
    for (int64_t i = 0; i < t->entry.n * N_OUT; i++) t->y[i] = i % 6 == 1 ? NAN : (float)sin((double)i);
    t->mean[0] = 5;
    t->mean[1] = 10;
    t->std[0] = 0.5;
    t->std[1] = NAN; /* of a property without labels */
    CHECK_OK(targets_samples(&f->sample, &f->n, t, &f->dataset, m, SPLIT_TRAIN, &test_arena));
    CU_ASSERT_FATAL(f->n >= REPLICAS * BATCH);
    const SupervisedConfig c = {network, 3, 32};
    CHECK_OK(supervised_open(&f->network, &c, &f->dataset, t, f->sample, f->n, 4, &test_arena));
    supervised_objective(&f->objective, f->network);
}

static void check_ranks(const char *network)
{
    Fixture f;
    Optimizer mine, all;
    double loss[SMALL_REPLICAS], all_loss[SMALL_REPLICAS];
    open_fixture(&f, network);
    Params *p = supervised_params(f.network);
    small_step(loss, &mine, &f.objective, p, f.sample, REPLICAS, BATCH, 2, &test_par);
    small_step(all_loss, &all, &f.objective, p, f.sample, REPLICAS, BATCH, 2, &par_alone);
    for (int64_t k = 0; k < mine.n; k++) {
        CU_ASSERT(isfinite(loss[k]) && loss[k] > 0);
        CU_ASSERT_EQUAL(loss[k], all_loss[mine.first + k]);
        CU_ASSERT_EQUAL(memcmp(mine.gradient[k], all.gradient[mine.first + k], sizeof(real) * (size_t)p->n_d_reals), 0);
    }
    CHECK_OK(dataset_close(&f.dataset));
}

static void ranks_do_not_matter(void)
{
    check_ranks("resnet18");
    check_ranks("conv_att");
}

/* A step against the gradient of a replica makes its loss smaller: conv_att, whose loss has nothing random. */
static void gradients_point_uphill(void)
{
    Fixture f;
    Optimizer o;
    double before, after;
    open_fixture(&f, "conv_att");
    Params *p = supervised_params(f.network);
    small_step(&before, &o, &f.objective, p, f.sample, 1, BATCH, 0, &par_alone);
    for (int64_t i = 0; i < p->n_params; i++)
        for (int64_t k = 0; k < p->param[i].n; k++)
            params_at(p, i)[k] -= (real)1e-3 * params_d_at(p, o.gradient[0], i)[k];
    CHECK_OK(f.objective.validate(&after, f.objective.self, f.sample, BATCH, 0, &test_arena));
    CU_ASSERT(after < before);
    CHECK_OK(dataset_close(&f.dataset));
}

static void predictions_are_the_same_everywhere(void)
{
    static const char *const network[] = {"resnet18", "conv_att"};
    for (int i = 0; i < 2; i++) {
        Fixture f;
        float value[N_OUT], again[N_OUT];
        open_fixture(&f, network[i]);
        CHECK_OK(supervised_predict(value, f.network, 5, &test_arena));
        double of_all[1] = {(double)value[0]};
        par_max_f64(&test_par, of_all, 1);
        CU_ASSERT_EQUAL((double)value[0], of_all[0]);
        CU_ASSERT(isnan(value[1]));
        CHECK_OK(f.objective.refresh(f.objective.self));
        CHECK_OK(supervised_predict(again, f.network, 5, &test_arena));
        CU_ASSERT_EQUAL(value[0], again[0]);
        CHECK_OK(dataset_close(&f.dataset));
    }
    Supervised *none;
    CHECK_FAILS(supervised_open(&none, &(SupervisedConfig){"resnet19", 3, 32}, NULL, NULL, NULL, 0, 4, &test_arena),
                E_CONFIG);
}

TEST_MAIN("supervised", {"the number of ranks does not matter", ranks_do_not_matter},
          {"gradients point uphill", gradients_point_uphill},
          {"predictions are the same everywhere", predictions_are_the_same_everywhere})
