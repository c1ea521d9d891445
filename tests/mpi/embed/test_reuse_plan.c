/* test_reuse_plan.c - which rows of an earlier catalogue serve a new one: decided per row and modality, the same for any
   number of ranks and any order of rows. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/config.h"
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
          {"recipes differ by their first other line", recipes_differ_by_their_first_other_line})
