/* torch_zip.c - reading the ZIP archive of a PyTorch checkpoint: end record, central directory, stored bytes.

   The end record is looked for from the end of the file; ZIP64 records stand before it when the file is large. Each entry of the directory points to a
   local header, which is read only to find where the bytes begin: its padding puts them on multiples of 64. */
#include "io/torch_zip.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/gzip.h"

enum {
    END_BYTES = 22,
    END64_BYTES = 56,
    LOCATOR_BYTES = 20,
    LOCAL_BYTES = 30,
    ENTRY_BYTES = 46,
    LONGEST_COMMENT = 65535,
    BUFFER = 1 << 18
};
static const uint32_t end_mark = 0x06054b50, end64_mark = 0x06064b50, locator_mark = 0x07064b50,
                      entry_mark = 0x02014b50, local_mark = 0x04034b50;
static const int64_t directory_limit = (int64_t)256 << 20; /* bytes: a million entries */

static uint64_t number(const uint8_t *p, int bytes)
{
    uint64_t v = 0;
    for (int i = bytes - 1; i >= 0; i--) v = v << 8 | p[i];
    return v;
}
static uint32_t u16(const uint8_t *p) { return (uint32_t)number(p, 2); }
static uint32_t u32(const uint8_t *p) { return (uint32_t)number(p, 4); }
static uint64_t u64(const uint8_t *p) { return number(p, 8); }

/* [at, at + bytes) of the file. */
static Status read_at(void *out, const TorchZip *z, int64_t at, int64_t bytes)
{
    if (at < 0 || bytes < 0 || bytes > z->bytes || at > z->bytes - bytes)
        return FAIL(E_INPUT, "%s: its directory points beyond the end of the file (%lld bytes): the file is damaged",
                    z->path, (long long)z->bytes);
    for (char *to = out; bytes > 0;) {
        ssize_t n = pread(z->fd, to, (size_t)bytes, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return FAIL(E_INPUT, "%s: cannot be read: %s", z->path, n < 0 ? strerror(errno) : "it got shorter");
        to += n;
        at += n;
        bytes -= n;
    }
    return OK;
}

/* Why a file without an end record is none of ours. */
static Status no_archive(const TorchZip *z)
{
    static const uint8_t legacy[] = {0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c,
                                     0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};
    uint8_t head[sizeof legacy] = {0};
    TRY(read_at(head, z, 0, z->bytes < (int64_t)sizeof head ? z->bytes : (int64_t)sizeof head));
    if (memcmp(head, legacy, sizeof legacy) == 0)
        return FAIL(
            E_INPUT,
            "%s: is in the format of PyTorch before 1.6 (no ZIP archive): load it with PyTorch and save it again",
            z->path);
    if (u32(head) == local_mark)
        return FAIL(E_INPUT, "%s: is cut off: the directory at the end of the ZIP archive is missing; copy it again",
                    z->path);
    return FAIL(E_INPUT, "%s: is no PyTorch checkpoint (no ZIP archive)", z->path);
}

typedef struct {
    uint64_t n, bytes, at; /* entries; size and place of the directory */
} Directory;

/* The ZIP64 record, when a locator before the end record at `end` says where. */
static Status read_end64(Directory *d, const TorchZip *z, int64_t end)
{
    uint8_t locator[LOCATOR_BYTES], record[END64_BYTES];
    if (end < LOCATOR_BYTES) return OK;
    TRY(read_at(locator, z, end - LOCATOR_BYTES, sizeof locator));
    if (u32(locator) != locator_mark) return OK;
    uint64_t at = u64(locator + 8);
    if (at > (uint64_t)z->bytes) at = (uint64_t)z->bytes;
    TRY(read_at(record, z, (int64_t)at, sizeof record));
    if (u32(record) != end64_mark) return FAIL(E_INPUT, "%s: its ZIP64 record is damaged", z->path);
    *d = (Directory){u64(record + 32), u64(record + 40), u64(record + 48)};
    return OK;
}

static Status find_directory(Directory *d, const TorchZip *z, Arena *a)
{
    int64_t tail = END_BYTES + LONGEST_COMMENT;
    if (tail > z->bytes) tail = z->bytes;
    uint8_t *p = NULL;
    TRY(arena_new(&p, a, tail));
    TRY(read_at(p, z, z->bytes - tail, tail));
    int64_t i = tail - END_BYTES;
    while (i >= 0 && !(u32(p + i) == end_mark && i + END_BYTES + u16(p + i + 20) <= tail)) i--;
    if (i < 0) return no_archive(z);
    if (u16(p + i + 4) != 0) return FAIL(E_INPUT, "%s: is one part of a split ZIP archive", z->path);
    *d = (Directory){u16(p + i + 10), u32(p + i + 12), u32(p + i + 16)};
    TRY(read_end64(d, z, z->bytes - tail + i));
    if (d->bytes > (uint64_t)z->bytes || d->at > (uint64_t)z->bytes - d->bytes ||
        d->bytes > (uint64_t)directory_limit || d->n > d->bytes / ENTRY_BYTES)
        return FAIL(E_INPUT, "%s: the directory of the ZIP archive does not fit into the file: the file is damaged",
                    z->path);
    return OK;
}

/* Sizes and places of 4 GiB and more stand in extra field 1, in this order, each only if its short form is all ones. */
static Status read_extra64(uint64_t *bytes, uint64_t *stored, uint64_t *header, const uint8_t *p, int64_t n,
                           const TorchZip *z)
{
    uint64_t *field[] = {bytes, stored, header};
    int64_t length = 0;
    while (n >= 4 && (length = u16(p + 2)) <= n - 4 && u16(p) != 1) {
        p += 4 + length;
        n -= 4 + length;
    }
    bool found = n >= 4 && u16(p) == 1 && length <= n - 4;
    p += found ? 4 : 0;
    for (int i = 0; i < 3; i++) {
        if (*field[i] != 0xFFFFFFFFu) continue;
        if (!found || length < 8) return FAIL(E_INPUT, "%s: a ZIP64 size is missing: the file is damaged", z->path);
        *field[i] = u64(p);
        p += 8;
        length -= 8;
    }
    return OK;
}

/* One entry of the directory at p, of which n bytes are left; *used = its length. */
static Status read_entry(TorchZipEntry *e, int64_t *used, const TorchZip *z, const uint8_t *p, int64_t n, Arena *a)
{
    if (n < ENTRY_BYTES || u32(p) != entry_mark)
        return FAIL(E_INPUT, "%s: the directory of the ZIP archive is damaged", z->path);
    const int64_t name = u16(p + 28), extra = u16(p + 30), comment = u16(p + 32);
    *used = ENTRY_BYTES + name + extra + comment;
    if (*used > n) return FAIL(E_INPUT, "%s: the directory of the ZIP archive is damaged", z->path);
    char *text = NULL;
    TRY(arena_new(&text, a, name + 1));
    memcpy(text, p + ENTRY_BYTES, (size_t)name);
    uint64_t stored = u32(p + 20), bytes = u32(p + 24), header = u32(p + 42);
    TRY(read_extra64(&bytes, &stored, &header, p + ENTRY_BYTES + name, extra, z));
    if (u16(p + 8) & 1) return FAIL(E_INPUT, "%s: entry %s is encrypted", z->path, text);
    if (u16(p + 10) != 0 || stored != bytes)
        return FAIL(E_INPUT, "%s: entry %s is compressed; PyTorch stores entries as they are: save it with PyTorch",
                    z->path, text);
    if (bytes > (uint64_t)z->directory || header > (uint64_t)z->directory - bytes)
        return FAIL(E_INPUT, "%s: entry %s lies outside of the file: the file is damaged or cut off", z->path, text);
    *e = (TorchZipEntry){.name = text, .bytes = (int64_t)bytes, .header = (int64_t)header, .crc = u32(p + 16)};
    return OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const TorchZipEntry *)a)->name, ((const TorchZipEntry *)b)->name);
}

static Status read_directory(TorchZip *z, Arena *a)
{
    Directory d = {0};
    uint8_t *p = NULL;
    TRY(find_directory(&d, z, a));
    z->directory = (int64_t)d.at;
    z->n = (int64_t)d.n;
    TRY(arena_new(&p, a, (int64_t)d.bytes));
    TRY(read_at(p, z, z->directory, (int64_t)d.bytes));
    TRY(arena_new(&z->entry, a, z->n));
    for (int64_t i = 0, left = (int64_t)d.bytes, used = 0; i < z->n; i++, p += used, left -= used)
        TRY(read_entry(&z->entry[i], &used, z, p, left, a));
    qsort(z->entry, (size_t)z->n, sizeof *z->entry, by_name);
    for (int64_t i = 1; i < z->n; i++)
        if (strcmp(z->entry[i - 1].name, z->entry[i].name) == 0)
            return FAIL(E_INPUT, "%s: entry %s stands in the archive twice", z->path, z->entry[i].name);
    return OK;
}

Status torch_zip_open(TorchZip *z, const char *path, Arena *a)
{
    struct stat s;
    *z = (TorchZip){.fd = -1};
    if (snprintf(z->path, sizeof z->path, "%s", path) >= (int)sizeof z->path)
        return FAIL(E_CONFIG, "the path '%.60s...' is longer than %d characters", path, TORCH_ZIP_PATH - 1);
    z->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe without a writer would wait for ever */
    if (z->fd < 0) return FAIL(E_INPUT, "%s: cannot be read: %s", path, strerror(errno));
    z->is_open = true;
    Status st = fstat(z->fd, &s) == 0 && S_ISREG(s.st_mode) ? OK : FAIL(E_INPUT, "%s: is not a file", path);
    if (st == OK) {
        z->bytes = (int64_t)s.st_size;
        st = read_directory(z, a);
    }
    if (st != OK) torch_zip_close(z);
    return st;
}

void torch_zip_close(TorchZip *z)
{
    if (z->is_open) close(z->fd);
    z->is_open = false;
}

TorchZipEntry *torch_zip_find(const TorchZip *z, const char *name)
{
    const TorchZipEntry key = {.name = name};
    return z->n > 0 ? bsearch(&key, z->entry, (size_t)z->n, sizeof key, by_name) : NULL;
}

/* ---- bytes ---- */

static Status find_data(const TorchZip *z, TorchZipEntry *e)
{
    uint8_t p[LOCAL_BYTES];
    if (e->data > 0) return OK;
    TRY(read_at(p, z, e->header, sizeof p));
    int64_t data = e->header + LOCAL_BYTES + u16(p + 26) + u16(p + 28);
    if (u32(p) != local_mark || data > z->directory - e->bytes)
        return FAIL(E_INPUT, "%s: the header of entry %s is damaged", z->path, e->name);
    e->data = data;
    return OK;
}

static Status check_crc(const TorchZip *z, TorchZipEntry *e, uint32_t crc)
{
    if (crc != e->crc)
        return FAIL(E_INPUT, "%s: the CRC-32 of entry %s does not match its bytes: the file is damaged, copy it again",
                    z->path, e->name);
    e->verified = true;
    return OK;
}

static Status verify(const TorchZip *z, TorchZipEntry *e)
{
    uint8_t buffer[BUFFER];
    uint32_t crc = 0;
    for (int64_t at = 0, n = 0; at < e->bytes; at += n) {
        n = e->bytes - at < BUFFER ? e->bytes - at : BUFFER;
        TRY(read_at(buffer, z, e->data + at, n));
        crc = gzip_crc32(crc, buffer, (size_t)n);
    }
    return check_crc(z, e, crc);
}

Status torch_zip_read(void *out, const TorchZip *z, TorchZipEntry *e, int64_t first, int64_t bytes)
{
    MUST(first >= 0 && bytes >= 0 && first <= e->bytes && bytes <= e->bytes - first);
    TRY(find_data(z, e));
    const bool whole = bytes == e->bytes;
    if (!e->verified && !whole) TRY(verify(z, e));
    TRY(read_at(out, z, e->data + first, bytes));
    return e->verified ? OK : check_crc(z, e, gzip_crc32(0, out, (size_t)bytes));
}
