/* hash.c - xxHash for data and fingerprints, FNV-1a and sha256 where a file format asks for them. XXH3 gives the same
   value with every instruction set; its canonical form is the same on every byte order. So a fingerprint made on one
   machine is recognised on another. */
#include "core/hash.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>
#include <xxhash.h>

/* HashState is never defined: it stands for the library's own state, which comes aligned as its vectors need it. */
static XXH3_state_t *inner(HashState *h) { return (XXH3_state_t *)h; }

HashState *hash_open(void)
{
    XXH3_state_t *state = XXH3_createState();
    MUST(state != NULL && XXH3_128bits_reset(state) == XXH_OK);
    return (HashState *)state;
}

void hash_add(HashState *h, const void *data, size_t bytes)
{
    if (bytes > 0) MUST(XXH3_128bits_update(inner(h), data, bytes) == XXH_OK);
}

void hash_add_text(HashState *h, const char *text) { hash_add(h, text, strlen(text) + 1); }

static void to_hex(char *out, const unsigned char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

Fingerprint hash_close(HashState *h)
{
    Fingerprint f;
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(inner(h)));
    to_hex(f.text, canonical.digest, sizeof canonical.digest);
    XXH3_freeState(inner(h));
    return f;
}

void hash_words(uint32_t word[4], const void *data, size_t bytes)
{
    const XXH128_hash_t hash = XXH3_128bits(data, bytes);
    word[0] = (uint32_t)(hash.high64 >> 32);
    word[1] = (uint32_t)hash.high64;
    word[2] = (uint32_t)(hash.low64 >> 32);
    word[3] = (uint32_t)hash.low64;
}

/* 0 is left to mean "no checksum". */
uint64_t hash_bytes(const void *data, size_t bytes)
{
    uint64_t hash = XXH3_64bits(bytes > 0 ? data : "", bytes);
    return hash != 0 ? hash : 1;
}

/* Steele, Lea and Flood 2014, with Stafford's constants (variant 13). */
uint64_t hash_mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

uint64_t hash_fnv1a(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *text; text++) hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    return hash;
}

static Status add_file(EVP_MD_CTX *context, FILE *in, const char *path)
{
    unsigned char buffer[1 << 15];
    size_t n;
    while ((n = fread(buffer, 1, sizeof buffer, in)) > 0)
        if (!EVP_DigestUpdate(context, buffer, n)) return FAIL(E_BUG, "%s: libcrypto cannot add to a sha256", path);
    if (ferror(in)) return FAIL(E_INPUT, "%s: cannot be read to its end: %s", path, strerror(errno));
    return OK;
}

Status hash_file_sha256(char out[SHA256_TEXT], const char *path)
{
    Status st = OK;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int n = 0;
    EVP_MD_CTX *context = NULL;
    FILE *in = fopen(path, "rb");
    out[0] = '\0';
    if (!in) return FAIL(E_INPUT, "%s: cannot be opened for its sha256: %s", path, strerror(errno));
    context = EVP_MD_CTX_new();
    if (!context || !EVP_DigestInit_ex(context, EVP_sha256(), NULL))
        TRY_DONE(FAIL(E_BUG, "libcrypto offers no sha256"));
    TRY_DONE(add_file(context, in, path));
    if (!EVP_DigestFinal_ex(context, digest, &n) || 2 * n + 1 != SHA256_TEXT)
        TRY_DONE(FAIL(E_BUG, "%s: libcrypto gave a sha256 of %u bytes", path, n));
    to_hex(out, digest, n);
done:
    EVP_MD_CTX_free(context);
    fclose(in);
    return st;
}
