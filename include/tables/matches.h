/* matches.h - matches.fits: the only module that reads and writes it.

   HDU PRIMARY: provenance, INDEX, and where that is not 'exact' RECALL1 to RECALL4 by direction. MATCHES: a row per match, by direction, query and rank: DIRECTION, QUERY (row of QUERIES, from 0),
   QUERY_TARGETID, RANK (from 1), SCORE (cosine), TARGETID, SURVEY, PROGRAM, TARGET_RA, TARGET_DEC, Z, ROW of the catalogue,
   SEPARATION (arcsec between query and match). QUERIES: a row per query: ASKED, TARGETID, SURVEY, PROGRAM, position, Z, ROW,
   OFFSET (arcsec from the position asked for), QUERY_FLAG, whose bits the header explains. */
#ifndef TABLES_MATCHES_H
#define TABLES_MATCHES_H

#include "tables/rowbytes.h"
#include "tables/search.h"

enum { MATCHES_VERSION = 1, TABLE_MATCHES = 0, TABLE_QUERIES = 1, N_MATCH_TABLES = 2 };
enum {
    MATCH_BYTES = 17 + 8 + 8 + 4 + 8 + 8 + 7 + 7 + 8 + 8 + 8 + 8 + 8,
    QUERY_BYTES = 40 + 8 + 7 + 7 + 8 + 8 + 8 + 8 + 8 + 4
};

typedef struct {
    int direction;
    int64_t query, query_targetid, rank;
    double score;
    SearchKey key;     /* of the match */
    double separation; /* arcsec; NaN where the query has no position */
} MatchRow;

/* Local. Headers with room for the rows; spans of both tables. */
Status matches_create(RowSpan span[N_MATCH_TABLES], const char *part, const Envelope *e, const Fingerprint *catalog,
                      const Fingerprint *embeddings, const SearchConfig *c, int64_t n_matches, int64_t n_queries);
void matches_put(unsigned char *out, const MatchRow *m);    /* MATCH_BYTES */
void matches_put_query(unsigned char *out, const Query *q); /* QUERY_BYTES */
/* recall: share of the exact matches of a sample of queries that are there, by direction; NULL where the search is exact. */
Status matches_close(const char *part, const SearchConfig *c, const uint32_t datasum[N_MATCH_TABLES],
                     const double *recall);

/* Local. The first n_queries queries of a file and all their matches, in the file's order. */
typedef struct {
    char index[16];              /* "exact", ... */
    double recall[N_DIRECTIONS]; /* NaN = exact, or not asked for */
    int64_t n_queries, n;
    Query *query;
    MatchRow *match;
} Matches;
Status matches_read(Matches *out, const char *path, int64_t n_queries, Arena *a);

#endif
