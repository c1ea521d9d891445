/* photonet.c - this rank's rows of the catalogue, moments over the tree of blocks of rows, training by rowtrain.h. */
#include "probe/photonet.h"

#include <math.h>
#include <string.h>

#include "probe/rows.h"

enum { BANDS = 3, HIDDEN = 64, PARTS = 64, LEAST = 10, CHUNK = 4096 };

NetConfig photonet_shape(int64_t n_out)
{
    return (NetConfig){.n_in = BANDS, .n_out = n_out, .n_hidden = 2, .hidden = {HIDDEN, HIDDEN}, .loss = NET_MSE};
}

/* AB magnitudes of fluxes in nanomaggies; false unless all are there. */
static bool magnitudes(double out[BANDS], const float flux[BANDS])
{
    bool all = true;
    for (int b = 0; b < BANDS; b++) {
        all = all && isfinite(flux[b]) && flux[b] > 0;
        out[b] = all ? 22.5 - 2.5 * log10((double)flux[b]) : NAN;
    }
    return all;
}

/* ---- rows ---- */

/* This rank's train rows. */
typedef struct {
    ProbeRows share;
    int64_t n, n_out;
    int64_t *id, *block; /* (n) row of the catalogue; its block */
    double *x, *y;       /* (n, 3) magnitudes; (n, n_out) labels, NaN = none */
} Rows;

static void take_row(Rows *r, const CatalogRow *row, int64_t number, const Label *label)
{
    double *y = r->y + r->n * r->n_out;
    bool some = false;
    if (row->split != SPLIT_TRAIN || !magnitudes(r->x + r->n * BANDS, row->flux)) return;
    for (int64_t k = 0; k < r->n_out; k++) {
        y[k] = isfinite(row->label[label[k]]) ? row->label[label[k]] : NAN;
        some = some || !isnan(y[k]);
    }
    if (!some) return;
    r->id[r->n] = number;
    r->block[r->n++] = number / r->share.block_rows;
}

static Status read_rows(Rows *r, Catalog *c, const Label *label, int64_t n_out, const Par *par, Arena *a)
{
    CatalogRow *row;
    *r = (Rows){.n_out = n_out};
    TRY(probe_rows_init(&r->share, c->n, par, a));
    TRY(arena_new(&r->id, a, r->share.n));
    TRY(arena_new(&r->block, a, r->share.n));
    TRY(arena_new(&r->x, a, r->share.n * BANDS + BANDS));
    TRY(arena_new(&r->y, a, r->share.n * n_out + n_out));
    TRY(arena_new(&row, a, CHUNK));
    for (int64_t at = 0; at < r->share.n; at += CHUNK) {
        const int64_t n = r->share.n - at < CHUNK ? r->share.n - at : CHUNK;
        const Mark mark = arena_mark(a);
        TRY(par_continue());
        TRY(catalog_read(row, c, r->share.first + at, n, a));
        for (int64_t i = 0; i < n; i++) take_row(r, &row[i], r->share.first + at + i, label);
        arena_reset(a, mark);
    }
    return OK;
}

/* ---- moments ---- */

/* Column 0 is all magnitudes, column 1 + k label k: numbers of them and sums, or sums of squares about `mean`. */
static void add_row(double *sum, const Rows *r, int64_t i, const double *mean)
{
    for (int64_t k = 0; k <= r->n_out; k++) {
        const double *x = k == 0 ? r->x + i * BANDS : r->y + i * r->n_out + k - 1;
        for (int b = 0; b < (k == 0 ? BANDS : 1); b++) {
            if (isnan(x[b])) continue;
            sum[2 * k] += 1;
            sum[2 * k + 1] += mean ? (x[b] - mean[k]) * (x[b] - mean[k]) : x[b];
        }
    }
}

static Status add_blocks(TreeSum *tree, const Rows *r, const double *mean, Arena *a)
{
    const int64_t size = 2 * (r->n_out + 1);
    double *leaf;
    TRY(treesum_init(tree, size, r->share.n_blocks, a));
    TRY(arena_new(&leaf, a, size));
    int64_t i = 0;
    for (int64_t block = r->share.first_block; block < r->share.last_block; block++) {
        memset(leaf, 0, sizeof *leaf * (size_t)size);
        for (; i < r->n && r->block[i] == block; i++) add_row(leaf, r, i, mean);
        treesum_push(tree, block, leaf);
    }
    return OK;
}

/* Collective. mean, std (1 + n_out): NaN where there are fewer than two. */
static Status moments(double *mean, double *std, double *sum, int64_t *n, const Rows *r, const Par *par, Arena *a)
{
    for (int pass = 0; pass < 2; pass++) {
        const Mark mark = arena_mark(a);
        TreeSum tree;
        TRY(par_agree(par, add_blocks(&tree, r, pass ? mean : NULL, a)));
        TRY(par_tree_finish(sum, &tree, par, a));
        for (int64_t k = 0; k <= r->n_out; k++) {
            if (pass == 0)
                mean[k] = sum[2 * k] > 1 ? sum[2 * k + 1] / sum[2 * k] : NAN;
            else
                std[k] = sum[2 * k] > 1 ? sqrt(sum[2 * k + 1] / (sum[2 * k] - 1)) : NAN;
            if (pass == 1 && std[k] == 0) std[k] = 1;
        }
        arena_reset(a, mark);
    }
    *n = (int64_t)sum[0] / BANDS;
    return OK;
}

/* ---- training ---- */

/* The mean square of a row over all properties, those without a label left out. */
static Status loss_of(double *loss, double *d_p, const void *self, const double *p, const double *x, const double *y,
                      const int64_t *id, int64_t n, uint64_t seed, Arena *scratch)
{
    const NetConfig *c = self;
    const Mark mark = arena_mark(scratch);
    NetTrace t;
    double *d_out;
    (void)id; /* there is no dropout */
    TRY(net_forward_train(&t, c, p, x, NULL, n, seed, scratch));
    TRY(arena_new(&d_out, scratch, n * c->n_out));
    const double *out = t.h[c->n_hidden];
    for (int64_t i = 0; i < n * c->n_out; i++) {
        const double off = isnan(y[i]) ? 0 : out[i] - y[i];
        *loss += off * off / (double)c->n_out;
        d_out[i] = 2 * off / (double)c->n_out;
    }
    if (d_p) TRY(net_backward(d_p, &t, d_out, scratch));
    arena_reset(scratch, mark);
    return OK;
}

/* Standardised rows; x as float, as rowtrain takes it. */
static Status standardise(float **x, const PhotoNet *net, Rows *r, Arena *a)
{
    TRY(arena_new(x, a, r->n * BANDS));
    for (int64_t i = 0; i < r->n * BANDS; i++) (*x)[i] = (float)((r->x[i] - net->mean) / net->std);
    for (int64_t i = 0; i < r->n * r->n_out; i++) {
        const int64_t k = i % r->n_out;
        r->y[i] = (r->y[i] - net->y_mean[k]) / net->y_std[k];
    }
    return OK;
}

static Status begin(PhotoNet *out, Rows *r, double **work, Catalog *c, const Label *label, int64_t n_out, uint64_t seed,
                    const Par *par, Arena *a)
{
    *out = (PhotoNet){.n_out = n_out, .net = photonet_shape(n_out)};
    TRY(arena_new(&out->p, a, net_params(&out->net)));
    TRY(arena_new(work, a, 4 * (n_out + 1)));
    net_init(out->p, &out->net, seed);
    return read_rows(r, c, label, n_out, par, a);
}

Status photonet_train(PhotoNet *out, Catalog *c, const Label *label, int64_t n_out, const PhotoNetConfig *config,
                      uint64_t seed, const Par *par, Arena *a)
{
    Rows r;
    double *work = NULL;
    float *x = NULL;
    int64_t n = 0;
    TRY(par_agree(par, begin(out, &r, &work, c, label, n_out, seed, par, a)));
    double *mean = work, *std = work + n_out + 1;
    TRY(moments(mean, std, work + 2 * (n_out + 1), &n, &r, par, a));
    if (n < LEAST)
        return FAIL(E_INPUT, "%s: %lld train rows have three positive fluxes and a label; %d are the least",
                    c->file.path, (long long)n, LEAST);
    out->mean = mean[0];
    out->std = std[0];
    out->y_mean = mean + 1;
    out->y_std = std + 1;
    TRY(par_agree(par, standardise(&x, out, &r, a)));
    const RowModel model = {
        .n_params = net_params(&out->net), .dim_x = BANDS, .dim_y = n_out, .self = &out->net, .loss = loss_of};
    const RowSet set = {.n = r.n, .x = x, .y = r.y, .id = r.id};
    const RowTraining how = {.batch = config->batch,
                             .epochs = config->epochs,
                             .parts = PARTS,
                             .lr = config->lr,
                             .lr_last = config->lr,
                             .val_fraction = 0.2,
                             .keep_best = true};
    return rows_train(&out->report, out->p, &model, &set, &how, seed, par, a);
}

Status photonet_predict(float *value, const PhotoNet *net, Catalog *c, int64_t first, int64_t n, Arena *scratch)
{
    const Mark mark = arena_mark(scratch);
    float *flux[BANDS];
    double *out;
    for (int b = 0; b < BANDS; b++) TRY(arena_new(&flux[b], scratch, n));
    TRY(arena_new(&out, scratch, net->n_out));
    TRY(catalog_read_fluxes(flux, c, first, n));
    for (int64_t i = 0; i < n; i++) {
        double x[BANDS];
        const bool all = magnitudes(x, (const float[]){flux[0][i], flux[1][i], flux[2][i]});
        for (int b = 0; b < BANDS; b++) x[b] = (double)(float)((x[b] - net->mean) / net->std);
        if (all) TRY(net_forward(out, &net->net, net->p, x, 1, scratch));
        for (int64_t k = 0; k < net->n_out; k++)
            value[i * net->n_out + k] = all ? (float)(net->y_mean[k] + net->y_std[k] * out[k]) : NAN;
    }
    arena_reset(scratch, mark);
    return OK;
}
