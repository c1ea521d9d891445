/* DESI redshift files and their folders: zcatalog and redrock files written here come back as rows; broken ones are
   refused with a reason; what is found in a tree of files is what its layout says. */
#include "test_main.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/desi.h"
#include "io/fitsfile.h"

enum { N_TARGETS = 5 };

static const int64_t targets[N_TARGETS] = {39627841603633169, -1695072, 39628768154746897, 39627784728870929,
                                           39627020195332113};
static const char *file(const char *name)
{
    static char path[4][2048];
    static int next;
    char *out = path[next++ % 4];
    snprintf(out, sizeof path[0], "%s/%s", test_folder(), name);
    return out;
}

static void make_folders(const char *path)
{
    char copy[2048];
    snprintf(copy, sizeof copy, "%s", path);
    for (char *c = copy + 1; *c; c++)
        if (*c == '/') *c = '\0', mkdir(copy, 0777), *c = '/';
}

/* ---- redshifts ---- */

static DesiConfig survey_config(int redshifts)
{
    return (DesiConfig){.root = test_folder(), .specprod = "iron", .redshifts = redshifts};
}

typedef enum { ZCATALOG, REDROCK, REDROCK_SHUFFLED, NO_NAME, BARE } ZKind;

static Status put_targets(FitsFile *f, const double *ra)
{
    const double dec[N_TARGETS] = {2.2, 2.3, 2.4, 2.5, 2.6};
    const int32_t fiberstatus[N_TARGETS] = {0, 8, 0, 0, 1 << 20};
    const float flux[N_TARGETS] = {1, 2, 3, 4, 5};
    const uint8_t primary[N_TARGETS] = {1, 0, 1, 1, 0};
    TRY(fitsfile_write_column(f, "TARGET_RA", FITS_F64, ra, 0, N_TARGETS));
    TRY(fitsfile_write_column(f, "TARGET_DEC", FITS_F64, dec, 0, N_TARGETS));
    TRY(fitsfile_write_column(f, "COADD_FIBERSTATUS", FITS_I32, fiberstatus, 0, N_TARGETS));
    TRY(fitsfile_write_column(f, "FLUX_R", FITS_F32, flux, 0, N_TARGETS));
    TRY(fitsfile_write_text(f, "OBJTYPE", "TGT\0TGT\0SKY\0TGT\0TGT", 4, 0, N_TARGETS));
    TRY(fitsfile_write_text(f, "PHOTSYS", "S\0\0\0N\0S\0S", 2, 0, N_TARGETS));
    return fitsfile_write_column(f, "ZCAT_PRIMARY", FITS_BOOL, primary, 0, N_TARGETS);
}

#define TARGET_COLUMNS                                                                                                 \
    {"TARGET_RA", "D", "deg", ""}, {"TARGET_DEC", "D", "deg", ""}, {"COADD_FIBERSTATUS", "J", "", ""},                 \
        {"FLUX_R", "E", "", ""}, {"OBJTYPE", "3A", "", ""}, {"PHOTSYS", "1A", "", ""},                                 \
    {                                                                                                                  \
        "ZCAT_PRIMARY", "L", "", ""                                                                                    \
    }
#define REDSHIFT_COLUMNS                                                                                               \
    {"TARGETID", "K", "", ""}, {"Z", "D", "", ""}, {"ZERR", "D", "", ""}, {"ZWARN", "K", "", ""},                      \
    {                                                                                                                  \
        "SPECTYPE", "6A", "", ""                                                                                       \
    }

static Status write_redshifts(const char *path, ZKind kind)
{
    const FitsColumn zcatalog[] = {REDSHIFT_COLUMNS,
                                   TARGET_COLUMNS,
                                   {"SURVEY", "7A", "", ""},
                                   {"PROGRAM", "6A", "", ""},
                                   {"HEALPIX", "J", "", ""}};
    const FitsColumn redshifts[] = {REDSHIFT_COLUMNS}, fibermap[] = {{"TARGETID", "K", "", ""}, TARGET_COLUMNS};
    const double z[N_TARGETS] = {0.1, 0.2, 0.3, 0.4, 0.5}, ra[N_TARGETS] = {150.1, 150.2, 150.3, 150.4, 150.5};
    const int64_t zwarn[N_TARGETS] = {0, 4, 0, 1LL << 33, 0}, swapped[N_TARGETS] = {targets[1], targets[0], 3, 4, 5};
    const int32_t pixel[N_TARGETS] = {27258, 27258, 27258, 27258, 27258};
    FitsFile f = {0};
    make_folders(path);
    TRY(fitsfile_create(&f, path));
    if (kind == REDROCK) {
        TRY(fitsfile_put_text(&f, "SURVEY", "main", ""));
        TRY(fitsfile_put_text(&f, "PROGRAM", "dark", ""));
        TRY(fitsfile_put_i64(&f, "HPXPIXEL", 27258, ""));
        TRY(fitsfile_put_i64(&f, "HPXNSIDE", 64, ""));
    }
    if (kind == ZCATALOG)
        TRY(fitsfile_new_table(&f, "ZCATALOG", zcatalog, sizeof zcatalog / sizeof *zcatalog, N_TARGETS));
    else
        TRY(fitsfile_new_table(&f, kind == NO_NAME || kind == BARE ? "ZCATALOG" : "REDSHIFTS", redshifts,
                               kind == BARE ? 1 : 5, N_TARGETS));
    TRY(fitsfile_write_column(&f, "TARGETID", FITS_I64, targets, 0, N_TARGETS));
    if (kind == BARE) return fitsfile_finish(&f);
    TRY(fitsfile_write_column(&f, "Z", FITS_F64, z, 0, N_TARGETS));
    TRY(fitsfile_write_column(&f, "ZERR", FITS_F64, z, 0, N_TARGETS));
    TRY(fitsfile_write_column(&f, "ZWARN", FITS_I64, zwarn, 0, N_TARGETS));
    TRY(fitsfile_write_text(&f, "SPECTYPE", "GALAXY\0QSO\0\0\0\0STAR\0\0\0GALAXY\0GALAXY", 7, 0, N_TARGETS));
    if (kind == NO_NAME) return fitsfile_finish(&f);
    if (kind == ZCATALOG) {
        TRY(put_targets(&f, ra));
        TRY(fitsfile_write_text(&f, "SURVEY", "main\0main\0sv3\0\0main\0main", 5, 0, N_TARGETS));
        TRY(fitsfile_write_text(&f, "PROGRAM", "bright\0dark\0\0\0dark\0\0\0dark\0\0\0dark", 7, 0, N_TARGETS));
        TRY(fitsfile_write_column(&f, "HEALPIX", FITS_I32, pixel, 0, N_TARGETS));
    } else {
        TRY(fitsfile_new_table(&f, "FIBERMAP", fibermap, sizeof fibermap / sizeof *fibermap, N_TARGETS));
        TRY(fitsfile_put_text(&f, "PROGRAM", "tertiary38", "")); /* as in real files: not the key */
        TRY(fitsfile_write_column(&f, "TARGETID", FITS_I64, kind == REDROCK_SHUFFLED ? swapped : targets, 0,
                                  N_TARGETS));
        TRY(put_targets(&f, ra));
    }
    return fitsfile_finish(&f);
}

static void check_rows(const CatalogRow *rows, int64_t n)
{
    CU_ASSERT_EQUAL_FATAL(n, N_TARGETS);
    for (int i = 0; i < N_TARGETS; i++) {
        const CatalogRow *r = &rows[i];
        CU_ASSERT_EQUAL(r->targetid, targets[i]);
        CU_ASSERT_EQUAL(r->source_row, i);
        CU_ASSERT_EQUAL(r->healpix, 27258);
        CU_ASSERT(r->has_spectrum == 1 && r->has_image == 0);
        CU_ASSERT_DOUBLE_EQUAL(r->z, 0.1 * (i + 1), 1e-15);
        CU_ASSERT_DOUBLE_EQUAL(r->ra, 150.1 + 0.1 * i, 1e-12);
        CU_ASSERT(r->flux[1] == (float)(i + 1) && isnan(r->flux[0]) && isnan(r->ebv) && isnan(r->deltachi2) &&
                  isnan(r->label[0]));
    }
    CU_ASSERT_EQUAL(rows[3].zwarn, 1LL << 33);
    CU_ASSERT_EQUAL(rows[4].fiberstatus, 1 << 20);
    CU_ASSERT_STRING_EQUAL(rows[1].spectype, "QSO");
    CU_ASSERT_STRING_EQUAL(rows[2].objtype, "SKY");
    CU_ASSERT(rows[0].photsys == 'S' && rows[1].photsys == '\0' && rows[2].photsys == 'N');
    CU_ASSERT(rows[0].zcat_primary == 1 && rows[1].zcat_primary == 0);
}

static void zcatalog_rows_come_back(void)
{
    DesiConfig config = survey_config(REDSHIFTS_ZCATALOG);
    CatalogRow *rows = NULL;
    int64_t n = 0;
    CHECK_OK(write_redshifts(file("zall-pix-iron.fits"), ZCATALOG));
    if (!CHECK_OK(desi_read_redshifts(&rows, &n, &config, "zall-pix-iron.fits", &test_arena))) return;
    check_rows(rows, n);
    CU_ASSERT_STRING_EQUAL(rows[0].program, "bright");
    CU_ASSERT_STRING_EQUAL(rows[2].survey, "sv3");
    CHECK_OK(desi_read_redshifts(&rows, &n, &config, file("zall-pix-iron.fits"), &test_arena)); /* absolute path */
}

static void redrock_rows_come_back(void)
{
    DesiConfig config = survey_config(REDSHIFTS_REDROCK);
    CatalogRow *rows = NULL;
    int64_t n = 0;
    CHECK_OK(write_redshifts(file("redrock.fits"), REDROCK));
    if (!CHECK_OK(desi_read_redshifts(&rows, &n, &config, "redrock.fits", &test_arena))) return;
    check_rows(rows, n);
    CU_ASSERT_STRING_EQUAL(rows[0].survey, "main");
    CU_ASSERT_STRING_EQUAL(rows[0].program, "dark"); /* not FIBERMAP's tertiary38 */
}

static void broken_redshift_files_are_input_errors(void)
{
    DesiConfig redrock = survey_config(REDSHIFTS_REDROCK), zcatalog = survey_config(REDSHIFTS_ZCATALOG);
    CatalogRow *rows;
    int64_t n;
    CHECK_FAILS(desi_read_redshifts(&rows, &n, &zcatalog, "nowhere.fits", &test_arena), E_INPUT);
    CHECK_OK(write_redshifts(file("shuffled.fits"), REDROCK_SHUFFLED));
    CHECK_FAILS(desi_read_redshifts(&rows, &n, &redrock, "shuffled.fits", &test_arena), E_INPUT);
    CHECK_FAILS(desi_read_redshifts(&rows, &n, &zcatalog, "shuffled.fits", &test_arena), E_INPUT); /* no HDU ZCATALOG */
    CHECK_OK(write_redshifts(file("bare.fits"), BARE));
    CHECK_FAILS(desi_read_redshifts(&rows, &n, &zcatalog, "bare.fits", &test_arena), E_INPUT); /* no Z */
    CHECK_OK(write_redshifts(file("nameless.fits"), NO_NAME));
    CHECK_FAILS(desi_read_redshifts(&rows, &n, &zcatalog, "nameless.fits", &test_arena), E_INPUT); /* no SURVEY */
    CHECK_OK(write_redshifts(file("zpix-main-dark.fits"), NO_NAME));
    if (CHECK_OK(desi_read_redshifts(&rows, &n, &zcatalog, "zpix-main-dark.fits", &test_arena))) /* its name says it */
        CU_ASSERT_STRING_EQUAL(rows[0].survey, "main");
    CU_ASSERT_EQUAL_FATAL(truncate(file("zpix-main-dark.fits"), 2880 * 2 + 100), 0);
    CHECK_FAILS(desi_read_redshifts(&rows, &n, &zcatalog, "zpix-main-dark.fits", &test_arena), E_INPUT);
}

/* ---- folders and names ---- */

static void names_are_parsed_strictly(void)
{
    DesiName name;
    CU_ASSERT_TRUE(desi_parse_name(&name, "redrock-main-dark-9144.fits", "redrock"));
    CU_ASSERT(strcmp(name.survey, "main") == 0 && strcmp(name.program, "dark") == 0 && name.healpix == 9144);
    CU_ASSERT_TRUE(desi_parse_name(&name, "zpix-sv3-other.fits.gz", "zpix"));
    CU_ASSERT(strcmp(name.survey, "sv3") == 0 && name.healpix == -1);
    const char *wrong[] = {"redrock-main-dark-9144.fits.bak",
                           "redrock-main-dark-09144.fits",
                           "redrock-main-dark-49152.fits",
                           "redrock-main-dark-99999999999.fits",
                           "redrock-main-dark-.fits",
                           "redrock-main-.fits",
                           "redrock-main.fits",
                           "redrock-MAIN-dark-1.fits",
                           "redrock-..-dark-1.fits",
                           "redrock-mainmainmain-dark-1.fits",
                           "coadd-main-dark-1.fits",
                           "redrock-main-dark--1.fits",
                           "redrock",
                           ""};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CU_ASSERT_FALSE(desi_parse_name(&name, wrong[i], "redrock"));
}

static void paths_follow_the_layout(void)
{
    DesiConfig config = survey_config(REDSHIFTS_ZCATALOG);
    CatalogRow row = {.survey = "main", .program = "dark", .healpix = 27258};
    char path[DESI_PATH];
    CHECK_OK(desi_survey.spectrum_file(path, sizeof path, &config, &row));
    CU_ASSERT_STRING_EQUAL(path, "spectro/redux/iron/healpix/main/dark/272/27258/coadd-main-dark-27258.fits");
    CHECK_FAILS(desi_survey.spectrum_file(path, 40, &config, &row), E_CONFIG);
    memcpy(row.program, "../etc", 7);
    CHECK_FAILS(desi_survey.spectrum_file(path, sizeof path, &config, &row), E_INPUT);
}

static void touch(const char *name)
{
    char path[2048];
    snprintf(path, sizeof path, "%s/list/%s", test_folder(), name);
    make_folders(path);
    FILE *f = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    fclose(f);
}

static void redrock_files_are_found_in_the_tree(void)
{
    char root[2048];
    snprintf(root, sizeof root, "%s/list", test_folder());
    touch("spectro/redux/iron/healpix/main/dark/91/9144/redrock-main-dark-9144.fits");
    touch("spectro/redux/iron/healpix/main/dark/91/9144/coadd-main-dark-9144.fits");
    touch("spectro/redux/iron/healpix/main/dark/272/27258/redrock-main-dark-27258.fits.gz");
    touch("spectro/redux/iron/healpix/main/dark/272/1/redrock-main-dark-1.fits"); /* wrong group  */
    touch("spectro/redux/iron/healpix/main/bright/0/7/redrock-main-bright-7.fits");
    touch("spectro/redux/iron/healpix/main/bright/0/8/redrock-main-bright-9.fits"); /* wrong pixel  */
    touch("spectro/redux/iron/healpix/main/bright/junk/8/redrock-main-bright-8.fits");
    touch("spectro/redux/iron/healpix/tilepix.fits");
    touch("spectro/redux/fuji/healpix/main/dark/0/1/redrock-main-dark-1.fits"); /* another production */
    DesiConfig config = {.root = root, .specprod = "iron", .redshifts = REDSHIFTS_REDROCK};
    FileList list;
    if (!CHECK_OK(desi_list_redshifts(&list, &config, &test_arena))) return;
    CU_ASSERT_EQUAL_FATAL(list.n, 3);
    CU_ASSERT_STRING_EQUAL(list.path[0], "spectro/redux/iron/healpix/main/bright/0/7/redrock-main-bright-7.fits");
    CU_ASSERT_STRING_EQUAL(list.path[1],
                           "spectro/redux/iron/healpix/main/dark/272/27258/redrock-main-dark-27258.fits.gz");
    CU_ASSERT_STRING_EQUAL(list.path[2], "spectro/redux/iron/healpix/main/dark/91/9144/redrock-main-dark-9144.fits");

    const char *dark = "main/dark", *absent = "sv3/dark";
    config.programs = (ConfigTexts){1, &dark};
    CHECK_OK(desi_list_redshifts(&list, &config, &test_arena));
    CU_ASSERT_EQUAL(list.n, 2);
    config.programs = (ConfigTexts){1, &absent};
    CHECK_FAILS(desi_list_redshifts(&list, &config, &test_arena), E_INPUT);
    config.specprod = "loa";
    CHECK_FAILS(desi_list_redshifts(&list, &config, &test_arena), E_INPUT);
}

static void zcatalogs_are_found_or_named(void)
{
    char root[2048];
    snprintf(root, sizeof root, "%s/list", test_folder());
    DesiConfig config = {.root = root, .specprod = "guadalupe"};
    FileList list;
    touch("spectro/redux/guadalupe/zcatalog/v1/zall-pix-guadalupe.fits");
    touch("spectro/redux/guadalupe/zcatalog/v1/ztile-main-dark-cumulative.fits");
    CHECK_OK(desi_list_redshifts(&list, &config, &test_arena));
    CU_ASSERT(list.n == 1 && strstr(list.path[0], "zall-pix-guadalupe.fits"));
    touch("spectro/redux/guadalupe/zcatalog/v1/zpix-main-dark.fits");
    touch("spectro/redux/guadalupe/zcatalog/v1/zpix-main-dark.fits.gz");
    touch("spectro/redux/guadalupe/zcatalog/v1/zpix-main-bright.fits");
    CHECK_OK(desi_list_redshifts(&list, &config, &test_arena));
    CU_ASSERT_EQUAL_FATAL(list.n, 2);
    CU_ASSERT_STRING_EQUAL(list.path[0], "spectro/redux/guadalupe/zcatalog/v1/zpix-main-bright.fits");
    CU_ASSERT_STRING_EQUAL(list.path[1], "spectro/redux/guadalupe/zcatalog/v1/zpix-main-dark.fits");
    const char *named[] = {"b.fits", "/elsewhere/a.fits"};
    config.zcatalog = (ConfigTexts){2, named};
    CHECK_OK(desi_list_redshifts(&list, &config, &test_arena));
    CU_ASSERT(list.n == 2 && strcmp(list.path[0], "/elsewhere/a.fits") == 0);
}

static void programs_choose_rows(void)
{
    DesiConfig config = survey_config(REDSHIFTS_ZCATALOG);
    const CatalogRow dark = {.survey = "main", .program = "dark"}, other = {.survey = "mai", .program = "n/dark"};
    const char *asked = "main/dark";
    CU_ASSERT_TRUE(desi_survey.wants(&config, &dark));
    config.programs = (ConfigTexts){1, &asked};
    CU_ASSERT_TRUE(desi_survey.wants(&config, &dark));
    CU_ASSERT_FALSE(desi_survey.wants(&config, &other));
}

static void configuration_is_checked(void)
{
    DesiConfig config = survey_config(REDSHIFTS_REDROCK);
    const char *good = "sv3/bright",
               *bad[] = {"main", "main/", "/dark", "main/../x", "mainmainmain/dark", "main/dark/1"};
    config.programs = (ConfigTexts){1, &good};
    CHECK_OK(desi_survey.plugin.check(&config));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        config.programs = (ConfigTexts){1, &bad[i]};
        CHECK_FAILS(desi_survey.plugin.check(&config), E_CONFIG);
    }
    config.programs.n = 0;
    config.specprod = "../iron";
    CHECK_FAILS(desi_survey.plugin.check(&config), E_CONFIG);
}

TEST_MAIN("desi_zcat", {"zcatalog rows come back", zcatalog_rows_come_back},
          {"redrock rows come back", redrock_rows_come_back},
          {"broken redshift files are input errors", broken_redshift_files_are_input_errors},
          {"names of files are parsed strictly", names_are_parsed_strictly},
          {"paths follow the layout", paths_follow_the_layout},
          {"redrock files are found in the tree", redrock_files_are_found_in_the_tree},
          {"zcatalogs are found, or named", zcatalogs_are_found_or_named},
          {"a program that was not asked for is not wanted", programs_choose_rows},
          {"the configuration is checked", configuration_is_checked})
