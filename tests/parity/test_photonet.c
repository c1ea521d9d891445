/* LAYER: probe
   Against golden/baselines.h5: magnitudes by one mean and one spread, and the network of three layers on them. Sizes come
   from the file. */
#include <math.h>
#include <string.h>

#include "golden.h"
#include "probe/photonet.h"

static const double tolerance = 1e-10; /* golden/README.md */

/* Weights of the golden file one layer after the other, as net.h keeps them. */
static double *golden_weights(H5File *g, const NetConfig *c)
{
    static const char *const part[] = {"0.weight", "0.bias", "3.weight", "3.bias", "6.weight", "6.bias"};
    double *p;
    int64_t at = 0;
    CHECK_OK(arena_new(&p, &test_arena, net_params(c)));
    for (int i = 0; i < 6; i++) {
        H5Shape s;
        const double *w = golden_f64(&s, g, golden_name("params/photometry_mlp/%s", part[i]));
        CU_ASSERT_FATAL(at + golden_items(&s) <= net_params(c));
        memcpy(p + at, w, sizeof *w * (size_t)golden_items(&s));
        at += golden_items(&s);
    }
    CU_ASSERT_EQUAL(at, net_params(c));
    return p;
}

static void photometry_agrees(void)
{
    H5File g;
    H5Shape in, result;
    if (!golden_open(&g, "baselines.h5")) return;
    const double *magnitude = golden_f64(&in, &g, "inputs/photometry_mag_grz");
    golden_f64(&result, &g, "outputs/photometry_mlp/out");
    const int64_t n = in.dims[0], n_out = result.dims[1], all = n * in.dims[1];
    const NetConfig c = photonet_shape(n_out);
    CU_ASSERT_EQUAL_FATAL(in.dims[1], c.n_in);
    double *x, *out, mean = 0, squares = 0;
    CHECK_OK(arena_new(&x, &test_arena, all));
    CHECK_OK(arena_new(&out, &test_arena, n * n_out));
    for (int64_t i = 0; i < all; i++) mean += magnitude[i] / (double)all;
    for (int64_t i = 0; i < all; i++) squares += (magnitude[i] - mean) * (magnitude[i] - mean);
    for (int64_t i = 0; i < all; i++) x[i] = (magnitude[i] - mean) / sqrt(squares / (double)(all - 1));
    CU_ASSERT(
        test_near_f64("normalised", x, golden_want(&g, "outputs/photometry_mlp/normalised", all), all, tolerance));
    CHECK_OK(net_forward(out, &c, golden_weights(&g, &c), x, n, &test_arena));
    CU_ASSERT(
        test_near_f64("out", out, golden_want(&g, "outputs/photometry_mlp/out", n * n_out), n * n_out, tolerance));
    CHECK_OK(h5_close(&g));
}

TEST_MAIN("photonet", {"the network on photometry agrees", photometry_agrees})
