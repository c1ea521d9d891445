/* mock_spectra.c - DESI files of the mock sky: coadd and redrock of a pixel, redshift catalogue of a programme (formats.md B2, B5, B6). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/rng.h"
#include "data/mock.h"

enum { N_DIAGONALS = 11, MASK_COSMIC = 1 << 2, FIBER_BROKEN = 1 << 2 };

static const struct {
    const char *band;
    int64_t n, start;
    double noise; /* 1e-17 erg/s/cm2/Angstrom per pixel at mid-arm */
} arms[N_ARMS] = {{"B", 2751, 0, 0.45}, {"R", 2326, GRID_R_START, 0.28}, {"Z", 2881, GRID_Z_START, 0.32}};

/* ---- which objects ---- */

typedef struct {
    int64_t n;
    const MockObject **object;
    int64_t *number; /* index in the sky */
} Rows;

static bool in_program(const MockObject *o, const char *program)
{
    return strcmp(program, "dark") == 0 ? o->in_dark : true;
}

static Status choose(Rows *rows, const MockSky *sky, const char *program, int32_t healpix, Arena *a)
{
    *rows = (Rows){0};
    TRY(arena_new(&rows->object, a, sky->n));
    TRY(arena_new(&rows->number, a, sky->n));
    for (int64_t i = 0; i < sky->n; i++) {
        const MockObject *o = &sky->object[i];
        if (!in_program(o, program) || (healpix >= 0 && o->healpix != healpix)) continue;
        rows->object[rows->n] = o;
        rows->number[rows->n++] = i;
    }
    return OK;
}

/* ---- tables ---- */

/* One value of a row as a double (exact for all but TARGETID, which goes its own way) or as text. */
typedef struct {
    FitsColumn column;
    double (*number)(const MockObject *o);
    const char *(*text)(const MockObject *o);
} Cell;

static double c_pixel(const MockObject *o) { return o->healpix; }
static double c_status(const MockObject *o) { return o->defect == MOCK_BROKEN_FIBRE ? FIBER_BROKEN : 0; }
static double c_ra(const MockObject *o) { return o->ra; }
static double c_dec(const MockObject *o) { return o->dec; }
static double c_release(const MockObject *o) { return o->defect == MOCK_SKY ? 0 : 9010; }
static double c_brick(const MockObject *o) { return o->brick.id; }
static double c_objid(const MockObject *o) { return o->objid; }
static double c_flux_g(const MockObject *o) { return o->flux[0]; }
static double c_flux_r(const MockObject *o) { return o->flux[1]; }
static double c_flux_z(const MockObject *o) { return o->flux[2]; }
static double c_ebv(const MockObject *o) { return 0.02 + 0 * o->ra; }
static double c_z(const MockObject *o) { return o->defect == MOCK_SKY ? 0 : o->z; }
static double c_zerr(const MockObject *o) { return 3e-5 * (1 + o->z); }
static bool has_no_redshift(const MockObject *o)
{
    return o->defect == MOCK_DEAD_FIBRE || o->defect == MOCK_SKY || o->targetid < 0;
}
static double c_zwarn(const MockObject *o) { return has_no_redshift(o) ? 4 : 0; }
static double c_chi2(const MockObject *o) { return 8000 + o->z; }
static double c_delta(const MockObject *o) { return has_no_redshift(o) ? 1 : 200 + 100 * o->z; }
static double c_pixels(const MockObject *o) { return GRID_PIXELS + 0 * o->z; }
static double c_one(const MockObject *o) { return 1 + 0 * o->z; }
static double c_spectra(const MockObject *o) { return o->in_dark ? 2 : 1; }
static const char *t_objtype(const MockObject *o)
{
    return o->defect == MOCK_SKY ? "SKY" : o->targetid < 0 ? "BAD" : "TGT";
}
static const char *t_brick(const MockObject *o) { return o->brick.name; }
static const char *t_galaxy(const MockObject *o) { return o->defect == MOCK_SKY ? "STAR" : "GALAXY"; }
static const char *t_none(const MockObject *o) { return o ? "" : NULL; }
static const char *t_south(const MockObject *o) { return o ? "S" : NULL; }
static const char *t_morph(const MockObject *o) { return o->sersic > 2 ? "DEV" : "EXP"; }

#define FIBERMAP_CELLS                                                                                                 \
    {{"COADD_FIBERSTATUS", "J", "", ""}, c_status, NULL}, {{"TARGET_RA", "D", "deg", ""}, c_ra, NULL},                 \
        {{"TARGET_DEC", "D", "deg", ""}, c_dec, NULL}, {{"OBJTYPE", "3A", "", ""}, NULL, t_objtype},                   \
        {{"RELEASE", "I", "", ""}, c_release, NULL}, {{"BRICKID", "J", "", ""}, c_brick, NULL},                        \
        {{"BRICK_OBJID", "J", "", ""}, c_objid, NULL}, {{"BRICKNAME", "8A", "", ""}, NULL, t_brick},                   \
        {{"MORPHTYPE", "4A", "", ""}, NULL, t_morph}, {{"EBV", "E", "mag", ""}, c_ebv, NULL},                          \
        {{"FLUX_G", "E", "nanomaggy", ""}, c_flux_g, NULL}, {{"FLUX_R", "E", "nanomaggy", ""}, c_flux_r, NULL},        \
        {{"FLUX_Z", "E", "nanomaggy", ""}, c_flux_z, NULL}, {{"PHOTSYS", "1A", "", ""}, NULL, t_south},                \
    {                                                                                                                  \
        {"COADD_NUMEXP", "I", "", ""}, c_one, NULL                                                                     \
    }

#define REDSHIFT_CELLS                                                                                                 \
    {{"CHI2", "D", "", ""}, c_chi2, NULL}, {{"Z", "D", "", ""}, c_z, NULL}, {{"ZERR", "D", "", ""}, c_zerr, NULL},     \
        {{"ZWARN", "K", "", ""}, c_zwarn, NULL}, {{"NPIXELS", "K", "", ""}, c_pixels, NULL},                           \
        {{"SPECTYPE", "6A", "", ""}, NULL, t_galaxy}, {{"SUBTYPE", "20A", "", ""}, NULL, t_none},                      \
    {                                                                                                                  \
        {"DELTACHI2", "D", "", ""}, c_delta, NULL                                                                      \
    }

static const Cell fibermap_cells[] = {FIBERMAP_CELLS};
static const Cell redshift_cells[] = {REDSHIFT_CELLS};
static const Cell zcatalog_cells[] = {{{"HEALPIX", "J", "", ""}, c_pixel, NULL},
                                      REDSHIFT_CELLS,
                                      FIBERMAP_CELLS,
                                      {{"ZCAT_NSPEC", "I", "", ""}, c_spectra, NULL}};
#define COUNT(table) ((int)(sizeof(table) / sizeof *(table)))
enum { MAX_CELLS = 40, TEXT_CELL = 24 };

/* TARGETID, then the cells, then further columns that the caller fills. */
static Status write_table(FitsFile *f, const char *extname, const Cell *cells, int n_cells, const FitsColumn *more,
                          int n_more, const Rows *rows, Arena *a)
{
    FitsColumn columns[MAX_CELLS] = {{"TARGETID", "K", "", ""}};
    MUST(n_cells + n_more < MAX_CELLS);
    for (int c = 0; c < n_cells; c++) columns[c + 1] = cells[c].column;
    for (int c = 0; c < n_more; c++) columns[n_cells + 1 + c] = more[c];
    TRY(fitsfile_new_table(f, extname, columns, 1 + n_cells + n_more, rows->n));
    int64_t *id = NULL;
    double *x = NULL;
    char(*text)[TEXT_CELL] = NULL;
    TRY(arena_new(&id, a, rows->n));
    TRY(arena_new(&x, a, rows->n));
    TRY(arena_new(&text, a, rows->n));
    for (int64_t i = 0; i < rows->n; i++) id[i] = rows->object[i]->targetid;
    TRY(fitsfile_write_column(f, "TARGETID", FITS_I64, id, 0, rows->n));
    for (int c = 0; c < n_cells; c++) {
        for (int64_t i = 0; i < rows->n; i++) {
            if (cells[c].number)
                x[i] = cells[c].number(rows->object[i]);
            else
                snprintf(text[i], TEXT_CELL, "%s", cells[c].text(rows->object[i]));
        }
        if (cells[c].number)
            TRY(fitsfile_write_column(f, cells[c].column.name, FITS_F64, x, 0, rows->n));
        else
            TRY(fitsfile_write_text(f, cells[c].column.name, text[0], TEXT_CELL, 0, rows->n));
    }
    return OK;
}

/* ---- spectra ---- */

/* Noise per pixel: bluer than 3900 A and between sky lines' forest in the red it grows. */
static double noise_at(double w, int arm)
{
    double s = arms[arm].noise;
    if (w < 4200) s *= 1 + 1.5 * (4200 - w) / 600;
    if (w > 7700) s *= 1 + 1.2 * pow(sin(w / 37.0), 8);
    if (fabs(w - 5578.9) < 4) s *= 6;
    return s;
}

/* What the fibre saw: flux, ivar and mask of one arm of one object. */
static void observe(float *flux, float *ivar, uint32_t *mask, const double *truth, int arm, const MockObject *o, Rng *r)
{
    for (int64_t i = 0; i < arms[arm].n; i++) {
        double w = GRID_START + GRID_STEP * (double)(arms[arm].start + i), sigma = noise_at(w, arm);
        double seen = o->defect == MOCK_SKY || o->targetid < 0 ? 0 : truth[i] * MOCK_FIBRE_PERCENT / 100;
        sigma = sqrt(sigma * sigma + 0.02 * fabs(seen));
        flux[i] = (float)(seen + sigma * rng_normal(r));
        ivar[i] = (float)(1 / (sigma * sigma));
        mask[i] = 0;
        if (rng_uniform(r) < 0.003) { /* a cosmic ray: masked, and only half the time ivar says so */
            mask[i] = MASK_COSMIC;
            flux[i] += (float)(30 * rng_uniform(r));
            if (rng_uniform(r) < 0.5) ivar[i] = 0;
        }
        if (o->defect == MOCK_HALF_MASKED && arm == 1) mask[i] |= 1u << 10;
        if (o->defect == MOCK_DEAD_FIBRE) ivar[i] = 0;
    }
}

static Status write_arm(FitsFile *f, int arm, const MockSky *sky, const Rows *rows, Arena *a)
{
    char name[16];
    int64_t n = arms[arm].n, dims[3] = {rows->n, n, 0};
    double *wave = NULL, *truth = NULL;
    float *flux = NULL, *ivar = NULL, *resolution = NULL;
    uint32_t *mask = NULL;
    TRY(arena_new(&wave, a, n));
    TRY(arena_new(&truth, a, n));
    TRY(arena_new(&flux, a, rows->n * n));
    TRY(arena_new(&ivar, a, rows->n * n));
    TRY(arena_new(&mask, a, rows->n * n));
    TRY(arena_new(&resolution, a, rows->n * N_DIAGONALS * n));
    for (int64_t i = 0; i < n; i++) wave[i] = GRID_START + GRID_STEP * (double)(arms[arm].start + i);
    for (int64_t k = 0; k < rows->n; k++) {
        Rng r = rng_stream(sky->seed, "mock.noise", rows->number[k], (uint32_t)arm);
        mock_spectrum(truth, wave, n, rows->object[k]);
        observe(flux + k * n, ivar + k * n, mask + k * n, truth, arm, rows->object[k], &r);
        for (int64_t d = 0; d < N_DIAGONALS; d++) {
            double t = (double)(d - N_DIAGONALS / 2) / 1.6;
            for (int64_t i = 0; i < n; i++)
                resolution[(k * N_DIAGONALS + d) * n + i] = (float)(0.25 * exp(-0.5 * t * t));
        }
    }
    const char *band = arms[arm].band;
    snprintf(name, sizeof name, "%s_WAVELENGTH", band);
    TRY(fitsfile_new_image(f, name, FITS_F64, false, &n, 1, FITS_PLAIN));
    TRY(fitsfile_put_text(f, "BUNIT", "Angstrom", ""));
    TRY(fitsfile_write_pixels(f, FITS_F64, wave, n));
    snprintf(name, sizeof name, "%s_FLUX", band);
    TRY(fitsfile_new_image(f, name, FITS_F32, false, dims, 2, FITS_PLAIN));
    TRY(fitsfile_put_text(f, "BUNIT", "10**-17 erg/(s cm2 Angstrom)", ""));
    TRY(fitsfile_write_pixels(f, FITS_F32, flux, rows->n * n));
    snprintf(name, sizeof name, "%s_IVAR", band);
    TRY(fitsfile_new_image(f, name, FITS_F32, false, dims, 2, FITS_PLAIN));
    TRY(fitsfile_put_text(f, "BUNIT", "10**+34 (s2 cm4 Angstrom2) / erg2", ""));
    TRY(fitsfile_write_pixels(f, FITS_F32, ivar, rows->n * n));
    snprintf(name, sizeof name, "%s_MASK", band);
    TRY(fitsfile_new_image(f, name, FITS_I32, true, dims, 2, FITS_PLAIN));
    TRY(fitsfile_write_mask(f, mask, rows->n * n));
    snprintf(name, sizeof name, "%s_RESOLUTION", band);
    int64_t cube[3] = {rows->n, N_DIAGONALS, n};
    TRY(fitsfile_new_image(f, name, FITS_F32, false, cube, 3, FITS_PLAIN));
    return fitsfile_write_pixels(f, FITS_F32, resolution, rows->n * N_DIAGONALS * n);
}

static Status put_group(FitsFile *f, const char *program, int32_t healpix)
{
    TRY(fitsfile_goto_number(f, 0));
    TRY(fitsfile_put_text(f, "SPGRP", "healpix", ""));
    TRY(fitsfile_put_i64(f, "SPGRPVAL", healpix, ""));
    TRY(fitsfile_put_i64(f, "HPXPIXEL", healpix, ""));
    TRY(fitsfile_put_i64(f, "HPXNSIDE", 64, ""));
    TRY(fitsfile_put_bool(f, "HPXNEST", true, ""));
    TRY(fitsfile_put_text(f, "SURVEY", "main", ""));
    return fitsfile_put_text(f, "PROGRAM", program, "");
}

static Status fill_coadd(FitsFile *f, const MockSky *sky, const Rows *rows, const struct MockPixel *p, Arena *a)
{
    TRY(put_group(f, p->program, p->healpix));
    TRY(write_table(f, "FIBERMAP", fibermap_cells, COUNT(fibermap_cells), NULL, 0, rows, a));
    for (int arm = 0; arm < N_ARMS; arm++) {
        Mark mark = arena_mark(a);
        TRY(write_arm(f, arm, sky, rows, a));
        arena_reset(a, mark);
    }
    return OK;
}

static Status fill_redrock(FitsFile *f, const Rows *rows, const struct MockPixel *p, Arena *a)
{
    TRY(put_group(f, p->program, p->healpix));
    TRY(write_table(f, "REDSHIFTS", redshift_cells, COUNT(redshift_cells), NULL, 0, rows, a));
    return write_table(f, "FIBERMAP", fibermap_cells, COUNT(fibermap_cells), NULL, 0, rows, a);
}

Status mock_write_coadd(const MockSky *sky, const DesiConfig *desi, int64_t pixel, Arena *a)
{
    const struct MockPixel *p = &sky->pixel[pixel];
    char relative[DESI_PATH], path[FITS_PATH];
    Rows rows;
    FitsFile f = {0};
    Status st = OK;
    Mark mark = arena_mark(a);
    if (p->missing) return OK; /* lost, as files are */
    TRY(choose(&rows, sky, p->program, p->healpix, a));
    for (int kind = 0; kind < 2 && st == OK; kind++) {
        st = desi_pixel_path(relative, sizeof relative, desi->specprod, kind ? "redrock" : "coadd", "main", p->program,
                             p->healpix);
        if (st != OK) break;
        snprintf(path, sizeof path, "%.400s/%.600s", desi->root, relative);
        st = mock_begin(&f, path);
        if (st == OK) st = kind ? fill_redrock(&f, &rows, p, a) : fill_coadd(&f, sky, &rows, p, a);
        if (st == OK) st = mock_end(&f, path);
        fitsfile_close(&f);
    }
    arena_reset(a, mark);
    return st;
}

static Status fill_zcatalog(FitsFile *f, const Rows *rows, const char *program, Arena *a)
{
    static const FitsColumn more[] = {{"SURVEY", "7A", "", ""},
                                      {"PROGRAM", "6A", "", ""},
                                      {"ZCAT_PRIMARY", "L", "", ""}};
    char(*text)[TEXT_CELL] = NULL;
    uint8_t *primary = NULL;
    TRY(write_table(f, "ZCATALOG", zcatalog_cells, COUNT(zcatalog_cells), more, COUNT(more), rows, a));
    TRY(arena_new(&text, a, rows->n));
    TRY(arena_new(&primary, a, rows->n));
    for (int64_t i = 0; i < rows->n; i++) snprintf(text[i], TEXT_CELL, "main");
    TRY(fitsfile_write_text(f, "SURVEY", text[0], TEXT_CELL, 0, rows->n));
    for (int64_t i = 0; i < rows->n; i++) snprintf(text[i], TEXT_CELL, "%s", program);
    TRY(fitsfile_write_text(f, "PROGRAM", text[0], TEXT_CELL, 0, rows->n));
    for (int64_t i = 0; i < rows->n; i++) primary[i] = strcmp(program, "bright") == 0;
    TRY(fitsfile_write_column(f, "ZCAT_PRIMARY", FITS_BOOL, primary, 0, rows->n));
    TRY(fitsfile_put_text(f, "ZCATVER", "v1", ""));
    TRY(fitsfile_put_text(f, "SURVEY", "main", ""));
    TRY(fitsfile_put_text(f, "PROGRAM", program, ""));
    return fitsfile_put_checksum(f);
}

Status mock_write_zcatalog(const MockSky *sky, const DesiConfig *desi, const char *program, Arena *a)
{
    char relative[DESI_PATH], path[FITS_PATH];
    Rows rows;
    FitsFile f = {0};
    Mark mark = arena_mark(a);
    TRY(desi_zpix_path(relative, sizeof relative, desi->specprod, "main", program));
    snprintf(path, sizeof path, "%.400s/%.600s", desi->root, relative);
    TRY(choose(&rows, sky, program, -1, a));
    if (rows.n == 0) return OK;
    Status st = mock_begin(&f, path);
    if (st == OK) st = fill_zcatalog(&f, &rows, program, a);
    if (st == OK) st = mock_end(&f, path);
    fitsfile_close(&f);
    arena_reset(a, mark);
    return st;
}
