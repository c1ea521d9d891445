/* stream.h - the blocks of a volume as they come free, encoded, with reading one part ahead (block.h).

   While a part is encoded the helper reads the next one: of this block or, after its last part, of the next block that the
   queue gives. So a rank holds two parts and at most two blocks. A part of a survey that the main thread must read is
   read when its turn comes, as all are without embed.read_ahead. What is read does not depend on when. */
#ifndef EMBED_STREAM_H
#define EMBED_STREAM_H

#include "core/helper.h"
#include "embed/block.h"
#include "embed/volume.h"
#include "par/par.h"

typedef struct {
    HelperTask task;
    BlockPart part;
    int64_t number; /* of its block */
    bool first;     /* of its block */
    Arena arena;
} StreamPart;

typedef struct {
    EmbedBlock block;
    BlockRows rows;
    Arena arena;
} StreamBlock;

typedef struct {
    Embedder *embedder; /* this and the next three are borrowed */
    const Volume *volume;
    Work *work;
    const Par *par;
    Arena *arena; /* borrowed: for the encoder */
    Helper *helper;
    Arena scratch; /* for reading */
    StreamPart part[2];
    StreamBlock block[2];
    int at_part, at_block; /* which of the two was begun last */
    StreamPart *newest;    /* begun last; NULL = none was */
    StreamPart *ahead;     /* begun, and not taken yet */
} Stream;

/* Local. The queue `work` counts the blocks of the volume; those that are kept from an earlier run are passed over. */
Status stream_open(Stream *s, Embedder *e, const Volume *v, Work *work, const Par *par, Arena *a);

/* Local. The next block and its number in the volume, which stay until the next call; NULL when there is none, or when this
   rank was told to stop: what is in hand was finished, what was only read is dropped. */
Status stream_next(const EmbedBlock **out, int64_t *number, Stream *s);

void stream_stop(Stream *s);  /* drops what is being read; the helper goes on */
void stream_close(Stream *s); /* also after a failed stream_open */

/* Adds to a failure which rows it came with. */
void stream_note(int64_t first, int64_t n);

#endif
