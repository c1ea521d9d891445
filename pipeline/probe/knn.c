/* knn.c - the search: a matrix product in float says which candidates can be among the nearest, direct differences in double
   say where.

   |q - y|^2 = |q|^2 + |y|^2 - 2 q y. With u = 2^-24 and numbers rounded to float, products summed in any order, the product q y
   is off by at most (dim + 2) u / (1 - (dim + 2) u) |q| |y| (Higham 2002, section 3.1; Cauchy and Schwarz), and what else is
   rounded, in double, by less than dim 2^-50 (|q|^2 + |y|^2). A candidate whose distance less all that is beyond the last
   neighbour's is passed over; every other one is looked at exactly. So neighbours are those of exact distances, whatever the
   provider of the product rounds. */
#include "probe/knn.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "nn/gemm.h"

const ConfigField knn_fields[] = {FIELD_INT(KnnConfig, k, "64", 1, 10000, RESULT,
                                            "neighbours that a prediction is the weighted mean of"),
                                  FIELD_END};

enum { LANES = 8 };

/* x as float; returns |x|. */
static double roughen(float *out, const double *x, int64_t dim)
{
    double sum = 0;
    for (int64_t d = 0; d < dim; d++) {
        out[d] = (float)x[d];
        sum += x[d] * x[d];
    }
    return sqrt(sum);
}

Status knn_open(KnnSearch *s, int64_t k, int64_t dim, const double *query, int64_t n, Arena *a)
{
    *s = (KnnSearch){.k = k, .dim = dim, .n = n, .query = query};
    TRY(arena_new(&s->best, a, n * k));
    TRY(arena_new(&s->found, a, n));
    TRY(arena_new(&s->rough, a, n * dim));
    TRY(arena_new(&s->norm, a, n));
    TRY(arena_new(&s->product, a, n * KNN_BLOCK));
    TRY(arena_new(&s->candidate, a, KNN_BLOCK * dim));
    for (int64_t i = 0; i < n; i++) s->norm[i] = roughen(s->rough + i * dim, query + i * dim, dim);
    return OK;
}

/* In eight sums, which the compiler makes a vector of; their order is fixed. */
static double square_distance(const double *x, const double *y, int64_t dim)
{
    double sum[LANES] = {0};
    int64_t d = 0;
    for (; d + LANES <= dim; d += LANES)
        for (int l = 0; l < LANES; l++) {
            const double off = x[d + l] - y[d + l];
            sum[l] += off * off;
        }
    for (int l = 0; d < dim; d++, l++) sum[l] += (x[d] - y[d]) * (x[d] - y[d]);
    return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

static bool before(double square, int64_t id, const KnnNeighbour *b)
{
    return square < b->square || (square == b->square && id < b->id);
}

static void offer(KnnSearch *s, int64_t i, double square, int64_t id, const double *value, int n_values)
{
    KnnNeighbour *best = s->best + i * s->k;
    int64_t at = s->found[i];
    if (at == s->k && !before(square, id, &best[at - 1])) return;
    if (at < s->k)
        s->found[i]++;
    else
        at--;
    for (; at > 0 && before(square, id, &best[at - 1]); at--) best[at] = best[at - 1];
    best[at].square = square;
    best[at].id = id;
    memcpy(best[at].value, value, (size_t)n_values * sizeof *value);
}

/* At most the square of the distance that square_distance would find. A product beyond what float holds bounds nothing. */
static double least_square(double q, double y, double product, int64_t dim)
{
    if (!isfinite(product)) return 0;
    const double u = (double)(dim + 2) * (FLT_EPSILON / 2), squares = q * q + y * y;
    const double off = 2 * u / (1 - u) * q * y + (double)dim * 0x1p-50 * squares + FLT_MIN * (double)dim;
    return squares - 2 * product - off;
}

/* At most KNN_BLOCK candidates. */
static void add_block(KnnSearch *s, const double *x, const double *value, int n_values, const int64_t *id, int64_t m)
{
    double norm[KNN_BLOCK];
    for (int64_t j = 0; j < m; j++) norm[j] = roughen(s->candidate + j * s->dim, x + j * s->dim, s->dim);
    gemm()->forward(s->product, s->rough, s->candidate, NULL, s->n, m, s->dim);
    for (int64_t i = 0; i < s->n; i++)
        for (int64_t j = 0; j < m; j++) {
            const double least = least_square(s->norm[i], norm[j], (double)s->product[i * m + j], s->dim);
            if (s->found[i] == s->k && least > s->best[(i + 1) * s->k - 1].square) continue;
            if (!s->self || id[j] != s->self[i])
                offer(s, i, square_distance(s->query + i * s->dim, x + j * s->dim, s->dim), id[j], value + j * n_values,
                      n_values);
        }
}

void knn_add(KnnSearch *s, const double *x, const double *value, int n_values, const int64_t *id, int64_t m)
{
    if (s->n == 0) return;
    for (int64_t at = 0; at < m; at += KNN_BLOCK)
        add_block(s, x + at * s->dim, value + at * n_values, n_values, id + at,
                  m - at < KNN_BLOCK ? m - at : KNN_BLOCK);
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
        for (int v = 0; v < n_values; v++) out[v] += weight * best[j].value[v];
    }
    for (int v = 0; v < n_values; v++) out[v] = total > 0 ? out[v] / total : NAN;
}
