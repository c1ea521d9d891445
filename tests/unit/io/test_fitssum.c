/* DATASUM in parts: the same number as cfitsio's of the whole, however the bytes are cut. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "io/fitsfile.h"
#include "io/fitssum.h"
#include "test_main.h"

static void fill(unsigned char *bytes, int64_t n, int64_t object)
{
    Rng r = rng_stream(11, "test.fitssum", object, 0);
    for (int64_t i = 0; i < n; i++) bytes[i] = (unsigned char)rng_u32(&r);
}

static void words_are_big_endian_and_carries_come_round(void)
{
    static const unsigned char one[] = {0, 0, 0, 1}, top[] = {0x80, 0, 0, 0}, all[] = {255, 255, 255, 255};
    CU_ASSERT_EQUAL(fitssum_add(0, "", 0, 0), 0);
    CU_ASSERT_EQUAL(fitssum_add(0, one, 4, 0), 1);
    CU_ASSERT_EQUAL(fitssum_add(0x80000000u, top, 4, 8), 1); /* 2^32 is 1 with end-around carry */
    CU_ASSERT_EQUAL(fitssum_add(0xffffffffu, one, 4, 0), 1);
    CU_ASSERT_EQUAL(fitssum_add(0xffffffffu, all, 4, 0), 0xffffffffu); /* minus zero stays what it is */
    CU_ASSERT_EQUAL(fitssum_fold(0xffffffffffffffffu), 0xffffffffu);
    CU_ASSERT_EQUAL(fitssum_add(0, one + 3, 1, 0), 0x01000000u); /* a byte alone: zeros fill its word */
    CU_ASSERT_EQUAL(fitssum_add(0, one + 3, 1, 6), 0x00000100u);
    CU_ASSERT_EQUAL(fitssum_add(0, one + 2, 2, 7), 0x01000000u); /* the second byte begins a word */
}

static void any_two_cuts_give_the_sum_of_the_whole(void)
{
    enum { N = 41 };
    unsigned char bytes[N];
    fill(bytes, N, 0);
    const uint32_t whole = fitssum_add(0, bytes, N, 0);
    int wrong = 0;
    for (int a = 0; a <= N; a++)
        for (int b = a; b <= N; b++) {
            uint64_t parts = fitssum_add(0, bytes, a, 0);
            parts += fitssum_add(0, bytes + a, b - a, a);
            parts += fitssum_add(0, bytes + b, N - b, b);
            wrong += fitssum_fold(parts) != whole;
            wrong += fitssum_add(fitssum_add(0, bytes, a, 0), bytes + a, N - a, a) != whole;
        }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* More than one block of 2^20 words, in two parts cut in the middle of a word; a plain sum as reference. */
static void long_parts_keep_all_their_carries(void)
{
    const int64_t n = (4 << 20) + 1003, cut = n / 2 + 1;
    unsigned char *bytes = NULL;
    CHECK_OK(arena_new(&bytes, &test_arena, n));
    memset(bytes, 0xff, (size_t)n); /* every word is a carry */
    fill(bytes + 100, 1000, 1);
    uint64_t plain = 0;
    for (int64_t i = 0; i < n; i++) plain += (uint64_t)bytes[i] << (24 - 8 * (i % 4));
    CU_ASSERT_EQUAL(fitssum_add(0, bytes, n, 0), fitssum_fold(plain));
    uint64_t parts = (uint64_t)fitssum_add(0, bytes, cut, 0) + fitssum_add(0, bytes + cut, n - cut, cut);
    CU_ASSERT_EQUAL(fitssum_fold(parts), fitssum_fold(plain));
}

/* A table whose rows have an odd number of bytes, its header filled until the two keywords begin a new block: the checksum
   of the whole HDU used to be taken before the header ended. */
static void cfitsio_agrees_with_what_is_written(void)
{
    enum { ROWS = 777, WIDTH = 7, BLOCK = 2880, MOST = 20 * BLOCK };
    static const FitsColumn column[] = {{"BYTES", "7B", "", ""}};
    static unsigned char bytes[ROWS * WIDTH], file[MOST];
    char path[256];
    bool good = false, present = false;
    FitsFile f;
    fill(bytes, sizeof bytes, 2);
    for (int more = 0; more < 36; more++) { /* cards of a block */
        snprintf(path, sizeof path, "%s/sum.fits", test_folder());
        CHECK_OK(fitsfile_create(&f, path));
        CHECK_OK(fitsfile_new_table(&f, "BYTES", column, 1, ROWS));
        CHECK_OK(fitsfile_write_column(&f, "BYTES", FITS_U8, bytes, 0, ROWS));
        for (int i = 0; i < more; i++) {
            char key[16];
            snprintf(key, sizeof key, "MORE%d", i);
            CHECK_OK(fitsfile_put_i64(&f, key, i, ""));
        }
        CHECK_OK(fitsfile_put_checksum(&f));
        CHECK_OK(fitsfile_finish(&f));
        FILE *in = fopen(path, "rb");
        CU_ASSERT_FATAL(in != NULL);
        const int64_t n = (int64_t)fread(file, 1, sizeof file, in);
        fclose(in);
        CU_ASSERT(n > BLOCK && n < MOST && n % BLOCK == 0);
        CU_ASSERT_EQUAL(fitssum_add(0, file + BLOCK, n - BLOCK, 0), 0xffffffffu); /* the HDU after the primary header */
        CU_ASSERT_PTR_NULL(memmem(file, (size_t)n, "updated", 7));                /* no time in it */
        CHECK_OK(fitsfile_open(&f, path));
        CHECK_OK(fitsfile_goto(&f, "BYTES"));
        CHECK_OK(fitsfile_verify(&f, &good, &present));
        CU_ASSERT(good && present); /* cfitsio's DATASUM of the data */
        fitsfile_close(&f);
    }
}

TEST_MAIN("fitssum", {"words are big-endian and carries come round", words_are_big_endian_and_carries_come_round},
          {"any two cuts give the sum of the whole", any_two_cuts_give_the_sum_of_the_whole},
          {"long parts keep all their carries", long_parts_keep_all_their_carries},
          {"cfitsio agrees with what is written", cfitsio_agrees_with_what_is_written})
