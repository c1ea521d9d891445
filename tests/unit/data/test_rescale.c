/* Averaging areas: properties that hold for every image, and an image whose average is known. */
#include <math.h>
#include <stdlib.h>

#include "data/images.h"
#include "data/rescale.h"
#include "test_main.h"

enum { SIZE = CUTOUT_PIXELS, AREA = SIZE * SIZE };

static RescaleAxis axis(int64_t n, double scale)
{
    return (RescaleAxis){.n = n, .centre = ((double)n - 1) / 2, .step = PIXEL_SCALE / scale};
}

static float *random_image(int64_t n)
{
    float *image;
    CU_ASSERT_FATAL(CHECK_OK(arena_new(&image, &test_arena, n)));
    srand(11);
    for (int64_t k = 0; k < n; k++) image[k] = (float)rand() / (float)RAND_MAX - 0.3F;
    return image;
}

static double sum(const float *image, int64_t n)
{
    double total = 0;
    for (int64_t k = 0; k < n; k++) total += image[k];
    return total;
}

static void equal_grids_change_nothing(void)
{
    static float out[AREA];
    float *in = random_image(AREA);
    CHECK_OK(rescale_image(out, SIZE, in, axis(SIZE, PIXEL_SCALE), axis(SIZE, PIXEL_SCALE), &test_arena));
    for (int64_t k = 0; k < AREA; k++) CU_ASSERT_EQUAL_FATAL(out[k], in[k]);
    /* and a larger image is cut: 160 = 4 + 152 + 4 */
    float *large = random_image(160 * 160);
    CHECK_OK(rescale_image(out, SIZE, large, axis(160, PIXEL_SCALE), axis(160, PIXEL_SCALE), &test_arena));
    for (int64_t k = 0; k < AREA; k++) CU_ASSERT_EQUAL_FATAL(out[k], large[(k / SIZE + 4) * 160 + k % SIZE + 4]);
}

/* Old sides that cover the new grid at these scales: 152 * 0.262 / scale and more. */
static const struct {
    int64_t ny, nx;
    double scale;
} covering[] = {{424, 424, 0.1013641}, {425, 431, 0.1432296}, {424, 400, 1.0}, {41, 42, 1.0}, {3000, 190, 0.22}};
enum { N_COVERING = sizeof covering / sizeof covering[0] };

static void a_constant_stays_that_constant(void)
{
    static float out[AREA], share[AREA];
    for (int c = 0; c < N_COVERING; c++) {
        int64_t ny = covering[c].ny, nx = covering[c].nx;
        RescaleAxis y = axis(ny, covering[c].scale), x = axis(nx, covering[c].scale);
        float *in;
        CU_ASSERT_FATAL(CHECK_OK(arena_new(&in, &test_arena, ny * nx)));
        for (int64_t k = 0; k < ny * nx; k++) in[k] = 2.5F;
        CHECK_OK(rescale_image(out, SIZE, in, y, x, &test_arena));
        rescale_coverage(share, SIZE, y, x);
        double worst = 0, least = 1;
        for (int64_t k = 0; k < AREA; k++) {
            worst = fmax(worst, fabs((double)out[k] - 2.5));
            least = fmin(least, (double)share[k]);
        }
        CU_ASSERT(worst < 1e-6); /* float has 2.4e-7 there */
        CU_ASSERT(least > 1 - 1e-6);
    }
}

/* Total flux: pixels hold what one of 0.262" would, so the flux of an image is its sum times (scale / 0.262)^2. */
static void flux_is_kept_when_the_grid_holds_the_image(void)
{
    static float out[AREA];
    const struct {
        int64_t ny, nx;
        double scale;
    } held[] = {{100, 130, 0.1013641}, {39, 20, 1.0}, {1, 1, 0.262}, {273, 274, 0.1432296}, {7, 150, 0.2}};
    for (int c = 0; c < (int)(sizeof held / sizeof held[0]); c++) {
        int64_t n = held[c].ny * held[c].nx;
        float *in = random_image(n);
        CHECK_OK(rescale_image(out, SIZE, in, axis(held[c].ny, held[c].scale), axis(held[c].nx, held[c].scale),
                               &test_arena));
        double before = sum(in, n) * pow(held[c].scale / PIXEL_SCALE, 2), after = sum(out, AREA);
        CU_ASSERT_DOUBLE_EQUAL(after / before, 1, 1e-6);
    }
}

/* The mean of a Gaussian over a pixel is known through the error function. Grids differ where old pixels straddle new
   edges: with the steepest slope, 0.4 per arcsec for a peak of 1 and sigma 1.5", old pixels of d arcsec err by up to
   sqrt(2) 0.4 d^2 / (8 * 0.262), and larger ones than the new by sqrt(2) 0.4 (d - 0.262) / 2. */
static double gauss_mean(double low, double high, double sigma)
{
    return sigma * sqrt(M_PI / 2) * (erf(high / sigma / M_SQRT2) - erf(low / sigma / M_SQRT2)) / (high - low);
}

static void draw_gauss(float *out, int64_t n, double scale, double sigma, double y0, double x0)
{
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < n; i++) {
            double y = ((double)j - (double)n / 2) * scale - y0, x = ((double)i - (double)n / 2) * scale - x0;
            out[j * n + i] = (float)(gauss_mean(y, y + scale, sigma) * gauss_mean(x, x + scale, sigma));
        }
}

static double worst_of_gauss(int64_t n, double scale)
{
    static float out[AREA], want[AREA];
    float *in;
    CU_ASSERT_FATAL(CHECK_OK(arena_new(&in, &test_arena, n * n)));
    draw_gauss(in, n, scale, 1.5, 0.7, -2.1); /* arcsec: a galaxy of 3.5" across, off centre */
    draw_gauss(want, SIZE, PIXEL_SCALE, 1.5, 0.7, -2.1);
    CHECK_OK(rescale_image(out, SIZE, in, axis(n, scale), axis(n, scale), &test_arena));
    double worst = 0;
    for (int64_t k = 0; k < AREA; k++) worst = fmax(worst, fabs((double)out[k] - (double)want[k]));
    return worst; /* the peak is 1 */
}

static void a_gaussian_is_the_same_on_both_grids(void)
{
    double fine = worst_of_gauss(800, 0.05), middle = worst_of_gauss(400, 0.1), coarse = worst_of_gauss(80, 0.5);
    CU_ASSERT(fine < 7e-4);
    CU_ASSERT(middle < 2.8e-3);
    CU_ASSERT(coarse < 0.068);
    CU_ASSERT(fine < middle && middle < coarse);
}

static void what_lies_outside_is_0_and_uncovered(void)
{
    static float out[AREA], share[AREA];
    float *in = random_image(40 * 40); /* 40 pixels of 0.5" = 76.3 new ones */
    RescaleAxis a = axis(40, 0.5);
    CHECK_OK(rescale_image(out, SIZE, in, a, a, &test_arena));
    rescale_coverage(share, SIZE, a, a);
    double covered = 0;
    for (int64_t k = 0; k < AREA; k++) {
        bool far = llabs(k / SIZE * 2 - SIZE + 1) > 80 || llabs(k % SIZE * 2 - SIZE + 1) > 80;
        if (far) CU_ASSERT(out[k] == 0 && share[k] == 0);
        covered += (double)share[k];
    }
    CU_ASSERT_DOUBLE_EQUAL(covered, pow(40 * 0.5 / PIXEL_SCALE, 2), 1e-3);
}

static void a_part_gives_what_the_whole_gives(void)
{
    static float whole[AREA], part[AREA];
    float *in = random_image(500 * 400);
    RescaleAxis y = axis(500, 0.13), x = axis(400, 0.13);
    int64_t y0, y1, x0, x1;
    rescale_span(&y0, &y1, y, SIZE);
    rescale_span(&x0, &x1, x, SIZE);
    CU_ASSERT(y0 > 0 && y1 < 500 && x0 > 0 && x1 < 400);
    CU_ASSERT(fabs((double)(y1 - y0) - SIZE * PIXEL_SCALE / 0.13) < 2);
    float *box;
    CU_ASSERT_FATAL(CHECK_OK(arena_new(&box, &test_arena, (y1 - y0) * (x1 - x0))));
    for (int64_t j = y0; j < y1; j++)
        for (int64_t i = x0; i < x1; i++) box[(j - y0) * (x1 - x0) + i - x0] = in[j * 400 + i];
    CHECK_OK(rescale_image(whole, SIZE, in, y, x, &test_arena));
    CHECK_OK(rescale_image(part, SIZE, box, rescale_part(y, y0, y1), rescale_part(x, x0, x1), &test_arena));
    for (int64_t k = 0; k < AREA; k++) CU_ASSERT_DOUBLE_EQUAL_FATAL(whole[k], part[k], 1e-6);
}

TEST_MAIN("rescale", {"equal grids change nothing", equal_grids_change_nothing},
          {"a constant stays that constant", a_constant_stays_that_constant},
          {"the flux is kept when the new grid holds the image", flux_is_kept_when_the_grid_holds_the_image},
          {"a Gaussian is the same on both grids, the better the finer", a_gaussian_is_the_same_on_both_grids},
          {"what lies outside the image is 0 and not covered", what_lies_outside_is_0_and_uncovered},
          {"a part of the image gives what the whole gives", a_part_gives_what_the_whole_gives})
