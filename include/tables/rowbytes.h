/* rowbytes.h - rows of a FITS table as bytes: big-endian numbers, and slices that ranks write at their own offsets of a file
   whose headers are there already. Local. */
#ifndef TABLES_ROWBYTES_H
#define TABLES_ROWBYTES_H

#include <stddef.h>
#include <stdint.h>

#include "core/fail.h"

/* Where the rows of a table go. */
typedef struct {
    int64_t start; /* byte of the file at which row 0 begins */
    int64_t bytes; /* of all rows, without padding           */
} RowSpan;

void put_big_endian(unsigned char *out, uint64_t bits, int64_t bytes);
void put_f64(unsigned char *out, double x); /* every NaN is the same NaN */
void put_f32(unsigned char *out, double x);
/* `text` of at most `cell` characters, in `width` bytes: printable ASCII, blanks behind. */
void put_text(unsigned char *out, const char *text, size_t cell, int64_t width);

/* n bytes to their offset. E_OUTPUT names `path`. */
Status rowbytes_write(int fd, const char *path, const unsigned char *bytes, int64_t n, int64_t offset);
/* fsync and close; passes `st` on, or else what went wrong. */
Status rowbytes_close(int fd, const char *path, Status st);

#endif
