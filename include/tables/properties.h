/* properties.h - properties.fits: what a survey publishes. HDU PRIMARY (provenance only), PROPERTIES (one row per row of the
   catalogue, in its order; columns.h), PROBES (one row per probe: where it came from and how good it is on the test split).

   Rank 0 writes all headers through cfitsio; then every rank turns its share of rows into bytes and writes them at their
   offset. Sums of the slices join exactly into DATASUM, so the bytes of the data are the same for any number of ranks. */
#ifndef TABLES_PROPERTIES_H
#define TABLES_PROPERTIES_H

#include "tables/columns.h"

enum { PROPERTIES_VERSION = 1 };

/* Borrowed; every rank has its own handles. */
typedef struct {
    Catalog *catalog;
    Embeddings *embeddings;
    const ProbeSet *probes;
    Predictions *predictions;
    int64_t chunk_rows; /* rows in memory at a time: schedules, never changes a byte */
} PropertySources;

/* Collective. Writes PATH (through PATH.part) and then PATH.sha256sum, in the format of sha256sum. E_INPUT when the three do
   not belong together: says which stage to run again. After a failure neither a new PATH nor a part is there. */
Status properties_write(const char *path, const Envelope *e, const PropertySources *s, const Par *par, Arena *a);

/* Local. True when PATH bears this fingerprint and its .sha256sum is beside it. */
bool properties_current(const char *path, const Fingerprint *fingerprint, Arena *a);

#endif
