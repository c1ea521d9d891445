/* SDSS: names and rows, spectra on the DESI grid, files made here with everything wrong that can be. */
#include "test_main.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/flags.h"
#include "data/sdss.h"

static const SpectraConfig preset = {MERGE_LEGACY_2022, BAD_PIXELS_ZERO, 0.5, EXTINCTION_NONE};
static const SdssConfig any_bit = {.root = "", .run2d = "", .catalog = "", .mask_bits = 4294967295};

/* ---- names ---- */

static void targetids_are_positive_and_invertible(void)
{
    const SdssName names[] = {{0, 0, 0}, {266, 51602, 13}, {4055, 55359, 1000}, {(1 << 20) - 1, 65535, 4095}};
    int64_t id, last = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        SdssName back;
        CU_ASSERT_TRUE_FATAL(sdss_targetid(&id, &names[i]));
        CU_ASSERT_TRUE(id >> 62 == 1 && id > last); /* positive, none of DESI's, in the order of plate, MJD, fibre */
        last = id;
        CU_ASSERT_TRUE(sdss_identity(&back, id));
        CU_ASSERT(back.plate == names[i].plate && back.mjd == names[i].mjd && back.fiber == names[i].fiber);
    }
    const SdssName bad[] = {{-1, 51602, 1}, {1 << 20, 51602, 1}, {266, 65536, 1}, {266, 51602, 4096}, {266, 51602, -1}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CU_ASSERT_FALSE(sdss_targetid(&id, &bad[i]));
    SdssName back;
    CU_ASSERT_FALSE(sdss_identity(&back, 39627658462823517)); /* of DESI */
    CU_ASSERT_FALSE(sdss_identity(&back, -1));
}

static void names_of_files_are_read_strictly(void)
{
    SdssName n;
    CU_ASSERT(sdss_parse_name(&n, "a/0266/spec-0266-51602-0013.fits") && n.plate == 266 && n.mjd == 51602 &&
              n.fiber == 13);
    CU_ASSERT(sdss_parse_name(&n, "spec-10000-58000-1000.fits.gz") && n.plate == 10000);
    const char *const bad[] = {"spec-0266-51602.fits",
                               "spec-0266-51602-0013.fit",
                               "spec-0266-51602-0013-x.fits",
                               "spec-0266--0013.fits",
                               "spec-0266-51602-00130000000000000000000.fits",
                               "spec-0266-51602-0013.fits/x",
                               "photo-0266-51602-0013.fits"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CU_ASSERT_FALSE(sdss_parse_name(&n, bad[i]));
}

/* ---- files made here ---- */

enum { N_PIXELS = 4600 };

typedef struct {
    float flux[N_PIXELS], loglam[N_PIXELS], ivar[N_PIXELS];
    int32_t and_mask[N_PIXELS];
    int64_t plate;
    bool air;
} Made;

static Made *new_spectrum(void)
{
    Made *s = NULL;
    MUST(arena_new(&s, &test_arena, 1) == OK);
    for (int k = 0; k < N_PIXELS; k++) {
        s->flux[k] = 4, s->ivar[k] = 9;
        s->loglam[k] = (float)(3.5529 + 1e-4 * k); /* 3572 .. 10300 Angstrom */
    }
    s->plate = 266;
    return s;
}

static const char *write_spectrum(const Made *s, const char *name)
{
    static char path[600];
    FitsFile f = {0};
    const FitsColumn coadd[] = {{"flux", "E", "", ""},
                                {"loglam", "E", "", ""},
                                {"ivar", "E", "", ""},
                                {"and_mask", "J", "", ""}};
    const FitsColumn object[] = {{"PLATE", "J", "", ""},    {"MJD", "J", "", ""},    {"FIBERID", "J", "", ""},
                                 {"Z", "E", "", ""},        {"CLASS", "6A", "", ""}, {"RUN2D", "8A", "", ""},
                                 {"OBJTYPE", "16A", "", ""}};
    const int32_t number[] = {(int32_t)s->plate, 51602, 13};
    const float z = 0.25f;
    snprintf(path, sizeof path, "%s/%s", test_folder(), name);
    CHECK_OK(fitsfile_create(&f, path));
    CHECK_OK(fitsfile_put_i64(&f, "PLATEID", s->plate, ""));
    CHECK_OK(fitsfile_put_i64(&f, "MJD", 51602, ""));
    CHECK_OK(fitsfile_put_i64(&f, "FIBERID", 13, ""));
    CHECK_OK(fitsfile_put_f64(&f, "PLUG_RA", 150.5, ""));
    CHECK_OK(fitsfile_put_f64(&f, "PLUG_DEC", 2.25, ""));
    CHECK_OK(fitsfile_put_bool(&f, "VACUUM", !s->air, ""));
    CHECK_OK(fitsfile_new_table(&f, "COADD", coadd, 4, N_PIXELS));
    CHECK_OK(fitsfile_write_column(&f, "flux", FITS_F32, s->flux, 0, N_PIXELS));
    CHECK_OK(fitsfile_write_column(&f, "loglam", FITS_F32, s->loglam, 0, N_PIXELS));
    CHECK_OK(fitsfile_write_column(&f, "ivar", FITS_F32, s->ivar, 0, N_PIXELS));
    CHECK_OK(fitsfile_write_column(&f, "and_mask", FITS_I32, s->and_mask, 0, N_PIXELS));
    CHECK_OK(fitsfile_new_table(&f, "SPALL", object, 7, 1));
    CHECK_OK(fitsfile_write_column(&f, "PLATE", FITS_I32, &number[0], 0, 1));
    CHECK_OK(fitsfile_write_column(&f, "MJD", FITS_I32, &number[1], 0, 1));
    CHECK_OK(fitsfile_write_column(&f, "FIBERID", FITS_I32, &number[2], 0, 1));
    CHECK_OK(fitsfile_write_column(&f, "Z", FITS_F32, &z, 0, 1));
    CHECK_OK(fitsfile_write_text(&f, "CLASS", "QSO", 4, 0, 1));
    CHECK_OK(fitsfile_write_text(&f, "RUN2D", "v5_13_2", 8, 0, 1));
    CHECK_OK(fitsfile_write_text(&f, "OBJTYPE", "SKY", 4, 0, 1));
    CHECK_OK(fitsfile_finish(&f));
    return path;
}

static SpectrumBatch read_one(const char *path, const SdssConfig *config, int64_t plate)
{
    SpectrumBatch batch;
    CatalogRow row;
    catalog_new_row(&row);
    CHECK_OK(spectra_batch(&batch, 1, &test_arena));
    CU_ASSERT_TRUE(sdss_targetid(&row.targetid, &(SdssName){plate, 51602, 13}));
    CHECK_OK(sdss_read_spectra(&batch, 0, config, &preset, path, &row, 1, &test_arena));
    return batch;
}

static void a_whole_spectrum_has_no_flag(void)
{
    SpectrumBatch b = read_one(write_spectrum(new_spectrum(), "spec-0266-51602-0013.fits"), &any_bit, 266);
    CU_ASSERT_EQUAL(b.flag[0], 0);
    for (int p = 0; p < GRID_PIXELS; p++) CU_ASSERT_FATAL(b.flux[p] == 4 && b.ivar[p] >= 9);
    for (int s = 0; s < N_ARMS; s++) CU_ASSERT(b.stats[STAT_FRAC_MASKED_B + s] == 0 && b.stats[STAT_SNR_B + s] >= 12);
}

static void masked_pixels_and_their_bits(void)
{
    Made *s = new_spectrum();
    for (int k = 1000; k < 1010; k++) s->and_mask[k] = 1 << 23, s->flux[k] = 1e30f;
    for (int k = 2000; k < 2010; k++) s->and_mask[k] = 1 << 4;
    SdssConfig config = any_bit;
    const char *path = write_spectrum(s, "spec-0266-51602-0013.fits");
    SpectrumBatch all = read_one(path, &config, 266);
    config.mask_bits = 1 << 23;
    SpectrumBatch sky = read_one(path, &config, 266);
    config.mask_bits = 0;
    SpectrumBatch none = read_one(path, &config, 266);
    int64_t bad[3] = {0};
    for (int p = 0; p < GRID_PIXELS; p++) {
        bad[0] += all.ivar[p] == 0, bad[1] += sky.ivar[p] == 0, bad[2] += none.ivar[p] == 0;
        CU_ASSERT_FATAL(all.flux[p] == (all.ivar[p] > 0 ? 4.0f : 0.0f));
    }
    CU_ASSERT(all.flag[0] == SPECTRUM_BAD_PIXELS && sky.flag[0] == SPECTRUM_BAD_PIXELS && none.flag[0] == 0);
    CU_ASSERT(bad[0] > bad[1] && bad[1] > 10 && bad[2] == 0); /* 10 pixels of 1.0 Angstrom touch 13 or 14 of 0.8 */
}

static void a_survey_that_ends_early_has_gaps(void)
{
    Made *s = new_spectrum();
    for (int k = 0; k < N_PIXELS; k++)
        if (s->loglam[k] < 3.58f || s->loglam[k] > 3.963f) s->ivar[k] = 0; /* 3802 .. 9183 */
    SpectrumBatch b = read_one(write_spectrum(s, "spec-0266-51602-0013.fits"), &any_bit, 266);
    CU_ASSERT_EQUAL(b.flag[0], SPECTRUM_BAD_PIXELS);
    CU_ASSERT(fabsf(b.stats[STAT_FRAC_MASKED_B] - 253.0f / 2751) < 2e-3f);
    CU_ASSERT(b.stats[STAT_FRAC_MASKED_R] == 0);
    CU_ASSERT(fabsf(b.stats[STAT_FRAC_MASKED_Z] - 802.0f / 2881) < 2e-3f);
    for (int k = 0; k < N_PIXELS; k++)
        if (s->loglam[k] > 3.75f) s->ivar[k] = 0; /* 5623: nothing of R and Z */
    b = read_one(write_spectrum(s, "spec-0266-51602-0013.fits"), &any_bit, 266);
    CU_ASSERT_EQUAL(b.flag[0], SPECTRUM_BAD_PIXELS | SPECTRUM_MISSING_ARM | SPECTRUM_MASKED);
    memset(s->ivar, 0, sizeof s->ivar);
    b = read_one(write_spectrum(s, "spec-0266-51602-0013.fits"), &any_bit, 266);
    CU_ASSERT_TRUE(b.flag[0] & SPECTRUM_NO_DATA);
}

static void nonfinite_pixels_are_gaps_and_said(void)
{
    Made *s = new_spectrum();
    s->flux[100] = NAN, s->ivar[3000] = INFINITY;
    SpectrumBatch b = read_one(write_spectrum(s, "spec-0266-51602-0013.fits"), &any_bit, 266);
    CU_ASSERT_EQUAL(b.flag[0], SPECTRUM_BAD_PIXELS | SPECTRUM_NONFINITE);
    for (int p = 0; p < GRID_PIXELS; p++) CU_ASSERT_FATAL(isfinite(b.flux[p]) && isfinite(b.ivar[p]));
}

static void other_spectra_and_other_grids_are_flagged(void)
{
    Made *s = new_spectrum();
    const char *path = write_spectrum(s, "spec-0266-51602-0013.fits");
    CU_ASSERT_EQUAL(read_one(path, &any_bit, 267).flag[0], SPECTRUM_NO_ROW);
    s->loglam[50] = s->loglam[49];
    CU_ASSERT_EQUAL(read_one(write_spectrum(s, "spec-0266-51602-0013.fits"), &any_bit, 266).flag[0], SPECTRUM_BAD_GRID);
    s = new_spectrum();
    s->air = true;
    CU_ASSERT_EQUAL(read_one(write_spectrum(s, "spec-0266-51602-0013.fits"), &any_bit, 266).flag[0], SPECTRUM_BAD_GRID);
    CU_ASSERT_EQUAL(read_one("/nowhere/spec-0266-51602-0013.fits", &any_bit, 266).flag[0], SPECTRUM_NO_FILE);
}

/* Whatever the length that is left, no crash: a flag and no pixels, and a row with the name's key. */
static void cut_files_are_flagged(void)
{
    const char *path = write_spectrum(new_spectrum(), "spec-0266-51602-0013.fits");
    struct stat info;
    CU_ASSERT_EQUAL_FATAL(stat(path, &info), 0);
    SdssConfig config = any_bit;
    config.root = test_folder();
    for (long long size = info.st_size - 2880; size >= 0; size -= size > 20000 ? 17280 : 960) {
        CU_ASSERT_EQUAL_FATAL(truncate(path, (off_t)size), 0);
        SpectrumBatch b = read_one(path, &any_bit, 266);
        CU_ASSERT_EQUAL(b.flag[0], SPECTRUM_UNREADABLE);
        for (int p = 0; p < GRID_PIXELS; p += 100) CU_ASSERT_FATAL(b.flux[p] == 0 && b.ivar[p] == 0);
        CatalogRow row;
        SdssName name;
        CHECK_OK(sdss_read_redshifts(&row, &config, "spec-0266-51602-0013.fits", 0, 1, &test_arena));
        CU_ASSERT(sdss_identity(&name, row.targetid) && name.plate == 266 && name.fiber == 13);
        CU_ASSERT(isnan(row.z) && row.has_spectrum == 1 && strcmp(row.survey, "sdss") == 0);
        CU_ASSERT(size < 2880 ? isnan(row.ra) : row.ra == 150.5 && row.dec == 2.25);
    }
}

/* ---- rows and paths ---- */

static void rows_take_the_words_of_boss(void)
{
    SdssConfig config = any_bit;
    CatalogRow row;
    int64_t n;
    config.root = test_folder();
    write_spectrum(new_spectrum(), "spec-0266-51602-0013.fits");
    CHECK_OK(sdss_count_redshifts(&n, &config, "spec-0266-51602-0013.fits", &test_arena));
    CU_ASSERT_EQUAL(n, 1);
    if (!CHECK_OK(sdss_read_redshifts(&row, &config, "spec-0266-51602-0013.fits", 0, 1, &test_arena))) return;
    CU_ASSERT_STRING_EQUAL(row.survey, "boss"); /* no SURVEY, no PROGRAMNAME: RUN2D v... */
    CU_ASSERT_STRING_EQUAL(row.program, "v5_13_2");
    CU_ASSERT_STRING_EQUAL(row.spectype, "QSO");
    CU_ASSERT_STRING_EQUAL(row.objtype, "SKY");
    CU_ASSERT(row.z == 0.25 && row.ra == 150.5 && row.dec == 2.25 && row.zcat_primary == PRIMARY_UNKNOWN &&
              isnan(row.ebv));
}

static void folders_are_searched_and_sorted(void)
{
    static const char *const names[] = {"v5/spectra/lite/4055/spec-4055-55359-0006.fits",
                                        "0266/spec-0266-51602-0014.fits", "0266/notes.txt",
                                        "spec-0266-51602-0013.fits.gz", "a/b/c/d/e/spec-1-51602-1.fits"};
    char root[512], path[1100];
    snprintf(root, sizeof root, "%s/tree", test_folder());
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", root, names[i]);
        for (char *c = path + 1; (c = strchr(c, '/')); *c++ = '/') *c = '\0', mkdir(path, 0777);
        FILE *f = fopen(path, "w");
        CU_ASSERT_PTR_NOT_NULL_FATAL(f);
        fclose(f);
    }
    SdssConfig config = any_bit;
    FileList list = {0};
    config.root = root;
    if (!CHECK_OK(sdss_list_redshifts(&list, &config, &test_arena))) return;
    CU_ASSERT_EQUAL_FATAL(list.n, 3);
    CU_ASSERT_STRING_EQUAL(list.path[0], names[1]);
    CU_ASSERT_STRING_EQUAL(list.path[1], names[3]);
    CU_ASSERT_STRING_EQUAL(list.path[2], names[0]);
    config.root = "/nowhere";
    CHECK_FAILS(sdss_list_redshifts(&list, &config, &test_arena), E_INPUT);
}

static void a_catalog_leads_to_its_files(void)
{
    SdssConfig config = any_bit;
    config.catalog = "specObj.fits";
    CatalogRow row;
    char path[512];
    catalog_new_row(&row);
    sdss_targetid(&row.targetid, &(SdssName){266, 51602, 13});
    memcpy(row.program, "26", 2);
    static const char *const expected[] = {"26/spectra/lite/0266/spec-0266-51602-0013.fits",
                                           "26/spectra/full/0266/spec-0266-51602-0013.fits",
                                           "26/spectra/0266/spec-0266-51602-0013.fits",
                                           "0266/spec-0266-51602-0013.fits", "spec-0266-51602-0013.fits"};
    for (config.layout = SDSS_LITE; config.layout <= SDSS_FLAT; config.layout++) {
        CHECK_OK(sdss_survey.spectrum_file(path, sizeof path, &config, &row, NULL));
        CU_ASSERT_STRING_EQUAL(path, expected[config.layout]);
    }
    row.targetid = 5;
    CHECK_FAILS(sdss_survey.spectrum_file(path, sizeof path, &config, &row, NULL), E_INPUT);

    char *files[] = {"a.fits", "b/spec-0266-51602-0013.fits"};
    const FileList list = {files, 2};
    config.catalog = "";
    row.source_file = 1;
    CHECK_OK(sdss_survey.spectrum_file(path, sizeof path, &config, &row, &list));
    CU_ASSERT_STRING_EQUAL(path, files[1]);
    row.source_file = 2;
    CHECK_FAILS(sdss_survey.spectrum_file(path, sizeof path, &config, &row, &list), E_INPUT);
}

static void catalogs_are_read_in_ranges(void)
{
    enum { ROWS = 5 };
    const FitsColumn columns[] = {{"PLATE", "J", "", ""},   {"MJD", "J", "", ""},      {"FIBERID", "J", "", ""},
                                  {"Z", "E", "", ""},       {"Z_ERR", "E", "", ""},    {"ZWARNING", "J", "", ""},
                                  {"CLASS", "6A", "", ""},  {"SURVEY", "6A", "", ""},  {"RUN2D", "9A", "", ""},
                                  {"PLUG_RA", "D", "", ""}, {"PLUG_DEC", "D", "", ""}, {"SPECPRIMARY", "B", "", ""}};
    const int32_t plate[ROWS] = {1, 2, -3, 4, 5}, mjd[ROWS] = {55000, 55001, 55002, 55003, 55004},
                  fiber[ROWS] = {1, 2, 3, 4, 5}, warning[ROWS] = {0, 4, 0, 128, 0};
    const float z[ROWS] = {0.1f, 0.2f, 0.3f, 0.4f, 0.5f};
    const double position[ROWS] = {10, 20, 30, 40, 50};
    const uint8_t primary[ROWS] = {1, 0, 1, 0, 1};
    char text[ROWS][9] = {"26", "103", "v5_13_2", "v5_7_0", "v5_10_1"}, path[600];
    FitsFile f = {0};
    SdssConfig config = any_bit;
    config.root = test_folder(), config.catalog = "specObj.fits";
    snprintf(path, sizeof path, "%s/specObj.fits", test_folder());
    CHECK_OK(fitsfile_create(&f, path));
    CHECK_OK(fitsfile_new_table(&f, "SPECOBJ", columns, 12, ROWS));
    CHECK_OK(fitsfile_write_column(&f, "PLATE", FITS_I32, plate, 0, ROWS));
    CHECK_OK(fitsfile_write_column(&f, "MJD", FITS_I32, mjd, 0, ROWS));
    CHECK_OK(fitsfile_write_column(&f, "FIBERID", FITS_I32, fiber, 0, ROWS));
    CHECK_OK(fitsfile_write_column(&f, "Z", FITS_F32, z, 0, ROWS));
    CHECK_OK(fitsfile_write_column(&f, "Z_ERR", FITS_F32, z, 0, ROWS));
    CHECK_OK(fitsfile_write_column(&f, "ZWARNING", FITS_I32, warning, 0, ROWS));
    CHECK_OK(fitsfile_write_column(&f, "PLUG_RA", FITS_F64, position, 0, ROWS));
    CHECK_OK(fitsfile_write_column(&f, "PLUG_DEC", FITS_F64, position, 0, ROWS));
    CHECK_OK(fitsfile_write_column(&f, "SPECPRIMARY", FITS_U8, primary, 0, ROWS));
    CHECK_OK(fitsfile_write_text(&f, "RUN2D", text[0], sizeof *text, 0, ROWS));
    CHECK_OK(fitsfile_finish(&f));
    int64_t n = 0;
    CatalogRow row[ROWS];
    CHECK_OK(sdss_count_redshifts(&n, &config, "specObj.fits", &test_arena));
    CU_ASSERT_EQUAL(n, ROWS);
    CHECK_OK(sdss_read_redshifts(row, &config, "specObj.fits", 0, 2, &test_arena));
    CHECK_OK(sdss_read_redshifts(row + 2, &config, "specObj.fits", 2, 3, &test_arena));
    for (int i = 0; i < ROWS; i++) {
        CU_ASSERT(row[i].source_row == i && row[i].z == (double)z[i] && row[i].zwarn == warning[i]);
        CU_ASSERT(row[i].ra == position[i] && row[i].zcat_primary == primary[i]);
        CU_ASSERT_STRING_EQUAL(row[i].program, text[i]);
        CU_ASSERT_STRING_EQUAL(row[i].survey, i < 2 ? "sdss" : "boss");
        CU_ASSERT_EQUAL(row[i].targetid < 0, plate[i] < 0);
    }
    CHECK_FAILS(sdss_read_redshifts(row, &config, "specObj.fits", 4, 2, &test_arena), E_INPUT);
}

static void reductions_with_long_names_must_be_named(void)
{
    const FitsColumn columns[] = {{"PLATE", "J", "", ""},
                                  {"MJD", "J", "", ""},
                                  {"FIBERID", "J", "", ""},
                                  {"RUN2D", "9A", "", ""}};
    const int32_t number = 55000;
    char path[600];
    FitsFile f = {0};
    SdssConfig config = any_bit;
    CatalogRow row;
    config.root = test_folder(), config.catalog = "spAll.fits";
    snprintf(path, sizeof path, "%s/spAll.fits", test_folder());
    CHECK_OK(fitsfile_create(&f, path));
    CHECK_OK(fitsfile_new_table(&f, "SPALL", columns, 4, 1));
    CHECK_OK(fitsfile_write_column(&f, "PLATE", FITS_I32, &number, 0, 1));
    CHECK_OK(fitsfile_write_column(&f, "MJD", FITS_I32, &number, 0, 1));
    CHECK_OK(fitsfile_write_text(&f, "RUN2D", "v5_10_10", 9, 0, 1));
    CHECK_OK(fitsfile_finish(&f));
    CHECK_FAILS(sdss_read_redshifts(&row, &config, "spAll.fits", 0, 1, &test_arena), E_INPUT);
    config.run2d = "v5_10_10";
    CHECK_OK(sdss_read_redshifts(&row, &config, "spAll.fits", 0, 1, &test_arena));
    CHECK_OK(sdss_survey.spectrum_file(path, sizeof path, &config, &row, NULL));
    CU_ASSERT_STRING_EQUAL(path, "v5_10_10/spectra/lite/55000/spec-55000-55000-0000.fits");
}

static void the_section_says_what_to_read(void)
{
    static const char text[] = "release: {spectra: {kind: sdss, root: here, files: [a.fits]}}\n";
    const ConfigSection *sections[] = {&release_section, NULL};
    const char *const both[] = {"release.spectra.catalog=specObj.fits"}, *const way_out[] = {
                                                                             "release.spectra.run2d=../26"};
    Config *config;
    FileList list = {0};
    if (!CHECK_OK(config_parse(&config, "run.yaml", text, sizeof text - 1, NULL, 0, sections, NULL, &test_arena)))
        return;
    const ReleaseConfig *r = config_get(config, &release_section);
    const SdssConfig *c = r->spectra.config;
    CU_ASSERT_PTR_EQUAL(release_spectra(r), &sdss_survey);
    CU_ASSERT(c->layout == SDSS_LITE && c->mask_bits == any_bit.mask_bits);
    CU_ASSERT_STRING_EQUAL(sdss_survey.specprod(c), "sdss");
    CHECK_OK(sdss_list_redshifts(&list, c, &test_arena));
    CU_ASSERT(list.n == 1 && strcmp(list.path[0], "a.fits") == 0);
    CHECK_FAILS(config_parse(&config, "run.yaml", text, sizeof text - 1, both, 1, sections, NULL, &test_arena),
                E_CONFIG);
    CHECK_FAILS(config_parse(&config, "run.yaml", text, sizeof text - 1, way_out, 1, sections, NULL, &test_arena),
                E_CONFIG);
}

TEST_MAIN("sdss", {"the section says what to read", the_section_says_what_to_read},
          {"TARGETIDs are positive, ordered and invertible", targetids_are_positive_and_invertible},
          {"names of files are read strictly", names_of_files_are_read_strictly},
          {"a whole spectrum has no flag", a_whole_spectrum_has_no_flag},
          {"masked pixels are gaps, by the bits asked for", masked_pixels_and_their_bits},
          {"what the survey does not reach is a gap", a_survey_that_ends_early_has_gaps},
          {"NaN and Inf are gaps and flagged", nonfinite_pixels_are_gaps_and_said},
          {"another observation, grid or medium is flagged", other_spectra_and_other_grids_are_flagged},
          {"cut files are flagged and keep their row", cut_files_are_flagged},
          {"rows take the words of BOSS", rows_take_the_words_of_boss},
          {"folders are searched and sorted", folders_are_searched_and_sorted},
          {"a catalog leads to its files, in every layout", a_catalog_leads_to_its_files},
          {"catalogs are read in ranges", catalogs_are_read_in_ranges},
          {"reductions with long names must be named", reductions_with_long_names_must_be_named})
