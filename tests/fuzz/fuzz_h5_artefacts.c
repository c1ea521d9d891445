/* fuzz_h5_artefacts.c - our own HDF5 files: catalogue, embeddings, probes, weights.

   Our files bear a footer (io/h5_footer.c) that finds damage before libhdf5 sees it, so here it is the reader of footers
   that is tried; embeddings.h5 is given one as volumes get theirs. FUZZ_BARE=1 lets files through whose footer is gone:
   then libhdf5 1.10.8, which believes its own metadata, ends most runs within seconds (H5HG_read follows a damaged global
   heap out of its block, the metadata cache loops, a malloc is huge). Of 8 runs without footers 7 ended in the library
   and one in a leak of the library. The same holds for foreign files (fuzz_h5_sets.c). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/catalog.h"
#include "data/spectra.h"
#include "embed/embeddings.h"
#include "fuzz.h"
#include "probe/probes.h"
#include "train/checkpoint.h"

enum { CATALOG, EMBEDDINGS, PROBES, WEIGHTS, N_FORMS, ROWS = 12, DIM = 4 };

static const char *const files[] = {"catalog.h5", "embeddings.h5", "probes.h5", "weights.ckpt.h5"};
static const char *const words[] = {"TARGETID", "FILE", "IMAGE_FILE", "catalog", "embeddings", "probes",
                                    "weights",  "OHDR", "TREE",       "HEAP",    "SNOD",       "OCHK",
                                    "FRHP",     "FHDB", "BTHD",       "GCOL",    NULL};

static Status put_catalog(const Par *par, Arena *a)
{
    const Envelope e = {.kind = "catalog", .version = CATALOG_VERSION, .made_by = "catalog", .config = "run: {}\n"};
    static char *names[] = {"a/coadd-main-dark-9144.fits", "b.fits"};
    ManifestRow manifest = {.path = "a", .role = "spectra", .size = 3};
    CatalogRow *rows;
    TRY(arena_new(&rows, a, ROWS));
    for (int i = 0; i < ROWS; i++) {
        catalog_new_row(&rows[i]);
        rows[i].targetid = 39627784728870929 + i, rows[i].healpix = 27245, rows[i].source_file = i % 2;
        snprintf(rows[i].survey, sizeof rows[i].survey, "main");
        snprintf(rows[i].program, sizeof rows[i].program, "dark");
    }
    const RejectedRow rejected = {.targetid = rows[0].targetid, .reason = REJECT_ZWARN};
    const SkippedRows skipped = {.file = 1, .reason = REJECT_TYPE, .rows = 4};
    const CatalogParts parts = {rows, ROWS, &rejected, 1, &manifest, 1, &skipped, 1, &(FileList){names, 2}, ROWS + 5};
    return catalog_write(fuzz_path(files[CATALOG]), &e, &parts, par, a);
}

static Status put_embeddings(void)
{
    const Envelope e = {.kind = "embeddings", .version = EMBEDDINGS_VERSION, .made_by = "embed", .config = "run: {}\n"};
    static float x[ROWS * N_SPECTRUM_STATS];
    static int64_t id[ROWS];
    static int32_t flag[ROWS];
    const int64_t n = ROWS;
    H5File f;
    TRY(h5_create(&f, fuzz_path(files[EMBEDDINGS]), NULL));
    TRY(artefact_write(&f, &e));
    TRY(h5_put(&f, "object_id", H5_I64, 0, id, &n, 1));
    TRY(h5_put(&f, "image_flag", H5_I32, 0, flag, &n, 1));
    TRY(h5_put(&f, "spectrum_flag", H5_I32, 0, flag, &n, 1));
    TRY(h5_put(&f, "spectrum_stats", H5_F32, 0, x, (int64_t[]){n, N_SPECTRUM_STATS}, 2));
    for (int s = 0; s < N_SETS; s++) TRY(h5_put(&f, embedding_dataset[s], H5_F32, 0, x, (int64_t[]){n, DIM}, 2));
    TRY(h5_close(&f));
    return h5_put_footer(fuzz_path(files[EMBEDDINGS]));
}

static Status put_probes(const Par *par, Arena *a)
{
    static double mean[2 * DIM], std[2 * DIM], weight[2 * DIM];
    ProbeInput input = {.row = &probe_inputs[0], .dim = DIM, .mean = mean, .std = std, .n_rows = ROWS};
    ProbeFit fit = {.probe = "ridge", .weight = weight, .n_weights = DIM};
    const ProbeSet set = {.n_inputs = 1,
                          .n_fits = 1,
                          .input = &input,
                          .fit = &fit,
                          .envelope = {.fingerprint = {"00000000000000000000000000000003"}, .config = ""}};
    return probes_write(fuzz_path(files[PROBES]), &set, par, a);
}

static Status put_weights(void)
{
    const Envelope e = {.config = "", .made_by = "import"};
    static const float x[12] = {1, 2, 3};
    const char *path = fuzz_path(files[WEIGHTS]);
    H5File f;
    TRY(checkpoint_create(&f, path, &e, "embed_dim: 4\n"));
    TRY(checkpoint_put(&f, "image_encoder.backbone.cls_token", x, 3, (int64_t[]){1, 1, 4}));
    TRY(checkpoint_put(&f, "spectrum_encoder.backbone.data_embed.weight", x, 2, (int64_t[]){3, 4}));
    return checkpoint_finish(&f, path);
}

static Status seeds(Arena *a)
{
    Par par;
    par_serial(&par);
    TRY(put_catalog(&par, a));
    TRY(put_embeddings());
    TRY(put_probes(&par, a));
    TRY(put_weights());
    for (int i = 0; i < N_FORMS; i++) fuzz_seed_file(i, fuzz_path(files[i]));
    return OK;
}

static void read_catalog(const char *path, Arena *a)
{
    Catalog c = {0};
    CatalogRow *rows;
    ManifestRow *manifest;
    MUST(arena_new(&rows, a, ROWS) == OK && arena_new(&manifest, a, ROWS) == OK);
    if (!fuzz_ok(catalog_open(&c, path, NULL, a))) return;
    fuzz_ok(catalog_read(rows, &c, 0, c.n < ROWS ? c.n : ROWS, a));
    fuzz_ok(catalog_read_manifest(manifest, &c, 0, c.n_manifest < ROWS ? c.n_manifest : ROWS, a));
    catalog_close(&c);
}

static void read_embeddings(const char *path, Arena *a)
{
    Embeddings e = {0};
    if (!fuzz_ok(embeddings_open(&e, path, NULL, a))) return;
    const int64_t n = e.n < ROWS ? e.n : ROWS;
    int64_t id[ROWS];
    int32_t flag[ROWS];
    float stats[ROWS * N_SPECTRUM_STATS];
    for (int s = 0; s < N_SETS; s++) {
        float *x;
        if (e.dim[s] > 0 && fuzz_ok(arena_new(&x, a, n * e.dim[s]))) fuzz_ok(embeddings_read(x, &e, s, 0, n));
    }
    fuzz_ok(embeddings_read_targets(id, &e, 0, n));
    fuzz_ok(embeddings_read_flags(flag, &e, MODALITY_IMAGE, 0, n));
    fuzz_ok(embeddings_read_spectrum_stats(stats, &e, 0, n));
    fuzz_ok(embeddings_read_image_stats(stats, &e, 0, n));
    embeddings_close(&e);
}

static void one(int kind, const char *path, const uint8_t *bytes, int64_t n, Arena *a)
{
    ProbeSet probes;
    (void)bytes, (void)n;
    if (!h5_has_footer(path) && !getenv("FUZZ_BARE")) return;
    if (kind == CATALOG) read_catalog(path, a);
    if (kind == EMBEDDINGS) read_embeddings(path, a);
    if (kind == PROBES) fuzz_ok(probes_read(&probes, path, a));
    if (kind != WEIGHTS) return;
    H5File f = {0};
    H5Shape shape;
    char **names;
    float *values;
    int64_t count = 0;
    if (fuzz_ok(checkpoint_open(&f, &names, &count, path, a)))
        for (int64_t i = 0; i < count && i < 8; i++) fuzz_ok(checkpoint_get(&values, &shape, &f, names[i], a));
    h5_close(&f);
}

const FuzzTarget fuzz_target = {"h5_artefacts", N_FORMS, seeds, one, files, words};
