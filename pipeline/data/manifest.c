/* manifest.c - collects the paths of input files, makes them unique over ranks by hash of the path, and looks at each
   file once. */
#include "data/manifest.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/fitsfile.h"

/* A file without DATASUM is known by samples spread evenly over it: all of a small file, 4 MB of a large FITS file, 256
   MB of a label table. */
enum { SAMPLE_BYTES = 64 << 10, SAMPLES_FITS = 64, SAMPLES_OTHER = 4096, MOST_HDUS = 1000 };

static uint64_t row_hash(const ManifestRow *row)
{
    char text[sizeof row->role + sizeof row->path];
    int n = snprintf(text, sizeof text, "%s:%s", row->role, row->path);
    return hash_bytes(text, (size_t)n);
}

Status manifest_add(ManifestList *list, const char *role, const char *path)
{
    ManifestRow row = {.size = -1};
    if (snprintf(row.path, sizeof row.path, "%s", path) >= (int)sizeof row.path)
        return FAIL(E_INPUT, "the path '%.80s...' is longer than %zu characters: shorten it below its root", path,
                    sizeof row.path - 1);
    snprintf(row.role, sizeof row.role, "%s", role);
    uint64_t hash = row_hash(&row), *recent = &list->recent[hash % MANIFEST_RECENT];
    if (*recent == hash) return OK;
    *recent = hash;
    if (list->n == list->capacity) {
        int64_t capacity = list->capacity ? 2 * list->capacity : 64;
        ManifestRow *bigger;
        TRY(arena_new(&bigger, list->arena, capacity));
        if (list->n) memcpy(bigger, list->row, (size_t)list->n * sizeof *bigger);
        list->row = bigger;
        list->capacity = capacity;
    }
    list->row[list->n++] = row;
    return OK;
}

/* Images are asked for once per brick and region, not per row: finding the region may look at the disk. */
static Status add_images(ManifestList *list, const CatalogRow *row, const ReleaseConfig *release, Arena *scratch)
{
    const ImageSurvey *survey = release_images(release);
    const void *config = release->images.config;
    CatalogRow place = *row; /* the brick of the position, whatever brick the row names */
    memset(place.brickname, 0, sizeof place.brickname);
    if (survey->locate(&place, config) != OK) {
        fail_clear(); /* a row without a position has no images */
        return OK;
    }
    char text[sizeof place.brickname + 1];
    memcpy(text, place.brickname, sizeof place.brickname);
    text[sizeof place.brickname] = row->photsys;
    uint64_t hash = hash_bytes(text, sizeof text), *recent = &list->bricks[hash % MANIFEST_RECENT];
    if (*recent == hash) return OK;
    *recent = hash;
    FileList files = {0};
    TRY(survey->image_files(&files, config, row, scratch));
    for (int64_t i = 0; i < files.n; i++) TRY(manifest_add(list, ROLE_IMAGE, files.path[i]));
    return OK;
}

Status manifest_add_rows(ManifestList *list, const CatalogRow *rows, int64_t n, const FileList *files,
                         const ReleaseConfig *release, Arena *scratch)
{
    Mark mark = arena_mark(scratch);
    for (int64_t i = 0; i < n; i++) {
        char path[FITS_PATH];
        if (rows[i].has_spectrum) {
            TRY(release_spectra(release)->spectrum_file(path, sizeof path, release->spectra.config, &rows[i], files));
            TRY(manifest_add(list, ROLE_SPECTRA, path));
        }
        if (rows[i].image_file >= 0)
            TRY(manifest_add(list, ROLE_IMAGE, files->path[rows[i].image_file]));
        else if (rows[i].has_image)
            TRY(add_images(list, &rows[i], release, scratch));
        arena_reset(scratch, mark);
    }
    return OK;
}

/* ---- one file ---- */

static bool ends_in(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static bool is_fits(const char *path)
{
    return ends_in(path, ".fits") || ends_in(path, ".fits.gz") || ends_in(path, ".fits.fz");
}

/* DATASUM of the HDU that holds data; of several, a mix of all: a spectrum file starts with its FIBERMAP, and whoever
   changes a flux leaves that alone. False when an HDU has none or the file cannot be read. Reads headers only. */
static bool datasum_of(uint32_t *out, const char *path)
{
    FitsFile f = {0};
    uint64_t mix = 0;
    int n = 0;
    bool all = fitsfile_open(&f, path) == OK;
    *out = 0;
    for (int hdu = 0; f.handle && hdu < MOST_HDUS && fitsfile_goto_number(&f, hdu) == OK; hdu++) {
        char text[FITS_NAME] = "";
        int64_t n_axes = 0;
        fitsfile_get_i64(&n_axes, &f, "NAXIS");
        if (n_axes == 0) continue;
        if (!fitsfile_get_text(text, sizeof text, &f, "DATASUM")) all = false;
        uint32_t sum = (uint32_t)strtoul(text, NULL, 10);
        mix = hash_mix(mix ^ sum) + 1;
        *out = n++ == 0 ? sum : (uint32_t)mix;
    }
    fitsfile_close(&f);
    fail_clear(); /* the stage that reads the file says what is wrong with it */
    return all && *out != 0;
}

static uint32_t sample_of(const char *path, int64_t size, int64_t n_samples)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char buffer[SAMPLE_BYTES];
    uint64_t sum = 0;
    int64_t n_blocks = (size + SAMPLE_BYTES - 1) / SAMPLE_BYTES;
    if (n_samples > n_blocks) n_samples = n_blocks;
    for (int64_t i = 0; fd >= 0 && i < n_samples; i++) {
        ssize_t got = pread(fd, buffer, SAMPLE_BYTES, n_blocks * i / n_samples * SAMPLE_BYTES);
        if (got > 0) sum = hash_mix(sum ^ hash_bytes(buffer, (size_t)got));
    }
    if (fd >= 0) close(fd);
    return (uint32_t)sum;
}

void manifest_look(ManifestRow *row, const ManifestRoots *roots)
{
    const char *root = roots->spectra;
    if (strcmp(row->role, ROLE_OBJECTS) == 0 || strcmp(row->role, ROLE_TRACTOR) == 0 ||
        strcmp(row->role, ROLE_IMAGE) == 0)
        root = roots->images;
    if (strcmp(row->role, ROLE_LABELS) == 0) root = roots->labels;
    char path[FITS_PATH];
    struct stat info;
    row->size = -1;
    row->datasum = 0;
    if (!survey_file(path, sizeof path, root, row->path)) return;
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode)) return;
    row->size = info.st_size;
    bool fits = is_fits(path);
    if (!fits || !datasum_of(&row->datasum, path))
        row->datasum ^= sample_of(path, row->size, fits ? SAMPLES_FITS : SAMPLES_OTHER);
}

/* ---- all files ---- */

int manifest_compare(const void *a, const void *b)
{
    const ManifestRow *x = a, *y = b;
    int order = strcmp(x->role, y->role);
    return order ? order : strcmp(x->path, y->path);
}

Status manifest_measure(ManifestRow **out, int64_t *n, const ManifestList *list, const ManifestRoots *roots,
                        const Par *par, Arena *a)
{
    *out = NULL;
    *n = 0;
    int *dest = NULL;
    ManifestRow *mine = NULL;
    int64_t n_mine = 0, kept = 0;
    Status st = arena_new(&dest, a, list->n);
    for (int64_t i = 0; st == OK && i < list->n; i++) dest[i] = (int)(row_hash(&list->row[i]) % (uint64_t)par->n_ranks);
    TRY(par_agree(par, st));
    TRY(par_exchange((void **)&mine, &n_mine, par, list->row, dest, list->n, sizeof *mine, a));
    if (n_mine > 0) qsort(mine, (size_t)n_mine, sizeof *mine, manifest_compare);
    for (int64_t i = 0; i < n_mine && (st = par_continue()) == OK; i++) {
        if (kept > 0 && manifest_compare(&mine[kept - 1], &mine[i]) == 0) continue;
        mine[kept] = mine[i];
        manifest_look(&mine[kept++], roots);
    }
    TRY(par_agree(par, st));
    *out = mine;
    *n = kept;
    return OK;
}

/* ---- fingerprint of a set ---- */

void sethash_add_manifest(SetHash *h, const ManifestRow *rows, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        char text[sizeof rows->path + sizeof rows->role + 64];
        int bytes = snprintf(text, sizeof text, "%s:%s:%lld:%u", rows[i].role, rows[i].path, (long long)rows[i].size,
                             rows[i].datasum);
        sethash_add(h, text, (size_t)bytes);
    }
}
