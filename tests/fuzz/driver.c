/* driver.c - runs a target without libFuzzer: damage number i of seed s is the same everywhere and every time.

       fuzz_NAME [-t SECONDS] [-n COUNT] [-s SEED] [-i FIRST] [-w FOLDER]    damage FIRST, FIRST + 1, ...; $FUZZ_SECONDS
       fuzz_NAME -n 0                                                        the good files alone
       fuzz_NAME FILE...                                                     inputs of old: crash-* files
       fuzz_NAME -o FOLDER                                                   writes the seeds, a corpus for libFuzzer

   An input that ends the program, or takes longer than TOO_LONG seconds, is left as FOLDER/crash-NAME-SEED-NUMBER. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "fuzz.h"

enum { TOO_LONG = 20, SKIPPED = 77 };

void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static struct {
    uint64_t seed;
    int64_t first, count;
    double seconds;
    const char *crashes, *corpus;
} options = {.seed = 1, .count = INT64_MAX, .seconds = 5, .crashes = "."};

static uint8_t *input;
static int64_t n_input, number;

static void put(const char *path, const uint8_t *bytes, int64_t n)
{
    FILE *f = fopen(path, "wb");
    if (f) {
        fwrite(bytes, 1, (size_t)n, f);
        fclose(f);
    }
    fprintf(stderr, "%s %s\n", f ? "the input is in" : "cannot write", path);
}

static void on_death(void)
{
    if (!input) return; /* leaks are reported at the end */
    char path[FUZZ_PATH];
    snprintf(path, sizeof path, "%s/crash-%s-%llu-%lld", options.crashes, fuzz_target.name,
             (unsigned long long)options.seed, (long long)number);
    put(path, input, n_input);
    fprintf(stderr, "again: -s %llu -i %lld -n 1\n", (unsigned long long)options.seed, (long long)number);
}

static void on_alarm(int signal)
{
    (void)signal;
    fprintf(stderr, "%s: an input took longer than %d s\n", fuzz_target.name, TOO_LONG);
    abort();
}

static void run(void)
{
    alarm(TOO_LONG);
    LLVMFuzzerTestOneInput(input, (size_t)n_input);
    alarm(0);
}

/* Damage `number`: the first ones are the seeds as they are. */
static void run_number(void)
{
    Rng r = rng_stream(options.seed, fuzz_target.name, number, 0);
    const FuzzSeed *s = &fuzz_seeds[number < fuzz_n_seeds ? number : rng_below(&r, fuzz_n_seeds)];
    input[0] = (uint8_t)s->kind;
    memcpy(input + 1, s->bytes, (size_t)s->n);
    int64_t n = s->n;
    if (number >= fuzz_n_seeds) n = fuzz_mutate(input + 1, n, FUZZ_BYTES, fuzz_target.words, &r);
    n_input = n + 1;
    run();
}

static void write_corpus(const char *where)
{
    char path[FUZZ_PATH];
    for (int i = 0; i < fuzz_n_seeds; i++) {
        input[0] = (uint8_t)fuzz_seeds[i].kind;
        memcpy(input + 1, fuzz_seeds[i].bytes, (size_t)fuzz_seeds[i].n);
        snprintf(path, sizeof path, "%s/seed-%d", where, i);
        put(path, input, fuzz_seeds[i].n + 1);
    }
}

static int run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        fprintf(stderr, "cannot read %s\n", path);
        return 1;
    }
    n_input = (int64_t)fread(input, 1, FUZZ_BYTES + 1, f);
    fclose(f);
    run();
    printf("%s: %s passes\n", fuzz_target.name, path);
    return 0;
}

static void take_options(int argc, char **argv)
{
    for (int option; (option = getopt(argc, argv, "t:n:s:i:w:o:")) != -1;) {
        switch (option) {
        case 't': options.seconds = atof(optarg); break;
        case 'n': options.count = atoll(optarg); break;
        case 's': options.seed = strtoull(optarg, NULL, 10); break;
        case 'i': options.first = atoll(optarg); break;
        case 'w': options.crashes = optarg; break;
        case 'o': options.corpus = optarg; break;
        default: exit(2);
        }
    }
}

int main(int argc, char **argv)
{
    const char *seconds = getenv("FUZZ_SECONDS");
    if (seconds && *seconds) options.seconds = atof(seconds);
    take_options(argc, argv);
    fuzz_begin();
    signal(SIGALRM, on_alarm);
    if (__sanitizer_set_death_callback) __sanitizer_set_death_callback(on_death);
    int status = 0;
    input = malloc(FUZZ_BYTES + 1);
    if (!input) return 1;
    if (fuzz_n_seeds == 0) {
        fprintf(stderr, "%s: no files to damage are here (ASTROCLIP_SHARED says where to look): skipped\n",
                fuzz_target.name);
        status = SKIPPED;
    } else if (options.corpus) {
        write_corpus(options.corpus);
    } else if (optind < argc) {
        for (int i = optind; i < argc; i++) status |= run_file(argv[i]);
    } else {
        double start = clock_now();
        if (options.count == 0) options.count = fuzz_n_seeds;
        for (number = options.first; number - options.first < options.count; number++) {
            if (clock_now() - start > options.seconds) break;
            run_number();
        }
        printf("%s: %lld inputs in %.1f s, seed %llu, %d good files, nothing found\n", fuzz_target.name,
               (long long)(number - options.first), clock_now() - start, (unsigned long long)options.seed,
               fuzz_n_seeds);
    }
    free(input);
    input = NULL;
    fuzz_end();
    return status;
}
