/* queries.h - what a similarity search looks for: rows of the catalogue by TARGETID, by position or by a table of either, all of
   them, a few that TARGETIDs choose, and objects that are not in the catalogue.

   What was asked for and is not there stays a query, flagged. */
#ifndef TABLES_QUERIES_H
#define TABLES_QUERIES_H

#include "data/catalog.h"
#include "data/flags.h"
#include "embed/embeddings.h"

typedef struct {
    bool all; /* every row of the catalogue is a query */
    ConfigTexts targetids;
    ConfigTexts positions; /* "RA DEC" in deg */
    double radius;         /* arcsec */
    const char *objects;   /* FITS, HDF5 or CSV table of TARGETIDs or positions, "" = none */
    ConfigTexts spectra;   /* FITS files that are embedded on the fly */
    ConfigTexts cutouts;
    int64_t sample; /* rows, where nothing else is asked for */
    ConfigTexts directions;
    int64_t neighbours;
    bool self;     /* a row may find itself */
    int64_t batch; /* queries that are looked for at a time */
    double keep_gb;
    double save_minutes;
    int index; /* of search_indices */
    int64_t index_rows, probes;
} SearchConfig;
extern const ConfigSection search_section; /* "search" */
enum { INDEX_EXACT, INDEX_IVF, INDEX_HNSW };
extern const char *const search_indices[]; /* "exact", ... */

/* Who a row is. */
typedef struct {
    int64_t targetid, row; /* of the catalogue; -1 = none */
    char survey[8], program[8];
    double ra, dec, z;
} SearchKey;

/* This rank's share of the catalogue. */
typedef struct {
    int64_t first, n;
    SearchKey *key; /* (n) */
} SearchKeys;

enum { QUERY_NOT_FOUND = 1, QUERY_NO_IMAGE = 2, QUERY_NO_SPECTRUM = 4, QUERY_NEW = 8 };
typedef struct {
    int32_t bit;
    const char *name, *sentence;
} QueryFlagRow;
extern const QueryFlagRow query_flag_table[]; /* ends with bit 0 */

enum { QUERY_ASKED = 40 };
typedef struct {
    char asked[QUERY_ASKED]; /* "TARGETID 39627...", "RA 150.1 DEC 2.2", a file */
    SearchKey key;
    double offset; /* arcsec: of the row from the position asked for; NaN = none was */
    int32_t flag;
    int64_t fresh; /* its number among the new objects, -1 = a row of the catalogue */
} Query;

/* Objects that are not in the catalogue, the same on all ranks. */
typedef struct {
    int64_t n;
    Query *query;
    int64_t dim;
    float *x[N_MODALITIES]; /* (n, dim) NaN where it has none */
} FreshObjects;

typedef struct {
    int64_t n;
    Query *query; /* (n) the same on all ranks; NULL = all rows of the catalogue, in their order */
} Queries;

/* Local. This rank's rows: a share of the blocks of `block` rows. */
Status search_keys_read(SearchKeys *out, Catalog *c, int64_t block, const Par *par, Arena *a);

/* Collective. In the order in which things are asked for: targetids, positions, the table, new objects. E_INPUT when the table
   cannot be read; E_CONFIG for numbers that are none. usable[m] (keys->n): the row has an embedding of m (1 where
   nobody asks); `sample` wants both. */
Status queries_find(Queries *out, const SearchConfig *c, const FreshObjects *fresh, const SearchKeys *keys,
                    const uint8_t *const usable[N_MODALITIES], int64_t rows, const Par *par, Arena *a);

#endif
