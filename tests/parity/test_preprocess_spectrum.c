/* test_preprocess_spectrum.c - spectrum preparation against golden/preprocess_spectrum.h5. */
#include <stdlib.h>

#include "model/prepare_spectrum.h"
#include "parity.h"

static const double tolerance_tokens = TOLERANCE(2e-5, 1e-12); /* golden README, of each spectrum's largest token */
static const double tolerance_moments = 1e-12;                 /* double in both builds */

static void check_spectra(H5File *g, const char *input, const char *output)
{
    H5Shape in, out;
    const float *flux = golden_f32(&in, g, input);
    const double *want = golden_f64(&out, g, output);
    const int64_t length = golden_int(g, "slice_section_length"), overlap = golden_int(g, "slice_overlap");
    const int64_t n_pixels = in.dims[1], n_tokens = out.dims[1], n = n_tokens * out.dims[2];
    CU_ASSERT_EQUAL_FATAL(prepare_spectrum_tokens(n_pixels, length, overlap), n_tokens);
    CU_ASSERT_EQUAL_FATAL(out.dims[0], in.dims[0]);
    CU_ASSERT_EQUAL_FATAL(out.dims[2], length + SPECTRUM_EXTRA);
    real *got;
    CHECK_OK(arena_new(&got, &test_arena, n));
    for (int64_t i = 0; i < in.dims[0]; i++) {
        CHECK_OK(prepare_spectrum(got, NULL, NULL, flux + i * n_pixels, n_pixels, length, overlap));
        CU_ASSERT(near_real(output, got, want + i * n, n, tolerance_tokens));
    }
}

static void tokens_agree(void)
{
    H5File g;
    if (!golden_open(&g, "preprocess_spectrum.h5")) return;
    check_spectra(&g, "inputs/spectrum", "outputs/tokens_f64");
    CHECK_OK(h5_close(&g));
}

static void short_spectra_agree(void)
{
    H5File g;
    if (!golden_open(&g, "preprocess_spectrum.h5")) return;
    char **names;
    int64_t n, found = 0;
    CHECK_OK(h5_list(&names, &n, &g, "inputs", &test_arena));
    for (int64_t i = 0; i < n; i++) {
        if (strncmp(names[i], "short_", 6) != 0) continue;
        check_spectra(&g, golden_name("inputs/%s", names[i]), golden_name("outputs/%s_tokens", names[i]));
        found++;
    }
    CU_ASSERT(found > 0);
    CHECK_OK(h5_close(&g));
}

static void moments_agree(void)
{
    H5File g;
    if (!golden_open(&g, "preprocess_spectrum.h5")) return;
    H5Shape in;
    const float *flux = golden_f32(&in, &g, "inputs/spectrum");
    const double *mean = golden_want(&g, "outputs/mean", in.dims[0]),
                 *std = golden_want(&g, "outputs/std_unbiased_unclipped", in.dims[0]);
    const int64_t length = golden_int(&g, "slice_section_length"), overlap = golden_int(&g, "slice_overlap");
    real *tokens;
    CHECK_OK(arena_new(&tokens, &test_arena,
                       prepare_spectrum_tokens(in.dims[1], length, overlap) * (length + SPECTRUM_EXTRA)));
    for (int64_t i = 0; i < in.dims[0]; i++) {
        double m, s;
        CHECK_OK(prepare_spectrum(tokens, &m, &s, flux + i * in.dims[1], in.dims[1], length, overlap));
        CU_ASSERT_DOUBLE_EQUAL(m, mean[i], tolerance_moments * fmax(fabs(mean[i]), std[i]));
        CU_ASSERT_DOUBLE_EQUAL(s, std[i], tolerance_moments * fmax(fabs(mean[i]), std[i]));
    }
    CHECK_OK(h5_close(&g));
}

TEST_MAIN("preprocess_spectrum", {"tokens agree", tokens_agree}, {"short spectra agree", short_spectra_agree},
          {"means and scatters agree", moments_agree})
