/* chunk.h - rows on their way from the artefacts to the bytes of the published tables. Local. */
#ifndef TABLES_CHUNK_H
#define TABLES_CHUNK_H

#include "tables/headers.h"
#include "tables/properties.h"

typedef struct {
    const PropertySources *s;
    const PropertyLayout *layout; /* (N_ROW_TABLES) borrowed */
    const MorphologyShare *share; /* (n_shares) */
    int n_shares;
    CatalogRow *row;
    int32_t *flag[N_MODALITIES];
    float *stats;                       /* (chunk, N_SPECTRUM_STATS)            */
    float *x;                           /* (chunk, widest) columns of predictions.h5 */
    double *ood;                        /* (chunk, n_inputs)                    */
    double *prediction, *scale;         /* (chunk, n_fits)                      */
    float *shares;                      /* (chunk, n_shares)                    */
    unsigned char *bytes[N_ROW_TABLES]; /* (chunk, row_bytes)                   */
} Chunk;

Status chunk_make(Chunk *c, const PropertySources *s, const PropertyLayout *l, const MorphologyShare *share,
                  int n_shares, int64_t rows, Arena *a);
/* Rows [first, first + n) of the catalogue into bytes. */
Status chunk_fill(Chunk *c, int64_t first, int64_t n, Arena *scratch);

/* Rows of the matched table that the catalogue lacks: the key alone. */
void chunk_fill_missing(Chunk *c, const RowMissing *m, int64_t n);

#endif
