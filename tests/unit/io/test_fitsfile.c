/* test_fitsfile.c - what is written comes back: columns of every type, texts, keywords, HDUs, checksums. */
#include "io/fitsfile.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/rng.h"
#include "test_main.h"

enum { ROWS = 2500, PATH = 1200 }; /* more rows than one block of texts */

static const char *path_of(char *out, const char *name)
{
    snprintf(out, PATH, "%s/%s", test_folder(), name);
    return out;
}

/* ---- tables ---- */

static const FitsColumn columns[] = {
    {"TARGETID", "K", "", "DESI target identifier"},
    {"COUNT", "J", "", ""},
    {"SMALL", "I", "", ""},
    {"RA", "D", "deg", "right ascension"},
    {"FLUX", "E", "nanomaggy", ""},
    {"GOOD", "L", "", ""},
    {"BYTE", "B", "", ""},
    {"NAME", "8A", "", ""},
    {"VECTOR", "3E", "", ""},
};

static int64_t ids[ROWS];
static int32_t counts[ROWS];
static int16_t smalls[ROWS];
static double ras[ROWS];
static float fluxes[ROWS], vectors[ROWS][3];
static uint8_t goods[ROWS], bytes[ROWS];
static char names[ROWS][9];

static void fill_table(void)
{
    Rng rng = rng_stream(7, "test.fitsfile", 0, 0);
    for (int i = 0; i < ROWS; i++) {
        ids[i] = (int64_t)rng_u64(&rng);
        counts[i] = (int32_t)rng_u32(&rng);
        smalls[i] = (int16_t)rng_u32(&rng);
        ras[i] = 360 * rng_uniform(&rng);
        fluxes[i] = i % 7 ? (float)rng_normal(&rng) : NAN;
        goods[i] = rng_u32(&rng) & 1;
        bytes[i] = (uint8_t)rng_u32(&rng);
        snprintf(names[i], sizeof names[i], "%0*d", 1 + i % 8, i % 10);
        for (int k = 0; k < 3; k++) vectors[i][k] = (float)rng_normal(&rng);
    }
}

static bool write_table(const char *path)
{
    FitsFile f;
    fill_table();
    bool ok = CHECK_OK(fitsfile_create(&f, path)) && CHECK_OK(fitsfile_new_table(&f, "THINGS", columns, 9, ROWS)) &&
              CHECK_OK(fitsfile_write_column(&f, "TARGETID", FITS_I64, ids, 0, ROWS)) &&
              CHECK_OK(fitsfile_write_column(&f, "COUNT", FITS_I32, counts, 0, ROWS)) &&
              CHECK_OK(fitsfile_write_column(&f, "SMALL", FITS_I16, smalls, 0, ROWS)) &&
              CHECK_OK(fitsfile_write_column(&f, "RA", FITS_F64, ras, 0, ROWS)) &&
              CHECK_OK(fitsfile_write_column(&f, "FLUX", FITS_F32, fluxes, 0, ROWS)) &&
              CHECK_OK(fitsfile_write_column(&f, "GOOD", FITS_BOOL, goods, 0, ROWS)) &&
              CHECK_OK(fitsfile_write_column(&f, "BYTE", FITS_U8, bytes, 0, ROWS)) &&
              CHECK_OK(fitsfile_write_text(&f, "NAME", names[0], sizeof names[0], 0, ROWS)) &&
              CHECK_OK(fitsfile_write_column(&f, "VECTOR", FITS_F32, vectors, 0, 100)) &&
              CHECK_OK(fitsfile_write_column(&f, "VECTOR", FITS_F32, vectors[100], 100, ROWS - 100)) &&
              CHECK_OK(fitsfile_put_checksum(&f)) && CHECK_OK(fitsfile_finish(&f));
    return ok;
}

#define CHECK_COLUMN(f, name, type, original, element)                                                                 \
    do {                                                                                                               \
        memset(back, 0x55, sizeof back);                                                                               \
        CHECK_OK(fitsfile_read_column(back, (f), (name), (type), 0, ROWS));                                            \
        CU_ASSERT(memcmp(back, (original), ROWS *(element)) == 0);                                                     \
    } while (0)

static void columns_come_back(void)
{
    char path[PATH];
    static double back[ROWS * 3];
    FitsFile f;
    if (!write_table(path_of(path, "table.fits")) || !CHECK_OK(fitsfile_open(&f, path))) return;
    CHECK_OK(fitsfile_goto(&f, "things"));
    CU_ASSERT_STRING_EQUAL(f.hdu, "THINGS");
    int64_t n = 0, width = 0;
    CHECK_OK(fitsfile_rows(&n, &f));
    CU_ASSERT_EQUAL(n, ROWS);
    CHECK_COLUMN(&f, "TARGETID", FITS_I64, ids, sizeof(int64_t));
    CHECK_COLUMN(&f, "COUNT", FITS_I32, counts, sizeof(int32_t));
    CHECK_COLUMN(&f, "SMALL", FITS_I16, smalls, sizeof(int16_t));
    CHECK_COLUMN(&f, "RA", FITS_F64, ras, sizeof(double));
    CHECK_COLUMN(&f, "GOOD", FITS_BOOL, goods, 1);
    CHECK_COLUMN(&f, "GOOD", FITS_U8, goods, 1);
    CHECK_COLUMN(&f, "BYTE", FITS_U8, bytes, 1);
    CHECK_COLUMN(&f, "vector", FITS_F32, vectors, 3 * sizeof(float));
    CHECK_OK(fitsfile_column_width(&width, &f, "VECTOR"));
    CU_ASSERT_EQUAL(width, 3);
    CHECK_OK(fitsfile_column_width(&width, &f, "NAME"));
    CU_ASSERT_EQUAL(width, 8);
    CU_ASSERT(fitsfile_has_column(&f, "ra") && !fitsfile_has_column(&f, "R*") && !fitsfile_has_column(&f, "1"));
    fitsfile_close(&f);
    fitsfile_close(&f);
}

static void types_are_converted(void)
{
    char path[PATH];
    static double wide[ROWS];
    static int64_t longs[ROWS];
    static uint8_t flags[ROWS];
    static float one[3];
    FitsFile f;
    if (!write_table(path_of(path, "convert.fits")) || !CHECK_OK(fitsfile_open(&f, path))) return;
    CHECK_OK(fitsfile_goto(&f, "THINGS"));
    CHECK_OK(fitsfile_read_column(wide, &f, "FLUX", FITS_F64, 0, ROWS));
    CHECK_OK(fitsfile_read_column(longs, &f, "SMALL", FITS_I64, 0, ROWS));
    CHECK_OK(fitsfile_read_column(flags, &f, "BYTE", FITS_BOOL, 0, ROWS)); /* flags kept as integers */
    int wrong = 0;
    for (int i = 0; i < ROWS; i++) {
        wrong += isnan(fluxes[i]) ? !isnan(wide[i]) : wide[i] != (double)fluxes[i];
        wrong += longs[i] != smalls[i];
        wrong += flags[i] != (bytes[i] != 0);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CHECK_OK(fitsfile_read_column(one, &f, "VECTOR", FITS_F32, 1234, 1));
    CU_ASSERT(memcmp(one, vectors[1234], sizeof one) == 0);
    CHECK_OK(fitsfile_read_column(one, &f, "VECTOR", FITS_F32, ROWS, 0)); /* none, at the end */
    fitsfile_close(&f);
}

static void what_does_not_fit_is_refused(void)
{
    char path[PATH];
    static double wide[ROWS];
    FitsFile f;
    if (!write_table(path_of(path, "refuse.fits")) || !CHECK_OK(fitsfile_open(&f, path))) return;
    int64_t dims[FITS_AXES], n;
    int axes;
    CHECK_FAILS(fitsfile_image_size(dims, &axes, &f), E_INPUT); /* the primary holds nothing */
    CHECK_FAILS(fitsfile_rows(&n, &f), E_INPUT);
    CHECK_OK(fitsfile_goto(&f, "THINGS"));
    CHECK_FAILS(fitsfile_image_size(dims, &axes, &f), E_INPUT);
    CHECK_FAILS(fitsfile_read_column(wide, &f, "FLUX", FITS_I32, 0, 1), E_INPUT);      /* real as integer */
    CHECK_FAILS(fitsfile_read_column(wide, &f, "NAME", FITS_F32, 0, 1), E_INPUT);      /* text as number */
    CHECK_FAILS(fitsfile_read_text((char *)wide, 8, &f, "RA", 0, 1), E_INPUT);         /* number as text */
    CHECK_FAILS(fitsfile_read_column(wide, &f, "TARGETID", FITS_I32, 0, 1), E_INPUT);  /* 64 bits in 32 */
    CHECK_FAILS(fitsfile_read_column(wide, &f, "RA", FITS_F64, ROWS - 1, 2), E_INPUT); /* past the end */
    CHECK_FAILS(fitsfile_read_column(wide, &f, "RA", FITS_F64, -1, 1), E_INPUT);
    CHECK_FAILS(fitsfile_read_column(wide, &f, "RA", FITS_F64, INT64_MAX, 1), E_INPUT);
    CHECK_FAILS(fitsfile_goto_image(&f), E_INPUT);
    fitsfile_close(&f);
}

static void texts_come_back(void)
{
    char path[PATH];
    static char back[ROWS][9], cut[ROWS][4];
    FitsFile f;
    if (!write_table(path_of(path, "text.fits")) || !CHECK_OK(fitsfile_open(&f, path))) return;
    CHECK_OK(fitsfile_goto(&f, "THINGS"));
    CHECK_OK(fitsfile_read_text(back[0], sizeof back[0], &f, "NAME", 0, ROWS));
    CHECK_OK(fitsfile_read_text(cut[0], sizeof cut[0], &f, "NAME", 0, ROWS));
    int wrong = 0;
    for (int i = 0; i < ROWS; i++)
        wrong += strcmp(back[i], names[i]) != 0 || strncmp(cut[i], names[i], 3) != 0 || cut[i][3];
    CU_ASSERT_EQUAL(wrong, 0);
    fitsfile_close(&f);
}

static void texts_lose_blanks_at_their_end_only(void)
{
    char path[PATH], back[4][8];
    static const char text[4][8] = {"  a b  ", "", "       ", "1234567"}; /* the last fills the column */
    static const FitsColumn column = {"T", "7A", "", ""};
    FitsFile f;
    CHECK_OK(fitsfile_create(&f, path_of(path, "blanks.fits")));
    CHECK_OK(fitsfile_new_table(&f, "T", &column, 1, 4));
    CHECK_OK(fitsfile_write_text(&f, "T", text[0], 8, 0, 4));
    CHECK_FAILS(fitsfile_write_text(&f, "T", "too long", 9, 0, 1), E_OUTPUT);
    CHECK_OK(fitsfile_finish(&f));
    CHECK_OK(fitsfile_open(&f, path));
    CHECK_OK(fitsfile_goto(&f, "T"));
    CHECK_OK(fitsfile_read_text(back[0], 8, &f, "T", 0, 4));
    CU_ASSERT_STRING_EQUAL(back[0], "  a b");
    CU_ASSERT_STRING_EQUAL(back[1], "");
    CU_ASSERT_STRING_EQUAL(back[2], "");
    CU_ASSERT_STRING_EQUAL(back[3], "1234567");
    fitsfile_close(&f);
}

static void integer_nulls_read_as_float_are_nan(void)
{
    char path[PATH];
    static const FitsColumn column = {"N", "J", "", ""};
    const int32_t value[3] = {5, -99, 7};
    float back[3];
    int32_t raw[3];
    FitsFile f;
    CHECK_OK(fitsfile_create(&f, path_of(path, "null.fits")));
    CHECK_OK(fitsfile_new_table(&f, "T", &column, 1, 3));
    CHECK_OK(fitsfile_put_i64(&f, "TNULL1", -99, ""));
    CHECK_OK(fitsfile_write_column(&f, "N", FITS_I32, value, 0, 3));
    CHECK_OK(fitsfile_finish(&f));
    CHECK_OK(fitsfile_open(&f, path));
    CHECK_OK(fitsfile_goto(&f, "T"));
    CHECK_OK(fitsfile_read_column(back, &f, "N", FITS_F32, 0, 3));
    CHECK_OK(fitsfile_read_column(raw, &f, "N", FITS_I32, 0, 3));
    CU_ASSERT(back[0] == 5 && isnan(back[1]) && back[2] == 7);
    CU_ASSERT_EQUAL(raw[1], -99);
    fitsfile_close(&f);
}

static void an_empty_table_is_a_table(void)
{
    char path[PATH];
    FitsFile f;
    int64_t n = -1, id;
    CHECK_OK(fitsfile_create(&f, path_of(path, "norows.fits")));
    CHECK_OK(fitsfile_new_table(&f, "THINGS", columns, 9, 0));
    CHECK_OK(fitsfile_finish(&f));
    CHECK_OK(fitsfile_open(&f, path));
    CHECK_OK(fitsfile_goto(&f, "THINGS"));
    CHECK_OK(fitsfile_rows(&n, &f));
    CU_ASSERT_EQUAL(n, 0);
    CHECK_OK(fitsfile_read_column(&id, &f, "TARGETID", FITS_I64, 0, 0));
    fitsfile_close(&f);
}

/* ---- keywords ---- */

static void keywords_come_back(void)
{
    char path[PATH], long_text[300], back[400] = "same", *cards = NULL;
    double d = 3, exact = 0.1 + 0.2;
    int64_t i = 3;
    bool b = false;
    int n_cards = 0;
    FitsFile f;
    for (int k = 0; k < 299; k++) long_text[k] = (char)('a' + k % 26);
    long_text[120] = '\'';
    long_text[299] = '\0';
    CHECK_OK(fitsfile_create(&f, path_of(path, "keys.fits")));
    CHECK_OK(fitsfile_put_text(&f, "SURVEY", "main", "survey name"));
    CHECK_OK(fitsfile_put_text(&f, "SURVEY", "sv3", ""));
    CHECK_OK(fitsfile_put_text(&f, "LONGTEXT", long_text, "a long one"));
    CHECK_OK(fitsfile_put_text(&f, "ODD", "a\nb\xc3\xa9", ""));
    CHECK_OK(fitsfile_put_i64(&f, "BIG", INT64_MAX, ""));
    CHECK_OK(fitsfile_put_f64(&f, "EXACT", exact, ""));
    CHECK_OK(fitsfile_put_f64(&f, "WHOLE", 2, ""));
    CHECK_OK(fitsfile_put_bool(&f, "HPXNEST", true, ""));
    CHECK_FAILS(fitsfile_put_f64(&f, "NOT", NAN, ""), E_OUTPUT);
    CHECK_OK(fitsfile_finish(&f));
    CHECK_OK(fitsfile_open(&f, path));
    CU_ASSERT(!fitsfile_get_text(back, sizeof back, &f, "ABSENT") && strcmp(back, "same") == 0);
    CU_ASSERT(fitsfile_get_text(back, sizeof back, &f, "SURVEY") && strcmp(back, "sv3") == 0);
    CU_ASSERT(fitsfile_get_text(back, sizeof back, &f, "LONGTEXT") && strcmp(back, long_text) == 0);
    CU_ASSERT(fitsfile_get_text(back, 4, &f, "LONGTEXT") && strcmp(back, "abc") == 0);
    CU_ASSERT(fitsfile_get_text(back, sizeof back, &f, "ODD") && strcmp(back, "a?b??") == 0);
    CU_ASSERT(fitsfile_get_i64(&i, &f, "BIG") && i == INT64_MAX);
    CU_ASSERT(fitsfile_get_f64(&d, &f, "EXACT") && d == exact);
    CU_ASSERT(fitsfile_get_f64(&d, &f, "WHOLE") && d == 2);
    CU_ASSERT(fitsfile_get_bool(&b, &f, "HPXNEST") && b);
    i = 3, d = 3;
    CU_ASSERT(!fitsfile_get_i64(&i, &f, "SURVEY") && !fitsfile_get_i64(&i, &f, "EXACT") && i == 3);
    CU_ASSERT(!fitsfile_get_f64(&d, &f, "SURVEY") && !fitsfile_get_f64(&d, &f, "HPXNEST") && d == 3);
    CU_ASSERT(!fitsfile_get_text(back, sizeof back, &f, "BIG") && !fitsfile_get_bool(&b, &f, "BIG"));
    CHECK_OK(fitsfile_header(&cards, &n_cards, &f, &test_arena));
    CU_ASSERT(cards && n_cards > 5 && strlen(cards) == (size_t)n_cards * 80 && strncmp(cards, "SIMPLE", 6) == 0);
    CU_ASSERT(cards && !strstr(cards, "END      "));
    fitsfile_close(&f);
}

/* ---- files ---- */

static void hdus_are_found_by_name_in_any_case(void)
{
    char path[PATH];
    FitsFile f;
    CHECK_OK(fitsfile_create(&f, path_of(path, "hdus.fits")));
    const char *names_of[] = {"B_FLUX", "B_FLUX2", "R_FLUX"};
    for (int i = 0; i < 3; i++) {
        CHECK_OK(fitsfile_new_image(&f, names_of[i], FITS_F32, false, (int64_t[]){1}, 1, FITS_PLAIN));
        CHECK_OK(fitsfile_put_i64(&f, "NUMBER", i, ""));
    }
    CHECK_OK(fitsfile_finish(&f));
    CHECK_OK(fitsfile_open(&f, path));
    int64_t number = -1;
    CHECK_OK(fitsfile_goto(&f, "r_flux"));
    CU_ASSERT(fitsfile_get_i64(&number, &f, "NUMBER") && number == 2);
    CHECK_OK(fitsfile_goto(&f, "B_FLUX"));
    CU_ASSERT(fitsfile_get_i64(&number, &f, "NUMBER") && number == 0);
    CU_ASSERT(fitsfile_has(&f, "b_flux2") && !fitsfile_has(&f, "B_FLU") && !fitsfile_has(&f, "*_FLUX") &&
              !fitsfile_has(&f, "?_FLUX"));
    CHECK_FAILS(fitsfile_goto(&f, "Z_FLUX"), E_INPUT);
    CHECK_FAILS(fitsfile_goto_number(&f, 4), E_INPUT);
    CHECK_FAILS(fitsfile_goto_number(&f, -1), E_INPUT);
    CU_ASSERT(fitsfile_get_i64(&number, &f, "NUMBER") && number == 0); /* asking in vain has not moved us */
    CU_ASSERT_STRING_EQUAL(f.hdu, "B_FLUX");
    CHECK_OK(fitsfile_goto_number(&f, 0));
    fitsfile_close(&f);
}

static void creating_replaces_and_failing_says_where(void)
{
    char path[PATH];
    FitsFile f;
    int64_t n;
    if (!write_table(path_of(path, "twice.fits"))) return;
    CHECK_OK(fitsfile_create(&f, path));
    CHECK_OK(fitsfile_finish(&f));
    CHECK_OK(fitsfile_open(&f, path));
    CU_ASSERT(!fitsfile_has(&f, "THINGS"));
    CU_ASSERT(fitsfile_goto(&f, "THINGS") == E_INPUT);
    CU_ASSERT(strstr(fail_record()->text, "twice.fits") && strstr(fail_record()->text, "THINGS"));
    CU_ASSERT(fitsfile_rows(&n, &f) == E_INPUT);
    fail_clear();
    fitsfile_close(&f);
    CHECK_FAILS(fitsfile_create(&f, path_of(path, "no/such/folder.fits")), E_OUTPUT);
    CHECK_FAILS(fitsfile_create(&f, test_folder()), E_OUTPUT);
    fitsfile_close(&f);
}

/* The one's complement sum that FITS calls DATASUM, over words of a buffer whose length is a multiple of 4. */
static uint32_t ones_sum(const unsigned char *b, int64_t n)
{
    uint64_t sum = 0;
    for (int64_t i = 0; i < n; i += 4)
        sum += (uint32_t)b[i] << 24 | (uint32_t)b[i + 1] << 16 | (uint32_t)b[i + 2] << 8 | b[i + 3];
    while (sum >> 32) sum = (sum & UINT32_MAX) + (sum >> 32);
    return (uint32_t)sum;
}

static void slices_written_by_others_pass_the_checksum(void)
{
    enum { N = 1000 };
    char path[PATH];
    static unsigned char big[N * 8];
    static int64_t back[N];
    static const FitsColumn column = {"ID", "K", "", ""};
    int64_t start = 0, length = 0;
    bool ok = false, present = false;
    FitsFile f;
    CHECK_OK(fitsfile_create(&f, path_of(path, "slices.fits")));
    CHECK_OK(fitsfile_new_table(&f, "T", &column, 1, N));
    CHECK_OK(fitsfile_data_span(&start, &length, &f));
    CHECK_OK(fitsfile_finish(&f));
    CU_ASSERT(length == N * 8 && start % 2880 == 0);
    for (int64_t i = 0; i < N; i++)
        for (int k = 0; k < 8; k++) big[i * 8 + k] = (unsigned char)((i * 1000003) >> (56 - 8 * k));
    FILE *out = fopen(path, "r+b");
    CU_ASSERT(out && fseek(out, start, SEEK_SET) == 0 && fwrite(big, 1, sizeof big, out) == sizeof big &&
              fclose(out) == 0);
    CHECK_OK(fitsfile_reopen(&f, path));
    CHECK_OK(fitsfile_goto(&f, "T"));
    CHECK_OK(fitsfile_put_datasum(&f, ones_sum(big, sizeof big)));
    CHECK_OK(fitsfile_finish(&f));
    CHECK_OK(fitsfile_open(&f, path));
    CHECK_OK(fitsfile_goto(&f, "T"));
    CHECK_OK(fitsfile_verify(&f, &ok, &present));
    CU_ASSERT(ok && present);
    CHECK_OK(fitsfile_read_column(back, &f, "ID", FITS_I64, 0, N));
    CU_ASSERT(back[1] == 1000003 && back[N - 1] == (N - 1) * (int64_t)1000003);
    fitsfile_close(&f);
    struct stat info;
    CU_ASSERT(stat(path, &info) == 0 && info.st_size % 2880 == 0);
}

static void a_changed_byte_is_seen_by_the_checksum(void)
{
    char path[PATH];
    int64_t start = 0, length = 0;
    bool ok = false, present = false;
    FitsFile f;
    if (!write_table(path_of(path, "sum.fits"))) return;
    CHECK_OK(fitsfile_open(&f, path));
    CHECK_OK(fitsfile_verify(&f, &ok, &present));
    CU_ASSERT(!present && !ok); /* the primary has none */
    CHECK_OK(fitsfile_goto(&f, "THINGS"));
    CHECK_OK(fitsfile_verify(&f, &ok, &present));
    CU_ASSERT(present && ok);
    CHECK_OK(fitsfile_data_span(&start, &length, &f));
    CU_ASSERT_EQUAL(length, ROWS * (8 + 4 + 2 + 8 + 4 + 1 + 1 + 8 + 12));
    fitsfile_close(&f);
    FILE *out = fopen(path, "r+b");
    CU_ASSERT_FATAL(out != NULL);
    fseek(out, start + 100, SEEK_SET);
    int c = fgetc(out);
    fseek(out, start + 100, SEEK_SET);
    fputc(c ^ 4, out);
    fclose(out);
    CHECK_OK(fitsfile_open(&f, path));
    CHECK_OK(fitsfile_goto(&f, "THINGS"));
    CHECK_OK(fitsfile_verify(&f, &ok, &present));
    CU_ASSERT(present && !ok);
    fitsfile_close(&f);
}

TEST_MAIN("fitsfile", {"columns of every type come back", columns_come_back},
          {"types are converted, NaN stays NaN", types_are_converted},
          {"what does not fit is refused", what_does_not_fit_is_refused},
          {"texts come back, or cut to the cell", texts_come_back},
          {"texts lose blanks at their end only", texts_lose_blanks_at_their_end_only},
          {"integer nulls read as float are NaN", integer_nulls_read_as_float_are_nan},
          {"an empty table is a table", an_empty_table_is_a_table}, {"keywords come back", keywords_come_back},
          {"HDUs are found by name in any case", hdus_are_found_by_name_in_any_case},
          {"creating replaces, failing says where", creating_replaces_and_failing_says_where},
          {"slices written by others pass the checksum", slices_written_by_others_pass_the_checksum},
          {"a changed byte is seen by the checksum", a_changed_byte_is_seen_by_the_checksum})
