/* test_mock_galaxy.c - the galaxies of the mock sky hold the relations that galaxies are known for, and photometry
   tells part of them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/mock.h"
#include "test_main.h"

enum { GALAXIES = 1800 };

static void draw(MockObject *o, int64_t n, int64_t first, uint64_t seed)
{
    memset(o, 0, (size_t)n * sizeof *o);
    for (int64_t i = 0; i < n; i++) {
        Rng r = rng_stream(seed, "mock.latent", first + i, 0);
        mock_galaxy(&o[i], &r);
    }
}

/* Drawn once for all tests. */
static MockObject *sample(void)
{
    static MockObject all[GALAXIES];
    if (all[0].z == 0) draw(all, GALAXIES, 0, 42);
    return all;
}

static double magnitude(const MockObject *o, int band) { return 22.5 - 2.5 * log10(o->flux[band]); }
static double get_mass(const MockObject *o) { return o->logmstar; }
static double get_metals(const MockObject *o) { return o->logz; }
static double get_gas(const MockObject *o) { return o->oxygen; }
static double get_ssfr(const MockObject *o) { return o->logssfr; }
static double get_bulge(const MockObject *o) { return o->bulge_fraction; }
static double get_age(const MockObject *o) { return o->age; }
static double get_dispersion(const MockObject *o) { return log10(o->veldisp); }
static double get_red(const MockObject *o) { return magnitude(o, 0) - magnitude(o, 1); }
static double get_kpc(const MockObject *o)
{
    return log10(o->radius * mock_distance(o->z) / ((1 + o->z) * (1 + o->z)));
}

static double correlation(const MockObject *o, double (*x)(const MockObject *), double (*y)(const MockObject *))
{
    double sx = 0, sy = 0, xx = 0, yy = 0, xy = 0, n = GALAXIES;
    for (int i = 0; i < GALAXIES; i++) {
        double a = x(&o[i]), b = y(&o[i]);
        sx += a, sy += b, xx += a * a, yy += b * b, xy += a * b;
    }
    return (xy - sx * sy / n) / sqrt((xx - sx * sx / n) * (yy - sy * sy / n));
}

static void a_galaxy_is_the_same_whoever_is_drawn_before(void)
{
    MockObject all[4], one[1];
    draw(all, 4, 10, 42);
    draw(one, 1, 13, 42);
    CU_ASSERT_EQUAL(memcmp(&all[3], one, sizeof *one), 0);
    CU_ASSERT_NOT_EQUAL(all[0].z, all[1].z);
}

static void relations_hold(void)
{
    const MockObject *o = sample();
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    static const struct {
        double (*x)(const MockObject *), (*y)(const MockObject *);
        double low, high;
    } known[] = {
        {get_mass, get_metals, 0.4, 0.95},     {get_mass, get_gas, 0.3, 0.95},   {get_mass, get_ssfr, -0.9, -0.3},
        {get_mass, get_age, 0.1, 0.8},         {get_mass, get_kpc, 0.4, 0.95},   {get_ssfr, get_bulge, -0.95, -0.4},
        {get_mass, get_dispersion, 0.7, 0.99}, {get_ssfr, get_red, -0.95, -0.4},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        double c = correlation(o, known[i].x, known[i].y);
        CU_ASSERT(c > known[i].low && c < known[i].high);
    }
}

static void the_massive_are_quiescent_and_the_quiescent_are_red(void)
{
    const MockObject *o = sample();
    int64_t light[2] = {0}, heavy[2] = {0}, n[2] = {0};
    double colour[2] = {0};
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    for (int i = 0; i < GALAXIES; i++) {
        if (o[i].logmstar < 9.8) light[o[i].quiescent]++;
        if (o[i].logmstar > 10.8) heavy[o[i].quiescent]++;
        if (o[i].z < 0.1 || o[i].z > 0.25) continue;
        colour[o[i].quiescent] += get_red(&o[i]);
        n[o[i].quiescent]++;
    }
    CU_ASSERT(light[1] < light[0]);
    CU_ASSERT(heavy[1] > heavy[0]);
    CU_ASSERT_FATAL(n[0] > 50 && n[1] > 50);
    CU_ASSERT(colour[1] / (double)n[1] - colour[0] / (double)n[0] > 0.3); /* Baldry et al. 2004: about 0.4 in g - r */
}

static void the_sample_is_limited_in_flux_and_redshift(void)
{
    const MockObject *o = sample();
    int tail = 0;
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    for (int i = 0; i < GALAXIES; i++) {
        CU_ASSERT(o[i].z >= 0.003 && o[i].z <= 1);
        if (o[i].z <= 0.6) CU_ASSERT(magnitude(&o[i], 1) < 20.175);
        tail += o[i].z > 0.6;
        CU_ASSERT(o[i].age > 0 && o[i].age < mock_universe_age(o[i].z));
        CU_ASSERT(o[i].logz > -4.35 && o[i].logz < -1.35); /* the range of PROVABGS */
        CU_ASSERT(o[i].logssfr <= -9);                     /* a mean over a Gyr */
        CU_ASSERT(o[i].dust > 0 && o[i].radius > 0 && o[i].sersic > 0.3 && o[i].veldisp > 0);
    }
    CU_ASSERT(tail > 0 && tail < GALAXIES / 5);
}

static void shapes_are_possible(void)
{
    const MockObject *o = sample();
    int arms = 0, bars = 0, mergers = 0, edge_on = 0;
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    for (int i = 0; i < GALAXIES; i++) {
        bool elliptical = o[i].bulge_fraction >= 1;
        CU_ASSERT(o[i].bulge_fraction >= 0 && o[i].bulge_fraction <= 1);
        CU_ASSERT(o[i].axis_ratio > 0.15 && o[i].axis_ratio <= 1);
        CU_ASSERT(!elliptical || (o[i].arm_count == 0 && o[i].bar_strength == 0 && !o[i].edge_on));
        CU_ASSERT_EQUAL(o[i].arm_count > 0, o[i].arm_strength > 0);
        CU_ASSERT_EQUAL(o[i].merger, o[i].companion_flux > 0);
        for (int b = 0; b < N_BANDS; b++) CU_ASSERT(o[i].bulge_flux[b] >= 0 && o[i].bulge_flux[b] <= o[i].flux[b]);
        arms += o[i].arm_count > 0;
        bars += o[i].bar_strength > 0;
        mergers += o[i].merger;
        edge_on += o[i].edge_on;
    }
    CU_ASSERT(arms > GALAXIES / 20 && bars > GALAXIES / 20 && mergers > 0 && edge_on > 0);
}

/* ---- what photometry tells ---- */

enum { N_FEATURES = 5 }; /* 1, g - r, r - z, r, r squared: the baseline of scores.csv */

static void features_of(double x[N_FEATURES], const MockObject *o)
{
    double r = magnitude(o, 1) - 19;
    const double values[N_FEATURES] = {1, get_red(o), r + 19 - magnitude(o, 2), r, r * r};
    memcpy(x, values, sizeof values);
}

/* R2 of least squares on the first five sixths, judged on the rest. */
static double baseline(const MockObject *o, const double *y)
{
    double a[N_FEATURES][N_FEATURES + 1] = {{0}}, x[N_FEATURES], w[N_FEATURES], left = 0, all = 0, mean = 0;
    const int fit = GALAXIES * 5 / 6;
    for (int k = 0; k < fit; k++) {
        features_of(x, &o[k]);
        for (int i = 0; i < N_FEATURES; i++) {
            for (int j = 0; j < N_FEATURES; j++) a[i][j] += x[i] * x[j];
            a[i][N_FEATURES] += x[i] * y[k];
        }
    }
    for (int i = 0; i < N_FEATURES; i++) /* Gauss-Jordan: the matrix is positive definite */
        for (int j = 0; j < N_FEATURES; j++) {
            double f = a[j][i] / a[i][i];
            for (int k = 0; j != i && k <= N_FEATURES; k++) a[j][k] -= f * a[i][k];
        }
    for (int i = 0; i < N_FEATURES; i++) w[i] = a[i][N_FEATURES] / a[i][i];
    for (int k = fit; k < GALAXIES; k++) mean += y[k] / (GALAXIES - fit);
    for (int k = fit; k < GALAXIES; k++) {
        double p = 0;
        features_of(x, &o[k]);
        for (int i = 0; i < N_FEATURES; i++) p += w[i] * x[i];
        left += (y[k] - p) * (y[k] - p);
        all += (y[k] - mean) * (y[k] - mean);
    }
    return 1 - left / all;
}

/* What the tables say: redshift, and the fits' mass, age, metallicity and specific star-formation rate. */
enum { SEEDS = 5, N_TARGETS = 1 + MOCK_FITTED };

static void read_targets(double y[N_TARGETS][GALAXIES], const MockObject *o, uint64_t seed)
{
    for (int k = 0; k < GALAXIES; k++) {
        double sigma[MOCK_FITTED], fit[MOCK_FITTED];
        const double truth[MOCK_FITTED] = {o[k].logmstar, o[k].age, o[k].logz, o[k].logssfr + o[k].logmstar};
        Rng r = rng_stream(seed, "test.labels", k, 0);
        mock_fit_errors(sigma, &o[k]);
        for (int i = 0; i < MOCK_FITTED; i++) fit[i] = truth[i] + sigma[i] * rng_normal(&r);
        fit[MOCK_FITTED - 1] -= fit[0];
        y[0][k] = o[k].z;
        for (int i = 0; i < MOCK_FITTED; i++) y[1 + i][k] = fit[i];
    }
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The bands that real photometry keeps: redshift 0.4 to 0.8, properties 0.2 to 0.6; medians of five skies. */
static void photometry_tells_part_of_it(void)
{
    static MockObject o[GALAXIES];
    static double y[N_TARGETS][GALAXIES];
    double r2[N_TARGETS][SEEDS];
    for (int s = 0; s < SEEDS; s++) {
        draw(o, GALAXIES, 0, 100 + (uint64_t)s);
        read_targets(y, o, 100 + (uint64_t)s);
        for (int t = 0; t < N_TARGETS; t++) r2[t][s] = baseline(o, y[t]);
    }
    static const char *const names[N_TARGETS] = {"redshift", "mass", "age", "metallicity", "sSFR"};
    for (int t = 0; t < N_TARGETS; t++) {
        qsort(r2[t], SEEDS, sizeof(double), compare);
        const double median = r2[t][SEEDS / 2];
        printf("photometry alone: %s R2 %.2f (%.2f to %.2f)\n", names[t], median, r2[t][0], r2[t][SEEDS - 1]);
        CU_ASSERT(t == 0 ? median > 0.4 && median < 0.8 : median > 0.2 && median < 0.6);
    }
}

TEST_MAIN("galaxies of the mock sky",
          {"a galaxy is the same whoever is drawn before it", a_galaxy_is_the_same_whoever_is_drawn_before},
          {"mass, metals, star formation, age, size, dispersion and bulge are related", relations_hold},
          {"the massive are quiescent and the quiescent are red", the_massive_are_quiescent_and_the_quiescent_are_red},
          {"the sample is limited in flux and redshift", the_sample_is_limited_in_flux_and_redshift},
          {"shapes are possible", shapes_are_possible},
          {"photometry tells part of the properties, not all", photometry_tells_part_of_it})
