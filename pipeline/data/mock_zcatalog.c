/* mock_zcatalog.c - redshift catalogues of the mock sky as the productions of DESI publish them (formats.md B6): version
   0 of the early release, 1, and 2 in three files; by pixel or by tile; and the table of pixels of a program by
   UNIQPIX. */
#include <stdio.h>
#include <string.h>

#include "data/mock_table.h"

#define R MockRecord
static const MockColumn pixel_columns[] = {MOCK_WHOLE(R, "HEALPIX", "J", healpix), MOCK_END};
static const MockColumn uniqpix_columns[] = {MOCK_WHOLE(R, "UNIQPIX", "J", uniqpix), MOCK_END};
static const MockColumn night_columns[] = {MOCK_WHOLE(R, "LASTNIGHT", "J", night),
                                           MOCK_WHOLE(R, "SPGRPVAL", "J", group_value), MOCK_END};
static const MockColumn count_columns[] = {MOCK_WHOLE(R, "ZCAT_NSPEC", "I", nspec), MOCK_END};
static const MockColumn core_columns[] = {
    MOCK_TEXT(R, "DESINAME", "22A", desiname), MOCK_WHOLE(R, "PETAL_LOC", "I", petal),
    MOCK_WHOLE(R, "FIBER", "J", fiber),        MOCK_WHOLE(R, "COADD_NUMEXP", "I", numexp),
    MOCK_BOOL(R, "GOOD_SPEC", good_spec),      MOCK_WHOLE(R, "ZCAT_NSPEC", "I", nspec),
    MOCK_BOOL(R, "ZCAT_PRIMARY", primary),     MOCK_END,
};
static const MockColumn extra_columns[] = {
    MOCK_WHOLE(R, "HEALPIX", "J", group_value),
    MOCK_WHOLE(R, "NSIDE", "J", nside),
    MOCK_WHOLE(R, "SPGRPVAL", "J", group_value),
    MOCK_REAL(R, "Z", "D", "", z),
    MOCK_REAL(R, "ZERR", "E", "", zerr),
    MOCK_WHOLE(R, "ZWARN", "J", zwarn),
    MOCK_REAL(R, "CHI2", "E", "", chi2),
    MOCK_WHOLE(R, "NPIXELS", "J", npixels),
    MOCK_TEXT(R, "SPECTYPE", "6A", spectype),
    MOCK_TEXT(R, "SUBTYPE", "3A", subtype),
    MOCK_REAL(R, "DELTACHI2", "E", "", deltachi2),
    MOCK_REAL(R, "TSNR2_BGS", "E", "", tsnr2_bgs),
    MOCK_REAL(R, "TSNR2_LRG", "E", "", tsnr2_lrg),
    MOCK_REAL(R, "OII_FLUX", "E", "", oii_flux),
    MOCK_REAL(R, "OII_FLUX_IVAR", "E", "", oii_ivar),
    MOCK_BOOL(R, "IS_QSO_MGII", is_mgii),
    MOCK_BOOL(R, "IS_QSO_QN_NEW_RR", is_qn),
    MOCK_REAL(R, "C_LYA", "E", "", c_other),
    MOCK_REAL(R, "C_CIV", "E", "", c_other),
    MOCK_REAL(R, "C_CIII", "E", "", c_other),
    MOCK_REAL(R, "C_MgII", "E", "", c_line),
    MOCK_REAL(R, "C_Hbeta", "E", "", c_other),
    MOCK_REAL(R, "C_Halpha", "E", "", c_other),
    MOCK_REAL(R, "Z_NEW", "D", "", z),
    MOCK_BOOL(R, "GOOD_Z_BGS", good_bgs),
    MOCK_BOOL(R, "GOOD_Z_LRG", good_lrg),
    MOCK_BOOL(R, "GOOD_Z_ELG", good_elg),
    MOCK_BOOL(R, "GOOD_Z_QSO", good_qso),
    MOCK_REAL(R, "Z_QSO", "D", "", z),
    MOCK_END,
};
#undef R

enum { MOST_LISTS = 16 };
typedef struct {
    const char *part, *extname;
    const MockColumn *list[MOST_LISTS]; /* NULL-terminated */
} CatalogFile;

/* The files of a program's catalogue; returns how many. */
static int files_of(CatalogFile file[3], const MockSky *sky)
{
    const MockColumn *targets = mock_targets_of(sky), *z = mock_redshift_columns, *id = mock_id_columns;
    const MockColumn *status = mock_status_columns, *where = mock_position_columns, *imaging = mock_imaging_columns;
    switch (sky->layout) {
    case MOCK_EDR:
        file[0] = (CatalogFile){"",
                                "ZCATALOG",
                                {id, pixel_columns, z, status, where, imaging, mock_coadd_columns, targets,
                                 mock_depth_columns, count_columns}};
        return 1;
    case MOCK_DR1:
        file[0] = (CatalogFile){"",
                                "ZCATALOG",
                                {id, pixel_columns, z, status, where, imaging, mock_coadd_columns, count_columns,
                                 mock_program_columns, targets, mock_depth_columns}};
        return 1;
    case MOCK_TILES:
        file[0] = (CatalogFile){"",
                                "ZCATALOG",
                                {id, night_columns, mock_tile_columns, z, status, where, imaging, mock_coadd_columns,
                                 count_columns, mock_program_columns, targets, mock_depth_columns}};
        return 1;
    default:
        file[0] = (CatalogFile){"",
                                "ZCATALOG",
                                {id, sky->layout == MOCK_DR3 ? uniqpix_columns : pixel_columns, mock_best_columns,
                                 status, where, core_columns, targets}};
        file[1] = (CatalogFile){"-imaging", "ZCATALOG_IMAGING", {id, imaging}};
        file[2] = (CatalogFile){"-extra", "ZCATALOG_EXTRA", {id, extra_columns}};
        return 3;
    }
}

static Status put_keys(FitsFile *f, const MockSky *sky, const char *program)
{
    static const char *const version[] = {"v0", "v1", "v2", "v2", "v1"};
    if (sky->layout == MOCK_EDR) return OK; /* says nothing of itself: the name of the file does */
    TRY(fitsfile_put_text(f, "ZCATVER", version[sky->layout], ""));
    TRY(fitsfile_put_text(f, "SURVEY", sky->survey, ""));
    TRY(fitsfile_put_text(f, "PROGRAM", program, ""));
    TRY(fitsfile_put_text(f, "SPGRP", sky->layout == MOCK_TILES ? "cumulative" : "healpix", ""));
    return fitsfile_put_checksum(f);
}

typedef struct {
    MockList list;
    const char *program;
    CatalogFile file[3];
    char path[3][FITS_PATH];
    FitsFile f[3];
    int n_files;
    int64_t rows;
} Zcatalog;

static Status add_objects(MockList *list, const MockSky *sky, const MockObject *object, int64_t n_objects, Arena *a)
{
    Zcatalog *c = (Zcatalog *)list;
    MockRecord *record;
    int64_t n;
    TRY(mock_records(&record, &n, sky, NULL, c->program, 0, object, n_objects, a));
    for (int i = 0; i < c->n_files; i++)
        TRY(mock_put_rows(&c->f[i], c->file[i].list, record, sizeof *record, c->rows, n, a));
    c->rows += n;
    return OK;
}

static Status end_catalog(MockList *list, const MockSky *sky, bool good, Arena *a)
{
    Zcatalog *c = (Zcatalog *)list;
    Status st = OK;
    (void)a;
    MUST(!good || c->n_files == 0 || c->rows == sky->rows[strcmp(c->program, "dark") == 0]);
    for (int i = 0; i < c->n_files; i++) {
        if (good && st == OK) st = fitsfile_put_checksum(&c->f[i]);
        if (good && st == OK) st = put_keys(&c->f[i], sky, c->program);
        if (good && st == OK) st = mock_end(&c->f[i], c->path[i]);
        fitsfile_close(&c->f[i]);
    }
    return st;
}

Status mock_zcatalog_begin(MockList **out, const MockSky *sky, const DesiConfig *desi, const char *program, Arena *a)
{
    Zcatalog *c;
    const int64_t rows = sky->rows[strcmp(program, "dark") == 0];
    TRY(arena_new(&c, a, 1));
    *c = (Zcatalog){.list = {add_objects, end_catalog}, .program = program};
    *out = &c->list; /* from here on it is ended, whatever happens */
    const int n = rows > 0 ? files_of(c->file, sky) : 0;
    for (; c->n_files < n; c->n_files++) {
        const int i = c->n_files;
        TRY(mock_zcatalog_path(c->path[i], sky, desi, program, c->file[i].part));
        TRY(mock_begin(&c->f[i], c->path[i]));
        TRY(mock_new_table(&c->f[i], c->file[i].extname, c->file[i].list, rows));
    }
    return OK;
}

/* ---- pixels of a program ---- */

typedef struct {
    int64_t uniqpix, targets, spectra;
} Pixel;

Status mock_write_uniqpix(const MockSky *sky, const DesiConfig *desi, const char *program, Arena *a)
{
    static const MockColumn columns[] = {MOCK_WHOLE(Pixel, "UNIQPIX", "K", uniqpix),
                                         MOCK_WHOLE(Pixel, "NTARGETS", "K", targets),
                                         MOCK_WHOLE(Pixel, "NSPECTRA", "K", spectra), MOCK_END};
    static const MockColumn *const lists[] = {columns, NULL};
    Status st = OK;
    FitsFile f = {0};
    char path[FITS_PATH];
    Pixel *pixel;
    int64_t n = 0;
    Mark mark = arena_mark(a);
    TRY(arena_new(&pixel, a, sky->n_groups));
    for (int64_t g = 0; g < sky->n_groups; g++) {
        if (strcmp(sky->group[g].program, program) != 0) continue;
        Pixel p = {.uniqpix = sky->group[g].uniqpix, .targets = sky->group[g].rows};
        p.spectra = p.targets * (sky->exposures > 0 ? sky->exposures : 1);
        pixel[n++] = p;
    }
    if (n == 0) return OK;
    snprintf(path, sizeof path, "%.400s/spectro/redux/%.100s/spectra/%s/%s/uniqpix-%s-%s.fits", desi->root,
             desi->specprod, sky->survey, program, sky->survey, program);
    TRY_DONE(mock_begin(&f, path));
    TRY_DONE(mock_write_table(&f, "UNIQPIX", lists, pixel, sizeof *pixel, n, a));
    TRY_DONE(fitsfile_put_text(&f, "SURVEY", sky->survey, ""));
    TRY_DONE(fitsfile_put_text(&f, "PROGRAM", program, ""));
    TRY_DONE(fitsfile_put_text(&f, "SPECPROD", desi->specprod, ""));
    TRY_DONE(fitsfile_put_checksum(&f));
    TRY_DONE(mock_end(&f, path));
done:
    fitsfile_close(&f);
    arena_reset(a, mark);
    return st;
}
