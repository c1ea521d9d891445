/* block_panels.c - blocks whose activations stay in panels between the products; only the residual stream x is in rows.
   What GELU, layer scale and the residual cost hides behind the products. */
#include "block_panels.h"

#ifdef NN_PANELS

#include <string.h>

/* Panels for any number of blocks. */
typedef struct {
    bf16 *narrow; /* (rows, dim): normed, attended */
    bf16 *wide;   /* (rows, 4 dim): q, k, v, then the hidden layer */
} Room;

/* Between rows `from_row` and `to_row` apart. */
static void copy_rows(real *to, int64_t to_row, const real *from, int64_t from_row, int64_t rows, int64_t n)
{
    for (int64_t r = 0; r < rows; r++) memcpy(to + r * to_row, from + r * from_row, sizeof *to * (size_t)n);
}

static const real *gamma_at(const Params *p, int64_t gamma) { return gamma < 0 ? NULL : params_at(p, gamma); }

static Status forward_one(real *x, const Room *r, const Params *p, const Block *b, const BlockShape *s, Arena *step)
{
    const int64_t dim = s->dim, rows = s->count * s->tokens, hidden = MLP_RATIO * dim;
    panels_norm(r->narrow, x, params_at(p, b->norm1.weight), params_at(p, b->norm1.bias), rows, dim, s->eps);
    panels_linear(r->wide, r->narrow, params_at(p, b->qkv.weight), params_at(p, b->qkv.bias), rows, 3 * dim, dim);
    for (int64_t i = 0; i < s->count; i++)
        TRY(panels_attention(r->narrow, r->wide, i * s->tokens, s->tokens, s->heads, dim / s->heads, step));
    panels_linear_add(x, gamma_at(p, b->gamma1), r->narrow, params_at(p, b->proj.weight), params_at(p, b->proj.bias),
                      rows, dim, dim);

    panels_norm(r->narrow, x, params_at(p, b->norm2.weight), params_at(p, b->norm2.bias), rows, dim, s->eps);
    panels_linear_gelu(r->wide, r->narrow, params_at(p, b->up.weight), params_at(p, b->up.bias), rows, hidden, dim);
    panels_linear_add(x, gamma_at(p, b->gamma2), r->wide, params_at(p, b->down.weight), params_at(p, b->down.bias),
                      rows, dim, hidden);
    return OK;
}

Status block_forward_panels(real *x, const Params *p, const Block *b, int64_t n_blocks, const BlockShape *s,
                            Arena *step)
{
    const int64_t rows = s->count * s->tokens, apart = panels_row(s->dim);
    const Mark mark = arena_mark(step);
    Room r;
    real *stream;
    TRY(arena_new(&stream, step, rows * apart));
    TRY(panels_new(&r.narrow, step, rows, s->dim));
    TRY(panels_new(&r.wide, step, rows, MLP_RATIO * s->dim));
    copy_rows(stream, apart, x, s->dim, rows, s->dim);
    for (int64_t i = 0; i < n_blocks; i++) TRY(forward_one(stream, &r, p, &b[i], s, step));
    copy_rows(x, s->dim, stream, apart, rows, s->dim);
    arena_reset(step, mark);
    return OK;
}

#endif
