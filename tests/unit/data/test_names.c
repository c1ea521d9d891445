/* Texts of files that become names of files: whatever they hold, the name lies under the root of the survey and is of
   harmless characters, or the row is refused. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "data/desi.h"
#include "data/legacy.h"
#include "data/sdss.h"
#include "test_main.h"

static const char *const hostile[] = {
    "../x",
    "..",
    "/abs",
    "a/../../b",
    "a/b",
    ".",
    "./.",
    "$(touch x)",
    "`touch x`",
    ";touch x",
    "a b",
    "a\nb",
    "a'b",
    "a\"b",
    "a\\b",
    "a|b",
    "a&b",
    "a*?",
    "\xff\xfe",
    "\x01",
    "-rf",
    "~root",
    "%s%n",
    "0001p00/",
    "../1p00",
    "0001p000/",
    "000\x31/p0",
    "0001p00\n",
    "..0p000",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    NULL};

/* Copies as much as the field takes, as a reader of a FITS column does. */
static void put(char *field, size_t size, const char *text)
{
    memset(field, 0, size);
    memcpy(field, text, strnlen(text, size - 1));
}

static bool stays(const char *path)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./";
    return path[0] != '/' && !strstr(path, "..") && path[strspn(path, good)] == '\0';
}

static void checked(Status st, const char *path, const char *text)
{
    const bool good = st == OK ? stays(path) : st == E_INPUT;
    if (!good) printf("'%s' became %s\n", text, path);
    CU_ASSERT(good);
    fail_clear();
}

static void survey_and_program_stay_under_the_root_of_desi(void)
{
    char path[2048] = "";
    CatalogRow row;
    for (int layout = LAYOUT_HEALPIX; layout <= LAYOUT_TILES; layout++)
        for (int i = 0; hostile[i]; i++) {
            const DesiConfig config = {.root = "root", .specprod = "iron", .layout = layout};
            catalog_new_row(&row);
            row.tileid = row.uniqpix = row.healpix = 7;
            put(row.survey, sizeof row.survey, hostile[i]);
            put(row.program, sizeof row.program, "dark");
            checked(desi_survey.spectrum_file(path, sizeof path, &config, &row, NULL), path, hostile[i]);
            put(row.survey, sizeof row.survey, "main");
            put(row.program, sizeof row.program, hostile[i]);
            checked(desi_survey.spectrum_file(path, sizeof path, &config, &row, NULL), path, hostile[i]);
        }
}

static void reductions_stay_under_the_root_of_sdss(void)
{
    char path[2048] = "";
    const SdssName name = {266, 51602, 13};
    CatalogRow row;
    for (int layout = 0; layout <= SDSS_FLAT; layout++)
        for (int i = 0; hostile[i]; i++) {
            const SdssConfig config = {.root = "root", .run2d = "", .layout = layout};
            catalog_new_row(&row);
            CU_ASSERT(sdss_targetid(&row.targetid, &name));
            put(row.program, sizeof row.program, hostile[i]);
            checked(sdss_survey.spectrum_file(path, sizeof path, &config, &row, NULL), path, hostile[i]);
        }
}

static void brick_names_stay_under_the_root_of_legacy(void)
{
    char path[2048] = "";
    CatalogRow row;
    const LegacyConfig config = {.root = "root", .release = "dr9", .regions = {2, (const char *[]){"south", "north"}}};
    for (int i = 0; hostile[i]; i++) {
        catalog_new_row(&row);
        row.ra = 150, row.dec = 2;
        put(row.brickname, sizeof row.brickname, hostile[i]);
        checked(legacy_survey.photometry_file(path, sizeof path, &config, &row), path, hostile[i]);
        row.photsys = hostile[i][0];
        checked(legacy_survey.photometry_file(path, sizeof path, &config, &row), path, hostile[i]);
    }
}

static void nothing_was_run(void) { CU_ASSERT(access("x", F_OK) != 0); }

TEST_MAIN("names", {"SURVEY and PROGRAM stay under DESI's root", survey_and_program_stay_under_the_root_of_desi},
          {"RUN2D stays under SDSS's root", reductions_stay_under_the_root_of_sdss},
          {"BRICKNAME stays under the Legacy Surveys' root", brick_names_stay_under_the_root_of_legacy},
          {"nothing was run", nothing_was_run})
