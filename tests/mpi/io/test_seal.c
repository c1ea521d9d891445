/* The checksum of an artefact's data: the same whoever writes and reads it, another after any change but to the envelope. */
#include <stdio.h>
#include <string.h>

#include "io/seal.h"
#include "test_main.h"

enum { ROWS = 50000, WIDTH = 7 };

static char path[H5_PATH];

static void write_whole(void)
{
    H5File f;
    float *x = NULL;
    int64_t first, last;
    snprintf(path, sizeof path, "%s/seal.h5", test_folder());
    par_share(&first, &last, &test_par, ROWS);
    CHECK_OK(arena_new(&x, &test_arena, (last - first) * WIDTH));
    for (int64_t i = 0; i < (last - first) * WIDTH; i++) x[i] = (float)(first * WIDTH + i);
    CHECK_OK(h5_create(&f, path, &test_par));
    CHECK_OK(h5_put_attr_text(&f, "/", "kind", "test"));
    CHECK_OK(h5_new(&f, "group/x", H5_F32, 0, (int64_t[]){ROWS, WIDTH}, 2));
    CHECK_OK(h5_put_attr_f64(&f, "group", "intercept", 1.5));
    CHECK_OK(h5_new(&f, "none", H5_I64, 0, (int64_t[]){0}, 1));
    CHECK_OK(h5_write_rows(&f, "group/x", H5_F32, 0, x, first, last - first));
    CHECK_OK(h5_close(&f));
    par_barrier(&test_par);
    CHECK_OK(seal_file(path, &test_par, &test_arena));
}

/* What the file says of itself, and what it holds, read by one rank. */
static void sums(Fingerprint *said, Fingerprint *held)
{
    H5File f;
    par_barrier(&test_par);
    CHECK_OK(h5_open(&f, path, NULL));
    CU_ASSERT(seal_recorded(said, &f, &test_arena));
    CHECK_OK(seal_sum(held, &f, &par_alone, &test_arena));
    CHECK_OK(h5_close(&f));
    par_barrier(&test_par);
}

static void one_rank_finds_the_checksum_of_all_ranks(void)
{
    Fingerprint said, held;
    write_whole();
    sums(&said, &held);
    CU_ASSERT_STRING_EQUAL(said.text, held.text);
    CU_ASSERT_STRING_EQUAL(said.text, "5ee052554a1debef0d6596e557532989"); /* for any number of ranks */
}

static void change(void (*what)(H5File *f), bool counts)
{
    Fingerprint said, held;
    H5File f;
    write_whole();
    if (test_par.rank == 0) {
        CHECK_OK(h5_modify(&f, path, NULL));
        what(&f);
        CHECK_OK(h5_close(&f));
    }
    sums(&said, &held);
    CU_ASSERT_EQUAL(strcmp(said.text, held.text) != 0, counts);
    CHECK_OK(h5_open(&f, path, NULL));
    const Status st = seal_check(&f, &test_par, &test_arena);
    CU_ASSERT_EQUAL(st, counts ? E_INPUT : OK);
    fail_clear();
    CHECK_OK(h5_close(&f));
    par_barrier(&test_par);
}

static void change_a_value(H5File *f)
{
    const float row[WIDTH] = {0, 1, 2, 3, 4, 5, 7};
    CHECK_OK(h5_write_rows(f, "group/x", H5_F32, 0, row, 0, 1));
}
static void change_an_attribute(H5File *f) { CHECK_OK(h5_put_attr_f64(f, "group", "intercept", 1.25)); }
static void add_a_dataset(H5File *f) { CHECK_OK(h5_new(f, "more", H5_I64, 0, (int64_t[]){0}, 1)); }
static void change_the_envelope(H5File *f) { CHECK_OK(h5_put_attr_text(f, "/", "kind", "other")); }

static void any_change_of_data_changes_it(void)
{
    change(change_a_value, true);
    change(change_an_attribute, true);
    change(add_a_dataset, true);
}

static void the_envelope_does_not_count(void) { change(change_the_envelope, false); }

TEST_MAIN("seal", {"one rank finds the checksum of all ranks", one_rank_finds_the_checksum_of_all_ranks},
          {"any change of data changes it", any_change_of_data_changes_it},
          {"the envelope does not count", the_envelope_does_not_count})
