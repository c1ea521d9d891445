/* The search finds what comparing all exactly finds, in the same order: ties, rows that are equal, numbers far from zero, where
   the product in float says little, and beyond what float holds. */
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "nn/gemm.h"
#include "probe/knn.h"
#include "test_main.h"

enum { DIM = 37, QUERIES = 50, CANDIDATES = 700 };

typedef struct {
    double square;
    int64_t id;
} Pair;

static int in_order(const void *a, const void *b)
{
    const Pair *x = a, *y = b;
    if (x->square != y->square) return x->square < y->square ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

/* In the order of sums of knn.c: eight, then their tree. */
static double square_of(const double *x, const double *y)
{
    double sum[8] = {0};
    for (int d = 0; d < DIM; d++) sum[d % 8] += (x[d] - y[d]) * (x[d] - y[d]);
    return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

static void compare(double scale, double shift, int64_t k, int64_t values)
{
    const Mark mark = arena_mark(&test_arena);
    double *q, *x;
    int64_t *id, *self;
    Pair *pair;
    KnnSearch s;
    CHECK_OK(arena_new(&q, &test_arena, QUERIES * DIM));
    CHECK_OK(arena_new(&x, &test_arena, CANDIDATES * DIM));
    CHECK_OK(arena_new(&id, &test_arena, CANDIDATES));
    CHECK_OK(arena_new(&self, &test_arena, QUERIES));
    CHECK_OK(arena_new(&pair, &test_arena, CANDIDATES));
    for (int64_t i = 0; i < CANDIDATES * DIM; i++) {
        Rng g = rng_stream(5, "test.knn", i, 0);
        const double u = rng_normal(&g);
        x[i] = shift + scale * (values > 0 ? (double)(i * 7919 % values) : u);
    }
    for (int64_t j = 0; j < CANDIDATES; j++) id[j] = 3 * CANDIDATES - 2 * j; /* not in the order of candidates */
    memcpy(q, x + 100 * DIM, sizeof *q * QUERIES * DIM);
    for (int64_t i = 0; i < QUERIES; i++) self[i] = i % 2 ? id[100 + i] : -1;
    for (int64_t i = 0; i < QUERIES * DIM; i++) q[i] += i / DIM % 3 == 0 ? 0 : 0.3 * scale;
    CHECK_OK(knn_open(&s, k, DIM, q, QUERIES, &test_arena));
    s.self = self;
    knn_add(&s, x, x, 1, id, 300);
    knn_add(&s, x + 300 * DIM, x + 300, 1, id + 300, CANDIDATES - 300);
    for (int64_t i = 0; i < QUERIES; i++) {
        int64_t n = 0, wrong = 0;
        for (int64_t j = 0; j < CANDIDATES; j++)
            if (id[j] != self[i]) pair[n++] = (Pair){square_of(q + i * DIM, x + j * DIM), id[j]};
        qsort(pair, (size_t)n, sizeof *pair, in_order);
        if (n > k) n = k;
        CU_ASSERT_EQUAL_FATAL(s.found[i], n);
        for (int64_t j = 0; j < n; j++)
            wrong += s.best[i * k + j].id != pair[j].id || s.best[i * k + j].square != pair[j].square;
        CU_ASSERT_EQUAL(wrong, 0);
    }
    arena_reset(&test_arena, mark);
}

static void as_comparing_all(void)
{
    for (const GemmProvider *const *p = gemm_providers; *p; p++) {
        if (!(*p)->available()) continue;
        CHECK_OK(gemm_choose((*p)->name, 1));
        compare(1, 0, 16, 0);
        compare(1, 0, 1, 0);
        compare(1, 0, CANDIDATES + 5, 0); /* more than there are */
        compare(1, 0, 16, 2);             /* many at the same distance */
        compare(0, 1, 16, 0);             /* all alike */
        compare(1, 1e4, 16, 0);           /* small differences of large numbers */
        compare(1e-3, 1e9, 16, 0);
        compare(1e18, -1e21, 16, 0); /* products beyond float */
        compare(1e40, 0, 16, 0);     /* numbers beyond float */
        compare(1e-30, 0, 16, 0);
        compare(2e-19, 0, 16, 0); /* squares about as small as floats are */
    }
    CHECK_OK(gemm_choose("auto", 1));
}

TEST_MAIN("knn", {"neighbours are those of comparing all exactly", as_comparing_all})
