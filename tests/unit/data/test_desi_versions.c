/* Redshift catalogues of every version (v0, v1, v2 with its parts, tiles, UNIQPIX): the same objects, written in each
   layout, come back as the same rows, in whatever pieces they are read. And their warts. */
#include "test_main.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "data/desi.h"
#include "data/healpix.h"
#include "small_table.h"

enum { N = 5000, CELL = 8 }; /* more rows than one chunk of the reader */

/* The objects. */
static struct {
    int64_t id[N], zwarn[N], desi[N], bgs[N], sv3_desi[N], sv3_bgs[N];
    int32_t pixel[N], fiberstatus[N], brickid[N], uniqpix[N], tileid[N], night[N], maskbits[N];
    int16_t petal[N], release[N];
    double z[N], zerr[N], chi[N], ra[N], dec[N];
    float flux_r[N], ebv[N], depth[N];
    char survey[N][CELL], program[N][CELL], spectype[N][CELL], objtype[N][CELL], morphtype[N][CELL], photsys[N][CELL];
    uint8_t primary[N], main_primary[N], sv_primary[N];
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
        bool sv = i % 5 == 4;
        sky.id[i] = 39627000000000001 + 2 * i; /* odd: no float64 holds it */
        sky.zwarn[i] = i % 11 == 0 ? 4 : 0;
        sky.desi[i] = i % 3 == 0 ? 1 : i % 3 == 1 ? 2 : 1LL << 60;
        sky.sv3_desi[i] = 4;
        sky.bgs[i] = i % 3 == 2;
        sky.ra[i] = 0.07 * i;
        sky.dec[i] = -20 + 0.01 * i;
        sky.pixel[i] = healpix_pixel(sky.ra[i], sky.dec[i]);
        sky.uniqpix[i] = healpix_uniqpix(128, sky.ra[i], sky.dec[i]);
        sky.tileid[i] = 1000 + i / 500;
        sky.night[i] = 20210400 + i / 500;
        sky.petal[i] = (int16_t)(i / 50 % 10);
        sky.fiberstatus[i] = i % 7 == 0 ? 8 : 0;
        sky.brickid[i] = i;
        sky.release[i] = 9010;
        sky.maskbits[i] = i % 4;
        sky.z[i] = 1e-4 * i;
        sky.zerr[i] = 1e-5;
        sky.chi[i] = i % 100;
        sky.flux_r[i] = (float)i;
        sky.ebv[i] = 0.01f;
        sky.depth[i] = (float)(100 + i % 13);
        sky.primary[i] = i % 2;
        sky.main_primary[i] = i % 3 == 0;
        sky.sv_primary[i] = i % 4 == 0;
        put(sky.survey[i], sv ? "sv3" : "main");
        put(sky.program[i], "dark");
        put(sky.spectype[i], i % 10 ? "GALAXY" : "QSO");
        put(sky.objtype[i], "TGT");
        put(sky.morphtype[i], "SER");
        put(sky.photsys[i], "S");
    }
}

static const char *file(const char *name)
{
    static char path[4][2048];
    static int next;
    char *out = path[next++ % 4];
    snprintf(out, sizeof path[0], "%s/%s", test_folder(), name);
    return out;
}

#define I64(name, field)                                                                                               \
    {                                                                                                                  \
        name, "K", FITS_I64, sky.field, 0                                                                              \
    }
#define I32(name, field)                                                                                               \
    {                                                                                                                  \
        name, "J", FITS_I32, sky.field, 0                                                                              \
    }
#define I16(name, field)                                                                                               \
    {                                                                                                                  \
        name, "I", FITS_I16, sky.field, 0                                                                              \
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

#define KEY_COLUMNS I64("TARGETID", id), TEXT("SURVEY", "7A", survey), TEXT("PROGRAM", "6A", program)
#define PLAIN_REDSHIFTS                                                                                                \
    F64("Z", z), F64("ZERR", zerr), I64("ZWARN", zwarn), TEXT("SPECTYPE", "6A", spectype), F64("DELTACHI2", chi)
#define TARGET_COLUMNS                                                                                                 \
    I32("COADD_FIBERSTATUS", fiberstatus), F64("TARGET_RA", ra), F64("TARGET_DEC", dec), TEXT("OBJTYPE", "3A", objtype)
#define TARGETING_COLUMNS                                                                                              \
    I64("DESI_TARGET", desi), I64("BGS_TARGET", bgs), I64("SV3_DESI_TARGET", sv3_desi), I64("SV3_BGS_TARGET", sv3_bgs)
#define PHOTOMETRY_COLUMNS                                                                                             \
    I16("RELEASE", release), I32("BRICKID", brickid), TEXT("MORPHTYPE", "4A", morphtype), I32("MASKBITS", maskbits),   \
        F32("FLUX_R", flux_r), F32("EBV", ebv), TEXT("PHOTSYS", "1A", photsys)

static const SmallColumn all_in_one[] = {
    KEY_COLUMNS,        I32("HEALPIX", pixel),         PLAIN_REDSHIFTS,        TARGET_COLUMNS, TARGETING_COLUMNS,
    PHOTOMETRY_COLUMNS, FLAG("ZCAT_PRIMARY", primary), F32("TSNR2_LRG", depth)};
static const SmallColumn core_v2[] = {KEY_COLUMNS,
                                      I32("HEALPIX", pixel),
                                      F64("Z", zerr), /* the first redrock fit, where both are given */
                                      F64("Z_BEST", z),
                                      F64("ZERR_BEST", zerr),
                                      I64("ZWARN_BEST", zwarn),
                                      TEXT("SPECTYPE_BEST", "6A", spectype),
                                      F64("DELTACHI2_BEST", chi),
                                      TARGET_COLUMNS,
                                      TARGETING_COLUMNS,
                                      FLAG("ZCAT_PRIMARY", primary)};
static const SmallColumn imaging_v2[] = {I64("TARGETID", id), I32("HEALPIX", uniqpix), PHOTOMETRY_COLUMNS};
static const SmallColumn extra_v2[] = {
    I64("TARGETID", id),          I32("HEALPIX", uniqpix),        F64("Z", zerr),         I64("ZWARN", zwarn),
    TEXT("SURVEY", "7A", survey), TEXT("PROGRAM", "6A", program), F32("TSNR2_LRG", depth)};

static Status write_table(const char *name, const char *extname, const SmallColumn *columns, size_t n_columns,
                          int64_t n)
{
    FitsFile f = {0};
    Status st = fitsfile_create(&f, file(name));
    if (st == OK) st = small_table(&f, extname, columns, n_columns, n);
    if (st == OK) st = fitsfile_finish(&f);
    fitsfile_close(&f);
    return st;
}

#define WRITE(name, extname, columns) CHECK_OK(write_table(name, extname, columns, sizeof columns / sizeof *columns, N))

static DesiConfig configured(void)
{
    return (DesiConfig){.root = test_folder(), .specprod = "iron", .redshifts = REDSHIFTS_ZCATALOG};
}

static Status read_all(CatalogRow **rows, int64_t *n, const DesiConfig *config, const char *path)
{
    TRY(desi_count_redshifts(n, config, path, &test_arena));
    TRY(arena_new(rows, &test_arena, *n));
    return desi_read_redshifts(*rows, config, path, 0, *n, &test_arena);
}

/* The rows of a file that holds the whole sky; NULL where it could not be read. */
static CatalogRow *rows_of(const DesiConfig *config, const char *path)
{
    CatalogRow *rows = NULL;
    int64_t n = 0;
    if (!CHECK_OK(read_all(&rows, &n, config, path))) return NULL;
    CU_ASSERT_EQUAL(n, N);
    return n == N ? rows : NULL;
}

static int64_t count_wrong_rows(const CatalogRow *rows)
{
    int64_t wrong = 0;
    for (int i = 0; i < N; i++) {
        const CatalogRow *r = &rows[i];
        bool sv = i % 5 == 4;
        bool key = r->targetid == sky.id[i] && strcmp(r->survey, sky.survey[i]) == 0 && strcmp(r->program, "dark") == 0;
        bool z = r->z == sky.z[i] && r->zerr == sky.zerr[i] && r->zwarn == sky.zwarn[i] && r->deltachi2 == sky.chi[i] &&
                 strcmp(r->spectype, sky.spectype[i]) == 0;
        bool target = r->fiberstatus == sky.fiberstatus[i] && r->ra == sky.ra[i] && r->healpix == sky.pixel[i] &&
                      r->desi_target == (sv ? 4 : sky.desi[i]) && r->zcat_primary == sky.primary[i] &&
                      r->tsnr2_lrg == sky.depth[i];
        bool photometry = r->release == 9010 && r->brickid == i && r->maskbits == i % 4 && r->flux[1] == (float)i &&
                          isnan(r->flux[0]) && r->photsys == 'S' && strcmp(r->morphtype, "SER") == 0;
        wrong += !(key && z && target && photometry && r->source_row == i && r->has_spectrum == 1);
    }
    return wrong;
}

static void every_version_gives_the_same_rows(void)
{
    DesiConfig config = configured();
    make_sky();
    WRITE("zall-pix-fuji.fits", "ZCATALOG", all_in_one);    /* v0, v1 */
    WRITE("zall-pix-odd.fits", "MY_REDSHIFTS", all_in_one); /* found by its columns */
    WRITE("zall-pix-loa.fits", "ZCATALOG", core_v2);
    WRITE("zall-pix-loa-imaging.fits", "ZCATALOG_IMAGING", imaging_v2);
    WRITE("zall-pix-loa-extra.fits", "ZCATALOG_EXTRA", extra_v2); /* its Z is not the best one */
    const char *name[] = {"zall-pix-fuji.fits", "zall-pix-odd.fits", "zall-pix-loa.fits"};
    CatalogRow *rows[3];
    for (int k = 0; k < 3; k++) {
        rows[k] = rows_of(&config, name[k]);
        if (!rows[k]) return;
        CU_ASSERT_EQUAL(count_wrong_rows(rows[k]), 0);
        CU_ASSERT_EQUAL(memcmp(rows[k], rows[0], N * sizeof **rows), 0);
    }
}

static void rows_do_not_depend_on_the_pieces(void)
{
    DesiConfig config = configured();
    const char *name[] = {"zall-pix-fuji.fits", "zall-pix-loa.fits"};
    const int64_t cuts[] = {0, 1, 4095, 4096, 4097, 4999, N};
    make_sky();
    WRITE("zall-pix-fuji.fits", "ZCATALOG", all_in_one);
    WRITE("zall-pix-loa.fits", "ZCATALOG", core_v2);
    WRITE("zall-pix-loa-imaging.fits", "ZCATALOG_IMAGING", imaging_v2);
    for (int k = 0; k < 2; k++) {
        CatalogRow *whole = rows_of(&config, name[k]), *pieces;
        if (!whole || !CHECK_OK(arena_new(&pieces, &test_arena, N))) return;
        for (size_t c = 0; c + 1 < sizeof cuts / sizeof *cuts; c++)
            CHECK_OK(
                desi_read_redshifts(pieces + cuts[c], &config, name[k], cuts[c], cuts[c + 1] - cuts[c], &test_arena));
        CU_ASSERT_EQUAL(memcmp(whole, pieces, N * sizeof *whole), 0);
        CHECK_OK(desi_read_redshifts(pieces, &config, name[k], N, 0, &test_arena));
        CHECK_FAILS(desi_read_redshifts(pieces, &config, name[k], N - 1, 2, &test_arena), E_INPUT);
    }
}

static void parts_of_v2_may_be_absent(void)
{
    DesiConfig config = configured();
    make_sky();
    WRITE("zall-pix-alone.fits", "ZCATALOG", core_v2);
    CatalogRow *rows = rows_of(&config, "zall-pix-alone.fits");
    if (!rows) return;
    CU_ASSERT(rows[7].z == sky.z[7] && isnan(rows[7].flux[1]) && isnan(rows[7].tsnr2_lrg) && rows[7].release == 0);
}

/* Does the message of a failure name both? */
static void check_message(Status st, const char *one, const char *other)
{
    CU_ASSERT_EQUAL(st, E_INPUT);
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_record()->text, one));
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_record()->text, other));
    fail_clear();
}

static void parts_of_v2_must_belong_together(void)
{
    DesiConfig config = configured();
    CatalogRow *rows;
    make_sky();
    WRITE("zpix-main-dark.fits", "ZCATALOG", core_v2);
    CHECK_OK(write_table("zpix-main-dark-extra.fits", "ZCATALOG_EXTRA", extra_v2, 4, N - 1));
    if (!CHECK_OK(arena_new(&rows, &test_arena, N))) return;
    check_message(desi_read_redshifts(rows, &config, "zpix-main-dark.fits", 0, N, &test_arena), "zpix-main-dark.fits",
                  "zpix-main-dark-extra.fits");
    remove(file("zpix-main-dark-extra.fits"));
    sky.id[4500] += 2;
    WRITE("zpix-main-dark-imaging.fits", "ZCATALOG_IMAGING", imaging_v2);
    check_message(desi_read_redshifts(rows, &config, "zpix-main-dark.fits", 4400, 200, &test_arena),
                  "zpix-main-dark.fits", "zpix-main-dark-imaging.fits");
    CHECK_OK(desi_read_redshifts(rows, &config, "zpix-main-dark.fits", 0, 4500, &test_arena)); /* piece by piece */
}

static void primaries_of_a_phase_are_not_yet_primaries(void)
{
    static const SmallColumn columns[] = {KEY_COLUMNS, PLAIN_REDSHIFTS, TARGET_COLUMNS,
                                          FLAG("MAIN_PRIMARY", main_primary), FLAG("SV_PRIMARY", sv_primary)};
    DesiConfig config = configured();
    int64_t wrong = 0;
    make_sky();
    WRITE("zall-pix-phases.fits", "ZCATALOG", columns);
    CatalogRow *rows = rows_of(&config, "zall-pix-phases.fits");
    for (int i = 0; rows && i < N; i++) {
        bool best = i % 5 == 4 ? sky.sv_primary[i] : sky.main_primary[i];
        wrong += rows[i].zcat_primary != (best ? PRIMARY_UNKNOWN : 0);
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

static void uniqpix_comes_with_the_pixel_of_the_position(void)
{
    static const SmallColumn columns[] = {KEY_COLUMNS, I32("UNIQPIX", uniqpix), PLAIN_REDSHIFTS, TARGET_COLUMNS};
    DesiConfig config = configured();
    int64_t wrong = 0;
    config.layout = LAYOUT_UNIQPIX;
    make_sky();
    WRITE("zall-pix-nevis.fits", "ZCATALOG", columns);
    CatalogRow *rows = rows_of(&config, "zall-pix-nevis.fits");
    for (int i = 0; rows && i < N; i++) wrong += rows[i].uniqpix != sky.uniqpix[i] || rows[i].healpix != sky.pixel[i];
    CU_ASSERT_EQUAL(wrong, 0);
    config.layout = LAYOUT_HEALPIX; /* where no spectrum would be found */
    CHECK_FAILS(desi_read_redshifts(rows, &config, "zall-pix-nevis.fits", 0, 1, &test_arena), E_INPUT);
}

static void tiles_come_with_night_and_petal(void)
{
    static const SmallColumn last[] = {KEY_COLUMNS,
                                       PLAIN_REDSHIFTS,
                                       TARGET_COLUMNS,
                                       I32("TILEID", tileid),
                                       I32("LASTNIGHT", night),
                                       I32("SPGRPVAL", brickid),
                                       I16("PETAL_LOC", petal)};
    static const SmallColumn group[] = {KEY_COLUMNS,           PLAIN_REDSHIFTS,        TARGET_COLUMNS,
                                        I32("TILEID", tileid), I32("SPGRPVAL", night), I16("PETAL_LOC", petal)};
    DesiConfig config = configured();
    make_sky();
    WRITE("ztile-last.fits", "ZCATALOG", last);
    WRITE("ztile-group.fits", "ZCATALOG", group);
    for (int k = 0; k < 2; k++) {
        int64_t wrong = 0;
        config.layout = LAYOUT_TILES;
        CatalogRow *rows = rows_of(&config, k ? "ztile-group.fits" : "ztile-last.fits");
        for (int i = 0; rows && i < N; i++)
            wrong += rows[i].tileid != sky.tileid[i] || rows[i].night != sky.night[i] || rows[i].petal != sky.petal[i];
        CU_ASSERT_EQUAL(wrong, 0);
        config.layout = LAYOUT_HEALPIX; /* files are not by tile there */
        rows = rows_of(&config, k ? "ztile-group.fits" : "ztile-last.fits");
        CU_ASSERT(rows && rows[9].tileid == 0 && rows[9].night == 0);
    }
}

/* ---- warts of real files ---- */

static void warts_do_no_harm(void)
{
    DesiConfig config = configured();
    make_sky();
    sky.id[0] = INT64_MAX; /* 63 bits, where a float64 would round */
    sky.id[1] = INT64_MAX - 1;
    sky.id[2] = sky.id[3] = -77; /* stuck fibres share their identifiers */
    sky.pixel[4] = -1;
    sky.pixel[5] = 999999;
    put(sky.program[6], "DARK  ");
    put(sky.survey[7], "main  ");
    put(sky.spectype[8], "");
    sky.z[9] = NAN;
    sky.pixel[10] = -1;
    sky.ra[10] = NAN;
    WRITE("zall-pix-warts.fits", "ZCATALOG", all_in_one);
    CatalogRow *rows = rows_of(&config, "zall-pix-warts.fits");
    if (!rows) return;
    CU_ASSERT(rows[0].targetid == INT64_MAX && rows[1].targetid == INT64_MAX - 1);
    CU_ASSERT(rows[2].targetid == -77 && rows[3].targetid == -77);
    for (int i = 4; i < 6; i++) CU_ASSERT_EQUAL(rows[i].healpix, healpix_pixel(sky.ra[i], sky.dec[i]));
    CU_ASSERT_STRING_EQUAL(rows[6].program, "dark");
    CU_ASSERT_STRING_EQUAL(rows[7].survey, "main");
    CU_ASSERT_STRING_EQUAL(rows[8].spectype, "");
    CU_ASSERT(isnan(rows[9].z));
    CU_ASSERT_EQUAL(rows[10].healpix, -1); /* the cuts reject it by name */
}

static void unsuitable_files_are_input_errors(void)
{
    static const SmallColumn wide[] = {KEY_COLUMNS, {"Z", "2D", FITS_F64, sky.z, 0}, I64("ZWARN", zwarn)};
    static const SmallColumn long_word[] = {I64("TARGETID", id), TEXT("PROGRAM", "8A", program), PLAIN_REDSHIFTS};
    DesiConfig config = configured();
    CatalogRow *rows;
    int64_t n;
    make_sky();
    WRITE("only-extra.fits", "ZCATALOG_EXTRA", extra_v2);
    CHECK_FAILS(read_all(&rows, &n, &config, "only-extra.fits"), E_INPUT); /* part of a catalogue */
    WRITE("no-redshifts.fits", "ZCATALOG", imaging_v2);
    CHECK_FAILS(read_all(&rows, &n, &config, "no-redshifts.fits"), E_INPUT);
    CHECK_OK(write_table("wide.fits", "ZCATALOG", wide, 5, N / 2));
    CHECK_FAILS(read_all(&rows, &n, &config, "wide.fits"), E_INPUT);
    put(sky.program[99], "darkdark");
    CHECK_OK(write_table("long.fits", "ZCATALOG", long_word, 7, 100));
    CHECK_FAILS(read_all(&rows, &n, &config, "long.fits"), E_INPUT); /* a key is never cut */
}

TEST_MAIN("desi_versions", {"every version gives the same rows", every_version_gives_the_same_rows},
          {"rows do not depend on the pieces they are read in", rows_do_not_depend_on_the_pieces},
          {"parts of v2 may be absent", parts_of_v2_may_be_absent},
          {"parts of v2 must belong together", parts_of_v2_must_belong_together},
          {"primaries of a phase are not yet primaries", primaries_of_a_phase_are_not_yet_primaries},
          {"UNIQPIX comes with the pixel of the position", uniqpix_comes_with_the_pixel_of_the_position},
          {"tiles come with night and petal", tiles_come_with_night_and_petal}, {"warts do no harm", warts_do_no_harm},
          {"unsuitable files are input errors", unsuitable_files_are_input_errors})
