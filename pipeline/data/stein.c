/* stein.c - the image set of Stein et al. (2022), kind `stein` of release.images: 76 million galaxies of the Legacy
   Surveys DR9 in files of a million, images_npix152_FIRST_LAST.h5, under north/ and south/ or the root itself. The set
   that AstroDINO learned from.

       images (N, 3, 152, 152)   g, r, z in nanomaggies, as cut out of the bricks: rows grow with DEC
       ra dec release brickid objid (N)   and of the sweeps: flux (N, 3: g, r, z) ebv maskbits source_type
       z_spec z_phot_mean z_phot_std (N)   below -1 = not known

   No inverse variances: a pixel of exactly 0 was not observed. z_spec, where known, is the row's Z: a redshift of
   surveys before DESI, which probes can learn from. */
#include <math.h>
#include <string.h>

#include "data/brick.h"
#include "data/legacy.h"
#include "data/stored.h"
#include "data/window.h"

static const ConfigField stein_fields[] = {
    FIELD_TEXT(StoredConfig, root, "stein", EFFORT, "folder that holds the set: north/ and south/, or the files"),
    FIELD_TEXTS(StoredConfig, files, "[]", NULL, RESULT,
                "files of the set, relative to the root; empty = all images_npix152_*.h5 in it, in north/ and south/"),
    FIELD_END};

static const char *stein_release(const void *config)
{
    (void)config;
    return "dr9";
}

static Status stein_list(FileList *out, const void *config, Arena *a)
{
    static const char *const folder[] = {"", "north", "south"};
    const StoredConfig *c = config;
    int64_t room = 0;
    bool given;
    *out = (FileList){0};
    TRY(stored_add_given(out, &room, &given, c, a));
    for (int i = 0; i < 3 && !given; i++) TRY(stored_add_folder(out, &room, c->root, folder[i], "images_npix152_", a));
    return stored_check_found(out, c->root, "images_npix152_*.h5");
}

static Status look(void *layout, int64_t *n_rows, H5File *f, const void *config, Arena *scratch)
{
    (void)layout, (void)config, (void)scratch;
    H5Shape s;
    TRY(stored_expect(&s, f, "images", (int64_t[]){-1, N_BANDS, CUTOUT_PIXELS, CUTOUT_PIXELS}, 4));
    *n_rows = s.dims[0];
    return OK;
}

static Status stein_count(int64_t *n, const void *config, const char *path, Arena *scratch)
{
    H5File f;
    Status st = stored_open(&f, config, path);
    if (st == OK) st = look(NULL, n, &f, config, scratch);
    h5_close(&f);
    return st;
}

/* ---- objects ---- */

static const StoredColumn columns[] = {{"ra", H5_F64, 0, offsetof(CatalogRow, ra), true},
                                       {"dec", H5_F64, 0, offsetof(CatalogRow, dec), true},
                                       {"release", H5_I16, 0, offsetof(CatalogRow, release), true},
                                       {"brickid", H5_I32, 0, offsetof(CatalogRow, brickid), true},
                                       {"objid", H5_I32, 0, offsetof(CatalogRow, brick_objid), true},
                                       {"ebv", H5_F32, 0, offsetof(CatalogRow, ebv), false},
                                       {"maskbits", H5_I32, 0, offsetof(CatalogRow, maskbits), false},
                                       {"source_type", H5_TEXT, sizeof((CatalogRow *)0)->morphtype,
                                        offsetof(CatalogRow, morphtype), false},
                                       {"z_spec", H5_F64, 0, offsetof(CatalogRow, z), false},
                                       {"z_phot_mean", H5_F32, 0, offsetof(CatalogRow, z_phot), false},
                                       {"z_phot_std", H5_F32, 0, offsetof(CatalogRow, z_phot_std), false},
                                       {0}};

/* g, r, z of each row. */
static Status read_flux(CatalogRow *rows, H5File *f, const StoredNames *names, int64_t n_file, int64_t first, int64_t n,
                        Arena *scratch)
{
    H5Shape s;
    float *flux;
    const char *dataset = stored_find(names, "flux");
    if (!dataset) return OK;
    TRY(stored_expect(&s, f, dataset, (int64_t[]){n_file, N_BANDS}, 2));
    TRY(arena_new(&flux, scratch, n * N_BANDS));
    TRY(h5_read_rows(flux, f, dataset, H5_F32, 0, first, n));
    for (int64_t i = 0; i < n; i++) memcpy(rows[i].flux, flux + i * N_BANDS, sizeof rows[i].flux);
    return OK;
}

static void finish_row(CatalogRow *row, int64_t source_row, const char *path)
{
    Brick b;
    row->targetid = brick_targetid(row->release, row->brickid, row->brick_objid);
    row->photsys = legacy_photsys(row->release, path);
    if (brick_with_id(&b, row->brickid)) memcpy(row->brickname, b.name, sizeof row->brickname);
    if (!(row->z > -1)) row->z = NAN;
    if (!(row->z_phot > -1)) row->z_phot = row->z_phot_std = NAN;
    row->has_image = 1;
    row->match = MATCH_ID;
    row->source_row = source_row;
}

static Status read_objects(CatalogRow *rows, H5File *f, int64_t first, int64_t n, Arena *scratch)
{
    StoredNames names;
    int64_t n_file;
    for (int64_t i = 0; i < n; i++) catalog_new_row(&rows[i]);
    TRY(look(NULL, &n_file, f, NULL, scratch));
    TRY(stored_names(&names, f, scratch));
    TRY(stored_read_columns(rows, f, &names, columns, n_file, first, n, scratch));
    TRY(read_flux(rows, f, &names, n_file, first, n, scratch));
    for (int64_t i = 0; i < n; i++) finish_row(&rows[i], first + i, f->path);
    return OK;
}

static Status stein_read_objects(CatalogRow *rows, int64_t *n_rows, int64_t skipped[N_REJECTS], const void *config,
                                 const char *path, int64_t first, int64_t n, Arena *scratch)
{
    (void)skipped; /* the set is a selection already */
    H5File f;
    Status st = stored_open(&f, config, path);
    if (st == OK) st = read_objects(rows, &f, first, n, scratch);
    h5_close(&f);
    *n_rows = n;
    return st;
}

/* ---- images ---- */

static Status read_images(StoredImages *out, const void *layout, H5File *f, int64_t first, int64_t n, Arena *scratch)
{
    (void)layout, (void)scratch;
    memset(out->bands, 7, (size_t)n);
    memset(out->good_scale, 1, (size_t)n);
    return h5_read_rows(out->pixels, f, "images", H5_F32, 0, first, n);
}

static const StoredImageFormat format = {false, look, read_images};

static Status stein_cutouts(ImageBatch *out, int64_t at, ImageSource *s, const ImagesConfig *options,
                            const CatalogRow *rows, int64_t n, Arena *scratch)
{
    return stored_cutouts(out, at, s, &format, options, rows, n, scratch);
}

const ImageSurvey stein_images = {
    .plugin = {"stein", "the image set of Stein et al. (HDF5): galaxies of Legacy Surveys DR9", stein_fields,
               sizeof(StoredConfig), NULL},
    .stored = true,
    .root = stored_root,
    .image_release = stein_release,
    .list_objects = stein_list,
    .count_objects = stein_count,
    .read_objects = stein_read_objects,
    .open = stored_images_open,
    .close = stored_images_close,
    .cutouts = stein_cutouts,
};
