/* mmu_images.c - the Legacy Surveys set of the Multimodal Universe, kind `mmu` of release.images: galaxies of DR10
   south brighter than 21 in z.

       image_array, image_ivar (N, B, 160, 160)   nanomaggies, as cut out of the bricks: rows grow with DEC
       image_band (N, B) or (B): des-g, des-r, des-i, des-z   image_scale (N, B) or (N): arcsec
       object_id (N): BRICKNAME-OBJID   RELEASE BRICKID OBJID ... (N): columns of the sweeps

   The bands g, r, z are found by name, and the middle 152 pixels are taken (release.images.crop_shift moves them: the
   set's makers gave positions that count from 1 to a program that counts from 0, so its cutouts are off by one pixel
   from those that kind `legacy` cuts; -1 gives the same window). Objects are known by RELEASE, BRICKID and OBJID, else
   by a hash of object_id; DESI rows of another release meet them by position. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "data/brick.h"
#include "data/legacy.h"
#include "data/mmu.h"
#include "data/window.h"

enum { MAX_BANDS = 8, BAND_CELL = 24, MAX_SIDE = 512 };

static const ConfigField image_set_fields[] = {
    FIELD_TEXT(StoredConfig, root, "mmu", EFFORT, "folder that holds healpix=NUMBER/"),
    FIELD_TEXTS(StoredConfig, files, "[]", NULL, RESULT,
                "files of the set, relative to the root; empty = all healpix=*/*.hdf5"),
    FIELD_TEXT(StoredConfig, release, "dr10", RESULT, "Legacy Surveys release that the set was made from"),
    FIELD_INT(StoredConfig, crop_shift, "0", -4, 4, RESULT,
              "pixels that the middle 152 are moved along both axes; -1 = the window that kind legacy cuts"),
    FIELD_END};

static const char *set_release(const void *config) { return ((const StoredConfig *)config)->release; }

/* ---- images ---- */

typedef struct {
    char image[48], ivar[48], band[48], scale[48]; /* datasets; "" = not there */
    int64_t n_bands, side, crop;
    bool one_list;       /* of bands, for all rows */
    int64_t scale_items; /* per row */
} Layout;
_Static_assert(sizeof(Layout) <= STORED_LAYOUT, "the datasets of a file fit the layout");

static Status find_bands(Layout *l, H5File *f, const StoredNames *names, int64_t n)
{
    H5Shape s;
    const char *found = stored_find(names, "image_band");
    if (!found) return FAIL(E_INPUT, "%s: there is no dataset 'image_band' in it; is it a file of this set?", f->path);
    snprintf(l->band, sizeof l->band, "%s", found);
    TRY(h5_shape(&s, f, found));
    l->one_list = s.n_dims == 1;
    TRY(l->one_list ? h5_expect(&s, f, found, (int64_t[]){l->n_bands}, 1)
                    : h5_expect(&s, f, found, (int64_t[]){n, l->n_bands}, 2));
    return s.type == H5_TEXT ? OK : FAIL(E_INPUT, "%s: dataset 'image_band' holds numbers, names expected", f->path);
}

/* Pixel scales, one per row or per row and band; a file without them has scale_items 0. */
static Status find_scale(Layout *l, H5File *f, const StoredNames *names, int64_t n)
{
    H5Shape s;
    const char *found = stored_find(names, "image_scale");
    if (!found) return OK;
    snprintf(l->scale, sizeof l->scale, "%s", found);
    TRY(h5_shape(&s, f, found));
    l->scale_items = s.n_dims == 1 ? 1 : l->n_bands;
    return stored_expect(&s, f, found, (int64_t[]){n, l->n_bands}, s.n_dims == 1 ? 1 : 2);
}

static Status look(void *layout, int64_t *n_rows, H5File *f, const void *config, Arena *scratch)
{
    Layout *l = layout;
    StoredNames names;
    H5Shape s;
    TRY(stored_names(&names, f, scratch));
    TRY(mmu_rows(n_rows, f, &names));
    const char *image = stored_find(&names, "image_array"), *ivar = stored_find(&names, "image_ivar");
    if (!image) return FAIL(E_INPUT, "%s: there is no dataset 'image_array' in it; is it a file of this set?", f->path);
    TRY(stored_expect(&s, f, image, (int64_t[]){*n_rows, -1, -1, -1}, 4));
    l->n_bands = s.dims[1];
    l->side = s.dims[2];
    l->crop = stored_crop(l->side) + ((const StoredConfig *)config)->crop_shift;
    bool fits = l->side >= CUTOUT_PIXELS && l->side <= MAX_SIDE && l->crop >= 0 && l->crop + CUTOUT_PIXELS <= l->side;
    if (l->n_bands < 1 || l->n_bands > MAX_BANDS || s.dims[3] != l->side || !fits)
        return FAIL(E_INPUT,
                    "%s: dataset '%s' does not hold images of 1 to %d bands and %d to %d pixels a side (with room for "
                    "release.images.crop_shift)",
                    f->path, image, MAX_BANDS, CUTOUT_PIXELS, MAX_SIDE);
    if (ivar) TRY(stored_expect(&s, f, ivar, (int64_t[]){*n_rows, l->n_bands, l->side, l->side}, 4));
    snprintf(l->image, sizeof l->image, "%s", image);
    snprintf(l->ivar, sizeof l->ivar, "%s", ivar ? ivar : "");
    TRY(find_bands(l, f, &names, *n_rows));
    return find_scale(l, f, &names, *n_rows);
}

/* Index of band b in a list of names such as "des-g"; -1 = not there. A second entry of that name does not count. */
static int64_t index_of_band(const char *names, int64_t n_bands, int b)
{
    for (int64_t k = 0; k < n_bands; k++) {
        char name[BAND_CELL + 1] = "";
        memcpy(name, names + k * BAND_CELL, BAND_CELL);
        size_t length = strlen(name);
        while (length > 0 && !isalnum((unsigned char)name[length - 1])) length--; /* blanks, and the end of b'des-g' */
        bool alone = length == 1 || (length > 1 && !isalnum((unsigned char)name[length - 2]));
        if (alone && tolower((unsigned char)name[length - 1]) == band_name[b]) return k;
    }
    return -1;
}

static Status read_scales(uint8_t *good, const Layout *l, H5File *f, int64_t first, int64_t n, Arena *scratch)
{
    double *scale;
    memset(good, 0, (size_t)n);
    if (l->scale_items == 0) return OK;
    TRY(arena_new(&scale, scratch, n * l->scale_items));
    TRY(h5_read_rows(scale, f, l->scale, H5_F64, 0, first, n));
    for (int64_t i = 0; i < n; i++) {
        good[i] = 1;
        for (int64_t k = 0; k < l->scale_items; k++)
            if (!(fabs(scale[i * l->scale_items + k] - PIXEL_SCALE) <= 0.01 * PIXEL_SCALE)) good[i] = 0;
    }
    return OK;
}

/* The middle of one plane. */
static void crop(float *to, const float *from, const Layout *l)
{
    for (int64_t y = 0; y < CUTOUT_PIXELS; y++)
        memcpy(to + y * CUTOUT_PIXELS, from + (y + l->crop) * l->side + l->crop, CUTOUT_PIXELS * sizeof *to);
}

static Status read_images(StoredImages *out, const void *layout, H5File *f, int64_t first, int64_t n, Arena *scratch)
{
    const Layout *l = layout;
    const int64_t plane = l->side * l->side, cell = l->n_bands * BAND_CELL;
    float *image, *ivar = NULL;
    char *names;
    TRY(arena_new(&image, scratch, n * l->n_bands * plane));
    TRY(arena_new(&names, scratch, n * cell));
    TRY(h5_read_rows(image, f, l->image, H5_F32, 0, first, n));
    if (l->ivar[0]) {
        TRY(arena_new(&ivar, scratch, n * l->n_bands * plane));
        TRY(h5_read_rows(ivar, f, l->ivar, H5_F32, 0, first, n));
    }
    TRY(h5_read_rows(names, f, l->band, H5_TEXT, BAND_CELL, l->one_list ? 0 : first, l->one_list ? l->n_bands : n));
    TRY(read_scales(out->good_scale, l, f, first, n, scratch));
    for (int64_t i = 0; i < n; i++) {
        out->bands[i] = 0;
        for (int b = 0; b < N_BANDS; b++) {
            int64_t k = index_of_band(names + (l->one_list ? 0 : i * cell), l->n_bands, b);
            int64_t to = (i * N_BANDS + b) * WINDOW_PIXELS, from = (i * l->n_bands + k) * plane;
            if (k < 0) continue;
            out->bands[i] |= (uint8_t)(1 << b);
            crop(out->pixels + to, image + from, l);
            if (ivar) crop(out->ivar + to, ivar + from, l);
            for (int64_t p = 0; p < WINDOW_PIXELS && !ivar; p++) out->ivar[to + p] = out->pixels[to + p] != 0;
        }
    }
    return OK;
}

static const StoredImageFormat format = {true, look, read_images};

static Status mmu_cutouts(ImageBatch *out, int64_t at, ImageSource *s, const ImagesConfig *options,
                          const CatalogRow *rows, int64_t n, Arena *scratch)
{
    return stored_cutouts(out, at, s, &format, options, rows, n, scratch);
}

/* ---- objects ---- */

/* Identifiers as numbers where the sweeps' columns are there. */
static void finish_row(CatalogRow *row, int64_t own_id, bool named, const char *path)
{
    row->targetid = named ? brick_targetid(row->release, row->brickid, row->brick_objid) : own_id;
    if (!row->photsys) row->photsys = legacy_photsys(row->release, path);
    row->has_image = 1;
    row->match = MATCH_ID;
}

static Status read_objects(CatalogRow *rows, H5File *f, const void *config, int64_t first, int64_t n, Arena *scratch)
{
    Layout l = {0};
    StoredNames names;
    int64_t *id, n_file;
    TRY(look(&l, &n_file, f, config, scratch)); /* files whose images cannot be read are refused */
    TRY(stored_names(&names, f, scratch));
    TRY(mmu_read_columns(rows, f, &names, NULL, first, n, scratch));
    TRY(arena_new(&id, scratch, n));
    TRY(mmu_read_ids(id, f, &names, first, n, scratch));
    bool named = stored_find(&names, "RELEASE") && stored_find(&names, "BRICKID") && stored_find(&names, "OBJID");
    for (int64_t i = 0; i < n; i++) finish_row(&rows[i], id[i], named, f->path);
    return OK;
}

static Status mmu_read_objects(CatalogRow *rows, int64_t *n_rows, int64_t skipped[N_REJECTS], const void *config,
                               const char *path, int64_t first, int64_t n, Arena *scratch)
{
    (void)skipped; /* the set is a selection already */
    H5File f;
    Status st = stored_open(&f, config, path);
    if (st == OK) st = read_objects(rows, &f, config, first, n, scratch);
    h5_close(&f);
    *n_rows = n;
    return st;
}

const ImageSurvey mmu_images = {
    .plugin = {"mmu", "the Legacy Surveys set of the Multimodal Universe (HDF5)", image_set_fields,
               sizeof(StoredConfig), NULL},
    .stored = true,
    .root = stored_root,
    .image_release = set_release,
    .list_objects = mmu_list,
    .count_objects = mmu_count,
    .read_objects = mmu_read_objects,
    .open = stored_images_open,
    .close = stored_images_close,
    .cutouts = mmu_cutouts,
};
