/* healpix.h - the HEALPix pixels that name DESI's files: nside 64, NESTED, 49152 pixels of 0.84 square degrees.
   Local. */
#ifndef DATA_HEALPIX_H
#define DATA_HEALPIX_H

#include <stdint.h>

enum { HEALPIX_NSIDE = 64, HEALPIX_PIXELS = 12 * HEALPIX_NSIDE * HEALPIX_NSIDE };

/* Pixel of a position (degrees, any turn of RA); -1 where it is not a position on the sky. */
int32_t healpix_pixel(double ra, double dec);

/* The folder above a pixel's folder: pixel / 100, written without leading zeros. */
int32_t healpix_group(int32_t pixel);

#endif
