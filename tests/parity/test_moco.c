/* test_moco.c - MoCo v2 against PyTorch itself, which moco.py asks: the network with bottlenecks and its gradients. Needs a
   Python with torch and h5py, named by ASTROCLIP_TORCH. */
#include <stdlib.h>

#include "model/resnet.h"
#include "parity.h"

static const double tolerance = TOLERANCE(2e-5, 1e-10); /* as of the supervised networks (golden README) */
static const double gradient_tolerance = TOLERANCE(2e-4, 1e-10);

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

TEST_MAIN("MoCo v2 and PyTorch", {"a network with bottlenecks predicts what it should", network_predicts},
          {"in training it and its gradients agree", network_trains})
