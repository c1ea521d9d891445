/* test_linalg.c - Gram matrices, Cholesky and eigenvectors, in double. */
#include <stdlib.h>
#include <string.h>

#include "nn/linalg.h"
#include "test_main.h"

enum { ROWS = 70, N = 13, M = 3 };

static const double rounding = 1e-12; /* a few hundred products of numbers around 1, and a well-conditioned matrix */

static double x[ROWS * N], y[ROWS * M];

static void fill(void)
{
    for (int i = 0; i < ROWS * N; i++) x[i] = sin(0.7 * i + 0.01 * i * (i % 7));
    for (int i = 0; i < ROWS * M; i++) y[i] = cos(0.3 * i * (1 + i % 5));
}

static void gram(double g[N * N])
{
    memset(g, 0, sizeof(double) * N * N);
    linalg_gram(g, x, ROWS, N);
}

static void gram_adds_the_lower_triangle(void)
{
    double g[N * N];
    fill();
    for (int i = 0; i < N * N; i++) g[i] = 0.5;
    linalg_gram(g, x, ROWS, N);
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < N; j++) {
            double want = 0.5;
            for (int r = 0; r < ROWS && j <= i; r++) want += x[r * N + i] * x[r * N + j];
            CU_ASSERT_DOUBLE_EQUAL(g[i * N + j], want, rounding);
        }
    }
    linalg_mirror(g, N);
    for (int i = 0; i < N * N; i++) CU_ASSERT_EQUAL(g[i], g[i % N * N + i / N]);
}

static void cross_is_x_transposed_y(void)
{
    double c[N * M];
    fill();
    for (int i = 0; i < N * M; i++) c[i] = -1;
    linalg_cross(c, x, y, ROWS, N, M);
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < M; j++) {
            double want = -1;
            for (int r = 0; r < ROWS; r++) want += x[r * N + i] * y[r * M + j];
            CU_ASSERT_DOUBLE_EQUAL(c[i * M + j], want, rounding);
        }
    }
}

static void no_rows_add_nothing(void)
{
    double g[N * N] = {1, 2}, c[N * M] = {3};
    linalg_gram(g, x, 0, N);
    linalg_cross(c, x, y, 0, N, M);
    CU_ASSERT(g[0] == 1 && g[1] == 2 && c[0] == 3);
}

static void cholesky_solves_every_right_hand_side(void)
{
    double g[N * N], a[N * N], z[2 * N], b[2 * N];
    fill();
    gram(g);
    linalg_mirror(g, N);
    memcpy(a, g, sizeof a);
    for (int i = 0; i < 2 * N; i++) z[i] = 1 + i % 4;
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < N; i++) {
            b[k * N + i] = 0;
            for (int j = 0; j < N; j++) b[k * N + i] += g[i * N + j] * z[k * N + j];
        }
    }
    for (int i = 0; i < N; i++)
        for (int j = i + 1; j < N; j++) a[i * N + j] = NAN; /* the upper triangle is not read */
    CHECK_OK(linalg_cholesky_solve(b, a, N, 2));
    for (int i = 0; i < 2 * N; i++) CU_ASSERT_DOUBLE_EQUAL(b[i], z[i], 100 * rounding);
}

static void indefinite_matrix_is_an_error(void)
{
    double a[] = {1, 0, 0, -1}, b[] = {1, 1};
    CHECK_FAILS(linalg_cholesky_solve(b, a, 2, 1), E_NUMERIC);
    double with_nan[] = {NAN, 0, 0, 1};
    CHECK_FAILS(linalg_cholesky_solve(b, with_nan, 2, 1), E_NUMERIC);
    double values[2];
    double again[] = {1, 0, NAN, 1};
    CHECK_FAILS(linalg_eigen_symmetric(values, again, 2, &test_arena), E_NUMERIC);
}

static void eigenvectors_rebuild_the_matrix(void)
{
    double g[N * N], v[N * N], w[N];
    fill();
    gram(g);
    linalg_mirror(g, N);
    memcpy(v, g, sizeof v);
    const size_t used = test_arena.used;
    CHECK_OK(linalg_eigen_symmetric(w, v, N, &test_arena));
    CU_ASSERT_EQUAL(test_arena.used, used);
    for (int i = 0; i < N; i++) {
        CU_ASSERT(i == 0 || w[i - 1] <= w[i]);
        for (int j = 0; j < N; j++) {
            double built = 0, dot = 0;
            for (int k = 0; k < N; k++) {
                built += w[k] * v[k * N + i] * v[k * N + j];
                dot += v[i * N + k] * v[j * N + k];
            }
            CU_ASSERT_DOUBLE_EQUAL(built, g[i * N + j], 100 * rounding);
            CU_ASSERT_DOUBLE_EQUAL(dot, i == j, rounding);
        }
    }
}

/* Large enough for OpenBLAS to use threads if it were allowed to. */
static void environment_threads_do_not_matter(void)
{
    enum { LARGE = 300, MANY = 400 };
    double *a, *g[2];
    CHECK_OK(arena_new(&a, &test_arena, LARGE * MANY));
    for (int i = 0; i < LARGE * MANY; i++) a[i] = sin(i);
    void openblas_set_num_threads(int);
    for (int k = 0; k < 2; k++) {
        CHECK_OK(arena_new(&g[k], &test_arena, LARGE * LARGE));
        openblas_set_num_threads(1 + k);
        linalg_gram(g[k], a, MANY, LARGE);
    }
    CU_ASSERT(memcmp(g[0], g[1], sizeof(double) * LARGE * LARGE) == 0);
}

static void products_and_orthonormal_rows(void)
{
    double g[ROWS * ROWS], q[N * ROWS], kept[N * ROWS], part[N * N];
    fill();
    linalg_products(g, x, x + N, 5, 6, N);
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < 6; j++) {
            double want = 0;
            for (int k = 0; k < N; k++) want += x[i * N + k] * x[(j + 1) * N + k];
            CU_ASSERT_DOUBLE_EQUAL(g[i * 6 + j], want, rounding);
        }
    memcpy(kept, x, sizeof kept);
    memcpy(q, x, sizeof q);
    CHECK_OK(linalg_orthonormalise(q, N, ROWS, &test_arena));
    linalg_products(part, q, q, N, N, ROWS);
    for (int i = 0; i < N * N; i++) CU_ASSERT_DOUBLE_EQUAL(part[i], i / N == i % N, rounding);
    linalg_products(part, kept, q, N, N, ROWS); /* each row is made of the rows up to it: nothing of it is lost */
    for (int i = 0; i < N; i++) {
        double have = 0, want = 0;
        for (int j = 0; j <= i; j++) have += part[i * N + j] * part[i * N + j];
        for (int k = 0; k < ROWS; k++) want += kept[i * ROWS + k] * kept[i * ROWS + k];
        CU_ASSERT_DOUBLE_EQUAL(have, want, ROWS * rounding);
    }
}

TEST_MAIN("linalg", {"a Gram matrix is added to the lower triangle", gram_adds_the_lower_triangle},
          {"the cross product is x transposed times y", cross_is_x_transposed_y},
          {"no rows add nothing", no_rows_add_nothing},
          {"Cholesky solves every right-hand side", cholesky_solves_every_right_hand_side},
          {"an indefinite matrix or NaN is a numeric error", indefinite_matrix_is_an_error},
          {"eigenvectors are orthonormal and rebuild the matrix", eigenvectors_rebuild_the_matrix},
          {"products; rows made orthonormal span what they spanned", products_and_orthonormal_rows},
          {"threads of the environment do not matter", environment_threads_do_not_matter})
