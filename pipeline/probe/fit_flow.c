/* fit_flow.c - posteriors by an ensemble of spline flows over ranks: properties that the same train rows have are the
   dimensions of one flow.

   Dimensions are independent given the features, so each fit keeps its own: scale of features (as released: one mean and one
   unbiased standard deviation for all of them) and of its label, then of each member its width, its number of splines and its
   networks cut down to this dimension. The prediction of a row is the mean and standard deviation of the ensemble's mixture,
   from QUADRATURE base quantiles through each member. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/hash.h"
#include "core/log.h"
#include "core/rng.h"
#include "probe/fit.h"
#include "probe/flow.h"
#include "probe/posterior.h"
#include "probe/reports.h"

enum { QUADRATURE = 32, HEAD = 4, MEMBER_HEAD = 2 };

static const char *const scales[] = {"feature", "all", NULL};

const ConfigField posterior_fields[] = {
    FIELD_INT(PosteriorConfig, members, "10", 1, POSTERIOR_MEMBERS, RESULT, "flows of the ensemble"),
    FIELD_INT(PosteriorConfig, epochs, "25", 1, 100000, RESULT, "passes over the train rows, at most"),
    FIELD_INT(PosteriorConfig, batch, "128", 1, 1e9, RESULT, "rows of a step"),
    FIELD_INT(PosteriorConfig, parts, "4", 1, 4096, RESULT,
              "parts of a batch, summed in a fixed order: at most so many ranks work"),
    FIELD_REAL(PosteriorConfig, lr, "5e-4", 0, 10, RESULT, "first learning rate (Adam)"),
    FIELD_REAL(PosteriorConfig, lr_last, "1e-6", 0, 10, RESULT, "learning rate at the end of the cosine"),
    FIELD_INT(PosteriorConfig, hidden_min, "16", 1, 4096, RESULT, "least width of the networks"),
    FIELD_INT(PosteriorConfig, hidden_max, "32", 1, 4096, RESULT, "largest width of the networks"),
    FIELD_CHOICE(PosteriorConfig, scale, "feature", scales, RESULT,
                 "features by a mean and standard deviation of each, or of all together (as released)"),
    FIELD_INT(PosteriorConfig, samples, "0", 0, 10000, RESULT, "draws of each row's posterior to keep; 0 = none"),
    FIELD_END};

/* ---- members ---- */

/* Width and number of splines of a member: ceil(exp(U(ln 16, ln 32))), int(U(2, 4)). */
static FlowConfig member_of(const ProbeTask *t, int64_t n_dims, int64_t member)
{
    const PosteriorConfig *c = &t->config->flow;
    Rng g = rng_stream(t->seed, "probe.flow.member", member, 0);
    const double low = log((double)c->hidden_min), high = log((double)c->hidden_max);
    const double hidden = ceil(exp(low + (high - low) * rng_uniform(&g)));
    return (FlowConfig){t->input->dim, n_dims, 2 + (int64_t)(2 * rng_uniform(&g)), (int64_t)hidden};
}

static int64_t fit_numbers(const ProbeTask *t)
{
    int64_t n = HEAD;
    for (int64_t m = 0; m < t->config->flow.members; m++) {
        const FlowConfig one = member_of(t, 1, m);
        n += MEMBER_HEAD + flow_params(&one);
    }
    return n;
}

/* Rows of the last layer that make dimension d alone. */
static void take_dimension(double *to, const double *p, const FlowConfig *c, int64_t d)
{
    const FlowConfig one = {c->n_context, 1, c->n_splines, c->hidden};
    const NetConfig net = flow_net(c), small = flow_net(&one);
    const int64_t trunk = net_params(&net) - (c->hidden + 1) * net.n_out;
    for (int64_t k = 0; k < c->n_splines; k++, p += net_params(&net), to += net_params(&small)) {
        const double *weight = p + trunk, *bias = weight + c->hidden * net.n_out;
        double *w = to + trunk, *b = w + c->hidden * small.n_out;
        memcpy(to, p, (size_t)trunk * sizeof *to);
        for (int64_t o = 0; o < FLOW_RAW; o++) {
            const int64_t part = o / FLOW_BINS, j = o % FLOW_BINS, width = part < 2 ? FLOW_BINS : FLOW_BINS - 1;
            const int64_t from = part * c->n_dims * FLOW_BINS + d * width + j;
            memcpy(w + o * c->hidden, weight + from * c->hidden, (size_t)c->hidden * sizeof *w);
            b[o] = bias[from];
        }
    }
}

/* Feature d of a row as the networks see it. */
static double scaled(float x, int64_t d, const double *head, const ProbeTask *t)
{
    if (t->config->flow.scale == POSTERIOR_SCALE_ALL) return ((double)x - head[0]) / head[1];
    return ((double)x - t->input->mean[d]) / t->input->std[d];
}

/* ---- fitting ---- */

/* Collective. One mean and one unbiased standard deviation of all features of the train rows, from those of each feature
   (the ddof is of no account beside it: there are many numbers). */
static void feature_scale(double *mean, double *std, const ProbeTask *t)
{
    const int64_t dim = t->input->dim;
    const double n = (double)(t->input->n_usable[SPLIT_TRAIN] * dim);
    double sum = 0, squares = 0;
    for (int64_t d = 0; d < dim; d++) sum += t->input->mean[d] / (double)dim;
    for (int64_t d = 0; d < dim; d++) {
        const double off = t->input->mean[d] - sum;
        squares += (t->input->std[d] * t->input->std[d] + off * off) / (double)dim;
    }
    *mean = sum;
    *std = squares > 0 ? sqrt(squares * n / fmax(1, n - 1)) : 1;
}

/* Local. */
static Status collect(RowSet *out, const ProbeGroup *g, const double *head, const double *mean, const double *std,
                      const ProbeTask *t, Arena *a)
{
    const int64_t dim = t->input->dim;
    float *x;
    double *y;
    int64_t *id, n = 0;
    ProbeBlock b;
    for (int64_t r = 0; r < t->rows->n; r++) n += probe_trains(t, g->fit[0]->label, r);
    TRY(arena_new(&x, a, n * dim));
    TRY(arena_new(&y, a, n * g->n));
    TRY(arena_new(&id, a, n));
    *out = (RowSet){.x = x, .y = y, .id = id};
    TRY(probe_block_open(&b, t->rows, t->features, a));
    while (probe_block_next(&b))
        for (int64_t i = 0; i < b.n; i++) {
            const int64_t row = b.at + i;
            if (!probe_trains(t, g->fit[0]->label, row)) continue;
            for (int64_t d = 0; d < dim; d++) x[out->n * dim + d] = (float)scaled(b.x[i * dim + d], d, head, t);
            for (int k = 0; k < g->n; k++)
                y[out->n * g->n + k] = (t->rows->label[g->fit[k]->label][row] - mean[k]) / std[k];
            id[out->n++] = t->rows->first + row;
        }
    return b.status;
}

/* Collective. */
static Status fit_member(RowReport *told, ProbeGroup *g, int64_t member, int64_t *at, const RowSet *rows,
                         const ProbeTask *t, Arena *a)
{
    const PosteriorConfig *c = &t->config->flow;
    const FlowConfig flow = member_of(t, g->n, member), one = member_of(t, 1, member);
    const RowTraining training = {.batch = c->batch,
                                  .epochs = c->epochs,
                                  .parts = c->parts,
                                  .lr = c->lr,
                                  .lr_last = c->lr_last,
                                  .val_fraction = 0.2,
                                  .stop_after = 11,
                                  .stop_window = 5};
    const RowModel model = flow_model(&flow);
    const uint64_t seed = hash_mix(t->seed ^ hash_fnv1a("probe.flow") ^ hash_mix((uint64_t)member + 1));
    const Mark mark = arena_mark(a);
    double *p = NULL;
    RowReport report;
    TRY(par_agree(t->par, arena_new(&p, a, model.n_params)));
    flow_init(p, &flow, seed);
    TRY(rows_train(&report, p, &model, rows, &training, seed, t->par, a));
    for (int k = 0; k < g->n; k++) {
        double *to = g->fit[k]->weight + *at;
        to[0] = (double)flow.hidden;
        to[1] = (double)flow.n_splines;
        take_dimension(to + MEMBER_HEAD, p, &flow, k);
    }
    *at += MEMBER_HEAD + flow_params(&one);
    told->loss += report.loss / (double)c->members;
    told->val_loss += report.val_loss / (double)c->members;
    told->epochs += report.epochs;
    arena_reset(a, mark);
    return OK;
}

static Status fit_group(ProbeGroup *g, const ProbeTask *t, Arena *a)
{
    const Mark mark = arena_mark(a);
    double mean[N_LABELS], std[N_LABELS], mean_x, std_x;
    int64_t at = HEAD, n = 0;
    RowSet rows;
    feature_scale(&mean_x, &std_x, t);
    for (int k = 0; k < g->n; k++) TRY(probe_label_moments(&mean[k], &std[k], g->fit[k]->label, t, a));
    for (int64_t r = 0; r < t->rows->n; r++) n += probe_trains(t, g->fit[0]->label, r);
    par_sum_i64(t->par, &n, 1);
    for (int k = 0; k < g->n; k++) std[k] *= sqrt((double)n / fmax(1, (double)n - 1)); /* unbiased, as released */
    TRY(par_agree(t->par, collect(&rows, g, (const double[]){mean_x, std_x}, mean, std, t, a)));
    for (int k = 0; k < g->n; k++) {
        const double head[HEAD] = {mean_x, std_x, mean[k], std[k]};
        memcpy(g->fit[k]->weight, head, sizeof head);
    }
    RowReport told = {0};
    Status st = OK;
    for (int64_t m = 0; m < t->config->flow.members && st == OK; m++) st = fit_member(&told, g, m, &at, &rows, t, a);
    if (st != OK) fail_note("fitting %s by a flow", label_table[g->fit[0]->label].name);
    log_info(
        "probe: %lld flows of %d propert%s from %s %s: %.1f epochs, loss %.4f per dimension, %.4f on held-out rows",
        (long long)t->config->flow.members, g->n, g->n == 1 ? "y" : "ies", t->input->row->encoder,
        t->input->row->modality, (double)told.epochs / (double)t->config->flow.members, told.loss, told.val_loss);
    arena_reset(a, mark);
    return st;
}

static Status fit_flow(ProbeFit *fit, int n, const ProbeTask *t, Arena *a)
{
    ProbeGroup group[N_LABELS];
    Status st = OK;
    for (int f = 0; f < n && st == OK; f++) {
        fit[f].n_weights = fit_numbers(t);
        st = arena_new(&fit[f].weight, a, fit[f].n_weights);
    }
    TRY(par_agree(t->par, st));
    clock_begin("flow");
    const int n_groups = probe_groups(group, fit, n, t);
    for (int g = 0; g < n_groups && st == OK; g++) st = fit_group(&group[g], t, a);
    clock_end("flow");
    return st;
}

/* ---- predictions ---- */

/* The standard normal's quantile: Newton steps on its distribution, which erfc gives exactly. */
static double normal_quantile(double p)
{
    double x = 0;
    for (int i = 0; i < 60; i++) {
        const double off = 0.5 * erfc(-x / M_SQRT2) - p, slope = exp(-0.5 * x * x) / sqrt(2 * M_PI);
        const double step = off / slope;
        x -= fmax(-1, fmin(1, step));
        if (fabs(step) < 1e-14) break;
    }
    return x;
}

/* Of a block's rows and one fit, all members: ln p of the truth (member, row), moments of the mixture. */
typedef struct {
    double *log_p, *sum, *squares; /* (members, rows), (rows), (rows): in standardised labels */
    double *y, *truth, *log_one;   /* room */
    double base[QUADRATURE];
} Mixture;

static Status mixture_new(Mixture *m, const ProbeTask *t, Arena *a)
{
    const int64_t n = t->rows->block_rows;
    TRY(arena_new(&m->log_p, a, t->config->flow.members * n));
    TRY(arena_new(&m->sum, a, n));
    TRY(arena_new(&m->squares, a, n));
    TRY(arena_new(&m->truth, a, n));
    TRY(arena_new(&m->log_one, a, n));
    TRY(arena_new(&m->y, a, n * QUADRATURE));
    for (int q = 0; q < QUADRATURE; q++) m->base[q] = normal_quantile((q + 0.5) / QUADRATURE);
    return OK;
}

/* Local. x (n, dim) standardised by the fit's own scale. */
static Status mix(Mixture *m, const ProbeFit *fit, const double *x, int64_t n, const ProbeTask *t, Arena *a)
{
    const double *w = fit->weight + HEAD;
    memset(m->sum, 0, (size_t)n * sizeof *m->sum);
    memset(m->squares, 0, (size_t)n * sizeof *m->squares);
    for (int64_t k = 0; k < t->config->flow.members; k++) {
        const FlowConfig c = {t->input->dim, 1, (int64_t)w[1], (int64_t)w[0]};
        TRY(flow_transform(m->y, &c, w + MEMBER_HEAD, x, n, m->base, QUADRATURE, a));
        for (int64_t i = 0; i < n; i++)
            for (int q = 0; q < QUADRATURE; q++) {
                const double y = m->y[i * QUADRATURE + q];
                m->sum[i] += y;
                m->squares[i] += y * y;
            }
        TRY(flow_log_density(m->log_one, NULL, &c, w + MEMBER_HEAD, x, m->truth, n, a));
        memcpy(m->log_p + k * t->rows->block_rows, m->log_one, (size_t)n * sizeof *m->log_one);
        w += MEMBER_HEAD + flow_params(&c);
        clock_tick();
    }
    return OK;
}

/* ln of the mean of exp over members. */
static double log_mean(const double *log_p, int64_t members, int64_t stride)
{
    double most = -INFINITY, sum = 0;
    for (int64_t k = 0; k < members; k++) most = fmax(most, log_p[k * stride]);
    for (int64_t k = 0; k < members; k++) sum += exp(log_p[k * stride] - most);
    return most + log(sum / (double)members);
}

/* Sums of a block for the table of posteriors: of each fit and then of all together, by split: rows, -ln p of the mixture, -ln p
   of each member. */
static int64_t leaf_width(const ProbeTask *t) { return 2 + t->config->flow.members; }

static void add_to_leaf(double *leaf, int entry, const double *log_p, bool complete, int64_t i, int64_t row,
                        const ProbeTask *t)
{
    const int64_t stride = t->rows->block_rows, members = t->config->flow.members;
    double *to = leaf + (entry * N_SPLITS + t->rows->split[row]) * leaf_width(t);
    if (!complete) return;
    to[0] += 1;
    to[1] -= log_mean(log_p + i, members, stride);
    for (int64_t k = 0; k < members; k++) to[2 + k] -= log_p[k * stride + i];
}

typedef struct {
    Mixture mixture;
    double *x, *joint, *leaf;
    uint8_t *complete; /* (rows) all truths are there */
} Room;

/* Draws of one row: the member and the base of a draw follow from the object, so that draws of one number belong
   together in all properties. */
static Status draw_samples(float *out, const ProbeFit *fit, const double *x, int64_t row, int64_t n, const ProbeTask *t,
                           Arena *a)
{
    const int64_t members = t->config->flow.members;
    const Mark mark = arena_mark(a);
    const double *w = fit->weight + HEAD;
    for (int64_t k = 0; k < members; k++) {
        const FlowConfig c = {t->input->dim, 1, (int64_t)w[1], (int64_t)w[0]};
        for (int64_t s = 0; s < n; s++) {
            Rng who = rng_stream(t->seed, "flow.sample.member", t->rows->targetid[row], (uint32_t)s);
            Rng base = rng_stream(t->seed, label_table[fit->label].name, t->rows->targetid[row], (uint32_t)s);
            double z, y;
            if (rng_below(&who, members) != k) continue;
            z = rng_normal(&base);
            TRY(flow_transform(&y, &c, w + MEMBER_HEAD, x, 1, &z, 1, a));
            out[s] = (float)(fit->weight[2] + fit->weight[3] * y);
        }
        w += MEMBER_HEAD + flow_params(&c);
    }
    arena_reset(a, mark);
    return OK;
}

static Status predict_block(RowPredictions *out, const ProbeFit *fit, int n, const ProbeBlock *b, Room *room,
                            const ProbeTask *t, Arena *a)
{
    const int64_t dim = t->input->dim, members = t->config->flow.members, stride = t->rows->block_rows;
    const double points = (double)(members * QUADRATURE);
    Mixture *m = &room->mixture;
    memset(room->leaf, 0, (size_t)((n + 1) * N_SPLITS * leaf_width(t)) * sizeof *room->leaf);
    memset(room->joint, 0, (size_t)(members * stride) * sizeof *room->joint);
    for (int64_t i = 0; i < b->n; i++) room->complete[i] = t->usable[b->at + i];
    for (int f = 0; f < n; f++) {
        const double *head = fit[f].weight, *truth = t->rows->label[fit[f].label];
        for (int64_t i = 0; i < b->n; i++) {
            for (int64_t d = 0; d < dim; d++)
                room->x[i * dim + d] = t->usable[b->at + i] ? scaled(b->x[i * dim + d], d, head, t) : 0;
            m->truth[i] = (truth[b->at + i] - head[2]) / head[3];
            room->complete[i] = room->complete[i] && isfinite(truth[b->at + i]);
        }
        TRY(mix(m, &fit[f], room->x, b->n, t, a));
        for (int64_t i = 0; i < b->n; i++) {
            const int64_t row = b->at + i;
            if (!t->usable[row]) continue;
            const double mean = m->sum[i] / points, variance = m->squares[i] / points - mean * mean;
            out[f].value[row] = head[2] + head[3] * mean;
            out[f].scale[row] = head[3] * sqrt(fmax(variance, 1e-12));
            out[f].nll[row] = log(head[3]) - log_mean(m->log_p + i, members, stride);
            for (int64_t k = 0; k < members; k++) room->joint[k * stride + i] += m->log_p[k * stride + i];
            add_to_leaf(room->leaf, f, m->log_p, isfinite(truth[row]), i, row, t);
            if (out[f].n_samples > 0)
                TRY(draw_samples(out[f].samples + row * out[f].n_samples, &fit[f], room->x + i * dim, row,
                                 out[f].n_samples, t, a));
        }
    }
    for (int64_t i = 0; i < b->n; i++)
        if (t->usable[b->at + i]) add_to_leaf(room->leaf, n, room->joint, room->complete[i], i, b->at + i, t);
    return OK;
}

static Status predict_rows(RowPredictions *out, TreeSum *tree, const ProbeFit *fit, int n, const ProbeTask *t, Arena *a)
{
    const int64_t rows = t->rows->block_rows, size = (n + 1) * N_SPLITS * leaf_width(t);
    ProbeBlock b;
    Room room;
    TRY(treesum_init(tree, size, t->rows->n_blocks, a));
    TRY(arena_new(&room.x, a, rows * t->input->dim));
    TRY(arena_new(&room.joint, a, rows * t->config->flow.members));
    TRY(arena_new(&room.leaf, a, size));
    TRY(arena_new(&room.complete, a, rows));
    TRY(mixture_new(&room.mixture, t, a));
    TRY(probe_block_open(&b, t->rows, t->features, a));
    while (b.status == OK && probe_block_next(&b)) {
        b.status = predict_block(out, fit, n, &b, &room, t, a);
        if (b.status == OK) treesum_push(tree, b.block, room.leaf);
    }
    return b.status;
}

static Status predict_flow(RowPredictions *out, const ProbeFit *fit, int n, const ProbeTask *t, Arena *a)
{
    const Mark mark = arena_mark(a);
    const int64_t width = leaf_width(t), members = t->config->flow.members;
    double *sum = NULL;
    TreeSum tree;
    clock_begin("flow: predict");
    Status st = arena_new(&sum, a, (n + 1) * N_SPLITS * width);
    if (st == OK) st = predict_rows(out, &tree, fit, n, t, a);
    clock_end("flow: predict");
    TRY(par_agree(t->par, st));
    TRY(par_tree_finish(sum, &tree, t->par, a));
    for (int entry = 0; entry <= n && t->reports; entry++)
        for (int s = 0; s < N_SPLITS; s++) {
            const double *of = sum + (entry * N_SPLITS + s) * width;
            reports_add_posterior(t->reports, t->input->row, entry < n ? label_table[fit[entry].label].name : "joint",
                                  s, of, members);
        }
    arena_reset(a, mark);
    return OK;
}

const ProbeKind flow_probe = {"flow", "a density for each row, from an ensemble of spline flows", fit_flow,
                              predict_flow};
