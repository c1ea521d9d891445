/* Intervals and coverage: numbers by hand, the promised coverage on new rows, the bits of one rank over ranks. */
#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "probe/reports.h"
#include "test_main.h"

static const CalibrationConfig usual = {10, 50};

typedef struct {
    int64_t n;
    double *truth, *value, *scale, *magnitude;
} Rows;

static double *column(int64_t n)
{
    double *x = NULL;
    if (arena_new(&x, &test_arena, n) != OK) CU_FAIL_FATAL("no memory");
    return x;
}

/* This rank's share: noise grows with magnitude, `stream` tells samples apart. */
static CalibrationRows rows_of(int64_t total, int64_t stream, const Par *par)
{
    int64_t first, last;
    par_share(&first, &last, par, total);
    Rows r = {last - first, column(last - first), column(last - first), column(last - first), column(last - first)};
    for (int64_t i = 0; i < r.n; i++) {
        Rng g = rng_stream((uint64_t)stream, "test.calibrate", first + i, 0);
        r.magnitude[i] = (first + i) % 17 == 5 ? NAN : 15 + 5 * rng_uniform(&g);
        r.scale[i] = 0.5 + rng_uniform(&g);
        r.value[i] = rng_normal(&g);
        const double noise = isnan(r.magnitude[i]) ? 1 : r.magnitude[i] - 14;
        r.truth[i] = (first + i) % 23 == 7 ? NAN : r.value[i] + r.scale[i] * noise * rng_normal(&g);
    }
    return (CalibrationRows){r.n, r.truth, r.value, r.scale, r.magnitude};
}

static void places_are_those_of_conformal_prediction(void)
{
    enum { N = 99 };
    double truth[N], value[N] = {0}, magnitude[N];
    Par alone;
    Calibration c;
    par_serial(&alone);
    for (int i = 0; i < N; i++) truth[i] = (i * 37) % N + 1, magnitude[i] = NAN; /* 1 .. 99 in some order */
    const CalibrationRows rows = {N, truth, value, NULL, magnitude};
    if (!CHECK_OK(calibrate(&c, &rows, &usual, &alone, &test_arena))) return;
    CU_ASSERT_EQUAL(c.n_bins, 0);
    CU_ASSERT_EQUAL(c.all.n, N);
    CU_ASSERT(c.all.l68 == 16 && c.all.u68 == 84); /* 0.16 and 0.84 of n + 1 = 100 */
    CU_ASSERT(c.all.l95 == 2 && c.all.u95 == 98);  /* floor 2.5, ceil 97.5 */
    CU_ASSERT(fabs(c.all.std - sqrt((N * N - 1) / 12.0)) < 1e-12);
    const Interval e = calibration_interval(&c, 1000, 2, NAN);
    CU_ASSERT(e.l68 == 1032 && e.u68 == 1168 && e.l95 == 1004 && e.u95 == 1196);
    CU_ASSERT(fabs(calibration_pit(&c, 50, 0, 1, NAN) - 0.5) < 1e-12);
    CU_ASSERT(calibration_pit(&c, 0, 0, 1, NAN) == 0 && calibration_pit(&c, 100, 0, 1, NAN) == 1);
    CU_ASSERT(isnan(calibration_interval(&c, NAN, 1, NAN).l68) && isnan(calibration_pit(&c, NAN, 0, 1, NAN)));
}

static void few_rows_make_fewer_bins(void)
{
    Calibration c;
    static const int64_t totals[] = {0, 1, 60, 120, 4000};
    static const int bins[] = {0, 1, 1, 2, 10};
    for (int k = 0; k < 5; k++) {
        const CalibrationRows rows = rows_of(totals[k], 1, &test_par);
        if (!CHECK_OK(calibrate(&c, &rows, &usual, &test_par, &test_arena))) return;
        CU_ASSERT_EQUAL(c.n_bins, bins[k]);
        if (totals[k] == 0) CU_ASSERT(isnan(calibration_interval(&c, 1, 1, 17).u68));
        if (totals[k] == 1) CU_ASSERT(c.all.l68 == c.all.u68 && c.all.n == 1);
    }
}

/* Other rows of the same kind: 68 % and 95 % of them within, in each bin. 4000 rows, 400 in a bin: 3 sigma are 7 % and
   3.3 % of a bin with the calibration's own noise of 1 / sqrt(2) of that. */
static void new_rows_are_covered_in_every_bin(void)
{
    Calibration c;
    Coverage seen[1 + CALIBRATION_BINS];
    int n = 0;
    const CalibrationRows old = rows_of(8000, 1, &test_par), new = rows_of(4000, 2, &test_par);
    if (!CHECK_OK(calibrate(&c, &old, &usual, &test_par, &test_arena)) ||
        !CHECK_OK(coverage_measure(seen, &n, &c, &new, &test_par, &test_arena)))
        return;
    CU_ASSERT_EQUAL_FATAL(n, 11);
    for (int b = 0; b < n; b++) {
        const double of = (double)seen[b].n;
        CU_ASSERT(of > (b ? 250 : 3500));
        CU_ASSERT(fabs((double)seen[b].within68 / of - 0.68) < (b ? 0.09 : 0.03));
        CU_ASSERT(fabs((double)seen[b].within95 / of - 0.95) < (b ? 0.04 : 0.015));
        CU_ASSERT(coverage_ks(&seen[b]) < (b ? 0.12 : 0.04));
    }
    CU_ASSERT(seen[n - 1].width68 > 2 * seen[1].width68); /* the faint ones are noisier */
}

static void any_number_of_ranks_gives_the_bits_of_one(void)
{
    Par alone;
    Calibration a, b;
    Coverage x[1 + CALIBRATION_BINS], y[1 + CALIBRATION_BINS];
    PhotozBin p, q;
    int n = 0, m = 0;
    par_serial(&alone);
    const CalibrationRows spread = rows_of(1777, 1, &test_par), single = rows_of(1777, 1, &alone);
    memset(&a, 0, sizeof a), memset(&b, 0, sizeof b), memset(x, 0, sizeof x), memset(y, 0, sizeof y);
    if (!CHECK_OK(calibrate(&a, &spread, &usual, &test_par, &test_arena)) ||
        !CHECK_OK(calibrate(&b, &single, &usual, &alone, &test_arena)) ||
        !CHECK_OK(coverage_measure(x, &n, &a, &spread, &test_par, &test_arena)) ||
        !CHECK_OK(coverage_measure(y, &m, &b, &single, &alone, &test_arena)) ||
        !CHECK_OK(photoz_measure(&p, 16, 18, spread.magnitude, spread.truth, spread.value, spread.n, &test_par,
                                 &test_arena)) ||
        !CHECK_OK(
            photoz_measure(&q, 16, 18, single.magnitude, single.truth, single.value, single.n, &alone, &test_arena)))
        return;
    CU_ASSERT(memcmp(&a.all, &b.all, sizeof a.all) == 0 && memcmp(a.bin, b.bin, sizeof a.bin) == 0);
    CU_ASSERT(memcmp(a.edge, b.edge, sizeof a.edge) == 0 && a.n_bins == b.n_bins);
    CU_ASSERT(n == m && memcmp(x, y, (size_t)n * sizeof *x) == 0);
    CU_ASSERT(memcmp(&p, &q, sizeof p) == 0 && p.n > 100);
}

TEST_MAIN("calibrate", {"places are those of conformal prediction", places_are_those_of_conformal_prediction},
          {"few rows make fewer bins", few_rows_make_fewer_bins},
          {"new rows are covered in every bin", new_rows_are_covered_in_every_bin},
          {"any number of ranks gives the bits of one", any_number_of_ranks_gives_the_bits_of_one})
