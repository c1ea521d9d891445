/* Merging of arms: properties, and both modes on numbers worked out by hand. */
#include "test_main.h"

#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "data/flags.h"
#include "data/spectra.h"

/* Three arms with memory of their own. */
typedef struct {
    float flux[N_ARMS][2881], ivar[N_ARMS][2881];
    uint32_t mask[N_ARMS][2881];
    Arm arm[N_ARMS];
} Arms;

static Arms *new_arms(double flux, double ivar)
{
    Arms *s = NULL;
    MUST(arena_new(&s, &test_arena, 1) == OK);
    for (int b = 0; b < N_ARMS; b++) {
        for (int64_t k = 0; k < arm_pixels[b]; k++) s->flux[b][k] = (float)flux, s->ivar[b][k] = (float)ivar;
        s->arm[b] = (Arm){arm_pixels[b], arm_start[b], s->flux[b], s->ivar[b], s->mask[b]};
    }
    return s;
}

/* A continuum of 5 with noise, weights between 0.5 and 2. */
static Arms *noisy_arms(uint64_t seed)
{
    Arms *s = new_arms(0, 0);
    Rng r = rng_stream(seed, "test.arms", 0, 0);
    for (int b = 0; b < N_ARMS; b++)
        for (int64_t k = 0; k < arm_pixels[b]; k++) {
            s->flux[b][k] = (float)(5 + rng_normal(&r));
            s->ivar[b][k] = (float)(0.5 + 1.5 * rng_uniform(&r));
        }
    return s;
}

static const SpectraConfig preset = {MERGE_LEGACY_2022, BAD_PIXELS_ZERO, 0.5, EXTINCTION_NONE};

static SpectrumBatch merge(const Arms *s, SpectraConfig config)
{
    SpectrumBatch batch;
    CHECK_OK(spectra_batch(&batch, 1, &test_arena));
    spectra_merge(&batch, 0, s->arm, &config);
    return batch;
}

static bool same_pixels(const SpectrumBatch *a, const SpectrumBatch *b)
{
    return memcmp(a->flux, b->flux, GRID_PIXELS * sizeof(float)) == 0 &&
           memcmp(a->ivar, b->ivar, GRID_PIXELS * sizeof(float)) == 0;
}

static void clean_spectrum_has_no_flag(void)
{
    for (int mode = 0; mode < 2; mode++) {
        SpectrumBatch out = merge(new_arms(3, 4), (SpectraConfig){mode, BAD_PIXELS_ZERO, 0.5, EXTINCTION_NONE});
        CU_ASSERT_EQUAL(out.flag[0], 0);
        for (int64_t p = 0; p < GRID_PIXELS; p++) {
            bool overlap = (p >= 2700 && p < 2751) || (p >= 4900 && p < 5026); /* 51 and 126 pixels of two arms */
            if (out.flux[p] != 3 || out.ivar[p] != (overlap ? 8 : 4)) {
                CU_FAIL("flux 3 and summed weights expected");
                break;
            }
        }
        for (int b = 0; b < N_ARMS; b++) {
            CU_ASSERT_EQUAL(out.stats[STAT_FRAC_MASKED_B + b], 0);
            CU_ASSERT_EQUAL(out.stats[STAT_SNR_B + b], 6); /* 3 * sqrt(4): before merging */
        }
    }
}

static void masked_pixels_are_ignored(void)
{
    for (int mode = 0; mode < 2; mode++) {
        Arms *a = noisy_arms(1), *b = noisy_arms(1);
        Rng r = rng_stream(2, "test.mask", 0, 0);
        for (int arm = 0; arm < N_ARMS; arm++)
            for (int64_t k = 0; k < arm_pixels[arm]; k++)
                if (rng_uniform(&r) < 0.1) {
                    a->mask[arm][k] = b->mask[arm][k] = 1u << rng_below(&r, 32); /* any bit is bad, unknown ones too */
                    b->flux[arm][k] = 1e30f;
                    b->ivar[arm][k] = 1e30f;
                }
        const SpectraConfig config = {mode, BAD_PIXELS_ZERO, 0.5, EXTINCTION_NONE};
        SpectrumBatch x = merge(a, config), y = merge(b, config);
        CU_ASSERT_TRUE(same_pixels(&x, &y));
        CU_ASSERT_EQUAL(memcmp(x.stats, y.stats, N_SPECTRUM_STATS * sizeof(float)), 0);
        CU_ASSERT_EQUAL(x.flag[0], SPECTRUM_BAD_PIXELS);
        CU_ASSERT_EQUAL(y.flag[0], SPECTRUM_BAD_PIXELS);
    }
}

static void ivar_zero_equals_masked(void)
{
    for (int mode = 0; mode < 2; mode++)
        for (int bad = 0; bad < 2; bad++) {
            Arms *a = noisy_arms(3), *b = noisy_arms(3);
            for (int arm = 0; arm < N_ARMS; arm++)
                for (int64_t k = arm; k < arm_pixels[arm]; k += 7) a->mask[arm][k] = 4, b->ivar[arm][k] = 0;
            const SpectraConfig config = {mode, bad, 0.5, EXTINCTION_NONE};
            SpectrumBatch x = merge(a, config), y = merge(b, config);
            CU_ASSERT_TRUE(same_pixels(&x, &y));
        }
}

static void no_mask_equals_mask_of_zeros(void)
{
    Arms *a = noisy_arms(4), *b = noisy_arms(4);
    for (int arm = 0; arm < N_ARMS; arm++) b->arm[arm].mask = NULL;
    SpectrumBatch x = merge(a, preset), y = merge(b, preset);
    CU_ASSERT_TRUE(same_pixels(&x, &y));
}

/* One pixel of each kind, both modes and both policies. */
static void modes_give_the_numbers_worked_out_by_hand(void)
{
    Arms *s = new_arms(1, 1);
    s->flux[0][100] = 9, s->ivar[0][100] = 0;                                         /* alone, no weight           */
    s->flux[1][1000] = 8, s->mask[1][1000] = 1;                                       /* alone, masked (pixel 3700) */
    s->flux[0][2700] = 2, s->ivar[0][2700] = 3, s->flux[1][0] = 6, s->ivar[1][0] = 1; /* both: (6 + 6) / 4 = 3      */
    s->flux[0][2701] = 2, s->mask[0][2701] = 2, s->flux[1][1] = 6, s->ivar[1][1] = 5; /* one of two masked: 6       */
    s->flux[1][2200] = 7, s->ivar[1][2200] = 0, s->flux[2][0] = 5, s->ivar[2][0] = 0; /* both without weight (4900) */
    const struct {
        int64_t pixel;
        float ivar, flux[2][2]; /* [mode][policy] */
    } expected[] = {{100, 0, {{0, 0}, {0, 9}}},  {3700, 0, {{0, 0}, {0, 8}}}, {2700, 4, {{3, 3}, {3, 3}}},
                    {2701, 5, {{6, 6}, {6, 6}}}, {4900, 0, {{0, 0}, {0, 0}}}, {200, 1, {{1, 1}, {1, 1}}}};
    for (int mode = 0; mode < 2; mode++)
        for (int bad = 0; bad < 2; bad++) {
            SpectrumBatch out = merge(s, (SpectraConfig){mode, bad, 0.5, EXTINCTION_NONE});
            CU_ASSERT_EQUAL(out.flag[0], SPECTRUM_BAD_PIXELS);
            for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
                CU_ASSERT_EQUAL(out.flux[expected[i].pixel], expected[i].flux[mode][bad]);
                CU_ASSERT_EQUAL(out.ivar[expected[i].pixel], expected[i].ivar);
            }
        }
}

static void nonfinite_values_become_zero_and_are_flagged(void)
{
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int mode = 0; mode < 2; mode++)
        for (int v = 0; v < 3; v++) {
            Arms *s = new_arms(2, 1);
            s->flux[0][10] = bad[v];                       /* alone */
            s->ivar[0][20] = bad[v];                       /* alone: no weight, the flux may stay */
            s->flux[1][5] = bad[v];                        /* pixel 2705, where B is good */
            s->flux[2][500] = bad[v], s->mask[2][500] = 1; /* masked as well */
            SpectrumBatch out = merge(s, (SpectraConfig){mode, BAD_PIXELS_RELEASED, 0.5, EXTINCTION_NONE});
            CU_ASSERT_EQUAL(out.flag[0], SPECTRUM_BAD_PIXELS | SPECTRUM_NONFINITE);
            CU_ASSERT(out.flux[10] == 0 && out.ivar[10] == 0);
            CU_ASSERT(out.flux[20] == (mode == MERGE_DESISPEC_2024 ? 2 : 0) && out.ivar[20] == 0);
            CU_ASSERT(out.flux[2705] == 2 && out.ivar[2705] == 1);
            CU_ASSERT(out.flux[5400] == 0 && out.ivar[5400] == 0);
            for (int64_t p = 0; p < GRID_PIXELS; p++) CU_ASSERT_FATAL(isfinite(out.flux[p]) && isfinite(out.ivar[p]));
        }
}

static void extreme_values_stay_finite(void)
{
    Arms *s = new_arms(1, 3e38); /* two such weights do not fit into a float32 */
    s->ivar[0][7] = -1;
    SpectrumBatch out = merge(s, preset);
    CU_ASSERT_TRUE(out.flag[0] & SPECTRUM_NONFINITE);
    CU_ASSERT(out.flux[2720] == 0 && out.ivar[2720] == 0);
    CU_ASSERT(out.flux[0] == 1 && out.ivar[0] == 3e38f);
    CU_ASSERT(out.flux[7] == 0 && out.ivar[7] == 0);
    for (int64_t p = 0; p < GRID_PIXELS; p++) CU_ASSERT_FATAL(isfinite(out.flux[p]) && isfinite(out.ivar[p]));
}

static void lost_arms_are_flagged_and_two_are_too_many(void)
{
    for (int lost = 0; lost < N_ARMS; lost++) {
        Arms *absent = noisy_arms(5), *dead = noisy_arms(5);
        absent->arm[lost] = (Arm){0};
        for (int64_t k = 0; k < arm_pixels[lost]; k++) dead->ivar[lost][k] = 0;
        SpectrumBatch x = merge(absent, preset), y = merge(dead, preset);
        CU_ASSERT_EQUAL(x.flag[0], SPECTRUM_MISSING_ARM | SPECTRUM_BAD_PIXELS);
        CU_ASSERT_EQUAL(y.flag[0], x.flag[0]);
        CU_ASSERT_TRUE(same_pixels(&x, &y));
        CU_ASSERT_EQUAL(x.stats[STAT_SNR_B + lost], 0);
        CU_ASSERT(x.stats[STAT_FRAC_MASKED_B + lost] > 0.9f);

        absent->arm[(lost + 1) % N_ARMS] = (Arm){0};
        x = merge(absent, preset);
        CU_ASSERT_EQUAL(x.flag[0], SPECTRUM_MISSING_ARM | SPECTRUM_BAD_PIXELS | SPECTRUM_MASKED);
    }
}

static void an_absent_arm_leaves_no_overlap(void)
{
    Arms *s = new_arms(1, 1);
    s->arm[1] = (Arm){0};
    s->flux[0][2710] = 4, s->ivar[0][2710] = 0; /* R would cover it */
    SpectrumBatch out = merge(s, (SpectraConfig){MERGE_DESISPEC_2024, BAD_PIXELS_RELEASED, 0.5, EXTINCTION_NONE});
    CU_ASSERT_EQUAL(out.flux[2710], 4);
}

static void nothing_at_all_is_no_data(void)
{
    SpectrumBatch out = merge(new_arms(5, 0), (SpectraConfig){MERGE_LEGACY_2022, BAD_PIXELS_ZERO, 1, EXTINCTION_NONE});
    CU_ASSERT_EQUAL(out.flag[0], SPECTRUM_NO_DATA | SPECTRUM_MISSING_ARM | SPECTRUM_BAD_PIXELS);
    for (int b = 0; b < N_ARMS; b++) CU_ASSERT_EQUAL(out.stats[STAT_FRAC_MASKED_B + b], 1);
    Arms *none = new_arms(0, 0);
    memset(none->arm, 0, sizeof none->arm);
    out = merge(none, preset);
    CU_ASSERT_TRUE(out.flag[0] & SPECTRUM_NO_DATA);
}

static void the_limit_of_masked_pixels_is_exact(void)
{
    Arms *s = new_arms(1, 1);
    for (int64_t k = 0; k < 778; k++) s->mask[0][k] = 1; /* 778 of 7781 */
    CU_ASSERT_FALSE(merge(s, (SpectraConfig){0, 0, 778.0 / 7781, EXTINCTION_NONE}).flag[0] & SPECTRUM_MASKED);
    CU_ASSERT_TRUE(merge(s, (SpectraConfig){0, 0, 777.0 / 7781, EXTINCTION_NONE}).flag[0] & SPECTRUM_MASKED);
}

static void snr_is_the_median_of_good_pixels(void)
{
    Arms *s = new_arms(1, 0);
    const float flux[] = {5, -3, 100, 2, 8};
    for (int k = 0; k < 5; k++) s->flux[0][40 + 3 * k] = flux[k], s->ivar[0][40 + 3 * k] = 4;
    CU_ASSERT_EQUAL(merge(s, preset).stats[STAT_SNR_B], 10); /* middle of -6 4 10 16 200 */
    s->ivar[0][40] = 0;
    CU_ASSERT_EQUAL(merge(s, preset).stats[STAT_SNR_B], 10); /* mean of the middle two of -6 4 16 200 */
    CU_ASSERT_EQUAL(merge(s, preset).stats[STAT_SNR_R], 0);
}

static void median_agrees_with_counting(void)
{
    Arms *s = noisy_arms(6);
    for (int64_t k = 0; k < arm_pixels[2]; k++)
        s->ivar[2][k] = 1, s->flux[2][k] = floorf(s->flux[2][k] * 4); /* many ties */
    float snr = merge(s, preset).stats[STAT_SNR_Z];
    int64_t below = 0, above = 0;
    for (int64_t k = 0; k < arm_pixels[2]; k++) below += s->flux[2][k]<snr, above += s->flux[2][k]> snr;
    CU_ASSERT(2 * below < arm_pixels[2] && 2 * above < arm_pixels[2]);
}

static void shorter_arms_are_placed_by_their_start(void)
{
    Arms *s = new_arms(1, 1);
    s->arm[0] = (Arm){10, 50, s->flux[0], s->ivar[0], NULL};
    SpectrumBatch out = merge(s, preset);
    CU_ASSERT(out.ivar[49] == 0 && out.ivar[50] == 1 && out.ivar[59] == 1 && out.ivar[60] == 0);
    CU_ASSERT_EQUAL(out.stats[STAT_FRAC_MASKED_B],
                    (float)((2751.0 - 10 - 51) / 2751)); /* 51 pixels are shared with R */
}

/* A merged spectrum taken as it stands gives the row that merging gave. */
static void taking_a_merged_spectrum_gives_it_back(void)
{
    for (int bad = 0; bad < 2; bad++) {
        const SpectraConfig config = {MERGE_LEGACY_2022, bad, 0.5, EXTINCTION_NONE};
        Arms *s = noisy_arms(7);
        for (int arm = 0; arm < N_ARMS; arm++)
            for (int64_t k = arm; k < arm_pixels[arm]; k += 5) s->ivar[arm][k] = 0;
        s->arm[2] = (Arm){0};
        SpectrumBatch merged = merge(s, config), taken;
        CHECK_OK(spectra_batch(&taken, 1, &test_arena));
        spectra_take(&taken, 0, merged.flux, merged.ivar, &config);
        CU_ASSERT_TRUE(same_pixels(&taken, &merged));
        CU_ASSERT_EQUAL(memcmp(taken.stats, merged.stats, 3 * sizeof(float)), 0); /* FRAC_MASKED */
        /* R reaches 126 pixels into the range of Z, which is one arm no more on the merged grid */
        CU_ASSERT(merged.flag[0] == (SPECTRUM_BAD_PIXELS | SPECTRUM_MISSING_ARM) &&
                  taken.flag[0] == SPECTRUM_BAD_PIXELS);
    }
}

static void taking_applies_the_rules_for_pixels(void)
{
    float flux[GRID_PIXELS], ivar[GRID_PIXELS];
    SpectrumBatch out;
    CHECK_OK(spectra_batch(&out, 1, &test_arena));
    for (int p = 0; p < GRID_PIXELS; p++) flux[p] = 3, ivar[p] = 4;
    spectra_take(&out, 0, flux, ivar, &preset);
    CU_ASSERT_EQUAL(out.flag[0], 0);
    for (int b = 0; b < N_ARMS; b++)
        CU_ASSERT(out.stats[STAT_SNR_B + b] == 6 && out.stats[STAT_FRAC_MASKED_B + b] == 0);

    ivar[10] = 0, ivar[11] = -1, ivar[12] = INFINITY, flux[13] = NAN;
    for (int bad = 0; bad < 2; bad++) {
        spectra_take(&out, 0, flux, ivar, &(SpectraConfig){MERGE_LEGACY_2022, bad, 0.5, EXTINCTION_NONE});
        CU_ASSERT_EQUAL(out.flag[0], SPECTRUM_BAD_PIXELS | SPECTRUM_NONFINITE);
        for (int p = 10; p < 14; p++)
            CU_ASSERT(out.ivar[p] == 0 && out.flux[p] == (bad == BAD_PIXELS_RELEASED && p < 13 ? 3 : 0));
    }
    spectra_take(&out, 0, flux, NULL, &preset); /* ivar not known */
    CU_ASSERT(out.ivar[10] == 1 && out.ivar[13] == 0 && out.stats[STAT_SNR_B] == 0);
    CU_ASSERT_EQUAL(out.flag[0], SPECTRUM_BAD_PIXELS | SPECTRUM_NONFINITE);
    for (int p = 0; p < GRID_PIXELS; p++) ivar[p] = p < GRID_Z_START ? 1 : 0;
    spectra_take(&out, 0, flux, ivar, &preset);
    CU_ASSERT_TRUE(out.flag[0] & SPECTRUM_MISSING_ARM);
    for (int p = 0; p < GRID_PIXELS; p++) ivar[p] = p < GRID_R_START ? 1 : 0;
    spectra_take(&out, 0, flux, ivar, &preset);
    CU_ASSERT_TRUE(out.flag[0] & SPECTRUM_MASKED);
}

static void defaults_are_what_the_released_weights_saw(void)
{
    const ConfigSection *sections[] = {&spectra_section, NULL};
    const char *const overrides[] = {"spectra.merge=desispec-2024", "spectra.bad_pixels=released"};
    Config *config;
    if (!CHECK_OK(config_parse(&config, "run.yaml", "", 0, NULL, 0, sections, NULL, &test_arena))) return;
    const SpectraConfig *c = config_get(config, &spectra_section);
    CU_ASSERT(c->merge == MERGE_LEGACY_2022 && c->bad_pixels == BAD_PIXELS_ZERO && c->max_masked_fraction == 0.5);
    if (!CHECK_OK(config_parse(&config, "run.yaml", "", 0, overrides, 2, sections, NULL, &test_arena))) return;
    c = config_get(config, &spectra_section);
    CU_ASSERT(c->merge == MERGE_DESISPEC_2024 && c->bad_pixels == BAD_PIXELS_RELEASED);
}

TEST_MAIN("spectra", {"defaults are what the released weights saw", defaults_are_what_the_released_weights_saw},
          {"a clean spectrum keeps its numbers and has no flag", clean_spectrum_has_no_flag},
          {"masked pixels do not change the result", masked_pixels_are_ignored},
          {"ivar 0 equals masked", ivar_zero_equals_masked},
          {"no mask equals a mask of zeros", no_mask_equals_mask_of_zeros},
          {"both modes and policies give the numbers worked out by hand", modes_give_the_numbers_worked_out_by_hand},
          {"NaN and Inf become 0 and are flagged", nonfinite_values_become_zero_and_are_flagged},
          {"huge and negative ivar leave finite pixels", extreme_values_stay_finite},
          {"a lost arm is flagged, two are too many", lost_arms_are_flagged_and_two_are_too_many},
          {"an absent arm leaves no overlap", an_absent_arm_leaves_no_overlap},
          {"a spectrum without information is NO_DATA", nothing_at_all_is_no_data},
          {"the limit of masked pixels is exact", the_limit_of_masked_pixels_is_exact},
          {"SNR is the median of the arm's good pixels", snr_is_the_median_of_good_pixels},
          {"the median halves the values, ties included", median_agrees_with_counting},
          {"a merged spectrum taken as it stands is the same row", taking_a_merged_spectrum_gives_it_back},
          {"taking applies the rules for pixels", taking_applies_the_rules_for_pixels},
          {"arms are placed by their start", shorter_arms_are_placed_by_their_start})
