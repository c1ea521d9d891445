/* Single cutouts in every form and with every fault, written here. The pixel values tell band, row and column, so that
   a cutout can be compared with the rule, pixel by pixel. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/log.h"
#include "data/cutfile.h"
#include "data/cutouts.h"
#include "data/flags.h"
#include "test_main.h"

enum { SIDE = CUTOUT_PIXELS, PIXELS = SIDE * SIDE, PATH = 1200 };

static const ImagesConfig as_is = {.max_masked_fraction = 0.5},
                          zero_bands = {.missing_band = MISSING_BAND_ZERO, .max_masked_fraction = 0.5},
                          converted = {.max_masked_fraction = 0.5, .other_scale = OTHER_SCALE_CONVERT};

/* ---- writing ---- */

/* Where an image lies: scale (arcsec), rotation (degrees), mirrors, and how that is written. */
typedef struct {
    double scale, turned;
    bool flip_x, flip_y, with_cdelt;
} Sky;
static const Sky native = {.scale = PIXEL_SCALE};

static char folder[PATH]; /* of the test at hand */
static int n_folders;

static const char *fresh_folder(void)
{
    snprintf(folder, sizeof folder, "%s/cutouts%d", test_folder(), n_folders++);
    mkdir(folder, 0777);
    return folder;
}

static const char *path_of(const char *name)
{
    static char path[2 * PATH];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void put_sky(FitsFile *f, const Sky *sky, int64_t ny, int64_t nx)
{
    double s = sky->scale / 3600, c = cos(sky->turned * M_PI / 180), d = sin(sky->turned * M_PI / 180);
    double x = sky->flip_x ? s : -s, y = sky->flip_y ? -s : s;
    const struct {
        const char *key;
        double value;
    } plain[] = {{"CD1_1", x * c}, {"CD1_2", -y * d}, {"CD2_1", x * d}, {"CD2_2", y * c}},
      split[] = {{"CDELT1", x}, {"CDELT2", y}, {"PC1_1", c}, {"PC1_2", -d * y / x}, {"PC2_1", d * x / y}, {"PC2_2", c}};
    CHECK_OK(fitsfile_put_text(f, "CTYPE1", "RA---TAN", ""));
    CHECK_OK(fitsfile_put_text(f, "CTYPE2", "DEC--TAN", ""));
    CHECK_OK(fitsfile_put_f64(f, "CRVAL1", 150.25, ""));
    CHECK_OK(fitsfile_put_f64(f, "CRVAL2", 2.5, ""));
    CHECK_OK(fitsfile_put_f64(f, "CRPIX1", ((double)nx + 1) / 2, ""));
    CHECK_OK(fitsfile_put_f64(f, "CRPIX2", ((double)ny + 1) / 2, ""));
    for (int i = 0; i < 4 && !sky->with_cdelt; i++) CHECK_OK(fitsfile_put_f64(f, plain[i].key, plain[i].value, ""));
    for (int i = 0; i < 6 && sky->with_cdelt; i++) CHECK_OK(fitsfile_put_f64(f, split[i].key, split[i].value, ""));
}

static float pattern(char band, int64_t y, int64_t x) { return (float)(1000 * (band - 'a') + y + (double)x / 1024); }

/* A cube or, for one band, an image; bands[i] chooses the pattern of plane i. */
static void put_image(FitsFile *f, const char *bands, int64_t ny, int64_t nx, const Sky *sky, FitsCompression how)
{
    int64_t n = (int64_t)strlen(bands), dims[] = {n, ny, nx};
    float *data;
    Mark mark = arena_mark(&test_arena);
    CU_ASSERT_FATAL(CHECK_OK(arena_new(&data, &test_arena, n * ny * nx)));
    for (int64_t k = 0; k < n * ny * nx; k++) {
        int64_t y = k / nx % ny, x = k % nx;
        data[k] = pattern(bands[k / (ny * nx)], sky->flip_y ? ny - 1 - y : y, sky->flip_x ? nx - 1 - x : x);
    }
    CHECK_OK(fitsfile_new_image(f, "", FITS_F32, false, n > 1 ? dims : dims + 1, n > 1 ? 3 : 2, how));
    put_sky(f, sky, ny, nx);
    CHECK_OK(fitsfile_write_pixels(f, FITS_F32, data, n * ny * nx));
    arena_reset(&test_arena, mark);
}

/* The most common file: a grz cube. */
static void write_cube(const char *name, int64_t ny, int64_t nx, const Sky *sky)
{
    FitsFile f;
    CU_ASSERT_FATAL(CHECK_OK(fitsfile_create(&f, path_of(name))));
    put_image(&f, "grz", ny, nx, sky, FITS_PLAIN);
    CHECK_OK(fitsfile_put_text(&f, "BANDS", "grz", ""));
    CHECK_OK(fitsfile_finish(&f));
}

static void write_bytes(const char *name, const void *data, size_t n)
{
    FILE *file = fopen(path_of(name), "wb");
    CU_ASSERT_FATAL(file != NULL);
    CU_ASSERT(fwrite(data, 1, n, file) == n);
    fclose(file);
}

/* ---- reading ---- */

static CutoutsConfig config;

/* The one file NAME of the folder through the whole survey: its row, its image in row 1 of a batch of 3. */
static int32_t cut(ImageBatch *out, CatalogRow *row, const char *name, const ImagesConfig *options)
{
    static ImageSource source;
    static ImageBatch unused;
    CatalogRow local;
    const char *names[] = {name};
    FileList files;
    int64_t n, skipped[N_REJECTS] = {0};
    if (!row) row = &local;
    if (!out) out = &unused;
    memset(&source, 0, sizeof source);
    config = (CutoutsConfig){.root = folder, .files = {1, names}};
    log_quiet(true);
    CU_ASSERT_FATAL(CHECK_OK(cutouts_survey.list_objects(&files, &config, &test_arena)));
    CU_ASSERT_FATAL(CHECK_OK(cutouts_survey.read_objects(row, &n, skipped, &config, name, 0, 1, &test_arena)));
    CU_ASSERT_EQUAL_FATAL(n, 1);
    row->image_file = 0;
    source.config = &config;
    source.files = &files;
    CU_ASSERT_FATAL(CHECK_OK(images_batch(out, 3, &test_arena)));
    for (int64_t k = 0; k < 3 * N_BANDS * PIXELS; k++) out->pixels[k] = -7;
    CU_ASSERT_FATAL(CHECK_OK(cutouts_survey.cutouts(out, 1, &source, options, row, 1, &test_arena)));
    CU_ASSERT(out->pixels[N_BANDS * PIXELS - 1] == -7 && out->pixels[2 * N_BANDS * PIXELS] == -7);
    for (int64_t k = 0; k < N_BANDS * PIXELS; k++) CU_ASSERT_FATAL(isfinite(out->pixels[N_BANDS * PIXELS + k]));
    return out->flag[1];
}

static const float *band_of(const ImageBatch *b, int band) { return b->pixels + (N_BANDS + band) * PIXELS; }

/* Pixels of the window whose first pixel is (y0, x0); what lies outside the image is 0. */
static bool holds(const ImageBatch *b, int band, int64_t y0, int64_t x0, int64_t ny, int64_t nx)
{
    const float *p = band_of(b, band);
    for (int64_t k = 0; k < PIXELS; k++) {
        int64_t y = y0 + k / SIDE, x = x0 + k % SIDE;
        bool inside = y >= 0 && y < ny && x >= 0 && x < nx;
        if (p[k] != (inside ? pattern(band_name[band], y, x) : 0)) return false;
    }
    return true;
}

static bool holds_all(const ImageBatch *b, int64_t y0, int64_t x0, int64_t ny, int64_t nx)
{
    for (int band = 0; band < N_BANDS; band++)
        if (!holds(b, band, y0, x0, ny, nx)) return false;
    return true;
}

/* ---- forms ---- */

static void planes_are_found_by_name(void)
{
    static const struct {
        const char *order, *bands; /* what the planes are, BANDS */
        bool numbered;             /* BAND0 ... too */
    } form[] = {{"grz", "grz", true},  {"zrg", "zrg", false}, {"griz", "griz", false}, {"grz", NULL, false},
                {"griz", NULL, false}, {"rzg", NULL, true},   {"Yzirg", "Yzirg", true}};
    fresh_folder();
    for (int i = 0; i < (int)(sizeof form / sizeof form[0]); i++) {
        FitsFile f;
        ImageBatch b;
        char name[32], key[16];
        snprintf(name, sizeof name, "form%d.fits", i);
        CU_ASSERT_FATAL(CHECK_OK(fitsfile_create(&f, path_of(name))));
        put_image(&f, form[i].order, 160, 170, &native, FITS_PLAIN);
        if (form[i].bands) CHECK_OK(fitsfile_put_text(&f, "BANDS", form[i].bands, ""));
        for (int p = 0; form[i].numbered && form[i].order[p]; p++) {
            snprintf(key, sizeof key, "BAND%d", p);
            CHECK_OK(fitsfile_put_text(&f, key, (char[]){form[i].order[p], '\0'}, ""));
        }
        CHECK_OK(fitsfile_finish(&f));
        CU_ASSERT_EQUAL(cut(&b, NULL, name, &as_is), 0);
        CU_ASSERT(holds_all(&b, 4, 9, 160, 170)); /* ceil(79.5 - 76), ceil(84.5 - 76) */
    }
}

static void bands_of_other_surveys_are_not_taken_for_ours(void)
{
    fresh_folder();
    FitsFile f;
    CU_ASSERT_FATAL(CHECK_OK(fitsfile_create(&f, path_of("gri.fits"))));
    put_image(&f, "gri", 160, 160, &native, FITS_PLAIN);
    CHECK_OK(fitsfile_put_text(&f, "BANDS", "gri", ""));
    CHECK_OK(fitsfile_finish(&f));
    CU_ASSERT_EQUAL(cut(NULL, NULL, "gri.fits", &as_is), IMAGE_MISSING_BAND);
    CU_ASSERT_FATAL(CHECK_OK(fitsfile_create(&f, path_of("w1w2w3.fits")))); /* bands of two letters in BANDS */
    put_image(&f, "grz", 160, 160, &native, FITS_PLAIN);
    CHECK_OK(fitsfile_put_text(&f, "BANDS", "w1w2w3", ""));
    CHECK_OK(fitsfile_finish(&f));
    CU_ASSERT_EQUAL(cut(NULL, NULL, "w1w2w3.fits", &as_is), IMAGE_UNREADABLE);
}

/* Written by the viewer when asked for "subimage": one HDU per band and kind, here of two bricks. */
static void put_plane(FitsFile *f, char band, const char *kind, const char *brick, int64_t ny, int64_t nx)
{
    put_image(f, (char[]){band, '\0'}, ny, nx, &native, FITS_PLAIN);
    CHECK_OK(fitsfile_put_text(f, "BAND", (char[]){band, '\0'}, ""));
    CHECK_OK(fitsfile_put_text(f, "IMAGETYP", kind, ""));
    CHECK_OK(fitsfile_put_text(f, "BRICK", brick, ""));
}

static void hdus_of_single_bands_are_found_by_name(void)
{
    fresh_folder();
    FitsFile f;
    ImageBatch b;
    CatalogRow row;
    CU_ASSERT_FATAL(CHECK_OK(fitsfile_create(&f, path_of("cutout_10.0000_20.0000.fits"))));
    for (int brick = 0; brick < 2; brick++)
        for (const char *band = "zgr"; *band; band++)
            for (int kind = 1; kind >= 0; kind--)
                put_plane(&f, *band, kind ? "invvar" : "image", brick ? "1502p025" : "1500p025", 200, brick ? 180 : 20);
    CHECK_OK(fitsfile_finish(&f));
    CU_ASSERT_EQUAL(cut(&b, &row, "cutout_10.0000_20.0000.fits", &as_is), 0);
    CU_ASSERT(holds_all(&b, 24, 14, 200, 180)); /* the larger brick */
    CU_ASSERT_STRING_EQUAL(row.brickname, "1502p025");
    CU_ASSERT_DOUBLE_EQUAL(row.ra, 150.25, 1e-9); /* the header wins over the name */
}

static void weights_of_0_are_bad_pixels(void)
{
    static float weight[3 * 160 * 160];
    fresh_folder();
    for (int64_t k = 0; k < 3 * 160 * 160; k++) weight[k] = k < 160 * 160 && k % 160 < 20 ? 0 : 5; /* g: 16 columns */
    FitsFile f;
    ImageBatch b;
    CU_ASSERT_FATAL(CHECK_OK(fitsfile_create(&f, path_of("a.fits"))));
    put_image(&f, "grz", 160, 160, &native, FITS_PLAIN);
    CHECK_OK(fitsfile_put_text(&f, "BANDS", "grz", ""));
    CHECK_OK(fitsfile_put_text(&f, "IMAGETYP", "IMAGE", "")); /* newer files of the viewer write capitals */
    CHECK_OK(fitsfile_new_image(&f, "", FITS_F32, false, (int64_t[]){3, 160, 160}, 3, FITS_PLAIN));
    put_sky(&f, &native, 160, 160);
    CHECK_OK(fitsfile_put_text(&f, "BANDS", "grz", ""));
    CHECK_OK(fitsfile_put_text(&f, "IMAGETYP", "INVVAR", ""));
    CHECK_OK(fitsfile_write_pixels(&f, FITS_F32, weight, 3 * 160 * 160));
    put_image(&f, "g", 160, 160, &native, FITS_PLAIN);
    CHECK_OK(fitsfile_put_text(&f, "IMAGETYP", "MASKBITS", ""));
    CHECK_OK(fitsfile_put_text(&f, "BANDS", "grz", ""));
    CHECK_OK(fitsfile_finish(&f));
    CU_ASSERT_EQUAL(cut(&b, NULL, "a.fits", &as_is), IMAGE_BAD_PIXELS);
    CU_ASSERT(holds_all(&b, 4, 4, 160, 160));
    CU_ASSERT_DOUBLE_EQUAL(b.stats[N_IMAGE_STATS + STAT_FRAC_COVERED_G], 136.0 / 152, 1e-6);
    CU_ASSERT_EQUAL(b.stats[N_IMAGE_STATS + STAT_FRAC_COVERED_R], 1);
}

static void compressed_files_are_the_same(void)
{
    fresh_folder();
    FitsFile f;
    ImageBatch b;
    char command[4 * PATH];
    CU_ASSERT_FATAL(CHECK_OK(fitsfile_create(&f, path_of("a.fits.fz"))));
    put_image(&f, "grz", 170, 160, &native, FITS_GZIP_LOSSLESS);
    CHECK_OK(fitsfile_put_text(&f, "BANDS", "grz", ""));
    CHECK_OK(fitsfile_finish(&f));
    CU_ASSERT_EQUAL(cut(&b, NULL, "a.fits.fz", &as_is), 0);
    CU_ASSERT(holds_all(&b, 9, 4, 170, 160));
    write_cube("b.fits", 170, 160, &native);
    snprintf(command, sizeof command, "gzip '%s'", path_of("b.fits"));
    if (system(command) != 0) {
        test_skip("no gzip here");
        return;
    }
    CU_ASSERT_EQUAL(cut(&b, NULL, "b.fits.gz", &as_is), 0);
    CU_ASSERT(holds_all(&b, 9, 4, 170, 160));
}

/* ---- how an image lies ---- */

static void mirrored_images_are_turned_back(void)
{
    fresh_folder();
    for (int i = 0; i < 8; i++) {
        Sky sky = {PIXEL_SCALE, 0, i & 1, i & 2, i & 4};
        ImageBatch b;
        write_cube("a.fits", 171, 160, &sky);
        CU_ASSERT_EQUAL(cut(&b, NULL, "a.fits", &as_is), 0);
        CU_ASSERT(holds_all(&b, 9, 4, 171, 160)); /* ceil(85 - 76) */
    }
}

static void rotated_images_are_refused(void)
{
    fresh_folder();
    for (int i = 0; i < 2; i++) {
        write_cube("a.fits", 160, 160, &(Sky){.scale = PIXEL_SCALE, .turned = 4, .with_cdelt = i});
        CU_ASSERT_EQUAL(cut(NULL, NULL, "a.fits", &as_is), 0);
        write_cube("a.fits", 160, 160, &(Sky){.scale = PIXEL_SCALE, .turned = 30, .with_cdelt = i});
        CU_ASSERT_EQUAL(cut(NULL, NULL, "a.fits", &converted), IMAGE_BAD_SCALE);
        write_cube("a.fits", 160, 160, &(Sky){.scale = PIXEL_SCALE, .turned = 90, .with_cdelt = i});
        CU_ASSERT_EQUAL(cut(NULL, NULL, "a.fits", &converted), IMAGE_BAD_SCALE);
    }
}

static void other_scales_are_flagged_or_converted(void)
{
    static const struct {
        double scale;
        bool same;
    } file[] = {{0.262 * 1.009, true}, {0.262 * 0.991, true}, {0.262 * 1.011, false}, {0.2, false}, {1, false}};
    fresh_folder();
    for (int i = 0; i < 5; i++) {
        ImageBatch b;
        write_cube("a.fits", 220, 230, &(Sky){.scale = file[i].scale});
        CU_ASSERT_EQUAL(cut(&b, NULL, "a.fits", &as_is), file[i].same ? 0 : IMAGE_BAD_SCALE);
        CU_ASSERT_EQUAL(holds_all(&b, 34, 39, 220, 230), file[i].same);
        CU_ASSERT_EQUAL(cut(&b, NULL, "a.fits", &converted), file[i].same ? 0 : IMAGE_RESCALED);
        CU_ASSERT_EQUAL(b.stats[N_IMAGE_STATS + STAT_FRAC_COVERED_Z], 1);
        if (file[i].same) continue;
        /* the pattern is linear, and so is its average where pixels are finer: exact at a new pixel's middle */
        double y = 109.5 + (10 - 75.5) * PIXEL_SCALE / file[i].scale,
               x = 114.5 + (100 - 75.5) * PIXEL_SCALE / file[i].scale;
        double want = 1000 * ('r' - 'a') + y + x / 1024, d = file[i].scale;
        CU_ASSERT_DOUBLE_EQUAL(band_of(&b, 1)[10 * SIDE + 100], want, d > 0.5 ? 0.5 : 0.15); /* old pixels are steps */
    }
}

static void conversion_knows_mirrors_and_edges(void)
{
    fresh_folder();
    const int32_t edge = IMAGE_RESCALED | IMAGE_PADDED | IMAGE_MASKED; /* 44 % are covered */
    ImageBatch upright, mirrored;
    write_cube("a.fits", 150, 120, &(Sky){.scale = 0.2});
    CU_ASSERT_EQUAL(cut(&upright, NULL, "a.fits", &converted), edge);
    write_cube("a.fits", 150, 120, &(Sky){.scale = 0.2, .flip_x = true, .flip_y = true});
    CU_ASSERT_EQUAL(cut(&mirrored, NULL, "a.fits", &converted), edge);
    CU_ASSERT_EQUAL(memcmp(band_of(&upright, 0), band_of(&mirrored, 0), N_BANDS * PIXELS * sizeof(float)), 0);
    /* whole pixels of 0.262" that 150 x 0.2" and 120 x 0.2" cover: 114 and 90 */
    CU_ASSERT_DOUBLE_EQUAL(upright.stats[N_IMAGE_STATS], 114.0 * 90 / PIXELS, 1e-6);
    double sum = 0, want = 0;
    for (int64_t k = 0; k < PIXELS; k++) sum += (double)band_of(&upright, 2)[k];
    for (int64_t k = 0; k < 150 * 120; k++) want += (double)pattern('z', k / 120, k % 120);
    CU_ASSERT_DOUBLE_EQUAL(sum / (want * pow(0.2 / PIXEL_SCALE, 2)), 1, 1e-6);
}

/* ---- what is missing ---- */

static void small_images_are_padded(void)
{
    fresh_folder();
    ImageBatch b;
    write_cube("a.fits", 151, 140, &native);
    CU_ASSERT_EQUAL(cut(&b, NULL, "a.fits", &as_is), IMAGE_PADDED);
    CU_ASSERT(holds_all(&b, -1, -6, 151, 140)); /* ceil(75 - 76), ceil(69.5 - 76) */
    write_cube("a.fits", 30, 30, &native);
    CU_ASSERT_EQUAL(cut(&b, NULL, "a.fits", &as_is), IMAGE_PADDED | IMAGE_MASKED); /* more than half lacks data */
    write_cube("a.fits", 1, 1, &native);
    CU_ASSERT_EQUAL(cut(&b, NULL, "a.fits", &as_is), IMAGE_PADDED | IMAGE_MASKED);
}

static void write_values(const char *name, const char *bands, float corner, float rest)
{
    static float data[3 * 160 * 160];
    FitsFile f;
    int64_t n = (int64_t)strlen(bands);
    for (int64_t k = 0; k < n * 160 * 160; k++) data[k] = k / 160 % 160 < 10 ? corner : rest;
    CU_ASSERT_FATAL(CHECK_OK(fitsfile_create(&f, path_of(name))));
    CHECK_OK(fitsfile_new_image(&f, "", FITS_F32, false, (int64_t[]){n, 160, 160}, 3, FITS_PLAIN));
    put_sky(&f, &native, 160, 160);
    CHECK_OK(fitsfile_put_text(&f, "BANDS", bands, ""));
    CHECK_OK(fitsfile_write_pixels(&f, FITS_F32, data, n * 160 * 160));
    CHECK_OK(fitsfile_finish(&f));
}

static void pixels_without_data_are_0_and_flagged(void)
{
    fresh_folder();
    ImageBatch b;
    write_values("a.fits", "grz", NAN, 1);
    CU_ASSERT_EQUAL(cut(&b, NULL, "a.fits", &as_is), IMAGE_NONFINITE);
    CU_ASSERT(band_of(&b, 0)[0] == 0 && band_of(&b, 0)[6 * SIDE] == 1);
    CU_ASSERT_DOUBLE_EQUAL(b.stats[N_IMAGE_STATS], 146.0 / 152, 1e-6);
    write_values("a.fits", "grz", 0, 1);
    CU_ASSERT_EQUAL(cut(&b, NULL, "a.fits", &as_is), IMAGE_BAD_PIXELS);
    write_values("a.fits", "grz", 0, 0);
    CU_ASSERT_EQUAL(cut(&b, NULL, "a.fits", &as_is), IMAGE_BAD_PIXELS | IMAGE_NO_COVERAGE);
    write_values("a.fits", "grz", 0, NAN);
    CU_ASSERT_EQUAL(cut(&b, NULL, "a.fits", &as_is), IMAGE_NONFINITE | IMAGE_BAD_PIXELS | IMAGE_NO_COVERAGE);
}

static void a_missing_band_is_a_flag_or_zeros(void)
{
    fresh_folder();
    ImageBatch b;
    write_values("a.fits", "gr", 1, 2);
    CU_ASSERT_EQUAL(cut(&b, NULL, "a.fits", &as_is), IMAGE_MISSING_BAND);
    CU_ASSERT(flags_fatal(MODALITY_IMAGE, b.flag[1], false));
    CU_ASSERT_EQUAL(cut(&b, NULL, "a.fits", &zero_bands), IMAGE_MISSING_BAND);
    CU_ASSERT(!flags_fatal(MODALITY_IMAGE, b.flag[1], true));
    CU_ASSERT(band_of(&b, 0)[0] == 1 && band_of(&b, 1)[PIXELS - 1] == 2 && band_of(&b, 2)[0] == 0);
    CU_ASSERT_EQUAL(b.stats[N_IMAGE_STATS + STAT_FRAC_COVERED_Z], 0);
}

static void rows_without_an_image_are_not_asked(void)
{
    CatalogRow row;
    ImageSource source = {.config = &config};
    ImageBatch b;
    catalog_new_row(&row);
    CU_ASSERT_FATAL(CHECK_OK(images_batch(&b, 1, &test_arena)));
    CHECK_OK(cutouts_survey.cutouts(&b, 0, &source, &as_is, &row, 1, &test_arena));
    CU_ASSERT_EQUAL(b.flag[0], IMAGE_NOT_ASKED);
}

/* ---- damaged files ---- */

static void files_of_no_use_are_flagged_rows(void)
{
    static const char text[] = "not a FITS file, but longer than the beginning of one";
    CatalogRow row;
    FitsFile f;
    fresh_folder();
    write_bytes("empty.fits", "", 0);
    write_bytes("cutout_12.5000_-3.2500.fits", text, sizeof text);
    write_bytes("torn.fits.gz", "\x1f\x8b\x08", 3);
    mkdir(path_of("folder.fits"), 0777);
    CU_ASSERT_FATAL(CHECK_OK(fitsfile_create(&f, path_of("no_images.fits"))));
    CHECK_OK(fitsfile_new_table(&f, "T", (FitsColumn[]){{"A", "J", "", ""}}, 1, 3));
    CHECK_OK(fitsfile_finish(&f));
    const char *names[] = {"empty.fits", "cutout_12.5000_-3.2500.fits", "torn.fits.gz", "folder.fits", "no_images.fits",
                           "absent.fits"};
    for (int i = 0; i < 6; i++) {
        CU_ASSERT_EQUAL(cut(NULL, &row, names[i], &converted), IMAGE_UNREADABLE);
        CU_ASSERT(row.has_image == 1 && row.healpix >= 0 && row.targetid > 0);
        CU_ASSERT_EQUAL(isnan(row.ra), i != 1);
        if (i == 1) CU_ASSERT(row.ra == 12.5 && row.dec == -3.25); /* from the name */
    }
}

/* Wherever a file ends, it is whole, or a flagged row: pixels never come from beyond its end. */
static void a_file_cut_short_is_flagged(void)
{
    static char bytes[1 << 20];
    fresh_folder();
    FitsFile f;
    CU_ASSERT_FATAL(CHECK_OK(fitsfile_create(&f, path_of("a.fits"))));
    for (const char *band = "grz"; *band; band++)
        for (int kind = 0; kind < 2; kind++) put_plane(&f, *band, kind ? "invvar" : "image", "1502p025", 160, 160);
    CHECK_OK(fitsfile_finish(&f));
    FILE *file = fopen(path_of("a.fits"), "rb");
    size_t n = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    CU_ASSERT_FATAL(n > 600000 && n < sizeof bytes);
    for (size_t length = 0; length < n; length += length < 6000 ? 997 : 28800) {
        ImageBatch b;
        Mark mark = arena_mark(&test_arena);
        write_bytes("a.fits", bytes, length);
        CU_ASSERT_EQUAL(cut(&b, NULL, "a.fits", &zero_bands), IMAGE_UNREADABLE);
        for (int64_t k = 0; k < PIXELS; k++) CU_ASSERT_FATAL(band_of(&b, 0)[k] == 0);
        arena_reset(&test_arena, mark);
    }
    write_bytes("a.fits", bytes, n);
    CU_ASSERT_EQUAL(cut(NULL, NULL, "a.fits", &zero_bands), 0);
}

/* Every number of a header replaced by nonsense, one at a time: a message and a flag, no crash, no huge allocation. */
static void nonsense_in_headers_is_flagged(void)
{
    static const char *const nonsense[] = {"-1", "0", "99999999999", "1E300", "'text'", "NaN"};
    static char good[1 << 19], bad[1 << 19];
    fresh_folder();
    write_cube("a.fits", 160, 160, &native);
    FILE *file = fopen(path_of("a.fits"), "rb");
    size_t n = fread(good, 1, sizeof good, file);
    fclose(file);
    int tried = 0;
    for (size_t at = 2880; at < 5760; at += 80) {
        if (good[at + 8] != '=') continue;
        for (int i = 0; i < 6; i++) {
            Mark mark = arena_mark(&test_arena);
            char value[71];
            snprintf(value, sizeof value, " %-69s", nonsense[i]);
            memcpy(bad, good, n);
            memcpy(bad + at + 9, value, 70);
            write_bytes("a.fits", bad, n);
            cut(NULL, NULL, "a.fits", &converted);
            tried++;
            arena_reset(&test_arena, mark);
        }
    }
    CU_ASSERT(tried > 80);
}

/* ---- lists and names ---- */

static void folders_are_listed_with_their_folders(void)
{
    FileList files;
    fresh_folder();
    mkdir(path_of("b"), 0777);
    mkdir(path_of("b/deep"), 0777);
    const char *const wanted[] = {"a.fits", "b/a.fits", "b/deep/c.fits.fz", "b/z.fits.gz"};
    for (int i = 3; i >= 0; i--) write_bytes(wanted[i], "", 0);
    write_bytes("b/readme.txt", "", 0);
    write_bytes(".hidden.fits", "", 0);
    config = (CutoutsConfig){.root = folder};
    CU_ASSERT_FATAL(CHECK_OK(cutouts_survey.list_objects(&files, &config, &test_arena)));
    CU_ASSERT_EQUAL_FATAL(files.n, 4);
    for (int i = 0; i < 4; i++) CU_ASSERT_STRING_EQUAL(files.path[i], wanted[i]);
    CU_ASSERT_NOT_EQUAL(cutouts_targetid("a.fits"), cutouts_targetid("b/a.fits"));
    fresh_folder();
    config.root = folder;
    CHECK_FAILS(cutouts_survey.list_objects(&files, &config, &test_arena), E_INPUT); /* empty */
    config.root = "nowhere/at/all";
    CHECK_FAILS(cutouts_survey.list_objects(&files, &config, &test_arena), E_INPUT);
    const char *twice[] = {"x.fits", "y.fits", "x.fits"};
    config.files = (ConfigTexts){3, twice};
    CHECK_FAILS(cutouts_survey.list_objects(&files, &config, &test_arena), E_INPUT);
}

static void targetids_are_positive_and_stable(void)
{
    CU_ASSERT_EQUAL(cutouts_targetid("cutouts/a.fits") >> 61, 3);
    CU_ASSERT_EQUAL(cutouts_targetid("example_a.fits"), INT64_C(8253153579477231994));
}

static void positions_are_read_from_names_of_cutouts_only(void)
{
    static const struct {
        const char *path;
        double ra, dec;
    } name[] = {{"cutout_59.1067_-30.4848.fits", 59.1067, -30.4848},
                {"b/cutout_ls-dr9_0.0000_+12.5000.fits.gz", 0, 12.5},
                {"cutout_359.9999_89.9000.fits.fz", 359.9999, 89.9},
                {"copsf_59.1067_-30.4848.fits", NAN, NAN}, /* a PSF is not at the place of its galaxy */
                {"cutout_1_2.fits", NAN, NAN},             /* numbers, not degrees as the viewer writes them */
                {"cutout_400.0000_2.0000.fits", NAN, NAN},
                {"cutout_10.0000_-91.0000.fits", NAN, NAN},
                {"cutout_10.0000_1.2.3.fits", NAN, NAN},
                {"cutout_10.0000_.fits", NAN, NAN},
                {"cutout.fits", NAN, NAN},
                {"cutout_59.1067_-30.4848.jpg", NAN, NAN}};
    for (int i = 0; i < (int)(sizeof name / sizeof name[0]); i++) {
        double ra, dec;
        cutouts_named_position(&ra, &dec, name[i].path);
        CU_ASSERT(isnan(name[i].ra) ? isnan(ra) && isnan(dec) : ra == name[i].ra && dec == name[i].dec);
    }
}

TEST_MAIN("cutouts", {"planes of a cube are found by name", planes_are_found_by_name},
          {"bands of other surveys are not taken for ours", bands_of_other_surveys_are_not_taken_for_ours},
          {"HDUs of single bands are found by name, the largest brick counts", hdus_of_single_bands_are_found_by_name},
          {"weights of 0 are bad pixels", weights_of_0_are_bad_pixels},
          {"compressed files give the same pixels", compressed_files_are_the_same},
          {"mirrored images are turned back", mirrored_images_are_turned_back},
          {"rotated images are refused", rotated_images_are_refused},
          {"other scales are flagged or converted", other_scales_are_flagged_or_converted},
          {"conversion knows mirrors and edges, and keeps the flux", conversion_knows_mirrors_and_edges},
          {"small images are padded", small_images_are_padded},
          {"pixels without data are 0 and flagged", pixels_without_data_are_0_and_flagged},
          {"a missing band is a flag or zeros", a_missing_band_is_a_flag_or_zeros},
          {"rows without an image are not asked", rows_without_an_image_are_not_asked},
          {"files of no use are flagged rows", files_of_no_use_are_flagged_rows},
          {"a file cut short is flagged wherever it ends", a_file_cut_short_is_flagged},
          {"nonsense in headers never crashes", nonsense_in_headers_is_flagged},
          {"folders are listed with their folders", folders_are_listed_with_their_folders},
          {"TARGETIDs are positive and stable", targetids_are_positive_and_stable},
          {"positions are read from names of cutouts only", positions_are_read_from_names_of_cutouts_only})
