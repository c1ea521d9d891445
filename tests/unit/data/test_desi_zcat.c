/* DESI redshift files: zcatalog and redrock files written here come back as rows; broken ones are refused with a
   reason. */
#include "test_main.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/desi.h"
#include "data/healpix.h"
#include "small_table.h"

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

/* All rows of a file. */
static Status read_all(CatalogRow **rows, int64_t *n, const DesiConfig *config, const char *path)
{
    TRY(desi_count_redshifts(n, config, path, &test_arena));
    TRY(arena_new(rows, &test_arena, *n));
    return desi_read_redshifts(*rows, config, path, 0, *n, &test_arena);
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
    if (!CHECK_OK(read_all(&rows, &n, &config, "zall-pix-iron.fits"))) return;
    check_rows(rows, n);
    CU_ASSERT_STRING_EQUAL(rows[0].program, "bright");
    CU_ASSERT_STRING_EQUAL(rows[2].survey, "sv3");
    CHECK_OK(read_all(&rows, &n, &config, file("zall-pix-iron.fits"))); /* absolute path */
}

static void redrock_rows_come_back(void)
{
    DesiConfig config = survey_config(REDSHIFTS_REDROCK);
    CatalogRow *rows = NULL;
    int64_t n = 0;
    CHECK_OK(write_redshifts(file("redrock.fits"), REDROCK));
    if (!CHECK_OK(read_all(&rows, &n, &config, "redrock.fits"))) return;
    check_rows(rows, n);
    CU_ASSERT_STRING_EQUAL(rows[0].survey, "main");
    CU_ASSERT_STRING_EQUAL(rows[0].program, "dark"); /* not FIBERMAP's tertiary38 */
}

static void broken_redshift_files_are_input_errors(void)
{
    DesiConfig redrock = survey_config(REDSHIFTS_REDROCK), zcatalog = survey_config(REDSHIFTS_ZCATALOG);
    CatalogRow *rows;
    int64_t n;
    CHECK_FAILS(read_all(&rows, &n, &zcatalog, "nowhere.fits"), E_INPUT);
    CHECK_OK(write_redshifts(file("shuffled.fits"), REDROCK_SHUFFLED));
    CHECK_FAILS(read_all(&rows, &n, &redrock, "shuffled.fits"), E_INPUT);
    CHECK_FAILS(read_all(&rows, &n, &zcatalog, "shuffled.fits"), E_INPUT); /* no HDU ZCATALOG */
    CHECK_OK(write_redshifts(file("bare.fits"), BARE));
    CHECK_FAILS(read_all(&rows, &n, &zcatalog, "bare.fits"), E_INPUT); /* no Z */
    CHECK_OK(write_redshifts(file("nameless.fits"), NO_NAME));
    CHECK_FAILS(read_all(&rows, &n, &zcatalog, "nameless.fits"), E_INPUT); /* no SURVEY */
    CHECK_OK(write_redshifts(file("zpix-main-dark.fits"), NO_NAME));
    if (CHECK_OK(read_all(&rows, &n, &zcatalog, "zpix-main-dark.fits"))) /* its name says it */
        CU_ASSERT_STRING_EQUAL(rows[0].survey, "main");
    CU_ASSERT_EQUAL_FATAL(truncate(file("zpix-main-dark.fits"), 2880 * 2 + 100), 0);
    CHECK_FAILS(read_all(&rows, &n, &zcatalog, "zpix-main-dark.fits"), E_INPUT);
}

/* ---- other layouts ---- */

/* A redrock file of two targets: no SURVEY or PROGRAM anywhere, as by tile, where `number` is NULL. */
static Status write_bare_redrock(const char *path, const char *number, int32_t value)
{
    static const int64_t zwarn[2] = {0, 0}, bits[2] = {1, 2};
    static const double z[2] = {0.5, 0.6}, ra[2] = {150.1, 150.2}, dec[2] = {2.2, 2.3};
    static const float depth[2] = {80, 90};
    static const SmallColumn redshifts[] = {{"TARGETID", "K", FITS_I64, targets, 0},
                                            {"Z", "D", FITS_F64, z, 0},
                                            {"ZWARN", "K", FITS_I64, zwarn, 0}},
                             fibermap[] = {{"TARGETID", "K", FITS_I64, targets, 0},
                                           {"TARGET_RA", "D", FITS_F64, ra, 0},
                                           {"TARGET_DEC", "D", FITS_F64, dec, 0},
                                           {"SV3_DESI_TARGET", "K", FITS_I64, bits, 0},
                                           {"DESI_TARGET", "K", FITS_I64, zwarn, 0}},
                             tsnr2[] = {{"TARGETID", "K", FITS_I64, targets, 0},
                                        {"TSNR2_LRG", "E", FITS_F32, depth, 0}};
    FitsFile f = {0};
    TRY(fitsfile_create(&f, path));
    if (number) {
        TRY(fitsfile_put_text(&f, "SURVEY", "main", ""));
        TRY(fitsfile_put_text(&f, "PROGRAM", "dark", ""));
        TRY(fitsfile_put_i64(&f, number, value, ""));
    }
    TRY(SMALL_TABLE(&f, "REDSHIFTS", redshifts, 2));
    TRY(SMALL_TABLE(&f, "FIBERMAP", fibermap, 2));
    if (!number) TRY(fitsfile_put_text(&f, "FAPRGRM", "dark", ""));
    TRY(SMALL_TABLE(&f, "TSNR2", tsnr2, 2));
    return fitsfile_finish(&f);
}

static void redrock_files_by_tile_name_their_tile(void)
{
    DesiConfig config = survey_config(REDSHIFTS_REDROCK);
    CatalogRow *rows = NULL;
    int64_t n = 0;
    config.layout = LAYOUT_TILES;
    CHECK_OK(write_bare_redrock(file("redrock-5-169-thru20210419.fits"), NULL, 0));
    if (!CHECK_OK(read_all(&rows, &n, &config, "redrock-5-169-thru20210419.fits"))) return;
    CU_ASSERT(n == 2 && rows[1].tileid == 169 && rows[1].night == 20210419 && rows[1].petal == 5);
    CU_ASSERT(rows[1].healpix == healpix_pixel(150.2, 2.3) && rows[1].uniqpix == 0);
    CU_ASSERT(strcmp(rows[1].program, "dark") == 0 && rows[1].survey[0] == '\0'); /* the file does not say */
    CU_ASSERT(rows[1].tsnr2_lrg == 90 && rows[0].tsnr2_lrg == 80);                /* HDU TSNR2 */
    CU_ASSERT(rows[0].desi_target == 1 &&
              rows[0].target_class == 1 << CLASS_LRG); /* SV3_DESI_TARGET, not DESI_TARGET */
}

static void redrock_files_by_uniqpix_name_it(void)
{
    DesiConfig config = survey_config(REDSHIFTS_REDROCK);
    CatalogRow *rows = NULL;
    int64_t n = 0;
    int32_t uniqpix = healpix_uniqpix(128, 150.2, 2.3);
    char name[64];
    config.layout = LAYOUT_UNIQPIX;
    snprintf(name, sizeof name, "redrock-main-dark-%d.fits", uniqpix);
    for (int k = 0; k < 2; k++) { /* by its header; by its name */
        CHECK_OK(write_bare_redrock(file(name), k ? NULL : "UNIQPIX", uniqpix));
        if (!CHECK_OK(read_all(&rows, &n, &config, name))) return;
        CU_ASSERT(n == 2 && rows[1].uniqpix == uniqpix && rows[1].healpix == healpix_pixel(150.2, 2.3));
        CU_ASSERT(strcmp(rows[1].survey, "main") == 0 && rows[1].tileid == 0);
    }
}

static void a_real_redrock_file_is_read(void)
{
    DesiConfig config = survey_config(REDSHIFTS_REDROCK);
    CatalogRow *rows = NULL;
    int64_t n = 0;
    const char *path = test_shared("data/desi/redrock-special-dark-27247.fits");
    if (!test_needs_file(path) || !CHECK_OK(read_all(&rows, &n, &config, path))) return;
    CU_ASSERT_EQUAL_FATAL(n, 1);
    CU_ASSERT_DOUBLE_EQUAL(rows[0].z, 0.00727, 5e-6); /* README of the data */
    CU_ASSERT(strcmp(rows[0].survey, "special") == 0 && strcmp(rows[0].program, "dark") == 0);
    CU_ASSERT_EQUAL(rows[0].healpix, 27247);
    CU_ASSERT_EQUAL(healpix_pixel(rows[0].ra, rows[0].dec), 27247);
    CU_ASSERT_EQUAL(rows[0].unknown_z, 1 << CLASS_ELG | 1 << CLASS_QSO);
}

TEST_MAIN("desi_zcat", {"zcatalog rows come back", zcatalog_rows_come_back},
          {"redrock rows come back", redrock_rows_come_back},
          {"broken redshift files are input errors", broken_redshift_files_are_input_errors},
          {"redrock files by tile name their tile", redrock_files_by_tile_name_their_tile},
          {"redrock files by UNIQPIX name it", redrock_files_by_uniqpix_name_it},
          {"a real redrock file is read", a_real_redrock_file_is_read})
