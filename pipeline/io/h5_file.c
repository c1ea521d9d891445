/* h5_file.c - opening, making, flushing and closing HDF5 files, alone and on all ranks.

   How it thinks: a file for writing is opened through MPI-IO by all ranks, and whatever changes its structure is done by all ranks and agreed on.
   A file for reading is opened by each rank on its own: reads are independent anyway, and a virtual dataset opens its sources at the first
   read, which through MPI-IO would be a collective that the other ranks do not join.

   Files keep the oldest format that can hold them (superblock 0): it bears no mark "open for writing", so what was flushed stays readable
   when the writer is killed. Virtual datasets alone need a newer message, which the upper bound allows. */
#include "h5_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <hdf5.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(sizeof(hid_t) == sizeof(int64_t), "handles are kept as int64_t");

static bool is_shared(const Par *par) { return par && par->comm && par->n_ranks > 1; }

/* Access properties: no file locks (cluster file systems lack them), handles die with the file, MPI-IO where all ranks write. */
static hid_t access_list(const Par *mpi)
{
    hid_t p = H5Pcreate(H5P_FILE_ACCESS);
    if (p < 0) return p;
    bool ok = H5Pset_file_locking(p, false, true) >= 0 && H5Pset_fclose_degree(p, H5F_CLOSE_STRONG) >= 0 &&
              H5Pset_libver_bounds(p, H5F_LIBVER_EARLIEST, H5F_LIBVER_V110) >= 0;
    if (ok && mpi) {
        MPI_Info info = MPI_INFO_NULL;
        MPI_Info_create(&info);
        MPI_Info_set(info, "romio_ds_write", "disable"); /* data sieving reads and rewrites the neighbours' bytes */
        ok = H5Pset_fapl_mpio(p, *(MPI_Comm *)mpi->comm, info) >= 0;
        MPI_Info_free(&info);
    }
    if (ok) return p;
    H5Pclose(p);
    return -1;
}

static Status prepare(H5File *f, const char *path, const Par *par)
{
    h5_silence();
    memset(f, 0, sizeof *f);
    f->par = is_shared(par) ? par : NULL;
    if (snprintf(f->path, sizeof f->path, "%s", path) >= (int)sizeof f->path)
        return FAIL(E_CONFIG, "the path '%.60s...' is longer than %d characters", path, H5_PATH - 1);
    return OK;
}

/* What can be said without HDF5: is it there, is it a file, may we read it? */
static Status check_there(const char *path)
{
    struct stat s;
    if (stat(path, &s) != 0) return FAIL(E_INPUT, "%s: %s", path, strerror(errno));
    if (S_ISDIR(s.st_mode)) return FAIL(E_INPUT, "%s is a folder, not an HDF5 file", path);
    if (s.st_size == 0) return FAIL(E_INPUT, "%s is empty: its writer did not finish; make or copy it again", path);
    if (access(path, R_OK) != 0) return FAIL(E_INPUT, "%s: %s", path, strerror(errno));
    return OK;
}

static Status open_here(hid_t *id, const char *path, unsigned flags, const Par *mpi)
{
    hid_t access = access_list(mpi);
    *id = access < 0 ? -1 : H5Fopen(path, flags, access);
    Status st = OK;
    if (*id < 0) {
        char reason[H5_REASON];
        snprintf(reason, sizeof reason, "%s", h5_reason());
        bool signature = H5Fis_hdf5(path) > 0;
        st = FAIL(E_INPUT, "%s %s (HDF5 says: %s); make or copy it again", path,
                  signature ? "is a damaged or incomplete HDF5 file" : "is not an HDF5 file", reason);
    }
    if (access >= 0) H5Pclose(access);
    return st;
}

/* After a collective open: either all ranks hold the file or none does. */
static Status settle(H5File *f, Status mine)
{
    if (!f->par) return mine;
    int64_t holders = f->id > 0;
    par_sum_i64(f->par, &holders, 1);
    if (holders > 0 && holders < f->par->n_ranks) /* closing is collective: those who hold it could not */
        par_abort(f->par, "%s: only %lld of %d ranks could open it", f->path, (long long)holders, f->par->n_ranks);
    Status st = par_agree(f->par, mine);
    if (st != OK && h5_close(f) != OK) st = (Status)fail_record()->status;
    return st;
}

Status h5_open(H5File *f, const char *path, const Par *par)
{
    Status st = prepare(f, path, par);
    hid_t id = -1;
    if (st == OK) st = check_there(path);
    if (st == OK && (!f->par || f->par->rank == 0)) st = h5_check_footer(path);
    TRY(H5_AGREE(f, st)); /* before any rank's libhdf5 looks */
    st = open_here(&id, path, H5F_ACC_RDONLY, NULL);
    f->id = id > 0 ? id : 0;
    st = H5_AGREE(f, st);
    if (st != OK) h5_close(f);
    return st;
}

Status h5_modify(H5File *f, const char *path, const Par *par)
{
    Status st = prepare(f, path, par);
    hid_t id = -1;
    if (st == OK &&
        (!f->par || f->par->rank == 0)) { /* a look by one rank first: its message is better than MPI-IO's */
        st = check_there(path);
        if (st == OK) st = h5_check_footer(path);
        if (st == OK) st = open_here(&id, path, H5F_ACC_RDWR, NULL);
    }
    if (f->par) {
        if (id > 0) H5Fclose(id);
        id = -1;
        TRY(par_agree(f->par, st));
        st = open_here(&id, path, H5F_ACC_RDWR, f->par);
    }
    f->id = id > 0 ? id : 0;
    return settle(f, st);
}

/* Can rank 0 make this file at all? Removes what bears the name, so that no rank meets an old file. */
static Status check_creatable(const char *path)
{
    if (unlink(path) != 0 && errno != ENOENT)
        return FAIL(E_OUTPUT, "%s: cannot be replaced: %s", path, strerror(errno));
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) return FAIL(E_OUTPUT, "%s: cannot be created: %s", path, strerror(errno));
    close(fd);
    return OK;
}

Status h5_create(H5File *f, const char *path, const Par *par)
{
    Status st = prepare(f, path, par);
    if (st == OK) st = FAIL_POINT("h5.create");
    if (st == OK && (!f->par || f->par->rank == 0)) st = check_creatable(path);
    TRY(H5_AGREE(f, st));
    hid_t access = access_list(f->par), create = H5Pcreate(H5P_FILE_CREATE);
    hid_t id = -1;
    if (access >= 0 && create >= 0) id = H5Fcreate(path, H5F_ACC_TRUNC, create, access);
    if (id < 0) st = FAIL(E_OUTPUT, "%s: cannot be created (HDF5 says: %s)", path, h5_reason());
    if (create >= 0) H5Pclose(create);
    if (access >= 0) H5Pclose(access);
    f->id = id > 0 ? id : 0;
    return settle(f, st);
}

/* Blocks up to the end of what HDF5 has placed, and some for what comes at closing. Where a file system cannot do it,
   writing has to tell. */
Status h5_reserve(H5File *f)
{
    enum { MORE = 16 << 10 };
    haddr_t end = 0;
    if (!f->par || f->par->rank != 0) return OK;
    int fd = open(f->path, O_WRONLY | O_CLOEXEC);
    bool known = fd >= 0 && H5Fget_eoa(f->id, &end) >= 0;
    int bad = known ? fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)end + MORE) : 0;
    Status st = OK;
    if (bad != 0 && (errno == ENOSPC || errno == EDQUOT))
        st = FAIL(E_OUTPUT, "%s: there is no room for its %lld bytes: %s; make room and run again", f->path,
                  (long long)end + MORE, strerror(errno));
    if (fd >= 0) close(fd);
    return st;
}

Status h5_flush(H5File *f)
{
    Status st = OK;
    TRY(H5_AGREE(f, h5_reserve(f)));
    if (H5Fflush(f->id, H5F_SCOPE_LOCAL) < 0)
        st = FAIL(E_OUTPUT, "%s: cannot be written (HDF5 says: %s); is the disk full?", f->path, h5_reason());
    if (st == OK) st = h5_sync(f);
    return H5_AGREE(f, st);
}

Status h5_sync(H5File *f)
{
    int fd = open(f->path, O_RDONLY | O_CLOEXEC);
    int bad = fd < 0 || fsync(fd) != 0;
    Status st = bad ? FAIL(E_OUTPUT, "%s: cannot be synced to disk: %s", f->path, strerror(errno)) : OK;
    if (fd >= 0) close(fd);
    return st;
}

Status h5_close(H5File *f)
{
    if (!f || f->id <= 0) return OK;
    unsigned intent = H5F_ACC_RDONLY;
    H5Fget_intent(f->id, &intent);
    bool writing = (intent & H5F_ACC_RDWR) != 0;
    Status st = writing ? H5_AGREE(f, h5_reserve(f)) : OK;
    if (st != OK) { /* left open: closing would write, and hang; and at the end of the process nothing is written */
        f->id = 0;
        return st;
    }
    if (writing && (!f->par || f->par->rank == 0)) h5_drop_footer(f->path);
    if (f->par && writing) par_barrier(f->par);
    if (H5Fclose(f->id) < 0 && writing)
        st = FAIL(E_OUTPUT, "%s: the last writes failed (HDF5 says: %s); is the disk full?", f->path, h5_reason());
    f->id = 0;
    return writing ? H5_AGREE(f, st) : OK;
}
