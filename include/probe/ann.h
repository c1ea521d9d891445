/* ann.h - an approximate index of vectors, through FAISS where that was there when the program was built: candidates for who is near
   whom, which the caller scores for himself. The same vectors in the same order give the same index, and the same block of
   queries the same candidates: one thread, fixed seeds. Local. */
#ifndef PROBE_ANN_H
#define PROBE_ANN_H

#include <stdbool.h>
#include <stdint.h>

#include "core/fail.h"

typedef enum {
    ANN_IVF, /* lists around the centres of a k-means; a query looks at `probes` of them */
    ANN_HNSW /* a graph of neighbours in layers; a search keeps `probes` candidates at a time */
} AnnKind;

typedef struct Ann Ann;

bool ann_available(void);
const char *ann_version(void); /* "1.7.3"; "" = not built in */

/* Vectors of length 1, x (n, dim), which are copied. E_CONFIG where there is no FAISS, E_MEMORY. */
Status ann_build(Ann **out, AnnKind kind, const float *x, int64_t n, int64_t dim, int64_t probes);
/* For each of n queries the numbers of k candidates, best first; -1 = none. */
Status ann_find(int64_t *found /* (n, k) */, Ann *a, const float *query, int64_t n, int64_t k);
void ann_free(Ann *a); /* NULL-safe */

/* Bytes of an index of n vectors. */
double ann_bytes(AnnKind kind, int64_t n, int64_t dim);

#endif
