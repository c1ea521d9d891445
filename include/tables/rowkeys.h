/* rowkeys.h - the keys (TARGETID, SURVEY, PROGRAM) of a file's rows, 16 bytes a row, sorted; two such lists walked side
   by side. Files of tens of millions of rows in any order find their common rows this way. Local, serial. */
#ifndef TABLES_ROWKEYS_H
#define TABLES_ROWKEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/arena.h"

/* A pair of texts SURVEY, PROGRAM has a number: there are a few dozen pairs in a survey, and both files of a comparison
   share the list. */
enum { KEY_WORD = 24, KEY_PAIRS = 65536 };
typedef struct {
    char survey[KEY_WORD], program[KEY_WORD]; /* NUL-padded */
} KeyPair;
typedef struct {
    KeyPair *pair; /* (KEY_PAIRS), touched as they come up */
    int64_t n, last;
} KeyPairs;
Status keypairs_init(KeyPairs *p, Arena *a);
/* The number of a pair, new or known. The cells need no NUL at their end; E_INPUT when there are too many pairs, or
   texts longer than KEY_WORD - 1. */
Status keypairs_number(int64_t *number, KeyPairs *p, const char *survey, size_t survey_cell, const char *program,
                       size_t program_cell);

typedef struct {
    int64_t targetid;
    uint64_t rest; /* pair << 40 | row */
} RowKey;
RowKey rowkey(int64_t targetid, int64_t pair, int64_t row);
static inline int64_t rowkey_row(const RowKey *k) { return (int64_t)(k->rest & (((uint64_t)1 << 40) - 1)); }
static inline int64_t rowkey_pair(const RowKey *k) { return (int64_t)(k->rest >> 40); }

/* By TARGETID, pair, row. */
void rowkeys_sort(RowKey *key, int64_t n);

/* Two sorted lists. The next step gives the entries of one key: NULL on the side that lacks it. Keys that a file has
   twice are paired in the order of its rows. False at the end. */
typedef struct {
    const RowKey *a, *b;
    int64_t n_a, n_b;
} KeyWalk;
bool keywalk_next(KeyWalk *w, const RowKey **a, const RowKey **b);

#endif
