/* spectra.c - three arms become one spectrum of 7781 pixels; spectra that are on that grid already join them.

   Pixel by pixel of the merged grid: each arm that covers it gives a flux and a weight (ivar, 0 where masked or not
   finite), and the merge mode says what the pixel becomes. legacy-2022 (what the released weights saw): the weighted
   mean everywhere. desispec-2024: a pixel of one arm alone is copied, flux and all, even where it has no weight;
   only overlaps are averaged. */
#include "data/spectra.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "core/select.h"
#include "data/flags.h"

const char arm_name[N_ARMS + 1] = "BRZ";
const int64_t arm_start[N_ARMS] = {0, GRID_R_START, GRID_Z_START};
const int64_t arm_pixels[N_ARMS] = {2751, 2326, 2881};

const char *const spectrum_stat_name[N_SPECTRUM_STATS] = {"FRAC_MASKED_B", "FRAC_MASKED_R", "FRAC_MASKED_Z",
                                                          "SNR_B",         "SNR_R",         "SNR_Z"};

static const char *const merges[] = {"legacy-2022", "desispec-2024", NULL};
static const char *const bad_pixels[] = {"zero", "released", NULL};
static const char *const extinctions[] = {"none", "sfd", NULL};

static const ConfigField spectra_fields[] = {
    FIELD_CHOICE(SpectraConfig, merge, "legacy-2022", merges, RESULT,
                 "how arms join: weighted mean everywhere (what the released weights saw), or in overlaps only"),
    FIELD_CHOICE(SpectraConfig, bad_pixels, "zero", bad_pixels, RESULT,
                 "flux where the merged ivar is 0: set to 0, or as the merge leaves it"),
    FIELD_REAL(
        SpectraConfig, max_masked_fraction, "0.5", 0, 1, RESULT,
        "more pixels than this without information: no embedding; at 0.5 one lost arm (36 %) passes, two do not"),
    FIELD_CHOICE(SpectraConfig, extinction, "none", extinctions, RESULT,
                 "dust of our own Galaxy: left in, as the released weights saw it, or taken out by E(B-V) of the row"),
    FIELD_END};

const ConfigSection spectra_section = {"spectra", "merging and bad pixels of spectra", spectra_fields,
                                       sizeof(SpectraConfig), NULL};

Status spectra_batch(SpectrumBatch *out, int64_t n, Arena *a)
{
    out->n = n;
    TRY(arena_take((void **)&out->flux, a, n, GRID_PIXELS * sizeof *out->flux));
    TRY(arena_take((void **)&out->ivar, a, n, GRID_PIXELS * sizeof *out->ivar));
    TRY(arena_new(&out->flag, a, n));
    return arena_take((void **)&out->stats, a, n, N_SPECTRUM_STATS * sizeof *out->stats);
}

/* Flux and weight of pixel k of an arm; false when the file held NaN or Inf there. */
static bool arm_pixel(double *flux, double *weight, const Arm *arm, int64_t k)
{
    bool flux_ok = isfinite(arm->flux[k]), ivar_ok = isfinite(arm->ivar[k]);
    bool good = flux_ok && ivar_ok && arm->ivar[k] > 0 && (!arm->mask || arm->mask[k] == 0);
    *flux = flux_ok ? (double)arm->flux[k] : 0;
    *weight = good ? (double)arm->ivar[k] : 0;
    return flux_ok && ivar_ok;
}

/* Middle value; the mean of the two middle ones where n is even; 0 for none. Reorders x. */
static double median(double *x, int64_t n)
{
    if (n == 0) return 0;
    double upper = select_kth(x, n, n / 2);
    if (n % 2 == 1) return upper;
    double lower = x[0];
    for (int64_t i = 1; i < n / 2; i++)
        if (x[i] > lower) lower = x[i];
    return (lower + upper) / 2;
}

/* Signal to noise of an arm by itself; *n_good counts its pixels with information. */
static float arm_snr(int64_t *n_good, const Arm *arm)
{
    double snr[GRID_PIXELS];
    *n_good = 0;
    for (int64_t k = 0; arm->flux && k < arm->n; k++) {
        double flux, weight;
        arm_pixel(&flux, &weight, arm, k);
        if (weight > 0) snr[(*n_good)++] = flux * sqrt(weight);
    }
    return (float)median(snr, *n_good);
}

/* One pixel of the merged grid; false when NaN or Inf had to be set to 0. */
static bool merge_pixel(float *flux, float *ivar, const Arm arm[N_ARMS], int64_t pixel, const SpectraConfig *config)
{
    double sum = 0, weights = 0, last = 0;
    int covered = 0;
    bool finite = true;
    for (int b = 0; b < N_ARMS; b++) {
        int64_t k = pixel - arm[b].start;
        if (!arm[b].flux || k < 0 || k >= arm[b].n) continue;
        double weight;
        finite &= arm_pixel(&last, &weight, &arm[b], k);
        weights += weight;
        sum += weight * last;
        covered++;
    }
    double value = weights > 0 ? sum / weights : 0;
    if (config->merge == MERGE_DESISPEC_2024 && covered == 1) value = last;
    if (config->bad_pixels == BAD_PIXELS_ZERO && weights == 0) value = 0;
    *flux = (float)value;
    *ivar = (float)weights;
    if (isfinite(*ivar)) return finite;
    *flux = *ivar = 0; /* two weights that float32 cannot hold together */
    return false;
}

/* Shares of the arms' ranges without information, and the flags that follow from the pixels of row i. */
static void count_bad(SpectrumBatch *out, int64_t i, const SpectraConfig *config)
{
    const float *ivar = out->ivar + i * GRID_PIXELS;
    int64_t n_bad = 0;
    for (int64_t p = 0; p < GRID_PIXELS; p++) n_bad += ivar[p] == 0;
    for (int b = 0; b < N_ARMS; b++) {
        int64_t masked = 0;
        for (int64_t k = 0; k < arm_pixels[b]; k++) masked += ivar[arm_start[b] + k] == 0;
        out->stats[i * N_SPECTRUM_STATS + STAT_FRAC_MASKED_B + b] = (float)((double)masked / (double)arm_pixels[b]);
    }
    if (n_bad > 0) out->flag[i] |= SPECTRUM_BAD_PIXELS;
    if (n_bad == GRID_PIXELS) out->flag[i] |= SPECTRUM_NO_DATA;
    if ((double)n_bad > config->max_masked_fraction * GRID_PIXELS) out->flag[i] |= SPECTRUM_MASKED;
}

void spectra_merge(SpectrumBatch *out, int64_t i, const Arm arm[N_ARMS], const SpectraConfig *config)
{
    MUST(i >= 0 && i < out->n);
    float *flux = out->flux + i * GRID_PIXELS, *ivar = out->ivar + i * GRID_PIXELS;
    int32_t flag = 0;
    for (int64_t p = 0; p < GRID_PIXELS; p++)
        if (!merge_pixel(&flux[p], &ivar[p], arm, p, config)) flag |= SPECTRUM_NONFINITE;
    for (int b = 0; b < N_ARMS; b++) {
        MUST(!arm[b].flux || (arm[b].start >= 0 && arm[b].n >= 0 && arm[b].start + arm[b].n <= GRID_PIXELS));
        int64_t n_good;
        out->stats[i * N_SPECTRUM_STATS + STAT_SNR_B + b] = arm_snr(&n_good, &arm[b]);
        if (n_good == 0) flag |= SPECTRUM_MISSING_ARM;
    }
    out->flag[i] = flag;
    count_bad(out, i, config);
}

void spectra_take(SpectrumBatch *out, int64_t i, const float *flux, const float *ivar, const SpectraConfig *config)
{
    MUST(i >= 0 && i < out->n);
    float *f = out->flux + i * GRID_PIXELS, *w = out->ivar + i * GRID_PIXELS;
    int32_t flag = 0;
    for (int64_t p = 0; p < GRID_PIXELS; p++) {
        bool flux_ok = isfinite(flux[p]), ivar_ok = !ivar || isfinite(ivar[p]);
        if (!flux_ok || !ivar_ok) flag |= SPECTRUM_NONFINITE;
        w[p] = flux_ok && ivar_ok && (!ivar || ivar[p] > 0) ? (ivar ? ivar[p] : 1) : 0;
        f[p] = flux_ok && (w[p] > 0 || config->bad_pixels == BAD_PIXELS_RELEASED) ? flux[p] : 0;
    }
    for (int b = 0; b < N_ARMS; b++) {
        const Arm range = {arm_pixels[b], arm_start[b], f + arm_start[b], w + arm_start[b], NULL};
        int64_t n_good;
        float snr = arm_snr(&n_good, &range);
        out->stats[i * N_SPECTRUM_STATS + STAT_SNR_B + b] = ivar ? snr : 0;
        if (n_good == 0) flag |= SPECTRUM_MISSING_ARM;
    }
    out->flag[i] = flag;
    count_bad(out, i, config);
}
