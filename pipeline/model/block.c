/* block.c - x += scale1 * proj(attention(norm1(x))), x += scale2 * down(gelu(up(norm2(x)))). Activations live in the
   step arena.

   The backward pass reads the forward one upwards. A trace keeps what costs a product of matrices to compute again;
   layer norms and gelu are repeated. */
#include "model/block.h"

#include <stdio.h>
#include <string.h>

#include "nn/attention.h"
#include "nn/gelu.h"
#include "nn/gemm.h"
#include "nn/init.h"
#include "nn/layernorm.h"
#include "nn/linear.h"
#include "nn/vector.h"
#include "block_panels.h"

static Status declare_pair(LinearParams *out, Params *p, const char *prefix, const char *name, int n_dims,
                           const int64_t *dims)
{
    char text[PARAM_NAME];
    snprintf(text, sizeof text, "%s.weight", name);
    TRY(params_declare(&out->weight, p, prefix, text, n_dims, dims));
    snprintf(text, sizeof text, "%s.bias", name);
    return params_declare(&out->bias, p, prefix, text, 1, dims);
}

Status block_declare_linear(LinearParams *out, Params *p, const char *prefix, const char *name, int64_t n_out,
                            int64_t n_in)
{
    TRY(declare_pair(out, p, prefix, name, 2, (const int64_t[]){n_out, n_in}));
    p->param[out->weight].linear = true;
    return OK;
}

Status block_declare_norm(LinearParams *out, Params *p, const char *prefix, const char *name, int64_t n)
{
    return declare_pair(out, p, prefix, name, 1, &n);
}

static Status declare_gamma(int64_t *out, Params *p, const char *prefix, const char *name, int64_t dim)
{
    *out = -1;
    return name ? params_declare(out, p, prefix, name, 1, &dim) : OK;
}

Status block_declare(Block *b, Params *p, const char *prefix, const BlockNames *names, int64_t dim)
{
    TRY(block_declare_norm(&b->norm1, p, prefix, names->norm1, dim));
    TRY(block_declare_linear(&b->qkv, p, prefix, names->qkv, 3 * dim, dim));
    TRY(block_declare_linear(&b->proj, p, prefix, names->proj, dim, dim));
    TRY(declare_gamma(&b->gamma1, p, prefix, names->gamma1, dim));
    TRY(block_declare_norm(&b->norm2, p, prefix, names->norm2, dim));
    TRY(block_declare_linear(&b->up, p, prefix, names->up, MLP_RATIO * dim, dim));
    TRY(block_declare_linear(&b->down, p, prefix, names->down, dim, MLP_RATIO * dim));
    return declare_gamma(&b->gamma2, p, prefix, names->gamma2, dim);
}

void block_init_norm(Params *p, LinearParams l)
{
    init_constant(p, l.weight, 1);
    init_constant(p, l.bias, 0);
}

void block_linear(real *y, const Params *p, LinearParams l, const real *x, int64_t rows)
{
    const Param *w = &p->param[l.weight];
    linear_forward(y, x, params_at(p, l.weight), params_at(p, l.bias), rows, w->dims[0], w->n / w->dims[0]);
}

void block_norm(real *y, const Params *p, LinearParams l, const real *x, int64_t rows, real eps)
{
    layernorm_forward(y, NULL, NULL, x, params_at(p, l.weight), params_at(p, l.bias), rows, p->param[l.weight].n, eps);
}

/* x += gamma * branch, row by row; gamma < 0 stands for ones. */
static void add_branch(real *x, const Params *p, int64_t gamma, const real *branch, int64_t rows, int64_t dim)
{
    const real *scale = gamma < 0 ? NULL : params_at(p, gamma);
    for (int64_t r = 0; r < rows; r++) {
        real *to = x + r * dim;
        const real *from = branch + r * dim;
        if (scale)
            for (int64_t i = 0; i < dim; i++) to[i] += scale[i] * from[i];
        else
            for (int64_t i = 0; i < dim; i++) to[i] += from[i];
    }
}

/* What a block works in, for any number of blocks. */
typedef struct {
    real *norm, *branch; /* (rows, dim) */
    real *wide;          /* (rows, 4 dim): first q, k, v, then the hidden layer */
} ForwardRoom;

static Status forward_one(real *x, ForwardRoom *r, const Params *p, const Block *b, const BlockShape *s, Arena *step)
{
    const int64_t dim = s->dim, rows = gemm_pad(s->count * s->tokens);
    block_norm(r->norm, p, b->norm1, x, rows, s->eps);
    block_linear(r->wide, p, b->qkv, r->norm, rows);
    for (int64_t i = 0; i < s->count; i++)
        TRY(attention_forward(r->norm + i * s->tokens * dim, r->wide + i * s->tokens * 3 * dim, s->tokens, s->heads,
                              dim / s->heads, step));
    block_linear(r->branch, p, b->proj, r->norm, rows);
    add_branch(x, p, b->gamma1, r->branch, rows, dim);

    block_norm(r->norm, p, b->norm2, x, rows, s->eps);
    block_linear(r->wide, p, b->up, r->norm, rows);
    gelu_forward(r->wide, r->wide, rows * MLP_RATIO * dim);
    block_linear(r->branch, p, b->down, r->wide, rows);
    add_branch(x, p, b->gamma2, r->branch, rows, dim);
    return OK;
}

Status block_forward(real *x, const Params *p, const Block *b, int64_t n_blocks, const BlockShape *s, Arena *step)
{
#ifdef NN_PANELS
    if (panels_parts() > 0) return block_forward_panels(x, p, b, n_blocks, s, step);
#endif
    const int64_t rows = gemm_pad(s->count * s->tokens);
    const Mark mark = arena_mark(step);
    ForwardRoom r;
    TRY(arena_new(&r.norm, step, rows * s->dim));
    TRY(arena_new(&r.branch, step, rows * s->dim));
    TRY(arena_new(&r.wide, step, rows * MLP_RATIO * s->dim));
    for (int64_t i = 0; i < n_blocks; i++) TRY(forward_one(x, &r, p, &b[i], s, step));
    arena_reset(step, mark);
    return OK;
}

void block_ready(const GradientHook *hook, const Params *p, const Block *b)
{
    if (hook) hook->ready(hook->self, params_d_from(p, b->norm1.weight)); /* declared first */
}

/* x, qkv, attended, middle, up; the two branches. */
int64_t block_trace_reals(int64_t tokens, int64_t dim, bool layer_scale)
{
    return gemm_pad(tokens) * (dim * (1 + 3 + 1 + 1 + MLP_RATIO + (layer_scale ? 2 : 0)) + 4);
}

/* Five gradients, two of them wide; queries, keys, values and their gradients of a head; some rows of scores. */
int64_t block_pass_reals(int64_t tokens, int64_t dim)
{
    enum { ONE_HEAD = 2 };
    const int64_t rows = gemm_pad(tokens), scores = 2 * (rows < ATTENTION_QUERIES ? rows : ATTENTION_QUERIES);
    return rows * (dim * (3 + 2 * MLP_RATIO + ONE_HEAD) + scores);
}

int64_t block_flops(int64_t tokens, int64_t dim)
{
    const int64_t linear = (3 + 1 + 2 * MLP_RATIO) * dim * dim, attention = 2 * tokens * dim;
    return 2 * tokens * (linear + attention);
}

/* ---- training: forward ---- */

void block_norm_train(real *y, real *mean, real *rstd, const Params *p, LinearParams l, const real *x, int64_t rows,
                      real eps)
{
    layernorm_forward(y, mean, rstd, x, params_at(p, l.weight), params_at(p, l.bias), rows, p->param[l.weight].n, eps);
}

typedef enum { BRANCH_ATTENTION, BRANCH_MLP } BranchKind;

static const BranchDrop *drop_of(const BlockGroup *g, BranchKind kind)
{
    return kind == BRANCH_ATTENTION ? &g->attention : &g->mlp;
}

/* Objects of a group that keep a branch. */
static int64_t objects_kept(const BlockGroup *g, BranchKind kind)
{
    return drop_of(g, kind)->kept ? drop_of(g, kind)->n_kept : g->count;
}

static int64_t rows_all(const BlockTrace *t)
{
    int64_t rows = 0;
    for (int k = 0; k < t->n_groups; k++) rows += t->group[k].count * t->group[k].tokens;
    return rows;
}

/* Rows of the objects that keep a branch. */
static int64_t rows_kept(const BlockTrace *t, BranchKind kind)
{
    int64_t rows = 0;
    for (int k = 0; k < t->n_groups; k++) rows += objects_kept(&t->group[k], kind) * t->group[k].tokens;
    return rows;
}

/* All objects keep it. */
static bool is_whole(const BlockTrace *t, BranchKind kind)
{
    for (int k = 0; k < t->n_groups; k++)
        if (drop_of(&t->group[k], kind)->kept) return false;
    return true;
}

/* A walk over the objects that keep a branch: where an object's rows are among all, and among those that keep it. */
typedef struct {
    int64_t row, kept_row, tokens;
    int group;
    int64_t next, before; /* object of the group; rows of all groups before it */
} Walk;

static bool walk_on(Walk *w, const BlockTrace *t, BranchKind kind)
{
    w->kept_row += w->tokens;
    while (w->group < t->n_groups && w->next == objects_kept(&t->group[w->group], kind)) {
        w->before += t->group[w->group].count * t->group[w->group].tokens;
        w->next = 0;
        w->group++;
    }
    if (w->group == t->n_groups) return false;
    const BranchDrop *d = drop_of(&t->group[w->group], kind);
    w->tokens = t->group[w->group].tokens;
    w->row = w->before + (d->kept ? d->kept[w->next] : w->next) * w->tokens;
    w->next++;
    return true;
}

/* The scale of each group's rows of a branch; nothing happens at 1. */
static void scale_rows(real *branch, const BlockTrace *t, BranchKind kind)
{
    for (Walk w = {0}; walk_on(&w, t, kind);) {
        const real scale = drop_of(&t->group[w.group], kind)->scale;
        for (int64_t i = w.kept_row * t->dim; scale != 1 && i < (w.kept_row + w.tokens) * t->dim; i++)
            branch[i] *= scale;
    }
}

/* The rows of those objects: x itself where it is all of them, else their copy in `room`, padded with zeros. */
static real *gather_kept(real *room, real *x, const BlockTrace *t, BranchKind kind)
{
    const int64_t dim = t->dim, n = rows_kept(t, kind);
    if (is_whole(t, kind)) return x;
    for (Walk w = {0}; walk_on(&w, t, kind);)
        memcpy(room + w.kept_row * dim, x + w.row * dim, sizeof *x * (size_t)(w.tokens * dim));
    memset(room + n * dim, 0, sizeof *room * (size_t)((gemm_pad(n) - n) * dim));
    return room;
}

static void scatter_kept(real *x, const real *room, const BlockTrace *t, BranchKind kind)
{
    const int64_t dim = t->dim;
    if (is_whole(t, kind)) return;
    for (Walk w = {0}; walk_on(&w, t, kind);)
        memcpy(x + w.row * dim, room + w.kept_row * dim, sizeof *x * (size_t)(w.tokens * dim));
}

static void add_kept(real *x, const Params *p, int64_t gamma, const real *branch, const BlockTrace *t, BranchKind kind)
{
    const int64_t dim = t->dim;
    for (Walk w = {0}; walk_on(&w, t, kind);)
        add_branch(x + w.row * dim, p, gamma, branch + w.kept_row * dim, w.tokens, dim);
}

static Status take_trace(BlockTrace *t, const Block *b, Arena *step)
{
    const int64_t attention = gemm_pad(rows_kept(t, BRANCH_ATTENTION)), mlp = gemm_pad(rows_kept(t, BRANCH_MLP));
    TRY(arena_uncleared(&t->mean1, step, attention));
    TRY(arena_uncleared(&t->rstd1, step, attention));
    TRY(arena_uncleared(&t->mean2, step, mlp));
    TRY(arena_uncleared(&t->rstd2, step, mlp));
    TRY(arena_uncleared(&t->qkv, step, attention * 3 * t->dim));
    TRY(arena_uncleared(&t->attended, step, attention * t->dim));
    TRY(arena_uncleared(&t->middle, step, gemm_pad(rows_all(t)) * t->dim));
    TRY(arena_uncleared(&t->up, step, mlp * MLP_RATIO * t->dim));
    t->branch_attention = t->branch_mlp = NULL;
    if (b->gamma1 >= 0) TRY(arena_uncleared(&t->branch_attention, step, attention * t->dim));
    if (b->gamma2 >= 0) TRY(arena_uncleared(&t->branch_mlp, step, mlp * t->dim));
    return OK;
}

/* What the branches work in. */
typedef struct {
    real *kept, *norm, *spare; /* (rows, dim) */
    real *hidden;              /* (rows, 4 dim) */
} BranchRoom;

static Status attention_branch(real *x, BlockTrace *t, const Params *p, const Block *b, BranchRoom *r, Arena *step)
{
    const int64_t dim = t->dim, n = rows_kept(t, BRANCH_ATTENTION), rows = gemm_pad(n);
    const real *in = gather_kept(r->kept, x, t, BRANCH_ATTENTION);
    real *branch = t->branch_attention ? t->branch_attention : r->spare;
    block_norm_train(r->norm, t->mean1, t->rstd1, p, b->norm1, in, rows, t->eps);
    block_linear(t->qkv, p, b->qkv, r->norm, rows);
    for (Walk w = {0}; walk_on(&w, t, BRANCH_ATTENTION);)
        TRY(attention_forward_train(t->attended + w.kept_row * dim, t->qkv + w.kept_row * 3 * dim, w.tokens, t->heads,
                                    dim / t->heads, &t->drop, step));
    block_linear(branch, p, b->proj, t->attended, rows);
    scale_rows(branch, t, BRANCH_ATTENTION);
    dropout_apply(branch, n * dim, &t->drop, "dropout.branch", 0);
    add_kept(x, p, b->gamma1, branch, t, BRANCH_ATTENTION);
    return OK;
}

static void mlp_branch(real *x, BlockTrace *t, const Params *p, const Block *b, BranchRoom *r)
{
    const int64_t dim = t->dim, n = rows_kept(t, BRANCH_MLP), rows = gemm_pad(n);
    const real *in = gather_kept(r->kept, x, t, BRANCH_MLP);
    real *branch = t->branch_mlp ? t->branch_mlp : r->spare;
    block_norm_train(r->norm, t->mean2, t->rstd2, p, b->norm2, in, rows, t->eps);
    block_linear(t->up, p, b->up, r->norm, rows);
    gelu_forward(r->hidden, t->up, rows * MLP_RATIO * dim);
    block_linear(branch, p, b->down, r->hidden, rows);
    scale_rows(branch, t, BRANCH_MLP);
    dropout_apply(branch, n * dim, &t->drop, "dropout.branch", 1);
    add_kept(x, p, b->gamma2, branch, t, BRANCH_MLP);
}

/* The block with everything kept; t->x holds x already. */
static Status fill_trace(real *x, BlockTrace *t, const Params *p, const Block *b, Arena *step)
{
    const int64_t rows = gemm_pad(rows_all(t)), dim = t->dim;
    MUST(t->drop.p == 0 || (t->n_groups == 1 && t->group[0].count == 1));
    TRY(take_trace(t, b, step));
    const Mark mark = arena_mark(step);
    BranchRoom r;
    TRY(arena_uncleared(&r.kept, step, !is_whole(t, BRANCH_ATTENTION) || !is_whole(t, BRANCH_MLP) ? rows * dim : 0));
    TRY(arena_uncleared(&r.norm, step, rows * dim));
    TRY(arena_uncleared(&r.spare, step, rows * dim));
    TRY(arena_uncleared(&r.hidden, step, rows * MLP_RATIO * dim));
    TRY(attention_branch(x, t, p, b, &r, step));
    memcpy(t->middle, x, sizeof *x * (size_t)(rows * dim));
    mlp_branch(x, t, p, b, &r);
    arena_reset(step, mark);
    return OK;
}

Status block_forward_train(real *x, BlockTrace *t, const Params *p, const Block *b, Arena *step)
{
    const int64_t n = gemm_pad(rows_all(t)) * t->dim;
    TRY(arena_uncleared(&t->x, step, n));
    memcpy(t->x, x, sizeof *x * (size_t)n);
    const Mark mark = arena_mark(step);
    TRY(fill_trace(x, t, p, b, step));
    if (t->recompute) arena_reset(step, mark);
    return OK;
}

/* ---- training: backward ---- */

void block_linear_backward(real *d_x, real *d_p, const Params *p, LinearParams l, const real *d_y, const real *x,
                           int64_t rows)
{
    const Param *w = &p->param[l.weight];
    linear_backward(d_x, params_d_at(p, d_p, l.weight), params_d_at(p, d_p, l.bias), d_y, x, params_at(p, l.weight),
                    rows, w->dims[0], w->n / w->dims[0]);
}

void block_norm_backward(real *d_x, real *d_p, const Params *p, LinearParams l, const real *d_y, const real *x,
                         const real *mean, const real *rstd, int64_t rows)
{
    layernorm_backward(d_x, params_d_at(p, d_p, l.weight), params_d_at(p, d_p, l.bias), d_y, x, mean, rstd,
                       params_at(p, l.weight), rows, p->param[l.weight].n);
}

/* Through x += gamma * (scale * branch): d_branch (rows, dim) is set, gamma's gradient added. `branch` is what the
   trace kept, scaled. */
static void branch_backward(real *d_branch, real *d_p, const Params *p, int64_t gamma, const real *branch,
                            const real *d_x, const BlockTrace *t, BranchKind kind)
{
    const int64_t dim = t->dim;
    real *d_gamma = gamma < 0 ? NULL : params_d_at(p, d_p, gamma);
    if (d_gamma) vector_add_column_products(d_gamma, d_x, branch, rows_kept(t, kind), dim);
    const real *factor = gamma < 0 ? NULL : params_at(p, gamma);
    for (Walk w = {0}; walk_on(&w, t, kind);) {
        const real scale = drop_of(&t->group[w.group], kind)->scale;
        for (int64_t r = w.kept_row; r < w.kept_row + w.tokens; r++)
            for (int64_t i = 0; i < dim; i++)
                d_branch[r * dim + i] = d_x[r * dim + i] * (factor ? factor[i] * scale : scale);
    }
    const int64_t n = rows_kept(t, kind);
    memset(d_branch + n * dim, 0, sizeof *d_branch * (size_t)((gemm_pad(n) - n) * dim));
}

typedef struct {
    real *d_branch, *norm, *d_norm; /* (rows, dim) */
    real *hidden, *d_wide;          /* (rows, 4 dim) */
    real *d_kept, *kept;            /* (rows, dim) where a branch is not whole */
} BlockScratch;

/* Products over rows of d_x run on whole panels, whose padding is zero; sums over rows on those of the objects. */
static void mlp_backward(real *d_all, real *d_p, const BlockTrace *t, const Params *p, const Block *b, BlockScratch *s)
{
    const int64_t n = rows_kept(t, BRANCH_MLP), rows = gemm_pad(n), dim = t->dim, wide = MLP_RATIO * dim;
    real *d_x = gather_kept(s->d_kept, d_all, t, BRANCH_MLP);
    const real *middle = gather_kept(s->kept, t->middle, t, BRANCH_MLP);
    real *slope = s->d_wide, *d_up = s->hidden; /* once gelu's output has been used, its place takes gradients */
    branch_backward(s->d_branch, d_p, p, b->gamma2, t->branch_mlp, d_x, t, BRANCH_MLP);
    dropout_apply(s->d_branch, n * dim, &t->drop, "dropout.branch", 1);
    gelu_both(s->hidden, slope, t->up, n * wide);
    block_linear_backward(NULL, d_p, p, b->down, s->d_branch, s->hidden, n);
    memset(d_up, 0, sizeof *d_up * (size_t)(rows * wide));
    gemm_linear()->backward_x(d_up, s->d_branch, params_at(p, b->down.weight), rows, dim, wide);
    for (int64_t i = 0; i < n * wide; i++) d_up[i] *= slope[i];

    block_norm(s->norm, p, b->norm2, middle, n, t->eps);
    memset(s->d_norm, 0, sizeof *s->d_norm * (size_t)(rows * dim));
    block_linear_backward(NULL, d_p, p, b->up, d_up, s->norm, n);
    gemm_linear()->backward_x(s->d_norm, d_up, params_at(p, b->up.weight), rows, wide, dim);
    block_norm_backward(d_x, d_p, p, b->norm2, s->d_norm, middle, t->mean2, t->rstd2, n);
    scatter_kept(d_all, d_x, t, BRANCH_MLP);
}

static Status attention_branch_backward(real *d_all, real *d_p, const BlockTrace *t, const Params *p, const Block *b,
                                        BlockScratch *s, Arena *step)
{
    const int64_t n = rows_kept(t, BRANCH_ATTENTION), rows = gemm_pad(n), dim = t->dim;
    real *d_x = gather_kept(s->d_kept, d_all, t, BRANCH_ATTENTION);
    const real *x = gather_kept(s->kept, t->x, t, BRANCH_ATTENTION);
    real *d_qkv = s->d_wide, *d_attended = s->norm;
    branch_backward(s->d_branch, d_p, p, b->gamma1, t->branch_attention, d_x, t, BRANCH_ATTENTION);
    dropout_apply(s->d_branch, n * dim, &t->drop, "dropout.branch", 0);
    memset(d_attended, 0, sizeof *d_attended * (size_t)(rows * dim));
    block_linear_backward(NULL, d_p, p, b->proj, s->d_branch, t->attended, n);
    gemm_linear()->backward_x(d_attended, s->d_branch, params_at(p, b->proj.weight), rows, dim, dim);
    memset(d_qkv, 0, sizeof *d_qkv * (size_t)(rows * 3 * dim));
    for (Walk w = {0}; walk_on(&w, t, BRANCH_ATTENTION);)
        TRY(attention_backward(d_qkv + w.kept_row * 3 * dim, t->qkv + w.kept_row * 3 * dim,
                               d_attended + w.kept_row * dim, w.tokens, t->heads, dim / t->heads, &t->drop, step));

    block_norm(s->norm, p, b->norm1, x, n, t->eps);
    memset(s->d_norm, 0, sizeof *s->d_norm * (size_t)(rows * dim));
    block_linear_backward(NULL, d_p, p, b->qkv, d_qkv, s->norm, n);
    gemm_linear()->backward_x(s->d_norm, d_qkv, params_at(p, b->qkv.weight), rows, 3 * dim, dim);
    block_norm_backward(d_x, d_p, p, b->norm1, s->d_norm, x, t->mean1, t->rstd1, n);
    scatter_kept(d_all, d_x, t, BRANCH_ATTENTION);
    return OK;
}

/* The trace again from its x. */
static Status recompute(BlockTrace *full, const BlockTrace *t, const Params *p, const Block *b, Arena *step)
{
    const int64_t n = gemm_pad(rows_all(t)) * t->dim;
    real *x;
    *full = *t;
    TRY(arena_new(&x, step, n));
    memcpy(x, t->x, sizeof *x * (size_t)n);
    return fill_trace(x, full, p, b, step);
}

Status block_backward(real *d_x, real *d_p, const BlockTrace *t, const Params *p, const Block *b, Arena *step)
{
    const int64_t rows = gemm_pad(rows_all(t)), dim = t->dim;
    const int64_t apart = !is_whole(t, BRANCH_ATTENTION) || !is_whole(t, BRANCH_MLP) ? rows * dim : 0;
    const Mark mark = arena_mark(step);
    BlockTrace full = *t;
    if (t->recompute) TRY(recompute(&full, t, p, b, step));
    BlockScratch s;
    TRY(arena_uncleared(&s.d_branch, step, rows * dim));
    TRY(arena_uncleared(&s.norm, step, rows * dim));
    TRY(arena_uncleared(&s.d_norm, step, rows * dim));
    TRY(arena_uncleared(&s.hidden, step, rows * MLP_RATIO * dim));
    TRY(arena_uncleared(&s.d_wide, step, rows * MLP_RATIO * dim));
    TRY(arena_uncleared(&s.d_kept, step, apart));
    TRY(arena_uncleared(&s.kept, step, apart));
    mlp_backward(d_x, d_p, &full, p, b, &s);
    TRY(attention_branch_backward(d_x, d_p, &full, p, b, &s, step));
    arena_reset(step, mark);
    return OK;
}
