/* paired.c - the published AstroCLIP set, kind `astroclip` of both release.spectra and release.images: galaxies of the
   DESI Early Data Release with their images of the Legacy Surveys DR9. A file holds groups "0", "1", ... "9", each with

       targetids (N)   redshifts (N)   spectra (N, 7781, 1) or (N, 7781)   images (N, 152, 152, 3)

   spectra: flux on the DESI grid, 1e-17 erg/s/cm2/Angstrom, without errors or masks. The flux is taken as released. A
   pixel of exactly 0 is one that the coadd left without information (it wrote 0 where ivar was 0, and a measured flux
   is never 0 to the last bit); all others count as good, with ivar 1. SNR statistics are 0: not known.
   images: nanomaggies, the full transpose [column][row][band] of a brick's [band][row][column]; bands g, r, z.

   Rows are numbered through the groups in the order of their numbers. Positions are not in the file: RA and DEC are
   NaN, HEALPIX is 0, and spectrum and image meet by TARGETID, which also tells RELEASE, BRICKID and BRICK_OBJID. SURVEY
   and PROGRAM stay empty. The set's own division (the first 80 % of each group train) is not used: catalog.*_fraction
   divides by TARGETID. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/brick.h"
#include "data/legacy.h"
#include "data/stored.h"
#include "data/window.h"

enum { MAX_GROUPS = 256, GROUP_NAME = 16, GROUP_PATH = 64 };

static const ConfigField paired_fields[] = {
    FIELD_TEXT(StoredConfig, root, "astroclip", EFFORT, "folder that holds the set"),
    FIELD_TEXTS(StoredConfig, files, "[]", NULL, RESULT,
                "files of the set, relative to the root; empty = all *.h5 and *.hdf5 in it"),
    FIELD_END};

static const char *paired_specprod(const void *config)
{
    (void)config;
    return "fuji";
}

static const char *paired_release(const void *config)
{
    (void)config;
    return "dr9";
}

static Status paired_list(FileList *out, const void *config, Arena *a)
{
    const StoredConfig *c = config;
    int64_t room = 0;
    bool given;
    *out = (FileList){0};
    TRY(stored_add_given(out, &room, &given, c, a));
    if (!given) TRY(stored_add_folder(out, &room, c->root, "", "", a));
    return stored_check_found(out, c->root, "*.h5 or *.hdf5");
}

/* ---- groups ---- */

typedef struct {
    int64_t number, n, first; /* rows; the first one of them in the file's count */
    char name[GROUP_NAME];
} Group;

typedef struct {
    int n;
    Group group[MAX_GROUPS];
} Layout;
_Static_assert(sizeof(Layout) <= STORED_LAYOUT, "the groups of a file fit the layout");

static int compare_groups(const void *a, const void *b)
{
    const Group *x = a, *y = b;
    if (x->number != y->number) return x->number < y->number ? -1 : 1;
    return strcmp(x->name, y->name);
}

static bool is_number(const char *text)
{
    size_t n = strlen(text);
    for (size_t i = 0; i < n; i++)
        if (!isdigit((unsigned char)text[i])) return false;
    return n > 0 && n < GROUP_NAME;
}

static const char *member(char path[GROUP_PATH], const Group *g, const char *dataset)
{
    snprintf(path, GROUP_PATH, "%s/%s", g->name, dataset);
    return path;
}

/* The groups of a file, in order, with their rows. */
static Status find_groups(Layout *out, H5File *f, Arena *scratch)
{
    StoredNames names;
    char path[GROUP_PATH];
    out->n = 0;
    TRY(stored_names(&names, f, scratch));
    for (int64_t i = 0; i < names.n; i++) {
        if (!is_number(names.name[i])) continue;
        if (out->n == MAX_GROUPS) return FAIL(E_INPUT, "%s: more than %d numbered groups", f->path, MAX_GROUPS);
        Group *g = &out->group[out->n++];
        snprintf(g->name, sizeof g->name, "%s", names.name[i]);
        g->number = strtoll(g->name, NULL, 10);
    }
    if (out->n == 0)
        return FAIL(E_INPUT, "%s: there are no groups '0', '1', ... in it; is it the AstroCLIP set?", f->path);
    qsort(out->group, (size_t)out->n, sizeof *out->group, compare_groups);
    for (int i = 0; i < out->n; i++) {
        H5Shape s;
        Group *g = &out->group[i];
        TRY(stored_expect(&s, f, member(path, g, "targetids"), (int64_t[]){-1}, 1));
        g->n = s.dims[0];
        g->first = i ? out->group[i - 1].first + out->group[i - 1].n : 0;
    }
    return OK;
}

static int64_t count_rows(const Layout *l) { return l->group[l->n - 1].first + l->group[l->n - 1].n; }

/* The part of rows [first, first + n) that is in a group: rows [*from, *from + result) of it. */
static int64_t part_of(int64_t *from, const Group *g, int64_t first, int64_t n)
{
    int64_t start = first > g->first ? first : g->first;
    int64_t stop = first + n < g->first + g->n ? first + n : g->first + g->n;
    *from = start - g->first;
    return stop > start ? stop - start : 0;
}

static Status paired_count(int64_t *n, const void *config, const char *path, Arena *scratch)
{
    Status st = OK;
    H5File f;
    Layout l;
    TRY_DONE(stored_open(&f, config, path));
    TRY_DONE(find_groups(&l, &f, scratch));
    *n = count_rows(&l);
done:
    h5_close(&f);
    return st;
}

/* ---- shapes ---- */

static Status look_spectra(void *layout, int64_t *n_rows, H5File *f, Arena *scratch)
{
    Layout *l = layout;
    H5Shape s;
    char path[GROUP_PATH];
    TRY(find_groups(l, f, scratch));
    *n_rows = count_rows(l);
    for (int g = 0; g < l->n; g++) {
        TRY(h5_shape(&s, f, member(path, &l->group[g], "spectra")));
        bool flat = s.n_dims == 2;
        TRY(stored_expect(&s, f, path, (int64_t[]){l->group[g].n, GRID_PIXELS, 1}, flat ? 2 : 3));
    }
    return OK;
}

static Status look_images(void *layout, int64_t *n_rows, H5File *f, const void *config, Arena *scratch)
{
    (void)config;
    Layout *l = layout;
    H5Shape s;
    char path[GROUP_PATH];
    TRY(find_groups(l, f, scratch));
    *n_rows = count_rows(l);
    for (int g = 0; g < l->n; g++)
        TRY(stored_expect(&s, f, member(path, &l->group[g], "images"),
                          (int64_t[]){l->group[g].n, CUTOUT_PIXELS, CUTOUT_PIXELS, N_BANDS}, 4));
    return OK;
}

/* ---- catalogue rows ---- */

/* Rows [first, first + n) of the file: TARGETID and, of spectra, redshift. */
static Status read_rows(CatalogRow *rows, H5File *f, bool spectra, int64_t first, int64_t n, Arena *scratch)
{
    Layout l;
    H5Shape s;
    int64_t *id, n_file;
    double *redshift;
    char path[GROUP_PATH];
    TRY(spectra ? look_spectra(&l, &n_file, f, scratch) : look_images(&l, &n_file, f, NULL, scratch));
    TRY(arena_new(&id, scratch, n));
    TRY(arena_new(&redshift, scratch, n));
    for (int g = 0; g < l.n; g++) {
        int64_t from, part = part_of(&from, &l.group[g], first, n), at = l.group[g].first + from - first;
        if (part == 0) continue;
        TRY(h5_read_rows(id + at, f, member(path, &l.group[g], "targetids"), H5_I64, 0, from, part));
        if (!spectra) continue;
        TRY(stored_expect(&s, f, member(path, &l.group[g], "redshifts"), (int64_t[]){l.group[g].n}, 1));
        TRY(h5_read_rows(redshift + at, f, path, H5_F64, 0, from, part));
    }
    for (int64_t i = 0; i < n; i++) {
        catalog_new_row(&rows[i]);
        rows[i].targetid = id[i];
        rows[i].healpix = 0;
        if (brick_of_targetid(&rows[i].release, &rows[i].brickid, &rows[i].brick_objid, id[i]))
            rows[i].photsys = legacy_photsys(rows[i].release, "");
        rows[i].source_row = first + i;
        if (spectra) rows[i].z = redshift[i];
    }
    return OK;
}

static Status read_file(CatalogRow *rows, const void *config, const char *path, bool spectra, int64_t first, int64_t n,
                        Arena *scratch)
{
    H5File f;
    Status st = stored_open(&f, config, path);
    if (st == OK) st = read_rows(rows, &f, spectra, first, n, scratch);
    h5_close(&f);
    return st;
}

static Status paired_read_redshifts(CatalogRow *rows, const void *config, const char *path, int64_t first, int64_t n,
                                    Arena *scratch)
{
    TRY(read_file(rows, config, path, true, first, n, scratch));
    for (int64_t i = 0; i < n; i++) rows[i].has_spectrum = 1;
    return OK;
}

static Status paired_read_objects(CatalogRow *rows, int64_t *n_rows, int64_t skipped[N_REJECTS], const void *config,
                                  const char *path, int64_t first, int64_t n, Arena *scratch)
{
    (void)skipped; /* the set is a selection already */
    TRY(read_file(rows, config, path, false, first, n, scratch));
    for (int64_t i = 0; i < n; i++) {
        rows[i].has_image = 1;
        rows[i].match = MATCH_ID;
    }
    *n_rows = n;
    return OK;
}

/* ---- spectra ---- */

static Status read_spectra(StoredSpectra *out, const void *layout, H5File *f, int64_t first, int64_t n, Arena *scratch)
{
    (void)scratch;
    const Layout *l = layout;
    char path[GROUP_PATH];
    for (int g = 0; g < l->n; g++) {
        int64_t from, part = part_of(&from, &l->group[g], first, n), at = l->group[g].first + from - first;
        if (part == 0) continue;
        TRY(h5_read_rows(out->targetid + at, f, member(path, &l->group[g], "targetids"), H5_I64, 0, from, part));
        TRY(h5_read_rows(out->flux + at * GRID_PIXELS, f, member(path, &l->group[g], "spectra"), H5_F32, 0, from,
                         part));
    }
    for (int64_t k = 0; k < n * GRID_PIXELS; k++) out->ivar[k] = out->flux[k] != 0; /* NaN too: it is flagged as such */
    memset(out->fits, 1, (size_t)n);
    return OK;
}

static const StoredSpectraFormat spectra_format = {false, look_spectra, read_spectra};

static Status paired_read_spectra(SpectrumBatch *out, int64_t at, const void *config, const SpectraConfig *options,
                                  const char *path, const CatalogRow *rows, int64_t n, Arena *scratch)
{
    (void)config;
    return stored_read_spectra(out, at, &spectra_format, options, path, rows, n, scratch);
}

/* ---- images ---- */

/* [column][row][band] to [band][row][column]. */
static void transpose(float *to, const float *from)
{
    for (int64_t column = 0; column < CUTOUT_PIXELS; column++)
        for (int64_t row = 0; row < CUTOUT_PIXELS; row++)
            for (int64_t b = 0; b < N_BANDS; b++)
                to[b * WINDOW_PIXELS + row * CUTOUT_PIXELS + column] =
                    from[(column * CUTOUT_PIXELS + row) * N_BANDS + b];
}

static Status read_images(StoredImages *out, const void *layout, H5File *f, int64_t first, int64_t n, Arena *scratch)
{
    const Layout *l = layout;
    const int64_t cutout = N_BANDS * WINDOW_PIXELS;
    char path[GROUP_PATH];
    float *stored;
    TRY(arena_new(&stored, scratch, n * cutout));
    for (int g = 0; g < l->n; g++) {
        int64_t from, part = part_of(&from, &l->group[g], first, n), at = l->group[g].first + from - first;
        if (part == 0) continue;
        TRY(h5_read_rows(stored + at * cutout, f, member(path, &l->group[g], "images"), H5_F32, 0, from, part));
    }
    for (int64_t k = 0; k < n; k++) transpose(out->pixels + k * cutout, stored + k * cutout);
    memset(out->bands, 7, (size_t)n);
    memset(out->good_scale, 1, (size_t)n);
    return OK;
}

static const StoredImageFormat image_format = {false, look_images, read_images};

static Status paired_cutouts(ImageBatch *out, int64_t at, ImageSource *s, const ImagesConfig *options,
                             const CatalogRow *rows, int64_t n, Arena *scratch)
{
    return stored_cutouts(out, at, s, &image_format, options, rows, n, scratch);
}

const SpectrumSurvey astroclip_spectra = {
    .plugin = {"astroclip", "the published AstroCLIP set (HDF5): spectra of DESI EDR", paired_fields,
               sizeof(StoredConfig), NULL},
    .stored = true,
    .root = stored_root,
    .specprod = paired_specprod,
    .list_redshifts = paired_list,
    .count_redshifts = paired_count,
    .read_redshifts = paired_read_redshifts,
    .spectrum_file = stored_spectrum_file,
    .read_spectra = paired_read_spectra,
};

const ImageSurvey astroclip_images = {
    .plugin = {"astroclip", "the published AstroCLIP set (HDF5): images of Legacy Surveys DR9", paired_fields,
               sizeof(StoredConfig), NULL},
    .stored = true,
    .root = stored_root,
    .image_release = paired_release,
    .list_objects = paired_list,
    .count_objects = paired_count,
    .read_objects = paired_read_objects,
    .open = stored_images_open,
    .close = stored_images_close,
    .cutouts = paired_cutouts,
};
