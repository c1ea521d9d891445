/* test_fitsfile_image.c - images come back: cubes, masks, boxes, and compressed as the surveys do it. */
#include "io/fitsfile.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/rng.h"
#include "test_main.h"

enum { PATH = 1200 };

static const char *path_of(char *out, const char *name)
{
    snprintf(out, PATH, "%s/%s", test_folder(), name);
    return out;
}

/* A pixel pattern with neither rows nor columns alike. */
static float pixel(int64_t y, int64_t x) { return (float)(1000 * y + x) * 0.25f; }

static void images_come_back_in_c_order(void)
{
    enum { NZ = 3, NY = 5, NX = 7 };
    char path[PATH];
    float cube[NZ][NY][NX], back[2][NY][NX];
    double wave[NX], wave_back[NX];
    int64_t dims[FITS_AXES] = {NZ, NY, NX};
    int axes = 0;
    FitsFile f;
    for (int z = 0; z < NZ; z++)
        for (int y = 0; y < NY; y++)
            for (int x = 0; x < NX; x++) cube[z][y][x] = pixel(z * NY + y, x);
    for (int i = 0; i < NX; i++) wave[i] = 3600 + 0.8 * i;
    cube[1][2][3] = NAN;
    CHECK_OK(fitsfile_create(&f, path_of(path, "cube.fits")));
    CHECK_OK(fitsfile_new_image(&f, "WAVE", FITS_F64, false, (int64_t[]){NX}, 1, FITS_PLAIN));
    CHECK_OK(fitsfile_write_pixels(&f, FITS_F64, wave, NX));
    CHECK_OK(fitsfile_new_image(&f, "CUBE", FITS_F32, false, dims, 3, FITS_PLAIN));
    CHECK_FAILS(fitsfile_write_pixels(&f, FITS_F32, cube, NX), E_OUTPUT); /* not the whole image */
    CHECK_OK(fitsfile_write_pixels(&f, FITS_F32, cube, NZ * NY * NX));
    CHECK_OK(fitsfile_finish(&f));
    CHECK_OK(fitsfile_open(&f, path));
    CHECK_OK(fitsfile_goto(&f, "CUBE"));
    memset(dims, 0, sizeof dims);
    CHECK_OK(fitsfile_image_size(dims, &axes, &f));
    CU_ASSERT(axes == 3 && dims[0] == NZ && dims[1] == NY && dims[2] == NX);
    CHECK_OK(fitsfile_read_rows(back, &f, FITS_F32, 1, 2));
    CU_ASSERT(isnan(back[0][2][3]));
    back[0][2][3] = cube[1][2][3];
    CU_ASSERT(memcmp(back, cube[1], sizeof back) == 0);
    CHECK_FAILS(fitsfile_read_rows(back, &f, FITS_F32, 2, 2), E_INPUT);
    CHECK_OK(fitsfile_goto_image(&f));
    CU_ASSERT_STRING_EQUAL(f.hdu, "WAVE");
    CHECK_OK(fitsfile_read_rows(wave_back, &f, FITS_F64, 0, NX));
    CU_ASSERT(memcmp(wave, wave_back, sizeof wave) == 0);
    fitsfile_close(&f);
}

static void masks_keep_all_32_bits(void)
{
    enum { NY = 130, NX = 210 };
    char path[PATH];
    static uint32_t mask[NY][NX], back[NY][NX];
    int64_t dims[FITS_AXES] = {NY, NX};
    FitsFile f;
    Rng rng = rng_stream(1, "test.mask", 0, 0);
    for (int y = 0; y < NY; y++)
        for (int x = 0; x < NX; x++) mask[y][x] = rng_u32(&rng) % 5 ? 0 : rng_u32(&rng);
    mask[0][0] = UINT32_MAX;
    mask[0][1] = 1u << 31;
    CHECK_OK(fitsfile_create(&f, path_of(path, "mask.fits")));
    CHECK_OK(fitsfile_new_image(&f, "PLAIN", FITS_I32, true, dims, 2, FITS_PLAIN));
    CHECK_OK(fitsfile_write_mask(&f, mask[0], NY * NX));
    CHECK_OK(fitsfile_new_image(&f, "PACKED", FITS_I32, true, dims, 2, FITS_GZIP_LOSSLESS));
    CHECK_OK(fitsfile_write_mask(&f, mask[0], NY * NX));
    CHECK_OK(fitsfile_finish(&f));
    CHECK_OK(fitsfile_open(&f, path));
    for (int packed = 0; packed < 2; packed++) {
        CHECK_OK(fitsfile_goto(&f, packed ? "PACKED" : "PLAIN"));
        memset(back, 0, sizeof back);
        CHECK_OK(fitsfile_read_mask(back[0], &f, 0, NY));
        CU_ASSERT(memcmp(mask, back, sizeof mask) == 0);
        CHECK_OK(fitsfile_read_mask(back[0], &f, 99, 2)); /* rows on both sides of a tile's edge */
        CU_ASSERT(memcmp(mask[99], back[0], 2 * sizeof mask[0]) == 0);
    }
    fitsfile_close(&f);
}

/* Maskbits files of the Legacy Surveys: 16 bits up to DR9, 32 from DR10 on, packed by HCOMPRESS. */
static void bits_come_back_from_hcompress(void)
{
    enum { NY = 130, NX = 210 };
    char path[PATH];
    static int32_t wide[NY][NX], back[NY][NX];
    static int16_t narrow[NY][NX];
    int64_t dims[FITS_AXES] = {NY, NX};
    FitsFile f;
    Rng rng = rng_stream(2, "test.mask", 0, 0);
    for (int i = 0; i < NY * NX; i++) {
        bool set = rng_u32(&rng) % 5 == 0;
        wide[i / NX][i % NX] = set ? (int32_t)(rng_u32(&rng) % (1u << 17)) : 0; /* bits 0 to 16, as in DR10 */
        narrow[i / NX][i % NX] = (int16_t)(wide[i / NX][i % NX] & 0x3fff);
    }
    CHECK_OK(fitsfile_create(&f, path_of(path, "bits.fits.fz")));
    CHECK_OK(fitsfile_new_image(&f, "WIDE", FITS_I32, false, dims, 2, FITS_HCOMPRESS));
    CHECK_OK(fitsfile_write_pixels(&f, FITS_I32, wide, NY * NX));
    CHECK_OK(fitsfile_new_image(&f, "NARROW", FITS_I16, false, dims, 2, FITS_HCOMPRESS));
    CHECK_OK(fitsfile_write_pixels(&f, FITS_I16, narrow, NY * NX));
    CHECK_OK(fitsfile_finish(&f));
    CHECK_OK(fitsfile_open(&f, path));
    CHECK_OK(fitsfile_goto(&f, "WIDE"));
    CHECK_OK(fitsfile_read_rows(back[0], &f, FITS_I32, 0, NY));
    CU_ASSERT(memcmp(wide, back, sizeof wide) == 0);
    CHECK_OK(fitsfile_goto(&f, "NARROW"));
    CHECK_OK(fitsfile_read_rows(back[0], &f, FITS_I32, 0, NY));
    int wrong = 0;
    for (int i = 0; i < NY * NX; i++) wrong += back[i / NX][i % NX] != narrow[i / NX][i % NX];
    CU_ASSERT_EQUAL(wrong, 0);
    fitsfile_close(&f);
}

static void a_box_is_cut_out_of_plain_and_packed_images(void)
{
    enum { NY = 230, NX = 310, Y0 = 95, Y1 = 205, X0 = 190, X1 = 310 };
    char path[PATH];
    static float image[NY][NX], box[Y1 - Y0][X1 - X0];
    int64_t dims[FITS_AXES] = {NY, NX}, ny, nx;
    FitsFile f;
    for (int y = 0; y < NY; y++)
        for (int x = 0; x < NX; x++) image[y][x] = pixel(y, x);
    CHECK_OK(fitsfile_create(&f, path_of(path, "box.fits")));
    CHECK_OK(fitsfile_new_image(&f, "PLAIN", FITS_F32, false, dims, 2, FITS_PLAIN));
    CHECK_OK(fitsfile_write_pixels(&f, FITS_F32, image, NY * NX));
    CHECK_OK(fitsfile_new_image(&f, "PACKED", FITS_F32, false, dims, 2, FITS_GZIP_LOSSLESS));
    CHECK_OK(fitsfile_write_pixels(&f, FITS_F32, image, NY * NX));
    CHECK_OK(fitsfile_finish(&f));
    CHECK_OK(fitsfile_open(&f, path));
    for (int packed = 0; packed < 2; packed++) {
        CHECK_OK(fitsfile_goto(&f, packed ? "PACKED" : "PLAIN"));
        fitsfile_tile(&ny, &nx, &f);
        CU_ASSERT(packed ? ny == 100 && nx == 100 : ny == NY && nx == NX);
        memset(box, 0, sizeof box);
        CHECK_OK(fitsfile_read_box(box[0], &f, Y0, Y1, X0, X1));
        int wrong = 0;
        for (int y = Y0; y < Y1; y++)
            for (int x = X0; x < X1; x++) wrong += box[y - Y0][x - X0] != pixel(y, x);
        CU_ASSERT_EQUAL(wrong, 0);
        CHECK_FAILS(fitsfile_read_box(box[0], &f, Y0, Y1, X0, NX + 1), E_INPUT);
        CHECK_FAILS(fitsfile_read_box(box[0], &f, -1, 10, 0, 10), E_INPUT);
    }
    fitsfile_close(&f);
}

/* A sky like a brick's corner: noise of 0.01, exact zeros where nothing was observed, one star, NaN where `nan`. */
static void make_sky(float *sky, int64_t n, bool nan)
{
    Rng rng = rng_stream(3, "test.sky", 0, 0);
    for (int64_t i = 0; i < n; i++) sky[i] = i % 10 == 0 ? 0 : 0.01f * (float)rng_normal(&rng);
    sky[n / 2 + 1] = 250;
    for (int64_t i = 7; nan && i < n; i += 101) sky[i] = NAN;
}

static void flux_images_keep_the_step_zeros_and_nan(void)
{
    enum { SIDE = 250, N = SIDE * SIDE };
    char path[PATH];
    static float sky[N], back[N];
    FitsFile f;
    for (int nan = 0; nan < 2; nan++) {
        make_sky(sky, N, nan);
        for (int i = 0; nan && i < 100 * SIDE; i++) /* a tile of nothing else */
            if (i % SIDE < 100) sky[i] = NAN;
        CHECK_OK(fitsfile_create(&f, path_of(path, "image-g.fits.fz")));
        CHECK_OK(fitsfile_new_image(&f, "", FITS_F32, false, (int64_t[]){SIDE, SIDE}, 2, FITS_RICE_FLUX));
        CHECK_OK(fitsfile_write_pixels(&f, FITS_F32, sky, N));
        CHECK_OK(fitsfile_put_checksum(&f));
        CHECK_OK(fitsfile_finish(&f));
        CHECK_OK(fitsfile_open(&f, path));
        CHECK_OK(fitsfile_goto_image(&f));
        CHECK_OK(fitsfile_read_rows(back, &f, FITS_F32, 0, SIDE));
        int wrong_zero = 0, wrong_nan = 0;
        double worst = 0;
        for (int i = 0; i < N; i++) {
            wrong_zero += sky[i] == 0 && back[i] != 0;
            wrong_nan += isnan(sky[i]) != isnan(back[i]);
            if (!isnan(sky[i]) && !isnan(back[i]) && i != N / 2 + 1)
                worst = fmax(worst, fabs((double)sky[i] - (double)back[i]));
        }
        CU_ASSERT_EQUAL(wrong_zero, 0);
        CU_ASSERT_EQUAL(wrong_nan, 0);
        CU_ASSERT(worst > 1e-5 && worst < 0.51e-4);                 /* half a step of 1e-4, and quantised indeed */
        CU_ASSERT_DOUBLE_EQUAL((double)back[N / 2 + 1], 250, 1e-4); /* float steps at 250 are 1.5e-5 */
        bool ok, present;
        CHECK_OK(fitsfile_verify(&f, &ok, &present));
        CU_ASSERT(ok && present);
        struct stat info;
        CU_ASSERT(stat(path, &info) == 0 && info.st_size < N * 2); /* 32 bits have become less than 16 */
        fitsfile_close(&f);
    }
}

static void inverse_variance_images_are_near_and_lossless_ones_equal(void)
{
    enum { SIDE = 203, N = SIDE * SIDE }; /* a last tile of 3 pixels */
    char path[PATH];
    static float sky[N], back[N];
    double worst = 0;
    FitsFile f;
    make_sky(sky, N, false);
    sky[N / 2 + 1] = 0;
    sky[11] = NAN;
    CHECK_OK(fitsfile_create(&f, path_of(path, "invvar.fits.fz")));
    CHECK_OK(fitsfile_new_image(&f, "IVAR", FITS_F32, false, (int64_t[]){SIDE, SIDE}, 2, FITS_RICE_IVAR));
    CHECK_OK(fitsfile_write_pixels(&f, FITS_F32, sky, N));
    CHECK_OK(fitsfile_new_image(&f, "SAME", FITS_F32, false, (int64_t[]){SIDE, SIDE}, 2, FITS_GZIP_LOSSLESS));
    CHECK_OK(fitsfile_write_pixels(&f, FITS_F32, sky, N));
    CHECK_OK(fitsfile_finish(&f));
    CHECK_OK(fitsfile_open(&f, path));
    CHECK_OK(fitsfile_goto(&f, "IVAR"));
    CHECK_OK(fitsfile_read_rows(back, &f, FITS_F32, 0, SIDE));
    CU_ASSERT(isnan(back[11]));
    for (int i = 0; i < N; i++)
        if (i != 11) worst = fmax(worst, fabs((double)sky[i] - (double)back[i]));
    CU_ASSERT(worst > 0 &&
              worst < 0.01 / 16); /* half a step of noise / 16, with room for a noise estimate off by two */
    CHECK_OK(fitsfile_goto(&f, "SAME"));
    CHECK_OK(fitsfile_read_rows(back, &f, FITS_F32, 0, SIDE));
    CU_ASSERT(isnan(back[11]));
    back[11] = sky[11];
    CU_ASSERT(memcmp(sky, back, sizeof sky) == 0);
    fitsfile_close(&f);
}

/* Floats, which are decoded here, beside doubles, which cfitsio decodes. */
static void floats_in_rice_codes_are_those_of_cfitsio(void)
{
    enum { SIDE = 230, N = SIDE * SIDE, Y0 = 90, Y1 = 215, X0 = 33, X1 = 201 };
    static const FitsCompression how[] = {FITS_RICE_FLUX, FITS_RICE_IVAR};
    static float sky[N], back[N], box[(Y1 - Y0) * (X1 - X0)];
    static double exact[N];
    char path[PATH];
    FitsFile f;
    for (int kind = 0; kind < 4; kind++) {
        make_sky(sky, N, kind / 2);
        for (int i = 0; i < 100 * SIDE; i++) /* tiles without noise, which are gzipped */
            if (i % SIDE >= 100) sky[i] = i % SIDE < 200 ? 3.5f : i % 3 == 0 ? INFINITY : i % 3 == 1 ? -0.0f : 1e-40f;
        CHECK_OK(fitsfile_create(&f, path_of(path, "floats.fits.fz")));
        CHECK_OK(fitsfile_new_image(&f, "", FITS_F32, false, (int64_t[]){SIDE, SIDE}, 2, how[kind % 2]));
        CHECK_OK(fitsfile_write_pixels(&f, FITS_F32, sky, N));
        CHECK_OK(fitsfile_finish(&f));
        CHECK_OK(fitsfile_open(&f, path));
        CHECK_OK(fitsfile_goto_image(&f));
        CHECK_OK(fitsfile_read_rows(back, &f, FITS_F32, 0, SIDE));
        CHECK_OK(fitsfile_read_rows(exact, &f, FITS_F64, 0, SIDE));
        CHECK_OK(fitsfile_read_box(box, &f, Y0, Y1, X0, X1));
        int64_t wrong = 0, wrong_box = 0;
        for (int64_t i = 0; i < N; i++) {
            const float value = (float)exact[i];
            wrong += isnan(value) ? !isnan(back[i]) : memcmp(&value, &back[i], sizeof value) != 0;
        }
        for (int64_t y = Y0; y < Y1; y++)
            wrong_box += memcmp(box + (y - Y0) * (X1 - X0), back + y * SIDE + X0, (X1 - X0) * sizeof *box) != 0;
        CU_ASSERT_EQUAL(wrong, 0);
        CU_ASSERT_EQUAL(wrong_box, 0);
        fitsfile_close(&f);
    }
}

static void a_compressed_image_shows_its_image_header(void)
{
    char path[PATH], *cards = NULL;
    static float sky[40 * 30];
    int n = 0;
    FitsFile f;
    CHECK_OK(fitsfile_create(&f, path_of(path, "wcs.fits.fz")));
    CHECK_OK(fitsfile_new_image(&f, "", FITS_F32, false, (int64_t[]){40, 30}, 2, FITS_RICE_FLUX));
    CHECK_OK(fitsfile_put_f64(&f, "CRPIX1", 1800.5, ""));
    CHECK_OK(fitsfile_write_pixels(&f, FITS_F32, sky, 40 * 30));
    CHECK_OK(fitsfile_finish(&f));
    CHECK_OK(fitsfile_open(&f, path));
    CHECK_OK(fitsfile_goto_number(&f, 1));
    CHECK_OK(fitsfile_header(&cards, &n, &f, &test_arena));
    CU_ASSERT(cards && strstr(cards, "NAXIS1  =                   30") && strstr(cards, "CRPIX1") &&
              !strstr(cards, "ZCMPTYPE"));
    fitsfile_close(&f);
}

static void a_box_is_cut_out_of_one_plane(void)
{
    enum { NZ = 3, NY = 120, NX = 110, Y0 = 60, Y1 = 118, X0 = 7, X1 = 109 };
    static float cube[NZ][NY][NX], box[Y1 - Y0][X1 - X0];
    char path[PATH];
    FitsFile f;
    for (int z = 0; z < NZ; z++)
        for (int y = 0; y < NY; y++)
            for (int x = 0; x < NX; x++) cube[z][y][x] = pixel(z * NY + y, x);
    for (int packed = 0; packed < 2; packed++) {
        CHECK_OK(fitsfile_create(&f, path_of(path, packed ? "planes.fits.fz" : "planes.fits")));
        CHECK_OK(fitsfile_new_image(&f, "CUBE", FITS_F32, false, (int64_t[]){NZ, NY, NX}, 3,
                                    packed ? FITS_GZIP_LOSSLESS : FITS_PLAIN));
        CHECK_OK(fitsfile_write_pixels(&f, FITS_F32, cube, NZ * NY * NX));
        CHECK_OK(fitsfile_new_image(&f, "FLAT", FITS_F32, false, (int64_t[]){NY, NX}, 2, FITS_PLAIN));
        CHECK_OK(fitsfile_write_pixels(&f, FITS_F32, cube[2], NY * NX));
        CHECK_OK(fitsfile_finish(&f));
        CHECK_OK(fitsfile_open(&f, path));
        CHECK_OK(fitsfile_goto(&f, "CUBE"));
        for (int z = 0; z < NZ; z++) {
            CHECK_OK(fitsfile_read_plane(box[0], &f, z, Y0, Y1, X0, X1));
            for (int y = Y0; y < Y1; y++) CU_ASSERT(memcmp(box[y - Y0], &cube[z][y][X0], sizeof box[0]) == 0);
        }
        CHECK_FAILS(fitsfile_read_plane(box[0], &f, NZ, Y0, Y1, X0, X1), E_INPUT);
        CHECK_FAILS(fitsfile_read_plane(box[0], &f, 0, Y0, NY + 1, X0, X1), E_INPUT);
        CHECK_OK(fitsfile_goto(&f, "FLAT"));
        CHECK_OK(fitsfile_read_plane(box[0], &f, 0, Y0, Y1, X0, X1));
        CU_ASSERT(box[1][1] == cube[2][Y0 + 1][X0 + 1]);
        CHECK_FAILS(fitsfile_read_plane(box[0], &f, 1, Y0, Y1, X0, X1), E_INPUT);
        fitsfile_close(&f);
    }
}

static void hdus_are_counted_and_a_short_file_is_told(void)
{
    enum { SIDE = 60 };
    static float data[SIDE * SIDE];
    char path[PATH];
    struct stat info;
    int n;
    bool whole;
    FitsFile f;
    CHECK_OK(fitsfile_create(&f, path_of(path, "three.fits")));
    for (int i = 0; i < 2; i++) {
        CHECK_OK(fitsfile_new_image(&f, "", FITS_F32, false, (int64_t[]){SIDE, SIDE}, 2, FITS_PLAIN));
        CHECK_OK(fitsfile_write_pixels(&f, FITS_F32, data, SIDE * SIDE));
    }
    CHECK_OK(fitsfile_finish(&f));
    CHECK_OK(fitsfile_open(&f, path));
    CHECK_OK(fitsfile_goto_number(&f, 1));
    fitsfile_count(&n, &whole, &f);
    CU_ASSERT(n == 3 && whole);
    CU_ASSERT_STRING_EQUAL(f.hdu, "1"); /* counting moves nothing */
    fitsfile_close(&f);
    CU_ASSERT(stat(path, &info) == 0 && truncate(path, info.st_size - 2880) == 0);
    CHECK_OK(fitsfile_open(&f, path));
    fitsfile_count(&n, &whole, &f);
    CU_ASSERT(n == 3 && !whole);
    fitsfile_close(&f);
}

TEST_MAIN("fitsfile_image", {"images come back in C order", images_come_back_in_c_order},
          {"masks keep all 32 bits", masks_keep_all_32_bits},
          {"bits come back from HCOMPRESS", bits_come_back_from_hcompress},
          {"a box is cut out of plain and packed images", a_box_is_cut_out_of_plain_and_packed_images},
          {"a box is cut out of one plane of a cube", a_box_is_cut_out_of_one_plane},
          {"HDUs are counted, and a short file is told", hdus_are_counted_and_a_short_file_is_told},
          {"flux images keep the step, zeros and NaN", flux_images_keep_the_step_zeros_and_nan},
          {"inverse variance images are near, lossless ones equal",
           inverse_variance_images_are_near_and_lossless_ones_equal},
          {"floats in RICE codes are those of cfitsio", floats_in_rice_codes_are_those_of_cfitsio},
          {"a compressed image shows its image header", a_compressed_image_shows_its_image_header})
