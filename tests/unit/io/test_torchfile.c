/* Unit tests of io/torchfile: what is written is read; types, strides and shared storages become float32; names lose their wrappers; large files' records
   are honoured; what reaches beyond is refused. */
#include <math.h>

#include "io/torchfile.h"
#include "torch_pieces.h"

/* The one tensor of a file that holds one; NULL when it cannot be read. */
static float *read_one(const char *path, int64_t n)
{
    TorchFile f;
    float *value = NULL;
    if (!CHECK_OK(torchfile_open(&f, path, &test_arena))) return NULL;
    CU_ASSERT_EQUAL(f.n, 1);
    CU_ASSERT_EQUAL(f.tensor[0].n, n);
    CHECK_OK(arena_new(&value, &test_arena, n + 1));
    CHECK_OK(torchfile_read(value, &f, &f.tensor[0], &test_arena));
    torchfile_close(&f);
    return value;
}

static void check_values(const Piece *p, const float *want, int64_t n)
{
    const float *got = read_one(put_piece("piece.ckpt", p), n);
    CU_ASSERT_FATAL(got != NULL);
    for (int64_t i = 0; i < n; i++) CU_ASSERT(got[i] == want[i] || (isnan(got[i]) && isnan(want[i])));
}

static void round_trip(void)
{
    const float x[] = {1, -2.5f, 3e-30f, 4, 5, 6};
    const int64_t six[] = {2, 3}, none[] = {0, 4};
    TorchWriter w;
    TorchFile f;
    CU_ASSERT_FATAL(CHECK_OK(torchfile_create(&w, piece_path("a.ckpt"), "state_dict", &test_arena)));
    CHECK_OK(torchfile_put(&w, "b.weight", x, 2, six));
    CHECK_OK(torchfile_put(&w, "a.scalar", x + 1, 0, NULL));
    CHECK_OK(torchfile_put(&w, "c.empty", x, 2, none));
    CHECK_OK(torchfile_finish(&w));
    CU_ASSERT_FATAL(CHECK_OK(torchfile_open(&f, piece_path("a.ckpt"), &test_arena)));
    CU_ASSERT(f.n == 3 && strcmp(f.map, "state_dict") == 0);
    const TorchTensor *t = torchfile_find(&f, "b.weight"), *scalar = torchfile_find(&f, "a.scalar"),
                      *empty = torchfile_find(&f, "c.empty");
    CU_ASSERT_FATAL(t && scalar && empty && !torchfile_find(&f, "d"));
    float got[6] = {0};
    CU_ASSERT(t->n_dims == 2 && t->dims[0] == 2 && t->dims[1] == 3 && t->storage->data == 0);
    CHECK_OK(torchfile_read(got, &f, t, &test_arena));
    CU_ASSERT(memcmp(got, x, sizeof x) == 0);
    CU_ASSERT(t->storage->data > 0 && t->storage->data % TORCH_ZIP_ALIGN == 0);
    CHECK_OK(torchfile_read(got, &f, scalar, &test_arena));
    CU_ASSERT(scalar->n_dims == 0 && scalar->n == 1 && got[0] == x[1]);
    CU_ASSERT(empty->n == 0 && empty->dims[1] == 4);
    CHECK_OK(torchfile_read(got, &f, empty, &test_arena));
    torchfile_close(&f);
}

static void every_type(void)
{
    static const uint16_t halves[] = {0x3C00, 0xC000, 0x0001, 0x83FF, 0x7BFF, 0x7C00, 0x7E00};
    static const float half_values[] = {1, -2, 0x1p-24f, -0x1.ff8p-15f, 65504, INFINITY, NAN};
    static const uint16_t upper[] = {0x3F80, 0xC020, 0x0000};
    static const float upper_values[] = {1, -2.5f, 0};
    static const double doubles[] = {0.1, -1e300};
    static const float double_values[] = {0.1f, -INFINITY}; /* beyond float32: import refuses it as not finite */
    static const int64_t longs[] = {-7, (int64_t)1 << 40};
    static const float long_values[] = {-7, 0x1p40f};
    static const int8_t small[] = {-1, 1};
    static const float signed_values[] = {-1, 1}, unsigned_values[] = {255, 1}, truth[] = {1, 1};
    check_values(&(Piece){"x", "HalfStorage", halves, sizeof halves, 7, 0, 1, {7}, {1}}, half_values, 7);
    check_values(&(Piece){"x", "BFloat16Storage", upper, sizeof upper, 3, 0, 1, {3}, {1}}, upper_values, 3);
    check_values(&(Piece){"x", "DoubleStorage", doubles, sizeof doubles, 2, 0, 1, {2}, {1}}, double_values, 2);
    check_values(&(Piece){"x", "LongStorage", longs, sizeof longs, 2, 0, 1, {2}, {1}}, long_values, 2);
    check_values(&(Piece){"x", "CharStorage", small, 2, 2, 0, 1, {2}, {1}}, signed_values, 2);
    check_values(&(Piece){"x", "ByteStorage", small, 2, 2, 0, 1, {2}, {1}}, unsigned_values, 2);
    check_values(&(Piece){"x", "BoolStorage", small, 2, 2, 0, 1, {2}, {1}}, truth, 2);
}

static void views(void)
{
    const float x[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    const float transposed[] = {1, 4, 7, 2, 5, 8}, part[] = {5, 6, 7}, spread[] = {1, 3, 7, 9};
    check_values(&(Piece){"x", "FloatStorage", x, sizeof x, 12, 1, 2, {2, 3}, {1, 3}}, transposed, 6);
    check_values(&(Piece){"x", "FloatStorage", x, sizeof x, 12, 5, 1, {3}, {1}}, part, 3);
    check_values(&(Piece){"x", "FloatStorage", x, sizeof x, 12, 1, 2, {2, 2}, {6, 2}}, spread, 4);
    check_values(&(Piece){"x", "FloatStorage", x, sizeof x, 12, 11, 0, {0}, {0}}, x + 11, 1);
}

static void wrappers_are_taken_off(void)
{
    const float x = 3;
    TorchFile f;
    const Piece p = {"_orig_mod.module.a._fsdp_wrapped_module.mymodule.w", "FloatStorage", &x, 4, 1, 0, 1, {1}, {1}};
    CU_ASSERT_FATAL(CHECK_OK(torchfile_open(&f, put_piece("w.ckpt", &p), &test_arena)));
    CU_ASSERT_STRING_EQUAL(f.tensor[0].name, "a.mymodule.w");
    torchfile_close(&f);
}

static bool refused(const Piece *p, const char *word)
{
    TorchFile f;
    const Status st = torchfile_open(&f, put_piece("bad.ckpt", p), &test_arena);
    const bool named = st == E_INPUT && strstr(fail_record()->text, word) && strstr(fail_record()->text, "bad.ckpt");
    if (!named) printf("status %d, '%s'\n", (int)st, fail_record()->text);
    torchfile_close(&f);
    fail_clear();
    return named;
}

static void what_reaches_beyond_is_refused(void)
{
    const float x[4] = {0};
    CU_ASSERT(refused(&(Piece){"x", "FloatStorage", x, 16, 4, 1, 1, {4}, {1}}, "tensor x reaches beyond"));
    CU_ASSERT(refused(&(Piece){"x", "FloatStorage", x, 16, 4, 0, 2, {2, 2}, {3, 1}}, "tensor x reaches beyond"));
    CU_ASSERT(refused(&(Piece){"x", "FloatStorage", x, 16, 4, -1, 1, {2}, {1}}, "tensor x reaches beyond"));
    CU_ASSERT(refused(&(Piece){"x", "FloatStorage", x, 16, 4, 0, 2, {1 << 30, 1 << 30}, {0, 0}}, "repeats"));
    CU_ASSERT(refused(&(Piece){"x", "FloatStorage", x, 16, 4, 0, 1, {-3}, {1}}, "size or stride"));
    CU_ASSERT(refused(&(Piece){"x", "FloatStorage", x, 16, 5, 0, 1, {4}, {1}}, "too few for 5 elements"));
    CU_ASSERT(refused(&(Piece){"x", "DoubleStorage", x, 16, 4, 0, 1, {2}, {1}}, "too few for 4 elements"));
    CU_ASSERT(refused(&(Piece){"x", "ComplexFloatStorage", x, 16, 2, 0, 1, {2}, {1}}, "not supported"));
}

/* A file of more than 4 GiB has all ones in its end record: the ZIP64 record counts. */
static void large_files_records_are_honoured(void)
{
    const float x[] = {1, 2};
    static uint8_t bytes[8192];
    const char *path = put_piece("large.ckpt", &(Piece){"x", "FloatStorage", x, 8, 2, 0, 1, {2}, {1}});
    FILE *f = fopen(path, "rb");
    CU_ASSERT_FATAL(f != NULL);
    const size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    CU_ASSERT_FATAL(n > 22 && n < sizeof bytes && memcmp(bytes + n - 22, "PK\5\6", 4) == 0);
    memset(bytes + n - 22 + 8, 0xFF, 12);
    f = fopen(path, "wb");
    CU_ASSERT_FATAL(f != NULL);
    CU_ASSERT_EQUAL(fwrite(bytes, 1, n, f), n);
    fclose(f);
    const float *got = read_one(path, 2);
    CU_ASSERT(got && got[0] == 1 && got[1] == 2);
    memset(bytes + n - 22 - 20, 0, 4); /* no locator: the ones are all there is */
    f = fopen(path, "wb");
    CU_ASSERT_FATAL(f != NULL);
    CU_ASSERT_EQUAL(fwrite(bytes, 1, n, f), n);
    fclose(f);
    TorchFile t;
    CHECK_FAILS(torchfile_open(&t, path, &test_arena), E_INPUT);
}

static void same_content_is_same_identity(void)
{
    const float x[] = {1, 2}, y[] = {1, 3};
    Fingerprint print[3];
    const float *value[] = {x, x, y};
    for (int i = 0; i < 3; i++) {
        TorchFile f;
        const Piece p = {"x", "FloatStorage", value[i], 8, 2, 0, 1, {2}, {1}};
        CU_ASSERT_FATAL(CHECK_OK(torchfile_open(&f, put_piece("i.ckpt", &p), &test_arena)));
        print[i] = torchfile_identity(&f);
        torchfile_close(&f);
    }
    CU_ASSERT_STRING_EQUAL(print[0].text, print[1].text);
    CU_ASSERT_STRING_NOT_EQUAL(print[0].text, print[2].text);
}

TEST_MAIN("torchfile", {"what is written is read, on multiples of 64 bytes", round_trip},
          {"every type of number becomes float32", every_type},
          {"offsets, strides and transposed views are followed", views},
          {"wrappers' names are taken off", wrappers_are_taken_off},
          {"tensors that reach beyond their storage are refused by name", what_reaches_beyond_is_refused},
          {"the ZIP64 record of a large file is honoured", large_files_records_are_honoured},
          {"the same content has the same identity", same_content_is_same_identity})
