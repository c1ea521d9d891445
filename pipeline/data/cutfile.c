/* cutfile.c - what the headers of a cutout say. Every HDU is described first; then the largest image is the grid that
   the others must share. */
#include "data/cutfile.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { MAX_HDUS = 256, MAX_PLANES = 16, MAX_SIDE = 1 << 20 };

typedef enum { HDU_OTHER, HDU_IMAGE, HDU_INVVAR } HduKind;

typedef struct {
    HduKind kind;
    int64_t ny, nx;
    char brick[9];
    double grid[4];        /* CRPIX1, 2, CRVAL1, 2; NaN = absent */
    char band[MAX_PLANES]; /* of each plane; 0 = unknown */
} Hdu;

/* ---- one HDU ---- */

/* Sizes from the keywords alone, because a file that is cut short still says where it is on the sky. */
static bool read_sizes(int64_t *planes, Hdu *h, FitsFile *f)
{
    static const char *const names[2][4] = {{"NAXIS", "NAXIS1", "NAXIS2", "NAXIS3"},
                                            {"ZNAXIS", "ZNAXIS1", "ZNAXIS2", "ZNAXIS3"}};
    char type[FITS_NAME];
    int64_t axes = 0;
    bool compressed = false;
    fitsfile_get_bool(&compressed, f, "ZIMAGE");
    bool table = !compressed && fitsfile_get_text(type, sizeof type, f, "XTENSION") && strcmp(type, "IMAGE") != 0;
    const char *const *name = names[compressed];
    *planes = 1;
    if (table || !fitsfile_get_i64(&axes, f, name[0]) || axes < 2 || axes > 3) return false;
    if (!fitsfile_get_i64(&h->nx, f, name[1]) || !fitsfile_get_i64(&h->ny, f, name[2])) return false;
    if (axes == 3 && !fitsfile_get_i64(planes, f, name[3])) return false;
    return h->nx >= 1 && h->ny >= 1 && h->nx <= MAX_SIDE && h->ny <= MAX_SIDE && *planes >= 1 && *planes <= MAX_PLANES;
}

static HduKind kind_of(FitsFile *f)
{
    char type[FITS_NAME];
    if (!fitsfile_get_text(type, sizeof type, f, "IMAGETYP") || strcasecmp(type, "image") == 0) return HDU_IMAGE;
    return strcasecmp(type, "invvar") == 0 ? HDU_INVVAR : HDU_OTHER;
}

/* A band of one letter, 0 where the keyword is absent or says more: layers of other surveys have such. */
static char letter(FitsFile *f, const char *key)
{
    char text[FITS_NAME];
    return fitsfile_get_text(text, sizeof text, f, key) && strlen(text) == 1 ? text[0] : 0;
}

static void name_planes(Hdu *h, FitsFile *f, int64_t planes)
{
    char bands[FITS_NAME] = "", key[16];
    bool listed = fitsfile_get_text(bands, sizeof bands, f, "BANDS");
    if (planes == 1) {
        h->band[0] = letter(f, "BAND");
        if (!h->band[0]) h->band[0] = letter(f, "BANDS");
        if (!h->band[0] && !listed) h->band[0] = letter(f, "FILTER");
        return;
    }
    bool numbered = letter(f, "BAND0") != 0;
    const char *usual = planes == 3 ? "grz" : planes == 4 ? "griz" : "";
    const char *order = strlen(bands) == (size_t)planes ? bands : listed ? "" : usual;
    for (int64_t p = 0; p < planes; p++) {
        snprintf(key, sizeof key, "BAND%d", (int)p);
        if (numbered) h->band[p] = letter(f, key);
        if (!numbered && order[0]) h->band[p] = order[p];
    }
}

static Status describe(Hdu *h, FitsFile *f, int number)
{
    static const char *const keys[4] = {"CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2"};
    int64_t planes;
    memset(h, 0, sizeof *h);
    TRY(fitsfile_goto_number(f, number));
    if (!read_sizes(&planes, h, f)) return OK;
    h->kind = kind_of(f);
    name_planes(h, f, planes);
    fitsfile_get_text(h->brick, sizeof h->brick, f, "BRICK");
    for (int i = 0; i < 4; i++)
        if (!fitsfile_get_f64(&h->grid[i], f, keys[i])) h->grid[i] = NAN;
    return OK;
}

/* ---- the file ---- */

static int plane_of(const Hdu *h, char band)
{
    for (int p = 0; p < MAX_PLANES; p++)
        if (h->band[p] == band) return p;
    return -1;
}

static bool same_grid(const Hdu *a, const Hdu *b)
{
    if (a->ny != b->ny || a->nx != b->nx || strcmp(a->brick, b->brick) != 0) return false;
    for (int i = 0; i < 4; i++)
        if (fabs(a->grid[i] - b->grid[i]) > 1e-6) return false; /* what is absent does not differ */
    return true;
}

static bool shows(const Hdu *h)
{
    for (int band = 0; band < N_BANDS; band++)
        if (h->kind == HDU_IMAGE && plane_of(h, band_name[band]) >= 0) return true;
    return false;
}

static void assign(CutPlane out[N_BANDS], const Hdu *hdu, int n, const Hdu *grid, HduKind kind)
{
    for (int band = 0; band < N_BANDS; band++) {
        out[band] = (CutPlane){-1, 0};
        for (int i = n - 1; i >= 0; i--) { /* the first one counts */
            int plane = plane_of(&hdu[i], band_name[band]);
            if (hdu[i].kind == kind && plane >= 0 && same_grid(&hdu[i], grid)) out[band] = (CutPlane){i, plane};
        }
    }
}

/* Bricks that a subimage shows, by their names in the order of HDUs: those of one brick stand together. */
static int count_bricks(const Hdu *hdu, int n)
{
    int bricks = 1;
    const Hdu *last = NULL;
    for (int i = 0; i < n; i++) {
        if (!shows(&hdu[i])) continue;
        bricks += last && strcmp(last->brick, hdu[i].brick) != 0;
        last = &hdu[i];
    }
    return bricks;
}

static Status place(CutFile *c, int number, Arena *scratch)
{
    char *cards;
    int n_cards;
    TRY(fitsfile_goto_number(&c->file, number));
    TRY(fitsfile_header(&cards, &n_cards, &c->file, scratch));
    TRY(wcs_open(&c->wcs, cards, n_cards, c->file.path));
    wcs_to_sky(&c->ra, &c->dec, &c->wcs, (double[]){((double)c->nx - 1) / 2}, (double[]){((double)c->ny - 1) / 2}, 1);
    if (isnan(c->ra)) return FAIL(E_INPUT, "%s: its WCS cannot place the middle of the image", c->file.path);
    c->placed = true;
    return OK;
}

static Status read_headers(CutFile *c, Arena *scratch)
{
    Hdu *hdu;
    int n, grid = -1;
    fitsfile_count(&n, &c->whole, &c->file);
    if (n > MAX_HDUS) n = MAX_HDUS;
    TRY(arena_new(&hdu, scratch, n));
    for (int i = 0; i < n; i++) {
        TRY(describe(&hdu[i], &c->file, i));
        if (!shows(&hdu[i])) continue;
        if (grid < 0 || hdu[i].ny * hdu[i].nx > hdu[grid].ny * hdu[grid].nx) grid = i;
        if (!c->version[0]) fitsfile_get_text(c->version, sizeof c->version, &c->file, "VERSION");
    }
    if (grid < 0)
        return FAIL(E_INPUT, "%s: none of its %d HDUs is an image of g, r or z (BANDS, BAND, IMAGETYP)%s", c->file.path,
                    n, c->whole ? "" : "; the file is cut short");
    c->ny = hdu[grid].ny;
    c->nx = hdu[grid].nx;
    c->bricks = count_bricks(hdu, n);
    memcpy(c->brickname, hdu[grid].brick, sizeof c->brickname);
    assign(c->image, hdu, n, &hdu[grid], HDU_IMAGE);
    assign(c->invvar, hdu, n, &hdu[grid], HDU_INVVAR);
    Status st = place(c, grid, scratch);
    if (st == OK || st == E_MEMORY) return st;
    snprintf(c->why, sizeof c->why, "%.255s", fail_record()->text);
    fail_clear();
    return OK;
}

Status cutfile_open(CutFile *c, const char *path, Arena *scratch)
{
    Mark mark = arena_mark(scratch);
    memset(c, 0, sizeof *c);
    c->ra = c->dec = NAN;
    Status st = fitsfile_open(&c->file, path);
    if (st == OK) st = read_headers(c, scratch);
    arena_reset(scratch, mark);
    return st;
}

void cutfile_close(CutFile *c)
{
    if (!c) return;
    fitsfile_close(&c->file);
    wcs_close(&c->wcs);
}

static Status check_plane(CutFile *c, CutPlane p)
{
    int64_t dims[FITS_AXES];
    int n_axes;
    if (p.hdu < 0) return OK;
    TRY(fitsfile_goto_number(&c->file, p.hdu));
    return fitsfile_image_size(dims, &n_axes, &c->file); /* held against the length of the file */
}

Status cutfile_check(CutFile *c)
{
    int images = 0, weights = 0;
    for (int band = 0; band < N_BANDS; band++) {
        images += c->image[band].hdu >= 0;
        weights += c->invvar[band].hdu >= 0;
        TRY(check_plane(c, c->image[band]));
        TRY(check_plane(c, c->invvar[band]));
    }
    if (!c->whole && (images < N_BANDS || (weights > 0 && weights < images)))
        return FAIL(E_INPUT, "%s: is cut short or damaged: %d images and %d inverse variances of 3 bands are left",
                    c->file.path, images, weights);
    return OK;
}

static Status read_plane(float *out, CutFile *c, CutPlane from, int64_t y0, int64_t y1, int64_t x0, int64_t x1)
{
    TRY(fitsfile_goto_number(&c->file, from.hdu));
    return fitsfile_read_plane(out, &c->file, from.plane, y0, y1, x0, x1);
}

Status cutfile_read(float *pixels, float *ivar, CutFile *c, int band, int64_t y0, int64_t y1, int64_t x0, int64_t x1)
{
    TRY(read_plane(pixels, c, c->image[band], y0, y1, x0, x1));
    if (c->invvar[band].hdu >= 0) return read_plane(ivar, c, c->invvar[band], y0, y1, x0, x1);
    for (int64_t k = 0; k < (y1 - y0) * (x1 - x0); k++)
        ivar[k] = pixels[k] != 0; /* NaN counts; it is dealt with as NaN */
    return OK;
}
