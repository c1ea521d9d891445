/* Spectra from small coadd files written here, and from the same files broken in many ways. */
#include "test_main.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/desi.h"
#include "data/flags.h"
#include "io/fitsfile.h"

enum { N_TARGETS = 5, NOBODY = 4242 };

static const int64_t targets[N_TARGETS] = {39627841603633169, -1695072, 39628768154746897, 39627784728870929,
                                           39627020195332113};
static const SpectraConfig options = {MERGE_LEGACY_2022, BAD_PIXELS_ZERO, 0.5, EXTINCTION_NONE};

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

static Status write_joined(const char *path, bool whole)
{
    const int64_t n = whole ? GRID_PIXELS : GRID_PIXELS - 1, dims[2] = {N_TARGETS, n};
    const FitsColumn column = {"TARGETID", "K", "", ""};
    static const char *const hdu[] = {"BRZ_FLUX", "BRZ_IVAR"};
    FitsFile f = {0};
    double *wave;
    float *image;
    uint32_t *mask;
    TRY(arena_new(&wave, &test_arena, n));
    TRY(arena_new(&image, &test_arena, N_TARGETS * n));
    TRY(arena_new(&mask, &test_arena, N_TARGETS * n));
    for (int64_t k = 0; k < n; k++) wave[k] = GRID_START + GRID_STEP * (double)k;
    for (int64_t i = 0; i < N_TARGETS * n; i++) image[i] = (float)(i / n + 1);
    mask[1 * n + 5000] = 1;
    TRY(fitsfile_create(&f, path));
    TRY(fitsfile_new_table(&f, "FIBERMAP", &column, 1, N_TARGETS));
    TRY(fitsfile_write_column(&f, "TARGETID", FITS_I64, targets, 0, N_TARGETS));
    TRY(fitsfile_new_image(&f, "BRZ_WAVELENGTH", FITS_F64, false, &n, 1, FITS_PLAIN));
    TRY(fitsfile_write_pixels(&f, FITS_F64, wave, n));
    for (int k = 0; k < 2; k++) {
        TRY(fitsfile_new_image(&f, hdu[k], FITS_F32, false, dims, 2, FITS_PLAIN));
        TRY(fitsfile_write_pixels(&f, FITS_F32, image, N_TARGETS * n));
    }
    TRY(fitsfile_new_image(&f, "BRZ_MASK", FITS_I32, true, dims, 2, FITS_PLAIN));
    TRY(fitsfile_write_mask(&f, mask, N_TARGETS * n));
    return fitsfile_finish(&f);
}

/* Arms that the survey's programs have already joined. */
static void joined_spectra_are_read(void)
{
    const char *path = file("joined.fits");
    const int64_t id[] = {targets[1], targets[4]};
    CHECK_OK(write_joined(path, true));
    SpectrumBatch out = read_rows(path, id, 2);
    CU_ASSERT(out.flag[0] == SPECTRUM_BAD_PIXELS && out.flag[1] == 0);
    CU_ASSERT(out.flux[0] == 2 && out.ivar[4999] == 2 && out.ivar[5000] == 0 && out.flux[5000] == 0);
    CU_ASSERT(out.flux[GRID_PIXELS + 7780] == 5 && out.ivar[GRID_PIXELS + 2700] == 5);
    CHECK_OK(write_joined(path, false)); /* a piece of the grid is not the grid */
    CU_ASSERT_EQUAL(read_rows(path, id, 1).flag[0], SPECTRUM_BAD_GRID);
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

/* Writes a character over one column of three cards, reads a row, puts the cards back. */
static void damage_cards(FILE *f, const char *path, long at, long column, char letter)
{
    char cards[3 * 80];
    fseek(f, at, SEEK_SET);
    CU_ASSERT_EQUAL_FATAL(fread(cards, 1, sizeof cards, f), sizeof cards);
    for (int k = 0; k < 3; k++) {
        fseek(f, at + 80 * k + column, SEEK_SET);
        fputc(letter, f);
    }
    fflush(f);
    read_rows(path, targets, 1);
    fseek(f, at, SEEK_SET);
    fwrite(cards, 1, sizeof cards, f);
    fflush(f);
}

/* Digits of the first headers and of the last one changed: flags may be anything, the program must survive. */
static void damaged_headers_do_no_harm(void)
{
    const char *path = file("damaged.fits");
    CHECK_OK(write_coadd(path, (Flaws){.short_arm = true}));
    const int32_t whole = read_rows(path, targets, 1).flag[0];
    struct stat info;
    CU_ASSERT_EQUAL_FATAL(stat(path, &info), 0);
    FILE *f = fopen(path, "r+b");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    const long block = 2880, spans[2][2] = {{0, 4 * block}, {info.st_size - 2 * block, info.st_size - block}};
    for (int s = 0; s < 2; s++)
        for (long at = spans[s][0]; at < spans[s][1]; at += 3 * 80) {
            damage_cards(f, path, at, 20, '9'); /* huge */
            damage_cards(f, path, at, 27, '7');
            damage_cards(f, path, at, 28, '-');
            damage_cards(f, path, at, 2, 'Q'); /* another keyword */
        }
    fclose(f);
    CU_ASSERT_EQUAL(read_rows(path, targets, 1).flag[0], whole);
}

TEST_MAIN("desi", {"rows come in the order asked for", rows_come_in_the_order_asked_for},
          {"a row does not depend on its company", a_row_does_not_depend_on_its_company},
          {"more rows than are held at a time come out", more_rows_than_are_held_at_a_time_come_out},
          {"an absent TARGETID is flagged alone", an_absent_target_is_flagged_alone},
          {"a missing file is NO_FILE, a .gz is found", missing_files_and_gz_are_noticed},
          {"flawed files give flagged rows", flawed_files_give_flagged_rows},
          {"spectra whose arms are joined already are read", joined_spectra_are_read},
          {"files cut short are UNREADABLE, wherever the cut", files_cut_short_are_unreadable},
          {"damaged headers do no harm", damaged_headers_do_no_harm})
