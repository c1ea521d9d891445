/* fuzz.h - damaged files for everything that reads files. One target is one file, fuzz_NAME.c, which says what a good
   input is and what to do with a bad one; it is built twice over: with driver.c, whose damage follows from a seed and
   needs no particular compiler, and, where the compiler is clang and FUZZ=ON, as a libFuzzer program.

   An input is one byte that says of which kind it is, and the bytes of the file. Whatever they are, a reader may
   refuse them with a message or flag rows; it must not crash, read beyond its buffers, hang, or take memory that is
   out of proportion. The arena given holds FUZZ_MEMORY bytes, and a single malloc may not be larger: E_MEMORY and
   E_BUG are findings. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdint.h>

#include "core/arena.h"
#include "core/rng.h"

#define FUZZ_MEMORY ((size_t)512 << 20)
enum { FUZZ_KINDS = 16, FUZZ_SEEDS = 64, FUZZ_PATH = 1024, FUZZ_BYTES = 4 << 20 };

typedef struct {
    const char *name;
    int n_kinds;
    /* Good inputs, by fuzz_seed_*; also prepares what `one` needs. `a` lives as long as the program. */
    Status (*seeds)(Arena *a);
    /* The file of one input lies at `path`; its bytes are there too. `a` is empty again for the next one. */
    void (*one)(int kind, const char *path, const uint8_t *bytes, int64_t n, Arena *a);
    const char *const
        *files; /* (n_kinds) names that inputs of each kind get in fuzz_folder(); NULL = no file is made */
    const char *const *words; /* ended by NULL: what the format is sensitive to; may be NULL */
} FuzzTarget;
extern const FuzzTarget fuzz_target; /* of this program */

/* A folder of this program, removed at its end; NAME in it, in one of eight rotating buffers, folders above it made. */
const char *fuzz_folder(void);
const char *fuzz_path(const char *name);
void fuzz_write(const char *path, const void *bytes, int64_t n);

/* Adds the file at `path` as an input of this kind; files that are absent or larger than FUZZ_BYTES are passed over. */
void fuzz_seed_file(int kind, const char *path);
void fuzz_seed_bytes(int kind, const void *bytes, int64_t n);
/* The same for a file of $ASTROCLIP_SHARED or $ASTROCLIP_GOLDEN (as in tests/support/test_main.h). */
void fuzz_seed_shared(int kind, const char *name);
void fuzz_seed_golden(int kind, const char *name);

/* A call's outcome: failures but those that are findings are forgotten. True for OK. */
bool fuzz_ok(Status st);

/* ---- between fuzz.c, mutate.c and driver.c ---- */

typedef struct {
    int kind;
    int64_t n;
    uint8_t *bytes; /* (n) of the file, without the byte that says the kind */
} FuzzSeed;
extern FuzzSeed fuzz_seeds[FUZZ_SEEDS];
extern int fuzz_n_seeds;
void fuzz_begin(void); /* makes the folder and the seeds */
void fuzz_end(void);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Damages n bytes in place, growing to at most `room`; the new length. (mutate.c) */
int64_t fuzz_mutate(uint8_t *data, int64_t n, int64_t room, const char *const *words, Rng *r);

#endif
