/* small_release.h - a catalogue and its embeddings of any few rows in test_folder(), and probes in memory: what the
   tables stage reads, for tests of its writer. Every value follows from the row, so tests know what to expect. Included
   by one .c. */
#ifndef SMALL_RELEASE_H
#define SMALL_RELEASE_H

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tables/properties.h"
#include "test_main.h"

enum { IMAGE_DIM = 6, SPECTRUM_DIM = 5, SMALL_INPUTS = 3, SMALL_FITS = SMALL_INPUTS * N_LABELS };

static const char *path_of(const char *name)
{
    static char path[8][H5_PATH];
    static int next;
    char *out = path[next++ & 7];
    snprintf(out, H5_PATH, "%s/%s", test_folder(), name);
    return out;
}

/* Every fifth row has no image, every seventh no spectrum. */
static bool has(Modality m, int64_t i) { return i % (m == MODALITY_IMAGE ? 5 : 7) != 4; }
static float embedding(Modality m, int64_t i, int64_t d)
{
    return has(m, i) ? (float)sin(0.1 * (double)(i * (m + 2)) + (double)d) : NAN;
}
static CatalogRow catalog_row(int64_t i)
{
    CatalogRow r = {.targetid = 39627784728870929 + i,
                    .ra = 150 + 0.001 * (double)i,
                    .dec = -2.5,
                    .healpix = 27245,
                    .z = 0.1 + 0.001 * (double)i,
                    .zwarn = i % 3 == 0 ? 4 : 0,
                    .release = 9010,
                    .brickid = 300000,
                    .photsys = 'S',
                    .brick_objid = (int32_t)i,
                    .split = (uint8_t)(i % N_SPLITS),
                    .zcat_primary = i % 2 == 0,
                    .z_phot = NAN,
                    .z_phot_std = NAN,
                    .image_file = -1,
                    .has_spectrum = 1};
    snprintf(r.survey, sizeof r.survey, "%s", i % 2 ? "sv3" : "main");
    snprintf(r.program, sizeof r.program, "%s", i % 3 ? "bright" : "dark");
    snprintf(r.spectype, sizeof r.spectype, "%s", "GALAXY");
    for (int k = 0; k < N_LABELS; k++) r.label[k] = NAN;
    return r;
}

/* Local, rank 0. */
static Status write_embeddings(const char *path, int64_t n)
{
    static const int64_t dim[] = {IMAGE_DIM, SPECTRUM_DIM};
    H5File f = {0};
    Status st = OK;
    const Envelope e = {.kind = "embeddings",
                        .version = EMBEDDINGS_VERSION,
                        .made_by = "embed",
                        .fingerprint = {"00000000000000000000000000000002"}};
    TRY(h5_create(&f, path, NULL));
    TRY_DONE(artefact_write(&f, &e));
    TRY_DONE(h5_new(&f, "object_id", H5_I64, 0, &n, 1));
    TRY_DONE(h5_new(&f, "image_flag", H5_I32, 0, &n, 1));
    TRY_DONE(h5_new(&f, "spectrum_flag", H5_I32, 0, &n, 1));
    TRY_DONE(h5_new(&f, "spectrum_stats", H5_F32, 0, (int64_t[]){n, N_SPECTRUM_STATS}, 2));
    for (int m = 0; m < N_MODALITIES; m++)
        TRY_DONE(h5_new(&f, embedding_dataset[m], H5_F32, 0, (int64_t[]){n, dim[m]}, 2));
    for (int64_t i = 0; i < n; i++) {
        const int64_t id = catalog_row(i).targetid;
        const int32_t image = has(MODALITY_IMAGE, i) ? 0 : IMAGE_NO_BRICK,
                      spectrum = has(MODALITY_SPECTRUM, i) ? 0 : SPECTRUM_NO_FILE;
        float stats[N_SPECTRUM_STATS], x[IMAGE_DIM];
        for (int s = 0; s < N_SPECTRUM_STATS; s++) stats[s] = has(MODALITY_SPECTRUM, i) ? (float)(i + s) : NAN;
        TRY_DONE(h5_write_rows(&f, "object_id", H5_I64, 0, &id, i, 1));
        TRY_DONE(h5_write_rows(&f, "image_flag", H5_I32, 0, &image, i, 1));
        TRY_DONE(h5_write_rows(&f, "spectrum_flag", H5_I32, 0, &spectrum, i, 1));
        TRY_DONE(h5_write_rows(&f, "spectrum_stats", H5_F32, 0, stats, i, 1));
        for (int m = 0; m < N_MODALITIES; m++) {
            for (int64_t d = 0; d < dim[m]; d++) x[d] = embedding((Modality)m, i, d);
            TRY_DONE(h5_write_rows(&f, embedding_dataset[m], H5_F32, 0, x, i, 1));
        }
    }
    return h5_close(&f);
done:
    h5_close(&f);
    return st;
}

/* Collective. catalog.h5 and embeddings.h5 of n rows. */
static void write_release(int64_t n)
{
    int64_t first, last;
    CatalogRow *row = NULL;
    const Envelope e = {.kind = "catalog",
                        .version = CATALOG_VERSION,
                        .made_by = "catalog",
                        .fingerprint = {"00000000000000000000000000000001"}};
    par_share(&first, &last, &test_par, n);
    CHECK_OK(arena_new(&row, &test_arena, last - first));
    for (int64_t i = first; i < last; i++) row[i - first] = catalog_row(i);
    const CatalogParts parts = {.row = row, .n = last - first, .files = &(FileList){0}};
    CHECK_OK(catalog_write(path_of("catalog.h5"), &e, &parts, &test_par, &test_arena));
    if (test_par.rank == 0) CHECK_OK(write_embeddings(path_of("embeddings.h5"), n));
    par_barrier(&test_par);
}

/* What a fit says of row i: NaN where it lacks an embedding. */
static double small_prediction(const ProbeSet *p, int fit, int64_t i)
{
    const ProbeInputRow *row = p->input[p->fit[fit].input].row;
    for (int s = 0; s < row->n_sets; s++)
        if (!has(row->set[s] == SET_IMAGE ? MODALITY_IMAGE : MODALITY_SPECTRUM, i)) return NAN;
    return p->fit[fit].label + 0.03125 * (double)(i % 64) - 0.5 * p->fit[fit].input;
}

static double small_ood(const ProbeSet *p, int input, int64_t i)
{
    for (int f = 0; f < p->n_fits; f++)
        if (p->fit[f].input == input) return small_prediction(p, f, i) * 0 + 0.25 * (double)(i % 5);
    return NAN;
}

/* Local. */
static void write_predictions(const ProbeSet *p, int64_t n)
{
    Predictions out;
    Par alone;
    float *x = NULL;
    char name[H5_PATH];
    Envelope e = p->envelope;
    e.kind = "predictions", e.version = PREDICTIONS_VERSION, e.made_by = "probe", e.config = "";
    par_serial(&alone);
    CHECK_OK(arena_new(&x, &test_arena, n));
    CHECK_OK(predictions_create(&out, path_of("predictions.h5"), &e, n, &alone, &test_arena));
    for (int k = 0; k < p->n_inputs; k++) {
        const ProbeInputRow *row = p->input[k].row;
        for (int64_t i = 0; i < n; i++) x[i] = (float)small_ood(p, k, i);
        snprintf(name, sizeof name, "%s_%s/ood", row->encoder, row->modality);
        CHECK_OK(predictions_put(&out, name, x, 1, 0, n, &alone));
    }
    for (int f = 0; f < p->n_fits; f++) {
        const ProbeInputRow *row = p->input[p->fit[f].input].row;
        for (int64_t i = 0; i < n; i++) x[i] = (float)small_prediction(p, f, i);
        snprintf(name, sizeof name, "%s_%s/%s/%s/value", row->encoder, row->modality, p->fit[f].probe,
                 label_table[p->fit[f].label].name);
        CHECK_OK(predictions_put(&out, name, x, 1, 0, n, &alone));
    }
    CHECK_OK(predictions_publish(&out, &alone, &test_arena));
}

/* Collective. Every property from image, spectrum and both, and predictions.h5 of n rows. */
static inline void make_probes(ProbeSet *p, int64_t n)
{
    *p = (ProbeSet){.envelope = {.fingerprint = {"00000000000000000000000000000003"}}};
    CHECK_OK(arena_new(&p->input, &test_arena, SMALL_INPUTS));
    CHECK_OK(arena_new(&p->fit, &test_arena, SMALL_FITS));
    for (int i = 0; i < SMALL_INPUTS; i++) {
        ProbeInput *in = &p->input[p->n_inputs++];
        *in = (ProbeInput){.row = &probe_inputs[i], .n_rows = n, .ood_quantile = 0.8};
        for (int s = 0; s < in->row->n_sets; s++) in->dim += in->row->set[s] == SET_IMAGE ? IMAGE_DIM : SPECTRUM_DIM;
        CHECK_OK(arena_new(&in->mean, &test_arena, in->dim));
        CHECK_OK(arena_new(&in->std, &test_arena, in->dim));
        for (int64_t d = 0; d < in->dim; d++) in->mean[d] = 0.01 * (double)d, in->std[d] = 0.75;
        for (int k = 0; k < N_LABELS; k++) {
            ProbeFit *f = &p->fit[p->n_fits++];
            *f = (ProbeFit){.input = i,
                            .label = k,
                            .probe = "ridge",
                            .lambda = 10,
                            .intercept = k,
                            .label_min = -1,
                            .label_max = 1,
                            .calibration = {.all = {10, 0.1 * (k + 1), -0.1, 0.2, -0.3, 0.5, {0}}}};
            f->score[SPLIT_TRAIN].n = 80;
            f->score[SPLIT_TEST] =
                (Scores){10, 0.9, 0.1, 0.01, k == LABEL_Z ? 0.02 : NAN, k == LABEL_Z ? 0.05 : NAN, NAN};
        }
    }
    if (test_par.rank == 0) write_predictions(p, n);
    par_barrier(&test_par);
}

static TablesConfig small_tables = {
    .probe = "ridge", .release = "dr1", .name = "astroclip", .version = "v1.0", .match = ""};

/* Collective (or Local with a serial `par`). Writes NAME from the files of write_release. */
static inline Status write_properties(const char *name, const ProbeSet *probes, int64_t chunk_rows, const Par *par)
{
    Catalog c = {0};
    Embeddings m = {0};
    Predictions q = {0};
    const Envelope e = {.kind = "properties",
                        .version = PROPERTIES_VERSION,
                        .made_by = "tables",
                        .config = "run: {}\n",
                        .fingerprint = {"00000000000000000000000000000004"},
                        .specprod = "iron",
                        .image_release = "dr9",
                        .provider = "ref",
                        .ranks = par->n_ranks};
    Status st = catalog_open(&c, path_of("catalog.h5"), NULL, &test_arena);
    if (st == OK) st = embeddings_open(&m, path_of("embeddings.h5"), NULL, &test_arena);
    if (st == OK) st = predictions_open(&q, path_of("predictions.h5"), NULL, &test_arena);
    if (st == OK) {
        TablesConfig config = small_tables;
        PropertyFiles told;
        config.chunk_rows = chunk_rows;
        const PropertySources s = {&c, &m, probes, &q, &config};
        st = properties_write(&told, path_of(name), &e, &s, par, &test_arena);
    }
    catalog_close(&c);
    embeddings_close(&m);
    predictions_close(&q);
    return st;
}

#endif
