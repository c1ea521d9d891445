/* sweeps.c - where the sweeps of the Legacy Surveys lie: all objects of a region in files of 5 x 10 degrees or so, with
   the columns of the Tractor catalogues that most people use, and photometric redshifts in files beside them.

       RELEASE/REGION/sweep/9.0/sweep-240p005-250p010.fits
       RELEASE/REGION/sweep/9.1-photo-z/sweep-240p005-250p010-pz.fits

   A release may hold several versions (DR10: 10.0 and 10.1): the newest counts. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "data/folder.h"
#include "data/legacy.h"

/* ---- names ---- */

/* "240p005" */
static bool is_corner(const char *name)
{
    for (int i = 0; i < 7; i++) {
        bool ok = i == 3 ? name[i] == 'p' || name[i] == 'm' : isdigit((unsigned char)name[i]);
        if (!ok) return false; /* also at the end of a short name */
    }
    return true;
}

/* "sweep-240p005-250p010.fits" or .fits.gz; not the -pz, -lc and -ex files that may lie beside them. */
static bool is_sweep(const char *name)
{
    return strncmp(name, "sweep-", 6) == 0 && is_corner(name + 6) && name[13] == '-' && is_corner(name + 14) &&
           (strcmp(name + 21, ".fits") == 0 || strcmp(name + 21, ".fits.gz") == 0);
}

/* "10.1" is newer than "9.0". False when it is no version. */
static bool parse_version(int64_t *out, const char *name)
{
    char *end;
    if (!isdigit((unsigned char)name[0])) return false;
    long major = strtol(name, &end, 10);
    if (*end != '.' || !isdigit((unsigned char)end[1])) return false;
    long minor = strtol(end + 1, &end, 10);
    *out = (int64_t)major * 1000 + minor;
    return *end == '\0' && major < 1000 && minor < 1000;
}

/* ---- the list ---- */

/* Adds the sweeps of a folder; *any tells whether there were some. A file that is also there as .gz counts once. */
static Status add_folder(FileList *out, int64_t *room, bool *any, const LegacyConfig *c, const char *folder, Arena *a)
{
    FileList names;
    bool found;
    *any = false;
    TRY(folder_list(&names, &found, folder[0] == '/' ? "" : c->root, folder, a));
    for (int64_t i = 0; i < names.n; i++) {
        char *path;
        if (!is_sweep(names.path[i])) continue;
        size_t plain = strlen("sweep-240p005-250p010.fits");
        if (i > 0 && strlen(names.path[i - 1]) == plain && strncmp(names.path[i], names.path[i - 1], plain) == 0)
            continue; /* sorted: the plain file comes first */
        TRY(arena_printf(&path, a, "%s/%s", folder, names.path[i]));
        TRY(filelist_add(out, room, path, a));
        *any = true;
    }
    return OK;
}

/* The newest version of a region. A region without sweeps is a mistake: objects that it should have given would be
   missing without a word. */
static Status add_region(FileList *out, int64_t *room, const LegacyConfig *c, const char *region, Arena *a)
{
    char *folder;
    const char *newest = NULL;
    FileList names;
    bool found, any = false;
    int64_t version, best = -1;
    TRY(arena_printf(&folder, a, "%s/%s/sweep", c->release, region));
    TRY(folder_list(&names, &found, c->root, folder, a));
    for (int64_t i = 0; i < names.n; i++)
        if (parse_version(&version, names.path[i]) && version > best) {
            best = version;
            newest = names.path[i];
        }
    if (newest) {
        char *path;
        TRY(arena_printf(&path, a, "%s/%s", folder, newest));
        TRY(add_folder(out, room, &any, c, path, a));
        folder = path;
    }
    if (!any)
        return FAIL(E_INPUT,
                    "no sweep files (%s) in %s/%s: take '%s' out of release.images.regions, or name files or folders "
                    "in release.images.sweeps",
                    newest ? "sweep-*.fits" : "folders such as 9.0", c->root, folder, region);
    return OK;
}

/* A file or folder that the configuration names. */
static Status add_named(FileList *out, int64_t *room, const LegacyConfig *c, const char *name, Arena *a)
{
    char full[2 * LEGACY_PATH];
    struct stat info;
    bool any = true, there = survey_file(full, sizeof full, c->root, name);
    if (!there || stat(full, &info) != 0)
        return FAIL(E_INPUT, "%s: there is no such file or folder (release.images.sweeps)", full);
    if (!S_ISDIR(info.st_mode)) return filelist_add(out, room, name, a);
    TRY(add_folder(out, room, &any, c, name, a));
    if (!any) return FAIL(E_INPUT, "%s: holds no sweep files (sweep-*.fits)", full);
    return OK;
}

Status legacy_list_objects(FileList *out, const void *config, Arena *a)
{
    const LegacyConfig *c = config;
    int64_t room = 0, kept = 0;
    *out = (FileList){0};
    for (int64_t i = 0; i < c->sweeps.n; i++) TRY(add_named(out, &room, c, c->sweeps.item[i], a));
    for (int64_t i = 0; i < c->regions.n && c->sweeps.n == 0; i++)
        if (legacy_has_region(c, c->regions.item[i])) TRY(add_region(out, &room, c, c->regions.item[i], a));
    filelist_sort(out);
    for (int64_t i = 0; i < out->n; i++)
        if (kept == 0 || strcmp(out->path[i], out->path[kept - 1]) != 0) out->path[kept++] = out->path[i];
    out->n = kept;
    return OK;
}

Status legacy_count_objects(int64_t *n, const void *config, const char *path, Arena *scratch)
{
    (void)scratch;
    Status st = OK;
    FitsFile f = {0};
    char full[2 * LEGACY_PATH];
    survey_file(full, sizeof full, ((const LegacyConfig *)config)->root, path); /* absent: named by the open */
    TRY_DONE(fitsfile_open(&f, full));
    TRY_DONE(fitsfile_goto_number(&f, 1));
    TRY_DONE(fitsfile_rows(n, &f));
done:
    fitsfile_close(&f);
    return st;
}

/* ---- photometric redshifts ---- */

bool legacy_photo_z_file(char *path, size_t size, const LegacyConfig *c, const char *sweep)
{
    char folder[LEGACY_PATH], stem[LEGACY_PATH], name[4 * LEGACY_PATH];
    const char *slash = strrchr(sweep, '/'), *base = slash ? slash + 1 : sweep, *end = strstr(base, ".fits");
    if (!end || strlen(sweep) >= LEGACY_PATH) return false;
    snprintf(folder, sizeof folder, "%.*s", (int)(slash ? slash - sweep : 0), sweep);
    snprintf(stem, sizeof stem, "%.*s", (int)(end - base), base);
    char *last = strrchr(folder, '/'), *version = last ? last + 1 : folder;
    /* The folder has the number of the version of the sweeps, but for DR9. */
    snprintf(name, sizeof name, "%.*s%s-photo-z/%s-pz.fits", (int)(version - folder), folder,
             strcmp(version, "9.0") == 0 ? "9.1" : version, stem);
    if (survey_file(path, size, c->root, name)) return true;
    snprintf(name, sizeof name, "%.*s%s-pz.fits", (int)(base - sweep), sweep, stem); /* beside it */
    return survey_file(path, size, c->root, name);
}

Status legacy_list_beside(FileList *out, int64_t *room, const void *config, const char *path, Arena *a)
{
    const LegacyConfig *c = config;
    char full[4 * LEGACY_PATH];
    if (!c->objects.photo_z || !legacy_photo_z_file(full, sizeof full, c, path)) return OK;
    size_t root = strlen(c->root);
    bool below = path[0] != '/' && strncmp(full, c->root, root) == 0 && full[root] == '/';
    return filelist_add(out, room, below ? full + root + 1 : full, a);
}
