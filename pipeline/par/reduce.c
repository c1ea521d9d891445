/* reduce.c - what all ranks learn together: exact reductions (integers, maxima), one rank's bytes, one file.

   Nothing here adds floating-point numbers: such sums depend on the number of ranks. Messages are cut into pieces of
   par_chunk() bytes, because MPI counts are int. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <mpi.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/clock.h"
#include "par/par.h"

static int64_t chunk = (int64_t)1 << 30;

int64_t par_chunk(void) { return chunk; }

void par_set_chunk(int64_t bytes)
{
    MUST(bytes >= 8 && bytes <= (int64_t)1 << 30);
    chunk = bytes;
}

void par_barrier(const Par *par)
{
    if (!par->comm) return;
    clock_wait(__FILE__, __LINE__);
    MPI_Barrier(*(MPI_Comm *)par->comm);
    clock_wait(NULL, 0);
}

void par_bcast(const Par *par, void *data, int64_t bytes, int root)
{
    if (!par->comm) return;
    for (int64_t at = 0; at < bytes; at += chunk) {
        int64_t n = bytes - at < chunk ? bytes - at : chunk;
        clock_wait(__FILE__, __LINE__);
        MPI_Bcast((char *)data + at, (int)n, MPI_BYTE, root, *(MPI_Comm *)par->comm);
        clock_wait(NULL, 0);
    }
}

static void reduce_i64(const Par *par, int64_t *values, int64_t n, MPI_Op op)
{
    if (!par->comm) return;
    const int64_t most = chunk / 8;
    for (int64_t at = 0; at < n; at += most) {
        int64_t count = n - at < most ? n - at : most;
        clock_wait(__FILE__, __LINE__);
        MPI_Allreduce(MPI_IN_PLACE, values + at, (int)count, MPI_INT64_T, op, *(MPI_Comm *)par->comm);
        clock_wait(NULL, 0);
    }
}

void par_sum_i64(const Par *par, int64_t *values, int64_t n) { reduce_i64(par, values, n, MPI_SUM); }
void par_max_i64(const Par *par, int64_t *values, int64_t n) { reduce_i64(par, values, n, MPI_MAX); }

/* The integers that order as the doubles do: -inf < ... < -0 < +0 < ... < inf < NaN. MPI_MAX of doubles leaves -0 and
   NaN to chance. */
static int64_t key_of(double x)
{
    int64_t bits;
    if (isnan(x)) x = NAN;
    memcpy(&bits, &x, sizeof bits);
    if (isnan(x)) bits &= INT64_MAX;
    return bits < 0 ? bits ^ INT64_MAX : bits;
}

static double value_of(int64_t key)
{
    double x;
    int64_t bits = key < 0 ? key ^ INT64_MAX : key;
    memcpy(&x, &bits, sizeof x);
    return x;
}

void par_max_f64(const Par *par, double *values, int64_t n)
{
    if (!par->comm) return;
    int64_t keys[256];
    for (int64_t at = 0; at < n; at += 256) {
        int64_t count = n - at < 256 ? n - at : 256;
        for (int64_t i = 0; i < count; i++) keys[i] = key_of(values[at + i]);
        reduce_i64(par, keys, count, MPI_MAX);
        for (int64_t i = 0; i < count; i++) values[at + i] = value_of(keys[i]);
    }
}

int64_t par_offset_i64(const Par *par, int64_t mine)
{
    int64_t offset = 0;
    clock_wait(__FILE__, __LINE__);
    if (par->comm) MPI_Exscan(&mine, &offset, 1, MPI_INT64_T, MPI_SUM, *(MPI_Comm *)par->comm);
    clock_wait(NULL, 0);
    return par->rank == 0 ? 0 : offset; /* MPI leaves rank 0's undefined */
}

void par_share(int64_t *first, int64_t *last, const Par *par, int64_t n)
{
    *first = (int64_t)((__int128)n * par->rank / par->n_ranks);
    *last = (int64_t)((__int128)n * (par->rank + 1) / par->n_ranks);
}

/* ---- one file ---- */

static Status open_regular(int *out, int64_t *bytes, const char *path)
{
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe without a writer would wait for ever */
    if (file < 0) return FAIL(E_INPUT, "cannot open %s: %s", path, strerror(errno));
    struct stat info;
    if (fstat(file, &info) != 0 || !S_ISREG(info.st_mode)) {
        close(file);
        return FAIL(E_INPUT, "%s is not a regular file", path);
    }
    *out = file;
    *bytes = info.st_size;
    return OK;
}

static Status read_all(char *out, int64_t bytes, int file, const char *path)
{
    for (int64_t at = 0; at < bytes;) {
        ssize_t got = read(file, out + at, (size_t)(bytes - at));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return FAIL(E_INPUT, "cannot read %s: %s", path, strerror(errno));
        if (got == 0) return FAIL(E_INPUT, "%s became shorter while it was read", path);
        at += got;
    }
    out[bytes] = '\0';
    return OK;
}

Status par_read_file(char **out, int64_t *bytes, const Par *par, const char *path, Arena *a)
{
    *out = NULL;
    *bytes = 0;
    int file = -1;
    int64_t size = 0;
    Status st = par->rank == 0 ? open_regular(&file, &size, path) : OK;
    st = par_agree(par, st);
    if (st == OK) {
        par_bcast(par, &size, sizeof size, 0);
        st = arena_new(out, a, size + 1);
        if (st == OK && par->rank == 0) st = read_all(*out, size, file, path);
        st = par_agree(par, st);
    }
    if (file >= 0) close(file);
    TRY(st);
    par_bcast(par, *out, size + 1, 0);
    *bytes = size;
    return OK;
}
