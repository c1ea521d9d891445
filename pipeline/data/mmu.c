/* mmu.c - sets of the Multimodal Universe, kind `mmu`: a folder of healpix=NUMBER folders, one dataset per column. What
   both kinds of set share: files, identifiers, positions, photometry. mmu_spectra.c reads its DESI set,
   mmu_images.c its Legacy Surveys set. Publications of the set differ in capitals. */
#include "data/mmu.h"

#include <string.h>
#include <strings.h>

#include "data/brick.h"
#include "data/folder.h"

Status mmu_list(FileList *out, const void *config, Arena *a)
{
    const StoredConfig *c = config;
    int64_t room = 0;
    bool given, found;
    FileList folders;
    *out = (FileList){0};
    TRY(stored_add_given(out, &room, &given, c, a));
    if (given) return OK;
    TRY(folder_list(&folders, &found, c->root, "", a));
    for (int64_t i = 0; i < folders.n; i++)
        if (strncmp(folders.path[i], "healpix=", strlen("healpix=")) == 0)
            TRY(stored_add_folder(out, &room, c->root, folders.path[i], "", a));
    TRY(stored_add_folder(out, &room, c->root, "", "", a));
    filelist_sort(out);
    return stored_check_found(out, c->root, "healpix=*/*.hdf5");
}

Status mmu_count(int64_t *n, const void *config, const char *path, Arena *scratch)
{
    StoredNames names;
    H5File f;
    Status st = stored_open(&f, config, path);
    if (st == OK) st = stored_names(&names, &f, scratch);
    if (st == OK) st = mmu_rows(n, &f, &names);
    h5_close(&f);
    return st;
}

Status mmu_rows(int64_t *n, H5File *f, const StoredNames *names)
{
    const char *id = stored_find(names, "object_id");
    if (!id) return FAIL(E_INPUT, "%s: there is no dataset 'object_id' in it; is it a file of this set?", f->path);
    return stored_rows(n, f, id);
}

/* ---- columns of both kinds ---- */

#define FIELD(field) offsetof(CatalogRow, field)
#define TEXT(field)  sizeof(((CatalogRow *)0)->field), offsetof(CatalogRow, field)
static const StoredColumn columns[] = {{"ra", H5_F64, 0, FIELD(ra), true},
                                       {"dec", H5_F64, 0, FIELD(dec), true},
                                       {"RELEASE", H5_I16, 0, FIELD(release), false},
                                       {"BRICKID", H5_I32, 0, FIELD(brickid), false},
                                       {"BRICKNAME", H5_TEXT, TEXT(brickname), false},
                                       {"BRICK_OBJID", H5_I32, 0, FIELD(brick_objid), false}, /* of spectra */
                                       {"OBJID", H5_I32, 0, FIELD(brick_objid), false},       /* of images  */
                                       {"MORPHTYPE", H5_TEXT, TEXT(morphtype), false},
                                       {"TYPE", H5_TEXT, TEXT(morphtype), false},
                                       {"MASKBITS", H5_I32, 0, FIELD(maskbits), false},
                                       {"PHOTSYS", H5_TEXT, TEXT(photsys), false},
                                       {"EBV", H5_F32, 0, FIELD(ebv), false},
                                       {"FLUX_G", H5_F32, 0, FIELD(flux[0]), false},
                                       {"FLUX_R", H5_F32, 0, FIELD(flux[1]), false},
                                       {"FLUX_Z", H5_F32, 0, FIELD(flux[2]), false},
                                       {0}};

Status mmu_read_columns(CatalogRow *rows, H5File *f, const StoredNames *names, const StoredColumn *own, int64_t first,
                        int64_t n, Arena *scratch)
{
    int64_t n_file;
    for (int64_t i = 0; i < n; i++) {
        catalog_new_row(&rows[i]);
        rows[i].source_row = first + i;
    }
    TRY(mmu_rows(&n_file, f, names));
    TRY(stored_read_columns(rows, f, names, columns, n_file, first, n, scratch));
    return own ? stored_read_columns(rows, f, names, own, n_file, first, n, scratch) : OK;
}

Status mmu_read_ids(int64_t *targetid, H5File *f, const StoredNames *names, int64_t first, int64_t n, Arena *scratch)
{
    enum { ID_CELL = 48 };
    char *text;
    int64_t n_file;
    const char *dataset = stored_find(names, "TARGETID");
    if (!dataset) dataset = stored_find(names, "object_id");
    TRY(mmu_rows(&n_file, f, names));
    Mark mark = arena_mark(scratch);
    Status st = stored_read_text(&text, ID_CELL, f, dataset, n_file, first, n, scratch);
    for (int64_t i = 0; i < n && st == OK; i++) targetid[i] = stored_name_id(text + i * ID_CELL);
    arena_reset(scratch, mark);
    return st;
}
