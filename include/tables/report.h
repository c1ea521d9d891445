/* report.h - report/index.html: what a run made, for people. One table of sections (report.c); each says whether there is
   anything to show. But for lines of class "run", which tell what artefacts say of their making (seconds, ranks, paths), nothing in
   it depends on when, where or on how many ranks it was written. Local: one rank writes. */
#ifndef TABLES_REPORT_H
#define TABLES_REPORT_H

#include "data/catalog.h"
#include "data/images.h"
#include "data/spectra.h"
#include "data/survey.h"
#include "tables/page.h"

typedef struct {
    int64_t objects; /* in the gallery */
    int64_t spectra; /* of them drawn  */
    int64_t queries; /* of matches.fits */
    int64_t map_objects;
    int64_t outliers; /* of each kind */
} ReportConfig;
extern const ConfigSection report_section; /* "report" */

/* Borrowed. */
typedef struct {
    const ReportConfig *config;
    const ReleaseConfig *release;
    const SpectraConfig *spectra;
    const ImagesConfig *images;
    const char *output; /* folder of the artefacts */
    const char *truth;  /* table of a mock sky, in the output */
    Arena *arena;
} Report;

typedef struct {
    const char *title;
    bool (*applies)(const Report *r);
    Status (*write)(Page *p, const Report *r);
} ReportSection;
extern const ReportSection report_artefacts, report_ledger, report_sky, report_training, report_scores,
    report_predictions, report_coverage, report_map, report_similar, report_outliers, report_galaxies, report_truth;

/* Everything that the page shows: of an output folder as it is now. */
Fingerprint report_inputs(const Report *r);
Status report_write(const Report *r, const char *folder, const Fingerprint *fingerprint);

/* OUTPUT/name exists. */
bool report_has(const Report *r, const char *name);
Status report_path(char **out, const Report *r, const char *name);
/* A table of CSV files of ours, at most `most` lines of it; `skip` = a column not to show, NULL = none. */
Status report_csv(Page *p, const Report *r, const char *name, const char *caption, int64_t most);

#endif
