/* mock_night.c - the noise of DESI's spectra where nothing shines but the sky: reading noise and throughput by arm, the
   sky's emission lines. Shaped after the inverse variances of the early data release: high at 3600 Angstrom, at the
   dichroics (5760, 7520) and in the bands of OH. */
#include <math.h>

#include "data/mock.h"

/* Smooth noise of an arm in 1e-17 erg/s/cm2/Angstrom per pixel: level x (1 + sum of both ends' rise). The rises are
   exponentials of this strength and length (Angstrom). */
static const struct {
    double low, high; /* ends of the arm, Angstrom */
    double level, rise_low, length_low, rise_high, length_high;
} arms[] = {
    {3600, 5800, 0.95, 3.2, 230, 0.12, 60},
    {5760, 7620, 0.40, 1.6, 190, 0.60, 80},
    {7520, 9824, 0.28, 1.5, 180, 0.90, 250},
};

/* Lines of the night sky: vacuum Angstrom, half the variance at their peak over the smooth one. [OI], Na, and the OH bands after
   Osterbrock et al. 1996 (PASP 108, 277), positions rounded to an Angstrom; strengths schematic. */
static const struct {
    short at, strength;
} lines[] = {
    {5579, 90}, {5891, 10}, {5897, 6},  {6302, 45}, {6365, 16}, {6500, 3},  {6535, 4},  {6556, 3},  {6866, 6},
    {6925, 5},  {6951, 5},  {6980, 4},  {7247, 8},  {7278, 14}, {7286, 7},  {7306, 8},  {7318, 16}, {7331, 10},
    {7343, 16}, {7371, 11}, {7404, 9},  {7526, 3},  {7715, 10}, {7726, 8},  {7753, 20}, {7761, 10}, {7782, 8},
    {7796, 24}, {7810, 14}, {7824, 26}, {7843, 18}, {7855, 12}, {7872, 6},  {7916, 22}, {7923, 12}, {7951, 18},
    {7967, 26}, {7996, 28}, {8017, 8},  {8028, 18}, {8064, 12}, {8284, 14}, {8291, 12}, {8301, 22}, {8313, 12},
    {8347, 36}, {8355, 20}, {8385, 26}, {8402, 44}, {8417, 14}, {8433, 46}, {8455, 32}, {8468, 34}, {8496, 28},
    {8507, 30}, {8541, 18}, {8551, 12}, {8763, 18}, {8770, 36}, {8781, 46}, {8793, 38}, {8812, 10}, {8830, 48},
    {8839, 34}, {8852, 34}, {8870, 46}, {8888, 52}, {8906, 36}, {8922, 52}, {8946, 30}, {8961, 40}, {8991, 32},
    {9004, 22}, {9040, 14}, {9052, 14}, {9316, 26}, {9326, 24}, {9340, 34}, {9378, 56}, {9400, 26}, {9422, 44},
    {9442, 54}, {9461, 44}, {9479, 48}, {9505, 54}, {9522, 30}, {9555, 44}, {9570, 50}, {9610, 24}, {9623, 30},
    {9703, 22}, {9722, 26}, {9745, 16}, {9794, 22},
};

void mock_night(double *sigma, const double *wavelength, int64_t n, int arm)
{
    const double width = 0.85; /* Angstrom, sigma of a line in the spectrograph */
    for (int64_t i = 0; i < n; i++) {
        double w = wavelength[i], variance = 1;
        double rise = arms[arm].rise_low * exp(-(w - arms[arm].low) / arms[arm].length_low) +
                      arms[arm].rise_high * exp(-(arms[arm].high - w) / arms[arm].length_high);
        for (size_t k = 0; k < sizeof lines / sizeof *lines; k++) {
            double t = (w - lines[k].at) / width;
            if (fabs(t) < 6) variance += 2 * lines[k].strength * exp(-0.5 * t * t);
        }
        sigma[i] = arms[arm].level * (1 + rise) * sqrt(variance);
    }
}
