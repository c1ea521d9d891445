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

/* Floats as bits, from which compilers make vectors where comparing floats would be branches. */
static inline uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* All ones, or 0: the bits are those of a finite number, of a number above zero or NaN. */
static inline uint32_t if_finite(uint32_t bits) { return -(uint32_t)((bits & 0x7f800000u) != 0x7f800000u); }
static inline uint32_t if_above_zero(uint32_t bits) { return -(uint32_t)((int32_t)bits > 0); }

/* One arm as numbers that loops without branches can take; GRID_PIXELS at most. */
typedef struct {
    int64_t n, start;
    float flux[GRID_PIXELS];   /* 0 where not finite */
    float weight[GRID_PIXELS]; /* ivar; 0 where masked or not finite */
} ArmNumbers;

/* False where the file held NaN or Inf. */
static bool take_arm(ArmNumbers *out, const Arm *arm)
{
    static const uint32_t none[GRID_PIXELS];
    const uint32_t *mask = arm->mask ? arm->mask : none;
    const int64_t n = arm->n;
    uint32_t all = ~0u;
    out->n = n;
    out->start = arm->start;
    for (int64_t k = 0; k < n; k++) {
        const uint32_t flux = bits_of(arm->flux[k]), ivar = bits_of(arm->ivar[k]);
        const uint32_t flux_ok = if_finite(flux), both_ok = flux_ok & if_finite(ivar);
        out->flux[k] = float_of(flux & flux_ok);
        out->weight[k] = float_of(ivar & both_ok & if_above_zero(ivar) & -(uint32_t)(mask[k] == 0));
        all &= both_ok;
    }
    return all != 0;
}

/* x, or infinite where the bits `yes` are 0 and not all ones. */
static inline double or_infinite(double x, uint32_t yes)
{
    const uint64_t keep = (uint64_t)(int64_t)(int32_t)yes;
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits = (bits & keep) | (UINT64_C(0x7ff0000000000000) & ~keep);
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Median signal to noise; *n_good counts the pixels with information: the others lie behind them, infinite. */
static float arm_snr(int64_t *n_good, const ArmNumbers *arm)
{
    double snr[GRID_PIXELS];
    uint32_t good = 0;
    for (int64_t k = 0; k < arm->n; k++) {
        const uint32_t has_weight = if_above_zero(bits_of(arm->weight[k]));
        snr[k] = or_infinite((double)arm->flux[k] * sqrt((double)arm->weight[k]), has_weight);
        good -= has_weight;
    }
    *n_good = good;
    return (float)select_median(snr, arm->n, good);
}

/* What the arms give together, in pieces that stay in the first cache. */
enum { PIECE = 512 };
typedef struct {
    double sum[PIECE], weights[PIECE];
    float last[PIECE];      /* flux of the last arm there */
    uint8_t covered[PIECE]; /* by how many */
} Merged;

/* The part of an arm that lies in grid pixels [from, from + n). */
static void add_arm(Merged *m, const ArmNumbers *arm, int64_t from, int64_t n)
{
    const int64_t first = arm->start > from ? arm->start : from,
                  end = arm->start + arm->n < from + n ? arm->start + arm->n : from + n;
    if (end <= first) return;
    double *sum = m->sum + (first - from), *weights = m->weights + (first - from);
    float *last = m->last + (first - from);
    uint8_t *covered = m->covered + (first - from);
    const float *flux = arm->flux + (first - arm->start), *weight = arm->weight + (first - arm->start);
    for (int64_t k = 0; k < end - first; k++) {
        const double w = weight[k];
        weights[k] += w;
        sum[k] += w * (double)flux[k];
        last[k] = flux[k];
    }
    for (int64_t k = 0; k < end - first; k++) covered[k]++;
}

/* False where two weights together are beyond float32: nothing is known there. Without weights the sum is 0. */
static bool finish_merge(float *flux, float *ivar, Merged *m, int64_t n, const SpectraConfig *config)
{
    uint32_t all = ~0u;
    for (int64_t p = 0; p < n; p++) m->sum[p] /= m->weights[p] > 0 ? m->weights[p] : 1;
    for (int64_t p = 0; config->merge == MERGE_DESISPEC_2024 && p < n; p++)
        if (m->covered[p] == 1 && (m->weights[p] > 0 || config->bad_pixels == BAD_PIXELS_RELEASED))
            m->sum[p] = m->last[p];
    for (int64_t p = 0; p < n; p++) {
        const uint32_t weight = bits_of((float)m->weights[p]), fits = if_finite(weight);
        flux[p] = float_of(bits_of((float)m->sum[p]) & fits);
        ivar[p] = float_of(weight & fits);
        all &= fits;
    }
    return all != 0;
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

/* False where a weight is beyond float32. */
static bool merge_arms(float *flux, float *ivar, const ArmNumbers arm[N_ARMS], const SpectraConfig *config)
{
    bool fits = true;
    for (int64_t from = 0; from < GRID_PIXELS; from += PIECE) {
        const int64_t n = from + PIECE < GRID_PIXELS ? PIECE : GRID_PIXELS - from;
        Merged m;
        memset(&m, 0, sizeof m);
        for (int b = 0; b < N_ARMS; b++) add_arm(&m, &arm[b], from, n);
        fits &= finish_merge(flux + from, ivar + from, &m, n, config);
    }
    return fits;
}

void spectra_merge(SpectrumBatch *out, int64_t i, const Arm arm[N_ARMS], const SpectraConfig *config)
{
    MUST(i >= 0 && i < out->n);
    ArmNumbers numbers[N_ARMS];
    int32_t flag = 0;
    for (int b = 0; b < N_ARMS; b++) {
        const Arm none = {0}, *from = arm[b].flux ? &arm[b] : &none;
        int64_t n_good;
        MUST(from->n >= 0 && from->start >= 0 && from->start + from->n <= GRID_PIXELS);
        if (!take_arm(&numbers[b], from)) flag |= SPECTRUM_NONFINITE;
        out->stats[i * N_SPECTRUM_STATS + STAT_SNR_B + b] = arm_snr(&n_good, &numbers[b]);
        if (n_good == 0) flag |= SPECTRUM_MISSING_ARM;
    }
    if (!merge_arms(out->flux + i * GRID_PIXELS, out->ivar + i * GRID_PIXELS, numbers, config))
        flag |= SPECTRUM_NONFINITE;
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
        const float snr = arm_snr(&n_good, &numbers);
        out->stats[i * N_SPECTRUM_STATS + STAT_SNR_B + b] = ivar ? snr : 0;
        if (n_good == 0) flag |= SPECTRUM_MISSING_ARM;
    }
    out->flag[i] = flag;
    count_bad(out, i, config);
}
