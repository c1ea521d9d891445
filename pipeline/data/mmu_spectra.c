/* mmu_spectra.c - the DESI set of the Multimodal Universe, kind `mmu` of release.spectra: coadds with their arms
   joined, and the columns of the zcatalog.

       object_id or TARGETID (N)   ra dec (N)   Z ZERR ZWARN ... (N)
       spectrum_flux, spectrum_ivar (N, 7781)   spectrum_mask (N, 7781), true = bad
       spectrum_lambda (N, 7781) or (7781)

   Early files have spectrum_lambda_min and _max (N) instead of spectrum_lambda, and no mask. ZWARN is DESI's own number
   here: only the set's Python loader turns it round. Arms are joined already, so spectra.merge has no say. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "data/mmu.h"

/* Wavelengths are float32, whose steps are 0.001 Angstrom above 8192: half of that is lost to rounding, and the grid
   itself is allowed 1e-4. */
#define LAMBDA_TOLERANCE 1e-3

static const ConfigField spectra_set_fields[] = {
    FIELD_TEXT(StoredConfig, root, "mmu", EFFORT, "folder that holds healpix=NUMBER/"),
    FIELD_TEXTS(StoredConfig, files, "[]", NULL, RESULT,
                "files of the set, relative to the root; empty = all healpix=*/*.hdf5"),
    FIELD_TEXT(StoredConfig, specprod, "iron", RESULT, "DESI production that the set was made from; for provenance"),
    FIELD_END};

static const char *set_specprod(const void *config) { return ((const StoredConfig *)config)->specprod; }

/* ---- spectra ---- */

typedef struct {
    char flux[48], ivar[48], mask[48], lambda[48], low[48], high[48]; /* datasets; "" = not there */
    bool one_lambda;                                                  /* for all rows */
} Layout;
_Static_assert(sizeof(Layout) <= STORED_LAYOUT, "the datasets of a file fit the layout");

/* A dataset's name as the file has it, its shape checked; "" where it is absent and not needed. */
static Status find(char out[48], H5File *f, const StoredNames *names, const char *wanted, int64_t n, bool spectrum,
                   bool needed)
{
    H5Shape s;
    const char *found = stored_find(names, wanted);
    snprintf(out, 48, "%s", found ? found : "");
    if (!found && needed)
        return FAIL(E_INPUT, "%s: there is no dataset '%s' in it; is it a file of this set?", f->path, wanted);
    return found ? stored_expect(&s, f, found, (int64_t[]){n, GRID_PIXELS}, spectrum ? 2 : 1) : OK;
}

static Status find_lambda(Layout *l, H5File *f, const StoredNames *names, int64_t n)
{
    H5Shape s;
    const char *found = stored_find(names, "spectrum_lambda");
    if (!found) {
        TRY(find(l->low, f, names, "spectrum_lambda_min", n, false, true));
        return find(l->high, f, names, "spectrum_lambda_max", n, false, true);
    }
    snprintf(l->lambda, sizeof l->lambda, "%s", found);
    TRY(h5_shape(&s, f, found));
    l->one_lambda = s.n_dims == 1;
    return l->one_lambda ? stored_expect(&s, f, found, (int64_t[]){GRID_PIXELS}, 1)
                         : stored_expect(&s, f, found, (int64_t[]){n, GRID_PIXELS}, 2);
}

static Status look(void *layout, int64_t *n_rows, H5File *f, Arena *scratch)
{
    Layout *l = layout;
    StoredNames names;
    TRY(stored_names(&names, f, scratch));
    TRY(mmu_rows(n_rows, f, &names));
    TRY(find(l->flux, f, &names, "spectrum_flux", *n_rows, true, true));
    TRY(find(l->ivar, f, &names, "spectrum_ivar", *n_rows, true, true));
    TRY(find(l->mask, f, &names, "spectrum_mask", *n_rows, true, false));
    return find_lambda(l, f, &names, *n_rows);
}

static bool is_grid(const float *lambda)
{
    for (int64_t p = 0; p < GRID_PIXELS; p++)
        if (!(fabs((double)lambda[p] - (GRID_START + GRID_STEP * (double)p)) <= LAMBDA_TOLERANCE)) return false;
    return true;
}

static Status read_fits(uint8_t *fits, const Layout *l, H5File *f, int64_t first, int64_t n, Arena *scratch)
{
    float *lambda, *high;
    TRY(arena_new(&lambda, scratch, n * GRID_PIXELS));
    if (l->lambda[0]) {
        TRY(h5_read_rows(lambda, f, l->lambda, H5_F32, 0, l->one_lambda ? 0 : first, l->one_lambda ? GRID_PIXELS : n));
        for (int64_t i = 0; i < n; i++) fits[i] = is_grid(lambda + (l->one_lambda ? 0 : i * GRID_PIXELS));
        return OK;
    }
    TRY(arena_new(&high, scratch, n));
    TRY(h5_read_rows(lambda, f, l->low, H5_F32, 0, first, n));
    TRY(h5_read_rows(high, f, l->high, H5_F32, 0, first, n));
    for (int64_t i = 0; i < n; i++)
        fits[i] = fabs((double)lambda[i] - GRID_START) <= LAMBDA_TOLERANCE &&
                  fabs((double)high[i] - GRID_START - GRID_STEP * (GRID_PIXELS - 1)) <= LAMBDA_TOLERANCE;
    return OK;
}

static Status read_spectra(StoredSpectra *out, const void *layout, H5File *f, int64_t first, int64_t n, Arena *scratch)
{
    const Layout *l = layout;
    StoredNames names;
    uint8_t *mask;
    TRY(stored_names(&names, f, scratch));
    TRY(mmu_read_ids(out->targetid, f, &names, first, n, scratch));
    TRY(read_fits(out->fits, l, f, first, n, scratch));
    TRY(h5_read_rows(out->flux, f, l->flux, H5_F32, 0, first, n));
    TRY(h5_read_rows(out->ivar, f, l->ivar, H5_F32, 0, first, n));
    if (!l->mask[0]) return OK;
    TRY(arena_new(&mask, scratch, n * GRID_PIXELS));
    TRY(h5_read_rows(mask, f, l->mask, H5_U8, 0, first, n));
    for (int64_t k = 0; k < n * GRID_PIXELS; k++)
        if (mask[k]) out->ivar[k] = 0;
    return OK;
}

static const StoredSpectraFormat format = {true, look, read_spectra};

static Status mmu_read_spectra(SpectrumBatch *out, int64_t at, const void *config, const SpectraConfig *options,
                               const char *path, const CatalogRow *rows, int64_t n, Arena *scratch)
{
    (void)config;
    return stored_read_spectra(out, at, &format, options, path, rows, n, scratch);
}

/* ---- catalogue rows ---- */

#define FIELD(field) offsetof(CatalogRow, field)
#define TEXT(field)  sizeof(((CatalogRow *)0)->field), offsetof(CatalogRow, field)
static const StoredColumn columns[] = {{"SURVEY", H5_TEXT, TEXT(survey), false},
                                       {"PROGRAM", H5_TEXT, TEXT(program), false},
                                       {"COADD_FIBERSTATUS", H5_I32, 0, FIELD(fiberstatus), false},
                                       {"Z", H5_F64, 0, FIELD(z), true},
                                       {"ZERR", H5_F64, 0, FIELD(zerr), false},
                                       {"ZWARN", H5_I64, 0, FIELD(zwarn), false},
                                       {"DELTACHI2", H5_F64, 0, FIELD(deltachi2), false},
                                       {"SPECTYPE", H5_TEXT, TEXT(spectype), false},
                                       {"OBJTYPE", H5_TEXT, TEXT(objtype), false},
                                       {"DESI_TARGET", H5_I64, 0, FIELD(desi_target), false},
                                       {"BGS_TARGET", H5_I64, 0, FIELD(bgs_target), false},
                                       {"ZCAT_PRIMARY", H5_U8, 0, FIELD(zcat_primary), false},
                                       {"TSNR2_LRG", H5_F32, 0, FIELD(tsnr2_lrg), false},
                                       {0}};

static Status read_rows(CatalogRow *rows, H5File *f, int64_t first, int64_t n, Arena *scratch)
{
    Layout l = {0};
    StoredNames names;
    int64_t *id, n_file;
    TRY(look(&l, &n_file, f, scratch)); /* files whose spectra cannot be read are refused */
    TRY(stored_names(&names, f, scratch));
    TRY(mmu_read_columns(rows, f, &names, columns, first, n, scratch));
    TRY(arena_new(&id, scratch, n));
    TRY(mmu_read_ids(id, f, &names, first, n, scratch));
    for (int64_t i = 0; i < n; i++) {
        rows[i].targetid = id[i];
        rows[i].has_spectrum = 1;
        if (strncmp(rows[i].survey, "sv", 2) == 0) rows[i].desi_target = rows[i].bgs_target = 0; /* bits of main */
    }
    return OK;
}

static Status mmu_read_redshifts(CatalogRow *rows, const void *config, const char *path, int64_t first, int64_t n,
                                 Arena *scratch)
{
    H5File f;
    Status st = stored_open(&f, config, path);
    if (st == OK) st = read_rows(rows, &f, first, n, scratch);
    h5_close(&f);
    return st;
}

const SpectrumSurvey mmu_spectra = {
    .plugin = {"mmu", "the DESI set of the Multimodal Universe (HDF5)", spectra_set_fields, sizeof(StoredConfig), NULL},
    .stored = true,
    .root = stored_root,
    .specprod = set_specprod,
    .list_redshifts = mmu_list,
    .count_redshifts = mmu_count,
    .read_redshifts = mmu_read_redshifts,
    .spectrum_file = stored_spectrum_file,
    .read_spectra = mmu_read_spectra,
};
