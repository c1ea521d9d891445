/* rowbytes.c - numbers in the byte order of FITS, and writing at offsets. */
#include "tables/rowbytes.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

void put_big_endian(unsigned char *out, uint64_t bits, int64_t bytes)
{
    for (int64_t i = 0; i < bytes; i++) out[i] = (unsigned char)(bits >> (8 * (bytes - 1 - i)));
}

void put_f64(unsigned char *out, double x)
{
    uint64_t bits = 0x7ff8000000000000u;
    if (!isnan(x)) memcpy(&bits, &x, sizeof bits);
    put_big_endian(out, bits, sizeof bits);
}

void put_f32(unsigned char *out, double value)
{
    float x = (float)value;
    uint32_t bits = 0x7fc00000u;
    if (!isnan(x)) memcpy(&bits, &x, sizeof bits);
    put_big_endian(out, bits, sizeof bits);
}

void put_text(unsigned char *out, const char *text, size_t cell, int64_t width)
{
    size_t length = strnlen(text, cell);
    for (int64_t i = 0; i < width; i++) {
        char c = i < (int64_t)length ? text[i] : ' ';
        out[i] = (unsigned char)(c >= ' ' && c <= '~' ? c : '?');
    }
}

Status rowbytes_write(int fd, const char *path, const unsigned char *bytes, int64_t n, int64_t offset)
{
    while (n > 0) {
        ssize_t written = pwrite(fd, bytes, (size_t)(n < 1 << 30 ? n : 1 << 30), offset);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0)
            return FAIL(E_OUTPUT, "%s: cannot write rows: %s", path,
                        written < 0 ? strerror(errno) : "is the disk full?");
        bytes += written;
        offset += written;
        n -= written;
    }
    return OK;
}

Status rowbytes_close(int fd, const char *path, Status st)
{
    if (st == OK && fsync(fd) != 0 && errno != EINVAL)
        st = FAIL(E_OUTPUT, "%s: cannot be synced to disk: %s", path, strerror(errno));
    if (close(fd) != 0 && st == OK) st = FAIL(E_OUTPUT, "%s: cannot be closed: %s", path, strerror(errno));
    return st;
}
