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

/* isfinite in a form that compilers make vectors of. */
static inline bool is_number(float x) { return x - x == 0; }

/* One arm as numbers that loops without branches can take; GRID_PIXELS at most. */
typedef struct {
    float flux[GRID_PIXELS];   /* 0 where not finite */
    float weight[GRID_PIXELS]; /* ivar; 0 where masked or not finite */
    double snr[GRID_PIXELS];
} ArmNumbers;

/* False where the file held NaN or Inf. */
static bool take_arm(ArmNumbers *out, const Arm *arm)
{
    static const uint32_t none[GRID_PIXELS];
    const uint32_t *mask = arm->mask ? arm->mask : none;
    const float *flux = arm->flux, *ivar = arm->ivar;
    const int64_t n = arm->n;
    uint32_t bad = 0;
    for (int64_t k = 0; k < n; k++) {
        const float weight = mask[k] == 0 ? ivar[k] : 0;
        const bool flux_ok = is_number(flux[k]), ivar_ok = is_number(ivar[k]);
        out->flux[k] = flux_ok ? flux[k] : 0;
        out->weight[k] = flux_ok & ivar_ok & (weight > 0) ? weight : 0;
    }
    for (int64_t k = 0; k < n; k++) {
        const float sum = flux[k] * 0 + ivar[k] * 0;
        bad |= sum == sum ? 0u : 1u;
    }
    return !bad;
}

/* Median signal to noise; *n_good counts the pixels with information. */
static float arm_snr(int64_t *n_good, ArmNumbers *arm, int64_t n)
{
    for (int64_t k = 0; k < n; k++) arm->snr[k] = (double)arm->flux[k] * sqrt((double)arm->weight[k]);
    *n_good = 0;
    for (int64_t k = 0; k < n; k++) {
        arm->snr[*n_good] = arm->snr[k];
        *n_good += arm->weight[k] > 0;
    }
    return (float)select_median(arm->snr, *n_good);
}

/* What the arms give together. */
typedef struct {
    double sum[GRID_PIXELS], weights[GRID_PIXELS];
    float last[GRID_PIXELS];      /* flux of the last arm there */
    uint8_t covered[GRID_PIXELS]; /* by how many */
} Merged;

static void add_arm(Merged *m, const ArmNumbers *arm, int64_t start, int64_t n)
{
    double *sum = m->sum + start, *weights = m->weights + start;
    float *last = m->last + start;
    for (int64_t k = 0; k < n; k++) {
        const double weight = arm->weight[k];
        weights[k] += weight;
        sum[k] += weight * (double)arm->flux[k];
        last[k] = arm->flux[k];
    }
    for (int64_t k = 0; k < n; k++) m->covered[start + k]++;
}

/* False where two weights together are beyond float32: nothing is known there. Without weights the sum is 0. */
static bool finish_merge(float *flux, float *ivar, Merged *m, const SpectraConfig *config)
{
    int bad = 0;
    for (int64_t p = 0; p < GRID_PIXELS; p++) m->sum[p] /= m->weights[p] > 0 ? m->weights[p] : 1;
    for (int64_t p = 0; config->merge == MERGE_DESISPEC_2024 && p < GRID_PIXELS; p++)
        if (m->covered[p] == 1 && (m->weights[p] > 0 || config->bad_pixels == BAD_PIXELS_RELEASED))
            m->sum[p] = m->last[p];
    for (int64_t p = 0; p < GRID_PIXELS; p++) {
        const float weight = (float)m->weights[p], value = (float)m->sum[p];
        const bool fits = is_number(weight);
        flux[p] = fits ? value : 0;
        ivar[p] = fits ? weight : 0;
        bad |= !fits;
    }
    return !bad;
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
    ArmNumbers numbers;
    Merged m;
    int32_t flag = 0;
    memset(&m, 0, sizeof m);
    for (int b = 0; b < N_ARMS; b++) {
        const int64_t n = arm[b].flux ? arm[b].n : 0;
        int64_t n_good;
        MUST(n >= 0 && (n == 0 || (arm[b].start >= 0 && arm[b].start + n <= GRID_PIXELS)));
        if (n > 0 && !take_arm(&numbers, &arm[b])) flag |= SPECTRUM_NONFINITE;
        if (n > 0) add_arm(&m, &numbers, arm[b].start, n);
        out->stats[i * N_SPECTRUM_STATS + STAT_SNR_B + b] = arm_snr(&n_good, &numbers, n);
        if (n_good == 0) flag |= SPECTRUM_MISSING_ARM;
    }
    if (!finish_merge(out->flux + i * GRID_PIXELS, out->ivar + i * GRID_PIXELS, &m, config)) flag |= SPECTRUM_NONFINITE;
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
        ArmNumbers numbers;
        int64_t n_good;
        take_arm(&numbers, &range);
        const float snr = arm_snr(&n_good, &numbers, range.n);
        out->stats[i * N_SPECTRUM_STATS + STAT_SNR_B + b] = ivar ? snr : 0;
        if (n_good == 0) flag |= SPECTRUM_MISSING_ARM;
    }
    out->flag[i] = flag;
    count_bad(out, i, config);
}
