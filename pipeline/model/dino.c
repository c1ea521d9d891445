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
    VitTrace trace;
    int64_t tokens, local_tokens, rows; /* of a whole crop, of a local one, of all */
    real *out;                          /* (rows, D) tokens of whole crops, then of local ones */
    int64_t first[N_ROWS + 1];          /* row that each kind begins with */
    real *x, *d_x;                      /* (rows, D) what the head reads */
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
    const DinoBatch *b = l->b;
    const VitImages set[] = {
        {b->global, CROPS_GLOBAL * b->n, b->global_size, b->masks.mask, l->how->drop_global},
        {b->local, b->n_local * b->n, b->local_size, NULL, l->how->drop_local},
    };
    const VitConfig *c = &l->d->vit->config;
    l->tokens = vit_tokens(c, b->global_size, VIT_CLASS);
    l->local_tokens = b->n_local > 0 ? vit_tokens(c, b->local_size, VIT_CLASS) : 0;
    l->rows = set[0].count * l->tokens + set[1].count * l->local_tokens;
    TRY(arena_new(&l->out, l->step, l->rows * c->embed_dim));
    return vit_forward_train(l->out, &l->trace, l->d->vit, set, b->n_local > 0 ? 2 : 1, VIT_CLASS, l->how->recompute,
                             l->step);
}

/* Copies rows between the head's matrix and tokens, one way or the other. */
static void exchange(real *row, real *token, int64_t dim, bool to_row)
{
    memcpy(to_row ? row : token, to_row ? token : row, sizeof *row * (size_t)dim);
}

static void exchange_all(const Lesson *l, real *x, real *tokens, bool to_rows)
{
    const int64_t dim = l->d->vit->config.embed_dim, n_global = CROPS_GLOBAL * l->b->n, patches = l->tokens - 1;
    real *local = tokens + n_global * l->tokens * dim;
    for (int64_t i = 0; i < l->b->n_local * l->b->n; i++)
        exchange(x + (l->first[ROWS_LOCAL] + i) * dim, local + i * l->local_tokens * dim, dim, to_rows);
    for (int64_t i = 0; i < n_global; i++)
        exchange(x + (l->first[ROWS_GLOBAL] + i) * dim, tokens + i * l->tokens * dim, dim, to_rows);
    for (int64_t i = 0; i < l->b->masks.n; i++) {
        const int64_t at = l->b->masks.index[i], crop = at / patches, patch = at % patches;
        exchange(x + (l->first[ROWS_PATCH] + i) * dim, tokens + (crop * l->tokens + 1 + patch) * dim, dim, to_rows);
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
    exchange_all(l, l->x, l->out, true);
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

/* Adds the loss of rows [first, first + rows) of the head, at most DINO_PIECE, to *loss. Row r is compared with row
   (at + r) % n of target (n, prototypes). `logits` is room for as many. */
static void learn_rows(double *loss, Lesson *l, int64_t first, int64_t rows, const real *target, int64_t at, int64_t n,
                       const double *weight, real *logits)
{
    const DinoHeadConfig *c = &l->d->head.config;
    const real *z = l->head.z + first * c->bottleneck;
    dino_logits(logits, z, l->w, rows, &l->d->head);
    for (int64_t r = 0, some; r < rows; r += some) {
        const int64_t from = (at + r) % n;
        real *own = logits + r * c->prototypes;
        some = rows - r < n - from ? rows - r : n - from;
        *loss += distill_loss(l->d_w ? own : NULL, target + from * c->prototypes, own, weight + r,
                              l->d->losses.student_temp, some, c->prototypes);
    }
    if (l->d_w)
        linear_backward(l->d_z + first * c->bottleneck, l->d_w, NULL, logits, z, l->w, rows, c->prototypes,
                        c->bottleneck);
}

/* `rows` rows of class tokens, compared with the n of `target` over and over. */
static void learn_class(double *loss, Lesson *l, int64_t first, int64_t rows, const real *target, int64_t n,
                        const double *weight, real *logits)
{
    for (int64_t i = 0; i < rows; i += DINO_PIECE)
        learn_rows(loss, l, first + i, rows - i < DINO_PIECE ? rows - i : DINO_PIECE, target, i, n, weight, logits);
}

/* Each local crop learns of both global ones, each global one of the other. */
static void learn_classes(Lesson *l, double *weight, real *logits)
{
    const int64_t n = l->b->n, n_local = l->b->n_local, pairs = n_local > 0 ? CROPS_GLOBAL * n_local : 1;
    const double each = l->d->losses.dino_weight / (double)((CROPS_GLOBAL + pairs) * n);
    for (int64_t i = 0; i < DINO_PIECE; i++) weight[i] = each;
    learn_class(&l->terms->local, l, l->first[ROWS_LOCAL], n_local * n, l->both, n, weight, logits);
    learn_class(&l->terms->global, l, l->first[ROWS_GLOBAL], CROPS_GLOBAL * n, l->target, CROPS_GLOBAL * n, weight,
                logits);
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
        learn_rows(&l->terms->ibot, l, l->first[ROWS_PATCH] + i, rows, target, 0, rows, weight, logits);
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
    real *d_out;
    TRY(arena_new(&d_out, l->step, l->rows * l->d->vit->config.embed_dim));
    exchange_all(l, l->d_x, d_out, false);
    l->trace.hook = l->how->hook;
    return vit_backward(d_p, &l->trace, l->d->vit, d_out, l->step);
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

static double trace_reals(const VitConfig *c, int64_t rows, bool recompute)
{
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
    return trace_reals(v, global + local, recompute) + (double)block_pass_reals(global + local, v->embed_dim) +
           3 * (double)((global + local) * v->embed_dim) +
           rows * (double)(2 * h->input + 6 * h->hidden + 4 * h->bottleneck) +
           (double)h->prototypes * (double)(2 * h->bottleneck + 2 * DINO_PIECE + 3 * n);
}
