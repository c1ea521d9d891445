/* mock_render.h - pixels of the mock sky: a galaxy through the seeing of a brick and band, what else is in the field,
   and the noise. Local, serial; a galaxy's pixels follow from the object, the band's seeing and where in its pixel the
   centre lies. */
#ifndef DATA_MOCK_RENDER_H
#define DATA_MOCK_RENDER_H

#include "data/mock.h"

enum { BRICK_PIXELS = 3600 };

/* ---- mock_seeing.c: seeing and depth ---- */

/* A point source is N_PSF round Gaussians: the quadrature of the Gaussians of all widths that a Moffat profile of beta
   3 is made of. */
enum { N_PSF = 3 };
typedef struct {
    double fwhm;                       /* arcsec                                                         */
    double sigma[N_PSF], share[N_PSF]; /* pixels; of the flux, 1 together                                */
    double noise;                      /* standard deviation of a pixel, nanomaggies, where all passes are */
} MockSeeing;
void mock_seeing(MockSeeing *out, const MockSky *sky, const Brick *b, int band);
/* Inverse variance of the flux of a star, and of a round exponential disk of half-light radius 0.45 arcsec, fitted where
   all passes are: 1/nanomaggies^2. */
void mock_depth(double *star, double *disk, const MockSeeing *seeing);
/* Sigmas and shares for a FWHM in arcsec. */
void mock_psf(MockSeeing *out, double fwhm);

/* Inverse variance (1/nanomaggies^2) of the pixels of row y: three passes with gaps between the detectors at places of
   their own, so one to three of them; 0 in a strip that no pass has. */
void mock_invvar_row(float *out, const MockSky *sky, const Brick *b, int band, const MockSeeing *seeing, int64_t y);

/* n normal deviates, of numbers first, first + 1, ... of a stream: first is a multiple of 4 * MOCK_LANES. In steps of
   1e-3 sigma or finer; none is beyond 5.2 sigma. `level` is a table that mock_levels fills, for as many calls as one
   likes. */
enum { MOCK_LANES = 16, MOCK_LEVELS = 4096 };
void mock_levels(float level[MOCK_LEVELS]);
void mock_noise(float *out, int64_t n, int64_t first, const Rng *stream, const float level[MOCK_LEVELS]);

/* Adds to n pixels their noise, as deep as `invvar` says; 0 where that is 0. */
Status mock_add_noise(float *image, const float *invvar, int64_t n, uint64_t seed, int64_t object, uint32_t step,
                      Arena *scratch);

/* ---- mock_render.c: a galaxy ---- */

typedef struct {
    int64_t half; /* the stamp has 2 half + 1 pixels a side  */
    float *pixel; /* nanomaggies, rows upwards, east to the left */
} MockStamp;

/* Noise-free stamps of an object in all bands, whose centre lies (dx, dy) pixels from that of the middle pixel:
   flux[band] in all, its companion's light included. */
Status mock_render(MockStamp out[N_BANDS], const MockObject *o, uint64_t seed, double dx, double dy,
                   const MockSeeing seeing[N_BANDS], Arena *a);
/* Adds a stamp whose middle is pixel (x, y) to an image of BRICK_PIXELS a side. */
void mock_add_stamp(float *image, const MockStamp *s, int64_t x, int64_t y);

/* ---- mock_field.c: stars and faint galaxies ---- */

/* Half-light radius 0: a star. */
typedef struct {
    double ra, dec, flux[N_BANDS], radius, axis_ratio, angle; /* nanomaggies, arcsec, radians */
} MockFaint;

typedef struct {
    MockFaint *item;
    int64_t n;
} MockField;

/* Local. Everything of the field that a brick's image shows: faint stars and galaxies, the sources that catalogues alone
   have, bright stars. E_MEMORY. */
Status mock_field(MockField *out, const MockSky *sky, const Brick *b, Arena *a);
/* Adds it to the image of a band. */
void mock_paint_field(float *image, const MockField *field, const Brick *b, int band, const MockSeeing *seeing);
/* The bright star of a brick and the radius of its mask, pixels; false where the brick has none: it is not of the sky, or
   a galaxy or a source would lie under it. */
bool mock_bright_star(MockFaint *out, double *radius, const MockSky *sky, const Brick *b);

#endif
