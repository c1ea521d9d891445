/* mock.c - the stage: writes a small sky in the surveys' formats into the roots that section `release` names, files handed to ranks as they come
   free. It refuses a folder that holds anything else. */
#include <dirent.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "data/mock.h"
#include "stages.h"

static const ConfigSection *const sections[] = {&mock_section, NULL};

typedef struct {
    const MockConfig *config;
    const DesiConfig *desi;
    const LegacyConfig *legacy;
    const char *labels;
    char *truth, *stamp; /* paths; the stamp bears the fingerprint and says "this is a mock sky" */
} Plan;

/* Units in this order: bands of bricks, Tractor tables, coadds, then the tables of everything. */
enum { TABLES = 5 };
static int64_t count_units(const MockSky *sky) { return sky->n_bricks * (N_BANDS + 1) + sky->n_pixels + TABLES; }

static Status write_unit(const MockSky *sky, const Plan *p, int64_t unit, Arena *a)
{
    if (unit < sky->n_bricks * N_BANDS)
        return mock_write_brick(sky, p->legacy, unit / N_BANDS, (int)(unit % N_BANDS), a);
    unit -= sky->n_bricks * N_BANDS;
    if (unit < sky->n_bricks) return mock_write_tractor(sky, p->legacy, unit, a);
    unit -= sky->n_bricks;
    if (unit < sky->n_pixels) return mock_write_coadd(sky, p->desi, unit, a);
    switch (unit - sky->n_pixels) {
    case 0: return mock_write_zcatalog(sky, p->desi, "bright", a);
    case 1: return mock_write_zcatalog(sky, p->desi, "dark", a);
    case 2: return mock_write_bricks(sky, p->legacy, a);
    case 3: return p->labels[0] ? mock_write_labels(sky, p->labels, a) : OK;
    default: return mock_write_truth(sky, p->truth, a);
    }
}

static Status make_plan(Plan *p, const Run *run)
{
    const ReleaseConfig *release = config_get(run->config, &release_section);
    p->config = config_get(run->config, &mock_section);
    p->labels = release->labels;
    if (strcmp(release->spectra.plugin->name, "desi") != 0 || strcmp(release->images.plugin->name, "legacy") != 0)
        return FAIL(E_CONFIG, "the mock sky is written as release.spectra kind desi and release.images kind legacy");
    p->desi = release->spectra.config;
    p->legacy = release->images.config;
    if (p->legacy->regions.n == 0) return FAIL(E_CONFIG, "release.images.regions names no region");
    TRY(stage_path(&p->truth, run, p->config->truth));
    return arena_printf(&p->stamp, run->arena, "%s/MOCK-SKY", p->desi->root);
}

/* The files of the sky and where they lie. */
static Fingerprint fingerprint_of(const Run *run, const Plan *p)
{
    const RunConfig *rc = config_get(run->config, &run_section);
    HashState *h = stage_hash(run, &mock_stage);
    char seed[32];
    snprintf(seed, sizeof seed, "%lld", (long long)rc->seed);
    const char *items[] = {seed, p->desi->specprod, p->legacy->release, p->legacy->regions.item[0], p->labels};
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
    return good ? OK : FAIL(E_OUTPUT, "%s: cannot be written", p->stamp);
}

static Status write_files(const MockSky *sky, const Plan *p, const Par *par, Arena *a)
{
    Work work;
    Progress progress;
    int64_t n = count_units(sky);
    TRY(par_work_open(&work, par, n));
    progress_start(&progress, "mock", "files", n);
    Status st = OK;
    for (int64_t unit; st == OK && (unit = par_work_next(&work, par)) >= 0;) {
        clock_begin("write files");
        st = write_unit(sky, p, unit, a);
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
        log_info("mock: the sky in %s and %s is current, nothing to do", p.desi->root, p.legacy->root);
        return OK;
    }
    Status st = par->rank == 0 ? check_root(p.desi->root, p.stamp) : OK;
    if (st == OK && par->rank == 0) st = check_root(p.legacy->root, p.stamp);
    TRY(par_agree(par, st));
    TRY(artefact_make_folder(par, p.desi->root));
    TRY(artefact_make_folder(par, rc->output));
    TRY(par_agree(par, par->rank == 0 ? write_stamp(&p, "unfinished") : OK));
    TRY(par_agree(par, mock_sky(&sky, p.config, rc->seed, run->arena)));
    TRY(write_files(&sky, &p, par, run->arena));
    TRY(par_agree(par, par->rank == 0 ? write_stamp(&p, fingerprint.text) : OK));
    log_info("mock: %lld objects in %lld bricks and %lld coadd files under %s and %s; truth in %s", (long long)sky.n,
             (long long)sky.n_bricks, (long long)sky.n_pixels, p.desi->root, p.legacy->root, p.truth);
    return OK;
}

static Status plan_mock(Run *run, FILE *out)
{
    Plan p;
    MockSky sky;
    const RunConfig *rc = config_get(run->config, &run_section);
    TRY(make_plan(&p, run));
    TRY(mock_sky(&sky, p.config, rc->seed, run->arena));
    fprintf(out, "mock: %lld objects, %lld bricks (about %.2f GB of images), %lld coadd files (%.2f GB)\n",
            (long long)sky.n, (long long)sky.n_bricks, 0.035 * (double)sky.n_bricks, (long long)sky.n_pixels,
            1e-9 * 430e3 * (double)sky.n);
    return OK;
}

const Stage mock_stage = {
    .name = "mock",
    .reads = "nothing",
    .writes = "a sky under release.spectra.root and release.images.root, release.labels, truth.fits",
    .help = "a small sky in DESI and Legacy Survey file formats",
    .purpose = "Writes galaxies whose spectra and images share one set of latent properties, in the surveys' own files "
               "and layout, with the\n"
               "things that go wrong in a survey on purpose, so that a campaign can be rehearsed before the real files "
               "arrive.",
    .revision = 1,
    .sections = sections,
    .run = run_mock,
    .plan = plan_mock,
};
