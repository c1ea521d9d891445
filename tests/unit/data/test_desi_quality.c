/* Targeting bits and the standard redshift cuts: every cut just inside and just outside, from files beside a redrock
   file and from the -extra part of a catalogue; what cannot be known is said to be unknown. */
#include "test_main.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "data/desi.h"
#include "small_table.h"

enum { N = 9, CELL = 8 };

/* Each row is a case; what is not said is good for all classes. */
static struct {
    int64_t id[N], zwarn[N], desi[N], bgs[N], sv1_desi[N], sv1_bgs[N];
    int32_t fiberstatus[N];
    double z[N], chi[N], z_new[N], zerr_new[N], ra[N];
    float oii[N], oii_ivar[N], lya[N], civ[N], ciii[N], mgii_line[N], hbeta[N], halpha[N];
    uint8_t mgii[N], new_rr[N], good_elg[N];
    char spectype[N][CELL], objtype[N][CELL], survey[N][CELL], program[N][CELL];
} sky;

static void put(char *cell, const char *text)
{
    memset(cell, 0, CELL);
    memcpy(cell, text, strlen(text));
}

static void make_sky(void)
{
    memset(&sky, 0, sizeof sky);
    for (int i = 0; i < N; i++) {
        sky.id[i] = 39627784728870929 + 2 * i;
        sky.z[i] = 0.5;
        sky.chi[i] = 100;
        sky.z_new[i] = 2.5;
        sky.zerr_new[i] = 0.001;
        sky.oii[i] = 10;
        sky.oii_ivar[i] = 4;
        sky.ra[i] = 10;
        sky.desi[i] = 7 | 1LL << 60;
        put(sky.spectype[i], "GALAXY");
        put(sky.objtype[i], "TGT");
        put(sky.survey[i], "main");
        put(sky.program[i], "dark");
    }
}

#define I64(name, field)                                                                                               \
    {                                                                                                                  \
        name, "K", FITS_I64, sky.field, 0                                                                              \
    }
#define F64(name, field)                                                                                               \
    {                                                                                                                  \
        name, "D", FITS_F64, sky.field, 0                                                                              \
    }
#define F32(name, field)                                                                                               \
    {                                                                                                                  \
        name, "E", FITS_F32, sky.field, 0                                                                              \
    }
#define FLAG(name, field)                                                                                              \
    {                                                                                                                  \
        name, "L", FITS_BOOL, sky.field, 0                                                                             \
    }
#define TEXT(name, format, field)                                                                                      \
    {                                                                                                                  \
        name, format, FITS_TEXT, sky.field, CELL                                                                       \
    }

static const SmallColumn redshifts[] = {
    I64("TARGETID", id),  F64("Z", z), F64("ZERR", z), I64("ZWARN", zwarn), TEXT("SPECTYPE", "6A", spectype),
    F64("DELTACHI2", chi)};
static const SmallColumn fibermap[] = {I64("TARGETID", id),
                                       F64("TARGET_RA", ra),
                                       F64("TARGET_DEC", ra),
                                       TEXT("OBJTYPE", "3A", objtype),
                                       {"COADD_FIBERSTATUS", "J", FITS_I32, sky.fiberstatus, 0},
                                       I64("DESI_TARGET", desi),
                                       I64("BGS_TARGET", bgs)};
static const SmallColumn emline[] = {I64("TARGETID", id), F32("OII_FLUX", oii), F32("OII_FLUX_IVAR", oii_ivar)};
static const SmallColumn qso_mgii[] = {I64("TARGETID", id), FLAG("IS_QSO_MGII", mgii)};
static const SmallColumn qso_qn[] = {I64("TARGETID", id),       F64("Z_NEW", z_new),
                                     F64("ZERR_NEW", zerr_new), F32("C_LYA", lya),
                                     F32("C_CIV", civ),         F32("C_CIII", ciii),
                                     F32("C_MgII", mgii_line),  F32("C_Hbeta", hbeta),
                                     F32("C_Halpha", halpha),   FLAG("IS_QSO_QN_NEW_RR", new_rr)};
static const SmallColumn catalogue[] = {I64("TARGETID", id),
                                        TEXT("SURVEY", "7A", survey),
                                        TEXT("PROGRAM", "6A", program),
                                        F64("TARGET_RA", ra),
                                        F64("TARGET_DEC", ra),
                                        F64("Z_BEST", z),
                                        I64("ZWARN_BEST", zwarn),
                                        TEXT("SPECTYPE_BEST", "6A", spectype),
                                        F64("DELTACHI2_BEST", chi),
                                        TEXT("OBJTYPE", "3A", objtype),
                                        I64("DESI_TARGET", desi),
                                        I64("BGS_TARGET", bgs),
                                        I64("SV1_DESI_TARGET", sv1_desi),
                                        I64("SV1_BGS_TARGET", sv1_bgs)};
static const SmallColumn extra[] = {I64("TARGETID", id),
                                    F64("Z", z_new),
                                    F32("OII_FLUX", oii),
                                    F32("OII_FLUX_IVAR", oii_ivar),
                                    FLAG("IS_QSO_MGII", mgii),
                                    F64("Z_NEW", z_new),
                                    F32("C_LYA", lya),
                                    F32("C_CIV", civ),
                                    F32("C_CIII", ciii),
                                    F32("C_MgII", mgii_line),
                                    F32("C_Hbeta", hbeta),
                                    F32("C_Halpha", halpha),
                                    FLAG("IS_QSO_QN_NEW_RR", new_rr),
                                    FLAG("GOOD_Z_ELG", good_elg)};

static const char *file(const char *name)
{
    static char path[4][2048];
    static int next;
    char *out = path[next++ % 4];
    snprintf(out, sizeof path[0], "%s/%s", test_folder(), name);
    return out;
}

static Status write_table(const char *name, const char *extname, const SmallColumn *columns, size_t n_columns)
{
    FitsFile f = {0};
    Status st = fitsfile_create(&f, file(name));
    if (st == OK) st = small_table(&f, extname, columns, n_columns, N);
    if (st == OK && columns == redshifts) st = SMALL_TABLE(&f, "FIBERMAP", fibermap, N);
    if (st == OK) st = fitsfile_finish(&f);
    fitsfile_close(&f);
    return st;
}

#define WRITE(name, extname, columns) CHECK_OK(write_table(name, extname, columns, sizeof columns / sizeof *columns))

static void write_redrock(void)
{
    WRITE("redrock-main-dark-7.fits", "REDSHIFTS", redshifts);
    WRITE("emline-main-dark-7.fits", "EMLINEFIT", emline);
    WRITE("qso_mgii-main-dark-7.fits", "MGII", qso_mgii);
    WRITE("qso_qn-main-dark-7.fits", "QN_RR", qso_qn);
}

static Status read_all(CatalogRow rows[N], int kind, const char *name)
{
    DesiConfig config = {.root = test_folder(), .specprod = "iron", .redshifts = kind};
    return desi_read_redshifts(rows, &config, name, 0, N, &test_arena);
}

static bool is_good(const CatalogRow *row, TargetClass class) { return (row->good_z >> class & 1) != 0; }

/* ---- the cuts ---- */

/* Changes one value of row 1, reads, and asserts that the class is good (row 0, unchanged) and not good there. */
#define CHECK_CUT(class, field, value)                                                                                 \
    do {                                                                                                               \
        CatalogRow rows_[N];                                                                                           \
        sky.field[1] = (value);                                                                                        \
        write_redrock();                                                                                               \
        if (CHECK_OK(read_all(rows_, REDSHIFTS_REDROCK, "redrock-main-dark-7.fits"))) {                                \
            CU_ASSERT(is_good(&rows_[0], class));                                                                      \
            CU_ASSERT_FALSE(is_good(&rows_[1], class));                                                                \
            CU_ASSERT_EQUAL(rows_[1].unknown_z, 0);                                                                    \
        }                                                                                                              \
        make_sky();                                                                                                    \
    } while (0)

static void each_cut_cuts(void)
{
    make_sky();
    CHECK_CUT(CLASS_BGS, zwarn, 4);
    CHECK_CUT(CLASS_BGS, chi, 40);
    CHECK_CUT(CLASS_BGS, chi, NAN);
    CHECK_CUT(CLASS_BGS, fiberstatus, 1 << 9);
    CHECK_CUT(CLASS_LRG, zwarn, 4);
    CHECK_CUT(CLASS_LRG, chi, 15);
    CHECK_CUT(CLASS_LRG, z, 1.5);
    CHECK_CUT(CLASS_LRG, z, NAN);
    CHECK_CUT(CLASS_ELG, oii, 0);
    CHECK_CUT(CLASS_ELG, oii, NAN);
    CHECK_CUT(CLASS_ELG, oii_ivar, 0);
    CHECK_CUT(CLASS_ELG, fiberstatus, 1);
    for (int i = 0; i < N; i++) put(sky.spectype[i], "QSO");
    sky.fiberstatus[1] = 1 << 16;
    write_redrock();
    CatalogRow rows[N];
    if (CHECK_OK(read_all(rows, REDSHIFTS_REDROCK, "redrock-main-dark-7.fits")))
        CU_ASSERT(is_good(&rows[0], CLASS_QSO) && !is_good(&rows[1], CLASS_QSO));
}

static void cuts_are_where_they_should_be(void)
{
    CatalogRow r[N];
    make_sky();
    sky.chi[0] = 40.001;
    sky.chi[1] = 15.001;
    sky.z[2] = 1.4999;
    sky.fiberstatus[3] = 1 << 3 | 1 << 20; /* allowed */
    sky.zwarn[4] = 4;                      /* the ELG cut does not ask for ZWARN */
    /* log10(oii sqrt(ivar)) > 0.9 - 0.2 log10(chi): with chi = 100 at 10^0.5 = 3.1623 */
    sky.oii_ivar[5] = sky.oii_ivar[6] = 1;
    sky.oii[5] = 3.163f;
    sky.oii[6] = 3.162f;
    sky.oii[7] = 3.163f;
    sky.oii_ivar[7] = 1;
    sky.chi[7] = 99; /* a worse fit needs a stronger line */
    write_redrock();
    if (!CHECK_OK(read_all(r, REDSHIFTS_REDROCK, "redrock-main-dark-7.fits"))) return;
    CU_ASSERT(is_good(&r[0], CLASS_BGS) && is_good(&r[1], CLASS_LRG) && !is_good(&r[1], CLASS_BGS));
    CU_ASSERT(is_good(&r[2], CLASS_LRG));
    CU_ASSERT(is_good(&r[3], CLASS_BGS) && is_good(&r[3], CLASS_LRG) && is_good(&r[3], CLASS_ELG));
    CU_ASSERT(is_good(&r[4], CLASS_ELG) && !is_good(&r[4], CLASS_LRG));
    CU_ASSERT(is_good(&r[5], CLASS_ELG) && !is_good(&r[6], CLASS_ELG) && !is_good(&r[7], CLASS_ELG));
}

static void any_sign_of_a_quasar_will_do(void)
{
    CatalogRow r[N];
    make_sky();
    put(sky.spectype[1], "QSO");
    sky.mgii[2] = 1;
    sky.civ[3] = 0.991f;
    sky.hbeta[4] = 0.99f; /* not above */
    sky.mgii[5] = 1;
    put(sky.objtype[5], "SKY");
    sky.halpha[6] = 1;
    sky.new_rr[6] = 1;
    sky.new_rr[7] = 1; /* QuasarNET is not sure */
    write_redrock();
    if (!CHECK_OK(read_all(r, REDSHIFTS_REDROCK, "redrock-main-dark-7.fits"))) return;
    const bool good[N] = {0, 1, 1, 1, 0, 0, 1, 0, 0};
    for (int i = 0; i < N; i++) CU_ASSERT_EQUAL(is_good(&r[i], CLASS_QSO), good[i]);
    for (int i = 0; i < N; i++) CU_ASSERT_EQUAL(r[i].z, i == 6 ? 2.5 : 0.5); /* Z_NEW */
    CU_ASSERT(strcmp(r[6].spectype, "QSO") == 0 && r[6].zerr == 0.001);
    CU_ASSERT(is_good(&r[6], CLASS_LRG)); /* judged by its first redshift, 0.5 */
}

/* ---- targets ---- */

static void classes_follow_the_bits_of_the_own_survey(void)
{
    CatalogRow r[N];
    make_sky();
    for (int i = 0; i < N; i++) sky.sv1_desi[i] = 1 << 1;
    const int64_t bits[6] = {1, 1 << 1, 1 << 2, 1 << 3, 1LL << 60, 1LL << 61};
    for (int i = 0; i < 6; i++) sky.desi[i] = bits[i];
    sky.desi[6] = 0;
    sky.bgs[6] = 1 << 1;
    put(sky.survey[7], "sv1");
    put(sky.survey[8], "cmx");
    WRITE("zall-pix-loa.fits", "ZCATALOG", catalogue);
    if (!CHECK_OK(read_all(r, REDSHIFTS_ZCATALOG, "zall-pix-loa.fits"))) return;
    const int expected[N] = {1 << CLASS_LRG, 1 << CLASS_ELG, 1 << CLASS_QSO,
                             1 << CLASS_LRG, 1 << CLASS_BGS, 0,
                             1 << CLASS_BGS, 1 << CLASS_ELG, 0};
    for (int i = 0; i < N; i++) {
        CU_ASSERT_EQUAL(r[i].target_class, expected[i]);
        CU_ASSERT_EQUAL(r[i].unknown_z & UNKNOWN_TARGET, 0);
    }
    CU_ASSERT(r[4].desi_target == 1LL << 60 && r[6].bgs_target == 2 && r[7].desi_target == 2);
    CU_ASSERT_EQUAL(r[8].desi_target, 0);
    put(sky.survey[3], "sv2"); /* whose columns are not here */
    WRITE("zall-pix-loa.fits", "ZCATALOG", catalogue);
    if (CHECK_OK(read_all(r, REDSHIFTS_ZCATALOG, "zall-pix-loa.fits")))
        CU_ASSERT(r[3].target_class == 0 && (r[3].unknown_z & UNKNOWN_TARGET) != 0);
}

/* ---- what is not known ---- */

static void absent_files_leave_classes_unknown(void)
{
    CatalogRow r[N];
    make_sky();
    put(sky.spectype[0], "QSO");
    WRITE("redrock-main-dark-8.fits", "REDSHIFTS", redshifts);
    if (!CHECK_OK(read_all(r, REDSHIFTS_REDROCK, "redrock-main-dark-8.fits"))) return;
    CU_ASSERT_EQUAL(r[0].unknown_z, 1 << CLASS_ELG | 1 << CLASS_QSO);
    CU_ASSERT_EQUAL(r[0].good_z, 1 << CLASS_BGS | 1 << CLASS_LRG);
    WRITE("emline-main-dark-8.fits", "EMLINEFIT", emline);
    WRITE("qso_mgii-main-dark-8.fits", "MGII", qso_mgii);
    if (!CHECK_OK(read_all(r, REDSHIFTS_REDROCK, "redrock-main-dark-8.fits"))) return;
    CU_ASSERT_EQUAL(r[0].unknown_z, 1 << CLASS_QSO);
    CU_ASSERT(is_good(&r[0], CLASS_ELG));
    CHECK_OK(write_table("redrock-main-dark-8.fits", "REDSHIFTS", redshifts, 5)); /* no DELTACHI2 */
    if (!CHECK_OK(read_all(r, REDSHIFTS_REDROCK, "redrock-main-dark-8.fits"))) return;
    CU_ASSERT(r[0].good_z == 0 && (r[0].unknown_z & UNKNOWN_TARGET) == 0 &&
              (r[0].unknown_z | UNKNOWN_TARGET) == UNKNOWN_ALL);
}

static void files_beside_must_belong_together(void)
{
    CatalogRow r[N];
    make_sky();
    write_redrock();
    sky.id[N - 1]++;
    WRITE("qso_qn-main-dark-7.fits", "QN_RR", qso_qn);
    CU_ASSERT_EQUAL(read_all(r, REDSHIFTS_REDROCK, "redrock-main-dark-7.fits"), E_INPUT);
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_record()->text, "redrock-main-dark-7.fits"));
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_record()->text, "qso_qn-main-dark-7.fits"));
    fail_clear();
}

static void verdicts_of_the_catalogue_win(void)
{
    CatalogRow r[N];
    make_sky();
    sky.good_elg[1] = 1;
    sky.oii[1] = 0;
    sky.mgii[2] = 1;
    sky.new_rr[3] = 1;
    sky.lya[3] = 1;
    WRITE("zpix-main-dark.fits", "ZCATALOG", catalogue);
    WRITE("zpix-main-dark-extra.fits", "ZCATALOG_EXTRA", extra);
    if (!CHECK_OK(read_all(r, REDSHIFTS_ZCATALOG, "zpix-main-dark.fits"))) return;
    CU_ASSERT_EQUAL(r[0].unknown_z, 0);
    CU_ASSERT(!is_good(&r[0], CLASS_ELG) && is_good(&r[1], CLASS_ELG));                              /* GOOD_Z_ELG */
    CU_ASSERT(!is_good(&r[1], CLASS_QSO) && is_good(&r[2], CLASS_QSO) && is_good(&r[3], CLASS_QSO)); /* judged here */
    CU_ASSERT(r[3].z == 0.5); /* Z_BEST has chosen already */
}

TEST_MAIN("desi_quality", {"each cut cuts", each_cut_cuts},
          {"cuts are where they should be", cuts_are_where_they_should_be},
          {"any sign of a quasar will do", any_sign_of_a_quasar_will_do},
          {"classes follow the bits of the own survey", classes_follow_the_bits_of_the_own_survey},
          {"absent files leave classes unknown", absent_files_leave_classes_unknown},
          {"files beside must belong together", files_beside_must_belong_together},
          {"verdicts of the catalogue win", verdicts_of_the_catalogue_win})
