/* Which files of a DESI production hold redshifts: what is found in a tree of files is what its layout says, in the newest
   version that covers what is asked for. Names and configuration. */
#include "test_main.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "data/desi.h"

static void make_folders(const char *path)
{
    char copy[2048];
    snprintf(copy, sizeof copy, "%s", path);
    for (char *c = copy + 1; *c; c++)
        if (*c == '/') *c = '\0', mkdir(copy, 0777), *c = '/';
}

static DesiConfig survey_config(int redshifts)
{
    return (DesiConfig){.root = test_folder(), .specprod = "iron", .redshifts = redshifts};
}

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
    CHECK_OK(desi_survey.spectrum_file(path, sizeof path, &config, &row, NULL));
    CU_ASSERT_STRING_EQUAL(path, "spectro/redux/iron/healpix/main/dark/272/27258/coadd-main-dark-27258.fits");
    CHECK_FAILS(desi_survey.spectrum_file(path, 40, &config, &row, NULL), E_CONFIG);
    memcpy(row.program, "../etc", 7);
    CHECK_FAILS(desi_survey.spectrum_file(path, sizeof path, &config, &row, NULL), E_INPUT);
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

/* Asserts that the list is these files, relative to spectro/redux/loa/zcatalog. */
static void check_list(const DesiConfig *config, int64_t n, const char *const *expected)
{
    FileList list;
    if (!CHECK_OK(desi_list_redshifts(&list, config, &test_arena))) return;
    CU_ASSERT_EQUAL_FATAL(list.n, n);
    for (int64_t i = 0; i < n; i++)
        CU_ASSERT_STRING_EQUAL(list.path[i] + strlen("spectro/redux/loa/zcatalog/"), expected[i]);
}

#define CHECK_LIST(config, ...)                                                                                        \
    do {                                                                                                               \
        const char *const expected_[] = {__VA_ARGS__};                                                                 \
        check_list(config, sizeof expected_ / sizeof *expected_, expected_);                                           \
    } while (0)

static void the_newest_version_that_covers_the_programs_is_taken(void)
{
    char root[2048];
    snprintf(root, sizeof root, "%s/list", test_folder());
    DesiConfig config = {.root = root, .specprod = "loa"};
    const char *dark = "main/dark", *both[] = {"main/dark", "sv3/bright"}, *other = "sv1/other";
    FileList list;
    touch("spectro/redux/loa/zcatalog/zpix-sv1-other.fits"); /* as fuji has them */
    touch("spectro/redux/loa/zcatalog/zall-pix-loa.fits");
    CHECK_LIST(&config, "zpix-sv1-other.fits");
    config.programs = (ConfigTexts){1, &dark};
    CHECK_LIST(&config, "zall-pix-loa.fits"); /* may hold it */
    touch("spectro/redux/loa/zcatalog/v1/zpix-main-dark.fits");
    touch("spectro/redux/loa/zcatalog/v1/zpix-sv3-bright.fits");
    CHECK_LIST(&config, "v1/zpix-main-dark.fits");
    touch("spectro/redux/loa/zcatalog/v2/main/zpix-main-dark.fits");
    touch("spectro/redux/loa/zcatalog/v2/main/zpix-main-dark-imaging.fits");
    touch("spectro/redux/loa/zcatalog/v2/main/zpix-main-dark-extra.fits");
    touch("spectro/redux/loa/zcatalog/v2/main/exp_fibermap/zpix-main-dark-expfibermap.fits");
    CHECK_LIST(&config, "v2/main/zpix-main-dark.fits");
    config.programs = (ConfigTexts){2, both}; /* v2 does not have both */
    CHECK_LIST(&config, "v1/zpix-main-dark.fits", "v1/zpix-sv3-bright.fits");
    touch("spectro/redux/loa/zcatalog/v2/zall/zall-pix-loa.fits");
    touch("spectro/redux/loa/zcatalog/v2/zall/zall-pix-loa-extra.fits");
    CHECK_LIST(&config, "v2/zall/zall-pix-loa.fits");
    touch("spectro/redux/loa/zcatalog/v2/zpix-sv3-bright.fits.gz"); /* an older arrangement of v2 */
    touch("spectro/redux/loa/zcatalog/v2/zpix-main-dark.fits");     /* once is enough */
    CHECK_LIST(&config, "v2/main/zpix-main-dark.fits", "v2/zpix-sv3-bright.fits.gz");
    config.zcatalog_version = ZCATALOG_V1;
    CHECK_LIST(&config, "v1/zpix-main-dark.fits", "v1/zpix-sv3-bright.fits");
    config.programs = (ConfigTexts){1, &other};
    CHECK_FAILS(desi_list_redshifts(&list, &config, &test_arena), E_INPUT);
    config.zcatalog_version = ZCATALOG_V0;
    CHECK_LIST(&config, "zpix-sv1-other.fits");
}

static void tile_catalogues_are_found(void)
{
    char root[2048];
    snprintf(root, sizeof root, "%s/tiles", test_folder());
    DesiConfig config = {.root = root, .specprod = "loa", .layout = LAYOUT_TILES};
    const char *bright = "main/bright";
    FileList list;
    touch("../tiles/spectro/redux/loa/zcatalog/v1/ztile-main-dark-cumulative.fits");
    touch("../tiles/spectro/redux/loa/zcatalog/v1/ztile-main-dark-pernight.fits");
    touch("../tiles/spectro/redux/loa/zcatalog/v1/zpix-main-bright.fits");
    CHECK_LIST(&config, "v1/ztile-main-dark-cumulative.fits");
    config.programs = (ConfigTexts){1, &bright};
    CHECK_FAILS(desi_list_redshifts(&list, &config, &test_arena), E_INPUT);
    touch("../tiles/spectro/redux/loa/zcatalog/v2/zall/zall-tilecumulative-loa.fits");
    CHECK_LIST(&config, "v2/zall/zall-tilecumulative-loa.fits");
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

TEST_MAIN("desi_list", {"names of files are parsed strictly", names_are_parsed_strictly},
          {"paths follow the layout", paths_follow_the_layout},
          {"redrock files are found in the tree", redrock_files_are_found_in_the_tree},
          {"zcatalogs are found, or named", zcatalogs_are_found_or_named},
          {"the newest version that covers the programs is taken",
           the_newest_version_that_covers_the_programs_is_taken},
          {"tile catalogues are found", tile_catalogues_are_found},
          {"a program that was not asked for is not wanted", programs_choose_rows},
          {"the configuration is checked", configuration_is_checked})
