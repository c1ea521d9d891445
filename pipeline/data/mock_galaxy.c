/* mock_galaxy.c - one galaxy: redshift, mass, star formation, age, metals, dust, gas, shape, each drawn from what the
   ones before it make likely. Relations are named where they are published ones, most of them simplified; the
   other numbers are our choice. The sample is flux-limited as DESI's Bright Galaxy Survey is, with a tail beyond it.

   Logarithms are of base 10, masses in solar masses, Chabrier or Kroupa initial mass function. */
#include <math.h>

#include "data/mock.h"

/* Faint limit of the Bright Galaxy Survey in r (Hahn et al. 2023, AJ 165, 253). The tail beyond z 0.6 stands for the
   survey's other galaxies and has a limit in z: its share and limit are our choice. */
static const double limit_r = 20.175, limit_z = 20.6, tail_share = 0.1;
enum { MOST_DRAWS = 200 };

static double clip(double x, double low, double high) { return x < low ? low : x > high ? high : x; }

static double magnitude(double nanomaggies) { return 22.5 - 2.5 * log10(nanomaggies); }

static double logistic(double x) { return 1 / (1 + exp(-x)); }

/* ---- cosmology ---- */

/* Planck Collaboration 2014 (A&A 571, A16), as Planck13 of PROVABGS: flat, radiation left out. */
static const double hubble = 67.77, omega = 0.30712, light_speed = 299792.458; /* km/s/Mpc, km/s */

double mock_distance(double z)
{
    enum { STEPS = 16 }; /* Simpson: 1e-6 of the distance at z 1 */
    double sum = 0;
    for (int i = 0; i <= STEPS; i++) {
        double x = 1 + z * i / STEPS;
        sum += (i == 0 || i == STEPS ? 1 : i % 2 ? 4 : 2) / sqrt(omega * x * x * x + 1 - omega);
    }
    return (1 + z) * light_speed / hubble * z / (3 * STEPS) * sum;
}

/* The closed form for matter and a cosmological constant: Carroll, Press & Turner 1992 (ARA&A 30, 499), eq. 17. */
double mock_universe_age(double z)
{
    double lambda = 1 - omega, x = sqrt(lambda / omega) * pow(1 + z, -1.5);
    return 977.8 / hubble * 2 / (3 * sqrt(lambda)) * asinh(x); /* 977.8 = Gyr km/s/Mpc */
}

/* ---- redshift and mass ---- */

/* n(z) of a magnitude-limited sample, z^2 exp(-(z/z0)^1.5) (after Baugh & Efstathiou 1993, MNRAS 265, 145); z0 is
   our choice, for a median of 0.2. One in ten of the draws is of the tail. */
static double draw_redshift(Rng *r)
{
    const double z0 = 0.2, low = 0.003, high = 0.6, top = 0.39; /* of x^2 exp(-x^1.5) */
    if (rng_uniform(r) < tail_share) return clip(high + 0.12 * fabs(rng_normal(r)), high, 1.0);
    for (;;) {
        double z = low + (high - low) * rng_uniform(r), x = z / z0;
        if (rng_uniform(r) * top < x * x * exp(-pow(x, 1.5))) return z;
    }
}

/* Double Schechter function of GAMA: Baldry et al. 2012 (MNRAS 421, 621), table 2. Number per unit log mass. */
static double mass_function(double logm)
{
    double x = pow(10, logm - 10.66);
    return exp(-x) * (3.96 * pow(x, -0.35 + 1) + 0.79 * pow(x, -1.47 + 1));
}

/* Masses that the magnitude limit can show at z, from the bluest mass-to-light ratio upwards. */
static double draw_mass(double z, Rng *r)
{
    enum { BINS = 48 };
    double modulus = 25 + 5 * log10(mock_distance(z)), sum[BINS + 1] = {0};
    double bright = (z > 0.6 ? limit_z : limit_r) - modulus; /* absolute magnitude at the limit */
    double low = clip(0.4 * (4.65 - bright) - 0.65, 7.5, 11.2), width = (12.2 - low) / BINS;
    for (int i = 0; i < BINS; i++) sum[i + 1] = sum[i] + mass_function(low + (i + 0.5) * width);
    double at = rng_uniform(r) * sum[BINS];
    int i = 0;
    while (i < BINS - 1 && sum[i + 1] < at) i++;
    return low + width * (i + (at - sum[i]) / (sum[i + 1] - sum[i]));
}

/* ---- star formation, age, metals, dust, gas ---- */

/* Quenched fraction in the form of Peng et al. 2010 (ApJ 721, 193): mass quenches a share 1 - exp(-(M/M_0)^p), the
   environment a share of the rest at every mass. All numbers are our choice: M_0 = 10^10.66, p = 0.67, 0.3 for the
   environment, fewer at higher z as (1 + z)^-0.5. */
static double quenched_fraction(double logm, double z)
{
    double by_mass = 1 - exp(-pow(pow(10, logm - 10.66), 0.67));
    return (1 - (1 - by_mass) * (1 - 0.3)) * pow(1 + z, -0.5);
}

/* Main sequence: the ridge of Renzini & Peng 2015 (ApJ 801, L29), log SFR = 0.76 log M - 7.64, here rising as (1 + z)^2.7,
   scatter 0.33 dex. Our choices: passive galaxies lie near log sSFR = -11.6, an eighth is on its way; a merger adds half
   its star formation. The mean over a Gyr cannot exceed 1e-9 per year. */
static void draw_star_formation(MockObject *o, Rng *r)
{
    double sequence = (0.76 - 1) * o->logmstar - 7.64 + 2.7 * log10(1 + o->z), scatter = rng_normal(r);
    o->quiescent = rng_uniform(r) < quenched_fraction(o->logmstar, o->z);
    bool green = rng_uniform(r) < 0.12;
    double passive = -11.6 + 0.65 * scatter, active = sequence + 0.33 * scatter;
    o->logssfr = green ? 0.5 * (sequence - 11.5) + 0.25 * scatter : o->quiescent ? passive : active;
    o->merger = rng_uniform(r) < 0.04; /* one in 25: our choice */
    if (o->merger && !o->quiescent) o->logssfr += 0.2;
    if (o->logssfr > -9.4) o->logssfr = -9.4 + 0.3 * tanh((o->logssfr + 9.4) / 0.3);
    o->logssfr = fmax(o->logssfr, -13.2);
    /* lines see 10 Myr, the continuum longer; dwarfs are burstier */
    o->recent = clip((o->logmstar < 9.5 ? 0.25 : 0.15) * rng_normal(r), -0.6, 0.6);
}

/* Mass-weighted ages, our choice: passive galaxies formed early, the massive first (the trend of Gallazzi et al. 2005,
   MNRAS 362, 41); star-forming ones lie at half the age of the universe, younger above the main sequence. */
static void draw_age(MockObject *o, Rng *r)
{
    double t = mock_universe_age(o->z), share;
    double above = o->logssfr + 10.2;
    if (o->quiescent)
        share = 0.68 + 0.08 * (o->logmstar - 10.7) + 0.13 * rng_normal(r);
    else
        share = 0.50 + 0.07 * (o->logmstar - 10.2) - 0.13 * above + 0.13 * rng_normal(r);
    o->age = t * clip(share, 0.12, 0.93);
}

/* Stellar metallicity against mass in log Z/0.02, after Gallazzi et al. 2005 (MNRAS 362, 41): a line through seven masses,
   the scatter shrinking with mass. At its mass a passive galaxy is the richer one (Peng, Maiolino & Cochrane 2015,
   Nature 521, 192), by an amount that is our choice. */
static void draw_metals(MockObject *o, Rng *r)
{
    enum { POINTS = 7 };
    static const double mass[POINTS] = {8.91, 9.51, 9.91, 10.31, 10.72, 11.11, 11.91};
    static const double median[POINTS] = {-0.60, -0.61, -0.41, -0.11, 0.04, 0.10, 0.15};
    static const double spread[POINTS] = {0.35, 0.38, 0.38, 0.28, 0.18, 0.14, 0.13};
    int i = 0;
    while (i < POINTS - 2 && o->logmstar > mass[i + 1]) i++;
    double u = clip((o->logmstar - mass[i]) / (mass[i + 1] - mass[i]), -0.7, 1);
    double centre = median[i] + u * (median[i + 1] - median[i]), width = spread[i] + u * (spread[i + 1] - spread[i]);
    double offset = o->quiescent ? 0.12 : -0.05, deviation = rng_normal(r);
    double z_sun = clip(centre + offset + 1.2 * width * deviation, -1.7, 0.33);
    o->logz = log10(0.02) + z_sun;
    /* gas follows stars; at slope, zero point and scatter of our choice; 8.69 is solar, Asplund et al. 2009 (ARA&A 47, 481) */
    o->oxygen = clip(8.80 + 0.5 * z_sun + 0.07 * rng_normal(r), 7.9, 9.1);
    /* ionisation falls with metallicity and rises with sSFR: the slopes are our choice */
    o->log_u = clip(-3.1 - 0.5 * (o->oxygen - 8.7) + 0.25 * (o->logssfr + 10) + 0.12 * rng_normal(r), -3.7, -2.2);
}

/* Attenuation of H alpha against mass, after Garn & Best 2010 (MNRAS 409, 421): 0.91 + 0.77 x + 0.11 x^2 - 0.09 x^3 with x
   = log M/1e10. Our choices: the scatter, the stars' share (mock.h), more dust in inclined disks, little in passive
   galaxies. 3.33 and 4.05: Calzetti's curve at H alpha and at V. */
static void draw_dust(MockObject *o, Rng *r)
{
    double x = clip(o->logmstar - 10, -1.5, 1.5), wiggle = rng_normal(r);
    double a_halpha = (0.91 + 0.77 * x + 0.11 * x * x - 0.09 * x * x * x) * pow(10, 0.32 * wiggle);
    double tau = MOCK_DUST_SHARE * a_halpha / 3.33 * 4.05 / 1.086;
    if (o->quiescent) tau = 0.08 * pow(10, 0.25 * wiggle);
    if (!o->quiescent) tau += 0.25 * log10(1 / o->axis_ratio) * clip(0.6 + 0.4 * x, 0.2, 1.2);
    o->dust = clip(tau, 0.01, 3);
}

/* What colours do not know, our choices: attenuation curves steeper and shallower than Calzetti's; in a third of the
   galaxies a burst one to three Gyr ago, which leaves them bluer and brighter than their mean rate of the last Gyr says;
   mass-to-light ratios that differ at one age and metallicity, as initial mass functions do. */
static void draw_oddities(MockObject *o, Rng *r)
{
    double slope = rng_normal(r), ratio = rng_normal(r), chance = rng_uniform(r), share = rng_uniform(r),
           when = rng_uniform(r);
    o->dust_slope = clip(-0.1 + 0.35 * slope, -0.9, 0.7);
    o->log_ml = 0.25 * ratio;
    o->burst = chance < 0.4 ? 0.05 * pow(10, 0.9 * share) : 0; /* 5 to 40 % of the mass */
    o->burst_age = fmin(1 + 2 * when, 0.9 * o->age);
    if (o->burst_age < 1) o->burst = 0;
}

/* Velocity dispersion against mass, after Zahid et al. 2016 (ApJ 832, 203): 118 km/s at 10^10.26, slopes 0.40 below and
   0.29 above; colder disks and the scatter are our choice. */
static void draw_dispersion(MockObject *o, Rng *r)
{
    double x = o->logmstar - 10.26, slope = x < 0 ? 0.403 : 0.293;
    double log_sigma = log10(118.3) + slope * x + (o->quiescent ? 0 : -0.1) + 0.07 * rng_normal(r);
    o->veldisp = clip(pow(10, log_sigma), 25, 400);
}

/* ---- shape ---- */

/* Bulge share of the light: small in star-forming disks, growing with mass; large in passive galaxies, of which the
   massive are mostly ellipticals. Shares are our choice. */
static void draw_bulge(MockObject *o, Rng *r)
{
    double x = o->logmstar - 10.5, quiet = logistic(-3 * (o->logssfr + 11.2));
    double elliptical = quiet * clip(0.35 + 0.35 * x, 0.08, 0.92);
    double share = (1 - quiet) * (0.10 + 0.12 * clip(x + 0.5, 0, 1.5)) + quiet * (0.5 + 0.1 * x);
    share *= pow(10, 0.2 * rng_normal(r));
    o->bulge_fraction = (float)(rng_uniform(r) < elliptical ? 1 : clip(share, 0, 0.85));
    if (o->logmstar < 9 && o->bulge_fraction < 0.1f) o->bulge_fraction = 0;
}

/* Disks lie at random, flattened to 0.2; ellipticals are rounder when massive. */
static void draw_projection(MockObject *o, Rng *r)
{
    const double flattest = 0.2;
    double cosine = rng_uniform(r), tilt = rng_normal(r);
    double disk = sqrt(cosine * cosine * (1 - flattest * flattest) + flattest * flattest);
    double round = clip(0.72 + 0.06 * (o->logmstar - 10.7) + 0.15 * tilt, 0.35, 0.98);
    bool elliptical = o->bulge_fraction >= 1;
    o->inclination = elliptical ? 0 : (float)acos(cosine);
    o->axis_ratio = elliptical ? round : disk;
    o->edge_on = !elliptical && disk < 0.3;
    o->angle = M_PI * rng_uniform(r);
}

/* Half-light radius in kpc against mass, after Shen et al. 2003 (MNRAS 343, 978), table 1, the fits by mass of late and
   early types; below 10^9.8 the latter flatten, our choice. Scatter in ln R falls from 0.47 to 0.34, here four fifths
   of it. */
static void draw_size(MockObject *o, Rng *r)
{
    double m = pow(10, o->logmstar), m_0 = 3.98e10;
    double late = 0.10 * pow(m, 0.14) * pow(1 + m / m_0, 0.39 - 0.14);
    double early = o->logmstar > 9.8 ? 2.88e-6 * pow(m, 0.56) : 2.88e-6 * pow(10, 9.8 * 0.56) * pow(m / 6.3e9, 0.14);
    double spread = 0.34 + (0.47 - 0.34) / (1 + pow(m / m_0, 2));
    double ln_kpc = log(o->quiescent ? early : late) + 0.8 * spread * rng_normal(r); /* part of it is measurement */
    double angular = mock_distance(o->z) / ((1 + o->z) * (1 + o->z)) * 1e3;          /* kpc per radian */
    o->radius = clip(exp(ln_kpc) / angular * 180 * 3600 / M_PI, 0.3, 10);
    o->sersic = clip(1 + 3.2 * o->bulge_fraction + 0.15 * rng_normal(r), 0.6, 5.5);
    /* bulges of disks have about a quarter of the disk's size: our choice */
    o->bulge_radius = (float)(o->bulge_fraction >= 1 ? o->radius : clip(0.28 * o->radius, 0.15, 4));
}

/* Arms in disks that form stars; the pitch angle opens towards small bulges; two arms in half of them. Bars in a third of
   disks, more in massive ones. The trends are those that volunteers of Galaxy Zoo found, the numbers our choice. */
static void draw_disk(MockObject *o, Rng *r)
{
    static const int arms[] = {1, 2, 2, 2, 2, 2, 3, 3, 4, 4};
    double forming = logistic(4 * (o->logssfr + 11)), x = o->logmstar - 10.3, mood = rng_normal(r);
    double spiral = forming * clip(0.65 + 0.25 * x, 0.1, 0.9), barred = clip(0.33 + 0.15 * x, 0.08, 0.6);
    bool has_arms = rng_uniform(r) < spiral, has_bar = rng_uniform(r) < barred;
    int kind = (int)rng_below(r, 10);
    double strength = rng_uniform(r);
    if (o->bulge_fraction >= 1) return;
    if (has_arms) {
        o->arm_count = arms[kind];
        o->arm_strength = (float)clip((0.35 + 0.4 * strength) * (0.6 + 0.4 * forming), 0, 1);
        o->arm_winding = (float)(clip(22 - 22 * o->bulge_fraction + 5 * mood, 7, 38) * M_PI / 180);
    }
    if (has_bar) o->bar_strength = (float)(0.15 + 0.35 * strength);
}

/* The other galaxy of a merger: a mass ratio between 1:4 and 1:1, one to two radii away. */
static void draw_companion(MockObject *o, Rng *r)
{
    double ratio = 0.25 + 0.75 * rng_uniform(r), away = o->radius * (1 + 1.2 * rng_uniform(r)),
           direction = 2 * M_PI * rng_uniform(r);
    if (!o->merger) return;
    o->companion_east = (float)(fmax(away, 1.5) * cos(direction));
    o->companion_north = (float)(fmax(away, 1.5) * sin(direction));
    o->companion_flux = (float)ratio;
    o->companion_radius = (float)sqrt(ratio);
}

/* ---- all of it ---- */

static void draw(MockObject *o, Rng *r)
{
    o->z = draw_redshift(r);
    o->logmstar = draw_mass(o->z, r);
    o->arm_count = 0;
    o->arm_strength = o->arm_winding = o->bar_strength = 0;
    o->companion_east = o->companion_north = o->companion_flux = o->companion_radius = 0;
    draw_star_formation(o, r);
    draw_age(o, r);
    draw_metals(o, r);
    draw_bulge(o, r);
    draw_projection(o, r);
    draw_dust(o, r);
    draw_oddities(o, r);
    draw_dispersion(o, r);
    draw_size(o, r);
    draw_disk(o, r);
    draw_companion(o, r);
}

/* Until one is bright enough: about one in three is. Those that are much too faint without their lines are not worth a
   full look. */
void mock_galaxy(MockObject *o, Rng *r)
{
    const double margin = 0.75; /* magnitudes: a starburst's lines and more */
    for (int i = 0; i < MOST_DRAWS; i++) {
        draw(o, r);
        const int band = o->z > 0.6 ? 2 : 1;
        const double limit = band == 2 ? limit_z : limit_r;
        if (magnitude(mock_rough_flux(o, band)) > limit + margin && i < MOST_DRAWS - 1) continue;
        mock_photometry(o);
        if (magnitude(o->flux[band]) < limit) return;
    }
}
