/* Unit tests of io/h5: what goes in comes out, in other types, in parts, and from what others have written. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "golden.h"
#include "io/h5.h"
#include "test_main.h"

static const char *path_of(const char *name)
{
    static char path[4][H5_PATH];
    static int next;
    char *out = path[next++ & 3];
    snprintf(out, H5_PATH, "%s/%s", test_folder(), name);
    return out;
}

static void datasets_come_back_as_written_and_converted(void)
{
    H5File f;
    const int64_t dims[] = {3, 2};
    const float values[] = {1.5f, -2, 3, 4, 5, NAN};
    const int64_t big[] = {39627658495133957, INT64_MIN, INT64_MAX};
    if (!CHECK_OK(h5_create(&f, path_of("a.h5"), NULL))) return;
    CHECK_OK(h5_put(&f, "deep/in/values", H5_F32, 0, values, dims, 2));
    CHECK_OK(h5_put(&f, "big", H5_I64, 0, big, dims, 1));
    CHECK_OK(h5_close(&f));
    CHECK_OK(h5_close(&f)); /* twice-safe */

    if (!CHECK_OK(h5_open(&f, path_of("a.h5"), NULL))) return;
    H5Shape s;
    double *got = NULL;
    CHECK_OK(h5_get((void **)&got, &s, &f, "deep/in/values", H5_F64, &test_arena));
    CU_ASSERT(s.type == H5_F32 && s.width == 4 && s.n_dims == 2 && s.dims[0] == 3 && s.dims[1] == 2);
    for (int i = 0; i < 5; i++) CU_ASSERT_EQUAL(got[i], (double)values[i]);
    CU_ASSERT(isnan(got[5]));
    int64_t *ids = NULL;
    CHECK_OK(h5_get((void **)&ids, NULL, &f, "/big", H5_I64, &test_arena));
    CU_ASSERT(memcmp(ids, big, sizeof big) == 0); /* all 63 bits of a TARGETID */
    CU_ASSERT(h5_has(&f, "deep/in") && h5_has(&f, "/deep/in/values") && h5_has(&f, "/"));
    CU_ASSERT(!h5_has(&f, "deep/out") && !h5_has(&f, "no/where/at/all"));
    h5_close(&f);
}

static void rows_are_read_and_written_in_parts(void)
{
    H5File f;
    int32_t rows[10][3];
    for (int i = 0; i < 30; i++) rows[i / 3][i % 3] = i;
    if (!CHECK_OK(h5_create(&f, path_of("rows.h5"), NULL))) return;
    CHECK_OK(h5_new(&f, "x", H5_I32, 0, (int64_t[]){10, 3}, 2));
    CHECK_OK(h5_write_rows(&f, "x", H5_I32, 0, rows[7], 7, 3));
    CHECK_OK(h5_write_rows(&f, "x", H5_I32, 0, rows[0], 0, 7));
    CHECK_OK(h5_write_rows(&f, "x", H5_I32, 0, NULL, 4, 0));
    int32_t got[4][3];
    CHECK_OK(h5_read_rows(got, &f, "x", H5_I32, 0, 5, 4));
    CU_ASSERT(memcmp(got, rows[5], sizeof got) == 0);
    CHECK_OK(h5_read_rows(NULL, &f, "x", H5_I32, 0, 10, 0));
    CHECK_FAILS(h5_read_rows(got, &f, "x", H5_I32, 0, 8, 3), E_INPUT);
    CHECK_FAILS(h5_read_rows(got, &f, "x", H5_I32, 0, -1, 2), E_INPUT);
    CHECK_FAILS(h5_write_rows(&f, "x", H5_I32, 0, rows, 5, INT64_MAX), E_OUTPUT);
    CHECK_OK(h5_close(&f));
}

static void datasets_without_rows_are_datasets(void)
{
    H5File f;
    H5Shape s;
    void *out = NULL;
    const int64_t none[] = {0, 4}, narrow[] = {4, 0};
    if (!CHECK_OK(h5_create(&f, path_of("none.h5"), NULL))) return;
    CHECK_OK(h5_put(&f, "none", H5_F32, 0, NULL, none, 2));
    CHECK_OK(h5_put(&f, "narrow", H5_F64, 0, NULL, narrow, 2));
    CHECK_OK(h5_put(&f, "text", H5_TEXT, 8, NULL, none, 1));
    CHECK_OK(h5_get(&out, &s, &f, "none", H5_F32, &test_arena));
    CU_ASSERT(out != NULL && s.n_dims == 2 && s.dims[0] == 0 && s.dims[1] == 4);
    CHECK_OK(h5_get(&out, &s, &f, "narrow", H5_F64, &test_arena));
    CHECK_OK(h5_get(&out, &s, &f, "text", H5_TEXT, &test_arena));
    CHECK_OK(h5_close(&f));
}

static void text_keeps_its_width_and_is_padded_or_cut(void)
{
    H5File f;
    H5Shape s;
    char *all = NULL, wide[3][6], slim[3][2];
    if (!CHECK_OK(h5_create(&f, path_of("text.h5"), NULL))) return;
    CHECK_OK(h5_put(&f, "survey", H5_TEXT, 4, "mainsv3\0\0\0\0\0", (int64_t[]){3}, 1));
    CHECK_OK(h5_get((void **)&all, &s, &f, "survey", H5_TEXT, &test_arena));
    CU_ASSERT(s.type == H5_TEXT && s.width == 4 && memcmp(all, "mainsv3\0\0\0\0\0", 12) == 0);
    CHECK_OK(h5_read_rows(wide, &f, "survey", H5_TEXT, 6, 0, 3));
    CU_ASSERT(memcmp(wide[0], "main\0\0", 6) == 0 && memcmp(wide[1], "sv3\0\0\0", 6) == 0);
    CHECK_OK(h5_read_rows(slim, &f, "survey", H5_TEXT, 2, 0, 3));
    CU_ASSERT(memcmp(slim[0], "ma", 2) == 0 && memcmp(slim[2], "\0\0", 2) == 0);
    CHECK_OK(h5_close(&f));
}

static void attributes_come_back_and_are_replaced(void)
{
    H5File f;
    char *text = NULL, *config = malloc(200001);
    int64_t whole = 7;
    double real = 0;
    CU_ASSERT_FATAL(config != NULL);
    memset(config, 'c', 200000); /* beyond the 64 KB of an object header */
    config[200000] = '\0';
    if (!CHECK_OK(h5_create(&f, path_of("attr.h5"), NULL))) return;
    CHECK_OK(h5_put(&f, "x", H5_F32, 0, NULL, (int64_t[]){0}, 1));
    CHECK_OK(h5_put_attr_text(&f, "/", "config", "short"));
    CHECK_OK(h5_put_attr_text(&f, "/", "config", config));
    CHECK_OK(h5_put_attr_text(&f, "x", "unit", ""));
    CHECK_OK(h5_put_attr_i64(&f, "x", "n", INT64_MIN));
    CHECK_OK(h5_put_attr_f64(&f, "x", "three", 3.0));
    CHECK_OK(h5_put_attr_f64(&f, "x", "half", 0.5));
    CHECK_FAILS(h5_put_attr_i64(&f, "no/such", "n", 1), E_OUTPUT);
    CHECK_OK(h5_close(&f));

    if (!CHECK_OK(h5_open(&f, path_of("attr.h5"), NULL))) return;
    CU_ASSERT(h5_get_attr_text(&text, &f, "/", "config", &test_arena) && strcmp(text, config) == 0);
    CU_ASSERT(h5_get_attr_text(&text, &f, "x", "unit", &test_arena) && strcmp(text, "") == 0);
    CU_ASSERT(h5_get_attr_i64(&whole, &f, "x", "n") && whole == INT64_MIN);
    CU_ASSERT(h5_get_attr_i64(&whole, &f, "x", "three") && whole == 3);
    CU_ASSERT(!h5_get_attr_i64(&whole, &f, "x", "half") && whole == 3); /* left alone */
    CU_ASSERT(h5_get_attr_f64(&real, &f, "x", "half") && real == 0.5);
    CU_ASSERT(!h5_get_attr_text(&text, &f, "x", "half", &test_arena));
    CU_ASSERT(!h5_get_attr_f64(&real, &f, "x", "unit") && !h5_get_attr_f64(&real, &f, "x", "absent"));
    double *several = NULL;
    int64_t n = 0;
    CU_ASSERT(h5_get_attr_f64s(&several, &n, &f, "x", "half", &test_arena) && n == 1 && several[0] == 0.5);
    h5_close(&f);
    free(config);
}

static void columns_of_a_table_are_read_by_name(void)
{
    const int64_t id[] = {39627, -2, INT64_MAX};
    const double z[] = {0.1, 0.2, 0.3};
    const float theta[] = {1, 2, 3, 4, 5, 6};
    const H5Member columns[] = {{"TARGETID", H5_I64, 0, 1, id},
                                {"Z_HP", H5_F64, 0, 1, z},
                                {"NAME", H5_TEXT, 3, 1, "a\0\0bcdef\0"},
                                {"theta", H5_F32, 0, 2, theta}};
    H5File f;
    if (!CHECK_OK(h5_create(&f, path_of("table.h5"), NULL))) return;
    CHECK_OK(h5_put_compound(&f, "data", columns, 4, 3));
    CHECK_OK(h5_put_compound(&f, "empty", columns, 4, 0));
    CHECK_OK(h5_close(&f));

    if (!CHECK_OK(h5_open(&f, path_of("table.h5"), NULL))) return;
    H5Shape s;
    CHECK_OK(h5_member_shape(&s, &f, "data", "theta"));
    CU_ASSERT(s.n_dims == 2 && s.dims[0] == 3 && s.dims[1] == 2 && s.type == H5_F32);
    int64_t got_id[3];
    float got_z[2];
    double got_theta[4];
    char name[3][5];
    CHECK_OK(h5_read_member(got_id, &f, "data", "TARGETID", H5_I64, 0, 0, 3));
    CU_ASSERT(memcmp(got_id, id, sizeof id) == 0);
    CHECK_OK(h5_read_member(got_z, &f, "data", "Z_HP", H5_F32, 0, 1, 2));
    CU_ASSERT(got_z[0] == 0.2f && got_z[1] == 0.3f);
    CHECK_OK(h5_read_member(got_theta, &f, "data", "theta", H5_F64, 0, 1, 2));
    CU_ASSERT(got_theta[0] == 3 && got_theta[3] == 6);
    CHECK_OK(h5_read_member(name, &f, "data", "NAME", H5_TEXT, 5, 0, 3));
    CU_ASSERT(strcmp(name[1], "bcd") == 0 && strcmp(name[2], "ef") == 0);
    CU_ASSERT(h5_has_member(&f, "data", "Z_HP") && !h5_has_member(&f, "data", "z_hp") &&
              !h5_has_member(&f, "nodata", "Z_HP"));
    CHECK_FAILS(h5_read_member(got_id, &f, "data", "MASS", H5_F64, 0, 0, 3), E_INPUT);
    CHECK_FAILS(h5_read_member(got_id, &f, "data", "NAME", H5_I64, 0, 0, 3), E_INPUT);
    CHECK_FAILS(h5_read_member(got_id, &f, "data", "TARGETID", H5_I64, 0, 2, 2), E_INPUT);
    h5_close(&f);
}

static void put_volume(const char *name, int64_t rows, float value)
{
    H5File f;
    float *x = NULL;
    int32_t *flag = NULL;
    CHECK_OK(arena_new(&x, &test_arena, rows * 2));
    CHECK_OK(arena_new(&flag, &test_arena, rows));
    for (int64_t i = 0; i < rows * 2; i++) x[i] = value + (float)i;
    if (!CHECK_OK(h5_create(&f, path_of(name), NULL))) return;
    CHECK_OK(h5_put(&f, "x", H5_F32, 0, x, (int64_t[]){rows, 2}, 2));
    CHECK_OK(h5_put(&f, "flag", H5_I32, 0, flag, &rows, 1));
    CHECK_OK(h5_close(&f));
}

static void virtual_datasets_join_files_and_show_what_is_missing(void)
{
    const char *files[] = {"part/v0.h5", "part/v1.h5", "part/v2.h5"};
    const int64_t first[] = {0, 2, 2}, rows[] = {2, 0, 3}, dims[] = {6, 2};
    H5File f;
    char folder[H5_PATH], moved[H5_PATH];
    snprintf(folder, sizeof folder, "mkdir -p %s", path_of("all/part"));
    CU_ASSERT_FATAL(system(folder) == 0);
    put_volume("all/part/v0.h5", 2, 10);
    put_volume("all/part/v2.h5", 3, 20);
    if (!CHECK_OK(h5_create(&f, path_of("all/join.h5"), NULL))) return;
    CHECK_OK(h5_new_virtual(&f, "x", H5_F32, 0, dims, 2, files, first, rows, 3, 0));
    CHECK_OK(h5_new_virtual(&f, "flag", H5_I32, 0, dims, 1, files, first, rows, 3, 64));
    CHECK_OK(h5_close(&f));

    snprintf(moved, sizeof moved, "%s", path_of("moved")); /* sources are found beside the file, wherever that is */
    CU_ASSERT_FATAL(rename(path_of("all"), moved) == 0);
    if (!CHECK_OK(h5_open(&f, path_of("moved/join.h5"), NULL))) return;
    float *x = NULL;
    int32_t *flag = NULL;
    CHECK_OK(h5_get((void **)&x, NULL, &f, "x", H5_F32, &test_arena));
    CHECK_OK(h5_get((void **)&flag, NULL, &f, "flag", H5_I32, &test_arena));
    const float want[] = {10, 11, 12, 13, 20, 21, 22, 23, 24, 25};
    CU_ASSERT(memcmp(x, want, sizeof want) == 0);
    CU_ASSERT(isnan(x[10]) && isnan(x[11]));
    CU_ASSERT(flag[0] == 0 && flag[4] == 0 && flag[5] == 64);
    h5_close(&f);

    CU_ASSERT_FATAL(unlink(path_of("moved/part/v0.h5")) == 0);
    if (!CHECK_OK(h5_open(&f, path_of("moved/join.h5"), NULL))) return;
    CHECK_OK(h5_read_rows(x, &f, "x", H5_F32, 0, 1, 2));
    CU_ASSERT(isnan(x[0]) && isnan(x[1]) && x[2] == 20);
    h5_close(&f);
}

static void copy_file(const char *to, const char *from)
{
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    CU_ASSERT_FATAL(in != NULL && out != NULL);
    char bytes[4096];
    for (size_t n; (n = fread(bytes, 1, sizeof bytes, in)) > 0;) fwrite(bytes, 1, n, out);
    fclose(in);
    fclose(out);
}

/* The bytes on disk while the writer still holds the file are what a kill would leave. */
static void what_was_flushed_survives_a_killed_writer(void)
{
    H5File f, left;
    const double x[] = {1, 2, 3, 4}, y[] = {7, 8};
    double got[4];
    if (!CHECK_OK(h5_create(&f, path_of("live.h5"), NULL))) return;
    CHECK_OK(h5_put_attr_text(&f, "/", "kind", "embeddings"));
    CHECK_OK(h5_put(&f, "x", H5_F64, 0, x, (int64_t[]){4}, 1));
    CHECK_OK(h5_flush(&f));
    CHECK_OK(h5_write_rows(&f, "x", H5_F64, 0, y, 1, 2)); /* data only, after the flush */
    CHECK_OK(h5_sync(&f));
    copy_file(path_of("left.h5"), path_of("live.h5"));
    if (CHECK_OK(h5_modify(&left, path_of("left.h5"), NULL))) {
        CHECK_OK(h5_read_rows(got, &left, "x", H5_F64, 0, 0, 4));
        CU_ASSERT(got[0] == 1 && got[1] == 7 && got[2] == 8 && got[3] == 4);
        CHECK_OK(h5_write_rows(&left, "x", H5_F64, 0, x, 0, 4)); /* and the work can go on */
        CHECK_OK(h5_close(&left));
    }
    CHECK_OK(h5_close(&f));
}

static void members_of_a_group_are_listed_in_order(void)
{
    H5File f;
    char **names = NULL;
    int64_t n = 0;
    if (!CHECK_OK(h5_create(&f, path_of("list.h5"), NULL))) return;
    CHECK_OK(h5_put(&f, "g/b", H5_U8, 0, "", (int64_t[]){1}, 1));
    CHECK_OK(h5_put(&f, "g/a", H5_U8, 0, "", (int64_t[]){1}, 1));
    CHECK_OK(h5_put(&f, "g/c/d", H5_U8, 0, "", (int64_t[]){1}, 1));
    CHECK_OK(h5_list(&names, &n, &f, "g", &test_arena));
    CU_ASSERT_FATAL(n == 3);
    CU_ASSERT(strcmp(names[0], "a") == 0 && strcmp(names[1], "b") == 0 && strcmp(names[2], "c") == 0);
    CHECK_OK(h5_list(&names, &n, &f, "/", &test_arena));
    CU_ASSERT(n == 1);
    CHECK_FAILS(h5_list(&names, &n, &f, "none", &test_arena), E_INPUT);
    CHECK_FAILS(h5_put(&f, "g/a", H5_U8, 0, "", (int64_t[]){1}, 1), E_OUTPUT); /* there already */
    CHECK_OK(h5_close(&f));
}

/* Fixed and variable text, attributes, floats of both widths: as h5py wrote them. */
static void golden_files_are_read(void)
{
    H5File g;
    if (!golden_open(&g, "midsize_detweights.h5")) return;
    char *note = NULL, *names = NULL;
    CU_ASSERT(h5_get_attr_text(&note, &g, "/", "note", &test_arena) && strlen(note) > 0);
    CU_ASSERT(golden_int(&g, "embed_dim") > 0);
    H5Shape s;
    names = golden_get(&s, &g, "weights_check/names", H5_TEXT);
    CU_ASSERT(s.width > 0 && s.dims[0] > 0 && memchr(names, '.', (size_t)s.width) != NULL);
    h5_close(&g);
}

TEST_MAIN("h5", {"datasets come back as written, in other types too", datasets_come_back_as_written_and_converted},
          {"rows are read and written in parts, never beyond the end", rows_are_read_and_written_in_parts},
          {"datasets without rows are datasets", datasets_without_rows_are_datasets},
          {"text keeps its width, is padded or cut", text_keeps_its_width_and_is_padded_or_cut},
          {"attributes come back and are replaced", attributes_come_back_and_are_replaced},
          {"columns of a table are read by name", columns_of_a_table_are_read_by_name},
          {"virtual datasets join files, move with them, and show what is missing",
           virtual_datasets_join_files_and_show_what_is_missing},
          {"what was flushed survives a killed writer", what_was_flushed_survives_a_killed_writer},
          {"members of a group are listed in order", members_of_a_group_are_listed_in_order},
          {"golden files are read", golden_files_are_read})
