/* Coadding of exposures, on spectra-* files written here: arms of a few pixels, so that every sum can be done by hand. */
#include "test_main.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "data/desi.h"
#include "data/desi_exposures.h"
#include "data/flags.h"

enum { PIXELS = 40, MAX_ROWS = 700, A = 1001, B = 1002, C = 1003, BAD = 1 << 9, BADAMPR = 1 << 23, DOUBT = 1 << 20 };

static const SpectraConfig options = {MERGE_LEGACY_2022, BAD_PIXELS_ZERO, 1, EXTINCTION_NONE},
                           released = {MERGE_DESISPEC_2024, BAD_PIXELS_RELEASED, 1, EXTINCTION_NONE};

typedef struct {
    int64_t n;
    int64_t id[MAX_ROWS];
    int32_t status[MAX_ROWS];
    float flux[N_ARMS][MAX_ROWS * PIXELS], ivar[N_ARMS][MAX_ROWS * PIXELS];
    uint32_t mask[N_ARMS][MAX_ROWS * PIXELS];
    bool no_status, no_mask, no_expid;
} Exposures;
static Exposures x; /* what the next file holds */

/* n exposures of the targets, fluxes and weights all different. */
static void fill(int64_t n, const int64_t *id)
{
    memset(&x, 0, sizeof x);
    x.n = n;
    for (int64_t i = 0; i < n; i++) {
        x.id[i] = id[i];
        for (int b = 0; b < N_ARMS; b++)
            for (int64_t k = 0; k < PIXELS; k++) {
                x.flux[b][i * PIXELS + k] = (float)(1 + b) + 0.37f * (float)(i % 13) + 0.01f * (float)k;
                x.ivar[b][i * PIXELS + k] = 0.5f + 0.21f * (float)((i + k) % 5);
            }
    }
}

static Status write_image(FitsFile *f, int b, const char *part, const float *pixels)
{
    char hdu[16];
    const int64_t dims[2] = {x.n, PIXELS};
    snprintf(hdu, sizeof hdu, "%c_%s", arm_name[b], part);
    TRY(fitsfile_new_image(f, hdu, FITS_F32, false, dims, 2, FITS_PLAIN));
    return fitsfile_write_pixels(f, FITS_F32, pixels, x.n * PIXELS);
}

static Status write_arm(FitsFile *f, int b)
{
    double wave[PIXELS];
    char hdu[16];
    const int64_t dims[2] = {x.n, PIXELS}, n = PIXELS;
    for (int64_t k = 0; k < n; k++) wave[k] = GRID_START + GRID_STEP * (double)(arm_start[b] + k);
    snprintf(hdu, sizeof hdu, "%c_WAVELENGTH", arm_name[b]);
    TRY(fitsfile_new_image(f, hdu, FITS_F64, false, &n, 1, FITS_PLAIN));
    TRY(fitsfile_write_pixels(f, FITS_F64, wave, n));
    TRY(write_image(f, b, "FLUX", x.flux[b]));
    TRY(write_image(f, b, "IVAR", x.ivar[b]));
    if (x.no_mask) return OK;
    snprintf(hdu, sizeof hdu, "%c_MASK", arm_name[b]);
    TRY(fitsfile_new_image(f, hdu, FITS_I32, true, dims, 2, FITS_PLAIN));
    return fitsfile_write_mask(f, x.mask[b], x.n * PIXELS);
}

static const char *write_file(const char *name)
{
    static char path[2048];
    const FitsColumn columns[] = {{"TARGETID", "K", "", ""}, {"EXPID", "J", "", ""}, {"FIBERSTATUS", "J", "", ""}};
    FitsFile f = {0};
    snprintf(path, sizeof path, "%s/%s", test_folder(), name);
    CHECK_OK(fitsfile_create(&f, path));
    const int n_columns = x.no_status ? x.no_expid ? 1 : 2 : 3;
    CHECK_OK(fitsfile_new_table(&f, "FIBERMAP", columns, n_columns, x.n));
    CHECK_OK(fitsfile_write_column(&f, "TARGETID", FITS_I64, x.id, 0, x.n));
    if (!x.no_status) CHECK_OK(fitsfile_write_column(&f, "FIBERSTATUS", FITS_I32, x.status, 0, x.n));
    for (int b = 0; b < N_ARMS; b++) CHECK_OK(write_arm(&f, b));
    CHECK_OK(fitsfile_finish(&f));
    return path;
}

static SpectrumBatch read_rows(const char *path, const int64_t *id, int64_t n, const SpectraConfig *config)
{
    SpectrumBatch batch = {0};
    CatalogRow *rows;
    CHECK_OK(spectra_batch(&batch, n, &test_arena));
    CHECK_OK(arena_new(&rows, &test_arena, n));
    for (int64_t i = 0; i < n; i++) rows[i].targetid = id[i];
    CHECK_OK(desi_read_spectra(&batch, 0, NULL, config, path, rows, n, &test_arena));
    return batch;
}

/* The sums by definition, over the exposures of `id` whose status lets them count in arm b. */
static void expect_target(const SpectrumBatch *out, int64_t row, int64_t id, const bool *counts)
{
    for (int b = 0; b < N_ARMS; b++)
        for (int64_t k = 0; k < PIXELS; k++) {
            double weights = 0, sum = 0;
            for (int64_t i = 0; i < x.n; i++) {
                int64_t at = i * PIXELS + k;
                if (x.id[i] != id || (counts && !counts[i]) || x.mask[b][at]) continue;
                weights += (double)x.ivar[b][at];
                sum += (double)x.ivar[b][at] * (double)x.flux[b][at];
            }
            const int64_t p = row * GRID_PIXELS + arm_start[b] + k;
            CU_ASSERT_EQUAL(out->ivar[p], (float)weights); /* the same sums in the same order, in double */
            CU_ASSERT_EQUAL(out->flux[p], weights > 0 ? (float)(sum / weights) : 0);
        }
}

static void exposures_are_averaged_by_weight(void)
{
    const int64_t ids[] = {A, B, A, C, B, A}, order[] = {C, A, B, A, 77};
    fill(6, ids);
    x.mask[1][2 * PIXELS + 5] = 1 << 30; /* a bit that no table of ours knows: bad all the same */
    x.mask[2][5 * PIXELS + 9] = 0x80000000u;
    SpectrumBatch out = read_rows(write_file("spectra-1-2-thru3.fits"), order, 5, &options);
    expect_target(&out, 0, C, NULL);
    expect_target(&out, 1, A, NULL);
    expect_target(&out, 2, B, NULL);
    expect_target(&out, 3, A, NULL);
    CU_ASSERT_EQUAL(out.flag[4], SPECTRUM_NO_ROW);
    /* C has one exposure, which comes out as it stands. */
    CU_ASSERT_EQUAL(memcmp(out.flux, x.flux[0] + (ptrdiff_t)3 * PIXELS, PIXELS * sizeof(float)), 0);
}

static void files_are_known_by_their_columns(void)
{
    const int64_t ids[] = {A, A}, id = A;
    fill(2, ids);
    SpectrumBatch out = read_rows(write_file("other-name.fits"), &id, 1, &options);
    expect_target(&out, 0, A, NULL);
    x.no_status = x.no_expid = true; /* a reduced FIBERMAP: the name says it, and all exposures count */
    out = read_rows(write_file("spectra-reduced.fits"), &id, 1, &options);
    expect_target(&out, 0, A, NULL);
    out = read_rows(write_file("coadd-reduced.fits"), &id, 1, &options);
    CU_ASSERT_EQUAL(memcmp(out.flux, x.flux[0], PIXELS * sizeof(float)), 0); /* the first row */
    x.no_mask = true;
    out = read_rows(write_file("spectra-no-mask.fits"), &id, 1, &options);
    expect_target(&out, 0, A, NULL);
}

static void bad_exposures_do_not_count(void)
{
    const int64_t ids[] = {A, A, A, B, B, C, C}, order[] = {A, B, C};
    const bool counts[] = {false, true, true, true, true, false, false};
    fill(7, ids);
    x.status[0] = BAD;
    x.status[1] = 1 << 3; /* RESTRICTED: information only */
    x.status[3] = x.status[4] = DOUBT;
    x.status[5] = BAD;
    x.status[6] = 1 << 16;
    SpectrumBatch out = read_rows(write_file("spectra-status.fits"), order, 3, &options);
    expect_target(&out, 0, A, counts);
    expect_target(&out, 1, B, counts); /* VARIABLE all of them: they count, there are no others */
    expect_target(&out, 2, C, counts);
    CU_ASSERT_TRUE(out.flag[2] & SPECTRUM_NO_DATA);
    CU_ASSERT_TRUE(flags_fatal(MODALITY_SPECTRUM, out.flag[2], false));
    CU_ASSERT_FALSE(out.flag[0] & SPECTRUM_MISSING_ARM);
}

static void a_bad_amplifier_costs_its_arm(void)
{
    const int64_t ids[] = {A, A, B}, order[] = {A, B};
    fill(3, ids);
    x.status[0] = x.status[2] = BADAMPR;
    SpectrumBatch out = read_rows(write_file("spectra-amp.fits"), order, 2, &options);
    for (int64_t k = 0; k < PIXELS; k++) {
        CU_ASSERT_EQUAL(out.flux[GRID_R_START + k], x.flux[1][PIXELS + k]); /* the second alone */
        CU_ASSERT_EQUAL(out.ivar[GRID_PIXELS + GRID_R_START + k], 0);
        CU_ASSERT(out.ivar[GRID_PIXELS + k] > 0);
    }
    CU_ASSERT_TRUE(out.flag[1] & SPECTRUM_MISSING_ARM);
}

static void pixels_masked_in_all_exposures_have_no_weight(void)
{
    const int64_t ids[] = {A, A}, id = A;
    fill(2, ids);
    x.mask[0][3] = 4;
    x.mask[0][PIXELS + 3] = 8;
    const char *path = write_file("spectra-masked.fits");
    SpectrumBatch old = read_rows(path, &id, 1, &options), now = read_rows(path, &id, 1, &released);
    CU_ASSERT(old.ivar[3] == 0 && old.flux[3] == 0 && now.ivar[3] == 0);
    double w = (double)x.ivar[0][3], v = (double)x.ivar[0][PIXELS + 3];
    double mean = (w * (double)x.flux[0][3] + v * (double)x.flux[0][PIXELS + 3]) / (w + v);
    CU_ASSERT_EQUAL(now.flux[3], (float)mean); /* as the current programs leave it */
}

static void values_that_are_no_numbers_are_left_out(void)
{
    const int64_t ids[] = {A, A, B}, order[] = {A, B};
    fill(3, ids);
    x.flux[2][7] = NAN;
    x.ivar[1][PIXELS + 8] = INFINITY;
    x.ivar[0][9] = -1;
    SpectrumBatch out = read_rows(write_file("spectra-nan.fits"), order, 2, &options);
    CU_ASSERT_EQUAL(out.flux[GRID_Z_START + 7], x.flux[2][PIXELS + 7]);
    CU_ASSERT_EQUAL(out.flux[GRID_R_START + 8], x.flux[1][8]);
    CU_ASSERT_EQUAL(out.ivar[9], x.ivar[0][PIXELS + 9]); /* a negative weight counts as none */
    CU_ASSERT_TRUE(out.flag[0] & SPECTRUM_NONFINITE);
    CU_ASSERT_FALSE(out.flag[1] & SPECTRUM_NONFINITE);
}

/* More exposures than are read at a time, more targets than are held, in an order of no kind. */
static void a_row_does_not_depend_on_its_company(void)
{
    enum { N_TARGETS = 75 };
    int64_t ids[MAX_ROWS], order[N_TARGETS];
    for (int i = 0; i < MAX_ROWS; i++) ids[i] = 5000 + (i * 37) % N_TARGETS;
    for (int t = 0; t < N_TARGETS; t++) order[t] = 5000 + (t * 31) % N_TARGETS;
    fill(MAX_ROWS, ids);
    const char *path = write_file("spectra-many.fits");
    SpectrumBatch all = read_rows(path, order, N_TARGETS, &options);
    for (int t = 0; t < N_TARGETS; t += 7) {
        expect_target(&all, t, order[t], NULL);
        SpectrumBatch one = read_rows(path, &order[t], 1, &options);
        CU_ASSERT_EQUAL(one.flag[0], all.flag[t]);
        CU_ASSERT_EQUAL(memcmp(one.flux, all.flux + (int64_t)t * GRID_PIXELS, GRID_PIXELS * sizeof(float)), 0);
        CU_ASSERT_EQUAL(memcmp(one.ivar, all.ivar + (int64_t)t * GRID_PIXELS, GRID_PIXELS * sizeof(float)), 0);
    }
}

static void a_target_has_one_row(void)
{
    const int64_t ids[] = {B, A, B, C, A, C};
    const DesiConfig config = {.root = test_folder(), .specprod = "iron", .redshifts = REDSHIFTS_COADD};
    CatalogRow rows[3], one;
    int64_t n;
    fill(6, ids);
    x.status[0] = 8; /* RESTRICTED in both exposures of B */
    x.status[2] = 8 | 1 << 4;
    x.status[1] = BAD; /* A: one bad exposure, one good with bit 3 */
    x.status[4] = 8;
    x.status[3] = BAD; /* C: both bad, of different kinds: the AND alone would be 0 */
    x.status[5] = 1 << 16;
    write_file("spectra-main-dark-9144.fits");
    CHECK_OK(desi_count_redshifts(&n, &config, "spectra-main-dark-9144.fits", &test_arena));
    CU_ASSERT_EQUAL_FATAL(n, 3);
    CHECK_OK(desi_read_redshifts(rows, &config, "spectra-main-dark-9144.fits", 0, 3, &test_arena));
    CU_ASSERT(rows[0].targetid == B && rows[1].targetid == A && rows[2].targetid == C); /* as first seen */
    CU_ASSERT(rows[0].source_row == 0 && rows[1].source_row == 1 && rows[2].source_row == 3);
    CU_ASSERT(rows[0].fiberstatus == 8 && rows[1].fiberstatus == 8 && rows[2].fiberstatus == (BAD | 1 << 16));
    CU_ASSERT(strcmp(rows[0].survey, "main") == 0 && rows[0].healpix == 9144);
    for (int i = 0; i < 3; i++) { /* any range of rows says the same */
        CHECK_OK(desi_read_redshifts(&one, &config, "spectra-main-dark-9144.fits", i, 1, &test_arena));
        CU_ASSERT(one.targetid == rows[i].targetid && one.source_row == rows[i].source_row);
        CU_ASSERT_EQUAL(one.fiberstatus, rows[i].fiberstatus);
    }
}

static void files_cut_short_are_unreadable(void)
{
    const int64_t ids[] = {A, B, A}, order[] = {A, B};
    fill(3, ids);
    const char *path = write_file("spectra-cut.fits");
    for (long size = 2880L * 20 + 100; size > 0; size -= 2880L * 3 + 1) {
        CU_ASSERT_EQUAL_FATAL(truncate(path, size), 0);
        SpectrumBatch out = read_rows(path, order, 2, &options);
        CU_ASSERT(out.flag[0] == SPECTRUM_UNREADABLE && out.flag[1] == SPECTRUM_UNREADABLE);
    }
}

TEST_MAIN("desi_exposures", {"exposures are averaged by weight", exposures_are_averaged_by_weight},
          {"files of exposures are known by name or columns", files_are_known_by_their_columns},
          {"exposures of a bad fibre do not count", bad_exposures_do_not_count},
          {"a bad amplifier costs its arm", a_bad_amplifier_costs_its_arm},
          {"pixels masked in all exposures have no weight", pixels_masked_in_all_exposures_have_no_weight},
          {"NaN and Inf are left out and flagged", values_that_are_no_numbers_are_left_out},
          {"a row does not depend on its company", a_row_does_not_depend_on_its_company},
          {"a target has one row, as first seen", a_target_has_one_row},
          {"files cut short are UNREADABLE", files_cut_short_are_unreadable})
