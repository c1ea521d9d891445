/* properties.fits from any number of ranks: the same bytes as from one, and what the catalogue, the
   embeddings and the probes say. */
#include <unistd.h>

#include "small_release.h"
#include "small_table.h"

/* The data of PROPERTIES as they stand in the file. */
static unsigned char *data_of(const char *name, int64_t *bytes)
{
    FitsFile f;
    int64_t start = 0;
    unsigned char *data = NULL;
    *bytes = -1;
    if (!CHECK_OK(fitsfile_open(&f, path_of(name)))) return NULL;
    CHECK_OK(fitsfile_goto(&f, "PROPERTIES"));
    CHECK_OK(fitsfile_data_span(&start, bytes, &f));
    fitsfile_close(&f);
    CHECK_OK(arena_new(&data, &test_arena, *bytes));
    FILE *in = fopen(path_of(name), "rb");
    CU_ASSERT_FATAL(in != NULL);
    CU_ASSERT_EQUAL(fseek(in, (long)start, SEEK_SET), 0);
    CU_ASSERT_EQUAL((int64_t)fread(data, 1, (size_t)*bytes, in), *bytes);
    fclose(in);
    return data;
}

static void check_verified(const char *name)
{
    static const char *const hdus[] = {"PRIMARY", "PROPERTIES", "PROBES"};
    FitsFile f;
    if (!CHECK_OK(fitsfile_open(&f, path_of(name)))) return;
    for (int h = 0; h < 3; h++) {
        bool good = false, present = false;
        CHECK_OK(fitsfile_goto(&f, hdus[h]));
        CHECK_OK(fitsfile_verify(&f, &good, &present));
        CU_ASSERT(good && present);
    }
    fitsfile_close(&f);
}

/* The parallel file against that of one writer with another chunk size, for row counts around the number of ranks. */
static void any_number_of_ranks_writes_the_bytes_of_one(void)
{
    static const int64_t counts[] = {0, 1, 2, 3, 5, 64, 211};
    Par serial;
    par_serial(&serial);
    for (unsigned k = 0; k < sizeof counts / sizeof counts[0]; k++) {
        ProbeSet probes;
        write_release(counts[k]);
        make_probes(&probes, counts[k]);
        CHECK_OK(write_properties("many.fits", &probes, 7, &test_par));
        if (test_par.rank == 0) {
            int64_t n = 0, n_one = 0;
            CHECK_OK(write_properties("one.fits", &probes, 1000, &serial));
            const unsigned char *many = data_of("many.fits", &n), *one = data_of("one.fits", &n_one);
            CU_ASSERT(n == n_one && n % (counts[k] ? counts[k] : 1) == 0 && (n > 0) == (counts[k] > 0));
            CU_ASSERT(many && one && memcmp(many, one, (size_t)n) == 0);
            check_verified("many.fits");
            check_verified("one.fits");
        }
        par_barrier(&test_par);
    }
}

/* Reads a column through cfitsio. */
static double value_of(FitsFile *f, const char *column, int64_t row)
{
    double x = -1e300;
    CHECK_OK(fitsfile_read_column(&x, f, column, FITS_F64, row, 1));
    return x;
}

static bool is(double stored, double expected)
{
    return isnan(expected) ? isnan(stored) : stored == (double)(float)expected;
}

/* Row `at` of the file is row i of the catalogue. */
static void check_predictions(FitsFile *f, const ProbeSet *p, int64_t at, int64_t i)
{
    static const char *const stem[N_LABELS] = {"ZPRED", "LOGMSTAR", "TAGE_MW", "LOG_ZMW", "LOG_SSFR", "SSFR_RELEASED"};
    char name[64];
    for (int k = 0; k < p->n_fits; k++) {
        const ProbeFit *fit = &p->fit[k];
        const ProbeInput *in = &p->input[fit->input];
        const double y = small_prediction(p, k, i);
        const CalibrationBin *bin = &fit->calibration.all;
        const struct {
            const char *suffix;
            double value;
        } part[] = {{"", y},
                    {"_STD", isnan(y) ? NAN : bin->std},
                    {"_L68", y + bin->l68},
                    {"_U68", y + bin->u68},
                    {"_L95", y + bin->l95},
                    {"_U95", y + bin->u95}};
        for (int q = 0; q < 6; q++) {
            snprintf(name, sizeof name, "%s_%s%s", stem[fit->label], in->row->column, part[q].suffix);
            CU_ASSERT(is(value_of(f, name, at), part[q].value));
        }
        snprintf(name, sizeof name, "OOD_%s", in->row->column);
        CU_ASSERT(is(value_of(f, name, at), small_ood(p, fit->input, i)));
    }
    CU_ASSERT(isnan(value_of(f, "ZPRED_BOTH", at)) == !(has(MODALITY_IMAGE, i) && has(MODALITY_SPECTRUM, i)));
}

static void rows_hold_keys_flags_and_predictions(void)
{
    enum { ROWS = 23 };
    ProbeSet probes;
    FitsFile f;
    char text[16];
    int64_t n = 0, id = 0;
    write_release(ROWS);
    make_probes(&probes, ROWS);
    CHECK_OK(write_properties("read.fits", &probes, 4, &test_par));
    if (!CHECK_OK(fitsfile_open(&f, path_of("read.fits")))) return;
    CHECK_OK(fitsfile_goto(&f, "PROPERTIES"));
    CHECK_OK(fitsfile_rows(&n, &f));
    CU_ASSERT_EQUAL(n, ROWS);
    for (int64_t i = 0; i < ROWS; i++) {
        const CatalogRow r = catalog_row(i);
        CHECK_OK(fitsfile_read_column(&id, &f, "TARGETID", FITS_I64, i, 1));
        CU_ASSERT_EQUAL(id, r.targetid);
        CHECK_OK(fitsfile_read_text(text, sizeof text, &f, "SURVEY", i, 1));
        CU_ASSERT_STRING_EQUAL(text, r.survey);
        CHECK_OK(fitsfile_read_text(text, sizeof text, &f, "SPLIT", i, 1));
        CU_ASSERT_STRING_EQUAL(text, split_name[r.split]);
        CU_ASSERT(value_of(&f, "Z", i) == r.z && value_of(&f, "TARGET_RA", i) == r.ra);
        CU_ASSERT(value_of(&f, "IMAGE_FLAG", i) == (has(MODALITY_IMAGE, i) ? 0 : IMAGE_NO_BRICK));
        CU_ASSERT(is(value_of(&f, "SNR_R", i), has(MODALITY_SPECTRUM, i) ? (double)(i + STAT_SNR_R) : NAN));
        const int pred = (int)value_of(&f, "PRED_FLAG", i);
        CU_ASSERT_EQUAL((pred & PRED_NO_IMAGE) != 0, !has(MODALITY_IMAGE, i));
        CU_ASSERT_EQUAL((pred & PRED_NO_SPECTRUM) != 0, !has(MODALITY_SPECTRUM, i));
        CU_ASSERT_EQUAL((pred & PRED_TRAINING) != 0, r.split == SPLIT_TRAIN);
        CU_ASSERT_EQUAL((pred & PRED_OOD_IMAGE) != 0, value_of(&f, "OOD_IMAGE", i) > 0.8);
        check_predictions(&f, &probes, i, i);
    }
    fitsfile_close(&f);
}

static void headers_tell_flags_units_and_origin(void)
{
    ProbeSet probes;
    FitsFile f;
    char text[256] = "";
    write_release(3);
    make_probes(&probes, 3);
    CHECK_OK(write_properties("told.fits", &probes, 4, &test_par));
    if (!CHECK_OK(fitsfile_open(&f, path_of("told.fits")))) return;
    CHECK_OK(fitsfile_goto_number(&f, 0));
    CU_ASSERT(fitsfile_get_text(text, sizeof text, &f, "EXTNAME") && strcmp(text, "PRIMARY") == 0);
    CU_ASSERT(fitsfile_get_text(text, sizeof text, &f, "DEPNAM00") && strcmp(text, "astroclip") == 0);
    CU_ASSERT(fitsfile_get_text(text, sizeof text, &f, "SPECPROD") && strcmp(text, "iron") == 0);
    CU_ASSERT(fitsfile_get_text(text, sizeof text, &f, "FPEMB") && text[31] == '2');
    CHECK_OK(fitsfile_goto(&f, "PROPERTIES"));
    CU_ASSERT(fitsfile_get_text(text, sizeof text, &f, "IFLAG00") && strncmp(text, "NO_BRICK: ", 10) == 0);
    CU_ASSERT(fitsfile_get_text(text, sizeof text, &f, "SFLAG05") &&
              strncmp(text, "MASKED: more than spectra", 25) == 0);
    CU_ASSERT(fitsfile_get_text(text, sizeof text, &f, "PFLAG05") && strncmp(text, "TRAINING: ", 10) == 0);
    CU_ASSERT(fitsfile_get_text(text, sizeof text, &f, "TUNIT5") && strcmp(text, "deg") == 0);
    fitsfile_close(&f);
}

static void probes_are_listed_with_their_scores_on_the_test_split(void)
{
    ProbeSet probes;
    FitsFile f;
    char text[40];
    int64_t n = 0;
    write_release(3);
    make_probes(&probes, 3);
    CHECK_OK(write_properties("probes.fits", &probes, 4, &test_par));
    if (!CHECK_OK(fitsfile_open(&f, path_of("probes.fits")))) return;
    CHECK_OK(fitsfile_goto(&f, "PROBES"));
    CHECK_OK(fitsfile_rows(&n, &f));
    CU_ASSERT_EQUAL(n, SMALL_FITS);
    CHECK_OK(fitsfile_read_text(text, sizeof text, &f, "COLUMN", N_LABELS + LABEL_AGE, 1));
    CU_ASSERT_STRING_EQUAL(text, "TAGE_MW_SPECTRUM");
    CHECK_OK(fitsfile_read_text(text, sizeof text, &f, "UNIT", N_LABELS + LABEL_AGE, 1));
    CU_ASSERT_STRING_EQUAL(text, "Gyr");
    CU_ASSERT(value_of(&f, "N_TRAIN", 0) == 80 && value_of(&f, "N_TEST", 0) == 10 && value_of(&f, "R2", 0) == 0.9);
    CU_ASSERT(value_of(&f, "SIGMA_NMAD", LABEL_Z) == 0.02 && isnan(value_of(&f, "SIGMA_NMAD", LABEL_AGE)));
    fitsfile_close(&f);
}

static void the_sha256_stands_beside_the_file_as_sha256sum_writes_it(void)
{
    ProbeSet probes;
    char hex[SHA256_TEXT], line[256] = "", expected[256];
    const Fingerprint same = {"00000000000000000000000000000004"}, other = {"00000000000000000000000000000005"};
    write_release(9);
    make_probes(&probes, 9);
    CHECK_OK(write_properties("summed.fits", &probes, 4, &test_par));
    FILE *f = fopen(path_of("summed.fits.sha256sum"), "r");
    CU_ASSERT_FATAL(f != NULL);
    CU_ASSERT(fgets(line, sizeof line, f) != NULL && fgetc(f) == EOF);
    fclose(f);
    CHECK_OK(hash_file_sha256(hex, path_of("summed.fits")));
    snprintf(expected, sizeof expected, "%s  summed.fits\n", hex);
    CU_ASSERT_STRING_EQUAL(line, expected);
    CU_ASSERT(properties_current(path_of("summed.fits"), &same, &test_arena));
    CU_ASSERT(!properties_current(path_of("summed.fits"), &other, &test_arena));
    par_barrier(&test_par);
    if (test_par.rank == 0) CU_ASSERT_EQUAL(unlink(path_of("summed.fits.sha256sum")), 0);
    par_barrier(&test_par);
    CU_ASSERT(!properties_current(path_of("summed.fits"), &same, &test_arena));
}

/* ---- many files ---- */

static int files_of(const char *list, char path[][H5_PATH], int most)
{
    int n = 0;
    FILE *f = fopen(list, "r");
    CU_ASSERT_FATAL(f != NULL);
    while (n < most && fgets(path[n], H5_PATH, f)) {
        path[n][strcspn(path[n], "\n")] = '\0';
        n++;
    }
    fclose(f);
    for (int k = 1; k < n; k++) { /* named from the folder of the list */
        char below[400];
        snprintf(below, sizeof below, "%.399s", path[k]);
        snprintf(path[k], H5_PATH, "%s", path_of(below));
    }
    return n;
}

/* Every row of the catalogue in one file of its survey and program (and pixel), in the catalogue's order. */
static void each_row_is_in_exactly_one_file(void)
{
    enum { ROWS = 97, MOST = 400 };
    static char path[MOST][H5_PATH];
    ProbeSet probes;
    write_release(ROWS);
    make_probes(&probes, ROWS);
    for (int mode = FILES_ONE; mode <= FILES_PIXEL; mode++)
        for (int layout = LAYOUT_FLAT; layout <= LAYOUT_VAC; layout++) {
            const TablesConfig before = small_tables;
            bool seen[ROWS] = {false};
            int64_t rows = 0;
            small_tables.files = mode;
            small_tables.layout = layout;
            small_tables.hdf5 = layout == LAYOUT_VAC;
            CHECK_OK(write_properties("split.fits", &probes, 5, &test_par));
            small_tables = before;
            const int n = files_of(path_of("split.list"), path, MOST);
            for (int k = 1; k < n; k++) {
                FitsFile f;
                int64_t here = 0, last = -1;
                const size_t length = strlen(path[k]);
                CU_ASSERT_EQUAL(access(path[k], R_OK), 0);
                if (layout == LAYOUT_VAC) CU_ASSERT_PTR_NOT_NULL(strstr(path[k], "/vac/dr1/astroclip/iron/v1.0/"));
                if (length < 5 || strcmp(path[k] + length - 5, ".fits") != 0 || !CHECK_OK(fitsfile_open(&f, path[k])))
                    continue;
                for (int h = 0; h < 2; h++) {
                    bool good = false, present = false;
                    CHECK_OK(fitsfile_goto(&f, h ? "PROBES" : "PROPERTIES"));
                    CHECK_OK(fitsfile_verify(&f, &good, &present));
                    CU_ASSERT(good && present);
                }
                CHECK_OK(fitsfile_goto(&f, "PROPERTIES"));
                CHECK_OK(fitsfile_rows(&here, &f));
                for (int64_t i = 0; i < here; i++) {
                    int64_t id, row = 0;
                    char survey[16], program[16];
                    CHECK_OK(fitsfile_read_column(&id, &f, "TARGETID", FITS_I64, i, 1));
                    CHECK_OK(fitsfile_read_text(survey, sizeof survey, &f, "SURVEY", i, 1));
                    CHECK_OK(fitsfile_read_text(program, sizeof program, &f, "PROGRAM", i, 1));
                    while (row < ROWS && catalog_row(row).targetid != id) row++;
                    CU_ASSERT_FATAL(row < ROWS);
                    const CatalogRow r = catalog_row(row);
                    CU_ASSERT(!seen[row] && row > last);
                    CU_ASSERT(strcmp(survey, r.survey) == 0 && strcmp(program, r.program) == 0);
                    if (mode != FILES_ONE && r.program[0]) CU_ASSERT_PTR_NOT_NULL(strstr(path[k], r.program));
                    check_predictions(&f, &probes, i, row);
                    seen[row] = true;
                    last = row;
                }
                rows += here;
                fitsfile_close(&f);
            }
            CU_ASSERT_EQUAL(rows, ROWS);
            par_barrier(&test_par);
        }
}

/* The rows of another table in its order: every third row of ours backwards, one that we lack between them. */
static void the_rows_of_a_redshift_catalogue_are_matched(void)
{
    enum { ROWS = 60, THEIRS = 2 * (ROWS / 3) };
    static int64_t id[THEIRS];
    static char survey[THEIRS][8], program[THEIRS][8];
    ProbeSet probes;
    FitsFile f;
    int64_t n = 0;
    const TablesConfig before = small_tables;
    write_release(ROWS);
    make_probes(&probes, ROWS);
    for (int64_t k = 0; k < THEIRS; k++) {
        const CatalogRow r = catalog_row(ROWS - 1 - 3 * (k / 2));
        id[k] = k % 2 ? 5000 + k : r.targetid;
        memcpy(survey[k], r.survey, 8);
        memcpy(program[k], r.program, 8);
    }
    if (test_par.rank == 0) {
        const SmallColumn columns[] = {{"TARGETID", "K", FITS_I64, id, 0},
                                       {"SURVEY", "7A", FITS_TEXT, survey, 8},
                                       {"PROGRAM", "6A", FITS_TEXT, program, 8}};
        CHECK_OK(fitsfile_create(&f, path_of("zcat.fits")));
        CHECK_OK(SMALL_TABLE(&f, "ZCATALOG", columns, THEIRS));
        CHECK_OK(fitsfile_finish(&f));
    }
    par_barrier(&test_par);
    char match[H5_PATH];
    snprintf(match, sizeof match, "%s", path_of("zcat.fits"));
    small_tables.match = match;
    CHECK_OK(write_properties("matched.fits", &probes, 7, &test_par));
    small_tables = before;
    check_verified("matched.fits");
    if (!CHECK_OK(fitsfile_open(&f, path_of("matched.fits")))) return;
    CHECK_OK(fitsfile_goto(&f, "PROPERTIES"));
    CHECK_OK(fitsfile_rows(&n, &f));
    CU_ASSERT_EQUAL_FATAL(n, THEIRS);
    for (int64_t k = 0; k < THEIRS; k++) {
        int64_t got = 0;
        char text[16];
        CHECK_OK(fitsfile_read_column(&got, &f, "TARGETID", FITS_I64, k, 1));
        CHECK_OK(fitsfile_read_text(text, sizeof text, &f, "PROGRAM", k, 1));
        CU_ASSERT(got == id[k] && strncmp(text, program[k], 8) == 0);
        const int flag = (int)value_of(&f, "PRED_FLAG", k);
        CU_ASSERT_EQUAL((flag & PRED_NOT_IN_CATALOGUE) != 0, k % 2 == 1);
        if (k % 2 == 0) check_predictions(&f, &probes, k, ROWS - 1 - 3 * (k / 2));
        if (k % 2 == 1) CU_ASSERT(isnan(value_of(&f, "ZPRED_IMAGE", k)) && isnan(value_of(&f, "Z", k)));
    }
    fitsfile_close(&f);
}

/* The HDF5 twin holds what the FITS file holds. */
static void the_twin_has_the_same_values(void)
{
    enum { ROWS = 41 };
    ProbeSet probes;
    FitsFile f;
    H5File h = {0};
    const TablesConfig before = small_tables;
    write_release(ROWS);
    make_probes(&probes, ROWS);
    small_tables.hdf5 = true;
    CHECK_OK(write_properties("pair.fits", &probes, 4, &test_par));
    small_tables = before;
    if (!CHECK_OK(fitsfile_open(&f, path_of("pair.fits"))) || !CHECK_OK(h5_open(&h, path_of("pair.h5"), NULL))) return;
    CHECK_OK(fitsfile_goto(&f, "PROPERTIES"));
    for (int64_t i = 0; i < ROWS; i++) {
        int64_t id = 0;
        float y = 0;
        char survey[8] = "";
        CHECK_OK(h5_read_rows(&id, &h, "PROPERTIES/TARGETID", H5_I64, 0, i, 1));
        CHECK_OK(h5_read_rows(&y, &h, "PROPERTIES/ZPRED_IMAGE_U95", H5_F32, 0, i, 1));
        CHECK_OK(h5_read_rows(survey, &h, "PROPERTIES/SURVEY", H5_TEXT, 7, i, 1));
        CU_ASSERT(id == catalog_row(i).targetid && strcmp(survey, catalog_row(i).survey) == 0);
        CU_ASSERT(is(value_of(&f, "ZPRED_IMAGE_U95", i), (double)y));
    }
    fitsfile_close(&f);
    h5_close(&h);
}

TEST_MAIN("properties", {"any number of ranks writes the bytes of one", any_number_of_ranks_writes_the_bytes_of_one},
          {"rows hold keys, flags and predictions", rows_hold_keys_flags_and_predictions},
          {"headers tell flags, units and origin", headers_tell_flags_units_and_origin},
          {"probes are listed with their scores on the test split",
           probes_are_listed_with_their_scores_on_the_test_split},
          {"the sha256 stands beside the file as sha256sum writes it",
           the_sha256_stands_beside_the_file_as_sha256sum_writes_it},
          {"each row is in exactly one file", each_row_is_in_exactly_one_file},
          {"the rows of a redshift catalogue are matched", the_rows_of_a_redshift_catalogue_are_matched},
          {"the twin has the same values", the_twin_has_the_same_values})
