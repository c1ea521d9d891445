/* par.h - the ranks: start and end, agreement on failure, exact reductions, dynamic work, ordered sums, exchanges, sort.

   The only layer that includes mpi.h; all MPI calls are on the main thread. Each function says Collective or Local.
   Floats that reach an artefact are never summed by MPI: they go through TreeSum (core/treesum.h) and par_tree_finish. */
#ifndef PAR_PAR_H
#define PAR_PAR_H

#include <stdbool.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/fail.h"
#include "core/treesum.h"

typedef struct {
    int rank, n_ranks;
    void *comm;  /* MPI_Comm *, a duplicate with an error handler that aborts loudly; NULL without MPI */
    void *queue; /* of a group: where its work is counted; NULL = each queue has a window of its own */
} Par;

/* Local. Was this process started by mpirun or srun? Works before par_init. */
bool par_launched(void);

/* Collective. MPI_Init (MPI_THREAD_FUNNELED), error handler, abort hook of MUST, log_init. Signals that kill print one
   line with the rank. */
Status par_init(Par *par, int *argc, char ***argv);

/* Local. One rank without MPI: for `list`, `check`, `inspect` and unit tests. Everything below works on it. */
void par_serial(Par *par);

/* This rank by itself: for functions that want a Par where one rank acts alone. */
extern const Par par_alone;

/* Collective. The ranks of one colour as a Par of their own, in rank order (groups of ranks that write one volume). par_release frees it,
   Collective over the ranks of `par`. */
Status par_split(Par *out, const Par *par, int colour);
void par_release(Par *split);

/* Collective. Agrees on `st`, rank 0 prints the record, MPI is finalised; returns the exit code. */
int par_finish(Par *par, Status st);

/* Collective. All ranks get the status of the lowest failing rank and its record; OK only if all are OK. Ranks that
   meet here from different lines say so (E_BUG) instead of hanging later. Call it before each other collective that
   follows local work. */
#define par_agree(par, mine) par_agree_at((par), (mine), __FILE__, __LINE__)
Status par_agree_at(const Par *par, Status mine, const char *file, int line);

/* ---- stopping early ----

   SIGUSR1 or SIGTERM to a rank, or its time limit, ask the job to stop. From then on par_work_next hands out nothing, to
   nobody, and the next par_agree is E_INTERRUPTED on all ranks, so that what is in hand is finished first. Loops of
   one's own between two agreements call par_continue for each unit; it also tells the watchdog that this rank lives. */
bool par_interrupted(void);                                /* Local, cheap */
#define par_continue() par_continue_at(__FILE__, __LINE__) /* Local: OK or E_INTERRUPTED */
Status par_continue_at(const char *file, int line);

/* Local. While held, agreements and par_continue pass over a request to stop: for a loop that asks par_interrupted at
   its own borders and then saves its state. par_hurry is not held. */
void par_hold_stop(bool hold);

/* Local. Within a unit of work that takes long: E_INTERRUPTED once this rank was asked to stop PAR_HURRY_SECONDS ago; the
   unit is then given up, so that the job leaves within 20 s. */
enum { PAR_HURRY_SECONDS = 10 };
#define par_hurry() par_hurry_at(__FILE__, __LINE__)
Status par_hurry_at(const char *file, int line);

/* Local. For when the others cannot be reached: prints, flushes, MPI_Abort. */
_Noreturn void par_abort(const Par *par, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Collective. Exact, so order-free. Data of any size: messages are cut below 2^31 bytes. */
void par_barrier(const Par *par);
void par_bcast(const Par *par, void *data, int64_t bytes, int root);
void par_sum_i64(const Par *par, int64_t *values, int64_t n); /* in place, all ranks */
void par_max_i64(const Par *par, int64_t *values, int64_t n);
void par_max_f64(const Par *par, double *values, int64_t n); /* a NaN on any rank wins; +0 beats -0 */

/* Collective. sum of `mine` over lower ranks: where this rank's rows start. */
int64_t par_offset_i64(const Par *par, int64_t mine);

/* Collective. Rank 0 reads the file, everyone gets the bytes (NUL-terminated, in `a`) or the failure. */
Status par_read_file(char **out, int64_t *bytes, const Par *par, const char *path, Arena *a);

/* Collective. Concatenates every rank's records in rank order on all ranks (par_allgather) or on rank 0 (par_gather;
   others get n = 0). Beside the result, 24 bytes per rank stay in `a`. */
Status par_allgather(void **out, int64_t *n_out, const Par *par, const void *mine, int64_t n, size_t record, Arena *a);
Status par_gather(void **out, int64_t *n_out, const Par *par, const void *mine, int64_t n, size_t record, Arena *a);

/* Collective. Record i goes to rank dest[i]; received records come ordered by source rank, then by their order there.
   Messages are of some MB. Beside the result, 16 bytes per rank stay in `a`; while it works, 4 bytes per record and one
   message more. */
Status par_exchange(void **out, int64_t *n_out, const Par *par, const void *records, const int *dest, int64_t n,
                    size_t record, Arena *a);

/* Collective. The same for records that already lie in the order of their ranks: n_to[r] of them go to rank r. No copy
   is made. n_from, unless NULL, gets how many came from each rank (n_ranks). */
Status par_exchange_grouped(void **out, int64_t *n_out, int64_t *n_from, const Par *par, const void *records,
                            const int64_t *n_to, size_t record, Arena *a);

/* Collective. The same in two steps, into memory of the caller's: how many records come from each rank (n_ranks; returns
   their sum), then the records that `order` lists (numbers of `records`; NULL = as they lie), n_to[r] of them to rank r
   after those to the ranks below it. One message of some MB is in `scratch` meanwhile. */
int64_t par_exchange_counts(int64_t *n_from, const Par *par, const int64_t *n_to);
Status par_exchange_ordered(void *out, const Par *par, const void *records, const uint32_t *order, const int64_t *n_to,
                            const int64_t *n_from, size_t record, Arena *scratch);

/* Collective. Sorts the records of all ranks by `compare` and leaves equal shares: rank r gets the rows [r*N/P,
   (r+1)*N/P) of the sorted whole. Equal records keep the order of ranks and rows, so the result does not depend on how
   the rows were divided. Sample sort; no rank holds more than about 2 x N/P, however uneven the shares and however many
   equal records there are. While it works, `a` holds 2 to 3 x N/P and 8 bytes for each of the n and N/P; then only the
   result. */
Status par_sort(void **out, int64_t *n_out, const Par *par, const void *records, int64_t n, size_t record,
                int (*compare)(const void *, const void *), Arena *a);

/* Collective. Joins the TreeSums of all ranks (contiguous ranges of leaves in rank order, some possibly empty) and
   gives the total to all ranks: the same bits for any number of ranks. `mine` is used up; all ranks gave treesum_init
   the same numbers. */
Status par_tree_finish(double *out, TreeSum *mine, const Par *par, Arena *a);

/* This rank's contiguous share [*first, *last) of n items. Local. */
void par_share(int64_t *first, int64_t *last, const Par *par, int64_t n);

/* Units 0 .. n_units-1 handed out dynamically, in order, each to exactly one rank, as ranks become free. */
typedef struct {
    int64_t n_units;
    void *window;  /* the counter on rank 0; NULL when serial */
    int64_t local; /* serial counter */
} Work;
Status par_work_open(Work *w, const Par *par, int64_t n_units); /* Collective */
int64_t par_work_next(Work *w, const Par *par);                 /* Local: the next unit, or -1 */
void par_work_stop(Work *w, const Par *par);          /* Local: hands out nothing more, to anyone (a unit failed) */
int64_t par_work_done(const Work *w, const Par *par); /* Local: units handed out so far (for progress) */
void par_work_close(Work *w, const Par *par);         /* Collective */

/* Collective. One table of clocks and memory peaks in the log: min, mean, max over ranks and the slowest rank. Ranks
   may have different clocks: a clock that a rank never started counts as zero there. */
void par_print_clocks(const Par *par);

/* Local. The longest message in bytes (default 2^30); tests make it tiny to see what happens at the cuts. All ranks
   alike. */
void par_set_chunk(int64_t bytes);
int64_t par_chunk(void);

/* Library and version, for logs and envelopes. Local; works without MPI_Init. */
const char *par_version(void);

#endif
