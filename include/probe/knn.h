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
    double value[N_LABELS];
} KnnNeighbour;

enum { KNN_BLOCK = 256 }; /* candidates compared at a time */

/* The k nearest to each of n queries among all candidates so far. */
typedef struct {
    int64_t k, dim, n;
    const double *query; /* (n, dim) borrowed */
    const int64_t *self; /* (n) ids that do not count as neighbours: a query is not its own; NULL = none; borrowed */
    KnnNeighbour *best;  /* (n, k) in order   */
    int64_t *found;      /* (n)               */
    /* of the search itself: */
    float *rough, *candidate; /* (n, dim), (KNN_BLOCK, dim) in float */
    float *product;           /* (n, KNN_BLOCK) */
    double *norm;             /* (n) lengths of the queries */
} KnnSearch;

Status knn_open(KnnSearch *s, int64_t k, int64_t dim, const double *query, int64_t n, Arena *a);
/* m candidates: x (m, dim), value (m, n_values), id (m). */
void knn_add(KnnSearch *s, const double *x, const double *value, int n_values, const int64_t *id, int64_t m);
/* out (n_values) for query i: neighbours at distance 0, where there are any, count alone and alike. NaN without any. */
void knn_mean(double *out, const KnnSearch *s, int64_t i, int n_values);

#endif
