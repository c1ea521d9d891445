/* test_bad_fits.c - whatever stands in a file, the reader answers with a message: no crash, no hang, no allocation by a
   header's word. The bad files are made here from a good one. */
#include "io/fitsfile.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/rng.h"
#include "test_main.h"

enum { PATH = 1200, ROWS = 40, SIDE = 120, GOOD_BYTES = 1 << 20, BLOCK = 2880 };

static unsigned char good[GOOD_BYTES]; /* the good file */
static int64_t n_good;
static int64_t table_at; /* header of the table */

static const char *path_of(char *out, const char *name)
{
    snprintf(out, PATH, "%s/%d-%s", test_folder(), test_par.rank, name);
    return out;
}

static void write_bytes(const char *path, const void *data, int64_t n)
{
    FILE *file = fopen(path, "wb");
    CU_ASSERT_FATAL(file != NULL);
    CU_ASSERT_FATAL(n == 0 || fwrite(data, 1, (size_t)n, file) == (size_t)n);
    fclose(file);
}

/* Primary, plain image IMAGE, compressed image PACKED, table TABLE. */
static void make_good(void)
{
    static const FitsColumn columns[] = {{"TARGETID", "K", "", ""}, {"NAME", "8A", "", ""}, {"FLUX", "5E", "", ""}};
    static float pixels[SIDE * SIDE];
    char path[PATH];
    int64_t id[ROWS], start;
    FitsFile f;
    if (n_good) return;
    for (int i = 0; i < SIDE * SIDE; i++) pixels[i] = (float)(i % 17);
    for (int i = 0; i < ROWS; i++) id[i] = i;
    CHECK_OK(fitsfile_create(&f, path_of(path, "good.fits")));
    CHECK_OK(fitsfile_new_image(&f, "IMAGE", FITS_F32, false, (int64_t[]){SIDE, SIDE}, 2, FITS_PLAIN));
    CHECK_OK(fitsfile_write_pixels(&f, FITS_F32, pixels, SIDE * SIDE));
    CHECK_OK(fitsfile_new_image(&f, "PACKED", FITS_F32, false, (int64_t[]){SIDE, SIDE}, 2, FITS_RICE_FLUX));
    CHECK_OK(fitsfile_write_pixels(&f, FITS_F32, pixels, SIDE * SIDE));
    CHECK_OK(fitsfile_new_table(&f, "TABLE", columns, 3, ROWS));
    CHECK_OK(fitsfile_write_column(&f, "TARGETID", FITS_I64, id, 0, ROWS));
    CHECK_OK(fitsfile_data_span(&start, &(int64_t){0}, &f));
    table_at = start - BLOCK; /* three columns: a header of one block */
    CHECK_OK(fitsfile_finish(&f));
    FILE *file = fopen(path, "rb");
    CU_ASSERT_FATAL(file != NULL);
    n_good = (int64_t)fread(good, 1, sizeof good, file);
    fclose(file);
    CU_ASSERT_FATAL(n_good > 4 * BLOCK && n_good < GOOD_BYTES && n_good % BLOCK == 0);
}

/* Reads all there is to read, as a stage would, and gives up politely. Returns the first failure. */
static Status read_all(const char *path)
{
    FitsFile f;
    Status st = OK, first = OK;
    Mark mark = arena_mark(&test_arena);
    st = fitsfile_open(&f, path);
    if (st != OK) return st;
    static const char *const images[] = {"IMAGE", "PACKED"};
    for (int k = 0; k < 2; k++) {
        int64_t dims[FITS_AXES] = {0}, n = 1, ny, nx;
        int axes = 0, n_cards;
        float *pixels;
        char *cards;
        st = fitsfile_goto(&f, images[k]);
        if (st == OK) st = fitsfile_image_size(dims, &axes, &f);
        for (int i = 0; i < axes; i++) n *= dims[i];
        if (st == OK) st = arena_new(&pixels, &test_arena, n);
        if (st == OK) st = fitsfile_read_rows(pixels, &f, FITS_F32, 0, dims[0]);
        if (st == OK) st = fitsfile_header(&cards, &n_cards, &f, &test_arena);
        if (st == OK) fitsfile_tile(&ny, &nx, &f);
        if (first == OK) first = st;
    }
    int64_t rows = 0, width = 0;
    void *data;
    st = fitsfile_goto(&f, "TABLE");
    if (st == OK) st = fitsfile_rows(&rows, &f);
    if (st == OK) st = fitsfile_column_width(&width, &f, "FLUX");
    if (st == OK) st = arena_take(&data, &test_arena, rows, (size_t)width * 4 + 16);
    if (st == OK) st = fitsfile_read_column(data, &f, "FLUX", FITS_F32, 0, rows);
    if (st == OK) st = fitsfile_read_column(data, &f, "TARGETID", FITS_I64, 0, rows);
    if (st == OK) st = fitsfile_read_text(data, 9, &f, "NAME", 0, rows);
    FitsPick pick[] = {{.name = "TARGETID", .type = FITS_I64}, {.name = "NAME", .type = FITS_TEXT, .cell = 9}};
    if (st == OK) st = arena_take(&pick[0].out, &test_arena, rows, sizeof(int64_t));
    if (st == OK) st = arena_take(&pick[1].out, &test_arena, rows, 9);
    if (st == OK) st = fitsfile_read_picks(pick, 2, &f, 0, rows, &test_arena);
    if (first == OK) first = st;
    fitsfile_close(&f);
    arena_reset(&test_arena, mark);
    return first;
}

/* Overwrites a card's value in a copy of the good file. `from` is where to look for the keyword. */
static void write_with_value(const char *path, int64_t from, const char *key, const char *value)
{
    static unsigned char copy[GOOD_BYTES];
    char start[12], card[100];
    snprintf(start, sizeof start, "%-8s=", key);
    snprintf(card, sizeof card, "%s %24s%46s", start, value, "");
    memcpy(copy, good, (size_t)n_good);
    for (int64_t at = from; at < n_good; at += 80)
        if (memcmp(copy + at, start, 9) == 0) {
            memcpy(copy + at, card, 80);
            write_bytes(path, copy, n_good);
            return;
        }
    CU_FAIL_FATAL("the keyword is not in the good file");
}

static int64_t find_text(const char *text)
{
    for (int64_t at = 0; at < n_good; at += 80)
        if (memcmp(good + at, text, strlen(text)) == 0) return at;
    return -1;
}

static void the_good_file_is_good(void)
{
    char path[PATH];
    make_good();
    write_bytes(path_of(path, "same.fits"), good, n_good);
    CHECK_OK(read_all(path));
}

static void things_that_are_no_files_are_refused(void)
{
    char path[PATH], pipe[PATH];
    FitsFile f;
    CHECK_FAILS(fitsfile_open(&f, path_of(path, "absent.fits")), E_INPUT);
    CHECK_FAILS(fitsfile_open(&f, ""), E_INPUT);
    CHECK_FAILS(fitsfile_open(&f, test_folder()), E_INPUT);
    CHECK_FAILS(fitsfile_open(&f, "/dev/null"), E_INPUT);
    if (mkfifo(path_of(pipe, "pipe.fits"), 0600) == 0)
        CHECK_FAILS(fitsfile_open(&f, pipe), E_INPUT); /* at once: no writer */
    char long_path[FITS_PATH + 100];
    memset(long_path, 'a', sizeof long_path - 1);
    long_path[sizeof long_path - 1] = '\0';
    CHECK_FAILS(fitsfile_open(&f, long_path), E_INPUT);
    CHECK_FAILS(fitsfile_create(&f, long_path), E_OUTPUT);
    CHECK_FAILS(fitsfile_open(&f, "file:///dev/zero"), E_INPUT);
    CHECK_FAILS(fitsfile_open(&f, "-"), E_INPUT); /* cfitsio: standard input */
}

static void a_neighbour_with_gz_does_not_stand_in(void)
{
    char path[PATH], packed[PATH];
    FitsFile f;
    make_good();
    write_bytes(path_of(packed, "other.fits.gz"), good, n_good);
    CHECK_FAILS(fitsfile_open(&f, path_of(path, "other.fits")), E_INPUT); /* cfitsio would try other.fits.gz */
}

static void names_are_taken_literally(void)
{
    static const char *const names[] = {"a[1].fits", "!x.fits", "b(copy).fits", "c.fits[TABLE][col X]",
                                        "d+1",       " e.fits", "~f.fits",      "*.fits"};
    char path[PATH], home[PATH];
    FitsFile f;
    make_good();
    MUST(getcwd(home, sizeof home));
    for (int k = 0; k < 8; k++) {
        write_bytes(path_of(path, names[k]), good, n_good);
        CHECK_OK(fitsfile_open(&f, path));
        CU_ASSERT(fitsfile_has(&f, "TABLE"));
        fitsfile_close(&f);
    }
    if (test_par.rank == 0 && chdir(test_folder()) == 0) { /* relative names begin with the odd character itself */
        for (int k = 0; k < 8; k++) {
            CHECK_OK(fitsfile_create(&f, names[k]));
            CHECK_OK(fitsfile_finish(&f));
            CU_ASSERT(access(names[k], R_OK) == 0);
            CHECK_OK(fitsfile_open(&f, names[k]));
            fitsfile_close(&f);
        }
        CU_ASSERT(chdir(home) == 0);
    }
}

static void files_that_are_not_fits_are_refused(void)
{
    char path[PATH];
    static unsigned char noise[10000];
    Rng rng = rng_stream(5, "test.noise", 0, 0);
    for (int i = 0; i < 10000; i++) noise[i] = (unsigned char)rng_u32(&rng);
    write_bytes(path_of(path, "empty.fits"), noise, 0);
    CHECK_FAILS(read_all(path), E_INPUT);
    write_bytes(path, noise, 5);
    CHECK_FAILS(read_all(path), E_INPUT);
    write_bytes(path, noise, 10000);
    CHECK_FAILS(read_all(path), E_INPUT);
    memcpy(noise, "SIMPLE  =                    T", 30);
    write_bytes(path, noise, 10000);
    CHECK_FAILS(read_all(path), E_INPUT);
    memcpy(noise, "\x1f\x8b\x08\0\0\0\0\0", 8); /* gzip's beginning, then noise */
    write_bytes(path, noise, 10000);
    CHECK_FAILS(read_all(path), E_INPUT);
    memset(noise + 9996, 0, 4); /* ... and claims nothing, for which cfitsio would take 2^32 bytes */
    write_bytes(path, noise, 10000);
    const Status st = read_all(path);
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_record()->text, "to 4294967296: damaged gzip"));
    CHECK_FAILS(st, E_INPUT);
    write_bytes(path, noise, 10);
    CHECK_FAILS(read_all(path), E_INPUT);
    memset(noise, ' ', sizeof noise);
    memcpy(noise, "SIMPLE  =                    T", 30); /* a header without end */
    write_bytes(path, noise, 10000);
    CHECK_FAILS(read_all(path), E_INPUT);
}

static void every_truncation_is_survived(void)
{
    char path[PATH];
    make_good();
    path_of(path, "short.fits");
    for (int64_t n = 1111 * test_par.rank; n < n_good;
         n += 1111 * test_par.n_ranks) { /* in headers, data, between cards */
        write_bytes(path, good, n);
        CHECK_FAILS(read_all(path), E_INPUT);
    }
    write_bytes(path, good, n_good - 1);
    CHECK_FAILS(read_all(path), E_INPUT);
}

static void absurd_sizes_are_refused(void)
{
    static const struct {
        const char *hdu, *key, *value;
    } cases[] = {
        {"XTENSION= 'IMAGE", "NAXIS1", "9223372036854775807"},
        {"XTENSION= 'IMAGE", "NAXIS2", "4611686018427387904"},
        {"XTENSION= 'IMAGE", "NAXIS1", "99999999999999999999999"},
        {"XTENSION= 'IMAGE", "NAXIS1", "-5"},
        {"XTENSION= 'IMAGE", "NAXIS", "999"},
        {"XTENSION= 'IMAGE", "NAXIS", "-1"},
        {"XTENSION= 'IMAGE", "BITPIX", "7"},
        {"XTENSION= 'IMAGE", "NAXIS2", "1000000"},
        {"XTENSION= 'IMAGE", "NAXIS2", "-1"},
        {"TABLE", "NAXIS2", "9223372036854775807"},
        {"TABLE", "NAXIS2", "1000000000"},
        {"TABLE", "NAXIS1", "9223372036854775807"},
        {"TABLE", "NAXIS1", "0"},
        {"TABLE", "NAXIS2", "-1"},
        {"TABLE", "TFIELDS", "1000"},
        {"TABLE", "TFIELDS", "0"},
        {"TABLE", "TFORM3", "'99999999999E'"},
        {"TABLE", "TFORM3", "'5Q'"},
        {"TABLE", "TFORM1", "'-8A'"},
        {"TABLE", "TFORM2", "'8A4'"},
        {"PACKED", "ZNAXIS1", "4000000000"},
        {"PACKED", "ZNAXIS2", "9223372036854775807"},
        {"PACKED", "ZNAXIS", "5000"},
        {"PACKED", "ZBITPIX", "3"},
        {"PACKED", "ZTILE1", "0"},
        {"PACKED", "ZDITHER0", "0"},
        {"PACKED", "ZTILE2", "-3"},
        {"PACKED", "ZTILE1", "2000000000"},
        {"PACKED", "NAXIS2", "1000000000"},
        {"PACKED", "ZCMPTYPE", "'NONSENSE'"},
        {"PACKED", "ZVAL1", "1000000000"},
    };
    char path[PATH];
    make_good();
    int64_t packed = find_text("XTENSION= 'BINTABLE'");
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        int64_t from = strcmp(cases[k].hdu, "TABLE") == 0    ? table_at
                       : strcmp(cases[k].hdu, "PACKED") == 0 ? packed
                                                             : find_text(cases[k].hdu);
        CU_ASSERT_FATAL(from > 0);
        write_with_value(path_of(path, "absurd.fits"), from, cases[k].key, cases[k].value);
        if (getenv("ASTROCLIP_VERBOSE")) fprintf(stderr, "%s %s = %s\n", cases[k].hdu, cases[k].key, cases[k].value);
        CHECK_FAILS(read_all(path), E_INPUT);
    }
}

/* What read_all answers does not matter here, only that it does: some nonsense is harmless. */
static void survive(const char *path)
{
    (void)read_all(path);
    fail_clear();
}

static void nonsense_in_any_keyword_is_survived(void)
{
    static const char *const values[] = {"0", "-1", "7", "9223372036854775807", "1.5E300", "'x'", ""};
    static unsigned char copy[GOOD_BYTES];
    char path[PATH], card[200];
    int n_cards = 0;
    make_good();
    path_of(path, "nonsense.fits");
    for (int64_t at = 0; at < n_good; at += 80) {
        bool keyword = good[at] >= 'A' && good[at] <= 'Z' && good[at + 8] == '=' && good[at + 9] == ' ';
        if (!keyword) continue;
        if (n_cards++ % test_par.n_ranks != test_par.rank) continue; /* the ranks share the work */
        for (int k = 0; k < 7; k++) {
            memcpy(copy, good, (size_t)n_good);
            snprintf(card, sizeof card, "%.8s= %20s%50s", (const char *)good + at, values[k], "");
            memcpy(copy + at, card, 80);
            write_bytes(path, copy, n_good);
            survive(path);
        }
    }
    CU_ASSERT(n_cards > 50);
}

static void damaged_bytes_are_survived(void)
{
    static unsigned char copy[GOOD_BYTES];
    char path[PATH];
    Rng rng = rng_stream(11, "test.damage", test_par.rank, 0);
    make_good();
    path_of(path, "damaged.fits");
    int64_t packed = find_text("XTENSION= 'BINTABLE'");
    for (int round = 0; round < 400 / test_par.n_ranks;
         round++) { /* in the headers, in the compressed image, anywhere */
        memcpy(copy, good, (size_t)n_good);
        int64_t from = round % 3 ? packed : 0, to = round % 3 == 1 ? table_at : n_good;
        for (int k = 0; k < 4; k++) {
            int64_t at = from + rng_below(&rng, to - from);
            copy[at] = (unsigned char)(round % 2 ? ' ' + rng_below(&rng, 95) : rng_below(&rng, 256));
        }
        write_bytes(path, copy, n_good);
        survive(path);
    }
}

static void a_zeroed_tile_is_refused(void)
{
    static unsigned char copy[GOOD_BYTES];
    float box[4];
    char path[PATH];
    int64_t start, bytes;
    FitsFile f;
    make_good();
    write_bytes(path_of(path, "zeroed.fits"), good, n_good);
    CHECK_OK(fitsfile_open(&f, path));
    CHECK_OK(fitsfile_goto(&f, "PACKED"));
    CHECK_OK(fitsfile_data_span(&start, &bytes, &f));
    fitsfile_close(&f);
    memcpy(copy, good, (size_t)n_good);
    memset(copy + start + bytes - 100, 0, 100); /* the decoder of cfitsio would look for a 1 bit for ever */
    write_bytes(path, copy, n_good);
    CHECK_OK(fitsfile_open(&f, path));
    CHECK_OK(fitsfile_goto(&f, "PACKED"));
    CHECK_OK(fitsfile_read_box(box, &f, 0, 2, 0, 2)); /* the first tile is whole */
    CHECK_FAILS(fitsfile_read_box(box, &f, SIDE - 2, SIDE, SIDE - 2, SIDE), E_INPUT);
    fitsfile_close(&f);
}

static void missing_things_are_named(void)
{
    char path[PATH];
    double value;
    FitsFile f;
    make_good();
    write_bytes(path_of(path, "missing.fits"), good, n_good);
    CHECK_OK(fitsfile_open(&f, path));
    CU_ASSERT_EQUAL(fitsfile_goto(&f, "B_FLUX"), E_INPUT);
    CU_ASSERT(strstr(fail_record()->text, "missing.fits") && strstr(fail_record()->text, "B_FLUX"));
    CHECK_OK(fitsfile_goto(&f, "TABLE"));
    CU_ASSERT_EQUAL(fitsfile_read_column(&value, &f, "Z", FITS_F64, 0, 1), E_INPUT);
    CU_ASSERT(strstr(fail_record()->text, "TABLE") && strstr(fail_record()->text, "column Z"));
    fail_clear();
    fitsfile_close(&f);
}

/* More address space than the bad files could ever justify would fail here, and the machine is spared if a check is
   missing. */
static void memory_stays_bounded(void)
{
    struct rusage usage;
    CU_ASSERT_FATAL(getrusage(RUSAGE_SELF, &usage) == 0);
    CU_ASSERT(usage.ru_maxrss < 1 << 20); /* kilobytes: 1 GB, with sanitizers and MPI */
}

TEST_MAIN("bad_fits", {"the good file is good", the_good_file_is_good},
          {"things that are no files are refused", things_that_are_no_files_are_refused},
          {"a neighbour with .gz does not stand in", a_neighbour_with_gz_does_not_stand_in},
          {"names are taken literally", names_are_taken_literally},
          {"files that are not FITS are refused", files_that_are_not_fits_are_refused},
          {"every truncation is survived", every_truncation_is_survived},
          {"absurd sizes are refused", absurd_sizes_are_refused},
          {"nonsense in any keyword is survived", nonsense_in_any_keyword_is_survived},
          {"damaged bytes are survived", damaged_bytes_are_survived},
          {"a zeroed tile is refused", a_zeroed_tile_is_refused},
          {"missing things are named", missing_things_are_named}, {"memory stays bounded", memory_stays_bounded})
