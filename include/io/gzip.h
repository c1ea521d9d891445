/* gzip.h - zlib's one home: compressed files, and the CRC-32 of the gzip and ZIP formats. Local. */
#ifndef IO_GZIP_H
#define IO_GZIP_H

#include <stdbool.h>
#include <stdint.h>

#include "core/fail.h"

/* Writes `to` as the gzip of the file `from`. */
Status gzip_file(const char *to, const char *from);

/* True when `bytes` bytes are one whole gzip stream that unpacks to at most `most` bytes. */
bool gzip_ends(const void *data, size_t bytes, int64_t most);

/* The stream's `size` bytes; false when it is damaged or has another number of them. */
bool gzip_unpack(void *out, size_t size, const void *data, size_t bytes);

/* True when the gzip file at `path` unpacks to as many bytes, modulo 2^32, as `claimed`. Unpacks it, in little memory. */
bool gzip_unpacks_to(const char *path, int64_t claimed);

/* CRC-32 of `bytes` bytes that follow those of `crc`; start with 0. */
uint32_t gzip_crc32(uint32_t crc, const void *data, size_t bytes);

#endif
