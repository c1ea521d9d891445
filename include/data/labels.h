/* labels.h - physical properties that probes learn, from a table of labels (labeltable.h): PROVABGS, fastspecfit, or any table by the
   names of its columns.

   PROVABGS: Z_HP, PROVABGS_LOGMSTAR_BF and, where present, TAGE_MW [Gyr], Z_MW (linear), AVG_SFR [Msun/yr]; where these lack they
   are computed from PROVABGS_THETA_BF, or as means over the draws PROVABGS_MCMC (data/provabgs.h). fastspecfit: Z, LOGMSTAR, AGE,
   ZZSUN, SFR, each with its _IVAR: 0 = not measured. Values that are not finite, or not positive, become NaN: no label.

   Two specific star formation rates: logssfr = log10(SFR / M) [1/yr], and ssfr_released = ln SFR - ln Z, what the released code
   computes under the name sSFR, for comparison with its numbers alone. */
#ifndef DATA_LABELS_H
#define DATA_LABELS_H

#include <stdint.h>

#include "core/arena.h"
#include "core/config.h"
#include "data/catalog.h"

typedef struct {
    int kind, estimate;
    const char *hdu, *targetid, *z, *logmstar, *age, *metallicity, *sfr; /* columns of kind columns */
    int metallicity_scale, sfr_scale;
    double solar;        /* metallicity of the Sun, where the table counts from it */
    double min_logmstar; /* rows below it have no labels; 0 = off */
    bool magnitudes;     /* rows without positive MAG_G, MAG_R, MAG_Z have no labels, where the table has these */
} LabelsConfig;
extern const ConfigSection labels_section; /* "labels" */

/* Rows of a part of the table, and what became of them. */
typedef struct {
    int64_t rows, negative, no_magnitudes, light, kept;
} LabelCounts;

/* Plain bytes: exchanged and sorted as a record. */
typedef struct {
    int64_t targetid;
    int64_t row;            /* 0-based row of the table: the first of several rows of one TARGETID counts */
    double label[N_LABELS]; /* NaN = none */
} LabelEntry;

/* Local. Rows of the table, without reading them. E_INPUT when there is no table with a TARGETID and a property. */
Status labels_count(int64_t *n, const char *path, const LabelsConfig *c);

/* Local. Part `part` of `n_parts` contiguous parts of the table, in file order; rows with negative TARGETIDs and those that
   the cuts of the configuration take are left out and counted. */
Status labels_read(LabelEntry **out, int64_t *n, LabelCounts *counts, const char *path, const LabelsConfig *c, int part,
                   int n_parts, Arena *a);

#endif
