/* mock.h - a small sky in the surveys' own file formats and layout: the objects, and the writers of each kind of file.

   One latent galaxy drives both instruments: redshift, mass, age, metallicity, sSFR and dust make one spectral energy distribution, from which come
   the DESI spectrum (as seen through a fibre) and the g, r, z fluxes of the Sersic image. Every number is a function of (seed, object), so any rank
   can write any file. Among the objects are, on purpose, the things that go wrong in a survey: see MockDefect. Local, serial; the stage hands files to
   ranks. */
#ifndef DATA_MOCK_H
#define DATA_MOCK_H

#include "data/brick.h"
#include "data/desi.h"
#include "data/legacy.h"

typedef struct {
    int64_t objects;   /* galaxies with spectrum and image, defects aside */
    int64_t per_brick; /* of them in one brick                            */
    double ra, dec;    /* centre of the field, deg                        */
    const char *truth; /* FITS table of the latent properties, in run.output */
} MockConfig;
extern const ConfigSection mock_section; /* "mock" */

typedef enum {
    MOCK_PLAIN,
    MOCK_CORNER,       /* at a corner of its brick, 3 arcsec from two edges                         */
    MOCK_EDGE,         /* on an edge of its brick                                                  */
    MOCK_DEAD_FIBRE,   /* ivar 0 everywhere, though COADD_FIBERSTATUS says nothing                 */
    MOCK_BROKEN_FIBRE, /* COADD_FIBERSTATUS BROKENFIBER                                            */
    MOCK_SKY,          /* OBJTYPE SKY                                                              */
    MOCK_NEGATIVE,     /* negative TARGETID: stuck positioner                                      */
    MOCK_MISSING_BAND, /* in a brick without a z band                                              */
    MOCK_NO_BRICK,     /* in a brick that has no files                                             */
    MOCK_HALF_MASKED,  /* one arm masked                                                           */
    N_MOCK_DEFECTS
} MockDefect;

/* What a galaxy is. */
typedef struct {
    int64_t targetid;
    double ra, dec;
    double z;
    double logmstar;                  /* log10 Msun                 */
    double age;                       /* Gyr, mass-weighted         */
    double logz;                      /* log10 metallicity          */
    double logssfr;                   /* log10 1/yr                 */
    double dust;                      /* optical depth at 5500 A    */
    double flux[N_BANDS];             /* nanomaggies           */
    double radius;                    /* half-light, arcsec         */
    double sersic, axis_ratio, angle; /* angle in radians, from +x in the brick */
    Brick brick;
    int32_t objid; /* in its brick               */
    int32_t healpix;
    MockDefect defect;
    bool in_dark; /* also observed in main/dark */
} MockObject;

typedef struct {
    int64_t n;
    MockObject *object; /* ordered as made: stable numbers */
    int64_t n_bricks;
    Brick *brick;                         /* all bricks with objects          */
    int32_t missing_band_brick, no_brick; /* BRICKIDs       */
    int64_t n_pixels;                     /* (program, healpix) pairs = coadd files that the catalogues name */
    struct MockPixel {
        const char *program;
        int32_t healpix;
        bool missing; /* the coadd is not written */
    } * pixel;
    uint64_t seed;
} MockSky;

/* Local. The whole sky, about 400 bytes an object. */
Status mock_sky(MockSky *out, const MockConfig *config, int64_t seed, Arena *a);

/* Noise-free flux density of an object at n observed wavelengths (Angstrom, vacuum): 1e-17 erg/s/cm2/Angstrom, all of the light. mock_sed.c */
void mock_spectrum(double *flux, const double *wavelength, int64_t n, const MockObject *o);
/* flux[] of the object from its spectrum and mass: nanomaggies at the bands' pivot wavelengths. */
void mock_photometry(MockObject *o);
enum { MOCK_FIBRE_PERCENT = 50 }; /* share of the light that the fibre sees */

/* Local. Each writes one file (or a pair) under its root through a temporary name. mock_spectra.c: */
Status mock_write_coadd(const MockSky *sky, const DesiConfig *desi, int64_t pixel, Arena *a); /* coadd and redrock */
Status mock_write_zcatalog(const MockSky *sky, const DesiConfig *desi, const char *program, Arena *a);
/* mock_images.c: image and invvar of a band of a brick; its Tractor table */
Status mock_write_brick(const MockSky *sky, const LegacyConfig *legacy, int64_t brick, int band, Arena *a);
Status mock_write_tractor(const MockSky *sky, const LegacyConfig *legacy, int64_t brick, Arena *a);
/* mock_tables.c: survey-bricks, the label table (PROVABGS columns), the truth */
Status mock_write_bricks(const MockSky *sky, const LegacyConfig *legacy, Arena *a);
Status mock_write_labels(const MockSky *sky, const char *path, Arena *a);
Status mock_write_truth(const MockSky *sky, const char *path, Arena *a);

/* Local. Creates the folders above `path`; opens PATH.part for writing; closes it and renames. */
Status mock_begin(FitsFile *f, const char *path);
Status mock_end(FitsFile *f, const char *path);

#endif
