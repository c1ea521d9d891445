/* extinction.h - dust of our own Galaxy, taken out of spectra on request (spectra.extinction: sfd).

   The law is that of Fitzpatrick (1999, PASP 111, 63) for R_V = 3.1, with the scale of Schlafly & Finkbeiner (2011, ApJ
   737, 103) for E(B-V) on the scale of Schlegel, Finkbeiner & Davis (1998), as DESI applies it:

       A(lambda) = 1.029 E(B-V) k(lambda) / k(1 micron),

   k the law, 1.029 = A(1 micron) / E(B-V)_SFD: the 14 % recalibration of SFD in terms of one wavelength (0.881 k). The
   released weights saw spectra with the dust left in: this changes the embeddings. Local, serial. */
#ifndef DATA_EXTINCTION_H
#define DATA_EXTINCTION_H

#include "data/catalog.h"
#include "data/spectra.h"

/* k(lambda) = A(lambda) / E(B-V) of the law itself, before any recalibration; 2700 .. 1e6 Angstrom. */
double extinction_law(double angstrom);

/* A(lambda) / E(B-V)_SFD, magnitudes per magnitude, with the recalibration. */
double extinction_per_ebv(double angstrom);

/* Takes dust of E(B-V) `ebv` out of row i: flux * 10^(0.4 A), ivar / its square. Where ebv is NaN, negative or over 5 the
   row is left as it is and gets the flag SPECTRUM_NO_EBV. Rows that hold no spectrum stay as they are. */
void spectra_deredden(SpectrumBatch *batch, int64_t i, float ebv);

/* Rows [at, at + n) of the batch by the E(B-V) of their catalogue rows, if the configuration asks for it. */
void spectra_correct(SpectrumBatch *batch, int64_t at, const SpectraConfig *config, const CatalogRow *rows, int64_t n);

#endif
