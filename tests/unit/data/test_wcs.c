/* WCS: known pixels, round trips, a plain TAN formula, headers that cannot be used. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "data/images.h"
#include "data/wcs.h"
#include "test_main.h"

static char cards[32 * 80 + 1];
static int n_cards;

__attribute__((format(printf, 1, 2))) static void card(const char *format, ...)
{
    char line[128];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    snprintf(cards + 80 * n_cards, 81, "%-80.80s", line);
    n_cards++;
}

static void brick_header(double ra, double dec, double scale, const char *projection)
{
    n_cards = 0;
    card("XTENSION= 'BINTABLE'");
    card("NAXIS   = %20d", 2);
    card("CTYPE1  = 'RA---%s'", projection);
    card("CTYPE2  = 'DEC--%s'", projection);
    card("CRVAL1  = %20.14G", ra);
    card("CRVAL2  = %20.14G", dec);
    card("LONPOLE = %20.14G", 180.0); /* else FITS turns an image centred on the pole itself by 180 degrees */
    card("CRPIX1  = %20.14G", 1800.5);
    card("CRPIX2  = %20.14G", 1800.5);
    card("CD1_1   = %20.14G", -scale / 3600);
    card("CD1_2   = %20.14G", 0.0);
    card("CD2_1   = %20.14G", 0.0);
    card("CD2_2   = %20.14G", scale / 3600);
}

static void the_centre_of_a_brick_is_pixel_1799_5(void)
{
    Wcs w;
    brick_header(150.125, 2.25, PIXEL_SCALE, "TAN");
    CU_ASSERT_FATAL(CHECK_OK(wcs_open(&w, cards, n_cards, "test")));
    double x, y;
    wcs_to_pixel(&x, &y, &w, (double[]){150.125}, (double[]){2.25}, 1);
    CU_ASSERT_DOUBLE_EQUAL(x, 1799.5, 1e-9);
    CU_ASSERT_DOUBLE_EQUAL(y, 1799.5, 1e-9);
    CU_ASSERT(wcs_has_scale(&w, PIXEL_SCALE, 1e-9));
    wcs_close(&w);
    wcs_close(&w);
}

/* Gnomonic projection from its definition. Agreement to 1e-6 pixel: an angle of 360 degrees in double resolves 1e-9 of
   a pixel (7e-5 degrees), and RA near the pole loses a few hundred times that. */
static void agrees_with_the_plain_formula(double ra0, double dec0)
{
    Wcs w;
    brick_header(ra0, dec0, PIXEL_SCALE, "TAN");
    CU_ASSERT_FATAL(CHECK_OK(wcs_open(&w, cards, n_cards, "test")));
    enum { N = 200 };
    double ra[N], dec[N], x[N], y[N], px[N], py[N], worst = 0, back = 0;
    for (int i = 0; i < N; i++) px[i] = (i * 7919) % 3600, py[i] = (i * 104729) % 3600;
    wcs_to_sky(ra, dec, &w, px, py, N);
    wcs_to_pixel(x, y, &w, ra, dec, N);
    double d = M_PI / 180;
    for (int i = 0; i < N; i++) {
        double c = sin(dec0 * d) * sin(dec[i] * d) + cos(dec0 * d) * cos(dec[i] * d) * cos((ra[i] - ra0) * d);
        double xi = cos(dec[i] * d) * sin((ra[i] - ra0) * d) / c;
        double eta = (cos(dec0 * d) * sin(dec[i] * d) - sin(dec0 * d) * cos(dec[i] * d) * cos((ra[i] - ra0) * d)) / c;
        worst = fmax(worst, fabs(1799.5 - xi / d * 3600 / PIXEL_SCALE - px[i]));
        worst = fmax(worst, fabs(1799.5 + eta / d * 3600 / PIXEL_SCALE - py[i]));
        back = fmax(back, fmax(fabs(x[i] - px[i]), fabs(y[i] - py[i])));
        CU_ASSERT(ra[i] >= 0 && ra[i] < 360);
    }
    CU_ASSERT(worst < 1e-6);
    CU_ASSERT(back < 1e-6);
    wcs_close(&w);
}

static void tan_is_the_gnomonic_projection(void)
{
    agrees_with_the_plain_formula(150.125, 2.25);
    agrees_with_the_plain_formula(0.05, 33.0); /* RA wraps */
    agrees_with_the_plain_formula(95.9504132231405, 80.5);
    agrees_with_the_plain_formula(266, -65.5);
    agrees_with_the_plain_formula(180, 90); /* a polar cap */
}

static void positions_that_cannot_be_projected_are_nan(void)
{
    Wcs w;
    brick_header(150, 2, PIXEL_SCALE, "TAN");
    CU_ASSERT_FATAL(CHECK_OK(wcs_open(&w, cards, n_cards, "test")));
    double x[5], y[5], ra[5] = {150, 330, NAN, 150, 150}, dec[5] = {2, -2, 0, INFINITY, 2};
    wcs_to_pixel(x, y, &w, ra, dec, 5);
    CU_ASSERT_DOUBLE_EQUAL(x[0], 1799.5, 1e-9);
    CU_ASSERT(isnan(x[1]) && isnan(y[1]));
    CU_ASSERT(isnan(x[2]) && isnan(x[3]));
    CU_ASSERT_DOUBLE_EQUAL(y[4], 1799.5, 1e-9);
    double r, d;
    wcs_to_sky(&r, &d, &w, (double[]){NAN}, (double[]){0}, 1);
    CU_ASSERT(isnan(r) && isnan(d));
    wcs_close(&w);
}

static void the_scale_is_that_of_the_cd_matrix(void)
{
    Wcs w;
    brick_header(150, 2, 0.5, "TAN");
    CU_ASSERT_FATAL(CHECK_OK(wcs_open(&w, cards, n_cards, "test")));
    CU_ASSERT_DOUBLE_EQUAL(w.scale[0], 0.5, 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(w.scale[1], 0.5, 1e-12);
    CU_ASSERT(!wcs_has_scale(&w, PIXEL_SCALE, 0.01));
    wcs_close(&w);
    brick_header(150, 2, PIXEL_SCALE * 1.009, "TAN");
    CU_ASSERT_FATAL(CHECK_OK(wcs_open(&w, cards, n_cards, "test")));
    CU_ASSERT(wcs_has_scale(&w, PIXEL_SCALE, 0.01));
    wcs_close(&w);
    /* rotated by 30 degrees, written as CDELT and PC */
    n_cards = 0;
    card("NAXIS   = 2");
    card("CTYPE1  = 'RA---TAN'");
    card("CTYPE2  = 'DEC--TAN'");
    card("CRVAL1  = 10.0");
    card("CRVAL2  = 20.0");
    card("CDELT1  = %.15g", -PIXEL_SCALE / 3600);
    card("CDELT2  = %.15g", PIXEL_SCALE / 3600);
    card("PC1_1   = %.15g", cos(M_PI / 6));
    card("PC1_2   = %.15g", -sin(M_PI / 6));
    card("PC2_1   = %.15g", sin(M_PI / 6));
    card("PC2_2   = %.15g", cos(M_PI / 6));
    CU_ASSERT_FATAL(CHECK_OK(wcs_open(&w, cards, n_cards, "test")));
    CU_ASSERT(wcs_has_scale(&w, PIXEL_SCALE, 1e-9));
    wcs_close(&w);
}

/* The scale along the axes of the sky, whatever the header calls them. */
static void the_lie_of_an_image_is_that_of_its_header(void)
{
    Wcs w;
    double m[2][2], s = PIXEL_SCALE, c = s * cos(M_PI / 6), d = s * sin(M_PI / 6);
    brick_header(150, 2, s, "TAN");
    CU_ASSERT_FATAL(CHECK_OK(wcs_open(&w, cards, n_cards, "upright")));
    wcs_around(m, &w, 1799.5, 1799.5);
    CU_ASSERT(fabs(m[0][0] + s) < 1e-7 && fabs(m[0][1]) < 1e-7 && fabs(m[1][0]) < 1e-7 && fabs(m[1][1] - s) < 1e-7);
    wcs_close(&w);
    n_cards = 0; /* turned by 30 degrees, mirrored, RA on the second axis, across RA = 0 */
    card("NAXIS   = 2");
    card("CTYPE1  = 'DEC--TAN'");
    card("CTYPE2  = 'RA---TAN'");
    card("CRVAL1  = 60.0");
    card("CRVAL2  = 0.0");
    card("CD1_1   = %.15g", d / 3600);
    card("CD1_2   = %.15g", c / 3600);
    card("CD2_1   = %.15g", c / 3600);
    card("CD2_2   = %.15g", -d / 3600);
    CU_ASSERT_FATAL(CHECK_OK(wcs_open(&w, cards, n_cards, "turned")));
    wcs_around(m, &w, -1, -1); /* CRPIX is 0 unless it is said */
    CU_ASSERT(fabs(m[0][0] - c) < 1e-7 && fabs(m[0][1] + d) < 1e-7 && fabs(m[1][0] - d) < 1e-7 &&
              fabs(m[1][1] - c) < 1e-7);
    wcs_close(&w);
}

static void of_a_cube_the_first_two_axes_count(void)
{
    Wcs w;
    double x, y;
    for (int named = 0; named < 2; named++) {
        brick_header(150, 2, PIXEL_SCALE, "TAN");
        memset(cards + 80, ' ', 80);
        memcpy(cards + 80, "NAXIS   =                    3", 30);
        if (named) card("CTYPE3  = 'BAND'");
        CU_ASSERT_FATAL(CHECK_OK(wcs_open(&w, cards, n_cards, "cube")));
        wcs_to_pixel(&x, &y, &w, (double[]){150}, (double[]){2}, 1);
        CU_ASSERT(fabs(x - 1799.5) < 1e-9 && fabs(y - 1799.5) < 1e-9);
        CU_ASSERT(wcs_has_scale(&w, PIXEL_SCALE, 1e-9));
        wcs_close(&w);
    }
}

static void unusable_headers_are_refused(void)
{
    Wcs w;
    n_cards = 0;
    card("SIMPLE  =                    T");
    CHECK_FAILS(wcs_open(&w, cards, n_cards, "empty"), E_INPUT);
    brick_header(150, 2, PIXEL_SCALE, "CAR");
    CHECK_FAILS(wcs_open(&w, cards, n_cards, "other projection"), E_INPUT);
    brick_header(150, 2, 0, "TAN");
    CHECK_FAILS(wcs_open(&w, cards, n_cards, "singular"), E_INPUT);
    brick_header(150, 2, PIXEL_SCALE, "TAN");
    memset(cards + 80, '?', 80 * 4);
    CHECK_FAILS(wcs_open(&w, cards, n_cards, "junk"), E_INPUT);
}

TEST_MAIN("wcs", {"the centre of a brick is pixel (1799.5, 1799.5)", the_centre_of_a_brick_is_pixel_1799_5},
          {"TAN is the gnomonic projection, there and back", tan_is_the_gnomonic_projection},
          {"positions that cannot be projected are NaN", positions_that_cannot_be_projected_are_nan},
          {"the scale is that of the CD matrix", the_scale_is_that_of_the_cd_matrix},
          {"the lie of an image is that of its header", the_lie_of_an_image_is_that_of_its_header},
          {"of a cube the first two axes count", of_a_cube_the_first_two_axes_count},
          {"unusable headers are refused", unusable_headers_are_refused})
