/* prepare_spectrum.h - what a spectrum encoder sees of a flux vector (spec.md 2): standardised, cut into overlapping
   sections. Local. */
#ifndef MODEL_PREPARE_SPECTRUM_H
#define MODEL_PREPARE_SPECTRUM_H

#include "core/fail.h"
#include "nn/real.h"

enum { SPECTRUM_EXTRA = 2 }; /* leading columns of a token: mean and standard deviation, in token 0 only */

/* Tokens that n_pixels make: 1 + complete sections but the last, which is always dropped. < 2 = too short for a
   section. */
int64_t prepare_spectrum_tokens(int64_t n_pixels, int64_t length, int64_t overlap);

/* tokens (T, 2 + length): token 0 [(mean-2)/2, (std-2)/8, 0 ...], token 1+s [0, 0, section s]. flux (n_pixels),
   1e-17 erg/s/cm2/A on the DESI grid. mean, std (unbiased, before the floor of 0.2) may be NULL. E_INPUT if too
   short. */
Status prepare_spectrum(real *tokens, double *mean, double *std, const float *flux, int64_t n_pixels, int64_t length,
                        int64_t overlap);

#endif
