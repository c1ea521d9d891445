/* cutout.c - cutouts of any rows from any bricks (DESIGN.md section 8).

   Rows are grouped by brick; a brick is read band by band, whole or box by box, whichever decompresses less. A
   window is filled in three steps: what the own brick shows; of the rest, each pixel from the brick whose box holds
   its position; of what is left, from any brick that shows it, lowest BRICKID first. What a row gets depends on the
   files alone, never on the other rows. Where release.images.maskbits asks for them, the bits of the pixels are read
   first, in the same three steps, and the pixels that have one count as without data in every band. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/helper.h"
#include "data/brickband.h"
#include "data/flags.h"
#include "data/window.h"

enum { SIDE = CUTOUT_PIXELS, PIXELS = WINDOW_PIXELS, WORDS = WINDOW_WORDS, MAX_NEIGHBOURS = 64 };

/* Degrees: candidates for a mosaic are bricks whose images, up to 15 % larger than 3600 pixels, meet a cutout around
   the position. Whether they show a pixel is up to their own WCS and size. */
#define MOSAIC_REACH 0.16

typedef struct {
    int64_t row;
    Brick brick;
    char photsys;
} Item;

enum { NOT_SHOWN, SHOWN, SHOWN_BY_NEIGHBOUR };

/* One band of one cutout while it is put together. */
typedef struct {
    int64_t row;           /* index in the rows of the call */
    int64_t x0, y0;        /* first pixel in the own brick, may lie outside */
    float *pixels;         /* (SIDE, SIDE) in the batch  */
    float *ivar;           /* (SIDE, SIDE)               */
    uint8_t *shown;        /* (SIDE, SIDE)               */
    float *box, *box_ivar; /* (SIDE, SIDE) as read       */
    uint64_t *lacking;     /* WORDS: bit = pixel lacks data in a band that has some */
    uint64_t *masked;      /* WORDS: bit = pixel has one of the configured maskbits */
    uint64_t *unchecked;   /* WORDS: bit = no maskbits file shows the pixel */
} Window;

/* One brick and its rows. */
typedef struct {
    ImageSource *source;
    const ImagesConfig *options;
    const CatalogRow *rows; /* of the call */
    ImageBatch *out;
    int64_t at;
    const Item *item; /* its rows */
    int64_t n;
    Brick brick;
    const char *region;
    int band;
    BrickBand own;
    BrickBand *neighbour; /* MAX_NEIGHBOURS, those met so far in this band */
    int n_neighbours;
    uint64_t *lacking;            /* (n, WORDS) */
    int32_t maskbits;             /* configured; 0 = none, and the next three are not used */
    uint64_t *masked, *unchecked; /* (n, WORDS) */
    float *mask_pixels;           /* (SIDE, SIDE): bits of one window as read */
    Window window;
    Arena *scratch;
} Job;

static int32_t *flag_of(const Job *j, int64_t row) { return &j->out->flag[j->at + row]; }

static void flag_all(const Job *j, int32_t bits)
{
    for (int64_t i = 0; i < j->n; i++) *flag_of(j, j->item[i].row) |= bits;
}

/* ---- pixels from other bricks ---- */

/* The pixels of a window that its own brick does not show; those that are asked of one neighbour, and where it has
   them. */
typedef struct {
    int64_t n;
    int32_t *pixel;   /* (n) index in the window          */
    int32_t *holder;  /* (n) BRICKID of the box, 0 = none */
    double *ra, *dec; /* (n) positions; NaN = none        */
    int64_t n_asked;
    int32_t *asked;               /* (n_asked) index in the window */
    double *asked_ra, *asked_dec; /* (n_asked)                     */
    double *x, *y;                /* (n_asked) in the neighbour, then its nearest pixel; -1 = not shown */
} Missing;

static Status missing_find(Missing *m, Job *j)
{
    Window *w = &j->window;
    memset(m, 0, sizeof *m);
    int32_t **whole_numbers[] = {&m->pixel, &m->holder, &m->asked};
    double **numbers[] = {&m->ra, &m->dec, &m->asked_ra, &m->asked_dec, &m->x, &m->y};
    for (int i = 0; i < 3; i++) TRY(arena_new(whole_numbers[i], j->scratch, PIXELS));
    for (int i = 0; i < 6; i++) TRY(arena_new(numbers[i], j->scratch, PIXELS));
    for (int32_t k = 0; k < PIXELS; k++) {
        if (w->shown[k]) continue;
        m->pixel[m->n] = k;
        m->x[m->n] = (double)(w->x0 + k % SIDE);
        m->y[m->n] = (double)(w->y0 + k / SIDE);
        m->n++;
    }
    wcs_to_sky(m->ra, m->dec, &j->own.wcs, m->x, m->y, m->n);
    for (int64_t i = 0; i < m->n; i++) m->holder[i] = brick_id_at(m->ra[i], m->dec[i]);
    return OK;
}

/* This band of another brick, open; NULL when there are already too many (never met: even a
   polar cap has 26 bricks around it). */
static Status find_neighbour(BrickBand **out, Job *j, const Brick *b)
{
    *out = NULL;
    for (int i = 0; i < j->n_neighbours; i++)
        if (j->neighbour[i].id == b->id) *out = &j->neighbour[i];
    if (*out || j->n_neighbours == MAX_NEIGHBOURS) return OK;
    *out = &j->neighbour[j->n_neighbours++];
    TRY(brickband_open(*out, j->source, j->region, b, j->band, j->scratch));
    if ((*out)->state == BAND_READY && !(*out)->good_scale)
        source_report(j->source, (*out)->image.path,
                      "another pixel scale than 0.262 arcsec: not used beside other bricks");
    return OK;
}

/* What is asked of a brick: pixels that nothing shows yet; with `only_held`, those of them that lie in its box. */
static void ask(Missing *m, const uint8_t *shown, int32_t id, bool only_held)
{
    m->n_asked = 0;
    for (int64_t i = 0; i < m->n; i++) {
        if (shown[m->pixel[i]] || (only_held && m->holder[i] != id)) continue;
        m->asked[m->n_asked] = m->pixel[i];
        m->asked_ra[m->n_asked] = m->ra[i];
        m->asked_dec[m->n_asked++] = m->dec[i];
    }
}

/* Nearest pixels of the neighbour and the box around them. False when it shows none, or when the box is far larger
   than a window: a WCS that no survey image has. */
static bool bound(int64_t box[4], Missing *m, const BrickBand *b)
{
    box[0] = box[2] = INT64_MAX;
    box[1] = box[3] = -1;
    for (int64_t i = 0; i < m->n_asked; i++) {
        m->x[i] = floor(m->x[i] + 0.5);
        m->y[i] = floor(m->y[i] + 0.5);
        if (!(m->x[i] >= 0 && m->x[i] < (double)b->nx && m->y[i] >= 0 && m->y[i] < (double)b->ny)) {
            m->x[i] = m->y[i] = -1;
            continue;
        }
        int64_t x = (int64_t)m->x[i], y = (int64_t)m->y[i];
        if (y < box[0]) box[0] = y;
        if (y >= box[1]) box[1] = y + 1;
        if (x < box[2]) box[2] = x;
        if (x >= box[3]) box[3] = x + 1;
    }
    return box[1] > box[0] && box[1] - box[0] <= 4 * SIDE && box[3] - box[2] <= 4 * SIDE;
}

/* Fills the missing pixels that brick b shows: all of them, or only those that lie in its box. */
static Status fill_from(Job *j, Missing *m, const Brick *b, bool only_held)
{
    Window *w = &j->window;
    BrickBand *other;
    TRY(find_neighbour(&other, j, b));
    if (!other || other->state != BAND_READY || !other->good_scale) return OK;
    int64_t box[4];
    ask(m, w->shown, b->id, only_held);
    wcs_to_pixel(m->x, m->y, &other->wcs, m->asked_ra, m->asked_dec, m->n_asked);
    if (!bound(box, m, other)) return OK;

    int64_t width = box[3] - box[2];
    float *pixels, *ivar;
    TRY(arena_new(&pixels, j->scratch, (box[1] - box[0]) * width));
    TRY(arena_new(&ivar, j->scratch, (box[1] - box[0]) * width));
    bool good;
    TRY(brickband_read(&good, pixels, ivar, other, j->source, box[0], box[1], box[2], box[3]));
    for (int64_t i = 0; good && i < m->n_asked; i++) {
        if (m->x[i] < 0) continue;
        int64_t from = ((int64_t)m->y[i] - box[0]) * width + (int64_t)m->x[i] - box[2];
        w->pixels[m->asked[i]] = pixels[from];
        w->ivar[m->asked[i]] = ivar[from];
        w->shown[m->asked[i]] = SHOWN_BY_NEIGHBOUR;
    }
    return OK;
}

static bool all_shown(const Window *w) { return memchr(w->shown, NOT_SHOWN, PIXELS) == NULL; }

static bool is_among(const int32_t *list, int n, int32_t id)
{
    for (int i = 0; i < n; i++)
        if (list[i] == id) return true;
    return false;
}

static Status mosaic(Job *j)
{
    Missing m;
    int32_t tried[MAX_NEIGHBOURS];
    int n_tried = 0;
    TRY(missing_find(&m, j));
    for (int64_t i = 0; i < m.n; i++) { /* each pixel from the brick whose box holds it */
        Brick b;
        if (m.holder[i] == j->brick.id || is_among(tried, n_tried, m.holder[i]) || !brick_with_id(&b, m.holder[i]))
            continue;
        if (n_tried < MAX_NEIGHBOURS) tried[n_tried++] = b.id;
        TRY(fill_from(j, &m, &b, true));
    }
    if (all_shown(&j->window)) return OK;
    Brick list[BRICK_LIST];
    const CatalogRow *row = &j->rows[j->window.row];
    int n = brick_list(list, row->ra, row->dec, MOSAIC_REACH);
    for (int i = 0; i < n && !all_shown(&j->window); i++)
        if (list[i].id != j->brick.id) TRY(fill_from(j, &m, &list[i], false));
    return OK;
}

/* ---- one window ---- */

static int64_t clamp(int64_t i, int64_t n) { return i < 0 ? 0 : i > n ? n : i; }

/* What the own brick shows of the window. */
static Status fill_own(bool *good, Job *j)
{
    Window *w = &j->window;
    BrickBand *b = &j->own;
    int64_t x0 = clamp(w->x0, b->nx), x1 = clamp(w->x0 + SIDE, b->nx), y0 = clamp(w->y0, b->ny),
            y1 = clamp(w->y0 + SIDE, b->ny);
    *good = true;
    if (x1 <= x0 || y1 <= y0) return OK;
    TRY(brickband_read(good, w->box, w->box_ivar, b, j->source, y0, y1, x0, x1));
    size_t width = (size_t)(x1 - x0);
    for (int64_t y = y0; *good && y < y1; y++) {
        int64_t to = (y - w->y0) * SIDE + x0 - w->x0, from = (y - y0) * (x1 - x0);
        memcpy(w->pixels + to, w->box + from, width * sizeof *w->pixels);
        memcpy(w->ivar + to, w->box_ivar + from, width * sizeof *w->ivar);
        memset(w->shown + to, SHOWN, width);
    }
    return OK;
}

static bool has_bit(const uint64_t *map, int64_t k) { return map[k / 64] >> (k % 64) & 1; }
static void set_bit(uint64_t *map, int64_t k) { map[k / 64] |= UINT64_C(1) << (k % 64); }

/* The maskbits of a window: which pixels are masked, and which are not known. */
static void finish_mask(Job *j)
{
    Window *w = &j->window;
    memset(w->unchecked, 0, WORDS * sizeof *w->unchecked);
    for (int64_t k = 0; k < PIXELS; k++) {
        bool known = w->shown[k] && w->pixels[k] >= 0 && w->pixels[k] <= 1 << 24;
        if (!known) set_bit(w->unchecked, k);
        if (known && ((int32_t)w->pixels[k] & j->maskbits)) set_bit(w->masked, k);
    }
}

/* Takes the weight from masked pixels. False, and nothing is changed, when that would leave a band without any: the
   band is covered, and NO_COVERAGE would be wrong. */
static bool apply_mask(Window *w)
{
    bool left = false;
    for (int64_t k = 0; k < PIXELS && !left; k++)
        left = isfinite(w->pixels[k]) && isfinite(w->ivar[k]) && w->ivar[k] > 0 && !has_bit(w->masked, k);
    for (int64_t k = 0; left && k < PIXELS; k++)
        if (has_bit(w->masked, k) && isfinite(w->ivar[k])) w->ivar[k] = 0;
    return left;
}

/* Cleans the pixels, says what they are, adds those without data to the row's map. */
static void finish_window(Job *j)
{
    Window *w = &j->window;
    float *share = &j->out->stats[(j->at + w->row) * N_IMAGE_STATS + j->band];
    int32_t flag = 0;
    bool left = !j->maskbits || apply_mask(w);
    for (int64_t k = 0; k < PIXELS; k++) {
        if (w->shown[k] == SHOWN_BY_NEIGHBOUR) flag |= IMAGE_MOSAIC;
        if (j->maskbits && w->shown[k] && has_bit(w->unchecked, k)) flag |= IMAGE_NO_MASKBITS;
    }
    flag |= window_finish(share, w->lacking, w->pixels, w->ivar, w->shown, j->options);
    if (!left && !(flag & IMAGE_NO_COVERAGE)) { /* all of it is masked */
        flag |= IMAGE_BAD_PIXELS;
        memset(w->lacking, 0xff, WORDS * sizeof *w->lacking); /* 152 x 152 is a multiple of 64 */
        *share = 0;
    }
    *flag_of(j, w->row) |= flag;
}

static Status cut_window(Job *j, int64_t i, double x, double y)
{
    Window *w = &j->window;
    w->row = j->item[i].row;
    bool mask = j->band == BAND_MASK;
    w->pixels = mask ? j->mask_pixels : j->out->pixels + ((j->at + w->row) * N_BANDS + j->band) * PIXELS;
    w->lacking = j->lacking + i * WORDS;
    w->masked = j->masked + i * WORDS;
    w->unchecked = j->unchecked + i * WORDS;
    if (!(fabs(x) < 1e9 && fabs(y) < 1e9)) { /* the header's sky is elsewhere */
        if (!mask) *flag_of(j, w->row) |= IMAGE_UNREADABLE;
        source_report(j->source, j->own.image.path, "its WCS cannot place the positions of its brick");
        return OK;
    }
    w->x0 = window_first(x);
    w->y0 = window_first(y);
    memset(w->ivar, 0, PIXELS * sizeof *w->ivar);
    memset(w->shown, NOT_SHOWN, PIXELS);
    bool good;
    TRY(fill_own(&good, j));
    if (!good && !mask) *flag_of(j, w->row) |= IMAGE_UNREADABLE;
    if (!good) return OK; /* maskbits stay unchecked */
    if (!all_shown(w)) {
        /* Neighbours' headers are read into scratch too; nothing of them is kept, so all of it goes. */
        Mark mark = arena_mark(j->scratch);
        TRY(mosaic(j));
        arena_reset(j->scratch, mark);
    }
    if (mask)
        finish_mask(j);
    else
        finish_window(j);
    return OK;
}

/* ---- one brick ---- */

/* True when reading all boxes would decompress as much as reading the band. */
static bool whole_is_cheaper(const Job *j, const double *x, const double *y)
{
    const BrickBand *b = &j->own;
    if (j->source->whole) return j->source->whole > 0;
    int64_t cost = 0;
    for (int64_t i = 0; i < j->n; i++) {
        if (!(fabs(x[i]) < 1e9 && fabs(y[i]) < 1e9)) continue;
        int64_t x0 = window_first(x[i]), y0 = window_first(y[i]);
        cost += brickband_cost(b, clamp(y0, b->ny), clamp(y0 + SIDE, b->ny), clamp(x0, b->nx), clamp(x0 + SIDE, b->nx));
    }
    return cost >= b->ny * b->nx;
}

static Status cut_band(Job *j)
{
    double *ra, *dec, *x, *y;
    TRY(arena_new(&ra, j->scratch, j->n));
    TRY(arena_new(&dec, j->scratch, j->n));
    TRY(arena_new(&x, j->scratch, j->n));
    TRY(arena_new(&y, j->scratch, j->n));
    for (int64_t i = 0; i < j->n; i++) {
        ra[i] = j->rows[j->item[i].row].ra;
        dec[i] = j->rows[j->item[i].row].dec;
    }
    wcs_to_pixel(x, y, &j->own.wcs, ra, dec, j->n);
    if (whole_is_cheaper(j, x, y)) brickband_load(&j->own, j->scratch);
    for (int64_t i = 0; i < j->n; i++) TRY(cut_window(j, i, x[i], y[i]));
    return OK;
}

/* Opens the band, cuts it where it can be cut, flags it where not. */
static Status do_band(BandState *state, Job *j)
{
    Mark mark = arena_mark(j->scratch);
    Status st = brickband_open(&j->own, j->source, j->region, &j->brick, j->band, j->scratch);
    *state = j->own.state;
    j->n_neighbours = 0;
    bool mask = j->band == BAND_MASK;
    if (st == OK && *state == BAND_BROKEN && !mask) flag_all(j, IMAGE_UNREADABLE);
    if (st == OK && *state == BAND_READY && !j->own.good_scale && !mask) flag_all(j, IMAGE_BAD_SCALE);
    if (st == OK && *state == BAND_READY && j->own.good_scale) st = cut_band(j);
    for (int i = 0; i < j->n_neighbours; i++) brickband_close(&j->neighbour[i]);
    brickband_close(&j->own);
    arena_reset(j->scratch, mark);
    return st;
}

/* Flags and reports the bands that are not there: one line for each, or one for a brick that has none. */
static Status flag_absent(const Job *j, const BandState state[N_BANDS])
{
    bool any = false;
    for (int band = 0; band < N_BANDS; band++) any = any || state[band] != BAND_ABSENT;
    for (int band = 0; band < N_BANDS; band++) {
        char name[LEGACY_PATH], path[2 * LEGACY_PATH];
        if (state[band] != BAND_ABSENT) continue;
        flag_all(j, any ? IMAGE_MISSING_BAND : IMAGE_NO_BRICK);
        TRY(legacy_image_path(name, sizeof name, j->source->config, j->region, j->brick.name, PRODUCT_IMAGE, band));
        survey_file(path, sizeof path, ((const LegacyConfig *)j->source->config)->root, name);
        if (any || band == 0)
            source_report(j->source, path, any ? "absent" : "absent, as are the other bands of its brick");
    }
    return OK;
}

/* The maskbits of the brick's windows. What no file shows stays unchecked. */
static Status read_masks(BandState *state, Job *j)
{
    TRY(arena_take((void **)&j->masked, j->scratch, j->n, WORDS * sizeof *j->masked));
    TRY(arena_take((void **)&j->unchecked, j->scratch, j->n, WORDS * sizeof *j->unchecked));
    memset(j->unchecked, 0xff, (size_t)j->n * WORDS * sizeof *j->unchecked);
    j->band = BAND_MASK;
    return do_band(state, j);
}

static Status report_absent_mask(const Job *j)
{
    char name[LEGACY_PATH], path[2 * LEGACY_PATH];
    const LegacyConfig *c = j->source->config;
    TRY(legacy_image_path(name, sizeof name, c, j->region, j->brick.name, PRODUCT_MASKBITS, 0));
    survey_file(path, sizeof path, c->root, name);
    source_report(j->source, path, "absent: the pixels are not held against release.images.maskbits");
    return OK;
}

static Status cut_brick(Job *j)
{
    BandState state[N_BANDS], mask = BAND_READY;
    bool any = false;
    j->brick = j->item[0].brick;
    j->region = legacy_region(j->source->config, j->item[0].photsys, &j->brick);
    TRY(arena_take((void **)&j->lacking, j->scratch, j->n, WORDS * sizeof *j->lacking));
    j->masked = j->unchecked = j->lacking; /* not used without maskbits */
    if (j->maskbits) TRY(read_masks(&mask, j));
    for (j->band = 0; j->band < N_BANDS; j->band++) TRY(do_band(&state[j->band], j));
    TRY(flag_absent(j, state));
    for (int band = 0; band < N_BANDS; band++) any = any || state[band] == BAND_READY;
    if (any && mask == BAND_ABSENT) TRY(report_absent_mask(j));
    for (int64_t i = 0; i < j->n; i++) *flag_of(j, j->item[i].row) |= window_judge(j->lacking + i * WORDS, j->options);
    return OK;
}

static int compare_items(const void *a, const void *b)
{
    const Item *p = a, *q = b;
    if (p->brick.id != q->brick.id) return p->brick.id < q->brick.id ? -1 : 1;
    if (p->photsys != q->photsys) return p->photsys < q->photsys ? -1 : 1;
    return p->row < q->row ? -1 : p->row > q->row;
}

/* Rows that have a brick, sorted by it; the others are flagged. */
static Status group_rows(Item **out, int64_t *n_out, const ImageBatch *batch, int64_t at, const CatalogRow *rows,
                         int64_t n, Arena *a)
{
    Item *item;
    int64_t k = 0;
    TRY(arena_new(&item, a, n));
    for (int64_t i = 0; i < n; i++) {
        memset(batch->pixels + (at + i) * N_BANDS * PIXELS, 0, N_BANDS * PIXELS * sizeof *batch->pixels);
        for (int s = 0; s < N_IMAGE_STATS; s++) batch->stats[(at + i) * N_IMAGE_STATS + s] = 0;
        bool asked = rows[i].has_image, found = asked && brick_at(&item[k].brick, rows[i].ra, rows[i].dec);
        batch->flag[at + i] = !asked ? IMAGE_NOT_ASKED : found ? 0 : IMAGE_BAD_POSITION;
        if (!found) continue;
        item[k].row = i;
        item[k].photsys = rows[i].photsys == 'N' || rows[i].photsys == 'S' ? rows[i].photsys : ' ';
        k++;
    }
    qsort(item, (size_t)k, sizeof *item, compare_items);
    *out = item;
    *n_out = k;
    return OK;
}

Status legacy_cutouts(ImageBatch *out, int64_t at, ImageSource *s, const ImagesConfig *options, const CatalogRow *rows,
                      int64_t n, Arena *scratch)
{
    Status st = OK;
    Mark start = arena_mark(scratch);
    Job j = {.source = s, .options = options, .rows = rows, .out = out, .at = at, .scratch = scratch};
    j.maskbits = legacy_maskbits(&((const LegacyConfig *)s->config)->maskbits);
    Item *item;
    int64_t n_items;
    TRY_DONE(group_rows(&item, &n_items, out, at, rows, n, scratch));
    TRY_DONE(arena_new(&j.neighbour, scratch, MAX_NEIGHBOURS));
    TRY_DONE(arena_new(&j.window.ivar, scratch, PIXELS));
    TRY_DONE(arena_new(&j.window.shown, scratch, PIXELS));
    TRY_DONE(arena_new(&j.window.box, scratch, PIXELS));
    TRY_DONE(arena_new(&j.window.box_ivar, scratch, PIXELS));
    TRY_DONE(arena_new(&j.mask_pixels, scratch, PIXELS));
    for (int64_t first = 0; first < n_items; first += j.n) {
        Mark mark = arena_mark(scratch);
        j.item = item + first;
        for (j.n = 1; first + j.n < n_items; j.n++)
            if (j.item[j.n].brick.id != j.item[0].brick.id || j.item[j.n].photsys != j.item[0].photsys) break;
        TRY_DONE(helper_go_on());
        TRY_DONE(cut_brick(&j));
        arena_reset(scratch, mark);
    }
done:
    arena_reset(scratch, start);
    return st;
}
