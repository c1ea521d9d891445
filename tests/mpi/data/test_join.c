/* The joins of the catalogue: the same rows whatever the number of ranks, and no row lost. The survey is made up: its
   files exist in memory only, but for the photometry files, whose names must be there. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "data/join.h"
#include "data/sources.h"
#include "data/tally.h"
#include "test_main.h"

enum { N_FILES = 7, FILE_ROWS = 90, N_TARGETS = 150, N_BRICKS = 12, BRICK_ROWS = 40 };
static const Par alone = {.rank = 0, .n_ranks = 1, .comm = NULL};

/* ---- a made-up survey ---- */

static int64_t target_id(int64_t t) { return 39627784728870929 + 4194304 * (t % N_BRICKS) + t; }
static void target_position(double *ra, double *dec, int64_t t)
{
    Rng r = rng_stream(7, "test.position", t, 0);
    *ra = (double)(t % N_BRICKS) + 0.1 + 0.8 * rng_uniform(&r); /* brick k holds RA k .. k + 1 */
    *dec = rng_uniform(&r) - 0.5;
}

static const char *fake_root(const void *config)
{
    (void)config;
    return test_folder();
}

static Status fake_list(FileList *out, const void *config, Arena *a)
{
    (void)config;
    out->n = N_FILES;
    TRY(arena_new(&out->path, a, N_FILES));
    for (int i = 0; i < N_FILES; i++) TRY(arena_printf(&out->path[i], a, "%d", i));
    return OK;
}

/* File 3 is empty; the others repeat targets, within a file and between files. */
static Status fake_count(int64_t *n, const void *config, const char *path, Arena *scratch)
{
    (void)config, (void)scratch;
    const int file = atoi(path);
    *n = file == 3 ? 0 : FILE_ROWS - 5 * file;
    return OK;
}

static Status fake_redshifts(CatalogRow *rows, const void *config, const char *path, int64_t first, int64_t n,
                             Arena *scratch)
{
    (void)config, (void)scratch;
    const int file = atoi(path);
    for (int64_t i = first; i < first + n; i++) {
        CatalogRow *r = &rows[i - first];
        Rng g = rng_stream(7, "test.row", file * 1000 + i, 0);
        int64_t t = rng_below(&g, N_TARGETS);
        catalog_new_row(r);
        r->targetid = rng_below(&g, 10) ? target_id(t) : -(i % 3 + 1);
        strcpy(r->survey, "main");
        strcpy(r->program, rng_below(&g, 3) ? "bright" : "dark");
        strcpy(r->objtype, rng_below(&g, 12) ? "TGT" : "SKY");
        strcpy(r->spectype, "GALAXY");
        target_position(&r->ra, &r->dec, t);
        if (t % 29 == 0) r->ra = NAN;
        r->healpix = (int32_t)(t % 5);
        r->z = 0.01 * (double)t;
        r->zwarn = rng_below(&g, 4) ? 0 : 4;
        r->deltachi2 = (double)rng_below(&g, 5); /* ties: the order in the source decides */
        r->zcat_primary = t % 4 ? (uint8_t)rng_below(&g, 2) : PRIMARY_UNKNOWN;
        r->has_spectrum = 1;
        r->flux[0] = -1; /* of the redshift catalogue */
        r->brickid = (int32_t)(t % N_BRICKS);
        r->brick_objid = (int32_t)t;
        r->release = t % 3 == 0 ? 9010 : t % 3 == 1 ? 9012 : 0; /* by identifier, by position, by position */
        r->source_row = i;
    }
    return OK;
}

static Status fake_locate(CatalogRow *row, const void *config)
{
    (void)config;
    row->brickid = (int32_t)floor(row->ra);
    memset(row->brickname, 0, sizeof row->brickname);
    snprintf(row->brickname, sizeof row->brickname, "%04d", row->brickid % 10000);
    return OK;
}

static Status fake_photometry_file(char *path, size_t size, const void *config, const CatalogRow *row)
{
    (void)config;
    snprintf(path, size, "tractor-%s.fits", row->brickname);
    return OK;
}

static Status fake_photometry(CatalogRow **rows, int64_t *n, int64_t *n_file, const void *config, const char *path,
                              Arena *a)
{
    (void)config;
    const int brick = atoi(path + strlen("tractor-"));
    *n = *n_file = BRICK_ROWS;
    TRY(arena_new(rows, a, *n));
    for (int64_t i = 0; i < *n; i++) {
        CatalogRow *r = &(*rows)[i];
        int64_t t = brick + i * N_BRICKS;
        catalog_new_row(r);
        target_position(&r->ra, &r->dec, t);
        r->dec += 0.3 / 3600;
        r->release = 9010;
        r->brickid = brick;
        r->brick_objid = (int32_t)t;
        snprintf(r->brickname, sizeof r->brickname, "%04d", brick);
        r->flux[0] = (float)t;
        r->photsys = 'S';
    }
    return OK;
}

static const SpectrumSurvey spectra = {.root = fake_root,
                                       .list_redshifts = fake_list,
                                       .count_redshifts = fake_count,
                                       .read_redshifts = fake_redshifts};
static const ImageSurvey images = {.root = fake_root,
                                   .locate = fake_locate,
                                   .photometry_file = fake_photometry_file,
                                   .read_photometry = fake_photometry};

/* Brick 5 has no photometry. */
static void put_photometry_files(void)
{
    for (int k = 0; k < N_BRICKS && test_par.rank == 0; k++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/tractor-%04d.fits", test_folder(), k);
        FILE *f = k == 5 ? NULL : fopen(path, "w");
        if (f) fclose(f);
    }
    par_barrier(&test_par);
}

/* ---- the whole way ---- */

typedef struct {
    CatalogRow *row;
    RejectedRow *reject;
    int64_t n, n_rejects;
    Tally tally;
} Joined;

static const CatalogConfig *defaults(void)
{
    static const ConfigSection *const sections[] = {&catalog_section, NULL};
    Config *config = NULL;
    if (!CHECK_OK(config_parse(&config, "test.yaml", "", 0, NULL, 0, sections, NULL, &test_arena))) return NULL;
    return config_get(config, &catalog_section);
}

/* Every third target has labels, in a table with repetitions; this rank's share. */
static void make_labels(LabelEntry **out, int64_t *n, const Par *par)
{
    int64_t first, last;
    par_share(&first, &last, par, 100);
    *n = last - first;
    CHECK_OK(arena_new(out, &test_arena, *n));
    for (int64_t i = first; i < last; i++) {
        LabelEntry *e = &(*out)[i - first];
        e->targetid = target_id(3 * (i % 60));
        e->row = i;
        for (int l = 0; l < N_LABELS; l++) e->label[l] = l == LABEL_Z && i % 2 ? NAN : (double)(1000 * l + i);
    }
}

static int compare_rejects(const void *a, const void *b)
{
    const RejectedRow *x = a, *y = b;
    if (x->source_file != y->source_file) return x->source_file < y->source_file ? -1 : 1;
    return x->source_row < y->source_row ? -1 : x->source_row > y->source_row;
}

static const int64_t no_skipped[N_FILES * N_REJECTS];
static bool primary_only; /* the cut, in join_all */

static bool join_all(Joined *out, const SpectrumSurvey *survey, const Par *par)
{
    FileList files;
    CatalogRow *row = NULL, *unique = NULL, *matched = NULL, *sorted = NULL;
    LabelEntry *label = NULL;
    ManifestList *used = NULL;
    int64_t n = 0, n_labels = 0, n_sorted = 0;
    RejectList rejects = {.arena = &test_arena};
    memset(out, 0, sizeof *out);
    if (!CHECK_OK(arena_new(&used, &test_arena, 1))) return false;
    used->arena = &test_arena; /* the joins below keep nothing else of this arena for long */
    static Arena pool;
    if (!pool.limit) arena_init(&pool, "test pool", (size_t)1 << 30);
    Mark mark = arena_mark(&pool);
    if (!CHECK_OK(sources_list(&files, survey->list_redshifts, NULL, par, &test_arena))) return false;
    const ReleaseConfig release = {.spectra = {&survey->plugin, NULL}, .images = {&images.plugin, NULL}};
    Sources sources = {&release, &files, files.n, defaults(), 42};
    SourceCounts counts = {.rejects = &rejects};
    Photometry photometry = {.survey = &images, .arcsec = 1.0, .used = used};
    if (!CHECK_OK(sources_redshifts(&row, &n, &counts, &sources, par, &test_arena))) return false;
    out->tally.source_rows = counts.rows;
    if (!CHECK_OK(join_unique(&unique, &n, &rejects, primary_only, row, n, par, &test_arena))) return false;
    make_labels(&label, &n_labels, par);
    if (!CHECK_OK(join_labels(unique, n, label, n_labels, par, &pool))) return false;
    if (!CHECK_OK(join_photometry(&matched, &n, &photometry, unique, n, par, &pool))) return false;
    if (!CHECK_OK(par_sort((void **)&sorted, &n_sorted, par, matched, n, sizeof *sorted, catalog_compare, &test_arena)))
        return false;
    arena_reset(&pool, mark);
    out->tally.source_files = files.n;
    out->tally.photometry_files = photometry.files;
    out->tally.photometry_absent = photometry.files_absent;
    if (!CHECK_OK(tally_sum(&out->tally, sorted, n_sorted, &rejects, no_skipped, par))) return false;
    CHECK_OK(par_allgather((void **)&out->row, &out->n, par, sorted, n_sorted, sizeof *sorted, &test_arena));
    CHECK_OK(par_allgather((void **)&out->reject, &out->n_rejects, par, rejects.row, rejects.n, sizeof *out->reject,
                           &test_arena));
    if (out->n_rejects) qsort(out->reject, (size_t)out->n_rejects, sizeof *out->reject, compare_rejects);
    return true;
}

static void any_number_of_ranks_gives_the_same_rows(void)
{
    Joined here, one;
    put_photometry_files();
    if (!join_all(&here, &spectra, &test_par) || !join_all(&one, &spectra, &alone)) return;
    CU_ASSERT_EQUAL_FATAL(here.n, one.n);
    CU_ASSERT(here.n > 100);
    CU_ASSERT_EQUAL(memcmp(here.row, one.row, (size_t)here.n * sizeof *here.row), 0);
    CU_ASSERT_EQUAL_FATAL(here.n_rejects, one.n_rejects);
    for (int64_t i = 0; i < here.n_rejects; i++) {
        CU_ASSERT_EQUAL(here.reject[i].reason, one.reject[i].reason);
        CU_ASSERT_EQUAL(compare_rejects(&here.reject[i], &one.reject[i]), 0);
    }
    CU_ASSERT_EQUAL(memcmp(&here.tally, &one.tally, sizeof here.tally), 0);
    CHECK_OK(tally_log(&here.tally, here.row, test_par.rank == 0 ? here.n : 0, &test_par, &test_arena));
}

static void every_source_row_is_a_row_or_rejected(void)
{
    Joined j;
    put_photometry_files();
    if (!join_all(&j, &spectra, &test_par)) return;
    int64_t source = 0;
    for (int f = 0; f < N_FILES; f++) source += f == 3 ? 0 : FILE_ROWS - 5 * f;
    CU_ASSERT_EQUAL(j.tally.source_rows, source);
    CU_ASSERT_EQUAL(j.n + j.n_rejects, source);
    int64_t *seen = NULL; /* each source row once */
    if (!CHECK_OK(arena_new(&seen, &test_arena, N_FILES * FILE_ROWS))) return;
    for (int64_t i = 0; i < j.n; i++) seen[j.row[i].source_file * FILE_ROWS + j.row[i].source_row]++;
    for (int64_t i = 0; i < j.n_rejects; i++) seen[j.reject[i].source_file * FILE_ROWS + j.reject[i].source_row]++;
    for (int64_t i = 0; i < N_FILES * FILE_ROWS; i++) CU_ASSERT(seen[i] <= 1);
    CU_ASSERT(j.tally.reason[REJECT_DUPLICATE] > 0 && j.tally.reason[REJECT_NEGATIVE_TARGETID] > 0 &&
              j.tally.reason[REJECT_OBJTYPE] > 0);
}

static void keys_are_unique_and_the_best_row_stays(void)
{
    Joined j;
    put_photometry_files();
    if (!join_all(&j, &spectra, &test_par)) return;
    for (int64_t i = 1; i < j.n; i++) CU_ASSERT(catalog_compare(&j.row[i - 1], &j.row[i]) < 0);
    for (int64_t k = 0; k < j.n_rejects; k++) {
        CatalogRow source, *lost = &source;
        if (j.reject[k].reason != REJECT_DUPLICATE) continue;
        CHECK_OK(fake_redshifts(lost, NULL, (char[]){(char)('0' + j.reject[k].source_file), '\0'},
                                j.reject[k].source_row, 1, &test_arena));
        lost->source_file = j.reject[k].source_file;
        if (lost->zcat_primary == PRIMARY_UNKNOWN) continue; /* the one that stayed has been decided on since */
        for (int64_t i = 0; i < j.n; i++) {
            if (j.row[i].targetid != lost->targetid || strcmp(j.row[i].program, lost->program)) continue;
            CU_ASSERT(cuts_compare_quality(&j.row[i], lost) < 0);
        }
    }
}

static void photometry_is_that_of_the_object(void)
{
    Joined j;
    put_photometry_files();
    if (!join_all(&j, &spectra, &test_par)) return;
    for (int64_t i = 0; i < j.n; i++) {
        const CatalogRow *r = &j.row[i];
        int64_t t = (r->targetid - 39627784728870929) % 4194304;
        bool none = t % 29 == 0 || t % N_BRICKS == 5;
        Match expected = none ? MATCH_NONE : t % 3 == 0 ? MATCH_ID : MATCH_POSITION;
        CU_ASSERT_EQUAL(r->match, expected);
        CU_ASSERT_EQUAL(r->flux[0], none ? -1 : (float)t); /* without a match the redshift catalogue's flux stays */
        CU_ASSERT(none || r->release == 9010);
        CU_ASSERT_EQUAL(r->has_image, 1);
    }
    CU_ASSERT_EQUAL(j.tally.photometry_files, N_BRICKS - 1); /* each read once, by one rank */
    CU_ASSERT_EQUAL(j.tally.photometry_absent, 1);
}

static void labels_are_those_of_the_target(void)
{
    Joined j;
    put_photometry_files();
    if (!join_all(&j, &spectra, &test_par)) return;
    for (int64_t i = 0; i < j.n; i++) {
        const CatalogRow *r = &j.row[i];
        int64_t t = (r->targetid - 39627784728870929) % 4194304, entry = t / 3;
        bool labelled = t % 3 == 0;
        CU_ASSERT(labelled ? r->label[LABEL_AGE] == (double)(1000 * LABEL_AGE + entry)
                           : isnan(r->label[LABEL_AGE])); /* the first of two */
        double z = labelled && entry % 2 == 0 ? (double)entry : r->zwarn == 0 ? r->z : NAN;
        CU_ASSERT(isnan(z) ? isnan(r->label[LABEL_Z]) : r->label[LABEL_Z] == z);
    }
}

/* Where no column says which row of a target is primary, exactly one is; the cut keeps that one alone. */
static void a_primary_row_is_chosen_where_none_is_named(void)
{
    Joined all, cut;
    put_photometry_files();
    if (!join_all(&all, &spectra, &test_par)) return;
    primary_only = true;
    bool joined = join_all(&cut, &spectra, &test_par);
    primary_only = false;
    if (!joined) return;
    for (int64_t i = 0; i < all.n; i++) {
        int64_t t = (all.row[i].targetid - 39627784728870929) % 4194304, primaries = 0, kept = 0;
        if (t % 4) continue;
        for (int64_t k = 0; k < all.n; k++)
            if (all.row[k].targetid == all.row[i].targetid) primaries += all.row[k].zcat_primary;
        for (int64_t k = 0; k < cut.n; k++) kept += cut.row[k].targetid == all.row[i].targetid;
        CU_ASSERT_EQUAL(primaries, 1);
        CU_ASSERT_EQUAL(kept, 1);
    }
    CU_ASSERT(cut.tally.reason[REJECT_NOT_PRIMARY] > 0);
}

/* ---- nothing to do, and failure ---- */

static Status no_files(FileList *out, const void *config, Arena *a)
{
    (void)config;
    out->n = 0;
    return arena_new(&out->path, a, 1);
}

static Status no_rows(int64_t *n, const void *config, const char *path, Arena *scratch)
{
    (void)config, (void)path, (void)scratch;
    *n = 0;
    return OK;
}

static Status broken(CatalogRow *rows, const void *config, const char *path, int64_t first, int64_t n, Arena *scratch)
{
    if (atoi(path) == 4) return FAIL(E_INPUT, "file 4 is broken");
    return fake_redshifts(rows, config, path, first, n, scratch);
}

static void no_files_and_no_rows_are_fine(void)
{
    SpectrumSurvey empty = spectra;
    Joined j;
    empty.list_redshifts = no_files;
    if (!join_all(&j, &empty, &test_par)) return;
    CU_ASSERT(j.n == 0 && j.n_rejects == 0);
    empty = spectra;
    empty.count_redshifts = no_rows;
    if (!join_all(&j, &empty, &test_par)) return;
    CU_ASSERT(j.n == 0 && j.n_rejects == 0);
}

static void a_broken_file_fails_on_all_ranks(void)
{
    SpectrumSurvey bad = spectra;
    FileList files;
    CatalogRow *row = NULL;
    int64_t n = 0;
    RejectList rejects = {.arena = &test_arena};
    SourceCounts counts = {.rejects = &rejects};
    bad.read_redshifts = broken;
    CHECK_OK(sources_list(&files, bad.list_redshifts, NULL, &test_par, &test_arena));
    const ReleaseConfig release = {.spectra = {&bad.plugin, NULL}, .images = {&images.plugin, NULL}};
    Sources sources = {&release, &files, files.n, defaults(), 42};
    CHECK_FAILS(sources_redshifts(&row, &n, &counts, &sources, &test_par, &test_arena), E_INPUT);
}

static void a_lost_row_is_noticed(void)
{
    Tally t = {.source_rows = 2};
    RejectList rejects = {.arena = &test_arena};
    CatalogRow *row = NULL;
    if (!CHECK_OK(arena_new(&row, &test_arena, 1))) return;
    CHECK_FAILS(tally_sum(&t, row, 1, &rejects, no_skipped, &test_par), E_BUG);
}

TEST_MAIN("join", {"any number of ranks gives the same rows", any_number_of_ranks_gives_the_same_rows},
          {"every source row is a row or rejected", every_source_row_is_a_row_or_rejected},
          {"keys are unique and the best row stays", keys_are_unique_and_the_best_row_stays},
          {"photometry is that of the object", photometry_is_that_of_the_object},
          {"labels are those of the target", labels_are_those_of_the_target},
          {"a primary row is chosen where none is named", a_primary_row_is_chosen_where_none_is_named},
          {"no files and no rows are fine", no_files_and_no_rows_are_fine},
          {"a broken file fails on all ranks", a_broken_file_fails_on_all_ranks},
          {"a lost row is noticed", a_lost_row_is_noticed})
