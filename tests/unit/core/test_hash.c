/* test_hash.c - checksums against published values, streams against one call, fingerprints that tell texts apart. */
#include "test_main.h"

#include <stdio.h>
#include <string.h>

#include "core/hash.h"

static Fingerprint of_parts(const char *text, size_t bytes, size_t step)
{
    HashState *h = hash_open();
    for (size_t at = 0; at < bytes; at += step) hash_add(h, text + at, at + step < bytes ? step : bytes - at);
    return hash_close(h);
}

static void a_stream_does_not_depend_on_how_it_is_cut(void)
{
    char data[5000];
    for (size_t i = 0; i < sizeof data; i++) data[i] = (char)(i * 31 + i / 7);
    Fingerprint whole = of_parts(data, sizeof data, sizeof data);
    CU_ASSERT_EQUAL(strlen(whole.text), FINGERPRINT_TEXT - 1);
    CU_ASSERT_EQUAL(strspn(whole.text, "0123456789abcdef"), FINGERPRINT_TEXT - 1);
    for (size_t step = 1; step < 600; step += 97)
        CU_ASSERT_STRING_EQUAL(whole.text, of_parts(data, sizeof data, step).text);
    data[4999] ^= 1;
    CU_ASSERT_STRING_NOT_EQUAL(whole.text, of_parts(data, sizeof data, sizeof data).text);
}

/* XXH3 of no bytes, as published with xxHash: 64 bits 2d06800538d394c2, 128 bits 99aa06d3014798d86001c324468d497f. */
static void xxh3_matches_published_values(void)
{
    CU_ASSERT_EQUAL(hash_bytes("", 0), 0x2d06800538d394c2u);
    CU_ASSERT_EQUAL(hash_bytes(NULL, 0), 0x2d06800538d394c2u);
    CU_ASSERT_STRING_EQUAL(hash_close(hash_open()).text, "99aa06d3014798d86001c324468d497f");
}

static Fingerprint of_two(const char *a, const char *b)
{
    HashState *h = hash_open();
    hash_add_text(h, a);
    hash_add_text(h, b);
    return hash_close(h);
}

static void texts_do_not_run_together(void)
{
    CU_ASSERT_STRING_NOT_EQUAL(of_two("ab", "c").text, of_two("a", "bc").text);
}

static void fnv1a_matches_published_values(void)
{
    CU_ASSERT_EQUAL(hash_fnv1a(""), 0xcbf29ce484222325u);
    CU_ASSERT_EQUAL(hash_fnv1a("a"), 0xaf63dc4c8601ec8cu);
    CU_ASSERT_EQUAL(hash_fnv1a("foobar"), 0x85944171f73967e8u);
}

/* The first values of splitmix64 from state 0 are the mixes of 0, gamma, 2 gamma. */
static void mix_is_splitmix64_and_spreads_neighbours(void)
{
    CU_ASSERT_EQUAL(hash_mix(0), 0xe220a8397b1dcdafu);
    CU_ASSERT_EQUAL(hash_mix(0x9e3779b97f4a7c15u), 0x6e789e6aa1b965f4u);
    int flipped = 0;
    for (uint64_t i = 0; i < 1000; i++) flipped += __builtin_popcountll(hash_mix(i) ^ hash_mix(i + 1));
    CU_ASSERT(flipped > 31000 && flipped < 33000); /* 32 of 64 bits on average; 250 is one standard deviation x 2 */
}

static void sha256_of_a_file_matches_published_values(void)
{
    char path[512], sum[SHA256_TEXT];
    snprintf(path, sizeof path, "%s/abc", test_folder());
    FILE *f = fopen(path, "wb");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    fputs("abc", f);
    fclose(f);
    CHECK_OK(hash_file_sha256(sum, path));
    CU_ASSERT_STRING_EQUAL(sum, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    f = fopen(path, "wb");
    for (int i = 0; i < 1000000; i++) fputc('a', f);
    fclose(f);
    CHECK_OK(hash_file_sha256(sum, path));
    CU_ASSERT_STRING_EQUAL(sum, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void sha256_of_a_missing_file_is_an_input_failure(void)
{
    char sum[SHA256_TEXT], path[512];
    snprintf(path, sizeof path, "%s/nothing-here", test_folder());
    CHECK_FAILS(hash_file_sha256(sum, path), E_INPUT);
    CHECK_FAILS(hash_file_sha256(sum, test_folder()), E_INPUT); /* a folder opens, and cannot be read */
}

TEST_MAIN("hash", {"a stream does not depend on how it is cut", a_stream_does_not_depend_on_how_it_is_cut},
          {"XXH3 matches published values", xxh3_matches_published_values},
          {"texts do not run together", texts_do_not_run_together},
          {"FNV-1a matches published values", fnv1a_matches_published_values},
          {"the mix is splitmix64 and spreads neighbours", mix_is_splitmix64_and_spreads_neighbours},
          {"sha256 of a file matches published values", sha256_of_a_file_matches_published_values},
          {"sha256 of a missing file is an input failure", sha256_of_a_missing_file_is_an_input_failure})
