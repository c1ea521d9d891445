/* Label tables: which numbers become labels, and what is no label. The files are made here with h5_put_compound. */
#include <math.h>
#include <stdio.h>

#include "data/labels.h"
#include "data/provabgs.h"
#include "small_table.h"
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

enum { ROWS = 7 };

static const char *path_of(const char *name)
{
    static char path[H5_PATH];
    snprintf(path, sizeof path, "%s/%s", test_folder(), name);
    return path;
}

/* 63 bits: a double would lose the last ones. */
static const int64_t targetid[ROWS] = {39627784728870929, 39627784728870930, -17, 39627784728870931, 5, 5, 6};
static const double z_hp[ROWS] = {0.1, NAN, 0.3, -0.01, 0.5, 0.6, 0.7};
static const double logmstar[ROWS] = {10.5, 9.0, 10, 0, 11, 11.5, -1};
static const double age[ROWS] = {5, INFINITY, 5, 0, 7, 8, 3};
static const double metals[ROWS] = {0.02, 0.001, 0.1, 0, -1, 0.01, 0.03};
static const double sfr[ROWS] = {1.0, 0, 1, 3, 10, 0.1, 2};

static void put_table(const char *path, const H5Member *members, int n)
{
    H5File f;
    const int64_t other[2] = {3, 4}, two = 2;
    CHECK_OK(h5_create(&f, path, NULL));
    CHECK_OK(h5_put(&f, "aaa", H5_I64, 0, other, &two, 1)); /* first by name, and no table */
    CHECK_OK(h5_put_compound(&f, "__astropy_table__", members, n, ROWS));
    CHECK_OK(h5_close(&f));
}

static const char *whole_table(void)
{
    const H5Member members[] = {
        {"TARGETID", H5_I64, 0, 1, targetid},
        {"Z_HP", H5_F64, 0, 1, z_hp},
        {"PROVABGS_LOGMSTAR_BF", H5_F64, 0, 1, logmstar},
        {"TAGE_MW", H5_F64, 0, 1, age},
        {"Z_MW", H5_F64, 0, 1, metals},
        {"AVG_SFR", H5_F64, 0, 1, sfr},
    };
    const char *path = path_of("labels.hdf5");
    put_table(path, members, 6);
    return path;
}

static void columns_become_the_properties(void)
{
    LabelEntry *e = NULL;
    int64_t n = 0;
    if (!CHECK_OK(labels_read(&e, &n, &label_counts, whole_table(), &label_usual, 0, 1, &test_arena))) return;
    CU_ASSERT_EQUAL_FATAL(n, ROWS - 1);
    CU_ASSERT_EQUAL(e[0].targetid, 39627784728870929);
    CU_ASSERT_EQUAL(e[0].label[LABEL_Z], 0.1);
    CU_ASSERT_EQUAL(e[0].label[LABEL_LOGMSTAR], 10.5);
    CU_ASSERT_EQUAL(e[0].label[LABEL_AGE], 5);
    CU_ASSERT_EQUAL(e[0].label[LABEL_LOGZ], log10(0.02));
    CU_ASSERT_EQUAL(e[0].label[LABEL_LOGSSFR], -10.5); /* 1 Msun/yr in 10^10.5 Msun */
    CU_ASSERT_EQUAL(e[3].label[LABEL_LOGSSFR], log10(10.0) - 11);
}

static void what_is_not_positive_and_finite_is_no_label(void)
{
    LabelEntry *e = NULL;
    int64_t n = 0;
    if (!CHECK_OK(labels_read(&e, &n, &label_counts, whole_table(), &label_usual, 0, 1, &test_arena))) return;
    CU_ASSERT_EQUAL_FATAL(n, ROWS - 1);
    CU_ASSERT(isnan(e[1].label[LABEL_Z]) && isnan(e[1].label[LABEL_AGE]) && isnan(e[1].label[LABEL_LOGSSFR]));
    CU_ASSERT_EQUAL(e[1].label[LABEL_LOGMSTAR], 9.0);
    for (int l = 0; l < N_LABELS; l++) CU_ASSERT(isnan(e[2].label[l])); /* star formation without a mass is no sSFR */
    CU_ASSERT(isnan(e[3].label[LABEL_LOGZ]));
    CU_ASSERT(isnan(e[5].label[LABEL_LOGMSTAR]) && !isnan(e[5].label[LABEL_AGE]));
}

static void negative_targetids_are_left_out_and_rows_are_numbered(void)
{
    static const int64_t row[] = {0, 1, 3, 4, 5, 6};
    LabelEntry *e = NULL;
    int64_t n = 0;
    if (!CHECK_OK(labels_read(&e, &n, &label_counts, whole_table(), &label_usual, 0, 1, &test_arena))) return;
    CU_ASSERT_EQUAL_FATAL(n, 6);
    for (int i = 0; i < 6; i++) CU_ASSERT_EQUAL(e[i].row, row[i]);
}

static void parts_make_up_the_whole(void)
{
    const char *path = whole_table();
    LabelEntry *whole = NULL;
    int64_t n = 0, rows = 0;
    CHECK_OK(labels_count(&rows, path, &label_usual));
    CU_ASSERT_EQUAL(rows, ROWS);
    if (!CHECK_OK(labels_read(&whole, &n, &label_counts, path, &label_usual, 0, 1, &test_arena))) return;
    for (int parts = 2; parts <= 10; parts += 4) { /* 10: more parts than rows */
        int64_t at = 0;
        for (int p = 0; p < parts; p++) {
            LabelEntry *e = NULL;
            int64_t n_part = 0;
            CHECK_OK(labels_read(&e, &n_part, &label_counts, path, &label_usual, p, parts, &test_arena));
            for (int64_t i = 0; i < n_part && at < n; i++, at++)
                CU_ASSERT(e[i].row == whole[at].row && e[i].targetid == whole[at].targetid);
        }
        CU_ASSERT_EQUAL(at, n);
    }
}

static void absent_columns_give_no_labels(void)
{
    const H5Member members[] = {{"TARGETID", H5_I64, 0, 1, targetid}, {"PROVABGS_LOGMSTAR_BF", H5_F64, 0, 1, logmstar}};
    const char *path = path_of("masses.hdf5");
    LabelEntry *e = NULL;
    int64_t n = 0;
    put_table(path, members, 2);
    if (!CHECK_OK(labels_read(&e, &n, &label_counts, path, &label_usual, 0, 1, &test_arena))) return;
    CU_ASSERT_EQUAL_FATAL(n, ROWS - 1);
    CU_ASSERT_EQUAL(e[0].label[LABEL_LOGMSTAR], 10.5);
    CU_ASSERT(isnan(e[0].label[LABEL_Z]) && isnan(e[0].label[LABEL_AGE]) && isnan(e[0].label[LABEL_LOGSSFR]));
}

static void files_without_labels_are_refused(void)
{
    const H5Member no_id[] = {{"Z_HP", H5_F64, 0, 1, z_hp}}, no_property[] = {{"TARGETID", H5_I64, 0, 1, targetid}};
    static const double pairs[2 * ROWS];
    const H5Member vector[] = {{"TARGETID", H5_I64, 0, 1, targetid}, {"Z_HP", H5_F64, 0, 2, pairs}};
    LabelEntry *e = NULL;
    int64_t n = 0;
    put_table(path_of("no_id.hdf5"), no_id, 1);
    CHECK_FAILS(labels_read(&e, &n, &label_counts, path_of("no_id.hdf5"), &label_usual, 0, 1, &test_arena), E_INPUT);
    CHECK_FAILS(labels_count(&n, path_of("no_id.hdf5"), &label_usual), E_INPUT);
    put_table(path_of("no_property.hdf5"), no_property, 1);
    CHECK_FAILS(labels_read(&e, &n, &label_counts, path_of("no_property.hdf5"), &label_usual, 0, 1, &test_arena),
                E_INPUT);
    put_table(path_of("vector.hdf5"), vector, 2);
    CHECK_FAILS(labels_read(&e, &n, &label_counts, path_of("vector.hdf5"), &label_usual, 0, 1, &test_arena), E_INPUT);
    CHECK_FAILS(labels_read(&e, &n, &label_counts, path_of("nowhere.hdf5"), &label_usual, 0, 1, &test_arena), E_INPUT);
}

/* ---- other tables ---- */

static LabelsConfig columns(void)
{
    LabelsConfig c = label_usual;
    c.kind = 3; /* columns */
    c.targetid = "ID";
    c.logmstar = "mass";
    c.metallicity = "met";
    c.sfr = "rate";
    c.metallicity_scale = 2; /* ln */
    c.sfr_scale = 1;         /* log10 */
    return c;
}

static void check_own(const char *path)
{
    LabelEntry *e = NULL;
    int64_t n = 0;
    const LabelsConfig c = columns();
    if (!CHECK_OK(labels_read(&e, &n, &label_counts, path, &c, 0, 1, &test_arena))) return;
    CU_ASSERT_EQUAL_FATAL(n, 2);
    CU_ASSERT(e[0].targetid == 9007199254740993 && e[0].row == 0 && e[1].row == 2); /* 2^53 + 1: no double */
    CU_ASSERT(e[0].label[LABEL_LOGMSTAR] == 10.5 && isnan(e[0].label[LABEL_AGE]));
    CU_ASSERT(fabs(e[0].label[LABEL_LOGZ] - log10(0.02)) < 1e-12);
    CU_ASSERT(e[0].label[LABEL_LOGSSFR] == -10);
    CU_ASSERT(fabs(e[0].label[LABEL_SSFR_RELEASED] - (0.5 * log(10) - log(0.02))) < 1e-12);
    CU_ASSERT(isnan(e[1].label[LABEL_LOGMSTAR]) && isnan(e[1].label[LABEL_LOGSSFR]));
}

static void any_table_is_read_by_its_columns(void)
{
    static const int64_t id[] = {9007199254740993, -5, 7};
    static const double mass[] = {10.5, 9, NAN}, met[] = {-3.912023005428146, -4, -4}, rate[] = {0.5, 0, 1};
    const int64_t three = 3;
    H5File h;
    FitsFile f;
    FILE *csv = fopen(path_of("own.csv"), "w");
    CU_ASSERT_FATAL(csv != NULL);
    fputs("name,ID,mass,met,rate\r\n\"a\",9007199254740993,10.5,-3.912023005428146,0.5\nb,-5,9,-4,0\nc,7,,-4,1\n", csv);
    fclose(csv);
    check_own(path_of("own.csv"));
    CHECK_OK(h5_create(&h, path_of("own.h5"), NULL));
    CHECK_OK(h5_put(&h, "ID", H5_I64, 0, id, &three, 1));
    CHECK_OK(h5_put(&h, "mass", H5_F64, 0, mass, &three, 1));
    CHECK_OK(h5_put(&h, "met", H5_F64, 0, met, &three, 1));
    CHECK_OK(h5_put(&h, "rate", H5_F64, 0, rate, &three, 1));
    CHECK_OK(h5_close(&h));
    check_own(path_of("own.h5"));
    const SmallColumn table[] = {{"ID", "K", FITS_I64, id, 0},
                                 {"MASS", "D", FITS_F64, mass, 0},
                                 {"MET", "D", FITS_F64, met, 0},
                                 {"RATE", "D", FITS_F64, rate, 0}};
    CHECK_OK(fitsfile_create(&f, path_of("own.fits")));
    CHECK_OK(SMALL_TABLE(&f, "MINE", table, 3));
    CHECK_OK(fitsfile_finish(&f));
    check_own(path_of("own.fits"));
}

static void refuses(const char *text, const char *what)
{
    LabelEntry *e = NULL;
    int64_t n = 0;
    const LabelsConfig c = columns();
    FILE *csv = fopen(path_of("bad.csv"), "w");
    CU_ASSERT_FATAL(csv != NULL);
    fputs(text, csv);
    fclose(csv);
    const Status st = labels_read(&e, &n, &label_counts, path_of("bad.csv"), &c, 0, 1, &test_arena);
    CU_ASSERT(st == E_INPUT && strstr(fail_record()->text, what) != NULL);
    fail_clear();
}

static void what_is_wrong_with_csv_is_told_by_line(void)
{
    refuses("ID,mass\n1,10\n2,ten\n", "bad.csv:3: 'ten' in column 'mass'");
    refuses("ID,mass\n1,10\n2,10,3\n", "bad.csv:3: 3 cells");
    refuses("ID,mass\nx1,10\n", "bad.csv:2: 'x1' in column 'ID'");
    refuses("ID,weight\n1,10\n", "the column ID and one of mass, met, rate");
    refuses("", "no table of labels");
}

static void fastspecfit_counts_from_the_sun_and_marks_what_it_did_not_measure(void)
{
    static const int64_t id[] = {1, 2};
    static const float mass[] = {10.5F, 11}, ivar[] = {100, 0}, zzsun[] = {0, -1}, rate[] = {10, 1};
    FitsFile f;
    LabelEntry *e = NULL;
    int64_t n = 0;
    const SmallColumn meta[] = {{"TARGETID", "K", FITS_I64, id, 0}, {"Z", "E", FITS_F32, mass, 0}},
                      table[] = {{"TARGETID", "K", FITS_I64, id, 0},
                                 {"LOGMSTAR", "E", FITS_F32, mass, 0},
                                 {"LOGMSTAR_IVAR", "E", FITS_F32, ivar, 0},
                                 {"ZZSUN", "E", FITS_F32, zzsun, 0},
                                 {"SFR", "E", FITS_F32, rate, 0}};
    CHECK_OK(fitsfile_create(&f, path_of("fastspec.fits")));
    CHECK_OK(SMALL_TABLE(&f, "METADATA", meta, 2));
    CHECK_OK(SMALL_TABLE(&f, "SPECPHOT", table, 2));
    CHECK_OK(fitsfile_finish(&f));
    if (!CHECK_OK(labels_read(&e, &n, &label_counts, path_of("fastspec.fits"), &label_usual, 0, 1, &test_arena)))
        return;
    CU_ASSERT_EQUAL_FATAL(n, 2);
    CU_ASSERT(e[0].label[LABEL_LOGMSTAR] == 10.5 && isnan(e[1].label[LABEL_LOGMSTAR]));
    CU_ASSERT(fabs(e[0].label[LABEL_LOGZ] - log10(0.02)) < 1e-12 &&
              fabs(e[1].label[LABEL_LOGZ] - log10(0.002)) < 1e-12);
    CU_ASSERT(e[0].label[LABEL_LOGSSFR] == -9.5 && isnan(e[1].label[LABEL_LOGSSFR]));
}

static void cuts_are_counted(void)
{
    static const double faint[ROWS] = {20, 20, 20, -1, 20, 20, 20};
    const H5Member members[] = {{"TARGETID", H5_I64, 0, 1, targetid},
                                {"PROVABGS_LOGMSTAR_BF", H5_F64, 0, 1, logmstar},
                                {"MAG_G", H5_F64, 0, 1, faint},
                                {"MAG_R", H5_F64, 0, 1, faint},
                                {"MAG_Z", H5_F64, 0, 1, faint}};
    LabelEntry *e = NULL;
    int64_t n = 0;
    LabelsConfig c = label_usual;
    c.min_logmstar = 9.5;
    put_table(path_of("cuts.hdf5"), members, 5);
    if (!CHECK_OK(labels_read(&e, &n, &label_counts, path_of("cuts.hdf5"), &c, 0, 1, &test_arena))) return;
    CU_ASSERT(label_counts.rows == ROWS && label_counts.negative == 1 && label_counts.no_magnitudes == 1);
    CU_ASSERT(label_counts.light > 0 && label_counts.kept == n);
    CU_ASSERT_EQUAL(label_counts.negative + label_counts.no_magnitudes + label_counts.light + n, ROWS);
    for (int64_t i = 0; i < n; i++) CU_ASSERT(e[i].label[LABEL_LOGMSTAR] > 9.5);
}

/* Columns that are not there are computed from the parameters, the best fit's or of all draws. */
static void parameters_stand_in_for_missing_columns(void)
{
    enum { WIDTH = 13, DRAWS = 100 };
    static double theta[ROWS * WIDTH], draws[ROWS * DRAWS * WIDTH];
    static const double one[WIDTH] = {10.5, 0.2, 0.3, 0.3, 0.2, 0.05, 3, 0.01, 0.01, 0.1, 0.2, -0.7, 0.5};
    for (int i = 0; i < ROWS * WIDTH; i++) theta[i] = one[i % WIDTH];
    for (int i = 0; i < ROWS * DRAWS * WIDTH; i++) draws[i] = one[i % WIDTH];
    const H5Member members[] = {{"TARGETID", H5_I64, 0, 1, targetid},
                                {"Z_HP", H5_F64, 0, 1, z_hp},
                                {"PROVABGS_LOGMSTAR_BF", H5_F64, 0, 1, logmstar},
                                {"PROVABGS_THETA_BF", H5_F64, 0, WIDTH, theta},
                                {"PROVABGS_MCMC", H5_F64, WIDTH, DRAWS * WIDTH, draws}};
    LabelEntry *e = NULL;
    int64_t n = 0;
    LabelsConfig c = label_usual;
    put_table(path_of("theta.hdf5"), members, 5);
    for (c.estimate = 0; c.estimate < 2; c.estimate++) {
        if (!CHECK_OK(labels_read(&e, &n, &label_counts, path_of("theta.hdf5"), &c, 0, 1, &test_arena))) return;
        const ProvabgsProperties p = provabgs_properties(one, z_hp[0]);
        CU_ASSERT(fabs(e[0].label[LABEL_AGE] / p.tage_mw - 1) < 1e-12 && p.tage_mw > 1);
        CU_ASSERT(fabs(e[0].label[LABEL_LOGZ] - log10(p.z_mw)) < 1e-12);
        CU_ASSERT(fabs(e[0].label[LABEL_LOGSSFR] - (log10(p.avgsfr) - 10.5)) < 1e-12);
    }
}

TEST_MAIN("labels", {"columns become the properties", columns_become_the_properties},
          {"what is not positive and finite is no label", what_is_not_positive_and_finite_is_no_label},
          {"negative TARGETIDs are left out, rows keep their numbers",
           negative_targetids_are_left_out_and_rows_are_numbered},
          {"parts make up the whole", parts_make_up_the_whole},
          {"absent columns give no labels", absent_columns_give_no_labels},
          {"files without labels are refused", files_without_labels_are_refused},
          {"any table is read by its columns", any_table_is_read_by_its_columns},
          {"what is wrong with CSV is told by line", what_is_wrong_with_csv_is_told_by_line},
          {"fastspecfit counts from the Sun and marks what it did not measure",
           fastspecfit_counts_from_the_sun_and_marks_what_it_did_not_measure},
          {"cuts are counted", cuts_are_counted},
          {"parameters stand in for missing columns", parameters_stand_in_for_missing_columns})
