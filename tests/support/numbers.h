/* numbers.h - arrays of reals for tests of operators, and how far two of them are apart. */
#ifndef TESTS_NUMBERS_H
#define TESTS_NUMBERS_H

#include <math.h>

#include "nn/real.h"
#include "test_main.h"

/* Numbers in -0.5 .. 0.5 with full mantissas, in the test's arena. */
static real *numbers(int64_t n, uint32_t seed)
{
    real *x = NULL;
    if (!CHECK_OK(arena_new(&x, &test_arena, n))) CU_FAIL_FATAL("no memory");
    uint32_t state = seed * 2654435761u + 12345;
    for (int64_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        x[i] = (real)(state >> 8) / (real)(1 << 24) - (real)0.5;
    }
    return x;
}

/* The largest difference, over the largest size in b; infinite where one is no number. */
static double numbers_apart(const real *a, const real *b, int64_t n)
{
    double difference = 0, largest = 0;
    for (int64_t i = 0; i < n; i++) {
        const double d = fabs((double)a[i] - (double)b[i]);
        difference = fmax(difference, isnan(d) ? INFINITY : d);
        largest = fmax(largest, fabs((double)b[i]));
    }
    return difference > 0 ? difference / largest : 0;
}

#endif
