/* test_mock_labels.c - the label tables of the mock sky in the formats of PROVABGS and fastspecfit: readable, near the
   truth, and not the truth. */
#include <math.h>
#include <stdio.h>

#include "data/labels.h"
#include "data/mock_table.h"
#include "test_main.h"

static const LabelsConfig label_usual = {.hdu = "",
                                         .targetid = "TARGETID",
                                         .z = "",
                                         .logmstar = "",
                                         .age = "",
                                         .metallicity = "",
                                         .sfr = "",
                                         .solar = 0.02,
                                         .magnitudes = true};
static LabelCounts label_counts;

static MockSky sky;
static MockObject *object;

static const char *path_of(const char *name)
{
    static char path[FITS_PATH];
    snprintf(path, sizeof path, "%s/%s", test_folder(), name);
    return path;
}

static bool make_sky(void)
{
    const MockConfig config = {
        .objects = 120, .per_brick = 60, .ra = 150.1, .dec = 2.25, .layout = MOCK_DR1, .truth = "", .votes = ""};
    int64_t n;
    return CHECK_OK(mock_sky(&sky, &config, NULL, 42, &par_alone, &test_arena)) &&
           CHECK_OK(mock_objects(&object, &n, &sky, 0, sky.n_bricks, &test_arena));
}

static const MockObject *object_of(int64_t targetid)
{
    for (int64_t i = 0; i < sky.n; i++)
        if (object[i].targetid == targetid) return &object[i];
    return NULL;
}

static void labels_are_near_the_truth_and_not_it(void)
{
    LabelEntry *e;
    int64_t n;
    double sum = 0;
    if (!make_sky() ||
        !CHECK_OK(mock_write_lists(&sky, &(MockLists){.labels = path_of("labels.hdf5")}, &par_alone, &test_arena)))
        return;
    if (!CHECK_OK(labels_read(&e, &n, &label_counts, path_of("labels.hdf5"), &label_usual, 0, 1, &test_arena))) return;
    CU_ASSERT(n > sky.n / 2 && n < sky.n);
    for (int64_t i = 0; i < n; i++) {
        const MockObject *o = object_of(e[i].targetid);
        CU_ASSERT_PTR_NOT_NULL_FATAL(o);
        CU_ASSERT_EQUAL(e[i].label[LABEL_Z], o->z);
        /* five sigma of the fits */
        CU_ASSERT_DOUBLE_EQUAL(e[i].label[LABEL_LOGMSTAR], o->logmstar, 1.1);
        CU_ASSERT_DOUBLE_EQUAL(e[i].label[LABEL_LOGZ], o->logz, 0.6);
        CU_ASSERT_DOUBLE_EQUAL(e[i].label[LABEL_AGE], o->age, 0.6 * o->age);
        CU_ASSERT_DOUBLE_EQUAL(e[i].label[LABEL_LOGSSFR], o->logssfr, 2.9);
        sum += fabs(e[i].label[LABEL_LOGMSTAR] - o->logmstar) / (double)n;
    }
    CU_ASSERT(sum > 0.1 && sum < 0.25);
}

static void draws_scatter_around_the_best_fit(void)
{
    enum { THETA = 13, DRAWS = 100 };
    H5File f = {0};
    H5Shape shape;
    static double best[THETA], draw[DRAWS * THETA];
    double mean = 0, square = 0;
    if (!make_sky() ||
        !CHECK_OK(mock_write_lists(&sky, &(MockLists){.labels = path_of("labels.hdf5")}, &par_alone, &test_arena)))
        return;
    if (!CHECK_OK(h5_open(&f, path_of("labels.hdf5"), NULL))) return;
    CHECK_OK(h5_member_shape(&shape, &f, "__astropy_table__", "PROVABGS_MCMC"));
    CU_ASSERT_EQUAL(shape.n_dims, 3);
    CU_ASSERT(shape.dims[1] == DRAWS && shape.dims[2] == THETA);
    CHECK_OK(h5_read_member(best, &f, "__astropy_table__", "PROVABGS_THETA_BF", H5_F64, 0, 3, 1));
    CHECK_OK(h5_read_member(draw, &f, "__astropy_table__", "PROVABGS_MCMC", H5_F64, 0, 3, 1));
    CHECK_OK(h5_close(&f));
    for (int d = 0; d < DRAWS; d++) {
        mean += draw[d * THETA] / DRAWS;
        square += draw[d * THETA] * draw[d * THETA] / DRAWS;
        double shares = 0; /* of the star formation history */
        for (int k = 1; k <= 4; k++) shares += draw[d * THETA + k];
        CU_ASSERT_DOUBLE_EQUAL(shares, 1, 1e-9);
    }
    CU_ASSERT_DOUBLE_EQUAL(mean, best[0], 0.11); /* five sigma of the mean of 100 draws of 0.22 dex */
    CU_ASSERT_DOUBLE_EQUAL(sqrt(square - mean * mean), 0.22, 0.08);
}

/* A line out of the arms is not measured; the others are near what the fibre sees. */
static void lines_are_measured_where_the_spectrum_reaches(void)
{
    enum { MOST = 200 };
    FitsFile f = {0};
    int64_t n, id[MOST];
    static double halpha[MOST], ivar[MOST], sulphur[MOST];
    int64_t far = 0, off = 0;
    if (!make_sky() ||
        !CHECK_OK(mock_write_lists(&sky, &(MockLists){.fastspec = path_of("fastspec.fits")}, &par_alone, &test_arena)))
        return;
    if (!CHECK_OK(fitsfile_open(&f, path_of("fastspec.fits")))) return;
    CHECK_OK(fitsfile_goto(&f, "FASTSPEC"));
    CHECK_OK(fitsfile_rows(&n, &f));
    CU_ASSERT_FATAL(n > 100 && n <= MOST);
    CHECK_OK(fitsfile_read_column(id, &f, "TARGETID", FITS_I64, 0, n));
    CHECK_OK(fitsfile_read_column(halpha, &f, "HALPHA_FLUX", FITS_F64, 0, n));
    CHECK_OK(fitsfile_read_column(ivar, &f, "HALPHA_FLUX_IVAR", FITS_F64, 0, n));
    CHECK_OK(fitsfile_read_column(sulphur, &f, "SIII_9532_FLUX_IVAR", FITS_F64, 0, n));
    fitsfile_close(&f);
    for (int64_t i = 0; i < n; i++) {
        double flux[N_MOCK_LINES];
        const MockObject *o = object_of(id[i]);
        CU_ASSERT_PTR_NOT_NULL_FATAL(o);
        mock_lines(flux, o);
        CU_ASSERT_EQUAL(ivar[i] > 0, 6564.61 * (1 + o->z) <= 9824);
        CU_ASSERT_EQUAL(sulphur[i] > 0, 9533.2 * (1 + o->z) <= 9824);
        far += ivar[i] == 0;
        off += ivar[i] > 0 && fabs(halpha[i] - mock_fibre_share(o) * flux[MOCK_HALPHA]) * sqrt(ivar[i]) > 3;
    }
    CU_ASSERT(far > 0);
    CU_ASSERT(off <= 3); /* beyond three sigma: one in 370 */
}

TEST_MAIN("labels of the mock sky", {"labels are near the truth and not it", labels_are_near_the_truth_and_not_it},
          {"draws scatter around the best fit", draws_scatter_around_the_best_fit},
          {"lines are measured where the spectrum reaches", lines_are_measured_where_the_spectrum_reaches})
