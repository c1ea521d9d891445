/* What the fuzzer (tests/fuzz) found: files that ended the program within cfitsio or WCSLIB are refused, or read without the
   damaged part. */
#include <stdio.h>
#include <string.h>

#include "io/fitsfile.h"
#include "io/gzip.h"
#include "test_main.h"

enum { SIDE = 64, BLOCK = 2880, CARD = 80, MOST = 1 << 20 };

static char bytes[MOST];
static size_t n_bytes;

static const char *path_of(const char *name)
{
    static char path[FITS_PATH];
    snprintf(path, sizeof path, "%s/%s", test_folder(), name);
    return path;
}

static void load(const char *path)
{
    FILE *f = fopen(path, "rb");
    CU_ASSERT_FATAL(f != NULL);
    n_bytes = fread(bytes, 1, MOST, f);
    fclose(f);
}

static void store(const char *path, size_t n)
{
    FILE *f = fopen(path, "wb");
    CU_ASSERT_FATAL(f != NULL);
    CU_ASSERT(fwrite(bytes, 1, n, f) == n);
    fclose(f);
}

/* The card of the second HDU that starts with `key`. */
static char *card(const char *key)
{
    for (char *c = bytes + BLOCK; c + CARD <= bytes + n_bytes; c += CARD)
        if (strncmp(c, key, strlen(key)) == 0) return c;
    CU_FAIL_FATAL("no such card");
    return NULL;
}

static const char *small_table_file(void)
{
    const FitsColumn columns[] = {{"TARGETID", "K", "", ""}, {"Z", "D", "", ""}};
    const char *path = path_of("table.fits");
    FitsFile f;
    CHECK_OK(fitsfile_create(&f, path));
    CHECK_OK(fitsfile_new_table(&f, "T", columns, 2, 3));
    CHECK_OK(fitsfile_finish(&f));
    load(path);
    return path;
}

static const char *small_image_file(FitsCompression how)
{
    static float x[SIDE * SIDE];
    const char *path = path_of("image.fits");
    FitsFile f;
    for (int i = 0; i < SIDE * SIDE; i++) x[i] = (float)(i * 31 % 97) / 8;
    CHECK_OK(fitsfile_create(&f, path));
    CHECK_OK(fitsfile_new_image(&f, "I", FITS_F32, false, (int64_t[]){SIDE, SIDE}, 2, how));
    CHECK_OK(fitsfile_put_text(&f, "CTYPE1", "RA---TAN", ""));
    CHECK_OK(fitsfile_put_text(&f, "CTYPE2", "DEC--TAN", ""));
    CHECK_OK(fitsfile_write_pixels(&f, FITS_F32, x, SIDE * SIDE));
    CHECK_OK(fitsfile_finish(&f));
    load(path);
    return path;
}

static void refuses_table(const char *path)
{
    FitsFile f;
    if (!CHECK_OK(fitsfile_open(&f, path))) return;
    CHECK_FAILS(fitsfile_goto(&f, "T"), E_INPUT);
    fitsfile_close(&f);
}

static void a_table_header_that_is_cut_short_is_refused(void)
{
    const char *path = small_table_file();
    for (int cards = 1; cards < 12; cards++) { /* with and without the end of the last card */
        store(path, (size_t)(BLOCK + cards * CARD));
        refuses_table(path);
        store(path, (size_t)(BLOCK + cards * CARD - 45));
        refuses_table(path);
    }
}

static void a_table_header_without_its_first_keywords_is_refused(void)
{
    const char *path = small_table_file();
    memcpy(card("NAXIS1"), "END     ", 8);
    store(path, n_bytes);
    refuses_table(path);
}

/* 70 characters without quotes are one too many for cfitsio's name of a column. */
static void a_column_name_without_quotes_is_refused(void)
{
    const char *path = small_table_file();
    memset(card("TTYPE2") + 10, 'x', CARD - 10);
    store(path, n_bytes);
    refuses_table(path);
}

static void unread_image(const char *path, bool whole_stays)
{
    static float x[SIDE * SIDE];
    FitsFile f;
    if (!CHECK_OK(fitsfile_open(&f, path))) return;
    CHECK_OK(fitsfile_goto(&f, "I"));
    Status st = fitsfile_read_box(x, &f, 0, SIDE, 0, SIDE);
    CU_ASSERT_EQUAL(st, whole_stays ? OK : E_INPUT);
    fail_clear();
    fitsfile_close(&f);
}

/* cfitsio takes more and more memory for a gzip stream that does not end. */
static void a_gzip_tile_that_does_not_end_is_refused(void)
{
    const char *path = small_image_file(FITS_GZIP_LOSSLESS);
    unread_image(path, true);
    char *descriptor = NULL; /* of the first tile: the first row of the table after the header */
    for (size_t i = BLOCK; i + BLOCK <= n_bytes && !descriptor; i += CARD)
        if (strncmp(bytes + i, "END     ", 8) == 0) descriptor = bytes + (i / BLOCK + 1) * BLOCK;
    CU_ASSERT_FATAL(descriptor != NULL);
    descriptor[2] = 0, descriptor[3] = 40; /* its length */
    store(path, n_bytes);
    unread_image(path, false);
    memset(descriptor, 0x20, 4); /* a length that the file cannot hold */
    store(path, n_bytes);
    unread_image(path, false);
}

/* cfitsio repeats what is no number in a message that has no room for it. */
static void a_long_text_in_place_of_a_number_is_refused(void)
{
    static const char *const keys[] = {"ZBLANK", "ZNAXIS1", "ZBITPIX"};
    for (int k = 0; k < 3; k++) {
        char line[CARD + 1];
        FitsFile f;
        const char *path = small_image_file(FITS_GZIP_LOSSLESS);
        char *at = card(k == 0 ? "EXTNAME" : keys[k]);
        snprintf(line, sizeof line, "%-8s= %-70s", keys[k], "no_number_at_all_and_of_more_characters_than_a_number");
        memcpy(at, line, CARD);
        store(path, n_bytes);
        if (!CHECK_OK(fitsfile_open(&f, path))) return;
        CHECK_FAILS(fitsfile_goto_number(&f, 1), E_INPUT);
        fitsfile_close(&f);
    }
}

/* cfitsio takes as much memory as the trailer claims. */
static void a_gzip_trailer_that_claims_too_much_is_refused(void)
{
    static const float zeros[SIDE * SIDE];
    const char *plain = path_of("zeros.fits");
    FitsFile f;
    CHECK_OK(fitsfile_create(&f, plain));
    CHECK_OK(fitsfile_new_image(&f, "I", FITS_F32, false, (int64_t[]){SIDE, SIDE}, 2, FITS_PLAIN));
    CHECK_OK(fitsfile_write_pixels(&f, FITS_F32, zeros, SIDE * SIDE));
    CHECK_OK(fitsfile_finish(&f));
    load(plain);
    const size_t whole = n_bytes;
    char packed[FITS_PATH + 8];
    snprintf(packed, sizeof packed, "%s.gz", plain);
    CHECK_OK(gzip_file(packed, plain));
    load(packed);
    CU_ASSERT(whole > 31 * n_bytes); /* unlikely, and true */
    if (CHECK_OK(fitsfile_open(&f, packed))) fitsfile_close(&f);
    bytes[n_bytes - 3] ^= 2; /* 512 bytes more or less */
    store(packed, n_bytes);
    CHECK_FAILS(fitsfile_open(&f, packed), E_INPUT);
}

static void damaged_cards_do_not_reach_wcslib(void)
{
    const char *path = small_image_file(FITS_PLAIN);
    char *cards;
    int n = 0;
    FitsFile f;
    memset(card("CTYPE1") + 19, 'x', CARD - 19); /* the text does not end */
    card("CTYPE2")[15] = '\x9f';
    store(path, n_bytes);
    CHECK_OK(fitsfile_open(&f, path));
    CHECK_OK(fitsfile_goto(&f, "I"));
    CHECK_OK(fitsfile_header(&cards, &n, &f, &test_arena));
    CU_ASSERT(n > 4 && strstr(cards, "CTYPE") == NULL && strstr(cards, "NAXIS1") != NULL);
    fitsfile_close(&f);
}

TEST_MAIN("hostile_fits", {"a table header that is cut short is refused", a_table_header_that_is_cut_short_is_refused},
          {"a table header without its first keywords is refused",
           a_table_header_without_its_first_keywords_is_refused},
          {"a column name without quotes is refused", a_column_name_without_quotes_is_refused},
          {"a gzip trailer that claims too much is refused", a_gzip_trailer_that_claims_too_much_is_refused},
          {"a long text in place of a number is refused", a_long_text_in_place_of_a_number_is_refused},
          {"a gzip tile that does not end is refused", a_gzip_tile_that_does_not_end_is_refused},
          {"damaged cards do not reach WCSLIB", damaged_cards_do_not_reach_wcslib})
