/* fuzz_torchfile.c - PyTorch checkpoints: the archive as it stands (kind 0); a pickle within an archive whose checksums hold (1);
   a pickle by itself (2). */
#include <string.h>

#include "fuzz.h"
#include "io/torch_pickle.h"
#include "train/official.h"

enum { ARCHIVE, WRAPPED, PICKLE, N_FORMS, STORAGE = 4096 };

static const char *const files[] = {"a.ckpt", "data.pkl", "data.pkl"};
static const char *const words[] = {"state_dict",
                                    "teacher",
                                    "ctorch._utils\n_rebuild_tensor_v2\n",
                                    "ctorch\nFloatStorage\n",
                                    "ctorch\nHalfStorage\n",
                                    "ccollections\nOrderedDict\n",
                                    "storage",
                                    "cpu",
                                    "cos\nsystem\n",
                                    "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f",
                                    "}q",
                                    "(",
                                    "t",
                                    "R",
                                    "Q",
                                    "s",
                                    "u",
                                    "e",
                                    "]",
                                    "\x94",
                                    "h",
                                    "j\xff\xff\xff\x7f",
                                    "2",
                                    "0",
                                    "1",
                                    "\x85",
                                    "\x86",
                                    "\x87",
                                    "X\xff\xff\xff\x7f",
                                    "\x95",
                                    "PK\x01\x02",
                                    "PK\x03\x04",
                                    "PK\x05\x06",
                                    "PK\x06\x06",
                                    "PK\x06\x07",
                                    "\xff\xff\xff\xff",
                                    "../../etc/x",
                                    NULL};

/* The pickle of an archive as a seed of its own. */
static void add_pickle(const char *path, Arena *a)
{
    TorchZip zip = {0};
    if (!fuzz_ok(torch_zip_open(&zip, path, a))) return;
    for (int64_t i = 0; i < zip.n; i++) {
        TorchZipEntry *e = &zip.entry[i];
        uint8_t *bytes;
        if (!strstr(e->name, "data.pkl") || e->bytes > FUZZ_BYTES / 8) continue;
        MUST(arena_new(&bytes, a, e->bytes) == OK);
        if (!fuzz_ok(torch_zip_read(bytes, &zip, e, 0, e->bytes))) continue;
        fuzz_seed_bytes(WRAPPED, bytes, e->bytes);
        fuzz_seed_bytes(PICKLE, bytes, e->bytes);
    }
    torch_zip_close(&zip);
}

static Status seeds(Arena *a)
{
    static const char *const golden[] = {"specformer_tiny_fp16.ckpt", "views.pth", "astrodino_tiny_teacher.pth",
                                         "legacy_nonzip.pth"};
    const char *path = fuzz_path("own.ckpt");
    TorchWriter w = {0};
    const float x[12] = {1, 2, 3};
    TRY(torchfile_create(&w, path, "state_dict", a));
    TRY(torchfile_put(&w, "spectrum_encoder.backbone.data_embed.weight", x, 2, (int64_t[]){3, 4}));
    TRY(torchfile_put(&w, "image_encoder.backbone.cls_token", x, 3, (int64_t[]){1, 1, 4}));
    TRY(torchfile_finish(&w));
    fuzz_seed_file(ARCHIVE, path);
    add_pickle(path, a);
    TRY(torchfile_create(&w, path, "state_dict", a));
    TRY(torchfile_put(&w, "encoder_q.conv1.weight", x, 4, (int64_t[]){1, 3, 2, 2}));
    TRY(torchfile_put(&w, "encoder_q.fc.weight", x, 2, (int64_t[]){3, 4}));
    TRY(torchfile_finish(&w));
    fuzz_seed_file(ARCHIVE, path);
    add_pickle(path, a);
    for (int i = 0; i < 4; i++) {
        const int before = fuzz_n_seeds;
        fuzz_seed_golden(ARCHIVE, golden[i]);
        if (fuzz_n_seeds == before) continue;
        fuzz_write(path, fuzz_seeds[before].bytes, fuzz_seeds[before].n);
        add_pickle(path, a);
    }
    return OK;
}

static void read_all(const char *path, Arena *a)
{
    TorchFile f = {0};
    OfficialModel model;
    if (fuzz_ok(torchfile_open(&f, path, a))) {
        fuzz_ok(official_recognise(&model, &f, a));
        torchfile_identity(&f);
        for (int64_t i = 0; i < f.n && i < 40; i++) {
            float *values;
            if (!fuzz_ok(f.tensor[i].n > 1 << 24 ? FAIL(E_INPUT, "large") : arena_new(&values, a, f.tensor[i].n)))
                continue;
            fuzz_ok(torchfile_read(values, &f, &f.tensor[i], a));
        }
    }
    torchfile_close(&f);
}

static void one(int kind, const char *path, const uint8_t *bytes, int64_t n, Arena *a)
{
    static const uint8_t storage[STORAGE];
    TorchZipWriter w = {0};
    Pickle pickle;
    if (kind == PICKLE) {
        fuzz_ok(pickle_read(&pickle, "data.pkl", (const char *)bytes, n, a));
    } else if (kind == WRAPPED) {
        const char *wrapped = fuzz_path("wrapped.ckpt");
        MUST(torch_zip_create(&w, wrapped, a) == OK && torch_zip_put(&w, "any/data.pkl", bytes, n) == OK);
        for (int i = 0; i < 10; i++)
            MUST(torch_zip_put(&w, (char[]){'a', 'n', 'y', '/', 'd', 'a', 't', 'a', '/', (char)('0' + i), 0}, storage,
                               STORAGE - i) == OK);
        MUST(torch_zip_finish(&w) == OK);
        read_all(wrapped, a);
    } else {
        read_all(path, a);
    }
}

const FuzzTarget fuzz_target = {"torchfile", N_FORMS, seeds, one, files, words};
