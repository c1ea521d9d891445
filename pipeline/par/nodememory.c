/* nodememory.c - memory that the ranks of a node share: a file without a name (memfd) of the node's first rank, which the
   others open through /proc. It needs no room in /dev/shm, which containers keep small, and is gone with its processes. */
#include "par/nodememory.h"

#include <errno.h>
#include <fcntl.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Ranks that pretend to be a node of their own, for tests and for runs beside others; 0 = as the machine is. */
static int pretended_size(void)
{
    const char *text = getenv("ASTROCLIP_NODE_SIZE");
    const long n = text ? strtol(text, NULL, 10) : 0;
    return n > 0 && n < 1 << 20 ? (int)n : 0;
}

/* Collective. A number that the ranks of a node have in common: the lowest rank on it, and of its pretended nodes. */
static int node_of(const Par *par)
{
    MPI_Comm node;
    MPI_Comm_split_type(*(MPI_Comm *)par->comm, MPI_COMM_TYPE_SHARED, par->rank, MPI_INFO_NULL, &node);
    int first = par->rank, place, size = pretended_size();
    MPI_Bcast(&first, 1, MPI_INT, 0, node);
    MPI_Comm_rank(node, &place);
    if (size > 0) {
        MPI_Comm part;
        MPI_Comm_split(node, place / size, place, &part);
        first = par->rank;
        MPI_Bcast(&first, 1, MPI_INT, 0, part);
        MPI_Comm_free(&part);
    }
    MPI_Comm_free(&node);
    return first;
}

typedef struct {
    int64_t pid, fd;
} Where;

/* fd -1: of this rank alone. Huge pages where the machine has them for such memory: fewer faults, faster products. */
static void *map(int fd, int64_t bytes)
{
    const int kind = fd >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;
    void *base = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, kind, fd, 0);
    if (base == MAP_FAILED) return NULL;
    madvise(base, (size_t)bytes, MADV_HUGEPAGE);
    return base;
}

/* The first rank of a node makes the file; a rank alone needs none. */
static Status make(NodeMemory *m, int *fd)
{
    if (m->node.n_ranks == 1) {
        m->base = map(-1, m->bytes);
    } else {
        *fd = memfd_create("astroclip", MFD_CLOEXEC);
        if (*fd >= 0 && ftruncate(*fd, (off_t)m->bytes) == 0) m->base = map(*fd, m->bytes);
    }
    if (m->base) return OK;
    return FAIL(E_MEMORY, "%.1f MB that the ranks of a node share: %s", 1e-6 * (double)m->bytes, strerror(errno));
}

static void *join(const Where *where, int64_t bytes)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%lld/fd/%lld", (long long)where->pid, (long long)where->fd);
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) return NULL;
    void *base = map(fd, bytes);
    close(fd);
    return base;
}

Status nodememory_open(NodeMemory *out, const Par *par, int64_t bytes)
{
    *out = (NodeMemory){.bytes = bytes > 0 ? bytes : 1};
    TRY(par_split(&out->node, par, par->comm ? node_of(par) : 0));
    int fd = -1;
    out->first = out->node.rank == 0;
    Status st = out->first ? make(out, &fd) : OK;
    st = par_agree(par, st);
    if (st == OK && out->node.n_ranks > 1) {
        Where where = {getpid(), fd};
        par_bcast(&out->node, &where, sizeof where, 0);
        if (!out->first) out->base = join(&where, out->bytes);
        int64_t alone = out->base == NULL; /* /proc is closed to us: then each has its own */
        par_max_i64(&out->node, &alone, 1);
        if (alone && !out->first) {
            if (out->base) munmap(out->base, (size_t)out->bytes);
            out->base = NULL;
            out->first = true;
            st = make(out, &fd);
        }
    }
    if (fd >= 0) close(fd);
    st = par_agree(par, st);
    if (st != OK) nodememory_close(out);
    return st;
}

void nodememory_barrier(const NodeMemory *m)
{
    par_barrier(&m->node);
    if (!m->first) mprotect(m->base, (size_t)m->bytes, PROT_READ);
}

void nodememory_close(NodeMemory *m)
{
    if (m->base) munmap(m->base, (size_t)m->bytes);
    if (m->bytes > 0) par_release(&m->node);
    *m = (NodeMemory){0};
}
