/* hash.h - checksums and fingerprints: xxHash (XXH3, 64 and 128 bits) for data and fingerprints, FNV-1a and sha256
   where a format asks for them. Local. */
#ifndef CORE_HASH_H
#define CORE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "core/fail.h"

enum { FINGERPRINT_TEXT = 33, SHA256_TEXT = 65 };

typedef struct {
    char text[FINGERPRINT_TEXT]; /* 32 hexadecimal digits, NUL-terminated; "" = none */
} Fingerprint;

typedef struct HashState HashState; /* streaming 128-bit */
HashState *hash_open(void);
void hash_add(HashState *h, const void *data, size_t bytes);
void hash_add_text(HashState *h, const char *text); /* with its terminating NUL, so that items do not run together */
Fingerprint hash_close(HashState *h);               /* frees h */
void hash_words(uint32_t word[4], const void *data, size_t bytes); /* the same 128 bits of one piece, as numbers */

uint64_t hash_bytes(const void *data, size_t bytes); /* XXH3 64; never 0 */
uint64_t hash_mix(uint64_t x);                       /* splitmix64 finaliser: spreads a TARGETID */
uint64_t hash_fnv1a(const char *text);
Status hash_file_sha256(char out[SHA256_TEXT], const char *path);

#endif
