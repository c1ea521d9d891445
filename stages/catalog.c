/* catalog.c - the stage: redshift files, photometry and labels become catalog.h5, the list of rows that every later
   stage follows. */
#include <string.h>
#include <sys/stat.h>

#include "core/clock.h"
#include "core/log.h"
#include "data/join.h"
#include "data/sources.h"
#include "data/tally.h"
#include "embed/previous.h"
#include "stages.h"

static const ConfigSection *const sections[] = {&run_section, &release_section, &catalog_section, &labels_section,
                                                NULL};

typedef struct {
    const RunConfig *run;
    const CatalogConfig *config;
    const LabelsConfig *labels;
    const ReleaseConfig *release;
    FileList files;      /* of redshifts, then of objects */
    int64_t n_redshifts; /* so many of them hold redshifts */
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
        .labels = config_get(run->config, &labels_section),
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

/* Do objects of the image survey have to be read: as rows, or because their images are rows of their files? */
static bool needs_objects(const ReleaseConfig *r)
{
    return release_takes(r, "images") || (release_images(r)->stored && release_images(r)->list_objects);
}

/* Local or, with `par`, Collective. All files that rows come from. */
static Status list_files(Setup *s, const Par *par, Arena *a)
{
    const ReleaseConfig *r = s->release;
    FileList redshifts = {0}, objects = {0};
    ListFiles list_redshifts = release_takes(r, "spectra") ? release_spectra(r)->list_redshifts : NULL;
    ListFiles list_objects = needs_objects(r) ? release_images(r)->list_objects : NULL;
    if (par) {
        TRY(sources_list(&redshifts, list_redshifts, r->spectra.config, par, a));
        TRY(sources_list(&objects, list_objects, r->images.config, par, a));
    } else {
        if (list_redshifts) TRY(list_redshifts(&redshifts, r->spectra.config, a));
        if (list_objects) TRY(list_objects(&objects, r->images.config, a));
    }
    s->n_redshifts = redshifts.n;
    s->files.n = redshifts.n + objects.n;
    Status st = arena_new(&s->files.path, a, s->files.n);
    if (par) st = par_agree(par, st);
    TRY(st);
    for (int64_t i = 0; i < s->files.n; i++)
        s->files.path[i] = i < redshifts.n ? redshifts.path[i] : objects.path[i - redshifts.n];
    return OK;
}

/* ---- is it current? ---- */

/* Local. A source file and what is read along with it. */
static Status add_source(ManifestList *list, const Setup *s, int64_t i, Arena *a)
{
    const ReleaseConfig *r = s->release;
    const bool redshifts = i < s->n_redshifts;
    const char *role = redshifts ? ROLE_REDSHIFTS : ROLE_OBJECTS, *path = s->files.path[i];
    Status (*list_beside)(FileList *, int64_t *, const void *, const char *, Arena *) =
        redshifts ? release_spectra(r)->list_beside : release_images(r)->list_beside;
    FileList beside = {0};
    int64_t room = 0;
    TRY(manifest_add(list, role, path));
    if (!list_beside) return OK;
    TRY(list_beside(&beside, &room, redshifts ? r->spectra.config : r->images.config, path, a));
    for (int64_t k = 0; k < beside.n; k++) TRY(manifest_add(list, role, beside.path[k]));
    return OK;
}

/* Local. This rank's share of the source files. */
static Status add_sources(ManifestList *list, const Setup *s, const Par *par, Arena *a)
{
    for (int64_t i = par->rank; i < s->files.n; i += par->n_ranks) TRY(add_source(list, s, i, a));
    return s->label_file[0] && par->rank == 0 ? manifest_add(list, ROLE_LABELS, s->label_file) : OK;
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
        if (strcmp(row[i].role, ROLE_REDSHIFTS) != 0 && strcmp(row[i].role, ROLE_OBJECTS) != 0 &&
            strcmp(row[i].role, ROLE_LABELS) != 0)
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
    if (st == OK) st = add_sources(list, s, par, run->arena);
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

enum { N_POOLS = 4 };

typedef struct {
    CatalogRow *row; /* this rank's share, in order */
    int64_t n;
    RejectList rejects;
    int64_t *skipped; /* (files, N_REJECTS) of this rank; summed over ranks once counted */
    ManifestList *used;
    Tally tally;
} Build;

static void empty(Arena *pool)
{
    arena_reset(pool, (Mark){0});
    arena_trim(pool);
}

/* Collective. Objects of the image survey: images for the rows with spectra where they are a stored set, rows where
   release.rows says so. pool[1] holds the rows before and after; the other pools are free. */
static Status add_objects(Build *w, const Sources *sources, Arena pool[N_POOLS], const Par *par)
{
    const ReleaseConfig *r = sources->release;
    CatalogRow *object = NULL, *all = NULL;
    int64_t n = 0;
    bool rows = release_takes(r, "images");
    RejectList unlisted = {.arena = &pool[0]}; /* objects that are not to be rows are not rejected either */
    SourceCounts counts = {.rejects = rows ? &w->rejects : &unlisted, .skipped = w->skipped};
    clock_begin("read objects");
    TRY(sources_objects(&object, &n, &counts, sources, par, &pool[2]));
    clock_end("read objects");
    if (release_images(r)->stored && sources->n_redshifts > 0) {
        TRY(join_objects(w->row, w->n, &object, &n, counts.rejects, object, n, sources->config->position_match_arcsec,
                         par, &pool[0], &pool[3]));
        empty(&pool[2]);
    }
    if (!rows) {
        memset(w->skipped, 0, (size_t)(sources->files->n * N_REJECTS) * sizeof *w->skipped);
        empty(&pool[0]);
        return OK;
    }
    w->tally.source_rows += counts.rows;
    empty(&pool[0]);
    TRY(par_agree(par, arena_new(&all, &pool[0], w->n + n)));
    if (w->n > 0) memcpy(all, w->row, (size_t)w->n * sizeof *all);
    if (n > 0) memcpy(all + w->n, object, (size_t)n * sizeof *all);
    n += w->n;
    empty(&pool[1]);
    TRY(join_unique(&w->row, &w->n, &w->rejects, false, all, n, par, &pool[1]));
    for (int p = 0; p < N_POOLS; p++)
        if (p != 1) empty(&pool[p]);
    return OK;
}

/* Collective. Photometry and images of a tree of bricks. From pool[1] to pool[0]. */
static Status add_photometry(CatalogRow **row, int64_t *n, Build *w, const Setup *s, Arena pool[N_POOLS],
                             const Par *par)
{
    Photometry photometry = {.survey = release_images(s->release),
                             .config = s->release->images.config,
                             .arcsec = s->config->position_match_arcsec,
                             .used = w->used};
    if (!photometry.survey->photometry_file) {
        *row = w->row;
        *n = w->n;
        return OK;
    }
    clock_begin("join photometry");
    TRY(join_photometry(row, n, &photometry, w->row, w->n, par, &pool[0]));
    clock_end("join photometry");
    empty(&pool[1]);
    if (release_takes(s->release, "spectra") && release_takes(s->release, "images")) {
        TRY(join_same_objects(row, n, &w->rejects, *row, *n, par, &pool[3]));
        empty(&pool[0]);
    }
    w->tally.photometry_files = photometry.files;
    w->tally.photometry_absent = photometry.files_absent;
    return OK;
}

/* Collective. Rows go from pool to pool, so that two generations of them exist at a time, three with objects. */
static Status make_rows(Build *w, const Setup *s, Arena pool[N_POOLS], const Par *par)
{
    CatalogRow *row = NULL;
    int64_t n = 0;
    Sources sources = {s->release, &s->files, s->n_redshifts, s->config, s->run->seed};
    SourceCounts counts = {.rejects = &w->rejects, .skipped = w->skipped};
    w->tally.source_files = s->files.n;
    clock_begin("read redshifts");
    TRY(sources_redshifts(&row, &n, &counts, &sources, par, &pool[0]));
    w->tally.source_rows = counts.rows;
    clock_end("read redshifts");
    TRY(join_unique(&w->row, &w->n, &w->rejects, s->config->primary_only, row, n, par, &pool[1]));
    empty(&pool[0]);
    if (s->files.n > s->n_redshifts) TRY(add_objects(w, &sources, pool, par));
    clock_begin("join labels");
    LabelCounts labels;
    TRY(join_label_file(w->row, w->n, &labels, s->label_file[0] ? s->release->labels : NULL, s->labels, par, &pool[0]));
    if (s->label_file[0])
        log_info("catalog: labels: %lld rows in %s = %lld negative TARGETIDs + %lld without magnitudes + %lld below "
                 "labels.min_logmstar + %lld kept",
                 (long long)labels.rows, s->label_file, (long long)labels.negative, (long long)labels.no_magnitudes,
                 (long long)labels.light, (long long)labels.kept);
    empty(&pool[0]);
    clock_end("join labels");
    TRY(add_photometry(&row, &n, w, s, pool, par));
    for (int p = 0; p < N_POOLS; p++) arena_trim(&pool[p]);
    TRY(par_sort((void **)&w->row, &w->n, par, row, n, sizeof *row, catalog_compare, &pool[2]));
    arena_trim(&pool[2]);
    for (int p = 0; p < N_POOLS; p++)
        if (p != 2) empty(&pool[p]);
    return tally_sum(&w->tally, w->row, w->n, &w->rejects, w->skipped, par);
}

/* Collective. The counts of skipped objects over all ranks, without zeros. */
static Status list_skipped(CatalogParts *parts, const Build *w, const Par *par, Arena *a)
{
    int64_t n = parts->files->n * N_REJECTS;
    SkippedRows *out = NULL;
    par_sum_i64(par, w->skipped, n);
    parts->n_skipped = 0;
    for (int64_t k = 0; k < n; k++) parts->n_skipped += w->skipped[k] > 0;
    TRY(par_agree(par, arena_new(&out, a, parts->n_skipped)));
    for (int64_t k = 0, i = 0; k < n; k++)
        if (w->skipped[k] > 0)
            out[i++] = (SkippedRows){(int32_t)(k / N_REJECTS), (int32_t)(k % N_REJECTS), w->skipped[k]};
    parts->skipped = out;
    return OK;
}

/* Collective. The manifest of everything the rows came from and will need, and the file. */
static Status write_catalog(const Build *w, const Setup *s, Run *run, Arena *scratch)
{
    const Par *par = &run->par;
    ManifestRow *manifest = NULL;
    int64_t n = 0;
    Envelope envelope;
    clock_begin("manifest");
    Status st = add_sources(w->used, s, par, run->arena);
    if (st == OK) st = manifest_add_rows(w->used, w->row, w->n, &s->files, s->release, scratch);
    TRY(par_agree(par, st));
    TRY(manifest_measure(&manifest, &n, w->used, &s->roots, par, run->arena));
    clock_end("manifest");
    clock_begin("write");
    st = stage_envelope(&envelope, run, "catalog", CATALOG_VERSION, &catalog_stage, fingerprint_of(run, manifest, n));
    TRY(par_agree(par, st));
    CatalogParts parts = {.row = w->row,
                          .n = w->n,
                          .rejected = w->rejects.row,
                          .n_rejected = w->rejects.n,
                          .manifest = manifest,
                          .n_manifest = n,
                          .files = &s->files,
                          .source_rows = w->tally.source_rows};
    TRY(list_skipped(&parts, w, par, run->arena));
    TRY(catalog_write(s->path, &envelope, &parts, par, scratch));
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
    Status st = list_files(&s, NULL, run->arena);
    if (st == OK && s.label_file[0])
        st = labels_count(&n_labels, s.release->labels, config_get(run->config, &labels_section));
    if (st != OK && after_mock(s.run)) {
        fail_clear();
        fprintf(out, "catalog: its inputs are made by mock, which comes first; writes %s\n", s.path);
        return OK;
    }
    TRY(st);
    for (int64_t i = 0; i < s.files.n; i++) {
        char path[FITS_PATH];
        struct stat info;
        const char *root = i < s.n_redshifts ? s.roots.spectra : s.roots.images;
        if (survey_file(path, sizeof path, root, s.files.path[i]) && stat(path, &info) == 0) bytes += info.st_size;
    }
    fprintf(
        out,
        "catalog: %lld files of redshifts, %lld of objects, %.3g GB; %lld rows of labels; photometry and images under "
        "%s; writes %s\n",
        (long long)s.n_redshifts, (long long)(s.files.n - s.n_redshifts), 1e-9 * (double)bytes, (long long)n_labels,
        s.roots.images, s.path);
    return OK;
}

static Status make_catalog(const Setup *s, Run *run)
{
    static const char *const name[N_POOLS] = {"catalogue rows", "catalogue rows (second pool)", "objects of images",
                                              "objects of images (second pool)"};
    const Par *par = &run->par;
    const size_t limit = (size_t)(s->run->memory_gb * 1e9);
    Arena pool[N_POOLS] = {0};
    Build w = {.rejects.arena = run->arena};
    Status st = OK;
    for (int p = 0; p < N_POOLS && st == OK; p++) st = arena_init(&pool[p], name[p], limit);
    if (st == OK) st = arena_new(&w.used, run->arena, 1);
    if (st == OK) st = arena_new(&w.skipped, run->arena, s->files.n * N_REJECTS);
    if (st == OK) w.used->arena = run->arena;
    TRY_DONE(par_agree(par, st));
    TRY_DONE(make_rows(&w, s, pool, par));
    TRY_DONE(tally_log(&w.tally, w.row, w.n, par, &pool[0]));
    TRY_DONE(previous_keep_catalog(s->run->output, par, run->arena));
    TRY_DONE(write_catalog(&w, s, run, &pool[0]));
    if (w.tally.rows == 0)
        log_warn("catalog: no row is left (why: the counts above): the stages after it will write files without rows");
    log_info("catalog: wrote %s", s->path);
done:
    for (int p = 0; p < N_POOLS; p++) arena_free(&pool[p]);
    return st;
}

static Status run_catalog(Run *run)
{
    const Par *par = &run->par;
    Setup s;
    bool current = false;
    if (run->dry_run) return par_agree(par, par->rank == 0 ? plan_catalog(run, stdout) : OK);
    TRY(par_agree(par, set_up(&s, run)));
    TRY(list_files(&s, par, run->arena));
    if (!run->force) TRY(check_current(&current, &s, run));
    if (current) {
        log_info("catalog: %s is current, nothing to do", s.path);
        return OK;
    }
    if (run->ask) {
        run->stale = true;
        return OK;
    }
    return make_catalog(&s, run);
}

const Stage catalog_stage = {
    .name = "catalog",
    .reads = "redshift files (zcatalog or redrock), photometry (tractor) or objects (sweeps, image sets), labels",
    .writes = "catalog.h5",
    .help = "one row per object: redshifts, photometry and labels joined, cut, sorted, split",
    .purpose = "Reads the redshift files of the release, rejects the rows that fail the cuts (each with its reason, in "
               "/rejected), finds each\n"
               "object's photometry by identifier or else by position, and its labels by TARGETID. The rows are sorted "
               "by the file that holds\n"
               "their spectrum; this order is the order of everything after it. /manifest lists every input file that "
               "later stages read.",
    .revision = 4,
    .sections = sections,
    .tells = true,
    .run = run_catalog,
    .plan = plan_catalog,
};
