/* healpix.c - the only place that knows the HEALPix C library. */
#include "data/healpix.h"

#include <chealpix.h>
#include <math.h>

int32_t healpix_pixel(double ra, double dec)
{
    if (!isfinite(ra) || !(fabs(dec) <= 90)) return -1;
    const double radian = acos(-1.0) / 180;
    double turn = fmod(ra, 360);
    if (turn < 0) turn += 360;
    int64_t pixel = -1;
    ang2pix_nest64(HEALPIX_NSIDE, (90 - dec) * radian, turn * radian, &pixel);
    return pixel >= 0 && pixel < HEALPIX_PIXELS ? (int32_t)pixel : -1;
}

int32_t healpix_group(int32_t pixel) { return pixel / 100; }
