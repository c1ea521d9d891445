/* join.h - brings together what several files say of one object. Rows travel: first to the rank that owns their
   TARGETID (the best row of each key stays; labels meet them there), then to the rank that owns their photometry file,
   which reads it once. What a row ends up with does not depend on the number of ranks. */
#ifndef DATA_JOIN_H
#define DATA_JOIN_H

#include <stdint.h>

#include "core/arena.h"
#include "data/cuts.h"
#include "data/labels.h"
#include "data/manifest.h"
#include "data/survey.h"
#include "par/par.h"

/* Collective. Sends rows to the owners of their TARGETIDs; of rows with equal (TARGETID, SURVEY, PROGRAM) the best
   stays (cuts_compare_quality), the others are added to the owner's rejects as DUPLICATE; a row without a spectrum whose
   TARGETID has one with is rejected as HAS_SPECTRUM. Where no column said which row of a TARGETID is primary, the best is;
   `primary_only` rejects the others. Result ordered by key. */
Status join_unique(CatalogRow **out, int64_t *n_out, RejectList *rejects, bool primary_only, const CatalogRow *rows,
                   int64_t n, const Par *par, Arena *a);

/* Collective. Gives the rows (those of join_unique, where they are) the labels of their TARGETID; each rank brings any
   part of the label table. Where the table has no redshift, a row's own counts if ZWARN is 0. Entries travel through
   `scratch`. */
Status join_labels(CatalogRow *rows, int64_t n, const LabelEntry *labels, int64_t n_labels, const Par *par,
                   Arena *scratch);

/* Collective. The same with the labels of a file, each rank reading its part of the table; NULL = no table. counts: of the
   whole table. */
Status join_label_file(CatalogRow *rows, int64_t n, LabelCounts *counts, const char *path, const LabelsConfig *c,
                       const Par *par, Arena *scratch);

typedef struct {
    const ImageSurvey *survey;
    const void *config;
    double arcsec;        /* largest distance of a match by position; 0 = never */
    int64_t files;        /* counted here: photometry files read by this rank ... */
    int64_t files_absent; /* ... and not there                                   */
    ManifestList *used;   /* all of them are added; its arena is not `a` below   */
} Photometry;

/* Collective. Sends rows to the owners of their photometry files and matches them: by (RELEASE, BRICKID, BRICK_OBJID),
   else the nearest within `arcsec` in that file. A matched row gets identifiers, fluxes, E(B-V) and PHOTSYS from there;
   MATCH says how. All rows get has_image. `rows` are used up. */
Status join_photometry(CatalogRow **out, int64_t *n_out, Photometry *p, CatalogRow *rows, int64_t n, const Par *par,
                       Arena *a);

/* Collective. Gives rows with spectra (those of join_unique, where they are) the images of a stored set: the object of
   the same TARGETID, else the nearest within `arcsec` (ties: the lower place). Other rows get has_image 0. Each rank
   brings any part of the objects; *left: those that no row took, the others are rejected as HAS_SPECTRUM. Entries travel
   through `scratch`, *left is in `a`, another arena. */
Status join_objects(CatalogRow *rows, int64_t n, CatalogRow **left, int64_t *n_left, RejectList *rejects,
                    const CatalogRow *objects, int64_t n_objects, double arcsec, const Par *par, Arena *scratch,
                    Arena *a);

/* Collective. After join_photometry: a row without a spectrum whose object is the photometry of a row with one is
   rejected as HAS_SPECTRUM; the TARGETIDs of the two differ where the photometry is of another release than the
   target's. */
Status join_same_objects(CatalogRow **out, int64_t *n_out, RejectList *rejects, const CatalogRow *rows, int64_t n,
                         const Par *par, Arena *a);

/* Local. A row takes identifiers, fluxes, E(B-V), PHOTSYS and the place of the image of an entry of a photometry
   catalogue or image set. */
void join_take(CatalogRow *row, const CatalogRow *from, Match how);

/* Local. Index of the row of `table` that is `row`, or -1; *how says by what. */
int64_t join_match(Match *how, const CatalogRow *row, const CatalogRow *table, int64_t n_table, double arcsec);

/* Local. Distance on the sky in arcsec; positions in degrees. NaN where a position is. */
double join_separation(double ra1, double dec1, double ra2, double dec2);

#endif
