/* mock_tables.c - the tables beside the pixels: survey-bricks, labels as PROVABGS publishes them, the truth. And how mock files get their names. */
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
    for (int64_t i = 0; i < sky->n; i++) r->objects += sky->object[i].brick.id == b->id;
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

/* ---- labels ---- */

/* Nine of ten galaxies are in the label catalogue, each value with the scatter of a fit. */
static Status fill_labels(H5File *f, const MockSky *sky, Arena *a)
{
    enum { N_VALUES = 9 };
    static const char *const names[N_VALUES] = {
        "RA", "DEC", "Z_HP", "MAG_G", "MAG_R", "MAG_Z", "PROVABGS_LOGMSTAR_BF", "TAGE_MW", "Z_MW"};
    int64_t *id = NULL, n = 0;
    double *x[N_VALUES + 1];
    TRY(arena_new(&id, a, sky->n));
    for (int c = 0; c <= N_VALUES; c++) TRY(arena_new(&x[c], a, sky->n));
    for (int64_t i = 0; i < sky->n; i++) {
        const MockObject *o = &sky->object[i];
        Rng r = rng_stream(sky->seed, "mock.labels", i, 0);
        if (o->targetid < 0 || o->defect == MOCK_SKY || rng_uniform(&r) < 0.1) continue;
        double mass = o->logmstar + 0.04 * rng_normal(&r);
        const double values[N_VALUES] = {o->ra,
                                         o->dec,
                                         o->z,
                                         22.5 - 2.5 * log10(o->flux[0]),
                                         22.5 - 2.5 * log10(o->flux[1]),
                                         22.5 - 2.5 * log10(o->flux[2]),
                                         mass,
                                         o->age * (1 + 0.05 * rng_normal(&r)),
                                         pow(10, o->logz + 0.04 * rng_normal(&r))};
        for (int c = 0; c < N_VALUES; c++) x[c][n] = values[c];
        x[N_VALUES][n] = pow(10, o->logssfr + mass + 0.05 * rng_normal(&r)); /* AVG_SFR */
        id[n++] = o->targetid;
    }
    H5Member members[N_VALUES + 2] = {{"TARGETID", H5_I64, 0, 1, id}};
    for (int c = 0; c < N_VALUES; c++) members[c + 1] = (H5Member){names[c], H5_F64, 0, 1, x[c]};
    members[N_VALUES + 1] = (H5Member){"AVG_SFR", H5_F64, 0, 1, x[N_VALUES]};
    return h5_put_compound(f, "__astropy_table__", members, N_VALUES + 2, n);
}

Status mock_write_labels(const MockSky *sky, const char *path, Arena *a)
{
    H5File f = {0};
    char part[H5_PATH];
    Mark mark = arena_mark(a);
    TRY(artefact_make_folder_of(&par_alone, path));
    snprintf(part, sizeof part, "%s.part", path);
    TRY(h5_create(&f, part, NULL));
    Status st = fill_labels(&f, sky, a), closed = h5_close(&f);
    if (st == OK) st = closed;
    arena_reset(a, mark);
    return st != OK ? st : artefact_publish(&par_alone, path);
}
