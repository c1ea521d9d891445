/* embed.h - forward over a release: blocks of rows through both encoders into volumes. Driver of the `embed` stage. */
#ifndef EMBED_EMBED_H
#define EMBED_EMBED_H

#include "data/catalog.h"
#include "data/survey.h"
#include "embed/embeddings.h"
#include "embed/reuse.h"
#include "model/model.h"

typedef struct {
    const char *weights;      /* a checkpoint of ours, or "deterministic" (spec.md 8) */
    int64_t weights_seed;     /* of deterministic weights */
    int precision;            /* index of embed_precisions */
    int64_t batch;            /* rows of a block read and encoded at a time: schedules, never changes a bit */
    int64_t block_rows;       /* rows of a unit of work and of restart */
    int64_t volume_rows;      /* rows of a file */
    int64_t ranks_per_volume; /* 0 = all ranks write one volume at a time */
    ConfigTexts sets;         /* aligned, single */
    ConfigTexts modalities;   /* image, spectrum */
    bool read_ahead;          /* a thread reads the next part of a block while this one is encoded */
    const char *reuse;        /* folder of an earlier run, "" = none */
} EmbedConfig;
extern const ConfigSection embed_section;    /* "embed" */
extern const char *const embed_precisions[]; /* f32, bf16: of gemm_precision */

/* True when a list of the configuration names the item. */
bool embed_lists(const ConfigTexts *list, const char *item);

typedef struct Lost Lost; /* data/lost.h */

/* All that a block needs, borrowed. */
typedef struct Embedder {
    const EmbedConfig *config;
    const SpectraConfig *spectra;
    const ImagesConfig *images;
    const ReleaseConfig *release;
    const Model *model;
    Catalog *catalog;
    ImageSource *image_source;
    int64_t dim[N_SETS];     /* 0 = set not written */
    bool want[N_MODALITIES]; /* embed.modalities names it */
    bool force;              /* finished volumes and blocks are computed again */
    /* What embeddings depend on besides the rows and their files, as lines key=value (reuse.h); "" = not wanted. */
    const char *recipe[N_MODALITIES];
    Reuse *reuse;      /* NULL = everything is computed */
    Lost *lost;        /* NULL = input files are not compared with the manifest */
    Fingerprint whole; /* of the results, when no file is lost */
} Embedder;

/* Results of rows [first, first + n); arrays of n rows from the caller's arena. */
typedef struct EmbedBlock {
    int64_t first, n;
    CatalogRow *row;
    float *set[N_SETS]; /* (n, dim) NaN where not embedded; NULL = set not written */
    int32_t *flag[N_MODALITIES];
    float *spectrum_stats, *image_stats;
    uint8_t *taken[N_MODALITIES]; /* 1 = copied from the earlier run; NULL = there is none */
    int64_t reuse[N_MODALITIES][N_REUSE];
} EmbedBlock;

/* Local. Reads, prepares and encodes the rows; a bad row is flagged and NaN. */
Status embed_block(EmbedBlock *out, Embedder *e, int64_t first, int64_t n, Arena *a);

typedef struct {
    int64_t rows, blocks, blocks_kept, volumes, volumes_kept; /* kept: finished by an earlier run */
    int64_t count[N_MODALITIES][FLAG_BITS + 1];               /* rows by flag bit; [FLAG_BITS]: no bit */
    int64_t embedded[N_MODALITIES];
    int64_t reuse[N_MODALITIES][N_REUSE]; /* rows of blocks done now, by what became of them; without embed.reuse 0 */
    int64_t lost, lost_sum; /* rows (of either modality) that bear FILE_LOST; a sum over them that tells which */
} EmbedLedger;

/* Collective. Embeds the whole catalogue into volumes FOLDER/embeddings/volume-NNNNN.h5; volume_join (volume.h) then makes FOLDER/embeddings.h5. Finished volumes and blocks of the same fingerprint are kept. */
Status embed_release(EmbedLedger *ledger, Embedder *e, const char *folder, const Envelope *envelope, const Par *par,
                     Arena *a);

#endif
