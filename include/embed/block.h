/* block.h - a block of rows in parts: each is read, then encoded, whichever thread reads it.

   A part is up to embed.batch rows of one modality. Reading it touches the part, its arenas and what no other thread
   changes (rows of the block, configurations, the image source, which reads alone use); everything else about a block is
   for the main thread. block.c encodes and finishes, block_read.c begins and reads. Local, without MPI. */
#ifndef EMBED_BLOCK_H
#define EMBED_BLOCK_H

#include "data/release_rows.h"
#include "embed/embed.h"

/* The rows of a block that are to be read, and how many of them parts have been made of. */
typedef struct {
    FileRow *spectrum; /* by file */
    int64_t *image;
    int64_t n[N_MODALITIES], given[N_MODALITIES];
} BlockRows;

/* What is read goes to `arena`, what that takes meanwhile to `scratch`, which may be the same. */
typedef struct {
    EmbedBlock *block;
    Embedder *embedder;
    Modality modality;
    const FileRow *spectrum; /* (n) of this modality */
    const int64_t *image;
    int64_t n;
    bool last; /* of the block */
    Arena *arena, *scratch;
    SpectrumBatch spectra;
    ImageBatch images;
} BlockPart;

/* Memory for the results in `a`, the rows of the catalogue, what an earlier run has of them. */
Status block_begin(EmbedBlock *out, BlockRows *rows, Embedder *e, int64_t first, int64_t n, Arena *a);

/* The next part; a block without anything to read has one of no rows. Not to be called after the last. */
void block_next(BlockPart *out, BlockRows *rows, EmbedBlock *block, Embedder *e);

extern const char *const part_clock[N_MODALITIES]; /* "read images", "read spectra" */
bool part_may_be_beside(const BlockPart *p);
Status part_read(BlockPart *p);
/* Results into the block; `scratch` is the encoder's. */
Status part_encode(const BlockPart *p, Arena *scratch);

void fill_nan(float *x, int64_t n);

/* After the last part: files that went away meanwhile. */
Status block_finish(EmbedBlock *b, Embedder *e, Arena *scratch);

#endif
