/* labeltable.h - a table of numbers with an identifier per row, in whatever format a collaboration hands it on: HDF5 as astropy's
   Table.write makes it (a compound dataset at the root), HDF5 with a dataset per column at the root, a FITS binary table, or CSV with
   names in its first line. Local. */
#ifndef DATA_LABELTABLE_H
#define DATA_LABELTABLE_H

#include "core/arena.h"
#include "io/fitsfile.h"
#include "io/h5.h"

typedef enum { TABLE_H5_COMPOUND, TABLE_H5_COLUMNS, TABLE_FITS, TABLE_CSV } LabelTableKind;

typedef struct {
    LabelTableKind kind;
    char path[H5_PATH];
    H5File h5;
    const char *dataset; /* compound */
    FitsFile fits;
    char **column; /* CSV: names */
    int n_columns;
    int64_t n; /* rows */
} LabelTable;

/* Of the tables in the file (datasets, HDUs) the first, or the HDU named (hdu, "" = any), that has the column `id` and at least one of
   the columns wanted (NULL-terminated). E_INPUT names what was looked for. */
Status labeltable_open(LabelTable *t, const char *path, const char *hdu, const char *id, const char *const *wanted,
                       Arena *a);
void labeltable_close(LabelTable *t); /* twice-safe */
bool labeltable_has(LabelTable *t, const char *column);

/* Rows [first, first + n) of columns of one number per row, NaN where a cell is empty; of `width` numbers: (n, width). E_INPUT names a
   column that has another number of them. In CSV all columns are read in one pass: give them together. */
Status labeltable_read_ids(int64_t *out, LabelTable *t, const char *id, int64_t first, int64_t n);
Status labeltable_read(double *const *out, LabelTable *t, const char *const *column, int n_columns, int64_t first,
                       int64_t n, Arena *scratch);
Status labeltable_read_wide(double *out, LabelTable *t, const char *column, int64_t width, int64_t first, int64_t n);

#endif
