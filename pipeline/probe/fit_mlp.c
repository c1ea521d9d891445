/* fit_mlp.c - the few-shot MLP over ranks: properties that the same train rows have share their hidden layers, redshift has a
   net of its own (spec.md 6.3). Each fit keeps a whole net, so that it predicts by itself: mean and standard deviation
   of its label, then the parameters. */
#include "probe/mlp.h"

#include <math.h>
#include <string.h>

#include "core/clock.h"
#include "core/hash.h"
#include "core/log.h"
#include "probe/fit.h"
#include "probe/net.h"

const ConfigField mlp_fields[] = {
    FIELD_REALS(MlpConfig, hidden, "[64, 64]", 1, 4096, RESULT, "widths of the hidden layers"),
    FIELD_REALS(MlpConfig, hidden_z_image, "[32]", 1, 4096, RESULT, "the same for redshifts from images"),
    FIELD_REAL(MlpConfig, dropout, "0.1", 0, 0.9, RESULT, "probability of dropout"),
    FIELD_REAL(MlpConfig, lr, "1e-3", 0, 10, RESULT, "learning rate (Adam)"),
    FIELD_INT(MlpConfig, epochs, "10", 1, 100000, RESULT, "passes over the train rows"),
    FIELD_INT(MlpConfig, batch, "64", 1, 1e9, RESULT, "rows of a step"),
    FIELD_INT(MlpConfig, parts, "4", 1, 4096, RESULT,
              "parts of a batch, summed in a fixed order: at most so many ranks work"),
    FIELD_BOOL(MlpConfig, heteroscedastic, "false", RESULT, "also learn how uncertain each row is"),
    FIELD_END};

Status mlp_check(const MlpConfig *c)
{
    if (c->hidden.n > NET_HIDDEN || c->hidden_z_image.n > NET_HIDDEN)
        return FAIL(E_CONFIG, "probe.mlp.hidden: at most %d hidden layers", NET_HIDDEN);
    return OK;
}

enum { HEAD = 2 }; /* numbers in front of the parameters of a fit */

static NetConfig net_of(const ProbeTask *t, int label, int64_t n_labels)
{
    const MlpConfig *c = &t->config->mlp;
    const ProbeTask *learned = t->learned ? t->learned : t;
    const bool shallow = label == LABEL_Z && strcmp(learned->input->row->modality, "image") == 0;
    const ConfigReals *hidden = shallow ? &c->hidden_z_image : &c->hidden;
    NetConfig net = {.n_in = t->input->dim,
                     .n_out = c->heteroscedastic ? 2 * n_labels : n_labels,
                     .n_hidden = (int)hidden->n,
                     .dropout = c->dropout,
                     .loss = c->heteroscedastic ? NET_GAUSSIAN : NET_MSE};
    for (int64_t l = 0; l < hidden->n; l++) net.hidden[l] = (int64_t)hidden->item[l];
    return net;
}

/* Local. The train rows of this rank: standardised features, standardised labels of the group. */
static Status collect(RowSet *out, const ProbeGroup *g, const double *mean, const double *std, const ProbeTask *t,
                      Arena *a)
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
            for (int64_t d = 0; d < dim; d++)
                x[out->n * dim + d] = (float)(((double)b.x[i * dim + d] - t->input->mean[d]) / t->input->std[d]);
            for (int k = 0; k < g->n; k++)
                y[out->n * g->n + k] = (t->rows->label[g->fit[k]->label][row] - mean[k]) / std[k];
            id[out->n++] = t->rows->first + row;
        }
    return b.status;
}

/* Output k of a net of many as a net of one. */
static void take_output(double *to, const double *p, const NetConfig *net, const NetConfig *one, int k)
{
    const int64_t in = net->n_hidden > 0 ? net->hidden[net->n_hidden - 1] : net->n_in,
                  trunk = net_params(net) - (in + 1) * net->n_out;
    const double *weight = p + trunk, *bias = weight + in * net->n_out;
    memcpy(to, p, (size_t)trunk * sizeof *to);
    to += trunk;
    for (int64_t o = 0; o < one->n_out; o++) { /* the mean and, behind all means, the log variance */
        const int64_t from = k + o * (net->n_out / one->n_out);
        memcpy(to + o * in, weight + from * in, (size_t)in * sizeof *to);
        to[one->n_out * in + o] = bias[from];
    }
}

static Status fit_group(ProbeGroup *g, const ProbeTask *t, Arena *a)
{
    const MlpConfig *c = &t->config->mlp;
    const NetConfig net = net_of(t, g->fit[0]->label, g->n), one = net_of(t, g->fit[0]->label, 1);
    const RowTraining training = {
        .batch = c->batch, .epochs = c->epochs, .parts = c->parts, .lr = c->lr, .lr_last = c->lr};
    const RowModel model = net_model(&net);
    const Mark mark = arena_mark(a);
    double *p = NULL, mean[N_LABELS], std[N_LABELS];
    RowSet rows;
    RowReport report;
    for (int k = 0; k < g->n; k++) TRY(probe_label_moments(&mean[k], &std[k], g->fit[k]->label, t, a));
    Status st = arena_new(&p, a, model.n_params);
    if (st == OK) st = collect(&rows, g, mean, std, t, a);
    TRY(par_agree(t->par, st));
    const uint64_t seed = hash_mix(t->seed ^ hash_fnv1a("probe.mlp") ^ (uint64_t)g->fit[0]->label);
    net_init(p, &net, seed);
    st = rows_train(&report, p, &model, &rows, &training, seed, t->par, a);
    if (st != OK) fail_note("fitting %s by an MLP", label_table[g->fit[0]->label].name);
    TRY(st);
    log_info("probe: MLP of %d propert%s from %s %s: %lld numbers, %lld train rows, loss %.4f", g->n,
             g->n == 1 ? "y" : "ies", t->input->row->encoder, t->input->row->modality, (long long)model.n_params,
             (long long)report.n_train, report.loss);
    for (int k = 0; k < g->n; k++) {
        g->fit[k]->weight[0] = mean[k];
        g->fit[k]->weight[1] = std[k];
        take_output(g->fit[k]->weight + HEAD, p, &net, &one, k);
    }
    arena_reset(a, mark);
    return OK;
}

static Status fit_mlp(ProbeFit *fit, int n, const ProbeTask *t, Arena *a)
{
    Status st = OK;
    int n_z = 0;
    for (int f = 0; f < n && st == OK; f++) {
        const NetConfig one = net_of(t, fit[f].label, 1);
        fit[f].n_weights = HEAD + net_params(&one);
        st = arena_new(&fit[f].weight, a, fit[f].n_weights);
        n_z += fit[f].label == LABEL_Z; /* the first of the table of labels */
    }
    TRY(par_agree(t->par, st));
    clock_begin("mlp");
    for (int part = 0; part < 2 && st == OK; part++) { /* redshift, then the others */
        ProbeGroup group[N_LABELS];
        const int n_groups = probe_groups(group, part ? fit + n_z : fit, part ? n - n_z : n_z, t);
        for (int g = 0; g < n_groups && st == OK; g++) st = fit_group(&group[g], t, a);
    }
    clock_end("mlp");
    return st;
}

/* ---- predictions ---- */

static void put_row(RowPredictions *out, int64_t row, const double *z, const ProbeFit *fit, const ProbeTask *t)
{
    const double mean = fit->weight[0], std = fit->weight[1], truth = t->rows->label[fit->label][row];
    out->value[row] = mean + std * z[0];
    if (!t->config->mlp.heteroscedastic) return;
    const double scale = std * exp(0.5 * z[1]), off = (truth - out->value[row]) / scale;
    out->scale[row] = scale;
    out->nll[row] = 0.5 * (log(2 * M_PI) + off * off) + log(scale);
}

/* Local. A block at a time, whole, so that a row's company is always the same. */
static Status predict_rows(RowPredictions *out, const ProbeFit *fit, int n, const ProbeTask *t, Arena *a)
{
    const int64_t dim = t->input->dim;
    ProbeBlock b;
    double *x, *z;
    TRY(arena_new(&x, a, t->rows->block_rows * dim));
    TRY(arena_new(&z, a, t->rows->block_rows * 2));
    TRY(probe_block_open(&b, t->rows, t->features, a));
    while (b.status == OK && probe_block_next(&b)) {
        for (int64_t i = 0; i < b.n; i++)
            for (int64_t d = 0; d < dim; d++)
                x[i * dim + d] =
                    t->usable[b.at + i] ? ((double)b.x[i * dim + d] - t->input->mean[d]) / t->input->std[d] : 0;
        for (int f = 0; f < n && b.status == OK; f++) {
            const NetConfig one = net_of(t, fit[f].label, 1);
            b.status = net_forward(z, &one, fit[f].weight + HEAD, x, b.n, a);
            for (int64_t i = 0; i < b.n && b.status == OK; i++)
                if (t->usable[b.at + i]) put_row(&out[f], b.at + i, z + i * one.n_out, &fit[f], t);
        }
    }
    return b.status;
}

static Status predict_mlp(RowPredictions *out, const ProbeFit *fit, int n, const ProbeTask *t, Arena *a)
{
    const Mark mark = arena_mark(a);
    TRY(par_agree(t->par, predict_rows(out, fit, n, t, a)));
    arena_reset(a, mark);
    return OK;
}

const ProbeKind mlp_probe = {"mlp", "a few dense layers: the published few-shot settings", fit_mlp, predict_mlp};
