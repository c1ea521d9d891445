/* brick_scene.h - small synthetic bricks for tests of cutouts: parts of real bricks around a point where several meet.
   Every pixel of band g says which brick and which pixel it is. The rule of DESIGN.md section 8 is written out here a
   second time, with a plain TAN. */
#ifndef BRICK_SCENE_H
#define BRICK_SCENE_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/log.h"
#include "data/brickband.h"
#include "data/flags.h"
#include "test_main.h"

enum { SIDE = CUTOUT_PIXELS, PIXELS = SIDE * SIDE, REACH = 140, LOW = 62, HIGH = 3537, MAX_BRICKS = 12 };

/* A brick of the scene: the part [x0, x0+nx) x [y0, y0+ny) of its 3600 x 3600 frame. */
typedef struct {
    Brick brick;
    int64_t x0, y0, nx, ny;
} Part;

static struct {
    double ra, dec; /* the meeting point */
    Part part[MAX_BRICKS];
    int n;
    bool simple; /* one brick: band r is a pattern too, which is quicker to write */
    LegacyConfig config;
    char root[1024];
} scene;

static const ImagesConfig flag_bands = {.missing_band = MISSING_BAND_FLAG, .max_masked_fraction = 0.5},
                          zero_bands = {.missing_band = MISSING_BAND_ZERO, .max_masked_fraction = 0.5};

/* ---- TAN, plainly; full-frame pixels of a brick ---- */

static inline void to_frame(double *x, double *y, const Brick *b, double ra, double dec)
{
    double d = M_PI / 180, a = (ra - b->ra) * d;
    double c = sin(b->dec * d) * sin(dec * d) + cos(b->dec * d) * cos(dec * d) * cos(a);
    double xi = cos(dec * d) * sin(a) / c,
           eta = (cos(b->dec * d) * sin(dec * d) - sin(b->dec * d) * cos(dec * d) * cos(a)) / c;
    *x = 1799.5 - xi / d * 3600 / PIXEL_SCALE;
    *y = 1799.5 + eta / d * 3600 / PIXEL_SCALE;
}

static inline void to_sky(double *ra, double *dec, const Brick *b, double x, double y)
{
    double d = M_PI / 180, xi = -(x - 1799.5) * PIXEL_SCALE / 3600 * d, eta = (y - 1799.5) * PIXEL_SCALE / 3600 * d;
    double c = cos(b->dec * d) - eta * sin(b->dec * d);
    *ra = b->ra + atan2(xi, c) / d;
    *dec = atan2(sin(b->dec * d) + eta * cos(b->dec * d), hypot(xi, c)) / d;
    *ra = fmod(*ra + 720, 360);
}

/* ---- writing ---- */

static inline void make_folders(const char *path)
{
    char copy[2200];
    snprintf(copy, sizeof copy, "%s", path);
    for (char *p = copy + 1; *p; p++)
        if (*p == '/') {
            *p = '\0';
            mkdir(copy, 0777);
            *p = '/';
        }
}

static inline const char *path_of(const Brick *b, LegacyProduct product, int band)
{
    static char path[2200];
    char name[LEGACY_PATH];
    CHECK_OK(legacy_image_path(name, sizeof name, &scene.config, "south", b->name, product, band));
    snprintf(path, sizeof path, "%s/%s", scene.root, name);
    return path;
}

static inline void write_image(const Part *p, LegacyProduct product, int band, const float *data, FitsCompression how,
                               double scale)
{
    const char *path = path_of(&p->brick, product, band);
    make_folders(path);
    FitsFile f = {0};
    CHECK_OK(fitsfile_create(&f, path));
    CHECK_OK(fitsfile_new_image(&f, "IMAGE", product == PRODUCT_MASKBITS ? FITS_I32 : FITS_F32, false,
                                (int64_t[]){p->ny, p->nx}, 2, how));
    CHECK_OK(fitsfile_put_text(&f, "CTYPE1", "RA---TAN", ""));
    CHECK_OK(fitsfile_put_text(&f, "CTYPE2", "DEC--TAN", ""));
    CHECK_OK(fitsfile_put_f64(&f, "CRVAL1", p->brick.ra, ""));
    CHECK_OK(fitsfile_put_f64(&f, "CRVAL2", p->brick.dec, ""));
    CHECK_OK(fitsfile_put_f64(&f, "LONPOLE", 180,
                              "")); /* else FITS turns an image centred on the pole itself by 180 degrees */
    CHECK_OK(fitsfile_put_f64(&f, "CRPIX1", 1800.5 - (double)p->x0, ""));
    CHECK_OK(fitsfile_put_f64(&f, "CRPIX2", 1800.5 - (double)p->y0, ""));
    CHECK_OK(fitsfile_put_f64(&f, "CD1_1", -scale / 3600, ""));
    CHECK_OK(fitsfile_put_f64(&f, "CD1_2", 0, ""));
    CHECK_OK(fitsfile_put_f64(&f, "CD2_1", 0, ""));
    CHECK_OK(fitsfile_put_f64(&f, "CD2_2", scale / 3600, ""));
    CHECK_OK(fitsfile_write_pixels(&f, FITS_F32, data, p->nx * p->ny));
    CHECK_OK(fitsfile_finish(&f));
}

/* g: which brick, which pixel (whole numbers below 2^24: exact). r: distance north of the meeting point, in pixels.
   z: a pattern. */
static inline float value_of(int part, int band, int64_t x, int64_t y)
{
    const Part *p = &scene.part[part];
    if (band == 0) return (float)(1 + x + y * 512 + part * 512 * 512);
    if (band == 2 || scene.simple) return 0.1F + 0.01F * (float)((x + y) % 7);
    double ra, dec;
    to_sky(&ra, &dec, &p->brick, (double)(x + p->x0), (double)(y + p->y0));
    return (float)((dec - scene.dec) * 3600 / PIXEL_SCALE);
}

static inline void write_part(int i)
{
    const Part *p = &scene.part[i];
    float *data;
    CHECK_OK(arena_new(&data, &test_arena, p->nx * p->ny));
    for (int band = 0; band < N_BANDS; band++) {
        for (int64_t k = 0; k < p->nx * p->ny; k++) data[k] = value_of(i, band, k % p->nx, k / p->nx);
        write_image(p, PRODUCT_IMAGE, band, data,
                    band == 2   ? FITS_RICE_FLUX
                    : band == 1 ? FITS_PLAIN
                                : FITS_GZIP_LOSSLESS,
                    PIXEL_SCALE);
        for (int64_t k = 0; k < p->nx * p->ny; k++) data[k] = 4;
        write_image(p, PRODUCT_INVVAR, band, data, FITS_RICE_IVAR, PIXEL_SCALE);
    }
}

/* All bricks around a point, each cut to REACH pixels around it and to LOW..HIGH of its frame: less overlap than
   real images, so that mosaics are needed. */
static inline void build_scene(double ra, double dec)
{
    static int scenes;
    static const char *south = "south";
    Brick list[BRICK_LIST];
    memset(&scene, 0, sizeof scene);
    scene.ra = ra;
    scene.dec = dec;
    snprintf(scene.root, sizeof scene.root, "%s/scene%d", test_folder(), scenes++);
    scene.config = (LegacyConfig){.root = scene.root, .release = "dr9", .regions = {1, &south}};
    int n = brick_list(list, ra, dec, 0.14);
    scene.simple = n == 1;
    for (int i = 0; i < n && scene.n < MAX_BRICKS; i++) {
        double x, y;
        to_frame(&x, &y, &list[i], ra, dec);
        int64_t x0 = (int64_t)fmax(LOW, floor(x) - REACH), x1 = (int64_t)fmin(HIGH, floor(x) + REACH);
        int64_t y0 = (int64_t)fmax(LOW, floor(y) - REACH), y1 = (int64_t)fmin(HIGH, floor(y) + REACH);
        if (x1 <= x0 || y1 <= y0) continue;
        scene.part[scene.n++] = (Part){list[i], x0, y0, x1 - x0, y1 - y0};
        write_part(scene.n - 1);
    }
}

/* ---- the rule, written out ---- */

static inline int part_of(int32_t id)
{
    for (int i = 0; i < scene.n; i++)
        if (scene.part[i].brick.id == id) return i;
    return -1;
}

/* The pixel of a part nearest to a position, false when it shows none. */
static inline bool nearest(int64_t *x, int64_t *y, int part, double ra, double dec)
{
    const Part *p = &scene.part[part];
    double fx, fy;
    to_frame(&fx, &fy, &p->brick, ra, dec);
    *x = (int64_t)floor(fx + 0.5) - p->x0;
    *y = (int64_t)floor(fy + 0.5) - p->y0;
    return *x >= 0 && *x < p->nx && *y >= 0 && *y < p->ny;
}

/* What band g of the cutout must be: 0 where nothing shows the pixel. */
static inline void expect_cutout(float *out, const CatalogRow *row, int band)
{
    Brick own;
    brick_at(&own, row->ra, row->dec);
    double x, y;
    to_frame(&x, &y, &own, row->ra, row->dec);
    int me = part_of(own.id);
    for (int64_t k = 0; k < PIXELS; k++) {
        double ra, dec;
        int64_t px, py;
        double fx = ceil(x - SIDE / 2.0) + (double)(k % SIDE), fy = ceil(y - SIDE / 2.0) + (double)(k / SIDE);
        to_sky(&ra, &dec, &own, fx, fy);
        int from = -1;
        if (nearest(&px, &py, me, ra, dec)) from = me;
        int holder = from < 0 ? part_of(brick_id_at(ra, dec)) : -1;
        if (holder >= 0 && nearest(&px, &py, holder, ra, dec)) from = holder;
        for (int i = 0; i < scene.n && from < 0; i++) /* parts are in order of BRICKID */
            if (nearest(&px, &py, i, ra, dec)) from = i;
        out[k] = from < 0 ? 0 : value_of(from, band, px, py);
    }
}

/* ---- cutting ---- */

/* A row `east` and `north` pixels from the meeting point. */
static inline CatalogRow row_at(double east, double north)
{
    CatalogRow row;
    memset(&row, 0, sizeof row);
    row.has_image = 1;
    row.photsys = 'S';
    Brick here = {.ra = scene.ra, .dec = scene.dec};
    to_sky(&row.ra, &row.dec, &here, 1799.5 - east, 1799.5 + north);
    return row;
}

static inline void cut(ImageBatch *out, const CatalogRow *rows, int64_t n, const ImagesConfig *options, int whole)
{
    ImageSource s = {.config = &scene.config, .whole = whole};
    CHECK_OK(images_batch(out, n, &test_arena));
    CHECK_OK(legacy_survey.open(&s, &test_arena));
    CHECK_OK(legacy_survey.cutouts(out, 0, &s, options, rows, n, &test_arena));
}

static inline void junction(double *ra, double *dec, double near_ra, double near_dec)
{
    Brick b;
    brick_at(&b, near_ra, near_dec);
    *ra = b.ra2;
    *dec = b.dec2;
}

static inline void silence(void) { log_quiet(true); }

/* One brick, 280 x 280, and a row in its middle; tests change its files. */
static inline Part one_brick(void)
{
    silence();
    build_scene(150.125, 2.25);
    CU_ASSERT_EQUAL(scene.n, 1);
    return scene.part[0];
}

static inline int32_t cut_one(ImageBatch *b, const ImagesConfig *options)
{
    CatalogRow row = row_at(0.2, 0.3);
    cut(b, &row, 1, options, 0);
    return b->flag[0];
}

static inline float *filled(const Part *p, float value)
{
    float *data;
    CHECK_OK(arena_new(&data, &test_arena, p->nx * p->ny));
    for (int64_t k = 0; k < p->nx * p->ny; k++) data[k] = value;
    return data;
}

static inline bool is_zero(const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (x[i] != 0) return false;
    return true;
}

#endif
