/* provabgs.c - histories in bins of lookback time, and their sums. */
#include "data/provabgs.h"

#include <math.h>
#include <stdbool.h>

#include "provabgs_bases.h"

enum { MOST_BINS = 48, FINE = 50000, AGE_STEPS = 4000 };

static const double oldest = 13.8;                                   /* Gyr, where the fine grid and the bins end */
static const double z_least = 4.49043431e-5, z_most = 4.49043431e-2; /* metallicities that the model knows */

/* ---- age ---- */

/* Neutrinos over photons in energy density (Komatsu et al. 2011, eq. 26, as astropy has it); masses 0, 0, 0.06 eV. */
static double neutrinos(double z, double t_cmb)
{
    const double prefactor = 0.22710731766, p = 1.83, k = 0.3173, kelvin = 8.617333262145179e-5; /* eV per K */
    const double t_nu = 0.7137658555036082 * t_cmb, y = 0.06 / (kelvin * t_nu * (1 + z));
    return prefactor * (3.046 / 3) * (pow(1 + pow(k * y, p), 1 / p) + 2);
}

/* H(z) / H0 squared. */
static double expansion(double z)
{
    const double h0 = 67.77, om = 0.30712, t_cmb = 2.7255;
    const double h_si = h0 * 1e3 / 3.0856775814913673e22, critical = 3 * h_si * h_si / (8 * M_PI * 6.6743e-11);
    const double photons = 4 * 5.6703744191844314e-8 / pow(299792458.0, 3) * pow(t_cmb, 4) / critical;
    const double dark = 1 - om - photons * (1 + neutrinos(0, t_cmb)), a = 1 + z;
    return om * a * a * a + photons * (1 + neutrinos(z, t_cmb)) * a * a * a * a + dark;
}

/* The integral of da / (a H) with a = x^2, by Simpson's rule. */
double provabgs_age(double redshift)
{
    const double hubble = 977.7922216807891 / 67.77, end = sqrt(1 / (1 + redshift)); /* Gyr */
    double sum = 0;
    for (int i = 0; i <= AGE_STEPS; i++) {
        const double x = end * i / AGE_STEPS, weight = i == 0 || i == AGE_STEPS ? 1 : i % 2 ? 4 : 2;
        if (i > 0) sum += weight * 2 / (x * sqrt(expansion(1 / (x * x) - 1)));
    }
    return hubble * sum * end / AGE_STEPS / 3;
}

/* ---- histories ---- */

/* Piecewise linear, and straight on beyond the ends. */
static double interpolate(const double *basis, double t)
{
    int k = 0;
    while (k < N_TIMES - 2 && t > lookback[k + 1]) k++;
    return basis[k] + (basis[k + 1] - basis[k]) * (t - lookback[k]) / (lookback[k + 1] - lookback[k]);
}

/* The released code samples the history on a fine grid first; its integral from 0 to the grid's points is made once. */
static double fine[N_SFH][FINE], integral[N_SFH][FINE];

static void make_fine(void)
{
    static bool made;
    const double step = oldest / (FINE - 1);
    if (made) return;
    for (int b = 0; b < N_SFH; b++) {
        for (int i = 0; i < FINE; i++) fine[b][i] = interpolate(sfh_basis[b], step * i);
        for (int i = 1; i < FINE; i++) integral[b][i] = integral[b][i - 1] + 0.5 * step * (fine[b][i - 1] + fine[b][i]);
    }
    made = true;
}

static double integral_to(int b, double t)
{
    const double step = oldest / (FINE - 1);
    const int i = t <= 0 ? 0 : t >= oldest ? FINE - 2 : (int)(t / step) > FINE - 2 ? FINE - 2 : (int)(t / step);
    const double off = t - step * i, slope = (fine[b][i + 1] - fine[b][i]) / step;
    return integral[b][i] + off * (fine[b][i] + 0.5 * slope * off);
}

/* Edges 0, 10^-2.95, ... up to the age; returns how many bins. */
static int make_bins(double edge[MOST_BINS + 1], double age)
{
    int n = 0;
    edge[n++] = 0;
    for (int k = 0; k <= 40; k++) {
        const double e = pow(10, 6.05 + 0.1 * k - 9);
        if (e < age) edge[n++] = e;
    }
    if (oldest < age) edge[n++] = oldest;
    edge[n] = age;
    return n;
}

static ProvabgsProperties nothing(void) { return (ProvabgsProperties){NAN, NAN, NAN, NAN}; }

ProvabgsProperties provabgs_properties(const double *theta, double redshift)
{
    double edge[MOST_BINS + 1], s[MOST_BINS], sum = 0;
    for (int i = 0; i < PROVABGS_PARAMETERS; i++)
        if (!isfinite(theta[i])) return nothing();
    if (!isfinite(redshift) || redshift < 0) return nothing();
    make_fine();
    ProvabgsProperties out = {.age = provabgs_age(redshift)};
    const int n = make_bins(edge, out.age);
    const double burst_at = theta[6], burst = burst_at > out.age ? 0 : theta[5], mass = pow(10, theta[0]);
    for (int j = 0; j < n; j++) {
        s[j] = 0;
        for (int b = 0; b < N_SFH; b++) s[j] += theta[1 + b] * (integral_to(b, edge[j + 1]) - integral_to(b, edge[j]));
        sum += s[j]; /* mass of the bin, not yet a rate */
    }
    double recent = 0;
    for (int j = 0; j < n; j++) {
        const double width = edge[j + 1] - edge[j], centre = 0.5 * (edge[j] + edge[j + 1]);
        const double share = s[j] / sum, from_burst = burst_at >= edge[j] && burst_at < edge[j + 1] ? burst : 0;
        const double formed = (1 - burst) * share + from_burst;
        const double metals = theta[7] * interpolate(zh_basis[0], centre) + theta[8] * interpolate(zh_basis[1], centre);
        if (edge[j] < 1) recent += share * fmin(1, (1 - edge[j]) / width);
        out.z_mw += formed * fmin(z_most, fmax(z_least, metals));
        out.tage_mw += formed * centre;
    }
    out.avgsfr = (recent * (1 - burst) + (burst_at < 1 ? burst : 0)) * mass / 1e9;
    return out;
}
