/* tsne.h - t-SNE (van der Maaten and Hinton 2008): points of many dimensions on a plane, so that neighbours stay neighbours. Exact,
   from the first two principal components, without random numbers: the same points make the same map. Local. */
#ifndef PROBE_TSNE_H
#define PROBE_TSNE_H

#include "core/arena.h"

enum { TSNE_STEPS = 500 };

/* map (n, 2) of x (n, dim), n >= 3; `perplexity` neighbours count, fewer where points are few. Takes 8 n^2 bytes of `scratch` and
   some n^2 microseconds. */
Status tsne_map(double *map, const float *x, int64_t n, int64_t dim, double perplexity, Arena *scratch);

#endif
