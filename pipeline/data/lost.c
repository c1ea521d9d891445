/* lost.c - compares the files of rows with the manifest of the catalogue, each once per block of rows.

   The manifest is sorted: it is searched row by row on disk, then a page of it is kept, because the files of a brick and
   of its neighbours stand beside each other. */
#include "data/lost.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "data/manifest.h"
#include "io/fitsfile.h"

enum { PAGE = 128, SEEN = 1024 };

typedef enum { NOT_LISTED, THERE, GONE } Verdict; /* NOT_LISTED: the catalogue has not seen it either */

struct Lost {
    Catalog *catalog;
    const ReleaseConfig *release;
    ManifestRow *page;
    int64_t n_page;
    int64_t block; /* number of the block in hand */
    struct {
        uint64_t hash;
        int64_t block;
        Verdict verdict;
    } seen[SEEN];
};

/* What the files of a row and modality are. */
typedef struct {
    bool any_gone, all_there;
} Files;

Status lost_open(Lost **out, Catalog *catalog, const ReleaseConfig *release, Arena *a)
{
    TRY(arena_new(out, a, 1));
    (*out)->catalog = catalog;
    (*out)->release = release;
    return arena_new(&(*out)->page, a, PAGE);
}

/* ---- the manifest ---- */

/* The page that begins with the last row not behind the key. */
static Status turn_page(Lost *l, const ManifestRow *key, Arena *scratch)
{
    int64_t low = 0, high = l->catalog->n_manifest;
    const Mark mark = arena_mark(scratch);
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        TRY(catalog_read_manifest(l->page, l->catalog, middle, 1, scratch));
        arena_reset(scratch, mark);
        if (manifest_compare(l->page, key) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    const int64_t first = low > 0 ? low - 1 : 0, left = l->catalog->n_manifest - first;
    l->n_page = left < PAGE ? left : PAGE;
    Status st = catalog_read_manifest(l->page, l->catalog, first, l->n_page, scratch);
    arena_reset(scratch, mark);
    return st;
}

static Status find_row(const ManifestRow **out, Lost *l, const char *role, const char *path, Arena *scratch)
{
    ManifestRow key;
    *out = NULL;
    if (snprintf(key.path, sizeof key.path, "%s", path) >= (int)sizeof key.path) return OK;
    snprintf(key.role, sizeof key.role, "%s", role);
    const bool within =
        l->n_page > 0 && manifest_compare(l->page, &key) <= 0 && manifest_compare(&key, &l->page[l->n_page - 1]) <= 0;
    if (!within) TRY(turn_page(l, &key, scratch));
    *out = bsearch(&key, l->page, (size_t)l->n_page, sizeof key, manifest_compare);
    return OK;
}

/* ---- files ---- */

static Verdict look(const ManifestRow *listed, const char *root)
{
    char path[FITS_PATH];
    struct stat info;
    if (!listed || listed->size < 0) return NOT_LISTED;
    if (!survey_file(path, sizeof path, root, listed->path)) return GONE;
    return stat(path, &info) == 0 && info.st_size == listed->size ? THERE : GONE;
}

static Status add_file(Files *files, Lost *l, const char *role, const char *root, const char *path, Arena *scratch)
{
    const uint64_t hash = hash_bytes(path, strlen(path)) ^ (uint64_t)role[0];
    const size_t at = hash % SEEN;
    if (l->seen[at].hash != hash || l->seen[at].block != l->block) {
        const ManifestRow *listed;
        TRY(find_row(&listed, l, role, path, scratch));
        l->seen[at].hash = hash;
        l->seen[at].block = l->block;
        l->seen[at].verdict = look(listed, root);
    }
    if (l->seen[at].verdict == GONE) files->any_gone = true;
    if (l->seen[at].verdict != THERE) files->all_there = false;
    return OK;
}

static Status look_at_spectrum(Files *files, Lost *l, const CatalogRow *row, Arena *scratch)
{
    const SpectrumSurvey *survey = release_spectra(l->release);
    const void *config = l->release->spectra.config;
    char path[FITS_PATH];
    TRY(survey->spectrum_file(path, sizeof path, config, row, &l->catalog->files));
    return add_file(files, l, ROLE_SPECTRA, survey->root(config), path, scratch);
}

/* The images of the brick that holds a position. */
static Status look_at_brick(Files *files, Lost *l, const CatalogRow *row, double ra, double dec, Arena *scratch)
{
    const ImageSurvey *survey = release_images(l->release);
    const void *config = l->release->images.config;
    CatalogRow place = *row;
    FileList list = {0};
    const Mark mark = arena_mark(scratch);
    place.ra = fmod(ra + 360, 360);
    place.dec = fmax(-90, fmin(90, dec));
    TRY(survey->image_files(&list, config, &place, scratch));
    for (int64_t i = 0; i < list.n; i++)
        TRY(add_file(files, l, ROLE_IMAGE, survey->root(config), list.path[i], scratch));
    arena_reset(scratch, mark);
    return OK;
}

/* Own brick; of pixels that it does not show, those that hold the corners of the window. */
static Status look_at_image(Files *files, Lost *l, const CatalogRow *row, int32_t flag, Arena *scratch)
{
    const ImageSurvey *survey = release_images(l->release);
    const double half = CUTOUT_PIXELS / 2 * PIXEL_SCALE / 3600; /* degrees */
    if (row->image_file >= 0 && row->image_file < l->catalog->files.n)
        return add_file(files, l, ROLE_IMAGE, survey->root(l->release->images.config),
                        l->catalog->files.path[row->image_file], scratch);
    if (!survey->image_files || (flag & IMAGE_BAD_POSITION)) return OK;
    TRY(look_at_brick(files, l, row, row->ra, row->dec, scratch));
    if (!(flag & (IMAGE_MOSAIC | IMAGE_PADDED))) return OK;
    Files beside = {.any_gone = false};
    const double across = half / fmax(cos(row->dec * M_PI / 180), 1e-3);
    for (int corner = 0; corner < 4; corner++)
        TRY(look_at_brick(&beside, l, row, row->ra + (corner & 1 ? across : -across),
                          row->dec + (corner & 2 ? half : -half), scratch));
    files->any_gone |= beside.any_gone;
    return OK;
}

/* ---- rows ---- */

/* Flags that contradict files which are all there: they went away and came back. A band may be absent within a stored
   set's file. */
static bool contradicts(Modality m, int32_t flag, const CatalogRow *row)
{
    if (m == MODALITY_SPECTRUM) return flag & SPECTRUM_NO_FILE;
    return flag & (IMAGE_NO_BRICK | (row->image_file < 0 ? IMAGE_MISSING_BAND : 0));
}

Status lost_mark(int32_t *flag, Lost *l, Modality m, const CatalogRow *row, Arena *scratch)
{
    static const int32_t not_asked[N_MODALITIES] = {IMAGE_NOT_ASKED, SPECTRUM_NOT_ASKED};
    Files files = {.all_there = true};
    if (*flag & not_asked[m]) return OK;
    if (m == MODALITY_SPECTRUM)
        TRY(look_at_spectrum(&files, l, row, scratch));
    else
        TRY(look_at_image(&files, l, row, *flag, scratch));
    if (files.any_gone || (files.all_there && contradicts(m, *flag, row))) *flag |= flag_file_lost[m];
    return OK;
}

void lost_look_again(Lost *l) { l->block++; }
