/* previous.h - a run's own earlier embeddings, so that a change of some input files or options re-embeds only the rows it
   concerns. From when they are found stale until the new ones are finished they stand in OUTPUT/previous as an earlier
   run does (embed/reuse.h): catalog.h5, embeddings.h5, embeddings/. Meanwhile they take their place on disk. */
#ifndef EMBED_PREVIOUS_H
#define EMBED_PREVIOUS_H

#include "core/arena.h"
#include "par/par.h"

/* Collective. Before OUTPUT/catalog.h5 is replaced: keeps it, if the embeddings that are there were made from it. */
Status previous_keep_catalog(const char *output, const Par *par, Arena *a);

/* Collective. Moves stale embeddings of OUTPUT out of the way. *folder: where earlier ones stand with their catalogue, ""
   when there are none. A run that is cut off finds them there again. */
Status previous_take(const char **folder, const char *output, const Par *par, Arena *a);

/* Collective. The new embeddings are there: removes the earlier ones. */
Status previous_drop(const char *output, const Par *par, Arena *a);

#endif
