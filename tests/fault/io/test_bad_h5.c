/* Bad HDF5 files: every one is refused with a message that names the file; none crashes, hangs or takes memory. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/rng.h"
#include "io/artefact.h"
#include "test_main.h"

enum { ROWS = 50, WIDTH = 8 };

static const char *path_of(const char *name)
{
    static char path[4][H5_PATH];
    static int next;
    char *out = path[next++ & 3];
    snprintf(out, H5_PATH, "%s/%s", test_folder(), name);
    return out;
}

static void put_bytes(const char *name, const void *bytes, size_t n)
{
    if (test_par.rank == 0) {
        FILE *f = fopen(path_of(name), "wb");
        CU_ASSERT_FATAL(f != NULL);
        CU_ASSERT_EQUAL(fwrite(bytes, 1, n, f), n);
        fclose(f);
    }
    par_barrier(&test_par);
}

/* A good file, from which the bad ones are made. */
static void put_good(const char *name)
{
    H5File f;
    float *x = NULL;
    const Envelope e = {.kind = "catalog", .version = 1, .made_by = "catalog", .config = "run: {}\n"};
    const int64_t id[] = {1, 2};
    const H5Member columns[] = {{"TARGETID", H5_I64, 0, 1, id}};
    CHECK_OK(arena_new(&x, &test_arena, ROWS * WIDTH));
    if (!CHECK_OK(h5_create(&f, path_of(name), &test_par))) return;
    CHECK_OK(artefact_write(&f, &e));
    CHECK_OK(h5_put(&f, "x", H5_F32, 0, x, (int64_t[]){ROWS, WIDTH}, 2));
    CHECK_OK(h5_put(&f, "survey", H5_TEXT, 4, "main", (int64_t[]){1}, 1));
    CHECK_OK(h5_put_compound(&f, "table", columns, 1, 2));
    CHECK_OK(h5_close(&f));
}

/* E_INPUT, naming the file and containing `word`. */
static void refused(Status st, const char *path, const char *word)
{
    const char *text = fail_record()->text;
    bool good = st == E_INPUT && strstr(text, path) && strstr(text, word);
    if (!good) printf("expected an input error about %s with '%s', got %d: %s\n", path, word, (int)st, text);
    CU_ASSERT(good);
    fail_clear();
}

static void open_refused(const char *name, const char *word)
{
    H5File f;
    const char *path = path_of(name);
    refused(h5_open(&f, path, &test_par), path, word);
    CU_ASSERT(h5_close(&f) == OK);
    refused(h5_modify(&f, path, &test_par), path, word);
    CU_ASSERT(h5_close(&f) == OK);
}

static void what_is_no_hdf5_file_is_refused(void)
{
    static const char text[] = "TARGETID,Z\n39627,0.1\n";
    static const unsigned char signature[] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
    unsigned char noise[4096];
    Rng r = rng_stream(1, "test.bad_h5", 0, 0);
    for (size_t i = 0; i < sizeof noise; i++) noise[i] = (unsigned char)rng_u32(&r);
    put_bytes("text.h5", text, sizeof text - 1);
    open_refused("text.h5", "is not an HDF5 file");
    put_bytes("noise.h5", noise, sizeof noise);
    open_refused("noise.h5", "is not an HDF5 file");
    memcpy(noise, signature, sizeof signature);
    put_bytes("signed.h5", noise, sizeof noise);
    open_refused("signed.h5", "damaged or incomplete");
    put_bytes("short.h5", signature, sizeof signature);
    open_refused("short.h5", "make or copy it again");
    put_bytes("empty.h5", "", 0);
    open_refused("empty.h5", "is empty");
    open_refused("absent.h5", "No such file");
    open_refused(".", "is a folder");
}

static void truncated_files_are_refused_at_any_length(void)
{
    static unsigned char bytes[1 << 16];
    put_good("whole.h5");
    FILE *f = fopen(path_of("whole.h5"), "rb");
    CU_ASSERT_FATAL(f != NULL);
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    CU_ASSERT_FATAL(n > 1000 && n < sizeof bytes);
    const size_t cuts[] = {20, 96, 500, n / 2, n - 1};
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        par_barrier(&test_par);
        put_bytes("cut.h5", bytes, cuts[i]);
        open_refused("cut.h5", "make or copy it again");
    }
}

static void what_is_missing_or_of_another_shape_is_named(void)
{
    H5File f;
    H5Shape s;
    float x[WIDTH];
    int64_t *id = NULL;
    put_good("good.h5");
    const char *path = path_of("good.h5");
    if (!CHECK_OK(h5_open(&f, path, &test_par))) return;
    refused(h5_shape(&s, &f, "flux"), path, "no dataset 'flux'");
    refused(h5_get((void **)&id, &s, &f, "x/y/z", H5_F32, &test_arena), path, "no dataset 'x/y/z'");
    refused(h5_shape(&s, &f, "/"), path, "is not a dataset");
    refused(h5_expect(&s, &f, "x", (int64_t[]){-1}, 1), path, "has shape (50, 8), (any) expected");
    refused(h5_expect(&s, &f, "x", (int64_t[]){-1, 7}, 2), path, "(any, 7) expected");
    refused(h5_read_rows(x, &f, "x", H5_F32, 0, ROWS, 1), path, "has 50 rows, 1 from row 50 on");
    refused(h5_read_rows(x, &f, "x", H5_TEXT, 4, 0, 1), path, "holds numbers, text expected");
    refused(h5_get((void **)&id, &s, &f, "survey", H5_I64, &test_arena), path, "holds text, numbers expected");
    refused(h5_get((void **)&id, &s, &f, "table", H5_I64, &test_arena), path, "neither numbers nor text");
    refused(h5_read_member(x, &f, "x", "Z", H5_F32, 0, 0, 1), path, "not a table");
    refused(h5_read_member(x, &f, "table", "Z", H5_F32, 0, 0, 1), path, "no column 'Z'");
    CHECK_OK(h5_close(&f));
}

static void wrong_kinds_and_versions_name_the_stage(void)
{
    H5File f;
    Envelope e;
    put_good("catalog.h5");
    const char *path = path_of("catalog.h5");
    if (!CHECK_OK(h5_open(&f, path, &test_par))) return;
    refused(artefact_read(&e, &f, "embeddings", 1, "embed", &test_arena), path, "`astroclip embed` writes those");
    refused(artefact_read(&e, &f, "catalog", 2, "catalog", &test_arena), path, "run `astroclip catalog` again");
    CHECK_OK(h5_close(&f));
}

/* The size in the dataset's header is raised from 50 to 2^47 rows: nobody allocates for it. */
static void a_size_beyond_the_file_is_refused_before_allocating(void)
{
    static unsigned char bytes[1 << 16];
    put_good("whole.h5");
    FILE *in = fopen(path_of("whole.h5"), "rb");
    CU_ASSERT_FATAL(in != NULL);
    size_t n = fread(bytes, 1, sizeof bytes, in), changed = 0;
    fclose(in);
    par_barrier(&test_par);
    for (size_t i = 0; i + 16 <= n;
         i++) { /* the message "dataspace" holds the two sizes, little endian, one behind the other */
        static const unsigned char dims[16] = {ROWS, 0, 0, 0, 0, 0, 0, 0, WIDTH};
        if (memcmp(bytes + i, dims, sizeof dims) != 0) continue;
        bytes[i + 5] = 0x80;
        changed++;
    }
    CU_ASSERT_FATAL(changed > 0);
    put_bytes("huge.h5", bytes, n);
    H5File f;
    H5Shape s;
    float *x = NULL;
    const char *path = path_of("huge.h5");
    if (!CHECK_OK(h5_open(&f, path, &test_par))) return;
    refused(h5_shape(&s, &f, "x"), path, "x");
    refused(h5_get((void **)&x, &s, &f, "x", H5_F32, &test_arena), path, "x");
    CHECK_OK(h5_close(&f));
}

TEST_MAIN("bad_h5", {"what is no HDF5 file is refused", what_is_no_hdf5_file_is_refused},
          {"truncated files are refused at any length", truncated_files_are_refused_at_any_length},
          {"what is missing or of another shape is named", what_is_missing_or_of_another_shape_is_named},
          {"wrong kinds and versions name the stage that helps", wrong_kinds_and_versions_name_the_stage},
          {"a size beyond the file is refused before allocating", a_size_beyond_the_file_is_refused_before_allocating})
