/* flow.c - splines one after the other, their networks, and the gradient of the density. */
#include "probe/flow.h"

#include <math.h>
#include <string.h>

#include "core/hash.h"

NetConfig flow_net(const FlowConfig *c)
{
    return (NetConfig){.n_in = c->n_context,
                       .n_out = c->n_dims * FLOW_RAW,
                       .n_hidden = 3,
                       .hidden = {c->hidden, c->hidden, c->hidden}};
}

int64_t flow_params(const FlowConfig *c)
{
    const NetConfig net = flow_net(c);
    return c->n_splines * net_params(&net);
}

void flow_init(double *p, const FlowConfig *c, uint64_t seed)
{
    const NetConfig net = flow_net(c);
    for (int64_t k = 0; k < c->n_splines; k++)
        net_init(p + k * net_params(&net), &net, hash_mix(seed ^ hash_mix((uint64_t)k + 1)));
}

/* Where the numbers of dimension d begin in a row of a network's output: widths of all dimensions, heights, slopes. */
typedef struct {
    int64_t widths, heights, slopes;
} Places;

static Places places_of(const FlowConfig *c, int64_t d)
{
    return (Places){d * FLOW_BINS, (c->n_dims + d) * FLOW_BINS, 2 * c->n_dims * FLOW_BINS + d * (FLOW_BINS - 1)};
}

static void make(Spline *s, const FlowConfig *c, const double *raw, int64_t d)
{
    const Places at = places_of(c, d);
    spline_make(s, raw + at.widths, raw + at.heights, raw + at.slopes);
}

typedef struct {
    NetTrace net[FLOW_SPLINES];
    double *z[FLOW_SPLINES + 1]; /* (n, n_dims): z[n_splines] = y, z[0] the base */
    double *log_slope;           /* (n, n_dims) of all splines together */
} FlowTrace;

static Status run_back(FlowTrace *t, const FlowConfig *c, const double *p, const double *x, const double *y, int64_t n,
                       Arena *a)
{
    const NetConfig *net;
    NetConfig *kept;
    const int64_t size = n * c->n_dims;
    MUST(c->n_splines <= FLOW_SPLINES);
    TRY(arena_new(&kept, a, 1));
    *kept = flow_net(c);
    net = kept;
    TRY(arena_new(&t->log_slope, a, size));
    for (int64_t k = 0; k <= c->n_splines; k++) TRY(arena_new(&t->z[k], a, size));
    memcpy(t->z[c->n_splines], y, (size_t)size * sizeof *y);
    for (int64_t k = c->n_splines - 1; k >= 0; k--) {
        TRY(net_forward_train(&t->net[k], net, p + k * net_params(net), x, NULL, n, 0, a));
        const double *raw = t->net[k].h[net->n_hidden];
        for (int64_t i = 0; i < n; i++)
            for (int64_t d = 0; d < c->n_dims; d++) {
                Spline s;
                double log_slope;
                const int64_t at = i * c->n_dims + d;
                make(&s, c, raw + i * net->n_out, d);
                t->z[k][at] = spline_inverse(&log_slope, &s, t->z[k + 1][at]);
                t->log_slope[at] += log_slope;
            }
    }
    return OK;
}

static double log_density(double z, double log_slope) { return -0.5 * z * z - 0.5 * log(2 * M_PI) - log_slope; }

Status flow_log_density(double *log_p, double *base, const FlowConfig *c, const double *p, const double *x,
                        const double *y, int64_t n, Arena *scratch)
{
    const Mark mark = arena_mark(scratch);
    FlowTrace t;
    TRY(run_back(&t, c, p, x, y, n, scratch));
    for (int64_t i = 0; i < n * c->n_dims; i++) log_p[i] = log_density(t.z[0][i], t.log_slope[i]);
    if (base) memcpy(base, t.z[0], (size_t)(n * c->n_dims) * sizeof *base);
    arena_reset(scratch, mark);
    return OK;
}

Status flow_transform(double *y, const FlowConfig *c, const double *p, const double *x, int64_t n, const double *z,
                      int64_t draws, Arena *scratch)
{
    const NetConfig net = flow_net(c);
    const Mark mark = arena_mark(scratch);
    double *raw;
    TRY(arena_new(&raw, scratch, n * net.n_out));
    for (int64_t i = 0; i < n; i++) memcpy(y + i * draws * c->n_dims, z, (size_t)(draws * c->n_dims) * sizeof *y);
    for (int64_t k = 0; k < c->n_splines; k++) {
        TRY(net_forward(raw, &net, p + k * net_params(&net), x, n, scratch));
        for (int64_t i = 0; i < n; i++)
            for (int64_t d = 0; d < c->n_dims; d++) {
                Spline s;
                make(&s, c, raw + i * net.n_out, d);
                for (int64_t j = 0; j < draws; j++) {
                    double *at = y + (i * draws + j) * c->n_dims + d;
                    *at = spline_forward(&s, *at);
                }
            }
    }
    arena_reset(scratch, mark);
    return OK;
}

/* From the base to y: d (n, n_dims) is the gradient that arrives at each z. */
static Status back_through(double *d_p, const FlowTrace *t, const FlowConfig *c, double *d, double d_log_slope,
                           int64_t n, Arena *scratch)
{
    const NetConfig net = flow_net(c);
    double *d_raw;
    TRY(arena_new(&d_raw, scratch, n * net.n_out));
    for (int64_t k = 0; k < c->n_splines; k++) {
        memset(d_raw, 0, (size_t)(n * net.n_out) * sizeof *d_raw);
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < c->n_dims; j++) {
                Spline s;
                const Places at = places_of(c, j);
                double *to = d_raw + i * net.n_out;
                const int64_t e = i * c->n_dims + j;
                make(&s, c, t->net[k].h[net.n_hidden] + i * net.n_out, j);
                d[e] = spline_inverse_backward(to + at.widths, to + at.heights, to + at.slopes, &s, t->z[k][e],
                                               t->z[k + 1][e], d[e], d_log_slope);
            }
        TRY(net_backward(d_p + k * net_params(&net), &t->net[k], d_raw, scratch));
    }
    return OK;
}

static Status loss_of(double *loss, double *d_p, const void *self, const double *p, const double *x, const double *y,
                      const int64_t *id, int64_t n, uint64_t seed, Arena *scratch)
{
    const FlowConfig *c = self;
    const Mark mark = arena_mark(scratch);
    const double share = 1 / (double)c->n_dims;
    FlowTrace t;
    (void)id, (void)seed;
    TRY(run_back(&t, c, p, x, y, n, scratch));
    for (int64_t i = 0; i < n * c->n_dims; i++) *loss -= share * log_density(t.z[0][i], t.log_slope[i]);
    if (d_p) {
        double *d;
        TRY(arena_new(&d, scratch, n * c->n_dims));
        for (int64_t i = 0; i < n * c->n_dims; i++) d[i] = share * t.z[0][i];
        TRY(back_through(d_p, &t, c, d, share, n, scratch));
    }
    arena_reset(scratch, mark);
    return OK;
}

RowModel flow_model(const FlowConfig *c) { return (RowModel){flow_params(c), c->n_context, c->n_dims, c, loss_of}; }
