/* Scores: what they are of simple data, and what leaves them unchanged. */
#include "probe/metrics.h"

#include <math.h>

#include "core/rng.h"
#include "test_main.h"

enum { N = 2001 };
static double truth[N], predicted[N];

static void fill(double noise)
{
    Rng g = rng_stream(1, "test.metrics", 0, 0);
    for (int i = 0; i < N; i++) {
        truth[i] = rng_uniform(&g);
        predicted[i] = truth[i] + noise * rng_normal(&g);
    }
}

/* Rounding of N additions of numbers of order 1. */
static bool near(double a, double b) { return fabs(a - b) <= 1e-12 * (1 + fabs(b)); }

static void perfect_predictions_score_one(void)
{
    fill(0);
    CU_ASSERT_EQUAL(metric_r2(truth, predicted, N), 1);
    CU_ASSERT_EQUAL(metric_mse(truth, predicted, N), 0);
    CU_ASSERT_EQUAL(metric_bias(truth, predicted, N), 0);
}

static void the_mean_scores_zero(void)
{
    fill(0);
    const double mean = metric_mean(truth, N);
    for (int i = 0; i < N; i++) predicted[i] = mean;
    CU_ASSERT(fabs(metric_r2(truth, predicted, N)) < 1e-12);
}

static void r2_does_not_depend_on_unit_and_zero_point(void)
{
    fill(0.2);
    const double before = metric_r2(truth, predicted, N);
    CU_ASSERT(before > 0 && before < 1);
    for (int i = 0; i < N; i++) {
        truth[i] = 8 - 4 * truth[i];
        predicted[i] = 8 - 4 * predicted[i];
    }
    CU_ASSERT(near(metric_r2(truth, predicted, N), before));
}

static void a_small_example_by_hand(void)
{
    const double y[] = {1, 2, 3, 6},
                 p[] = {2, 2, 1, 7}; /* mean 3, spread 4 + 1 + 0 + 9 = 14, errors 1 + 0 + 4 + 1 = 6 */
    CU_ASSERT(near(metric_mse(y, p, 4), 1.5));
    CU_ASSERT(near(metric_r2(y, p, 4), 1 - 6.0 / 14));
    CU_ASSERT_EQUAL(metric_bias(y, p, 4), 0);
    double x[] = {5, 1, 100, 2, 3}; /* median 3, deviations 2 2 97 1 0: median 2 */
    CU_ASSERT(near(metric_nmad(x, 5), 2 * 1.4826));
}

static void quantiles_interpolate(void)
{
    const double x[] = {0, 10, 20, 40};
    CU_ASSERT_EQUAL(metric_quantile(x, 4, 0), 0);
    CU_ASSERT_EQUAL(metric_quantile(x, 4, 1), 40);
    CU_ASSERT(near(metric_quantile(x, 4, 0.5), 15));
    CU_ASSERT(near(metric_quantile(x, 4, 0.16), 4.8));
    CU_ASSERT_EQUAL(metric_quantile(x, 1, 0.3), 0);
    CU_ASSERT(isnan(metric_quantile(x, 0, 0.5)));
}

/* sigma_NMAD of Gaussian errors is their sigma; sampling error about 1.17 sigma / sqrt(N) = 2.6 %: 10 % is four of
   them. */
static void nmad_is_the_sigma_of_gaussian_errors_and_blind_to_outliers(void)
{
    Scores s;
    fill(0);
    Rng g = rng_stream(2, "test.metrics", 0, 0);
    for (int i = 0; i < N; i++) predicted[i] = truth[i] + 0.02 * (1 + truth[i]) * rng_normal(&g);
    CHECK_OK(metric_scores(&s, truth, predicted, N, true, &test_arena));
    CU_ASSERT_EQUAL(s.n, N);
    CU_ASSERT(fabs(s.sigma_nmad / 0.02 - 1) < 0.1);
    CU_ASSERT_EQUAL(s.outlier_fraction, 0);
    for (int i = 0; i < 20; i++) predicted[i] = truth[i] + 1; /* dz of 0.5 and more */
    Scores hit;
    CHECK_OK(metric_scores(&hit, truth, predicted, N, true, &test_arena));
    CU_ASSERT(fabs(hit.sigma_nmad / s.sigma_nmad - 1) < 0.05);
    CU_ASSERT(near(hit.outlier_fraction, 20.0 / N));
    CU_ASSERT(hit.rmse > 2 * s.rmse);
}

static void only_redshifts_have_outliers(void)
{
    Scores z, other;
    fill(0.1);
    for (int i = 0; i < N; i++) predicted[i] += 0.25;
    CHECK_OK(metric_scores(&z, truth, predicted, N, true, &test_arena));
    CHECK_OK(metric_scores(&other, truth, predicted, N, false, &test_arena));
    CU_ASSERT(isnan(other.sigma_nmad) && isnan(other.outlier_fraction));
    CU_ASSERT(z.sigma_nmad > 0 && z.outlier_fraction > 0);
    CU_ASSERT(z.bias > 0 && z.bias < other.bias); /* the same shift over 1 + z */
    CU_ASSERT(near(other.bias, metric_bias(truth, predicted, N)));
    CU_ASSERT_EQUAL(z.r2, other.r2);
}

static void nothing_to_score_is_nan(void)
{
    Scores s;
    const double same[] = {2, 2, 2};
    CHECK_OK(metric_scores(&s, truth, predicted, 0, true, &test_arena));
    CU_ASSERT_EQUAL(s.n, 0);
    CU_ASSERT(isnan(s.r2) && isnan(s.rmse) && isnan(s.bias) && isnan(s.sigma_nmad) && isnan(s.outlier_fraction));
    CU_ASSERT(isnan(metric_r2(same, same, 3)));
}

TEST_MAIN("metrics", {"perfect predictions have R2 1 and no error", perfect_predictions_score_one},
          {"the mean of the truth has R2 0", the_mean_scores_zero},
          {"R2 does not depend on unit and zero point", r2_does_not_depend_on_unit_and_zero_point},
          {"small examples come out as by hand", a_small_example_by_hand},
          {"quantiles interpolate between neighbours", quantiles_interpolate},
          {"NMAD is the sigma of Gaussian errors and blind to outliers",
           nmad_is_the_sigma_of_gaussian_errors_and_blind_to_outliers},
          {"only redshifts have NMAD and outliers", only_redshifts_have_outliers},
          {"scores of nothing are NaN", nothing_to_score_is_nan})
