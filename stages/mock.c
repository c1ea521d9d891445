/* mock.c - the stage: writes a small sky in the surveys' formats into the roots that section `release` names, files handed to ranks as they come
   free. It refuses a folder that holds anything else. */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "data/mock.h"
#include "stages.h"

static const ConfigSection *const sections[] = {&mock_section, NULL};

typedef struct {
    const MockConfig *config;
    const DesiConfig *desi;     /* NULL = images alone  */
    const LegacyConfig *legacy; /* NULL = spectra alone */
    const char *labels;
    const char *root;                       /* holds the stamp */
    char *truth, *votes, *fastspec, *stamp; /* paths; the stamp bears the fingerprint and says "this is a mock sky" */
} Plan;

/* Units of work in this order; how many of each. What lists the whole sky is no unit: all ranks work on it. */
typedef enum { UNIT_SWEEPS, UNIT_GROUPS, UNIT_IMAGES, UNIT_UNIQPIX, UNIT_BRICKS, N_UNITS } Unit;

static void count_units(int64_t count[N_UNITS], const MockSky *sky, const Plan *p)
{
    bool desi = p->desi != NULL, legacy = p->legacy != NULL;
    memset(count, 0, N_UNITS * sizeof *count);
    count[UNIT_SWEEPS] = legacy ? sky->n_sweeps : 0;
    count[UNIT_GROUPS] = desi ? sky->n_groups : 0;
    count[UNIT_IMAGES] = legacy ? sky->n_bricks : 0;
    count[UNIT_UNIQPIX] = desi && sky->layout == MOCK_DR3 ? 2 : 0;
    count[UNIT_BRICKS] = legacy ? 2 : 0;
}

static int64_t sum_units(const int64_t count[N_UNITS])
{
    int64_t sum = 0;
    for (int u = 0; u < N_UNITS; u++) sum += count[u];
    return sum;
}

static Status write_unit(const MockSky *sky, const Plan *p, const int64_t count[N_UNITS], int64_t unit, Arena *a)
{
    int kind = 0;
    for (; unit >= count[kind]; kind++) unit -= count[kind];
    const char *program = unit == 0 ? "bright" : "dark";
    switch ((Unit)kind) {
    case UNIT_SWEEPS: return mock_write_sweep(sky, p->legacy, unit, a);
    case UNIT_GROUPS: return mock_write_group(sky, p->desi, unit, a);
    case UNIT_IMAGES: return mock_write_brick(sky, p->legacy, unit, a);
    case UNIT_UNIQPIX: return mock_write_uniqpix(sky, p->desi, program, a);
    default: return mock_write_bricks(sky, p->legacy, unit == 1, a);
    }
}

/* The side of a release that the mock is to write; NULL where the release has none. */
static Status take_side(const void **config, const ConfigKind *kind, const char *written, const char *side)
{
    *config = NULL;
    if (strcmp(kind->plugin->name, "none") == 0) return OK;
    if (strcmp(kind->plugin->name, written) != 0)
        return FAIL(E_CONFIG, "the mock sky is written as release.%s kind %s, not %s", side, written,
                    kind->plugin->name);
    *config = kind->config;
    return OK;
}

/* Beside the labels, named as fastspecfit names its catalogues. */
static Status place_fastspec(Plan *p, Arena *a)
{
    const char *slash = strrchr(p->labels, '/');
    return arena_printf(&p->fastspec, a, "%.*sfastspec-%s-%s-bright.fits", slash ? (int)(slash + 1 - p->labels) : 0,
                        p->labels, p->desi->specprod, p->config->layout == MOCK_EDR ? "sv3" : "main");
}

static Status make_plan(Plan *p, const Run *run)
{
    const ReleaseConfig *release = config_get(run->config, &release_section);
    const void *desi, *legacy;
    p->config = config_get(run->config, &mock_section);
    p->labels = release->labels;
    TRY(take_side(&desi, &release->spectra, "desi", "spectra"));
    TRY(take_side(&legacy, &release->images, "legacy", "images"));
    p->desi = desi;
    p->legacy = legacy;
    if (!desi && !legacy) return FAIL(E_CONFIG, "release names neither spectra nor images to write");
    if (legacy && p->legacy->regions.n == 0) return FAIL(E_CONFIG, "release.images.regions names no region");
    p->root = desi ? p->desi->root : p->legacy->root;
    TRY(stage_path(&p->truth, run, p->config->truth));
    TRY(stage_path(&p->votes, run, p->config->votes));
    p->fastspec = NULL;
    if (desi && p->labels[0]) TRY(place_fastspec(p, run->arena));
    return arena_printf(&p->stamp, run->arena, "%s/MOCK-SKY", p->root);
}

/* The files of the sky and where they lie. */
static Fingerprint fingerprint_of(const Run *run, const Plan *p)
{
    const RunConfig *rc = config_get(run->config, &run_section);
    HashState *h = stage_hash(run, &mock_stage);
    char seed[32];
    snprintf(seed, sizeof seed, "%lld", (long long)rc->seed);
    const char *items[] = {seed, p->desi ? p->desi->specprod : "", p->legacy ? p->legacy->release : "",
                           p->legacy ? p->legacy->regions.item[0] : "", p->labels};
    for (size_t i = 0; i < sizeof items / sizeof *items; i++) hash_add_text(h, items[i]);
    return hash_close(h);
}

/* Local. True when the stamp bears this fingerprint. */
static bool is_current(const Plan *p, const Fingerprint *fingerprint)
{
    char line[FINGERPRINT_TEXT + 1] = "";
    FILE *f = fopen(p->stamp, "r");
    bool same = f && fgets(line, sizeof line, f) && strncmp(line, fingerprint->text, FINGERPRINT_TEXT - 1) == 0;
    if (f) fclose(f);
    return same && access(p->truth, R_OK) == 0;
}

/* Local. A root that exists, is not empty and bears no stamp holds somebody's data. */
static Status check_root(const char *root, const char *stamp)
{
    if (access(stamp, F_OK) == 0) return OK;
    DIR *dir = opendir(root);
    if (!dir) return OK;
    int n = 0;
    for (const struct dirent *entry; (entry = readdir(dir));) n += entry->d_name[0] != '.';
    closedir(dir);
    return n == 0
               ? OK
               : FAIL(E_OUTPUT,
                      "%s holds files that are no mock sky: name another root in section release, or empty it", root);
}

static Status write_stamp(const Plan *p, const char *text)
{
    FILE *f = fopen(p->stamp, "w");
    bool good = f && fprintf(f, "%s\nA mock sky written by astroclip. Nothing here was observed.\n", text) > 0;
    if (f && fclose(f) != 0) good = false;
    return good ? OK : FAIL(E_OUTPUT, "%s: cannot be written: %s", p->stamp, strerror(errno));
}

static Status write_files(const MockSky *sky, const Plan *p, const Par *par, Arena *a)
{
    Work work;
    Progress progress;
    int64_t count[N_UNITS];
    count_units(count, sky, p);
    int64_t n = sum_units(count);
    TRY(par_work_open(&work, par, n));
    progress_start(&progress, "mock", "bricks and files", n);
    Status st = OK;
    for (int64_t unit; st == OK && (unit = par_work_next(&work, par)) >= 0;) {
        clock_begin("write files");
        st = write_unit(sky, p, count, unit, a);
        clock_end("write files");
        if (st != OK) par_work_stop(&work, par);
        progress_set(&progress, unit);
    }
    par_work_close(&work, par);
    TRY(par_agree(par, st));
    progress_stop(&progress);
    return OK;
}

static Status run_mock(Run *run)
{
    const RunConfig *rc = config_get(run->config, &run_section);
    Par *par = &run->par;
    Plan p;
    MockSky sky;
    TRY(par_agree(par, make_plan(&p, run)));
    Fingerprint fingerprint = fingerprint_of(run, &p);
    int64_t current = !run->force && par->rank == 0 && is_current(&p, &fingerprint);
    par_bcast(par, &current, sizeof current, 0);
    if (current) {
        log_info("mock: the sky in %s is current, nothing to do", p.root);
        return OK;
    }
    if (run->ask) {
        run->stale = true;
        return OK;
    }
    Status st = par->rank == 0 && p.desi ? check_root(p.desi->root, p.stamp) : OK;
    if (st == OK && par->rank == 0 && p.legacy) st = check_root(p.legacy->root, p.stamp);
    TRY(par_agree(par, st));
    TRY(artefact_make_folder(par, p.root));
    TRY(artefact_make_folder(par, rc->output));
    TRY(par_agree(par, par->rank == 0 ? write_stamp(&p, "unfinished") : OK));
    TRY(mock_sky(&sky, p.config, p.legacy, rc->seed, par, run->arena));
    const MockLists lists = {.desi = p.desi,
                             .labels = p.labels[0] ? p.labels : NULL,
                             .fastspec = p.fastspec,
                             .truth = p.truth,
                             .votes = p.config->votes[0] ? p.votes : NULL};
    clock_begin("list the sky");
    Status listed = mock_write_lists(&sky, &lists, par, run->arena);
    clock_end("list the sky");
    TRY(listed);
    TRY(write_files(&sky, &p, par, run->arena));
    TRY(par_agree(par, par->rank == 0 ? write_stamp(&p, fingerprint.text) : OK));
    log_info("mock: %lld objects in %lld bricks and %lld coadd files under %s and %s; truth in %s", (long long)sky.n,
             (long long)(p.legacy ? sky.n_bricks : 0), (long long)(p.desi ? sky.n_groups : 0),
             p.desi ? p.desi->root : "-", p.legacy ? p.legacy->root : "-", p.truth);
    return OK;
}

static Status plan_mock(Run *run, FILE *out)
{
    Plan p;
    MockEstimate e;
    TRY(make_plan(&p, run));
    TRY(mock_estimate(&e, p.config, p.desi != NULL, p.legacy != NULL, run->par.n_ranks));
    const double n = (double)p.config->objects, hours = e.seconds / 3600 / run->par.n_ranks;
    fprintf(out, "mock: %lld objects; %lld bricks, %lld groups of spectra; about %lld files, %.3g GB\n",
            (long long)p.config->objects, (long long)(p.legacy ? e.bricks : 0), (long long)e.groups, (long long)e.files,
            1e-9 * e.bytes);
    fprintf(out, "mock: at most %.3g GB of memory on a rank; %.3g s on one core (%.0f objects a second), ",
            1e-9 * e.memory, e.seconds, n / e.seconds);
    if (hours < 1)
        fprintf(out, "%.3g s on %d ranks\n", 3600 * hours, run->par.n_ranks);
    else
        fprintf(out, "%.3g hours on %d ranks\n", hours, run->par.n_ranks);
    return OK;
}

const Stage mock_stage = {
    .name = "mock",
    .reads = "nothing",
    .writes = "a sky under release.spectra.root and release.images.root, release.labels, truth.fits, votes.csv",
    .help = "a small sky in DESI and Legacy Survey file formats",
    .purpose = "Writes galaxies whose spectra and images share one set of latent properties, in the surveys' own files "
               "and layout, with the\n"
               "things that go wrong in a survey on purpose, so that a campaign can be rehearsed before the real files "
               "arrive.",
    .revision = 5,
    .sections = sections,
    .tells = true,
    .run = run_mock,
    .plan = plan_mock,
};
