/* mock.h - a small sky in the surveys' own file formats and layouts: the objects, and the writers of each kind of file.

   One latent galaxy drives both instruments: redshift, mass, age, metallicity, sSFR and dust make one spectral energy
   distribution, from which come the DESI spectrum (as seen through a fibre) and the g, r, z fluxes of the Sersic image.
   Every number is a function of (seed, object), so any rank can write any file, and a spectrum is the same in every
   layout. Among the objects are, on purpose, the things that go wrong in a survey: see MockDefect; among the sources of
   the image catalogues, what a selection of galaxies leaves out: see MockOther. Local, serial; the stage hands files to
   ranks. */
#ifndef DATA_MOCK_H
#define DATA_MOCK_H

#include "data/brick.h"
#include "data/desi.h"
#include "data/legacy.h"

/* How the productions of DESI lay out their files (formats.md B1, B6). */
typedef enum {
    MOCK_EDR,  /* survey sv3; zcatalog/zpix-*, version 0: SURVEY, PROGRAM and ZCAT_PRIMARY are not in it */
    MOCK_DR1,  /* zcatalog/v1/zpix-*                                                            */
    MOCK_DR2,  /* zcatalog/v2/SURVEY/zpix-* in three files with Z_BEST and friends               */
    MOCK_DR3,  /* the same with UNIQPIX; spectra/SURVEY/PROGRAM by pixels of two sizes           */
    MOCK_TILES /* tiles/cumulative/TILEID/NIGHT by petal, zcatalog/v1/ztile-*-cumulative         */
} MockLayout;

typedef struct {
    int64_t objects;   /* galaxies with spectrum and image, defects aside */
    int64_t per_brick; /* of them in one brick                            */
    double ra, dec;    /* centre of the field, deg                        */
    int layout;        /* MockLayout                                      */
    int64_t exposures; /* of a spectrum in spectra-* files beside the coadds; 0 = no such files */
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
    int32_t healpix, uniqpix;
    MockDefect defect;
    bool in_dark; /* also observed in the dark program */
} MockObject;

/* Spectra that lie in one file. */
typedef struct {
    const char *program;
    int32_t healpix, uniqpix;     /* the pixel of the file in its layout; 0 otherwise */
    int32_t tileid, night, petal; /* tileid 0 = not by tile */
    bool missing;                 /* the files of spectra are not written, though the catalogue names them */
} MockGroup;

/* A file of sweeps: its box in deg. */
typedef struct {
    int ra, dec; /* low corner; 10 by 5 deg */
} MockSweep;

typedef struct {
    int64_t n;
    MockObject *object; /* ordered as made: stable numbers */
    int64_t n_bricks;
    Brick *brick;                         /* all bricks with objects          */
    int32_t missing_band_brick, no_brick; /* BRICKIDs       */
    int64_t n_groups;
    MockGroup *group; /* the bright program's, then the dark one's */
    int64_t n_sweeps;
    MockSweep *sweep;
    uint64_t seed;
    int layout; /* MockLayout */
    int64_t exposures;
    const char *survey; /* "main" or "sv3" */
    int32_t release;    /* RELEASE of the image catalogues; DESI's rows always carry that of DR9 */
    bool north;         /* BASS / MzLS */
} MockSky;

/* Local. The whole sky, about 400 bytes an object. `legacy` says which release and region the images are of; NULL = DR9
   south. */
Status mock_sky(MockSky *out, const MockConfig *config, const LegacyConfig *legacy, int64_t seed, Arena *a);

/* Noise-free flux density of an object at n observed wavelengths (Angstrom, vacuum): 1e-17 erg/s/cm2/Angstrom, all of the light. mock_sed.c */
void mock_spectrum(double *flux, const double *wavelength, int64_t n, const MockObject *o);
/* flux[] of the object from its spectrum and mass: nanomaggies at the bands' pivot wavelengths. */
void mock_photometry(MockObject *o);
enum { MOCK_FIBRE_PERCENT = 50 }; /* share of the light that the fibre sees */

/* TARGETID of formats.md B7. */
int64_t mock_targetid(int64_t objid, int64_t brickid, int64_t release, bool sky);

/* ---- where things lie: mock_layout.c ---- */

Status mock_groups(MockSky *sky, Arena *a); /* lists sky->group, sets uniqpix of the objects */
bool mock_in_group(const MockObject *o, const MockGroup *g);
/* Path of a file of spectra or redshifts of a group: KIND is coadd, spectra, redrock, emline, qso_mgii or qso_qn. */
Status mock_group_path(char path[FITS_PATH], const MockSky *sky, const DesiConfig *desi, const MockGroup *g,
                       const char *kind);
/* Path of a program's redshift catalogue; PART is "", "-imaging" or "-extra". */
Status mock_zcatalog_path(char path[FITS_PATH], const MockSky *sky, const DesiConfig *desi, const char *program,
                          const char *part);

/* ---- sources of the image catalogues: mock_sources.c ---- */

/* What stands in the catalogues of a brick beside the sky's objects. No image shows them. */
typedef enum {
    MOCK_STAR,      /* TYPE PSF                                       */
    MOCK_FAINT,     /* beyond the magnitude limits of image sets      */
    MOCK_BORDER,    /* z magnitude 20.5: between the published limits */
    MOCK_BRIGHT,    /* MASKBITS BRIGHT                                */
    MOCK_UNSEEN,    /* NOBS_G 0                                       */
    MOCK_HOST,      /* MASKBITS that image sets do not mind: GALAXY, in DR10 also SUB_BLOB, the 17th bit */
    MOCK_DUPLICATE, /* TYPE DUP: in Tractor only                      */
    MOCK_SECONDARY, /* BRICK_PRIMARY false: in Tractor only           */
    N_MOCK_OTHERS
} MockOther;

typedef struct {
    int64_t release, brickid, objid, targetid, maskbits;
    int64_t nobs[4];  /* g, r, i, z */
    int64_t primary;  /* BRICK_PRIMARY  */
    int64_t in_sweep; /* sweeps list it too */
    int64_t other;    /* MockOther, -1 = an object of the sky */
    double ra, dec, bx, by;
    double flux[4]; /* g, r, i, z nanomaggies */
    double ebv, transmission[4], sersic, radius;
    double z_phot, z_phot_std, z_phot_low, z_phot_high; /* -99 = no estimate */
    char brickname[16], type[16];
} MockSource;

/* Local. All sources of a brick, the sky's objects first. */
Status mock_sources(MockSource **out, int64_t *n, const MockSky *sky, const Brick *brick, Arena *a);

/* ---- writers: each writes one file (or a few of one name) under its root through temporary names ---- */

/* mock_spectra.c: coadd, and spectra where exposures are asked for, with redrock and its companions */
Status mock_write_group(const MockSky *sky, const DesiConfig *desi, int64_t group, Arena *a);
/* mock_zcatalog.c: the redshift catalogue of a program; in MOCK_DR3 its table of pixels */
Status mock_write_zcatalog(const MockSky *sky, const DesiConfig *desi, const char *program, Arena *a);
Status mock_write_uniqpix(const MockSky *sky, const DesiConfig *desi, const char *program, Arena *a);
/* mock_images.c: image and invvar of a band of a brick; its maskbits */
Status mock_write_brick(const MockSky *sky, const LegacyConfig *legacy, int64_t brick, int band, Arena *a);
Status mock_write_maskbits(const MockSky *sky, const LegacyConfig *legacy, int64_t brick, Arena *a);
/* mock_sources.c: the Tractor table of a brick; a file of sweeps with its photo-z */
Status mock_write_tractor(const MockSky *sky, const LegacyConfig *legacy, int64_t brick, Arena *a);
Status mock_write_sweep(const MockSky *sky, const LegacyConfig *legacy, int64_t sweep, Arena *a);
/* mock_tables.c: survey-bricks of the release and of the region, the label table (PROVABGS columns), the truth */
Status mock_write_bricks(const MockSky *sky, const LegacyConfig *legacy, bool region, Arena *a);
Status mock_write_labels(const MockSky *sky, const char *path, Arena *a);
Status mock_write_truth(const MockSky *sky, const char *path, Arena *a);

/* Position of a source in the image of a brick, 0-based pixels. mock_images.c */
void mock_project(double *x, double *y, const Brick *b, double ra, double dec);

/* Local. Creates the folders above `path`; opens PATH.part for writing; closes it and renames. */
Status mock_begin(FitsFile *f, const char *path);
Status mock_end(FitsFile *f, const char *path);
/* Turns the file PATH.plain into the gzip PATH. */
Status mock_gzip(const char *path);

#endif
