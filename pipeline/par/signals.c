/* signals.c - the handlers behind signals.h.

   Handlers call async-signal-safe functions only: text is put together by hand and leaves in one write(2).

   MPI keeps the messages between ranks of one node in files of /dev/shm. An orderly end removes them and so does mpirun
   after a crash, but nobody does when mpirun itself is killed: they would fill the node's memory until it restarts. So
   the death of the launcher arrives as a signal of its own, whose handler removes the files seen mapped after MPI_Init
   and then kills this process. */
#include "par/signals.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "core/clock.h"

enum { N_SHARED = 16, PATH_TEXT = 256 };

static const struct {
    int number;
    const char *text;
} deadly[] = {
    {SIGSEGV, "invalid memory access (SIGSEGV)"},
    {SIGBUS, "bus error: a mapped file became shorter or a disk is full (SIGBUS)"},
    {SIGFPE, "integer division by zero (SIGFPE)"},
    {SIGILL, "an instruction that this processor lacks: built elsewhere with NATIVE=ON? (SIGILL)"},
};
enum { N_DEADLY = sizeof deadly / sizeof deadly[0] };

static struct sigaction before[N_DEADLY];
static int my_rank;
static char shared[N_SHARED][PATH_TEXT];
static int n_shared;

/* ---- signals that kill ---- */

typedef struct {
    char text[256];
    size_t used;
} Line;

static void put(Line *line, const char *text)
{
    while (*text && line->used < sizeof line->text - 1) line->text[line->used++] = *text++;
}

static void put_number(Line *line, unsigned n)
{
    char digits[12];
    int at = sizeof digits - 1;
    digits[at] = '\0';
    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    put(line, digits + at);
}

static void on_deadly(int number, siginfo_t *info, void *context)
{
    (void)context;
    int which = 0;
    while (which < N_DEADLY - 1 && deadly[which].number != number) which++;
    Line line = {.used = 0};
    put(&line, "error (signal): ");
    put(&line, deadly[which].text);
    put(&line, " on rank ");
    put_number(&line, (unsigned)my_rank);
    const char *where = clock_innermost();
    if (*where) {
        put(&line, " in ");
        put(&line, where);
    }
    line.text[line.used++] = '\n';
    ssize_t written = write(STDERR_FILENO, line.text, line.used);
    (void)written;
    sigaction(number, &before[which], NULL);
    if (info->si_code <= 0) raise(number); /* sent by somebody; a fault of our own happens again on return */
}

/* ---- signals that ask to stop ---- */

static const int asking[] = {SIGUSR1, SIGTERM, SIGINT};
static atomic_int stop; /* lock-free: a handler sets it */

int signals_stop(void) { return atomic_load_explicit(&stop, memory_order_relaxed); }

void signals_ask_stop(int why)
{
    int none = 0;
    atomic_compare_exchange_strong(&stop, &none, why);
}

const char *signals_why(void)
{
    switch (signals_stop()) {
    case SIGUSR1: return "stopped by SIGUSR1";
    case SIGTERM: return "stopped by SIGTERM";
    case SIGINT: return "stopped by SIGINT";
    case STOP_TIME_LIMIT: return "stopped: run.time_limit_minutes have passed";
    case STOP_LOCK_LOST: return "stopped: another run took over the lock of the output folder";
    default: return "stopped with a rank that was told to stop";
    }
}

static void on_asking(int number)
{
    if (signals_stop() != 0 && number != SIGUSR1) { /* asked twice: at once */
        signal(number, SIG_DFL);
        raise(number);
    }
    signals_ask_stop(number);
}

/* ---- the launcher's death ---- */

static int orphan_signal(void) { return SIGRTMAX - 3; } /* one that no library of ours uses */

void signals_remove_shared(void)
{
    for (int i = 0; i < n_shared; i++) unlink(shared[i]);
}

static void on_orphan(int number)
{
    (void)number;
    signals_remove_shared();
    kill(getpid(), SIGKILL);
}

/* Files of /dev/shm in our address space, at a moment when only MPI can have mapped any. */
static void find_shared_memory(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    if (!maps) return;
    char line[1024];
    while (fgets(line, sizeof line, maps) && n_shared < N_SHARED) {
        char *path = strstr(line, "/dev/shm/");
        if (!path) continue;
        path[strcspn(path, "\n")] = '\0';
        if (strlen(path) >= PATH_TEXT || strstr(path, " (deleted)")) continue;
        if (n_shared > 0 && strcmp(path, shared[n_shared - 1]) == 0) continue; /* one file, several mappings */
        strcpy(shared[n_shared++], path);
    }
    fclose(maps);
}

void signals_before_mpi(bool launched)
{
    for (int i = 0; i < N_DEADLY; i++) sigaction(deadly[i].number, NULL, &before[i]);
    struct sigaction ask = {.sa_handler = on_asking, .sa_flags = SA_RESTART};
    sigemptyset(&ask.sa_mask);
    for (size_t i = 0; i < sizeof asking / sizeof *asking; i++) sigaction(asking[i], &ask, NULL);
    if (launched) prctl(PR_SET_PDEATHSIG, SIGKILL);
}

void signals_after_mpi(bool launched, int rank)
{
    my_rank = rank;
    struct sigaction ours = {.sa_sigaction = on_deadly, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&ours.sa_mask);
    for (int i = 0; i < N_DEADLY; i++) sigaction(deadly[i].number, &ours, NULL);

    find_shared_memory();
    struct sigaction orphan = {.sa_handler = on_orphan};
    sigfillset(&orphan.sa_mask);
    sigaction(orphan_signal(), &orphan, NULL);
    if (launched) prctl(PR_SET_PDEATHSIG, orphan_signal());
}
