/* resnet.c - a stem, residual blocks of two or three units each, a mean over positions, one or two linear layers. A unit is
   a convolution and its batch norm. Maps have their channels last (nn/conv.h). */
#include "model/resnet.h"

#include <stdio.h>
#include <string.h>

#include "nn/channelnorm.h"
#include "nn/init.h"
#include "nn/linear.h"
#include "nn/maxpool.h"
#include "nn/relu.h"

static const real eps = (real)1e-5;

enum { SMALLEST = 32 }; /* pixels: after five halvings one position is left */

const char *const resnet_names[] = {"resnet18", "resnet34", "resnet50", "resnet101", "resnet152", NULL};

void resnet_shape(ResnetConfig *c, ResnetName which)
{
    static const int64_t blocks[][RESNET_LAYERS] = {
        {2, 2, 2, 2}, {3, 4, 6, 3}, {3, 4, 6, 3}, {3, 4, 23, 3}, {3, 8, 36, 3}};
    memcpy(c->blocks, blocks[which], sizeof c->blocks);
    c->bottleneck = which >= RESNET50;
}

static int64_t unit_rows(const ResnetUnit *u) { return conv_height(&u->conv) * conv_width(&u->conv); }
static int64_t unit_reals(const ResnetUnit *u) { return unit_rows(u) * u->conv.c_out; }

/* The unit that a block's sum is taken behind. */
static int64_t last_of(const ResnetBlock *b) { return b->first + b->n_units - 1; }
static int64_t shortcut_of(const ResnetBlock *b) { return b->first + b->n_units; }

/* ---- declaration ---- */

static Status declare_unit(Resnet *m, const char *prefix, const char *conv, const char *norm, Conv shape)
{
    char name[PARAM_NAME];
    const int64_t c = shape.c_out;
    Params *p = m->params;
    ResnetUnit *u = &m->unit[m->n_units++];
    u->conv = shape;
    snprintf(name, sizeof name, "%s.weight", conv);
    TRY(params_declare(&u->kernel, p, prefix, name, 4,
                       (const int64_t[]){c, shape.c_in, shape.kernel_h, shape.kernel_w}));
    const char *const last[] = {"weight", "bias", "running_mean", "running_var"};
    int64_t *const index[] = {&u->weight, &u->bias, &u->mean, &u->var};
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "%s.%s", norm, last[i]);
        TRY(params_declare(index[i], p, prefix, name, 1, &c));
    }
    return OK;
}

/* Square kernels on square maps. */
static Conv square(int64_t size, int64_t c_in, int64_t c_out, int64_t kernel, int64_t stride)
{
    return (Conv){size, size, c_in, c_out, kernel, kernel, kernel / 2, kernel / 2, stride};
}

static MaxPool pool_of(const Resnet *m)
{
    const Conv *c = &m->unit[0].conv;
    return (MaxPool){conv_height(c), conv_width(c), c->c_out, 3, 3, 1, 1, 2};
}

/* The 3 x 3 kernel of a bottleneck has the stride. */
static Status declare_block(Resnet *m, const char *prefix, int64_t size, int64_t c_in, int64_t width, int64_t stride)
{
    const bool bottleneck = m->config.bottleneck;
    const int64_t c_out = bottleneck ? RESNET_WIDER * width : width;
    const Conv first = bottleneck ? square(size, c_in, width, 1, 1) : square(size, c_in, width, 3, stride);
    const Conv second = square(conv_height(&first), width, width, 3, bottleneck ? stride : 1);
    const Conv shape[RESNET_UNITS] = {first, second, square(conv_height(&second), width, c_out, 1, 1)};
    ResnetBlock *b = &m->block[m->n_blocks++];
    *b = (ResnetBlock){m->n_units, bottleneck ? 3 : 2, stride != 1 || c_in != c_out};
    for (int i = 0; i < b->n_units; i++) {
        char conv[16], norm[16];
        snprintf(conv, sizeof conv, "conv%d", i + 1);
        snprintf(norm, sizeof norm, "bn%d", i + 1);
        TRY(declare_unit(m, prefix, conv, norm, shape[i]));
    }
    if (!b->shortens) return OK;
    return declare_unit(m, prefix, "downsample.0", "downsample.1", square(size, c_in, c_out, 1, stride));
}

static Status declare_blocks(Resnet *m, const char *prefix)
{
    const ResnetConfig *c = &m->config;
    const MaxPool pool = pool_of(m);
    int64_t size = maxpool_height(&pool);
    m->n_features = c->width;
    for (int layer = 0; layer < RESNET_LAYERS; layer++)
        for (int64_t i = 0; i < c->blocks[layer]; i++) {
            char text[PARAM_NAME];
            snprintf(text, sizeof text, "%slayer%d.%lld.", prefix, layer + 1, (long long)i);
            TRY(declare_block(m, text, size, m->n_features, c->width << layer, layer > 0 && i == 0 ? 2 : 1));
            const Conv *last = &m->unit[last_of(&m->block[m->n_blocks - 1])].conv;
            size = conv_height(last);
            m->n_features = last->c_out;
        }
    return OK;
}

/* A linear layer of fc: at = 1 is the last. */
static Status declare_fc(Resnet *m, const char *prefix, int at, const char *name, int64_t n_out)
{
    char text[PARAM_NAME];
    snprintf(text, sizeof text, "%s.weight", name);
    TRY(params_declare(&m->fc_weight[at], m->params, prefix, text, 2, (const int64_t[]){n_out, m->n_features}));
    snprintf(text, sizeof text, "%s.bias", name);
    return params_declare(&m->fc_bias[at], m->params, prefix, text, 1, &n_out);
}

static int64_t count_blocks(const ResnetConfig *c)
{
    int64_t n = 0;
    for (int layer = 0; layer < RESNET_LAYERS; layer++) n += c->blocks[layer];
    return n;
}

/* Each layer begins with a shortcut of its own, but for the first of basic blocks. */
static int64_t count_units(const ResnetConfig *c)
{
    return 1 + count_blocks(c) * (c->bottleneck ? 3 : 2) + (c->bottleneck ? RESNET_LAYERS : RESNET_LAYERS - 1);
}

int64_t resnet_n_params(const ResnetConfig *c) { return 5 * count_units(c) + (c->mlp ? 4 : 2); }

Status resnet_declare(Resnet *m, const ResnetConfig *c, Params *p, const char *prefix, Arena *a)
{
    *m = (Resnet){.config = *c, .params = p};
    if (c->size < SMALLEST)
        return FAIL(E_CONFIG, "a residual network halves an image five times: %lld pixels are too few, %d is the least",
                    (long long)c->size, SMALLEST);
    TRY(arena_new(&m->unit, a, count_units(c)));
    TRY(arena_new(&m->block, a, count_blocks(c)));
    TRY(declare_unit(m, prefix, "conv1", "bn1", square(c->size, RESNET_PLANES, c->width, 7, 2)));
    TRY(declare_blocks(m, prefix));
    MUST(m->n_units == count_units(c));
    if (c->mlp) TRY(declare_fc(m, prefix, 0, "fc.0", m->n_features));
    return declare_fc(m, prefix, 1, c->mlp ? "fc.2" : "fc", c->n_out);
}

void resnet_freeze(const Resnet *m)
{
    for (int64_t i = 0; i < m->n_units; i++) {
        params_freeze(m->params, m->params->param[m->unit[i].mean].name);
        params_freeze(m->params, m->params->param[m->unit[i].var].name);
    }
}

void resnet_init(const Resnet *m, uint64_t seed)
{
    Params *p = m->params;
    const double bound = 1 / sqrt((double)m->n_features);
    for (int64_t i = 0; i < m->n_units; i++) {
        const ResnetUnit *u = &m->unit[i];
        const double kernel = (double)(u->conv.kernel_h * u->conv.kernel_w);
        init_normal(p, u->kernel, sqrt(2 / (kernel * (double)u->conv.c_out)), seed);
        init_constant(p, u->weight, 1);
        init_constant(p, u->bias, 0);
        init_constant(p, u->mean, 0);
        init_constant(p, u->var, 1);
    }
    for (int i = m->config.mlp ? 0 : 1; i < 2; i++) {
        init_uniform(p, m->fc_weight[i], bound, seed);
        init_uniform(p, m->fc_bias[i], bound, seed);
    }
}

/* (n, size, size, 3) of planes (n, 3, size, size). */
static void channels_last(real *out, const real *images, int64_t n, int64_t pixels)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < pixels; k++)
            for (int64_t c = 0; c < RESNET_PLANES; c++) *out++ = images[(i * RESNET_PLANES + c) * pixels + k];
}

/* out (n, n_out) of features; hidden (n, n_features) is used with mlp. */
static void fc_forward(real *out, real *hidden, const Resnet *m, const real *features, int64_t n)
{
    const Params *p = m->params;
    if (m->config.mlp) {
        linear_forward(hidden, features, params_at(p, m->fc_weight[0]), params_at(p, m->fc_bias[0]), n, m->n_features,
                       m->n_features);
        relu_forward(hidden, n * m->n_features);
        features = hidden;
    }
    linear_forward(out, features, params_at(p, m->fc_weight[1]), params_at(p, m->fc_bias[1]), n, m->config.n_out,
                   m->n_features);
}

/* ---- prediction ---- */

/* *y (rows, c_out) of one map, new in the arena. */
static Status predict_unit(real **y, const Resnet *m, const ResnetUnit *u, const real *x, Arena *step)
{
    const Params *p = m->params;
    TRY(arena_new(y, step, unit_reals(u)));
    TRY(conv_forward(*y, &u->conv, x, params_at(p, u->kernel), NULL, 1, step));
    channelnorm_apply(*y, params_at(p, u->mean), params_at(p, u->var), *y, params_at(p, u->weight),
                      params_at(p, u->bias), unit_rows(u), u->conv.c_out, eps);
    return OK;
}

/* *x is replaced by what leaves the block. */
static Status predict_block(real **x, const Resnet *m, const ResnetBlock *b, Arena *step)
{
    const int64_t n = unit_reals(&m->unit[last_of(b)]);
    real *y = *x, *shortcut = *x;
    for (int64_t i = b->first; i <= last_of(b); i++) {
        TRY(predict_unit(&y, m, &m->unit[i], y, step));
        if (i < last_of(b)) relu_forward(y, unit_reals(&m->unit[i]));
    }
    if (b->shortens) TRY(predict_unit(&shortcut, m, &m->unit[shortcut_of(b)], *x, step));
    for (int64_t i = 0; i < n; i++) y[i] += shortcut[i];
    relu_forward(y, n);
    *x = y;
    return OK;
}

static Status predict_image(real *features, const Resnet *m, const real *image, Arena *step)
{
    const int64_t pixels = m->config.size * m->config.size;
    const MaxPool pool = pool_of(m);
    const ResnetUnit *last = &m->unit[last_of(&m->block[m->n_blocks - 1])];
    real *x, *edges, *y;
    TRY(arena_new(&x, step, RESNET_PLANES * pixels));
    TRY(arena_new(&y, step, maxpool_height(&pool) * maxpool_width(&pool) * pool.channels));
    channels_last(x, image, 1, pixels);
    TRY(predict_unit(&edges, m, &m->unit[0], x, step));
    relu_forward(edges, unit_reals(&m->unit[0]));
    maxpool_forward(y, NULL, &pool, edges, 1);
    for (int64_t i = 0; i < m->n_blocks; i++) TRY(predict_block(&y, m, &m->block[i], step));
    meanpool_forward(features, y, 1, unit_rows(last), m->n_features);
    return OK;
}

Status resnet_features(real *out, const Resnet *m, const real *images, int64_t n, Arena *step)
{
    const int64_t each = RESNET_PLANES * m->config.size * m->config.size;
    for (int64_t i = 0; i < n; i++) {
        const Mark mark = arena_mark(step);
        TRY(predict_image(out + i * m->n_features, m, images + i * each, step));
        arena_reset(step, mark);
    }
    return OK;
}

Status resnet_predict(real *out, const Resnet *m, const real *images, int64_t n, Arena *step)
{
    const Mark mark = arena_mark(step);
    real *features, *hidden;
    TRY(arena_new(&features, step, n * m->n_features));
    TRY(arena_new(&hidden, step, m->n_features));
    TRY(resnet_features(features, m, images, n, step));
    for (int64_t i = 0; i < n;
         i++) /* the bits of a row may depend on its place in a panel (nn/gemm.h): each is the first */
        fc_forward(out + i * m->config.n_out, hidden, m, features + i * m->n_features, 1);
    arena_reset(step, mark);
    return OK;
}

/* ---- training ---- */

/* t->out of n maps, new in the step's arena. */
static Status train_unit(ResnetUnitTrace *t, const Resnet *m, const ResnetUnit *u, const real *x, int64_t n,
                         Arena *step)
{
    const Params *p = m->params;
    const int64_t rows = n * unit_rows(u), c = u->conv.c_out;
    t->x = x;
    TRY(arena_new(&t->y, step, rows * c));
    TRY(arena_new(&t->mean, step, c));
    TRY(arena_new(&t->var, step, c));
    TRY(arena_new(&t->out, step, rows * c));
    TRY(conv_forward(t->y, &u->conv, x, params_at(p, u->kernel), NULL, n, step));
    channelnorm_moments(t->mean, t->var, t->y, rows, c);
    channelnorm_apply(t->out, t->mean, t->var, t->y, params_at(p, u->weight), params_at(p, u->bias), rows, c, eps);
    return OK;
}

static Status train_block(ResnetTrace *t, const Resnet *m, const ResnetBlock *b, const real *x, Arena *step)
{
    const int64_t reals = t->n * unit_reals(&m->unit[last_of(b)]);
    const real *y = x, *shortcut = x;
    for (int64_t i = b->first; i <= last_of(b); i++) {
        TRY(train_unit(&t->unit[i], m, &m->unit[i], y, t->n, step));
        if (i < last_of(b)) relu_forward(t->unit[i].out, t->n * unit_reals(&m->unit[i]));
        y = t->unit[i].out;
    }
    if (b->shortens) {
        ResnetUnitTrace *own = &t->unit[shortcut_of(b)];
        TRY(train_unit(own, m, &m->unit[shortcut_of(b)], x, t->n, step));
        shortcut = own->out;
    }
    real *out = t->unit[last_of(b)].out;
    for (int64_t i = 0; i < reals; i++) out[i] += shortcut[i];
    relu_forward(out, reals);
    return OK;
}

Status resnet_forward_train(real *out, ResnetTrace *t, const Resnet *m, const real *images, int64_t n, Arena *step)
{
    const int64_t pixels = m->config.size * m->config.size;
    const MaxPool pool = pool_of(m);
    const int64_t pooled = n * maxpool_height(&pool) * maxpool_width(&pool) * pool.channels;
    real *x;
    *t = (ResnetTrace){.n = n};
    TRY(arena_new(&t->unit, step, m->n_units));
    TRY(arena_new(&x, step, n * RESNET_PLANES * pixels));
    TRY(arena_new(&t->pooled, step, pooled));
    TRY(arena_new(&t->from, step, pooled));
    TRY(arena_new(&t->features, step, n * m->n_features));
    if (m->config.mlp) TRY(arena_new(&t->hidden, step, n * m->n_features));
    channels_last(x, images, n, pixels);
    TRY(train_unit(&t->unit[0], m, &m->unit[0], x, n, step));
    relu_forward(t->unit[0].out, n * unit_reals(&m->unit[0]));
    maxpool_forward(t->pooled, t->from, &pool, t->unit[0].out, n);
    const real *y = t->pooled;
    for (int64_t i = 0; i < m->n_blocks; i++) {
        TRY(train_block(t, m, &m->block[i], y, step));
        y = t->unit[last_of(&m->block[i])].out;
    }
    meanpool_forward(t->features, y, n, unit_rows(&m->unit[last_of(&m->block[m->n_blocks - 1])]), m->n_features);
    fc_forward(out, t->hidden, m, t->features, n);
    return OK;
}

/* d_y is that of the unit's result before its ReLU. d_x NULL = not wanted. */
static Status unit_backward(real *d_x, real *d_p, const ResnetUnitTrace *t, const Resnet *m, const ResnetUnit *u,
                            const real *d_y, int64_t n, Arena *step)
{
    const Params *p = m->params;
    const int64_t rows = n * unit_rows(u), c = u->conv.c_out;
    const Mark mark = arena_mark(step);
    real *d;
    TRY(arena_new(&d, step, rows * c));
    channelnorm_backward(d, params_d_at(p, d_p, u->weight), params_d_at(p, d_p, u->bias), d_y, t->mean, t->var, t->y,
                         params_at(p, u->weight), rows, c, eps);
    TRY(conv_backward(d_x, params_d_at(p, d_p, u->kernel), NULL, &u->conv, d, t->x, params_at(p, u->kernel), n, step));
    arena_reset(step, mark);
    return OK;
}

/* Adds to d_x; d_out is used up. */
static Status block_backward_maps(real *d_x, real *d_p, const ResnetTrace *t, const Resnet *m, const ResnetBlock *b,
                                  real *d_out, Arena *step)
{
    const int64_t reals = t->n * unit_reals(&m->unit[last_of(b)]);
    const Mark mark = arena_mark(step);
    real *d = d_out;
    relu_backward(d_out, t->unit[last_of(b)].out, reals);
    if (b->shortens)
        TRY(unit_backward(d_x, d_p, &t->unit[shortcut_of(b)], m, &m->unit[shortcut_of(b)], d_out, t->n, step));
    else
        for (int64_t i = 0; i < reals; i++) d_x[i] += d_out[i];
    for (int64_t i = last_of(b); i >= b->first; i--) {
        const int64_t before = i > b->first ? t->n * unit_reals(&m->unit[i - 1]) : 0;
        real *d_in = d_x;
        if (i > b->first) TRY(arena_new(&d_in, step, before));
        TRY(unit_backward(d_in, d_p, &t->unit[i], m, &m->unit[i], d, t->n, step));
        if (i > b->first) relu_backward(d_in, t->unit[i - 1].out, before);
        d = d_in;
    }
    arena_reset(step, mark);
    return OK;
}

static Status fc_backward(real *d_features, real *d_p, const ResnetTrace *t, const Resnet *m, const real *d_out,
                          Arena *step)
{
    const Params *p = m->params;
    const int64_t n = t->n, width = m->n_features;
    real *d_hidden = d_features;
    if (m->config.mlp) TRY(arena_new(&d_hidden, step, n * width));
    linear_backward(d_hidden, params_d_at(p, d_p, m->fc_weight[1]), params_d_at(p, d_p, m->fc_bias[1]), d_out,
                    m->config.mlp ? t->hidden : t->features, params_at(p, m->fc_weight[1]), n, m->config.n_out, width);
    if (!m->config.mlp) return OK;
    relu_backward(d_hidden, t->hidden, n * width);
    linear_backward(d_features, params_d_at(p, d_p, m->fc_weight[0]), params_d_at(p, d_p, m->fc_bias[0]), d_hidden,
                    t->features, params_at(p, m->fc_weight[0]), n, width, width);
    return OK;
}

Status resnet_backward(real *d_p, const ResnetTrace *t, const Resnet *m, const real *d_out, Arena *step)
{
    const int64_t n = t->n, edges = n * unit_reals(&m->unit[0]);
    const MaxPool pool = pool_of(m);
    const ResnetUnit *last = &m->unit[last_of(&m->block[m->n_blocks - 1])];
    const Mark mark = arena_mark(step);
    real *d_features, *d, *d_edges;
    TRY(arena_new(&d_features, step, n * m->n_features));
    TRY(arena_new(&d, step, n * unit_reals(last)));
    TRY(fc_backward(d_features, d_p, t, m, d_out, step));
    meanpool_backward(d, d_features, n, unit_rows(last), m->n_features);
    for (int64_t i = m->n_blocks - 1; i >= 0; i--) {
        const Conv *c = &m->unit[m->block[i].first].conv;
        real *d_x;
        TRY(arena_new(&d_x, step, n * c->height * c->width * c->c_in));
        TRY(block_backward_maps(d_x, d_p, t, m, &m->block[i], d, step));
        d = d_x;
    }
    TRY(arena_new(&d_edges, step, edges));
    maxpool_backward(d_edges, &pool, d, t->from, n);
    relu_backward(d_edges, t->unit[0].out, edges);
    TRY(unit_backward(NULL, d_p, &t->unit[0], m, &m->unit[0], d_edges, n, step));
    arena_reset(step, mark);
    return OK;
}

void resnet_track(const Resnet *m, const ResnetTrace *t, double momentum)
{
    for (int64_t i = 0; i < m->n_units; i++) {
        const ResnetUnit *u = &m->unit[i];
        channelnorm_track(params_at(m->params, u->mean), params_at(m->params, u->var), t->unit[i].mean, t->unit[i].var,
                          t->n * unit_rows(u), u->conv.c_out, momentum);
    }
}

double resnet_operations(const Resnet *m)
{
    double n = 2 * (double)(m->n_features * (m->config.n_out + (m->config.mlp ? m->n_features : 0)));
    for (int64_t i = 0; i < m->n_units; i++) {
        const Conv *c = &m->unit[i].conv;
        n += 2 * (double)(unit_reals(&m->unit[i]) * c->kernel_h * c->kernel_w * c->c_in);
    }
    return n;
}

/* Each unit keeps its convolution and its result, the pool its choice; on the way back each block has the gradient of what
   it was given, the first maps are the largest. */
int64_t resnet_step_reals(const Resnet *m, int64_t n)
{
    const MaxPool pool = pool_of(m);
    const int64_t edges = unit_reals(&m->unit[0]), image = RESNET_PLANES * m->config.size * m->config.size;
    int64_t one = 2 * image + 2 * maxpool_height(&pool) * maxpool_width(&pool) * pool.channels + 3 * edges;
    for (int64_t i = 0; i < m->n_units; i++) one += 2 * unit_reals(&m->unit[i]);
    for (int64_t i = 0; i < m->n_blocks; i++) {
        const Conv *c = &m->unit[m->block[i].first].conv;
        one += c->height * c->width * c->c_in;
    }
    return n * one;
}
