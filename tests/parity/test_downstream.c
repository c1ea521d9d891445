/* LAYER: probe
   Against golden/downstream.h5: scaler, Ridge, ordinary least squares, RidgeCV (leave-one-out), R2, MSE and nearest neighbours of
   scikit-learn. The fits go the way of the probe stage (standardise, sums by blocks, solve), with one penalty to choose
   from. Sizes and penalties come from the file. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "golden.h"
#include "probe/knn.h"
#include "probe/metrics.h"
#include "probe/reports.h"
#include "probe/rows.h"
#include "probe/ridge.h"

static const double ridge_tolerance = 1e-9, exact = 1e-12; /* golden/README.md */

typedef struct {
    int64_t n, n_test, dim, n_targets;
    float *x, *x_test;
    double *y; /* (n, n_targets) */
    ProbeInput input;
    double *mean_y, *std_y; /* of train */
    double *z, *z_test;     /* standardised features */
    double *target;         /* standardised targets  */
} Data;

static Status read_memory(float *out, void *source, int64_t first, int64_t n, Arena *scratch)
{
    const Data *d = source;
    (void)scratch;
    memcpy(out, d->x + first * d->dim, (size_t)(n * d->dim) * sizeof *out);
    return OK;
}

static double *doubles(int64_t n)
{
    double *out = NULL;
    if (!CHECK_OK(arena_new(&out, &test_arena, n))) CU_FAIL_FATAL("no memory");
    return out;
}

static void standardise_targets(Data *d)
{
    d->mean_y = doubles(d->n_targets);
    d->std_y = doubles(d->n_targets);
    d->target = doubles(d->n * d->n_targets);
    double *column = doubles(d->n);
    for (int64_t t = 0; t < d->n_targets; t++) {
        double square = 0;
        for (int64_t i = 0; i < d->n; i++) column[i] = d->y[i * d->n_targets + t];
        d->mean_y[t] = metric_mean(column, d->n);
        for (int64_t i = 0; i < d->n; i++) square += (column[i] - d->mean_y[t]) * (column[i] - d->mean_y[t]);
        d->std_y[t] = sqrt(square / (double)d->n);
        for (int64_t i = 0; i < d->n; i++) d->target[i * d->n_targets + t] = (column[i] - d->mean_y[t]) / d->std_y[t];
    }
}

static double *standardised(const Data *d, const float *x, int64_t n)
{
    double *z = doubles(n * d->dim);
    for (int64_t i = 0; i < n * d->dim; i++)
        z[i] = ((double)x[i] - d->input.mean[i % d->dim]) / d->input.std[i % d->dim];
    return z;
}

static bool load(Data *d, H5File *g)
{
    H5Shape s;
    ProbeRows rows;
    uint8_t *usable;
    if (!golden_open(g, "downstream.h5")) return false;
    memset(d, 0, sizeof *d);
    d->x = golden_f32(&s, g, "inputs/X_train");
    d->n = s.dims[0];
    d->dim = s.dims[1];
    d->x_test = golden_f32(&s, g, "inputs/X_test");
    d->n_test = s.dims[0];
    d->y = golden_f64(&s, g, "inputs/Y_train");
    d->n_targets = s.dims[1];
    CHECK_OK(probe_rows_init(&rows, d->n, &test_par, &test_arena)); /* all of the train split */
    CHECK_OK(arena_new(&usable, &test_arena, d->n));
    const ProbeFeatures features = {d->dim, read_memory, d};
    if (!CHECK_OK(probe_standardise(&d->input, usable, &rows, &features, &test_par, &test_arena)))
        CU_FAIL_FATAL("no scaler");
    d->z = standardised(d, d->x, d->n);
    d->z_test = standardised(d, d->x_test, d->n_test);
    standardise_targets(d);
    return true;
}

/* (n, m) rows (1, features, targets) */
static double *augmented(const Data *d, RidgeShape shape)
{
    const int64_t m = ridge_row(shape);
    double *rows = doubles(d->n * m);
    for (int64_t i = 0; i < d->n; i++) {
        rows[i * m] = 1;
        memcpy(rows + i * m + 1, d->z + i * d->dim, (size_t)d->dim * sizeof *rows);
        memcpy(rows + i * m + 1 + d->dim, d->target + i * d->n_targets, (size_t)d->n_targets * sizeof *rows);
    }
    return rows;
}

static double *sums_of(const Data *d, RidgeShape shape)
{
    const int64_t m = ridge_row(shape);
    double *square = doubles(m * m), *sums = doubles(ridge_sums(shape));
    ridge_products(sums, augmented(d, shape), d->n, shape, square);
    return sums;
}

static void the_scaler(void)
{
    H5File g;
    Data d;
    if (!load(&d, &g)) return;
    const double *mean = golden_want(&g, "outputs/scaler_mean", d.dim),
                 *std = golden_want(&g, "outputs/scaler_scale_population_std", d.dim);
    CU_ASSERT(test_near_f64("scaler mean", d.input.mean, mean, d.dim, exact));
    CU_ASSERT(test_near_f64("scaler std", d.input.std, std, d.dim, exact));
    CU_ASSERT(
        test_near_f64("Z train", d.z, golden_want(&g, "outputs/Z_train", d.n * d.dim), d.n * d.dim, ridge_tolerance));
    CU_ASSERT(test_near_f64("Z test", d.z_test, golden_want(&g, "outputs/Z_test", d.n_test * d.dim), d.n_test * d.dim,
                            ridge_tolerance));
    CU_ASSERT(test_near_f64("y mean", d.mean_y, golden_want(&g, "outputs/y_mean", d.n_targets), d.n_targets, exact));
    CU_ASSERT(
        test_near_f64("y std", d.std_y, golden_want(&g, "outputs/y_std_population", d.n_targets), d.n_targets, exact));
    for (int64_t t = 0; t < d.n_targets; t++) d.std_y[t] *= sqrt((double)d.n / (double)(d.n - 1));
    CU_ASSERT(
        test_near_f64("y std", d.std_y, golden_want(&g, "outputs/y_std_unbiased", d.n_targets), d.n_targets, exact));
    h5_close(&g);
}

/* Coefficients, and intercepts to the scale of the targets, which is 1 (they are zero but for rounding). */
static void check_fit(Data *d, H5File *g, const char *group, double lambda)
{
    const RidgeShape shape = {d->dim, d->n_targets};
    double *weight = doubles(d->n_targets * d->dim), *intercept = doubles(d->n_targets);
    if (!CHECK_OK(ridge_solve(weight, intercept, sums_of(d, shape), shape, lambda, &test_arena))) return;
    CU_ASSERT(test_near_f64(group, weight, golden_want(g, golden_name("%s/coef", group), d->n_targets * d->dim),
                            d->n_targets * d->dim, ridge_tolerance));
    const double *want = golden_want(g, golden_name("%s/intercept", group), d->n_targets);
    for (int64_t t = 0; t < d->n_targets; t++) CU_ASSERT(fabs(intercept[t] - want[t]) < ridge_tolerance);
    if (!h5_has(g, golden_name("%s/pred", group))) return;
    double *predicted = doubles(d->n_test * d->n_targets);
    for (int64_t i = 0; i < d->n_test; i++)
        for (int64_t t = 0; t < d->n_targets; t++) {
            predicted[i * d->n_targets + t] = intercept[t];
            for (int64_t k = 0; k < d->dim; k++)
                predicted[i * d->n_targets + t] += weight[t * d->dim + k] * d->z_test[i * d->dim + k];
        }
    CU_ASSERT(test_near_f64(group, predicted, golden_want(g, golden_name("%s/pred", group), d->n_test * d->n_targets),
                            d->n_test * d->n_targets, ridge_tolerance));
}

static void ridge_and_least_squares(void)
{
    H5File g;
    Data d;
    char **name;
    int64_t n;
    if (!load(&d, &g)) return;
    check_fit(&d, &g, "outputs/ols", 0);
    if (!CHECK_OK(h5_list(&name, &n, &g, "outputs/ridge", &test_arena))) return;
    CU_ASSERT(n > 0);
    for (int64_t i = 0; i < n; i++) { /* "alpha_0.1" */
        char group[128];
        CU_ASSERT_FATAL(strncmp(name[i], "alpha_", 6) == 0);
        snprintf(group, sizeof group, "outputs/ridge/%s", name[i]);
        check_fit(&d, &g, group, strtod(name[i] + 6, NULL));
    }
    h5_close(&g);
}

/* RidgeCV of each target by itself, in the units of the target. */
static void leave_one_out(void)
{
    H5File g;
    Data d;
    H5Shape s;
    if (!load(&d, &g)) return;
    double *alphas = golden_f64(&s, &g, "inputs/ridgecv_alphas");
    const ConfigReals lambdas = {s.dims[0], alphas};
    const RidgeShape shape = {d.dim, d.n_targets};
    double *mse = doubles(lambdas.n * d.n_targets), *column = doubles(lambdas.n);
    double *weight = doubles(d.n_targets * d.dim), *intercept = doubles(d.n_targets);
    RidgeBasis basis;
    double *rows = augmented(&d, shape);
    if (!CHECK_OK(ridge_basis_new(&basis, shape, &test_arena)) ||
        !CHECK_OK(ridge_basis(&basis, sums_of(&d, shape), &test_arena)) ||
        !CHECK_OK(ridge_left_out(mse, &basis, rows, d.n, &lambdas, &test_arena)))
        return;
    for (int64_t i = 0; i < lambdas.n * d.n_targets; i++) mse[i] /= (double)d.n;
    for (int64_t t = 0; t < d.n_targets; t++) {
        char group[128];
        snprintf(group, sizeof group, "outputs/ridgecv/target%d", (int)t);
        const double *want = golden_want(&g, golden_name("%s/loo_mse_per_alpha", group), lambdas.n);
        int64_t best = 0;
        for (int64_t l = 0; l < lambdas.n; l++) {
            column[l] = mse[l * d.n_targets + t];
            if (column[l] < column[best]) best = l;
        }
        CU_ASSERT(test_near_f64("leave-one-out", column, want, lambdas.n, ridge_tolerance));
        CU_ASSERT_EQUAL(alphas[best], golden_scalar(&g, golden_name("%s/alpha", group)));
        ridge_basis_solve(weight + t * d.dim, &intercept[t], &basis, t, alphas[best]);
        CU_ASSERT(test_near_f64("RidgeCV", weight + t * d.dim, golden_want(&g, golden_name("%s/coef", group), d.dim),
                                d.dim, ridge_tolerance));
        CU_ASSERT(fabs(intercept[t] - golden_scalar(&g, golden_name("%s/intercept", group))) < ridge_tolerance);
    }
    h5_close(&g);
}

/* Of the kNN predictions of the file (of standardised targets), back in the units of the test targets. */
static void metrics(void)
{
    H5File g;
    H5Shape s;
    Data d;
    if (!load(&d, &g)) return;
    const double *y = golden_f64(&s, &g, "inputs/Y_test");
    const int64_t n = s.dims[0], n_targets = s.dims[1];
    double *p = golden_want(&g, "outputs/knn/pred", n * n_targets);
    const double *want = golden_want(&g, "outputs/knn/r2_per_property", n_targets);
    double *truth = doubles(n), *predicted = doubles(n), *r2 = doubles(n_targets), mean = 0;
    for (int64_t t = 0; t < n_targets; t++) {
        for (int64_t i = 0; i < n; i++) {
            truth[i] = y[i * n_targets + t];
            p[i * n_targets + t] = d.mean_y[t] + d.std_y[t] * p[i * n_targets + t];
            predicted[i] = p[i * n_targets + t];
        }
        r2[t] = metric_r2(truth, predicted, n);
        mean += r2[t] / (double)n_targets;
    }
    CU_ASSERT(test_near_f64("R2", r2, want, n_targets, exact));
    CU_ASSERT(fabs(mean - golden_scalar(&g, "outputs/metrics/r2_uniform_average")) < exact);
    CU_ASSERT(fabs(metric_mse(y, p, n * n_targets) / golden_scalar(&g, "outputs/metrics/mse") - 1) < exact);
    const double *z = golden_f64(&s, &g, "inputs/photoz/z_true"),
                 *z_pred = golden_want(&g, "inputs/photoz/z_pred", s.dims[0]);
    CU_ASSERT(fabs(metric_r2(z, z_pred, s.dims[0]) - golden_scalar(&g, "outputs/photoz/r2")) < exact);
    h5_close(&g);
}

/* The scatter by redshift; the file's errors have the other sign. */
static void redshifts_in_bins(void)
{
    H5File g = {0};
    H5Shape s;
    Par alone;
    par_serial(&alone);
    if (!golden_open(&g, "downstream.h5")) return;
    const double *z = golden_f64(&s, &g, "inputs/photoz/z_true"),
                 *predicted = golden_f64(&s, &g, "inputs/photoz/z_pred");
    const int64_t n = s.dims[0];
    const double *edge = golden_f64(&s, &g, "outputs/photoz/bins");
    const int64_t bins = s.dims[0] - 1;
    double *mean = doubles(bins), *std = doubles(bins);
    for (int64_t b = 0; b < bins; b++) {
        PhotozBin bin;
        if (bins == PHOTOZ_Z_EDGES - 1) CU_ASSERT(fabs(edge[b + 1] - photoz_edge((int)b + 1)) < exact);
        CHECK_OK(photoz_measure(&bin, edge[b], edge[b + 1], z, z, predicted, n, &alone, &test_arena));
        mean[b] = -bin.bias;
        std[b] = bin.std;
    }
    CU_ASSERT(test_near_f64("mean error", mean, golden_want(&g, "outputs/photoz/mean", bins), bins, exact));
    CU_ASSERT(test_near_f64("scatter", std, golden_want(&g, "outputs/photoz/std", bins), bins, exact));
    h5_close(&g);
}

/* The k nearest train rows of each test row; candidates come in two parts. */
static void find_neighbours(KnnSearch *s, const Data *d, int64_t k)
{
    const int64_t part = d->n / 3, m = d->n_targets;
    int64_t *id = NULL;
    CU_ASSERT_FATAL(m <= N_LABELS && arena_new(&id, &test_arena, d->n) == OK);
    for (int64_t i = 0; i < d->n; i++) id[i] = i;
    if (!CHECK_OK(knn_open(s, k, d->dim, d->z_test, d->n_test, &test_arena))) CU_FAIL_FATAL("no memory");
    knn_add(s, d->z + part * d->dim, d->target + part * m, (int)m, id + part, d->n - part);
    knn_add(s, d->z, d->target, (int)m, id, part);
}

static void check_predictions(H5File *g, const Data *d, const KnnSearch *s, const char *dataset)
{
    const int64_t n = d->n_test * d->n_targets;
    double *predicted = doubles(n);
    for (int64_t i = 0; i < d->n_test; i++) knn_mean(predicted + i * d->n_targets, s, i, (int)d->n_targets);
    CU_ASSERT(test_near_f64(dataset, predicted, golden_want(g, dataset, n), n, exact));
}

static void neighbours(void)
{
    static const int64_t fewer[] = {1, 5, 16};
    H5File g = {0};
    Data d;
    KnnSearch s;
    H5Shape shape;
    if (!load(&d, &g)) return;
    const int64_t *index = golden_i64(&shape, &g, "outputs/knn/index"), k = shape.dims[1], n = d.n_test * k;
    const double *want = golden_want(&g, "outputs/knn/distance", n);
    double *distance = doubles(n);
    int64_t wrong = 0;
    find_neighbours(&s, &d, k);
    for (int64_t i = 0; i < n; i++) {
        distance[i] = sqrt(s.best[i].square);
        wrong += s.best[i].id != index[i];
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT(test_near_f64("distances", distance, want, n, exact));
    check_predictions(&g, &d, &s, "outputs/knn/pred");
    for (int i = 0; i < 3; i++) {
        find_neighbours(&s, &d, fewer[i]);
        check_predictions(&g, &d, &s, golden_name("outputs/knn/pred_k%lld", (long long)fewer[i]));
    }
    h5_close(&g);
}

TEST_MAIN("downstream", {"the scaler is scikit-learn's", the_scaler},
          {"ridge and least squares are scikit-learn's", ridge_and_least_squares},
          {"leave-one-out chooses as RidgeCV", leave_one_out}, {"R2 and MSE are scikit-learn's", metrics},
          {"nearest neighbours are scikit-learn's", neighbours}, {"redshifts in bins", redshifts_in_bins})
