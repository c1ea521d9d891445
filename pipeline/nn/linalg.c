/* linalg.c - LAPACK and BLAS by their Fortran names, which every OpenBLAS holds: no LAPACKE is needed, and no second
   library. Fortran matrices are column-major: our lower triangle is their upper one, our (rows, n) is their (n,
   rows). */
#include "nn/linalg.h"

#include <limits.h>
#include <math.h>
#include <string.h>

void dsyrk_(const char *uplo, const char *trans, const int *n, const int *k, const double *alpha, const double *a,
            const int *lda, const double *beta, double *c, const int *ldc);
void dgemm_(const char *transa, const char *transb, const int *m, const int *n, const int *k, const double *alpha,
            const double *a, const int *lda, const double *b, const int *ldb, const double *beta, double *c,
            const int *ldc);
void dpotrf_(const char *uplo, const int *n, double *a, const int *lda, int *info);
void dpotrs_(const char *uplo, const int *n, const int *nrhs, const double *a, const int *lda, double *b,
             const int *ldb, int *info);
void dsyev_(const char *jobz, const char *uplo, const int *n, double *a, const int *lda, double *w, double *work,
            const int *lwork, int *info);
void dgeqrf_(const int *m, const int *n, double *a, const int *lda, double *tau, double *work, const int *lwork,
             int *info);
void dorgqr_(const int *m, const int *n, const int *k, double *a, const int *lda, const double *tau, double *work,
             const int *lwork, int *info);
void openblas_set_num_threads(int threads);
char *openblas_get_corename(void);

static const double one = 1.0;

/* LAPACK counts in int. Also the place where its threads are switched off: they would change the order of sums. */
static int size_of(int64_t n)
{
    MUST(n >= 0 && n <= INT_MAX);
    openblas_set_num_threads(1);
    return (int)n;
}

const char *linalg_better_core(void)
{
#ifdef __x86_64__
    if (strcmp(openblas_get_corename(), "Prescott") != 0) return NULL;
    if (__builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw"))
        return "SkylakeX";
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return "Haswell";
#endif
    return NULL;
}

void linalg_gram(double *g, const double *x, int64_t rows, int64_t n)
{
    const int k = size_of(rows), m = size_of(n);
    if (k > 0 && m > 0) dsyrk_("U", "N", &m, &k, &one, x, &m, &one, g, &m);
}

void linalg_cross(double *c, const double *x, const double *y, int64_t rows, int64_t n, int64_t m)
{
    const int k = size_of(rows), in = size_of(n), out = size_of(m);
    if (k > 0 && in > 0 && out > 0) dgemm_("N", "T", &out, &in, &k, &one, y, &out, x, &in, &one, c, &out);
}

void linalg_layer(double *y, const double *x, const double *w, int64_t rows, int64_t n_out, int64_t n_in)
{
    const int n = size_of(rows), out = size_of(n_out), in = size_of(n_in);
    if (n > 0 && out > 0 && in > 0) dgemm_("T", "N", &out, &n, &in, &one, w, &in, x, &in, &one, y, &out);
}

void linalg_layer_back(double *d_x, const double *d_y, const double *w, int64_t rows, int64_t n_out, int64_t n_in)
{
    const int n = size_of(rows), out = size_of(n_out), in = size_of(n_in);
    if (n > 0 && out > 0 && in > 0) dgemm_("N", "N", &in, &n, &out, &one, w, &in, d_y, &out, &one, d_x, &in);
}

void linalg_products(double *c, const double *x, const double *y, int64_t rows, int64_t m, int64_t n)
{
    static const double zero = 0.0;
    const int k = size_of(n), in = size_of(rows), out = size_of(m);
    if (k > 0 && in > 0 && out > 0) dgemm_("T", "N", &out, &in, &k, &one, y, &k, x, &k, &zero, c, &out);
}

Status linalg_orthonormalise(double *x, int64_t n, int64_t dim, Arena *scratch)
{
    const int columns = size_of(n), rows = size_of(dim); /* of the transpose, as Fortran sees it */
    const Mark mark = arena_mark(scratch);
    double *tau, *work, best[2] = {0, 0};
    int info = 0, length = -1;
    MUST(n <= dim);
    if (columns == 0) return OK;
    dgeqrf_(&rows, &columns, x, &rows, best, &best[0], &length, &info); /* these two ask how much they want */
    MUST(info == 0);
    dorgqr_(&rows, &columns, &columns, x, &rows, best, &best[1], &length, &info);
    MUST(info == 0);
    length = (int)fmax(best[0], best[1]);
    TRY(arena_new(&tau, scratch, columns));
    TRY(arena_new(&work, scratch, length));
    dgeqrf_(&rows, &columns, x, &rows, tau, work, &length, &info);
    MUST(info == 0);
    dorgqr_(&rows, &columns, &columns, x, &rows, tau, work, &length, &info);
    MUST(info == 0);
    arena_reset(scratch, mark);
    return OK;
}

void linalg_mirror(double *g, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < i; j++) g[j * n + i] = g[i * n + j];
}

Status linalg_cholesky_solve(double *b, double *a, int64_t n, int64_t n_rhs)
{
    const int m = size_of(n), rhs = size_of(n_rhs);
    int info = 0;
    if (m == 0 || rhs == 0) return OK;
    dpotrf_("U", &m, a, &m, &info);
    MUST(info >= 0);
    if (info > 0)
        return FAIL(
            E_NUMERIC,
            "a %d x %d matrix is not positive definite (at row %d): raise the regularisation or drop constant columns",
            m, m, info - 1);
    dpotrs_("U", &m, &rhs, a, &m, b, &m, &info);
    MUST(info == 0);
    for (int64_t i = 0; i < n * n_rhs; i++)
        if (!isfinite(b[i]))
            return FAIL(E_NUMERIC, "the solution of a %d x %d system is not finite: its input holds NaN or infinity", m,
                        m);
    return OK;
}

Status linalg_eigen_symmetric(double *values, double *vectors, int64_t n, Arena *scratch)
{
    const int m = size_of(n);
    if (m == 0) return OK;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j <= i; j++)
            if (!isfinite(vectors[i * n + j]))
                return FAIL(E_NUMERIC, "a %d x %d matrix holds NaN or infinity at row %lld, column %lld", m, m,
                            (long long)i, (long long)j);
    const Mark mark = arena_mark(scratch);
    double best = 0, *work;
    int info = 0, length = -1;
    dsyev_("V", "U", &m, vectors, &m, values, &best, &length, &info); /* asks how much it wants */
    MUST(info == 0);
    length = (int)best;
    TRY(arena_new(&work, scratch, length));
    dsyev_("V", "U", &m, vectors, &m, values, work, &length, &info);
    arena_reset(scratch, mark);
    MUST(info >= 0);
    if (info > 0) return FAIL(E_NUMERIC, "the eigenvalues of a %d x %d matrix do not converge", m, m);
    return OK;
}
