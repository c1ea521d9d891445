/* desi.c - DESI as a survey: its configuration, how its files are named, and which of them hold redshifts.

   Every name that comes from a folder or a table is checked against a pattern before it becomes part of a path, so
   that no path leaves the root. Folders are listed and sorted: the same files in the same order on every machine. */
#include "data/desi.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data/healpix.h"

/* ---- configuration ---- */

static const char *const redshift_sources[] = {"zcatalog", "redrock", NULL};

static const ConfigField desi_fields[] = {
    FIELD_TEXT(DesiConfig, root, "desi", EFFORT, "folder that holds spectro/redux/SPECPROD"),
    FIELD_TEXT(DesiConfig, specprod, "iron", RESULT, "production: fuji is EDR, iron is DR1"),
    FIELD_CHOICE(DesiConfig, redshifts, "zcatalog", redshift_sources, RESULT, "where the rows come from"),
    FIELD_TEXTS(DesiConfig, programs, "[]", NULL, RESULT,
                "SURVEY/PROGRAM to take, such as main/bright; empty = all found"),
    FIELD_TEXTS(DesiConfig, zcatalog, "[]", NULL, RESULT,
                "redshift catalogues, relative to the root; empty = zcatalog/v1/zpix-*, else zall-pix-SPECPROD"),
    FIELD_END};

bool desi_is_word(const char *text)
{
    size_t n = strlen(text);
    for (size_t i = 0; i < n; i++)
        if (!islower((unsigned char)text[i]) && !isdigit((unsigned char)text[i])) return false;
    return n > 0 && n < DESI_WORD;
}

static Status desi_check(const void *config)
{
    const DesiConfig *c = config;
    if (c->specprod[0] == '\0' || c->specprod[0] == '.' || strchr(c->specprod, '/'))
        return FAIL(E_CONFIG, "release.spectra.specprod: '%s' is not the name of a production such as iron",
                    c->specprod);
    for (int64_t i = 0; i < c->programs.n; i++) {
        char survey[DESI_WORD];
        const char *item = c->programs.item[i], *slash = strchr(item, '/');
        size_t length = slash ? (size_t)(slash - item) : 0;
        bool ok = slash && length < sizeof survey;
        if (ok) snprintf(survey, sizeof survey, "%.*s", (int)length, item);
        if (!ok || !desi_is_word(survey) || !desi_is_word(slash + 1))
            return FAIL(E_CONFIG, "release.spectra.programs: '%s' is not SURVEY/PROGRAM such as main/bright", item);
    }
    return OK;
}

/* Is SURVEY/PROGRAM among the items? */
static bool listed(const ConfigTexts *items, const char *survey, const char *program)
{
    size_t length = strlen(survey);
    for (int64_t i = 0; i < items->n; i++) {
        const char *item = items->item[i];
        if (strncmp(item, survey, length) == 0 && item[length] == '/' && strcmp(item + length + 1, program) == 0)
            return true;
    }
    return false;
}

static bool wants(const DesiConfig *c, const char *survey, const char *program)
{
    return c->programs.n == 0 || listed(&c->programs, survey, program);
}

static bool wants_row(const void *config, const CatalogRow *row) { return wants(config, row->survey, row->program); }

static const char *desi_root(const void *config) { return ((const DesiConfig *)config)->root; }
static const char *desi_specprod(const void *config) { return ((const DesiConfig *)config)->specprod; }

/* ---- names of files ---- */

Status desi_pixel_path(char *path, size_t size, const char *specprod, const char *kind, const char *survey,
                       const char *program, int32_t healpix)
{
    int length = snprintf(path, size, "spectro/redux/%s/healpix/%s/%s/%d/%d/%s-%s-%s-%d.fits", specprod, survey,
                          program, healpix_group(healpix), healpix, kind, survey, program, healpix);
    if (length < 0 || (size_t)length >= size)
        return FAIL(E_CONFIG, "the path %.200s... is longer than %zu characters", path, size);
    return OK;
}

Status desi_zpix_path(char *path, size_t size, const char *specprod, const char *survey, const char *program)
{
    int length = snprintf(path, size, "spectro/redux/%s/zcatalog/v1/zpix-%s-%s.fits", specprod, survey, program);
    if (length < 0 || (size_t)length >= size)
        return FAIL(E_CONFIG, "the path %.200s... is longer than %zu characters", path, size);
    return OK;
}

static Status desi_spectrum_file(char *path, size_t size, const void *config, const CatalogRow *row)
{
    const DesiConfig *c = config;
    if (!desi_is_word(row->survey) || !desi_is_word(row->program))
        return FAIL(E_INPUT, "TARGETID %lld: SURVEY '%s' and PROGRAM '%s' do not name a DESI file",
                    (long long)row->targetid, row->survey, row->program);
    return desi_pixel_path(path, size, c->specprod, "coadd", row->survey, row->program, row->healpix);
}

/* Takes "-WORD" from the text; NULL where there is none. */
static const char *take_word(char out[DESI_WORD], const char *text)
{
    if (*text != '-') return NULL;
    size_t n = strcspn(text + 1, "-.");
    if (n >= DESI_WORD) return NULL;
    snprintf(out, DESI_WORD, "%.*s", (int)n, text + 1);
    return desi_is_word(out) ? text + 1 + n : NULL;
}

/* A pixel number written the one way it can be; -1 otherwise. */
static int32_t parse_pixel(const char *text, size_t length)
{
    if (length == 0 || length > 5 || (length > 1 && text[0] == '0')) return -1;
    int32_t value = 0;
    for (size_t i = 0; i < length; i++) {
        if (!isdigit((unsigned char)text[i])) return -1;
        value = 10 * value + (text[i] - '0');
    }
    return value < HEALPIX_PIXELS ? value : -1;
}

bool desi_parse_name(DesiName *out, const char *name, const char *kind)
{
    size_t length = strlen(kind);
    if (strncmp(name, kind, length) != 0) return false;
    DesiName found = {.healpix = -1};
    const char *rest = take_word(found.survey, name + length);
    if (rest) rest = take_word(found.program, rest);
    if (!rest) return false;
    if (*rest == '-') {
        size_t digits = strcspn(rest + 1, ".");
        found.healpix = parse_pixel(rest + 1, digits);
        if (found.healpix < 0) return false;
        rest += 1 + digits;
    }
    if (strcmp(rest, ".fits") != 0 && strcmp(rest, ".fits.gz") != 0) return false;
    *out = found;
    return true;
}

/* ---- folders ---- */

static int compare_texts(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static Status list_add(FileList *list, int64_t *room, const char *text, Arena *a)
{
    if (list->n == *room) {
        char **larger;
        *room = *room ? 2 * *room : 64;
        TRY(arena_new(&larger, a, *room));
        if (list->n > 0) memcpy(larger, list->path, (size_t)list->n * sizeof *larger);
        list->path = larger;
    }
    TRY(arena_text(&list->path[list->n], a, text));
    list->n++;
    return OK;
}

/* Names in ROOT/FOLDER that do not start with a dot, sorted; *found tells whether the folder exists. */
static Status list_folder(FileList *out, bool *found, const char *root, const char *folder, Arena *a)
{
    Status st = OK;
    int64_t room = 0;
    char *path;
    *out = (FileList){0};
    TRY(arena_printf(&path, a, "%s/%s", root, folder));
    DIR *dir = opendir(path);
    *found = dir != NULL;
    if (!dir && (errno == ENOENT || errno == ENOTDIR)) return OK;
    if (!dir) return FAIL(E_INPUT, "cannot list the folder %s: %s", path, strerror(errno));
    for (struct dirent *entry; (errno = 0, entry = readdir(dir)) != NULL;)
        if (entry->d_name[0] != '.') TRY_DONE(list_add(out, &room, entry->d_name, a));
    if (errno != 0) TRY_DONE(FAIL(E_INPUT, "cannot list the folder %s: %s", path, strerror(errno)));
    if (out->n > 1) qsort(out->path, (size_t)out->n, sizeof *out->path, compare_texts);
done:
    closedir(dir);
    return st;
}

static bool exists(const char *root, const char *path)
{
    char full[2 * DESI_PATH];
    int length = snprintf(full, sizeof full, "%s/%s", root, path);
    return length > 0 && (size_t)length < sizeof full && access(full, F_OK) == 0;
}

/* PATH or PATH.gz, whichever is there; neither: nothing is added. */
static Status add_existing(FileList *out, int64_t *room, const char *root, const char *path, Arena *a)
{
    char zipped[DESI_PATH + 4];
    if (exists(root, path)) return list_add(out, room, path, a);
    snprintf(zipped, sizeof zipped, "%s.gz", path);
    return exists(root, zipped) ? list_add(out, room, zipped, a) : OK;
}

/* ---- where redshifts are ---- */

static Status list_zcatalogs(FileList *out, const DesiConfig *c, Arena *a)
{
    int64_t room = 0;
    char path[DESI_PATH];
    for (int64_t i = 0; i < c->zcatalog.n; i++) TRY(list_add(out, &room, c->zcatalog.item[i], a));
    if (c->zcatalog.n > 0) return OK;

    FileList names;
    bool found;
    char *folder;
    TRY(arena_printf(&folder, a, "spectro/redux/%s/zcatalog/v1", c->specprod));
    TRY(list_folder(&names, &found, c->root, folder, a));
    if (!found)
        return FAIL(
            E_INPUT,
            "no folder %s/%s: check release.spectra.root and specprod, or name files in release.spectra.zcatalog",
            c->root, folder);
    for (int64_t i = 0; i < names.n; i++) {
        DesiName name;
        if (!desi_parse_name(&name, names.path[i], "zpix") || name.healpix >= 0) continue;
        if (!wants(c, name.survey, name.program)) continue;
        TRY(desi_zpix_path(path, sizeof path, c->specprod, name.survey, name.program));
        if (out->n > 0 && strncmp(out->path[out->n - 1], path, strlen(path)) == 0)
            continue; /* .fits and .fits.gz of one program */
        TRY(add_existing(out, &room, c->root, path, a));
    }
    if (out->n > 0) return OK;
    snprintf(path, sizeof path, "%s/zall-pix-%s.fits", folder, c->specprod);
    TRY(add_existing(out, &room, c->root, path, a));
    if (out->n == 0)
        return FAIL(E_INPUT,
                    "%s/%s holds neither zpix-SURVEY-PROGRAM.fits of the programs asked for nor zall-pix-%s.fits",
                    c->root, folder, c->specprod);
    return OK;
}

/* The redrock files of one program: healpix/SURVEY/PROGRAM/GROUP/PIXEL. */
static Status list_program(FileList *out, int64_t *room, const DesiConfig *c, const char *survey, const char *program,
                           Arena *a)
{
    FileList groups, pixels;
    bool found;
    char *folder, *inner, path[DESI_PATH];
    TRY(arena_printf(&folder, a, "spectro/redux/%s/healpix/%s/%s", c->specprod, survey, program));
    TRY(list_folder(&groups, &found, c->root, folder, a));
    for (int64_t g = 0; g < groups.n; g++) {
        int32_t group = parse_pixel(groups.path[g], strlen(groups.path[g]));
        if (group < 0) continue;
        TRY(arena_printf(&inner, a, "%s/%d", folder, group));
        TRY(list_folder(&pixels, &found, c->root, inner, a));
        for (int64_t p = 0; p < pixels.n; p++) {
            int32_t pixel = parse_pixel(pixels.path[p], strlen(pixels.path[p]));
            if (pixel < 0 || healpix_group(pixel) != group) continue;
            TRY(desi_pixel_path(path, sizeof path, c->specprod, "redrock", survey, program, pixel));
            TRY(add_existing(out, room, c->root, path, a));
        }
    }
    return OK;
}

static Status list_redrocks(FileList *out, const DesiConfig *c, Arena *a)
{
    int64_t room = 0;
    FileList surveys, programs;
    bool found;
    char *folder, *inner;
    TRY(arena_printf(&folder, a, "spectro/redux/%s/healpix", c->specprod));
    TRY(list_folder(&surveys, &found, c->root, folder, a));
    if (!found) return FAIL(E_INPUT, "no folder %s/%s: check release.spectra.root and specprod", c->root, folder);
    for (int64_t s = 0; s < surveys.n; s++) {
        if (!desi_is_word(surveys.path[s])) continue;
        TRY(arena_printf(&inner, a, "%s/%s", folder, surveys.path[s]));
        TRY(list_folder(&programs, &found, c->root, inner, a));
        for (int64_t p = 0; p < programs.n; p++) {
            if (!desi_is_word(programs.path[p]) || !wants(c, surveys.path[s], programs.path[p])) continue;
            TRY(list_program(out, &room, c, surveys.path[s], programs.path[p], a));
        }
    }
    if (out->n == 0) return FAIL(E_INPUT, "%s/%s holds no redrock file of the programs asked for", c->root, folder);
    return OK;
}

/* A program that was asked for by name must be there: a slip of the pen would otherwise lose it in silence. */
static Status check_programs(const FileList *files, const DesiConfig *c)
{
    for (int64_t i = 0; i < c->programs.n; i++) {
        bool found = false;
        for (int64_t k = 0; k < files->n && !found; k++) {
            const char *slash = strrchr(files->path[k], '/'), *base = slash ? slash + 1 : files->path[k];
            DesiName name;
            const ConfigTexts item = {1, &c->programs.item[i]};
            bool named = desi_parse_name(&name, base, "zpix") || desi_parse_name(&name, base, "redrock");
            found = !named || listed(&item, name.survey, name.program); /* a stacked catalogue may hold any program */
        }
        if (!found)
            return FAIL(E_INPUT, "release.spectra.programs: no redshift file of %s in %s/spectro/redux/%s",
                        c->programs.item[i], c->root, c->specprod);
    }
    return OK;
}

Status desi_list_redshifts(FileList *out, const void *config, Arena *a)
{
    const DesiConfig *c = config;
    *out = (FileList){0};
    TRY(c->redshifts == REDSHIFTS_REDROCK ? list_redrocks(out, c, a) : list_zcatalogs(out, c, a));
    qsort(out->path, (size_t)out->n, sizeof *out->path, compare_texts);
    return check_programs(out, c);
}

const SpectrumSurvey desi_survey = {
    .plugin = {"desi", "DESI coadds by HEALPix pixel, with zcatalog or redrock redshifts", desi_fields,
               sizeof(DesiConfig), desi_check},
    .root = desi_root,
    .specprod = desi_specprod,
    .list_redshifts = desi_list_redshifts,
    .read_redshifts = desi_read_redshifts,
    .spectrum_file = desi_spectrum_file,
    .read_spectra = desi_read_spectra,
    .wants = wants_row,
};
