/* conv_att.c - a spectrum at a time, as a map of height 1 with its channels last (nn/conv.h). */
#include "model/conv_att.h"

#include <stdio.h>
#include <string.h>

#include "nn/channelnorm.h"
#include "nn/init.h"
#include "nn/linear.h"
#include "nn/maxpool.h"
#include "nn/relu.h"
#include "nn/softmax.h"

static const real eps = (real)1e-5;

/* The stages: channels, kernel, and the pool behind each (kernel = stride; padding half of it); 0 = none. */
static const struct {
    int64_t channels, kernel, pool;
} stages[CONV_ATT_STAGES] = {{8, 5, 5}, {16, 10, 10}, {16, 20, 20}, {2 * CONV_ATT_HEADS, 40, 0}};

static const int64_t layer_in[] = {CONV_ATT_HEADS, CONV_ATT_HIDDEN, CONV_ATT_HIDDEN};
static const char *const layer_name[] = {"mlp.0", "mlp.3", "mlp.6"}, *const slope_name[] = {"mlp.1", "mlp.4"};

static int64_t layer_out(const ConvAtt *m, int i) { return i < 2 ? CONV_ATT_HIDDEN : m->config.n_out; }

static MaxPool pool_of(const ConvAtt *m, int s)
{
    const Conv *c = &m->stage[s].conv;
    return (MaxPool){1, conv_width(c), c->c_out, 1, stages[s].pool, 0, stages[s].pool / 2, stages[s].pool};
}

static int64_t length_of(const ConvAtt *m, int s) { return conv_width(&m->stage[s].conv); }
int64_t conv_att_length(const ConvAtt *m) { return length_of(m, CONV_ATT_STAGES - 1); }

/* ---- declaration ---- */

static Status declare_stage(ConvAtt *m, int s, Params *p, const char *prefix)
{
    const Conv *c = &m->stage[s].conv;
    char name[PARAM_NAME];
    snprintf(name, sizeof name, "conv%d.0.weight", s + 1);
    TRY(params_declare(&m->stage[s].weight, p, prefix, name, 3, (const int64_t[]){c->c_out, c->c_in, c->kernel_w}));
    snprintf(name, sizeof name, "conv%d.0.bias", s + 1);
    TRY(params_declare(&m->stage[s].bias, p, prefix, name, 1, &c->c_out));
    snprintf(name, sizeof name, "conv%d.2.weight", s + 1);
    return params_declare(&m->stage[s].slope, p, prefix, name, 1, &c->c_out);
}

static Status declare_layer(ConvAtt *m, int i, Params *p, const char *prefix)
{
    const int64_t dims[] = {layer_out(m, i), layer_in[i]};
    char name[PARAM_NAME];
    snprintf(name, sizeof name, "%s.weight", layer_name[i]);
    TRY(params_declare(&m->weight[i], p, prefix, name, 2, dims));
    snprintf(name, sizeof name, "%s.bias", layer_name[i]);
    TRY(params_declare(&m->bias[i], p, prefix, name, 1, dims));
    if (i == 2) return OK;
    snprintf(name, sizeof name, "%s.weight", slope_name[i]);
    return params_declare(&m->slope[i], p, prefix, name, 1, dims);
}

Status conv_att_declare(ConvAtt *m, const ConvAttConfig *c, Params *p, const char *prefix)
{
    int64_t length = c->pixels, channels = 1;
    *m = (ConvAtt){.config = *c, .params = p};
    for (int s = 0; s < CONV_ATT_STAGES; s++) {
        const int64_t kernel = stages[s].kernel;
        if (length + 2 * (kernel / 2) < kernel)
            return FAIL(E_CONFIG, "conv_att cannot take spectra of %lld pixels: they are too short",
                        (long long)c->pixels);
        m->stage[s].conv = (Conv){1, length, channels, stages[s].channels, 1, kernel, 0, kernel / 2, 1};
        TRY(declare_stage(m, s, p, prefix));
        channels = stages[s].channels;
        if (stages[s].pool == 0) continue;
        const MaxPool pool = pool_of(m, s);
        length = maxpool_width(&pool);
    }
    for (int i = 0; i < 3; i++) TRY(declare_layer(m, i, p, prefix));
    return OK;
}

void conv_att_init(const ConvAtt *m, uint64_t seed)
{
    Params *p = m->params;
    for (int s = 0; s < CONV_ATT_STAGES; s++) {
        const double bound = 1 / sqrt((double)(m->stage[s].conv.c_in * stages[s].kernel));
        init_uniform(p, m->stage[s].weight, bound, seed);
        init_uniform(p, m->stage[s].bias, bound, seed);
        init_constant(p, m->stage[s].slope, 0.25);
    }
    for (int i = 0; i < 3; i++) {
        const double bound = 1 / sqrt((double)layer_in[i]);
        init_uniform(p, m->weight[i], bound, seed);
        init_uniform(p, m->bias[i], bound, seed);
        if (i < 2) init_constant(p, m->slope[i], 0.25);
    }
}

/* ---- forward ---- */

/* *x becomes what the next stage is given. */
static Status stage_forward(const real **x, ConvAttTrace *t, const ConvAtt *m, int s, Arena *step)
{
    const Params *p = m->params;
    const Conv *c = &m->stage[s].conv;
    const int64_t length = length_of(m, s), n = length * c->c_out;
    t->stage[s].x = *x;
    TRY(arena_new(&t->stage[s].y, step, n));
    TRY(arena_new(&t->stage[s].normal, step, n));
    TRY(arena_new(&t->stage[s].out, step, n));
    TRY(arena_new(&t->stage[s].mean, step, c->c_out));
    TRY(arena_new(&t->stage[s].var, step, c->c_out));
    TRY(conv_forward(t->stage[s].y, c, *x, params_at(p, m->stage[s].weight), params_at(p, m->stage[s].bias), 1, step));
    channelnorm_moments(t->stage[s].mean, t->stage[s].var, t->stage[s].y, length, c->c_out);
    channelnorm_apply(t->stage[s].normal, t->stage[s].mean, t->stage[s].var, t->stage[s].y, NULL, NULL, length,
                      c->c_out, eps);
    prelu_forward(t->stage[s].out, t->stage[s].normal, params_at(p, m->stage[s].slope), length, c->c_out);
    if (stages[s].pool == 0) return OK;
    const MaxPool pool = pool_of(m, s);
    real *pooled;
    TRY(arena_new(&pooled, step, maxpool_width(&pool) * c->c_out));
    TRY(arena_new(&t->stage[s].from, step, maxpool_width(&pool) * c->c_out));
    maxpool_forward(pooled, t->stage[s].from, &pool, t->stage[s].out, 1);
    *x = pooled;
    return OK;
}

/* Each of the 16 channels by its own softmax over the length. */
static void look(ConvAttTrace *t, const ConvAtt *m, real *row)
{
    const int64_t length = conv_att_length(m), channels = 2 * CONV_ATT_HEADS;
    const real *last = t->stage[CONV_ATT_STAGES - 1].out;
    for (int64_t c = 0; c < CONV_ATT_HEADS; c++) {
        for (int64_t i = 0; i < length; i++) row[i] = last[i * channels + CONV_ATT_HEADS + c];
        softmax_forward(row, length, length);
        t->pooled[c] = 0;
        for (int64_t i = 0; i < length; i++) {
            t->weights[i * CONV_ATT_HEADS + c] = row[i];
            t->pooled[c] += row[i] * last[i * channels + c];
        }
    }
}

Status conv_att_forward(real *out, ConvAttTrace *t, const ConvAtt *m, const real *flux, Arena *step)
{
    const Params *p = m->params;
    const real *x = flux;
    real *row;
    for (int s = 0; s < CONV_ATT_STAGES; s++) TRY(stage_forward(&x, t, m, s, step));
    TRY(arena_new(&t->weights, step, conv_att_length(m) * CONV_ATT_HEADS));
    TRY(arena_new(&t->pooled, step, CONV_ATT_HEADS));
    TRY(arena_new(&row, step, conv_att_length(m)));
    look(t, m, row);
    x = t->pooled;
    for (int i = 0; i < 2; i++) {
        TRY(arena_new(&t->before[i], step, CONV_ATT_HIDDEN));
        TRY(arena_new(&t->hidden[i], step, CONV_ATT_HIDDEN));
        linear_forward(t->before[i], x, params_at(p, m->weight[i]), params_at(p, m->bias[i]), 1, CONV_ATT_HIDDEN,
                       layer_in[i]);
        prelu_forward(t->hidden[i], t->before[i], params_at(p, m->slope[i]), 1, CONV_ATT_HIDDEN);
        x = t->hidden[i];
    }
    linear_forward(out, x, params_at(p, m->weight[2]), params_at(p, m->bias[2]), 1, m->config.n_out, layer_in[2]);
    return OK;
}

/* ---- backward ---- */

/* d_pooled (16) of the small network. */
static Status layers_backward(real *d_pooled, real *d_p, const ConvAttTrace *t, const ConvAtt *m, const real *d_out,
                              Arena *step)
{
    const Params *p = m->params;
    for (int i = 2; i >= 0; i--) {
        real *d_x = d_pooled, *d_before;
        if (i > 0) TRY(arena_new(&d_x, step, layer_in[i]));
        linear_backward(d_x, params_d_at(p, d_p, m->weight[i]), params_d_at(p, d_p, m->bias[i]), d_out,
                        i > 0 ? t->hidden[i - 1] : t->pooled, params_at(p, m->weight[i]), 1, layer_out(m, i),
                        layer_in[i]);
        if (i == 0) break;
        TRY(arena_new(&d_before, step, CONV_ATT_HIDDEN));
        prelu_backward(d_before, params_d_at(p, d_p, m->slope[i - 1]), d_x, t->before[i - 1],
                       params_at(p, m->slope[i - 1]), 1, CONV_ATT_HIDDEN);
        d_out = d_before;
    }
    return OK;
}

/* d_last (length, 32). */
static void look_backward(real *d_last, const ConvAttTrace *t, const ConvAtt *m, const real *d_pooled, real *row,
                          real *weight)
{
    const int64_t length = conv_att_length(m), channels = 2 * CONV_ATT_HEADS;
    const real *last = t->stage[CONV_ATT_STAGES - 1].out;
    for (int64_t c = 0; c < CONV_ATT_HEADS; c++) {
        for (int64_t i = 0; i < length; i++) {
            weight[i] = t->weights[i * CONV_ATT_HEADS + c];
            row[i] = d_pooled[c] * last[i * channels + c];
            d_last[i * channels + c] = d_pooled[c] * weight[i];
        }
        softmax_backward(row, weight, length);
        for (int64_t i = 0; i < length; i++) d_last[i * channels + CONV_ATT_HEADS + c] = row[i];
    }
}

/* *d_x: in, of what the next stage was given (of the last stage's result); out, of what this one was given. */
static Status stage_backward(real **d_x, real *d_p, const ConvAttTrace *t, const ConvAtt *m, int s, Arena *step)
{
    const Params *p = m->params;
    const Conv *c = &m->stage[s].conv;
    const int64_t length = length_of(m, s), n = length * c->c_out;
    real *d_result = *d_x, *d_normal, *d_y;
    if (stages[s].pool > 0) {
        const MaxPool pool = pool_of(m, s);
        TRY(arena_new(&d_result, step, n));
        maxpool_backward(d_result, &pool, *d_x, t->stage[s].from, 1);
    }
    TRY(arena_new(&d_normal, step, n));
    TRY(arena_new(&d_y, step, n));
    prelu_backward(d_normal, params_d_at(p, d_p, m->stage[s].slope), d_result, t->stage[s].normal,
                   params_at(p, m->stage[s].slope), length, c->c_out);
    channelnorm_backward(d_y, NULL, NULL, d_normal, t->stage[s].mean, t->stage[s].var, t->stage[s].y, NULL, length,
                         c->c_out, eps);
    *d_x = NULL;
    if (s > 0) TRY(arena_new(d_x, step, c->width * c->c_in));
    return conv_backward(*d_x, params_d_at(p, d_p, m->stage[s].weight), params_d_at(p, d_p, m->stage[s].bias), c, d_y,
                         t->stage[s].x, params_at(p, m->stage[s].weight), 1, step);
}

Status conv_att_backward(real *d_p, const ConvAttTrace *t, const ConvAtt *m, const real *d_out, Arena *step)
{
    const int64_t length = conv_att_length(m);
    const Mark mark = arena_mark(step);
    real *d_pooled, *d, *row, *weight;
    TRY(arena_new(&d_pooled, step, CONV_ATT_HEADS));
    TRY(arena_new(&d, step, length * 2 * CONV_ATT_HEADS));
    TRY(arena_new(&row, step, length));
    TRY(arena_new(&weight, step, length));
    TRY(layers_backward(d_pooled, d_p, t, m, d_out, step));
    look_backward(d, t, m, d_pooled, row, weight);
    for (int s = CONV_ATT_STAGES - 1; s >= 0; s--) TRY(stage_backward(&d, d_p, t, m, s, step));
    arena_reset(step, mark);
    return OK;
}
