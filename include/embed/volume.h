/* volume.h - one file of many blocks, written by a group of ranks, independent blocks into contiguous datasets.

   Created under its .part name with early allocation and no fill, metadata flushed once, so that a killed run leaves it readable. A finished block
   is synced, then its checksum is recorded in `block_checksum`; a restart keeps the blocks whose checksum still holds. The
   sync goes on beside the next block. */
#ifndef EMBED_VOLUME_H
#define EMBED_VOLUME_H

#include "core/helper.h"
#include "embed/embed.h"

/* The block that was written last, on its way to the disk. */
typedef struct {
    HelperTask task;
    H5File *file;
    int64_t block;
    uint64_t checksum;
} VolumeSync;

typedef struct {
    H5File file;
    char part[H5_PATH];  /* the name it is written under   */
    char final[H5_PATH]; /* the name it gets               */
    int64_t first, rows; /* catalogue rows [first, first + rows) */
    int64_t n_blocks;
    int64_t *block_start; /* (n_blocks + 1) relative to `first` */
    uint64_t *checksum;   /* (n_blocks) 0 = not there; of blocks kept from an earlier run */
    int64_t dim[N_SETS];
    bool complete;     /* bears its final name already: nothing to do */
    int64_t rows_lost; /* of an earlier run (lost.h) */
    VolumeSync last;
    bool in_sync; /* `last` is not recorded yet */
} Volume;

/* Collective. Block borders of the volume from the catalogue: at most block_rows rows, ending at a change of pixel where that leaves at least half
   a block. Opens the finished file, resumes the .part of the same fingerprint (or the finished file, where rows of it
   are lost: their blocks are to be done), or creates it. */
Status volume_open(Volume *v, const Embedder *e, const char *folder, int64_t number, const Envelope *envelope,
                   const Par *par, Arena *a);

/* Local. Writes block b and has the helper sync it; records the checksum of the block that was written before. */
Status volume_write(Volume *v, int64_t b, const EmbedBlock *block, Helper *h, Arena *scratch);

/* Local. Waits until the block that was written last is synced, and records its checksum. */
Status volume_settle(Volume *v, Helper *h);

/* Local. Reads the flags of a kept block, for the ledger. */
Status volume_read_flags(int32_t *flag, Volume *v, Modality m, int64_t b);

/* Local, one rank. Records how many of its rows are lost (lost.h). */
Status volume_note_lost(Volume *v, int64_t rows_lost);

/* Collective. Closes, renames when all blocks are there. */
Status volume_finish(Volume *v, const Par *par);
void volume_close(Volume *v);

/* Local. Volumes that hold the catalogue; are files of their names there? (A virtual dataset without them reads as NaN.) */
int64_t volume_count(const Embedder *e);
bool volume_all_there(const Embedder *e, const char *folder);

/* Collective. FOLDER/embeddings.h5: the virtual dataset over all volumes. */
Status volume_join(const Embedder *e, const char *folder, const Envelope *envelope, const EmbedLedger *ledger,
                   const Par *par, Arena *a);

/* Local. Recomputes the checksums of a finished volume: blocks that hold, blocks there are. */
Status volume_verify(int64_t *n_good, int64_t *n_blocks, const char *path, Arena *a);

/* Local. Blocks that are on disk in finished and unfinished volumes of FOLDER, whatever run they are of. */
Status volume_count_finished(int64_t *n, const char *folder, Arena *a);

/* Local. All `n_volumes` of a run are finished: removes volumes numbered beyond them and whatever is unfinished, left by runs of other sizes that were
   cut off. *n: how many. `volumes` is the folder. */
Status volume_remove_rest(int64_t *n, const char *volumes, int64_t n_volumes);

#endif
