/* train.c - the time of a training step at full size: SpecFormer on 8 masked spectra, or both heads on the tokens of 256
   pairs, with the optimiser's part, as the stages train_spectrum and align do it. train.py puts PyTorch beside it.

   bench_train spectrum|heads f32|bf16 steps [replicas]: of each step, one per line, the seconds and the seconds of processor
   time, both of the rank that took most. The batch is divided among the replicas, and these among the ranks. The first step
   of a process is not counted. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/clock.h"
#include "model/clip.h"
#include "model/vit.h"
#include "nn/gemm.h"
#include "train/alignpass.h"
#include "train/maskedbatch.h"
#include "train/optimizer.h"

enum { SPECTRA = 8, PAIRS = 256 };

typedef struct {
    const Par *par;
    Model *model;
    Optimizer *optimizer;
    int64_t batch; /* of a replica */
    float *flux;   /* (batch, DESI_PIXELS) */
    real *cache[N_MODALITIES], *dropped;
    Arena *arena;
} Bench;

typedef Status (*Pass)(double *loss, const Bench *b, int64_t replica, int64_t step);

static real noise(Rng *rng) { return (real)(2 * rng_uniform(rng) - 1); }

/* ---- the model ---- */

/* As published, but for the ViT of a training of heads: its width alone counts. */
static Status build(Bench *b, bool heads)
{
    static VitConfig vit = {144, 12, 1024, 1, 16, 0};
    static SpecformerConfig specformer = {768, 6, 6, 800, 20, 10};
    const ModelConfig c = {1024, 4, {image_encoders[0], &vit}, {spectrum_encoders[0], &specformer}};
    TRY(model_build(&b->model, &c, b->arena));
    params_deterministic(model_params(b->model), 1);
    params_freeze(model_params(b->model), "image_encoder.backbone.");
    params_freeze(model_params(b->model), heads ? "spectrum_encoder.backbone." : "image_encoder.");
    if (heads) return OK;
    params_freeze(model_params(b->model), "spectrum_encoder.cross_attention.");
    params_freeze(model_params(b->model), "spectrum_encoder.mlp.");
    return OK;
}

static void say_ready(void *optimizer, int64_t d_offset) { optimizer_ready(optimizer, d_offset); }

/* ---- masked spectra ---- */

static Status make_spectra(Bench *b)
{
    Rng rng = rng_stream(1, "bench.flux", b->par->rank, 0);
    TRY(arena_new(&b->flux, b->arena, b->batch * DESI_PIXELS));
    for (int64_t i = 0; i < b->batch * DESI_PIXELS; i++) b->flux[i] = 2 + (float)noise(&rng);
    return OK;
}

static Status spectrum_pass(double *loss, const Bench *b, int64_t replica, int64_t step)
{
    const MaskConfig mask = {6, 50};
    const GradientHook hook = {say_ready, b->optimizer};
    const MaskedPass how = {false, 0, NULL, &hook};
    MaskedBatch batch;
    TRY(maskedbatch_take(&batch, model_branch(b->model, false)->state, &mask, b->batch, DESI_PIXELS, b->arena));
    for (int64_t i = 0; i < b->batch; i++) {
        int64_t start[6];
        Rng rng = rng_stream(1, "bench.mask", i, (uint32_t)step);
        TRY(mask_draw(start, &mask, batch.n_tokens, &rng));
        TRY(maskedbatch_set(&batch, i, b->flux + i * DESI_PIXELS, DESI_PIXELS, start));
    }
    return maskedbatch_train(loss, optimizer_gradient(b->optimizer, replica), &batch, &how, b->arena);
}

/* ---- heads ---- */

static Status make_tokens(Bench *b)
{
    Rng rng = rng_stream(1, "bench.tokens", b->par->rank, 0);
    for (int m = 0; m < N_MODALITIES; m++) {
        const Branch *half = model_branch(b->model, m == MODALITY_IMAGE);
        const int64_t n = b->batch * half->n_tokens * half->dim;
        TRY(arena_new(&b->cache[m], b->arena, n));
        for (int64_t i = 0; i < n; i++) b->cache[m][i] = noise(&rng);
    }
    return OK;
}

/* Tokens of the batch in another order than they are kept in; dropout of 0.1. */
static Status fill_half(AlignHalf *h, const Bench *b, int m, int64_t step)
{
    const int64_t each = h->branch->n_tokens * h->branch->dim, dim = model_embed_dim(b->model);
    TRY(arena_new(&h->drop_pooled, b->arena, b->batch * dim));
    TRY(arena_new(&h->drop_mlp, b->arena, b->batch * dim));
    for (int64_t i = 0; i < b->batch; i++) {
        const int64_t from = (b->batch - 1 - i + step) % b->batch;
        Rng rng = rng_stream(1, "bench.dropout", i, (uint32_t)step);
        memcpy(h->tokens + i * each, b->cache[m] + from * each, sizeof(real) * (size_t)each);
        dropout_draw(h->drop_pooled + i * dim, dim, 0.1, &rng);
        dropout_draw(h->drop_mlp + i * dim, dim, 0.1, &rng);
    }
    return OK;
}

static Status heads_pass(double *loss, const Bench *b, int64_t replica, int64_t step)
{
    static const bool trained[N_MODALITIES] = {false, false};
    const GradientHook hook = {say_ready, b->optimizer};
    AlignPass p;
    ClipTrace clip;
    real *d_out[N_MODALITIES];
    TRY(model_prepare(b->model, b->arena));
    TRY(alignpass_take(&p, b->model, trained, false, b->batch, b->arena));
    for (int m = 0; m < N_MODALITIES; m++) {
        TRY(fill_half(&p.half[m], b, m, step));
        TRY(arena_new(&d_out[m], b->arena, p.n * p.dim));
    }
    TRY(alignpass_forward(&p, b->arena));
    TRY(clip_forward(loss, &clip, p.half[MODALITY_IMAGE].out, p.half[MODALITY_SPECTRUM].out, 0, p.n, p.n, p.dim, 15.5,
                     b->arena));
    TRY(clip_backward(d_out[MODALITY_IMAGE], d_out[MODALITY_SPECTRUM], NULL, &clip, b->arena));
    return alignpass_backward(optimizer_gradient(b->optimizer, replica), &p, d_out, &hook, b->arena);
}

/* ---- steps ---- */

/* Collective. */
static Status train_step(double *loss, const Bench *b, Pass pass, int64_t step)
{
    int64_t first, last;
    StepReport report;
    optimizer_replicas(&first, &last, b->optimizer);
    for (int64_t k = first; k < last; k++) {
        const Mark mark = arena_mark(b->arena);
        TRY(pass(loss, b, k, step));
        optimizer_collect(b->optimizer, k);
        arena_reset(b->arena, mark);
    }
    return optimizer_step(&report, b->optimizer, 1e-5, 0.1, NULL, NULL, step + 1);
}

static double processor_time(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Collective. */
static Status measure(Bench *b, Pass pass, int64_t steps)
{
    for (int64_t k = 0; k <= steps; k++) {
        double loss = 0;
        par_barrier(b->par);
        const double since = clock_now(), busy = processor_time();
        TRY(par_agree(b->par, train_step(&loss, b, pass, k)));
        double t[2] = {clock_now() - since, processor_time() - busy};
        par_max_f64(b->par, t, 2);
        if (k > 0 && b->par->rank == 0) printf("%.6f %.6f\n", t[0], t[1]);
    }
    return OK;
}

static Status run(const char *what, const char *precision, int64_t steps, int64_t replicas, const Par *par, Arena *a)
{
    const bool heads = strcmp(what, "heads") == 0;
    Bench b = {.par = par, .batch = (heads ? PAIRS : SPECTRA) / replicas, .arena = a};
    const OptimizerConfig c = {.adam = {0, 0, 0.9, 0.95, 1e-8}, .max_norm = 1, .n_replicas = replicas, .sharded = true};
    Status st = gemm_choose("auto", 1);
    if (st == OK) st = gemm_precision(precision);
    if (st == OK) st = build(&b, heads);
    if (st == OK) st = heads ? make_tokens(&b) : make_spectra(&b);
    TRY(par_agree(par, st));
    TRY(optimizer_open(&b.optimizer, model_params(b.model), &c, par, a));
    st = measure(&b, heads ? heads_pass : spectrum_pass, steps);
    optimizer_close(b.optimizer);
    return st;
}

int main(int argc, char **argv)
{
    Par par;
    Arena a = {0};
    if (par_launched()) {
        if (par_init(&par, &argc, &argv) != OK) return par_finish(&par, E_CONFIG);
    } else {
        par_serial(&par);
    }
    const int64_t steps = argc > 3 ? atoll(argv[3]) : 0, replicas = argc > 4 ? atoll(argv[4]) : 1;
    Status st = par_agree(&par, arena_init(&a, "bench", 0));
    if (st == OK && steps > 0 && replicas > 0)
        st = run(argv[1], argv[2], steps, replicas, &par, &a);
    else if (st == OK)
        st = FAIL(E_CONFIG, "bench_train spectrum|heads f32|bf16 steps [replicas]");
    arena_free(&a);
    return par_finish(&par, st);
}
