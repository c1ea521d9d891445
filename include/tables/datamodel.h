/* datamodel.h - a page in the shape of DESI's data model (reStructuredText) that describes the published files: summary, naming
   convention, contents, and of each HDU its keywords and columns, from the table of columns that writes the files. */
#ifndef TABLES_DATAMODEL_H
#define TABLES_DATAMODEL_H

#include "tables/headers.h"
#include "tables/outfiles.h"

/* Collective. BASE/properties.rst, or BASE/doc/NAME.rst of a value-added catalogue; rank 0 writes, through .part. */
Status datamodel_write(const OutFiles *o, const PropertyLayout *l, const TablesConfig *c, const Par *par, Arena *a);

#endif
