/* mock_tables.c - survey-bricks; and how mock files get their names. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "data/mock_render.h"
#include "data/mock_table.h"
#include "io/artefact.h"
#include "io/gzip.h"

Status mock_begin(FitsFile *f, const char *path)
{
    char part[FITS_PATH];
    TRY(artefact_make_folder_of(&par_alone, path));
    if (snprintf(part, sizeof part, "%s.part", path) >= (int)sizeof part)
        return FAIL(E_CONFIG, "%s: the path is too long", path);
    return fitsfile_create(f, part);
}

Status mock_end(FitsFile *f, const char *path)
{
    TRY(fitsfile_finish(f));
    return artefact_publish(&par_alone, path);
}

Status mock_gzip(const char *path)
{
    char plain[FITS_PATH + 8], part[FITS_PATH + 8];
    snprintf(plain, sizeof plain, "%.*s.plain", FITS_PATH, path);
    snprintf(part, sizeof part, "%.*s.part", FITS_PATH, path);
    Status st = gzip_file(part, plain);
    unlink(plain);
    return st != OK ? st : artefact_publish(&par_alone, path);
}

typedef struct {
    int64_t id, q, row, col, nexp, objects, primary;
    double ra, dec, ra1, ra2, dec1, dec2, area;
    double psfsize[N_BANDS], psfdepth[N_BANDS], galdepth[N_BANDS]; /* arcsec; magnitudes of 5 sigma */
    char name[BRICK_NAME];
} BrickRow;

static const MockColumn brick_columns_all[] = {
    MOCK_TEXT(BrickRow, "BRICKNAME", "8A", name),  MOCK_WHOLE(BrickRow, "BRICKID", "J", id),
    MOCK_WHOLE(BrickRow, "BRICKQ", "I", q),        MOCK_WHOLE(BrickRow, "BRICKROW", "J", row),
    MOCK_WHOLE(BrickRow, "BRICKCOL", "J", col),    MOCK_REAL(BrickRow, "RA", "D", "deg", ra),
    MOCK_REAL(BrickRow, "DEC", "D", "deg", dec),   MOCK_REAL(BrickRow, "RA1", "D", "deg", ra1),
    MOCK_REAL(BrickRow, "RA2", "D", "deg", ra2),   MOCK_REAL(BrickRow, "DEC1", "D", "deg", dec1),
    MOCK_REAL(BrickRow, "DEC2", "D", "deg", dec2), MOCK_END};

static const MockColumn brick_columns_region[] = {
    MOCK_TEXT(BrickRow, "brickname", "8A", name),
    MOCK_REAL(BrickRow, "ra", "D", "deg", ra),
    MOCK_REAL(BrickRow, "dec", "D", "deg", dec),
    MOCK_WHOLE(BrickRow, "nexp_g", "I", nexp),
    MOCK_WHOLE(BrickRow, "nexp_r", "I", nexp),
    MOCK_WHOLE(BrickRow, "nexp_z", "I", nexp),
    MOCK_WHOLE(BrickRow, "nobjs", "J", objects),
    MOCK_WHOLE(BrickRow, "brickid", "J", id),
    MOCK_REAL(BrickRow, "ra1", "D", "deg", ra1),
    MOCK_REAL(BrickRow, "ra2", "D", "deg", ra2),
    MOCK_REAL(BrickRow, "dec1", "D", "deg", dec1),
    MOCK_REAL(BrickRow, "dec2", "D", "deg", dec2),
    MOCK_REAL(BrickRow, "psfsize_g", "E", "arcsec", psfsize[0]),
    MOCK_REAL(BrickRow, "psfsize_r", "E", "arcsec", psfsize[1]),
    MOCK_REAL(BrickRow, "psfsize_z", "E", "arcsec", psfsize[2]),
    MOCK_REAL(BrickRow, "psfdepth_g", "E", "mag", psfdepth[0]),
    MOCK_REAL(BrickRow, "psfdepth_r", "E", "mag", psfdepth[1]),
    MOCK_REAL(BrickRow, "psfdepth_z", "E", "mag", psfdepth[2]),
    MOCK_REAL(BrickRow, "galdepth_g", "E", "mag", galdepth[0]),
    MOCK_REAL(BrickRow, "galdepth_r", "E", "mag", galdepth[1]),
    MOCK_REAL(BrickRow, "galdepth_z", "E", "mag", galdepth[2]),
    MOCK_REAL(BrickRow, "area", "D", "deg2", area),
    MOCK_BOOL(BrickRow, "survey_primary", primary),
    MOCK_BOOL(BrickRow, "in_desi", primary),
    MOCK_END,
};

static double magnitude_of(double depth) { return 22.5 - 2.5 * log10(5 / sqrt(depth)); }

static void make_brick_row(BrickRow *r, const MockSky *sky, int64_t brick)
{
    const double degree = M_PI / 180;
    Brick at;
    const Brick *b = &at;
    mock_brick(&at, sky, brick);
    *r = (BrickRow){.id = b->id, .q = b->col % 2 + 2 * (b->row % 2), .row = b->row, .col = b->col};
    r->nexp = 3;
    r->objects = mock_brick_objects(sky, brick);
    r->primary = 1;
    r->ra = b->ra;
    r->dec = b->dec;
    r->ra1 = b->ra1;
    r->ra2 = b->ra2;
    r->dec1 = b->dec1;
    r->dec2 = b->dec2;
    r->area = (b->ra2 - b->ra1) * (sin(b->dec2 * degree) - sin(b->dec1 * degree)) / degree;
    memcpy(r->name, b->name, sizeof r->name);
    for (int k = 0; k < N_BANDS; k++) {
        MockSeeing seeing;
        double star, disk;
        mock_seeing(&seeing, sky, b, k);
        mock_depth(&star, &disk, &seeing);
        r->psfsize[k] = seeing.fwhm;
        r->psfdepth[k] = magnitude_of(star);
        r->galdepth[k] = magnitude_of(disk);
    }
}

/* Written plain, then as the gzip that the survey publishes. */
Status mock_write_bricks(const MockSky *sky, const LegacyConfig *legacy, bool region, Arena *a)
{
    Status st = OK;
    FitsFile f = {0};
    BrickRow *row;
    char path[FITS_PATH], plain[FITS_PATH];
    const MockColumn *const lists[] = {region ? brick_columns_region : brick_columns_all, NULL};
    const char *release = legacy->release, *side = legacy->regions.item[0];
    Mark mark = arena_mark(a);
    if (region)
        snprintf(path, sizeof path, "%.400s/%.100s/%s/survey-bricks-%.100s-%s.fits.gz", legacy->root, release, side,
                 release, side);
    else
        snprintf(path, sizeof path, "%.400s/%.100s/survey-bricks.fits.gz", legacy->root, release);
    snprintf(plain, sizeof plain, "%.1000s.plain", path);
    TRY_DONE(arena_new(&row, a, sky->n_bricks));
    for (int64_t i = 0; i < sky->n_bricks; i++) make_brick_row(&row[i], sky, i);
    TRY_DONE(mock_begin(&f, plain));
    TRY_DONE(mock_write_table(&f, "SURVEY-BRICKS", lists, row, sizeof *row, sky->n_bricks, a));
    TRY_DONE(mock_end(&f, plain));
    TRY_DONE(mock_gzip(path));
done:
    fitsfile_close(&f);
    arena_reset(a, mark);
    return st;
}
