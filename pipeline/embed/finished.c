/* finished.c - what unfinished runs left: how far they came, as blocks with a checksum in volumes, finished or not, for jobs that decide whether
   another try is worth it (jobs/stage.sbatch); and volumes that no run will go on with. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "embed/volume.h"

static Status count_blocks(int64_t *n, const char *path, Arena *a)
{
    H5File f = {0};
    H5Shape shape;
    uint64_t *checksum = NULL;
    Mark mark = arena_mark(a);
    Status st = OK;
    TRY_DONE(h5_open(&f, path, NULL));
    TRY_DONE(h5_shape(&shape, &f, "block_checksum"));
    TRY_DONE(arena_new(&checksum, a, shape.dims[0]));
    TRY_DONE(h5_read_rows(checksum, &f, "block_checksum", H5_U64, 0, 0, shape.dims[0]));
    for (int64_t b = 0; b < shape.dims[0]; b++) *n += checksum[b] != 0;
done:
    h5_close(&f);
    arena_reset(a, mark);
    return st;
}

Status volume_count_finished(int64_t *n, const char *folder, Arena *a)
{
    *n = 0;
    for (int64_t number = 0, absent = 0; absent < 64; number++) { /* groups of ranks write several at a time */
        char final[H5_PATH], part[H5_PATH + 8];
        snprintf(final, sizeof final, "%.900s/embeddings/volume-%05lld.h5", folder, (long long)number);
        snprintf(part, sizeof part, "%s.part", final);
        const char *path = access(final, R_OK) == 0 ? final : access(part, R_OK) == 0 ? part : NULL;
        absent = path ? 0 : absent + 1;
        Status st = path ? count_blocks(n, path, a) : OK;
        if (st == E_INPUT)
            fail_clear(); /* one that was never completed: nothing is finished there */
        else
            TRY(st);
    }
    return OK;
}

/* Of "volume-NNNNN.h5" and "volume-NNNNN.h5.part" the number, of any other name -1. */
static int64_t number_of(bool *unfinished, const char *name)
{
    long long number = -1;
    int end = 0;
    if (sscanf(name, "volume-%lld.h5%n", &number, &end) != 1 || end == 0) return -1;
    *unfinished = strcmp(name + end, ".part") == 0;
    return name[end] == '\0' || *unfinished ? number : -1;
}

Status volume_remove_rest(int64_t *n, const char *volumes, int64_t n_volumes)
{
    DIR *dir = opendir(volumes);
    Status st = OK;
    *n = 0;
    if (!dir) return FAIL(E_OUTPUT, "%s: cannot be read: %s", volumes, strerror(errno));
    for (const struct dirent *entry; (entry = readdir(dir));) {
        char path[H5_PATH + 300];
        bool unfinished = false;
        int64_t number = number_of(&unfinished, entry->d_name);
        if (number < 0 || (number < n_volumes && !unfinished)) continue;
        snprintf(path, sizeof path, "%.1000s/%.255s", volumes, entry->d_name);
        if (unlink(path) != 0 && errno != ENOENT)
            TRY_DONE(FAIL(E_OUTPUT, "cannot remove %s: %s", path, strerror(errno)));
        ++*n;
    }
done:
    closedir(dir);
    return st;
}
