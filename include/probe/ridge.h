/* ridge.h - ridge regression by normal equations, in double: minimise sum (y - b - w x)^2 + lambda |w|^2, the intercept
   b unpenalised (lambda is scikit-learn's alpha). Serial; the driver over ranks is fit_ridge.c.

   All that a fit needs of the rows are sums of products of the augmented row (1, x, y), m = 1 + dim + n_targets
   numbers: a symmetric matrix S (m, m), kept as its lower triangle by rows, m (m + 1) / 2 numbers. Sums of several sets
   of rows add up, so those of K folds give every fit of a cross-validation, and the squared residuals of held-out rows
   are a quadratic form of theirs: (-b, -w, 1) S (-b, -w, 1)^T. */
#ifndef PROBE_RIDGE_H
#define PROBE_RIDGE_H

#include "core/config.h"

typedef enum { RIDGE_FOLDS, RIDGE_LEAVE_ONE_OUT } RidgeSelection;

typedef struct {
    ConfigReals lambdas;
    int selection; /* RidgeSelection: how the penalty is chosen */
    int64_t folds;
} RidgeConfig;
extern const ConfigField ridge_fields[];
Status ridge_check(const RidgeConfig *c);

typedef struct {
    int64_t dim, n_targets;
} RidgeShape;

int64_t ridge_row(RidgeShape shape);  /* m: numbers of an augmented row  */
int64_t ridge_sums(RidgeShape shape); /* m (m + 1) / 2: numbers of its sums */

/* sums = products of n augmented rows (n, m); `square` (m, m) is working memory. */
void ridge_products(double *sums, const double *rows, int64_t n, RidgeShape shape, double *square);

/* weight (n_targets, dim) and intercept (n_targets) for one lambda; 0 is ordinary least squares. E_NUMERIC when the
   system is singular. */
Status ridge_solve(double *weight, double *intercept, const double *sums, RidgeShape shape, double lambda,
                   Arena *scratch);

/* K-fold cross-validation: lambda (n_targets) with the least sum of squared residuals over the folds, each predicted
   from the others; fold_sums (folds, sums). A lambda whose system is singular is not taken; E_NUMERIC when none is
   left. Equal residuals: the first of the list. */
Status ridge_choose(double *lambda, const double *fold_sums, int64_t folds, RidgeShape shape,
                    const ConfigReals *lambdas, Arena *scratch);

/* ---- leave-one-out without refitting ----

   Squared residuals as residual_i / (1 - H_ii) with the hat matrix H of the fit with intercept: what scikit-learn's RidgeCV
   chooses by. With the eigenvectors u_k and eigenvalues e_k of X^T X (X, Y centred) and p = X u: the fit at row i is sum_k
   p_ik c_k / (e_k + lambda), c_k = u_k X^T Y, and H_ii = 1/n + sum_k p_ik^2 / (e_k + lambda). */
typedef struct {
    RidgeShape shape;
    double n;
    double *mean;   /* (dim + n_targets) of features and targets */
    double *value;  /* (dim) e_k                                  */
    double *vector; /* (dim, dim) u_k in row k                    */
    double *cross;  /* (dim, n_targets) c_k                       */
} RidgeBasis;

Status ridge_basis_new(RidgeBasis *out, RidgeShape shape, Arena *a); /* room alone */
/* From the sums of all rows. */
Status ridge_basis(RidgeBasis *out, const double *sums, Arena *scratch);

/* error (n_lambdas, n_targets) += squared residuals of n augmented rows, each left out of its fit. */
Status ridge_left_out(double *error, const RidgeBasis *b, const double *rows, int64_t n, const ConfigReals *lambdas,
                      Arena *scratch);

/* Weights (dim) and intercept of one target for one lambda. */
void ridge_basis_solve(double *weight, double *intercept, const RidgeBasis *b, int64_t target, double lambda);

#endif
