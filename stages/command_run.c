/* command_run.c - `astroclip run`: every stage in order as an MPI job of its own, then the table of scores and what was written.

   The launcher is executed directly, without a shell. Whether a stage is stale it finds out itself, by its fingerprint.

   Signals: mpirun kills its ranks a second after a SIGTERM of its own, but hands SIGUSR1 on to them. So SIGTERM, SIGINT
   and SIGUSR1 to us become SIGUSR1 to the launcher, which has a process group of its own so that the terminal's Ctrl-C
   reaches it through us alone. The ranks finish what is in hand; a second SIGTERM or SIGINT, or PATIENCE after run.stop_seconds, end them.
   The chain's lock (core/lock.h) is held here and used by all stages. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "commands.h"
#include "core/clock.h"
#include "core/lock.h"
#include "core/log.h"

enum { MAX_ARGS = 256, PATIENCE = 7, KILL_SECONDS = 5, REAP_SECONDS = 20 };

typedef struct {
    const char *item[MAX_ARGS];
    int n;
} Args;

static void add(Args *args, const char *text)
{
    MUST(args->n < MAX_ARGS - 1);
    args->item[args->n++] = text;
}

/* The first of the hardware threads that share a core with this one. */
static int first_thread(int cpu)
{
    char path[96];
    int first = cpu;
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
    FILE *f = fopen(path, "r");
    if (!f) return cpu;
    if (fscanf(f, "%d", &first) != 1) first = cpu;
    fclose(f);
    return first;
}

/* Cores that this process may use: fewer than the machine has under taskset, cgroups, SLURM. Hardware threads of one
   core count once, as they do for mpirun, which refuses to start more ranks than that unless told to oversubscribe. */
static int64_t count_cores(void)
{
    cpu_set_t set;
    int64_t n = 0;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return sysconf(_SC_NPROCESSORS_ONLN);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &set)) continue;
        int first = first_thread(cpu);
        if (first == cpu || first < 0 || first >= CPU_SETSIZE || !CPU_ISSET(first, &set)) n++;
    }
    return n > 0 ? n : 1;
}

static bool in_allocation(void) { return getenv("SLURM_JOB_ID") && getenv("SLURM_NTASKS"); }

static int64_t choose_ranks(const Command *c, const RunConfig *rc)
{
    if (c->ranks > 0) return c->ranks;
    if (in_allocation()) return atoll(getenv("SLURM_NTASKS"));
    int64_t ranks = count_cores() / rc->threads;
    return ranks > 0 ? ranks : 1;
}

/* The words before the program: launcher, ranks, binding. */
static Status launcher_words(Args *args, const RunConfig *rc, int64_t ranks, Arena *a)
{
    char *n = NULL, *threads = NULL, *map = NULL;
    TRY(arena_printf(&n, a, "%lld", (long long)ranks));
    TRY(arena_printf(&threads, a, "%lld", (long long)rc->threads));
    TRY(arena_printf(&map, a, "slot:PE=%lld", (long long)rc->threads));
    bool srun = rc->launcher == LAUNCHER_SRUN || (rc->launcher == LAUNCHER_AUTO && in_allocation());
    if (srun) {
        const char *words[] = {"srun", "-n", n, "-c", threads, "--cpu-bind=cores", "--kill-on-bad-exit=1"};
        for (size_t i = 0; i < sizeof words / sizeof *words; i++) add(args, words[i]);
        return OK;
    }
    add(args, "mpirun");
    add(args, "--quiet");
    if (geteuid() == 0) add(args, "--allow-run-as-root");
    if (getenv(lock_variable)) {
        add(args, "-x"); /* ranks on other nodes, too, know that the lock is the chain's */
        add(args, lock_variable);
    }
    add(args, "-n");
    add(args, n);
    int64_t cores = count_cores();
    if (ranks * rc->threads > cores) {
        log_warn("%lld ranks x %lld threads on %lld cores: oversubscribed, expect it to be slow", (long long)ranks,
                 (long long)rc->threads, (long long)cores);
        add(args, "--oversubscribe");
        add(args, "--bind-to");
        add(args, "none");
    } else {
        add(args, "--map-by");
        add(args, map);
        add(args, "--bind-to");
        add(args, "core");
    }
    return OK;
}

/* ---- the launcher, and signals on their way to it ---- */

/* The chain as it runs. */
typedef struct {
    const Command *c;
    const RunConfig *rc;
    char program[PATH_MAX];
    int64_t ranks;
    Lock lock;
    sigset_t signals;  /* blocked here and taken one by one */
    sigset_t original; /* the mask we were started with     */
    bool stopping;     /* was told to stop, or the time is up */
    double killed;     /* when the launcher got SIGTERM, 0 = not */
    double asked;      /* when it got SIGUSR1               */
} Chain;

static void block_signals(Chain *chain)
{
    sigemptyset(&chain->signals);
    const int taken[] = {SIGTERM, SIGINT, SIGUSR1, SIGCHLD};
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) sigaddset(&chain->signals, taken[i]);
    sigprocmask(SIG_BLOCK, &chain->signals, &chain->original);
}

/* In the child. */
static _Noreturn void become_launcher(const Args *args, const Chain *chain, pid_t parent)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* outlives execvp */
    if (getppid() != parent) _exit(E_INTERRUPTED);
    int nothing = open("/dev/null", O_RDONLY); /* a group in the background must not read the terminal */
    if (nothing >= 0) dup2(nothing, STDIN_FILENO);
    sigprocmask(SIG_SETMASK, &chain->original, NULL);
    execvp(args->item[0], (char *const *)(const void *)args->item);
    fprintf(stderr, "error (config): cannot execute '%s': %s; install it or set run.launcher\n", args->item[0],
            strerror(errno));
    _exit(E_CONFIG);
}

/* Signal 0: only the time passes. child 0: no launcher runs. */
static void hand_on(Chain *chain, int number, pid_t child)
{
    double now = clock_now(), limit = 60 * chain->rc->time_limit_minutes;
    bool asked = number == SIGTERM || number == SIGINT || number == SIGUSR1;
    bool again = chain->stopping && (number == SIGTERM || number == SIGINT);
    if (!chain->stopping && (asked || (limit > 0 && log_elapsed() > limit))) {
        chain->stopping = true;
        chain->asked = now;
        log_warn("%s: the stage finishes what is in hand%s", asked ? strsignal(number) : "run.time_limit_minutes",
                 asked ? " (a second signal ends it at once)" : "");
        if (child > 0) kill(child, SIGUSR1);
    }
    if (!chain->stopping || child <= 0) return;
    if (chain->killed == 0 && (again || now - chain->asked > chain->rc->stop_seconds + PATIENCE)) {
        chain->killed = now;
        kill(child, SIGTERM);
    } else if (chain->killed > 0 && now - chain->killed > KILL_SECONDS) {
        kill(child, SIGKILL);
    }
}

/* True when the process has children, and all of them have ended without its taking notice. */
static bool has_only_dead_children(pid_t parent)
{
    int dead = 0, alive = 0;
    DIR *dir = opendir("/proc");
    if (!dir) return false;
    for (const struct dirent *entry; (entry = readdir(dir));) {
        char path[300], line[512], state = 0;
        int its_parent = 0;
        if (!isdigit((unsigned char)entry->d_name[0])) continue;
        snprintf(path, sizeof path, "/proc/%.255s/stat", entry->d_name);
        FILE *f = fopen(path, "r");
        if (!f) continue;
        const char *rest =
            fgets(line, sizeof line, f) ? strrchr(line, ')') : NULL; /* the name before it may hold anything */
        if (rest && sscanf(rest + 1, " %c %d", &state, &its_parent) == 2 && its_parent == (int)parent)
            *(state == 'Z' || state == 'X' ? &dead : &alive) += 1;
        fclose(f);
    }
    closedir(dir);
    return dead > 0 && alive == 0;
}

/* A launcher takes notice of the end of its ranks at once. Open MPI 4.1 can lock itself up when one dies while the job starts or ends: its main thread
   waits for a mutex that a thread which is gone holds, and the job would never end. */
static bool launcher_hangs(double *since, pid_t child)
{
    double now = clock_now();
    if (!has_only_dead_children(child)) {
        *since = now;
        return false;
    }
    return now - *since > REAP_SECONDS;
}

/* Runs the words; *code is the exit code of the job (128 + signal if it was killed). */
static Status execute(int *code, const Args *args, Chain *chain)
{
    const struct timespec second = {.tv_sec = 1};
    fflush(NULL);
    pid_t parent = getpid(), child = fork();
    if (child < 0) return FAIL(E_BUG, "cannot start a process: %s", strerror(errno));
    if (child == 0) become_launcher(args, chain, parent);
    setpgid(child, child); /* whoever comes first */
    int state = 0;
    bool hangs = false;
    double noticed = clock_now();
    for (;;) {
        pid_t ended = waitpid(child, &state, WNOHANG);
        if (ended == child) break;
        if (ended < 0 && errno != EINTR) return FAIL(E_BUG, "lost the launcher: %s", strerror(errno));
        int number = sigtimedwait(&chain->signals, NULL, &second);
        hand_on(chain, number > 0 ? number : 0, child);
        lock_beat(&chain->lock);
        if (hangs || !launcher_hangs(&noticed, child)) continue;
        hangs = true;
        log_warn("%s does not end though its ranks have ended: killed", args->item[0]);
        kill(child, SIGKILL);
    }
    *code = hangs ? E_STALLED : WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state);
    return OK;
}

/* ---- the chain ---- */

static Status run_stage(int *code, Chain *chain, const char *stage, Arena *a)
{
    const Command *c = chain->c;
    Args args = {.n = 0};
    TRY(launcher_words(&args, chain->rc, chain->ranks, a));
    add(&args, chain->program);
    add(&args, stage);
    add(&args, c->target);
    for (int i = 0; i < c->n_overrides; i++) {
        add(&args, "--set");
        add(&args, c->overrides[i]);
    }
    if (c->force) add(&args, "--force");
    if (c->dry_run) add(&args, "--dry-run");
    return execute(code, &args, chain);
}

/* What the launcher makes of a job that was told to stop: our own code, a signal's, its own 1. */
static bool is_interruption(int code) { return code == E_INTERRUPTED || code == 1 || code > 128; }

static void tell_end(int code, const char *stage)
{
    if (code == E_INTERRUPTED)
        fprintf(stderr, "astroclip run: interrupted at stage %s (exit code %d); the same command continues\n", stage,
                code);
    else
        fprintf(stderr, "astroclip run: stage %s ended with exit code %d%s\n", stage, code,
                code == 1 ? ": that is the launcher's; start the stage by hand with mpirun to see its reason" : "");
}

static Status run_chain(int *code, Chain *chain, Arena *a)
{
    const ConfigTexts *stages = &chain->rc->stages;
    for (int64_t i = 0; i < stages->n && *code == 0; i++) {
        hand_on(chain, sigtimedwait(&chain->signals, NULL, &(struct timespec){0}), 0);
        if (chain->stopping)
            *code = E_INTERRUPTED;
        else
            TRY(run_stage(code, chain, stages->item[i], a));
        if (chain->stopping && is_interruption(*code)) *code = E_INTERRUPTED;
        if (*code != 0) tell_end(*code, stages->item[i]);
    }
    return OK;
}

/* ---- the end of a run ---- */

/* A cell of table.csv so wide that columns stand below each other: three of names, then numbers and their headings. */
static void print_cell(const char *text, int column)
{
    static const int width[] = {19, 24, 15};
    char *end = NULL;
    const double value = strtod(text, &end);
    if (column < (int)(sizeof width / sizeof *width))
        printf("%-*s", width[column], text);
    else if (*text && !*end)
        printf("  %8.3f", value);
    else
        printf("  %8.8s", strncmp(text, "morphology_", 11) == 0 ? text + 11 : text);
}

static void print_table(const char *path)
{
    char line[1024];
    FILE *f = fopen(path, "r");
    if (!f) return;
    printf("\nR2 on the test split; of morphology accuracy and F1 (table.csv; scores.csv has more)\n");
    while (fgets(line, sizeof line, f)) {
        char *at = line;
        line[strcspn(line, "\r\n")] = 0;
        for (int column = 0; at; column++) print_cell(strsep(&at, ","), column);
        printf("\n");
    }
    fclose(f);
}

static void print_written(const char *folder)
{
    static const char *const names[] = {"catalog.h5",      "embeddings.h5",     "probes.h5", "scores.csv",
                                        "properties.fits", "report/index.html", NULL};
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/table.csv", folder);
    print_table(path);
    printf("\n");
    for (const char *const *name = names; *name; name++) {
        snprintf(path, sizeof path, "%s/%s", folder, *name);
        if (access(path, R_OK) == 0) printf("%s\n", path);
    }
}

Status command_run(const Command *c, int *code)
{
    Arena a = {0};
    Run run;
    Chain chain = {.c = c};
    TRY(arena_init(&a, "run", 0));
    Status st = command_configure(&run, c, &par_alone, &a);
    if (st == OK && readlink("/proc/self/exe", chain.program, sizeof chain.program - 1) < 0)
        st = FAIL(E_BUG, "cannot find the program itself: %s", strerror(errno));
    if (st == OK) {
        chain.rc = config_get(run.config, &run_section);
        chain.ranks = choose_ranks(c, chain.rc);
        block_signals(&chain);
        if (!c->dry_run) st = artefact_make_folder(&par_alone, chain.rc->output);
        if (st == OK && !c->dry_run) st = lock_take(&chain.lock, chain.rc->output, "run");
        lock_pass_on(&chain.lock);
        if (st == OK) st = run_chain(code, &chain, &a);
        lock_release(&chain.lock);
        if (st == OK && *code == 0 && !c->dry_run) print_written(chain.rc->output);
    }
    arena_free(&a);
    return st;
}
