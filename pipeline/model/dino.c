/* dino.c - the student's pass: crops through the encoder, class tokens and hidden patches through the head, losses piece by
   piece over rows, and all of it back. The teacher is in dino_teacher.c. */
#include "model/dino.h"

#include <string.h>

#include "dino_impl.h"
#include "nn/collapse.h"
#include "nn/distill.h"
#include "nn/gemm.h"
#include "nn/koleo.h"
#include "nn/linear.h"

Status dino_batch(DinoBatch *b, const CropsConfig *c, int64_t n, Arena *a)
{
    *b = (DinoBatch){.n = n, .n_local = c->n_local, .global_size = c->global_size, .local_size = c->local_size};
    TRY(arena_new(&b->global, a, CROPS_GLOBAL * n * CROPS_BANDS * c->global_size * c->global_size));
    return arena_new(&b->local, a, c->n_local * n * CROPS_BANDS * c->local_size * c->local_size);
}

/* Rows of the head, in this order. */
typedef enum { ROWS_LOCAL, ROWS_GLOBAL, ROWS_PATCH, N_ROWS } RowKind;

typedef struct {
    const Dino *d;
    const DinoBatch *b;
    const DinoTeacher *t;
    const DinoTargets *targets;
    const DinoPass *how;
    VitTrace global, local;
    real *global_out, *local_out; /* (crops, tokens, D) */
    int64_t first[N_ROWS + 1];    /* row that each kind begins with */
    real *x, *d_x;                /* (rows, D) what the head reads */
    DinoHeadTrace head;
    real *w, *norm;  /* the student's prototypes */
    real *d_w, *d_z; /* NULL without gradients */
    real *target;    /* (2 n, prototypes) what the teacher says of class tokens */
    real *both;      /* (n, prototypes) of both crops of an image together */
    DinoTerms *terms;
    Arena *step;
} Lesson;

/* ---- crops ---- */

static Status see(Lesson *l)
{
    const Dino *d = l->d;
    const DinoBatch *b = l->b;
    const VitConfig *c = &d->vit->config;
    const int64_t n_global = CROPS_GLOBAL * b->n, n_local = b->n_local * b->n;
    TRY(arena_new(&l->global_out, l->step, n_global * vit_tokens(c, b->global_size, VIT_CLASS) * c->embed_dim));
    TRY(arena_new(&l->local_out, l->step, n_local * vit_tokens(c, b->local_size, VIT_CLASS) * c->embed_dim));
    TRY(vit_forward_train(l->global_out, &l->global, d->vit, b->global, n_global, b->global_size, VIT_CLASS,
                          b->masks.mask, l->how->drop_global, l->how->recompute, l->step));
    if (n_local == 0) return OK;
    return vit_forward_train(l->local_out, &l->local, d->vit, b->local, n_local, b->local_size, VIT_CLASS, NULL,
                             l->how->drop_local, l->how->recompute, l->step);
}

/* Copies rows between the head's matrix and tokens, one way or the other. */
static void exchange(real *row, real *token, int64_t dim, bool to_row)
{
    memcpy(to_row ? row : token, to_row ? token : row, sizeof *row * (size_t)dim);
}

static void exchange_all(const Lesson *l, real *x, real *global, real *local, bool to_rows)
{
    const int64_t dim = l->d->vit->config.embed_dim, patches = l->global.patches;
    for (int64_t i = 0; i < l->b->n_local * l->b->n; i++)
        exchange(x + (l->first[ROWS_LOCAL] + i) * dim, local + i * l->local.tokens * dim, dim, to_rows);
    for (int64_t i = 0; i < CROPS_GLOBAL * l->b->n; i++)
        exchange(x + (l->first[ROWS_GLOBAL] + i) * dim, global + i * l->global.tokens * dim, dim, to_rows);
    for (int64_t i = 0; i < l->b->masks.n; i++) {
        const int64_t at = l->b->masks.index[i], crop = at / patches, patch = at % patches;
        exchange(x + (l->first[ROWS_PATCH] + i) * dim, global + (crop * l->global.tokens + 1 + patch) * dim, dim,
                 to_rows);
    }
}

static Status ask_head(Lesson *l, bool gradients)
{
    const DinoHeadConfig *c = &l->d->head.config;
    const int64_t rows[N_ROWS] = {l->b->n_local * l->b->n, CROPS_GLOBAL * l->b->n, l->b->masks.n};
    for (int k = 0; k < N_ROWS; k++) l->first[k + 1] = l->first[k] + rows[k];
    const int64_t n = gemm_pad(l->first[N_ROWS]), prototypes = c->prototypes * c->bottleneck;
    TRY(arena_new(&l->x, l->step, n * c->input));
    TRY(arena_new(&l->w, l->step, prototypes));
    TRY(arena_new(&l->norm, l->step, c->prototypes));
    if (gradients) {
        TRY(arena_new(&l->d_x, l->step, n * c->input));
        TRY(arena_new(&l->d_z, l->step, n * c->bottleneck));
        TRY(arena_new(&l->d_w, l->step, prototypes));
    }
    exchange_all(l, l->x, l->global_out, l->local_out, true);
    dinohead_prototypes(l->w, l->norm, &l->d->head);
    return dinohead_forward(&l->head, &l->d->head, l->x, l->first[N_ROWS], l->step);
}

/* ---- losses ---- */

/* What the teacher says of class tokens, and how collapsed it looks. */
static Status listen(Lesson *l)
{
    const DinoHead *h = &l->d->head;
    const int64_t n = h->config.prototypes, rows = l->t->rows[DINO_CLASS], half = l->b->n * n;
    TRY(arena_new(&l->target, l->step, rows * n));
    TRY(arena_new(&l->both, l->step, half));
    dino_logits(l->target, l->t->z[DINO_CLASS], l->t->w, rows, h);
    distill_targets(l->target, l->target, l->targets->offset[DINO_CLASS], l->targets->temp, rows, n);
    for (int64_t i = 0; i < half; i++) l->both[i] = l->target[i] + l->target[half + i];
    TRY(collapse_entropy(&l->terms->entropy, l->target, rows, n, l->step));
    return collapse_rank(&l->terms->rank, l->t->features, rows, h->config.input, l->step);
}

/* Adds the loss of rows [first, first + rows) of the head to *loss; target (rows, prototypes). `logits` is room for as many. */
static void learn_rows(double *loss, Lesson *l, int64_t first, int64_t rows, const real *target, const double *weight,
                       real *logits)
{
    const DinoHeadConfig *c = &l->d->head.config;
    const real *z = l->head.z + first * c->bottleneck;
    dino_logits(logits, z, l->w, rows, &l->d->head);
    *loss +=
        distill_loss(l->d_w ? logits : NULL, target, logits, weight, l->d->losses.student_temp, rows, c->prototypes);
    if (l->d_w)
        linear_backward(l->d_z + first * c->bottleneck, l->d_w, NULL, logits, z, l->w, rows, c->prototypes,
                        c->bottleneck);
}

/* Row i of n of the class tokens of one crop is compared with row i of `target`. */
static void learn_class(double *loss, Lesson *l, int64_t first, int64_t n, const real *target, const double *weight,
                        real *logits)
{
    for (int64_t i = 0; i < n; i += DINO_PIECE)
        learn_rows(loss, l, first + i, n - i < DINO_PIECE ? n - i : DINO_PIECE,
                   target + i * l->d->head.config.prototypes, weight, logits);
}

/* Each local crop learns of both global ones, each global one of the other. */
static void learn_classes(Lesson *l, double *weight, real *logits)
{
    const int64_t n = l->b->n, n_local = l->b->n_local, pairs = n_local > 0 ? CROPS_GLOBAL * n_local : 1;
    const double each = l->d->losses.dino_weight / (double)((CROPS_GLOBAL + pairs) * n);
    for (int64_t i = 0; i < DINO_PIECE; i++) weight[i] = each;
    for (int64_t k = 0; k < n_local; k++)
        learn_class(&l->terms->local, l, l->first[ROWS_LOCAL] + k * n, n, l->both, weight, logits);
    learn_class(&l->terms->global, l, l->first[ROWS_GLOBAL], CROPS_GLOBAL * n, l->target, weight, logits);
}

static Status learn_patches(Lesson *l, double *weight, real *logits)
{
    const DinoHeadConfig *c = &l->d->head.config;
    const PatchMasks *m = &l->b->masks;
    const double each = l->d->losses.ibot_weight / (double)(CROPS_GLOBAL * l->b->n);
    real *target;
    TRY(arena_new(&target, l->step, DINO_PIECE * c->prototypes));
    for (int64_t i = 0; i < m->n; i += DINO_PIECE) {
        const int64_t rows = m->n - i < DINO_PIECE ? m->n - i : DINO_PIECE;
        for (int64_t k = 0; k < rows; k++) weight[k] = each * (double)m->weight[i + k];
        dino_logits(target, l->t->z[DINO_PATCH] + i * c->bottleneck, l->t->w, rows, &l->d->head);
        distill_targets(target, target, l->targets->offset[DINO_PATCH], l->targets->temp, rows, c->prototypes);
        learn_rows(&l->terms->ibot, l, l->first[ROWS_PATCH] + i, rows, target, weight, logits);
    }
    return OK;
}

static Status learn_losses(Lesson *l)
{
    const Mark mark = arena_mark(l->step);
    double *weight;
    real *logits;
    TRY(arena_new(&weight, l->step, DINO_PIECE));
    TRY(arena_new(&logits, l->step, DINO_PIECE * l->d->head.config.prototypes));
    TRY(listen(l));
    learn_classes(l, weight, logits);
    TRY(learn_patches(l, weight, logits));
    arena_reset(l->step, mark);
    return OK;
}

/* Of each crop of the images by itself. */
static Status spread(Lesson *l)
{
    const int64_t dim = l->d->vit->config.embed_dim, n = l->b->n;
    const double weight = l->d->losses.koleo_weight;
    for (int k = 0; k < CROPS_GLOBAL && weight > 0 && n > 1; k++) {
        const int64_t at = (l->first[ROWS_GLOBAL] + k * n) * dim;
        double loss;
        TRY(koleo_loss(&loss, l->d_x ? l->d_x + at : NULL, l->x + at, (real)weight, n, dim, l->step));
        l->terms->koleo += weight * loss;
    }
    return OK;
}

/* ---- backward ---- */

static Status teach_encoder(real *d_p, Lesson *l)
{
    const int64_t dim = l->d->vit->config.embed_dim, n_local = l->b->n_local * l->b->n;
    real *d_global, *d_local;
    TRY(arena_new(&d_global, l->step, CROPS_GLOBAL * l->b->n * l->global.tokens * dim));
    TRY(arena_new(&d_local, l->step, n_local * l->local.tokens * dim));
    exchange_all(l, l->d_x, d_global, d_local, false);
    if (n_local > 0) TRY(vit_backward(d_p, &l->local, l->d->vit, d_local, l->step));
    l->global.hook = l->how->hook;
    return vit_backward(d_p, &l->global, l->d->vit, d_global, l->step);
}

Status dino_learn(DinoTerms *out, real *d_p, const Dino *student, const DinoBatch *b, const DinoTeacher *t,
                  const DinoTargets *targets, const DinoPass *how, Arena *step)
{
    const Mark mark = arena_mark(step);
    Lesson l = {.d = student, .b = b, .t = t, .targets = targets, .how = how, .terms = out, .step = step};
    *out = (DinoTerms){0};
    TRY(see(&l));
    TRY(ask_head(&l, d_p != NULL));
    TRY(learn_losses(&l));
    TRY(spread(&l));
    if (d_p) {
        dinohead_prototypes_backward(d_p, l.d_w, l.norm, &student->head);
        TRY(dinohead_backward(l.d_x, d_p, &l.head, &student->head, l.d_z, step));
        TRY(teach_encoder(d_p, &l));
    }
    arena_reset(step, mark);
    return OK;
}

/* ---- plans ---- */

static double trace_reals(const VitConfig *c, int64_t count, int64_t size, bool recompute)
{
    const int64_t rows = count * vit_tokens(c, size, VIT_CLASS);
    const double block = (double)block_trace_reals(rows, c->embed_dim, true);
    return recompute ? (double)(c->depth * rows * c->embed_dim) + block : (double)c->depth * block;
}

static double hidden_rows(const Dino *d, const CropsConfig *c, int64_t n, double hidden)
{
    return hidden * (double)(CROPS_GLOBAL * n * vit_tokens(&d->vit->config, c->global_size, VIT_PATCHES));
}

double dino_kept_reals(const Dino *d, const CropsConfig *c, int64_t n, double hidden)
{
    const DinoHeadConfig *h = &d->head.config;
    const int64_t pixels = CROPS_GLOBAL * c->global_size * c->global_size + c->n_local * c->local_size * c->local_size;
    return (double)(n * CROPS_BANDS * pixels + CROPS_GLOBAL * n * (h->input + h->bottleneck) +
                    h->prototypes * h->bottleneck) +
           hidden_rows(d, c, n, hidden) * (double)h->bottleneck;
}

double dino_learn_reals(const Dino *d, const CropsConfig *c, int64_t n, double hidden, bool recompute)
{
    const VitConfig *v = &d->vit->config;
    const DinoHeadConfig *h = &d->head.config;
    const int64_t n_global = CROPS_GLOBAL * n, n_local = c->n_local * n;
    const int64_t global = n_global * vit_tokens(v, c->global_size, VIT_CLASS);
    const int64_t local = n_local * vit_tokens(v, c->local_size, VIT_CLASS);
    const double rows = (double)(n_global + n_local) + hidden_rows(d, c, n, hidden);
    return trace_reals(v, n_global, c->global_size, recompute) + trace_reals(v, n_local, c->local_size, recompute) +
           (double)block_pass_reals(global, v->embed_dim) + 3 * (double)((global + local) * v->embed_dim) +
           rows * (double)(2 * h->input + 6 * h->hidden + 4 * h->bottleneck) +
           (double)h->prototypes * (double)(2 * h->bottleneck + 2 * DINO_PIECE + 3 * n);
}
