/* spectra.h - spectra on the DESI grid: 3600..9824 Angstrom (vacuum), step 0.8, 7781 pixels; merging of arms, bad pixels, statistics.
   formats.md B2, B4; DESIGN.md section 8. Local, serial. */
#ifndef DATA_SPECTRA_H
#define DATA_SPECTRA_H

#include <stdint.h>

#include "core/arena.h"
#include "core/config.h"

enum { GRID_PIXELS = 7781, GRID_R_START = 2700, GRID_Z_START = 4900, N_ARMS = 3 };
#define GRID_START 3600.0 /* Angstrom */
#define GRID_STEP  0.8

/* The arms B, R, Z as DESI writes them: first pixel on the merged grid, and length. */
extern const char arm_name[N_ARMS + 1];  /* "BRZ" */
extern const int64_t arm_start[N_ARMS];  /* 0, 2700, 4900 */
extern const int64_t arm_pixels[N_ARMS]; /* 2751, 2326, 2881 */

typedef enum { MERGE_LEGACY_2022, MERGE_DESISPEC_2024 } Merge;   /* spectra.merge      */
typedef enum { BAD_PIXELS_ZERO, BAD_PIXELS_RELEASED } BadPixels; /* spectra.bad_pixels */
typedef enum { EXTINCTION_NONE, EXTINCTION_SFD } Extinction;     /* spectra.extinction */

typedef struct {
    int merge;                  /* Merge     */
    int bad_pixels;             /* BadPixels */
    double max_masked_fraction; /* of the 7781 merged pixels */
    int extinction;             /* Extinction: what extinction.h does to the spectra of a block */
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

/* FRAC_MASKED: share of merged pixels without information on the arm's range (arm_start, arm_pixels).
   SNR: median of flux * sqrt(ivar) over the good pixels of the arm itself, before merging; 0 where there is none. */
typedef enum {
    STAT_FRAC_MASKED_B,
    STAT_FRAC_MASKED_R,
    STAT_FRAC_MASKED_Z,
    STAT_SNR_B,
    STAT_SNR_R,
    STAT_SNR_Z,
    N_SPECTRUM_STATS
} SpectrumStat;
extern const char *const spectrum_stat_name[N_SPECTRUM_STATS]; /* "FRAC_MASKED_B", ... "SNR_Z" */

Status spectra_batch(SpectrumBatch *out, int64_t n, Arena *a); /* zeroed */

/* One arm of one spectrum as it stands in the file. */
typedef struct {
    int64_t n, start;  /* pixels; index of the first one on the merged grid; start >= 0, start + n <= 7781 */
    const float *flux; /* NULL = arm absent */
    const float *ivar;
    const uint32_t *mask; /* NULL = no MASK HDU */
} Arm;

/* Merges the arms of one spectrum into row `i` of the batch: ivar *= (mask == 0), non-finite values, merge mode, bad pixels, statistics, flags.
   Sets all of row i, its flag too. Sums in double, results float32. A negative ivar counts as 0. */
void spectra_merge(SpectrumBatch *out, int64_t i, const Arm arm[N_ARMS], const SpectraConfig *config);

/* Takes a spectrum that is on the merged grid already (another survey, a stored set) into row `i`: the same rules for
   bad pixels and non-finite values, statistics on the arms' ranges of the grid, flags. An arm's range without any
   information is MISSING_ARM. `ivar` NULL = not known: 1 where the flux is finite, and SNR stays 0. */
void spectra_take(SpectrumBatch *out, int64_t i, const float *flux, const float *ivar, const SpectraConfig *config);

#endif
