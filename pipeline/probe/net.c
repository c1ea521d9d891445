/* net.c - forward and backward of a few dense layers over the rows of a part of a batch. */
#include "probe/net.h"

#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "nn/linalg.h"

/* exp(12) is 5 decades of variance on either side of targets with unit variance. */
static const double log_variance_limit = 12;

static int64_t width_in(const NetConfig *c, int layer) { return layer == 0 ? c->n_in : c->hidden[layer - 1]; }
static int64_t width_out(const NetConfig *c, int layer) { return layer == c->n_hidden ? c->n_out : c->hidden[layer]; }

/* Where a layer begins in the parameters; of layer n_hidden + 1: their number. */
static int64_t offset_of(const NetConfig *c, int layer)
{
    int64_t at = 0;
    for (int l = 0; l < layer; l++) at += (width_in(c, l) + 1) * width_out(c, l);
    return at;
}

int64_t net_params(const NetConfig *c) { return offset_of(c, c->n_hidden + 1); }

void net_init(double *p, const NetConfig *c, uint64_t seed)
{
    for (int l = 0; l <= c->n_hidden; l++) {
        const int64_t in = width_in(c, l), n = (in + 1) * width_out(c, l);
        const double bound = 1 / sqrt((double)in);
        Rng g = rng_stream(seed, "net.init", l, 0);
        double *to = p + offset_of(c, l);
        for (int64_t i = 0; i < n; i++) to[i] = bound * (2 * rng_uniform(&g) - 1);
    }
}

static void layer_forward(double *y, const double *x, const double *p, int64_t n, int64_t n_out, int64_t n_in)
{
    const double *bias = p + n_out * n_in;
    for (int64_t i = 0; i < n; i++) memcpy(y + i * n_out, bias, (size_t)n_out * sizeof *y);
    linalg_layer(y, x, p, n, n_out, n_in);
}

static void relu(double *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) x[i] = x[i] > 0 ? x[i] : 0;
}

/* A row's factors follow from its id, so that they are the same in whatever company. */
static void drop(double *x, const NetConfig *c, int layer, const int64_t *id, int64_t n, uint64_t seed)
{
    const int64_t width = width_out(c, layer);
    if (c->dropout <= 0) return;
    for (int64_t i = 0; i < n; i++) {
        Rng g = rng_stream(seed, "net.dropout", id[i], (uint32_t)layer);
        for (int64_t j = 0; j < width; j++) x[i * width + j] *= rng_uniform(&g) < c->dropout ? 0 : 1 / (1 - c->dropout);
    }
}

Status net_forward_train(NetTrace *t, const NetConfig *c, const double *p, const double *x, const int64_t *id,
                         int64_t n, uint64_t seed, Arena *a)
{
    *t = (NetTrace){.config = c, .p = p, .x = x, .n = n};
    for (int l = 0; l <= c->n_hidden; l++) {
        TRY(arena_new(&t->h[l], a, n * width_out(c, l)));
        layer_forward(t->h[l], l == 0 ? x : t->h[l - 1], p + offset_of(c, l), n, width_out(c, l), width_in(c, l));
        if (l == c->n_hidden) break;
        relu(t->h[l], n * width_out(c, l));
        if (id) drop(t->h[l], c, l, id, n, seed);
    }
    return OK;
}

Status net_backward(double *d_p, const NetTrace *t, const double *d_out, Arena *scratch)
{
    const NetConfig *c = t->config;
    const Mark mark = arena_mark(scratch);
    const double *d = d_out;
    for (int l = c->n_hidden; l >= 0; l--) {
        const int64_t in = width_in(c, l), out = width_out(c, l), at = offset_of(c, l);
        linalg_cross(d_p + at, d, l == 0 ? t->x : t->h[l - 1], t->n, out, in);
        for (int64_t i = 0; i < t->n; i++)
            for (int64_t j = 0; j < out; j++) d_p[at + out * in + j] += d[i * out + j];
        if (l == 0) break;
        double *d_below;
        TRY(arena_new(&d_below, scratch, t->n * in));
        linalg_layer_back(d_below, d, t->p + at, t->n, out, in);
        /* ReLU and dropout: what was handed on is 0 where nothing comes back, else the factor is known */
        const double factor = c->dropout > 0 ? 1 / (1 - c->dropout) : 1;
        for (int64_t i = 0; i < t->n * in; i++) d_below[i] = t->h[l - 1][i] > 0 ? d_below[i] * factor : 0;
        d = d_below;
    }
    arena_reset(scratch, mark);
    return OK;
}

Status net_forward(double *out, const NetConfig *c, const double *p, const double *x, int64_t n, Arena *scratch)
{
    NetTrace t;
    const Mark mark = arena_mark(scratch);
    TRY(net_forward_train(&t, c, p, x, NULL, n, 0, scratch));
    memcpy(out, t.h[c->n_hidden], (size_t)(n * c->n_out) * sizeof *out);
    arena_reset(scratch, mark);
    return OK;
}

void net_softmax(double *out, int64_t n, int64_t n_out)
{
    for (int64_t i = 0; i < n; i++) {
        double *row = out + i * n_out, most = -INFINITY, sum = 0;
        for (int64_t j = 0; j < n_out; j++) most = fmax(most, row[j]);
        for (int64_t j = 0; j < n_out; j++) sum += row[j] = exp(row[j] - most);
        for (int64_t j = 0; j < n_out; j++) row[j] /= sum;
    }
}

/* ---- losses of one row: the loss, and its gradient in place of the outputs ---- */

static double squares(double *z, const double *y, int64_t n_out)
{
    double loss = 0;
    for (int64_t j = 0; j < n_out; j++) {
        const double off = z[j] - y[j];
        loss += off * off / (double)n_out;
        z[j] = 2 * off / (double)n_out;
    }
    return loss;
}

static double gaussian(double *z, const double *y, int64_t n_out)
{
    const int64_t n = n_out / 2;
    double loss = 0;
    for (int64_t j = 0; j < n; j++) {
        const bool within = fabs(z[n + j]) < log_variance_limit;
        const double log_variance = fmax(-log_variance_limit, fmin(log_variance_limit, z[n + j])), off = z[j] - y[j],
                     precision = exp(-log_variance);
        loss += 0.5 * (log(2 * M_PI) + log_variance + off * off * precision) / (double)n;
        z[j] = off * precision / (double)n;
        z[n + j] = within ? 0.5 * (1 - off * off * precision) / (double)n : 0;
    }
    return loss;
}

/* -sum y ln softmax(z) and its gradient sum(y) softmax(z) - y. */
static double cross_entropy(double *z, const double *y, int64_t n_out)
{
    double loss = 0, total = 0;
    net_softmax(z, 1, n_out);
    for (int64_t j = 0; j < n_out; j++) {
        total += y[j];
        if (y[j] != 0) loss -= y[j] * log(z[j]);
    }
    for (int64_t j = 0; j < n_out; j++) z[j] = total * z[j] - y[j];
    return loss;
}

static double cross_entropy_twice(double *z, const double *y, int64_t n_out)
{
    double share[64], d[64], mean = 0;
    MUST(n_out <= 64);
    net_softmax(z, 1, n_out);
    memcpy(share, z, (size_t)n_out * sizeof *z);
    memcpy(d, z, (size_t)n_out * sizeof *z);
    const double loss = cross_entropy(d, y, n_out);
    for (int64_t j = 0; j < n_out; j++) mean += d[j] * share[j];
    for (int64_t j = 0; j < n_out; j++) z[j] = share[j] * (d[j] - mean);
    return loss;
}

static double row_loss(double *z, const double *y, const NetConfig *c)
{
    switch (c->loss) {
    case NET_MSE: return squares(z, y, c->n_out);
    case NET_GAUSSIAN: return gaussian(z, y, c->n_out);
    case NET_SHARES: return cross_entropy(z, y, c->n_out);
    default: return cross_entropy_twice(z, y, c->n_out);
    }
}

static double add_decay(double *d_p, const NetConfig *c, const double *p, int64_t n)
{
    double sum = 0;
    for (int l = 0; l <= c->n_hidden && c->decay > 0; l++) {
        const int64_t at = offset_of(c, l), end = at + width_in(c, l) * width_out(c, l);
        for (int64_t i = at; i < end; i++) {
            sum += p[i] * p[i];
            if (d_p) d_p[i] += (double)n * c->decay * p[i];
        }
    }
    return 0.5 * (double)n * c->decay * sum;
}

static Status loss_of(double *loss, double *d_p, const void *self, const double *p, const double *x, const double *y,
                      const int64_t *id, int64_t n, uint64_t seed, Arena *scratch)
{
    const NetConfig *c = self;
    const int64_t dim_y = c->loss == NET_GAUSSIAN ? c->n_out / 2 : c->n_out;
    const Mark mark = arena_mark(scratch);
    NetTrace t;
    TRY(net_forward_train(&t, c, p, x, d_p ? id : NULL, n, seed, scratch));
    double *d = t.h[c->n_hidden];
    for (int64_t i = 0; i < n; i++) *loss += row_loss(d + i * c->n_out, y + i * dim_y, c);
    *loss += add_decay(d_p, c, p, n);
    if (d_p) TRY(net_backward(d_p, &t, d, scratch));
    arena_reset(scratch, mark);
    return OK;
}

RowModel net_model(const NetConfig *c)
{
    return (RowModel){net_params(c), c->n_in, c->loss == NET_GAUSSIAN ? c->n_out / 2 : c->n_out, c, loss_of};
}
