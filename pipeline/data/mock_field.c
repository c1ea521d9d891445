/* mock_field.c - what images show beside the sky's objects: stars, faint galaxies beyond the spectroscopic limit, the
   sources that only image catalogues list, and in most bricks one star bright enough to be masked. Everything follows
   from the seed and the brick whose box holds it, so neighbouring images show the same. Small sources are sums of
   Gaussians. */
#include <math.h>

#include "core/rng.h"
#include "data/mock_render.h"

/* In one brick, 0.0625 square degrees: about those of high Galactic latitude to r = 23.5. */
enum { N_STARS = 120, N_GALAXIES = 1400, LEAST_HALF = 6, MOST_HALF = 110 };

static double flux_of(double magnitude) { return pow(10, 0.4 * (22.5 - magnitude)); }

/* A magnitude between two limits of a population whose counts grow as 10^(slope m). */
static double draw_magnitude(double bright, double faint, double slope, Rng *r)
{
    double low = pow(10, slope * bright), high = pow(10, slope * faint);
    return log10(low + (high - low) * rng_uniform(r)) / slope;
}

static void set_fluxes(MockFaint *out, double r_mag, double g_r, double r_z)
{
    out->flux[0] = flux_of(r_mag + g_r);
    out->flux[1] = flux_of(r_mag);
    out->flux[2] = flux_of(r_mag - r_z);
}

static void place(MockFaint *out, const Brick *b, Rng *r)
{
    out->ra = b->ra1 + rng_uniform(r) * (b->ra2 - b->ra1);
    out->dec = b->dec1 + rng_uniform(r) * (b->dec2 - b->dec1);
}

/* Counts 10^(0.2 m), colours of the stellar locus. */
static void make_star(MockFaint *out, Rng *r)
{
    double magnitude = draw_magnitude(15.5, 23, 0.2, r), g_r = 0.35 + 1.1 * rng_uniform(r);
    set_fluxes(out, magnitude, g_r, g_r < 1.2 ? 0.55 * g_r - 0.1 : 0.55 + 1.5 * rng_uniform(r));
}

/* Counts 10^(0.4 m), colours of faint blue galaxies. */
static void make_galaxy(MockFaint *out, Rng *r)
{
    double magnitude = draw_magnitude(20.8, 23.8, 0.4, r);
    double g_r = 0.6 + 0.3 * rng_normal(r);
    set_fluxes(out, magnitude, g_r, 0.15 + 0.55 * g_r + 0.12 * rng_normal(r));
    out->radius = fmax(0.55 * exp(-0.12 * (magnitude - 22) + 0.35 * rng_normal(r)), 0.15);
    out->axis_ratio = 0.3 + 0.7 * rng_uniform(r);
    out->angle = M_PI * rng_uniform(r);
}

/* ---- Gaussians ---- */

/* Adds flux times the Gaussian of covariance (xx, xy, yy) in pixels. Along a row the exponent is a quadratic, so each
   value comes from the one before it by two multiplications. */
static void add_gaussian(float *image, double x, double y, double flux, const double covariance[3], int64_t half)
{
    const double xx = covariance[0], xy = covariance[1], yy = covariance[2], det = xx * yy - xy * xy;
    const double a = yy / det, b = -xy / det, c = xx / det, top = flux / (2 * M_PI * sqrt(det)), step = exp(-a);
    int64_t cx = (int64_t)floor(x + 0.5), cy = (int64_t)floor(y + 0.5);
    int64_t x0 = cx - half > 0 ? cx - half : 0, x1 = cx + half + 1 < BRICK_PIXELS ? cx + half + 1 : BRICK_PIXELS;
    int64_t y0 = cy - half > 0 ? cy - half : 0, y1 = cy + half + 1 < BRICK_PIXELS ? cy + half + 1 : BRICK_PIXELS;
    for (int64_t j = y0; j < y1 && x0 < x1; j++) {
        double dy = (double)j - y, dx = (double)x0 - x, exponent = -0.5 * (a * dx * dx + 2 * b * dx * dy + c * dy * dy);
        if (exponent < -300) continue; /* the recurrence would start from 0 */
        double value = top * exp(exponent), factor = exp(-a * (dx + 0.5) - b * dy);
        float *row = image + j * BRICK_PIXELS;
        for (int64_t i = x0; i < x1; i++, value *= factor, factor *= step) row[i] += (float)value;
    }
}

/* An exponential disk of half-light radius 1 is about two Gaussians; a star brighter than 17 has an aureole. */
static void add_faint(float *image, const MockFaint *f, double x, double y, int band, const MockSeeing *seeing)
{
    enum { N_DISK = 2, N_HALO = 2 };
    static const double disk_sigma[N_DISK] = {0.42, 1.02}, disk_share[N_DISK] = {0.38, 0.62};
    static const double halo_sigma[N_HALO] = {9, 26}, halo_share[N_HALO] = {0.02, 0.01}; /* pixels */
    const double ca = cos(f->angle), sa = sin(f->angle), flux = f->flux[band];
    const int n_disk = f->radius > 0 ? N_DISK : 1;
    const bool halo = f->radius == 0 && f->flux[1] > flux_of(17);
    for (int d = 0; d < n_disk; d++)
        for (int k = 0; k < N_PSF; k++) {
            double along = disk_sigma[d] * f->radius / PIXEL_SCALE, across = along * f->axis_ratio;
            double s2 = seeing->sigma[k] * seeing->sigma[k], u = along * along, v = across * across;
            double share = seeing->share[k] * (n_disk > 1 ? disk_share[d] : 1) * (halo ? 0.97 : 1);
            double covariance[3] = {u * ca * ca + v * sa * sa + s2, (u - v) * ca * sa, u * sa * sa + v * ca * ca + s2};
            int64_t half = (int64_t)(4.5 * sqrt(u + s2)) + 2;
            if (share * flux * 1e3 < seeing->noise) half = LEAST_HALF;
            add_gaussian(image, x, y, share * flux, covariance, half < MOST_HALF ? half : MOST_HALF);
        }
    for (int h = 0; halo && h < N_HALO; h++) {
        double s2 = halo_sigma[h] * halo_sigma[h], covariance[3] = {s2, 0, s2};
        int64_t half = (int64_t)(4.2 * halo_sigma[h]);
        add_gaussian(image, x, y, halo_share[h] * flux, covariance, half);
    }
}

/* ---- the bright star ---- */

/* Would its mask hide something? Galaxies and sources of the brick are looked at; those of neighbours lie outside. */
static bool hides(const MockSky *sky, const Brick *b, int64_t brick, double x, double y, double reach)
{
    MockSource other[N_MOCK_OTHERS];
    double ox, oy;
    const int64_t n = mock_brick_objects(sky, brick);
    for (int64_t k = 0; k < n; k++) {
        MockObject o;
        mock_place(&o, sky, brick, b, k);
        mock_project(&ox, &oy, b, o.ra, o.dec);
        if (o.defect != MOCK_SKY && hypot(ox - x, oy - y) < reach) return true;
    }
    mock_other_sources(other, sky, b, n);
    for (int i = 0; i < N_MOCK_OTHERS; i++)
        if (hypot(other[i].bx - x, other[i].by - y) < reach) return true;
    return false;
}

bool mock_bright_star(MockFaint *out, double *radius, const MockSky *sky, const Brick *b)
{
    Rng r = rng_stream(sky->seed, "mock.bright", b->id, 0);
    const double rim = 25.0 / 3600; /* deg: its mask stays in the box */
    double magnitude = draw_magnitude(11.5, 14.5, 0.2, &r), g_r = 0.3 + 0.6 * rng_uniform(&r);
    double u = rng_uniform(&r), v = rng_uniform(&r), x, y;
    const int64_t brick = mock_brick_number(sky, b);
    *out = (MockFaint){.axis_ratio = 1};
    set_fluxes(out, magnitude, g_r, 0.5 * g_r);
    out->dec = b->dec1 + rim + v * (b->dec2 - b->dec1 - 2 * rim);
    double rim_ra = rim / cos(b->dec * M_PI / 180);
    out->ra = b->ra1 + rim_ra + u * (b->ra2 - b->ra1 - 2 * rim_ra);
    *radius = 0.5 * 1630 * pow(1.396, -magnitude) / PIXEL_SCALE; /* half the radius of the surveys' masks */
    if (*radius > 80) *radius = 80;
    mock_project(&x, &y, b, out->ra, out->dec);
    return brick >= 0 && !hides(sky, b, brick, x, y, *radius + 60);
}

/* ---- the field ---- */

static bool is_seen(const MockFaint *f, const Brick *b) { return brick_shows(b, f->ra, f->dec, 0.14); }

/* Faint stars and galaxies of a brick that the image of brick b shows. */
static void add_drawn(MockField *out, const MockSky *sky, const Brick *of, const Brick *b)
{
    for (int i = 0; i < N_STARS + N_GALAXIES; i++) {
        Rng r = rng_stream(sky->seed, "mock.field", of->id, (uint32_t)i);
        MockFaint *f = &out->item[out->n];
        *f = (MockFaint){.axis_ratio = 1};
        place(f, of, &r);
        if (!is_seen(f, b)) continue;
        (i < N_STARS ? make_star : make_galaxy)(f, &r);
        out->n++;
    }
}

/* Sources of a brick of the sky that are no objects of it. */
static void add_listed(MockField *out, const MockSky *sky, const Brick *of, const Brick *b)
{
    static const int plane[N_BANDS] = {0, 1, 3}; /* of g, r, i, z */
    MockSource source[N_MOCK_OTHERS];
    MockFaint star;
    double radius;
    mock_other_sources(source, sky, of, mock_brick_objects(sky, mock_brick_number(sky, of)));
    for (int i = 0; i < N_MOCK_OTHERS; i++) {
        const MockSource *s = &source[i];
        if (s->other == MOCK_UNSEEN || s->other == MOCK_DUPLICATE) continue;
        MockFaint f = {.ra = s->ra, .dec = s->dec, .radius = s->radius, .axis_ratio = 0.7, .angle = (double)s->objid};
        for (int k = 0; k < N_BANDS; k++) f.flux[k] = s->flux[plane[k]];
        if (is_seen(&f, b)) out->item[out->n++] = f;
    }
    if (mock_bright_star(&star, &radius, sky, of) && is_seen(&star, b)) out->item[out->n++] = star;
}

Status mock_field(MockField *out, const MockSky *sky, const Brick *b, Arena *a)
{
    Brick near[BRICK_LIST];
    const int n = brick_list(near, b->ra, b->dec, 0.28); /* their boxes reach into this image */
    *out = (MockField){0};
    TRY(arena_new(&out->item, a, n * (int64_t)(N_STARS + N_GALAXIES + N_MOCK_OTHERS + 1)));
    for (int k = 0; k < n; k++) {
        add_drawn(out, sky, &near[k], b);
        if (mock_brick_number(sky, &near[k]) >= 0) add_listed(out, sky, &near[k], b);
    }
    return OK;
}

void mock_paint_field(float *image, const MockField *field, const Brick *b, int band, const MockSeeing *seeing)
{
    for (int64_t i = 0; i < field->n; i++) {
        double x, y;
        mock_project(&x, &y, b, field->item[i].ra, field->item[i].dec);
        add_faint(image, &field->item[i], x, y, band, seeing);
    }
}
