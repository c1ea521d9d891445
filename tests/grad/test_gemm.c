/* test_gemm.c - the backward products of every gemm provider against finite differences of the forward one, along
   random directions. */
#include <string.h>

#include "nn/gemm.h"
#include "test_main.h"

enum { ROWS = 19, N_IN = 23, N_OUT = 29, DIRECTIONS = 8 };

/* A product is linear in each factor, so a central difference is exact but for rounding; float is a smoke test. */
#ifdef REAL_DOUBLE
static const double step = 1e-2, tolerance = 1e-8;
#else
static const double step = 1e-1, tolerance = 1e-3;
#endif

static real x[ROWS * N_IN], w[N_OUT * N_IN], d_y[ROWS * N_OUT], y[ROWS * N_OUT];
static uint32_t state;

static void randomise(real *v, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        v[i] = (real)(state >> 8) / (real)(1 << 23) - 1;
    }
}

/* sum of d_y * y: a scalar whose gradients are the backward products. */
static double objective(const GemmProvider *p)
{
    double sum = 0;
    p->forward(y, x, w, NULL, ROWS, N_OUT, N_IN);
    for (int64_t i = 0; i < ROWS * N_OUT; i++) sum += (double)d_y[i] * (double)y[i];
    return sum;
}

/* Compares <gradient, direction> with the difference quotient over `value` moved along the direction. */
static void check_direction(const GemmProvider *p, real *value, const real *gradient, int64_t n)
{
    static real direction[N_OUT * N_IN], kept[N_OUT * N_IN];
    randomise(direction, n);
    double want = 0, size = 0, side[2];
    for (int64_t i = 0; i < n; i++) {
        kept[i] = value[i];
        want += (double)gradient[i] * (double)direction[i];
        size += fabs((double)gradient[i] * (double)direction[i]);
    }
    for (int s = 0; s < 2; s++) {
        for (int64_t i = 0; i < n; i++) value[i] = kept[i] + (real)((s ? step : -step) * (double)direction[i]);
        side[s] = objective(p);
    }
    for (int64_t i = 0; i < n; i++) value[i] = kept[i];
    CU_ASSERT_DOUBLE_EQUAL((side[1] - side[0]) / (2 * step), want, tolerance * size);
}

static void backward_is_the_gradient(void)
{
    for (const GemmProvider *const *p = gemm_providers; *p; p++) {
        if (!(*p)->available()) continue;
        static real d_x[ROWS * N_IN], d_w[N_OUT * N_IN];
        state = 4;
        randomise(x, ROWS * N_IN);
        randomise(w, N_OUT * N_IN);
        randomise(d_y, ROWS * N_OUT);
        memset(d_x, 0, sizeof d_x);
        memset(d_w, 0, sizeof d_w);
        (*p)->backward_x(d_x, d_y, w, ROWS, N_OUT, N_IN);
        (*p)->backward_w(d_w, d_y, x, ROWS, N_OUT, N_IN);
        for (int k = 0; k < DIRECTIONS; k++) {
            check_direction(*p, x, d_x, ROWS * N_IN);
            check_direction(*p, w, d_w, N_OUT * N_IN);
        }
    }
}

static void backward_adds(void)
{
    for (const GemmProvider *const *p = gemm_providers; *p; p++) {
        if (!(*p)->available()) continue;
        real one[] = {2}, a[] = {3}, b[] = {5}, sum[] = {100};
        (*p)->backward_x(sum, one, a, 1, 1, 1);
        CU_ASSERT_EQUAL(sum[0], 106);
        (*p)->backward_w(sum, one, b, 1, 1, 1);
        CU_ASSERT_EQUAL(sum[0], 116);
    }
}

TEST_MAIN("gemm gradients", {"the backward products are the gradient of the forward one", backward_is_the_gradient},
          {"backward adds into what is there", backward_adds})
