/* pca.c - each pass multiplies the directions by X^T X, without making it, and makes them orthonormal again; in the space
   that they span at the end a small eigenvalue problem gives the components. */
#include "probe/pca.h"

#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "nn/linalg.h"

enum { BLOCK = 32 }; /* rows that are multiplied together */

typedef enum { SUM_ROWS, SUM_PRODUCTS, SUM_SQUARES } What;

/* One pass over the rows. */
typedef struct {
    const PcaRows *rows;
    What what;
    const double *mean, *q; /* (dim), (l, dim); not for SUM_ROWS */
    int64_t l;
    double *x, *y; /* a block: (BLOCK, dim) less the mean, (BLOCK, l) along the directions */
    float *row;
} Pass;

static Status read_block(Pass *p, int64_t first, int64_t n, Arena *scratch)
{
    const int64_t dim = p->rows->dim;
    for (int64_t i = 0; i < n; i++) {
        TRY(par_continue());
        TRY(p->rows->read(p->row, p->rows->source, first + i, scratch));
        for (int64_t d = 0; d < dim; d++)
            p->x[i * dim + d] = p->what == SUM_ROWS ? (double)p->row[d] : (double)p->row[d] - p->mean[d];
    }
    return OK;
}

/* sum += what rows [first, last) give. */
static Status sum_part(double *sum, Pass *p, int64_t first, int64_t last, Arena *scratch)
{
    const int64_t dim = p->rows->dim;
    for (int64_t at = first; at < last; at += BLOCK) {
        const int64_t n = last - at < BLOCK ? last - at : BLOCK;
        TRY(read_block(p, at, n, scratch));
        if (p->what == SUM_ROWS) {
            for (int64_t i = 0; i < n; i++)
                for (int64_t d = 0; d < dim; d++) sum[d] += p->x[i * dim + d];
            continue;
        }
        linalg_products(p->y, p->x, p->q, n, p->l, dim);
        if (p->what == SUM_PRODUCTS)
            linalg_cross(sum, p->y, p->x, n, p->l, dim);
        else
            linalg_cross(sum, p->y, p->y, n, p->l, p->l);
    }
    return OK;
}

static Status sum_parts(TreeSum *tree, Pass *p, int64_t size, const Par *par, Arena *a)
{
    int64_t first, last;
    double *leaf;
    par_share(&first, &last, par, PCA_PARTS);
    TRY(treesum_init(tree, size, PCA_PARTS, a));
    TRY(arena_new(&leaf, a, size));
    TRY(arena_new(&p->x, a, BLOCK * p->rows->dim));
    TRY(arena_new(&p->y, a, BLOCK * p->l));
    TRY(arena_new(&p->row, a, p->rows->dim));
    for (int64_t part = first; part < last; part++) {
        memset(leaf, 0, sizeof *leaf * (size_t)size);
        TRY(sum_part(leaf, p, p->rows->n * part / PCA_PARTS, p->rows->n * (part + 1) / PCA_PARTS, a));
        treesum_push(tree, part, leaf);
    }
    return OK;
}

/* Collective. total (size) over all rows. */
static Status pass(double *total, Pass p, int64_t size, const Par *par, Arena *a)
{
    const Mark mark = arena_mark(a);
    TreeSum tree;
    TRY(par_agree(par, sum_parts(&tree, &p, size, par, a)));
    TRY(par_tree_finish(total, &tree, par, a));
    arena_reset(a, mark);
    return OK;
}

static Status begin(Pca *out, double **q, double **small, const PcaRows *rows, int64_t k, int64_t l, uint64_t seed,
                    Arena *a)
{
    *out = (Pca){.dim = rows->dim, .k = k};
    if (rows->n < 2) return FAIL(E_INPUT, "principal components of %lld rows: two are the least", (long long)rows->n);
    TRY(arena_new(&out->mean, a, rows->dim));
    TRY(arena_new(&out->component, a, k * rows->dim));
    TRY(arena_new(&out->variance, a, k));
    TRY(arena_new(q, a, l * rows->dim));
    TRY(arena_new(small, a, l * l + l));
    for (int64_t i = 0; i < l; i++) {
        Rng rng = rng_stream(seed, "pca", i, 0);
        for (int64_t d = 0; d < rows->dim; d++) (*q)[i * rows->dim + d] = rng_normal(&rng);
    }
    return linalg_orthonormalise(*q, l, rows->dim, a);
}

/* Component j is the j-th last eigenvector's mixture of the directions. */
static void mix(Pca *out, const double *q, const double *vectors, const double *values, int64_t l, int64_t n)
{
    for (int64_t j = 0; j < out->k; j++) {
        const double *share = vectors + (l - 1 - j) * l;
        double *c = out->component + j * out->dim, largest = 0;
        for (int64_t i = 0; i < l; i++)
            for (int64_t d = 0; d < out->dim; d++) c[d] += share[i] * q[i * out->dim + d];
        for (int64_t d = 0; d < out->dim; d++)
            if (fabs(c[d]) > fabs(largest)) largest = c[d];
        for (int64_t d = 0; largest < 0 && d < out->dim; d++) c[d] = -c[d];
        out->variance[j] = fmax(values[l - 1 - j], 0) / (double)(n - 1);
    }
}

Status pca_fit(Pca *out, const PcaRows *rows, int64_t k, uint64_t seed, const Par *par, Arena *a)
{
    int64_t most = rows->n < rows->dim ? rows->n : rows->dim, l = k + PCA_EXTRA < most ? k + PCA_EXTRA : most;
    double *q = NULL, *small = NULL;
    if (k > l) k = l;
    Status st = begin(out, &q, &small, rows, k, l, seed, a);
    TRY(par_agree(par, st));
    Pass p = {.rows = rows, .what = SUM_ROWS, .mean = out->mean, .q = q, .l = l};
    TRY(pass(out->mean, p, rows->dim, par, a));
    for (int64_t d = 0; d < rows->dim; d++) out->mean[d] /= (double)rows->n;
    p.what = SUM_PRODUCTS;
    for (int i = 0; i < PCA_PASSES; i++) {
        TRY(pass(q, p, l * rows->dim, par, a));
        TRY(par_agree(par, linalg_orthonormalise(q, l, rows->dim, a)));
    }
    p.what = SUM_SQUARES;
    TRY(pass(small, p, l * l, par, a));
    TRY(par_agree(par, linalg_eigen_symmetric(small + l * l, small, l, a)));
    mix(out, q, small, small + l * l, l, rows->n);
    return OK;
}

void pca_project(float *score, const Pca *p, const float *x)
{
    for (int64_t j = 0; j < p->k; j++) {
        const double *c = p->component + j * p->dim;
        double sum = 0;
        for (int64_t d = 0; d < p->dim; d++) sum += ((double)x[d] - p->mean[d]) * c[d];
        score[j] = (float)sum;
    }
}

/* Directions, components, a leaf, the tree of parts with what joins it. */
double pca_memory(int64_t dim, int64_t k)
{
    const double l = (double)(k + PCA_EXTRA), tree = 2 * log2(PCA_PARTS) + 3;
    return 8 * (double)dim * (l * (3 + tree) + BLOCK);
}
