/* gzip.h - zlib's one home. Local. */
#ifndef IO_GZIP_H
#define IO_GZIP_H

#include "core/fail.h"

/* Writes `to` as the gzip of the file `from`. */
Status gzip_file(const char *to, const char *from);

#endif
