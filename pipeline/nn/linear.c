/* linear.c - a linear layer: the three products of gemm.h and the sum for the bias. */
#include "nn/linear.h"

#include "nn/gemm.h"
#include "nn/vector.h"

void linear_forward(real *y, const real *x, const real *w, const real *b, int64_t rows, int64_t n_out, int64_t n_in)
{
    gemm_linear()->forward(y, x, w, b, rows, n_out, n_in);
}

void linear_backward(real *d_x, real *d_w, real *d_b, const real *d_y, const real *x, const real *w, int64_t rows,
                     int64_t n_out, int64_t n_in)
{
    if (d_x) gemm_linear()->backward_x(d_x, d_y, w, rows, n_out, n_in);
    if (d_w) gemm_linear()->backward_w(d_w, d_y, x, rows, n_out, n_in);
    if (d_b) vector_add_columns(d_b, d_y, rows, n_out);
}
