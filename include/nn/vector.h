/* vector.h - small loops written so that the compiler vectorises them with strict floating-point rules: sums over
   LANES partial sums in a fixed order, and 2^t. The bits do not depend on
   alignment or on the width of the machine's vectors. */
#ifndef NN_VECTOR_H
#define NN_VECTOR_H

#include <string.h>

#include "core/exp2.h"
#include "nn/real.h"

enum { LANES = 16 };

/* The sum of LANES values as a binary tree. */
static inline real vector_fold(real lane[LANES])
{
    for (int width = LANES / 2; width > 0; width /= 2)
        for (int l = 0; l < width; l++) lane[l] += lane[l + width];
    return lane[0];
}

static inline real vector_sum(const real *x, int64_t n)
{
    real lane[LANES] = {0}, tail = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; l++) lane[l] += x[i + l];
    for (; i < n; i++) tail += x[i];
    return vector_fold(lane) + tail;
}

static inline real vector_dot(const real *x, const real *y, int64_t n)
{
    real lane[LANES] = {0}, tail = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; l++) lane[l] += x[i + l] * y[i + l];
    for (; i < n; i++) tail += x[i] * y[i];
    return vector_fold(lane) + tail;
}

/* sum (n) += the rows of x (rows, n), each column summed on its own before it is added. */
static inline void vector_add_columns(real *sum, const real *x, int64_t rows, int64_t n)
{
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        real lane[LANES] = {0};
        for (int64_t r = 0; r < rows; r++)
            for (int l = 0; l < LANES; l++) lane[l] += x[r * n + i + l];
        for (int l = 0; l < LANES; l++) sum[i + l] += lane[l];
    }
    for (; i < n; i++) {
        real one = 0;
        for (int64_t r = 0; r < rows; r++) one += x[r * n + i];
        sum[i] += one;
    }
}

/* The same of the products x y. */
static inline void vector_add_column_products(real *sum, const real *x, const real *y, int64_t rows, int64_t n)
{
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        real lane[LANES] = {0};
        for (int64_t r = 0; r < rows; r++)
            for (int l = 0; l < LANES; l++) lane[l] += x[r * n + i + l] * y[r * n + i + l];
        for (int l = 0; l < LANES; l++) sum[i + l] += lane[l];
    }
    for (; i < n; i++) {
        real one = 0;
        for (int64_t r = 0; r < rows; r++) one += x[r * n + i] * y[r * n + i];
        sum[i] += one;
    }
}

/* The largest of n >= 1 values; NaNs are passed over unless x[0] is one. */
static inline real vector_max(const real *x, int64_t n)
{
    real lane[LANES];
    for (int l = 0; l < LANES; l++) lane[l] = x[0];
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; l++) lane[l] = x[i + l] > lane[l] ? x[i + l] : lane[l];
    for (; i < n; i++) lane[0] = x[i] > lane[0] ? x[i] : lane[0];
    for (int l = 1; l < LANES; l++) lane[0] = lane[l] > lane[0] ? lane[l] : lane[0];
    return lane[0];
}

/* 2^t for t <= 127 (core/exp2.h; libm in double). */
static inline real vector_exp2(real t)
{
#ifdef REAL_DOUBLE
    return exp2(t);
#else
    return exp2_fast(t);
#endif
}

#endif
