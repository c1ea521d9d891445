/* fuzz_config.c - run files: every section of the program, and what config_dump makes of a file that passes. */
#include <stdio.h>
#include <string.h>

#include "fuzz.h"
#include "stages.h"

static const char *const words[] = {"run:",         "release:", "kind: ", "desi",  "legacy", "stein",
                                    "model: {",     "[",        "]",      "{",     "}",      "&a",
                                    "*a",           "<<: ",     "!!int ", "---\n", "...\n",  "\t",
                                    "\"\\u0000\"",  "? ",       "- ",     "|\n",   ">\n",    "~",
                                    "null",         "yes",      "0x",     "0o7",   ".nan",   "%YAML 1.2\n",
                                    "\xef\xbb\xbf", "\xff\xfe", "#",      ": ",    ",",      "'",
                                    "\"",           NULL};

static Status seeds(Arena *a)
{
    static const char *const source[] = {"config/demo.yaml",        "config/desi-dr1.yaml",  "config/desi-edr.yaml",
                                         "config/legacy-dr10.yaml", "config/reference.yaml", "tests/e2e/small.yaml"};
    static const char odd[] = "run: {seed: 1, stages: [catalog, embed]}\n\"embed\": {batch: 0x10, weights: 'a b'}\n"
                              "release:\n  rows: [spectra, images]\n  spectra: {kind: mmu, root: \"/tmp/\\u00e9\"}\n";
    char path[FUZZ_PATH];
    (void)a;
    for (int i = 0; i < 6; i++) {
        snprintf(path, sizeof path, "%s/%s", TEST_ROOT, source[i]);
        fuzz_seed_file(0, path);
    }
    fuzz_seed_bytes(0, odd, sizeof odd - 1);
    return OK;
}

static void one(int kind, const char *path, const uint8_t *bytes, int64_t n, Arena *a)
{
    Config *config, *again;
    char *text, *same;
    (void)kind, (void)path;
    const char *const overrides[] = {"embed.batch=3", "release.spectra.kind=sdss"};
    if (!fuzz_ok(config_parse(&config, "run.yaml", (const char *)bytes, (size_t)n, overrides, (int)(n % 3),
                              config_sections, NULL, a)))
        return;
    /* What passes can be written down, and says the same when read again. */
    MUST(config_dump(&text, config, n % 2, a) == OK);
    MUST(config_parse(&again, "dump", text, strlen(text), NULL, 0, config_sections, NULL, a) == OK);
    MUST(config_dump(&same, again, n % 2, a) == OK && strcmp(text, same) == 0);
}

const FuzzTarget fuzz_target = {"config", 1, seeds, one, NULL, words};
