/* mock_images.c - Legacy Survey images of the mock sky: image and inverse variance of a brick's band as RICE-compressed
   .fits.fz with the survey's settings, and the brick's maskbits (formats.md B10). A brick's image shows every object
   within its reach, its neighbours' too. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "data/mock_render.h"

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

/* All bands of a brick and what they show. */
typedef struct {
    const MockSky *sky;
    const Brick *brick;
    MockSeeing seeing[N_BANDS];
    MockField field;
    float *image[N_BANDS], *invvar;
    MockObject *own;
    int64_t n_own;
} Scene;

static Status add_galaxy(Scene *s, const MockObject *o, Arena *a)
{
    MockStamp stamp[N_BANDS];
    double x, y;
    if (o->defect == MOCK_SKY || !brick_shows(s->brick, o->ra, o->dec, 0.145)) return OK;
    mock_project(&x, &y, s->brick, o->ra, o->dec);
    const double cx = floor(x + 0.5), cy = floor(y + 0.5);
    Mark mark = arena_mark(a);
    TRY(mock_render(stamp, o, s->sky->seed, x - cx, y - cy, s->seeing, a));
    for (int b = 0; b < N_BANDS; b++) mock_add_stamp(s->image[b], &stamp[b], (int64_t)cx, (int64_t)cy);
    arena_reset(a, mark);
    return OK;
}

/* The galaxies of this brick, and those of its neighbours that lie near its rim: only these are drawn. */
static Status add_galaxies(Scene *s, Arena *a)
{
    Brick near[BRICK_LIST];
    const int n_near = brick_list(near, s->brick->ra, s->brick->dec, 0.28);
    for (int i = 0; i < n_near; i++) {
        const int64_t number = mock_brick_number(s->sky, &near[i]);
        if (number < 0) continue;
        if (near[i].id == s->brick->id) {
            for (int64_t k = 0; k < s->n_own; k++) TRY(add_galaxy(s, &s->own[k], a));
            continue;
        }
        for (int64_t k = 0, n = mock_brick_objects(s->sky, number); k < n; k++) {
            MockObject o;
            mock_place(&o, s->sky, number, &near[i], k);
            if (!brick_shows(s->brick, o.ra, o.dec, 0.145)) continue;
            mock_object(&o, s->sky, number, &near[i], k);
            TRY(add_galaxy(s, &o, a));
        }
    }
    return OK;
}

static void fill_invvar(Scene *s, int band)
{
    for (int64_t y = 0; y < BRICK_PIXELS; y++)
        mock_invvar_row(s->invvar + y * BRICK_PIXELS, s->sky, s->brick, band, &s->seeing[band], y);
}

/* To the light that is there: the rest of the field, and sky noise as deep as the inverse variance says; exactly 0 where
   there are no data. */
static Status finish_band(Scene *s, int band, Arena *a)
{
    const int64_t n = (int64_t)BRICK_PIXELS * BRICK_PIXELS;
    float *image = s->image[band];
    mock_paint_field(image, &s->field, s->brick, band, &s->seeing[band]);
    fill_invvar(s, band);
    return mock_add_noise(image, s->invvar, n, s->sky->seed, s->brick->id, (uint32_t)band, a);
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

static void mark_disc(int32_t *mask, double at_x, double at_y, int64_t radius, int32_t bits)
{
    const int64_t x = (int64_t)at_x, y = (int64_t)at_y;
    for (int64_t dy = -radius; dy <= radius; dy++)
        for (int64_t dx = -radius; dx <= radius; dx++) {
            bool inside = x + dx >= 0 && x + dx < BRICK_PIXELS && y + dy >= 0 && y + dy < BRICK_PIXELS;
            if (inside && dx * dx + dy * dy <= radius * radius) mask[(y + dy) * BRICK_PIXELS + x + dx] |= bits;
        }
}

/* The bits of the brick's sources in a disc around each; the disc of its bright star. */
static void paint_mask(int32_t *mask, const MockSky *sky, const Brick *b, const MockSource *source, int64_t n)
{
    MockFaint star;
    double radius, x, y;
    for (int64_t i = 0; i < n; i++)
        if (source[i].maskbits) mark_disc(mask, source[i].bx, source[i].by, MASK_RADIUS, (int32_t)source[i].maskbits);
    if (!mock_bright_star(&star, &radius, sky, b)) return;
    mock_project(&x, &y, b, star.ra, star.dec);
    mark_disc(mask, x, y, (int64_t)radius, MASK_BRIGHT);
}

static Status write_maskbits(const MockSky *sky, const LegacyConfig *legacy, const Brick *b, const MockSource *source,
                             int64_t n, Arena *a)
{
    Status st = OK;
    char path[FITS_PATH];
    FitsFile f = {0};
    int32_t *mask;
    bool wide = sky->release >= 10000; /* bits beyond the 16th */
    Mark mark = arena_mark(a);
    TRY_DONE(arena_new(&mask, a, (int64_t)BRICK_PIXELS * BRICK_PIXELS));
    snprintf(path, sizeof path, "%.300s/%.100s/%.20s/coadd/%.3s/%s/legacysurvey-%s-maskbits.fits.fz", legacy->root,
             legacy->release, legacy->regions.item[0], b->name, b->name, b->name);
    TRY_DONE(mock_begin(&f, path));
    paint_mask(mask, sky, b, source, n);
    TRY_DONE(write_mask(&f, "MASKBITS", mask, wide, a));
    TRY_DONE(put_wcs(&f, b));
    TRY_DONE(mock_end(&f, path));
done:
    fitsfile_close(&f);
    arena_reset(a, mark);
    return st;
}

/* ---- all of a brick ---- */

static Status write_bands(Scene *s, const LegacyConfig *legacy, Arena *a)
{
    const int64_t n = (int64_t)BRICK_PIXELS * BRICK_PIXELS;
    for (int b = 0; b < N_BANDS; b++) {
        mock_seeing(&s->seeing[b], s->sky, s->brick, b);
        TRY(arena_new(&s->image[b], a, n));
    }
    TRY(arena_new(&s->invvar, a, n));
    clock_begin("paint images");
    Status st = mock_field(&s->field, s->sky, s->brick, a);
    if (st == OK) st = add_galaxies(s, a);
    clock_end("paint images");
    for (int b = 0; b < N_BANDS && st == OK; b++) {
        if (s->brick->id == s->sky->missing_band_brick && b == N_BANDS - 1) break; /* lost, as files are */
        clock_begin("paint images");
        st = finish_band(s, b, a);
        clock_end("paint images");
        clock_begin("compress images");
        if (st == OK) st = write_plane(legacy->root, legacy, s->brick, PRODUCT_IMAGE, b, s->image[b]);
        if (st == OK) st = write_plane(legacy->root, legacy, s->brick, PRODUCT_INVVAR, b, s->invvar);
        clock_end("compress images");
    }
    return st;
}

Status mock_write_brick(const MockSky *sky, const LegacyConfig *legacy, int64_t brick, Arena *a)
{
    Status st = OK;
    Brick b;
    Scene s = {.sky = sky, .brick = &b};
    MockSource *source;
    int64_t n_sources;
    mock_brick(&b, sky, brick);
    if (b.id == sky->no_brick) return OK; /* lost, as files are */
    Mark mark = arena_mark(a);
    TRY_DONE(mock_objects(&s.own, &s.n_own, sky, brick, brick + 1, a));
    TRY_DONE(mock_sources(&source, &n_sources, sky, &b, s.own, s.n_own, a));
    TRY_DONE(mock_write_tractor(sky, legacy, &b, source, n_sources, a));
    TRY_DONE(write_maskbits(sky, legacy, &b, source, n_sources, a));
    TRY_DONE(write_bands(&s, legacy, a));
done:
    arena_reset(a, mark);
    return st;
}
