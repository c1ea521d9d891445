/* command_run.c - `astroclip run`: every stage in order as an MPI job of its own, then the table of scores and what was written.

   The launcher is executed directly, without a shell. Whether a stage is stale it finds out itself, by its fingerprint. */
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "commands.h"
#include "core/log.h"

enum { MAX_ARGS = 256 };

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
        const char *words[] = {"srun", "-n", n, "-c", threads, "--cpu-bind=cores"};
        for (size_t i = 0; i < sizeof words / sizeof *words; i++) add(args, words[i]);
        return OK;
    }
    add(args, "mpirun");
    add(args, "--quiet");
    if (geteuid() == 0) add(args, "--allow-run-as-root");
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

/* Runs the words; *code is the exit code of the job (128 + signal if it was killed). */
static Status execute(int *code, const Args *args)
{
    fflush(NULL);
    pid_t child = fork();
    if (child < 0) return FAIL(E_BUG, "cannot start a process: %s", strerror(errno));
    if (child == 0) {
        execvp(args->item[0], (char *const *)(const void *)args->item);
        fprintf(stderr, "error (config): cannot execute '%s': %s; install it or set run.launcher\n", args->item[0],
                strerror(errno));
        _exit(E_CONFIG);
    }
    int state = 0;
    while (waitpid(child, &state, 0) < 0)
        if (errno != EINTR) return FAIL(E_BUG, "lost the launcher: %s", strerror(errno));
    *code = WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state);
    return OK;
}

static Status run_stage(int *code, const Command *c, const RunConfig *rc, const char *program, const char *stage,
                        int64_t ranks, Arena *a)
{
    Args args = {.n = 0};
    TRY(launcher_words(&args, rc, ranks, a));
    add(&args, program);
    add(&args, stage);
    add(&args, c->target);
    for (int i = 0; i < c->n_overrides; i++) {
        add(&args, "--set");
        add(&args, c->overrides[i]);
    }
    if (c->force) add(&args, "--force");
    if (c->dry_run) add(&args, "--dry-run");
    return execute(code, &args);
}

/* ---- the end of a run ---- */

enum { SCORE_COLUMNS = 32, SCORE_LINE = 1024 };

/* Columns of scores.csv that fit a terminal, with their headings; rows of the test split only. */
static const struct {
    const char *name, *heading;
    int width;
} shown[] = {{"property", "property", 10},
             {"encoder", "encoder", 11},
             {"modality", "modality", 9},
             {"probe", "probe", 6},
             {"n", "n", 7},
             {"r2", "R2", 9},
             {"rmse", "RMSE", 9},
             {"bias", "bias", 10},
             {"sigma_nmad", "sigma_nmad", 11},
             {"outlier_fraction", "outliers", 9}};
enum { N_SHOWN = sizeof shown / sizeof *shown };

static int split_line(char *cell[SCORE_COLUMNS], char *line)
{
    int n = 0;
    line[strcspn(line, "\r\n")] = 0;
    for (char *at = line; at && n < SCORE_COLUMNS;) cell[n++] = strsep(&at, ",");
    return n;
}

static int find_column(char *const *cell, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (strcmp(cell[i], name) == 0) return i;
    return -1;
}

static void print_cell(const char *text, int width)
{
    char *end = NULL;
    double value = strtod(text, &end);
    if (*text && !*end && strchr(text, '.'))
        printf("%-*.3g", width, value);
    else
        printf("%-*s", width, text);
}

static void print_scores(const char *path)
{
    FILE *f = fopen(path, "r");
    if (!f) return;
    char head[SCORE_LINE], line[SCORE_LINE], *name[SCORE_COLUMNS], *cell[SCORE_COLUMNS];
    int n_names = fgets(head, sizeof head, f) ? split_line(name, head) : 0, split = find_column(name, n_names, "split");
    printf("\nscores on the test split\n");
    for (int s = 0; s < N_SHOWN; s++) printf("%-*s", shown[s].width, shown[s].heading);
    printf("\n");
    while (fgets(line, sizeof line, f)) {
        int n = split_line(cell, line);
        if (split < 0 || split >= n || strcmp(cell[split], "test") != 0) continue;
        for (int s = 0; s < N_SHOWN; s++) {
            int column = find_column(name, n_names, shown[s].name);
            print_cell(column >= 0 && column < n ? cell[column] : "", shown[s].width);
        }
        printf("\n");
    }
    fclose(f);
}

static void print_written(const char *folder)
{
    static const char *const names[] = {"catalog.h5", "embeddings.h5",   "probes.h5",
                                        "scores.csv", "properties.fits", NULL};
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/scores.csv", folder);
    print_scores(path);
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
    char program[PATH_MAX] = "";
    TRY(arena_init(&a, "run", 0));
    Status st = command_configure(&run, c, &par_alone, &a);
    if (st == OK && readlink("/proc/self/exe", program, sizeof program - 1) < 0)
        st = FAIL(E_BUG, "cannot find the program itself: %s", strerror(errno));
    if (st == OK) {
        const RunConfig *rc = config_get(run.config, &run_section);
        int64_t ranks = choose_ranks(c, rc);
        for (int64_t i = 0; i < rc->stages.n && st == OK && *code == 0; i++) {
            st = run_stage(code, c, rc, program, rc->stages.item[i], ranks, &a);
            if (st == OK && *code != 0)
                fprintf(stderr, "astroclip run: stage %s ended with exit code %d%s\n", rc->stages.item[i], *code,
                        *code == 1 ? ": that is the launcher's; start the stage by hand with mpirun to see its reason"
                                   : "");
        }
        if (st == OK && *code == 0 && !c->dry_run) print_written(rc->output);
    }
    arena_free(&a);
    return st;
}
