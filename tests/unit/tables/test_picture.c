/* Pictures: PNG files that hold the pixels given, and cutouts as viewers of the Legacy Surveys show them. */
#include "tables/picture.h"

#include <math.h>
#include <png.h>
#include <string.h>

#include "test_main.h"

enum { SIZE = 8 };

static const char *file(const char *name)
{
    static char path[2][512];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", test_folder(), name);
    return path[turn];
}

static size_t bytes_of(unsigned char *out, size_t most, const char *path)
{
    FILE *f = fopen(path, "rb");
    CU_ASSERT_FATAL(f != NULL);
    const size_t n = fread(out, 1, most, f);
    fclose(f);
    return n;
}

static void a_reader_gets_the_pixels_that_were_written(void)
{
    enum { WIDTH = 5, HEIGHT = 3 };
    uint8_t rgb[HEIGHT * WIDTH * 3], back[HEIGHT * WIDTH * 3];
    png_image image = {.version = PNG_IMAGE_VERSION};
    for (int i = 0; i < HEIGHT * WIDTH * 3; i++) rgb[i] = (uint8_t)(17 * i + 3);
    CHECK_OK(picture_write(file("some.png"), rgb, WIDTH, HEIGHT));
    CU_ASSERT_FATAL(png_image_begin_read_from_file(&image, file("some.png")));
    CU_ASSERT_EQUAL(image.width, WIDTH);
    CU_ASSERT_EQUAL(image.height, HEIGHT);
    image.format = PNG_FORMAT_RGB;
    CU_ASSERT_FATAL(png_image_finish_read(&image, NULL, back, 0, NULL));
    CU_ASSERT_EQUAL(memcmp(rgb, back, sizeof rgb), 0);
}

static void equal_pixels_are_equal_bytes(void)
{
    uint8_t rgb[SIZE * SIZE * 3] = {9, 8, 7};
    unsigned char one[4096], two[4096];
    CHECK_OK(picture_write(file("one.png"), rgb, SIZE, SIZE));
    CHECK_OK(picture_write(file("two.png"), rgb, SIZE, SIZE));
    const size_t n = bytes_of(one, sizeof one, file("one.png"));
    CU_ASSERT_EQUAL(bytes_of(two, sizeof two, file("two.png")), n);
    CU_ASSERT_EQUAL(memcmp(one, two, n), 0);
}

static void a_folder_that_is_not_there_is_named(void)
{
    const uint8_t rgb[3] = {0};
    CHECK_FAILS(picture_write(file("nowhere/one.png"), rgb, 1, 1), E_OUTPUT);
}

/* Flux of one pixel; the picture around it. */
static const uint8_t *shown(uint8_t rgb[SIZE * SIZE * 3], double g, double r, double z, int64_t x, int64_t y)
{
    static float pixels[3 * SIZE * SIZE];
    memset(pixels, 0, sizeof pixels);
    const double band[3] = {g, r, z};
    for (int b = 0; b < 3; b++) pixels[(b * SIZE + y) * SIZE + x] = (float)band[b];
    CHECK_OK(picture_of_cutout(rgb, pixels, SIZE, &test_arena));
    return rgb + 3 * ((SIZE - 1 - y) * SIZE + x);
}

static void north_is_up_and_columns_stay(void)
{
    uint8_t rgb[SIZE * SIZE * 3];
    shown(rgb, 1, 1, 1, 2, 7); /* the last row of a cutout is the most northern */
    CU_ASSERT(rgb[3 * 2] > 100);
    for (int i = 0; i < SIZE * SIZE; i++)
        if (i != 2) CU_ASSERT(rgb[3 * i] < 60);
}

/* The viewer's formula, written once more: scales 6, 3.4, 2.2, m = 0.03, Q = 20. */
static void colours_are_those_of_the_sky_viewer(void)
{
    static const double scale[3] = {6, 3.4, 2.2};
    static const double flux[][3] = {{0, 0, 0}, {0.01, 0.03, 0.05}, {0.05, 0.04, 0.03}, {1, 2, 3}, {-0.02, 0.01, 0.1}};
    uint8_t rgb[SIZE * SIZE * 3];
    for (size_t k = 0; k < sizeof flux / sizeof *flux; k++) {
        const uint8_t *pixel = shown(rgb, flux[k][0], flux[k][1], flux[k][2], 3, 4);
        double level[3], mean = 0;
        for (int b = 0; b < 3; b++) {
            level[b] = fmax(0, flux[k][b] * scale[b] + 0.03);
            mean += level[b] / 3;
        }
        for (int b = 0; b < 3; b++) {
            const double value = fmin(1, level[b] * asinh(20 * mean) / sqrt(20) / mean);
            CU_ASSERT(fabs(pixel[2 - b] - 255 * value) <= 0.51); /* rounded, in float32 */
        }
    }
}

static void red_galaxies_are_red_and_blue_ones_blue(void)
{
    uint8_t rgb[SIZE * SIZE * 3];
    const uint8_t *red = shown(rgb, 0.02, 0.08, 0.2, 1, 1);
    CU_ASSERT(red[0] > red[1] && red[1] > red[2]);
    const uint8_t *blue = shown(rgb, 0.08, 0.09, 0.09, 1, 1);
    CU_ASSERT(blue[2] > blue[1] && blue[1] > blue[0]);
}

static void a_pixel_that_is_no_number_is_black_or_white(void)
{
    uint8_t rgb[SIZE * SIZE * 3];
    shown(rgb, NAN, 1, INFINITY, 1, 1); /* no crash; the others stay what they are */
    CU_ASSERT(rgb[0] < 60);
}

TEST_MAIN("picture", {"a reader gets the pixels that were written", a_reader_gets_the_pixels_that_were_written},
          {"equal pixels are equal bytes", equal_pixels_are_equal_bytes},
          {"a folder that is not there is named", a_folder_that_is_not_there_is_named},
          {"north is up and columns stay", north_is_up_and_columns_stay},
          {"colours are those of the sky viewer", colours_are_those_of_the_sky_viewer},
          {"red galaxies are red and blue ones blue", red_galaxies_are_red_and_blue_ones_blue},
          {"a pixel that is no number does no harm", a_pixel_that_is_no_number_is_black_or_white})
