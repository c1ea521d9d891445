/* rows.h - what a probe learns from: this rank's rows of the catalogue and of an input's embeddings, block by block.

   A block is a fixed number of catalogue rows that follows from the number of rows alone; ranks hold contiguous ranges
   of blocks. Sums over rows go by block, then over the tree of blocks (core/treesum.h): the same bits for any number of
   ranks. */
#ifndef PROBE_ROWS_H
#define PROBE_ROWS_H

#include "probe/probes.h"

typedef struct {
    int64_t total; /* rows of the catalogue       */
    int64_t block_rows, n_blocks;
    int64_t first_block, last_block; /* this rank's: [first, last)  */
    int64_t first, n;                /* this rank's rows            */
    int64_t *targetid;               /* (n)                         */
    uint8_t *split;                  /* (n) Split                   */
    double *label[N_LABELS];         /* (n) each, NaN = none        */
    double *magnitude;               /* (n) r, AB, as observed; NaN = none */
} ProbeRows;

/* Local. This rank's share of `total` rows, with empty columns. 57 bytes per row. */
Status probe_rows_init(ProbeRows *out, int64_t total, const Par *par, Arena *a);
/* Local. The same, filled from the catalogue; E_INPUT unless the embeddings have the same rows in the same order. */
Status probe_rows_read(ProbeRows *out, Catalog *catalog, Embeddings *e, const Par *par, Arena *a);

/* Where features come from: rows [first, first + n) as (n, dim) float32. */
typedef struct {
    int64_t dim;
    Status (*read)(float *out, void *source, int64_t first, int64_t n, Arena *scratch);
    void *source;
} ProbeFeatures;

/* One block after the other of this rank: while (probe_block_next(&b)) { ... } then return b.status. */
typedef struct {
    const ProbeRows *rows;
    const ProbeFeatures *features;
    Arena *scratch;
    int64_t block; /* its number                               */
    int64_t at, n; /* its first row among the rank's; its rows */
    float *x;      /* (n, dim)                                 */
    Status status;
} ProbeBlock;
Status probe_block_open(ProbeBlock *b, const ProbeRows *rows, const ProbeFeatures *features, Arena *scratch);
bool probe_block_next(ProbeBlock *b);

/* Collective. Mean and standard deviation (population) of the usable train rows; counts; and usable (this rank's rows):
   1 where all features are finite. out->mean and out->std come from `a`. */
Status probe_standardise(ProbeInput *out, uint8_t *usable, const ProbeRows *rows, const ProbeFeatures *features,
                         const Par *par, Arena *a);

/* Collective. Rows of a split whose features are usable and whose label is there. */
void probe_count(int64_t n[N_SPLITS], const ProbeRows *rows, const uint8_t *usable, int label, const Par *par);

#endif
