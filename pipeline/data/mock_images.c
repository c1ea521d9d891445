/* mock_images.c - Legacy Survey files of the mock sky: image and inverse variance of a brick's band as RICE-compressed .fits.fz with the survey's
   settings, and its Tractor table (formats.md B10, B11). A brick's image shows every object within its reach, its neighbours' too. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/rng.h"
#include "data/mock.h"

enum { BRICK_PIXELS = 3600, STAMP = 56 };
static const double noise_sigma[N_BANDS] = {0.003, 0.0045, 0.010}; /* nanomaggies per pixel */
static const double psf_sigma[N_BANDS] = {2.1, 1.9, 1.8};          /* pixels               */

/* Gnomonic projection of the brick's TAN header; 0-based pixels. Written out here so that the reader's WCSLIB has an independent twin. */
static void project(double *x, double *y, const Brick *b, double ra, double dec)
{
    double rad = M_PI / 180, d = dec * rad, d0 = b->dec * rad, dr = (ra - b->ra) * rad;
    double c = sin(d0) * sin(d) + cos(d0) * cos(d) * cos(dr);
    double xi = cos(d) * sin(dr) / c, eta = (cos(d0) * sin(d) - sin(d0) * cos(d) * cos(dr)) / c;
    double step = PIXEL_SCALE / 3600 * rad;
    *x = (BRICK_PIXELS - 1) / 2.0 - xi / step;
    *y = (BRICK_PIXELS - 1) / 2.0 + eta / step;
}

/* Adds a Sersic profile, softened by the PSF, normalised to the flux over its stamp. */
static void draw(float *image, double x, double y, const MockObject *o, int band)
{
    double weight[2 * STAMP + 1][2 * STAMP + 1], sum = 0;
    double n = o->sersic, b_n = 2 * n - 1.0 / 3, r_e = o->radius / PIXEL_SCALE, s2 = psf_sigma[band] * psf_sigma[band];
    double ca = cos(o->angle), sa = sin(o->angle);
    int64_t x0 = (int64_t)floor(x + 0.5) - STAMP, y0 = (int64_t)floor(y + 0.5) - STAMP;
    for (int j = 0; j <= 2 * STAMP; j++) {
        for (int i = 0; i <= 2 * STAMP; i++) {
            double dx = (double)(x0 + i) - x, dy = (double)(y0 + j) - y;
            double u = dx * ca + dy * sa, v = -dx * sa + dy * ca;
            double r = sqrt(u * u + v * v / (o->axis_ratio * o->axis_ratio) + s2);
            weight[j][i] = exp(-b_n * (pow(r / sqrt(r_e * r_e + s2), 1 / n) - 1));
            sum += weight[j][i];
        }
    }
    for (int j = 0; j <= 2 * STAMP; j++)
        for (int i = 0; i <= 2 * STAMP; i++) {
            int64_t px = x0 + i, py = y0 + j;
            if (px >= 0 && px < BRICK_PIXELS && py >= 0 && py < BRICK_PIXELS)
                image[py * BRICK_PIXELS + px] += (float)(o->flux[band] * weight[j][i] / sum);
        }
}

/* Sky noise rounded to a grid, so that it compresses as the survey's files do; the light of all objects near. */
static void paint(float *image, const MockSky *sky, const Brick *brick, int band)
{
    int64_t n = (int64_t)BRICK_PIXELS * BRICK_PIXELS;
    Rng r = rng_stream(sky->seed, "mock.sky", brick->id, (uint32_t)band);
    rng_normals(image, n, &r);
    for (int64_t i = 0; i < n; i++) image[i] *= (float)noise_sigma[band];
    for (int64_t i = 0; i < sky->n; i++) {
        const MockObject *o = &sky->object[i];
        double x, y;
        if (o->defect == MOCK_SKY || !brick_shows(brick, o->ra, o->dec, 0.14)) continue;
        project(&x, &y, brick, o->ra, o->dec);
        draw(image, x, y, o, band);
    }
}

static Status put_wcs(FitsFile *f, const Brick *b)
{
    TRY(fitsfile_put_text(f, "CTYPE1", "RA---TAN", "TANgent plane"));
    TRY(fitsfile_put_text(f, "CTYPE2", "DEC--TAN", "TANgent plane"));
    TRY(fitsfile_put_f64(f, "CRVAL1", b->ra, "Reference RA"));
    TRY(fitsfile_put_f64(f, "CRVAL2", b->dec, "Reference Dec"));
    TRY(fitsfile_put_f64(f, "CRPIX1", BRICK_PIXELS / 2 + 0.5, "Reference x"));
    TRY(fitsfile_put_f64(f, "CRPIX2", BRICK_PIXELS / 2 + 0.5, "Reference y"));
    TRY(fitsfile_put_f64(f, "CD1_1", -PIXEL_SCALE / 3600, "CD matrix"));
    TRY(fitsfile_put_f64(f, "CD1_2", 0, "CD matrix"));
    TRY(fitsfile_put_f64(f, "CD2_1", 0, "CD matrix"));
    TRY(fitsfile_put_f64(f, "CD2_2", PIXEL_SCALE / 3600, "CD matrix"));
    TRY(fitsfile_put_text(f, "BRICKNAM", b->name, ""));
    return fitsfile_put_i64(f, "BRICKID", b->id, "");
}

static Status write_plane(const char *root, const LegacyConfig *legacy, const Brick *b, LegacyProduct product, int band,
                          const float *pixels)
{
    char relative[LEGACY_PATH], path[FITS_PATH];
    const int64_t dims[2] = {BRICK_PIXELS, BRICK_PIXELS};
    FitsFile f = {0};
    TRY(legacy_image_path(relative, sizeof relative, legacy, legacy->regions.item[0], b->name, product, band));
    snprintf(path, sizeof path, "%.400s/%.600s", root, relative);
    Status st = mock_begin(&f, path);
    if (st == OK)
        st = fitsfile_new_image(&f, product == PRODUCT_IMAGE ? "COMPRESSED_IMAGE" : "INVVAR", FITS_F32, false, dims, 2,
                                product == PRODUCT_IMAGE ? FITS_RICE_FLUX : FITS_RICE_IVAR);
    if (st == OK) st = put_wcs(&f, b);
    if (st == OK) st = fitsfile_write_pixels(&f, FITS_F32, pixels, dims[0] * dims[1]);
    if (st == OK) st = mock_end(&f, path);
    fitsfile_close(&f);
    return st;
}

Status mock_write_brick(const MockSky *sky, const LegacyConfig *legacy, int64_t brick, int band, Arena *a)
{
    const Brick *b = &sky->brick[brick];
    if (b->id == sky->no_brick || (b->id == sky->missing_band_brick && band == N_BANDS - 1))
        return OK; /* lost, as files are */
    float *pixels = NULL;
    int64_t n = (int64_t)BRICK_PIXELS * BRICK_PIXELS;
    Mark mark = arena_mark(a);
    TRY(arena_new(&pixels, a, n));
    paint(pixels, sky, b, band);
    Status st = write_plane(legacy->root, legacy, b, PRODUCT_IMAGE, band, pixels);
    float ivar = (float)(1 / (noise_sigma[band] * noise_sigma[band]));
    for (int64_t i = 0; i < n; i++) pixels[i] = ivar;
    for (int64_t j = 1700; j < 1706; j++) /* a bad strip without coverage */
        for (int64_t i = 0; i < BRICK_PIXELS; i++) pixels[j * BRICK_PIXELS + i] = 0;
    if (st == OK) st = write_plane(legacy->root, legacy, b, PRODUCT_INVVAR, band, pixels);
    arena_reset(a, mark);
    return st;
}

/* ---- tractor ---- */

enum { N_NUMBERS = 20 };
static const FitsColumn tractor_columns[] = {
    {"release", "I", "", ""},
    {"brickid", "J", "", ""},
    {"objid", "J", "", ""},
    {"maskbits", "I", "", ""},
    {"ra", "D", "deg", ""},
    {"dec", "D", "deg", ""},
    {"bx", "E", "pix", ""},
    {"by", "E", "pix", ""},
    {"ebv", "E", "mag", ""},
    {"flux_g", "E", "nanomaggy", ""},
    {"flux_r", "E", "nanomaggy", ""},
    {"flux_z", "E", "nanomaggy", ""},
    {"mw_transmission_g", "E", "", ""},
    {"mw_transmission_r", "E", "", ""},
    {"mw_transmission_z", "E", "", ""},
    {"nobs_g", "I", "", ""},
    {"nobs_r", "I", "", ""},
    {"nobs_z", "I", "", ""},
    {"sersic", "E", "", ""},
    {"shape_r", "E", "arcsec", ""},
    {"brickname", "8A", "", ""},
    {"type", "3A", "", ""},
    {"brick_primary", "L", "", ""},
};
enum { N_TRACTOR = sizeof tractor_columns / sizeof *tractor_columns };

static void tractor_numbers(double out[N_NUMBERS], const MockObject *o)
{
    double bx, by;
    project(&bx, &by, &o->brick, o->ra, o->dec);
    const double values[N_NUMBERS] = {9010, o->brick.id, o->objid,   0,          o->ra,      o->dec,   bx,
                                      by,   0.02,        o->flux[0], o->flux[1], o->flux[2], 0.94,     0.96,
                                      0.98, 3,           3,          4,          o->sersic,  o->radius};
    memcpy(out, values, sizeof values);
}

static Status fill_tractor(FitsFile *f, const MockSky *sky, const Brick *b, Arena *a)
{
    int64_t n = 0;
    const MockObject **object = NULL;
    double(*x)[N_NUMBERS] = NULL, *column = NULL;
    char(*text)[12] = NULL;
    uint8_t *primary = NULL;
    TRY(arena_new(&object, a, sky->n));
    for (int64_t i = 0; i < sky->n; i++)
        if (sky->object[i].brick.id == b->id && sky->object[i].defect != MOCK_SKY) object[n++] = &sky->object[i];
    TRY(arena_new(&x, a, n));
    TRY(arena_new(&column, a, n));
    TRY(arena_new(&text, a, n));
    TRY(arena_new(&primary, a, n));
    TRY(fitsfile_new_table(f, "CATALOG", tractor_columns, N_TRACTOR, n));
    for (int64_t i = 0; i < n; i++) tractor_numbers(x[i], object[i]);
    for (int c = 0; c < N_NUMBERS; c++) {
        for (int64_t i = 0; i < n; i++) column[i] = x[i][c];
        TRY(fitsfile_write_column(f, tractor_columns[c].name, FITS_F64, column, 0, n));
    }
    for (int64_t i = 0; i < n; i++) snprintf(text[i], sizeof text[i], "%s", b->name);
    TRY(fitsfile_write_text(f, "brickname", text[0], sizeof text[0], 0, n));
    for (int64_t i = 0; i < n; i++) snprintf(text[i], sizeof text[i], "%s", object[i]->sersic > 2 ? "DEV" : "EXP");
    TRY(fitsfile_write_text(f, "type", text[0], sizeof text[0], 0, n));
    for (int64_t i = 0; i < n; i++) primary[i] = 1;
    TRY(fitsfile_write_column(f, "brick_primary", FITS_BOOL, primary, 0, n));
    return fitsfile_put_checksum(f);
}

Status mock_write_tractor(const MockSky *sky, const LegacyConfig *legacy, int64_t brick, Arena *a)
{
    const Brick *b = &sky->brick[brick];
    char path[FITS_PATH];
    FitsFile f = {0};
    if (b->id == sky->no_brick) return OK;
    Mark mark = arena_mark(a);
    snprintf(path, sizeof path, "%.300s/%.100s/%.20s/tractor/%.3s/tractor-%s.fits", legacy->root, legacy->release,
             legacy->regions.item[0], b->name, b->name);
    Status st = mock_begin(&f, path);
    if (st == OK) st = fill_tractor(&f, sky, b, a);
    if (st == OK) st = mock_end(&f, path);
    fitsfile_close(&f);
    arena_reset(a, mark);
    return st;
}
