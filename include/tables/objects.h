/* objects.h - objects of the catalogue on the page: cutouts as pictures, spectra as plots. What is shown of many is read at once.
   Files are named by the row of the catalogue: image-ROW.png, spectrum-ROW.svg. Local. */
#ifndef TABLES_OBJECTS_H
#define TABLES_OBJECTS_H

#include "tables/report.h"

typedef struct {
    int64_t n;       /* rows, each once, ascending */
    int64_t *number; /* (n) of the catalogue       */
    CatalogRow *row; /* (n) */
    bool *has_image; /* (n) image-ROW.png was written */
    bool *has_spectrum;
    float *flux, *ivar; /* (n, GRID_PIXELS), where there is a spectrum */
} Objects;

/* Rows `number` (n, any order, any twice) of the catalogue: pictures to the folder of the page, spectra to memory. Rows below 0 are
   passed over. */
Status objects_read(Objects *out, const Page *p, const Report *r, Catalog *c, const int64_t *number, int64_t n);
/* The place of a row among them; -1 = it is not there. */
int64_t objects_find(const Objects *o, int64_t number);

/* "z 0.123", or "no z". */
typedef struct {
    char text[16];
} RedshiftText;
RedshiftText objects_redshift(double z);

/* A picture, or the place of one that is not there. */
void objects_thumb(Page *p, const Objects *o, int64_t place, const char *caption);

/* One spectrum with its lines and error. */
Status objects_spectrum(Page *p, const Objects *o, int64_t place);

/* Several, smoothed and scaled, the first on top, as NAME.svg and NAME.csv; label (n) stands beside each. */
enum { MOST_TRACES = 12 };
Status objects_traces(Page *p, const Objects *o, const int64_t *place, const char (*label)[48], int n, const char *name,
                      const char *caption);

#endif
