/* desi_columns.h - columns of a FITS table into fields of records, by tables that say which column fills which field;
   and the columns that catalogues of DESI share. Local, serial. */
#ifndef DATA_DESI_COLUMNS_H
#define DATA_DESI_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/catalog.h"
#include "io/fitsfile.h"

/* KEY: part of a row's key where the column exists, so its text is never cut. */
typedef enum { DESI_OPTIONAL, DESI_REQUIRED, DESI_KEY } DesiNeed;

typedef struct {
    const char *column, *other; /* `other` where `column` is absent; may be NULL */
    FitsType type;
    size_t offset;
    size_t bytes; /* per row; for TEXT the size of the field with its NUL */
    DesiNeed need;
} DesiColumn;

#define DESI_FILL2(T, column, other, type, field, need)                                                                \
    {                                                                                                                  \
        column, other, type, offsetof(T, field), sizeof(((T *)NULL)->field), need                                      \
    }
#define DESI_FILL(T, column, type, field, need) DESI_FILL2(T, column, NULL, type, field, need)
#define DESI_COLUMNS_END                                                                                               \
    {                                                                                                                  \
        NULL, NULL, FITS_U8, 0, 0, DESI_OPTIONAL                                                                       \
    }

/* Rows [first, first + n) of the current HDU into n records of `stride` bytes. Columns that are absent leave their
   fields alone; bit k of *found says that row k of the table has a column. At most 64 rows in a table. */
Status desi_fill(void *records, size_t stride, uint64_t *found, FitsFile *f, const DesiColumn *table, int64_t first,
                 int64_t n, Arena *scratch);

/* Bit of *found that the table's row for `column` sets. */
uint64_t desi_column_bit(const DesiColumn *table, const char *column);

/* TARGETID Z ZERR ZWARN SPECTYPE DELTACHI2, each as NAME_BEST where there is that (v2 catalogues). */
extern const DesiColumn desi_redshift_columns[];
/* What a FIBERMAP or a catalogue says of a target: key, place, fibre, position, ZCAT_PRIMARY, TSNR2_LRG. */
extern const DesiColumn desi_target_columns[];
/* Its photometry, which v2 catalogues keep in NAME-imaging.fits. */
extern const DesiColumn desi_photometry_columns[];
/* TILEID, night and petal of tile catalogues. */
extern const DesiColumn desi_tile_columns[];

/* Rows of the current HDU: refused where its bytes cannot hold so many, or TARGETID is not one number. */
Status desi_count_rows(int64_t *n, FitsFile *f);

/* Moves to the table `extname`, or else to the first table that has TARGETID and `column` and does not call itself a
   part of a catalogue (ZCATALOG_EXTRA and the like). E_INPUT where there is none. */
Status desi_goto_table(FitsFile *f, const char *extname, const char *column);

#endif
