/* test_preprocess_image.c - image preparation against golden/preprocess_image.h5. */
#include "golden.h"
#include "model/prepare_image.h"

static const double tolerance_f32 = 1e-6;  /* golden README: absolute */
static const double tolerance_f64 = 1e-12; /* golden README: absolute, dark pixels excepted */
static const double dark = 1e-9;       /* mean intensity from which the double result may differ: 0/0 in the limit */
static const double same_pixel = 1e-5; /* float and double results of one pixel: some float roundings of values 0..1 */

/* NaN where any difference is. */
static double largest_difference(const float *a, const double *b, int64_t n)
{
    double d = 0;
    for (int64_t i = 0; i < n; i++) {
        const double one = fabs((double)a[i] - b[i]);
        if (!(one <= d)) d = one;
        if (isnan(d)) break;
    }
    return d;
}

static void float_images_agree(void)
{
    H5File g;
    if (!golden_open(&g, "preprocess_image.h5")) return;
    H5Shape in;
    const float *native = golden_f32(&in, &g, "inputs/native");
    const int64_t size = in.dims[2], crop = golden_int(&g, "crop"), n = 3 * crop * crop;
    const double *want = golden_want(&g, "outputs/model_input_f32", in.dims[0] * n);
    float *got;
    CHECK_OK(arena_new(&got, &test_arena, n));
    for (int64_t i = 0; i < in.dims[0]; i++) {
        CHECK_OK(prepare_image(got, native + i * 3 * size * size, size, crop));
        CU_ASSERT(largest_difference(got, want + i * n, n) <= tolerance_f32);
    }
    CHECK_OK(h5_close(&g));
}

/* Whether the mean intensity of a pixel, by which the colours are divided, is all but zero. */
static bool is_dark(const float *pixels, int64_t plane, int64_t at, double m)
{
    static const double scale[] = {6.0, 3.4, 2.2};
    double mean = 0;
    for (int b = 0; b < 3; b++) mean += fmax(0, (double)pixels[b * plane + at] * scale[b] + m) / 3;
    return fabs(mean) < dark;
}

/* The double results are kept for a window of the crop only, the same rows and columns of all images. */
typedef struct {
    int64_t n, crop, size;
    const double *whole; /* (n, 3, crop, crop): the file's float results */
    const double *part;  /* (n, 3, size, size) */
} Window;

static bool window_is_at(const Window *w, int64_t first)
{
    for (int64_t i = 0; i < w->n * 3; i++)
        for (int64_t y = 0; y < w->size; y++)
            for (int64_t x = 0; x < w->size; x++)
                if (!(fabs(w->whole[(i * w->crop + first + y) * w->crop + first + x] -
                           w->part[(i * w->size + y) * w->size + x]) <= same_pixel))
                    return false;
    return true;
}

/* First row (and column) of the window: where the file's two results agree. -1 = nowhere. */
static int64_t find_window(const Window *w)
{
    for (int64_t first = 0; first + w->size <= w->crop; first++)
        if (window_is_at(w, first)) return first;
    return -1;
}

static void double_images_agree(void)
{
    H5File g;
    if (!golden_open(&g, "preprocess_image.h5")) return;
    H5Shape in, out;
    const float *native = golden_f32(&in, &g, "inputs/native");
    const double *want = golden_f64(&out, &g, "outputs/model_input_f64_crop32"), m = golden_number(&g, "m");
    const int64_t size = in.dims[2], crop = golden_int(&g, "crop"), window = out.dims[2], n = in.dims[0];
    CU_ASSERT_EQUAL_FATAL(golden_items(&out), n * 3 * window * window);
    const Window w = {n, crop, window, golden_want(&g, "outputs/model_input_f32", n * 3 * crop * crop), want};
    const int64_t first = find_window(&w), margin = (int64_t)rint((double)(size - crop) / 2) + first;
    CU_ASSERT_FATAL(first >= 0);
    double *got, worst = 0;
    CHECK_OK(arena_new(&got, &test_arena, 3 * crop * crop));
    for (int64_t i = 0; i < n; i++) {
        const float *image = native + i * 3 * size * size;
        CHECK_OK(prepare_image_double(got, image, size, crop));
        for (int64_t k = 0; k < 3 * window * window; k++) {
            const int64_t c = k / (window * window), y = k / window % window, x = k % window;
            if (is_dark(image, size * size, (margin + y) * size + margin + x, m)) continue;
            const double one = fabs(got[(c * crop + first + y) * crop + first + x] - want[i * 3 * window * window + k]);
            if (!(one <= worst)) worst = one;
            CU_ASSERT_FATAL(!isnan(one));
        }
    }
    CU_ASSERT(worst <= tolerance_f64);
    if (worst > tolerance_f64) printf("largest difference %g\n", worst);
    CHECK_OK(h5_close(&g));
}

/* The Galaxy Zoo path feeds the same image with rows and columns exchanged. */
static void morphology_input_is_the_transpose(void)
{
    H5File g;
    if (!golden_open(&g, "preprocess_image.h5")) return;
    H5Shape in;
    const float *native = golden_f32(&in, &g, "inputs/native");
    const int64_t crop = golden_int(&g, "crop");
    const double *want = golden_want(&g, "outputs/morphology_input_f32", 3 * crop * crop);
    float *got, *turned;
    CHECK_OK(arena_new(&got, &test_arena, 3 * crop * crop));
    CHECK_OK(arena_new(&turned, &test_arena, 3 * crop * crop));
    CHECK_OK(prepare_image(got, native, in.dims[2], crop));
    for (int64_t c = 0; c < 3; c++)
        for (int64_t y = 0; y < crop; y++)
            for (int64_t x = 0; x < crop; x++) turned[(c * crop + x) * crop + y] = got[(c * crop + y) * crop + x];
    CU_ASSERT(largest_difference(turned, want, 3 * crop * crop) <= tolerance_f32);
    CHECK_OK(h5_close(&g));
}

TEST_MAIN("preprocess_image", {"float images agree", float_images_agree}, {"double images agree", double_images_agree},
          {"the morphology input is the transpose", morphology_input_is_the_transpose})
