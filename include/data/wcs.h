/* wcs.h - sky to pixel and back for TAN images, through WCSLIB (wcs.c is the only file that includes its headers).

   Pixel coordinates are 0-based: the centre of the first pixel is (0, 0), so the centre of a 3600-pixel brick is
   (1799.5, 1799.5). RA and DEC in degrees. Threads: WCSLIB's header parser and its set-up are not safe everywhere,
   so wcs_open and wcs_close take one lock; the conversions take none and use one Wcs per thread. */
#ifndef DATA_WCS_H
#define DATA_WCS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/fail.h"

typedef struct {
    void *handle;    /* struct wcsprm *; NULL = closed */
    int n;           /* descriptions in it             */
    double scale[2]; /* arcsec per pixel along x and y, from the CD matrix */
} Wcs;

/* Local. From n cards of 80 characters; E_INPUT names `path` when they hold no usable RA---TAN / DEC--TAN pair. Of a cube
   the first two axes count. */
Status wcs_open(Wcs *w, const char *cards, int n_cards, const char *path);
void wcs_close(Wcs *w); /* NULL-safe, twice-safe */

/* Local. n positions at once; NaN where a position cannot be projected (the far side of the sky, NaN in). */
void wcs_to_pixel(double *x, double *y, Wcs *w, const double *ra, const double *dec, int64_t n);
void wcs_to_sky(double *ra, double *dec, Wcs *w, const double *x, const double *y, int64_t n); /* RA in [0, 360) */

/* Local. How the image lies on the sky around a pixel: arcsec to the east [0] and north [1] per pixel along x [][0] and
   y [][1]; NaN where it cannot be projected. A survey image is {{-s, 0}, {0, s}}. */
void wcs_around(double matrix[2][2], Wcs *w, double x, double y);

/* Local. True when both pixel sides are `arcsec` within `tolerance` (a fraction). */
bool wcs_has_scale(const Wcs *w, double arcsec, double tolerance);

#endif
