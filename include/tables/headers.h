/* headers.h - what cfitsio writes of a published file: all HDUs with their headers, the whole of HDU PROBES, and room for the
   rows of PROPERTIES and, where there is morphology, of MORPHOLOGY. Local: one process. */
#ifndef TABLES_HEADERS_H
#define TABLES_HEADERS_H

#include "tables/columns.h"
#include "tables/rowbytes.h"

/* Tables whose rows the ranks write. */
enum { TABLE_PROPERTIES, TABLE_MORPHOLOGY, N_ROW_TABLES };

/* Creates `part`; layouts l (N_ROW_TABLES). The headers have their CHECKSUM and DATASUM already, of rows that are all zero. */
Status headers_write(RowSpan out[N_ROW_TABLES], const char *part, const Envelope *e, const PropertyLayout *l,
                     const Fingerprint *catalog, const Fingerprint *embeddings, int64_t n_rows);

/* The columns of PROBES. */
const FitsColumn *headers_probe_columns(int *n);

/* Opens the file again, whose rows are there now, and puts their DATASUM and CHECKSUM. */
Status headers_close(const char *part, const PropertyLayout *l, const uint32_t datasum[N_ROW_TABLES]);

#endif
