/* test_prepare.c - image and spectrum preparation: what holds whatever the data. */
#include <string.h>

#include "model/prepare_image.h"
#include "model/prepare_spectrum.h"
#include "test_main.h"

enum { SIZE = 9, CROP = 5 };

static float pixels[3 * SIZE * SIZE], out[3 * CROP * CROP];

static void the_centre_is_cropped(void)
{
    memset(pixels, 0, sizeof pixels);
    pixels[2 * SIZE * SIZE + 3 * SIZE + 4] = 1; /* z band, row 3, column 4 */
    CHECK_OK(prepare_image(out, pixels, SIZE, CROP));
    int brightest = 0;
    for (int i = 0; i < CROP * CROP; i++)
        if (out[i] > out[brightest]) brightest = i;
    CU_ASSERT_EQUAL(brightest, 1 * CROP + 2); /* the offset is 2 in both axes; z is the red plane, the first */
    float even[3 * 4 * 4], odd[3 * 3 * 3];
    memset(even, 0, sizeof even);
    even[0] = 1;
    CHECK_OK(prepare_image(odd, even, 4, 3)); /* offset 0.5 goes to 0 */
    CU_ASSERT(odd[2 * 9] > odd[2 * 9 + 1]);
}

static void values_lie_in_zero_one(void)
{
    for (int i = 0; i < 3 * SIZE * SIZE; i++) pixels[i] = (float)(sin(i) * pow(10, i % 7 - 3));
    CHECK_OK(prepare_image(out, pixels, SIZE, CROP));
    for (int i = 0; i < 3 * CROP * CROP; i++) CU_ASSERT(out[i] >= 0 && out[i] <= 1);
}

static void darkness_is_black(void)
{
    for (int i = 0; i < 3 * SIZE * SIZE; i++) pixels[i] = -1;
    CHECK_OK(prepare_image(out, pixels, SIZE, CROP));
    for (int i = 0; i < 3 * CROP * CROP; i++) CU_ASSERT_EQUAL(out[i], 0);
}

static void float_and_double_agree(void)
{
    double twin[3 * CROP * CROP];
    for (int i = 0; i < 3 * SIZE * SIZE; i++) pixels[i] = (float)(0.2 + 0.1 * sin(i));
    CHECK_OK(prepare_image(out, pixels, SIZE, CROP));
    CHECK_OK(prepare_image_double(twin, pixels, SIZE, CROP));
    for (int i = 0; i < 3 * CROP * CROP; i++)
        CU_ASSERT_DOUBLE_EQUAL(out[i], twin[i], 1e-6); /* float rounding of 0..1 */
}

static void small_cutouts_are_refused(void) { CHECK_FAILS(prepare_image(out, pixels, CROP - 1, CROP), E_INPUT); }

/* Lengths from spec.md 2. */
static void token_counts(void)
{
    static const int64_t want[][2] = {{7781, 778}, {30, 2}, {31, 3}, {40, 3}, {20, 1}, {10, 0}, {0, 0}};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        CU_ASSERT_EQUAL(prepare_spectrum_tokens(want[i][0], 20, 10), want[i][1]);
}

static void brightness_and_offset_go_to_token_zero(void)
{
    enum { N = 200, T = 19, WIDTH = 22 };
    float flux[N], brighter[N];
    real a[T * WIDTH], b[T * WIDTH];
    for (int i = 0; i < N; i++) {
        flux[i] = (float)sin(0.1 * i);
        brighter[i] = 4 * flux[i] + 8;
    }
    CHECK_OK(prepare_spectrum(a, NULL, NULL, flux, N, 20, 10));
    CHECK_OK(prepare_spectrum(b, NULL, NULL, brighter, N, 20, 10));
    CU_ASSERT_DOUBLE_EQUAL(4 * (2 * a[0] + 2) + 8, 2 * b[0] + 2, 1e-5); /* float flux */
    CU_ASSERT_DOUBLE_EQUAL(4 * (8 * a[1] + 2), 8 * b[1] + 2, 1e-5);
    for (int i = WIDTH; i < T * WIDTH; i++) CU_ASSERT_DOUBLE_EQUAL(a[i], b[i], 1e-5);
    for (int t = 1; t < T; t++) CU_ASSERT(a[t * WIDTH] == 0 && a[t * WIDTH + 1] == 0);
    for (int i = 0; i < 10; i++)
        CU_ASSERT_EQUAL(a[WIDTH + 2 + 10 + i], a[2 * WIDTH + 2 + i]); /* neighbours share half */
}

static void flat_spectra_are_not_blown_up(void)
{
    enum { N = 60, WIDTH = 22 };
    float flux[N];
    real tokens[5 * WIDTH];
    double mean, std;
    for (int i = 0; i < N; i++) flux[i] = 3 + 0.01f * (float)(i % 2);
    CHECK_OK(prepare_spectrum(tokens, &mean, &std, flux, N, 20, 10));
    CU_ASSERT(std < 0.2);
    CU_ASSERT_DOUBLE_EQUAL(tokens[1], (0.2 - 2) / 8, 1e-6);
    for (int i = WIDTH; i < 5 * WIDTH; i++) CU_ASSERT(fabs((double)tokens[i]) < 0.03);
}

TEST_MAIN("prepare", {"the centre is cropped, and z is red", the_centre_is_cropped},
          {"values lie between 0 and 1", values_lie_in_zero_one}, {"darkness is black", darkness_is_black},
          {"float and double agree", float_and_double_agree},
          {"cutouts smaller than the crop are refused", small_cutouts_are_refused},
          {"a spectrum makes the specified number of tokens", token_counts},
          {"brightness and offset go to token zero only", brightness_and_offset_go_to_token_zero},
          {"flat spectra are not blown up to noise", flat_spectra_are_not_blown_up})
