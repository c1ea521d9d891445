/* test_augment.c - blur, nights and masks against golden/augment.h5; crops and batches of masks by their properties. */
#include "model/crops.h"
#include "model/patchmask.h"
#include "model/prepare_image.h"
#include "parity.h"

/* ---- blur and nights ---- */

static void blurred_images_agree(void)
{
    H5File g;
    H5Shape in, s;
    if (!golden_open(&g, "augment.h5")) return;
    const double *sigma = golden_f64(&s, &g, "inputs/blur_sigma");
    const real *image = golden_reals(&in, &g, "inputs/image");
    const int64_t size = in.dims[2], planes = in.dims[0], n = planes * size * size;
    real *got;
    CHECK_OK(arena_new(&got, &test_arena, s.dims[0] * n));
    for (int64_t k = 0; k < s.dims[0]; k++) {
        memcpy(got + k * n, image, sizeof *image * (size_t)n);
        for (int64_t b = 0; b < planes && sigma[k] > 0; b++)
            CHECK_OK(crops_blur(got + k * n + b * size * size, sigma[k], size, &test_arena));
    }
    CU_ASSERT(parity_near(&g, "outputs/blur_f64", got, s.dims[0] * n, TOLERANCE(1e-6, 1e-12))); /* golden README */
    CHECK_OK(h5_close(&g));
}

enum { DRAWS = 4000 };

/* Moments of 4000 draws of the official samplers, and of as many of ours: five standard errors of their difference. */
static void check_night(H5File *g, const NightLaw *law, const char *name)
{
    const double *mean = golden_want(g, golden_name("outputs/%s_sigma_augment_mc_mean", name), CROPS_BANDS);
    const double *std = golden_want(g, golden_name("outputs/%s_sigma_augment_mc_std", name), CROPS_BANDS);
    const double *none = golden_want(g, golden_name("outputs/%s_sigma_augment_mc_frac_zero", name), CROPS_BANDS);
    const double error = 5 * sqrt(2.0 / DRAWS);
    double sum[CROPS_BANDS] = {0}, square[CROPS_BANDS] = {0}, zero[CROPS_BANDS] = {0};
    Rng rng = rng_stream(3, name, 0, 0);
    for (int i = 0; i < DRAWS; i++) {
        double have[CROPS_BANDS], add[CROPS_BANDS];
        crops_draw_sigma(have, add, law, &rng);
        for (int b = 0; b < CROPS_BANDS; b++) {
            sum[b] += add[b] / DRAWS;
            square[b] += add[b] * add[b] / DRAWS;
            zero[b] += (add[b] == 0) / (double)DRAWS;
        }
    }
    for (int b = 0; b < CROPS_BANDS; b++) {
        CU_ASSERT_DOUBLE_EQUAL(sum[b], mean[b], error * std[b]);
        CU_ASSERT_DOUBLE_EQUAL(zero[b], none[b], error * 0.5);
        CU_ASSERT_DOUBLE_EQUAL(sqrt(square[b] - sum[b] * sum[b]), std[b], 2 * error * std[b]); /* heavy tails */
    }
}

/* The official draws of one night are ours through the normal behind them: mean 0, variance 1. */
static void check_one_night(H5File *g, const NightLaw *law, const char *name)
{
    H5Shape s;
    const double *have = golden_f64(&s, g, golden_name("outputs/%s_sigma_true", name));
    for (int b = 0; b < CROPS_BANDS; b++) {
        double sum = 0, square = 0;
        const double n = (double)s.dims[0];
        for (int64_t i = 0; i < s.dims[0]; i++) {
            const double z = log((have[i * CROPS_BANDS + b] - law->loc[b]) / law->scale[b]) / law->shape[b];
            sum += z / n;
            square += z * z / n;
        }
        CU_ASSERT_DOUBLE_EQUAL(sum, 0, 5 / sqrt(n));
        CU_ASSERT_DOUBLE_EQUAL(square, 1, 5 * sqrt(2 / n));
    }
}

static void nights_agree(void)
{
    H5File g;
    if (!golden_open(&g, "augment.h5")) return;
    check_night(&g, &crops_seeing, "blur");
    check_night(&g, &crops_noise, "noise");
    check_one_night(&g, &crops_seeing, "blur");
    check_one_night(&g, &crops_noise, "noise");
    CHECK_OK(h5_close(&g));
}

/* ---- crops ---- */

enum { SIZE = 40, BATCH = 2 };
static const CropsConfig small = {SIZE, 24, 12, 3, {0, 0.9}, 0.5};

static float *test_image(void)
{
    float *image;
    CHECK_OK(arena_new(&image, &test_arena, CROPS_BANDS * SIZE * SIZE));
    for (int64_t i = 0; i < CROPS_BANDS * SIZE * SIZE; i++) image[i] = (float)(0.05 * (1 + sin(0.37 * (double)i)));
    return image;
}

/* The first global crop is never degraded: each of its pixels is one of the image's, rows and columns in order. */
static bool is_cut_of(const float *crop, const float *image, int64_t size)
{
    float *whole;
    CHECK_OK(arena_new(&whole, &test_arena, CROPS_BANDS * SIZE * SIZE));
    CHECK_OK(prepare_image(whole, image, SIZE, SIZE));
    for (int turn = 0; turn < 4; turn++)
        for (int64_t top = 0; top <= SIZE - size; top++)
            for (int64_t left = 0; left <= SIZE - size; left++) {
                bool same = true;
                for (int64_t i = 0; same && i < size * size * CROPS_BANDS; i++) {
                    const int64_t b = i / (size * size), y = i / size % size, x = i % size;
                    const int64_t row = top + (turn & 1 ? size - 1 - y : y), col = left + (turn & 2 ? size - 1 - x : x);
                    same = crop[i] == whole[(b * SIZE + row) * SIZE + col];
                }
                if (same) return true;
            }
    return false;
}

static void crops_are_cuts_and_depend_on_their_stream_alone(void)
{
    const int64_t n_global = CROPS_BANDS * small.global_size * small.global_size;
    const int64_t n_local = CROPS_BANDS * small.local_size * small.local_size;
    const float *image = test_image();
    float *global[2], *local[2];
    int64_t plain = 0, crops = 0;
    for (int k = 0; k < 2; k++) {
        CHECK_OK(arena_new(&global[k], &test_arena, CROPS_GLOBAL * BATCH * n_global));
        CHECK_OK(arena_new(&local[k], &test_arena, small.n_local * BATCH * n_local));
    }
    for (uint32_t step = 0; step < 20; step++) {
        Rng a = rng_stream(1, "test", 5, step), b = rng_stream(1, "test", 5, step);
        CHECK_OK(crops_draw(global[0], local[0], &small, image, SIZE, 0, BATCH, &a, &test_arena));
        CHECK_OK(crops_draw(global[1], local[1], &small, image, SIZE, 1, BATCH, &b, &test_arena));
        CU_ASSERT(memcmp(global[0], global[1] + n_global, sizeof(float) * (size_t)n_global) == 0);
        CU_ASSERT(memcmp(local[0] + 2 * BATCH * n_local, local[1] + (2 * BATCH + 1) * n_local,
                         sizeof(float) * (size_t)n_local) == 0);
        CU_ASSERT(is_cut_of(global[0], image, small.global_size));
        for (int64_t k = 0; k < small.n_local; k++, crops++)
            plain += is_cut_of(local[0] + k * BATCH * n_local, image, small.local_size);
    }
    /* neither blur nor noise: a quarter, and of the rest those whose nights were too good; five standard deviations */
    CU_ASSERT((double)plain > 0.25 * (double)crops - 5 * sqrt(0.19 * (double)crops));
    CU_ASSERT((double)plain < 0.6 * (double)crops);
}

static void an_image_smaller_than_its_crops_is_refused(void)
{
    const CropsConfig wide = {SIZE, SIZE + 1, 12, 1, {0, 0}, 0};
    Rng rng = rng_stream(1, "test", 0, 0);
    CHECK_FAILS(crops_draw(NULL, NULL, &wide, test_image(), SIZE, 0, 1, &rng, &test_arena), E_INPUT);
}

/* ---- masks ---- */

/* The attempts of one official mask, in order. */
typedef struct {
    const double *row, *end; /* (5): mask, area, log aspect, top, left; -1 where the rectangle did not fit */
    bool fits;
} Record;

static void recorded_shape(void *self, double *area, double *log_aspect, double least, double most)
{
    Record *r = self;
    CU_ASSERT_FATAL(r->row < r->end);
    CU_ASSERT(r->row[1] >= fmin(least, most) && r->row[1] <= fmax(least, most));
    *area = r->row[1];
    *log_aspect = r->row[2];
    r->row += 5;
}

static void recorded_place(void *self, int64_t *top, int64_t *left, int64_t n_top, int64_t n_left)
{
    const double *row = ((Record *)self)->row - 5;
    *top = (int64_t)row[3];
    *left = (int64_t)row[4];
    CU_ASSERT_FATAL(*top >= 0 && *left >= 0 && *top < n_top && *left < n_left);
}

static void recorded_masks_agree(void)
{
    H5File g;
    H5Shape n, shape, rows;
    if (!golden_open(&g, "augment.h5")) return;
    const int64_t *wanted = golden_i64(&n, &g, "inputs/mask/requested");
    const double *attempt = golden_f64(&rows, &g, "inputs/mask/attempts_maskid_area_logaspect_top_left");
    const uint8_t *want = golden_u8(&shape, &g, "outputs/mask/masks");
    const int64_t side = shape.dims[1], patches = side * side;
    const double *row = attempt, *end = attempt + rows.dims[0] * 5;
    for (int64_t i = 0; i < n.dims[0]; i++) {
        uint8_t *got;
        const double *own = row;
        while (row < end && row[0] == (double)i) row += 5;
        Record r = {own, row, false};
        const PatchMaskDraws draws = {recorded_shape, recorded_place, &r};
        CHECK_OK(arena_new(&got, &test_arena, patches));
        patchmask_fill(got, side, wanted[i], &draws);
        CU_ASSERT(memcmp(got, want + i * patches, (size_t)patches) == 0);
        CU_ASSERT(r.row == r.end); /* it asked for as many */
    }
    CHECK_OK(h5_close(&g));
}

static void shares_of_masked_crops_agree(void)
{
    const PatchMaskConfig c = {12, 0.5, 0.1, 0.5};
    H5File g;
    H5Shape s;
    if (!golden_open(&g, "augment.h5")) return;
    const float *want = golden_f32(&s, &g, "outputs/mask/linspace_probs_72");
    const int64_t n = s.dims[0] - 1;
    for (int64_t j = 0; j <= n; j++) CU_ASSERT_DOUBLE_EQUAL(patchmask_share(&c, j, n), want[j], 6e-8); /* a float */
    CHECK_OK(h5_close(&g));
}

static void batches_of_masks_are_listed(void)
{
    enum { CROPS = 20 };
    const PatchMaskConfig c = {12, 0.5, 0.1, 0.5};
    const int64_t patches = c.side * c.side;
    Rng rng = rng_stream(2, "test", 0, 0);
    PatchMasks m;
    CHECK_OK(patchmask_draw(&m, &c, CROPS, &rng, &test_arena));
    int64_t masked = 0, at = 0;
    for (int64_t i = 0; i < CROPS; i++) {
        int64_t n = 0;
        for (int64_t k = 0; k < patches; k++) n += m.mask[i * patches + k];
        masked += n > 0;
        CU_ASSERT((double)n <= c.most * (double)patches);
        for (int64_t k = 0; k < patches; k++) {
            if (!m.mask[i * patches + k]) continue;
            CU_ASSERT_EQUAL(m.index[at], i * patches + k);
            CU_ASSERT_EQUAL(m.weight[at], 1 / (float)n);
            at++;
        }
    }
    CU_ASSERT_EQUAL(at, m.n);
    CU_ASSERT_EQUAL(masked, CROPS / 2);
}

TEST_MAIN("augment", {"blurred images agree", blurred_images_agree}, {"nights agree", nights_agree},
          {"crops are cuts and depend on their stream alone", crops_are_cuts_and_depend_on_their_stream_alone},
          {"an image smaller than its crops is refused", an_image_smaller_than_its_crops_is_refused},
          {"recorded masks agree", recorded_masks_agree},
          {"shares of masked crops agree", shares_of_masked_crops_agree},
          {"batches of masks are listed", batches_of_masks_are_listed})
