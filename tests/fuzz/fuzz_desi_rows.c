/* fuzz_desi_rows.c - DESI's redshift catalogues of all versions and redrock files, as rows of a catalogue. */
#include <string.h>

#include "data/desi.h"
#include "data/mock.h"
#include "fuzz.h"

enum { ZPIX, REDROCK, ZPIX_V2, ZTILE, N_FILES, ROWS = 64 };

static const char *const files[] = {"zcatalog/zpix-main-bright.fits", "redrock-main-dark-9144.fits",
                                    "zcatalog/v2/main/zpix-main-bright.fits",
                                    "zcatalog/ztile-main-dark-cumulative.fits"};
static const char *const words[] = {"TARGETID",   "SURVEY  ", "PROGRAM ", "ZCATALOG", "REDSHIFTS", "FIBERMAP",
                                    "HEALPIX",    "UNIQPIX",  "Z_BEST",   "SPECTYPE", "NAXIS1  ",  "NAXIS2  ",
                                    "TFIELDS ",   "TFORM1  ", "TTYPE1  ", "TDIM1   ", "TSCAL2  ",  "TZERO2  ",
                                    "TNULL2  ",   "PCOUNT  ", "THEAP   ", "1PJ(3)",   "K       ",  "../../..",
                                    "999999999A", "QA",       NULL};

/* Catalogues of one layout, and the redrock file of a group. */
static Status add(int layout, int kind, Arena *a)
{
    const DesiConfig desi = {.root = fuzz_folder(), .specprod = "mock"};
    const MockConfig config = {.objects = 8, .per_brick = 8, .ra = 150, .dec = 2, .layout = layout, .truth = ""};
    char path[FITS_PATH];
    MockSky sky;
    MockGroup group;
    TRY(mock_sky(&sky, &config, NULL, 3, &par_alone, a));
    TRY(mock_write_lists(&sky, &(MockLists){.desi = &desi}, &par_alone, a));
    TRY(mock_zcatalog_path(path, &sky, &desi, "bright", ""));
    fuzz_seed_file(kind, path);
    TRY(mock_write_group(&sky, &desi, 0, a));
    mock_group(&group, &sky, 0);
    TRY(mock_group_path(path, &sky, &desi, &group, "redrock"));
    fuzz_seed_file(REDROCK, path);
    return OK;
}

static Status seeds(Arena *a)
{
    fuzz_seed_shared(REDROCK, "data/desi/redrock-special-dark-27247.fits");
    TRY(add(MOCK_EDR, ZPIX, a));
    TRY(add(MOCK_DR1, ZPIX, a));
    TRY(add(MOCK_DR2, ZPIX_V2, a));
    TRY(add(MOCK_DR3, ZPIX_V2, a));
    return add(MOCK_TILES, ZTILE, a);
}

/* What the rows say must be fit to become part of a path, or no path at all. */
static void one(int kind, const char *path, const uint8_t *bytes, int64_t n, Arena *a)
{
    const DesiConfig config = {.root = fuzz_folder(),
                               .specprod = "mock",
                               .layout = kind == ZTILE ? LAYOUT_TILES
                                         : n % 2       ? LAYOUT_UNIQPIX
                                                       : LAYOUT_HEALPIX,
                               .redshifts = kind == REDROCK ? REDSHIFTS_REDROCK : REDSHIFTS_ZCATALOG};
    CatalogRow *rows;
    int64_t count = 0;
    (void)path, (void)bytes;
    if (!fuzz_ok(desi_count_redshifts(&count, &config, files[kind], a))) return;
    if (count > ROWS) count = ROWS;
    MUST(arena_new(&rows, a, count) == OK);
    for (int64_t i = 0; i < count; i++) catalog_new_row(&rows[i]);
    if (!fuzz_ok(desi_read_redshifts(rows, &config, files[kind], 0, count, a))) return;
    for (int64_t i = 0; i < count; i++) {
        char name[DESI_PATH];
        if (fuzz_ok(desi_survey.spectrum_file(name, sizeof name, &config, &rows[i], NULL)))
            MUST(!strstr(name, "..") && name[0] != '/' && !strpbrk(name, " ;|&$`'\"\\\n"));
    }
}

const FuzzTarget fuzz_target = {"desi_rows", N_FILES, seeds, one, files, words};
