/* mock.h - a small sky in the surveys' own file formats and layouts: the objects, and the writers of each kind of file.

   One latent galaxy drives both instruments: redshift, mass, age, metallicity, sSFR and dust make one spectral energy
   distribution, from which come the DESI spectrum (as seen through a fibre) and the g, r, z fluxes of the Sersic image.
   Every number is a function of (seed, object): nothing is kept of objects that are not being written, any rank writes
   any file, memory does not grow with the sky, and a spectrum is the same in every layout. Among the objects are, on purpose, the things that go wrong in a survey: see MockDefect; among the sources of
   the image catalogues, what a selection of galaxies leaves out: see MockOther. Local, serial; the stage hands files to
   ranks. */
#ifndef DATA_MOCK_H
#define DATA_MOCK_H

#include "core/rng.h"
#include "data/brick.h"
#include "data/desi.h"
#include "data/legacy.h"
#include "par/par.h"

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
    int64_t number; /* in the sky: all that is random about it follows from this and the seed */
    int64_t targetid;
    double ra, dec;
    double z;
    double logmstar; /* log10 Msun                 */
    double age;      /* Gyr, mass-weighted         */
    double logz;     /* log10 metallicity          */
    double logssfr;  /* log10 1/yr, mean of the last Gyr */
    double dust;     /* optical depth at 5500 A that the stars see */

    /* what makes galaxies of equal mass, age and star formation look unlike each other */
    double dust_slope;       /* of their attenuation over Calzetti's: (wavelength / 5500 A)^slope           */
    double burst, burst_age; /* share of the older stars that one burst formed; how long ago, Gyr; 0 = none */
    double log_ml;           /* log10 of their mass-to-light ratio over that of their age and metals        */

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
    int64_t rows;                 /* objects; of tiles: not counted, 0 */
    /* where its objects are: bricks of these rows and columns of the field, or of these numbers; last ones included */
    int64_t row[2], column[2], brick[2];
} MockGroup;

/* A file of sweeps: its box in deg. */
typedef struct {
    int ra, dec; /* low corner; 10 by 5 deg */
} MockSweep;

/* What follows from the configuration. Bricks have numbers 0 .. n_bricks - 1: a square of full ones, left to right and
   upwards, then the one without a band, then the one without files; objects lie in them one after the other. */
typedef struct {
    int64_t n, objects, per_brick;        /* with and without those that defects add */
    int64_t n_bricks, n_full, width;      /* bricks of a row of the field */
    int32_t row, col, columns;            /* of the first brick in the grid of bricks; columns of its row */
    int32_t missing_band_brick, no_brick; /* BRICKIDs */
    int32_t crowded;                      /* nside 64 pixel that MOCK_DR3 splits: that of the first object */
    int64_t n_groups;                     /* the bright program's, then the dark one's */
    MockGroup *group;                     /* NULL in MOCK_TILES: mock_group makes them */
    int64_t last_dark;                    /* the group whose file is lost, -1 = none */
    int64_t rows[2];                      /* of the catalogues: bright, dark */
    int64_t n_fitted, n_labels;           /* rows of the fastspec and PROVABGS tables */
    int64_t n_sources;                    /* of the catalogues of all bricks          */
    int64_t n_sweeps;
    MockSweep *sweep;
    uint64_t seed;
    int layout; /* MockLayout */
    int64_t exposures;
    const char *survey; /* "main" or "sv3" */
    int32_t release;    /* RELEASE of the image catalogues; DESI's rows always carry that of DR9 */
    bool north;         /* BASS / MzLS */
} MockSky;

/* Collective. Who is where; positions are looked through once, by all ranks together, to list the files: at most 5 MB,
   however large the sky. `legacy` says which release and region the images are of; NULL = DR9 south. */
Status mock_sky(MockSky *out, const MockConfig *config, const LegacyConfig *legacy, int64_t seed, const Par *par,
                Arena *a);

/* Local. A brick by its number; the number of a brick, -1 = the sky has no such brick. mock_sky.c */
void mock_brick(Brick *out, const MockSky *sky, int64_t brick);
int64_t mock_brick_number(const MockSky *sky, const Brick *b);
int64_t mock_brick_objects(const MockSky *sky, int64_t brick); /* how many */
/* Object k of a brick: where it is and what it is called; all of it. 2 microseconds, 0.2 milliseconds. */
void mock_place(MockObject *o, const MockSky *sky, int64_t brick, const Brick *b, int64_t k);
void mock_object(MockObject *o, const MockSky *sky, int64_t brick, const Brick *b, int64_t k);
/* All objects of bricks [first, last), brick by brick; those of a group likewise. */
Status mock_objects(MockObject **out, int64_t *n, const MockSky *sky, int64_t first, int64_t last, Arena *a);
Status mock_group_objects(MockObject **out, int64_t *n, const MockSky *sky, const MockGroup *g, Arena *a);

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
/* flux[] and bulge_flux[] of the object; about the flux of a band without the gas's lines, within some per cent. mock_sed.c */
void mock_photometry(MockObject *o);
double mock_rough_flux(const MockObject *o, int band);

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
/* Of the optical depth that the gas's lines and the youngest stars see, what the other stars see: our choice, which gives
   massive star-forming galaxies the colours they have. Calzetti et al. 2000 find 0.44 of the colour excess in starbursts. */
#define MOCK_DUST_SHARE 0.3

/* Attenuation curve relative to 5500 A. mock_lines.c */
double mock_attenuation(double rest, double slope);

/* One sigma of log mass, age, log metallicity, log star-formation rate in the PROVABGS table. mock_labels.c */
enum { MOCK_FITTED = 4 };
void mock_fit_errors(double sigma[MOCK_FITTED], const MockObject *o);

/* Does the object have a row in them? Asks for its place alone. mock_fastspec.c, mock_labels.c */
bool mock_is_fitted(const MockObject *o);
bool mock_is_labelled(const MockSky *sky, const MockObject *o);

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

Status mock_groups(MockSky *sky, const Par *par, Arena *a); /* Collective. Fills group, n_groups, last_dark and rows */
void mock_group(MockGroup *out, const MockSky *sky, int64_t g);
bool mock_in_group(const MockObject *o, const MockGroup *g);
/* The groups of a program that an object is in: two on two tiles; returns how many. Without rows and place. */
int mock_groups_of(MockGroup out[2], const MockSky *sky, const MockObject *o, const char *program);
int32_t mock_uniqpix(const MockSky *sky, const MockObject *o);
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
    double psfsize[4], psfdepth[4], galdepth[4];        /* FWHM in arcsec; 1/nanomaggies^2 of a star, a small disk */
    char brickname[16], type[16];
} MockSource;

/* Local. All sources of a brick: the sky's objects, as mock_objects draws them, first. */
Status mock_sources(MockSource **out, int64_t *n, const MockSky *sky, const Brick *brick, const MockObject *object,
                    int64_t n_objects, Arena *a);
/* Those that are no objects of the sky. */
void mock_other_sources(MockSource out[N_MOCK_OTHERS], const MockSky *sky, const Brick *brick, int64_t n_objects);

/* ---- the plan: mock_estimate.c ---- */

typedef struct {
    int64_t bricks, groups, files;
    double bytes;   /* on disk                                              */
    double memory;  /* bytes of the rank that needs most                    */
    double seconds; /* of one core                                          */
} MockEstimate;
/* Local. Draws nothing: any number of objects. E_CONFIG where the bricks have no room on the sphere. */
Status mock_estimate(MockEstimate *out, const MockConfig *config, bool spectra, bool images, int n_ranks);

/* ---- writers: each writes one file (or a few of one name) under its root through temporary names ---- */

/* mock_spectra.c: coadd, and spectra where exposures are asked for, with redrock and its companions */
Status mock_write_group(const MockSky *sky, const DesiConfig *desi, int64_t group, Arena *a);
/* mock_zcatalog.c: the table of pixels of a program in MOCK_DR3 */
Status mock_write_uniqpix(const MockSky *sky, const DesiConfig *desi, const char *program, Arena *a);
/* mock_images.c: image and invvar of a brick's bands, its maskbits and its Tractor table: all that needs its galaxies */
Status mock_write_brick(const MockSky *sky, const LegacyConfig *legacy, int64_t brick, Arena *a);
/* mock_sources.c: a file of sweeps with its photo-z; the Tractor table of a brick */
Status mock_write_sweep(const MockSky *sky, const LegacyConfig *legacy, int64_t sweep, Arena *a);
Status mock_write_tractor(const MockSky *sky, const LegacyConfig *legacy, const Brick *b, const MockSource *source,
                          int64_t n, Arena *a);
/* mock_tables.c: survey-bricks of the release and of the region */
Status mock_write_bricks(const MockSky *sky, const LegacyConfig *legacy, bool region, Arena *a);

/* Paths; NULL = not written. */
typedef struct {
    const DesiConfig *desi; /* redshift catalogues of both programs, mock_zcatalog.c */
    const char *labels;     /* HDF5 with PROVABGS columns, mock_labels.c             */
    const char *fastspec;   /* FITS, mock_fastspec.c                                 */
    const char *truth;      /* FITS, mock_truth.c                                    */
    const char *votes; /* CSV of Galaxy Zoo DECaLS (formats.md B12), of galaxies brighter than r 18.5, mock_votes.c */
} MockLists;
/* Collective. The tables that list the whole sky: all ranks draw objects, a few thousand at a time; each table has a
   rank that writes it. mock_lists.c */
Status mock_write_lists(const MockSky *sky, const MockLists *lists, const Par *par, Arena *a);

/* Position of a source in the image of a brick, 0-based pixels. mock_images.c */
void mock_project(double *x, double *y, const Brick *b, double ra, double dec);

/* Local. Creates the folders above `path`; opens PATH.part for writing; closes it and renames. */
Status mock_begin(FitsFile *f, const char *path);
Status mock_end(FitsFile *f, const char *path);
/* Turns the file PATH.plain into the gzip PATH. */
Status mock_gzip(const char *path);

#endif
