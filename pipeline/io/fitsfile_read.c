/* fitsfile_read.c - table columns and image pixels.

   Sizes in a header are believed only after they are held against the length of the file, so that whoever allocates by
   them cannot be made to allocate more than a small multiple of what was given. */
#include "io/fitsfile.h"

#include <fitsio.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitsfile_impl.h"

enum { TEXT_ROWS = 1000, BOOL_CHUNK = 1024 };

int fitsfile_code(FitsType type)
{
    switch (type) {
    case FITS_I16: return TSHORT;
    case FITS_I32: return TINT;
    case FITS_I64: return TLONGLONG;
    case FITS_F32: return TFLOAT;
    case FITS_F64: return TDOUBLE;
    case FITS_TEXT: return TSTRING;
    case FITS_BOOL: return TLOGICAL;
    case FITS_U8: return TBYTE;
    }
    return 0;
}

/* What cfitsio shall put where there is no value: NaN into floats, nothing special into integers. */
static void *null_value(FitsType type)
{
    static float nan32 = NAN;
    static double nan64 = NAN;
    return type == FITS_F32 ? (void *)&nan32 : type == FITS_F64 ? (void *)&nan64 : NULL;
}

/* The data unit must hold `count` items of `size` bytes in the file that is really there. Files that we write are not
   all on disk yet. */
static Status check_extent(FitsFile *f, int64_t count, int64_t size)
{
    fitsfile *handle = f->handle;
    LONGLONG start = 0;
    int code = 0, mode = READONLY;
    fits_file_mode(handle, &mode, &code);
    fits_get_hduaddrll(handle, NULL, &start, NULL, &code);
    if (code) return FITS_FAIL(f, E_INPUT, code, "cannot find the data");
    int64_t bytes, there = handle->Fptr->filesize - start;
    if (__builtin_mul_overflow(count, size, &bytes))
        return FITS_FAIL(f, E_INPUT, 0, "the sizes in the header are absurd (%lld x %lld bytes): damaged?",
                         (long long)count, (long long)size);
    if (mode == READONLY && bytes > there)
        return FITS_FAIL(f, E_INPUT, 0, "needs %lld bytes of data, the file holds %lld: truncated?", (long long)bytes,
                         (long long)(there > 0 ? there : 0));
    return OK;
}

/* ---- tables ---- */

Status fitsfile_rows(int64_t *n, FitsFile *f)
{
    int code = 0, type = 0;
    LONGLONG rows = 0, width = 0;
    fits_get_hdu_type(f->handle, &type, &code);
    if (code == 0 && type == IMAGE_HDU) return FITS_FAIL(f, E_INPUT, 0, "is an image, a table was expected");
    fits_read_key(f->handle, TLONGLONG, "NAXIS1", &width, NULL, &code);
    fits_get_num_rowsll(f->handle, &rows, &code);
    if (code) return FITS_FAIL(f, E_INPUT, code, "cannot read the number of rows");
    if (rows < 0 || width < 0 || (width == 0 && rows > 0))
        return FITS_FAIL(f, E_INPUT, 0, "%lld rows of %lld bytes: damaged header", (long long)rows, (long long)width);
    TRY(check_extent(f, rows, width));
    *n = rows;
    return OK;
}

bool fitsfile_find_column(int *number, FitsFile *f, const char *name)
{
    if (name[0] == '\0' || strpbrk(name, "*?#") || (name[0] >= '0' && name[0] <= '9'))
        return false; /* cfitsio would read these as patterns and numbers */
    char copy[FLEN_VALUE];
    if (snprintf(copy, sizeof copy, "%s", name) >= (int)sizeof copy) return false;
    int code = 0;
    fits_get_colnum(f->handle, CASESEN, copy, number, &code);
    if (code == COL_NOT_FOUND) {
        code = 0;
        fits_get_colnum(f->handle, CASEINSEN, copy, number, &code);
    }
    fits_clear_errmsg();
    return code == 0 || code == COL_NOT_UNIQUE; /* the first of several */
}

bool fitsfile_has_column(FitsFile *f, const char *column)
{
    int number;
    return fitsfile_find_column(&number, f, column);
}

typedef struct {
    int number;
    int code;      /* cfitsio type after TSCAL and TZERO */
    int64_t width; /* elements per row; characters of a text column */
} Column;

static Status find_column(Column *c, FitsFile *f, const char *name)
{
    int code = 0, stored = 0;
    LONGLONG repeat = 0, width = 0;
    if (!fitsfile_find_column(&c->number, f, name)) return FITS_FAIL(f, E_INPUT, 0, "has no column %s", name);
    fits_get_coltypell(f->handle, c->number, &stored, &repeat, &width, &code);
    fits_get_eqcoltypell(f->handle, c->number, &c->code, NULL, NULL, &code);
    if (code) return FITS_FAIL(f, E_INPUT, code, "column %s: cannot read its format", name);
    if (stored < 0)
        return FITS_FAIL(f, E_INPUT, 0, "column %s: has rows of variable length, which are not supported", name);
    if (stored == TSTRING && repeat > width && width > 0)
        return FITS_FAIL(f, E_INPUT, 0, "column %s: holds several texts per row, which is not supported", name);
    int64_t bytes = stored == TSTRING || stored == TBIT ? 1 : width, row = 0;
    int64_t all = stored == TBIT ? repeat / 8 : repeat;
    fits_read_key(f->handle, TLONGLONG, "NAXIS1", &row, NULL, &code);
    bool ascii = stored == TSTRING && repeat < width; /* an ASCII table counts texts, not characters */
    if (code || repeat < 0 || width < 0 || (bytes > 0 && all > row / bytes))
        return FITS_FAIL(f, E_INPUT, code, "column %s: is wider than its row: damaged header", name);
    c->width = ascii ? width : repeat;
    return OK;
}

Status fitsfile_column_width(int64_t *width, FitsFile *f, const char *column)
{
    Column c;
    TRY(find_column(&c, f, column));
    *width = c.width;
    return OK;
}

static bool holds_integers(int code)
{
    return code == TBYTE || code == TSBYTE || code == TSHORT || code == TUSHORT || code == TINT || code == TUINT ||
           code == TLONG || code == TULONG || code == TLONGLONG || code == TULONGLONG;
}

static Status check_type(FitsFile *f, const Column *c, const char *name, FitsType type)
{
    bool reals = c->code == TFLOAT || c->code == TDOUBLE;
    if (type == FITS_TEXT && c->code != TSTRING) return FITS_FAIL(f, E_INPUT, 0, "column %s: is not text", name);
    if (type == FITS_TEXT) return OK;
    if (c->code == TSTRING) return FITS_FAIL(f, E_INPUT, 0, "column %s: is text, numbers were expected", name);
    if (type == FITS_BOOL || type == FITS_U8) {
        if (c->code == TLOGICAL || holds_integers(c->code) || (c->code == TBIT && type == FITS_BOOL)) return OK;
        return FITS_FAIL(f, E_INPUT, 0, "column %s: holds neither integers nor logical values", name);
    }
    if (!reals && !holds_integers(c->code))
        return FITS_FAIL(f, E_INPUT, 0, "column %s: does not hold plain numbers", name);
    if (reals && type != FITS_F32 && type != FITS_F64)
        return FITS_FAIL(f, E_INPUT, 0, "column %s: holds real numbers, integers were expected", name);
    return OK;
}

static Status check_rows(FitsFile *f, const char *name, int64_t first, int64_t n)
{
    int64_t rows;
    TRY(fitsfile_rows(&rows, f));
    if (first < 0 || n < 0 || n > rows || first > rows - n)
        return FITS_FAIL(f, E_INPUT, 0, "column %s: %lld rows from row %lld were asked for, there are %lld", name,
                         (long long)n, (long long)first, (long long)rows);
    return OK;
}

/* Logical columns, and integers meant as such. Anything that is not a clear "true" is 0: FITS has a third, undefined
   value. */
static int read_flags(uint8_t *out, fitsfile *handle, const Column *c, int64_t first, int64_t n)
{
    int code = 0, any = 0;
    bool logical = !holds_integers(c->code);
    int64_t total = n * c->width;
    if (logical) {
        fits_read_col(handle, TLOGICAL, c->number, first + 1, 1, total, NULL, out, &any, &code);
        for (int64_t i = 0; i < total && code == 0; i++) out[i] = out[i] == 1;
        return code;
    }
    LONGLONG chunk[BOOL_CHUNK];
    for (int64_t done = 0; done < total && code == 0; done += BOOL_CHUNK) {
        int64_t m = total - done < BOOL_CHUNK ? total - done : BOOL_CHUNK;
        fits_read_col(handle, TLONGLONG, c->number, first + 1 + done / c->width, 1 + done % c->width, m, NULL, chunk,
                      &any, &code);
        for (int64_t i = 0; i < m && code == 0; i++) out[done + i] = chunk[i] != 0;
    }
    return code;
}

Status fitsfile_read_column(void *out, FitsFile *f, const char *column, FitsType type, int64_t first, int64_t n)
{
    Column c;
    int code = 0, any = 0; /* `any` must be given: cfitsio writes through it when it meets a NaN */
    MUST(type != FITS_TEXT);
    TRY(check_rows(f, column, first, n));
    TRY(find_column(&c, f, column));
    TRY(check_type(f, &c, column, type));
    if (n == 0 || c.width == 0) return OK;
    if (type == FITS_BOOL || c.code == TLOGICAL)
        code = read_flags(out, f->handle, &c, first, n);
    else
        fits_read_col(f->handle, fitsfile_code(type), c.number, first + 1, 1, n * c.width, null_value(type), out, &any,
                      &code);
    if (code)
        return FITS_FAIL(f, E_INPUT, code, "column %s: cannot read rows %lld to %lld", column, (long long)first,
                         (long long)(first + n - 1));
    return OK;
}

/* One block of rows through pointers into one buffer, because cfitsio writes `width` characters and a NUL, whatever our
   cell. */
static int read_text_block(char *out, size_t cell, fitsfile *handle, const Column *c, int64_t first, int64_t n,
                           char **row)
{
    int code = 0, any = 0;
    fits_read_col(handle, TSTRING, c->number, first + 1, 1, n, "", row, &any, &code);
    for (int64_t i = 0; i < n && code == 0; i++) {
        size_t length = strnlen(row[i], (size_t)c->width);
        while (length > 0 && row[i][length - 1] == ' ') length--;
        if (length > cell - 1) length = cell - 1;
        memset(out + (size_t)i * cell, 0, cell);
        memcpy(out + (size_t)i * cell, row[i], length);
    }
    return code;
}

Status fitsfile_read_text(char *out, size_t cell, FitsFile *f, const char *column, int64_t first, int64_t n)
{
    Column c;
    int code = 0;
    MUST(cell > 0);
    TRY(check_rows(f, column, first, n));
    TRY(find_column(&c, f, column));
    TRY(check_type(f, &c, column, FITS_TEXT));
    memset(out, 0, (size_t)n * cell);
    if (n == 0 || c.width == 0) return OK;
    int64_t rows = n < TEXT_ROWS ? n : TEXT_ROWS;
    char **row = malloc((size_t)rows * sizeof *row);
    char *buffer = malloc((size_t)rows * ((size_t)c.width + 1));
    Status st = OK;
    if (!row || !buffer) {
        st = FITS_FAIL(f, E_MEMORY, 0, "column %s: no memory for %lld texts", column, (long long)rows);
        goto done;
    }
    for (int64_t i = 0; i < rows; i++) row[i] = buffer + i * (c.width + 1);
    for (int64_t at = 0; at < n && code == 0; at += rows)
        code = read_text_block(out + (size_t)at * cell, cell, f->handle, &c, first + at, n - at < rows ? n - at : rows,
                               row);
    if (code) st = FITS_FAIL(f, E_INPUT, code, "column %s: cannot read texts", column);
done:
    free(row);
    free(buffer);
    return st;
}

/* ---- images ---- */

/* A compressed image is bounded by what its codes can do: no tile of the surveys' sizes shrinks more than 4096-fold. */
static Status check_compressed(FitsFile *f, int64_t pixels, int64_t bytes_per_pixel)
{
    enum { RATIO = 4096, FLOOR = 64 << 20 };
    LONGLONG start = 0, end = 0, rows = 0, width = 0;
    int code = 0, mode = READONLY;
    fits_file_mode(f->handle, &mode, &code);
    fits_get_hduaddrll(f->handle, NULL, &start, &end, &code);
    fits_read_key(f->handle, TLONGLONG, "NAXIS1", &width, NULL, &code);
    fits_read_key(f->handle, TLONGLONG, "NAXIS2", &rows, NULL, &code);
    if (code) return FITS_FAIL(f, E_INPUT, code, "cannot read the size of the compressed image");
    if (rows < 0 || width < 0) return FITS_FAIL(f, E_INPUT, 0, "damaged header of a compressed image");
    TRY(check_extent(f, rows, width));
    if (mode != READONLY) return OK;
    int64_t bytes, there = ((fitsfile *)f->handle)->Fptr->filesize - start;
    if (__builtin_mul_overflow(pixels, bytes_per_pixel, &bytes) || (bytes - FLOOR) / RATIO > there)
        return FITS_FAIL(f, E_INPUT, 0, "claims %lld pixels from %lld compressed bytes: damaged?", (long long)pixels,
                         (long long)there);
    return OK;
}

Status fitsfile_image_size(int64_t dims[FITS_AXES], int *n_axes, FitsFile *f)
{
    int code = 0, type = 0, axes = 0, bitpix = 0;
    LONGLONG sizes[FITS_AXES] = {0};
    fits_get_hdu_type(f->handle, &type, &code);
    if (code == 0 && type != IMAGE_HDU) return FITS_FAIL(f, E_INPUT, 0, "is a table, an image was expected");
    fits_get_img_dim(f->handle, &axes, &code);
    fits_get_img_type(f->handle, &bitpix, &code);
    if (code == 0 && (axes < 1 || axes > FITS_AXES))
        return FITS_FAIL(f, E_INPUT, 0, "has %d axes, an image of 1 to %d was expected", axes, FITS_AXES);
    fits_get_img_sizell(f->handle, FITS_AXES, sizes, &code);
    if (code) return FITS_FAIL(f, E_INPUT, code, "cannot read the size of the image");
    int64_t pixels = 1;
    for (int i = 0; i < axes; i++)
        if (sizes[i] < 0 || __builtin_mul_overflow(pixels, (int64_t)sizes[i], &pixels))
            return FITS_FAIL(f, E_INPUT, 0, "NAXIS%d = %lld is absurd: damaged header", i + 1, (long long)sizes[i]);
    int64_t bytes = abs(bitpix) / 8;
    if (fits_is_compressed_image(f->handle, &code))
        TRY(check_compressed(f, pixels, bytes));
    else
        TRY(check_extent(f, pixels, bytes));
    for (int i = 0; i < axes; i++) dims[i] = sizes[axes - 1 - i];
    *n_axes = axes;
    return OK;
}

static Status read_pixels(void *out, FitsFile *f, int type, void *null, int64_t first, int64_t n)
{
    int64_t dims[FITS_AXES] = {0};
    int axes = 0, code = 0, any = 0;
    TRY(fitsfile_image_size(dims, &axes, f));
    if (first < 0 || n < 0 || n > dims[0] || first > dims[0] - n)
        return FITS_FAIL(f, E_INPUT, 0, "%lld rows from row %lld were asked for, the image has %lld", (long long)n,
                         (long long)first, (long long)dims[0]);
    int64_t total = n;
    for (int i = 1; i < axes; i++) total *= dims[i];
    if (total == 0) return OK;
    LONGLONG corner[FITS_AXES] = {1, 1, 1};
    int64_t from[FITS_AXES] = {0}, to[FITS_AXES] = {1, 1, 1};
    for (int i = 0; i < axes; i++) to[i] = dims[axes - 1 - i];
    from[axes - 1] = first;
    to[axes - 1] = first + n;
    corner[axes - 1] = first + 1;
    bool done = false;
    if (type == TFLOAT) TRY(fitsfile_read_tiles(&done, out, f, from, to));
    if (done) return OK;
    TRY(fitsfile_check_tiles(f, from, to));
    fits_read_pixll(f->handle, type, corner, total, null, out, &any, &code);
    if (code)
        return FITS_FAIL(f, E_INPUT, code, "cannot read rows %lld to %lld of the image", (long long)first,
                         (long long)(first + n - 1));
    return OK;
}

Status fitsfile_read_rows(void *out, FitsFile *f, FitsType type, int64_t first, int64_t n)
{
    MUST(type != FITS_TEXT && type != FITS_BOOL);
    return read_pixels(out, f, fitsfile_code(type), null_value(type), first, n);
}

Status fitsfile_read_mask(uint32_t *out, FitsFile *f, int64_t first, int64_t n)
{
    return read_pixels(out, f, TUINT, NULL, first, n);
}

static Status read_box(float *out, FitsFile *f, const int64_t dims[2], int64_t plane, int64_t y0, int64_t y1,
                       int64_t x0, int64_t x1)
{
    int code = 0, any = 0;
    if (y0 < 0 || x0 < 0 || y1 < y0 || x1 < x0 || y1 > dims[0] || x1 > dims[1])
        return FITS_FAIL(f, E_INPUT, 0,
                         "rows [%lld, %lld) x columns [%lld, %lld) are not inside the image of %lld x %lld",
                         (long long)y0, (long long)y1, (long long)x0, (long long)x1, (long long)dims[0],
                         (long long)dims[1]);
    if (y1 == y0 || x1 == x0) return OK;
    const int64_t first[FITS_AXES] = {x0, y0, plane}, end[FITS_AXES] = {x1, y1, plane + 1};
    bool done;
    TRY(fitsfile_read_tiles(&done, out, f, first, end));
    if (done) return OK;
    TRY(fitsfile_check_tiles(f, first, end));
    long from[FITS_AXES] = {(long)x0 + 1, (long)y0 + 1, (long)plane + 1},
         to[FITS_AXES] = {(long)x1, (long)y1, (long)plane + 1}, step[FITS_AXES] = {1, 1, 1};
    fits_read_subset(f->handle, TFLOAT, from, to, step, null_value(FITS_F32), out, &any, &code);
    if (code)
        return FITS_FAIL(f, E_INPUT, code, "cannot read rows [%lld, %lld) x columns [%lld, %lld)", (long long)y0,
                         (long long)y1, (long long)x0, (long long)x1);
    return OK;
}

Status fitsfile_read_box(float *out, FitsFile *f, int64_t y0, int64_t y1, int64_t x0, int64_t x1)
{
    int64_t dims[FITS_AXES] = {0};
    int axes = 0;
    TRY(fitsfile_image_size(dims, &axes, f));
    if (axes != 2) return FITS_FAIL(f, E_INPUT, 0, "has %d axes, an image of 2 was expected", axes);
    return read_box(out, f, dims, 0, y0, y1, x0, x1);
}

Status fitsfile_read_plane(float *out, FitsFile *f, int64_t plane, int64_t y0, int64_t y1, int64_t x0, int64_t x1)
{
    int64_t dims[FITS_AXES] = {0};
    int axes = 0;
    TRY(fitsfile_image_size(dims, &axes, f));
    int64_t planes = axes == 3 ? dims[0] : 1;
    if (axes < 2) return FITS_FAIL(f, E_INPUT, 0, "has 1 axis, an image of 2 or 3 was expected");
    if (plane < 0 || plane >= planes)
        return FITS_FAIL(f, E_INPUT, 0, "plane %lld was asked for, the image has %lld", (long long)plane,
                         (long long)planes);
    return read_box(out, f, axes == 3 ? dims + 1 : dims, plane, y0, y1, x0, x1);
}

void fitsfile_tile(int64_t *ny, int64_t *nx, FitsFile *f)
{
    int64_t dims[FITS_AXES] = {1, 1, 1}, tile = 0;
    int axes = 0, code = 0;
    *ny = *nx = 1;
    if (fitsfile_image_size(dims, &axes, f) != OK) {
        fail_clear();
        return;
    }
    *nx = dims[axes - 1];
    *ny = axes > 1 ? dims[axes - 2] : 1;
    if (!fits_is_compressed_image(f->handle, &code)) return;
    if (fitsfile_get_i64(&tile, f, "ZTILE1") && tile > 0 && tile < *nx) *nx = tile;
    if (!fitsfile_get_i64(&tile, f, "ZTILE2")) tile = 1; /* FITS standard: whole rows when nothing is said */
    if (tile > 0 && tile < *ny) *ny = tile;
}
