/* extinction.c - the extinction law of Fitzpatrick (1999) in the optical: a natural cubic spline in 1/lambda.

   The knots are the paper's: lambda = infinity, 26500, 12200 (infrared), 6000, 5470, 4670, 4110 Angstrom (optical), 2700
   and 2600 Angstrom (values of the ultraviolet formula, so that the spline meets it). The optical heights are polynomials
   in R_V by E. Fitzpatrick after the paper, those of the IDL astronomy library (FM_UNRED) and of DESI; at R_V = 3.1 they
   are the paper's Table 3 to its three digits. */
#include "data/extinction.h"

#include <math.h>

#include "data/flags.h"

enum { N_KNOTS = 9 };
static const double r_v = 3.1;
static const double micron_per_ebv = 1.029; /* A(1 micron) / E(B-V)_SFD, Schlafly & Finkbeiner 2011 */

/* Outside of this E(B-V) is a sentinel, or a place where no galaxy shines through the disc. */
static const float ebv_max = 5;

static const double knot_angstrom[N_KNOTS - 1] = {26500, 12200, 6000, 5470, 4670, 4110, 2700, 2600};

/* The ultraviolet part of the law (Fitzpatrick & Massa 1990) long of 1700 Angstrom, where its last term is 0:
   a line and the 2175 Angstrom bump; x in 1/micron. */
static double ultraviolet(double x)
{
    const double slope = -0.824 + 4.717 / r_v, height = 2.030 - 3.007 * slope;
    const double bump = 3.23, centre = 4.596, width = 0.99;
    double off = x * x - centre * centre;
    return r_v + height + slope * x + bump * x * x / (off * off + x * x * width * width);
}

typedef struct {
    double x[N_KNOTS], y[N_KNOTS]; /* 1/micron; A / E(B-V)         */
    double bend[N_KNOTS];          /* second derivatives at knots  */
} Spline;

static void place_knots(Spline *s)
{
    const double r = r_v;
    s->x[0] = s->y[0] = 0;
    for (int k = 1; k < N_KNOTS; k++) s->x[k] = 1e4 / knot_angstrom[k - 1];
    s->y[1] = 0.26469 * r / 3.1;
    s->y[2] = 0.82925 * r / 3.1;
    s->y[3] = -0.422809 + 1.00270 * r + 2.13572e-4 * r * r;
    s->y[4] = -5.13540e-2 + 1.00216 * r - 7.35778e-5 * r * r;
    s->y[5] = 0.700127 + 1.00184 * r - 3.32598e-5 * r * r;
    s->y[6] = 1.19456 + 1.01707 * r - 5.46959e-3 * r * r + 7.97809e-4 * r * r * r - 4.45636e-5 * r * r * r * r;
    s->y[7] = ultraviolet(s->x[7]);
    s->y[8] = ultraviolet(s->x[8]);
}

/* Second derivatives of the natural spline: one sweep of elimination down the tridiagonal system, one back. */
static void bend_spline(Spline *s)
{
    double ratio[N_KNOTS] = {0};
    s->bend[0] = s->bend[N_KNOTS - 1] = 0;
    for (int k = 1; k < N_KNOTS - 1; k++) {
        double left = s->x[k] - s->x[k - 1], right = s->x[k + 1] - s->x[k];
        double turn = (s->y[k + 1] - s->y[k]) / right - (s->y[k] - s->y[k - 1]) / left;
        double pivot = 2 * (left + right) - left * ratio[k - 1];
        ratio[k] = right / pivot;
        s->bend[k] = (6 * turn - left * s->bend[k - 1]) / pivot;
    }
    for (int k = N_KNOTS - 2; k > 0; k--) s->bend[k] -= ratio[k] * s->bend[k + 1];
}

static double spline_at(const Spline *s, double x)
{
    int k = 0;
    while (k < N_KNOTS - 2 && x > s->x[k + 1]) k++;
    double h = s->x[k + 1] - s->x[k], right = (x - s->x[k]) / h, left = 1 - right;
    return left * s->y[k] + right * s->y[k + 1] +
           ((left * left * left - left) * s->bend[k] + (right * right * right - right) * s->bend[k + 1]) * h * h / 6;
}

double extinction_law(double angstrom)
{
    Spline s;
    place_knots(&s);
    bend_spline(&s);
    return spline_at(&s, 1e4 / angstrom);
}

double extinction_per_ebv(double angstrom) { return micron_per_ebv * extinction_law(angstrom) / extinction_law(1e4); }

/* Nothing was read into such a row. */
static const int32_t no_spectrum = SPECTRUM_NO_FILE | SPECTRUM_UNREADABLE | SPECTRUM_NO_ROW | SPECTRUM_BAD_GRID |
                                   SPECTRUM_NO_DATA | SPECTRUM_NOT_ASKED;

void spectra_deredden(SpectrumBatch *batch, int64_t i, float ebv)
{
    float *flux = batch->flux + i * GRID_PIXELS, *ivar = batch->ivar + i * GRID_PIXELS;
    if (batch->flag[i] & no_spectrum) return;
    if (!(ebv >= 0 && ebv <= ebv_max)) {
        batch->flag[i] |= SPECTRUM_NO_EBV;
        return;
    }
    Spline s; /* 9 knots: cheaper than a table that all threads would have to agree on */
    place_knots(&s);
    bend_spline(&s);
    const double scale = 0.4 * micron_per_ebv * (double)ebv / spline_at(&s, 1);
    for (int64_t p = 0; p < GRID_PIXELS; p++) {
        double gain = pow(10, scale * spline_at(&s, 1e4 / (GRID_START + GRID_STEP * (double)p)));
        float lit = (float)((double)flux[p] * gain);
        if (isfinite(lit))
            flux[p] = lit, ivar[p] = (float)((double)ivar[p] / (gain * gain));
        else
            flux[p] = ivar[p] = 0, batch->flag[i] |= SPECTRUM_NONFINITE; /* a number that float32 cannot hold */
    }
}

void spectra_correct(SpectrumBatch *batch, int64_t at, const SpectraConfig *config, const CatalogRow *rows, int64_t n)
{
    if (config->extinction == EXTINCTION_NONE) return;
    for (int64_t i = 0; i < n; i++) spectra_deredden(batch, at + i, rows[i].ebv);
}
