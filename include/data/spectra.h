/* spectra.h - spectra on the DESI grid: 3600..9824 Angstrom (vacuum), step 0.8, 7781 pixels; merging of arms, bad pixels, statistics.
   formats.md B2, B4; DESIGN.md section 8. Local, serial. */
#ifndef DATA_SPECTRA_H
#define DATA_SPECTRA_H

#include <stdint.h>

#include "core/arena.h"
#include "core/config.h"

enum { GRID_PIXELS = 7781, GRID_R_START = 2700, GRID_Z_START = 4900, N_ARMS = 3 };
#define GRID_START 3600.0 /* Angstrom */
#define GRID_STEP 0.8

typedef enum { MERGE_LEGACY_2022, MERGE_DESISPEC_2024 } Merge;      /* spectra.merge      */
typedef enum { BAD_PIXELS_ZERO, BAD_PIXELS_RELEASED } BadPixels;    /* spectra.bad_pixels */

typedef struct {
    int merge;      /* Merge     */
    int bad_pixels; /* BadPixels */
    double max_masked_fraction;
} SpectraConfig;
extern const ConfigSection spectra_section; /* "spectra" */

/* n merged spectra; arrays from the caller's arena. */
typedef struct {
    int64_t n;
    float *flux;   /* (n, 7781) 1e-17 erg/s/cm2/Angstrom */
    float *ivar;   /* (n, 7781) 0 = no information       */
    int32_t *flag; /* (n) SPECTRUM_* of data/flags.h     */
    float *stats;  /* (n, N_SPECTRUM_STATS)              */
} SpectrumBatch;

typedef enum { STAT_FRAC_MASKED_B, STAT_FRAC_MASKED_R, STAT_FRAC_MASKED_Z, STAT_SNR_B, STAT_SNR_R, STAT_SNR_Z, N_SPECTRUM_STATS } SpectrumStat;
extern const char *const spectrum_stat_name[N_SPECTRUM_STATS]; /* "FRAC_MASKED_B", ... "SNR_Z" (median flux*sqrt(ivar) over good pixels) */

Status spectra_batch(SpectrumBatch *out, int64_t n, Arena *a); /* zeroed */

/* One arm of one spectrum as it stands in the file. */
typedef struct {
    int64_t n, start;     /* pixels; index of the first one on the merged grid */
    const float *flux;    /* NULL = arm absent */
    const float *ivar;
    const uint32_t *mask; /* NULL = no MASK HDU */
} Arm;

/* Merges the arms of one spectrum into row `i` of the batch: ivar *= (mask == 0), non-finite values, merge mode, bad pixels, statistics, flags.
   Sums in double, results float32. */
void spectra_merge(SpectrumBatch *out, int64_t i, const Arm arm[N_ARMS], const SpectraConfig *config);

#endif
