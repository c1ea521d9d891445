/* resample.h - spectra of other surveys onto the DESI grid, by overlap of pixels.

   A pixel is an interval of wavelength with the mean flux density in it. An output pixel gets the mean over its own
   interval: the input flux densities, weighted by how much of each input pixel lies in it. So integrals over whole
   output pixels are kept, a constant stays that constant, and nothing is interpolated or smoothed beyond what the
   pixels say.

   ivar is 1 / variance of that mean, sum (overlap / width)^2 / ivar, for independent input pixels. Output pixels that
   share an input pixel are correlated, which no list of ivar can say: where the input pixels are the wider ones (SDSS
   beyond 3500 Angstrom: 0.8 to 2.3 Angstrom), neighbours carry nearly the same noise, and a signal-to-noise ratio
   summed over them as if they were independent comes out too high by about the root of the ratio of widths.

   An output pixel is covered when input pixels with ivar > 0 leave no part of its interval free (1e-6 of it is
   forgiven: rounding of float32 wavelengths). Else flux and ivar are 0: half a pixel is no measurement of it.
   Local, serial. */
#ifndef DATA_RESAMPLE_H
#define DATA_RESAMPLE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/arena.h"

/* Input pixels: k spans edge[2k] .. edge[2k + 1] (Angstrom). Intervals increase and do not overlap. */
typedef struct {
    int64_t n;
    double *edge; /* (n, 2) */
} PixelEdges;

/* Edges of pixels with these centres, log10 of Angstrom: half way, in the logarithm, to the neighbours. Where the next
   centre is further away than 1.5 times the shortest step, pixels are missing between: the pixel ends half a shortest
   step from its centre. *ok is false where the centres are not finite, not increasing, or fewer than two: not a grid. */
Status resample_edges(PixelEdges *out, bool *ok, const float *loglam, int64_t n, Arena *a);

/* n_out pixels of width `step` around start + step * i. Input pixels with ivar <= 0 or with flux or ivar that is not
   finite cover nothing. Sums in double. */
void resample(float *flux_out, float *ivar_out, int64_t n_out, double start, double step, const PixelEdges *in,
              const float *flux, const float *ivar);

#endif
