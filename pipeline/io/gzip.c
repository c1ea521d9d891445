/* gzip.c - a file compressed as gzip does it; its checksum. */
#include "io/gzip.h"

#include <stdio.h>
#include <zlib.h>

Status gzip_file(const char *to, const char *from)
{
    char buffer[1 << 16];
    FILE *in = fopen(from, "rb");
    if (!in) return FAIL(E_INPUT, "%s: cannot be read", from);
    gzFile out = gzopen(to, "wb6");
    bool good = out != NULL;
    for (size_t n; good && (n = fread(buffer, 1, sizeof buffer, in)) > 0;)
        good = gzwrite(out, buffer, (unsigned)n) == (int)n;
    good = good && !ferror(in);
    fclose(in);
    if (out && gzclose(out) != Z_OK) good = false;
    return good ? OK : FAIL(E_OUTPUT, "%s: cannot be written", to);
}

uint32_t gzip_crc32(uint32_t crc, const void *data, size_t bytes) { return (uint32_t)crc32_z(crc, data, bytes); }
