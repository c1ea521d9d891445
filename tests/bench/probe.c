/* probe.c - the time of fitting and predicting with one kind of probe: one property from rows of normal features in memory.

   bench_probe KIND TRAIN TEST DIM FOLDER: one JSON line; KIND is ridge (5 folds, 9 penalties), leave_one_out (9 penalties), knn
   (k = 64) or mlp (the published settings). Train and test rows are all predicted. For a peer rank 0 writes what there was and
   what its own rows became: FOLDER/x.f32 (TRAIN + TEST, DIM), FOLDER/predicted.f64. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/rng.h"
#include "nn/gemm.h"
#include "probe/fit.h"

typedef struct {
    int64_t dim;
    float *x;
} Data;

static Status read_memory(float *out, void *source, int64_t first, int64_t n, Arena *scratch)
{
    const Data *d = source;
    (void)scratch;
    memcpy(out, d->x + first * d->dim, (size_t)(n * d->dim) * sizeof *out);
    return OK;
}

static Status make_rows(ProbeRows *rows, Data *d, int64_t train, int64_t test, int64_t dim, const Par *par, Arena *a)
{
    TRY(probe_rows_init(rows, train + test, par, a));
    *d = (Data){.dim = dim};
    TRY(arena_new(&d->x, a, rows->total * dim));
    for (int64_t i = 0; i < rows->total; i++) {
        Rng g = rng_stream(1, "bench.probe", i, 0);
        rng_normals(d->x + i * dim, dim, &g);
    }
    for (int64_t i = 0; i < rows->n; i++) {
        const float *x = d->x + (rows->first + i) * dim;
        rows->targetid[i] = rows->first + i;
        rows->split[i] = rows->first + i < train ? SPLIT_TRAIN : SPLIT_TEST;
        for (int l = 0; l < N_LABELS; l++) rows->label[l][i] = (double)(x[0] - x[1] * x[2] + 0.3f * x[3]);
    }
    return OK;
}

static Status write_file(const char *folder, const char *name, const void *data, int64_t bytes)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    const bool good = f && fwrite(data, 1, (size_t)bytes, f) == (size_t)bytes;
    if (f) fclose(f);
    return good ? OK : FAIL(E_OUTPUT, "cannot write %s", path);
}

static Status measure(const char *kind, int64_t train, int64_t test, int64_t dim, const char *folder, const Par *par,
                      Arena *a)
{
    static double penalties[] = {1e-3, 1e-2, 1e-1, 1, 10, 1e2, 1e3, 1e4, 1e5}, wide[] = {64, 64};
    const ProbeConfig config = {.min_rows = 10,
                                .ridge = {{9, penalties},
                                          strcmp(kind, "ridge") == 0 ? RIDGE_FOLDS : RIDGE_LEAVE_ONE_OUT,
                                          5},
                                .knn = {64},
                                .mlp = {.hidden = {2, wide},
                                        .hidden_z_image = {2, wide},
                                        .dropout = 0.1,
                                        .lr = 1e-3,
                                        .epochs = 10,
                                        .batch = 64,
                                        .parts = 4}};
    const ProbeKind *probe = strcmp(kind, "knn") == 0   ? &knn_probe
                             : strcmp(kind, "mlp") == 0 ? &mlp_probe
                                                        : &ridge_probe;
    const ProbeInputRow row = {"bench", "spectrum", "", INPUT_EMBEDDINGS, {SET_SPECTRUM}, 1, NULL};
    ProbeRows rows;
    ProbeInput input = {.row = &row};
    ProbeFit fit = {.label = LABEL_LOGMSTAR, .probe = kind};
    RowPredictions out = {0};
    Data data;
    uint8_t *usable;
    TRY(make_rows(&rows, &data, train, test, dim, par, a));
    TRY(arena_new(&usable, a, rows.n));
    TRY(arena_new(&out.value, a, rows.n));
    TRY(arena_new(&out.scale, a, rows.n));
    TRY(arena_new(&out.nll, a, rows.n));
    const ProbeFeatures features = {dim, read_memory, &data};
    const ProbeTask task = {.config = &config,
                            .rows = &rows,
                            .usable = usable,
                            .features = &features,
                            .input = &input,
                            .par = par,
                            .seed = 1};
    par_barrier(par);
    const double start = clock_now();
    TRY(probe_standardise(&input, usable, &rows, &features, par, a));
    TRY(probe->fit(&fit, 1, &task, a));
    double fitted = clock_now() - start;
    TRY(probe->predict(&out, &fit, 1, &task, a));
    double all = clock_now() - start;
    par_max_f64(par, &fitted, 1);
    par_max_f64(par, &all, 1);
    if (par->rank == 0) {
        TRY(write_file(folder, "x.f32", data.x, rows.total * dim * (int64_t)sizeof *data.x));
        TRY(write_file(folder, "predicted.f64", out.value, rows.n * (int64_t)sizeof *out.value));
        printf("{\"name\": \"probe %s\", \"ranks\": %d, \"train\": %lld, \"predicted\": %lld, \"dim\": %lld, "
               "\"fit_s\": %.3f, "
               "\"predict_s\": %.3f}\n",
               kind, par->n_ranks, (long long)train, (long long)(train + test), (long long)dim, fitted, all - fitted);
    }
    return OK;
}

int main(int argc, char **argv)
{
    Par par;
    Arena a = {0};
    Status st = par_init(&par, &argc, &argv);
    if (st == OK && argc != 6)
        st = FAIL(E_CONFIG, "usage: bench_probe ridge|leave_one_out|knn|mlp TRAIN TEST DIM FOLDER");
    if (st == OK) st = arena_init(&a, "bench", 0);
    log_quiet(true);
    if (st == OK) st = gemm_choose("auto", 1);
    if (st == OK) st = measure(argv[1], atoll(argv[2]), atoll(argv[3]), atoll(argv[4]), argv[5], &par, &a);
    arena_free(&a);
    return par_finish(&par, par_agree(&par, st));
}
