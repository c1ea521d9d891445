/* lost.h - input files that were there when the catalogue was made and are not, or have another size, when rows are
   read: gone, not mounted, being copied anew. Their rows are flagged FILE_LOST, and what holds such rows is not final: see
   embed/lost_rows.h, and data/pack.h. Where the files stay away, the next catalogue knows. */
#ifndef DATA_LOST_H
#define DATA_LOST_H

#include "data/catalog.h"
#include "data/flags.h"
#include "data/survey.h"

typedef struct Lost Lost;

/* Local. `catalog` and `release` are borrowed. */
Status lost_open(Lost **out, Catalog *catalog, const ReleaseConfig *release, Arena *a);

/* Local. Sets FILE_LOST in the flag of a row that was just read. */
Status lost_mark(int32_t *flag, Lost *lost, Modality m, const CatalogRow *row, Arena *scratch);

/* Files are looked at once between two calls: at each block of rows. */
void lost_look_again(Lost *lost);

#endif
