/* vit.c - patches through a linear layer (a convolution whose stride is its kernel), class token and positions where
   wanted, blocks with layer scale, a final norm. Layer norms here have eps 1e-6. */
#include "model/vit.h"

#include <stdio.h>
#include <string.h>

#include "nn/gemm.h"
#include "nn/init.h"

static const real eps = (real)1e-6;

enum { PLANES = 3, OWN_PARAMS = 7, TAPS = 4 };

int64_t vit_n_params(const VitConfig *c) { return OWN_PARAMS + BLOCK_PARAMS * c->depth; }

int64_t vit_tokens(const VitConfig *c, int64_t size, VitTokens which)
{
    const int64_t side = size / c->patch_size;
    return side * side + (which == VIT_CLASS);
}

/* "blocks.3.23.": the chunk, then the number among all blocks. */
static void block_prefix(char *out, size_t size, const VitConfig *c, const char *prefix, int64_t i)
{
    if (c->block_chunks > 0)
        snprintf(out, size, "%sblocks.%lld.%lld.", prefix, (long long)(i / (c->depth / c->block_chunks)), (long long)i);
    else
        snprintf(out, size, "%sblocks.%lld.", prefix, (long long)i);
}

Status vit_declare(Vit *v, const VitConfig *c, Params *p, const char *prefix, Arena *a)
{
    static const BlockNames names = {"norm1", "attn.qkv", "attn.proj", "ls1.gamma",
                                     "norm2", "mlp.fc1",  "mlp.fc2",   "ls2.gamma"};
    const int64_t dim = c->embed_dim, patch = c->patch_size;
    v->config = *c;
    v->params = p;
    TRY(arena_new(&v->block, a, c->depth));
    TRY(params_declare(&v->cls_token, p, prefix, "cls_token", 3, (const int64_t[]){1, 1, dim}));
    TRY(params_declare(&v->pos_embed, p, prefix, "pos_embed", 3,
                       (const int64_t[]){1, vit_tokens(c, c->image_size, VIT_CLASS), dim}));
    TRY(params_declare(&v->mask_token, p, prefix, "mask_token", 2, (const int64_t[]){1, dim}));
    TRY(params_declare(&v->patch_embed.weight, p, prefix, "patch_embed.proj.weight", 4,
                       (const int64_t[]){dim, PLANES, patch, patch}));
    p->param[v->patch_embed.weight].linear = true;
    TRY(params_declare(&v->patch_embed.bias, p, prefix, "patch_embed.proj.bias", 1, &dim));
    for (int64_t i = 0; i < c->depth; i++) {
        char text[PARAM_NAME];
        block_prefix(text, sizeof text, c, prefix, i);
        TRY(block_declare(&v->block[i], p, text, &names, dim));
    }
    return block_declare_norm(&v->norm, p, prefix, "norm", dim);
}

void vit_init(const Vit *v, Params *p, uint64_t seed)
{
    static const double std = 0.02, limit = 2, scale = 1e-5;
    const double bound = 1 / sqrt((double)(PLANES * v->config.patch_size * v->config.patch_size));
    init_truncated(p, v->pos_embed, std, limit, seed);
    init_normal(p, v->cls_token, 1e-6, seed);
    init_constant(p, v->mask_token, 0);
    init_uniform(p, v->patch_embed.weight, bound, seed);
    init_uniform(p, v->patch_embed.bias, bound, seed);
    for (int64_t i = 0; i < v->config.depth; i++) {
        const Block *b = &v->block[i];
        const LinearParams linear[] = {b->qkv, b->proj, b->up, b->down};
        for (int k = 0; k < 4; k++) {
            init_truncated(p, linear[k].weight, std, limit, seed);
            init_constant(p, linear[k].bias, 0);
        }
        block_init_norm(p, b->norm1);
        block_init_norm(p, b->norm2);
        init_constant(p, b->gamma1, scale);
        init_constant(p, b->gamma2, scale);
    }
    block_init_norm(p, v->norm);
}

/* ---- patches ---- */

/* Row `patch` of the matrix: its pixels ordered plane, row, column. */
static void gather_patch(real *out, const float *image, int64_t size, int64_t patch_size, int64_t patch)
{
    const int64_t side = size / patch_size, y = patch / side * patch_size, x = patch % side * patch_size;
    for (int64_t c = 0; c < PLANES; c++)
        for (int64_t v = 0; v < patch_size; v++)
            for (int64_t u = 0; u < patch_size; u++) *out++ = (real)image[(c * size + y + v) * size + x + u];
}

/* pixels (count, patches, 3 patch^2) in `a`. */
static Status gather_patches(real **pixels, const VitConfig *c, const float *image, int64_t count, int64_t size,
                             Arena *a)
{
    const int64_t patches = vit_tokens(c, size, VIT_PATCHES), n = PLANES * c->patch_size * c->patch_size;
    TRY(arena_new(pixels, a, count * patches * n));
    for (int64_t i = 0; i < count * patches; i++)
        gather_patch(*pixels + i * n, image + i / patches * PLANES * size * size, size, c->patch_size, i % patches);
    return OK;
}

Status vit_patches(real *out, const Vit *v, const float *image, int64_t count, int64_t size, Arena *step)
{
    const VitConfig *c = &v->config;
    const Mark mark = arena_mark(step);
    real *pixels;
    TRY(gather_patches(&pixels, c, image, count, size, step));
    block_linear(out, v->params, v->patch_embed, pixels, count * vit_tokens(c, size, VIT_PATCHES));
    arena_reset(step, mark);
    return OK;
}

/* ---- positions ---- */

/* Bicubic convolution (a = -3/4): the indices and weights that make output j of `side` from a grid of `own` cells.
   The scale is (side + 0.1) / own, as the encoder was trained with, not side / own. */
static void bicubic_taps(int64_t index[TAPS], real weight[TAPS], int64_t j, int64_t side, int64_t own)
{
    const double a = -0.75, scale = ((double)side + 0.1) / (double)own;
    const double source = ((double)j + 0.5) / scale - 0.5, base = floor(source);
    for (int k = 0; k < TAPS; k++) {
        const double d = fabs(source - (base + k - 1));
        const int64_t i = (int64_t)base + k - 1;
        index[k] = i < 0 ? 0 : i >= own ? own - 1 : i;
        weight[k] = (real)(d <= 1 ? ((a + 2) * d - (a + 3)) * d * d + 1 : ((a * d - 5 * a) * d + 8 * a) * d - 4 * a);
    }
}

static void resample_cell(real *out, const real *grid, int64_t row, int64_t column, int64_t side, int64_t own,
                          int64_t dim)
{
    int64_t y[TAPS], x[TAPS];
    real wy[TAPS], wx[TAPS];
    bicubic_taps(y, wy, row, side, own);
    bicubic_taps(x, wx, column, side, own);
    memset(out, 0, sizeof *out * (size_t)dim);
    for (int j = 0; j < TAPS; j++)
        for (int k = 0; k < TAPS; k++) {
            const real *cell = grid + (y[j] * own + x[k]) * dim;
            for (int64_t i = 0; i < dim; i++) out[i] += wy[j] * wx[k] * cell[i];
        }
}

void vit_positions(real *out, const Vit *v, int64_t side)
{
    const int64_t dim = v->config.embed_dim, own = v->config.image_size / v->config.patch_size;
    const real *position = params_at(v->params, v->pos_embed);
    if (side == own) {
        memcpy(out, position, sizeof *out * (size_t)((1 + own * own) * dim));
        return;
    }
    memcpy(out, position, sizeof *out * (size_t)dim);
    for (int64_t row = 0; row < side; row++)
        for (int64_t column = 0; column < side; column++)
            resample_cell(out + (1 + row * side + column) * dim, position + dim, row, column, side, own, dim);
}

static void resample_cell_backward(real *d_grid, const real *d_out, int64_t row, int64_t column, int64_t side,
                                   int64_t own, int64_t dim)
{
    int64_t y[TAPS], x[TAPS];
    real wy[TAPS], wx[TAPS];
    bicubic_taps(y, wy, row, side, own);
    bicubic_taps(x, wx, column, side, own);
    for (int j = 0; j < TAPS; j++)
        for (int k = 0; k < TAPS; k++) {
            real *cell = d_grid + (y[j] * own + x[k]) * dim;
            for (int64_t i = 0; i < dim; i++) cell[i] += wy[j] * wx[k] * d_out[i];
        }
}

void vit_positions_backward(real *d_position, const Vit *v, const real *d_out, int64_t side)
{
    const int64_t dim = v->config.embed_dim, own = v->config.image_size / v->config.patch_size;
    const int64_t plain = side == own ? 1 + own * own : 1; /* rows taken over unchanged */
    for (int64_t i = 0; i < plain * dim; i++) d_position[i] += d_out[i];
    if (side == own) return;
    for (int64_t row = 0; row < side; row++)
        for (int64_t column = 0; column < side; column++)
            resample_cell_backward(d_position + dim, d_out + (1 + row * side + column) * dim, row, column, side, own,
                                   dim);
}

/* ---- forward ---- */

/* Class token in front, positions added. `x` has the patches from row 1 on. */
static Status add_class(real *x, const Vit *v, int64_t side, Arena *step)
{
    const int64_t dim = v->config.embed_dim, n = (1 + side * side) * dim;
    const Mark mark = arena_mark(step);
    real *position;
    TRY(arena_new(&position, step, n));
    vit_positions(position, v, side);
    memcpy(x, params_at(v->params, v->cls_token), sizeof *x * (size_t)dim);
    for (int64_t i = 0; i < n; i++) x[i] += position[i];
    arena_reset(step, mark);
    return OK;
}

static Status check_size(const VitConfig *c, int64_t size)
{
    if (size >= c->patch_size && size % c->patch_size == 0) return OK;
    return FAIL(E_INPUT, "an image of %lld pixels cannot be cut into patches of %lld", (long long)size,
                (long long)c->patch_size);
}

/* x (tokens, D): what enters the blocks. */
static Status prepare_tokens(real *x, const Vit *v, const float *image, int64_t size, VitTokens which,
                             const uint8_t *mask, Arena *step)
{
    const int64_t dim = v->config.embed_dim, patches = vit_tokens(&v->config, size, VIT_PATCHES);
    real *first = x + (vit_tokens(&v->config, size, which) - patches) * dim;
    TRY(vit_patches(first, v, image, 1, size, step));
    for (int64_t i = 0; mask && i < patches; i++)
        if (mask[i]) memcpy(first + i * dim, params_at(v->params, v->mask_token), sizeof *x * (size_t)dim);
    return which == VIT_CLASS ? add_class(x, v, size / v->config.patch_size, step) : OK;
}

/* The same for several images. Their bare patches lie as the rows of one product. */
static Status prepare_all(real *x, const Vit *v, const float *image, int64_t count, int64_t size, VitTokens which,
                          const uint8_t *mask, Arena *step)
{
    if (which == VIT_PATCHES && !mask) return vit_patches(x, v, image, count, size, step);
    const int64_t tokens = vit_tokens(&v->config, size, which), patches = vit_tokens(&v->config, size, VIT_PATCHES);
    for (int64_t i = 0; i < count; i++)
        TRY(prepare_tokens(x + i * tokens * v->config.embed_dim, v, image + i * PLANES * size * size, size, which,
                           mask ? mask + i * patches : NULL, step));
    return OK;
}

Status vit_forward(real *out, const Vit *v, const float *image, int64_t count, int64_t size, VitTokens which,
                   const uint8_t *mask, Arena *step)
{
    const VitConfig *c = &v->config;
    const Params *p = v->params;
    const int64_t dim = c->embed_dim;
    TRY(check_size(c, size));
    const int64_t tokens = vit_tokens(c, size, which);
    const Mark mark = arena_mark(step);
    real *x;
    TRY(arena_new(&x, step, gemm_pad(count * tokens) * dim));
    TRY(prepare_all(x, v, image, count, size, which, mask, step));
    TRY(block_forward(x, p, v->block, c->depth, &(BlockShape){count, tokens, dim, c->num_heads, eps}, step));
    block_norm(out, p, v->norm, x, count * tokens, eps);
    arena_reset(step, mark);
    return OK;
}

/* ---- training ---- */

static int64_t rows_of(const VitConfig *c, const VitImages *s, VitTokens which)
{
    return s->count * vit_tokens(c, s->size, which);
}

Status vit_forward_train(real *out, VitTrace *t, const Vit *v, const VitImages *set, int n_sets, VitTokens which,
                         bool recompute, Arena *step)
{
    const VitConfig *c = &v->config;
    BlockTrace block = {
        .n_groups = n_sets, .dim = c->embed_dim, .heads = c->num_heads, .eps = eps, .recompute = recompute};
    *t = (VitTrace){.which = which, .n_sets = n_sets};
    MUST(n_sets <= VIT_SETS);
    for (int k = 0; k < n_sets; k++) {
        TRY(check_size(c, set[k].size));
        t->set[k] = set[k];
        t->rows += rows_of(c, &set[k], which);
    }
    TRY(arena_new(&t->block, step, c->depth));
    TRY(arena_new(&t->x, step, gemm_pad(t->rows) * c->embed_dim));
    TRY(arena_new(&t->mean, step, t->rows));
    TRY(arena_new(&t->rstd, step, t->rows));
    real *x = t->x;
    for (int k = 0; k < n_sets; x += rows_of(c, &set[k], which) * c->embed_dim, k++)
        TRY(prepare_all(x, v, set[k].image, set[k].count, set[k].size, which, set[k].mask, step));
    for (int64_t i = 0; i < c->depth; i++) {
        for (int k = 0; k < n_sets; k++) {
            const VitDrop *drop = set[k].drop;
            block.group[k] = (BlockGroup){set[k].count, vit_tokens(c, set[k].size, which),
                                          drop ? drop->attention[i] : BRANCH_WHOLE, drop ? drop->mlp[i] : BRANCH_WHOLE};
        }
        t->block[i] = block;
        TRY(block_forward_train(t->x, &t->block[i], v->params, &v->block[i], step));
    }
    block_norm_train(out, t->mean, t->rstd, v->params, v->norm, t->x, t->rows, eps);
    return OK;
}

/* d_x (tokens, D) of what enters the blocks, of image i; rows of masked patches are cleared on the way. */
static void class_backward(real *d_p, const VitImages *s, VitTokens which, const Vit *v, real *d_x, int64_t i)
{
    const Params *p = v->params;
    const int64_t dim = v->config.embed_dim, patches = vit_tokens(&v->config, s->size, VIT_PATCHES);
    const uint8_t *mask = s->mask ? s->mask + i * patches : NULL;
    if (which == VIT_CLASS) {
        real *d_class = params_d_at(p, d_p, v->cls_token), *d_position = params_d_at(p, d_p, v->pos_embed);
        for (int64_t k = 0; d_class && k < dim; k++) d_class[k] += d_x[k];
        if (d_position) vit_positions_backward(d_position, v, d_x, s->size / v->config.patch_size);
    }
    real *d_first = d_x + (vit_tokens(&v->config, s->size, which) - patches) * dim,
         *d_mask = params_d_at(p, d_p, v->mask_token);
    for (int64_t j = 0; mask && j < patches; j++) {
        if (!mask[j]) continue;
        for (int64_t k = 0; d_mask && k < dim; k++) d_mask[k] += d_first[j * dim + k];
        memset(d_first + j * dim, 0, sizeof *d_first * (size_t)dim);
    }
}

/* Patches of all images of a set are the rows of one product: those behind class tokens are moved together. */
static Status tokens_backward(real *d_p, const VitImages *s, VitTokens which, const Vit *v, real *d_x, Arena *step)
{
    const VitConfig *c = &v->config;
    const int64_t dim = c->embed_dim, tokens = vit_tokens(c, s->size, which),
                  patches = vit_tokens(c, s->size, VIT_PATCHES);
    const int64_t each = patches * dim;
    const Mark mark = arena_mark(step);
    real *pixels;
    for (int64_t i = 0; i < s->count; i++) {
        real *own = d_x + i * tokens * dim;
        class_backward(d_p, s, which, v, own, i);
        memmove(d_x + i * each, own + (tokens - patches) * dim, sizeof *d_x * (size_t)each);
    }
    TRY(gather_patches(&pixels, c, s->image, s->count, s->size, step));
    block_linear_backward(NULL, d_p, v->params, v->patch_embed, d_x, pixels, s->count * patches);
    arena_reset(step, mark);
    return OK;
}

Status vit_backward(real *d_p, const VitTrace *t, const Vit *v, const real *d_out, Arena *step)
{
    const VitConfig *c = &v->config;
    const Mark mark = arena_mark(step);
    real *d_x;
    TRY(arena_new(&d_x, step, gemm_pad(t->rows) * c->embed_dim));
    block_norm_backward(d_x, d_p, v->params, v->norm, d_out, t->x, t->mean, t->rstd, t->rows);
    for (int64_t i = c->depth - 1; i >= 0; i--) {
        TRY(block_backward(d_x, d_p, &t->block[i], v->params, &v->block[i], step));
        block_ready(t->hook, v->params, &v->block[i]);
    }
    real *own = d_x;
    for (int k = 0; k < t->n_sets; own += rows_of(c, &t->set[k], t->which) * c->embed_dim, k++)
        TRY(tokens_backward(d_p, &t->set[k], t->which, v, own, step));
    arena_reset(step, mark);
    return OK;
}

int64_t vit_flops(const VitConfig *c, VitTokens which)
{
    const int64_t tokens = vit_tokens(c, c->image_size, which);
    return 2 * tokens * c->embed_dim * PLANES * c->patch_size * c->patch_size +
           c->depth * block_flops(tokens, c->embed_dim);
}
