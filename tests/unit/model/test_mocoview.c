/* test_mocoview.c - what the network of MoCo v2 is shown: colours and place of a centre by hand; what drawn views change, and
   how far. (That the centre is that of the released code, PyTorch says in tests/e2e/test_moco.sh.) */
#include <math.h>
#include <string.h>

#include "model/mocoview.h"
#include "test_main.h"

enum { SIZE = 152, CROP = 96, BANDS = 3, PLANE = CROP * CROP, VIEWS = 64 };

static float pixels[BANDS * SIZE * SIZE], view[BANDS * PLANE], again[BANDS * PLANE];

static void centre_has_its_colours(void)
{
    static const int64_t row = 40, column = 100, first = (SIZE - CROP) / 2;
    static const double flux[BANDS] = {0.02, 0.05, 0.11}, scale[BANDS] = {6.0, 3.4, 2.2};
    double mean = 0;
    memset(pixels, 0, sizeof pixels);
    for (int b = 0; b < BANDS; b++) {
        pixels[(b * SIZE + row) * SIZE + column] = (float)flux[b];
        pixels[(b * SIZE + row) * SIZE + column + 1] = b == 1 ? 5 : -5; /* cut at both ends */
        mean += (flux[b] * scale[b] + 0.03) / 3;
    }
    CHECK_OK(mocoview_centre(view, pixels, SIZE, CROP));
    for (int b = 0; b < BANDS; b++) {
        const float *plane = view + (BANDS - 1 - b) * PLANE + (column - first) * CROP + row - first;
        const double want = flux[b] * (scale[b] + 0.03 * asinh(20 * mean) / sqrt(20) / mean);
        CU_ASSERT_DOUBLE_EQUAL(plane[0], want, 1e-6); /* a factor of order 1 is rounded to float */
        CU_ASSERT_EQUAL(plane[CROP], b == 1 ? 1 : 0);
        CU_ASSERT_EQUAL(plane[1], 0);
    }
    CHECK_FAILS(mocoview_centre(view, pixels, CROP - 1, CROP), E_INPUT);
}

/* Band b is bright, so that no dust hides it, around a place of its own. */
static void put_blobs(const double row[BANDS], const double column[BANDS])
{
    for (int b = 0; b < BANDS; b++)
        for (int64_t i = 0; i < SIZE * SIZE; i++) {
            const double y = (double)(i / SIZE) - row[b], x = (double)(i % SIZE) - column[b];
            pixels[b * SIZE * SIZE + i] = (float)(100 * exp(-0.5 * (x * x + y * y) / 4));
        }
}

/* Mean place of what is bright in the plane of a band. */
static void find_blob(double out[2], int band)
{
    double n = 0;
    out[0] = out[1] = 0;
    for (int64_t i = 0; i < PLANE; i++) {
        if (view[(BANDS - 1 - band) * PLANE + i] < 0.6f) continue; /* noise is below 0.2 */
        out[0] += (double)(i / CROP);
        out[1] += (double)(i % CROP);
        n++;
    }
    CU_ASSERT_FATAL(n > 0);
    for (int k = 0; k < 2; k++) out[k] /= n;
}

static void views_turn_mirror_and_move(void)
{
    static const double middle = 0.5 * (SIZE - 1);
    const double row[BANDS] = {middle - 20, middle, middle}, column[BANDS] = {middle, middle, middle + 20};
    double least = 9, most = 0, farthest = 0;
    int left = 0, quadrant[4] = {0};
    put_blobs(row, column);
    for (int v = 0; v < VIEWS; v++) {
        Rng rng = rng_stream(3, "view", v, 0);
        double g[2], r[2], z[2];
        CHECK_OK(mocoview_draw(view, pixels, SIZE, CROP, &rng, &test_arena));
        find_blob(g, 0);
        find_blob(r, 1);
        find_blob(z, 2);
        const double gy = g[0] - r[0], gx = g[1] - r[1], zy = z[0] - r[0], zx = z[1] - r[1];
        CU_ASSERT_DOUBLE_EQUAL(hypot(gy, gx), hypot(zy, zx), 1); /* both ways alike, to a pixel */
        CU_ASSERT_DOUBLE_EQUAL(gy * zy + gx * zx, 0, 25);
        least = fmin(least, hypot(gy, gx) / 20);
        most = fmax(most, hypot(gy, gx) / 20);
        for (int k = 0; k < 2; k++) farthest = fmax(farthest, fabs(r[k] - 0.5 * (CROP - 1)));
        left += gy * zx - gx * zy > 0;
        quadrant[(gy > 0) + 2 * (gx > 0)]++;
    }
    CU_ASSERT(least > 0.87 && least < 0.94 && most > 1.06 && most < 1.13);
    CU_ASSERT(farthest > 6 && farthest < 7.5);
    CU_ASSERT(left > VIEWS / 3 && left < 2 * VIEWS / 3);
    for (int k = 0; k < 4; k++) CU_ASSERT(quadrant[k] > VIEWS / 8);
}

static double mean_of(const float *plane)
{
    double sum = 0;
    for (int64_t i = 0; i < PLANE; i++) sum += (double)plane[i] / PLANE;
    return sum;
}

/* An even sky: dust takes more of g than of z, noise makes pixels differ; the same stream makes the same view. */
static void views_are_reddened_and_noisy(void)
{
    int redder = 0, noisier = 0;
    double last = 0;
    for (int64_t i = 0; i < BANDS * SIZE * SIZE; i++) pixels[i] = 0.1f;
    CHECK_OK(mocoview_centre(view, pixels, SIZE, CROP));
    const double colour = mean_of(view + 2 * PLANE) / mean_of(view);
    for (int v = 0; v < VIEWS; v++) {
        Rng rng = rng_stream(3, "sky", v, 0), twin = rng;
        double squares = 0;
        CHECK_OK(mocoview_draw(view, pixels, SIZE, CROP, &rng, &test_arena));
        CHECK_OK(mocoview_draw(again, pixels, SIZE, CROP, &twin, &test_arena));
        CU_ASSERT_EQUAL(memcmp(view, again, sizeof view), 0);
        const double mean = mean_of(view);
        for (int64_t i = 0; i < PLANE; i++) squares += ((double)view[i] - mean) * ((double)view[i] - mean) / PLANE;
        for (int64_t i = 0; i < BANDS * PLANE; i++) CU_ASSERT_FATAL(view[i] >= 0 && view[i] <= 1);
        CU_ASSERT(mean != last);
        redder += mean_of(view + 2 * PLANE) / mean < colour;
        noisier += squares > 1e-4;
        last = mean;
    }
    CU_ASSERT(redder > 3 * VIEWS / 4); /* E(B-V) grows in most views: up to 1, from 0.04 */
    CU_ASSERT(noisier > VIEWS / 2);
}

TEST_MAIN("views of MoCo v2", {"a centre has the released colours, transposed", centre_has_its_colours},
          {"views turn, mirror, scale and move", views_turn_mirror_and_move},
          {"views are reddened and noisy, the same from the same stream", views_are_reddened_and_noisy})
