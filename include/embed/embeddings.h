/* embeddings.h - embeddings.h5 and its volumes: the only module that reads and writes them.

   embeddings.h5 is a virtual dataset (NaN fill) over embeddings/volume-00000.h5, ...; datasets object_id, survey, program, ra, dec, healpix,
   image_embeddings, spectrum_embeddings (N, E) float32, image_flag, spectrum_flag, statistics, and by `embed.sets` the single-modal
   astrodino_embeddings (N, D) and specformer_embeddings (N, D). A volume records a checksum per finished block. */
#ifndef EMBED_EMBEDDINGS_H
#define EMBED_EMBEDDINGS_H

#include "data/flags.h"
#include "io/artefact.h"

enum { EMBEDDINGS_VERSION = 1 };

/* Which embedding: the aligned space, or an encoder's own. */
typedef enum { SET_IMAGE, SET_SPECTRUM, SET_ASTRODINO, SET_SPECFORMER, N_SETS } EmbeddingSet;
extern const char *const embedding_dataset
    [N_SETS]; /* "image_embeddings", "spectrum_embeddings", "astrodino_embeddings", "specformer_embeddings" */
extern const EmbeddingSet embedding_aligned[N_MODALITIES];

typedef struct {
    H5File file;
    Envelope envelope;
    int64_t n;           /* rows */
    int64_t dim[N_SETS]; /* 0 = set not in the file */
} Embeddings;

/* Local with par = NULL, else Collective. */
Status embeddings_open(Embeddings *out, const char *path, const Par *par, Arena *a);
void embeddings_close(Embeddings *e);

/* Local. Rows [first, first+n). */
Status embeddings_read(float *out, Embeddings *e, EmbeddingSet set, int64_t first, int64_t n);
Status embeddings_read_targets(int64_t *targetid, Embeddings *e, int64_t first, int64_t n);
Status embeddings_read_flags(int32_t *out, Embeddings *e, Modality m, int64_t first, int64_t n);
/* (n, N_SPECTRUM_STATS) of data/spectra.h; NaN where no spectrum was read. */
Status embeddings_read_spectrum_stats(float *out, Embeddings *e, int64_t first, int64_t n);
/* (n, N_IMAGE_STATS) of data/images.h. */
Status embeddings_read_image_stats(float *out, Embeddings *e, int64_t first, int64_t n);

#endif
