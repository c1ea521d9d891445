/* fitsfile_impl.h - what the fitsfile*.c files share; nobody else includes it. */
#ifndef IO_FITSFILE_IMPL_H
#define IO_FITSFILE_IMPL_H

#include "io/fitsfile.h"

/* Fails with "PATH: HDU NAME: ...: cfitsio says: ..." and empties cfitsio's error stack. `code` is cfitsio's status; 0
   leaves its part out. */
#define FITS_FAIL(f, kind, code, ...) fitsfile_fail((f), (kind), (code), __FILE__, __LINE__, __VA_ARGS__)
Status fitsfile_fail(const FitsFile *f, Status kind, int code, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

void fitsfile_name_hdu(FitsFile *f);                                   /* sets f->hdu from the current HDU */
bool fitsfile_find_column(int *number, FitsFile *f, const char *name); /* 1-based; exact case first, then any case */
int fitsfile_code(FitsType type); /* cfitsio's code of our type in memory: TFLOAT ... */

/* Moves to an HDU (1 = primary), checking headers on the way that cfitsio would stumble over; cfitsio's status. */
int fitsfile_move(FitsFile *f, int number);

/* Fails when a compressed tile that meets the pixels [from, to) (FITS axis order, unused axes [0, 1)) would lead the
   decoder astray. */
Status fitsfile_check_tiles(FitsFile *f, const int64_t from[FITS_AXES], const int64_t to[FITS_AXES]);
/* Those pixels, where they are floats in RICE codes of the usual kind: *done says so; else nothing is there yet, and cfitsio reads
   them. */
Status fitsfile_read_tiles(bool *done, float *out, FitsFile *f, const int64_t from[FITS_AXES],
                           const int64_t to[FITS_AXES]);

/* The numbers that RICE codes stand for, of 4, 2 or 1 bytes; RICE_PAD bytes follow the codes. False where they are damaged. */
enum { RICE_PAD = 8 };
bool fitsfile_rice(uint32_t *out, const unsigned char *bytes, int64_t length, int64_t n_pixels, int block,
                   int bytes_per_pixel);

/* How integers stand for floats: (integer - random value + 1/2) scale + zero, undithered integer scale + zero. */
typedef struct {
    double scale, zero;
    bool dithered, keeps_zero, has_blank; /* keeps_zero: one integer means 0 */
    uint32_t blank;                       /* means NaN */
    int64_t seed, next;                   /* in the sequence of random values */
} FitsLevels;
/* Sets where the random values of a tile (0-based, the image's seed added) begin. */
void fitsfile_levels(FitsLevels *l, int64_t tile);
/* The next n of a tile; out NULL = they are passed over. */
void fitsfile_floats(float *out, FitsLevels *l, const uint32_t *in, int64_t n);

/* cfitsio takes names apart ("!x", "~x", leading blanks) even where it promises not to; a path that begins with / or ./
   is safe. Fails when the path is too long. */
Status fitsfile_literal(char out[FITS_PATH + 2], const char *path, Status kind);

#endif
