/* columns.h - the columns of HDU PROPERTIES of properties.fits: their names, units and comments, where each lies in a row,
   and how an object becomes a row of bytes. Keys are named and typed as in DESI's zcatalog; a property learnt from an input
   has four columns, e.g. LOGMSTAR_IMAGE (value), _STD (standard deviation of truth - value on the val split), _L68 and _U68
   (value plus the 16 % and 84 % quantile of truth - value). Predicted redshifts are ZPRED_*: a bare Z is the spectroscopic
   redshift and nothing else. Local, serial. */
#ifndef TABLES_COLUMNS_H
#define TABLES_COLUMNS_H

#include "data/spectra.h"
#include "probe/predictions.h"
#include "probe/probes.h"

/* PRED_FLAG: what can be said of a row's predictions; bit, name, sentence. A table in columns.c is the only list. */
enum {
    PRED_NO_IMAGE = 1 << 0,
    PRED_NO_SPECTRUM = 1 << 1,
    PRED_OOD_IMAGE = 1 << 2,
    PRED_OOD_SPECTRUM = 1 << 3,
    PRED_OOD_BOTH = 1 << 4,
    PRED_TRAINING = 1 << 5,
    PRED_EXTRAPOLATED = 1 << 6,
    PRED_NOT_IN_CATALOGUE = 1 << 7,
};
typedef struct {
    int32_t bit;
    const char *name, *sentence;
} PredFlagRow;
extern const PredFlagRow pred_flag_table[]; /* ended by a row with bit 0 */

/* Texts of the key, whose columns are as wide as DESI makes them or as the catalogue needs. */
typedef enum { KEY_SURVEY, KEY_PROGRAM, KEY_SPECTYPE, N_KEY_TEXTS } KeyText;
typedef struct {
    int64_t width[N_KEY_TEXTS]; /* characters */
} KeyWidths;

/* Local. Widths that hold these rows too. Begin with zeros. */
void key_widths_add(KeyWidths *w, const CatalogRow *row, int64_t n);

typedef enum {
    FROM_CATALOG, /* index: row of the table of catalogue columns */
    FROM_SPLIT,
    FROM_FLAG, /* index: Modality                              */
    FROM_PRED_FLAG,
    FROM_STATS, /* index: SpectrumStat                          */
    FROM_OOD,   /* index: ProbeSet.input                        */
    FROM_VALUE, /* index: ProbeSet.fit; also the next five      */
    FROM_STD,
    FROM_L68,
    FROM_U68,
    FROM_L95,
    FROM_U95,
    FROM_SHARE, /* index: ObjectRow.share */
} ColumnSource;

typedef struct {
    ColumnSource source;
    int index;
    int64_t offset, bytes; /* in a row */
} PropertyColumn;

typedef struct {
    int n;
    FitsColumn *fits;       /* (n) what the header says         */
    PropertyColumn *column; /* (n) where the values come from   */
    int64_t row_bytes;
    const ProbeSet *probes; /* borrowed                         */
    bool *published;        /* (n_fits) has columns             */
} PropertyLayout;

/* Local. PROPERTIES. Published are the inputs with a column name, and of each (input, property) the fit of `probe`, or of
   the ridge where that one has none. */
Status layout_make(PropertyLayout *out, const ProbeSet *probes, const char *probe, const KeyWidths *widths, Arena *a);

/* Local. MORPHOLOGY, row by row as PROPERTIES: the key and the shares of votes; n = 0 where no morphology was fitted. Of each input and question
   the fit that goes with `probe` (an MLP with "mlp"), else what there is. share[i] is column i of ObjectRow.share. */
typedef struct {
    int fit, answer; /* in ProbeSet.morphology */
} MorphologyShare;
Status layout_make_morphology(PropertyLayout *out, MorphologyShare **share, int *n_shares, const ProbeSet *probes,
                              const char *probe, const KeyWidths *widths, Arena *a);

/* Is the fit published, and under which column? "" if not. */
enum { COLUMN_NAME = 48 };
void layout_column_name(char out[COLUMN_NAME], const PropertyLayout *l, int fit);

/* All that is known of one object; borrowed. */
typedef struct {
    bool absent; /* a row of tables.match that the catalogue lacks */
    const CatalogRow *catalog;
    int32_t flag[N_MODALITIES];
    const float *stats;       /* (N_SPECTRUM_STATS)                    */
    const double *ood;        /* (n_inputs) NaN = no embedding         */
    const double *prediction; /* (n_fits) NaN = no embedding           */
    const double *scale;      /* (n_fits) 1 where the probe tells none */
    const float *share;       /* shares of votes, in the order of the layout */
} ObjectRow;

/* Local. One row as FITS stores it: big-endian, texts padded with blanks, every NaN the same NaN. */
void layout_put_row(unsigned char *out, const PropertyLayout *l, const ObjectRow *r);

/* Local. PRED_FLAG of an object. */
int32_t pred_flag(const PropertyLayout *l, const ObjectRow *r);

#endif
