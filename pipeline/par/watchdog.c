/* watchdog.c - the thread behind watchdog.h. All signals are blocked in it, so that handlers run on the main thread.

   _exit is the way out: MPI_Abort would be a call of MPI from a second thread, and the main thread may hold its locks.
   A launcher that sees a rank end without MPI_Finalize ends the others and hands on the exit code. */
#include "par/watchdog.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "par/signals.h"

static const double look_seconds = 0.2, beat_seconds = 1, check_seconds = 5;

static struct {
    bool runs;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool end; /* under the mutex */
    WatchdogConfig config;
    int rank, n_ranks;
} dog = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* What the thread remembers from look to look, in seconds of clock_now. */
typedef struct {
    uint64_t ticks;
    double alive, asked, beaten, checked;
    bool told; /* where a waiting rank is */
} Memory;

/* ---- what it says ---- */

/* "rank 1 of 3, in 'read spectra', waiting for the others at embed.c:120" */
static void say_where(char *out, size_t size)
{
    int line = 0;
    const char *waiting = clock_waiting(&line), *clock = clock_innermost();
    int n = snprintf(out, size, "rank %d of %d%s%s%s", dog.rank, dog.n_ranks, *clock ? ", in '" : "", clock,
                     *clock ? "'" : "");
    if (waiting && n > 0 && n < (int)size)
        snprintf(out + n, size - (size_t)n, ", waiting for the others at %s:%d", waiting, line);
}

/* One write, so that the lines of several ranks do not mix. */
static void say(const char *format, const char *where, double seconds)
{
    char line[512];
    int n = snprintf(line, sizeof line, format, where, seconds);
    if (n >= (int)sizeof line) n = sizeof line - 1;
    ssize_t written = write(STDERR_FILENO, line, (size_t)n);
    (void)written;
}

static _Noreturn void leave(int code)
{
    signals_remove_shared();
    _exit(code);
}

/* ---- what it looks at ---- */

static void look_at_stop(Memory *m, double now)
{
    char where[256];
    int why = signals_stop();
    if (why == 0) return;
    say_where(where, sizeof where);
    if (m->asked == 0) {
        m->asked = now;
        /* the launcher ends the job, perhaps because another rank hangs: say what this one was doing */
        if (why == SIGTERM && !m->told && dog.config.stall_seconds > 0 && now - m->alive > dog.config.stall_seconds / 4)
            say("stalled: %s, no sign of life for %.0f s\n", where, now - m->alive);
    }
    if (now - m->asked < dog.config.stop_seconds) return;
    say("error (interrupted): told to stop, but not there yet on %s after %.0f s: what is in hand is given up; the "
        "same "
        "command continues\n",
        where, now - m->asked);
    leave(E_INTERRUPTED);
}

static void look_at_life(Memory *m, double now)
{
    char where[256];
    uint64_t ticks = clock_ticks();
    int line = 0;
    if (ticks != m->ticks) {
        m->ticks = ticks;
        m->alive = now;
        m->told = false;
        return;
    }
    const double idle = now - m->alive, limit = dog.config.stall_seconds;
    if (limit <= 0 || idle < limit) return;
    bool waits = clock_waiting(&line) != NULL;
    say_where(where, sizeof where);
    if (waits && idle < 2 * limit) {
        if (!m->told) say("stalled: %s, no sign of life for %.0f s\n", where, idle);
        m->told = true;
        return;
    }
    say("error (stalled): %s: no sign of life for %.0f s (run.stall_minutes); the job is ended, the same command "
        "continues\n",
        where, idle);
    leave(E_STALLED);
}

static void look_at_lock(Memory *m, double now)
{
    if (!dog.config.lock || now - m->beaten < beat_seconds) return;
    m->beaten = now;
    lock_beat(dog.config.lock);
    if (now - m->checked < check_seconds) return;
    m->checked = now;
    if (!lock_is_mine(dog.config.lock)) signals_ask_stop(STOP_LOCK_LOST);
}

static void look_around(Memory *m)
{
    double now = clock_now();
    if (dog.config.limit_seconds > 0 && log_elapsed() > dog.config.limit_seconds) signals_ask_stop(STOP_TIME_LIMIT);
    look_at_stop(m, now);
    look_at_life(m, now);
    look_at_lock(m, now);
}

static void *watch(void *unused)
{
    (void)unused;
    Memory m = {.ticks = clock_ticks(), .alive = clock_now()};
    pthread_mutex_lock(&dog.mutex);
    while (!dog.end) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += (long)(1e9 * look_seconds);
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&dog.wake, &dog.mutex, &until);
        if (!dog.end) look_around(&m);
    }
    pthread_mutex_unlock(&dog.mutex);
    return NULL;
}

/* ---- start and end ---- */

Status watchdog_start(const Par *par, const WatchdogConfig *config)
{
    MUST(!dog.runs);
    dog.config = *config;
    dog.rank = par->rank;
    dog.n_ranks = par->n_ranks;
    dog.end = false;
    pthread_cond_init(&dog.wake, NULL);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&dog.thread, NULL, watch, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code != 0) return FAIL(E_MEMORY, "cannot start a thread: %s", strerror(code));
    dog.runs = true;
    return OK;
}

void watchdog_stop(void)
{
    if (!dog.runs) return;
    pthread_mutex_lock(&dog.mutex);
    dog.end = true;
    pthread_cond_signal(&dog.wake);
    pthread_mutex_unlock(&dog.mutex);
    pthread_join(dog.thread, NULL);
    pthread_cond_destroy(&dog.wake);
    dog.runs = false;
}
