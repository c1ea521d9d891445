/* DESI readers on small files written here: coadd, redrock, zcatalog, their folders; and the same files broken in many ways. */
#include "test_main.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/log.h"
#include "data/desi.h"
#include "data/flags.h"
#include "io/fitsfile.h"

enum { N_TARGETS = 5, NOBODY = 4242 };

static const int64_t targets[N_TARGETS] = {39627841603633169, -1695072, 39628768154746897, 39627784728870929,
                                           39627020195332113};
static const SpectraConfig options = {MERGE_LEGACY_2022, BAD_PIXELS_ZERO, 0.5};

/* What is wrong with a coadd file. */
typedef struct {
    bool no_fibermap, no_wave, no_ivar, no_arm, no_arms, no_mask, short_image, wrong_grid, shifted_grid, short_arm;
} Flaws;

static float pixel_flux(int row, int arm, int64_t k) { return (float)(100 * (row + 1) + 10 * arm) + (float)(k % 7); }

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

static Status write_arm(FitsFile *f, int b, Flaws flaws)
{
    char hdu[16];
    int64_t n = flaws.short_arm ? 200 : arm_pixels[b], rows = flaws.short_image ? N_TARGETS - 1 : N_TARGETS,
            dims[2] = {rows, n};
    double *wave;
    float *image;
    uint32_t *mask;
    TRY(arena_new(&wave, &test_arena, n));
    TRY(arena_new(&image, &test_arena, N_TARGETS * n));
    TRY(arena_new(&mask, &test_arena, N_TARGETS * n));
    for (int64_t k = 0; k < n; k++) wave[k] = GRID_START + GRID_STEP * (double)(arm_start[b] + k) + 2e-10 * (double)k;
    if (flaws.wrong_grid && b == 1) wave[n - 1] += 2e-4;
    if (flaws.shifted_grid && b == 1) wave[0] = NAN;
    for (int r = 0; r < N_TARGETS; r++)
        for (int64_t k = 0; k < n; k++) image[r * n + k] = pixel_flux(r, b, k);
    mask[2 * n + 30] = 0x80000000u; /* row 2: one bad pixel per arm, the bit that a signed reader would lose */
    if (!flaws.no_wave) {
        snprintf(hdu, sizeof hdu, "%c_WAVELENGTH", arm_name[b]);
        TRY(fitsfile_new_image(f, hdu, FITS_F64, false, &n, 1, FITS_PLAIN));
        TRY(fitsfile_write_pixels(f, FITS_F64, wave, n));
    }
    snprintf(hdu, sizeof hdu, "%c_FLUX", arm_name[b]);
    TRY(fitsfile_new_image(f, hdu, FITS_F32, false, dims, 2, FITS_PLAIN));
    TRY(fitsfile_write_pixels(f, FITS_F32, image, rows * n));
    for (int64_t k = 0; k < rows * n; k++) image[k] = 2;
    snprintf(hdu, sizeof hdu, "%c_IVAR", arm_name[b]);
    if (!flaws.no_ivar) {
        TRY(fitsfile_new_image(f, hdu, FITS_F32, false, dims, 2, FITS_PLAIN));
        TRY(fitsfile_write_pixels(f, FITS_F32, image, rows * n));
    }
    if (flaws.no_mask) return OK;
    snprintf(hdu, sizeof hdu, "%c_MASK", arm_name[b]);
    TRY(fitsfile_new_image(f, hdu, FITS_I32, true, dims, 2, FITS_PLAIN));
    return fitsfile_write_mask(f, mask, rows * n);
}

static Status write_coadd(const char *path, Flaws flaws)
{
    const FitsColumn columns[] = {{"TARGETID", "K", "", ""}, {"OBJTYPE", "3A", "", ""}};
    FitsFile f = {0};
    make_folders(path);
    TRY(fitsfile_create(&f, path));
    /* The order of HDUs is nobody's business: arms first, Z before B. */
    for (int b = N_ARMS - 1; b >= 0; b--)
        if (!flaws.no_arms && !(flaws.no_arm && b == 0)) TRY(write_arm(&f, b, flaws));
    if (!flaws.no_fibermap) {
        TRY(fitsfile_new_table(&f, "FIBERMAP", columns, 2, N_TARGETS));
        TRY(fitsfile_write_column(&f, "TARGETID", FITS_I64, targets, 0, N_TARGETS));
    }
    return fitsfile_finish(&f);
}

static SpectrumBatch read_rows(const char *path, const int64_t *id, int64_t n)
{
    SpectrumBatch batch;
    CatalogRow *rows;
    CHECK_OK(spectra_batch(&batch, n, &test_arena));
    CHECK_OK(arena_new(&rows, &test_arena, n));
    for (int64_t i = 0; i < n; i++) rows[i].targetid = id[i];
    CHECK_OK(desi_read_spectra(&batch, 0, NULL, &options, path, rows, n, &test_arena));
    return batch;
}

/* ---- spectra ---- */

static void rows_come_in_the_order_asked_for(void)
{
    const char *path = file("coadd.fits");
    CHECK_OK(write_coadd(path, (Flaws){0}));
    const int order[] = {3, 0, 4, 3, 2, 1};
    int64_t id[6];
    for (int i = 0; i < 6; i++) id[i] = targets[order[i]];
    SpectrumBatch out = read_rows(path, id, 6);
    for (int i = 0; i < 6; i++) {
        const float *flux = out.flux + i * GRID_PIXELS, *ivar = out.ivar + i * GRID_PIXELS;
        CU_ASSERT_EQUAL(out.flag[i], order[i] == 2 ? SPECTRUM_BAD_PIXELS : 0);
        CU_ASSERT_EQUAL(flux[10], pixel_flux(order[i], 0, 10));
        CU_ASSERT_EQUAL(flux[3700], pixel_flux(order[i], 1, 1000));
        CU_ASSERT_EQUAL(flux[7780], pixel_flux(order[i], 2, 2880));
        CU_ASSERT_EQUAL(flux[2710], (pixel_flux(order[i], 0, 2710) + pixel_flux(order[i], 1, 10)) / 2);
        CU_ASSERT(ivar[10] == 2 && ivar[2710] == 4);
        CU_ASSERT_EQUAL(ivar[30], order[i] == 2 ? 0 : 2);
    }
}

static void a_row_does_not_depend_on_its_company(void)
{
    const char *path = file("company.fits");
    CHECK_OK(write_coadd(path, (Flaws){0}));
    SpectrumBatch all = read_rows(path, targets, N_TARGETS);
    for (int r = 0; r < N_TARGETS; r++) {
        SpectrumBatch one = read_rows(path, &targets[r], 1);
        CU_ASSERT_EQUAL(one.flag[0], all.flag[r]);
        CU_ASSERT_EQUAL(memcmp(one.flux, all.flux + r * GRID_PIXELS, GRID_PIXELS * sizeof(float)), 0);
        CU_ASSERT_EQUAL(memcmp(one.stats, all.stats + r * N_SPECTRUM_STATS, N_SPECTRUM_STATS * sizeof(float)), 0);
    }
}

static void more_rows_than_are_held_at_a_time_come_out(void)
{
    const char *path = file("many.fits");
    CHECK_OK(write_coadd(path, (Flaws){0}));
    enum { N = 600 };
    int64_t id[N];
    for (int i = 0; i < N; i++) id[i] = i % 6 == 5 ? NOBODY : targets[i % 6];
    SpectrumBatch out = read_rows(path, id, N);
    for (int i = 0; i < N; i++) {
        if (i % 6 == 5)
            CU_ASSERT_EQUAL(out.flag[i], SPECTRUM_NO_ROW)
        else
            CU_ASSERT_EQUAL(out.flux[(int64_t)i * GRID_PIXELS + 9], pixel_flux(i % 6, 0, 9));
    }
}

static void an_absent_target_is_flagged_alone(void)
{
    const char *path = file("absent.fits");
    CHECK_OK(write_coadd(path, (Flaws){0}));
    /* One more and one less than a TARGETID there is: a reader that passes through float64 cannot tell them apart. */
    const int64_t id[] = {targets[0] + 1, targets[0], targets[0] - 1, -1695073, -1695072};
    SpectrumBatch out = read_rows(path, id, 5);
    const int32_t expected[] = {SPECTRUM_NO_ROW, 0, SPECTRUM_NO_ROW, SPECTRUM_NO_ROW, 0};
    for (int i = 0; i < 5; i++) CU_ASSERT_EQUAL(out.flag[i], expected[i]);
    CU_ASSERT_EQUAL(out.flux[0], 0);
    CU_ASSERT_EQUAL(out.flux[4 * GRID_PIXELS], pixel_flux(1, 0, 0));
}

static void missing_files_and_gz_are_noticed(void)
{
    SpectrumBatch out = read_rows(file("nowhere/coadd.fits"), targets, 2);
    CU_ASSERT(out.flag[0] == SPECTRUM_NO_FILE && out.flag[1] == SPECTRUM_NO_FILE);

    const char *path = file("zipped.fits");
    char command[4200];
    CHECK_OK(write_coadd(path, (Flaws){0}));
    SpectrumBatch plain = read_rows(path, targets, N_TARGETS);
    snprintf(command, sizeof command, "gzip -f '%s'", path);
    if (system(command) != 0) {
        test_skip("no gzip here");
        return;
    }
    SpectrumBatch zipped = read_rows(path, targets, N_TARGETS); /* the plain name; zipped.fits.gz is there */
    CU_ASSERT_EQUAL(memcmp(plain.flux, zipped.flux, N_TARGETS * GRID_PIXELS * sizeof(float)), 0);
    CU_ASSERT_EQUAL(memcmp(plain.flag, zipped.flag, N_TARGETS * sizeof(int32_t)), 0);
}

static void flawed_files_give_flagged_rows(void)
{
    const struct {
        const char *name;
        Flaws flaws;
        int32_t flag;
    } cases[] = {
        {"no_fibermap.fits", {.no_fibermap = true}, SPECTRUM_UNREADABLE},
        {"no_wave.fits", {.no_wave = true}, SPECTRUM_UNREADABLE},
        {"no_ivar.fits", {.no_ivar = true}, SPECTRUM_UNREADABLE},
        {"no_arms.fits", {.no_arms = true}, SPECTRUM_UNREADABLE},
        {"short_image.fits", {.short_image = true}, SPECTRUM_UNREADABLE},
        {"wrong_grid.fits", {.wrong_grid = true}, SPECTRUM_BAD_GRID},
        {"shifted_grid.fits", {.shifted_grid = true}, SPECTRUM_BAD_GRID},
        {"no_arm.fits", {.no_arm = true}, SPECTRUM_MISSING_ARM | SPECTRUM_BAD_PIXELS},
        {"no_mask.fits", {.no_mask = true}, 0},
        {"short_arm.fits", {.short_arm = true}, SPECTRUM_BAD_PIXELS | SPECTRUM_MASKED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_OK(write_coadd(file(cases[i].name), cases[i].flaws));
        SpectrumBatch out = read_rows(file(cases[i].name), targets, 2);
        CU_ASSERT_EQUAL(out.flag[0], cases[i].flag);
        CU_ASSERT_EQUAL(out.flag[1], cases[i].flag);
    }
}

/* Cut anywhere: rows never come out half read and unflagged. */
static void files_cut_short_are_unreadable(void)
{
    const char *path = file("cut.fits");
    CHECK_OK(write_coadd(path, (Flaws){0}));
    struct stat info;
    CU_ASSERT_EQUAL_FATAL(stat(path, &info), 0);
    const int64_t size = info.st_size;
    for (int64_t k = 60; k >= 0; k--) {
        CU_ASSERT_EQUAL_FATAL(truncate(path, size * k / 61 + 7 * k), 0);
        SpectrumBatch out = read_rows(path, targets, N_TARGETS);
        for (int i = 0; i < N_TARGETS; i++)
            if (out.flag[i] != SPECTRUM_UNREADABLE) {
                CU_FAIL("a row of a file cut short is not flagged UNREADABLE");
                return;
            }
    }
}

/* Bytes of the headers changed one by one: flags may be anything, the program must survive. */
static void damaged_headers_do_no_harm(void)
{
    const char *path = file("damaged.fits");
    CHECK_OK(write_coadd(path, (Flaws){.short_arm = true}));
    FILE *f = fopen(path, "r+b");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    static const char digits[] = "9-A";
    char text[3 * 80];
    for (long card = 0; card < 36 * 4; card += 3) {
        fseek(f, card * 80, SEEK_SET);
        CU_ASSERT_EQUAL_FATAL(fread(text, 1, sizeof text, f), sizeof text);
        for (size_t d = 0; d < sizeof digits - 1; d++) {
            for (int k = 0; k < 3; k++) {
                fseek(f, (card + k) * 80 + 26 + (long)d, SEEK_SET);
                fputc(digits[d], f);
            }
            fflush(f);
            read_rows(path, targets, 1);
            fseek(f, card * 80, SEEK_SET);
            fwrite(text, 1, sizeof text, f);
        }
    }
    fclose(f);
    CU_ASSERT_EQUAL(read_rows(path, targets, 1).flag[0], SPECTRUM_BAD_PIXELS | SPECTRUM_MASKED); /* all restored */
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

TEST_MAIN("desi", {"rows come in the order asked for", rows_come_in_the_order_asked_for},
          {"a row does not depend on its company", a_row_does_not_depend_on_its_company},
          {"more rows than are held at a time come out", more_rows_than_are_held_at_a_time_come_out},
          {"an absent TARGETID is flagged alone", an_absent_target_is_flagged_alone},
          {"a missing file is NO_FILE, a .gz is found", missing_files_and_gz_are_noticed},
          {"flawed files give flagged rows", flawed_files_give_flagged_rows},
          {"files cut short are UNREADABLE, wherever the cut", files_cut_short_are_unreadable},
          {"damaged headers do no harm", damaged_headers_do_no_harm},
          {"zcatalog rows come back", zcatalog_rows_come_back}, {"redrock rows come back", redrock_rows_come_back},
          {"broken redshift files are input errors", broken_redshift_files_are_input_errors},
          {"names of files are parsed strictly", names_are_parsed_strictly},
          {"paths follow the layout", paths_follow_the_layout},
          {"redrock files are found in the tree", redrock_files_are_found_in_the_tree},
          {"zcatalogs are found, or named", zcatalogs_are_found_or_named},
          {"the configuration is checked", configuration_is_checked})
