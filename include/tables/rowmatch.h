/* rowmatch.h - the rows of a redshift catalogue (FITS; HDU ZCATALOG) that the rows of ours are, by TARGETID, SURVEY and PROGRAM. */
#ifndef TABLES_ROWMATCH_H
#define TABLES_ROWMATCH_H

#include "data/catalog.h"

/* A row of the table that our catalogue lacks (or that repeats a key). */
typedef struct {
    int64_t targetid, at;
    char survey[8], program[8];
} RowMissing;

typedef struct {
    int64_t rows, matched; /* of the table; of these in our catalogue */
    RowMissing *missing;   /* the others, spread over the ranks */
    int64_t n_missing;
} RowMatch;

/* Collective. at[i]: the table's row of our row first + i, -1 = none. Memory: 64 bytes for each row of both / ranks. */
Status rowmatch(RowMatch *out, int64_t *at, const char *path, Catalog *catalog, int64_t first, int64_t n,
                const Par *par, Arena *a);

#endif
