/* cutouts_pixels.c - the pixels of single cutouts: how an image lies on the sky, its window, its conversion from another
   pixel scale. What is wrong with a file becomes a flag and one line in the log. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/helper.h"
#include "data/cutfile.h"
#include "data/cutouts.h"
#include "data/flags.h"
#include "data/rescale.h"
#include "data/window.h"

enum { SIDE = CUTOUT_PIXELS };
#define MAX_RATIO    16.0 /* of pixel sides in a conversion: 152 x 16 pixels are read at most */
#define MAX_ROTATION 5    /* degrees; bricks far from the equator are turned by up to 1.3 at their corners */

typedef struct {
    ImageSource *source;
    const ImagesConfig *options;
    CutFile file;
    bool flip_x, flip_y; /* to have east left and north up */
    double scale[2];     /* arcsec per pixel along x, y */
    float *pixels;       /* (3, SIDE, SIDE) in the batch */
    float *stats;        /* (N_IMAGE_STATS) there */
    int32_t flag;
    float *ivar;    /* (SIDE, SIDE) */
    uint8_t *shown; /* (SIDE, SIDE) */
    float *spare;   /* (SIDE, SIDE) */
    Arena *scratch;
} Cut;

/* Turns a failure into a flag and a line in the log; memory stays a failure. */
static Status forgive(Cut *cut, Status st, const char *path)
{
    if (st == OK || st == E_MEMORY) return st;
    cut->flag |= IMAGE_UNREADABLE;
    source_report(cut->source, path, fail_record()->text);
    fail_clear();
    return OK;
}

static void refuse(Cut *cut, const char *why)
{
    cut->flag |= IMAGE_BAD_SCALE;
    source_report(cut->source, cut->file.file.path, why);
}

/* How the image lies on the sky: scale, mirrors; BAD_SCALE where it lies askew. */
static void orient(Cut *cut)
{
    double m[2][2];
    char text[160];
    CutFile *c = &cut->file;
    if (!c->placed) {
        refuse(cut, c->why);
        return;
    }
    wcs_around(m, &c->wcs, ((double)c->nx - 1) / 2, ((double)c->ny - 1) / 2);
    double turned = fmax(atan2(fabs(m[1][0]), fabs(m[0][0])), atan2(fabs(m[0][1]), fabs(m[1][1]))) * 180 / M_PI;
    for (int a = 0; a < 2; a++) cut->scale[a] = hypot(m[0][a], m[1][a]);
    cut->flip_x = m[0][0] > 0;
    cut->flip_y = m[1][1] < 0;
    if (!(turned <= MAX_ROTATION)) {
        snprintf(text, sizeof text, "its rows are turned against east and west by %.1f degrees; %d are taken", turned,
                 MAX_ROTATION);
        refuse(cut, text);
    }
}

static bool has_scale(const Cut *cut)
{
    return fabs(cut->scale[0] / PIXEL_SCALE - 1) <= 0.01 && fabs(cut->scale[1] / PIXEL_SCALE - 1) <= 0.01;
}

static void mirror(float *image, int64_t ny, int64_t nx, bool x, bool y)
{
    for (int64_t j = 0; j < ny; j++)
        for (int64_t i = 0; i < nx; i++) {
            int64_t to = (y ? ny - 1 - j : j) * nx + (x ? nx - 1 - i : i), from = j * nx + i;
            if (to <= from) continue; /* each pair once */
            float kept = image[from];
            image[from] = image[to];
            image[to] = kept;
        }
}

/* A box of the image as it would be with east left and north up; into scratch. Its middle is the same either way. */
static Status read_upright(float **pixels, float **ivar, Cut *cut, int band, int64_t y0, int64_t y1, int64_t x0,
                           int64_t x1)
{
    CutFile *c = &cut->file;
    int64_t ny = y1 - y0, nx = x1 - x0;
    TRY(arena_new(pixels, cut->scratch, ny * nx));
    TRY(arena_new(ivar, cut->scratch, ny * nx));
    if (ny < 1 || nx < 1) return OK;
    int64_t top = cut->flip_y ? c->ny - y1 : y0, left = cut->flip_x ? c->nx - x1 : x0;
    TRY(cutfile_read(*pixels, *ivar, c, band, top, top + ny, left, left + nx));
    mirror(*pixels, ny, nx, cut->flip_x, cut->flip_y);
    mirror(*ivar, ny, nx, cut->flip_x, cut->flip_y);
    return OK;
}

static int64_t clamp(int64_t i, int64_t n) { return i < 0 ? 0 : i > n ? n : i; }

/* The window around the middle of the image. */
static Status take_window(float *out, Cut *cut, int band)
{
    const CutFile *c = &cut->file;
    int64_t wx = window_first(((double)c->nx - 1) / 2), wy = window_first(((double)c->ny - 1) / 2);
    int64_t x0 = clamp(wx, c->nx), x1 = clamp(wx + SIDE, c->nx), y0 = clamp(wy, c->ny), y1 = clamp(wy + SIDE, c->ny);
    float *pixels, *ivar;
    TRY(read_upright(&pixels, &ivar, cut, band, y0, y1, x0, x1));
    for (int64_t y = y0; y < y1; y++) {
        int64_t to = (y - wy) * SIDE + x0 - wx, from = (y - y0) * (x1 - x0);
        memcpy(out + to, pixels + from, (size_t)(x1 - x0) * sizeof *out);
        memcpy(cut->ivar + to, ivar + from, (size_t)(x1 - x0) * sizeof *ivar);
        memset(cut->shown + to, 1, (size_t)(x1 - x0));
    }
    return OK;
}

/* The same piece of sky on the grid of 0.262". A new pixel has data when all old pixels that it meets have, and is shown
   when they cover it. */
static Status convert(float *out, Cut *cut, int band)
{
    const CutFile *c = &cut->file;
    RescaleAxis x = {c->nx, ((double)c->nx - 1) / 2, PIXEL_SCALE / cut->scale[0]};
    RescaleAxis y = {c->ny, ((double)c->ny - 1) / 2, PIXEL_SCALE / cut->scale[1]};
    int64_t x0, x1, y0, y1;
    float *pixels, *ivar;
    rescale_span(&x0, &x1, x, SIDE);
    rescale_span(&y0, &y1, y, SIDE);
    x = rescale_part(x, x0, x1);
    y = rescale_part(y, y0, y1);
    TRY(read_upright(&pixels, &ivar, cut, band, y0, y1, x0, x1));
    for (int64_t k = 0; k < (y1 - y0) * (x1 - x0); k++) {
        bool number = isfinite(pixels[k]), weight = isfinite(ivar[k]);
        if (!number || !weight) cut->flag |= IMAGE_NONFINITE;
        ivar[k] = !(number && weight && ivar[k] > 0); /* from here on: what lacks data */
        if (!number) pixels[k] = 0;
    }
    TRY(rescale_image(out, SIDE, pixels, y, x, cut->scratch));
    TRY(rescale_image(cut->ivar, SIDE, ivar, y, x, cut->scratch));
    rescale_coverage(cut->spare, SIDE, y, x);
    for (int64_t k = 0; k < WINDOW_PIXELS; k++) {
        cut->shown[k] = cut->spare[k] > 1 - 1e-5F; /* rounding of edges stays far below */
        cut->ivar[k] = cut->shown[k] && cut->ivar[k] < 1e-5F;
    }
    return OK;
}

static Status cut_band(Cut *cut, int band, uint64_t *lacking)
{
    Mark mark = arena_mark(cut->scratch);
    float *out = cut->pixels + band * WINDOW_PIXELS;
    memset(cut->ivar, 0, WINDOW_PIXELS * sizeof *cut->ivar);
    memset(cut->shown, 0, WINDOW_PIXELS);
    Status st = has_scale(cut) ? take_window(out, cut, band) : convert(out, cut, band);
    bool read = st == OK;
    TRY(forgive(cut, st, cut->file.file.path));
    arena_reset(cut->scratch, mark);
    if (read)
        cut->flag |=
            window_finish(&cut->stats[STAT_FRAC_COVERED_G + band], lacking, out, cut->ivar, cut->shown, cut->options);
    return OK;
}

/* False where the image cannot be put on our grid. */
static bool check_scale(Cut *cut)
{
    char text[160];
    int32_t before = cut->flag;
    orient(cut);
    if (cut->flag != before) return false;
    if (has_scale(cut)) return true;
    bool sane = true;
    for (int a = 0; a < 2; a++)
        sane = sane && cut->scale[a] > PIXEL_SCALE / MAX_RATIO && cut->scale[a] < PIXEL_SCALE * MAX_RATIO;
    if (sane && cut->options->other_scale == OTHER_SCALE_CONVERT) {
        cut->flag |= IMAGE_RESCALED;
        return true;
    }
    snprintf(text, sizeof text, "pixels of %.4g x %.4g arcsec instead of 0.262%s", cut->scale[0], cut->scale[1],
             sane ? "; images.other_scale: convert takes them" : ", too far off to be converted");
    refuse(cut, text);
    return false;
}

static Status cut_file(Cut *cut)
{
    uint64_t lacking[WINDOW_WORDS] = {0};
    CutFile *c = &cut->file;
    TRY(cutfile_check(c));
    for (int band = 0; band < N_BANDS; band++)
        if (c->image[band].hdu < 0) cut->flag |= IMAGE_MISSING_BAND;
    if (cut->flag) source_report(cut->source, c->file.path, "one of the bands g, r, z is absent");
    if (c->bricks > 1) source_report(cut->source, c->file.path, "shows parts of several bricks: the largest is taken");
    if (!check_scale(cut)) return OK;
    for (int band = 0; band < N_BANDS; band++)
        if (c->image[band].hdu >= 0) TRY(cut_band(cut, band, lacking));
    cut->flag |= window_judge(lacking, cut->options);
    return OK;
}

static void clear(Cut *cut)
{
    memset(cut->pixels, 0, N_BANDS * WINDOW_PIXELS * sizeof *cut->pixels);
    memset(cut->stats, 0, N_IMAGE_STATS * sizeof *cut->stats);
}

static Status cut_row(Cut *cut, const CatalogRow *row)
{
    char path[2 * CUTOUTS_PATH];
    const CutoutsConfig *config = cut->source->config;
    const FileList *files = cut->source->files;
    clear(cut);
    cut->flag = 0;
    if (!row->has_image || row->image_file < 0 || !files || row->image_file >= files->n) {
        cut->flag = row->has_image ? IMAGE_UNREADABLE : IMAGE_NOT_ASKED;
        return OK;
    }
    survey_file(path, sizeof path, config->root, files->path[row->image_file]);
    Status st = cutfile_open(&cut->file, path, cut->scratch);
    if (st == OK) st = cut_file(cut);
    st = forgive(cut, st, path);
    cutfile_close(&cut->file);
    if (cut->flag & IMAGE_UNREADABLE) clear(cut);
    return st;
}

Status cutouts_cut(ImageBatch *out, int64_t at, ImageSource *s, const ImagesConfig *options, const CatalogRow *rows,
                   int64_t n, Arena *scratch)
{
    Mark mark = arena_mark(scratch);
    Cut cut = {.source = s, .options = options, .scratch = scratch};
    TRY(arena_new(&cut.ivar, scratch, WINDOW_PIXELS));
    TRY(arena_new(&cut.shown, scratch, WINDOW_PIXELS));
    TRY(arena_new(&cut.spare, scratch, WINDOW_PIXELS));
    for (int64_t i = 0; i < n; i++) {
        Mark row = arena_mark(scratch);
        cut.pixels = out->pixels + (at + i) * N_BANDS * WINDOW_PIXELS;
        cut.stats = out->stats + (at + i) * N_IMAGE_STATS;
        TRY(helper_go_on());
        TRY(cut_row(&cut, &rows[i]));
        out->flag[at + i] = cut.flag;
        arena_reset(scratch, row);
    }
    arena_reset(scratch, mark);
    return OK;
}
