/* cutouts.c - the survey "cutouts": which files there are, and the row of each. Nothing is lost: a file that cannot be
   read is a row whose image is flagged. Pixels: cutouts_pixels.c. */
#include "data/cutouts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "data/cutfile.h"
#include "data/folder.h"
#include "data/healpix.h"

enum { DEPTH = 6 /* of folders below the root */ };

/* ---- configuration ---- */

static const ConfigField cutouts_fields[] = {
    FIELD_TEXT(CutoutsConfig, root, "cutouts", EFFORT, "folder of FITS cutouts, one object per file"),
    FIELD_TEXTS(CutoutsConfig, files, "[]", NULL, RESULT,
                "files relative to the root; [] = all .fits, .fits.gz and .fits.fz in it and its folders"),
    FIELD_TEXT(CutoutsConfig, release, "", RESULT, "name of the release that they were cut from, for provenance"),
    FIELD_END};

static const char *cutouts_root(const void *config) { return ((const CutoutsConfig *)config)->root; }
static const char *cutouts_release(const void *config) { return ((const CutoutsConfig *)config)->release; }

/* ---- files ---- */

static const char *const suffixes[] = {".fits", ".fits.gz", ".fits.fz", NULL};

/* Length of a name without the suffix of a FITS file; 0 = it has none. */
static size_t stem(const char *name)
{
    size_t length = strlen(name);
    for (int i = 0; suffixes[i]; i++) {
        size_t n = strlen(suffixes[i]);
        if (length > n && strcmp(name + length - n, suffixes[i]) == 0) return length - n;
    }
    return 0;
}

int64_t cutouts_targetid(const char *path)
{
    uint64_t hash = hash_bytes(path, strlen(path));
    return (int64_t)(UINT64_C(3) << 61 | (hash & (UINT64_MAX >> 3)));
}

static Status add_folder(FileList *out, int64_t *room, const char *root, const char *folder, int depth, Arena *a)
{
    FileList names;
    bool found;
    TRY(folder_list(&names, &found, root, folder, a));
    if (!found && depth == 0) return FAIL(E_INPUT, "release.images.root: there is no folder %s", root);
    for (int64_t i = 0; i < names.n; i++) {
        char *path;
        TRY(arena_printf(&path, a, "%s%s%s", folder, folder[0] ? "/" : "", names.path[i]));
        if (strlen(path) >= CUTOUTS_PATH / 2) return FAIL(E_INPUT, "%s/%.60s...: the path is too long", root, path);
        if (stem(names.path[i]) > 0)
            TRY(filelist_add(out, room, path, a));
        else if (depth < DEPTH)
            TRY(add_folder(out, room, root, path, depth + 1, a)); /* a plain file is a folder that is not found */
    }
    return OK;
}

typedef struct {
    int64_t id;
    const char *path;
} Named;

static int compare_named(const void *a, const void *b)
{
    const Named *p = a, *q = b;
    return p->id < q->id ? -1 : p->id > q->id;
}

static Status check_ids(const FileList *list, Arena *a)
{
    Mark mark = arena_mark(a);
    Named *named;
    TRY(arena_new(&named, a, list->n));
    for (int64_t i = 0; i < list->n; i++) named[i] = (Named){cutouts_targetid(list->path[i]), list->path[i]};
    qsort(named, (size_t)list->n, sizeof *named, compare_named);
    for (int64_t i = 1; i < list->n; i++)
        if (named[i].id == named[i - 1].id)
            return FAIL(E_INPUT, "release.images: %s and %s get the same TARGETID; list each once, or rename one",
                        named[i - 1].path, named[i].path);
    arena_reset(a, mark);
    return OK;
}

static Status cutouts_list(FileList *out, const void *config, Arena *a)
{
    const CutoutsConfig *c = config;
    int64_t room = 0;
    *out = (FileList){0};
    for (int64_t i = 0; i < c->files.n; i++) TRY(filelist_add(out, &room, c->files.item[i], a));
    if (c->files.n == 0) TRY(add_folder(out, &room, c->root, "", 0, a));
    if (out->n == 0) return FAIL(E_INPUT, "release.images.root: no .fits, .fits.gz or .fits.fz in %s", c->root);
    filelist_sort(out);
    return check_ids(out, a);
}

/* ---- rows ---- */

/* A number with a decimal point that fills the text: names hold other numbers too. */
static bool is_number(double *value, const char *text)
{
    char *end;
    if (!strchr(text, '.') || text[strspn(text, "+-.0123456789")] != '\0') return false;
    *value = strtod(text, &end);
    return *end == '\0' && isfinite(*value);
}

/* The number behind the last underscore, which is cut off with it. */
static bool take_number(double *value, char *text)
{
    char *last = strrchr(text, '_');
    if (!last || !is_number(value, last + 1)) return false;
    *last = '\0';
    return true;
}

void cutouts_named_position(double *ra, double *dec, const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    char text[256];
    double x, y;
    *ra = *dec = NAN;
    if (strncmp(name, "cutout", 6) != 0 || stem(name) == 0 || stem(name) >= sizeof text) return;
    snprintf(text, sizeof text, "%.*s", (int)stem(name), name);
    if (!take_number(&y, text) || !take_number(&x, text) || x < 0 || x > 360 || fabs(y) > 90) return;
    *ra = x;
    *dec = y;
}

static Status cutouts_count(int64_t *n, const void *config, const char *path, Arena *scratch)
{
    (void)config, (void)path, (void)scratch;
    *n = 1;
    return OK;
}

/* What the header says of the object. */
static Status read_header(CatalogRow *row, const CutoutsConfig *c, const char *path, Arena *scratch)
{
    char full[2 * CUTOUTS_PATH];
    CutFile file;
    survey_file(full, sizeof full, c->root, path);
    Status st = cutfile_open(&file, full, scratch);
    if (st == OK && file.placed) {
        row->ra = file.ra;
        row->dec = file.dec;
    }
    if (st == OK && strstr(file.version, "south")) row->photsys = 'S';
    if (st == OK && strstr(file.version, "north")) row->photsys = 'N';
    if (st == OK) snprintf(row->brickname, sizeof row->brickname, "%s", file.brickname);
    cutfile_close(&file);
    if (st == E_MEMORY) return st;
    fail_clear(); /* the image of this row will be flagged, and said why */
    return OK;
}

static Status cutouts_read_objects(CatalogRow *rows, int64_t *n_rows, int64_t skipped[N_REJECTS], const void *config,
                                   const char *path, int64_t first, int64_t n, Arena *scratch)
{
    (void)skipped;
    *n_rows = 0;
    if (first != 0 || n < 1) return OK;
    CatalogRow *row = &rows[0];
    catalog_new_row(row);
    row->targetid = cutouts_targetid(path);
    row->has_image = 1;
    row->match = MATCH_ID;
    row->source_row = 0;
    cutouts_named_position(&row->ra, &row->dec, path);
    TRY(read_header(row, config, path, scratch));
    row->healpix = healpix_pixel(row->ra, row->dec);
    if (row->healpix < 0) row->healpix = 0;
    *n_rows = 1;
    return OK;
}

const ImageSurvey cutouts_survey = {
    .plugin = {"cutouts", "FITS cutouts of the Legacy Surveys' sky viewer, one object per file", cutouts_fields,
               sizeof(CutoutsConfig), NULL},
    .beside = true,
    .stored = true,
    .root = cutouts_root,
    .image_release = cutouts_release,
    .list_objects = cutouts_list,
    .count_objects = cutouts_count,
    .read_objects = cutouts_read_objects,
    .cutouts = cutouts_cut,
};
