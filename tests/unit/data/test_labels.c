/* Label tables: which numbers become labels, and what is no label. The files are made here with h5_put_compound. */
#include <math.h>
#include <stdio.h>

#include "data/labels.h"
#include "test_main.h"

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
    if (!CHECK_OK(labels_read(&e, &n, whole_table(), 0, 1, &test_arena))) return;
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
    if (!CHECK_OK(labels_read(&e, &n, whole_table(), 0, 1, &test_arena))) return;
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
    if (!CHECK_OK(labels_read(&e, &n, whole_table(), 0, 1, &test_arena))) return;
    CU_ASSERT_EQUAL_FATAL(n, 6);
    for (int i = 0; i < 6; i++) CU_ASSERT_EQUAL(e[i].row, row[i]);
}

static void parts_make_up_the_whole(void)
{
    const char *path = whole_table();
    LabelEntry *whole = NULL;
    int64_t n = 0, rows = 0;
    CHECK_OK(labels_count(&rows, path));
    CU_ASSERT_EQUAL(rows, ROWS);
    if (!CHECK_OK(labels_read(&whole, &n, path, 0, 1, &test_arena))) return;
    for (int parts = 2; parts <= 10; parts += 4) { /* 10: more parts than rows */
        int64_t at = 0;
        for (int p = 0; p < parts; p++) {
            LabelEntry *e = NULL;
            int64_t n_part = 0;
            CHECK_OK(labels_read(&e, &n_part, path, p, parts, &test_arena));
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
    if (!CHECK_OK(labels_read(&e, &n, path, 0, 1, &test_arena))) return;
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
    CHECK_FAILS(labels_read(&e, &n, path_of("no_id.hdf5"), 0, 1, &test_arena), E_INPUT);
    CHECK_FAILS(labels_count(&n, path_of("no_id.hdf5")), E_INPUT);
    put_table(path_of("no_property.hdf5"), no_property, 1);
    CHECK_FAILS(labels_read(&e, &n, path_of("no_property.hdf5"), 0, 1, &test_arena), E_INPUT);
    put_table(path_of("vector.hdf5"), vector, 2);
    CHECK_FAILS(labels_read(&e, &n, path_of("vector.hdf5"), 0, 1, &test_arena), E_INPUT);
    CHECK_FAILS(labels_read(&e, &n, path_of("nowhere.hdf5"), 0, 1, &test_arena), E_INPUT);
}

TEST_MAIN("labels", {"columns become the properties", columns_become_the_properties},
          {"what is not positive and finite is no label", what_is_not_positive_and_finite_is_no_label},
          {"negative TARGETIDs are left out, rows keep their numbers",
           negative_targetids_are_left_out_and_rows_are_numbered},
          {"parts make up the whole", parts_make_up_the_whole},
          {"absent columns give no labels", absent_columns_give_no_labels},
          {"files without labels are refused", files_without_labels_are_refused})
