/* cutfile.h - one FITS cutout, open: which HDU and plane holds which band.

   Forms that the sky viewer of the Legacy Surveys writes, told apart by what headers say, never by order:
   - a cube (bands, y, x) in one HDU; BAND0, BAND1 ... name its planes, else BANDS ('grz'), else three planes are g r z and
     four are g r i z. A second HDU of the same shape with IMAGETYP = 'INVVAR' holds its inverse variances; further ones
     (MASKBITS) are passed over;
   - a single band: an image of two axes, named by BAND, else BANDS, else FILTER;
   - a "subimage": HDUs of two axes, BAND each, IMAGETYP 'image' or 'invvar', once for every brick (BRICK) that the cutout
     meets. The brick that shows most of it is taken.
   IMAGETYP absent counts as 'image'. All images of the file must lie on the same grid: size, BRICK, CRPIX, CRVAL. Tile
   compression (.fits.fz) and gzip are seen through. Serial, Local. */
#ifndef DATA_CUTFILE_H
#define DATA_CUTFILE_H

#include "data/images.h"
#include "data/wcs.h"
#include "io/fitsfile.h"

typedef struct {
    int hdu; /* 0 = primary; -1 = absent */
    int plane;
} CutPlane;

typedef struct {
    FitsFile file;
    int64_t ny, nx;
    CutPlane image[N_BANDS], invvar[N_BANDS];
    bool whole;        /* false: the file is cut short or damaged somewhere */
    bool placed;       /* its header says where it is on the sky */
    char why[256];     /* why not */
    Wcs wcs;           /* of the images, where placed */
    double ra, dec;    /* deg: the position shown at ((nx - 1) / 2, (ny - 1) / 2); NaN where not placed */
    char version[32];  /* VERSION: "DR9-south"; "" = none */
    char brickname[9]; /* BRICK of a subimage; "" = none */
    int bricks;        /* how many bricks it shows; 1 for the other forms */
} CutFile;

/* E_INPUT when the file is not FITS or no HDU of it holds an image of g, r or z. Only headers are read: pixels may still
   be missing. */
Status cutfile_open(CutFile *c, const char *path, Arena *scratch);
void cutfile_close(CutFile *c); /* NULL-safe, twice-safe */

/* E_INPUT when the file is too short for its images or weights, or so damaged that bands may be missing for that. */
Status cutfile_check(CutFile *c);

/* Pixels [y0, y1) x [x0, x1) of a band that is there, as in the file; ivar of one without is 1 where the pixel is not
   exactly 0 (the viewer writes 0 where there are no data) and 0 elsewhere. */
Status cutfile_read(float *pixels, float *ivar, CutFile *c, int band, int64_t y0, int64_t y1, int64_t x0, int64_t x1);

#endif
