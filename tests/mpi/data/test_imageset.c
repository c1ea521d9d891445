/* test_imageset.c - images by number, over files of several folders; on any ranks. */
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>

#include "data/images.h"
#include "data/imageset.h"
#include "test_main.h"

enum { NUMBERS = N_BANDS * CUTOUT_PIXELS * CUTOUT_PIXELS, N_FILES = 3 };

static const struct {
    const char *name;
    int64_t n;
} file[N_FILES] = {{"north/images_npix152_000000000_000000003.h5", 3},
                   {"south/images_npix152_000000000_000000001.h5", 1},
                   {"south/images_npix152_000000001_000000003.h5", 2}};

static float value_of(int64_t image, int64_t k) { return (float)image + (float)(k % 1000) / 1024; }

/* Pixel 7 of image 4 is no number. */
static void write_files(const char *root)
{
    int64_t image = 0;
    char path[600];
    for (int i = 0; i < N_FILES; i++) {
        H5File f;
        float *x;
        snprintf(path, sizeof path, "%s/%s", root, file[i].name);
        CHECK_OK(arena_new(&x, &test_arena, file[i].n * NUMBERS));
        for (int64_t k = 0; k < file[i].n * NUMBERS; k++) x[k] = value_of(image + k / NUMBERS, k % NUMBERS);
        if (image == 4) x[7] = NAN;
        image += file[i].n;
        CHECK_OK(h5_create(&f, path, NULL));
        CHECK_OK(h5_put(&f, "images", H5_F32, 0, x, (int64_t[]){file[i].n, N_BANDS, CUTOUT_PIXELS, CUTOUT_PIXELS}, 4));
        CHECK_OK(h5_close(&f));
    }
}

static const char *make_set(void)
{
    const char *root = test_folder();
    char folder[560];
    par_barrier(&test_par); /* the test before has read its files */
    if (test_par.rank == 0) {
        snprintf(folder, sizeof folder, "%s/north", root);
        mkdir(folder, 0777);
        snprintf(folder, sizeof folder, "%s/south", root);
        mkdir(folder, 0777);
        write_files(root);
    }
    par_barrier(&test_par);
    return root;
}

static void images_are_found_by_number(void)
{
    static const int64_t order[] = {5, 0, 2, 4, 3, 1};
    const char *root = make_set();
    ImageSet s;
    float *got;
    CHECK_OK(imageset_open(&s, root, &test_par, &test_arena));
    CHECK_OK(arena_new(&got, &test_arena, NUMBERS));
    CU_ASSERT_EQUAL(s.n, 6);
    for (int i = 0; i < 6; i++) {
        bool same = true;
        CHECK_OK(imageset_read(got, &s, order[i]));
        for (int64_t k = 0; k < NUMBERS; k++)
            same = same && got[k] == (order[i] == 4 && k == 7 ? 0 : value_of(order[i], k));
        CU_ASSERT(same);
    }
    imageset_close(&s);
    imageset_close(&s);
}

static void other_files_are_another_set(void)
{
    const char *root = make_set();
    char path[600];
    ImageSet s, less;
    CHECK_OK(imageset_open(&s, root, &test_par, &test_arena));
    imageset_close(&s);
    snprintf(path, sizeof path, "%s/%s", root, file[1].name);
    par_barrier(&test_par);
    if (test_par.rank == 0) remove(path);
    par_barrier(&test_par);
    CHECK_OK(imageset_open(&less, root, &test_par, &test_arena));
    CU_ASSERT_EQUAL(less.n, 5);
    CU_ASSERT_STRING_NOT_EQUAL(s.fingerprint.text, less.fingerprint.text);
    imageset_close(&less);
}

static void a_file_that_is_none_is_named(void)
{
    const char *root = make_set();
    char path[600];
    ImageSet s;
    snprintf(path, sizeof path, "%s/%s", root, file[2].name);
    if (test_par.rank == 0) {
        FILE *f = fopen(path, "w");
        if (f) fclose(f);
    }
    par_barrier(&test_par);
    CHECK_FAILS(imageset_open(&s, root, &test_par, &test_arena), E_INPUT);
    snprintf(path, sizeof path, "%s/nothing", root);
    CHECK_FAILS(imageset_open(&s, path, &test_par, &test_arena), E_INPUT);
}

TEST_MAIN("imageset", {"images are found by number", images_are_found_by_number},
          {"other files are another set", other_files_are_another_set},
          {"a file that is none is named", a_file_that_is_none_is_named})
