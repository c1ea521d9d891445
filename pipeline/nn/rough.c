/* rough.c - the products and their bound.

   With u = 2^-24, a product of dim terms summed in float in any order is off by at most (dim + 2) u / (1 - (dim + 2) u) |a| |b|
   (Higham 2002, section 3.1; Cauchy and Schwarz); a provider that splits its numbers in parts has at most six terms for one.
   8 (dim + 16) u, without parts 2 (dim + 16) u, has room for that and for a dozen roundings of numbers of the size of |a| |b|
   elsewhere.

   Where a and b are rounded first, to a' and b': a b - a' b' = (a - a') b + a' (b - b'), so that with |a - a'| = p |a| and
   |b - b'| = q |b| the product is off by (p + q + p q) |a| |b|. p and q are 2^-8 at most and 0.4 of that as a rule: they are
   measured. */
#include "nn/rough.h"

#include <float.h>
#include <string.h>

#include "gemm_amx.h"
#include "nn/gemm.h"

static void multiply(real *y, const RoughRows *left, int64_t first, int64_t rows, const RoughRows *right)
{
    gemm()->forward(y, left->x + first * left->dim, right->x, NULL, rows, right->n, left->dim);
}

/* Whether numbers become bf16. */
static bool rounds(void)
{
#ifdef NN_PANELS
    return gemm() == &gemm_amx;
#else
    return false;
#endif
}

static double rounding(int64_t dim, int factor) { return factor * (double)(dim + 16) * (FLT_EPSILON / 2); }

double rough_float_bound(int64_t dim) { return rounding(dim, 8); }

double rough_bound(const RoughRows *left, const RoughRows *right)
{
    if (!rounds()) return rough_float_bound(left->dim);
    return left->off + right->off + left->off * right->off + rounding(left->dim, 2);
}

#ifdef NN_PANELS

enum { LANES = 8 };

/* |x - rounded x| / |x|; NaN where there is no length. */
static double off_of(const float *x, int64_t dim)
{
    double lost[LANES] = {0}, all[LANES] = {0}, sum_lost = 0, sum = 0;
    for (int64_t d = 0; d < dim; d += LANES) {
        const int n = dim - d < LANES ? (int)(dim - d) : LANES;
        uint32_t bits[LANES] = {0};
        float here[LANES], rounded[LANES];
        memcpy(bits, x + d, (size_t)n * sizeof *x);
        memcpy(here, bits, sizeof here);
        for (int l = 0; l < LANES; l++) bits[l] = (bits[l] + 0x7fffu + ((bits[l] >> 16) & 1)) & 0xffff0000u;
        memcpy(rounded, bits, sizeof rounded);
        for (int l = 0; l < LANES; l++) {
            const double rest = (double)(here[l] - rounded[l]);
            lost[l] += rest * rest;
            all[l] += (double)here[l] * (double)here[l];
        }
    }
    for (int l = 0; l < LANES; l++) sum_lost += lost[l], sum += all[l];
    return sqrt(sum_lost / sum);
}

static double most_off(const float *x, int64_t n, int64_t dim)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++) {
        const double off = off_of(x + i * dim, dim);
        if (off > most && off < 1) most = off; /* 1: all of it is below what floats hold */
    }
    return most;
}

int64_t rough_reals(int64_t n, int64_t dim)
{
    return rounds() ? panels_of(n) * panels_of(dim) * PANEL_STEP * (int64_t)sizeof(bf16) / (int64_t)sizeof(real) : 0;
}

void rough_left(RoughRows *out, real *room, const real *x, int64_t n, int64_t dim)
{
    *out = (RoughRows){n, dim, x, 0};
    if (!rounds()) return;
    amx_pack_left((bf16 *)room, 1, x, n, dim, 1, dim, 0, panels_of(n));
    *out = (RoughRows){n, dim, room, most_off(x, n, dim)};
}

void rough_right(RoughRows *out, real *room, const real *x, int64_t n, int64_t dim)
{
    *out = (RoughRows){n, dim, x, 0};
    if (!rounds()) return;
    amx_pack_right((bf16 *)room, 1, x, n, dim, 1, dim);
    *out = (RoughRows){n, dim, room, most_off(x, n, dim)};
}

void rough_products(real *y, const RoughRows *left, int64_t first, int64_t rows, const RoughRows *right)
{
    if (!rounds()) {
        multiply(y, left, first, rows, right);
        return;
    }
    gemm_amx_multiply(&(AmxProduct){.left = (const bf16 *)left->x + first * panels_of(left->dim) * PANEL,
                                    .right = (const bf16 *)right->x,
                                    .parts = 1,
                                    .rows = rows,
                                    .columns = right->n,
                                    .deep = left->dim,
                                    .end = END_STORE,
                                    .y = y,
                                    .y_row = right->n});
}

#else

int64_t rough_reals(int64_t n, int64_t dim)
{
    (void)n, (void)dim;
    return 0;
}

void rough_left(RoughRows *out, real *room, const real *x, int64_t n, int64_t dim)
{
    (void)room;
    *out = (RoughRows){n, dim, x, 0};
}

void rough_right(RoughRows *out, real *room, const real *x, int64_t n, int64_t dim)
{
    rough_left(out, room, x, n, dim);
}

void rough_products(real *y, const RoughRows *left, int64_t first, int64_t rows, const RoughRows *right)
{
    multiply(y, left, first, rows, right);
}

#endif
