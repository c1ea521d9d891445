/* libfuzzer.c - in the place of driver.c where clang's libFuzzer has the main: coverage guides it, and every second change is
   one of mutate.c, so that it gets through headers. run.sh starts such a program on the corpus that driver.c writes. */
#include <stdlib.h>

#include "fuzz.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t room, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t n, size_t room);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    fuzz_begin();
    atexit(fuzz_end);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t room, unsigned seed)
{
    if (seed % 2 || n < 2) return LLVMFuzzerMutate(data, n, room);
    Rng r = rng_stream(seed, fuzz_target.name, 0, 0);
    return 1 + (size_t)fuzz_mutate(data + 1, (int64_t)n - 1, (int64_t)room - 1, fuzz_target.words, &r);
}
