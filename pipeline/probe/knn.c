/* knn.c - the search: direct differences in double, candidates in blocks that stay in the cache. */
#include "probe/knn.h"

#include <math.h>
#include <string.h>

const ConfigField knn_fields[] = {FIELD_INT(KnnConfig, k, "64", 1, 10000, RESULT,
                                            "neighbours that a prediction is the weighted mean of"),
                                  FIELD_END};

enum { LANES = 8, BLOCK_NUMBERS = 32768 };

Status knn_open(KnnSearch *s, int64_t k, int64_t dim, const double *query, int64_t n, Arena *a)
{
    *s = (KnnSearch){.k = k, .dim = dim, .n = n, .query = query};
    TRY(arena_new(&s->best, a, n * k));
    return arena_new(&s->found, a, n);
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

void knn_add(KnnSearch *s, const double *x, const double *value, int n_values, const int64_t *id, int64_t m)
{
    const int64_t block = BLOCK_NUMBERS / s->dim + 1;
    for (int64_t first = 0; first < m; first += block) {
        const int64_t end = first + block < m ? first + block : m;
        for (int64_t i = 0; i < s->n; i++)
            for (int64_t j = first; j < end; j++)
                if (!s->self || id[j] != s->self[i])
                    offer(s, i, square_distance(s->query + i * s->dim, x + j * s->dim, s->dim), id[j],
                          value + j * n_values, n_values);
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
        for (int v = 0; v < n_values; v++) out[v] += weight * best[j].value[v];
    }
    for (int v = 0; v < n_values; v++) out[v] = total > 0 ? out[v] / total : NAN;
}
