/* pack.h - rows of a release into dataset.h5: which rows, blocks of them in any order, the ledger. Driver of the `pack`
   stage. */
#ifndef DATA_PACK_H
#define DATA_PACK_H

#include "data/dataset.h"
#include "data/lost.h"
#include "data/survey.h"

typedef enum { PACK_ANY, PACK_BOTH } PackRows;

typedef struct {
    ConfigTexts modalities; /* image, spectrum */
    int rows;               /* PackRows: rows that have any of them, or that have a spectrum and an image */
    int64_t block_rows;     /* rows of a unit of work and of restart; all of it is in memory */
} PackConfig;
extern const ConfigSection pack_section; /* "pack" */

/* Which catalogue rows are packed, and where their entries go. */
typedef struct {
    int64_t n_blocks;             /* of block_rows catalogue rows */
    int64_t *first[N_MODALITIES]; /* (n_blocks + 1) entry that each block begins with */
    int64_t n[N_MODALITIES];      /* entries */
    int64_t rows;                 /* catalogue rows with an entry */
    Fingerprint choice;           /* of what chooses rows and splits */
} PackPlan;

/* All that packing needs, borrowed. */
typedef struct {
    const PackConfig *config;
    const SpectraConfig *spectra;
    const ImagesConfig *images;
    const ReleaseConfig *release;
    Catalog *catalog;
    ImageSource *image_source;
    Lost *lost;
    bool force; /* nothing of an earlier run is kept */
} Packer;

/* Collective. Goes through the catalogue. */
Status pack_plan(PackPlan *out, const Packer *p, const Par *par, Arena *a);
int64_t pack_bytes(const PackPlan *plan); /* of dataset.h5 */

typedef struct {
    int64_t blocks, blocks_kept; /* kept: finished by an earlier run */
    int64_t entries[N_MODALITIES], samples[N_MODALITIES];
    int64_t lost;                               /* entries with FILE_LOST */
    int64_t count[N_MODALITIES][FLAG_BITS + 1]; /* entries by flag bit; [FLAG_BITS]: no bit */
} PackLedger;

/* Collective. Writes and closes PATH.part; what an earlier run of the same fingerprint left there is gone on with. The
   ledger is that of all ranks. Where input files went away since the catalogue was made: E_INPUT, and PATH.part keeps the
   blocks that miss none. */
Status pack_release(PackLedger *ledger, const Packer *p, const PackPlan *plan, const char *path,
                    const Envelope *envelope, const Par *par, Arena *a);

#endif
