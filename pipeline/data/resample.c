/* resample.c - overlap of two lists of pixels, both increasing: one walk along both. */
#include "data/resample.h"

#include <math.h>

/* Share of a pixel that may stay uncovered: wavelengths of SDSS are float32 logarithms, good to 5e-7. */
static const double covered_to = 1e-6;

/* Of neighbours further apart than this many shortest steps, pixels between are missing. */
static const double gap_steps = 1.5;

/* Shortest step between centres; 0 where they are not increasing or not finite. */
static double shortest_step(const float *loglam, int64_t n)
{
    double shortest = INFINITY;
    for (int64_t k = 0; k + 1 < n; k++) {
        double step = (double)loglam[k + 1] - (double)loglam[k];
        if (!(step > 0) || !isfinite(step)) return 0;
        if (step < shortest) shortest = step;
    }
    return isfinite(shortest) ? shortest : 0;
}

Status resample_edges(PixelEdges *out, bool *ok, const float *loglam, int64_t n, Arena *a)
{
    double shortest = shortest_step(loglam, n);
    *ok = shortest > 0 && fabs((double)loglam[0]) < 10 && fabs((double)loglam[n - 1]) < 10;
    if (!*ok) return OK;
    out->n = n;
    TRY(arena_new(&out->edge, a, 2 * n));
    out->edge[0] = pow(10, (double)loglam[0] - shortest / 2);
    for (int64_t k = 0; k + 1 < n; k++) {
        double left = (double)loglam[k], right = (double)loglam[k + 1];
        bool gap = right - left > gap_steps * shortest;
        out->edge[2 * k + 1] = pow(10, gap ? left + shortest / 2 : (left + right) / 2);
        out->edge[2 * k + 2] = gap ? pow(10, right - shortest / 2) : out->edge[2 * k + 1];
    }
    out->edge[2 * n - 1] = pow(10, (double)loglam[n - 1] + shortest / 2);
    return OK;
}

/* Mean over [low, high] of the input from pixel `first` on; *ivar is 0 where it is not covered. */
static double mean_flux(double *ivar, double low, double high, int64_t first, const PixelEdges *in, const float *flux,
                        const float *weight)
{
    double covered = 0, sum = 0, variance = 0;
    for (int64_t k = first; k < in->n && in->edge[2 * k] < high; k++) {
        double from = fmax(low, in->edge[2 * k]), to = fmin(high, in->edge[2 * k + 1]), overlap = to - from;
        if (!(overlap > 0) || !(weight[k] > 0) || !isfinite(weight[k]) || !isfinite(flux[k])) continue;
        covered += overlap;
        sum += overlap * (double)flux[k];
        variance += overlap * overlap / (double)weight[k];
    }
    *ivar = 0;
    if (covered < (high - low) * (1 - covered_to) || covered == 0) return 0;
    *ivar = covered * covered / variance;
    return sum / covered;
}

void resample(float *flux_out, float *ivar_out, int64_t n_out, double start, double step, const PixelEdges *in,
              const float *flux, const float *ivar)
{
    int64_t first = 0; /* the first input pixel that does not end before this output pixel */
    for (int64_t i = 0; i < n_out; i++) {
        double low = start + step * ((double)i - 0.5), high = start + step * ((double)i + 0.5), weight;
        while (first < in->n && in->edge[2 * first + 1] <= low) first++;
        double value = mean_flux(&weight, low, high, first, in, flux, ivar);
        bool fits = isfinite((float)weight) && isfinite((float)value);
        flux_out[i] = fits ? (float)value : 0;
        ivar_out[i] = fits ? (float)weight : 0;
    }
}
