/* mock_images.c - Legacy Survey images of the mock sky: image and inverse variance of a brick's band as RICE-compressed
   .fits.fz with the survey's settings, and the brick's maskbits (formats.md B10). A brick's image shows every object
   within its reach, its neighbours' too. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/rng.h"
#include "data/mock.h"

enum { BRICK_PIXELS = 3600, STAMP = 56 };
static const double noise_sigma[N_BANDS] = {0.003, 0.0045, 0.010}; /* nanomaggies per pixel */
static const double psf_sigma[N_BANDS] = {2.1, 1.9, 1.8};          /* pixels               */

/* Gnomonic projection of the brick's TAN header; 0-based pixels. Written out here so that the reader's WCSLIB has an independent twin. */
void mock_project(double *x, double *y, const Brick *b, double ra, double dec)
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
        mock_project(&x, &y, brick, o->ra, o->dec);
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
    if (st == OK) st = fitsfile_put_checksum(&f);
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

/* ---- maskbits ---- */

enum { MASK_BRIGHT = 1 << 1, MASK_RADIUS = 10 };

/* Narrow ones have 16 bits: compressed images take pixels of their own type only. */
static Status write_mask(FitsFile *f, const char *extname, const int32_t *mask, bool wide, Arena *a)
{
    const int64_t dims[2] = {BRICK_PIXELS, BRICK_PIXELS}, n = dims[0] * dims[1];
    int16_t *narrow;
    TRY(fitsfile_new_image(f, extname, wide ? FITS_I32 : FITS_I16, false, dims, 2, FITS_HCOMPRESS));
    if (wide) return fitsfile_write_pixels(f, FITS_I32, mask, n);
    TRY(arena_new(&narrow, a, n));
    for (int64_t i = 0; i < n; i++) narrow[i] = (int16_t)mask[i];
    return fitsfile_write_pixels(f, FITS_I16, narrow, n);
}

/* The bits of the brick's sources in a disc around each. */
static Status paint_mask(int32_t *mask, const MockSky *sky, const Brick *b, Arena *a)
{
    MockSource *source;
    int64_t n;
    TRY(mock_sources(&source, &n, sky, b, a));
    for (int64_t i = 0; i < n; i++) {
        if (source[i].maskbits == 0) continue;
        int64_t x = (int64_t)source[i].bx, y = (int64_t)source[i].by;
        for (int64_t dy = -MASK_RADIUS; dy <= MASK_RADIUS; dy++)
            for (int64_t dx = -MASK_RADIUS; dx <= MASK_RADIUS; dx++) {
                bool inside = x + dx >= 0 && x + dx < BRICK_PIXELS && y + dy >= 0 && y + dy < BRICK_PIXELS;
                if (inside && dx * dx + dy * dy <= MASK_RADIUS * MASK_RADIUS)
                    mask[(y + dy) * BRICK_PIXELS + x + dx] |= (int32_t)source[i].maskbits;
            }
    }
    return OK;
}

Status mock_write_maskbits(const MockSky *sky, const LegacyConfig *legacy, int64_t brick, Arena *a)
{
    Status st = OK;
    const Brick *b = &sky->brick[brick];
    char path[FITS_PATH];
    FitsFile f = {0};
    int32_t *mask;
    if (b->id == sky->no_brick) return OK;
    bool wide = sky->release >= 10000; /* bits beyond the 16th */
    Mark mark = arena_mark(a);
    TRY_DONE(arena_new(&mask, a, (int64_t)BRICK_PIXELS * BRICK_PIXELS));
    snprintf(path, sizeof path, "%.300s/%.100s/%.20s/coadd/%.3s/%s/legacysurvey-%s-maskbits.fits.fz", legacy->root,
             legacy->release, legacy->regions.item[0], b->name, b->name, b->name);
    TRY_DONE(mock_begin(&f, path));
    TRY_DONE(paint_mask(mask, sky, b, a));
    TRY_DONE(write_mask(&f, "MASKBITS", mask, wide, a));
    TRY_DONE(put_wcs(&f, b));
    TRY_DONE(mock_end(&f, path));
done:
    fitsfile_close(&f);
    arena_reset(a, mark);
    return st;
}
