/* cosine.h - exact nearest neighbours by cosine, in one block of memory: the k best of all candidates offered, for many
   queries at once. Vectors are compared as spec.md 6.7 says: divided by their lengths, nothing else.

   A product of matrices that may be far off (nn/rough.h) says which candidates can be among the best, products in double say
   where, so that the answer is that of exact scores whatever the product rounds. Best first; equal scores by TARGETID, then by
   row: the order in which candidates come never matters. Local. */
#ifndef PROBE_COSINE_H
#define PROBE_COSINE_H

#include "core/arena.h"
#include "nn/rough.h"

typedef struct {
    double score; /* -1 .. 1 */
    int64_t targetid, row;
} CosineMatch;

enum { COSINE_BLOCK = 256 }; /* candidates compared at a time */

typedef struct {
    int64_t k, dim, n;
    const float *query;  /* (n, dim) borrowed */
    const int64_t *self; /* (n) rows that are not to be found, -1 = none; NULL = none at all; borrowed */
    CosineMatch *best;   /* (n, k) in order */
    int64_t *found;      /* (n) */
    /* of the search itself: */
    double *norm;    /* (n) lengths of the queries */
    float *unit;     /* (n, dim) queries of length 1, about */
    RoughRows rough; /* the same */
    float *room;     /* for a block, as rough products read it */
    float *product;  /* (n, COSINE_BLOCK) */
    bool fine;       /* rough products told too little: those of floats instead */
} CosineSearch;

/* The length of a vector; 0 where it has no direction: something is not finite, or all is 0. Such queries find nothing, such
   candidates are not found. */
double cosine_norm(const float *x, int64_t dim);

/* n queries that look for k neighbours each. */
Status cosine_open(CosineSearch *s, int64_t k, int64_t dim, const float *query, int64_t n, Arena *a);
/* m candidates: x (m, dim), their lengths, TARGETIDs and rows. */
void cosine_add(CosineSearch *s, const float *x, const double *norm, const int64_t *targetid, const int64_t *row,
                int64_t m);

/* One candidate, for one query alone. */
void cosine_offer(CosineSearch *s, int64_t query, const float *x, double norm, int64_t targetid, int64_t row);

/* The order of matches: of two, the better one first. For qsort. */
int cosine_compare(const void *a, const void *b);

/* Bytes that cosine_open takes. */
double cosine_bytes(int64_t k, int64_t dim, int64_t n);

#endif
