/* rng.h - counter-based random numbers: value = f(seed, purpose, object, step), whoever asks and in whatever order.
   Philox4x32-10 (Salmon et al. 2011): key = hash of (seed, purpose), counter = (object, step, draw). Local. */
#ifndef CORE_RNG_H
#define CORE_RNG_H

#include <stdint.h>

typedef struct {
    uint32_t key[2];
    uint32_t counter[4];
    uint32_t buffer[4];
    int left; /* unused words of buffer */
} Rng;

/* One stream per (seed, purpose, object, step); `purpose` is a short literal such as "mock.noise". A stream holds 2^34
   words. */
Rng rng_stream(uint64_t seed, const char *purpose, int64_t object, uint32_t step);

uint32_t rng_u32(Rng *r);
uint64_t rng_u64(Rng *r);
double rng_uniform(Rng *r);                      /* [0, 1), 53 bits       */
double rng_normal(Rng *r);                       /* mean 0, variance 1    */
int64_t rng_below(Rng *r, int64_t n);            /* 0 .. n-1, unbiased    */
void rng_normals(float *out, int64_t n, Rng *r); /* many, two per 4 words */
void philox4x32(uint32_t out[4], const uint32_t counter[4],
                const uint32_t key[2]); /* the bare function, for its test */

#endif
