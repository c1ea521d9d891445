/* mutate.c - damage that gets past the first check: besides bits and bytes, numbers in text (FITS cards keep their
   columns), integers of any width set to values at the edges, blocks copied, removed and doubled, words of the format.
   Everything follows from the random stream. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "fuzz.h"

enum { BLOCK = 2880, CARD = 80, NEAR = 4096, MAX_HEADERS = 512, NUMBER = 24 };

static bool is_header(const uint8_t *block)
{
    for (int i = 0; i < 2 * CARD; i++)
        if (block[i] < ' ' || block[i] > '~') return false;
    return true;
}

/* A place worth touching: in FITS mostly in headers, elsewhere often near the ends, where formats keep their tables. */
static int64_t place(const uint8_t *data, int64_t n, Rng *r)
{
    int64_t header[MAX_HEADERS], n_headers = 0;
    if (n >= BLOCK && memcmp(data, "SIMPLE", 6) == 0 && rng_below(r, 4) > 0) {
        for (int64_t b = 0; b + BLOCK <= n && n_headers < MAX_HEADERS; b += BLOCK)
            if (is_header(data + b)) header[n_headers++] = b;
        if (n_headers > 0) return header[rng_below(r, n_headers)] + rng_below(r, BLOCK);
    }
    int64_t reach = n < NEAR ? n : NEAR;
    switch (rng_below(r, 4)) {
    case 0: return rng_below(r, reach);
    case 1: return n - 1 - rng_below(r, reach);
    default: return rng_below(r, n);
    }
}

static int64_t odd_number(Rng *r)
{
    static const int64_t edges[] = {0,          1,           -1,         2,         3,        7,       127,
                                    128,        255,         256,        999,       1000,     32767,   32768,
                                    65535,      65536,       -2,         -128,      -32768,   1 << 20, 1 << 24,
                                    2147483647, -2147483648, 4294967295, INT64_MAX, INT64_MIN};
    int64_t n = sizeof edges / sizeof *edges;
    switch (rng_below(r, 3)) {
    case 0: return rng_below(r, 300);
    case 1: return (int64_t)(rng_u64(r) >> rng_below(r, 64));
    default: return edges[rng_below(r, n)];
    }
}

/* ---- single changes: each returns the new length ---- */

static void flip(uint8_t *data, int64_t n, Rng *r)
{
    int64_t at = place(data, n, r), count = 1 + rng_below(r, 4);
    for (int64_t i = 0; i < count && at + i < n; i++) data[at + i] ^= (uint8_t)(1 + rng_below(r, 255));
}

static void set_integer(uint8_t *data, int64_t n, Rng *r)
{
    int64_t at = place(data, n, r), width = (int64_t)1 << rng_below(r, 4);
    uint64_t value = (uint64_t)odd_number(r);
    bool big = rng_below(r, 2);
    for (int64_t i = 0; i < width && at + i < n; i++)
        data[at + i] = (uint8_t)(value >> (8 * (big ? width - 1 - i : i)));
}

/* The next number written in text after a random place becomes another one. */
static int64_t edit_number(uint8_t *data, int64_t n, int64_t room, Rng *r)
{
    static const char *const texts[] = {"nan", "-inf", "1e999", "-1e-310", "0.5", "1e18", "-0", "99999999999999999999"};
    int64_t first = place(data, n, r), stop = first + 4 * CARD < n ? first + 4 * CARD : n;
    while (first < stop && !isdigit(data[first])) first++;
    if (first >= stop) return n;
    int64_t end = first + 1;
    while (end < n && (isdigit(data[end]) || data[end] == '.')) end++;
    char text[NUMBER];
    if (rng_below(r, 4) == 0)
        snprintf(text, sizeof text, "%s", texts[rng_below(r, sizeof texts / sizeof *texts)]);
    else
        snprintf(text, sizeof text, "%lld", (long long)odd_number(r));
    int64_t length = (int64_t)strlen(text);
    if (memcmp(data, "SIMPLE", n < 6 ? (size_t)n : 6) == 0) { /* right-justified over the blanks before it */
        memset(data + first, ' ', (size_t)(end - first));
        for (int64_t i = 0; i < length && end - 1 - i >= 0 && data[end - 1 - i] == ' '; i++)
            data[end - 1 - i] = (uint8_t)text[length - 1 - i];
        return n;
    }
    if (n - (end - first) + length > room) return n;
    memmove(data + first + length, data + end, (size_t)(n - end));
    memcpy(data + first, text, (size_t)length);
    return n - (end - first) + length;
}

static void put_word(uint8_t *data, int64_t n, const char *const *words, Rng *r)
{
    int64_t count = 0;
    while (words && words[count]) count++;
    if (count == 0) return;
    const char *word = words[rng_below(r, count)];
    int64_t at = place(data, n, r), length = (int64_t)strlen(word);
    if (memcmp(data, "SIMPLE", n < 6 ? (size_t)n : 6) == 0 && rng_below(r, 2)) at -= at % CARD; /* a keyword */
    memcpy(data + at, word, (size_t)(at + length <= n ? length : n - at));
}

/* Lengths that formats like: cards, blocks, words, or anything. */
static int64_t some_length(Rng *r)
{
    static const int64_t lengths[] = {1, 2, 4, 8, 16, 32, CARD, 512, BLOCK, 4096};
    return rng_below(r, 3) == 0 ? 1 + rng_below(r, 2 * BLOCK) : lengths[rng_below(r, 10)];
}

static void copy_block(uint8_t *data, int64_t n, Rng *r)
{
    int64_t from = place(data, n, r), to = place(data, n, r), length = some_length(r);
    if (length >= CARD) from -= from % CARD, to -= to % CARD;
    int64_t most = n - (from > to ? from : to);
    memmove(data + to, data + from, (size_t)(length < most ? length : most));
}

static int64_t remove_block(uint8_t *data, int64_t n, Rng *r)
{
    int64_t at = place(data, n, r), length = some_length(r);
    if (length == BLOCK) at -= at % BLOCK;
    if (length > n - at) length = n - at;
    memmove(data + at, data + at + length, (size_t)(n - at - length));
    return n - length;
}

static int64_t double_block(uint8_t *data, int64_t n, int64_t room, Rng *r)
{
    int64_t at = place(data, n, r), length = some_length(r);
    if (length == BLOCK) at -= at % BLOCK;
    if (length > n - at) length = n - at;
    if (n + length > room) return n;
    memmove(data + at + length, data + at, (size_t)(n - at));
    return n + length;
}

static void fill_block(uint8_t *data, int64_t n, Rng *r)
{
    static const int fills[] = {0, 0xff, ' ', '0'};
    int64_t at = place(data, n, r), length = some_length(r);
    memset(data + at, fills[rng_below(r, 4)], (size_t)(length < n - at ? length : n - at));
}

int64_t fuzz_mutate(uint8_t *data, int64_t n, int64_t room, const char *const *words, Rng *r)
{
    int64_t changes = 1 + (rng_below(r, 3) == 0 ? rng_below(r, 8) : 0);
    for (int64_t i = 0; i < changes && n > 0; i++) {
        switch (rng_below(r, 13)) {
        case 0:
        case 1: flip(data, n, r); break;
        case 2:
        case 3: set_integer(data, n, r); break;
        case 4:
        case 5:
        case 6: n = edit_number(data, n, room, r); break;
        case 7: put_word(data, n, words, r); break;
        case 8: copy_block(data, n, r); break;
        case 9: n = remove_block(data, n, r); break;
        case 10: n = double_block(data, n, room, r); break;
        case 11: fill_block(data, n, r); break;
        default: n = rng_below(r, 4) == 0 ? rng_below(r, n) : n; break; /* cut off */
        }
    }
    return n;
}
