/* fuzz.c - what all targets share: the folder, the seeds, the run of one input, and what libFuzzer asks for. */
#include "fuzz.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/log.h"
#include "io/h5.h"
#include "par/par.h"

FuzzSeed fuzz_seeds[FUZZ_SEEDS];
int fuzz_n_seeds;

static char folder[FUZZ_PATH / 2];
static Arena kept, working;

/* A malloc that no honest file leads to ends the program, as a wild read does. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "max_allocation_size_mb=512:handle_abort=1:detect_leaks=1:fast_unwind_on_malloc=0:allocator_may_return_null="
           "0";
}

const char *__lsan_default_suppressions(void);
/* Besides those of MPI: cfitsio does not free the bytes of a tile that it cannot unpack. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libopen\nleak:libmpi\nleak:libhwloc\nleak:libpmix\nleak:imcomp_decompress_tile\n";
}

/* ---- paths ---- */

const char *fuzz_folder(void) { return folder; }

const char *fuzz_path(const char *name)
{
    static char path[8][FUZZ_PATH];
    static int next;
    char *out = path[next++ & 7];
    MUST(snprintf(out, FUZZ_PATH, "%s/%s", folder, name) < FUZZ_PATH);
    for (char *c = out + strlen(folder) + 1; *c; c++)
        if (*c == '/') *c = '\0', mkdir(out, 0777), *c = '/';
    return out;
}

void fuzz_write(const char *path, const void *bytes, int64_t n)
{
    FILE *f = fopen(path, "wb");
    bool good = f && fwrite(bytes, 1, (size_t)n, f) == (size_t)n;
    if (f) good = fclose(f) == 0 && good;
    if (good) return;
    fprintf(stderr, "cannot write %s\n", path);
    exit(1);
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info, (void)kind, (void)walk;
    return remove(path);
}

/* ---- seeds ---- */

void fuzz_seed_bytes(int kind, const void *bytes, int64_t n)
{
    MUST(fuzz_n_seeds < FUZZ_SEEDS && kind < fuzz_target.n_kinds);
    FuzzSeed *s = &fuzz_seeds[fuzz_n_seeds];
    *s = (FuzzSeed){.kind = kind, .n = n};
    MUST(arena_new(&s->bytes, &kept, n) == OK);
    memcpy(s->bytes, bytes, (size_t)n);
    fuzz_n_seeds++;
}

void fuzz_seed_file(int kind, const char *path)
{
    FILE *f = fopen(path, "rb");
    struct stat info;
    if (!f) return;
    if (fstat(fileno(f), &info) == 0 && info.st_size > 0 && info.st_size < FUZZ_BYTES) {
        uint8_t *bytes;
        MUST(arena_new(&bytes, &kept, info.st_size) == OK);
        if (fread(bytes, 1, (size_t)info.st_size, f) == (size_t)info.st_size)
            fuzz_seed_bytes(kind, bytes, info.st_size);
    }
    fclose(f);
}

void fuzz_seed_shared(int kind, const char *name)
{
    char path[FUZZ_PATH];
    const char *shared = getenv("ASTROCLIP_SHARED");
    snprintf(path, sizeof path, "%s/%s", shared && *shared ? shared : TEST_ROOT "/../shared", name);
    fuzz_seed_file(kind, path);
}

void fuzz_seed_golden(int kind, const char *name)
{
    char path[FUZZ_PATH];
    const char *golden = getenv("ASTROCLIP_GOLDEN");
    if (golden && *golden) {
        snprintf(path, sizeof path, "%s/%s", golden, name);
        fuzz_seed_file(kind, path);
    } else {
        snprintf(path, sizeof path, "golden/%s", name);
        fuzz_seed_shared(kind, path);
    }
}

/* ---- a program ---- */

void fuzz_end(void)
{
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    arena_free(&working);
    arena_free(&kept);
}

void fuzz_begin(void)
{
    static Par par;
    const char *base = getenv("TMPDIR");
    if (!base || !*base) base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(folder, sizeof folder, "%s/astroclip-fuzz-XXXXXX", base);
    if (!mkdtemp(folder)) {
        fprintf(stderr, "cannot make a folder like %s\n", folder);
        exit(1);
    }
    par_serial(&par);
    log_quiet(true);
    h5_silence();
    MUST(arena_init(&kept, "fuzz seeds", 0) == OK);
    MUST(arena_init(&working, "fuzz", FUZZ_MEMORY) == OK);
    if (fuzz_target.seeds(&kept) != OK) {
        fail_print(stderr, 1);
        exit(1);
    }
}

bool fuzz_ok(Status st)
{
    if (st == OK) return true;
    const FailRecord *record = fail_record();
    bool finding = st == E_MEMORY || st == E_BUG || record->status != (int)st || record->text[0] == '\0';
    if (finding) {
        fail_print(stderr, 1);
        fprintf(stderr, "a reader failed in a way that it must not (%s)\n", fail_kind(st));
        abort();
    }
    fail_clear();
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0) return 0;
    int kind = data[0] % fuzz_target.n_kinds;
    uint8_t *bytes; /* exactly as many as there are: what is read beyond them is seen */
    MUST(arena_new(&bytes, &working, (int64_t)n - 1) == OK);
    memcpy(bytes, data + 1, n - 1);
    const char *path = "";
    if (fuzz_target.files) {
        path = fuzz_path(fuzz_target.files[kind]);
        fuzz_write(path, bytes, (int64_t)n - 1);
    }
    fuzz_target.one(kind, path, bytes, (int64_t)n - 1, &working);
    if (fuzz_target.files) remove(path);
    arena_reset(&working, (Mark){0});
    fail_clear();
    return 0;
}
