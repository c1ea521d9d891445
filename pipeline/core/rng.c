/* rng.c - Philox4x32-10 and the distributions drawn from it.

   "Parallel Random Numbers: As Easy as 1, 2, 3", Salmon et al. 2011, section 4: ten rounds of two multiplications;
   every (key, counter) gives four words that depend on nothing else. The counter is {draw, step, object low, object
   high}, draw counting fours of words. */
#include "core/rng.h"

#include <math.h>

#include "core/fail.h"
#include "core/hash.h"

enum { ROUNDS = 10 };
static const uint32_t MULTIPLIER_0 = 0xD2511F53, MULTIPLIER_1 = 0xCD9E8D57;
static const uint32_t WEYL_0 = 0x9E3779B9, WEYL_1 = 0xBB67AE85; /* golden ratio, sqrt(3) - 1 */

void philox4x32(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3], k0 = key[0], k1 = key[1];
    for (int round = 0; round < ROUNDS; round++, k0 += WEYL_0, k1 += WEYL_1) {
        uint64_t p0 = (uint64_t)MULTIPLIER_0 * c0, p1 = (uint64_t)MULTIPLIER_1 * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

/* FNV-1a of the purpose needs no table and no byte order; the two mixes keep near seeds and near names apart. */
Rng rng_stream(uint64_t seed, const char *purpose, int64_t object, uint32_t step)
{
    uint64_t key = hash_mix(hash_mix(seed) ^ hash_fnv1a(purpose)), id = (uint64_t)object;
    Rng r = {.key = {(uint32_t)key, (uint32_t)(key >> 32)}, .counter = {0, step, (uint32_t)id, (uint32_t)(id >> 32)}};
    return r;
}

uint32_t rng_u32(Rng *r)
{
    if (r->left == 0) {
        philox4x32(r->buffer, r->counter, r->key);
        r->counter[0]++;
        r->left = 4;
    }
    return r->buffer[4 - r->left--];
}

uint64_t rng_u64(Rng *r)
{
    uint64_t low = rng_u32(r);
    return low | (uint64_t)rng_u32(r) << 32;
}

double rng_uniform(Rng *r) { return (double)(rng_u64(r) >> 11) * 0x1p-53; }

/* Box and Muller 1958. 1 - u lies in (0, 1]: the logarithm is finite. */
static void normal_pair(double out[2], Rng *r)
{
    double u = rng_uniform(r), v = rng_uniform(r);
    double radius = sqrt(-2.0 * log(1.0 - u)), angle = 2.0 * M_PI * v;
    out[0] = radius * cos(angle);
    out[1] = radius * sin(angle);
}

/* One of the pair is thrown away: each normal takes four words, and the stream has no hidden state. */
double rng_normal(Rng *r)
{
    double pair[2];
    normal_pair(pair, r);
    return pair[0];
}

/* Rejection below the largest multiple of n: every value has equally many preimages. */
int64_t rng_below(Rng *r, int64_t n)
{
    MUST(n > 0);
    uint64_t range = (uint64_t)n, excess = (0 - range) % range; /* 2^64 mod n */
    uint64_t x;
    do x = rng_u64(r);
    while (x < excess);
    return (int64_t)(x % range);
}

void rng_normals(float *out, int64_t n, Rng *r)
{
    for (int64_t i = 0; i < n; i += 2) {
        double pair[2];
        normal_pair(pair, r);
        out[i] = (float)pair[0];
        if (i + 1 < n) out[i + 1] = (float)pair[1];
    }
}
