/* pca.h - the leading principal components of rows too wide for their covariance: raw pixels, raw flux. By subspace
   iteration from random directions (Halko, Martinsson and Tropp 2011, with PCA_PASSES passes over the rows).

   Sums over rows go by part, PCA_PARTS contiguous shares, then over the tree of parts: the same bits for any number of
   ranks up to PCA_PARTS; ranks beyond have nothing to do. */
#ifndef PROBE_PCA_H
#define PROBE_PCA_H

#include "par/par.h"

enum { PCA_PARTS = 32, PCA_PASSES = 4, PCA_EXTRA = 10 };

/* The same on all ranks; each reads its share. */
typedef struct {
    int64_t n, dim;
    Status (*read)(float *out, void *source, int64_t row, Arena *scratch); /* Local. out (dim), finite */
    void *source;
} PcaRows;

typedef struct {
    int64_t dim, k;
    double *mean;      /* (dim) */
    double *component; /* (k, dim) orthonormal, largest variance first; the largest element of each is positive */
    double *variance;  /* (k) of the rows along it, unbiased */
} Pca;

/* Collective. k components, fewer where rows or numbers are fewer; E_INPUT without two rows. */
Status pca_fit(Pca *out, const PcaRows *rows, int64_t k, uint64_t seed, const Par *par, Arena *a);

/* Local. score (k) of one row. */
void pca_project(float *score, const Pca *p, const float *x);

/* Local. What pca_fit takes, for plans. */
double pca_memory(int64_t dim, int64_t k);

#endif
