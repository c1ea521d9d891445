/* weightnorm.c - norms by l2norm.h, without its floor: a row of zeros has no direction, and nobody begins with one. */
#include "nn/weightnorm.h"

#include "nn/l2norm.h"
#include "nn/vector.h"

void weightnorm_forward(real *w, real *norm, const real *g, const real *v, int64_t rows, int64_t n)
{
    l2norm_forward(w, norm, v, rows, n, 0);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < n; i++) w[r * n + i] *= g[r];
}

void weightnorm_backward(real *d_g, real *d_v, const real *d_w, const real *norm, const real *g, const real *v,
                         int64_t rows, int64_t n)
{
    for (int64_t r = 0; r < rows; r++) {
        const real *d = d_w + r * n, *row = v + r * n;
        const real along = vector_dot(d, row, n) / norm[r];
        if (d_g) d_g[r] += along;
        for (int64_t i = 0; d_v && i < n; i++) d_v[r * n + i] += g[r] / norm[r] * (d[i] - row[i] * (along / norm[r]));
    }
}
