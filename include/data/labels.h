/* labels.h - physical properties that probes learn, from a label table: an HDF5 file whose rows are one compound
   dataset at the root, as astropy's Table.write makes it (PROVABGS and alike). Columns: TARGETID, PROVABGS_LOGMSTAR_BF
   and, where present, Z_HP, TAGE_MW [Gyr], Z_MW (linear), AVG_SFR [Msun/yr]. Values that are not finite, or not
   positive, become NaN: no label. */
#ifndef DATA_LABELS_H
#define DATA_LABELS_H

#include <stdint.h>

#include "core/arena.h"
#include "data/catalog.h"

/* Plain bytes: exchanged and sorted as a record. */
typedef struct {
    int64_t targetid;
    int64_t row;            /* 0-based row of the table: the first of several rows of one TARGETID counts */
    double label[N_LABELS]; /* NaN = none */
} LabelEntry;

/* Local. Rows of the table, without reading them. E_INPUT when no compound dataset at the root has a TARGETID and a
   property. */
Status labels_count(int64_t *n, const char *path);

/* Local. Part `part` of `n_parts` contiguous parts of the table, in file order; rows with negative TARGETIDs are left
   out. */
Status labels_read(LabelEntry **out, int64_t *n, const char *path, int part, int n_parts, Arena *a);

#endif
