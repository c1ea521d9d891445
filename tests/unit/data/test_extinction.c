/* Galactic extinction: the law against published numbers, and what it does to spectra. */
#include "test_main.h"

#include <math.h>
#include <string.h>

#include "data/extinction.h"
#include "data/flags.h"

/* Fitzpatrick (1999), Table 3: A / E(B-V) at R_V = 3.1, printed with three digits. */
static void the_law_is_that_of_the_paper(void)
{
    const double table[][2] = {{26500, 0.265}, {12200, 0.829}, {6000, 2.688}, {5470, 3.055},
                               {4670, 3.806},  {4110, 4.315},  {2700, 6.265}, {2600, 6.591}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        CU_ASSERT(fabs(extinction_law(table[i][0]) - table[i][1]) <= 0.00051); /* its rounding, and a little */
}

/* Between the knots: scipy.interpolate.CubicSpline(bc_type='natural') through the same knots (scipy 1.17). */
static void the_spline_is_the_natural_one(void)
{
    const double expected[][2] = {{3600, 4.789601225437391},  {4000, 4.412086559210398}, {4400, 4.058700209797633},
                                  {5000, 3.4766530562990403}, {6500, 2.392093957881141}, {7000, 2.13347085074415},
                                  {8000, 1.7153437933900488}, {9000, 1.403032831078196}, {9824, 1.2050155352601593}};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        CU_ASSERT(fabs(extinction_law(expected[i][0]) / expected[i][1] - 1) < 1e-12);
}

/* A / E(B-V)_SFD of broad bands, from Schlafly & Finkbeiner's scale, as DESI lists them for DECam u g r i z Y, BASS g r
   and MzLS z with their effective wavelengths. A band has a width, and the law a curvature: 1 % apart. */
static void the_scale_is_that_of_the_surveys(void)
{
    const double bands[][2] = {{3881.6, 3.994}, {4830.8, 3.212}, {6409.0, 2.164}, {7787.5, 1.591}, {9142.7, 1.211},
                               {9854.5, 1.063}, {4772.1, 3.258}, {6383.6, 2.176}, {9185.1, 1.199}};
    for (size_t i = 0; i < sizeof bands / sizeof *bands; i++)
        CU_ASSERT(fabs(extinction_per_ebv(bands[i][0]) / bands[i][1] - 1) < 0.01);
    CU_ASSERT(fabs(extinction_per_ebv(1e4) - 1.029) < 1e-12);
}

static SpectrumBatch a_batch(int64_t n)
{
    SpectrumBatch batch;
    MUST(spectra_batch(&batch, n, &test_arena) == OK);
    for (int64_t k = 0; k < n * GRID_PIXELS; k++) batch.flux[k] = 2, batch.ivar[k] = k % 5 ? 3 : 0;
    return batch;
}

static void flux_and_ivar_change_together(void)
{
    SpectrumBatch b = a_batch(1);
    spectra_deredden(&b, 0, 0.1f);
    for (int64_t p = 0; p < GRID_PIXELS; p++) {
        double gain = pow(10, 0.4 * 0.1 * extinction_per_ebv(3600 + 0.8 * (double)p));
        CU_ASSERT_FATAL(fabs((double)b.flux[p] / (2 * gain) - 1) < 2e-7); /* float32, and 0.1 as one */
        double snr = (double)b.flux[p] * sqrt((double)b.ivar[p]);
        CU_ASSERT_FATAL(p % 5 ? fabs(snr / (2 * sqrt(3.0)) - 1) < 3e-7 : b.ivar[p] == 0);
    }
    CU_ASSERT_EQUAL(b.flag[0], 0);
    CU_ASSERT(b.flux[0] > b.flux[GRID_PIXELS - 1] && b.flux[GRID_PIXELS - 1] > 2);
}

static bool same(const SpectrumBatch *a, const SpectrumBatch *b)
{
    size_t bytes = (size_t)(a->n * GRID_PIXELS) * sizeof(float);
    return memcmp(a->flux, b->flux, bytes) == 0 && memcmp(a->ivar, b->ivar, bytes) == 0;
}

static void rows_without_ebv_stay_and_say_so(void)
{
    const float unknown[] = {NAN, INFINITY, -0.01f, -99, 1e30f};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        SpectrumBatch a = a_batch(1), b = a_batch(1);
        spectra_deredden(&b, 0, unknown[i]);
        CU_ASSERT_TRUE(same(&a, &b));
        CU_ASSERT_EQUAL(b.flag[0], SPECTRUM_NO_EBV);
        CU_ASSERT_FALSE(flags_fatal(MODALITY_SPECTRUM, b.flag[0], false));
    }
    SpectrumBatch a = a_batch(1), b = a_batch(1);
    spectra_deredden(&b, 0, 0); /* a number: there is no dust */
    CU_ASSERT(same(&a, &b) && b.flag[0] == 0);
    b.flag[0] = SPECTRUM_NO_FILE;
    spectra_deredden(&b, 0, NAN);
    CU_ASSERT_EQUAL(b.flag[0], SPECTRUM_NO_FILE); /* nothing was read that dust could be in */
}

static void none_leaves_every_bit(void)
{
    CatalogRow rows[3];
    const float ebv[] = {0.3f, NAN, 0.02f};
    for (int i = 0; i < 3; i++) catalog_new_row(&rows[i]), rows[i].ebv = ebv[i];
    SpectrumBatch a = a_batch(4), b = a_batch(4), one = a_batch(1);
    SpectraConfig config = {MERGE_LEGACY_2022, BAD_PIXELS_ZERO, 0.5, EXTINCTION_NONE};
    spectra_correct(&b, 1, &config, rows, 3);
    CU_ASSERT_TRUE(same(&a, &b));
    for (int i = 0; i < 4; i++) CU_ASSERT_EQUAL(b.flag[i], 0);

    config.extinction = EXTINCTION_SFD;
    spectra_correct(&b, 1, &config, rows, 3); /* each row of the batch by its own E(B-V) */
    spectra_deredden(&one, 0, 0.02f);
    size_t bytes = GRID_PIXELS * sizeof(float);
    CU_ASSERT_EQUAL(memcmp(a.flux, b.flux, bytes), 0);
    CU_ASSERT_EQUAL(memcmp(a.flux, b.flux + 2 * GRID_PIXELS, bytes), 0);
    CU_ASSERT(b.flag[1] == 0 && b.flag[2] == SPECTRUM_NO_EBV && b.flag[3] == 0);
    CU_ASSERT(b.flux[GRID_PIXELS] > 3 && memcmp(one.flux + 1, b.flux + 3 * GRID_PIXELS + 1, bytes - 4) == 0);
}

static void numbers_stay_finite(void)
{
    SpectrumBatch b = a_batch(1);
    b.flux[7] = 3e38f;
    spectra_deredden(&b, 0, 5);
    for (int64_t p = 0; p < GRID_PIXELS; p++) CU_ASSERT_FATAL(isfinite(b.flux[p]) && isfinite(b.ivar[p]));
    CU_ASSERT(b.flux[7] == 0 && b.ivar[7] == 0 && b.flag[0] == SPECTRUM_NONFINITE);
}

static void off_by_default(void)
{
    const ConfigSection *sections[] = {&spectra_section, NULL};
    const char *const overrides[] = {"spectra.extinction=sfd"};
    Config *config;
    if (!CHECK_OK(config_parse(&config, "run.yaml", "", 0, NULL, 0, sections, NULL, &test_arena))) return;
    CU_ASSERT_EQUAL(((const SpectraConfig *)config_get(config, &spectra_section))->extinction, EXTINCTION_NONE);
    if (!CHECK_OK(config_parse(&config, "run.yaml", "", 0, overrides, 1, sections, NULL, &test_arena))) return;
    CU_ASSERT_EQUAL(((const SpectraConfig *)config_get(config, &spectra_section))->extinction, EXTINCTION_SFD);
}

TEST_MAIN("extinction", {"the law is that of the paper", the_law_is_that_of_the_paper},
          {"the spline is the natural one", the_spline_is_the_natural_one},
          {"the scale is that of the surveys' bands", the_scale_is_that_of_the_surveys},
          {"flux grows, signal to noise stays", flux_and_ivar_change_together},
          {"rows without E(B-V) stay as they are and say so", rows_without_ebv_stay_and_say_so},
          {"none leaves every bit", none_leaves_every_bit}, {"numbers stay finite", numbers_stay_finite},
          {"off by default", off_by_default})
