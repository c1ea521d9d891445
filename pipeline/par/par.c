/* par.c - how the ranks start, agree that something failed, and end.

   A failure is local until the next par_agree; there one all-reduce tells everybody whether any rank failed, and only
   then does the record of the lowest failing rank travel, so that all ranks unwind with the same status and the same
   message. The same all-reduce compares where the ranks are: two ranks at different agreements would otherwise hang in
   the next collective that only one of them reaches. */
#include "par/par.h"

#include <mpi.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/hash.h"
#include "core/log.h"
#include "par/signals.h"

static MPI_Comm world = MPI_COMM_NULL; /* the duplicate that Par.comm points to */
static int my_rank, all_ranks = 1;

/* ---- abort: the others cannot be reached ---- */

static void abort_all(int code)
{
    fflush(stdout);
    fflush(stderr);
    if (gettid() !=
        getpid()) { /* MPI is the main thread's alone; a launcher ends the ranks of one that ends like this */
        signals_remove_shared();
        _exit(code);
    }
    MPI_Abort(MPI_COMM_WORLD, code);
}

/* One write, so that the lines of several ranks do not mix. */
static void print_abort(const char *kind, const char *text, int rank, int n_ranks)
{
    fprintf(stderr, "error (%s): %s\n    on rank %d of %d\n", kind, text, rank, n_ranks);
    fflush(stderr);
}

_Noreturn void par_abort(const Par *par, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    print_abort("abort", text, par->rank, par->n_ranks);
    if (par->comm) abort_all(E_BUG);
    exit(E_BUG);
}

static void on_mpi_error(MPI_Comm *comm, int *code, ...)
{
    (void)comm;
    char text[MPI_MAX_ERROR_STRING];
    int length = 0;
    MPI_Error_string(*code, text, &length);
    print_abort("mpi", text, my_rank, all_ranks);
    abort_all(E_BUG);
}

static Status agree(const Par *par, Status mine, const char *file, int line);

/* ---- start and end ---- */

bool par_launched(void)
{
    /* a batch script has SLURM_PROCID too, but no step of its own */
    return getenv("OMPI_COMM_WORLD_SIZE") || getenv("PMIX_RANK") || getenv("PMI_RANK") ||
           (getenv("SLURM_PROCID") && getenv("SLURM_STEP_ID"));
}

void par_serial(Par *par)
{
    *par = (Par){.rank = 0, .n_ranks = 1, .comm = NULL};
    my_rank = 0;
    all_ranks = 1;
    fail_set_rank(0);
    fail_set_abort(NULL);
    log_init(0, 1);
}

/* A launcher of another MPI starts n programs that each believe to be alone. */
static Status check_launcher(int n_ranks)
{
    const char *told = getenv("OMPI_COMM_WORLD_SIZE");
    if (!told) told = getenv("PMI_SIZE");
    if (told && n_ranks == 1 && atoi(told) > 1)
        return FAIL(
            E_CONFIG,
            "the launcher started %s ranks, but the MPI library (%s) sees one: use the mpirun or srun of that library",
            told, par_version());
    return OK;
}

Status par_init(Par *par, int *argc, char ***argv)
{
    const bool launched = par_launched(); /* else the parent is a shell, which may go before us */
    signals_before_mpi(launched);
    if (access("/dev/shm", W_OK) != 0)
        setenv("OMPI_MCA_sharedfp", "individual", 0); /* Open MPI's MPI-IO wants it else */
    int provided = MPI_THREAD_SINGLE;
    if (MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS)
        return FAIL(E_CONFIG, "MPI does not start: %s", par_version());

    MPI_Comm_dup(MPI_COMM_WORLD, &world);
    MPI_Comm_rank(world, &my_rank);
    MPI_Comm_size(world, &all_ranks);
    *par = (Par){.rank = my_rank, .n_ranks = all_ranks, .comm = &world};

    MPI_Errhandler loud;
    MPI_Comm_create_errhandler(on_mpi_error, &loud);
    MPI_Comm_set_errhandler(world, loud);
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, loud);
    MPI_Errhandler_free(&loud);

    fail_set_rank(my_rank);
    fail_set_abort(abort_all);
    log_init(my_rank, all_ranks);
    signals_after_mpi(launched, my_rank);
    if (provided < MPI_THREAD_FUNNELED)
        return FAIL(E_CONFIG, "this MPI (%s) forbids threads beside the main one", par_version());
    return check_launcher(all_ranks);
}

int par_finish(Par *par, Status st)
{
    st = agree(par, st, __FILE__, __LINE__); /* who is asked to stop now has done everything */
    if (st != OK && par->rank == 0) fail_print(stderr, par->n_ranks);
    fflush(stdout);
    if (par->comm) {
        MPI_Comm_free(&world);
        MPI_Finalize();
        fail_set_abort(NULL);
    }
    *par = (Par){.rank = par->rank, .n_ranks = par->n_ranks, .comm = NULL};
    return (int)st;
}

const char *par_version(void)
{
    static char text[MPI_MAX_LIBRARY_VERSION_STRING];
    if (*text) return text;
    int length = 0, version = 0, subversion = 0;
    MPI_Get_library_version(text, &length);
    MPI_Get_version(&version, &subversion);
    text[strcspn(text, ",\n")] = '\0'; /* "Open MPI v4.1.4, package: ..." */
    length = (int)strlen(text);
    snprintf(text + length, sizeof text - (size_t)length, " (MPI %d.%d)", version, subversion);
    return text;
}

/* ---- agreement ---- */

typedef struct {
    char file[64];
    int line;
} Place;

static Place place_of(const char *file, int line)
{
    Place p = {.line = line};
    const char *slash = strrchr(file, '/');
    snprintf(p.file, sizeof p.file, "%s", slash ? slash + 1 : file);
    return p;
}

/* A record must exist for every failure; a Status handed up without FAIL gets one that says so. */
static void complete_record(Status mine, const char *file, int line)
{
    if (fail_record()->status != OK) return;
    fail_set(mine, file, line, "a function failed without saying why");
}

/* Which two places do not match: rank 0's and that of the lowest rank elsewhere. Exact text in `out` on all ranks. */
static void describe_mismatch(char *out, size_t size, Place mine, const Par *par)
{
    MPI_Comm comm = *(MPI_Comm *)par->comm;
    Place zero = mine;
    MPI_Bcast(&zero, sizeof zero, MPI_BYTE, 0, comm);
    bool elsewhere = mine.line != zero.line || strcmp(mine.file, zero.file) != 0;
    int64_t distance = elsewhere ? par->n_ranks - par->rank : 0;
    MPI_Allreduce(MPI_IN_PLACE, &distance, 1, MPI_INT64_T, MPI_MAX, comm);
    int other = par->n_ranks - (int)distance;
    if (other == par->n_ranks) other = 0; /* equal names in different folders */
    Place theirs = mine;
    MPI_Bcast(&theirs, sizeof theirs, MPI_BYTE, other, comm);
    snprintf(out, size, "the ranks meet at different places: rank 0 at %s:%d, rank %d at %s:%d", zero.file, zero.line,
             other, theirs.file, theirs.line);
}

static Status spread_record(int from, const Par *par)
{
    FailRecord record = *fail_record();
    MPI_Bcast(&record, sizeof record, MPI_BYTE, from, *(MPI_Comm *)par->comm);
    fail_store(&record);
    return (Status)record.status;
}

static Status agree(const Par *par, Status mine, const char *file, int line)
{
    if (mine != OK) complete_record(mine, file, line);
    if (!par->comm) return mine;

    Place place = place_of(file, line);
    char text[128];
    snprintf(text, sizeof text, "%s:%d", file, line);
    int64_t here = (int64_t)(hash_fnv1a(text) >> 2); /* so that -here exists */
    int64_t most[3] = {mine != OK ? par->n_ranks - par->rank : 0, here, -here};
    clock_wait(file, line);
    MPI_Allreduce(MPI_IN_PLACE, most, 3, MPI_INT64_T, MPI_MAX, *(MPI_Comm *)par->comm);
    clock_wait(NULL, 0);
    bool together = most[1] == -most[2];
    if (most[0] == 0 && together) return OK;

    char mismatch[256] = "";
    if (!together) describe_mismatch(mismatch, sizeof mismatch, place, par);
    if (most[0] == 0) return fail_set(E_BUG, file, line, "%s", mismatch);
    Status st = spread_record(par->n_ranks - (int)most[0], par);
    if (!together) fail_note("%s", mismatch);
    return st;
}

Status par_agree_at(const Par *par, Status mine, const char *file, int line)
{
    if (mine == OK && par->comm) mine = par_continue_at(file, line);
    return agree(par, mine, file, line);
}

/* ---- stopping early ---- */

bool par_interrupted(void) { return signals_stop() != 0; }

static bool stop_held;

void par_hold_stop(bool hold) { stop_held = hold; }

static Status interrupted_at(const char *file, int line)
{
    return fail_set(E_INTERRUPTED, file, line,
                    "%s. What was finished is on disk; the same command continues from there", signals_why());
}

Status par_continue_at(const char *file, int line)
{
    clock_tick();
    return stop_held || !par_interrupted() ? OK : interrupted_at(file, line);
}

Status par_hurry_at(const char *file, int line)
{
    static double since; /* when this was first called after being asked */
    if (!par_interrupted()) {
        clock_tick();
        return OK;
    }
    if (since == 0) since = clock_now();
    return clock_now() - since < PAR_HURRY_SECONDS ? OK : interrupted_at(file, line);
}
