/* mock_seeing.c - seeing, depth and noise of the mock images: what differs from brick to brick and from band to band. */
#include <math.h>

#include "core/rng.h"
#include "data/mock_render.h"

/* Medians of the Legacy Surveys' DR9, about: FWHM in arcsec, noise of a pixel in nanomaggies. */
static const struct {
    double fwhm, noise;
} median_of[2][N_BANDS] = {
    {{1.29, 0.0030}, {1.18, 0.0045}, {1.11, 0.0100}}, /* DECam        */
    {{1.61, 0.0042}, {1.47, 0.0063}, {1.01, 0.0110}}, /* BASS, MzLS   */
};

/* (1 + r^2 / alpha^2)^-3 is the integral of exp(-s r^2 / alpha^2) over s with weight s^2 exp(-s) / 2, here by the three
   nodes of Gauss and Laguerre: the zeros of x^3 - 15 x^2 + 60 x - 60 and their weights. */
void mock_psf(MockSeeing *out, double fwhm)
{
    static const double node[N_PSF] = {1.517387, 4.311583, 9.171030}, weight[N_PSF] = {0.518747, 0.452875, 0.028378};
    double alpha = fwhm / PIXEL_SCALE / (2 * sqrt(pow(2, 1.0 / 3) - 1)), sum = 0; /* pixels */
    out->fwhm = fwhm;
    for (int k = 0; k < N_PSF; k++) {
        out->sigma[k] = alpha / sqrt(2 * node[k]);
        sum += out->share[k] = weight[k] / node[k]; /* the flux of a Gaussian of that height */
    }
    for (int k = 0; k < N_PSF; k++) out->share[k] /= sum;
}

void mock_seeing(MockSeeing *out, const MockSky *sky, const Brick *b, int band)
{
    Rng r = rng_stream(sky->seed, "mock.seeing", b->id, (uint32_t)band);
    double fwhm = median_of[sky->north][band].fwhm * exp(0.08 * rng_normal(&r));
    mock_psf(out, fwhm);
    out->noise = median_of[sky->north][band].noise * exp(0.10 * rng_normal(&r));
}

/* The sum of the squares of a profile made of n round Gaussians; fitted with it, a flux has the inverse variance of a
   pixel times that. */
static double squares_of(const double *sigma, const double *share, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < n; k++)
            sum += share[i] * share[k] / (2 * M_PI * (sigma[i] * sigma[i] + sigma[k] * sigma[k]));
    return sum;
}

void mock_depth(double *star, double *disk, const MockSeeing *s)
{
    enum { N_DISK = 2, N = N_DISK * N_PSF };
    static const double disk_sigma[N_DISK] = {0.42, 1.02}, disk_share[N_DISK] = {0.38, 0.62}; /* as in mock_field.c */
    double sigma[N], share[N];
    for (int i = 0; i < N; i++) {
        sigma[i] = hypot(s->sigma[i / N_DISK], disk_sigma[i % N_DISK] * 0.45 / PIXEL_SCALE);
        share[i] = s->share[i / N_DISK] * disk_share[i % N_DISK];
    }
    *star = squares_of(s->sigma, s->share, N_PSF) / (s->noise * s->noise);
    *disk = squares_of(sigma, share, N) / (s->noise * s->noise);
}

/* ---- coverage ---- */

enum { PASSES = 3, GAP = 60, STRIP = 1700, STRIP_ROWS = 6 };

void mock_invvar_row(float *out, const MockSky *sky, const Brick *b, int band, const MockSeeing *seeing, int64_t y)
{
    int64_t gap_x[PASSES], gap_y;
    int passes = 0;
    bool open[PASSES];
    Rng r = rng_stream(sky->seed, "mock.coverage", b->id, (uint32_t)band);
    for (int p = 0; p < PASSES; p++) { /* each in a third of its own: gaps of two passes never lie side by side */
        const int64_t third = BRICK_PIXELS / PASSES;
        gap_x[p] = p * third + rng_below(&r, third - GAP);
        gap_y = p * third + rng_below(&r, third - GAP);
        open[p] = (y < gap_y || y >= gap_y + GAP) && (y < STRIP || y >= STRIP + STRIP_ROWS);
        passes += open[p];
    }
    const double each = 1 / (PASSES * seeing->noise * seeing->noise);
    for (int64_t x = 0; x < BRICK_PIXELS; x++) out[x] = (float)(passes * each);
    for (int p = 0; p < PASSES; p++)
        for (int64_t x = gap_x[p]; open[p] && x < gap_x[p] + GAP; x++) out[x] = (float)((passes - 1) * each);
}

/* ---- noise ---- */

/* Middles of MOCK_LEVELS equally probable parts of a normal distribution, their variance made 1/2: two of them add up to a
   normal deviate. Newton's steps up from the middle; the density falls, so each start lies on the safe side. */
void mock_levels(float level[MOCK_LEVELS])
{
    double x = 0, squares = 0, value[MOCK_LEVELS / 2];
    for (int i = 0; i < MOCK_LEVELS / 2; i++) {
        double p = 0.5 - (i + 0.5) / MOCK_LEVELS; /* the share above */
        for (int step = 0; step < 40; step++) {
            double off = 0.5 * erfc(x / sqrt(2)) - p;
            x += off / (exp(-0.5 * x * x) / sqrt(2 * M_PI));
            if (fabs(off) < 1e-13) break;
        }
        value[i] = x;
        squares += 2 * x * x;
    }
    double unit = sqrt(0.5 * MOCK_LEVELS / squares);
    for (int i = 0; i < MOCK_LEVELS / 2; i++) {
        level[MOCK_LEVELS / 2 + i] = (float)(unit * value[i]);
        level[MOCK_LEVELS / 2 - 1 - i] = (float)(-unit * value[i]);
    }
}

/* Philox of core/rng.h, MOCK_LANES counters side by side, which compilers turn into vector instructions:
   out[4][MOCK_LANES]. */
static void philox_lanes(uint32_t out[4][MOCK_LANES], const Rng *r, uint32_t first)
{
    uint32_t c0[MOCK_LANES], c1[MOCK_LANES], c2[MOCK_LANES], c3[MOCK_LANES], k0 = r->key[0], k1 = r->key[1];
    for (uint32_t l = 0; l < MOCK_LANES; l++) {
        c0[l] = first + l;
        c1[l] = r->counter[1], c2[l] = r->counter[2], c3[l] = r->counter[3];
    }
    for (int round = 0; round < 10; round++, k0 += 0x9E3779B9, k1 += 0xBB67AE85)
        for (int l = 0; l < MOCK_LANES; l++) {
            uint64_t p0 = (uint64_t)0xD2511F53 * c0[l], p1 = (uint64_t)0xCD9E8D57 * c2[l];
            c0[l] = (uint32_t)(p1 >> 32) ^ c1[l] ^ k0;
            c1[l] = (uint32_t)p1;
            c2[l] = (uint32_t)(p0 >> 32) ^ c3[l] ^ k1;
            c3[l] = (uint32_t)p0;
        }
    for (int l = 0; l < MOCK_LANES; l++) out[0][l] = c0[l], out[1][l] = c1[l], out[2][l] = c2[l], out[3][l] = c3[l];
}

/* Numbers first, first + 1, ... of the stream: 12 bits from each half of a word. */
void mock_noise(float *out, int64_t n, int64_t first, const Rng *r, const float level[MOCK_LEVELS])
{
    enum { EACH = 4 * MOCK_LANES };
    uint32_t word[4][MOCK_LANES];
    MUST(first % EACH == 0);
    for (int64_t at = 0; at < n; at += EACH) {
        philox_lanes(word, r, (uint32_t)((first + at) / 4));
        const uint32_t *w = word[0];
        for (int64_t i = 0; i < EACH && at + i < n; i++)
            out[at + i] = level[w[i] & (MOCK_LEVELS - 1)] + level[w[i] >> 20];
    }
}

Status mock_add_noise(float *image, const float *invvar, int64_t n, uint64_t seed, int64_t object, uint32_t step,
                      Arena *scratch)
{
    enum { AT_ONCE = 4096 };
    float *level, noise[AT_ONCE];
    Mark mark = arena_mark(scratch);
    const Rng r = rng_stream(seed, "mock.sky", object, step);
    TRY(arena_new(&level, scratch, MOCK_LEVELS));
    mock_levels(level);
    for (int64_t at = 0; at < n; at += AT_ONCE) {
        const int64_t here = n - at < AT_ONCE ? n - at : AT_ONCE;
        const float *w = invvar + at;
        float *pixel = image + at;
        mock_noise(noise, here, at, &r, level);
        for (int64_t i = 0; i < here; i++) pixel[i] = w[i] > 0 ? pixel[i] + noise[i] / sqrtf(w[i]) : 0;
    }
    arena_reset(scratch, mark);
    return OK;
}
