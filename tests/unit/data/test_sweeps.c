/* Catalogues of images from sweeps: which files, which rows, in which order of cuts, and the photometric redshifts
   beside them. Small sweeps are written here, with columns that nobody asked for in between. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/healpix.h"
#include "data/join.h"
#include "data/legacy.h"
#include "test_main.h"

enum { MANY = 5000 };

typedef struct {
    int16_t release;
    int32_t brickid, objid;
    const char *type;
    double ra, dec;
    float flux_z, transmission_z;
    int16_t nobs[N_BANDS];
    int32_t maskbits;
} Object;

/* A galaxy that the default selection takes. */
static Object galaxy(int32_t objid)
{
    return (Object){9010, 330248, objid, "EXP", 330.2, -0.2, 15, 0.9F, {2, 3, 4}, 0};
}

static const char *regions[] = {"south", "north"}, *psf[] = {"PSF"};

static LegacyConfig config_of(const char *root)
{
    return (LegacyConfig){.root = root,
                          .release = "dr9",
                          .regions = {1, regions},
                          .objects = {.drop_types = {1, psf}, .max_mag_z = 20, .min_exposures = 1, .photo_z = true}};
}

/* ---- files ---- */

static const char *make_path(const char *root, const char *name)
{
    static char path[2200];
    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *p = path + 1; *p; p++)
        if (*p == '/') {
            *p = '\0';
            mkdir(path, 0777);
            *p = '/';
        }
    return path;
}

/* Column by column, `column` is an array of one member of n objects. */
#define PUT(f, name, type, ctype, o, n, member)                                                                        \
    do {                                                                                                               \
        ctype *column_;                                                                                                \
        CHECK_OK(arena_new(&column_, &test_arena, (n) + 1));                                                           \
        for (int64_t i_ = 0; i_ < (n); i_++) column_[i_] = (ctype)(o)[i_].member;                                      \
        CHECK_OK(fitsfile_write_column(f, name, type, column_, 0, n));                                                 \
    } while (0)

static void write_sweep(const char *root, const char *name, const Object *o, int64_t n)
{
    static const FitsColumn columns[] = {{"RELEASE", "I", "", ""},     {"BRICKID", "J", "", ""},
                                         {"BRICKNAME", "8A", "", ""},  {"OBJID", "J", "", ""},
                                         {"TYPE", "3A", "", ""},       {"RA", "D", "deg", ""},
                                         {"DEC", "D", "deg", ""},      {"DCHISQ", "5E", "", ""},
                                         {"EBV", "E", "mag", ""},      {"FLUX_G", "E", "", ""},
                                         {"FLUX_R", "E", "", ""},      {"FLUX_Z", "E", "", ""},
                                         {"WISEMASK_W1", "B", "", ""}, {"MW_TRANSMISSION_Z", "E", "", ""},
                                         {"NOBS_G", "I", "", ""},      {"NOBS_R", "I", "", ""},
                                         {"NOBS_Z", "I", "", ""},      {"MASKBITS", "J", "", ""}};
    FitsFile f = {0};
    CHECK_OK(fitsfile_create(&f, make_path(root, name)));
    CHECK_OK(fitsfile_new_table(&f, "SWEEP", columns, sizeof columns / sizeof *columns, n));
    PUT(&f, "RELEASE", FITS_I16, int16_t, o, n, release);
    PUT(&f, "BRICKID", FITS_I32, int32_t, o, n, brickid);
    PUT(&f, "OBJID", FITS_I32, int32_t, o, n, objid);
    PUT(&f, "RA", FITS_F64, double, o, n, ra);
    PUT(&f, "DEC", FITS_F64, double, o, n, dec);
    PUT(&f, "FLUX_G", FITS_F32, float, o, n, objid);
    PUT(&f, "FLUX_Z", FITS_F32, float, o, n, flux_z);
    PUT(&f, "MW_TRANSMISSION_Z", FITS_F32, float, o, n, transmission_z);
    PUT(&f, "NOBS_G", FITS_I16, int16_t, o, n, nobs[0]);
    PUT(&f, "NOBS_R", FITS_I16, int16_t, o, n, nobs[1]);
    PUT(&f, "NOBS_Z", FITS_I16, int16_t, o, n, nobs[2]);
    PUT(&f, "MASKBITS", FITS_I32, int32_t, o, n, maskbits);
    for (int64_t i = 0; i < n; i++) {
        char type[8] = "", brick[BRICK_NAME] = "3301m002";
        snprintf(type, sizeof type, "%s", o[i].type);
        CHECK_OK(fitsfile_write_text(&f, "TYPE", type, sizeof type, i, 1));
        CHECK_OK(fitsfile_write_text(&f, "BRICKNAME", brick, sizeof brick, i, 1));
    }
    CHECK_OK(fitsfile_finish(&f));
}

/* z_phot of object i: 0.1 + i / 1000, and -99 for every third. */
static float z_phot(int64_t i) { return i % 3 == 2 ? -99 : 0.1F + (float)i / 1000; }

static void write_photo_z(const char *root, const char *name, const Object *o, int64_t n)
{
    static const FitsColumn columns[] = {{"RELEASE", "I", "", ""},       {"BRICKID", "J", "", ""},
                                         {"OBJID", "J", "", ""},         {"Z_PHOT_MEAN", "E", "", ""},
                                         {"Z_PHOT_MEDIAN", "E", "", ""}, {"Z_PHOT_STD", "E", "", ""}};
    FitsFile f = {0};
    float *z, *s;
    CHECK_OK(arena_new(&z, &test_arena, n + 1));
    CHECK_OK(arena_new(&s, &test_arena, n + 1));
    for (int64_t i = 0; i < n; i++) {
        z[i] = z_phot(i);
        s[i] = z[i] < 0 ? -99 : 0.01F;
    }
    CHECK_OK(fitsfile_create(&f, make_path(root, name)));
    CHECK_OK(fitsfile_new_table(&f, "PZ", columns, sizeof columns / sizeof *columns, n));
    PUT(&f, "RELEASE", FITS_I16, int16_t, o, n, release);
    PUT(&f, "BRICKID", FITS_I32, int32_t, o, n, brickid);
    PUT(&f, "OBJID", FITS_I32, int32_t, o, n, objid);
    CHECK_OK(fitsfile_write_column(&f, "Z_PHOT_MEAN", FITS_F32, z, 0, n));
    CHECK_OK(fitsfile_write_column(&f, "Z_PHOT_STD", FITS_F32, s, 0, n));
    CHECK_OK(fitsfile_finish(&f));
}

static const char *new_root(void)
{
    static char root[1024];
    static int count;
    snprintf(root, sizeof root, "%s/root%d", test_folder(), count++);
    mkdir(root, 0777);
    return root;
}

static void touch(const char *root, const char *name)
{
    FILE *f = fopen(make_path(root, name), "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    fclose(f);
}

/* ---- reading ---- */

typedef struct {
    CatalogRow *row;
    int64_t n, skipped[N_REJECTS];
} Taken;

static Taken take(const LegacyConfig *c, const char *path, int64_t first, int64_t n)
{
    Taken t = {0};
    CHECK_OK(arena_new(&t.row, &test_arena, n + 1));
    CHECK_OK(legacy_survey.read_objects(t.row, &t.n, t.skipped, c, path, first, n, &test_arena));
    return t;
}

static void each_cut_counts_what_it_leaves_out(void)
{
    const char *root = new_root(), *file = "s.fits", *bright[] = {"BRIGHT", "MEDIUM"};
    Object o[12];
    for (int i = 0; i < 12; i++) o[i] = galaxy(i);
    o[1].type = "DUP";
    o[2].type = "PSF";
    o[3].flux_z = 9.99F; /* 22.5 - 2.5 log10(10) = 20: not brighter */
    o[4].flux_z = -3;
    o[5].flux_z = NAN;
    o[6].nobs[1] = 0;
    o[7].maskbits = 1 << 11;
    o[8].maskbits = 1 << 12; /* GALAXY: not among those that are rejected */
    o[9].ra = NAN;
    o[10].type = "PSF"; /* fails everything: counted with the first */
    o[10].flux_z = 0;
    o[10].maskbits = 2;
    o[11].objid = 1 << 22; /* does not fit a TARGETID */
    write_sweep(root, file, o, 12);
    LegacyConfig c = config_of(root);
    c.objects.maskbits = (ConfigTexts){2, bright};
    Taken t = take(&c, file, 0, 12);
    CU_ASSERT_EQUAL_FATAL(t.n, 2);
    CU_ASSERT(t.row[0].source_row == 0 && t.row[1].source_row == 8);
    CU_ASSERT_EQUAL(t.skipped[REJECT_NOT_AN_OBJECT], 3);
    CU_ASSERT_EQUAL(t.skipped[REJECT_TYPE], 2);
    CU_ASSERT_EQUAL(t.skipped[REJECT_MAGNITUDE], 3);
    CU_ASSERT_EQUAL(t.skipped[REJECT_EXPOSURES], 1);
    CU_ASSERT_EQUAL(t.skipped[REJECT_MASKBITS], 1);
    c.objects = (LegacyObjects){0}; /* every cut off: only what is no object is left out */
    CU_ASSERT_EQUAL(take(&c, file, 0, 12).n, 9);
}

static void a_row_says_what_the_sweep_says(void)
{
    const char *root = new_root();
    Object o = galaxy(77);
    o.maskbits = 1 << 16; /* SUB_BLOB of DR10: more than 16 bits */
    o.release = 10002;
    write_sweep(root, "s.fits", &o, 1);
    LegacyConfig c = config_of(root);
    Taken t = take(&c, "s.fits", 0, 1);
    CU_ASSERT_EQUAL_FATAL(t.n, 1);
    const CatalogRow *r = t.row;
    CU_ASSERT_EQUAL(r->targetid, 77 | (int64_t)330248 << 22 | (int64_t)10002 << 42);
    CU_ASSERT(r->release == 10002 && r->brickid == 330248 && r->brick_objid == 77 && r->photsys == 'S');
    CU_ASSERT_STRING_EQUAL(r->brickname, "3301m002");
    CU_ASSERT_STRING_EQUAL(r->morphtype, "EXP");
    CU_ASSERT(r->maskbits == 1 << 16 && r->match == MATCH_ID && r->has_image == 1 && r->has_spectrum == 0);
    CU_ASSERT(r->ra == 330.2 && r->dec == -0.2 && r->healpix == healpix_pixel(330.2, -0.2));
    CU_ASSERT(r->flux[0] == 77 && r->flux[2] == 15 && isnan(r->z) && isnan(r->z_phot) && isnan(r->z_phot_std));
}

static void magnitudes_are_as_published_or_without_dust(void)
{
    const char *root = new_root();
    Object o[2] = {galaxy(0), galaxy(1)};
    o[0].flux_z = 9.5F; /* 20.06, and 19.94 without dust */
    o[1].flux_z = 8.5F; /* 20.18, and 20.06 */
    write_sweep(root, "s.fits", o, 2);
    LegacyConfig c = config_of(root);
    CU_ASSERT_EQUAL(take(&c, "s.fits", 0, 2).n, 0);
    c.objects.dereddened = true;
    CU_ASSERT_EQUAL(take(&c, "s.fits", 0, 2).n, 1);
}

static void a_sweep_in_pieces_is_the_sweep(void)
{
    const char *root = new_root(), *bits[] = {"NPRIMARY"}, *types[] = {"EXP", "PSF", "DUP", "SER"};
    Object *o;
    CHECK_OK(arena_new(&o, &test_arena, MANY));
    for (int32_t i = 0; i < MANY; i++) {
        o[i] = galaxy(i);
        o[i].type = types[i * 7 % 11 % 4];
        o[i].flux_z = 5 + (float)(i % 23);
        o[i].nobs[2] = (int16_t)(i % 5);
        o[i].maskbits = i % 6;
        o[i].ra = 330 + i * 1e-4;
    }
    write_sweep(root, "dr9/south/sweep/9.0/sweep-330m005-340p000.fits", o, MANY);
    write_photo_z(root, "dr9/south/sweep/9.1-photo-z/sweep-330m005-340p000-pz.fits", o, MANY);
    const char *path = "dr9/south/sweep/9.0/sweep-330m005-340p000.fits";
    LegacyConfig c = config_of(root);
    c.objects.maskbits = (ConfigTexts){1, bits};
    int64_t n;
    CHECK_OK(legacy_survey.count_objects(&n, &c, path, &test_arena));
    CU_ASSERT_EQUAL(n, MANY);
    Taken whole = take(&c, path, 0, MANY);
    CU_ASSERT(whole.n > 100 && whole.n < MANY / 2);
    const int64_t pieces[] = {1237, 1, 4999};
    for (int p = 0; p < 3; p++) {
        Taken sum = {0};
        for (int64_t first = 0; first < (p == 1 ? 40 : MANY); first += pieces[p]) {
            Taken t = take(&c, path, first, MANY - first < pieces[p] ? MANY - first : pieces[p]);
            CU_ASSERT_EQUAL_FATAL(memcmp(t.row, whole.row + sum.n, (size_t)t.n * sizeof *t.row), 0);
            sum.n += t.n;
            for (int r = 0; r < N_REJECTS; r++) sum.skipped[r] += t.skipped[r];
        }
        if (p == 1) continue;
        CU_ASSERT_EQUAL(sum.n, whole.n);
        CU_ASSERT_EQUAL(memcmp(sum.skipped, whole.skipped, sizeof sum.skipped), 0);
    }
    int64_t total = whole.n;
    for (int r = 0; r < N_REJECTS; r++) total += whole.skipped[r];
    CU_ASSERT_EQUAL(total, MANY); /* nothing is lost */
    for (int64_t i = 0; i < whole.n; i++) {
        float z = z_phot(whole.row[i].source_row);
        CU_ASSERT(z < 0 ? isnan(whole.row[i].z_phot) && isnan(whole.row[i].z_phot_std)
                        : whole.row[i].z_phot == z && whole.row[i].z_phot_std == 0.01F);
    }
    Taken beyond = {0};
    CHECK_OK(arena_new(&beyond.row, &test_arena, 10));
    CHECK_FAILS(legacy_survey.read_objects(beyond.row, &beyond.n, beyond.skipped, &c, path, MANY - 5, 10, &test_arena),
                E_INPUT);
}

/* 1691 bricks of DR9 south were made again as RELEASE 9012; DESI targets carry the identifiers of 9010, and the OBJIDs
   of the new catalogue are other ones (formats.md 0.20). */
static void a_target_of_9010_is_found_in_a_catalogue_of_9012(void)
{
    const char *root = new_root(), *file = "dr9/south/tractor/330/tractor-3301m002.fits";
    Object o[3] = {galaxy(0), galaxy(1), galaxy(2)};
    for (int i = 0; i < 3; i++) {
        o[i].release = 9012;
        o[i].dec = -0.2 + i * 2.0 / 3600;
    }
    write_sweep(root, file, o, 3);
    LegacyConfig c = config_of(root);
    CatalogRow *table, target;
    char path[LEGACY_PATH];
    int64_t n, n_file;
    Match how;
    catalog_new_row(&target);
    target.release = 9010;
    target.brickid = 330248;
    target.brick_objid = 0; /* in the new catalogue that is another galaxy, 2 arcsec away */
    target.ra = 330.2;
    target.dec = -0.2 + 2.1 / 3600;
    target.photsys = 'S';
    snprintf(target.brickname, sizeof target.brickname, "3301m002");
    CHECK_OK(legacy_survey.photometry_file(path, sizeof path, &c, &target));
    CU_ASSERT_STRING_EQUAL(path, file);
    CHECK_OK(legacy_survey.read_photometry(&table, &n, &n_file, &c, path, &test_arena));
    CU_ASSERT_EQUAL_FATAL(n, 3);
    CU_ASSERT_EQUAL(join_match(&how, &target, table, n, 1.0), 1);
    CU_ASSERT_EQUAL(how, MATCH_POSITION);
    CU_ASSERT_EQUAL(join_match(&how, &target, table, n, 0), -1); /* no positions: no match */
    target.release = 9012;
    CU_ASSERT_EQUAL(join_match(&how, &target, table, n, 1.0), 0);
    CU_ASSERT_EQUAL(how, MATCH_ID);
}

/* The tables of bricks that a release may have. One that is not of the grid stops the run: no file would be found. */
static void tables_of_bricks_are_checked_where_they_lie(void)
{
    static const char *const names[][2] = {{"dr8", "dr8/survey-bricks.fits.gz"},
                                           {"dr8", "dr8/south/survey-bricks-dr8-south.fits.gz"},
                                           {"dr9", "dr9/north/survey-bricks-dr9-north.fits.gz"},
                                           {"dr10", "dr10/south/survey-bricks-dr10-south.fits.gz"}};
    static const FitsColumn columns[] = {{"brickname", "8A", "", ""}, {"ra", "D", "", ""}, {"dec", "D", "", ""}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (int wrong = 0; wrong < 2; wrong++) {
            const char *root = new_root();
            char plain[256], brick[] = "3301m002";
            snprintf(plain, sizeof plain, "%.*s", (int)(strlen(names[i][1]) - strlen(".gz")), names[i][1]);
            Brick b;
            FitsFile f = {0};
            CU_ASSERT_TRUE(brick_with_id(&b, 330248));
            b.ra += wrong * 0.01;
            CHECK_OK(fitsfile_create(&f, make_path(root, plain)));
            CHECK_OK(fitsfile_new_table(&f, "B", columns, 3, 1));
            CHECK_OK(fitsfile_write_text(&f, "brickname", brick, sizeof brick, 0, 1));
            CHECK_OK(fitsfile_write_column(&f, "ra", FITS_F64, &b.ra, 0, 1));
            CHECK_OK(fitsfile_write_column(&f, "dec", FITS_F64, &b.dec, 0, 1));
            CHECK_OK(fitsfile_finish(&f));
            LegacyConfig c = config_of(root);
            c.release = names[i][0];
            c.regions.n = 2;
            ImageSource s = {.config = &c};
            if (wrong)
                CHECK_FAILS(legacy_survey.open(&s, &test_arena), E_INPUT);
            else
                CHECK_OK(legacy_survey.open(&s, &test_arena));
        }
}

/* Both names must be in the message: which of the two is wrong is not known. */
static void refuse_photo_z(const LegacyConfig *c, const char *path, const char *sweep, const char *pz)
{
    CatalogRow row[4];
    int64_t n, skipped[N_REJECTS] = {0};
    Status st = legacy_survey.read_objects(row, &n, skipped, c, path, 0, 4, &test_arena);
    CU_ASSERT_EQUAL(st, E_INPUT);
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_record()->text, sweep));
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_record()->text, pz));
    fail_clear();
}

static void photo_z_of_another_sweep_is_refused(void)
{
    const char *root = new_root(), *path = "dr10/south/sweep/10.1/sweep-330m005-340p000.fits";
    const char *pz = "dr10/south/sweep/10.1-photo-z/sweep-330m005-340p000-pz.fits";
    Object o[4] = {galaxy(0), galaxy(1), galaxy(2), galaxy(3)};
    LegacyConfig c = config_of(root);
    c.release = "dr10";
    write_sweep(root, path, o, 4);
    write_photo_z(root, pz, o, 4);
    CU_ASSERT_EQUAL(take(&c, path, 0, 4).row[1].z_phot, z_phot(1));
    o[2].objid = 9;
    write_photo_z(root, pz, o, 4);
    refuse_photo_z(&c, path, "10.1/sweep-330m005-340p000.fits", "10.1-photo-z/sweep-330m005-340p000-pz.fits");
    o[2].objid = 2;
    write_photo_z(root, pz, o, 3);
    refuse_photo_z(&c, path, "10.1/sweep-330m005-340p000.fits", "10.1-photo-z/sweep-330m005-340p000-pz.fits");
    c.objects.photo_z = false;
    CU_ASSERT(isnan(take(&c, path, 0, 4).row[1].z_phot));
}

static void photo_z_lies_beside_its_version(void)
{
    const char *root = new_root();
    char path[4096], expected[4096];
    LegacyConfig c = config_of(root);
    static const char *const pairs[][2] = {
        {"dr8/north/sweep/8.0/sweep-1.fits", "dr8/north/sweep/8.0-photo-z/sweep-1-pz.fits"},
        {"dr9/south/sweep/9.0/sweep-2.fits", "dr9/south/sweep/9.1-photo-z/sweep-2-pz.fits"},
        {"dr10/south/sweep/10.0/sweep-3.fits.gz", "dr10/south/sweep/10.0-photo-z/sweep-3-pz.fits"},
        {"here/sweep-4.fits", "here/sweep-4-pz.fits"},
        {"sweep-5.fits", "sweep-5-pz.fits"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        CU_ASSERT_FALSE(legacy_photo_z_file(path, sizeof path, &c, pairs[i][0]));
        touch(root, pairs[i][1]);
        CU_ASSERT_TRUE(legacy_photo_z_file(path, sizeof path, &c, pairs[i][0]));
        snprintf(expected, sizeof expected, "%s/%s", root, pairs[i][1]);
        CU_ASSERT_STRING_EQUAL(path, expected);
    }
}

static void the_newest_version_of_each_region_is_listed(void)
{
    const char *root = new_root();
    LegacyConfig c = config_of(root);
    FileList files;
    CHECK_FAILS(legacy_survey.list_objects(&files, &c, &test_arena), E_INPUT);
    static const char *const names[] = {"dr9/south/sweep/9.0/sweep-000m005-010p000.fits",
                                        "dr9/south/sweep/9.0/sweep-010p000-020p005.fits.gz",
                                        "dr9/south/sweep/9.0/sweep-000m005-010p000.fits.gz", /* the same again */
                                        "dr9/south/sweep/9.0/sweep-000m005-010p000-pz.fits",
                                        "dr9/south/sweep/9.0/README",
                                        "dr9/south/sweep/8.0/sweep-000m005-010p000.fits",
                                        "dr9/south/sweep/9.1-photo-z/sweep-000m005-010p000-pz.fits",
                                        "dr10/south/sweep/10.0/sweep-000m005-010p000.fits",
                                        "dr10/south/sweep/10.1/sweep-000m005-010p000.fits",
                                        "dr10/south/sweep/9.9/sweep-000m005-010p000.fits"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) touch(root, names[i]);
    CHECK_OK(legacy_survey.list_objects(&files, &c, &test_arena));
    CU_ASSERT_EQUAL_FATAL(files.n, 2);
    CU_ASSERT_STRING_EQUAL(files.path[0], names[0]);
    CU_ASSERT_STRING_EQUAL(files.path[1], names[1]);
    c.regions.n = 2; /* the north is wanted, and not there */
    CHECK_FAILS(legacy_survey.list_objects(&files, &c, &test_arena), E_INPUT);
    touch(root, "dr9/north/sweep/9.0/sweep-000p030-010p035.fits");
    CHECK_OK(legacy_survey.list_objects(&files, &c, &test_arena));
    CU_ASSERT_EQUAL(files.n, 3);
    c.release = "dr10"; /* has no north */
    CHECK_OK(legacy_survey.list_objects(&files, &c, &test_arena));
    CU_ASSERT_EQUAL_FATAL(files.n, 1);
    CU_ASSERT_STRING_EQUAL(files.path[0], names[8]);
}

static void sweeps_can_be_named(void)
{
    const char *root = new_root();
    char absolute[2300];
    touch(root, "dr9/any.fits.gz");
    touch(root, "dr9/some/sweep-000m005-010p000.fits");
    touch(root, "dr9/some/sweep-000m005-010p000-lc.fits");
    snprintf(absolute, sizeof absolute, "%s/dr9/some", root);
    const char *names[] = {"dr9/some", "dr9/any.fits", "dr9/some", absolute}, *empty[] = {"dr9"}, *none[] = {"x.fits"};
    LegacyConfig c = config_of(root);
    FileList files;
    c.sweeps = (ConfigTexts){4, names};
    CHECK_OK(legacy_survey.list_objects(&files, &c, &test_arena));
    CU_ASSERT_EQUAL_FATAL(files.n, 3);
    CU_ASSERT(files.path[0][0] == '/' && strncmp(files.path[0], root, strlen(root)) == 0);
    CU_ASSERT_STRING_EQUAL(files.path[1], "dr9/any.fits");
    CU_ASSERT_STRING_EQUAL(files.path[2], "dr9/some/sweep-000m005-010p000.fits");
    c.sweeps = (ConfigTexts){1, empty};
    CHECK_FAILS(legacy_survey.list_objects(&files, &c, &test_arena), E_INPUT);
    c.sweeps = (ConfigTexts){1, none};
    CHECK_FAILS(legacy_survey.list_objects(&files, &c, &test_arena), E_INPUT);
}

/* The regions overlap: objects of both are taken from the one that is preferred where they are. */
static void an_object_of_both_regions_is_taken_once(void)
{
    CU_ASSERT_TRUE(legacy_prefers_north(200, 40));
    CU_ASSERT_FALSE(legacy_prefers_north(200, 32)); /* too far south */
    CU_ASSERT_FALSE(legacy_prefers_north(350, 34)); /* south of the Galactic plane */
    const char *root = new_root();
    Object o[4] = {galaxy(0), galaxy(1), galaxy(2), galaxy(3)};
    for (int i = 0; i < 4; i++) {
        o[i].release = i < 2 ? 9011 : 9012;
        o[i].ra = 200;
        o[i].dec = i % 2 ? 40 : 31;
    }
    write_sweep(root, "s.fits", o, 4);
    LegacyConfig c = config_of(root);
    c.regions.n = 2;
    Taken t = take(&c, "s.fits", 0, 4);
    CU_ASSERT_EQUAL_FATAL(t.n, 2);
    CU_ASSERT(t.row[0].source_row == 1 && t.row[0].photsys == 'N');
    CU_ASSERT(t.row[1].source_row == 2 && t.row[1].photsys == 'S');
    CU_ASSERT_EQUAL(t.skipped[REJECT_NOT_AN_OBJECT], 2);
    c.regions.n = 1; /* one region alone gives all it has */
    CU_ASSERT_EQUAL(take(&c, "s.fits", 0, 4).n, 4);
    c.regions.n = 2;
    c.release = "dr10";
    CU_ASSERT_EQUAL(take(&c, "s.fits", 0, 4).n, 4);
}

static void cuts_on_absent_columns_are_refused(void)
{
    const char *file = "legacy/tractor-1102p240.fits", *bits[] = {"BRIGHT"};
    if (!test_needs_file(test_shared("data/legacy/tractor-1102p240.fits"))) return;
    LegacyConfig c = config_of(test_shared("data"));
    CatalogRow row[2];
    int64_t n, skipped[N_REJECTS] = {0};
    const LegacyObjects wanted[] = {{.max_mag_z = 20},
                                    {.min_exposures = 1},
                                    {.maskbits = {1, bits}},
                                    {.max_mag_z = 20, .dereddened = true}};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        c.objects = wanted[i];
        CHECK_FAILS(legacy_survey.read_objects(row, &n, skipped, &c, file, 0, 2, &test_arena), E_INPUT);
    }
    c.objects = (LegacyObjects){0};
    CU_ASSERT_EQUAL(take(&c, file, 0, 2).n, 2);
}

/* DR8 sweeps as published; the expected rows were read with another program (astropy). */
static void real_sweeps_are_selected(void)
{
    static const char *const files[] = {"tractor/sweep-310m005-320p000.fits", "tractor/sweep-320m005-330p000.fits"};
    static const int64_t expected[2][3] = {{2, 4, 0}, {3, 1, 2}};
    for (int i = 0; i < 2; i++) {
        char path[256];
        snprintf(path, sizeof path, "data/%s", files[i]);
        if (!test_needs_file(test_shared(path))) return;
        LegacyConfig c = config_of(test_shared("data"));
        Taken t = take(&c, files[i], 0, 6);
        CU_ASSERT_EQUAL(t.n, expected[i][0]);
        CU_ASSERT_EQUAL(t.skipped[REJECT_TYPE], expected[i][1]);
        CU_ASSERT_EQUAL(t.skipped[REJECT_MAGNITUDE], expected[i][2]);
        for (int64_t k = 0; k < t.n; k++) {
            CU_ASSERT(t.row[k].release == 8000 && t.row[k].photsys == 'S' && t.row[k].flux[2] > 10);
            CU_ASSERT(t.row[k].targetid > 0 && t.row[k].morphtype[0] != '\0');
        }
    }
}

TEST_MAIN("sweeps", {"each cut counts what it leaves out", each_cut_counts_what_it_leaves_out},
          {"a row says what the sweep says", a_row_says_what_the_sweep_says},
          {"magnitudes are as published, or without dust", magnitudes_are_as_published_or_without_dust},
          {"a sweep in pieces is the sweep", a_sweep_in_pieces_is_the_sweep},
          {"a target of 9010 is found in a catalogue of 9012", a_target_of_9010_is_found_in_a_catalogue_of_9012},
          {"tables of bricks are checked where they lie", tables_of_bricks_are_checked_where_they_lie},
          {"photo-z of another sweep is refused", photo_z_of_another_sweep_is_refused},
          {"photo-z lies beside its version", photo_z_lies_beside_its_version},
          {"the newest version of each region is listed", the_newest_version_of_each_region_is_listed},
          {"sweeps can be named", sweeps_can_be_named},
          {"an object of both regions is taken once", an_object_of_both_regions_is_taken_once},
          {"cuts on absent columns are refused", cuts_on_absent_columns_are_refused},
          {"real sweeps are selected", real_sweeps_are_selected})
