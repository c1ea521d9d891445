/* properties.h - what a survey publishes. HDU PRIMARY (provenance only), PROPERTIES (one row per row of the catalogue, in its
   order; columns.h), PROBES (one row per probe: where it came from and how good it is on the test split), MORPHOLOGY (shares of
   votes, row by row as PROPERTIES). In one file or many (outfiles.h); each row of the catalogue is in exactly one.

   Headers are written through cfitsio, a file each in turn over the ranks; then every rank turns its share of rows into bytes and
   writes them at their offsets. Sums of the slices join exactly into DATASUM, so the bytes of the data are the same for any
   number of ranks. */
#ifndef TABLES_PROPERTIES_H
#define TABLES_PROPERTIES_H

#include "tables/columns.h"
#include "tables/outfiles.h"

enum { PROPERTIES_VERSION = 2 };

/* Borrowed; every rank has its own handles. */
typedef struct {
    Catalog *catalog;
    Embeddings *embeddings;
    const ProbeSet *probes;
    Predictions *predictions;
    const TablesConfig *config;
} PropertySources;

typedef struct {
    int files;
    int64_t rows;    /* in all of them */
    int64_t matched; /* with tables.match: rows of the catalogue among them */
} PropertyFiles;

/* Collective. PATH is that of the single flat file, OUTPUT/properties.fits; other layouts are below its folder. Everything through
   .part; then the checksum files, in the format of sha256sum, the pages of the data model, and PATH's .list with the names of all
   files. E_INPUT when the inputs do not belong together: says which stage to run again. After a failure neither a new file
   nor a part is there. */
Status properties_write(PropertyFiles *out, const char *path, const Envelope *e, const PropertySources *s,
                        const Par *par, Arena *a);

/* Local. True when PATH's list bears this fingerprint and all its files are there. */
bool properties_current(const char *path, const Fingerprint *fingerprint, Arena *a);

#endif
