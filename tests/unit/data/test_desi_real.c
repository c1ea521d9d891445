/* DESI readers on real files of the survey (ASTROCLIP_SHARED/data/desi). Expected pixels come from the raw HDUs by a
   computation of its own: the sums over arms, written down once more from the definition in terms of wavelength. */
#include "test_main.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/desi.h"
#include "data/flags.h"

static const SpectraConfig preset = {MERGE_LEGACY_2022, BAD_PIXELS_ZERO, 0.5};

/* All TARGETIDs of FIBERMAP. */
static int64_t read_ids(int64_t **id, const char *path)
{
    FitsFile f = {0};
    int64_t n = 0;
    bool ok = CHECK_OK(fitsfile_open(&f, path)) && CHECK_OK(fitsfile_goto(&f, "FIBERMAP")) &&
              CHECK_OK(fitsfile_rows(&n, &f)) && CHECK_OK(arena_new(id, &test_arena, n)) &&
              CHECK_OK(fitsfile_read_column(*id, &f, "TARGETID", FITS_I64, 0, n));
    fitsfile_close(&f);
    return ok ? n : 0;
}

static SpectrumBatch read_spectra(const char *path, const int64_t *id, int64_t n, const SpectraConfig *options)
{
    SpectrumBatch batch = {0};
    CatalogRow *rows;
    CHECK_OK(spectra_batch(&batch, n, &test_arena));
    CHECK_OK(arena_new(&rows, &test_arena, n));
    for (int64_t i = 0; i < n; i++) rows[i].targetid = id[i];
    CHECK_OK(desi_read_spectra(&batch, 0, NULL, options, path, rows, n, &test_arena));
    return batch;
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Weighted sums of file row `row` over the arms, at every pixel whose wavelength is near a grid point; the median
   S/N of each arm. */
static bool independent(double *flux, double *ivar, double snr[N_ARMS], const char *path, int64_t row)
{
    FitsFile f = {0};
    double wave[2881], ratio[2881];
    float flux_arm[2881], ivar_arm[2881];
    uint32_t mask[2881];
    memset(flux, 0, GRID_PIXELS * sizeof *flux);
    memset(ivar, 0, GRID_PIXELS * sizeof *ivar);
    bool ok = CHECK_OK(fitsfile_open(&f, path));
    for (const char *arm = "BRZ"; ok && *arm; arm++) {
        char hdu[16];
        int64_t dims[FITS_AXES];
        int axes;
        snprintf(hdu, sizeof hdu, "%c_WAVELENGTH", *arm);
        ok = CHECK_OK(fitsfile_goto(&f, hdu)) && CHECK_OK(fitsfile_image_size(dims, &axes, &f)) && dims[0] <= 2881 &&
             CHECK_OK(fitsfile_read_rows(wave, &f, FITS_F64, 0, dims[0]));
        snprintf(hdu, sizeof hdu, "%c_FLUX", *arm);
        ok = ok && CHECK_OK(fitsfile_goto(&f, hdu)) && CHECK_OK(fitsfile_read_rows(flux_arm, &f, FITS_F32, row, 1));
        snprintf(hdu, sizeof hdu, "%c_IVAR", *arm);
        ok = ok && CHECK_OK(fitsfile_goto(&f, hdu)) && CHECK_OK(fitsfile_read_rows(ivar_arm, &f, FITS_F32, row, 1));
        snprintf(hdu, sizeof hdu, "%c_MASK", *arm);
        ok = ok && CHECK_OK(fitsfile_goto(&f, hdu)) && CHECK_OK(fitsfile_read_mask(mask, &f, row, 1));
        int64_t n_good = 0;
        for (int64_t k = 0; ok && k < dims[0]; k++) {
            long pixel = lrint((wave[k] - 3600) / 0.8);
            if (mask[k] != 0 || ivar_arm[k] == 0) continue;
            ratio[n_good++] = flux_arm[k] * sqrt(ivar_arm[k]);
            flux[pixel] += (double)ivar_arm[k] * flux_arm[k];
            ivar[pixel] += ivar_arm[k];
        }
        qsort(ratio, (size_t)n_good, sizeof *ratio, compare_doubles);
        *snr++ = n_good ? (ratio[n_good / 2] + ratio[(n_good - 1) / 2]) / 2 : 0;
    }
    fitsfile_close(&f);
    for (int64_t p = 0; p < GRID_PIXELS; p++)
        if (ivar[p] > 0) flux[p] /= ivar[p];
    return ok;
}

/* Every row of the file, asked for in reverse order. */
static void check_file(const char *name)
{
    const char *path = test_shared(name);
    int64_t *id = NULL, *reversed = NULL;
    static double flux[GRID_PIXELS], ivar[GRID_PIXELS];
    double snr[N_ARMS];
    if (!test_needs_file(path)) return;
    int64_t n = read_ids(&id, path);
    CU_ASSERT_FATAL(n > 0);
    CHECK_OK(arena_new(&reversed, &test_arena, n));
    for (int64_t i = 0; i < n; i++) reversed[i] = id[n - 1 - i];
    SpectrumBatch out = read_spectra(path, reversed, n, &preset);
    for (int64_t i = 0; i < n; i++) {
        if (!independent(flux, ivar, snr, path, n - 1 - i)) return;
        int64_t wrong = 0, bad = 0;
        for (int64_t p = 0; p < GRID_PIXELS; p++) {
            wrong += out.flux[i * GRID_PIXELS + p] != (float)flux[p] || out.ivar[i * GRID_PIXELS + p] != (float)ivar[p];
            bad += ivar[p] == 0;
        }
        CU_ASSERT_EQUAL(wrong, 0); /* both sum in double and round once */
        for (int b = 0; b < N_ARMS; b++)
            CU_ASSERT_EQUAL(out.stats[i * N_SPECTRUM_STATS + STAT_SNR_B + b], (float)snr[b]);
        CU_ASSERT_EQUAL((out.flag[i] & SPECTRUM_BAD_PIXELS) != 0, bad > 0);
        CU_ASSERT_EQUAL((out.flag[i] & SPECTRUM_MASKED) != 0, 2 * bad > GRID_PIXELS);
        CU_ASSERT_FALSE(out.flag[i] & (SPECTRUM_NO_ROW | SPECTRUM_UNREADABLE | SPECTRUM_BAD_GRID | SPECTRUM_NO_FILE));
    }
}

static void main_survey_coadd(void) { check_file("data/desi/coadd-main-dark-9144.fits"); }
static void special_survey_coadd(void) { check_file("data/desi/coadd-special-dark-27247.fits"); }
static void reduced_fibermap(void) { check_file("data/desi/coadd-1-80693-thru20210204.fits"); }
static void tile_coadd(void) { check_file("data/desi/coadd-5-169-thru20210419.fits"); }
static void compressed_masks(void) { check_file("data/desi/spectra-5-169-thru20210419.fits"); }

/* The current merge differs from the old one only where a single arm has no weight there, and only when flux is left
   as it was. */
static void modes_agree_where_there_is_weight(void)
{
    const char *path =
        test_shared("data/desi/spectra-5-169-thru20210419.fits"); /* its dead fibres have flux without weight */
    int64_t *id = NULL;
    if (!test_needs_file(path)) return;
    int64_t n = read_ids(&id, path), kept = 0;
    const SpectraConfig released = {MERGE_DESISPEC_2024, BAD_PIXELS_RELEASED, 0.5},
                        zeroed = {MERGE_DESISPEC_2024, BAD_PIXELS_ZERO, 0.5};
    SpectrumBatch old = read_spectra(path, id, n, &preset), now = read_spectra(path, id, n, &released),
                  zero = read_spectra(path, id, n, &zeroed);
    CU_ASSERT_EQUAL(memcmp(old.ivar, now.ivar, (size_t)(n * GRID_PIXELS) * sizeof(float)), 0);
    CU_ASSERT_EQUAL(memcmp(old.flux, zero.flux, (size_t)(n * GRID_PIXELS) * sizeof(float)), 0);
    for (int64_t i = 0; i < n * GRID_PIXELS; i++) {
        if (old.ivar[i] > 0)
            CU_ASSERT_EQUAL(old.flux[i], now.flux[i])
        else
            kept += now.flux[i] != 0;
    }
    CU_ASSERT(kept > 0);
}

static void files_without_fibermap_are_unreadable(void)
{
    const char *path = test_shared("data/desi/quasarnp-25-spectra.fits");
    const int64_t id[2] = {1, 2};
    if (!test_needs_file(path)) return;
    SpectrumBatch out = read_spectra(path, id, 2, &preset);
    CU_ASSERT(out.flag[0] == SPECTRUM_UNREADABLE && out.flag[1] == SPECTRUM_UNREADABLE);
}

static void redrock_names_the_row_of_its_coadd(void)
{
    const char *path = test_shared("data/desi/redrock-special-dark-27247.fits");
    DesiConfig config = {.root = test_shared("data/desi"), .specprod = "iron", .redshifts = REDSHIFTS_REDROCK};
    CatalogRow *rows = NULL;
    int64_t n = 0;
    if (!test_needs_file(path)) return;
    if (!CHECK_OK(desi_read_redshifts(&rows, &n, &config, "redrock-special-dark-27247.fits", &test_arena))) return;
    CU_ASSERT_EQUAL_FATAL(n, 1);
    CU_ASSERT_EQUAL(rows[0].targetid, 39089837499744649);
    CU_ASSERT_STRING_EQUAL(rows[0].survey, "special");
    CU_ASSERT_STRING_EQUAL(rows[0].program, "dark"); /* FIBERMAP says tertiary38 */
    CU_ASSERT_EQUAL(rows[0].healpix, 27247);
    CU_ASSERT_DOUBLE_EQUAL(rows[0].z, 0.00727, 5e-6); /* the data's README rounds to five decimals */
    CU_ASSERT_STRING_EQUAL(rows[0].objtype, "TGT");
    CU_ASSERT(isfinite(rows[0].ra) && isfinite(rows[0].zerr) && rows[0].zerr > 0);

    char file[DESI_PATH];
    CHECK_OK(desi_survey.spectrum_file(file, sizeof file, &config, &rows[0]));
    CU_ASSERT_STRING_EQUAL(file, "spectro/redux/iron/healpix/special/dark/272/27247/coadd-special-dark-27247.fits");
    SpectrumBatch out =
        read_spectra(test_shared("data/desi/coadd-special-dark-27247.fits"), &rows[0].targetid, 1, &preset);
    CU_ASSERT_EQUAL(out.flag[0] & ~SPECTRUM_BAD_PIXELS, 0);
    for (int b = 0; b < N_ARMS; b++) CU_ASSERT(fabsf(out.stats[STAT_SNR_B + b]) < 3); /* a faint one: 0.7 */
}

TEST_MAIN("desi_real", {"a main-survey coadd merges as computed by hand", main_survey_coadd},
          {"a special-survey coadd merges as computed by hand", special_survey_coadd},
          {"a tile coadd with a reduced FIBERMAP merges as computed by hand", reduced_fibermap},
          {"a tile coadd with dead fibres merges as computed by hand", tile_coadd},
          {"tile-compressed masks are read", compressed_masks},
          {"both merges agree where there is weight", modes_agree_where_there_is_weight},
          {"a file without FIBERMAP is UNREADABLE", files_without_fibermap_are_unreadable},
          {"a redrock file names the row of its coadd", redrock_names_the_row_of_its_coadd})
