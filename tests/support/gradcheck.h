/* gradcheck.h - gradients against difference quotients of the forward pass, along random directions.

       gradcheck(&problem, objective, x, d_x, n, "d_x");        double objective(void *problem)

   The quotient is the five-point one, (8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12 h, whose own error is of order h^4. The
   error is measured in units of sqrt(sum (gradient_i direction_i)^2), the size that the derivative along a random
   direction has. */
#ifndef GRADCHECK_H
#define GRADCHECK_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/gemm.h"
#include "test_main.h"

/* Double: 1e-8 beyond what rounding of the objective, some ten times in a deep network, makes of the difference over h. Float is a smoke test: rounding of the forward pass, 1e-6 of a sum of many terms, over h, against
   gradients of parameters that matter little. */
#ifdef REAL_DOUBLE
static const double gradcheck_step = 2e-4, gradcheck_tolerance = 1e-8, gradcheck_rounding = 4e-15;
#else
static const double gradcheck_step = 1e-2, gradcheck_tolerance = 1e-2, gradcheck_rounding = 0;
#endif

static uint32_t gradcheck_state = 1;

/* Runs the statement behind it with each provider of matrix products chosen. */
#define GRADCHECK_EACH_PROVIDER                                                                                        \
    for (const GemmProvider *const *provider_ = gemm_providers; *provider_; provider_++)                               \
        if ((*provider_)->available() && CHECK_OK(gemm_choose((*provider_)->name, 1)) && (gradcheck_state = 12345))

enum { GRADCHECK_DIRECTIONS = 4 };

/* Numbers in -1 .. 1. */
static inline void gradcheck_fill(real *v, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        gradcheck_state = gradcheck_state * 1664525u + 1013904223u;
        v[i] = (real)(gradcheck_state >> 8) / (real)(1 << 23) - 1;
    }
}

static inline real *gradcheck_array(int64_t n)
{
    real *v;
    if (!CHECK_OK(arena_new(&v, &test_arena, n))) CU_FAIL_FATAL("no memory");
    return v;
}

static inline real *gradcheck_random(int64_t n)
{
    real *v = gradcheck_array(n);
    gradcheck_fill(v, n);
    return v;
}

/* sum w y: the scalar whose gradient towards y is w. */
static inline double gradcheck_sum(const real *w, const real *y, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)w[i] * (double)y[i];
    return sum;
}

static inline void gradcheck(void *problem, double (*objective)(void *), real *value, const real *gradient, int64_t n,
                             const char *what)
{
    static const double step[] = {1, -1, 2, -2}, weight[] = {8, -8, -1, 1};
    const Mark mark = arena_mark(&test_arena);
    real *direction = gradcheck_array(n), *kept = gradcheck_array(n);
    memcpy(kept, value, sizeof *value * (size_t)n);
    double worst = 0, largest = 0;
    for (int k = 0; k < GRADCHECK_DIRECTIONS; k++) {
        gradcheck_fill(direction, n);
        if (n == 1) direction[0] = direction[0] < 0 ? (real)-0.5 : (real)0.5; /* a step too short is all rounding */
        double want = 0, size = 0, got = 0, rounding = 0;
        for (int64_t i = 0; i < n; i++) {
            const double term = (double)gradient[i] * (double)direction[i];
            want += term;
            size += term * term;
        }
        for (int s = 0; s < 4; s++) {
            for (int64_t i = 0; i < n; i++)
                value[i] = (real)((double)kept[i] + step[s] * gradcheck_step * (double)direction[i]);
            const double part = weight[s] * objective(problem) / (12 * gradcheck_step);
            got += part;
            rounding += gradcheck_rounding * fabs(part);
        }
        const double error = (fabs(got - want) - rounding) / sqrt(size); /* no number: worst */
        if (!(error <= worst)) worst = error;
        if (size > largest) largest = size;
    }
    memcpy(value, kept, sizeof *value * (size_t)n);
    const bool good = worst <= gradcheck_tolerance && largest > 0;
    if (!good || getenv("ASTROCLIP_VERBOSE"))
        printf("    %s: error %.2g of the gradient, allowed %.2g\n", what, worst, gradcheck_tolerance);
    CU_ASSERT(good);
    arena_reset(&test_arena, mark);
}

#endif
