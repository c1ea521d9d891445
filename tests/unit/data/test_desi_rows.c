/* Rows straight from files of spectra, in every layout: trees of empty-handed files (FIBERMAP and headers, small images)
   written here are listed, named and read. */
#include "test_main.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/desi.h"
#include "data/flags.h"
#include "data/healpix.h"

enum { N_TARGETS = 3 };

static const int64_t targets[N_TARGETS] = {39627841603633169, -1695072, 39628768154746897};

/* What a file says of itself. */
typedef struct {
    const char *survey, *program;         /* primary header */
    const char *map_survey, *map_program; /* header of FIBERMAP */
    int64_t hpxpixel, hpxnside, uniqpix, tileid, petal, night;
    bool no_position, no_fibermap, with_scores;
} About;

static const char *under(const char *name)
{
    static char path[4][2048];
    static int next;
    char *out = path[next++ % 4];
    snprintf(out, sizeof path[0], "%s/%s", test_folder(), name);
    for (char *c = out + 1; *c; c++)
        if (*c == '/') *c = '\0', mkdir(out, 0777), *c = '/';
    return out;
}

static Status put_header(FitsFile *f, const About *about)
{
    if (about->survey) TRY(fitsfile_put_text(f, "SURVEY", about->survey, ""));
    if (about->program) TRY(fitsfile_put_text(f, "PROGRAM", about->program, ""));
    if (about->hpxpixel) TRY(fitsfile_put_i64(f, "HPXPIXEL", about->hpxpixel, ""));
    if (about->hpxnside) TRY(fitsfile_put_i64(f, "HPXNSIDE", about->hpxnside, ""));
    if (about->uniqpix) TRY(fitsfile_put_i64(f, "UNIQPIX", about->uniqpix, ""));
    if (!about->tileid) return OK;
    TRY(fitsfile_put_i64(f, "TILEID", about->tileid, ""));
    TRY(fitsfile_put_i64(f, "PETAL", about->petal, ""));
    return fitsfile_put_i64(f, "NIGHT", about->night, "");
}

static Status put_map(FitsFile *f, const About *about)
{
    const FitsColumn columns[] = {{"TARGETID", "K", "", ""}, {"TARGET_RA", "D", "", ""}, {"TARGET_DEC", "D", "", ""}};
    const double ra[N_TARGETS] = {150.1, 180, 112.6}, dec[N_TARGETS] = {2.2, 45, 22.25}; /* formats.md B14 */
    TRY(fitsfile_new_table(f, "FIBERMAP", columns, about->no_position ? 1 : 3, N_TARGETS));
    if (about->map_survey) TRY(fitsfile_put_text(f, "SURVEY", about->map_survey, ""));
    if (about->map_program) TRY(fitsfile_put_text(f, "PROGRAM", about->map_program, ""));
    TRY(fitsfile_write_column(f, "TARGETID", FITS_I64, targets, 0, N_TARGETS));
    if (about->no_position) return OK;
    TRY(fitsfile_write_column(f, "TARGET_RA", FITS_F64, ra, 0, N_TARGETS));
    return fitsfile_write_column(f, "TARGET_DEC", FITS_F64, dec, 0, N_TARGETS);
}

static Status write_file(const char *path, const About *about)
{
    FitsFile f = {0};
    const int64_t dims[2] = {N_TARGETS, 4}, n = 4;
    const float pixels[N_TARGETS * 4] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, depth[N_TARGETS] = {10, 20, 30};
    const double wave[4] = {3600, 3600.8, 3601.6, 3602.4};
    const FitsColumn scores[] = {{"TARGETID", "K", "", ""}, {"TSNR2_LRG", "E", "", ""}};
    TRY(fitsfile_create(&f, path));
    TRY(put_header(&f, about));
    TRY(fitsfile_new_image(&f, "B_WAVELENGTH", FITS_F64, false, &n, 1, FITS_PLAIN));
    TRY(fitsfile_write_pixels(&f, FITS_F64, wave, 4));
    for (int k = 0; k < 2; k++) {
        TRY(fitsfile_new_image(&f, k ? "B_IVAR" : "B_FLUX", FITS_F32, false, dims, 2, FITS_PLAIN));
        TRY(fitsfile_write_pixels(&f, FITS_F32, pixels, N_TARGETS * 4));
    }
    if (!about->no_fibermap) TRY(put_map(&f, about));
    if (about->with_scores) {
        TRY(fitsfile_new_table(&f, "SCORES", scores, 2, N_TARGETS));
        TRY(fitsfile_write_column(&f, "TSNR2_LRG", FITS_F32, depth, 0, N_TARGETS));
    }
    return fitsfile_finish(&f);
}

static const SpectraConfig options = {MERGE_LEGACY_2022, BAD_PIXELS_ZERO, 1, EXTINCTION_NONE};

static DesiConfig config_of(int layout)
{
    return (DesiConfig){.root = test_folder(), .specprod = "iron", .layout = layout, .redshifts = REDSHIFTS_COADD};
}

static CatalogRow *read_all(const DesiConfig *config, const char *name)
{
    static CatalogRow rows[N_TARGETS];
    int64_t n = 0;
    memset(rows, 0, sizeof rows);
    CHECK_OK(desi_count_redshifts(&n, config, name, &test_arena));
    CU_ASSERT_EQUAL(n, N_TARGETS);
    CHECK_OK(desi_read_redshifts(rows, config, name, 0, N_TARGETS, &test_arena));
    return rows;
}

static CatalogRow *rows_of(int layout, const char *name, About about)
{
    DesiConfig config = config_of(layout);
    CHECK_OK(write_file(under(name), &about));
    return read_all(&config, name);
}

/* ---- paths and names ---- */

static void paths_follow_the_layout(void)
{
    CatalogRow row = {.survey = "main", .program = "dark", .healpix = 27258, .uniqpix = 43642};
    char path[DESI_PATH];
    DesiConfig config = config_of(LAYOUT_UNIQPIX);
    config.redshifts = REDSHIFTS_ZCATALOG;
    CHECK_OK(desi_survey.spectrum_file(path, sizeof path, &config, &row, NULL));
    CU_ASSERT_STRING_EQUAL(path, "spectro/redux/iron/spectra/main/dark/436/43642/coadd-main-dark-43642.fits");
    config.spectra = SPECTRA_EXPOSURES;
    CHECK_OK(desi_survey.spectrum_file(path, sizeof path, &config, &row, NULL));
    CU_ASSERT_STRING_EQUAL(path, "spectro/redux/iron/spectra/main/dark/436/43642/spectra-main-dark-43642.fits");
    config.layout = LAYOUT_HEALPIX;
    CHECK_OK(desi_survey.spectrum_file(path, sizeof path, &config, &row, NULL));
    CU_ASSERT_STRING_EQUAL(path, "spectro/redux/iron/healpix/main/dark/272/27258/spectra-main-dark-27258.fits");
    config.layout = LAYOUT_TILES;
    config.spectra = SPECTRA_COADD;
    CHECK_FAILS(desi_survey.spectrum_file(path, sizeof path, &config, &row, NULL), E_INPUT);
    row = (CatalogRow){.tileid = 169, .night = 20210419, .petal = 0}; /* no SURVEY or PROGRAM is needed */
    CHECK_OK(desi_survey.spectrum_file(path, sizeof path, &config, &row, NULL));
    CU_ASSERT_STRING_EQUAL(path, "spectro/redux/iron/tiles/cumulative/169/20210419/coadd-0-169-thru20210419.fits");
    CHECK_FAILS(desi_survey.spectrum_file(path, 20, &config, &row, NULL), E_CONFIG);
    config.layout = LAYOUT_UNIQPIX;
    CHECK_FAILS(desi_survey.spectrum_file(path, sizeof path, &config, &row, NULL), E_INPUT);
}

static void names_say_what_they_can(void)
{
    DesiName name;
    CU_ASSERT_TRUE(desi_parse_tile_name(&name, "coadd-5-169-thru20210419.fits.gz", "coadd"));
    CU_ASSERT(name.petal == 5 && name.tileid == 169 && name.night == 20210419 && name.healpix == -1);
    CU_ASSERT_TRUE(desi_parse_uniqpix_name(&name, "coadd-main-dark-43642.fits", "coadd"));
    CU_ASSERT(name.uniqpix == 43642 && name.healpix == 27258);
    CU_ASSERT_TRUE(desi_parse_uniqpix_name(&name, "coadd-main-dark-774809.fits", "coadd")); /* no HEALPix pixel */
    CU_ASSERT_FALSE(desi_parse_name(&name, "coadd-main-dark-774809.fits", "coadd"));
    const char *wrong[] = {"coadd-5-169-thru.fits",    "coadd-5-0-thru20210419.fits", "coadd-5-0169-thru20210419.fits",
                           "coadd-169-thru2021.fits",  "coadd-5-169-20210419.fits",   "coadd-5-169-thru20210419.fit",
                           "coadd--5-169-thru20.fits", "spectra-5-169-thru20.fits",   ""};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CU_ASSERT_FALSE(desi_parse_tile_name(&name, wrong[i], "coadd"));
    CU_ASSERT_FALSE(desi_parse_uniqpix_name(&name, "coadd-main-dark-3.fits", "coadd")); /* UNIQPIX begins at 4 */
}

static void made_identifiers_hold(void)
{
    int64_t id = desi_made_targetid("any/where/quasars.fits", 7);
    CU_ASSERT_EQUAL(id, desi_made_targetid("quasars.fits.gz", 7));
    CU_ASSERT(id > 0 && desi_is_made(id) && id >> 62 == 1);
    CU_ASSERT_EQUAL(id, 6476911987761610759); /* in catalogues that exist: must not change */
    CU_ASSERT_EQUAL(desi_made_row("quasars.fits", id), 7);
    CU_ASSERT_EQUAL(desi_made_row("other.fits", id), -1);
    CU_ASSERT_EQUAL(desi_made_row("quasars.fits", targets[0]), -1);
    CU_ASSERT(!desi_is_made(targets[0]) && !desi_is_made(targets[1]));
}

/* ---- where a row is from ---- */

static void a_files_own_word_comes_first(void)
{
    About about = {"sv3", "dark", "main", "tertiary38", .hpxpixel = 27258, .hpxnside = 64};
    CatalogRow *rows = rows_of(LAYOUT_HEALPIX, "coadd-main-bright-1.fits", about);
    CU_ASSERT(strcmp(rows[0].survey, "sv3") == 0 && strcmp(rows[0].program, "dark") == 0);
    CU_ASSERT(rows[0].healpix == 27258 && rows[2].healpix == 27258 && rows[0].tileid == 0);
    rows = rows_of(LAYOUT_HEALPIX, "coadd-main-bright-1.fits", (About){.map_survey = "special"});
    CU_ASSERT(strcmp(rows[0].survey, "special") == 0 && strcmp(rows[0].program, "bright") == 0);
    CU_ASSERT_EQUAL(rows[0].healpix, 1); /* from the name */
    rows = rows_of(LAYOUT_HEALPIX, "coadd-main-bright-1.fits", (About){.hpxpixel = 5, .hpxnside = 32});
    CU_ASSERT_EQUAL(rows[0].healpix, 1); /* not a pixel of ours */
}

static void positions_give_the_pixel_where_no_file_does(void)
{
    CatalogRow *rows = rows_of(LAYOUT_HEALPIX, "anything.fits", (About){.with_scores = true});
    CU_ASSERT(rows[0].healpix == 27258 && rows[1].healpix == 10938 && rows[2].healpix == 6156); /* formats.md B14 */
    CU_ASSERT(rows[0].survey[0] == '\0' && rows[0].program[0] == '\0' && isnan(rows[0].z) && rows[0].zwarn == 0);
    CU_ASSERT(rows[1].targetid == targets[1] && rows[0].tsnr2_lrg == 10 && rows[2].tsnr2_lrg == 30);
    rows = rows_of(LAYOUT_HEALPIX, "anything.fits", (About){.no_position = true});
    CU_ASSERT(rows[0].healpix == 0 && isnan(rows[0].ra) && isnan(rows[0].tsnr2_lrg));
    rows = rows_of(LAYOUT_HEALPIX, "anything.fits", (About){.no_fibermap = true});
    CU_ASSERT(rows[0].healpix == 0 && desi_is_made(rows[0].targetid) && rows[2].targetid == rows[0].targetid + 2);
}

static void tiles_and_uniqpix_are_known(void)
{
    About tile = {.tileid = 169, .petal = 5, .night = 20210419};
    CatalogRow *rows = rows_of(LAYOUT_TILES, "renamed.fits", tile);
    CU_ASSERT(rows[0].tileid == 169 && rows[0].petal == 5 && rows[0].night == 20210419 && rows[0].healpix == 27258);
    rows = rows_of(LAYOUT_HEALPIX, "coadd-3-80605-thru20210205.fits", (About){0}); /* the name alone */
    CU_ASSERT(rows[0].tileid == 80605 && rows[0].petal == 3 && rows[0].night == 20210205 && rows[0].survey[0] == '\0');
    rows = rows_of(LAYOUT_UNIQPIX, "coadd-main-dark-43642.fits", (About){0});
    CU_ASSERT(rows[0].uniqpix == 43642 && rows[0].healpix == 27258 && rows[1].healpix == 27258);
    rows = rows_of(LAYOUT_HEALPIX, "whatever.fits", (About){.uniqpix = 4 * 128 * 128 + 4 * 27258 + 3});
    CU_ASSERT(rows[1].uniqpix == 4 * 128 * 128 + 4 * 27258 + 3 && rows[1].healpix == 27258);
}

static void any_range_of_rows_says_the_same(void)
{
    DesiConfig config = config_of(LAYOUT_HEALPIX);
    CatalogRow *all = rows_of(LAYOUT_HEALPIX, "coadd-main-dark-7.fits", (About){.with_scores = true}), part[2];
    CHECK_OK(desi_read_redshifts(part, &config, "coadd-main-dark-7.fits", 1, 2, &test_arena));
    CU_ASSERT_EQUAL(memcmp(part, all + 1, sizeof part), 0);
    CU_ASSERT_EQUAL(part[1].source_row, 2);
    CHECK_FAILS(desi_read_redshifts(part, &config, "coadd-main-dark-7.fits", 2, 2, &test_arena), E_INPUT);
}

static void spectra_follow_their_rows(void)
{

    const About cases[] = {{0}, {.no_fibermap = true}};
    for (int c = 0; c < 2; c++) {
        SpectrumBatch batch;
        CatalogRow *rows = rows_of(LAYOUT_HEALPIX, "coadd-main-dark-8.fits", cases[c]);
        CHECK_OK(spectra_batch(&batch, N_TARGETS, &test_arena));
        CHECK_OK(desi_read_spectra(&batch, 0, NULL, &options, under("coadd-main-dark-8.fits"), rows, N_TARGETS,
                                   &test_arena));
        for (int i = 0; i < N_TARGETS; i++)
            for (int k = 0; k < 4; k++) CU_ASSERT_EQUAL(batch.flux[i * GRID_PIXELS + k], (float)(4 * i + k));
    }
}

/* Whatever is wrong with a file of spectra, it is one row, and the row's spectrum is flagged. */
static void a_broken_source_is_one_row(void)
{
    DesiConfig config = config_of(LAYOUT_HEALPIX);
    const char *const names[] = {"missing.fits", "coadd-main-dark-99.fits"};
    const char *path = under(names[1]);
    CHECK_OK(write_file(path, &(About){.survey = "main"}));
    CU_ASSERT_EQUAL_FATAL(truncate(path, 9000), 0);
    for (int i = 0; i < 2; i++) {
        int64_t n = 0;
        CatalogRow row;
        SpectrumBatch batch;
        CHECK_OK(desi_count_redshifts(&n, &config, names[i], &test_arena));
        CU_ASSERT_EQUAL_FATAL(n, 1);
        CHECK_OK(desi_read_redshifts(&row, &config, names[i], 0, 1, &test_arena));
        CU_ASSERT_EQUAL(row.targetid, desi_made_targetid(names[i], 0));
        CU_ASSERT_EQUAL(row.healpix, i == 0 ? 0 : 99);
        CU_ASSERT_STRING_EQUAL(row.survey, i == 0 ? "" : "main");
        CHECK_OK(spectra_batch(&batch, 1, &test_arena));
        CHECK_OK(desi_read_spectra(&batch, 0, NULL, &options, under(names[i]), &row, 1, &test_arena));
        CU_ASSERT_EQUAL(batch.flag[0], i == 0 ? SPECTRUM_NO_FILE : SPECTRUM_UNREADABLE);
    }
}

/* Writes a character over one of the file, reads, puts it back. */
static void damage(FILE *f, const DesiConfig *config, const char *name, long at, char letter)
{
    CatalogRow rows[N_TARGETS];
    int64_t n = 0;
    fseek(f, at, SEEK_SET);
    const int old = fgetc(f);
    fseek(f, at, SEEK_SET);
    fputc(letter, f);
    fflush(f);
    if (desi_count_redshifts(&n, config, name, &test_arena) == OK && n >= 0 && n <= N_TARGETS)
        (void)desi_read_redshifts(rows, config, name, 0, n, &test_arena);
    fail_clear();
    fseek(f, at, SEEK_SET);
    fputc(old, f);
    fflush(f);
}

/* Header cards changed, one after the other: rows or a refusal, never worse. */
static void damaged_headers_do_no_harm(void)
{
    static const long column[] = {28, 20, 29, 11, 2};
    static const char letter[] = "79-XQ";
    DesiConfig config = config_of(LAYOUT_HEALPIX);
    const char *names[] = {"damaged/coadd-main-dark-6.fits", "damaged/spectra-main-dark-6.fits"};
    for (int k = 0; k < 2; k++) {
        const char *path = under(names[k]);
        struct stat info;
        CHECK_OK(write_file(path, &(About){.tileid = 7, .with_scores = true}));
        CU_ASSERT_EQUAL_FATAL(stat(path, &info), 0);
        FILE *f = fopen(path, "r+b");
        CU_ASSERT_PTR_NOT_NULL_FATAL(f);
        for (long card = 0; 80 * card < info.st_size; card += 1 + 2 * k)
            for (long c = 0; c < 5; c += 1 + card % 4) /* not all on each */
                damage(f, &config, names[k], 80 * card + column[c], letter[c]);
        fclose(f);
        CU_ASSERT_EQUAL(read_all(&config, names[k])[0].targetid, targets[0]);
    }
}

/* ---- redshifts beside ---- */

static Status write_redrock(const char *path)
{
    const FitsColumn redshifts[] = {{"TARGETID", "K", "", ""},
                                    {"Z", "D", "", ""},
                                    {"ZWARN", "K", "", ""},
                                    {"SPECTYPE", "6A", "", ""}};
    const FitsColumn map[] = {{"TARGETID", "K", "", ""}};
    const int64_t id[2] = {targets[2], targets[0]}, zwarn[2] = {4, 0}; /* another order, one less */
    const double z[2] = {0.75, 0.25};
    FitsFile f = {0};
    TRY(fitsfile_create(&f, path));
    TRY(fitsfile_new_table(&f, "REDSHIFTS", redshifts, 4, 2));
    TRY(fitsfile_write_column(&f, "TARGETID", FITS_I64, id, 0, 2));
    TRY(fitsfile_write_column(&f, "Z", FITS_F64, z, 0, 2));
    TRY(fitsfile_write_column(&f, "ZWARN", FITS_I64, zwarn, 0, 2));
    TRY(fitsfile_write_text(&f, "SPECTYPE", "QSO\0\0\0\0GALAXY", 7, 0, 2));
    TRY(fitsfile_new_table(&f, "FIBERMAP", map, 1, 2));
    TRY(fitsfile_write_column(&f, "TARGETID", FITS_I64, id, 0, 2));
    return fitsfile_finish(&f);
}

static void redshifts_beside_are_taken_by_targetid(void)
{
    static const char *const pairs[][2] = {{"pairs/coadd-main-dark-27258.fits", "pairs/redrock-main-dark-27258.fits"},
                                           {"pairs/coadd-5-169-thru20210419.fits",
                                            "pairs/redrock-5-169-thru20210419.fits"},
                                           {"pairs/spectra-main-dark-27259.fits",
                                            "pairs/redrock-main-dark-27259.fits"}};
    for (int k = 0; k < 3; k++) {
        CHECK_OK(write_redrock(under(pairs[k][1])));
        CatalogRow *rows = rows_of(LAYOUT_HEALPIX, pairs[k][0], (About){0});
        CU_ASSERT(rows[0].z == 0.25 && rows[0].zwarn == 0 && strcmp(rows[0].spectype, "GALAXY") == 0);
        CU_ASSERT(isnan(rows[1].z) && rows[1].spectype[0] == '\0');
        CU_ASSERT(rows[2].z == 0.75 && rows[2].zwarn == 4 && strcmp(rows[2].spectype, "QSO") == 0);
        CU_ASSERT_DOUBLE_EQUAL(rows[2].ra, 112.6, 0); /* the rest is of the spectrum file */
    }
}

/* ---- listing ---- */

static FileList list(const DesiConfig *config)
{
    FileList files = {0};
    CHECK_OK(desi_list_redshifts(&files, config, &test_arena));
    return files;
}

static void expect_files(const FileList *files, const char *const *expected, int64_t n)
{
    CU_ASSERT_EQUAL_FATAL(files->n, n);
    for (int64_t i = 0; i < n; i++) CU_ASSERT_STRING_EQUAL(files->path[i], expected[i]);
}

static void touch(const char *name)
{
    FILE *f = fopen(under(name), "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    fclose(f);
}

static void trees_are_listed_by_layout(void)
{
#define REDUX "spectro/redux/iron/"
    static const char *const there[] = {REDUX "healpix/main/dark/0/7/coadd-main-dark-7.fits",
                                        REDUX "healpix/main/dark/272/27258/coadd-main-dark-27258.fits.gz",
                                        REDUX "healpix/main/dark/272/27258/spectra-main-dark-27258.fits.gz",
                                        REDUX "healpix/sv3/bright/272/27258/coadd-sv3-bright-27258.fits",
                                        REDUX "healpix/main/dark/1/27258/coadd-main-dark-27258.fits", /* wrong group */
                                        REDUX "healpix/main/dark/272/27258/coadd-main-dark-27258.fits.tmp",
                                        REDUX "healpix/tilepix.fits",
                                        REDUX "spectra/main/dark/436/43642/coadd-main-dark-43642.fits",
                                        REDUX "spectra/main/dark/7748/774809/coadd-main-dark-774809.fits",
                                        REDUX "tiles/cumulative/169/20210419/coadd-5-169-thru20210419.fits",
                                        REDUX "tiles/cumulative/169/20210419/coadd-5-169-thru20210419.fits.gz",
                                        REDUX "tiles/cumulative/169/20210419/coadd-0-169-thru20210419.fits.gz",
                                        REDUX "tiles/cumulative/169/20210419/coadd-1-170-thru20210419.fits",
                                        REDUX "tiles/cumulative/169/20210419/redrock-5-169-thru20210419.fits",
                                        REDUX "tiles/cumulative/169/logs/coadd-5-169-thru20210419.fits"};
    for (size_t i = 0; i < sizeof there / sizeof *there; i++) touch(there[i]);
    DesiConfig config = config_of(LAYOUT_HEALPIX);
    FileList files = list(&config);
    expect_files(&files, (const char *const[]){there[0], there[1], there[3]}, 3);
    config.spectra = SPECTRA_EXPOSURES;
    files = list(&config);
    expect_files(&files, &there[2], 1);
    config.spectra = SPECTRA_COADD;
    const char *wanted[] = {"sv3/bright"}, *slip[] = {"sv3/bright", "sv3/brihgt"};
    config.programs = (ConfigTexts){1, wanted};
    files = list(&config);
    expect_files(&files, &there[3], 1);
    config.programs = (ConfigTexts){2, slip};
    CHECK_FAILS(desi_list_redshifts(&files, &config, &test_arena), E_INPUT);

    config = config_of(LAYOUT_UNIQPIX);
    files = list(&config);
    expect_files(&files, &there[7], 2);
    config = config_of(LAYOUT_TILES);
    files = list(&config);
    expect_files(&files, (const char *const[]){there[11], there[9]}, 2);
    config.files = (ConfigTexts){1, wanted}; /* named files are taken as they stand */
    files = list(&config);
    expect_files(&files, wanted, 1);
    config = config_of(LAYOUT_HEALPIX);
    config.specprod = "loa"; /* no such tree: what lies in the root */
    touch("spectra-1.fits.gz");
    touch("coadd-1.fits");
    touch("coadd-1.fits.gz");
    touch("coadd-1.txt");
    config.root = under("");
    files = list(&config);
    CU_ASSERT(files.n >= 2 && strcmp(files.path[0], "coadd-1.fits") == 0);
    for (int64_t i = 0; i < files.n; i++) CU_ASSERT(strcmp(files.path[i], "coadd-1.fits.gz") != 0);
    CU_ASSERT_STRING_EQUAL(files.path[files.n - 1], "spectra-1.fits.gz");
    mkdir(under("empty"), 0777);
    config.root = under("empty");
    CHECK_FAILS(desi_list_redshifts(&files, &config, &test_arena), E_INPUT);
}

TEST_MAIN("desi_rows", {"paths follow the layout", paths_follow_the_layout},
          {"names of files say what they can", names_say_what_they_can},
          {"made identifiers are positive, unique and lasting", made_identifiers_hold},
          {"a file's own word comes before its name", a_files_own_word_comes_first},
          {"positions give the pixel where no file does", positions_give_the_pixel_where_no_file_does},
          {"tiles and UNIQPIX are known", tiles_and_uniqpix_are_known},
          {"any range of rows says the same", any_range_of_rows_says_the_same},
          {"spectra follow their rows", spectra_follow_their_rows},
          {"a broken source is one row", a_broken_source_is_one_row},
          {"damaged headers do no harm", damaged_headers_do_no_harm},
          {"redshifts of a redrock file beside are taken by TARGETID", redshifts_beside_are_taken_by_targetid},
          {"trees are listed by their layout", trees_are_listed_by_layout})
