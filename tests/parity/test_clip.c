/* test_clip.c - the contrastive loss against golden/clip_loss.h5, with every gemm provider: all batches and scales
   that the file has, rows shorter than eps among them. */
#include <stdlib.h>

#include "model/clip.h"
#include "parity.h"

static const double loss_tolerance = TOLERANCE(1e-5, 1e-12); /* golden README */
static const double gradient_tolerance = TOLERANCE(1e-4, 1e-12);
static const double loss_tolerance_f32 = 1e-5; /* where the reference itself is float */

static void check(H5File *g, const char *batch, const char *scale)
{
    H5Shape in;
    const real *image = golden_reals(&in, g, golden_name("inputs/%s/image_features", batch));
    const real *spectrum = golden_reals(NULL, g, golden_name("inputs/%s/spectrum_features", batch));
    const int64_t n = in.dims[0], dim = in.dims[1];
    const double want = golden_scalar(g, golden_name("outputs/%s/%s/loss", batch, scale));
    const double want_f32 = golden_scalar(g, golden_name("outputs/%s/%s/loss_f32", batch, scale));
    FOR_EACH_PROVIDER({
        real *d_image;
        real *d_spectrum;
        ClipTrace t;
        double loss = 0;
        CHECK_OK(arena_new(&d_image, &test_arena, n * dim));
        CHECK_OK(arena_new(&d_spectrum, &test_arena, n * dim));
        CHECK_OK(clip_forward(&loss, &t, image, spectrum, 0, n, n, dim, atof(scale + strlen("scale_")), &test_arena));
        CHECK_OK(clip_backward(d_image, d_spectrum, NULL, &t, &test_arena));
        CU_ASSERT_DOUBLE_EQUAL(loss, want, loss_tolerance * fabs(want));
        CU_ASSERT_DOUBLE_EQUAL(loss, want_f32, loss_tolerance_f32 * fabs(want));
        CU_ASSERT(parity_near(g, golden_name("outputs/%s/%s/logits_per_image", batch, scale), t.score_image, n * n,
                              loss_tolerance));
        CU_ASSERT(parity_near(g, golden_name("grads/%s/%s/image_features", batch, scale), d_image, n * dim,
                              gradient_tolerance));
        CU_ASSERT(parity_near(g, golden_name("grads/%s/%s/spectrum_features", batch, scale), d_spectrum, n * dim,
                              gradient_tolerance));
    })
}

static void loss_and_gradients_agree(void)
{
    H5File g;
    if (!golden_open(&g, "clip_loss.h5")) return;
    char **batches, **scales;
    int64_t n_batches, n_scales, found = 0;
    CHECK_OK(h5_list(&batches, &n_batches, &g, "outputs", &test_arena));
    for (int64_t b = 0; b < n_batches; b++) {
        CHECK_OK(h5_list(&scales, &n_scales, &g, golden_name("outputs/%s", batches[b]), &test_arena));
        for (int64_t s = 0; s < n_scales; s++, found++) check(&g, batches[b], scales[s]);
    }
    CU_ASSERT(found > 0);
    CHECK_OK(h5_close(&g));
}

TEST_MAIN("contrastive loss", {"loss, scores and gradients agree", loss_and_gradients_agree})
