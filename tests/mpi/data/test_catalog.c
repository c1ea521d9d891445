/* catalog.h5: what is written is what is read, and its datasets are the same bits for any number of ranks. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/rng.h"
#include "data/manifest.h"
#include "test_main.h"

static const Par alone = {.rank = 0, .n_ranks = 1, .comm = NULL};
static char *files[] = {"zpix-main-bright.fits", "zpix-main-dark.fits", "a/longer/path.fits"};
static const FileList file_list = {files, 3};
static const SkippedRows skipped[] = {{0, REJECT_TYPE, 7}, {2, REJECT_MAGNITUDE, 1234567890123}};

static const char *path_of(const char *name)
{
    static char path[4][H5_PATH];
    static int next;
    char *out = path[next++ & 3];
    snprintf(out, H5_PATH, "%s/out/%s", test_folder(), name); /* the folder does not exist yet */
    return out;
}

/* Row i of a sorted catalogue, all fields in use. */
static CatalogRow make_row(int64_t i)
{
    CatalogRow r;
    Rng g = rng_stream(3, "test.catalog", i, 0);
    catalog_new_row(&r);
    r.tsnr2_lrg = 0; /* in memory only, as place and unknown_z */
    r.unknown_z = 0;
    r.healpix = (int32_t)(i / 10);
    r.uniqpix = i % 4 ? 0 : 43642;
    r.tileid = (int32_t)(i % 5);
    r.night = 20210419;
    r.petal = (int32_t)(i % 10);
    r.desi_target = (int64_t)1 << 60;
    r.bgs_target = 3;
    r.target_class = 1 << CLASS_BGS | 1 << CLASS_QSO;
    r.good_z = 1 << CLASS_QSO;
    strcpy(r.morphtype, "REX");
    r.maskbits = 1 << 16;
    r.z_phot = 0.25f;
    r.image_file = (int32_t)(i % 4) - 1;
    r.image_row = i;
    r.targetid = (int64_t)1 << 61 | i;
    strcpy(r.survey, "special");
    strcpy(r.program, i % 2 ? "dark" : "backup");
    strcpy(r.spectype, "GALAXY");
    strcpy(r.objtype, "TGT");
    strcpy(r.brickname, "0001p000");
    r.ra = 360 * rng_uniform(&g);
    r.dec = i % 7 ? rng_normal(&g) : NAN;
    r.z = rng_uniform(&g);
    r.zerr = 1e-5;
    r.deltachi2 = 1e3 * rng_uniform(&g);
    r.zwarn = (int64_t)1 << 40;
    r.fiberstatus = 1 << 30;
    r.brickid = 330368;
    r.brick_objid = (int32_t)i;
    r.release = 9010;
    r.photsys = i % 3 ? 'S' : 0;
    r.match = (uint8_t)(i % 3);
    r.split = (uint8_t)(i % N_SPLITS);
    r.has_spectrum = 1;
    r.has_image = (uint8_t)(i % 2);
    r.zcat_primary = 1;
    for (int k = 0; k < 3; k++) r.flux[k] = (float)rng_normal(&g);
    r.ebv = 0.02f;
    for (int l = 0; l < N_LABELS; l++) r.label[l] = rng_below(&g, 2) ? rng_normal(&g) : NAN;
    r.source_file = (int32_t)(i % 3);
    r.source_row = 2 * i;
    return r;
}

static RejectedRow make_reject(int64_t i)
{
    RejectedRow r;
    memset(&r, 0, sizeof r);
    r.targetid = -5;
    r.source_file = (int32_t)(i % 3);
    r.source_row = 1000 - i; /* to be sorted */
    r.reason = (int32_t)(i % N_REJECTS);
    return r;
}

static ManifestRow make_file(int64_t i)
{
    ManifestRow m = {.size = i % 4 ? 2880 * i : -1, .datasum = (uint32_t)(4000000000u + (uint32_t)i)};
    snprintf(m.path, sizeof m.path, "folder/%lld.fits", (long long)(997 - 31 * i % 997));
    snprintf(m.role, sizeof m.role, "%s", i % 2 ? ROLE_SPECTRA : ROLE_TRACTOR);
    return m;
}

typedef struct {
    CatalogRow *row;
    RejectedRow *reject;
    ManifestRow *file;
    int64_t n, n_rejects, n_files;
} Content;

/* The shares of `par`: rows in order, everything else dealt out like cards. */
static void make_content(Content *c, int64_t n, int64_t n_rejects, int64_t n_files, const Par *par)
{
    int64_t first, last;
    memset(c, 0, sizeof *c);
    par_share(&first, &last, par, n);
    CHECK_OK(arena_new(&c->row, &test_arena, n));
    CHECK_OK(arena_new(&c->reject, &test_arena, n_rejects));
    CHECK_OK(arena_new(&c->file, &test_arena, n_files));
    for (int64_t i = first; i < last; i++) c->row[c->n++] = make_row(i);
    for (int64_t i = par->rank; i < n_rejects; i += par->n_ranks) c->reject[c->n_rejects++] = make_reject(i);
    for (int64_t i = par->rank; i < n_files; i += par->n_ranks) c->file[c->n_files++] = make_file(i);
}

static Status write_content(const char *path, const Content *c, const Par *par)
{
    const Envelope e = {.kind = "catalog",
                        .version = CATALOG_VERSION,
                        .made_by = "catalog",
                        .config = "run: {}\n",
                        .seed = 42,
                        .fingerprint = {"0123456789abcdef0123456789abcdef"},
                        .specprod = "iron",
                        .image_release = "dr9",
                        .ranks = 1};
    const CatalogParts parts = {.row = c->row,
                                .n = c->n,
                                .rejected = c->reject,
                                .n_rejected = c->n_rejects,
                                .manifest = c->file,
                                .n_manifest = c->n_files,
                                .skipped = skipped,
                                .n_skipped = 2,
                                .files = &file_list};
    return catalog_write(path, &e, &parts, par, &test_arena);
}

/* A row is sent, sorted and compared as bytes. */
static void rows_have_no_bytes_between_their_fields(void)
{
    CatalogRow r;
    unsigned char all[sizeof r];
    memset(all, 0xff, sizeof all);
    memset(&r, 0xff, sizeof r);
#if defined(__has_builtin)
#if __has_builtin(__builtin_clear_padding)
    __builtin_clear_padding(&r);
#endif
#endif
    CU_ASSERT_EQUAL(memcmp(&r, all, sizeof r), 0);
}

static void what_is_written_is_read(void)
{
    enum { N = 253 };
    Content c;
    Catalog catalog;
    CatalogRow *row = NULL;
    int32_t pixel[5];
    make_content(&c, N, 41, 17, &test_par);
    if (!CHECK_OK(write_content(path_of("catalog.h5"), &c, &test_par))) return;
    CU_ASSERT(access(path_of("catalog.h5.part"), F_OK) != 0);
    if (!CHECK_OK(catalog_open(&catalog, path_of("catalog.h5"), &test_par, &test_arena))) return;
    CU_ASSERT_EQUAL(catalog.n, N);
    CU_ASSERT_EQUAL(catalog.n_manifest, 17);
    CU_ASSERT_STRING_EQUAL(catalog.envelope.specprod, "iron");
    CHECK_OK(arena_new(&row, &test_arena, N));
    CHECK_OK(catalog_read(row, &catalog, 0, N, &test_arena));
    for (int64_t i = 0; i < N; i++) {
        CatalogRow expected = make_row(i);
        CU_ASSERT_EQUAL(memcmp(&row[i], &expected, sizeof expected), 0);
    }
    CHECK_OK(catalog_read(row, &catalog, N - 3, 3, &test_arena)); /* a range */
    CU_ASSERT_EQUAL(row[0].targetid, make_row(N - 3).targetid);
    CHECK_OK(catalog_read(row, &catalog, N, 0, &test_arena));
    CHECK_OK(catalog_read_pixels(pixel, &catalog, 18, 5));
    CU_ASSERT(pixel[0] == 1 && pixel[1] == 1 && pixel[2] == 2 && pixel[4] == 2);
    CHECK_FAILS(catalog_read(row, &catalog, N - 1, 2, &test_arena), E_INPUT);
    catalog_close(&catalog);
}

static void rejected_rows_keep_their_source_and_reason(void)
{
    enum { N = 41 };
    Content c;
    H5File f;
    H5Shape shape;
    int32_t file[N], reason[N];
    int64_t source[N], count[N_REJECTS], total = 0;
    char *name = NULL;
    make_content(&c, 3, N, 2, &test_par);
    if (!CHECK_OK(write_content(path_of("catalog.h5"), &c, &test_par))) return;
    if (!CHECK_OK(h5_open(&f, path_of("catalog.h5"), NULL))) return;
    CHECK_OK(h5_read_rows(file, &f, "rejected/FILE", H5_I32, 0, 0, N));
    CHECK_OK(h5_read_rows(source, &f, "rejected/ROW", H5_I64, 0, 0, N));
    CHECK_OK(h5_read_rows(reason, &f, "rejected/REASON", H5_I32, 0, 0, N));
    CHECK_OK(h5_read_rows(count, &f, "rejected/COUNTS", H5_I64, 0, 0, N_REJECTS));
    for (int i = 0; i < N; i++) {
        CU_ASSERT(i == 0 || file[i] > file[i - 1] || (file[i] == file[i - 1] && source[i] > source[i - 1]));
        CU_ASSERT_EQUAL(reason[i], (1000 - source[i]) % N_REJECTS);
    }
    for (int r = 0; r < N_REJECTS; r++) total += count[r];
    CU_ASSERT_EQUAL(total, N);
    CHECK_OK(h5_get((void **)&name, &shape, &f, "rejected/REASONS", H5_TEXT, &test_arena));
    CU_ASSERT_EQUAL(shape.dims[0], N_REJECTS);
    CU_ASSERT_NSTRING_EQUAL(name + shape.width * REJECT_DUPLICATE, "DUPLICATE", 9);
    CHECK_OK(h5_get((void **)&name, &shape, &f, "files", H5_TEXT, &test_arena));
    CU_ASSERT_NSTRING_EQUAL(name + 2 * shape.width, files[2], (size_t)shape.width);
    CHECK_OK(h5_close(&f));
}

static void manifest_is_sorted_and_whole(void)
{
    enum { N = 57 };
    Content c;
    Catalog catalog;
    ManifestRow *row = NULL;
    make_content(&c, 1, 1, N, &test_par);
    if (!CHECK_OK(write_content(path_of("catalog.h5"), &c, &test_par))) return;
    if (!CHECK_OK(catalog_open(&catalog, path_of("catalog.h5"), NULL, &test_arena))) return;
    CU_ASSERT_EQUAL_FATAL(catalog.n_manifest, N);
    CHECK_OK(arena_new(&row, &test_arena, N));
    CHECK_OK(catalog_read_manifest(row, &catalog, 0, N, &test_arena));
    for (int i = 1; i < N; i++) CU_ASSERT(manifest_compare(&row[i - 1], &row[i]) < 0);
    for (int64_t i = 0; i < N; i++) {
        ManifestRow expected = make_file(i);
        int64_t at = 0;
        while (at < N && manifest_compare(&row[at], &expected) != 0) at++;
        if (at < N) CU_ASSERT(row[at].size == expected.size && row[at].datasum == expected.datasum);
        CU_ASSERT(at < N);
    }
    catalog_close(&catalog);
}

/* Every dataset of two files, byte by byte. */
static void compare_group(H5File *a, H5File *b, const char *group)
{
    char **name = NULL, path[H5_PATH];
    int64_t n = 0;
    CHECK_OK(h5_list(&name, &n, a, group, &test_arena));
    for (int64_t i = 0; i < n; i++) {
        H5Shape s, t;
        void *x = NULL, *y = NULL;
        snprintf(path, sizeof path, "%s%s%s", group, strcmp(group, "/") ? "/" : "", name[i]);
        if (h5_shape(&s, a, path) != OK) { /* a group */
            fail_clear();
            compare_group(a, b, path);
            continue;
        }
        CHECK_OK(h5_get(&x, &s, a, path, s.type, &test_arena));
        if (!CHECK_OK(h5_get(&y, &t, b, path, s.type, &test_arena))) continue;
        CU_ASSERT(s.type == t.type && s.width == t.width && s.n_dims == t.n_dims && s.dims[0] == t.dims[0]);
        CU_ASSERT_EQUAL(memcmp(x, y, (size_t)(s.dims[0] * s.width)), 0);
    }
}

static void any_number_of_ranks_writes_the_same_datasets(void)
{
    Content here, all;
    make_content(&here, 253, 41, 57, &test_par);
    if (!CHECK_OK(write_content(path_of("here.h5"), &here, &test_par))) return;
    if (test_par.rank == 0) {
        H5File a, b;
        Catalog x, y;
        make_content(&all, 253, 41, 57, &alone);
        CHECK_OK(write_content(path_of("alone.h5"), &all, &alone));
        CHECK_OK(h5_open(&a, path_of("here.h5"), NULL));
        CHECK_OK(h5_open(&b, path_of("alone.h5"), NULL));
        compare_group(&a, &b, "/");
        h5_close(&a);
        h5_close(&b);
        CHECK_OK(catalog_open(&x, path_of("here.h5"), NULL, &test_arena));
        CHECK_OK(catalog_open(&y, path_of("alone.h5"), NULL, &test_arena));
        CU_ASSERT_STRING_EQUAL(x.manifest.text, y.manifest.text);
        catalog_close(&x);
        catalog_close(&y);
    }
    par_barrier(&test_par);
}

static Fingerprint inputs_after(const Content *c)
{
    Catalog catalog;
    Fingerprint f = {""};
    if (!CHECK_OK(write_content(path_of("inputs.h5"), c, &test_par))) return f;
    if (!CHECK_OK(catalog_open(&catalog, path_of("inputs.h5"), &test_par, &test_arena))) return f;
    f = catalog.manifest;
    catalog_close(&catalog);
    par_barrier(&test_par);
    return f;
}

static void the_inputs_of_embed_are_told_from_others(void)
{
    Content c;
    const bool last = test_par.rank == test_par.n_ranks - 1;
    make_content(&c, 40, 3, 8, &test_par);
    Fingerprint before = inputs_after(&c);
    for (int64_t i = 0; i < c.n; i++) c.row[i].label[LABEL_AGE] = 3; /* labels and photometry do not reach embeddings */
    for (int64_t i = 0; i < c.n; i++) c.row[i].flux[1] = 3;
    for (int64_t i = 0; i < c.n_files; i++)
        if (strcmp(c.file[i].role, ROLE_TRACTOR) == 0) c.file[i].datasum++;
    CU_ASSERT_STRING_EQUAL(inputs_after(&c).text, before.text);
    if (last) c.row[c.n - 1].ra += 1e-9;
    CU_ASSERT_STRING_NOT_EQUAL(inputs_after(&c).text, before.text);
    if (last) c.row[c.n - 1].ra = make_row(39).ra;
    CU_ASSERT_STRING_EQUAL(inputs_after(&c).text, before.text);
    for (int64_t i = 0; i < c.n_files; i++)
        if (strcmp(c.file[i].role, ROLE_SPECTRA) == 0) c.file[i].size++;
    CU_ASSERT_STRING_NOT_EQUAL(inputs_after(&c).text, before.text);
}

static void nothing_is_a_catalogue_too(void)
{
    Content c;
    Catalog catalog;
    make_content(&c, 0, 0, 0, &test_par);
    if (!CHECK_OK(write_content(path_of("empty.h5"), &c, &test_par))) return;
    if (!CHECK_OK(catalog_open(&catalog, path_of("empty.h5"), &test_par, &test_arena))) return;
    CU_ASSERT(catalog.n == 0 && catalog.n_manifest == 0);
    catalog_close(&catalog);
    make_content(&c, 1, 0, 1, &test_par); /* one row: all but one rank have none */
    CHECK_OK(write_content(path_of("one.h5"), &c, &test_par));
}

TEST_MAIN("catalog", {"rows have no bytes between their fields", rows_have_no_bytes_between_their_fields},
          {"what is written is read", what_is_written_is_read},
          {"rejected rows keep their source and reason", rejected_rows_keep_their_source_and_reason},
          {"the manifest is sorted and whole", manifest_is_sorted_and_whole},
          {"any number of ranks writes the same datasets", any_number_of_ranks_writes_the_same_datasets},
          {"the inputs of embed are told from others", the_inputs_of_embed_are_told_from_others},
          {"nothing is a catalogue too", nothing_is_a_catalogue_too})
