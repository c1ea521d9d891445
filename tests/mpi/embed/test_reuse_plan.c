/* test_reuse_plan.c - which rows of an earlier run serve a new one: decided per row and modality, the same for any
   number of ranks and any order of rows; and what is copied of them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/config.h"
#include "core/log.h"
#include "data/manifest.h"
#include "embed/embed.h"
#include "test_main.h"

enum { N_OLD = 60, PIXELS = 6 };

static const char *path_of(const char *name)
{
    static char path[4][H5_PATH];
    static int next;
    char *out = path[next++ & 3];
    snprintf(out, H5_PATH, "%s/%s", test_folder(), name);
    return out;
}

/* Object k: pixel k % PIXELS, a brick of its own per pixel. Every seventh has no spectrum. */
static CatalogRow object(int64_t k)
{
    CatalogRow r;
    catalog_new_row(&r);
    r.targetid = 39627784728870929 + k;
    snprintf(r.survey, sizeof r.survey, "main");
    snprintf(r.program, sizeof r.program, "dark");
    r.healpix = 100 + (int32_t)(k % PIXELS);
    r.ra = 150.1 + 0.25 * (double)(k % PIXELS) + 1e-4 * (double)k;
    r.dec = 2.3;
    r.photsys = 'S';
    r.has_image = 1;
    r.has_spectrum = k % 7 != 3;
    r.ebv = 0.01f;
    r.source_file = 0;
    r.source_row = k;
    return r;
}

/* What a catalogue is made of, before it is written. */
typedef struct {
    CatalogRow row[2 * N_OLD];
    int64_t n;
    ManifestRow file[1024];
    int64_t n_files;
} Made;

static const ReleaseConfig *release(void)
{
    static const ConfigSection *const sections[] = {&release_section, NULL};
    static const char text[] =
        "release:\n  spectra: {kind: desi, root: nowhere}\n  images: {kind: legacy, root: nowhere}\n";
    Config *config = NULL;
    CHECK_OK(config_parse(&config, "test", text, sizeof text - 1, NULL, 0, sections, NULL, &test_arena));
    return config ? config_get(config, &release_section) : NULL;
}

static char *file_names[] = {"zcat.fits"};
static const FileList files = {file_names, 1};

/* The manifest of the rows, every file with a size and a sum of its own. */
static void list_files(Made *m)
{
    ManifestList *list = NULL;
    CHECK_OK(arena_new(&list, &test_arena, 1));
    list->arena = &test_arena;
    Arena scratch = {0};
    CHECK_OK(arena_init(&scratch, "test", 64 << 20));
    CHECK_OK(manifest_add_rows(list, m->row, m->n, &files, release(), &scratch));
    arena_free(&scratch);
    m->n_files = 0;
    if (list->n > 0) qsort(list->row, (size_t)list->n, sizeof *list->row, manifest_compare);
    for (int64_t i = 0; i < list->n; i++) {
        if (m->n_files > 0 && manifest_compare(&m->file[m->n_files - 1], &list->row[i]) == 0) continue;
        ManifestRow *f = &m->file[m->n_files++];
        *f = list->row[i];
        f->size = 1000 + (int64_t)strlen(f->path);
        f->datasum = (uint32_t)hash_bytes(f->path, strlen(f->path));
    }
}

/* Collective. */
static void write_catalog(const char *name, const Made *m)
{
    const Envelope e = {.kind = "catalog", .version = CATALOG_VERSION, .made_by = "catalog", .fingerprint = {"1"}};
    int64_t first, last;
    par_share(&first, &last, &test_par, m->n);
    CatalogParts parts = {.row = m->row + first, .n = last - first, .files = &files};
    par_share(&first, &last, &test_par, m->n_files);
    parts.manifest = m->file + first;
    parts.n_manifest = last - first;
    CHECK_OK(catalog_write(path_of(name), &e, &parts, &test_par, &test_arena));
}

static void make_old(Made *m)
{
    m->n = 0;
    for (int64_t k = 0; k < N_OLD; k++) m->row[m->n++] = object(k);
    list_files(m);
}

/* Collective. Plans new.h5 against old.h5 and gathers the whole plan on all ranks. */
static ReusePlan *plan_all(int64_t *n, int64_t *n_changed, const SpectraConfig *spectra)
{
    static const bool usable[N_MODALITIES] = {true, true};
    Catalog new = {0}, old = {0};
    Embedder e = {.spectra = spectra, .release = release(), .catalog = &new, .want = {true, true}};
    ReusePlan *share = NULL, *all = NULL;
    int64_t first, last;
    *n = 0;
    if (!CHECK_OK(catalog_open(&new, path_of("new.h5"), NULL, &test_arena)) ||
        !CHECK_OK(catalog_open(&old, path_of("old.h5"), NULL, &test_arena)))
        return NULL;
    CHECK_OK(reuse_plan(&share, n_changed, &e, &old, usable, &test_par, &test_arena));
    par_share(&first, &last, &test_par, new.n);
    CHECK_OK(par_allgather((void **)&all, n, &test_par, share, last - first, sizeof *all, &test_arena));
    catalog_close(&new);
    catalog_close(&old);
    return all;
}

static const SpectraConfig plain = {0};

static void unchanged_rows_are_all_taken_in_any_order(void)
{
    Made *m = NULL;
    int64_t n = 0, n_changed = -1;
    CHECK_OK(arena_new(&m, &test_arena, 1));
    make_old(m);
    write_catalog("old.h5", m);
    for (int64_t i = 0; i < N_OLD; i++) m->row[i] = object(i * 37 % N_OLD);
    write_catalog("new.h5", m);
    ReusePlan *plan = plan_all(&n, &n_changed, &plain);
    CU_ASSERT_EQUAL(n, N_OLD);
    CU_ASSERT_EQUAL(n_changed, 0);
    for (int64_t i = 0; plan && i < n; i++) {
        int64_t k = i * 37 % N_OLD;
        CU_ASSERT_EQUAL(plan[i].old_row, k);
        CU_ASSERT_EQUAL(plan[i].why[MODALITY_IMAGE], REUSE_TAKEN);
        CU_ASSERT_EQUAL(plan[i].why[MODALITY_SPECTRUM], k % 7 == 3 ? REUSE_NO_DATA : REUSE_TAKEN);
    }
}

/* One coadd of another sum, one band of a brick of another size, one coadd that is new to the manifest, a row that moved,
   one of another tile, two new rows, two that went. */
static void each_change_costs_its_own_rows_and_modality(void)
{
    Made *m = NULL;
    int64_t n = 0, n_changed = -1;
    CHECK_OK(arena_new(&m, &test_arena, 1));
    make_old(m);
    int64_t kept = 0;
    for (int64_t i = 0; i < m->n_files; i++) /* the old manifest lacks the coadd of pixel 105 */
        if (!strstr(m->file[i].path, "-105.fits")) m->file[kept++] = m->file[i];
    CU_ASSERT_EQUAL(kept, m->n_files - 1);
    m->n_files = kept;
    write_catalog("old.h5", m);

    m->n = 0;
    for (int64_t k = 2; k < N_OLD + 2; k++) m->row[m->n++] = object(k);
    m->row[20 - 2].ra += 1e-9; /* moved */
    m->row[22 - 2].tileid = 5;
    list_files(m);
    int64_t altered = 0;
    const char *brick = NULL;
    for (int64_t i = 0; i < m->n_files; i++) {
        ManifestRow *f = &m->file[i];
        if (strstr(f->path, "-101.fits")) f->datasum++, altered++;
        if (!brick && strcmp(f->role, ROLE_IMAGE) == 0 && strstr(f->path, "-image-r")) {
            brick = f->path;
            f->size++, altered++;
        }
    }
    CU_ASSERT_EQUAL(altered, 2);
    write_catalog("new.h5", m);
    ReusePlan *plan = plan_all(&n, &n_changed, &plain);
    CU_ASSERT_EQUAL(n, N_OLD);
    CU_ASSERT_EQUAL(n_changed, 2);
    const CatalogRow first = object(0); /* the brick that sorts first is that of pixel 100, the lowest RA */
    CU_ASSERT(first.healpix == 100);
    for (int64_t i = 0; plan && i < n; i++) {
        const int64_t k = i + 2, pixel = 100 + k % PIXELS;
        ReuseWhy image = k >= N_OLD     ? REUSE_NEW_ROW
                         : k == 20      ? REUSE_OTHER_PLACE
                         : pixel == 100 ? REUSE_OTHER_FILE
                                        : REUSE_TAKEN;
        ReuseWhy spectrum = k % 7 == 3                     ? REUSE_NO_DATA
                            : k >= N_OLD                   ? REUSE_NEW_ROW
                            : k == 22                      ? REUSE_OTHER_PLACE
                            : pixel == 101 || pixel == 105 ? REUSE_OTHER_FILE
                                                           : REUSE_TAKEN;
        CU_ASSERT_EQUAL(plan[i].why[MODALITY_IMAGE], image);
        CU_ASSERT_EQUAL(plan[i].why[MODALITY_SPECTRUM], spectrum);
        CU_ASSERT_EQUAL(plan[i].old_row, k >= N_OLD ? -1 : k);
    }
}

static void extinction_counts_only_where_it_is_taken_out(void)
{
    Made *m = NULL;
    int64_t n = 0, n_changed = -1;
    CHECK_OK(arena_new(&m, &test_arena, 1));
    make_old(m);
    write_catalog("old.h5", m);
    for (int64_t i = 0; i < N_OLD; i++) m->row[i].ebv = 0.02f;
    write_catalog("new.h5", m);
    for (int on = 0; on < 2; on++) {
        SpectraConfig spectra = {.extinction = on};
        ReusePlan *plan = plan_all(&n, &n_changed, &spectra);
        for (int64_t i = 0; plan && i < n; i++) {
            CU_ASSERT_EQUAL(plan[i].why[MODALITY_IMAGE], REUSE_TAKEN);
            CU_ASSERT_EQUAL(plan[i].why[MODALITY_SPECTRUM], i % 7 == 3 ? REUSE_NO_DATA
                                                            : on       ? REUSE_OTHER_PLACE
                                                                       : REUSE_TAKEN);
        }
    }
}

/* ---- copying ---- */

enum { DIM = 4 };
static float value_of(int64_t k, int64_t d) { return (float)(k * DIM + d) + 0.25f; }

/* Local. embeddings.h5 of the old rows; some have flags or holes that forbid to take them. */
static Status write_embeddings(const char *path, const char *inputs)
{
    static int64_t id[N_OLD];
    static int32_t image_flag[N_OLD], spectrum_flag[N_OLD];
    static float x[N_OLD][DIM], image_stats[N_OLD][N_IMAGE_STATS], spectrum_stats[N_OLD][N_SPECTRUM_STATS];
    const int64_t n = N_OLD;
    H5File f = {0};
    const Envelope e = {.kind = "embeddings", .version = EMBEDDINGS_VERSION, .made_by = "embed", .fingerprint = {"1"}};
    for (int64_t k = 0; k < n; k++) {
        id[k] = object(k).targetid;
        for (int64_t d = 0; d < DIM; d++) x[k][d] = k == 12 ? NAN : value_of(k, d); /* 12: a hole */
        for (int s = 0; s < N_IMAGE_STATS; s++) image_stats[k][s] = (float)(k + s);
        for (int s = 0; s < N_SPECTRUM_STATS; s++) spectrum_stats[k][s] = (float)(k - s);
        image_flag[k] = k == 5 ? IMAGE_MOSAIC : k == 6 ? IMAGE_PADDED : k == 7 ? IMAGE_BAD_PIXELS : k == 8 ? -1 : 0;
        spectrum_flag[k] = k == 5 ? SPECTRUM_UNREADABLE : k % 7 == 3 ? SPECTRUM_NOT_ASKED : 0;
    }
    TRY(h5_create(&f, path, NULL));
    TRY(artefact_write(&f, &e));
    TRY(h5_put_attr_text(&f, "/", "inputs", inputs));
    TRY(h5_put_attr_text(&f, "/", "image_recipe", "weights=1\n"));
    TRY(h5_put_attr_text(&f, "/", "spectrum_recipe", "weights=1\n"));
    TRY(h5_put(&f, "object_id", H5_I64, 0, id, &n, 1));
    TRY(h5_put(&f, "image_flag", H5_I32, 0, image_flag, &n, 1));
    TRY(h5_put(&f, "spectrum_flag", H5_I32, 0, spectrum_flag, &n, 1));
    TRY(h5_put(&f, "image_stats", H5_F32, 0, image_stats, (int64_t[]){n, N_IMAGE_STATS}, 2));
    TRY(h5_put(&f, "spectrum_stats", H5_F32, 0, spectrum_stats, (int64_t[]){n, N_SPECTRUM_STATS}, 2));
    TRY(h5_put(&f, "image_embeddings", H5_F32, 0, x, (int64_t[]){n, DIM}, 2));
    return h5_close(&f);
}

/* Collective. Folder "old" holds a run; "new.h5" is a catalogue of the same rows in the opposite order. */
static void write_runs(bool of_this_catalog)
{
    Made *m = NULL;
    Catalog c = {0};
    CHECK_OK(arena_new(&m, &test_arena, 1));
    make_old(m);
    write_catalog("old/catalog.h5", m);
    for (int64_t i = 0; i < N_OLD; i++) m->row[i] = object(N_OLD - 1 - i);
    write_catalog("new.h5", m);
    CHECK_OK(catalog_open(&c, path_of("old/catalog.h5"), NULL, &test_arena));
    if (test_par.rank == 0)
        CHECK_OK(write_embeddings(path_of("old/embeddings.h5"), of_this_catalog ? c.manifest.text : "another"));
    catalog_close(&c);
    par_barrier(&test_par);
}

static const ImagesConfig images = {0};

static Embedder embedder(Catalog *c, const char *recipe)
{
    return (Embedder){.spectra = &plain,
                      .images = &images,
                      .release = release(),
                      .catalog = c,
                      .want = {true, false},
                      .dim = {[SET_IMAGE] = DIM},
                      .recipe = {recipe, NULL}};
}

/* Local. An empty block of rows. */
static void make_block(EmbedBlock *b, Catalog *c, int64_t first, int64_t n)
{
    *b = (EmbedBlock){.first = first, .n = n};
    CHECK_OK(arena_new(&b->row, &test_arena, n));
    CHECK_OK(arena_new(&b->set[SET_IMAGE], &test_arena, n * DIM));
    for (int m = 0; m < N_MODALITIES; m++) CHECK_OK(arena_new(&b->flag[m], &test_arena, n));
    CHECK_OK(arena_new(&b->image_stats, &test_arena, n * N_IMAGE_STATS));
    CHECK_OK(arena_new(&b->spectrum_stats, &test_arena, n * N_SPECTRUM_STATS));
    CHECK_OK(catalog_read(b->row, c, first, n, &test_arena));
}

static void rows_are_copied_unless_their_flags_forbid_it(void)
{
    Catalog c = {0};
    Reuse *reuse = NULL;
    EmbedBlock b;
    write_runs(true);
    CHECK_OK(catalog_open(&c, path_of("new.h5"), NULL, &test_arena));
    Embedder e = embedder(&c, "weights=1\n");
    if (!CHECK_OK(reuse_open(&reuse, &e, path_of("old"), test_folder(), &test_par, &test_arena)) || !reuse) return;
    make_block(&b, &c, 10, N_OLD - 10); /* objects 49 ... 0 */
    CHECK_OK(reuse_take(&b, reuse, &e, &test_arena));
    CU_ASSERT_EQUAL(b.reuse[MODALITY_IMAGE][REUSE_UNSURE], 2);    /* 5, 6 */
    CU_ASSERT_EQUAL(b.reuse[MODALITY_IMAGE][REUSE_NOT_THERE], 2); /* 8, 12 */
    CU_ASSERT_EQUAL(b.reuse[MODALITY_IMAGE][REUSE_TAKEN], b.n - 4);
    for (int64_t i = 0; i < b.n; i++) {
        const int64_t k = N_OLD - 1 - (10 + i);
        const bool taken = k != 5 && k != 6 && k != 8 && k != 12;
        CU_ASSERT_EQUAL(b.taken[MODALITY_IMAGE][i], taken);
        CU_ASSERT_EQUAL(b.taken[MODALITY_SPECTRUM][i], 0); /* not wanted */
        if (!taken) continue;
        for (int64_t d = 0; d < DIM; d++) CU_ASSERT_EQUAL(b.set[SET_IMAGE][i * DIM + d], value_of(k, d));
        CU_ASSERT_EQUAL(b.image_stats[i * N_IMAGE_STATS + 1], (float)(k + 1));
        CU_ASSERT_EQUAL(b.flag[MODALITY_IMAGE][i], k == 7 ? IMAGE_BAD_PIXELS : 0);
    }
    reuse_close(reuse, &test_par);
    catalog_close(&c);
    par_barrier(&test_par); /* rank 0 removes the plan */
    FILE *plan = fopen(path_of("embeddings/reuse.h5"), "r");
    CU_ASSERT(plan == NULL);
    if (plan) fclose(plan);
}

static void another_recipe_or_no_run_gives_nothing(void)
{
    Catalog c = {0};
    Reuse *reuse = NULL;
    write_runs(true);
    CHECK_OK(catalog_open(&c, path_of("new.h5"), NULL, &test_arena));
    Embedder e = embedder(&c, "weights=2\n");
    log_quiet(true);
    CHECK_OK(reuse_open(&reuse, &e, path_of("old"), test_folder(), &test_par, &test_arena));
    log_quiet(false);
    CU_ASSERT(reuse == NULL);
    CHECK_OK(reuse_open(&reuse, &e, "", test_folder(), &test_par, &test_arena));
    CU_ASSERT(reuse == NULL);
    CHECK_FAILS(reuse_open(&reuse, &e, path_of("nowhere"), test_folder(), &test_par, &test_arena), E_INPUT);
    CHECK_FAILS(reuse_open(&reuse, &e, path_of("old"), path_of("old"), &test_par, &test_arena), E_CONFIG);
    write_runs(false); /* its catalogue was made anew since */
    CHECK_FAILS(reuse_open(&reuse, &e, path_of("old"), test_folder(), &test_par, &test_arena), E_INPUT);
    catalog_close(&c);
}

static void recipes_differ_by_their_first_other_line(void)
{
    char what[200] = "";
    CU_ASSERT(!reuse_recipe_differs(what, sizeof what, "a=1\nb=x y\n", "b=x y\na=1\n"));
    CU_ASSERT(reuse_recipe_differs(what, sizeof what, "a=1\nb=x\n", "a=1\nb=xy\n"));
    CU_ASSERT_STRING_EQUAL(what, "b is x here and xy there");
    CU_ASSERT(reuse_recipe_differs(what, sizeof what, "a=1\n", "a=1\nmodel.depth=3\n"));
    CU_ASSERT_STRING_EQUAL(what, "model.depth is absent here and 3 there");
    CU_ASSERT(reuse_recipe_differs(what, sizeof what, "ab=1\n", "a=1\n"));
}

TEST_MAIN("reuse plan", {"unchanged rows are all taken, in any order", unchanged_rows_are_all_taken_in_any_order},
          {"each change costs its own rows and modality", each_change_costs_its_own_rows_and_modality},
          {"extinction counts only where it is taken out", extinction_counts_only_where_it_is_taken_out},
          {"rows are copied unless their flags forbid it", rows_are_copied_unless_their_flags_forbid_it},
          {"another recipe, or no run, gives nothing", another_recipe_or_no_run_gives_nothing},
          {"recipes differ by their first other line", recipes_differ_by_their_first_other_line})
