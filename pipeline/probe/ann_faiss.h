/* ann_faiss.h - the C face of ann_faiss.cpp: FAISS has one of its own, but distributions leave it out. Functions that can fail return 0,
   or else put into `text` what FAISS says. */
#ifndef PROBE_ANN_FAISS_H
#define PROBE_ANN_FAISS_H

#include <stdint.h>

enum {
    FAISS_TEXT = 256,
    FAISS_LINKS = 32
}; /* links: neighbours of a point in the graph, twice as many in its lowest layer */

#ifdef __cplusplus
extern "C" {
#endif

const char *faiss_version(void);
/* graph: HNSW, else IVF of so many lists. */
int faiss_build(void **out, char text[FAISS_TEXT], int graph, const float *x, int64_t n, int64_t dim, int64_t lists,
                int64_t probes);
int faiss_find(int64_t *found, char text[FAISS_TEXT], const void *index, const float *query, int64_t n, int64_t k);
void faiss_free(void *index);

#ifdef __cplusplus
}
#endif

#endif
