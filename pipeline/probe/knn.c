/* knn.c - the search: products that may be far off (nn/rough.h) say which candidates can be among the nearest, direct
   differences in double say where: neighbours are those of exact distances, whatever the products round.

   |q - y|^2 = |q|^2 + |y|^2 - 2 q y, and the product p of q and y is off by at most w |q| |y|, of which |q| |y| is at most the
   mean of the squares. So a candidate is nearer than the last neighbour, at distance d, only where

       p >= limit(q) + limit(y),  limit(q) = (|q|^2 (1 - w) - d^2) / 2,  limit(y) = |y|^2 (1 - w) / 2.

   Those that reach it are noted with half = limit(y) - p: what is left of (d^2 - |q|^2) / 2 then lies between
   half - w |q|^2 / 2 and half + w |q|^2 / 2 + w |y|^2. Where k of them have halves of at most h, others are among the k nearest
   only with one of at most h + w (|q|^2 + the largest |y|^2): a limit too, before any distance is known. What stays of all that
   were offered at once is looked at in the end. Below FLT_MIN floats lose more than w: 8 dim FLT_MIN has room for it. */
#include "probe/knn.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "core/select.h"

const ConfigField knn_fields[] = {FIELD_INT(KnnConfig, k, "64", 1, 10000, RESULT,
                                            "neighbours that a prediction is the weighted mean of"),
                                  FIELD_END};

enum { LANES = 8, ABREAST = 4, MANY = 32 };

static const double longest = FLT_MAX / 8; /* squares up to which floats bear products */

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

/* Nothing is noted for query i. */
static void forget(KnnSearch *s, int64_t i)
{
    s->n_noted[i] = 0;
    s->enough[i] = 2 * s->k;
    s->kth[i] = INFINITY;
}

Status knn_open(KnnSearch *s, int64_t k, int64_t dim, const double *query, int64_t n, Arena *a)
{
    float *x, *room;
    *s = (KnnSearch){.k = k, .dim = dim, .n = n, .query = query};
    TRY(arena_new(&s->best, a, n * k));
    TRY(arena_new(&s->value, a, n * k * N_LABELS));
    TRY(arena_new(&s->found, a, n));
    TRY(arena_new(&s->square, a, n));
    TRY(arena_new(&s->noted, a, n * KNN_NOTED));
    TRY(arena_new(&s->n_noted, a, n));
    TRY(arena_new(&s->enough, a, n));
    TRY(arena_new(&s->kth, a, n));
    TRY(arena_new(&s->candidate, a, KNN_BLOCK * dim));
    TRY(arena_new(&s->room, a, rough_reals(KNN_BLOCK, dim)));
    TRY(arena_new(&s->product, a, KNN_GROUP * KNN_BLOCK));
    TRY(arena_new(&s->limit, a, KNN_BLOCK));
    TRY(arena_new(&s->middle, a, KNN_NOTED + k));
    TRY(arena_new(&x, a, n * dim));
    TRY(arena_new(&room, a, rough_reals(n, dim)));
    for (int64_t i = 0; i < n; i++) {
        s->square[i] = roughen(x + i * dim, query + i * dim, dim);
        forget(s, i);
    }
    rough_left(&s->rough, room, x, n, dim);
    return OK;
}

int64_t knn_bytes(int64_t k, int64_t dim, int64_t n)
{
    const int64_t query = k * (int64_t)(sizeof(KnnNeighbour) + N_LABELS * sizeof(double)) + 8 * dim +
                          KNN_NOTED * (int64_t)sizeof(KnnNoted);
    return n * query + 8 * KNN_BLOCK * dim + 4 * KNN_GROUP * KNN_BLOCK;
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

/* Of x to ABREAST others at once: each in eight sums, whose order is fixed. Meanwhile `next` are fetched. */
static void square_distances(double out[ABREAST], const double *x, const double *const y[ABREAST],
                             const double *const next[ABREAST], int64_t dim)
{
    Eight a = {0}, b = {0}, c = {0}, e = {0};
    int64_t d = 0;
    for (; d + LANES <= dim; d += LANES) {
        const Eight here = eight_at(x + d);
        for (int j = 0; j < ABREAST; j++) __builtin_prefetch(next[j] + d);
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

/* What was offered at once. */
typedef struct {
    const double *x, *value;
    const int64_t *id;
    int n_values;
} Offer;

/* The vectors of ABREAST of those noted for query i, from number `at` on; beyond the last one the first. */
static void vectors_of(const double *y[ABREAST], const KnnSearch *s, const Offer *o, int64_t i, int64_t at)
{
    const KnnNoted *noted = s->noted + i * KNN_NOTED;
    for (int64_t j = 0; j < ABREAST; j++) y[j] = o->x + noted[at + j < s->n_noted[i] ? at + j : 0].at * s->dim;
}

/* What was noted for query i, exactly. */
static void look_closely(KnnSearch *s, const Offer *o, int64_t i)
{
    const KnnNoted *noted = s->noted + i * KNN_NOTED;
    for (int64_t at = 0; at < s->n_noted[i]; at += ABREAST) {
        const double *y[ABREAST], *next[ABREAST];
        double square[ABREAST];
        vectors_of(y, s, o, i, at);
        vectors_of(next, s, o, i, at + ABREAST);
        square_distances(square, s->query + i * s->dim, y, next, s->dim);
        for (int64_t j = 0; j < ABREAST && at + j < s->n_noted[i]; j++) {
            const int64_t which = noted[at + j].at;
            if (!s->self || o->id[which] != s->self[i])
                offer(s, i, square[j], o->id[which], o->value + which * o->n_values, o->n_values);
        }
    }
    forget(s, i);
}

/* ---- what products say ---- */

/* Half of a square, less what a product may be off. NaN, which every product reaches, where products may be beyond what
   float holds. */
static double half(const KnnSearch *s, double square)
{
    return square < longest ? square * (1 - s->unsure) / 2 - 8 * (double)s->dim * FLT_MIN : NAN;
}

/* What halves of the k nearest may exceed those of k others by. */
static double slack(const KnnSearch *s, double square)
{
    return s->unsure * (square + s->most) + 8 * (double)s->dim * FLT_MIN;
}

/* What a product with query i must reach, without the candidate's part. */
static float limit_of(const KnnSearch *s, int64_t i)
{
    const double square = s->square[i];
    double looked = -INFINITY;
    if (!(square < longest)) return NAN;
    if (s->found[i] == s->k) looked = half(s, square) - s->best[(i + 1) * s->k - 1].square / 2;
    return (float)fmax(looked, -(s->kth[i] + slack(s, square)));
}

static bool any_reaches(const float *product, const float *limit, float more)
{
    int any = 0;
    for (int j = 0; j < MANY; j++) any |= !(product[j] < limit[j] + more);
    return any != 0;
}

/* Candidates of a block, the first of them number `first` of the offer, for query i: those that may be near to it. */
static void note(KnnSearch *s, const float *product, int64_t i, int64_t first, int64_t n)
{
    const float more = limit_of(s, i);
    KnnNoted *noted = s->noted + i * KNN_NOTED;
    int64_t n_noted = s->n_noted[i];
    for (int64_t j = 0; j < n; j += MANY) {
        const int64_t end = j + MANY < n ? j + MANY : n;
        if (end == j + MANY && !any_reaches(product + j, s->limit + j, more)) continue;
        for (int64_t c = j; c < end; c++) { /* no branch to mispredict */
            noted[n_noted] = (KnnNoted){s->limit[c] - product[c], (uint32_t)(first + c)};
            n_noted += !(product[c] < s->limit[c] + more);
        }
    }
    s->n_noted[i] = n_noted;
}

/* Of what was noted for query i only those stay that cannot be told from the k nearest, what was looked at included. */
static void narrow(KnnSearch *s, int64_t i)
{
    const int64_t k = s->k + (s->self != NULL); /* the query itself may be among those noted */
    const double square = s->square[i];
    KnnNoted *noted = s->noted + i * KNN_NOTED;
    int64_t n = 0, stay = 0;
    if (s->n_noted[i] + s->found[i] <= k || !(square < longest) || isinf(s->most)) return;
    for (int64_t j = 0; j < s->n_noted[i]; j++) s->middle[n++] = noted[j].half;
    for (int64_t j = 0; j < s->found[i]; j++)
        s->middle[n++] = (s->best[i * s->k + j].square - square) / 2 - s->unsure * (square / 2 + s->most);
    s->kth[i] = select_kth(s->middle, n, k - 1);
    const double last = s->kth[i] + slack(s, square);
    for (int64_t j = 0; j < s->n_noted[i]; j++) {
        noted[stay] = noted[j];
        stay += noted[j].half <= last;
    }
    s->n_noted[i] = stay;
    s->enough[i] = stay + 2 * s->k;
}

/* Candidates [first, first + n) of an offer. */
static void add_block(KnnSearch *s, const Offer *o, int64_t first, int64_t n)
{
    RoughRows block;
    double square[KNN_BLOCK];
    for (int64_t j = 0; j < n; j++) {
        square[j] = roughen(s->candidate + j * s->dim, o->x + (first + j) * s->dim, s->dim);
        s->most = fmax(s->most, square[j] < longest ? square[j] : INFINITY);
    }
    rough_right(&block, s->room, s->candidate, n, s->dim);
    s->unsure = fmax(s->unsure, rough_bound(&s->rough, &block));
    for (int64_t j = 0; j < n; j++) s->limit[j] = (float)half(s, square[j]);
    for (int64_t group = 0; group < s->n; group += KNN_GROUP) {
        const int64_t rows = s->n - group < KNN_GROUP ? s->n - group : KNN_GROUP;
        rough_products(s->product, &s->rough, group, rows, &block);
        for (int64_t i = group; i < group + rows; i++) {
            note(s, s->product + (i - group) * n, i, first, n);
            if (s->n_noted[i] > s->enough[i] || s->n_noted[i] > KNN_NOTED - KNN_BLOCK) narrow(s, i);
            if (s->n_noted[i] > KNN_NOTED - KNN_BLOCK) look_closely(s, o, i);
        }
    }
}

static void add(KnnSearch *s, const Offer *o, int64_t n)
{
    for (int64_t at = 0; at < n; at += KNN_BLOCK) add_block(s, o, at, n - at < KNN_BLOCK ? n - at : KNN_BLOCK);
    for (int64_t i = 0; i < s->n; i++) {
        narrow(s, i);
        look_closely(s, o, i);
    }
}

void knn_add(KnnSearch *s, const double *x, const double *value, int n_values, const int64_t *id, int64_t m)
{
    enum { AT_ONCE = 1 << 30 }; /* what KnnNoted numbers */
    for (int64_t at = 0; s->n > 0 && at < m; at += AT_ONCE)
        add(s, &(Offer){x + at * s->dim, value + at * n_values, id + at, n_values},
            m - at < AT_ONCE ? m - at : AT_ONCE);
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
