/* fitsfile.c - opening FITS files, finding HDUs, keywords and checksums.

   Files come from outside and may be anything, so a path is opened only if it is a regular file that begins like FITS
   or gzip: cfitsio would otherwise wait on pipes, guess at compression formats and read names as expressions. HDUs are
   found by comparing EXTNAME here, because cfitsio's own search knows wildcards. */
#include "io/fitsfile.h"

#include <errno.h>
#include <fcntl.h>
#include <fitsio.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fitsfile_impl.h"
#include "io/gzip.h"

Status fitsfile_fail(const FitsFile *f, Status kind, int code, const char *file, int line, const char *format, ...)
{
    char what[1024], text[FLEN_STATUS] = "", detail[FLEN_ERRMSG] = "";
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    if (code) {
        fits_get_errstatus(code, text);
        fits_read_errmsg(detail); /* the oldest message is the nearest to the cause */
    }
    fits_clear_errmsg();
    bool in_hdu = f->hdu[0] != '\0', full = kind == E_OUTPUT && (code == WRITE_ERROR || code == FILE_NOT_CLOSED);
    return fail_set(kind, file, line, "%s:%s%s%s %s%s%s%s%s%s%s", f->path, in_hdu ? " HDU " : "", f->hdu,
                    in_hdu ? ":" : "", what, code ? ": cfitsio says: " : "", text, detail[0] ? " (" : "", detail,
                    detail[0] ? ")" : "", full ? "; is the disk full?" : "");
}

Status fitsfile_literal(char out[FITS_PATH + 2], const char *path, Status kind)
{
    if (strlen(path) >= FITS_PATH - 4)
        return FAIL(kind, "%.60s...: the path is longer than %d characters", path, FITS_PATH - 5);
    snprintf(out, FITS_PATH + 2, "%s%s", path[0] == '/' ? "" : "./", path);
    return OK;
}

/* ---- opening ---- */

/* A gzip trailer gives the length, modulo 2^32, that cfitsio allocates before it has unpacked a byte, at least the length
   of the file; deflate cannot grow data more than 1032-fold. Survey files grow a few times: a trailer that claims more
   than UNLIKELY times is believed when the data say so too. */
static Status check_gzip(int fd, const char *path, int64_t bytes)
{
    enum { UNLIKELY = 30 };
    unsigned char end[4];
    if (bytes < 18 || pread(fd, end, 4, bytes - 4) != 4)
        return FAIL(E_INPUT, "%s: a gzip file of %lld bytes is cut short", path, (long long)bytes);
    int64_t unpacked = end[0] | end[1] << 8 | end[2] << 16 | (int64_t)end[3] << 24;
    while (unpacked < bytes) unpacked += (int64_t)1 << 32;
    if (unpacked > 1040 * bytes || (unpacked > UNLIKELY * bytes && !gzip_unpacks_to(path, unpacked)))
        return FAIL(E_INPUT, "%s: claims to unpack %lld bytes to %lld: damaged gzip file", path, (long long)bytes,
                    (long long)unpacked);
    return OK;
}

static Status check_start(int fd, const char *path)
{
    struct stat info;
    char head[9] = "";
    if (fstat(fd, &info) != 0) return FAIL(E_INPUT, "cannot open %s: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode)) return FAIL(E_INPUT, "%s: is not a regular file", path);
    if (info.st_size == 0) return FAIL(E_INPUT, "%s: is empty", path);
    if (pread(fd, head, 9, 0) == 9) {
        if (memcmp(head, "\x1f\x8b", 2) == 0) return check_gzip(fd, path, info.st_size);
        if (memcmp(head, "SIMPLE  =", 9) == 0) return OK;
    }
    return FAIL(E_INPUT, "%s: is not a FITS file (it begins neither with SIMPLE nor like gzip)", path);
}

static Status open_literal(FitsFile *f, const char *literal, int mode, Status kind)
{
    fitsfile *handle = NULL;
    int code = 0;
    fits_open_diskfile(&handle, literal, mode, &code);
    if (code) return FITS_FAIL(f, kind, code, "cannot be %s as FITS", mode == READONLY ? "read" : "opened for writing");
    f->handle = handle;
    fitsfile_name_hdu(f);
    return OK;
}

Status fitsfile_open(FitsFile *f, const char *path)
{
    char literal[FITS_PATH + 2];
    memset(f, 0, sizeof *f);
    TRY(fitsfile_literal(literal, path, E_INPUT));
    snprintf(f->path, sizeof f->path, "%s", path);
    int fd = open(literal, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* a pipe without a writer must not hold us */
    if (fd < 0) return FAIL(E_INPUT, "cannot open %s: %s", path, strerror(errno));
    Status st = check_start(fd, path);
    close(fd);
    TRY(st);
    return open_literal(f, literal, READONLY, E_INPUT);
}

Status fitsfile_reopen(FitsFile *f, const char *path)
{
    char literal[FITS_PATH + 2];
    memset(f, 0, sizeof *f);
    TRY(fitsfile_literal(literal, path, E_OUTPUT));
    snprintf(f->path, sizeof f->path, "%s", path);
    return open_literal(f, literal, READWRITE, E_OUTPUT);
}

void fitsfile_close(FitsFile *f)
{
    if (!f || !f->handle) return;
    int code = 0;
    fits_close_file(f->handle, &code);
    fits_clear_errmsg();
    f->handle = NULL;
}

/* ---- HDUs ---- */

static bool read_extname(char name[FLEN_VALUE], fitsfile *handle)
{
    int code = 0;
    name[0] = '\0';
    fits_write_errmark();
    fits_read_key(handle, TSTRING, "EXTNAME", name, NULL, &code);
    fits_clear_errmark();
    return code == 0;
}

void fitsfile_name_hdu(FitsFile *f)
{
    char name[FLEN_VALUE];
    int number = 1;
    fits_get_hdu_num(f->handle, &number);
    if (read_extname(name, f->handle) && name[0])
        snprintf(f->hdu, sizeof f->hdu, "%s", name);
    else
        snprintf(f->hdu, sizeof f->hdu, "%d", number - 1);
    for (char *c = f->hdu; *c; c++)
        if (*c < 32 || *c > 126) *c = '?';
}

static void go_back(FitsFile *f, int number)
{
    fitsfile_move(f, number);
    fits_clear_errmsg();
}

/* Moves to the first HDU of that name; otherwise stays where the search ended and returns cfitsio's status of the last
   step. */
static int search(FitsFile *f, const char *extname)
{
    char name[FLEN_VALUE];
    for (int number = 1;; number++) {
        int code = fitsfile_move(f, number);
        if (code) return code;
        if (read_extname(name, f->handle) && strcasecmp(name, extname) == 0) return 0;
    }
}

/* Bytes that the file lacks of the current HDU's data. */
static int64_t bytes_short(fitsfile *handle)
{
    LONGLONG end = 0;
    int code = 0;
    fits_get_hduaddrll(handle, NULL, NULL, &end, &code);
    return code || end <= handle->Fptr->filesize ? 0 : end - handle->Fptr->filesize;
}

static Status not_found(FitsFile *f, const char *extname, int code)
{
    fitsfile_name_hdu(f); /* the last HDU that could be read */
    if (code != END_OF_FILE)
        return FITS_FAIL(f, E_INPUT, code, "the HDU after this one is damaged; looking for %s", extname);
    int64_t missing = bytes_short(f->handle);
    if (missing > 0)
        return FITS_FAIL(f, E_INPUT, 0, "the file ends %lld bytes before the end of this HDU, %s not found: truncated?",
                         (long long)missing, extname);
    fits_clear_errmsg();
    return FAIL(E_INPUT, "%s: has no HDU %s (the last one is %s)", f->path, extname, f->hdu);
}

Status fitsfile_goto(FitsFile *f, const char *extname)
{
    int before = 1;
    fits_get_hdu_num(f->handle, &before);
    int code = search(f, extname);
    Status st = code ? not_found(f, extname, code) : OK;
    if (st != OK) go_back(f, before);
    fitsfile_name_hdu(f);
    return st;
}

bool fitsfile_has(FitsFile *f, const char *extname)
{
    int before = 1;
    fits_get_hdu_num(f->handle, &before);
    bool found = search(f, extname) == 0;
    go_back(f, before);
    return found;
}

Status fitsfile_goto_number(FitsFile *f, int hdu)
{
    int before = 1;
    fits_get_hdu_num(f->handle, &before);
    int code = hdu < 0 ? BAD_HDU_NUM : fitsfile_move(f, hdu + 1);
    if (code) {
        Status st = FITS_FAIL(f, E_INPUT, code, "cannot go to HDU number %d (0 is the primary)", hdu);
        go_back(f, before);
        return st;
    }
    fitsfile_name_hdu(f);
    return OK;
}

Status fitsfile_goto_image(FitsFile *f)
{
    for (int number = 1;; number++) {
        int type = 0, axes = 0, code = fitsfile_move(f, number);
        if (code) return FITS_FAIL(f, E_INPUT, code == END_OF_FILE ? 0 : code, "no HDU up to this one holds an image");
        fitsfile_name_hdu(f);
        fits_get_hdu_type(f->handle, &type, &code);
        if (type != IMAGE_HDU) continue;
        fits_get_img_dim(f->handle, &axes, &code);
        if (code) return FITS_FAIL(f, E_INPUT, code, "cannot read NAXIS");
        if (axes > 0) return OK;
    }
}

void fitsfile_count(int *n, bool *whole, FitsFile *f)
{
    int before = 1, code = 0;
    fits_get_hdu_num(f->handle, &before);
    *n = 0;
    *whole = true;
    while ((code = fitsfile_move(f, *n + 1)) == 0) {
        ++*n;
        *whole = *whole && bytes_short(f->handle) == 0;
    }
    *whole = *whole && code == END_OF_FILE;
    go_back(f, before);
}

/* ---- keywords ---- */

/* The type that the card itself shows: C text, I integer, F real, L logical; 0 = absent or undefined. */
static char value_type(FitsFile *f, const char *key)
{
    char value[FLEN_VALUE], type = 0;
    int code = 0;
    fits_read_keyword(f->handle, key, value, NULL, &code);
    fits_get_keytype(value, &type, &code);
    fits_clear_errmsg();
    return code ? 0 : type;
}

static bool read_key(void *out, FitsFile *f, const char *key, int type)
{
    int code = 0;
    fits_read_key(f->handle, type, key, out, NULL, &code);
    fits_clear_errmsg();
    return code == 0;
}

bool fitsfile_get_f64(double *out, FitsFile *f, const char *key)
{
    char type = value_type(f, key);
    double value;
    if ((type != 'F' && type != 'I') || !read_key(&value, f, key, TDOUBLE) || !isfinite(value)) return false;
    *out = value;
    return true;
}

bool fitsfile_get_i64(int64_t *out, FitsFile *f, const char *key)
{
    LONGLONG value;
    if (value_type(f, key) != 'I' || !read_key(&value, f, key, TLONGLONG)) return false;
    *out = value;
    return true;
}

bool fitsfile_get_bool(bool *out, FitsFile *f, const char *key)
{
    int value;
    if (value_type(f, key) != 'L' || !read_key(&value, f, key, TLOGICAL)) return false;
    *out = value != 0;
    return true;
}

bool fitsfile_get_text(char *out, size_t size, FitsFile *f, const char *key)
{
    if (value_type(f, key) != 'C') return false;
    char *value = NULL;
    int code = 0;
    fits_read_key_longstr(f->handle, key, &value, NULL, &code); /* follows CONTINUE cards; allocates */
    bool found = code == 0 && value;
    if (found) snprintf(out, size, "%s", value);
    code = 0;
    if (value) fits_free_memory(value, &code);
    fits_clear_errmsg();
    return found;
}

/* ---- checks ---- */

Status fitsfile_verify(FitsFile *f, bool *data_ok, bool *present)
{
    int data = 0, whole = 0, code = 0;
    fits_verify_chksum(f->handle, &data, &whole, &code);
    if (code) return FITS_FAIL(f, E_INPUT, code, "cannot compute the checksum");
    *present = data != 0;
    *data_ok = data == 1;
    return OK;
}

/* From the keywords, because cfitsio counts the padding to 2880 bytes too. */
Status fitsfile_data_span(int64_t *start, int64_t *bytes, FitsFile *f)
{
    LONGLONG from = 0, bitpix = 0, axes = 0, side = 0, heap = 0;
    int64_t count = 1;
    int code = 0, mode = READONLY, absent = 0;
    char key[FLEN_KEYWORD];
    fits_file_mode(f->handle, &mode, &code);
    if (mode == READWRITE && fits_flush_file(f->handle, &code))
        return FITS_FAIL(f, E_OUTPUT, code, "cannot be written");
    fits_get_hduaddrll(f->handle, NULL, &from, NULL, &code);
    fits_read_key(f->handle, TLONGLONG, "BITPIX", &bitpix, NULL, &code);
    fits_read_key(f->handle, TLONGLONG, "NAXIS", &axes, NULL, &code);
    for (int i = 1; i <= axes && code == 0; i++) {
        snprintf(key, sizeof key, "NAXIS%d", i);
        fits_read_key(f->handle, TLONGLONG, key, &side, NULL, &code);
        if (side < 0 || __builtin_mul_overflow(count, (int64_t)side, &count))
            return FITS_FAIL(f, E_INPUT, 0, "%s is absurd", key);
    }
    if (code) return FITS_FAIL(f, E_INPUT, code, "cannot find the data");
    fits_read_key(f->handle, TLONGLONG, "PCOUNT", &heap, NULL, &absent);
    fits_clear_errmsg();
    if (axes == 0) count = 0;
    if (heap < 0 || __builtin_add_overflow(count, (int64_t)heap, &count) ||
        __builtin_mul_overflow(count, (int64_t)llabs(bitpix) / 8, &count))
        return FITS_FAIL(f, E_INPUT, 0, "the sizes in the header are absurd: damaged?");
    *start = from;
    *bytes = count;
    return OK;
}

const char *fitsfile_version(void)
{
    static char text[16];
    float version;
    fits_get_version(&version);
    snprintf(text, sizeof text, "%.2f", (double)version);
    return text;
}

bool fitsfile_is_reentrant(void) { return fits_is_reentrant() != 0; }
