/* supervised.c - resnet18 and conv_att as objectives of the trainer: read a replica's samples, forward, loss, backward. */
#include "train/supervised.h"

#include <math.h>
#include <string.h>

#include "core/clock.h"
#include "model/conv_att.h"
#include "model/flipblur.h"
#include "model/prepare_image.h"
#include "model/resnet.h"
#include "nn/init.h"
#include "train/moments.h"

/* One row per network: from its samples to gradients, from one sample to numbers. */
typedef struct {
    const char *name;
    Modality modality;
    Status (*declare)(Supervised *s, uint64_t seed, Arena *a);
    /* Of replica first + k. */
    Status (*train)(double *loss, Supervised *s, real *d_p, const StepBatch *b, int64_t k);
    Status (*predict)(real *out, const Supervised *s, int64_t entry, Arena *a);
} Network;

struct Supervised {
    SupervisedConfig config;
    const Network *network;
    Params params;
    Resnet resnet;
    ConvAtt conv_att;
    Dataset *dataset;
    const Targets *targets;
    const Sample *train;
    int64_t n_train;
    bool stale; /* the running moments are of other weights */
};

static int64_t entry_of(const Supervised *s, const Sample *sample)
{
    return s->network->modality == MODALITY_IMAGE ? sample->image : sample->spectrum;
}

/* ---- the loss ---- */

static int64_t count_labels(const Supervised *s, const Sample *sample, int64_t n)
{
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < s->targets->n_out; k++)
            count += !isnan(s->targets->y[entry_of(s, &sample[i]) * s->targets->n_out + k]);
    return count;
}

/* Squares of one sample's known labels; d_out (n_out) unless NULL: the gradient of squares / count. */
static double squares_of(real *d_out, const Supervised *s, const real *out, int64_t entry, int64_t count)
{
    const int64_t n_out = s->targets->n_out;
    double sum = 0;
    for (int64_t k = 0; k < n_out; k++) {
        const float want = s->targets->y[entry * n_out + k];
        const double off = isnan(want) ? 0 : (double)out[k] - (double)want;
        if (d_out) d_out[k] = (real)(2 * off / (double)count);
        sum += off * off;
    }
    return sum;
}

/* ---- images ---- */

/* x (3, size, size) as the image encoder sees it. */
static Status read_image(real *x, const Supervised *s, int64_t entry, Arena *a)
{
    const int64_t size = s->config.image_size;
    const Mark mark = arena_mark(a);
    float *pixels;
    TRY(arena_new(&pixels, a, IMAGE_NUMBERS));
    TRY(dataset_image(pixels, s->dataset, entry));
    TRY(prepare_image(x, pixels, CUTOUT_PIXELS, size));
    arena_reset(a, mark);
    return OK;
}

static Status read_images(real **x, const Supervised *s, const Sample *sample, int64_t n, Arena *a)
{
    const int64_t each = RESNET_PLANES * s->config.image_size * s->config.image_size;
    TRY(arena_new(x, a, n * each));
    for (int64_t i = 0; i < n; i++) {
        clock_tick();
        TRY(read_image(*x + i * each, s, sample[i].image, a));
    }
    return OK;
}

static Status declare_resnet18(Supervised *s, uint64_t seed, Arena *a)
{
    ResnetConfig c = {.width = s->config.width, .size = s->config.image_size, .n_out = s->targets->n_out};
    resnet_shape(&c, RESNET18);
    TRY(params_init(&s->params, resnet_n_params(&c), a));
    TRY(resnet_declare(&s->resnet, &c, &s->params, "resnet18.", a));
    TRY(params_allocate(&s->params));
    resnet_freeze(&s->resnet);
    resnet_init(&s->resnet, seed);
    const Conv *stem = &s->resnet.unit[0].conv; /* the released script made it anew: with PyTorch's first values */
    init_uniform(&s->params, s->resnet.unit[0].kernel, 1 / sqrt((double)(stem->c_in * stem->kernel_h * stem->kernel_w)),
                 seed);
    return OK;
}

static Status train_resnet18(double *loss, Supervised *s, real *d_p, const StepBatch *b, int64_t k)
{
    const Sample *sample = b->sample + k * b->batch;
    const int64_t n_out = s->targets->n_out, count = count_labels(s, sample, b->batch);
    Rng rng = rng_stream(b->seed, "baselines.augment", b->first + k, (uint32_t)b->step);
    const FlipBlur augment = flipblur_draw(&rng);
    ResnetTrace trace;
    real *x, *out, *d_out;
    double squares = 0;
    TRY(arena_new(&out, b->arena, b->batch * n_out));
    TRY(arena_new(&d_out, b->arena, b->batch * n_out));
    TRY(read_images(&x, s, sample, b->batch, b->arena));
    TRY(flipblur_apply(x, &augment, b->batch * RESNET_PLANES, s->config.image_size, b->arena));
    TRY(resnet_forward_train(out, &trace, &s->resnet, x, b->batch, b->arena));
    for (int64_t i = 0; i < b->batch; i++)
        squares += squares_of(d_out + i * n_out, s, out + i * n_out, sample[i].image, count);
    clock_tick();
    *loss = squares / (double)count;
    return resnet_backward(d_p, &trace, &s->resnet, d_out, b->arena);
}

static Status predict_resnet18(real *out, const Supervised *s, int64_t entry, Arena *a)
{
    real *x;
    TRY(read_images(&x, s, &(Sample){.image = entry}, 1, a));
    return resnet_predict(out, &s->resnet, x, 1, a);
}

static Status moment_image(real *x, void *self, int64_t i, Arena *scratch)
{
    const Supervised *s = self;
    return read_image(x, s, s->train[i].image, scratch);
}

/* ---- spectra ---- */

static Status read_flux(real **x, const Supervised *s, int64_t entry, Arena *a)
{
    TRY(arena_new(x, a, GRID_PIXELS));
    clock_tick();
    return dataset_spectrum(*x, s->dataset, entry);
}

static Status declare_conv_att(Supervised *s, uint64_t seed, Arena *a)
{
    TRY(params_init(&s->params, CONV_ATT_PARAMS, a));
    TRY(conv_att_declare(&s->conv_att, &(ConvAttConfig){GRID_PIXELS, s->targets->n_out}, &s->params, "conv_att."));
    TRY(params_allocate(&s->params));
    conv_att_init(&s->conv_att, seed);
    return OK;
}

static Status train_conv_att(double *loss, Supervised *s, real *d_p, const StepBatch *b, int64_t k)
{
    const Sample *sample = b->sample + k * b->batch;
    const int64_t count = count_labels(s, sample, b->batch);
    double squares = 0;
    for (int64_t i = 0; i < b->batch; i++) {
        const Mark mark = arena_mark(b->arena);
        ConvAttTrace trace;
        real *x, *out, *d_out;
        TRY(arena_new(&out, b->arena, s->targets->n_out));
        TRY(arena_new(&d_out, b->arena, s->targets->n_out));
        TRY(read_flux(&x, s, sample[i].spectrum, b->arena));
        TRY(conv_att_forward(out, &trace, &s->conv_att, x, b->arena));
        squares += squares_of(d_out, s, out, sample[i].spectrum, count);
        TRY(conv_att_backward(d_p, &trace, &s->conv_att, d_out, b->arena));
        arena_reset(b->arena, mark);
    }
    *loss = squares / (double)count;
    return OK;
}

static Status predict_conv_att(real *out, const Supervised *s, int64_t entry, Arena *a)
{
    ConvAttTrace trace;
    real *x;
    TRY(read_flux(&x, s, entry, a));
    return conv_att_forward(out, &trace, &s->conv_att, x, a);
}

/* ---- both ---- */

static const Network networks[] = {
    {"resnet18", MODALITY_IMAGE, declare_resnet18, train_resnet18, predict_resnet18},
    {"conv_att", MODALITY_SPECTRUM, declare_conv_att, train_conv_att, predict_conv_att},
};

static const Network *find_network(const char *name)
{
    for (size_t i = 0; i < sizeof networks / sizeof *networks; i++)
        if (strcmp(networks[i].name, name) == 0) return &networks[i];
    return NULL;
}

bool supervised_modality(Modality *m, const char *network)
{
    const Network *n = find_network(network);
    if (n) *m = n->modality;
    return n != NULL;
}

static Status step(double *loss, void *self, const StepBatch *b)
{
    Supervised *s = self;
    for (int64_t k = 0; k < b->n_mine; k++) {
        const Mark mark = arena_mark(b->arena);
        TRY(s->network->train(&loss[k], s, optimizer_gradient(b->optimizer, b->first + k), b, k));
        optimizer_collect(b->optimizer, b->first + k);
        arena_reset(b->arena, mark);
    }
    return OK;
}

Status supervised_settle(Supervised *s, Arena *scratch)
{
    if (s->stale && s->network->modality == MODALITY_IMAGE)
        TRY(moments_take(&s->resnet, moment_image, s, s->n_train, scratch));
    s->stale = false;
    return OK;
}

static Status validate(double *loss, void *self, const Sample *sample, int64_t n, uint64_t seed, Arena *a)
{
    Supervised *s = self;
    const int64_t count = count_labels(s, sample, n);
    double squares = 0;
    real *out;
    (void)seed;
    TRY(supervised_settle(s, a));
    TRY(arena_new(&out, a, s->targets->n_out));
    for (int64_t i = 0; i < n; i++) {
        const Mark mark = arena_mark(a);
        TRY(s->network->predict(out, s, entry_of(s, &sample[i]), a));
        squares += squares_of(NULL, s, out, entry_of(s, &sample[i]), count);
        arena_reset(a, mark);
    }
    *loss = squares / (double)count;
    return OK;
}

static Status refresh(void *self)
{
    ((Supervised *)self)->stale = true;
    return OK;
}

Status supervised_open(Supervised **out, const SupervisedConfig *c, Dataset *d, const Targets *t, const Sample *train,
                       int64_t n_train, uint64_t seed, Arena *a)
{
    Supervised *s;
    const Network *network = find_network(c->network);
    if (!network) return FAIL(E_CONFIG, "there is no supervised network '%s'", c->network);
    TRY(arena_new(&s, a, 1));
    *s = (Supervised){.config = *c,
                      .network = network,
                      .dataset = d,
                      .targets = t,
                      .train = train,
                      .n_train = n_train,
                      .stale = true};
    TRY(network->declare(s, seed, a));
    *out = s;
    return OK;
}

Params *supervised_params(Supervised *s) { return &s->params; }

void supervised_objective(Objective *out, Supervised *s)
{
    *out = (Objective){.name = s->network->name,
                       .needs = s->network->modality == MODALITY_IMAGE ? SAMPLES_IMAGES : SAMPLES_SPECTRA,
                       .self = s,
                       .step = step,
                       .validate = validate,
                       .refresh = refresh};
}

Status supervised_predict(float *value, Supervised *s, int64_t entry, Arena *scratch)
{
    const Mark mark = arena_mark(scratch);
    real *out;
    TRY(supervised_settle(s, scratch));
    TRY(arena_new(&out, scratch, s->targets->n_out));
    TRY(s->network->predict(out, s, entry, scratch));
    targets_undo(value, s->targets, out);
    arena_reset(scratch, mark);
    return OK;
}
