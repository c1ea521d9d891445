/* measure.c - seconds per object: assumed from the arithmetic of the encoders, or measured on this machine.

   Encoders are timed on made-up pixels, for their work does not depend on what they see; a rank of one thread by the time
   of its processor, which what else runs on the machine does not change. Where catalogue and release are there, a few
   blocks at several places of the catalogue are embedded as `embed` would, for the clocks of reading. One rank works
   alone: ranks that share a memory bus are somewhat slower, which the margin in jobs/submit is for. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/clock.h"
#include "data/flags.h"
#include "embedder.h"
#include "model/model.h"
#include "nn/gemm.h"
#include "plan.h"

enum { MAX_BATCHES = 64, N_PLACES = 4, PLACE_ROWS = 8 };
static const double seconds_each = 2;       /* of an encoder's measurement, at least one batch */
static const double assumed_flops = 50e9;   /* per thread: below what OpenBLAS in f32 reaches on present cores */
static const double assumed_reading = 0.05; /* seconds per row: three arms, three bands of a shared brick */

/* Which embeddings of an object section `embed` asks for. */
typedef struct {
    bool aligned, single;
} Wanted;

static Wanted wanted(const Run *run, int m)
{
    const EmbedConfig *c = config_get(run->config, &embed_section);
    if (!embed_lists(&c->modalities, modality_name[m])) return (Wanted){false, false};
    return (Wanted){embed_lists(&c->sets, "aligned"), embed_lists(&c->sets, "single")};
}

Status rates_assume(Rates *out, const Run *run)
{
    const RunConfig *rc = config_get(run->config, &run_section);
    Mark mark = arena_mark(run->arena);
    Model *model = NULL;
    TRY(model_build(&model, config_get(run->config, &model_section), run->arena));
    const double speed = assumed_flops * (double)rc->threads;
    *out = (Rates){.reading = assumed_reading};
    for (int m = 0; m < N_MODALITIES; m++) {
        const Wanted w = wanted(run, m);
        const bool image = m == MODALITY_IMAGE;
        out->embed[m] = (double)model_flops(model, image, w.aligned, w.single) / speed;
        out->pass[m] = (double)model_flops(model, image, true, false) / speed;
    }
    arena_reset(run->arena, mark);
    return OK;
}

/* What the calling thread has had of a processor. */
static double processor_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Seconds of one object through an encoder by the clock and by the processor, as many together as `embed` takes. The first are not counted: it touches memory for the first time. */
static Status time_encoder(double *seconds, double *processor, const Model *model, int m, Wanted w, const float *input,
                           Arena *a)
{
    real *aligned = NULL, *single = NULL;
    bool image = m == MODALITY_IMAGE;
    const int64_t count = model_batch(model, image);
    const float **inputs = NULL;
    if (w.aligned) TRY(arena_new(&aligned, a, count * model_embed_dim(model)));
    if (w.single) TRY(arena_new(&single, a, count * (image ? model_image_dim(model) : model_spectrum_dim(model))));
    TRY(arena_new(&inputs, a, count));
    for (int64_t i = 0; i < count; i++) inputs[i] = input;
    double start = 0, processor_start = 0;
    int64_t n = -1;
    while (n < 1 || (n < MAX_BATCHES && clock_now() - start < seconds_each)) {
        TRY(image ? model_images(aligned, single, model, inputs, count, CUTOUT_PIXELS, a)
                  : model_spectra(aligned, single, model, inputs, count, GRID_PIXELS, a));
        if (n++ != -1) continue;
        start = clock_now();
        processor_start = processor_now();
    }
    *seconds = (clock_now() - start) / (double)(n * count);
    *processor = (processor_now() - processor_start) / (double)(n * count);
    return OK;
}

static Status measure_encoders(Rates *out, const Run *run, const Model *model)
{
    enum { CUTOUT = N_BANDS * CUTOUT_PIXELS * CUTOUT_PIXELS }; /* more than a spectrum has */
    const RunConfig *rc = config_get(run->config, &run_section);
    Mark mark = arena_mark(run->arena);
    double by_clock = 0, by_processor = 0;
    float *input = NULL;
    TRY(arena_new(&input, run->arena, CUTOUT));
    for (int i = 0; i < CUTOUT; i++) input[i] = 0.1f + 0.01f * (float)(i % 97);
    for (int m = 0; m < N_MODALITIES; m++) {
        const Wanted w = wanted(run, m);
        double seconds = 0, processor = 0;
        if (!w.aligned && !w.single) continue;
        TRY(time_encoder(&seconds, &processor, model, m, w, input, run->arena));
        by_clock += seconds;
        by_processor += processor;
        if (rc->threads == 1) seconds = processor;
        out->pass[m] *= seconds / out->embed[m]; /* were as the operations are */
        out->embed[m] = seconds;
    }
    out->measured = true;
    snprintf(out->products, sizeof out->products, "%s", gemm_provider_text());
    if (rc->threads == 1 && by_processor > 0) out->stretch = by_clock / by_processor;
    arena_reset(run->arena, mark);
    return OK;
}

/* Seconds so far of the clocks that begin with "read". */
static double reading_clocks(void)
{
    int n;
    double sum = 0;
    const Clock *clock = clock_table(&n);
    for (int i = 0; i < n; i++)
        if (strncmp(clock[i].name, "read ", 5) == 0) sum += clock[i].seconds;
    return sum;
}

static Status measure_reading(Rates *out, Run *run, const Model *model, Catalog *catalog)
{
    Embedder e;
    int64_t rows = 0, n = catalog->n < PLACE_ROWS ? catalog->n : PLACE_ROWS;
    embedder_set_up(&e, run, model, catalog);
    Status st = embedder_open_images(&e, run->arena);
    const double before = reading_clocks();
    for (int64_t place = 0; st == OK && place < N_PLACES && n > 0; place++) {
        EmbedBlock block;
        Mark mark = arena_mark(run->arena);
        st = embed_block(&block, &e, place * (catalog->n - n) / N_PLACES, n, run->arena);
        rows += n;
        arena_reset(run->arena, mark);
    }
    embedder_close_images(&e);
    if (st == OK && rows > 0) {
        out->reading = (reading_clocks() - before) / (double)rows;
        out->read = true;
    }
    return st;
}

Status rates_measure(Rates *out, Run *run)
{
    const RunConfig *rc = config_get(run->config, &run_section);
    Mark mark = arena_mark(run->arena);
    Model *model = NULL;
    Catalog catalog = {0};
    real *kept = NULL;
    char *path = NULL;
    TRY(rates_assume(out, run));
    TRY(gemm_choose(rc->gemm, (int)rc->threads));
    TRY(gemm_precision(embed_precisions[((const EmbedConfig *)config_get(run->config, &embed_section))->precision]));
    TRY(model_build(&model, config_get(run->config, &model_section), run->arena));
    params_deterministic(model_params(model), 1); /* any weights take the same time */
    TRY(arena_new(&kept, run->arena, model_kept_reals(model)));
    model_keep(model, kept, true); /* as `embed` has them */
    TRY(model_prepare(model, run->arena));
    TRY(measure_encoders(out, run, model));
    TRY(stage_path(&path, run, "catalog.h5"));
    Status st = catalog_open(&catalog, path, NULL, run->arena);
    if (st == OK) st = measure_reading(out, run, model, &catalog);
    catalog_close(&catalog);
    gemm_keep_none();
    if (st == E_INPUT || st == E_CONFIG) { /* not there yet: reading stays assumed */
        fail_clear();
        st = OK;
    }
    arena_reset(run->arena, mark);
    return st;
}
