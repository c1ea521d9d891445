/* healpix.h - the HEALPix pixels that name DESI's files: nside 64, NESTED, 49152 pixels of 0.84 square degrees.
   Local. */
#ifndef DATA_HEALPIX_H
#define DATA_HEALPIX_H

#include <stdbool.h>
#include <stdint.h>

enum { HEALPIX_NSIDE = 64, HEALPIX_PIXELS = 12 * HEALPIX_NSIDE * HEALPIX_NSIDE };

/* Pixel of a position (degrees, any turn of RA); -1 where it is not a position on the sky. */
int32_t healpix_pixel(double ra, double dec);

/* UNIQPIX, pixel + 4 nside^2, of the pixel of that nside (a power of 2, at most 8192) that holds a position; -1 as
   above. */
int32_t healpix_uniqpix(int32_t nside, double ra, double dec);

/* The folder above a pixel's folder: pixel / 100, written without leading zeros. */
int32_t healpix_group(int32_t pixel);

/* UNIQPIX names a NESTED pixel of any nside: pixel + 4 nside^2. Decoding gives false where there is no such pixel (below
   4). */
bool uniqpix_decode(int64_t *nside, int64_t *pixel, int64_t uniqpix);
int64_t uniqpix_encode(int64_t nside, int64_t pixel);
/* The nside 64 pixel that holds it, or the first of those that it holds; -1 where there is none. */
int32_t uniqpix_healpix(int64_t uniqpix);

#endif
