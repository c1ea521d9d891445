/* mock_render.c - draws a galaxy: maps of its parts (bulge, disk, bar, arms with their knots, companion), each of
   total 1; in a band their sum with the fluxes that the parts have there; the seeing of that.

   Parts that have a colour of their own are maps of their own, so that the band's flux is exact and the colours of the
   parts differ as they do: bars are as old as bulges, arms young. Light ends smoothly at a few half-light radii. */
#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "data/mock_render.h"

enum { MIN_HALF = 14, MAX_HALF = 170, MARGIN = 10, N_KNOTS = 60 };

typedef enum { PART_BULGE, PART_DISK, PART_BAR, PART_ARMS, PART_COMPANION, N_PARTS } Part;

/* A galaxy in pixels. */
typedef struct {
    const MockObject *object;
    double x, y;            /* of the centre in the stamp                        */
    double cos_a, sin_a;    /* of the major axis                                 */
    double disk_q, bulge_q; /* axis ratios as seen                               */
    double bulge_re, bulge_n;
    double scale;                     /* of the disk's exponential                         */
    double edge;                      /* where light ends                                  */
    double height;                    /* of a disk seen from the side, 0 = not             */
    double bar, bar_angle;            /* half length in the disk's plane; from its major axis */
    double phase, wobble[2], lean[2]; /* of the arms: where they start, how they depart from a spiral */
    double share[N_BANDS][N_PARTS];   /* of the band's flux */
} Plan;

/* ---- parts and their light ---- */

/* x of 1 - (1 + x) exp(-x) = f: where an exponential disk of scale 1 holds the share f of its light. */
static double disk_radius(double f)
{
    double x = 1.678;
    for (int step = 0; step < 20; step++) {
        double off = 1 - (1 + x) * exp(-x) - f, slope = x * exp(-x);
        x = fmin(fmax(x - off / slope, 0.2 * x), 3 * x);
    }
    return x;
}

/* The disk's scale, such that half of the whole light lies within the object's radius; about, near its bulge. */
static double disk_scale(const MockObject *o, double radius)
{
    double t = pow(o->radius / fmax(o->bulge_radius, 0.05), 0.9), inside = o->bulge_fraction * t / (1 + t);
    double f = (0.5 - inside) / fmax(1 - o->bulge_fraction, 0.05);
    return radius / disk_radius(fmin(fmax(f, 0.15), 0.6));
}

/* Shares of a band's flux. Parts of the disk are brighter where their stars' light is: arms in g, bars in z. */
static void share_light(double share[N_PARTS], const MockObject *o, int band)
{
    static const double arm_colour[N_BANDS] = {1.25, 1.0, 0.7}, bar_colour[N_BANDS] = {0.8, 1.0, 1.15};
    double bulge = o->flux[band] > 0 ? fmin(fmax(o->bulge_flux[band] / o->flux[band], 0), 1) : 0;
    double arms = 0.45 * o->arm_strength * arm_colour[band], bar = 0.30 * o->bar_strength * bar_colour[band];
    double companion = o->merger ? fmax(o->companion_flux, 0) : 0;
    if (!o->quiescent) arms = fmax(arms, 0.10 * arm_colour[band]); /* knots without arms */
    if (bar + arms > 0.9) arms = 0.9 - bar;
    share[PART_BULGE] = bulge;
    share[PART_BAR] = (1 - bulge) * bar;
    share[PART_ARMS] = (1 - bulge) * arms;
    share[PART_DISK] = (1 - bulge) * (1 - bar - arms);
    for (int p = 0; p < PART_COMPANION; p++) share[p] /= 1 + companion;
    share[PART_COMPANION] = companion / (1 + companion);
}

static void plan_galaxy(Plan *p, const MockObject *o, uint64_t seed)
{
    const double radius = fmax(o->radius, 0.05) / PIXEL_SCALE;
    Rng r = rng_stream(seed, "mock.shape", o->targetid, 0);
    *p = (Plan){.object = o, .cos_a = cos(o->angle), .sin_a = sin(o->angle)};
    for (int b = 0; b < N_BANDS; b++) share_light(p->share[b], o, b);
    double sin_i = sin(o->inclination), cos_i = cos(o->inclination);
    bool elliptical = o->bulge_fraction >= 1;
    p->disk_q = fmin(fmax(o->axis_ratio, 0.1), 1);
    p->bulge_q = elliptical ? p->disk_q : sqrt(cos_i * cos_i + 0.5 * sin_i * sin_i);
    p->bulge_re = elliptical ? radius : fmax(o->bulge_radius / PIXEL_SCALE, 0.2);
    p->bulge_n = elliptical ? o->sersic : fmin(fmax(1 + 4 * o->bulge_fraction, 1.2), 4);
    p->scale = disk_scale(o, radius);
    p->height = o->edge_on ? 0.12 * p->scale : 0;
    p->bar = (0.9 + 0.6 * o->bar_strength) * p->scale;
    p->bar_angle = M_PI * rng_uniform(&r);
    p->phase = 2 * M_PI * rng_uniform(&r);
    for (int k = 0; k < 2; k++) p->wobble[k] = 2 * M_PI * rng_uniform(&r), p->lean[k] = 0.5 * rng_normal(&r);
    p->edge = elliptical ? 5.5 * radius : fmax(5 * p->scale, 5 * p->bulge_re * sqrt(p->share[1][PART_BULGE]));
    p->edge = fmax(p->edge, 4);
}

/* ---- maps ---- */

static double sersic(double r, double re, double n) { return exp(-(2 * n - 1.0 / 3) * (pow(r / re, 1 / n) - 1)); }

/* From 1 at 0.4 of the edge to 0 at the edge. */
static double fade(double r, double edge)
{
    double t = fmin(fmax((r / edge - 0.4) / 0.6, 0), 1);
    return (1 - t * t) * (1 - t * t);
}

static double bulge_light(const Plan *p, double u, double v)
{
    double r = sqrt(u * u + v * v / (p->bulge_q * p->bulge_q));
    return sersic(r, p->bulge_re, p->bulge_n) * fade(r, p->edge);
}

/* Seen from the side a disk is a wedge with a lane of dust along it; else an ellipse. */
static double disk_light(const Plan *p, double u, double v)
{
    if (p->height > 0) {
        double up = 1 / cosh(v / p->height), lane = 1 / cosh(v / (0.35 * p->height));
        double dust = p->object->quiescent ? 0 : 0.65;
        double r = sqrt(u * u + v * v);
        return exp(-fabs(u) / p->scale) * up * up * (1 - dust * lane * lane * fade(r, 3 * p->scale)) * fade(r, p->edge);
    }
    double r = sqrt(u * u + v * v / (p->disk_q * p->disk_q));
    return exp(-r / p->scale) * fade(r, p->edge);
}

static double bar_light(const Plan *p, double u, double v)
{
    double c = cos(p->bar_angle), s = sin(p->bar_angle), w = v / p->disk_q;
    double along = (u * c + w * s) / p->bar, across = (-u * s + w * c) / (0.25 * p->bar);
    return exp(-2 * along * along * along * along - 1.5 * across * across);
}

/* Where an arm runs at radius r in the disk's plane, radians. */
static double arm_angle(const Plan *p, double r)
{
    double pitch = fmax(p->object->arm_winding, 0.08), turn = log(fmax(r, 0.2 * p->scale) / p->scale);
    return p->phase + turn / tan(pitch) + 0.25 * sin(3 * turn + p->wobble[0]);
}

/* Logarithmic spirals in the disk's plane, from the bar's end outwards, brighter on some arms and at some radii. */
static double arms_light(const Plan *p, double u, double v)
{
    double w = v / p->disk_q, r = sqrt(u * u + w * w), start = p->object->bar_strength > 0 ? p->bar : 0.6 * p->scale;
    double theta = atan2(w, u), crest = 0.5 + 0.5 * cos(p->object->arm_count * (theta - arm_angle(p, r)));
    double inner = 1 / (1 + exp(-6 * (r / start - 1)));
    double patchy =
        1 + 0.35 * sin(4 * log(1 + r / p->scale) + p->wobble[1] + 2 * theta) + p->lean[0] * 0.3 * cos(theta);
    return exp(-0.75 * r / p->scale) * crest * crest * inner * fmax(patchy, 0.1) * fade(r, p->edge);
}

/* A satellite, rounder and smaller, with its own centre. */
static double companion_light(const Plan *p, double u, double v)
{
    const MockObject *o = p->object;
    double east = -o->companion_east / PIXEL_SCALE, north = o->companion_north / PIXEL_SCALE; /* east is to the left */
    double du = u - (east * p->cos_a + north * p->sin_a), dv = v - (-east * p->sin_a + north * p->cos_a);
    double re = fmax(o->companion_radius * o->radius / PIXEL_SCALE, 0.5), r = sqrt(du * du + dv * dv / 0.5);
    return sersic(r, re, 1.5) * fade(r, 5 * re);
}

static double (*const light_of[N_PARTS])(const Plan *, double, double) = {
    [PART_BULGE] = bulge_light, [PART_DISK] = disk_light,           [PART_BAR] = bar_light,
    [PART_ARMS] = arms_light,   [PART_COMPANION] = companion_light,
};

/* Points across a pixel at distance r from a centre: profiles are steep there. */
static int points_at(Part part, double r2, const Plan *p)
{
    if (part == PART_ARMS) return 1;
    if (part == PART_DISK && p->height > 0 && p->height < 2) return 3;
    return r2 < 6 ? (part == PART_BULGE ? 9 : 5) : r2 < 40 ? 3 : 1;
}

static double pixel_light(Part part, const Plan *p, double x, double y)
{
    double sum = 0;
    int n = points_at(part, x * x + y * y, p);
    for (int j = 0; j < n; j++)
        for (int i = 0; i < n; i++) {
            double dx = x + (i + 0.5) / n - 0.5, dy = y + (j + 0.5) / n - 0.5;
            sum += light_of[part](p, dx * p->cos_a + dy * p->sin_a, -dx * p->sin_a + dy * p->cos_a);
        }
    return sum / (n * n);
}

/* Adds a part to all bands, with its flux there. */
static void add_map(float *out[N_BANDS], float *map, Part part, const Plan *p, int64_t half, const double flux[N_BANDS])
{
    int64_t side = 2 * half + 1, n = side * side;
    double sum = 0, reach = p->edge + 1;
    for (int64_t j = 0; j < side; j++)
        for (int64_t i = 0; i < side; i++) {
            double x = (double)(i - half) - p->x, y = (double)(j - half) - p->y;
            bool dark = part != PART_COMPANION && x * x + y * y > reach * reach;
            map[j * side + i] = dark ? 0 : (float)pixel_light(part, p, x, y);
            sum += map[j * side + i];
        }
    for (int b = 0; b < N_BANDS && sum > 0; b++) {
        const float unit = (float)(flux[b] / sum);
        for (int64_t i = 0; i < n; i++) out[b][i] += unit * map[i];
    }
}

/* Clusters of young stars, along the arms where there are any. */
static void add_knots(float *out[N_BANDS], const Plan *p, uint64_t seed, int64_t half, const double flux[N_BANDS])
{
    int64_t side = 2 * half + 1;
    double weight[N_KNOTS], sum = 0;
    int64_t place[N_KNOTS];
    const int arms = p->object->arm_count;
    Rng r = rng_stream(seed, "mock.knots", p->object->targetid, 0);
    for (int k = 0; k < N_KNOTS; k++) {
        double radius = p->scale * (0.5 + 3.2 * rng_uniform(&r)), theta = 2 * M_PI * rng_uniform(&r);
        double spread = 0.18 * rng_normal(&r), u;
        int64_t arm = rng_below(&r, arms > 0 ? arms : 1);
        if (arms > 0) theta = arm_angle(p, radius) + 2 * M_PI * (double)arm / arms + spread;
        weight[k] = exp(-0.6 * radius / p->scale + 0.9 * rng_normal(&r));
        u = radius * cos(theta);
        double v = radius * sin(theta) * (p->height > 0 ? 0.05 : p->disk_q);
        int64_t i = half + (int64_t)floor(p->x + u * p->cos_a - v * p->sin_a + 0.5);
        int64_t j = half + (int64_t)floor(p->y + u * p->sin_a + v * p->cos_a + 0.5);
        place[k] =
            i >= MARGIN && i < side - MARGIN && j >= MARGIN && j < side - MARGIN ? j * side + i : half * side + half;
        sum += weight[k];
    }
    for (int b = 0; b < N_BANDS; b++)
        for (int k = 0; k < N_KNOTS; k++) out[b][place[k]] += (float)(flux[b] * weight[k] / sum);
}

/* ---- seeing ---- */

/* A Gaussian's kernel of 2 reach + 1 numbers, total 1; returns reach. */
static int make_kernel(float *kernel, double sigma)
{
    int reach = (int)ceil(3.3 * sigma);
    double sum = 0, value[2 * 64 + 1];
    if (reach > 64) reach = 64;
    for (int t = -reach; t <= reach; t++) sum += value[t + reach] = exp(-0.5 * t * t / (sigma * sigma));
    for (int t = 0; t <= 2 * reach; t++) kernel[t] = (float)(value[t] / sum);
    return reach;
}

static void blur_rows(float *restrict out, const float *restrict in, int64_t side, const float *kernel, int reach)
{
    for (int64_t j = 0; j < side; j++)
        for (int t = -reach; t <= reach; t++) {
            int64_t first = t > 0 ? t : 0, last = t > 0 ? side : side + t;
            for (int64_t i = first; i < last; i++) out[j * side + i] += kernel[t + reach] * in[j * side + i - t];
        }
}

static void blur_columns(float *restrict out, const float *restrict in, int64_t side, const float *kernel, int reach)
{
    for (int64_t j = 0; j < side; j++)
        for (int t = -reach; t <= reach; t++) {
            if (j - t < 0 || j - t >= side) continue;
            for (int64_t i = 0; i < side; i++) out[j * side + i] += kernel[t + reach] * in[(j - t) * side + i];
        }
}

/* Light that the kernels carry over the rim would be lost: the caller leaves a margin. */
static Status blur(float *out, const float *in, int64_t side, const MockSeeing *seeing, Arena *scratch)
{
    float kernel[2 * 64 + 1], *across;
    size_t bytes = (size_t)(side * side) * sizeof *across;
    Mark mark = arena_mark(scratch);
    TRY(arena_new(&across, scratch, side * side));
    for (int k = 0; k < N_PSF; k++) {
        int reach = make_kernel(kernel, seeing->sigma[k]);
        memset(across, 0, bytes);
        blur_rows(across, in, side, kernel, reach);
        for (int t = 0; t <= 2 * reach; t++) kernel[t] *= (float)seeing->share[k];
        blur_columns(out, across, side, kernel, reach);
    }
    arena_reset(scratch, mark);
    return OK;
}

/* ---- the whole ---- */

static int64_t half_of(const Plan *p)
{
    const MockObject *o = p->object;
    double reach = p->edge;
    if (p->share[1][PART_COMPANION] > 0) {
        double away = hypot(o->companion_east, o->companion_north) + 5 * o->companion_radius * o->radius;
        reach = fmax(reach, away / PIXEL_SCALE);
    }
    int64_t half = (int64_t)ceil(reach) + MARGIN + 2;
    return half < MIN_HALF ? MIN_HALF : half > MAX_HALF ? MAX_HALF : half;
}

/* The parts before the seeing. */
static Status draw_parts(float *sharp[N_BANDS], const Plan *p, const MockObject *o, uint64_t seed, int64_t half,
                         Arena *a)
{
    float *map;
    const int64_t side = 2 * half + 1;
    const double knots = o->quiescent ? 0 : o->arm_count > 0 ? 0.25 : 1;
    TRY(arena_new(&map, a, side * side));
    for (int part = 0; part < N_PARTS; part++) {
        double light[N_BANDS], in_knots[N_BANDS], any = 0;
        for (int b = 0; b < N_BANDS; b++) {
            light[b] = o->flux[b] * p->share[b][part];
            in_knots[b] = part == PART_ARMS ? knots * light[b] : 0;
            light[b] -= in_knots[b];
            any += light[b];
        }
        if (part == PART_ARMS && knots > 0) add_knots(sharp, p, seed, half, in_knots);
        if (any > 0) add_map(sharp, map, (Part)part, p, half, light);
    }
    return OK;
}

Status mock_render(MockStamp out[N_BANDS], const MockObject *o, uint64_t seed, double dx, double dy,
                   const MockSeeing seeing[N_BANDS], Arena *a)
{
    Plan p;
    float *sharp[N_BANDS];
    plan_galaxy(&p, o, seed);
    p.x = dx;
    p.y = dy;
    const int64_t half = half_of(&p), side = 2 * half + 1;
    if (p.edge > (double)(half - MARGIN - 2)) p.edge = (double)(half - MARGIN - 2);
    for (int b = 0; b < N_BANDS; b++) {
        out[b].half = half;
        TRY(arena_new(&out[b].pixel, a, side * side));
    }
    Mark mark = arena_mark(a);
    for (int b = 0; b < N_BANDS; b++) TRY(arena_new(&sharp[b], a, side * side));
    TRY(draw_parts(sharp, &p, o, seed, half, a));
    for (int b = 0; b < N_BANDS; b++) TRY(blur(out[b].pixel, sharp[b], side, &seeing[b], a));
    arena_reset(a, mark);
    return OK;
}

void mock_add_stamp(float *image, const MockStamp *s, int64_t x, int64_t y)
{
    int64_t side = 2 * s->half + 1, left = x - s->half, low = y - s->half;
    int64_t i0 = left < 0 ? -left : 0, i1 = left + side > BRICK_PIXELS ? BRICK_PIXELS - left : side;
    for (int64_t j = 0; j < side; j++) {
        if (low + j < 0 || low + j >= BRICK_PIXELS) continue;
        float *row = image + (low + j) * BRICK_PIXELS + left;
        for (int64_t i = i0; i < i1; i++) row[i] += s->pixel[j * side + i];
    }
}
