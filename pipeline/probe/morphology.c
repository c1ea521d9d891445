/* morphology.c - votes to rows, one small network per question, its scores. */
#include "probe/morphology.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "core/hash.h"
#include "core/log.h"
#include "probe/net.h"

const char *const morphology_probes[] = {"logistic", "mlp", NULL};
static const char *const modes[] = {"sane", "released", NULL};

const ConfigField morphology_fields[] = {
    FIELD_TEXT(MorphologyConfig, votes, "", RESULT,
               "table of volunteers' votes (Galaxy Zoo DECaLS, CSV); empty = no morphology"),
    FIELD_TEXTS(MorphologyConfig, probes, "[logistic]", morphology_probes, RESULT, "probes of morphology to fit"),
    FIELD_CHOICE(MorphologyConfig, mode, "sane", modes, RESULT,
                 "the catalogue's splits and a plain cross-entropy, or all as the released code does it"),
    FIELD_REAL(MorphologyConfig, match_arcsec, "0.5", 0, 60, RESULT, "arcsec: votes belong to the object this near"),
    FIELD_INT(MorphologyConfig, min_votes, "3", 0, 1e6, RESULT,
              "votes on the first question that a row of the table needs"),
    FIELD_INT(MorphologyConfig, train_votes, "3", 0, 1e6, RESULT,
              "votes on a question that a row needs to train it (mode sane)"),
    FIELD_INT(MorphologyConfig, test_votes, "35", 0, 1e6, RESULT, "votes on a question that a row needs to test it"),
    FIELD_REALS(MorphologyConfig, hidden, "[256, 256, 256]", 1, 4096, RESULT, "widths of the MLP's hidden layers"),
    FIELD_REAL(MorphologyConfig, dropout, "0.2", 0, 0.9, RESULT, "probability of dropout in the MLP"),
    FIELD_REAL(MorphologyConfig, lr, "1e-3", 0, 10, RESULT, "learning rate (Adam); ten times that for logistic"),
    FIELD_REAL(MorphologyConfig, decay, "1e-3", 0, 10, RESULT, "penalty on the weights of logistic"),
    FIELD_INT(MorphologyConfig, epochs, "25", 1, 100000, RESULT, "passes over the train rows"),
    FIELD_INT(MorphologyConfig, batch, "256", 1, 1e9, RESULT, "rows of a step"),
    FIELD_INT(MorphologyConfig, parts, "4", 1, 4096, RESULT,
              "parts of a batch, summed in a fixed order: at most so many ranks work"),
    FIELD_END};

/* ---- votes ---- */

/* Local. Positions of this rank's rows. */
static Status read_positions(double *ra, double *dec, const ProbeRows *rows, Catalog *catalog, Arena *a)
{
    enum { PIECE = 8192 };
    for (int64_t at = 0; at < rows->n; at += PIECE) {
        const Mark mark = arena_mark(a);
        const int64_t n = rows->n - at < PIECE ? rows->n - at : PIECE;
        CatalogRow *row;
        TRY(arena_new(&row, a, n));
        TRY(catalog_read(row, catalog, rows->first + at, n, a));
        for (int64_t i = 0; i < n; i++) ra[at + i] = row[i].ra, dec[at + i] = row[i].dec;
        arena_reset(a, mark);
    }
    return OK;
}

static Status match(MorphologyVotes *out, const MorphologyConfig *c, const ProbeRows *rows, Catalog *catalog, Arena *a)
{
    double *ra, *dec;
    int64_t *found;
    VoteRow *row = NULL;
    TRY(arena_new(&ra, a, rows->n));
    TRY(arena_new(&dec, a, rows->n));
    TRY(arena_new(&found, a, rows->n));
    TRY(read_positions(ra, dec, rows, catalog, a));
    TRY(votes_match(&row, found, &out->counts, c->votes, ra, dec, rows->n, c->match_arcsec, (double)c->min_votes, a));
    out->row = row;
    out->match = found;
    return OK;
}

Status morphology_votes(MorphologyVotes *out, const MorphologyConfig *c, const ProbeRows *rows, Catalog *catalog,
                        const Par *par, Arena *a)
{
    int64_t matched = 0;
    *out = (MorphologyVotes){0};
    clock_begin("votes");
    const Status st = match(out, c, rows, catalog, a);
    clock_end("votes");
    TRY(par_agree(par, st));
    for (int64_t i = 0; i < rows->n; i++) matched += out->match[i] >= 0;
    par_sum_i64(par, &matched, 1);
    log_info(
        "probe: votes: %lld rows in %s: %lld with fewer than %lld votes, %lld without a position; %lld of %lld rows of "
        "the catalogue have votes",
        (long long)out->counts.rows, c->votes, (long long)out->counts.few, (long long)c->min_votes,
        (long long)out->counts.bad_position, (long long)matched, (long long)rows->total);
    return OK;
}

/* ---- metrics ---- */

void morphology_count(MorphologyCounts *c, const double *said, const double *truth, int classes)
{
    double most_said = -INFINITY, most_true = -INFINITY;
    bool same = true;
    for (int k = 0; k < classes; k++) {
        most_said = fmax(most_said, said[k]);
        most_true = fmax(most_true, truth[k]);
    }
    for (int k = 0; k < classes; k++) { /* ties mark several */
        const bool a = said[k] == most_said, b = truth[k] == most_true;
        c->said[k] += a;
        c->there[k] += b;
        c->hit[k] += a && b;
        same = same && a == b;
    }
    c->n++;
    c->right += same;
}

double morphology_accuracy(const MorphologyCounts *c) { return c->n > 0 ? (double)c->right / (double)c->n : NAN; }

double morphology_f1(const MorphologyCounts *c, int classes)
{
    double sum = 0, support = 0;
    for (int k = 0; k < classes; k++) {
        const double both = (double)(c->said[k] + c->there[k]);
        sum += (double)c->there[k] * (both > 0 ? 2 * (double)c->hit[k] / both : 0);
        support += (double)c->there[k];
    }
    return support > 0 ? sum / support : NAN;
}

/* ---- rows ---- */

typedef struct {
    const MorphologyVotes *votes;
    const ProbeTask *task;
    const MorphologyConfig *config;
    int question, classes;
    bool released, linear;
    NetConfig net;
} Question;

static const VoteRow *votes_of(const Question *q, int64_t row)
{
    const int64_t m = q->votes->match[row];
    if (m < 0 || !q->task->usable[row]) return NULL;
    const VoteRow *v = &q->votes->row[m];
    for (int k = 0; k < q->classes; k++)
        if (!isfinite(v->share[q->question][k])) return NULL;
    return v;
}

/* The split of a row, -1 = in none: where it has too few votes for its part. */
static int split_of(const Question *q, int64_t row)
{
    const VoteRow *v = votes_of(q, row);
    if (!v) return -1;
    int split = q->task->rows->split[row];
    if (q->released) split = (double)v->order < floor(0.8 * (double)q->votes->counts.kept) ? SPLIT_TRAIN : SPLIT_TEST;
    const double need =
        split == SPLIT_TRAIN ? (q->released ? 0 : (double)q->config->train_votes) : (double)q->config->test_votes;
    return v->total[q->question] >= need ? split : -1;
}

static void put_features(double *out, const float *x, const Question *q)
{
    const ProbeInput *in = q->task->input;
    for (int64_t d = 0; d < in->dim; d++)
        out[d] = q->released ? (double)x[d] : ((double)x[d] - in->mean[d]) / in->std[d];
}

/* Local. */
static Status collect(RowSet *out, const Question *q, Arena *a)
{
    const ProbeTask *t = q->task;
    const int64_t dim = t->input->dim;
    float *x;
    double *y, *weight, *wide;
    int64_t *id, n = 0;
    ProbeBlock b;
    for (int64_t r = 0; r < t->rows->n; r++) n += split_of(q, r) == SPLIT_TRAIN;
    TRY(arena_new(&x, a, n * dim));
    TRY(arena_new(&y, a, n * q->classes));
    TRY(arena_new(&weight, a, n));
    TRY(arena_new(&id, a, n));
    TRY(arena_new(&wide, a, dim));
    *out = (RowSet){.x = x, .y = y, .id = id, .weight = q->released ? weight : NULL};
    TRY(probe_block_open(&b, t->rows, t->features, a));
    while (probe_block_next(&b))
        for (int64_t i = 0; i < b.n; i++) {
            const int64_t row = b.at + i;
            if (split_of(q, row) != SPLIT_TRAIN) continue;
            const float *share = votes_of(q, row)->share[q->question];
            put_features(wide, b.x + i * dim, q);
            for (int64_t d = 0; d < dim; d++) x[out->n * dim + d] = (float)wide[d];
            for (int k = 0; k < q->classes; k++) {
                y[out->n * q->classes + k] = (double)share[k];
                weight[out->n] = fmax(weight[out->n], (double)share[k]);
            }
            id[out->n++] = t->rows->first + row;
        }
    return b.status;
}

/* Collective. */
static Status train(double *p, const Question *q, Arena *a)
{
    const MorphologyConfig *c = q->config;
    const RowTraining training = {.batch = c->batch,
                                  .epochs = c->epochs,
                                  .parts = c->parts,
                                  .lr = q->linear ? 10 * c->lr : c->lr,
                                  .lr_last = q->linear ? 0.01 * c->lr : c->lr,
                                  .val_fraction = 0.1,
                                  .keep_best = !q->released};
    const RowModel model = net_model(&q->net);
    const uint64_t seed = hash_mix(q->task->seed ^ hash_fnv1a(vote_questions[q->question].name));
    const Mark mark = arena_mark(a);
    RowSet rows;
    RowReport report;
    TRY(par_agree(q->task->par, collect(&rows, q, a)));
    net_init(p, &q->net, seed);
    TRY(rows_train(&report, p, &model, &rows, &training, seed, q->task->par, a));
    arena_reset(a, mark);
    return OK;
}

/* ---- what it says ---- */

/* Local. said (rows->n, classes), NaN where not usable; sums and counts of this rank's rows of each split. */
static Status predict(float *said, TreeSum *tree, MorphologyCounts count[N_SPLITS], const double *p, const Question *q,
                      Arena *a)
{
    const ProbeTask *t = q->task;
    const int64_t dim = t->input->dim;
    ProbeBlock b;
    double *x, *z;
    TRY(treesum_init(tree, N_SPLITS, t->rows->n_blocks, a));
    TRY(arena_new(&x, a, t->rows->block_rows * dim));
    TRY(arena_new(&z, a, t->rows->block_rows * q->classes));
    TRY(probe_block_open(&b, t->rows, t->features, a));
    while (b.status == OK && probe_block_next(&b)) {
        double leaf[N_SPLITS] = {0};
        for (int64_t i = 0; i < b.n; i++) {
            if (t->usable[b.at + i]) put_features(x + i * dim, b.x + i * dim, q);
            if (!t->usable[b.at + i]) memset(x + i * dim, 0, (size_t)dim * sizeof *x);
        }
        b.status = net_forward(z, &q->net, p, x, b.n, a);
        if (b.status != OK) break;
        net_softmax(z, b.n, q->classes);
        for (int64_t i = 0; i < b.n; i++) {
            const int64_t row = b.at + i;
            const int split = split_of(q, row);
            double truth[MOST_ANSWERS];
            for (int k = 0; k < q->classes; k++)
                said[row * q->classes + k] = t->usable[row] ? (float)z[i * q->classes + k] : NAN;
            if (split < 0) continue;
            for (int k = 0; k < q->classes; k++) {
                truth[k] = (double)votes_of(q, row)->share[q->question][k];
                if (truth[k] > 0) leaf[split] -= truth[k] * log(fmax(z[i * q->classes + k], 1e-300));
            }
            morphology_count(&count[split], z + i * q->classes, truth, q->classes);
        }
        treesum_push(tree, b.block, leaf);
    }
    return b.status;
}

/* Collective. */
static Status score(MorphologyFit *fit, const Question *q, Predictions *out, Arena *a)
{
    const ProbeTask *t = q->task;
    const ProbeInputRow *row = t->input->row;
    MorphologyCounts count[N_SPLITS] = {{0}};
    const Mark mark = arena_mark(a);
    double nll[N_SPLITS];
    char name[H5_PATH];
    float *said = NULL;
    TreeSum tree;
    Status st = arena_new(&said, a, t->rows->n * q->classes);
    if (st == OK) st = predict(said, &tree, count, fit->weight, q, a);
    TRY(par_agree(t->par, st));
    TRY(par_tree_finish(nll, &tree, t->par, a));
    par_sum_i64(t->par, (int64_t *)(void *)count, (int64_t)(sizeof count / (sizeof(int64_t))));
    for (int s = 0; s < N_SPLITS; s++)
        fit->score[s] =
            (MorphologyScores){count[s].n, morphology_accuracy(&count[s]), morphology_f1(&count[s], q->classes),
                               count[s].n > 0 ? nll[s] / (double)count[s].n : NAN};
    snprintf(name, sizeof name, "%s_%s/morph_%s/%s/value", row->encoder, row->modality, fit->probe,
             vote_questions[q->question].name);
    TRY(predictions_put(out, name, said, q->classes, t->rows->first, t->rows->n, t->par));
    arena_reset(a, mark);
    return OK;
}

static NetConfig net_of(const Question *q)
{
    const MorphologyConfig *c = q->config;
    NetConfig net = {.n_in = q->task->input->dim,
                     .n_out = q->classes,
                     .n_hidden = q->linear ? 0 : (int)fmin(NET_HIDDEN, (double)c->hidden.n),
                     .dropout = q->linear ? 0 : c->dropout,
                     .decay = q->linear ? c->decay : 0,
                     .loss = q->released ? NET_SHARES_TWICE : NET_SHARES};
    for (int l = 0; l < net.n_hidden; l++) net.hidden[l] = (int64_t)c->hidden.item[l];
    return net;
}

Status morphology_fit(MorphologyFit *fit, int *n, const MorphologyVotes *votes, int input, const ProbeTask *t,
                      Predictions *out, Arena *a)
{
    const MorphologyConfig *c = &t->config->morphology;
    clock_begin("morphology");
    for (int kind = 0; morphology_probes[kind]; kind++)
        for (int k = 0; k < N_VOTE_QUESTIONS && config_lists(&c->probes, morphology_probes[kind]); k++) {
            Question q = {votes, t, c, k, vote_questions[k].n_answers, c->mode == MORPHOLOGY_RELEASED, kind == 0, {0}};
            MorphologyFit *to = &fit[(*n)++];
            int64_t rows = 0;
            q.net = net_of(&q);
            *to = (MorphologyFit){.input = input, .question = k, .probe = morphology_probes[kind]};
            for (int s = 0; s < N_SPLITS; s++) to->score[s] = (MorphologyScores){0, NAN, NAN, NAN};
            for (int64_t r = 0; r < t->rows->n; r++) rows += split_of(&q, r) == SPLIT_TRAIN;
            par_sum_i64(t->par, &rows, 1);
            to->score[SPLIT_TRAIN].n = rows;
            if (rows < t->config->min_rows) continue; /* told once, by the caller */
            to->n_weights = net_params(&q.net);
            TRY(par_agree(t->par, arena_new(&to->weight, a, to->n_weights)));
            Status st = train(to->weight, &q, a);
            if (st != OK) fail_note("fitting %s by %s", vote_questions[k].name, to->probe);
            TRY(st);
            TRY(score(to, &q, out, a));
        }
    clock_end("morphology");
    return OK;
}
