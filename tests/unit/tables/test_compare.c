/* test_compare.c - what compare says of two small files of embeddings that differ in known ways. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "embed/embeddings.h"
#include "tables/compare.h"
#include "test_main.h"

enum { MOST = 64, DIM = 3 };

typedef struct {
    int64_t n, id[MOST];
    char survey[MOST][8], program[MOST][8];
    float x[MOST][DIM];
    int32_t flag[MOST];
} Rows;

static void fill(Rows *r, int64_t n)
{
    memset(r, 0, sizeof *r);
    r->n = n;
    for (int64_t i = 0; i < n; i++) {
        r->id[i] = 39627784728870929 + i / 2; /* each target in two programs */
        snprintf(r->survey[i], 8, "main");
        snprintf(r->program[i], 8, i % 2 ? "dark" : "bright");
        for (int d = 0; d < DIM; d++) r->x[i][d] = i % 5 ? (float)(i + d) : NAN;
        r->flag[i] = i % 5 ? 0 : IMAGE_NO_BRICK;
    }
}

static void swap_rows(Rows *r, int64_t i, int64_t k)
{
    Rows was = *r;
    r->id[i] = was.id[k], r->id[k] = was.id[i];
    memcpy(r->program[i], was.program[k], 8), memcpy(r->program[k], was.program[i], 8);
    memcpy(r->x[i], was.x[k], sizeof r->x[i]), memcpy(r->x[k], was.x[i], sizeof r->x[i]);
    r->flag[i] = was.flag[k], r->flag[k] = was.flag[i];
}

static const char *path_of(const char *name)
{
    static char path[4][512];
    static int next;
    char *out = path[next++ & 3];
    snprintf(out, 512, "%s/%s", test_folder(), name);
    return out;
}

static Status put_rows(H5File *f, const Rows *r, const char *kind, const char *config)
{
    const Envelope e = {.kind = kind, .version = 1, .made_by = "embed", .config = config, .fingerprint = {"1"}};
    TRY(artefact_write(f, &e));
    TRY(h5_put(f, "object_id", H5_I64, 0, r->id, &r->n, 1));
    TRY(h5_put(f, "survey", H5_TEXT, 8, r->survey, &r->n, 1));
    TRY(h5_put(f, "program", H5_TEXT, 8, r->program, &r->n, 1));
    TRY(h5_put(f, "image_flag", H5_I32, 0, r->flag, &r->n, 1));
    return h5_put(f, "image_embeddings", H5_F32, 0, r->x, (int64_t[]){r->n, DIM}, 2);
}

static void write_rows(const char *name, const Rows *r, const char *kind, const char *config)
{
    H5File f = {0};
    CHECK_OK(h5_create(&f, path_of(name), NULL));
    CHECK_OK(put_rows(&f, r, kind, config));
    CHECK_OK(h5_close(&f));
}

/* What compare prints of a.h5 and b.h5; freed by the caller. */
static char *compare(bool *equal, const char *csv)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    CHECK_OK(compare_files(equal, path_of("a.h5"), path_of("b.h5"), csv, out, &test_arena));
    fclose(out);
    return text;
}

static bool says(const char *text, const char *what)
{
    if (strstr(text, what)) return true;
    printf("\"%s\" does not stand in:\n%s\n", what, text);
    return false;
}

static void the_same_rows_in_another_order_are_equal(void)
{
    Rows r;
    bool equal = false;
    fill(&r, 40);
    write_rows("a.h5", &r, "embeddings", "run:\n  seed: 1\n");
    for (int64_t i = 0; i < 20; i++) swap_rows(&r, i, 39 - (i * 7) % 20);
    write_rows("b.h5", &r, "embeddings", "run:\n  seed: 2\n");
    char *text = compare(&equal, NULL);
    CU_ASSERT(equal);
    CU_ASSERT(says(text, "40 in A, 40 in B; 40 equal, 0 changed, 0 added, 0 dropped"));
    CU_ASSERT(says(text, "another order"));
    CU_ASSERT(says(text, "config run.seed: 1 -> 2")); /* told of, not counted */
    free(text);
}

static void added_dropped_and_changed_rows_are_counted_and_named(void)
{
    Rows a, b;
    bool equal = true;
    char line[256];
    fill(&a, 40);
    fill(&b, 44);     /* four more */
    b.x[7][1] += 0.5; /* 8 -> 8.5 */
    b.x[20][0] = 1;   /* was NaN: a flag goes with it */
    b.flag[20] = IMAGE_MOSAIC;
    memcpy(b.program[3], "backup", 7); /* one goes, one comes */
    write_rows("a.h5", &a, "embeddings", "");
    write_rows("b.h5", &b, "embeddings", "");
    char *text = compare(&equal, path_of("rows.csv"));
    CU_ASSERT(!equal);
    CU_ASSERT(says(text, "40 in A, 44 in B; 37 equal, 2 changed, 5 added, 1 dropped"));
    CU_ASSERT(says(text, "largest difference 0.5"));
    CU_ASSERT(says(text, "1 NaN on one side only"));
    CU_ASSERT(says(text, "39627784728870932 main/dark"));
    CU_ASSERT(says(text, "gained by 1 rows, lost by 0 (pixels beyond"));
    CU_ASSERT(says(text, "gained by 0 rows, lost by 1 (the brick"));
    free(text);
    FILE *csv = fopen(path_of("rows.csv"), "r");
    int lines = 0, changed = 0;
    while (csv && fgets(line, sizeof line, csv)) {
        lines++;
        changed += strcmp(line, "39627784728870932,main,dark,changed,image_embeddings\n") == 0;
        changed += strcmp(line, "39627784728870939,main,bright,changed,image_embeddings image_flag\n") == 0;
    }
    if (csv) fclose(csv);
    CU_ASSERT_EQUAL(lines, 1 + 2 + 5 + 1);
    CU_ASSERT_EQUAL(changed, 2);
}

static void empty_files_compare(void)
{
    Rows a, b;
    bool equal = true;
    fill(&a, 0);
    fill(&b, 2);
    write_rows("a.h5", &a, "embeddings", "");
    write_rows("b.h5", &b, "embeddings", "");
    char *text = compare(&equal, NULL);
    CU_ASSERT(!equal && says(text, "0 in A, 2 in B; 0 equal, 0 changed, 2 added, 0 dropped"));
    free(text);
}

static void files_of_two_kinds_are_refused(void)
{
    Rows r;
    bool equal = false;
    fill(&r, 4);
    write_rows("a.h5", &r, "embeddings", "");
    write_rows("b.h5", &r, "catalog", "");
    CHECK_FAILS(compare_files(&equal, path_of("a.h5"), path_of("b.h5"), NULL, stdout, &test_arena), E_INPUT);
    CHECK_FAILS(compare_files(&equal, path_of("a.h5"), path_of("absent.h5"), NULL, stdout, &test_arena), E_INPUT);
}

static void tensors_are_compared_by_name(void)
{
    bool equal = true;
    for (int side = 0; side < 2; side++) {
        H5File f = {0};
        const Envelope e = {.kind = "checkpoint", .version = 1, .made_by = "import"};
        float w[] = {1, 2, side ? 3.5f : 3};
        CHECK_OK(h5_create(&f, path_of(side ? "b.h5" : "a.h5"), NULL));
        CHECK_OK(artefact_write(&f, &e));
        CHECK_OK(h5_put(&f, "weights/same", H5_F32, 0, w, (int64_t[]){2}, 1));
        CHECK_OK(h5_put(&f, "weights/other", H5_F32, 0, w, (int64_t[]){3}, 1));
        CHECK_OK(h5_put(&f, side ? "weights/b" : "weights/a", H5_F32, 0, w, (int64_t[]){2}, 1));
        CHECK_OK(h5_close(&f));
    }
    char *text = compare(&equal, NULL);
    CU_ASSERT(!equal);
    CU_ASSERT(says(text, "weights/other: 1 of 3 values, largest difference 0.5"));
    CU_ASSERT(says(text, "weights/a: in A only") && says(text, "weights/b: in B only") && says(text, "  3 differ"));
    free(text);
}

TEST_MAIN("compare", {"the same rows in another order are equal", the_same_rows_in_another_order_are_equal},
          {"added, dropped and changed rows are counted and named",
           added_dropped_and_changed_rows_are_counted_and_named},
          {"empty files compare", empty_files_compare},
          {"files of two kinds are refused", files_of_two_kinds_are_refused},
          {"tensors are compared by name", tensors_are_compared_by_name})
