/* Bad PyTorch checkpoints: every one is refused with a message that names the file and what is wrong; whatever is cut off or flipped, nothing crashes,
   hangs or takes memory. */
#include <stdlib.h>
#include <unistd.h>

#include "io/gzip.h"
#include "torch_pieces.h"
#include "train/import.h"

/* Opens, recognises and imports; the status of what refused first. */
static Status take(const char *path, bool allow_nonfinite)
{
    static const Envelope envelope = {
        .made_by = "import", .config = "", .specprod = "", .image_release = "", .provider = ""};
    char to[H5_PATH];
    TorchFile f;
    OfficialModel model;
    ImportReport report;
    snprintf(to, sizeof to, "%s/out-%d.h5", test_folder(), test_par.rank);
    Status st = torchfile_open(&f, path, &test_arena);
    if (st == OK) st = official_recognise(&model, &f, &test_arena);
    if (st == OK) st = import_weights(&report, to, &f, &model, allow_nonfinite, &envelope, &test_arena);
    torchfile_close(&f);
    CU_ASSERT(st == OK || access(to, F_OK) != 0);
    unlink(to);
    return st;
}

static void golden_bad_files(void)
{
    static const struct {
        const char *file, *word;
    } bad[] = {{"bad_truncated.ckpt", "cut off"},
               {"bad_crc.ckpt", "CRC-32 of entry specformer_tiny/data/"},
               {"bad_wrong_shape.ckpt", "data_embed.weight has shape"},
               {"bad_missing_tensor.ckpt", "blocks.1.mlp.decoder.bias is missing"},
               {"bad_short_storage.ckpt", "too few for"},
               {"bad_unexpected_global.ckpt", "posix.system"},
               {"bad_unexpected_global_in_state_dict.ckpt", "posix.system"},
               {"bad_nan_weight.ckpt", "head.weight holds NaN"},
               {"legacy_nonzip.pth", "before 1.6"},
               {"README.md", "no PyTorch checkpoint"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *path = test_golden(bad[i].file);
        if (!test_needs_file(path)) continue;
        CU_ASSERT_EQUAL(take(path, false), E_INPUT);
        const char *text = fail_record()->text;
        if (test_par.rank == 0) printf("%s\n", text);
        CU_ASSERT(strstr(text, bad[i].file) && strstr(text, bad[i].word));
        fail_clear();
    }
    const char *nan = test_golden("bad_nan_weight.ckpt");
    if (test_needs_file(nan)) CHECK_OK(take(nan, true));
}

/* Bytes of a small good checkpoint with a second tensor and a wrapped name. */
static uint8_t *small_file(size_t *n)
{
    static uint8_t bytes[1 << 14];
    const float x[6] = {1, 2, 3, 4, 5, 6};
    const int64_t dims[] = {2, 3};
    char name[64];
    TorchWriter w;
    snprintf(name, sizeof name, "good-%d.ckpt", test_par.rank);
    CHECK_OK(torchfile_create(&w, piece_path(name), "state_dict", &test_arena));
    CHECK_OK(torchfile_put(&w, "module.a.weight", x, 2, dims));
    CHECK_OK(torchfile_put(&w, "a.bias", x, 1, dims));
    CHECK_OK(torchfile_finish(&w));
    FILE *f = fopen(piece_path(name), "rb");
    CU_ASSERT_FATAL(f != NULL);
    *n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    CU_ASSERT_FATAL(*n > 100 && *n < sizeof bytes);
    return bytes;
}

/* Reads all tensors of the bytes as a file: true when nothing was refused. */
static bool readable(const uint8_t *bytes, size_t n)
{
    char name[64];
    TorchFile f;
    float value[64];
    const Mark mark = arena_mark(&test_arena);
    snprintf(name, sizeof name, "try-%d.ckpt", test_par.rank);
    const char *path = piece_path(name);
    FILE *out = fopen(path, "wb");
    CU_ASSERT_FATAL(out != NULL);
    CU_ASSERT_EQUAL(fwrite(bytes, 1, n, out), n);
    fclose(out);
    Status st = torchfile_open(&f, path, &test_arena);
    for (int64_t i = 0; st == OK && i < f.n; i++) {
        CU_ASSERT_FATAL(f.tensor[i].n <= 64);
        st = torchfile_read(value, &f, &f.tensor[i], &test_arena);
    }
    CU_ASSERT(st == OK || (st == E_INPUT && strstr(fail_record()->text, name)));
    torchfile_close(&f);
    fail_clear();
    arena_reset(&test_arena, mark);
    return st == OK;
}

static void cut_anywhere(void)
{
    size_t n = 0;
    const uint8_t *bytes = small_file(&n);
    CU_ASSERT(readable(bytes, n));
    for (size_t k = (size_t)test_par.rank; k < n; k += (size_t)test_par.n_ranks) CU_ASSERT(!readable(bytes, k));
}

static void flipped_anywhere(void)
{
    size_t n = 0;
    uint8_t *bytes = small_file(&n);
    int64_t unnoticed = 0;
    for (size_t k = (size_t)test_par.rank; k < n; k += (size_t)test_par.n_ranks) {
        const uint8_t kept = bytes[k];
        const uint8_t other[] = {(uint8_t)~kept, (uint8_t)(kept ^ 0x80), 0xFF};
        for (size_t i = 0; i < sizeof other; i++) {
            bytes[k] = other[i];
            unnoticed += other[i] != kept && readable(bytes, n);
        }
        bytes[k] = kept;
    }
    /* padding, times and the like carry nothing; most bytes do */
    CU_ASSERT(unnoticed * 2 < 3 * (int64_t)n);
}

/* The pickle's bytes flipped behind a checksum that fits: what a file made to harm would do. */
static void pickle_flipped_anywhere(void)
{
    static const char name[] = "archive/data.pkl";
    enum { ENTRY = 46, LOCAL = 30 }; /* bytes of a directory entry and of a local header before the name */
    size_t n = 0, at = 0;
    uint8_t *bytes = small_file(&n);
    uint32_t length = 0, header = 0;
    for (size_t i = 0; i + ENTRY + sizeof name < n; i++)
        if (memcmp(bytes + i, "PK\1\2", 4) == 0 && memcmp(bytes + i + ENTRY, name, sizeof name - 1) == 0) at = i;
    CU_ASSERT_FATAL(at > 0);
    memcpy(&length, bytes + at + 24, 4);
    memcpy(&header, bytes + at + 42, 4);
    uint8_t *pickle = bytes + header + LOCAL + bytes[header + 26] + bytes[header + 28];
    CU_ASSERT_FATAL(pickle[0] == 0x80 && pickle + length < bytes + at);
    int64_t refused = 0;
    for (uint32_t k = (uint32_t)test_par.rank; k < length; k += (uint32_t)test_par.n_ranks) {
        const uint8_t kept = pickle[k];
        const uint8_t other[] = {
            (uint8_t)~kept, (uint8_t)(kept + 1), (uint8_t)(kept ^ 0x80), 0xFF, '(', 't', 'R', 's', '0'};
        for (size_t i = 0; i < sizeof other; i++) {
            pickle[k] = other[i];
            const uint32_t crc = gzip_crc32(0, pickle, length);
            memcpy(bytes + at + 16, &crc, 4);
            refused += !readable(bytes, n);
        }
        pickle[k] = kept;
    }
    CU_ASSERT(refused * test_par.n_ranks > length); /* not all: names may be anything */
}

/* Pickles that no archive's checksum protects: a fresh archive around each. */
static void pickles_of_garbage(void)
{
    static const char *const bad[] = {".",
                                      "}.",
                                      "]a.",
                                      "t.",
                                      "(((((((((.",
                                      "h\xFF.",
                                      "j\xFF\xFF\xFF\xFF.",
                                      "r\xFF\xFF\xFF\xFF.",
                                      "Nr\xFF\xFF\xFF\xFF.",
                                      "X\xFF\xFF\xFF\x7F.",
                                      "X\xFF\xFF\xFF\xFF.",
                                      "}(NNNu.",
                                      "NNR.",
                                      "cposix\nsystem\n)R.",
                                      "cbuiltins\neval\n)R.",
                                      "cos",
                                      "R.",
                                      "}NNs",
                                      "i.",
                                      "\x8b\xFF\xFF\xFF\xFF.",
                                      "\x85.",
                                      "}(Nu.",
                                      "]q\1h\1a.",
                                      "}U\nstate_dictNs.",
                                      "}U\nstate_dict}U\1xNss.",
                                      "}U\nstate_dict}U\1xctorch._utils\n_rebuild_tensor_v2\n)Rss.",
                                      "}U\nstate_dict}U\1xctorch._utils\n_rebuild_tensor_v2\n(NNNNNNtRss."};
    char name[64];
    snprintf(name, sizeof name, "pickle-%d.ckpt", test_par.rank);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        TorchFile f;
        CHECK_FAILS(torchfile_open(&f, put_pickle(name, bad[i], strlen(bad[i]), "", 0), &test_arena), E_INPUT);
    }
}

/* Marks without end, or a chain of remembered values: bounded by the length of the stream, and no recursion. */
static void deep_pickles(void)
{
    enum { DEPTH = 200000 };
    char name[64], *deep = malloc(DEPTH);
    CU_ASSERT_FATAL(deep != NULL);
    snprintf(name, sizeof name, "deep-%d.ckpt", test_par.rank);
    const char *fills[] = {"(", "]", "\x85"};
    for (int i = 0; i < 3; i++) {
        TorchFile f;
        memset(deep, fills[i][0], DEPTH);
        deep[0] = 'N';
        deep[DEPTH - 1] = '.';
        CHECK_FAILS(torchfile_open(&f, put_pickle(name, deep, DEPTH, "", 0), &test_arena), E_INPUT);
    }
    free(deep);
}

TEST_MAIN("bad checkpoints", {"bad checkpoints are refused by name", golden_bad_files},
          {"a checkpoint cut off anywhere is refused", cut_anywhere},
          {"a byte flipped anywhere does no harm", flipped_anywhere},
          {"a byte of the pickle flipped behind a good checksum does no harm", pickle_flipped_anywhere},
          {"pickles of garbage are refused", pickles_of_garbage}, {"deep pickles do no harm", deep_pickles})
