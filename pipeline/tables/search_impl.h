/* search_impl.h - what the files of search share. search.c is the driver, search_share.c reads and compares a rank's share,
   search_join.c brings together what the ranks found, search_saved.c remembers how far an interrupted search came. */
#ifndef TABLES_SEARCH_IMPL_H
#define TABLES_SEARCH_IMPL_H

#include "probe/ann.h"
#include "probe/cosine.h"
#include "tables/matches.h"

enum { INDEX_GROUP = 256 };          /* queries that an index gets at a time */
enum { SEARCH_PIECE = 4096 };        /* rows read at a time */
#define SEARCH_STATE "%s.state.part" /* of PATH: how far the search came */

/* This rank's share of one modality: the rows that have an embedding, closed up. */
typedef struct {
    int64_t n, total; /* here; on all ranks */
    int64_t *row, *targetid;
    double *norm;
    uint8_t *usable;          /* (n of the share) */
    float *x;                 /* (n, dim); NULL = is read again for each batch */
    int64_t n_blocks, *block; /* first vector of each index (n_blocks + 1) */
    Ann **index;              /* (n_blocks); NULL = none */
} Targets;

/* Of sampled queries: matches that the exact search finds, too; all that it finds. */
typedef struct {
    int64_t hits, all;
} SearchRecall;

/* How far the search came: all batches of earlier directions, and the first `queries` of this one. */
typedef struct {
    int64_t direction, queries;
    int64_t written; /* rows of MATCHES */
    int64_t sum;     /* of their bytes (io/fitssum.h): this rank's part, or, as it is saved, all */
    SearchRecall recall[N_DIRECTIONS];
} SearchDone;

typedef struct {
    const SearchSources *s;
    const SearchConfig *config;
    const Par *par;
    Arena *arena;
    int64_t dim;
    bool wants[N_MODALITIES], among[N_MODALITIES]; /* is compared at all; is what is found */
    SearchKeys keys;
    Targets target[N_MODALITIES];
    Queries queries;
    /* the file */
    const char *part;
    int fd;
    RowSpan span[N_MATCH_TABLES];
    int64_t sum[N_MATCH_TABLES]; /* of this rank's bytes, then of all */
    int64_t n_matches, written;
    SearchRecall recall[N_DIRECTIONS];
    /* what an interruption leaves */
    char state[H5_PATH + 16];
    SearchDone done;
    double saved_at; /* log_elapsed */
    bool begun;      /* PATH.part is this run's */
    bool saved;      /* something lies there for the next run */
} Search;

/* Local. */
Status share_read(Search *w);
/* Local. A batch of queries against this rank's share. */
Status share_compare(CosineSearch *s, const Search *w, Modality m);

/* Local. Indices of the share, a block of rows each. Whose candidates a batch of queries is compared with. */
Status index_build(Search *w, Modality m);
Status index_compare(CosineSearch *s, const Search *w, Modality m);
void index_free(Search *w);
/* Collective. Adds to w->recall what an exact search says of some queries of the batch, which begins at query `first`. */
Status index_measure(Search *w, int direction, int64_t first, const CosineSearch *s);

/* A match on its way to the owner of its query. */
typedef struct {
    int64_t query; /* of the batch */
    CosineMatch match;
    SearchKey key;
} Sent;
/* Collective. What all ranks found for the queries that this rank owns, by query, best first: at least the k best of each. */
Status search_gather(Sent **got, int64_t *n_got, const Search *w, const CosineSearch *s);
/* Collective. The same into the file. */
Status search_join(Search *w, int direction, int64_t first, const CosineSearch *s);
double search_join_bytes(int64_t neighbours); /* of a query of the batch */

/* Collective. w->done and w->span of an earlier run that looked for the same, where PATH.part still holds what that run wrote; else
   nothing changes. */
Status saved_load(Search *w, const Fingerprint *fingerprint);
/* Collective. What is written is on disk, and w->done beside it. */
Status saved_write(Search *w, const Fingerprint *fingerprint);
void saved_remove(const Search *w); /* Local, rank 0 */

static inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

#endif
