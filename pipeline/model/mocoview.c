/* mocoview.c - dust, geometry, a worse night, colours. */
#include "model/mocoview.h"

#include "model/crops.h"

enum { BANDS = CROPS_BANDS, JITTER = 7 };

/* log10 of the transmission of our Galaxy per E(B-V), in g, r, z: power laws of the released code. */
static const double extinction[BANDS] = {-1.2856, -0.866, -0.4844};
static const double ebv_shape = 0.67306, ebv_loc = 0.001146, ebv_scale = 0.03338, ebv_most = 1;

/* What a night can be like: sigma of the point spread function in pixels, of a pixel in nanomaggies. */
typedef struct {
    double least[BANDS], most[BANDS];
} Range;
static const Range seeing = {{1.3233109, 1.2667341, 1.2126263}, {5, 4.5, 4.25}};
static const Range noise = {{0.001094, 0.001094, 0.001094}, {0.013, 0.018, 0.061}};

static Status check_sizes(int64_t size, int64_t crop)
{
    if (crop >= 1 && size >= crop) return OK;
    return FAIL(E_INPUT, "an image of %lld x %lld pixels is smaller than the %lld x %lld that the network sees",
                (long long)size, (long long)size, (long long)crop, (long long)crop);
}

/* ---- colours ---- */

/* out (3, crop, crop) transposed, of bands (3, rows of `stride`) of crop x crop. Factors are rounded to float. */
static void colour(float *out, const float *const band[BANDS], int64_t stride, int64_t crop)
{
    static const double scale[BANDS] = {6.0, 3.4, 2.2}, m = 0.03, q = 20;
    for (int64_t y = 0; y < crop; y++)
        for (int64_t x = 0; x < crop; x++) {
            double mean = 0;
            for (int b = 0; b < BANDS; b++) mean += fmax(0, (double)band[b][y * stride + x] * scale[b] + m);
            mean /= BANDS;
            const double stretch = asinh(q * mean) / sqrt(q), size = mean == 0 ? 1e-6 : mean;
            for (int b = 0; b < BANDS; b++) {
                const float value = band[b][y * stride + x] * (float)(scale[b] + m * (stretch / size));
                out[((BANDS - 1 - b) * crop + x) * crop + y] = value < 0 ? 0 : value > 1 ? 1 : value;
            }
        }
}

Status mocoview_centre(float *out, const float *pixels, int64_t size, int64_t crop)
{
    const int64_t first = size / 2 - crop / 2;
    const float *band[BANDS];
    TRY(check_sizes(size, crop));
    for (int b = 0; b < BANDS; b++) band[b] = pixels + (b * size + first) * size + first;
    colour(out, band, size, crop);
    return OK;
}

/* ---- geometry ---- */

/* Pixel (y, x) of a view is looked up at row y0 + yy y + yx x, column x0 + xy y + xx x. */
typedef struct {
    double y0, yy, yx, x0, xy, xx;
} Place;

static Place draw_place(int64_t size, int64_t crop, Rng *rng)
{
    const bool columns = rng_uniform(rng) < 0.5, rows = rng_uniform(rng) < 0.5;
    const double angle = 2 * M_PI * rng_uniform(rng), zoom = 0.9 + 0.2 * rng_uniform(rng);
    const double down = (double)(rng_below(rng, 2 * JITTER + 1) - JITTER);
    const double right = (double)(rng_below(rng, 2 * JITTER + 1) - JITTER);
    const double c = cos(angle) / zoom, s = sin(angle) / zoom, up = rows ? -1 : 1, along = columns ? -1 : 1;
    const double middle = 0.5 * (double)(size - 1), own = 0.5 * (double)(crop - 1);
    Place p = {.yy = up * c, .yx = up * s, .xy = -along * s, .xx = along * c};
    p.y0 = middle + p.yy * (down - own) + p.yx * (right - own);
    p.x0 = middle + p.xy * (down - own) + p.xx * (right - own);
    return p;
}

static double pixel_at(const float *plane, int64_t size, int64_t y, int64_t x)
{
    return y >= 0 && y < size && x >= 0 && x < size ? (double)plane[y * size + x] : 0;
}

static void look_up(real *out, const float *plane, const Place *p, double factor, int64_t size, int64_t crop)
{
    for (int64_t i = 0; i < crop; i++)
        for (int64_t j = 0; j < crop; j++) {
            const double y = p->y0 + p->yy * (double)i + p->yx * (double)j;
            const double x = p->x0 + p->xy * (double)i + p->xx * (double)j;
            const double floor_y = floor(y), floor_x = floor(x), v = y - floor_y, u = x - floor_x;
            const int64_t row = (int64_t)floor_y, column = (int64_t)floor_x;
            const double above =
                (1 - u) * pixel_at(plane, size, row, column) + u * pixel_at(plane, size, row, column + 1);
            const double below =
                (1 - u) * pixel_at(plane, size, row + 1, column) + u * pixel_at(plane, size, row + 1, column + 1);
            out[i * crop + j] = (real)(factor * ((1 - v) * above + v * below));
        }
}

/* ---- the view ---- */

static void draw_dust(double factor[BANDS], Rng *rng)
{
    const double have = ebv_loc + ebv_scale * exp(ebv_shape * rng_normal(rng)), want = ebv_most * rng_uniform(rng);
    for (int b = 0; b < BANDS; b++) factor[b] = pow(10, extinction[b] * (want - have));
}

/* The sigma that takes the night that it is assumed to have been to one within the range. */
static void draw_added(double add[BANDS], const NightLaw *law, const Range *range, Rng *rng)
{
    double have[BANDS];
    for (int b = 0; b < BANDS; b++) have[b] = crops_draw_night(law, b, rng);
    for (int b = 0; b < BANDS; b++) {
        const double want = range->least[b] + (range->most[b] - range->least[b]) * rng_uniform(rng);
        add[b] = sqrt(fmax(0, want * want - have[b] * have[b]));
    }
}

Status mocoview_draw(float *out, const float *pixels, int64_t size, int64_t crop, Rng *rng, Arena *scratch)
{
    const int64_t n = crop * crop;
    const Mark mark = arena_mark(scratch);
    double dust[BANDS], add[BANDS];
    const float *band[BANDS];
    real *view;
    float *seen, *grain;
    TRY(check_sizes(size, crop));
    TRY(arena_new(&view, scratch, BANDS * n));
    TRY(arena_new(&seen, scratch, BANDS * n));
    TRY(arena_new(&grain, scratch, n));
    draw_dust(dust, rng);
    const Place place = draw_place(size, crop, rng);
    for (int b = 0; b < BANDS; b++) look_up(view + b * n, pixels + b * size * size, &place, dust[b], size, crop);
    draw_added(add, &crops_seeing, &seeing, rng);
    for (int b = 0; b < BANDS; b++)
        if (add[b] > 0) TRY(crops_blur(view + b * n, add[b], crop, scratch));
    draw_added(add, &crops_noise, &noise, rng);
    for (int b = 0; b < BANDS; b++) {
        rng_normals(grain, n, rng);
        for (int64_t i = 0; i < n; i++) seen[b * n + i] = (float)((double)view[b * n + i] + add[b] * (double)grain[i]);
        band[b] = seen + b * n;
    }
    colour(out, band, crop, crop);
    arena_reset(scratch, mark);
    return OK;
}
