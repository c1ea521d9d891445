/* test_pca.c - components of rows that lie near a plane: those of the covariance, the same bits on any ranks. */
#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "nn/linalg.h"
#include "probe/pca.h"
#include "test_main.h"

enum { ROWS = 150, DIM = 40, K = 5 };

static const double spread[K] = {9, 5, 3, 2, 1}; /* along K directions; 0.01 along all others */

static Status read_row(float *out, void *source, int64_t row, Arena *scratch)
{
    (void)source;
    (void)scratch;
    Rng rng = rng_stream(3, "test.pca", row, 0);
    for (int d = 0; d < DIM; d++) out[d] = (float)(1 + 0.01 * rng_normal(&rng));
    for (int k = 0; k < K; k++) {
        const double along = spread[k] * rng_normal(&rng);
        for (int d = 0; d < DIM; d++) out[d] += (float)(along * cos(0.3 * (k + 1) * d + k) * sqrt(2.0 / DIM));
    }
    return OK;
}

static const PcaRows rows = {ROWS, DIM, read_row, NULL};

/* Variances are the covariance's largest eigenvalues; components are its eigenvectors. */
static void components_are_eigenvectors(void)
{
    static double x[ROWS * DIM], covariance[DIM * DIM], values[DIM];
    float row[DIM];
    Pca p;
    CHECK_OK(pca_fit(&p, &rows, K, 1, &test_par, &test_arena));
    CU_ASSERT_EQUAL_FATAL(p.k, K);
    memset(covariance, 0, sizeof covariance);
    for (int i = 0; i < ROWS; i++) {
        CHECK_OK(read_row(row, NULL, i, &test_arena));
        for (int d = 0; d < DIM; d++) x[i * DIM + d] = (double)row[d] - p.mean[d];
    }
    linalg_gram(covariance, x, ROWS, DIM);
    CHECK_OK(linalg_eigen_symmetric(values, covariance, DIM, &test_arena));
    for (int k = 0; k < K; k++) {
        const double *vector = covariance + (DIM - 1 - k) * DIM, want = values[DIM - 1 - k] / (ROWS - 1);
        double same = 0;
        for (int d = 0; d < DIM; d++) same += vector[d] * p.component[k * DIM + d];
        /* what is left outside the K directions is 1e-4 of the least variance: passes shrink it to its 8th power */
        CU_ASSERT_DOUBLE_EQUAL(p.variance[k], want, 1e-10 * want);
        CU_ASSERT_DOUBLE_EQUAL(fabs(same), 1, 1e-10);
    }
    float score[K];
    CHECK_OK(read_row(row, NULL, 7, &test_arena));
    pca_project(score, &p, row);
    for (int k = 0; k < K; k++) {
        double want = 0;
        for (int d = 0; d < DIM; d++) want += x[7 * DIM + d] * p.component[k * DIM + d];
        CU_ASSERT_DOUBLE_EQUAL(score[k], want, 1e-6 * spread[0]); /* a float of about 10 */
    }
}

static void ranks_do_not_matter(void)
{
    Pca mine, alone;
    CHECK_OK(pca_fit(&mine, &rows, K, 1, &test_par, &test_arena));
    CHECK_OK(pca_fit(&alone, &rows, K, 1, &par_alone, &test_arena));
    CU_ASSERT_EQUAL(memcmp(mine.component, alone.component, sizeof(double) * K * DIM), 0);
    CU_ASSERT_EQUAL(memcmp(mine.mean, alone.mean, sizeof(double) * DIM), 0);
}

static void few_rows_make_few_components(void)
{
    const PcaRows few = {3, DIM, read_row, NULL}, one = {1, DIM, read_row, NULL};
    Pca p;
    CHECK_OK(pca_fit(&p, &few, K, 1, &test_par, &test_arena));
    CU_ASSERT_EQUAL(p.k, 3);
    CU_ASSERT_DOUBLE_EQUAL(p.variance[2], 0, 1e-10); /* three points lie in a plane */
    CHECK_FAILS(pca_fit(&p, &one, K, 1, &test_par, &test_arena), E_INPUT);
}

TEST_MAIN("pca", {"components are the eigenvectors of the covariance", components_are_eigenvectors},
          {"the number of ranks does not matter", ranks_do_not_matter},
          {"few rows make few components", few_rows_make_few_components})
