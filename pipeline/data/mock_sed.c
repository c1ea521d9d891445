/* mock_sed.c - one spectral energy distribution for both instruments: stars of five ages, each a few kinds of star, with
   breaks, bands and absorption lines by temperature and metallicity; the gas's lines; dust.

   Kinds of star are black bodies under blanketing whose depths were set by eye to the indices of Worthey et al. 1994
   (ApJS 94, 687) and to the D4000 of Kauffmann et al. 2003 (MNRAS 341, 33): a schematic synthesis, whose trends are
   the real ones. The smooth part lies on nodes equal in log wavelength, linear between; lines are Gaussians on top. The
   fluxes of the bands integrate the same nodes and lines, so catalogue and spectrum cannot disagree.

   The nodes are fixed in the rest frame, and what depends on wavelength alone is kept for them: a galaxy is drawn some
   ten times while a sky is written, each time with its fluxes. */
#include <math.h>

#include "core/exp2.h"
#include "data/mock.h"

enum { MOST_STARS = 12, N_NODES = 690, EVERY = 6, N_AGES = 6, N_SHAPES = 5 };
static const double node_step = 0.003, first_node = 1500; /* of ln wavelength; Angstrom: the last one is at 11850 */

/* The lines that stars absorb, by what makes them strong. */
typedef enum { BALMER, CALCIUM, METAL, N_KINDS } Kind;
static const struct {
    double wavelength; /* vacuum, Angstrom */
    Kind kind;
    double width, sigma; /* equivalent width in the star where it is strongest, Angstrom; intrinsic width */
} absorbed[] = {
    {6564.6, BALMER, 9, 7},      {4862.7, BALMER, 11, 7},  {4341.7, BALMER, 12, 7},   {4102.9, BALMER, 13, 7},
    {3971.2, BALMER, 11, 6.5},   {3890.2, BALMER, 10, 6},  {3836.5, BALMER, 8, 5.5},  {3799.0, BALMER, 5, 5},
    {3934.8, CALCIUM, 9, 6},     {3969.6, CALCIUM, 7, 6},  {8500.4, CALCIUM, 1.5, 3}, {8544.4, CALCIUM, 3.8, 3.2},
    {8664.5, CALCIUM, 3.0, 3.2}, {4228.0, METAL, 1.6, 4},  {4305.6, METAL, 6, 9},     {4384.7, METAL, 5.5, 9},
    {4160.0, METAL, 4, 20},      {4532.5, METAL, 3.5, 10}, {4669.0, METAL, 6, 18},    {5016.5, METAL, 5, 16},
    {5176.6, METAL, 4.6, 9},     {5271.0, METAL, 3.2, 7},  {5337.0, METAL, 2.8, 6},   {5406.5, METAL, 1.9, 6},
    {5710.0, METAL, 1.1, 6},     {5784.0, METAL, 0.9, 6},  {5891.6, METAL, 2.3, 2.2}, {5897.6, METAL, 1.9, 2.2},
    {3832.4, METAL, 5, 8},       {3737.0, METAL, 5, 12},   {8190.0, METAL, 0.7, 4},   {8809.0, METAL, 0.7, 3},
};
enum { N_ABSORBED = sizeof absorbed / sizeof *absorbed, N_ALL_LINES = N_ABSORBED + N_MOCK_LINES };

/* A kind of star in the galaxy: its temperature and its light at 5500 Angstrom. */
typedef struct {
    double temperature, light, cool; /* cool: 0 at 6500 K, 1 at 4500 K, up to 1.3 */
    double depth[N_SHAPES];          /* magnitudes, of the shapes below           */
    double strength[N_KINDS];        /* of the lines it absorbs, over their greatest */
    double dust;                     /* optical depth at 5500 */
    double unit;                     /* 1 / Planck(5500)      */
} Star;

typedef struct {
    double at, area, sigma; /* observed Angstrom; 1e-17 erg/s/cm2, negative = absorbed; Angstrom */
} Line;

typedef struct {
    int n;
    double wave[N_NODES]; /* observed */
    double flux[N_NODES]; /* smooth part, 1e-17 erg/s/cm2/A */
    Line line[N_ALL_LINES];
} Sed;

static double clip(double x, double low, double high) { return x < low ? low : x > high ? high : x; }

/* ---- stars ---- */

/* Planck's law over its value at 5500 Angstrom comes from this; 1.438777e8 = hc/k in Angstrom K. */
static double planck(double rest, double temperature)
{
    double x = 5500 / rest;
    return x * x * x * x * x / (exp(1.438777e8 / (rest * temperature)) - 1);
}

/* What lies on the black body, as functions of wavelength alone; the depths of a star multiply them. */
typedef enum { JUMP, BREAK, BLUE, ULTRAVIOLET, BANDS } Shape;

/* Heads of the TiO bands; each fades redwards over its length. */
static const struct {
    double head, length, depth;
} band[] = {{4762, 150, 0.3}, {4956, 200, 0.5}, {5449, 140, 0.4}, {5848, 200, 0.35}, {6159, 160, 0.6},
            {6652, 160, 0.5}, {7054, 220, 0.9}, {7589, 250, 0.8}, {8433, 180, 0.6}};

static void shapes_at(double shape[N_SHAPES], double rest)
{
    shape[JUMP] = 1 / (1 + exp((rest - 3710) / 22)); /* below 3646, blurred by the last Balmer lines */
    shape[BREAK] = 1 / (1 + exp((rest - 3985) / 14));
    shape[BLUE] = clip((5300 - rest) / 1300, 0, 1);
    shape[ULTRAVIOLET] = clip((3850 - rest) / 900, 0, 1) + clip((2900 - rest) / 400, 0, 1);
    shape[BANDS] = 0;
    for (size_t i = 0; i < sizeof band / sizeof *band; i++)
        if (rest > band[i].head && rest < band[i].head + band[i].length)
            shape[BANDS] += band[i].depth * (1 - (rest - band[i].head) / band[i].length);
}

/* Depths in magnitudes. The Balmer jump peaks in A stars; metals blanket cool stars, more where there are more. */
static void set_depths(Star *s, double metals)
{
    double t = log10(s->temperature) - 3.97, wide = t > 0 ? 0.16 : 0.13, z = pow(10, 0.3 * metals);
    double metallic = 1 / (1 + exp((s->temperature - 6400) / 350));
    s->cool = clip((6500 - s->temperature) / 2000, 0, 1.3);
    s->depth[JUMP] = 1.2 * exp(-0.5 * t * t / (wide * wide));
    s->depth[BREAK] = metallic * (0.38 + 0.42 * s->cool) * z;
    s->depth[BLUE] = 0.25 * s->cool * z;
    s->depth[ULTRAVIOLET] = (metallic * 1.3 + 0.25 / (1 + exp((s->temperature - 9500) / 800))) * z;
    s->depth[BANDS] = clip((4200 - s->temperature) / 500, 0, 1.2) * z;
}

static void set_strengths(Star *s, double metals)
{
    double t = log10(s->temperature) - 3.97, wide = t > 0 ? 0.22 : 0.12, much = pow(10, 0.35 * metals);
    s->strength[BALMER] = exp(-0.5 * t * t / (wide * wide));
    s->strength[CALCIUM] = fmin(much, 1.3) / (1 + exp((s->temperature - 7200) / 450));
    s->strength[METAL] = s->cool * much;
}

/* What the stars' light is made of, at some wavelengths of the rest frame. */
typedef struct {
    double rest[N_NODES];              /* Angstrom */
    float steep[N_NODES];              /* (5500 / rest)^5 */
    float dust[N_NODES], red[N_NODES]; /* Calzetti's attenuation over that at 5500; ln (rest / 5500) */
    float shape[N_SHAPES][N_NODES];
} Nodes;

static void set_node(Nodes *n, int k, double rest)
{
    double shape[N_SHAPES];
    shapes_at(shape, rest);
    n->rest[k] = rest;
    n->steep[k] = (float)pow(5500 / rest, 5);
    n->dust[k] = (float)mock_attenuation(rest, 0);
    n->red[k] = (float)log(rest / 5500);
    for (int i = 0; i < N_SHAPES; i++) n->shape[i][k] = (float)shape[i];
}

/* The first `count` of those a multiple of the nodes' step apart. */
static void set_grid(Nodes *n, int count, int every)
{
    for (int k = 0; n->rest[count - 1] == 0 && k < count; k++) set_node(n, k, first_node * exp(node_step * every * k));
}

/* Those of all galaxies, made when first asked for: all, some, and at the absorption lines. */
static const Nodes *grid_nodes(void)
{
    static Nodes nodes;
    set_grid(&nodes, N_NODES, 1);
    return &nodes;
}

static const Nodes *coarse_nodes(void)
{
    static Nodes nodes;
    set_grid(&nodes, N_NODES / EVERY, EVERY);
    return &nodes;
}

static const Nodes *line_nodes(void)
{
    static Nodes nodes;
    for (int i = 0; nodes.rest[N_ABSORBED - 1] == 0 && i < N_ABSORBED; i++) set_node(&nodes, i, absorbed[i].wavelength);
    return &nodes;
}

static float exp_of(float x) { return exp2_fast(1.44269504f * x); }

static void attenuation(float *dust, const Nodes *n, int first, int count, double slope)
{
    const float by = (float)slope;
    for (int k = 0; k < count; k++) dust[k] = n->dust[first + k] * exp_of(by * n->red[first + k]);
}

/* The light of a kind of star behind its dust at nodes [first, first + count). */
static void starlight(float *light, const Star *s, const Nodes *n, const float *dust, int first, int count)
{
    const float hot = (float)(1.438777e8 / s->temperature), unit = (float)(s->light * s->unit), depth = (float)s->dust;
    float magnitude[N_SHAPES];
    for (int i = 0; i < N_SHAPES; i++) magnitude[i] = (float)(0.921034 * s->depth[i]);
    for (int k = 0; k < count; k++) {
        const int at = first + k;
        float dark = depth * dust[k];
        for (int i = 0; i < N_SHAPES; i++) dark += magnitude[i] * n->shape[i][at];
        light[k] = unit * n->steep[at] / (exp_of(hot / (float)n->rest[at]) - 1) * exp_of(-dark);
    }
}

/* Light of all stars at nodes [first, first + count). */
static void all_starlight(double *sum, const MockObject *o, const Star *star, int n_stars, const Nodes *n, int first,
                          int count)
{
    float dust[N_NODES], light[N_NODES];
    attenuation(dust, n, first, count, o->dust_slope);
    for (int k = 0; k < count; k++) sum[k] = 0;
    for (int s = 0; s < n_stars; s++) {
        starlight(light, &star[s], n, dust, first, count);
        for (int k = 0; k < count; k++) sum[k] += (double)light[k];
    }
}

static void add_star(Star *star, int *n, double temperature, double light, double metals, double dust)
{
    Star *s = &star[(*n)++];
    MUST(*n <= MOST_STARS);
    *s = (Star){.temperature = temperature, .light = light, .dust = dust, .unit = 1 / planck(5500, temperature)};
    set_depths(s, metals);
    set_strengths(s, metals);
}

/* Masses of the ages (Gyr): what was formed before the last Gyr, a burst's share of it and the rest at two ages around
   the mean that leaves the galaxy's mass-weighted age as it is; three for the last Gyr at its mean rate, the last 10
   Myr at the recent one. */
static void ages_of(double age[N_AGES], double mass[N_AGES], const MockObject *o)
{
    double rate = pow(10, o->logssfr + 9), last = fmin(rate, 0.9); /* share of the last Gyr */
    double burst = (1 - last) * o->burst, rest = 1 - last - burst;
    double before = fmax((o->age - 0.5 * last - burst * o->burst_age) / rest, 0.7);
    const double spread = o->quiescent ? 0.3 : 0.65; /* who still forms stars has done so at all times */
    const double ages[N_AGES] = {0.005, 0.05, 0.45, o->burst_age, (1 - spread) * before, (1 + spread) * before};
    const double masses[N_AGES] = {
        0.01 * last * pow(10, o->recent), 0.09 * last, 0.90 * last, burst, 0.5 * rest, 0.5 * rest};
    for (int i = 0; i < N_AGES; i++) age[i] = ages[i], mass[i] = masses[i];
}

/* The kinds of star; light in solar V luminosities. Mass-to-light ratio 0.53 t^0.7 in V,
   higher with metals: our choice, near that of common synthesis models. Turn-off masses by lifetime, 10 Gyr M^-2.5; giants' share grows with age,
   and they are cooler with metals; the coolest carry the TiO bands. */
static int stars_of(Star star[MOST_STARS], const MockObject *o)
{
    int n = 0;
    double age[N_AGES], mass[N_AGES], metals = o->logz - log10(0.02), giants = 0, cool = 0;
    ages_of(age, mass, o);
    for (int i = 0; i < N_AGES; i++) {
        if (mass[i] <= 0) continue;
        double ratio = 0.53 * pow(age[i] + 0.003, 0.7) * pow(10, 0.12 * metals + o->log_ml);
        double light = mass[i] * pow(10, o->logmstar) / ratio;
        double turn_off = fmin(5800 * pow(age[i] / 10, -0.22) * pow(10, -0.03 * metals), 32000);
        double giant = clip(0.42 + 0.14 * log10(age[i] / 4), 0.1, 0.5);
        double coolest = age[i] < 0.3 ? 0.05 : clip(0.09 + 0.05 * metals, 0.02, 0.14);
        bool old = age[i] > 0.6;
        double rest = 1 - giant - coolest, dwarfs = old ? 0.3 * rest : 0;
        giants += light * giant;
        cool += light * coolest;
        add_star(star, &n, turn_off, light * (rest - dwarfs), metals, i == 0 ? o->dust / MOCK_DUST_SHARE : o->dust);
        if (old) add_star(star, &n, 0.82 * turn_off, light * dwarfs, metals, o->dust);
    }
    double formed = clip(o->age, 1, 13);
    add_star(star, &n, 4720 - 330 * metals - 12 * (formed - 6), giants, metals, o->dust);
    add_star(star, &n, 3750 - 100 * metals, cool, metals, o->dust);
    return n;
}

/* ---- the galaxy ---- */

/* Observed 1e-17 erg/s/cm2/Angstrom per solar V luminosity at rest 5500: 5.13e29 erg/s/Angstrom (absolute AB magnitude
   4.81) at the luminosity distance; a wavelength interval is stretched by 1 + z. */
static double dilution_of(const MockObject *o)
{
    double cm = mock_distance(o->z) * 3.0857e24;
    return 5.13e29 * 1e17 / (4 * M_PI * cm * cm) / (1 + o->z);
}

static void add_absorption(Sed *sed, const Star *star, int n_stars, const MockObject *o, double unit)
{
    float dust[N_ABSORBED], light[N_ABSORBED];
    double lost[N_ABSORBED] = {0};
    attenuation(dust, line_nodes(), 0, N_ABSORBED, o->dust_slope);
    for (int s = 0; s < n_stars; s++) {
        starlight(light, &star[s], line_nodes(), dust, 0, N_ABSORBED);
        for (int i = 0; i < N_ABSORBED; i++)
            lost[i] += (double)light[i] * absorbed[i].width * star[s].strength[absorbed[i].kind];
    }
    for (int i = 0; i < N_ABSORBED; i++) {
        const double rest = absorbed[i].wavelength, sigma = hypot(absorbed[i].sigma, rest * o->veldisp / 299792.458);
        sed->line[i] = (Line){rest * (1 + o->z), -lost[i] * unit * (1 + o->z), sigma * (1 + o->z)};
    }
}

/* Gas moves more slowly than the stars of disks do. */
double mock_gas_speed(const MockObject *o) { return o->quiescent ? o->veldisp : fmax(0.7 * o->veldisp, 30); }

static void add_emission(Sed *sed, const MockObject *o)
{
    double flux[N_MOCK_LINES], speed = mock_gas_speed(o);
    mock_lines(flux, o);
    for (int i = 0; i < N_MOCK_LINES; i++) {
        double at = mock_line_wavelength[i] * (1 + o->z);
        sed->line[N_ABSORBED + i] = (Line){at, flux[i], at * speed / 299792.458};
    }
}

/* The galaxy between two observed wavelengths, with a node beyond each. */
static void build(Sed *sed, const MockObject *o, double low, double high)
{
    Star star[MOST_STARS];
    const int n_stars = stars_of(star, o);
    const double unit = dilution_of(o), stretch = 1 + o->z;
    int first = (int)floor(log(low / (stretch * first_node)) / node_step);
    int last = (int)ceil(log(high / (stretch * first_node)) / node_step) + 1;
    if (last > N_NODES - 1) last = N_NODES - 1;
    if (first > last - 2) first = last - 2;
    if (first < 0) first = 0;
    sed->n = last - first + 1;
    all_starlight(sed->flux, o, star, n_stars, grid_nodes(), first, sed->n);
    for (int k = 0; k < sed->n; k++) {
        sed->wave[k] = grid_nodes()->rest[first + k] * stretch;
        sed->flux[k] *= unit;
    }
    add_absorption(sed, star, n_stars, o, unit);
    add_emission(sed, o);
}

/* ---- as the instruments see it ---- */

static int64_t first_above(const double *wavelength, int64_t n, double limit)
{
    int64_t low = 0;
    while (n > 0) { /* the answer is in [low, low + n] */
        int64_t half = n / 2;
        if (wavelength[low + half] < limit)
            low += half + 1, n -= half + 1;
        else
            n = half;
    }
    return low;
}

static void draw_line(double *flux, const double *wavelength, int64_t n, const Line *l, double blur)
{
    const double reach = 5.5; /* sigma: a Gaussian is 3e-7 of its peak there */
    double sigma = hypot(l->sigma, blur), top = l->area / (sigma * sqrt(2 * M_PI));
    int64_t i = first_above(wavelength, n, l->at - reach * sigma);
    for (; i < n && wavelength[i] < l->at + reach * sigma; i++) {
        double t = (wavelength[i] - l->at) / sigma;
        flux[i] += top * exp(-0.5 * t * t);
    }
}

void mock_spectrum(double *flux, const double *wavelength, int64_t n, const MockObject *o, double blur)
{
    Sed sed;
    if (n < 1) return;
    build(&sed, o, wavelength[0], wavelength[n - 1]);
    int k = 0;
    for (int64_t i = 0; i < n; i++) {
        while (k < sed.n - 2 && sed.wave[k + 1] < wavelength[i]) k++;
        double u = (wavelength[i] - sed.wave[k]) / (sed.wave[k + 1] - sed.wave[k]);
        flux[i] = sed.flux[k] + u * (sed.flux[k + 1] - sed.flux[k]);
    }
    for (int i = 0; i < N_ALL_LINES; i++) draw_line(flux, wavelength, n, &sed.line[i], blur);
}

/* 1e-17 erg/s/cm2/Angstrom x Angstrom^2 of one nanomaggy. */
static const double ab_unit = 3.631e-29 * 2.99792458e18 * 1e17;

/* Nanomaggies: photons through the band over those of a source of 3631e-9 Jy at all frequencies, whose flux density is
   3.631e-29 erg/s/cm2/Hz x c / wavelength^2. A line narrower than the curve's points counts with the response at it. */
static double through_band(const Sed *sed, int b, bool north)
{
    double photons = 0, reference = 0, low, high;
    mock_band_limits(&low, &high, b, north);
    for (int i = 0; i + 1 < sed->n; i++) {
        double step = sed->wave[i + 1] - sed->wave[i];
        for (int half = 0; half < 4; half++) { /* the mid-points of four parts of an interval */
            double u = (half + 0.5) / 4, w = sed->wave[i] + u * step;
            if (w < low || w > high) continue;
            double r = mock_response(b, north, w);
            photons += r * w * (sed->flux[i] + u * (sed->flux[i + 1] - sed->flux[i])) * step / 4;
            reference += r / w * step / 4;
        }
    }
    for (int i = 0; i < N_ALL_LINES; i++) {
        const Line *l = &sed->line[i];
        photons += l->area * l->at * mock_response(b, north, l->at);
    }
    return photons / (reference * ab_unit);
}

/* Stars through a band at a few of the nodes: 2 % for a fraction of the work. */
double mock_rough_flux(const MockObject *o, int b)
{
    Star star[MOST_STARS];
    double low, high, photons = 0, reference = 0, light[N_NODES / EVERY];
    const int n_stars = stars_of(star, o);
    const double stretch = 1 + o->z;
    const Nodes *n = coarse_nodes();
    int first = 0, end;
    mock_band_limits(&low, &high, b, o->north);
    while (first < N_NODES / EVERY - 1 && n->rest[first] * stretch < low) first++;
    for (end = first; end < N_NODES / EVERY && n->rest[end] * stretch < high;) end++;
    all_starlight(light, o, star, n_stars, n, first, end - first);
    for (int k = first; k < end; k++) {
        const double w = n->rest[k] * stretch, r = mock_response(b, o->north, w);
        photons += r * w * w * light[k - first];
        reference += r;
    }
    return reference > 0 ? photons * dilution_of(o) / (reference * ab_unit) : 0;
}

/* Bulges are redder than their disks by up to 0.2 in g - r, less where the disk is old too: our choice. */
void mock_photometry(MockObject *o)
{
    Sed sed;
    double low, high, unused, redder = o->quiescent ? 0.05 : 0.2;
    mock_band_limits(&low, &unused, 0, o->north);
    mock_band_limits(&unused, &high, N_BANDS - 1, o->north);
    build(&sed, o, low, high);
    const double tint[N_BANDS] = {-redder, 0, 0.6 * redder};
    for (int b = 0; b < N_BANDS; b++) {
        o->flux[b] = through_band(&sed, b, o->north);
        o->bulge_flux[b] = o->flux[b] * fmin(o->bulge_fraction * pow(10, 0.4 * tint[b] * (1 - o->bulge_fraction)), 1);
    }
}
