/* knn.h - exact nearest neighbours, Euclidean, and what they say: the mean of their values weighted by 1 / distance
   (spec.md 6.2). Local. Neighbours are ordered by distance, then by id, so that the order in which candidates come never
   matters. */
#ifndef PROBE_KNN_H
#define PROBE_KNN_H

#include "core/arena.h"
#include "core/config.h"
#include "data/catalog.h"

typedef struct {
    int64_t k;
} KnnConfig;
extern const ConfigField knn_fields[];

typedef struct {
    double square; /* of the distance */
    int64_t id;
    int64_t at; /* its values in KnnSearch.value */
} KnnNeighbour;

enum { KNN_BLOCK = 1024 }; /* candidates of a product */

/* The k nearest to each of n queries among all candidates so far. */
typedef struct {
    int64_t k, dim, n;
    const double *query; /* (n, dim) borrowed */
    const int64_t *self; /* (n) ids that do not count as neighbours: a query is not its own; NULL = none; borrowed */
    KnnNeighbour *best;  /* (n, k) in order   */
    double *value;       /* (n, k, N_LABELS)  */
    int64_t *found;      /* (n)               */
    /* of the search itself: */
    float *rough, *candidate; /* (n, dim), (KNN_BLOCK, dim) in float */
    float *product;           /* (KNN_BLOCK, n) */
    double *square;           /* (n) squared lengths of the queries */
    float *limit;             /* (n) the queries' part of what a product must reach */
    double *near;             /* (KNN_BLOCK) */
    uint16_t *passed;         /* (n, KNN_BLOCK) candidates that did */
    int64_t *n_passed;        /* (n) */
} KnnSearch;

Status knn_open(KnnSearch *s, int64_t k, int64_t dim, const double *query, int64_t n, Arena *a);
/* m candidates: x (m, dim), value (m, n_values), id (m). */
void knn_add(KnnSearch *s, const double *x, const double *value, int n_values, const int64_t *id, int64_t m);
/* out (n_values) for query i: neighbours at distance 0, where there are any, count alone and alike. NaN without any. */
void knn_mean(double *out, const KnnSearch *s, int64_t i, int n_values);

#endif
