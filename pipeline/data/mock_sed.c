/* mock_sed.c - one spectral energy distribution for both instruments: a continuum with a 4000 A break that deepens with age and metallicity, a blue
   young component, lines that follow the sSFR, dust. Shapes are schematic; wavelengths are vacuum, rest frame. */
#include <math.h>

#include "data/mock.h"

enum { N_LINES = 9 };
static const struct {
    double wavelength; /* Angstrom, vacuum                  */
    double strength;   /* equivalent width at logssfr = -10 */
    bool absorption;   /* of the old continuum              */
} lines[N_LINES] = {
    {3728.5, 12, false}, {4862.7, 5, false}, {4960.3, 2, false}, {5008.2, 6, false}, {6564.6, 20, false},
    {6585.3, 7, false},  {3934.8, 6, true},  {3969.6, 5, true},  {5176.6, 4, true},
};

/* Per unit wavelength, normalised near 5500 A; no dust. */
static double continuum(double rest, const MockObject *o)
{
    double x = rest / 5500;
    double depth = 0.25 + 0.035 * o->age + 0.25 * (o->logz + 2); /* of the break */
    depth = fmin(fmax(depth, 0.05), 0.85);
    double old = pow(x, -0.2) * (1 - depth / (1 + exp((rest - 3990) / 35)));
    if (x < 0.6) old *= exp(-(0.6 - x) * 5);
    double young = pow(x, -2.2);
    double share = 1 / (1 + exp(-2.2 * (o->logssfr + 10.3))); /* of the light at 5500 A */
    return (1 - share) * old + share * young;
}

static double line_factor(double rest, const MockObject *o)
{
    double sum = 0, boost = pow(10, 0.8 * (o->logssfr + 10)), metal = pow(10, 0.9 * (o->logz + 2));
    for (int i = 0; i < N_LINES; i++) {
        double sigma = lines[i].absorption ? 8 : 3.0, t = (rest - lines[i].wavelength) / sigma;
        if (fabs(t) > 6) continue;
        double width = lines[i].strength * (lines[i].absorption ? -metal * fmin(o->age / 8, 1.4) : boost);
        if (i == 5) width *= metal;           /* [NII] */
        if (i == 3 || i == 2) width /= metal; /* [OIII] */
        sum += width / (sigma * sqrt(2 * M_PI)) * exp(-0.5 * t * t);
    }
    return fmax(1 + sum, 0.05);
}

static double shape(double observed, const MockObject *o, bool with_lines)
{
    double rest = observed / (1 + o->z);
    double dusty = continuum(rest, o) * exp(-o->dust * pow(rest / 5500, -0.7));
    return with_lines ? dusty * line_factor(rest, o) : dusty;
}

/* 1 nanomaggy at wavelength w (Angstrom) in 1e-17 erg/s/cm2/Angstrom: 3.631e-29 erg/s/cm2/Hz x c / w^2. */
static double nanomaggy(double w) { return 3.631e-29 * 2.99792458e18 / (w * w) * 1e17; }

static const double pivot[N_BANDS] = {4770, 6420, 9260}; /* DECam g, r, z */

/* Rest-frame V light of a solar mass falls with age; the distance modulus is that of a linear Hubble law with a mild turn-over. */
static double scale(const MockObject *o)
{
    double distance = 4283 * o->z * (1 + 0.5 * o->z); /* Mpc, luminosity distance for H0 = 70 */
    double magnitude = 4.8 - 2.5 * (o->logmstar - log10(0.3 + 0.3 * o->age)) + 25 + 5 * log10(distance);
    double flux_v = pow(10, 0.4 * (22.5 - magnitude)); /* nanomaggies at rest 5500 A, before dust */
    double at = 5500 * (1 + o->z);
    return flux_v * nanomaggy(at) / continuum(5500, o);
}

void mock_spectrum(double *flux, const double *wavelength, int64_t n, const MockObject *o)
{
    double unit = scale(o);
    for (int64_t i = 0; i < n; i++) flux[i] = unit * shape(wavelength[i], o, true);
}

void mock_photometry(MockObject *o)
{
    double unit = scale(o);
    for (int b = 0; b < N_BANDS; b++) o->flux[b] = unit * shape(pivot[b], o, false) / nanomaggy(pivot[b]);
}
