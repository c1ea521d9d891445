/* cosine.c - the search. A query divided by its length and rounded to float is off by u = 2^-24 of its length, the product p of it
   and a candidate y by at most w |y| (nn/rough.h); the comparison below rounds three times, for which w has room. A candidate
   whose product falls short of the last match by more than all that, `slack`, is passed over; every other one is scored in
   double. Lengths at which floats overflow or lose digits bound nothing: those candidates are always scored.

   Where all vectors look much the same way, rough products pass over too few, and those of floats (gemm) take their place. */
#include "probe/cosine.h"

#include <float.h>
#include <math.h>

#include "nn/gemm.h"

enum {
    LANES = 8,
    FEW = 8,   /* queries for which a product costs more than it spares */
    PAYS = 16, /* one scored in double of so many costs more than a product of floats instead of a rough one */
};

static const double shortest = 1e-20, longest = 1e20; /* lengths that floats bear well */

/* In eight sums, which the compiler makes a vector of; their order is fixed. */
static double dot(const float *x, const float *y, int64_t dim)
{
    double sum[LANES] = {0};
    int64_t d = 0;
    for (; d + LANES <= dim; d += LANES)
        for (int l = 0; l < LANES; l++) sum[l] += (double)x[d + l] * (double)y[d + l];
    for (int l = 0; d < dim; d++, l++) sum[l] += (double)x[d] * (double)y[d];
    return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

double cosine_norm(const float *x, int64_t dim)
{
    const double square = dot(x, x, dim); /* of finite floats always finite; NaN and Inf stay */
    return isfinite(square) ? sqrt(square) : 0;
}

Status cosine_open(CosineSearch *s, int64_t k, int64_t dim, const float *query, int64_t n, Arena *a)
{
    float *room;
    *s = (CosineSearch){.k = k, .dim = dim, .n = n, .query = query};
    TRY(arena_new(&s->best, a, n * k));
    TRY(arena_new(&s->found, a, n));
    TRY(arena_new(&s->norm, a, n));
    TRY(arena_new(&s->unit, a, n * dim));
    TRY(arena_new(&s->product, a, n * COSINE_BLOCK));
    TRY(arena_new(&s->room, a, rough_reals(COSINE_BLOCK, dim)));
    TRY(arena_new(&room, a, rough_reals(n, dim)));
    for (int64_t i = 0; i < n; i++) {
        s->norm[i] = cosine_norm(query + i * dim, dim);
        for (int64_t d = 0; d < dim && s->norm[i] > 0; d++)
            s->unit[i * dim + d] = (float)((double)query[i * dim + d] / s->norm[i]);
    }
    rough_left(&s->rough, room, s->unit, n, dim);
    return OK;
}

double cosine_bytes(int64_t k, int64_t dim, int64_t n)
{
    return (double)n * (double)(k * (int64_t)sizeof(CosineMatch) + 16 + 6 * dim + 4 * COSINE_BLOCK) +
           2.0 * COSINE_BLOCK * (double)dim;
}

int cosine_compare(const void *a, const void *b)
{
    const CosineMatch *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    if (x->targetid != y->targetid) return x->targetid < y->targetid ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

static void offer(CosineSearch *s, int64_t i, const CosineMatch *m)
{
    CosineMatch *best = s->best + i * s->k;
    int64_t at = s->found[i];
    if (at == s->k && cosine_compare(m, &best[at - 1]) >= 0) return;
    if (at < s->k)
        s->found[i]++;
    else
        at--;
    for (; at > 0 && cosine_compare(m, &best[at - 1]) < 0; at--) best[at] = best[at - 1];
    best[at] = *m;
}

/* Candidates of one block. */
typedef struct {
    const float *x;
    const double *norm;
    const int64_t *targetid, *row;
    int64_t m;
    float length[COSINE_BLOCK]; /* what a product is compared with, times `cut`; NaN = with nothing */
} Block;

void cosine_offer(CosineSearch *s, int64_t i, const float *x, double norm, int64_t targetid, int64_t row)
{
    if (s->norm[i] == 0 || norm == 0 || (s->self && s->self[i] == row)) return;
    const double cosine = dot(s->query + i * s->dim, x, s->dim) / (s->norm[i] * norm);
    const CosineMatch m = {fmax(-1, fmin(cosine, 1)), targetid, row}; /* rounding goes beyond 1 */
    offer(s, i, &m);
}

/* The cosine below which a product tells that a candidate is none. */
static float cut_of(const CosineSearch *s, int64_t i, double slack)
{
    return s->found[i] == s->k ? (float)(s->best[(i + 1) * s->k - 1].score - slack) : -INFINITY;
}

static bool any_hit(const float *product, const float *length, float cut, int64_t m)
{
    int hits = 0;
    for (int64_t j = 0; j < m; j++) hits |= !(product[j] < cut * length[j]);
    return hits != 0;
}

/* The products of all queries with a block; returns how far they may be off. */
static double multiply(CosineSearch *s, const Block *b)
{
    RoughRows block;
    if (s->fine) {
        gemm()->forward(s->product, s->unit, b->x, NULL, s->n, b->m, s->dim);
        return rough_float_bound(s->dim);
    }
    rough_right(&block, s->room, b->x, b->m, s->dim);
    rough_products(s->product, &s->rough, 0, s->n, &block);
    return rough_bound(&s->rough, &block);
}

static void score(CosineSearch *s, int64_t i, const Block *b, int64_t j)
{
    cosine_offer(s, i, b->x + j * s->dim, b->norm[j], b->targetid[j], b->row[j]);
}

/* Scores what products do not pass over for query i; returns how many. */
static int64_t sieve(CosineSearch *s, int64_t i, const Block *b, double slack)
{
    const float *product = s->product + i * b->m;
    int64_t n = 0;
    if (!any_hit(product, b->length, cut_of(s, i, slack), b->m)) return 0;
    for (int64_t j = 0; j < b->m; j++)
        if (!(product[j] < cut_of(s, i, slack) * b->length[j])) {
            score(s, i, b, j);
            n++;
        }
    return n;
}

static void add_block(CosineSearch *s, const Block *b)
{
    const bool some = s->n >= FEW;
    const double off = some ? multiply(s, b) : 0, slack = off / (1 - off);
    int64_t n_sure = 0, n_scored = 0; /* of queries with k matches */
    for (int64_t i = 0; i < s->n; i++) {
        if (s->norm[i] == 0) continue;
        const bool sure = s->found[i] == s->k;
        if (some) {
            const int64_t n = sieve(s, i, b, slack);
            n_sure += sure;
            n_scored += sure ? n : 0;
        }
        for (int64_t j = 0; j < b->m && !some; j++) score(s, i, b, j);
    }
    if (n_scored * PAYS > n_sure * b->m) s->fine = true;
}

void cosine_add(CosineSearch *s, const float *x, const double *norm, const int64_t *targetid, const int64_t *row,
                int64_t m)
{
    Block b;
    for (int64_t at = 0; at < m && s->k > 0; at += COSINE_BLOCK) {
        b = (Block){x + at * s->dim, norm + at, targetid + at, row + at, m - at, {0}};
        if (b.m > COSINE_BLOCK) b.m = COSINE_BLOCK;
        for (int64_t j = 0; j < b.m; j++)
            b.length[j] = b.norm[j] >= shortest && b.norm[j] <= longest ? (float)b.norm[j] : NAN;
        add_block(s, &b);
    }
}
