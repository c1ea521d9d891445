/* gzip.c - a file compressed as gzip does it; its checksum; whether a stream is whole. */
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

bool gzip_ends(const void *data, size_t bytes, int64_t most)
{
    unsigned char out[1 << 14]; /* what comes out is only counted */
    z_stream z = {.next_in = (unsigned char *)data, .avail_in = (unsigned)bytes};
    int code = Z_OK;
    if (bytes > UINT32_MAX || inflateInit2(&z, 15 + 16) != Z_OK) return false; /* 16: with the header of gzip */
    for (int64_t total = 0; code == Z_OK && total <= most; total += (int64_t)(sizeof out - z.avail_out)) {
        z.next_out = out;
        z.avail_out = sizeof out;
        code = inflate(&z, Z_NO_FLUSH); /* no input left before the end: Z_BUF_ERROR */
    }
    bool good = code == Z_STREAM_END && z.total_out <= (uint64_t)most;
    inflateEnd(&z);
    return good;
}

bool gzip_unpack(void *out, size_t size, const void *data, size_t bytes)
{
    z_stream z = {.next_in = (unsigned char *)data,
                  .avail_in = (unsigned)bytes,
                  .next_out = out,
                  .avail_out = (unsigned)size};
    if (bytes > UINT32_MAX || size > UINT32_MAX || inflateInit2(&z, 15 + 16) != Z_OK) return false;
    const bool good = inflate(&z, Z_FINISH) == Z_STREAM_END && z.avail_out == 0;
    inflateEnd(&z);
    return good;
}

bool gzip_unpacks_to(const char *path, int64_t claimed)
{
    char buffer[1 << 16];
    uint32_t total = 0;
    gzFile in = gzopen(path, "rb");
    if (!in) return false;
    int n;
    while ((n = gzread(in, buffer, sizeof buffer)) > 0) total += (uint32_t)n;
    const bool good = gzclose(in) == Z_OK && n == 0; /* closing tells of a stream that does not end */
    return good && total == (uint32_t)claimed;
}

uint32_t gzip_crc32(uint32_t crc, const void *data, size_t bytes) { return (uint32_t)crc32_z(crc, data, bytes); }
