/* desi_exposures.h - the exposures of one target become one spectrum per arm, as the survey's own coadds do
   (formats.md B4). Local, serial.

   An exposure counts for an arm when its FIBERSTATUS has none of the bits that make it useless there: UNASSIGNED,
   BROKENFIBER, MISSINGPOSITION, BADPOSITION, BADFIBER, BADTRACE, BADFLAT, BADARC, MANYREJECTED, and the arm's own
   BADAMP. Bit 20 was MANYBADCOL and has become VARIABLE, which is no fault: exposures with it count where the arm has no
   others. Where no exposure counts, the arm has no information, and the row says so (MISSING_ARM, NO_DATA).

   Pixel by pixel: ivar = sum of ivar * (mask == 0), flux their weighted mean, mask 0. Where every exposure is masked:
   the sums without regard to masks, and the OR of the masks, so that merging gives the pixel no weight. What the
   survey's programs do beside is not done here: they reject cosmic rays among three or more exposures (so fluxes can
   differ where one was hit and not masked), and from DR3 on rescale exposures. */
#ifndef DATA_DESI_EXPOSURES_H
#define DATA_DESI_EXPOSURES_H

#include "data/desi.h"
#include "data/desi_arms.h"

/* FIBERSTATUS of all rows of FIBERMAP; NULL where it has no such column: then all exposures count. */
Status exposures_read_status(int32_t **status, FitsFile *f, int64_t n_file, Arena *a);

/* Which of a target's n exposures count for arm b. `status` is of the file's rows, or NULL. */
void exposures_choose(bool *use, const int32_t *status, const DesiTarget *target, int64_t n, int b);

/* COADD_FIBERSTATUS of a target: AND over the exposures that count for any arm; OR of all where none does, so that such
   a target does not pass for a good one. */
int32_t exposures_status(const int32_t *status, const DesiTarget *target, int64_t n);

/* Sums over the exposures of one arm of one target; in double, in the order they are added. */
typedef struct {
    int64_t n;              /* pixels */
    double *ivar, *flux;    /* of unmasked pixels: weights, weighted flux */
    double *raw, *raw_flux; /* of all pixels */
    uint32_t *masks;        /* OR */
    float *out_flux, *out_ivar;
    uint32_t *out_mask;
    bool nonfinite; /* a value was NaN or Inf and was left out */
} ExposureSum;
Status exposure_sum_new(ExposureSum *s, int64_t n, Arena *a);
void exposure_sum_clear(ExposureSum *s);
void exposure_sum_add(ExposureSum *s, const float *flux, const float *ivar,
                      const uint32_t *mask); /* mask may be NULL */
/* The coadded arm; its arrays stay in `s`. */
Arm exposure_sum_finish(ExposureSum *s, int64_t start);

/* Spectra of n rows of an open file of exposures into batch rows [at, at + n); *arms says how reading went. */
Status exposures_read(SpectrumBatch *out, int64_t at, ArmFile *arms, int64_t *n_unreadable, FitsFile *f,
                      const SpectraConfig *options, const CatalogRow *rows, int64_t n, Arena *a);

#endif
