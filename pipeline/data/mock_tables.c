/* mock_tables.c - the tables beside the pixels: survey-bricks and the truth. And how mock files get their names. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/rng.h"
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

/* A column of doubles through a callback: tables here are small. */
typedef struct {
    FitsColumn column;
    double (*value)(const MockObject *o);
} TruthColumn;

static double get_id(const MockObject *o) { return (double)o->brick.id; }
static double get_objid(const MockObject *o) { return o->objid; }
static double get_ra(const MockObject *o) { return o->ra; }
static double get_dec(const MockObject *o) { return o->dec; }
static double get_z(const MockObject *o) { return o->z; }
static double get_mass(const MockObject *o) { return o->logmstar; }
static double get_age(const MockObject *o) { return o->age; }
static double get_logz(const MockObject *o) { return o->logz; }
static double get_ssfr(const MockObject *o) { return o->logssfr; }
static double get_dust(const MockObject *o) { return o->dust; }
static double get_radius(const MockObject *o) { return o->radius; }
static double get_sersic(const MockObject *o) { return o->sersic; }
static double get_veldisp(const MockObject *o) { return o->veldisp; }
static double get_recent(const MockObject *o) { return o->recent; }
static double get_oxygen(const MockObject *o) { return o->oxygen; }
static double get_log_u(const MockObject *o) { return o->log_u; }
static double get_flux_g(const MockObject *o) { return o->flux[0]; }
static double get_flux_r(const MockObject *o) { return o->flux[1]; }
static double get_flux_z(const MockObject *o) { return o->flux[2]; }
static double get_quiescent(const MockObject *o) { return o->quiescent; }
static double get_bulge(const MockObject *o) { return o->bulge_fraction; }
static double get_axis_ratio(const MockObject *o) { return o->axis_ratio; }
static double get_inclination(const MockObject *o) { return o->inclination * 180 / M_PI; }
static double get_arms(const MockObject *o) { return o->arm_count; }
static double get_arm_strength(const MockObject *o) { return o->arm_strength; }
static double get_winding(const MockObject *o) { return o->arm_winding * 180 / M_PI; }
static double get_bar(const MockObject *o) { return o->bar_strength; }
static double get_edge_on(const MockObject *o) { return o->edge_on; }
static double get_merger(const MockObject *o) { return o->merger; }
static double get_halpha(const MockObject *o)
{
    double flux[N_MOCK_LINES];
    mock_lines(flux, o);
    return flux[MOCK_HALPHA];
}
static double get_defect(const MockObject *o) { return o->defect; }

static const TruthColumn truth_columns[] = {
    {{"TARGETID", "K", "", "DESI target identifier"}, NULL},
    {{"BRICKID", "J", "", ""}, get_id},
    {{"BRICK_OBJID", "J", "", ""}, get_objid},
    {{"RA", "D", "deg", ""}, get_ra},
    {{"DEC", "D", "deg", ""}, get_dec},
    {{"Z", "D", "", "redshift"}, get_z},
    {{"LOGMSTAR", "D", "", "log10 of stellar mass in Msun"}, get_mass},
    {{"AGE", "D", "Gyr", "mass-weighted age"}, get_age},
    {{"LOGZMW", "D", "", "log10 of mass-weighted metallicity"}, get_logz},
    {{"LOGSSFR", "D", "", "log10 of specific star-formation rate in 1/yr"}, get_ssfr},
    {{"DUST", "D", "", "optical depth at 5500 A"}, get_dust},
    {{"SHAPE_R", "D", "arcsec", "half-light radius"}, get_radius},
    {{"SERSIC", "D", "", ""}, get_sersic},
    {{"VDISP", "D", "km s^-1", "velocity dispersion of the stars"}, get_veldisp},
    {{"RECENT_SFR", "D", "", "log10 of SFR of 10 Myr over that of a Gyr"}, get_recent},
    {{"LOG_OH", "D", "", "12 + log10 O/H of the gas"}, get_oxygen},
    {{"LOG_U", "D", "", "log10 of the ionisation parameter"}, get_log_u},
    {{"HALPHA_FLUX", "D", "10**-17 erg/(s cm2)", "dimmed by dust, all of the light"}, get_halpha},
    {{"FLUX_G", "D", "nanomaggy", ""}, get_flux_g},
    {{"FLUX_R", "D", "nanomaggy", ""}, get_flux_r},
    {{"FLUX_Z", "D", "nanomaggy", ""}, get_flux_z},
    {{"FIBER_SHARE", "D", "", "share of the light in the fibre"}, mock_fibre_share},
    {{"QUIESCENT", "J", "", ""}, get_quiescent},
    {{"BULGE_FRACTION", "D", "", "of the r light"}, get_bulge},
    {{"AXIS_RATIO", "D", "", ""}, get_axis_ratio},
    {{"INCLINATION", "D", "deg", "of the disk, 0 = face-on"}, get_inclination},
    {{"ARM_COUNT", "J", "", ""}, get_arms},
    {{"ARM_STRENGTH", "D", "", ""}, get_arm_strength},
    {{"ARM_PITCH", "D", "deg", "small = tightly wound"}, get_winding},
    {{"BAR_STRENGTH", "D", "", ""}, get_bar},
    {{"EDGE_ON", "J", "", ""}, get_edge_on},
    {{"MERGER", "J", "", ""}, get_merger},
    {{"DEFECT", "J", "", "what is wrong by design; 0 = nothing"}, get_defect},
};
enum { N_TRUTH = sizeof truth_columns / sizeof *truth_columns };

/* The galaxies. */
static Status fill_truth(FitsFile *f, const MockSky *sky, Arena *a)
{
    FitsColumn columns[N_TRUTH];
    int64_t *id = NULL;
    double *x = NULL;
    TRY(arena_new(&id, a, sky->n));
    TRY(arena_new(&x, a, sky->n));
    for (int c = 0; c < N_TRUTH; c++) columns[c] = truth_columns[c].column;
    TRY(fitsfile_new_table(f, "TRUTH", columns, N_TRUTH, sky->n));
    for (int64_t i = 0; i < sky->n; i++) id[i] = sky->object[i].targetid;
    TRY(fitsfile_write_column(f, "TARGETID", FITS_I64, id, 0, sky->n));
    for (int c = 1; c < N_TRUTH; c++) {
        for (int64_t i = 0; i < sky->n; i++) x[i] = truth_columns[c].value(&sky->object[i]);
        TRY(fitsfile_write_column(f, columns[c].name, FITS_F64, x, 0, sky->n));
    }
    return fitsfile_put_checksum(f);
}

static const MockColumn imaging_columns[] = {
    MOCK_WHOLE(MockSource, "TARGETID", "K", targetid),
    MOCK_WHOLE(MockSource, "RELEASE", "I", release),
    MOCK_WHOLE(MockSource, "BRICKID", "J", brickid),
    MOCK_WHOLE(MockSource, "OBJID", "J", objid),
    MOCK_TEXT(MockSource, "TYPE", "3A", type),
    MOCK_REAL(MockSource, "RA", "D", "deg", ra),
    MOCK_REAL(MockSource, "DEC", "D", "deg", dec),
    MOCK_REAL(MockSource, "FLUX_G", "E", "nanomaggy", flux[0]),
    MOCK_REAL(MockSource, "FLUX_R", "E", "nanomaggy", flux[1]),
    MOCK_REAL(MockSource, "FLUX_Z", "E", "nanomaggy", flux[3]),
    MOCK_WHOLE(MockSource, "NOBS_G", "I", nobs[0]),
    MOCK_WHOLE(MockSource, "NOBS_R", "I", nobs[1]),
    MOCK_WHOLE(MockSource, "NOBS_Z", "I", nobs[3]),
    MOCK_WHOLE(MockSource, "MASKBITS", "J", maskbits),
    MOCK_REAL(MockSource, "Z_PHOT", "E", "", z_phot),
    MOCK_BOOL(MockSource, "IN_SWEEP", in_sweep),
    MOCK_WHOLE(MockSource, "OTHER", "J", other),
    MOCK_END,
};

/* The sources of the image catalogues, brick by brick. */
static Status fill_imaging(FitsFile *f, const MockSky *sky, Arena *a)
{
    static const MockColumn *const lists[] = {imaging_columns, NULL};
    MockSource *all, *some;
    int64_t n = 0, n_some;
    TRY(arena_new(&all, a, sky->n + N_MOCK_OTHERS * sky->n_bricks));
    for (int64_t b = 0; b < sky->n_bricks; b++) {
        Mark mark = arena_mark(a);
        TRY(mock_sources(&some, &n_some, sky, &sky->brick[b], a));
        memcpy(all + n, some, (size_t)n_some * sizeof *all);
        n += n_some;
        arena_reset(a, mark);
    }
    return mock_write_table(f, "IMAGING", lists, all, sizeof *all, n, a);
}

Status mock_write_truth(const MockSky *sky, const char *path, Arena *a)
{
    FitsFile f = {0};
    Mark mark = arena_mark(a);
    Status st = mock_begin(&f, path);
    if (st == OK) st = fill_truth(&f, sky, a);
    if (st == OK) st = fill_imaging(&f, sky, a);
    if (st == OK) st = mock_end(&f, path);
    fitsfile_close(&f);
    arena_reset(a, mark);
    return st;
}

/* ---- bricks ---- */

typedef struct {
    int64_t id, q, row, col, nexp, objects, primary;
    double ra, dec, ra1, ra2, dec1, dec2, area;
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
    MOCK_TEXT(BrickRow, "brickname", "8A", name),   MOCK_REAL(BrickRow, "ra", "D", "deg", ra),
    MOCK_REAL(BrickRow, "dec", "D", "deg", dec),    MOCK_WHOLE(BrickRow, "nexp_g", "I", nexp),
    MOCK_WHOLE(BrickRow, "nexp_r", "I", nexp),      MOCK_WHOLE(BrickRow, "nexp_z", "I", nexp),
    MOCK_WHOLE(BrickRow, "nobjs", "J", objects),    MOCK_WHOLE(BrickRow, "brickid", "J", id),
    MOCK_REAL(BrickRow, "ra1", "D", "deg", ra1),    MOCK_REAL(BrickRow, "ra2", "D", "deg", ra2),
    MOCK_REAL(BrickRow, "dec1", "D", "deg", dec1),  MOCK_REAL(BrickRow, "dec2", "D", "deg", dec2),
    MOCK_REAL(BrickRow, "area", "D", "deg2", area), MOCK_BOOL(BrickRow, "survey_primary", primary),
    MOCK_BOOL(BrickRow, "in_desi", primary),        MOCK_END,
};

static void make_brick_row(BrickRow *r, const MockSky *sky, const Brick *b)
{
    const double degree = M_PI / 180;
    *r = (BrickRow){.id = b->id, .q = b->col % 2 + 2 * (b->row % 2), .row = b->row, .col = b->col};
    r->nexp = 3;
    const int64_t *number;
    r->objects = mock_brick_objects(&number, sky, b->id);
    r->primary = 1;
    r->ra = b->ra;
    r->dec = b->dec;
    r->ra1 = b->ra1;
    r->ra2 = b->ra2;
    r->dec1 = b->dec1;
    r->dec2 = b->dec2;
    r->area = (b->ra2 - b->ra1) * (sin(b->dec2 * degree) - sin(b->dec1 * degree)) / degree;
    memcpy(r->name, b->name, sizeof r->name);
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
    for (int64_t i = 0; i < sky->n_bricks; i++) make_brick_row(&row[i], sky, &sky->brick[i]);
    TRY_DONE(mock_begin(&f, plain));
    TRY_DONE(mock_write_table(&f, "SURVEY-BRICKS", lists, row, sizeof *row, sky->n_bricks, a));
    TRY_DONE(mock_end(&f, plain));
    TRY_DONE(mock_gzip(path));
done:
    fitsfile_close(&f);
    arena_reset(a, mark);
    return st;
}
