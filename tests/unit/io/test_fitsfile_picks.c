/* fitsfile_read_picks gives what fitsfile_read_column gives, for every kind of column, in one pass. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "io/fitsfile.h"
#include "test_main.h"

enum { N = 3001 };

static const char *path_of(const char *name)
{
    static char path[2048];
    snprintf(path, sizeof path, "%s/%s", test_folder(), name);
    return path;
}

/* Every format, each value a function of the row; wide columns between them, so that a row is longer than the
   columns wanted. */
static void write_table(const char *path)
{
    static const FitsColumn columns[] = {{"NAME", "7A", "", ""}, {"PAD", "300E", "", ""}, {"SHORT", "I", "", ""},
                                         {"LONG", "J", "", ""},  {"HUGE", "K", "", ""},   {"BYTE", "B", "", ""},
                                         {"SMALL", "E", "", ""}, {"PAIR", "2E", "", ""},  {"BIG", "D", "", ""},
                                         {"YES", "L", "", ""}};
    static int16_t i16[N];
    static int32_t i32[N];
    static int64_t i64[N];
    static uint8_t u8[N], yes[N];
    static float f32[N];
    static double f64[N];
    static char name[N][12];
    for (int i = 0; i < N; i++) {
        i16[i] = (int16_t)(i * 37 - 32768);
        i32[i] = (i - 1000) * 1000003;
        i64[i] = ((int64_t)i - 1500) * 4611686018427387LL;
        u8[i] = (uint8_t)i;
        yes[i] = i % 3 == 0;
        f32[i] = i % 101 == 7 ? NAN : (float)sin(i) * 1e20F;
        f64[i] = i % 103 == 9 ? INFINITY : -cos(i) * 1e200;
        snprintf(name[i], sizeof name[i], "%.*s", i % 8, "ab d fg");
    }
    FitsFile f = {0};
    CHECK_OK(fitsfile_create(&f, path));
    CHECK_OK(fitsfile_new_table(&f, "T", columns, sizeof columns / sizeof *columns, N));
    CHECK_OK(fitsfile_write_text(&f, "NAME", name[0], sizeof name[0], 0, N));
    CHECK_OK(fitsfile_write_column(&f, "SHORT", FITS_I16, i16, 0, N));
    CHECK_OK(fitsfile_write_column(&f, "LONG", FITS_I32, i32, 0, N));
    CHECK_OK(fitsfile_write_column(&f, "HUGE", FITS_I64, i64, 0, N));
    CHECK_OK(fitsfile_write_column(&f, "BYTE", FITS_U8, u8, 0, N));
    CHECK_OK(fitsfile_write_column(&f, "SMALL", FITS_F32, f32, 0, N));
    CHECK_OK(fitsfile_write_column(&f, "BIG", FITS_F64, f64, 0, N));
    CHECK_OK(fitsfile_write_column(&f, "YES", FITS_BOOL, yes, 0, N));
    CHECK_OK(fitsfile_finish(&f));
}

/* (column, type) in every pair that is allowed; those that are scaled or converted otherwise included. */
static const struct {
    const char *column;
    FitsType type;
    size_t bytes;
} pairs[] = {{"SHORT", FITS_I16, 2}, {"BYTE", FITS_I16, 2},  {"SHORT", FITS_I32, 4}, {"LONG", FITS_I32, 4},
             {"BYTE", FITS_I32, 4},  {"SHORT", FITS_I64, 8}, {"LONG", FITS_I64, 8},  {"HUGE", FITS_I64, 8},
             {"BYTE", FITS_I64, 8},  {"BYTE", FITS_U8, 1},   {"SMALL", FITS_F32, 4}, {"SHORT", FITS_F32, 4},
             {"LONG", FITS_F32, 4},  {"BYTE", FITS_F32, 4},  {"SMALL", FITS_F64, 8}, {"BIG", FITS_F64, 8},
             {"LONG", FITS_F64, 8},  {"SHORT", FITS_F64, 8}, {"BYTE", FITS_F64, 8},  {"HUGE", FITS_F64, 8},
             {"YES", FITS_BOOL, 1},  {"SHORT", FITS_BOOL, 1}};
enum { N_PAIRS = sizeof pairs / sizeof *pairs };

static void compare(const char *path, int64_t first, int64_t n)
{
    FitsFile f = {0};
    FitsPick pick[N_PAIRS + 2];
    char *name, *cut, *one;
    CHECK_OK(fitsfile_open(&f, path));
    CHECK_OK(fitsfile_goto_number(&f, 1));
    for (int k = 0; k < N_PAIRS; k++) {
        pick[k] = (FitsPick){.name = pairs[k].column, .type = pairs[k].type, .optional = k % 2};
        CHECK_OK(arena_take(&pick[k].out, &test_arena, n + 1, pairs[k].bytes));
    }
    CHECK_OK(arena_take((void **)&name, &test_arena, n + 1, 12));
    CHECK_OK(arena_take((void **)&cut, &test_arena, n + 1, 4));
    CHECK_OK(arena_take((void **)&one, &test_arena, n + 1, 12));
    pick[N_PAIRS] = (FitsPick){.name = "name", .type = FITS_TEXT, .out = name, .cell = 12}; /* case is ignored */
    pick[N_PAIRS + 1] = (FitsPick){.name = "NAME", .type = FITS_TEXT, .out = cut, .cell = 4};
    CHECK_OK(fitsfile_read_picks(pick, N_PAIRS + 2, &f, first, n, &test_arena));
    for (int k = 0; k < N_PAIRS; k++) {
        CU_ASSERT_TRUE(pick[k].there);
        CHECK_OK(fitsfile_read_column(one, &f, pairs[k].column, pairs[k].type, first, n));
        CU_ASSERT_EQUAL(memcmp(one, pick[k].out, (size_t)n * pairs[k].bytes), 0);
    }
    CHECK_OK(fitsfile_read_text(one, 12, &f, "NAME", first, n));
    CU_ASSERT_EQUAL(memcmp(one, name, (size_t)n * 12), 0);
    CHECK_OK(fitsfile_read_text(one, 4, &f, "NAME", first, n));
    CU_ASSERT_EQUAL(memcmp(one, cut, (size_t)n * 4), 0);
    fitsfile_close(&f);
}

static void one_pass_gives_what_columns_give(void)
{
    const char *path = path_of("all.fits");
    write_table(path);
    compare(path, 0, N); /* several blocks of rows: a row has 1.2 kB */
    compare(path, 1234, 700);
    compare(path, N - 1, 1);
    compare(path, 17, 0);
}

static void what_cannot_be_is_refused(void)
{
    const char *path = path_of("all.fits");
    write_table(path);
    FitsFile f = {0};
    float out[2 * N];
    FitsPick pick = {.name = "SMALL", .type = FITS_F32, .out = out},
             none = {.name = "NONE", .type = FITS_F32, .out = out},
             pair = {.name = "PAIR", .type = FITS_F32, .out = out},
             text = {.name = "NAME", .type = FITS_F32, .out = out},
             real = {.name = "BIG", .type = FITS_I32, .out = out};
    CHECK_OK(fitsfile_open(&f, path));
    CHECK_OK(fitsfile_goto_number(&f, 1));
    CHECK_FAILS(fitsfile_read_picks(&pick, 1, &f, 1, N, &test_arena), E_INPUT);
    CHECK_FAILS(fitsfile_read_picks(&pick, 1, &f, -1, 1, &test_arena), E_INPUT);
    CHECK_FAILS(fitsfile_read_picks(&none, 1, &f, 0, N, &test_arena), E_INPUT);
    CHECK_FAILS(fitsfile_read_picks(&pair, 1, &f, 0, 10, &test_arena), E_INPUT); /* would not fit into `out` */
    CHECK_FAILS(fitsfile_read_picks(&text, 1, &f, 0, 10, &test_arena), E_INPUT);
    CHECK_FAILS(fitsfile_read_picks(&real, 1, &f, 0, 10, &test_arena), E_INPUT);
    none.optional = true;
    out[0] = 5;
    CHECK_OK(fitsfile_read_picks(&none, 1, &f, 0, N, &test_arena));
    CU_ASSERT(!none.there && out[0] == 5);
    fitsfile_close(&f);
    CU_ASSERT_EQUAL(truncate(path, 2880 * 40), 0);
    CHECK_OK(fitsfile_open(&f, path));
    CHECK_OK(fitsfile_goto_number(&f, 1));
    CHECK_FAILS(fitsfile_read_picks(&pick, 1, &f, 0, 10, &test_arena), E_INPUT);
    fitsfile_close(&f);
}

TEST_MAIN("fitsfile_picks", {"one pass gives what columns give", one_pass_gives_what_columns_give},
          {"what cannot be is refused", what_cannot_be_is_refused})
