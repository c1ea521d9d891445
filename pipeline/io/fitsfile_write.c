/* fitsfile_write.c - FITS files of our own: tables, images plain or compressed as the Legacy Surveys do it, keywords,
   checksums. */
#include "io/fitsfile.h"

#include <errno.h>
#include <fcntl.h>
#include <fitsio.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fitsfile_impl.h"
#include "io/fitssum.h"

enum { MAX_COLUMNS = 999, TEXT_ROWS = 1000, TILE = 100, LONG_TEXT = 68 };

Status fitsfile_create(FitsFile *f, const char *path)
{
    char literal[FITS_PATH + 2];
    memset(f, 0, sizeof *f);
    TRY(fitsfile_literal(literal, path, E_OUTPUT));
    snprintf(f->path, sizeof f->path, "%s", path);
    if (unlink(literal) != 0 && errno != ENOENT) return FAIL(E_OUTPUT, "cannot replace %s: %s", path, strerror(errno));
    fitsfile *handle = NULL;
    int code = 0;
    fits_create_diskfile(&handle, literal, &code);
    if (code) return FITS_FAIL(f, E_OUTPUT, code, "cannot be created; does the folder exist, may we write there?");
    f->handle = handle;
    fits_create_img(handle, BYTE_IMG, 0, NULL, &code);
    if (code) return FITS_FAIL(f, E_OUTPUT, code, "cannot write the primary header");
    fitsfile_name_hdu(f);
    return OK;
}

Status fitsfile_new_table(FitsFile *f, const char *extname, const FitsColumn *columns, int n_columns, int64_t n_rows)
{
    char *name[MAX_COLUMNS], *format[MAX_COLUMNS], *unit[MAX_COLUMNS], key[FLEN_KEYWORD];
    int code = 0;
    if (n_columns < 0 || n_columns > MAX_COLUMNS)
        return FITS_FAIL(f, E_OUTPUT, 0, "table %s has %d columns, FITS allows %d", extname, n_columns, MAX_COLUMNS);
    for (int i = 0; i < n_columns; i++) { /* cfitsio takes char * and leaves them alone */
        name[i] = (char *)columns[i].name;
        format[i] = (char *)columns[i].format;
        unit[i] = (char *)(columns[i].unit ? columns[i].unit : "");
    }
    fits_create_tbl(f->handle, BINARY_TBL, n_rows, n_columns, name, format, unit, extname, &code);
    if (code) return FITS_FAIL(f, E_OUTPUT, code, "cannot create table %s", extname);
    fitsfile_name_hdu(f);
    for (int i = 0; i < n_columns; i++) {
        if (!columns[i].comment || !columns[i].comment[0]) continue;
        snprintf(key, sizeof key, "TTYPE%d", i + 1);
        fits_modify_comment(f->handle, key, columns[i].comment, &code);
    }
    if (code) return FITS_FAIL(f, E_OUTPUT, code, "cannot write the header of the table");
    return OK;
}

/* The settings of the surveys' own files (formats.md B10): step 1e-4 nanomaggies with exact zeros kept; 1/16 of the
   noise; lossless. */
static void set_compression(fitsfile *handle, FitsCompression compression, int n_axes, int *code)
{
    long tile[FITS_AXES] = {TILE, TILE, 1};
    if (compression == FITS_PLAIN) {
        fits_set_compression_type(handle, 0, code);
        return;
    }
    static const int kind[] = {[FITS_RICE_FLUX] = RICE_1,
                               [FITS_RICE_IVAR] = RICE_1,
                               [FITS_GZIP_LOSSLESS] = GZIP_2,
                               [FITS_HCOMPRESS] = HCOMPRESS_1};
    fits_set_compression_type(handle, kind[compression], code);
    fits_set_tile_dim(handle, n_axes, tile, code);
    switch (compression) {
    case FITS_RICE_FLUX:
        fits_set_quantize_level(handle, -1e-4f, code);
        fits_set_quantize_method(handle, SUBTRACTIVE_DITHER_2, code);
        fits_set_dither_seed(handle, -1, code); /* from the checksum of the first tile */
        break;
    case FITS_RICE_IVAR:
        fits_set_quantize_level(handle, 16, code);
        fits_set_quantize_method(handle, NO_DITHER, code);
        break;
    default: fits_set_quantize_level(handle, 0, code); fits_set_quantize_method(handle, NO_DITHER, code);
    }
}

static int bitpix_of(FitsType type, bool unsigned_mask)
{
    switch (type) {
    case FITS_U8: return BYTE_IMG;
    case FITS_I16: return SHORT_IMG;
    case FITS_I32: return unsigned_mask ? ULONG_IMG : LONG_IMG;
    case FITS_I64: return LONGLONG_IMG;
    case FITS_F32: return FLOAT_IMG;
    default: return DOUBLE_IMG;
    }
}

Status fitsfile_new_image(FitsFile *f, const char *extname, FitsType type, bool unsigned_mask, const int64_t *dims,
                          int n_axes, FitsCompression compression)
{
    LONGLONG sizes[FITS_AXES] = {1, 1, 1};
    int code = 0;
    MUST(n_axes >= 1 && n_axes <= FITS_AXES && type != FITS_TEXT && type != FITS_BOOL);
    for (int i = 0; i < n_axes; i++) sizes[i] = dims[n_axes - 1 - i];
    set_compression(f->handle, compression, n_axes, &code);
    fits_create_imgll(f->handle, bitpix_of(type, unsigned_mask), n_axes, sizes, &code);
    fits_set_compression_type(f->handle, 0,
                              &code); /* a request of the file, not of the HDU: later images choose anew */
    if (code == 0 && extname && extname[0])
        fits_update_key(f->handle, TSTRING, "EXTNAME", (char *)extname, NULL, &code);
    if (code) return FITS_FAIL(f, E_OUTPUT, code, "cannot create image %s", extname ? extname : "");
    fitsfile_name_hdu(f);
    return OK;
}

/* ---- data ---- */

static Status column_to_write(int *number, int64_t *width, FitsFile *f, const char *column)
{
    int code = 0, type = 0;
    LONGLONG repeat = 0;
    if (!fitsfile_find_column(number, f, column)) return FITS_FAIL(f, E_OUTPUT, 0, "has no column %s to write", column);
    fits_get_coltypell(f->handle, *number, &type, &repeat, NULL, &code);
    if (code) return FITS_FAIL(f, E_OUTPUT, code, "column %s: cannot read its format", column);
    *width = repeat;
    return OK;
}

Status fitsfile_write_column(FitsFile *f, const char *column, FitsType type, const void *data, int64_t first, int64_t n)
{
    int number, code = 0;
    int64_t width = 0;
    MUST(type != FITS_TEXT);
    TRY(column_to_write(&number, &width, f, column));
    if (n * width == 0) return OK;
    fits_write_col(f->handle, fitsfile_code(type), number, first + 1, 1, n * width, (void *)data, &code);
    if (code) return FITS_FAIL(f, E_OUTPUT, code, "column %s: cannot write %lld rows", column, (long long)n);
    return OK;
}

Status fitsfile_write_text(FitsFile *f, const char *column, const char *data, size_t cell, int64_t first, int64_t n)
{
    int number, code = 0;
    int64_t width = 0;
    TRY(column_to_write(&number, &width, f, column));
    if (n == 0 || width == 0) return OK;
    char **row = malloc(TEXT_ROWS * sizeof *row);
    char *buffer = calloc(TEXT_ROWS, cell + 1);
    Status st = OK;
    if (!row || !buffer) {
        st = FITS_FAIL(f, E_MEMORY, 0, "column %s: no memory for %d texts", column, TEXT_ROWS);
        goto done;
    }
    for (int i = 0; i < TEXT_ROWS; i++) row[i] = buffer + (size_t)i * (cell + 1);
    for (int64_t at = 0; at < n && code == 0; at += TEXT_ROWS) {
        int64_t m = n - at < TEXT_ROWS ? n - at : TEXT_ROWS;
        for (int64_t i = 0; i < m; i++) {
            const char *text = data + (size_t)(at + i) * cell;
            size_t length = strnlen(text, cell);
            if (length > (size_t)width) {
                st = FITS_FAIL(f, E_OUTPUT, 0, "column %s: '%.*s' in row %lld is longer than %lld characters", column,
                               (int)length, text, (long long)(first + at + i), (long long)width);
                goto done;
            }
            memcpy(row[i], text, length);
            row[i][length] = '\0';
        }
        fits_write_col(f->handle, TSTRING, number, first + at + 1, 1, m, row, &code);
    }
    if (code) st = FITS_FAIL(f, E_OUTPUT, code, "column %s: cannot write texts", column);
done:
    free(row);
    free(buffer);
    return st;
}

/* Copies with NaN replaced by a number that no survey measures, for cfitsio to mark as blank. */
static void hide_nan(void *copy, const void *data, int type, int64_t n)
{
    const float *f32 = data;
    const double *f64 = data;
    if (type == TFLOAT)
        for (int64_t i = 0; i < n; i++) ((float *)copy)[i] = isnan(f32[i]) ? -FLT_MAX : f32[i];
    else
        for (int64_t i = 0; i < n; i++) ((double *)copy)[i] = isnan(f64[i]) ? -DBL_MAX : f64[i];
}

/* cfitsio quantises NaN as if it were a number unless a value is named that means "blank", and NaN equals no value. So
   compressed images of floats go out in bands of one row of tiles, through a copy. */
static Status write_bands(FitsFile *f, int type, const void *data, const int64_t *dims, int axes)
{
    float blank32 = -FLT_MAX;
    double blank64 = -DBL_MAX;
    size_t size = type == TFLOAT ? sizeof(float) : sizeof(double);
    int64_t across = dims[axes - 1], rows = 1; /* rows of all planes on top of each other */
    for (int i = 0; i < axes - 1; i++) rows *= dims[i];
    int64_t height = axes > 1 ? dims[axes - 2] : 1; /* rows per plane: a band stays inside one */
    void *copy = malloc((size_t)(height < TILE ? height : TILE) * (size_t)across * size);
    if (!copy) return FITS_FAIL(f, E_MEMORY, 0, "no memory for %lld pixels", (long long)(TILE * across));
    int code = 0;
    for (int64_t at = 0, band; at < rows && code == 0; at += band) {
        int64_t left = height - at % height;
        band = left < TILE ? left : TILE;
        LONGLONG corner[FITS_AXES] = {1, at % height + 1, at / height + 1};
        hide_nan(copy, (const char *)data + (size_t)(at * across) * size, type, band * across);
        fits_write_pixnullll(f->handle, type, corner, band * across, copy, type == TFLOAT ? (void *)&blank32 : &blank64,
                             &code);
    }
    free(copy);
    if (code) return FITS_FAIL(f, E_OUTPUT, code, "cannot write the image");
    return OK;
}

static Status write_image(FitsFile *f, int type, const void *data, int64_t n)
{
    LONGLONG corner[FITS_AXES] = {1, 1, 1};
    int64_t dims[FITS_AXES] = {0}, pixels = 1;
    int axes = 0, code = 0;
    TRY(fitsfile_image_size(dims, &axes, f));
    for (int i = 0; i < axes; i++) pixels *= dims[i];
    if (n != pixels)
        return FITS_FAIL(f, E_OUTPUT, 0, "%lld pixels given for an image of %lld", (long long)n, (long long)pixels);
    if (n == 0) return OK;
    if ((type == TFLOAT || type == TDOUBLE) && fits_is_compressed_image(f->handle, &code))
        return write_bands(f, type, data, dims, axes);
    fits_write_pixll(f->handle, type, corner, n, (void *)data, &code);
    if (code) return FITS_FAIL(f, E_OUTPUT, code, "cannot write the image");
    return OK;
}

Status fitsfile_write_pixels(FitsFile *f, FitsType type, const void *data, int64_t n)
{
    MUST(type != FITS_TEXT && type != FITS_BOOL);
    return write_image(f, fitsfile_code(type), data, n);
}

Status fitsfile_write_slices(FitsFile *f, FitsType type, const void *data, int64_t first, int64_t n)
{
    LONGLONG corner[FITS_AXES] = {1, 1, 1};
    int64_t dims[FITS_AXES] = {0}, pixels = n;
    int axes = 0, code = 0;
    TRY(fitsfile_image_size(dims, &axes, f));
    MUST(axes > 0 && first >= 0 && n >= 0 && first + n <= dims[0]);
    for (int i = 1; i < axes; i++) pixels *= dims[i];
    if (pixels == 0) return OK;
    corner[axes - 1] = first + 1;
    fits_write_pixll(f->handle, fitsfile_code(type), corner, pixels, (void *)data, &code);
    if (code) return FITS_FAIL(f, E_OUTPUT, code, "cannot write the image");
    return OK;
}

Status fitsfile_write_mask(FitsFile *f, const uint32_t *data, int64_t n) { return write_image(f, TUINT, data, n); }

/* ---- keywords ---- */

static const char *comment_or_null(const char *comment) { return comment && comment[0] ? comment : NULL; }

Status fitsfile_put_text(FitsFile *f, const char *key, const char *value, const char *comment)
{
    int code = 0;
    char *plain = strdup(value);
    if (!plain) return FITS_FAIL(f, E_MEMORY, 0, "keyword %s: no memory", key);
    for (char *c = plain; *c; c++)
        if (*c < 32 || *c > 126) *c = '?'; /* headers hold printable ASCII only */
    if (strlen(plain) > LONG_TEXT) fits_write_key_longwarn(f->handle, &code);
    fits_update_key_longstr(f->handle, key, plain, comment_or_null(comment), &code);
    free(plain);
    if (code) return FITS_FAIL(f, E_OUTPUT, code, "cannot write keyword %s", key);
    return OK;
}

Status fitsfile_put_i64(FitsFile *f, const char *key, int64_t value, const char *comment)
{
    LONGLONG copy = value;
    int code = 0;
    fits_update_key(f->handle, TLONGLONG, key, &copy, comment_or_null(comment), &code);
    if (code) return FITS_FAIL(f, E_OUTPUT, code, "cannot write keyword %s", key);
    return OK;
}

/* 15 digits where they say it all, 17 otherwise: what is read back is the same double. */
Status fitsfile_put_f64(FitsFile *f, const char *key, double value, const char *comment)
{
    char text[40];
    int code = 0;
    if (!isfinite(value)) return FITS_FAIL(f, E_OUTPUT, 0, "keyword %s: FITS has no %g in headers", key, value);
    snprintf(text, sizeof text, "%.15G", value);
    int digits = strtod(text, NULL) == value ? 15 : 17;
    fits_update_key_dbl(f->handle, key, value, -digits, comment_or_null(comment), &code);
    if (code) return FITS_FAIL(f, E_OUTPUT, code, "cannot write keyword %s", key);
    return OK;
}

Status fitsfile_put_bool(FitsFile *f, const char *key, bool value, const char *comment)
{
    int copy = value, code = 0;
    fits_update_key(f->handle, TLOGICAL, key, &copy, comment_or_null(comment), &code);
    if (code) return FITS_FAIL(f, E_OUTPUT, code, "cannot write keyword %s", key);
    return OK;
}

/* ---- checksums ---- */

/* The sum of a stretch of the file as it is on disk. */
static Status sum_bytes(uint32_t *sum, const FitsFile *f, int64_t start, int64_t bytes)
{
    enum { AT_ONCE = 1 << 20 };
    Status st = OK;
    char literal[FITS_PATH + 2];
    TRY(fitsfile_literal(literal, f->path, E_OUTPUT));
    unsigned char *buffer = malloc(AT_ONCE);
    const int fd = open(literal, O_RDONLY | O_CLOEXEC);
    if (!buffer || fd < 0) st = FITS_FAIL(f, E_OUTPUT, 0, "cannot be read again for its checksum: %s", strerror(errno));
    *sum = 0;
    for (int64_t at = 0; at < bytes && st == OK;) {
        const int64_t want = bytes - at < AT_ONCE ? bytes - at : AT_ONCE;
        const ssize_t got = pread(fd, buffer, (size_t)want, start + at);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) {
            st = FITS_FAIL(f, E_OUTPUT, 0, "cannot be read again for its checksum: %s",
                           got < 0 ? strerror(errno) : "it is too short; is the disk full?");
            break;
        }
        *sum = fitssum_add(*sum, buffer, got, at);
        at += got;
    }
    if (fd >= 0) close(fd);
    free(buffer);
    return st;
}

Status fitsfile_put_checksum(FitsFile *f)
{
    int64_t start, bytes;
    uint32_t sum;
    TRY(fitsfile_data_span(&start, &bytes, f)); /* what is written so far is in the file now */
    TRY(sum_bytes(&sum, f, start, bytes));
    return fitsfile_put_datasum(f, sum);
}

/* Not by cfitsio, which notes the time: the same data would make other bytes each time. */
Status fitsfile_put_datasum(FitsFile *f, uint32_t datasum)
{
    static const char comment[] = "HDU checksum";
    char text[20];
    uint32_t sum;
    LONGLONG start = 0, end = 0;
    int code = 0;
    snprintf(text, sizeof text, "%u", datasum);
    fits_update_key(f->handle, TSTRING, "CHECKSUM", "0000000000000000", comment, &code);
    fits_update_key(f->handle, TSTRING, "DATASUM", text, "data unit checksum", &code);
    fits_flush_file(f->handle, &code); /* ends the header */
    fits_get_hduaddrll(f->handle, &start, &end, NULL, &code);
    if (code) return FITS_FAIL(f, E_OUTPUT, code, "cannot write the checksum");
    TRY(sum_bytes(&sum, f, start, end - start));
    fits_encode_chksum(fitssum_fold((uint64_t)sum + datasum), 1, text);
    fits_update_key(f->handle, TSTRING, "CHECKSUM", text, comment, &code);
    if (code) return FITS_FAIL(f, E_OUTPUT, code, "cannot write the checksum");
    return OK;
}

Status fitsfile_finish(FitsFile *f)
{
    int code = 0;
    fitsfile *handle = f->handle;
    f->handle = NULL; /* cfitsio frees it even if closing fails */
    fits_close_file(handle, &code);
    f->hdu[0] = '\0';
    if (code) return FITS_FAIL(f, E_OUTPUT, code, "cannot be finished");
    return OK;
}
