/* mock_fastspec.c - what a fit of the spectra measures, in the columns of fastspecfit (formats.md B8): METADATA,
   SPECPHOT and FASTSPEC, row by row the same objects. Values are the galaxy's, off by the error that the noise of the
   sky gives; X_IVAR says how much. Lines are as the fibre sees them. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/rng.h"
#include "data/mock_table.h"

typedef struct {
    double value, ivar;
} Measured;

typedef struct {
    int64_t targetid, healpix, fiberstatus, zwarn;
    char survey[8], program[8], spectype[8], photsys[4];
    double ra, dec, z, deltachi2, ebv, flux[N_BANDS];
    Measured vdisp, tauv, age, zzsun, logmstar, sfr, dn4000;
    double dn4000_model;
    Measured line[N_MOCK_LINES];
    double sigma[N_MOCK_LINES]; /* km/s */
} Row;

static const MockColumn key_columns[] = {
    MOCK_WHOLE(Row, "TARGETID", "K", targetid),
    MOCK_TEXT(Row, "SURVEY", "4A", survey),
    MOCK_TEXT(Row, "PROGRAM", "6A", program),
    MOCK_WHOLE(Row, "HEALPIX", "J", healpix),
    MOCK_END,
};
static const MockColumn metadata_columns[] = {
    MOCK_REAL(Row, "RA", "D", "deg", ra),
    MOCK_REAL(Row, "DEC", "D", "deg", dec),
    MOCK_WHOLE(Row, "COADD_FIBERSTATUS", "K", fiberstatus),
    MOCK_REAL(Row, "Z", "D", "", z),
    MOCK_WHOLE(Row, "ZWARN", "I", zwarn),
    MOCK_REAL(Row, "DELTACHI2", "D", "", deltachi2),
    MOCK_TEXT(Row, "SPECTYPE", "6A", spectype),
    MOCK_TEXT(Row, "PHOTSYS", "1A", photsys),
    MOCK_REAL(Row, "FLUX_G", "E", "nanomaggy", flux[0]),
    MOCK_REAL(Row, "FLUX_R", "E", "nanomaggy", flux[1]),
    MOCK_REAL(Row, "FLUX_Z", "E", "nanomaggy", flux[2]),
    MOCK_REAL(Row, "EBV", "E", "mag", ebv),
    MOCK_END,
};
#define MEASURED(name, unit, ivar_unit, field)                                                                         \
    MOCK_REAL(Row, name, "E", unit, field.value), MOCK_REAL(Row, name "_IVAR", "E", ivar_unit, field.ivar)
static const MockColumn specphot_columns[] = {
    MEASURED("VDISP", "km s^-1", "s2 km^-2", vdisp),
    MEASURED("TAUV", "", "", tauv),
    MEASURED("AGE", "Gyr", "Gyr^-2", age),
    MEASURED("ZZSUN", "", "", zzsun),
    MEASURED("LOGMSTAR", "", "", logmstar),
    MEASURED("SFR", "solMass yr^-1", "yr2 solMass^-2", sfr),
    MOCK_REAL(Row, "DN4000_OBS", "E", "", dn4000.value),
    MOCK_REAL(Row, "DN4000_IVAR", "E", "", dn4000.ivar),
    MOCK_REAL(Row, "DN4000_MODEL", "E", "", dn4000_model),
    MOCK_REAL(Row, "FLUX_SYNTH_SPECMODEL_G", "E", "nanomaggy", flux[0]),
    MOCK_REAL(Row, "FLUX_SYNTH_SPECMODEL_R", "E", "nanomaggy", flux[1]),
    MOCK_REAL(Row, "FLUX_SYNTH_SPECMODEL_Z", "E", "nanomaggy", flux[2]),
    MOCK_END,
};
#define LINE(name, which)                                                                                              \
    MEASURED(name "_FLUX", "10**-17 erg/(s cm2)", "10**34 s2 cm4/erg2", line[which]),                                  \
        MOCK_REAL(Row, name "_SIGMA", "E", "km s^-1", sigma[which])
static const MockColumn line_columns[] = {
    LINE("OII_3726", MOCK_OII_3726),
    LINE("OII_3729", MOCK_OII_3729),
    LINE("NEIII_3869", MOCK_NEIII_3869),
    LINE("HDELTA", MOCK_HDELTA),
    LINE("HGAMMA", MOCK_HGAMMA),
    LINE("HBETA", MOCK_HBETA),
    LINE("OIII_4959", MOCK_OIII_4959),
    LINE("OIII_5007", MOCK_OIII_5007),
    LINE("OI_6300", MOCK_OI_6300),
    LINE("NII_6548", MOCK_NII_6548),
    LINE("HALPHA", MOCK_HALPHA),
    LINE("NII_6584", MOCK_NII_6584),
    LINE("SII_6716", MOCK_SII_6716),
    LINE("SII_6731", MOCK_SII_6731),
    LINE("SIII_9069", MOCK_SIII_9069),
    LINE("SIII_9532", MOCK_SIII_9532),
    MOCK_END,
};

static Measured measure(double truth, double sigma, Rng *r)
{
    return (Measured){truth + sigma * rng_normal(r), 1 / (sigma * sigma)};
}

/* Mean flux density per frequency of two windows, 3850-3950 and 4000-4100: Balogh et al. 1999 (ApJ 527, 54). */
double mock_dn4000(const MockObject *o)
{
    enum { PIXELS = 100 };
    double wave[PIXELS], flux[PIXELS], mean[2];
    for (int side = 0; side < 2; side++) {
        double start = side == 0 ? 3850 : 4000, sum = 0;
        for (int i = 0; i < PIXELS; i++) wave[i] = (start + i + 0.5) * (1 + o->z);
        mock_spectrum(flux, wave, PIXELS, o, 0);
        for (int i = 0; i < PIXELS; i++) sum += flux[i] * wave[i] * wave[i];
        mean[side] = sum;
    }
    return mean[1] / mean[0];
}

/* A line beyond the arms is not measured: 0 with ivar 0. Its error is that of the pixels under it. */
static void measure_lines(Row *row, const MockObject *o, Rng *r)
{
    double flux[N_MOCK_LINES], share = mock_fibre_share(o);
    mock_lines(flux, o);
    for (int i = 0; i < N_MOCK_LINES; i++) {
        double at = mock_line_wavelength[i] * (1 + o->z), night;
        double speed = mock_gas_speed(o), deviate = rng_normal(r);
        if (at > GRID_START + GRID_STEP * (GRID_PIXELS - 1)) continue;
        mock_night(&night, &at, 1, at < 5780 ? 0 : at < 7570 ? 1 : 2);
        double width = hypot(at * speed / 299792.458, 0.75);
        double sigma = night * GRID_STEP * sqrt(2 * sqrt(M_PI) * width / GRID_STEP);
        row->line[i] = (Measured){share * flux[i] + sigma * deviate, 1 / (sigma * sigma)};
        row->sigma[i] = speed;
    }
}

static void make_row(Row *row, const MockSky *sky, const MockRecord *record)
{
    const MockObject *o = record->object;
    Rng r = rng_stream(sky->seed, "mock.fastspec", record->object->number, 0);
    *row = (Row){.targetid = record->targetid, .healpix = record->healpix, .fiberstatus = record->coadd_fiberstatus};
    row->zwarn = record->zwarn;
    row->ra = record->ra;
    row->dec = record->dec;
    row->z = record->z;
    row->deltachi2 = record->deltachi2;
    row->ebv = record->ebv;
    memcpy(row->survey, record->survey, sizeof row->survey);
    memcpy(row->program, record->program, sizeof row->program);
    memcpy(row->spectype, record->spectype, sizeof row->spectype);
    memcpy(row->photsys, record->photsys, sizeof row->photsys);
    for (int b = 0; b < N_BANDS; b++) row->flux[b] = o->flux[b];
    double sfr = pow(10, o->logssfr + o->logmstar);
    row->vdisp = measure(o->veldisp, 10 + 0.1 * o->veldisp, &r);
    row->tauv = measure(o->dust, 0.05 + 0.1 * o->dust, &r);
    row->age = measure(o->age, 0.15 * o->age, &r);
    row->zzsun = measure(o->logz - log10(0.02), 0.12, &r);
    row->logmstar = measure(o->logmstar, 0.08, &r);
    row->sfr = measure(sfr, 0.2 * sfr, &r);
    row->dn4000_model = mock_dn4000(o);
    row->dn4000 = measure(row->dn4000_model, 0.05, &r);
    measure_lines(row, o, &r);
}

/* ---- the file ---- */

enum { N_TABLES = 3 };
static const struct {
    const char *extname;
    const MockColumn *lists[3];
} tables[N_TABLES] = {{"METADATA", {key_columns, metadata_columns, NULL}},
                      {"SPECPHOT", {key_columns, specphot_columns, NULL}},
                      {"FASTSPEC", {key_columns, line_columns, NULL}}};

typedef struct {
    MockList list;
    FitsFile f;
    const char *path;
    int64_t rows;
} Fits;

bool mock_is_fitted(const MockObject *o)
{
    return o->targetid > 0 && o->defect != MOCK_SKY && o->defect != MOCK_DEAD_FIBRE;
}

static Status add_objects(MockList *list, const MockSky *sky, const MockObject *object, int64_t n_objects, Arena *a)
{
    Fits *t = (Fits *)list;
    MockRecord *record;
    Row *row;
    int64_t n, kept = 0;
    TRY(mock_records(&record, &n, sky, NULL, "bright", 0, object, n_objects, a));
    TRY(arena_new(&row, a, n));
    for (int64_t i = 0; i < n; i++)
        if (mock_is_fitted(record[i].object)) make_row(&row[kept++], sky, &record[i]);
    for (int i = 0; i < N_TABLES; i++) {
        TRY(fitsfile_goto_number(&t->f, i + 1));
        TRY(mock_put_rows(&t->f, tables[i].lists, row, sizeof *row, t->rows, kept, a));
    }
    t->rows += kept;
    return OK;
}

static Status end_file(MockList *list, const MockSky *sky, bool good, Arena *a)
{
    Fits *t = (Fits *)list;
    Status st = OK;
    (void)a;
    MUST(!good || t->rows == sky->n_fitted);
    for (int i = 0; i < N_TABLES && good && st == OK; i++) {
        st = fitsfile_goto_number(&t->f, i + 1);
        if (st == OK) st = fitsfile_put_checksum(&t->f);
    }
    if (good && st == OK) st = mock_end(&t->f, t->path);
    fitsfile_close(&t->f);
    return st;
}

Status mock_fastspec_begin(MockList **out, const MockSky *sky, const char *path, Arena *a)
{
    Fits *t;
    TRY(arena_new(&t, a, 1));
    *t = (Fits){.list = {add_objects, end_file}, .path = path};
    *out = &t->list;
    TRY(mock_begin(&t->f, path));
    for (int i = 0; i < N_TABLES; i++) TRY(mock_new_table(&t->f, tables[i].extname, tables[i].lists, sky->n_fitted));
    return OK;
}
