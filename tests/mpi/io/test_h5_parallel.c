/* Parallel HDF5: uneven and empty shares of rows from several ranks make the file that one rank would have made. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/artefact.h"
#include "test_main.h"

enum { WIDTH = 5 };

static const char *path_of(const char *name)
{
    static char path[4][H5_PATH];
    static int next;
    char *out = path[next++ & 3];
    snprintf(out, H5_PATH, "%s/%s", test_folder(), name);
    return out;
}

/* Rank 1 has nothing, the others grow: 3, 0, 17, 24 rows. */
static int64_t my_rows(void) { return test_par.rank == 1 ? 0 : 3 + 7 * test_par.rank; }
static float value(int64_t row, int64_t column) { return (float)(row * 10 + column) + 0.25f; }

/* Every rank writes its slice; `write` row by row (two calls) so that slices are also written in parts. */
static void write_slices(H5File *f, const char *dataset, int64_t first, int64_t n)
{
    float *x = NULL;
    CHECK_OK(arena_new(&x, &test_arena, n * WIDTH));
    for (int64_t i = 0; i < n * WIDTH; i++) x[i] = value(first + i / WIDTH, i % WIDTH);
    CHECK_OK(h5_write_rows(f, dataset, H5_F32, 0, x, first, n / 2));
    CHECK_OK(h5_write_rows(f, dataset, H5_F32, 0, x + n / 2 * WIDTH, first + n / 2, n - n / 2));
}

static void check_all(H5File *f, const char *dataset, int64_t total)
{
    H5Shape s;
    float *x = NULL;
    if (!CHECK_OK(h5_expect(&s, f, dataset, (int64_t[]){total, WIDTH}, 2))) return;
    if (!CHECK_OK(h5_get((void **)&x, &s, f, dataset, H5_F32, &test_arena))) return;
    int64_t wrong = 0;
    for (int64_t i = 0; i < total * WIDTH; i++) wrong += x[i] != value(i / WIDTH, i % WIDTH);
    CU_ASSERT_EQUAL(wrong, 0);
}

static void uneven_slices_make_one_file(void)
{
    H5File f;
    int64_t mine = my_rows(), first = par_offset_i64(&test_par, mine), total = mine;
    par_sum_i64(&test_par, &total, 1);
    const int64_t dims[] = {total, WIDTH}, none[] = {0, WIDTH};
    if (!CHECK_OK(h5_create(&f, path_of("slices.h5"), &test_par))) return;
    const Envelope e = {
        .kind = "embeddings", .version = 1, .made_by = "embed", .config = "run: {}\n", .seconds = test_par.rank};
    CHECK_OK(artefact_write(&f, &e));
    CHECK_OK(h5_new(&f, "group/x", H5_F32, 0, dims, 2));
    CHECK_OK(h5_new(&f, "none", H5_F32, 0, none, 2));
    CHECK_OK(h5_put(&f, "label", H5_TEXT, 4, "mainsv3\0", (int64_t[]){2}, 1));
    write_slices(&f, "group/x", first, mine);
    CHECK_OK(h5_close(&f));

    /* the file on all ranks together, then by each rank alone */
    Envelope got;
    if (!CHECK_OK(h5_open(&f, path_of("slices.h5"), &test_par))) return;
    CHECK_OK(artefact_read(&got, &f, "embeddings", 1, "embed", &test_arena));
    CU_ASSERT(strcmp(got.config, "run: {}\n") == 0 && got.seconds == 0); /* rank 0's */
    check_all(&f, "group/x", total);
    CHECK_OK(h5_close(&f));
    if (!CHECK_OK(h5_open(&f, path_of("slices.h5"), NULL))) return;
    char label[2][4];
    CHECK_OK(h5_read_rows(label, &f, "label", H5_TEXT, 4, 0, 2));
    CU_ASSERT(memcmp(label, "mainsv3\0", 8) == 0);
    check_all(&f, "group/x", total);
    CHECK_OK(h5_close(&f));
}

static void blocks_written_out_of_order_by_any_rank_are_all_there(void)
{
    enum { BLOCK = 4, BLOCKS = 23 };
    H5File f;
    Work work;
    if (!CHECK_OK(h5_create(&f, path_of("blocks.h5"), &test_par))) return;
    CHECK_OK(h5_new(&f, "x", H5_F32, 0, (int64_t[]){BLOCK * BLOCKS, WIDTH}, 2));
    CHECK_OK(h5_flush(&f));
    CHECK_OK(par_work_open(&work, &test_par, BLOCKS));
    for (int64_t b; (b = par_work_next(&work, &test_par)) >= 0;) {
        write_slices(&f, "x", (BLOCKS - 1 - b) * BLOCK, BLOCK);
        CHECK_OK(h5_sync(&f));
    }
    par_work_close(&work, &test_par);
    CHECK_OK(h5_close(&f));
    if (!CHECK_OK(h5_open(&f, path_of("blocks.h5"), &test_par))) return;
    check_all(&f, "x", BLOCK * BLOCKS);
    CHECK_OK(h5_close(&f));
}

/* Same process, two handles: the second opens a copy of what is on disk, as after a kill of all ranks. */
static void a_flushed_file_can_be_read_and_resumed_while_its_writer_lives(void)
{
    H5File f, again;
    int64_t n = test_par.n_ranks;
    if (!CHECK_OK(h5_create(&f, path_of("live.h5"), &test_par))) return;
    CHECK_OK(h5_new(&f, "x", H5_F32, 0, (int64_t[]){n, WIDTH}, 2));
    CHECK_OK(h5_flush(&f));
    write_slices(&f, "x", test_par.rank, 1);
    CHECK_OK(h5_sync(&f));
    par_barrier(&test_par);
    char copy[3 * H5_PATH];
    snprintf(copy, sizeof copy, "cp '%s' '%s'", path_of("live.h5"), path_of("left.h5"));
    CU_ASSERT(test_par.rank != 0 || system(copy) == 0);
    par_barrier(&test_par);
    if (CHECK_OK(h5_modify(&again, path_of("left.h5"), &test_par))) {
        check_all(&again, "x", n);
        write_slices(&again, "x", n - 1 - test_par.rank, 1);
        CHECK_OK(h5_put_attr_i64(&again, "/", "resumed", 1));
        CHECK_OK(h5_close(&again));
    }
    CHECK_OK(h5_close(&f));
}

static void virtual_datasets_join_the_files_of_ranks(void)
{
    H5File f;
    int64_t mine = my_rows(), first = par_offset_i64(&test_par, mine), total = mine, *rows = NULL, *starts = NULL,
            n = 0;
    par_sum_i64(&test_par, &total, 1);
    CHECK_OK(par_allgather((void **)&rows, &n, &test_par, &mine, 1, sizeof mine, &test_arena));
    CHECK_OK(par_allgather((void **)&starts, &n, &test_par, &first, 1, sizeof first, &test_arena));
    char name[64];
    snprintf(name, sizeof name, "own-%d.h5", test_par.rank);
    if (!CHECK_OK(h5_create(&f, path_of(name), NULL))) return;
    CHECK_OK(h5_new(&f, "x", H5_F32, 0, (int64_t[]){mine, WIDTH}, 2));
    float *x = NULL;
    CHECK_OK(arena_new(&x, &test_arena, mine * WIDTH));
    for (int64_t i = 0; i < mine * WIDTH; i++) x[i] = value(first + i / WIDTH, i % WIDTH);
    CHECK_OK(h5_write_rows(&f, "x", H5_F32, 0, x, 0, mine));
    CHECK_OK(h5_close(&f));
    par_barrier(&test_par);

    const char **files = NULL;
    CHECK_OK(arena_new(&files, &test_arena, n));
    for (int64_t i = 0; i < n; i++)
        CHECK_OK(arena_printf((char **)&files[i], &test_arena, "own-%lld.h5", (long long)i));
    if (!CHECK_OK(h5_create(&f, path_of("join.h5.part"), &test_par))) return;
    CHECK_OK(h5_new_virtual(&f, "x", H5_F32, 0, (int64_t[]){total, WIDTH}, 2, files, starts, rows, (int)n, 0));
    CHECK_OK(h5_close(&f));
    CHECK_OK(artefact_publish(&test_par, path_of("join.h5")));

    if (!CHECK_OK(h5_open(&f, path_of("join.h5"), &test_par))) return;
    check_all(&f, "x", total);
    /* ranks may read different files at different times: no rank waits for another */
    float row[WIDTH];
    for (int64_t i = test_par.rank; i < total; i += test_par.n_ranks + 1) {
        CHECK_OK(h5_read_rows(row, &f, "x", H5_F32, 0, i, 1));
        CU_ASSERT_EQUAL(row[WIDTH - 1], value(i, WIDTH - 1));
    }
    CHECK_OK(h5_close(&f));
}

static void a_failure_on_one_rank_reaches_all(void)
{
    H5File f;
    char point[32];
    snprintf(point, sizeof point, "h5.create:%d", test_par.n_ranks - 1);
    setenv("FAIL_POINT", point, 1);
    CHECK_FAILS(h5_create(&f, path_of("never.h5"), &test_par), E_OUTPUT);
    CHECK_OK(h5_close(&f));
    unsetenv("FAIL_POINT");
    CHECK_FAILS(h5_create(&f, path_of("no/such/folder/x.h5"), &test_par), E_OUTPUT);
    CHECK_FAILS(h5_open(&f, path_of("absent.h5"), &test_par), E_INPUT);
    CHECK_FAILS(h5_modify(&f, path_of("absent.h5"), &test_par), E_INPUT);

    snprintf(point, sizeof point, "h5.write:%d", test_par.n_ranks - 1);
    if (!CHECK_OK(h5_create(&f, path_of("half.h5"), &test_par))) return;
    CHECK_OK(h5_new(&f, "x", H5_F32, 0, (int64_t[]){test_par.n_ranks, WIDTH}, 2));
    const float x[WIDTH] = {0};
    setenv("FAIL_POINT", point, 1);
    CHECK_FAILS(par_agree(&test_par, h5_write_rows(&f, "x", H5_F32, 0, x, test_par.rank, 1)), E_OUTPUT);
    unsetenv("FAIL_POINT");
    CHECK_OK(h5_close(&f));

    snprintf(point, sizeof point, "artefact.publish:%d", test_par.n_ranks - 1);
    setenv("FAIL_POINT", point, 1);
    CHECK_FAILS(artefact_publish(&test_par, path_of("half.h5")), E_OUTPUT);
    unsetenv("FAIL_POINT");
}

TEST_MAIN("h5_parallel", {"uneven slices of rows make one file", uneven_slices_make_one_file},
          {"blocks written out of order by any rank are all there",
           blocks_written_out_of_order_by_any_rank_are_all_there},
          {"a flushed file can be read and resumed while its writer lives",
           a_flushed_file_can_be_read_and_resumed_while_its_writer_lives},
          {"virtual datasets join the files of ranks", virtual_datasets_join_the_files_of_ranks},
          {"a failure on one rank reaches all", a_failure_on_one_rank_reaches_all})
