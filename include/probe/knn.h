/* knn.h - exact nearest neighbours, Euclidean, and what they say: the mean of their values weighted by 1 / distance
   (spec.md 6.2). Local. Neighbours are ordered by distance, then by id, so that the order in which candidates come never
   matters. */
#ifndef PROBE_KNN_H
#define PROBE_KNN_H

#include "core/arena.h"
#include "core/config.h"
#include "data/catalog.h"
#include "nn/rough.h"

typedef struct {
    int64_t k;
} KnnConfig;
extern const ConfigField knn_fields[];

typedef struct {
    double square; /* of the distance */
    int64_t id;
    int64_t at; /* its values in KnnSearch.value */
} KnnNeighbour;

/* A candidate that may be among the nearest. */
typedef struct {
    float half;  /* of its squared distance less that of the query, about */
    uint32_t at; /* among those offered at once */
} KnnNoted;

/* The k nearest to each of n queries among all candidates so far. */
typedef struct {
    int64_t k, dim, n;
    const double *query; /* (n, dim) borrowed */
    const int64_t *self; /* (n) ids that do not count as neighbours: a query is not its own; NULL = none; borrowed */
    KnnNeighbour *best;  /* (n, k) in order   */
    double *value;       /* (n, k, N_LABELS)  */
    int64_t *found;      /* (n)               */
    /* of the search itself: */
    RoughRows rough;           /* the queries */
    double *square;            /* (n) their squared lengths */
    KnnNoted *noted;           /* (n, KNN_NOTED) */
    int64_t *n_noted, *enough; /* (n) candidates noted; with more it pays to look which of them stay */
    double *kth;               /* (n) halves that k of those noted do not exceed, about; infinite without them */
    float *candidate, *room;   /* (KNN_BLOCK, dim) and as products read them */
    float *product, *limit; /* (KNN_GROUP, KNN_BLOCK); (KNN_BLOCK) the candidates' part of what a product must reach */
    double *middle;         /* (KNN_NOTED + k) */
    double unsure, most;    /* how far products are off, of two squares; the largest square of a candidate */
} KnnSearch;

enum { KNN_BLOCK = 512, KNN_GROUP = 2 * ROUGH_ROWS, KNN_NOTED = 2 * KNN_BLOCK }; /* candidates, queries of a product */

Status knn_open(KnnSearch *s, int64_t k, int64_t dim, const double *query, int64_t n, Arena *a);
/* m candidates, the more at once the better: x (m, dim), value (m, n_values), id (m). */
void knn_add(KnnSearch *s, const double *x, const double *value, int n_values, const int64_t *id, int64_t m);
/* Bytes that knn_open takes, about. */
int64_t knn_bytes(int64_t k, int64_t dim, int64_t n);
/* out (n_values) for query i: neighbours at distance 0, where there are any, count alone and alike. NaN without any. */
void knn_mean(double *out, const KnnSearch *s, int64_t i, int n_values);

#endif
