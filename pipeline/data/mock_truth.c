/* mock_truth.c - what is true of the mock sky: the latent properties of its galaxies, and the sources of the image
   catalogues, in the order of the bricks. */
#include <math.h>
#include <string.h>

#include "data/mock_table.h"

/* A column of doubles through a callback. */
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
static double get_slope(const MockObject *o) { return o->dust_slope; }
static double get_burst(const MockObject *o) { return o->burst; }
static double get_ml(const MockObject *o) { return o->log_ml; }
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
    {{"DUST_SLOPE", "D", "", "of the attenuation over Calzetti's"}, get_slope},
    {{"BURST", "D", "", "share of the older stars from one burst"}, get_burst},
    {{"LOG_ML", "D", "", "log10 of mass-to-light over its usual"}, get_ml},
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

static const MockColumn *const imaging_lists[] = {imaging_columns, NULL};

typedef struct {
    MockList list;
    FitsFile f;
    const char *path;
    int64_t rows, sources;
} Truth;

static Status add_galaxies(Truth *t, const MockObject *object, int64_t n, Arena *a)
{
    int64_t *id = NULL;
    double *x = NULL;
    TRY(arena_new(&id, a, n));
    TRY(arena_new(&x, a, n));
    TRY(fitsfile_goto_number(&t->f, 1));
    for (int64_t i = 0; i < n; i++) id[i] = object[i].targetid;
    TRY(fitsfile_write_column(&t->f, "TARGETID", FITS_I64, id, t->rows, n));
    for (int c = 1; c < N_TRUTH; c++) {
        for (int64_t i = 0; i < n; i++) x[i] = truth_columns[c].value(&object[i]);
        TRY(fitsfile_write_column(&t->f, truth_columns[c].column.name, FITS_F64, x, t->rows, n));
    }
    t->rows += n;
    return OK;
}

static Status add_objects(MockList *list, const MockSky *sky, const MockObject *object, int64_t n, Arena *a)
{
    Truth *t = (Truth *)list;
    MockSource *source;
    int64_t n_sources;
    TRY(add_galaxies(t, object, n, a));
    TRY(mock_sources(&source, &n_sources, sky, &object[0].brick, object, n, a));
    TRY(fitsfile_goto_number(&t->f, 2));
    TRY(mock_put_rows(&t->f, imaging_lists, source, sizeof *source, t->sources, n_sources, a));
    t->sources += n_sources;
    return OK;
}

static Status end_file(MockList *list, const MockSky *sky, bool good, Arena *a)
{
    Truth *t = (Truth *)list;
    Status st = OK;
    (void)a;
    MUST(!good || t->rows == sky->n);
    for (int i = 1; i <= 2 && good && st == OK; i++) {
        st = fitsfile_goto_number(&t->f, i);
        if (st == OK) st = fitsfile_put_checksum(&t->f);
    }
    if (good && st == OK) st = mock_end(&t->f, t->path);
    fitsfile_close(&t->f);
    return st;
}

Status mock_truth_begin(MockList **out, const MockSky *sky, const char *path, Arena *a)
{
    Truth *t;
    FitsColumn columns[N_TRUTH];
    TRY(arena_new(&t, a, 1));
    *t = (Truth){.list = {add_objects, end_file}, .path = path};
    *out = &t->list;
    for (int c = 0; c < N_TRUTH; c++) columns[c] = truth_columns[c].column;
    TRY(mock_begin(&t->f, path));
    TRY(fitsfile_new_table(&t->f, "TRUTH", columns, N_TRUTH, sky->n));
    return mock_new_table(&t->f, "IMAGING", imaging_lists, sky->n_sources);
}
