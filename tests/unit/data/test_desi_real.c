/* DESI readers on real files of the survey (ASTROCLIP_SHARED/data/desi). Expected pixels come from the raw HDUs by a
   computation of its own: the sums over arms, written down once more from the definition in terms of wavelength. */
#include "test_main.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/desi.h"
#include "data/flags.h"

static const SpectraConfig preset = {MERGE_LEGACY_2022, BAD_PIXELS_ZERO, 0.5, EXTINCTION_NONE};

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
        memset(mask, 0, sizeof mask);
        if (ok && fitsfile_has(&f, hdu))
            ok = CHECK_OK(fitsfile_goto(&f, hdu)) && CHECK_OK(fitsfile_read_mask(mask, &f, row, 1));
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
static void check_rows(const char *path, const int64_t *id, int64_t n)
{
    int64_t *reversed = NULL;
    static double flux[GRID_PIXELS], ivar[GRID_PIXELS];
    double snr[N_ARMS];
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

static void check_file(const char *name)
{
    const char *path = test_shared(name);
    int64_t *id = NULL;
    if (!test_needs_file(path)) return;
    int64_t n = read_ids(&id, path);
    check_rows(path, id, n);
}

static void main_survey_coadd(void) { check_file("data/desi/coadd-main-dark-9144.fits"); }
static void special_survey_coadd(void) { check_file("data/desi/coadd-special-dark-27247.fits"); }
static void reduced_fibermap(void) { check_file("data/desi/coadd-1-80693-thru20210204.fits"); }
static void tile_coadd(void) { check_file("data/desi/coadd-5-169-thru20210419.fits"); }
static void compressed_masks(void) { check_file("data/desi/spectra-5-169-thru20210419.fits"); }

/* Dead fibres have flux without weight: a coadd of them has neither. */
static void modes_agree_where_there_is_weight(void)
{
    const char *path = test_shared("data/desi/spectra-5-169-thru20210419.fits");
    int64_t *id = NULL;
    if (!test_needs_file(path)) return;
    int64_t n = read_ids(&id, path), empty = 0;
    const SpectraConfig released = {MERGE_DESISPEC_2024, BAD_PIXELS_RELEASED, 0.5, EXTINCTION_NONE};
    SpectrumBatch old = read_spectra(path, id, n, &preset), now = read_spectra(path, id, n, &released);
    CU_ASSERT_EQUAL(memcmp(old.ivar, now.ivar, (size_t)(n * GRID_PIXELS) * sizeof(float)), 0);
    CU_ASSERT_EQUAL(memcmp(old.flux, now.flux, (size_t)(n * GRID_PIXELS) * sizeof(float)), 0);
    for (int64_t i = 0; i < n * GRID_PIXELS; i++) empty += now.ivar[i] == 0 && now.flux[i] == 0;
    CU_ASSERT(empty >= 4 * GRID_PIXELS);
}

/* ---- rows straight from spectrum files ---- */

static DesiConfig coadd_config(void)
{
    return (DesiConfig){.root = test_shared("data/desi"), .specprod = "fuji", .redshifts = REDSHIFTS_COADD};
}

static int64_t read_all(CatalogRow **rows, const DesiConfig *config, const char *name)
{
    int64_t n = 0;
    if (!CHECK_OK(desi_count_redshifts(&n, config, name, &test_arena)) || !CHECK_OK(arena_new(rows, &test_arena, n)) ||
        !CHECK_OK(desi_read_redshifts(*rows, config, name, 0, n, &test_arena)))
        return 0;
    return n;
}

/* What astropy prints of these files. */
static void tile_files_give_rows(void)
{
    static const char *const names[] = {"coadd-5-169-thru20210419.fits", "spectra-5-169-thru20210419.fits"};
    static const int64_t id[] = {-1695072, 39633297352951412, -1695064, -1695073, 39633300968442591};
    static const int32_t status[] = {513, 512, 515, 1, 0};
    DesiConfig config = coadd_config();
    for (int k = 0; k < 2; k++) {
        CatalogRow *rows = NULL;
        if (!test_needs_file(test_shared("data/desi/coadd-5-169-thru20210419.fits"))) return;
        int64_t n = read_all(&rows, &config, names[k]);
        CU_ASSERT_EQUAL_FATAL(n, 5);
        for (int i = 0; i < 5; i++) {
            CU_ASSERT(rows[i].targetid == id[i] && rows[i].fiberstatus == status[i] && rows[i].source_row == i);
            CU_ASSERT(rows[i].tileid == 169 && rows[i].petal == 5 && rows[i].night == 20210419);
            CU_ASSERT(rows[i].uniqpix == 0 && rows[i].healpix >= 0 && rows[i].has_spectrum == 1);
            CU_ASSERT(rows[i].survey[0] == '\0' && rows[i].program[0] == '\0' && isnan(rows[i].z));
        }
        CU_ASSERT_DOUBLE_EQUAL(rows[4].ra, 215.49757705, 1e-8); /* as printed: eight decimals */
        CU_ASSERT_STRING_EQUAL(rows[4].objtype, "TGT");
        CU_ASSERT_STRING_EQUAL(rows[0].objtype, "");
    }
}

static void reduced_fibermaps_give_rows(void)
{
    CatalogRow *rows = NULL;
    DesiConfig config = coadd_config();
    if (!test_needs_file(test_shared("data/desi/coadd-1-80693-thru20210204.fits"))) return;
    CU_ASSERT_EQUAL_FATAL(read_all(&rows, &config, "coadd-1-80693-thru20210204.fits"), 5);
    CU_ASSERT(rows[4].targetid == 39633560340006508 && rows[4].tileid == 80693 && rows[4].petal == 1);
    CU_ASSERT(rows[4].healpix >= 0 && isfinite(rows[4].dec));
    CU_ASSERT_EQUAL_FATAL(read_all(&rows, &config, "coadd-main-dark-9144.fits"), 2);
    CU_ASSERT(rows[1].targetid == 39632936152073654 && rows[1].healpix == 9144 && rows[1].tileid == 0);
    CU_ASSERT_STRING_EQUAL(rows[1].survey, "sv3"); /* the header; the name of the file says main */
    CU_ASSERT(isnan(rows[1].ra) && isnan(rows[1].dec));
}

static void redshifts_lie_beside(void)
{
    CatalogRow *rows = NULL;
    DesiConfig config = coadd_config();
    char file[DESI_PATH];
    char *paths[] = {"elsewhere.fits", "coadd-special-dark-27247.fits"};
    const FileList files = {paths, 2};
    if (!test_needs_file(test_shared("data/desi/coadd-special-dark-27247.fits"))) return;
    CU_ASSERT_EQUAL_FATAL(read_all(&rows, &config, "coadd-special-dark-27247.fits"), 1);
    CU_ASSERT_DOUBLE_EQUAL(rows[0].z, 0.00727, 5e-6); /* the data's README rounds to five decimals */
    CU_ASSERT_STRING_EQUAL(rows[0].program, "dark");
    rows[0].source_file = 1;
    CHECK_OK(desi_survey.spectrum_file(file, sizeof file, &config, &rows[0], &files));
    CU_ASSERT_STRING_EQUAL(file, "coadd-special-dark-27247.fits");
    rows[0].source_file = 2;
    CHECK_FAILS(desi_survey.spectrum_file(file, sizeof file, &config, &rows[0], &files), E_INPUT);
}

static void files_without_fibermap_give_rows(void)
{
    const char *path = test_shared("data/desi/quasarnp-25-spectra.fits");
    CatalogRow *rows = NULL;
    DesiConfig config = coadd_config();
    int64_t id[25];
    if (!test_needs_file(path)) return;
    CU_ASSERT_EQUAL_FATAL(read_all(&rows, &config, "quasarnp-25-spectra.fits"), 25);
    for (int i = 0; i < 25; i++) {
        id[i] = rows[i].targetid;
        CU_ASSERT(id[i] > 0 && (i == 0 || id[i] == id[i - 1] + 1) && rows[i].source_row == i);
        CU_ASSERT(isnan(rows[i].ra) && rows[i].healpix == 0); /* kept, though nobody knows where it is */
    }
    check_rows(path, id, 25);
    SpectrumBatch out = read_spectra(path, id, 25, &preset);
    for (int i = 0; i < 25; i++) CU_ASSERT_EQUAL((out.flag[i] & SPECTRUM_NO_DATA) != 0, i == 11); /* its ivar is 0 */

    /* Identifiers that are not of this file. */
    const int64_t strange[3] = {1, id[24] + 1, desi_made_targetid("other.fits", 0)};
    out = read_spectra(path, strange, 3, &preset);
    CU_ASSERT(out.flag[0] == SPECTRUM_UNREADABLE && out.flag[1] == SPECTRUM_NO_ROW && out.flag[2] == SPECTRUM_NO_ROW);
}

static void a_folder_without_a_tree_is_listed(void)
{
    static const char *const expected[] = {"coadd-1-80693-thru20210204.fits", "coadd-5-169-thru20210419.fits",
                                           "coadd-main-dark-9144.fits", "coadd-special-dark-27247.fits",
                                           "spectra-5-169-thru20210419.fits"};
    DesiConfig config = coadd_config();
    FileList files;
    if (!test_needs_file(test_shared("data/desi/coadd-main-dark-9144.fits"))) return;
    CHECK_OK(desi_list_redshifts(&files, &config, &test_arena));
    CU_ASSERT_EQUAL_FATAL(files.n, 5);
    for (int i = 0; i < 5; i++) CU_ASSERT_STRING_EQUAL(files.path[i], expected[i]);
}

/* spectra-5-169 holds the first of the two exposures that coadd-5-169 of the survey was made of. Where the second had
   no weight the survey's pixel is ours, bit for bit. Elsewhere f1 - fc has the variance 1/w1 - 1/wc, because fc holds f1:
   its pulls scatter like a unit normal. (Measured: variance 0.82 in B, 0.93 in R, 0.91 in Z. A second exposure left out,
   counted twice, or with a weight off by a quarter would be outside 0.7 to 1.1.) */
static void exposures_agree_with_the_coadd_of_the_survey(void)
{
    const char *one = test_shared("data/desi/spectra-5-169-thru20210419.fits"),
               *two = test_shared("data/desi/coadd-5-169-thru20210419.fits");
    const int64_t id = 39633300968442591;
    static double ours[GRID_PIXELS], theirs[GRID_PIXELS];
    if (!test_needs_file(one) || !test_needs_file(two)) return;
    SpectrumBatch a = read_spectra(one, &id, 1, &preset), b = read_spectra(two, &id, 1, &preset);
    CU_ASSERT_EQUAL_FATAL(a.flag[0] & ~SPECTRUM_BAD_PIXELS, 0);
    CU_ASSERT_EQUAL_FATAL(b.flag[0], 0);
    int64_t n = 0, same = 0;
    double sum = 0, squares = 0;
    for (int64_t p = 0; p < GRID_PIXELS; p++) {
        ours[p] = a.ivar[p];
        theirs[p] = b.ivar[p];
        CU_ASSERT(ours[p] <= theirs[p] * (1 + 1e-6)); /* float32 sums */
        if (ours[p] == 0) continue;
        if (fabs(theirs[p] - ours[p]) <= 1e-6 * ours[p]) {
            CU_ASSERT_EQUAL(a.flux[p], b.flux[p]);
            same++;
            continue;
        }
        double pull = ((double)a.flux[p] - (double)b.flux[p]) / sqrt(1 / ours[p] - 1 / theirs[p]);
        sum += pull;
        squares += pull * pull;
        n++;
    }
    CU_ASSERT(same >= 10 && n > 7000);
    CU_ASSERT(fabs(sum / (double)n) < 0.1 && squares / (double)n > 0.7 && squares / (double)n < 1.1);
}

static void redrock_names_the_row_of_its_coadd(void)
{
    DesiConfig config = {.root = test_shared("data/desi"), .specprod = "iron", .redshifts = REDSHIFTS_REDROCK};
    CatalogRow *rows = NULL;
    if (!test_needs_file(test_shared("data/desi/redrock-special-dark-27247.fits"))) return;
    CU_ASSERT_EQUAL_FATAL(read_all(&rows, &config, "redrock-special-dark-27247.fits"), 1);
    CU_ASSERT_EQUAL(rows[0].targetid, 39089837499744649);
    CU_ASSERT_STRING_EQUAL(rows[0].survey, "special");
    CU_ASSERT_STRING_EQUAL(rows[0].program, "dark"); /* FIBERMAP says tertiary38 */
    CU_ASSERT_EQUAL(rows[0].healpix, 27247);
    CU_ASSERT_DOUBLE_EQUAL(rows[0].z, 0.00727, 5e-6);
    CU_ASSERT_STRING_EQUAL(rows[0].objtype, "TGT");
    CU_ASSERT(isfinite(rows[0].ra) && isfinite(rows[0].zerr) && rows[0].zerr > 0);

    char file[DESI_PATH];
    CHECK_OK(desi_survey.spectrum_file(file, sizeof file, &config, &rows[0], NULL));
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
          {"both merges agree on a coadd made here", modes_agree_where_there_is_weight},
          {"tile files, coadded or not, give rows", tile_files_give_rows},
          {"reduced FIBERMAPs give rows", reduced_fibermaps_give_rows},
          {"a redrock file beside gives redshifts", redshifts_lie_beside},
          {"a file without FIBERMAP and MASK gives rows and spectra", files_without_fibermap_give_rows},
          {"a folder without a tree is listed", a_folder_without_a_tree_is_listed},
          {"an exposure coadded here agrees with the survey's coadd", exposures_agree_with_the_coadd_of_the_survey},
          {"a redrock file names the row of its coadd", redrock_names_the_row_of_its_coadd})
