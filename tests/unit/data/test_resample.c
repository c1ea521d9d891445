/* Rebinning by overlap: properties on made-up pixels, with answers from the definition. */
#include "test_main.h"

#include <math.h>

#include "core/rng.h"
#include "data/resample.h"

enum { N_IN = 900, N_OUT = 1000 };

/* Input pixels between `from` and `to` Angstrom, uneven widths; flux and ivar of a noisy continuum. */
typedef struct {
    double edge[2 * N_IN];
    float flux[N_IN], ivar[N_IN];
    PixelEdges pixels;
} Input;

static Input *uneven_input(double from, double to, uint64_t seed)
{
    Input *in = NULL;
    MUST(arena_new(&in, &test_arena, 1) == OK);
    Rng r = rng_stream(seed, "test.resample", 0, 0);
    double cut[N_IN + 1] = {0};
    for (int k = 0; k < N_IN; k++) cut[k + 1] = cut[k] + 0.5 + rng_uniform(&r);
    for (int k = 0; k < N_IN; k++) {
        in->edge[2 * k] = from + (to - from) * cut[k] / cut[N_IN];
        in->edge[2 * k + 1] = from + (to - from) * cut[k + 1] / cut[N_IN];
        in->flux[k] = (float)(5 + rng_normal(&r));
        in->ivar[k] = (float)(0.5 + rng_uniform(&r));
    }
    in->pixels = (PixelEdges){N_IN, in->edge};
    return in;
}

static float flux[N_OUT], ivar[N_OUT];

/* Output pixels of 0.8 around 4000 + 0.8 i: 3999.6 .. 4799.6. */
static void to_grid(const Input *in) { resample(flux, ivar, N_OUT, 4000, 0.8, &in->pixels, in->flux, in->ivar); }

static void a_constant_stays_that_constant(void)
{
    Input *in = uneven_input(3990, 4810, 1);
    for (int k = 0; k < N_IN; k++) in->flux[k] = 3.7f;
    to_grid(in);
    for (int i = 0; i < N_OUT; i++) CU_ASSERT_FATAL(fabsf(flux[i] - 3.7f) <= 4e-7f && ivar[i] > 0); /* one rounding */
}

static void integrals_are_kept(void)
{
    /* The input spans the output exactly: every bit of its flux must come out. The sum is the test's own, in double,
       over float32 results: 1000 roundings of 3e-8, random in sign, leave about 1e-9 of the whole. */
    Input *in = uneven_input(3999.6, 4799.6, 2);
    double before = 0, after = 0;
    to_grid(in);
    for (int k = 0; k < N_IN; k++) before += (double)in->flux[k] * (in->edge[2 * k + 1] - in->edge[2 * k]);
    for (int i = 0; i < N_OUT; i++) after += (double)flux[i] * 0.8;
    CU_ASSERT(fabs(after - before) <= 5e-9 * fabs(before));

    /* Values that float32 holds exactly, on pixels that nest: kept to the rounding of double. */
    for (int k = 0; k < N_IN; k++) {
        in->edge[2 * k] = 4000 - 0.4 + 1.6 * k, in->edge[2 * k + 1] = 4000 - 0.4 + 1.6 * (k + 1);
        in->flux[k] = (float)(k % 7);
    }
    to_grid(in);
    before = after = 0;
    for (int k = 0; k < N_OUT / 2; k++) before += (double)in->flux[k] * 1.6;
    for (int i = 0; i < N_OUT; i++) after += (double)flux[i] * 0.8;
    CU_ASSERT(fabs(after - before) <= 1e-10 * before);
}

static void a_line_spreads_to_the_pixels_it_overlaps(void)
{
    Input *in = uneven_input(3990, 4810, 3);
    for (int k = 0; k < N_IN; k++) in->flux[k] = k == 400 ? 10 : 0;
    to_grid(in);
    double low = in->edge[800], high = in->edge[801], sum = 0;
    for (int i = 0; i < N_OUT; i++) {
        double from = 4000 + 0.8 * (i - 0.5), to = from + 0.8;
        CU_ASSERT_EQUAL(flux[i] > 0, from < high && to > low);
        sum += (double)flux[i] * 0.8;
    }
    CU_ASSERT(fabs(sum - 10 * (high - low)) < 1e-5); /* float32 of at most 4 pixels */
}

/* Straight from the definition, pixel against pixel. */
static void ivar_is_that_of_the_weighted_mean(void)
{
    Input *in = uneven_input(3990, 4810, 4);
    to_grid(in);
    for (int i = 0; i < N_OUT; i++) {
        double low = 4000 + 0.8 * (i - 0.5), high = 4000 + 0.8 * (i + 0.5), mean = 0, variance = 0, total = 0;
        for (int k = 0; k < N_IN; k++) {
            double share = (fmin(high, in->edge[2 * k + 1]) - fmax(low, in->edge[2 * k])) / 0.8;
            if (share <= 0) continue;
            total += share;
            mean += share * (double)in->flux[k];
            variance += share * share / (double)in->ivar[k];
        }
        CU_ASSERT_FATAL(fabs(total - 1) < 1e-9);
        CU_ASSERT_FATAL(fabs((double)flux[i] - mean) < 1e-6 * 10); /* float32 of numbers up to 10 */
        CU_ASSERT_FATAL(fabs((double)ivar[i] * variance - 1) < 1e-6);
    }
}

static void equal_pixels_come_through_unchanged(void)
{
    Input *in = uneven_input(3990, 4810, 5);
    for (int k = 0; k < N_IN; k++)
        in->edge[2 * k] = 4000 + 0.8 * (k - 0.5), in->edge[2 * k + 1] = 4000 + 0.8 * (k + 0.5);
    to_grid(in);
    for (int k = 0; k < N_IN; k++) CU_ASSERT_FATAL(flux[k] == in->flux[k] && fabsf(ivar[k] / in->ivar[k] - 1) < 2e-7f);
    for (int i = N_IN; i < N_OUT; i++) CU_ASSERT_FATAL(flux[i] == 0 && ivar[i] == 0);
}

static void a_bad_pixel_spoils_what_it_touches_and_nothing_else(void)
{
    Input *in = uneven_input(3990, 4810, 6);
    const float bad_ivar[] = {0, -1, NAN, INFINITY, 1}, bad_flux[] = {1, 1, 1, 1, NAN};
    to_grid(in);
    float clean_flux[N_OUT], clean_ivar[N_OUT];
    for (int i = 0; i < N_OUT; i++) clean_flux[i] = flux[i], clean_ivar[i] = ivar[i];
    float was_flux = in->flux[500], was_ivar = in->ivar[500];
    for (int c = 0; c < 5; c++) {
        in->flux[500] = bad_flux[c], in->ivar[500] = bad_ivar[c];
        to_grid(in);
        for (int i = 0; i < N_OUT; i++) {
            double from = 4000 + 0.8 * (i - 0.5), to = from + 0.8;
            bool touched = from < in->edge[1001] && to > in->edge[1000];
            CU_ASSERT_FATAL(touched ? flux[i] == 0 && ivar[i] == 0
                                    : flux[i] == clean_flux[i] && ivar[i] == clean_ivar[i]);
        }
    }
    in->flux[500] = was_flux, in->ivar[500] = was_ivar;
}

static void half_a_pixel_is_not_covered(void)
{
    Input *in = uneven_input(4000, 4799.2, 7); /* ends in the middle of output pixels 0 and 999 */
    to_grid(in);
    CU_ASSERT(ivar[0] == 0 && flux[0] == 0 && ivar[1] > 0);
    CU_ASSERT(ivar[N_OUT - 1] == 0 && flux[N_OUT - 1] == 0 && ivar[N_OUT - 2] > 0);
    in->pixels.n = 0;
    to_grid(in);
    for (int i = 0; i < N_OUT; i++) CU_ASSERT_FATAL(ivar[i] == 0 && flux[i] == 0);
}

static void edges_lie_half_way_and_gaps_stay_open(void)
{
    const float loglam[] = {3.6f, 3.6001f, 3.6002f, 3.6006f, 3.6007f};
    PixelEdges e;
    bool ok;
    if (!CHECK_OK(resample_edges(&e, &ok, loglam, 5, &test_arena))) return;
    CU_ASSERT_TRUE_FATAL(ok);
    for (int k = 0; k < 5; k++) {
        CU_ASSERT(fabs(log10(e.edge[2 * k]) - ((double)loglam[k] - 5e-5)) < 3e-7); /* float32 near 3.6: 2.4e-7 */
        CU_ASSERT(fabs(log10(e.edge[2 * k + 1]) - ((double)loglam[k] + 5e-5)) < 3e-7);
    }
    CU_ASSERT(e.edge[1] == e.edge[2] && e.edge[3] == e.edge[4] && e.edge[7] == e.edge[8]);
    CU_ASSERT(e.edge[6] > e.edge[5] + 1);
}

static void what_is_no_grid_is_said_to_be_none(void)
{
    const float bad[][3] = {{3.6f, 3.6f, 3.7f}, {3.7f, 3.6f, 3.5f},     {3.6f, NAN, 3.7f},
                            {NAN, 3.6f, 3.7f},  {3.6f, 3.7f, INFINITY}, {3.6f, 3.7f, 3600}};
    PixelEdges e;
    bool ok;
    for (size_t c = 0; c < sizeof bad / sizeof *bad; c++) {
        CHECK_OK(resample_edges(&e, &ok, bad[c], 3, &test_arena));
        CU_ASSERT_FALSE(ok);
    }
    CHECK_OK(resample_edges(&e, &ok, bad[0], 1, &test_arena));
    CU_ASSERT_FALSE(ok);
}

TEST_MAIN("resample", {"a constant stays that constant", a_constant_stays_that_constant},
          {"integrals are kept", integrals_are_kept},
          {"a line spreads to the pixels it overlaps", a_line_spreads_to_the_pixels_it_overlaps},
          {"flux and ivar are those of the weighted mean", ivar_is_that_of_the_weighted_mean},
          {"equal pixels come through unchanged", equal_pixels_come_through_unchanged},
          {"a bad pixel spoils what it touches and nothing else", a_bad_pixel_spoils_what_it_touches_and_nothing_else},
          {"half a pixel is not covered", half_a_pixel_is_not_covered},
          {"edges lie half way to the neighbours, gaps stay open", edges_lie_half_way_and_gaps_stay_open},
          {"wavelengths that do not increase are no grid", what_is_no_grid_is_said_to_be_none})
