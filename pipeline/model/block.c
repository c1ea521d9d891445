/* block.c - x += scale1 * proj(attention(norm1(x))), x += scale2 * down(gelu(up(norm2(x)))). Activations live in the
   step arena. */
#include "model/block.h"

#include <stdio.h>

#include "nn/attention.h"
#include "nn/gelu.h"
#include "nn/gemm.h"
#include "nn/layernorm.h"

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
    return declare_pair(out, p, prefix, name, 2, (const int64_t[]){n_out, n_in});
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

void block_linear(real *y, const Params *p, LinearParams l, const real *x, int64_t rows)
{
    const Param *w = &p->param[l.weight];
    gemm()->forward(y, x, params_at(p, l.weight), params_at(p, l.bias), rows, w->dims[0], w->n / w->dims[0]);
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

Status block_forward(real *x, const Params *p, const Block *b, int64_t tokens, int64_t dim, int64_t heads, real eps,
                     Arena *step)
{
    const int64_t rows = gemm_pad(tokens);
    const Mark mark = arena_mark(step);
    real *norm, *branch, *wide; /* (rows, dim), (rows, dim), (rows, 4 dim): first q, k, v, then the hidden layer */
    TRY(arena_new(&norm, step, rows * dim));
    TRY(arena_new(&branch, step, rows * dim));
    TRY(arena_new(&wide, step, rows * MLP_RATIO * dim));
    block_norm(norm, p, b->norm1, x, rows, eps);
    block_linear(wide, p, b->qkv, norm, rows);
    TRY(attention_forward(norm, wide, tokens, heads, dim / heads, step));
    block_linear(branch, p, b->proj, norm, rows);
    add_branch(x, p, b->gamma1, branch, rows, dim);

    block_norm(norm, p, b->norm2, x, rows, eps);
    block_linear(wide, p, b->up, norm, rows);
    gelu_forward(wide, wide, rows * MLP_RATIO * dim);
    block_linear(branch, p, b->down, wide, rows);
    add_branch(x, p, b->gamma2, branch, rows, dim);
    arena_reset(step, mark);
    return OK;
}

int64_t block_flops(int64_t tokens, int64_t dim)
{
    const int64_t linear = (3 + 1 + 2 * MLP_RATIO) * dim * dim, attention = 2 * tokens * dim;
    return 2 * tokens * (linear + attention);
}
