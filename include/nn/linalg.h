/* linalg.h - dense linear algebra for the probes: always double, serial, through LAPACK and BLAS. Matrices
   row-major. Local. The same bits for the same input: one thread, whatever the environment says. */
#ifndef NN_LINALG_H
#define NN_LINALG_H

#include "core/arena.h"

/* Where OpenBLAS is older than this CPU and runs it as a Prescott (SSE3): a core that it knows (0.3.10 on) and whose
   instructions the CPU has, as OPENBLAS_CORETYPE names it, to be set before the program starts. Else NULL. */
const char *linalg_better_core(void);

/* g (n, n) += x^T x with x (rows, n); only the lower triangle (column <= row) of g is touched. */
void linalg_gram(double *g, const double *x, int64_t rows, int64_t n);

/* c (n, m) += x^T y with x (rows, n), y (rows, m). */
void linalg_cross(double *c, const double *x, const double *y, int64_t rows, int64_t n, int64_t m);

/* y (rows, n_out) += x (rows, n_in) w^T with w (n_out, n_in); d_x (rows, n_in) += d_y (rows, n_out) w. The d_w of such a layer
   is linalg_cross(d_w, d_y, x, ...). The bits of a row follow from the shape of the whole call. */
void linalg_layer(double *y, const double *x, const double *w, int64_t rows, int64_t n_out, int64_t n_in);
void linalg_layer_back(double *d_x, const double *d_y, const double *w, int64_t rows, int64_t n_out, int64_t n_in);

/* c (rows, m) = x y^T with x (rows, n), y (m, n). */
void linalg_products(double *c, const double *x, const double *y, int64_t rows, int64_t m, int64_t n);

/* The n <= dim rows of x (n, dim) become orthonormal and span what they spanned before; of rows that depend on each other
   the later ones become any others. */
Status linalg_orthonormalise(double *x, int64_t n, int64_t dim, Arena *scratch);

/* Copies the lower triangle onto the upper one. */
void linalg_mirror(double *g, int64_t n);

/* Solves A z = b for each of n_rhs right-hand sides: b (n_rhs, n) in, solutions out. A (n, n) symmetric positive
   definite, lower triangle read, overwritten by its factor. E_NUMERIC if A is not positive definite. */
Status linalg_cholesky_solve(double *b, double *a, int64_t n, int64_t n_rhs);

/* values (n) ascending; vectors (n, n): in the symmetric matrix (lower triangle read), out eigenvector i in row i. */
Status linalg_eigen_symmetric(double *values, double *vectors, int64_t n, Arena *scratch);

#endif
