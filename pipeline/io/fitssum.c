/* fitssum.c - DATASUM in parts. Carries collect in the upper half of 64 bits and come round once per block. */
#include "io/fitssum.h"

#include <stddef.h>

enum { WORD = 4, BLOCK = 1 << 20 }; /* words of a block: their sum stays far below 2^64 */

uint32_t fitssum_fold(uint64_t sum)
{
    while (sum >> 32) sum = (sum & 0xffffffffu) + (sum >> 32);
    return (uint32_t)sum;
}

/* A byte at a place of its word that counts from 0, the most significant. */
static uint64_t placed(unsigned char byte, int64_t place) { return (uint64_t)byte << (8 * (WORD - 1 - place)); }

static uint64_t word_at(const unsigned char *b)
{
    return (uint64_t)b[0] << 24 | (uint64_t)b[1] << 16 | (uint64_t)b[2] << 8 | b[3];
}

uint32_t fitssum_add(uint32_t sum, const void *bytes, int64_t n, int64_t offset)
{
    const unsigned char *b = bytes;
    uint64_t total = sum;
    for (; n > 0 && offset % WORD != 0; n--, offset++) total += placed(*b++, offset % WORD);
    while (n >= WORD) {
        int64_t words = n / WORD < BLOCK ? n / WORD : BLOCK;
        for (int64_t i = 0; i < words; i++) total += word_at(b + i * WORD);
        total = fitssum_fold(total);
        b += words * WORD;
        n -= words * WORD;
    }
    for (int64_t i = 0; i < n; i++) total += placed(b[i], i);
    return fitssum_fold(total);
}
