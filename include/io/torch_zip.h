/* torch_zip.h - the container of PyTorch checkpoints: a ZIP archive whose entries are stored, not compressed (spec.md 7.1).

   Reading goes by the central directory, ZIP64 included; nothing is believed before it was compared with the size of the file, and the CRC-32 of an
   entry is verified before its bytes are handed out. Local, all of it. */
#ifndef IO_TORCH_ZIP_H
#define IO_TORCH_ZIP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/arena.h"

enum { TORCH_ZIP_PATH = 1024, TORCH_ZIP_ALIGN = 64 };

typedef struct {
    const char *name;
    int64_t bytes;
    int64_t header; /* position of the local header in the file */
    int64_t data;   /* position of the bytes; 0 = not looked up */
    uint32_t crc;
    bool verified; /* the bytes were compared with the CRC */
} TorchZipEntry;

typedef struct {
    int fd;
    bool is_open;
    int64_t bytes;     /* of the file                                     */
    int64_t directory; /* where the central directory begins, data end    */
    int64_t n;
    TorchZipEntry *entry; /* (n) sorted by name */
    char path[TORCH_ZIP_PATH];
} TorchZip;

/* The directory goes into `a`. E_INPUT says what is wrong: cut off, compressed, encrypted, an old format of PyTorch. */
Status torch_zip_open(TorchZip *z, const char *path, Arena *a);
void torch_zip_close(TorchZip *z); /* twice-safe */

TorchZipEntry *torch_zip_find(const TorchZip *z, const char *name); /* NULL if absent */

/* Bytes [first, first + bytes) of an entry. The first read of an entry verifies its CRC: in the same pass when it reads the whole. */
Status torch_zip_read(void *out, const TorchZip *z, TorchZipEntry *e, int64_t first, int64_t bytes);

/* ---- writing ---- */

typedef struct TorchZipWritten TorchZipWritten;

typedef struct {
    FILE *f;
    int64_t at; /* bytes written */
    int64_t n;
    TorchZipWritten *first, *last;
    Arena *a; /* borrowed: names and positions */
    char path[TORCH_ZIP_PATH];
} TorchZipWriter;

/* Writes PATH.part. */
Status torch_zip_create(TorchZipWriter *w, const char *path, Arena *a);
/* One stored entry; its bytes begin at a multiple of TORCH_ZIP_ALIGN, as PyTorch does it for memory mapping. */
Status torch_zip_put(TorchZipWriter *w, const char *name, const void *data, int64_t bytes);
/* The directory, then the final name. */
Status torch_zip_finish(TorchZipWriter *w);
void torch_zip_abandon(TorchZipWriter *w); /* closes and removes PATH.part if it is still being written; twice-safe */

#endif
