/* tsne.c - the gradient descent of the paper: affinities of a fixed perplexity by bisection, early exaggeration, momentum, gains. */
#include "probe/tsne.h"

#include <math.h>
#include <string.h>

#include "probe/pca.h"

enum { EARLY = 100, BISECTIONS = 50, LANES = 8 };

static double square_distance(const float *x, const float *y, int64_t dim)
{
    double sum[LANES] = {0};
    int64_t d = 0;
    for (; d + LANES <= dim; d += LANES)
        for (int l = 0; l < LANES; l++) {
            const double off = (double)x[d + l] - (double)y[d + l];
            sum[l] += off * off;
        }
    for (int l = 0; d < dim; d++, l++) sum[l] += ((double)x[d] - y[d]) * ((double)x[d] - y[d]);
    return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

/* Row i of p: distances in, conditional probabilities out, of the width whose entropy is that of `perplexity` neighbours. */
static void fit_width(double *p, int64_t i, int64_t n, double perplexity)
{
    double beta = 1, low = 0, high = INFINITY, nearest = INFINITY, mean = 0;
    for (int64_t j = 0; j < n; j++) {
        if (j != i) nearest = fmin(nearest, p[j]);
        mean += p[j] / (double)n;
    }
    if (mean > nearest) beta = 1 / (mean - nearest);
    for (int k = 0; k < BISECTIONS; k++) {
        double sum = 0, moment = 0;
        for (int64_t j = 0; j < n; j++) {
            if (j == i) continue;
            const double w = exp(-beta * (p[j] - nearest));
            sum += w;
            moment += w * (p[j] - nearest);
        }
        const double entropy = log(sum) + beta * moment / sum;
        if (entropy > log(perplexity))
            low = beta, beta = isinf(high) ? 2 * beta : (low + high) / 2;
        else
            high = beta, beta = (low + high) / 2;
    }
    double sum = 0;
    for (int64_t j = 0; j < n; j++) {
        p[j] = j == i ? 0 : exp(-beta * (p[j] - nearest));
        sum += p[j];
    }
    for (int64_t j = 0; j < n; j++) p[j] /= sum;
}

/* p (n, n): joint probabilities. */
static void find_affinities(double *p, const float *x, int64_t n, int64_t dim, double perplexity)
{
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < n; j++)
            p[i * n + j] =
                j < i ? square_distance(x + j * dim, x + i * dim, dim) : square_distance(x + i * dim, x + j * dim, dim);
        fit_width(p + i * n, i, n, perplexity);
    }
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < i; j++) {
            const double both = (p[i * n + j] + p[j * n + i]) / (2 * (double)n);
            p[i * n + j] = p[j * n + i] = fmax(both, 1e-12);
        }
}

typedef struct {
    const float *x;
    int64_t dim;
} Points;

static Status read_point(float *out, void *source, int64_t row, Arena *scratch)
{
    const Points *p = source;
    (void)scratch;
    memcpy(out, p->x + row * p->dim, (size_t)p->dim * sizeof *out);
    return OK;
}

/* The first two components, small. */
static Status start_map(double *map, const float *x, int64_t n, int64_t dim, Arena *a)
{
    Points points = {x, dim};
    const PcaRows rows = {.n = n, .dim = dim, .read = read_point, .source = &points};
    Pca pca;
    TRY(pca_fit(&pca, &rows, 2, 1, &par_alone, a));
    const double scale = pca.variance[0] > 0 ? 1e-2 / sqrt(pca.variance[0]) : 0;
    for (int64_t i = 0; i < n; i++) {
        float score[2] = {0};
        pca_project(score, &pca, x + i * dim);
        for (int64_t k = 0; k < 2; k++) map[2 * i + k] = k < pca.k ? scale * score[k] : 0;
    }
    return OK;
}

/* gradient (n, 2) of the divergence, up to a factor; w (n) is room. */
static void find_gradient(double *gradient, const double *map, const double *p, double exaggeration, int64_t n,
                          double *w)
{
    double total = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < i; j++) {
            const double dx = map[2 * i] - map[2 * j], dy = map[2 * i + 1] - map[2 * j + 1];
            total += 2 / (1 + dx * dx + dy * dy);
        }
    for (int64_t i = 0; i < n; i++) {
        double gx = 0, gy = 0;
        for (int64_t j = 0; j < n; j++) {
            const double dx = map[2 * i] - map[2 * j], dy = map[2 * i + 1] - map[2 * j + 1];
            const double q = 1 / (1 + dx * dx + dy * dy);
            w[j] = (exaggeration * p[i * n + j] - q / total) * q;
        }
        for (int64_t j = 0; j < n; j++)
            gx += w[j] * (map[2 * i] - map[2 * j]), gy += w[j] * (map[2 * i + 1] - map[2 * j + 1]);
        gradient[2 * i] = 4 * gx;
        gradient[2 * i + 1] = 4 * gy;
    }
}

static void descend(double *map, double *speed, double *gain, const double *gradient, double rate, double momentum,
                    int64_t n)
{
    double mean[2] = {0};
    for (int64_t k = 0; k < 2 * n; k++) {
        gain[k] = fmax(0.01, (gradient[k] > 0) == (speed[k] > 0) ? 0.8 * gain[k] : gain[k] + 0.2);
        speed[k] = momentum * speed[k] - rate * gain[k] * gradient[k];
        map[k] += speed[k];
        mean[k % 2] += map[k] / (double)n;
    }
    for (int64_t k = 0; k < 2 * n; k++) map[k] -= mean[k % 2];
}

Status tsne_map(double *map, const float *x, int64_t n, int64_t dim, double perplexity, Arena *scratch)
{
    const Mark mark = arena_mark(scratch);
    double *p, *speed, *gain, *gradient, *w;
    TRY(arena_new(&p, scratch, n * n));
    TRY(arena_new(&speed, scratch, 2 * n));
    TRY(arena_new(&gain, scratch, 2 * n));
    TRY(arena_new(&gradient, scratch, 2 * n));
    TRY(arena_new(&w, scratch, n));
    TRY(start_map(map, x, n, dim, scratch));
    find_affinities(p, x, n, dim, fmin(perplexity, (double)(n - 1) / 3));
    for (int64_t k = 0; k < 2 * n; k++) gain[k] = 1;
    for (int step = 0; step < TSNE_STEPS; step++) {
        find_gradient(gradient, map, p, step < EARLY ? 12 : 1, n, w);
        descend(map, speed, gain, gradient, fmax((double)n / 12, 50), step < EARLY ? 0.5 : 0.8, n);
    }
    arena_reset(scratch, mark);
    return OK;
}
