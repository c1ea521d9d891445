/* knn.c - the search: a matrix product in float says which candidates can be among the nearest, direct differences in double
   say where.

   |q - y|^2 = |q|^2 + |y|^2 - 2 q y. With u = 2^-24 and numbers rounded to float, a product q y of dim terms summed in any order
   is off by at most (dim + 2) u / (1 - (dim + 2) u) |q| |y| (Higham 2002, section 3.1; Cauchy and Schwarz); a provider that
   splits its numbers in parts has at most six terms for one. |q| |y| is at most the mean of the squares. So a candidate is
   nearer than the last neighbour, at distance d, only where

       q y >= limit(q) + limit(y),  limit(q) = (|q|^2 (1 - w) - d^2) / 2,  limit(y) = |y|^2 (1 - w) / 2,

   and w = 8 (dim + 16) u has room for what else is rounded: the limits and their sum (3 u of the squares at most), squares
   and distances in double (dim 2^-50 of them). Of a block's candidates that reach it, those that fall short of the k-th of
   them by more than w (|q|^2 + |y|^2) have k nearer ones. All others are looked at exactly: neighbours are those of exact
   distances, whatever the provider of the product rounds. */
#include "probe/knn.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "core/select.h"
#include "nn/gemm.h"

const ConfigField knn_fields[] = {FIELD_INT(KnnConfig, k, "64", 1, 10000, RESULT,
                                            "neighbours that a prediction is the weighted mean of"),
                                  FIELD_END};

enum { LANES = 8, ABREAST = 4, MASK = 16 };

/* x as float; returns |x|^2. */
static double roughen(float *out, const double *x, int64_t dim)
{
    double sum[LANES] = {0};
    int64_t d = 0;
    for (; d + LANES <= dim; d += LANES)
        for (int l = 0; l < LANES; l++) {
            out[d + l] = (float)x[d + l];
            sum[l] += x[d + l] * x[d + l];
        }
    for (int l = 0; d < dim; d++, l++) {
        out[d] = (float)x[d];
        sum[l] += x[d] * x[d];
    }
    return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

Status knn_open(KnnSearch *s, int64_t k, int64_t dim, const double *query, int64_t n, Arena *a)
{
    *s = (KnnSearch){.k = k, .dim = dim, .n = n, .query = query};
    TRY(arena_new(&s->best, a, n * k));
    TRY(arena_new(&s->value, a, n * k * N_LABELS));
    TRY(arena_new(&s->found, a, n));
    TRY(arena_new(&s->rough, a, n * dim));
    TRY(arena_new(&s->candidate, a, KNN_BLOCK * dim));
    TRY(arena_new(&s->product, a, n * KNN_BLOCK));
    TRY(arena_new(&s->square, a, n));
    TRY(arena_new(&s->limit, a, n));
    TRY(arena_new(&s->passed, a, n * KNN_BLOCK));
    TRY(arena_new(&s->near, a, KNN_BLOCK));
    TRY(arena_new(&s->n_passed, a, n));
    for (int64_t i = 0; i < n; i++) {
        s->square[i] = roughen(s->rough + i * dim, query + i * dim, dim);
        s->limit[i] = NAN;
    }
    return OK;
}

/* ---- exact distances ---- */

/* Eight numbers, side by side wherever they lie. */
typedef double Eight __attribute__((vector_size(LANES * sizeof(double))));

static Eight eight_at(const double *x)
{
    Eight e;
    memcpy(&e, x, sizeof e);
    return e;
}

/* Of x to ABREAST others at once: each in eight sums, whose order is fixed. */
static void square_distances(double out[ABREAST], const double *x, const double *const y[ABREAST], int64_t dim)
{
    Eight a = {0}, b = {0}, c = {0}, e = {0};
    int64_t d = 0;
    for (; d + LANES <= dim; d += LANES) {
        const Eight here = eight_at(x + d);
        const Eight off[ABREAST] = {here - eight_at(y[0] + d), here - eight_at(y[1] + d), here - eight_at(y[2] + d),
                                    here - eight_at(y[3] + d)};
        a += off[0] * off[0];
        b += off[1] * off[1];
        c += off[2] * off[2];
        e += off[3] * off[3];
    }
    Eight sum[ABREAST] = {a, b, c, e};
    for (int l = 0; d < dim; d++, l++)
        for (int j = 0; j < ABREAST; j++) sum[j][l] += (x[d] - y[j][d]) * (x[d] - y[j][d]);
    for (int j = 0; j < ABREAST; j++) {
        const Eight t = sum[j];
        out[j] = ((t[0] + t[4]) + (t[2] + t[6])) + ((t[1] + t[5]) + (t[3] + t[7]));
    }
}

static bool before(double square, int64_t id, const KnnNeighbour *b)
{
    return square < b->square || (square == b->square && id < b->id);
}

static void offer(KnnSearch *s, int64_t i, double square, int64_t id, const double *value, int n_values)
{
    KnnNeighbour *best = s->best + i * s->k;
    int64_t at = s->found[i],
            room = at; /* where its values go: behind the others, or where those of the last one were */
    if (at == s->k && !before(square, id, &best[at - 1])) return;
    if (at < s->k)
        s->found[i]++;
    else
        room = best[--at].at;
    for (; at > 0 && before(square, id, &best[at - 1]); at--) best[at] = best[at - 1];
    best[at] = (KnnNeighbour){square, id, room};
    memcpy(s->value + (i * s->k + room) * N_LABELS, value, (size_t)n_values * sizeof *value);
}

/* ---- what products say ---- */

static double rounding(int64_t dim) /* w */ { return 8 * (double)(dim + 16) * (FLT_EPSILON / 2); }

/* Half of a square, less what may have been rounded. NaN, which every product reaches, where products may be beyond what
   float holds. */
static double half(double square, int64_t dim)
{
    return square < FLT_MAX / 8 ? square * (1 - rounding(dim)) / 2 - 8 * (double)dim * FLT_MIN : NAN;
}

static void draw_limit(KnnSearch *s, int64_t i)
{
    if (s->found[i] == s->k) s->limit[i] = (float)(half(s->square[i], s->dim) - s->best[(i + 1) * s->k - 1].square / 2);
}

/* Which of at most MASK products reach their limits, bit by bit. */
static unsigned reaching(const float *product, const float *limit, float more, int64_t n)
{
    unsigned mask = 0;
    if (n < MASK)
        for (int l = 0; l < (int)n; l++) mask |= (unsigned)!(product[l] < limit[l] + more) << l;
    else
        for (int l = 0; l < MASK; l++) mask |= (unsigned)!(product[l] < limit[l] + more) << l;
    return mask;
}

/* Candidates of one block. */
typedef struct {
    int64_t n;
    const double *x, *value;
    const int64_t *id;
    int n_values;
    float limit[KNN_BLOCK];
    double most; /* of their squares; infinite where one's products may be beyond what float holds */
} Block;

/* Candidate j is noted for the queries that it may be near to. */
static void note(KnnSearch *s, const Block *b, int64_t j)
{
    const float *product = s->product + j * s->n;
    for (int64_t i = 0; i < s->n; i += MASK)
        for (unsigned mask = reaching(product + i, s->limit + i, b->limit[j], s->n - i); mask; mask &= mask - 1) {
            const int64_t query = i + __builtin_ctz(mask);
            s->passed[query * KNN_BLOCK + s->n_passed[query]++] = (uint16_t)j;
        }
}

/* Of what was noted for query i, more than k, only those stay that products cannot tell from the k nearest. */
static void narrow(KnnSearch *s, const Block *b, int64_t i)
{
    const int64_t k = s->k + (s->self != NULL), n = s->n_passed[i]; /* the query itself may be among them */
    const double unsure = rounding(s->dim) * (s->square[i] + b->most);
    uint16_t *passed = s->passed + i * KNN_BLOCK;
    if (n <= k || !(s->square[i] < FLT_MAX / 8) || isinf(b->most)) return;
    for (int64_t at = 0; at < n; at++)
        s->near[at] = (double)b->limit[passed[at]] - (double)s->product[passed[at] * s->n + i];
    const double last = select_kth(s->near, n, k - 1) + unsure;
    s->n_passed[i] = 0;
    for (int64_t at = 0; at < n; at++)
        if ((double)b->limit[passed[at]] - (double)s->product[passed[at] * s->n + i] <= last)
            passed[s->n_passed[i]++] = passed[at];
}

/* What was noted for query i, exactly. */
static void look_closely(KnnSearch *s, const Block *b, int64_t i)
{
    const uint16_t *passed = s->passed + i * KNN_BLOCK;
    const double *x = s->query + i * s->dim;
    for (int64_t at = 0; at < s->n_passed[i]; at += ABREAST) {
        const double *y[ABREAST];
        double square[ABREAST];
        const int64_t n = s->n_passed[i] - at < ABREAST ? s->n_passed[i] - at : ABREAST;
        for (int64_t j = 0; j < ABREAST; j++) y[j] = b->x + passed[at + (j < n ? j : 0)] * s->dim;
        square_distances(square, x, y, s->dim);
        for (int64_t j = 0; j < n; j++) {
            const int64_t which = passed[at + j];
            if (!s->self || b->id[which] != s->self[i])
                offer(s, i, square[j], b->id[which], b->value + which * b->n_values, b->n_values);
        }
    }
    s->n_passed[i] = 0;
    draw_limit(s, i);
}

static void add_block(KnnSearch *s, Block *b)
{
    b->most = 0;
    for (int64_t j = 0; j < b->n; j++) {
        const double square = roughen(s->candidate + j * s->dim, b->x + j * s->dim, s->dim);
        b->limit[j] = (float)half(square, s->dim);
        if (!(square < FLT_MAX / 8)) b->most = INFINITY;
        b->most = fmax(b->most, square);
    }
    gemm()->forward(s->product, s->candidate, s->rough, NULL, b->n, s->n, s->dim);
    for (int64_t j = 0; j < b->n; j++) note(s, b, j);
    for (int64_t i = 0; i < s->n; i++) {
        narrow(s, b, i);
        look_closely(s, b, i);
    }
}

void knn_add(KnnSearch *s, const double *x, const double *value, int n_values, const int64_t *id, int64_t m)
{
    for (int64_t at = 0; s->n > 0 && at < m; at += KNN_BLOCK) {
        Block b = {.n = m - at < KNN_BLOCK ? m - at : KNN_BLOCK,
                   .x = x + at * s->dim,
                   .value = value + at * n_values,
                   .id = id + at,
                   .n_values = n_values};
        add_block(s, &b);
    }
}

void knn_mean(double *out, const KnnSearch *s, int64_t i, int n_values)
{
    const KnnNeighbour *best = s->best + i * s->k;
    const bool same = s->found[i] > 0 && best[0].square == 0;
    double total = 0;
    memset(out, 0, (size_t)n_values * sizeof *out);
    for (int64_t j = 0; j < s->found[i] && (!same || best[j].square == 0); j++) {
        const double weight = same ? 1 : 1 / sqrt(best[j].square);
        total += weight;
        const double *value = s->value + (i * s->k + best[j].at) * N_LABELS;
        for (int v = 0; v < n_values; v++) out[v] += weight * value[v];
    }
    for (int v = 0; v < n_values; v++) out[v] = total > 0 ? out[v] / total : NAN;
}
