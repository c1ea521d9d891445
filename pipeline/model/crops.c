/* crops.c - cut, mirror, blur, add noise, make colours. An image is degraded from what its own night is assumed to have
   been, so two crops of one image can look like two nights.

   The probabilities are those that the released code has in effect: its blur and noise happen with one minus the
   configured probability. */
#include "model/crops.h"

#include <string.h>

#include "model/prepare_image.h"

enum { REACH = 4 }; /* sigmas */

const NightLaw crops_seeing = {{0.2109966, 0.3008485, 0.3471172},
                               {1.0807153, 1.2394326, 1.1928363},
                               {1.3153171, 0.9164757, 0.8233702}};
const NightLaw crops_noise = {{0.2264926, 0.2431146, 0.1334844},
                              {-0.0006735, -0.0023663, -0.0143416},
                              {0.0037602, 0.0067417, 0.0260779}};

double crops_draw_night(const NightLaw *law, int band, Rng *rng)
{
    return law->loc[band] + law->scale[band] * exp(law->shape[band] * rng_normal(rng));
}

void crops_draw_sigma(double have[CROPS_BANDS], double add[CROPS_BANDS], const NightLaw *law, Rng *rng)
{
    for (int b = 0; b < CROPS_BANDS; b++) have[b] = crops_draw_night(law, b, rng);
    for (int b = 0; b < CROPS_BANDS; b++) {
        const double want = crops_draw_night(law, b, rng), square = want * want - have[b] * have[b];
        add[b] = square > 0 ? sqrt(square) : 0;
    }
}

/* ---- blur ---- */

/* Index i of a line that goes on mirrored, c b a | a b c | c b a, as far as one likes. */
static int64_t mirrored(int64_t i, int64_t n)
{
    const int64_t period = 2 * n, k = (i % period + period) % period;
    return k < n ? k : period - 1 - k;
}

/* n numbers `stride` apart, in place; line (n + 2 radius) is scratch. */
static void blur_line(real *x, double *line, const double *weight, int64_t radius, int64_t n, int64_t stride)
{
    for (int64_t i = -radius; i < n + radius; i++) line[i + radius] = (double)x[mirrored(i, n) * stride];
    for (int64_t i = 0; i < n; i++) {
        double sum = 0;
        for (int64_t k = 0; k <= 2 * radius; k++) sum += weight[k] * line[i + k];
        x[i * stride] = (real)sum;
    }
}

Status crops_blur(real *plane, double sigma, int64_t size, Arena *scratch)
{
    const int64_t radius = (int64_t)(REACH * sigma + 0.5), n = 2 * radius + 1;
    const Mark mark = arena_mark(scratch);
    double *weight, *line, sum = 0;
    TRY(arena_new(&weight, scratch, n));
    TRY(arena_new(&line, scratch, size + 2 * radius));
    for (int64_t k = 0; k < n; k++) {
        const double d = (double)(k - radius) / sigma;
        sum += weight[k] = exp(-0.5 * d * d);
    }
    for (int64_t k = 0; k < n; k++) weight[k] /= sum;
    for (int64_t j = 0; j < size; j++) blur_line(plane + j, line, weight, radius, size, size);
    for (int64_t i = 0; i < size; i++) blur_line(plane + i * size, line, weight, radius, size, 1);
    arena_reset(scratch, mark);
    return OK;
}

/* ---- crops ---- */

/* Where a crop is taken from, and whether it is turned round. */
typedef struct {
    int64_t top, left;
    bool columns, rows;
} Place;

static Place draw_place(int64_t size, int64_t field, int64_t crop, Rng *rng)
{
    const int64_t edge = (size - field) / 2;
    const int64_t top = edge + rng_below(rng, field - crop + 1), left = edge + rng_below(rng, field - crop + 1);
    const bool columns = rng_uniform(rng) < 0.5, rows = rng_uniform(rng) < 0.5;
    return (Place){top, left, columns, rows};
}

static void cut(real *out, const float *plane, const Place *p, int64_t size, int64_t crop)
{
    for (int64_t i = 0; i < crop; i++)
        for (int64_t j = 0; j < crop; j++) {
            const int64_t y = p->top + (p->rows ? crop - 1 - i : i), x = p->left + (p->columns ? crop - 1 - j : j);
            out[i * crop + j] = (real)plane[y * size + x];
        }
}

static Status degrade(real *bands, int64_t crop, double probability, Rng *rng, Arena *scratch)
{
    const int64_t n = crop * crop;
    double have[CROPS_BANDS], add[CROPS_BANDS];
    float *noise;
    if (rng_uniform(rng) < probability) {
        crops_draw_sigma(have, add, &crops_seeing, rng);
        for (int b = 0; b < CROPS_BANDS; b++)
            if (add[b] > 0) TRY(crops_blur(bands + b * n, add[b], crop, scratch));
    }
    if (rng_uniform(rng) >= probability) return OK;
    crops_draw_sigma(have, add, &crops_noise, rng);
    TRY(arena_new(&noise, scratch, n));
    for (int b = 0; b < CROPS_BANDS; b++) {
        rng_normals(noise, n, rng);
        for (int64_t i = 0; i < n; i++) bands[b * n + i] += (real)(add[b] * (double)noise[i]);
    }
    return OK;
}

static Status draw_crop(float *out, const float *pixels, int64_t size, int64_t field, int64_t crop, double probability,
                        Rng *rng, Arena *scratch)
{
    const int64_t n = crop * crop;
    const Mark mark = arena_mark(scratch);
    real *bands;
    float *seen;
    const Place place = draw_place(size, field, crop, rng);
    TRY(arena_new(&bands, scratch, CROPS_BANDS * n));
    TRY(arena_new(&seen, scratch, CROPS_BANDS * n));
    for (int b = 0; b < CROPS_BANDS; b++) cut(bands + b * n, pixels + b * size * size, &place, size, crop);
    if (probability > 0) TRY(degrade(bands, crop, probability, rng, scratch));
    for (int64_t i = 0; i < CROPS_BANDS * n; i++) seen[i] = (float)bands[i];
    TRY(prepare_image(out, seen, crop, crop));
    arena_reset(scratch, mark);
    return OK;
}

Status crops_draw(float *global, float *local, const CropsConfig *c, const float *pixels, int64_t size, int64_t i,
                  int64_t batch, Rng *rng, Arena *scratch)
{
    const int64_t n_global = CROPS_BANDS * c->global_size * c->global_size;
    const int64_t n_own = CROPS_BANDS * c->local_size * c->local_size;
    if (size < c->field || c->field < c->global_size || c->field < c->local_size)
        return FAIL(E_INPUT, "crops of %lld and %lld pixels do not fit into the middle %lld of an image of %lld",
                    (long long)c->global_size, (long long)c->local_size, (long long)c->field, (long long)size);
    for (int k = 0; k < CROPS_GLOBAL; k++)
        TRY(draw_crop(global + (k * batch + i) * n_global, pixels, size, c->field, c->global_size, c->degrade[k], rng,
                      scratch));
    for (int64_t k = 0; k < c->n_local; k++)
        TRY(draw_crop(local + (k * batch + i) * n_own, pixels, size, c->field, c->local_size, c->degrade_local, rng,
                      scratch));
    return OK;
}
