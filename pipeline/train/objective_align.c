/* objective_align.c - the contrastive alignment of both halves of the model (spec.md 5.4, 5.5).

   Local negatives: each replica is a batch of its own. Global negatives: the embeddings of all R replicas meet. The loss
   of the whole batch is L = sum of L_r, where L_r are the rows of replica r among all rows, over N. The optimiser takes
   the mean over replicas, so replica r reports R L_r, and its gradient is that of R L towards its own rows: what all
   replicas' L_q say of these rows, summed over the tree of replicas in double, times R. The mean is then the gradient
   of one replica with the whole batch. */
#include "train/objective.h"

#include <string.h>

#include "core/clock.h"
#include "model/clip.h"
#include "train/align_tokens.h"
#include "train/alignpass.h"

typedef struct {
    AlignConfig config;
    bool trained[N_MODALITIES];
    Model *model;
    Dataset *dataset;
    TokenCache cache;
} Align;

/* ---- one replica, forward ---- */

static Status fill_half(AlignHalf *h, Align *s, Modality m, const Sample *sample, int64_t n, Arena *a)
{
    const Branch *b = h->branch;
    for (int64_t i = 0; i < n; i++) {
        if (h->trained)
            TRY(align_input(h->input + i * b->n_inputs, b, m, s->dataset, &sample[i], a));
        else
            TRY(align_tokens(h->tokens + i * b->n_tokens * b->dim, b, m, s->dataset, &s->cache, &sample[i], a));
        clock_tick();
    }
    return OK;
}

/* factor (n, E): each object has a stream of its own in each place and step. */
static Status draw_dropout(real **factor, const char *purpose, const Align *s, const StepBatch *b, const Sample *sample)
{
    const int64_t dim = model_embed_dim(s->model);
    TRY(arena_new(factor, b->arena, b->batch * dim));
    for (int64_t i = 0; i < b->batch; i++) {
        Rng rng = rng_stream(b->seed, purpose, sample[i].targetid, (uint32_t)b->step);
        dropout_draw(*factor + i * dim, dim, s->config.dropout, &rng);
    }
    return OK;
}

static Status forward(AlignPass *p, Align *s, const StepBatch *b, int64_t k)
{
    static const char *const pooled[N_MODALITIES] = {"align.dropout.image.pooled", "align.dropout.spectrum.pooled"};
    static const char *const mlp[N_MODALITIES] = {"align.dropout.image.mlp", "align.dropout.spectrum.mlp"};
    const Sample *sample = b->sample + k * b->batch;
    TRY(alignpass_take(p, s->model, s->trained, s->config.recompute, b->batch, b->arena));
    for (int m = 0; m < N_MODALITIES; m++) {
        TRY(fill_half(&p->half[m], s, (Modality)m, sample, b->batch, b->arena));
        if (s->config.dropout == 0) continue;
        TRY(draw_dropout(&p->half[m].drop_pooled, pooled[m], s, b, sample));
        TRY(draw_dropout(&p->half[m].drop_mlp, mlp[m], s, b, sample));
    }
    return alignpass_forward(p, b->arena);
}

/* ---- one replica, backward ---- */

static void say_ready(void *optimizer, int64_t d_offset) { optimizer_ready(optimizer, d_offset); }

static Status backward(AlignPass *p, const Align *s, const StepBatch *b, int64_t k, real *const d_out[N_MODALITIES],
                       double d_scale)
{
    const GradientHook hook = {say_ready, b->optimizer};
    real *d_p = optimizer_gradient(b->optimizer, b->first + k);
    model_scale_backward(d_p, model_params(s->model), d_scale); /* the last of the table */
    TRY(alignpass_backward(d_p, p, d_out, &hook, b->arena));
    optimizer_collect(b->optimizer, b->first + k);
    return OK;
}

static double scale_of(const Align *s) { return model_scale(model_params(s->model), s->config.logit_scale); }

/* ---- local negatives ---- */

static Status train_replica(double *loss, Align *s, const StepBatch *b, int64_t k)
{
    const Mark mark = arena_mark(b->arena);
    AlignPass p;
    ClipTrace clip;
    real *d_out[N_MODALITIES];
    double d_scale = 0;
    TRY(forward(&p, s, b, k));
    for (int m = 0; m < N_MODALITIES; m++) TRY(arena_new(&d_out[m], b->arena, p.n * p.dim));
    TRY(clip_forward(loss, &clip, p.half[MODALITY_IMAGE].out, p.half[MODALITY_SPECTRUM].out, 0, p.n, p.n, p.dim,
                     scale_of(s), b->arena));
    TRY(clip_backward(d_out[MODALITY_IMAGE], d_out[MODALITY_SPECTRUM], &d_scale, &clip, b->arena));
    TRY(backward(&p, s, b, k, d_out, d_scale));
    arena_reset(b->arena, mark);
    return OK;
}

/* ---- global negatives ---- */

/* The replicas of this rank, all in memory until everybody's embeddings are known. */
typedef struct {
    int64_t n, dim;            /* rows of all replicas; E */
    AlignPass *pass;           /* (n_mine) */
    real *all[N_MODALITIES];   /* (n, E) everybody's embeddings */
    real **d_all;              /* (n_mine, N_MODALITIES): (n, E) what each of mine says of all rows */
    double *d_scale;           /* (n_mine) */
    real *d_out[N_MODALITIES]; /* (n_mine, batch, E) what all say of mine */
} Meeting;

static Status forward_all(Meeting *g, real **mine, Align *s, const StepBatch *b)
{
    const int64_t dim = model_embed_dim(s->model), rows = b->n_mine * b->batch;
    *g = (Meeting){.n = b->n_replicas * b->batch, .dim = dim};
    TRY(arena_new(&g->pass, b->arena, b->n_mine));
    TRY(arena_new(&g->d_all, b->arena, b->n_mine * N_MODALITIES));
    TRY(arena_new(&g->d_scale, b->arena, b->n_mine));
    for (int m = 0; m < N_MODALITIES; m++) {
        TRY(arena_new(&mine[m], b->arena, rows * dim));
        TRY(arena_new(&g->d_out[m], b->arena, rows * dim));
    }
    for (int64_t k = 0; k < b->n_mine; k++) {
        TRY(forward(&g->pass[k], s, b, k));
        for (int m = 0; m < N_MODALITIES; m++)
            memcpy(mine[m] + k * b->batch * dim, g->pass[k].half[m].out, sizeof **mine * (size_t)(b->batch * dim));
    }
    return OK;
}

static Status ask_replica(double *loss, Meeting *g, const Align *s, const StepBatch *b, int64_t k)
{
    real **d = g->d_all + k * N_MODALITIES;
    for (int m = 0; m < N_MODALITIES; m++) TRY(arena_new(&d[m], b->arena, g->n * g->dim));
    const Mark mark = arena_mark(b->arena);
    ClipTrace clip;
    TRY(clip_forward(loss, &clip, g->all[MODALITY_IMAGE], g->all[MODALITY_SPECTRUM], (b->first + k) * b->batch,
                     b->batch, g->n, g->dim, scale_of(s), b->arena));
    TRY(clip_backward(d[MODALITY_IMAGE], d[MODALITY_SPECTRUM], &g->d_scale[k], &clip, b->arena));
    arena_reset(b->arena, mark);
    *loss *= (double)b->n_replicas;
    g->d_scale[k] *= (double)b->n_replicas;
    return OK;
}

static Status ask_all(double *loss, Meeting *g, const Align *s, const StepBatch *b)
{
    for (int64_t k = 0; k < b->n_mine; k++) TRY(ask_replica(&loss[k], g, s, b, k));
    return OK;
}

/* This rank's part of what is said of replica q: a leaf for each of its own. */
static Status push_said(TreeSum *sum, double **value, const Meeting *g, const StepBatch *b, int64_t q)
{
    const int64_t each = b->batch * g->dim;
    TRY(arena_new(value, b->arena, N_MODALITIES * each));
    TRY(treesum_init(sum, N_MODALITIES * each, b->n_replicas, b->arena));
    for (int64_t k = 0; k < b->n_mine; k++) {
        for (int m = 0; m < N_MODALITIES; m++) {
            const real *said = g->d_all[k * N_MODALITIES + m] + q * each;
            for (int64_t i = 0; i < each; i++) (*value)[m * each + i] = (double)said[i];
        }
        treesum_push(sum, b->first + k, *value);
    }
    return OK;
}

/* Collective. One replica at a time, so that the tree holds a replica's rows and not everybody's. */
static Status sum_rows(Meeting *g, const StepBatch *b)
{
    const int64_t each = b->batch * g->dim;
    for (int64_t q = 0; q < b->n_replicas; q++) {
        const Mark mark = arena_mark(b->arena);
        TreeSum sum;
        double *value;
        TRY(par_agree(b->par, push_said(&sum, &value, g, b, q)));
        TRY(par_tree_finish(value, &sum, b->par, b->arena));
        const int64_t k = q - b->first;
        for (int m = 0; k >= 0 && k < b->n_mine && m < N_MODALITIES; m++)
            for (int64_t i = 0; i < each; i++)
                g->d_out[m][k * each + i] = (real)((double)b->n_replicas * value[m * each + i]);
        arena_reset(b->arena, mark);
    }
    return OK;
}

/* Collective. */
static Status train_together(double *loss, Align *s, const StepBatch *b)
{
    Meeting g;
    real *mine[N_MODALITIES];
    TRY(par_agree(b->par, forward_all(&g, mine, s, b)));
    for (int m = 0; m < N_MODALITIES; m++) {
        int64_t n;
        TRY(par_allgather((void **)&g.all[m], &n, b->par, mine[m], b->n_mine * b->batch, sizeof(real) * (size_t)g.dim,
                          b->arena));
        MUST(n == g.n);
    }
    TRY(par_agree(b->par, ask_all(loss, &g, s, b)));
    TRY(sum_rows(&g, b));
    for (int64_t k = 0; k < b->n_mine; k++) {
        real *const d_out[N_MODALITIES] = {g.d_out[0] + k * b->batch * g.dim, g.d_out[1] + k * b->batch * g.dim};
        TRY(backward(&g.pass[k], s, b, k, d_out, g.d_scale[k]));
    }
    return OK;
}

/* ---- the objective ---- */

static Status step(double *loss, void *self, const StepBatch *b)
{
    Align *s = self;
    const Mark mark = arena_mark(b->arena);
    if (s->config.negatives == NEGATIVES_GLOBAL) {
        TRY(train_together(loss, s, b));
    } else {
        for (int64_t k = 0; k < b->n_mine; k++) TRY(train_replica(&loss[k], s, b, k));
    }
    arena_reset(b->arena, mark);
    return OK;
}

/* out (E) of a sample, as `embed` will make it. */
static Status embed_half(real *out, Align *s, Modality m, const Sample *sample, Arena *a)
{
    const Branch *b = model_branch(s->model, m == MODALITY_IMAGE);
    const Mark mark = arena_mark(a);
    real *tokens;
    TRY(arena_new(&tokens, a, b->n_tokens * b->dim));
    TRY(align_tokens(tokens, b, m, s->dataset, s->trained[m] ? NULL : &s->cache, sample, a));
    TRY(head_forward(out, NULL, NULL, &b->head, tokens, 1, b->n_tokens, a));
    arena_reset(a, mark);
    clock_tick();
    return OK;
}

static Status validate(double *loss, void *self, const Sample *sample, int64_t n, uint64_t seed, Arena *a)
{
    (void)seed; /* nothing is drawn */
    Align *s = self;
    const int64_t dim = model_embed_dim(s->model);
    const Mark mark = arena_mark(a);
    ClipTrace clip;
    real *out[N_MODALITIES];
    for (int m = 0; m < N_MODALITIES; m++) {
        TRY(arena_new(&out[m], a, n * dim));
        for (int64_t i = 0; i < n; i++) TRY(embed_half(out[m] + i * dim, s, (Modality)m, &sample[i], a));
    }
    TRY(clip_forward(loss, &clip, out[MODALITY_IMAGE], out[MODALITY_SPECTRUM], 0, n, n, dim, scale_of(s), a));
    arena_reset(a, mark);
    return OK;
}

static Status refresh(void *self)
{
    Align *s = self;
    return model_prepare(s->model, NULL); /* its memory is there since align_objective */
}

/* A parameter that gets no gradient but is not frozen would be decayed step by step. */
static Status check_frozen(const Params *p, const char *const *prefix)
{
    for (; *prefix; prefix++)
        for (int64_t i = 0; i < p->n_params; i++)
            if (p->param[i].d_offset >= 0 && strncmp(p->param[i].name, *prefix, strlen(*prefix)) == 0)
                return FAIL(E_BUG, "parameter %s has no gradient in this alignment and is not frozen",
                            p->param[i].name);
    return OK;
}

Status align_frozen(const char ***prefixes, const AlignConfig *c, const Model *model, Arena *a)
{
    int64_t n = 0;
    TRY(arena_new(prefixes, a, 2 * BRANCH_FREEZES + 2));
    TRY(branch_freeze(*prefixes, &n, model_branch(model, true), c->freeze_image, a));
    TRY(branch_freeze(*prefixes, &n, model_branch(model, false), c->freeze_spectrum, a));
    if (!c->learn_scale) (*prefixes)[n++] = "logit_scale";
    (*prefixes)[n] = NULL;
    return OK;
}

Status align_objective(Objective *out, const AlignConfig *c, Model *model, Dataset *d, Arena *a)
{
    Align *s;
    const char **frozen;
    TRY(align_frozen(&frozen, c, model, a));
    TRY(check_frozen(model_params(model), frozen));
    MUST(c->learn_scale == (params_find(model_params(model), "logit_scale") != NULL)); /* model_build_scaled */
    TRY(arena_new(&s, a, 1));
    *s = (Align){.config = *c, .model = model, .dataset = d};
    s->trained[MODALITY_IMAGE] = !c->freeze_image;
    s->trained[MODALITY_SPECTRUM] = !c->freeze_spectrum;
    TRY(model_prepare(model, a));
    if (c->tokens == TOKENS_CACHE && (c->freeze_image || c->freeze_spectrum))
        TRY(align_tokens_open(&s->cache, c, model, a));
    *out = (Objective){
        .name = "alignment", .needs = SAMPLES_PAIRS, .self = s, .step = step, .validate = validate, .refresh = refresh};
    return OK;
}

void align_close(Objective *o)
{
    if (o->self) align_tokens_close(&((Align *)o->self)->cache);
}
