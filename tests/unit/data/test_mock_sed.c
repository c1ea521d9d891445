/* test_mock_sed.c - spectrum and photometry of a mock galaxy are of one light, and answer to what the galaxy is made
   of. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/mock.h"
#include "test_main.h"

static MockObject galaxy(void)
{
    return (MockObject){.z = 0.1,
                        .logmstar = 10.5,
                        .age = 8,
                        .logz = -1.75,
                        .logssfr = -11.5,
                        .dust = 0.1,
                        .veldisp = 150,
                        .oxygen = 8.7,
                        .log_u = -3.1};
}

/* Photons of a spectrum through a response over those of 1 nanomaggy, by the trapezoid rule. */
static double synthetic(const double *wave, const double *flux, const double *response, int64_t n)
{
    double photons = 0, reference = 0;
    for (int64_t i = 0; i < n; i++) {
        photons += flux[i] * response[i] * wave[i];
        reference += response[i] / wave[i];
    }
    return photons / (reference * 3.631e-29 * 2.99792458e18 * 1e17);
}

enum { FINE = 30001 }; /* 3500 to 11000 Angstrom by 0.25: every line over several pixels */

typedef struct {
    double *wave, *flux, *response;
} Grid;

static bool make_grid(Grid *g)
{
    bool good = arena_new(&g->wave, &test_arena, FINE) == OK && arena_new(&g->flux, &test_arena, FINE) == OK &&
                arena_new(&g->response, &test_arena, FINE) == OK;
    for (int64_t i = 0; good && i < FINE; i++) g->wave[i] = 3500 + 0.25 * (double)i;
    return good;
}

static void spectrum_and_catalogue_have_the_same_flux(void)
{
    double worst = 0;
    Grid g;
    CU_ASSERT_TRUE_FATAL(make_grid(&g));
    for (int64_t k = 0; k < 60; k++) {
        MockObject o = {.north = k % 2};
        Rng r = rng_stream(7, "mock.latent", k, 0);
        mock_galaxy(&o, &r);
        mock_spectrum(g.flux, g.wave, FINE, &o, 0);
        for (int b = 0; b < N_BANDS; b++) {
            for (int64_t i = 0; i < FINE; i++) g.response[i] = mock_response(b, o.north, g.wave[i]);
            const double off = fabs(synthetic(g.wave, g.flux, g.response, FINE) / o.flux[b] - 1);
            CU_ASSERT(off < 0.01);
            worst = fmax(worst, off);
        }
    }
    printf("spectrum against catalogue, three bands: at most %.2f %% off\n", 100 * worst);
}

/* A published curve: lines of two numbers; comments and the heading are none. */
static bool read_curve(double *response, const double *wave, const char *path)
{
    FILE *f = fopen(path, "r");
    char line[512];
    double last_w = 0, last_r = 0;
    int64_t i = 0;
    if (!f) return false;
    memset(response, 0, FINE * sizeof *response);
    while (fgets(line, sizeof line, f)) {
        char *end;
        double w = strtod(line, &end), r = strtod(end, NULL);
        if (end == line) continue;
        for (; i < FINE && wave[i] <= w; i++)
            if (last_w > 0) response[i] = last_r + (r - last_r) * (wave[i] - last_w) / (w - last_w);
        last_w = w, last_r = r;
    }
    fclose(f);
    return true;
}

/* 50 points stand for the published curves: the fluxes of galaxies agree within 1 %. */
static void curves_are_the_published_ones(void)
{
    static const char *const files[2][N_BANDS] = {{"decamDR1-g", "decamDR1-r", "decamDR1-z"},
                                                  {"BASS-g", "BASS-r", "MzLS-z"}};
    Grid g;
    CU_ASSERT_TRUE_FATAL(make_grid(&g));
    for (int north = 0; north < 2; north++)
        for (int b = 0; b < N_BANDS; b++) {
            char name[64];
            snprintf(name, sizeof name, "data/templates/%s.ecsv", files[north][b]);
            if (!test_needs_file(test_shared(name))) return;
            CU_ASSERT_TRUE_FATAL(read_curve(g.response, g.wave, test_shared(name)));
            for (int64_t k = 0; k < 10; k++) {
                MockObject o = {.north = north};
                Rng r = rng_stream(8, "mock.latent", k, 0);
                mock_galaxy(&o, &r);
                mock_spectrum(g.flux, g.wave, FINE, &o, 0);
                CU_ASSERT_DOUBLE_EQUAL(synthetic(g.wave, g.flux, g.response, FINE) / o.flux[b], 1, 0.01);
            }
        }
}

/* Mean flux density of the rest-frame window [low, high], divided by that of [from, to]. */
static double window(const MockObject *o, double low, double high, double from, double to)
{
    enum { PIXELS = 200 };
    double wave[PIXELS], flux[PIXELS], sum[2] = {0};
    for (int side = 0; side < 2; side++) {
        double a = side ? from : low, b = side ? to : high;
        for (int i = 0; i < PIXELS; i++) wave[i] = (a + (b - a) * (i + 0.5) / PIXELS) * (1 + o->z);
        mock_spectrum(flux, wave, PIXELS, o, 0);
        for (int i = 0; i < PIXELS; i++) sum[side] += flux[i];
    }
    return sum[0] / sum[1];
}

static void stars_answer_to_age_metals_and_dust(void)
{
    MockObject old = galaxy(), young = old, poor = old, dusty = old, forming = old;
    young.age = 2;
    poor.logz -= 0.7;
    dusty.dust = 1;
    forming.logssfr = -9.5;
    CU_ASSERT(mock_dn4000(&old) > mock_dn4000(&young) + 0.1);
    CU_ASSERT(mock_dn4000(&old) > mock_dn4000(&poor) + 0.1);
    CU_ASSERT(mock_dn4000(&old) > 1.5 && mock_dn4000(&old) < 2.3); /* Kauffmann et al. 2003 */
    CU_ASSERT(mock_dn4000(&forming) > 0.95 && mock_dn4000(&forming) < 1.4);
    /* Mg b and Na D against the continuum beside them deepen with metals */
    CU_ASSERT(window(&old, 5165, 5190, 5200, 5225) < window(&poor, 5165, 5190, 5200, 5225) - 0.02);
    CU_ASSERT(window(&old, 5888, 5901, 5915, 5930) < window(&poor, 5888, 5901, 5915, 5930) - 0.02);
    CU_ASSERT(window(&old, 8535, 8553, 8580, 8600) < 0.95);                                   /* the calcium triplet */
    CU_ASSERT(window(&young, 4090, 4115, 4130, 4160) < window(&old, 4090, 4115, 4130, 4160)); /* H delta */
    CU_ASSERT(window(&forming, 3400, 3600, 5400, 5600) > 2 * window(&old, 3400, 3600, 5400, 5600)); /* UV slope */
    CU_ASSERT(window(&dusty, 4500, 4700, 6900, 7000) < window(&old, 4500, 4700, 6900, 7000));
}

static void gas_answers_to_star_formation_oxygen_ionisation_and_dust(void)
{
    MockObject o = galaxy(), more, rich, hot, dusty;
    double base[N_MOCK_LINES], line[N_MOCK_LINES];
    o.logssfr = -9.8;
    o.oxygen = 8.4;
    o.log_u = -2.95; /* the mean at these metals */
    o.dust = 0;
    mock_lines(base, &o);
    CU_ASSERT_DOUBLE_EQUAL(base[MOCK_HALPHA] / base[MOCK_HBETA], 2.86, 1e-6);
    more = o, more.logssfr += 0.3;
    mock_lines(line, &more);
    CU_ASSERT_DOUBLE_EQUAL(line[MOCK_HALPHA] / base[MOCK_HALPHA], 2, 0.1);
    rich = o, rich.oxygen += 0.2, rich.log_u -= 0.1; /* at the mean ionisation of its metals */
    mock_lines(line, &rich);
    CU_ASSERT(line[MOCK_NII_6584] / line[MOCK_HALPHA] > 1.5 * base[MOCK_NII_6584] / base[MOCK_HALPHA]);
    CU_ASSERT(line[MOCK_OIII_5007] / line[MOCK_HBETA] < base[MOCK_OIII_5007] / base[MOCK_HBETA]);
    hot = o, hot.log_u += 0.4;
    mock_lines(line, &hot);
    CU_ASSERT(line[MOCK_OIII_5007] / line[MOCK_OII_3729] > 1.5 * base[MOCK_OIII_5007] / base[MOCK_OII_3729]);
    dusty = o, dusty.dust = 0.5;
    mock_lines(line, &dusty);
    CU_ASSERT(line[MOCK_HALPHA] / line[MOCK_HBETA] > 3.5);
    CU_ASSERT_DOUBLE_EQUAL(base[MOCK_OIII_5007] / base[MOCK_OIII_4959], 2.98, 1e-6);
}

/* A wider line is lower and holds as many photons. */
static void dispersion_and_resolution_blur_but_keep_the_flux(void)
{
    enum { PIXELS = 4000 };
    static double wave[PIXELS], sharp[PIXELS], blurred[PIXELS], moved[PIXELS];
    double sum[3] = {0}, top[3] = {0};
    MockObject o = galaxy();
    o.logssfr = -9.5;
    for (int i = 0; i < PIXELS; i++) wave[i] = 6900 + 0.2 * i;
    mock_spectrum(sharp, wave, PIXELS, &o, 0);
    mock_spectrum(blurred, wave, PIXELS, &o, 3);
    o.veldisp = 300;
    mock_spectrum(moved, wave, PIXELS, &o, 0);
    for (int i = 0; i < PIXELS; i++) {
        sum[0] += sharp[i], sum[1] += blurred[i], sum[2] += moved[i];
        top[0] = fmax(top[0], sharp[i]), top[1] = fmax(top[1], blurred[i]), top[2] = fmax(top[2], moved[i]);
    }
    CU_ASSERT_DOUBLE_EQUAL(sum[1] / sum[0], 1, 2e-3); /* light of lines at the rim of the window */
    CU_ASSERT_DOUBLE_EQUAL(sum[2] / sum[0], 1, 2e-3);
    CU_ASSERT(top[1] < top[0] && top[2] < top[0]);
}

static void distances_and_ages_are_those_of_planck_2013(void)
{
    /* astropy's Planck13: luminosity distance in Mpc, age in Gyr; ours leaves radiation and neutrino mass out: 0.2 % */
    static const double z[] = {0.01, 0.1, 0.5, 1.0};
    static const double distance[] = {44.575, 475.14, 2917.4, 6790.3}, age[] = {13.653, 12.453, 8.604, 5.863};
    for (int i = 0; i < 4; i++) {
        CU_ASSERT_DOUBLE_EQUAL(mock_distance(z[i]) / distance[i], 1, 0.005);
        CU_ASSERT_DOUBLE_EQUAL(mock_universe_age(z[i]) / age[i], 1, 0.005);
    }
}

static void the_night_is_dark_between_its_lines(void)
{
    const double wave[] = {3620, 4500, 5579, 6100, 7000, 8200, 8839};
    double blue[3], red[2], last[2];
    mock_night(blue, wave, 3, 0);
    mock_night(red, wave + 3, 2, 1);
    mock_night(last, wave + 5, 2, 2);
    CU_ASSERT(blue[0] > 2 * blue[1] && blue[2] > 5 * blue[1]);
    CU_ASSERT(red[0] < blue[1] && red[1] > 0);
    CU_ASSERT(last[1] > 3 * last[0]);
}

TEST_MAIN("spectra of mock galaxies",
          {"spectrum and catalogue have the same flux within 1 %", spectrum_and_catalogue_have_the_same_flux},
          {"the curves are the published ones", curves_are_the_published_ones},
          {"stars answer to age, metals and dust", stars_answer_to_age_metals_and_dust},
          {"gas answers to star formation, oxygen, ionisation and dust",
           gas_answers_to_star_formation_oxygen_ionisation_and_dust},
          {"dispersion and resolution blur but keep the flux", dispersion_and_resolution_blur_but_keep_the_flux},
          {"distances and ages are those of Planck 2013", distances_and_ages_are_those_of_planck_2013},
          {"the night is dark between its lines", the_night_is_dark_between_its_lines})
