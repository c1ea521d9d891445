/* catalog.c - the stage: redshift files, photometry and labels become catalog.h5, the list of rows that every later
   stage follows. */
#include <string.h>
#include <sys/stat.h>

#include "core/clock.h"
#include "core/log.h"
#include "data/join.h"
#include "data/sources.h"
#include "data/tally.h"
#include "stages.h"

static const ConfigSection *const sections[] = {&run_section, &release_section, &catalog_section, NULL};

typedef struct {
    const RunConfig *run;
    const CatalogConfig *config;
    const ReleaseConfig *release;
    FileList files; /* of redshifts */
    ManifestRoots roots;
    const char *label_file; /* name in roots.labels, "" = none */
    char *path;             /* of catalog.h5 */
} Setup;

/* Local. All but the list of files. */
static Status set_up(Setup *s, const Run *run)
{
    *s = (Setup){
        .run = config_get(run->config, &run_section),
        .config = config_get(run->config, &catalog_section),
        .release = config_get(run->config, &release_section),
    };
    s->roots.spectra = release_spectra(s->release)->root(s->release->spectra.config);
    s->roots.images = release_images(s->release)->root(s->release->images.config);
    const char *labels = s->release->labels, *slash = strrchr(labels, '/');
    char *folder = NULL;
    TRY(arena_printf(&folder, run->arena, "%.*s", slash ? (int)(slash - labels) : 1, slash ? labels : "."));
    s->roots.labels = slash == labels ? "/" : folder;
    s->label_file = slash ? slash + 1 : labels;
    return stage_path(&s->path, run, "catalog.h5");
}

/* ---- is it current? ---- */

static Status add_sources(ManifestList *list, const Setup *s, const Par *par)
{
    if (par->rank != 0) return OK;
    for (int64_t i = 0; i < s->files.n; i++) TRY(manifest_add(list, ROLE_REDSHIFTS, s->files.path[i]));
    return s->label_file[0] ? manifest_add(list, ROLE_LABELS, s->label_file) : OK;
}

/* Collective. Configuration and all input files as measured. */
static Fingerprint fingerprint_of(const Run *run, const ManifestRow *manifest, int64_t n)
{
    SetHash set = {0};
    sethash_add_manifest(&set, manifest, n);
    Fingerprint files = sethash_finish(&set, &run->par);
    HashState *h = stage_hash(run, &catalog_stage);
    hash_add_text(h, files.text);
    return hash_close(h);
}

/* Local. What the catalogue that is there depended on besides its sources: this rank's share. */
static Status add_earlier(ManifestList *list, const Setup *s, const Par *par, Arena *a)
{
    Catalog c;
    ManifestRow *row = NULL;
    int64_t first, last;
    if (catalog_open(&c, s->path, NULL, a) != OK) {
        fail_clear(); /* none, or none of use: it will be made */
        return OK;
    }
    par_share(&first, &last, par, c.n_manifest);
    Status st = arena_new(&row, a, last - first);
    if (st == OK) st = catalog_read_manifest(row, &c, first, last - first, a);
    for (int64_t i = 0; st == OK && i < last - first; i++)
        if (strcmp(row[i].role, ROLE_REDSHIFTS) != 0 && strcmp(row[i].role, ROLE_LABELS) != 0)
            st = manifest_add(list, row[i].role, row[i].path);
    catalog_close(&c);
    return st;
}

/* Collective. Measures the files of the catalogue that is there again. Which files beside the sources these are follows
   from the sources and the configuration, so equal fingerprints mean that nothing changed. */
static Status check_current(bool *current, const Setup *s, Run *run)
{
    const Par *par = &run->par;
    ManifestList *list = NULL;
    ManifestRow *measured = NULL;
    int64_t n = 0;
    Status st = arena_new(&list, run->arena, 1);
    if (st == OK) list->arena = run->arena;
    if (st == OK) st = add_sources(list, s, par);
    if (st == OK) st = add_earlier(list, s, par, run->arena);
    TRY(par_agree(par, st));
    TRY(manifest_measure(&measured, &n, list, &s->roots, par, run->arena));
    Fingerprint fingerprint = fingerprint_of(run, measured, n);
    int64_t same = par->rank == 0 && artefact_is_current(s->path, "catalog", CATALOG_VERSION, &fingerprint);
    par_bcast(par, &same, sizeof same, 0);
    *current = same != 0;
    return OK;
}

/* ---- the rows ---- */

typedef struct {
    CatalogRow *row; /* this rank's share, in order */
    int64_t n;
    RejectList rejects;
    ManifestList *used;
    Tally tally;
} Build;

/* Collective. Rows go from one pool to the other, so that two generations of them exist at a time. */
static Status make_rows(Build *w, const Setup *s, Arena pool[2], const Par *par)
{
    CatalogRow *row = NULL;
    int64_t n = 0;
    const Mark empty[2] = {arena_mark(&pool[0]), arena_mark(&pool[1])};
    Sources sources = {release_spectra(s->release), s->release->spectra.config, &s->files, s->config, s->run->seed};
    Photometry photometry = {.survey = release_images(s->release),
                             .config = s->release->images.config,
                             .arcsec = s->config->position_match_arcsec,
                             .used = w->used};
    clock_begin("read redshifts");
    TRY(sources_read(&row, &n, &w->tally.source_rows, &w->rejects, &sources, par, &pool[0]));
    clock_end("read redshifts");
    TRY(join_unique(&w->row, &w->n, &w->rejects, row, n, par, &pool[1]));
    arena_reset(&pool[0], empty[0]);
    clock_begin("join labels");
    TRY(join_label_file(w->row, w->n, s->label_file[0] ? s->release->labels : NULL, par, &pool[0]));
    arena_reset(&pool[0], empty[0]);
    clock_end("join labels");
    clock_begin("join photometry");
    TRY(join_photometry(&row, &n, &photometry, w->row, w->n, par, &pool[0]));
    clock_end("join photometry");
    arena_reset(&pool[1], empty[1]);
    TRY(par_sort((void **)&w->row, &w->n, par, row, n, sizeof *row, catalog_compare, &pool[1]));
    arena_reset(&pool[0], empty[0]);
    w->tally.source_files = s->files.n;
    w->tally.photometry_files = photometry.files;
    w->tally.photometry_absent = photometry.files_absent;
    return tally_sum(&w->tally, w->row, w->n, &w->rejects, par);
}

/* Collective. The manifest of everything the rows came from and will need, and the file. */
static Status write_catalog(const Build *w, const Setup *s, Run *run, Arena *scratch)
{
    const Par *par = &run->par;
    ManifestRow *manifest = NULL;
    int64_t n = 0;
    Envelope envelope;
    clock_begin("manifest");
    Status st = add_sources(w->used, s, par);
    if (st == OK) st = manifest_add_rows(w->used, w->row, w->n, s->release, scratch);
    TRY(par_agree(par, st));
    TRY(manifest_measure(&manifest, &n, w->used, &s->roots, par, run->arena));
    clock_end("manifest");
    clock_begin("write");
    st = stage_envelope(&envelope, run, "catalog", CATALOG_VERSION, &catalog_stage, fingerprint_of(run, manifest, n));
    TRY(par_agree(par, st));
    TRY(catalog_write(s->path, &envelope, w->row, w->n, w->rejects.row, w->rejects.n,
                      (const char *const *)s->files.path, s->files.n, manifest, n, par, scratch));
    clock_end("write");
    return OK;
}

/* ---- the stage ---- */

/* Local. Does this run make its own sky first? */
static bool after_mock(const RunConfig *c)
{
    for (int64_t i = 0; i < c->stages.n; i++)
        if (strcmp(c->stages.item[i], "mock") == 0) return true;
    return false;
}

static Status plan_catalog(Run *run, FILE *out)
{
    Setup s;
    int64_t bytes = 0, n_labels = 0;
    TRY(set_up(&s, run));
    Status st = release_spectra(s.release)->list_redshifts(&s.files, s.release->spectra.config, run->arena);
    if (st == OK && s.label_file[0]) st = labels_count(&n_labels, s.release->labels);
    if (st != OK && after_mock(s.run)) {
        fail_clear();
        fprintf(out, "catalog: its inputs are made by mock, which comes first; writes %s\n", s.path);
        return OK;
    }
    TRY(st);
    for (int64_t i = 0; i < s.files.n; i++) {
        char path[FITS_PATH];
        struct stat info;
        if (survey_file(path, sizeof path, s.roots.spectra, s.files.path[i]) && stat(path, &info) == 0)
            bytes += info.st_size;
    }
    fprintf(out,
            "catalog: %lld redshift files, %.3g GB; %lld rows of labels; photometry and images under %s; writes %s\n",
            (long long)s.files.n, 1e-9 * (double)bytes, (long long)n_labels, s.roots.images, s.path);
    return OK;
}

static Status make_catalog(const Setup *s, Run *run)
{
    const Par *par = &run->par;
    const size_t limit = (size_t)(s->run->memory_gb * 1e9);
    Arena pool[2] = {0};
    Build w = {.rejects.arena = run->arena};
    Status st = arena_init(&pool[0], "catalogue rows", limit);
    if (st == OK) st = arena_init(&pool[1], "catalogue rows (second pool)", limit);
    if (st == OK) st = arena_new(&w.used, run->arena, 1);
    if (st == OK) w.used->arena = run->arena;
    TRY_DONE(par_agree(par, st));
    TRY_DONE(make_rows(&w, s, pool, par));
    TRY_DONE(tally_log(&w.tally, w.row, w.n, par, &pool[0]));
    TRY_DONE(write_catalog(&w, s, run, &pool[0]));
    log_info("catalog: wrote %s", s->path);
done:
    arena_free(&pool[0]);
    arena_free(&pool[1]);
    return st;
}

static Status run_catalog(Run *run)
{
    const Par *par = &run->par;
    Setup s;
    bool current = false;
    if (run->dry_run) return par_agree(par, par->rank == 0 ? plan_catalog(run, stdout) : OK);
    TRY(par_agree(par, set_up(&s, run)));
    TRY(sources_list(&s.files, release_spectra(s.release), s.release->spectra.config, par, run->arena));
    if (!run->force) TRY(check_current(&current, &s, run));
    if (current) {
        log_info("catalog: %s is current, nothing to do", s.path);
        return OK;
    }
    return make_catalog(&s, run);
}

const Stage catalog_stage = {
    .name = "catalog",
    .reads = "redshift files (zcatalog or redrock), photometry (tractor), a label table",
    .writes = "catalog.h5",
    .help = "one row per object: redshifts, photometry and labels joined, cut, sorted, split",
    .purpose = "Reads the redshift files of the release, rejects the rows that fail the cuts (each with its reason, in "
               "/rejected), finds each\n"
               "object's photometry by identifier or else by position, and its labels by TARGETID. The rows are sorted "
               "by the file that holds\n"
               "their spectrum; this order is the order of everything after it. /manifest lists every input file that "
               "later stages read.",
    .revision = 1,
    .sections = sections,
    .run = run_catalog,
    .plan = plan_catalog,
};
