/* desi_tree.c - which files of spectra (or redrock files) there are: the three trees of DESI, walked folder by folder,
   and folders without any tree. Folders whose names are not what the layout writes are passed over. */
#include <string.h>

#include "data/desi.h"
#include "data/folder.h"
#include "data/healpix.h"

typedef struct {
    FileList *out;
    int64_t room;
    const DesiConfig *c;
    const char *kind; /* "coadd", "spectra", "redrock" */
    Arena *a;
} Walk;

/* NAME.gz right after NAME: one file in two forms. */
static bool repeats(const FileList *names, int64_t i)
{
    if (i == 0) return false;
    size_t n = strlen(names->path[i - 1]);
    return strncmp(names->path[i], names->path[i - 1], n) == 0 && strcmp(names->path[i] + n, ".gz") == 0;
}

static Status add_file(Walk *w, const char *survey, const char *program, int32_t number)
{
    char path[DESI_PATH];
    if (w->c->layout == LAYOUT_UNIQPIX)
        TRY(desi_uniqpix_path(path, sizeof path, w->c->specprod, w->kind, survey, program, number));
    else
        TRY(desi_pixel_path(path, sizeof path, w->c->specprod, w->kind, survey, program, number));
    return filelist_add_existing(w->out, &w->room, w->c->root, path, w->a);
}

static bool is_place(const DesiConfig *c, int32_t number, int32_t group)
{
    if (number < 0 || healpix_group(number) != group) return false;
    return c->layout == LAYOUT_UNIQPIX ? uniqpix_healpix(number) >= 0 : number < HEALPIX_PIXELS;
}

/* FOLDER/GROUP/NUMBER of one program. */
static Status walk_program(Walk *w, const char *folder, const char *survey, const char *program)
{
    FileList groups, numbers;
    bool found;
    char *inner;
    TRY(folder_list(&groups, &found, w->c->root, folder, w->a));
    for (int64_t g = 0; g < groups.n; g++) {
        int32_t group = desi_parse_number(groups.path[g], strlen(groups.path[g]));
        if (group < 0) continue;
        TRY(arena_printf(&inner, w->a, "%s/%d", folder, group));
        TRY(folder_list(&numbers, &found, w->c->root, inner, w->a));
        for (int64_t p = 0; p < numbers.n; p++) {
            int32_t number = desi_parse_number(numbers.path[p], strlen(numbers.path[p]));
            if (is_place(w->c, number, group)) TRY(add_file(w, survey, program, number));
        }
    }
    return OK;
}

/* FOLDER/SURVEY/PROGRAM */
static Status walk_programs(Walk *w, bool *found, const char *folder)
{
    FileList surveys, programs;
    bool inside;
    char *inner;
    TRY(folder_list(&surveys, found, w->c->root, folder, w->a));
    for (int64_t s = 0; s < surveys.n; s++) {
        const char *survey = surveys.path[s];
        if (!desi_is_word(survey)) continue;
        TRY(arena_printf(&inner, w->a, "%s/%s", folder, survey));
        TRY(folder_list(&programs, &inside, w->c->root, inner, w->a));
        for (int64_t p = 0; p < programs.n; p++) {
            const char *program = programs.path[p];
            if (!desi_is_word(program) || !desi_wants(w->c, survey, program)) continue;
            TRY(arena_printf(&inner, w->a, "%s/%s/%s", folder, survey, program));
            TRY(walk_program(w, inner, survey, program));
        }
    }
    return OK;
}

/* FOLDER/TILEID/NIGHT: its files tell their petals. */
static Status walk_night(Walk *w, const char *folder, int32_t tileid, int32_t night)
{
    FileList names;
    bool found;
    char path[DESI_PATH];
    TRY(folder_list(&names, &found, w->c->root, folder, w->a));
    for (int64_t i = 0; i < names.n; i++) {
        DesiName name;
        if (repeats(&names, i) || !desi_parse_tile_name(&name, names.path[i], w->kind)) continue;
        if (name.tileid != tileid || name.night != night) continue;
        TRY(desi_tile_path(path, sizeof path, w->c->specprod, w->kind, tileid, night, name.petal));
        TRY(filelist_add_existing(w->out, &w->room, w->c->root, path, w->a));
    }
    return OK;
}

static Status walk_tiles(Walk *w, bool *found, const char *folder)
{
    FileList tiles, nights;
    bool inside;
    char *inner;
    TRY(folder_list(&tiles, found, w->c->root, folder, w->a));
    for (int64_t t = 0; t < tiles.n; t++) {
        int32_t tileid = desi_parse_number(tiles.path[t], strlen(tiles.path[t]));
        if (tileid <= 0) continue;
        TRY(arena_printf(&inner, w->a, "%s/%d", folder, tileid));
        TRY(folder_list(&nights, &inside, w->c->root, inner, w->a));
        for (int64_t k = 0; k < nights.n; k++) {
            int32_t night = desi_parse_number(nights.path[k], strlen(nights.path[k]));
            if (night < 0) continue;
            TRY(arena_printf(&inner, w->a, "%s/%d/%d", folder, tileid, night));
            TRY(walk_night(w, inner, tileid, night));
        }
    }
    return OK;
}

static Status tree_folder(char **folder, const DesiConfig *c, Arena *a)
{
    static const char *const name[] = {"healpix", "spectra", "tiles/cumulative"};
    return arena_printf(folder, a, "spectro/redux/%s/%s", c->specprod, name[c->layout]);
}

Status desi_list_tree(FileList *out, bool *found, const DesiConfig *c, const char *kind, Arena *a)
{
    Walk w = {.out = out, .c = c, .kind = kind, .a = a};
    char *folder;
    *out = (FileList){0};
    TRY(tree_folder(&folder, c, a));
    return c->layout == LAYOUT_TILES ? walk_tiles(&w, found, folder) : walk_programs(&w, found, folder);
}

/* ---- the files of redshifts: coadd ---- */

static const char *const kinds[] = {"coadd", "spectra"};

static bool is_spectrum_file(const char *name)
{
    for (int k = 0; k < 2; k++) {
        size_t n = strlen(kinds[k]), length = strlen(name);
        if (strncmp(name, kinds[k], n) != 0 || name[n] != '-') continue;
        if (length > 5 && strcmp(name + length - 5, ".fits") == 0) return true;
        if (length > 8 && strcmp(name + length - 8, ".fits.gz") == 0) return true;
    }
    return false;
}

/* Files of both kinds that lie in the root itself. */
static Status list_root(FileList *out, const DesiConfig *c, const char *tree, Arena *a)
{
    FileList names;
    bool found;
    int64_t room = 0;
    TRY(folder_list(&names, &found, c->root, ".", a));
    for (int64_t i = 0; i < names.n; i++)
        if (!repeats(&names, i) && is_spectrum_file(names.path[i])) TRY(filelist_add(out, &room, names.path[i], a));
    if (out->n > 0) return OK;
    return FAIL(E_INPUT,
                "release.spectra.root: %s has no folder %s, and no coadd-*.fits or spectra-*.fits lies in it; check "
                "root, specprod and layout, or name the files in release.spectra.files",
                c->root, tree);
}

/* A program that was asked for by name must be there: a slip of the pen would otherwise lose it in silence. */
static Status check_programs(const FileList *files, const DesiConfig *c, const char *kind)
{
    for (int64_t i = 0; i < c->programs.n && c->layout != LAYOUT_TILES; i++) {
        const ConfigTexts item = {1, &c->programs.item[i]};
        bool found = false;
        for (int64_t k = 0; k < files->n && !found; k++) {
            DesiName name;
            const char *slash = strrchr(files->path[k], '/');
            found = slash && desi_parse_layout_name(&name, c->layout, slash + 1, kind) &&
                    desi_lists(&item, name.survey, name.program);
        }
        if (!found)
            return FAIL(E_INPUT, "release.spectra.programs: no %s file of %s in %s/spectro/redux/%s", kind,
                        c->programs.item[i], c->root, c->specprod);
    }
    return OK;
}

Status desi_list_spectra(FileList *out, const DesiConfig *c, Arena *a)
{
    int64_t room = 0;
    bool found;
    char *folder;
    const char *kind = kinds[c->spectra == SPECTRA_EXPOSURES];
    *out = (FileList){0};
    for (int64_t i = 0; i < c->files.n; i++) TRY(filelist_add(out, &room, c->files.item[i], a));
    if (c->files.n > 0) return OK;
    TRY(desi_list_tree(out, &found, c, kind, a));
    TRY(tree_folder(&folder, c, a));
    if (!found) return list_root(out, c, folder, a);
    if (out->n == 0) return FAIL(E_INPUT, "%s/%s holds no %s file of the programs asked for", c->root, folder, kind);
    filelist_sort(out);
    return check_programs(out, c, kind);
}
