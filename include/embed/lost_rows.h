/* lost_rows.h - embeddings of rows whose files went away (data/lost.h). They are embedded as far as that goes, and
   flagged. What holds them is finished, but not current: a volume records how many it has (dataset `rows_lost`) and is
   opened again by the next run, which computes their blocks anew; embeddings.h5 bears another fingerprint until there are
   none, so that probes made of it are not current either. */
#ifndef EMBED_LOST_ROWS_H
#define EMBED_LOST_ROWS_H

#include "data/lost.h"
#include "embed/embed.h"

/* Local. Sets FILE_LOST in the flags of a block that was just embedded. */
Status lost_mark_block(EmbedBlock *block, Lost *lost, Arena *scratch);

/* Local. Does a row of the block bear it? */
bool lost_some(const EmbedBlock *block);

/* Local. Another fingerprint than `whole`, by which rows are lost. */
Fingerprint lost_fingerprint(const Fingerprint *whole, const EmbedLedger *ledger);

extern const char lost_attribute[]; /* of such an embeddings.h5: the fingerprint that it would have without */
/* Local. Is the embeddings.h5 at `path` what `whole` describes but for lost rows? */
bool lost_only(const char *path, const Fingerprint *whole, Arena *a);

#endif
