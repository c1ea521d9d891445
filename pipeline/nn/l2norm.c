/* l2norm.c - rows of unit length. Squares are summed in double: rows of 1e3 and of 1e-5 have exact norms alike. */
#include "nn/l2norm.h"

#include <stdbool.h>

#include "nn/vector.h"

static real norm_of(const real *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
    return (real)sqrt(sum);
}

void l2norm_forward(real *y, real *norm, const real *x, int64_t rows, int64_t n, real eps)
{
    for (int64_t r = 0; r < rows; r++) {
        const real size = norm_of(x + r * n, n);
        const real divisor = size > eps ? size : eps;
        for (int64_t i = 0; i < n; i++) y[r * n + i] = x[r * n + i] / divisor;
        if (norm) norm[r] = size;
    }
}

/* d_x = (d_y - y <y, d_y>) / |x|: what points along y changes the length only. */
void l2norm_backward(real *d_x, const real *d_y, const real *y, const real *norm, int64_t rows, int64_t n, real eps)
{
    for (int64_t r = 0; r < rows; r++) {
        const real *dy = d_y + r * n, *unit = y + r * n;
        const bool long_enough = norm[r] > eps;
        const real along = long_enough ? vector_dot(unit, dy, n) : 0, divisor = long_enough ? norm[r] : eps;
        for (int64_t i = 0; i < n; i++) d_x[r * n + i] += (dy[i] - unit[i] * along) / divisor;
    }
}
