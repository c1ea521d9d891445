/* fitsfile.h - FITS through cfitsio, by EXTNAME and by column name.

   One FitsFile per open file and thread. Every message names file, HDU and column or keyword. Readers convert to the
   type asked for; NULLs, infinities and blank pixels of quantised images become NaN (floats are always read with a NaN
   null value). Real numbers are not read as integers, nor numbers out of range: that is E_INPUT, as is every size that
   the file cannot hold. FITS axes come reversed into C order: an image of NAXIS1 = nx, NAXIS2 = ny is [ny][nx]. All
   functions Local; none allocates outside the arena given. */
#ifndef IO_FITSFILE_H
#define IO_FITSFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/arena.h"

enum { FITS_PATH = 1024, FITS_NAME = 80, FITS_AXES = 3 };

typedef struct {
    void *handle; /* fitsfile *; NULL = closed */
    char path[FITS_PATH];
    char hdu[FITS_NAME]; /* EXTNAME of the current HDU, or its number from 0 */
} FitsFile;

typedef enum { FITS_I16, FITS_I32, FITS_I64, FITS_F32, FITS_F64, FITS_TEXT, FITS_BOOL, FITS_U8 } FitsType;

/* ---- reading ---- */
/* .fits, .fits.gz, .fits.fz; read only; regular files only; the path is taken literally: no cfitsio filters. */
Status fitsfile_open(FitsFile *f, const char *path);
void fitsfile_close(FitsFile *f); /* NULL-safe, twice-safe; errors of a reader are ignored */

/* The HDU with that EXTNAME (case ignored). `has` asks without failing. Asking in vain moves nothing. */
Status fitsfile_goto(FitsFile *f, const char *extname);
bool fitsfile_has(FitsFile *f, const char *extname);
Status fitsfile_goto_number(FitsFile *f, int hdu); /* 0 = primary */
Status fitsfile_goto_image(FitsFile *f);           /* the first HDU that holds an image with axes (.fits.fz: HDU 1) */

/* How many HDUs can be gone to; `whole` is false where something is wrong after them: an HDU that cannot be read, or data
   that end before they should. */
void fitsfile_count(int *n, bool *whole, FitsFile *f);

/* Tables. Rows are 0-based. */
Status fitsfile_rows(int64_t *n, FitsFile *f);
bool fitsfile_has_column(FitsFile *f, const char *column); /* case ignored */
/* Elements per row of a column; for TEXT the width in characters. */
Status fitsfile_column_width(int64_t *width, FitsFile *f, const char *column);
/* rows [first, first+n) x width elements into `out` as int64_t / int32_t / float / double / uint8_t (BOOL: 0 or 1). */
Status fitsfile_read_column(void *out, FitsFile *f, const char *column, FitsType type, int64_t first, int64_t n);
/* TEXT into fixed cells of `cell` bytes, right-stripped, NUL-terminated, cut if longer. */
Status fitsfile_read_text(char *out, size_t cell, FitsFile *f, const char *column, int64_t first, int64_t n);

/* Several columns of the same rows at once: the rows are read once, however many columns are wanted. Columns have one
   element per row; text comes as fitsfile_read_text gives it. */
typedef struct {
    const char *name;
    FitsType type;
    void *out;     /* (n) elements of `type`, or of `cell` bytes where it is FITS_TEXT */
    size_t cell;   /* of FITS_TEXT */
    bool optional; /* may be absent: then `out` stays as it is */
    bool there;    /* says whether the table has it */
} FitsPick;
Status fitsfile_read_picks(FitsPick *pick, int n_picks, FitsFile *f, int64_t first, int64_t n, Arena *scratch);

/* Images. dims[0] is the slowest axis (C order), n_axes <= 3. A tile-compressed HDU answers as the image it holds. */
Status fitsfile_image_size(int64_t dims[FITS_AXES], int *n_axes, FitsFile *f);
/* Whole rows [first, first+n) of the slowest axis. */
Status fitsfile_read_rows(void *out, FitsFile *f, FitsType type, int64_t first, int64_t n);
/* Unsigned 32-bit masks (BZERO 2^31 applied, plain or tile-compressed). */
Status fitsfile_read_mask(uint32_t *out, FitsFile *f, int64_t first, int64_t n);
/* The rectangle rows [y0, y1) x columns [x0, x1) of a 2-D image as float32, row-major, stride x1-x0. Must lie inside.
   */
Status fitsfile_read_box(float *out, FitsFile *f, int64_t y0, int64_t y1, int64_t x0, int64_t x1);
/* The same of one plane of an image of 3 axes, whose slowest axis counts the planes from 0; an image of 2 axes is plane
   0. */
Status fitsfile_read_plane(float *out, FitsFile *f, int64_t plane, int64_t y0, int64_t y1, int64_t x0, int64_t x1);
/* Tile rows and columns of a compressed image ([ny][nx] if not compressed). */
void fitsfile_tile(int64_t *ny, int64_t *nx, FitsFile *f);

/* Keywords. `get` leaves *out alone and returns false when the key is absent or of another type. */
bool fitsfile_get_f64(double *out, FitsFile *f, const char *key);
bool fitsfile_get_i64(int64_t *out, FitsFile *f, const char *key);
bool fitsfile_get_bool(bool *out, FitsFile *f, const char *key);
bool fitsfile_get_text(char *out, size_t size, FitsFile *f, const char *key);
/* The header of the current HDU as one string of 80-character cards without END, for WCSLIB; of a
   compressed image that of the image. Blanks stand for cards that are damaged, or of the table it lies in. */
Status fitsfile_header(char **cards, int *n_cards, FitsFile *f, Arena *a);

/* ---- writing: to `path` itself; callers write to a temporary name and rename ---- */
typedef struct {
    const char *name;    /* TTYPE */
    const char *format;  /* TFORM: "K", "J", "I", "E", "D", "L", "B", "8A", "10E" */
    const char *unit;    /* TUNIT or "" */
    const char *comment; /* comment of TTYPE, at most 46 characters, or "" */
} FitsColumn;

typedef enum {
    FITS_PLAIN,
    FITS_RICE_FLUX,
    FITS_RICE_IVAR,
    FITS_GZIP_LOSSLESS,
    FITS_HCOMPRESS /* lossless for whole numbers: masks */
} FitsCompression; /* Legacy Survey settings */

Status fitsfile_create(FitsFile *f, const char *path); /* replaces an existing file; writes an empty primary HDU */
Status fitsfile_new_table(FitsFile *f, const char *extname, const FitsColumn *columns, int n_columns, int64_t n_rows);
/* dims in C order; type FITS_F32, F64, U8, I16, I32, I64, or I32 with `unsigned_mask` (BZERO 2^31). Tiles of compressed
   images 100 x 100. */
Status fitsfile_new_image(FitsFile *f, const char *extname, FitsType type, bool unsigned_mask, const int64_t *dims,
                          int n_axes, FitsCompression compression);
Status fitsfile_write_column(FitsFile *f, const char *column, FitsType type, const void *data, int64_t first,
                             int64_t n);
/* A text longer than its column fails. */
Status fitsfile_write_text(FitsFile *f, const char *column, const char *data, size_t cell, int64_t first, int64_t n);
Status fitsfile_write_pixels(FitsFile *f, FitsType type, const void *data, int64_t n); /* the whole image */
/* Items [first, first + n) of the first dimension of an image that is not compressed. */
Status fitsfile_write_slices(FitsFile *f, FitsType type, const void *data, int64_t first, int64_t n);
Status fitsfile_write_mask(FitsFile *f, const uint32_t *data, int64_t n);
/* Replace the keyword or add it. Long texts continue on further cards; what is not printable ASCII becomes '?'. */
Status fitsfile_put_text(FitsFile *f, const char *key, const char *value, const char *comment);
Status fitsfile_put_i64(FitsFile *f, const char *key, int64_t value, const char *comment);
Status fitsfile_put_f64(FitsFile *f, const char *key, double value, const char *comment);
Status fitsfile_put_bool(FitsFile *f, const char *key, bool value, const char *comment);
Status fitsfile_put_checksum(FitsFile *f); /* CHECKSUM and DATASUM of the current HDU */
/* DATASUM as the caller computed it (ranks that wrote their own slices), then CHECKSUM from the header: the data are
   not read. Neither notes the time: the same data make the same file. */
Status fitsfile_put_datasum(FitsFile *f, uint32_t datasum);
Status fitsfile_finish(FitsFile *f); /* closes a written file; the place where errors of writing show up */

/* A file of our own, opened again to change it: after fitsfile_finish, when ranks have written slices of a table
   themselves. */
Status fitsfile_reopen(FitsFile *f, const char *path);

/* Byte offset and length (without the padding to 2880) of the current HDU's data, for ranks that write their own slices
   of a table. Flushes what was written so far; slices are written after fitsfile_finish, whose buffers would go over
   them. */
Status fitsfile_data_span(int64_t *start, int64_t *bytes, FitsFile *f);

/* ---- checks ---- */
Status fitsfile_verify(FitsFile *f, bool *data_ok, bool *present); /* DATASUM of the current HDU */
const char *fitsfile_version(void);
bool fitsfile_is_reentrant(void); /* may another thread use it than the main one? */

#endif
