/* sdss.c - SDSS as a survey: its configuration, how its files are named and found, the TARGETID made of a name.

   A release holds a spectrum twice, RUN2D/spectra/lite/PLATE (the coadd) and RUN2D/spectra/full/PLATE (its exposures too);
   both open here. Two of one spectrum are one key: the catalogue keeps one row. */
#include "data/sdss.h"

#include <ctype.h>
#include <string.h>

#include "data/folder.h"

/* ---- configuration ---- */

static const char *const layouts[] = {"lite", "full", "spectra", "plate", "flat", NULL};

static const ConfigField sdss_fields[] = {
    FIELD_TEXT(SdssConfig, root, "sdss", EFFORT, "folder under which the spec files lie"),
    FIELD_TEXT(SdssConfig, run2d, "", RESULT,
               "reduction, such as v5_13_2: where rows of the catalog name none; empty = each row's own"),
    FIELD_TEXTS(SdssConfig, files, "[]", NULL, RESULT,
                "spec files, relative to the root; empty = all spec-PLATE-MJD-FIBER.fits up to 4 folders deep"),
    FIELD_TEXT(SdssConfig, catalog, "", RESULT,
               "specObj or spAll table, relative to the root, whose rows to take instead of the spec files"),
    FIELD_CHOICE(SdssConfig, layout, "lite", layouts, RESULT,
                 "where spectra of the catalog lie: RUN2D/spectra/lite/PLATE, RUN2D/spectra/full/PLATE, "
                 "RUN2D/spectra/PLATE, PLATE, or all in the root"),
    FIELD_INT(SdssConfig, mask_bits, "4294967295", 0, 4294967295, RESULT,
              "bits of and_mask that make a pixel bad: 4294967295 is any of them, 0 trusts ivar alone"),
    FIELD_END};

static Status sdss_check(const void *config)
{
    const SdssConfig *c = config;
    if (c->catalog[0] != '\0' && c->files.n > 0)
        return FAIL(E_CONFIG, "release.spectra: rows come from `catalog` or from `files`, not from both");
    if (c->run2d[0] != '\0' && (c->run2d[0] == '.' || strchr(c->run2d, '/')))
        return FAIL(E_CONFIG, "release.spectra.run2d: '%s' is not the name of a reduction such as v5_13_2", c->run2d);
    return OK;
}

static const char *sdss_root(const void *config) { return ((const SdssConfig *)config)->root; }

static const char *sdss_specprod(const void *config)
{
    const SdssConfig *c = config;
    return c->run2d[0] ? c->run2d : "sdss";
}

/* ---- names ---- */

bool sdss_targetid(int64_t *targetid, const SdssName *n)
{
    bool fits =
        n->plate >= 0 && n->plate < 1 << 20 && n->mjd >= 0 && n->mjd < 1 << 16 && n->fiber >= 0 && n->fiber < 1 << 12;
    if (fits) *targetid = (int64_t)1 << 62 | n->plate << 28 | n->mjd << 12 | n->fiber;
    return fits;
}

bool sdss_identity(SdssName *out, int64_t targetid)
{
    if (targetid >> 48 != 1 << 14) return false; /* bit 62 and nothing else above the plate */
    *out = (SdssName){targetid >> 28 & 0xFFFFF, targetid >> 12 & 0xFFFF, targetid & 0xFFF};
    return true;
}

bool sdss_is_run2d(const char *text)
{
    size_t n = strlen(text);
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)text[i]) && text[i] != '_') return false;
    return n > 0 && n < sizeof((CatalogRow *)NULL)->program;
}

/* Takes "-DIGITS" from the text; NULL where there are none, or more than 7. */
static const char *take_number(int64_t *out, const char *text)
{
    if (*text != '-') return NULL;
    int digits = 0;
    for (*out = 0; isdigit((unsigned char)text[1 + digits]) && digits < 8; digits++)
        *out = 10 * *out + (text[1 + digits] - '0');
    return digits > 0 && digits < 8 ? text + 1 + digits : NULL;
}

bool sdss_parse_name(SdssName *out, const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    if (strncmp(name, "spec", 4) != 0) return false;
    const char *rest = take_number(&out->plate, name + 4);
    if (rest) rest = take_number(&out->mjd, rest);
    if (rest) rest = take_number(&out->fiber, rest);
    return rest && (strcmp(rest, ".fits") == 0 || strcmp(rest, ".fits.gz") == 0);
}

static Status sdss_spectrum_file(char *path, size_t size, const void *config, const CatalogRow *row,
                                 const FileList *files)
{
    const SdssConfig *c = config;
    if (c->catalog[0] == '\0') {
        if (!files || row->source_file < 0 || row->source_file >= files->n)
            return FAIL(E_INPUT, "TARGETID %lld: the catalogue does not say which file holds its spectrum",
                        (long long)row->targetid);
        int length = snprintf(path, size, "%s", files->path[row->source_file]);
        return length >= 0 && (size_t)length < size ? OK : FAIL(E_CONFIG, "the path %.200s... is too long", path);
    }
    static const char *const folders[] = {"spectra/lite/", "spectra/full/", "spectra/", "", ""};
    SdssName n;
    if (!sdss_identity(&n, row->targetid))
        return FAIL(E_INPUT, "TARGETID %lld is none of SDSS: the catalogue was made for another survey",
                    (long long)row->targetid);
    const char *run2d = c->layout >= SDSS_PLATE ? "" : row->program[0] ? row->program : c->run2d;
    char plate[24] = "";
    if (run2d[0] && run2d != c->run2d && !sdss_is_run2d(run2d))
        return FAIL(E_INPUT, "TARGETID %lld: RUN2D '%.7s' names no reduction", (long long)row->targetid, run2d);
    if (c->layout != SDSS_FLAT) snprintf(plate, sizeof plate, "%04lld/", (long long)n.plate);
    int length = snprintf(path, size, "%s%s%s%sspec-%04lld-%lld-%04lld.fits", run2d, run2d[0] ? "/" : "",
                          folders[c->layout], plate, (long long)n.plate, (long long)n.mjd, (long long)n.fiber);
    return length >= 0 && (size_t)length < size ? OK : FAIL(E_CONFIG, "the path %.200s... is too long", path);
}

/* ---- finding files ---- */

enum { DEPTH = 4 }; /* RUN2D/spectra/lite/PLATE */

/* Spec files of `folder` ("" = the root) and of folders in it. What looks like a file is not tried as a folder. */
static Status walk(FileList *out, int64_t *room, const char *root, const char *folder, int depth, Arena *a)
{
    FileList names;
    bool found;
    TRY(folder_list(&names, &found, root, folder[0] ? folder : ".", a));
    for (int64_t i = 0; i < names.n; i++) {
        char *path;
        SdssName name;
        TRY(arena_printf(&path, a, "%s%s%s", folder, folder[0] ? "/" : "", names.path[i]));
        if (sdss_parse_name(&name, path))
            TRY(filelist_add(out, room, path, a));
        else if (depth > 0 && !strchr(names.path[i], '.'))
            TRY(walk(out, room, root, path, depth - 1, a));
    }
    return OK;
}

Status sdss_list_redshifts(FileList *out, const void *config, Arena *a)
{
    const SdssConfig *c = config;
    int64_t room = 0;
    *out = (FileList){0};
    if (c->catalog[0] != '\0') return filelist_add(out, &room, c->catalog, a);
    for (int64_t i = 0; i < c->files.n; i++) TRY(filelist_add(out, &room, c->files.item[i], a));
    if (c->files.n == 0) TRY(walk(out, &room, c->root, "", DEPTH, a));
    if (out->n == 0)
        return FAIL(E_INPUT, "no spec-PLATE-MJD-FIBER.fits under %s, %d folders deep: check release.spectra.root",
                    c->root, DEPTH);
    filelist_sort(out);
    return OK;
}

const SpectrumSurvey sdss_survey = {
    .plugin = {"sdss", "SDSS, BOSS, eBOSS: spec-PLATE-MJD-FIBER files, resampled to the DESI grid", sdss_fields,
               sizeof(SdssConfig), sdss_check},
    .beside = true,
    .root = sdss_root,
    .specprod = sdss_specprod,
    .list_redshifts = sdss_list_redshifts,
    .count_redshifts = sdss_count_redshifts,
    .read_redshifts = sdss_read_redshifts,
    .spectrum_file = sdss_spectrum_file,
    .read_spectra = sdss_read_spectra,
};
