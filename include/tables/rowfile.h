/* rowfile.h - a file of ours as rows with keys and columns, whatever wrote it: HDF5 artefacts (catalog.h5,
   embeddings.h5, a volume) by dataset, properties.fits by column. For reading two of them side by side. A file without
   keys (probes, checkpoints) opens with n = -1. Local, serial. */
#ifndef TABLES_ROWFILE_H
#define TABLES_ROWFILE_H

#include "data/flags.h"
#include "io/artefact.h"
#include "tables/rowkeys.h"

typedef enum { ROW_REAL, ROW_WHOLE, ROW_TEXT } RowKind; /* in memory: double, int64_t, bytes */
typedef struct {
    const char *name; /* "labels/z", "IMAGE_FLAG" */
    RowKind kind;
    int64_t n;     /* elements of a row */
    int64_t bytes; /* of a row in memory */
    bool logical;  /* true and false in the file */
} RowColumn;

typedef struct {
    char path[H5_PATH];
    bool fits;
    H5File h5;
    FitsFile table;
    Envelope envelope;
    const char *program; /* version of the program that wrote it */
    int64_t n;           /* rows; -1 = the file is not rows with keys */
    const char *key[3];  /* names of the columns of the key; NULL = the file has none of it */
    RowColumn *column;   /* all others, sorted by name */
    int n_columns;
} RowFile;

/* E_INPUT when the file is none of ours. */
Status rowfile_open(RowFile *f, const char *path, Arena *a);
void rowfile_close(RowFile *f); /* twice-safe */

/* The index of the column of that name, -1 = none. */
int rowfile_find(const RowFile *f, const char *name);

/* Rows [first, first + n). */
Status rowfile_read(void *out, RowFile *f, int column, int64_t first, int64_t n);
/* Rows row[0 .. n) in any order. */
Status rowfile_gather(void *out, RowFile *f, int column, const int64_t *row, int64_t n, Arena *scratch);

/* The keys of rows [first, first + n); of all rows. */
Status rowfile_read_keys(RowKey *out, RowFile *f, KeyPairs *pairs, int64_t first, int64_t n, Arena *scratch);
Status rowfile_keys(RowKey **out, RowFile *f, KeyPairs *pairs, Arena *a);

#endif
