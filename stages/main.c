/* main.c - the command line. A stage starts MPI and runs; everything else is serial and stays clear of MPI, because a process that started MPI cannot
   start mpirun. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "core/log.h"
#include "core/version.h"
#include "io/fitsfile.h"
#include "io/h5.h"
#include "nn/gemm.h"
#include "nn/linalg.h"
#include "plan.h"
#include "par/watchdog.h"
#include "probe/ann.h"

static const char usage[] =
    "astroclip: galaxy images and spectra to embeddings and property tables, at survey scale\n"
    "\n"
    "    astroclip list                         the stages: what each reads and writes\n"
    "    astroclip about STAGE                  its purpose, inputs, outputs, configuration keys\n"
    "    astroclip check RUN.yaml [-n RANKS]    validate the run file, print the plan: rows, bytes, memory, time\n"
    "          --measure times a few objects on this machine first; --current asks which outputs are current;\n"
    "          --plan prints the plan as a table for programs; --objects N plans for N rows instead of counting\n"
    "    astroclip run RUN.yaml [-n RANKS]      every stale stage in order, each as its own MPI job\n"
    "    mpirun -n 8 astroclip STAGE RUN.yaml   one stage\n"
    "    astroclip inspect FILE [--verify]      what an artefact is and holds\n"
    "    astroclip compare A B [--rows CSV]     rows added, dropped, changed between two artefacts of one kind\n"
    "    astroclip serve RUN.yaml               the explorer: interactive search in a browser on this machine\n"
    "    astroclip reference                    every key of a run file with its help\n"
    "    astroclip --version\n"
    "\n"
    "options: --set section.key=value   --dry-run   --force   -n RANKS\n"
    "exit codes: 0 done, 2 configuration, 3 input, 4 output, 5 numeric, 6 memory, 7 bug,\n"
    "            8 interrupted (SIGUSR1, SIGTERM, time limit: the same command continues), 9 stalled;\n"
    "            compare: 0 the data are equal, 1 they differ\n";

typedef struct {
    const char *name;
    bool needs_target;
    Status (*run)(const Command *c);
} CommandRow;

static const CommandRow commands[] = {
    {"list", false, command_list},
    {"about", true, command_about},
    {"reference", false, command_reference},
    {"check", true, command_check},
    {"inspect", true, command_inspect},
    {"serve", true, command_serve},
    {NULL, false, NULL},
};

static Status take_number(int64_t *out, const char *option, const char *what, const char *text)
{
    char *end = NULL;
    *out = text ? strtoll(text, &end, 10) : 0;
    if (!text || *end || *out < 1)
        return FAIL(E_CONFIG, "%s wants a number of %s, not '%s'", option, what, text ? text : "");
    return OK;
}

static Status take_arguments(Command *c, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];
        if (strcmp(arg, "--dry-run") == 0)
            c->dry_run = true;
        else if (strcmp(arg, "--force") == 0)
            c->force = true;
        else if (strcmp(arg, "--verify") == 0)
            c->verify = true;
        else if (strcmp(arg, "--plan") == 0)
            c->plan = true;
        else if (strcmp(arg, "--measure") == 0)
            c->measure = true;
        else if (strcmp(arg, "--current") == 0)
            c->current = true;
        else if (strcmp(arg, "--set") == 0) {
            if (i + 1 == argc || !strchr(argv[i + 1], '=')) return FAIL(E_CONFIG, "--set wants section.key=value");
            c->overrides[c->n_overrides++] = argv[++i];
        } else if (strncmp(arg, "--set=", 6) == 0)
            c->overrides[c->n_overrides++] = arg + 6;
        else if (strcmp(arg, "--rows") == 0) {
            if (i + 1 == argc) return FAIL(E_CONFIG, "--rows wants the name of a CSV file to write");
            c->rows = argv[++i];
        } else if (strcmp(arg, "-n") == 0)
            TRY(take_number(&c->ranks, arg, "ranks", i + 1 < argc ? argv[++i] : NULL));
        else if (strcmp(arg, "--objects") == 0)
            TRY(take_number(&c->objects, arg, "objects", i + 1 < argc ? argv[++i] : NULL));
        else if (arg[0] == '-')
            return FAIL(E_CONFIG, "unknown option %s (astroclip --help shows them)", arg);
        else if (!c->command)
            c->command = arg;
        else if (!c->target)
            c->target = arg;
        else if (!c->second && strcmp(c->command, "compare") == 0)
            c->second = arg;
        else
            return FAIL(E_CONFIG, "one argument too many: %s", arg);
    }
    if (!c->command) return FAIL(E_CONFIG, "nothing to do; astroclip --help shows the commands");
    return OK;
}

static void print_version(void)
{
    printf("astroclip %s (%s)\n", program_version(), program_commit());
    printf("MPI      %s\n", par_version());
    printf("HDF5     %s\n", h5_version());
    printf("cfitsio  %s\n", fitsfile_version());
    for (const GemmProvider *const *g = gemm_providers; *g; g++)
        if ((*g)->available()) printf("gemm     %s: %s\n", (*g)->name, (*g)->version());
    printf("FAISS    %s\n", ann_available() ? ann_version() : "not built in (search.index: exact alone)");
    printf("CPU      %s\n", program_instructions());
}

/* Collective. The output folder is this job's alone from here on. */
static Status lock_output(Lock *lock, const Run *run, const Stage *stage)
{
    const RunConfig *rc = config_get(run->config, &run_section);
    TRY(artefact_make_folder(&run->par, rc->output));
    return par_agree(&run->par, run->par.rank == 0 ? lock_take(lock, rc->output, stage->name) : OK);
}

/* Collective. The stage under watch. */
static Status run_watched(Run *run, const Stage *stage, Lock *lock)
{
    const RunConfig *rc = config_get(run->config, &run_section);
    const WatchdogConfig watch = {.stall_seconds = 60 * rc->stall_minutes,
                                  .stop_seconds = rc->stop_seconds,
                                  .limit_seconds = 60 * rc->time_limit_minutes,
                                  .lock = lock};
    TRY(lock_output(lock, run, stage));
    TRY(par_agree(&run->par, watchdog_start(&run->par, &watch)));
    TRY(stage->run(run));
    par_print_clocks(&run->par);
    return OK;
}

/* Collective. One stage as an MPI job. */
static int run_stage(const Stage *stage, const Command *c, int argc, char **argv)
{
    Run run = {0};
    Arena arena = {0};
    Lock lock = {.held = false};
    if (par_init(&run.par, &argc, &argv) != OK) {
        fail_print(stderr, 1);
        return fail_record()->status;
    }
    Par par = run.par;
    Status st = arena_init(&arena, "run", 0);
    if (st == OK) st = command_configure(&run, c, &par, &arena);
    st = par_agree(&par, st);
    if (st == OK) {
        log_info("astroclip %s (%s): %s on %d ranks", program_version(), program_commit(), stage->name, par.n_ranks);
        log_info("%s; HDF5 %s; cfitsio %s; CPU %s", par_version(), h5_version(), fitsfile_version(),
                 program_instructions());
        if (!c->dry_run && par.rank == 0) plan_log_memory(&run, stage);
        if (!c->dry_run)
            st = run_watched(&run, stage, &lock);
        else if (par.rank == 0 && stage->plan)
            st = stage->plan(&run, stdout);
    }
    int code = par_finish(&par, st); /* still watched: ends can hang, too */
    watchdog_stop();
    lock_release(&lock); /* after the agreement in par_finish nobody writes */
    arena_free(&arena);
    return code;
}

static int dispatch(const Command *c, int argc, char **argv)
{
    const Stage *stage = stage_find(c->command);
    if (stage) {
        if (c->target) return run_stage(stage, c, argc, argv);
        return FAIL(E_CONFIG, "astroclip %s wants a run file: mpirun -n RANKS astroclip %s RUN.yaml", c->command,
                    c->command);
    }
    if (strcmp(c->command, "run") == 0) {
        int code = OK;
        if (!c->target) return FAIL(E_CONFIG, "astroclip run wants a run file");
        Status st = command_run(c, &code);
        return st != OK ? (int)st : code;
    }
    if (strcmp(c->command, "compare") == 0) {
        int code = OK;
        Status st = command_compare(c, &code);
        return st != OK ? (int)st : code;
    }
    for (const CommandRow *row = commands; row->name; row++) {
        if (strcmp(row->name, c->command) != 0) continue;
        if (row->needs_target && !c->target)
            return FAIL(E_CONFIG, "astroclip %s wants an argument; see astroclip --help", row->name);
        return row->run(c);
    }
    return FAIL(E_CONFIG, "unknown command '%s'; astroclip --help shows the commands, astroclip list the stages",
                c->command);
}

/* OpenBLAS chooses its kernels while the program is loaded: to have better ones, the program starts again. What told it so goes
   no further: jobs that it starts may run on other CPUs. */
static void use_better_core(char **argv)
{
    static const char variable[] = "OPENBLAS_CORETYPE", again[] = "ASTROCLIP_STARTED_AGAIN";
    char path[4096];
    if (getenv(again)) {
        unsetenv(again);
        unsetenv(variable);
        return;
    }
    const char *core = getenv(variable) ? NULL : linalg_better_core();
    const ssize_t n = core ? readlink("/proc/self/exe", path, sizeof path - 1) : -1;
    if (n < 0 || setenv(variable, core, 1) != 0 || setenv(again, "", 1) != 0) return;
    path[n] = 0;
    execv(path, argv);
    log_warn("cannot start again as %s: linear algebra of the probes is slow on this CPU", path);
}

int main(int argc, char **argv)
{
    h5_silence();
    log_init(0, 1);
    use_better_core(argv);
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        fputs(usage, argc < 2 ? stderr : stdout);
        return argc < 2 ? E_CONFIG : OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        print_version();
        return OK;
    }
    Command c = {.program = argv[0]};
    c.overrides = calloc((size_t)argc, sizeof *c.overrides);
    if (!c.overrides) return E_MEMORY;
    int code = take_arguments(&c, argc, argv);
    bool printed = false;
    if (code == OK) {
        code = dispatch(&c, argc, argv);
        printed = stage_find(c.command) && c.target; /* par_finish has */
    }
    if (code != OK && !printed && fail_record()->status != OK) fail_print(stderr, 1);
    free(c.overrides);
    return code;
}
