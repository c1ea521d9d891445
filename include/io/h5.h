/* h5.h - HDF5, serial and parallel, as this project uses it: groups, contiguous or chunked datasets of fixed rows, attributes, virtual
   datasets. All HDF5 calls are here and on the main thread. Paths inside a file may be nested ("a/b/c"); groups on the way are
   created. Every message names the file and the object.

   With a Par the file is opened on all ranks: open, create, close, flush, dataset creation and putting attributes are Collective (arguments the
   same on all ranks); looking, getting, row reads and writes are Local (independent transfers, no filters). Files for writing go through
   MPI-IO; for reading each rank opens the file by itself. With par = NULL or one rank everything is Local. */
#ifndef IO_H5_H
#define IO_H5_H

#include <stdbool.h>
#include <stdint.h>

#include "core/arena.h"
#include "par/par.h"

typedef enum { H5_I8, H5_U8, H5_I16, H5_U16, H5_I32, H5_U32, H5_I64, H5_U64, H5_F32, H5_F64, H5_TEXT } H5Type;
enum { H5_PATH = 1024, H5_DIMS = 4 };

typedef struct {
    int64_t id; /* hid_t; 0 or negative = closed */
    const Par *par;
    char path[H5_PATH];
} H5File;

typedef struct {
    H5Type type;
    int64_t width; /* H5_TEXT: bytes per string (NUL-padded); else size of an element */
    int n_dims;
    int64_t dims[H5_DIMS];
} H5Shape;

Status h5_open(H5File *f, const char *path, const Par *par);   /* read only */
Status h5_modify(H5File *f, const char *path, const Par *par); /* read and write */
/* A new file (replacing one of that name) in a format that stays readable if the writer is killed between flushes. */
Status h5_create(H5File *f, const char *path, const Par *par);
/* All that was written is on disk, and another program can open the file. */
Status h5_flush(H5File *f);
Status h5_sync(H5File *f);  /* Local. Rows that this rank wrote are on disk (data only: for use between flushes) */
Status h5_close(H5File *f); /* twice-safe; reports errors of writing */

/* A footer behind HDF5's own bytes is a checksum of all that is not the values of datasets: opening a file checks it,
   and those of the sources of virtual datasets, before libhdf5 sees damage that it would not survive. It goes when a
   file is closed after it was modified. h5_put_footer: Local, of a closed file. h5_put_early_footer: flushes the file
   and puts one that lasts while only rows are written, for the case that the writer is killed. */
Status h5_put_footer(const char *path);
Status h5_put_early_footer(H5File *f);
bool h5_has_footer(const char *path); /* Local */

bool h5_has(H5File *f, const char *object);
/* Type and shape of a dataset, for callers to allocate by: E_INPUT when it claims more bytes than the file can hold. A scalar has n_dims = 0;
   text of variable length has width 0. */
Status h5_shape(H5Shape *out, H5File *f, const char *dataset);
/* h5_shape, and E_INPUT naming both shapes unless they agree; dims[i] < 0 = any. */
Status h5_expect(H5Shape *out, H5File *f, const char *dataset, const int64_t *dims, int n_dims);
size_t h5_bytes(H5Type type, int64_t width); /* of one element in memory */
/* Names of the members of a group, sorted. */
Status h5_list(char ***names, int64_t *n, H5File *f, const char *group, Arena *a);
bool h5_is_group(H5File *f, const char *object);

/* New dataset, contiguous, allocated early, never filled. For H5_TEXT `width` is the string length (fixed, NUL-padded), else ignored. */
Status h5_new(H5File *f, const char *dataset, H5Type type, int64_t width, const int64_t *dims, int n_dims);
/* Rows [first, first+n) of the first axis. A row is everything else. Memory has the dataset's (converted to `type`) element type. n = 0 is fine. */
Status h5_write_rows(H5File *f, const char *dataset, H5Type type, int64_t width, const void *data, int64_t first,
                     int64_t n);
Status h5_read_rows(void *out, H5File *f, const char *dataset, H5Type type, int64_t width, int64_t first, int64_t n);
/* h5_new + h5_write_rows of the whole in one call, for small tables; on a parallel file rank 0's data is written. */
Status h5_put(H5File *f, const char *dataset, H5Type type, int64_t width, const void *data, const int64_t *dims,
              int n_dims);
/* The whole dataset into the arena; `shape` may be NULL. Text comes in cells of shape->width bytes, NUL-padded, not terminated. */
Status h5_get(void **out, H5Shape *shape, H5File *f, const char *dataset, H5Type type, Arena *a);

/* A member of a one-dimensional compound dataset (astropy's Table.write): rows as `type` (H5_TEXT: width bytes). */
bool h5_has_member(H5File *f, const char *dataset, const char *member);
Status h5_member_shape(H5Shape *out, H5File *f, const char *dataset,
                       const char *member); /* (rows) or (rows, the member's own shape) */
Status h5_read_member(void *out, H5File *f, const char *dataset, const char *member, H5Type type, int64_t width,
                      int64_t first, int64_t n);
/* A compound dataset of scalar, vector or matrix members, written whole (mock labels). */
typedef struct {
    const char *name;
    H5Type type;      /* memory and file type */
    int64_t width;    /* H5_TEXT: string bytes; numbers: 0, or the last dimension of a matrix */
    int64_t n;        /* elements per row, 1 = scalar */
    const void *data; /* (rows, n) */
} H5Member;
Status h5_put_compound(H5File *f, const char *dataset, const H5Member *members, int n_members, int64_t rows);
/* The same in pieces: the dataset, whose members' data are not looked at; rows [first, first + rows). */
Status h5_new_compound(H5File *f, const char *dataset, const H5Member *members, int n_members, int64_t rows);
Status h5_put_members(H5File *f, const char *dataset, const H5Member *members, int n_members, int64_t first,
                      int64_t rows);

/* Attributes of a group or dataset ("/" = the root). Text attributes are UTF-8 of variable length: h5py shows them as str, and a long config
   fits. Existing ones are replaced. The `get` forms return false when absent or of another kind. */
Status h5_put_attr_text(H5File *f, const char *object, const char *name, const char *value);
Status h5_put_attr_i64(H5File *f, const char *object, const char *name, int64_t value);
Status h5_put_attr_f64(H5File *f, const char *object, const char *name, double value);
bool h5_get_attr_text(char **out, H5File *f, const char *object, const char *name,
                      Arena *a);                                                     /* fixed or variable length */
bool h5_get_attr_i64(int64_t *out, H5File *f, const char *object, const char *name); /* any numeric attribute */
bool h5_get_attr_f64(double *out, H5File *f, const char *object, const char *name);
/* Names of the attributes, sorted. */
Status h5_list_attrs(char ***names, int64_t *n, H5File *f, const char *object, Arena *a);
/* A one-dimensional numeric attribute, or a scalar (n = 1). */
bool h5_get_attr_f64s(double **out, int64_t *n, H5File *f, const char *object, const char *name, Arena *a);

/* A dataset of `dims` that is assembled from `source` datasets of the same name in other files (paths relative to this file), each covering
   [first[i], first[i]+rows[i]). Missing sources read as NaN (floats) or `fill` (integers). */
Status h5_new_virtual(H5File *f, const char *dataset, H5Type type, int64_t width, const int64_t *dims, int n_dims,
                      const char *const *source_files, const int64_t *first, const int64_t *rows, int n_sources,
                      int64_t fill);

const char *h5_version(void);
void h5_silence(void); /* once at start: HDF5's own error printing off */

#endif
