/* twin.h - the published columns as an HDF5 file beside the FITS files: group per table, one dataset per column with its unit and
   comment; all rows of the catalogue in its order. */
#ifndef TABLES_TWIN_H
#define TABLES_TWIN_H

#include "tables/headers.h"
#include "tables/outfiles.h"

typedef struct {
    bool open;
    H5File file;
    const PropertyLayout *layout; /* (N_ROW_TABLES) borrowed */
    char *path, *part;
} Twin;

/* Collective. Without tables.hdf5 all of these do nothing. */
Status twin_create(Twin *t, const char *folder, const char *stem, const TablesConfig *c, const Envelope *e,
                   const PropertyLayout *l, int64_t rows, const Par *par, Arena *a);
/* Local. Rows [first, first + n) as the FITS tables have them. */
Status twin_write(Twin *t, unsigned char *const bytes[N_ROW_TABLES], int64_t first, int64_t n, Arena *scratch);
/* Collective. */
Status twin_publish(Twin *t, const Par *par, Arena *a);
void twin_close(Twin *t); /* twice-safe; of a file that was not published nothing stays */

#endif
