/* test_layernorm.c - layer normalisation. */
#include <string.h>

#include "nn/layernorm.h"
#include "test_main.h"

enum { ROWS = 3, N = 37 }; /* not a multiple of any vector length */

static const double rounding = 3e-7; /* a few units in the last place of float around 1 */

static void fill(real *x, double offset)
{
    for (int i = 0; i < ROWS * N; i++) x[i] = (real)(offset + sin(1.7 * i) * (1 + i / N));
}

static void ones(real *w, real *b)
{
    for (int i = 0; i < N; i++) {
        w[i] = 1;
        b[i] = 0;
    }
}

static void mean_is_removed_and_scatter_one(void)
{
    real x[ROWS * N], y[ROWS * N], w[N], b[N];
    fill(x, 0.3);
    ones(w, b);
    layernorm_forward(y, NULL, NULL, x, w, b, ROWS, N, 0);
    for (int r = 0; r < ROWS; r++) {
        double sum = 0, squares = 0;
        for (int i = 0; i < N; i++) {
            sum += (double)y[r * N + i];
            squares += (double)(y[r * N + i] * y[r * N + i]);
        }
        CU_ASSERT_DOUBLE_EQUAL(sum / N, 0, rounding);
        CU_ASSERT_DOUBLE_EQUAL(squares / N, 1, 2 * rounding); /* divided by N: the population */
    }
}

static void formula_with_eps_weight_and_bias(void)
{
    const real x[] = {1, 2, 3, 6}, w[] = {1, 2, -1, 0.5}, b[] = {0, 1, 2, 3};
    real y[4], mean, rstd;
    layernorm_forward(y, &mean, &rstd, x, w, b, 1, 4, (real)0.5);
    CU_ASSERT_DOUBLE_EQUAL(mean, 3, rounding);
    CU_ASSERT_DOUBLE_EQUAL(rstd, 0.5, rounding); /* variance 3.5 */
    const double want[] = {-1, 0, 2, 3.75};
    for (int i = 0; i < 4; i++) CU_ASSERT_DOUBLE_EQUAL(y[i], want[i], 4 * rounding);
}

static void constant_row_gives_the_bias(void)
{
    real x[N], y[N], w[N], b[N];
    for (int i = 0; i < N; i++) {
        x[i] = 5;
        w[i] = 2;
        b[i] = (real)i;
    }
    layernorm_forward(y, NULL, NULL, x, w, b, 1, N, (real)1e-5);
    for (int i = 0; i < N; i++) CU_ASSERT_EQUAL(y[i], b[i]);
}

static void large_mean_costs_only_input_digits(void)
{
    real x[ROWS * N], far[ROWS * N], y[ROWS * N], y_far[ROWS * N], w[N], b[N];
    fill(x, 0);
    fill(far, 4096);
    ones(w, b);
    layernorm_forward(y, NULL, NULL, x, w, b, ROWS, N, (real)1e-6);
    layernorm_forward(y_far, NULL, NULL, far, w, b, ROWS, N, (real)1e-6);
    for (int i = 0; i < ROWS * N; i++)
        CU_ASSERT_DOUBLE_EQUAL(y[i], y_far[i], 2e-3); /* inputs near 4096 are rounded to 2.4e-4 */
}

static void rows_stand_alone_and_in_place(void)
{
    real x[ROWS * N], y[ROWS * N], w[N], b[N];
    fill(x, 1);
    ones(w, b);
    layernorm_forward(y, NULL, NULL, x, w, b, ROWS, N, (real)1e-5);
    layernorm_forward(x + N, NULL, NULL, x + N, w, b, 1, N, (real)1e-5);
    CU_ASSERT(memcmp(y + N, x + N, sizeof *y * N) == 0);
}

TEST_MAIN("layernorm", {"the mean is removed and the scatter is one", mean_is_removed_and_scatter_one},
          {"eps, weight and bias stand where the formula has them", formula_with_eps_weight_and_bias},
          {"a constant row gives the bias", constant_row_gives_the_bias},
          {"a large mean costs no more digits than the input has lost", large_mean_costs_only_input_digits},
          {"rows stand alone, and in place is the same", rows_stand_alone_and_in_place})
