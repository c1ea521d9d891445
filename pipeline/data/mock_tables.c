/* mock_tables.c - the tables beside the pixels: survey-bricks, labels as PROVABGS publishes them, the truth. And how mock files get their names. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/rng.h"
#include "data/mock.h"
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

Status mock_write_truth(const MockSky *sky, const char *path, Arena *a)
{
    FitsFile f = {0};
    Mark mark = arena_mark(a);
    Status st = mock_begin(&f, path);
    if (st == OK) st = fill_truth(&f, sky, a);
    if (st == OK) st = mock_end(&f, path);
    fitsfile_close(&f);
    arena_reset(a, mark);
    return st;
}

static Status fill_bricks(FitsFile *f, const MockSky *sky, Arena *a)
{
    static const FitsColumn columns[] = {{"BRICKNAME", "8A", "", ""}, {"BRICKID", "J", "", ""},
                                         {"BRICKQ", "I", "", ""},     {"BRICKROW", "J", "", ""},
                                         {"BRICKCOL", "J", "", ""},   {"RA", "D", "deg", ""},
                                         {"DEC", "D", "deg", ""},     {"RA1", "D", "deg", ""},
                                         {"RA2", "D", "deg", ""},     {"DEC1", "D", "deg", ""},
                                         {"DEC2", "D", "deg", ""}};
    enum { N_COLUMNS = sizeof columns / sizeof *columns };
    int64_t n = sky->n_bricks;
    char(*name)[BRICK_NAME] = NULL;
    double *x = NULL;
    TRY(arena_new(&name, a, n));
    TRY(arena_new(&x, a, n));
    TRY(fitsfile_new_table(f, "SURVEY-BRICKS", columns, N_COLUMNS, n));
    for (int64_t i = 0; i < n; i++) memcpy(name[i], sky->brick[i].name, BRICK_NAME);
    TRY(fitsfile_write_text(f, "BRICKNAME", name[0], BRICK_NAME, 0, n));
    for (int c = 1; c < N_COLUMNS; c++) {
        for (int64_t i = 0; i < n; i++) {
            const Brick *b = &sky->brick[i];
            const double values[] = {
                b->id, b->col % 2 + 2 * (b->row % 2), b->row, b->col, b->ra, b->dec, b->ra1, b->ra2, b->dec1, b->dec2};
            x[i] = values[c - 1];
        }
        TRY(fitsfile_write_column(f, columns[c].name, FITS_F64, x, 0, n));
    }
    return OK;
}

/* Written plain, then as the gzip that the survey publishes. */
Status mock_write_bricks(const MockSky *sky, const LegacyConfig *legacy, Arena *a)
{
    FitsFile f = {0};
    char path[FITS_PATH], plain[FITS_PATH + 8], part[FITS_PATH + 8];
    Mark mark = arena_mark(a);
    snprintf(path, sizeof path, "%s/%s/survey-bricks.fits.gz", legacy->root, legacy->release);
    snprintf(plain, sizeof plain, "%.*s.plain", (int)sizeof path, path);
    snprintf(part, sizeof part, "%.*s.part", (int)sizeof path, path);
    Status st = mock_begin(&f, plain);
    if (st == OK) st = fill_bricks(&f, sky, a);
    if (st == OK) st = mock_end(&f, plain);
    fitsfile_close(&f);
    if (st == OK) st = gzip_file(part, plain);
    unlink(plain);
    arena_reset(a, mark);
    return st != OK ? st : artefact_publish(&par_alone, path);
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
