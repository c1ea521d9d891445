/* sethash.c - 128-bit hashes of records added in four words, each modulo 2^32: sums know neither order nor owner. */
#include "par/sethash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void sethash_add_hash(SetHash *h, const Fingerprint *one)
{
    for (int w = 0; w < 4; w++) {
        char digits[9] = "";
        memcpy(digits, one->text + 8 * w, 8);
        h->word[w] += (uint32_t)strtoul(digits, NULL, 16);
    }
}

void sethash_add(SetHash *h, const void *record, size_t bytes)
{
    uint32_t word[4];
    hash_words(word, record, bytes);
    for (int w = 0; w < 4; w++) h->word[w] += word[w];
}

Fingerprint sethash_finish(const SetHash *mine, const Par *par)
{
    int64_t sum[4];
    Fingerprint out;
    for (int w = 0; w < 4; w++) sum[w] = mine->word[w];
    par_sum_i64(par, sum, 4); /* up to 2^31 ranks fit */
    snprintf(out.text, sizeof out.text, "%08x%08x%08x%08x", (uint32_t)sum[0], (uint32_t)sum[1], (uint32_t)sum[2],
             (uint32_t)sum[3]);
    return out;
}
