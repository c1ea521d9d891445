/* lost.h - files that were there when the catalogue was made and were not when their rows were embedded. Such rows are
   flagged; so that the next run embeds them once the files are back, embeddings.h5 gets another fingerprint (it is not
   current) and an attribute `files_lost`. Where the files stay away, the next catalogue knows it, and all is as it says. */
#ifndef EMBED_LOST_H
#define EMBED_LOST_H

#include "embed/embed.h"

/* Collective. Counts them in the ledger and changes the fingerprint; without rows whose flags speak of files it looks at
   nothing. */
Status lost_mark(Fingerprint *fingerprint, EmbedLedger *ledger, const Embedder *e, const Par *par, Arena *a);

/* Local. Does the file say that files were lost? */
bool lost_some(const char *embeddings);

#endif
