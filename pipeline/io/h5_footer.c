/* h5_footer.c - what our finished HDF5 files bear behind HDF5's last byte: a checksum of their metadata.

   How it thinks: HDF5 has no checksums over much of its metadata (global heap, indices, all of superblock 0) and
   libhdf5 follows damaged ones out of its buffers. So the damage is to be found before libhdf5 looks. Metadata is
   whatever is not the values of a contiguous dataset; the footer says where those values lie, and the sum is over
   everything else. Values have checksums of their own (io/seal, the blocks of a volume). Reading a file costs its
   metadata once more, whatever the size of its data.

   HDF5 ignores bytes behind its end, other programs read such files as any other, and a program that opens one
   for writing cuts the footer off when it closes; h5_close of a file that was written drops it before metadata change. A file without a footer is read as it is: foreign ones, and ours of
   before. The footer also names the sources of virtual datasets, which libhdf5 opens behind our back: they are checked
   along. Layout, in 64-bit little-endian words:

       offset and bytes of each stretch of values, by offset
       names of sources, each ended by NUL; padded with NULs to whole words
       Trailer

   What the checksum is for is damage, not malice. */
#include <errno.h>
#include <fcntl.h>
#include <hdf5.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/hash.h"
#include "core/log.h"
#include "h5_impl.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are written as they are in memory");

typedef struct {
    int64_t first, bytes;
} Stretch;

typedef struct {
    int64_t n_stretches, text_bytes;
    int64_t file_bytes; /* of HDF5: where the footer begins    */
    uint64_t metadata;  /* sum of what no stretch covers       */
    uint64_t footer;    /* sum of the footer up to here        */
    char mark[16];      /* last, so that it is found by itself */
} Trailer;
static const char mark[] = "ASTROCLIP FOOTER";
static const int64_t LONGEST = (int64_t)1 << 30; /* of a footer */

/* What is known of a file: room grows as it is needed. */
typedef struct {
    Arena arena;
    Stretch *stretch;
    char *text;
    int64_t n, n_room, text_bytes, text_room;
} Footer;

/* ---- bytes ---- */

static Status read_at(void *out, int fd, const char *path, int64_t first, int64_t bytes)
{
    for (int64_t done = 0; done < bytes;) {
        ssize_t n = pread(fd, (char *)out + done, (size_t)(bytes - done), first + done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return FAIL(E_INPUT, "%s: cannot be read: %s", path, n < 0 ? strerror(errno) : "it ends too early");
        done += n;
    }
    return OK;
}

/* The sum of bytes [first, last), in pieces. */
static Status add_bytes(HashState *h, int fd, const char *path, int64_t first, int64_t last)
{
    char buffer[1 << 16];
    while (first < last) {
        const int64_t n = last - first < (int64_t)sizeof buffer ? last - first : (int64_t)sizeof buffer;
        TRY(read_at(buffer, fd, path, first, n));
        hash_add(h, buffer, (size_t)n);
        first += n;
    }
    return OK;
}

/* The sum of all that lies between the stretches, which are in order. */
static Status sum_metadata(uint64_t *sum, int fd, const char *path, const Stretch *s, int64_t n, int64_t file_bytes)
{
    HashState *h = hash_open();
    int64_t at = 0;
    Status st = OK;
    for (int64_t i = 0; i <= n && st == OK; i++) {
        st = add_bytes(h, fd, path, at, i < n ? s[i].first : file_bytes);
        if (i < n) at = s[i].first + s[i].bytes;
    }
    const Fingerprint all = hash_close(h);
    *sum = hash_bytes(all.text, strlen(all.text));
    return st;
}

/* ---- writing ---- */

static Status add_stretch(Footer *t, int64_t first, int64_t bytes)
{
    if (t->n == t->n_room) {
        Stretch *more = NULL;
        TRY(arena_new(&more, &t->arena, 2 * t->n_room + 64));
        if (t->n > 0) memcpy(more, t->stretch, (size_t)t->n * sizeof *more);
        t->stretch = more;
        t->n_room = 2 * t->n_room + 64;
    }
    t->stretch[t->n++] = (Stretch){first, bytes};
    return OK;
}

/* Datasets list the same sources in the same order: `at` is where the next one is likely to be. */
static Status add_source(Footer *t, int64_t *at, const char *name)
{
    const int64_t bytes = (int64_t)strlen(name) + 1;
    if (*at < t->text_bytes && strcmp(t->text + *at, name) == 0) {
        *at += bytes;
        return OK;
    }
    for (int64_t k = 0; k < t->text_bytes; k += (int64_t)strlen(t->text + k) + 1) {
        if (strcmp(t->text + k, name) != 0) continue;
        *at = k + bytes;
        return OK;
    }
    if (t->text_bytes + bytes > t->text_room) {
        char *more = NULL;
        const int64_t room = 2 * t->text_room + bytes + 1024;
        TRY(arena_new(&more, &t->arena, room));
        if (t->text_bytes > 0) memcpy(more, t->text, (size_t)t->text_bytes);
        t->text = more;
        t->text_room = room;
    }
    memcpy(t->text + t->text_bytes, name, (size_t)bytes);
    *at = t->text_bytes += bytes;
    return OK;
}

static Status add_sources(Footer *t, hid_t creation)
{
    size_t n = 0;
    int64_t at = 0;
    H5Pget_virtual_count(creation, &n);
    for (size_t i = 0; i < n; i++) {
        char name[H5_PATH];
        const ssize_t length = H5Pget_virtual_filename(creation, i, name, sizeof name);
        if (length > 0 && length < (ssize_t)sizeof name) TRY(add_source(t, &at, name));
    }
    return OK;
}

static Status add_dataset(Footer *t, hid_t dataset)
{
    const hid_t creation = H5Dget_create_plist(dataset);
    const H5D_layout_t layout = creation < 0 ? H5D_LAYOUT_ERROR : H5Pget_layout(creation);
    Status st = OK;
    if (layout == H5D_CONTIGUOUS) {
        const haddr_t first = H5Dget_offset(dataset);
        const hsize_t bytes = H5Dget_storage_size(dataset);
        if (first != HADDR_UNDEF && bytes > 0) st = add_stretch(t, (int64_t)first, (int64_t)bytes);
    } else if (layout == H5D_VIRTUAL) {
        st = add_sources(t, creation);
    }
    if (creation >= 0) H5Pclose(creation);
    return st;
}

static herr_t visit(hid_t file, const char *name, const H5O_info_t *info, void *footer)
{
    if (info->type != H5O_TYPE_DATASET) return 0;
    const hid_t dataset = H5Dopen2(file, name, H5P_DEFAULT);
    const Status st = dataset < 0 ? E_INPUT : add_dataset(footer, dataset);
    if (dataset >= 0) H5Dclose(dataset);
    return st == OK ? 0 : -1;
}

static int by_offset(const void *a, const void *b)
{
    const Stretch *x = a, *y = b;
    return (x->first > y->first) - (x->first < y->first);
}

static Status collect(Footer *t, hid_t file, const char *path)
{
    if (H5Ovisit2(file, H5_INDEX_NAME, H5_ITER_INC, visit, t, H5O_INFO_BASIC) < 0)
        return FAIL(E_OUTPUT, "%s: cannot be read again after it was written (HDF5 says: %s)", path, h5_reason());
    if (t->n > 0) qsort(t->stretch, (size_t)t->n, sizeof *t->stretch, by_offset);
    return OK;
}

static Status write_all(int fd, const char *path, int64_t at, const void *data, int64_t bytes)
{
    for (int64_t done = 0; done < bytes;) {
        const ssize_t n = pwrite(fd, (const char *)data + done, (size_t)(bytes - done), at + done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0)
            return FAIL(E_OUTPUT, "%s: cannot be written: %s", path, n < 0 ? strerror(errno) : "the disk is full");
        done += n;
    }
    return OK;
}

/* Behind HDF5's last byte, wherever a writer left the end of the file. */
static Status append(Footer *t, int fd, const char *path, int64_t file_bytes)
{
    const int64_t list = t->n * (int64_t)sizeof *t->stretch, text = (t->text_bytes + 7) / 8 * 8;
    Trailer last = {.n_stretches = t->n, .text_bytes = text, .file_bytes = file_bytes};
    char *whole = NULL;
    const int64_t bytes = list + text + (int64_t)sizeof last;
    memcpy(last.mark, mark, sizeof last.mark);
    TRY(sum_metadata(&last.metadata, fd, path, t->stretch, t->n, last.file_bytes));
    TRY(arena_new(&whole, &t->arena, bytes));
    if (t->n > 0) memcpy(whole, t->stretch, (size_t)list);
    if (t->text_bytes > 0) memcpy(whole + list, t->text, (size_t)t->text_bytes);
    memcpy(whole + list + text, &last, sizeof last);
    last.footer = hash_bytes(whole, (size_t)(list + text) + offsetof(Trailer, footer));
    memcpy(whole + list + text, &last, sizeof last);
    TRY(write_all(fd, path, last.file_bytes, whole, bytes));
    if (ftruncate(fd, last.file_bytes + bytes) == 0) return OK;
    return FAIL(E_OUTPUT, "%s: cannot be cut to its length: %s", path, strerror(errno));
}

/* Where HDF5 will not write any more: the end that it records of a closed file; of an open one, whose metadata are on
   disk, also the end of the values to come. */
static Status find_end(int64_t *end, const Footer *t, hid_t file, int fd, bool closed, const char *path)
{
    haddr_t recorded = 0;
    struct stat info;
    if (fstat(fd, &info) != 0 || (closed && H5Fget_eoa(file, &recorded) < 0))
        return FAIL(E_OUTPUT, "%s: the end of the file cannot be found (HDF5 says: %s)", path, h5_reason());
    const int64_t values = t->n > 0 ? t->stretch[t->n - 1].first + t->stretch[t->n - 1].bytes : 0;
    *end = closed ? (int64_t)recorded : info.st_size > values ? info.st_size : values;
    if (*end > info.st_size && ftruncate(fd, *end) != 0)
        return FAIL(E_OUTPUT, "%s: cannot be given its length: %s", path, strerror(errno));
    return OK;
}

static Status put_footer(hid_t file, bool closed, const char *path)
{
    Footer t = {0};
    int fd = -1;
    int64_t end = 0;
    Status st = OK;
    TRY(arena_init(&t.arena, "footer of an HDF5 file", (size_t)LONGEST));
    TRY_DONE(collect(&t, file, path));
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) TRY_DONE(FAIL(E_OUTPUT, "%s: %s", path, strerror(errno)));
    TRY_DONE(find_end(&end, &t, file, fd, closed, path));
    st = append(&t, fd, path, end);
done:
    if (fd >= 0) close(fd);
    arena_free(&t.arena);
    return st;
}

Status h5_put_footer(const char *path)
{
    H5File f = {0};
    TRY(h5_open(&f, path, NULL));
    const Status st = put_footer(f.id, true, path), closed = h5_close(&f);
    return st != OK ? st : closed;
}

Status h5_put_early_footer(H5File *f)
{
    TRY(h5_flush(f));
    Status st = OK;
    if (!f->par || f->par->rank == 0) {
        st = put_footer(f->id, false, f->path);
        if (st == OK) st = h5_sync(f);
    }
    return H5_AGREE(f, st);
}

/* ---- reading ---- */

static Status damaged(const char *path)
{
    return FAIL(E_INPUT, "%s is damaged: the checksum of its metadata does not hold; make or copy it again", path);
}

/* Do the stretches lie in the file, in order and apart? */
static bool in_order(const Stretch *s, int64_t n, int64_t file_bytes)
{
    int64_t at = 0;
    for (int64_t i = 0; i < n; i++) {
        if (s[i].first < at || s[i].bytes < 0 || s[i].bytes > file_bytes || s[i].first > file_bytes - s[i].bytes)
            return false;
        at = s[i].first + s[i].bytes;
    }
    return true;
}

/* The footer, whole, into the arena; *out is NULL where there is none. */
static Status read_footer(char **out, Trailer *last, int fd, const char *path, Arena *a)
{
    struct stat info;
    *out = NULL;
    if (fstat(fd, &info) != 0) return FAIL(E_INPUT, "%s: %s", path, strerror(errno));
    const int64_t size = info.st_size, at = size - (int64_t)sizeof *last;
    if (at < 0) return OK;
    TRY(read_at(last, fd, path, at, (int64_t)sizeof *last));
    if (memcmp(last->mark, mark, sizeof last->mark) != 0) return OK;
    int64_t list = 0;
    if (last->n_stretches < 0 || last->text_bytes < 0 || last->file_bytes < 0 ||
        __builtin_mul_overflow(last->n_stretches, (int64_t)sizeof(Stretch), &list) || list > LONGEST / 2 ||
        last->text_bytes > LONGEST / 4 || last->file_bytes != at - list - last->text_bytes)
        return damaged(path);
    TRY(arena_new(out, a, size - last->file_bytes + 1)); /* a NUL behind the names, whatever they are */
    TRY(read_at(*out, fd, path, last->file_bytes, size - last->file_bytes));
    const size_t covered = (size_t)(list + last->text_bytes) + offsetof(Trailer, footer);
    if (hash_bytes(*out, covered) != last->footer) return damaged(path);
    return in_order((const Stretch *)*out, last->n_stretches, last->file_bytes) ? OK : damaged(path);
}

static Status check(const char *path, bool sources, Arena *a);

/* Files beside this one; those that are absent read as nothing was there, and whoever needs them says so. */
static Status check_sources(const char *path, const char *text, int64_t bytes, Arena *a)
{
    const char *slash = strrchr(path, '/');
    const int folder = slash ? (int)(slash - path + 1) : 0;
    for (int64_t k = 0; k < bytes && text[k]; k += (int64_t)strlen(text + k) + 1) {
        char source[2 * H5_PATH];
        const Mark here = arena_mark(a);
        const bool alone = text[k] == '/';
        snprintf(source, sizeof source, "%.*s%s", alone ? 0 : folder, path, text + k);
        if (access(source, R_OK) == 0) TRY(check(source, false, a));
        arena_reset(a, here);
    }
    return OK;
}

static Status check(const char *path, bool sources, Arena *a)
{
    Status st = OK;
    Trailer last;
    char *footer = NULL;
    uint64_t sum = 0;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return FAIL(E_INPUT, "%s: %s", path, strerror(errno));
    TRY_DONE(read_footer(&footer, &last, fd, path, a));
    if (!footer) goto done;
    TRY_DONE(sum_metadata(&sum, fd, path, (const Stretch *)footer, last.n_stretches, last.file_bytes));
    if (sum != last.metadata) TRY_DONE(damaged(path));
    if (sources)
        TRY_DONE(check_sources(path, footer + last.n_stretches * (int64_t)sizeof(Stretch), last.text_bytes, a));
done:
    close(fd);
    return st;
}

Status h5_check_footer(const char *path)
{
    Arena a;
    TRY(arena_init(&a, "footer of an HDF5 file", (size_t)LONGEST));
    const Status st = check(path, true, &a);
    arena_free(&a);
    return st;
}

/* Where the mark of a footer stands in the open file; -1 = there is none. */
static int64_t find_mark(int fd)
{
    char end[sizeof mark - 1] = "";
    struct stat info;
    const int64_t n = (int64_t)sizeof end;
    if (fd < 0 || fstat(fd, &info) != 0 || info.st_size < n || pread(fd, end, sizeof end, info.st_size - n) != n)
        return -1;
    return memcmp(end, mark, sizeof end) == 0 ? info.st_size - n : -1;
}

bool h5_has_footer(const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const bool has = find_mark(fd) >= 0;
    if (fd >= 0) close(fd);
    return has;
}

void h5_drop_footer(const char *path)
{
    static const char none[sizeof mark - 1];
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    const int64_t at = find_mark(fd);
    if (at >= 0 && pwrite(fd, none, sizeof none, at) != (ssize_t)sizeof none) /* at worst the file is made again */
        log_rank("%s: cannot be written: %s", path, strerror(errno));
    if (fd >= 0) close(fd);
}
