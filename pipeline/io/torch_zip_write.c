/* torch_zip_write.c - writing a ZIP archive of stored entries as PyTorch lays it out: a padding field in each local header puts the bytes on multiples of
   64; ZIP64 fields where 32 bits do not hold a size or a place. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "io/artefact.h"
#include "io/gzip.h"
#include "io/torch_zip.h"

struct TorchZipWritten {
    char *name;
    int64_t bytes, header;
    uint32_t crc;
    TorchZipWritten *next;
};

enum { HEADER = 128, NAME_LIMIT = 4096, ZIP64_VERSION = 45, PADDING_FIELD = 0x4246 }; /* "FB" */
static const int64_t max32 = 0xFFFFFFFF;

/* A record put together field by field. */
typedef struct {
    uint8_t at[HEADER + TORCH_ZIP_ALIGN];
    size_t n;
} Record;

static void add(Record *r, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) r->at[r->n++] = (uint8_t)(value >> (8 * i));
}

static uint64_t short_form(int64_t value) { return value < max32 ? (uint64_t)value : (uint64_t)max32; }

static Status put(TorchZipWriter *w, const void *data, int64_t bytes)
{
    if (bytes > 0 && fwrite(data, 1, (size_t)bytes, w->f) != (size_t)bytes)
        return FAIL(E_OUTPUT, "%s.part: cannot be written: %s", w->path, strerror(errno));
    w->at += bytes;
    return OK;
}

static Status put_record(TorchZipWriter *w, const Record *r) { return put(w, r->at, (int64_t)r->n); }

Status torch_zip_create(TorchZipWriter *w, const char *path, Arena *a)
{
    char part[TORCH_ZIP_PATH + 8];
    *w = (TorchZipWriter){.a = a};
    if (snprintf(w->path, sizeof w->path, "%s", path) >= (int)sizeof w->path)
        return FAIL(E_CONFIG, "the path '%.60s...' is longer than %d characters", path, TORCH_ZIP_PATH - 1);
    snprintf(part, sizeof part, "%s.part", path);
    w->f = fopen(part, "wb");
    return w->f ? OK : FAIL(E_OUTPUT, "%s: cannot be written: %s", part, strerror(errno));
}

/* What local header and directory have in common: flags (names are UTF-8), method stored, no time, checksum, sizes. */
static void add_common(Record *r, const TorchZipWritten *e)
{
    add(r, 0x0800, 2);
    add(r, 0, 2);
    add(r, 0x00210000, 4); /* 1980-01-01: the same content is the same file */
    add(r, e->crc, 4);
    add(r, short_form(e->bytes), 4);
    add(r, short_form(e->bytes), 4);
    add(r, strlen(e->name), 2);
}

static Status put_local(TorchZipWriter *w, const TorchZipWritten *e)
{
    const int64_t name = (int64_t)strlen(e->name);
    Record r = {.n = 0}, extra = {.n = 0};
    if (e->bytes >= max32) {
        add(&extra, 1, 2);
        add(&extra, 16, 2);
        add(&extra, (uint64_t)e->bytes, 8);
        add(&extra, (uint64_t)e->bytes, 8);
    }
    int64_t data = w->at + 30 + name + (int64_t)extra.n + 4, pad = (TORCH_ZIP_ALIGN - data % TORCH_ZIP_ALIGN) % 64;
    add(&extra, PADDING_FIELD, 2);
    add(&extra, (uint64_t)pad, 2);
    for (int64_t i = 0; i < pad; i++) add(&extra, 'Z', 1);
    add(&r, 0x04034b50, 4);
    add(&r, e->bytes >= max32 ? ZIP64_VERSION : 20, 2);
    add_common(&r, e);
    add(&r, extra.n, 2);
    TRY(put_record(w, &r));
    TRY(put(w, e->name, name));
    return put_record(w, &extra);
}

Status torch_zip_put(TorchZipWriter *w, const char *name, const void *data, int64_t bytes)
{
    MUST(strlen(name) < NAME_LIMIT);
    TorchZipWritten *e;
    TRY(arena_new(&e, w->a, 1));
    TRY(arena_text(&e->name, w->a, name));
    e->bytes = bytes;
    e->header = w->at;
    e->crc = gzip_crc32(0, data, (size_t)bytes);
    TRY(FAIL_POINT("torch.write"));
    TRY(put_local(w, e));
    TRY(put(w, data, bytes));
    if (w->last)
        w->last->next = e;
    else
        w->first = e;
    w->last = e;
    w->n++;
    return OK;
}

static Status put_directory_entry(TorchZipWriter *w, const TorchZipWritten *e)
{
    Record r = {.n = 0}, extra = {.n = 0};
    const bool large = e->bytes >= max32, far = e->header >= max32;
    if (large || far) {
        add(&extra, 1, 2);
        add(&extra, 16u * large + 8u * far, 2);
        if (large) add(&extra, (uint64_t)e->bytes, 8);
        if (large) add(&extra, (uint64_t)e->bytes, 8);
        if (far) add(&extra, (uint64_t)e->header, 8);
    }
    add(&r, 0x02014b50, 4);
    add(&r, ZIP64_VERSION, 2);
    add(&r, large || far ? ZIP64_VERSION : 20, 2);
    add_common(&r, e);
    add(&r, extra.n, 2);
    add(&r, 0, 2); /* no comment, one volume, no attributes */
    add(&r, 0, 2);
    add(&r, 0, 2);
    add(&r, 0, 4);
    add(&r, short_form(e->header), 4);
    TRY(put_record(w, &r));
    TRY(put(w, e->name, (int64_t)strlen(e->name)));
    return put_record(w, &extra);
}

/* ZIP64 records always: they are right for any size, and every reader of checkpoints knows them. */
static Status put_end(TorchZipWriter *w, int64_t directory)
{
    const int64_t end64 = w->at, bytes = w->at - directory;
    const uint64_t n = w->n < 0xFFFF ? (uint64_t)w->n : 0xFFFF;
    Record r = {.n = 0};
    add(&r, 0x06064b50, 4);
    add(&r, 44, 8);
    add(&r, ZIP64_VERSION, 2);
    add(&r, ZIP64_VERSION, 2);
    add(&r, 0, 8);
    add(&r, (uint64_t)w->n, 8);
    add(&r, (uint64_t)w->n, 8);
    add(&r, (uint64_t)bytes, 8);
    add(&r, (uint64_t)directory, 8);
    add(&r, 0x07064b50, 4);
    add(&r, 0, 4);
    add(&r, (uint64_t)end64, 8);
    add(&r, 1, 4);
    add(&r, 0x06054b50, 4);
    add(&r, 0, 4);
    add(&r, n, 2);
    add(&r, n, 2);
    add(&r, short_form(bytes), 4);
    add(&r, short_form(directory), 4);
    add(&r, 0, 2);
    return put_record(w, &r);
}

Status torch_zip_finish(TorchZipWriter *w)
{
    const int64_t directory = w->at;
    for (const TorchZipWritten *e = w->first; e; e = e->next) TRY(put_directory_entry(w, e));
    TRY(put_end(w, directory));
    FILE *f = w->f;
    w->f = NULL;
    if (fclose(f) != 0) return FAIL(E_OUTPUT, "%s.part: cannot be written: %s", w->path, strerror(errno));
    return artefact_publish(&par_alone, w->path);
}

void torch_zip_abandon(TorchZipWriter *w)
{
    char part[TORCH_ZIP_PATH + 8];
    if (!w->f) return;
    fclose(w->f);
    w->f = NULL;
    snprintf(part, sizeof part, "%s.part", w->path);
    unlink(part);
}
