/* fitsfile_rice.c - tiles of RICE codes (FITS standard 4.0, section 10.4.1) and the floats that they stand for (10.2).

   cfitsio's decoder looks for the next 1 bit until it finds one, also beyond the tile's bytes and beyond the memory of the
   program: one damaged byte can kill a rank. This one takes up to 57 bits at a time, knows where they end, and needs half the time.

   A tile begins with its first pixel, plain. Blocks of pixels share one code: 0 = all differences are 0, the highest = they
   are plain, else code - 1 = bits at their lower end that are plain, behind as many zeros as the upper end says and a 1. */
#include <math.h>
#include <pthread.h>
#include <string.h>

#include "fitsfile_impl.h"

enum { AT_ONCE = 57 };

typedef struct {
    const unsigned char *bytes;
    int64_t at, end; /* bits */
} Codes;

static uint64_t bits_from(const unsigned char *bytes, int64_t at)
{
    uint64_t word;
    memcpy(&word, bytes + (at >> 3), sizeof word);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word << (at & 7); /* at least AT_ONCE bits are there, zeros behind them */
}

/* Up to 32 bits. */
static bool take_bits(uint32_t *out, Codes *c, int n)
{
    if (c->at + n > c->end) return false;
    *out = n > 0 ? (uint32_t)(bits_from(c->bytes, c->at) >> (64 - n)) : 0;
    c->at += n;
    return true;
}

/* Zeros, however many, the 1 behind them, and `split` bits. */
static bool take_long(uint32_t *out, Codes *c, int split)
{
    uint32_t zeros = 0, low;
    for (int run = AT_ONCE; run == AT_ONCE; zeros += (uint32_t)run, c->at += run) {
        if (c->at >= c->end) return false;
        const uint64_t word = bits_from(c->bytes, c->at) >> (64 - AT_ONCE);
        run = word ? __builtin_clzll(word) - (64 - AT_ONCE) : AT_ONCE;
    }
    c->at++;
    if (!take_bits(&low, c, split)) return false;
    *out = (uint32_t)((uint64_t)zeros << split) | low;
    return true;
}

/* A difference is 2 d for d >= 0, else -2 d - 1. */
static uint32_t difference(uint32_t code) { return (code >> 1) ^ -(code & 1); }

static bool take_split(uint32_t *out, uint32_t last, Codes *c, int64_t n, int split)
{
    uint64_t word = 0;
    int left = 0; /* bits of it that are there */
    for (int64_t i = 0; i < n; i++) {
        int zeros = word ? __builtin_clzll(word) : 64;
        if (zeros + 1 + split > left) {
            if (c->at >= c->end) return false;
            word = bits_from(c->bytes, c->at);
            left = AT_ONCE;
            zeros = word ? __builtin_clzll(word) : 64;
        }
        uint32_t code;
        if (zeros + 1 + split <= left) {
            word = word << zeros << 1;
            code = (uint32_t)zeros << split | (uint32_t)(word >> 1 >> (63 - split));
            word <<= split;
            left -= zeros + 1 + split;
            c->at += zeros + 1 + split;
        } else {
            if (!take_long(&code, c, split)) return false;
            left = 0;
        }
        last += difference(code);
        out[i] = last;
    }
    return c->at <= c->end;
}

bool fitsfile_rice(uint32_t *out, const unsigned char *bytes, int64_t length, int64_t n_pixels, int block,
                   int bytes_per_pixel)
{
    const int bits = 8 * bytes_per_pixel, code_bits = bytes_per_pixel == 4 ? 5 : bytes_per_pixel == 2 ? 4 : 3;
    const uint32_t plain = bytes_per_pixel == 4 ? 26 : bytes_per_pixel == 2 ? 15 : 7;
    Codes c = {bytes, 0, 8 * length};
    uint32_t last, code, next;
    if (bytes_per_pixel != 4 && bytes_per_pixel != 2 && bytes_per_pixel != 1) return false;
    if (block < 1 || !take_bits(&last, &c, bits)) return false;
    for (int64_t done = 0, n; done < n_pixels; done += n) {
        n = n_pixels - done < block ? n_pixels - done : block;
        if (!take_bits(&code, &c, code_bits) || code > plain) return false;
        if (code > 0 && code < plain && !take_split(out + done, last, &c, n, (int)code - 1)) return false;
        for (int64_t i = 0; i < n && code == plain; i++) {
            if (!take_bits(&next, &c, bits)) return false;
            out[done + i] = (i > 0 ? out[done + i - 1] : last) + difference(next);
        }
        for (int64_t i = 0; i < n && code == 0; i++) out[done + i] = last;
        last = out[done + n - 1];
    }
    return true;
}

/* ---- floats ---- */

enum { N_RANDOM = 10000, ZERO_VALUE = -2147483646 };
static float random_value[N_RANDOM];
static pthread_once_t made = PTHREAD_ONCE_INIT;

/* The standard's sequence, in 0 .. 1 (appendix I). */
static void make_random(void)
{
    double seed = 1;
    for (int i = 0; i < N_RANDOM; i++) {
        const double next = 16807.0 * seed;
        seed = next - 2147483647.0 * (double)(int)(next / 2147483647.0);
        random_value[i] = (float)(seed / 2147483647.0);
    }
}

static void start_at(FitsLevels *l, int64_t seed)
{
    l->seed = seed % N_RANDOM;
    l->next = (int64_t)((double)random_value[l->seed] * 500);
}

void fitsfile_levels(FitsLevels *l, int64_t tile)
{
    pthread_once(&made, make_random);
    start_at(l, tile);
}

/* Numbers whose random values lie side by side. */
static void to_floats(float *out, const FitsLevels *l, const uint32_t *in, int64_t n)
{
    const float *random = random_value + l->next;
    for (int64_t i = 0; i < n; i++) {
        const double level = (double)(int32_t)in[i];
        out[i] = (float)((l->dithered ? level - (double)random[i] + 0.5 : level) * l->scale + l->zero);
    }
    for (int64_t i = 0; i < n && l->keeps_zero; i++) out[i] = in[i] == (uint32_t)ZERO_VALUE ? 0 : out[i];
    for (int64_t i = 0; i < n && l->has_blank; i++) out[i] = in[i] == l->blank ? NAN : out[i];
}

void fitsfile_floats(float *out, FitsLevels *l, const uint32_t *in, int64_t n)
{
    for (int64_t at = 0, some; at < n; at += some) {
        some = n - at < N_RANDOM - l->next ? n - at : N_RANDOM - l->next;
        if (out) to_floats(out + at, l, in + at, some);
        l->next += some;
        if (l->next == N_RANDOM) start_at(l, l->seed + 1);
    }
}
