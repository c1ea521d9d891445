/* dino_teacher.c - the teacher's pass, without gradients: a few crops at a time, of which class tokens and hidden patches are
   kept; then what has to be known of its logits before they become probabilities. */
#include <string.h>

#include "dino_impl.h"
#include "nn/distill.h"
#include "nn/gemm.h"
#include "nn/linear.h"

enum { CROPS_TOGETHER = 8 };

void dino_logits(real *logits, const real *z, const real *w, int64_t rows, const DinoHead *h)
{
    linear_forward(logits, z, w, NULL, rows, h->config.prototypes, h->config.bottleneck);
}

/* Class tokens and hidden patches of crops [first, first + count). *at: hidden patches so far. */
static Status see_crops(real *features, real *patch, int64_t *at, const Dino *d, const DinoBatch *b, int64_t first,
                        int64_t count, Arena *step)
{
    const VitConfig *c = &d->vit->config;
    const PatchMasks *m = &b->masks;
    const int64_t dim = c->embed_dim, tokens = vit_tokens(c, b->global_size, VIT_CLASS), patches = tokens - 1;
    const Mark mark = arena_mark(step);
    real *out;
    TRY(arena_new(&out, step, count * tokens * dim));
    TRY(vit_forward(out, d->vit, b->global + first * CROPS_BANDS * b->global_size * b->global_size, count,
                    b->global_size, VIT_CLASS, NULL, step));
    for (int64_t i = 0; i < count; i++)
        memcpy(features + (first + i) * dim, out + i * tokens * dim, sizeof *out * (size_t)dim);
    for (; *at < m->n && m->index[*at] < (first + count) * patches; ++*at) {
        const int64_t crop = m->index[*at] / patches - first, own = m->index[*at] % patches;
        memcpy(patch + *at * dim, out + (crop * tokens + 1 + own) * dim, sizeof *out * (size_t)dim);
    }
    arena_reset(step, mark);
    return OK;
}

/* z of `rows` rows of tokens, into place. */
static Status directions(real *z, const DinoHead *h, const real *x, int64_t rows, Arena *step)
{
    const Mark mark = arena_mark(step);
    DinoHeadTrace t;
    TRY(dinohead_forward(&t, h, x, rows, step));
    memcpy(z, t.z, sizeof *z * (size_t)(rows * h->config.bottleneck));
    arena_reset(step, mark);
    return OK;
}

static Status teach(DinoTeacher *t, const Dino *d, const DinoBatch *b, Arena *a)
{
    const int64_t dim = d->head.config.input, crops = CROPS_GLOBAL * b->n, n_masked = b->masks.n;
    real *patch, *swapped, *norm;
    int64_t at = 0;
    TRY(arena_new(&patch, a, gemm_pad(n_masked) * dim));
    TRY(arena_new(&swapped, a, gemm_pad(crops) * dim));
    TRY(arena_new(&norm, a, d->head.config.prototypes));
    for (int64_t i = 0; i < crops; i += CROPS_TOGETHER)
        TRY(see_crops(t->features, patch, &at, d, b, i, crops - i < CROPS_TOGETHER ? crops - i : CROPS_TOGETHER, a));
    MUST(at == n_masked);
    for (int64_t i = 0; i < crops; i++)
        memcpy(swapped + i * dim, t->features + (i + b->n) % crops * dim, sizeof *swapped * (size_t)dim);
    dinohead_prototypes(t->w, norm, &d->head);
    TRY(directions(t->z[DINO_CLASS], &d->head, swapped, crops, a));
    return directions(t->z[DINO_PATCH], &d->head, patch, n_masked, a);
}

Status dino_teach(DinoTeacher *t, const Dino *d, const DinoBatch *b, Arena *a)
{
    const DinoHeadConfig *c = &d->head.config;
    *t = (DinoTeacher){.rows = {CROPS_GLOBAL * b->n, b->masks.n}};
    for (int k = 0; k < DINO_PARTS; k++) TRY(arena_new(&t->z[k], a, gemm_pad(t->rows[k]) * c->bottleneck));
    TRY(arena_new(&t->features, a, t->rows[DINO_CLASS] * c->input));
    TRY(arena_new(&t->w, a, c->prototypes * c->bottleneck));
    const Mark mark = arena_mark(a);
    TRY(teach(t, d, b, a));
    arena_reset(a, mark);
    return OK;
}

/* ---- what its logits are like ---- */

typedef struct {
    double *const *sum, *const *factor;
    double *most, temp;
    int64_t n; /* prototypes */
} Survey;

typedef void (*Visit)(const Survey *s, int part, const real *logits, int64_t rows);

static Status visit_logits(Visit visit, const Survey *s, const DinoTeacher *t, const DinoHead *h, Arena *step)
{
    const Mark mark = arena_mark(step);
    real *logits;
    TRY(arena_new(&logits, step, DINO_PIECE * h->config.prototypes));
    for (int part = 0; part < DINO_PARTS; part++)
        for (int64_t i = 0; i < t->rows[part]; i += DINO_PIECE) {
            const int64_t rows = t->rows[part] - i < DINO_PIECE ? t->rows[part] - i : DINO_PIECE;
            dino_logits(logits, t->z[part] + i * h->config.bottleneck, t->w, rows, h);
            visit(s, part, logits, rows);
        }
    arena_reset(step, mark);
    return OK;
}

static void add_rows(const Survey *s, int part, const real *logits, int64_t rows)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < s->n; k++) s->sum[part][k] += (double)logits[r * s->n + k];
}

Status dino_centre_sums(double *const sum[DINO_PARTS], const DinoTeacher *t, const DinoHead *h, Arena *step)
{
    return visit_logits(add_rows, &(Survey){.sum = sum, .n = h->config.prototypes}, t, h, step);
}

static void find_most(const Survey *s, int part, const real *logits, int64_t rows)
{
    s->most[part] = fmax(s->most[part], distill_most(logits, s->temp, rows * s->n));
}

Status dino_most(double most[DINO_PARTS], const DinoTeacher *t, const DinoHead *h, double temp, Arena *step)
{
    for (int part = 0; part < DINO_PARTS; part++) most[part] = -HUGE_VAL;
    return visit_logits(find_most, &(Survey){.most = most, .temp = temp, .n = h->config.prototypes}, t, h, step);
}

static void balance(const Survey *s, int part, const real *logits, int64_t rows)
{
    distill_sinkhorn(s->sum[part], logits, s->factor ? s->factor[part] : NULL, s->most[part], s->temp, rows, s->n);
}

Status dino_sinkhorn_sums(double *const sum[DINO_PARTS], const DinoTeacher *t, const DinoHead *h,
                          double *const factor[DINO_PARTS], const double most[DINO_PARTS], double temp, Arena *step)
{
    double own[DINO_PARTS] = {most[DINO_CLASS], most[DINO_PATCH]};
    return visit_logits(balance, &(Survey){sum, factor, own, temp, h->config.prototypes}, t, h, step);
}
