/* measure.c - seconds per object: assumed from the arithmetic of the encoders, or measured on this machine.

   Encoders are timed on made-up pixels, for their work does not depend on what they see. Where catalogue and release
   are there, a few blocks at several places of the catalogue are embedded as `embed` would, and what the encoders did
   not take is reading. One rank works alone: ranks that share a memory bus are somewhat slower, which the margin in
   jobs/submit is for. */
#include <string.h>

#include "core/clock.h"
#include "data/flags.h"
#include "embedder.h"
#include "model/model.h"
#include "nn/gemm.h"
#include "plan.h"

enum { MAX_OBJECTS = 64, N_PLACES = 4, PLACE_ROWS = 8 };
static const double seconds_each = 2;       /* of an encoder's measurement, at least one object */
static const double assumed_flops = 50e9;   /* per thread: below what OpenBLAS in f32 reaches on present cores */
static const double assumed_reading = 0.05; /* seconds per row: three arms, three bands of a shared brick */

static bool wants(const Run *run, Modality m)
{
    const EmbedConfig *c = config_get(run->config, &embed_section);
    return embed_lists(&c->modalities, modality_name[m]);
}

Status rates_assume(Rates *out, const Run *run)
{
    const RunConfig *rc = config_get(run->config, &run_section);
    Mark mark = arena_mark(run->arena);
    Model *model = NULL;
    TRY(model_build(&model, config_get(run->config, &model_section), run->arena));
    double speed = assumed_flops * (double)rc->threads;
    *out = (Rates){
        .image = wants(run, MODALITY_IMAGE) ? (double)model_flops(model, true) / speed : 0,
        .spectrum = wants(run, MODALITY_SPECTRUM) ? (double)model_flops(model, false) / speed : 0,
        .reading = assumed_reading,
    };
    arena_reset(run->arena, mark);
    return OK;
}

/* Seconds of one object through an encoder, as many together as `embed` takes. The first are not counted: it touches memory for the first time. */
static Status time_encoder(double *seconds, const Model *model, Modality m, const float *input, Arena *a)
{
    real *aligned = NULL, *single = NULL;
    bool image = m == MODALITY_IMAGE;
    const int64_t count = model_batch(model, image);
    const float **inputs = NULL;
    TRY(arena_new(&aligned, a, count * model_embed_dim(model)));
    TRY(arena_new(&single, a, count * (image ? model_image_dim(model) : model_spectrum_dim(model))));
    TRY(arena_new(&inputs, a, count));
    for (int64_t i = 0; i < count; i++) inputs[i] = input;
    double start = 0;
    int64_t n = -1;
    while (n < 1 || (n < MAX_OBJECTS && clock_now() - start < seconds_each)) {
        TRY(image ? model_images(aligned, single, model, inputs, count, CUTOUT_PIXELS, a)
                  : model_spectra(aligned, single, model, inputs, count, GRID_PIXELS, a));
        if (n++ == -1) start = clock_now();
    }
    *seconds = (clock_now() - start) / (double)(n * count);
    return OK;
}

static Status measure_encoders(Rates *out, const Run *run, const Model *model)
{
    enum { CUTOUT = N_BANDS * CUTOUT_PIXELS * CUTOUT_PIXELS }; /* more than a spectrum has */
    Mark mark = arena_mark(run->arena);
    float *input = NULL;
    TRY(arena_new(&input, run->arena, CUTOUT));
    for (int i = 0; i < CUTOUT; i++) input[i] = 0.1f + 0.01f * (float)(i % 97);
    if (wants(run, MODALITY_IMAGE)) TRY(time_encoder(&out->image, model, MODALITY_IMAGE, input, run->arena));
    if (wants(run, MODALITY_SPECTRUM)) TRY(time_encoder(&out->spectrum, model, MODALITY_SPECTRUM, input, run->arena));
    out->measured = true;
    arena_reset(run->arena, mark);
    return OK;
}

/* Seconds of the encoders in a block. */
static double encoding(const Rates *r, const EmbedBlock *b, const Embedder *e)
{
    bool zero_bands = e->images->missing_band == MISSING_BAND_ZERO;
    double sum = 0;
    for (int m = 0; m < N_MODALITIES; m++)
        for (int64_t i = 0; e->want[m] && i < b->n; i++)
            if (!flags_fatal((Modality)m, b->flag[m][i], zero_bands))
                sum += m == MODALITY_IMAGE ? r->image : r->spectrum;
    return sum;
}

static Status measure_reading(Rates *out, Run *run, const Model *model, Catalog *catalog)
{
    Embedder e;
    double seconds = 0;
    int64_t rows = 0, n = catalog->n < PLACE_ROWS ? catalog->n : PLACE_ROWS;
    embedder_set_up(&e, run, model, catalog);
    Status st = embedder_open_images(&e, run->arena);
    for (int64_t place = 0; st == OK && place < N_PLACES && n > 0; place++) {
        EmbedBlock block;
        Mark mark = arena_mark(run->arena);
        double start = clock_now();
        st = embed_block(&block, &e, place * (catalog->n - n) / N_PLACES, n, run->arena);
        if (st == OK) seconds += clock_now() - start - encoding(out, &block, &e);
        rows += n;
        arena_reset(run->arena, mark);
    }
    embedder_close_images(&e);
    if (st == OK && rows > 0) {
        out->reading = seconds > 0 ? seconds / (double)rows : 0;
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
