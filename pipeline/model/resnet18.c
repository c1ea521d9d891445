/* resnet18.c - a stem, eight residual blocks of two units each, a mean over positions, a linear layer. A unit is a
   convolution and its batch norm. Maps have their channels last (nn/conv.h). */
#include "model/resnet18.h"

#include <stdio.h>
#include <string.h>

#include "nn/channelnorm.h"
#include "nn/init.h"
#include "nn/linear.h"
#include "nn/maxpool.h"
#include "nn/relu.h"

static const real eps = (real)1e-5;

enum { SMALLEST = 32 }; /* pixels: after five halvings one position is left */

static int64_t unit_rows(const ResnetUnit *u) { return conv_height(&u->conv) * conv_width(&u->conv); }
static int64_t unit_reals(const ResnetUnit *u) { return unit_rows(u) * u->conv.c_out; }

/* ---- declaration ---- */

static Status declare_unit(ResnetUnit *u, Params *p, const char *prefix, const char *conv, const char *norm, Conv shape)
{
    char name[PARAM_NAME];
    const int64_t c = shape.c_out;
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

static MaxPool pool_of(const Resnet18 *m)
{
    const Conv *c = &m->stem.conv;
    return (MaxPool){conv_height(c), conv_width(c), c->c_out, 3, 3, 1, 1, 2};
}

static Status declare_block(ResnetBlock *b, Params *p, const char *prefix, int64_t size, int64_t c_in, int64_t c_out,
                            int64_t stride)
{
    TRY(declare_unit(&b->first, p, prefix, "conv1", "bn1", square(size, c_in, c_out, 3, stride)));
    TRY(declare_unit(&b->second, p, prefix, "conv2", "bn2", square(conv_height(&b->first.conv), c_out, c_out, 3, 1)));
    b->shortens = stride != 1 || c_in != c_out;
    if (!b->shortens) return OK;
    return declare_unit(&b->shortcut, p, prefix, "downsample.0", "downsample.1", square(size, c_in, c_out, 1, stride));
}

Status resnet18_declare(Resnet18 *m, const Resnet18Config *c, Params *p, const char *prefix)
{
    *m = (Resnet18){.config = *c, .params = p};
    if (c->size < SMALLEST)
        return FAIL(E_CONFIG, "resnet18 halves an image five times: %lld pixels are too few, %d is the least",
                    (long long)c->size, SMALLEST);
    TRY(declare_unit(&m->stem, p, prefix, "conv1", "bn1", square(c->size, RESNET_PLANES, c->width, 7, 2)));
    const MaxPool pool = pool_of(m);
    int64_t size = maxpool_height(&pool), channels = c->width;
    for (int i = 0; i < RESNET_BLOCKS; i++) {
        const int64_t c_out = c->width << (i / 2), stride = i > 0 && i % 2 == 0 ? 2 : 1;
        char text[PARAM_NAME];
        snprintf(text, sizeof text, "%slayer%d.%d.", prefix, i / 2 + 1, i % 2);
        TRY(declare_block(&m->block[i], p, text, size, channels, c_out, stride));
        size = conv_height(&m->block[i].first.conv);
        channels = c_out;
    }
    TRY(params_declare(&m->fc_weight, p, prefix, "fc.weight", 2, (const int64_t[]){c->n_out, channels}));
    return params_declare(&m->fc_bias, p, prefix, "fc.bias", 1, &c->n_out);
}

/* All units: the stem, then those of the blocks. Returns how many. */
enum { MAX_UNITS = 1 + 3 * RESNET_BLOCKS };
static int all_units(const ResnetUnit *out[MAX_UNITS], const Resnet18 *m)
{
    int n = 0;
    out[n++] = &m->stem;
    for (int i = 0; i < RESNET_BLOCKS; i++) {
        out[n++] = &m->block[i].first;
        out[n++] = &m->block[i].second;
        if (m->block[i].shortens) out[n++] = &m->block[i].shortcut;
    }
    return n;
}

void resnet18_freeze(const Resnet18 *m)
{
    const ResnetUnit *unit[MAX_UNITS];
    const int n = all_units(unit, m);
    for (int i = 0; i < n; i++) {
        params_freeze(m->params, m->params->param[unit[i]->mean].name);
        params_freeze(m->params, m->params->param[unit[i]->var].name);
    }
}

void resnet18_init(const Resnet18 *m, uint64_t seed)
{
    Params *p = m->params;
    const ResnetUnit *unit[MAX_UNITS];
    const int n = all_units(unit, m);
    for (int i = 0; i < n; i++) {
        const Conv *c = &unit[i]->conv;
        const double kernel = (double)(c->kernel_h * c->kernel_w);
        init_normal(p, unit[i]->kernel, sqrt(2 / (kernel * (double)c->c_out)), seed);
        init_constant(p, unit[i]->weight, 1);
        init_constant(p, unit[i]->bias, 0);
        init_constant(p, unit[i]->mean, 0);
        init_constant(p, unit[i]->var, 1);
    }
    const Conv *stem = &m->stem.conv;
    init_uniform(p, m->stem.kernel, 1 / sqrt((double)(stem->c_in * stem->kernel_h * stem->kernel_w)), seed);
    const double bound = 1 / sqrt((double)p->param[m->fc_weight].dims[1]);
    init_uniform(p, m->fc_weight, bound, seed);
    init_uniform(p, m->fc_bias, bound, seed);
}

/* (n, size, size, 3) of planes (n, 3, size, size). */
static void channels_last(real *out, const real *images, int64_t n, int64_t pixels)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < pixels; k++)
            for (int64_t c = 0; c < RESNET_PLANES; c++) *out++ = images[(i * RESNET_PLANES + c) * pixels + k];
}

/* ---- prediction ---- */

/* y (rows, c_out) of one map. */
static Status predict_unit(real *y, const Resnet18 *m, const ResnetUnit *u, const real *x, Arena *step)
{
    const Params *p = m->params;
    TRY(conv_forward(y, &u->conv, x, params_at(p, u->kernel), NULL, 1, step));
    channelnorm_apply(y, params_at(p, u->mean), params_at(p, u->var), y, params_at(p, u->weight), params_at(p, u->bias),
                      unit_rows(u), u->conv.c_out, eps);
    return OK;
}

/* *x is replaced by what leaves the block. */
static Status predict_block(real **x, const Resnet18 *m, const ResnetBlock *b, Arena *step)
{
    const int64_t n = unit_reals(&b->second);
    real *middle, *out, *shortcut = *x;
    TRY(arena_new(&middle, step, n));
    TRY(arena_new(&out, step, n));
    TRY(predict_unit(middle, m, &b->first, *x, step));
    relu_forward(middle, n);
    TRY(predict_unit(out, m, &b->second, middle, step));
    if (b->shortens) {
        TRY(arena_new(&shortcut, step, n));
        TRY(predict_unit(shortcut, m, &b->shortcut, *x, step));
    }
    for (int64_t i = 0; i < n; i++) out[i] += shortcut[i];
    relu_forward(out, n);
    *x = out;
    return OK;
}

static Status predict_image(real *out, const Resnet18 *m, const real *image, Arena *step)
{
    const int64_t size = m->config.size;
    const MaxPool pool = pool_of(m);
    const ResnetUnit *last = &m->block[RESNET_BLOCKS - 1].second;
    real *x, *edges, *y, *features;
    TRY(arena_new(&x, step, RESNET_PLANES * size * size));
    TRY(arena_new(&edges, step, unit_reals(&m->stem)));
    TRY(arena_new(&y, step, maxpool_height(&pool) * maxpool_width(&pool) * pool.channels));
    TRY(arena_new(&features, step, last->conv.c_out));
    channels_last(x, image, 1, size * size);
    TRY(predict_unit(edges, m, &m->stem, x, step));
    relu_forward(edges, unit_reals(&m->stem));
    maxpool_forward(y, NULL, &pool, edges, 1);
    for (int i = 0; i < RESNET_BLOCKS; i++) TRY(predict_block(&y, m, &m->block[i], step));
    meanpool_forward(features, y, 1, unit_rows(last), last->conv.c_out);
    linear_forward(out, features, params_at(m->params, m->fc_weight), params_at(m->params, m->fc_bias), 1,
                   m->config.n_out, last->conv.c_out);
    return OK;
}

Status resnet18_predict(real *out, const Resnet18 *m, const real *images, int64_t n, Arena *step)
{
    const int64_t each = RESNET_PLANES * m->config.size * m->config.size;
    for (int64_t i = 0; i < n; i++) {
        const Mark mark = arena_mark(step);
        TRY(predict_image(out + i * m->config.n_out, m, images + i * each, step));
        arena_reset(step, mark);
    }
    return OK;
}

/* ---- training ---- */

/* y of n maps, new in the step's arena. */
static Status train_unit(real **y, ResnetUnitTrace *t, const Resnet18 *m, const ResnetUnit *u, const real *x, int64_t n,
                         Arena *step)
{
    const Params *p = m->params;
    const int64_t rows = n * unit_rows(u), c = u->conv.c_out;
    t->x = x;
    TRY(arena_new(&t->y, step, rows * c));
    TRY(arena_new(&t->mean, step, c));
    TRY(arena_new(&t->var, step, c));
    TRY(arena_new(y, step, rows * c));
    TRY(conv_forward(t->y, &u->conv, x, params_at(p, u->kernel), NULL, n, step));
    channelnorm_moments(t->mean, t->var, t->y, rows, c);
    channelnorm_apply(*y, t->mean, t->var, t->y, params_at(p, u->weight), params_at(p, u->bias), rows, c, eps);
    return OK;
}

static Status train_block(ResnetBlockTrace *t, const Resnet18 *m, const ResnetBlock *b, const real *x, int64_t n,
                          Arena *step)
{
    const int64_t reals = n * unit_reals(&b->second);
    TRY(train_unit(&t->middle, &t->first, m, &b->first, x, n, step));
    relu_forward(t->middle, reals);
    TRY(train_unit(&t->out, &t->second, m, &b->second, t->middle, n, step));
    real *own = NULL;
    if (b->shortens) TRY(train_unit(&own, &t->shortcut, m, &b->shortcut, x, n, step));
    const real *shortcut = own ? own : x;
    for (int64_t i = 0; i < reals; i++) t->out[i] += shortcut[i];
    relu_forward(t->out, reals);
    return OK;
}

Status resnet18_forward_train(real *out, Resnet18Trace *t, const Resnet18 *m, const real *images, int64_t n,
                              Arena *step)
{
    const int64_t pixels = m->config.size * m->config.size;
    const MaxPool pool = pool_of(m);
    const ResnetUnit *last = &m->block[RESNET_BLOCKS - 1].second;
    real *x;
    t->n = n;
    const int64_t pooled = n * maxpool_height(&pool) * maxpool_width(&pool) * pool.channels;
    TRY(arena_new(&x, step, n * RESNET_PLANES * pixels));
    TRY(arena_new(&t->pooled, step, pooled));
    TRY(arena_new(&t->from, step, pooled));
    TRY(arena_new(&t->features, step, n * last->conv.c_out));
    channels_last(x, images, n, pixels);
    TRY(train_unit(&t->edges, &t->stem, m, &m->stem, x, n, step));
    relu_forward(t->edges, n * unit_reals(&m->stem));
    maxpool_forward(t->pooled, t->from, &pool, t->edges, n);
    const real *y = t->pooled;
    for (int i = 0; i < RESNET_BLOCKS; i++) {
        TRY(train_block(&t->block[i], m, &m->block[i], y, n, step));
        y = t->block[i].out;
    }
    meanpool_forward(t->features, y, n, unit_rows(last), last->conv.c_out);
    linear_forward(out, t->features, params_at(m->params, m->fc_weight), params_at(m->params, m->fc_bias), n,
                   m->config.n_out, last->conv.c_out);
    return OK;
}

/* d_y is that of the unit's result. d_x NULL = not wanted. */
static Status unit_backward(real *d_x, real *d_p, const ResnetUnitTrace *t, const Resnet18 *m, const ResnetUnit *u,
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
static Status block_backward_maps(real *d_x, real *d_p, const ResnetBlockTrace *t, const Resnet18 *m,
                                  const ResnetBlock *b, real *d_out, int64_t n, Arena *step)
{
    const int64_t reals = n * unit_reals(&b->second);
    const Mark mark = arena_mark(step);
    real *d_middle;
    TRY(arena_new(&d_middle, step, reals));
    relu_backward(d_out, t->out, reals);
    if (b->shortens)
        TRY(unit_backward(d_x, d_p, &t->shortcut, m, &b->shortcut, d_out, n, step));
    else
        for (int64_t i = 0; i < reals; i++) d_x[i] += d_out[i];
    TRY(unit_backward(d_middle, d_p, &t->second, m, &b->second, d_out, n, step));
    relu_backward(d_middle, t->middle, reals);
    TRY(unit_backward(d_x, d_p, &t->first, m, &b->first, d_middle, n, step));
    arena_reset(step, mark);
    return OK;
}

Status resnet18_backward(real *d_p, const Resnet18Trace *t, const Resnet18 *m, const real *d_out, Arena *step)
{
    const Params *p = m->params;
    const int64_t n = t->n, edges = n * unit_reals(&m->stem);
    const MaxPool pool = pool_of(m);
    const ResnetUnit *last = &m->block[RESNET_BLOCKS - 1].second;
    const Mark mark = arena_mark(step);
    real *d_features, *d, *d_edges;
    TRY(arena_new(&d_features, step, n * last->conv.c_out));
    TRY(arena_new(&d, step, n * unit_reals(last)));
    linear_backward(d_features, params_d_at(p, d_p, m->fc_weight), params_d_at(p, d_p, m->fc_bias), d_out, t->features,
                    params_at(p, m->fc_weight), n, m->config.n_out, last->conv.c_out);
    meanpool_backward(d, d_features, n, unit_rows(last), last->conv.c_out);
    for (int i = RESNET_BLOCKS - 1; i >= 0; i--) {
        const Conv *c = &m->block[i].first.conv;
        real *d_x;
        TRY(arena_new(&d_x, step, n * c->height * c->width * c->c_in));
        TRY(block_backward_maps(d_x, d_p, &t->block[i], m, &m->block[i], d, n, step));
        d = d_x;
    }
    TRY(arena_new(&d_edges, step, edges));
    maxpool_backward(d_edges, &pool, d, t->from, n);
    relu_backward(d_edges, t->edges, edges);
    TRY(unit_backward(NULL, d_p, &t->stem, m, &m->stem, d_edges, n, step));
    arena_reset(step, mark);
    return OK;
}

/* ---- running moments ---- */

static void track_unit(const Resnet18 *m, const ResnetUnit *u, const ResnetUnitTrace *t, int64_t n, double momentum)
{
    channelnorm_track(params_at(m->params, u->mean), params_at(m->params, u->var), t->mean, t->var, n * unit_rows(u),
                      u->conv.c_out, momentum);
}

void resnet18_track(const Resnet18 *m, const Resnet18Trace *t, double momentum)
{
    track_unit(m, &m->stem, &t->stem, t->n, momentum);
    for (int i = 0; i < RESNET_BLOCKS; i++) {
        const ResnetBlock *b = &m->block[i];
        track_unit(m, &b->first, &t->block[i].first, t->n, momentum);
        track_unit(m, &b->second, &t->block[i].second, t->n, momentum);
        if (b->shortens) track_unit(m, &b->shortcut, &t->block[i].shortcut, t->n, momentum);
    }
}

/* Each unit keeps its convolution and its result, the pool its choice. */
int64_t resnet18_trace_reals(const Resnet18 *m, int64_t n)
{
    const ResnetUnit *unit[MAX_UNITS];
    const int n_units = all_units(unit, m);
    const MaxPool pool = pool_of(m);
    int64_t one = RESNET_PLANES * m->config.size * m->config.size;
    one += 2 * maxpool_height(&pool) * maxpool_width(&pool) * pool.channels;
    for (int i = 0; i < n_units; i++) one += 2 * unit_reals(unit[i]);
    return n * one;
}
