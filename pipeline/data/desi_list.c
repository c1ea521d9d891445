/* desi_list.c - which files of a DESI production hold redshifts.

   Catalogues come in versions, each in a folder of its own: zcatalog/v2/SURVEY and zcatalog/v2/zall, zcatalog/v1,
   zcatalog/v0, or in zcatalog itself (fuji). A version will do when its catalogues by program cover all programs asked
   for, or when it has the one of all programs; the newest that will do is taken. */
#include <string.h>

#include "data/desi.h"
#include "data/folder.h"

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* What the name of a catalogue or redrock file says; false where it names no program. */
static bool parse_name(DesiName *out, const DesiConfig *c, const char *name)
{
    static const char tiles[] = "-cumulative";
    char plain[DESI_PATH];
    if (desi_parse_name(out, name, "zpix")) return out->healpix < 0;
    const char *end = strstr(name, tiles);
    if (end && snprintf(plain, sizeof plain, "%.*s%s", (int)(end - name), name, end + strlen(tiles)) > 0 &&
        desi_parse_name(out, plain, "ztile"))
        return out->healpix < 0;
    return c->layout != LAYOUT_TILES && desi_parse_layout_name(out, c->layout, name, "redrock");
}

/* Is SURVEY/PROGRAM that of one of the files? */
static bool covers(const FileList *files, const DesiConfig *c, const char *item)
{
    const ConfigTexts one = {1, &item};
    for (int64_t i = 0; i < files->n; i++) {
        DesiName name;
        if (parse_name(&name, c, base_name(files->path[i])) && desi_lists(&one, name.survey, name.program)) return true;
    }
    return false;
}

static bool covers_all(const FileList *files, const DesiConfig *c)
{
    for (int64_t i = 0; i < c->programs.n; i++)
        if (!covers(files, c, c->programs.item[i])) return false;
    return files->n > 0;
}

/* ---- catalogues ---- */

/* Catalogues by program in one folder; of programs that the list has already, none. */
static Status list_folder(FileList *out, int64_t *room, const DesiConfig *c, const char *folder, Arena *a)
{
    const char *start = c->layout == LAYOUT_TILES ? "ztile-" : "zpix-";
    FileList names;
    bool found;
    char *path, item[2 * DESI_WORD];
    TRY(folder_list(&names, &found, c->root, folder, a));
    for (int64_t i = 0; i < names.n; i++) {
        DesiName name;
        if (strncmp(names.path[i], start, strlen(start)) != 0 || !parse_name(&name, c, names.path[i])) continue;
        snprintf(item, sizeof item, "%s/%s", name.survey, name.program);
        if (!desi_wants(c, name.survey, name.program) || covers(out, c, item)) continue;
        TRY(arena_printf(&path, a, "%s/%s", folder, names.path[i]));
        TRY(filelist_add(out, room, path, a));
    }
    return OK;
}

/* FOLDER/zall-pix-SPECPROD.fits, where the list is still empty. */
static Status list_stacked(FileList *out, int64_t *room, const DesiConfig *c, const char *folder, Arena *a)
{
    char *path;
    const char *kind = c->layout == LAYOUT_TILES ? "tilecumulative" : "pix";
    if (out->n > 0) return OK;
    TRY(arena_printf(&path, a, "%s/zall-%s-%s.fits", folder, kind, c->specprod));
    return filelist_add_existing(out, room, c->root, path, a);
}

/* Folders under FOLDER that are named like a SURVEY. */
static Status list_surveys(FileList *out, int64_t *room, const DesiConfig *c, const char *folder, Arena *a)
{
    FileList surveys;
    bool found;
    char *inner;
    TRY(folder_list(&surveys, &found, c->root, folder, a));
    for (int64_t s = 0; s < surveys.n; s++) {
        if (!desi_is_word(surveys.path[s])) continue;
        TRY(arena_printf(&inner, a, "%s/%s", folder, surveys.path[s]));
        TRY(list_folder(out, room, c, inner, a));
    }
    return OK;
}

/* The catalogues of one version in one folder; none where they do not cover what is asked for. */
static Status list_version(FileList *out, const DesiConfig *c, const char *folder, bool by_survey, Arena *a)
{
    int64_t room = 0;
    char *inner;
    *out = (FileList){0};
    if (by_survey) TRY(list_surveys(out, &room, c, folder, a));
    TRY(list_folder(out, &room, c, folder, a));
    if (covers_all(out, c)) return OK;
    out->n = 0;
    if (by_survey) {
        TRY(arena_printf(&inner, a, "%s/zall", folder));
        TRY(list_stacked(out, &room, c, inner, a));
    }
    return list_stacked(out, &room, c, folder, a);
}

static Status none_found(const DesiConfig *c, const char *top, Arena *a)
{
    FileList names;
    bool found;
    const char *kind = c->layout == LAYOUT_TILES ? "ztile-SURVEY-PROGRAM-cumulative.fits of all programs asked for nor "
                                                   "zall-tilecumulative"
                                                 : "zpix-SURVEY-PROGRAM.fits of all programs asked for nor zall-pix";
    TRY(folder_list(&names, &found, c->root, top, a));
    if (!found)
        return FAIL(
            E_INPUT,
            "no folder %s/%s: check release.spectra.root and specprod, or name files in release.spectra.zcatalog",
            c->root, top);
    return FAIL(E_INPUT,
                "%s/%s holds, in the version folders that release.spectra.zcatalog_version takes, neither %s-%s.fits; "
                "check release.spectra.programs and zcatalog_version, or name files in release.spectra.zcatalog",
                c->root, top, kind, c->specprod);
}

static Status list_zcatalogs(FileList *out, const DesiConfig *c, Arena *a)
{
    static const struct {
        int version;
        const char *folder;
        bool by_survey;
    } place[] = {{ZCATALOG_V2, "/v2", true},
                 {ZCATALOG_V1, "/v1", false},
                 {ZCATALOG_V0, "/v0", false},
                 {ZCATALOG_V0, "", false}};
    int64_t room = 0;
    char *top, *folder;
    for (int64_t i = 0; i < c->zcatalog.n; i++) TRY(filelist_add(out, &room, c->zcatalog.item[i], a));
    if (c->zcatalog.n > 0) return OK;
    TRY(arena_printf(&top, a, "spectro/redux/%s/zcatalog", c->specprod));
    for (int k = 0; k < 4; k++) {
        if (c->zcatalog_version != ZCATALOG_AUTO && c->zcatalog_version != place[k].version) continue;
        TRY(arena_printf(&folder, a, "%s%s", top, place[k].folder));
        TRY(list_version(out, c, folder, place[k].by_survey, a));
        if (out->n > 0) return OK;
    }
    return none_found(c, top, a);
}

/* ---- redrock files ---- */

static Status list_redrocks(FileList *out, const DesiConfig *c, Arena *a)
{
    static const char *const tree[] = {"healpix", "spectra", "tiles/cumulative"};
    bool found;
    TRY(desi_list_tree(out, &found, c, "redrock", a));
    if (!found)
        return FAIL(E_INPUT, "no folder %s/spectro/redux/%s/%s: check release.spectra.root, specprod and layout",
                    c->root, c->specprod, tree[c->layout]);
    if (out->n == 0)
        return FAIL(E_INPUT, "%s/spectro/redux/%s/%s holds no redrock file of the programs asked for", c->root,
                    c->specprod, tree[c->layout]);
    return OK;
}

/* A program that was asked for by name must be there: a slip of the pen would otherwise lose it in silence. A catalogue
   of all programs, and a file by tile, may hold any. */
static Status check_programs(const FileList *files, const DesiConfig *c)
{
    for (int64_t k = 0; k < files->n; k++) {
        DesiName name;
        if (!parse_name(&name, c, base_name(files->path[k]))) return OK;
    }
    for (int64_t i = 0; i < c->programs.n; i++)
        if (!covers(files, c, c->programs.item[i]))
            return FAIL(E_INPUT, "release.spectra.programs: no redshift file of %s in %s/spectro/redux/%s",
                        c->programs.item[i], c->root, c->specprod);
    return OK;
}

Status desi_list_redshifts(FileList *out, const void *config, Arena *a)
{
    const DesiConfig *c = config;
    *out = (FileList){0};
    if (c->redshifts == REDSHIFTS_COADD) return desi_list_spectra(out, c, a);
    TRY(c->redshifts == REDSHIFTS_REDROCK ? list_redrocks(out, c, a) : list_zcatalogs(out, c, a));
    filelist_sort(out);
    return check_programs(out, c);
}

/* ---- what is read along with them ---- */

Status desi_list_beside(FileList *out, int64_t *room, const void *config, const char *path, Arena *a)
{
    const DesiConfig *c = config;
    static const char *const kinds[] = {"redrock", "emline", "qso_mgii", "qso_qn"};
    static const char *const ends[] = {"-imaging", "-extra"};
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path, *rest = strchr(base, '-');
    const char *end = strstr(base, ".fits");
    char name[DESI_PATH], full[2 * DESI_PATH];
    if (!end) return OK;
    for (int k = 0; k < 2 && c->redshifts == REDSHIFTS_ZCATALOG; k++) {
        snprintf(name, sizeof name, "%.*s%s.fits", (int)(end - path), path, ends[k]);
        if (survey_file(full, sizeof full, c->root, name)) TRY(filelist_add(out, room, name, a));
    }
    for (int k = 0; k < 4 && c->redshifts != REDSHIFTS_ZCATALOG && rest; k++) {
        snprintf(name, sizeof name, "%.*s%s%.*s.fits", (int)(base - path), path, kinds[k], (int)(end - rest), rest);
        if (strcmp(name, path) != 0 && survey_file(full, sizeof full, c->root, name))
            TRY(filelist_add(out, room, name, a));
    }
    return OK;
}
