/* search.h - who is like whom: the nearest neighbours, by cosine, of queries among all embeddings of a release. Exact, over all
   ranks; the same matches on any number of them.

   Ranks hold contiguous shares of the catalogue. A batch of queries goes to all; each compares it with its share, block by
   block, keeping the best (probe/cosine.h); owners of queries join what the ranks found. Memory of a rank: its share of the
   embeddings or `keep_gb` of them, 70 bytes a row, a batch; whatever the number of queries that are rows. */
#ifndef TABLES_SEARCH_H
#define TABLES_SEARCH_H

#include "tables/queries.h"

/* A query's embedding of `from` is compared with everybody's embedding of `to`. */
typedef struct {
    const char *name;
    Modality from, to;
} DirectionRow;
enum { N_DIRECTIONS = 4 };
extern const DirectionRow direction_table[N_DIRECTIONS];
bool search_goes(const SearchConfig *c, int direction); /* it is asked for */

/* Borrowed; every rank has its own handles. */
typedef struct {
    const SearchConfig *config;
    Catalog *catalog;
    Embeddings *embeddings;
    const FreshObjects *fresh;
    bool again; /* from the beginning, whatever an earlier run has saved */
} SearchSources;

typedef struct {
    int64_t queries, not_found, matches;
    double products; /* pairs that were compared */
    double seconds;  /* of comparing */
} SearchTold;

/* Collective. Writes PATH (matches.h) through PATH.part, which is removed after a failure. But a run that was asked to stop, or had saved
   (`save_minutes`), leaves it with PATH.state.part beside it, and the next one with the same fingerprint goes on there. */
Status search_run(SearchTold *out, const char *path, const Envelope *e, const SearchSources *s, const Par *par,
                  Arena *a);

/* Local. Rows of PATH that a search which was cut off has saved. */
int64_t search_count_saved(const char *path);

/* Bytes of a rank that has `rows` of embeddings of `dim` numbers, and those that go with its share. */
double search_memory(const SearchConfig *c, int64_t dim);
double search_row_bytes(const SearchConfig *c, int64_t dim);

#endif
