/* search.h - who is like whom: the nearest neighbours, by cosine, of queries among all embeddings of a release. Exact, over all
   ranks; the same matches on any number of them.

   Ranks hold contiguous shares of the catalogue. A batch of queries goes to all; each compares it with its share, block by
   block, keeping the best (probe/cosine.h); owners of queries join what the ranks found. Memory of a rank: its share of the
   embeddings, or a piece of them at a time where that is beyond `keep_gb`; 106 bytes of a row, a batch; whatever the number of queries that are rows. */
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
    double recall[N_DIRECTIONS];
} SearchTold;

/* Collective. Writes PATH (matches.h) through PATH.part, which is removed after a failure. But a run that was asked to stop, or had saved
   (`save_minutes`), leaves it with PATH.state.part beside it, and the next one with the same fingerprint goes on there. */
Status search_run(SearchTold *out, const char *path, const Envelope *e, const SearchSources *s, const Par *par,
                  Arena *a);

/* Local. Rows of PATH that a search which was cut off has saved. */
int64_t search_count_saved(const char *path);

/* Queries, as far as the configuration tells. */
int64_t search_count_queries(const SearchConfig *c, int64_t rows);

/* What a search takes. Where kept / ranks is beyond `keep_gb`, embeddings are read again for each batch: then it is `again` instead. */
typedef struct {
    double rank;  /* bytes of each rank */
    double share; /* of all ranks together: what is known of rows, queries of a batch */
    double kept;  /* of all ranks together: embeddings */
    double again; /* of each rank */
} SearchBytes;
void search_bytes(SearchBytes *out, const SearchConfig *c, int64_t dim, int64_t rows);

#endif
