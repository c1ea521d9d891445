/* mock.h - a small sky in the surveys' own file formats and layouts: the objects, and the writers of each kind of file.

   One latent galaxy drives both instruments: redshift, mass, age, metallicity, sSFR and dust make one spectral energy
   distribution, from which come the DESI spectrum (as seen through a fibre) and the g, r, z fluxes of the Sersic image.
   Every number is a function of (seed, object), so any rank can write any file, and a spectrum is the same in every
   layout. Among the objects are, on purpose, the things that go wrong in a survey: see MockDefect; among the sources of
   the image catalogues, what a selection of galaxies leaves out: see MockOther. Local, serial; the stage hands files to
   ranks. */
#ifndef DATA_MOCK_H
#define DATA_MOCK_H

#include "core/rng.h"
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
    const char *votes; /* table of votes on morphology, in run.output; "" = none */
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

/* What a galaxy is. Drawn by mock_galaxy.c, which names the source of each relation. */
typedef struct {
    int64_t targetid;
    double ra, dec;
    double z;
    double logmstar; /* log10 Msun                 */
    double age;      /* Gyr, mass-weighted         */
    double logz;     /* log10 metallicity          */
    double logssfr;  /* log10 1/yr, mean of the last Gyr */
    double dust;     /* optical depth at 5500 A that the stars see */

    /* what only the spectrum tells */
    double veldisp; /* of the stars along the line of sight, km/s          */
    double recent;  /* log10 SFR of the last 10 Myr over the last Gyr's    */
    double oxygen;  /* 12 + log10 O/H of the gas                           */
    double log_u;   /* log10 of the ionisation parameter                   */

    /* light: nanomaggies through the curves of DECam, or of BASS and MzLS */
    bool north;
    double flux[N_BANDS];
    double bulge_flux[N_BANDS]; /* of which the bulge: older, redder; the disk has the rest, never negative */

    /* shape: half-light radius of the whole, arcsec along the major axis; angle in radians from +x in the brick */
    double radius, sersic, axis_ratio, angle;
    bool quiescent;
    float bulge_fraction; /* of the r light; 1 = an elliptical, no disk; the bulge's radius is bulge_radius */
    float bulge_radius;   /* arcsec */
    float inclination;    /* radians, 0 = face-on; axis_ratio is the disk's as seen, or the elliptical's     */
    int arm_count;        /* 0 = no arms                                              */
    float arm_strength;   /* amplitude of the arms in the disk's light, 0 to 1        */
    float arm_winding;    /* pitch angle in radians: small = tightly wound            */
    float bar_strength;   /* share of the disk's inner light in a bar, 0 = none       */
    bool edge_on, merger;
    /* a merger's companion: offset in arcsec (east, north), flux and radius relative to the galaxy */
    float companion_east, companion_north, companion_flux, companion_radius;

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

/* Objects of a brick: in_brick[first .. first + n). */
typedef struct {
    int32_t id; /* BRICKID */
    int64_t first, n;
} MockBrick;

typedef struct {
    int64_t n;
    MockObject *object; /* ordered as made: stable numbers */
    int64_t *in_brick;  /* (n) numbers of the objects, brick by brick, mock_index.c */
    MockBrick *by_id;   /* (n_bricks) by BRICKID */
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

/* Fills in_brick and by_id. Then: numbers of the objects of a brick, in the order of the sky; returns how many. True
   where the sky has the brick. mock_index.c */
Status mock_index(MockSky *sky, Arena *a);
int64_t mock_brick_objects(const int64_t **number, const MockSky *sky, int32_t brickid);
bool mock_has_brick(const MockSky *sky, int32_t brickid);

/* Local. Everything that a galaxy is but its place: redshift to companion, fluxes through the curves of o->north, which
   is set before. Depends on the stream alone. mock_galaxy.c */
void mock_galaxy(MockObject *o, Rng *r);

/* Flat Lambda-CDM of Planck 2013: luminosity distance in Mpc; age of the universe at z in Gyr. mock_galaxy.c */
double mock_distance(double z);
double mock_universe_age(double z);

/* Noise-free flux density of an object at n ascending observed wavelengths (Angstrom, vacuum): 1e-17
   erg/s/cm2/Angstrom, all of the light, seen with a Gaussian of `blur` Angstrom (0 = as it is). mock_sed.c */
void mock_spectrum(double *flux, const double *wavelength, int64_t n, const MockObject *o, double blur);
double mock_gas_speed(const MockObject *o); /* sigma of the emission lines, km/s. mock_sed.c */
/* flux[] and bulge_flux[] of the object. mock_sed.c */
void mock_photometry(MockObject *o);

/* Emission lines whose strengths are published: 1e-17 erg/s/cm2, dimmed by dust, all of the light. mock_lines.c */
typedef enum {
    MOCK_OII_3726,
    MOCK_OII_3729,
    MOCK_NEIII_3869,
    MOCK_HDELTA,
    MOCK_HGAMMA,
    MOCK_HBETA,
    MOCK_OIII_4959,
    MOCK_OIII_5007,
    MOCK_OI_6300,
    MOCK_NII_6548,
    MOCK_HALPHA,
    MOCK_NII_6584,
    MOCK_SII_6716,
    MOCK_SII_6731,
    MOCK_SIII_9069,
    MOCK_SIII_9532,
    N_MOCK_LINES
} MockLine;
extern const double mock_line_wavelength[N_MOCK_LINES]; /* vacuum, rest frame, Angstrom */
void mock_lines(double flux[N_MOCK_LINES], const MockObject *o);
/* Attenuation curve relative to 5500 A. mock_lines.c */
double mock_attenuation(double rest);

/* The 4000 A break of the noise-free spectrum, narrow windows. mock_fastspec.c */
double mock_dn4000(const MockObject *o);

/* Response of a band at an observed wavelength, photons, any scale. mock_curves.c */
double mock_response(int band, bool north, double wavelength);
void mock_band_limits(double *low, double *high, int band, bool north);

/* Noise of an empty fibre at n ascending wavelengths of an arm (0 to 2), 1e-17 erg/s/cm2/Angstrom in a pixel of 0.8
   Angstrom, for an exposure of the bright survey. mock_night.c */
void mock_night(double *sigma, const double *wavelength, int64_t n, int arm);

/* Share of the light that the fibre of 1.5 arcsec sees. mock_spectra.c */
double mock_fibre_share(const MockObject *o);

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

/* ---- the plan: mock_estimate.c ---- */

typedef struct {
    int64_t bricks, groups, files;
    double bytes;   /* on disk                                              */
    double memory;  /* bytes of the rank that needs most; others need less  */
    double seconds; /* of one core                                          */
} MockEstimate;
/* Local. Draws nothing: any number of objects. E_CONFIG where the bricks have no room on the sphere. */
Status mock_estimate(MockEstimate *out, const MockConfig *config, bool spectra, bool images);

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
/* mock_tables.c: survey-bricks of the release and of the region, the truth; mock_labels.c: the label table (PROVABGS columns) */
Status mock_write_bricks(const MockSky *sky, const LegacyConfig *legacy, bool region, Arena *a);
Status mock_write_labels(const MockSky *sky, const char *path, Arena *a);
Status mock_write_fastspec(const MockSky *sky, const char *path, Arena *a); /* mock_fastspec.c */
Status mock_write_truth(const MockSky *sky, const char *path, Arena *a);
/* mock_votes.c: a CSV of Galaxy Zoo DECaLS (formats.md B12), of galaxies brighter than r 18.5 */
Status mock_write_votes(const MockSky *sky, const char *path);

/* Position of a source in the image of a brick, 0-based pixels. mock_images.c */
void mock_project(double *x, double *y, const Brick *b, double ra, double dec);

/* Local. Creates the folders above `path`; opens PATH.part for writing; closes it and renames. */
Status mock_begin(FitsFile *f, const char *path);
Status mock_end(FitsFile *f, const char *path);
/* Turns the file PATH.plain into the gzip PATH. */
Status mock_gzip(const char *path);

#endif
