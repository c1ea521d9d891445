/* mock_records.c - what the tables of DESI say of an object of the mock sky (formats.md B2, B5, B6): the record, the
   columns, and how a list of columns becomes a FITS table. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/rng.h"
#include "data/healpix.h"
#include "data/mock_table.h"

enum {
    FIBER_BROKEN = 1 << 2,
    FIBER_BADPOSITION = 1 << 9,
    ZWARN_SMALL_DELTA = 4,
    RELEASE_SOUTH = 9010, /* DESI's targets are those of DR9 */
    RELEASE_NORTH = 9011,
    BGS_FAINT = 1,
    BGS_BRIGHT = 2
};
#define TARGET_LRG (1LL << 0)
#define TARGET_ELG (1LL << 1)
#define TARGET_QSO (1LL << 2)
#define TARGET_SKY (1LL << 32)
#define TARGET_BGS (1LL << 60)

/* ---- columns ---- */

#define R MockRecord
const MockColumn mock_id_columns[] = {MOCK_WHOLE(R, "TARGETID", "K", targetid), MOCK_END};
const MockColumn mock_redshift_columns[] = {
    MOCK_REAL(R, "CHI2", "D", "", chi2),
    MOCK_REAL(R, "Z", "D", "", z),
    MOCK_REAL(R, "ZERR", "D", "", zerr),
    MOCK_WHOLE(R, "ZWARN", "K", zwarn),
    MOCK_WHOLE(R, "NPIXELS", "K", npixels),
    MOCK_TEXT(R, "SPECTYPE", "6A", spectype),
    MOCK_TEXT(R, "SUBTYPE", "20A", subtype),
    MOCK_REAL(R, "DELTACHI2", "D", "", deltachi2),
    MOCK_END,
};
const MockColumn mock_best_columns[] = {
    MOCK_REAL(R, "Z_BEST", "D", "", z),
    MOCK_WHOLE(R, "Z_CONF", "B", z_conf),
    MOCK_REAL(R, "ZERR_BEST", "D", "", zerr),
    MOCK_WHOLE(R, "ZWARN_BEST", "J", zwarn),
    MOCK_TEXT(R, "SPECTYPE_BEST", "6A", spectype),
    MOCK_TEXT(R, "SUBTYPE_BEST", "3A", subtype),
    MOCK_REAL(R, "CHI2_BEST", "E", "", chi2),
    MOCK_REAL(R, "DELTACHI2_BEST", "E", "", deltachi2),
    MOCK_END,
};
const MockColumn mock_status_columns[] = {MOCK_WHOLE(R, "COADD_FIBERSTATUS", "J", coadd_fiberstatus), MOCK_END};
const MockColumn mock_position_columns[] = {
    MOCK_REAL(R, "TARGET_RA", "D", "deg", ra),
    MOCK_REAL(R, "TARGET_DEC", "D", "deg", dec),
    MOCK_TEXT(R, "OBJTYPE", "3A", objtype),
    MOCK_END,
};
const MockColumn mock_imaging_columns[] = {
    MOCK_WHOLE(R, "RELEASE", "I", release),
    MOCK_WHOLE(R, "BRICKID", "J", brickid),
    MOCK_WHOLE(R, "BRICK_OBJID", "J", objid),
    MOCK_TEXT(R, "BRICKNAME", "8A", brickname),
    MOCK_TEXT(R, "MORPHTYPE", "4A", morphtype),
    MOCK_REAL(R, "EBV", "E", "mag", ebv),
    MOCK_REAL(R, "FLUX_G", "E", "nanomaggy", flux[0]),
    MOCK_REAL(R, "FLUX_R", "E", "nanomaggy", flux[1]),
    MOCK_REAL(R, "FLUX_Z", "E", "nanomaggy", flux[2]),
    MOCK_WHOLE(R, "MASKBITS", "I", maskbits),
    MOCK_TEXT(R, "PHOTSYS", "1A", photsys),
    MOCK_END,
};
const MockColumn mock_coadd_columns[] = {MOCK_WHOLE(R, "COADD_NUMEXP", "I", numexp), MOCK_END};
const MockColumn mock_target_columns[] = {
    MOCK_WHOLE(R, "DESI_TARGET", "K", desi_target),
    MOCK_WHOLE(R, "BGS_TARGET", "K", bgs_target),
    MOCK_END,
};
const MockColumn mock_sv3_columns[] = {
    MOCK_WHOLE(R, "SV3_DESI_TARGET", "K", desi_target),
    MOCK_WHOLE(R, "SV3_BGS_TARGET", "K", bgs_target),
    MOCK_WHOLE(R, "DESI_TARGET", "K", none),
    MOCK_WHOLE(R, "BGS_TARGET", "K", none),
    MOCK_END,
};
const MockColumn mock_tile_columns[] = {
    MOCK_WHOLE(R, "TILEID", "J", tileid),
    MOCK_WHOLE(R, "PETAL_LOC", "I", petal),
    MOCK_WHOLE(R, "FIBER", "J", fiber),
    MOCK_END,
};
const MockColumn mock_exposure_columns[] = {
    MOCK_WHOLE(R, "NIGHT", "J", night),
    MOCK_WHOLE(R, "EXPID", "J", expid),
    MOCK_REAL(R, "MJD", "D", "d", mjd),
    MOCK_REAL(R, "EXPTIME", "D", "s", exptime),
    MOCK_WHOLE(R, "FIBERSTATUS", "J", fiberstatus),
    MOCK_END,
};
const MockColumn mock_program_columns[] = {
    MOCK_TEXT(R, "SURVEY", "7A", survey),
    MOCK_TEXT(R, "PROGRAM", "6A", program),
    MOCK_BOOL(R, "ZCAT_PRIMARY", primary),
    MOCK_END,
};
const MockColumn mock_depth_columns[] = {
    MOCK_REAL(R, "TSNR2_BGS", "E", "", tsnr2_bgs),
    MOCK_REAL(R, "TSNR2_LRG", "E", "", tsnr2_lrg),
    MOCK_END,
};
#undef R

const MockColumn *mock_targets_of(const MockSky *sky)
{
    return sky->layout == MOCK_EDR ? mock_sv3_columns : mock_target_columns;
}

/* ---- tables ---- */

static Status write_cells(FitsFile *f, const MockColumn *c, const char *records, size_t size, int64_t first, int64_t n,
                          Arena *a)
{
    enum { TEXT = 32 };
    const char *name = c->column.name;
    if (c->cell == CELL_TEXT) {
        char(*text)[TEXT];
        TRY(arena_new(&text, a, n));
        for (int64_t i = 0; i < n; i++) snprintf(text[i], TEXT, "%s", records + (size_t)i * size + c->offset);
        return fitsfile_write_text(f, name, text[0], TEXT, first, n);
    }
    if (c->cell == CELL_BOOL) {
        uint8_t *yes;
        TRY(arena_new(&yes, a, n));
        for (int64_t i = 0; i < n; i++) {
            int64_t value;
            memcpy(&value, records + (size_t)i * size + c->offset, sizeof value);
            yes[i] = value != 0;
        }
        return fitsfile_write_column(f, name, FITS_BOOL, yes, first, n);
    }
    char(*word)[8]; /* an int64_t or a double */
    TRY(arena_new(&word, a, n));
    for (int64_t i = 0; i < n; i++) memcpy(word[i], records + (size_t)i * size + c->offset, sizeof *word);
    return fitsfile_write_column(f, name, c->cell == CELL_WHOLE ? FITS_I64 : FITS_F64, word, first, n);
}

Status mock_new_table(FitsFile *f, const char *extname, const MockColumn *const *lists, int64_t n)
{
    enum { MOST = 100 };
    FitsColumn columns[MOST];
    int n_columns = 0;
    for (int l = 0; lists[l]; l++)
        for (const MockColumn *c = lists[l]; c->column.name; c++) {
            MUST(n_columns < MOST);
            columns[n_columns++] = c->column;
        }
    return fitsfile_new_table(f, extname, columns, n_columns, n);
}

Status mock_put_rows(FitsFile *f, const MockColumn *const *lists, const void *records, size_t size, int64_t first,
                     int64_t n, Arena *a)
{
    for (int l = 0; n > 0 && lists[l]; l++)
        for (const MockColumn *c = lists[l]; c->column.name; c++) {
            Mark mark = arena_mark(a);
            TRY(write_cells(f, c, records, size, first, n, a));
            arena_reset(a, mark);
        }
    return OK;
}

Status mock_write_table(FitsFile *f, const char *extname, const MockColumn *const *lists, const void *records,
                        size_t size, int64_t n, Arena *a)
{
    TRY(mock_new_table(f, extname, lists, n));
    TRY(mock_put_rows(f, lists, records, size, 0, n, a));
    return fitsfile_put_checksum(f);
}

/* ---- records ---- */

int64_t mock_fiberstatus(const MockObject *o, int64_t exposure, int64_t exposures)
{
    if (o->defect == MOCK_BROKEN_FIBRE) return FIBER_BROKEN;
    return exposures > 1 && o->number % 3 == 1 && exposure == exposures - 1 ? FIBER_BADPOSITION : 0;
}

static void set_redshift(MockRecord *r, const MockObject *o)
{
    bool sky = o->defect == MOCK_SKY, none = o->defect == MOCK_DEAD_FIBRE || sky || o->targetid < 0;
    r->z = sky ? 0 : o->z;
    r->zerr = 3e-5 * (1 + o->z);
    r->zwarn = none ? ZWARN_SMALL_DELTA : 0;
    r->chi2 = 8000 + o->z;
    r->deltachi2 = none ? 1 : 200 + 100 * o->z;
    r->npixels = GRID_PIXELS;
    snprintf(r->spectype, sizeof r->spectype, "%s", sky ? "STAR" : "GALAXY");
}

static void set_photometry(MockRecord *r, const MockSky *sky, const MockObject *o)
{
    r->release = o->defect == MOCK_SKY ? 0 : sky->north ? RELEASE_NORTH : RELEASE_SOUTH;
    r->brickid = o->brick.id;
    r->objid = o->objid;
    r->ebv = 0.02;
    for (int b = 0; b < N_BANDS; b++) r->flux[b] = o->flux[b];
    snprintf(r->brickname, sizeof r->brickname, "%s", o->brick.name);
    snprintf(r->morphtype, sizeof r->morphtype, "%s", o->sersic > 2 ? "DEV" : "EXP");
    snprintf(r->photsys, sizeof r->photsys, "%s", sky->north ? "N" : "S");
}

/* Target classes, and what the afterburners of redrock measured: [OII] follows the star formation; QSO targets are
   quasars by their MgII line or by QuasarNET, whatever redrock says. */
static void set_target(MockRecord *r, const MockObject *o, int64_t number)
{
    bool target = o->defect != MOCK_SKY && o->targetid > 0, fine = r->zwarn == 0 && r->coadd_fiberstatus == 0;
    int64_t class = number / 16 % 3;
    r->desi_target = !target ? o->defect == MOCK_SKY ? TARGET_SKY : 0 : TARGET_BGS;
    if (target && o->in_dark) r->desi_target |= class == 0 ? TARGET_LRG : class == 1 ? TARGET_ELG : TARGET_QSO;
    r->bgs_target = target ? o->flux[1] > pow(10, 0.4 * (22.5 - 19.5)) ? BGS_BRIGHT : BGS_FAINT : 0;
    double lines[N_MOCK_LINES];
    mock_lines(lines, o);
    r->oii_flux = target ? mock_fibre_share(o) * (lines[MOCK_OII_3726] + lines[MOCK_OII_3729]) : 0;
    r->oii_ivar = target ? 9 : 0; /* a third of a unit: what the noise under a line adds up to */
    r->is_mgii = (r->desi_target & TARGET_QSO) && number % 2 == 0;
    r->is_qn = 0;
    r->c_line = r->desi_target & TARGET_QSO && number % 96 == 32 ? 0.995 : 0.1;
    r->c_other = 0.05;
    double snr = r->oii_flux * sqrt(r->oii_ivar);
    r->good_bgs = target && fine && r->deltachi2 > 40;
    r->good_lrg = (r->desi_target & TARGET_LRG) && fine && r->z < 1.5 && r->deltachi2 > 15;
    r->good_elg = (r->desi_target & TARGET_ELG) && r->coadd_fiberstatus == 0 && snr > 0 &&
                  log10(snr) > 0.9 - 0.2 * log10(r->deltachi2);
    r->good_qso = (r->desi_target & TARGET_QSO) && r->coadd_fiberstatus == 0 && (r->is_mgii || r->c_line > 0.99);
    r->z_conf = r->good_bgs || r->good_lrg || r->good_elg || r->good_qso ? 3 : r->zwarn == 0;
}

static void set_observation(MockRecord *r, const MockSky *sky, const MockObject *o, const MockGroup *g)
{
    int64_t good = 0;
    for (int64_t e = 0; e < sky->exposures; e++) good += mock_fiberstatus(o, e, sky->exposures) == 0;
    r->numexp = sky->exposures == 0 ? 1 : good;
    r->coadd_fiberstatus = mock_fiberstatus(o, 0, sky->exposures);
    r->fiberstatus = mock_fiberstatus(o, r->exposure, sky->exposures);
    r->petal = o->objid % 10;
    r->fiber = 500 * r->petal + o->number % 500;
    r->tileid = g->tileid ? g->tileid : strcmp(g->program, "dark") == 0 ? 1010 : 20010;
    r->night = g->tileid ? g->night : 20210405;
    r->expid = 84000 + 100 * (r->tileid % 10) + (r->exposure > 0 ? r->exposure : 0);
    r->mjd = 59309.25 + 0.01 * (double)r->exposure;
    r->exptime = 300;
    r->good_spec = r->coadd_fiberstatus == 0 && o->defect != MOCK_SKY && o->targetid > 0;
    r->tsnr2_lrg = strcmp(g->program, "dark") == 0 ? 60 : 90;
    r->tsnr2_bgs = 10 * r->tsnr2_lrg;
}

static void make_record(MockRecord *r, const MockSky *sky, const MockObject *o, const MockGroup *g, int64_t exposure)
{
    *r = (MockRecord){.object = o, .group = *g, .exposure = exposure};
    r->targetid = o->targetid;
    r->ra = o->ra;
    r->dec = o->dec;
    r->healpix = o->healpix;
    r->uniqpix = o->uniqpix;
    r->nside = HEALPIX_NSIDE;
    while (4 * 4 * r->nside * r->nside <= r->uniqpix) r->nside *= 2;
    r->group_value = g->tileid ? g->night : g->uniqpix ? g->uniqpix - 4 * r->nside * r->nside : g->healpix;
    r->nspec = o->in_dark ? 2 : 1;
    r->primary = strcmp(g->program, "bright") == 0;
    snprintf(r->objtype, sizeof r->objtype, "%s", o->defect == MOCK_SKY ? "SKY" : o->targetid < 0 ? "BAD" : "TGT");
    snprintf(r->survey, sizeof r->survey, "%s", sky->survey);
    snprintf(r->program, sizeof r->program, "%s", g->program);
    double ra = floor(1e4 * o->ra) / 1e4, dec = floor(1e4 * fabs(o->dec)) / 1e4; /* cut, not rounded */
    snprintf(r->desiname, sizeof r->desiname, "DESI J%08.4f%c%07.4f", ra, o->dec < 0 ? '-' : '+', dec);
    set_observation(r, sky, o, g);
    set_redshift(r, o);
    set_photometry(r, sky, o);
    set_target(r, o, o->number);
}

/* Makes the records of an object, or counts them where r is NULL. */
static int64_t records_of(MockRecord *r, const MockSky *sky, const MockGroup *group, const char *program,
                          const MockObject *o, int64_t exposure)
{
    MockGroup its[2];
    int64_t k = 0;
    if (group) {
        if (r) make_record(r, sky, o, group, exposure);
        return 1;
    }
    const int n = mock_groups_of(its, sky, o, program);
    for (; k < n; k++)
        if (r) make_record(&r[k], sky, o, &its[k], exposure);
    return k;
}

Status mock_records(MockRecord **out, int64_t *n, const MockSky *sky, const MockGroup *group, const char *program,
                    int64_t exposures, const MockObject *object, int64_t n_objects, Arena *a)
{
    int64_t rows = 0, k = 0;
    for (int64_t i = 0; i < n_objects; i++) rows += records_of(NULL, sky, group, program, &object[i], 0);
    TRY(arena_new(out, a, rows * (exposures > 0 ? exposures : 1)));
    for (int64_t e = exposures > 0 ? 0 : -1; e < exposures || e < 0; e++) {
        for (int64_t i = 0; i < n_objects; i++) k += records_of(*out + k, sky, group, program, &object[i], e);
        if (e < 0) break;
    }
    *n = k;
    return OK;
}
