/* train.c - the time of a training step at full size: SpecFormer on 8 masked spectra, both heads on the tokens of 256
   pairs, or a ViT-L student and its teacher on 2 whole and 8 local crops of 2 images, with the optimiser's part, as the stages
   train_spectrum, align and train_image do it. train.py puts PyTorch beside it.

   bench_train spectrum|heads|image f32|bf16 steps [replicas]: of each step, one per line, the seconds, the seconds of processor
   time and the most memory so far in bytes, each of the rank that took most. The batch is divided among the replicas, and these
   among the ranks. The first step of a process is not counted. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "core/clock.h"
#include "model/clip.h"
#include "model/dino.h"
#include "model/vit.h"
#include "nn/gemm.h"
#include "train/alignpass.h"
#include "train/maskedbatch.h"
#include "train/optimizer.h"

enum { SPECTRA = 8, PAIRS = 256, IMAGES = 2, FIELD = 152 };

typedef struct {
    const Par *par;
    Model *model;
    Params *params; /* of the model, or of encoder and head */
    Dino dino;
    const CropsConfig *crops;
    double *offset; /* (prototypes) of the teacher's balance: none */
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
    b->params = model_params(b->model);
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

/* ---- self-distillation ---- */

static Status build_distill(Bench *b)
{
    static const VitConfig config = {144, 12, 1024, 24, 16, 4};
    static const DinoHeadConfig head = {1024, 2048, 256, 65536};
    static const CropsConfig crops = {FIELD, 144, 60, 8, {0, 0.9}, 0.5};
    static const char prefix[] = "image_encoder.backbone.";
    Vit *vit;
    TRY(arena_new(&vit, b->arena, 1));
    TRY(arena_new(&b->params, b->arena, 1));
    TRY(params_init(b->params, vit_n_params(&config) + DINOHEAD_PARAMS, b->arena));
    TRY(vit_declare(vit, &config, b->params, prefix, b->arena));
    TRY(dinohead_declare(&b->dino.head, &head, b->params, "dino_head."));
    TRY(params_allocate(b->params));
    vit_init(vit, b->params, 1);
    dinohead_init(&b->dino.head, b->params, 1);
    b->dino.vit = vit;
    b->dino.losses = (DinoLosses){0.1, 1, 1, 0.1};
    b->crops = &crops;
    return arena_new(&b->offset, b->arena, head.prototypes);
}

static Status draw_images(DinoBatch *batch, const Bench *b, int64_t replica, int64_t step)
{
    const PatchMaskConfig masks = {12, 0.5, 0.1, 0.5};
    float *pixels;
    Rng rng = rng_stream(1, "bench.masks", replica, (uint32_t)step);
    TRY(dino_batch(batch, b->crops, b->batch, b->arena));
    TRY(patchmask_draw(&batch->masks, &masks, CROPS_GLOBAL * b->batch, &rng, b->arena));
    TRY(arena_new(&pixels, b->arena, CROPS_BANDS * FIELD * FIELD));
    for (int64_t i = 0; i < b->batch; i++) {
        rng = rng_stream(1, "bench.crops", replica * b->batch + i, (uint32_t)step);
        for (int64_t k = 0; k < CROPS_BANDS * FIELD * FIELD; k++) pixels[k] = 0.02f * (float)noise(&rng);
        TRY(crops_draw(batch->global, batch->local, b->crops, pixels, FIELD, i, b->batch, &rng, b->arena));
    }
    return OK;
}

/* One replica: the teacher is not in the way of others' gradients. */
static Status image_pass(double *loss, const Bench *b, int64_t replica, int64_t step)
{
    const GradientHook hook = {say_ready, b->optimizer};
    const DinoPass how = {.hook = &hook};
    const DinoTargets targets = {0.04, {b->offset, b->offset}};
    DinoBatch batch;
    DinoTeacher teacher;
    DinoTerms terms;
    TRY(draw_images(&batch, b, replica, step));
    TRY(optimizer_swap_average(b->optimizer));
    TRY(dino_teach(&teacher, &b->dino, &batch, b->arena));
    TRY(optimizer_swap_average(b->optimizer));
    TRY(dino_learn(&terms, optimizer_gradient(b->optimizer, replica), &b->dino, &batch, &teacher, &targets, &how,
                   b->arena));
    *loss = terms.local + terms.global + terms.koleo + terms.ibot;
    return OK;
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

static double most_memory(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return 1024 * (double)usage.ru_maxrss;
}

/* Collective. */
static Status measure(Bench *b, Pass pass, int64_t steps)
{
    for (int64_t k = 0; k <= steps; k++) {
        double loss = 0;
        par_barrier(b->par);
        const double since = clock_now(), busy = processor_time();
        TRY(par_agree(b->par, train_step(&loss, b, pass, k)));
        double t[3] = {clock_now() - since, processor_time() - busy, most_memory()};
        par_max_f64(b->par, t, 3);
        if (k > 0 && b->par->rank == 0) printf("%.6f %.6f %.0f\n", t[0], t[1], t[2]);
    }
    return OK;
}

static Status run(const char *what, const char *precision, int64_t steps, int64_t replicas, const Par *par, Arena *a)
{
    const bool heads = strcmp(what, "heads") == 0, image = strcmp(what, "image") == 0;
    Bench b = {.par = par, .batch = (image ? IMAGES : heads ? PAIRS : SPECTRA) / replicas, .arena = a};
    const OptimizerConfig c = {.adam = {0, 0, 0.9, 0.95, 1e-8},
                               .max_norm = 1,
                               .ema = image ? 0.992 : 0,
                               .n_replicas = replicas,
                               .sharded = true};
    if (image && replicas > 1) return FAIL(E_CONFIG, "bench_train image: one replica");
    Status st = gemm_choose("auto", 1);
    if (st == OK) st = gemm_precision(precision);
    if (st == OK) st = image ? build_distill(&b) : build(&b, heads);
    if (st == OK && !image) st = heads ? make_tokens(&b) : make_spectra(&b);
    TRY(par_agree(par, st));
    TRY(optimizer_open(&b.optimizer, b.params, &c, par, a));
    st = measure(&b, image ? image_pass : heads ? heads_pass : spectrum_pass, steps);
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
        st = FAIL(E_CONFIG, "bench_train spectrum|heads|image f32|bf16 steps [replicas]");
    arena_free(&a);
    return par_finish(&par, st);
}
