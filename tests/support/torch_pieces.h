/* torch_pieces.h - checkpoints put together by hand in tests: one tensor of any type, offset, sizes and strides, or any pickle at all. */
#ifndef TORCH_PIECES_H
#define TORCH_PIECES_H

#include <stdio.h>
#include <string.h>

#include "io/torch_zip.h"
#include "test_main.h"

/* A file of this test's folder, in one of four rotating buffers. */
static inline const char *piece_path(const char *name)
{
    static char path[4][TORCH_ZIP_PATH];
    static int next;
    char *out = path[next++ & 3];
    snprintf(out, TORCH_ZIP_PATH, "%s/%s", test_folder(), name);
    return out;
}

typedef struct {
    const char *name, *storage; /* "weight", "HalfStorage" */
    const void *bytes;
    int n_bytes, n_stored, offset, n_dims;
    int dims[2], stride[2];
} Piece;

/* Any pickle with one storage "0". */
static inline const char *put_pickle(const char *name, const char *pickle, size_t n, const void *storage, int64_t bytes)
{
    TorchZipWriter w;
    const char *path = piece_path(name);
    CHECK_OK(torch_zip_create(&w, path, &test_arena));
    CHECK_OK(torch_zip_put(&w, "any/data.pkl", pickle, (int64_t)n));
    CHECK_OK(torch_zip_put(&w, "any/data/0", storage, bytes));
    CHECK_OK(torch_zip_finish(&w));
    return path;
}

/* {"state_dict": {name: tensor}} */
static inline const char *put_piece(const char *file, const Piece *p)
{
    char text[1024], *at = text;
    const uint32_t length = (uint32_t)strlen(p->name);
    at += sprintf(at, "\x80\x02}U\nstate_dict}X");
    memcpy(at, &length, 4);
    at += 4;
    at += sprintf(at,
                  "%sctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\n%s\nU\x01"
                  "0U\x03"
                  "cpu",
                  p->name, p->storage);
    const int numbers[] = {p->n_stored, p->offset, p->dims[0], p->dims[1], p->stride[0], p->stride[1]};
    for (int i = 0; i < 6; i++) {
        const bool axis = (i - 2) % 2 < p->n_dims; /* number i is of axis 0, 1, 0, 1 */
        if (i == 1) at += sprintf(at, "tQ");
        if (i == 2 || i == 4) *at++ = '(';
        if (i < 2 || axis) {
            *at++ = 'J';
            memcpy(at, &numbers[i], 4);
            at += 4;
        }
        if (i == 3 || i == 5) *at++ = 't';
    }
    at += sprintf(at, "\x89"
                      "ccollections\nOrderedDict\n)RtRss.");
    return put_pickle(file, text, (size_t)(at - text), p->bytes, p->n_bytes);
}

#endif
