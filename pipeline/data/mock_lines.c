/* mock_lines.c - light of the gas: hydrogen lines from the star formation, the others from the gas's oxygen and
   ionisation, a faint retired component from old stars; and the dust in front. Wavelengths are vacuum. */
#include <math.h>

#include "data/mock.h"

const double mock_line_wavelength[N_MOCK_LINES] = {
    3727.09, 3729.88, 3869.86, 4102.89, 4341.68, 4862.68, 4960.30, 5008.24,
    6302.05, 6549.86, 6564.61, 6585.27, 6718.29, 6732.67, 9071.1,  9533.2,
};

/* Calzetti et al. 2000 (ApJ 533, 682), eq. 4, over its value at 5500 Angstrom; steeper where slope < 0. */
double mock_attenuation(double rest, double slope)
{
    double x = 1e4 / rest; /* per micron */
    double k = rest < 6300 ? 2.659 * (-2.156 + x * (1.509 + x * (-0.198 + x * 0.011))) : 2.659 * (-1.857 + 1.040 * x);
    return (k + 4.05) / 4.05 * (slope == 0 ? 1 : pow(rest / 5500, slope));
}

/* Over H beta, case B at 1e4 K and 100 per cm3: Osterbrock & Ferland 2006, table 4.4. */
static const double case_b_halpha = 2.86, case_b_hgamma = 0.468, case_b_hdelta = 0.259;

/* Ratios to H alpha (the first five) and H beta without dust. */
typedef struct {
    double n2, s2, o1, o2, s3; /* [NII] 6584, [SII] both, [OI] 6300, [OII] both, [SIII] 9532 */
    double o3, ne3;            /* [OIII] 5007, [NeIII] 3869 */
} Ratios;

/* Gas that young stars ionise. [NII] and [OIII] by the N2 and O3N2 calibrations of Pettini & Pagel 2004 (MNRAS 348,
   L59), eqs 1 and 3, which hold at the mean ionisation for a metallicity; [OII] by Kewley, Geller & Jansen 2004 (AJ
   127, 2002), eq. 10. More ionisation raises [OIII] and lowers [OII], [NII] and [SII]. */
static Ratios forming_ratios(const MockObject *o)
{
    double x = o->oxygen, u = o->log_u - (-3.1 - 0.5 * (x - 8.7)); /* beyond the mean */
    double n2 = fmin((x - 8.90) / 0.57, -0.30), o3 = fmin((8.73 - x) / 0.32 + n2, 0.85);
    double o2 = -1857.24 + x * (612.693 + x * (-67.0264 + x * 2.43209));
    return (Ratios){.n2 = pow(10, n2 - 0.2 * u),
                    .s2 = pow(10, -0.45 + 0.15 * (x - 8.7) - 0.25 * u),
                    .o1 = 0.03,
                    .o2 = fmax(o2, 0.2) * pow(10, -0.4 * u),
                    .s3 = 0.2 * pow(10, 0.3 * u),
                    .o3 = pow(10, o3 + 0.6 * u),
                    .ne3 = 0.08 * pow(10, o3 + 0.6 * u)};
}

/* Gas that old stars ionise: Cid Fernandes et al. 2011 (MNRAS 413, 1687): H alpha of about one Angstrom of equivalent
   width, [NII] / H alpha about 1, ratios of LINERs. */
static const Ratios retired_ratios = {.n2 = 1.0, .s2 = 0.9, .o1 = 0.2, .o2 = 1.6, .s3 = 0.1, .o3 = 1.8, .ne3 = 0.15};

/* Adds lines whose H alpha has this flux before dust. [OIII] 5007/4959 = 2.98: Storey & Zeippen 2000 (MNRAS 312, 813).
   [NII] 6584/6548 = 2.94, 1.35 between the lines of [OII] and of [SII] (near the limit of thin gas) and 2.47 between
   those of [SIII] are our choice. */
static void add(double flux[N_MOCK_LINES], double halpha, const Ratios *q)
{
    double hbeta = halpha / case_b_halpha;
    flux[MOCK_HALPHA] += halpha;
    flux[MOCK_HBETA] += hbeta;
    flux[MOCK_HGAMMA] += case_b_hgamma * hbeta;
    flux[MOCK_HDELTA] += case_b_hdelta * hbeta;
    flux[MOCK_NII_6584] += q->n2 * halpha;
    flux[MOCK_NII_6548] += q->n2 * halpha / 2.94;
    flux[MOCK_OIII_5007] += q->o3 * hbeta;
    flux[MOCK_OIII_4959] += q->o3 * hbeta / 2.98;
    flux[MOCK_SII_6716] += q->s2 * halpha * 1.35 / 2.35;
    flux[MOCK_SII_6731] += q->s2 * halpha / 2.35;
    flux[MOCK_OII_3726] += q->o2 * halpha / 2.35;
    flux[MOCK_OII_3729] += q->o2 * halpha * 1.35 / 2.35;
    flux[MOCK_OI_6300] += q->o1 * halpha;
    flux[MOCK_NEIII_3869] += q->ne3 * hbeta;
    flux[MOCK_SIII_9532] += q->s3 * halpha;
    flux[MOCK_SIII_9069] += q->s3 * halpha / 2.47;
}

/* log10 of erg/s in H alpha per solar mass a year: Kennicutt & Evans 2012 (ARA&A 50, 531), table 1. An old solar mass
   gives 1.2e29 erg/s, which is 0.8 Angstrom of its light. Nebular dust is the stars' over MOCK_DUST_SHARE.
*/
void mock_lines(double flux[N_MOCK_LINES], const MockObject *o)
{
    double cm = mock_distance(o->z) * 3.0857e24, dilution = 1e17 / (4 * M_PI * cm * cm);
    Ratios forming = forming_ratios(o);
    for (int i = 0; i < N_MOCK_LINES; i++) flux[i] = 0;
    add(flux, dilution * pow(10, o->logmstar + o->logssfr + o->recent + 41.27), &forming);
    add(flux, dilution * 1.2e29 * pow(10, o->logmstar), &retired_ratios);
    for (int i = 0; i < N_MOCK_LINES; i++)
        flux[i] *= exp(-o->dust / MOCK_DUST_SHARE * mock_attenuation(mock_line_wavelength[i], o->dust_slope));
}
