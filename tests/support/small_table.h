/* small_table.h - a FITS table from arrays, for tests of readers. */
#ifndef TEST_SMALL_TABLE_H
#define TEST_SMALL_TABLE_H

#include <string.h>

#include "io/fitsfile.h"

typedef struct {
    const char *name, *format;
    FitsType type;
    const void *data; /* n values; texts in cells of `cell` bytes */
    size_t cell;
} SmallColumn;

#define SMALL_TABLE(f, extname, columns, n) small_table(f, extname, columns, sizeof columns / sizeof *(columns), n)

static inline Status small_table(FitsFile *f, const char *extname, const SmallColumn *c, size_t n_columns, int64_t n)
{
    FitsColumn head[64];
    MUST(n_columns <= 64);
    for (size_t k = 0; k < n_columns; k++) head[k] = (FitsColumn){c[k].name, c[k].format, "", ""};
    TRY(fitsfile_new_table(f, extname, head, (int)n_columns, n));
    for (size_t k = 0; k < n_columns; k++) {
        if (c[k].type == FITS_TEXT)
            TRY(fitsfile_write_text(f, c[k].name, c[k].data, c[k].cell, 0, n));
        else
            TRY(fitsfile_write_column(f, c[k].name, c[k].type, c[k].data, 0, n));
    }
    return OK;
}

#endif
