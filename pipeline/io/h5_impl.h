/* h5_impl.h - what h5.c and h5_attr.c share. Handles are int64_t, as hid_t is, so that hdf5.h stays in the two .c files. */
#ifndef IO_H5_IMPL_H
#define IO_H5_IMPL_H

#include "io/h5.h"

enum { H5_REASON = 200 };

/* An open dataset with its space and the type it has in the file. */
typedef struct {
    int64_t id, space, type;
    int n_dims;
    int64_t dims[H5_DIMS];
    int64_t rows;      /* dims[0]; a scalar is one row */
    int64_t row_items; /* product of the other dims    */
} H5Dataset;

/* Agreement where the file is open on all ranks; `st` itself otherwise. */
#define H5_AGREE(f, st) ((f)->par ? par_agree((f)->par, (st)) : (st))

/* Local. E_INPUT where the file has a footer (h5_footer.c) and its bytes are not those that it was put for. */
Status h5_check_footer(const char *path);
/* Local. The footer, where there is one, counts no longer. */
void h5_drop_footer(const char *path);

/* Local. Why the last HDF5 call failed: the innermost line of its error stack. Call it first thing after the failure. */
const char *h5_reason(void);

/* Local. A new type handle: of memory, of the file (little endian). The caller closes it with H5Tclose. */
int64_t h5_memory_type(H5Type type, int64_t width);
int64_t h5_file_type(H5Type type, int64_t width);

/* Local. What an element of a file's type is here; false for what this project does not read (compounds, references, ...). Variable-length text
   has width 0. */
bool h5_type_of(H5Type *type, int64_t *width, int64_t file_type);
/* Local. Numbers and text do not convert into each other: E_INPUT says so. */
Status h5_check_type(int64_t file_type, H5Type type, const char *path, const char *what);

/* Local. Where all ranks write, takes room on disk for all that was placed in the file so far (rank 0): when one rank's
   write of metadata fails in libhdf5, the others wait for it for ever. */
Status h5_reserve(H5File *f);

Status h5_dataset_open(H5Dataset *d, H5File *f, const char *dataset);
void h5_dataset_close(H5Dataset *d);

/* Local. E_INPUT when the dataset claims more bytes than its file can hold, has chunks too large to hold, or was never
   written. */
Status h5_check_storage(const H5Dataset *d, H5File *f, const char *dataset);

/* Local. Rows [first, first+n) between memory of `memory_type` (`bytes` each element) and the file, in pieces below 1 GiB. */
Status h5_move_rows(H5File *f, H5Dataset *d, const char *dataset, int64_t memory_type, size_t bytes, void *in,
                    const void *out, int64_t first, int64_t n);

/* Local part of h5_new and of its relatives: a new dataset of `file_type` under `creation` (a property list, or 0). Takes over neither. */
Status h5_make_dataset(H5File *f, const char *dataset, int64_t file_type, const int64_t *dims, int n_dims,
                       int64_t creation);

#endif
