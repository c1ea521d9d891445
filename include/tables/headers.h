/* headers.h - what cfitsio writes of properties.fits: all HDUs with their headers, the whole of HDU PROBES, and room for the
   rows of PROPERTIES. Local: one process. */
#ifndef TABLES_HEADERS_H
#define TABLES_HEADERS_H

#include "tables/columns.h"

/* Where the rows go. */
typedef struct {
    int64_t start; /* byte of the file at which row 0 begins */
    int64_t bytes; /* of all rows, without padding           */
} RowSpan;

/* Creates `part`. The header of PROPERTIES has its CHECKSUM and DATASUM already, of rows that are all zero. */
Status headers_write(RowSpan *out, const char *part, const Envelope *e, const PropertyLayout *l,
                     const Fingerprint *catalog, const Fingerprint *embeddings, int64_t n_rows);

/* Opens the file again, whose rows are there now, and puts DATASUM and CHECKSUM of PROPERTIES. */
Status headers_close(const char *part, uint32_t datasum);

#endif
