/* healpix.c - the only place that knows the HEALPix C library. */
#include "data/healpix.h"

#include <chealpix.h>
#include <math.h>

static int64_t pixel_of(int32_t nside, double ra, double dec)
{
    if (!isfinite(ra) || !(fabs(dec) <= 90)) return -1;
    const double radian = acos(-1.0) / 180;
    double turn = fmod(ra, 360);
    if (turn < 0) turn += 360;
    int64_t pixel = -1;
    ang2pix_nest64(nside, (90 - dec) * radian, turn * radian, &pixel);
    return pixel >= 0 && pixel < 12 * (int64_t)nside * nside ? pixel : -1;
}

int32_t healpix_pixel(double ra, double dec) { return (int32_t)pixel_of(HEALPIX_NSIDE, ra, dec); }

int32_t healpix_uniqpix(int32_t nside, double ra, double dec)
{
    int64_t pixel = pixel_of(nside, ra, dec);
    return pixel < 0 ? -1 : (int32_t)(pixel + 4 * (int64_t)nside * nside);
}

int32_t healpix_group(int32_t pixel) { return pixel / 100; }

bool uniqpix_decode(int64_t *nside, int64_t *pixel, int64_t uniqpix)
{
    if (uniqpix < 4 || uniqpix >> 62 > 0) return false; /* nside up to 2^29, as far as 64 bits go */
    int order = 0; /* so that 4 nside^2 <= uniqpix < 16 nside^2: the pixel is one of 12 nside^2 */
    while (uniqpix >> (2 * order + 4) > 0) order++;
    *nside = (int64_t)1 << order;
    *pixel = uniqpix - 4 * *nside * *nside;
    return true;
}

int64_t uniqpix_encode(int64_t nside, int64_t pixel) { return pixel + 4 * nside * nside; }

int32_t uniqpix_healpix(int64_t uniqpix)
{
    int64_t nside, pixel;
    if (!uniqpix_decode(&nside, &pixel, uniqpix)) return -1;
    for (; nside > HEALPIX_NSIDE; nside /= 2) pixel /= 4;
    for (; nside < HEALPIX_NSIDE; nside *= 2) pixel *= 4;
    return (int32_t)pixel;
}
