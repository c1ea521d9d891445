/* wcs.c - TAN coordinates through WCSLIB: its parser reads the cards, its projections do the trigonometry.
   Conversions go in chunks through buffers on the stack, so nothing is allocated per call. */
#include "data/wcs.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <wcslib/wcs.h>
#include <wcslib/wcshdr.h>

enum { CHUNK = 64 };

/* The parser's scanner and the unit tables that wcsset() fills are shared between threads in some versions of
   WCSLIB. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void wcs_close(Wcs *w)
{
    if (!w || !w->handle) return;
    struct wcsprm *all = w->handle;
    pthread_mutex_lock(&lock);
    wcsvfree(&w->n, &all);
    pthread_mutex_unlock(&lock);
    w->handle = NULL;
    w->n = 0;
}

/* Length of a pixel's side along axis `a` on the sky: a column of CDELT x PC, which is where wcsset() also puts a CD
   matrix. */
static double side(const struct wcsprm *p, int a)
{
    return 3600 * hypot(p->cdelt[0] * p->pc[a], p->cdelt[1] * p->pc[2 + a]);
}

/* Puts the description of the first two axes in the place of that of a cube. */
static Status drop_axes(Wcs *w, const char *path)
{
    struct wcsprm *cube = w->handle, *plane = calloc(1, sizeof *plane);
    int n = 2, axes[] = {1, 2};
    if (!plane) return FAIL(E_MEMORY, "%s: no memory for its world coordinates", path);
    plane->flag = -1;
    int bad = wcssub(1, cube, &n, axes, plane);
    wcsvfree(&w->n, &cube);
    w->handle = plane; /* wcsvfree takes it like one of the parser's */
    w->n = 1;
    return bad ? FAIL(E_INPUT, "%s: world coordinates of the first two axes cannot be taken alone: %s", path,
                      wcs_errmsg[bad])
               : OK;
}

static Status set_up(Wcs *w, const char *path)
{
    if (!w->handle || w->n < 1)
        return FAIL(E_INPUT, "%s: the header has no world coordinates (CTYPE, CRVAL, CRPIX, CD)", path);
    if (((struct wcsprm *)w->handle)->naxis > 2) TRY(drop_axes(w, path));
    struct wcsprm *p = w->handle;
    if (p->naxis != 2) return FAIL(E_INPUT, "%s: world coordinates have %d axes, expected RA and DEC", path, p->naxis);
    if (!p->ctype[0][0] && !p->ctype[1][0])
        return FAIL(E_INPUT, "%s: the header does not say where the image lies (no CTYPE1, CTYPE2)", path);
    int bad = wcsset(p);
    if (bad) return FAIL(E_INPUT, "%s: world coordinates cannot be used: %s", path, wcs_errmsg[bad]);
    if (p->lng < 0 || p->lat < 0 || strncmp(p->cel.prj.code, "TAN", 3) != 0)
        return FAIL(E_INPUT, "%s: CTYPE is %.16s, %.16s, expected RA---TAN, DEC--TAN", path, p->ctype[0], p->ctype[1]);
    for (int a = 0; a < 2; a++) w->scale[a] = side(p, a);
    if (!isfinite(w->scale[0]) || !isfinite(w->scale[1]) || w->scale[0] <= 0 || w->scale[1] <= 0)
        return FAIL(E_INPUT, "%s: the CD matrix gives pixels of %g x %g arcsec", path, w->scale[0], w->scale[1]);
    return OK;
}

Status wcs_open(Wcs *w, const char *cards, int n_cards, const char *path)
{
    memset(w, 0, sizeof *w);
    struct wcsprm *all = NULL;
    int rejected = 0;
    pthread_mutex_lock(&lock);
    int bad = wcspih((char *)cards, n_cards, WCSHDR_all, 0, &rejected, &w->n, &all);
    w->handle = all;
    Status st =
        bad ? FAIL(E_INPUT, "%s: WCSLIB cannot parse the header: %s", path, wcshdr_errmsg[bad]) : set_up(w, path);
    pthread_mutex_unlock(&lock);
    if (st != OK) wcs_close(w);
    return st;
}

bool wcs_has_scale(const Wcs *w, double arcsec, double tolerance)
{
    return fabs(w->scale[0] / arcsec - 1) <= tolerance && fabs(w->scale[1] / arcsec - 1) <= tolerance;
}

void wcs_around(double matrix[2][2], Wcs *w, double x, double y)
{
    const double step = 10; /* pixels: far above rounding, far below the curvature of the sky */
    double ra[4], dec[4];
    wcs_to_sky(ra, dec, w, (double[]){x - step, x + step, x, x}, (double[]){y, y, y - step, y + step}, 4);
    for (int a = 0; a < 2; a++) {
        double east = remainder(ra[2 * a + 1] - ra[2 * a], 360), north = dec[2 * a + 1] - dec[2 * a];
        matrix[0][a] = 3600 * east * cos((dec[2 * a] + dec[2 * a + 1]) / 2 * M_PI / 180) / (2 * step);
        matrix[1][a] = 3600 * north / (2 * step);
    }
}

static void chunk_to_pixel(double *x, double *y, struct wcsprm *p, const double *ra, const double *dec, int n)
{
    double world[2 * CHUNK] = {0}, pixel[2 * CHUNK] = {0}, image[2 * CHUNK], phi[CHUNK], theta[CHUNK];
    int stat[CHUNK];
    for (int i = 0; i < n; i++) {
        bool good = isfinite(ra[i]) && isfinite(dec[i]) && fabs(dec[i]) <= 90;
        world[2 * i + p->lng] = good ? ra[i] : p->crval[p->lng];
        world[2 * i + p->lat] = good ? dec[i] : p->crval[p->lat];
    }
    int bad = wcss2p(p, n, 2, world, phi, theta, image, pixel, stat);
    for (int i = 0; i < n; i++) {
        bool good = (bad == 0 || (bad == WCSERR_BAD_WORLD && stat[i] == 0)) && isfinite(ra[i]) && isfinite(dec[i]) &&
                    fabs(dec[i]) <= 90;
        x[i] = good ? pixel[2 * i] - 1 : NAN;
        y[i] = good ? pixel[2 * i + 1] - 1 : NAN;
    }
}

static void chunk_to_sky(double *ra, double *dec, struct wcsprm *p, const double *x, const double *y, int n)
{
    double world[2 * CHUNK] = {0}, pixel[2 * CHUNK] = {0}, image[2 * CHUNK], phi[CHUNK], theta[CHUNK];
    int stat[CHUNK];
    for (int i = 0; i < n; i++) {
        bool good = isfinite(x[i]) && isfinite(y[i]);
        pixel[2 * i] = good ? x[i] + 1 : p->crpix[0];
        pixel[2 * i + 1] = good ? y[i] + 1 : p->crpix[1];
    }
    int bad = wcsp2s(p, n, 2, pixel, image, phi, theta, world, stat);
    for (int i = 0; i < n; i++) {
        bool good = (bad == 0 || (bad == WCSERR_BAD_PIX && stat[i] == 0)) && isfinite(x[i]) && isfinite(y[i]);
        ra[i] = good ? world[2 * i + p->lng] : NAN;
        dec[i] = good ? world[2 * i + p->lat] : NAN;
        if (ra[i] < 0) ra[i] += 360;
        if (ra[i] >= 360) ra[i] -= 360;
    }
}

void wcs_to_pixel(double *x, double *y, Wcs *w, const double *ra, const double *dec, int64_t n)
{
    for (int64_t i = 0; i < n; i += CHUNK)
        chunk_to_pixel(x + i, y + i, w->handle, ra + i, dec + i, (int)(n - i < CHUNK ? n - i : CHUNK));
}

void wcs_to_sky(double *ra, double *dec, Wcs *w, const double *x, const double *y, int64_t n)
{
    for (int64_t i = 0; i < n; i += CHUNK)
        chunk_to_sky(ra + i, dec + i, w->handle, x + i, y + i, (int)(n - i < CHUNK ? n - i : CHUNK));
}
