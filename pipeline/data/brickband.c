/* brickband.c - opening and reading one band of one brick. What is wrong with a file becomes a state and one line in
   the log: only memory fails. */
#include "data/brickband.h"

#include <string.h>

#include "core/log.h"

enum {
    MAX_SIDE = 1 << 20,  /* a header that says more is broken           */
    MAX_WHOLE = 1 << 26, /* pixels of a band that may be held as a whole */
    PLAIN_FACTOR =
        6, /* seeks of an uncompressed file: 98 boxes of 152 x 152 cost as much as 3600 x 3600 (machine.md 6) */
};

/* Turns a failure into "broken"; memory stays a failure. */
static Status forgive(bool *good, Status st, ImageSource *s, const char *path)
{
    *good = st == OK;
    if (st == OK || st == E_MEMORY) return st;
    source_report(s, path, fail_record()->text);
    fail_clear();
    return OK;
}

static Status open_image(BrickBand *b, const char *path, Arena *scratch)
{
    int64_t dims[FITS_AXES];
    int n_axes, n_cards;
    char *cards;
    TRY(fitsfile_open(&b->image, path));
    TRY(fitsfile_goto_image(&b->image));
    TRY(fitsfile_image_size(dims, &n_axes, &b->image));
    if (n_axes != 2 || dims[0] < 1 || dims[1] < 1 || dims[0] > MAX_SIDE || dims[1] > MAX_SIDE)
        return FAIL(E_INPUT, "%s: not an image of rows and columns", path);
    b->ny = dims[0];
    b->nx = dims[1];
    int64_t unused;
    b->compressed = fitsfile_get_i64(&unused, &b->image, "ZNAXIS");
    fitsfile_tile(&b->tile_y, &b->tile_x, &b->image);
    if (b->tile_y < 1) b->tile_y = b->ny;
    if (b->tile_x < 1) b->tile_x = b->nx;
    TRY(fitsfile_header(&cards, &n_cards, &b->image, scratch));
    TRY(wcs_open(&b->wcs, cards, n_cards, path));
    b->good_scale = wcs_has_scale(&b->wcs, PIXEL_SCALE, 0.01);
    return OK;
}

static Status open_invvar(BrickBand *b, const char *path)
{
    int64_t dims[FITS_AXES];
    int n_axes;
    TRY(fitsfile_open(&b->invvar, path));
    TRY(fitsfile_goto_image(&b->invvar));
    TRY(fitsfile_image_size(dims, &n_axes, &b->invvar));
    if (n_axes != 2 || dims[0] != b->ny || dims[1] != b->nx)
        return FAIL(E_INPUT, "%s: another size than its image of %lld x %lld pixels", path, (long long)b->ny,
                    (long long)b->nx);
    return OK;
}

Status brickband_open(BrickBand *b, ImageSource *s, const char *region, const Brick *brick, int band, Arena *scratch)
{
    memset(b, 0, sizeof *b);
    b->id = brick->id;
    char name[LEGACY_PATH], path[LEGACY_PATH];
    bool good;
    const char *root = ((const LegacyConfig *)s->config)->root;
    LegacyProduct product = band == BAND_MASK ? PRODUCT_MASKBITS : PRODUCT_IMAGE;
    TRY(legacy_image_path(name, sizeof name, s->config, region, brick->name, product, band));
    if (!survey_file(path, sizeof path, root, name)) return OK;
    b->state = BAND_BROKEN;
    TRY(forgive(&good, open_image(b, path, scratch), s, path));
    if (good && band == BAND_MASK) b->state = BAND_READY;
    if (!good || band == BAND_MASK) return OK;

    TRY(legacy_image_path(name, sizeof name, s->config, region, brick->name, PRODUCT_INVVAR, band));
    b->has_invvar = survey_file(path, sizeof path, root, name);
    if (b->has_invvar) {
        TRY(forgive(&good, open_invvar(b, path), s, path));
        if (!good) return OK;
    } else {
        source_report(s, path, "absent: pixels that are not exactly 0 count as covered");
    }
    b->state = BAND_READY;
    return OK;
}

void brickband_close(BrickBand *b)
{
    if (!b) return;
    fitsfile_close(&b->image);
    fitsfile_close(&b->invvar);
    wcs_close(&b->wcs);
    b->state = BAND_ABSENT;
}

/* Length of [from, to) grown to whole tiles, the last one cut at the edge of the image. */
static int64_t span(int64_t from, int64_t to, int64_t tile, int64_t n)
{
    int64_t low = from / tile * tile, high = (to + tile - 1) / tile * tile;
    return (high < n ? high : n) - low;
}

int64_t brickband_cost(const BrickBand *b, int64_t y0, int64_t y1, int64_t x0, int64_t x1)
{
    if (y1 <= y0 || x1 <= x0) return 0;
    if (!b->compressed) return PLAIN_FACTOR * (y1 - y0) * (x1 - x0);
    return span(y0, y1, b->tile_y, b->ny) * span(x0, x1, b->tile_x, b->nx);
}

void brickband_load(BrickBand *b, Arena *a)
{
    int64_t n = b->ny * b->nx;
    if (n > MAX_WHOLE) return;
    float *pixels, *ivar = NULL;
    Status st = arena_new(&pixels, a, n);
    if (st == OK && b->has_invvar) st = arena_new(&ivar, a, n);
    if (st == OK) st = fitsfile_read_rows(pixels, &b->image, FITS_F32, 0, b->ny);
    if (st == OK && b->has_invvar) st = fitsfile_read_rows(ivar, &b->invvar, FITS_F32, 0, b->ny);
    if (st != OK) {
        fail_clear(); /* reading the boxes will say where it hurts */
        return;
    }
    b->pixels = pixels;
    b->ivar = ivar;
}

static void copy_box(float *out, const float *whole, int64_t nx, int64_t y0, int64_t y1, int64_t x0, int64_t x1)
{
    for (int64_t y = y0; y < y1; y++)
        memcpy(out + (y - y0) * (x1 - x0), whole + y * nx + x0, (size_t)(x1 - x0) * sizeof *out);
}

Status brickband_read(bool *good, float *pixels, float *ivar, BrickBand *b, ImageSource *s, int64_t y0, int64_t y1,
                      int64_t x0, int64_t x1)
{
    *good = true;
    if (b->pixels) {
        copy_box(pixels, b->pixels, b->nx, y0, y1, x0, x1);
        if (b->ivar) copy_box(ivar, b->ivar, b->nx, y0, y1, x0, x1);
    } else {
        TRY(forgive(good, fitsfile_read_box(pixels, &b->image, y0, y1, x0, x1), s, b->image.path));
        if (*good && b->has_invvar)
            TRY(forgive(good, fitsfile_read_box(ivar, &b->invvar, y0, y1, x0, x1), s, b->invvar.path));
    }
    if (*good && !b->has_invvar)
        for (int64_t i = 0; i < (y1 - y0) * (x1 - x0); i++)
            ivar[i] = pixels[i] != 0; /* NaN counts; it is dealt with as NaN */
    return OK;
}
