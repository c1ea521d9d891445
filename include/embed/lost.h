/* lost.h - input files that were there when the catalogue was made and are not, or have another size, when rows are
   embedded: gone, not mounted, being copied anew. Such rows are embedded as far as that goes and flagged FILE_LOST. What
   holds them is finished, but not current: a volume records how many it has (dataset `rows_lost`) and is opened again by
   the next run, which computes their blocks anew; embeddings.h5 bears another fingerprint until there are none, so that
   probes made of it are not current either. Where the files stay away, the next catalogue knows, and nothing is lost. */
#ifndef EMBED_LOST_H
#define EMBED_LOST_H

#include "embed/embed.h"

/* Local. `catalog` and `release` are borrowed. */
Status lost_open(Lost **out, Catalog *catalog, const ReleaseConfig *release, Arena *a);

/* Local. Sets FILE_LOST in the flags of a block that was just embedded. */
Status lost_mark(EmbedBlock *block, Lost *lost, Arena *scratch);

/* Local. Does a row of the block bear it? */
bool lost_some(const EmbedBlock *block);

/* Local. Another fingerprint than `whole`, by which rows are lost. */
Fingerprint lost_fingerprint(const Fingerprint *whole, const EmbedLedger *ledger);

extern const char lost_attribute[]; /* of such an embeddings.h5: the fingerprint that it would have without */
/* Local. Is the embeddings.h5 at `path` what `whole` describes but for lost rows? */
bool lost_only(const char *path, const Fingerprint *whole, Arena *a);

#endif
